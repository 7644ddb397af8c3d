"""The fuzzing program: it sees every kind of failure, and a seeded run of it over hepatica finds none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

INPUTS = 240
"""About ten seconds; `python tools/checks/fuzz.py` runs for as long as it is asked to."""

FAILING_READERS = """
import json, os, sys, time, warnings
sys.path[:0] = [{tools!r}, {source!r}, {tests!r}]
from fuzzing import worker
from fuzzing.case import Answer, Seed
from fuzzing.stages import UnsoundError
from hepatica.errors import InputError

def bad(folder):
    return (folder / "a.txt").read_bytes() != b"sound"

def reader(act):
    return lambda folder: (act() or Answer("other")) if bad(folder) else Answer("same")

def refuse(): raise InputError("no")
def raised(): return {{}}["x"]
def unsound(): raise UnsoundError("a voxel is not finite")
def sleep(): time.sleep(60)
def die(): os.kill(os.getpid(), 11)
def warn(): warnings.warn("stray")
def write(): os.write(2, b"stray")
def large(): bytearray(330_000_000)
def plain(): pass

found = {{}}
for act in (refuse, raised, unsound, sleep, die, warn, write, large, plain):
    # Only the one that never answers meets its limit: the others have the whole of it, however busy the machine is.
    worker.TIME_LIMIT_S, worker.WAITING = (1.0, 2) if act is sleep else (10.0, 6)
    seed = Seed("text", {{"a.txt": b"sound"}}, {{"read": reader(act)}}, "bytes", "a.txt")
    one = worker.Worker({{"text": (seed,)}}, 1)
    found[act.__name__] = [one.judge("text", number).outcome for number in range(3)]
    one.close()
print(json.dumps(found))
"""


def test_every_kind_of_failure_is_seen() -> None:
    paths = {"tools": str(ROOT / "tools" / "checks"), "source": str(ROOT / "src"), "tests": str(ROOT / "tests")}
    command = [sys.executable, "-c", FAILING_READERS.format(**paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = {
        "refuse": "refused", "raised": "raised", "unsound": "wrong", "sleep": "hung", "die": "died", "warn": "leaked",
        "write": "leaked", "large": "memory", "plain": "answered",
    }  # fmt: skip
    outcomes = json.loads(done.stdout)
    for act, outcome in expected.items():
        # Most inputs are damaged and meet the failure; those that came out sound are answered.
        assert outcome in outcomes[act], act
        assert set(outcomes[act]) <= {outcome, "answered"}, act


def test_a_seeded_run_finds_nothing() -> None:
    command = [
        sys.executable,
        str(ROOT / "tools/checks/fuzz.py"),
        "--inputs",
        str(INPUTS),
        "--seed",
        "1",
        "--data",
        "none",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f" {INPUTS} " in done.stdout.splitlines()[-2], done.stdout[-500:]


def test_a_case_is_the_same_each_time_and_can_be_run_alone() -> None:
    command = [
        sys.executable,
        str(ROOT / "tools/checks/fuzz.py"),
        "--format",
        "csv",
        "--seed",
        "5",
        "--only",
        "3",
        "--data",
        "none",
    ]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout for _ in range(2)
    )
    assert first.startswith("csv 3: ")
    assert first.split(" s ")[0].rpartition("}")[0] == second.split(" s ")[0].rpartition("}")[0]
