"""The door for images: whatever the format, an `Image` with unit, instant and provenance, or an error that says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from hepatica.core import Kind
from hepatica.core.image import NOTHING_STATED, Image, Stated
from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.core.volume import voxel_unit
from hepatica.errors import DicomError, InputError, UnitError
from hepatica.io.dicom.scan import Scan, Skipped, scan
from hepatica.io.dicom.series import Series, SeriesKind
from hepatica.io.unit_beside import with_unit_beside
from hepatica.transport.matter.media import HuCalibration, load_calibration

__all__ = ["ROLES", "Image", "Scan", "Series", "SeriesKind", "Skipped", "Stated", "read_image", "read_series", "scan"]

ROLES: dict[str, tuple[SeriesKind, ...]] = {
    "ct": (SeriesKind.CT,),
    "activity": (SeriesKind.PET, SeriesKind.NM_RECON),
    "planar": (SeriesKind.NM_PLANAR,),
    "image": (SeriesKind.CT, SeriesKind.PET, SeriesKind.NM_RECON, SeriesKind.NM_PLANAR),
}
"""What an image can be wanted as, and the kinds of series that fit."""


@options
class ImageOptions:
    """How an activity image is read.

    Attributes
    ----------
    activity_unit : str or None
        What a voxel of a NIfTI or MetaImage holds: "MBq h" (time-integrated), "Bq/mL", "Bq", "counts". A DICOM image
        states its own.
    activity_at : tuple of datetime
        Instant that each activity image refers to, where its file does not say.
    series : str or None
        SeriesInstanceUID of the activity, if a folder holds several.
    accept_nuclide : bool
        Take an image although its header names another nuclide.
    slice_spacing_mm : float or None
        Distance between slices of an NM volume that states none; negative to stack against row x column.
    """

    activity_unit: str | None = None
    activity_at: tuple[datetime, ...] = ()
    series: str | None = None
    accept_nuclide: bool = False
    slice_spacing_mm: float | None = None

    def stated(self, nuclide: str, count: int) -> tuple[Stated, ...]:
        """What is stated of each of so many images.

        Raises
        ------
        InputError
            If instants were given for another number of images.
        """
        if len(self.activity_at) not in (0, count):
            raise InputError(f"`activity_at` was given {len(self.activity_at)} times for {count} activity images")
        return tuple(
            Stated(
                unit=self.activity_unit,
                time=time,
                nuclide=nuclide,
                override_nuclide=self.accept_nuclide,
                slice_spacing_mm=self.slice_spacing_mm,
            )
            for time in self.activity_at or (None,) * count
        )


@options
class CtOptions:
    """How the CT is read, and what its numbers mean.

    Attributes
    ----------
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    registered : bool
        State that images of different frames of reference are registered to each other.
    hu_table : Path or None
        The scanner's own table from CT number to density: CSV with hu,density_g_ml.
    """

    ct_series: str | None = None
    registered: bool = False
    hu_table: Path | None = None

    def calibration(self) -> HuCalibration | None:
        """The scanner's own HU table; None for the built-in one.

        Raises
        ------
        InputError
            If the file is no such table.
        """
        return None if self.hu_table is None else load_calibration(self.hu_table)


def read_image(
    path: Path | str,
    *,
    role: str = "image",
    series: str | None = None,
    stated: Stated = NOTHING_STATED,
) -> Image:
    """Read an image from a DICOM file or folder, a NIfTI, MetaImage or Interfile file.

    Parameters
    ----------
    path : Path
        File or folder.
    role : str
        What it is wanted as: "ct", "activity" (PET or SPECT volume), "planar", or "image" (any of them).
    series : str or None
        SeriesInstanceUID, where a folder holds several that fit.
    stated : Stated
        What the file does not say: unit and time of a NIfTI or MetaImage, the nuclide.

    Raises
    ------
    InputError
        If the path does not exist or the role is unknown.
    DicomError
        If no series fits, several fit (AmbiguousSeriesError), or the one that fits is damaged or contradictory.
    UnitError, TimeError
        If unit or reference time of an activity are missing or contradictory.

    Examples
    --------
    >>> read_image("no/such/folder", role="ct")
    Traceback (most recent call last):
    hepatica.errors.InputError: no/such/folder: no such file or folder
    """
    from hepatica.io.interfile.images import is_interfile, read_interfile_image
    from hepatica.io.itk import is_itk_file, read_itk_image

    if role not in ROLES:
        raise InputError(f"unknown role {role!r}; known: {', '.join(ROLES)}")
    path = Path(path)
    if is_interfile(path):
        return _positive(read_interfile_image(path, role=role, stated=stated))
    if is_itk_file(path):
        if stated.unit is None and role == "ct":
            stated = Stated(unit="HU", time=stated.time)
        stated = with_unit_beside(path, stated)
        return _positive(read_itk_image(path, role=role, stated=stated))
    found = scan(path)
    image = read_series(found.choose(role, ROLES[role], series), role=role, stated=stated)
    _require_unit(image, stated)
    broken = [f"skipped {s.path}: {s.reason}" for s in found.skipped]
    if len(broken) > 5:
        broken = [*broken[:5], f"and {len(broken) - 5} more files were skipped"]
    beside = tuple(str(s.path) for s in found.skipped)
    image = replace(image, source=replace(image.source, paths=(*image.source.paths, *beside)))
    return image.with_messages(*found.messages, *(Message("file-skipped", text) for text in broken))


def read_series(series: Series, *, role: str = "image", stated: Stated = NOTHING_STATED) -> Image:
    """Read one series that `scan` found.

    Raises
    ------
    DicomError
        If it is not an image that hepatica reads, or it is damaged or contradictory.
    UnitError
        If it is one of activity and negative on the whole.
    """
    if series.kind is SeriesKind.CT:
        from hepatica.io.dicom.images.ct import read_ct

        return read_ct(series, role=role)
    if series.kind is SeriesKind.PET:
        from hepatica.io.dicom.images.pet import read_pet

        return _positive(read_pet(series, stated, role=role))
    if series.kind in (SeriesKind.NM_RECON, SeriesKind.NM_PLANAR, SeriesKind.NM_PROJECTIONS):
        from hepatica.io.dicom.images.nm import read_nm

        return _positive(read_nm(series, stated, role=role))
    raise DicomError(f"{series.what or series.kind.value} is not read as an image", path=series.files[0])


_OF_ACTIVITY = (Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.DECAYS)


def _positive(image: Image) -> Image:
    """The image; UnitError if it is one of activity and its values are negative on the whole, which noise is not."""
    total = image.volume.values.sum(dtype=np.float64) if image.volume.kind in _OF_ACTIVITY else 0.0
    if total < 0:
        negative = int((image.volume.values < 0).sum())
        raise UnitError(
            f"{image.name}: {negative} of {image.volume.values.size} voxels are negative, and so is their sum: these "
            f"are no {image.volume.kind.meaning}",
            remedy="look at its sign and offset (scl_inter, RescaleIntercept)",
        )
    return image


def _require_unit(image: Image, stated: Stated) -> None:
    """UnitError if the unit stated is not that of a DICOM image, which states its own."""
    if stated.unit is not None and voxel_unit(stated.unit) != (image.volume.kind, 1.0):
        raise UnitError(
            f"{image.name}: holds {image.volume.kind.meaning} ({image.volume.kind.unit}) by its own header; the unit "
            f"stated, {stated.unit!r}, contradicts it",
            remedy="state none for DICOM",
        )
