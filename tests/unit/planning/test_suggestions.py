"""Questions that a delivered dose asks: only beyond the interval, with numbers, and each with its source."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hepatica.planning.delivery.suggestions import Suggestion, suggestions, suggestions_table
from hepatica.planning.measured.judged_doses import FoundElsewhere, JudgedDose, JudgedTreatment

GOAL = JudgedDose("tumour", "tumour", 100.0, 0.0, True, ">=", 205.0, "HCC", "Weber 2022")
LIVER = JudgedDose("normal liver", "normal_liver", 30.0, 1.0, True, "<=", 75.0, "unilobar", "Weber 2022")
LUNGS = JudgedDose("lungs", "lung", 5.0, 1.0, True, "<=", 30.0, "per treatment", "van Roekel")
PLACE = FoundElsewhere("12 mm below the liver", "", "stomach or duodenum", 0.02, 0.004, 60.0, 12.0)


def _asked(*doses: JudgedDose, elsewhere: tuple[FoundElsewhere, ...] = (), **more: object) -> tuple[Suggestion, ...]:
    return suggestions(JudgedTreatment(doses, elsewhere, 2.0), **more)  # type: ignore[arg-type]


def test_nothing_is_asked_where_goals_are_reached_and_limits_kept() -> None:
    assert _asked(replace(GOAL, dose_gy=300.0), LIVER, LUNGS) == ()


def test_a_missed_goal_asks_for_the_activity_that_reaches_it() -> None:
    first = _asked(GOAL, LIVER, LUNGS)[0]
    assert first.kind == "top-up"
    assert first.top_up is not None
    # Linear: 205 of 100 Gy take 1.05 times what was given, 2 GBq; the liver then has 30 x 2.05 = 61.5 of 75 Gy.
    assert first.top_up.activity_gbq == pytest.approx(2.1)
    assert [row.dose_gy for row in first.top_up.limits] == pytest.approx([61.5, 10.25])
    assert first.top_up.keeps_limits
    # The most that keeps all: 75 / 30 - 1 = 1.5 times 2 GBq; the lungs would allow 5 times.
    assert first.top_up.allowed_gbq == pytest.approx(3.0)
    assert "?" in first.question


def test_a_top_up_that_passes_a_limit_says_what_keeps_it() -> None:
    first = _asked(GOAL, replace(LIVER, dose_gy=60.0))[0]
    assert first.top_up is not None
    assert not first.top_up.keeps_limits
    assert first.top_up.allowed_gbq == pytest.approx(0.5)  # 75 / 60 - 1 = a quarter of 2 GBq
    assert first.top_up.dose_allowed_gy == pytest.approx(125.0)
    assert "passed" in first.question
    assert "keeps every limit" in first.question


def test_a_goal_inside_of_the_interval_is_open_and_no_top_up_follows() -> None:
    for dose in (190.0, 220.0):  # missed and reached by the value alone
        found = _asked(replace(GOAL, dose_gy=dose, sd_gy=20.0))
        assert [(one.kind, one.certainty) for one in found] == [("open", "open")]
        assert found[0].top_up is None
        assert "neither reached nor missed for certain" in found[0].question


def test_an_unknown_calibration_widens_the_interval() -> None:
    # 180 Gy known to 1 Gy misses 205 Gy; with a tenth of calibration the interval, 145 to 215 Gy, holds it.
    near = replace(GOAL, dose_gy=180.0, sd_gy=1.0)
    assert _asked(near)[0].certainty == "certain"
    assert _asked(replace(near, calibration_known=False))[0].certainty == "open"


def test_without_an_uncertainty_it_is_said() -> None:
    first = _asked(replace(GOAL, sd_gy=None))[0]
    assert first.certainty == "not known"
    assert first.question.startswith("Its uncertainty is not known")


def test_what_did_not_reach_a_lesion_is_not_scaled() -> None:
    first = _asked(GOAL, LIVER, delivered_share={"tumour": 0.1})[0]
    assert first.top_up is None
    assert "catheter" in first.question


@pytest.mark.parametrize(("limit", "words"), [(LIVER, "bilirubin"), (LUNGS, "CT of the chest")])
def test_a_passed_limit_asks_to_watch_and_to_mitigate(limit: JudgedDose, words: str) -> None:
    found = _asked(replace(limit, dose_gy=2 * limit.limit_gy))
    assert [one.kind for one in found] == ["watch", "mitigate"]
    assert words in found[0].question
    doubtful = _asked(replace(limit, dose_gy=limit.limit_gy + 0.5))
    assert [(one.kind, one.certainty) for one in doubtful] == [("watch", "open")]
    assert "not certain" in doubtful[0].question


def test_activity_at_the_gut_asks_to_watch() -> None:
    found = _asked(elsewhere=(PLACE,))
    assert {one.kind for one in found} == {"watch", "mitigate"}
    assert "endoscopy" in found[0].question
    assert {one.certainty for one in _asked(elsewhere=(replace(PLACE, share_sd=0.02),))} == {"open"}
    assert _asked(elsewhere=(replace(PLACE, hint="right kidney"),)) == ()  # nothing published here about it


def test_every_statement_has_its_source_and_is_a_question() -> None:
    doses = (GOAL, replace(LIVER, dose_gy=100.0), replace(LUNGS, dose_gy=60.0))
    found = _asked(*doses, elsewhere=(PLACE, replace(PLACE, hint="gallbladder")))
    assert len(found) >= 9
    assert all(one.source for one in found)
    assert all("?" in one.question for one in found)
    assert len(suggestions_table(found).rows) == len(found)
