"""Time of ``case status`` on a case of 20 series (2000 files) and 12 results, beside looking at every file once.

Run as ``python benchmarks/bench_case_status.py``. Asked for: under 0.5 s.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hepatica.case.case import Case
from hepatica.case.catalogue import Catalogue, Item, stored
from hepatica.case.record import Record
from hepatica.case.verbs.status import case_status

SERIES, FILES = 20, 100
RESULTS = (
    "scout-reconstruction", "lung-shunt", "uptake", "plan", "order", "delivery", "registration", "dose",
    "verification", "prediction", "safety", "function",
)  # fmt: skip
LINES = 100


def made(folder: Path) -> Case:
    """A case as the course leaves it, of small files."""
    case = Case.new(folder)
    case.set(**{"treatment.agent": "glass", "treatment.at": "2026-03-12T10:00+01:00", "disease.indication": "HCC"})
    items = []
    for n in range(SERIES):
        place = folder / "images" / f"ct-{n + 1}"
        place.mkdir()
        files = [place / f"{k}.dcm" for k in range(FILES)]
        for k, path in enumerate(files):
            path.write_bytes(f"{n} {k}".encode() * 200)
        items.append(
            Item(f"ct-{n + 1}", "baseline-ct", 1, tuple(stored(f, folder) for f in files), f"images/ct-{n + 1}")
        )
    Catalogue(tuple(items)).write(folder)
    for name in RESULTS:
        (folder / "steps" / name).mkdir()
        record = Record.of(name, (), {"name": name}, "0")
        (folder / "steps" / name / "step.json").write_text(record.text(), encoding="utf-8")
    for n in range(LINES):
        case.set(**{"patient.weight": f"{70 + n % 2} kg"})
    return case


def main() -> None:
    """Print times of one run: they vary with the load of the machine, their ratios less."""
    with tempfile.TemporaryDirectory() as place:
        case = made(Path(place) / "case")
        case_status(case.folder)
        start, busy = time.perf_counter(), time.process_time()
        case_status(case.folder)
        wall, busy = time.perf_counter() - start, time.process_time() - busy
        start = time.process_time()
        for item in Catalogue.read(case.folder):
            for file in item.files:
                (case.folder / file.path).stat()
        looked = time.process_time() - start
        print(f"status: {wall:.3f} s ({busy:.3f} s of one processor), {busy / looked:.1f} times looking at every file")
        start = time.perf_counter()
        command = [sys.executable, "-m", "hepatica", "case", "status", str(case.folder)]
        subprocess.run(command, check=True, capture_output=True)
        print(f"the command with the start of Python: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
