"""The probabilistic planner against closed forms, brute force, and itself."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from hepatica.errors import InputError
from hepatica.planning.planner.best_activity import Aim, Problem, Uncertainty, chances, optimise
from hepatica.planning.prescriptions import microspheres as rx
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.planning.prescriptions.dose_constants import DoseConstant

MIRD = DoseConstant(49.67, "Y-90", "mird", 64.05 * 3600)
RIGHT = Partition(0.9, (Lesion("a", 0.1, 5.0), Lesion("b", 0.05, 3.0)), 0.05)
LEFT = Partition(0.3, (Lesion("c", 0.03, 4.0),), 0.03)
TYPICAL = Uncertainty(
    lung_shunt=0.02, tumour_to_normal=0.15, discordance=0.3, mass=0.08, lung_mass=0.1, calibration=0.05
)


def test_without_uncertainty_it_is_the_partition_model() -> None:
    out = optimise(Problem({"right": RIGHT}, MIRD, Uncertainty(), Aim(120, 40)), samples=100)
    # The target is reached below the limit: the lowest activity that reaches lesion b's 120 Gy is taken.
    expected = rx.partition(RIGHT, MIRD, normal_limit_gy=40).administered_gbq
    assert out.largest_allowed_total_gbq == pytest.approx(expected)
    assert out.administered_gbq["right"] == pytest.approx(RIGHT.activity_for_tumour_dose(120, MIRD, "b"))
    assert out.chances.probability_tumour_reached == 1
    assert out.value_of_halving == {}


def test_calibration_alone_has_a_closed_form() -> None:
    # All doses scale with one log-normal factor c: A = L / (N q95(c)), P = P(c >= target / (A T)).
    sd = 0.2
    sigma = math.sqrt(math.log1p(sd**2))
    aim = Aim(100, 40, normal_probability=0.05)
    target = Partition(0.9, (Lesion("a", 0.1, 3.0),), 0.02)
    out = optimise(Problem({"all": target}, MIRD, Uncertainty(calibration=sd), aim), samples=40000)
    per = target.gy_per_gbq(MIRD)
    activity = 40 / (per["normal liver"] * math.exp(sigma * norm.ppf(0.95)))
    assert out.largest_allowed_total_gbq == pytest.approx(activity, rel=0.01)
    want = norm.cdf(math.log(activity * per["a"] / 100) / sigma)
    # Monte Carlo of 40 000 samples: standard error 0.0025.
    assert out.chances.probability_tumour_reached == pytest.approx(want, abs=0.01)
    assert out.chances.probability_normal_liver_exceeded <= 0.05 + 1e-9
    assert out.binding_limit == "normal liver"


def test_the_lungs_bind_when_the_shunt_is_high() -> None:
    target = Partition(0.9, (Lesion("a", 0.1, 8.0),), 0.25)
    out = optimise(Problem({"all": target}, MIRD, Uncertainty(lung_shunt=0.03), Aim(500, 80)))
    assert out.binding_limit == "lungs"
    assert out.chances.probability_lung_exceeded <= 0.05 + 1e-9
    # 31 Gy earlier leave 19 of the 50 Gy of a lifetime; 15 Gy leave more than the 30 Gy of a treatment.
    for previous, left in ((15.0, 30.0), (31.0, 19.0), (35.0, 15.0)):
        spread = Uncertainty(lung_shunt=0.03)
        earlier = optimise(Problem({"all": target}, MIRD, spread, Aim(500, 80), previous_lung_gy=previous))
        assert earlier.largest_allowed_total_gbq == pytest.approx(out.largest_allowed_total_gbq * left / 30, rel=1e-9)
        assert earlier.binding_limit == ("lungs" if left == 30 else "lungs over a lifetime")


def test_two_territories_beat_or_equal_brute_force() -> None:
    problem = Problem({"right": RIGHT, "left": LEFT}, MIRD, TYPICAL, Aim(110, 40), unperfused_normal_kg=0.2)
    out = optimise(problem, samples=2000)
    best = 0.0
    for a, b in itertools.product(np.linspace(0.2, 2.4, 23), np.linspace(0.05, 0.9, 18)):
        at = chances(problem, {"right": float(a), "left": float(b)}, samples=2000)
        if at.probability_normal_liver_exceeded <= 0.05 and at.probability_lung_exceeded <= 0.05:
            best = max(best, at.probability_tumour_reached)
    assert out.chances.probability_tumour_reached >= best - 0.004
    assert out.chances.probability_normal_liver_exceeded <= 0.05
    again = chances(problem, out.administered_gbq, samples=2000)
    assert again == out.chances


def test_same_seed_same_answer_and_another_seed_nearly() -> None:
    problem = Problem({"right": RIGHT}, MIRD, TYPICAL, Aim(120, 40))
    assert optimise(problem) == optimise(problem)
    assert optimise(problem, seed=7).chances.probability_tumour_reached == pytest.approx(
        optimise(problem).chances.probability_tumour_reached, abs=0.03
    )


def test_knowing_more_is_worth_something_and_the_curve_trades() -> None:
    # The target lies below lesion b's median dose: spread costs chance. Above it, spread would be a lucky draw.
    out = optimise(Problem({"right": RIGHT}, MIRD, TYPICAL, Aim(80, 40)))
    gains = [v.gain_in_probability for v in out.value_of_halving.values()]
    assert gains == sorted(gains, reverse=True)
    assert next(iter(out.value_of_halving)) == "discordance"
    assert gains[0] > 0.02
    tumour = [p.probability_tumour_reached for p in out.trade_off]
    normal = [p.probability_normal_liver_exceeded for p in out.trade_off]
    assert tumour == sorted(tumour)
    assert normal == sorted(normal)
    assert normal[-1] > 0.05 > normal[0]


def test_a_stricter_limit_lowers_activity_and_chance() -> None:
    loose = optimise(Problem({"right": RIGHT}, MIRD, TYPICAL, Aim(120, 40, normal_probability=0.10)))
    strict = optimise(Problem({"right": RIGHT}, MIRD, TYPICAL, Aim(120, 40, normal_probability=0.02)))
    assert strict.largest_allowed_total_gbq < loose.largest_allowed_total_gbq
    assert strict.chances.probability_tumour_reached <= loose.chances.probability_tumour_reached


def test_d95_of_an_uneven_dose_is_below_its_mean() -> None:
    assert Aim(100, 40, volume_percent=95, heterogeneity=0.4).dx_over_mean == pytest.approx(
        math.exp(-1.6448536 * 0.4 - 0.08), rel=1e-6
    )
    mean = optimise(Problem({"r": RIGHT}, MIRD, TYPICAL, Aim(100, 40)))
    d70 = optimise(Problem({"r": RIGHT}, MIRD, TYPICAL, Aim(100, 40, volume_percent=70, heterogeneity=0.4)))
    assert d70.chances.probability_tumour_reached < mean.chances.probability_tumour_reached


def test_perfused_limit_per_territory_binds() -> None:
    aim = Aim(300, 60, perfused_normal_limit_gy=40)
    out = optimise(Problem({"right": RIGHT}, MIRD, Uncertainty(), aim, unperfused_normal_kg=0.9), samples=100)
    assert out.binding_limit == "normal liver in right"
    assert out.largest_allowed_total_gbq == pytest.approx(RIGHT.activity_for_normal_dose(40, MIRD))


BAD = {
    "no lesions": lambda: Problem({"r": Partition(1.0)}, MIRD, Uncertainty(), Aim(100, 40)),
    "no territory": lambda: Problem({}, MIRD, Uncertainty(), Aim(100, 40)),
    "limit used up": lambda: Problem({"r": RIGHT}, MIRD, Uncertainty(), Aim(100, 40), previous_normal_gy=45),
    "uncertainty in percent": lambda: Uncertainty(mass=15),
    "probability of 1": lambda: Aim(100, 40, normal_probability=1.0),
    "negative target": lambda: Aim(-100, 40),
    "D_0": lambda: Aim(100, 40, volume_percent=0),
    "few samples": lambda: optimise(Problem({"r": RIGHT}, MIRD, Uncertainty(), Aim(100, 40)), samples=10),
    "activity of an unknown territory": lambda: chances(
        Problem({"r": RIGHT}, MIRD, Uncertainty(), Aim(100, 40)), {"left": 1.0}
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input(case) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(InputError):
        case()


def test_a_small_chance_is_not_halved_as_if_it_were_equal() -> None:
    # 0.35 % at the largest allowed activity: a tie of 0.2 points took half of it, and said that no limit binds.
    constant = DoseConstant(8.105, "Re-188", "ensdf", 12.5 * 3600)
    target = Partition(1.06, (Lesion("a", 0.06, 4.0),), 0.03)
    spread = replace(TYPICAL, lung_shunt=0.01)
    out = optimise(Problem({"all": target}, constant, spread, Aim(205, 30)))
    best = next(p for p in out.trade_off if p.administered_total_gbq == pytest.approx(out.largest_allowed_total_gbq))
    assert 0 < best.probability_tumour_reached < 0.01
    assert out.chances.probability_tumour_reached == best.probability_tumour_reached
    assert out.binding_limit == "normal liver"
