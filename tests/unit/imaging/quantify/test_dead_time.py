"""Dead time: the two models, their inverses, and what cannot be inverted."""

import numpy as np
import pytest

from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.imaging.quantify.dead_time import live_fraction, observed_rate, true_rate


@pytest.mark.parametrize("model", ["paralysable", "non-paralysable"])
def test_inverse(model: str) -> None:
    true = np.array([0.0, 1.0, 1e3, 1e5, 4e5])
    observed = observed_rate(true, tau_s=1.5e-6, model=model)  # type: ignore[arg-type]
    np.testing.assert_allclose(true_rate(observed, tau_s=1.5e-6, model=model), true, rtol=1e-9)  # type: ignore[arg-type]


def test_both_models_agree_with_simulated_pulses() -> None:
    """2e6 events of a Poisson process of 2e5 per second; the paralysable count is of gaps longer than tau."""
    rng = np.random.default_rng(1)
    gaps = rng.exponential(1 / 2e5, 2_000_000)
    times = np.cumsum(gaps)
    paralysable = (gaps > 2e-6).sum() / times[-1]
    kept, busy_until = 0, -1.0
    for t in times[:300_000].tolist():
        if t > busy_until:
            kept, busy_until = kept + 1, t + 2e-6
    # Counting noise: 0.1 % of 1.3e6 and 0.2 % of 2e5 events.
    assert observed_rate(2e5, tau_s=2e-6, model="paralysable") == pytest.approx(paralysable, rel=0.004)
    assert observed_rate(2e5, tau_s=2e-6, model="non-paralysable") == pytest.approx(kept / times[299_999], rel=0.008)


def test_live_fraction_and_errors() -> None:
    lost = live_fraction([0.0, 2e6], 20.0, tau_s=1e-6, model="non-paralysable")
    np.testing.assert_allclose(lost, [1.0, 0.9])
    with pytest.raises(PhysicsError, match="largest"):
        true_rate(4e5, tau_s=1e-6, model="paralysable")
    with pytest.raises(UnknownNameError, match="non-paralysable"):
        true_rate(4e5, tau_s=1e-6, model="paralyzed")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not negative"):
        observed_rate(-1.0, tau_s=1e-6, model="paralysable")
