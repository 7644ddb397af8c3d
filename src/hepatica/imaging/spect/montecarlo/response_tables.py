"""The detector's angular response in the form in which the kernel draws directions from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import PhysicsError
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.camera.detector import NEAR_BINS, SECTORS, DetectorResponse, WindowResponse
from hepatica.imaging.spect.projections import Window

FloatArray = NDArray[np.float64]

ENERGY_STEP = 0.008
"""Relative step of the tabulated energies, a fifth of the standard deviation of a peak at 140 keV; in between one of
the two neighbours is drawn."""
VISIBLE = 3e-4
"""A photon is followed down to the lowest energy at which the windows see this share of their best sensitivity. What is
left out below is less than this share times the few keV between there and the window's edge."""
FLOOR = 1e-3
"""Least probability of a direction that has any response, as a share of an even distribution: keeps weights finite
where a photon's energy (and with it the response) depends on the direction drawn."""
FAR_VALUE = 0.3
"""What a count far from the normal is worth beside one that came through a hole: it lies anywhere on the detector, or
beside it."""
NEARBY = 12
"""Rows to which a photon's energy may differ between directions that holes let through: 0.077 rad change the energy
after Compton scatter by 10 % at most (1.5 MeV, turned by 20 degrees)."""
BEYOND = 46
"""The same between the directions of the far bins, where the highest of them may be taken for a little less."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseTables:
    """Response times solid angle, and the probabilities with which bins of direction are drawn.

    Attributes
    ----------
    energy_kev : ndarray, shape (n,)
        Evenly spaced in logarithm.
    cosine : ndarray, shape (m + 1,)
        Edges of the bins of direction, cosine of the angle to the detector's normal.
    near : int
        How many of them holes let through.
    share : ndarray, shape (n, m)
        Probability of each bin.
    chance : ndarray, shape (n, m, w, 2)
        Counts per photon and sr times the bin's solid angle: through a hole, and by all other ways.
    star : ndarray, shape (n, m, sectors, w)
        Counts by other ways in a sector of azimuth over their mean.
    importance : ndarray, shape (n,)
        What a photon of this energy may give at most, now or after losing energy: the running maximum of the chances
        added over bins and windows, those of far bins `FAR_VALUE` times. 0 below `lowest_kev`.
    depth_mm : ndarray, shape (n,)
        From the collimator's face to the plane in which photons are positioned.
    blur_mm : ndarray, shape (w,)
        Standard deviation of the crystal's intrinsic resolution.
    lowest_kev : float
        Below, no photon is followed.
    """

    energy_kev: FloatArray
    cosine: FloatArray
    near: int
    share: FloatArray
    chance: FloatArray
    star: FloatArray
    importance: FloatArray
    depth_mm: FloatArray
    blur_mm: FloatArray
    lowest_kev: float

    def places(self, steps: int) -> tuple[FloatArray, FloatArray]:
        """Bins (with fractions) at equal steps of probability, among near bins and among far ones.

        Each is of shape (n, steps + 1); zero where there are no such bins with a response.
        """
        bins = np.arange(self.cosine.size)
        return tuple(_quantiles(self.share[:, part], bins[part], steps) for part in self._parts())  # type: ignore[return-value]

    def sums(self) -> tuple[FloatArray, FloatArray]:
        """Chances added over near bins, and over far ones, all windows, each of shape (n,)."""
        bins = self.chance.sum(axis=(2, 3))
        near, far = self._parts()
        return bins[:, near].sum(axis=1), bins[:, far].sum(axis=1)

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """What a photon may give in a direction other than that of the row's energy: above zero wherever it may."""
        from scipy import ndimage

        near, far = self.sums()
        rising = np.maximum.accumulate(far)
        ahead = np.minimum(np.arange(far.size) + BEYOND, far.size - 1)
        return ndimage.maximum_filter1d(near, 2 * NEARBY + 1, mode="nearest"), rising + 0.01 * rising[ahead]

    def _parts(self) -> tuple[slice, slice]:
        return slice(0, self.near), slice(self.near, None)


def _quantiles(share: FloatArray, first: NDArray[np.int_], steps: int) -> FloatArray:
    """Places in bins that start at `first` at equal steps of the probabilities `share`, shape (n, steps + 1)."""
    used = np.flatnonzero((share > 0).any(axis=0))
    if not used.size:
        return np.zeros((share.shape[0], steps + 1))
    part = share[:, used[0] : used[-1] + 1]
    edges = first[0] + np.arange(used[0], used[-1] + 2, dtype=np.float64)
    cumulative = np.concatenate([np.zeros((len(part), 1)), np.cumsum(part, axis=1)], axis=1)
    wanted = np.linspace(0, 1, steps + 1)
    return np.stack([np.interp(wanted, row / row[-1], edges) for row in cumulative])


def _star(found: WindowResponse) -> FloatArray:
    """Shape (w, n, m, sectors); even where the azimuth is not known."""
    return np.ones((*found.through.shape, SECTORS)) if found.star is None else found.star


def response_tables(
    response: DetectorResponse, camera: GammaCamera, windows: Sequence[Window], highest_kev: float
) -> ResponseTables:
    """Tables up to the highest energy of the source (or of the response, which then stands for what is above).

    Raises
    ------
    PhysicsError
        If no photon of the source's energies is ever counted in the windows.
    """
    low = float(response.energy_kev[0])
    high = min(float(response.energy_kev[-1]), max(highest_kev, low) * (1 + ENERGY_STEP))
    if high <= low:
        raise PhysicsError(
            f"the source's highest photon energy, {highest_kev:g} keV, lies below the camera's table ({low:g} keV on)"
        )
    energy = np.geomspace(low, high, max(2, math.ceil(math.log(high / low) / ENERGY_STEP) + 1))
    found = response.window(windows, energy)
    both = np.stack([found.geometric, found.through], axis=-1) * found.solid_angle_sr[None, None, :, None]
    chance = np.ascontiguousarray(np.moveaxis(both, 0, 2))
    bins = chance.sum(axis=(2, 3))
    total = bins.sum(axis=1)
    if not total.max() > 0:
        names = ", ".join(map(str, windows))
        raise PhysicsError(f"no photon from {low:g} to {high:g} keV is counted in {names}; take other windows")
    near = min(NEAR_BINS, bins.shape[1])
    seen = np.maximum.accumulate(bins[:, :near].sum(axis=1) + FAR_VALUE * bins[:, near:].sum(axis=1))
    visible = total >= VISIBLE * total.max()
    lowest = float(energy[int(np.argmax(visible))])
    ever = (bins > 0).any(axis=0)
    share = bins / np.where(total > 0, total, 1.0)[:, None] + FLOOR * ever / ever.sum()
    return ResponseTables(
        energy_kev=energy,
        cosine=1 / np.sqrt(1 + response.tangent**2),
        near=near,
        share=share / share.sum(axis=1, keepdims=True),
        chance=chance,
        star=np.ascontiguousarray(np.moveaxis(_star(found), 0, 3)),
        importance=np.where(energy >= lowest, seen, 0.0),
        depth_mm=found.depth_mm,
        blur_mm=np.array([camera.intrinsic_fwhm_at(w.centre_kev) / FWHM_PER_SD for w in windows]),
        lowest_kev=lowest,
    )
