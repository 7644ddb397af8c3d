"""Whether MR and SPECT of one patient agree on where 166Ho is: by voxel, structure and lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure, StructureOptions
from hepatica.core import Grid, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.document import HIDDEN
from hepatica.core.image import Acquisition, Image
from hepatica.core.message import Message, unique
from hepatica.core.options import NonNegative, options, parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample
from hepatica.core.tables.table import Cell, Table
from hepatica.core.text.files import json_file
from hepatica.core.transform import warp
from hepatica.core.transform.options import TransformOptions
from hepatica.errors import EvidenceError, GeometryError, InputError, TimeError
from hepatica.imaging.mri.agreement import RatioPair, StructurePair, blurred, liver_voxels, ratio_pairs, structure_pairs
from hepatica.imaging.mri.fitting.fit import NOTHING
from hepatica.imaging.quantify.activity import decay_correct
from hepatica.io.itk import read_itk
from hepatica.io.read import ImageOptions
from hepatica.nuclides import nuclide
from hepatica.outcome.statistics.agreement import (
    Concordance,
    RepeatedBlandAltman,
    lin_concordance,
    repeated_bland_altman,
)
from hepatica.report.figures.outcome import save
from hepatica.workflow.dose.absorbed_dose import measured_part, read_activity
from hepatica.workflow.dose.patient.structures import structures_on
from hepatica.workflow.mri.result import (
    ACTIVITY_FILE,
    BASELINE_FLAG,
    COVERED_FILE,
    FLAGS_FILE,
    MISSING_SHARE,
    NEAR_LUNG_FLAG,
    PART_FILE,
    HolmiumResult,
)
from hepatica.workflow.registration.transforms import given_transform
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, as_image, require_one_patient

HOLMIUM = "Ho-166"


@options
class SpectMriOptions:
    """How the two are compared.

    Attributes
    ----------
    response_mm : float
        Width of the SPECT's response, FWHM, to which the MR is blurred; 0 leaves it sharp.
    registered : bool
        State that images of different frames of reference lie together.
    """

    response_mm: NonNegative = 0.0
    registered: bool = False


@result
class SpectMriResult(Result):
    """MR and SPECT side by side.

    Attributes
    ----------
    voxels : tuple of ndarray
        Bq/mL by SPECT and by MR of the liver's voxels that were compared.
    nuclide : str
        What is compared.
    compared_at : datetime
        Instant of both.
    response_mm : float
        Resolution of both, FWHM.
    spect_relative : bool
        Whether the SPECT was in counts, and scaled so that both hold the same in the liver.
    spect_mbq, mri_mbq : float
        In the liver.
    voxels_compared : int
        How many.
    pearson : float
        Correlation of the voxels.
    lin : Concordance or None
        Lin's coefficient of the voxels.
    repeated : RepeatedBlandAltman or None
        Bias and limits, Bq/mL, MR less SPECT, the voxels being repeated measures of their segment (or lobe).
    structures : tuple of StructurePair
        Means.
    ratios : tuple of RatioPair
        T/N.
    """

    verb = "spect_mri_agreement"

    voxels: tuple[NDArray[np.float64], NDArray[np.float64]] = field(metadata=HIDDEN)
    nuclide: str
    compared_at: datetime
    response_mm: float
    spect_relative: bool
    spect_mbq: float
    mri_mbq: float
    voxels_compared: int
    pearson: float
    lin: Concordance | None
    repeated: RepeatedBlandAltman | None
    structures: tuple[StructurePair, ...]
    ratios: tuple[RatioPair, ...]

    def title(self) -> str:
        """Correlation and totals."""
        return (
            f"{self.nuclide} by MR and SPECT: r = {self.pearson:.3f} in {self.voxels_compared} voxels; liver "
            f"{self.mri_mbq:.4g} MBq by MR, {self.spect_mbq:.4g} by SPECT"
        )

    def table(self) -> Table:
        """Means of structures."""
        rows = [
            (s.name, s.volume_ml, s.spect_bq_ml / 1e3, s.mri_bq_ml / 1e3, s.difference_percent) for s in self.structures
        ]
        columns = ("structure", "mL", "SPECT, kBq/mL", "MR, kBq/mL", "MR - SPECT, % of mean")
        return Table.of(columns, rows, "Structures", "structures")

    def tables(self) -> tuple[Table, ...]:
        """Structures, tumour to normal, limits of agreement."""
        out = [self.table()]
        if self.ratios:
            rows = [
                (r.name, r.spect_tumour_to_normal, r.spect_tumour_to_normal_sd, r.mri_tumour_to_normal,
                 r.mri_tumour_to_normal_sd, r.difference_over_sd)
                for r in self.ratios
            ]  # fmt: skip
            columns = ("tumour", "T/N SPECT", "sd", "T/N MR", "sd of MR", "difference over sd")
            out.append(Table.of(columns, rows, "Tumour to normal liver", "tumour-to-normal"))
        if (r := self.repeated) is not None:
            limits: list[tuple[Cell, ...]] = [("bias", r.bias / 1e3, r.bias_low / 1e3, r.bias_high / 1e3)]
            for name, limit in (("lower limit", r.lower_limit), ("upper limit", r.upper_limit)):
                limits.append((name, limit / 1e3, (limit - r.limit_error) / 1e3, (limit + r.limit_error) / 1e3))
            title = f"Voxels, MR - SPECT, kBq/mL, repeated in {r.subjects} parts of the liver"
            out.append(Table.of(("quantity", "value", "from", "to"), limits, title, "agreement"))
        return tuple(out)

    def write(self, folder: Path) -> None:
        """Write ``agreement.png``."""
        from hepatica.report.figures.mri import draw_spect_mri

        rows = [
            (r.name, r.spect_tumour_to_normal, r.spect_tumour_to_normal_sd, r.mri_tumour_to_normal,
             r.mri_tumour_to_normal_sd)
            for r in self.ratios
        ]  # fmt: skip
        first, second = (part / 1e3 for part in self.voxels)
        limits = None
        if self.repeated is not None:
            scaled = {name: getattr(self.repeated, name) / 1e3 for name in ("bias", "lower_limit", "upper_limit")}
            limits = replace(self.repeated, **scaled)
        save(draw_spect_mri((first, second), limits, rows, "kBq/mL"), folder / "agreement.png")


@verb
def spect_mri_agreement(
    mri: ImageSource | HolmiumResult,
    *,
    spect: ImageSource,
    structures: StructureSource,
    images: ImageOptions = ImageOptions(),
    options: SpectMriOptions = SpectMriOptions(),
    clinical: StructureOptions = StructureOptions(),
    registration: TransformOptions = TransformOptions(),
    progress: Progress | None = None,
) -> SpectMriResult:
    """Whether MR and SPECT agree on where 166Ho is: by voxel, structure and lesion.

    Parameters
    ----------
    mri : path, HolmiumResult or Image
        Activity by MR in Bq/mL: the result of `holmium_mri`, its saved folder, or an image. Of the first two, voxels
        that were not measured are left out.
    spect : path or Image
        SPECT in Bq/mL, or in counts: DICOM, NIfTI, MetaImage.
    structures : path or regions
        Liver, tumours, segments: RTSTRUCT, SEG or label map in the frame of the SPECT.
    images : ImageOptions
        How the SPECT is read.
    options : SpectMriOptions
        Resolution.
    clinical : StructureOptions
        What structures are.
    registration : TransformOptions
        From the SPECT (fixed) to the MR (moving).
    progress : callable, optional
        Told each step.

    Returns
    -------
    SpectMriResult
        Correlation, limits of agreement, means and T/N by both; ``save`` draws them.

    Raises
    ------
    HepaticaError
        InputError if there is no liver, or the MR holds no activity; GeometryError if the images do not lie together;
        TimeError if an instant is missing.

    Examples
    --------
    >>> found = hepatica.spect_mri_agreement("holmium", spect="nm.dcm", structures="rt.dcm")  # doctest: +SKIP
    >>> found.pearson  # doctest: +SKIP
    0.953
    """
    report_progress = progress or silent
    report_progress("reading")
    chosen = nuclide(HOLMIUM)
    by_mr, missing, covered = _mr_activity(mri)
    (scan,) = read_activity(spect, chosen, images, None)
    require_one_patient([by_mr.source, scan.source])
    if by_mr.time is None:
        raise TimeError(f"{by_mr.name}: the MR refers to no instant")
    drawn = structures_on(scan.grid, structures, scan, clinical)
    report_progress("MR onto the SPECT's voxels")
    moved, files, notes = _onto(by_mr, scan.grid, registration, options)
    clinical_items, left_out = _measured(drawn.clinical, missing, by_mr, scan.grid, (registration, options))
    liver = next((item.region for item in clinical_items if item.structure is Structure.LIVER), None)
    if liver is None:
        raise InputError("there is no liver among the structures", remedy="draw one, or state what is by its role")
    if options.response_mm > 0 and covered is None and registration.transform is None:
        here = replace(by_mr, volume=by_mr.volume.in_frame(scan.grid.frame_of_reference))
        part = measured_part((here,), structures, scan, clinical)
        covered = None if part is None else part.full()
    if options.response_mm > 0 and covered is not None:
        # A camera blurs what is there: of a voxel at the border the part that is liver.
        there = by_mr.volume.with_values((by_mr.volume.values * covered).astype(np.float32))
        moved, _, _ = _onto(replace(by_mr, volume=there), scan.grid, registration, options)
    second = blurred(moved, options.response_mm)
    first, relative, about = _spect_at(scan, by_mr.time, chosen.half_life_s, liver, liver.mean(second))
    inside = [item for item in clinical_items if (item.region & liver).volume_ml > 0.5 * item.region.volume_ml]
    apart = options.response_mm or max(scan.grid.spacing_mm)
    a, b, parts = liver_voxels(first, second, liver, _parts_of(inside), apart)
    lin, repeated, said = _statistics(a, b, parts)
    return SpectMriResult(
        voxels=(a, b),
        nuclide=chosen.name,
        compared_at=by_mr.time,
        response_mm=options.response_mm,
        spect_relative=relative,
        spect_mbq=liver.total(first) / 1e6,
        mri_mbq=liver.total(second) / 1e6,
        voxels_compared=a.size,
        pearson=float(np.corrcoef(a, b)[0, 1]),
        lin=lin,
        repeated=repeated,
        structures=structure_pairs(first, second, [item.region for item in inside]),
        ratios=_ratios(first, second, clinical_items, apart),
        messages=unique(by_mr.messages, scan.messages, drawn.messages, notes, left_out, about, said),
        provenance=Provenance(
            inputs=(by_mr.source, scan.source, *((drawn.source,) if drawn.source else ()), *files),
            parameters=parameters(images, options, clinical, registration),
            conventions={"difference": "MR less SPECT", "limits": "bias -+ 1.96 sd", "interval": "95 %"},
            steps=("MR onto the SPECT's voxels and to its resolution", "SPECT decayed to the instant of the MR"),
        ),
    )


PARTS = "segment"


def _parts_of(inside: list[ClinicalRegion]) -> list[Region]:
    """Segments and lobes of the liver, whose voxels are repeated measures of them; the smaller first."""
    found = [
        item.region for item in inside
        if item.structure is Structure.LOBE or item.region.name.lower().startswith(PARTS)
    ]  # fmt: skip
    return sorted(found, key=lambda region: region.volume_ml)


CARRIED = ("lower-limit", "liver-not-measured", "s0-of-other-tissue", "negative-holmium", "scans-swapped")
"""Codes of a saved result that hold for what is made of its activity."""

MISSING_PART = 0.05
"""Part of a voxel of the SPECT that was not measured by MR from which on it is left out."""


def _mr_activity(
    source: ImageSource | HolmiumResult,
) -> tuple[Image, NDArray[np.bool_] | None, NDArray[np.float32] | None]:
    """The activity of `holmium_mri`, as it is or saved, with its instant and frame of reference; else an image.

    With it the voxels of the liver that were not measured, and the part of each voxel that liver and tumours fill;
    None where that is not known.
    """
    if isinstance(source, HolmiumResult):
        return source.measured_activity, source.unmeasured, source.covered
    if isinstance(source, Image) or not Path(source).is_dir():
        return as_image(source, role="mri"), None, None
    folder = Path(source)
    if not (folder / "result.json").is_file():
        raise InputError(f"{folder}: no result of holmium_mri is there (result.json)")
    file = next((folder / name for name in (ACTIVITY_FILE, PART_FILE) if (folder / name).is_file()), None)
    if file is None:
        raise InputError(
            f"{folder}: holds no {ACTIVITY_FILE}: it has masses of microspheres alone",
            remedy="find them with a specific activity",
        )
    document = json_file(folder / "result.json")
    volume, notes = read_itk(file, Kind.ACTIVITY_CONCENTRATION, name="activity by MR")
    missing = None
    if (folder / FLAGS_FILE).is_file():
        flags = read_itk(folder / FLAGS_FILE, Kind.LABEL)[0].values
        missing = (flags >= BASELINE_FLAG) | (flags % NEAR_LUNG_FLAG == NOTHING)
    frame = (document.get("grid") or {}).get("frame_of_reference")
    when = document.get("scanned_at")
    time = None if when is None else datetime.fromisoformat(str(when))
    placed = Volume(volume.grid.with_frame_of_reference(frame), volume.values, volume.kind, time, volume.name)
    facts = Acquisition(modality="MR", nuclide=HOLMIUM)
    spoken = [
        Message(str(row["code"]), str(row["text"]), str(row.get("remedy", "")), row["severity"])
        for row in document.get("messages", ())
        if row.get("code") in CARRIED
    ]
    covered = None
    if (folder / COVERED_FILE).is_file():
        covered = read_itk(folder / COVERED_FILE, Kind.UNKNOWN)[0].values.astype(np.float32)
    return Image(placed, None, facts, InputFile.of("mri", file), (*notes, *spoken)), missing, covered


def _measured(
    items: Sequence[ClinicalRegion], missing: NDArray[np.bool_] | None, by_mr: Image, grid: Grid,
    way: tuple[TransformOptions, SpectMriOptions],
) -> tuple[list[ClinicalRegion], tuple[Message, ...]]:  # fmt: skip
    """Structures without the voxels that MR did not measure: nothing there is not known to be none."""
    if missing is None or not missing.any():
        return list(items), ()
    gaps = by_mr.volume.with_values(missing.astype(np.float32), Kind.ACTIVITY_CONCENTRATION)
    moved = blurred(_onto(replace(by_mr, volume=gaps), grid, *way)[0], way[1].response_mm)
    keep = (moved.values <= MISSING_PART).astype(np.float32)
    liver = next((item.region for item in items if item.structure is Structure.LIVER), None)
    out = []
    for item in items:
        kept = Region.from_coverage(item.region.name, grid, item.region.full() * keep)
        if not kept.is_empty:
            out.append(replace(item, region=kept))
    lost = 0.0 if liver is None else float((liver.full() * (1 - keep)).sum()) * grid.voxel_volume_ml
    if not lost:
        return out, ()
    text = f"{lost:.3g} mL of the liver were not measured by MR: they are left out of both images, sums and means"
    few = liver is not None and lost <= MISSING_SHARE * liver.volume_ml
    remedy = "look at the flags of the MR"
    return out, (Message("agreement-part-of-liver", text, remedy, "note" if few else "warning"),)


def _onto(
    by_mr: Image, grid: Grid, stated: TransformOptions, asked: SpectMriOptions
) -> tuple[Volume, tuple[InputFile, ...], tuple[Message, ...]]:
    """The MR's activity on the SPECT's voxels; a transform keeps its total."""
    volume = by_mr.volume
    volume.require_kind(Kind.ACTIVITY_CONCENTRATION)
    if stated.transform is not None:
        given = given_transform(stated, grid, volume.grid, registered=asked.registered)
        found = warp(volume, given.transform, grid, "activity")
        return found.volume, given.inputs, (*given.messages, *found.messages)
    if not asked.registered and not volume.grid.shares_frame(grid):
        raise GeometryError(
            f"{by_mr.name} and the SPECT have different frames of reference",
            remedy="register them and give the `transform`, or state `registered` if they lie together",
        )
    return resample(volume.in_frame(grid.frame_of_reference), grid, "mean"), (), ()


def _spect_at(
    scan: Image, at: datetime, half_life_s: float, liver: Region, mean_by_mr: float
) -> tuple[Volume, bool, tuple[Message, ...]]:
    """The SPECT in Bq/mL at an instant; one in counts is scaled so that the liver's mean is that of the MR."""
    volume = scan.volume
    if volume.kind is Kind.ACTIVITY:
        volume = volume.with_values(volume.values / volume.grid.voxel_volume_ml, Kind.ACTIVITY_CONCENTRATION)
    if volume.kind is Kind.ACTIVITY_CONCENTRATION:
        return decay_correct(volume, half_life_s, at), False, ()
    volume.require_kind(Kind.COUNTS, Kind.COUNT_RATE)
    mean = liver.mean(volume)
    if mean <= 0:
        raise InputError(f"{scan.name}: holds no counts in the liver")
    scale = mean_by_mr / mean
    made = volume.with_values(volume.values * np.float32(scale), Kind.ACTIVITY_CONCENTRATION, time=at)
    text = f"{scan.name} is in counts: scaled to the MR, so totals and bias say nothing; ratios and correlation do"
    return made, True, (Message("spect-relative", text, "give the SPECT in Bq/mL"),)


def _statistics(
    a: NDArray[np.float64], b: NDArray[np.float64], parts: list[str]
) -> tuple[Concordance | None, RepeatedBlandAltman | None, tuple[Message, ...]]:
    if a.size < 5:
        raise EvidenceError(f"{a.size} voxels of the liver so far apart that they are independent; 5 are needed")
    notes = []
    lin = lin_concordance(a, b)
    repeated = None
    if len(set(parts)) > 1:
        repeated = repeated_bland_altman(a, b, parts)
    else:
        text = "no segments or lobes are drawn: limits with repeated measures are not given"
        notes.append(Message("no-parts-of-liver", text, "draw segments or lobes", severity="note"))
    return lin, repeated, tuple(notes)


def _ratios(
    first: Volume, second: Volume, items: Sequence[ClinicalRegion], resolution_mm: float
) -> tuple[RatioPair, ...]:
    normal = next((item.region for item in items if item.structure is Structure.NORMAL_LIVER), None)
    tumours = [i.region for i in items if i.structure in (Structure.TUMOUR, Structure.ALL_TUMOURS)]
    return () if normal is None or not tumours else ratio_pairs(first, second, tumours, normal, resolution_mm)
