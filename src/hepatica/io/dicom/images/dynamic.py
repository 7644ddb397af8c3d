"""Dynamic gamma camera series (NM DYNAMIC): frames with their times, read and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind
from hepatica.core.context import DicomContext
from hepatica.core.provenance import InputFile
from hepatica.errors import UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.identity.inputs import input_file
from hepatica.io.dicom.images.nm import energy_windows_kev, values_of
from hepatica.io.dicom.images.phases import frame_times
from hepatica.io.dicom.images.planar import stands_of
from hepatica.io.dicom.images.radiopharmaceutical import radiopharmaceutical_of
from hepatica.io.dicom.images.write import NM_IMAGE, Emission, agent_item, write_pixels
from hepatica.io.dicom.objects import RESEARCH_ONLY, new_object, open_object, save_object
from hepatica.io.dicom.pixels import stored_values
from hepatica.io.dicom.tags import Header, open_dicom


@dataclass(frozen=True, slots=True, eq=False)
class DynamicFile:
    """A dynamic series.

    Attributes
    ----------
    counts : ndarray, shape (frames, rows, columns)
        As stored, scaled if the file says so.
    start_s, duration_s : ndarray, shape (frames,)
        Of each frame: start after the first one, exposure.
    pixel_mm : tuple of float
        Along a row, and along a column.
    nuclide : str
        That the header names, or that its energy window is called; empty if none.
    windows_kev : tuple of tuple
        Energy windows.
    corrected : tuple of str
        CorrectedImage: "DTIM" where dead time was corrected.
    instance : int or None
        InstanceNumber.
    clock_s : float or None
        Start by the camera's clock: seconds since 1970 of the acquisition; None where the header has none.
    patient_id : str
        Empty if the header has none.
    source : InputFile
        The file with its hash.
    view : str
        "anterior" or "posterior"; empty if the header does not say.
    row_to_left, column_to_head : int, bool or None
        How rows and columns run, as of a `PlanarView`; None if the header does not say.
    """

    counts: NDArray[np.float64]
    start_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]
    pixel_mm: tuple[float, float]
    nuclide: str
    windows_kev: tuple[tuple[float, float], ...]
    corrected: tuple[str, ...]
    instance: int | None
    clock_s: float | None
    patient_id: str
    source: InputFile
    view: str = ""
    row_to_left: int | None = None
    column_to_head: bool | None = None


def read_dynamic(path: Path | str, *, energy_window: int | None = None, detector: int | None = None) -> DynamicFile:
    """Read a dynamic gamma camera file, or a static one as a series of one frame.

    Parameters
    ----------
    path : Path
        An NM file.
    energy_window, detector : int, optional
        Which to take where it holds several, from 1.

    Raises
    ------
    DicomError
        If it is no NM image, its frames have no times, or it holds several windows or detectors and none is chosen.
    UnitError
        If it does not hold counts.
    """
    open_object(path, (NM_IMAGE,), "a gamma camera series")
    header = open_dicom(Path(path), pixels=True)
    kind, values, unit, _ = values_of(header, stored_values(header))
    if kind is not Kind.COUNTS:
        raise UnitError(f"{path}: holds {unit}; monitoring takes counts")
    picked = _chosen(header, len(values), {"EnergyWindowVector": energy_window, "DetectorVector": detector})
    start, duration = _times(header, len(values))
    agent = radiopharmaceutical_of(header, first_acquisition=None)
    acquired = _acquired_s(header)
    return DynamicFile(
        np.asarray(values, np.float64)[picked], start[picked] - start[picked][0], duration[picked],
        geometry.pixel_size_of(header), agent.nuclide or "", energy_windows_kev(header),
        header.texts("CorrectedImage"), header.integer("InstanceNumber"),
        None if acquired is None else acquired + float(start[picked][0]),
        header.text("PatientID"), input_file("frames", Path(path)), *stands_of(header, int(picked[0]), len(values)),
    )  # fmt: skip


EPOCH_YEAR = 1971
"""Earlier dates were put in place of true ones."""


def _acquired_s(header: Header) -> float | None:
    acquired = header.instant("AcquisitionDateTime") or header.date_and_time("AcquisitionDate", "AcquisitionTime")
    return None if acquired is None or acquired.year < EPOCH_YEAR else acquired.timestamp()


def stated_order(path: Path) -> tuple[float | None, int | None]:
    """When a file says that it was acquired, seconds since 1970, and its InstanceNumber; None what it does not say.

    Raises
    ------
    DicomError
        If it is no DICOM file.
    """
    header = open_dicom(path)
    return _acquired_s(header), header.integer("InstanceNumber")


def _times(header: Header, frames: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times = frame_times(header, frames)
    if times is not None:
        return times.start_s, times.duration_s
    duration_ms = header.number("ActualFrameDuration")
    if frames == 1 and duration_ms is not None and duration_ms > 0:
        return np.zeros(1), np.array([duration_ms / 1000])
    raise header.error(
        "PhaseInformationSequence",
        f"is missing, so that {frames} frames have no times",
        remedy="export the dynamic series",
    )


def _chosen(header: Header, frames: int, wanted: dict[str, int | None]) -> NDArray[np.int64]:
    keep = np.ones(frames, dtype=bool)
    words = {"EnergyWindowVector": "energy_window", "DetectorVector": "detector"}
    for keyword, number in wanted.items():
        vector = np.array([int(n) for n in header.numbers(keyword)] or [1] * frames)
        if len(vector) != frames:
            raise header.error(keyword, f"numbers {len(vector)} frames of {frames}")
        there = sorted(set(vector.tolist()))
        if number is None and len(there) > 1:
            raise header.error(
                keyword, f"numbers frames {', '.join(map(str, there))}", remedy=f"choose one (`{words[keyword]}`)"
            )
        if number is not None and number not in there:
            raise header.error(keyword, f"has no {number}; there is {', '.join(map(str, there))}")
        keep &= vector == (there[0] if number is None else number)
    if not keep.any():
        raise header.error("EnergyWindowVector", "no frame has both the energy window and the detector")
    return np.flatnonzero(keep)


def write_dynamic(
    path: Path | str, counts: NDArray[Any], context: DicomContext, emission: Emission, *, pixel_mm: float,
    description: str = "Dynamic", number: int = 1,
) -> Path:  # fmt: skip
    """Write frames of one duration as an NM DYNAMIC file.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    counts : ndarray, shape (frames, rows, columns)
        Whole counts up to 65535.
    context : DicomContext
        Patient and study.
    emission : Emission
        Nuclide, start, duration of a frame, energy window.
    pixel_mm : float
        Edge of a pixel.
    description : str
        Of the series.
    number : int
        InstanceNumber.

    Raises
    ------
    UnitError
        If the counts are negative, fractional or too many.
    """
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    values = np.asarray(counts)
    if values.min() < 0 or values.max() > 65535 or (values != np.rint(values)).any():
        raise UnitError("frames of a dynamic series hold whole counts from 0 to 65535")
    dataset = new_object(context, NM_IMAGE, "NM", description=description)
    frames = len(values)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "DYNAMIC", "EMISSION"]
    dataset.ImageComments = f"Made by hepatica, not acquired. {RESEARCH_ONLY}"
    dataset.InstanceNumber = number
    dataset.AcquisitionDateTime = emission.start.strftime("%Y%m%d%H%M%S.%f%z")
    dataset.AcquisitionDate, dataset.AcquisitionTime = (
        emission.start.strftime("%Y%m%d"),
        emission.start.strftime("%H%M%S.%f"),
    )
    dataset.FrameIncrementPointer = [
        Tag(word) for word in ("EnergyWindowVector", "DetectorVector", "PhaseVector", "TimeSliceVector")
    ]
    dataset.EnergyWindowVector = dataset.DetectorVector = dataset.PhaseVector = [1] * frames
    dataset.TimeSliceVector = list(range(1, frames + 1))
    dataset.NumberOfEnergyWindows = dataset.NumberOfDetectors = dataset.NumberOfPhases = 1
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = values.shape
    phase, window, limits = Dataset(), Dataset(), Dataset()
    phase.PhaseDelay, phase.PauseBetweenFrames, phase.NumberOfFramesInPhase = 0, 0, frames
    phase.ActualFrameDuration = round(emission.frame_duration_s * 1000)
    low, high = emission.energy_window_kev
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = geometry.decimal_strings([low, high])
    window.EnergyWindowRangeSequence = [limits]
    dataset.PhaseInformationSequence, dataset.EnergyWindowInformationSequence = [phase], [window]
    dataset.DetectorInformationSequence = [Dataset()]
    dataset.DetectorInformationSequence[0].CollimatorType = "PARA"
    dataset.RadiopharmaceuticalInformationSequence = [agent_item(emission, in_mbq=True)]
    dataset.PatientOrientationCodeSequence, dataset.PatientGantryRelationshipCodeSequence = [], []
    geometry.write_pixel_size(dataset, pixel_mm)
    write_pixels(dataset, values.transpose(2, 1, 0).astype("<u2"), signed=False)
    dataset.CountsAccumulated = min(int(values.sum(dtype=np.int64)), 2**31 - 1)
    return save_object(dataset, path)
