"""``hepatica vial``: which vial to order, what a generator gives, and what was delivered."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _VialGroup(TyperGroup):
    """Options without a question are those of `order`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("--") and args[0] != "--help":
            args = ["order", *args]
        return list(super().parse_args(ctx, args))


vial = typer.Typer(
    cls=_VialGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Order a vial, elute a generator, or find what was delivered. All times with zone: 2026-03-12T10:00+01:00.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@vial.command("order")
def order(
    agent: Annotated[str, typer.Option(help="glass, resin or QuiremSpheres.")],
    activity: Annotated[str, typer.Option(help="In the vial at the injection, '2.4 GBq' (`hepatica plan`).")],
    at: Annotated[str, typer.Option(help="Injection, with zone.")],
    calibration: Annotated[
        str | None, typer.Option(help="Resin: nominal calibration on the treatment day. 166Ho: shipping. With zone.")
    ] = None,
    perfused_volume: Annotated[str | None, typer.Option(help="For spheres per mL, '800 mL'.")] = None,
    specific_activity: Annotated[str, typer.Option(help="166Ho at the injection.")] = "11 MBq/mg",
    classic: Annotated[bool, typer.Option("--classic", help="Glass: only 3, 5, 7, 10, 15 and 20 GBq.")] = False,
    as_json: AsJson = False,
) -> None:
    """Vials and calibration days that give the activity at the injection, closest first."""
    from hepatica.core.units import parse_quantity, parse_time
    from hepatica.errors import InputError
    from hepatica.nuclides import agent as by_name
    from hepatica.planning.delivery import vial as delivery

    of = by_name(agent)
    wanted = delivery.Order(
        parse_quantity(activity, "GBq", "activity"),
        parse_time(at, "injection"),
        None if perfused_volume is None else parse_quantity(perfused_volume, "mL", "perfused volume"),
    )
    head = {"agent": of.name, "nuclide": of.nuclide_name, "activity_gbq": wanted.activity_gbq, "injection": at}
    if of.name == "glass":
        offers = delivery.glass_offers(of, wanted, custom=not classic)
        combined = not offers
        if combined:
            offers = delivery.several_vials(of, wanted)
        _show_offers(head, offers, combined, as_json)
        return
    if calibration is None:
        raise InputError(f"{of.name}: give --calibration (resin: nominal calibration; 166Ho: shipping), with zone")
    instant = parse_time(calibration, "calibration")
    if of.name == "resin":
        _show_offers(head, delivery.resin_offers(of, wanted, instant), False, as_json)
        return
    if of.name != "ho166-plla":
        raise InputError(f"{of.name} is not ordered in vials that hepatica knows; known: glass, resin, ho166-plla")
    batch = delivery.holmium_batch(
        of,
        wanted,
        instant,
        specific_activity_mbq_mg=parse_quantity(specific_activity, "MBq/mg", "specific activity"),
    )
    _show(head | {
        "activity_at_shipping_gbq": batch.activity_at_shipping_gbq,
        "carrier_mass_mg": batch.mass_mg,
        "spheres_million": batch.spheres_million,
        "activity_per_sphere_bq": batch.activity_per_sphere_bq,
    }, as_json)  # fmt: skip


@vial.command("elution")
def elution(
    parent: Annotated[str, typer.Option(help="188W at the generator's calibration, '20 GBq'.")],
    calibration: Annotated[str, typer.Option(help="Of the generator, with zone.")],
    at: Annotated[list[str], typer.Option(help="Elution, with zone; repeat in order.")],
    efficiency: Annotated[str, typer.Option(help="Share of the 188Re that an elution takes.")] = "0.8",
    as_json: AsJson = False,
) -> None:
    """188Re from a 188W/188Re generator at each elution, with regrowth."""
    from hepatica.core.units import parse_fraction, parse_quantity, parse_time
    from hepatica.planning.delivery.vial import elution_schedule

    out = elution_schedule(
        parse_quantity(parent, "GBq", "activity of the generator"),
        parse_time(calibration, "calibration"),
        [parse_time(text, "elution") for text in at],
        efficiency=parse_fraction(efficiency, "elution efficiency"),
    )
    from hepatica.cli.plan_show import plain_table, print_json

    if as_json:
        print_json({"generator": "W-188/Re-188", "elutions": [e.as_dict() for e in out]})
        return
    from rich.console import Console

    table = plain_table()
    for name in ("elution", "188W GBq", "188Re before GBq", "eluted GBq"):
        table.add_column(name, justify="left" if name == "elution" else "right")
    for e in out:
        table.add_row(e.at.isoformat(), f"{e.parent_gbq:.2f}", f"{e.daughter_before_gbq:.2f}", f"{e.eluted_gbq:.2f}")
    Console(highlight=False, markup=False).print(table)


Texts = list[str]
"""An option that is repeated, once for each vial."""


@vial.command("delivered")
def delivered(
    nuclide: Annotated[str, typer.Option(help="Y-90, Ho-166, ...")],
    activity: Annotated[Texts, typer.Option(help="Calibrated activity of the vial, '3 GBq'; repeat for each vial.")],
    calibration: Annotated[Texts, typer.Option(help="Instant of that activity, with zone; once, or for each vial.")],
    before: Annotated[Texts, typer.Option(help="Reading of the vial before, '1200 uSv/h', background taken off.")],
    before_at: Annotated[Texts, typer.Option(help="Its instant; once, or for each vial.")],
    after: Annotated[Texts, typer.Option(help="Reading of the waste after, same geometry; for each vial.")],
    after_at: Annotated[Texts, typer.Option(help="Its instant; once, or for each vial.")],
    at: Annotated[Texts, typer.Option(help="Injection; once, or for each vial.")],
    activity_sd: Annotated[
        str, typer.Option(help="Relative uncertainty of the activity, the same error in all vials.")
    ] = "0.05",
    reading_sd: Annotated[str, typer.Option(help="Relative uncertainty of each reading.")] = "0.05",
    mass: Annotated[str | None, typer.Option(help="Perfused mass, for the delivered mean dose.")] = None,
    lsf: Annotated[str, typer.Option(help="Lung shunt fraction, for the dose.")] = "0",
    convention: Annotated[str, typer.Option(help="Dose constant.")] = "ensdf",
    agent: Annotated[str | None, typer.Option(help="Agent, to check nuclide and shelf life.")] = None,
    planned: Annotated[str | None, typer.Option(help="Activity that was planned to reach the patient.")] = None,
    as_json: AsJson = False,
) -> None:
    """Delivered activity from vial and waste readings, with uncertainty; with a mass, the delivered dose."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.nuclides import nuclide as by_name
    from hepatica.planning.delivery import vial as delivery
    from hepatica.planning.prescriptions.compartments import Partition
    from hepatica.planning.prescriptions.dose_constants import dose_constant

    of = by_name(nuclide)
    rel, rel_reading = parse_fraction(activity_sd, "uncertainty"), parse_fraction(reading_sd, "uncertainty")
    said = {"activity": activity, "before": before, "after": after}
    said |= {"calibration": calibration, "before-at": before_at, "after-at": after_at, "at": at}
    rows = _per_vial(said)
    vials = [delivery.delivered(_readings(row, rel, rel_reading), of.half_life_s) for row in rows]
    total = delivery.delivered_from_all(vials, shared_relative_sd=rel)
    spoken = _delivery_warnings(of, vials, rows, agent, planned)
    document: dict[str, Any] = {"nuclide": of.name} | vials[0].as_dict()
    if len(vials) > 1:
        in_vials = sum(v.vial_gbq.value for v in vials)
        document |= {
            "activity_delivered_gbq": total.value,
            "activity_delivered_gbq_sd": total.sd,
            "residual_fraction": 1 - total.value / in_vials,
            "residual_fraction_sd": sum((v.vial_gbq.value * (v.residual.sd or 0.0)) ** 2 for v in vials) ** 0.5
            / in_vials,
            "vial_at_injection_gbq": in_vials,
            "vials": [v.as_dict() for v in vials],
        }
    if mass is not None:
        target = Partition(parse_quantity(mass, "kg", "mass"), (), parse_fraction(lsf, "lung shunt fraction"))
        constant = dose_constant(of, convention)
        per = target.doses(1.0, constant)
        document |= {
            "dose_perfused_gy": total.value * (per.perfused_gy or 0.0),
            "dose_perfused_gy_sd_from_activity": None if total.sd is None else total.sd * (per.perfused_gy or 0.0),
            "dose_lung_gy": total.value * (per.lung_gy or 0.0),
            "convention": constant.convention,
            "dose_constant_j_per_gbq": constant.j_per_gbq,
        }
    from hepatica.cli.plan_show import print_warnings

    print_warnings(spoken)
    _show(document | ({"warnings": spoken} if as_json else {}), as_json)


def _per_vial(said: dict[str, Texts]) -> list[dict[str, str]]:
    """One value of every option for each vial; instants given once hold for all."""
    from hepatica.errors import InputError

    count = len(said["activity"])
    for name, texts in said.items():
        once = name in ("calibration", "before-at", "after-at", "at")
        if len(texts) != count and not (once and len(texts) == 1):
            rule = "once, or once for each vial" if once else "once for each vial"
            raise InputError(f"--{name} is given {len(texts)} times for {count} vials; give it {rule}")
    return [{name: texts[n if len(texts) > 1 else 0] for name, texts in said.items()} for n in range(count)]


def _readings(row: dict[str, str], relative_sd: float, reading_sd: float) -> Any:
    from hepatica.core import Estimate
    from hepatica.core.units import parse_quantity, parse_time
    from hepatica.planning.delivery.vial import VialReadings

    calibrated = parse_quantity(row["activity"], "GBq", "activity")
    first = parse_quantity(row["before"], "uSv/h", "reading before")
    last = parse_quantity(row["after"], "uSv/h", "reading after")
    return VialReadings(
        Estimate(calibrated, relative_sd * calibrated),
        parse_time(row["calibration"], "calibration"),
        Estimate(first, reading_sd * first),
        Estimate(last, reading_sd * last),
        parse_time(row["before-at"], "reading before"),
        parse_time(row["after-at"], "reading after"),
        parse_time(row["at"], "injection"),
    )


def _delivery_warnings(
    of: Any, vials: list[Any], rows: list[dict[str, str]], agent: str | None, planned: str | None
) -> list[str]:
    """What the guardrails on vials and delivery say, vial by vial and of all together."""
    from hepatica.core import seconds_between
    from hepatica.core.units import parse_quantity, parse_time
    from hepatica.nuclides import agent as by_name
    from hepatica.planning.guardrails import Situation, check

    carrier = by_name(agent) if agent is not None else None
    shelf = carrier.facts["shelf_life_h"].value if carrier and "shelf_life_h" in carrier.facts else None
    wanted = None if planned is None else parse_quantity(planned, "GBq", "planned activity")
    total = sum(v.activity_gbq.value for v in vials)
    spoken: list[str] = []
    for number, (out, row) in enumerate(zip(vials, rows, strict=True), 1):
        hours = seconds_between(parse_time(row["calibration"]), parse_time(row["at"])) / 3600
        situation = Situation(
            agent=carrier.name if carrier else None,
            agent_nuclide=carrier.nuclide_name if carrier else None,
            nuclide=of.name,
            hours_after_calibration=hours,
            shelf_life_h=shelf if isinstance(shelf, float) else None,
            residual_measured=out.residual.value,
            delivered_over_planned=None if wanted is None or number > 1 else total / wanted,
        )
        where = f" (vial {number})" if len(vials) > 1 else ""
        warned = [w for w in check(situation).warned if w.id != "resin-standard"]
        of_all = ("delivered-less", "delivered-more")
        spoken += [f"{w.severity}: {w.message} [{w.id}]{'' if w.id in of_all else where}" for w in warned]
    return spoken


def _show(document: dict[str, Any], as_json: bool) -> None:
    from hepatica.cli.plan_show import print_json

    if as_json:
        print_json(document)
        return
    for n, one in enumerate(document.pop("vials", ()), 1):
        typer.echo(f"{f'vial {n}':<36}{one['activity_delivered_gbq']:.4g} of {one['vial_at_injection_gbq']:.4g} GBq")
    for name, value in document.items():
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        typer.echo(f"{name.replace('_', ' '):<36}{text}")


def _show_offers(head: dict[str, Any], offers: Any, combined: bool, as_json: bool) -> None:
    from hepatica.cli.plan_show import plain_table, print_json

    if as_json:
        print_json(head | {"several_vials_together": combined, "vials": [offer.as_dict() for offer in offers]})
        return
    from rich.console import Console

    table = plain_table(f"{head['agent']}: {head['activity_gbq']:.3g} GBq needed at {head['injection']}")
    columns: dict[str, Any] = {
        "GBq": lambda v: f"{v.nominal_gbq:g}",
        "calibration": lambda v: v.calibration.strftime("%a %d %b %H:%M %z"),
        "h after": lambda v: f"{v.hours_after_calibration:.0f}",
        "now GBq": lambda v: f"{v.activity_gbq:.3f}",
        "M spheres": lambda v: f"{v.spheres_million:.3g}",
        "Bq each": lambda v: f"{v.activity_per_sphere_bq:.0f}",
    }
    if offers[0].spheres_per_ml is not None:
        columns["per mL"] = lambda v: f"{v.spheres_per_ml:.0f}"
    if offers[0].draw_ml is None:
        columns["off"] = lambda v: f"{v.deviation:+.1%}"
    else:
        columns["draw mL"] = lambda v: f"{v.draw_ml:.2f}"
    for name in columns:
        table.add_column(name, justify="left" if name == "calibration" else "right")
    for v in offers:
        table.add_row(*(text(v) for text in columns.values()))
    Console(highlight=False, markup=False).print(table)
    if combined:
        typer.echo("no single vial comes close: order these together")
