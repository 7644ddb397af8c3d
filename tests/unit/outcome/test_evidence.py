"""What the data cannot carry is refused, with words."""

from collections.abc import Callable

import numpy as np
import pytest

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.agreement import bland_altman, lin_concordance, passing_bablok
from hepatica.outcome.statistics.cox import cox
from hepatica.outcome.statistics.dose_response import fit_dose_response
from hepatica.outcome.statistics.evidence import events_per_variable, p_text, p_words
from hepatica.outcome.statistics.propensity import propensity
from hepatica.outcome.statistics.roc import accuracy_of_counts, calibration, proportion, roc
from hepatica.outcome.statistics.survival import cumulative_incidence, kaplan_meier, landmark, log_rank

TIME = np.arange(1.0, 21.0)
EVENT = np.ones(20)
HALF = np.arange(20) % 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: kaplan_meier([5.0], [1]), "single patient"),
        (lambda: kaplan_meier([5.0, -1.0], [1, 0]), "negative"),
        (lambda: kaplan_meier([5.0, np.nan], [1, 0]), "missing"),
        (lambda: kaplan_meier([5.0, 1.0], [1, 2]), "other than 0 and 1"),
        (lambda: kaplan_meier([5.0, 1.0], [1]), "different length"),
        (lambda: log_rank(TIME, EVENT, ["a"] * 20), "two groups"),
        (lambda: log_rank(TIME, np.arange(20) < 3, HALF.tolist()), "3 events"),
        (lambda: cumulative_incidence(TIME, [0] * 18 + [1, 2]), "2 events"),
        (lambda: landmark(TIME, EVENT, 19.5), "only 1 patients"),
        (lambda: cox(TIME, EVENT, {"x": np.ones(20)}), "same for all"),
        (lambda: cox(TIME, EVENT, {"x": HALF, "y": 2.0 * HALF + 1}), "collinear"),
        (lambda: cox(TIME, EVENT, {str(n): np.random.default_rng(n).normal(size=20) for n in range(5)}), "4.0 each"),
        (lambda: cox(TIME, TIME <= 10, {"x": (TIME <= 10).astype(float)}), "no finite estimate"),
        (lambda: fit_dose_response(TIME, HALF == 2), "0 events"),
        (lambda: fit_dose_response(TIME, TIME > 10), "between these doses"),
        (lambda: fit_dose_response(TIME, TIME < 11), "had less dose"),
        (lambda: fit_dose_response(TIME, [*([1] * 9), 0, 1, *([0] * 9)]), "does not rise"),
        (lambda: roc(TIME, TIME > 17), "3 events"),
        (lambda: propensity(HALF, {"x": HALF}), "separate"),
        (lambda: calibration(np.linspace(0, 1, 20), HALF), "between 0 and 1"),
        (lambda: bland_altman([1, 2], [1, 2]), "2 pairs"),
        (lambda: lin_concordance([1] * 6, [1, 2, 3, 4, 5, 6]), "same for all"),
        (lambda: passing_bablok([1] * 6, [2] * 6), "too few distinct"),
        (lambda: proportion(3, 2), "no proportion"),
        (
            lambda: accuracy_of_counts(true_positive=0, false_positive=0, false_negative=0, true_negative=0),
            "not all zero",
        ),
    ],
)
def test_refusals(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(EvidenceError, match=message):
        wrong()


def test_events_per_variable() -> None:
    assert events_per_variable(100, 3, "model") == ()
    assert "7.0 events per covariate" in events_per_variable(21, 3, "model")[0].text


def test_words_do_not_over_read() -> None:
    assert p_text(0.0004) == "p < 0.001"
    assert "not proof of cause" in p_words(0.01, events=100)
    assert "easily be missed" in p_words(0.4, events=20)
    assert p_words(0.4, events=200) == "no difference shown"


def test_median_not_reached_is_none() -> None:
    curve = kaplan_meier(TIME, TIME < 5)
    assert curve.median is None
    assert np.isnan(curve.at(100.0)[0])
