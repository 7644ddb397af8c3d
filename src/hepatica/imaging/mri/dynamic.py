"""Holmium that arrives while MR is repeated: what each region holds more than before the first beads.

Of each voxel the signal of every instant is held against the mean of those before the first beads, echo by echo:
ln(B / S) = dR2* TE. What does not change (coil, fat, gradients of the field, the signal at echo time zero) cancels, so
one echo is enough. A change of signal that tissue without beads shows too is none of beads, and is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Region
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.mri.fitting.fit import ABOVE_NOISE
from hepatica.imaging.quantify.uncertainty import Outline

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST_BEFORE = 3
"""Instants before the first beads, of which mean and noise are taken."""

FEWEST_APART = 200
"""Voxels of tissue without beads, from which its change of signal and a move are told."""

BRIGHT = 20.0
"""Standard deviations of noise above which a voxel outside the regions is tissue that tells a move."""

MOVED_MM = 2.0
"""Shift of the tissue without beads that is called a move: half a voxel of a dynamic series (4 mm), from
which on a voxel at the border of a region is more of another tissue than of its own (assumption)."""

UNLIKE = 0.25
"""Change of the tissue without beads, relative to itself, that no small shift explains."""

DRIFTED = 0.05
"""Change of its signal that is no steady scanner any more: uncorrected, it is 0.05 / TE in R2*, 6 per second at 8 ms,
and of a whole liver as much as 0.06 mg/mL of holmium (assumption)."""

STILL_SD = 4.0
"""Standard deviations by which the last instant before the first beads may differ from the first: of normal noise 6e-5
for a region, so that a scan that is still is refused by chance in less than one of a thousand."""

DARK = 0.02
"""Of a region's volume, where no signal is left: its activity is then a lower limit. Beads are not even: so little may
hold several times its share, which the relaxivity's 5 % of the interval still cover (assumption)."""


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """The scan before the first beads.

    Attributes
    ----------
    grid : Grid
        Voxels.
    echo_times_s : ndarray, shape (echoes,)
        s.
    mean : ndarray, shape (echoes, i, j, k)
        Of the magnitudes.
    noise : float
        Standard deviation of one magnitude, in the image's unit.
    instants : int
        Of which the mean is.
    weights_ml : ndarray, shape (regions, i, j, k)
        Volume of each voxel in each region; a voxel is in one region only as far as regions do not overlap.
    apart : ndarray of bool, shape (i, j, k)
        Tissue in no region.
    own_sd_per_s_ml : ndarray, shape (regions,)
        Spread of each region's sum of dR2* (mL/s) from instant to instant before the first beads.
    """

    grid: Grid
    echo_times_s: Array
    mean: Array
    noise: float
    instants: int
    weights_ml: Array
    apart: Mask
    own_sd_per_s_ml: Array

    @property
    def tells_moves(self) -> bool:
        """Whether there is enough tissue without beads to tell a move and a drift."""
        return int(self.apart.sum()) >= FEWEST_APART

    def outline_relative_sd(self) -> float:
        """Largest relative standard uncertainty of a region's volume, its outline known to a third of a voxel."""
        outline = Outline(sum(self.grid.spacing_mm) / 9)
        volumes = self.weights_ml.reshape(len(self.weights_ml), -1).sum(axis=1)
        return max(outline.volume_relative_sd(float(volume)) for volume in volumes)


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """What one instant shows.

    Attributes
    ----------
    r2star_ml_per_s : ndarray, shape (regions,)
        Sum of the increase of R2* over each region, mL/s.
    variance : ndarray, shape (regions,)
        Of it by this instant's noise.
    floor_variance : ndarray, shape (regions,)
        Of it by the noise of the mean before, which all instants share.
    dark_share : ndarray, shape (regions,)
        Of each region's volume, where no signal is left.
    drift : float
        Relative change of the signal of tissue without beads; zero where there is none.
    shift_mm : float
        Of that tissue.
    fault : str
        Why nothing can be judged of it; empty where nothing is wrong.
    """

    r2star_ml_per_s: Array
    variance: Array
    floor_variance: Array
    dark_share: Array
    drift: float
    shift_mm: float
    fault: str = ""


def before_beads(
    magnitudes: Sequence[NDArray[np.float32]], grid: Grid, echo_times_s: Sequence[float], regions: Sequence[Region]
) -> Before:
    """Mean and noise of the instants before the first beads.

    Parameters
    ----------
    magnitudes : sequence of ndarray, shape (echoes, i, j, k)
        One for each instant.
    grid : Grid
        Of all.
    echo_times_s : sequence of float
        s.
    regions : sequence of Region
        On that grid; where two overlap, the earlier one has the voxel.

    Raises
    ------
    InputError
        If there are too few instants, a region holds no signal, or R2* rises from the first to the last.
    GeometryError
        If a region lies on another grid.
    """
    if len(magnitudes) < FEWEST_BEFORE:
        raise InputError(
            f"{len(magnitudes)} instants before the first beads; {FEWEST_BEFORE} tell baseline and noise",
            remedy="begin the series earlier",
        )
    stack = np.stack(magnitudes).astype(np.float64)
    mean = stack.mean(axis=0)
    weights = _weights(regions, grid)
    inside = (weights.sum(axis=0) > 0) & (mean > 0).all(axis=0)
    if not inside.any():
        raise InputError("no voxel of the regions holds a signal in every echo before the first beads")
    # Of neighbours in time: what rises slowly is no noise.
    noise = math.sqrt(float(np.square(np.diff(stack, axis=0))[:, :, inside].mean()) / 2)
    if not noise > 0:
        raise InputError("the instants before the first beads are equal: one was copied, and noise is not known")
    apart = (mean[0] > BRIGHT * noise) & (weights.sum(axis=0) == 0)
    empty = np.zeros(len(regions))
    found = Before(grid, np.asarray(echo_times_s, np.float64), mean, noise, len(stack), weights, apart, empty)
    seen = [arrived(one, found) for one in magnitudes]
    values = np.stack([one.r2star_ml_per_s for one in seen])
    _require_still(values, seen[0].variance)
    spread = np.sqrt(np.square(np.diff(values, axis=0)).mean(axis=0) / 2)
    return Before(grid, found.echo_times_s, mean, noise, len(stack), weights, apart, spread)


def _require_still(values: Array, variance: Array) -> None:
    """InputError if the last instant lies above the first by more than noise and what moves among the first three."""
    own = np.square(np.diff(values[:FEWEST_BEFORE], axis=0)).mean(axis=0) / 2
    rise = (values[-1] - values[0]) / np.sqrt(2 * np.maximum(own, variance))
    if float(np.abs(rise).max()) > STILL_SD:
        raise InputError(
            "R2* changes among the instants before the first beads: beads arrive, or the patient moves",
            remedy="state fewer of them (`before_beads`)",
        )


def _weights(regions: Sequence[Region], grid: Grid) -> Array:
    left = np.ones(grid.shape)
    out = np.zeros((len(regions), *grid.shape))
    for n, region in enumerate(regions):
        if not region.grid.matches(grid):
            raise GeometryError(f"{region.name} lies on {region.grid}, the MR on {grid}")
        out[n] = np.minimum(region.full().astype(np.float64), left)
        left = left - out[n]
        if not out[n].any():
            raise InputError(f"{region.name} holds no voxel of the MR that another region has not")
    return np.asarray(out * grid.voxel_volume_ml)


def arrived(magnitude: NDArray[np.float32], before: Before) -> Arrived:
    """What one instant shows beyond those before the first beads.

    Parameters
    ----------
    magnitude : ndarray, shape (echoes, i, j, k)
        Of the instant.
    before : Before
        What it is held against.

    Notes
    -----
    dR2* of a voxel is the least-squares slope through the origin of ln(B / S) over the echo time, weighted with the
    signal squared, by echoes up to the first below 3 standard deviations of noise. The mean of the logarithm of a
    Rician magnitude is that of its signal to 0.1 % there, so that nothing is taken off for it. Where the first echo is
    dark the slope is the least that it can be.
    """
    signal = magnitude.astype(np.float64)
    drift, shift_mm, fault = _tissue_apart(signal[0], before)
    signal = signal / (1 + drift)
    sigma = before.noise / (1 + drift)
    used = before.weights_ml.sum(axis=0) > 0
    base, now = before.mean[:, used], signal[:, used]
    times = before.echo_times_s[:, None]
    seen = np.logical_and.accumulate((now > ABOVE_NOISE * sigma) & (base > ABOVE_NOISE * sigma), axis=0)
    ratio = np.log(np.where(seen, base, 1.0) / np.where(seen, now, 1.0))
    slope = _slope(ratio, times, seen * base**2)
    # Weights by the signal that is expected, not by the one that happens to be high.
    expected = base * np.exp(-times * np.maximum(slope, 0.0))
    weight = seen * expected**2
    slope = _slope(ratio, times, weight)
    moment = (weight * times**2).sum(axis=0)
    safe = np.where(moment > 0, moment, 1.0)
    variance = np.where(moment > 0, sigma**2 / safe, 0.0)
    of_mean = (weight**2 * times**2 / np.maximum(base, 1e-30) ** 2).sum(axis=0) * before.noise**2 / before.instants
    dark = ~seen[0]
    lowest = np.log(np.maximum(base[0] / (ABOVE_NOISE * sigma), 1.0)) / before.echo_times_s[0]
    slope = np.where(dark, lowest, slope)
    volumes = before.weights_ml[:, used]
    whole = (volumes**2) @ variance
    share = volumes @ dark.astype(np.float64) / volumes.sum(axis=1)
    shared = (volumes**2) @ np.where(moment > 0, of_mean / safe**2, 0.0)
    # What moves from instant to instant beside noise, and what of it the mean before has kept.
    own = before.own_sd_per_s_ml**2
    return Arrived(
        volumes @ slope, np.maximum(whole, own), np.maximum(shared, own / before.instants), share, drift, shift_mm,
        fault or _said_dark(share),
    )  # fmt: skip


def _slope(ratio: Array, times: Array, weight: Array) -> Array:
    moment = (weight * times**2).sum(axis=0)
    return np.asarray((weight * times * ratio).sum(axis=0) / np.where(moment > 0, moment, 1.0))


def _said_dark(share: Array) -> str:
    if float(share.max()) <= DARK:
        return ""
    return f"{GONE} in {100 * float(share.max()):.0f} % of a region: what it holds is a lower limit"


GONE = "the signal is gone"

MOVED = "the patient moved"

DRIFT = "the signal of tissue without beads changed"


def _tissue_apart(first: Array, before: Before) -> tuple[float, float, str]:
    """Change of signal and shift of the tissue without beads, and what is wrong with them.

    The shift is the least-squares solution of S = (1 + d) (B - u grad B), which holds up to about a voxel.
    """
    if not before.tells_moves:
        return 0.0, 0.0, ""
    grid, base = before.grid, before.mean[0]
    chosen = before.apart
    axes = [n for n in range(3) if grid.shape[n] > 2]
    columns = [base[chosen], *(-np.gradient(base, axis=n)[chosen] for n in axes)]
    design = np.stack(columns, axis=1)
    now = first[chosen]
    found = np.linalg.lstsq(design, now - base[chosen], rcond=None)[0]
    drift = float(np.median(now / base[chosen])) - 1
    shift = math.hypot(*(float(found[1 + m]) * grid.spacing_mm[n] for m, n in enumerate(axes)), 0.0)
    unlike = float(np.sqrt(np.mean((now / (1 + drift) - base[chosen]) ** 2) / np.mean(base[chosen] ** 2)))
    if shift > MOVED_MM or unlike > UNLIKE:
        return drift, shift, f"{MOVED}: tissue without beads is not where it was"
    if abs(drift) > DRIFTED:
        return drift, shift, f"{DRIFT} by {100 * drift:+.0f} %"
    return drift, shift, ""
