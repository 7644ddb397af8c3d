"""From a PET to becquerels: cross-calibration, detection limit, and what a wrong total means."""

import math
from datetime import datetime, timedelta

import numpy as np
import pytest

from hepatica.core import Estimate
from hepatica.core.image import Acquisition
from hepatica.core.message import Message
from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.imaging.pet.becquerels.cross_calibration import cross_calibration
from hepatica.imaging.pet.becquerels.detectable import detectable
from hepatica.imaging.pet.becquerels.plausible import settled, total_explained, total_implausible
from hepatica.imaging.pet.becquerels.positrons import Y90_POSITRONS, require_positrons, y90_positrons
from hepatica.nuclides import nuclide

Y90 = nuclide("Y-90")
GIVEN = datetime(2026, 3, 2, 9, 0)
PET = Acquisition(modality="PT", administered_at=GIVEN, start=GIVEN + timedelta(hours=20))


def test_the_positrons_of_90y_are_those_of_the_tables() -> None:
    # Selwyn et al. 2007: 31.86 +- 0.47 per million
    assert y90_positrons().value.value == Y90.positron_yield == 31.86e-6
    assert y90_positrons().value.sd == Y90.positron_yield_sd
    # the older ones hold it within their uncertainty
    for other in Y90_POSITRONS.values():
        assert abs(other.value.value - 31.86e-6) < other.value.sd + 0.47e-6
    with pytest.raises(UnknownNameError, match="selwyn-2007"):
        y90_positrons("nobody")


@pytest.mark.parametrize("name", ["Ho-166", "Re-188"])
def test_no_pet_of_what_emits_no_positrons(name: str) -> None:
    with pytest.raises(PhysicsError, match=r"no positrons.*too few to be an image"):
        require_positrons(name, nuclide(name).positron_yield)
    require_positrons("Y-90", Y90.positron_yield)


def test_cross_calibration_of_18f_and_then_of_90y() -> None:
    # by hand: 60 MBq in 6000 mL is 10 000 Bq/mL, shown 9 500
    found = cross_calibration(
        Estimate(60e6, 0.6e6), Estimate(6000.0, 30.0), Estimate(9500.0, 47.5), meter_relative_sd=0.02
    )
    assert found.factor == pytest.approx(1.0526, rel=1e-4)
    assert found.relative_sd == pytest.approx(math.sqrt(0.01**2 + 0.005**2 + 0.005**2 + 0.02**2))
    yttrium = found.for_nuclide(y90_positrons().value, divided_by=0.967, meter_relative_sd=0.03)
    assert yttrium.factor == pytest.approx(1.0526 * 0.967 / 31.86e-6, rel=1e-4)
    assert yttrium.relative_sd == pytest.approx(math.hypot(found.relative_sd, 0.47 / 31.86, 0.03))
    # what nobody knows is not zero
    unknown = found.for_nuclide(y90_positrons().value, divided_by=1.0, meter_relative_sd=None)
    assert unknown.relative_sd is None
    assert unknown.estimate.sd is None


def test_a_cross_calibration_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="holds 10 times"):
        cross_calibration(Estimate(60e6), Estimate(6000.0), Estimate(1000.0), meter_relative_sd=None)
    with pytest.raises(InputError, match="not positive"):
        cross_calibration(Estimate(0.0), Estimate(6000.0), Estimate(1000.0), meter_relative_sd=None)


def test_detection_limit_is_missed_in_five_of_a_hundred() -> None:
    # sd 1000 Bq, a count for 10 Bq: by drawing normal values about 0 and about the limit
    found = detectable(1000.0, 0.1)
    assert found.decision_threshold_bq == pytest.approx(1644.9, rel=1e-4)
    rng = np.random.default_rng(1)
    above = rng.normal(0, 1000, 200_000) > found.decision_threshold_bq
    assert above.mean() == pytest.approx(0.05, abs=0.002)
    limit = found.detection_limit_bq
    missed = rng.normal(limit, math.sqrt(1000**2 + limit / 0.1), 200_000) < found.decision_threshold_bq
    assert missed.mean() == pytest.approx(0.05, abs=0.003)
    with pytest.raises(InputError, match="above zero"):
        detectable(0.0, 1.0)


@pytest.mark.parametrize(
    ("ratio", "code", "says"),
    [
        (31.86e-6 / 0.967, "pet-total-explained", "positron fraction of F-18 (0.967) had been left in"),
        (31.86e-6 / 0.889 * 0.9, "pet-total-explained", "Ga-68"),
        (31.86e-6, "pet-total-explained", "not been divided"),
        (4.6, "pet-total-randoms", "random or scattered"),
        (0.5, "pet-total-low", "prompts may be missing"),
        (1e-3, "pet-total-explained", "kBq/mL"),
    ],
)
def test_a_wrong_total_names_its_cause(ratio: float, code: str, says: str) -> None:
    (message,) = total_explained(2e9 * ratio, 2e9, PET, Y90)
    assert message.code == code
    assert says in message.text
    assert message.remedy


def test_the_factor_that_mends_it_is_said() -> None:
    (message,) = total_explained(2e9 * 31.86e-6 / 0.967, 2e9, PET, Y90)
    assert "multiply the activity by 30352" in message.remedy
    assert message.severity == "critical"


def test_decay_by_the_wrong_nuclide_is_known_by_the_time_that_passed() -> None:
    # 20 h: 2^(20 h / 109.77 min) of 18F over 2^(20 h / 64.05 h) of 90Y
    ratio = 2 ** (20 * 3600 / 6586.2) / 2 ** (20 * 3600 / Y90.half_life_s)
    (message,) = total_explained(2e9 * ratio, 2e9, PET, Y90)
    assert "half-life of F-18" in message.text
    assert f"multiply the activity by {1 / ratio:.4g}" in message.remedy


def test_a_fraction_that_the_total_disproves_is_a_note() -> None:
    acquisition = Acquisition(modality="PT", positron_fraction=0.967)
    (said,) = total_explained(0.97e9, 1e9, acquisition, nuclide("Y-90"))
    assert (said.code, said.severity) == ("positron-fraction-unused", "note")
    doubt = Message("positron-fraction-differs", "?", severity="critical")
    assert settled((doubt, said)) == (said,)
    assert settled((doubt,)) == (doubt,)
    low = total_explained(3.3e4, 1e9, acquisition, nuclide("Y-90"))
    assert [m.severity for m in low] == ["critical"]


def test_a_total_that_no_scanner_could_image() -> None:
    acquisition = Acquisition(modality="PT")
    (said,) = total_implausible(35e3, acquisition, nuclide("Y-90"))
    assert said.severity == "critical"
    # 35 kBq x 0.967 / 31.86e-6
    assert "F-18 (0.967) left in it would be 1062 MBq" in said.text
    assert not total_implausible(1e9, acquisition, nuclide("Y-90"))
    assert not total_implausible(35e3, Acquisition(modality="NM"), nuclide("Y-90"))


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.3])
def test_a_total_that_may_be_right_is_left_alone(ratio: float) -> None:
    assert not total_explained(2e9 * ratio, 2e9, PET, Y90)
    assert not total_explained(1.0, 2e9, Acquisition(modality="NM"), Y90)
