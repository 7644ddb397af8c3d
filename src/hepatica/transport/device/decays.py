"""The kernel that takes decays one after another and follows all that they emit."""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.electron import follow_electron
from hepatica.transport.device.geometry import Geometry, inside, voxel_at
from hepatica.transport.device.photon import follow_photon
from hepatica.transport.device.physics import REST, Physics
from hepatica.transport.device.random import (
    GOLDEN,
    AliasTable,
    first_unit,
    isotropic,
    mixed,
    pick,
    second_unit,
    start,
)
from hepatica.transport.device.stack import (
    ELECTRON,
    EMITTED,
    PHOTON,
    POSITRON,
    WORKER_STACK,
    give_streams,
    push,
    score,
    stream_of,
    waiting_at,
)


@wp.struct
class Places:
    """Voxels with activity: flat indices in a grid whose last two axes are that long, and their probabilities."""

    ny: int
    nz: int
    voxel: wp.array(dtype=wp.int32)
    table: AliasTable


@wp.struct
class Source:
    """Where decays are and what they emit.

    `to_mm` and `origin_mm` take voxels from the corner of the places' grid to mm from the corner of the matter's.
    """

    places: Places
    to_mm: wp.mat33
    origin_mm: wp.vec3
    beta_yield: float
    beta_bins: int
    beta_kev: wp.array(dtype=wp.float32)
    line_number: float
    line_kev: wp.array(dtype=wp.float32)
    line_table: AliasTable
    gamma_number: float
    gamma_kev: wp.array(dtype=wp.float32)
    gamma_table: AliasTable
    local_kev: float
    positron_yield: float
    positron_sum_kev: float


@wp.func
def random_place(places: Places, rng: wp.uint64) -> wp.vec3:
    """A point evenly in a voxel, in voxels from the corner of the grid; takes three random numbers."""
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    last = mixed(rng + GOLDEN + GOLDEN + GOLDEN)
    flat = places.voxel[pick(places.table, bits)]
    k = flat % places.nz
    j = (flat / places.nz) % places.ny
    i = flat / (places.nz * places.ny)
    return wp.vec3(float(i) + first_unit(more), float(j) + second_unit(more), float(k) + first_unit(last))


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
    return s.to_mm * random_place(s.places, rng) + s.origin_mm


@wp.func
def emit(
    stack: wp.array(dtype=wp.float32),
    base: int,
    waiting: int,
    counters: wp.array(dtype=wp.float64),
    kind: int,
    line_kev: wp.array(dtype=wp.float32),
    table: AliasTable,
    number: int,
    origin: wp.vec3,
    emitted_kev: wp.float64,
    seed: wp.uint64,
):
    """Let particles of lines wait, each in any direction; how many wait, energy emitted so far, random state."""
    rng = seed
    top = int(waiting)
    emitted = wp.float64(emitted_kev)
    for _particle in range(number):
        z = mixed(rng + GOLDEN)
        d = mixed(rng + GOLDEN + GOLDEN)
        rng = rng + GOLDEN + GOLDEN
        kev = line_kev[pick(table, z)]
        emitted += wp.float64(kev)
        top = push(stack, base, top, counters, kind, kev, origin, isotropic(d))
    return top, emitted, rng


@wp.func
def follow_decay(
    g: Geometry,
    m: Physics,
    s: Source,
    stack: wp.array(dtype=wp.float32),
    base: int,
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
    origin: wp.vec3,
    stream: wp.uint64,
) -> wp.float64:
    """Follow all that a decay at a point emits; returns the energy emitted.

    Every particle draws from a stream of its own: followed again through other matter, it does much the same.
    """
    emitted = wp.float64(0.0)
    rng = stream
    top = int(0)
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    rng = rng + GOLDEN + GOLDEN
    if s.local_kev > 0.0:
        score(g, tally, voxel_at(g, origin), origin, s.local_kev)
        emitted += wp.float64(s.local_kev)
    number = how_many(s.line_number, second_unit(more))
    top, emitted, rng = emit(
        stack, base, top, counters, ELECTRON, s.line_kev, s.line_table, number, origin, emitted, rng
    )
    z = mixed(rng + GOLDEN)
    rng = rng + GOLDEN
    number = how_many(s.gamma_number, first_unit(z))
    top, emitted, rng = emit(
        stack, base, top, counters, PHOTON, s.gamma_kev, s.gamma_table, number, origin, emitted, rng
    )
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
    give_streams(stack, base, 0, top, rng)
    while top > 0:
        top -= 1
        kind, kev, p, u = waiting_at(stack, base, top)
        own = stream_of(stack, base, top)
        first = top
        if kind == PHOTON:
            rng, top = follow_photon(g, m, stack, base, top, tally, counters, kev, p, u, own)
        else:
            rng, top = follow_electron(g, m, stack, base, top, tally, counters, kind, kev, p, u, own)
        give_streams(stack, base, first, top, own)
    return emitted


@wp.kernel(enable_backward=False)
def follow_decays(
    g: Geometry,
    twin: Geometry,
    m: Physics,
    s: Source,
    seed: wp.uint64,
    first: wp.uint64,
    histories: int,
    workers: int,
    stack: wp.array(dtype=wp.float32),
    twin_counters: wp.array(dtype=wp.float64),
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
):
    """Follow decays in the matter, and where `twin` is endless each of them again in it with the same numbers."""
    worker = wp.tid()
    base = worker * WORKER_STACK
    emitted = wp.float64(0.0)
    history = int(worker)
    while history < histories:
        rng = start(seed, first + wp.uint64(history))
        history += workers
        origin = decay_point(g, s, rng)
        rng = rng + GOLDEN + GOLDEN + GOLDEN
        if twin.endless == 1:
            follow_decay(twin, m, s, stack, base, tally, twin_counters, origin, rng)
        if inside(g, origin) == 0:
            # where nothing is known of the matter: a place outside the CT
            continue
        emitted += follow_decay(g, m, s, stack, base, tally, counters, origin, rng)
    wp.atomic_add(counters, EMITTED, emitted * wp.float64(g.weight))
