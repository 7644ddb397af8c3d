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
    # The most that surely keeps all: upper end 30 + 1.96 Gy, (75 / 31.96 - 1) times 2 GBq; the lungs would allow more.
    assert first.top_up.allowed_gbq == pytest.approx(2 * (75 / 31.96 - 1))
    assert "75.0 Gy (unilobar)" in first.question
    assert first.top_up.limits[0].condition == "unilobar"
    assert "?" in first.question


def test_a_top_up_that_passes_a_limit_says_what_keeps_it() -> None:
    first = _asked(GOAL, replace(LIVER, dose_gy=60.0))[0]
    assert first.top_up is not None
    assert not first.top_up.keeps_limits
    # Upper end 60 + 1.96 Gy: 75 / 61.96 - 1 of 2 GBq, and as much more of the 100 Gy.
    assert first.top_up.allowed_gbq == pytest.approx(2 * (75 / 61.96 - 1))
    assert first.top_up.dose_allowed_gy == pytest.approx(100 * 75 / 61.96)
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


@pytest.mark.parametrize(
    ("dose", "share"),
    [
        (100.0, 0.1),  # a tenth of what was planned
        (30.0, None),  # below a fifth of its goal, by whatever plan
        (-0.5, None),  # noise alone
    ],
)
def test_a_lesion_that_was_not_reached_is_an_entry_of_its_own(dose: float, share: float | None) -> None:
    passed = replace(LUNGS, dose_gy=40.0)
    found = _asked(replace(GOAL, dose_gy=dose), passed, delivered_share={} if share is None else {"tumour": share})
    of_lesion = [one for one in found if one.structure == "tumour"]
    assert [one.kind for one in of_lesion] == ["untreated"]
    assert of_lesion[0].top_up is None
    assert "another artery" in of_lesion[0].question
    assert "lungs 40.0 of 30.0 Gy (per treatment)" in of_lesion[0].question
    assert "goal of 205 Gy" in of_lesion[0].finding
    assert not any("same territory" in one.question for one in found)


@pytest.mark.parametrize(
    "limit",
    [
        replace(LIVER, dose_gy=80.0),
        # 44.3 Gy were left by the first treatment, 80.2 Gy given: no activity by this way is right.
        JudgedDose("normal liver", "perfused_normal", 80.2, 0.4, True, "<=", 44.3, "left by earlier", "next"),
        # Of all treatments together: 35 Gy before and 20 Gy now are 55 of 50 Gy.
        replace(LUNGS, dose_gy=20.0, limit_gy=50.0, condition="cumulative", earlier_gy=35.0),
    ],
)
def test_no_top_up_where_a_limit_is_passed_already(limit: JudgedDose) -> None:
    found = _asked(GOAL, limit)
    # Ablation, which gives no organ more dose, is still asked about.
    assert [one.kind for one in found if one.structure == "tumour"] == ["no top-up", "mitigate"]
    assert all(one.top_up is None for one in found)
    assert limit.structure in found[0].question
    assert f"{limit.limit_gy:.1f} Gy ({limit.condition})" in found[0].question
    assert not any("second injection" in one.question for one in found)


def test_the_sum_of_all_treatments_limits_a_top_up() -> None:
    lungs = replace(LUNGS, dose_gy=10.0, sd_gy=0.0, limit_gy=50.0, condition="cumulative", earlier_gy=28.0)
    first = _asked(GOAL, lungs, replace(LIVER, dose_gy=1.0))[0]
    assert first.top_up is not None
    # 28 Gy before and 2.05 x 10 Gy are 48.5 Gy; of 22 Gy that are left 12 Gy more are 1.2 times this treatment.
    assert first.top_up.limits[0].dose_gy == pytest.approx(48.5)
    assert first.top_up.allowed_gbq == pytest.approx(2.4)
    unknown = _asked(GOAL, LIVER, replace(lungs, earlier_gy=None))[0]
    assert "those before not in it" in unknown.question
    assert "those before" not in first.question


def test_a_limit_inside_of_the_interval_after_a_top_up_is_open() -> None:
    # 35 Gy x 2.05 are 71.8 Gy, 1.96 x 5 x 2.05 to either side: 75 Gy lies inside.
    found = _asked(GOAL, replace(LIVER, dose_gy=35.0, sd_gy=5.0))[0]
    assert found.top_up is not None
    assert [row.standing for row in found.top_up.limits] == ["open"]
    assert not found.top_up.keeps_limits
    assert "kept or passed is not certain" in found.question
    assert found.top_up.allowed_gbq == pytest.approx(2 * (75 / (35 + 1.96 * 5) - 1))


def test_without_a_limit_of_the_liver_no_activity_is_allowed() -> None:
    found = _asked(GOAL, LUNGS)[0]
    assert found.top_up is not None
    assert (found.top_up.allowed_gbq, found.top_up.allowed_share, found.top_up.dose_allowed_gy) == (None, None, None)
    assert "No limit of the liver is known" in found.question
    assert "No limit of the liver is known" in _asked(GOAL)[0].question


def test_a_stated_aim_is_what_a_top_up_aims_at() -> None:
    aim = replace(GOAL, limit_gy=150.0, condition="aim of the plan", source="the plan", is_aim=True)
    published, stated = (one for one in _asked(GOAL, aim, LIVER) if one.limit_gy is not None)
    assert (published.kind, published.top_up) == ("aim", None)
    assert "aim of 150 Gy" in published.question
    assert stated.top_up is not None
    assert stated.top_up.aim_gy == pytest.approx(150.0)
    assert "the aim that the plan states" in stated.question


def test_what_is_left_of_a_volume_has_no_artery_of_its_own() -> None:
    rest = replace(GOAL, structure="perfused minus tumours", role="perfused_normal", limit_gy=110.0)
    assert "artery that feeds" not in _asked(rest)[0].question


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
    assert _asked(elsewhere=(replace(PLACE, hint="chest: heart, oesophagus or mediastinum"),)) == ()
    assert _asked(elsewhere=(replace(PLACE, hint="chest: heart", organ="oesophagus"),)) != ()
    assert _asked(elsewhere=(replace(PLACE, hint="right kidney"),)) == ()  # nothing published here about it


def test_every_statement_has_its_source_and_is_a_question() -> None:
    doses = (GOAL, replace(LIVER, dose_gy=100.0), replace(LUNGS, dose_gy=60.0))
    found = _asked(*doses, elsewhere=(PLACE, replace(PLACE, hint="gallbladder")))
    assert len(found) >= 9
    assert all(one.source for one in found)
    assert all("?" in one.question for one in found)
    assert len(suggestions_table(found).rows) == len(found)
