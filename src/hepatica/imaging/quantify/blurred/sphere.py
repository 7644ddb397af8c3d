"""A uniform sphere seen with a Gaussian response, in closed form: what it keeps, and what it shows at its edge."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError

NARROW = 1e-6
"""A response narrower than this share of the diameter blurs nothing."""


def mean_recovery(diameter_mm: float, fwhm_mm: float) -> float:
    """Mean inside a blurred sphere of concentration 1 in a cold background.

    The Gaussian's integral over the overlap of the sphere with itself: ``4 pi s^2 g(s) (1 - 3 s / 4 r + s^3 / 16 r^3)``
    over distances s from 0 to 2 r (the term in brackets is the overlap of two spheres at distance s).

    Raises
    ------
    InputError
        If the diameter is not positive or the width is negative.

    Examples
    --------
    >>> round(mean_recovery(37.0, 12.0), 3)
    0.679
    """
    radius, sd = _checked(diameter_mm, fwhm_mm)
    if fwhm_mm < NARROW * diameter_mm:
        return 1.0
    a = 2 * radius / sd
    tail, root = math.exp(-(a**2) / 2), math.sqrt(2 / math.pi)
    zeroth = math.erf(a / math.sqrt(2)) - root * a * tail
    first = sd * root * (2 - (a**2 + 2) * tail)
    third = sd**3 * root * (8 - (a**4 + 4 * a**2 + 8) * tail)
    return zeroth - 0.75 * first / radius + third / (16 * radius**3)


def profile(distance_mm: ArrayLike, diameter_mm: float, fwhm_mm: float) -> NDArray[np.float64]:
    """Blurred sphere of concentration 1 at distances from its centre.

    ``(erf(a) + erf(b)) / 2 - sd / (x sqrt(2 pi)) (exp(-b^2) - exp(-a^2))`` with ``a = (r + x) / (sd sqrt 2)`` and
    ``b = (r - x) / (sd sqrt 2)``.

    Raises
    ------
    InputError
        If the diameter or the width is not positive.
    """
    from scipy.special import erf

    radius, sd = _checked(diameter_mm, fwhm_mm)
    if sd == 0:
        raise InputError("a profile needs a width above 0 mm")
    x = np.maximum(np.asarray(distance_mm, dtype=np.float64), 1e-6 * sd)
    wide = sd * math.sqrt(2)
    flat = (erf((radius + x) / wide) + erf((radius - x) / wide)) / 2
    ends = np.exp(-(((radius - x) / wide) ** 2)) - np.exp(-(((radius + x) / wide) ** 2))
    return np.asarray(flat - sd / (x * math.sqrt(2 * math.pi)) * ends)


def edge_over_mean(diameter_mm: float, fwhm_mm: float) -> float:
    """Value at the edge over the mean inside, of a blurred sphere in a cold background.

    By how many percent the counts in the region change if its volume changes by one percent; phi / (2 R) of Gear et
    al., Eur J Nucl Med Mol Imaging 2018;45:2456.
    """
    if fwhm_mm < NARROW * diameter_mm:
        return 0.5
    edge = float(profile(diameter_mm / 2, diameter_mm, fwhm_mm))
    return edge / mean_recovery(diameter_mm, fwhm_mm)


def recovery_log_slope(diameter_mm: float, fwhm_mm: float) -> float:
    """Percent of mean recovery for one percent of volume, of a blurred sphere in a cold background."""
    if fwhm_mm < NARROW * diameter_mm:
        return 0.0
    step = 1e-3
    larger, smaller = (mean_recovery(diameter_mm * (1 + sign * step), fwhm_mm) for sign in (1, -1))
    return math.log(larger / smaller) / (3 * 2 * step)


def sphere_diameter_mm(volume_ml: float) -> float:
    """Diameter of a sphere of that volume."""
    return math.cbrt(6000 * volume_ml / math.pi)


def sphere_volume_ml(diameter_mm: float) -> float:
    """Volume of a sphere of that diameter."""
    return math.pi / 6 * diameter_mm**3 / 1000


def _checked(diameter_mm: float, fwhm_mm: float) -> tuple[float, float]:
    if not 0 < diameter_mm < math.inf or not 0 <= fwhm_mm < math.inf:
        raise InputError(
            f"a sphere of {diameter_mm} mm seen with {fwhm_mm} mm: the first must be positive, the second not negative"
        )
    return diameter_mm / 2, fwhm_mm / FWHM_PER_SD
