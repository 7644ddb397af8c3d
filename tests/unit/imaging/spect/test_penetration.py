"""Counts through lead: scaled in the response, said where a camera is unlike its model, fitted from air and water."""

import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Estimate
from hepatica.core.certainty import ImageCertainty
from hepatica.core.document import document
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.calibration.penetration import (
    FARTHER,
    HolesAndLead,
    bare_source,
    calibrated_near_and_far,
    fitted_penetration,
)
from hepatica.imaging.calibration.source_in_air import size_not_stated
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration, Component
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.options import AcquisitionOptions, ScatterMethod, ScatterOptions
from hepatica.imaging.spect.projections import Window
from hepatica.imaging.spect.scan_model import SpectOptions, lead_relative_sd, scale_relative_sd
from hepatica.imaging.spect.system import WindowModel, model_mismatch, window_model
from hepatica.nuclides import nuclide

START = datetime(2026, 3, 3, 9)
CAMERA, Y90 = gamma_camera("siemens-hegp"), nuclide("Y-90")
WINDOW = nuclide_windows(Y90)[0][0]
MODEL = window_model(CAMERA, Y90, WINDOW)
NEAR, FAR = (0.9, 0.6), (0.9, 0.3)
"""What the source leaves of counts through holes and through lead at two distances."""
AIR_CPS = 1e6 * MODEL.sensitivity_cps_per_bq / MODEL.holes_share
IN_AIR = HolesAndLead(AIR_CPS * MODEL.holes_share, AIR_CPS * (1 - MODEL.holes_share))


def air(factor: float, **more: object) -> CameraCalibration:
    limits = (WINDOW.low_kev, WINDOW.high_kev)
    conditions = Conditions("Y-90", CAMERA.name, limits)
    return CameraCalibration(Estimate(factor, 0.01 * factor), "point", conditions, (), START, 1000.0, **more)  # type: ignore[arg-type]


def test_a_scale_of_the_lead_leaves_the_holes_alone() -> None:
    plain, thick = detector_response(CAMERA), detector_response(replace(CAMERA, penetration=0.5))
    assert np.array_equal(plain.geometric, thick.geometric)
    assert thick.through.sum() == pytest.approx(plain.through.sum() / 2)
    found = window_model(replace(CAMERA, penetration=0.5), Y90, WINDOW)
    assert found.sensitivity_cps_per_bq == pytest.approx(MODEL.sensitivity_cps_per_bq)
    assert found.holes_share == pytest.approx(IN_AIR.holes / (IN_AIR.holes + IN_AIR.lead / 2))
    with pytest.raises(InputError, match="counts through lead 9 times"):
        replace(CAMERA, penetration=9.0)


def test_a_camera_unlike_its_model_is_said() -> None:
    assert model_mismatch(1.09 * AIR_CPS, MODEL, CAMERA, Y90, source_known=True) == ()
    (said,) = model_mismatch(IN_AIR.holes + 1.3 * IN_AIR.lead, MODEL, CAMERA, Y90, source_known=True)
    assert said.code == "sensitivity-unlike-model"
    assert "18% more" in said.text
    assert said.remedy.index("second distance") < said.remedy.index("cylinder of water")


def test_a_source_of_unknown_size_does_not_make_a_camera_look_the_other_way() -> None:
    """Beads of 90Y count 14 to 20 % less by themselves, and a field loses counts through lead: a matched camera counts
    0.67 of the model, one with lead 1.5 times it 0.55. No range can be told; more than the model is more for certain.

    A nuclide with lines to count has no such loss.
    """
    for share in (0.86, 0.67, 0.55):
        (said,) = model_mismatch(share * AIR_CPS, MODEL, CAMERA, Y90, source_known=False)
        assert said.code == "sensitivity-not-compared"
        assert "not as modelled" not in said.text
    (more,) = model_mismatch(1.3 * AIR_CPS, MODEL, CAMERA, Y90, source_known=False)
    assert more.code == "sensitivity-unlike-model"
    (known,) = model_mismatch(0.86 * AIR_CPS, MODEL, CAMERA, Y90, source_known=True)
    assert "size" not in known.text
    iodine = nuclide("I-131")
    peak = window_model(CAMERA, iodine, nuclide_windows(iodine)[0][0])
    counted = 0.86e6 * peak.sensitivity_cps_per_bq / peak.holes_share
    (said,) = model_mismatch(counted, peak, CAMERA, iodine, source_known=False)
    assert "size" not in said.text


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.3])
def test_the_ratio_of_water_to_air_gives_the_lead(scale: float) -> None:
    """Exactly; its uncertainty as the finite difference says."""
    in_water = HolesAndLead(0.6, 0.5)
    ratio = in_water.with_lead(scale).total / IN_AIR.with_lead(scale).total
    found = fitted_penetration(Estimate(ratio, 0.02 * ratio), IN_AIR, in_water)
    assert found.value == pytest.approx(scale)
    step = fitted_penetration(Estimate(ratio * (1 + 1e-5), None), IN_AIR, in_water).value - scale
    assert found.sd == pytest.approx(abs(step) * 2e3, rel=1e-3)


def test_geometries_that_are_alike_or_impossible_are_refused() -> None:
    with pytest.raises(PhysicsError, match="too much alike"):
        fitted_penetration(Estimate(0.5, None), IN_AIR, IN_AIR)
    with pytest.raises(PhysicsError, match="in air at the other distance: too much alike") as alike:
        fitted_penetration(Estimate(0.5, None), IN_AIR, IN_AIR, second=FARTHER)
    assert "water" not in str(alike.value)
    assert "cylinder" not in str(alike.value)
    with pytest.raises(PhysicsError, match="no possible share"):
        fitted_penetration(Estimate(5.0, None), IN_AIR, HolesAndLead(0.6, 0.5))


def test_a_fit_beside_a_source_of_known_water_takes_out_what_source_and_field_keep() -> None:
    """Exactly: a camera of 1.3 times the lead, a source that leaves 0.9 of the holes' counts and 0.6 of the lead's."""
    scale = 1.3
    near, far = (source_at(kept, scale) for kept in (NEAR, FAR))
    found = calibrated_near_and_far(near, far, WINDOW, camera=CAMERA, nuclide=Y90)
    assert found.penetration is not None
    assert found.penetration.value == pytest.approx(scale)
    assert found.factor.value == pytest.approx(IN_AIR.holes + scale * IN_AIR.lead)
    assert "sources-differ" not in {message.code for message in found.messages}
    for other, what in (
        (replace(far, kept_in_air=(0.95, FAR[1])), "not of one size"),
        (replace(far, activity_mbq=1010.0), "not one measurement"),
    ):
        told = calibrated_near_and_far(near, other, WINDOW, camera=CAMERA, nuclide=Y90)
        (said,) = [message.text for message in told.messages if message.code == "sources-differ"]
        assert what in said
    again = CameraCalibration.from_dict(document(found))
    assert (again.penetration, again.kept_in_air) == (found.penetration, NEAR)
    with pytest.raises(InputError, match="fitted in the first factor already"):
        calibrated_near_and_far(found, far, WINDOW, camera=CAMERA, nuclide=Y90)
    with pytest.raises(InputError, match="where the model of both is known"):
        calibrated_near_and_far(near, replace(far, kept_in_air=None), WINDOW, camera=CAMERA, nuclide=Y90)
    with pytest.raises(InputError, match="kept_in_air"):
        CameraCalibration.from_dict(document(found) | {"kept_in_air": [0.9, 0.0]})


def source_at(kept: tuple[float, float], scale: float, error: float = 0.0, **parts: float) -> CameraCalibration:
    """Factor of a source of which so much of holes and lead is left, by a camera of so many times the lead.

    `parts` are relative standard uncertainties of its budget, `error` what is wrong with its counts.
    """
    seen = HolesAndLead(kept[0] * IN_AIR.holes, kept[1] * IN_AIR.lead)
    made = air((1 + error) * seen.with_lead(scale).total * IN_AIR.total / seen.total, kept_in_air=kept)
    if not parts:
        return made
    budget = tuple(Component(name.replace("_", " "), relative, "") for name, relative in parts.items())
    factor = Estimate(made.factor.value, made.factor.value * math.hypot(*parts.values()))
    return replace(made, factor=factor, budget=budget)


def test_of_one_source_at_two_distances_the_meter_cancels_in_the_lead_and_counts_once_in_the_factor() -> None:
    """Both uncertainties against those of a computation from the start, each input changed by itself (GUM 5.1, 5.2).

    A wrong meter makes both factors wrong alike: the lead is what it was, the factor wrong by as much.
    """
    counting, water, meter, busy = 0.004, 0.005, 0.03, 0.002
    parts = {"counting_and_background": counting, "own_water": water, "activity_meter": meter, "clock": 0.01}

    def fit(near: float = 0.0, far: float = 0.0, **more: float) -> CameraCalibration:
        both = [
            source_at(kept, 1.3, error, **(parts | more)) for kept, error in ((NEAR, near), (FAR, far))
        ]  # fmt: skip
        return calibrated_near_and_far(*both, WINDOW, camera=CAMERA, nuclide=Y90)

    found, step = fit(), 1e-5
    changes = [(fit(step, 0), math.hypot(counting, water)), (fit(0, step), math.hypot(counting, water))]
    lead, factor = ([], [])
    assert found.penetration is not None
    for changed, relative in changes:
        assert changed.penetration is not None
        lead.append((changed.penetration.value - found.penetration.value) / step * relative)
        factor.append((changed.factor.value / found.factor.value - 1) / step * relative)
    assert found.penetration.sd == pytest.approx(math.hypot(*lead), rel=1e-3)
    wrong = fit(meter, meter)
    assert wrong.penetration is not None
    assert wrong.penetration.value == pytest.approx(found.penetration.value, rel=1e-9)
    assert wrong.factor.value == pytest.approx((1 + meter) * found.factor.value, rel=1e-9)
    assert found.factor.relative_sd == pytest.approx(math.hypot(*factor, meter, 0.01), rel=1e-3)
    assert found.budget[-1].name == "counts through lead"
    assert math.hypot(*(part.relative_sd or 0 for part in found.budget)) == pytest.approx(found.factor.relative_sd)
    # Of a source measured by two readings of the meter, both count.
    near, far = (source_at(kept, 1.3, **parts) for kept in (NEAR, FAR))
    two = calibrated_near_and_far(near, replace(far, activity_mbq=990.0), WINDOW, camera=CAMERA, nuclide=Y90)
    assert two.penetration is not None
    assert two.penetration.sd == pytest.approx(
        found.penetration.sd * math.hypot(*parts.values()) / math.hypot(counting, water), rel=1e-3
    )
    assert fit(dead_time=busy).penetration == found.penetration
    unstated = replace(far, factor=Estimate(far.factor.value, None), budget=(Component("counting", None, ""),))
    open_end = calibrated_near_and_far(near, unstated, WINDOW, camera=CAMERA, nuclide=Y90)
    assert open_end.factor.sd is None
    assert "calibration-uncertainty-unknown" in {message.code for message in open_end.messages}


def test_a_window_that_lies_elsewhere_is_taken_for_efficiency_and_lead() -> None:
    """Pulses 2 % too high: h times the holes' counts and l times the lead's, at both distances.

    Two counts of a camera with efficiency c and kappa times the lead are then those of one with c h and kappa l / h,
    exactly: nothing in them says which it is, the fit says so, and the counts through holes are the camera's own.
    """
    shifted = bare_source(window_model(CAMERA, Y90, Window(WINDOW.low_kev / 1.02, WINDOW.high_kev / 1.02)))
    holes, lead = shifted.holes / IN_AIR.holes, shifted.lead / IN_AIR.lead
    assert holes > 1.01
    assert lead < 0.99
    both = []
    for kept in (NEAR, FAR):
        counted = kept[0] * shifted.holes + kept[1] * shifted.lead
        model = kept[0] * IN_AIR.holes + kept[1] * IN_AIR.lead
        both.append(air(counted / model * IN_AIR.total, kept_in_air=kept))
    found = calibrated_near_and_far(*both, WINDOW, camera=CAMERA, nuclide=Y90)
    assert found.penetration is not None
    assert found.penetration.value == pytest.approx(lead / holes, rel=1e-9)
    by_fit = window_model(replace(CAMERA, penetration=found.penetration.value), Y90, WINDOW).holes_share
    assert found.factor.value * by_fit == pytest.approx(shifted.holes, rel=1e-9)
    (said,) = [message.text for message in found.messages if message.code == "penetration-fitted"]
    assert "an energy window that lies elsewhere than stated is in it too" in said


def test_a_source_of_bremsstrahlung_whose_size_is_not_stated_is_said() -> None:
    assert size_not_stated(nuclide("I-131")) == ()
    (said,) = size_not_stated(Y90)
    assert said.code == "source-size-unknown"


def test_lead_that_was_fitted_is_in_the_uncertainty_of_the_scale() -> None:
    """How the share through holes goes with the lead: against a difference of the model's own shares."""

    def model(lead: float) -> WindowModel:
        return window_model(replace(CAMERA, penetration=lead), Y90, WINDOW)

    step, fitted = 0.01, Estimate(1.31, 0.17)
    slope = math.log(model(1.31 + step).holes_share / model(1.31 - step).holes_share) / (2 * step)
    made = air(2.36, penetration=fitted)

    def scale(scatter: ScatterMethod, by: CameraCalibration) -> float | None:
        options = SpectOptions(acquisition=AcquisitionOptions(calibration=by), scatter=ScatterOptions(scatter=scatter))
        return scale_relative_sd((model(1.31),), options)

    assert scale("mc", made) == pytest.approx(math.hypot(0.01, slope * 0.17), rel=1e-3)
    assert 0.08 < abs(slope) * 0.17 < 0.1
    assert scale("none", made) == pytest.approx(0.01)
    assert scale("mc", replace(made, penetration=None)) == pytest.approx(0.01)
    assert scale("mc", replace(made, source="cylinder")) == pytest.approx(0.01)
    assert scale_relative_sd((model(1.31),), SpectOptions()) is None


def test_a_factor_stated_again_keeps_the_doubt_of_the_lead_once() -> None:
    options = SpectOptions(
        acquisition=AcquisitionOptions(calibration=air(2.36, penetration=Estimate(1.31, 0.17))),
        scatter=ScatterOptions(scatter="mc"),
    )
    models = (window_model(replace(CAMERA, penetration=1.31), Y90, WINDOW),)
    scale, lead = scale_relative_sd(models, options), lead_relative_sd(models, options)
    image = ImageCertainty(scale, scan_relative_sd=lead)
    assert image.calibrated(0.01) == pytest.approx(scale)
    assert image.calibrated(0.05) == pytest.approx(math.hypot(0.05, lead))
