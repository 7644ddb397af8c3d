"""Dynamic gamma camera images: the time of every frame comes from the phases."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from hepatica.errors import DicomError
from hepatica.io.describe import describe
from hepatica.io.description_rows import description_rows
from hepatica.io.dicom.images.phases import FrameTimes, frame_times
from hepatica.io.dicom.tags import Header

DATA = Path(os.environ.get("HEPATICA_DATA", Path(__file__).resolve().parents[5] / "shared/data"))


def times(phases: list[tuple[int, int, int, int]], **vectors: Any) -> FrameTimes | None:
    """Phases of (frames, duration, delay, pause) in milliseconds."""
    dataset = Dataset()
    items = []
    for count, duration, delay, pause in phases:
        item = Dataset()
        item.NumberOfFramesInPhase, item.ActualFrameDuration = count, duration
        item.PhaseDelay, item.PauseBetweenFrames = delay, pause
        items.append(item)
    dataset.PhaseInformationSequence = items
    for keyword, value in vectors.items():
        setattr(dataset, keyword, value)
    return frame_times(Header(dataset, Path("dynamic.dcm")), len(vectors["PhaseVector"]))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    phases=st.lists(
        st.tuples(st.integers(1, 6), st.integers(1, 60_000), st.integers(0, 5000), st.integers(0, 500)),
        min_size=1, max_size=4,
    ),
    detectors=st.integers(1, 2), numbering=st.sampled_from(["in the phase", "through all", "none"]),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_frames_follow_their_phases(
    phases: list[tuple[int, int, int, int]], detectors: int, numbering: str, order: Any
) -> None:
    """Whatever the order of the frames in the file, where they are numbered; two detectors share their times."""
    rows, now, number = [], 0.0, 0
    for phase, (count, duration, delay, pause) in enumerate(phases, start=1):
        now += delay / 1000
        for n in range(count):
            number += 1
            rows.append((phase, n + 1, number, now, duration / 1000))
            now += (duration + (pause if n < count - 1 else 0)) / 1000
    if numbering != "none":
        rows = rows * detectors
        order.shuffle(rows)
    column = {"in the phase": 1, "through all": 2}.get(numbering)
    vectors = {} if column is None else {"TimeSliceVector": [row[column] for row in rows]}
    found = times(phases, PhaseVector=[row[0] for row in rows], **vectors)
    assert found is not None
    np.testing.assert_allclose(found.start_s, [row[3] for row in rows], atol=1e-9)
    np.testing.assert_allclose(found.duration_s, [row[4] for row in rows])
    assert (found.alike_s is not None) is (len({row[4] for row in rows}) == 1)


@pytest.mark.parametrize(
    ("phases", "vectors", "message"),
    [
        ([(3, 1000, 0, 0)], {"PhaseVector": [1, 1]}, "NumberOfFramesInPhase"),
        ([(2, 0, 0, 0)], {"PhaseVector": [1, 1]}, "ActualFrameDuration"),
        ([(1, 1000, 0, 0), (1, 1000, 0, 0)], {"PhaseVector": [1, 3]}, "PhaseVector"),
        ([(2, 1000, 0, 0)], {"PhaseVector": [1, 1], "TimeSliceVector": [1, 5]}, "TimeSliceVector"),
    ],
)
def test_contradictions_are_named(phases: list[tuple[int, int, int, int]], vectors: Any, message: str) -> None:
    with pytest.raises(DicomError, match=f"dynamic.dcm: {message}"):
        times(phases, **vectors)


def test_a_real_dynamic() -> None:
    path = DATA / "nm-dynamic/mcr.dcm"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    (found,) = describe(path).series
    assert found.frame_starts_s == tuple(float(n) for n in range(30))
    assert set(found.frame_durations_s) == {1.0}
    assert ("frames", "30 of 1 s, from 0 to 30 s after the start") in list(description_rows(found))
    assert not any("ActualFrameDuration" in fact for fact in found.missing)
