"""The command line, in this process and as it is installed."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

from hepatica.cli.main import main, run

Done = subprocess.CompletedProcess[str]


def hepatica(*arguments: object, cwd: Path | str = ".") -> Done:
    """What the command prints and its exit code, by its entry point in this process.

    A process of its own takes a second or two to load its libraries. A verb of each group is run as the installed
    command in ``test_same_answer.py``; what only a process shows (streams, signals, what libraries print) uses
    `installed`.
    """
    words = ["hepatica", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    place = contextlib.chdir(cwd)
    with _process_as_it_was(), patch.object(sys, "argv", words), place, redirect_stdout(out), redirect_stderr(err):
        try:
            run()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _process_as_it_was() -> Iterator[None]:
    """Take back what the entry point sets for its whole process: warnings, log handlers, signals."""
    loggers = [logging.getLogger(name) for name in (None, "hepatica")]
    handlers = [list(logger.handlers) for logger in loggers]
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for logger, kept in zip(loggers, handlers, strict=True):
                logger.handlers[:] = kept
            for number, handler in signals.items():
                signal.signal(number, handler)


def installed(*arguments: object, cwd: Path | str = ".") -> Done:
    """The same by a process of its own, as a user starts it."""
    command = [sys.executable, "-m", "hepatica", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)


def answer(*arguments: object) -> dict[str, Any]:
    """The JSON document of a command that must succeed."""
    done = hepatica(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def message_texts(found: dict[str, Any]) -> list[str]:
    """Texts of the messages of a document."""
    return [message["text"] for message in found["messages"]]


JUNK = (
    *("5", "-5 kg", "0", "1e308 kg", "1e-300 kg", "nan", "inf", "", "1e400 Gy", "101 %", "0]", "1 GBq"),
    *("9999-12-31T23:59Z", "2026-03-12T10:00", "resin", "3,4", "1,", "0.9999999999"),
)


def require_refused_or_answered(data: st.DataObject, commands: Sequence[Sequence[str]]) -> None:
    """A command, one of whose options has got a wrong value, is refused or answered, never a crash."""
    arguments = list(data.draw(st.sampled_from(commands)))
    options = [n for n in range(1, len(arguments)) if arguments[n - 1].startswith("--")]
    arguments[data.draw(st.sampled_from(options))] = data.draw(st.sampled_from(JUNK))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*arguments, "--json"])
    if code:
        assert (code, out.getvalue()) == (2, "")
    else:
        json.loads(out.getvalue())
