"""How right a PET is whose liver goes on beyond the field: with and without a CT that shows where it ends.

Run: ``python tools/checks/pet_beyond.py [scanner ...]``; by default Discovery ST and Biograph mCT: some minutes
on a core. A
cylinder of water 28 cm wide and 60 cm long holds a liver of 16 cm length, whose head end lies 0 to 60 mm beyond the
field of one bed, or well inside; in one case a lesion of four times its concentration lies at the last planes. 18F
without randoms, voxels of 14 mm, wls. Printed for each case: true scatter, the estimated one, and the activity found in
the planes that are seen over the true one there, first as if the activity went on (nobody knows the liver), then with
the liver's end.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.imaging.pet.acquisition.certainty import LEAST_SEEN
from hepatica.imaging.pet.efficiency import Efficiency, sensitivity
from hepatica.imaging.pet.followed import CoincidenceSimulator
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.list_mode import ListIterations
from hepatica.imaging.pet.reconstruction import FrameJob, PetModel
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import Scanner, scanner
from hepatica.imaging.spect.montecarlo.patient import Patient, patient_from_density
from hepatica.nuclides.positron_emitters import pet_nuclide

STEP, PLANES, ACROSS = 14.0, 43, 22
POSITRONS, FOLLOWED = 1_500_000, 500_000
F18 = pet_nuclide("F-18")
LIVER_MM = 160.0
CASES = {
    "inside": -30.0,
    "cut by 20 mm": 20.0,
    "cut by 31 mm": 31.0,
    "cut by 60 mm": 60.0,
    "cut by 31 mm, hot end": 31.0,
}


def main() -> None:
    """Print a row for each case."""
    for name in sys.argv[1:] or ["discovery_st", "biograph_mct"]:
        of = scanner(name)
        for case, beyond in CASES.items():
            print(f"{of.name} | {case} | {row(of, beyond, hot='hot' in case)}", flush=True)


def row(of: Scanner, beyond_mm: float, *, hot: bool) -> str:
    """Numbers of a case."""
    grid = Grid.axial(
        (ACROSS, ACROSS, PLANES), spacing_mm=(STEP,) * 3,
        origin_mm=((1 - ACROSS) / 2 * STEP,) * 2 + ((1 - PLANES) / 2 * STEP,),
    )  # fmt: skip
    x, y, z = (grid.origin_mm[a] + STEP * np.arange(grid.shape[a]) for a in range(3))
    body = np.repeat((np.hypot(x[:, None], y[None, :]) < 140)[:, :, None], PLANES, axis=2)
    # covered share of each plane, so that the liver ends where it is said to
    top = of.length_mm / 2 + beyond_mm
    part = np.clip((np.minimum(z + STEP / 2, top) - np.maximum(z - STEP / 2, top - LIVER_MM)) / STEP, 0, 1)
    liver = (np.hypot(x[:, None] + 30, y[None, :]) < 75)[:, :, None] * part
    activity = liver.copy()
    if hot:
        near = np.hypot(np.hypot(x[:, None, None] + 30, y[None, :, None]), z[None, None, :] - of.length_mm / 2) < 22
        activity[near] *= 4
    density = Volume(grid, np.where(body, 1.0, 1e-3).astype(np.float32), Kind.DENSITY)
    patient = patient_from_density(density, voxel_mm=STEP)
    decays = Volume(
        grid, (activity * (POSITRONS / activity.sum() / F18.positron_yield)).astype(np.float32), Kind.DECAYS
    )
    seen = CoincidenceSimulator(of, patient, F18, run=Run(seed=4, threads=1)).frame(decays, 1.0)
    region = Region.from_coverage("liver", grid, liver)
    found = [image(of, Frame(seen.events, np.zeros(of.crystals)), patient, grid, organ) for organ in (None, region)]
    true_scatter, text = int(seen.scattered.sum()), []
    for made, scatter, planes in found:
        truth = float(decays.values[..., planes].sum()) * F18.positron_yield
        text.append(f"scatter {scatter / true_scatter:.3f} of the true, activity {made / truth:.3f}")
    return f"{len(seen.events)} coincidences, {true_scatter} scattered | assumed: {text[0]} | CT: {text[1]}"


def image(
    of: Scanner, frame: Frame, patient: Patient, grid: Grid, organ: Region | None
) -> tuple[float, float, NDArray[np.intp]]:
    """Annihilations in the planes that are seen, estimated scatter, and those planes of the whole grid."""
    z = grid.origin_mm[2] + STEP * np.arange(PLANES)
    at = np.flatnonzero(np.abs(z) < of.length_mm / 2)
    own = grid.crop((slice(None), slice(None), slice(int(at[0]), int(at[-1]) + 1)))
    model = PetModel(randoms=False, scatter_positrons=FOLLOWED)
    if organ is not None:
        model = replace(model, organ=lambda: organ)
    job = FrameJob(frame, patient, F18, own, model, Efficiency.modelled(of), Run(threads=1))
    job.seen = sensitivity(job.efficiency, job.projector, job.survives, lines=1 << 20, within=job.body)
    made = job.image(ListIterations(8, 1, "wls"))
    mean = job.seen.image.sum(axis=(0, 1))
    good = np.flatnonzero(mean >= LEAST_SEEN * mean.max())
    held = made.activity.values[..., good].sum(dtype=np.float64) / made.solved.bq_ml * STEP**3
    return float(held), made.scatter, at[good]


if __name__ == "__main__":
    main()
