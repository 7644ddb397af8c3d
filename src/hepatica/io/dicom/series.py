"""What the readers of CT, PET and NM share: a series, its values and the facts every header holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile
from hepatica.core.image import Acquisition
from hepatica.core.message import Message, unique
from hepatica.errors import DicomError
from hepatica.io.dicom.identity.profile import identity_of
from hepatica.io.dicom.pixels import file_of, is_lossy, rescale, stored_values
from hepatica.io.dicom.tags import Header

MAX_WHOLE_FLOAT32 = 2**24
"""Whole numbers up to this are exact in single precision."""

LIGHTEST_KG, HEAVIEST_KG = 1.0, 500.0
"""Weights of patients (and of phantoms that are scanned as such); a weight in grams lies above."""


class SeriesKind(Enum):
    """What a series is."""

    CT = "CT"
    CT_LOCALIZER = "CT localizer"
    PET = "PET"
    PET_RAW = "PET raw data (coincidences)"
    NM_RECON = "NM reconstruction (SPECT volume)"
    NM_PROJECTIONS = "NM projections (not reconstructed)"
    NM_PLANAR = "NM planar or whole body"
    MR = "MR"
    RTSTRUCT = "RTSTRUCT (contours)"
    SEG = "SEG (segmentation)"
    RTDOSE = "RTDOSE"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Files that belong together.

    Attributes
    ----------
    kind : SeriesKind
        What it is.
    what : str
        In words, where `kind` is OTHER or needs more.
    uid : str
        SeriesInstanceUID.
    part : str
        Which part of the series, where the files of one UID hold several volumes ("acquisition 2"); else empty.
    headers : tuple of Header
        One per file, sorted by file name.
    damaged : tuple of Path
        Files of the same series that could not be read: the series is not whole.
    """

    kind: SeriesKind
    what: str
    uid: str
    part: str
    headers: tuple[Header, ...]
    damaged: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """What to pass to choose it: the UID, with the number of the part after a colon if there are several."""
        return f"{self.uid}:{self.part.split(':')[0].removeprefix('part ')}" if self.part else self.uid

    @property
    def description(self) -> str:
        """Series description; empty if none."""
        return self.headers[0].text("SeriesDescription")

    @property
    def files(self) -> tuple[Path, ...]:
        """Paths of its files."""
        return tuple(file_of(header) for header in self.headers)

    @property
    def patient(self) -> tuple[str, str]:
        """Patient's ID and name."""
        return self.headers[0].text("PatientID"), self.headers[0].text("PatientName")

    @property
    def images(self) -> int:
        """Number of images: files, or frames of multi-frame files."""
        return sum(header.integer("NumberOfFrames") or 1 for header in self.headers)

    @property
    def date(self) -> str:
        """Date of the series (or the study) as YYYYMMDD; empty if unknown."""
        return self.headers[0].text("SeriesDate") or self.headers[0].text("StudyDate")

    def __repr__(self) -> str:
        part = f", {self.part}" if self.part else ""
        return f"<Series {self.kind.value}{part}: {self.description!r}, {self.images} images, {self.date}, {self.key}>"

    def require_whole(self) -> None:
        """Raise DicomError if files of this series are damaged, naming them."""
        if self.damaged:
            names = ", ".join(str(path) for path in self.damaged[:5])
            raise DicomError(
                f"{len(self.damaged)} files of the series {self.description!r} are damaged or empty and it would have "
                f"a hole or end early: {names}",
                remedy="copy them again",
            )

    def source(self, role: str) -> InputFile:
        """Files with their hash, for the provenance."""
        files = list(self.files)
        found = InputFile.of(role, files[0]) if len(files) == 1 else InputFile.of(role, files[0].parent, files)
        return replace(found, identity=identity_of(self.headers[0]))


def slice_values(
    headers: Sequence[Header],
    factors: Sequence[float] | None = None,
    *,
    rescale_required: bool,
    scales: Sequence[tuple[float, float]] | None = None,
) -> NDArray[np.float32]:
    """Rescaled values of single-frame files in the order given, slope and intercept of each file its own.

    Parameters
    ----------
    headers : sequence of Header
        One per slice.
    factors : sequence of float or None
        Further factor per slice.
    rescale_required : bool
        Whether a file without RescaleSlope is an error.
    scales : sequence of (float, float) or None
        Slope and intercept per slice in place of the file's RescaleSlope and RescaleIntercept.

    Returns
    -------
    ndarray of float32, shape (columns, rows, slices)
        ``values[i, j, k]``: a view of memory in the order of the files.
    """
    out: NDArray[np.float32] | None = None
    exact: NDArray[np.float64] | None = None
    for k, header in enumerate(headers):
        slope, intercept = rescale(header, required=rescale_required) if scales is None else scales[k]
        factor = 1.0 if factors is None else factors[k]
        stored = stored_values(header)
        if len(stored) != 1:
            raise header.error("NumberOfFrames", f"{len(stored)} frames in a file of a series of single images")
        if out is None or exact is None:
            out = np.empty((len(headers), *stored.shape[1:]), dtype=np.float32)
            exact = np.empty(stored.shape[1:], dtype=np.float64)
        step, start = slope * factor, intercept * factor
        if _is_whole(stored.dtype, step, start):
            out[k] = stored[0]
            out[k] *= np.float32(step)
            out[k] += np.float32(start)
        else:
            # In double precision, rounded once.
            np.multiply(stored[0], step, out=exact)
            exact += start
            out[k] = exact
    if out is None:
        raise DicomError("no file was given")
    if not np.isfinite(out).all():
        raise DicomError("rescaled values are not finite", path=headers[0].path, tag="RescaleSlope")
    return out.transpose(2, 1, 0)


def _is_whole(stored: np.dtype[Any], step: float, start: float) -> bool:
    """Whether all values are whole numbers that single precision holds: as CTs are."""
    if stored.kind not in "iu" or stored.itemsize > 2 or step != int(step) or start != int(start):
        return False
    return abs(step) * 65536 + abs(start) < MAX_WHOLE_FLOAT32


def frame_of_reference(headers: Sequence[Header]) -> str | None:
    """Frame of Reference UID of all files; None if they have none.

    Raises
    ------
    DicomError
        If files of one series state different ones.
    """
    from hepatica.io.dicom.tags import shared_text

    return shared_text(headers, "FrameOfReferenceUID") or None


def acquisition_start(header: Header) -> datetime | None:
    """When the acquisition of an image began; None if its header does not say.

    Raises
    ------
    TimeError
        If date or time cannot be read.
    """
    zone = header.zone()
    return header.date_and_time("AcquisitionDate", "AcquisitionTime", zone) or header.instant(
        "AcquisitionDateTime", zone
    )


def common_facts(header: Header) -> Acquisition:
    """What every modality says of its acquisition."""
    weight = header.number("PatientWeight")
    return Acquisition(
        modality=header.text("Modality"),
        description=header.text("SeriesDescription"),
        scanner=" ".join(filter(None, (header.text("Manufacturer"), header.text("ManufacturerModelName")))),
        weight_kg=weight if weight and LIGHTEST_KG <= weight <= HEAVIEST_KG else None,
    )


def noted(headers: Iterable[Header]) -> tuple[Message, ...]:
    """Messages that concern any series: loss by compression, and what pydicom complained about."""
    headers = list(headers)
    notes = []
    if any(is_lossy(header) for header in headers):
        notes.append(Message("lossy-compression", "the images were compressed with loss: values are not exact"))
    notes += [
        Message(
            "uid-missing",
            f"{keyword} is missing (emptied by an anonymiser?): objects written beside the series cannot refer to it",
        )
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID")
        if any(keyword not in header for header in headers)
    ]
    return unique(notes, *(header.messages() for header in headers))
