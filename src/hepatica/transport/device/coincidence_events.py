"""Photons of a decay followed out of the patient into the crystals of a PET scanner, in NVIDIA Warp.

A positron is followed to its end, where two photons leave, not quite opposite to each other; each is followed through
the patient (Woodcock), flies to the flat module of crystals that it meets, and is followed through it until it is
absorbed or leaves: between crystals, blocks and modules there is nothing, found by Woodcock's method. A block adds up
the energies within it and places them at their centre of gravity, as its light guide does; of two blocks that share a
photon the one with more is looked at.
Positions in the patient are in mm from the corner of its voxels; crystals are told in mm from the scanner's middle.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.decays import Places, random_place
from hepatica.transport.device.electron import follow_electron
from hepatica.transport.device.geometry import Geometry, inside
from hepatica.transport.device.photon import compton, fly, rayleigh_cosine
from hepatica.transport.device.physics import REST, Physics, attenuation, energy_place, shares
from hepatica.transport.device.random import GOLDEN, TWO_PI, first_unit, isotropic, mixed, rotated, second_unit, start
from hepatica.transport.device.stack import (
    ELECTRON,
    PHOTON,
    POSITRON,
    WORKER_STACK,
    give_streams,
    push,
    stream_of,
    waiting_at,
)

MISSED = wp.constant(-1)
BLIND = wp.constant(1.0e-3)
LONE = wp.constant(0.2)
"""Share of the second photons that are followed where the first one was not counted."""
SECOND_CRYSTAL = wp.constant(wp.float64(262144.0))
TIME_BIN = wp.constant(wp.float64(68719476736.0))
SCATTERED = wp.constant(wp.float64(35184372088832.0))


@wp.struct
class Ring:
    """Flat modules of crystals around an axis; see imaging.pet.scanner.

    `corner` takes mm from the corner of the patient's voxels to mm from the scanner's middle. Where `added` is 1 the
    energies of neighbouring blocks are added up. Of the photons within the window `counted` are counted, a measured
    share. Modules are `width` apart around the ring at the mean depth: what their crystals leave of it is empty.
    """

    corner: wp.vec3
    radius: float
    thickness: float
    modules: int
    crystals: int
    width: float
    pitch_around: float
    pitch_along: float
    rings: int
    gap: int
    places: int
    medium: int
    density: float
    size_around: float
    size_along: float
    block_around: int
    block_along: int
    added: int
    counted: float
    low_kev: float
    high_kev: float
    energy_sd: float
    acollinear_sd: float
    timed: int
    tof_bins: int
    bin_mm: float
    tof_sd: float
    per_ring: int


@wp.struct
class Decay:
    """What is emitted: a positron of a spectrum (`pair` 1: with its electron of the same sum), or beta particles."""

    places: Places
    to_mm: wp.mat33
    origin_mm: wp.vec3
    positrons: int
    bins: int
    kev: wp.array(dtype=wp.float32)


@wp.func
def normal_pair(z: wp.uint64) -> wp.vec2:
    """Two independent standard normal numbers (Box and Muller)."""
    radius = wp.sqrt(-2.0 * wp.log(first_unit(z)))
    azimuth = TWO_PI * second_unit(z)
    return wp.vec2(radius * wp.cos(azimuth), radius * wp.sin(azimuth))


@wp.func
def out_of_patient(g: Geometry, m: Physics, kev0: float, p0: wp.vec3, u0: wp.vec3, least_kev: float, seed: wp.uint64):
    """Follow a photon until it leaves the voxels; energy (0: absorbed), last collision, direction, path, scatters."""
    rng = seed
    kev = float(kev0)
    p = p0
    u = u0
    path = float(0.0)
    scattered = int(0)
    entry, part = energy_place(m, kev)
    going = int(1)
    while going == 1:
        q, voxel, medium, rng = fly(g, m, p, u, entry, part, rng)
        if voxel == -1:
            # where a flight ends outside says nothing, it may be beyond the crystals: the last collision stays
            going = 0
        else:
            path += wp.length(q - p)
            p = q
            bits = mixed(rng + GOLDEN)
            rng = rng + GOLDEN
            azimuth = TWO_PI * second_unit(bits)
            share = shares(m, medium, entry, part)
            chosen = first_unit(bits)
            if chosen < share[0] or (chosen >= share[0] + share[1] and chosen < share[0] + share[1] + share[2]):
                kev = 0.0
                going = 0
            elif chosen < share[0] + share[1]:
                cosine, rng = rayleigh_cosine(m, medium, kev, rng)
                u = rotated(u, cosine, azimuth)
                scattered = 1
            else:
                left, cosine, rng = compton(m, medium, kev, rng)
                kev = left
                u = rotated(u, cosine, azimuth)
                scattered = 1
                if kev < least_kev:
                    kev = 0.0
                    going = 0
                else:
                    entry, part = energy_place(m, kev)
    return kev, p, u, path, scattered, rng


@wp.func
def flight_to_front(c: Ring, p: wp.vec3, u: wp.vec3):
    """Path to the front face of the module that a photon meets, and the module; a path below 0 misses the ring."""
    across = u[0] * u[0] + u[1] * u[1]
    if across < 1.0e-8:
        return -1.0, 0
    inner = c.radius * c.radius
    b = (p[0] * u[0] + p[1] * u[1]) / across
    root = b * b - (p[0] * p[0] + p[1] * p[1] - inner) / across
    if root <= 0.0:
        return -1.0, 0
    path = -b + wp.sqrt(root)
    if path <= 0.0:
        return -1.0, 0
    step = TWO_PI / float(c.modules)
    module = int(0)
    for _again in range(2):
        q = p + path * u
        module = int(wp.floor(wp.atan2(q[1], q[0]) / step + 0.5))
        cosine = wp.cos(float(module) * step)
        sine = wp.sin(float(module) * step)
        towards = u[0] * cosine + u[1] * sine
        if towards <= 1.0e-4:
            return -1.0, 0
        path = (c.radius - (p[0] * cosine + p[1] * sine)) / towards
    return path, (module + c.modules) % c.modules


@wp.func
def crystal_at(c: Ring, module: int, along: float, z: float) -> int:
    """Crystal at a place of a module or of the one beside it, MISSED between two modules or beyond the ends."""
    beside = int(wp.floor(along / c.width + 0.5))
    around = int(wp.floor((along - float(beside) * c.width) / c.pitch_around + 0.5 * float(c.crystals)))
    if around < 0 or around >= c.crystals:
        return MISSED
    beside = (module + beside + c.modules) % c.modules
    place = int(wp.floor(z / c.pitch_along + 0.5 * float(c.places)))
    if place < 0 or place >= c.places:
        return MISSED
    ring = place % (c.rings + c.gap)
    if ring >= c.rings:
        return MISSED
    ring += (place / (c.rings + c.gap)) * c.rings
    return ring * c.per_ring + beside * c.crystals + around


@wp.func
def block_at(c: Ring, along: float, z: float) -> int:
    """Number of the block whose crystal is at a place of a module's plane, MISSED between crystals and beyond the ends.

    Modules beside the one that a photon entered lie in the same plane.
    """
    beside = int(wp.floor(along / c.width + 0.5))
    within = (along - float(beside) * c.width) / c.pitch_around + 0.5 * float(c.crystals)
    crystal = int(within)
    if within < 0.0 or crystal >= c.crystals:
        return MISSED
    if wp.abs(within - float(crystal) - 0.5) * c.pitch_around > 0.5 * c.size_around:
        return MISSED
    up = z / c.pitch_along + 0.5 * float(c.places)
    if up < 0.0 or up >= float(c.places):
        return MISSED
    place = int(up)
    if wp.abs(up - float(place) - 0.5) * c.pitch_along > 0.5 * c.size_along:
        return MISSED
    module = place / (c.rings + c.gap)
    ring = place % (c.rings + c.gap)
    if ring >= c.rings:
        return MISSED
    if c.added == 1:
        return 0
    column = (beside + 64) * c.crystals + crystal / c.block_around
    return column * 4096 + module * c.rings + ring / c.block_along


@wp.func
def in_module(
    c: Ring, m: Physics, kev0: float, depth0: float, d0: wp.vec3, along0: float, z0: float, home: int, seed: wp.uint64
):
    """Follow a photon through a module; energy left in a block, its centre of gravity along and along the axis, path.

    `d0` is the direction: into the module, along it, along the axis. The block is `home`, or where that is MISSED the
    one that got most; a third block that shares the photon is left out.
    """
    rng = seed
    kev = float(kev0)
    d = d0
    depth = float(depth0)
    along = float(along0)
    z = float(z0)
    flown = float(0.0)
    path = float(0.0)
    first = int(home)
    second = int(MISSED)
    a = wp.vec3(0.0, 0.0, 0.0)
    b = wp.vec3(0.0, 0.0, 0.0)
    widest = c.width
    highest = 0.5 * float(c.places) * c.pitch_along
    collisions = int(0)
    going = int(1)
    while going == 1:
        entry, part = energy_place(m, kev)
        rng = rng + GOLDEN
        bits = mixed(rng)
        step = -wp.log(first_unit(bits)) / attenuation(m, c.medium, entry, part, c.density)
        depth += step * d[0]
        along += step * d[1]
        z += step * d[2]
        flown += step
        # what enters by a side at the scanner's end may have its first place before that
        if depth < 0.0 or depth > c.thickness or wp.abs(along) > widest or (wp.abs(z) > highest and z * d[2] > 0.0):
            going = 0
        else:
            block = block_at(c, along, z)
            if block != MISSED:
                if collisions == 0:
                    path = flown
                collisions += 1
                share = shares(m, c.medium, entry, part)
                chosen = second_unit(bits)
                rng = rng + GOLDEN
                azimuth = TWO_PI * first_unit(mixed(rng))
                freed = float(0.0)
                if chosen < share[0] or kev < 20.0:
                    freed = kev
                    going = 0
                elif chosen < share[0] + share[1]:
                    cosine, rng = rayleigh_cosine(m, c.medium, kev, rng)
                    d = rotated(d, cosine, azimuth)
                else:
                    left, cosine, rng = compton(m, c.medium, kev, rng)
                    freed = kev - left
                    kev = left
                    d = rotated(d, cosine, azimuth)
                if first == MISSED:
                    first = block
                if block == first:
                    a += freed * wp.vec3(1.0, along, z)
                elif home == MISSED:
                    if second == MISSED:
                        second = block
                    if block == second:
                        b += freed * wp.vec3(1.0, along, z)
    if b[0] > a[0]:
        a = b
    if a[0] > 0.0:
        return a[0], a[1] / a[0], a[2] / a[0], path, rng
    return 0.0, along, z, path, rng


@wp.func
def is_counted(c: Ring, total: float, rng: wp.uint64) -> int:
    """Whether an energy left in a block is told to lie in the window and is counted."""
    if total <= 0.0:
        return 0
    told = total + c.energy_sd * wp.sqrt(total * REST) * normal_pair(mixed(rng))[0]
    if told < c.low_kev or told > c.high_kev:
        return 0
    if c.counted < 1.0 and first_unit(mixed(rng + GOLDEN)) > c.counted:
        return 0
    return 1


@wp.func
def detected(c: Ring, m: Physics, kev: float, p: wp.vec3, u: wp.vec3, seed: wp.uint64):
    """Crystal in which a photon that left the patient is counted (MISSED: none) and its path from there."""
    flight, module = flight_to_front(c, p, u)
    if flight < 0.0:
        return MISSED, 0.0, seed
    q = p + flight * u
    half = 0.5 * float(c.places) * c.pitch_along
    if wp.abs(q[2]) > half + c.thickness:
        return MISSED, 0.0, seed
    step = TWO_PI / float(c.modules)
    cosine = wp.cos(float(module) * step)
    sine = wp.sin(float(module) * step)
    d = wp.vec3(u[0] * cosine + u[1] * sine, u[1] * cosine - u[0] * sine, u[2])
    total, along, z, depth, rng = in_module(c, m, kev, 0.0, d, q[1] * cosine - q[0] * sine, q[2], MISSED, seed)
    rng = rng + GOLDEN
    if is_counted(c, total, rng) == 0:
        return MISSED, 0.0, rng
    rng = rng + GOLDEN
    return crystal_at(c, module, along, z), flight + depth, rng


@wp.kernel(enable_backward=False)
def follow_coincidences(
    g: Geometry,
    m: Physics,
    c: Ring,
    s: Decay,
    batch: wp.uint64,
    single: float,
    crystals: int,
    seed: wp.uint64,
    first: wp.uint64,
    histories: int,
    workers: int,
    stack: wp.array(dtype=wp.float32),
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
):
    """Tally: waste, singles of each crystal, then for each history of the batch its coincidence as one number.

    That number is 0 for none, else ``1 + first + 2^18 second + 2^36 bin + 2^45 scattered``: whole, below 2^53.
    """
    worker = wp.tid()
    base = worker * WORKER_STACK
    history = int(worker)
    while history < histories:
        number = first + wp.uint64(history)
        rng = start(seed, number)
        history += workers
        origin = s.to_mm * random_place(s.places, rng) + s.origin_mm
        rng = rng + GOLDEN + GOLDEN + GOLDEN
        if inside(g, origin) == 0:
            continue
        z = mixed(rng + GOLDEN)
        d = mixed(rng + GOLDEN + GOLDEN)
        rng = rng + GOLDEN + GOLDEN
        n = wp.min(int(first_unit(z) * float(s.bins)), s.bins - 1)
        kev = s.kev[n] + second_unit(z) * (s.kev[n + 1] - s.kev[n])
        kind = wp.where(s.positrons == 1, POSITRON, ELECTRON)
        top = push(stack, base, 0, counters, kind, kev, origin, isotropic(d))
        give_streams(stack, base, 0, top, rng)
        seen = int(0)
        crystal_a = int(0)
        path_a = float(0.0)
        scattered_a = int(0)
        photons = int(0)
        code = wp.float64(0.0)
        while top > 0:
            top -= 1
            kind, kev, p, u = waiting_at(stack, base, top)
            own = stream_of(stack, base, top)
            waiting = top
            if kind == PHOTON:
                if kev < c.low_kev - 4.0 * c.energy_sd * REST:
                    continue
                if kev > REST - BLIND and kev < REST + BLIND:
                    own = own + GOLDEN
                    tilt = c.acollinear_sd * normal_pair(mixed(own))
                    angle = wp.sqrt(tilt[0] * tilt[0] + tilt[1] * tilt[1])
                    u = rotated(u, wp.cos(angle), wp.atan2(tilt[1], tilt[0]))
                photons += 1
                weight = single
                if s.positrons == 1 and photons == 2 and seen == 0:
                    # no coincidence can come of it; as a single it may stand for others
                    own = own + GOLDEN
                    if first_unit(mixed(own)) > LONE:
                        continue
                    weight = single / LONE
                least = 0.5 * c.low_kev
                kev, p, u, path, scattered, own = out_of_patient(g, m, kev, p, u, least, own)
                if kev > 0.0:
                    crystal, more, own = detected(c, m, kev, p + c.corner, u, own)
                    if crystal >= 0:
                        wp.atomic_add(tally, 1 + crystal, wp.float64(weight))
                        if seen == 0:
                            crystal_a = crystal
                            path_a = path + more
                            scattered_a = scattered
                        if seen == 1 and crystal != crystal_a:
                            ahead = 0.5 * (path + more - path_a)
                            tof_bin = int(0)
                            if c.timed == 1:
                                own = own + GOLDEN
                                ahead += c.tof_sd * normal_pair(mixed(own))[0]
                                tof_bin = c.tof_bins / 2 + int(wp.floor(ahead / c.bin_mm + 0.5))
                            if tof_bin >= 0 and tof_bin < wp.max(c.tof_bins, 1):
                                code = wp.float64(1.0) + wp.float64(crystal_a)
                                code += wp.float64(crystal) * SECOND_CRYSTAL + wp.float64(tof_bin) * TIME_BIN
                                code += wp.float64(wp.max(scattered_a, scattered)) * SCATTERED
                        seen += 1
            else:
                own, top = follow_electron(g, m, stack, base, top, tally, counters, kind, kev, p, u, own)
            give_streams(stack, base, waiting, top, own)
        if seen == 2 and code > wp.float64(0.0) and s.positrons == 1:
            at = 1 + crystals + int(number - batch)
            tally[at] = code


@wp.func
def place_of_crystals(c: Ring, rng: wp.uint64):
    """Random place of a module's plane, evenly over what its crystals share out among them."""
    z = mixed(rng)
    along = (first_unit(z) - 0.5) * float(c.crystals) * c.pitch_around
    modules = (c.places + c.gap) / (c.rings + c.gap)
    up = first_unit(mixed(rng + GOLDEN)) * float(modules * c.rings)
    module = wp.min(int(up) / c.rings, modules - 1)
    return wp.vec2(along, (up + float(module * c.gap) - 0.5 * float(c.places)) * c.pitch_along)


@wp.kernel(enable_backward=False)
def module_efficiency(
    m: Physics,
    c: Ring,
    depth: float,
    direction: wp.array(dtype=wp.vec3),
    kev: float,
    seed: wp.uint64,
    histories: int,
    start_at: int,
    found: wp.array(dtype=wp.float32),
):
    """Photons counted in the window of those on the crystals of a module, by direction (into it, around, along).

    Their places are spread evenly over the plane at the mean `depth`, where the model of lines has the crystals. What
    enters between two modules or at an end and hits the side of a crystal counts as well.
    """
    n = start_at + wp.tid()
    counted = int(0)
    d = direction[n]
    # what passes beyond an end at that depth may have met crystals before, or will behind
    reach = 0.5 * float(c.places) * c.pitch_along + c.thickness * wp.abs(d[2]) / d[0]
    for history in range(histories):
        rng = start(seed, wp.uint64(n) * wp.uint64(histories) + wp.uint64(history)) + GOLDEN
        z = (2.0 * first_unit(mixed(rng)) - 1.0) * reach - depth * d[2] / d[0]
        rng = rng + GOLDEN
        along = (first_unit(mixed(rng)) - 0.5) * c.width
        along -= depth * d[1] / d[0]
        total, _along, _z, _path, rng = in_module(c, m, kev, 0.0, d, along, z, MISSED, rng)
        counted += is_counted(c, total, rng + GOLDEN)
    modules = (c.places + c.gap) / (c.rings + c.gap)
    crystals = float(c.crystals * c.rings * modules) * c.pitch_around * c.pitch_along
    whole = c.width * 2.0 * reach / crystals
    found[n] = whole * float(counted) / float(histories)


@wp.kernel(enable_backward=False)
def from_the_middle(
    m: Physics,
    c: Ring,
    depth: float,
    size: wp.vec2,
    steepest: float,
    kev: float,
    seed: wp.uint64,
    histories: int,
    start_at: int,
    found: wp.array(dtype=wp.vec3),
):
    """Photons of a cylinder about the middle (radius and half length `size`), by themselves, and what becomes of them.

    Found are the tangents of the direction around and along where a photon crosses a crystal at the mean `depth`, as
    the model of lines has it (-1 where it crosses none), and whether it is counted.
    """
    n = start_at + wp.tid()
    plane = c
    plane.radius = c.radius + depth
    step = TWO_PI / float(c.modules)
    for history in range(histories):
        at = n * histories + history
        rng = start(seed, wp.uint64(at)) + GOLDEN
        z = mixed(rng)
        r = size[0] * wp.sqrt(first_unit(z))
        azimuth = TWO_PI * second_unit(z)
        rng = rng + GOLDEN
        z = mixed(rng)
        p = wp.vec3(r * wp.cos(azimuth), r * wp.sin(azimuth), (2.0 * first_unit(z) - 1.0) * size[1])
        up = (2.0 * second_unit(z) - 1.0) * steepest
        rng = rng + GOLDEN
        azimuth = TWO_PI * first_unit(mixed(rng))
        across = wp.sqrt(1.0 - up * up)
        u = wp.vec3(across * wp.cos(azimuth), across * wp.sin(azimuth), up)
        flight, module = flight_to_front(plane, p, u)
        q = p + flight * u
        cosine = wp.cos(float(module) * step)
        sine = wp.sin(float(module) * step)
        into = u[0] * cosine + u[1] * sine
        tangents = wp.vec2(-1.0, -1.0)
        along = q[1] * cosine - q[0] * sine
        # a place of its own module alone: those of its neighbours have their own plane
        own = wp.abs(along) < 0.5 * float(c.crystals) * c.pitch_around
        if flight > 0.0 and own and crystal_at(c, module, along, q[2]) != MISSED:
            tangents = wp.vec2(wp.abs(u[1] * cosine - u[0] * sine) / into, wp.abs(u[2]) / into)
        crystal, _path, rng = detected(c, m, kev, p, u, rng + GOLDEN)
        found[at] = wp.vec3(tangents[0], tangents[1], wp.where(crystal == MISSED, 0.0, 1.0))


@wp.kernel(enable_backward=False)
def own_decays(
    m: Physics,
    c: Ring,
    beta_kev: wp.array(dtype=wp.float32),
    bins: int,
    line_kev: wp.vec3,
    line_yield: wp.vec3,
    seed: wp.uint64,
    histories: int,
    found: wp.array(dtype=wp.float32),
):
    """Share of the decays within the crystals (beta particle and three gammas) that are counted in the window."""
    n = wp.tid()
    counted = int(0)
    for history in range(histories):
        rng = start(seed, wp.uint64(n) * wp.uint64(histories) + wp.uint64(history)) + GOLDEN
        bits = mixed(rng)
        at = wp.min(int(first_unit(bits) * float(bins)), bins - 1)
        total = beta_kev[at] + second_unit(bits) * (beta_kev[at + 1] - beta_kev[at])
        rng = rng + GOLDEN
        depth = first_unit(mixed(rng)) * c.thickness
        rng = rng + GOLDEN
        # within a crystal: what of its place lies between crystals is moved to the middle
        place = place_of_crystals(c, rng)
        home = block_at(c, place[0], place[1])
        if home == MISSED:
            up = wp.floor(place[1] / c.pitch_along + 0.5 * float(c.places)) + 0.5
            around = wp.floor(place[0] / c.pitch_around + 0.5 * float(c.crystals)) + 0.5
            place = wp.vec2(
                (around - 0.5 * float(c.crystals)) * c.pitch_around, (up - 0.5 * float(c.places)) * c.pitch_along
            )
            home = block_at(c, place[0], place[1])
        rng = rng + GOLDEN
        for line in range(3):
            rng = rng + GOLDEN
            chosen = mixed(rng)
            if first_unit(chosen) < line_yield[line]:
                rng = rng + GOLDEN
                d = isotropic(mixed(rng))
                left, _a, _z, _p, rng = in_module(c, m, line_kev[line], depth, d, place[0], place[1], home, rng)
                total += left
        counted += is_counted(c, total, rng + GOLDEN)
    found[n] = float(counted) / float(histories)
