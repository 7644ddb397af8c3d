"""What every series under a path is, in plain values: what ``hepatica inspect`` prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Grid, Kind
from hepatica.errors import HepaticaError
from hepatica.io.dicom.scan import Scan, scan
from hepatica.io.dicom.series import Series, SeriesKind
from hepatica.io.image import NOTHING_STATED, Image, Stated
from hepatica.io.read import read_series

_AXIS_ENDS = (("left", "right"), ("posterior", "anterior"), ("head", "feet"))

_IMAGES = (SeriesKind.CT, SeriesKind.PET, SeriesKind.NM_RECON, SeriesKind.NM_PLANAR)


@dataclass(frozen=True, slots=True)
class Description:
    """One series or file in words and numbers.

    Attributes
    ----------
    what : str
        "PET", "CT localizer", "NIfTI or MetaImage volume".
    identity : mapping
        Description, patient, date, UID, number of images.
    facts : mapping
        Unit, time, nuclide, geometry, ... JSON-ready, units in the keys; empty for what is only listed.
    orientation : str
        Of the grid, in words.
    problems : tuple of str
        Why it cannot be used as it is.
    warnings, missing : tuple of str
        As of the image.
    """

    what: str
    identity: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    orientation: str = ""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "what": self.what,
            **self.identity,
            **self.facts,
            "orientation": self.orientation or None,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
            "missing": list(self.missing),
        }


def describe(path: Path | str, *, stated: Stated = NOTHING_STATED) -> tuple[list[Description], list[str], list[str]]:
    """Describe what is under a path.

    Returns
    -------
    descriptions : list of Description
        One per series or file.
    skipped : list of str
        Files not used and why.
    warnings : list of str
        What concerns the whole folder (two patients mixed).

    Raises
    ------
    InputError
        If the path does not exist.
    """
    from hepatica.io.itk import is_itk_file

    path = Path(path)
    if path.is_file() and is_itk_file(path):
        return [describe_itk(path, stated)], [], []
    found: Scan = scan(path, several_patients=True)
    skipped = [f"{s.path}: {s.reason}" for s in found.skipped]
    return [describe_series(series, stated) for series in found], skipped, list(found.warnings)


def describe_series(series: Series, stated: Stated = NOTHING_STATED) -> Description:
    """Description of one DICOM series; what keeps it from being read is among its problems."""
    identity = {
        "description": series.description,
        "series": series.key,
        "part": series.part or None,
        "images": series.images,
        "files": len(series.files),
        "date": series.date,
        "patient_id": series.patient[0],
        "patient_name": series.patient[1],
    }
    what = series.what if series.kind is SeriesKind.OTHER else series.kind.value
    if series.kind not in _IMAGES:
        return Description(what, identity, **_structures(series))
    try:
        image = read_series(series, stated=stated)
    except HepaticaError as error:
        return _of_unreadable(what, identity, series, stated, str(error))
    return _of_image(what, identity, image)


def describe_itk(path: Path, stated: Stated = NOTHING_STATED) -> Description:
    """Description of a NIfTI, MetaImage or NRRD file."""
    from hepatica.io.itk import read_itk, read_itk_image

    identity: dict[str, Any] = {"description": path.name}
    what = "NIfTI or MetaImage volume"
    try:
        if stated.unit is not None:
            return _of_image(what, identity, read_itk_image(path, stated=stated))
        volume, warnings = read_itk(path, Kind.UNKNOWN)
    except HepaticaError as error:
        return Description(what, identity, problems=(str(error),))
    bad = int((~np.isfinite(volume.values)).sum())
    return Description(
        what,
        identity,
        {"unit": None, "time": None, "grid": volume.grid.as_dict(), **_values(volume.values)},
        orientation_words(volume.grid),
        problems=(f"{bad} voxels are NaN or infinite",) if bad else (),
        warnings=tuple(warnings),
        missing=("unit: the file does not say what a voxel holds", "time: nor the instant it refers to"),
    )


def orientation_words(grid: Grid) -> str:
    """Where the axes of a grid run, and how far they are turned from the patient's.

    >>> orientation_words(Grid.axial((2, 2, 2), spacing_mm=(1, 1, 1)))
    'axial: i to left, j to posterior, k to head'
    """
    direction = grid.direction
    ends, main = [], []
    for axis in range(3):
        strongest = int(np.argmax(np.abs(direction[:, axis])))
        main.append(strongest)
        ends.append(_AXIS_ENDS[strongest][0 if direction[strongest, axis] > 0 else 1])
    plane = {2: "axial", 1: "coronal", 0: "sagittal"}[main[2]]
    angle = float(np.degrees(np.arccos(np.clip(np.abs(direction).max(axis=0).min(), -1, 1))))
    turned = f", turned {angle:.1f}° from the patient's axes" if angle > 0.1 else ""
    return f"{plane}: i to {ends[0]}, j to {ends[1]}, k to {ends[2]}{turned}"


def _of_unreadable(what: str, identity: dict[str, Any], series: Series, stated: Stated, problem: str) -> Description:
    """What can still be said of an image that is refused: all that is wrong with it, and its geometry."""
    from hepatica.io.dicom import geometry
    from hepatica.io.dicom.images.pet import missing_facts, refusals
    from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
    from hepatica.io.dicom.series import frame_of_reference

    problems = [problem]
    missing: tuple[str, ...] = ()
    facts: dict[str, Any] = {}
    orientation = ""
    try:
        if series.kind is SeriesKind.PET:
            problems = refusals(series, stated) or problems
            missing = missing_facts(radiopharmaceutical_of(series.headers[0], first_acquisition=None))
        if series.kind in (SeriesKind.PET, SeriesKind.CT):
            frame = frame_of_reference(series.headers)
            grid = geometry.series_stack(series.headers, frame_of_reference=frame).grid
            facts, orientation = {"grid": grid.as_dict()}, orientation_words(grid)
    except HepaticaError as error:
        if str(error) not in problems:
            problems.append(str(error))
    return Description(what, identity, facts, orientation, tuple(problems), (), missing)


def _of_image(what: str, identity: dict[str, Any], image: Image) -> Description:
    facts = image.as_dict()
    for key in ("warnings", "missing", "description"):
        del facts[key]
    facts |= _values(image.volume.values)
    if image.volume.kind is Kind.ACTIVITY_CONCENTRATION:
        facts["activity_in_image_mbq"] = image.volume.total / 1e6
    elif image.volume.kind is Kind.COUNTS:
        facts["counts_in_image"] = image.volume.total
    orientation = "planar: no place in the patient" if "planar" in what else orientation_words(image.grid)
    return Description(what, identity, facts, orientation, (), image.warnings, image.missing)


def _values(values: Any) -> dict[str, Any]:
    return {"minimum": float(np.nanmin(values)), "maximum": float(np.nanmax(values))}


def _structures(series: Series) -> dict[str, Any]:
    """What a listed object says at a glance: names of structures, type and unit of a dose."""
    header = series.headers[0]
    try:
        if series.kind is SeriesKind.RTSTRUCT:
            names = [item.text("ROIName") for item in header.items("StructureSetROISequence")]
            return {"facts": {"structures": names}}
        if series.kind is SeriesKind.SEG:
            return {"facts": {"structures": [item.text("SegmentLabel") for item in header.items("SegmentSequence")]}}
        if series.kind is SeriesKind.RTDOSE:
            return {"facts": {"unit": header.text("DoseUnits"), "dose_type": header.text("DoseType")}}
    except HepaticaError as error:
        return {"problems": (str(error),)}
    if series.kind is SeriesKind.NM_PROJECTIONS:
        return {"problems": ("projections: they must be reconstructed before dosimetry (hepatica reconstruct)",)}
    return {}
