"""The kernel of the SPECT simulation: decays to photons, photons through the patient, forced detection on the way.

A history is one photon of the nuclide's lines, or one electron with the bremsstrahlung it makes; both are drawn in
proportion to what they may contribute (source.EmissionMixture) and weighted back. Each has its own random stream.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.camera_exit import Rays, along, cell_of, middle_of
from hepatica.transport.device.coherent_rays import satellites
from hepatica.transport.device.decays import Places, random_place
from hepatica.transport.device.electron import follow_electron
from hepatica.transport.device.forced_detection import (
    Camera,
    Event,
    compton_norm_at,
    importance_at,
    see,
    sight_of,
)
from hepatica.transport.device.geometry import FAR, Geometry, entry_to, inside, tilted, voxel_at
from hepatica.transport.device.photon import compton, fly, rayleigh_cosine
from hepatica.transport.device.physics import Physics, energy_place, shares
from hepatica.transport.device.random import (
    GOLDEN,
    TWO_PI,
    AliasTable,
    first_unit,
    isotropic,
    mixed,
    pick,
    rotated,
    second_unit,
    start,
)
from hepatica.transport.device.stack import ELECTRON, PHOTON, WORKER_STACK, push, waiting_at

PHOTONS_BORN = wp.constant(4)
KEV_BORN = wp.constant(5)
MAX_COPIES = wp.constant(64)
ROULETTE = wp.constant(0.2)


@wp.struct
class Decays:
    """Where decays are (index to mm by three rows of a matrix) and what a history starts with."""

    places: Places
    to_x: wp.vec4
    to_y: wp.vec4
    to_z: wp.vec4
    photon_share: float
    line_kev: wp.array(dtype=wp.float32)
    line_weight: wp.array(dtype=wp.float32)
    line_table: AliasTable
    electron_kev: wp.array(dtype=wp.float32)
    electron_weight: wp.array(dtype=wp.float32)
    electron_table: AliasTable
    beta_bins: int
    beta_kev: wp.array(dtype=wp.float32)
    beta_weight: wp.array(dtype=wp.float32)
    photon_weight: float
    reference: float


@wp.func
def decay_place(s: Decays, rng: wp.uint64) -> wp.vec3:
    place = random_place(s.places, rng)
    at = wp.vec4(place[0] - 0.5, place[1] - 0.5, place[2] - 0.5, 1.0)
    return wp.vec3(wp.dot(s.to_x, at), wp.dot(s.to_y, at), wp.dot(s.to_z, at))


@wp.func
def detect(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    p: wp.vec3,
    u: wp.vec3,
    kev: float,
    weight: float,
    medium: int,
    compton: int,
    scattered: int,
    seed: wp.uint64,
):
    """Forced detection in the views; `compton` is 0 at an emission (isotropic), 1 where a photon along u scatters."""
    rng = seed + GOLDEN
    view = wp.min(int(first_unit(mixed(rng)) * float(c.stride)), c.stride - 1)
    e = Event()
    e.p = p
    e.u = u
    e.x = p[0] - c.axis_x
    e.y = p[1] - c.axis_y
    e.kev = kev
    e.weight = weight * float(c.stride)
    e.medium = medium
    e.compton = compton
    e.scattered = scattered
    if compton == 1:
        e.norm = compton_norm_at(m, r, medium, kev)
    e.known = inside(g, p)
    if e.known == 1:
        e.here = r.basis[voxel_at(g, p)]
        cell, beside = cell_of(r, p)
        e.cell = cell
        e.beside = beside
    while view < c.views:
        s = c.place[view]
        height = s[2] - (e.x * s[0] + e.y * s[1])
        if height > 0.0:
            bits = mixed(rng + GOLDEN)
            more = mixed(rng + GOLDEN + GOLDEN)
            last = mixed(rng + GOLDEN + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN + GOLDEN
            a = sight_of(m, r, c, e, view, height, last)
            see(g, m, r, c, tally, e, a, bits, more)
            if c.satellite > 0.0:
                satellites(g, m, r, c, tally, e, a, mixed(last + GOLDEN))
        view += c.stride
    return rng


@wp.func
def travel(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    origin: wp.vec3,
    start_kev: float,
    start_weight: float,
    floor: float,
    seed: wp.uint64,
):
    """Follow a photon from its emission in any direction; it is detected by force there and at each Compton scatter."""
    rng = seed
    p = origin
    u = wp.vec3(0.0, 0.0, 1.0)
    kev = float(start_kev)
    weight = float(start_weight)
    medium = int(0)
    order = int(0)
    # what happens here: 0 emission, 1 Compton scatter, -1 neither
    event = int(0)
    entry = int(-1)
    part = float(0.0)
    while kev >= c.lowest_kev:
        if event >= 0:
            rng = detect(g, m, r, c, tally, p, u, kev, weight, medium, event, event, rng)
            if order >= c.max_scatter:
                return rng
            if event == 0:
                u = isotropic(mixed(rng + GOLDEN))
                rng = rng + GOLDEN
                if inside(g, p) == 0:
                    free = entry_to(g, p, tilted(u))
                    if free < 0.0:
                        return rng
                    p = p + (free + 1.0e-3) * u
            else:
                bits = mixed(rng + GOLDEN)
                kev, cosine, rng = compton(m, medium, kev, rng + GOLDEN)
                u = rotated(u, cosine, TWO_PI * second_unit(bits))
                if kev < c.lowest_kev:
                    return rng
            event = -1
            entry, part = energy_place(m, kev)
        value = weight * importance_at(c, kev)
        if value < floor:
            rng = rng + GOLDEN
            if first_unit(mixed(rng)) * floor < value:
                weight *= floor / value
            else:
                return rng
        p, voxel, found, rng = fly(g, m, p, u, entry, part, rng)
        if voxel < 0:
            return rng
        medium = found
        bits = mixed(rng + GOLDEN)
        rng = rng + GOLDEN
        share = shares(m, medium, entry, part)
        scatters = wp.max(1.0 - share[0] - share[2], 1.0e-6)
        weight *= scatters
        if first_unit(bits) * scatters < share[1]:
            cosine, rng = rayleigh_cosine(m, medium, kev, rng)
            u = rotated(u, cosine, TWO_PI * second_unit(bits))
        else:
            order += 1
            event = 1
    return rng


@wp.func
def be_born(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    s: Decays,
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
    p: wp.vec3,
    kev: float,
    weight: float,
    seed: wp.uint64,
):
    """Detect and follow a photon as many times as its importance asks for, each with its share of the weight."""
    rng = seed + GOLDEN
    wp.atomic_add(counters, PHOTONS_BORN, wp.float64(weight))
    wp.atomic_add(counters, KEV_BORN, wp.float64(weight * kev))
    if kev < c.lowest_kev:
        return rng
    expected = weight * importance_at(c, kev) / s.reference
    copies = wp.min(int(expected + first_unit(mixed(rng))), MAX_COPIES)
    each = weight / wp.max(expected, 1.0e-12)
    if expected > float(MAX_COPIES):
        each = weight / float(MAX_COPIES)
    for _copy in range(copies):
        rng = travel(g, m, r, c, tally, p, kev, each, ROULETTE * s.reference, rng)
    return rng


@wp.kernel(enable_backward=False)
def follow_histories(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    s: Decays,
    order: wp.array(dtype=wp.int32),
    batch: wp.uint64,
    seed: wp.uint64,
    first: wp.uint64,
    histories: int,
    workers: int,
    stack: wp.array(dtype=wp.float32),
    energy: wp.array(dtype=wp.float64),
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
):
    """Follow histories of a batch, which begins at `batch`, in an order that keeps neighbours in space together."""
    worker = wp.tid()
    base = worker * WORKER_STACK
    history = int(worker)
    before = int(first - batch)
    while history < histories:
        rng = start(seed, batch + wp.uint64(order[before + history]))
        history += workers
        origin = decay_place(s, rng)
        rng = rng + GOLDEN + GOLDEN + GOLDEN
        bits = mixed(rng + GOLDEN)
        more = mixed(rng + GOLDEN + GOLDEN)
        rng = rng + GOLDEN + GOLDEN
        top = int(0)
        weight = float(0.0)
        if first_unit(bits) <= s.photon_share:
            line = pick(s.line_table, more)
            weight = s.line_weight[line] / s.photon_weight
            top = push(stack, base, top, counters, PHOTON, s.line_kev[line], origin, wp.vec3(0.0, 0.0, 1.0))
        else:
            which = pick(s.electron_table, more)
            kev = s.electron_kev[which]
            weight = s.electron_weight[which]
            z = mixed(rng + GOLDEN)
            rng = rng + GOLDEN
            if which == 0:
                n = wp.min(int(first_unit(z) * float(s.beta_bins)), s.beta_bins - 1)
                kev = s.beta_kev[n] + second_unit(z) * (s.beta_kev[n + 1] - s.beta_kev[n])
                weight *= s.beta_weight[n]
            top = push(stack, base, top, counters, ELECTRON, kev, origin, isotropic(mixed(z)))
        while top > 0:
            top -= 1
            kind, kev, p, u = waiting_at(stack, base, top)
            if kind == PHOTON:
                rng = be_born(g, m, r, c, s, tally, counters, p, kev, weight * s.photon_weight, rng)
            elif kev > m.cutoff:
                rng, top = follow_electron(g, m, stack, base, top, energy, counters, kind, kev, p, u, rng)


@wp.kernel(enable_backward=False)
def find_places(s: Decays, seed: wp.uint64, batch: wp.uint64, place: wp.array(dtype=wp.int32)):
    """Number of the source's voxel in which each history of a batch starts; the draw is that of `random_place`."""
    history = wp.tid()
    place[history] = pick(s.places.table, mixed(start(seed, batch + wp.uint64(history)) + GOLDEN))


@wp.kernel(enable_backward=False)
def find_exits(
    g: Geometry, r: Rays, place: wp.array(dtype=wp.vec3), views: int, first: int, exits: wp.array(dtype=wp.vec2)
):
    """Integrals from the middles of cells straight towards the views (toward x, toward y, radius)."""
    at = first + wp.tid()
    s = place[at % views]
    exits[at] = along(g, r.basis, middle_of(r.cells, at / views), wp.vec3(s[0], s[1], 0.0), FAR)
