"""Frames and readings as they come: what may be used, and what is wrong with the rest.

A camera's clock, a network and a person between them lose frames, double them, bring them late and set clocks.
Nothing of that may pass for an injection in which all is well: each fault is said, and what cannot be used is not.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hepatica.errors import InputError
from hepatica.monitoring.setup import Array

SILENT_FRAMES = 5.0
"""Frames that must be missing before the silence is said, and at least `SILENT_S`."""

SILENT_S = 2.0

JUMP_S = 10.0
"""A frame's clock and the receiver's may run apart by so much between two frames before a clock was set."""

BACK_S = 2.0
"""By which readings may come late before the meter's clock was set back."""

STANDING = 8
"""Readings that are the same to the last digit while beads arrive: the meter stands still."""

METER_SILENT_S = 5.0

CLIPPED = 0.97
"""Of the reading of the full vial, from which on a meter that stands still was saturated when it read that."""

ALIKE = 0.02
"""Of the spread between two frames that counting alone makes (the sum of their counts); less shows one frame twice."""

ALIKE_COUNTS = 100.0

MORE_THAN_ALIKE = 16.0
"""Sums of blocks keep the differences of alike frames, and where these have a sign in common they add up: so many times
`ALIKE` is let through to be looked at pixel by pixel."""

SURELY_UNLIKE = 20
"""Counts of a frame, from which on another one with the same in every pixel is the same frame."""

STANDS_STILL = "the picture stands still: a frame is alike to an older one beyond chance"

BLOCKS = 8
"""Along rows and columns of a frame."""

SHORTEST_S = 0.005
"""Exposure of a frame; a shorter one is a mistake of its header."""

RISE = 0.05
"""Of the planned activity, by which what has left a vial cannot shrink; and `RISE_SD` of the meter's readings."""

RISE_SD = 6.0

DROP = 0.25
"""Of the planned activity between two readings less than `DROP_S` apart: nobody pushes so fast."""

DROP_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a camera, or of an MR series with its signal turned into amounts.

    Attributes
    ----------
    values : ndarray, shape (rows, columns)
        Counts; or, with `variances`, what a signal says is in each pixel (holmium by MR), in the setup's units.
    start_s : float
        By the camera's clock, from any zero.
    duration_s : float
        Exposure.
    number : int or None
        In its series, if it is numbered.
    nuclide : str
        That its header names; empty if none.
    received_s : float or None
        By the receiver's clock, which runs on; None in a replay.
    variances : ndarray, shape (rows, columns), or None
        Of values that are no counts; None for counts, whose variance is their mean.
    fault : str
        Why nothing may be judged of it, as whoever made its values saw; empty where nothing is wrong.
    """

    values: Array
    start_s: float
    duration_s: float
    number: int | None = None
    nuclide: str = ""
    received_s: float | None = None
    variances: Array | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a meter.

    Attributes
    ----------
    kind : str
        "vial" (dose rate at the vial), "line" (at the delivery line), "pushed" (share of the infusion that was pushed).
    at_s : float
        By the same clock as the frames.
    value : float
        Dose rate in any unit; pushed: 0 to 1.
    """

    kind: str
    at_s: float
    value: float

    def __post_init__(self) -> None:
        if self.kind not in ("vial", "line", "pushed"):
            raise InputError(f"a reading is of the vial, the line or what was pushed, not {self.kind!r}")
        if not math.isfinite(self.at_s):
            raise InputError(f"a reading of the {self.kind} has no time")


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a frame.

    Attributes
    ----------
    use : bool
        Whether it is used.
    time_s : float
        Its start on the injection's own clock, which never runs back.
    gap_s : float
        Time before it without a frame.
    note : str
        What is wrong; empty where nothing is.
    """

    use: bool
    time_s: float
    gap_s: float
    note: str = ""


@dataclass(slots=True)
class FrameGate:
    """Order, clocks and content of frames.

    Attributes
    ----------
    nuclide : str
        That is injected; empty to take any.
    shape : tuple of int
        Rows and columns that a frame must have.
    """

    nuclide: str
    shape: tuple[int, int]
    lost: int = 0
    doubled: int = 0
    late: int = 0
    jumps: int = 0
    standing: int = 0
    odd: int = 0
    overlapping: int = 0
    _last: Frame | None = None
    _offset_s: float = 0.0
    _end_s: float = 0.0
    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))
    _contents: set[int] = field(default_factory=set)
    _older: deque[tuple[Frame, Array]] = field(default_factory=lambda: deque(maxlen=64))

    def judge(self, frame: Frame) -> Judged:
        """Whether a frame is used, and when it was.

        Raises
        ------
        InputError
            If the first frame is of another shape, holds what no camera counts, or names another nuclide: no frame of
            the series can then be used. A later one of that kind is left out, and said.
        """
        last = self._last
        try:
            self._require(frame)
        except InputError as error:
            if last is None:
                raise
            self.odd += 1
            return Judged(False, self._end_s, 0.0, f"{error.args[0]}; it is not used")
        if last is None:
            self._last, self._offset_s, self._end_s = frame, -frame.start_s, frame.duration_s
            self._keep(frame, hash(frame.values.tobytes()))
            return Judged(True, 0.0, 0.0)
        content = hash(frame.values.tobytes())
        if (frame.start_s, content) in self._seen or (frame.number is not None and frame.number == last.number):
            self.doubled += 1
            return Judged(False, self._end_s, 0.0, "a frame came twice; it counts once")
        if self._is_old(frame, content):
            self.standing += 1
            now = max(frame.start_s + self._offset_s, self._end_s) + frame.duration_s
            return Judged(False, now, 0.0, STANDS_STILL)
        step = frame.start_s - last.start_s
        note = self._clock(frame, last, step)
        time_s = frame.start_s + self._offset_s
        if not note and step < 0:
            self.late += 1
            return Judged(False, self._end_s, 0.0, "a frame came after a later one; it is not used")
        gap = time_s - self._end_s
        if not note and gap < -0.5 * frame.duration_s:
            self.overlapping += 1
            return Judged(False, self._end_s, 0.0, "a frame overlaps the one before; it is not used")
        if gap > 0.5 * frame.duration_s:
            missing = max(1, round(gap / frame.duration_s))
            self.lost += missing
            note = note or f"{missing} frame{'s' if missing > 1 else ''} of {frame.duration_s:g} s did not come"
        time_s, gap = max(time_s, self._end_s), max(gap, 0.0)
        self._last, self._end_s = frame, time_s + frame.duration_s
        self._keep(frame, content)
        return Judged(True, time_s, gap, note)

    def _keep(self, frame: Frame, content: int) -> None:
        self._seen.append((frame.start_s, content))
        if frame.values.sum() >= SURELY_UNLIKE:
            self._contents.add(content)
        if frame.variances is None:
            self._older.append((frame, blocks_of(frame.values)))

    def _is_old(self, frame: Frame, content: int) -> bool:
        """Whether a frame shows what an older one has shown: a source that repeats itself, in turn or not."""
        if content in self._contents:
            return True
        if frame.variances is not None or not self._older:
            return False
        own = blocks_of(frame.values)
        # Where the sums of blocks differ as counts do, pixels need not be looked at.
        older = np.stack([blocks for _, blocks in self._older])
        near = ((older - own) ** 2).sum(axis=1) < MORE_THAN_ALIKE * ALIKE * (older.sum(axis=1) + own.sum())
        return any(is_alike(frame, self._older[n][0]) for n in np.flatnonzero(near))

    def _clock(self, frame: Frame, last: Frame, step: float) -> str:
        """Follow another clock where the camera's was set: frame numbers, else the receiver's; what was done."""
        if frame.number is not None and last.number is not None:
            expected = (frame.number - last.number) * last.duration_s
        elif frame.received_s is not None and last.received_s is not None:
            expected = frame.received_s - last.received_s
        else:
            expected = step if abs(step) <= 60 * JUMP_S else last.duration_s
        if abs(step - expected) <= JUMP_S:
            return ""
        self.jumps += 1
        self._offset_s += expected - step
        return f"the camera's clock jumped by {step - expected:+.0f} s; its frames are set behind each other"

    def _require(self, frame: Frame) -> None:
        if frame.values.shape != self.shape:
            raise InputError(f"a frame has {frame.values.shape} pixels, the masks have {self.shape}")
        if frame.variances is not None:
            sound = frame.variances.shape == self.shape and np.isfinite(frame.variances).all()
            if not sound or (frame.variances < 0).any() or not frame.variances.any():
                raise InputError("the variances of a frame have its shape, are finite, not negative and not all nil")
        if not np.isfinite(frame.values).all() or (frame.variances is None and (frame.values < 0).any()):
            raise InputError("a frame holds counts that are negative or not finite")
        if not (math.isfinite(frame.start_s) and SHORTEST_S <= frame.duration_s < math.inf):
            raise InputError(
                f"a frame starts at {frame.start_s} s and lasts {frame.duration_s} s; it lasts {SHORTEST_S} s at least"
            )
        if self.nuclide and frame.nuclide and frame.nuclide != self.nuclide:
            raise InputError(
                f"the frames are of {frame.nuclide}, the injection is of {self.nuclide}",
                remedy="take the camera's protocol of this nuclide; nothing is judged of another one's counts",
            )


def blocks_of(values: Array) -> Array:
    """Sums of a frame's blocks, shape (`BLOCKS`², or fewer where the frame has fewer pixels)."""
    rows, columns = (np.arange(0, size, max(1, math.ceil(size / BLOCKS))) for size in values.shape)
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1), np.float64).ravel()


def is_alike(frame: Frame, last: Frame) -> bool:
    """Whether two frames differ by so little that one was sent twice; frames of counts differ by their noise."""
    if frame.variances is not None or last.variances is not None:
        return False
    together = float(frame.values.sum() + last.values.sum())
    return together >= ALIKE_COUNTS and float(((frame.values - last.values) ** 2).sum()) < ALIKE * together


@dataclass(slots=True)
class MeterGate:
    """Readings of vial or line, turned into activity that has left the vial.

    Attributes
    ----------
    planned_bq : float
        In the vial at the start.
    full_scale : float or None
        Largest value that the meter shows; at it the meter is saturated.
    noise : float
        Standard deviation of a reading, as a share of the full vial.
    lost : str
        Why the meter is not believed for the rest of the injection; empty as long as it is.
    """

    planned_bq: float
    full_scale: float | None = None
    noise: float = 0.01
    lost: str = ""
    _most_bq: float = 0.0
    _first: list[float] = field(default_factory=list)
    _last: Reading | None = None
    _same: int = 0
    _moved_bq: float = 0.0
    history: list[tuple[float, float]] = field(default_factory=list)

    @property
    def has_baseline(self) -> bool:
        """Whether the full vial was read often enough: an error of it would look like beads that stay behind."""
        return len(self._first) >= BEFORE

    @property
    def has_begun(self) -> bool:
        """Whether it was read while beads could flow: what comes before the first frame has no clock in common."""
        return bool(self.history) and self.history[-1][0] > 0

    @property
    def has_come(self) -> bool:
        """Whether there is a reading at all."""
        return self._last is not None

    def take(self, reading: Reading, body_bq: float) -> str:
        """Take in a reading of the vial; what is wrong with it, empty where nothing is.

        Parameters
        ----------
        reading : Reading
            Of the vial.
        body_bq : float
            What the camera says has arrived.
        """
        if not math.isfinite(reading.value) or reading.value < 0:
            return "the meter reads less than nothing, or no number"
        if self._last is not None and reading.at_s <= self._last.at_s:
            if self.has_begun and self._last.at_s - reading.at_s > BACK_S:
                self.lost = "the meter's clock was set back; what it says has no time any more"
            return "a reading came twice or late; it is not used"
        if self.has_begun and self._last is not None and reading.at_s - self._last.at_s > JUMP_S:
            self.lost = (
                f"no reading of the meter came for more than {JUMP_S:.0f} s: whether its clock holds is not known"
            )
        if self.full_scale is not None and reading.value >= self.full_scale:
            self._last = reading
            return f"the meter is saturated at {self.full_scale:g}"
        if self._last is not None and reading.value == self._last.value:
            self._same += 1
            if self._same == 1:
                self._moved_bq = body_bq
        else:
            self._same = 0
        self._last = reading
        if self.is_standing(body_bq):
            self._find_clipped(reading.value)
            return f"the meter stands still at {reading.value:g} while beads arrive"
        if reading.at_s <= 0:
            self._first.append(reading.value)
        if not self.has_baseline:
            return ""
        start = float(np.mean(self._first))
        infused = self.planned_bq * (1 - reading.value / start) if start > 0 else 0.0
        self._contradiction(reading.at_s, infused)
        self.history.append((reading.at_s, infused))
        return ""

    def _find_clipped(self, value: float) -> None:
        """A meter that stands still where it read the full vial was saturated then: the full vial is not known."""
        if self._first and value >= CLIPPED * float(np.mean(self._first)):
            self.lost = (
                f"the meter stood still at {value:g} while beads arrived, and read the full vial as that: it was "
                "saturated, and what the full vial reads is not known"
            )

    def _contradiction(self, at_s: float, infused_bq: float) -> None:
        """Notice what no vial does: it fills again, or is empty from one reading to the next."""
        step = max(RISE, RISE_SD * self.noise) * self.planned_bq
        recent = [value for _, value in self.history[-4:]] + [infused_bq]
        if len(recent) == 5:
            self._most_bq = max(self._most_bq, float(np.median(recent)))
        if sum(value < self._most_bq - step for value in recent[-2:]) == 2:
            self.lost = "the meter rises: another vial, or it was moved; what it says is no total any more"
        if self.history:
            before_s, before = self.history[-1]
            sudden = max(DROP, RISE_SD * self.noise) * self.planned_bq
            if at_s - before_s < DROP_S and infused_bq - before > sudden:
                self.lost = "the meter fell by a quarter of the vial from one reading to the next; it is not believed"

    def is_standing(self, body_bq: float) -> bool:
        """Whether the same value came `STANDING` times while 2 % of the plan arrived."""
        return self._same >= STANDING and body_bq - self._moved_bq > 0.02 * self.planned_bq

    def silent_s(self, now_s: float) -> float:
        """Since the last reading."""
        return math.inf if self._last is None else now_s - self._last.at_s

    def infused_bq(self) -> float | None:
        """Activity out of the vial by the last good reading."""
        return self.history[-1][1] if self.history else None


BEFORE = 10
"""Readings before the first frame, at least, whose mean is the full vial."""
