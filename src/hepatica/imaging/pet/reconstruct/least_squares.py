"""Weighted least squares of a list: an image that is linear in its events, and unbiased however few they are.

Counts y of a line and bin are expected to be ``w (A x + b)``, with the variance ``w v``, ``v = A x_r + b`` of a smooth
reference image x_r. Least squares with these variances (Fessler, IEEE Trans Med Imaging 1994;13:290) have the gradient

    sum over events of A_e / v_e  -  sum over all lines and bins of w A (A x + b) / v
      =  sum over events of A_e / v_e  -  s  -  H (x - x_r),        H = sum over all of w A A^T / v,

s the sensitivity. Its expectation is zero at the true image, whatever x_r and the number of counts are: nothing rests
on a line's own count. Where the events alone give the slope and the curvature (a Newton step of the list's likelihood,
Neyman's chi-square) an upward fluctuation has more of both, and what is found is too low.

What is ours: H comes from a sample of lines and bins that knows nothing of the events (`model_lines`), the sum over the
events is taken once, and s comes from the many lines of the sensitivity; the error of the sample meets the difference
from the reference alone. The reference is made of the same list: its share in the weights and that in H take each
other away to second order.

The equation is solved by the nu-method (Brakhage 1987; Hanke, Numer Math 1991;60:341): k steps reach what k^2 steps of
steepest ascent do, and each is linear in the events; stopped early, an image is between x_r and the solution. No voxel
is held anywhere. The mean of inverses is not the inverse of the mean, so the sample must be large against what the
steps resolve: with 3 lines for each voxel a sphere of 37 mm came out 28 % too high after 30 steps (2 % after 8); 11
are taken. What is too high or low by that is a share of the difference from the reference, and a reference by
expectation maximisation of few counts lies far too high: by 138 % of 300 trues among 6 000 randoms, where the image
then lost 2 to 4 % of its total. So the reference first takes the height that its list gives it (`height_of`). Other
lines in every step would have no such bias, but a several times larger error in the total.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.reconstruct.model_lines import ModelLines

Float32 = NDArray[np.float32]

SMOOTHED_MM = 20.0
"""FWHM over the reference: lesions of some centimetres remain, the noise of voxels does not."""
LEAST_REFERENCE = 0.1
"""Of its mean: no line through the body has the variance zero."""
LEAST_HEIGHT = 0.1
"""Of the reference: it stays above zero whatever the list says."""
NU = 1.0


def reference_of(look: Float32, support: NDArray[np.bool_], seen: Float32, spacing_mm: tuple[float, ...]) -> Float32:
    """Smooth image above zero of a first look, zero outside of the voxels that are looked for."""
    from scipy.ndimage import gaussian_filter

    sd = [SMOOTHED_MM / FWHM_PER_SD / mm for mm in spacing_mm]
    inside = gaussian_filter(support.astype(np.float32), sd)
    smooth = gaussian_filter(np.where(support, np.maximum(look, 0), 0).astype(np.float32), sd)
    smooth = np.divide(smooth, inside, out=np.zeros_like(smooth), where=support & (inside > 0))
    level = float((smooth * seen).sum() / seen[support].sum())
    return np.where(support, np.maximum(smooth, np.float32(LEAST_REFERENCE * level)), 0).astype(np.float32)


def height_of(
    reference: Float32,
    model: ModelLines,
    projector: LineProjector,
    events: Coincidences,
    background: Float32,
    seen: Float32,
    *,
    weights: NDArray[np.floating] | None = None,
) -> float:
    """Factor of a reference by least squares of one unknown, no less than `LEAST_HEIGHT`.

    The same equation as that of the image, where only the height of the reference is sought: with r the reference, the
    factor is ``1 + (sum over events of (A r) / v - s r) / (r H r)``. One number, which a sample of lines knows well.

    Parameters
    ----------
    reference, seen : ndarray of float32
        Of the projector's grid; what is seen is zero where nothing is looked for.
    model : ModelLines
    projector : LineProjector
    events : Coincidences
    background : ndarray of float32, shape (events,)
    weights : ndarray, shape (events,), optional
        How often each event counts.
    """
    of_lines, of_events = projector.forward(reference, model.lines), projector.forward(reference, events)
    share = np.divide(of_events, of_events + background, out=np.zeros_like(of_events), where=of_events > 0)
    curved = np.divide(of_lines**2, of_lines + model.background, out=np.zeros_like(of_lines), where=of_lines > 0)
    counted = float((share if weights is None else share * weights).sum(dtype=np.float64))
    expected = float((seen * reference).sum(dtype=np.float64))
    curvature = float((model.weight * curved).sum(dtype=np.float64))
    return max(1 + (counted - expected) / curvature, LEAST_HEIGHT) if curvature > 0 else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquares:
    """The equation of a list.

    Attributes
    ----------
    projector : LineProjector
        Of the box of voxels that are reconstructed.
    support : ndarray of bool
        Voxels of it that are looked for.
    reference : ndarray of float32
        Smooth image, above zero in the support.
    lines : Coincidences
        Of the model.
    curvature : ndarray of float32, shape (lines,)
        Weight over variance of each.
    step : ndarray of float32
        Of each voxel: one over the curvature that all voxels together have on its lines: no eigenvalue of step times H
        is then above 1.
    """

    projector: LineProjector
    support: NDArray[np.bool_]
    reference: Float32
    lines: Coincidences
    curvature: Float32
    step: Float32

    @classmethod
    def about(
        cls, reference: Float32, model: ModelLines, projector: LineProjector, support: NDArray[np.bool_]
    ) -> LeastSquares:
        """About a reference image."""
        variance = projector.forward(reference, model.lines) + model.background
        curvature = np.divide(model.weight, variance, out=np.zeros_like(variance), where=variance > 0)
        even = projector.forward(support.astype(np.float32), model.lines)
        whole = projector.back(curvature * even, model.lines)
        step = np.divide(1, whole, out=np.zeros_like(whole), where=support & (whole > 0))
        return cls(projector, support, reference, model.lines, curvature, step)

    def inverse_variance(self, events: Coincidences, background: Float32) -> Float32:
        """1 / v of each event, zero where nothing is expected."""
        variance = self.projector.forward(self.reference, events) + background
        return np.asarray(np.divide(1, variance, out=np.zeros_like(variance), where=variance > 0), np.float32)

    def curved(self, image: Float32) -> Float32:
        """H times an image."""
        return self.projector.back(self.curvature * self.projector.forward(image, self.lines), self.lines)

    def solved(
        self, right: Float32, iterations: int, on_iteration: Callable[[int, Float32], None] | None = None
    ) -> Float32:
        """Solution d of ``H d = right`` after so many steps from zero: a linear map, and its own transpose."""
        found, before = np.zeros_like(right), np.zeros_like(right)
        for k in range(1, iterations + 1):
            momentum, length = nu_method(k)
            # nothing was found before the first step
            left = right - self.curved(found) if k > 1 else right
            ascent = np.where(self.support, self.step * left, 0)
            after = found + np.float32(momentum) * (found - before) + np.float32(length) * ascent
            before, found = found, after.astype(np.float32)
            if on_iteration is not None:
                on_iteration(k, found)
        return found


def nu_method(k: int, nu: float = NU) -> tuple[float, float]:
    """Momentum and length of step k (from 1) of the nu-method for eigenvalues from 0 to 1 (Hanke 1991, eq. 3.9)."""
    if k == 1:
        return 0.0, (4 * nu + 2) / (4 * nu + 1)
    momentum = (
        (k - 1) * (2 * k - 3) * (2 * k + 2 * nu - 1)
        / ((k + 2 * nu - 1) * (2 * k + 4 * nu - 1) * (2 * k + 2 * nu - 3))
    )  # fmt: skip
    return momentum, 4 * (2 * k + 2 * nu - 1) * (k + nu - 1) / ((k + 2 * nu - 1) * (2 * k + 4 * nu - 1))
