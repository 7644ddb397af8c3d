"""CT series to HU: rescale per slice, padding, compression, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_makers import changed, compress_by_gdcm, ct_series, put_pixels, ramp, save, small_grid
from hepatica.core import Grid, Kind
from hepatica.errors import DicomError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.read import read_image

GRID = small_grid()
HU = ramp(GRID, -1000, 1000)


def test_values_and_place(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path)
    image = read_image(tmp_path, role="ct")
    assert image.volume.kind is Kind.HU
    assert image.volume.values.dtype == np.float32
    assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-6
    assert image.grid.frame_of_reference == GRID.frame_of_reference
    # The odd slices' slope of 0.5 holds every whole HU exactly.
    assert np.array_equal(image.volume.values, HU)
    assert image.source.files == GRID.shape[2]
    assert image.context is not None
    assert [i.sop_instance_uid.rsplit(".", 1)[1] for i in image.context.instances] == [str(n) for n in range(1, 7)]


def test_order_of_names_does_not_matter(tmp_path: Path) -> None:
    datasets = ct_series(GRID, HU)
    for number, dataset in zip((3, 1, 6, 2, 5, 4), datasets, strict=True):
        dataset.InstanceNumber = number
    save(datasets, tmp_path)
    assert np.array_equal(read_image(tmp_path, role="ct").volume.values, HU)


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        "1.2.840.10008.1.2.4.57",  # JPEG lossless
        "1.2.840.10008.1.2.4.70",  # JPEG lossless, first order
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    ],
)
def test_compressed_equals_native(tmp_path: Path, syntax: str) -> None:
    # JPEG 2000 with its usual five resolutions needs 32 pixels.
    grid = Grid((40, 36, 3), GRID.affine, GRID.frame_of_reference)
    hu = ramp(grid, -1000, 2000)
    datasets = ct_series(grid, hu)
    if syntax.endswith((".5", ".90")):
        paths = save(datasets, tmp_path, syntax=syntax)
    else:
        paths = save(datasets, tmp_path)
        for path in paths:
            compress_by_gdcm(path, syntax)
    assert str(pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID) == syntax
    assert np.array_equal(read_image(tmp_path, role="ct").volume.values, hu)


def test_deflated_equals_native(tmp_path: Path) -> None:
    paths = save(ct_series(GRID, HU), tmp_path)
    for path in paths:
        file = pydicom.dcmread(path)
        file.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
        file.save_as(path)
    assert np.array_equal(read_image(tmp_path, role="ct").volume.values, HU)
    paths[1].write_bytes(paths[1].read_bytes()[:-40])
    with pytest.raises(DicomError, match=rf"{paths[1].name}.*cut short"):
        read_image(tmp_path, role="ct")


def test_transfer_syntax_without_decoder_is_named(tmp_path: Path) -> None:
    for path in save(ct_series(GRID, HU), tmp_path, syntax="1.2.840.10008.1.2.5"):
        file = pydicom.dcmread(path)
        file.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
        file.save_as(path)
    with pytest.raises(DicomError, match=r"MPEG-4.*cannot be decoded"):
        read_image(tmp_path, role="ct")


def test_padding_becomes_air(tmp_path: Path) -> None:
    hu = HU.copy()
    datasets = ct_series(GRID, hu, PixelPaddingValue=-2000)
    for dataset in datasets:
        stored = np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, dataset.Columns).copy()
        stored[0, :] = -2000
        put_pixels(dataset, stored)
    save(datasets, tmp_path)
    image = read_image(tmp_path, role="ct")
    assert (image.volume.values[:, 0, :] == -1000).all()
    assert np.array_equal(image.volume.values[:, 1:, :], HU[:, 1:, :])
    assert any("42 padding voxels" in str(message) for message in image.messages)


def test_padding_that_equals_tissue_is_left_alone(tmp_path: Path) -> None:
    save(ct_series(GRID, HU, PixelPaddingValue=1024), tmp_path)  # 0 HU in the even slices
    assert np.array_equal(read_image(tmp_path, role="ct").volume.values, HU)


def test_unused_bits_are_dropped(tmp_path: Path) -> None:
    datasets = ct_series(GRID, HU)
    for k, dataset in enumerate(datasets):
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        stored = (HU[:, :, k].T + 1024).astype(np.uint16)
        put_pixels(dataset, stored | np.uint16(0xA000), stored_bits=12)  # an overlay in the high bits
    save(datasets, tmp_path)
    assert np.array_equal(read_image(tmp_path, role="ct").volume.values, HU)


def test_enhanced_ct(tmp_path: Path) -> None:
    first = ct_series(GRID, HU, SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")[0]
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
    ):
        delattr(first, keyword)
    put_pixels(first, (HU.transpose(2, 1, 0)[::-1] + 1024).astype(np.int16))
    first.NumberOfFrames = GRID.shape[2]
    shared, measures, orientation, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    geometry.write_spacing(measures, GRID)
    orientation.ImageOrientationPatient = geometry.decimal_strings(geometry.orientation_of(GRID))
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [rescale]
    first.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for where in geometry.slice_positions_mm(GRID)[::-1]:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = geometry.decimal_strings(where)
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    first.PerFrameFunctionalGroupsSequence = frames
    save(first, tmp_path)
    image = read_image(tmp_path, role="ct")
    assert np.array_equal(image.volume.values, HU)
    assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-6


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"RescaleSlope": None}, DicomError, "RescaleSlope: is missing"),
        ({"RescaleSlope": 0}, DicomError, "RescaleSlope: is 0"),
        ({"RescaleType": "Z_EFF"}, UnitError, "Z_EFF"),
        ({"BitsStored": 40}, DicomError, "not an image"),
        ({"PhotometricInterpretation": "RGB"}, DicomError, "grey-scale"),
        ({"Rows": 4}, DicomError, "contradictory"),
        ({"FrameOfReferenceUID": "1.2.3"}, DicomError, "differs"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, object], error: type[Exception], words: str) -> None:
    datasets = ct_series(GRID, HU)
    changed(datasets[2:3] if "FrameOfReferenceUID" in changes else datasets, **changes)
    save(datasets, tmp_path)
    with pytest.raises(error, match=words):
        read_image(tmp_path, role="ct")


def test_unspecified_rescale_type_is_noted(tmp_path: Path) -> None:
    save(ct_series(GRID, HU, RescaleType="US"), tmp_path)
    assert any("unspecified" in str(message) for message in read_image(tmp_path, role="ct").messages)


def test_values_below_the_scale_are_noted(tmp_path: Path) -> None:
    save(ct_series(GRID, np.where(HU < -990, -3024, HU)), tmp_path)
    assert any("below -1024 HU, down to -3024" in str(message) for message in read_image(tmp_path, role="ct").messages)


def test_single_slice(tmp_path: Path) -> None:
    save(ct_series(GRID, HU)[2], tmp_path)
    image = read_image(tmp_path, role="ct")
    assert image.grid.shape == (7, 5, 1)
    assert "single slice" in image.messages[0].text


@pytest.mark.parametrize(("spare", "is_read"), [(bytes(4), True), (b"\0\0\0\1", False), (bytes(14), False)])
def test_a_few_spare_zeros_after_the_pixels_are_none(tmp_path: Path, spare: bytes, *, is_read: bool) -> None:
    # A row of the small grid has 7 pixels of 2 bytes: 14 more bytes would be another row.
    slices = ct_series(GRID, HU)
    for one in slices:
        one.PixelData += spare
    save(slices, tmp_path)
    if is_read:
        assert read_image(tmp_path, role="ct").grid.shape == GRID.shape
    else:
        with pytest.raises(DicomError, match="contradictory"):
            read_image(tmp_path, role="ct")
