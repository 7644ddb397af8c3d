"""Middle and mean of spheres of several sizes over the truth, by camera, blur left in the image and iterations.

Run: ``python tools/studies/overshoot_study.py [--blur 6.5] [--iterations 10] [--ratio 4] [--radius 250] [--diameters 22
30] [--cameras siemens-hegp] [--nuclide Y-90]``, some seconds of one processor a sphere; by default as `reconstruct`
has it without scatter (90Y, 166Ho with Monte Carlo scatter take 20 iterations). A sphere in a cylinder of water of 15
cm, by default at 8 : 1 (0: in inactive water), without noise, simulated by the projector on half the pixel of 4.8 mm
(as tests/physics/spect/test_spect_overshoot.py), reconstructed with attenuation. Prints rows of docs/spect-study.md.
"""

import argparse
from dataclasses import replace
from datetime import datetime

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.attenuation import attenuation_map
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera, nuclide_windows
from hepatica.imaging.spect.options import AcquisitionOptions, NoiseOptions
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.projector import SpectProjector
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, scan_model
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid
from hepatica.imaging.spect.system import window_model
from hepatica.nuclides import Nuclide, nuclide

FINE = Grid.axial((80, 80, 28), spacing_mm=(2.4, 2.4, 2.4), frame_of_reference="1.2.3")
CASES = {"siemens-lehr": "Tc-99m", "siemens-megp": "Lu-177", "siemens-hegp": "I-131", "ge-hegp": "I-131",
         "ge-lehr": "Tc-99m", "ge-megp": "Lu-177"}  # fmt: skip
DIAMETERS_MM, BACKGROUND_BQ = (18.0, 22.0, 24.0, 26.0, 30.0, 33.0, 36.0, 40.0, 50.0), 1e3


def scanned(
    camera: str, name: str, diameter_mm: float, ratio: float, radius_mm: float
) -> tuple[Projections, Volume, np.ndarray]:
    """Projections, CT, and share of each voxel of the image in the sphere, which holds `BACKGROUND_BQ` a fine voxel."""
    middle = FINE.to_mm((np.asarray(FINE.shape) - 1) / 2)
    x, y, z = np.moveaxis(FINE.to_mm(np.moveaxis(np.indices(FINE.shape), 0, -1)) - middle, -1, 0)
    sphere, body = x**2 + y**2 + z**2 < (diameter_mm / 2) ** 2, np.hypot(x, y) < 75
    around = (body & (np.abs(z) < 28)) / ratio if ratio else 0.0
    activity = Volume(FINE, np.where(sphere, 1.0, around) * BACKGROUND_BQ, Kind.ACTIVITY, datetime(2026, 3, 3, 9, 0))
    ct = Volume(FINE, np.where(body, 0.0, -1000.0), Kind.HU)
    head, chosen, grid = gamma_camera(camera), nuclide(name), camera_grid(FINE, pixel_mm=4.8, columns=40)
    scan = Scan(Orbit.circular(24, radius_mm=radius_mm), 40.0, nuclide_windows(chosen)[0][:1], columns=40)
    if any(mode.mode == "spect-bremsstrahlung" for mode in chosen.imaging):
        counts = bremsstrahlung(activity, ct, head, chosen, scan)
    else:
        counts = analytic_projections(activity, ct, camera=head, nuclide=chosen, scan=scan, grid=grid, seed=None)
    return counts, ct, sphere.reshape(40, 2, 40, 2, 14, 2).mean(axis=(1, 3, 5))


def bremsstrahlung(activity: Volume, ct: Volume, head: GammaCamera, chosen: Nuclide, scan: Scan) -> Projections:
    """The same of a window of bremsstrahlung, which the analytic simulation does not know: `FINE` is half the pixel."""
    model = window_model(head, chosen, scan.windows[0])
    projector = SpectProjector(
        FINE, scan.orbit, columns=80, response=model.response, energy_weights=model.weights,
        mu_per_mm=np.stack([attenuation_map(ct, FINE, energy) for energy in model.energy_kev]),
    )  # fmt: skip
    fine = projector.forward(activity.values) * np.float32(model.sensitivity_cps_per_bq * scan.view_s)
    x, y, _ = FINE.to_mm((np.asarray(FINE.shape) - 1) / 2)
    made = Projections(
        fine.reshape(1, -1, 40, 2, 14, 2).sum(axis=(3, 5)), scan.orbit, scan.windows, (4.8, 4.8), scan.view_s,
        axis_mm=(float(x), float(y), float(FINE.origin_mm[2]) + 1.2), start=activity.time, nuclide=chosen.name,
        frame_of_reference=FINE.frame_of_reference, view_start_s=scan.view_start_s,
    )  # fmt: skip
    decay = made.mean_activity(chosen.half_life_s).astype(np.float32)
    return replace(made, counts=made.counts * decay[None, :, None, None])


def row(asked: argparse.Namespace, camera: str, ratio: float, radius_mm: float, blur_mm: float | None) -> str:
    """Of one camera: middle / mean of each sphere."""
    chosen = nuclide(asked.nuclide or CASES[camera])
    options = SpectOptions(
        acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"),
        noise=NoiseOptions(remaining_blur_mm=blur_mm),
        iteration=IterationOptions(iterations=asked.iterations),
    ).for_nuclide(chosen)
    cells, left_mm = [], 0.0
    for diameter_mm in asked.diameters:
        counts, ct, share = scanned(camera, chosen.name, diameter_mm, ratio, radius_mm)
        model = scan_model(counts, ct, gamma_camera(camera), chosen, options)
        left_mm = model.blur_left_mm(options)
        made = reconstruct_scan(model, options).volume
        inside = made.values * made.grid.voxel_volume_ml / (8 * BACKGROUND_BQ)
        near = float(np.asarray(inside[19:21, 19:21, 6:8]).mean())
        cells.append(f"{near:.2f} / {float((inside * share).sum() / share.sum()):.2f}")
    around = f"{ratio:g} : 1" if ratio else "nothing"
    heads = (f"{camera}, {chosen.name}", around, f"{radius_mm / 10:g} cm", options.iteration.rounds, f"{left_mm:g}")
    return f"| {' | '.join(map(str, (*heads, *cells)))} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blur", type=float, help="mm left in the image; the default of `reconstruct` if not stated")
    parser.add_argument("--iterations", type=int, help="the nuclide's if not stated")
    parser.add_argument("--ratio", type=float, nargs="+", default=[8.0], help="sphere over background; 0 for none")
    parser.add_argument("--radius", type=float, nargs="+", default=[200.0], help="of the orbit, mm")
    parser.add_argument("--diameters", type=float, nargs="+", default=DIAMETERS_MM, help="of the spheres, mm")
    parser.add_argument("--cameras", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--nuclide", help="the camera's if not stated")
    asked = parser.parse_args()
    spheres = " | ".join(f"{mm:g} mm" for mm in asked.diameters)
    print(f"| camera | around | orbit | it. | mm left | {spheres} |")
    print("|" + " --- |" * (5 + len(asked.diameters)))
    for camera in asked.cameras:
        for ratio in asked.ratio:
            for radius_mm in asked.radius:
                print(row(asked, camera, ratio, radius_mm, asked.blur), flush=True)


if __name__ == "__main__":
    main()
