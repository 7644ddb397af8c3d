"""The bladder between voidings, against a count in small steps and against its limits."""

import math

import numpy as np
import pytest

from hepatica.dosimetry.time.voiding import bladder_residence_s
from hepatica.errors import InputError

PHYSICAL_S, HOUR_S = 8.0252 * 86400, 3600.0


def by_steps(effective_s: float, interval_s: float) -> float:
    """A bladder of one exponential: filled second by second, decaying, emptied."""
    step = 5.0
    decay, rate = math.log(2) / PHYSICAL_S, math.log(2) / effective_s
    held = total = 0.0
    kept = math.exp(-decay * step)
    for n in range(int(10 * effective_s / step)):
        body = math.exp(-rate * (n + 0.5) * step)
        filled = held * kept + (rate - decay) * step * body
        total += (held + filled) / 2 * step
        held = 0.0 if (n + 1) % round(interval_s / step) == 0 else filled
    return total


@pytest.mark.parametrize(("effective_h", "interval_h"), [(12.0, 4.0), (5.0, 2.0)])
def test_the_sum_over_voidings_is_a_count_in_small_steps(effective_h: float, interval_h: float) -> None:
    """Steps of 5 s of hours: 1e-3; ten effective half-lives hold all but 1e-3."""
    found = bladder_residence_s([1.0], [effective_h * HOUR_S], physical_half_life_s=PHYSICAL_S,
                                interval_s=interval_h * HOUR_S)  # fmt: skip
    assert found == pytest.approx(by_steps(effective_h * HOUR_S, interval_h * HOUR_S), rel=3e-3)


def test_limits() -> None:
    """Never emptied, all that leaves decays in it; emptied at once, nothing; no excretion, nothing; shares add up."""
    decay, rate = math.log(2) / PHYSICAL_S, math.log(2) / (50 * HOUR_S)
    asked = {"physical_half_life_s": PHYSICAL_S}
    never = bladder_residence_s([0.8], [50 * HOUR_S], interval_s=1000 * PHYSICAL_S, **asked)
    assert never == pytest.approx(0.8 * (1 / decay - 1 / rate))
    short = [bladder_residence_s([0.8], [50 * HOUR_S], interval_s=s, **asked) for s in (3600.0, 360.0)]
    assert short[1] == pytest.approx(short[0] / 10, rel=0.01)
    assert bladder_residence_s([1.0], [PHYSICAL_S], interval_s=3600.0, **asked) == 0.0
    both = bladder_residence_s([0.3, 0.5], [50 * HOUR_S, 20 * HOUR_S], interval_s=3600.0, urine_share=0.6, **asked)
    apart = [bladder_residence_s([a], [t * HOUR_S], interval_s=3600.0, **asked) for a, t in ((0.3, 50), (0.5, 20))]
    assert both == pytest.approx(0.6 * float(np.sum(apart)))
    with pytest.raises(InputError, match="state both above 0"):
        bladder_residence_s([1.0], [HOUR_S], interval_s=0.0, **asked)
