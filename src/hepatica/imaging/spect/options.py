"""What a reconstruction of projections can be told beside its iterations: acquisition, scatter, noise."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Literal

from hepatica.core.options import Limits, NonNegative, Positive, Unit, options
from hepatica.core.options.stated import require_unstated
from hepatica.errors import InputError
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.dead_time import DeadTimeModel
from hepatica.imaging.reconstruct.resampling import MIN_SAMPLES
from hepatica.transport.runner.settings import StoppingOptions

ScatterMethod = Literal["none", "dew", "tew", "upper", "esse", "mc"]
FROM_WINDOWS = ("dew", "tew", "upper")
"""Corrections from windows beside the main one."""
OF_THE_IMAGE = ("esse", "mc")
"""Corrections computed of the image between iterations."""

SCATTER_UNCERTAINTY = 0.1
"""Of a bin, in each update of the scatter by Monte Carlo, where no stopping rule is given."""


@options
class AcquisitionOptions:
    """How the projections were acquired, and what the camera counts.

    Attributes
    ----------
    nuclide : str or None
        Radionuclide, where the projections do not name it.
    energy_windows : tuple of str
        Main windows: an energy in keV (208), limits (105-195), or a number in the file (#2). Several are reconstructed
        into one image. By default the nuclide's usual window.
    photon_energy_kev : float or None
        One photon energy for attenuation and response; by default those that the window sees.
    sensitivity_cps_per_mbq : float, tuple of float, "model" or None
        Of one head, measured with a source in air, one for each main window; "model" takes the camera model's. Without
        it the image is in counts.
    calibration : Path, CameraCalibration or None
        Measured sensitivity of one head with its uncertainty: calibration.json of the calibration of a camera.
    radius_mm : float or None
        From the axis to the collimator, where the projections do not say.
    axis_mm : tuple of float or None
        x and y of the axis and z of the lowest row in the CT, where the projections do not say; one that they say is
        overruled, and that is said.
    registered : bool
        Projections and CT are registered although their frames of reference differ.
    sum_gates : bool
        Add up the gates of a gated acquisition.
    dead_time_s : float
        Dead time per count of all windows of a head together.
    dead_time_model : {"paralysable", "non-paralysable"}
        Behaviour of a head that is busy.
    """

    nuclide: str | None = None
    energy_windows: tuple[str, ...] = ()
    photon_energy_kev: Positive | None = None
    sensitivity_cps_per_mbq: Positive | tuple[float, ...] | Literal["model"] | None = None
    calibration: Path | str | CameraCalibration | None = None
    radius_mm: Positive | None = None
    axis_mm: tuple[float, float, float] | None = None
    registered: bool = False
    sum_gates: bool = False
    dead_time_s: NonNegative = 0.0
    dead_time_model: DeadTimeModel = "paralysable"

    def __post_init__(self) -> None:
        if self.calibration is not None and self.sensitivity_cps_per_mbq is not None:
            raise InputError("a sensitivity is either measured (`calibration`), stated or the model's, not two of them")
        if "model" in self._sensitivities and len(self._sensitivities) > 1:
            raise InputError("`sensitivity_cps_per_mbq` is either measured or the model's, not both")
        if not self.dead_time_s:
            require_unstated(self, why="only with `dead_time_s`", only=("dead_time_model",))

    @property
    def _sensitivities(self) -> tuple[float | str, ...]:
        given = self.sensitivity_cps_per_mbq
        return () if given is None else tuple(given) if isinstance(given, tuple | list) else (given,)

    @property
    def measured_cps_per_mbq(self) -> tuple[float, ...]:
        """Sensitivity of one head in each main window, as stated or calibrated; empty if none was measured."""
        if isinstance(self.calibration, CameraCalibration):
            return (self.calibration.factor.value,)
        return tuple(value for value in self._sensitivities if not isinstance(value, str))

    @property
    def by_model(self) -> bool:
        """Whether the sensitivity is that of the camera's model."""
        return "model" in self._sensitivities

    @property
    def in_activity(self) -> bool:
        """Whether the image is in Bq/mL, not in counts."""
        return self.by_model or self.calibration is not None or bool(self.measured_cps_per_mbq)

    def with_calibration(self, calibration: CameraCalibration | None) -> AcquisitionOptions:
        """These options with the calibration as a value."""
        return replace(self, calibration=calibration)


@options
class SpectInputOptions:
    """Which projections and CT are read.

    Attributes
    ----------
    series : str or None
        SeriesInstanceUID of the projections, if a folder holds several.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    accept_nuclide : bool
        Take projections although their header names another nuclide.
    """

    series: str | None = None
    ct_series: str | None = None
    accept_nuclide: bool = False


@options
class WithoutCtOptions:
    """Attenuation where there is no CT: a patient of one density.

    Attributes
    ----------
    uniform_density_g_ml : float or None
        Density of the patient.
    uniform_attenuation : float or None
        In its place the linear attenuation coefficient at the energy of the first main window, such as 0.15 1/cm for
        140 keV.
    outline_fraction : float or None
        Share of the highest smoothed activity of a first image without attenuation that outlines the body, with air
        around it. Needed without a CT.
    """

    uniform_density_g_ml: Annotated[float, Limits(low=0.05, high=3)] | None = None
    uniform_attenuation: Annotated[float, Unit("1/cm"), Limits(above=0, high=1)] | None = None
    outline_fraction: Annotated[float, Unit("fraction"), Limits(above=0, below=1)] | None = None

    def __post_init__(self) -> None:
        if self.uniform_density_g_ml is not None and self.uniform_attenuation is not None:
            raise InputError("state either `uniform_density_g_ml` or `uniform_attenuation`, not both")

    @property
    def stated(self) -> bool:
        """Whether anything is said of a patient without CT."""
        return self != WithoutCtOptions()


@options
class ScatterOptions:
    """How scattered photons are corrected for.

    Attributes
    ----------
    scatter : {"none", "dew", "tew", "upper", "esse", "mc"}
        From windows beside the main one: dew (one below), tew (both sides), upper (one above). Of the image between
        iterations: esse (effective sources, in the patient alone), mc (Monte Carlo, with collimator and camera).
    window_smoothing_mm : float
        Smoothing of the estimate from windows, FWHM.
    montecarlo_smoothing_mm : float
        Smoothing of the counts scattered by Monte Carlo, FWHM.
    device : {"cpu", "cuda"}
        Where the Monte Carlo runs.
    stopping : StoppingOptions
        When each Monte Carlo update ends; at 10 % of a bin if nothing is stated. Its seed serves the samples too.
    """

    scatter: ScatterMethod = "none"
    window_smoothing_mm: NonNegative = 20.0
    montecarlo_smoothing_mm: NonNegative = 12.0
    device: Literal["cpu", "cuda"] = "cpu"
    stopping: StoppingOptions = StoppingOptions()

    def __post_init__(self) -> None:
        windows, montecarlo = ("window_smoothing_mm",), ("montecarlo_smoothing_mm", "device")
        if self.scatter not in FROM_WINDOWS:
            require_unstated(self, why=f"only with `scatter` {', '.join(FROM_WINDOWS)}", only=windows)
        if self.scatter != "mc":
            rules = tuple(item.name for item in fields(StoppingOptions) if item.name != "seed")
            require_unstated(self, why="only with `scatter` mc", only=(*montecarlo, *rules))


REMAINING_BLUR_SHARE = 0.7
"""Blur that is left in the image where nothing else is said, over what the camera itself blurs at the axis: the middle
of a sphere of 20 to 40 mm then ends below 1.25 of the truth, with low-, medium- and high-energy collimators
(docs/spect-study.md). How far edges ring goes by the ratio of the two, not by millimetres."""


@options
class NoiseOptions:
    """Noise of the image: resolution, filter, and uncertainty of every voxel.

    Attributes
    ----------
    remaining_blur_mm : float or None
        Blur that is left in the image, FWHM, no more than the camera has at the axis: what it blurs more is undone. By
        default 70 % of the camera's own at the axis. With 0 all of it is undone, means of small lesions are a little
        higher, and their middles overshoot.
    post_filter_mm : float
        Gaussian filter of the image, FWHM; 0 for none.
    samples : int or None
        Reconstructions of resampled counts, for the uncertainty; 20 give it to 16 %.
    quick_uncertainty : bool
        Estimate the uncertainty without them (mlem and osem).
    """

    remaining_blur_mm: NonNegative | None = None
    post_filter_mm: NonNegative = 0.0
    samples: Annotated[int, Limits(low=MIN_SAMPLES)] | None = None
    quick_uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.quick_uncertainty and self.samples is not None:
            raise InputError("`quick_uncertainty` stands instead of `samples`", remedy="state one of the two")
