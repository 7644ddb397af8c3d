"""Deformable registration of a CT with known fields, beside SimpleITK's symmetric demons in the same run.

Run as ``python benchmarks/bench_deformable.py CT.nii.gz [--demons]``; errors in mm in the moving part of the body.
Real respiratory gates: ``bench_registration.py --deformable --gates FOLDER``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.anatomy.registration.deformable.deform import bend
from hepatica.core import Grid, Kind, Volume
from hepatica.core.transform import Transform

Array = NDArray[Any]


def field_mm(grid: Grid, peak_mm: float, widths_mm: tuple[float, float, float]) -> Array:
    """A smooth bump towards the feet with a third of it to the front, LPS."""
    centre = grid.to_mm(np.asarray(grid.shape) * (0.36, 0.5, 0.67))
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    bump = np.exp(-0.5 * (((points - centre) / widths_mm) ** 2).sum(axis=-1))
    return np.stack([0 * bump, -peak_mm / 3 * bump, peak_mm * bump], axis=-1)


def moved(ct: Volume, field: Array) -> Array:
    """The CT looked up, by cubic splines, where the field points."""
    points = ct.grid.to_mm(np.moveaxis(np.indices(ct.grid.shape), 0, -1)) + field
    index = np.moveaxis(ct.grid.to_index(points), -1, 0)
    return np.asarray(ndimage.map_coordinates(ct.values, index, order=3, mode="nearest"))


def demons(fixed: Array, moving: Array, grid: Grid) -> Array:
    """Displacements (index axes, mm) of symmetric diffeomorphic-like demons on three levels, by SimpleITK."""
    import SimpleITK as sitk  # noqa: N813

    images = [
        sitk.GetImageFromArray(np.clip(a, -1000, 1000).astype(np.float32).transpose(2, 1, 0)) for a in (fixed, moving)
    ]
    for image in images:
        image.SetSpacing(grid.spacing_mm)
    found = None
    for shrink in (4, 2, 1):
        small = [
            sitk.Shrink(sitk.SmoothingRecursiveGaussian(i, 0.5 * shrink * min(grid.spacing_mm)), [shrink] * 3)
            for i in images
        ]
        demon = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demon.SetNumberOfIterations(60)
        demon.SetStandardDeviations(1.5)
        start = None if found is None else sitk.Resample(found, small[0])
        found = demon.Execute(*small) if start is None else demon.Execute(*small, start)
    return sitk.GetArrayFromImage(found).transpose(2, 1, 0, 3)


def main() -> None:
    """Print errors and times."""
    from hepatica.io.itk import read_itk

    reader = argparse.ArgumentParser()
    reader.add_argument("ct", type=Path)
    reader.add_argument("--demons", action="store_true")
    stated = reader.parse_args()
    ct, _ = read_itk(stated.ct, Kind.HU)
    body = ndimage.binary_opening(ct.values > -300)
    rng = np.random.default_rng(1)
    wide, sharp = (60.0, 50.0, 55.0), (45.0, 35.0, 35.0)
    for peak, widths, noise in (
        (18, wide, 0),
        (18, wide, 20),
        (18, wide, 40),
        (10, wide, 20),
        (25, wide, 20),
        (18, sharp, 20),
    ):
        true = field_mm(ct.grid, peak, widths)
        fixed, moving = (v + rng.normal(0, noise, v.shape) for v in (moved(ct, true), ct.values))
        length = np.linalg.norm(true, axis=-1)
        counted = body & (length > 0.1 * length.max())
        begin = time.process_time()
        volumes = [Volume(ct.grid, v.astype(np.float32), Kind.HU) for v in (fixed, moving)]
        found = bend(volumes[0], volumes[1], Transform()).transform
        busy = time.process_time() - begin
        points = ct.grid.to_mm(np.argwhere(counted))
        error = np.linalg.norm(found.points_mm(points) - points - true[counted], axis=-1)
        low, high = np.percentile(found.determinants(points), (0, 100))
        print(f"peak {peak} widths {widths} noise {noise} HU: mean {error.mean():.2f} "
              f"95 % {np.percentile(error, 95):.2f} Jacobian {low:.2f}-{high:.2f} {busy:.1f} s", flush=True)  # fmt: skip  # noqa: E501
        if stated.demons:
            begin = time.process_time()
            other = demons(fixed, moving, ct.grid) @ ct.grid.direction.T
            error = np.linalg.norm(other - true, axis=-1)[counted]
            busy = time.process_time() - begin
            print(f"    demons: mean {error.mean():.2f} 95 % {np.percentile(error, 95):.2f} {busy:.1f} s", flush=True)


if __name__ == "__main__":
    main()
