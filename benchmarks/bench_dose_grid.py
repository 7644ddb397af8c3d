"""How much the mean dose of structures depends on the voxels of the dose, of the CT and of the activity image.

``python benchmarks/bench_dose_grid.py dose`` keeps the images of a virtual patient (2 mm) and changes the dose's
voxels; ``images`` changes those of the images and compares with images of 1 mm; ``torso`` compares the default voxels
with those of the CT on the torso in the folder named by HEPATICA_DATA. Options follow: engine and decays, such as
``dose montecarlo 4e6``.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import hepatica
from hepatica.core.resample import resample
from hepatica.io.itk import read_itk
from hepatica.transport.runner.settings import StoppingOptions

SHUNT = 0.05
LIVER_BOX = np.s_[32:60, 14:48, 112:140]
"""Voxels of the CT of the torso."""
SHOWN = ("lung left", "lung right", "liver", "tumour 1", "tumour 3", "lung", "bone", "soft tissue")


def patient(spacing_mm: float) -> Any:
    """A treated virtual patient with images of these voxels."""
    return hepatica.virtual_patient(
        seed=7,
        ct=hepatica.VirtualCtOptions(spacing_mm=spacing_mm),
        treatment=hepatica.Treatment(lung_shunt=SHUNT),
    )


def show(name: str, engine: str, decays: float, shown: Sequence[Any], grid: Any, **known: Any) -> None:
    """Compute on one grid and print means, uncertainties and masses."""
    started = time.perf_counter()
    activity, ct, structures = shown
    result = hepatica.absorbed_dose(
        activity,
        ct=ct,
        nuclide="Y-90",
        structures=structures,
        engine=engine,  # type: ignore[arg-type]
        options=hepatica.DoseOptions(
            output=hepatica.OutputOptions(grid=grid),
            stopping=StoppingOptions(histories=int(decays)) if engine == "montecarlo" else StoppingOptions(),
            **known,
        ),
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}, {engine}, dose grid {grid}: {time.perf_counter() - started:.1f} s, peak {peak} MiB so far")
    for item in result.structures:
        dose = item.dose
        if dose.name in SHOWN:
            sd = dose.dose_mean_uncertainty_gy
            spread = "" if sd is None else f" +- {100 * sd / dose.dose_mean_gy:.2f} %"
            print(f"    {dose.name:12s} {dose.dose_mean_gy:10.5g} Gy{spread} in {dose.mass_g:8.2f} g", flush=True)


def torso(folder: Path) -> list[hepatica.Region]:
    """Lung, bone and soft tissue of the torso by thresholds, liver by uptake in a box chosen by hand."""
    ct, _ = read_itk(folder / "ct.nii.gz", hepatica.Kind.HU)
    measured, _ = read_itk(folder / "tia.nii.gz", hepatica.Kind.DECAYS, factor=3.6e9)
    uptake = ndimage.gaussian_filter(resample(measured, ct.grid, "total").values, 1.5)
    hu = ct.values
    body = ndimage.binary_opening(hu > -300)
    numbered, _ = ndimage.label(body)
    body = numbered == 1 + np.argmax(np.bincount(numbered.ravel())[1:])
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    box = np.zeros(hu.shape, bool)
    box[LIVER_BOX] = True
    liver = box & body & (hu > -20) & (hu < 150) & (uptake > 0.5 * np.median(uptake[box]))
    parts = {
        "lung": body & (hu > -950) & (hu < -500),
        "bone": body & (hu > 200),
        "liver": liver,
        "soft tissue": body & (hu > -150) & (hu < 150) & ~liver,
    }
    return [hepatica.Region.from_coverage(name, ct.grid, part) for name, part in parts.items()]


def main() -> None:
    """Print the table that was asked for."""
    what, *rest = sys.argv[1:] or ["dose"]
    engine, decays = rest[0] if rest else "kernel", float(rest[1]) if len(rest) > 1 else 4e6
    grids = [float(g) for g in rest[2].split(",")] if len(rest) > 2 else [1.0, 2.0, 3.0, 4.0, 4.8]
    in_image = hepatica.QuantificationOptions(lungs_in_image=True, lung_shunt=SHUNT)
    if what == "torso":
        folder = Path(os.environ["HEPATICA_DATA"]) / "torso-ct-tia"
        images = (folder / "tia.nii.gz", folder / "ct.nii.gz", torso(folder))
        for grid in ("activity", "ct"):
            show("torso", engine, decays, images, grid, images=hepatica.ImageOptions(activity_unit="MBq h"))
        return
    made = patient(2.0)
    for spacing in grids:
        if what == "images":
            made = patient(spacing)
        images = (made.emission, made.ct, made.structures)
        grid = "activity" if what == "images" else spacing
        show(f"images of {made.ct.grid.spacing_mm[0]:g} mm", engine, decays, images, grid, quantification=in_image)


if __name__ == "__main__":
    main()
