"""One injection watched for a case: begun, kept as it goes, and entered as the case's step when it has ended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepatica.case.adding import Added, Wish, add_files, patient_ids, take_heap
from hepatica.case.case import Case
from hepatica.case.catalogue import Catalogue
from hepatica.case.changing import changing
from hepatica.case.injection.planned import unlike_plan
from hepatica.case.layout import MONITORING, folder_name
from hepatica.case.log import Log
from hepatica.case.running.run import enter_result
from hepatica.case.sorting.heap import Found, Heap, sort_heap
from hepatica.case.sorting.seen import Guess
from hepatica.core.message import Message
from hepatica.core.text.files import json_file
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.io.files import output_folder, write_text
from hepatica.monitoring.prepared import Prepared
from hepatica.nuclides import agent as find_agent
from hepatica.nuclides import nuclide
from hepatica.workflow.monitoring.keeping import LIVE_FILE, READINGS, Keeper, LiveFile
from hepatica.workflow.monitoring.result import MonitorResult

STEP, PREPARING = "injection", "prepare-injection"

FRAMES, SETUP, METER = "injection-frames", "injection-setup", "injection-readings"

DRAWN, UNUSED = "injection-structures", "unused"

PATIENCE_S = 60.0
"""For which a case that another process holds is waited for: what was watched must not be lost to it."""

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Beside:
    """What was given beside frames and setup: readings of the meter, structures on MR."""

    readings: Path | None = None
    structures: Path | None = None


@dataclass
class WatchedRun:
    """A run of `hepatica.monitor` for a case.

    Attributes
    ----------
    case : Case
        Of the patient.
    treatment : int
        From 1.
    folder : Path
        Of the run: states and readings as they come, and the setup.
    keeper : Keeper
        Told each state, entry and reading.
    setup : Path or None
        Setup of the run.
    is_of_case : bool
        Whether that is the case's own already.
    messages : tuple of Message
        What is to be said of setup and treatment.
    has_ended : bool
        Whether its end was said.
    """

    case: Case
    treatment: int
    folder: Path
    keeper: Keeper
    setup: Path | None
    is_of_case: bool = False
    messages: tuple[Message, ...] = ()
    has_ended: bool = False

    def enter(self, result: MonitorResult, frames: Path, beside: Beside, options: Mapping[str, str]) -> tuple[str, ...]:
        """Take frames, setup and what was beside them into the case, and the result as that of its step.

        Parameters
        ----------
        result : MonitorResult
            As it was watched.
        frames : Path
            File, or folder in which they arrived.
        beside : Beside
            Readings of the meter; what was kept as it came, if they came by a serial line; structures of MR.
        options : mapping of str to str
            Options of the run that are not the usual ones, by their words.

        Returns
        -------
        tuple of str
            Why it could not be entered; empty where it was. What was watched is then still in the folder of the run.
        """
        self.has_ended = True
        self.keeper.live.write("ended")
        try:
            with changing(self.case.folder, wait_s=PATIENCE_S) as log:
                log.append("watched", {
                    "run": self.folder.name, "state": "ended", "treatment": self.treatment,
                    "is_measured": result.is_measured, "alarms": [_line(alarm.kind, alarm.at_s) for alarm in
                                                                  result.alarms],
                })  # fmt: skip
                self._take_in(log, frames, beside)
            if options:
                self.case.state({f"treatment.{self.treatment}.{STEP}.{key}": text for key, text in options.items()})
            with changing(self.case.folder, wait_s=PATIENCE_S) as log:
                if self.setup is None:
                    return ("without a setup it is no step of the case; its frames were added",)
                enter_result(self.case.folder, log, folder_name(STEP, self.treatment), result)
        except HepaticaError as error:
            with output_folder(self.folder / "result") as new:
                result.write_all(new)
            return (str(error),)
        return ()

    def _take_in(self, log: Log, frames: Path, beside: Beside) -> None:
        folder = self.case.folder
        heap = sort_heap(frames, [])
        if len(heap.found) > 1 and frames.is_dir():
            # Each frame may be a series of its own: together they are one injection.
            first = next((one for one in heap.found if one.seen is not None), heap.found[0])
            files = tuple(file for one in heap.found for file in one.files if one.seen is not None)
            heap = Heap((Found(files or first.files, first.seen, Guess(FRAMES)),), heap.skipped)
        self._taken(log, take_heap(folder, log, frames, heap, Wish(FRAMES, self.treatment)), FRAMES)
        if self.setup is not None and not self.is_of_case:
            self._own_setup()
            self._taken(log, add_files(folder, log, self.setup, Wish(SETUP, self.treatment)), SETUP)
        readings = beside.readings
        kept = readings if readings is not None and readings.is_file() else self.folder / READINGS
        if readings is not None and kept.is_file():
            self._taken(log, add_files(folder, log, kept, Wish(METER, self.treatment)), METER)
        if beside.structures is not None:
            self._taken(log, add_files(folder, log, beside.structures, Wish(DRAWN, self.treatment)), DRAWN)

    def _taken(self, log: Log, added: Added, role: str) -> None:
        """What the case held already and used for nothing is taken for what it is now."""
        catalogue = Catalogue.read(self.case.folder)
        for name in added.known:
            if catalogue[name].role == UNUSED:
                catalogue = catalogue.retaken(name, role, self.treatment)
                log.append("taken", {"item": name, "role": role, "treatment": self.treatment})
        catalogue.write(self.case.folder)

    def _own_setup(self) -> None:
        """A case holds a file once: the same setup of another treatment is written in another way."""
        assert self.setup is not None
        held = Catalogue.read(self.case.folder)
        others = [item for item in held if item.role == SETUP and item.treatment != self.treatment]
        if any(item.path(self.case.folder).read_bytes() == self.setup.read_bytes() for item in others):
            write_text(self.setup, json.dumps(json_file(self.setup), indent=self.treatment) + "\n")


def _line(kind: str, at_s: float) -> str:
    return f"{kind} at {at_s:.1f} s"


@contextmanager
def watched_run(
    case: Case, treatment: int | None, source: str, setup: Path | None, already_there: str | None = None
) -> Iterator[WatchedRun]:
    """A run for a case: it alone watches the case, and says how it ended, whatever ends it but a killed process.

    Parameters
    ----------
    case : Case
        Of the patient.
    treatment : int or None
        From 1; the last one if None.
    source : str
        Where frames come from, for people.
    setup : Path or None
        Setup; that of the case, if it has one.
    already_there : str or None
        What activity before the first frame is, instead of what a stated setup says of it.

    Raises
    ------
    InputError
        If the case has no such treatment, or frames of a watched injection of it.
    OutputError
        If another process watches the case.
    """
    from filelock import FileLock, Timeout

    number = _treatment(case, treatment)
    setup = setup or case_setup(case, number)
    place = case.folder / MONITORING
    _made_folder(place)
    lock = FileLock(place / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"{case.folder}: an injection is being watched by another process") from None
    try:
        begun = _begun(case, number, place, source, setup, already_there)
        try:
            yield begun
        except KeyboardInterrupt:
            _note_end(begun, "ended")
            raise
        except BaseException:
            # What ended it is said first; a run without an end in the log is noted as lost when the next begins.
            with suppress(HepaticaError):
                _note_end(begun, "lost")
            raise
        _note_end(begun, "ended")
    finally:
        lock.release()


def _treatment(case: Case, treatment: int | None) -> int:
    numbers = case.situation().treatments
    number = len(numbers) if treatment is None else treatment
    if number not in numbers:
        raise InputError(f"{case.folder}: has no treatment {number}", remedy="state its agent first")
    if _holds(case, FRAMES, number):
        raise InputError(
            f"{case.folder}: holds frames of a watched injection of treatment {number}",
            remedy="a second part enters as a treatment of its own, beside the first: state its agent, and that what "
            "the first left in the field is apart (`already_there`); an injection that was watched anew replaces the "
            "first once its frames are taken for unused",
        )
    return number


def _holds(case: Case, role: str, treatment: int) -> bool:
    return bool(case.situation().catalogue.of(role, treatment))


def _made_folder(place: Path) -> None:
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{place}: cannot be made ({error.strerror})") from error


def case_setup(case: Case, treatment: int) -> Path | None:
    """The setup that the case has: one that was added, else the result of its step; None where there is none.

    Raises
    ------
    InputError
        If several were added, or the step is out of date.
    """
    situation = case.situation()
    added = situation.catalogue.of(SETUP, treatment)
    if len(added) > 1:
        names = ", ".join(item.name for item in added)
        raise InputError(f"{case.folder}: several setups ({names})", remedy="keep one and take the others for unused")
    if added:
        return Path(added[0].path(case.folder))
    made = folder_name(PREPARING, treatment)
    return case[made] / "setup.json" if made in situation.records else None


def _begun(
    case: Case, treatment: int, place: Path, source: str, setup: Path | None, already_there: str | None
) -> WatchedRun:
    is_of_case = setup is not None and setup == case_setup(case, treatment)
    with changing(case.folder) as log:
        note_lost_runs(case.folder, log)
        folder = place / datetime.now(UTC).strftime("run-%Y%m%d-%H%M%S-%f")
        _made_folder(folder)
        about = {"run": folder.name, "state": "running", "treatment": treatment}
        log.append("watched", about, {"source": source})
    kept = None
    if setup is not None:
        kept = folder / "setup.json"
        if already_there is None or is_of_case:
            shutil.copyfile(setup, kept)
        else:
            # The setup of a second part is another one than that of the first: the case keeps both.
            write_text(kept, json.dumps({**json_file(setup), "already_there": already_there}) + "\n")
    prepared = None if kept is None else Prepared.from_document(json_file(kept), str(setup or kept))
    planned = str(case.situation().facts.treatments[treatment - 1].get("agent") or "")
    said = () if prepared is None else (*other_agent(prepared, planned), *unlike_plan(case, treatment, prepared))
    live = LiveFile(
        place / LIVE_FILE, source, prepared.agent if prepared else "", prepared.setup.limits_bq if prepared else {},
        planned, tuple(one.text for one in said), prepared.setup.planned_bq if prepared else None,
    )  # fmt: skip
    live.write("running")
    keeper = Keeper(live, folder, patient_ids(case.folder))
    return WatchedRun(case, treatment, folder, keeper, kept, is_of_case, said)


def other_agent(prepared: Prepared, planned: str) -> tuple[Message, ...]:
    """What is said where the setup is not of the treatment's agent; empty where it is, or where one is not known."""
    if not planned:
        return ()
    treated = find_agent(planned)
    watched = f"{prepared.agent or 'an agent without a name'} ({prepared.nuclide})"
    if prepared.agent and find_agent(prepared.agent).name == treated.name:
        return ()
    if not prepared.agent and nuclide(prepared.nuclide).name == treated.nuclide_name:
        return ()
    is_for_treatment = not prepared.agent or find_agent(prepared.agent).purpose == "therapy"
    text = (
        f"what is watched is {watched}, the treatment is of {treated.name} ({treated.nuclide_name}): what arrives is "
        "no activity of the treatment"
    )
    remedy = "check the setup, and which treatment this is"
    return (Message("other-agent", text, remedy, severity="critical" if is_for_treatment else "warning"),)


def note_lost_runs(folder: Path, log: Log) -> None:
    """Say in the log of each run that a killed process left that it was lost, with the alarms that it had raised."""
    entries = log.read().about("watched")
    state = {entry.about.get("run"): entry.about.get("state") for entry in entries}
    for run, last in state.items():
        if last == "running":
            raised = _alarms_of(folder / MONITORING / str(run) / "states.jsonl")
            log.append("watched", {"run": run, "state": "lost", "alarms": raised, "noted_later": True})


def _alarms_of(path: Path) -> list[str]:
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry: Any = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed
        if isinstance(entry, dict) and entry.get("entry") == "alarm":
            found.append(_line(str(entry.get("kind")), float(entry.get("at_s") or 0.0)))
    return found


def _note_end(run: WatchedRun, word: str) -> None:
    """What ends without having been entered."""
    if run.has_ended:
        return
    run.has_ended = True
    run.keeper.live.write("ended" if word == "ended" else "lost")
    raised = _alarms_of(run.folder / "states.jsonl")
    with changing(run.case.folder, wait_s=PATIENCE_S) as log:
        log.append("watched", {"run": run.folder.name, "state": word, "treatment": run.treatment, "alarms": raised})
