"""Write the coefficient of broad beams: how much less than a narrow one counts with their scatter are absorbed.

Run: ``python tools/tables/build_broad_beam.py``; a few minutes of one processor. A disc of 100 mm, 20 mm thick, lies in
the middle of a trunk of soft tissue (elliptic, 220 mm by 320 mm, 300 mm long) and in air. Counts in a circle of 140 mm
in the usual window, both heads at 220 mm: mu = -2 ln(in tissue / in air) / 220 mm, over the coefficient of a narrow
beam.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import PhysicsError
from hepatica.imaging.planar.attenuation import narrow_mu_per_cm
from hepatica.imaging.planar.simulate import PlanarScanOptions, planar_views
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.scan import MonteCarloScanOptions
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions

TABLE = Path(__file__).resolve().parents[2] / "src" / "hepatica" / "imaging" / "planar" / "tables" / "broad_beam.csv"
CAMERAS = {
    "I-131": "siemens-hegp", "Re-188": "siemens-hegp", "Tc-99m": "siemens-lehr", "Lu-177": "siemens-megp",
    "Ho-166": "siemens-megp", "Sm-153": "siemens-lehr", "Re-186": "siemens-lehr",
}  # fmt: skip
THICK_MM, WIDE_MM, LONG_MM = 220.0, 320.0, 300.0
HISTORIES = 1_000_000


def volumes() -> tuple[Volume, Volume, Volume]:
    """Activity of the disc, trunk and air in HU."""
    spacing = 5.0
    shape = tuple(round((size + 20) / spacing) for size in (WIDE_MM, THICK_MM, LONG_MM))
    origin = tuple(-(n - 1) / 2 * spacing for n in shape)
    grid = Grid.axial(shape, spacing_mm=(spacing,) * 3, origin_mm=origin)
    x, y, z = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    trunk = ((x / (WIDE_MM / 2)) ** 2 + (y / (THICK_MM / 2)) ** 2 <= 1) & (np.abs(z) <= LONG_MM / 2)
    disc = (np.hypot(x, z) <= 50) & (np.abs(y) <= 10)
    when = datetime(2026, 3, 2, 10)
    activity = Volume(grid, (disc * np.float32(1e8 / disc.sum())).astype(np.float32), Kind.ACTIVITY, when)
    # A CT without matter is refused: one voxel far from the disc.
    nearly_air = np.full(shape, -1000.0)
    nearly_air[0, 0, 0] = 0.0
    return activity, Volume(grid, np.where(trunk, 40.0, -1000.0), Kind.HU), Volume(grid, nearly_air, Kind.HU)


def main() -> None:
    """Write the table."""
    activity, trunk, air = volumes()
    rows = []
    scan = PlanarScanOptions(method="montecarlo", pixel_mm=10.0, columns=40, noise_free=True)
    for name, of in CAMERAS.items():
        camera, chosen = gamma_camera(of), nuclide(name)
        montecarlo = MonteCarloScanOptions(stopping=StoppingOptions(histories=HISTORIES), skip_spectrum=True)
        counted = []
        for hu in (trunk, air):
            views = planar_views(activity, hu, camera=camera, nuclide=chosen, scan=scan, montecarlo=montecarlo).views
            u, v = np.indices(views.shape)
            middle = (np.asarray(views.shape) - 1) / 2
            near = np.hypot(u - middle[0], v - middle[1]) * 10.0 <= 70.0
            counted.append(np.sqrt(np.prod([view[0][near].sum() for view in views.counts])))
        window = views.windows[0]
        try:
            energy = camera.mean_energy_kev(chosen, window)
        except PhysicsError:
            energy = window.centre_kev
        mu = -2 * np.log(counted[0] / counted[1]) / (THICK_MM / 10)
        share = mu / narrow_mu_per_cm(energy)
        rows.append(f"{name},{of},{mu:.4f},{share:.3f}")
        print(rows[-1], f"{energy:.1f} keV, narrow {narrow_mu_per_cm(energy):.4f}", flush=True)
    head = (
        "# Coefficient of counts with their scatter (usual window) in a trunk, by "
        "tools/tables/build_broad_beam.py; share is\n"
        "# that over the coefficient of a narrow beam at the photons' energy.\n"
        "nuclide,camera,mu_per_cm,share\n"
    )
    TABLE.write_text(head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
