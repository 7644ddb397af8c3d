"""All options of a biodistribution."""

from __future__ import annotations

from hepatica.core.options import options
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.imaging.planar.from_ct.montecarlo import PlanarMonteCarloOptions
from hepatica.imaging.planar.options import (
    PlanarAttenuationOptions,
    PlanarCountsOptions,
    PlanarOrganOptions,
    PlanarUncertaintyOptions,
)
from hepatica.workflow.planar.given import PlanarGivenOptions, TransmissionOptions
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
