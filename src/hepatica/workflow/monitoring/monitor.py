"""Watching an injection: what has arrived where, while beads flow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import InputFile, Provenance
from hepatica.core.document import document
from hepatica.core.message import Message
from hepatica.core.options import parameters
from hepatica.core.progress import Progress, silent
from hepatica.core.text.files import json_file
from hepatica.errors import InputError, OutputError
from hepatica.imaging.mri.options import HolmiumOptions
from hepatica.monitoring.feed import Frame, FrameGate, Reading
from hepatica.monitoring.instructions import said_of
from hepatica.monitoring.judging.boundaries import calibrated
from hepatica.monitoring.line import LineMeter
from hepatica.monitoring.options import FrameOptions, WatchOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.relative import Share
from hepatica.monitoring.setup import Array
from hepatica.monitoring.state import Residual, State
from hepatica.monitoring.watch import Watch
from hepatica.nuclides import agent as find_agent
from hepatica.workflow.monitoring.arrival import (
    about_arrival,
    about_falls,
    about_goal,
    about_line,
    about_meter,
    about_missing,
    arrival_of,
)
from hepatica.workflow.monitoring.keeping import Keeper
from hepatica.workflow.monitoring.mr_frames import MrSource, mr_source
from hepatica.workflow.monitoring.result import FrameFaults, MonitorResult
from hepatica.workflow.monitoring.sources import Arrived, Event, Fault, Silence, live, replayed

Live = Callable[[State], None]
"""Shown each state as it comes."""

LOGGED_S = 1.0

PICTURES = 6

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where states go while an injection is watched.

    Attributes
    ----------
    live_view : callable or None
        The screen.
    state_log : Path or None
        File to which each state and alarm is added as it comes.
    keeper : Keeper or None
        What is kept in a case.
    progress : callable or None
        Told each step.
    """

    live_view: Live | None = None
    state_log: Path | None = None
    keeper: Keeper | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class MrGiven:
    """What turns MR into activities: structures on its grid, and what a milligram does and holds."""

    structures: Path
    holmium: HolmiumOptions


def watch_injection(
    frames: Path | str,
    *,
    setup: Path | str | None = None,
    readings: Path | str | None = None,
    which: FrameOptions = FrameOptions(),
    watching: WatchOptions = WatchOptions(),
    mr: MrGiven | None = None,
    outlets: Outlets = Outlets(),
) -> MonitorResult:
    """Watch an injection, or replay one; see `hepatica.monitor`, which also enters it into a case.

    Raises
    ------
    InputError
        If frames, setup or readings cannot be used: another nuclide, masks of another size, no frame at all.
    DicomError
        If a file to be replayed is no gamma camera series with times.
    """
    say, keeper = outlets.progress or silent, outlets.keeper
    path = Path(frames)
    meter = None if readings is None else Path(readings)
    prepared = None if setup is None else Prepared.from_document(json_file(Path(setup)), str(setup))
    if prepared is not None and watching.already_there is not None:
        prepared = replace(prepared, setup=prepared.setup.changed(already_there=watching.already_there))
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of frames")
    is_folder = path.is_dir()
    arrived = Arrived(prepared=prepared, patient_ids=keeper.patient_ids if keeper else ())
    if which.listen_port is not None and (not is_folder or which.replay):
        raise InputError(f"{path}: `listen_port` keeps what it takes in a folder that is watched, not replayed")
    source = None
    if mr is not None:
        prepared, source = _of_mr(path, prepared, mr, which)
        arrived = Arrived(patient_ids=arrived.patient_ids)
        arrived.note_mr(source.series)
    watch = None
    if prepared is not None:
        say(f"{watching.rehearsals} uneventful injections for the boundaries")
        with keeper.live.rehearsing() if keeper else nullcontext():
            watch = _watch_of(
                prepared, watching, meter is not None, (watching.look_s, 0.0) if source is None else source.pace
            )
    is_live = is_folder and not which.replay and mr is None
    if is_live:
        events = live(path, meter, which, arrived, idle_s=watching.idle_s)
    else:
        events = replayed(path, meter, which, arrived, None if source is None else source.events())
    say("watching")
    with _log(outlets.state_log) as log:
        session = Session(watch, outlets.live_view, log, is_folder, keeper, has_readings=meter is not None)
        try:
            for event in events:
                session.take(event)
        except KeyboardInterrupt:
            if not is_live or not session.frames:
                raise
        session.stop()
    inputs = [*arrived.inputs]
    if setup is not None:
        inputs.append(InputFile.of("setup", Path(setup)))
    if mr is not None:
        inputs.append(InputFile.of("structures", mr.structures))
    said = (*messages_of(arrived, prepared, session), *(() if source is None else source.messages))
    return _result(session, prepared, watching, arrived, Provenance(
        inputs=tuple(inputs), parameters=parameters(which, watching),
        steps=("frames unmixed and filtered", "sequential tests against boundaries by simulation of this setup"),
    ), said)  # fmt: skip


def _of_mr(path: Path, prepared: Prepared | None, mr: MrGiven, which: FrameOptions) -> tuple[Prepared, MrSource]:
    """The setup for MR, and its frames."""
    if prepared is None:
        raise InputError("MR is watched with a setup: regions, plan, limits", remedy="state one (`setup`)")
    source = mr_source(path, mr.structures, prepared, mr.holmium, before_beads_count=which.before_beads)
    return source.prepared, source


def _watch_of(prepared: Prepared, watching: WatchOptions, has_meter: bool, pace: tuple[float, float]) -> Watch:
    """The watch; `pace` is the time between looks and when the planned infusion begins."""
    look_s, begins_s = pace
    setup = prepared.setup if has_meter else prepared.setup.changed(has_meter=False)
    limits = calibrated(
        setup, prepared.flow, look_s=look_s, injections=watching.rehearsals,
        false_alarms=watching.false_alarms, seed=watching.seed,
    )  # fmt: skip
    line = LineMeter(None if watching.line_mbq is None else 1e6 * watching.line_mbq, watching.line_mbq_sd)
    return Watch(setup, prepared.mask, limits, look_s, prepared.nuclide, prepared.pixel_mm,
                 watching.meter_limit, allowed_by(prepared.agent), begins_s,
                 line)  # fmt: skip


def allowed_by(agent: str) -> dict[str, str]:
    """What the instructions for use of an agent say on alarms, with the source; empty where none is held."""
    return said_of(find_agent(agent).name) if agent else {}


@dataclass
class Session:
    """Events into the watch, states out to screen and log.

    Attributes
    ----------
    watch : Watch or None
        Without one only rates are kept.
    live_view : callable or None
        The screen.
    log : callable
        Told each entry.
    is_live : bool
        Whether a frame that cannot be used is said, and watched on; a file is refused.
    keeper : Keeper or None
        What is kept in a case.
    """

    watch: Watch | None
    live_view: Live | None
    log: Callable[[dict[str, Any]], None]
    is_live: bool = False
    keeper: Keeper | None = None
    states: list[State] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    frames: int = 0
    first_cps: float = 0.0
    largest_cps: float = 0.0
    gate: FrameGate | None = None
    sums: list[tuple[float, Array]] = field(default_factory=list)
    frame_s: float = 0.0
    is_signal: bool = False
    has_readings: bool = False
    _alarms: int = 0
    _last_frame_end_s: float = 0.0
    _first_s: float | None = None
    _early: list[Reading] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """One event."""
        state = None
        if isinstance(event, Frame):
            try:
                state = self._frame(event)
            except InputError as error:
                if not self.is_live:
                    raise
                self._fault(str(error))
        elif isinstance(event, Reading):
            if self.watch is not None:
                self.watch.reading(event)
            self._keep(event)
        elif isinstance(event, Silence):
            state = self._silence(event.seconds)
        elif isinstance(event, Fault):
            self._fault(event.text, event.name)
        if state is not None:
            self._show(state)

    def _fault(self, text: str, name: str = "") -> None:
        self.faults.setdefault(text, []).append(name)
        if self.keeper is not None:
            self.keeper.live.unused(text)
        self._enter({"entry": "fault", "text": f"{name}: {text}" if name else text})

    def _enter(self, entry: dict[str, Any]) -> None:
        self.log(entry)
        if self.keeper is not None:
            self.keeper.entry(entry)

    def _keep(self, reading: Reading) -> None:
        """Readings with their times from the first frame on; those before it wait until its clock is known."""
        if self.keeper is None:
            return
        if self._first_s is None:
            self._early.append(reading)
            return
        for one in self._early:
            before_s = one.at_s - self._first_s
            # Without a clock of its own a reading of the full vial was only before.
            self.keeper.reading(one.kind, min(before_s, 0.0) if before_s > -DAY_S else -1.0, one.value)
        self._early.clear()
        self.keeper.reading(reading.kind, reading.at_s - self._first_s, reading.value)

    def stop(self) -> None:
        """The last state."""
        if self.watch is not None and self.frames:
            state = self.watch.stop()
            self.states.append(state)
            self._enter({"entry": "stopped", **state.as_dict()})
            self._view(state)

    def _view(self, state: State) -> None:
        if self.live_view is not None:
            self.live_view(state)
        if self.keeper is not None:
            self.keeper.state(state, self.gate)

    def _frame(self, frame: Frame) -> State:
        if self.gate is None:
            self.gate = FrameGate(
                "" if self.watch is None else self.watch.nuclide, (frame.values.shape[0], frame.values.shape[1])
            )
        if self.watch is not None:
            state = self.watch.frame(frame)
            self.gate, used = self.watch.gate, self.watch.frames > self.frames
            if frame.variances is not None:
                # A signal has no rate of counts.
                state = replace(state, rate_cps=0.0)
        else:
            judged = self.gate.judge(frame)
            used = judged.use
            end = judged.time_s + frame.duration_s if used else judged.time_s
            rate = float(frame.values.sum()) / frame.duration_s
            notes = (judged.note,) if judged.note else ()
            state = bare_state(end, rate, notes, self.frames + used)
        if used:
            self.frames += 1
            self.frame_s, self.is_signal = frame.duration_s, frame.variances is not None
            self._first_s = frame.start_s if self._first_s is None else self._first_s
            self.first_cps = state.rate_cps if self.frames == 1 else self.first_cps
            self.largest_cps = max(self.largest_cps, state.rate_cps)
            self._last_frame_end_s = state.time_s
            self._sum(state.time_s, frame.values)
        return state

    def _silence(self, seconds: float) -> State:
        now = self._last_frame_end_s + seconds
        if self.watch is not None:
            return self.watch.silence(now)
        return replace(
            bare_state(now, 0.0, (f"no data for {seconds:.0f} s",), self.frames), watching="blind", silent_s=seconds
        )

    def _sum(self, end_s: float, values: Array) -> None:
        """Keep sums of frames for pictures; neighbours are joined when there are twice as many as are shown."""
        if self.sums and end_s - self.sums[-1][0] < self._picture_s():
            self.sums[-1] = (self.sums[-1][0], self.sums[-1][1] + values)
        else:
            self.sums.append((end_s, np.array(values, dtype=np.float64)))
        if len(self.sums) >= 2 * PICTURES:
            self.sums = [(a[0], a[1] + b[1]) for a, b in zip(self.sums[::2], self.sums[1::2], strict=False)]

    def _picture_s(self) -> float:
        return self.sums[1][0] - self.sums[0][0] if len(self.sums) > 1 else 0.0

    def _show(self, state: State) -> None:
        # A silence was said of a time whose frames came after all.
        while self.states and self.states[-1].time_s > state.time_s:
            self.states.pop()
        is_new = len(state.alarms) > self._alarms
        changed = bool(self.states) and state.watching != self.states[-1].watching
        for alarm in state.alarms[self._alarms :]:
            self._enter({"entry": "alarm", **document(alarm)})
        self._alarms = len(state.alarms)
        if is_new or changed or not self.states or state.time_s - self.states[-1].time_s >= LOGGED_S - 1e-6:
            self.states.append(state)
            self._enter({"entry": "state", **state.as_dict()})
        self._view(state)


def bare_state(time_s: float, rate_cps: float, notes: tuple[str, ...], frames: int) -> State:
    """Where no setup says what the counts mean."""
    return State(time_s, "degraded", notes, 0.0, frames, rate_cps, 1.0, (), 0.0, 0.0, 0.0, None, Residual(), (), ())


@contextmanager
def _log(path: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Lines added to a file, each on the disk when it is written."""
    if path is None:
        yield lambda _: None
        return
    try:
        with path.open("a", encoding="utf-8") as stream:

            def add(entry: dict[str, Any]) -> None:
                stream.write(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n")
                stream.flush()

            yield add
    except OSError as error:
        raise OutputError(f"{path}: the log cannot be written ({error.strerror})") from error


def messages_of(arrived: Arrived, prepared: Prepared | None, session: Session) -> tuple[Message, ...]:
    """What is to be said of frames, files and setup."""
    out = [Message("for-research", "alarms are for research and replay", "act on no alarm", severity="note")]
    if prepared is None:
        out.append(
            Message(
                "no-setup", "without a setup nothing is known of regions, and nothing is decided", "state one (`setup`)"
            )
        )
    if "DTIM" in arrived.corrected:
        text = "the camera has corrected dead time itself (CorrectedImage DTIM)"
        if prepared is not None and prepared.setup.tau_s:
            out.append(
                Message(
                    "dead-time-twice",
                    f"{text}, and the setup corrects it again",
                    "set its tau_s to 0",
                    severity="critical",
                )
            )
        else:
            out.append(Message("dead-time-corrected", text, severity="note"))
    for text, names in list(session.faults.items())[:20]:
        first = f"{names[0]}: " if names[0] else ""
        more = f" ({len(names)} {'files' if names[0] else 'times'})" if len(names) > 1 else ""
        out.append(Message("not-used", f"{first}{text}{more}"))
    out += [Message("order-of-files", text, severity="note") for text in arrived.said]
    if arrived.unchecked:
        text = "; ".join(
            f"{what}, which {count} file{'' if count == 1 else 's'} do{'es' if count == 1 else ''} not state"
            for what, count in arrived.unchecked.items()
        )
        out.append(Message("not-checked", f"not checked: {text}", "make sure that the frames are those of the setup"))
    if prepared is not None:
        out += [*about_goal(prepared.setup), *about_missing(prepared.setup)]
    elif not session.is_signal:
        out += about_falls(session.states, session.frame_s)
    gate = session.gate
    if gate is not None and any(asdict(faults_of(gate)).values()):
        text = (
            f"{gate.lost} frames lost, {gate.doubled} doubled, {gate.late} late, {gate.standing} alike to the one "
            f"before, {gate.overlapping} overlapping, {gate.odd} unusable; the clock jumped {gate.jumps} times"
        )
        out.append(Message("frames-at-fault", text))
    last = session.states[-1] if session.states else None
    if prepared is not None and last is not None and session.frames:
        out += [not_measured(why) for why in last.not_measured]
    blind = sum(state.watching == "blind" for state in session.states)
    if blind:
        out.append(Message("was-blind", f"nothing was judged at {blind} of {len(session.states)} logged instants"))
    return tuple(out)


def not_measured(why: str) -> Message:
    """Why the delivered activity is no measured value."""
    text = f"what was delivered is not measured: {why}"
    return Message("not-measured", text, "check frames, camera factor, plan and setup", severity="critical")


def faults_of(gate: FrameGate) -> FrameFaults:
    """What a gate has counted."""
    return FrameFaults(gate.lost, gate.doubled, gate.late, gate.jumps, gate.standing, gate.overlapping, gate.odd)


def _measured_by(session: Session) -> str:
    """What the delivered activity was measured by."""
    by = "" if session.watch is None else session.watch.measured_by()
    return by.replace("camera", "MR") if session.is_signal else by


def _result(
    session: Session, prepared: Prepared | None, watching: WatchOptions, arrived: Arrived, provenance: Provenance,
    said: tuple[Message, ...],
) -> MonitorResult:  # fmt: skip
    gate = session.gate
    last = session.states[-1] if session.states else None
    faults = FrameFaults() if gate is None else faults_of(gate)
    known = prepared is not None and last is not None and session.frames > 0
    is_measured = bool(known and last and not last.not_measured)
    drawn: tuple[float, float] | None = None
    arrival: tuple[Share, ...] = ()
    if not session.is_signal:
        setup = None if prepared is None else prepared.setup
        drawn, arrival = arrival_of(session.states, session.frame_s, setup, watching)
    said = (*said, *about_arrival(drawn, arrival, is_absolute=is_measured))
    said = (*said, *about_meter(session.watch, has_readings=prepared is not None and session.has_readings))
    said = (*said, *about_line(session.watch, drawn, session.states))
    notes = dict.fromkeys(
        note for state in session.states for note in state.notes if not note.startswith("no data for")
    )
    return MonitorResult(
        nuclide=arrived.nuclide or (prepared.nuclide if prepared else ""),
        agent=prepared.agent if prepared else "",
        frames_used=session.frames,
        duration_s=last.time_s - last.silent_s if last else 0.0,
        first_cps=session.first_cps,
        largest_cps=session.largest_cps,
        frame_faults=faults,
        planned_bq=prepared.setup.planned_bq if prepared else None,
        is_measured=is_measured,
        not_measured=last.not_measured if known and last else (),
        delivered_bq=last.delivered_bq if is_measured and last else None,
        delivered_bq_sd=last.delivered_sd_bq if is_measured and last else None,
        delivered_share=last.delivered_bq / last.planned_bq if is_measured and last else None,
        measured_by=_measured_by(session) if is_measured else "",
        flow_had_ended=session.watch.flow_had_ended() if known and session.watch else None,
        drawn_bq=None if drawn is None else drawn[0],
        drawn_bq_sd=None if drawn is None else drawn[1],
        arrival=arrival,
        blind_since_s=last.blind_since_s if known and last else None,
        already_there_bq=last.already_bq if known and last else None,
        delivery=last.regions if known and last else (),
        residual_bq=last.residual.now_bq if known and last else None,
        residual_bq_sd=last.residual.now_sd_bq if known and last else None,
        false_alarms=watching.false_alarms if prepared else None,
        rehearsals=watching.rehearsals if prepared else None,
        alarms=last.alarms if last else (),
        tests=last.tests if known and last else (),
        notes=tuple(notes),
        states=tuple(session.states),
        pictures=np.stack([picture for _, picture in session.sums])
        if session.sums and not session.is_signal
        else np.zeros((0, 1, 1)),
        mask=prepared.mask if prepared and not session.is_signal else None,
        messages=said,
        provenance=provenance,
    )
