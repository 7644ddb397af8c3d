"""What a worker keeps: particles that wait on a small stack, energy laid down in voxels or shells, counters."""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import Geometry, score_at

PHOTON = wp.constant(0)
ELECTRON = wp.constant(1)
POSITRON = wp.constant(2)

EMITTED = wp.constant(0)
ESCAPED_ELECTRONS = wp.constant(1)
ESCAPED_PHOTONS = wp.constant(2)
LOST = wp.constant(3)

STACK_FIELDS = 8
STACK_DEPTH = 48
STACK_SIZE = STACK_FIELDS * STACK_DEPTH
FIELDS = wp.constant(STACK_FIELDS)
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
def score(g: Geometry, tally: wp.array(dtype=wp.float64), voxel: int, p: wp.vec3, kev: float) -> int:
    """Add energy to the voxel, or to the element of `p`: its shell in the radial geometry, its voxel of the score."""
    at = voxel
    if g.scored == 1:
        at = score_at(g, p, voxel)
    if g.radial == 1:
        r = wp.length(p)
        at = int(r / g.shell_mm)
        if at >= g.shells:
            at = g.shells + int(wp.log(wp.max(r, g.log_start_mm) / g.log_start_mm) * g.log_per_unit)
            at = wp.min(at, g.shells + g.log_shells)
    wp.atomic_add(tally, at, wp.float64(kev))
    return at
