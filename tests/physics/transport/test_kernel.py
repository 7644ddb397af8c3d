"""Point kernels and voxel S values against independent computations and published tables."""

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.nuclides import Nuclide, nuclide
from hepatica.transport.kernels import voxel as kernels
from hepatica.transport.kernels.voxel import kernel_names, point_kernel, voxel_kernel
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings

WATER = [name for name, medium in kernel_names() if medium == "water"]
GY_PER_MGY_MBQ_S = 1e-9


def with_icrp107_energies(name: str) -> tuple[Nuclide, float, float]:
    """Nuclide and what turns doses with our (ENSDF) energies into doses with the reference's (ICRP-107) ones."""
    ours = nuclide(name)
    electrons, photons = {
        "Y-90": (0.933113, 1e-6),
        "I-131": (0.191882, 0.382758),
        "Lu-177": (0.147949, 0.035098),
    }[name]
    return ours, electrons / ours.electron_energy_mev, photons / ours.photon_energy_mev


@pytest.mark.parametrize("name", ["Y-90", "I-131", "Lu-177"])
def test_voxel_values_against_direct_monte_carlo(name: str, reference: Path) -> None:
    # Scored voxel by voxel by EGSnrc, not made from the point kernel: an independent way to the same numbers.
    # Tolerance: 1 % for the source voxel and face neighbours, 2 % for edge and corner neighbours (issue 2), plus two
    # statistical standard uncertainties of the reference (0.07 % to 2 %) and of the point kernel (about the same).
    rows = np.loadtxt(reference / "kernels" / f"vsv_egsnrc_{name}_3mm.csv", delimiter=",", comments="#")
    ours, electrons, photons = with_icrp107_energies(name)
    kernel = voxel_kernel(ours, (3.0, 3.0, 3.0), half_shape=(8, 8, 8))
    value = kernel.electron_gy_per_decay * electrons + kernel.photon_gy_per_decay * photons
    checked = 0
    for i, j, k, expected, rel_sd, *_ in rows:
        at = (int(i), int(j), int(k))
        if max(at) > 2:
            continue
        tolerance = (0.01 if sum(at) <= 1 else 0.02) + 2 * np.sqrt(2) * rel_sd
        assert float(value[at]) / GY_PER_MGY_MBQ_S == pytest.approx(expected, rel=tolerance), at
        checked += 1
    assert checked == 10


@pytest.mark.parametrize("name", ["I-131", "Lu-177"])
def test_photon_tail_against_direct_monte_carlo(name: str, reference: Path) -> None:
    # Sums over whole shells of voxels, where the reference's 2 to 5 % per voxel average out: 1.5 %.
    rows = np.loadtxt(reference / "kernels" / f"vsv_egsnrc_{name}_3mm.csv", delimiter=",", comments="#")
    ours, electrons, photons = with_icrp107_energies(name)
    kernel = voxel_kernel(ours, (3.0, 3.0, 3.0), half_shape=(11, 11, 11))
    value = (kernel.electron_gy_per_decay * electrons + kernel.photon_gy_per_decay * photons) / GY_PER_MGY_MBQ_S
    index = rows[:, :3].astype(int)
    images = np.array([len(set(_mirrored(at))) for at in index.tolist()])
    for low, high in ((3, 5), (6, 8), (9, 10)):
        chosen = (index.max(axis=1) >= low) & (index.max(axis=1) <= high)
        assert chosen.sum() > 10
        expected = float((rows[chosen, 3] * images[chosen]).sum())
        found = float((value[tuple(index[chosen].T)] * images[chosen]).sum())
        assert found == pytest.approx(expected, rel=0.015)


def _mirrored(at: list[int]) -> list[tuple[int, ...]]:
    return [
        tuple(s * n for s, n in zip(signs, order, strict=True))
        for order in permutations(at)
        for signs in product((1, -1), repeat=3)
    ]


@pytest.mark.parametrize("size", [3.0, 4.42, 4.8])
def test_y90_against_lanconelli(size: float, reference: Path) -> None:
    # Lanconelli et al., Phys Med Biol 2012;57:517 (three digits, DOSXYZnrc, soft tissue of 1.04 g/mL assumed by the
    # reader of the table, see worked example G1). 3 % for self and face; 6 % for edge and corner, 12 % two voxels off,
    # where the scatter of a published Monte Carlo and the density (range ends there) matter more.
    examples: list[dict[str, Any]] = yaml.safe_load((reference / "worked_examples.yaml").read_text())["examples"]
    (example,) = [e for e in examples if e["id"] == "G1"]
    expected = example["expected"][f"90Y {size:g} mm"]
    ours, electrons, _ = with_icrp107_energies("Y-90")
    kernel = voxel_kernel(ours, (size, size, size), half_shape=(4, 4, 4), density_g_ml=1.04)
    value = kernel.gy_per_decay * electrons / GY_PER_MGY_MBQ_S
    for at, key, tolerance in (
        ((0, 0, 0), "S000", 0.03),
        ((1, 0, 0), "S100", 0.03),
        ((1, 1, 0), "S110", 0.06),
        ((1, 1, 1), "S111", 0.06),
        ((2, 0, 0), "S200", 0.12),
    ):
        assert float(value[at]) == pytest.approx(expected[key], rel=tolerance), key


def test_x90_of_y90() -> None:
    # 5.43 mm (EGSnrc), 5.48 mm (PENELOPE, same emissions), 5.47 mm (Graves et al. 2019): 1 % spread, shells of 0.14 mm.
    assert point_kernel("Y-90").radius_of_fraction_mm(0.9) == pytest.approx(5.46, abs=0.06)


@pytest.mark.parametrize("name", WATER)
@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (4.42, 4.42, 4.42), (2.0, 2.0, 5.0)])
def test_a_voxel_kernel_keeps_the_energy_of_its_point_kernel(name: str, spacing: tuple[float, float, float]) -> None:
    # The near part keeps it exactly; the sampled far part and single precision within 0.05 %.
    table = point_kernel(name)
    half = [int(table.r_mm[-1] / a) + 2 for a in spacing]
    kernel = voxel_kernel(nuclide(name), spacing, half_shape=half)
    assert kernel.covered_electron_fraction == pytest.approx(table.electron_sum, rel=5e-4)
    assert kernel.covered_photon_fraction == pytest.approx(table.photon_sum, rel=5e-4)


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (2.0, 2.0, 5.0)])
def test_refining_the_integration_changes_nothing(
    spacing: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four times as many points. Wanted: 0.1 % at the source, 0.3 % in the neighbours; held: 0.01 and 0.05 %.
    y90 = nuclide("Y-90")
    usual = voxel_kernel(y90, spacing, half_shape=(3, 3, 3))
    monkeypatch.setattr(kernels, "DIRECTIONS", 2 * kernels.DIRECTIONS)
    monkeypatch.setattr(kernels, "STEPS_PER_VOXEL", 2 * kernels.STEPS_PER_VOXEL)
    kernels._near_shares.cache_clear()
    fine = voxel_kernel(y90, spacing, half_shape=(3, 3, 3))
    kernels._near_shares.cache_clear()
    relative = np.abs(usual.gy_per_decay / fine.gy_per_decay - 1)
    assert float(relative[0, 0, 0]) < 1e-4
    assert float(relative[:2, :2, :2].max()) < 5e-4
    assert usual.integration_rel_error < 5e-4


def test_joining_small_voxels_gives_the_large_one() -> None:
    # 2 x 2 x 2 voxels of 2 mm are one of 4 mm: the mean over sources and targets of the fine values must be the coarse
    # one. The two are integrated on different lattices, so this tests the geometry of the integration.
    i131 = nuclide("I-131")
    fine = voxel_kernel(i131, (2.0, 2.0, 2.0), half_shape=(8, 8, 8)).gy_per_decay.astype(float)
    coarse = voxel_kernel(i131, (4.0, 4.0, 4.0), half_shape=(3, 3, 3)).gy_per_decay
    # Offsets between two of the halves of voxels n apart: 2n - 1, 2n, 2n, 2n + 1.
    for at in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (2, 1, 1)):
        offsets = [np.abs([2 * n - 1, 2 * n, 2 * n, 2 * n + 1]) for n in at]
        assert float(coarse[at]) == pytest.approx(float(fine[np.ix_(*offsets)].mean()), rel=1e-3)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["Y-90", "I-131", "Lu-177"]),
    spacing=st.tuples(*[st.floats(1.5, 9.0)] * 3),
    density=st.floats(0.3, 2.0),
)
def test_any_spacing_keeps_the_energy_within_its_reach(
    name: str, spacing: tuple[float, float, float], density: float
) -> None:
    # All voxels within 40 mm along each axis: they hold at least what is absorbed within 40 mm less one voxel diagonal
    # of the source, and at most all.
    table = point_kernel(name)
    half = [int(40 / a) + 1 for a in spacing]
    kernel = voxel_kernel(nuclide(name), spacing, half_shape=half, density_g_ml=density)
    inner_mm = min((n - 0.5) * a - 0.5 * a for n, a in zip(half, spacing, strict=True))
    cumulative = np.concatenate([[0.0], np.cumsum(table.electron_fraction)])
    at_least = float(np.interp(inner_mm * density, table.r_mm, cumulative))
    assert at_least * (1 - 1e-4) <= kernel.covered_electron_fraction <= table.electron_sum * (1 + 1e-4)
    assert (kernel.electron_gy_per_decay >= 0).all()
    assert kernel.integration_rel_error < 3e-3


def test_density_scales_distance() -> None:
    # In a medium twice as dense voxels of half the edge hold the same share of the energy, in a quarter of the mass.
    y90 = nuclide("Y-90")
    thin = voxel_kernel(y90, (4.0, 4.0, 6.0), half_shape=(3, 3, 3))
    dense = voxel_kernel(y90, (2.0, 2.0, 3.0), half_shape=(3, 3, 3), density_g_ml=2.0)
    np.testing.assert_allclose(dense.gy_per_decay, 4 * thin.gy_per_decay, rtol=1e-4)


def test_self_dose_of_a_huge_voxel_is_the_mean_energy() -> None:
    # A 100 mm cube holds the electrons of 177Lu (range 2 mm): edge loss = mean projected range / edge, about 0.1 %.
    lu = nuclide("Lu-177")
    kernel = voxel_kernel(lu, (100.0, 100.0, 100.0), half_shape=(2, 2, 2))
    expected = lu.electron_energy_mev * MEV_TO_J / 1.0
    assert float(kernel.electron_gy_per_decay[0, 0, 0]) == pytest.approx(expected, rel=5e-3)


def test_anisotropic_voxels_against_our_own_monte_carlo() -> None:
    # 2 x 2 x 5 mm, 90Y: decays followed one by one from the voxel itself (transport.runner.montecarlo), sharing
    # neither the point kernel (EGSnrc) nor the integration. 1 % at the source and faces, 2 % at the edges (issue 2; two
    # such codes agree to 0.5 % in water), and two standard uncertainties of the simulation (0.1 to 0.5 %).
    grid = Grid.axial((9, 9, 5), spacing_mm=(2, 2, 5))
    values = np.zeros(grid.shape, np.float32)
    values[4, 4, 2] = 1e9
    water = Volume(grid, np.ones(grid.shape, np.float32), Kind.DENSITY)
    y90 = nuclide("Y-90")
    simulated = simulate(
        Volume(grid, values, Kind.DECAYS),
        water,
        y90,
        MonteCarloSettings(histories=1_000_000, seed=7, media=((5.0, "water"),)),
    )
    kernel = voxel_kernel(y90, (2.0, 2.0, 5.0), half_shape=(3, 3, 3)).gy_per_decay
    for at, tolerance in (
        ((0, 0, 0), 0.01),
        ((1, 0, 0), 0.01),
        ((0, 0, 1), 0.01),
        ((1, 1, 0), 0.02),
        ((1, 0, 1), 0.02),
    ):
        images = {(4 + s * at[0], 4 + u * at[1], 2 + w * at[2]) for s, u, w in product((1, -1), repeat=3)}
        mean = np.mean([float(simulated.dose_gy[image]) for image in images])
        sd = np.mean([float(simulated.dose_sd_gy[image]) for image in images]) / np.sqrt(len(images))
        assert 1e9 * float(kernel[at]) == pytest.approx(mean, abs=tolerance * mean + 2 * sd), at
