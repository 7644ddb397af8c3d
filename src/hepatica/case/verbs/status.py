"""How far a case is, and what happened to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hepatica.case.case import Case
from hepatica.case.verbs.shown import HERE, CaseResult, shown
from hepatica.core.message import Message
from hepatica.core.options import verb
from hepatica.core.privacy.identity import withheld
from hepatica.core.tables.table import Table
from hepatica.workflow.result import Result, result


@result
class CaseStatusResult(CaseResult):
    """How far a case is."""

    verb = "case_status"

    def tables(self) -> tuple[Table, ...]:
        """Steps, and images where there are any."""
        return (self.table(), self.images_table()) if self.images else (self.table(),)


@verb
def case_status(case: Path = HERE) -> CaseStatusResult:
    """How far a case is: each step done, out of date or waiting, and why; what each image is taken for.

    Parameters
    ----------
    case : path
        Folder of the case; the current one if not given.

    Returns
    -------
    CaseStatusResult
        Steps, images and the last hash of the log.

    Raises
    ------
    InputError
        If there is no case, or a file of it is damaged.

    Examples
    --------
    >>> hepatica.case_status("patient-7")  # doctest: +SKIP
    """
    return CaseStatusResult(**shown(Case.open(case)))


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log.

    Attributes
    ----------
    number : int
        From 1.
    logged_at : str
        Instant, UTC.
    what : str
        What happened.
    about : str
        To what.
    person : str
        What it says of persons; empty where that was erased.
    hash : str
        Of the line and all before it.
    """

    number: int
    logged_at: str
    what: str
    about: str = field(metadata=withheld())
    person: str = field(metadata=withheld())
    hash: str


@result
class CaseLogResult(Result):
    """The log of a case, each line proved."""

    verb = "case_log"

    lines: tuple[LogLine, ...]

    def title(self) -> str:
        """How many lines, and the last hash."""
        last = self.lines[-1].hash if self.lines else "-"
        return f"Log: {len(self.lines)} lines, the last hash is {last}"

    def table(self) -> Table:
        """One row for each line."""
        rows = [(e.number, e.logged_at, e.what, e.about, e.person, e.hash[:12]) for e in self.lines]
        return Table.of(("line", "at", "what", "about", "person", "hash"), rows, "Log", "log")


@verb
def case_log(case: Path = HERE) -> CaseLogResult:
    """The log of a case, each line proved by its hash.

    Parameters
    ----------
    case : path
        Folder of the case; the current one if not given.

    Returns
    -------
    CaseLogResult
        Lines; a message where the chain breaks.

    Raises
    ------
    InputError
        If there is no case.

    Examples
    --------
    >>> hepatica.case_log("patient-7")  # doctest: +SKIP
    """
    situation = Case.open(case).situation()
    lines = tuple(
        LogLine(
            entry.number, entry.at, entry.what, _words(entry.about),
            _words(situation.personal.get(entry.personal, {})), entry.hash,
        )
        for entry in situation.history.entries
    )  # fmt: skip
    problem = situation.history.problem
    broken = (Message("log-changed", f"the log was changed: {problem}", severity="critical"),) if problem else ()
    return CaseLogResult(lines=lines, messages=broken)


def _words(content: object) -> str:
    if not isinstance(content, dict):
        return ""
    shorter = {key: f"{value[:12]}…" if _is_hash(value) else value for key, value in content.items()}
    return ", ".join(f"{key} {value}" for key, value in shorter.items())


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and " " not in value
