"""Planar views for the lung shunt, or their counts: options, and how they are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from hepatica.core.options import Limits, NonNegative, options
from hepatica.core.options.stated import require_unstated
from hepatica.core.progress import Progress
from hepatica.errors import InputError
from hepatica.imaging.planar.from_ct.montecarlo import PlanarMonteCarloOptions
from hepatica.imaging.planar.options import (
    PlanarAttenuationOptions,
    PlanarCountsOptions,
    PlanarOrganOptions,
    PlanarUncertaintyOptions,
)
from hepatica.planning.scout.lung_shunt import LungShunt, PlanarShuntOptions, PlanarView, planar_lung_shunt
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.workflow.planar.given import TransmissionOptions
from hepatica.workflow.planar.options import BiodistributionOptions
from hepatica.workflow.planar.reading import PlanarInput, PlanarReadingOptions
from hepatica.workflow.planar.shunt import ShuntOfViews, shunt_of_views
from hepatica.workflow.sources import StructureSource


@options
class PlanarViewOptions:
    """Planar views, measured as in a biodistribution, or their counts in place of images.

    Attributes
    ----------
    view_order : tuple of {"anterior", "posterior"}
        What each frame is, in the order of files and frames, where ViewCodeSequence does not say.
    posterior : {"as-seen", "mirrored"} or None
        How the posterior view is stored: as the camera sees it from behind, or flipped onto the anterior view.
    energy_window : int or None
        The photopeak's window, from 1; the nuclide's usual one if not given.
    imaged_nuclide : str or None
        Nuclide of the views, where the files do not name it.
    accept_nuclide : bool
        Take the stated nuclide of the views although the header names another one.
    lung_counts : tuple of float or None
        In place of images: counts in the lungs, 'anterior,posterior'.
    liver_counts : tuple of float or None
        The same for the liver.
    corrections : PlanarShuntOptions
        How such counts are corrected.
    counts : PlanarCountsOptions
        Scatter, dead time, time per pixel of the views.
    montecarlo : PlanarMonteCarloOptions
        Camera and Monte Carlo of the scatter.
    absorption : PlanarAttenuationOptions
        Attenuation; without a CT, a transmission scan or a thickness it is not corrected.
    flood : TransmissionOptions
        A transmission scan in place of a CT.
    organs : PlanarOrganOptions
        Where lungs and liver are on the views.
    uncertainty : PlanarUncertaintyOptions
        What the counts do not show.
    """

    view_order: tuple[Literal["anterior", "posterior"], ...] = ()
    posterior: Literal["as-seen", "mirrored"] | None = None
    energy_window: Annotated[int, Limits(low=1)] | None = None
    imaged_nuclide: str | None = None
    accept_nuclide: bool = False
    lung_counts: tuple[NonNegative, NonNegative] | None = None
    liver_counts: tuple[NonNegative, NonNegative] | None = None
    corrections: PlanarShuntOptions = PlanarShuntOptions()
    counts: PlanarCountsOptions = PlanarCountsOptions()
    montecarlo: PlanarMonteCarloOptions = PlanarMonteCarloOptions()
    absorption: PlanarAttenuationOptions = PlanarAttenuationOptions()
    flood: TransmissionOptions = TransmissionOptions()
    organs: PlanarOrganOptions = PlanarOrganOptions()
    uncertainty: PlanarUncertaintyOptions = PlanarUncertaintyOptions()

    def __post_init__(self) -> None:
        if (self.lung_counts is None) != (self.liver_counts is None):
            raise InputError("give both `lung_counts` and `liver_counts`, or neither")

    def measuring(self, reading: ScoutOptions) -> BiodistributionOptions:
        """The same as options of a biodistribution."""
        return BiodistributionOptions(
            reading=PlanarReadingOptions(
                nuclide=self.imaged_nuclide,
                accept_nuclide=self.accept_nuclide,
                view_order=self.view_order,
                posterior=self.posterior,
                energy_window=self.energy_window,
                structure_roles=reading.structure_roles,
                ct_series=reading.ct_series,
            ),
            counts=self.counts,
            montecarlo=self.montecarlo,
            absorption=self.absorption,
            flood=self.flood,
            organs=self.organs,
            uncertainty=self.uncertainty,
        )


def shunt_of_counts(given: PlanarViewOptions) -> LungShunt:
    """The lung shunt of counts of both views that were read off elsewhere."""
    pairs = zip(given.lung_counts or (), given.liver_counts or (), strict=True)
    anterior, posterior = (PlanarView(lungs, liver, 1.0, 1.0) for lungs, liver in pairs)
    return planar_lung_shunt(anterior, posterior, given.corrections)


def measured_shunt(
    planar: PlanarInput | Sequence[PlanarInput],
    structures: Sequence[StructureSource],
    reading: ScoutOptions,
    given: PlanarViewOptions,
    progress: Progress,
) -> ShuntOfViews:
    """The lung shunt of planar views; see `hepatica.workflow.planar.shunt`.

    Raises
    ------
    InputError
        If corrections are stated that are of counts which were read off elsewhere.
    """
    require_unstated(
        given.corrections,
        why="only of counts that were read off elsewhere; views are corrected by `attenuation`, `planar_scatter` and "
        "their uncertainties, as in a biodistribution",
    )
    return shunt_of_views(
        planar, structures, reading.ct, given.measuring(reading), unit=reading.activity_unit, progress=progress
    )
