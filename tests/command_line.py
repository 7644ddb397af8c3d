"""The installed command as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


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
