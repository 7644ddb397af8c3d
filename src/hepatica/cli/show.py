"""What several verbs share: the screen, progress on stderr, refusing before the work what would fail after it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

Tell = Callable[[str], None]

SECONDS_BETWEEN_LINES = 5.0


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Screen for tables (stdout) or for progress and warnings (stderr); as wide as it is, unless `width` is given."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, width=width)


@contextmanager
def progress() -> Iterator[Tell]:
    """Function that says on stderr what is being done: one moving line on a terminal, one line a step elsewhere."""
    started = time.monotonic()
    if not sys.stderr.isatty():
        yield _Lines(started)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda step: bar.update(task, description=step)


class _Lines:
    """One line for each step; of those that only count on ("montecarlo: 3e6 decays") one every few seconds."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, step: str) -> None:
        now, topic = time.monotonic(), step.partition(":")[0]
        if ":" in step and topic == self._last[0] and now - self._last[1] < SECONDS_BETWEEN_LINES:
            return
        self._last = (topic, now)
        print(f"[{now - self._started:5.1f} s] {step}", file=sys.stderr, flush=True)  # noqa: T201


def warn(warnings: tuple[str, ...]) -> None:
    """Warnings on stderr, one a line."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201


def refuse_existing(folder: Path | None, *, force: bool) -> None:
    """Raise OutputError before minutes of work if the output folder could not be written after them."""
    if folder is not None and not force and folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} exists and is not empty; give another folder, or --force to replace it")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} exists and is not a folder; give another name")
