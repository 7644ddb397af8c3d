"""Where the activity went, against where the plan had it: shares of the parts of the liver, tested.

A share is what a part holds of the energy (dose times volume) in the liver, so that a wrong calibration of either map
cancels. It is uncertain because images and structures do not lie quite together: liver and tumours move with breathing
and between sessions. Each dose map is moved by one standard deviation of that along each axis; the change of a share
(root of the mean square over the two directions, summed over the axes) is its standard uncertainty.

A part is said to differ where its share changed by more than the uncertainty of both maps allows (two-sided, 5 % for
all parts together after Bonferroni) and by enough to matter. Two maps of one placement that lie within the stated
uncertainty are thus called different in at most 5 % of cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Region, Volume

POSITION_SD_MM = 5.0
"""Standard uncertainty of position between structures and either map along each axis. Our assumption: a liver moves
10 to 25 mm with breathing (Langen and Jones, IJROBP 2001;50:265); a sine of 14 mm has a standard deviation of 5 mm."""

FALSE_ALARMS = 0.05
"""Rate at which parts that did not change are called different, all parts of a patient together."""

MIN_RELATIVE_CHANGE, MIN_CHANGE = 0.25, 0.05
"""A share that changed by less than a quarter of itself, or 5 % of the liver's activity, needs no look. Our choice."""

VARIANCE_R, COVARIANCE_R, VARIANCE_R2 = 3 - 8 / math.pi, 2 * math.sqrt(2 / math.pi), 6.0
"""Of the distance r from the centre of a normal distribution in space (Maxwell): variance of r, covariance of r and r^2
((8 - 3 * 2) times the root of 2 / pi), variance of r^2 (chi squared with three degrees of freedom)."""

MIN_SHARE = 1e-6
"""A share below this is none."""


@dataclass(frozen=True, slots=True)
class PartShare:
    """Share of one part of the liver in the energy that the liver takes up.

    Attributes
    ----------
    name : str
        Of the territory or lobe, or "liver outside them".
    planned_share, planned_share_sd : float
        On the planned map, and its standard uncertainty by position.
    delivered_share, delivered_share_sd : float
        On the delivered map.
    z : float or None
        Change over its standard uncertainty; None where none was allowed for.
    differs : bool
        Whether the change is beyond the uncertainty and large enough to matter.
    """

    name: str
    planned_share: float
    planned_share_sd: float
    delivered_share: float
    delivered_share_sd: float
    z: float | None
    differs: bool

    @property
    def relative_change(self) -> float | None:
        """(Delivered - planned) / planned; None where nothing was planned."""
        if self.planned_share < MIN_SHARE:
            return None
        return self.delivered_share / self.planned_share - 1

    def sentence(self) -> str:
        """What happened to it."""
        way = "rose" if self.delivered_share > self.planned_share else "fell"
        return f"the share of {self.name!r} {way} from {self.planned_share:.0%} to {self.delivered_share:.0%}"


def held_when_moved(dose: Volume, regions: Sequence[Region], distance_mm: float) -> NDArray[np.float64]:
    """What regions hold of a dose (sum over voxels, Gy) as it lies, and moved to and fro along each axis.

    Parameters
    ----------
    dose : Volume
        Gy.
    regions : sequence of Region
        On its grid.
    distance_mm : float
        How far it is moved, linear between voxels; 0 for not at all.

    Returns
    -------
    ndarray of float64, shape (7, n)
        The first row as it lies; one row only where it is not moved.
    """
    from scipy import ndimage

    spacing = dose.grid.spacing_mm
    margins = [math.ceil(distance_mm / mm) + 1 for mm in spacing]
    box = tuple(
        slice(
            max(0, min(r.window[n].start for r in regions) - margins[n]),
            max(r.window[n].stop for r in regions) + margins[n],
        )
        for n in range(3)
    )
    values = dose.values[box].astype(np.float64)
    shifts: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]
    if distance_mm > 0:
        steps = [distance_mm / mm for mm in spacing]
        shifts += [tuple(sign * steps[n] * (n == axis) for n in range(3)) for axis in range(3) for sign in (-1, 1)]
    rows = []
    for shift in shifts:
        now = ndimage.shift(values, shift, order=1, mode="nearest") if any(shift) else values
        rows.append([_held(now, region, box) for region in regions])
    return np.array(rows)


def _held(values: NDArray[np.float64], region: Region, box: tuple[slice, ...]) -> float:
    inner = tuple(slice(w.start - b.start, w.stop - b.start) for w, b in zip(region.window, box, strict=True))
    return float((region.coverage * values[inner]).sum(dtype=np.float64))


def position_sd(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard uncertainty of each column by position, from rows as `held_when_moved` gives them."""
    return np.asarray(np.sqrt(np.square(values[1:] - values[0]).sum(axis=0) / 2))


def mean_position_sd(once: NDArray[np.float64], twice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard uncertainty by position of the mean dose of regions, about the mean that positions have.

    A lesion lies where the dose is highest: a shift in any direction lowers its mean, which is no spread but a bias
    that both maps share. So the change with a shift d (in standard deviations) is split into what turns round with the
    direction, a * d per axis, and what does not, b * |d| + c * |d|^2, from shifts of one and of two standard
    deviations. For d normal along three axes |d| has the moments of the Maxwell distribution: variance of |d| 0.454, of
    |d|^2 6, covariance 1.596.

    Parameters
    ----------
    once, twice : ndarray, shape (7, n)
        From `held_when_moved`, at one and two standard deviations of position; one row means no uncertainty.
    """
    if len(once) == 1:
        return np.zeros(once.shape[1])
    odd = np.square((once[2::2] - once[1::2]) / 2).sum(axis=0)
    first, second = ((rows[1:] - rows[0]).mean(axis=0) for rows in (once, twice))
    square = (second - 2 * first) / 2
    linear = first - square
    even = VARIANCE_R * linear**2 + 2 * COVARIANCE_R * linear * square + VARIANCE_R2 * square**2
    return np.asarray(np.sqrt(odd + even))


def part_shares(
    parts: Sequence[Region], planned: NDArray[np.float64], delivered: NDArray[np.float64]
) -> tuple[PartShare, ...]:
    """Shares of the parts of a whole on both maps, and whether they differ.

    Parameters
    ----------
    parts : sequence of Region
        For their names.
    planned, delivered : ndarray, shape (7, n + 1)
        What the whole and then each part hold, from `held_when_moved`.
    """
    limit = NormalDist().inv_cdf(1 - FALSE_ALARMS / (2 * max(1, len(parts))))
    shares = [held[:, 1:] / np.maximum(held[:, :1], np.finfo(float).tiny) for held in (planned, delivered)]
    (before, after), (before_sd, after_sd) = [s[0] for s in shares], [position_sd(s) for s in shares]
    out = []
    for n, part in enumerate(parts):
        change, sd = float(after[n] - before[n]), math.hypot(before_sd[n], after_sd[n])
        z = significance(change, sd)
        matters = abs(change) >= MIN_CHANGE and abs(change) > MIN_RELATIVE_CHANGE * before[n]
        numbers = (float(before[n]), float(before_sd[n]), float(after[n]), float(after_sd[n]))
        out.append(PartShare(part.name, *numbers, z, bool(matters and (z is None or abs(z) > limit))))
    return tuple(out)


def significance(change: float, sd: float) -> float | None:
    """Change over its standard uncertainty; None where that is zero and the change is not."""
    if sd > 0:
        return change / sd
    return None if change else 0.0


def centre_shift_mm(planned: Volume, delivered: Volume, region: Region) -> float | None:
    """Distance between the centres of dose in a region on two maps; None where either holds nothing there."""
    centres = []
    for volume in (planned, delivered):
        weights = region.coverage * volume.values[region.window]
        total = float(weights.sum(dtype=np.float64))
        if not total > 0:
            return None
        axes = np.meshgrid(*(np.arange(s.start, s.stop) for s in region.window), indexing="ij", sparse=True)
        index = [float((weights * axis).sum(dtype=np.float64)) / total for axis in axes]
        centres.append(region.grid.to_mm(index))
    return float(np.linalg.norm(centres[1] - centres[0]))
