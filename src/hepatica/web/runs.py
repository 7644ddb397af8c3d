"""Steps that run: each in a process of its own, with what it says of its progress, and a way to stop it.

A process of its own can be stopped whatever it is at, gives its memory back, and leaves the case whole, killed or not.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hepatica.errors import InputError

LINES_KEPT = 200

STOP_S = 10.0
"""After a request to stop a process has so long before it is killed."""

State = Literal["running", "done", "failed", "stopped"]


@dataclass(eq=False)
class Run:
    """One run.

    Attributes
    ----------
    steps : tuple of str
        What was asked for; empty for all that is due.
    process : Popen
        That does it.
    said : deque of str
        What it said last.
    """

    steps: tuple[str, ...]
    process: subprocess.Popen[str]
    said: deque[str] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    is_stopped: bool = False

    @property
    def state(self) -> State:
        """How it stands."""
        code = self.process.poll()
        if code is None or self.ended is None:
            return "running"
        if self.is_stopped:
            return "stopped"
        return "done" if code == 0 else "failed"

    def as_document(self) -> dict[str, Any]:
        """For the page."""
        state = self.state
        told = [_told(line) for line in self.said]
        lines = [one["now"] for one in told if "now" in one]
        faults = [one for one in told if "error" in one]
        broke = [one["other"] for one in told if "other" in one]
        error = "; ".join(one["error"] for one in faults)
        if state == "failed" and not error:
            error = broke[-1] if broke else "it ended without a word"
        return {
            "steps": list(self.steps),
            "state": state,
            "seconds": round((self.ended or time.monotonic()) - self.started, 1),
            "now": lines[-1] if lines and state == "running" else "",
            "lines": lines[-40:],
            "error": error,
            "remedy": "; ".join(one["remedy"] for one in faults if one.get("remedy")),
        }

    def follow(self) -> None:
        """Read what it says until it ends."""
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                if text := line.strip():
                    self.said.append(text)
        self.process.wait()
        self.ended = time.monotonic()

    def stop(self) -> None:
        """Ask it to stop; kill it where it does not."""
        if self.process.poll() is not None:
            return
        self.is_stopped = True
        self.process.send_signal(signal.SIGINT)
        threading.Thread(target=self._kill_late, daemon=True).start()

    def _kill_late(self) -> None:
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()


def _told(line: str) -> dict[str, str]:
    """What a line of the process says; what is no document of it is under "other"."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"other": line}


class Runs:
    """At most one run for each case."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def start(self, key: str, folder: Path, steps: tuple[str, ...]) -> Run:
        """Begin one.

        Raises
        ------
        InputError
            If the case has one that runs.
        """
        with self._lock:
            last = self._runs.get(key)
            if last is not None and last.state == "running":
                raise InputError(
                    f"{', '.join(last.steps) or 'all that is due'} is being run", remedy="wait for it, or stop it"
                )
            command = [sys.executable, "-m", "hepatica.web.child", str(folder), *steps]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                encoding="utf-8", errors="replace", start_new_session=True,
            )  # fmt: skip
            run = self._runs[key] = Run(steps, process)
        threading.Thread(target=run.follow, daemon=True).start()
        return run

    def of(self, key: str) -> Run | None:
        """The last one of a case."""
        return self._runs.get(key)

    def close(self) -> None:
        """Stop all, and wait until they have ended: no step goes on behind a closed workbench."""
        for run in self._runs.values():
            run.stop()
        for run in self._runs.values():
            try:
                run.process.wait(STOP_S + 1)
            except subprocess.TimeoutExpired:
                run.process.kill()
