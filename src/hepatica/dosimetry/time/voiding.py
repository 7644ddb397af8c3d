"""What the bladder holds of activity that leaves the body by urine, emptied at even intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hepatica.errors import InputError


def bladder_residence_s(
    amplitudes: Sequence[float],
    half_lives_s: Sequence[float],
    *,
    physical_half_life_s: float,
    interval_s: float,
    urine_share: float = 1.0,
) -> float:
    """Time-integrated activity of the bladder's contents over the administered activity, s.

    Of each exponential of the body what decay does not explain leaves it, through the bladder, which is emptied wholly
    at even intervals from the administration on: between two of them it holds ``a (exp(-lp s) - exp(-l s))`` of what
    the exponential was at the first, with the physical constant lp and the effective one l.

    Parameters
    ----------
    amplitudes, half_lives_s : sequence of float
        Of the activity in the body, as shares of the administered activity; half-lives are effective.
    physical_half_life_s : float
        Of the nuclide.
    interval_s : float
        Between two voidings.
    urine_share : float
        Of what is excreted, by urine.

    Raises
    ------
    InputError
        If the interval or the share is none.

    References
    ----------
    .. [1] Cloutier RJ, Smith SA, Watson EE, Snyder WS, Warner GG. Dose to the fetus from radionuclides in the bladder.
       Health Phys 1973;25:147 (the dynamic bladder); also ICRP Publication 53 (1988), bladder model.
    """
    if not interval_s > 0 or not 0 <= urine_share <= 1:
        raise InputError(f"voiding every {interval_s:g} s, {urine_share:g} of it by urine", remedy="state both above 0")
    decay = math.log(2) / physical_half_life_s
    total = 0.0
    for amplitude, half_life in zip(amplitudes, half_lives_s, strict=True):
        effective = math.log(2) / half_life
        if effective <= decay:
            continue
        filled = -math.expm1(-decay * interval_s) / decay + math.expm1(-effective * interval_s) / effective
        total += amplitude * filled / -math.expm1(-effective * interval_s)
    return urine_share * total
