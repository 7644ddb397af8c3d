"""Interfile images and projections: what the header says is applied, what it leaves open is said, the rest refused."""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hepatica.core.image import Stated
from hepatica.errors import HepaticaError, InputError, UnitError
from hepatica.io.describe import describe
from hepatica.io.dicom.images.projections import read_projections
from hepatica.io.read import read_image
from hepatica.io.structures.regions import read_structures

DATA = Path(os.environ.get("HEPATICA_DATA", Path(__file__).resolve().parents[5] / "shared/data"))
few = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def stored(seed: int, size: tuple[int, int, int], kind: str) -> np.ndarray[Any, Any]:
    """Values in the order x, y, z."""
    return np.random.default_rng(seed).integers(1, 100, size).astype(kind)


def image(
    folder: Path, values: np.ndarray[Any, Any], *, suffix: str = ".hv", packed: bool = False, **keys: str
) -> Path:
    data = {".hv": "a.v", ".hs": "a.s", ".h33": "a.i33"}[suffix]
    order = "BIGENDIAN" if values.dtype.byteorder == ">" else "LITTLEENDIAN"
    words = {"f": "float", "u": "unsigned integer", "i": "signed integer"}[values.dtype.kind]
    lines = {
        "!INTERFILE ": "", "!imaging modality": "nucmed", "name of data file": data, "imagedata byte order": order,
        "!number format": words, "!number of bytes per pixel": str(values.dtype.itemsize),
        **{f"!matrix size [{n + 1}]": str(size) for n, size in enumerate(values.shape)},
        **{f"scaling factor (mm/pixel) [{n}]": str(n + 1.5) for n in (1, 2, 3)},
        "first pixel offset (mm) [1]": "-10", "first pixel offset (mm) [2]": "-20", "first pixel offset (mm) [3]": "5",
        **{key.replace("__", " "): value for key, value in keys.items()}, "!END OF INTERFILE": "",
    }  # fmt: skip
    for old in folder.iterdir():
        old.unlink()
    path = folder / f"a{suffix}"
    path.write_text("".join(f"{key} := {value}\n" for key, value in lines.items() if value != "-"))
    raw = values.transpose(2, 1, 0).tobytes()
    (folder / (data + (".gz" if packed else ""))).write_bytes(gzip.compress(raw) if packed else raw)
    return path


@few
@given(
    kind=st.sampled_from(["<f4", ">f4", "<f8", "<u2", ">u2", "<i2", "u1", ">i4"]), packed=st.booleans(),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)), suffix=st.sampled_from([".hv", ".h33"]),
    scale=st.floats(0.01, 100), by_data=st.booleans(),
)  # fmt: skip
def test_images_come_as_they_were_written(
    tmp_path: Path, kind: str, packed: bool, size: tuple[int, int, int], suffix: str, scale: float, by_data: bool
) -> None:
    values = stored(1, size, kind)
    path = image(tmp_path, values, suffix=suffix, packed=packed, quantification__units=repr(scale))
    if by_data:
        path = next(file for file in tmp_path.iterdir() if file != path)
    found = read_image(path, role="activity", stated=Stated(unit="Bq/mL"))
    # Slices run to the feet in the file, to the head here; the first slice of the file stays where it is.
    np.testing.assert_allclose(found.volume.values, values[:, :, ::-1] * scale, rtol=1e-6)
    assert found.grid.spacing_mm == pytest.approx((2.5, 3.5, 4.5))
    np.testing.assert_allclose(found.grid.to_mm([0, 0, size[2] - 1]), (-10, -20, -5), atol=1e-9)
    assert [message.code for message in found.messages] == ["orientation-assumed"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name__of__data__file": "-"}, "name of data file: is missing"),
        ({"name__of__data__file": "b.v"}, "not beside the header"),
        ({"!number__of__bytes__per__pixel": "3"}, "number format"),
        ({"!number__format": "ASCII"}, "number format"),
        ({"imagedata__byte__order": "MIDDLE"}, "byte order"),
        ({"!matrix__size__[3]": "9"}, "cut short"),
        ({"!matrix__size__[3]": "2"}, "of something else"),
        ({"number__of__time__frames": "2"}, "number of time frames"),
        ({"scaling__factor__(mm/pixel)__[2]": "-"}, r"scaling factor \(mm/pixel\) \[2\]: is missing"),
        ({"patient__orientation": "feet_in"}, "patient orientation"),
        ({"process__status": "acquired"}, "projections"),
        ({"!INTERFILE ": "-"}, "no Interfile header"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(tmp_path: Path, keys: dict[str, str], message: str) -> None:
    path = image(tmp_path, stored(1, (4, 3, 5), "<f4"), **keys)
    with pytest.raises(HepaticaError, match=message):
        read_image(path, stated=Stated(unit="counts"))


def test_the_unit_must_be_stated_and_fit(tmp_path: Path) -> None:
    path = image(tmp_path, stored(1, (4, 3, 5), "<u2"))
    with pytest.raises(UnitError, match="does not say what a voxel holds"):
        read_image(path, role="ct")
    with pytest.raises(UnitError, match=r"HU \+ 1000"):
        read_image(path, role="ct", stated=Stated(unit="HU"))


@few
@given(pixel=st.floats(2, 6), thickness=st.floats(0.3, 9))
def test_slice_thickness_in_pixels_or_millimetres(tmp_path: Path, pixel: float, thickness: float) -> None:
    """Pixels, as the key says; plainly millimetres; or asked for."""
    keys = {f"scaling factor (mm/pixel) [{n}]": repr(pixel) for n in (1, 2)}
    path = image(
        tmp_path, stored(1, (3, 3, 4), "<u2"), suffix=".h33",
        **keys, **{"scaling factor (mm/pixel) [3]": "-", "slice thickness (pixels)": repr(thickness)},
    )  # fmt: skip
    unit = Stated(unit="counts")
    if 1.5 < thickness < 3:
        with pytest.raises(InputError, match="slice_spacing_mm"):
            read_image(path, stated=unit)
        unit = Stated(unit="counts", slice_spacing_mm=4.0)
    found = read_image(path, stated=unit)
    right = 4.0 if 1.5 < thickness < 3 else thickness * pixel if thickness <= 1.5 else thickness
    assert found.grid.spacing_mm[2] == pytest.approx(right)
    assert any(m.code == "slice-spacing-assumed" for m in found.messages) is (thickness >= 3)


def projections(folder: Path, counts: np.ndarray[Any, Any], **keys: str) -> Path:
    """Counts in the order views, rows, columns, with a header as STIR writes it."""
    views, rows, columns = counts.shape
    lines = {
        "!INTERFILE ": "", "name of data file": "p.s", "!type of data": "Tomographic",
        "imagedata byte order": "LITTLEENDIAN", "!number format": "float", "!number of bytes per pixel": "4",
        "isotope name": "^99m^Technetium", "number of energy windows": "1", "energy window lower level[1]": "126.5",
        "energy window upper level[1]": "154.6", "!matrix size [2]": str(rows), "!matrix size [1]": str(columns),
        "!scaling factor (mm/pixel) [2]": "4.8", "!scaling factor (mm/pixel) [1]": "4.4",
        "!number of projections": str(views), "!image duration (sec)[1]": str(20 * views), "start angle": "20",
        "!extent of rotation": "360", "!process status": "acquired", "!direction of rotation": "CCW",
        "orbit": "circular", "radius": "250", "study date": "2026:03:02", "study time": "14:00:00", **keys,
    }  # fmt: skip
    path = folder / "p.hs"
    path.write_text("".join(f"{key} := {value}\n" for key, value in lines.items() if value != "-"))
    (folder / "p.s").write_bytes(counts.astype("<f4").tobytes())
    return path


@few
@given(
    views=st.integers(2, 12), start=st.floats(0, 360), arc=st.sampled_from([180.0, 360.0]), clockwise=st.booleans(),
    seconds=st.floats(1, 100), radii=st.booleans(),
)  # fmt: skip
def test_projections_come_as_they_were_written(
    tmp_path: Path, views: int, start: float, arc: float, clockwise: bool, seconds: float, radii: bool
) -> None:
    counts = np.random.default_rng(views).integers(1, 90, (views, 3, 5)).astype(float)
    radius = np.linspace(200, 300, views) if radii else np.full(views, 250.0)
    keys = {
        "start angle": repr(start), "!extent of rotation": repr(arc), "!image duration (sec)[1]": repr(seconds * views),
        "!direction of rotation": "CW" if clockwise else "CCW",
        "radius": "{" + ", ".join(map(repr, radius.tolist())) + "}" if radii else "250",
    }  # fmt: skip
    file = read_projections(projections(tmp_path, counts, **keys))
    found = file.projections
    # Rows run to the feet in the file; (u, v) with v to the head here.
    np.testing.assert_array_equal(found.counts[0], counts.transpose(0, 2, 1)[:, :, ::-1])
    step = (-1 if clockwise else 1) * arc / views
    np.testing.assert_allclose(found.orbit.angle_deg, start + step * np.arange(views))
    np.testing.assert_allclose(found.orbit.radius_mm, radius)
    assert (found.nuclide, found.pixel_mm, str(found.windows[0])) == ("Tc-99m", (4.4, 4.8), "126.5-154.6 keV")
    assert found.view_s == pytest.approx(seconds)
    assert str(found.start) == "2026-03-02 14:00:00"
    assert (found.axis_mm, file.context) == (None, None)
    assert {message.code for message in file.messages} == {"angles-assumed", "axis-unknown"}
    (item,) = describe(tmp_path / "p.hs").series
    assert item.projections is not None
    assert (item.projections.views, item.nuclide, item.projections.axis_mm) == (views, "Tc-99m", None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"radius": "25"}, "250 mm written in cm"),
        ({"radius": "-"}, "radius: is missing"),
        ({"radius": "250, 260"}, "2 values for 4 views"),
        ({"!image duration (sec)[1]": "0.08"}, "20 s written for milliseconds"),
        ({"!image duration (sec)[1]": "-"}, "how long a view took"),
        ({"!direction of rotation": "-"}, "neither CW nor CCW"),
        ({"start angle": "-"}, "start angle: is missing"),
        ({"energy window lower level[1]": "-"}, "which photons"),
        ({"number of energy windows": "2"}, "number of energy windows"),
        ({"!number of projections": "5"}, "cut short"),
        ({"isotope name": "Kryptonite"}, "no nuclide"),
    ],
    ids=str,
)
def test_projections_that_cannot_be_are_refused(tmp_path: Path, keys: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_projections(projections(tmp_path, np.ones((4, 3, 5)), **keys))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name of data file": "/dev/zero"}, "name of data file: /dev/zero is not beside the header"),
        ({"name of data file": "../outside.v"}, "../outside.v is not beside the header"),
        ({"name of data file": "a" * 70_000}, "is not beside the header"),
        ({"image scaling factor [1]": "1e"}, "'1e' is no number"),
        ({"image scaling factor [1]": "1e308", "quantification units": "1e308"}, "too large"),
        ({"data offset in bytes": "1e18"}, "from byte 1e.18 on is no image"),
        ({"data offset in bytes": "2e9"}, "cut short"),
        ({"!matrix size [1]": "100000", "!matrix size [2]": "1000"}, "cut short"),
        ({"first pixel offset (mm) [1]": "1e300"}, "no place of a patient"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_headers_that_lead_astray_are_refused(tmp_path: Path, keys: dict[str, str], message: str, packed: bool) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside.v").write_bytes(b"\0" * 240)
    path = image(folder, stored(1, (5, 4, 3), "<f4"), packed=packed, **keys)
    with pytest.raises(HepaticaError, match=message):
        read_image(path, stated=Stated(unit="counts"))


def test_packed_data_that_are_damaged_are_refused(tmp_path: Path) -> None:
    path = image(tmp_path, stored(1, (5, 4, 3), "<f4"), packed=True)
    data = tmp_path / "a.v.gz"
    whole = data.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:20] + b"\xff" * 40 + whole[60:], whole[:-8] + b"\0" * 8, b""):
        data.write_bytes(broken)
        with pytest.raises(InputError, match=r"a.v.gz: cannot be read|cut short"):
            read_image(path, stated=Stated(unit="counts"))


def test_real_images() -> None:
    path = DATA / "lu-dotatate/patient15_LuDOTATATE_src.h33"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    found = read_image(path, stated=Stated(unit="label"))
    assert found.grid.shape == (108, 70, 90)
    assert found.grid.spacing_mm == pytest.approx((3.9063, 3.9063, 4.4196))
    liver_ml = float((found.volume.values == 15000).sum()) * np.prod(found.grid.spacing_mm) / 1000
    assert liver_ml == pytest.approx(1037, abs=1)
    (shown,) = describe(path).series
    assert (shown.what, shown.maximum is not None) == ("Interfile volume", True)


def test_a_label_map_is_read_as_structures(tmp_path: Path) -> None:
    labels = np.zeros((6, 5, 4), "<u2")
    labels[1:4, 1:3, 0], labels[4:, 3:, 2:] = 1, 300
    path = image(tmp_path, labels, suffix=".h33")
    grid = read_image(path, stated=Stated(unit="label")).grid
    found = read_structures(path, grid)
    assert sorted(int(np.sum(region.mask())) for region in found.regions) == [6, 8]
