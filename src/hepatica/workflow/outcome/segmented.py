"""Lesions segmented before and after treatment, from whatever holds them: label map, SEG, RTSTRUCT or regions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hepatica.core import Grid, Kind, Provenance, Region
from hepatica.core.image import Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import NonNegative, parameters, verb
from hepatica.core.sources import regions_of
from hepatica.core.table import Table
from hepatica.errors import InputError
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.itk import is_itk_file, read_itk
from hepatica.outcome.response.criteria import Response
from hepatica.outcome.response.segmentations import (
    SEGMENTED,
    SegmentedLesion,
    compare_segmentations,
    lesions_and_others,
    patient_responses,
    segmented_remnant,
    segmented_retention,
)
from hepatica.outcome.response.volumes import RemnantGrowth, Retention
from hepatica.report.figures.outcome import save
from hepatica.report.figures.response import draw_segmented
from hepatica.workflow.outcome.lipiodol import retention_table
from hepatica.workflow.outcome.remnant import remnant_table
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, as_image


@result
class SegmentedResponseResult(Result):
    """Response of every lesion and of all together, growth of the remnant, lipiodol."""

    verb = "segmented_response"

    lesions: tuple[SegmentedLesion, ...]
    all_lesions: Mapping[str, Response]
    remnant: RemnantGrowth | None
    lipiodol: tuple[Retention, ...]

    def table(self) -> Table:
        """Sizes and response of each lesion, and of all together."""
        columns = ("lesion", "before, mL", "after, mL", "change, %", "before, mm", "after, mm", *SEGMENTED)
        rows = [
            (
                s.name, s.before.volume_ml, s.after.volume_ml, 100 * s.relative_volume_change, s.before.longest_mm,
                s.after.longest_mm, *(s.responses[name].value for name in SEGMENTED),
            )
            for s in self.lesions
        ]  # fmt: skip
        together = [("all together", *[None] * 5, *(found.value for found in self.all_lesions.values()))]
        title = "Segmented lesions (mRECIST and EASL: if the viable part was segmented)"
        return Table.of(columns, [*rows, *together] if rows else [], title, "lesions")

    def tables(self) -> tuple[Table, ...]:
        """Lesions, lipiodol, remnant; each where there is one."""
        return (
            *((self.table(),) if self.lesions or self.remnant is None else ()),
            *((retention_table(self.lipiodol),) if self.lipiodol else ()),
            *(() if self.remnant is None else (remnant_table([self.remnant]),)),
        )

    def write(self, folder: Path) -> None:
        """Write ``change.svg``."""
        rows = [(s.name, s.before.volume_ml, s.after.volume_ml, s.responses["volume"].value) for s in self.lesions]
        if self.remnant is not None:
            growth = self.remnant.found.growth
            rows.append(("future remnant", growth.before_ml, growth.after_ml, ""))
        save(draw_segmented(rows), folder / "change.svg")


@verb
def segmented_response(
    before: StructureSource,
    after: StructureSource,
    *,
    before_image: ImageSource | None = None,
    after_image: ImageSource | None = None,
    interval_days: NonNegative | None = None,
) -> SegmentedResponseResult:
    """Response of lesions that were segmented before and after treatment.

    Lesions are compared by name. Structures named "liver" and "remnant" (or "future liver remnant", "FLR") give the
    growth of the remnant, one named "lipiodol" in the later file the share of each lesion that holds it.

    Parameters
    ----------
    before : path or regions
        Structures before treatment: label map (names in a .json beside it), SEG or RTSTRUCT.
    after : path or regions
        Structures after treatment, same names; one that is absent is gone.
    before_image : path or Image, optional
        Image on whose voxels the lesions before are measured; an RTSTRUCT needs the one it was drawn on.
    after_image : path or Image, optional
        The same for the lesions after.
    interval_days : float or None
        Time between the two, for the growth of the remnant per week.

    Returns
    -------
    SegmentedResponseResult
        Lesions, remnant, lipiodol; ``save`` draws the change.

    Raises
    ------
    InputError
        If a file is of another kind, an RTSTRUCT comes without its image, or the files are of different patients.
    EvidenceError
        If a lesion cannot be measured.

    Examples
    --------
    >>> found = hepatica.segmented_response("lesions-1.nii.gz", "lesions-2.nii.gz")  # doctest: +SKIP
    >>> found.lesions[0].responses["mrecist"].value  # doctest: +SKIP
    'PR'
    """
    files = {role: Path(s) for role, s in (("before", before), ("after", after)) if isinstance(s, str | Path)}
    patients = {role: name for role, path in files.items() if (name := _patient(path))}
    if len(set(patients.values())) > 1:
        raise InputError(f"{before} is of patient {patients['before']!r}, {after} of {patients['after']!r}")
    old_regions, old_messages = _regions(before, before_image, "before_image")
    new_regions, new_messages = _regions(after, after_image, "after_image")
    (old, old_others), (new, new_others) = lesions_and_others(old_regions), lesions_and_others(new_regions)
    remnant = segmented_remnant(old_others, new_others, old, days=interval_days)
    lesions = compare_segmentations(old, new) if old or new or remnant is None else ()
    return SegmentedResponseResult(
        lesions=lesions,
        all_lesions=patient_responses(lesions),
        remnant=remnant,
        lipiodol=segmented_retention(new, new_others.get("lipiodol")),
        messages=unique(old_messages, new_messages),
        provenance=Provenance(
            inputs=tuple(input_file(role, path) for role, path in files.items()),
            parameters=parameters(interval_days=interval_days),
        ),
    )


def _patient(path: Path) -> str:
    from hepatica.io.dicom.tags import open_dicom

    if not path.is_file():
        raise InputError(f"{path}: no such file (name the label map, SEG or RTSTRUCT itself)")
    return "" if is_itk_file(path) else open_dicom(path).text("PatientID")


def _regions(
    source: StructureSource, image: ImageSource | None, role: str
) -> tuple[tuple[Region, ...], tuple[Message, ...]]:
    """Structures on the voxels of their image, or on their own."""
    from hepatica.io.regions import read_structures

    if not isinstance(source, str | Path):
        return regions_of(source), ()
    path = Path(source)
    if image is not None:
        # The unit does not matter here, only the voxels; a file that does not say its unit may serve.
        is_plain = isinstance(image, str | Path) and is_itk_file(Path(image))
        found = read_structures(path, as_image(image, role="image", stated=Stated(unit="HU") if is_plain else Stated()))
    else:
        found = read_structures(path, _own_grid(path, role))
    return found.regions, found.messages


def _own_grid(path: Path, role: str) -> Grid:
    from hepatica.io.dicom.context import instance_of
    from hepatica.io.dicom.rtstruct import RT_STRUCTURE_SET
    from hepatica.io.dicom.seg import segmentation_grid
    from hepatica.io.dicom.tags import open_dicom

    if is_itk_file(path):
        return read_itk(path, Kind.LABEL)[0].grid
    if instance_of(open_dicom(path)).sop_class_uid == RT_STRUCTURE_SET:
        raise InputError(f"{path}: an RTSTRUCT has no voxels", remedy=f"name the image it was drawn on with `{role}`")
    return segmentation_grid(path)
