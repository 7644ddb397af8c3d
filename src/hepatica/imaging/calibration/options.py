"""What a calibration is told: source, phantom, exposure, and what the image does not say."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from hepatica.core import Estimate, Region
from hepatica.core.image import Image
from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Unit, options
from hepatica.errors import InputError
from hepatica.imaging.quantify.camera_factor import CameraCalibration, DeadTime, KnownActivity
from hepatica.imaging.quantify.dead_time import DeadTimeModel
from hepatica.nuclides import Nuclide

Relative = Annotated[float, Unit("fraction"), Limits(low=0)]
"""Standard uncertainty over its value."""


@options
class SourceOptions:
    """What the source is, and how much is in it.

    Attributes
    ----------
    source : {"planar", "point", "sphere", "cylinder", "nema", "patient"}
        Dish in air, point in air (planar or TOMO), sphere or cylinder in water, NEMA spheres for the recovery, or the
        patient's own image of known activity.
    source_activity_at : datetime
        When the activity was measured.
    source_activity_bq : float or None
        Activity in the source; of a patient, the activity administered.
    source_activity_sd : float or None
        Uncertainty of the activity meter (k = 1), relative.
    source_residual_bq : float
        Activity left in the syringe.
    source_residual_at : datetime or None
        When the residual was measured, if not with the activity.
    clock_sd_s : float
        Uncertainty between the clocks of meter and camera.
    concentration_bq_ml : float or None
        NEMA: concentration in the spheres.
    background_bq_ml : float
        NEMA: concentration around the spheres.
    lung_shunt : float
        Patient: fraction in the lungs that is not in view.
    outside : float
        Patient: fraction outside the field of view.
    """

    source: Literal["planar", "point", "sphere", "cylinder", "nema", "patient"]
    source_activity_at: datetime
    source_activity_bq: Positive | None = None
    source_activity_sd: Relative | None = None
    source_residual_bq: NonNegative = 0.0
    source_residual_at: datetime | None = None
    clock_sd_s: NonNegative = 0.0
    concentration_bq_ml: Positive | None = None
    background_bq_ml: NonNegative = 0.0
    lung_shunt: Fraction = 0.0
    outside: Fraction = 0.0

    def __post_init__(self) -> None:
        needed = "concentration_bq_ml" if self.source == "nema" else "source_activity_bq"
        if getattr(self, needed) is None:
            raise InputError(f"source {self.source} needs `{needed}`")

    @property
    def activity(self) -> Estimate:
        """Becquerels when they were measured."""
        assert self.source_activity_bq is not None
        return with_sd(self.source_activity_bq, self.source_activity_sd)

    def known(self, nuclide: Nuclide) -> KnownActivity:
        """The activity of the source at any time."""
        return KnownActivity(
            self.activity,
            self.source_activity_at,
            nuclide.half_life,
            self.source_residual_bq,
            self.source_residual_at,
            self.clock_sd_s,
        )


@options
class PhantomOptions:
    """Where the source lies in a reconstructed image, and how large one of water is.

    Attributes
    ----------
    structures : Path, tuple of Region or None
        NEMA: structures "sphere 10 mm", ..., "background" (RTSTRUCT, SEG, label map) instead of a centre.
    centre_mm : tuple of float or None
        Middle of sphere, cylinder or ring of spheres, x, y and z (LPS); a sphere or cylinder is found without.
    diameter_mm : float or None
        Inner diameter of sphere or cylinder (a sphere in its projections is all of the water); in air, of the ball,
        vial or dish of water that holds the source.
    length_mm : float or None
        Inner length of the cylinder; in air, of the vial, or the depth of the dish.
    margin_mm : float
        Sphere: count so far around it. Cylinder, NEMA: keep so far from walls.
    shell : bool
        Sphere: subtract the background in a shell beyond the margin.
    volume_ml : float or None
        Cylinder: volume of the liquid, if not that of its size.
    volume_sd : float or None
        Cylinder: uncertainty of that volume, relative.
    """

    structures: Path | str | tuple[Region, ...] | None = None
    centre_mm: tuple[float, float, float] | None = None
    diameter_mm: Positive | None = None
    length_mm: Positive | None = None
    margin_mm: NonNegative = 20.0
    shell: bool = False
    volume_ml: Positive | None = None
    volume_sd: Relative | None = None


@options
class CameraExposureOptions:
    """How the source was counted.

    Attributes
    ----------
    blank : Path, Image or None
        In air: the same view without the source.
    circle_mm : float or None
        In air: diameter of the circle about the source in which counts are taken; else the whole field.
    energy_window : int or None
        In air: which of several windows, from 1.
    frame_duration_s : float or None
        Planar: duration of an exposure, where the file does not say.
    head_time_s : float or None
        SPECT: time of all views of all heads added up, where it was not reconstructed here.
    heads : int
        Heads that count at once.
    dead_time_s : float or None
        In air: dead time of a head.
    dead_time_sd : float or None
        Uncertainty of the dead time, relative.
    dead_time_model : {"paralysable", "non-paralysable"}
        Behaviour of a head that is busy.
    """

    blank: Path | str | Image | None = None
    circle_mm: Positive | None = None
    energy_window: Annotated[int, Limits(low=1)] | None = None
    frame_duration_s: Positive | None = None
    head_time_s: Positive | None = None
    heads: Annotated[int, Limits(low=1)] = 1
    dead_time_s: NonNegative | None = None
    dead_time_sd: Relative | None = None
    dead_time_model: DeadTimeModel = "paralysable"

    @property
    def dead_time(self) -> DeadTime | None:
        """Dead time with its uncertainty, None if none is stated."""
        return None if self.dead_time_s is None else DeadTime(
            with_sd(self.dead_time_s, self.dead_time_sd), self.dead_time_model
        )  # fmt: skip


@options
class SourceImageOptions:
    """What the image does not say.

    Attributes
    ----------
    nuclide : str or None
        Radionuclide, where the file does not name it.
    camera : str or None
        Camera with its collimator, by name.
    calibration : Path, CameraCalibration or None
        NEMA: camera factor of an image in counts. Cylinder or sphere of water, in its projections, or the same source
        in air at another distance: the (first) factor in air, to which the counts through lead are fitted.
    activity_unit : str or None
        Unit of an image that states none: counts, Bq/mL.
    activity_at : datetime or None
        Start of the scan, where the file does not say it.
    series : str or None
        SeriesInstanceUID of the image, if a folder holds several.
    accept_nuclide : bool
        Take an image although its header names another nuclide.
    """

    nuclide: str | None = None
    camera: str | None = None
    calibration: Path | str | CameraCalibration | None = None
    activity_unit: str | None = None
    activity_at: datetime | None = None
    series: str | None = None
    accept_nuclide: bool = False


def with_sd(value: float, relative_sd: float | None) -> Estimate:
    """A value with a relative standard uncertainty, None if that is not known."""
    return Estimate(value, None if relative_sd is None else value * relative_sd)
