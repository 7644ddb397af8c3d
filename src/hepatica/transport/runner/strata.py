"""Which decays are followed more often than they happen, and which have a twin.

Lungs beside a hot liver get their dose from few decays: those in them and those of the liver within an electron's
reach. These are followed up to four times as often as the rest, which the control variate serves well as it is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Volume
from hepatica.core.region import bounding_window
from hepatica.core.resample import resample
from hepatica.transport.matter.composition import AIR_BELOW_G_ML, LUNG_BELOW_G_ML
from hepatica.transport.runner.decays import Places, Stratum

MAX_RATE = 4.0
"""Decays in and beside the lung are followed at most this many times as often as others."""

EXTRA_SHARE = 0.5
"""What following these more often adds to the histories, at most: then the rest has a third fewer in the same time."""

FAINT = 1e-3
"""Voxels with less than this part of the highest number of decays have no twin: what they add to the noise of a voxel
of the liver is less than that."""


def strata_of(
    decays: Volume, density: Volume, to_mm: NDArray[np.float64], *, reach_mm: float, twins: bool
) -> list[Stratum]:
    """The source in up to four strata: with a twin or without (lung, faint), in and near the lung or elsewhere.

    Parameters
    ----------
    decays, density : Volume
        On voxels of their own.
    to_mm : ndarray, shape (4, 4)
        As in `Places`.
    reach_mm : float
        How far electrons go in tissue.
    twins : bool
        Whether there are twins; without them all of the source is one stratum but for the lung's neighbourhood.
    """
    from scipy import ndimage

    window = bounding_window(decays.values > 0)
    values = np.asarray(decays.values[window], dtype=np.float64)
    own = resample(density, decays.grid.crop(window), "mean").values
    lung = (own >= AIR_BELOW_G_ML) & (own < LUNG_BELOW_G_ML)
    near = lung
    if lung.any() and not lung.all():
        reached = 2 * np.ceil(reach_mm / np.asarray(decays.grid.spacing_mm)).astype(int) + 1
        near = ndimage.maximum_filter(
            lung, size=tuple(reached)
        )  # a box about each voxel: which ones is no matter of physics
    bare = (own < LUNG_BELOW_G_ML) | (values < FAINT * values.max()) if twins else np.ones(own.shape, bool)
    active = values > 0
    kinds = [(active & side & kind, side is near, kind is not bare) for side in (near, ~near) for kind in (bare, ~bare)]
    total = float(values.sum())
    often = float(values[near].sum()) / total
    rate = float(np.clip(1 + EXTRA_SHARE / often, 1.0, MAX_RATE)) if 0 < often < 1 else 1.0
    whole = 1 + often * (rate - 1)
    found = []
    for mask, beside, twinned in kinds:
        share = float(values[mask].sum()) / total
        if share > 0:
            whole_index = [part + w.start for part, w in zip(np.nonzero(mask), window, strict=True)]
            voxels = np.ravel_multi_index(whole_index, decays.grid.shape)
            places = Places(voxels, values[mask], decays.grid.shape, to_mm)
            found.append(Stratum(places, share, share * (rate if beside else 1.0) / whole, twinned))
    return found
