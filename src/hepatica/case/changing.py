"""One process at a time changes a case, and puts right what a killed one left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hepatica.case.catalogue import Catalogue
from hepatica.case.facts import Facts
from hepatica.case.layout import FACTS, LOCK
from hepatica.case.log import History, Log
from hepatica.case.protect.personal import Personal
from hepatica.case.state import Situation
from hepatica.case.steps.course import STEPS as STEP_NAMES
from hepatica.errors import InputError, OutputError

WAIT_S = 5.0
"""A second process that would change a case waits so long for the first, then it is refused."""


@contextmanager
def changing(folder: Path, *, erasing: bool = False, wait_s: float = WAIT_S) -> Iterator[Log]:
    """Hold a case alone; what a killed run left without a line in the log is noted first.

    Parameters
    ----------
    folder : Path
        Of the case.
    erasing : bool
        Also one whose patient was erased already, or half.
    wait_s : float
        For which another process that holds it is waited for.

    Yields
    ------
    Log
        To note what is done.

    Raises
    ------
    InputError
        If the log was changed, or the patient was erased.
    OutputError
        If another process holds the case, or nothing can be written there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise OutputError(f"{folder}: is being changed by another process", remedy="wait for it") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be changed ({error.strerror})") from error
    try:
        log = Log(folder, Personal.open(folder))
        if log.personal.key is None and not erasing:
            raise InputError(f"{folder}: its patient was erased; what is left can only be read")
        history = log.read()
        if history.problem:
            raise InputError(f"{history.problem}; the case is not changed", remedy="restore the log from a backup")
        _note_facts(folder, log, history)
        _note_runs(folder, log, history)
        _note_items(folder, log, history)
        yield log
    finally:
        lock.release()


def _note_facts(folder: Path, log: Log, history: History) -> None:
    """A ``case.toml`` that was edited by hand, or written by a run that was killed before it said so."""
    if log.personal.key is None:
        return  # nothing can be stated of a patient who was erased
    digest = log.personal.digest((folder / FACTS).read_bytes())
    stated = history.about("facts")
    if not stated or stated[-1].about.get("digest") != digest:
        log.append("facts", {"by_hand": True, "digest": digest})


def _note_runs(folder: Path, log: Log, history: History) -> None:
    known = {entry.about.get("run") for entry in history.about("ran")}
    records = Situation(folder, Facts.read(folder, STEP_NAMES), Catalogue(), history).records
    for name, record in records.items():
        if record.run not in known:
            about = {"step": name, "run": record.run, "result": record.result, "software": record.software}
            log.append("ran", about | {"noted_later": True})


def _note_items(folder: Path, log: Log, history: History) -> None:
    known = {entry.about.get("item") for entry in history.about("added")}
    for item in Catalogue.read(folder):
        if item.name not in known:
            log.append("added", {"item": item.name, "role": item.role, "digest": item.digest, "noted_later": True})
