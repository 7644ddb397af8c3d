"""The screen: tables or one JSON document on stdout, messages and progress on stderr.

With `streams` the only file that prints.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepatica.cli.streams import say
from hepatica.core.progress import Progress
from hepatica.core.tables.table import Table
from hepatica.core.text.visible import one_line, visible

SECONDS_BETWEEN_LINES = 5.0
WIDTH_OF_A_FILE = 140


class Screen:
    """Shows one result.

    Parameters
    ----------
    as_json : bool
        One JSON document in place of tables.
    word : callable
        From the name of an option's field to the command line's word.
    """

    def __init__(self, *, as_json: bool, word: Callable[[str], str]) -> None:
        self._as_json = as_json
        self.word = word

    def show(self, result: Any, folder: Path | None) -> None:
        """Messages on stderr, the result on stdout."""
        for message in result.messages:
            say(f"{message.severity}: {message.worded(self.word)}")
        if self._as_json:
            print_json(result.as_dict())
            return
        print(visible(result.title()))
        for table in result.tables():
            print()
            print_table(table)
        if sentences := result.sentences():
            print()
            print(visible("\n".join(sentences)))
        if folder is not None:
            print(f"\nwritten to {one_line(str(folder))}")

    def note(self, text: str) -> None:
        """One thing to know, on stderr."""
        print(f"note: {text}", file=sys.stderr)

    @contextmanager
    def progress(self, *, as_lines: bool = False) -> Iterator[Progress]:
        """What is being done, on stderr: one moving line on a terminal, one line a step elsewhere.

        `as_lines` where something else moves on the terminal.
        """
        started = time.monotonic()
        if as_lines or not sys.stderr.isatty():
            yield _Lines(started)
            return
        from rich.console import Console
        from rich.progress import Progress as Bar
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Bar(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
            task = bar.add_task("starting", total=None)
            yield lambda step: bar.update(task, description=one_line(step))


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
        say(f"[{now - self._started:5.1f} s] {one_line(step)}")


def print_json(value: Any) -> None:
    """One JSON document on stdout; numbers are finite or null. Letters that the stream does not know are escaped."""
    encoding = (sys.stdout.encoding or "utf8").lower().replace("-", "")
    print(json.dumps(value, indent=1, ensure_ascii=encoding != "utf8", allow_nan=False))


def print_table(table: Table) -> None:
    """A table on stdout, as wide as the screen; names are text, whatever they hold."""
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE, highlight=False)
    console.on_broken_pipe = _raise  # type: ignore[method-assign]  # rich would end the program, without a word
    if table.title:
        console.print(Text(visible(table.title), style="bold"))
    grid = Grid(header_style="")
    for name, right in zip(table.columns, table.numeric(), strict=True):
        grid.add_column(Text(visible(name)), justify="right" if right else "left", overflow="fold")
    for row in table.shown():
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)


def _raise() -> None:
    raise  # noqa: PLE0704 - rich calls it while it handles the error
