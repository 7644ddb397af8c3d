"""What a reconstruction on files can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.dead_time import DeadTimeModel
from hepatica.imaging.reconstruct.algorithms import Settings
from hepatica.imaging.reconstruct.resampling import FEWEST_RUNS
from hepatica.imaging.spect.scatter.montecarlo import MonteCarloOptions

Scatter = Literal["none", "dew", "tew", "upper", "esse", "mc"]
FROM_WINDOWS = ("dew", "tew", "upper")
"""Corrections from windows beside the main one."""


@dataclass(frozen=True, slots=True)
class SpectOptions:
    """How to reconstruct projections.

    Attributes
    ----------
    camera : str
        Camera by name: its response is modelled.
    settings : Settings
        Method, iterations, subsets, prior.
    scatter : str
        "none"; from windows beside the main one, "dew" (one below), "tew" (both sides), "upper" (one above); computed
        of the image between passes, "esse" (effective sources, in the patient alone), "mc" (Monte Carlo, with septal
        penetration and scatter in collimator and camera).
    scatter_smooth_mm : float
        Smoothing of the estimate from windows, FWHM.
    nuclide : str or None
        Where the file does not name it.
    windows : str or None
        Main windows, with commas between them: an energy in keV ("208"), limits ("105-195"), or a number in the file
        from 1 ("#2"). Several are reconstructed into one image. By default the nuclide's usual window.
    energy_kev : float or None
        One photon energy for attenuation and response; by default the energies of the nuclide that the window sees.
    sensitivity_cps_per_mbq : float, tuple of float or None
        Of one head, measured with a source in air, one for each main window; without it the image is in counts.
    calibration : CameraCalibration or None
        A measured sensitivity with its uncertainty and the conditions for which it holds (`hepatica calibrate`), for
        one main window; instead of `sensitivity_cps_per_mbq`.
    sensitivity_by_model : bool
        Take the sensitivity that the camera's model has (of a simulated scan, or for a first look).
    radius_mm : float or None
        Where the file has no radius.
    axis_mm : tuple of float or None
        x and y of the axis and z of the lowest row in the CT's frame, where the file does not say.
    post_filter_mm : float
        Gaussian filter of the image, FWHM; 0 for none.
    registered : bool
        Projections and CT are registered although their frames of reference differ.
    dead_time_s, dead_time_model
        Dead time per count, measured against the counts of all windows of a head together, and its model.
    montecarlo : MonteCarloOptions
        Of scatter "mc".
    uncertainty_runs : int
        Reconstructions of resampled counts for an uncertainty of every voxel; 0 for none.
    quick_uncertainty : bool
        Estimate the uncertainty of every voxel without them (mlem and osem).
    sum_gates : bool
        Add up the gates of a gated acquisition.
    """

    camera: str
    settings: Settings = field(default_factory=Settings)
    scatter: Scatter = "none"
    scatter_smooth_mm: float = 20.0
    nuclide: str | None = None
    windows: str | None = None
    energy_kev: float | None = None
    sensitivity_cps_per_mbq: float | tuple[float, ...] | None = None
    sensitivity_by_model: bool = False
    calibration: CameraCalibration | None = None
    radius_mm: float | None = None
    axis_mm: tuple[float, float, float] | None = None
    post_filter_mm: float = 0.0
    registered: bool = False
    dead_time_s: float = 0.0
    dead_time_model: DeadTimeModel = "paralysable"
    montecarlo: MonteCarloOptions = field(default_factory=MonteCarloOptions)
    uncertainty_runs: int = 0
    quick_uncertainty: bool = False
    sum_gates: bool = False

    def __post_init__(self) -> None:
        if self.scatter not in get_args(Scatter):
            raise UnknownNameError("scatter correction", self.scatter, get_args(Scatter))
        if self.calibration is not None:
            factor = self.calibration.factor.value
            if self.sensitivity_cps_per_mbq not in (None, factor, (factor,)) or self.sensitivity_by_model:
                raise InputError("a sensitivity comes from a calibration file, a number or the model, not from two")
            object.__setattr__(self, "sensitivity_cps_per_mbq", factor)
        given = self.sensitivity_cps_per_mbq
        numbers = () if given is None else (given,) if isinstance(given, int | float) else tuple(given)
        if given is not None and (not numbers or not all(0 < number < float("inf") for number in numbers)):
            raise InputError("the sensitivity of a head must be positive")
        if numbers and self.sensitivity_by_model:
            raise InputError("a sensitivity is either measured or the model's, not both")
        object.__setattr__(self, "sensitivity_cps_per_mbq", numbers or None)
        if self.uncertainty_runs and self.uncertainty_runs < FEWEST_RUNS:
            raise InputError(f"an uncertainty needs at least {FEWEST_RUNS} runs, not {self.uncertainty_runs}")
        if self.quick_uncertainty and (self.uncertainty_runs or self.settings.method == "bsrem"):
            raise InputError("the quick uncertainty is for mlem and osem, and instead of resampling")
        if min(self.post_filter_mm, self.scatter_smooth_mm) < 0:
            raise InputError("a filter cannot be narrower than 0 mm")

    @property
    def in_activity(self) -> bool:
        """Whether the image is in Bq/mL, not in counts."""
        return self.sensitivity_by_model or self.sensitivity_cps_per_mbq is not None

    def sensitivities(self, modelled: tuple[float, ...]) -> tuple[float, ...]:
        """Counts per second and becquerel of one head in each main window: measured ones, else the model's.

        Raises
        ------
        InputError
            If as many were not stated as there are main windows.
        """
        given = self.sensitivity_cps_per_mbq
        if given is None:
            return modelled
        assert isinstance(given, tuple)
        if len(given) != len(modelled):
            raise InputError(f"{len(given)} sensitivities for {len(modelled)} main windows: state one for each")
        return tuple(value / 1e6 for value in given)
