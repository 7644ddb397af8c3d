"""A command that is stopped while it writes leaves the old result or the new one, whole, and says which."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import installed
from hepatica.io.files import output_folder

SLOW_SAVE = """
import signal, sys, time, types
# As in a terminal: what a shell starts in the background ignores interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
from hepatica import front_door
from hepatica.cli import main
from hepatica.core.options import verb
from hepatica.core.tables.table import Table
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


STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("there", [False, True])
def test_a_stopped_command_removes_what_it_had_written_and_says_so(
    tmp_path: Path, number: signal.Signals, there: bool
) -> None:
    out = tmp_path / "out"
    if there:
        with output_folder(out) as old:
            (old / "old").write_text("old")
    command = [sys.executable, "-c", SLOW_SAVE, "slow-save", "--out", str(out), "--force"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == STOPS[number]
    kept = f"nothing was written; {out} is as it was" if there else "nothing was written"
    assert said.strip().endswith(f"hepatica: interrupted; {kept}")
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if there else [])


def test_a_second_run_of_one_output_is_refused_before_it_calculates(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW_SAVE, "slow-save", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        second = installed("nuclides", "Ho-166", "--out", str(tmp_path / "out"))
        first.kill()
    assert second.returncode == 2
    assert f"is being written by another run of hepatica (process {first.pid} on" in second.stderr
    third = installed(
        "prescribe", "mird", "--mass", "1 kg", "--dose", "1 Gy", "--agent", "glass", "--out", f"{tmp_path}/b"
    )
    assert third.returncode == 0, third.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["b"]  # and what the killed one left is gone
