"""What shares, curves and doses of a biodistribution are of: the camera's activities, or the body's counts."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

import hepatica
from hepatica.core import Estimate
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.organ_curve import OrganCurve, organ_curve
from hepatica.dosimetry.time.single_point import MeasuredShape
from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.imaging.planar.measure import Measured
from hepatica.imaging.planar.options import PlanarCountsOptions, PlanarOrganOptions
from hepatica.imaging.planar.organs import OrganRates
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.spect.projections import Window
from hepatica.workflow.planar.doses import doses_of
from hepatica.workflow.planar.factor import about_factor, with_side_windows
from hepatica.workflow.planar.given import KnownAdministration, PlanarGivenOptions
from hepatica.workflow.planar.measuring import MeasuredTime, Study, measure_times
from hepatica.workflow.planar.options import BiodistributionOptions
from hepatica.workflow.planar.reading import TimeOfViews
from hepatica.workflow.planar.times import Point, curves_of, excreted_of, impossible_curves, retained_of

WHEN = datetime(2026, 3, 2, 10)
PEAK, LOW, HIGH = Window(328.1, 400.9), Window(306.2, 328.1), Window(400.9, 422.8)
IODINE = hepatica.nuclide("I-131")
DAY_H = IODINE.half_life_h
CPS_PER_MBQ = 10.0


def views(hours: float, windows: tuple[Window, ...] = (PEAK,)) -> PlanarViews:
    counts = np.ones((2, len(windows), 4, 4))
    at = WHEN + timedelta(hours=hours)
    return PlanarViews(counts, ("anterior", "posterior"), windows, (5.0, 5.0), (1.0, 1.0), (0.0, 0.0), at)


def at(hours: float, liver_mbq: float, rest_mbq: float) -> MeasuredTime:
    """A time that holds so much as it is then; all counts known to 2 % together."""
    cps = CPS_PER_MBQ * np.array([liver_mbq, rest_mbq])
    rates = OrganRates(("liver", "rest of body"), cps, {"attenuation": 4e-4 * np.outer(cps, cps)})
    roles = {"liver": "liver", "rest of body": "remainder"}
    pixel = np.ones((2, 4, 4))
    seen = PlanarRates(pixel, pixel, pixel, PEAK, ("anterior", "posterior"), (5.0, 5.0), (1.0, 1.0))
    measured = Measured(rates, roles, ("liver", "rest of body"), ("liver",), {}, {})
    return MeasuredTime(TimeOfViews(views(hours)), seen, measured)


def factor(window: tuple[float, float] | None = (328.1, 400.9)) -> hepatica.CameraCalibration:
    conditions = Conditions("I-131", None, window)
    return hepatica.CameraCalibration(Estimate(CPS_PER_MBQ, 0.5), "planar", conditions, (), WHEN, 10.0)


def known(administered_mbq: float | None, calibrated: bool = True) -> KnownAdministration:
    amount = None if administered_mbq is None else Estimate(1e6 * administered_mbq, 1e4 * administered_mbq)
    return KnownAdministration(amount, WHEN, factor() if calibrated else None)


def points(times: list[MeasuredTime], amount: KnownAdministration, **organs: object) -> tuple[list[Point], set[str]]:
    study = Study((), IODINE, (), None, BiodistributionOptions())
    found, notes = retained_of(times, study, amount, PlanarOrganOptions(**organs))  # type: ignore[arg-type]
    return found, {f"{note.code} {note.severity}" for note in notes}


def falling(half_life_h: float, start: float, hours: float) -> float:
    return float(start * 2 ** (-hours / half_life_h))


SERIES = [at(h, falling(100, 1000, h), falling(60, 400, h)) for h in (4.0, 24.0, 72.0, 168.0)]
LN2 = np.log(2)


def test_the_camera_factor_feeds_shares_curves_decays_and_excretion() -> None:
    """1000 of 2000 MBq with 100 h, 400 with 60 h: residence times 72.1 and 17.3 h, however much of it is missing."""
    found, notes = points(SERIES, known(2000), normalise="camera")
    curves = {c.organ: c for c in curves_of(found, TimeOptions(), IODINE)}
    assert curves["liver"].residence_time_h.value == pytest.approx(0.5 * 100 / LN2, rel=1e-6)
    assert curves["rest of body"].residence_time_h.value == pytest.approx(0.2 * 60 / LN2, rel=1e-6)
    decays = curves["liver"].decays_bq_s
    assert decays is not None
    assert decays.value == pytest.approx(1e9 * 100 * 3600 / LN2, rel=1e-6)
    # Decays need no administered activity, so its 1 % moves the residence time alone; 5 % factor and 2 % attenuation.
    assert decays.relative_sd == pytest.approx(np.hypot(0.05, 0.02), rel=0.01)
    hours = curves["liver"].residence_time_h
    assert hours.relative_sd == pytest.approx(np.hypot(np.hypot(0.05, 0.02), 0.01), rel=0.01)
    left = (falling(100, 1000, 168) + falling(60, 400, 168)) / 2000 * 2 ** (168 / DAY_H)
    assert excreted_of(found, known(2000), PlanarOrganOptions(normalise="camera")) == pytest.approx(1 - left)
    assert not notes


def test_the_camera_factor_needs_no_administered_activity_for_decays() -> None:
    found, notes = points(SERIES, known(None), normalise="camera")
    curves = {c.organ: c for c in curves_of(found, TimeOptions(), IODINE)}
    decays = curves["liver"].decays_bq_s
    assert decays is not None
    assert decays.value == pytest.approx(1e9 * 100 * 3600 / LN2, rel=1e-6)
    assert notes == {"shares-of-measured warning"}
    assert excreted_of(found, known(None), PlanarOrganOptions(normalise="camera")) is None


def test_more_than_was_administered_is_critical() -> None:
    found, notes = points(SERIES, known(500), normalise="camera")
    assert notes == {"more-than-administered critical"}
    # The liver's 1000 MBq of 500 with 100 h: 289 h, where physical decay of the whole leaves 278 h.
    (note,) = impossible_curves(curves_of(found, TimeOptions(), IODINE), IODINE)
    assert (note.code, note.severity) == ("residence-above-physical", "critical")
    assert "liver 288.5 h" in note.text
    fair, _ = points(SERIES, known(2000), normalise="camera")
    assert impossible_curves(curves_of(fair, TimeOptions(), IODINE), IODINE) == ()
    # 1400 MBq at 5.5 % are 1450 within two standard uncertainties.
    assert points([at(0.0, 1000, 400)], known(1300), normalise="camera")[1] == set()


def test_shares_of_the_body_stay_below_the_whole_when_counts_rise() -> None:
    """Of 600 and then 900 (decay aside) the second is the whole: no share is 150 %."""
    later = [at(0.0, 400, 200), at(20.0, 600 * 2 ** (-20 / DAY_H), 300 * 2 ** (-20 / DAY_H))]
    found, notes = points(later, known(1000, calibrated=False))
    assert notes == {"whole-body-rises critical"}
    assert [p.retained for p in found] == pytest.approx([2 / 3, 1.0])
    assert excreted_of(found, known(1000), PlanarOrganOptions()) == pytest.approx(0.0)
    falls, quiet = points(SERIES, known(1000, calibrated=False), retained=0.8)
    assert falls[0].retained == pytest.approx(0.8)
    assert not quiet


def test_one_time_goes_on_as_is_stated() -> None:
    """Hänscheid: 2 t A / ln 2; a curve's shape: one exponential of 24 h; a half-life beyond the physical one: none."""
    common = {"physical_half_life_s": IODINE.half_life_s}

    def curve(**time: object) -> OrganCurve:
        return organ_curve("liver", [86400.0], [0.4], [0.01], 0.0, TimeOptions(**time), **common)  # type: ignore[arg-type]

    formula = curve(time_model="haenscheid")
    assert formula.residence_time_h.value == pytest.approx(2 * 24 * 0.4 / LN2)
    assert formula.at(np.array([86400.0]))[0] == pytest.approx(0.4)
    assert [m.code for m in formula.messages] == ["one-time-formula"]
    shape = MeasuredShape((0.0, 24.0, 48.0, 96.0), (1.0, 0.5, 0.25, 0.0625))
    shaped = curve(time_curve=shape)
    assert shaped.residence_time_h.value == pytest.approx(0.8 * 24 / LN2, rel=1e-4)
    assert shaped.effective_half_life_h.value == pytest.approx(24.0, rel=1e-4)
    with pytest.raises(PhysicsError, match="longer than the physical one"):
        curve(effective_half_life_s=300 * 3600.0)


def test_scatter_by_other_methods_at_other_times_is_refused() -> None:
    times = [TimeOfViews(views(0.0, (PEAK, LOW, HIGH))), TimeOfViews(views(20.0))]
    plain = BiodistributionOptions()
    with pytest.raises(InputError, match="by tew, those of time 2 by none"):
        measure_times(_study(times, plain), lambda _: None)
    with pytest.raises(InputError, match="one curve needs one photopeak"):
        measure_times(_study([TimeOfViews(views(0.0)), TimeOfViews(views(20.0, (LOW,)))], plain), lambda _: None)


def _study(times: list[TimeOfViews], options: BiodistributionOptions) -> Study:
    ct = hepatica.Image.from_array(np.zeros((4, 4, 4)), unit="HU", spacing_mm=(10, 10, 10))
    return Study(times, IODINE, ("structures",), ct, options)


def test_a_camera_factor_of_another_window_is_refused_or_told() -> None:
    seen = [at(0.0, 1.0, 1.0).rates]
    asked = BiodistributionOptions(organs=PlanarOrganOptions(normalise="camera"))

    def told(window: tuple[float, float] | None) -> list[str]:
        one = KnownAdministration(None, WHEN, factor(window))
        return [m.code for m in about_factor(one, asked, seen, "I-131")]

    assert told((328.1, 400.9)) == []
    assert told((332.0, 398.0)) == ["factor-of-other-window"]
    assert told(None) == ["factor-window-unknown"]
    with pytest.raises(InputError, match="measured in 260-308 keV"):
        told((260.0, 308.0))


def test_a_whole_factor_beside_scatter_taken_off_is_uncertain_by_what_it_may_be_off() -> None:
    windows = (Window(328.1, 400.9), Window(306.2, 328.1), Window(400.9, 422.8))
    stated = KnownAdministration(None, WHEN, factor((328.1, 400.9)))
    assert stated.calibration is not None
    counts = PlanarCountsOptions(planar_scatter="tew")
    found, (said,) = with_side_windows(stated, [(windows, 0)], counts, IODINE, None)
    assert (said.code, said.severity) == ("factor-with-scatter", "critical")
    assert found.calibration is not None
    assert found.calibration.factor.value == stated.calibration.factor.value
    # Activities that read low by a third of the factor lie within 95 %: 1 / (1 - 1/3) = 1.5.
    assert found.calibration.factor.relative_sd == pytest.approx(math.hypot(1 / 3, 0.05), rel=1e-3)
    assert np.exp(1.96 / 3) > 1.5
    none = PlanarCountsOptions(planar_scatter="none")
    assert with_side_windows(stated, [(windows, 0)], none, IODINE, None) == (stated, ())


@pytest.mark.parametrize("source", ["sphere", "cylinder", "known-activity"])
def test_a_factor_of_a_reconstructed_image_is_not_one_of_views(source: str) -> None:
    of_image = replace(factor(), source=source)  # type: ignore[arg-type]
    asked = BiodistributionOptions(organs=PlanarOrganOptions(normalise="camera"))
    with pytest.raises(InputError, match=f"of a {source} in a reconstructed image"):
        about_factor(KnownAdministration(None, WHEN, of_image), asked, [at(0.0, 1.0, 1.0).rates], "I-131")


def test_what_leaves_the_body_passes_the_bladder_or_is_said() -> None:
    """0.5 with 100 h and 0.2 with 60 h of 131I (193 h): 0.24 and 0.14 leave; emptied twice as often, about half of it.

    ``1 - lp/l`` of each: 0.5 (1 - 100/192.6) + 0.2 (1 - 60/192.6) = 0.378.
    """
    plain, _ = points(SERIES, known(2000), normalise="camera")
    base = curves_of(plain, TimeOptions(), IODINE)
    roles, body = {"liver": "liver", "rest of body": "remainder"}, ("liver", "rest of body")

    def doses_gy(hours: float) -> dict[str, Estimate]:
        given = PlanarGivenOptions(patient_sex="male", voiding_interval_s=3600 * hours)
        return {d.organ: d.dose_gy for d in doses_of(base, roles, IODINE, given, {}, body)[0]}

    # The liver's dose is nearly all its own, and as uncertain as without a bladder; its wall's is that of the curves.
    bare = doses_of(base, roles, IODINE, PlanarGivenOptions(patient_sex="male"), {}, body)[0]
    alone = {d.organ: d.dose_gy for d in bare}
    assert alone["liver"].relative_sd
    assert doses_gy(4.0)["liver"].relative_sd == pytest.approx(alone["liver"].relative_sd, rel=0.02)
    assert 0.01 < (doses_gy(4.0)["bladder_wall"].relative_sd or 0.0) < 0.5

    def bladder_gy(hours: float | None, **more: object) -> tuple[float, list[str]]:
        interval = None if hours is None else 3600 * hours
        given = PlanarGivenOptions(patient_sex="male", voiding_interval_s=interval, **more)  # type: ignore[arg-type]
        doses, _, notes = doses_of(base, roles, IODINE, given, {}, body)
        found = {d.organ: d.dose_gy.value for d in doses}["bladder_wall"]
        return found, [m.text for m in notes if m.code in ("excretion-not-in-doses", "bladder-by-model")]

    without, told = bladder_gy(None)
    assert told[0].startswith("38 % of the administered activity leaves the body")
    every_four, said = bladder_gy(4.0)
    assert "emptied every 4 h" in said[0]
    assert every_four > 1.5 * without
    # With a bladder of its own the rest of the body lies beside it: what is common to both drops out of differences.
    half, none = (bladder_gy(4.0, urine_share=share)[0] for share in (0.5, 0.0))
    assert every_four - half == pytest.approx(half - none, rel=1e-6)
    assert bladder_gy(2.0)[0] == pytest.approx(half, rel=0.02)
    given = PlanarGivenOptions(patient_sex="male", voiding_interval_s=3600.0)
    with pytest.raises(InputError, match="the bladder is drawn"):
        doses_of(base, roles | {"rest of body": "bladder"}, IODINE, given, {}, body)
    with pytest.raises(InputError, match="`voiding_interval_s`"):
        PlanarGivenOptions(urine_share=0.5)


def test_doses_take_what_has_no_s_value_into_the_remainder() -> None:
    """A pancreas's decays go where the rest's do; a tumour without a mass is named; the liver keeps its own."""
    plain, _ = points(SERIES, known(2000), normalise="camera")
    base = curves_of(plain, TimeOptions(), IODINE)
    roles = {"liver": "liver", "rest of body": "remainder"}
    given = PlanarGivenOptions(patient_sex="male")
    whole = {d.organ: d.dose_gy.value for d in doses_of(base, roles, IODINE, given, {})[0]}
    moved, tumours, notes = doses_of(base, roles | {"rest of body": "pancreas"}, IODINE, given, {})
    assert {d.organ: d.dose_gy.value for d in moved} == pytest.approx(whole)
    assert "source-in-remainder" in {m.code for m in notes}
    as_tumour = doses_of(base, roles | {"rest of body": "tumour"}, IODINE, given, {})
    assert {"tumour-mass-unknown", "phantom-geometry"} == {m.code for m in as_tumour[2]}
    weighed = doses_of(base, roles | {"rest of body": "tumour"}, IODINE, given, {"rest of body": 100.0})
    assert list(weighed[1]) == ["rest of body"]
    assert tumours == {}
    for asked, error in (
        ({"patient_sex": "male", "organ_mass_kg": (("spelen", 0.2),)}, UnknownNameError),
        ({"patient_sex": "male", "organ_mass_kg": (("spleen", 3.0),)}, InputError),
        ({"organ_mass_kg": (("liver", 1.5),)}, InputError),
    ):
        with pytest.raises(error):
            doses_of(base, roles, IODINE, PlanarGivenOptions(**asked), {})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="in kg"):
        PlanarGivenOptions(organ_mass_kg=(("liver", 1800.0),))
