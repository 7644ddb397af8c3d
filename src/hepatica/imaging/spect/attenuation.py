"""The linear attenuation coefficient of every voxel at one photon energy, from a CT."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample
from hepatica.errors import GeometryError
from hepatica.transport.matter.composition import media_by_density
from hepatica.transport.matter.media import HuCalibration, density_from_hu
from hepatica.transport.matter.photons import coefficients

DENSE_PER_MM = 3e-4


def attenuation_map(
    hu: Volume, grid: Grid, energy_kev: float, *, calibration: HuCalibration | None = None
) -> NDArray[np.float32]:
    """Attenuation coefficients in 1/mm on a grid.

    Each CT voxel gets its density from the HU calibration, its composition from the density, and the total coefficient
    (photoelectric, incoherent, coherent) of that composition at the energy; the map is then averaged over the voxels
    of `grid`. Space that the CT does not cover is air, of coefficient 0.

    Parameters
    ----------
    hu : Volume
        CT in HU.
    grid : Grid
        Grid of the SPECT, in the CT's frame of reference.
    energy_kev : float
        Photon energy.
    calibration : HuCalibration, optional
        Of the CT scanner.

    Returns
    -------
    ndarray of float32, shape ``grid.shape``

    Raises
    ------
    GeometryError
        If the frames of reference differ, or the CT lies wholly outside the grid.
    UnitError
        If the CT is not in HU or not finite.
    """
    hu.grid.require_shared_frame(grid, "CT and SPECT")
    if grid.window_of(hu.grid)[0].stop == 0:
        raise GeometryError(
            f"the CT ({hu.grid}) and the SPECT ({grid}) do not overlap: no attenuation could be corrected"
        )
    density = density_from_hu(hu, calibration).values
    index, media = media_by_density(density)
    energy = np.array([energy_kev])
    # cm2/g times g/mL is 1/cm.
    per_density = np.array([coefficients(medium, energy).sum() / 10 for medium in media], dtype=np.float32)
    mu = hu.with_values(density * per_density[index], Kind.UNKNOWN, name=f"attenuation at {energy_kev:g} keV in 1/mm")
    return np.asarray(resample(mu, grid, "mean").values, dtype=np.float32)


def body_voxels(hu: Volume, grid: Grid) -> NDArray[np.bool_]:
    """Voxels inside the CT that hold more than air (2 % of water's attenuation at 140 keV).

    What a reconstruction shows elsewhere is noise, or lies where no scatter can be followed.
    """
    dense = attenuation_map(hu, grid, 140.0) > DENSE_PER_MM
    places = np.argwhere(dense)
    index = hu.grid.to_index(grid.to_mm(places))
    inside = ((index >= -0.5) & (index <= np.asarray(hu.grid.shape) - 0.5)).all(axis=1)
    dense[tuple(places[~inside].T)] = False
    return dense


def uncovered_slices(hu: Volume, grid: Grid) -> int:
    """Slices of the SPECT that the CT does not reach, where no attenuation can be corrected."""
    window = grid.window_of(hu.grid)[2]
    return int(grid.shape[2] - (window.stop - window.start))
