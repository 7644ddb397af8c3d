"""The least activity that a PET shows for certain (Currie, Anal Chem 1968;40:586; ISO 11929-1:2019).

With a standard deviation sd0 of a region's activity where nothing is, the decision threshold is ``k sd0``: what is
found above it is there, with a chance of ``alpha`` to be wrong. The detection limit is the true activity that is missed
with a chance of ``beta`` only: ``a = 2 k sd0 + k^2 / c`` for c counts per becquerel, k = 1.645 for 5 % each.
"""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.errors import InputError

K_5_PERCENT = 1.6448536


@dataclass(frozen=True, slots=True)
class Detectable:
    """Decision threshold and detection limit of a region in Bq."""

    decision_threshold_bq: float
    detection_limit_bq: float


def detectable(sd_without_bq: float, counts_per_bq: float, *, k: float = K_5_PERCENT) -> Detectable:
    """Least activity that is detected in a region.

    Parameters
    ----------
    sd_without_bq : float
        Standard deviation of the region's activity where it holds nothing beside its surroundings
        (`reconstruct.uncertainty.region_estimates` of an image without it).
    counts_per_bq : float
        True coincidences within the frame per becquerel in the region.
    k : float
        Quantile of the normal distribution for both chances of error.

    Raises
    ------
    InputError
        If a number is not positive.
    """
    if not (sd_without_bq > 0 and counts_per_bq > 0 and k > 0):
        raise InputError(
            "the detection limit needs a standard deviation, counts per becquerel and k above zero, not "
            f"{sd_without_bq:g}, {counts_per_bq:g}, {k:g}"
        )
    return Detectable(k * sd_without_bq, 2 * k * sd_without_bq + k**2 / counts_per_bq)
