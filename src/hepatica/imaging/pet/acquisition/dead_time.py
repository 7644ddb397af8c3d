"""What a block detector loses because it is busy, and with it a coincidence.

A block is paralysed by every photon that it sees within its energy window: of a coincidence both blocks must be free,
so that ``exp(-2 n tau)`` of them are left, n the mean rate of a block (Eriksson et al., IEEE Trans Nucl Sci 1994;
41:1455). After a radioembolization with 90Y that is next to nothing; at the doses of 18F it is a tenth to a third.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration, Part
from hepatica.imaging.pet.scanner import Scanner

DEAD_TIME = "dead time"
LOSS_SD = 0.5 / math.sqrt(3)
"""Relative, of the logarithm of what dead time leaves. It is taken from the place of the published peak of the
noise-equivalent rate, whose height is then predicted 7 to 32 % too high (docs/pet.md); about 40 % of the coincidences
are lost there, so that the logarithm may be off by half, all up to that held for equally likely (GUM 4.3.7)."""


def live_fraction(scanner: Scanner, singles_cps: NDArray[np.floating]) -> float:
    """Share of the coincidences that dead time leaves; 1 where the scanner's dead time is not known.

    Parameters
    ----------
    singles_cps : ndarray, shape (crystals,)
        Photons in the energy window of each crystal per second.
    """
    if not scanner.dead_time_ns:
        return 1.0
    rate = float(np.sum(singles_cps)) / scanner.blocks
    return math.exp(-2 * rate * scanner.dead_time_ns * 1e-9)


def with_dead_time(scale: CrossCalibration, live: float, *, simulated: bool) -> CrossCalibration:
    """The scale with the doubt of what dead time took, which is this scan's own; a simulation's is exact.

    Parameters
    ----------
    scale : CrossCalibration
    live : float
        Share of the coincidences that dead time left, of the bed that lost most.
    simulated : bool
        Whether nobody was in the scanner.
    """
    if simulated or live >= 1:
        return scale
    return replace(scale, parts=(*scale.parts, Part(DEAD_TIME, -math.log(live) * LOSS_SD)))
