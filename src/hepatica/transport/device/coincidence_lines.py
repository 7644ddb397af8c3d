"""Lines between pairs of crystals through voxels, in NVIDIA Warp: integrals along them and the exact transpose.

Joseph's method (IEEE Trans Med Imaging 1982;1:192): a line is sampled once in every layer of the axis along which it
is steepest, with bilinear weights between the four voxels around it there. With time of flight each sample counts with
the share of the bin's Gaussian. The image has one empty voxel before its first and two behind its last one along every
axis, so that no tap asks where the border is: a line that leaves through an upper face ends in the middle of the first
empty voxel there, or by rounding a little behind it, and its tap takes the next one too.

This module is only imported where lines are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False, "optimization_level": 3})


@wp.struct
class Lines:
    """Crystals, voxels and time of flight.

    `nx`, `ny` and `nz` count the padded image; `to_index` and `shift` take mm to its indices (middle of its first voxel
    0); `crystal` holds the ends in mm. Where `timed` is 1, `shape` is the weight of a place at 0, 1, ... steps of
    ``1 / per_mm`` from the middle of a bin, up to `reach` mm.
    """

    nx: int
    ny: int
    nz: int
    to_index: wp.mat33
    shift: wp.vec3
    crystal: wp.array(dtype=wp.vec3)
    timed: int
    bin_mm: float
    middle_bin: int
    reach: float
    per_mm: float
    shape: wp.array(dtype=wp.vec2)


@wp.struct
class Path:
    """A line as its method takes it: the axis it follows, places at layer 0 and their growth, layers, time of flight.

    Axes are told by strides: `main` of the layers, `side` and `up` across.
    """

    main: int
    side: int
    up: int
    first: int
    last: int
    side_start: float
    side_step: float
    up_start: float
    up_step: float
    weight: float
    ahead: float
    ahead_step: float


@wp.func
def clipped(low: float, high: float, start: float, step: float, size: int):
    """Range of t in which ``start + t step`` lies within the middles of the first empty voxels on both sides."""
    end = float(size - 3)
    if wp.abs(step) < 1.0e-9:
        if start < 0.0 or start > end + 1.0:
            return 1.0, 0.0
        return low, high
    a = -start / step
    b = (end + 1.0 - start) / step
    return wp.max(low, wp.min(a, b)), wp.min(high, wp.max(a, b))


@wp.func
def path_of(c: Lines, a: wp.vec3, b: wp.vec3, tof_bin: int) -> Path:
    found = Path()
    pa = c.to_index * a + c.shift
    d = c.to_index * (b - a)
    length = wp.length(b - a)
    low = float(0.0)
    high = float(1.0)
    middle = float(0.0)
    if c.timed == 1:
        # mm from the middle of the line towards the first crystal
        middle = 0.5 * length - float(tof_bin - c.middle_bin) * c.bin_mm
        low = wp.max((middle - c.reach) / length, 0.0)
        high = wp.min((middle + c.reach) / length, 1.0)
    low, high = clipped(low, high, pa[0], d[0], c.nx)
    low, high = clipped(low, high, pa[1], d[1], c.ny)
    low, high = clipped(low, high, pa[2], d[2], c.nz)
    ax = wp.abs(d[0])
    ay = wp.abs(d[1])
    az = wp.abs(d[2])
    m = float(0.0)
    dm = float(1.0)
    s = float(0.0)
    ds = float(0.0)
    v = float(0.0)
    dv = float(0.0)
    sx = c.ny * c.nz
    sy = c.nz
    sz = int(1)
    layers = int(0)
    if ax >= ay and ax >= az:
        m = pa[0]
        dm = d[0]
        s = pa[1]
        ds = d[1]
        v = pa[2]
        dv = d[2]
        found.main = sx
        found.side = sy
        found.up = sz
        layers = c.nx
    elif ay >= az:
        m = pa[1]
        dm = d[1]
        s = pa[0]
        ds = d[0]
        v = pa[2]
        dv = d[2]
        found.main = sy
        found.side = sx
        found.up = sz
        layers = c.ny
    else:
        m = pa[2]
        dm = d[2]
        s = pa[0]
        ds = d[0]
        v = pa[1]
        dv = d[1]
        found.main = sz
        found.side = sx
        found.up = sy
        layers = c.nz
    if low >= high:
        found.first = 0
        found.last = -1
        return found
    start = m + low * dm
    end = m + high * dm
    found.first = wp.max(int(wp.ceil(wp.min(start, end))), 1)
    found.last = wp.min(int(wp.floor(wp.max(start, end))), layers - 3)
    found.side_step = ds / dm
    found.up_step = dv / dm
    found.side_start = s - m * found.side_step
    found.up_start = v - m * found.up_step
    found.weight = length / wp.abs(dm)
    found.ahead_step = length / dm
    found.ahead = -m * found.ahead_step - middle
    return found


@wp.func
def timed_weight(c: Lines, distance: float) -> float:
    place = wp.abs(distance) * c.per_mm
    n = int(place)
    here = c.shape[n]
    return here[0] + (place - float(n)) * here[1]


@wp.kernel(enable_backward=False)
def project(
    c: Lines,
    image: wp.array(dtype=wp.float32),
    first: wp.array(dtype=wp.int32),
    second: wp.array(dtype=wp.int32),
    tof_bin: wp.array(dtype=wp.int16),
    start: int,
    integral: wp.array(dtype=wp.float32),
):
    """Integral of the image along each line, image unit times mm."""
    n = start + wp.tid()
    p = path_of(c, c.crystal[first[n]], c.crystal[second[n]], int(tof_bin[n]))
    total = float(0.0)
    for layer in range(p.first, p.last + 1):
        at = float(layer)
        s = p.side_start + at * p.side_step
        v = p.up_start + at * p.up_step
        i = int(s)
        j = int(v)
        fs = s - float(i)
        fv = v - float(j)
        voxel = layer * p.main + i * p.side + j * p.up
        low = image[voxel] + fv * (image[voxel + p.up] - image[voxel])
        voxel += p.side
        high = image[voxel] + fv * (image[voxel + p.up] - image[voxel])
        value = low + fs * (high - low)
        total += value * timed_weight(c, p.ahead + at * p.ahead_step)
    integral[n] = total * p.weight


@wp.kernel(enable_backward=False)
def spread(
    c: Lines,
    values: wp.array(dtype=wp.float32),
    first: wp.array(dtype=wp.int32),
    second: wp.array(dtype=wp.int32),
    tof_bin: wp.array(dtype=wp.int16),
    start: int,
    image: wp.array(dtype=wp.float32),
):
    """Add every line's value to the voxels, with the weights of `project`."""
    n = start + wp.tid()
    if values[n] == 0.0:
        return
    p = path_of(c, c.crystal[first[n]], c.crystal[second[n]], int(tof_bin[n]))
    value = values[n] * p.weight
    for layer in range(p.first, p.last + 1):
        at = float(layer)
        s = p.side_start + at * p.side_step
        v = p.up_start + at * p.up_step
        i = int(s)
        j = int(v)
        fs = s - float(i)
        fv = v - float(j)
        amount = value * timed_weight(c, p.ahead + at * p.ahead_step)
        voxel = layer * p.main + i * p.side + j * p.up
        high = amount * fs
        low = amount - high
        wp.atomic_add(image, voxel, low - low * fv)
        wp.atomic_add(image, voxel + p.up, low * fv)
        voxel += p.side
        wp.atomic_add(image, voxel, high - high * fv)
        wp.atomic_add(image, voxel + p.up, high * fv)
