"""The virtual patient's part of `pet_study.py`: dose by PET beside the truth, and by SPECT where it was made.

SPECT comes from ``python tools/spect_study.py FOLDER/spect --nuclides Y-90 --objects patient`` (the better part of an
hour), which images the same patient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import Kind, Volume
from hepatica.core.resample import resample, resample_region
from hepatica.imaging.pet.list_mode import reconstruct_list
from hepatica.imaging.pet.scanner import Scanner
from hepatica.nuclides import nuclide
from pet_study import FRAME_S, METHODS, Imager, decay_share, drawn_frame, patient_scene, study_patient
from spect_study import dose_of, dvh_curve, grid_of, mean_in
from spect_study import patient_scene as spect_scene

GBQ = 2.0
SPECT = {"mc": "SPECT, Monte Carlo", "none": "SPECT, plain"}


def run_patient(folder: Path, of: Scanner) -> dict[str, Any]:
    """PET by two methods at 2 GBq, and SPECT: doses and histograms over the true mean dose of each region."""
    images = {**pet_images(folder, of), **spect_images(folder)}
    made = study_patient()
    scene = patient_scene()
    found: dict[str, Any] = {}
    for name, image in images.items():
        truth = resample(scene.activity, image.grid, "total")
        bq_ml = truth.values * np.float32(GBQ * 1e9 / image.grid.voxel_volume_ml)
        truth = truth.with_values(bq_ml, Kind.ACTIVITY_CONCENTRATION)
        here = {key: resample_region(region, image.grid) for key, region in scene.regions.items()}
        true_dose, dose = dose_of(truth, made.hu, "Y-90"), dose_of(image, made.hu, "Y-90")
        for key, region in here.items():
            mean = mean_in(true_dose, region)
            row = found.setdefault(key, {})
            row["true Gy"] = mean
            # a dose has no negative voxels, a mean of activity needs them
            share = mean_in(image, region) / mean_in(truth, region)
            row[name] = {"mean": share, "dvh": dvh_curve(dose, region, mean)}
            row.setdefault("truth", {"mean": 1.0, "dvh": dvh_curve(true_dose, region, mean)})
    return found


def pet_images(folder: Path, of: Scanner) -> dict[str, Volume]:
    """PET of one bed, Bq/mL of 2 GBq."""
    stored = {name: folder / f"patient-{name}.npy" for name in ("OSEM", "WLS")}
    if all(file.exists() for file in stored.values()):
        grid = patient_scene().grid
        return {f"PET, {n}": Volume(grid, np.load(f), Kind.ACTIVITY_CONCENTRATION) for n, f in stored.items()}
    imager = Imager(folder, "patient", of)
    positrons = GBQ * 1e9 * nuclide("Y-90").positron_yield * FRAME_S * decay_share(FRAME_S)
    frame = drawn_frame(imager.pool, positrons, FRAME_S, 300)
    data = imager.data(frame, positrons / imager.pool.positrons)
    print("patient:", {k: frame.number(n) for n, k in enumerate(("trues", "scattered", "randoms"))}, flush=True)
    found = {}
    for name in ("OSEM", "WLS"):
        image = reconstruct_list(data, imager.projector, METHODS[name], within=imager.body)
        # annihilations per mm^3 to Bq/mL of 2 GBq
        values = image * np.float32(1000 * GBQ * 1e9 / positrons)
        found[f"PET, {name}"] = Volume(imager.scene.grid, values, Kind.ACTIVITY_CONCENTRATION)
        np.save(stored[name], values)
    return found


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
