"""Limits of agreement with repeated measures."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.agreement import bland_altman, repeated_bland_altman


def test_spread_between_and_within_patients_is_found() -> None:
    # 400 patients of 5 pairs: a difference between patients of sd 3 and within of sd 4, bias 2. The limits are
    # 2 -+ 1.96 * 5; the sd is known to about 5 / sqrt(2 * 400) = 0.18.
    random = np.random.default_rng(5)
    subjects = [n for n in range(400) for _ in range(5)]
    first = random.uniform(50, 100, size=2000)
    second = first + 2 + 3 * random.normal(size=400)[subjects] + 4 * random.normal(size=2000)
    found = repeated_bland_altman(first, second, subjects)
    assert (found.n, found.subjects) == (2000, 400)
    assert found.bias == pytest.approx(2, abs=0.5)
    assert found.between_sd == pytest.approx(3, abs=0.45)
    assert found.within_sd == pytest.approx(4, abs=0.3)
    assert found.upper_limit == pytest.approx(2 + 1.96 * 5, abs=1.0)
    assert found.bias_low < 2 < found.bias_high
    # Taken as independent the bias looks better known than it is.
    plain = bland_altman(first, second)
    assert found.bias_high - found.bias_low > 1.3 * (plain.bias_high - plain.bias_low)


def test_hand_worked_numbers() -> None:
    # Differences 1, 3 | 2, 4 | 6, 8: means 2, 3, 7; within 6 / 3 = 2; among 2 (4 + 1 + 9) / 2 = 14; n0 = 2; between 6.
    found = repeated_bland_altman([0.0] * 6, [1.0, 3, 2, 4, 6, 8], ["a", "a", "b", "b", "c", "c"])
    assert found.bias == pytest.approx(4)
    assert found.within_sd**2 == pytest.approx(2)
    assert found.between_sd**2 == pytest.approx(6)
    assert found.sd**2 == pytest.approx(8)
    assert found.lower_limit == pytest.approx(4 - 1.959964 * 8**0.5)


def test_what_cannot_be_repeated_is_refused() -> None:
    with pytest.raises(EvidenceError, match="two with several"):
        repeated_bland_altman([1.0] * 5, [2.0] * 5, list(range(5)))
    with pytest.raises(EvidenceError, match="two with several"):
        repeated_bland_altman([1.0] * 5, [2.0] * 5, ["a"] * 5)
    with pytest.raises(EvidenceError, match="4 subjects for 5 pairs"):
        repeated_bland_altman([1.0] * 5, [2.0] * 5, list(range(4)))
