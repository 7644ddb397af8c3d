"""Bias and noise against iterations of 90Y SPECT for liver, lesions and lung, with the lung by voxels and by levels.

Run: ``python tools/spect_study_lung.py FOLDER [--seeds 10] [--shift 8] [--scatter 1.01]``. A torso: liver with lesions
of 45 mm (7 mm below the dome) and 32 mm at T/N 5, 5 % of 2.5 GBq in the lungs, 60 views, pixels of 9.6 mm. Projections
come from the Monte Carlo, part by part, once; each seed is a Poisson draw of them. FOLDER/lung.json holds the numbers,
FOLDER/spect-study-iterations.png the figure of docs/spect-study.md. About three minutes of two cores a seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample
from hepatica.imaging.reconstruct.algorithms import IterationOptions, Update
from hepatica.imaging.reconstruct.levels.options import SpectLungOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, window_sets
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.options import AcquisitionOptions, ScatterOptions
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, scan_model
from hepatica.imaging.spect.simulate import camera_grid
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions
from spect_study import START

FINE_MM, PIXEL_MM, COLUMNS, VIEWS, VIEW_S = 2.4, 9.6, 40, 60, 40.0
CAMERA, NAME, TOTAL_BQ, LUNG_SHARE, TUMOUR_TO_NORMAL = "siemens-hegp", "Y-90", 2.5e9, 0.05, 5.0
SECONDS = {"liver": 60.0, "lesion 45 mm": 40.0, "lesion 32 mm": 30.0, "lung": 60.0}
GRID = Grid.axial((150, 108, 116), spacing_mm=(FINE_MM,) * 3, origin_mm=(-178.8, -128.4, -138.0))
Mask = NDArray[np.bool_]


def torso() -> tuple[dict[str, Mask], Volume, dict[str, Mask]]:
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


def activities(parts: Mapping[str, Mask]) -> dict[str, float]:
    """Becquerels of each part."""
    weight = {key: mask.sum() * (TUMOUR_TO_NORMAL if "lesion" in key else 1.0) for key, mask in parts.items()}
    weight["lung"] = LUNG_SHARE / (1 - LUNG_SHARE) * sum(w for key, w in weight.items() if key != "lung")
    return {key: float(TOTAL_BQ * w / sum(weight.values())) for key, w in weight.items()}


def expected(folder: Path, parts: Mapping[str, Mask], hu: Volume, scatter: float) -> Projections:
    """Expected counts of the scan, with scattered counts times a factor."""
    half = VIEWS // 2
    angles = np.concatenate([h * 180.0 + np.arange(half) * 360.0 / VIEWS for h in range(2)])
    grid = camera_grid(GRID, pixel_mm=PIXEL_MM, columns=COLUMNS)
    window = window_sets(nuclide(NAME))[0].peaks[:1]
    setup = SpectSetup(CAMERA, nuclide(NAME), Orbit(angles, np.full(VIEWS, 210.0)), window, grid)
    projector = MonteCarloProjector(hu, setup)
    counts = np.zeros((1, VIEWS, COLUMNS, grid.shape[2]), dtype=np.float32)
    for key, becquerels in activities(parts).items():
        stored = folder / f"expected-{key.replace(' ', '-')}.npz"
        if not stored.exists():
            source = Volume(GRID, (parts[key] / parts[key].sum()).astype(np.float32), Kind.ACTIVITY, START)
            rules = ProjectionSettings(target_uncertainty=0.002, time_limit_s=SECONDS[key], seed=77)
            found = projector.project(source, rules)
            np.savez(stored, primary=found.primary, other=found.other)
        with np.load(stored) as kept:
            counts += np.float32(becquerels * VIEW_S) * (kept["primary"] + np.float32(scatter) * kept["other"])
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    axis = (float(middle[0]), float(middle[1]), float(grid.origin_mm[2]))
    made = Projections(
        counts, setup.orbit, window, (PIXEL_MM, PIXEL_MM), VIEW_S, axis_mm=axis, start=START, nuclide=NAME,
        frame_of_reference=grid.frame_of_reference, view_start_s=np.tile(np.arange(half) * VIEW_S, 2),
    )  # fmt: skip
    decay = made.mean_activity(nuclide(NAME).half_life_s).astype(np.float32)
    return replace(made, counts=made.counts * decay[None, :, None, None])


def moved(hu: Volume, shift_mm: float) -> Volume:
    """The CT, so many millimetres too high."""
    affine = GRID.affine.copy()
    affine[2, 3] += shift_mm
    return replace(hu, grid=replace(GRID, affine=affine))


def run(
    scan: Projections, hu: Volume, truth: Volume, regions: Mapping[str, Any], how: str, seed: int
) -> dict[str, Any]:
    """Ratios to the truth and noise after every iteration, and what is said of the lung at the end."""
    noisy = np.random.default_rng(seed).poisson(scan.counts).astype(np.float32)
    rules = StoppingOptions(target_uncertainty=0.06, seed=1000 * seed)
    options = SpectOptions(
        acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"), iteration=IterationOptions(iterations=20),
        scatter=ScatterOptions(scatter="mc", stopping=rules), lung=SpectLungOptions(lung_model=how),
    )  # fmt: skip
    model = scan_model(replace(scan, counts=noisy), hu, gamma_camera(CAMERA), nuclide(NAME), options)
    inside = regions["liver"] > 0.99

    def measured(image: NDArray[np.float32]) -> dict[str, float]:
        ratios = {key: float((image * w).sum() / (truth.values * w).sum()) for key, w in regions.items()}
        spread = float((image[inside] / truth.values[inside]).std())
        return {**ratios, "total": float(image.sum() / truth.total), "noise of liver voxels": spread}

    rows: dict[int, dict[str, float]] = {}

    def after(update: Update) -> None:
        if update.subset == update.subsets:
            rows[update.iteration] = measured(update.image)

    found = reconstruct_scan(model, options, on_update=after)
    true = TOTAL_BQ * LUNG_SHARE / (float(regions["lung"].sum()) * truth.grid.voxel_volume_ml)
    said = {} if found.lung is None else {
        "read": found.lung.mean.value / true, "relative_sd": found.lung.mean.relative_sd,
        "covers": found.lung.interval_95[0] <= true <= found.lung.interval_95[1],
    }  # fmt: skip
    return {"iterations": rows, "end": measured(found.reconstruction.image), **said}


def draw(results: Mapping[str, list[dict[str, Any]]], file: Path) -> None:
    """Bias of liver, lesions and lung, and noise of liver voxels, against iterations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    bias, noise = figure.subplots(1, 2)
    shown = ("liver", "lesion 45 mm", "lesion 32 mm", "lung", "lung beyond 2 cm")
    for how, style in (("voxels", ":"), ("levels", "-")):
        runs = results[how]
        numbers = sorted((n for n in runs[0]["iterations"] if int(n) >= 4), key=int)
        steps = [int(n) for n in numbers]
        for colour, key in enumerate(shown):
            mean = [100 * (np.mean([one["iterations"][n][key] for one in runs]) - 1) for n in numbers]
            bias.plot(steps, mean, style, color=f"C{colour}", label=f"{key}, {how}")
        spread = [100 * np.mean([one["iterations"][n]["noise of liver voxels"] for one in runs]) for n in numbers]
        noise.plot(steps, spread, style, color="k", label=how)
    bias.set_ylim(-35, 35)
    for axes, text in ((bias, "difference to the truth, %"), (noise, "spread of liver voxels, %")):
        axes.set(xlabel="iterations", ylabel=text)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6, ncols=2, loc="upper right")
    figure.savefig(file, dpi=120)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shift", type=float, default=0.0, help="mm by which the CT of the reconstruction is too high")
    parser.add_argument("--scatter", type=float, default=1.0, help="scattered counts of the scan over the model's")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    parts, hu, masks = torso()
    scan = expected(asked.folder, parts, hu, asked.scatter)
    grid = scan.grid()
    true = sum(becquerels * parts[key] / parts[key].sum() for key, becquerels in activities(parts).items())
    truth = resample(Volume(GRID, np.asarray(true, np.float32), Kind.ACTIVITY, START), grid, "total")
    regions = {
        key: resample(Volume(GRID, mask.astype(np.float32), Kind.UNKNOWN), grid, "mean").values.astype(np.float64)
        for key, mask in masks.items()
    }
    seen = moved(hu, asked.shift)
    results = {
        how: [run(scan, seen, truth, regions, how, seed) for seed in range(1, asked.seeds + 1)]
        for how in ("voxels", "levels")
    }
    (asked.folder / "lung.json").write_text(json.dumps(results, indent=1))
    draw(results, asked.folder / "spect-study-iterations.png")


if __name__ == "__main__":
    main()
