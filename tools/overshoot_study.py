"""Middle and mean of spheres of several sizes over the truth, by the blur left in the image and the iterations.

Run: ``python tools/overshoot_study.py [--blur 6.5 10]``, a minute of one processor. A sphere at 8 : 1 in a cylinder of
water of 15 cm, without noise, simulated analytically on half the pixel of 4.8 mm at 20 cm (as
tests/physics/test_spect_overshoot.py), reconstructed with attenuation. Prints the table of docs/spect-study.md.
"""

import argparse
from datetime import datetime

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.options import REMAINING_BLUR_MM, AcquisitionOptions, NoiseOptions
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, scan_model
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid
from hepatica.nuclides import nuclide

FINE = Grid.axial((80, 80, 28), spacing_mm=(2.4, 2.4, 2.4), frame_of_reference="1.2.3")
CASES = (("siemens-lehr", "Tc-99m"), ("siemens-megp", "Lu-177"), ("siemens-hegp", "I-131"), ("ge-hegp", "I-131"))
DIAMETERS_MM, RATIO, BACKGROUND_BQ = (22.0, 26.0, 30.0, 35.0, 40.0), 8.0, 1e3


def scanned(camera: str, name: str, diameter_mm: float) -> tuple[Projections, Volume, np.ndarray]:
    """Projections, CT, and share of each voxel of the image in the sphere."""
    middle = FINE.to_mm((np.asarray(FINE.shape) - 1) / 2)
    x, y, z = np.moveaxis(FINE.to_mm(np.moveaxis(np.indices(FINE.shape), 0, -1)) - middle, -1, 0)
    sphere, body = x**2 + y**2 + z**2 < (diameter_mm / 2) ** 2, np.hypot(x, y) < 75
    values = np.where(sphere, RATIO, 1.0 * (body & (np.abs(z) < 28))) * BACKGROUND_BQ
    activity = Volume(FINE, values, Kind.ACTIVITY, datetime(2026, 3, 3, 9, 0))
    ct = Volume(FINE, np.where(body, 0.0, -1000.0), Kind.HU)
    head, chosen, grid = gamma_camera(camera), nuclide(name), camera_grid(FINE, pixel_mm=4.8, columns=40)
    scan = Scan(Orbit.circular(24, radius_mm=200.0), 40.0, nuclide_windows(chosen)[0][:1], columns=40)
    counts = analytic_projections(activity, ct, camera=head, nuclide=chosen, scan=scan, grid=grid, seed=None)
    return counts, ct, sphere.reshape(40, 2, 40, 2, 14, 2).mean(axis=(1, 3, 5))


def main(blurs_mm: list[float]) -> None:
    """Print the table."""
    print("| camera | it. | mm left | " + " | ".join(f"{mm:g} mm" for mm in DIAMETERS_MM) + " |")
    print("|" + " --- |" * (3 + len(DIAMETERS_MM)))
    for camera, name in CASES:
        scans = [scanned(camera, name, mm) for mm in DIAMETERS_MM]
        for iterations in (10, 20):
            for blur in blurs_mm:
                options = SpectOptions(
                    acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"),
                    noise=NoiseOptions(remaining_blur_mm=blur),
                    iteration=IterationOptions(iterations=iterations),
                )
                cells = []
                for counts, ct, share in scans:
                    model = scan_model(counts, ct, gamma_camera(camera), nuclide(name), options)
                    made = reconstruct_scan(model, options).volume
                    inside = made.values * made.grid.voxel_volume_ml / (8 * RATIO * BACKGROUND_BQ)
                    near = float(np.asarray(inside[19:21, 19:21, 6:8]).mean())
                    cells.append(f"{near:.2f} / {float((inside * share).sum() / share.sum()):.2f}")
                row = f"| {camera}, {name} | {iterations} | {blur:g} | {' | '.join(cells)} |"
                print(row, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blur", type=float, nargs="+", default=[REMAINING_BLUR_MM, 10.0], help="mm left in the image")
    main(parser.parse_args().blur)
