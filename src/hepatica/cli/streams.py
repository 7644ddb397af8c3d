"""Standard output and error as they come: closed, full, or of a terminal that knows few letters."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from hepatica.core.text.visible import visible


def open_streams() -> bool:
    """Give the process its three streams, and let each take every letter.

    A stream that the caller closed becomes the null device: otherwise the next file that is opened would take its
    number, and what is printed would end in that file.

    Returns
    -------
    bool
        Whether somebody can read standard output.
    """
    is_open = True
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            is_open = is_open and number != 1
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a number, no path
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A letter that the terminal does not know is written out; it must not end the run.
            stream.reconfigure(errors="backslashreplace")
    return is_open


def say(text: str) -> None:
    """One text on stderr; if nobody can read it, the run goes on."""
    with contextlib.suppress(OSError, ValueError):
        print(visible(text), file=sys.stderr, flush=True)


def close_streams() -> None:
    """What could not be printed is not tried again when Python ends, which would change the exit code."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
