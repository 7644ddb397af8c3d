"""Write the point kernels of ``hepatica.transport.kernels.voxel``: our own Monte Carlo about a point source.

Run: ``python tools/tables/build_point_kernels.py [--nuclide Y-90 ...] [--medium water ...] [--histories 2e6]``; all of
them take about ten minutes on two cores. With ``--ranges`` the radii X50 and X90 and the CSDA range in water are
printed as rows of ``nuclides/tables/ranges.csv``.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from hepatica.nuclides import NUCLIDE_NAMES, Nuclide, nuclide
from hepatica.transport.kernels.point_source import RadialEnergy, radial_energy
from hepatica.transport.kernels.voxel import COLUMNS, point_kernel
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.stepping import StepModel, build_ladder
from hepatica.transport.runner.upload import Shells
from hepatica.version import __version__

FOLDER = Path(__file__).resolve().parents[2] / "src" / "hepatica" / "transport" / "tables"
MEDIA = ("water", "soft_tissue", "lung", "bone")
LAST_MM = 500.0
LINEAR_SHELLS = 80
LOGARITHMIC_SHELLS = 40
PHOTON_SHARE = 0.5
SEED = 2026
MODEL = StepModel(ratio=0.92, hard_fraction=0.05)
TALLIED_YIELD = 1e-3
MAIN_YIELD = 1e-2


def csda_range_mm(kev: float, medium_name: str) -> float:
    """CSDA range of an electron in mm of the medium at its nominal density."""
    one = medium(medium_name)
    ladder = build_ladder([one], MODEL)
    reach = np.interp(np.log(kev), np.log(ladder.energy_kev[:-1][::-1]), np.log(ladder.csda_range[0][::-1]))
    return float(np.exp(reach)) / one.density_g_ml


def largest_kev(n: Nuclide, least_yield: float) -> float:
    """Largest electron energy among the branches and lines of more than `least_yield` per decay."""
    energies = [b.endpoint_kev for b in n.betas if b.yield_per_decay > least_yield]
    return max(energies + [e.energy_kev for e in n.electrons if e.yield_per_decay > least_yield])


def table_text(n: Nuclide, medium_name: str, electrons: RadialEnergy, photons: RadialEnergy) -> str:
    """Text of a kernel table, in the format that `parse_point_kernel` reads."""
    header = [
        "Point kernel: fraction of the emitted energy absorbed in spherical shells around a point source.",
        f"nuclide: {n.name}",
        f"medium: {medium_name}",
        f"density_g_ml: {medium(medium_name).density_g_ml:g}",
        f"code: hepatica {__version__} Monte Carlo (docs/monte-carlo.md; cut-off {MODEL.cutoff_kev:g} keV electrons, {MODEL.photon_cutoff_kev:g} keV photons)",  # noqa: E501
        "emissions: ENSDF (hepatica.nuclides)",
        f"electron_energy_mev: {n.electron_energy_mev:.6g}",
        f"photon_energy_mev: {n.photon_energy_mev:.6g}",
        f"electron_sum: {electrons.fractions.sum():.5f} (the rest, bremsstrahlung, is absorbed beyond the last radius)",
        f"photon_sum: {photons.fractions.sum():.5f} (the rest is absorbed beyond the last radius)",
        f"histories: {electrons.histories} decays for electrons, {photons.histories} for photons, seed {SEED}",
        "uncertainty: statistical, k = 1; nan where no energy was scored",
        "made by: tools/tables/build_point_kernels.py",
    ]
    lines = [f"# {line}" for line in header] + [COLUMNS]
    edges = electrons.edges_mm
    for k in range(len(edges) - 1):
        values = []
        for part in (electrons, photons):
            energy = part.kev_per_decay[k]
            relative = f"{part.kev_sd[k] / energy:.2e}" if energy > 0 else "nan"
            values.append(f"{part.fractions[k]:.6e},{relative}")
        lines.append(f"{edges[k]:.5f},{edges[k + 1]:.5f}," + ",".join(values))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuclide", nargs="*", default=list(NUCLIDE_NAMES))
    parser.add_argument("--medium", nargs="*", default=list(MEDIA))
    parser.add_argument("--histories", type=float, default=2e6)
    parser.add_argument("--ranges", action="store_true")
    asked = parser.parse_args()
    threads = os.cpu_count() or 1
    for name in asked.nuclide:
        n = nuclide(name)
        for medium_name in asked.medium if not asked.ranges else ():
            started = time.monotonic()
            width = csda_range_mm(largest_kev(n, TALLIED_YIELD), medium_name) / LINEAR_SHELLS
            shells = Shells(round(width, 5), LINEAR_SHELLS, LOGARITHMIC_SHELLS, LAST_MM)
            parts = []
            for part, share in (("beta", 1.0), ("photon", PHOTON_SHARE)):
                histories = int(asked.histories * share)
                options = {"histories": histories, "seed": SEED, "threads": threads, "model": MODEL}
                parts.append(radial_energy(n, medium(medium_name), shells, parts=part, **options))
            text = table_text(n, medium_name, *parts)
            (FOLDER / f"dpk_{n.name}_{medium_name}.csv").write_text(text, encoding="utf-8")
            print(f"{n.name} in {medium_name}: {time.monotonic() - started:.0f} s")
        if asked.ranges:
            kernel = point_kernel(n.name, "water")
            for quantity, fraction in (("x50", 0.5), ("x90", 0.9)):
                print(f"{n.name},{quantity},{kernel.radius_of_fraction_mm(fraction):.3g},hepatica Monte Carlo kernel")
            reach = csda_range_mm(largest_kev(n, MAIN_YIELD), "water")
            print(f"{n.name},csda_endpoint,{reach:.3g},hepatica stopping powers")


if __name__ == "__main__":
    main()
