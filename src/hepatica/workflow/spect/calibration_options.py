"""What the user says about a calibration source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from hepatica.anatomy.phantoms.solids import Point
from hepatica.core import Estimate
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.quantify.camera_factor import CameraCalibration, DeadTime, KnownActivity
from hepatica.nuclides import Nuclide

CalibrationKind = Literal["planar", "point", "sphere", "cylinder", "nema", "patient"]


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """What the source is, and what the files do not say.

    Attributes
    ----------
    source : {"planar", "point", "sphere", "cylinder", "nema", "patient"}
        Dish in air, point in air (planar or TOMO), sphere or cylinder in water (reconstructed), NEMA spheres
        (reconstructed: recovery), or the patient's own image of known activity.
    nuclide : str or None
        Where the file does not name it.
    activity_bq, activity_relative_sd, activity_at
        Of the source ("patient": administered), of the meter, and when it was measured.
    residual_bq, residual_at
        Left in the syringe, and when that was measured.
    clock_sd_s : float
        Uncertainty of the time between activity meter and camera.
    concentration_bq_ml, background_bq_ml : float or None
        "nema": in the spheres and around them, at `activity_at`.
    regions : Path or None
        Structures drawn on the image ("sphere 10 mm", ..., "background") instead of a phantom at `centre_mm`.
    centre_mm : tuple of float or None
        Middle of sphere, cylinder or ring of spheres, LPS; of a sphere or cylinder found from the counts if not given.
    diameter_mm, length_mm : float or None
        Of sphere or cylinder.
    margin_mm : float
        "sphere": counts are taken so far beyond its surface. "cylinder", "nema": the inside keeps so far from walls.
    shell : bool
        "sphere": subtract the background in a shell outside the margin.
    volume_ml, volume_relative_sd
        "cylinder": of the liquid; by default from its size.
    blank : Path or None
        "planar", "point": the same view without the source.
    roi_mm : float or None
        "planar", "point": diameter of the circle about the centre of the counts; the whole field by default.
    energy_window : int or None
        Which of several, from 1.
    duration_s, head_time_s : float or None
        Of a planar exposure; of all views of all heads of a SPECT added up.
    heads : int
        Heads that count at once.
    camera : str or None
        Camera with its collimator, for what the result will hold.
    unit, at
        Of a NIfTI or MetaImage.
    dead_time : DeadTime or None
        Of a head, for exposures.
    calibration : CameraCalibration or None
        "nema": turns counts to becquerels.
    lung_shunt, outside : float
        "patient": shares of the activity that the image does not show.
    """

    source: CalibrationKind
    nuclide: str | None = None
    activity_bq: float | None = None
    activity_relative_sd: float | None = None
    activity_at: datetime | None = None
    residual_bq: float = 0.0
    residual_at: datetime | None = None
    clock_sd_s: float = 0.0
    concentration_bq_ml: float | None = None
    background_bq_ml: float = 0.0
    regions: Path | None = None
    centre_mm: Point | None = None
    diameter_mm: float | None = None
    length_mm: float | None = None
    margin_mm: float = 20.0
    shell: bool = False
    volume_ml: float | None = None
    volume_relative_sd: float | None = None
    blank: Path | None = None
    roi_mm: float | None = None
    energy_window: int | None = None
    duration_s: float | None = None
    head_time_s: float | None = None
    heads: int = 1
    camera: str | None = None
    unit: str | None = None
    at: datetime | None = None
    dead_time: DeadTime | None = None
    calibration: CameraCalibration | None = None
    lung_shunt: float = 0.0
    outside: float = 0.0

    def __post_init__(self) -> None:
        if self.source not in get_args(CalibrationKind):
            raise UnknownNameError("calibration source", self.source, get_args(CalibrationKind))
        needed = "concentration_bq_ml" if self.source == "nema" else "activity_bq"
        if getattr(self, needed) is None or self.activity_at is None:
            word = "--concentration" if self.source == "nema" else "--activity"
            raise InputError(f"source {self.source} needs {word} and --activity-at")
        for name in ("activity_bq", "concentration_bq_ml", "diameter_mm", "length_mm", "volume_ml", "roi_mm",
                     "duration_s", "head_time_s"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} must be positive, not {value}")
        if self.margin_mm < 0 or self.background_bq_ml < 0:
            raise InputError("margin and background cannot be negative")

    def known(self, chosen: Nuclide) -> KnownActivity:
        """The activity of the source."""
        assert self.activity_bq is not None
        assert self.activity_at is not None
        return KnownActivity(
            with_sd(self.activity_bq, self.activity_relative_sd),
            self.activity_at,
            chosen.half_life,
            self.residual_bq,
            self.residual_at,
            self.clock_sd_s,
        )


def with_sd(value: float, relative_sd: float | None) -> Estimate:
    """A value with a relative standard uncertainty, None if that is not known."""
    return Estimate(value, None if relative_sd is None else value * relative_sd)
