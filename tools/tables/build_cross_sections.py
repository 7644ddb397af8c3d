"""Write the element tables of the transport room from xraylib (EPDL97-based photon data, shell energies).

Run: ``python tools/tables/build_cross_sections.py`` (needs ``pip install '.[build-tables]'``).

Columns and sources are in the headers of the files and in ``src/hepatica/transport/tables/sources.toml``. Above the
last energy taken from xraylib (0.799 MeV) three continuations are used, for processes whose high-energy form is known:
photoelectric by the power law of the last half decade, incoherent by Klein-Nishina (binding is negligible there),
coherent as 1/E^2. Pair production is a formula in ``hepatica.transport.matter.photons`` and not tabulated.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xraylib

# Conventional atomic weights, IUPAC 2013 (Pure Appl Chem 2016;88:265).
ATOMIC_WEIGHTS = {
    1: 1.008, 5: 10.81, 6: 12.011, 7: 14.007, 8: 15.999, 11: 22.990, 12: 24.305, 13: 26.982, 14: 28.085,
    15: 30.974, 16: 32.06, 17: 35.45, 18: 39.948, 19: 39.098, 20: 40.078, 22: 47.867, 26: 55.845, 32: 72.630,
    39: 88.906, 53: 126.904, 71: 174.97, 82: 207.2, 83: 208.98,
}  # fmt: skip
ELEMENTS = tuple(ATOMIC_WEIGHTS)
FOLDER = Path(__file__).resolve().parents[2] / "src" / "hepatica" / "transport" / "tables"
HEAVY = 70
"""From this element on the photoelectric effect still matters at the end of xraylib's tables."""
LAST_KEV = 799.0
POINTS_PER_DECADE = 24
SHELLS = 30


def klein_nishina_cm2(energy_kev: float) -> float:
    """Klein-Nishina cross section of one free electron in cm2."""
    k = energy_kev / 510.99895
    a = 1 + 2 * k
    radius2 = 7.940787682e-26
    first = (1 + k) / k**2 * (2 * (1 + k) / a - math.log(a) / k)
    return 2 * math.pi * radius2 * (first + math.log(a) / (2 * k) - (1 + 3 * k) / a**2)


def energies(z: int) -> list[float]:
    """Logarithmic grid from 1 keV to 3 MeV, with a point on either side of every absorption edge."""
    count = round(math.log10(3000) * POINTS_PER_DECADE) + 1
    grid = np.geomspace(1.0, 3000.0, count).tolist()
    for shell in range(SHELLS):
        edge = edge_kev(z, shell)
        if edge > 1.0:
            grid = [e for e in grid if abs(e / edge - 1) > 0.01] + [edge * (1 - 1e-6), edge * (1 + 1e-6)]
    return sorted(grid)


def edge_kev(z: int, shell: int) -> float:
    """Binding energy in keV, 0 where the shell does not exist."""
    try:
        return float(xraylib.EdgeEnergy(z, shell))
    except ValueError:
        return 0.0


def occupancy(z: int, shell: int) -> float:
    """Electrons in the shell, 0 where it does not exist."""
    try:
        return float(xraylib.ElectronConfig(z, shell))
    except ValueError:
        return 0.0


def coefficients(z: int, energy_kev: float) -> tuple[float, float, float]:
    """Photoelectric, incoherent and coherent mass coefficients in cm2/g."""
    if energy_kev <= LAST_KEV:
        return (
            xraylib.CS_Photo(z, energy_kev),
            xraylib.CS_Compt(z, energy_kev),
            xraylib.CS_Rayl(z, energy_kev),
        )
    if z >= HEAVY:
        return heavy_photoelectric(z, energy_kev), *scattered(z, energy_kev)
    low = LAST_KEV / math.sqrt(10)
    slope = math.log(xraylib.CS_Photo(z, LAST_KEV) / xraylib.CS_Photo(z, low)) / math.log(LAST_KEV / low)
    return xraylib.CS_Photo(z, LAST_KEV) * (energy_kev / LAST_KEV) ** slope, *scattered(z, energy_kev)


def scattered(z: int, energy_kev: float) -> tuple[float, float]:
    """Incoherent and coherent coefficients beyond the last energy."""
    compton = xraylib.CS_Compt(z, LAST_KEV) * klein_nishina_cm2(energy_kev) / klein_nishina_cm2(LAST_KEV)
    return compton, xraylib.CS_Rayl(z, LAST_KEV) * (LAST_KEV / energy_kev) ** 2


def heavy_photoelectric(z: int, energy_kev: float) -> float:
    """Photoelectric coefficient of lutetium, lead or bismuth beyond the last energy: a parabola in the logarithms.

    It is fitted from 300 keV on. In light elements the photoelectric effect no longer matters there. In lead it is a
    quarter of the attenuation at 1 MeV, and its slope still flattens.
    """
    known = np.geomspace(300.0, LAST_KEV, 20)
    logs = np.log([xraylib.CS_Photo(z, float(e)) for e in known])
    return float(np.exp(np.polyval(np.polyfit(np.log(known / LAST_KEV), logs, 2), math.log(energy_kev / LAST_KEV))))


def write(name: str, header: list[str], rows: list[str]) -> None:
    """Write one table."""
    text = "\n".join([f"# {line}" for line in header] + rows) + "\n"
    (FOLDER / name).write_text(text, encoding="ascii")


def main() -> None:
    """Write the three tables."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = f"Made by tools/tables/build_cross_sections.py from xraylib {xraylib.__version__}; see sources.toml."
    rows = [f"{z} {e:.6g} " + " ".join(f"{c:.5e}" for c in coefficients(z, e)) for z in ELEMENTS for e in energies(z)]
    write(
        "photon_elements.txt",
        [
            "Photon mass coefficients of the elements.",
            made,
            "Z energy_kev photoelectric_cm2_g incoherent_cm2_g coherent_cm2_g",
        ],
        rows,
    )
    grid = np.geomspace(0.005, 80.0, 64)
    rows = [
        f"{z} {q:.6g} {max(xraylib.FF_Rayl(z, q), 1e-9):.5e} {xraylib.SF_Compt(z, q):.5e}"
        for z in ELEMENTS
        for q in grid
    ]
    write(
        "form_factors.txt",
        [
            "Atomic form factor F and incoherent scattering function S.",
            made,
            "Z x_per_angstrom form_factor scattering_function",
            "x = sin(theta/2) / wavelength",
        ],
        rows,
    )
    rows = [
        f"{z} {ATOMIC_WEIGHTS[z]:.6g} {shell} {occupancy(z, shell):.5f} {edge_kev(z, shell):.5f}"
        for z in ELEMENTS
        for shell in range(SHELLS)
        if occupancy(z, shell) > 0
    ]
    write(
        "atomic_shells.txt",
        ["Atomic shells: electrons and binding energies.", made, "Z atomic_weight_g_mol shell electrons binding_kev"],
        rows,
    )


if __name__ == "__main__":
    main()
