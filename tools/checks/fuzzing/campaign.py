"""Many cases, what came of them by format, and each finding once with what is needed to see it again."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.case import Files, Seed, Verdict
from fuzzing.ways.damage import make_case
from fuzzing.worker import Worker, contents

OUTCOMES = ("answered", "refused", "raised", "leaked", "died", "hung", "memory", "wrong")

MOST_ATTEMPTS = 40
"""Readings that making one finding smaller may take."""


@dataclass(slots=True)
class Finding:
    """Failures at one place: the first, and how many."""

    format: str
    number: int
    how: str
    verdict: Verdict
    count: int = 1


@dataclass(slots=True)
class Campaign:
    """What was run and found.

    Attributes
    ----------
    seed : int
        Of the random numbers.
    out : Path or None
        Folder for findings; None keeps none.
    counts : dict
        Outcomes by format.
    findings : dict
        By place.
    """

    formats: Mapping[str, tuple[Seed, ...]]
    seed: int
    out: Path | None = None
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)
    slowest_s: float = 0.0
    most_mb: float = 0.0
    seconds: float = 0.0

    def run(
        self,
        names: Sequence[str],
        *,
        inputs: int | None,
        seconds: float | None,
        first: int = 0,
        report_every_s: float = 60.0,
    ) -> None:
        """Judge cases of these formats in turn, until so many inputs or seconds."""
        worker = Worker(self.formats, self.seed)
        started = said = time.monotonic()
        number = 0
        try:
            while (inputs is None or number < inputs) and (seconds is None or time.monotonic() - started < seconds):
                name, which = names[number % len(names)], first + number // len(names)
                self._take(worker, name, which)
                number += 1
                self.seconds = time.monotonic() - started
                if time.monotonic() - said > report_every_s:
                    said = time.monotonic()
                    print(f"{number} inputs, {number / self.seconds:.0f}/s, {len(self.findings)} findings", flush=True)
                    self._note()
        finally:
            worker.close()
            self._note()

    def _note(self) -> None:
        """Keep the table beside the findings, so that a run that is killed leaves one."""
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / "table.txt").write_text(self.table() + "\n", encoding="utf-8")

    def _take(self, worker: Worker, name: str, number: int) -> None:
        verdict = worker.judge(name, number)
        self.counts.setdefault(name, Counter())[verdict.outcome] += 1
        self.slowest_s = max(self.slowest_s, verdict.seconds)
        self.most_mb = max(self.most_mb, verdict.peak_mb)
        if not verdict.failed:
            return
        known = self.findings.get(verdict.place)
        if known is not None:
            known.count += 1
            return
        _, case = make_case(self.formats, name, self.seed, number)
        found = self.findings[verdict.place] = Finding(name, number, case.how, verdict)
        print(f"{verdict.outcome}: {verdict.place}\n  {case.how}\n  {self.again(found)}", flush=True)
        if self.out is not None:
            smaller = _smaller(worker, found, case.files) if verdict.outcome != "hung" else case.files
            self._keep(found, smaller)

    def again(self, found: Finding) -> str:
        """The command that runs one case again."""
        return f"python tools/checks/fuzz.py --format {found.format} --seed {self.seed} --only {found.number}"

    def _keep(self, found: Finding, files: Files) -> None:
        assert self.out is not None
        mark = hashlib.sha256(found.verdict.place.encode()).hexdigest()[:10]
        folder = self.out / f"{found.verdict.outcome}-{found.format}-{mark}"
        shutil.rmtree(folder, ignore_errors=True)
        _write(folder / "files", files)
        text = f"{found.verdict.place}\n{found.how}\n{self.again(found)}\n\n{found.verdict.detail}\n"
        (folder / "finding.txt").write_text(text, encoding="utf-8")

    @property
    def failed(self) -> int:
        """Inputs with an outcome that must not be."""
        return sum(n for counts in self.counts.values() for outcome, n in counts.items() if outcome in OUTCOMES[2:])

    def table(self) -> str:
        """Inputs and outcomes by format, then the findings by how often."""
        total: Counter[str] = Counter()
        lines = [f"{'format':<12}{'inputs':>8}" + "".join(f"{o:>9}" for o in OUTCOMES)]
        for name, counts in sorted(self.counts.items()):
            total += counts
            lines.append(f"{name:<12}{counts.total():>8}" + "".join(f"{counts[o]:>9}" for o in OUTCOMES))
        lines.append(f"{'all':<12}{total.total():>8}" + "".join(f"{total[o]:>9}" for o in OUTCOMES))
        rate = total.total() / self.seconds if self.seconds else 0.0
        lines.append(f"{rate:.0f} inputs/s, slowest {self.slowest_s:.1f} s, most memory {self.most_mb:.0f} MB")
        often = sorted(self.findings.values(), key=lambda found: -found.count)
        lines += [
            f"{found.count:>6} {found.verdict.outcome}: {found.verdict.place} ({found.format})" for found in often
        ]
        return "\n".join(lines)


def _smaller(worker: Worker, found: Finding, files: Files) -> Files:
    """Fewer and shorter files that fail at the same place."""
    kept = dict(files)
    attempts = MOST_ATTEMPTS

    def still(trial: Files) -> bool:
        nonlocal attempts
        attempts -= 1
        with tempfile.TemporaryDirectory() as name:
            _write(Path(name), trial)
            verdict = worker.judge(found.format, found.number, Path(name))
        return verdict.failed and verdict.place == found.verdict.place

    for name in sorted(files):
        if len(kept) > 1 and attempts > 0 and still({k: v for k, v in kept.items() if k != name}):
            del kept[name]
    for name in sorted(kept):
        half = len(kept[name]) // 2
        while half > 64 and attempts > 0 and still(kept | {name: kept[name][:half]}):
            kept[name] = kept[name][:half]
            half //= 2
    return kept


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


__all__ = ["Campaign", "Finding", "contents"]
