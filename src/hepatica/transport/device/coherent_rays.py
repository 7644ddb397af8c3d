"""Forced detection by way of a coherent scatter, in NVIDIA Warp.

Coherent scattering is peaked so sharply that its weights would dominate the noise. It is therefore taken in another
order: the ray that has been drawn is where the photon goes *after* its last coherent scatter; the direction before is
the same one turned back by a sampled angle, and the photon scatters at a point drawn on the way ("satellite"). The
first coherent scatter after an emission or a Compton scatter is treated so; what comes after it is attenuated by all
but coherent scattering, that is, a second coherent scatter on the way out turns the photon no further.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.camera_exit import Rays, along, attenuation_at
from hepatica.transport.device.forced_detection import (
    Camera,
    Event,
    Sight,
    deposit,
    drawn,
    response_row,
    sent,
)
from hepatica.transport.device.geometry import FAR, Geometry, exit_from, inside, sector_of, tilted, voxel_at
from hepatica.transport.device.photon import rayleigh_cosine
from hepatica.transport.device.physics import Physics
from hepatica.transport.device.random import GOLDEN, TWO_PI, first_unit, mixed, rotated, second_unit

SATELLITE_PER_MM = wp.constant(0.01)


@wp.func
def satellite(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    e: Event,
    a: Sight,
    d: wp.vec3,
    ring: int,
    scale: float,
    rng: wp.uint64,
):
    """Photons that leave an event, scatter coherently on the way, and then go along `d` to the detector."""
    bits = mixed(rng + GOLDEN)
    more = mixed(rng + GOLDEN + GOLDEN)
    # the angle's shape depends little on energy: that of the photon after Compton scatter is close to final_kev below
    likely_kev, _likely, _bound = sent(m, e, wp.dot(e.u, d))
    turn, _ = rayleigh_cosine(m, e.medium, likely_kev, rng + GOLDEN + GOLDEN + GOLDEN)
    before = rotated(d, turn, TWO_PI * first_unit(bits))
    final_kev, chance, _bound = sent(m, e, wp.dot(e.u, before))
    leaving = float(0.0)
    if e.known == 1:
        leaving = exit_from(g, e.p, tilted(before))
    if leaving > 0.0:
        share = 1.0 - wp.exp(-SATELLITE_PER_MM * leaving)
        distance = -wp.log(1.0 - share * second_unit(bits) * 0.999999) / SATELLITE_PER_MM
        q = e.p + distance * before
        x = q[0] - c.axis_x
        y = q[1] - c.axis_y
        height = a.s[2] - (x * a.s[0] + y * a.s[1])
        if height > 0.0 and inside(g, q) == 1:
            coefficients = attenuation_at(m, r, final_kev)
            here = r.basis[voxel_at(g, q)]
            coherent = coefficients[2] * here[0] + coefficients[3] * here[1]
            first = along(g, r.basis, e.p, before, distance)
            last = along(g, r.basis, q, d, FAR)
            depth = coefficients[0] * first[0] + coefficients[1] * first[1]
            depth += (coefficients[0] - coefficients[2]) * last[0] + (coefficients[1] - coefficients[3]) * last[1]
            density = SATELLITE_PER_MM * wp.exp(-SATELLITE_PER_MM * distance) / share
            row = response_row(c, final_kev, first_unit(more))
            across = wp.vec3(-a.s[1], a.s[0], 0.0)
            lift = (height + c.depth[row]) / (d[0] * a.s[0] + d[1] * a.s[1])
            amount = scale * chance * coherent / density * wp.exp(-depth)
            deposit(
                c,
                tally,
                a.view,
                row,
                ring,
                sector_of(wp.dot(across, d), d[2]),
                wp.dot(across, wp.vec3(x, y, 0.0)) + lift * wp.dot(across, d),
                q[2] + lift * d[2],
                a.du,
                a.dv,
                amount,
                1,
            )


@wp.func
def satellites(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    e: Event,
    a: Sight,
    seed: wp.uint64,
):
    """At random, a ray of any direction by way of a coherent scatter."""
    bits = mixed(seed)
    more = mixed(bits)
    near = c.near_bound[a.row]
    far = c.far_bound[a.row]
    pick = c.satellite * wp.min(e.weight * a.free * (near + far) / c.typical, 1.0)
    if first_unit(bits) < pick:
        share = near / (near + far)
        ring = int(0)
        cosine = float(1.0)
        over = float(0.0)
        if second_unit(bits) <= share:
            ring, cosine, over = drawn(c, c.near_place, a.row, first_unit(more))
            over = over / share
        else:
            ring, cosine, over = drawn(c, c.far_place, a.row, first_unit(more))
            over = over / (1.0 - share)
        azimuth = TWO_PI * second_unit(more)
        sine = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0))
        side = sine * wp.cos(azimuth)
        d = wp.vec3(cosine * a.s[0] - side * a.s[1], cosine * a.s[1] + side * a.s[0], sine * wp.sin(azimuth))
        satellite(g, m, r, c, tally, e, a, d, ring, e.weight * over / pick, mixed(more))
