"""A dose result as the report prints it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from hepatica.core import Volume
from hepatica.core.image import Image
from hepatica.core.numbers import percent, three
from hepatica.dosimetry.time.integration import TRAPPED
from hepatica.nuclides import agent, nuclide
from hepatica.report import DoseReport, Fact, ImageUsed, LimitRow, ReportRegion, limit_rows
from hepatica.report.document import FurtherTable
from hepatica.workflow.dose.region_activity import ACTIVITY_COLUMNS, ACTIVITY_NOTE

if TYPE_CHECKING:
    from hepatica.workflow.dose.result import DoseResult


def report_regions(result: DoseResult) -> tuple[ReportRegion, ...]:
    """The structures as the report takes them."""
    pairs = zip(result.structures.clinical, result.region_doses, strict=True)
    return tuple(ReportRegion(item.region, found, item.structure.value) for item, found in pairs)


def limits_of(result: DoseResult) -> tuple[LimitRow, ...]:
    """Mean doses against the limits of the agent; empty where no agent was named."""
    name = result.options.agent
    return () if name is None else limit_rows(agent(name).limits, report_regions(result))


def dose_report(result: DoseResult) -> DoseReport:
    """Everything that HTML, PDF and CSV print."""
    ct = result.ct.volume
    frame = result.dose.grid.frame_of_reference
    provenance = result.provenance.as_dict()
    return DoseReport(
        dose=result.dose,
        regions=report_regions(result),
        ct=Volume(ct.grid.with_frame_of_reference(frame), ct.values, ct.kind, ct.time, ct.name),
        decays=result.dose_map.decays,
        patient=_patient(result),
        treatment=_treatment(result),
        method=_method(result),
        conventions=tuple(Fact(name, text) for name, text in result.provenance.conventions.items()),
        images=tuple(
            [_image("Activity", image) for image in result.activity]
            + [_image("CT", result.ct)]
            + ([ImageUsed("Structures", result.structures.source.path, "", "", "")] if result.structures.source else [])
        ),
        limits=limits_of(result),
        further=_further(result),
        warnings=result.warnings,
        provenance=provenance,
        created=datetime.now().astimezone(),
    )


def _further(result: DoseResult) -> tuple[FurtherTable, ...]:
    rows = tuple(tuple(row) for row in result.activity_rows())
    heading = "Partial volume and uncertainty" if result.options.pvc != "none" else "Uncertainty"
    return (FurtherTable(heading, ACTIVITY_COLUMNS, rows, ACTIVITY_NOTE),) if rows else ()


def _patient(result: DoseResult) -> tuple[Fact, ...]:
    context = result.context
    if context is None:
        return (Fact("Patient", "not stated (the images are not DICOM)"),)
    born = context.birth_date
    return _said(
        ("Name", context.patient_name.replace("^", " ").strip()),
        ("ID", context.patient_id),
        ("Born", f"{born[:4]}-{born[4:6]}-{born[6:8]}" if len(born) == len("19610102") else born),
        ("Sex", context.sex),
        ("Study", context.study_description or context.study_id),
        ("Accession", context.accession),
    )


def _treatment(result: DoseResult) -> tuple[Fact, ...]:
    facts, options, count = result.activity[0].acquisition, result.options, result.quantified
    given = options.administered_bq or facts.administered_bq
    when = options.administered_at or facts.administered_at
    found = f"{three(result.activity_in_image_mbq)} MBq"
    if count.expected_bq:
        found += f" ({percent(100 * count.activity_in_image_bq / count.expected_bq)} % of what should be in view)"
    return _said(
        ("Nuclide", nuclide(result.dose_map.nuclide).label),
        ("Agent", "" if options.agent is None else agent(options.agent).name),
        ("Administered", "" if given is None else f"{three(given / 1e6)} MBq"),
        ("Administered at", "" if when is None else f"{when:%Y-%m-%d %H:%M}"),
        ("Activity in the image", found),
        ("Lung shunt", f"{percent(100 * options.lung_shunt)} %" if options.lung_shunt else ""),
        ("Residual", f"{percent(100 * options.residual)} %" if options.residual else ""),
    )


def _method(result: DoseResult) -> tuple[Fact, ...]:
    balance = result.dose_map.energy_balance
    share = 100 / balance.emitted_j
    half_life = result.options.effective_half_life_s
    curve = result.quantified.curve
    if curve is not None:
        fitted = ", ".join(f"{three(value / 3600)} h" for value in curve.half_lives_s)
        integration = f"{curve.model}-exponential curve through {len(result.activity)} images, half-life {fitted}"
    else:
        integration = TRAPPED if half_life is None else f"effective half-life {three(half_life / 3600)} h"
    energy = (
        f"{three(balance.emitted_j)} J: {percent(balance.deposited_j * share)} % deposited, "
        f"{percent(balance.in_air_j * share)} % in air, {percent(balance.outside_j * share)} % left the image, "
        f"{percent(balance.left_out_j * share)} % left out"
    )
    return _said(
        ("Dose engine", result.dose_map.method),
        ("Dose grid", repr(result.dose.grid)),
        ("Time integration", integration),
        ("Highest voxel dose", f"{three(float(result.dose.values.max()))} Gy"),
        ("Energy emitted", energy),
    )


def _image(role: str, image: Image) -> ImageUsed:
    facts, volume = image.acquisition, image.volume
    words = " ".join(filter(None, (facts.modality, facts.description, facts.scanner))) or image.source.path
    when = "" if volume.time is None else f"{volume.time:%Y-%m-%d %H:%M:%S}"
    size = " x ".join(map(str, volume.grid.shape))
    spacing = " x ".join(three(s) for s in volume.grid.spacing_mm)
    return ImageUsed(role, words, volume.kind.unit, when, f"{size} of {spacing} mm")


def _said(*pairs: tuple[str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(label, value) for label, value in pairs if value)
