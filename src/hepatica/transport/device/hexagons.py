"""Azimuth about a collimator of hexagonal holes, in NVIDIA Warp: what is alike by symmetry is one sector.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

SECTORS = 6
"""Sectors of 5 degrees from the normal of a wall (0) to the corner between two (30 degrees); the rest is symmetry."""
N_SECTORS = wp.constant(SECTORS)
SIXTH = wp.constant(1.04719755)


@wp.func
def sector_of(x: float, y: float) -> int:
    """Sector of the direction (x, y), x along the normal of a pair of walls."""
    azimuth = wp.abs(wp.atan2(y, x))
    folded = wp.abs(azimuth - wp.round(azimuth / SIXTH) * SIXTH)
    return wp.min(int(folded / (0.5 * SIXTH) * float(N_SECTORS)), N_SECTORS - 1)
