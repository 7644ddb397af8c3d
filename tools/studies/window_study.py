"""What two or three geometries of a calibration can tell, lead or energy window: numbers in docs/calibration.md.

A ball of water of 3 cm in air at 10 and 40 cm, a cylinder of 20 cm by 20 cm and a ball of 20 cm at 13 cm are simulated
through holes and through lead, in the window and in one that lies 2 % lower, with the same histories. Printed are the
changes of what is counted, by 30 % more lead and by pulses that are 2 % too high, and from them how well three
geometries would tell both with 1 % on each count (least squares, the efficiency free), and what 2 % are taken for by
two.

Run: ``python tools/studies/window_study.py CAMERA NUCLIDE``, for instance ``siemens-hegp Y-90``; two minutes.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.phantoms.objects import grid_around, water_cylinder
from hepatica.anatomy.phantoms.solids import Ball, sampled
from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import Nuclide, nuclide

GAIN, LEAD, COUNTED_SD, HISTORIES, VIEWS = 1.02, 1.3, 0.01, 100_000, 4
FIELD = Grid.axial((54, 54, 42), spacing_mm=(9.6,) * 3, origin_mm=(-254.4, -254.4, -196.8))


def ball(diameter_mm: float, voxel_mm: float) -> tuple[Volume, Volume]:
    """HU of a ball of water in air, and a becquerel in it."""
    grid = grid_around((max(diameter_mm + 20, 100),) * 3, spacing_mm=(voxel_mm,) * 3)
    region = sampled("ball", Ball((0.0, 0.0, 0.0), diameter_mm), grid)
    share = np.zeros(grid.shape, np.float32)
    share[region.window] = region.coverage
    hu = Volume(grid, (1000 * share - 1000).astype(np.float32), Kind.HU)
    return hu, Volume(grid, share / share.sum(), Kind.ACTIVITY)


def cylinder() -> tuple[Volume, Volume]:
    """HU of a cylinder of 20 cm, and a becquerel in it."""
    made = water_cylinder(grid_around((240.0,) * 3, spacing_mm=(5.0,) * 3))
    activity = made.activity({"cylinder": 1.0}, time=None)
    return made.hu, activity.with_values((activity.values / activity.total).astype(np.float32))


def counted(
    what: tuple[Volume, Volume], radius_mm: float, voxel_mm: float, camera: GammaCamera, emitter: Nuclide
) -> NDArray[np.float64]:
    """Counts per second and MBq, shape (holes and lead, windows)."""
    window = nuclide_windows(emitter)[0][0]
    windows = (window, Window(window.low_kev / GAIN, window.high_kev / GAIN))
    response = detector_response(camera)
    none = np.zeros_like(response.through)
    found = []
    for part in (replace(response, through=none), replace(response, geometric=none)):
        setup = SpectSetup(camera, emitter, Orbit.circular(VIEWS, radius_mm=radius_mm), windows, FIELD, part)
        run = MonteCarloProjector(what[0], setup, voxel_mm=voxel_mm)
        one = run.project(what[1], ProjectionSettings(histories=HISTORIES, seed=3))
        found.append((one.primary + one.other).reshape(len(windows), -1).sum(axis=1, dtype=np.float64))
    return 1e6 * np.array(found) / VIEWS


def main(camera: str, emitter: str) -> None:
    """Print counts, their changes, and what they tell."""
    geometries = {
        "near": (ball(30, 2.0), 100.0, 2.0),
        "far": (ball(30, 2.0), 400.0, 2.0),
        "cylinder": (cylinder(), 130.0, 5.0),
        "ball of 20 cm": (ball(200, 5.0), 130.0, 5.0),
    }
    changes, counts = {}, {}
    for name, (what, radius, voxel) in geometries.items():
        holes, lead = counted(what, radius, voxel, gamma_camera(camera), nuclide(emitter))
        counts[name] = holes, lead
        total = holes[0] + lead[0]
        changes[name] = np.log([(holes[0] + LEAD * lead[0]) / total, (holes[1] + lead[1]) / total])
        print(
            f"{name}: {holes[0]:.3f} through holes, {lead[0]:.3f} through lead ({lead[0] / total:.2f}); lead x {LEAD}: "
            f"{changes[name][0]:+.2%}, pulses x {GAIN}: {changes[name][1]:+.2%} "
            f"(holes {holes[1] / holes[0] - 1:+.1%}, lead {lead[1] / lead[0] - 1:+.1%})"
        )
    for water in ("cylinder", "ball of 20 cm"):
        # Rows are ratios to the near ball, which the efficiency is not in; noise of the near ball is in both.
        jacobian = np.array([changes[name] - changes["near"] for name in ("far", water)])
        covariance = COUNTED_SD**2 * (np.eye(2) + 1)
        inverse = np.linalg.inv(jacobian)
        sd = np.sqrt(np.diag(inverse @ covariance @ inverse.T))
        print(
            f"near, far and {water}: condition {np.linalg.cond(jacobian):.0f}; with {COUNTED_SD:.0%} on each, lead "
            f"+-{sd[0] * (LEAD - 1):.0%}, pulse height +-{sd[1] * (GAIN - 1):.1%}"
        )
    for second in ("far", "cylinder", "ball of 20 cm"):
        lead, pulses = changes[second] - changes["near"]
        print(
            f"near and {second}: pulses x {GAIN} are taken for lead x {1 + pulses / lead * (LEAD - 1):.2f}; with "
            f"{COUNTED_SD:.0%} on each, lead alone +-{abs(np.sqrt(2) * COUNTED_SD / lead) * (LEAD - 1):.0%}"
        )
    # Efficiency, and efficiency times lead, by which the model in the window has the counts of the other one.
    model = np.array([[part[0] for part in counts[name]] for name in ("near", "far")])
    fit = np.linalg.solve(model, [sum(part[1] for part in counts[name]) for name in ("near", "far")])
    for water in ("cylinder", "ball of 20 cm"):
        holes, lead = counts[water]
        by_fit = fit @ (holes[0], lead[0]) / (holes[1] + lead[1]) - 1
        print(
            f"pulses x {GAIN}, fitted by near and far: counts of {water} {by_fit:+.2%}, efficiency of holes "
            f"{fit[0] * counts['near'][0][0] / counts['near'][0][1] - 1:+.2%}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
