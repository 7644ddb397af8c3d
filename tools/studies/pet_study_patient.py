"""The virtual patient's part of `pet_study.py`: dose by PET beside the truth, and by SPECT where it was made.

SPECT comes from ``python tools/studies/spect_study.py FOLDER/spect --nuclides Y-90 --objects patient`` (some minutes),
which images the same patient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Kind, Region, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.resample import resample, resample_region
from hepatica.dosimetry.engines.registry import DoseSettings, dose_engine
from hepatica.imaging.pet.list_mode import reconstruct_list
from hepatica.imaging.pet.scanner import Scanner
from hepatica.nuclides import nuclide
from hepatica.transport.matter.media import density_from_hu
from pet_study import FRAME_S, METHODS, Asked, Imager, decay_share, drawn_frame, patient_scene, study_patient
from spect_study import dvh_curve, grid_of
from spect_study import patient_scene as spect_scene

GBQ = 2.0
FILTER_MM = 5.0
SPECT = {"mc": "SPECT, Monte Carlo", "none": "SPECT, plain"}


def run_patient(folder: Path, of: Scanner, asked: Asked) -> dict[str, Any]:
    """PET at 2 GBq and SPECT: doses and histograms over the true mean dose of each region."""
    images = {**pet_images(folder, of, asked), **spect_images(folder)}
    scene = patient_scene()
    found: dict[str, Any] = {}
    for name, image in images.items():
        truth = resample(scene.activity, image.grid, "total")
        bq_ml = truth.values * np.float32(GBQ * 1e9 / image.grid.voxel_volume_ml)
        truth = truth.with_values(bq_ml, Kind.ACTIVITY_CONCENTRATION)
        true_dose, dose = dose_of(truth), dose_of(image)
        for key, region in scene.regions.items():
            add_row(found.setdefault(key, {}), name, resample_region(region, image.grid), true_dose, dose)
    return found


def add_row(row: dict[str, Any], name: str, region: Region, true_dose: Volume, dose: Volume) -> None:
    """Mean dose of a region over the true one, spread of its voxels, and the histogram."""
    mean = region.mean(true_dose)
    row.setdefault("true Gy", mean)
    of_truth = {"mean": 1.0, "spread": spread_in(true_dose, region), "dvh": dvh_curve(true_dose, region, mean)}
    row.setdefault("truth", of_truth)
    shown = {"mean": region.mean(dose) / mean, "spread": spread_in(dose, region)}
    row[name] = {**shown, "dvh": dvh_curve(dose, region, mean)}


def spread_in(volume: Volume, region: Region) -> float:
    """Standard deviation of the voxels that lie wholly in a region, over their mean."""
    values = volume.values[region.window][region.coverage > 0.99].astype(np.float64)
    return float(values.std() / values.mean())


def dose_of(concentration: Volume) -> Volume:
    """Absorbed dose of all decays where the activity is, voxels below zero kept: dose is linear in activity."""
    chosen = nuclide("Y-90")
    decays = concentration.values * np.float32(concentration.grid.voxel_volume_ml * chosen.half_life_s / np.log(2))
    density = resample(density_from_hu(study_patient().hu), concentration.grid, "mean")
    made = concentration.with_values(decays, Kind.DECAYS)
    return dose_engine("local").compute(made, density, chosen, DoseSettings(negatives="keep")).dose


def pet_images(folder: Path, of: Scanner, asked: Asked) -> dict[str, Volume]:
    """PET of one bed, Bq/mL of 2 GBq, as it is and behind a filter of 5 mm."""
    names = [name for name in METHODS if name in asked.methods or _file(folder, name).exists()]
    missing = [name for name in names if not _file(folder, name).exists()]
    if missing:
        make(folder, of, missing)
    grid, found = patient_scene().grid, {}
    for name in names:
        values = np.load(_file(folder, name))
        found[f"PET, {name}"] = Volume(grid, values, Kind.ACTIVITY_CONCENTRATION)
    for name in names:
        filtered = smoothed(np.load(_file(folder, name)), grid.spacing_mm)
        found[f"PET, {name}, filtered"] = Volume(grid, filtered, Kind.ACTIVITY_CONCENTRATION)
    return found


def smoothed(values: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """An image behind a Gaussian filter."""
    from scipy.ndimage import gaussian_filter

    sd = [FILTER_MM / FWHM_PER_SD / step for step in spacing_mm]
    return np.asarray(gaussian_filter(values.astype(np.float64), sd), np.float32)


def make(folder: Path, of: Scanner, methods: list[str]) -> None:
    """Images of one list by some methods, each into its file."""
    imager = Imager(folder, "patient", of)
    positrons = GBQ * 1e9 * nuclide("Y-90").positron_yield * FRAME_S * decay_share(FRAME_S)
    frame = drawn_frame(imager.pool, positrons, FRAME_S, 300)
    data = imager.data(frame, positrons / imager.pool.positrons, methods)
    print("patient:", {k: frame.number(n) for n, k in enumerate(("trues", "scattered", "randoms"))}, flush=True)
    for name in methods:
        image = reconstruct_list(data, imager.projector, METHODS[name], within=imager.body)
        # annihilations per mm^3 to Bq/mL of 2 GBq
        np.save(_file(folder, name), image * np.float32(1000 * GBQ * 1e9 / positrons))


def _file(folder: Path, name: str) -> Path:
    return folder / f"patient-{name}.npy"


def spect_images(folder: Path) -> dict[str, Volume]:
    """SPECT of the same patient, scaled to 2 GBq by the activity that its study gave; nothing where it was not made."""
    from spect_study import IMAGING

    found: dict[str, Volume] = {}
    for method, name in SPECT.items():
        stored = folder / "spect" / "patient" / "Y-90" / f"{method}-1.npz"
        if stored.exists():
            grid = grid_of(spect_scene(study_patient()))
            with np.load(stored) as kept:
                values = kept["image"] * np.float32(GBQ * 1e3 / IMAGING["Y-90"].patient_mbq)
            found[name] = Volume(grid, values, Kind.ACTIVITY_CONCENTRATION)
    return found
