"""Electrons: down the ladder of energies, through voxels, with hard events; see `stepping`.

The deflection of a rung happens at one random energy inside it (random hinge, as in PENELOPE), in the medium that the
electron is in at that energy. Energy is laid down along the path, in proportion to the mass thickness crossed.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import BEYOND, FAR, Geometry, clamped_index, density_in, medium_in, voxel_of
from hepatica.transport.device.physics import REST, Physics
from hepatica.transport.device.random import GOLDEN, TWO_PI, first_unit, isotropic, mixed, rotated, second_unit
from hepatica.transport.device.stack import ELECTRON, ESCAPED_ELECTRONS, PHOTON, POSITRON, push, score
from hepatica.transport.matter.scattering import QUANTILES
from hepatica.transport.matter.stepping import SPECTRUM_NODES

N_QUANTILES = wp.constant(QUANTILES)
N_SPECTRUM = wp.constant(SPECTRUM_NODES)
NUMBERS_OF_STEP = wp.constant(wp.uint64(9))
"""Random numbers set aside for a step: two for a photon made late, seven for the step itself."""

REST_REACH = wp.constant(0.6)
"""How far the energy of an electron that is not followed further lies along its direction: evenly up to this part of
its range, so that its mean depth (0.3 of the range) is about that of electrons of 0.1 to 1 MeV in water, which
scattering turns from their course. It matters only where the dose's voxels are not those of the matter."""


@wp.func
def hard_loss(kev: float, low: float, seed: wp.uint64):
    """Energy (keV) of an electron set free by a Moller collision, at least `low`; and the random state.

    From 1/W^2 between `low` and half the energy, accepted with the exact ratio (bounded by its value at half).
    """
    total = kev + REST
    c1 = (kev / total) * (kev / total)
    c2 = REST * (2.0 * kev + REST) / (total * total)
    half = 0.5 * kev
    bound = wp.max(2.0 + 0.25 * c1 - c2, 1.0)
    tries = int(0)
    loss = half
    accepted = int(0)
    rng = seed
    while accepted == 0 and tries < 200:
        tries += 1
        rng += GOLDEN
        z = mixed(rng)
        loss = 1.0 / (1.0 / low - first_unit(z) * (1.0 / low - 1.0 / half))
        x = loss / kev
        y = x / (1.0 - x)
        ratio = 1.0 + y * y + c1 * x * x - c2 * y
        if second_unit(z) * bound <= ratio:
            accepted = 1
    return loss, rng


@wp.func
def photon_energy(m: Physics, rung: int, kev: float, unit: float) -> float:
    """Energy of a bremsstrahlung photon of an electron of `kev` in that rung."""
    v = unit * float(N_SPECTRUM)
    n = wp.min(int(v), N_SPECTRUM - 1)
    at = rung * (N_SPECTRUM + 1) + n
    x = m.brems[at] + (v - float(n)) * (m.brems[at + 1] - m.brems[at])
    return m.photon_cutoff * wp.exp(x * wp.log(kev / m.photon_cutoff))


@wp.func
def stop(
    m: Physics,
    stack: wp.array(dtype=wp.float32),
    base: int,
    waiting: int,
    counters: wp.array(dtype=wp.float64),
    kind: int,
    p: wp.vec3,
    rng: wp.uint64,
) -> int:
    """Annihilate a positron at rest; an electron just stops."""
    top = waiting
    if kind == POSITRON:
        u = isotropic(mixed(rng + GOLDEN))
        top = push(stack, base, top, counters, PHOTON, REST, p, u)
        top = push(stack, base, top, counters, PHOTON, REST, p, -u)
    return top


@wp.func
def late_photon(
    m: Physics,
    stack: wp.array(dtype=wp.float32),
    base: int,
    top: int,
    counters: wp.array(dtype=wp.float64),
    medium: int,
    rung: int,
    kev: float,
    p: wp.vec3,
    rng: wp.uint64,
) -> float:
    """Bremsstrahlung of an electron that is not followed further because it cannot leave its voxel.

    At most one photon, with the expected number of them as its probability, of the rung it would have been emitted in;
    returns its energy (0: none). Called where that number is far below 1.
    """
    expected = m.reach[medium * m.rungs + rung][1]
    first = mixed(rng + GOLDEN)
    chosen = first_unit(first)
    if chosen >= expected:
        return 0.0
    n = rung
    while n < m.rungs - 1 and m.reach[medium * m.rungs + n + 1][1] > chosen:
        n += 1
    photon = photon_energy(m, n, wp.min(kev, m.energy[n]), second_unit(first))
    if photon >= kev or photon < m.photon_cutoff:
        return 0.0
    push(stack, base, top, counters, PHOTON, photon, p, isotropic(mixed(rng + GOLDEN + GOLDEN)))
    return photon


@wp.func
def follow_electron(
    g: Geometry,
    m: Physics,
    stack: wp.array(dtype=wp.float32),
    base: int,
    waiting: int,
    tally: wp.array(dtype=wp.float64),
    counters: wp.array(dtype=wp.float64),
    kind: int,
    start_kev: float,
    start_at: wp.vec3,
    start_u: wp.vec3,
    seed: wp.uint64,
):
    rng = seed
    top = int(waiting)
    kev = float(start_kev)
    u = start_u
    i = int(0)
    j = int(0)
    k = int(0)
    # position within the voxel (radial geometry: from the source, with no boundary ever in reach)
    x = float(start_at[0])
    y = float(start_at[1])
    z = float(start_at[2])
    if g.radial == 0:
        if g.endless == 1:
            i = int(wp.floor(x / g.sx))
            j = int(wp.floor(y / g.sy))
            k = int(wp.floor(z / g.sz))
        else:
            i = clamped_index(x, g.sx, g.nx)
            j = clamped_index(y, g.sy, g.ny)
            k = clamped_index(z, g.sz, g.nz)
        x = wp.clamp(x - float(i) * g.sx, 0.0, g.sx)
        y = wp.clamp(y - float(j) * g.sy, 0.0, g.sy)
        z = wp.clamp(z - float(k) * g.sz, 0.0, g.sz)
    voxel = voxel_of(g, i, j, k)
    rho = density_in(g, voxel)
    medium = medium_in(g, voxel)
    rung = int(0)
    if kev > m.cutoff:
        rung = wp.min(wp.max(int((m.log_top - wp.log(kev)) * m.inverse_log_ratio), 0), m.rungs - 2)
    # every step has numbers of its own, so that the same electron in other matter keeps its numbers step by step
    step = rng
    bits = mixed(rng + GOLDEN)
    rng = rng + GOLDEN
    to_hard = float(-wp.log(first_unit(bits)))
    share = float(0.0)
    part = float(0.0)
    first_kev = float(kev)
    loss_kev = float(0.0)
    done = float(0.0)
    hinge = float(0.0)
    held = float(0.0)
    rest = float(0.0)
    fresh = int(1)
    alive = int(1)
    while alive == 1:
        if fresh == 1:
            # a new step: one rung's worth of path from wherever the energy is
            fresh = 0
            if kev <= m.cutoff:
                alive = 0
            else:
                while rung < m.rungs - 2 and kev <= m.energy[rung + 1]:
                    rung += 1
                at = medium * m.rungs + rung
                if g.radial == 0:
                    near = wp.min(wp.min(x, g.sx - x), wp.min(wp.min(y, g.sy - y), wp.min(z, g.sz - z)))
                    if m.reach[at][0] < near * rho and m.reach[at][1] < 0.05:
                        p = wp.vec3(x + float(i) * g.sx, y + float(j) * g.sy, z + float(k) * g.sz)
                        photon = late_photon(m, stack, base, top, counters, medium, rung, kev, p, rng)
                        if photon > 0.0:
                            top += 1
                        kev -= photon
                        alive = 0
                        rest = m.reach[at][0] / rho
                upper = m.energy[rung]
                width = upper - m.energy[rung + 1]
                part = (upper - kev) / width
                step = rng + GOLDEN + GOLDEN
                rng = rng + NUMBERS_OF_STEP * GOLDEN
                bits = mixed(step + GOLDEN)
                more = mixed(step + GOLDEN + GOLDEN)
                hinge = first_unit(bits)
                share = second_unit(more)
                spread = (second_unit(bits) + first_unit(more) - 1.0) * 2.4494897
                first_kev = kev
                # the next rung is narrower by the ladder's ratio
                loss_kev = width * (1.0 + part * (m.ratio - 1.0)) * (1.0 + m.step[at][1] * spread)
                done = 0.0
        if alive == 1:
            at = medium * m.rungs + rung
            s = m.step[at]
            t = m.step[at + 1]
            full = (s[0] + part * (t[0] - s[0] - (1.0 - part) * m.reach[at][2])) / rho
            hard = s[2] + part * (t[2] - s[2])
            end = float(1.0)
            event = int(0)
            if hinge > done:
                end = hinge
                event = 1
            hard_at = done + to_hard / hard
            if hard_at < end:
                end = hard_at
                event = 2
            length = (end - done) * full
            if g.radial == 0:
                tx = wp.where(u[0] > 0.0, (g.sx - x) / u[0], wp.where(u[0] < 0.0, -x / u[0], FAR))
                ty = wp.where(u[1] > 0.0, (g.sy - y) / u[1], wp.where(u[1] < 0.0, -y / u[1], FAR))
                tz = wp.where(u[2] > 0.0, (g.sz - z) / u[2], wp.where(u[2] < 0.0, -z / u[2], FAR))
                border = wp.min(tx, wp.min(ty, tz))
                if border < length:
                    length = border
                    end = wp.min(done + border / full, end)
                    event = 3 + wp.where(tx <= ty, wp.where(tx <= tz, 0, 2), wp.where(ty <= tz, 1, 2))
            loss = wp.min(kev, wp.max(kev - (first_kev - end * loss_kev), 0.0))
            kev -= loss
            to_hard -= (end - done) * hard
            done = end
            if g.radial == 1 or g.scored == 1:
                # the energy of a piece of path lies at one random point of it
                along = length * share
                p = wp.vec3(x + float(i) * g.sx, y + float(j) * g.sy, z + float(k) * g.sz)
                score(g, tally, voxel, p + along * u, loss)
            else:
                held += loss
            x += length * u[0]
            y += length * u[1]
            z += length * u[2]
            if event == 0:
                fresh = 1
            elif event == 1:
                bits = mixed(step + GOLDEN * wp.uint64(3))
                more = mixed(step + GOLDEN * wp.uint64(4))
                v = (1.0 - wp.sqrt(wp.max(1.0 - first_unit(bits), 0.0))) * float(N_QUANTILES)
                n = wp.min(int(v), N_QUANTILES - 1)
                # between two rungs the angle is drawn from either, in proportion
                q = (at + wp.where(first_unit(more) < part, 1, 0)) * (N_QUANTILES + 1) + n
                mu = m.angle[q] + (v - float(n)) * (m.angle[q + 1] - m.angle[q])
                u = rotated(u, 1.0 - 2.0 * mu, TWO_PI * second_unit(bits))
            elif event == 2:
                fresh = 1
                bits = mixed(step + GOLDEN * wp.uint64(5))
                more = mixed(step + GOLDEN * wp.uint64(6))
                last = mixed(step + GOLDEN * wp.uint64(7))
                to_hard = -wp.log(second_unit(more))
                p = wp.vec3(x + float(i) * g.sx, y + float(j) * g.sy, z + float(k) * g.sz)
                if first_unit(bits) < s[3] + part * (t[3] - s[3]):
                    photon = photon_energy(m, rung, kev, second_unit(bits))
                    if photon < kev:
                        beta = wp.sqrt(kev * (kev + 2.0 * REST)) / (kev + REST)
                        c = 2.0 * first_unit(more) - 1.0
                        c = (c + beta) / (1.0 + c * beta)
                        top = push(
                            stack, base, top, counters, PHOTON, photon, p, rotated(u, c, TWO_PI * first_unit(last))
                        )
                        # where photons are made more often, only some of them cost the electron their energy
                        if second_unit(last) <= m.photon_loss_share:
                            kev -= photon
                else:
                    lowest = m.hard_limit[rung] * (1.0 + part * (m.hard_limit[rung + 1] / m.hard_limit[rung] - 1.0))
                    if kev > 2.0 * lowest:
                        loss, last = hard_loss(kev, lowest, last)
                        azimuth = TWO_PI * first_unit(more)
                        fast = kev - loss
                        c = wp.sqrt(wp.min(loss * (kev + 2.0 * REST) / (kev * (loss + 2.0 * REST)), 1.0))
                        top = push(stack, base, top, counters, ELECTRON, loss, p, rotated(u, c, azimuth))
                        c = wp.sqrt(wp.min(fast * (kev + 2.0 * REST) / (kev * (fast + 2.0 * REST)), 1.0))
                        u = rotated(u, c, azimuth + 3.1415927)
                        kev = fast
            else:
                if g.scored == 0:
                    if voxel >= 0:
                        wp.atomic_add(tally, g.first_score + voxel, wp.float64(held) * wp.float64(g.weight))
                    held = 0.0
                if event == 3:
                    i += wp.where(u[0] > 0.0, 1, -1)
                    x = wp.where(u[0] > 0.0, 0.0, g.sx)
                    y = wp.clamp(y, 0.0, g.sy)
                    z = wp.clamp(z, 0.0, g.sz)
                elif event == 4:
                    j += wp.where(u[1] > 0.0, 1, -1)
                    y = wp.where(u[1] > 0.0, 0.0, g.sy)
                    x = wp.clamp(x, 0.0, g.sx)
                    z = wp.clamp(z, 0.0, g.sz)
                else:
                    k += wp.where(u[2] > 0.0, 1, -1)
                    z = wp.where(u[2] > 0.0, 0.0, g.sz)
                    x = wp.clamp(x, 0.0, g.sx)
                    y = wp.clamp(y, 0.0, g.sy)
                voxel = voxel_of(g, i, j, k)
                if voxel == BEYOND and g.endless == 0:
                    escaped = kev
                    if kind == POSITRON:
                        escaped += 2.0 * REST
                    wp.atomic_add(counters, ESCAPED_ELECTRONS, wp.float64(escaped) * wp.float64(g.weight))
                    return rng, top
                rho = density_in(g, voxel)
                medium = medium_in(g, voxel)
    held += kev
    p = wp.vec3(x + float(i) * g.sx, y + float(j) * g.sy, z + float(k) * g.sz)
    if g.scored == 1 and rest > 0.0:
        # the rest of the path stays in this voxel of matter, but may lead into another one of the score
        bits = mixed(rng + GOLDEN)
        rng = rng + GOLDEN
        score(g, tally, voxel, p + (REST_REACH * first_unit(bits) * rest) * u, held)
    else:
        score(g, tally, voxel, p, held)
    top = stop(m, stack, base, top, counters, kind, p, rng)
    return rng + GOLDEN, top
