"""How planar views become activities."""

from __future__ import annotations

from typing import Annotated, Literal

from hepatica.core.options import Fraction, Limits, NonNegative, Positive, Text, Unit, options
from hepatica.errors import InputError
from hepatica.imaging.quantify.dead_time import DeadTimeModel

Relative = Annotated[float, Unit("fraction"), Limits(low=0, below=1)]

Attenuation = Literal["ct", "transmission", "thickness", "none"]


def thickness_from_text(text: str) -> tuple[str, float]:
    """Name and thickness in mm of an organ: "liver = 140"."""
    name, _, value = text.rpartition("=")
    try:
        number = float(value.replace("mm", "").strip())
    except ValueError:
        number = 0.0
    if not name.strip() or not 0 < number < 1000:
        raise InputError(f"thickness {text!r}: 'ORGAN = MM' is expected, such as 'liver = 140'")
    return name.strip(), number


@options
class PlanarCountsOptions:
    """How counts become count rates.

    Attributes
    ----------
    planar_scatter : {"auto", "none", "tew", "dew", "upper", "mc"}
        Scatter by the windows on both sides of the photopeak, by the one below, the one above, by Monte Carlo of the
        organs of a CT, or not at all; auto takes mc for 188Re, 166Ho and 90Y with a CT and a known camera, else what
        the file's windows allow, in this order: tew, upper, dew, none.
    dew_fraction : float
        Dual window: scatter in the photopeak over counts in the lower window (Jaszczak: 0.5).
    dead_time_s : float
        Dead time of a head for the counts of all windows in the file; 0 for none.
    dead_time_model : {"paralysable", "non-paralysable"}
        Behaviour of a head that is busy.
    dwell_s : float or None
        Time for which a point of a whole-body scan is in view, where scan speed and field do not say it.
    """

    planar_scatter: Literal["auto", "none", "tew", "dew", "upper", "mc"] = "auto"
    dew_fraction: Annotated[float, Limits(above=0, high=2)] = 0.5
    dead_time_s: Annotated[float, Limits(low=0, below=1)] = 0.0
    dead_time_model: DeadTimeModel = "paralysable"
    dwell_s: Positive | None = None


@options
class PlanarAttenuationOptions:
    """What the patient absorbs.

    Attributes
    ----------
    attenuation : {"ct", "transmission", "thickness", "none"}
        From the CT projected along the line of sight, a transmission scan, a thickness, or not at all.
    beam : {"auto", "narrow", "broad"}
        Coefficient of photons that do not scatter, or the lower one of counts with their scatter; auto is narrow where
        scatter is corrected.
    body_thickness_mm : float or None
        Of the body from front to back; beside a CT, of what lies outside it.
    organ_thickness_mm : tuple
        Of organs, where no CT shows it: 'liver = 140'.
    flood_kev : float
        Photon energy of a transmission scan: 122 of 57Co, 140.5 of 99mTc.
    attenuation_coefficient : float or None
        Of soft tissue in 1/cm, in place of the table's.
    """

    attenuation: Attenuation = "ct"
    beam: Literal["auto", "narrow", "broad"] = "auto"
    body_thickness_mm: Annotated[float, Limits(low=50, high=600)] | None = None
    organ_thickness_mm: Annotated[tuple[tuple[str, float], ...], Text(thickness_from_text, "ORGAN = MM")] = ()
    flood_kev: Annotated[float, Limits(low=30, high=1500)] = 122.0
    attenuation_coefficient: Annotated[float, Limits(above=0, high=0.5)] | None = None


@options
class PlanarUncertaintyOptions:
    """Standard uncertainties (k = 1) of what the counts do not show; ours where no source is named.

    Attributes
    ----------
    attenuation_sd : float
        Of the attenuation coefficient, relative.
    thickness_sd_mm : float
        Of a stated thickness of the body.
    organ_thickness_sd : float
        Of a stated thickness of an organ, relative.
    border_sd_mm : float
        Of the border of a region.
    position_sd_mm : float
        Of structures of a CT on the views, in each direction.
    scatter_sd : float
        Of the scatter taken off, or simulated, relative.
    scatter_left_sd : float
        Of the counts, scatter of the patient that the upper window, or no correction, leaves in the photopeak.
    background_sd : float
        Of the background taken off, relative.
    resolution_sd_mm : float
        Of the width of the camera's response.
    uniformity_sd : float
        Of an organ's activity by uneven uptake in depth, relative.
    """

    attenuation_sd: Relative = 0.03
    thickness_sd_mm: NonNegative = 10.0
    organ_thickness_sd: Relative = 0.15
    border_sd_mm: NonNegative = 3.0
    position_sd_mm: NonNegative = 3.0
    scatter_sd: Relative = 0.1
    scatter_left_sd: Relative = 0.15
    background_sd: Relative = 0.1
    resolution_sd_mm: NonNegative = 2.0
    uniformity_sd: Relative = 0.03


@options
class PlanarOrganOptions:
    """Where organs are in the views, and what they are counted against.

    Attributes
    ----------
    drawn_on : {"auto", "views", "ct"}
        Where the structures are drawn: on the planar views, or on a CT, from which they are projected onto the views;
        auto: on the CT where one is given.
    planar_organs : tuple of str
        Organs of the CT beside liver, lungs and tumours to look for, by role: stomach, spleen, thyroid; what is not
        named belongs to the rest of the body.
    offset_mm : tuple of float or None
        Place of the CT on the views, to the patient's left and towards the head, such as '10, -20 mm'; found from the
        images if not given.
    resolution_fwhm_mm : float or None
        Of camera and collimator at the patient's middle; found from the views if not given.
    normalise : {"whole-body", "organs", "camera"}
        Shares of all counts of the body, of the organs named, or activities by the camera factor.
    retained : float or None
        Share of the administered activity that has not been excreted, for shares of the administered one, at the time
        at which most is in the body; if not given, what a stated effective half-life of one time leaves, else all.
    """

    drawn_on: Literal["auto", "views", "ct"] = "auto"
    planar_organs: tuple[str, ...] = ()
    offset_mm: tuple[float, float] | None = None
    resolution_fwhm_mm: NonNegative | None = None
    normalise: Literal["whole-body", "organs", "camera"] = "whole-body"
    retained: Fraction | None = None
