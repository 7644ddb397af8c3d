"""The kernel of the SPECT simulation: decays to photons, photons through the patient, forced detection on the way.

A history is one photon of the nuclide's lines, or one electron with the bremsstrahlung it makes; both are drawn in
proportion to what they may contribute (source.EmissionMixture) and weighted back. Each has its own random stream.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.decays import WORKER_STACK, alias
from hepatica.transport.device.electron import follow_electron
from hepatica.transport.device.forced_detection import Camera, Rays, detect, entry_to, importance_at, tilted
from hepatica.transport.device.phantom import (
    ELECTRON,
    FIELDS,
    N_ENERGIES,
    PHOTON,
    TWO_PI,
    Geometry,
    Physics,
    isotropic,
    push,
    rotated,
)
from hepatica.transport.device.photon import compton, inside, rayleigh_cosine, voxel_at
from hepatica.transport.device.random import GOLDEN, first_unit, mixed, second_unit, start

PHOTONS_BORN = wp.constant(4)
KEV_BORN = wp.constant(5)
MOST_COPIES = wp.constant(64)
ROULETTE = wp.constant(0.2)


@wp.struct
class Decays:
    """Where decays are (index to mm by three rows of a matrix) and what a history starts with."""

    voxels: int
    ny: int
    nz: int
    to_x: wp.vec4
    to_y: wp.vec4
    to_z: wp.vec4
    voxel: wp.array(dtype=wp.int32)
    voxel_keep: wp.array(dtype=wp.float32)
    voxel_alias: wp.array(dtype=wp.int32)
    photon_share: float
    lines: int
    line_kev: wp.array(dtype=wp.float32)
    line_weight: wp.array(dtype=wp.float32)
    line_keep: wp.array(dtype=wp.float32)
    line_alias: wp.array(dtype=wp.int32)
    electrons: int
    electron_kev: wp.array(dtype=wp.float32)
    electron_weight: wp.array(dtype=wp.float32)
    electron_keep: wp.array(dtype=wp.float32)
    electron_alias: wp.array(dtype=wp.int32)
    beta_bins: int
    beta_kev: wp.array(dtype=wp.float32)
    beta_weight: wp.array(dtype=wp.float32)
    photon_weight: float
    reference: float


@wp.func
def decay_place(s: Decays, rng: wp.uint64) -> wp.vec3:
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    last = mixed(rng + GOLDEN + GOLDEN + GOLDEN)
    flat = s.voxel[alias(s.voxel_keep, s.voxel_alias, s.voxels, bits)]
    k = flat % s.nz
    j = (flat / s.nz) % s.ny
    i = flat / (s.nz * s.ny)
    at = wp.vec4(
        float(i) + first_unit(more) - 0.5, float(j) + second_unit(more) - 0.5, float(k) + first_unit(last) - 0.5, 1.0
    )
    return wp.vec3(wp.dot(s.to_x, at), wp.dot(s.to_y, at), wp.dot(s.to_z, at))


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
    """Follow a photon from its emission in any direction; it is detected by force at each Compton scatter."""
    u = isotropic(mixed(seed + GOLDEN))
    rng = seed + GOLDEN
    p = origin
    kev = float(start_kev)
    weight = float(start_weight)
    order = int(0)
    alive = int(1)
    entry = int(-1)
    part = float(0.0)
    if inside(g, p) == 0:
        free = entry_to(g, p, tilted(u))
        if free < 0.0:
            alive = 0
        p = p + (free + 1.0e-3) * u
    while alive == 1:
        if entry < 0:
            place = (wp.log(kev) - m.photon_log_low) * m.photon_per_log
            entry = wp.min(wp.max(int(place), 0), N_ENERGIES - 2)
            part = wp.clamp(place - float(entry), 0.0, 1.0)
        bits = mixed(rng + GOLDEN)
        rng = rng + GOLDEN
        highest = wp.max(m.majorant[entry], m.majorant[entry + 1])
        p = p - wp.log(first_unit(bits)) / highest * u
        if inside(g, p) == 0:
            return rng
        voxel = voxel_at(g, p)
        medium = int(g.medium[voxel])
        at = medium * N_ENERGIES + entry
        real = (m.attenuation[at] + part * (m.attenuation[at + 1] - m.attenuation[at])) * g.density[voxel]
        if second_unit(bits) * highest < real:
            bits = mixed(rng + GOLDEN)
            more = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            shares = m.shares[at] + part * (m.shares[at + 1] - m.shares[at])
            scatters = wp.max(1.0 - shares[0] - shares[2], 1.0e-6)
            weight *= scatters
            azimuth = TWO_PI * second_unit(bits)
            if first_unit(bits) * scatters < shares[1]:
                drawn = rayleigh_cosine(m, medium, kev, rng)
                rng = rng + wp.uint64(drawn[1]) * GOLDEN
                u = rotated(u, drawn[0], azimuth)
            else:
                order += 1
                rng = detect(g, m, r, c, tally, p, u, kev, weight, medium, 1, 1, rng)
                if order >= c.most_scatter:
                    return rng
                result = compton(m, medium, kev, rng)
                rng = rng + wp.uint64(result[2]) * GOLDEN
                u = rotated(u, result[1], azimuth)
                kev = result[0]
                entry = -1
                if kev < c.lowest_kev:
                    return rng
            value = weight * importance_at(c, kev)
            if value < floor:
                if first_unit(more) * floor < value:
                    weight *= floor / value
                else:
                    return rng
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
    copies = wp.min(int(expected + first_unit(mixed(rng))), MOST_COPIES)
    each = weight / wp.max(expected, 1.0e-12)
    if expected > float(MOST_COPIES):
        each = weight / float(MOST_COPIES)
    for _copy in range(copies):
        rng = detect(g, m, r, c, tally, p, wp.vec3(0.0, 0.0, 1.0), kev, each, 0, 0, 0, rng)
        if c.most_scatter > 0:
            rng = travel(g, m, r, c, tally, p, kev, each, ROULETTE * s.reference, rng)
    return rng


@wp.kernel(enable_backward=False)
def follow_histories(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    s: Decays,
    seed: wp.uint64,
    first: wp.uint64,
    histories: int,
    workers: int,
    stack: wp.array(dtype=wp.float32),
    energy: wp.array(dtype=wp.float64),
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
):
    worker = wp.tid()
    base = worker * WORKER_STACK
    history = int(worker)
    while history < histories:
        rng = start(seed, first + wp.uint64(history))
        history += workers
        origin = decay_place(s, rng)
        rng = rng + GOLDEN + GOLDEN + GOLDEN
        bits = mixed(rng + GOLDEN)
        more = mixed(rng + GOLDEN + GOLDEN)
        rng = rng + GOLDEN + GOLDEN
        top = int(0)
        weight = float(0.0)
        if first_unit(bits) <= s.photon_share:
            line = alias(s.line_keep, s.line_alias, s.lines, more)
            rng = be_born(g, m, r, c, s, tally, counters, origin, s.line_kev[line], s.line_weight[line], rng)
        else:
            which = alias(s.electron_keep, s.electron_alias, s.electrons, more)
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
            at = base + top * FIELDS
            kind = int(stack[at])
            kev = stack[at + 1]
            p = wp.vec3(stack[at + 2], stack[at + 3], stack[at + 4])
            u = wp.vec3(stack[at + 5], stack[at + 6], stack[at + 7])
            if kind == PHOTON:
                rng = be_born(g, m, r, c, s, tally, counters, p, kev, weight * s.photon_weight, rng)
            elif kev > m.cutoff:
                rng, top = follow_electron(g, m, stack, base, top, energy, counters, kind, kev, p, u, rng)
