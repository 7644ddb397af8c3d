"""The kernel that takes decays one after another and follows all that they emit."""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.electron import follow_electron
from hepatica.transport.device.phantom import (
    ELECTRON,
    EMITTED,
    FIELDS,
    PHOTON,
    POSITRON,
    REST,
    STACK_DEPTH,
    Geometry,
    Physics,
    Source,
    isotropic,
    push,
    score,
)
from hepatica.transport.device.photon import follow_photon
from hepatica.transport.device.random import GOLDEN, first_unit, mixed, second_unit, start, third_unit

WORKER_STACK = wp.constant(STACK_DEPTH * 8)


@wp.func
def alias(keep: wp.array(dtype=wp.float32), other: wp.array(dtype=wp.int32), n: int, bits: wp.uint64) -> int:
    """Walker's alias method: a column by the upper 38 bits, kept or swapped by the lowest 24, which are not among them.

    At most 2^26 columns (engine.MOST_SOURCE_VOXELS); their probabilities are even to n / 2^38.
    """
    column = int((bits >> wp.uint64(26)) * wp.uint64(n) >> wp.uint64(38))
    if third_unit(bits) > keep[column]:
        return other[column]
    return column


@wp.func
def how_many(mean: float, unit: float) -> int:
    """Whole number with that mean and the least variance."""
    whole = int(mean)
    if unit < mean - float(whole):
        whole += 1
    return whole


@wp.func
def decay_point(g: Geometry, s: Source, rng: wp.uint64) -> wp.vec3:
    if g.radial == 1:
        return wp.vec3(0.0, 0.0, 0.0)
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    flat = s.voxel[alias(s.voxel_keep, s.voxel_alias, s.voxels, bits)]
    k = flat % g.nz
    j = (flat / g.nz) % g.ny
    i = flat / (g.nz * g.ny)
    last = mixed(rng + GOLDEN + GOLDEN + GOLDEN)
    return wp.vec3(
        (float(i) + first_unit(more)) * g.sx,
        (float(j) + second_unit(more)) * g.sy,
        (float(k) + first_unit(last)) * g.sz,
    )


@wp.kernel(enable_backward=False)
def follow_decays(
    g: Geometry,
    m: Physics,
    s: Source,
    seed: wp.uint64,
    first: wp.uint64,
    histories: int,
    workers: int,
    stack: wp.array(dtype=wp.float32),
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
):
    worker = wp.tid()
    base = worker * WORKER_STACK
    emitted = wp.float64(0.0)
    history = int(worker)
    while history < histories:
        rng = start(seed, first + wp.uint64(history))
        history += workers
        origin = decay_point(g, s, rng)
        rng = rng + GOLDEN + GOLDEN + GOLDEN
        top = int(0)
        bits = mixed(rng + GOLDEN)
        more = mixed(rng + GOLDEN + GOLDEN)
        rng = rng + GOLDEN + GOLDEN
        if s.local_kev > 0.0:
            i = wp.min(int(origin[0] / g.sx), g.nx - 1)
            j = wp.min(int(origin[1] / g.sy), g.ny - 1)
            k = wp.min(int(origin[2] / g.sz), g.nz - 1)
            score(g, tally, (i * g.ny + j) * g.nz + k, origin, s.local_kev)
            emitted += wp.float64(s.local_kev)
        for _line in range(how_many(s.line_number, second_unit(more))):
            z = mixed(rng + GOLDEN)
            d = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            kev = s.line_kev[alias(s.line_keep, s.line_alias, s.lines, z)]
            emitted += wp.float64(kev)
            top = push(stack, base, top, counters, ELECTRON, kev, origin, isotropic(d))
        z = mixed(rng + GOLDEN)
        rng = rng + GOLDEN
        for _gamma in range(how_many(s.gamma_number, first_unit(z))):
            z = mixed(rng + GOLDEN)
            d = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            kev = s.gamma_kev[alias(s.gamma_keep, s.gamma_alias, s.gammas, z)]
            emitted += wp.float64(kev)
            top = push(stack, base, top, counters, PHOTON, kev, origin, isotropic(d))
        if s.positron_yield > 0.0 and second_unit(bits) < s.positron_yield:
            z = mixed(rng + GOLDEN)
            d = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            share = s.positron_sum_kev * first_unit(z)
            emitted += wp.float64(s.positron_sum_kev + 2.0 * REST)
            top = push(stack, base, top, counters, POSITRON, share, origin, isotropic(d))
            top = push(stack, base, top, counters, ELECTRON, s.positron_sum_kev - share, origin, isotropic(mixed(d)))
        if first_unit(more) < s.beta_yield:
            z = mixed(rng + GOLDEN)
            d = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            n = wp.min(int(first_unit(bits) * float(s.beta_bins)), s.beta_bins - 1)
            kev = s.beta_kev[n] + first_unit(z) * (s.beta_kev[n + 1] - s.beta_kev[n])
            emitted += wp.float64(kev)
            top = push(stack, base, top, counters, ELECTRON, kev, origin, isotropic(d))
        while top > 0:
            top -= 1
            at = base + top * FIELDS
            kind = int(stack[at])
            kev = stack[at + 1]
            p = wp.vec3(stack[at + 2], stack[at + 3], stack[at + 4])
            u = wp.vec3(stack[at + 5], stack[at + 6], stack[at + 7])
            if kind == PHOTON:
                rng, top = follow_photon(g, m, stack, base, top, tally, counters, kev, p, u, rng)
            else:
                rng, top = follow_electron(g, m, stack, base, top, tally, counters, kind, kev, p, u, rng)
    wp.atomic_add(counters, EMITTED, emitted)
