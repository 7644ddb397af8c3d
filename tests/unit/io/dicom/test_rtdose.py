"""RT Dose: the same values at the same patient coordinates, whoever reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from hepatica.core import Grid, InputFile, Kind, Provenance, Volume
from hepatica.core.context import DicomContext, Instance
from hepatica.errors import DicomError, GeometryError, HepaticaError, OutputError, UnitError
from hepatica.io.dicom.rtdose import RT_STRUCTURE_SET, DoseText, read_rtdose, write_rtdose

FINEST = {16: 0.5 / 65535, 32: 0.5 / (2**32 - 1)}


@pytest.fixture
def dose(oblique_grid: Grid) -> Volume:
    values = np.random.default_rng(1).uniform(0, 300, oblique_grid.shape)
    return Volume(oblique_grid, values, Kind.DOSE, name="dose")


def left_handed(volume: Volume) -> Volume:
    """The same voxels counted from the other end of k."""
    affine = np.array(volume.grid.affine)
    affine[:3, 3] = volume.grid.to_mm([0, 0, volume.grid.shape[2] - 1])
    affine[:3, 2] *= -1
    grid = Grid(volume.grid.shape, affine, volume.grid.frame_of_reference)
    return Volume(grid, volume.values[:, :, ::-1], volume.kind)


@pytest.fixture(params=["right-handed", "left-handed"])
def either(request: pytest.FixtureRequest, dose: Volume) -> Volume:
    return dose if request.param == "right-handed" else left_handed(dose)


@pytest.mark.parametrize("bits", [16, 32])
def test_our_reader(tmp_path: Path, either: Volume, context: DicomContext, bits: int) -> None:
    write_rtdose(tmp_path / "dose.dcm", either, context, bits=bits)
    back = read_rtdose(tmp_path / "dose.dcm")
    assert back.volume.kind is Kind.DOSE
    assert back.volume.grid.frame_of_reference == either.grid.frame_of_reference
    # Rounding to half a step, and for 16 bits to float32 (6e-8).
    step = FINEST[bits] + (6e-8 if bits == 16 else 1e-12)
    index = np.rint(back.volume.grid.to_index(either.grid.to_mm([[0, 0, 0], [5, 7, 3], [23, 17, 14]]))).astype(int)
    for (i, j, k), at in zip(index, ([0, 0, 0], [5, 7, 3], [23, 17, 14]), strict=True):
        assert back.volume.values[i, j, k] == pytest.approx(either.values[tuple(at)], abs=step * 300 * 1.01)
    assert not back.messages
    assert back.summation == "PLAN_OVERVIEW"
    assert back.context.patient_id == "P1"
    assert back.context.study_uid == context.study_uid


@pytest.mark.parametrize("bits", [16, 32])
def test_pydicom_by_hand(tmp_path: Path, either: Volume, context: DicomContext, bits: int) -> None:
    write_rtdose(tmp_path / "dose.dcm", either, context, bits=bits)
    ds = pydicom.dcmread(tmp_path / "dose.dcm")
    values = ds.pixel_array * float(ds.DoseGridScaling)
    row, column = np.array(ds.ImageOrientationPatient[:3]), np.array(ds.ImageOrientationPatient[3:])
    worst = 0.0
    for frame, r, c in [(0, 0, 0), (14, 17, 23), (4, 3, 9), (9, 11, 2)]:
        # PS3.3 C.7.6.2.1.1 with C.8.8.3.2: offsets along row x column.
        place = (
            np.array(ds.ImagePositionPatient)
            + row * ds.PixelSpacing[1] * c
            + column * ds.PixelSpacing[0] * r
            + np.cross(row, column) * ds.GridFrameOffsetVector[frame]
        )
        at = either.grid.to_index(place)
        np.testing.assert_allclose(at, np.rint(at), atol=1e-5)
        i, j, k = np.rint(at).astype(int)
        worst = max(worst, abs(values[frame, r, c] - either.values[i, j, k]))
    assert worst < FINEST[bits] * 300 * 1.01
    assert ds.GridFrameOffsetVector[0] == 0
    assert (ds.DoseUnits, ds.DoseType) == ("GY", "PHYSICAL")
    assert ds.FrameOfReferenceUID == either.grid.frame_of_reference
    assert [item.ReferencedSOPInstanceUID for item in ds.ReferencedImageSequence] == [
        instance.sop_instance_uid for instance in context.instances
    ]


@pytest.mark.parametrize("bits", [16, 32])
def test_simpleitk_with_scaling(tmp_path: Path, either: Volume, context: DicomContext, bits: int) -> None:
    write_rtdose(tmp_path / "dose.dcm", either, context, bits=bits)
    image = sitk.ReadImage(str(tmp_path / "dose.dcm"))
    scaling = float(pydicom.dcmread(tmp_path / "dose.dcm", stop_before_pixels=True).DoseGridScaling)
    for at in ([0, 0, 0], [23, 17, 14], [3, 9, 4], [17, 2, 11]):
        place = either.grid.to_mm(at).tolist()
        index = image.TransformPhysicalPointToIndex(place)
        found = image.GetPixel(*index) * scaling
        assert found == pytest.approx(float(either.values[tuple(at)]), abs=FINEST[bits] * 300 * 1.01)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), place, atol=1e-4)


@pytest.mark.parametrize("bits", [16, 32])
def test_rounding_stays_below_what_is_promised(tmp_path: Path, dose: Volume, context: DicomContext, bits: int) -> None:
    exact = dose.with_values(dose.values.astype(np.float64))
    write_rtdose(tmp_path / "dose.dcm", exact, context, bits=bits)
    back = read_rtdose(tmp_path / "dose.dcm").volume.values
    error = np.abs(back - exact.values).max() / exact.values.max()
    assert error < {16: 1e-4, 32: 1e-9}[bits]


def test_valid_dicom(
    tmp_path: Path, dose: Volume, context: DicomContext, dciodvfy: Callable[[Path], list[str]]
) -> None:
    # 16 bits only: dciodvfy aborts on 32-bit doses.
    text = DoseText(structure_set=Instance(RT_STRUCTURE_SET, "1.2.3.4"), provenance=Provenance(steps=("one", "two")))
    write_rtdose(tmp_path / "dose.dcm", dose, context, text=text)
    assert dciodvfy(tmp_path / "dose.dcm") == []


def test_dciodvfy_would_find_an_error(
    tmp_path: Path, dose: Volume, context: DicomContext, dciodvfy: Callable[[Path], list[str]]
) -> None:
    write_rtdose(tmp_path / "dose.dcm", dose, context)
    ds = pydicom.dcmread(tmp_path / "dose.dcm")
    del ds.DoseUnits
    ds.save_as(tmp_path / "broken.dcm")
    assert dciodvfy(tmp_path / "broken.dcm")


def test_says_what_it_is(tmp_path: Path, dose: Volume, context: DicomContext) -> None:
    provenance = Provenance(
        inputs=(InputFile("ct", "a\\b", "00"),),
        parameters={"method": "kernel"},
        steps=tuple("x" * 900 for _ in range(30)),
    )
    text = DoseText(
        label="Y-90 kernel",
        heterogeneity="WATER",
        structure_set=Instance(RT_STRUCTURE_SET, "1.2.3.4"),
        provenance=provenance,
    )
    instance = write_rtdose(tmp_path / "dose.dcm", dose, context, text=text)
    ds = pydicom.dcmread(tmp_path / "dose.dcm")
    assert ds.SOPInstanceUID == instance.sop_instance_uid
    assert "esearch use only" in ds.ImageComments
    assert "kernel" in ds.ImageComments
    assert len(ds.ImageComments) <= 10240
    assert ds.Manufacturer == "hepatica"
    assert ds.SoftwareVersions
    back = read_rtdose(tmp_path / "dose.dcm")
    assert back.heterogeneity == ("WATER",)
    assert back.structure_set_uid == "1.2.3.4"


def test_zero_dose(tmp_path: Path, dose: Volume, context: DicomContext) -> None:
    write_rtdose(tmp_path / "dose.dcm", dose.with_values(np.zeros(dose.grid.shape)), context)
    assert not read_rtdose(tmp_path / "dose.dcm").volume.values.any()


@pytest.mark.parametrize(("value", "message"), [(-1e-6, "negative"), (np.nan, "NaN"), (np.inf, "infinite")])
def test_impossible_doses_are_refused(
    tmp_path: Path, dose: Volume, context: DicomContext, value: float, message: str
) -> None:
    values = np.array(dose.values)
    values[3, 4, 5] = value
    with pytest.raises(UnitError, match=message):
        write_rtdose(tmp_path / "dose.dcm", dose.with_values(values), context)
    assert not list(tmp_path.iterdir())


def test_other_mistakes_are_refused(tmp_path: Path, dose: Volume, context: DicomContext) -> None:
    path = tmp_path / "dose.dcm"
    with pytest.raises(UnitError, match="absorbed dose"):
        write_rtdose(path, dose.with_values(dose.values, Kind.HU), context)
    with pytest.raises(DicomError, match="16 or 32"):
        write_rtdose(path, dose, context, bits=8)
    with pytest.raises(DicomError, match="ROI_OVERRIDE"):
        write_rtdose(path, dose, context, text=DoseText(heterogeneity="LUNG"))
    elsewhere = Volume(dose.grid.with_frame_of_reference("1.2.3"), dose.values, Kind.DOSE)
    with pytest.raises(GeometryError, match="frame of reference"):
        write_rtdose(path, elsewhere, context)
    with pytest.raises(OutputError):
        write_rtdose(tmp_path / "no" / "dose.dcm", dose, context)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("keyword", "value", "error", "message"),
    [
        ("DoseUnits", "RELATIVE", UnitError, "RELATIVE"),
        ("DoseType", "EFFECTIVE", UnitError, "EFFECTIVE"),
        ("DoseGridScaling", "0", DicomError, "positive"),
        ("DoseGridScaling", None, DicomError, "DoseGridScaling"),
        ("DoseGridScaling", "1e308", HepaticaError, "DoseGridScaling"),
        ("DoseGridScaling", "1e25", UnitError, "gives a largest dose of"),
        ("DoseGridScaling", "1e3", UnitError, "gives a largest dose of"),
        ("DoseGridScaling", "1e-25", UnitError, "gives a largest dose of"),
        ("GridFrameOffsetVector", None, DicomError, "GridFrameOffsetVector"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2", DicomError, "CT Image Storage"),
        ("NumberOfFrames", 14, DicomError, "GridFrameOffsetVector"),
        ("PixelData", b"\0\0", DicomError, "truncated"),
        ("Rows", None, DicomError, "no dose grid"),
    ],
)
def test_broken_files_are_refused(
    tmp_path: Path,
    dose: Volume,
    context: DicomContext,
    keyword: str,
    value: object,
    error: type[Exception],
    message: str,
) -> None:
    path = tmp_path / "dose.dcm"
    write_rtdose(path, dose, context)
    ds = pydicom.dcmread(path)
    if value is None:
        delattr(ds, keyword)
    else:
        setattr(ds, keyword, value)
    ds.save_as(path)
    with pytest.raises(error, match=message):
        read_rtdose(path)


def test_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(DicomError, match="not a file"):
        read_rtdose(tmp_path)
    (tmp_path / "x.dcm").write_bytes(b"no")
    with pytest.raises(DicomError):
        read_rtdose(tmp_path / "x.dcm")
