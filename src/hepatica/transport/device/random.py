"""Random numbers of the transport kernels: a counter hashed by SplitMix64, one counter per history.

The n-th number of history h is ``mixed(start(seed, h) + n * GOLDEN)``: no state is shared, so the same seed gives the
same histories on any number of threads. SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) passes BigCrush. Drawn from them
here: columns of a table (Walker's alias method) and directions.
"""

from __future__ import annotations

import warp as wp

GOLDEN = wp.constant(wp.uint64(0x9E3779B97F4A7C15))
TWO_PI = wp.constant(6.2831853)
_M1 = wp.constant(wp.uint64(0xBF58476D1CE4E5B9))
_M2 = wp.constant(wp.uint64(0x94D049BB133111EB))
_S30 = wp.constant(wp.uint64(30))
_S27 = wp.constant(wp.uint64(27))
_S31 = wp.constant(wp.uint64(31))
_S40 = wp.constant(wp.uint64(40))
_S16 = wp.constant(wp.uint64(16))
LOW24 = wp.constant(wp.uint64(0xFFFFFF))
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
    return float(wp.uint32(z & LOW24)) * _STEP + _HALF_STEP


@wp.func
def first_unit(z: wp.uint64) -> float:
    """Uniform in (0, 1] from the upper 24 bits."""
    return float(wp.uint32(z >> _S40)) * _STEP + _HALF_STEP


@wp.func
def second_unit(z: wp.uint64) -> float:
    """Uniform in (0, 1] from the 24 bits below those of `first_unit`."""
    return float(wp.uint32((z >> _S16) & LOW24)) * _STEP + _HALF_STEP


@wp.struct
class AliasTable:
    """Columns with a probability each: how often one is kept when it is hit, and which is taken in its place."""

    columns: int
    keep: wp.array(dtype=wp.float32)
    other: wp.array(dtype=wp.int32)


@wp.func
def alias(
    keep: wp.array(dtype=wp.float32), other: wp.array(dtype=wp.int32), row: int, columns: int, bits: wp.uint64
) -> int:
    """Walker's alias method: a column by the upper 38 bits, kept or swapped by the lowest 24, which are not among them.

    At most 2^26 columns (launch.MAX_SOURCE_VOXELS); their probabilities are even to columns / 2^38.
    """
    column = int((bits >> wp.uint64(26)) * wp.uint64(columns) >> wp.uint64(38))
    if third_unit(bits) > keep[row * columns + column]:
        return other[row * columns + column]
    return column


@wp.func
def pick(table: AliasTable, bits: wp.uint64) -> int:
    return alias(table.keep, table.other, 0, table.columns, bits)


@wp.func
def towards(cosine: float, azimuth: float) -> wp.vec3:
    """Direction at an angle to the z axis."""
    sine = wp.sqrt(wp.max(0.0, 1.0 - cosine * cosine))
    return wp.vec3(sine * wp.cos(azimuth), sine * wp.sin(azimuth), cosine)


@wp.func
def isotropic(z: wp.uint64) -> wp.vec3:
    return towards(2.0 * first_unit(z) - 1.0, TWO_PI * second_unit(z))


@wp.func
def rotated(u: wp.vec3, cosine: float, azimuth: float) -> wp.vec3:
    """Direction at an angle to another one."""
    turn = towards(cosine, azimuth)
    a = turn[0]
    b = turn[1]
    # orthonormal frame without a singular direction (Duff et al., J Comput Graph Tech 2017;6:1)
    sign = wp.where(u[2] >= 0.0, 1.0, -1.0)
    c = -1.0 / (sign + u[2])
    d = u[0] * u[1] * c
    x = a * (1.0 + sign * u[0] * u[0] * c) + b * d + cosine * u[0]
    y = a * sign * d + b * (sign + u[1] * u[1] * c) + cosine * u[1]
    z = -a * sign * u[0] - b * u[1] + cosine * u[2]
    norm = wp.sqrt(x * x + y * y + z * z)
    return wp.vec3(x / norm, y / norm, z / norm)
