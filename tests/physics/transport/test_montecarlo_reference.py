"""Monte Carlo against kernels of an independent code: EGSnrc 2025, `reference/kernels` (its README says how made)."""

from __future__ import annotations

import re
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.nuclides import nuclide
from hepatica.transport.kernels.point_source import RadialEnergy, radial_energy
from hepatica.transport.matter.composition import medium
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.transport.runner.upload import Shells

HISTORIES = {"Y-90": 200_000, "Lu-177": 200_000, "I-131": 200_000}


def _reference(folder: Path, name: str) -> tuple[np.ndarray, float, float]:
    path = folder / "kernels" / f"dpk_egsnrc_{name}.csv"
    header = path.read_text().splitlines()[0]
    found = re.search(r"beta ([\d.]+), CE\+Auger ([\d.]+), photons (\d+\.\d+)", header)
    assert found
    rows = np.genfromtxt(path, delimiter=",", comments="#")
    return rows[~np.isnan(rows[:, 0])], float(found[1]) + float(found[2]), float(found[3])


def _point_source(name: str, shells: Shells, part: str) -> RadialEnergy:
    return radial_energy(
        nuclide(name),
        medium("water"),
        shells,
        histories=HISTORIES[name],
        parts=part,
        threads=2,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", list(HISTORIES))
def test_electron_point_kernel(reference: Path, name: str) -> None:
    rows, electrons_mev, _ = _reference(reference, name)
    shells = Shells(float(rows[0, 1]), 80, 25, 500.0)
    ours = _point_source(name, shells, "beta")
    radii = rows[:, 1]
    cumulative = np.interp(radii, ours.edges_mm[1:], np.cumsum(ours.fractions))
    # the bar of issue 3: 0.7 percentage points at every radius. Statistics 0.1; the reference's sampled energy is off
    # by up to 0.2 (177Lu sums to 1.0020); ICRP-107 against ENSDF spectra a few tenths
    assert np.abs(cumulative - np.cumsum(rows[:, 2]) / electrons_mev).max() < 0.007
    if name == "Y-90":
        x90 = float(np.interp(0.9, cumulative, radii))
        # reference 5.43, PENELOPE 5.48, Graves 2019 5.47 mm
        assert 5.40 < x90 < 5.50


@pytest.mark.parametrize("name", ["Lu-177", "I-131"])
def test_photon_point_kernel(reference: Path, name: str) -> None:
    rows, _, photons_mev = _reference(reference, name)
    ours = _point_source(name, Shells(float(rows[0, 1]), 80, 25, 500.0), "photon")
    radii = rows[:, 1]
    cumulative = np.interp(radii, ours.edges_mm[1:], np.cumsum(ours.fractions))
    assert np.abs(cumulative - np.cumsum(rows[:, 3]) / photons_mev)[:80].max() < 0.002
    # beyond the electrons' range: interpolation within logarithmic shells that are not the reference's adds to 0.7
    assert np.abs(cumulative - np.cumsum(rows[:, 3]) / photons_mev).max() < 0.012


def _bremsstrahlung_tail(rows: np.ndarray, ours: RadialEnergy) -> tuple[float, float]:
    far = rows[:, 0] > 12
    theirs = float(rows[far, 2].sum())
    edges = ours.edges_mm
    cumulative = np.concatenate([[0.0], np.cumsum(ours.kev_per_decay)]) / 1000
    low, high = np.interp([rows[far, 0][0], rows[far, 1][-1]], edges, cumulative)
    return float(high - low), theirs


def test_bremsstrahlung_tail_of_y90(reference: Path) -> None:
    rows, _, _ = _reference(reference, "Y-90")
    ours, theirs = _bremsstrahlung_tail(rows, _point_source("Y-90", Shells(float(rows[0, 1]), 80, 25, 500.0), "beta"))
    # ours 2 %, the reference 1.5 % (5-8 % per shell); 2.5 % for the shape of the analytic spectrum, which is scaled to
    # ESTAR. Found: -2.5 % with 2e6 decays
    assert ours == pytest.approx(theirs, rel=0.06)


@pytest.mark.parametrize("name", list(HISTORIES))
def test_voxel_s_values_at_3_mm(reference: Path, name: str) -> None:
    path = reference / "kernels" / f"vsv_egsnrc_{name}_3mm.csv"
    rows = np.genfromtxt(path, delimiter=",", comments="#")
    rows = rows[~np.isnan(rows[:, 0])]
    size, centre = 41, 20
    grid = Grid.axial((size,) * 3, spacing_mm=(3.0, 3.0, 3.0))
    decays = np.zeros(grid.shape)
    decays[centre, centre, centre] = 1.0
    water = ((np.inf, "water"),)
    settings = MonteCarloSettings(histories=800_000, threads=2, media=water, parts="beta")
    volumes = Volume(grid, decays, Kind.DECAYS), Volume(grid, np.ones(grid.shape), Kind.DENSITY)
    result = simulate(*volumes, nuclide(name), settings)
    emitted = {"Y-90": 0.933113, "Lu-177": 0.147949, "I-131": 0.191882}[name]
    # the reference's ICRP-107 energies per decay differ from ENSDF's by up to 0.3 %: compare per energy emitted
    scale = emitted / nuclide(name).electron_energy_mev
    bars = {(0, 0, 0): 0.01, (1, 0, 0): 0.01, (1, 1, 0): 0.01, (1, 1, 1): 0.01, (2, 0, 0): 0.02, (2, 1, 0): 0.02}
    for offset, bar in bars.items():
        places = {
            tuple(centre + sign * n for sign, n in zip(signs, order, strict=True))
            for order in permutations(offset)
            for signs in product((-1, 1), repeat=3)
        }
        ours = float(np.mean([result.dose_gy[place] for place in places])) * 1e9 * scale
        row = rows[(rows[:, :3] == offset).all(axis=1)][0]
        if row[5] < 1e-3 * rows[0, 5]:
            continue  # beyond the electrons' range: bremsstrahlung, 10-20 % in the reference
        sd = float(np.sqrt(np.mean([result.dose_sd_gy[place] ** 2 for place in places]) / len(places))) * 1e9
        noise = 3 * np.hypot(row[4] * row[5], sd)
        assert abs(ours - row[5]) < bar * row[5] + noise, (name, offset, ours / row[5])
