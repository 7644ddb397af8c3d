"""The verb that opens the workbench."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar

from hepatica.case.case import Case
from hepatica.core.options import Limits, Positive, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import HepaticaError
from hepatica.workflow.result import Result, result


@result
class WorkbenchResult(Result):
    """What was done while the workbench was open.

    Attributes
    ----------
    cases : int
        That it could open.
    changed : int
        Of them that have new lines in their log.
    log_lines_added : int
        In all logs together.
    """

    verb: ClassVar[str] = "workbench"

    cases: int
    changed: int
    log_lines_added: int

    def title(self) -> str:
        """That it is closed."""
        return f"The workbench is closed; {self.changed} of {self.cases} cases were changed"

    def table(self) -> Table:
        """One row."""
        row = (self.cases, self.changed, self.log_lines_added)
        return Table.of(("cases", "changed", "lines added to logs"), [row], "Workbench", "workbench")


@verb
def workbench(
    place: Path = Path(),
    *,
    port: Annotated[int, Limits(low=0, high=65535)] = 0,
    no_browser: bool = False,
    idle_s: Positive | None = None,
    progress: Progress | None = None,
) -> WorkbenchResult:
    """The workbench: a case, or a folder of cases, in the browser, served on this machine alone.

    Parameters
    ----------
    place : path
        Folder of a case, or of cases; the current one if not given.
    port : int
        Of the loopback address; 0 takes a free one.
    no_browser : bool
        Print the address, and open no browser.
    idle_s : float or None
        Close by itself once nobody asked anything for so long; by default it stays open until it is interrupted.
    progress : callable, optional
        Told the address.

    Returns
    -------
    WorkbenchResult
        What was done in it, once it is closed.

    Raises
    ------
    InputError
        If there is no case.
    OutputError
        If the port cannot be had.

    Examples
    --------
    >>> hepatica.workbench("patient-7")  # doctest: +SKIP
    """
    from hepatica.web.desk import Desk
    from hepatica.web.serving import Server, open_when_up

    say = progress or silent
    desk = Desk(Path(place))
    before = _lines(desk.folders().values())
    server = Server(desk, port)
    say(f"open in a browser on this machine: {server.keys.address}")
    if not no_browser:
        open_when_up(server, say)
    server.run(idle_s)
    after = _lines(desk.folders().values())
    added = [count - before.get(folder, 0) for folder, count in after.items()]
    return WorkbenchResult(
        cases=len(after),
        changed=sum(count > 0 for count in added),
        log_lines_added=sum(added),
    )


def _lines(folders: Iterable[Path]) -> dict[Path, int]:
    """Lines of the log of each case that can be read."""
    found = {}
    for folder in folders:
        with contextlib.suppress(HepaticaError):
            found[folder] = len(Case(folder).history().entries)
    return found
