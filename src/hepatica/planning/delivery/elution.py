"""188Re from a 188W/188Re generator at each elution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hepatica.core import seconds_between
from hepatica.errors import InputError, TimeError
from hepatica.nuclides import generator
from hepatica.planning.delivery.times import decay_between, require_zone
from hepatica.planning.prescriptions.compartments import require_positive


@dataclass(frozen=True, slots=True)
class Elution:
    """One elution of a 188W/188Re generator: when, and activities in GBq just before and in the eluate."""

    eluted_at: datetime
    parent_gbq: float
    daughter_before_gbq: float
    eluted_gbq: float


def elution_schedule(
    parent_gbq: float, calibrated_at: datetime, elutions: Sequence[datetime], *, efficiency: float = 0.80
) -> tuple[Elution, ...]:
    """188Re from a 188W/188Re generator at each elution, regrowth in between.

    Parameters
    ----------
    parent_gbq : float
        188W at `calibrated_at`, in equilibrium with its daughter.
    calibrated_at : datetime
        With zone.
    elutions : sequence of datetime
        In order, with zone, after calibration.
    efficiency : float
        Share of the 188Re that an elution takes (75-85 % is typical, from memory).

    Raises
    ------
    TimeError
        If an instant has no zone or they are not in order.
    """
    require_positive(parent_gbq, "activity of the generator", "GBq")
    require_zone(calibrated_at, "generator calibration")
    if not 0 < efficiency <= 1:
        raise InputError(f"elution efficiency must be above 0 and at most 1, not {efficiency:g}")
    g = generator("Re-188")
    fast, slow = g.daughter.half_life_s, g.parent_half_life.value
    # Transient equilibrium at calibration.
    parent, daughter = parent_gbq, g.branching * parent_gbq * slow / (slow - fast)
    last, out = calibrated_at, []
    for at in elutions:
        elapsed = seconds_between(last, require_zone(at, "elution"))
        if elapsed < 0:
            raise TimeError("elutions must be in order and after the generator's calibration")
        daughter = g.daughter_activity(elapsed, parent_bq=parent, daughter_bq=daughter)
        parent *= decay_between(last, at, slow)
        out.append(Elution(at, parent, daughter, efficiency * daughter))
        daughter *= 1 - efficiency
        last = at
    return tuple(out)
