"""Options of a SPECT reconstruction: what they may be, which are conditions of a factor, what a sensitivity means."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hepatica.core import Estimate
from hepatica.errors import HepaticaError, InputError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.options import (
    AcquisitionOptions,
    NoiseOptions,
    ScatterOptions,
    WithoutCtOptions,
)
from hepatica.imaging.spect.scan_model import (
    SpectOptions,
    further_conditions,
    lead_as_primary,
    primary_sensitivities,
)
from hepatica.imaging.spect.system import window_model
from hepatica.io.calibration_files import RECONSTRUCTION_SETTINGS
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions

WHEN = datetime(2026, 3, 2, 10, 30)
LU = nuclide("Lu-177")
MODEL = AcquisitionOptions(sensitivity_cps_per_mbq="model")


def test_a_measured_sensitivity_holds_what_comes_through_lead() -> None:
    """In air all counts are measured; only the Monte Carlo tells those through holes from the others."""
    model = window_model(gamma_camera("siemens-hegp"), nuclide("I-131"), nuclide_windows(nuclide("I-131"))[0][0])
    assert 0.3 < model.holes_share < 0.6
    in_air = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    mc = ScatterOptions(scatter="mc")
    stated = AcquisitionOptions(sensitivity_cps_per_mbq=in_air)
    assert primary_sensitivities((model,), SpectOptions(acquisition=stated)) == (pytest.approx(in_air / 1e6),)
    by_monte_carlo = primary_sensitivities((model,), SpectOptions(acquisition=stated, scatter=mc))
    assert by_monte_carlo == (pytest.approx(model.sensitivity_cps_per_bq),)
    by_model = primary_sensitivities((model,), SpectOptions(acquisition=MODEL, scatter=mc))
    assert by_model == (model.sensitivity_cps_per_bq,)
    # By windows the counts through lead stay in, and the model's sensitivity is of holes alone.
    assert lead_as_primary((model,), SpectOptions(acquisition=MODEL, scatter=mc)) == ()
    (said,) = lead_as_primary((model,), SpectOptions(acquisition=MODEL, scatter=ScatterOptions(scatter="tew")))
    assert f"{1 / model.holes_share - 1:.0%} too high" in said.text
    for source, expected in (("point", model.sensitivity_cps_per_bq), ("cylinder", in_air / 1e6)):
        conditions = Conditions("I-131", "siemens-hegp", (328.1, 400.9))
        known = CameraCalibration(Estimate(in_air, None), source, conditions, (), WHEN, 100.0)  # type: ignore[arg-type]
        options = SpectOptions(acquisition=AcquisitionOptions(calibration=known), scatter=mc)
        assert primary_sensitivities((model,), options) == (pytest.approx(expected),)


@pytest.mark.parametrize(
    ("made", "used", "refused"),
    [
        (SpectOptions(), SpectOptions(acquisition=AcquisitionOptions(photon_energy_kev=140.0)),
         "attenuation_energy: of the nuclide against 140 keV"),
        (SpectOptions(), SpectOptions(without_ct=WithoutCtOptions(uniform_density_g_ml=1.0, outline_fraction=0.05)),
         "attenuation: of the CT against uniform, 1 g/mL"),
        (SpectOptions(iteration=IterationOptions(method="bsrem", relaxation=0.2)),
         SpectOptions(iteration=IterationOptions(method="bsrem", prior_edge=3.0)),
         "prior_edge: 2 against 3; relaxation"),
        (SpectOptions(scatter=ScatterOptions(scatter="tew", window_smoothing_mm=5.0)),
         SpectOptions(scatter=ScatterOptions(scatter="tew")), "window_smoothing_mm: 5 against 20"),
    ],
)  # fmt: skip
def test_all_settings_that_change_counts_are_conditions(made: SpectOptions, used: SpectOptions, refused: str) -> None:
    one, other = (Conditions("Lu-177", reconstruction=further_conditions(options)) for options in (made, used))
    with pytest.raises(InputError, match=refused):
        one.require_fit(other, "the factor")
    assert set(further_conditions(made)) <= set(RECONSTRUCTION_SETTINGS)


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (lambda: ScatterOptions(device="cuda", stopping=StoppingOptions(histories=1000, time_limit_s=60.0)),
         "`device`, `histories`, `time_limit_s`: only with `scatter` mc"),
        (lambda: ScatterOptions(scatter="esse", montecarlo_smoothing_mm=5.0), "`montecarlo_smoothing_mm`: only with"),
        (lambda: ScatterOptions(scatter="mc", window_smoothing_mm=5.0),
         "`window_smoothing_mm`: only with `scatter` dew, tew, upper"),
        (lambda: IterationOptions(prior_edge=3.0, relaxation=0.2),
         "`prior_edge`, `relaxation`: only with `method` bsrem"),
        (lambda: AcquisitionOptions(dead_time_model="non-paralysable"), "`dead_time_model`: only with `dead_time_s`"),
    ],
)  # fmt: skip
def test_options_of_another_method_are_refused(make: Callable[[], Any], refused: str) -> None:
    with pytest.raises(InputError, match=refused):
        make()
    assert ScatterOptions(stopping=StoppingOptions(seed=7)).stopping.seed == 7


def test_options_that_make_no_sense() -> None:
    for make, message in (
        (lambda: ScatterOptions(scatter="tweak"), "unknown `scatter` 'tweak'"),
        (lambda: ScatterOptions(scater="tew"), "no option `scater`; did you mean `scatter`"),
        (lambda: NoiseOptions(samples=2), "`samples` must be at least 4"),
        (lambda: AcquisitionOptions(sensitivity_cps_per_mbq=("model", 91.0)), "either measured or the model's"),
        (lambda: AcquisitionOptions(sensitivity_cps_per_mbq=(91.0, -1.0)), "must be positive"),
        (lambda: AcquisitionOptions(sensitivity_cps_per_mbq=91.0, calibration=Path("c.json")), "not two of them"),
        (lambda: NoiseOptions(post_filter_mm=-1.0), "`post_filter_mm` must be at least 0"),
        (lambda: StoppingOptions(target_uncertainty=2.0), "above 0 to below 1"),
    ):
        with pytest.raises(HepaticaError, match=message):
            make()
    bsrem = IterationOptions(method="bsrem")
    with pytest.raises(InputError, match="for mlem and osem"):
        SpectOptions(iteration=bsrem, noise=NoiseOptions(quick_uncertainty=True))
    model = window_model(gamma_camera("siemens-megp"), LU, nuclide_windows(LU)[0][0])
    with pytest.raises(InputError, match="2 sensitivities for 1 main windows"):
        primary_sensitivities(
            (model,), SpectOptions(acquisition=AcquisitionOptions(sensitivity_cps_per_mbq=(9.0, 9.0)))
        )
