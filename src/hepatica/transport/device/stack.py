"""What a worker keeps: particles that wait on a small stack, energy laid down in voxels or shells, counters."""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import Geometry, score_at
from hepatica.transport.device.random import GOLDEN, LOW24, mixed

PHOTON = wp.constant(0)
ELECTRON = wp.constant(1)
POSITRON = wp.constant(2)

EMITTED = wp.constant(0)
ESCAPED_ELECTRONS = wp.constant(1)
ESCAPED_PHOTONS = wp.constant(2)
LOST = wp.constant(3)

STACK_FIELDS = 12
"""Kind, energy, position, direction, three parts of the stream of random numbers, one unused."""
STACK_DEPTH = 48
STACK_SIZE = STACK_FIELDS * STACK_DEPTH
FIELDS = wp.constant(STACK_FIELDS)
STREAM = wp.constant(8)
DEPTH = wp.constant(STACK_DEPTH)
WORKER_STACK = wp.constant(STACK_SIZE)


@wp.func
def push(
    stack: wp.array(dtype=wp.float32),
    base: int,
    top: int,
    counters: wp.array(dtype=wp.float64),
    kind: int,
    kev: float,
    p: wp.vec3,
    u: wp.vec3,
) -> int:
    """Let a particle wait; returns how many wait."""
    if top >= DEPTH:
        wp.atomic_add(counters, LOST, wp.float64(kev))
        return top
    at = base + top * FIELDS
    stack[at] = float(kind)
    stack[at + 1] = kev
    stack[at + 2] = p[0]
    stack[at + 3] = p[1]
    stack[at + 4] = p[2]
    stack[at + 5] = u[0]
    stack[at + 6] = u[1]
    stack[at + 7] = u[2]
    return top + 1


@wp.func
def waiting_at(stack: wp.array(dtype=wp.float32), base: int, place: int):
    """Kind, energy, position and direction of a particle that waits."""
    at = base + place * FIELDS
    p = wp.vec3(stack[at + 2], stack[at + 3], stack[at + 4])
    u = wp.vec3(stack[at + 5], stack[at + 6], stack[at + 7])
    return int(stack[at]), stack[at + 1], p, u


@wp.func
def give_streams(stack: wp.array(dtype=wp.float32), base: int, first: int, top: int, parent: wp.uint64):
    """Let the particles that wait from `first` on draw from streams of their own, which follow from their parent's.

    A stream takes three fields: numbers of 24 bits are exact in single precision.
    """
    for place in range(first, top):
        z = mixed(mixed(parent) + GOLDEN * wp.uint64(place - first + 1))
        at = base + place * FIELDS + STREAM
        stack[at] = float(wp.uint32(z & LOW24))
        stack[at + 1] = float(wp.uint32((z >> wp.uint64(24)) & LOW24))
        stack[at + 2] = float(wp.uint32(z >> wp.uint64(48)))


@wp.func
def stream_of(stack: wp.array(dtype=wp.float32), base: int, place: int) -> wp.uint64:
    """Stream of a particle that waits."""
    at = base + place * FIELDS + STREAM
    low = wp.uint64(stack[at]) | (wp.uint64(stack[at + 1]) << wp.uint64(24))
    return low | (wp.uint64(stack[at + 2]) << wp.uint64(48))


@wp.func
def score(g: Geometry, tally: wp.array(dtype=wp.float64), voxel: int, p: wp.vec3, kev: float) -> int:
    """Add energy to the voxel, or to the element of `p`: its shell in the radial geometry, its voxel of the score."""
    at = voxel
    if voxel < 0 and g.scored == 0:
        return at
    if g.scored == 1:
        at = score_at(g, p, voxel)
    if g.radial == 1:
        r = wp.length(p)
        at = int(r / g.shell_mm)
        if at >= g.shells:
            at = g.shells + int(wp.log(wp.max(r, g.log_start_mm) / g.log_start_mm) * g.log_per_unit)
            at = wp.min(at, g.shells + g.log_shells)
    wp.atomic_add(tally, g.first_score + at, wp.float64(kev) * wp.float64(g.weight))
    return at
