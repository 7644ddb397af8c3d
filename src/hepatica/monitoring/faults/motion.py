"""Whether the patient moved, from the frames alone.

What has settled stays, so the picture of the last seconds is that of the seconds before, each region brighter by its
growth. A shift adds the picture's own gradient. Both are fitted by weighted least squares; the shift comes with its
standard deviation by the counts.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hepatica.monitoring.setup import Array

BEFORE_S = 12.0
"""Before a move is seen, within which it happened: two pictures, and a part that had been begun."""

PICTURE_S = 4.0
"""Of the two pictures that are compared."""

LEAST_COUNTS = 3000.0
"""In the older one."""

LEAST_MM = 7.0
"""A shift that is said; breathing and small movements stay below."""

LEAST_SD = 6.0

MOST_GROWTH = 1.4
"""Counts of the newer picture over those of the older one; where more has arrived, how it is spread within a region is
as new as a shift would be, and the two cannot be told apart (a bolus of seconds looked like a patient who moved)."""

SMOOTH_PIXELS = 2.5


def moved_mask(mask: NDArray[np.int64], across: int, up: int) -> NDArray[np.int64]:
    """A mask moved by pixels to the right and to the top; what comes in from beyond the edge is what the edge shows."""
    rows, columns = mask.shape
    row = np.clip(np.arange(rows) + up, 0, rows - 1)
    return mask[row][:, np.clip(np.arange(columns) - across, 0, columns - 1)]


class Motion:
    """Shift between pictures.

    Parameters
    ----------
    mask : ndarray of int, shape (rows, columns)
        Regions, each of which grows by itself.
    pixel_mm : float
        Edge of a pixel.

    Attributes
    ----------
    is_seeing : bool
        Whether there are counts enough to see a move at all, and not too many new ones.
    is_flooded : bool
        Whether so much arrives that a move cannot be told from it.
    """

    def __init__(self, mask: NDArray[np.int64], pixel_mm: float) -> None:
        self._mask, self._pixel_mm = mask, pixel_mm
        self._parts: deque[tuple[Array, float]] = deque()
        self._sum, self._time = np.zeros(mask.shape), 0.0
        self.is_seeing = self.is_flooded = False

    def take(self, counts: Array, duration_s: float) -> str:
        """Add a frame; a sentence where the patient moved."""
        self._sum, self._time = self._sum + counts, self._time + duration_s
        if self._time < PICTURE_S / 2:
            return ""
        self._parts.append((self._sum, self._time))
        self._sum, self._time = np.zeros_like(self._sum), 0.0
        if len(self._parts) < 4:
            return ""
        old = self._parts[0][0] + self._parts[1][0]
        new = self._parts[2][0] + self._parts[3][0]
        self._parts.popleft()
        self.is_flooded = float(new.sum()) > MOST_GROWTH * float(old.sum())
        self.is_seeing = float(old.sum()) >= LEAST_COUNTS and not self.is_flooded
        if not self.is_seeing:
            return ""
        if self._is_turned(old, new):
            self._parts.clear()
            return "the patient moved or the head was turned: the picture is that of before, mirrored"
        left, head, sd = self._shift_mm(old, new)
        size = float(np.hypot(left, head))
        if size < LEAST_MM or size < LEAST_SD * sd:
            return ""
        self._parts.clear()
        # The fit is linear in the shift: beyond the picture's blur it falls short, and is no size to move masks by.
        return f"the patient moved by {LEAST_MM:.0f} mm or more: the masks lie no more where they were drawn"

    def _is_turned(self, old: Array, new: Array) -> bool:
        """Whether the new picture is rather the old one mirrored than the old one: beads stay where they are."""
        from scipy.ndimage import gaussian_filter

        before, after = (gaussian_filter(picture, SMOOTH_PIXELS) for picture in (old, new))
        same = _correlation(before, after)
        turned = (before[:, ::-1], before[::-1], before[::-1, ::-1])
        return max(_correlation(picture, after) for picture in turned) > same + TURNED

    def _shift_mm(self, old: Array, new: Array) -> tuple[float, float, float]:
        from scipy.ndimage import gaussian_filter

        smooth_old, smooth_new = (gaussian_filter(picture, SMOOTH_PIXELS) for picture in (old, new))
        down, across = np.gradient(smooth_old)
        regions = [smooth_old * (self._mask == n) for n in range(int(self._mask.max()) + 1)]
        columns = np.stack([part.ravel() for part in (*regions, down, across)], axis=1)
        columns = columns[:, np.abs(columns).sum(axis=0) > 0]
        weight = 1 / np.sqrt(smooth_old.ravel() + smooth_new.ravel() + 0.05)
        scaled = columns * weight[:, None]
        normal = np.linalg.pinv(scaled.T @ scaled)
        found = normal @ (scaled.T @ (smooth_new.ravel() * weight))
        # Smoothing by a Gaussian correlates neighbours over 4 pi s^2 pixels and shrinks their noise by as much.
        sd = float(np.sqrt(max(normal[-2, -2], normal[-1, -1]))) * self._pixel_mm
        return -float(found[-1]) * self._pixel_mm, float(found[-2]) * self._pixel_mm, sd


def _correlation(one: Array, other: Array) -> float:
    """Of two pictures, 1 where they are alike but for a factor and a constant."""
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-300))


TURNED = 0.1
"""By which a mirrored picture must be more like the new one than the picture itself: more than its noise at
`LEAST_COUNTS`, and a picture that is so symmetric is in no danger of being taken for its mirror."""
