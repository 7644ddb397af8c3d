"""What is kept of an injection while it is watched: each state and reading as it comes, and one file to look at."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from hepatica.core.options import options
from hepatica.errors import OutputError
from hepatica.io.files import atomic_output
from hepatica.monitoring.feed import FrameGate
from hepatica.monitoring.state import Alarm, RegionState, State
from hepatica.monitoring.wording import certainty, not_judged, severity

LIVE_SCHEMA = 1
"""Of ``live.json``; counted up when a reader of an older one would misread it."""

LIVE_FILE = "live.json"

MOST_POINTS = 600

MOST_NOTES = 5
"""Kinds of fault that are told one by one."""

EACH_S = 1.0
"""Between two versions of the file."""

RunState = Literal["running", "ended", "lost"]


@options
class KeepOptions:
    """Where an injection is kept while it is watched.

    Attributes
    ----------
    state_log : Path or None
        File to which each state and alarm is added as it comes, one JSON object a line.
    case : Path or None
        Folder of the case that is watched: the state is shown there as it goes, and the watched injection enters it.
    treatment : int or None
        Treatment of the case, from 1; the last one if not given.
    """

    state_log: Path | None = None
    case: Path | None = None
    treatment: int | None = None


@dataclass
class LiveFile:
    """The state of a watched injection as one JSON file, replaced in one step at most once a second.

    Attributes
    ----------
    path : Path
        The file.
    source : str
        Where frames come from, for people.
    agent : str
        That is injected, by the setup; empty if unknown.
    limits_bq : mapping of str to float
        Largest activity of a region.
    treatment_agent : str
        Of the case's treatment; empty if unknown.
    remarks : tuple of str
        What holds all the time, shown before the notes of each state.
    planned_bq : float or None
        In the vial at the start; None without a setup.
    clock : callable
        Seconds that run on.
    """

    path: Path
    source: str
    agent: str = ""
    limits_bq: Mapping[str, float] = field(default_factory=dict)
    treatment_agent: str = ""
    remarks: tuple[str, ...] = ()
    planned_bq: float | None = None
    clock: Callable[[], float] = time.monotonic
    _last: State | None = None
    _gate: FrameGate | None = None
    _curve: list[tuple[float, float, float, float]] = field(default_factory=list)
    _between_s: float = 0.0
    _written: float = -math.inf
    _alarms: int = 0
    _is_rehearsing: bool = False
    _unused: dict[str, int] = field(default_factory=dict)
    trouble: str = ""

    def show(self, state: State, gate: FrameGate | None) -> None:
        """Take in a state; it is written if the last version is a second old, or an alarm is new.

        A file that cannot be written does not end the watch: `trouble` says so, and the next state is tried.
        """
        self._last, self._gate = state, gate
        self._add(state)
        is_new = len(state.alarms) > self._alarms
        self._alarms = len(state.alarms)
        if is_new or self.clock() - self._written >= EACH_S:
            self.write("running")

    def unused(self, text: str) -> None:
        """A frame or file that is not used; what is new is written at once."""
        self._unused[text] = self._unused.get(text, 0) + 1
        if self._unused[text] == 1:
            self.write("running")

    @contextmanager
    def rehearsing(self) -> Iterator[None]:
        """While boundaries are simulated, which takes a while in which nothing is judged: the file is kept fresh."""
        over = Event()

        def beat() -> None:
            while not over.wait(EACH_S):
                self.write("running")

        self._is_rehearsing = True
        self.write("running")
        heart = Thread(target=beat, name="rehearsing", daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()
            self._is_rehearsing = False

    def write(self, word: RunState) -> None:
        """Write the state as it is now."""
        self._written = self.clock()
        try:
            with atomic_output(self.path) as new:
                new.write_text(json.dumps(self.document(word), ensure_ascii=False, allow_nan=False), encoding="utf-8")
        except OutputError as error:
            self.trouble = str(error)

    def _add(self, state: State) -> None:
        if not state.planned_bq or not state.frames:
            return
        at = state.time_s - state.silent_s
        while self._curve and self._curve[-1][0] > at:
            self._curve.pop()
        if self._curve and at - self._curve[-1][0] < self._between_s:
            return
        self._curve.append((at, state.delivered_bq, *state.delivered_limits_bq()))
        if len(self._curve) > MOST_POINTS:
            self._curve = self._curve[::2]
            self._between_s = 0.9 * (self._curve[-1][0] - self._curve[-2][0])

    def document(self, word: RunState) -> dict[str, Any]:
        """What the file holds; see the documentation of monitoring."""
        state, gate = self._last, self._gate
        columns = list(zip(*self._curve, strict=True)) or [(), (), (), ()]
        is_known = state is not None and state.planned_bq > 0 and state.frames > 0
        planned_bq = self.planned_bq if state is None or not state.planned_bq else state.planned_bq
        return {
            "schema": LIVE_SCHEMA,
            "state": word,
            "updated": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "source": self.source,
            "agent": self.agent,
            "treatment_agent": self.treatment_agent,
            "elapsed_s": 0.0 if state is None else round(state.time_s, 3),
            "watching": self._watching(),
            "notes": [*self.remarks, *self._not_used(), *(() if state is None else (*state.notes, *not_judged(state)))],
            "silent_s": 0.0 if state is None else round(state.silent_s, 3),
            "rate_cps": 0.0 if state is None else round(state.rate_cps, 1),
            "delivered_mbq": _delivered(state) if is_known and state else None,
            "is_measured": bool(is_known and state and not state.not_measured),
            "not_measured": list(state.not_measured) if is_known and state else self._never_measured(planned_bq),
            "planned_mbq": None if planned_bq is None else _mbq(planned_bq),
            "regions": self._regions(state) if is_known and state else [],
            "alarms": [] if state is None else [_alarm(one) for one in state.alarms],
            "frames": {"seen": 0 if state is None else state.frames, **_faults(gate)},
            "curve": {
                "time_s": [round(value, 3) for value in columns[0]],
                **{
                    name: [_mbq(value) for value in column]
                    for name, column in zip(("delivered_mbq", "low", "high"), columns[1:], strict=True)
                },
            },
        }

    def _watching(self) -> str:
        if self._last is not None:
            return self._last.watching
        return "rehearsing" if self._is_rehearsing else "waiting"

    def _not_used(self) -> list[str]:
        some = list(self._unused.items())
        told = [f"not used: {text}" + (f" ({count} times)" if count > 1 else "") for text, count in some[:MOST_NOTES]]
        return told if len(some) <= MOST_NOTES else [*told, f"not used: {len(some) - MOST_NOTES} more kinds of fault"]

    def _never_measured(self, planned_bq: float | None) -> list[str]:
        """Why nothing is known of what was delivered."""
        none = [] if self._last is not None and self._last.frames else ["no frame that can be used has come"]
        return ["there is no setup"] * (planned_bq is None) + none + (self._not_used() if none else [])

    def _regions(self, state: State) -> list[dict[str, Any]]:
        limits = self.limits_bq
        held = {one.name: one for one in state.held}
        return [
            {
                "name": one.name, "kind": one.role, **_interval(one),
                "limit_mbq": _mbq(limits[one.name]) if one.name in limits else None,
                # What was there before is taken off what was delivered; a limit is of all that lies there.
                "held": _interval(held[one.name]) if one.name in held else None,
            }
            for one in state.regions if one.role != "body"
        ]  # fmt: skip


def _faults(gate: FrameGate | None) -> dict[str, int]:
    names = {
        "lost": "lost", "doubled": "doubled", "out_of_order": "late", "alike": "standing", "overlapping": "overlapping",
        "unusable": "odd",
    }  # fmt: skip
    return {name: 0 if gate is None else getattr(gate, of) for name, of in names.items()}


def _delivered(state: State) -> dict[str, float]:
    low, high = state.delivered_limits_bq()
    return {"value": _mbq(state.delivered_bq), "low": _mbq(low), "high": _mbq(high)}


def _interval(one: RegionState) -> dict[str, float]:
    return {"mbq": _mbq(one.delivered_bq), "low": _mbq(one.low_bq), "high": _mbq(one.high_bq)}


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "time_s": round(alarm.at_s, 3),
        "kind": alarm.kind,
        "severity": severity(alarm),
        "region": alarm.region,
        "sentence": alarm.why,
        "certainty": certainty(alarm),
        "ifu": alarm.allowed,
        "doubtful": alarm.doubtful,
    }


def _mbq(activity_bq: float) -> float:
    return round(activity_bq / 1e6, 4)


@dataclass
class Keeper:
    """All that is kept while an injection is watched: the file to look at, states and readings as they come.

    Attributes
    ----------
    live : LiveFile
        The file to look at.
    folder : Path
        For ``states.jsonl`` and ``readings.csv``, each line on the disk when it came.
    patient_ids : tuple of str
        Of whom frames may be; empty to take those of anybody.
    """

    live: LiveFile
    folder: Path
    patient_ids: tuple[str, ...] = ()

    def state(self, state: State, gate: FrameGate | None) -> None:
        """A state, with what became of the frames."""
        self.live.show(state, gate)

    def entry(self, entry: Mapping[str, Any]) -> None:
        """An entry of the log of states."""
        self._add("states.jsonl", json.dumps(entry, ensure_ascii=False, allow_nan=False))

    def reading(self, kind: str, since_s: float, value: float) -> None:
        """A reading, its time counted from the first frame."""
        if not (self.folder / READINGS).exists():
            self._add(READINGS, "kind,time_s,value")
        self._add(READINGS, f"{kind},{since_s:.3f},{value:.9g}")

    def _add(self, name: str, line: str) -> None:
        """A disk that is full does not end the watch; it is said."""
        try:
            with (self.folder / name).open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")
        except OSError as error:
            self.live.trouble = f"{self.folder / name}: cannot be written ({error.strerror})"


READINGS = "readings.csv"
