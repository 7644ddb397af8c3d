"""Mutation testing: small faults put into the physics, one at a time, and which of them no test notices.

    python tools/checks/mutants.py map --out map.json  # which test runs which line (needs `coverage`), minutes
    python tools/checks/mutants.py run map.json --count 500 --seed 1 --out mutants.json

A mutant is one changed token group of one file: a turned comparison, another arithmetic operator, a number that is
10 % larger, a negated condition, `and` for `or`, a `return` without its value. Each runs in a forked process, with the
tests that pass through the line, the quick ones first, until one fails. Nothing is written into the source.
Printed at the end: killed, survived (with place and change), and without any test.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
ROOMS = (
    "core",
    "io/dicom/geometry.py",
    "dosimetry",
    "planning",
    "imaging/quantify",
)  # fmt: skip
"""What is sampled unless `--room` says otherwise."""
TESTS = ("tests/unit", "tests/physics")
MAX_TEST_SECONDS = 60.0
"""Tests are added, quick ones first, until they would take this long."""
FIRST_TESTS = 12
"""Run before the others are even collected: they find most mutants."""

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "/", ast.Mod: "*", ast.Pow: "*",
    ast.BitAnd: "|", ast.BitOr: "&", ast.MatMult: "*",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: `old` at line and column of a file becomes `new`."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def text(self) -> str:
        """The whole file with the change."""
        data = (ROOT / self.file).read_bytes()
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All mutants of a file, without those in annotations and `TYPE_CHECKING` blocks."""
    data = file.read_bytes()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def make(node: Any, new: str) -> Mutant:
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        return Mutant(str(file.relative_to(ROOT)), node.lineno, start, end, data[start:end].decode(), new)

    for node in walk(ast.parse(data)):
        for place, new in changes(node, data.decode()):
            mutant = make(place, new)
            if mutant.old != mutant.new:
                yield mutant


def changes(node: ast.AST, text: str) -> Iterator[tuple[ast.AST, str]]:
    """What may be put in the place of a node, or of a part of it."""

    def source(part: ast.AST) -> str:
        return f"({ast.get_source_segment(text, part)})"

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield node, f"{source(node.left)} {COMPARISONS[type(node.ops[0])]} {source(node.comparators[0])}"
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not is_text(node):
        yield node, f"({source(node.left)} {OPERATORS[type(node.op)]} {source(node.right)})"
    elif isinstance(node, ast.BoolOp):
        new = " or " if isinstance(node.op, ast.And) else " and "
        yield node, f"({new.join(map(source, node.values))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, source(node.operand)
    elif isinstance(node, ast.If | ast.IfExp):
        yield node.test, f"(not {source(node.test)})"
    elif isinstance(node, ast.Return) and node.value is not None:
        yield node.value, "None"
    elif isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield node, repr(not value)
        elif isinstance(value, int | float):
            yield node, repr(value * 1.1 if value and isinstance(value, float) else value + 1)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but annotations, docstrings, error texts and what only type checkers see."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.Raise | ast.JoinedStr):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            yield from walk(child)


def is_text(node: ast.BinOp) -> bool:
    """Whether an operator works on texts or types."""
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and not isinstance(side.value, int | float))
        for side in sides
    )


# Which test runs which line


class Recorder:
    """pytest plugin: the lines and the time of each test."""

    def __init__(self) -> None:
        import coverage

        self.coverage = coverage.Coverage(data_file=None, source=[str(SOURCE / "hepatica")], config_file=False)
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        """Lines from here on belong to this test."""
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Time of set-up, call and tear-down; a test that fails without a mutant is no use."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)


def make_map(tests: Sequence[str], out: Path) -> None:
    """Run the tests once and write lines and times."""
    import pytest

    recorder = Recorder()
    recorder.coverage.start()
    pytest.main(["-q", "-p", "no:cacheprovider", "-n0", *tests], plugins=[recorder])
    recorder.coverage.stop()
    data = recorder.coverage.get_data()
    lines = {}
    for file in sorted(data.measured_files()):
        known = data.contexts_by_lineno(file)
        name = str(Path(file).relative_to(ROOT))
        lines[name] = {
            line: sorted(test for test in by if test and test not in recorder.failed) for line, by in known.items()
        }
    out.write_text(json.dumps({"seconds": recorder.seconds, "lines": lines}))


# One mutant


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import hook that gives the mutated text of one module."""

    def __init__(self, mutant: Mutant) -> None:
        name = mutant.file.removeprefix("src/").removesuffix(".py").replace("/", ".")
        self.is_package = name.endswith(".__init__")
        self.name = name.removesuffix(".__init__")
        self.path = str(ROOT / mutant.file)
        self.code = compile(mutant.text(), self.path, "exec")

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """The mutated module and no other."""
        if fullname != self.name:
            return None
        where = [str(Path(self.path).parent)] if self.is_package else None
        return importlib.util.spec_from_file_location(
            fullname, self.path, loader=self, submodule_search_locations=where
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated text."""
        exec(self.code, module.__dict__)


def tests_for(mutant: Mutant, known: dict[str, Any]) -> list[str]:
    """Tests that pass through the line, or, for lines that run at import, through the file; the quick ones first."""
    lines = known["lines"].get(mutant.file, {})
    found = set(lines.get(str(mutant.line), ()))
    if not found:
        found = {test for by in lines.values() for test in by}
    seconds = known["seconds"]
    total, chosen = 0.0, []
    for test in sorted(found, key=lambda test: seconds.get(test, 0.0)):
        total += seconds.get(test, 0.0)
        if chosen and total > MAX_TEST_SECONDS:
            break
        chosen.append(test)
    return chosen


def outcome(mutant: Mutant, tests: list[str], seconds: dict[str, float]) -> str:
    """killed, survived, timeout or "no test"."""
    if not tests:
        return "no test"
    limit = 60.0 + 5 * sum(seconds.get(test, 0.0) for test in tests)
    child = os.fork()
    if child == 0:
        os.setsid()
        devnull = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(devnull, stream)
        code = 1
        try:
            import pytest

            sys.meta_path.insert(0, Mutated(mutant))
            for some in filter(None, (tests[:FIRST_TESTS], tests[FIRST_TESTS:])):
                code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-n0", *some]))
                if code:
                    break
        finally:
            os._exit(code)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if status == 0 else "killed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def run(known: dict[str, Any], rooms: Sequence[str], count: int, seed: int, out: Path) -> None:
    """Sample, run and print; what `out` holds of an earlier run is not run again."""
    places = [SOURCE / "hepatica" / room for room in rooms]
    files = sorted(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))
    every = [mutant for file in files for mutant in mutants_of(file)]
    sample = sorted(random.Random(seed).sample(every, min(count, len(every))), key=lambda m: (m.file, m.line))
    print(f"{len(sample)} of {len(every)} mutants in {len(files)} files", flush=True)
    preload()
    rows = json.loads(out.read_text()) if out.exists() else []
    for number, mutant in enumerate(sample[len(rows) :], len(rows) + 1):
        try:
            found = outcome(mutant, tests_for(mutant, known), known["seconds"])
        except SyntaxError:
            found = "no mutant"
        rows.append({**asdict(mutant), "outcome": found})
        if found not in ("killed", "timeout"):
            print(f"{number:4} {found:9} {mutant.file}:{mutant.line}: {mutant.old} -> {mutant.new}", flush=True)
        out.write_text(json.dumps(rows, indent=1))
    for kind in ("killed", "timeout", "survived", "no test", "no mutant"):
        print(f"{kind:9} {sum(row['outcome'] == kind for row in rows)}")


def preload() -> None:
    """Import what every mutant needs once, hepatica itself apart."""
    for name in (
        "numpy",
        "scipy.fft",
        "scipy.ndimage",
        "scipy.optimize",
        "scipy.stats",
        "pydicom",
        "SimpleITK",
        "pytest",
    ):
        importlib.import_module(name)
    if any(name.split(".")[0] == "hepatica" for name in sys.modules):
        raise SystemExit("hepatica is loaded already: a mutant would not be seen")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    mapping = parts.add_parser("map")
    mapping.add_argument("tests", nargs="*", default=list(TESTS))
    mapping.add_argument("--out", type=Path, required=True)
    running = parts.add_parser("run")
    running.add_argument("map", type=Path)
    running.add_argument("--room", action="append", help="folder or file below src/hepatica; repeat")
    running.add_argument("--count", type=int, default=500)
    running.add_argument("--seed", type=int, default=1)
    running.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    os.chdir(ROOT)
    if given.what == "map":
        make_map(given.tests, given.out)
    else:
        run(json.loads(given.map.read_text()), given.room or ROOMS, given.count, given.seed, given.out)


if __name__ == "__main__":
    main()
