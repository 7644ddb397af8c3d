"""Times of the frames of a dynamic gamma camera acquisition, from its PhaseInformationSequence (PS3.3 C.8.4.13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.io.dicom.tags import Header

MAX_FRAME_S = 24 * 3600.0
"""A frame longer than a day is another unit."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameTimes:
    """When each frame of a file began and how long it took.

    Attributes
    ----------
    start_s : ndarray, shape (frames,)
        After the start of the acquisition.
    duration_s : ndarray, shape (frames,)
        Time during which counts were taken.
    """

    start_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]

    @property
    def alike_s(self) -> float | None:
        """Duration of each frame if all are of one; else None."""
        return float(self.duration_s[0]) if np.ptp(self.duration_s) <= 1e-9 else None


def frame_times(header: Header, frames: int) -> FrameTimes | None:
    """Times of the frames of a file; None if it has no phases.

    Phases follow each other: each begins PhaseDelay after the one before ended, and has frames of one duration with
    PauseBetweenFrames in between. Frames of other detectors or energy windows at the same time share it.

    Raises
    ------
    DicomError
        If phases, their numbers of frames and the vectors of the frames contradict each other, or a frame has no time.
    """
    phases = header.items("PhaseInformationSequence")
    if not phases:
        return None
    first: list[NDArray[np.float64]] = []
    durations, now = [], 0.0
    for number, phase in enumerate(phases, start=1):
        count = phase.required_integer("NumberOfFramesInPhase")
        duration = phase.required_number("ActualFrameDuration") / 1000
        delay, pause = ((phase.number(k) or 0.0) / 1000 for k in ("PhaseDelay", "PauseBetweenFrames"))
        if not 1 <= count <= frames:
            raise phase.error("NumberOfFramesInPhase", f"is {count} in phase {number} of a file with {frames} frames")
        if not 0 < duration <= MAX_FRAME_S or delay < 0 or pause < 0:
            raise phase.error(
                "ActualFrameDuration",
                f"phase {number} has frames of {duration:g} s, {delay:g} s of delay and {pause:g} s of pause",
                remedy="correct the file (milliseconds)",
            )
        now += delay
        first.append(np.asarray(now + np.arange(count) * (duration + pause), dtype=np.float64))
        now = float(first[-1][-1]) + duration
        durations.append(duration)
    phase_of = _vector(header, "PhaseVector", frames, len(phases))
    slice_of = _slices(header, frames, phase_of, [starts.size for starts in first])
    return FrameTimes(
        np.array([first[p][n] for p, n in zip(phase_of, slice_of, strict=True)]),
        np.array([durations[p] for p in phase_of]),
    )


def _vector(header: Header, keyword: str, frames: int, count: int) -> list[int]:
    """Number of each frame from 0, of `count`."""
    numbers = [int(n) for n in header.numbers(keyword)]
    if not numbers and count == 1:
        return [0] * frames
    if len(numbers) != frames or min(numbers) < 1 or max(numbers) > count:
        raise header.error(keyword, f"does not give each of the {frames} frames a number from 1 to {count}")
    return [n - 1 for n in numbers]


def _slices(header: Header, frames: int, phase_of: list[int], counts: list[int]) -> list[int]:
    """Number of each frame in its phase from 0: by TimeSliceVector, or by order where nothing else runs."""
    numbers = [int(n) - 1 for n in header.numbers("TimeSliceVector")]
    if not numbers:
        seen = [0] * len(counts)
        for phase in phase_of:
            numbers.append(seen[phase])
            seen[phase] += 1
    elif len(numbers) == frames and max(numbers) >= max(counts):
        # Some makers count on through all phases.
        before = np.cumsum([0, *counts]).tolist()
        numbers = [n - before[phase] for n, phase in zip(numbers, phase_of, strict=True)]
    if len(numbers) != frames or any(not 0 <= n < counts[p] for n, p in zip(numbers, phase_of, strict=True)):
        raise header.error(
            "TimeSliceVector",
            f"does not number the {frames} frames within phases of {', '.join(map(str, counts))} frames",
        )
    return numbers
