"""Seconds and memory of the whole command `hepatica dose` on a clinical CT, stage by stage.

``python benchmarks/bench_dose_command.py FOLDER [--engine montecarlo] [--against CHECKOUT]`` makes a case in FOLDER if
there is none (a virtual patient on a couch: CT of 512 x 512 x 400 with noise and PET of 128 x 128 voxels, both DICOM),
runs the command with the report and prints seconds by stage, processor seconds and peak memory. With ``--against`` the
same is run from the source of another checkout (``git worktree add CHECKOUT bc7bb05``), one after the other, and the
ratios are printed: on a machine that others use too, they are what counts.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

import hepatica
from hepatica.core import Grid, Kind, Volume
from hepatica.core.context import DicomContext, uid_of
from hepatica.core.resample import resample
from hepatica.io.dicom.images.write import Emission, write_ct, write_pet

SHAPE = (512, 512, 400)
WIDTH_MM = 460.0
NOISE_HU = 20.0
HISTORIES = "2 %"
"""Uncertainty of a Monte Carlo run."""


@dataclass(frozen=True)
class Run:
    """What one run took: seconds by stage, of all, of the processors, and peak memory in MB."""

    stages: dict[str, float]
    wall_s: float
    processor_s: float
    peak_mb: float


def make_case(folder: Path) -> None:
    """CT and PET of a virtual patient as DICOM."""
    settings = hepatica.VirtualCtOptions(spacing_mm=2.0)
    patient = hepatica.virtual_patient(seed=7, ct=settings, treatment=hepatica.Treatment(lung_shunt=0.05)).patient
    corners = patient.grid.corners_mm()
    middle, length_mm = corners.mean(axis=0), float(np.ptp(corners[:, 2]))

    def grid(shape: tuple[int, int, int]) -> Grid:
        spacing = np.array([WIDTH_MM, WIDTH_MM, length_mm]) / shape
        return Grid.axial(
            shape, spacing_mm=spacing.tolist(), origin_mm=(middle - spacing * (np.array(shape) - 1) / 2).tolist()
        )

    fine = grid(SHAPE)
    hu = resample(patient.hu, fine, "linear", outside=-1000.0).values.copy()
    behind = fine.to_index([0, corners[:, 1].max(), 0])[1]
    hu[40:-40, int(behind) + 8 : int(behind) + 20] = 60.0
    hu += np.random.default_rng(1).normal(0, NOISE_HU, hu.shape).astype(np.float32)
    context = DicomContext.invented(patient_id="BENCH", patient_name="Bench^One")
    context = replace(context, frame_of_reference=uid_of("frame of reference", "bench"))
    write_ct(folder / "ct", Volume(fine, np.clip(hu, -1024, 3000), Kind.HU), context)
    given = patient.treatment
    scanned_at = given.administered_at + timedelta(hours=6)
    seen = resample(patient.concentration(scanned_at), grid((128, 128, int(length_mm / 4))), "mean")
    write_pet(
        folder / "pet", seen, context, Emission("Y-90", scanned_at, 1800.0, given.activity_bq, given.administered_at)
    )


def run(case: Path, engine: str, source: Path) -> Run:
    """Run the command from a source tree."""
    command = [sys.executable, "-m", "hepatica", "dose", case / "pet", "--ct", case / "ct", "--nuclide", "Y-90"]
    command += ["--registered", "--engine", engine]
    if engine == "montecarlo":
        command += ["--target-uncertainty", HISTORIES]
    out = Path(tempfile.mkdtemp(dir=case))
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--out", out / "result"], env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        said = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started
    shutil.rmtree(out)
    if process.returncode:
        raise SystemExit(said)
    marks = [(float(at), what) for at, what in re.findall(r"^\[ *([\d.]+) s\] (.*)$", said, re.MULTILINE)]
    marks = [mark for mark in marks if not mark[1].startswith("montecarlo:")]
    ends = [at for at, _ in marks[1:]] + [wall_s]
    stages = {what: end - at for (at, what), end in zip(marks, ends, strict=True)}
    return Run(stages, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Make the case, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", default="kernel")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--make-only", action="store_true")
    stated = parser.parse_args()
    if stated.make_only:
        stated.folder.mkdir(parents=True, exist_ok=True)
        make_case(stated.folder)
        return
    if not (stated.folder / "pet").exists():
        # In a process of its own: the peak of a child counts what its parent held when it was started.
        subprocess.run([sys.executable, __file__, stated.folder, "--make-only"], check=True)
    new = run(stated.folder, stated.engine, Path(hepatica.__file__).parents[1])
    for what, seconds in new.stages.items():
        print(f"{what:32s} {seconds:7.1f} s")
    print(f"{'all':32s} {new.wall_s:7.1f} s, processors {new.processor_s:.1f} s, peak {new.peak_mb:.0f} MB")
    if stated.against is None:
        return
    old = run(stated.folder, stated.engine, stated.against / "src")
    print(
        f"{'the other checkout':32s} {old.wall_s:7.1f} s, processors {old.processor_s:.1f} s, peak {old.peak_mb:.0f} MB"
    )
    for what, seconds in old.stages.items():
        print(f"    {what:28s} {seconds:7.1f} s, {seconds / max(new.stages.get(what, 0.1), 0.1):.1f} times")
    print(
        f"wall {old.wall_s / new.wall_s:.1f} times, processors {old.processor_s / new.processor_s:.1f} times, memory "
        f"{old.peak_mb / new.peak_mb:.2f} times"
    )


if __name__ == "__main__":
    main()
