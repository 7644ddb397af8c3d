"""What an uncertain position of an image does to numbers of structures: it is shifted both ways along each axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from hepatica.core import Grid, Volume
from hepatica.core.resample import resample


def shifted_images(image: Volume, sd_mm: float) -> Iterator[Volume]:
    """An activity image on its own voxels, shifted by one standard deviation: -x, +x, -y, +y, -z, +z of the patient.

    Parameters
    ----------
    image : Volume
        Counts, activity or a concentration; where nothing was imaged it is taken as zero.
    sd_mm : float
        Standard uncertainty of its position along each axis.
    """
    how: Literal["total", "mean"] = "total" if image.kind.extensive else "mean"
    for axis in range(3):
        for side in (-1, 1):
            affine = np.array(image.grid.affine)
            affine[axis, 3] += side * sd_mm
            moved = Grid(image.grid.shape, affine, image.grid.frame_of_reference)
            yield resample(Volume(moved, image.values, image.kind, image.time, image.name), image.grid, how)


def position_sd(here: float, sides: Sequence[float]) -> float:
    """Standard uncertainty of a number from its values in the six shifted images of `shifted_images`.

    Along each axis the root mean square of its changes to either side, added in quadrature over the axes: the slope of
    a number that grows along an axis, and the fall of one that is highest where it is.
    """
    changes = np.asarray(sides, dtype=float).reshape(3, 2) - here
    return float(np.sqrt((changes**2).sum() / 2))


def position_covariance(here: tuple[float, float], sides: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Standard uncertainties of two numbers and their covariance, as `position_sd` takes them."""
    changes = np.asarray(sides, dtype=float) - here
    both = changes.T @ changes / 2
    return float(np.sqrt(both[0, 0])), float(np.sqrt(both[1, 1])), float(both[0, 1])
