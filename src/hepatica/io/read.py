"""The door for images: whatever the format, an `Image` with unit, instant and provenance, or an error that says why."""

from __future__ import annotations

from pathlib import Path

from hepatica.core.image import NOTHING_STATED, Image, Stated
from hepatica.core.message import Message
from hepatica.core.volume import voxel_unit
from hepatica.errors import DicomError, InputError, UnitError
from hepatica.io.dicom.scan import Scan, Skipped, scan
from hepatica.io.dicom.series import Series, SeriesKind

__all__ = ["ROLES", "Image", "Scan", "Series", "SeriesKind", "Skipped", "Stated", "read_image", "read_series", "scan"]

ROLES: dict[str, tuple[SeriesKind, ...]] = {
    "ct": (SeriesKind.CT,),
    "activity": (SeriesKind.PET, SeriesKind.NM_RECON),
    "planar": (SeriesKind.NM_PLANAR,),
    "image": (SeriesKind.CT, SeriesKind.PET, SeriesKind.NM_RECON, SeriesKind.NM_PLANAR),
}
"""What an image can be wanted as, and the kinds of series that fit."""


def read_image(
    path: Path | str,
    *,
    role: str = "image",
    series: str | None = None,
    stated: Stated = NOTHING_STATED,
) -> Image:
    """Read an image from a DICOM file or folder, a NIfTI or a MetaImage file.

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
    from hepatica.io.itk import is_itk_file, read_itk_image

    if role not in ROLES:
        raise InputError(f"unknown role {role!r}; known: {', '.join(ROLES)}")
    path = Path(path)
    if is_itk_file(path):
        if stated.unit is None and role == "ct":
            stated = Stated(unit="HU", time=stated.time)
        return read_itk_image(path, role=role, stated=stated)
    found = scan(path)
    image = read_series(found.choose(role, ROLES[role], series), role=role, stated=stated)
    _require_unit(image, stated)
    broken = [f"skipped {s.path}: {s.reason}" for s in found.skipped]
    if len(broken) > 5:
        broken = [*broken[:5], f"and {len(broken) - 5} more files were skipped"]
    return image.with_messages(*found.messages, *(Message("file-skipped", text) for text in broken))


def read_series(series: Series, *, role: str = "image", stated: Stated = NOTHING_STATED) -> Image:
    """Read one series that `scan` found.

    Raises
    ------
    DicomError
        If it is not an image that hepatica reads, or it is damaged or contradictory.
    """
    if series.kind is SeriesKind.CT:
        from hepatica.io.dicom.images.ct import read_ct

        return read_ct(series, role=role)
    if series.kind is SeriesKind.PET:
        from hepatica.io.dicom.images.pet import read_pet

        return read_pet(series, stated, role=role)
    if series.kind in (SeriesKind.NM_RECON, SeriesKind.NM_PLANAR, SeriesKind.NM_PROJECTIONS):
        from hepatica.io.dicom.images.nm import read_nm

        return read_nm(series, stated, role=role)
    raise DicomError(f"{series.what or series.kind.value} is not read as an image", path=series.files[0])


def _require_unit(image: Image, stated: Stated) -> None:
    """UnitError if the unit stated is not that of a DICOM image, which states its own."""
    if stated.unit is not None and voxel_unit(stated.unit) != (image.volume.kind, 1.0):
        raise UnitError(
            f"{image.name}: holds {image.volume.kind.meaning} ({image.volume.kind.unit}) by its own header; the unit "
            f"stated, {stated.unit!r}, contradicts it",
            remedy="state none for DICOM",
        )
