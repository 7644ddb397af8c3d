"""``hepatica plan``: a whole plan from a TOML file, or one prescription from its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hepatica.errors import InputError


class _PlanGroup(TyperGroup):
    """A first word that ends in .toml is a plan file; anything else must be a method."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].lower().endswith(".toml"):
            args = ["file", *args]
        return list(super().parse_args(ctx, args))


plan = typer.Typer(
    cls=_PlanGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Prescribe an activity: `hepatica plan PLAN.toml` for a whole plan, or one method from its numbers.",
)

Agent = Annotated[str | None, typer.Option(help="Agent, such as glass, resin, QuiremSpheres (`hepatica agents`).")]
NuclideName = Annotated[str | None, typer.Option("--nuclide", help="Nuclide, where no agent fits.")]
Convention = Annotated[
    str | None, typer.Option(help="Dose constant: label, mird, ensdf, ...; the method's own if not given.")
]
Lsf = Annotated[str, typer.Option(help="Lung shunt fraction: 0.05 or '5 %'.")]
Residual = Annotated[str, typer.Option(help="Share that stays in vial and tubing: 0.02 or '2 %'.")]
LungMass = Annotated[str | None, typer.Option(help="Lung mass; 1 kg is assumed without.")]
PreviousLung = Annotated[list[str] | None, typer.Option(help="Lung dose of an earlier treatment, '5 Gy'; repeat.")]
TumourMasses = Annotated[list[str] | None, typer.Option("--tumour-mass", help="Mass of a tumour; repeat for several.")]
Ratios = Annotated[list[float] | None, typer.Option("--tn", help="Tumour-to-normal ratio, one per tumour mass.")]
Intent = Annotated[
    str | None, typer.Option(help="segmentectomy, lobectomy, unilobar, bilobar or whole-liver: which limits apply.")
]
Indication = Annotated[str | None, typer.Option(help="HCC, ICC, mCRC or other: which targets apply.")]
Bilirubin = Annotated[str | None, typer.Option(help="Total bilirubin, '1.2 mg/dL'.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _carrier(method: str, agent: str | None, nuclide: str | None, convention: str | None, default: str | None) -> Any:
    from hepatica.planning.prescriptions.dose_constants import carrier

    if agent is None and nuclide is None:
        agent = default
    return carrier(method, agent_name=agent, nuclide_name=nuclide, convention=convention)


def _target(
    normal_kg: float,
    lsf: str,
    lung_mass: str | None,
    tumour_mass: list[str] | None,
    tn: list[float] | None,
) -> Any:
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.prescriptions.compartments import Partition, lesions_from

    masses = [parse_quantity(text, "kg", "tumour mass") for text in tumour_mass or []]
    lung = 1.0 if lung_mass is None else parse_quantity(lung_mass, "kg", "lung mass")
    return Partition(normal_kg, lesions_from(masses, tn or []), parse_fraction(lsf, "lung shunt fraction"), lung)


def _patient(
    intent: str | None,
    indication: str | None,
    bilirubin: str | None,
    lung_mass: str | None,
    previous: list[str] | None,
) -> Any:
    from hepatica.core.units import parse_quantity
    from hepatica.planning.limits.assess import Patient

    return Patient(
        intent=intent,
        indication=indication,
        bilirubin_mg_dl=None if bilirubin is None else parse_quantity(bilirubin, "mg/dL", "bilirubin"),
        lung_mass_measured=lung_mass is not None,
        previous_lung_doses_gy=tuple(parse_quantity(text, "Gy", "previous lung dose") for text in previous or []),
    )


def _mass_kg(mass: str | None, volume: str | None, of: Any) -> float:
    """Mass, or volume times the density that the agent's label takes."""
    from hepatica.core.units import parse_quantity
    from hepatica.planning.limits.assess import LIVER_DENSITY_G_ML

    if (mass is None) == (volume is None):
        raise InputError("give either --mass or --volume of what is perfused")
    if mass is not None:
        return parse_quantity(mass, "kg", "mass")
    density = LIVER_DENSITY_G_ML
    if of.agent is not None and "liver_density_g_ml" in of.agent.facts:
        density = float(of.agent.facts["liver_density_g_ml"].value)
    return parse_quantity(volume or "", "mL", "volume") * density / 1000


def _print(assessed: Any, as_json: bool) -> None:
    from hepatica.cli.plan_show import print_assessed

    print_assessed(assessed, as_json)


@plan.command("mird")
def mird(
    dose: Annotated[
        str | None,
        typer.Option(help="Mean dose to the perfused volume, '120 Gy'; without, the guideline's for --intent."),
    ] = None,
    mass: Annotated[str | None, typer.Option(help="Perfused mass, tumour included, '1.5 kg'.")] = None,
    volume: Annotated[str | None, typer.Option(help="Perfused volume instead of a mass, '1450 mL'.")] = None,
    agent: Agent = None,
    nuclide: NuclideName = None,
    lsf: Lsf = "0",
    residual: Residual = "0",
    lung_mass: LungMass = None,
    tumour_mass: TumourMasses = None,
    tn: Ratios = None,
    convention: Convention = None,
    intent: Intent = None,
    indication: Indication = None,
    bilirubin: Bilirubin = None,
    previous_lung_dose: PreviousLung = None,
    as_json: AsJson = False,
) -> None:
    """Single compartment: A = D M / (K (1 - LSF) (1 - R)); with tumours and T/N the dose is shared out."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import microspheres as prescriptions

    of = _carrier("mird", agent, nuclide, convention, None)
    whole = _target(_mass_kg(mass, volume, of), lsf, lung_mass, None, None)
    target = whole
    if tumour_mass:
        tumours = [parse_quantity(text, "kg", "tumour mass") for text in tumour_mass]
        normal = whole.normal_mass_kg - sum(tumours)
        if normal < 0:
            raise InputError("the tumours weigh more than the perfused mass, which must include them")
        target = _target(normal, lsf, lung_mass, tumour_mass, tn)
    gray, note = _dose_or_target(dose, of, intent, indication)
    out = prescriptions.mird(gray, target, of.constant, residual=parse_fraction(residual, "residual")).warned(*note)
    patient = _patient(intent, indication, bilirubin, lung_mass, previous_lung_dose)
    _print(assess(out, of, target=target, patient=patient), as_json)


@plan.command("bsa")
def bsa(
    height: Annotated[str, typer.Option(help="'1.75 m'.")],
    weight: Annotated[str, typer.Option(help="'75 kg'.")],
    involvement: Annotated[str, typer.Option(help="Tumour share of the liver (of the lobe with --lobe-share): 0.2.")],
    lobe_share: Annotated[
        str | None, typer.Option(help="Lobe's share of the liver's volume: the lobar rule is used.")
    ] = None,
    agent: Agent = None,
    lsf: Lsf = "0",
    residual: Residual = "0",
    normal_mass: Annotated[str | None, typer.Option(help="Perfused normal liver, for the doses.")] = None,
    tumour_mass: TumourMasses = None,
    tn: Ratios = None,
    lung_mass: LungMass = None,
    convention: Convention = None,
    intent: Intent = None,
    indication: Indication = None,
    bilirubin: Bilirubin = None,
    previous_lung_dose: PreviousLung = None,
    as_json: AsJson = False,
) -> None:
    """Body surface area (resin): A = BSA - 0.2 + V_tumour/V_liver, reduced by lung shunt; lobar with --lobe-share."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import microspheres as prescriptions

    of = _carrier("bsa", agent, None, convention, "resin")
    h, w = parse_quantity(height, "m", "height"), parse_quantity(weight, "kg", "weight")
    share = parse_fraction(involvement, "involvement")
    options = {"lung_shunt": parse_fraction(lsf, "LSF"), "residual": parse_fraction(residual, "residual")}
    if lobe_share is None:
        out = prescriptions.bsa(h, w, share, of.constant, **options)
    else:
        lobe = parse_fraction(lobe_share, "lobe share")
        volumes = prescriptions.LobeVolumes(share * lobe, lobe, 1.0)
        out = prescriptions.bsa_lobar(h, w, volumes, of.constant, **options)
    target = None
    if normal_mass is not None:
        target = _target(parse_quantity(normal_mass, "kg", "normal mass"), lsf, lung_mass, tumour_mass, tn)
        out = prescriptions.with_doses(out, target)
    patient = _patient(intent, indication, bilirubin, lung_mass, previous_lung_dose)
    _print(assess(out, of, target=target, patient=patient), as_json)


@plan.command("empiric")
def empiric(
    involvement: Annotated[str, typer.Option(help="Tumour share of the liver: 0.2 or '20 %'.")],
    treated_share: Annotated[str, typer.Option(help="Share of the liver that is treated.")] = "1",
    agent: Agent = None,
    lsf: Lsf = "0",
    residual: Residual = "0",
    convention: Convention = None,
    as_json: AsJson = False,
) -> None:
    """Empiric (resin, historical): 2.0, 2.5 or 3.0 GBq by involvement, reduced by lung shunt."""
    from hepatica.core.units import parse_fraction
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import microspheres as prescriptions

    of = _carrier("empiric", agent, None, convention, "resin")
    out = prescriptions.empiric(
        parse_fraction(involvement, "involvement"),
        of.constant,
        target_share=parse_fraction(treated_share, "share treated"),
        lung_shunt=parse_fraction(lsf, "lung shunt fraction"),
        residual=parse_fraction(residual, "residual"),
    )
    _print(assess(out, of), as_json)


@plan.command("partition")
def partition(
    tumour_mass: TumourMasses,
    tn: Ratios,
    normal_mass: Annotated[str, typer.Option(help="Perfused normal liver, '1.3 kg'.")],
    normal_limit: Annotated[str | None, typer.Option(help="Aim: mean dose to normal liver, '40 Gy'.")] = None,
    tumour_dose: Annotated[str | None, typer.Option(help="Aim: mean dose over all tumours, '120 Gy'.")] = None,
    activity: Annotated[str | None, typer.Option(help="Aim: activity in the vial, '2 GBq'.")] = None,
    lung_limit: Annotated[str | None, typer.Option(help="Cap: lower the activity until lungs get no more.")] = None,
    agent: Agent = None,
    nuclide: NuclideName = None,
    lsf: Lsf = "0",
    residual: Residual = "0",
    lung_mass: LungMass = None,
    convention: Convention = None,
    intent: Intent = None,
    indication: Indication = None,
    bilirubin: Bilirubin = None,
    previous_lung_dose: PreviousLung = None,
    as_json: AsJson = False,
) -> None:
    """Partition: normal liver, tumours with their T/N (activity per mass), lungs; one aim of three."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import microspheres as prescriptions

    of = _carrier("partition", agent, nuclide, convention, "resin")
    target = _target(parse_quantity(normal_mass, "kg", "normal mass"), lsf, lung_mass, tumour_mass, tn)
    out = prescriptions.partition(
        target,
        of.constant,
        normal_limit_gy=_optional(normal_limit, "Gy", "limit of normal liver"),
        tumour_dose_gy=_optional(tumour_dose, "Gy", "tumour dose"),
        activity_gbq=_optional(activity, "GBq", "activity"),
        lung_limit_gy=_optional(lung_limit, "Gy", "lung limit"),
        residual=parse_fraction(residual, "residual"),
    )
    patient = _patient(intent, indication, bilirubin, lung_mass, previous_lung_dose)
    _print(assess(out, of, target=target, patient=patient), as_json)


@plan.command("activity-ratio")
def activity_ratio(
    tumour_mass: Annotated[str, typer.Option(help="Tumour mass, '200 g'.")],
    normal_mass: Annotated[str, typer.Option(help="Perfused normal liver, '1.3 kg'.")],
    ratio: Annotated[float, typer.Option(help="R = A_tumour / A_normal, a ratio of activities, not T/N.")],
    tlsf: Annotated[str, typer.Option(help="Tumour-to-lung shunt A_lung / (A_tumour + A_lung), not LSF.")] = "0",
    normal_limit: Annotated[str | None, typer.Option(help="Aim: mean dose to normal liver, '40 Gy'.")] = None,
    tumour_dose: Annotated[str | None, typer.Option(help="Aim: mean dose to tumour, '120 Gy'.")] = None,
    activity: Annotated[str | None, typer.Option(help="Aim: activity in the vial, '2 GBq'.")] = None,
    agent: Agent = None,
    nuclide: NuclideName = None,
    residual: Residual = "0",
    lung_mass: LungMass = None,
    convention: Convention = None,
    as_json: AsJson = False,
) -> None:
    """Artery-specific partition by activity ratios (Kao): R and TLSF in place of T/N and LSF."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import microspheres as prescriptions
    from hepatica.planning.prescriptions.compartments import ActivityRatioPartition

    of = _carrier("activity-ratio", agent, nuclide, convention, "resin")
    model = ActivityRatioPartition(
        ratio,
        parse_fraction(tlsf, "tumour-to-lung shunt"),
        parse_quantity(tumour_mass, "kg", "tumour mass"),
        parse_quantity(normal_mass, "kg", "normal mass"),
        1.0 if lung_mass is None else parse_quantity(lung_mass, "kg", "lung mass"),
    )
    out = prescriptions.activity_ratio(
        model,
        of.constant,
        normal_limit_gy=_optional(normal_limit, "Gy", "limit of normal liver"),
        tumour_dose_gy=_optional(tumour_dose, "Gy", "tumour dose"),
        activity_gbq=_optional(activity, "GBq", "activity"),
        residual=parse_fraction(residual, "residual"),
    )
    _print(assess(out, of, target=model.partition()), as_json)


@plan.command("holmium")
def holmium(
    mass: Annotated[str | None, typer.Option(help="Perfused liver, tumour included, '1.5 kg'.")] = None,
    dose: Annotated[str, typer.Option(help="Mean dose, '60 Gy'.")] = "60 Gy",
    volume: Annotated[str | None, typer.Option(help="Perfused volume instead of a mass, '1450 mL'.")] = None,
    agent: Agent = None,
    lsf: Lsf = "0",
    residual: Residual = "0",
    lung_mass: LungMass = None,
    convention: Convention = None,
    intent: Intent = None,
    indication: Indication = None,
    as_json: AsJson = False,
) -> None:
    """166Ho whole or perfused liver: A = D M / 15.87 J/GBq (63 MBq per Gy kg)."""
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import microspheres as prescriptions

    of = _carrier("holmium", agent, None, convention, "ho166-plla")
    target = _target(_mass_kg(mass, volume, of), lsf, lung_mass, None, None)
    out = prescriptions.holmium(
        parse_quantity(dose, "Gy", "dose"), target, of.constant, residual=parse_fraction(residual, "residual")
    )
    _print(assess(out, of, target=target, patient=_patient(intent, indication, None, lung_mass, None)), as_json)


@plan.command("lipiodol")
def lipiodol(
    uptake: Annotated[
        list[str],
        typer.Option(
            help="Organ:share:mass[:effective half-life[:limit]], 'lungs:9 %:1 kg:12 h:12 Gy'; names that start with "
            "'tumour' are lesions; repeat."
        ),
    ],
    agent: Agent = None,
    activity: Annotated[str | None, typer.Option(help="Fixed activity; without, organ limits set it.")] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="The label's fixed 2.22 GBq of 131I-lipiodol.")] = False,
    residual: Residual = "0",
    convention: Convention = None,
    as_json: AsJson = False,
) -> None:
    """Lipiodol: fixed activity, or the activity at which the first organ reaches its limit, from scout uptake."""
    from hepatica.core.units import parse_fraction
    from hepatica.planning.limits.assess import assess
    from hepatica.planning.prescriptions import lipiodol as rules

    organs = [_organ(text) for text in uptake]
    rest = parse_fraction(residual, "residual")
    if fixed or activity is not None:
        of = _carrier("fixed", agent, None, convention, "i131-lipiodol")
        given = rules.FIXED_I131_GBQ if activity is None else (_optional(activity, "GBq", "activity") or 0.0)
        out = rules.fixed_activity(organs, of.constant, activity_gbq=given, residual=rest)
    else:
        of = _carrier("organ-limit", agent, None, convention, "re188-dedc-lipiodol")
        out = rules.organ_limited(organs, of.constant, residual=rest)
    _print(assess(out, of), as_json)


def _organ(text: str) -> Any:
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.planning.prescriptions.lipiodol import OrganUptake

    parts = [part.strip() for part in text.split(":")]
    if not 3 <= len(parts) <= 5:
        raise InputError(f"uptake {text!r}: write organ:share:mass[:effective half-life[:limit]]")
    name, share, mass, *rest = parts
    half_life = parse_quantity(rest[0], "s", f"half-life in {name}") if rest and rest[0] else None
    limit = parse_quantity(rest[1], "Gy", f"limit of {name}") if len(rest) > 1 else None
    return OrganUptake(
        name, parse_fraction(share, f"share in {name}"), parse_quantity(mass, "kg", f"mass of {name}"), half_life, limit
    )


def _dose_or_target(
    dose: str | None, of: Any, intent: str | None, indication: str | None
) -> tuple[float, tuple[str, ...]]:
    """The dose given, or the one that the guideline states for the intent, and then a note that says so."""
    from hepatica.core.units import parse_quantity
    from hepatica.planning.limits.dose_limits import intent_target

    if dose is not None:
        return parse_quantity(dose, "Gy", "dose"), ()
    if intent is None:
        raise InputError("give --dose, or --intent segmentectomy or lobectomy for the guideline's dose")
    row = intent_target(of.name, intent, indication)
    return row.value, (f"dose of {row.value:g} Gy taken for {intent}: {row.text} ({row.source})",)


def _optional(text: str | None, unit: str, what: str) -> float | None:
    from hepatica.core.units import parse_quantity

    return None if text is None else parse_quantity(text, unit, what)


@plan.command("init")
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("plan.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented plan file to fill in."""
    from hepatica.errors import OutputError
    from hepatica.io.files import atomic_output
    from hepatica.workflow.planning.plan import TEMPLATE

    if path.exists() and not force:
        raise OutputError(f"{path} exists; give another name, or --force to replace it")
    with atomic_output(path) as new:
        new.write_text(TEMPLATE, encoding="utf-8")
    typer.echo(f"wrote {path}; fill it in, then run: hepatica plan {path}", err=True)


@plan.command("file", hidden=True)
def file(
    path: Annotated[Path, typer.Argument(help="Plan file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Folder for plan.html, plan.pdf and plan.json.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a plan file: every applicable method side by side, limits, guardrails, chances."""
    from hepatica.cli.plan_show import print_course, print_json, print_voxels
    from hepatica.workflow.planning.plan import run_plan

    answer, document = run_plan(path, out, force=force)
    if as_json:
        print_json(document)
    else:
        print_course(answer)
        if document["voxel_plan"] is not None:
            print_voxels(document["voxel_plan"])
    if out is not None:
        typer.echo(f"wrote {out}", err=True)


@plan.command("guardrails")
def guardrails(as_json: AsJson = False) -> None:
    """List all guardrails: id, severity, what they need, what they say."""
    from hepatica.cli.plan_show import plain_table, print_json
    from hepatica.planning.guardrails import GUARDRAILS

    if as_json:
        print_json(
            [
                {"id": g.id, "severity": g.severity, "needs": list(g.needs), "advice": g.advice, "source": g.source}
                for g in GUARDRAILS
            ]
        )
        return
    from rich.console import Console

    table = plain_table()
    for head in ("id", "severity", "facts it needs", "what it says"):
        table.add_column(head)
    for g in GUARDRAILS:
        table.add_row(g.id, g.severity, ", ".join(g.needs), g.advice)
    Console(highlight=False, markup=False).print(table)
