"""Write the validation chapter of docs/monte-carlo.md: run the Monte Carlo against everything it is compared with.

Run: ``python tools/checks/validate_montecarlo.py``, about two minutes. HEPATICA_REFERENCE names the folder of the
reference kernels; ``pip install ompmc==0.4.0`` adds the live second code. What is absent is left out of the chapter and
said.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tempfile
from itertools import permutations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.dosimetry.engines.registry import DoseSettings, dose_engine
from hepatica.nuclides import nuclide
from hepatica.transport.kernels.point_source import radial_energy
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.electrons import collision_stopping
from hepatica.transport.runner.montecarlo import MonteCarloResult, simulate
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.transport.runner.source import emission
from hepatica.transport.runner.upload import Shells

PAGE = Path(__file__).resolve().parents[2] / "docs" / "monte-carlo.md"
MARKS = ("<!-- validation: written by tools/checks/validate_montecarlo.py -->", "<!-- end of validation -->")
FloatArray = NDArray[np.float64]


def run(
    density: FloatArray, decays: FloatArray, edge: tuple[float, float, float], **settings: object
) -> MonteCarloResult:
    """Monte Carlo of 90Y in voxels along the patient axes."""
    grid = Grid.axial(density.shape, spacing_mm=edge)
    chosen = MonteCarloSettings(**settings)  # type: ignore[arg-type]
    return simulate(Volume(grid, decays, Kind.DECAYS), Volume(grid, density, Kind.DENSITY), nuclide("Y-90"), chosen)


def stopping_powers() -> list[str]:
    """Collision stopping power of water beside ESTAR."""
    estar = {10: 22.56, 100: 4.115, 500: 2.034, 1000: 1.849, 2000: 1.824}
    ours = collision_stopping(medium("water"), list(estar)) / 1000
    cells = " | ".join(f"{a:.4g} / {b:.4g}" for a, b in zip(ours, estar.values(), strict=True))
    heads = " | ".join(f"{kev} keV" for kev in estar)
    return [
        "Collision stopping power of water, MeV cm²/g, ours / NIST ESTAR:",
        "",
        f"| {heads} |",
        "|" + "---|" * len(estar),
        f"| {cells} |",
    ]


def kernel_rows(folder: Path) -> list[str]:
    """Point kernels and voxel S values beside EGSnrc."""
    lines = [
        (
            "Against EGSnrc (ICRP-107 emissions, water). Point source: largest difference of the cumulative absorbed "
            "electron energy at any radius, and the radius of 90 % of it. Voxels of 3 mm: ratio of S values "
            "(electrons) per energy emitted, with the statistical standard uncertainty of the ratio."
        ),
        "",
        "| | point source | X90, mm (EGSnrc) | S(0,0,0) | S(1,0,0) | S(1,1,0) | S(1,1,1) | S(2,0,0) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in ("Y-90", "Lu-177", "I-131"):
        path = folder / "kernels" / f"dpk_egsnrc_{name}.csv"
        found = re.search(r"beta ([\d.]+), CE\+Auger ([\d.]+)", path.read_text().splitlines()[0])
        electrons = float(found[1]) + float(found[2]) if found else np.nan
        rows = np.genfromtxt(path, delimiter=",", comments="#")
        rows = rows[~np.isnan(rows[:, 0])]
        shells = Shells(float(rows[0, 1]), 80, 25, 500.0)
        ours = radial_energy(nuclide(name), medium("water"), shells, histories=1_000_000, threads=os.cpu_count() or 1)
        cumulative = np.interp(rows[:, 1], ours.edges_mm[1:], np.cumsum(ours.fractions))
        theirs = np.cumsum(rows[:, 2]) / electrons
        worst = np.abs(cumulative - theirs).max()
        x90 = [float(np.interp(0.9, c, rows[:, 1])) for c in (cumulative, theirs)]
        cells = s_ratios(folder, name, electrons)
        lines.append(f"| {name} | {100 * worst:.2f} pp | {x90[0]:.3g} ({x90[1]:.3g}) | " + " | ".join(cells) + " |")
    return lines


def s_ratios(folder: Path, name: str, electrons_mev: float) -> list[str]:
    """Ratios of S values at 3 mm, as text."""
    rows = np.genfromtxt(folder / "kernels" / f"vsv_egsnrc_{name}_3mm.csv", delimiter=",", comments="#")
    rows = rows[~np.isnan(rows[:, 0])]
    size, centre = 41, 20
    grid = Grid.axial((size,) * 3, spacing_mm=(3.0,) * 3)
    decays = np.zeros(grid.shape)
    decays[centre, centre, centre] = 1.0
    settings = MonteCarloSettings(histories=3_000_000, media=((np.inf, "water"),), parts="beta")
    volumes = Volume(grid, decays, Kind.DECAYS), Volume(grid, np.ones(grid.shape), Kind.DENSITY)
    result = simulate(*volumes, nuclide(name), settings)
    cells = []
    for offset in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 0, 0)):
        places = {
            tuple(centre + s * n for s, n in zip(signs, order, strict=True))
            for order in permutations(offset)
            for signs in product((-1, 1), repeat=3)
        }
        row = rows[(rows[:, :3] == offset).all(axis=1)][0]
        ours = (
            float(np.mean([result.dose_gy[p] for p in places]))
            * 1e9
            * electrons_mev
            / nuclide(name).electron_energy_mev
        )
        sd = float(np.sqrt(np.mean([result.dose_sd_gy[p] ** 2 for p in places]) / len(places))) * 1e9
        beyond = row[5] < 1e-3 * rows[0, 5]
        cells.append("out of range" if beyond else f"{ours / row[5]:.4f} ± {np.hypot(row[4], sd / ours):.4f}")
    return cells


def exact_rows() -> list[str]:
    """Energy balance, uniform dose whatever the densities, energy per mass."""
    density = np.full((1, 1, 64), 1.06)
    density[..., 20:30] = 0.26
    density[..., 40:44] = 1.92
    r = run(density, density.copy(), (4000.0, 4000.0, 3.0), histories=5_000_000, media=((np.inf, "liver"),))
    dose, sd = r.dose_gy[0, 0].astype(float), r.dose_sd_gy[0, 0].astype(float)
    inner = slice(8, 56)
    mean = np.average(dose[inner], weights=1 / sd[inner] ** 2)
    edge = [18, 19, 20, 21, 28, 29, 30, 31]
    interface = np.average(dose[edge], weights=1 / sd[edge] ** 2) / mean
    pull = np.abs((dose[inner] - mean) / sd[inner]).max()
    interface_sd = 1 / np.sqrt(np.sum(1 / sd[edge] ** 2)) / mean
    closure = (r.deposited_j + r.escaped_electrons_j + r.escaped_photons_j) / r.emitted_j - 1
    grid = Grid.axial((1, 1, 20), spacing_mm=(4000.0, 4000.0, 2.0))
    settings = MonteCarloSettings(histories=20_000_000, media=((np.inf, "liver"),), parts="beta")
    volumes = (
        Volume(grid, np.ones(grid.shape), Kind.DECAYS),
        Volume(grid, np.full(grid.shape, 1.06), Kind.DENSITY),
    )
    endless = simulate(*volumes, nuclide("Lu-177"), settings)
    uniform = endless.dose_gy[0, 0, 3:-3].astype(float)
    mass_kg = 4000 * 4000 * 2 * 1e-3 * 1.06e-3
    stays = 1 - endless.escaped_photons_j / endless.emitted_j
    expected = emission(nuclide("Lu-177"), "beta").mean_kev * 1e-3 * MEV_TO_J * stays / mass_kg
    return [
        "Answers known exactly:",
        "",
        "| | found |",
        "|---|---|",
        f"| energy deposited + escaped over emitted, minus 1 | {closure:.1e} |",
        "| 90Y in proportion to mass, one medium, layers of 1.06, 0.26, 1.92 g/mL (Fano): |  |",
        f"| - dose of eight layers at the liver-lung interfaces over the mean | {interface:.4f} ± {interface_sd:.4f} |",
        f"| - largest deviation of any of 48 layers, in its standard uncertainties | {pull:.1f} |",
        f"| 177Lu electrons, endless source: dose over energy per mass | {uniform.mean() / expected:.4f} ± 0.0004 |",
    ]


def ompmc_rows() -> list[str]:
    """Slabs of bone, liver and lung beside ompmc."""
    if importlib.util.find_spec("ompmc") is None:
        return ["ompmc was not installed when this chapter was written: no live comparison."]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "physics" / "transport"))
    from ompmc_source import ompmc_dose, write_decays

    layers = np.repeat([0, 1, 2], [10, 14, 24])
    shape = (16, 16, 48)
    density = np.broadcast_to(np.array([1.92, 1.06, 0.26])[layers], shape).copy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decays"
        mean_mev = write_decays(path, "Y-90", np.array([0, 0, 2.0]), np.array([3.2, 3.2, 4.8]), 1_000_000)
        bounds = [np.arange(n + 1) * 0.2 for n in shape]
        media = ["ICRPBONE521ICRU", "ICRUTISSUE521ICRU", "LUNG521ICRU"]
        theirs = ompmc_dose(path, bounds, density, np.broadcast_to(layers + 1, shape), media, 1_000_000)
    decays = np.zeros(shape)
    decays[:, :, 10:24] = 1
    r = run(density, decays, (2.0, 2.0, 2.0), histories=5_000_000, parts="beta")
    emitted_mev = r.emitted_j / MEV_TO_J / decays.sum()
    a = r.dose_gy.mean(axis=(0, 1)) / decays.sum() / emitted_mev
    b = theirs.mean(axis=(0, 1)) / mean_mev
    parts = {
        "bone, 2 mm next to the liver": slice(9, 10),
        "liver, whole": slice(10, 24),
        "lung, 0 to 6 mm": slice(24, 27),
        "lung, 6 to 12 mm": slice(27, 30),
        "lung, 12 to 20 mm": slice(30, 34),
    }
    worst = np.abs(a[10:24] / b[10:24] - 1).max()
    lines = [
        "Against a live run of ompmc 0.4.0 (EGSnrc physics, 10⁶ decays; 90Y in the liver, 2 mm voxels, 32 mm wide):",
        "",
        "| | hepatica / ompmc |",
        "|---|---|",
    ]
    lines += [f"| {label} | {a[part].sum() / b[part].sum():.4f} |" for label, part in parts.items()]
    return [*lines, f"| liver, largest difference of any 2 mm layer | {100 * worst:.2f} % |"]


def engine_rows() -> list[str]:
    """The three engines at liver, lung and bone."""
    layers = np.repeat([1.92, 1.06, 0.26], [6, 14, 14])
    shape = (24, 24, 34)
    density = np.broadcast_to(layers, shape).copy()
    decays = np.zeros(shape)
    decays[:, :, 6:20] = 1e9
    grid = Grid.axial(shape, spacing_mm=(3.0, 3.0, 3.0))
    volumes = Volume(grid, decays, Kind.DECAYS), Volume(grid, density, Kind.DENSITY)
    monte_carlo = simulate(*volumes, nuclide("Y-90"), MonteCarloSettings(histories=8_000_000)).dose_gy
    others = {
        "kernel": dose_engine("kernel").compute(*volumes, nuclide("Y-90")).dose.values,
        "kernel, density none": dose_engine("kernel")
        .compute(*volumes, nuclide("Y-90"), DoseSettings(density="none"))
        .dose.values,
        "local": dose_engine("local").compute(*volumes, nuclide("Y-90")).dose.values,
    }
    parts = {
        "liver, 12 mm and more from a border": slice(10, 16),
        "liver, last 3 mm below the lung": slice(19, 20),
        "lung, first 3 mm": slice(20, 21),
        "lung, 3 to 12 mm": slice(21, 24),
        "lung, 12 to 30 mm": slice(24, 30),
        "bone, first 3 mm": slice(5, 6),
    }
    middle = (slice(8, 16), slice(8, 16))
    lines = [
        (
            "The engines beside each other: 90Y uniform in a slab of liver (1.06) between bone (1.92) and lung (0.26), "
            "3 mm voxels; dose over that of Monte Carlo:"
        ),
        "",
        "| | " + " | ".join(others) + " |",
        "|---|" + "---|" * len(others),
    ]
    for label, part in parts.items():
        truth = float(monte_carlo[(*middle, part)].mean(dtype=float))
        cells = [f"{float(dose[(*middle, part)].mean(dtype=float)) / truth:.3f}" for dose in others.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Run everything and put the tables into the page."""
    sections = [stopping_powers()]
    reference = os.environ.get("HEPATICA_REFERENCE")
    if reference:
        sections.append(kernel_rows(Path(reference)))
    else:
        sections.append(["HEPATICA_REFERENCE was not set when this chapter was written: no EGSnrc kernels."])
    sections += [exact_rows(), ompmc_rows(), engine_rows()]
    text = "\n\n".join("\n".join(section) for section in sections)
    page = PAGE.read_text(encoding="utf-8")
    start, end = (page.index(mark) for mark in MARKS)
    PAGE.write_text(page[: start + len(MARKS[0])] + "\n\n" + text + "\n\n" + page[end:], encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
