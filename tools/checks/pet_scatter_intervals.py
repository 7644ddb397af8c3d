"""Count how many stated 95 % intervals of cold regions hold the truth, scatter estimated from each list itself.

Run: ``python tools/checks/pet_scatter_intervals.py [lists] [scanner] [tof|plain] [seed] [million positrons]``; by
default 20
of Biograph mCT, 2 million positrons each. A cylinder of water 28 cm wide and long with an empty rod of water and one of
lung (48 mm radius), 18F, voxels of 14 mm; each list is followed anew, and reconstructed by wls with its own estimate of
scatter (a quarter as many positrons, 4 million at most). Printed of each region, the last is all that the planes hold
that are seen well: mean over the background's truth (of all: over its own), its spread, stated uncertainty of counting,
of scatter, and how many intervals of both, and of counting alone, hold the truth; before it, how many coincidences.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.imaging.pet.acquisition.certainty import Beds, SolvedBed, how_sure
from hepatica.imaging.pet.acquisition.options import PetIterationOptions, PetOptions
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration
from hepatica.imaging.pet.efficiency import Efficiency, sensitivity
from hepatica.imaging.pet.followed import CoincidenceSimulator
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.list_mode import ListIterations
from hepatica.imaging.pet.reconstruction import FrameJob, PetModel
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import scanner
from hepatica.imaging.spect.montecarlo.patient import Patient, patient_from_density
from hepatica.nuclides.positron_emitters import pet_nuclide

STEP, ACROSS, PLANES = 14.0, 22, 24
FOLLOWED = 4_000_000
"""For an estimate of scatter at most."""
NORMAL_95 = 1.959964
TOLD = 2
"""Lists after which what is there is printed."""
WHOLE = "seen planes"
F18 = pet_nuclide("F-18")
RODS = {"cold rod": (60.0, 0.0, 1.0), "lung": (-60.0, 0.0, 0.3)}
"""Place across, and density, g/mL."""
ROD_MM, CORE_MM, WITHIN_MM = 48.0, 26.0, 60.0


def scene() -> tuple[Grid, Patient, np.ndarray, dict[str, np.ndarray]]:
    """Grid, matter, where activity is, and cores of the regions."""
    grid = Grid.axial(
        (ACROSS, ACROSS, PLANES), spacing_mm=(STEP,) * 3,
        origin_mm=((1 - ACROSS) / 2 * STEP,) * 2 + ((1 - PLANES) / 2 * STEP,),
    )  # fmt: skip
    x, y, z = np.meshgrid(
        *[o + STEP * np.arange(n) for o, n in zip(grid.origin_mm, grid.shape, strict=True)], indexing="ij"
    )
    body = (np.hypot(x, y) < 140) & (abs(z) < 140)
    density, active, cores = np.where(body, 1.0, 1e-3), body.copy(), {}
    for name, (across, up, dense) in RODS.items():
        away = np.hypot(x - across, y - up)
        density[(away < ROD_MM) & body] = dense
        active &= away >= ROD_MM
        cores[name] = (away < CORE_MM) & (abs(z) < WITHIN_MM)
    cores["background"] = active & (np.hypot(x, y) < 100) & (abs(z) < WITHIN_MM)
    patient = patient_from_density(Volume(grid, density.astype(np.float32), Kind.DENSITY), voxel_mm=STEP)
    return grid, patient, active, cores


def main() -> None:
    """Print a row for each region."""
    lists = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    of = scanner(sys.argv[2] if len(sys.argv) > 2 else "biograph_mct")
    timed = len(sys.argv) < 4 or sys.argv[3] == "tof"
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    positrons = int(1e6 * (float(sys.argv[5]) if len(sys.argv) > 5 else 2))
    grid, patient, active, cores = scene()
    z = grid.origin_mm[2] + STEP * np.arange(PLANES)
    at = np.flatnonzero(np.abs(z) < of.length_mm / 2)
    window = (slice(None), slice(None), slice(int(at[0]), int(at[-1]) + 1))
    own, level = grid.crop(window), positrons / active.sum()
    decays = Volume(grid, (active * (level / F18.positron_yield)).astype(np.float32), Kind.DECAYS)
    regions = [Region.from_coverage(name, own, core[window].astype(float)) for name, core in cores.items()]
    seen, found = None, []
    for n in range(first, first + lists):
        counted = CoincidenceSimulator(of, patient, F18, run=Run(seed=n, threads=1)).frame(decays, 1.0)
        model = PetModel(randoms=False, scatter_positrons=min(positrons // 4, FOLLOWED), time_of_flight=timed)
        used = of if timed else of.untimed
        job = FrameJob(
            Frame(counted.events, np.zeros(of.crystals)), patient, F18, own, model, Efficiency.modelled(used),
            Run(seed=5000 + n, threads=1),
        )  # fmt: skip
        if seen is None:
            seen = sensitivity(job.efficiency, job.projector, job.survives, lines=1 << 22, within=job.body)
        job.seen = seen
        image = job.image(ListIterations(8, 1, "wls"))
        whole = Beds(own, (SolvedBed(image, (slice(None),) * 3, 1.0, 1.0),), 0.0)
        options = PetOptions(iteration=PetIterationOptions(method="wls"))
        planes = whole.seen_planes()
        held = np.zeros(own.shape)
        held[..., planes] = 1.0
        regions[len(cores) :] = [Region.from_coverage(WHOLE, own, held)]
        share = float(active[window][..., planes].mean())
        sure = how_sure(whole, image.activity, regions, CrossCalibration(1.0, ()), options, simulated=True)
        truth = level / STEP**3 * image.solved.bq_ml
        print(f"list {n}: {image.prompts} coincidences, scatter {image.scatter / counted.scattered.sum():.3f} of true")
        found.append(
            [
                tuple(
                    (value or 0.0) / truth / (share if one.name == WHOLE else 1.0)
                    for value in (
                        one.concentration_mean_bq_ml,
                        (one.counting_sd_mbq or 0.0) * 1e6 / one.volume_ml,
                        (one.scatter_sd_mbq or 0.0) * 1e6 / one.volume_ml,
                    )
                )
                for one in sure.contents
            ]
        )
        if len(found) % TOLD == 0 or n == first + lists - 1:
            tell(f"{of.name} {'TOF' if timed else 'plain'}", [*cores, WHOLE], np.array(found))


def tell(name: str, regions: list[str], values: NDArray[np.float64]) -> None:
    """Print what is there so far."""
    lists = len(values)
    for n, region in enumerate(regions):
        mean, counting, scatter = values[:, n].T
        error = mean - (1.0 if region in ("background", WHOLE) else 0.0)
        spread = mean.std(ddof=1) if lists > 1 else np.nan
        both = (np.abs(error) < NORMAL_95 * np.hypot(counting, scatter)).mean()
        alone = (np.abs(error) < NORMAL_95 * counting).mean()
        print(
            f"{name} | {region} | mean {mean.mean():+.3f} | spread {spread:.3f} | counting "
            f"{counting.mean():.3f} | scatter {scatter.mean():.3f} | hold the truth {100 * both:.0f} %, of counting "
            f"alone {100 * alone:.0f} % of {lists}",
            flush=True,
        )


if __name__ == "__main__":
    main()
