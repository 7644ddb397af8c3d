"""NM TOMO as cameras, exports and anonymisers write it: the right geometry and counts, or a refusal that says why."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, InputError, UnitError
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.io.describe import describe
from hepatica.io.description_rows import description_rows
from hepatica.io.dicom.images.projections import ProjectionFile, read_projections, write_projections
from hepatica.io.dicom.images.write import Emission

WHEN = datetime(2026, 3, 2, 14)
EMISSION = Emission(nuclide="Tc-99m", start=WHEN, frame_duration_s=20.0)
AXIS = (12.5, -31.0, -20.0)
PIXEL = 9.0
few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def tomo(
    folder: Path,
    *,
    heads: int = 2,
    views: int = 24,
    start: float = 0.0,
    arc: float = 360.0,
    radius: float = 250.0,
    axis: tuple[float, float, float] = AXIS,
    columns: int = 8,
) -> tuple[Path, Dataset]:
    """A sound acquisition, and its data set to be changed."""
    counts = np.random.default_rng(1).integers(1, 500, (1, views, columns, 4))
    orbit = Orbit.circular(views, radius_mm=radius, start_deg=start, arc_deg=arc)
    projections = Projections(
        counts, orbit, (Window(126.5, 154.6),), (PIXEL, PIXEL), 20.0, axis_mm=axis, start=WHEN, nuclide="Tc-99m"
    )
    path = folder / "p.dcm"
    write_projections(path, projections, DicomContext.invented(patient_id="P", when=WHEN), EMISSION, heads=heads)
    return path, pydicom.dcmread(path)


def read(path: Path, dataset: Dataset) -> ProjectionFile:
    dataset.save_as(path)
    return read_projections(path)


def codes(found: ProjectionFile) -> set[str]:
    return {message.code for message in found.messages}


# ---------------------------------------------------------------------------------------------------------------------
# Collimators


@pytest.mark.parametrize("head", [0, 1])
@pytest.mark.parametrize(
    "changes",
    [
        {"CollimatorType": "FANB", "FocalDistance": 500},
        {"CollimatorType": "CONE"},
        {"CollimatorType": "PINH"},
        {"CollimatorType": "ASTG"},
        {"CollimatorType": "UNKN", "FocalDistance": 400},
        {"CollimatorType": "PARA", "CollimatorGridName": "LEHR FANBEAM"},
        {"CollimatorType": None, "FocalDistance": 350},
    ],
    ids=str,
)
def test_holes_that_are_not_parallel_are_refused(tmp_path: Path, head: int, changes: dict[str, Any]) -> None:
    path, dataset = tomo(tmp_path)
    for keyword, value in changes.items():
        setattr(dataset.DetectorInformationSequence[head], keyword, value)
    with pytest.raises(DicomError, match=rf"p.dcm: (CollimatorType|FocalDistance): .*detector {head + 1}.*parallel"):
        read(path, dataset)


# ---------------------------------------------------------------------------------------------------------------------
# Angles


def test_heads_at_one_angle_are_refused(tmp_path: Path) -> None:
    path, dataset = tomo(tmp_path)
    dataset.DetectorInformationSequence[1].StartAngle = "0"
    with pytest.raises(DicomError, match="detectors 1 and 2 both start at 0 degrees, and the orientation"):
        read(path, dataset)


@few
@given(heads=st.sampled_from([2, 3]), start=st.floats(0, 360), wrong=st.floats(6, 354), copied=st.booleans())
def test_a_start_angle_against_the_orientation_is_refused(
    tmp_path: Path, heads: int, start: float, wrong: float, copied: bool
) -> None:
    """The start angle of one head moved; or that of another head copied, without planes that tell."""
    path, dataset = tomo(tmp_path, heads=heads, start=round(start, 1))
    items = dataset.DetectorInformationSequence
    apart = 360 / heads
    if copied:
        items[1].StartAngle = items[0].StartAngle
        for item in items:
            del item.ImageOrientationPatient, item.ImagePositionPatient
        with pytest.raises(DicomError, match="both start at"):
            read(path, dataset)
        return
    moved = (float(items[1].StartAngle) + wrong) % 360
    items[1].StartAngle = f"{moved:.4f}"
    relative = (moved - float(items[0].StartAngle) + 180) % 360 - 180
    if abs(abs(relative) - (apart if apart <= 180 else 360 - apart)) < 4:
        return  # the mirror image, which a maker that counts the other way writes
    with pytest.raises(DicomError, match="StartAngle: "):
        read(path, dataset)


@few
@given(views=st.integers(4, 64), heads=st.sampled_from([1, 2, 3]), share=st.floats(0.3, 1.9), total=st.booleans())
def test_arc_steps_and_views_must_agree(tmp_path: Path, views: int, heads: int, share: float, total: bool) -> None:
    path, dataset = tomo(tmp_path, heads=heads, views=views * heads)
    rotation = dataset.RotationInformationSequence[0]
    step = float(rotation.AngularStep)
    arc = 360.0 if total else views * step
    rotation.ScanArc = f"{arc:.4f}"
    assert read(path, dataset).heads == heads  # the arc of one head, or of all together
    rotation.AngularStep = f"{step * share:.6f}"
    made = [views * step * share, (views - 1) * step * share, heads * views * step * share]
    if min(abs(arc - angle) for angle in made) <= max(1.0, 0.05 * views):
        return
    with pytest.raises(DicomError, match=r"ScanArc: .*AngularStep"):
        read(path, dataset)


def test_twelve_views_of_twelve_degrees_are_no_half_turn(tmp_path: Path) -> None:
    path, dataset = tomo(tmp_path)
    dataset.RotationInformationSequence[0].AngularStep = "12"
    with pytest.raises(DicomError, match=r"180 degrees, but 12 views .* are 144 \(288 for 2 heads\)"):
        read(path, dataset)


# ---------------------------------------------------------------------------------------------------------------------
# Radius and time


@few
@given(radius=st.integers(120, 420), unit=st.sampled_from([(0.1, "cm"), (0.001, "m"), (10.0, "tenths")]))
def test_a_radius_in_another_unit_is_refused_with_the_guess(
    tmp_path: Path, radius: int, unit: tuple[float, str]
) -> None:
    path, dataset = tomo(tmp_path, radius=float(radius))
    assert set(read(path, dataset).projections.orbit.radius_mm) == {float(radius)}
    for item in (*dataset.DetectorInformationSequence, *dataset.RotationInformationSequence):
        item.RadialPosition = [f"{radius * unit[0]:.5g}"] * 12
    with pytest.raises(DicomError, match=f"RadialPosition: .*{radius} mm written in {unit[1]}"):
        read(path, dataset)


def test_one_view_with_another_radius_unit_is_seen(tmp_path: Path) -> None:
    path, dataset = tomo(tmp_path)
    dataset.DetectorInformationSequence[1].RadialPosition[7] = "25"
    with pytest.raises(DicomError, match=r"25 mm .*detector 2"):
        read(path, dataset)


@few
@given(seconds=st.integers(3, 120))
def test_a_view_time_in_another_unit_is_refused_with_the_guess(tmp_path: Path, seconds: int) -> None:
    path, dataset = tomo(tmp_path)
    rotation = dataset.RotationInformationSequence[0]
    rotation.ActualFrameDuration = str(seconds * 1000)
    assert read(path, dataset).projections.view_s == seconds
    rotation.ActualFrameDuration = str(seconds)
    with pytest.raises(DicomError, match=f"ActualFrameDuration: .*{seconds} s written for milliseconds"):
        read(path, dataset)
    rotation.ActualFrameDuration = str(seconds * 1_000_000)
    with pytest.raises(DicomError, match="ActualFrameDuration"):
        read(path, dataset)


# ---------------------------------------------------------------------------------------------------------------------
# The axis


def as_corner(dataset: Dataset, axis: tuple[float, float], columns: int) -> None:
    """Write into each head the corner of the volume, as GE does."""
    for item in dataset.DetectorInformationSequence:
        half = (columns - 1) / 2 * PIXEL
        item.ImagePositionPatient = [axis[0] - half, axis[1] - half, item.ImagePositionPatient[2]]


@few
@given(
    start=st.floats(0, 360), radius=st.floats(150, 400), x=st.floats(-15, 15), y=st.floats(-15, 15),
    heads=st.sampled_from([1, 2]), maker=st.sampled_from(["GE MEDICAL SYSTEMS", "GE Healthcare", ""]),
)  # fmt: skip
def test_the_corner_of_the_volume_is_told_from_the_first_pixel(
    tmp_path: Path, start: float, radius: float, x: float, y: float, heads: int, maker: str
) -> None:
    """GE: right, or asked for; never the axis that a first pixel would mean where that differs."""
    path, dataset = tomo(tmp_path, heads=heads, start=start, radius=radius, columns=48)
    dataset.Manufacturer = maker
    as_corner(dataset, (x, y), 48)
    found = read(path, dataset)
    axis = found.projections.axis_mm
    if axis is None:
        assert not maker
        assert heads == 1
        assert codes(found) == {"axis-unknown"}
        assert "`axis_mm`" in next(m.remedy for m in found.messages)
        return
    assert np.abs(np.subtract(axis[:2], (x, y))).max() <= PIXEL / 2
    np.testing.assert_allclose(axis[2], AXIS[2], atol=1e-3)


@few
@given(
    start=st.floats(0, 360), radius=st.floats(150, 400), x=st.floats(-90, 90), y=st.floats(-90, 90),
    heads=st.sampled_from([1, 2, 3]), maker=st.sampled_from(["SIEMENS NM", "Mediso", "Philips", "hepatica"]),
)  # fmt: skip
def test_the_first_pixel_of_other_makers_gives_the_axis(
    tmp_path: Path, start: float, radius: float, x: float, y: float, heads: int, maker: str
) -> None:
    path, dataset = tomo(tmp_path, heads=heads, start=start, radius=radius, axis=(x, y, -20.0), columns=48)
    dataset.Manufacturer = maker
    found = read(path, dataset)
    np.testing.assert_allclose(found.projections.axis_mm or (), (x, y, -20.0), atol=1e-3)
    assert found.messages == ()


def test_an_axis_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    """A corner under another maker's name, and heads that lead to two axes."""
    path, dataset = tomo(tmp_path, heads=1, start=225.0, radius=345.0, columns=48)
    dataset.Manufacturer = "SIEMENS NM"
    as_corner(dataset, (1.1, -0.3), 48)
    found = read(path, dataset)
    assert (found.projections.axis_mm, codes(found)) == (None, {"axis-unknown"})
    path, dataset = tomo(tmp_path)
    dataset.DetectorInformationSequence[1].RadialPosition = ["200"] * 12
    found = read(path, dataset)
    assert (found.projections.axis_mm, codes(found)) == (None, {"axis-unknown"})
    assert "lead to axes apart" in str(found.messages[0])


# ---------------------------------------------------------------------------------------------------------------------
# Counts


def mapping(unit: str, slope: float, intercept: float = 0.0, **limits: int) -> Dataset:
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.MeasurementUnitsCodeSequence = [code]
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    for end, value in limits.items():
        item.add_new(f"RealWorldValue{end}ValueMapped", "US", value)
    return item


@few
@given(slope=st.floats(1e-3, 50), unit=st.sampled_from(["{counts}", "{count}", "counts", "CNTS"]))
def test_a_mapping_to_counts_is_applied(tmp_path: Path, slope: float, unit: str) -> None:
    path, dataset = tomo(tmp_path)
    before = read(path, dataset).projections.counts
    dataset.RealWorldValueMappingSequence = [mapping(unit, slope)]
    np.testing.assert_allclose(read(path, dataset).projections.counts, before * slope, rtol=1e-6)


@pytest.mark.parametrize("unit", ["Bq/ml", "kBq/ml", "g/ml{SUVbw}", "{counts}/s", "mm"])
def test_a_mapping_to_something_else_is_refused_by_name(tmp_path: Path, unit: str) -> None:
    path, dataset = tomo(tmp_path)
    dataset.RealWorldValueMappingSequence = [mapping(unit, 0.5)]
    with pytest.raises(UnitError, match=rf"p.dcm: RealWorldValueMappingSequence .*{unit[:4]}.*, not to counts"):
        read(path, dataset)


def test_a_mapping_against_the_rescale_slope_is_refused(tmp_path: Path) -> None:
    path, dataset = tomo(tmp_path)
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"
    dataset.RealWorldValueMappingSequence = [mapping("{counts}", 0.5)]
    with pytest.raises(InputError, match="RescaleSlope"):
        read(path, dataset)


# ---------------------------------------------------------------------------------------------------------------------
# What is shown


@few
@given(
    heads=st.sampled_from([1, 2, 3]), views=st.integers(2, 30), radius=st.integers(100, 400), gates=st.integers(1, 8),
    clockwise=st.booleans(), stated=st.booleans(),
)  # fmt: skip
def test_inspect_shows_how_projections_were_acquired(
    tmp_path: Path, heads: int, views: int, radius: int, gates: int, clockwise: bool, stated: bool
) -> None:
    path, dataset = tomo(tmp_path, heads=heads, views=views * heads, radius=radius, arc=-360.0 if clockwise else 360.0)
    count = int(dataset.NumberOfFrames)
    dataset.PixelData = dataset.PixelData * gates
    dataset.NumberOfFrames = count * gates
    for keyword in ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector"):
        setattr(dataset, keyword, np.tile(np.atleast_1d(getattr(dataset, keyword)), gates).tolist())
    dataset.TimeSlotVector = [gate + 1 for gate in range(gates) for _ in range(count)]
    if not stated:
        for item in (*dataset.DetectorInformationSequence, *dataset.RotationInformationSequence):
            del item.RadialPosition
    dataset.save_as(path)
    (found,) = describe(path).series
    shown = found.projections
    assert shown is not None
    assert found.nuclide == "Tc-99m"
    assert shown.energy_windows == ("126.5-154.6 keV",)
    assert (shown.views, shown.view_s, shown.gates, len(shown.heads)) == (views, 20.0, gates, heads)
    assert shown.step_deg == pytest.approx((-1 if clockwise else 1) * 360 / views / heads, abs=1e-6)
    assert {head.nearest_mm for head in shown.heads} == {float(radius) if stated else None}
    assert (shown.axis_mm is not None) is stated
    if stated:
        np.testing.assert_allclose(shown.axis_mm or (), AXIS, atol=1e-3)
    rows = dict(description_rows(found))
    assert {"nuclide", "energy windows", "views", f"head {heads}", "axis", "gates"} <= set(rows)
    assert ("radius not stated" in rows["head 1"]) is not stated


def test_inspect_shows_why_projections_are_refused(tmp_path: Path) -> None:
    path, dataset = tomo(tmp_path)
    dataset.DetectorInformationSequence[0].CollimatorType = "FANB"
    dataset.save_as(path)
    (found,) = describe(path).series
    assert found.nuclide == "Tc-99m"
    assert any("FANB" in problem for problem in found.problems)
