"""Photons: Woodcock tracking, photoelectric effect, bound Compton and Rayleigh scattering, pair production."""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.phantom import (
    ELECTRON,
    ESCAPED_PHOTONS,
    INVERSE_KEV_ANGSTROM,
    N_ENERGIES,
    N_MOMENTA,
    POSITRON,
    REST,
    TWO_PI,
    Geometry,
    Physics,
    push,
    rotated,
    score,
)
from hepatica.transport.device.random import GOLDEN, first_unit, mixed, second_unit


@wp.func
def momentum_value(m: Physics, values: wp.array(dtype=wp.float32), medium: int, x: float) -> float:
    """Value at momentum transfer x (1/angstrom) from a table on the logarithmic grid."""
    place = wp.max((wp.log(wp.max(x, 1.0e-6)) - m.momentum_log_low) * m.momentum_per_log, 0.0)
    n = wp.min(int(place), N_MOMENTA - 2)
    part = wp.min(place - float(n), 1.0)
    at = medium * N_MOMENTA + n
    return values[at] + part * (values[at + 1] - values[at])


@wp.func
def compton(m: Physics, medium: int, kev: float, rng: wp.uint64) -> wp.vec3:
    """Energy of the scattered photon, its cosine, random numbers used: Klein-Nishina times S(x)/Z by rejection."""
    k = kev / REST
    low = 1.0 / (1.0 + 2.0 * k)
    a1 = -wp.log(low)
    a2 = 0.5 * (1.0 - low * low)
    state = rng
    used = float(0.0)
    eps = float(1.0)
    cosine = float(1.0)
    accepted = int(0)
    while accepted == 0 and used < 1000.0:
        state += GOLDEN
        bits = mixed(state)
        state += GOLDEN
        more = mixed(state)
        used += 2.0
        r = second_unit(bits)
        if first_unit(bits) * (a1 + a2) < a1:
            eps = wp.exp(-a1 * r)
        else:
            eps = wp.sqrt(low * low + (1.0 - low * low) * r)
        t = (1.0 - eps) / (k * eps)
        cosine = 1.0 - t
        sine2 = wp.max(t * (2.0 - t), 0.0)
        x = kev * INVERSE_KEV_ANGSTROM * wp.sqrt(wp.max(0.5 * t, 0.0))
        g = (1.0 - eps * sine2 / (1.0 + eps * eps)) * momentum_value(m, m.scattering, medium, x)
        if first_unit(more) <= g:
            accepted = 1
    return wp.vec3(eps * kev, cosine, used)


@wp.func
def rayleigh_cosine(m: Physics, medium: int, kev: float, rng: wp.uint64) -> wp.vec2:
    """Cosine from the squared form factor, accepted with the Thomson factor; and the random numbers used."""
    largest = kev * INVERSE_KEV_ANGSTROM
    total = momentum_value(m, m.form, medium, largest)
    base = medium * N_MOMENTA
    state = rng
    used = float(0.0)
    cosine = float(1.0)
    accepted = int(0)
    while accepted == 0 and used < 200.0:
        state += GOLDEN
        used += 1.0
        bits = mixed(state)
        wanted = first_unit(bits) * total
        a = int(0)
        b = N_MOMENTA - 1
        while b - a > 1:
            middle = (a + b) / 2
            if m.form[base + middle] < wanted:
                a = middle
            else:
                b = middle
        x2 = float(0.0)
        xa = wp.exp(m.momentum_log_low + float(a) / m.momentum_per_log)
        xb = wp.exp(m.momentum_log_low + float(b) / m.momentum_per_log)
        fa = m.form[base + a]
        fb = m.form[base + b]
        if wanted < fa:
            x2 = xa * xa * wanted / fa
        else:
            x2 = xa * xa + (xb * xb - xa * xa) * (wanted - fa) / wp.max(fb - fa, 1.0e-30)
        cosine = wp.clamp(1.0 - 2.0 * x2 / (largest * largest), -1.0, 1.0)
        if second_unit(bits) <= 0.5 * (1.0 + cosine * cosine):
            accepted = 1
    return wp.vec2(cosine, used)


@wp.func
def sauter_cosine(kev: float, rng: wp.uint64) -> wp.vec2:
    """Direction of a K photoelectron (Sauter 1931, sampled as in the PENELOPE manual); and the random numbers used."""
    gamma = 1.0 + kev / REST
    beta = wp.sqrt(kev * (kev + 2.0 * REST)) / (kev + REST)
    a = 1.0 / beta - 1.0
    b = 0.5 * beta * gamma * (gamma - 1.0) * (gamma - 2.0)
    highest = 2.0 * (1.0 / a + b)
    state = rng
    used = float(0.0)
    t = float(0.0)
    accepted = int(0)
    while accepted == 0 and used < 200.0:
        state += GOLDEN
        used += 1.0
        bits = mixed(state)
        r = first_unit(bits)
        t = 2.0 * a * (2.0 * r + (a + 2.0) * wp.sqrt(r)) / ((a + 2.0) * (a + 2.0) - 4.0 * r)
        if second_unit(bits) * highest <= (2.0 - t) * (1.0 / (a + t) + b):
            accepted = 1
    return wp.vec2(1.0 - t, used)


@wp.func
def inside(g: Geometry, p: wp.vec3) -> int:
    if g.radial == 1:
        return 1
    if p[0] < 0.0 or p[1] < 0.0 or p[2] < 0.0:
        return 0
    if p[0] >= float(g.nx) * g.sx or p[1] >= float(g.ny) * g.sy or p[2] >= float(g.nz) * g.sz:
        return 0
    return 1


@wp.func
def voxel_at(g: Geometry, p: wp.vec3) -> int:
    if g.radial == 1:
        return 0
    i = wp.min(int(p[0] / g.sx), g.nx - 1)
    j = wp.min(int(p[1] / g.sy), g.ny - 1)
    k = wp.min(int(p[2] / g.sz), g.nz - 1)
    return (i * g.ny + j) * g.nz + k


@wp.func
def follow_photon(
    g: Geometry,
    m: Physics,
    stack: wp.array(dtype=wp.float32),
    base: int,
    waiting: int,
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
    start_kev: float,
    start_at: wp.vec3,
    start_u: wp.vec3,
    seed: wp.uint64,
):
    rng = seed
    top = int(waiting)
    kev = float(start_kev)
    p = start_at
    u = start_u
    alive = int(1)
    entry = int(-1)
    part = float(0.0)
    while alive == 1:
        if entry < 0:
            if kev < m.photon_cutoff:
                if inside(g, p) == 1:
                    score(g, tally, voxel_at(g, p), p, kev)
                else:
                    wp.atomic_add(counters, ESCAPED_PHOTONS, wp.float64(kev))
                return rng, top
            place = (wp.log(kev) - m.photon_log_low) * m.photon_per_log
            entry = wp.min(wp.max(int(place), 0), N_ENERGIES - 2)
            part = wp.clamp(place - float(entry), 0.0, 1.0)
        bits = mixed(rng + GOLDEN)
        rng = rng + GOLDEN
        highest = wp.max(m.majorant[entry], m.majorant[entry + 1])
        p = p - wp.log(first_unit(bits)) / highest * u
        if inside(g, p) == 0:
            wp.atomic_add(counters, ESCAPED_PHOTONS, wp.float64(kev))
            return rng, top
        voxel = voxel_at(g, p)
        medium = int(g.medium[voxel])
        at = medium * N_ENERGIES + entry
        real = (m.attenuation[at] + part * (m.attenuation[at + 1] - m.attenuation[at])) * g.density[voxel]
        if second_unit(bits) * highest < real:
            bits = mixed(rng + GOLDEN)
            more = mixed(rng + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN
            azimuth = TWO_PI * second_unit(bits)
            shares = m.shares[at] + part * (m.shares[at + 1] - m.shares[at])
            pick = first_unit(bits)
            if pick < shares[0]:
                if kev > m.cutoff:
                    drawn = sauter_cosine(kev, rng)
                    rng = rng + wp.uint64(drawn[1]) * GOLDEN
                    top = push(stack, base, top, counters, ELECTRON, kev, p, rotated(u, drawn[0], azimuth))
                else:
                    score(g, tally, voxel, p, kev)
                alive = 0
            elif pick < shares[0] + shares[1]:
                drawn = rayleigh_cosine(m, medium, kev, rng)
                rng = rng + wp.uint64(drawn[1]) * GOLDEN
                u = rotated(u, drawn[0], azimuth)
            elif pick < shares[0] + shares[1] + shares[2] and kev > 2.0 * REST:
                share = (kev - 2.0 * REST) * first_unit(more)
                top = push(stack, base, top, counters, POSITRON, share, p, u)
                top = push(stack, base, top, counters, ELECTRON, kev - 2.0 * REST - share, p, u)
                alive = 0
            else:
                result = compton(m, medium, kev, rng)
                rng = rng + wp.uint64(result[2]) * GOLDEN
                freed = kev - result[0]
                if freed > m.cutoff:
                    momentum = wp.sqrt(freed * (freed + 2.0 * REST))
                    c = wp.clamp((kev - result[0] * result[1]) / momentum, -1.0, 1.0)
                    top = push(stack, base, top, counters, ELECTRON, freed, p, rotated(u, c, azimuth + 3.1415927))
                else:
                    score(g, tally, voxel, p, freed)
                u = rotated(u, result[1], azimuth)
                kev = result[0]
                entry = -1
    return rng, top
