"""Generator regrowth against worked example A2, a numerical solution and the literature's 99Mo branching."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hepatica.errors import TimeError, UnknownNameError
from hepatica.nuclides import generator, nuclide

HOUR = 3600.0


def test_worked_example_a2() -> None:
    """188W/188Re: 80.1 % of equilibrium at 40 h ("recover to 80 % at 40 h"), 79.6 % of the parent, peak at 113.8 h."""
    g = generator("188Re")
    assert g.parent == "W-188"
    assert g.parent_half_life.value == pytest.approx(69.78 * 86400, rel=1e-6)
    assert g.fraction_of_equilibrium(40 * HOUR) == pytest.approx(0.8009, abs=2e-4)
    assert g.daughter_activity(40 * HOUR) == pytest.approx(0.7958, abs=2e-4)
    assert g.time_of_maximum_s / HOUR == pytest.approx(113.76, abs=0.05)


@pytest.mark.parametrize(("hours", "equilibrium"), [(17, 0.4964), (24, 0.6203), (48, 0.8558), (72, 0.9453)])
def test_regrowth_table(hours: float, equilibrium: float) -> None:
    """The reference collection's table, four digits."""
    assert generator("W-188").fraction_of_equilibrium(hours * HOUR) == pytest.approx(equilibrium, abs=1e-4)


@pytest.mark.parametrize("name", ["Y-90", "Re-188", "Ho-166", "Tc-99m"])
def test_against_the_differential_equation(name: str) -> None:
    g = generator(name)
    end = 2 * g.daughter.half_life_s
    slow, fast = np.log(2) / g.parent_half_life.value, np.log(2) / g.daughter.half_life_s
    solution = solve_ivp(
        lambda _, n: [-slow * n[0], g.branching * slow * n[0] - fast * n[1]],
        (0, end),
        [1 / slow, 0.1 / fast],
        rtol=1e-10,
        atol=1e-6,
    )
    expected = fast * solution.y[1, -1]
    assert g.daughter_activity(end, parent_bq=1.0, daughter_bq=0.1) == pytest.approx(expected, rel=1e-6)


def test_branching_of_molybdenum() -> None:
    """ICRP-107: 0.8773; summed here from ENSDF, whose beta feeding is given as 82.2 %."""
    assert generator("Mo-99").branching == pytest.approx(0.8773, rel=2e-3)


def test_bad_input() -> None:
    with pytest.raises(UnknownNameError, match="W-188/Re-188"):
        generator("I-131")
    with pytest.raises(TimeError, match="negative"):
        generator("Re-188").daughter_activity(-1.0)
    with pytest.raises(TimeError, match="negative"):
        generator("Re-188").fraction_of_equilibrium(float("nan"))


def test_daughter_is_the_nuclide() -> None:
    assert generator("99mTc").daughter is nuclide("Tc-99m")
