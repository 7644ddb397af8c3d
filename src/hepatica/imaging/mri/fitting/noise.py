"""The standard deviation of the noise of a magnitude image, from voxels that hold nothing else.

Of a voxel without signal the magnitudes of n echoes (the later half of them, where holmium has left none either) are
Rayleigh, so the sum of their squares over sigma squared is
chi-squared with 2 n degrees of freedom. Voxels that fit are found by repeating: take those below the 70 % quantile,
and sigma from their mean square, corrected for what the quantile cuts off. Dim tissue among them makes sigma too large:
by up to 4 % with a fifth as many voxels of lung as of air. After Koay et al., J Magn Reson 2009;199:94,
for one channel, or channels combined to one complex image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.mri.echoes import MultiEcho

FEWEST = 200
"""Voxels of noise that are enough: sigma is then known to 4 % / sqrt(echoes)."""

MOST = 400_000
"""Voxels that are looked at, evenly drawn."""

STARTS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
"""Quantiles of the mean square that sigma is first guessed from; the guess with the most voxels that fit is kept."""

CUT = 0.7
"""Quantile of noise alone below which voxels are taken: dim tissue (lung) lies mostly above it."""

JUDGED = (0.07, 0.2, 0.35, 0.5, 0.63)
"""Quantiles at which the voxels that were found are held against noise alone..."""

BALANCE = 0.03
"""...and by how much the share of voxels below one may differ from it."""


def noise_sd(scan: MultiEcho) -> float:
    """Standard deviation of the noise of the real (or imaginary) part, in the image's unit.

    Raises
    ------
    InputError
        If fewer than 200 voxels look like noise alone: the field of view holds no air, or air was set to zero.
    """
    late = scan.magnitude.reshape(scan.echoes, -1)[scan.echoes // 2 :, :: max(1, scan.grid.size // MOST)]
    squares = np.square(late, dtype=np.float64)
    total = squares[:, (squares > 0).all(axis=0)].sum(axis=0)
    best, most = None, FEWEST - 1
    if total.size >= FEWEST:
        for start in np.quantile(total, STARTS):
            found = _settled(total, len(late), float(start))
            if found is not None and found[1] > most:
                best, most = found
    if best is None:
        raise InputError(
            f"{scan.name}: the noise cannot be measured: fewer than {FEWEST} voxels hold noise alone (no air in the "
            "field of view, or set to zero)",
            remedy="state the standard deviation of the noise in the image's unit (`noise_level`)",
        )
    return best


def _settled(total: NDArray[np.float64], echoes: int, start: float) -> tuple[float, int] | None:
    """Sigma and the number of voxels that fit, from a first guess; None where it does not settle."""
    from scipy import stats

    freedom = 2 * echoes
    cut = float(stats.chi2.ppf(CUT, freedom))
    kept_mean = freedom * float(stats.chi2.cdf(cut, freedom + 2)) / CUT
    variance = start / freedom
    for _ in range(60):
        chosen = total[total < cut * variance]
        if chosen.size < FEWEST:
            return None
        new = float(chosen.mean()) / kept_mean
        if abs(new / variance - 1) < 1e-5:
            break
        variance = new
    expected = stats.chi2.cdf(stats.chi2.ppf(JUDGED, freedom), freedom) / CUT
    found = np.array([(chosen < q * variance).mean() for q in stats.chi2.ppf(JUDGED, freedom)])
    fits = np.abs(found - expected).max() < BALANCE
    return (float(np.sqrt(variance)), int(chosen.size)) if fits else None
