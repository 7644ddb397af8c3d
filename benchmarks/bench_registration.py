"""Registration where the motion is known, and of real images: errors, uncertainty against error, time.

Run as ``python benchmarks/bench_registration.py [--deformable] [--large] [--gates FOLDER] [--seeds 7 8 9]
[--breath 12]``. The folder of ``--gates`` holds ``CTAC_g1.hv`` and ``CTAC_g2.hv``, two respiratory gates.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from hepatica.anatomy.registration.landmarks import closed_form
from hepatica.anatomy.registration.register import register_volumes
from hepatica.anatomy.registration.settings import Model, RegistrationOptions
from hepatica.core import Grid, Kind, Volume
from hepatica.core.image import Stated
from hepatica.core.transform import Transform
from registration_truth import Scene, scene


def virtual(seeds: list[int], breath_mm: float, models: tuple[Model, ...]) -> None:
    """Errors in the liver of virtual patients, and what the registration says of its own uncertainty."""
    print(f"virtual patients, breath of {breath_mm:g} mm, arms and couch in the moving image; mm in the liver")
    print("image seed model       mean   95 %  rms x    y    z   said x    y    z  inverse Jacobian     s")
    ratios = []
    for kind in ("ct", "mr"):
        for seed in seeds:
            made = scene(seed=seed, moving=kind, breath_mm=breath_mm)
            before = np.linalg.norm(made.error_mm(Transform()), axis=1).mean()
            print(f"{kind:5} {seed:4d} {'headers':10} {before:5.2f}")
            print(f"{kind:5} {seed:4d} {'best rigid':10} {best_rigid_mm(made):5.2f}")
            ratios.extend(one(made, kind, seed, model) for model in models)
    print(f"error over uncertainty, root mean square over all: {np.sqrt(np.mean(np.square(ratios))):.2f}")


def best_rigid_mm(made: Scene) -> float:
    """Mean error of the rigid transform nearest to the truth: no rigid registration can be better."""
    points = made.points_mm()
    matrix, _ = closed_form(points, made.true.points_mm(points), scaled=False)
    return float(np.linalg.norm(made.error_mm(Transform.affine(matrix)), axis=1).mean())


def one(made: Scene, kind: str, seed: int, model: Model) -> float:
    """Print one registration; error over its uncertainty."""
    start = time.process_time()
    found = register_volumes(made.fixed, made.moving, RegistrationOptions(model=model), within=made.region())
    busy = time.process_time() - start
    error = made.error_mm(found.transform)
    length, rms = np.linalg.norm(error, axis=1), np.sqrt((error**2).mean(axis=0))
    said = (np.nan,) * 3 if found.uncertainty is None else found.uncertainty.per_axis_mm
    back = np.nan if found.inverse is None else found.inverse.mean_mm
    numbers = " ".join(f"{n:4.2f}" for n in (*rms, *said))
    print(
        f"{kind:5} {seed:4d} {model:10} {length.mean():5.2f} {np.percentile(length, 95):6.2f}  {numbers}  {back:7.2f} "
        f"{found.volumes.lowest:.2f}-{found.volumes.highest:.2f} {busy:5.1f}",
        flush=True,
    )
    return float(np.linalg.norm(rms) / np.linalg.norm(said))


def large(shape: tuple[int, int, int] = (512, 512, 300)) -> None:
    """Time of a rigid registration of two CTs of 512 x 512 x 300."""
    made = scene(seed=7)
    spacing = np.asarray(made.fixed.grid.shape) * made.fixed.grid.spacing_mm / shape
    grid = made.fixed.grid.with_spacing(spacing.tolist())
    from hepatica.core.resample import resample

    fixed = resample(made.fixed, grid, "linear", outside=-1000.0)
    turn = np.eye(4)
    turn[:3, 3] = (7.0, -5.0, 20.0)
    moved = Grid(grid.shape, turn @ grid.affine)
    moving = Volume(moved, fixed.values + np.float32(3), Kind.HU)
    for checks in (False, True):
        start = time.process_time()
        found = register_volumes(fixed, moving, RegistrationOptions(checks=checks))
        busy = time.process_time() - start
        missed = np.abs(found.transform.matrix - turn).max()
        print(f"{grid.shape}: {busy:.1f} s of one processor, checks {checks}, off by {missed:.3f} mm")


def gates(folder: Path, models: tuple[Model, ...]) -> None:
    """Likeness before and after, Jacobian and inverse consistency of two real respiratory gates; no truth is known."""
    from hepatica.io.interfile.images import read_interfile_image

    first, second = (
        read_interfile_image(folder / f"CTAC_g{n}.hv", stated=Stated(unit="unknown")).volume for n in (1, 2)
    )
    for model in models:
        found = register_volumes(first, second, RegistrationOptions(model=model))
        back = np.nan if found.inverse is None else found.inverse.mean_mm
        print(
            f"gates, {model}: likeness {found.similarity_before} before, {found.similarity_after} after, Jacobian "
            f"{found.volumes.lowest:.2f} to {found.volumes.highest:.2f}, inverse consistency {back:.2f} mm, "
            f"{[m.code for m in found.messages]}"
        )


def main() -> None:
    """Print errors and times."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    reader.add_argument("--breath", type=float, default=12.0)
    reader.add_argument("--deformable", action="store_true")
    reader.add_argument("--large", action="store_true")
    reader.add_argument("--gates", type=Path)
    stated = reader.parse_args()
    models: tuple[Model, ...] = ("rigid", "affine", "deformable") if stated.deformable else ("rigid", "affine")
    virtual(stated.seeds, stated.breath, models)
    if stated.large:
        large()
    if stated.gates is not None:
        gates(stated.gates, models)


if __name__ == "__main__":
    main()
