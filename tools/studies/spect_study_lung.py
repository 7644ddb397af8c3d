"""Bias and noise against iterations of 90Y SPECT for liver, lesions and lung, with the lung by voxels and by levels.

Run: ``python tools/studies/spect_study_lung.py FOLDER [--phantom patient] [--nuclide I-131] [--seeds 10] [--models
levels] [--shift 8] [--stated 8]``. The torso: liver with lesions of 45 mm (7 mm below the dome) and 32 mm at T/N 5, 5 %
of the activity in the lungs. The patient is that of ``spect_study.py``, as are activity and collimator of each nuclide.
60 views, pixels of 9.6 mm. Projections come from the Monte Carlo, liver and lung apart, once; each seed is a Poisson
draw of them, reconstructed with default settings and scatter of its own random numbers. A line of
FOLDER/runs-PHANTOM.jsonl (other nuclides: runs-PHANTOM-NUCLIDE.jsonl) is a run, so that a run that was interrupted goes
on; ``--table`` prints mean and spread of them and draws FOLDER/spect-study-iterations-PHANTOM.png for
docs/spect-study.md. About a minute of one core a seed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample
from hepatica.imaging.reconstruct.algorithms import Update
from hepatica.imaging.reconstruct.levels.options import SpectLungOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, window_sets
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.options import AcquisitionOptions, NoiseOptions, ScatterOptions
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, scan_model
from hepatica.imaging.spect.simulate import camera_grid
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions
from spect_study import IMAGING, START, study_patient

FINE_MM, PIXEL_MM, VIEWS, VIEW_S = 2.4, 9.6, 60, 40.0
LUNG_SHARE, TUMOUR_TO_NORMAL = 0.05, 5.0
HISTORIES = {"Y-90": (5e6, 1e6)}
"""Of liver with lesions, and of the lung. Of 90Y, 7 % of the counts in the rows of the lung are its own: of a million
histories of the liver 0.4 % of noise is left there, which is 6 % of the lung."""
OTHERS_HISTORIES = (1.2e6, 0.4e6)
"""The same of other nuclides, with a third as many scattered counts for a primary one."""
GRID = Grid.axial((150, 108, 116), spacing_mm=(FINE_MM,) * 3, origin_mm=(-178.8, -128.4, -138.0))
WHICH = ("how", "shift", "scatter", "blur", "seed", "stated")
STATED_MM = SpectLungOptions().registration_uncertainty_mm
PARTS = ("counting", "scatter", "registration", "border", "model")
"""Of the uncertainty that is stated of the lungs' mean."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Phantom:
    """What is imaged: CT, activity in parts (each of 1 Bq) with the becquerels of each, regions that are measured."""

    nuclide: str
    hu: Volume
    parts: Mapping[str, Volume]
    becquerels: Mapping[str, float]
    regions: Mapping[str, Volume]
    columns: int

    @property
    def camera(self) -> str:
        """Under which the nuclide is imaged."""
        return IMAGING[self.nuclide].camera

    @property
    def activity(self) -> Volume:
        """All parts, Bq per voxel."""
        one = next(iter(self.parts.values()))
        return one.with_values(np.sum([b * self.parts[key].values for key, b in self.becquerels.items()], axis=0))


def torso(name: str) -> Phantom:
    """A liver with two lesions under the right lung, on 2.4 mm."""
    masks, hu, regions = torso_masks()
    lung = masks.pop("lung")
    hot = np.sum([mask * (TUMOUR_TO_NORMAL if "lesion" in key else 1.0) for key, mask in masks.items()], axis=0)
    total = 1e6 * IMAGING[name].patient_mbq
    becquerels = {"liver": (1 - LUNG_SHARE) * total, "lung": LUNG_SHARE * total}
    parts = {
        key: Volume(GRID, (one / one.sum()).astype(np.float32), Kind.ACTIVITY, START)
        for key, one in (("liver", hot), ("lung", lung))
    }
    shown = {key: Volume(GRID, mask.astype(np.float32), Kind.UNKNOWN) for key, mask in regions.items()}
    return Phantom(name, hu, parts, becquerels, shown, 40)


def patient(name: str) -> Phantom:
    """The virtual patient of the study: 5 % in the lungs, T/N 4, tumours of 45, 35 and 22 mm."""
    from scipy import ndimage

    made = study_patient()
    activity = made.activity(START)
    total = 1e6 * IMAGING[name].patient_mbq / activity.total
    masks = {key: made.regions[key].mask() for key in made.regions}
    lung = masks["lung right"] | masks["lung left"]
    parts = {"liver": activity.with_values(np.where(lung, 0, activity.values))}
    parts["lung"] = activity.with_values(np.where(lung, activity.values, 0))
    becquerels = {key: float(total * part.total) for key, part in parts.items()}
    tumours = {key: mask for key, mask in masks.items() if key.startswith("tumour")}
    normal = masks["liver"] & ~np.any(list(tumours.values()), axis=0)
    far = lung & (ndimage.distance_transform_edt(~masks["liver"], sampling=made.hu.grid.spacing_mm) > 20)
    shown = {"liver": normal, **tumours, "lung": lung, "lung beyond 2 cm": far}
    shown["right lung beyond 2 cm"] = far & masks["lung right"]
    extent = float(np.ptp(made.hu.grid.corners_mm(), axis=0)[:2].max())
    return Phantom(
        name, made.hu, {key: part.with_values(part.values / np.float32(part.total)) for key, part in parts.items()},
        becquerels, {key: Volume(activity.grid, m.astype(np.float32), Kind.UNKNOWN) for key, m in shown.items()},
        int(np.ceil(extent / PIXEL_MM / 8 + 1) * 8),
    )  # fmt: skip


def torso_masks() -> tuple[dict[str, Mask], Volume, dict[str, Mask]]:
    """Parts with activity, CT, and regions that are measured."""
    x, y, z = GRID.to_mm(np.indices(GRID.shape).reshape(3, -1).T).T.reshape(3, *GRID.shape)

    def liver_and(margin_mm: float) -> Mask:
        radii = [size + margin_mm for size in (85, 70, 70)]
        return ((x + 60) / radii[0]) ** 2 + ((y + 10) / radii[1]) ** 2 + ((z + 50) / radii[2]) ** 2 < 1

    def ball(centre: tuple[float, float, float], diameter_mm: float) -> Mask:
        return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < (diameter_mm / 2) ** 2

    body = (x / 172) ** 2 + (y / 122) ** 2 < 1
    inner = (x / 160) ** 2 + (y / 110) ** 2 < 1
    liver = liver_and(0) & inner
    right = (((x + 80) / 60) ** 2 + (y / 85) ** 2 < 1) & (z > -20) & (z < 130) & ~liver_and(4)
    left = (((x - 85) / 52) ** 2 + ((y - 5) / 80) ** 2 < 1) & (z > 0) & (z < 130)
    lung = (right | left) & inner
    large, small = ball((-60, -10, -8), 45) & liver, ball((-10, 0, -60), 32) & liver
    hu = np.where(body, 0.0, -1000.0)
    hu[liver], hu[lung], hu[x**2 + (y - 88) ** 2 < 18**2] = 60, -750, 300
    parts = {"liver": liver & ~large & ~small, "lesion 45 mm": large, "lesion 32 mm": small, "lung": lung}
    far = lung & ~liver_and(20)
    regions = {"liver": liver, "lesion 45 mm": large, "lesion 32 mm": small, "lung": lung, "lung beyond 2 cm": far}
    return parts, Volume(GRID, hu.astype(np.float32), Kind.HU), regions


def expected(folder: Path, of: str, phantom: Phantom, scatter: float) -> Projections:
    """Expected counts of the scan, with scattered counts times a factor."""
    half = VIEWS // 2
    angles = np.concatenate([h * 180.0 + np.arange(half) * 360.0 / VIEWS for h in range(2)])
    grid = camera_grid(phantom.hu.grid, pixel_mm=PIXEL_MM, columns=phantom.columns)
    name = phantom.nuclide
    window = window_sets(nuclide(name))[0].peaks[:1]
    setup = SpectSetup(phantom.camera, nuclide(name), Orbit(angles, np.full(VIEWS, 210.0)), window, grid)
    projector = MonteCarloProjector(phantom.hu, setup)
    counts = np.zeros((1, VIEWS, phantom.columns, grid.shape[2]), dtype=np.float32)
    for key, histories in zip(("liver", "lung"), HISTORIES.get(name, OTHERS_HISTORIES), strict=True):
        becquerels = phantom.becquerels[key]
        stored = folder / f"expected-{of}-{key}.npz"
        if not stored.exists():
            rules = ProjectionSettings(histories=int(histories), seed=77)
            found = projector.project(phantom.parts[key], rules)
            print(f"{of} {key}: {100 * found.uncertainty:.2f} % a bin, {found.seconds:.0f} s", flush=True)
            np.savez(stored, primary=found.primary, other=found.other)
        with np.load(stored) as kept:
            counts += np.float32(becquerels * VIEW_S) * (kept["primary"] + np.float32(scatter) * kept["other"])
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    axis = (float(middle[0]), float(middle[1]), float(grid.origin_mm[2]))
    made = Projections(
        counts, setup.orbit, window, (PIXEL_MM, PIXEL_MM), VIEW_S, axis_mm=axis, start=START, nuclide=name,
        frame_of_reference=grid.frame_of_reference, view_start_s=np.tile(np.arange(half) * VIEW_S, 2),
    )  # fmt: skip
    decay = made.mean_activity(nuclide(name).half_life_s).astype(np.float32)
    return replace(made, counts=made.counts * decay[None, :, None, None])


def moved(hu: Volume, shift_mm: float) -> Volume:
    """The CT, so many millimetres too high."""
    affine = hu.grid.affine.copy()
    affine[2, 3] += shift_mm
    return replace(hu, grid=replace(hu.grid, affine=affine))


@dataclass(frozen=True)
class Truth:
    """The phantom on the grid of the image: becquerels of each voxel, share of each voxel in each region."""

    activity: Volume
    regions: Mapping[str, NDArray[np.float64]]
    lung_bq_ml: float

    @classmethod
    def of(cls, phantom: Phantom, grid: Grid) -> Truth:
        """By volume."""
        shares = {key: resample(one, grid, "mean").values.astype(np.float64) for key, one in phantom.regions.items()}
        lung = phantom.regions["lung"]
        inside = phantom.becquerels["lung"] / (float(lung.values.sum()) * lung.grid.voxel_volume_ml)
        return cls(resample(phantom.activity, grid, "total"), shares, inside)

    def measured(self, image: NDArray[np.float32]) -> dict[str, float]:
        """Ratio to the truth of each region, on the same voxels, and the noise of liver voxels."""
        true = self.activity.values.astype(np.float64)
        ratios = {key: float((image * w).sum() / (true * w).sum()) for key, w in self.regions.items()}
        inside = self.regions["liver"] > 0.99
        # Of the patient one lobe is treated.
        inside &= true > 0.5 * np.median(true[inside & (true > 0)])
        spread = float((image[inside] / true[inside]).std())
        return {**ratios, "total": float(image.sum() / self.activity.total), "noise of liver voxels": spread}


def run(scan: Projections, hu: Volume, truth: Truth, camera: str, which: Mapping[str, Any]) -> dict[str, Any]:
    """Ratios to the truth and noise after every iteration, and what is said of the lung at the end."""
    seed, of = which["seed"], nuclide(str(scan.nuclide))
    noisy = np.random.default_rng(seed).poisson(scan.counts).astype(np.float32)
    options = SpectOptions(
        acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"),
        scatter=ScatterOptions(scatter="mc", stopping=StoppingOptions(seed=1000 * seed)),
        noise=NoiseOptions(remaining_blur_mm=which["blur"]),
        lung=SpectLungOptions(lung_model=which["how"], registration_uncertainty_mm=which.get("stated", STATED_MM))
        if which["how"] == "levels"
        else SpectLungOptions(lung_model=which["how"]),
    ).for_nuclide(of)
    started, used = time.monotonic(), time.process_time()
    model = scan_model(replace(scan, counts=noisy), hu, gamma_camera(camera), of, options)
    rows: dict[int, dict[str, float]] = {}

    def after(update: Update) -> None:
        if update.subset == update.subsets:
            rows[update.iteration] = truth.measured(update.image)

    found = reconstruct_scan(model, options, on_update=after)
    seconds = {"wall_s": time.monotonic() - started, "processor_s": time.process_time() - used}
    true = truth.lung_bq_ml
    said = {} if found.lung is None else {
        "read": found.lung.mean.value / true, "relative_sd": found.lung.mean.relative_sd,
        "interval": [end / true for end in found.lung.interval_95],
        "parts": {part: getattr(found.lung, f"{part}_relative_sd") for part in PARTS},
        "covers": bool(found.lung.interval_95[0] <= true <= found.lung.interval_95[1]),
    }  # fmt: skip
    return {"iterations": rows, "end": truth.measured(found.reconstruction.image), **seconds, **said}


def half_percent(said: list[dict[str, Any]]) -> float:
    """Mean half-width of the stated intervals, percent of the middle of each."""
    each = [100 * (one["interval"][1] - one["interval"][0]) / sum(one["interval"]) for one in said]
    return float(np.mean(each)) if each else 0.0


def shown(runs: list[dict[str, Any]]) -> list[str]:
    """Regions of a phantom."""
    return [key for key in runs[0]["end"] if key not in ("total", "noise of liver voxels")]


def draw(runs: list[dict[str, Any]], file: Path) -> None:
    """Bias of liver, lesions and lung, their spread over the seeds, and noise of liver voxels, against iterations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    bias, noise = figure.subplots(1, 2)
    for how, style in (("voxels", ":"), ("levels", "-")):
        found = [one["iterations"] for one in runs if one["how"] == how]
        if not found:
            continue
        numbers = sorted((n for n in found[0] if int(n) >= 4), key=int)
        steps = [int(n) for n in numbers]
        for colour, key in enumerate(shown(runs)):
            each = 100 * (np.array([[one[n][key] for n in numbers] for one in found]) - 1)
            bias.plot(steps, each.mean(axis=0), style, color=f"C{colour}", label=f"{key}, {how}")
            if len(found) > 2:
                noise.plot(steps, each.std(axis=0, ddof=1), style, color=f"C{colour}", label=f"{key}, over the seeds")
        spread = [100 * np.mean([one[n]["noise of liver voxels"] for one in found]) for n in numbers]
        noise.plot(steps, spread, style, color="k", label=f"single liver voxels, {how}")
    bias.set_ylim(-35, 40)
    noise.set_ylim(0, 40)
    for axes, text in ((bias, "difference to the truth, %"), (noise, "standard deviation, %")):
        axes.set(xlabel="iterations", ylabel=text)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6, ncols=2, loc="upper right")
    figure.savefig(file, dpi=120)


def by_iterations(runs: list[dict[str, Any]]) -> str:
    """Mean and spread over the seeds after some iterations, by levels."""
    found = [one for one in runs if one["how"] == "levels"]
    keys = (*shown(runs), "total")
    lines = ["| iterations | " + " | ".join(keys) + " | noise of liver voxels |", "|" + " --- |" * (len(keys) + 2)]
    for n in ("4", "7", "10", "15", "20", "end"):
        if n != "end" and n not in found[0]["iterations"]:
            continue
        rows = [one["end"] if n == "end" else one["iterations"][n] for one in found]
        cells = []
        for key in keys:
            values = 100 * (np.array([row[key] for row in rows]) - 1)
            cells.append(f"{values.mean():+.1f} +- {values.std(ddof=1):.1f} %")
        spread = 100 * float(np.mean([row["noise of liver voxels"] for row in rows]))
        lines.append(f"| {n} | " + " | ".join(cells) + f" | {spread:.0f} % |")
    return "\n".join(lines)


def table(runs: list[dict[str, Any]]) -> str:
    """Mean and spread over the seeds of every model, as a table of the page."""
    keys = [key for key in runs[0]["end"] if key != "noise of liver voxels"]
    lines = [
        "| lung model, CT too high by, its place said to be known within, blur left | seeds | "
        + " | ".join(keys)
        + " | interval covers |"
    ]
    lines.append("|" + " --- |" * (len(keys) + 3))
    runs = [{"stated": STATED_MM, **one} for one in runs]
    kinds = {tuple(one[key] for key in ("how", "shift", "stated", "blur")) for one in runs}
    for kind in sorted(kinds, key=lambda kind: (*kind[:3], kind[3] or -1.0)):
        found = [one for one in runs if tuple(one[key] for key in ("how", "shift", "stated", "blur")) == kind]
        of = {key: 100 * (np.array([one["end"][key] for one in found]) - 1) for key in keys}
        sd = {key: f" +- {values.std(ddof=1):.1f}" if len(found) > 1 else "" for key, values in of.items()}
        cells = [f"{of[key].mean():+.1f}{sd[key]} %" for key in keys]
        said = [one for one in found if "covers" in one]
        half = half_percent(said)
        read = 100 * (float(np.mean([one["read"] for one in said])) - 1) if said else 0.0
        ends = (
            f"{sum(one['covers'] for one in said)} of {len(said)}, +-{half:.1f} %, mean {read:+.1f} %" if said else ""
        )
        lines.append(
            f"| {kind[0]}, {', '.join('default' if x is None else f'{x:g} mm' for x in kind[1:])} | {len(found)} | "
            + " | ".join(cells)
            + f" | {ends} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for and is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--phantom", choices=("torso", "patient"), default="torso")
    parser.add_argument("--nuclide", choices=tuple(IMAGING), default="Y-90")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--models", default="voxels,levels", help="how the lung is found")
    parser.add_argument("--shift", type=float, default=0.0, help="mm by which the CT of the reconstruction is too high")
    parser.add_argument("--stated", type=float, default=STATED_MM, help="mm of uncertainty of the CT's place")
    parser.add_argument("--scatter", type=float, default=1.0, help="scattered counts of the scan over the model's")
    parser.add_argument("--blur", type=float, help="mm left in the image; the default of `reconstruct` if not stated")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    of = asked.phantom if asked.nuclide == "Y-90" else f"{asked.phantom}-{asked.nuclide}"
    file = asked.folder / f"runs-{of}.jsonl"
    runs = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if asked.table:
        print(table([one for one in runs if one["scatter"] == asked.scatter]))
        same = [one for one in runs if not one["shift"] and one["blur"] == asked.blur and one["scatter"] == 1]
        if sum(one["how"] == "levels" for one in same) > 1:
            print(by_iterations(same))
            draw(same, asked.folder / f"spect-study-iterations-{of}.png")
        return
    phantom = (torso if asked.phantom == "torso" else patient)(asked.nuclide)
    scan = expected(asked.folder, of, phantom, asked.scatter)
    truth = Truth.of(phantom, scan.grid())
    seen = moved(phantom.hu, asked.shift)
    for seed in range(1, asked.seeds + 1):
        for how in asked.models.split(","):
            which = {"how": how, "shift": asked.shift, "scatter": asked.scatter, "blur": asked.blur, "seed": seed}
            if asked.stated != STATED_MM:
                which["stated"] = asked.stated
            if any(which == {key: one[key] for key in one if key in WHICH} for one in runs):
                continue
            runs.append({**which, **run(scan, seen, truth, phantom.camera, which)})
            with file.open("a") as out:
                out.write(json.dumps(runs[-1]) + "\n")
            print(which, f"{runs[-1]['wall_s']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
