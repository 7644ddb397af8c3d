"""How activity goes on in time, as far as a user says it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hepatica.core.options import Positive, options
from hepatica.dosimetry.time.single_point import MeasuredShape
from hepatica.errors import InputError

TimeModel = Literal["mono", "bi", "image", "trapezoid", "haenscheid"]


@options
class TimeOptions:
    """How activity goes on in time.

    Attributes
    ----------
    effective_half_life_s : float or None
        Effective half-life of one image's agent, or of the tail of a trapezoid. Without it the agent stays where it is
        and decays physically.
    effective_half_life_sd_s : float or None
        Spread of that half-life between patients (one standard deviation), for the uncertainty of the dose.
    time_model : {"mono", "bi", "image", "trapezoid", "haenscheid"}
        Curve through several time points: in every voxel one exponential (mono) or two (bi), one exponential for all
        voxels (image), or the points themselves (trapezoid: uptake that is seen). Of one late time point: haenscheid.
    tail : {"fit", "physical", "effective"}
        After the last time point: as fitted, physical decay alone (never less dose), or the effective half-life
        (trapezoid).
    start : {"physical", "zero"}
        Before the first point of a trapezoid: carried back by physical decay, or a straight rise from zero.
    beyond_physical : {"error", "clamp"}
        Activity that falls more slowly than by physical decay: an error if holding it there costs more than 5 % of the
        decays, or held there all the same.
    time_curve : Path, MeasuredShape or None
        CSV of a curve measured otherwise, such as by planar views (columns time_h, activity, and sd where known): its
        shape is taken, the one image gives its height.
    """

    effective_half_life_s: Positive | None = None
    effective_half_life_sd_s: Positive | None = None
    time_model: TimeModel = "mono"
    tail: Literal["fit", "physical", "effective"] = "fit"
    start: Literal["physical", "zero"] = "physical"
    beyond_physical: Literal["error", "clamp"] = "error"
    time_curve: Path | MeasuredShape | None = None

    def __post_init__(self) -> None:
        if self.effective_half_life_sd_s is not None and self.effective_half_life_s is None:
            raise InputError("`effective_half_life_sd_s` is the spread of `effective_half_life_s`, which is not stated")
        if self.tail == "effective" and (self.time_model != "trapezoid" or self.effective_half_life_s is None):
            raise InputError("`tail` effective belongs to `time_model` trapezoid and needs `effective_half_life_s`")
        if self.time_curve is not None and self.time_model in ("image", "haenscheid"):
            raise InputError(
                f"`time_curve` is followed by mono, bi or trapezoid: `time_model` {self.time_model} has no effect",
                remedy="leave one of them out",
            )
        if self.start != "physical" and self.time_model != "trapezoid":
            raise InputError("`start` is of `time_model` trapezoid", remedy="leave it out")

    @property
    def curve_model(self) -> Literal["mono", "bi"]:
        """Exponentials of the whole image's curve."""
        return "bi" if self.time_model == "bi" else "mono"

    def require_used(self, images: int, *, integrated: bool) -> None:
        """InputError if something is said that has no effect on this many images, or on a time-integrated one.

        Parameters
        ----------
        images : int
            How many time points there are.
        integrated : bool
            Whether the image holds decays already.
        """
        curve = self.time_curve is not None
        if images > 1:
            if curve or self.time_model == "haenscheid":
                name = "`time_curve`" if curve else "`time_model` haenscheid"
                raise InputError(f"{name} is for one image; there are {images}", remedy="leave it out")
            if self.effective_half_life_s is not None and self.tail != "effective":
                text = "several time points show how the activity goes on: `effective_half_life_s` has no effect"
                raise InputError(text, remedy="leave it out")
            return
        if integrated:
            for name in ("effective_half_life_s", "time_curve", "time_model", "tail"):
                if getattr(self, name) != getattr(TimeOptions(), name):
                    raise InputError(
                        f"the image holds time-integrated activity: `{name}` has no effect", remedy="leave it out"
                    )
        if curve:
            if self.effective_half_life_s is not None and self.tail != "effective":
                raise InputError("`time_curve` shows how the activity goes on: `effective_half_life_s` has no effect")
            return
        if self.time_model not in ("mono", "haenscheid"):
            raise InputError(
                "`time_model` is of the curve through several time points; there is one image", remedy="leave it out"
            )
        if self.tail != "fit":
            raise InputError(
                "`tail` is of the curve through several time points; there is one image", remedy="leave it out"
            )
        if self.time_model == "haenscheid" and self.effective_half_life_s is not None:
            text = "`time_model` haenscheid takes no half-life: `effective_half_life_s` has no effect"
            raise InputError(text, remedy="leave one of them out")
