"""Counts through lead: scaled in the response, said where a camera is unlike its model, fitted from air and water."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Estimate
from hepatica.core.document import document
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.calibration.options import (
    CameraExposureOptions,
    PhantomOptions,
    SourceImageOptions,
    SourceOptions,
)
from hepatica.imaging.calibration.penetration import HolesAndLead, cylinder_counts, fitted_penetration
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.system import model_mismatch, window_model
from hepatica.nuclides import nuclide
from hepatica.workflow.spect.calibrate import calibrate_camera

START = datetime(2026, 3, 3, 9)
CAMERA, Y90 = gamma_camera("siemens-hegp"), nuclide("Y-90")
WINDOW = nuclide_windows(Y90)[0][0]
MODEL = window_model(CAMERA, Y90, WINDOW)
AIR_CPS = 1e6 * MODEL.sensitivity_cps_per_bq / MODEL.holes_share
IN_AIR = HolesAndLead(AIR_CPS * MODEL.holes_share, AIR_CPS * (1 - MODEL.holes_share))
CYLINDER = PhantomOptions(diameter_mm=200.0, length_mm=200.0)


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
    assert model_mismatch(1.09 * AIR_CPS, MODEL, CAMERA) == ()
    (said,) = model_mismatch(IN_AIR.holes + 1.3 * IN_AIR.lead, MODEL, CAMERA)
    assert said.code == "sensitivity-unlike-model"
    assert "18% more" in said.text
    assert "cylinder of water" in said.remedy


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.3])
def test_the_ratio_of_water_to_air_gives_the_lead(scale: float) -> None:
    """Exactly, whatever the efficiency; its uncertainty as finite differences of both factors say."""
    in_water = HolesAndLead(0.6, 0.5)

    def measured(efficiency: float) -> tuple[float, float]:
        return tuple(efficiency * (one.holes + scale * one.lead) for one in (IN_AIR, in_water))  # type: ignore[return-value]

    a, w = measured(0.8)
    found = fitted_penetration(Estimate(a, 0.01 * a), Estimate(w, 0.02 * w), IN_AIR, in_water)
    assert found.value == pytest.approx(scale)
    steps = [
        fitted_penetration(Estimate(a * x, None), Estimate(w * y, None), IN_AIR, in_water).value - scale
        for x, y in ((1 + 1e-5, 1), (1, 1 + 1e-5))
    ]
    assert found.sd == pytest.approx(np.hypot(steps[0] * 1e3, steps[1] * 2e3), rel=1e-3)


def test_geometries_that_are_alike_or_impossible_are_refused() -> None:
    with pytest.raises(PhysicsError, match="too much alike"):
        fitted_penetration(Estimate(1.0, None), Estimate(0.5, None), IN_AIR, IN_AIR)
    with pytest.raises(PhysicsError, match="no possible share"):
        fitted_penetration(Estimate(1.0, None), Estimate(5.0, None), IN_AIR, HolesAndLead(0.6, 0.5))


def test_a_cylinder_of_water_fits_the_lead_by_the_verb() -> None:
    """A camera of 30 % more counts through lead: the fit is within 15 %, its share through holes within 2 points.

    The simulations of cylinder and model, 0.5 % each, are 10 % of the lead together (a ratio of 1 % is 7 %).
    """
    orbit, scale = Orbit.circular(8, radius_mm=180.0), 1.3
    empty = Projections(
        np.ones((1, 8, 32, 32), np.float32), orbit, (WINDOW,), (9.6, 9.6), 30.0, axis_mm=(0.0, 0.0, -9.6 * 15.5),
        start=START, nuclide="Y-90",
    )  # fmt: skip
    true = cylinder_counts(
        empty, WINDOW, replace(CYLINDER, centre_mm=(0.0, 0.0, 0.0)), camera=CAMERA, nuclide=Y90, seed=99
    )
    counts = 1000 * 30 * (true.holes + scale * true.lead)
    data = replace(empty, counts=np.full((1, 8, 32, 32), counts / 32**2, np.float32))
    measured_air = air(IN_AIR.holes + scale * IN_AIR.lead)
    source = SourceOptions(source="cylinder", source_activity_bq=1e9, source_activity_at=START, source_activity_sd=0.01)
    found = calibrate_camera(
        data, source=source, phantom=CYLINDER, exposure=CameraExposureOptions(),
        stated=SourceImageOptions(calibration=measured_air),
    ).calibration  # fmt: skip
    assert found is not None
    assert found.penetration is not None
    assert found.penetration.value == pytest.approx(scale, rel=0.15)
    fitted = window_model(replace(CAMERA, penetration=found.penetration.value), Y90, WINDOW)
    assert fitted.holes_share == pytest.approx(IN_AIR.holes / (IN_AIR.holes + scale * IN_AIR.lead), abs=0.02)
    assert found.factor == measured_air.factor
    again = CameraCalibration.from_dict(document(found))
    assert again.penetration == found.penetration
    with pytest.raises(InputError, match="beside a factor in air"):
        calibrate_camera(data, source=source, phantom=CYLINDER)
