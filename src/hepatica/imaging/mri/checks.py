"""Whether images can be the echoes of one decay: clipped or scaled one by one, and signal that grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fitting.fit import DecayFit

Mask = NDArray[np.bool_]

CLIPPED_SHARE = 0.005
"""Part of the voxels that hold the highest value of their echo from which on the echo is clipped..."""

CLIPPED_LEAST = 20
"""...and how many they are at least."""

SAME_HIGHEST = 1e-3
"""Relative difference of the highest values of echoes that are one: signal decays by more between any two."""

GROWING_SDS = 3.0
"""Standard uncertainties of R2* below zero from which a voxel's signal grows for certain."""

GROWING_SHARE = 0.2
"""Part of the voxels whose signal grows from which on the images are no decay."""


def about_values(scan: MultiEcho, mask: Mask) -> tuple[Message, ...]:
    """Echoes that are clipped, or each scaled to its own highest value."""
    notes = []
    highest = scan.magnitude.reshape(scan.echoes, -1).max(axis=1)
    counts = np.array([int((scan.magnitude[n][mask] >= top).sum()) for n, top in enumerate(highest)])
    clipped = (counts >= CLIPPED_LEAST) & (counts >= CLIPPED_SHARE * mask.sum())
    if clipped.any():
        times = ", ".join(f"{1000 * scan.echo_times_s[n]:.3g}" for n in np.flatnonzero(clipped))
        text = (
            f"{scan.name}: {int(counts.max())} voxels hold the highest value there is at {times} ms: the images are "
            "clipped, and S0 and R2* of what is bright are too low"
        )
        notes.append(Message("magnitude-clipped", text, "export the images without clipping", "critical"))
    elif scan.echoes > 2 and float(np.ptp(highest)) <= SAME_HIGHEST * float(highest.max()):
        text = (
            f"{scan.name}: all echoes have the same highest value, {float(highest[0]):.6g}: each seems scaled by "
            "itself, and the decay between them is lost"
        )
        remedy = "export the images with one scale, or with the slope of each"
        notes.append(Message("echoes-scaled-apart", text, remedy, "critical"))
    return tuple(notes)


def require_decay(scan: MultiEcho, fit: DecayFit) -> None:
    """Refuse images whose signal grows from echo to echo.

    Raises
    ------
    InputError
        If R2* is certainly negative in a fifth of the voxels.
    """
    judged = fit.is_measured & np.isfinite(fit.r2star_sd_per_s)
    if not judged.any():
        return
    value, sd = fit.r2star_per_s[judged], fit.r2star_sd_per_s[judged]
    share = float((value < -GROWING_SDS * sd).mean())
    if share > GROWING_SHARE:
        times = ", ".join(f"{1000 * t:.3g}" for t in scan.echo_times_s)
        raise InputError(
            f"{scan.name}: the signal grows from echo to echo ({times} ms) in {100 * share:.0f} % of the voxels: echo "
            "times in the wrong order, echoes that are scaled one by one, or no gradient echoes",
            remedy="see that each image has its own echo time and one scale",
        )
