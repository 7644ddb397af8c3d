"""How far off a registration may be: what is left to correct in each half of the region.

The moving image is brought over by the registration that was found, and a shift that makes it most alike is sought for
each half of the region that counts: left and right, front and back, upper and lower. A registration that is right
leaves nothing to any half; one that averages over tissue that breathes, or that noise led astray, leaves each half a
shift of its own. The root mean square of these six shifts along each axis, times `CALIBRATION`, is the standard
uncertainty (k = 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.linear import Pair
from hepatica.anatomy.registration.polish import polished
from hepatica.anatomy.registration.prepared import Prepared
from hepatica.anatomy.registration.similarity import Samples, looked_up, similarity
from hepatica.core.transform import Transform
from hepatica.core.transform.steps import blocks

FloatArray = NDArray[np.float64]

HALF_POINTS = 8000
MIN_HALVES = 4
"""Of six; fewer do not speak for all three axes."""

CALIBRATION = {"rigid": 2.0, "affine": 3.0, "deformable": 2.0}
"""A displacement that grows linearly over a region of length L by a L leaves its halves a L / 4 on average, while its
root mean square over the whole is a L / sqrt(12): 1.15 times as much. The rest was measured on virtual patients that
breathe, in the liver of CT and MR (``benchmarks/bench_registration.py``): what does not move at the rim holds a half's
shift back, and an affine transform has bent itself to what the halves would show. Error over uncertainty was then 0.4
to 1.5, 1.0 as a root mean square."""

LEAST_MM = 0.1
"""No uncertainty below: interpolation alone leaves a tenth of a millimetre on voxels of 2.5 mm."""


@dataclass(frozen=True, slots=True)
class RegistrationUncertainty:
    """Standard uncertainty (k = 1) of where the transform puts a point.

    Attributes
    ----------
    per_axis_mm : tuple of float
        Along x, y and z of the patient.
    mean_mm : float
        Root mean square of the three.
    halves : int
        How many halves could be fitted, of six.
    """

    per_axis_mm: tuple[float, float, float]
    mean_mm: float
    halves: int

    def at_least(self, floor_mm: float) -> RegistrationUncertainty:
        """The same with no axis below a floor: what there and back leaves, shared by two directions and three axes."""
        x, y, z = (max(axis, floor_mm) for axis in self.per_axis_mm)
        return RegistrationUncertainty((x, y, z), float(np.sqrt((x**2 + y**2 + z**2) / 3)), self.halves)


def uncertainty(pair: Pair, transform: Transform) -> RegistrationUncertainty | None:
    """Standard uncertainty from the halves of the region; None where fewer than four could be fitted.

    Parameters
    ----------
    pair : Pair
        The images and what counts.
    transform : Transform
        The registration, of any model.
    """
    fixed = pair.fixed
    counted = fixed.body & fixed.seen
    if (mask := pair.mask(fixed)) is not None:
        counted &= mask
    points = fixed.grid.to_mm(np.argwhere(counted))
    moved = brought_over(pair.moving, transform, fixed)
    squares = []
    for axis in range(3):
        middle = float(np.median(points[:, axis]))
        for side in (-1, 1):
            half = np.zeros_like(counted)
            half[counted] = side * (points[:, axis] - middle) > 0
            samples = Samples.of(fixed, HALF_POINTS, pair.seed + 3, half)
            here = np.eye(4)
            if similarity(samples, moved, Transform())[0] > 0:
                squares.append(polished(samples, moved, here, "shift", 0.0)[:3, 3] ** 2)
    if len(squares) < MIN_HALVES:
        return None
    factor = CALIBRATION.get(transform.kind, CALIBRATION["rigid"])
    x, y, z = (float(n) for n in np.maximum(factor * np.sqrt(np.mean(squares, axis=0)), LEAST_MM))
    return RegistrationUncertainty((x, y, z), float(np.sqrt((x**2 + y**2 + z**2) / 3)), len(squares))


def brought_over(moving: Prepared, transform: Transform, fixed: Prepared) -> Prepared:
    """The moving image on the voxels of the fixed one."""
    values = np.zeros(fixed.grid.shape, dtype=np.float32)
    seen = np.zeros(fixed.grid.shape, dtype=bool)
    for block, points in blocks(fixed.grid):
        flat = transform.points_mm(points.reshape(-1, 3))
        values[block] = looked_up(moving, flat).reshape(points.shape[:3])
        seen[block] = Samples.seen(moving, flat).reshape(points.shape[:3])
    return Prepared(fixed.volume.with_values(values), fixed.body, seen, fixed.centre_mm)
