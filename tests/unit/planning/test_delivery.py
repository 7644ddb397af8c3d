"""Vials, calibration days and zones, elutions, and what was delivered."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hepatica.core import Estimate
from hepatica.errors import HepaticaError, InputError, TimeError
from hepatica.nuclides import agent, nuclide
from hepatica.planning.delivery.delivered import VialReadings, delivered, delivered_from_all
from hepatica.planning.delivery.elution import elution_schedule
from hepatica.planning.delivery.order import (
    Order,
    VialOrderOptions,
    glass_calibrations,
    glass_offers,
    holmium_batch,
    resin_offers,
    several_vials,
    vial_order,
)

GLASS, RESIN, HOLMIUM = agent("glass"), agent("resin"), agent("ho166-plla")
Y90 = nuclide("Y-90").half_life_s
PARIS = ZoneInfo("Europe/Paris")
THURSDAY = datetime(2026, 3, 12, 10, 0, tzinfo=PARIS)


def test_glass_is_calibrated_on_sundays_at_noon_in_new_york() -> None:
    weeks = glass_calibrations(THURSDAY, 288)
    assert [w.isoformat() for w in weeks] == ["2026-03-08T12:00:00-04:00", "2026-03-01T12:00:00-05:00"]
    # Clocks changed in New York on 8 March 2026, not yet in Paris: true hours count.
    assert (THURSDAY - weeks[0]).total_seconds() / 3600 == 89
    assert (THURSDAY - weeks[1]).total_seconds() / 3600 == 256
    # In New York's own zone too, where Python alone would subtract clock readings.
    new_york = THURSDAY.astimezone(ZoneInfo("America/New_York"))
    assert glass_offers(GLASS, Order(2.0, new_york))[0] == glass_offers(GLASS, Order(2.0, THURSDAY))[0]
    by_zone = {
        o.calibrated_at.day: o.hours_after_calibration for o in glass_offers(GLASS, Order(2.0, new_york), tolerance=9)
    }
    assert by_zone == {8: 89, 1: 256}
    assert glass_calibrations(THURSDAY + timedelta(days=2), 288)[0] == weeks[0]


def test_sunday_morning_belongs_to_the_week_before() -> None:
    morning = datetime(2026, 3, 8, 11, 0, tzinfo=ZoneInfo("America/New_York"))
    assert glass_calibrations(morning, 288)[0].day == 1


def test_glass_offers_decay_to_the_injection() -> None:
    offers = glass_offers(GLASS, Order(1.0, THURSDAY, 800.0), tolerance=0.2)
    assert offers
    for offer in offers:
        hours = (THURSDAY - offer.calibrated_at).total_seconds() / 3600
        assert offer.activity_at_injection_gbq == pytest.approx(offer.nominal_gbq * 2 ** (-hours * 3600 / Y90))
        assert abs(offer.deviation) <= 0.2
        assert offer.expires_at is not None
        assert offer.expires_at >= THURSDAY
        assert offer.spheres_million == pytest.approx(offer.nominal_gbq * 0.4)
        assert offer.spheres_per_ml == pytest.approx(offer.nominal_gbq * 4e5 / 800)
    assert abs(offers[0].deviation) <= abs(offers[-1].deviation)
    # The older vial needs more spheres for the same activity.
    ages = {round(o.hours_after_calibration): o.spheres_per_ml for o in offers}
    assert ages[256] > ages[89]  # type: ignore[operator]


def test_several_glass_vials() -> None:
    vials = several_vials(GLASS, Order(25.0, datetime(2026, 3, 9, 10, 0, tzinfo=PARIS)))
    assert len(vials) > 1
    assert sum(v.activity_at_injection_gbq for v in vials) == pytest.approx(25, rel=0.1)
    assert not glass_offers(GLASS, Order(100.0, THURSDAY))
    with pytest.raises(InputError, match="no combination"):
        several_vials(GLASS, Order(500.0, THURSDAY))


def test_resin_draw_and_early_days() -> None:
    at = datetime(2026, 3, 12, 10, 0, tzinfo=PARIS)
    calibration = datetime(2026, 3, 12, 18, 0, tzinfo=PARIS)
    offers = resin_offers(RESIN, Order(1.5, at, 1000.0), calibration)
    plain = offers[0]
    activity = 3.0 * 2 ** (8 * 3600 / Y90)
    assert plain.activity_at_injection_gbq == pytest.approx(activity)
    assert plain.draw_ml == pytest.approx(5 * 1.5 / activity)
    assert len(offers) == 4
    spheres = [o.spheres_million for o in offers]
    assert spheres == sorted(spheres, reverse=True)  # type: ignore[type-var]
    assert offers[1].activity_per_sphere_bq > plain.activity_per_sphere_bq  # type: ignore[operator]
    with pytest.raises(InputError, match="several"):
        resin_offers(RESIN, Order(20.0, at), calibration)


def test_expired_resin_is_not_offered() -> None:
    calibration = datetime(2026, 3, 10, 18, 0, tzinfo=PARIS)
    offers = resin_offers(RESIN, Order(0.5, THURSDAY), calibration)
    assert all(o.expires_at is not None and o.expires_at >= THURSDAY for o in offers)
    assert len(offers) == 3


def test_holmium_batch() -> None:
    ship = THURSDAY - timedelta(hours=26.824)
    out = holmium_batch(HOLMIUM, Order(5.67, THURSDAY), ship, specific_activity_mbq_mg=11.0)
    assert out.activity_at_shipping_gbq == pytest.approx(11.34, rel=1e-3)
    assert out.carrier_mass_mg == pytest.approx(5670 / 11)
    assert out.activity_per_sphere_bq == pytest.approx(11e6 / 50525 * 1.0, rel=0.01)
    with pytest.raises(TimeError, match="after the injection"):
        holmium_batch(HOLMIUM, Order(5.0, THURSDAY), THURSDAY + timedelta(hours=1), specific_activity_mbq_mg=11)


def test_elutions_regrow_to_80_percent_in_40_hours() -> None:
    t0 = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    times = [t0, t0 + timedelta(hours=40), t0 + timedelta(hours=42)]
    out = elution_schedule(20.0, t0, times, efficiency=1.0)
    equilibrium = out[0].daughter_before_gbq / out[0].parent_gbq
    assert out[1].daughter_before_gbq / (equilibrium * out[1].parent_gbq) == pytest.approx(0.8009, abs=1e-3)
    assert out[2].eluted_gbq < 0.1 * out[1].eluted_gbq
    partial = elution_schedule(20.0, t0, times, efficiency=0.8)
    assert partial[0].eluted_gbq == pytest.approx(0.8 * out[0].eluted_gbq)
    with pytest.raises(TimeError, match="in order"):
        elution_schedule(20.0, t0, times[::-1])
    with pytest.raises(InputError, match="efficiency"):
        elution_schedule(20.0, t0, times, efficiency=80)


def readings(before: float = 1000.0, after: float = 20.0) -> VialReadings:
    return VialReadings(
        vial_gbq=Estimate(3.0, 0.06),
        calibrated_at=THURSDAY - timedelta(hours=64.05),
        before=Estimate(before, 10.0),
        after=Estimate(after, 1.0),
        reading_before_at=THURSDAY - timedelta(hours=2),
        reading_after_at=THURSDAY + timedelta(hours=1),
        administered_at=THURSDAY,
    )


def test_delivered_activity_with_uncertainty() -> None:
    out = delivered(readings(), 64.05 * 3600)
    residual = 0.02 * 2 ** (3 / 64.05)
    assert out.residual_fraction.value == pytest.approx(residual)
    assert out.administered_gbq.value == pytest.approx(1.5 * (1 - residual))
    rel = math.hypot(10 / 1000, 1 / 20)
    assert out.residual_fraction.sd == pytest.approx(residual * rel)
    assert out.administered_gbq.sd == pytest.approx(math.hypot(0.03 * (1 - residual), 1.5 * residual * rel))
    both = delivered_from_all([out, out]).administered_gbq
    assert both.value == pytest.approx(2 * out.administered_gbq.value)
    alone = out.administered_gbq.sd
    assert alone is not None
    assert both.sd == pytest.approx(math.sqrt(2) * alone)
    # Calibration (2 %) is one error in both vials, readings are two: linear for the one, quadratic for the other.
    shared = delivered_from_all([out, out], shared_relative_sd=0.02).administered_gbq
    from_readings = 1.5 * residual * rel
    assert shared.sd == pytest.approx(math.hypot(2 * 0.03 * (1 - residual), math.sqrt(2) * from_readings))
    with pytest.raises(InputError, match="larger"):
        delivered_from_all([out], shared_relative_sd=0.5)


def test_several_vials_together_keep_the_residual_of_each() -> None:
    one, other = delivered(readings(), Y90), delivered(readings(after=100.0), Y90)
    both = delivered_from_all([one, other])
    assert both.vial_at_injection_gbq == pytest.approx(2 * one.vial_at_injection_gbq)
    residuals = [vial.residual_fraction for vial in (one, other)]
    assert both.residual_fraction.value == pytest.approx((residuals[0].value + residuals[1].value) / 2)
    assert both.residual_fraction.sd == pytest.approx(math.hypot(residuals[0].sd or 0, residuals[1].sd or 0) / 2)
    assert delivered_from_all([one]) == one


def test_what_an_agent_needs_is_asked_for() -> None:
    order = Order(1.4, THURSDAY)
    assert vial_order(RESIN, order, VialOrderOptions(calibrated_at=THURSDAY + timedelta(hours=8))).vials[0].draw_ml
    batch = vial_order(HOLMIUM, order, VialOrderOptions(shipped_at=THURSDAY - timedelta(hours=20))).batch
    assert batch is not None
    assert batch.carrier_mass_mg == pytest.approx(1400 / 11)
    for carrier, option in ((RESIN, "`calibrated_at`"), (HOLMIUM, "`shipped_at`")):
        with pytest.raises(InputError, match=option):
            vial_order(carrier, order)
    with pytest.raises(InputError, match="known: glass, resin"):
        vial_order(agent("i131-lipiodol"), order)
    assert vial_order(GLASS, Order(25.0, datetime(2026, 3, 9, 10, 0, tzinfo=PARIS))).several_vials_together


NAIVE = datetime(2026, 3, 12, 10, 0)
BAD = {
    "injection without zone": lambda: Order(2.0, NAIVE),
    "no activity": lambda: Order(0.0, THURSDAY),
    "negative waste": lambda: delivered(readings(after=-1), Y90),
    "swapped readings": lambda: delivered(readings(before=10, after=1000), Y90),
    "calibration without zone": lambda: resin_offers(RESIN, Order(1.0, THURSDAY), NAIVE),
    "agent without vials": lambda: glass_offers(HOLMIUM, Order(1.0, THURSDAY)),
    "year 1": lambda: Order(1.0, datetime(1, 1, 1, tzinfo=UTC)),
    "year 9999": lambda: Order(1.0, datetime(9999, 12, 31, tzinfo=UTC)),
    "calibrated years ago": lambda: resin_offers(
        RESIN, Order(1.0, THURSDAY), datetime(2016, 3, 12, 18, 0, tzinfo=PARIS)
    ),
    "shipped years ago": lambda: holmium_batch(
        HOLMIUM, Order(1.0, THURSDAY), datetime(2020, 3, 12, tzinfo=UTC), specific_activity_mbq_mg=11
    ),
    "no vials": lambda: delivered_from_all([]),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input(case) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(HepaticaError):
        case()


@pytest.mark.parametrize(
    ("name", "stated", "refused"),
    [
        ("glass", {"calibrated_at": THURSDAY}, "`calibrated_at`: only of resin, not of glass"),
        ("glass", {"shipped_at": THURSDAY}, "`shipped_at`: only of ho166-plla, not of glass"),
        ("resin", {"calibrated_at": THURSDAY, "classic": True}, "`classic`: only of glass, not of resin"),
        (
            "ho166-plla",
            {"shipped_at": THURSDAY, "calibrated_at": THURSDAY},
            "`calibrated_at`: only of resin, not of ho166-plla",
        ),
    ],
)
def test_what_another_agent_needs_is_refused(name: str, stated: dict[str, Any], refused: str) -> None:
    with pytest.raises(InputError, match=refused):
        vial_order(agent(name), Order(2.0, THURSDAY), VialOrderOptions(**stated))
