"""NM TOMO: what is written comes back, angles mean what DICOM says, what is missing is named."""

import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, HepaticaError, InputError
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.io.dicom.images.projections import read_projections, write_projections
from hepatica.io.dicom.images.write import Emission

WHEN = datetime(2026, 3, 2, 10, 30)
EMISSION = Emission(nuclide="Lu-177", start=WHEN, frame_duration_s=20.0, administered_bq=7.4e9, administered_at=WHEN)
WINDOWS = (Window(187.5, 229.2, "peak"), Window(166.7, 187.5, "low"), Window(229.2, 250.0, "high"))


def made(arc: float = -360.0, scale: float = 1.0) -> Projections:
    """Two heads, two radii, three windows, more columns than rows, pixels not square."""
    counts = np.random.default_rng(1).integers(0, 500, (3, 12, 9, 5)) * scale
    turned = Orbit.circular(12, radius_mm=200.0, start_deg=20.0, arc_deg=arc)
    orbit = Orbit(turned.angle_deg, np.linspace(180, 240, 12))
    return Projections(
        counts, orbit, WINDOWS, (4.8, 3.9), 20.0, axis_mm=(12.5, -31.0, -250.0), start=WHEN, nuclide="Lu-177",
        view_start_s=np.tile(np.arange(6) * 20.0, 2),
    )  # fmt: skip


def written(folder: Path, projections: Projections, *, heads: int = 2, **changes: Any) -> Path:
    context = DicomContext.invented(patient_id="P1", when=WHEN)
    path = folder / "tomo.dcm"
    write_projections(path, projections, context, EMISSION, heads=heads)
    dataset = pydicom.dcmread(path)
    for keyword, value in changes.items():
        *sequences, name = keyword.split("__")
        item = dataset
        for sequence in sequences:
            item = item[sequence][0]
        if value is None:
            delattr(item, name)
        else:
            setattr(item, name, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("arc", [360.0, -360.0])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_what_is_written_comes_back(tmp_path: Path, arc: float, scale: float) -> None:
    before = made(arc, scale)
    found = read_projections(written(tmp_path, before))
    after = found.projections
    assert (found.heads, after.nuclide, after.start, after.view_s) == (2, "Lu-177", WHEN, 20.0)
    np.testing.assert_allclose(after.counts, before.counts, atol=0.5 * before.counts.max() / 65535)
    np.testing.assert_allclose(np.mod(after.orbit.angle_deg, 360), np.mod(before.orbit.angle_deg, 360), atol=1e-6)
    np.testing.assert_allclose(after.orbit.radius_mm, before.orbit.radius_mm)
    np.testing.assert_allclose(after.axis_mm or (), (12.5, -31.0, -250.0), atol=1e-4)
    np.testing.assert_allclose(after.view_start_s, before.view_start_s)
    assert [(w.low_kev, w.high_kev, w.name) for w in after.windows] == [
        (w.low_kev, w.high_kev, w.name) for w in WINDOWS
    ]
    assert after.grid().shape == (9, 9, 5)
    assert after.grid().spacing_mm == pytest.approx((4.8, 4.8, 3.9))
    np.testing.assert_allclose(after.grid().to_mm([4, 4, 0]), (12.5, -31.0, -250.0), atol=1e-4)


def test_valid_dicom(tmp_path: Path, dciodvfy: Callable[[Path], list[str]]) -> None:
    context = DicomContext.invented(patient_id="P1", when=WHEN)
    write_projections(tmp_path / "a.dcm", made(), context, EMISSION, heads=2)
    assert dciodvfy(tmp_path / "a.dcm") == []


def test_rows_to_the_head_are_turned(tmp_path: Path) -> None:
    """A detector whose columns run to the head (z up) has its first row at the feet."""
    before = made()
    path = written(tmp_path, before)
    dataset = pydicom.dcmread(path)
    for item in dataset.DetectorInformationSequence:
        item.ImageOrientationPatient[5] = 1
        item.ImagePositionPatient[2] = -250.0
    dataset.save_as(path)
    after = read_projections(path).projections
    np.testing.assert_array_equal(after.counts, before.counts[..., ::-1])
    assert after.axis_mm == pytest.approx((12.5, -31.0, -250.0), abs=1e-4)


ROTATION = "RotationInformationSequence__"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RotationInformationSequence": None}, "RotationInformationSequence: is missing"),
        ({ROTATION + "RotationDirection": None}, "RotationDirection"),
        ({ROTATION + "AngularStep": None}, "AngularStep: is missing"),
        ({ROTATION + "ActualFrameDuration": None}, "ActualFrameDuration: is missing"),
        ({"EnergyWindowInformationSequence": None}, "EnergyWindowInformationSequence: is missing"),
        ({"AngularViewVector": None}, "AngularViewVector: is missing"),
        ({"DetectorVector": None}, "DetectorVector: is missing"),
        ({"AngularViewVector": [1] * 36}, "some are twice"),
        ({"DetectorInformationSequence__StartAngle": None}, "StartAngle: is missing for detector 1"),
        ({"DetectorInformationSequence__RadialPosition": [200, 210]}, "2 values for 6 views"),
        ({"TimeSlotVector": [1, 2] * 18}, "gated"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "RescaleSlope"),
    ],
    ids=str,
)
def test_missing_tags_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DicomError, match=message):
        read_projections(written(tmp_path, made(), **changes))


def test_radius_can_be_stated_where_the_file_has_none(tmp_path: Path) -> None:
    path = written(tmp_path, made())
    dataset = pydicom.dcmread(path)
    for item in (*dataset.DetectorInformationSequence, *dataset.RotationInformationSequence):
        del item.RadialPosition
    dataset.save_as(path)
    with pytest.raises(DicomError, match="RadialPosition: is missing"):
        read_projections(path)
    assert set(read_projections(path, radius_mm=222.0).projections.orbit.radius_mm) == {222.0}


def test_a_place_that_is_not_known_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, made())
    dataset = pydicom.dcmread(path)
    for item in dataset.DetectorInformationSequence:
        del item.ImagePositionPatient, item.ImageOrientationPatient
    dataset.save_as(path)
    found = read_projections(path)
    assert found.projections.axis_mm is None
    assert any("ImagePositionPatient" in str(message) for message in found.messages)
    # A maker whose rows run the other way in all heads; then in one head, which contradicts the other.
    turned = pydicom.dcmread(written(tmp_path, made(), PatientPosition="FFP"))
    for item in turned.DetectorInformationSequence:
        item.ImageOrientationPatient = [-float(n) for n in item.ImageOrientationPatient[:3]] + [0, 0, -1]
    turned.save_as(tmp_path / "turned.dcm")
    found = read_projections(tmp_path / "turned.dcm")
    assert found.projections.axis_mm is None
    assert any("at 20 degrees they run along [-0.94" in str(message) for message in found.messages)
    assert any("FFP" in str(message) for message in found.messages)
    with pytest.raises(DicomError, match="orientation of detector 2 contradicts its StartAngle"):
        read_projections(
            written(tmp_path, made(), DetectorInformationSequence__ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
        )
    # The intercept and slope of a scaled file are applied.
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "1"
    dataset.save_as(path)
    np.testing.assert_allclose(read_projections(path).projections.counts, made().counts * 2 + 1)


def test_reconstructions_and_uneven_steps_are_refused(tmp_path: Path) -> None:
    before = made()
    uneven = Orbit(np.cumsum(np.arange(12.0)), np.full(12, 200.0))
    context = DicomContext.invented(patient_id="P1", when=WHEN)
    odd = Projections(before.counts, uneven, WINDOWS, (4.8, 3.9), 20.0, axis_mm=(0, 0, 0))
    with pytest.raises(InputError, match="even"):
        write_projections(tmp_path / "b.dcm", odd, context, EMISSION)
    path = written(tmp_path, before, ImageType=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"])
    with pytest.raises(DicomError, match="no NM projections"):
        read_projections(path)


@pytest.mark.parametrize("seed", range(30))
def test_broken_files_are_refused_in_our_words(tmp_path: Path, seed: int) -> None:
    """Flipped bytes, and tags with values that no camera writes: projections, or a HepaticaError."""
    rng = np.random.default_rng(seed)
    path = written(tmp_path, made())
    if seed % 2:
        raw = bytearray(path.read_bytes())
        for place in rng.integers(132, len(raw), 40):
            raw[place] = rng.integers(256)
        path.write_bytes(raw)
    else:
        dataset = pydicom.dcmread(path)
        item = [dataset, dataset.RotationInformationSequence[0], dataset.DetectorInformationSequence[0]][seed % 3]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for element in [e for e in item if e.VR in ("DS", "IS", "US", "CS") and rng.random() < 0.2]:
                odd = {"DS": ["nan", "1e30", "-5", ""], "IS": ["0", "-3", "99999", ""], "US": [0, 1, 65535]}
                element.value = rng.choice(odd.get(element.VR, ["X", ""])).item()  # type: ignore[arg-type]
            dataset.save_as(path)
    try:
        found = read_projections(path)
    except HepaticaError:
        return
    assert np.isfinite(found.projections.counts).all()
    assert found.projections.view_s > 0
