"""Forced detection, in NVIDIA Warp: what one place where a photon is born or scatters adds to the views.

For a view, a direction is drawn from the camera's angular response about the detector's normal; the weight is the
chance of emission or scatter into that direction, times the transmission along the ray out of the patient, times
response over probability. Positions are in mm from the corner of the patient's grid, whose axes are those of LPS.

Coherent scattering is peaked so sharply that its weights would dominate the noise. It is therefore taken in another
order: the ray that has been drawn is where the photon goes *after* its last coherent scatter; the direction before is
the same one turned back by a sampled angle, and the photon scatters at a point drawn on the way ("satellite"). The
first coherent scatter after an emission or a Compton scatter is treated so; what comes after it is attenuated by all
but coherent scattering, that is, a second coherent scatter on the way out turns the photon no further.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import (
    FAR,
    Geometry,
    clamped_index,
    entry_to,
    exit_from,
    inside,
    tilted,
    voxel_at,
)
from hepatica.transport.device.photon import rayleigh_cosine
from hepatica.transport.device.physics import (
    N_ENERGIES,
    REST,
    Physics,
    compton_kev,
    energy_place,
    momentum_transfer,
    momentum_value,
)
from hepatica.transport.device.random import (
    GOLDEN,
    TWO_PI,
    alias,
    first_unit,
    mixed,
    rotated,
    second_unit,
    third_unit,
)

ISOTROPIC = wp.constant(0.07957747)
SATELLITE_PER_MM = wp.constant(0.01)
DARK = wp.constant(20.0)


@wp.struct
class Rays:
    """Attenuation as two integrals along a ray, weighted by energy; see patient.Basis."""

    basis: wp.array(dtype=wp.vec2)
    total: wp.array(dtype=wp.vec4)
    compton_norm: wp.array(dtype=wp.float32)


@wp.struct
class Camera:
    """Views, pixels, and tables of the detector's response, see camera.ResponseTables."""

    views: int
    stride: int
    columns: int
    rows: int
    windows: int
    parts: int
    pixel_u: float
    pixel_v: float
    axis_x: float
    axis_y: float
    z_low: float
    place: wp.array(dtype=wp.vec3)
    energies: int
    log_low: float
    per_log: float
    bins: int
    cosine: wp.array(dtype=wp.float32)
    keep: wp.array(dtype=wp.float32)
    other: wp.array(dtype=wp.int32)
    inverse_share: wp.array(dtype=wp.float32)
    chance: wp.array(dtype=wp.float32)
    chance_sum: wp.array(dtype=wp.float32)
    importance: wp.array(dtype=wp.float32)
    depth: wp.array(dtype=wp.float32)
    blur: wp.array(dtype=wp.float32)
    lowest_kev: float
    least: float
    satellite: float
    max_scatter: int


@wp.func
def response_place(c: Camera, kev: float):
    """Tabulated energy next below (log energy), and how far it is to the next."""
    place = wp.clamp((wp.log(kev) - c.log_low) * c.per_log, 0.0, float(c.energies) - 1.001)
    row = int(place)
    return row, place - float(row)


@wp.func
def response_row(c: Camera, kev: float, unit: float) -> int:
    """Tabulated energy next below or above, at random in proportion (log energy)."""
    row, part = response_place(c, kev)
    if unit < part:
        row += 1
    return row


@wp.func
def direction_bin(c: Camera, row: int, bits: wp.uint64) -> int:
    """Bin of the angle to the detector's normal."""
    return alias(c.keep, c.other, row, c.bins, bits)


@wp.func
def importance_at(c: Camera, kev: float) -> float:
    row, part = response_place(c, kev)
    return c.importance[row] + part * (c.importance[row + 1] - c.importance[row])


@wp.func
def attenuation_at(m: Physics, r: Rays, kev: float) -> wp.vec4:
    """Attenuation per unit of the two integrals: all processes (two numbers), coherent scattering alone (two)."""
    entry, part = energy_place(m, kev)
    return r.total[entry] + part * (r.total[entry + 1] - r.total[entry])


@wp.func
def along(g: Geometry, r: Rays, start: wp.vec3, direction: wp.vec3, length: float) -> wp.vec2:
    """The two integrals from `start` over at most `length` mm or to the end of the voxels.

    Exact: from voxel border to voxel border (Amanatides and Woo, Eurographics 1987).
    """
    u = tilted(direction)
    p = start
    skipped = float(0.0)
    if inside(g, p) == 0:
        skipped = entry_to(g, p, u)
        if skipped < 0.0 or skipped >= length:
            return wp.vec2(0.0, 0.0)
        p = p + (skipped + 1.0e-3) * u
    i = clamped_index(p[0], g.sx, g.nx)
    j = clamped_index(p[1], g.sy, g.ny)
    k = clamped_index(p[2], g.sz, g.nz)
    voxel = (i * g.ny + j) * g.nz + k
    step_x = wp.where(u[0] > 0.0, g.ny * g.nz, -g.ny * g.nz)
    step_y = wp.where(u[1] > 0.0, g.nz, -g.nz)
    step_z = wp.where(u[2] > 0.0, 1, -1)
    # voxels left to cross along each axis
    left_x = wp.where(u[0] > 0.0, g.nx - 1 - i, i)
    left_y = wp.where(u[1] > 0.0, g.ny - 1 - j, j)
    left_z = wp.where(u[2] > 0.0, g.nz - 1 - k, k)
    width_x = g.sx / wp.abs(u[0])
    width_y = g.sy / wp.abs(u[1])
    width_z = g.sz / wp.abs(u[2])
    tx = (float(i + wp.where(u[0] > 0.0, 1, 0)) * g.sx - p[0]) / u[0]
    ty = (float(j + wp.where(u[1] > 0.0, 1, 0)) * g.sy - p[1]) / u[1]
    tz = (float(k + wp.where(u[2] > 0.0, 1, 0)) * g.sz - p[2]) / u[2]
    limit = length - skipped
    t = float(0.0)
    a = float(0.0)
    b = float(0.0)
    going = int(1)
    while going == 1:
        here = r.basis[voxel]
        before = t
        if tx <= ty and tx <= tz:
            t = tx
            tx += width_x
            voxel += step_x
            left_x -= 1
            if left_x < 0:
                going = 0
        elif ty <= tz:
            t = ty
            ty += width_y
            voxel += step_y
            left_y -= 1
            if left_y < 0:
                going = 0
        else:
            t = tz
            tz += width_z
            voxel += step_z
            left_z -= 1
            if left_z < 0:
                going = 0
        if t >= limit:
            t = limit
            going = 0
        a += here[0] * (t - before)
        b += here[1] * (t - before)
    return wp.vec2(a, b)


@wp.func
def compton_chance(m: Physics, r: Rays, medium: int, kev: float, cosine: float, norm: float) -> float:
    """Compton scatter into a direction, per sr: Klein-Nishina times S(x), over its integral."""
    t = 1.0 - cosine
    eps = 1.0 / (1.0 + kev / REST * t)
    x = momentum_transfer(kev, t)
    shape = eps * eps * (eps + 1.0 / eps - t * (2.0 - t))
    return shape * momentum_value(m, m.scattering, medium, x) * norm


@wp.func
def compton_norm_at(m: Physics, r: Rays, medium: int, kev: float) -> float:
    entry, part = energy_place(m, kev)
    at = medium * N_ENERGIES + entry
    return r.compton_norm[at] + part * (r.compton_norm[at + 1] - r.compton_norm[at])


@wp.func
def deposit(
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    view: int,
    row: int,
    ring: int,
    u: float,
    v: float,
    amount: float,
    scattered: int,
    rng: wp.uint64,
):
    """Add `amount` times the response of a row and bin to the pixel in each window, blurred by the crystal."""
    bits = mixed(rng + GOLDEN)
    radius = wp.sqrt(-2.0 * wp.log(first_unit(bits)))
    azimuth = TWO_PI * second_unit(bits)
    du = radius * wp.cos(azimuth)
    dv = radius * wp.sin(azimuth)
    base = (row * c.bins + ring) * 2 * c.windows
    for w in range(c.windows):
        through_hole = c.chance[base + 2 * w]
        through_lead = c.chance[base + 2 * w + 1]
        if through_hole + through_lead > 0.0:
            x = (u + c.blur[w] * du) / c.pixel_u + 0.5 * float(c.columns)
            y = (v + c.blur[w] * dv - c.z_low) / c.pixel_v
            if x >= 0.0 and y >= 0.0 and x < float(c.columns) and y < float(c.rows):
                column = wp.min(int(x), c.columns - 1)
                line = wp.min(int(y), c.rows - 1)
                pixel = ((w * c.views + view) * c.columns + column) * c.rows + line
                size = c.windows * c.views * c.columns * c.rows
                first = scattered
                second = int(1)
                if c.parts == 4:
                    second = 2 + scattered
                if through_hole > 0.0:
                    wp.atomic_add(tally, first * size + pixel, wp.float64(amount * through_hole))
                if through_lead > 0.0:
                    wp.atomic_add(tally, second * size + pixel, wp.float64(amount * through_lead))


@wp.func
def satellite(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    view: int,
    p: wp.vec3,
    u: wp.vec3,
    kev: float,
    medium: int,
    norm: float,
    compton: int,
    d: wp.vec3,
    ring: int,
    scale: float,
    rng: wp.uint64,
):
    """Photons that leave `p`, scatter coherently on the way, and then go along `d` to the detector."""
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    # the angle's shape depends little on energy: that of the photon after Compton scatter is close to final_kev below
    final_kev = float(kev)
    if compton == 1:
        final_kev = compton_kev(kev, wp.dot(u, d))
    turn, _ = rayleigh_cosine(m, medium, final_kev, rng + GOLDEN + GOLDEN + GOLDEN)
    before = rotated(d, turn, TWO_PI * first_unit(bits))
    chance = float(ISOTROPIC)
    if compton == 1:
        cosine = wp.dot(u, before)
        chance = compton_chance(m, r, medium, kev, cosine, norm)
        final_kev = compton_kev(kev, cosine)
    leaving = float(0.0)
    if inside(g, p) == 1:
        leaving = exit_from(g, p, tilted(before))
    if leaving > 0.0:
        share = 1.0 - wp.exp(-SATELLITE_PER_MM * leaving)
        distance = -wp.log(1.0 - share * second_unit(bits) * 0.999999) / SATELLITE_PER_MM
        q = p + distance * before
        s = c.place[view]
        x = q[0] - c.axis_x
        y = q[1] - c.axis_y
        height = s[2] - (x * s[0] + y * s[1])
        if height > 0.0 and inside(g, q) == 1:
            coefficients = attenuation_at(m, r, final_kev)
            here = r.basis[voxel_at(g, q)]
            coherent = coefficients[2] * here[0] + coefficients[3] * here[1]
            first = along(g, r, p, before, distance)
            last = along(g, r, q, d, FAR)
            depth = coefficients[0] * first[0] + coefficients[1] * first[1]
            depth += (coefficients[0] - coefficients[2]) * last[0] + (coefficients[1] - coefficients[3]) * last[1]
            density = SATELLITE_PER_MM * wp.exp(-SATELLITE_PER_MM * distance) / share
            row = response_row(c, final_kev, first_unit(more))
            across = wp.vec3(-s[1], s[0], 0.0)
            lift = (height + c.depth[row]) / (d[0] * s[0] + d[1] * s[1])
            amount = scale * chance * coherent / density * wp.exp(-depth)
            deposit(
                c,
                tally,
                view,
                row,
                ring,
                wp.dot(across, wp.vec3(x, y, 0.0)) + lift * wp.dot(across, d),
                q[2] + lift * d[2],
                amount,
                1,
                more,
            )


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
    norm = float(0.0)
    if compton == 1:
        norm = compton_norm_at(m, r, medium, kev)
    x = p[0] - c.axis_x
    y = p[1] - c.axis_y
    while view < c.views:
        s = c.place[view]
        height = s[2] - (x * s[0] + y * s[1])
        if height > 0.0:
            bits = mixed(rng + GOLDEN)
            more = mixed(rng + GOLDEN + GOLDEN)
            last = mixed(rng + GOLDEN + GOLDEN + GOLDEN)
            rng = rng + GOLDEN + GOLDEN + GOLDEN
            nominal = float(kev)
            if compton == 1:
                nominal = compton_kev(kev, u[0] * s[0] + u[1] * s[1])
            row = response_row(c, nominal, first_unit(more))
            ring = direction_bin(c, row, bits)
            share = c.inverse_share[row * c.bins + ring]
            low = c.cosine[ring]
            cosine = low + second_unit(more) * (c.cosine[ring + 1] - low)
            sine = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0))
            azimuth = TWO_PI * first_unit(last)
            side = sine * wp.cos(azimuth)
            up = sine * wp.sin(azimuth)
            # toward = (s0, s1, 0), across = (-s1, s0, 0)
            d = wp.vec3(cosine * s[0] - side * s[1], cosine * s[1] + side * s[0], up)
            chance = float(ISOTROPIC)
            final_kev = float(kev)
            if compton == 1:
                turn = wp.dot(u, d)
                final_kev = compton_kev(kev, turn)
                chance = compton_chance(m, r, medium, kev, turn, norm)
                row = response_row(c, final_kev, third_unit(more))
            raw = weight * share * float(c.stride)
            response = c.chance_sum[row * c.bins + ring]
            amount = raw * chance
            seen = amount * response
            if c.satellite > 0.0:
                turned = mixed(last)
                pick = c.satellite * wp.min(raw * ISOTROPIC * response / c.least, 1.0)
                if first_unit(turned) < pick:
                    satellite(g, m, r, c, tally, view, p, u, kev, medium, norm, compton, d, ring, raw / pick, turned)
            # far below what an emission gives, only some are followed to the detector, for more each
            if seen < c.least:
                if second_unit(last) * c.least < seen:
                    amount *= c.least / seen
                else:
                    amount = 0.0
            if amount > 0.0:
                lift = (height + c.depth[row]) / cosine
                column = x * -s[1] + y * s[0] + lift * side
                line = p[2] + lift * up
                margin = 20.0
                if (
                    wp.abs(column) < 0.5 * float(c.columns) * c.pixel_u + margin
                    and line > c.z_low - margin
                    and line < c.z_low + float(c.rows) * c.pixel_v + margin
                ):
                    crossed = along(g, r, p, d, FAR)
                    coefficients = attenuation_at(m, r, final_kev)
                    depth = coefficients[0] * crossed[0] + coefficients[1] * crossed[1]
                    if depth < DARK:
                        deposit(c, tally, view, row, ring, column, line, amount * wp.exp(-depth), scattered, more)
        view += c.stride
    return rng
