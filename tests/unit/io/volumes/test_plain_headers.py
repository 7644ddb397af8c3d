"""Units and scale of NIfTI, MetaImage and NRRD headers that ITK reads over; NIfTI-2."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.io.itk import read_itk, write_itk

RANDOM = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPE = (4, 3, 5)
STORED = np.random.default_rng(3).permutation(np.arange(60)).reshape(SHAPE).astype(np.int16)
SPACING = (2.0, 3.5, 5.0)
ORIGIN = (-11.0, 7.0, 40.0)


def axial(spacing: tuple[float, ...] = SPACING, origin: tuple[float, ...] = ORIGIN) -> NDArray[np.float64]:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def nifti(
    path: Path,
    affine_lps: NDArray[np.float64],
    *,
    version: int = 1,
    order: str = "<",
    codes: tuple[int, int] = (0, 1),
    pixdim: tuple[float, ...] = SPACING,
    scale: tuple[float, float] = (1.0, 0.0),
    units: int = 2,
    stored: NDArray[np.int16] = STORED,
) -> Path:
    """A NIfTI file, field by field as nifti1.h and nifti2.h have them; its qform is that of axes along LPS."""
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine_lps
    # Axes along L, P, S: half a turn about S in RAS, the quaternion (0, 0, 1).
    quaternion, offset = (0.0, 0.0, 1.0), ras[:3, 3]
    dim, size = (3, *SHAPE, 1, 1, 1, 1), (1.0, *pixdim, 1.0, 1.0, 1.0, 1.0)
    raw = bytearray(352 if version == 1 else 544)
    if version == 1:
        fields = [("i", 0, (348,)), ("8h", 40, dim), ("2h", 70, (4, 16)), ("8f", 76, size), ("f", 108, (352.0,)),
                  ("2f", 112, scale), ("B", 123, (units,)), ("2h", 252, codes), ("3f", 256, quaternion),
                  ("3f", 268, offset), ("12f", 280, ras[:3].ravel()), ("4s", 344, (b"n+1\0",))]  # fmt: skip
    else:
        fields = [("i", 0, (540,)), ("8s", 4, (b"n+2\0\r\n\x1a\n",)), ("2h", 12, (4, 16)), ("8q", 16, dim),
                  ("8d", 104, size), ("q", 168, (544,)), ("2d", 176, scale), ("2i", 344, codes),
                  ("3d", 352, quaternion), ("3d", 376, offset), ("12d", 400, ras[:3].ravel()),
                  ("i", 500, (units,))]  # fmt: skip
    for layout, at, numbers in fields:
        struct.pack_into(order + layout, raw, at, *numbers)
    voxels = stored.astype(f"{order}i2").tobytes(order="F")
    whole = bytes(raw) + voxels
    path.write_bytes(gzip.compress(whole) if path.name.endswith(".gz") else whole)
    return path


numbers_mm = st.floats(0.4, 9.0).map(lambda x: round(x, 3))
spacings = st.tuples(numbers_mm, numbers_mm, numbers_mm)
origins = st.tuples(*[st.floats(-300, 300).map(lambda x: round(x, 2))] * 3)


@RANDOM
@given(
    spacing=spacings,
    origin=origins,
    pixdim=spacings,
    version=st.sampled_from([1, 2]),
    order=st.sampled_from("<>"),
    packed=st.booleans(),
)
def test_affine_holds_whatever_pixdim_says(
    tmp_path: Path,
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    pixdim: tuple[float, ...],
    version: int,
    order: str,
    packed: bool,
) -> None:
    path = tmp_path / f"image.nii{'.gz' if packed else ''}"
    volume, notes = read_itk(
        nifti(path, axial(spacing, origin), pixdim=pixdim, version=version, order=order), Kind.UNKNOWN
    )
    expected = Grid(SHAPE, axial(spacing, origin)).corners_mm()
    assert np.abs(volume.grid.corners_mm() - expected).max() < 0.11
    assert np.array_equal(volume.values, STORED)
    apart = float((np.abs(np.subtract(spacing, pixdim)) * SHAPE).max())
    if not 0.099 < apart < 0.101:
        assert ("pixdim-differs" in {note.code for note in notes}) is (apart > 0.1)


@RANDOM
@given(
    slope=st.sampled_from([0.0, 1.0, 0.25, 3.0, float("nan"), float("inf")]),
    intercept=st.sampled_from([0.0, 1.0, -7.5]),
    version=st.sampled_from([1, 2]),
    codes=st.sampled_from([(1, 0), (0, 1), (1, 1)]),
    units=st.sampled_from([0, 1, 2, 3]),
)
def test_scale_and_unit(
    tmp_path: Path, slope: float, intercept: float, version: int, codes: tuple[int, int], units: int
) -> None:
    length = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}[units]
    held, size = axial(), tuple(side / length for side in SPACING)
    held[:3] /= length
    path = nifti(
        tmp_path / "a.nii", held, version=version, codes=codes, scale=(slope, intercept), units=units, pixdim=size
    )
    volume, _ = read_itk(path, Kind.UNKNOWN)
    # A slope of 0, or none, means that there is no scale: the intercept is then not used (nifti1.h, nibabel).
    assert np.allclose(volume.values, STORED * slope + intercept if slope and np.isfinite(slope) else STORED)
    assert np.allclose(volume.grid.affine[:3], axial()[:3], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("wanted", ["a.nii", "a.nii.gz"])
def test_a_packed_file_beside_a_plain_one_is_not_taken_for_it(tmp_path: Path, wanted: str) -> None:
    # ITK gives the voxels of a.nii for a.nii.gz where both stand in one folder.
    for name, order in (("a.nii", "<"), ("a.nii.gz", ">")):
        nifti(tmp_path / name, axial(), pixdim=SPACING, order=order)
    assert np.array_equal(read_itk(tmp_path / wanted, Kind.UNKNOWN)[0].values, STORED)


@pytest.mark.parametrize("version", [1, 2])
def test_an_intercept_that_is_no_number_is_refused(tmp_path: Path, version: int) -> None:
    path = nifti(tmp_path / "a.nii", axial(), version=version, scale=(2.0, float("nan")))
    with pytest.raises(UnitError, match="is no scale"):
        read_itk(path, Kind.UNKNOWN)


def test_second_version_is_checked_like_the_first(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="qform_code and sform_code are 0"):
        read_itk(nifti(tmp_path / "a.nii", axial(), version=2, codes=(0, 0)), Kind.UNKNOWN)
    with pytest.raises(GeometryError, match="qform and sform place the image differently"):
        read_itk(nifti(tmp_path / "b.nii", axial(), version=2, codes=(1, 1), pixdim=(2, 3.5, 4)), Kind.UNKNOWN)
    cut = nifti(tmp_path / "c.nii", axial(), version=2)
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(InputError, match="is cut short"):
        read_itk(cut, Kind.UNKNOWN)
    sheared = axial()
    sheared[0, 1] = 1.5
    with pytest.raises(GeometryError, match="perpendicular"):
        read_itk(nifti(tmp_path / "d.nii", sheared, version=2), Kind.UNKNOWN)


def metaimage(path: Path, extra: str, *, length_mm: float = 1.0) -> Path:
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        f"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = {' '.join(str(x / length_mm) for x in ORIGIN)}\n"
        f"ElementSpacing = {' '.join(str(x / length_mm) for x in SPACING)}\n{extra}"
        f"DimSize = {' '.join(map(str, SHAPE))}\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(head.encode() + STORED.astype("<i2").tobytes(order="F"))
    return path


@RANDOM
@given(
    slope=st.floats(1e-3, 1e3),
    offset=st.floats(-50, 50),
    unit=st.sampled_from([("", 1.0), ("mm", 1.0), ("cm", 10.0), ("um", 0.001)]),
)
def test_metaimage(tmp_path: Path, slope: float, offset: float, unit: tuple[str, float]) -> None:
    extra = f"ElementToIntensityFunctionSlope = {slope!r}\nElementToIntensityFunctionOffset = {offset!r}\n"
    extra += f"DistanceUnits = {unit[0]}\n" if unit[0] else ""
    volume, _ = read_itk(metaimage(tmp_path / "a.mha", extra, length_mm=unit[1]), Kind.UNKNOWN)
    assert np.allclose(volume.values, STORED * slope + offset, rtol=1e-12)
    assert np.allclose(volume.grid.affine, axial())


@pytest.mark.parametrize("slope", ["0", "nan", "many"])
def test_metaimage_scale_that_is_none(tmp_path: Path, slope: str) -> None:
    with pytest.raises(UnitError, match="ElementToIntensityFunctionSlope"):
        read_itk(metaimage(tmp_path / "a.mha", f"ElementToIntensityFunctionSlope = {slope}\n"), Kind.UNKNOWN)


def nrrd(path: Path, extra: str, *, length_mm: float = 1.0) -> Path:
    steps = np.diag(SPACING) / length_mm
    directions = " ".join(f"({','.join(map(str, step))})" for step in steps)
    head = (
        f"NRRD0004\ntype: short\ndimension: 3\nsizes: {' '.join(map(str, SHAPE))}\nencoding: raw\nendian: little\n"
        f"space: left-posterior-superior\nspace directions: {directions}\n"
        f"space origin: ({','.join(str(x / length_mm) for x in ORIGIN)})\n"
        f"{extra}\n"
    )
    path.write_bytes(head.encode() + STORED.astype("<i2").tobytes(order="F"))
    return path


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm", 1), ("cm", 10), ("m", 1000), ("um", 0.001), ("millimeters", 1), ("centimeter", 10)]
)
def test_nrrd_units(tmp_path: Path, unit: str, factor: float) -> None:
    stated = f'space units: "{unit}" "{unit}" "{unit}"\n'
    volume, notes = read_itk(nrrd(tmp_path / "a.nrrd", stated, length_mm=factor), Kind.UNKNOWN)
    assert np.allclose(volume.grid.affine, axial())
    assert np.array_equal(volume.values, STORED)
    assert ("length-converted" in {note.code for note in notes}) is (factor != 1)


def test_nrrd_units_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="space units: 'furlong' is no unit of length"):
        read_itk(nrrd(tmp_path / "a.nrrd", 'space units: "furlong" "furlong" "furlong"\n'), Kind.UNKNOWN)
    with pytest.raises(GeometryError, match="one unit of length is needed"):
        read_itk(nrrd(tmp_path / "b.nrrd", 'space units: "mm" "mm" "cm"\n'), Kind.UNKNOWN)
    with pytest.raises(UnitError, match="old min"):
        read_itk(nrrd(tmp_path / "c.nrrd", "old min: 0\nold max: 7\n"), Kind.UNKNOWN)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_own_files_need_none_of_this(tmp_path: Path, suffix: str) -> None:
    volume = Volume(Grid.axial(SHAPE, spacing_mm=SPACING), STORED.astype(np.float32), Kind.UNKNOWN)
    back, notes = read_itk(write_itk(volume, tmp_path / f"a{suffix}"), Kind.UNKNOWN)
    assert not notes
    assert np.array_equal(back.values, volume.values)
    assert np.allclose(back.grid.affine, volume.grid.affine)
