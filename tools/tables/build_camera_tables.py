"""Write the tables of camera materials: attenuation of lead, and what a NaI(Tl) crystal takes up in its photopeak.

Run: ``python tools/tables/build_camera_tables.py`` (needs ``pip install '.[build-tables]'``).

The photopeak share of a crystal comes from a small photon Monte Carlo: photons enter a slab of NaI (3.67 g/mL, endless
sideways) at right angles, scatter by Klein-Nishina and coherently (forward: it moves no energy and few photons), and
count when all their energy stays. Photoelectric events set K X rays of iodine free (28 to 33 keV); one that leaves the
crystal takes its energy along: 7 % of the photons of 80 keV, 2 % of those of 140 keV.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xraylib
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOLDER = Path(__file__).resolve().parents[2] / "src" / "hepatica" / "imaging" / "spect" / "camera" / "tables"
LEAD_EDGE_KEV = 88.0045
THICKNESSES_MM = (9.525, 15.875)
PHOTONS = 400_000
NAI_DENSITY = 3.67
REST_KEV = 510.99895
IODINE, IODINE_EDGE_KEV = 53, 33.1694
IODINE_LINES = (xraylib.KL2_LINE, xraylib.KL3_LINE, xraylib.KM3_LINE, xraylib.KN3_LINE)
"""K X rays of iodine; lines within 0.6 keV are taken together."""
IODINE_SHARES = (0.2858, 0.5305, 0.1529, 0.0308)


def energies() -> list[float]:
    """Grid from 40 to 795 keV with a point on either side of lead's K edge."""
    grid = [e for e in np.geomspace(40.0, 795.0, 48).tolist() if abs(e / LEAD_EDGE_KEV - 1) > 0.01]
    return sorted([*grid, LEAD_EDGE_KEV - 0.01, LEAD_EDGE_KEV + 0.01])


def nai_coefficients() -> tuple[Array, Array, Array]:
    """Energies, photoelectric and incoherent linear coefficients of NaI in 1/mm."""
    grid = np.geomspace(5.0, 799.0, 400)
    weight = {11: 22.98977, 53: 126.90447}
    total = sum(weight.values())

    def mixed(of: object) -> Array:
        share = [[w / total * of(z, float(e)) for z, w in weight.items()] for e in grid]  # type: ignore[operator]
        return np.sum(share, axis=1) * NAI_DENSITY / 10

    return grid, mixed(xraylib.CS_Photo), mixed(xraylib.CS_Compt)


def klein_nishina(energy: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Energy after scattering and cosine of the angle, by rejection from the differential cross section."""
    after, cosine = np.zeros_like(energy), np.zeros_like(energy)
    todo = np.arange(energy.size)
    while todo.size:
        mu = rng.uniform(-1, 1, todo.size)
        ratio = 1 / (1 + energy[todo] / REST_KEV * (1 - mu))
        keep = rng.uniform(0, 2, todo.size) < ratio**2 * (ratio + 1 / ratio - 1 + mu**2)
        after[todo[keep]], cosine[todo[keep]] = energy[todo][keep] * ratio[keep], mu[keep]
        todo = todo[~keep]
    return after, cosine


def fluorescence(energy: Array, rng: np.random.Generator) -> Array:
    """Energy of the K X ray that a photoelectric event sets free, 0 for none.

    The chance is the share of the K shell (the jump of the cross section at its edge) times the yield; sodium takes a
    percent of the events and is passed over.
    """
    jump = xraylib.JumpFactor(IODINE, xraylib.K_SHELL)
    chance = (1 - 1 / jump) * xraylib.FluorYield(IODINE, xraylib.K_SHELL)
    lines = np.array([xraylib.LineEnergy(IODINE, line) for line in IODINE_LINES])
    drawn = lines[np.searchsorted(np.cumsum(IODINE_SHARES)[:-1], rng.uniform(size=energy.size))]
    return np.where((rng.uniform(size=energy.size) < chance) & (energy > IODINE_EDGE_KEV), drawn, 0.0)


def photopeak(energy_kev: float, thickness_mm: float, seed: int) -> float:
    """Share of the photons that hit the slab whose whole energy stays in it."""
    rng = np.random.default_rng(seed)
    grid, photo, compton = nai_coefficients()
    energy = np.full(PHOTONS, energy_kev)
    depth, direction = np.zeros(PHOTONS), np.ones(PHOTONS)
    kept = 0
    while energy.size:
        tau, sigma = np.interp(energy, grid, photo), np.interp(energy, grid, compton)
        depth = depth + direction * rng.exponential(1, energy.size) / (tau + sigma)
        inside = (depth > 0) & (depth < thickness_mm)
        energy, depth, direction, tau, sigma = (a[inside] for a in (energy, depth, direction, tau, sigma))
        absorbed = (rng.uniform(size=energy.size) < tau / (tau + sigma)) | (energy < 10.0)
        free = np.where(absorbed, fluorescence(energy, rng), 0.0)
        kept += int((absorbed & (free == 0)).sum())
        # What is set free goes on as a photon of its own, in any direction: if it stays, all has stayed.
        scattered = ~absorbed
        follows = scattered | (free > 0)
        after, cosine = klein_nishina(energy, rng)
        turn = np.cos(rng.uniform(0, 2 * np.pi, energy.size))
        turned = direction * cosine + np.sqrt(np.maximum(0, (1 - direction**2) * (1 - cosine**2))) * turn
        direction = np.where(scattered, turned, rng.uniform(-1, 1, energy.size))[follows]
        energy, depth = np.where(scattered, after, free)[follows], depth[follows]
    return kept / PHOTONS


def main() -> None:
    """Write camera_materials.csv."""
    header = "energy_kev,lead_cm2_g," + ",".join(f"nai_photopeak_{t:g}mm" for t in THICKNESSES_MM)
    lines = [
        "# Lead: total mass attenuation coefficient (xraylib 4.3). NaI: share of photons at right angles to a slab",
        f"# that leave all their energy in it, Monte Carlo of {PHOTONS} photons with K X rays of iodine.",
        "# Made by tools/tables/build_camera_tables.py.",
        header,
    ]
    for number, energy in enumerate(energies()):
        shares = [photopeak(energy, t, seed=number) for t in THICKNESSES_MM]
        numbers = [f"{energy:.5g}", f"{xraylib.CS_Total(82, energy):.5g}", *(f"{s:.4f}" for s in shares)]
        lines.append(",".join(numbers))
    (FOLDER / "camera_materials.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
