"""Multi-echo MR as DICOM: one series of magnitude with all echoes, and one of phase where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.context import DicomContext, Instance, new_uid
from hepatica.imaging.mri.echoes import Echoes, MultiEcho
from hepatica.io.dicom import geometry
from hepatica.io.dicom.images.write import write_pixels
from hepatica.io.dicom.objects import RESEARCH_ONLY, frame_of_reference, new_object, save_object
from hepatica.io.dicom.tags import pydicom_door
from hepatica.io.files import output_folder

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def write_multi_echo(folder: Path | str, scan: MultiEcho, context: DicomContext, *, description: str) -> DicomContext:
    """Write ``magnitude/`` and, where there is one, ``phase/``: a file for each echo and slice.

    Parameters
    ----------
    folder : Path
        New or empty folder.
    scan : MultiEcho
        The echoes. Magnitude is kept to 7.6e-6 of its maximum, phase to 1e-4 rad.
    context : DicomContext
        Patient, study and frame of reference; new series are made.
    description : str
        SeriesDescription.

    Returns
    -------
    DicomContext
        Of the magnitude, its instances those of the first echo.

    Raises
    ------
    GeometryError
        If scan and context are in different frames of reference.
    OutputError
        If the folder holds anything, or cannot be written.
    """
    made = None
    with output_folder(Path(folder), listed=False) as new:
        for part, values in (("magnitude", scan.magnitude), ("phase", scan.phase)):
            if values is None:
                continue
            series = context.with_new_series(modality="MR", description=f"{description} {part}")
            found = _write_part(new / part, Path(folder) / part, scan, values, series)
            made = made or found
    assert made is not None
    return made


def _write_part(folder: Path, named: Path, scan: MultiEcho, values: Echoes, context: DicomContext) -> DicomContext:
    frame = frame_of_reference(scan.grid, context)
    grid, turned = geometry.right_handed(scan.grid.with_frame_of_reference(frame))
    is_phase = context.series_description.endswith("phase")
    largest = np.pi if is_phase else float(values.max()) or 1.0
    slope = geometry.decimal_strings([largest / (32767 if is_phase else 65535)])[0]
    folder.mkdir()
    instances = []
    for e, image in enumerate(values):
        ordered = image[:, :, ::-1] if turned else image
        for k in range(grid.shape[2]):
            name = f"MR_e{e + 1:02d}_{k + 1:04d}.dcm"
            with pydicom_door(named, "cannot be written as DICOM"):
                dataset = _image(context, scan, frame, e, is_phase=is_phase)
                dataset.InstanceNumber = e * grid.shape[2] + k + 1
                geometry.write_plane(dataset, grid, k)
                _fill(dataset, ordered[:, :, k], slope, is_phase=is_phase)
            save_object(dataset, folder / name)
            if e == 0:
                instances.append(Instance(MR_IMAGE, dataset.SOPInstanceUID, named / name))
    return replace(context, frame_of_reference=frame, instances=tuple(instances[::-1] if turned else instances))


def _image(context: DicomContext, scan: MultiEcho, frame: str, echo: int, *, is_phase: bool) -> Any:
    dataset = new_object(context, MR_IMAGE, "MR", description=context.series_description)
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = context.series_uid, new_uid()
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = frame, ""
    dataset.SeriesNumber = 2 if is_phase else 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "P" if is_phase else "M", "ND"]
    dataset.ImageComments = f"Made by hepatica, not acquired. {RESEARCH_ONLY}"
    dataset.BodyPartExamined, dataset.PatientPosition = "LIVER", "HFS"
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SP", ""
    dataset.MRAcquisitionType = "3D"
    dataset.RepetitionTime = ""
    dataset.EchoTime = geometry.decimal_strings([1000 * scan.echo_times_s[echo]])[0]
    dataset.EchoNumbers, dataset.EchoTrainLength = echo + 1, scan.echoes
    dataset.MagneticFieldStrength = geometry.decimal_strings([scan.field_t])[0]
    dataset.AcquisitionNumber = 1
    if scan.time is not None:
        day, clock = scan.time.strftime("%Y%m%d"), scan.time.strftime("%H%M%S.%f")
        dataset.SeriesDate, dataset.SeriesTime = day, clock
        dataset.AcquisitionDate, dataset.AcquisitionTime = day, clock
        dataset.ContentDate, dataset.ContentTime = day, clock
    return dataset


def _fill(dataset: Any, values: NDArray[np.float32], slope: Any, *, is_phase: bool) -> None:
    stored = np.rint(values.astype(np.float64) / float(slope))
    if is_phase:
        write_pixels(dataset, np.clip(stored, -32767, 32767).astype("<i2"), signed=True)
    else:
        write_pixels(dataset, np.clip(stored, 0, 65535).astype("<u2"), signed=False)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, "0"
    dataset.RescaleType = "US"
