"""``hepatica phantom``: a virtual patient, or a cohort of them, as DICOM with the truth beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepatica.errors import InputError

if TYPE_CHECKING:
    from hepatica.anatomy.virtual_patient import Treatment, Tumour
    from hepatica.workflow.phantom import PhantomFiles

DEFAULT_ACTIVITY = {"Y-90": "2.6 GBq", "Tc-99m": "150 MBq", "Ho-166": "6 GBq", "I-131": "2.22 GBq", "Re-188": "4 GBq"}
"""Where --activity is not given; other nuclides need it."""

SECTIONS = 3


def phantom(
    out: Annotated[Path, typer.Option(help="New folder for DICOM, truth, arteries, patient.json and patient.png.")],
    seed: Annotated[int, typer.Option(help="One seed, one patient; of a cohort: of its table's draws.")] = 7,
    sex: Annotated[str, typer.Option(help="Reference adult: male or female.")] = "male",
    spacing: Annotated[str, typer.Option(help="Voxel size: '2.5 mm', or three: '1 x 1 x 3 mm'.")] = "2.5 mm",
    size: Annotated[float, typer.Option(help="Linear size relative to the reference adult.")] = 1.0,
    liver: Annotated[str | None, typer.Option(help="Volume of the liver with its tumours: '1.5 L'.")] = None,
    tumours: Annotated[int, typer.Option(help="Number of tumours, placed at random.")] = 3,
    tumour: Annotated[
        list[str] | None,
        typer.Option(help="One tumour, in place of --tumours: '45 mm', '45 mm, segment 8, necrosis 20 %'. Repeatable."),
    ] = None,
    cirrhosis: Annotated[bool, typer.Option(help="Shrunken nodular liver, large spleen.")] = False,
    variant: Annotated[str, typer.Option(help="Arteries: normal, replaced right, accessory left, ...")] = "normal",
    contrast: Annotated[str, typer.Option(help="Phase of the CT: none or portal.")] = "none",
    noise: Annotated[float, typer.Option(help="Noise of the CT, HU.")] = 12.0,
    neck: Annotated[bool, typer.Option(help="Field up to the thyroid.")] = False,
    nuclide: Annotated[str | None, typer.Option(help="What was given; by default the agent's, or Y-90.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="Its carrier; by default the first that carries the nuclide.")
    ] = None,
    activity: Annotated[str | None, typer.Option(help="Administered: '2.6 GBq'.")] = None,
    catheter: Annotated[
        list[str] | None,
        typer.Option(help="Branch it was given through: 'right hepatic', 'segment 6', 'segment 6 = 40 %'. Repeatable."),
    ] = None,
    lung_shunt: Annotated[str, typer.Option(help="Share that reaches the lungs: '5 %'.")] = "5 %",
    tn: Annotated[float, typer.Option(help="Tumour-to-normal ratio of concentrations.")] = 4.0,
    reflux: Annotated[
        list[str] | None,
        typer.Option(help="'gastroduodenal = 2 %', 'right gastric = 1 %', 'cystic = 1 %'. Repeatable."),
    ] = None,
    scan_after: Annotated[str, typer.Option(help="From the administration to the emission image.")] = "20 h",
    cohort: Annotated[int | None, typer.Option(help="Write so many patients with everything varied.")] = None,
    force: Annotated[bool, typer.Option(help="Replace the folder if it is there.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make a virtual patient with known anatomy, arteries and activity, and write it as DICOM and NIfTI."""
    from datetime import timedelta

    from hepatica.anatomy.virtual_patient import PatientSettings
    from hepatica.cli.show import progress, refuse_existing
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.workflow.phantom import write_cohort, write_patient

    refuse_existing(out, force=force)
    treatment = _treatment(
        nuclide,
        agent,
        activity,
        catheter or ["right hepatic"],
        parse_fraction(lung_shunt, "--lung-shunt"),
        tn,
        reflux or [],
    )
    settings = PatientSettings(
        seed=seed,
        sex=sex,
        spacing_mm=_spacing_mm(spacing),
        size=size,
        liver_ml=None if liver is None else parse_quantity(liver, "mL", "--liver"),
        tumours=[_tumour(text) for text in tumour] if tumour else tumours,
        cirrhosis=cirrhosis,
        variant=variant,
        contrast=contrast,
        noise_hu=noise,
        neck=neck,
        treatment=treatment,
    )
    after = timedelta(seconds=parse_quantity(scan_after, "s", "--scan-after"))
    with progress() as tell:
        if cohort is None:
            made = [write_patient(out, settings, scan_after=after, force=force, tell=tell)]
        else:
            made = write_cohort(out, cohort, seed=seed, like=settings, scan_after=after, force=force, tell=tell)
    if json_output:
        _print_json(out, made, cohort is not None)
    else:
        _print(out, made, cohort is not None)


def _treatment(
    nuclide_name: str | None,
    agent_name: str | None,
    activity: str | None,
    catheters: list[str],
    lung_shunt: float,
    ratio: float,
    reflux: list[str],
) -> Treatment:
    from hepatica.anatomy.virtual_patient import Treatment
    from hepatica.core.units import parse_fraction, parse_quantity
    from hepatica.nuclides import agent, nuclide
    from hepatica.workflow.phantom import agent_for

    carried = nuclide(nuclide_name or (agent(agent_name).nuclide_name if agent_name else "Y-90")).name
    text = activity or DEFAULT_ACTIVITY.get(carried)
    if text is None:
        raise InputError(f"give the activity of {carried}: --activity '1 GBq'")
    places = [_assigned(place, "--catheter") for place in catheters]
    shares = {name: share for name, share in places if share}
    if shares and len(shares) < len(places):
        raise InputError("--catheter: give a share for every catheter, or for none")
    return Treatment(
        nuclide=carried,
        agent=agent_name or agent_for(carried),
        activity_bq=parse_quantity(text, "Bq", "--activity"),
        catheters={name: parse_fraction(share, "--catheter") for name, share in shares.items()}
        or tuple(name for name, _ in places),
        lung_shunt=lung_shunt,
        tumour_to_normal=ratio,
        reflux={
            name: parse_fraction(share or "", "--reflux") for name, share in (_assigned(r, "--reflux") for r in reflux)
        },
    )


def _assigned(text: str, option: str) -> tuple[str, str | None]:
    """'name = share' or 'name'."""
    name, sign, share = (part.strip() for part in text.partition("="))
    if not name or (sign and not share):
        raise InputError(f"{option}: {text!r} should be a branch, or 'branch = share'")
    return name, share or None


def _spacing_mm(text: str) -> float | tuple[float, float, float]:
    from hepatica.core.units import parse_quantity

    numbers = re.split(r"\s*[x×]\s*", text.strip())
    if len(numbers) == 1:
        return parse_quantity(text, "mm", "--spacing")
    unit = re.sub(r"[\d.\s]", "", numbers[-1])
    if len(numbers) != SECTIONS:
        raise InputError(f"--spacing: {text!r} should be one length or three, such as '1 x 1 x 3 mm'")
    i, j, k = (parse_quantity(n if n.endswith(unit) and unit else f"{n} {unit}", "mm", "--spacing") for n in numbers)
    return i, j, k


def _tumour(text: str) -> Tumour:
    """'45 mm, segment 8, necrosis 20 %' with the last two optional."""
    from hepatica.anatomy.virtual_patient import Tumour
    from hepatica.core.units import parse_fraction, parse_quantity

    diameter, *more = (part.strip() for part in text.split(","))
    segment, necrosis = None, 0.0
    for part in more:
        word, _, value = part.partition(" ")
        if word == "segment" and value.strip().isdigit():
            segment = int(value)
        elif word == "necrosis":
            necrosis = parse_fraction(value, "--tumour: necrosis")
        else:
            raise InputError(f"--tumour: {part!r} should be 'segment 8' or 'necrosis 20 %'")
    return Tumour(parse_quantity(diameter, "mm", "--tumour"), segment, necrosis)


def _print_json(out: Path, made: list[PhantomFiles], several: bool) -> None:
    import json

    from hepatica.workflow.phantom import summary

    document: dict[str, Any] = {"out": str(out)}
    document |= {"patients": [summary(one) for one in made]} if several else made[0].truth
    typer.echo(json.dumps(document, indent=1))


def _print(out: Path, made: list[PhantomFiles], several: bool) -> None:
    from hepatica.cli.printing import print_table
    from hepatica.report.document import NOT_A_DEVICE
    from hepatica.workflow.phantom import summary

    if several:
        rows = [summary(one) for one in made]
        columns = (
            "patient",
            "sex",
            "variant",
            "liver_ml",
            "tumours",
            "tumour_ml",
            "activity_gbq",
            "perfused_ml",
            "lung_shunt",
        )
        header = ("patient", "sex", "arteries", "liver mL", "tumours", "mL", "GBq", "perfused mL", "shunt")
        print_table(f"Cohort of {len(rows)} virtual patients", header, [[row[c] for c in columns] for row in rows])
        typer.echo(f"Written to {out}; all of it in {out / 'cohort.csv'}")
    else:
        patient, truth = made[0].patient, made[0].truth
        shown = [
            "liver",
            "lobe left",
            "lobe right",
            *(f"segment {n}" for n in range(1, 9)),
            "lung left",
            "lung right",
            "spleen",
        ]
        shown += [t.name for t in patient.tumours]
        found = [(name, truth["structures"][name]) for name in shown if name in truth["structures"]]
        rows_ = [[n, s["volume_ml"], s["mass_g"], s["activity_bq"] / 1e6, 100 * s["activity_share"]] for n, s in found]
        typer.echo(repr(patient).strip("<>"))
        print_table("The truth", ("structure", "mL", "g", "MBq", "% of activity"), rows_)
        arteries = truth["arteries"]
        typer.echo(f"Arteries: {arteries['variant']}, {arteries['end_branches']} ends; {', '.join(patient.tree.names)}")
        typer.echo(
            f"Written to {out}: ct, emission, rtstruct.dcm, seg.dcm, truth, arteries.vtk, patient.json, patient.png"
        )
    typer.echo(f"{NOT_A_DEVICE}.")
