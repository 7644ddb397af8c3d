"""Borders drawn where they hold the volume: at half share a small structure that was brought over loses of its own.

Looking a drawing up between voxels blurs its border. The sum of the shares stays, but a border drawn where the share is
one half shrinks wherever it is rounder than the blur is wide: a lesion of 3 mL on voxels of 5 mm by a quarter. A factor
on the shares puts the border where the drawing holds what the shares sum up to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from hepatica.anatomy.structures.contours import region_contours
from hepatica.core import Region

Form = Literal["contours", "voxels"]

FACTORS = (0.5, 10.0)
"""Shares are multiplied by no less and no more: the border then lies at a share of 1 to one of a twentieth."""

HELD = 2e-3
"""Part of the volume to which the border is sought: less than contours of DICOM's decimal strings keep."""

ROUNDS = 20


def drawn_volume_ml(region: Region, form: Form) -> float:
    """Volume of a region as it is drawn at half share: of its planar contours, or of whole voxels."""
    if form == "voxels":
        return float((region.coverage >= 0.5).sum()) * region.grid.voxel_volume_ml
    area = 0.0
    for contour in region_contours(region):
        at = contour - contour[0]
        area += float(np.linalg.norm(np.cross(at, np.roll(at, -1, axis=0)).sum(axis=0))) / 2
    return area * float(region.grid.spacing_mm[2]) / 1000


def holding_volume(region: Region, form: Form) -> Region:
    """The region with its shares scaled so that its border at half share holds its volume as well as the form can.

    Parameters
    ----------
    region : Region
        With shares that sum up to its volume.
    form : {"contours", "voxels"}
        How it is drawn: by planar contours, slice by slice, or by whole voxels.
    """
    if region.is_empty:
        return region
    aim = region.volume_ml
    if form == "voxels":
        return _scaled(region, _factor_of_voxels(region))
    if abs(drawn_volume_ml(region, form) - aim) <= HELD * aim:
        return region
    return _scaled(region, _sought(lambda factor: drawn_volume_ml(_scaled(region, factor), form), aim))


def _factor_of_voxels(region: Region) -> float:
    """Factor that takes in as many voxels as the shares sum up to, those of the largest shares; ties go together."""
    shares = np.sort(region.coverage.ravel())[::-1].astype(np.float64)
    count = max(1, round(float(shares.sum())))
    least = shares[count - 1]
    inside, beyond = int((shares >= least).sum()), int((shares > least).sum())
    if beyond and count - beyond < inside - count:
        least = shares[beyond - 1]
    # A little more than the share asks for, so that rounding leaves it inside.
    return float(np.clip(0.5 / least * (1 + 1e-6), *FACTORS))


def _sought(volume_ml: Callable[[float], float], aim_ml: float) -> float:
    """Factor by bisection on its logarithm: the volume grows with it."""
    low, high = np.log(FACTORS)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        found = volume_ml(float(np.exp(middle)))
        if abs(found - aim_ml) <= HELD * aim_ml:
            return float(np.exp(middle))
        low, high = (middle, high) if found < aim_ml else (low, middle)
    return float(np.exp((low + high) / 2))


def _scaled(region: Region, factor: float) -> Region:
    return replace(region, coverage=np.minimum(region.coverage * np.float32(factor), np.float32(1)))
