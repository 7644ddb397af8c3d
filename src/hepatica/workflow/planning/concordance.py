"""Planned against delivered dose: two dose maps and the structures in, concordance, table and figures out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path

from hepatica.core import InputFile, Provenance, Region, Volume
from hepatica.core.document import HIDDEN, INLINE
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.core.transform import Transform
from hepatica.core.transform.options import TransformOptions
from hepatica.errors import GeometryError, InputError
from hepatica.io.structures.regions import drawn_structures
from hepatica.planning.delivery.concordance import (
    NORMAL_LIVER,
    Agreement,
    Concordance,
    ConcordanceOptions,
    about_catheter,
    about_registration,
    about_total,
    compared_maps,
    voxel_doses,
)
from hepatica.planning.delivery.suggestions import Suggestion, suggestions, suggestions_table
from hepatica.planning.measured.earlier_results import is_result
from hepatica.planning.measured.judged_by_plan import judged_with_plan
from hepatica.planning.measured.treatment_results import about_treatment, absorbed_dose_of, planned_treatments
from hepatica.workflow.registration.at_hand import AtHand, transform_for
from hepatica.workflow.registration.transforms import BroughtDose, brought_dose
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import (
    DoseInput,
    DoseSource,
    ImageSource,
    StructureSource,
    as_dose,
    as_image,
    require_one_patient,
)

NAMES = ("planned", "delivered")


@result
class ConcordanceResult(Result):
    """Whether the activity went where the scout said."""

    verb = "scout_concordance"

    concordance: Concordance = field(metadata=INLINE)
    isodose_is_planned_mean: bool
    lesions: tuple[Region, ...] = field(metadata=HIDDEN)
    planned: Volume = field(metadata=HIDDEN)
    delivered: Volume = field(metadata=HIDDEN)
    """On the voxels of the planned dose."""
    absorbed_dose_mean_gy: Mapping[str, float] = field(default_factory=dict)
    """Mean dose of a structure of the same name by the delivered dose's own result: in its own voxels and outlines,
    energy over mass. It is the treatment's number; the means of `structures` are made to be compared, on the planned
    dose's voxels, by volume."""
    suggestions: tuple[Suggestion, ...] = ()
    """What missed goals, passed limits and activity outside the liver ask of the team, each with its source."""

    def title(self) -> str:
        """T/N of both maps, and whether the catheter seems to have been elsewhere."""
        c = self.concordance
        level = "planned mean of the lesions" if self.isodose_is_planned_mean else "as stated"
        parts = [f"Dice at {c.isodose_gy:.4g} Gy ({level})"]
        if c.tumour_to_normal_planned is not None and c.tumour_to_normal_delivered is not None:
            ratios = f"planned {c.tumour_to_normal_planned:.2f}, delivered {c.tumour_to_normal_delivered:.2f}"
            parts.append(f"T/N of all lesions: {ratios}")
        if c.total_ratio is not None:
            parts.append(f"energy in the liver: {c.total_ratio:.2f} of planned")
        if c.shift_mm is not None:
            parts.append(f"centre of dose moved by {c.shift_mm:.1f} mm")
        if c.territory_share_change is not None:
            parts.append(f"share of a part of the liver changed by up to {c.territory_share_change:.0%}")
        return "; ".join(parts)

    def table(self) -> Table:
        """Each lesion and the normal liver."""
        rows = [
            (
                s.name, self.absorbed_dose_mean_gy.get(s.name), s.planned_dose_mean_gy, s.delivered_dose_mean_gy,
                None if s.relative_difference is None else 100 * s.relative_difference, s.verdict,
                s.verdict_by_share, s.correlation,
                s.dice_at_isodose, s.bland_altman.mean_gy, s.bland_altman.low_gy, s.bland_altman.high_gy,
            )
            for s in self.concordance.structures
        ]  # fmt: skip
        columns = (
            "structure", "absorbed dose, Gy", "planned as compared, Gy",
            "delivered as compared, Gy", "change, %", "verdict", "by share", "r", "Dice", "bias, Gy",
            "95 % from, Gy", "95 % to, Gy",
        )  # fmt: skip
        return Table.of(columns, rows, name="concordance")

    def tables(self) -> tuple[Table, ...]:
        """Structures, the shares of the parts of the liver, and questions for the team."""
        rows = [
            (
                p.name, 100 * p.planned_share, 100 * p.planned_share_sd, 100 * p.delivered_share,
                100 * p.delivered_share_sd, p.z, "differs" if p.differs else "within uncertainty",
            )
            for p in self.concordance.parts
        ]  # fmt: skip
        columns = ("part of the liver", "planned, %", "SD, %", "delivered, %", "SD, %", "z", "verdict")
        shares = Table.of(columns, rows, "Share of the liver's activity", "parts")
        asked = [suggestions_table(self.suggestions)] if self.suggestions else []
        return (self.table(), *([shares] if rows else []), *asked)

    def write(self, folder: Path) -> None:
        """Write ``concordance.png`` (voxels, Bland-Altman) and ``slices.png``."""
        from hepatica.report.figures.dosimetry.dose import agreement_figure, comparison_figure, png
        from hepatica.report.figures.images.planes import centre_of

        largest = max(self.lesions, key=lambda region: region.volume_ml)
        voxels = {region.name: voxel_doses(self.planned, self.delivered, region) for region in self.lesions}
        slices = comparison_figure(self.planned, self.delivered, centre_of(largest).tolist(), names=NAMES)
        (folder / "concordance.png").write_bytes(png(agreement_figure(voxels, names=NAMES)))
        (folder / "slices.png").write_bytes(png(slices))


@verb
def scout_concordance(
    planned_dose: DoseSource,
    delivered_dose: DoseSource,
    *,
    structures: StructureSource,
    planned_ct: ImageSource | None = None,
    comparison: ConcordanceOptions = ConcordanceOptions(),
    registration: TransformOptions = TransformOptions(),
    progress: Progress | None = None,
) -> ConcordanceResult:
    """Whether the activity went where the scout said: planned against delivered dose.

    Parameters
    ----------
    planned_dose : path, Volume or Image
        Planned dose: folder of a plan, RTDOSE, NIfTI or MetaImage in Gy.
    delivered_dose : path, Volume or Image
        Delivered dose: folder of an absorbed dose, RTDOSE, NIfTI or MetaImage in Gy.
    structures : path or regions
        RTSTRUCT, SEG or label map with the tumours; with a liver T/N is given too, and by the shares of territories,
        lobes or of where the plan has dose the catheter is looked at.
    planned_ct : path, Image or None
        CT of the planned dose, to which that of the delivered one is registered where `register` asks for it.
    comparison : ConcordanceOptions
        How the maps are compared.
    registration : TransformOptions
        The transform from the planned dose's frame of reference to the delivered one's, or how it is found; its
        uncertainty adds to that of position.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    ConcordanceResult
        Per structure and overall; ``save`` writes the figures too.

    Raises
    ------
    InputError
        If no structure is a tumour, or the plan gives the tumours no dose.
    GeometryError
        If frames of reference differ, or the liver or a territory reaches outside the delivered dose map.

    Examples
    --------
    >>> answer = hepatica.scout_concordance("plan", "dose", structures="rois.dcm")  # doctest: +SKIP
    >>> answer.concordance.catheter_position_changed  # doctest: +SKIP
    False
    """
    report_progress = progress or silent
    report_progress("reading dose maps")
    scout, therapy = as_dose(planned_dose, role="planned dose"), as_dose(delivered_dose, role="delivered dose")
    fixed = None if planned_ct is None else as_image(planned_ct, role="ct").used_as("planned_ct")
    if fixed is not None and registration.register is None:
        raise InputError("`planned_ct` is for a registration", remedy="state `register`, or leave it out")
    at_hand = AtHand(fixed, "planned_ct", structures=structures, structure_roles=comparison.structure_roles)
    brought = _brought((scout.volume, therapy.volume), registration, comparison, at_hand, report_progress)
    files_of_ct = () if fixed is None else (fixed.source,)
    therapy = _in_frame_of(scout, therapy, brought, registered=comparison.registered)
    report_progress("reading structures")
    drawn = drawn_structures(structures, scout.volume.grid, comparison.structure_roles)
    report_progress("comparing")
    treatment, files = _treatments(planned_dose, delivered_dose)
    require_one_patient((*scout.inputs, *therapy.inputs, *drawn.inputs, *files_of_ct))
    unsure_mm = 0.0 if brought is None else brought.uncertainty_mm or 0.0
    agreement = Agreement(math.hypot(comparison.position_sd_mm, unsure_mm), comparison.quantification_relative_sd)
    found = compared_maps(
        scout.volume, therapy.volume, drawn, isodose_gy=comparison.isodose_gy, agreement=agreement,
        seen=_seen_by(therapy, None if brought is None else brought.transform),
    )  # fmt: skip
    means = _means_of(delivered_dose)
    asked, about_asked = _suggestions(
        (planned_dose, delivered_dose), found.concordance, comparison.quantification_relative_sd
    )
    steps = () if brought is None else (brought.step,)
    return ConcordanceResult(
        concordance=found.concordance,
        isodose_is_planned_mean=comparison.isodose_gy is None,
        planned=scout.volume,
        delivered=found.delivered,
        lesions=found.lesions,
        absorbed_dose_mean_gy={s.name: means[s.name] for s in found.concordance.structures if s.name in means},
        suggestions=asked,
        messages=(
            *treatment,
            *unique(scout.messages, therapy.messages),
            *(() if brought is None else brought.messages),
            *drawn.messages,
            *found.messages,
            *about_total(found.concordance),
            *about_registration(comparison.registration_error_mm),
            *about_catheter(found.concordance),
            *about_asked,
        ),
        provenance=Provenance(
            (*scout.inputs, *therapy.inputs, *drawn.inputs, *files, *files_of_ct),
            parameters=parameters(comparison, registration),
            steps=(*steps, "delivered dose interpolated onto the voxels of the planned one"),
        ),
    )


def _in_frame_of(scout: DoseInput, therapy: DoseInput, brought: BroughtDose | None, *, registered: bool) -> DoseInput:
    """The delivered dose in the frame of reference of the planned one.

    Raises
    ------
    GeometryError
        If they lie in different ones, and neither a transform nor a statement brings them together.
    """
    if brought is not None:
        therapy = replace(therapy, volume=brought.volume, inputs=(*therapy.inputs, *brought.inputs))
    elif registered:
        grid = therapy.volume.grid.with_frame_of_reference(scout.volume.grid.frame_of_reference)
        therapy = replace(therapy, volume=replace(therapy.volume, grid=grid))
    if not scout.volume.grid.shares_frame(therapy.volume.grid):
        raise GeometryError(
            "the dose maps have different frames of reference",
            remedy="register them and give the `transform`, or state `registered` if they lie together",
        )
    return therapy


def _brought(
    maps: tuple[Volume, Volume],
    registration: TransformOptions,
    comparison: ConcordanceOptions,
    at_hand: AtHand,
    progress: Progress,
) -> BroughtDose | None:
    """The delivered dose on the planned one's voxels by a transform or a registration; None without one."""
    if not registration.moves:
        return None
    planned, delivered = maps
    grids = (planned.grid, delivered.grid)
    given = transform_for(registration, grids, at_hand, registered=comparison.registered, progress=progress)
    return brought_dose(delivered, given, planned.grid, name="the delivered dose")


def _seen_by(therapy: DoseInput, transform: Transform | None) -> Callable[[Region], float]:
    """Share of a region of the planned dose that the image behind the delivered one sees; all where it does not say."""
    field = therapy.seen_field
    if field is None:
        return lambda region: 1.0
    if transform is None:
        # Maps that are said to lie together, whatever their files name.
        field = replace(field, grid=field.grid.with_frame_of_reference(therapy.volume.grid.frame_of_reference))
    return lambda region: field.share(region, transform)


def _means_of(delivered: DoseSource) -> Mapping[str, float]:
    """Mean dose of each structure by the result of the delivered dose, Gy; none of a mere map."""
    file = _result_beside(delivered, "absorbed_dose")
    if file is None:
        return {}
    found = absorbed_dose_of(file).structures
    means = {name: gray for name, (_, gray) in found.items()}
    normal = [gray for role, gray in found.values() if role == "normal_liver"]
    return means | ({NORMAL_LIVER: normal[0]} if len(normal) == 1 else {})


def _result_beside(source: DoseSource, verb: str) -> Path | None:
    """The result of a verb in the folder that was given as a dose; None of a mere map."""
    file = Path(source) / "result.json" if isinstance(source, str | Path) else None
    return file if file is not None and file.is_file() and is_result(file, verb) else None


def _suggestions(
    maps: tuple[DoseSource, DoseSource], found: Concordance, relative_sd: float
) -> tuple[tuple[Suggestion, ...], tuple[Message, ...]]:
    """What the delivered dose asks of the team, where it is the folder of an absorbed dose; and why it asks nothing.

    Where the planned dose is the folder of a plan its aims and limits count, and what treatments before left and gave.
    """
    planned, delivered = maps
    if (file := _result_beside(delivered, "absorbed_dose")) is None:
        return (), ()
    treatment = judged_with_plan(file, _result_beside(planned, "plan"))
    shares = {
        row.name: row.delivered_dose_mean_gy / row.planned_dose_mean_gy
        for row in found.structures
        if row.planned_dose_mean_gy > 0
    }
    asked = suggestions(treatment, delivered_share=shares, quantification_relative_sd=relative_sd)
    if treatment.doses:
        return asked, ()
    text = "no goal or limit applies to the delivered dose, so nothing is asked of lesions and organs"
    remedy = "state `agent`, `indication` and `intent` of the dose where they are not; else the agent has none for them"
    return asked, (Message("nothing-judged", text, remedy, "note"),)


def _treatments(planned: DoseSource, delivered: DoseSource) -> tuple[tuple[Message, ...], tuple[InputFile, ...]]:
    """What the results beside both maps say of each other, where both are folders of a plan and of a dose."""
    files = [Path(source) / "result.json" for source in (planned, delivered) if isinstance(source, str | Path)]
    if len(files) < len(NAMES) or not all(file.is_file() for file in files):
        return (), ()
    if not all(is_result(file, verb) for file, verb in zip(files, ("plan", "absorbed_dose"), strict=True)):
        return (), ()
    plan, dose = files
    found = about_treatment(planned_treatments(plan), absorbed_dose_of(dose))
    return found, (InputFile.of("plan", plan), InputFile.of("dose", dose))
