"""All options of a biodistribution."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.errors import InputError
from hepatica.imaging.planar.options import (
    PlanarAttenuationOptions,
    PlanarCountsOptions,
    PlanarOrganOptions,
    PlanarUncertaintyOptions,
)
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
    absorption: PlanarAttenuationOptions = PlanarAttenuationOptions()
    flood: TransmissionOptions = TransmissionOptions()
    organs: PlanarOrganOptions = PlanarOrganOptions()
    given: PlanarGivenOptions = PlanarGivenOptions()
    time: TimeOptions = TimeOptions()
    uncertainty: PlanarUncertaintyOptions = PlanarUncertaintyOptions()


def about_factor(
    known: KnownAdministration, options: BiodistributionOptions, scatter: Sequence[str], nuclide: str
) -> tuple[Message, ...]:
    """What must be known of the camera factor; nothing where shares are of the whole body.

    Raises
    ------
    InputError
        If activities by counts are wanted without a factor, or it is of another nuclide.
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
    if all(method == "none" for method in scatter):
        return ()
    text = (
        "scatter is taken off the views' counts and not those of the camera factor, which is counted in the "
        "whole photopeak: activities read low by what the side windows take of a source in air, up to 20 % of 131I"
    )
    return (Message("factor-with-scatter", text, "take `planar_scatter` none, or shares of the whole body"),)
