"""Random numbers of the transport kernels: a counter hashed by SplitMix64, one counter per history.

The n-th number of history h is ``mixed(start(seed, h) + n * GOLDEN)``: no state is shared, so the same seed gives the
same histories on any number of threads. SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) passes BigCrush.
"""

from __future__ import annotations

import warp as wp

GOLDEN = wp.constant(wp.uint64(0x9E3779B97F4A7C15))
_M1 = wp.constant(wp.uint64(0xBF58476D1CE4E5B9))
_M2 = wp.constant(wp.uint64(0x94D049BB133111EB))
_S30 = wp.constant(wp.uint64(30))
_S27 = wp.constant(wp.uint64(27))
_S31 = wp.constant(wp.uint64(31))
_S40 = wp.constant(wp.uint64(40))
_S16 = wp.constant(wp.uint64(16))
_LOW24 = wp.constant(wp.uint64(0xFFFFFF))
_STEP = wp.constant(1.0 / 16777216.0)
_HALF_STEP = wp.constant(0.5 / 16777216.0)


@wp.func
def mixed(state: wp.uint64) -> wp.uint64:
    z = (state ^ (state >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@wp.func
def start(seed: wp.uint64, history: wp.uint64) -> wp.uint64:
    return mixed(mixed(seed + GOLDEN) ^ mixed(history * _M1 + GOLDEN))


@wp.func
def third_unit(z: wp.uint64) -> float:
    """Uniform in (0, 1] from the lowest 24 bits; shares bits with `second_unit`, none with the upper 38."""
    return float(wp.uint32(z & _LOW24)) * _STEP + _HALF_STEP


@wp.func
def first_unit(z: wp.uint64) -> float:
    """Uniform in (0, 1] from the upper 24 bits."""
    return float(wp.uint32(z >> _S40)) * _STEP + _HALF_STEP


@wp.func
def second_unit(z: wp.uint64) -> float:
    """Uniform in (0, 1] from the 24 bits below those of `first_unit`."""
    return float(wp.uint32((z >> _S16) & _LOW24)) * _STEP + _HALF_STEP
