"""Time to read ten structures from an RTSTRUCT onto 512 x 512 x 120 voxels, and to write them.

Run as ``python benchmarks/bench_contours.py``.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from hepatica.anatomy.structures.contours import fill_contours, region_contours
from hepatica.anatomy.virtual_patient import AnatomyOptions, PatientSettings, Tumour, virtual_patient
from hepatica.core import Grid
from hepatica.core.context import DicomContext
from hepatica.io.dicom.structures.rtstruct import read_rtstruct, write_rtstruct

NAMES = (
    "body",
    "lung left",
    "lung right",
    "liver",
    "lobe left",
    "lobe right",
    "tumour 1",
    "tumour 2",
    "spleen",
    "kidney left",
)


def main() -> None:
    """Print times of one run: they vary with the load of the machine, their ratios less."""
    context = DicomContext.invented(slices=120)
    shape, spacing = (512, 512, 120), (0.82, 0.82, 2.75)
    origin = [-(n - 1) / 2 * s for n, s in zip(shape, spacing, strict=True)]
    grid = Grid.axial(shape, spacing_mm=spacing, origin_mm=origin, frame_of_reference=context.frame_of_reference)
    patient = virtual_patient(
        PatientSettings(tumours=(Tumour(44, 7), Tumour(58, 8)), anatomy=AnatomyOptions(terminals=24)), grid
    )
    regions = [patient.regions[name] for name in NAMES]
    del patient
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rs.dcm"
        start = time.perf_counter()
        write_rtstruct(path, regions, context, image_grid=grid)
        size = path.stat().st_size / 1e6
        print(f"write {len(regions)} structures: {time.perf_counter() - start:.2f} s, {size:.1f} MB")
        for _ in range(3):
            start, busy = time.perf_counter(), time.process_time()
            found = read_rtstruct(path, grid, context=context)
            wall, busy = time.perf_counter() - start, time.process_time() - busy
            print(f"read onto {grid.shape}: {wall:.2f} s ({busy:.2f} s of one processor)")
        coarse = grid.with_spacing((4.0, 4.0, 5.0))
        start = time.perf_counter()
        read_rtstruct(path, coarse)
        print(f"read onto {coarse.shape}: {time.perf_counter() - start:.2f} s")
        affine = np.array(coarse.affine)
        turn = np.deg2rad(6)
        affine[:3, :3] = [[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]] @ affine[:3, :3]
        start = time.perf_counter()
        read_rtstruct(path, Grid(coarse.shape, affine), names=[n for n in NAMES if n != "body"])
        print(f"read onto the same, turned 6 degrees, without the body: {time.perf_counter() - start:.2f} s")
    for region, back in zip(regions, found.regions, strict=True):
        contours = region_contours(region)
        start = time.perf_counter()
        fill_contours(region.name, contours, grid)
        took = time.perf_counter() - start
        change = back.volume_ml / region.volume_ml - 1
        both = np.minimum(region.full(), back.full()).sum(dtype=float)
        dice = 2 * both / (region.full().sum(dtype=float) + back.full().sum(dtype=float))
        print(
            f"  {region.name:12s} {region.volume_ml:8.1f} mL, {len(contours):4d} contours, "
            f"{sum(map(len, contours)):6d} points: fill {took:.3f} s, volume {100 * change:+.2f} %, Dice {dice:.4f}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
