"""The velocity field that makes two images alike: Gauss-Newton, coarse to fine.

The sum of squared differences of both images' features, each brought half of the way by exp(-v/2) and exp(v/2), plus
the field's squared curvature, which an affine change does not have. Swapping the images changes the sign of v and
nothing else, and exp(-v) is the inverse of exp(v).

J. Ashburner, NeuroImage 38 (2007) 95 (one velocity for all times, Gauss-Newton); B. Fischer, J. Modersitzki, J. Math.
Imaging Vis. 18 (2003) 81 (curvature, cosine transform).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.deformable.features import features
from hepatica.anatomy.registration.deformable.flow import Field, Flow, Sums
from hepatica.anatomy.registration.deformable.settings import Contrast
from hepatica.errors import GeometryError

Image = NDArray[np.float32]

VOXELS_PER_NODE = 2
KEPT_SHARE = 0.5
"""Share of the smoothing that holds for the whole field; the rest only smooths each step, as a viscous fluid does."""

RIDGE = 1e-3
"""Of the mean of the matrix, so that air, which has no edges, leaves no equation without an answer."""

LONGEST_STEP = 1.0
"""Node distances by which one Gauss-Newton step may change the velocity: beyond it the linear model does not hold."""

SETTLED_STEP = 0.02
"""A level ends where 99 % of the nodes change by less, in node distances."""

SOLVER_STEPS, SOLVER_TOLERANCE = 12, 0.03
SEEN_SHARE = 0.99


def velocity(
    images: tuple[Image, Image],
    weights: tuple[Image, Image],
    contrast: Contrast,
    smoothing: float,
    steps: tuple[int, ...],
    flow: Flow,
) -> Field:
    """Velocity on nodes two voxels apart, in node indices, shape (i / 2, j / 2, k / 2, 3).

    Parameters
    ----------
    images, weights : pair of ndarray, shape (i, j, k)
        Fixed and moving image, 0 to 1, on the same voxels, and where each counts, 0 or 1. Sizes are multiples of 2 to
        the power of the levels.
    contrast : {"like", "unlike"}
        Features that are compared.
    smoothing : float
        Of the curvature, in the mean of the Gauss-Newton matrix.
    steps : tuple of int
        Gauss-Newton steps at most, one number per level, coarse to fine.
    flow : Flow
        Runs the kernels.

    Raises
    ------
    GeometryError
        If there is no voxel that counts in both images.
    """
    ladder = [(images, weights)]
    for _ in steps[1:]:
        finer, seen = ladder[-1]
        fewer = tuple((_halved(w) > SEEN_SHARE).astype(np.float32) for w in seen)
        ladder.append(((_halved(finer[0]), _halved(finer[1])), (fewer[0], fewer[1])))
    found: Field | None = None
    for (pair, counted), most in zip(reversed(ladder), steps, strict=True):
        i, j, k = (n // VOXELS_PER_NODE for n in pair[0].shape)
        found = np.zeros((i, j, k, 3), np.float32) if found is None else flow.refined(found, (i, j, k))
        channels = (features(pair[0], contrast), features(pair[1], contrast))
        found = _settled(channels, counted, found, smoothing, most, flow)
    if found is None:
        raise GeometryError("a registration needs a level of resolution")
    return found


def _settled(
    channels: tuple[Field, Field],
    counted: tuple[Image, Image],
    found: Field,
    smoothing: float,
    most: int,
    flow: Flow,
) -> Field:
    """Velocity after the Gauss-Newton steps of one level."""
    strength: float | None = None
    for _ in range(most):
        sums = flow.sums(channels, counted, found, VOXELS_PER_NODE)
        here = sums.misfit[..., 1] > 0
        if not here.any():
            break
        mean = float(sums.diagonal[here].mean())
        if mean <= 0:
            break
        strength = smoothing * mean if strength is None else strength
        force = sums.force - np.float32(KEPT_SHARE * strength) * flow.curvature(found)
        step = _solved(sums, force, strength, RIDGE * mean, flow)
        length = np.sqrt((step**2).sum(axis=-1))
        found = found + step * np.minimum(1, LONGEST_STEP / np.maximum(length, 1e-9))[..., None].astype(np.float32)
        if np.percentile(length, 99) < SETTLED_STEP:
            break
    return found


def _solved(sums: Sums, force: Field, strength: float, ridge: float, flow: Flow) -> Field:
    """Step of the velocity by conjugate gradients, whose preconditioner is exact where all voxels are alike."""
    from scipy.fft import dctn, idctn

    inverse = 1 / (float(sums.diagonal.mean()) + ridge + strength * _eigenvalues(force.shape[:3]) ** 2)

    def preconditioned(rest: Field) -> Field:
        waves = dctn(rest, axes=(0, 1, 2), workers=flow.threads) * inverse[..., None]
        return np.asarray(idctn(waves, axes=(0, 1, 2), workers=flow.threads), dtype=np.float32)

    def applied(x: Field) -> Field:
        out: Field = sums.diagonal * x + np.float32(strength) * flow.curvature(x) + np.float32(ridge) * x
        for channel, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
            out[..., a] += sums.mixed[..., channel] * x[..., b]
            out[..., b] += sums.mixed[..., channel] * x[..., a]
        return out

    step, rest = np.zeros_like(force), force.copy()
    better = preconditioned(rest)
    way, size = better.copy(), float(np.vdot(rest, better))
    enough = SOLVER_TOLERANCE**2 * size
    for _ in range(SOLVER_STEPS):
        if size <= enough:
            break
        change = applied(way)
        pace = np.float32(size / max(float(np.vdot(way, change)), 1e-30))
        step += pace * way
        rest -= pace * change
        better = preconditioned(rest)
        new = float(np.vdot(rest, better))
        way, size = better + np.float32(new / size) * way, new
    return step


def _eigenvalues(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Of the negative Laplacian with nothing flowing over the border, for the cosine transform."""
    i, j, k = (2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in shape)
    return np.asarray(i[:, None, None] + j[:, None] + k, dtype=np.float32)


def _halved(image: Image) -> Image:
    i, j, k = (n // 2 for n in image.shape)
    return np.asarray(image.reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5), dtype=np.float32))
