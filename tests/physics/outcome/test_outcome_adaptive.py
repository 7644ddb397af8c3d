"""What a next treatment may still give, against the closed form."""

import math
from datetime import datetime

import pytest

from hepatica.dosimetry.radiobiology import LIVER, DoseRate, bed_gy, response_model
from hepatica.errors import PhysicsError
from hepatica.outcome.adaptive import (
    NextTreatment,
    PastTreatment,
    PatientStatus,
    predict_activities,
    remaining_tolerance,
)

RATE = DoseRate.exponential(64.05)
PAST = PastTreatment(datetime(2026, 1, 5, 10), 30.0, 12.0, 64.05)


def coming(lung: float = 2.0) -> NextTreatment:
    return NextTreatment(
        next_at=datetime(2026, 6, 5, 10), agent="resin", effective_half_life_h=64.05, normal_dose_gy_per_gbq=15.0,
        tumour_dose_gy_per_gbq=60.0, lung_dose_gy_per_gbq=lung,
    )  # fmt: skip


def test_first_treatment_may_give_the_whole_tolerance() -> None:
    # 92.6 Gy BED is 52 Gy (Strigari 2010).
    found = remaining_tolerance([], coming(), tolerance_bed_gy=bed_gy(52.0, RATE, LIVER))
    assert found.normal_dose_gy == pytest.approx(52.0, abs=1e-6)
    assert found.activity_gbq == pytest.approx(52.0 / 15.0, abs=1e-6)
    assert found.limited_by == "normal liver"
    assert found.days_since_last is None


def test_next_treatment_gets_what_is_left() -> None:
    # Five months apart the BEDs add up: D (1 + k D) = 93 - BED(30), k = G / 2.5 Gy.
    k = 2.5 / (2.5 + 64.05) / 2.5
    left = 93.0 - 30 * (1 + 30 * k)
    expected = (math.sqrt(1 + 4 * k * left) - 1) / (2 * k)
    found = remaining_tolerance([PAST], coming(), tolerance_bed_gy=93.0)
    assert found.remaining_bed_gy == pytest.approx(left, abs=1e-6)
    assert found.normal_dose_gy == pytest.approx(expected, abs=1e-6)
    assert found.days_since_last == pytest.approx(151.0)


def test_lungs_limit_the_treatment_or_the_course() -> None:
    found = remaining_tolerance([PAST], coming(lung=20.0), tolerance_bed_gy=93.0)
    assert (found.lung_dose_gy, found.limited_by) == (30.0, "lungs: treatment")
    used = PastTreatment(PAST.administered_at, 30.0, 35.0, 64.05)
    found = remaining_tolerance([used], coming(lung=20.0), tolerance_bed_gy=93.0)
    assert (found.lung_dose_gy, found.limited_by) == (15.0, "lungs: course")
    assert found.activity_gbq == pytest.approx(0.75)


def test_used_up() -> None:
    found = remaining_tolerance([PAST, PAST], coming(), tolerance_bed_gy=60.0)
    assert (found.normal_dose_gy, found.activity_gbq) == (0.0, 0.0)
    assert found.remaining_bed_gy < 0


def test_cautions() -> None:
    status = PatientStatus(
        tumour_response="CR", bilirubin_mg_dl=2.4, child_pugh_points=8, albi_before=-2.7, albi_now=-2.1
    )
    found = remaining_tolerance([PAST], coming(), tolerance_bed_gy=93.0, status=status)
    assert len(found.cautions) == 4


def test_activities_for_the_planner() -> None:
    models = [response_model(n) for n in ("strigari-2010-liver-bed", "resin-tumour")]
    low, high = predict_activities([PAST], coming(), [0.5, 5.0], tolerance_bed_gy=93.0, models=models)
    assert low.within
    assert not high.within
    assert low.tumour_dose_gy == 30.0
    assert low.ntcp[0].probability < high.ntcp[0].probability
    assert low.ntcp[0].model_dose_gy == pytest.approx(low.cumulative_normal_bed_gy)
    assert "below the published 50 % dose" in low.tcp[0].reading
    with pytest.raises(PhysicsError):
        predict_activities([], coming(), [-1.0], tolerance_bed_gy=93.0)


def test_order_in_time_is_held() -> None:
    late = PastTreatment(datetime(2026, 7, 1), 30.0, 0.0, 64.05)
    with pytest.raises(PhysicsError, match="after those that were given"):
        remaining_tolerance([late], coming(), tolerance_bed_gy=93.0)
