"""A forked process that reads damaged cases one after another, watched for time, memory, death and stray output."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fuzzing.case import Answer, Case, Files, Promise, Seed, Verdict
from fuzzing.seeds import seeds
from fuzzing.stages import UnsoundError
from fuzzing.ways.damage import make_case

TIME_LIMIT_S = 10.0
"""More processor time than this is a hang."""

WAITING = 6
"""A reader that waits is one too after so many times that limit; a busy machine alone does not make a hang."""

PREPARING_S = 120.0
"""Until a worker has imported what it needs and has read the sound files."""

SPARE_MB = 300
"""Memory beyond three times the decoded size that a reader may take."""

ADDRESS_SPACE = 12 << 30
"""No input may bring the machine down before it is seen to take too much."""

CASES_A_PROCESS = 3000
"""A worker is replaced after so many, so that nothing piles up in it."""

COMMAND_EVERY = 5
"""The command line reads one case of so many."""

_SAYS_LOSS = re.compile(
    r"truncat|skip|missing|lost|cut|damaged|absent|not all|gap|empty|unreadable|refused|left out", re.I
)


class Worker:
    """One process at a time that judges cases; replaced when it dies, hangs or has judged enough.

    Parameters
    ----------
    formats : mapping
        Seeds by format.
    seed : int
        Of the random numbers.
    """

    def __init__(self, formats: Mapping[str, tuple[Seed, ...]], seed: int) -> None:
        self._formats = formats
        self._seed = seed
        _import_ahead()
        self._room = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self._process = 0
        self._judged = 0

    def close(self) -> None:
        """End the process and remove what it wrote."""
        self._end()
        shutil.rmtree(self._room, ignore_errors=True)

    def judge(self, name: str, number: int, files: Path | None = None) -> Verdict:
        """What comes of a case; of the files in a folder instead, if one is given."""
        if not self._process or self._judged >= CASES_A_PROCESS:
            self._end()
            self._start()
        self._judged += 1
        request = json.dumps({"format": name, "number": number, "files": None if files is None else str(files)})
        os.write(self._ask, request.encode() + b"\n")
        for limit_s in (PREPARING_S, TIME_LIMIT_S):
            line = self._heard(limit_s)
            if isinstance(line, Verdict):
                return line
        return Verdict(**json.loads(line))

    def _heard(self, limit_s: float) -> bytes | Verdict:
        """A line of the worker, or why none came."""
        started, worked = time.monotonic(), _processor_s(self._process)
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._hear], [], [], 0.2)
            waited = time.monotonic() - started
            if (
                not ready
                and waited > limit_s
                and (_processor_s(self._process) - worked > limit_s or waited > WAITING * limit_s)
            ):
                return self._lost(hung=True)
            if ready and not (piece := os.read(self._hear, 1 if limit_s == PREPARING_S else 1 << 16)):
                return self._lost(hung=False)
            line += piece if ready else b""
        return line

    def _lost(self, *, hung: bool) -> Verdict:
        """Why nothing came back, and where it was."""
        if hung:
            os.kill(self._process, signal.SIGKILL)
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        stack = (self._room / "stack").read_text(errors="replace").rpartition("Timeout (")[2]
        place = next(
            (f"{Path(p).name}:{f}" for p, f in re.findall(r'File "([^"]*hepatica[^"]*)", line \d+ in (\w+)', stack)),
            "?",
        )
        if hung:
            return Verdict("hung", f"hung in {place}", stack, TIME_LIMIT_S)
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.waitstatus_to_exitcode(status)}"
        return Verdict("died", f"{how} in {place}", stack)

    def _start(self) -> None:
        hear, tell = os.pipe()
        listen, ask = os.pipe()
        sys.stdout.flush()
        self._process = os.fork()
        if self._process == 0:
            try:
                os.close(hear)
                os.close(ask)
                _Judge(self._formats, self._seed, self._room).serve(listen, tell)
            except BaseException:  # noqa: BLE001 - the fork must not run on as the main program
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(tell)
        os.close(listen)
        self._hear, self._ask, self._judged = hear, ask, 0

    def _end(self) -> None:
        if self._process:
            os.close(self._ask)
            os.close(self._hear)
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            self._process = 0


def _import_ahead() -> None:
    """What readers import where they need it, and the made seeds, once for all workers."""
    seeds()
    for name in (
        "statsmodels.api",
        "lifelines",
        "SimpleITK",
        "openpyxl",
        "scipy.optimize",
        "pint",
        "cyclopts",
        "rich.table",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class _Judge:
    """Inside the forked process."""

    def __init__(self, formats: Mapping[str, tuple[Seed, ...]], seed: int, room: Path) -> None:
        self._formats = formats
        self._seed = seed
        self._room = room
        self._expected: dict[tuple[str, str], Answer | None] = {}

    def serve(self, listen: int, tell: int) -> None:
        """Judge until the other end closes."""
        log = os.open(self._room / "output", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with (self._room / "stack").open("w") as stack:
            faulthandler.enable(stack)
            for line in os.fdopen(listen):
                asked = json.loads(line)
                stack.truncate(0)
                stack.seek(0)
                seed, case = make_case(self._formats, asked["format"], self._seed, asked["number"])
                if asked["files"] is not None:
                    case = Case(contents(Path(asked["files"])), case.how, case.promise)
                expected = {stage: self._sound(seed, stage) for stage in _stages(seed, asked["number"])}
                os.ftruncate(log, 0)
                os.write(tell, b"\n")
                faulthandler.dump_traceback_later(0.9 * TIME_LIMIT_S, repeat=True, file=stack)
                verdict = self._judge(seed, case, expected)
                faulthandler.cancel_dump_traceback_later()
                os.ftruncate(log, 0)
                os.write(tell, json.dumps(asdict(verdict)).encode() + b"\n")

    def _judge(self, seed: Seed, case: Case, expected: Mapping[str, Answer | None]) -> Verdict:
        with _folder(self._room, case.files) as folder:
            before = _resident_mb()
            _forget_peak()
            started = time.monotonic()
            verdict, decoded = self._read(seed, case, expected, folder)
            verdict.seconds = round(time.monotonic() - started, 3)
            verdict.peak_mb = round(_peak_mb() - before, 1)
        allowed = SPARE_MB + 3 * (decoded + sum(map(len, case.files.values()))) / 1e6
        if not verdict.failed and verdict.peak_mb > allowed:
            verdict.outcome, verdict.place = "memory", f"memory: {seed.name}: {re.sub(r'[0-9.]+', '#', case.how)[:60]}"
            verdict.detail = f"{verdict.peak_mb} MB, allowed {allowed:.0f}"
        if not verdict.failed and (stray := (self._room / "output").read_text(errors="replace")):
            verdict.outcome, verdict.place = (
                "leaked",
                f"output: {re.sub(r'[0-9x.]+', '#', stray.strip().splitlines()[-1])[:80]}",
            )
            verdict.detail = stray[:3000]
        return verdict

    def _sound(self, seed: Seed, stage: str) -> Answer | None:
        """What a stage finds in the sound files; None if it refuses them."""
        from hepatica.errors import HepaticaError

        key = (f"{seed.name}/{id(seed)}", stage)
        if key not in self._expected:
            with _folder(self._room, seed.files) as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    self._expected[key] = seed.stages[stage](folder)
                except HepaticaError:
                    self._expected[key] = None
        return self._expected[key]

    def _read(self, seed: Seed, case: Case, expected: Mapping[str, Answer | None], folder: Path) -> tuple[Verdict, int]:
        from hepatica.errors import HepaticaError
        from hepatica.io.structures.regions import StructureWarning

        verdict, decoded = Verdict("refused"), 0
        for stage, sound in expected.items():
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    answer = seed.stages[stage](folder)
                decoded = max(decoded, answer.decoded_bytes)
                verdict.stages[stage] = "answered"
                if stage not in ("inspect", "command") or len(expected) == 1:
                    verdict.outcome = "answered"
                _hold_to(case.promise, stage, sound, answer, verdict)
            except HepaticaError as error:
                verdict.stages[stage] = "refused"
                if case.promise is Promise.SAME and sound is not None:
                    verdict.outcome, verdict.place = (
                        "wrong",
                        f"{seed.name} {stage}: sound input refused: {_words(error)}",
                    )
                    verdict.detail = str(error)
            except UnsoundError as error:
                verdict.outcome, verdict.place = "wrong", f"{seed.name} {stage}: {_words(error)}"
                verdict.detail = str(error)
            except Exception as error:  # noqa: BLE001 - every other exception is a finding
                verdict.outcome, verdict.place = "raised", _place(error)
                verdict.detail = "".join(traceback.format_exception(error))[-6000:]
            strays = [w for w in caught if not issubclass(w.category, StructureWarning)]
            if strays and not verdict.failed:
                verdict.outcome, verdict.detail = "leaked", "\n".join(map(str, strays[:3]))
                verdict.place = (
                    f"warning {Path(strays[0].filename).name}:{strays[0].lineno} {strays[0].category.__name__}"
                )
            if verdict.failed:
                break
        return verdict, decoded


def _stages(seed: Seed, number: int) -> list[str]:
    """Readers of a case: the command line only now and then."""
    alone = len(seed.stages) == 1
    return [stage for stage in seed.stages if stage != "command" or number % COMMAND_EVERY == 0 or alone]


def _words(error: Exception) -> str:
    """An error without its numbers and names, so that alike ones fall together."""
    return re.sub(r"'[^']*'|\S*[\d/]\S*", "#", str(error))[:90]


def _hold_to(promise: Promise, stage: str, sound: Answer | None, answer: Answer, verdict: Verdict) -> None:
    """Wrong, if an answer is not what it must be."""
    if promise is Promise.SOUND or sound is None or sound.digest is None or answer.digest == sound.digest:
        return
    if promise is Promise.CUT and _SAYS_LOSS.search(answer.said):
        return
    verdict.outcome, verdict.place = "wrong", f"{stage}: another answer though {promise.value}"
    verdict.detail = f"{_difference(sound.digest, answer.digest)}\nsaid {answer.said[:500]}"


def _difference(expected: Any, found: Any, where: str = "") -> str:
    """The first place at which two documents differ, and what stands there."""
    if isinstance(expected, dict) and isinstance(found, dict) and expected.keys() == found.keys():
        pairs = [(f"{where}.{key}", expected[key], found[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(f"{where}[{n}]", a, b) for n, (a, b) in enumerate(zip(expected, found, strict=True))]
    else:
        return f"{where}: expected {str(expected)[:1500]}\nfound {str(found)[:1500]}"
    return next((_difference(a, b, place) for place, a, b in pairs if a != b), where)


def _place(error: BaseException) -> str:
    """Kind of error, the deepest frame of hepatica, and the deepest of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/hepatica/" in f.filename] or frames[-1:]
    last = frames[-1]
    inner = "" if last is own[-1] else f" < {Path(last.filename).name}:{last.name}"
    return (
        f"{type(error).__name__} {own[-1].filename.rpartition('/hepatica/')[2]}:{own[-1].name}:{own[-1].lineno}{inner}"
    )


def contents(folder: Path) -> Files:
    """All files below a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@contextlib.contextmanager
def _folder(room: Path, files: Files) -> Iterator[Path]:
    folder = room / "input"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    yield folder


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return float(line.split()[1]) / 1024
    return 0.0


def _processor_s(process: int) -> float:
    """Processor time of a process, or of the wall clock where it is not told."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb() -> float:
    return _status("VmRSS") if sys.platform == "linux" else 0.0


def _peak_mb() -> float:
    return _status("VmHWM") if sys.platform == "linux" else 0.0


def _forget_peak() -> None:
    """Let the peak count from now on (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


__all__: list[Any] = ["CASES_A_PROCESS", "TIME_LIMIT_S", "Worker", "contents"]
