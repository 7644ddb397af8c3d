"""Isodose volumes and isodose lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Region, Volume
from hepatica.dosimetry.metrics.dvh import dose_volume_histogram
from hepatica.errors import InputError


def isodose_region(dose: Volume, level_gy: float, *, within: Region | None = None) -> Region:
    """Voxels with a dose of at least `level_gy`, inside `within` if given; empty where there are none.

    A voxel counts whole, as in V_d: the volume equals V_d of the DVH times the structure's volume.
    """
    dose.require_kind(Kind.DOSE)
    _check_level(level_gy)
    name = f"{level_gy:g} Gy isodose"
    region = Region.from_coverage(name, dose.grid, dose.values >= level_gy, origin=f"dose >= {level_gy:g} Gy")
    if within is None:
        return region
    return (region & within).renamed(f"{name} in {within.name}", f"dose >= {level_gy:g} Gy in {within.name}")


def isodose_volumes_ml(
    dose: Volume, levels_gy: Sequence[float], *, within: Region | None = None
) -> tuple[tuple[float, float], ...]:
    """Volume in mL with at least each dose: pairs (level in Gy, volume in mL), inside `within` if given."""
    dose.require_kind(Kind.DOSE)
    if within is None:
        dose.require_finite()
        values = np.sort(dose.values, axis=None)
        above = values.size - np.searchsorted(values, np.asarray(levels_gy, dtype=np.float64))
        volumes = (above * dose.grid.voxel_volume_ml).tolist()
    else:
        dvh = dose_volume_histogram(dose, within)
        volumes = [dvh.v_gy(level) * dvh.volume_ml for level in levels_gy]
    return tuple(zip(map(float, levels_gy), volumes, strict=True))


def isodose_lines(dose: Volume, level_gy: float, *, axis: int, index: int) -> tuple[NDArray[np.float64], ...]:
    """Isodose lines in one plane of the grid, by linear interpolation between voxel centres.

    Parameters
    ----------
    dose : Volume
        Absorbed dose in Gy.
    level_gy : float
        Dose of the line.
    axis, index : int
        The plane: voxels with this index along this grid axis.

    Returns
    -------
    tuple of ndarray, shape (n, 3)
        Points in LPS mm; a closed line ends where it begins, a line that leaves the image is open.
    """
    from contourpy import contour_generator

    dose.require_kind(Kind.DOSE)
    _check_level(level_gy)
    if not (axis in (0, 1, 2) and 0 <= index < dose.grid.shape[axis]):
        raise InputError(f"isodose line: plane {index} of axis {axis} lies outside {dose.grid}")
    plane = np.take(dose.values, index, axis=axis)
    if min(plane.shape) < 2:
        raise InputError(f"isodose line: a plane of {plane.shape} voxels is too small")
    first, second = (other for other in (0, 1, 2) if other != axis)
    lines = []
    for xy in contour_generator(z=plane.T, name="serial").lines(level_gy):
        at = np.full((len(xy), 3), float(index))
        at[:, first], at[:, second] = np.asarray(xy).T
        lines.append(dose.grid.to_mm(at))
    return tuple(lines)


def _check_level(level_gy: float) -> None:
    if not (np.isfinite(level_gy) and level_gy > 0):
        raise InputError(f"isodose level must be positive, not {level_gy} Gy")
