"""Scatter in the main window estimated from windows beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError
from hepatica.imaging.spect.projections import Projections, Window

DUAL_WINDOW_FACTOR = 0.5
"""Share of the counts of a lower window, scaled to the main window's width, that is taken as scatter: the triangle of
the triple-window method with no counts above. (Jaszczak et al., Phys Med Biol 1984;29:61, fitted 0.5 to a 92-125 keV
window against 127-153 keV, without scaling by width.)"""


def triple_window(
    projections: Projections, main: int, *, lower: int, upper: int, smooth_fwhm_mm: float = 0.0
) -> NDArray[np.float32]:
    """Scatter by the triple-energy-window method: the trapezium between the counts per keV on either side.

    Ogawa et al., IEEE Trans Med Imaging 1991;10:408: ``S = (C_low / W_low + C_up / W_up) * W_main / 2``.

    Parameters
    ----------
    projections : Projections
        With all three windows.
    main, lower, upper : int
        Numbers of the windows.
    smooth_fwhm_mm : float
        Gaussian smoothing of the estimate (narrow windows hold few counts), 0 for none.

    Returns
    -------
    ndarray of float32, shape (views, u, v)
        Expected scattered counts in the main window.

    Raises
    ------
    InputError
        If the windows do not lie on either side of the main one.
    """
    windows = projections.windows
    _require_below(windows[lower], windows[main])
    if windows[upper].centre_kev < windows[main].high_kev:
        raise InputError(f"the upper scatter window {windows[upper]} does not lie above the main one {windows[main]}")
    rate = projections.window(lower) / windows[lower].width_kev + projections.window(upper) / windows[upper].width_kev
    return _smoothed(rate * np.float32(windows[main].width_kev / 2), projections, smooth_fwhm_mm)


def dual_window(
    projections: Projections,
    main: int,
    *,
    lower: int,
    factor: float = DUAL_WINDOW_FACTOR,
    smooth_fwhm_mm: float = 0.0,
) -> NDArray[np.float32]:
    """Scatter from one window below: ``S = factor * C_low * W_main / W_low``; parameters as `triple_window`."""
    windows = projections.windows
    _require_below(windows[lower], windows[main])
    if not 0 <= factor < np.inf:
        raise InputError(f"the factor of the dual-window method cannot be {factor}")
    scale = factor * windows[main].width_kev / windows[lower].width_kev
    return _smoothed(projections.window(lower) * np.float32(scale), projections, smooth_fwhm_mm)


def upper_window(
    projections: Projections, main: int, *, upper: int, factor: float = 1.0, smooth_fwhm_mm: float = 0.0
) -> NDArray[np.float32]:
    """Scatter from one window above: ``S = factor * C_up * W_main / W_up``; parameters as `triple_window`.

    For peaks on the continuum of higher lines and bremsstrahlung, as 166Ho's 81 keV with a window at 118 keV. A factor
    of 1 takes that continuum as even in energy; what the patient scatters down from the peak itself is not in it.

    Raises
    ------
    InputError
        If the window does not lie above the main one, or the factor is negative or not finite.
    """
    windows = projections.windows
    if windows[upper].centre_kev < windows[main].high_kev:
        raise InputError(f"the upper scatter window {windows[upper]} does not lie above the main one {windows[main]}")
    if not 0 <= factor < np.inf:
        raise InputError(f"the factor of the upper-window method cannot be {factor}")
    scale = factor * windows[main].width_kev / windows[upper].width_kev
    return _smoothed(projections.window(upper) * np.float32(scale), projections, smooth_fwhm_mm)


def _require_below(lower: Window, main: Window) -> None:
    if lower.centre_kev > main.low_kev:
        raise InputError(f"the lower scatter window {lower} does not lie below the main one {main}")


def _smoothed(estimate: NDArray[Any], projections: Projections, fwhm_mm: float) -> NDArray[np.float32]:
    if fwhm_mm < 0:
        raise InputError(f"smoothing cannot be {fwhm_mm:g} mm wide")
    if not fwhm_mm:
        return np.asarray(estimate, dtype=np.float32)
    from scipy import ndimage

    sd = fwhm_mm / FWHM_PER_SD / np.asarray(projections.pixel_mm)
    return np.asarray(ndimage.gaussian_filter(estimate, (0, *sd), mode="nearest"), dtype=np.float32)
