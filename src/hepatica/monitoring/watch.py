"""One injection, watched: frames and readings in, states and alarms out."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.monitoring.arrival import is_saturated, live_share, whole_field
from hepatica.monitoring.faults.contradictions import Contradictions, Heard, settled_s
from hepatica.monitoring.faults.falls import SUDDEN_S, Falls
from hepatica.monitoring.faults.motion import BEFORE_S, Motion, moved_mask
from hepatica.monitoring.feed import METER_SILENT_S, SILENT_FRAMES, SILENT_S, Frame, FrameGate, MeterGate, Reading
from hepatica.monitoring.judging.boundaries import Boundaries, Pushed, tests_of
from hepatica.monitoring.judging.sequential import AGREE_SD, BY_METER, FROM_NOTHING, KINDS, Statistics
from hepatica.monitoring.line import LineMeter
from hepatica.monitoring.relative import has_slowed, residual_of
from hepatica.monitoring.setup import Setup
from hepatica.monitoring.state import Alarm, RegionState, Residual, State, Test, Watching
from hepatica.monitoring.wording import (
    ALREADY,
    BELOW_ZERO,
    CLOCK_APART,
    COME_THROUGH,
    DEAD,
    FELL,
    GOES_ON,
    MOST_IS_THERE,
    MOVED,
    NO_METER,
    NO_SHARE,
    NO_SOURCE,
    OVER_METER,
    OVER_PLAN,
    RESUMED,
    TOO_FEW,
    UNDER_METER,
    UNDER_PLAN,
    not_asked,
    reason,
    stamped,
)

LEAST_EXPECTED = 20.0
"""Counts of a frame; none at all is then chance in one of half a milliard."""

LEFT_LATER = 0.03
"""Of the plan that may leave the vial after the last frame, and what was delivered stays a measured value."""

UNSCALED = 0.15
"""Uncertainty of the camera factor from which on the camera alone measures shares, and no activity."""

LONGEST = 0.25
"""Of the planned infusion that a frame may last; a longer one is a mistake of its header, or no monitoring."""


@dataclass
class Watch:
    """The monitor of one injection.

    Parameters
    ----------
    setup : Setup
        What is known before.
    mask : ndarray of int, shape (rows, columns)
        Region that each pixel is counted for.
    boundaries : Boundaries or None
        Of the tests; without them activities are estimated and nothing is decided.
    look_s : float
        Between two looks of the tests.
    nuclide : str
        That is injected; frames of another one are refused.
    pixel_mm : float
        Edge of a pixel.
    full_scale : float or None
        Of the meter.
    allowed : mapping of str to str
        What the agent's instructions for use say on a kind of alarm, with the source.
    begins_s : float
        When the planned infusion begins, from the first frame; it stands in for a meter where there is none.
    line : LineMeter
        At the delivery line: for what is delivered, not for tests.

    Raises
    ------
    InputError
        If the mask names no region of the setup, or a region has no pixel.
    """

    setup: Setup
    mask: NDArray[np.int64]
    boundaries: Boundaries | None = None
    look_s: float = 0.5
    nuclide: str = ""
    pixel_mm: float = 4.0
    full_scale: float | None = None
    allowed: Mapping[str, str] = field(default_factory=dict)
    begins_s: float = 0.0
    line: LineMeter = field(default_factory=lambda: LineMeter(None, 0.0))
    alarms: list[Alarm] = field(default_factory=list)
    frames: int = 0
    _time_s: float = 0.0
    _silent_from_s: float = 0.0
    _is_stopped: bool = False
    _lost_meter: bool = False
    _pushed: float | None = None
    _notes: dict[str, float] = field(default_factory=dict)
    _rate_cps: float = 0.0
    _duration_s: float = 0.5
    _blind_from_s: float | None = None
    _read_until_s: float = 0.0
    _meter_from_s: float | None = None
    _faults: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.setup.regions)
        if self.mask.min() < 0 or self.mask.max() >= count:
            raise InputError(f"the mask counts pixels for regions {self.mask.min()} to {self.mask.max()} of {count}")
        pixels = np.bincount(self.mask.ravel(), minlength=count)
        if empty := [name for name, some in zip(self.setup.regions, pixels, strict=True) if not some]:
            raise InputError(f"the mask has no pixel for {', '.join(empty)}: nothing would be counted for it")
        self.gate = FrameGate(self.nuclide, (self.mask.shape[0], self.mask.shape[1]))
        self._meter = MeterGate(self.setup.planned_bq, self.full_scale, self.setup.doubts.meter)
        self._ahead: list[Reading] = []
        self._falls, self._contradictions = Falls(), Contradictions(self.setup)
        self._statistics = Statistics(self.setup, 1, self.look_s)
        self._expected = Pushed(self.setup, 1)
        self._motion = Motion(self.mask, self.pixel_mm)
        self._flat = self.mask.ravel()
        self._counts, self._exposure = np.zeros(count), 0.0
        self._variances = np.zeros(count)
        self._skipped: dict[str, str] = {}
        self._zero_s: float | None = None
        self._early = 0
        self._is_signal = False

    def frame(self, frame: Frame) -> State:
        """Take in a frame; the state after it.

        Raises
        ------
        InputError
            If frames of another nuclide, of another shape or without sense come: nothing can be judged of them.
        """
        if LONGEST * self.setup.infusion_s < frame.duration_s:
            raise InputError(
                f"a frame lasts {frame.duration_s:g} s, the whole infusion {self.setup.infusion_s:g} s",
                remedy="check the duration in the header of the frames",
            )
        judged = self.gate.judge(frame)
        if self._zero_s is None:
            self._zero_s = frame.start_s
        if judged.note:
            self._time_s = max(self._time_s, judged.time_s)
            self._note(judged.note)
        if judged.use and self._is_dead(frame):
            self.gate.odd += 1
            self._time_s = max(self._time_s, judged.time_s + frame.duration_s)
            self._note(DEAD)
            return self.state()
        if not judged.use:
            return self.state()
        self.frames += 1
        self._duration_s = frame.duration_s
        if judged.gap_s > 0.5 * frame.duration_s:
            self._look()
            self._statistics.arrival.predict(judged.gap_s)
        values = np.asarray(frame.values, np.float64).ravel()
        counts = np.asarray(np.bincount(self._flat, weights=values, minlength=len(self._counts)), np.float64)
        self._is_signal = frame.variances is not None
        if frame.variances is not None:
            # A signal is what is there, not what comes each second: its sum over the frame stands for counts.
            spread = np.bincount(self._flat, weights=frame.variances.ravel(), minlength=len(self._counts))
            self._variances = self._variances + spread * frame.duration_s**2
            counts = np.asarray(counts * frame.duration_s)
        self._counts, self._exposure = self._counts + counts, self._exposure + frame.duration_s
        self._rate_cps = float(counts.sum()) / frame.duration_s
        self._time_s = self._silent_from_s = judged.time_s + frame.duration_s
        self._take_ahead()
        if frame.fault:
            self._faults[frame.fault.split(":", 1)[0]] = self._time_s
            self._note(frame.fault, 0.5 * frame.duration_s)
        if is_saturated(self._rate_cps, self.setup.tau_s):
            self._note("the camera is saturated: it records all it can, and the true rate cannot be told", 5.0)
        if frame.variances is None and (note := self._motion.take(frame.values, frame.duration_s)):
            self._drop(MOVED)
            self._note(note, math.inf)
            self._doubt(f"{note}; this was seen at {self._time_s:.1f} s", self._time_s - BEFORE_S, KINDS)
        if self._exposure >= self.look_s * (1 - 1e-6):
            self._look()
        return self.state()

    def reading(self, reading: Reading) -> None:
        """Take in a reading of a meter, by the clock of the frames.

        One that is ahead of the frames waits for them: it must not be held against counts of an earlier time.
        """
        if reading.kind == "line":
            at_s = -1.0 if self._zero_s is None else reading.at_s - self._zero_s
            if note := self.line.take(at_s, reading.value):
                self._note(note, METER_SILENT_S)
            return
        # Before the first frame nothing has flowed, whatever the clock says.
        since = reading.at_s - (self._zero_s or 0.0)
        if self._zero_s is None and since >= 0:
            self._early += 1
            since = -1.0 + 1e-6 * self._early
        self._read_until_s = max(self._read_until_s, since)
        at = Reading(reading.kind, since, reading.value)
        if since > self._silent_from_s + 1e-6:
            insort(self._ahead, at, key=lambda one: one.at_s)
        else:
            self._read(at)

    def _take_ahead(self) -> None:
        while self._ahead and self._ahead[0].at_s <= self._silent_from_s + 1e-6:
            self._read(self._ahead.pop(0))

    def _read(self, at: Reading) -> None:
        if at.kind == "pushed":
            if not math.isfinite(at.value) or at.value > 1.05:
                # In percent, its first values looked like shares: none of it is believed.
                self._note(NO_SHARE, math.inf)
                self._doubt(NO_SHARE, -math.inf, ("no-delivery",))
            self._pushed = None if self._has(NO_SHARE) else min(max(at.value, 0.0), 1.0)
            return
        if note := self._meter.take(at, float(self._statistics.arrival.mean_bq[0, -1])):
            self._note(note, METER_SILENT_S)
            if "saturated" in note or "stands still" in note:
                self._lost_meter = True
        else:
            self._lost_meter = False
        if self._meter.lost and self._meter.lost not in self._notes:
            self._lose_meter(self._meter.lost, at.at_s)

    def _lose_meter(self, why: str, at_s: float) -> None:
        self._meter.lost = why
        self._note(why, math.inf)
        # By whatever clock: the tests have compared with a meter that was wrong up to now.
        self._doubt(why, min(at_s, self._time_s) - METER_SILENT_S, BY_METER)

    def silence(self, now_s: float) -> State:
        """The state at an instant at which no frame came, seconds from the start of the injection."""
        self._time_s = max(self._time_s, now_s)
        return self.state()

    def realign(self, left_mm: float, head_mm: float) -> None:
        """Move the masks to where the patient lies now; activities are estimated anew, and judged again from here."""
        across, up = round(left_mm / self.pixel_mm), round(head_mm / self.pixel_mm)
        moved = moved_mask(self.mask, across, up)
        self._counts, self._exposure = np.zeros_like(self._counts), 0.0
        self._statistics.restart()
        self._falls.forget()
        self.mask, self._flat = moved, moved.ravel()
        self._motion = Motion(moved, self.pixel_mm)
        self._drop(MOVED, FELL)

    def stop(self) -> State:
        """The injection is over; the last state."""
        if self._exposure > 0:
            self._look()
        self._time_s = max(self._time_s, self._read_until_s)
        self.state()
        for reading in self._ahead:
            self._read(reading)
        self._ahead.clear()
        self._is_stopped = True
        return self.state()

    def _is_dead(self, frame: Frame) -> bool:
        """Whether a frame holds nothing where background and beads give counts: the camera is off or shut."""
        if frame.variances is not None or frame.values.any():
            return False
        setup, held = self.setup, np.maximum(self._statistics.arrival.mean_bq[0, :-1], 0.0)
        true = float((setup.response_cps_per_bq @ held + setup.background_cps).sum())
        return true * frame.duration_s > LEAST_EXPECTED

    def _note(self, text: str, lasts_s: float = 3.0) -> None:
        self._notes[text] = self._time_s + lasts_s

    def _look(self) -> None:
        if self._exposure <= 0:
            return
        setup, statistics = self.setup, self._statistics
        middle = self._silent_from_s - self._exposure / 2
        infused = self._infused()
        # As long as there is no meter the camera stands in for it, which is no second opinion.
        self._meter_from_s = None if infused is None else (self._meter_from_s or middle)
        pushed = None if self._pushed is None else self._pushed * setup.planned_bq
        variances = self._variances[None] if self._variances.any() else None
        # By the planned speed, as long as the camera does not say that the vial is empty.
        planned = max(middle - self.begins_s, 0.0) / setup.infusion_s * setup.planned_bq
        if setup.has_meter:
            # Without a reading the camera itself stands in: the tests that need the meter then see no difference.
            instead = float(statistics.arrival.mean_bq[0, -1])
            out = np.array([instead if infused is None else infused])
            expected = self._expected.expected(np.array([0.0 if pushed is None else pushed]), out)
            statistics.look(self._counts[None], self._exposure, middle, out, expected, variances, infused is not None)
        else:
            out = np.array([planned if pushed is None else pushed])
            statistics.look(self._counts[None], self._exposure, middle, out, out, variances)
        seen, exposure_s = whole_field(setup, self._counts, self._exposure, middle), self._exposure
        self._counts, self._variances, self._exposure = np.zeros_like(self._counts), np.zeros_like(self._counts), 0.0
        self._check_fall(seen, exposure_s, infused)
        self._check_contradictions(middle, infused)
        self._skipped = self._not_judged(infused is None)
        self._decide()

    def _infused(self) -> float | None:
        """By the meter, None where it cannot be trusted."""
        meter = self._meter
        if self._lost_meter or meter.lost or meter.silent_s(self._silent_from_s) > METER_SILENT_S:
            return None
        return meter.infused_bq()

    def _check_fall(self, seen: tuple[float, float], exposure_s: float, infused: float | None) -> None:
        """Say that counts fall, as long as they are low; alarms of that moment may be of it."""
        arrival, falls = self._statistics.arrival, self._falls
        falls.slow(self._silent_from_s, float(arrival.mean_bq[0, -1]), math.sqrt(float(arrival.variance_bq2[0, -1])))
        if falls.is_low:
            self._note(FELL)
        if self._is_signal:
            return
        over, spread = (float(one[0]) for one in self._statistics.camera_over_meter())
        agrees = self.setup.has_meter and infused is not None and abs(over) < AGREE_SD * spread
        if falls.sudden(self._silent_from_s, exposure_s, seen, agrees=agrees):
            self._doubt(FELL, self._silent_from_s - 2 * SUDDEN_S[-1], KINDS)
        self._drop(f"{FELL}: ")
        if falls.lost:
            self._note(f"{FELL}: {100 * falls.lost:.0f} % at {falls.at_s:.1f} s", math.inf)

    def _check_contradictions(self, middle_s: float, infused: float | None) -> None:
        """Camera against meter and plan; and whether a stasis that was said was one."""
        is_known = not self._already_bq or self.setup.already_there == "apart"
        planned_s = middle_s - self.begins_s
        heard = Heard(infused is not None, is_known, planned_s, self._pushed)
        holds = self._contradictions.look(self._silent_from_s, self._statistics, self._meter, heard)
        for note in holds.values():
            self._note(note)
        if OVER_METER in holds:
            self._doubt(OVER_METER, self._silent_from_s - BEFORE_S, BY_METER)
        if self._has_stasis():
            body = float(self._statistics.arrival.mean_bq[0, -1])
            left = float(self._statistics.come_bq[0]) if infused is not None or not self.setup.has_meter else None
            if self._contradictions.has_resumed(body, left):
                self._doubt(RESUMED, -math.inf, ("stasis",))

    def _has_stasis(self) -> bool:
        """Whether a stasis was said that nothing has put in doubt."""
        return any(alarm.kind == "stasis" and not alarm.doubtful for alarm in self.alarms)

    def _drop(self, *beginnings: str) -> None:
        """Notes that begin so hold no more."""
        self._notes = {note: until for note, until in self._notes.items() if not note.startswith(beginnings)}

    def _doubt(self, why: str, since_s: float, kinds: tuple[str, ...]) -> None:
        """Mark alarms that what was seen now may have raised."""
        self.alarms = [
            replace(one, doubtful=why) if one.kind in kinds and one.at_s >= since_s and not one.doubtful else one
            for one in self.alarms
        ]

    def _has(self, *beginnings: str) -> str:
        """A note that holds now and begins so; empty if there is none."""
        return next((n for n, until in self._notes.items() if n.startswith(beginnings) and until >= self._time_s), "")

    @property
    def meter_has_told(self) -> bool:
        """Whether a reading of the vial since the first frame said what had left it."""
        return self._meter.has_begun

    @property
    def _already_bq(self) -> float:
        already = self._statistics.already_bq
        return 0.0 if already is None else float(already[0])

    def _not_judged(self, without_meter: bool) -> dict[str, str]:
        """Tests that are left out at this look, each with the reason."""
        moved, saturated = self._has(MOVED, FELL, BELOW_ZERO, *self._faults), self._has("the camera is saturated")
        out = dict.fromkeys(KINDS, moved) if moved else {}
        if saturated:
            out = dict.fromkeys(KINDS, "the camera is saturated")
        if self.setup.has_meter and without_meter:
            why = self._meter.lost or "the meter is silent, saturated or stands still"
            if not self._meter.has_come:
                why = "no reading of the meter has come"
            elif not self._meter.has_baseline:
                why = "the full vial was read fewer than ten times before the first frame"
            out |= {kind: out.get(kind) or why for kind in BY_METER}
        if self._has(OVER_METER):
            out |= {kind: out.get(kind) or OVER_METER for kind in BY_METER}
        if self._already_bq:
            out |= {kind: out.get(kind) or ALREADY for kind in FROM_NOTHING}
        if why := self._no_stasis():
            out["stasis"] = out.get("stasis") or why
        if self._pushed is None or not self.setup.has_meter:
            why = "nobody says how much is pushed" if self.setup.has_meter else NO_METER
            out["no-delivery"] = out.get("no-delivery") or why
        return out | not_asked(self.setup)

    def _no_stasis(self) -> str:
        """Why stasis alone is not judged."""
        if self._statistics.clocks.is_apart()[0]:
            return CLOCK_APART
        if not bool(self._statistics.has_come_through()[0]):
            return ""
        return COME_THROUGH if self.setup.has_meter else MOST_IS_THERE

    def _decide(self) -> None:
        if self.boundaries is None:
            return
        said = {alarm.kind for alarm in self.alarms}
        held = self._held()
        for kind in KINDS:
            value = float(self._statistics.values[kind][0])
            if kind in said or kind in self._skipped or value < self.boundaries.of(kind):
                continue
            n = int(self._statistics.which[kind][0])
            region = self.setup.regions[n] if kind in ("limit-in-sight", "off-target") else ""
            probability = NormalDist().cdf(value) if kind in ("target-reached", "limit-in-sight") else None
            self.alarms.append(Alarm(
                kind, self._silent_from_s, region, reason(kind, region, value, held), value,
                self.boundaries.of(kind), self.boundaries.chance(kind, value), probability,
                self.allowed.get(kind) or self.allowed.get("", NO_SOURCE),
            ))  # fmt: skip
            if kind == "stasis":
                # What stands still from now on must not pass for a clock that is late.
                self._statistics.clocks.hold()

    def state(self) -> State:
        """What is known now."""
        by_meter = self._is_by_meter()
        delivered, sd = self._delivered(by_meter)
        live = float(live_share(np.array([self._rate_cps]), self.setup.tau_s)[0])
        watching, notes, silent = self._watching()
        return State(
            self._time_s, watching, notes, silent, self.frames, self._rate_cps, live, self._regions(),
            max(delivered, 0.0) if self.frames else 0.0, sd if self.frames else 0.0,
            self.setup.planned_bq, self._infused(), self._residual(),
            self._tests(), tuple(self.alarms), self._already_bq,
            self._blind_from_s, self._not_measured(), self._remarks(),
            self._held() if self._already_bq and self.setup.already_there == "apart" else (),
        )  # fmt: skip

    def _delivered(self, by_meter: bool) -> tuple[float, float]:
        """Brought into the body, Bq, and its sd: by camera and vial; without the vial by camera and line."""
        seen, sd = (float(one[0]) for one in self._statistics.delivered_bq(by_meter=by_meter))
        line = None if by_meter else self._by_line()
        if line is None or abs(line[0] - seen) > AGREE_SD * math.hypot(sd, line[1]):
            return seen, sd
        weight = sd**2 / (sd**2 + line[1] ** 2)
        return seen + weight * (line[0] - seen), line[1] * math.sqrt(weight)

    def measured_by(self) -> str:
        """What counts in the delivered activity now: "camera", "camera and meter", "camera and line"."""
        by_meter = self._is_by_meter()
        if self._delivered(by_meter)[0] == float(self._statistics.delivered_bq(by_meter=False)[0][0]):
            return "camera"
        return "camera and meter" if by_meter else "camera and line"

    def _by_line(self) -> tuple[float, float] | None:
        """What passed the line and had time to arrive."""
        now = self._silent_from_s
        if self._already_bq or self.line.silent_s(now) > METER_SILENT_S:
            return None
        return self.line.come_bq(self.setup, now)

    def _is_by_meter(self) -> bool:
        """Whether the meter counts in what was delivered: it has been good for longer than the transit."""
        since = self._meter_from_s
        is_believed = since is not None and self._silent_from_s - since > settled_s(self.setup)
        return is_believed and not self._has(OVER_METER, UNDER_METER)

    def _not_measured(self) -> tuple[str, ...]:
        """Why what was delivered is no measured value."""
        if not self.frames:
            return ("no frame has come",)
        wrong: tuple[str, ...] = (OVER_PLAN, OVER_METER)
        if not self._has_stasis():
            # With stasis less arrives than left the vial; without it one of the two is wrong.
            wrong = (*wrong, UNDER_METER, UNDER_PLAN)
        out = [note for note in self._notes if note.startswith(wrong) and self._has(note)]
        if not out and self._has_lost_counts():
            out.append(f"less has arrived than left the vial, and no flow stood: {RESUMED}")
        out += self._contradictions.never_measured.values()
        if self.setup.doubts.camera > UNSCALED and not self._is_by_meter() and self._by_line() is None:
            out.append("no camera factor is known, and no meter says how much has left the vial: only shares are")
        if self._already_bq and self.setup.already_there == "unknown":
            out.append(
                f"{self._already_bq / 1e6:.3g} MBq were there at the first frame, and nobody says whether they count"
            )
        if self._blind_from_s is not None and not self._had_ended():
            out.append(f"nothing was judged from {self._blind_from_s:.1f} s on")
        return tuple(out)

    def _has_lost_counts(self) -> bool:
        """Whether a stasis that was none has left less in the body than the meter says."""
        if not self.setup.has_meter or not any(one.doubtful == RESUMED for one in self.alarms):
            return False
        over, spread = (float(one[0]) for one in self._statistics.camera_over_meter())
        return over < -AGREE_SD * spread

    def _had_ended(self) -> bool:
        """Whether the flow had ended when frames stopped coming, and nothing else is wrong with them."""
        if self._has(MOVED, FELL, DEAD, *self._faults, "the camera is saturated", "the picture stands still"):
            return False
        return self.flow_had_ended()

    def flow_had_ended(self) -> bool:
        """Whether nothing more was on its way at the last look: by the meter, without one by the slowing of arrival."""
        infused = self._meter.infused_bq() if self.setup.has_meter and not self._meter.lost else None
        if infused is not None and self._meter.silent_s(self._time_s) <= METER_SILENT_S:
            return infused - float(self._statistics.come_bq[0]) < LEFT_LATER * self.setup.planned_bq
        if self.setup.has_meter and bool(self._statistics.has_come_through()[0]):
            return True
        return has_slowed(self.setup, self._falls.recent)

    def _remarks(self) -> tuple[str, ...]:
        out = []
        if self.frames and not self._motion.is_seeing and not self._is_signal:
            why = "so much arrives at once that it cannot be seen" if self._motion.is_flooded else TOO_FEW
            out.append(why + " whether the patient moves")
        if self._already_bq:
            out.append(f"{self._already_bq / 1e6:.3g} MBq were there at the first frame")
        low, high = (float(one[0]) for one in self._statistics.clocks.offset_s())
        is_told = self.frames and not self._has_stasis() and not self._statistics.clocks.is_apart()[0]
        # While flow stands readings run ahead of the camera, as those of a clock that is late do.
        if is_told and (low > 0 or high < 0):
            out.append(stamped(low, high))
        if self._meter.has_come:
            out.append("a meter at the vial does not see what stays in line and catheter")
        return tuple(out)

    def _watching(self) -> tuple[Watching, tuple[str, ...], float]:
        silent = self._time_s - self._silent_from_s
        notes = [note for note, until in self._notes.items() if until >= self._time_s]
        if self._is_stopped:
            return "stopped", tuple(notes), silent
        watching, notes = self._judging(silent, notes)
        if watching != "blind":
            self._blind_from_s = None
        elif self._blind_from_s is None:
            self._blind_from_s = self._silent_from_s
        return watching, tuple(notes), silent

    def _judging(self, silent: float, notes: list[str]) -> tuple[Watching, list[str]]:
        # Frames that come and stand still are not late: nothing is waited for.
        stands = silent >= SILENT_S and any(note.startswith("the picture stands still") for note in notes)
        is_blind = stands or silent > max(SILENT_S, SILENT_FRAMES * self._duration_s)
        if is_blind:
            notes.insert(0, f"no data for {silent:.0f} s")
        if not self.frames:
            return ("blind" if is_blind else "waiting"), notes
        if is_blind or all(kind in self._skipped for kind in KINDS):
            return "blind", notes
        asked = {kind for kind, why in self._skipped.items() if why not in GOES_ON}
        return ("degraded" if notes or asked else "watching"), notes

    def _regions(self) -> tuple[RegionState, ...]:
        already, sd = self._statistics.already_by_region(is_apart=self.setup.already_there == "apart")
        return self._statistics.arrival.regions_of(already, sd, is_known=bool(self.frames))

    def _residual(self) -> Residual:
        infused = self._infused()
        if infused is None:
            return Residual()
        return residual_of(self.setup, infused, self._meter.history, self._silent_from_s)

    def _held(self) -> tuple[RegionState, ...]:
        """What regions hold, what was there before included: tests and limits are of that."""
        return self._statistics.arrival.regions_of(*np.zeros((2, len(self.setup.regions) + 1)), is_known=True)

    def _tests(self) -> tuple[Test, ...]:
        skipped = self._skipped
        if self._blind_from_s is not None and not self._had_ended():
            why = f"blind: nothing was judged from {self._blind_from_s:.1f} s on"
            skipped = {kind: skipped.get(kind) or why for kind in KINDS}
        return tests_of(self._statistics, self.boundaries, skipped)
