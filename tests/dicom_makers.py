"""Makers of DICOM files for tests: CT, PET and NM on any grid, with the values and tags the test wants.

Every maker takes a right-handed grid and an array ``values[i, j, k]`` and returns data sets or paths. A tag is changed
with a keyword (``None`` removes it). UIDs are fixed, so that a failing file can be made again.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hepatica.core import Grid
from hepatica.io.dicom import geometry

ROOT = "1.2.826.0.1.3680043.8.498"
CT_CLASS, PET_CLASS, NM_CLASS = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "128", "20"))


def small_grid(frame_of_reference: str | None = f"{ROOT}.9.1") -> Grid:
    """Oblique, anisotropic, feet-first, right-handed, with more columns than rows."""
    turn, tilt = np.deg2rad(17.0), np.deg2rad(-9.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-1.0, 1.0, -1.0]) * [2.5, 3.5, 5.0]
    affine[:3, 3] = (31.0, -42.0, 128.0)
    return Grid((7, 5, 6), affine, frame_of_reference)


def ramp(grid: Grid, low: int = 0, high: int = 1000) -> NDArray[np.int64]:
    """Whole numbers, different in every voxel of a small grid: nothing can be swapped unseen."""
    return np.random.default_rng(7).permutation(np.linspace(low, high, grid.size).astype(int)).reshape(grid.shape)


def base(sop_class: str, modality: str, *, series: int = 1, number: int = 1, patient: str = "PAT1") -> Dataset:
    """Data set with patient, study, series and instance."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = f"{ROOT}.{series}.{number}"
    dataset.PatientID, dataset.PatientName = patient, f"Test^{patient}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientWeight = "19500101", "F", "70"
    dataset.StudyInstanceUID = f"{ROOT}.100.{patient.removeprefix('PAT') or 0}"
    dataset.SeriesInstanceUID = f"{ROOT}.200.{series}"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20260302"
    dataset.StudyTime, dataset.SeriesTime, dataset.AcquisitionTime = "100000", "103000", "103000"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "S1", "A1", "Doe^J"
    dataset.SeriesNumber, dataset.InstanceNumber = series, number
    dataset.SeriesDescription = f"test {modality} {series}"
    dataset.Modality = modality
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Model"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    return dataset


def put_pixels(dataset: Dataset, stored: NDArray[Any], *, stored_bits: int | None = None) -> None:
    """Set pixel data from integers of shape (rows, columns) or (frames, rows, columns)."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    dataset.BitsStored = stored_bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()


def changed(datasets: Sequence[Dataset], **changes: Any) -> list[Dataset]:
    """Set (or with None remove) tags of all data sets; wrong values are let through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dataset in datasets:
            for keyword, value in changes.items():
                if value is None:
                    if keyword in dataset:
                        delattr(dataset, keyword)
                else:
                    setattr(dataset, keyword, value)
    return list(datasets)


def ct_series(grid: Grid, hu: NDArray[Any], *, series: int = 1, **changes: Any) -> list[Dataset]:
    """CT, one data set per slice; odd slices have another slope and intercept."""
    datasets = []
    for k in range(grid.shape[2]):
        dataset = base(CT_CLASS, "CT", series=series, number=k + 1)
        geometry.write_plane(dataset, grid, k)
        slope, intercept = (1, -1024) if k % 2 == 0 else (0.5, -1000)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = slope, intercept, "HU"
        put_pixels(dataset, np.rint((hu[:, :, k].T - intercept) / slope).astype(np.int16))
        datasets.append(dataset)
    return changed(datasets, **changes)


def radiopharmaceutical(**changes: Any) -> Dataset:
    """Item of RadiopharmaceuticalInformationSequence: 90Y."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-162A7", "SRT", "^90^Yttrium"
    item = Dataset()
    item.Radiopharmaceutical = "Y-90 microspheres"
    item.RadionuclideCodeSequence = [code]
    item.RadionuclideHalfLife = "230580"
    item.RadionuclidePositronFraction = "3.186e-05"
    item.RadionuclideTotalDose = "2100000000"
    item.RadiopharmaceuticalStartDateTime = "20260302080000"
    return changed([item], **changes)[0]


def fluorine() -> Dataset:
    """The same for 18F, as scanners write that were left on their usual protocol."""
    item = radiopharmaceutical(RadionuclideHalfLife="6586.2", RadionuclidePositronFraction="0.9673")
    code = item.RadionuclideCodeSequence[0]
    code.CodeValue, code.CodeMeaning = "C-111A1", "^18^Fluorine"
    return item


def pet_series(
    grid: Grid,
    stored: NDArray[Any],
    *,
    series: int = 2,
    item: Dataset | None = None,
    **changes: Any,
) -> list[Dataset]:
    """PET in BQML, decay-corrected to START, one data set per slice with a slope of its own (k + 1)."""
    datasets = []
    for k in range(grid.shape[2]):
        dataset = base(PET_CLASS, "PT", series=series, number=k + 1)
        geometry.write_plane(dataset, grid, k)
        dataset.SeriesType, dataset.Units, dataset.CountsSource = ["STATIC", "IMAGE"], "BQML", "EMISSION"
        dataset.DecayCorrection = "START"
        dataset.CorrectedImage = ["DECY", "ATTN", "SCAT", "RAN"]
        dataset.ActualFrameDuration = "1200000"
        dataset.NumberOfSlices = grid.shape[2]
        dataset.RescaleSlope, dataset.RescaleIntercept = k + 1, 0
        dataset.RadiopharmaceuticalInformationSequence = [item or radiopharmaceutical()]
        put_pixels(dataset, stored[:, :, k].T.astype(np.uint16))
        datasets.append(dataset)
    return changed(datasets, **changes)


def nm_volume(grid: Grid, counts: NDArray[Any], *, series: int = 3, **changes: Any) -> Dataset:
    """NM RECON TOMO, one multi-frame data set."""
    dataset = base(NM_CLASS, "NM", series=series)
    dataset.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    window, limits = Dataset(), Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = "126", "154"
    window.EnergyWindowRangeSequence = [limits]
    dataset.EnergyWindowInformationSequence = [window]
    rotation = Dataset()
    rotation.ScanArc, rotation.AngularStep, rotation.ActualFrameDuration = "360", "3", "20000"
    dataset.RotationInformationSequence = [rotation]
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-163A8", "SRT", "^99m^Technetium"
    item = Dataset()
    item.RadionuclideCodeSequence = [code]
    dataset.RadiopharmaceuticalInformationSequence = [item]
    put_pixels(dataset, counts.transpose(2, 1, 0).astype(np.uint16))
    geometry.write_nuclear_planes(dataset, grid)
    dataset.SliceVector = list(range(1, grid.shape[2] + 1))
    return changed([dataset], **changes)[0]


def save(datasets: Sequence[Dataset] | Dataset, folder: Path, *, syntax: str = ExplicitVRLittleEndian) -> list[Path]:
    """Write data sets as files ``<modality><series>-<number>.dcm``; native ones are compressed if `syntax` says so."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in [datasets] if isinstance(datasets, Dataset) else datasets:
        number = int(dataset.get("InstanceNumber") or 1)
        path = folder / f"{dataset.get('Modality', 'XX')}{dataset.get('SeriesNumber', 0)}-{number:03d}.dcm"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID") or CT_CLASS
        meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID") or f"{ROOT}.0.{number}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset(str(path), dataset, file_meta=meta, preamble=b"\0" * 128)
        if syntax != ExplicitVRLittleEndian:
            file.compress(syntax)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def compress_by_gdcm(path: Path, syntax: str) -> None:
    """Compress a file in place to JPEG Lossless or JPEG-LS, which pydicom cannot encode."""
    import gdcm

    names = {
        "1.2.840.10008.1.2.4.57": gdcm.TransferSyntax.JPEGLosslessProcess14,
        "1.2.840.10008.1.2.4.70": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        "1.2.840.10008.1.2.4.80": gdcm.TransferSyntax.JPEGLSLossless,
    }
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(names[syntax]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
