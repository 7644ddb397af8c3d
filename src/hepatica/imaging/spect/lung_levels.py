"""The lung of a SPECT as levels: regions from the CT, scatter of the parts, and how well the mean is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatica.anatomy.segmentation.quality import believed_lungs
from hepatica.core import Grid, Volume
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError
from hepatica.imaging.reconstruct.algorithms import IterationOptions, Start, reconstruct
from hepatica.imaging.reconstruct.background_term import Additive
from hepatica.imaging.reconstruct.levels.lung import LungReading, LungUncertainty, lung_reading
from hepatica.imaging.reconstruct.levels.update import Levels, LevelUpdate, PartScatter
from hepatica.imaging.reconstruct.scatter_updates import ScatterUpdate
from hepatica.imaging.spect.projector import Float32, SystemModel
from hepatica.imaging.spect.scan_model import ScanModel, SpectOptions
from hepatica.imaging.spect.scatter.montecarlo import MonteCarloScatter

COARSER = 2.0
"""Uncertainty of the parts' scatter over that of the image's: lungs and rest hold a tenth of the activity or less."""
PART_SEEDS = 1000
"""Added to the seed, so that the parts' random numbers are their own."""


def lungs_on(hu: Volume, grid: Grid) -> tuple[Float32, ...]:
    """Share of each voxel of a grid in each lung of the CT; none where it shows none, or no body."""
    try:
        found = believed_lungs(hu)
    except GeometryError:  # Nothing on the CT is a body.
        return ()
    shares = []
    for region in found:
        on_grid = resample_region(region, grid)
        share = np.zeros(grid.shape, dtype=np.float32)
        share[on_grid.window] = on_grid.coverage
        shares.append(share)
    return tuple(shares)


def level_update(
    model: ScanModel, options: SpectOptions, scatter: ScatterUpdate, start: Additive | None
) -> LevelUpdate | None:
    """Levels of lung and rest between iterations; None where they are not asked for, or the CT shows no lung."""
    if not options.lung.as_levels(model.nuclide.name, options.scatter.scatter, options.iteration.method):
        return None
    lungs = lungs_on(model.hu, model.projector.grid)
    if not lungs:
        return None
    fitted = options.lung.scatter_scale == "fitted"
    return LevelUpdate(
        scatter, lungs, _part_scatter(scatter), updates=options.iteration.updates, fitted_scale=fitted, start=start
    )


def without_blur_in_lung(
    exact: SystemModel, iteration: IterationOptions, update: LevelUpdate, levels: Levels
) -> Levels:
    """A finished image in which no blur is left where hot voxels and lungs share a voxel.

    Blur that is left in the image spills the liver into the lung beside it: 6 % of the lung of 90Y at 11.5 mm. So the
    hot voxels are found once more with all of the camera's response, from an even start and beside scatter and levels
    as they were, and those that share anything with a lung are taken of that. All others keep the blur.

    Parameters
    ----------
    exact : SystemModel
        With all of the camera's blur.
    iteration : IterationOptions
        With as many iterations as the image took.
    update : LevelUpdate
        That made it, with the projector that leaves blur in it.
    levels : Levels
        Finished image.
    """
    scatter = update.scatter
    if scatter.projector is exact:
        return levels
    hot, again = levels.regions.hot, update.of_system(exact, levels)
    even = np.where(hot, np.float32(levels.image[hot].mean(dtype=np.float64)), levels.image)
    made = reconstruct(
        scatter.counts, exact, iteration, weights=scatter.weights, additive=again, start=Start(even),
        within=scatter.body,
    )  # fmt: skip
    sharp = again.finished(made.image)
    assert sharp is not None  # It has the regions of `levels`.
    return replace(levels, image=np.where(hot & np.any(update.lungs, axis=0), sharp.image, levels.image))


def _part_scatter(scatter: ScatterUpdate) -> PartScatter:
    """Scatter of a part at level 1, coarser than that of the image."""
    made: list[MonteCarloScatter] = []

    def of_part(part: Float32, number: int) -> Float32:
        if not isinstance(scatter.estimate, MonteCarloScatter):
            return scatter.estimate(part, number)
        if not made:
            made.append(scatter.estimate.coarser(COARSER, PART_SEEDS))
        return made[0](part, number)

    return of_part


def reading_of(model: ScanModel, options: SpectOptions, update: LevelUpdate, levels: Levels) -> LungReading:
    """Mean of the lungs with its uncertainty, in the unit of the image."""
    grid = model.projector.grid
    unit = 1 / grid.voxel_volume_ml if options.acquisition.in_activity else 1.0
    about = LungUncertainty(options.lung.scatter_uncertainty, options.lung.registration_uncertainty_mm)
    return lung_reading(levels, update.lungs, grid.voxel_volume_ml, unit, about)
