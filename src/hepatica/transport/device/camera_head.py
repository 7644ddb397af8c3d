"""Photons in a gamma camera's head, in NVIDIA Warp: collimator of hexagonal holes in lead, crystal, what lies behind.

Units inside: keV, mm, g/mL. The head is a pile of layers along z, endless sideways; the collimator is one of them.
Photons start at the front of the pile and go towards growing z. Inside the collimator a photon flies through a hole to
its wall in one step and through lead by Woodcock's method with lead everywhere: a collision that falls into a hole is
none, and the flight through that hole goes on.

This module is only imported where the Monte Carlo runs: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import FAR, sector_of
from hepatica.transport.device.photon import compton, rayleigh_cosine
from hepatica.transport.device.physics import (
    N_MOMENTA,
    REST,
    Physics,
    attenuation,
    energy_place,
    momentum_transfer,
    momentum_value,
    shares,
)
from hepatica.transport.device.random import (
    GOLDEN,
    TWO_PI,
    first_unit,
    isotropic,
    mixed,
    rotated,
    second_unit,
    start,
    towards,
)

ROOT3_HALF = wp.constant(0.8660254037844386)
NUDGE = wp.constant(1.0e-4)
LIGHT = wp.constant(1.0e-5)
"""Weight below which a forced photon plays Russian roulette."""
MAX_STEPS = wp.constant(1000000)

AFTER_HOLES = wp.constant(0)
IN_LEAD = wp.constant(1)

FIRST_IN_CRYSTAL = wp.constant(0)
FIRST_BEHIND = wp.constant(1)
FIRST_BEFORE = wp.constant(2)
BLOCK = 1000
CLASSES = 3
EXTRAS = 4
PHOTONS_PER_BLOCK = wp.constant(BLOCK)
N_CLASSES = wp.constant(CLASSES)
N_EXTRAS = wp.constant(EXTRAS)
WHOLE = wp.constant(0.9999)
"""Share of the incident energy from which a deposit counts as all of it (sums are in single precision)."""


@wp.struct
class Head:
    """Layers and collimator; `place` is the index of the collimator and of the crystal among the layers."""

    hole: float
    pitch: float
    layers: int
    collimator: int
    crystal: int
    edge: wp.array(dtype=wp.float32)
    medium: wp.array(dtype=wp.int32)
    density: wp.array(dtype=wp.float32)
    # K shell of a medium: edge, chance of an X ray per photoelectric event, and four lines with cumulative shares
    k_edge: wp.array(dtype=wp.float32)
    k_chance: wp.array(dtype=wp.float32)
    k_line: wp.array(dtype=wp.vec4)
    k_share: wp.array(dtype=wp.vec4)
    lead_medium: int
    cutoff: float
    # cosine of the cone about the normal into which photons are forced; above 1 none are
    cone: float
    # electrons (and moles of atoms) per gram times the classical radius squared, in the units of the attenuation table
    electrons: wp.array(dtype=wp.float32)
    moles: float


@wp.func
def from_centre(pitch: float, p: wp.vec3) -> wp.vec2:
    """Place relative to the middle of the nearest hole; neighbours lie at 0, 60 and 120 degrees."""
    j = p[1] / (pitch * ROOT3_HALF)
    i = p[0] / pitch - 0.5 * j
    ri = wp.round(i)
    rj = wp.round(j)
    rk = wp.round(-i - j)
    di = wp.abs(ri - i)
    dj = wp.abs(rj - j)
    dk = wp.abs(rk + i + j)
    if di > dj and di > dk:
        ri = -rj - rk
    elif dj > dk:
        rj = -ri - rk
    return wp.vec2(p[0] - pitch * (ri + 0.5 * rj), p[1] - pitch * ROOT3_HALF * rj)


@wp.func
def across(r: wp.vec2, turn: int) -> float:
    """Component along the normal of a pair of walls."""
    if turn == 0:
        return r[0]
    if turn == 1:
        return 0.5 * r[0] + ROOT3_HALF * r[1]
    return -0.5 * r[0] + ROOT3_HALF * r[1]


@wp.func
def largest_across(r: wp.vec2) -> float:
    return wp.max(wp.abs(across(r, 0)), wp.max(wp.abs(across(r, 1)), wp.abs(across(r, 2))))


@wp.func
def to_wall(half: float, r: wp.vec2, u: wp.vec2) -> float:
    """Distance (in units of u) from inside a hexagon of that half width to its wall."""
    nearest = float(FAR)
    for turn in range(3):
        v = across(u, turn)
        if wp.abs(v) > 1.0e-12:
            nearest = wp.min(nearest, (half - wp.sign(v) * across(r, turn)) / wp.abs(v))
    return wp.max(nearest, 0.0)


@wp.func
def attenuation_at(m: Physics, medium: int, density: float, kev: float) -> float:
    entry, part = energy_place(m, kev)
    return attenuation(m, medium, entry, part, density)


@wp.func
def shares_at(m: Physics, medium: int, kev: float) -> wp.vec3:
    entry, part = energy_place(m, kev)
    return shares(m, medium, entry, part)


@wp.func
def x_ray_kev(h: Head, medium: int, unit: float) -> float:
    shares = h.k_share[medium]
    lines = h.k_line[medium]
    if unit < shares[0]:
        return lines[0]
    if unit < shares[1]:
        return lines[1]
    if unit < shares[2]:
        return lines[2]
    return lines[3]


@wp.func
def compton_density(h: Head, m: Physics, medium: int, kev: float, cosine: float) -> wp.vec2:
    """Chance per sr that a Compton event scatters there (Klein-Nishina times S/Z), and the energy that is left."""
    part = 1.0 / (1.0 + kev / REST * (1.0 - cosine))
    x = momentum_transfer(kev, 1.0 - cosine)
    bound = momentum_value(m, m.scattering, medium, x)
    share = shares_at(m, medium, kev)
    total = attenuation_at(m, medium, 1.0, kev) * wp.max(1.0 - share[0] - share[1] - share[2], 1.0e-9)
    free = 0.5 * part * part * (part + 1.0 / part - 1.0 + cosine * cosine)
    return wp.vec2(h.electrons[medium] * free * bound / total, part * kev)


@wp.func
def rayleigh_density(h: Head, m: Physics, medium: int, kev: float, cosine: float) -> float:
    """Chance per sr that a Rayleigh event scatters there: Thomson times the squared form factor."""
    x = wp.max(momentum_transfer(kev, 1.0 - cosine), 1.0e-6)
    place = (wp.log(x) - m.momentum_log_low) * m.momentum_per_log
    base = medium * N_MOMENTA
    low = wp.exp(m.momentum_log_low)
    squared = m.form[base] / (low * low)
    if place >= 0.0:
        n = wp.min(int(place), N_MOMENTA - 2)
        a = wp.exp(m.momentum_log_low + float(n) / m.momentum_per_log)
        b = wp.exp(m.momentum_log_low + float(n + 1) / m.momentum_per_log)
        squared = (m.form[base + n + 1] - m.form[base + n]) / (b * b - a * a)
    total = attenuation_at(m, medium, 1.0, kev) * wp.max(shares_at(m, medium, kev)[1], 1.0e-9)
    return h.moles * 0.5 * (1.0 + cosine * cosine) * squared / total


@wp.func
def next_collision(h: Head, m: Physics, p: wp.vec3, u: wp.vec3, layer: int, in_lead: int, kev: float, state: wp.uint64):
    """Follow a photon to its next collision or out of the pile.

    Returns place, layer of the collision (-1: gone), whether it is in lead, the random state.
    """
    rng = state
    at = p
    here = int(layer)
    lead = int(in_lead)
    half = 0.5 * h.hole
    steps = int(0)
    mu = attenuation_at(m, h.medium[here], h.density[here], kev)
    while steps < MAX_STEPS:
        steps += 1
        border = float(FAR)
        if u[2] > 0.0:
            border = (h.edge[here + 1] - at[2]) / u[2]
        elif u[2] < 0.0:
            border = (h.edge[here] - at[2]) / u[2]
        border = wp.max(border, 0.0)
        flight = float(FAR)
        moved = int(0)
        if here == h.collimator and lead == 0:
            flight = to_wall(half, from_centre(h.pitch, at), wp.vec2(u[0], u[1]))
            if flight < border:
                at = at + flight * u
                lead = int(1)
                moved = int(1)
        elif mu > 0.0:
            rng = rng + GOLDEN
            flight = -wp.log(first_unit(mixed(rng))) / mu
            if flight < border:
                at = at + flight * u
                if here != h.collimator:
                    return at, here, int(0), rng
                if largest_across(from_centre(h.pitch, at)) >= half:
                    return at, here, int(1), rng
                lead = int(0)
                moved = int(1)
        if moved == 0:
            if border > 1.0e29:
                return at, int(-1), int(0), rng
            at = at + border * u
            if u[2] > 0.0:
                here += 1
            else:
                here -= 1
            if here < 0 or here >= h.layers:
                return at, int(-1), int(0), rng
            lead = int(0)
            if here == h.collimator and largest_across(from_centre(h.pitch, at)) >= half:
                lead = int(1)
            mu = attenuation_at(m, h.medium[here], h.density[here], kev)
    return at, int(-1), int(0), rng


@wp.func
def same_hole(h: Head, r: wp.vec2, shift: wp.vec2) -> int:
    """Whether a straight line that enters the collimator at `r` and leaves it `shift` beside stays in one hole."""
    if largest_across(r) >= 0.5 * h.hole or largest_across(r + shift) >= 0.5 * h.hole:
        return 0
    return 1


@wp.func
def random_place(h: Head, z: float, bits: wp.uint64) -> wp.vec3:
    """Even over a rectangle that the pattern of holes repeats: pitch by sqrt(3) pitch."""
    return wp.vec3(h.pitch * first_unit(bits), h.pitch * 2.0 * ROOT3_HALF * second_unit(bits), z)


@wp.func
def within_ring(tangent: wp.array(dtype=wp.float32), ring: int, bits: wp.uint64) -> wp.vec3:
    """Direction evenly within a bin of angles to the normal."""
    c0 = 1.0 / wp.sqrt(1.0 + tangent[ring] * tangent[ring])
    c1 = 1.0 / wp.sqrt(1.0 + tangent[ring + 1] * tangent[ring + 1])
    return towards(c0 + (c1 - c0) * first_unit(bits), TWO_PI * second_unit(bits))


@wp.kernel(enable_backward=False)
def lead_paths(
    h: Head,
    tangent: wp.array(dtype=wp.float32),
    seed: wp.uint64,
    rays: int,
    path: wp.array(dtype=wp.float32),
    sector: wp.array(dtype=wp.int32),
):
    """Length of lead (mm) on straight rays through the collimator, below 0 where it meets none; their `sector_of`."""
    tid = wp.tid()
    row = tid / rays
    rng = start(seed, wp.uint64(tid))
    z0 = h.edge[h.collimator]
    z1 = h.edge[h.collimator + 1]
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    p = random_place(h, z0, more)
    ray = within_ring(tangent, row, bits)
    u = wp.vec2(ray[0], ray[1])
    sector[tid] = sector_of(u[0], u[1])
    left = (z1 - z0) / ray[2]
    r = from_centre(h.pitch, p)
    if same_hole(h, r, left * u) == 1:
        path[tid] = -1.0
        return
    lead = float(0.0)
    while left > 0.0:
        # the chord through the hole of this cell, then on to the cell behind the wall that is met first
        enter = float(0.0)
        leave = float(left)
        out = float(FAR)
        face = int(0)
        for turn in range(3):
            v = across(u, turn)
            c = across(r, turn)
            if wp.abs(v) > 1.0e-12:
                low = (-0.5 * h.hole - wp.sign(v) * c) / wp.abs(v)
                high = (0.5 * h.hole - wp.sign(v) * c) / wp.abs(v)
                enter = wp.max(enter, low)
                leave = wp.min(leave, high)
                far = (0.5 * h.pitch - wp.sign(v) * c) / wp.abs(v)
                if far < out:
                    out = far
                    face = turn
            elif wp.abs(c) > 0.5 * h.hole:
                leave = -1.0
        step = wp.min(wp.max(out, NUDGE * h.pitch), left)
        lead += step - wp.max(wp.min(leave, step) - enter, 0.0)
        left -= step
        turned = wp.sign(across(u, face)) * h.pitch
        normal = wp.vec2(1.0, 0.0)
        if face == 1:
            normal = wp.vec2(0.5, ROOT3_HALF)
        elif face == 2:
            normal = wp.vec2(-0.5, ROOT3_HALF)
        r = r + step * u - turned * normal
    path[tid] = lead


@wp.func
def component_of(deposit: float, incident_kev: float, x_ray: int, components: int) -> int:
    if deposit >= WHOLE * incident_kev:
        return 0
    if x_ray == 1 and deposit > 70.0 and deposit < 88.0:
        return components - 1
    bins = components - 2
    return 1 + wp.min(int(deposit / incident_kev * float(bins)), bins - 1)


@wp.kernel(enable_backward=False)
def follow_photons(
    h: Head,
    m: Physics,
    tangent: wp.array(dtype=wp.float32),
    incident_kev: float,
    mode: int,
    seed: wp.uint64,
    first: wp.uint64,
    block_bin: wp.array(dtype=wp.int32),
    components: int,
    tally: wp.array(dtype=wp.float64),
    extra: wp.array(dtype=wp.float64),
    balance: wp.array(dtype=wp.float64),
):
    """One photon per thread; `block_bin` has the bin of direction of each `BLOCK` of threads.

    Mode AFTER_HOLES: photons leave a hole at the collimator's back and have touched nothing. Mode IN_LEAD: photons
    reach the front of the head; those that do not collide before the collimator's back are left out, because the
    exact paths in lead (`lead_paths`) and the other mode give their chance. `tally` counts events per bin, class and
    component; `extra` sums per bin and class: deposits (keV), events in the peak, their depth, the square of their
    sideways shift. `balance` sums energy left in the crystal, left elsewhere, and gone (keV); of photons left out, all.
    """
    tid = wp.tid()
    place = block_bin[tid / PHOTONS_PER_BLOCK]
    rng = start(seed, first + wp.uint64(tid))
    z0 = h.edge[h.collimator]
    bits = mixed(rng + GOLDEN)
    rng = rng + GOLDEN
    u = within_ring(tangent, place, bits)
    layer = int(0)
    if mode == AFTER_HOLES:
        layer = h.collimator + 1
    p = wp.vec3(0.0, 0.0, 0.0)
    in_hole = int(0)
    wanted = int(1)
    while wanted == 1:
        rng = rng + GOLDEN
        p = random_place(h, h.edge[layer], mixed(rng))
        in_hole = int(0)
        if largest_across(from_centre(h.pitch, p)) < 0.5 * h.hole:
            in_hole = 1
        if mode == IN_LEAD or in_hole == 1:
            wanted = 0
    p0 = p
    u0 = u
    kev = float(incident_kev)
    lead = int(0)
    if layer == h.collimator and in_hole == 0:
        lead = 1
    kind = int(-1)
    deposit = float(0.0)
    elsewhere = float(0.0)
    gone = float(0.0)
    centroid = wp.vec3(0.0, 0.0, 0.0)
    x_ray = int(0)
    waiting = int(0)
    waiting_p = p
    waiting_u = u
    waiting_layer = int(0)
    waiting_lead = int(0)
    weight = float(1.0)
    parent = int(0)
    parent_p = p
    parent_u = u
    parent_kev = kev
    parent_layer = int(0)
    parent_lead = int(0)
    parent_x_ray = int(0)
    alive = int(1)
    while alive == 1:
        p, layer, lead, rng = next_collision(h, m, p, u, layer, lead, kev, rng)
        ended = int(0)
        if layer < 0:
            ended = 1
            gone += weight * kev
        else:
            if kind < 0:
                kind = FIRST_BEFORE
                if layer == h.crystal:
                    kind = FIRST_IN_CRYSTAL
                elif layer > h.collimator:
                    kind = FIRST_BEHIND
                if mode == IN_LEAD and layer > h.collimator:
                    wp.atomic_add(balance, 2, wp.float64(kev))
                    return
            medium = h.medium[layer]
            bits = mixed(rng + GOLDEN)
            more = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            azimuth = TWO_PI * second_unit(bits)
            share = shares_at(m, medium, kev)
            chosen = first_unit(bits)
            freed = float(0.0)
            # a direction in the cone, its chance per sr and energy: one branch of the photon is forced to go there
            force = int(0)
            untouched = parent == 0 and weight == 1.0 and waiting == 0 and deposit == 0.0
            if h.cone < 1.0 and layer <= h.collimator and untouched:
                force = 1
            rng = rng + GOLDEN
            cone_bits = mixed(rng)
            cone_u = towards(h.cone + (1.0 - h.cone) * first_unit(cone_bits), TWO_PI * second_unit(cone_bits))
            cone_density = float(0.0)
            cone_kev = kev
            turn = wp.dot(u, cone_u)
            if chosen < share[0]:
                freed = kev
                if kev > h.k_edge[medium] and first_unit(more) < h.k_chance[medium]:
                    line = x_ray_kev(h, medium, second_unit(more))
                    freed = kev - line
                    rng = rng + GOLDEN
                    u = isotropic(mixed(rng))
                    kev = line
                    cone_density = 0.5 / TWO_PI
                    cone_kev = line
                    if medium == h.lead_medium:
                        x_ray = 1
                else:
                    ended = 1
            elif chosen < share[0] + share[1]:
                if force == 1:
                    cone_density = rayleigh_density(h, m, medium, kev, turn)
                cosine, rng = rayleigh_cosine(m, medium, kev, rng)
                u = rotated(u, cosine, azimuth)
            elif chosen < share[0] + share[1] + share[2] and kev > 2.0 * REST:
                freed = kev - 2.0 * REST
                rng = rng + GOLDEN
                u = isotropic(mixed(rng))
                kev = REST
                waiting = 1
                waiting_p = p
                waiting_u = -u
                waiting_layer = layer
                waiting_lead = lead
            else:
                if force == 1:
                    density = compton_density(h, m, medium, kev, turn)
                    cone_density = density[0]
                    cone_kev = density[1]
                left, cosine, rng = compton(m, medium, kev, rng)
                freed = kev - left
                u = rotated(u, cosine, azimuth)
                kev = left
            if ended == 0 and kev < h.cutoff:
                freed += kev
                ended = 1
            if layer == h.crystal:
                deposit += freed
                centroid = centroid + freed * p
            else:
                elsewhere += weight * freed
            if force == 1 and cone_density > 0.0:
                # the branch outside the cone waits (and is none if it went into the cone after all)
                if ended == 0 and u[2] < h.cone:
                    parent = 1
                    parent_p = p
                    parent_u = u
                    parent_kev = kev
                    parent_layer = layer
                    parent_lead = lead
                    parent_x_ray = x_ray
                weight = cone_density * TWO_PI * (1.0 - h.cone)
                u = cone_u
                kev = cone_kev
                ended = int(0)
                if kev < h.cutoff:
                    ended = 1
                elif weight < LIGHT:
                    # Russian roulette
                    rng = rng + GOLDEN
                    if first_unit(mixed(rng)) * LIGHT < weight:
                        weight = LIGHT
                    else:
                        ended = 1
        if ended == 1:
            if waiting == 1:
                waiting = 0
                p = waiting_p
                u = waiting_u
                layer = waiting_layer
                lead = waiting_lead
                kev = REST
            else:
                if deposit > 0.0:
                    wp.atomic_add(balance, 0, wp.float64(weight * deposit))
                    component = component_of(deposit, incident_kev, x_ray, components)
                    row = place * N_CLASSES + kind
                    wp.atomic_add(tally, row * components + component, wp.float64(weight))
                    base = row * N_EXTRAS
                    wp.atomic_add(extra, base, wp.float64(weight * deposit))
                    if component == 0:
                        middle = centroid / deposit
                        straight = p0 + ((middle[2] - p0[2]) / u0[2]) * u0
                        shift = wp.vec2(middle[0] - straight[0], middle[1] - straight[1])
                        wp.atomic_add(extra, base + 1, wp.float64(weight))
                        wp.atomic_add(extra, base + 2, wp.float64(weight * (middle[2] - z0)))
                        wp.atomic_add(extra, base + 3, wp.float64(weight * wp.dot(shift, shift)))
                alive = parent
                if parent == 1:
                    parent = 0
                    weight = 1.0
                    deposit = 0.0
                    centroid = wp.vec3(0.0, 0.0, 0.0)
                    p = parent_p
                    u = parent_u
                    kev = parent_kev
                    layer = parent_layer
                    lead = parent_lead
                    x_ray = parent_x_ray
    wp.atomic_add(balance, 1, wp.float64(elsewhere))
    wp.atomic_add(balance, 2, wp.float64(gone))
