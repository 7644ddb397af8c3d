"""Stop every verb while it writes, and make every step of its writing fail: old or new, whole, must be what is left.

    python tools/checks/kill_runs.py kill --runs 300      # SIGKILL, SIGTERM and SIGINT at random instants and steps
    python tools/checks/kill_runs.py fail                 # each step fails in turn, with each error of the system

The verbs are those of ``docs/verbs.md``, with its inputs. Each is calculated once; what is stopped is its command with
that answer, in a forked process, so that hundreds of runs take minutes. After each, what stands under the name of the
output is held against the list of hashes that it carries, what the command said against what there is, and after one
more run beside it nothing hidden may be left.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import io
import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from file_faults import ERRORS, Counted, failing, killing, no_exchange, watched
from hepatica.cli import main as command_line
from hepatica.cli.command import run_verb
from hepatica.front_door import VERBS, Verb
from hepatica.io.files import MANIFEST, output_folder, restore

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verbs.md"

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}

SITUATIONS: dict[str, tuple[bool, Callable[[], contextlib.AbstractContextManager[None]]]] = {
    "new": (False, contextlib.nullcontext),
    "replace": (True, contextlib.nullcontext),
    "replace without exchange": (True, no_exchange),
}

LONGEST_S = 120.0
"""A run that takes longer is hanging."""


@dataclass(frozen=True)
class Job:
    """One command of the page."""

    verb: Verb
    arguments: tuple[str, ...]

    def call(self, out: Path) -> list[str]:
        """The command line."""
        return [*self.arguments, "--out", str(out), "--force"]


def jobs(only: list[str]) -> list[Job]:
    """The command of every verb that the page shows, `only` those named."""
    by_command = {verb.command: verb for verb in VERBS}
    text = PAGE.read_text(encoding="utf-8").partition("\n## ")[2]
    lines = [shlex.split(line)[2:] for line in re.findall(r"^\$ hepatica .*$", text, re.MULTILINE)]
    return [Job(by_command[line[0]], tuple(line)) for line in lines if not only or line[0] in only]


def prepare(folder: Path, wanted: list[Job]) -> None:
    """Examples, and what the page's first block makes if a job reads it."""
    shutil.copytree(PAGE.parent / "examples", folder / "examples")
    os.chdir(folder)
    read = {word.partition("/")[0] for job in wanted for word in job.arguments}
    for line in re.findall(r"^\$ hepatica (.*)$", PAGE.read_text(encoding="utf-8").partition("\n## ")[0], re.MULTILINE):
        made = shlex.split(line)[-1]
        if read & {"patient", "later", "scan", "spect", "planned", "delivered"}:
            print(f"  making {made}", flush=True)
            with quiet():
                assert command_line.main(shlex.split(line)) == 0


def remember_answers(wanted: list[Job]) -> None:
    """Calculate each verb once; from then on its command has that answer at once."""
    answers: dict[str, Callable[..., Any]] = {}
    load = Verb.load

    def loaded(verb: Verb) -> Callable[..., Any]:
        return answers[verb.function] if verb.function in answers else load(verb)

    Verb.load = loaded  # type: ignore[method-assign]
    for job in wanted:
        real, found = load(job.verb), []
        answers[job.verb.function] = functools.wraps(real)(
            lambda *args, _real=real, _found=found, **more: _found.append(_real(*args, **more)) or _found[-1]
        )
        print(f"  calculating {job.verb.command}", flush=True)
        with quiet():
            run_verb(job.verb, job.arguments[1:])
        answers[job.verb.function] = functools.wraps(real)(lambda *_, _answer=found[0], **__: _answer)


def state(out: Path) -> str:
    """What a folder is: "nothing", or which one with which content. ValueError if it is not whole."""
    if not os.path.lexists(out):
        return "nothing"
    listed = (out / MANIFEST).read_text(encoding="utf-8")
    for line in listed.splitlines()[1:]:
        digest, _, name = line.partition("  ")
        if hashlib.sha256((out / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} is not what was written")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} - {MANIFEST}
    if names != {line.partition("  ")[2] for line in listed.splitlines()[1:]} or "result.json" not in names:
        raise ValueError("files are missing or too many")
    return f"{out.stat().st_ino} {hashlib.sha256(listed.encode()).hexdigest()}"


def left_after_the_next_run(out: Path) -> list[str]:
    """Hidden names beside an output once something else was written beside it."""
    with output_folder(out.parent / "beside", force=True) as new:
        (new / "x").write_text("x")
    shutil.rmtree(out.parent / "beside")
    return [path.name for path in out.parent.iterdir() if path.name.startswith(".")]


def said_right(said: str, out: Path, before: str, now: str) -> bool:
    """Whether the last sentence of a stopped command is true."""
    if now != before:
        return said.endswith(f"; {out} is the new result")
    return said.endswith(("; nothing was written", f"; nothing was written; {out} is as it was"))


class Runs:
    """Runs and what became of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.outcomes: Counter[tuple[str, ...]] = Counter()
        self.faults: list[str] = []
        self.count = 0

    def fresh(self, job: Job, *, old: bool) -> tuple[Path, str]:
        """An output of its own, with an old result if it is to have one."""
        self.count += 1
        out = self.folder / f"run-{self.count}" / "out"
        out.parent.mkdir()
        if old:
            kept = self.folder / f"old-{job.verb.command}"
            if not kept.exists():
                with quiet():
                    assert run_verb(job.verb, job.call(kept)[1:]) in (0, 1)
            shutil.copytree(kept, out)
        return out, state(out)

    def judge(self, out: Path, before: str, where: str) -> str:
        """Note what is wrong; the state of the output."""
        try:
            if before != "nothing":
                restore(out)
            now = state(out)
            left = left_after_the_next_run(out)
            if left:
                self.faults.append(f"{where}: left {left}")
            if before != "nothing" and now == "nothing":
                self.faults.append(f"{where}: LOST")
        except (OSError, ValueError) as error:
            self.faults.append(f"{where}: {error!r}")
            now = "broken"
        shutil.rmtree(out.parent, ignore_errors=True)
        return now

    def kill(self, job: Job, situation: str, name: str, *, by_step: bool) -> None:
        """One run that is stopped."""
        old, how = SITUATIONS[situation]
        out, before = self.fresh(job, old=old)
        where = f"{job.verb.command}, {situation}, {name}, {'step' if by_step else 'instant'}"
        steps, seconds = self.measured(job, situation)
        at = self.chance.randrange(steps) if by_step else -1
        child, log = self.started(job, out, how, Counted(at, killing(SIGNALS[name])))
        if not by_step:
            time.sleep(self.chance.uniform(0, 1.05 * seconds))
            os.kill(child, SIGNALS[name])
        code = ended(child)
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        log.unlink()
        now = self.judge(out, before, where)
        what = "in time" if code == 0 else "old" if now == before else "new"
        self.outcomes[(job.verb.command, name, what)] += 1
        expected = {"SIGKILL": (-9, 0, 1), "SIGTERM": (143, 0, 1), "SIGINT": (130, 0, 1)}[name]
        if code not in expected:
            self.faults.append(f"{where}: exit code {code}, {said}")
        elif code in (130, 143) and now != "broken" and not said_right(said[0] if said else "", out, before, now):
            self.faults.append(f"{where}: said {said}")

    def started(self, job: Job, out: Path, how: Callable[[], Any], act: Counted) -> tuple[int, Path]:
        """The command in a process of its own, at its first line; and the file that holds what it says."""
        log = self.folder / f"log-{self.count}"
        ready, told = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self.be_the_command(job, out, how, act, log, told)
        os.close(told)
        os.read(ready, 1)
        os.close(ready)
        return child, log

    @staticmethod
    def be_the_command(job: Job, out: Path, how: Callable[[], Any], act: Counted, log: Path, told: int) -> None:
        """Never returns."""
        code = 99
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            sys.argv = ["hepatica", *job.call(out)]
            with how(), watched(out.parent, act):
                # Called once the signals are caught, before anything else.
                command_line.open_streams = lambda: os.write(told, b"x")  # type: ignore[assignment, return-value]
                command_line.run()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(code)

    @functools.cache  # noqa: B019 - as long as the program
    def measured(self, job: Job, situation: str) -> tuple[int, float]:
        """Steps and seconds of a run that is let be."""
        old, how = SITUATIONS[situation]
        out, _ = self.fresh(job, old=old)
        counted = Counted(-1, failing(0))
        with how(), watched(out.parent, counted), quiet():
            run_verb(job.verb, job.call(out)[1:])
        shutil.rmtree(out.parent)
        out, _ = self.fresh(job, old=old)
        begun = time.monotonic()
        child, log = self.started(job, out, how, Counted(-1, failing(0)))
        code = ended(child)
        assert code in (0, 1), log.read_text()
        log.unlink()
        shutil.rmtree(out.parent)
        return len(counted.steps), time.monotonic() - begun

    def fail(self, job: Job, situation: str, most: int) -> None:
        """Every step of one command fails in turn; of very many, `most` spread over all, with the last ones."""
        old, how = SITUATIONS[situation]
        steps = self.measured(job, situation)[0]
        chosen = sorted({*range(0, steps, max(1, steps // most)), *range(max(0, steps - 20), steps)})
        for n, at in enumerate(chosen):
            out, before = self.fresh(job, old=old)
            counted = Counted(at, failing(ERRORS[n % len(ERRORS)]))
            with quiet() as said, how(), watched(out.parent, counted):
                code = command_line.main(job.call(out))
            step = counted.steps[at] if at < len(counted.steps) else ("none", "")
            where = f"{job.verb.command}, {situation}, step {at} {step}"
            now = self.judge(out, before, where)
            last = [line for line in said.getvalue().splitlines() if line.startswith("hepatica: ")]
            self.outcomes[(job.verb.command, situation, "old" if now == before else "new")] += 1
            if code == 2 and (len(last) != 1 or (now not in (before, "broken") and "is the new result" not in last[0])):
                self.faults.append(f"{where}: said {last}")
            if code != 2 and (now == before or code not in (0, 1)):
                self.faults.append(f"{where}: exit code {code} and the output is as it was")


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Nothing on the screen; what would be on stderr."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        yield said


def ended(child: int) -> int:
    """Exit code of a child, negative for the signal that ended it."""
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -999


def main() -> int:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("kill", "fail"))
    parser.add_argument("--runs", type=int, default=300, help="how many runs are stopped")
    parser.add_argument("--most", type=int, default=60, help="how many steps of one command fail")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="command; may be repeated")
    asked = parser.parse_args()
    wanted = jobs(asked.only)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        prepare(folder, wanted)
        remember_answers(wanted)
        runs = Runs(folder, asked.seed)
        with contextlib.suppress(KeyboardInterrupt):  # what was found until then is reported
            each_run(runs, wanted, asked)
        os.chdir("/")
    report(runs)
    return 1 if runs.faults else 0


def each_run(runs: Runs, wanted: list[Job], asked: argparse.Namespace) -> None:
    """All that was asked for."""
    if asked.what == "kill":
        for n in range(asked.runs):
            situation = runs.chance.choice(list(SITUATIONS))
            runs.kill(wanted[n % len(wanted)], situation, list(SIGNALS)[n // len(wanted) % 3], by_step=n % 2 == 1)
        return
    for job in wanted:
        for situation in SITUATIONS:
            runs.fail(job, situation, asked.most)
        print(f"  {job.verb.command}: done, {len(runs.faults)} faults so far", flush=True)


def report(runs: Runs) -> None:
    """Print what became of the runs."""
    columns = sorted({key[1:] for key in runs.outcomes})
    print("command".ljust(22), *(" ".join(column) for column in columns), sep="  ")
    for command in dict.fromkeys(key[0] for key in runs.outcomes):
        numbers = (str(runs.outcomes[(command, *column)]).rjust(len(" ".join(column))) for column in columns)
        print(command.ljust(22), *numbers, sep="  ")
    total = ", ".join(f"{' '.join(c)}: {sum(n for k, n in runs.outcomes.items() if k[1:] == c)}" for c in columns)
    print(f"{sum(runs.outcomes.values())} runs. {total}. Faults: {len(runs.faults)}")
    print("\n".join(runs.faults[:40]))


if __name__ == "__main__":
    sys.exit(main())
