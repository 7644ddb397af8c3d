"""A command that is stopped while it writes leaves no part of a result and says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SLOW_SAVE = """
import signal, sys, time, types
# As in a terminal: what a shell starts in the background ignores interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from hepatica import front_door
from hepatica.cli import main
from hepatica.core.options import verb
from hepatica.core.table import Table
from hepatica.workflow.result import Result, result

@result
class SlowResult(Result):
    verb = "slow_save"

    def table(self):
        return Table.of(("number",), [(1,)])

    def write(self, folder):
        (folder / "half").write_text("half")
        print("writing", flush=True)
        time.sleep(60)

@verb
def slow_save() -> SlowResult:
    '''Save slowly.'''
    return SlowResult()

sys.modules["hepatica.slow"] = types.SimpleNamespace(slow_save=slow_save)
front_door.VERBS += (front_door.Verb("slow_save", "slow-save", "slow", "Data", "Save slowly."),)
main.run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_removes_what_it_had_written(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SLOW_SAVE, "slow-save", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip().endswith("hepatica: interrupted; no result was written")
    assert list(tmp_path.iterdir()) == []
