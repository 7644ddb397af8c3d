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
from hepatica.imaging.spect.camera.detector import DetectorResponse
from hepatica.imaging.spect.projections import Window
from hepatica.transport.runner.source import alias_table

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


@dataclass(frozen=True, slots=True, eq=False)
class ResponseTables:
    """Response times solid angle, and the probabilities with which bins of direction are drawn.

    Attributes
    ----------
    energy_kev : ndarray, shape (n,)
        Evenly spaced in logarithm.
    cosine : ndarray, shape (m + 1,)
        Edges of the bins of direction, cosine of the angle to the detector's normal.
    share : ndarray, shape (n, m)
        Probability of each bin.
    chance : ndarray, shape (n, m, w, 2)
        Counts per photon and sr times the bin's solid angle: through a hole, and by all other ways.
    importance : ndarray, shape (n,)
        What a photon of this energy may give at most, now or after losing energy: the running maximum of the chances
        added over bins and windows. 0 below `lowest_kev`.
    depth_mm : ndarray, shape (n,)
        From the collimator's face to the plane in which photons are positioned.
    blur_mm : ndarray, shape (w,)
        Standard deviation of the crystal's intrinsic resolution.
    lowest_kev : float
        Below, no photon is followed.
    """

    energy_kev: FloatArray
    cosine: FloatArray
    share: FloatArray
    chance: FloatArray
    importance: FloatArray
    depth_mm: FloatArray
    blur_mm: FloatArray
    lowest_kev: float

    def alias(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Alias tables of all rows, each of shape (n, m)."""
        made = [alias_table(row) for row in self.share]
        return np.stack([keep for keep, _ in made]), np.stack([other for _, other in made])


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
    seen = np.maximum.accumulate(total)
    visible = total >= VISIBLE * total.max()
    lowest = float(energy[int(np.argmax(visible))])
    ever = (bins > 0).any(axis=0)
    share = bins / np.where(total > 0, total, 1.0)[:, None] + FLOOR * ever / ever.sum()
    return ResponseTables(
        energy_kev=energy,
        cosine=1 / np.sqrt(1 + response.tangent**2),
        share=share / share.sum(axis=1, keepdims=True),
        chance=chance,
        importance=np.where(energy >= lowest, seen, 0.0),
        depth_mm=found.depth_mm,
        blur_mm=np.array([camera.intrinsic_fwhm_at(w.centre_kev) / FWHM_PER_SD for w in windows]),
        lowest_kev=lowest,
    )
