"""Mass of a structure from the CT's own voxels, whatever grid its dose or its counts have.

On the coarse voxels of an emission image the border of the lungs is a mixture with liver, chest wall or heart, which
weighs more than the lung in it: 152 g of lung became 213 g at 4.8 mm.
"""

from __future__ import annotations

import numpy as np

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.resample import resample


def mass_of(region: Region, density: Volume, within: Grid | None = None) -> float:
    """Mass in g of a structure, of what of it lies within another grid where one is given.

    Parameters
    ----------
    region : Region
        On the CT's grid.
    density : Volume
        Kind.DENSITY in g/mL on the same grid.
    within : Grid, optional
        Only what lies inside these voxels counts.

    Raises
    ------
    GeometryError
        If region and density are on different grids, or the frame of reference of `within` differs.
    """
    if within is None or within.matches(region.grid):
        return region.mass_g(density)
    part = partial_density(region, density, within)
    return float(part.values.sum(dtype=np.float64)) * within.voxel_volume_ml


def partial_density(region: Region, density: Volume, grid: Grid) -> Volume:
    """Grams of a structure in each mL of the voxels of another grid, from the CT's voxels.

    Parameters
    ----------
    region : Region
        On the CT's grid.
    density : Volume
        Kind.DENSITY in g/mL on the same grid.
    grid : Grid
        Voxels wanted; its frame of reference is the CT's.

    Returns
    -------
    Volume
        Kind.DENSITY, float32; times the voxel's volume it is the structure's mass in the voxel.

    Raises
    ------
    GeometryError
        As `mass_of`.
    """
    density.require_kind(Kind.DENSITY)
    region.grid.require_match(density.grid, f"region {region.name!r} and density")
    region.grid.require_shared_frame(grid, f"mass of {region.name!r}")
    out = np.zeros(grid.shape, dtype=np.float32)
    if not region.is_empty:
        source = region.grid.crop(region.window)
        window = grid.window_of(source)
        if window[0].stop:
            held = (region.coverage * density.values[region.window]).astype(np.float32, copy=False)
            out[window] = np.maximum(resample(Volume(source, held, Kind.DENSITY), grid.crop(window), "mean").values, 0)
    return Volume(grid, out, Kind.DENSITY, name=f"density of {region.name}")
