"""The command that opens the workbench, and how it ends."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import hepatica
from hepatica import Case, InputError, workbench


def test_an_interrupt_closes_it_and_says_what_was_done(cases: Path) -> None:
    # A shell's background job ignores interrupts, and what it starts would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "hepatica", "workbench", str(cases), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "http" in line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)/login\?t=\S{40,}", said)
            assert found
            _wait_for(int(found[1]))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert "0 of 2 cases were changed" in out


def _wait_for(port: int) -> None:
    """Until somebody answers."""
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.05)
    raise TimeoutError("the workbench does not answer")


def test_a_folder_without_a_case_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds none"):
        workbench(tmp_path, no_browser=True)
    Case.new(tmp_path / "case")
    assert workbench(tmp_path, no_browser=True, idle_s=0.1).cases == 1


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    Case.new(tmp_path / "case")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = hepatica("workbench", tmp_path / "case", "--no-browser", "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "cannot be had" in done.stderr
    assert "--port" in done.stderr
