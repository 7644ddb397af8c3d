"""A command that is stopped while it writes leaves no part of a result and says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SLOW_SAVE = """
import signal, sys, time
# As in a terminal: what a shell starts in the background ignores interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from hepatica.cli import main
from hepatica.io.files import output_folder

@main.app.command("slow-save")
def slow_save() -> None:
    with output_folder(sys.argv[2]) as new:
        (new / "half").write_text("half")
        print("writing", flush=True)
        time.sleep(60)

main.app.registered_commands[-1].context_settings = {"allow_extra_args": True}
main.run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_removes_what_it_had_written(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SLOW_SAVE, "slow-save", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip().endswith("hepatica: interrupted; no result was written")
    assert list(tmp_path.iterdir()) == []
