"""Series as they really come: empty, damaged or scattered files, one slice a file, links, several volumes in a file."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_makers import ROOT, changed, ct_series, nm_volume, pet_series, put_pixels, ramp, save, small_grid
from hepatica.core import Grid
from hepatica.errors import DicomError, HepaticaError
from hepatica.io.dicom import geometry
from hepatica.io.read import read_image, scan

GRID = small_grid()
HU = ramp(GRID, -1000, 400) // 2 * 2
COUNTS = ramp(GRID)
RANDOM = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def emptied(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    return folder


class TestEmptyAndDamaged:
    @RANDOM
    @given(
        which=st.integers(0, 5),
        damage=st.sampled_from(["empty", "zeros", "text", "head"]),
        suffix=st.sampled_from([".dcm", "", ".IMA"]),
    )
    def test_file_of_a_series_is_not_passed_over(self, tmp_path: Path, which: int, damage: str, suffix: str) -> None:
        folder = emptied(tmp_path / "ct")
        paths = [path.rename(folder / f"IM{n:04d}{suffix}") for n, path in enumerate(save(ct_series(GRID, HU), folder))]
        whole = paths[which].read_bytes()
        paths[which].write_bytes(
            {"empty": b"", "zeros": bytes(len(whole)), "text": b"lost" * 200, "head": whole[:100]}[damage]
        )
        with pytest.raises(DicomError, match=rf"1 files .* damaged or empty .*IM{which:04d}"):
            read_image(folder, role="ct")

    def test_a_file_of_another_name_is_only_listed(self, tmp_path: Path) -> None:
        save(ct_series(GRID, HU), tmp_path)
        (tmp_path / "notes.txt").write_text("nothing")
        (tmp_path / "lock").touch()
        image = read_image(tmp_path, role="ct")
        assert image.grid.shape == GRID.shape
        assert sum(message.code == "file-skipped" for message in image.messages) == 2

    @pytest.mark.parametrize("seed", range(6))
    def test_a_slice_is_not_lost_to_a_damaged_byte_unsaid(self, tmp_path: Path, seed: int) -> None:
        # Bytes of the header of the last slice, whose loss leaves no hole.
        paths = save(ct_series(GRID, HU), tmp_path)
        whole, chance = paths[-1].read_bytes(), random.Random(seed)
        for _ in range(20):
            damaged = bytearray(whole)
            damaged[chance.randrange(132, len(whole) - 2 * 35)] = chance.randrange(256)
            paths[-1].write_bytes(bytes(damaged))
            try:
                image = read_image(tmp_path, role="ct")
            except HepaticaError:
                continue
            assert image.grid.shape[2] == 6, bytes(damaged)

    @pytest.mark.parametrize(
        "lost",
        [
            {"ImagePositionPatient": None},
            {"ImageOrientationPatient": None},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9"},
        ],
    )
    def test_a_slice_is_not_lost_to_a_damaged_tag(self, tmp_path: Path, lost: dict[str, Any]) -> None:
        datasets = ct_series(GRID, HU)
        changed(datasets[-1:], **lost)
        save(datasets, tmp_path)
        with pytest.raises(DicomError, match=r"1 files .* damaged .*CT1-006"):
            read_image(tmp_path, role="ct")


class TestSeriesUidPerSlice:
    @RANDOM
    @given(order=st.permutations(range(6)), pet=st.booleans())
    def test_is_one_series(self, tmp_path: Path, order: list[int], pet: bool) -> None:
        folder = emptied(tmp_path / "scattered")
        datasets = pet_series(GRID, COUNTS) if pet else ct_series(GRID, HU)
        for dataset, number in zip(datasets, order, strict=True):
            dataset.SeriesInstanceUID = f"{ROOT}.300.{number}"
        save(datasets, folder)
        image = read_image(folder, role="activity" if pet else "ct")
        expected = COUNTS * np.arange(1, 7) if pet else HU
        assert np.array_equal(image.volume.values, expected.astype(np.float32))
        assert "series-uid-per-slice" in {message.code for message in image.messages}

    def test_of_two_scans_is_not_mixed(self, tmp_path: Path) -> None:
        for offset, words in ((0, "first"), (10, "second")):
            datasets = ct_series(GRID, HU, SeriesDescription=words)
            for number, dataset in enumerate(datasets, start=offset):
                dataset.SeriesInstanceUID, dataset.SOPInstanceUID = f"{ROOT}.300.{number}", f"{ROOT}.301.{number}"
            save(datasets, tmp_path / words)
        assert [(s.description, s.images) for s in scan(tmp_path)] == [("first", 6), ("second", 6)]


def nm_slices(**changes: Any) -> list[Dataset]:
    """One NM file for each slice, its place in its detector's item."""
    datasets = []
    for k in range(GRID.shape[2]):
        affine = np.array(GRID.affine)
        affine[:3, 3] = GRID.to_mm([0, 0, k])
        one = Grid((*GRID.shape[:2], 1), affine, GRID.frame_of_reference)
        dataset = nm_volume(one, COUNTS[:, :, k : k + 1], SOPInstanceUID=f"{ROOT}.3.{k + 1}", InstanceNumber=k + 1)
        datasets.append(dataset)
    return changed(datasets, **changes)


class TestNuclear:
    @RANDOM
    @given(order=st.permutations(range(1, 7)))
    def test_one_slice_per_file(self, tmp_path: Path, order: list[int]) -> None:
        folder = emptied(tmp_path / "nm")
        for path, number in zip(save(nm_slices(), folder), order, strict=True):
            path.rename(folder / f"{number:02d}.nm")
        image = read_image(folder, role="activity")
        assert np.array_equal(image.volume.values, COUNTS)
        assert np.abs(image.grid.corners_mm() - GRID.corners_mm()).max() < 1e-4
        assert "slices-in-files" in {message.code for message in image.messages}

    def test_a_slice_is_missing(self, tmp_path: Path) -> None:
        datasets = nm_slices()
        save([*datasets[:2], *datasets[3:]], tmp_path)
        with pytest.raises(DicomError, match="a slice is missing"):
            read_image(tmp_path, role="activity")

    @RANDOM
    @given(
        what=st.sampled_from(["EnergyWindow", "TimeSlot", "RRInterval", "Phase", "TimeSlice", "Rotation", "Detector"]),
        parts=st.integers(2, 3),
        numbered=st.booleans(),
        nested=st.booleans(),
    )
    def test_several_volumes_are_never_stacked(
        self, tmp_path: Path, what: str, parts: int, numbered: bool, nested: bool
    ) -> None:
        folder = emptied(tmp_path / "several")
        frames = 6 // parts * parts
        dataset = nm_volume(GRID, COUNTS, NumberOfSlices=None, SliceVector=None)
        put_pixels(dataset, COUNTS.transpose(2, 1, 0)[:frames].astype(np.uint16))
        dataset.NumberOfFrames = frames
        order = sorted(range(frames), key=lambda n: n % parts) if nested else list(range(frames))
        setattr(dataset, f"{what}Vector", [n * parts // frames + 1 for n in order])
        if numbered:
            dataset.NumberOfSlices = frames // parts
        save(dataset, folder)
        with pytest.raises(DicomError, match=rf"{what}Vector: the 6 frames are {parts} volumes"):
            read_image(folder, role="activity")

    def test_windows_without_any_vector(self, tmp_path: Path) -> None:
        save(nm_volume(GRID, COUNTS, NumberOfSlices=None, SliceVector=None, NumberOfEnergyWindows=2), tmp_path)
        with pytest.raises(DicomError, match="NumberOfEnergyWindows: 2 energy windows"):
            read_image(tmp_path, role="activity")
        save(nm_volume(GRID, COUNTS, NumberOfEnergyWindows=2), tmp_path)
        assert read_image(tmp_path, role="activity").grid.shape == GRID.shape

    @pytest.mark.parametrize(
        ("corrected", "expected"),
        [
            (["ATTN", "SCAT"], set()),
            (["UNIF", "ATTN"], {"not-scatter-corrected"}),
            (["UNIF", "NCO"], {"not-attenuation-corrected", "not-scatter-corrected"}),
        ],
    )
    def test_corrections_that_are_missing(self, tmp_path: Path, corrected: list[str], expected: set[str]) -> None:
        save(nm_volume(GRID, COUNTS, CorrectedImage=corrected), tmp_path)
        messages = read_image(tmp_path, role="activity").messages
        assert {message.code for message in messages} == expected
        assert all("lung shunt" in message.text and "dose" in message.text for message in messages)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    save(ct_series(GRID, HU), tmp_path / "disk" / "ct")
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "link").symlink_to(tmp_path / "disk" / "ct", target_is_directory=True)
    (tmp_path / "case" / "again").symlink_to(tmp_path / "case", target_is_directory=True)
    image = read_image(tmp_path / "case", role="ct")
    assert np.array_equal(image.volume.values, HU)
    assert not image.messages


def test_planes_of_enhanced_mr_are_shown(tmp_path: Path) -> None:
    from hepatica.io.describe import describe

    dataset = ct_series(GRID, HU)[0]
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.4.1", "MR"
    plane = Dataset()
    geometry.write_plane(plane, GRID, 0)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = plane.PixelSpacing, plane.SliceThickness
    orientation.ImageOrientationPatient = plane.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    frames = []
    for k in range(6):
        frame, position = Dataset(), Dataset()
        geometry.write_plane(plane, GRID, k)
        position.ImagePositionPatient = plane.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], frames
    put_pixels(dataset, COUNTS.transpose(2, 1, 0).astype(np.uint16))
    dataset.NumberOfFrames = 6
    save(dataset, tmp_path)
    (shown,) = describe(tmp_path).series
    assert shown.what == "MR"
    assert shown.grid is not None
    assert shown.grid.shape == GRID.shape
    assert "MR" in shown.problems[0]
