"""The geometric mean of two opposed views.

    A = sqrt(I_A I_P exp(mu T)) f / C        f = (mu t / 2) / sinh(mu t / 2)

I_A and I_P are net count rates of an organ from the front and from behind, T the thickness of the body, t that of the
organ, C the camera factor (MIRD Pamphlet 16, Siegel et al., J Nucl Med 1999;40:37S). The depth of the organ drops out.
"""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.core import decay_factor, seconds_between
from hepatica.errors import InputError, TimeError

FloatArray = NDArray[np.float64]


def net_counts(
    counts: float, pixels: float, background_counts: float = 0.0, background_pixels: float = 0.0
) -> tuple[float, float]:
    """Counts of a region with the background taken off by area, and their Poisson variance."""
    if not background_pixels:
        return counts, counts
    scale = pixels / background_pixels
    return counts - scale * background_counts, counts + scale**2 * background_counts


def geometric_mean(
    organ: str, anterior: tuple[float, float], posterior: tuple[float, float], scale: float = 1.0
) -> tuple[float, float]:
    """Geometric mean of net counts and its variance.

    Parameters
    ----------
    organ : str
        For the message.
    anterior, posterior : tuple of float
        Net counts and their variance.
    scale : float
        Factor that refers the posterior counts to time and duration of the anterior ones, `view_scale`.

    Raises
    ------
    InputError
        If nothing is left after background correction.
    """
    (net_a, var_a), (net_p, var_p) = anterior, posterior
    if net_a <= 0 or net_p <= 0:
        raise InputError(
            f"{organ}: nothing above background (net counts {net_a:.0f} anterior, {net_p:.0f} posterior); "
            "check the background region and that anterior and posterior are not the same organ's mirror image"
        )
    mean = math.sqrt(net_a * net_p * scale)
    return mean, mean**2 / 4 * (var_a / net_a**2 + var_p / net_p**2)


def view_scale(
    starts: tuple[datetime | None, datetime | None],
    durations_s: tuple[float | None, float | None],
    half_life_s: float | None,
) -> float:
    """Factor on posterior counts that refers them to the anterior view's time and duration.

    Raises
    ------
    TimeError
        If the views start apart and no half-life is given, or one has a time or a duration and the other none.
    """
    scale = 1.0
    if (starts[0] is None) != (starts[1] is None):
        raise TimeError("one planar view has a time and the other none")
    if starts[0] is not None and starts[1] is not None:
        elapsed = seconds_between(starts[0], starts[1])
        if elapsed:
            if half_life_s is None:
                raise TimeError(
                    f"the two views start {elapsed:g} s apart, and no nuclide is known for the decay between them",
                    remedy="state `half_life_s`",
                )
            scale /= decay_factor(elapsed, half_life_s)
    if (durations_s[0] is None) != (durations_s[1] is None):
        raise TimeError("one planar view has a duration and the other none")
    if durations_s[0] is not None and durations_s[1] is not None:
        scale *= durations_s[0] / durations_s[1]
    return scale


def self_attenuation(mu_t: FloatArray | float) -> FloatArray:
    """F = (mu t / 2) / sinh(mu t / 2) of an organ of thickness t, 1 of a thin one."""
    half = np.asarray(mu_t, dtype=np.float64) / 2
    return np.where(half > 1e-6, half / np.sinh(np.maximum(half, 1e-9)), 1.0)


def mean_transmission(mu_body: FloatArray | float, mu_organ: FloatArray | float = 0.0) -> FloatArray:
    """What attenuation leaves of a geometric mean: exp(-mu T / 2) / f, with mu T of the body and mu t of the organ."""
    return np.exp(-np.asarray(mu_body, dtype=np.float64) / 2) / self_attenuation(mu_organ)
