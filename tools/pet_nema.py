"""NEMA NU 2 of the shipped PET scanners by their simulation, beside what was published: the table of docs/pet.md.

::

    python tools/pet_nema.py                    # all scanners, some minutes
    python tools/pet_nema.py vereos --positrons 1000000

Two lines of ``tables/scanners.toml`` are made of it: ``counted`` (square root of the published over the modelled
sensitivity, no more than 1) and ``dead_time`` (of the blocks, from the place of the peak of the noise-equivalent rate).
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

from hepatica.core.tables.shipped import toml_table
from hepatica.imaging.pet.acquisition.nema import nema_figures, peak_rates
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import scanner, scanner_names

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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scanners", nargs="*", default=list(scanner_names()))
    parser.add_argument("--positrons", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(HEAD)
    for name in given.scanners:
        print(row(name, given.positrons, given.seed), flush=True)


if __name__ == "__main__":
    main()
