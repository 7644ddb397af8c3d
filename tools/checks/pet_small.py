"""Hold the total of small cylinders of water against the truth: what the lines expect, and the whole reconstruction.

Run: ``python tools/checks/pet_small.py [scanner ...] [--wide 40] [--long 40] [--voxel 4] [--positrons 3000000]``; by
default Discovery ST and Biograph mCT, some minutes of a core each. A cylinder of water in the middle of the field, all
of it active, 18F without randoms. Printed for each: true coincidences counted over those that the lines expect of the
true activity, with the uncertainty of counting; and with scatter, estimated from the list, the image's total by wls
over the true one, with the time of flight where the scanner has it and without. ``--seed`` takes other lists,
``--lines-seed`` another sample of lines of the same list.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from scipy import ndimage

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.pet.efficiency import Efficiency, sensitivity
from hepatica.imaging.pet.followed import CoincidenceSimulator, Followed
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.list_mode import ListIterations
from hepatica.imaging.pet.reconstruction import FrameJob, PetModel
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import Scanner, scanner
from hepatica.imaging.spect.montecarlo.patient import Patient, patient_from_density
from hepatica.nuclides.positron_emitters import pet_nuclide

F18 = pet_nuclide("F-18")
MARGIN = 3
"""Voxels of air around the water."""


def scene(wide_mm: float, long_mm: float, voxel_mm: float, positrons: int) -> tuple[Patient, Volume]:
    """The cylinder, and decays in it that emit so many positrons."""
    across, planes = (2 * math.ceil(size / 2 / voxel_mm) + 2 * MARGIN for size in (wide_mm, long_mm))
    shape, spacing = (across, across, planes), (voxel_mm,) * 3
    first = tuple((1 - n) / 2 * voxel_mm for n in shape)
    grid = Grid.axial(shape, spacing_mm=spacing, origin_mm=(first[0], first[1], first[2]))
    x, y, z = (first[a] + voxel_mm * np.arange(shape[a]) for a in range(3))
    inside = (np.hypot(x[:, None], y[None, :]) < wide_mm / 2)[:, :, None] & (np.abs(z) < long_mm / 2)
    # A wall of one voxel of water: of bare water the positrons of its skin fly away through the air.
    walled = ndimage.binary_dilation(inside, np.ones((3, 3, 3)))
    density = Volume(grid, np.where(walled, 1.0, 1e-3).astype(np.float32), Kind.DENSITY)
    decays = inside * (positrons / F18.positron_yield / inside.sum())
    return patient_from_density(density, voxel_mm=voxel_mm), Volume(grid, decays.astype(np.float32), Kind.DECAYS)


def job_of(
    of: Scanner, seen: Followed, patient: Patient, decays: Volume, *, timed: bool, seed: int, spread_mm: float = 4.5
) -> FrameJob:
    """The reconstruction of a list whose randoms are left out."""
    frame = Frame(seen.events, np.zeros(of.crystals))
    model = PetModel(point_spread_mm=spread_mm, randoms=False, time_of_flight=timed)
    efficiency = Efficiency.modelled(of if timed else of.untimed)
    return FrameJob(frame, patient, F18, decays.grid, model, efficiency, Run(seed=seed, threads=1))


def row(of: Scanner, given: argparse.Namespace) -> str:
    """Numbers of a scanner."""
    patient, decays = scene(given.wide, given.long, given.voxel, given.positrons)
    seen = CoincidenceSimulator(of, patient, F18, run=Run(seed=given.seed, threads=1)).frame(decays, 1.0)
    trues = int((~seen.scattered).sum())
    job = job_of(of, seen, patient, decays, timed=False, seed=given.lines_seed, spread_mm=0.0)
    lines = sensitivity(job.efficiency, job.projector, job.survives, seed=given.lines_seed)
    positrons = decays.values.astype(np.float64) * F18.positron_yield
    expected = float((lines.image * positrons).sum())
    text = [f"{trues} trues, over expected {trues / expected:.4f} ± {math.sqrt(trues) / expected:.4f}"]
    for timed in (True, False) if of.time_of_flight is not None else (False,):
        job = job_of(of, seen, patient, decays, timed=timed, seed=given.lines_seed)
        image = job.image(ListIterations(8, 1, "wls"))
        total = image.activity.values.sum(dtype=np.float64) / image.solved.bq_ml * given.voxel**3 / positrons.sum()
        scatter = image.scatter / max(int(seen.scattered.sum()), 1)
        how = "time of flight" if timed else "none"
        text.append(f"{how}: image {total:.4f} ± {total / math.sqrt(trues):.4f}, scatter {scatter:.3f} of the true")
    return " | ".join(text)


def main() -> None:
    """Print a row for each scanner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scanners", nargs="*", default=["discovery_st", "biograph_mct"])
    parser.add_argument("--wide", type=float, default=40.0, help="diameter, mm")
    parser.add_argument("--long", type=float, default=40.0, help="mm")
    parser.add_argument("--voxel", type=float, default=4.0, help="mm")
    parser.add_argument("--positrons", type=int, default=3_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the list")
    parser.add_argument("--lines-seed", type=int, default=1, help="of the sample of lines")
    given = parser.parse_args()
    for name in given.scanners:
        of = scanner(name)
        print(f"{of.name} | {given.wide:g} x {given.long:g} mm | {row(of, given)}", flush=True)


if __name__ == "__main__":
    main()
