"""NEMA NU 2 of the shipped PET scanners by their simulation, beside what was published: the table of docs/pet.md.

::

    python tools/checks/pet_nema.py                    # all scanners, some minutes
    python tools/checks/pet_nema.py vereos --positrons 1000000
    python tools/checks/pet_nema.py --factors          # of what the sensitivity consists; a minute

Two lines of ``tables/scanners.toml`` are made of it: ``counted`` (square root of the published over the modelled
sensitivity, no more than 1) and ``dead_time`` (of the blocks, from the place of the peak of the noise-equivalent rate).
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

import numpy as np

from hepatica.core.tables.shipped import toml_table
from hepatica.imaging.pet.acquisition.nema import F18_POSITRONS, LINE_MM, nema_figures, peak_rates
from hepatica.imaging.pet.photon_efficiency import photon_efficiency
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import ANNIHILATION_KEV, scanner, scanner_names
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import coefficients

HEAD = (
    "| scanner | cps/kBq, from first principles | published | ratio | counted share | cps/kBq with it | ratio "
    "| scatter fraction | published | ratio | peak kcps | published | ratio | block dead time, ns |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, positrons: int, seed: int) -> str:
    """Line of one scanner."""
    shipped = scanner(name)
    table = toml_table("hepatica.imaging.pet", "scanners.toml")
    said = {**table[table[name]["like"]], **table[name]}["nema"] if "like" in table[name] else table[name]["nema"]
    published = shipped.sensitivity_cps_per_kbq
    assert published is not None
    plain = nema_figures(replace(shipped, counted_share=1.0), positrons=positrons, run=Run(seed=seed))
    share = min(math.sqrt(published / plain.sensitivity_cps_per_kbq), 1.0)
    found = nema_figures(shipped, positrons=positrons, run=Run(seed=seed + 100))
    cells = [
        shipped.name,
        f"{plain.sensitivity_cps_per_kbq:.2f} ± {plain.sensitivity_cps_per_kbq * plain.sensitivity_sd:.2f}",
        f"{published:g}",
        f"{plain.sensitivity_cps_per_kbq / published:.2f}",
        f"{shipped.counted_share:.3f} (this run {share:.3f})",
        f"{found.sensitivity_cps_per_kbq:.2f}",
        f"{found.sensitivity_cps_per_kbq / published:.2f}",
        f"{found.scatter_fraction:.3f} ± {found.scatter_fraction_sd:.3f}",
    ]
    fraction = said.get("scatter_fraction")
    cells += [f"{fraction:g}", f"{found.scatter_fraction / fraction:.2f}"] if fraction else ["", ""]
    if "peak_kcps" in said:
        peak = peak_rates(shipped, found, said["peak_kbq_ml"])
        kcps = peak.noise_equivalent_cps / 1000
        at = f"{said['peak_kcps']:g} at {said['peak_kbq_ml']:g} kBq/mL"
        cells += [f"{kcps:.0f}", at, f"{kcps / said['peak_kcps']:.2f}", f"{peak.dead_time_ns:.0f}"]
    else:
        cells += ["", "", "", ""]
    return f"| {' | '.join(cells)} |"


FACTORS = (
    "| scanner | pairs that meet the ring, % | crystal on its faces | photons that meet a crystal and interact "
    "| of these counted | counted photons, model | needed for the published sensitivity | ratio |\n"
    "|---|---|---|---|---|---|---|---|"
)


def factors(name: str) -> str:
    """Of what the sensitivity of a scanner consists: solid angle, packing, interaction, energy window.

    The pairs of a line of 70 cm on the axis that meet a ring of length L are
    ``2 (sqrt(R^2 + (L/2)^2) - sqrt(R^2 + d^2))`` over the line's length, d the part of L/2 beyond the line; positrons
    of 18F per decay times that. What is needed of a photon at right angles follows from the modelled and the published
    sensitivity, which go with its square.
    """
    shipped = replace(scanner(name), counted_share=1.0)
    published = shipped.sensitivity_cps_per_kbq
    assert published is not None
    radius, half = shipped.radius_mm, shipped.length_mm / 2
    beyond = max(half - LINE_MM / 2, 0.0)
    pairs = 2 * (math.hypot(radius, half) - math.hypot(radius, beyond)) / LINE_MM * F18_POSITRONS
    around = (
        shipped.crystals_per_ring
        * shipped.crystal_mm[0]
        / (shipped.modules_around * 2 * radius * math.tan(math.pi / shipped.modules_around))
    )
    packing = around * shipped.rings * shipped.crystal_mm[1] / shipped.length_mm
    lines = medium(shipped.crystal)
    per_mm = float(coefficients(lines, np.array([ANNIHILATION_KEV])).sum()) * lines.density_g_ml / 10
    meet = 1 - math.exp(-per_mm * shipped.crystal_mm[2])
    counted = float(photon_efficiency(shipped).coarse[2:7, 2:7].mean())
    wanted = counted * scanner(name).counted_share
    cells = [
        shipped.name, f"{100 * pairs:.2f}", f"{packing:.3f}", f"{meet:.3f}", f"{counted / meet:.3f}", f"{counted:.3f}",
        f"{wanted:.3f}", f"{scanner(name).counted_share:.3f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scanners", nargs="*", default=list(scanner_names()))
    parser.add_argument("--positrons", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--factors", action="store_true", help="of what the sensitivity consists")
    given = parser.parse_args()
    if given.factors:
        print("\n".join((FACTORS, *map(factors, given.scanners))))
        return
    print(HEAD)
    for name in given.scanners:
        print(row(name, given.positrons, given.seed), flush=True)


if __name__ == "__main__":
    main()
