"""What a block detector loses because it is busy, and with it a coincidence.

A block is paralysed by every photon that it sees within its energy window: of a coincidence both blocks must be free,
so that ``exp(-2 n tau)`` of them are left, n the mean rate of a block (Eriksson et al., IEEE Trans Nucl Sci 1994;
41:1455). After a radioembolization with 90Y that is next to nothing; at the doses of 18F it is a tenth to a third.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.scanner import Scanner


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
