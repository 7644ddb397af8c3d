"""Planar NM files as opposed views: what is written is read, which view is which, and what is refused."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, HepaticaError, InputError
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom.images.planar import read_planar
from hepatica.io.dicom.images.write import Emission
from hepatica.io.dicom.planar.overlays import overlay_regions
from hepatica.io.dicom.planar.views import ReadViews, ViewOptions, opposed_views
from hepatica.io.dicom.planar.write import write_planar
from hepatica.io.dicom.tags import open_dicom

WHEN = datetime(2026, 3, 2, 10)
WINDOWS = (Window(328.1, 400.9), Window(306.2, 328.1))


def made(whole_body: bool = False, sides: tuple[str, ...] = ("anterior", "posterior")) -> PlanarViews:
    """Unequal along both axes, other pixels along each, unlike on both sides."""
    x, z = np.meshgrid(np.arange(20), np.arange(30), indexing="ij")
    base = 20 + 5 * x + 2 * z + 60 * ((x > 12) & (z > 18))
    counts = np.stack([np.stack([base * (s + 1), base // (s + 2)]) for s in range(len(sides))]).astype(float)
    return PlanarViews(counts, sides, WINDOWS, (4.0, 3.0), (387.0,) * len(sides), (0.0,) * len(sides), WHEN,
                       (-50.0, 300.0), whole_body)  # fmt: skip


def written(path: Path, views: PlanarViews, patient: str = "P1", when: datetime = WHEN) -> Path:
    emission = Emission(nuclide="I-131", start=when, frame_duration_s=387.0)
    scan = (1.0, 387.0) if views.whole_body else None
    write_planar(path, views, DicomContext.invented(patient_id=patient), emission, scan=scan, camera="siemens-hegp")
    return path


def read(*paths: Path, **options: Any) -> ReadViews:
    return opposed_views(read_planar(list(paths), all_windows=True), ViewOptions(**options))


def changed(path: Path, **tags: Any) -> Path:
    dataset = pydicom.dcmread(path)
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("whole_body", [False, True])
def test_what_is_written_is_read(tmp_path: Path, whole_body: bool) -> None:
    views = made(whole_body)
    found = read(written(tmp_path / "a.dcm", views))
    assert np.array_equal(found.views.counts, views.counts)
    assert found.views.sides == views.sides
    assert found.views.whole_body is whole_body
    assert found.views.pixel_mm == (4.0, 3.0)
    assert found.views.dwell_s == (387.0, 387.0)
    assert found.views.place_mm == (-50.0, 300.0)
    assert found.views.time == WHEN
    assert [w.is_near(o) for w, o in zip(found.views.windows, WINDOWS, strict=True)] == [True, True]
    assert found.nuclide == "I-131"
    assert not found.messages
    assert found.sources["posterior"] == (0, 1, True, False)
    stored = pydicom.dcmread(tmp_path / "a.dcm").pixel_array
    assert np.array_equal(stored[1].T, views.counts[1, 0][::-1])


def test_one_file_for_each_view(tmp_path: Path) -> None:
    views = made()
    paths = [
        written(
            tmp_path / f"{side}.dcm",
            PlanarViews(views.counts[n : n + 1], (side,), WINDOWS, (4.0, 3.0), (387.0,), (0.0,), WHEN, (-50.0, 300.0)),
        )
        for n, side in enumerate(views.sides)
    ]
    found = read(*paths)
    assert np.array_equal(found.views.counts, views.counts)


def test_a_view_that_the_header_does_not_orient_is_laid_as_it_fits(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", made())
    dataset = pydicom.dcmread(path)
    for item in dataset.DetectorInformationSequence:
        item.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    dataset.save_as(path)
    found = read(path)
    assert np.array_equal(found.views.counts, made().counts)
    assert [m.code for m in found.messages] == ["posterior-by-image"]
    assert np.array_equal(read(path, posterior="mirrored").views.counts[1], made().counts[1][:, ::-1])
    symmetric = replace(made(), counts=np.full((2, 2, 20, 30), 7.0))
    path = written(tmp_path / "b.dcm", symmetric)
    dataset = pydicom.dcmread(path)
    for item in dataset.DetectorInformationSequence:
        del item.ImageOrientationPatient
    dataset.save_as(path)
    with pytest.raises(InputError, match="the images do not show it"):
        read(path)


def test_views_without_names_must_be_stated(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", made())
    dataset = pydicom.dcmread(path)
    for item in dataset.DetectorInformationSequence:
        del item.ViewCodeSequence
    dataset.save_as(path)
    with pytest.raises(DicomError, match="which view is anterior"):
        read(path)
    assert read(path, order=("anterior", "posterior")).views.sides == ("anterior", "posterior")
    with pytest.raises(InputError, match="1 `view_order` are stated"):
        read(path, order=("anterior",))


def test_a_view_alone_is_one_view(tmp_path: Path) -> None:
    found = read(written(tmp_path / "a.dcm", made(sides=("posterior",))))
    assert found.views.sides == ("posterior",)
    assert not found.views.conjugate
    assert np.array_equal(found.views.counts, made(sides=("posterior",)).counts)


def other_size(path: Path) -> None:
    views = made(sides=("posterior",))
    written(path, PlanarViews(views.counts[:, :, :, :-1], ("posterior",), WINDOWS, (4.0, 3.0), (387.0,), (0.0,), WHEN,
                              (-50.0, 300.0)))  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "whole_body", "words"),
    [
        (lambda p: written(p, made(sides=("posterior",)), patient="P2"), False, "of another patient"),
        (other_size, False, "20 x 29 pixels"),
        (lambda p: changed(written(p, made(True, ("posterior",))), ScanVelocity="2"), True, "have one speed"),
        (lambda p: changed(written(p, made(True, ("posterior",))), ScanVelocity="2000"), True, "no speed of a scan"),
        (lambda p: changed(written(p, made(True, ("posterior",))), ScanVelocity=None), True, "do not say for how long"),
        (lambda p: changed(written(p, made(sides=("posterior",))), ActualFrameDuration=None), False, "how long the"),
        (lambda p: written(p, made(sides=("posterior",)), when=datetime(2026, 3, 4, 10)), False, "h after the other"),
        (lambda p: written(p, made(sides=("posterior",)), when=datetime(2026, 3, 2, 13, 30)), False, "3.5 h after the"),
        (lambda p: written(p, made(sides=("anterior",))), False, "a second anterior view"),
    ],
)
def test_views_that_do_not_belong_together(tmp_path: Path, spoil: Any, whole_body: bool, words: str) -> None:
    first = written(tmp_path / "a.dcm", made(whole_body, ("anterior",)))
    spoil(tmp_path / "b.dcm")
    with pytest.raises(HepaticaError, match=words):
        opposed_views(read_planar([first, tmp_path / "b.dcm"], all_windows=True, one_patient=False))


def test_mixed_windows_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path / "a.dcm", made(sides=("anterior",)))
    second = written(tmp_path / "b.dcm", made(sides=("posterior",)))
    dataset = pydicom.dcmread(second)
    limits = dataset.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence[0]
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = "126", "154"
    dataset.save_as(second)
    with pytest.raises(InputError, match="was counted in"):
        read(first, second)


def test_saturated_pixels_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", made())
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array.copy()
    stored[0, 3, 3] = 65535
    dataset.PixelData = stored.tobytes()
    dataset.save_as(path)
    with pytest.raises(InputError, match="1 pixels stand at 65535, the largest count that fits"):
        read(path)


def test_overlays_are_regions(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", made())
    dataset = pydicom.dcmread(path)
    mask = np.zeros((30, 20), np.uint8)
    mask[5:9, 2:6] = 1
    group = 0x6000
    sizes = ((0x10, "US", 30), (0x11, "US", 20), (0x51, "US", 2), (0x100, "US", 1), (0x102, "US", 0))
    for element, vr, value in (*sizes, (0x40, "CS", "R"), (0x50, "SS", [1, 1]), (0x1500, "LO", "liver")):
        dataset.add_new((group, element), vr, value)
    bits = np.packbits(mask.ravel(), bitorder="little").tobytes()
    dataset.add_new((group, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))
    dataset.save_as(path)
    file = read_planar([path], all_windows=True)[0]
    (region,) = overlay_regions(open_dicom(path), file.image.grid)
    assert region.name == "liver"
    assert np.array_equal(region.full()[:, :, 1], mask.T)
    assert region.voxels == 16
    empty = pydicom.dcmread(path)
    empty[group, 0x3000].value = b"\0" * len(empty[group, 0x3000].value)
    empty.save_as(path)
    with pytest.raises(DicomError, match="'liver' covers no pixel"):
        overlay_regions(open_dicom(path), file.image.grid)
    changed_rows = pydicom.dcmread(path)
    changed_rows.add_new((group, 0x10), "US", 31)
    changed_rows.save_as(path)
    with pytest.raises(DicomError, match="does not fit the image"):
        overlay_regions(open_dicom(path), file.image.grid)


def test_views_stored_feet_up_are_turned(tmp_path: Path) -> None:
    """ImageOrientationPatient with columns towards the head: pixels and place are those of the views that were made."""
    path = written(tmp_path / "a.dcm", made())
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array[:, ::-1].copy()
    dataset.PixelData = stored.tobytes()
    for item in dataset.DetectorInformationSequence:
        item.ImageOrientationPatient = [*list(item.ImageOrientationPatient)[:3], 0, 0, 1]
        x, y, z = item.ImagePositionPatient
        item.ImagePositionPatient = [x, y, float(z) - 29 * 3.0]
    dataset.save_as(path)
    found = read(path)
    assert np.array_equal(found.views.counts, made().counts)
    assert found.views.place_mm == (-50.0, 300.0)
    assert found.sources["anterior"] == (0, 0, False, True)


def test_a_speed_that_contradicts_the_time_is_refused(tmp_path: Path) -> None:
    """12 cm/min taken for mm/s: 90 mm in 90 s at 1 mm/s. A stated time per point goes before it."""
    path = written(tmp_path / "a.dcm", made(whole_body=True))
    assert read(path).views.dwell_s == (387.0, 387.0)
    for speed in ("6", "0.1"):
        changed(path, ScanVelocity=speed, ScanLength="900", ActualFrameDuration="900000")
        with pytest.raises(InputError, match=r"ScanVelocity .* ActualFrameDuration .*`dwell_s`"):
            read(path)
        assert read(path, dwell_s=100.0).views.dwell_s == (100.0, 100.0)
    assert read(changed(path, ScanVelocity="1")).views.dwell_s == (387.0, 387.0)


@pytest.mark.parametrize("by", ["ImageOrientationPatient", "StartAngle"])
def test_codes_that_orientation_or_angle_contradict_are_said(tmp_path: Path, by: str) -> None:
    path = written(tmp_path / "a.dcm", made())
    assert "view-codes-contradicted" not in [m.code for m in read(path).messages]
    dataset = pydicom.dcmread(path)
    front, back = dataset.DetectorInformationSequence
    first, second = getattr(front, by), getattr(back, by)
    setattr(front, by, second)
    setattr(back, by, first)
    dataset.save_as(path)
    (said,) = [m for m in read(path).messages if m.code == "view-codes-contradicted"]
    assert said.severity == "critical"
    assert by in said.text
    stated = read(path, order=("anterior", "posterior"))
    assert "view-codes-contradicted" not in [m.code for m in stated.messages]


def test_views_an_hour_apart_are_told(tmp_path: Path) -> None:
    first = written(tmp_path / "a.dcm", made(sides=("anterior",)))
    second = written(tmp_path / "b.dcm", made(sides=("posterior",)), when=datetime(2026, 3, 2, 12))
    assert [m.code for m in read(first, second).messages] == ["views-apart"]


@pytest.mark.parametrize(("pixels", "refused"), [(4, True), (2, False)])
def test_a_plateau_of_fewer_bits_is_saturation(tmp_path: Path, pixels: int, refused: bool) -> None:
    """An acquisition word of 12 bits in a file of 16; two pixels at 4095 can be chance."""
    path = written(tmp_path / "a.dcm", made())
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array.copy()
    stored[0, 3, 3 : 3 + pixels] = 4095
    dataset.PixelData = stored.tobytes()
    dataset.save_as(path)
    if refused:
        with pytest.raises(InputError, match="4 pixels stand at 4095"):
            read(path)
    else:
        assert read(path).views.counts.max() == 4095
