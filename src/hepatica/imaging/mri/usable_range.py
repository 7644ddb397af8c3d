"""Up to which concentration a protocol measures: by three echoes of its own, and by the S0 of neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.errors import InputError
from hepatica.imaging.mri.fitting.fit import ABOVE_NOISE, OWN_ECHOES


@dataclass(frozen=True, slots=True)
class UsableRange:
    """Highest concentrations of microspheres, at a signal over noise.

    Attributes
    ----------
    own_mg_ml : float or None
        Up to here the third echo stands above the noise and the voxel's own S0 is fitted; None with two echoes.
    neighbours_mg_ml : float
        Up to here the first echo does, and R2* follows from it and the neighbours' S0; above it a limit is all.
    signal_to_noise : float
        Signal at echo time zero over the standard deviation of the noise.
    field_t : float
        T.
    first_echo_ms : float
        Of the protocol.
    """

    own_mg_ml: float | None
    neighbours_mg_ml: float
    signal_to_noise: float
    field_t: float
    first_echo_ms: float


def usable_range(
    echo_times_s: Sequence[float], signal_to_noise: float, relaxivity_ml_per_mg_s: float, field_t: float,
    baseline_per_s: float = 0.0,
) -> UsableRange:  # fmt: skip
    """Range of a protocol: S0 exp(-(R2*0 + r2* c) TE) stands above three standard deviations of the noise.

    Parameters
    ----------
    echo_times_s : sequence of float
        Rising, s.
    signal_to_noise : float
        At echo time zero.
    relaxivity_ml_per_mg_s : float
        mL/(mg s).
    field_t : float
        T, as it is told.
    baseline_per_s : float
        R2* without holmium.

    Raises
    ------
    InputError
        If the signal does not reach above the noise.

    Examples
    --------
    >>> found = usable_range([0.0012 * n for n in range(1, 13)], 50, 95, 1.5)
    >>> round(found.own_mg_ml, 1), round(found.neighbours_mg_ml, 1)
    (8.2, 24.7)
    """
    if signal_to_noise <= ABOVE_NOISE:
        raise InputError(f"a signal of {signal_to_noise:.3g} times the noise is none: above {ABOVE_NOISE:g} is needed")
    reach = math.log(signal_to_noise / ABOVE_NOISE)

    def highest(time_s: float) -> float:
        return max((reach / time_s - baseline_per_s) / relaxivity_ml_per_mg_s, 0.0)

    own = highest(echo_times_s[OWN_ECHOES - 1]) if len(echo_times_s) >= OWN_ECHOES else None
    return UsableRange(own, highest(echo_times_s[0]), signal_to_noise, field_t, 1000 * echo_times_s[0])
