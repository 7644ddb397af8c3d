"""All options of a biodistribution."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.errors import InputError
from hepatica.imaging.planar.montecarlo import PlanarMonteCarloOptions
from hepatica.imaging.planar.options import (
    PlanarAttenuationOptions,
    PlanarCountsOptions,
    PlanarOrganOptions,
    PlanarUncertaintyOptions,
)
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.spect.projections import Window
from hepatica.workflow.planar.given import KnownAdministration, PlanarGivenOptions, TransmissionOptions
from hepatica.workflow.planar.reading import PlanarReadingOptions


@options
class BiodistributionOptions:
    """All options of a biodistribution.

    Attributes
    ----------
    reading : PlanarReadingOptions
        What the planar files do not say.
    counts : PlanarCountsOptions
        Scatter, dead time, time per pixel.
    montecarlo : PlanarMonteCarloOptions
        Camera and Monte Carlo of the scatter.
    absorption : PlanarAttenuationOptions
        Attenuation.
    flood : TransmissionOptions
        A transmission scan in place of a CT.
    organs : PlanarOrganOptions
        Where organs are and what they are counted against.
    given : PlanarGivenOptions
        Administered activity, camera factor, and the patient for organ doses.
    time : TimeOptions
        How activity goes on in time.
    uncertainty : PlanarUncertaintyOptions
        What the counts do not show.
    """

    reading: PlanarReadingOptions = PlanarReadingOptions()
    counts: PlanarCountsOptions = PlanarCountsOptions()
    montecarlo: PlanarMonteCarloOptions = PlanarMonteCarloOptions()
    absorption: PlanarAttenuationOptions = PlanarAttenuationOptions()
    flood: TransmissionOptions = TransmissionOptions()
    organs: PlanarOrganOptions = PlanarOrganOptions()
    given: PlanarGivenOptions = PlanarGivenOptions()
    time: TimeOptions = TimeOptions()
    uncertainty: PlanarUncertaintyOptions = PlanarUncertaintyOptions()


ALIKE = 0.8
"""What two windows share of what they cover together, from which on they see the same photopeak. Our choice."""


def _about_window(factor: Window, views: Window) -> tuple[Message, ...]:
    """A message if the factor's window differs a little from that of the views; InputError if it is another one."""
    if factor.is_near(views):
        return ()
    text = f"the camera factor was measured in {factor}, the views are counted in {views}"
    remedy = "calibrate in the window of the views, or choose another one (`energy_window`)"
    common = min(factor.high_kev, views.high_kev) - max(factor.low_kev, views.low_kev)
    together = max(factor.high_kev, views.high_kev) - min(factor.low_kev, views.low_kev)
    if common < ALIKE * together:
        raise InputError(text, remedy=remedy)
    return (Message("factor-of-other-window", f"{text}: activities are off by what one of them counts more", remedy),)


def about_factor(
    known: KnownAdministration, options: BiodistributionOptions, views: Sequence[PlanarRates], nuclide: str
) -> tuple[Message, ...]:
    """What must be known of the camera factor; nothing where shares are of the whole body.

    Raises
    ------
    InputError
        If activities by counts are wanted without a factor, or it is of another nuclide or energy window.
    """
    if options.organs.normalise != "camera":
        return ()
    if known.calibration is None:
        raise InputError("`normalise` camera needs a camera factor", remedy="give `calibration`, of a source in air")
    if known.calibration.conditions.nuclide != nuclide:
        raise InputError(
            f"the camera factor is of {known.calibration.conditions.nuclide}, the views are of {nuclide}",
            remedy="calibrate with the nuclide of the views",
        )
    limits = known.calibration.conditions.window_kev
    unknown: tuple[Message, ...] = ()
    if limits is None:
        text = "the camera factor does not say its energy window: whether it is that of the views is not known"
        unknown = (Message("factor-window-unknown", text),)
    else:
        unknown = tuple(m for rates in views for m in _about_window(Window(*limits), rates.window))[:1]
    if all(rates.scatter_method in ("none", "mc") for rates in views):
        return unknown
    text = (
        "scatter is taken off the views' counts and not those of the camera factor, which is counted in the "
        "whole photopeak: activities read low by what the side windows take of a source in air, up to 20 % of 131I"
    )
    remedy = "take `planar_scatter` none, or shares of the whole body"
    return (*unknown, Message("factor-with-scatter", text, remedy))
