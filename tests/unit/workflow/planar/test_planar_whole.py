"""No biodistribution holds more than was given: one time with a half-life, small shares, sums of parts, two phases."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import hepatica
from hepatica.core import Estimate
from hepatica.core.context import DicomContext
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.organ_curve import organ_curve
from hepatica.errors import InputError
from hepatica.imaging.planar.measure import Measured
from hepatica.imaging.planar.options import PlanarOrganOptions
from hepatica.imaging.planar.organs import OrganRates, positive_interval, share_interval
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.projections import Window
from hepatica.workflow.planar.doses import doses_of
from hepatica.workflow.planar.given import KnownAdministration, PlanarGivenOptions
from hepatica.workflow.planar.measuring import MeasuredTime, Study
from hepatica.workflow.planar.options import BiodistributionOptions
from hepatica.workflow.planar.reading import TimeOfViews
from hepatica.workflow.planar.times import Point, above_at_start, curves_of, retained_of
from planar_makers import WHEN

PEAK = Window(328.1, 400.9)
IODINE = hepatica.nuclide("I-131")
LN2 = float(np.log(2))
BODY = ("liver", "rest of body")
ROLES = {"liver": "liver", "normal liver": "normal_liver", "tumour 1": "tumour", "rest of body": "remainder"}
KNOWN = KnownAdministration(Estimate(1e9, 0.0), WHEN, None)


def at(hours: float, **mbq: float) -> MeasuredTime:
    """A time that holds so much as it is then."""
    parts = {name.replace("_", " "): value for name, value in mbq.items()}
    cps = 10.0 * np.array(list(parts.values()))
    rates = OrganRates(tuple(parts), cps, {"counts": np.diag(1e-6 * cps**2)})
    pixel = np.ones((2, 4, 4))
    seen = PlanarRates(pixel, pixel, pixel, PEAK, ("anterior", "posterior"), (5.0, 5.0), (1.0, 1.0))
    counts = np.ones((2, 1, 4, 4))
    views = PlanarViews(counts, ("anterior", "posterior"), (PEAK,), (5.0, 5.0), (1.0, 1.0), (0.0, 0.0),
                        WHEN + timedelta(hours=hours))  # fmt: skip
    roles = {name: ROLES[name] for name in parts}
    return MeasuredTime(TimeOfViews(views), seen, Measured(rates, roles, BODY, ("liver",), {}, {}))


def points(times: list[MeasuredTime], retained: float | None = None, **time: float) -> tuple[list[Point], set[str]]:
    options = BiodistributionOptions(time=TimeOptions(**time))  # type: ignore[arg-type]
    found, notes = retained_of(times, Study((), IODINE, (), None, options), KNOWN,
                               PlanarOrganOptions(retained=retained))  # fmt: skip
    return found, {f"{note.code} {note.severity}" for note in notes}


def test_one_time_with_a_half_life_begins_with_what_was_administered() -> None:
    """A day after the administration with 20 h: of it 2^(-24/20) over physical decay is left; residence 20 h / ln 2."""
    time = {"effective_half_life_s": 20 * 3600.0}
    found, notes = points([at(24.0, liver=600, rest_of_body=200)], **time)
    assert notes == {"retained-by-half-life note"}
    curves = curves_of(found, TimeOptions(**time), IODINE)  # type: ignore[arg-type]
    assert sum(sum(curve.amplitudes) for curve in curves) == pytest.approx(1.0)
    hours = {curve.organ: curve.residence_time_h.value for curve in curves}
    assert hours == pytest.approx({"liver": 0.75 * 20 / LN2, "rest of body": 0.25 * 20 / LN2})
    assert above_at_start(curves, BODY) == ()
    # Stated that all is left, which 20 h contradict: said, and what leaves is no more than what was given.
    all_left, _ = points([at(24.0, liver=600, rest_of_body=200)], retained=1.0, **time)
    curves = curves_of(all_left, TimeOptions(**time), IODINE)  # type: ignore[arg-type]
    (told,) = above_at_start(curves, BODY)
    assert (told.code, told.severity) == ("more-than-administered", "critical")
    assert "211 %" in told.text
    _, _, said = doses_of(curves, ROLES, IODINE, PlanarGivenOptions(patient_sex="male"), {}, BODY)
    assert "100 % of the administered activity leaves" in next(
        m.text for m in said if m.code == "excretion-not-in-doses"
    )


def test_a_formula_without_half_life_gives_none() -> None:
    time = TimeOptions(time_model="haenscheid")
    found, _ = points([at(24.0, liver=600, rest_of_body=200)])
    curves = curves_of(found, time, IODINE)
    assert [curve.effective_half_life_h for curve in curves] == [None, None]
    assert above_at_start(curves, BODY) == ()
    given = PlanarGivenOptions(patient_sex="male", voiding_interval_s=14400.0)
    with pytest.raises(InputError, match="by a formula has none"):
        doses_of(curves, ROLES, IODINE, given, {}, BODY)
    _, _, said = doses_of(curves, ROLES, IODINE, PlanarGivenOptions(patient_sex="male"), {}, BODY)
    assert "excretion-not-in-doses" not in {m.code for m in said}


def test_an_interval_of_a_small_share_stays_small() -> None:
    """0.09 +- 0.7 % is at most 1.4 %; its activity of 4000 MBq at most 58 MBq."""
    assert share_interval(0.000864, 0.00686) == pytest.approx((0.0, 0.000864 + 1.96 * 0.00686), abs=1e-6)
    assert share_interval(0.995, 0.02)[1] == 1.0
    assert positive_interval(3.5, 27.0) == pytest.approx((0.0, 3.5 + 1.96 * 27.0), rel=1e-4)
    # Far from the border as before: symmetric in the logit.
    low, high = share_interval(0.5, 0.05)
    assert low + high == pytest.approx(1.0)
    assert high == pytest.approx(1 / (1 + np.exp(-1.96 * 0.05 / 0.25)), abs=1e-4)


def test_the_liver_of_several_times_is_the_sum_of_its_parts() -> None:
    """Tumour 400 MBq with 150 h, the rest of the liver 350 with 80 h: 86.6 and 40.4 h, and the liver 127.0 h."""
    hours = (4.0, 24.0, 72.0, 168.0)

    def one(when: float) -> MeasuredTime:
        tumour, normal = 400 * 2 ** (-when / 150), 350 * 2 ** (-when / 80)
        rest = 250 * 2 ** (-when / 60)
        return at(when, liver=tumour + normal, normal_liver=normal, tumour_1=tumour, rest_of_body=rest)

    left = sum(a * 2 ** (-4 / t) for a, t in ((400, 150), (350, 80), (250, 60))) / 1000 * 2 ** (4 / IODINE.half_life_h)
    found, _ = points([one(when) for when in hours], retained=left)
    curves = {c.organ: c for c in curves_of(found, TimeOptions(), IODINE)}
    # The fit weighs points by their uncertainty and a curve of one exponential passes them all: exact but for rounding.
    assert curves["tumour 1"].residence_time_h.value == pytest.approx(0.4 * 150 / LN2, rel=1e-4)
    assert curves["liver"].residence_time_h.value == pytest.approx((0.4 * 150 + 0.35 * 80) / LN2, rel=1e-4)
    assert curves["liver"].decays_bq_s is not None
    assert curves["liver"].decays_bq_s.value == pytest.approx((0.4 * 150 + 0.35 * 80) / LN2 * 3600e9, rel=1e-4)


def test_two_exponentials_are_not_told_of_one() -> None:
    """Points of one exponential of 60 h: no second half-life is made up."""
    times = [h * 3600.0 for h in (4.0, 24.0, 72.0, 168.0)]
    shares = [0.1 * 2 ** (-t / 3600 / 60) for t in times]
    common = {"physical_half_life_s": IODINE.half_life_s}
    one = organ_curve("lungs", times, shares, [0.002] * 4, 0.0, TimeOptions(time_model="bi"), **common)
    assert one.effective_half_life_h is not None
    assert one.effective_half_life_h.value == pytest.approx(60.0, rel=1e-3)
    assert [m.code for m in one.messages] == ["two-exponentials-not-told"]
    both = [0.3 * 2 ** (-t / 3600 / 12) + 0.1 * 2 ** (-t / 3600 / 150) for t in times]
    two = organ_curve("lungs", times, both, [0.0005] * 4, 0.0, TimeOptions(time_model="bi"), **common)
    assert len(two.half_lives_s) == 2
    assert two.effective_half_life_h is not None
    assert two.effective_half_life_h.value == pytest.approx(150.0, rel=0.02)


def test_what_cannot_be_is_refused_before_anything_is_measured() -> None:
    """A time twice, a model of voxels: each names what is meant."""
    one = at(4.0, liver=1.0, rest_of_body=1.0).time.views
    ask = {"nuclide": "I-131"}
    reading = hepatica.PlanarReadingOptions(**ask)
    with pytest.raises(InputError, match="one time, or one file twice"):
        hepatica.biodistribution([one, one], options=BiodistributionOptions(reading=reading))
    voxels = BiodistributionOptions(reading=reading, time=TimeOptions(time_model="trapezoid"))
    with pytest.raises(InputError, match="of voxels of images"):
        hepatica.biodistribution(one, options=voxels)


def test_a_sex_other_than_the_views_is_said_and_a_calibration_folder_holds_its_file(tmp_path: Path) -> None:
    context = DicomContext.invented(slices=1)
    image = SimpleNamespace(context=replace(context, sex="F"))
    read = SimpleNamespace(files=(SimpleNamespace(image=image),))
    views: Any = [SimpleNamespace(read=read)]
    (told,) = PlanarGivenOptions(patient_sex="male").about_sex(views)
    assert (told.code, told.severity) == ("other-sex", "warning")
    assert "PatientSex is F" in told.text
    assert PlanarGivenOptions(patient_sex="female").about_sex(views) == ()
    assert PlanarGivenOptions().about_sex(views) == ()
    assert PlanarGivenOptions(calibration=tmp_path).calibration_file == tmp_path / "calibration.json"
