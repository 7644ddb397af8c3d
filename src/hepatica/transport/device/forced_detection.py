"""Forced detection, in NVIDIA Warp: what one place where a photon is born or scatters adds to the views.

For a view, directions are drawn from the camera's angular response about the detector's normal; the weight is the
chance of emission or scatter into that direction, times the transmission along the ray out of the patient, times
response over probability. Positions are in mm from the corner of the patient's grid, whose axes are those of LPS.

Directions that holes let through (`near`) lie within a few degrees of the normal: they share one transmission, that
along the normal, from a table; and one energy and chance of scatter, those along the normal. So many points at once
cost little. All others (`far`: through lead, mostly from high energies) have a transmission each, through coarse cells.
Neither is exact. So now and then one more ray is drawn, what it really gives is added, what the short cut gives is
taken off, and both count 1 / p times where p is the chance of this. The mean is that of exact rays, whatever the error
of the tables; only the noise depends on it.

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.camera_exit import Rays, along, attenuation_at
from hepatica.transport.device.geometry import FAR, N_SECTORS, Geometry, sector_of
from hepatica.transport.device.physics import (
    N_ENERGIES,
    REST,
    Physics,
    energy_place,
    momentum_transfer,
    momentum_value,
)
from hepatica.transport.device.random import (
    GOLDEN,
    TWO_PI,
    first_unit,
    mixed,
    second_unit,
    third_unit,
)

ISOTROPIC = wp.constant(0.07957747)
STEPS = 128
N_STEPS = wp.constant(STEPS)
"""Equally probable steps of the tables that directions are drawn from."""
COS_TURN = wp.constant(-0.73736888)
SIN_TURN = wp.constant(0.67549029)
"""Golden angle: azimuths of points that follow each other are spread evenly."""
MARGIN = wp.constant(20.0)
DAMPING = 0.8
TEMPER = wp.constant(DAMPING)
"""Exact rays are drawn in proportion to this power of the transmission: a table that is far too dark finds them yet."""


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
    usual: wp.array(dtype=wp.float32)
    relief: wp.array(dtype=wp.float32)
    energies: int
    log_low: float
    per_log: float
    bins: int
    cosine: wp.array(dtype=wp.float32)
    near_place: wp.array(dtype=wp.float32)
    far_place: wp.array(dtype=wp.float32)
    near_sum: wp.array(dtype=wp.float32)
    near_bound: wp.array(dtype=wp.float32)
    far_bound: wp.array(dtype=wp.float32)
    chance: wp.array(dtype=wp.float32)
    star: wp.array(dtype=wp.float32)
    chance_sum: wp.array(dtype=wp.float32)
    importance: wp.array(dtype=wp.float32)
    depth: wp.array(dtype=wp.float32)
    blur: wp.array(dtype=wp.float32)
    farthest_cosine: float
    farthest_sine: float
    lowest_kev: float
    typical: float
    points: float
    most_points: float
    near_check: float
    far_points: float
    far_check: float
    satellite: float
    max_scatter: int
    exact: int


@wp.struct
class Event:
    """Where a photon is born or scatters, and what it was before; `compton` is 0 at an emission (isotropic).

    `known` is 0 outside the voxels, where no table reaches; `here` is the basis of the voxel, `cell` and `beside` as of
    camera_exit.cell_of. `unit` draws between tabulated energies. `weight` counts every view as often as it is left out.
    """

    p: wp.vec3
    u: wp.vec3
    x: float
    y: float
    kev: float
    weight: float
    medium: int
    norm: float
    compton: int
    scattered: int
    known: int
    here: wp.vec2
    cell: int
    beside: wp.vec2


@wp.struct
class Sight:
    """A view as seen from an event: height under the collimator, the foot of the normal, and what goes along it."""

    view: int
    s: wp.vec3
    height: float
    column: float
    kev: float
    chance: float
    free: float
    row: int
    unit: float
    du: float
    dv: float


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
def importance_at(c: Camera, kev: float) -> float:
    row, part = response_place(c, kev)
    return c.importance[row] + part * (c.importance[row + 1] - c.importance[row])


@wp.func
def drawn(c: Camera, table: wp.array(dtype=wp.float32), row: int, unit: float):
    """Bin of the angle to the detector's normal, cosine, and one over the probability per bin.

    The table has bins (with fractions) at equal steps of probability.
    """
    place = unit * float(N_STEPS)
    n = wp.min(int(place), N_STEPS - 1)
    at = row * (N_STEPS + 1) + n
    width = table[at + 1] - table[at]
    place_in_bins = table[at] + (place - float(n)) * width
    ring = wp.min(int(place_in_bins), c.bins - 1)
    cosine = c.cosine[ring] + (place_in_bins - float(ring)) * (c.cosine[ring + 1] - c.cosine[ring])
    return ring, cosine, width * float(N_STEPS)


@wp.func
def compton_norm_at(m: Physics, r: Rays, medium: int, kev: float) -> float:
    entry, part = energy_place(m, kev)
    at = medium * N_ENERGIES + entry
    return r.compton_norm[at] + part * (r.compton_norm[at + 1] - r.compton_norm[at])


@wp.func
def sent(m: Physics, e: Event, cosine: float):
    """Energy and chance per sr of what leaves an event at an angle to where the photon went; a bound of that chance.

    Compton scatter: Klein-Nishina times S(x), over its integral. The bound is that of free electrons: near the forward
    direction, where S(x) is small, the chance a few degrees beside may be many times higher.
    """
    if e.compton == 0:
        return e.kev, float(ISOTROPIC), float(ISOTROPIC)
    t = 1.0 - cosine
    eps = 1.0 / (1.0 + e.kev / REST * t)
    x = momentum_transfer(e.kev, t)
    free = eps * eps * (eps + 1.0 / eps - t * (2.0 - t)) * e.norm
    return eps * e.kev, free * momentum_value(m, m.scattering, e.medium, x), free


@wp.func
def deposit(
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    view: int,
    row: int,
    ring: int,
    sector: int,
    u: float,
    v: float,
    du: float,
    dv: float,
    amount: float,
    scattered: int,
):
    """Add `amount` times the response of a row and bin to the pixel in each window, shifted by the crystal's blur.

    What comes through lead depends on the azimuth (`sector_of`): it is most across the thin walls.
    """
    base = (row * c.bins + ring) * 2 * c.windows
    arm = ((row * c.bins + ring) * N_SECTORS + sector) * c.windows
    size = c.windows * c.views * c.columns * c.rows
    for w in range(c.windows):
        through_hole = c.chance[base + 2 * w]
        through_lead = c.chance[base + 2 * w + 1] * c.star[arm + w]
        if through_hole + through_lead > 0.0:
            x = (u + c.blur[w] * du) / c.pixel_u + 0.5 * float(c.columns)
            y = (v + c.blur[w] * dv - c.z_low) / c.pixel_v
            if x >= 0.0 and y >= 0.0 and x < float(c.columns) and y < float(c.rows):
                column = wp.min(int(x), c.columns - 1)
                line = wp.min(int(y), c.rows - 1)
                pixel = ((w * c.views + view) * c.columns + column) * c.rows + line
                if c.parts == 4:
                    wp.atomic_add(tally, scattered * size + pixel, wp.float64(amount * through_hole))
                    wp.atomic_add(tally, (2 + scattered) * size + pixel, wp.float64(amount * through_lead))
                elif scattered == 1:
                    wp.atomic_add(tally, size + pixel, wp.float64(amount * (through_hole + through_lead)))
                else:
                    if through_hole > 0.0:
                        wp.atomic_add(tally, pixel, wp.float64(amount * through_hole))
                    if through_lead > 0.0:
                        wp.atomic_add(tally, size + pixel, wp.float64(amount * through_lead))


@wp.func
def on_detector(c: Camera, column: float, line: float) -> int:
    """Whether a point lies on the detector or close to it."""
    if wp.abs(column) > 0.5 * float(c.columns) * c.pixel_u + MARGIN:
        return 0
    if line < c.z_low - MARGIN or line > c.z_low + float(c.rows) * c.pixel_v + MARGIN:
        return 0
    return 1


@wp.func
def depth_of(m: Physics, r: Rays, crossed: wp.vec2, kev: float) -> float:
    """Optical depth of the two integrals."""
    coefficients = attenuation_at(m, r, kev)
    return coefficients[0] * crossed[0] + coefficients[1] * crossed[1]


@wp.func
def near_points(
    c: Camera, tally: wp.array(dtype=wp.float64), e: Event, a: Sight, through: float, bits: wp.uint64, more: wp.uint64
):
    """Points that share a transmission, as many as what they give asks for, spread evenly over the response."""
    whole = e.weight * a.chance * through
    wanted = wp.min(whole * c.near_sum[a.row] / (c.typical * c.usual[a.view]) * c.points, c.most_points)
    number = int(wanted + wp.min(first_unit(bits), 0.9999999))
    if number > 0 and wanted > 0.0:
        each = whole / wanted
        azimuth = TWO_PI * first_unit(more)
        cosine_azimuth = wp.cos(azimuth)
        sine_azimuth = wp.sin(azimuth)
        first = second_unit(more)
        level = a.height + c.depth[a.row]
        sign = float(1.0)
        for point in range(number):
            unit = (float(point) + first) / float(number)
            ring, cosine, over = drawn(c, c.near_place, a.row, unit)
            reach = level * wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0)) / cosine
            deposit(
                c,
                tally,
                a.view,
                a.row,
                ring,
                sector_of(cosine_azimuth, sine_azimuth),
                a.column + reach * cosine_azimuth,
                e.p[2] + reach * sine_azimuth,
                sign * a.du,
                sign * a.dv,
                each * over,
                e.scattered,
            )
            sign = -sign
            turned = COS_TURN * cosine_azimuth - SIN_TURN * sine_azimuth
            sine_azimuth = SIN_TURN * cosine_azimuth + COS_TURN * sine_azimuth
            cosine_azimuth = turned


@wp.func
def near_exact(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    e: Event,
    a: Sight,
    through: float,
    chosen: float,
    bits: wp.uint64,
):
    """One exact ray in place of one by the short cut, both counted 1 / `chosen` times."""
    ring, cosine, over = drawn(c, c.near_place, a.row, first_unit(bits))
    azimuth = TWO_PI * second_unit(bits)
    sine = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0))
    side = sine * wp.cos(azimuth)
    up = sine * wp.sin(azimuth)
    # toward = (s0, s1, 0), across = (-s1, s0, 0)
    d = wp.vec3(cosine * a.s[0] - side * a.s[1], cosine * a.s[1] + side * a.s[0], up)
    lift = (a.height + c.depth[a.row]) / cosine
    column = a.column + lift * side
    line = e.p[2] + lift * up
    if on_detector(c, column, line) == 1:
        arm = sector_of(side, up)
        kev, chance, _ = sent(m, e, wp.dot(e.u, d))
        row = int(a.row)
        if e.compton == 1:
            row = response_row(c, kev, a.unit)
        depth = depth_of(m, r, along(g, r.basis, e.p, d, FAR), kev)
        exact = e.weight * chance * wp.exp(-depth) * over / chosen
        short = e.weight * a.chance * through * over / chosen
        if row == a.row:
            deposit(c, tally, a.view, row, ring, arm, column, line, a.du, a.dv, exact - short, e.scattered)
        else:
            deposit(c, tally, a.view, a.row, ring, arm, column, line, a.du, a.dv, -short, e.scattered)
            lift = (a.height + c.depth[row]) / cosine
            column = a.column + lift * side
            line = e.p[2] + lift * up
            deposit(c, tally, a.view, row, ring, arm, column, line, a.du, a.dv, exact, e.scattered)


@wp.func
def far_rays(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    e: Event,
    a: Sight,
    start_bits: wp.uint64,
):
    """Rays far from the normal, by way of coarse cells; now and then the exact transmission in place of theirs."""
    # the highest energy that any of these directions can have bounds the response
    turn = float(1.0)
    if e.compton == 1:
        turn = e.u[0] * a.s[0] + e.u[1] * a.s[1]
        if turn < c.farthest_cosine:
            turn = turn * c.farthest_cosine + wp.sqrt(wp.max(1.0 - turn * turn, 0.0)) * c.farthest_sine
        else:
            turn = 1.0
    highest, _, likeliest = sent(m, e, turn)
    top = response_row(c, highest, a.unit)
    wanted = wp.min(e.weight * likeliest * c.far_bound[top] / c.typical * c.far_points, c.most_points)
    bits = start_bits
    number = int(wanted + wp.min(first_unit(bits), 0.9999999))
    least = c.typical / c.far_points
    for _ray in range(number):
        bits = mixed(bits + GOLDEN)
        more = mixed(bits)
        ring, cosine, over = drawn(c, c.far_place, top, first_unit(bits))
        azimuth = TWO_PI * second_unit(bits)
        sine = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0))
        side = sine * wp.cos(azimuth)
        up = sine * wp.sin(azimuth)
        lift = (a.height + c.depth[top]) / cosine
        if on_detector(c, a.column + lift * side, e.p[2] + lift * up) == 1:
            d = wp.vec3(cosine * a.s[0] - side * a.s[1], cosine * a.s[1] + side * a.s[0], up)
            kev, chance, _ = sent(m, e, wp.dot(e.u, d))
            row = int(top)
            if e.compton == 1:
                row = response_row(c, kev, a.unit)
            amount = e.weight / wanted * chance * over
            seen = amount * c.chance_sum[row * c.bins + ring]
            # what gives little is followed at random, for more each
            if seen < least:
                if first_unit(more) * least < seen:
                    amount *= least / seen
                else:
                    amount = 0.0
            if amount > 0.0:
                through = wp.exp(-depth_of(m, r, along(r.coarse, r.coarse_basis, e.p, d, FAR), kev))
                if second_unit(more) < c.far_check:
                    exact = wp.exp(-depth_of(m, r, along(g, r.basis, e.p, d, FAR), kev))
                    through += (exact - through) / c.far_check
                lift = (a.height + c.depth[row]) / cosine
                deposit(
                    c,
                    tally,
                    a.view,
                    row,
                    ring,
                    sector_of(side, up),
                    a.column + lift * side,
                    e.p[2] + lift * up,
                    a.du,
                    a.dv,
                    amount * through,
                    e.scattered,
                )


@wp.func
def sight_of(m: Physics, r: Rays, c: Camera, e: Event, view: int, height: float, bits: wp.uint64) -> Sight:
    """What goes from an event along the normal of a view."""
    a = Sight()
    a.view = view
    a.s = c.place[view]
    a.height = height
    a.column = e.y * a.s[0] - e.x * a.s[1]
    kev, chance, free = sent(m, e, e.u[0] * a.s[0] + e.u[1] * a.s[1])
    a.kev = kev
    a.chance = chance
    a.free = free
    a.unit = third_unit(bits)
    a.row = response_row(c, kev, a.unit)
    radius = wp.sqrt(-2.0 * wp.log(first_unit(bits)))
    turned = mixed(bits)
    azimuth = TWO_PI * second_unit(turned)
    a.du = radius * wp.cos(azimuth)
    a.dv = radius * wp.sin(azimuth)
    return a


@wp.func
def see(
    g: Geometry,
    m: Physics,
    r: Rays,
    c: Camera,
    tally: wp.array(dtype=wp.float64),
    e: Event,
    a: Sight,
    bits: wp.uint64,
    more: wp.uint64,
):
    """Detect an event in a view: points by the table, exact ones at random, and rays far from the normal."""
    last = mixed(more + GOLDEN)
    through = float(0.0)
    # chance of an exact ray: most where most is to be put right
    chosen = e.weight * a.free * c.near_bound[a.row] / (c.typical * c.usual[a.view])
    if e.known == 1 and c.exact == 0:
        tabulated = r.exits[e.cell * c.views + a.view]
        beyond = e.beside[0] * a.s[0] + e.beside[1] * a.s[1]
        depth = wp.max(depth_of(m, r, tabulated - beyond * e.here, a.kev), 0.0)
        through = wp.exp(-depth)
        chosen *= c.near_check * wp.exp(-TEMPER * depth) * c.relief[a.view]
        near_points(c, tally, e, a, through, bits, more)
    chosen = wp.min(chosen, 1.0)
    if first_unit(last) < chosen:
        near_exact(g, m, r, c, tally, e, a, through, chosen, mixed(last))
    if c.far_points > 0.0:
        far_rays(g, m, r, c, tally, e, a, mixed(last + GOLDEN))
