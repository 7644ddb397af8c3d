"""Lesions segmented before and after treatment, from whatever holds them: label map, SEG or RTSTRUCT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.core import Grid, Kind
from hepatica.errors import InputError
from hepatica.io.regions import read_structures
from hepatica.io.structures import Structures
from hepatica.workflow.outcome.response import SegmentedLesion, compare_segmentations, patient_responses
from hepatica.workflow.outcome.volumes import RemnantGrowth, Retention, remnant_of, retention_of, split_roles


@dataclass(frozen=True, slots=True)
class SegmentationsCompared:
    """Response of every lesion, growth of the remnant, lipiodol, and what must be known about the files."""

    lesions: tuple[SegmentedLesion, ...]
    remnant: RemnantGrowth | None
    retention: tuple[Retention, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        return {
            "segmented_lesions": [s.as_dict() for s in self.lesions],
            "segmented_patient": {name: found.value for name, found in patient_responses(self.lesions).items()},
            "remnant": None if self.remnant is None else self.remnant.as_dict(),
            "lipiodol": [r.as_dict() for r in self.retention],
            "warnings": list(self.warnings),
        }


def compare_segmentation_files(
    before: Path,
    after: Path,
    *,
    before_image: Path | None = None,
    after_image: Path | None = None,
    days: float | None = None,
) -> SegmentationsCompared:
    """Compare lesions of the same name in two files of one patient.

    Structures named "liver" and "remnant" (or "future liver remnant", "FLR") give the growth of the remnant, one named
    "lipiodol" in the later file the share of each lesion that holds it. All others are lesions.

    Parameters
    ----------
    before, after : Path
        Label map (NIfTI, MetaImage, NRRD), DICOM SEG or RTSTRUCT.
    before_image, after_image : Path, optional
        Image on whose voxels the lesions are measured: a series, or a NIfTI or MetaImage file. A label map and a SEG
        have voxels of their own; an RTSTRUCT has none, and needs the image it was drawn on.
    days : float, optional
        Between the two, for the growth per week.

    Raises
    ------
    InputError
        If a file is of another kind, an RTSTRUCT comes without its image, or the files are of different patients.
    EvidenceError
        If a lesion cannot be measured.
    """
    patients = [p for p in (_patient(before), _patient(after)) if p]
    if len(set(patients)) > 1:
        raise InputError(f"{before} is of patient {patients[0]!r}, {after} of {patients[1]!r}")
    found = [_read(path, image) for path, image in ((before, before_image), (after, after_image))]
    texts = dict.fromkeys(str(message) for structures in found for message in structures.messages)
    (old, old_roles), (new, new_roles) = (split_roles(s.regions) for s in found)
    remnant = remnant_of(old_roles, new_roles, old, days=days)
    retention = retention_of(new, new_roles.get("lipiodol"))
    lesions = compare_segmentations(old, new) if old or new or remnant is None else ()
    return SegmentationsCompared(lesions, remnant, retention, tuple(texts))


def _patient(path: Path) -> str:
    from hepatica.io.dicom.tags import open_dicom
    from hepatica.io.itk import is_itk_file

    if not path.is_file():
        raise InputError(f"{path}: no such file (name the label map, SEG or RTSTRUCT itself)")
    return "" if is_itk_file(path) else open_dicom(path).text("PatientID")


def _read(path: Path, image: Path | None) -> Structures:
    from hepatica.core.image import Stated
    from hepatica.io.itk import is_itk_file, read_itk
    from hepatica.io.read import read_image

    if image is not None:
        # The unit does not matter here, only the voxels; a file that does not say its unit may serve.
        stated = Stated(unit="HU") if is_itk_file(image) else Stated()
        return read_structures(path, read_image(image, stated=stated))
    if is_itk_file(path):
        return read_structures(path, read_itk(path, Kind.LABEL)[0].grid)
    return read_structures(path, _own_grid(path))


def _own_grid(path: Path) -> Grid:
    from hepatica.io.dicom.context import instance_of
    from hepatica.io.dicom.rtstruct import RT_STRUCTURE_SET
    from hepatica.io.dicom.seg import segmentation_grid
    from hepatica.io.dicom.tags import open_dicom

    if instance_of(open_dicom(path)).sop_class_uid == RT_STRUCTURE_SET:
        raise InputError(
            f"{path}: an RTSTRUCT has no voxels; name the image it was drawn on (--before-image, --after-image)"
        )
    return segmentation_grid(path)
