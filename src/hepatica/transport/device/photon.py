"""Photons: Woodcock tracking, photoelectric effect, bound Compton and Rayleigh scattering, pair production."""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import Geometry, density_in, inside, medium_in, voxel_at
from hepatica.transport.device.physics import (
    INVERSE_KEV_ANGSTROM,
    N_ENERGIES,
    N_MOMENTA,
    REST,
    Physics,
    attenuation,
    energy_place,
    momentum_transfer,
    momentum_value,
    shares,
)
from hepatica.transport.device.random import GOLDEN, TWO_PI, first_unit, isotropic, mixed, rotated, second_unit
from hepatica.transport.device.stack import ELECTRON, ESCAPED_PHOTONS, PHOTON, POSITRON, push, score
from hepatica.transport.matter.photons import K_ALPHA_KEV, K_ALPHA_SHARE, K_BETA_KEV, K_EDGE_KEV

K_EDGE = wp.constant(K_EDGE_KEV)
K_ALPHA = wp.constant(K_ALPHA_KEV)
K_BETA = wp.constant(K_BETA_KEV)
ALPHA_SHARE = wp.constant(K_ALPHA_SHARE)


@wp.func
def compton(m: Physics, medium: int, kev: float, seed: wp.uint64):
    """Energy of the scattered photon, its cosine, the random state: Klein-Nishina times S(x)/Z by rejection."""
    k = kev / REST
    low = 1.0 / (1.0 + 2.0 * k)
    a1 = -wp.log(low)
    a2 = 0.5 * (1.0 - low * low)
    rng = seed
    tries = int(0)
    eps = float(1.0)
    cosine = float(1.0)
    accepted = int(0)
    while accepted == 0 and tries < 500:
        tries += 1
        rng += GOLDEN
        bits = mixed(rng)
        rng += GOLDEN
        more = mixed(rng)
        r = second_unit(bits)
        if first_unit(bits) * (a1 + a2) < a1:
            eps = wp.exp(-a1 * r)
        else:
            eps = wp.sqrt(low * low + (1.0 - low * low) * r)
        t = (1.0 - eps) / (k * eps)
        cosine = 1.0 - t
        sine2 = wp.max(t * (2.0 - t), 0.0)
        x = momentum_transfer(kev, t)
        g = (1.0 - eps * sine2 / (1.0 + eps * eps)) * momentum_value(m, m.scattering, medium, x)
        if first_unit(more) <= g:
            accepted = 1
    return eps * kev, cosine, rng


@wp.func
def rayleigh_cosine(m: Physics, medium: int, kev: float, seed: wp.uint64):
    """Cosine from the squared form factor, accepted with the Thomson factor; and the random state."""
    largest = kev * INVERSE_KEV_ANGSTROM
    total = momentum_value(m, m.form, medium, largest)
    base = medium * N_MOMENTA
    rng = seed
    tries = int(0)
    cosine = float(1.0)
    accepted = int(0)
    while accepted == 0 and tries < 200:
        tries += 1
        rng += GOLDEN
        bits = mixed(rng)
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
    return cosine, rng


@wp.func
def sauter_cosine(kev: float, seed: wp.uint64):
    """Direction of a K photoelectron (Sauter 1931, sampled as in the PENELOPE manual); and the random state."""
    gamma = 1.0 + kev / REST
    beta = wp.sqrt(kev * (kev + 2.0 * REST)) / (kev + REST)
    a = 1.0 / beta - 1.0
    b = 0.5 * beta * gamma * (gamma - 1.0) * (gamma - 2.0)
    highest = 2.0 * (1.0 / a + b)
    rng = seed
    tries = int(0)
    t = float(0.0)
    accepted = int(0)
    while accepted == 0 and tries < 200:
        tries += 1
        rng += GOLDEN
        bits = mixed(rng)
        r = first_unit(bits)
        t = 2.0 * a * (2.0 * r + (a + 2.0) * wp.sqrt(r)) / ((a + 2.0) * (a + 2.0) - 4.0 * r)
        if second_unit(bits) * highest <= (2.0 - t) * (1.0 / (a + t) + b):
            accepted = 1
    return 1.0 - t, rng


@wp.func
def fly(g: Geometry, m: Physics, origin: wp.vec3, u: wp.vec3, entry: int, part: float, seed: wp.uint64):
    """Follow a photon to its next collision (Woodcock); place, voxel (-1: it left the voxels), medium, random state."""
    rng = seed
    p = origin
    highest = wp.max(m.majorant[entry], m.majorant[entry + 1])
    voxel = int(-1)
    medium = int(0)
    flying = int(1)
    while flying == 1:
        rng = rng + GOLDEN
        bits = mixed(rng)
        p = p - wp.log(first_unit(bits)) / highest * u
        if inside(g, p) == 0:
            voxel = -1
            flying = 0
        else:
            voxel = voxel_at(g, p)
            medium = medium_in(g, voxel)
            if second_unit(bits) * highest < attenuation(m, medium, entry, part, density_in(g, voxel)):
                flying = 0
    return p, voxel, medium, rng


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
                    wp.atomic_add(counters, ESCAPED_PHOTONS, wp.float64(kev) * wp.float64(g.weight))
                return rng, top
            entry, part = energy_place(m, kev)
        p, voxel, medium, rng = fly(g, m, p, u, entry, part, rng)
        if voxel == -1:
            wp.atomic_add(counters, ESCAPED_PHOTONS, wp.float64(kev) * wp.float64(g.weight))
            return rng, top
        bits = mixed(rng + GOLDEN)
        more = mixed(rng + GOLDEN + GOLDEN)
        rng = rng + GOLDEN + GOLDEN
        azimuth = TWO_PI * second_unit(bits)
        share = shares(m, medium, entry, part)
        chosen = first_unit(bits)
        if chosen < share[0]:
            if first_unit(more) < m.fluorescence[medium * N_ENERGIES + entry]:
                # a K x ray of iodine: the rest of the vacancy's energy stays
                line = wp.where(second_unit(more) < ALPHA_SHARE, K_ALPHA, K_BETA)
                top = push(stack, base, top, counters, PHOTON, line, p, isotropic(mixed(rng + GOLDEN)))
                rng = rng + GOLDEN
                score(g, tally, voxel, p, K_EDGE - line)
                kev -= K_EDGE
            if kev > m.cutoff:
                cosine, rng = sauter_cosine(kev, rng)
                top = push(stack, base, top, counters, ELECTRON, kev, p, rotated(u, cosine, azimuth))
            else:
                score(g, tally, voxel, p, kev)
            alive = 0
        elif chosen < share[0] + share[1]:
            cosine, rng = rayleigh_cosine(m, medium, kev, rng)
            u = rotated(u, cosine, azimuth)
        elif chosen < share[0] + share[1] + share[2] and kev > 2.0 * REST:
            first = (kev - 2.0 * REST) * first_unit(more)
            top = push(stack, base, top, counters, POSITRON, first, p, u)
            top = push(stack, base, top, counters, ELECTRON, kev - 2.0 * REST - first, p, u)
            alive = 0
        else:
            left, cosine, rng = compton(m, medium, kev, rng)
            freed = kev - left
            if freed > m.cutoff:
                momentum = wp.sqrt(freed * (freed + 2.0 * REST))
                c = wp.clamp((kev - left * cosine) / momentum, -1.0, 1.0)
                top = push(stack, base, top, counters, ELECTRON, freed, p, rotated(u, c, azimuth + 3.1415927))
            else:
                score(g, tally, voxel, p, freed)
            u = rotated(u, cosine, azimuth)
            kev = left
            entry = -1
    return rng, top
