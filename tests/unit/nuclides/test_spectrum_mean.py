"""A spectrum with another mean keeps its yield and its endpoint."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.errors import PhysicsError
from hepatica.nuclides.spectrum import with_mean


def test_another_mean_keeps_yield_and_endpoint() -> None:
    # density 6x(1 - x) on 0..1: mean 1/2; by trapezoids of 0.001, exact to 1e-6
    x = np.linspace(0, 1, 1001)
    density = 6 * x * (1 - x)
    moved = with_mean(x, density, 0.51)
    assert np.trapezoid(moved, x) == pytest.approx(1, rel=1e-5)
    assert np.trapezoid(moved * x, x) == pytest.approx(0.51, rel=1e-5)
    assert moved[-1] == 0
    assert (moved >= 0).all()


def test_a_mean_that_it_cannot_have_is_refused() -> None:
    x = np.linspace(0, 1, 101)
    with pytest.raises(PhysicsError, match="cannot have the mean"):
        with_mean(x, 6 * x * (1 - x), 0.9)
