"""A dose result as the report prints it."""

from __future__ import annotations

from datetime import datetime

from hepatica.core import Volume
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.image import Image
from hepatica.core.numbers import percent, three
from hepatica.dosimetry.time.integration import TRAPPED
from hepatica.nuclides import agent, nuclide
from hepatica.report import DoseReport, Fact, FurtherTable, ImageUsed
from hepatica.workflow.dose.numbers import DoseNumbers

UNCERTAINTY_NOTE = (
    "Standard uncertainties (k = 1) by the EANM guidance (Gear et al. 2018); outline, recovery, camera factor and time "
    "integration, as far as they are known; a dash is what is not known and not in the totals."
)


def dose_report(result: DoseNumbers) -> DoseReport:
    """Everything that HTML, PDF and CSV print."""
    ct = result.ct.volume
    frame = result.dose.grid.frame_of_reference
    return DoseReport(
        dose=result.dose,
        regions=result.report_regions(),
        ct=Volume(ct.grid.with_frame_of_reference(frame), ct.values, ct.kind, ct.time, ct.name),
        decays=result.dose_map.decays,
        patient=_patient(result),
        treatment=_treatment(result),
        method=_method(result),
        conventions=tuple(Fact(name, text) for name, text in result.provenance.conventions.items()),
        images=tuple(
            [_image("Activity", image) for image in result.activity]
            + [_image("CT", result.ct)]
            + ([ImageUsed("Structures", result.drawn.source.path, "", "", "")] if result.drawn.source else [])
        ),
        limits=result.limits,
        further=_further(result),
        messages=result.messages,
        provenance=result.provenance.as_document(),
        created=datetime.now().astimezone(),
    )


def _further(result: DoseNumbers) -> tuple[FurtherTable, ...]:
    table = result.uncertainty_table()
    if table is None:
        return ()
    columns = tuple(column.replace(", ", "\n") for column in table.columns)
    return (FurtherTable(table.title, columns, table.rows, UNCERTAINTY_NOTE),)


def _patient(result: DoseNumbers) -> tuple[Fact, ...]:
    context = result.context
    if context is None:
        return (Fact("Patient", "not stated (the images are not DICOM)"),)
    born = context.birth_date
    return _stated(
        ("Name", context.patient_name.replace("^", " ").strip()),
        ("ID", context.patient_id),
        ("Born", f"{born[:4]}-{born[4:6]}-{born[6:8]}" if len(born) == len("19610102") else born),
        ("Sex", context.sex),
        ("Study", context.study_description or context.study_id),
        ("Accession", context.accession),
    )


def _treatment(result: DoseNumbers) -> tuple[Fact, ...]:
    facts, options, count = result.activity[0].acquisition, result.given.quantification, result.count
    name = result.given.clinical.agent
    given = options.administered_bq or facts.administered_bq
    when = options.administered_at or facts.administered_at
    found = f"{three(result.activity_in_image_mbq)} MBq"
    if count.expected_bq:
        found += f" ({percent(100 * count.activity_in_image_bq / count.expected_bq)} % of what should be in view)"
    return _stated(
        ("Nuclide", nuclide(result.nuclide).label),
        ("Agent", "" if name is None else agent(name).name),
        ("Administered", "" if given is None else f"{three(given / 1e6)} MBq"),
        ("Administered at", "" if when is None else f"{when:%Y-%m-%d %H:%M}"),
        ("Activity in the image", found),
        ("Lung shunt", f"{percent(100 * options.lung_shunt)} %" if options.lung_shunt else ""),
        ("Residual", f"{percent(100 * options.residual)} %" if options.residual else ""),
    )


def _method(result: DoseNumbers) -> tuple[Fact, ...]:
    balance = result.dose_map.energy_balance
    share = 100 / balance.emitted_j
    half_life = result.given.time.effective_half_life_s
    curve = result.count.curve
    if curve is not None:
        fitted = ", ".join(f"{three(value / SECONDS_PER_HOUR)} h" for value in curve.half_lives_s)
        integration = f"{curve.model}-exponential curve through {len(result.activity)} images, half-life {fitted}"
    else:
        integration = TRAPPED if half_life is None else f"effective half-life {three(half_life / SECONDS_PER_HOUR)} h"
    energy = (
        f"{three(balance.emitted_j)} J: {percent(balance.deposited_j * share)} % deposited, "
        f"{percent(balance.in_air_j * share)} % in air, {percent(balance.outside_j * share)} % left the image, "
        f"{percent(balance.left_out_j * share)} % left out"
    )
    return _stated(
        ("Dose engine", result.engine),
        ("Dose grid", repr(result.dose.grid)),
        ("Time integration", integration),
        ("Highest voxel dose", f"{three(float(result.dose.values.max()))} Gy"),
        ("Energy emitted", energy),
    )


def _image(role: str, image: Image) -> ImageUsed:
    facts, volume = image.acquisition, image.volume
    words = " ".join(filter(None, (facts.modality, facts.description, facts.scanner))) or image.name
    when = "" if volume.time is None else f"{volume.time:%Y-%m-%d %H:%M:%S}"
    size = " x ".join(map(str, volume.grid.shape))
    spacing = " x ".join(three(s) for s in volume.grid.spacing_mm)
    return ImageUsed(role, words, volume.kind.unit, when, f"{size} of {spacing} mm")


def _stated(*pairs: tuple[str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(label, value) for label, value in pairs if value)
