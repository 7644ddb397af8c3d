"""The installed command as a user runs it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from hypothesis import strategies as st

from hepatica.cli.main import main


def hepatica(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command; what it printed and its exit code."""
    command = [sys.executable, "-m", "hepatica", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def answer(*arguments: str) -> dict[str, Any]:
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
