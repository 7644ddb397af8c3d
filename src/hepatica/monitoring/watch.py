"""One injection, watched: frames and readings in, states and alarms out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.monitoring.arrival import is_saturated, live_share
from hepatica.monitoring.boundaries import Boundaries, Pushed
from hepatica.monitoring.feed import METER_SILENT_S, SILENT_FRAMES, SILENT_S, Frame, FrameGate, MeterGate, Reading
from hepatica.monitoring.motion import Motion
from hepatica.monitoring.sequential import KINDS, LEAST_ARRIVED, Statistics
from hepatica.monitoring.setup import Setup
from hepatica.monitoring.state import Alarm, RegionState, Residual, State, Test, Watching
from hepatica.monitoring.wording import reason

BY_METER = ("stasis", "no-delivery")
"""Tests that compare with what has left the vial."""

FALL = 0.05
"""Of the largest activity so far, by which it cannot fall: beads stay."""

FALL_SD = 5.0


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

    Raises
    ------
    InputError
        If the mask names no region of the setup.
    """

    setup: Setup
    mask: NDArray[np.int64]
    boundaries: Boundaries | None = None
    look_s: float = 0.5
    nuclide: str = ""
    pixel_mm: float = 4.0
    full_scale: float | None = None
    allowed: Mapping[str, str] = field(default_factory=dict)
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
    _largest_bq: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.setup.regions)
        if self.mask.min() < 0 or self.mask.max() >= count:
            raise InputError(f"the mask counts pixels for regions {self.mask.min()} to {self.mask.max()} of {count}")
        self.gate = FrameGate(self.nuclide, (self.mask.shape[0], self.mask.shape[1]))
        self._meter = MeterGate(self.setup.planned_bq, self.full_scale)
        self._statistics = Statistics(self.setup, 1, self.look_s)
        self._expected = Pushed(self.setup, 1)
        self._motion = Motion(self.mask, self.pixel_mm)
        self._flat = self.mask.ravel()
        self._counts, self._exposure = np.zeros(count), 0.0
        self._variances = np.zeros(count)
        self._skipped: dict[str, str] = {}
        self._zero_s: float | None = None
        self._early = 0

    def frame(self, frame: Frame) -> State:
        """Take in a frame; the state after it.

        Raises
        ------
        InputError
            If frames of another nuclide, of another shape or without sense come: nothing can be judged of them.
        """
        judged = self.gate.judge(frame)
        if self._zero_s is None:
            self._zero_s = frame.start_s
        if judged.note:
            self._time_s = max(self._time_s, judged.time_s)
            self._note(judged.note)
        if not judged.use:
            return self.state()
        self.frames += 1
        self._duration_s = frame.duration_s
        if judged.gap_s > 0.5 * frame.duration_s:
            self._look()
            self._statistics.arrival.predict(judged.gap_s)
        values = np.asarray(frame.values, np.float64).ravel()
        counts = np.asarray(np.bincount(self._flat, weights=values, minlength=len(self._counts)), np.float64)
        if frame.variances is not None:
            # A signal is what is there, not what comes each second: its sum over the frame stands for counts.
            spread = np.bincount(self._flat, weights=frame.variances.ravel(), minlength=len(self._counts))
            self._variances = self._variances + spread * frame.duration_s**2
            counts = np.asarray(counts * frame.duration_s)
        self._counts, self._exposure = self._counts + counts, self._exposure + frame.duration_s
        self._rate_cps = float(counts.sum()) / frame.duration_s
        self._time_s = self._silent_from_s = judged.time_s + frame.duration_s
        if is_saturated(self._rate_cps, self.setup.tau_s):
            self._note("the camera is saturated: it records all it can, and the true rate cannot be told", 5.0)
        if frame.variances is None and (note := self._motion.take(frame.values, frame.duration_s)):
            self._notes = {text: until for text, until in self._notes.items() if not text.startswith(MOVED)}
            self._note(note, math.inf)
        if self._exposure >= self.look_s * (1 - 1e-6):
            self._look()
        return self.state()

    def reading(self, reading: Reading) -> None:
        """Take in a reading of a meter, by the clock of the frames."""
        if reading.kind == "pushed":
            self._pushed = min(max(reading.value, 0.0), 1.0)
            return
        if reading.kind == "line":
            # What passes the line in beads per second is no total; it only tells that something passes.
            return
        # Before the first frame nothing has flowed, whatever the clock says.
        since = reading.at_s - (self._zero_s or 0.0)
        if self._zero_s is None and since >= 0:
            self._early += 1
            since = -1.0 + 1e-6 * self._early
        at = Reading(reading.kind, since, reading.value)
        if note := self._meter.take(at, float(self._statistics.arrival.mean_bq[0, -1])):
            self._note(note, METER_SILENT_S)
            if "saturated" in note or "stands still" in note:
                self._lost_meter = True
        else:
            self._lost_meter = False

    def silence(self, now_s: float) -> State:
        """The state at an instant at which no frame came, seconds from the start of the injection."""
        self._time_s = max(self._time_s, now_s)
        return self.state()

    def realign(self, left_mm: float, head_mm: float) -> None:
        """Move the masks to where the patient lies now; judged again from here."""
        across, up = round(left_mm / self.pixel_mm), round(head_mm / self.pixel_mm)
        moved = np.roll(self.mask, (-up, across), axis=(0, 1))
        self.mask, self._flat = moved, moved.ravel()
        self._motion = Motion(moved, self.pixel_mm)
        self._notes = {note: until for note, until in self._notes.items() if not note.startswith(MOVED)}

    def stop(self) -> State:
        """The injection is over; the last state."""
        if self._exposure > 0:
            self._look()
        self._is_stopped = True
        return self.state()

    # ------------------------------------------------------------------------------------------------------------------

    def _note(self, text: str, lasts_s: float = 3.0) -> None:
        self._notes[text] = self._time_s + lasts_s

    def _look(self) -> None:
        if self._exposure <= 0:
            return
        setup, statistics = self.setup, self._statistics
        middle = self._silent_from_s - self._exposure / 2
        infused, pushed = self._infused(), None if self._pushed is None else self._pushed * setup.planned_bq
        variances = self._variances[None] if self._variances.any() else None
        planned = min(middle / setup.infusion_s, 1.0) * setup.planned_bq
        if setup.has_meter:
            # Without a reading the camera itself stands in: the tests that need the meter then see no difference.
            instead = float(statistics.arrival.mean_bq[0, -1])
            out = np.array([instead if infused is None else infused])
            expected = self._expected.expected(np.array([0.0 if pushed is None else pushed]), out)
            statistics.look(self._counts[None], self._exposure, middle, out, expected, variances)
        else:
            out = np.array([planned if pushed is None else pushed])
            statistics.look(self._counts[None], self._exposure, middle, out, out, variances)
        self._counts, self._variances, self._exposure = np.zeros_like(self._counts), np.zeros_like(self._counts), 0.0
        self._check_fall()
        self._skipped = self._not_judged(infused is None)
        self._decide()

    def _infused(self) -> float | None:
        """By the meter, None where it cannot be trusted."""
        meter = self._meter
        if self._lost_meter or meter.silent_s(self._silent_from_s) > METER_SILENT_S:
            return None
        return meter.infused_bq()

    def _check_fall(self) -> None:
        arrival = self._statistics.arrival
        body, sd = float(arrival.mean_bq[0, -1]), math.sqrt(float(arrival.variance_bq2[0, -1]))
        self._largest_bq = max(self._largest_bq, body - 2 * sd)
        if self._largest_bq - body > FALL * self._largest_bq + FALL_SD * sd:
            self._note("counts fall although beads stay: patient or camera moved, or something lies between", math.inf)

    def _not_judged(self, without_meter: bool) -> dict[str, str]:
        """Tests that are left out at this look, each with the reason."""
        moved = next((n for n in self._notes if n.startswith((MOVED, "counts fall"))), "")
        saturated = any(n.startswith("the camera is saturated") and u >= self._time_s for n, u in self._notes.items())
        out = dict.fromkeys(KINDS, moved) if moved else {}
        if saturated:
            out = dict.fromkeys(KINDS, "the camera is saturated")
        if self.setup.has_meter and without_meter:
            why = "the meter is silent, saturated or stands still"
            if not self._meter.has_come:
                why = "no reading of the meter has come"
            elif not self._meter.has_baseline:
                why = "the full vial was read fewer than ten times before the first frame"
            out |= {kind: out.get(kind) or why for kind in BY_METER}
        if self._pushed is None and self.setup.has_meter:
            out["no-delivery"] = out.get("no-delivery") or "nobody says how much is pushed"
        if not self.setup.has_meter:
            out["no-delivery"] = out.get("no-delivery") or "there is no meter"
        if self.setup.goal_bq is None:
            out["target-reached"] = "no goal is set"
        if not self.setup.limits_bq:
            out["limit-in-sight"] = "no limit is set"
        return out

    def _decide(self) -> None:
        if self.boundaries is None:
            return
        said = {alarm.kind for alarm in self.alarms}
        for kind in KINDS:
            value = float(self._statistics.values[kind][0])
            if kind in said or kind in self._skipped or value < self.boundaries.of(kind):
                continue
            n = int(self._statistics.which[kind][0])
            region = self.setup.regions[n] if kind in ("limit-in-sight", "off-target") else ""
            probability = NormalDist().cdf(value) if kind in ("target-reached", "limit-in-sight") else None
            self.alarms.append(Alarm(
                kind, self._silent_from_s, region, reason(kind, region, value, self._regions()), value,
                self.boundaries.of(kind), self.boundaries.chance(kind, value), probability,
                self.allowed.get(kind) or self.allowed.get("", NO_SOURCE),
            ))  # fmt: skip

    def state(self) -> State:
        """What is known now."""
        delivered, sd = self._statistics.delivered_bq()
        live = float(live_share(np.array([self._rate_cps]), self.setup.tau_s)[0])
        watching, notes, silent = self._watching()
        return State(
            self._time_s, watching, notes, silent, self.frames, self._rate_cps, live, self._regions(),
            float(delivered[0]), float(sd[0]), self.setup.planned_bq, self._infused(), self._residual(), self._tests(),
            tuple(self.alarms),
        )  # fmt: skip

    def _watching(self) -> tuple[Watching, tuple[str, ...], float]:
        silent = self._time_s - self._silent_from_s
        notes = [note for note, until in self._notes.items() if until >= self._time_s]
        if self._is_stopped:
            return "stopped", tuple(notes), silent
        is_blind = silent > max(SILENT_S, SILENT_FRAMES * self._duration_s)
        if is_blind:
            notes.insert(0, f"no data for {silent:.0f} s")
        if not self.frames:
            return ("blind" if is_blind else "waiting"), tuple(notes), silent
        if is_blind or all(kind in self._skipped for kind in KINDS):
            return "blind", tuple(notes), silent
        asked = set(self._skipped) - self._never()
        return ("degraded" if notes or asked else "watching"), tuple(notes), silent

    def _never(self) -> set[str]:
        """Tests that the setup does not ask for."""
        setup = self.setup
        out = {"target-reached"} if setup.goal_bq is None else set()
        out |= set() if setup.limits_bq else {"limit-in-sight"}
        return out if setup.has_meter else out | {"no-delivery"}

    def _regions(self) -> tuple[RegionState, ...]:
        arrival, setup = self._statistics.arrival, self.setup
        low, high = (side[0] for side in arrival.interval_bq())
        mean, rate = np.maximum(arrival.mean_bq[0], 0.0), arrival.rate_bq_s[0]
        body = float(mean[-1])
        some = body > 1e-3 * setup.planned_bq
        expected = np.append(setup.expected_shares, 1.0) * body
        names, roles = (*setup.regions, "body"), (*setup.roles, "body")
        return tuple(
            RegionState(name, role, float(mean[n]), float(low[n]), float(high[n]), float(rate[n]),
                        float(mean[n]) / body if some else None, float(expected[n]))
            for n, (name, role) in enumerate(zip(names, roles, strict=True))
        )  # fmt: skip

    def _residual(self) -> Residual:
        infused = self._infused()
        if infused is None:
            return Residual()
        setup = self.setup
        left = setup.planned_bq - infused
        sd = math.hypot(setup.doubts.meter * setup.planned_bq, setup.doubts.meter_scale * infused)
        recent = [(t, setup.planned_bq - v) for t, v in self._meter.history if t >= self._silent_from_s - 60.0]
        if len(recent) < 10 or infused < LEAST_ARRIVED * setup.planned_bq:
            return Residual(left, sd)
        times, values = (np.array(column) for column in zip(*recent, strict=True))
        slope = float(np.polyfit(times, np.log(np.maximum(values, 1e-3 * setup.planned_bq)), 1)[0])
        if slope >= -1e-5:
            return Residual(left, sd, left)
        remaining = max(setup.infusion_s - self._silent_from_s, 0.0)
        return Residual(left, sd, left * math.exp(slope * remaining), math.log(2) / -slope)

    def _tests(self) -> tuple[Test, ...]:
        out = []
        for kind in KINDS:
            value = float(self._statistics.values[kind][0])
            boundary = math.inf if self.boundaries is None else self.boundaries.of(kind)
            shown = value if math.isfinite(value) else None
            why = self._skipped.get(kind, "" if self.boundaries is not None else "no boundaries: nothing is decided")
            out.append(
                Test(kind, shown, boundary if math.isfinite(boundary) else None, not why and shown is not None, why)
            )
        return tuple(out)


MOVED = "the patient moved"

NO_SOURCE = "No sourced statement of this agent's instructions for use is held here; follow them as they stand."
