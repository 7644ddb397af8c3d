"""The one file that calls SimpleITK: a rigid or affine transform that makes two prepared images most alike.

Mattes mutual information (D. Mattes et al., IEEE Trans. Med. Imaging 22 (2003) 120) on seeded random points, followed
uphill by regular steps. On one thread, so that the same seed gives the same transform to the last bit: several threads
add up the metric's gradient in the order in which they happen to finish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.prepared import Mask, Prepared
from hepatica.core import Grid
from hepatica.core.region import bounding_window
from hepatica.errors import GeometryError

FloatArray = NDArray[np.float64]
LinearModel = Literal["rigid", "affine"]

BINS = 40
RELAXATION = 0.6
MIN_MASK_VOXELS = 200
"""Fewer voxels to count in, and mutual information has nothing to estimate its histogram from."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard one climb tries.

    Attributes
    ----------
    points : int
        Points at which the images are compared.
    iterations : int
        Steps at most.
    first_step_mm, last_step_mm : float
        Lengths of the first step, and of the one at which it stops: largest shift of a voxel.
    """

    points: int
    iterations: int
    first_step_mm: float
    last_step_mm: float


def climb(
    fixed: Prepared,
    moving: Prepared,
    start: FloatArray,
    model: LinearModel,
    effort: Effort,
    seed: int,
    within: Mask | None = None,
) -> FloatArray:
    """Matrix from fixed to moving mm, shape (4, 4), that makes the images more alike than `start` does.

    Parameters
    ----------
    fixed, moving : Prepared
        The images at one resolution.
    start : ndarray, shape (4, 4)
        Where to begin; a rigid model takes only its turn and shift.
    model : {"rigid", "affine"}
        What may change.
    effort : Effort
        Points, steps.
    seed : int
        Of the random points.
    within : ndarray of bool or None
        Voxels of the fixed image to count in; those of its body if None.

    Raises
    ------
    GeometryError
        If the images do not overlap from `start` on, or too few voxels count.
    """
    counted = (fixed.body if within is None else within) & fixed.seen
    if int(counted.sum()) < MIN_MASK_VOXELS:
        raise GeometryError(f"{int(counted.sum())} voxels are too few to register by ({MIN_MASK_VOXELS} at least)")
    window = bounding_window(counted)
    grid = fixed.grid.crop(window)
    counted = counted[window]
    centre = grid.to_mm(np.argwhere(counted)).mean(axis=0)
    method = _method(grid, counted, moving, effort, seed)
    transform = _transform(start, model, centre)
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(_image(fixed.volume.values[window], grid), _image(moving.volume.values, moving.grid))
    except RuntimeError as error:
        raise GeometryError("the images do not overlap from this start") from error
    return _matrix(transform)


def _method(grid: Grid, counted: Mask, moving: Prepared, effort: Effort, seed: int) -> Any:
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfWorkUnits(1)
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=BINS)
    method.SetInterpolator(sitk.sitkLinear)
    share = min(1.0, effort.points / float(counted.sum()))
    if share < 1.0:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(share, seed % (2**31 - 1) + 1)
    method.SetMetricFixedMask(_image(counted.astype(np.uint8), grid))
    if not moving.seen.all():
        method.SetMetricMovingMask(_image(moving.seen.astype(np.uint8), moving.grid))
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=effort.first_step_mm,
        minStep=effort.last_step_mm,
        numberOfIterations=effort.iterations,
        relaxationFactor=RELAXATION,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _image(values: NDArray[Any], grid: Grid) -> Any:
    """SimpleITK's image of voxels in LPS; a direction with a negative determinant stays what it is."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def _transform(start: FloatArray, model: LinearModel, centre: FloatArray) -> Any:
    """SimpleITK's transform of a matrix around a centre: T(x) = A (x - c) + c + t."""
    import SimpleITK as sitk  # noqa: N813

    linear = nearest_turn(start[:3, :3]) if model == "rigid" else start[:3, :3]
    at_centre = start[:3, :3] @ centre + start[:3, 3]
    transform: Any = sitk.Euler3DTransform() if model == "rigid" else sitk.AffineTransform(3)
    transform.SetCenter(centre.tolist())
    transform.SetMatrix(linear.ravel().tolist())
    transform.SetTranslation((at_centre - centre).tolist())
    return transform


def _matrix(transform: Any) -> FloatArray:
    linear = np.asarray(transform.GetMatrix(), dtype=np.float64).reshape(3, 3)
    centre, shift = (np.asarray(v, dtype=np.float64) for v in (transform.GetCenter(), transform.GetTranslation()))
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre + shift - linear @ centre
    return matrix


def nearest_turn(linear: FloatArray) -> FloatArray:
    """The rotation nearest to a 3x3 matrix (polar decomposition); of a mirroring one, that of its mirror image."""
    u, _, vt = np.linalg.svd(linear)
    sign = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))])
    return np.asarray(u @ sign @ vt)
