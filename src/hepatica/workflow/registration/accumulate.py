"""The doses of two treatments of one patient added up, where they lay differently too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from hepatica.core import Grid, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.document import INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample, resample_region
from hepatica.core.seen_field import SeenField, cut_words, padded
from hepatica.core.tables.sources import regions_of
from hepatica.core.tables.table import Table
from hepatica.core.transform import Transform
from hepatica.core.transform.energy import warp_dose
from hepatica.core.transform.options import TransformOptions
from hepatica.dosimetry.radiobiology.accumulation import CourseDose, CourseOptions, course_dose
from hepatica.errors import GeometryError, InputError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.itk import write_itk
from hepatica.io.structures.regions import read_structures
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.report.tables import interval_text
from hepatica.transport.matter.media import density_from_hu
from hepatica.workflow.registration.at_hand import AtHand, transform_for
from hepatica.workflow.registration.transforms import GivenTransform, brought_dose
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

AIR_G_ML = 0.0012


@result
class AccumulatedDoseResult(Result):
    """Two treatments on the voxels of the first.

    Attributes
    ----------
    course : CourseDose
        Sum, BED, and each structure.
    first, second : str
        Names of the dose maps.
    moved_by : {"nothing", "value", "energy and mass"}
        How the second dose was brought over.
    transform : Transform or None
        From the first treatment's frame of reference to the second's.
    """

    verb: ClassVar[str] = "accumulated_dose"

    course: CourseDose = field(metadata=INLINE)
    first: str
    second: str
    moved_by: Literal["nothing", "value", "energy and mass"]
    transform: Transform | None = None

    @property
    def dose(self) -> Volume:
        """Sum in Gy."""
        return self.course.dose

    @property
    @reported
    def grid(self) -> Grid:
        """Voxels of the sum."""
        return self.course.dose.grid

    def title(self) -> str:
        """Both maps, and how the second was brought over."""
        how = "" if self.moved_by == "nothing" else f", the second brought over by {self.moved_by}"
        return f"first: {self.first}; second: {self.second}{how}"

    def table(self) -> Table:
        """Mean doses and BED of each structure."""
        by = " and ".join(sorted({s.dose_mean_by for s in self.course.structures}))
        cut = any(s.seen_share < SEEN_WHOLE for s in self.course.structures)
        columns = (
            "structure", "mL", "first, Gy", "second, Gy", "sum, Gy", "sum, 95 % by the scales, Gy", "BED of both, Gy",
            "EQD2 of both, Gy", *(("seen, %",) if cut else ()),
        )  # fmt: skip
        rows = [
            (
                s.name, s.volume_ml, s.first_dose_mean_gy, s.second_dose_mean_gy, s.dose_mean_gy,
                interval_text(s.dose_mean_interval_95_gy), s.bed_mean_gy, s.eqd2_mean_gy,
                *((100 * s.seen_share,) if cut else ()),
            )
            for s in self.course.structures
        ]  # fmt: skip
        title = f"Doses are means by {by}; BED and EQD2 by volume"
        return Table.of(columns, rows, title, "accumulated")

    def write(self, folder: Path) -> None:
        """Write ``dose.nii.gz``, and the BED of the course of every voxel as ``bed-TISSUE.nii.gz``."""
        write_itk(self.dose, folder / "dose.nii.gz")
        for tissue, volume in self.course.bed.items():
            write_itk(volume, folder / f"bed-{tissue}.nii.gz")


@verb
def accumulated_dose(
    first: DoseSource,
    second: DoseSource,
    *,
    structures: StructureSource,
    second_ct: ImageSource | None = None,
    first_ct: ImageSource | None = None,
    registration: TransformOptions = TransformOptions(),
    course: CourseOptions = CourseOptions(),
    progress: Progress | None = None,
) -> AccumulatedDoseResult:
    """Absorbed dose of two treatments added up, and the BED of the course.

    Parameters
    ----------
    first : path, Volume or Image
        Dose of the first treatment, on whose voxels the sum is: RTDOSE, NIfTI in Gy, or the folder of a saved dose.
    second : path, Volume or Image
        Dose of the second treatment.
    structures : path, sequence of Region
        RTSTRUCT, SEG or label map in the frame of reference of the first dose.
    second_ct : path, Image or None
        CT of the second treatment: with it the second dose is brought over by energy and mass, without it by value. It
        drives the registration where `register` asks for one.
    first_ct : path, Image or None
        CT of the first treatment: with it doses are averaged by mass, as *dose* does, without it by volume. That of the
        second is registered to it where `register` asks for it.
    registration : TransformOptions
        The transform from the first treatment's frame of reference to the second's, or how it is found.
    course : CourseOptions
        How the treatments follow one another.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    AccumulatedDoseResult
        Sum and BED in every voxel and structure; ``save`` writes the maps.

    Raises
    ------
    HepaticaError
        As `as_dose`, `io.regions.read_structures` and `given_transform`; GeometryError where frames of reference differ
        and no transform is given.

    Examples
    --------
    >>> found = hepatica.accumulated_dose(  # doctest: +SKIP
    ...     "first/dose.dcm", "second/dose.dcm", structures="first/rois.dcm",
    ...     registration=hepatica.TransformOptions(transform="reg.dcm"),
    ... )
    >>> found.course.structures[0].dose_mean_gy  # doctest: +SKIP
    81.4
    """
    report_progress = progress or silent
    report_progress("reading dose maps")
    one, other = as_dose(first, role="first"), as_dose(second, role="second")
    grid = one.volume.grid
    ct = None if second_ct is None else as_image(second_ct, role="ct")
    fixed = None if first_ct is None else as_image(first_ct, role="ct").used_as("first_ct")
    of_cts = [m for image in (ct, fixed) if image is not None for m in image.messages if m.severity == "critical"]
    files: tuple[InputFile, ...] = tuple(image.source for image in (ct, fixed) if image is not None)
    if isinstance(structures, str | Path):
        files += (input_file("structures", Path(structures)),)
    require_one_patient((*one.inputs, *other.inputs, *files))
    given: GivenTransform | None = None
    if registration.moves:
        at_hand = AtHand(fixed, "first_ct", ct, structures)
        given = transform_for(registration, (grid, other.volume.grid), at_hand, progress=report_progress)
    moved, how, notes, steps = _on_first(other.volume, grid, given, None if ct is None else ct.volume)
    report_progress("structures")
    regions, about = _regions(structures, grid)
    report_progress("adding up")
    density = None if fixed is None else _density(fixed.volume, grid)
    regions = _seen_by_both(regions, (one.seen_field, other.seen_field), None if given is None else given.transform)
    found = course_dose(one.volume, moved, regions, course, density)
    found = _with_what_is_known(found, (one, other), structures, None if given is None else given.transform)
    inputs: tuple[InputFile, ...] = (*one.inputs, *other.inputs, *files, *(() if given is None else given.inputs))
    return AccumulatedDoseResult(
        course=found,
        first=one.name,
        second=other.name,
        moved_by=how,
        transform=None if given is None else given.transform,
        messages=unique(
            of_cts,
            one.messages,
            other.messages,
            notes,
            about,
            found.messages,
            _about_seen(found),
            [] if density is not None else [BY_VOLUME],
        ),
        provenance=Provenance(
            inputs,
            parameters=parameters(registration, course),
            conventions={"BED": "linear-quadratic with incomplete repair; no regeneration between the treatments"},
            steps=steps,
        ),
    )


def _seen_by_both(
    regions: Sequence[Region], fields: tuple[SeenField | None, SeenField | None], transform: Transform | None
) -> tuple[Region, ...]:
    """The part of each structure that the images behind both doses see.

    Raises
    ------
    InputError
        If nothing of any structure is left.
    """
    first, second = fields
    parts = [region if first is None else first.seen_part(region) for region in regions]
    parts = [region if second is None else second.seen_part(region, transform) for region in parts]
    kept = tuple(region for region in parts if region.volume_ml > 0)
    if not kept:
        raise InputError("no structure lies in what the activity images behind both doses see")
    return kept


def _with_what_is_known(
    course: CourseDose, doses: tuple[DoseInput, DoseInput], source: StructureSource, transform: Transform | None
) -> CourseDose:
    """With what the images behind both doses see of each structure, and with the sum's interval."""
    first, second = (dose.seen_field for dose in doses)
    # A structure that the dose's voxels cut is to be known whole.
    whole = (
        {region.name: region for region in read_structures(source, padded(course.dose.grid, BEYOND_MM)).regions}
        if isinstance(source, str | Path) and (first is not None or second is not None)
        else {region.name: region for region in regions_of(source)}
        if not isinstance(source, str | Path)
        else {}
    )
    rows = []
    for row in course.structures:
        region = whole.get(row.name)
        known = region if region is not None and not region.is_empty else None
        here, there = (
            None if field is None or known is None else field.share(known, way)
            for field, way in ((first, None), (second, transform))
        )
        told = replace(row, first_seen_share=here, second_seen_share=there)
        rows.append(told.with_scales((doses[0].scale_relative_sd, doses[1].scale_relative_sd)))
    return replace(course, structures=tuple(rows))


def _about_seen(course: CourseDose) -> tuple[Message, ...]:
    cut = [(row.name, row.seen_share) for row in course.structures if row.seen_share < SEEN_WHOLE]
    if not cut:
        return ()
    text = (
        f"an activity image behind these doses sees a part of these structures alone ({cut_words(cut)}): volumes, "
        "doses and BED are those of the part that both see; those of the whole structure are not known"
    )
    return (Message("structure-not-seen-whole", text, "use doses of images that see them whole"),)


BEYOND_MM = 400.0
"""So far beyond the first dose's voxels structures are read to know how much of them lies there: a liver and more."""

BY_VOLUME = Message(
    "means-by-volume",
    "doses are averaged by volume: in lungs and at borders of other densities that differs from the mean of *dose*",
    "give `first_ct` for means by mass",
    "note",
)


def _density(hu: Volume, grid: Grid) -> Volume:
    """Mass density of a CT of the first treatment on the voxels of its dose."""
    hu.grid.require_shared_frame(grid, "`first_ct` and the first dose")
    return resample(density_from_hu(hu), grid, "mean", outside=AIR_G_ML)


HowMoved = Literal["nothing", "value", "energy and mass"]


def _on_first(
    second: Volume, grid: Grid, given: GivenTransform | None, hu: Volume | None
) -> tuple[Volume, HowMoved, tuple[Message, ...], tuple[str, ...]]:
    """The second dose on the first one's voxels, NaN where it says nothing."""
    if given is None:
        if hu is not None:
            raise InputError("`second_ct` is for a dose that a `transform` brings over; none was given")
        if not second.grid.shares_frame(grid):
            raise GeometryError(
                f"the dose maps have different frames of reference ({grid.frame_of_reference} and "
                f"{second.grid.frame_of_reference})",
                remedy="register the images of both treatments and give the `transform`",
            )
        return resample(second, grid, "linear", outside=float("nan")), "nothing", (), ()
    plain = brought_dose(second, given, grid, name="the second dose")
    if hu is None:
        return plain.volume, "value", plain.messages, (plain.step,)
    if not hu.grid.shares_frame(second.grid):
        raise GeometryError("`second_ct` and the second dose have different frames of reference")
    density = resample(density_from_hu(hu), second.grid, "mean", outside=AIR_G_ML)
    moved = warp_dose(second, density, given.transform, grid)
    # What the map does not show is not known, whatever energy reached its edge.
    values = np.where(np.isnan(plain.volume.values), np.nan, moved.dose.values)
    step = plain.step.replace("by value", "by energy and mass")
    notes = [replace(one, text=one.text.replace("by value", "by energy and mass")) for one in plain.messages]
    return Volume(moved.dose.grid, values, Kind.DOSE), "energy and mass", unique(notes, moved.messages), (step,)


def _regions(source: StructureSource, grid: Grid) -> tuple[tuple[Region, ...], tuple[Message, ...]]:
    if isinstance(source, str | Path):
        found = read_structures(source, grid)
        regions, notes = found.regions, found.messages
    else:
        regions, notes = tuple(resample_region(region, grid) for region in regions_of(source)), ()
    kept = tuple(region for region in regions if not region.is_empty)
    if not kept:
        raise InputError("no structure covers a voxel of the first dose")
    return kept, notes
