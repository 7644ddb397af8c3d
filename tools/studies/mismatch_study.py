"""What a camera unlike its model does, and what its calibration mends: the table in docs/spect-study.md.

The study's virtual patient with 90Y (5 % in the lungs), and a ball of water of 3 cm in air at 10 and at 40 cm, are
simulated once through holes and once through lead. The counts of a camera with 0.7 or 1.3 times the model's counts
through lead, or with 0.9 or 1.1 times its counts, are the sum of both, with noise of their own. ``calibrate`` then
makes a factor of the near ball, and one of both; ``reconstruct`` takes it, with the default settings. All by the
commands.

Run: ``python tools/studies/mismatch_study.py FOLDER [--page]``. What is in FOLDER is not done again; FOLDER/runs.jsonl
holds the rows. A quarter of an hour of one processor; pixels of 9.6 mm keep it so short.
"""

from __future__ import annotations

import argparse
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.phantoms.objects import grid_around
from hepatica.anatomy.phantoms.solids import Ball, sampled
from hepatica.cli.main import main as command_line
from hepatica.core import Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.simulate import camera_grid
from hepatica.io.dicom.images.projections import write_projections
from hepatica.io.dicom.images.write import Emission
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
from hepatica.nuclides import nuclide
from spect_study import START
from spect_study_lung import Phantom, Truth, patient

PIXEL_MM, COLUMNS, NOISE = 9.6, 54, 7
CAMERA, NUCLIDE = gamma_camera("siemens-hegp"), nuclide("Y-90")
WINDOW = nuclide_windows(NUCLIDE)[0][0]
BALL_MM, BALL_BQ, METER_SD = 30.0, 500e6, "1 %"
CAMERAS = {"lead 0.7": (1.0, 0.7), "as modelled": (1.0, 1.0), "lead 1.3": (1.0, 1.3), "counts 0.9": (0.9, 1.0),
           "counts 1.1": (1.1, 1.0)}  # fmt: skip
"""Efficiency, and counts through lead, over the model's."""


@dataclass(frozen=True)
class Scan:
    """One object before the camera: CT, a becquerel where the activity is, its amount, views, radius and histories."""

    hu: Volume
    one: Volume
    becquerels: float
    views: int
    view_s: float
    radius_mm: float
    histories: int

    def counts(self, folder: Path, name: str, efficiency: float, lead: float) -> Projections:
        """What a camera counts, with noise."""
        grid = camera_grid(self.hu.grid, pixel_mm=PIXEL_MM, columns=COLUMNS)
        orbit = Orbit.circular(self.views, radius_mm=self.radius_mm)
        stored = folder / f"expected-{name}.npz"
        if not stored.exists():
            response = detector_response(CAMERA)
            none = np.zeros_like(response.through)
            found = []
            for part in (replace(response, through=none), replace(response, geometric=none)):
                setup = SpectSetup(CAMERA, NUCLIDE, orbit, (WINDOW,), grid, part)
                rules = ProjectionSettings(histories=self.histories, seed=5)
                one = MonteCarloProjector(self.hu, setup).project(self.one, rules)
                found.append(one.primary + one.other)
            np.savez(stored, holes=found[0], lead=found[1])
        with np.load(stored) as kept:
            rate = np.float32(efficiency) * (kept["holes"] + np.float32(lead) * kept["lead"])
        noisy = np.random.default_rng(NOISE).poisson(rate * np.float32(self.becquerels * self.view_s))
        middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
        return Projections(
            noisy.astype(np.float32), orbit, (WINDOW,), (PIXEL_MM, PIXEL_MM), self.view_s, start=START,
            nuclide=NUCLIDE.name, axis_mm=(float(middle[0]), float(middle[1]), float(grid.origin_mm[2])),
            frame_of_reference=grid.frame_of_reference,
        )  # fmt: skip

    def written(self, folder: Path, name: str, kind: str) -> Path:
        """Projections of one of the cameras as a file."""
        file = folder / f"{name}-{kind.replace(' ', '-')}.dcm"
        if not file.exists():
            emission = Emission(nuclide=NUCLIDE.name, start=START, frame_duration_s=self.view_s, agent="known truth")
            context = DicomContext.invented(patient_id="STUDY", when=START)
            write_projections(file, self.counts(folder, name, *CAMERAS[kind]), context, emission)
        return file


def ball(radius_mm: float) -> Scan:
    """A ball of water in air, 8 views."""
    grid = grid_around((300, 300, 300), spacing_mm=(5.0, 5.0, 5.0))
    region = sampled("ball", Ball((0.0, 0.0, 0.0), BALL_MM), grid)
    hu, one = np.full(grid.shape, -1000, np.float32), np.zeros(grid.shape, np.float32)
    hu[region.window] += 1000 * region.coverage
    one[region.window] = region.coverage / region.coverage.sum()
    # As long as it takes for noise of 0.3 %: nobody calibrates in five minutes.
    parts = Volume(grid, hu, Kind.HU), Volume(grid, one, Kind.ACTIVITY, START)
    return Scan(*parts, BALL_BQ, 8, 150.0, radius_mm, 400_000)


def command(*words: str | Path) -> dict[str, Any]:
    """Document of a command that must not fail."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = command_line([*map(str, words), "--json"])
    if code:
        raise SystemExit(err.getvalue())
    return dict(json.loads(out.getvalue()))


def calibrated(folder: Path, scans: dict[str, Scan], kind: str, *, two: bool) -> Path:
    """Calibration of a camera by the near ball, or by both."""
    name = "far" if two else "near"
    out = folder / f"{name}-{kind.replace(' ', '-')}"
    if not (out / "calibration.json").exists():
        more = ("--calibration", calibrated(folder, scans, kind, two=False)) if two else ()
        command(
            "calibrate", scans[name].written(folder, name, kind), "--source", "point", "--camera", CAMERA.name,
            "--source-activity", f"{BALL_BQ} Bq", "--source-activity-sd", METER_SD, "--diameter", f"{BALL_MM} mm",
            "--source-activity-at", START.isoformat(), *more, "--out", out, "--force",
        )  # fmt: skip
    return out / "calibration.json"


def reconstructed(folder: Path, scans: dict[str, Scan], kind: str, how: str) -> tuple[dict[str, Any], NDArray[Any]]:
    """Document and becquerels of each voxel."""
    out = folder / f"spect-{how}-{kind}".replace(" ", "-")
    words: tuple[str | Path, ...] = ("--sensitivity", "model")
    if how != "model":
        words = ("--calibration", calibrated(folder, scans, kind, two=how == "near and far"))
    file = scans["patient"].written(folder, "patient", kind)
    made = command(
        "reconstruct", file, "--ct", folder / "ct.nii.gz", "--camera", CAMERA.name, "--scatter", "mc", "--registered",
        *words, "--out", out, "--force",
    )  # fmt: skip
    image = read_image(out / "spect.dcm", role="activity").volume
    return made, image.values * np.float32(image.grid.voxel_volume_ml)


def row(folder: Path, scans: dict[str, Scan], truth: Truth, kind: str, how: str) -> dict[str, Any]:
    """What one camera and one calibration give."""
    made, image = reconstructed(folder, scans, kind, how)
    found: dict[str, Any] = {"camera": kind, "calibrated": how, **truth.measured(image)}
    found["messages"] = [message["code"] for message in made["messages"]]
    low, high = made["lung"]["interval_95"]
    found["lung stated"] = made["lung"]["mean"] / truth.lung_bq_ml
    found["covers"] = bool(low <= truth.lung_bq_ml <= high)
    if how != "model":
        kept = json.loads(calibrated(folder, scans, kind, two=how == "near and far").read_text())
        found |= {"penetration": kept["penetration"], "penetration_sd": kept["penetration_sd"]}
        found["said before"] = [message["code"] for message in kept["messages"]]
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """As the page has it."""
    shown = [key for key in rows[0] if key in ("total", "liver", "lung", "lung beyond 2 cm") or "tumour" in key]
    lines = [f"| camera | calibrated | {' | '.join(shown)} | lung stated | said |", "|" + " --- |" * (len(shown) + 4)]
    for one in rows:
        how = one["calibrated"]
        if one.get("penetration"):
            how += f": {one['penetration']:.2f} +- {one['penetration_sd']:.2f}"
        cells = [f"{100 * (one[key] - 1):+.1f} %" for key in shown]
        stated = f"{100 * (one['lung stated'] - 1):+.1f} %, {'holds' if one['covers'] else 'misses'}"
        said = "unlike the model" if "sensitivity-unlike-model" in one["messages"] else ""
        lines.append(f"| {one['camera']} | {how} | {' | '.join(cells)} | {stated} | {said} |")
    return "\n".join(lines)


def write_page(rows: list[dict[str, Any]]) -> None:
    """Put the table into the page, in place of the one that is there."""
    page, marks = Path("docs/spect-study.md"), ("<!-- mismatch -->", "<!-- end of mismatch -->")
    before, rest = page.read_text().split(marks[0])
    after = rest.split(marks[1])[1]
    page.write_text(f"{before}{marks[0]}\n\n{table(rows)}\n\n{marks[1]}{after}")


def main() -> None:
    """Do what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", action="store_true", help="write the table of what is there into docs/spect-study.md")
    asked = parser.parse_args()
    folder = asked.folder
    if asked.page:
        write_page([json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()])
        return
    folder.mkdir(parents=True, exist_ok=True)
    phantom: Phantom = patient(NUCLIDE.name)
    total = sum(phantom.becquerels.values())
    one = phantom.activity.with_values(phantom.activity.values / np.float32(total))
    scans = {"near": ball(100.0), "far": ball(400.0)}
    scans["patient"] = Scan(phantom.hu, one, total, 32, 75.0, 210.0, 700_000)
    if not (folder / "ct.nii.gz").exists():
        write_itk(phantom.hu, folder / "ct.nii.gz")
    truth = Truth.of(phantom, camera_grid(phantom.hu.grid, pixel_mm=PIXEL_MM, columns=COLUMNS))
    file = folder / "runs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for kind, (efficiency, lead) in CAMERAS.items():
        for how in ("near",) if lead == efficiency else ("near", "near and far") if lead != 1 else ("model", "near"):
            if any(one["camera"] == kind and one["calibrated"] == how for one in rows):
                continue
            rows.append(row(folder, scans, truth, kind, how))
            with file.open("a") as out:
                out.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
