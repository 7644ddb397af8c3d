"""Make the point-kernel tables in src/hepatica/transport/tables from the team's EGSnrc reference kernels.

Usage: python tools/import_reference_kernels.py FOLDER   (the folder that holds dpk_egsnrc_<nuclide>.csv)

The reference holds energy per shell in MeV per decay; a table holds the fraction of the emitted electron and photon
energy absorbed per shell, so that it can be used with any evaluation of the emitted energies.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLES = Path(__file__).resolve().parents[1] / "src" / "hepatica" / "transport" / "tables"
NUCLIDES = ("Y-90", "I-131", "Lu-177")

HEADER = """\
# Point kernel: fraction of the emitted energy absorbed in spherical shells around a point source, infinite medium.
# nuclide: {nuclide}
# medium: water
# density_g_ml: 1.0
# code: EGSnrc 2025 (egs++; XCOM, bound Compton, Rayleigh, relaxations; cut-off 10 keV electrons, 1 keV photons)
# emissions: ICRP-107 (beta spectra, conversion and Auger electrons, gamma and X lines)
# electron_energy_mev: {electron_mev:.6f}
# photon_energy_mev: {photon_mev:.6f}
# electron_sum_as_computed: {electron_sum:.5f} (the sampled energy differs from the nominal one; scaled so that the sum
#   is 1 minus what a geometric continuation of the last two shells puts beyond the last radius: {beyond:.2e})
# photon_sum: {photon_sum:.5f} (the rest is absorbed beyond the last radius)
# uncertainty: statistical, k = 1, of the part that dominates the shell; nan where it is not known for that part
# made by: tools/import_reference_kernels.py
r_in_mm,r_out_mm,electron_fraction,electron_rel_sd,photon_fraction,photon_rel_sd
"""


def convert(path: Path, nuclide: str) -> str:
    """Text of the table for one nuclide."""
    first = path.read_text().splitlines()[0]
    beta, converted, photon_mev = (float(x) for x in re.findall(r"(?:beta|Auger|photons) (\d+\.\d+)", first))
    electron_mev = beta + converted
    rows = np.loadtxt(path, delimiter=",", comments="#")
    electrons, photons, total, rel_sd = rows[:, 2], rows[:, 3], rows[:, 4], rows[:, 5]

    fraction = electrons / electron_mev
    last, before = fraction[-1], fraction[-2]
    beyond = last * (last / before) / (1 - last / before)
    scaled = fraction * (1 - beyond) / fraction.sum()
    # Below a thousandth of a milli-electron-volt of emitted photons (90Y) there is nothing to follow.
    photon_fraction = photons / photon_mev if photon_mev > 1e-5 else np.zeros_like(photons)

    header = HEADER.format(
        nuclide=nuclide,
        electron_mev=electron_mev,
        photon_mev=photon_mev,
        electron_sum=fraction.sum(),
        beyond=beyond,
        photon_sum=photon_fraction.sum(),
    )
    electron_sd = _sd_of_part(electrons, total, rel_sd)
    photon_sd = _sd_of_part(photons, total, rel_sd)
    lines = [
        f"{r_in:.5f},{r_out:.5f},{e:.6e},{e_sd:.2e},{p:.6e},{p_sd:.2e}"
        for r_in, r_out, e, e_sd, p, p_sd in zip(
            rows[:, 0], rows[:, 1], scaled, electron_sd, photon_fraction, photon_sd, strict=True
        )
    ]
    return header + "\n".join(lines) + "\n"


def _sd_of_part(
    part: NDArray[np.float64], total: NDArray[np.float64], rel_sd: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The reference states the uncertainty of the sum: an upper bound for the part that makes up most of it."""
    share = part / total
    return np.where(share > 0.5, rel_sd / np.where(share > 0, share, 1), np.nan)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in NUCLIDES:
        target = TABLES / f"dpk_{name}_water.csv"
        target.write_text(convert(folder / f"dpk_egsnrc_{name}.csv", name))
        print(f"{target.name}: {len(target.read_text().splitlines())} lines")
