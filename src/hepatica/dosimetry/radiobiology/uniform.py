"""The uniform dose that would do the same as a heterogeneous one.

References
----------
.. [1] Niemierko A. Med Phys 1997;24:103 (EUD); 1999;26:1100 (generalized EUD).
.. [2] Jones LC, Hoban PW. Phys Med Biol 2000;45:159 (EUBED).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError

Weights = NDArray[Any] | None
_CHUNK = 1 << 18
"""Voxels per block: small enough to stay in the cache, which makes 256^3 voxels take a fraction of a second."""


def equivalent_uniform_dose_gy(dose_gy: NDArray[Any], alpha_per_gy: float, weights: Weights = None) -> float:
    """Uniform dose that leaves the same fraction of cells alive, ``-(1/alpha) ln <exp(-alpha D)>``.

    Given BED instead of dose it returns the EUBED of Jones and Hoban.

    Parameters
    ----------
    dose_gy : ndarray
        Dose (or BED) of every voxel, Gy.
    alpha_per_gy : float
        Radiosensitivity, 1/Gy.
    weights : ndarray of the same shape, or None
        Covered fraction (or cells) of each voxel; None for equal weights.

    Raises
    ------
    PhysicsError
        If the region is empty, alpha is not positive, or a dose is not finite.

    Examples
    --------
    >>> round(equivalent_uniform_dose_gy(np.array([50.0, 150.0]), 0.035), 2)
    68.95
    """
    if not alpha_per_gy > 0:
        raise PhysicsError(f"alpha must be positive, not {alpha_per_gy} per Gy")
    lowest = _lowest(dose_gy, weights)
    survivors, total = 0.0, 0.0
    for doses, weight in _blocks(dose_gy, weights):
        fraction = np.exp((doses - doses.dtype.type(lowest)) * doses.dtype.type(-alpha_per_gy))
        if weight is None:
            survivors += float(fraction.sum(dtype=np.float64))
            total += fraction.size
        else:
            survivors += float(np.dot(fraction.astype(np.float64), weight))
            total += float(weight.sum(dtype=np.float64))
    return lowest - math.log(survivors / total) / alpha_per_gy


def generalized_eud_gy(dose_gy: NDArray[Any], exponent: float, weights: Weights = None) -> float:
    """Generalized EUD ``<D^a>^(1/a)``: a = 1 is the mean, large a the maximum, negative a counts cold spots.

    The Lyman volume parameter n is 1/a. A voxel without dose makes it zero for negative a.
    """
    if exponent == 0 or not math.isfinite(exponent):
        raise PhysicsError(f"the exponent of the generalized EUD must be finite and not 0, not {exponent}")
    lowest = _lowest(dose_gy, weights)
    if lowest < 0:
        raise PhysicsError(f"generalized EUD of a negative dose ({lowest:g} Gy)")
    if exponent < 0 and lowest == 0:
        return 0.0
    scale = lowest if exponent < 0 else float(np.max(dose_gy))
    if scale == 0:
        return 0.0
    powers, total = 0.0, 0.0
    for doses, weight in _blocks(dose_gy, weights):
        power = (doses / doses.dtype.type(scale)) ** doses.dtype.type(exponent)
        powers += float(power.sum(dtype=np.float64)) if weight is None else float(np.dot(power.astype(float), weight))
        total += power.size if weight is None else float(weight.sum(dtype=np.float64))
    return float(scale * (powers / total) ** (1 / exponent))


def poisson_tcp(bed_gy: NDArray[Any], alpha_per_gy: float, clonogens: float | NDArray[Any]) -> float:
    """Chance that no clonogenic cell survives, ``exp(-sum N_i exp(-alpha BED_i))``.

    Parameters
    ----------
    bed_gy : ndarray
        BED of every voxel, Gy (the dose itself for a purely linear cell kill).
    alpha_per_gy : float
        Radiosensitivity, 1/Gy.
    clonogens : float or ndarray
        Clonogenic cells per voxel: one number for all, or one for each (coverage x volume x density of clonogens).

    Notes
    -----
    Source of the formula: Webb S, Nahum AE. Phys Med Biol 1993;38:653.
    """
    if np.min(clonogens) < 0:
        raise PhysicsError("the number of clonogens must not be negative")
    per_voxel = None if np.ndim(clonogens) == 0 else np.asarray(clonogens)
    _lowest(bed_gy, per_voxel)
    survivors = 0.0
    for doses, count in _blocks(bed_gy, per_voxel):
        fraction = np.exp(doses * doses.dtype.type(-alpha_per_gy))
        survivors += (
            float(clonogens) * float(fraction.sum(dtype=np.float64))
            if count is None
            else float(np.dot(fraction.astype(np.float64), count))
        )
    return math.exp(-survivors)


def _lowest(dose_gy: NDArray[Any], weights: Weights) -> float:
    """Smallest dose among the voxels that count; raises where the input cannot be averaged."""
    if weights is not None and weights.shape != dose_gy.shape:
        raise PhysicsError(f"weights of shape {weights.shape} for doses of shape {dose_gy.shape}")
    if not dose_gy.size or (weights is not None and not (weights > 0).any()):
        raise PhysicsError("an empty region has no equivalent uniform dose")
    counted: Any = True if weights is None else weights > 0
    lowest = float(np.min(dose_gy, where=counted, initial=np.inf))
    if not (math.isfinite(lowest) and math.isfinite(float(np.max(dose_gy, where=counted, initial=lowest)))):
        raise PhysicsError("a dose is NaN or infinite; no equivalent uniform dose can be stated")
    return lowest


def _blocks(values: NDArray[Any], weights: Weights) -> Iterator[tuple[NDArray[Any], Weights]]:
    """Flat blocks of values with their weights, so that no temporary array has the size of the volume."""
    flat = values.reshape(-1)
    if flat.dtype not in (np.float32, np.float64):
        flat = flat.astype(np.float64)
    flat_weights = None if weights is None else weights.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        block = flat[start : start + _CHUNK]
        if flat_weights is None:
            yield block, None
            continue
        weight = flat_weights[start : start + _CHUNK].astype(np.float64)
        counted = weight > 0
        if counted.any():
            yield (block, weight) if counted.all() else (block[counted], weight[counted])
