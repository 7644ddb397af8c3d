"""What a decay emits, and the sampling tables made of it."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.nuclides import NUCLIDE_NAMES, nuclide
from hepatica.transport.runner.source import alias_table, beta_quantiles_kev, emission


@pytest.mark.parametrize("name", NUCLIDE_NAMES)
def test_mean_energy_is_the_nuclides(name: str) -> None:
    n = nuclide(name)
    emitted = emission(n, "all").mean_kev
    pairs = sum(line.energy_kev * line.yield_per_decay for line in n.photons if line.kind == "annihilation")
    # nuclide: electrons (pairs as their kinetic energy) and photons, from the evaluation's mean energies; the source
    # samples the computed spectra with those means (`spectrum.with_mean`), as a table of 0.25 keV
    assert emitted == pytest.approx(1000 * (n.electron_energy_mev + n.photon_energy_mev), rel=1e-4)
    assert pairs == pytest.approx(n.positron_yield * 1021.998, rel=1e-3)


def test_parts_add_up() -> None:
    for name in ("Y-90", "I-131", "Tc-99m"):
        n = nuclide(name)
        parts = sum(emission(n, part).mean_kev for part in ("beta", "photon"))  # type: ignore[arg-type]
        assert parts == pytest.approx(emission(n).mean_kev, rel=1e-12)


def test_unknown_part_lists_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="all, beta, photon"):
        emission(nuclide("Y-90"), "gamma")  # type: ignore[arg-type]


def test_nothing_to_emit_is_an_error() -> None:
    from dataclasses import replace

    with pytest.raises(PhysicsError, match="emits nothing"):
        emission(replace(nuclide("Y-90"), photons=()), "photon")


def test_quantiles_of_a_triangle_are_exact() -> None:
    # density 2x on 0..1: quantile sqrt(u), mean 2/3; a coarse grid must not matter
    edges = beta_quantiles_kev(np.array([0.0, 0.3, 1.0]), np.array([0.0, 0.6, 2.0]))
    np.testing.assert_allclose(edges, np.sqrt(np.linspace(0, 1, len(edges))), atol=1e-12)
    assert (edges[1:] + edges[:-1]).mean() / 2 == pytest.approx(2 / 3, rel=1e-5)


@pytest.mark.parametrize("kind", ["spread", "one hot", "equal", "equal but for rounding", "zeros", "single"])
def test_alias_table_keeps_the_probabilities(kind: str) -> None:
    weights = {
        "spread": np.random.default_rng(0).gamma(0.3, size=999),
        "one hot": np.r_[np.full(500, 1e-3), 1e4, np.full(500, 2e-3)],
        "equal": np.ones(7),
        "equal but for rounding": np.full(504, 0.1),
        "zeros": np.r_[0.0, 3.0, 0.0, 1.0],
        "single": np.array([5.0]),
    }[kind]
    keep, other = alias_table(weights)
    found = keep.astype(float)
    np.add.at(found, other, 1 - keep.astype(float))
    np.testing.assert_allclose(found / len(weights), weights / weights.sum(), rtol=0, atol=1e-7)
