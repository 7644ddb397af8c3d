"""Running the steps of a case as files arrive in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hepatica.case.case import Case
from hepatica.core.progress import Progress
from hepatica.errors import HepaticaError, InputError

LOOK_S = 2.0
"""Between two looks. A file that was the same at both is taken to have arrived whole."""

State = dict[Path, tuple[int, int]]


def watch(
    case: Case,
    folder: Path,
    steps: tuple[str, ...] = (),
    *,
    say: Progress,
    idle_s: float | None = None,
    look_s: float = LOOK_S,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, ...]:
    """Add what arrives in a folder, and run what is due then, until nothing comes any more or somebody stops it.

    Stopping it (Ctrl-C, SIGTERM) at any instant leaves the case whole. What cannot be added, or a step that fails, is
    said and watched on.

    Parameters
    ----------
    case : Case
        It alone changes it; another process may look.
    folder : Path
        Where files arrive, at any depth.
    steps : tuple of str
        Steps to run; all that can, if none is named.
    say : callable
        Told what is being done.
    idle_s : float or None
        Stop after so long without a new file; never, if None.
    look_s : float
        Between two looks.
    clock : callable
        Seconds that run on.

    Returns
    -------
    tuple of str
        Steps that were run.

    Raises
    ------
    InputError
        If the folder is not there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder to watch")
    ran: list[str] = []
    taken: State = {}
    before: State = {}
    last = clock()
    say(f"watching {folder}")
    while True:
        now = _state(folder)
        if now != before:
            last = clock()
        elif now != taken:
            ran += _take(case, folder, steps, say)
            taken, last = now, clock()
        elif idle_s is not None and clock() - last >= idle_s:
            return tuple(ran)
        before = now
        time.sleep(look_s)


def _take(case: Case, folder: Path, steps: tuple[str, ...], say: Progress) -> list[str]:
    """Add what is there, and run what is due."""
    ran: list[str] = []
    try:
        came = case.add(folder, leave_foreign=True)
        for item in came.items:
            say(f"{item.name}: {item.role}{'' if not item.doubts else ' (in doubt)'}")
        for left in came.skipped:
            say(f"{left.path}: not added, {left.reason}")
        ran = [step.name for step in case.run(*steps, progress=say)]
    except HepaticaError as error:
        say(str(error))
    return ran


def _state(folder: Path) -> State:
    """Size and time of every file."""
    found: State = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                state = path.stat()
                found[path] = (state.st_size, state.st_mtime_ns)
        except OSError:
            continue  # it went away between two looks
    return found
