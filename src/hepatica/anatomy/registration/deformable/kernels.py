"""Warp kernels of the deformable registration: forces from two feature images, composition of fields, the smoother.

All positions are indices of cell-centred grids: node n of a grid that is `block` times coarser lies at ``block * n +
(block - 1) / 2`` of the finer one. Values outside a grid are those of its border, so a field goes on as it ends there.
On the CPU a launch is one thread's work; `first` is the first plane that it does, so that threads share a volume.

This module is only imported where images are registered: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False, "fast_math": True})


@wp.func
def corner(place: float, size: int):
    """Lower voxel of the cell around `place`, clamped so that the cell lies in the grid."""
    low = int(wp.floor(place))
    if low > size - 2:
        low = size - 2
    if low < 0:
        low = 0
    return low


@wp.func
def sampled(field: wp.array3d(dtype=wp.vec3), x: float, y: float, z: float):
    """Vector at a fractional index, trilinear, clamped to the border."""
    ni = field.shape[0]
    nj = field.shape[1]
    nk = field.shape[2]
    i = corner(x, ni)
    j = corner(y, nj)
    k = corner(z, nk)
    a = wp.clamp(x - float(i), 0.0, 1.0)
    b = wp.clamp(y - float(j), 0.0, 1.0)
    c = wp.clamp(z - float(k), 0.0, 1.0)
    i1 = wp.min(i + 1, ni - 1)
    j1 = wp.min(j + 1, nj - 1)
    k1 = wp.min(k + 1, nk - 1)
    low = (field[i, j, k] * (1.0 - c) + field[i, j, k1] * c) * (1.0 - b) + (
        field[i, j1, k] * (1.0 - c) + field[i, j1, k1] * c
    ) * b
    high = (field[i1, j, k] * (1.0 - c) + field[i1, j, k1] * c) * (1.0 - b) + (
        field[i1, j1, k] * (1.0 - c) + field[i1, j1, k1] * c
    ) * b
    return low * (1.0 - a) + high * a


@wp.func
def slope(image: wp.array4d(dtype=float), i: int, j: int, k: int, n: int, a: float, b: float, c: float):
    """Gradient (per voxel) and value of channel n in the cell (i, j, k), trilinear."""
    v000 = image[i, j, k, n]
    v001 = image[i, j, k + 1, n]
    v010 = image[i, j + 1, k, n]
    v011 = image[i, j + 1, k + 1, n]
    v100 = image[i + 1, j, k, n]
    v101 = image[i + 1, j, k + 1, n]
    v110 = image[i + 1, j + 1, k, n]
    v111 = image[i + 1, j + 1, k + 1, n]
    e00 = v000 + (v001 - v000) * c
    e01 = v010 + (v011 - v010) * c
    e10 = v100 + (v101 - v100) * c
    e11 = v110 + (v111 - v110) * c
    low = e00 + (e01 - e00) * b
    high = e10 + (e11 - e10) * b
    dz0 = (v001 - v000) + ((v011 - v010) - (v001 - v000)) * b
    dz1 = (v101 - v100) + ((v111 - v110) - (v101 - v100)) * b
    dy = (e01 - e00) + ((e11 - e10) - (e01 - e00)) * a
    return wp.vec4(high - low, dy, dz0 + (dz1 - dz0) * a, low + (high - low) * a)


@wp.kernel
def normal_equations(
    fixed: wp.array4d(dtype=float),
    moving: wp.array4d(dtype=float),
    fixed_counts: wp.array3d(dtype=float),
    moving_counts: wp.array3d(dtype=float),
    to_fixed: wp.array3d(dtype=wp.vec3),
    to_moving: wp.array3d(dtype=wp.vec3),
    block: int,
    first: int,
    diagonal: wp.array3d(dtype=wp.vec3),
    mixed: wp.array3d(dtype=wp.vec3),
    force: wp.array3d(dtype=wp.vec3),
    misfit: wp.array3d(dtype=wp.vec2),
):
    """Gauss-Newton matrix (xx yy zz, xy xz yz), right side and (misfit, weight) of the block of voxels of each node."""
    a, j, k = wp.tid()
    i = first + a
    channels = fixed.shape[3]
    scale = 1.0 / float(block)
    size = float(block)
    dd = wp.vec3(0.0, 0.0, 0.0)
    mm = wp.vec3(0.0, 0.0, 0.0)
    ff = wp.vec3(0.0, 0.0, 0.0)
    lost = float(0.0)
    total = float(0.0)
    for child in range(block * block * block):
        x = i * block + child // (block * block)
        y = j * block + (child // block) % block
        z = k * block + child % block
        nx = (float(x) + 0.5) * scale - 0.5
        ny = (float(y) + 0.5) * scale - 0.5
        nz = (float(z) + 0.5) * scale - 0.5
        uf = sampled(to_fixed, nx, ny, nz) * size
        um = sampled(to_moving, nx, ny, nz) * size
        fx = float(x) + uf[0]
        fy = float(y) + uf[1]
        fz = float(z) + uf[2]
        gx = float(x) + um[0]
        gy = float(y) + um[1]
        gz = float(z) + um[2]
        inside = (
            fx >= 0.0
            and fy >= 0.0
            and fz >= 0.0
            and gx >= 0.0
            and gy >= 0.0
            and gz >= 0.0
            and fx <= float(fixed.shape[0] - 1)
            and fy <= float(fixed.shape[1] - 1)
            and fz <= float(fixed.shape[2] - 1)
            and gx <= float(moving.shape[0] - 1)
            and gy <= float(moving.shape[1] - 1)
            and gz <= float(moving.shape[2] - 1)
        )
        if inside:
            weight = (
                fixed_counts[int(fx + 0.5), int(fy + 0.5), int(fz + 0.5)]
                * moving_counts[int(gx + 0.5), int(gy + 0.5), int(gz + 0.5)]
            )
            if weight > 0.0:
                fi = corner(fx, fixed.shape[0])
                fj = corner(fy, fixed.shape[1])
                fk = corner(fz, fixed.shape[2])
                gi = corner(gx, moving.shape[0])
                gj = corner(gy, moving.shape[1])
                gk = corner(gz, moving.shape[2])
                d = wp.vec3(0.0, 0.0, 0.0)
                m = wp.vec3(0.0, 0.0, 0.0)
                f = wp.vec3(0.0, 0.0, 0.0)
                square = float(0.0)
                for n in range(channels):
                    p = slope(fixed, fi, fj, fk, n, fx - float(fi), fy - float(fj), fz - float(fk))
                    q = slope(moving, gi, gj, gk, n, gx - float(gi), gy - float(gj), gz - float(gk))
                    r = p[3] - q[3]
                    sx = 0.5 * (p[0] + q[0])
                    sy = 0.5 * (p[1] + q[1])
                    sz = 0.5 * (p[2] + q[2])
                    square += r * r
                    d += wp.vec3(sx * sx, sy * sy, sz * sz)
                    m += wp.vec3(sx * sy, sx * sz, sy * sz)
                    f += wp.vec3(sx * r, sy * r, sz * r)
                dd += d * weight
                mm += m * weight
                ff += f * weight
                lost += weight * square
                total += weight
    # one unit of a node's index is `block` voxels
    diagonal[i, j, k] = dd * (size * size)
    mixed[i, j, k] = mm * (size * size)
    force[i, j, k] = ff * size
    misfit[i, j, k] = wp.vec2(lost, total)


@wp.kernel
def compose(
    inner: wp.array3d(dtype=wp.vec3), outer: wp.array3d(dtype=wp.vec3), first: int, out: wp.array3d(dtype=wp.vec3)
):
    """Displacement of ``x -> outer(inner(x))``, both in indices of the same grid."""
    a, j, k = wp.tid()
    i = first + a
    u = inner[i, j, k]
    out[i, j, k] = u + sampled(outer, float(i) + u[0], float(j) + u[1], float(k) + u[2])


@wp.kernel
def refine(coarse: wp.array3d(dtype=wp.vec3), factor: int, first: int, out: wp.array3d(dtype=wp.vec3)):
    """A field of a grid `factor` times coarser, on the finer grid and in its indices."""
    a, j, k = wp.tid()
    i = first + a
    scale = 1.0 / float(factor)
    out[i, j, k] = float(factor) * sampled(
        coarse, (float(i) + 0.5) * scale - 0.5, (float(j) + 0.5) * scale - 0.5, (float(k) + 0.5) * scale - 0.5
    )


@wp.kernel
def roughness(field: wp.array3d(dtype=wp.vec3), first: int, out: wp.array3d(dtype=wp.vec3)):
    """Negative Laplacian, nothing flowing over the border; per squared index."""
    a, j, k = wp.tid()
    i = first + a
    u = field[i, j, k]
    total = wp.vec3(0.0, 0.0, 0.0)
    if i > 0:
        total += u - field[i - 1, j, k]
    if i < field.shape[0] - 1:
        total += u - field[i + 1, j, k]
    if j > 0:
        total += u - field[i, j - 1, k]
    if j < field.shape[1] - 1:
        total += u - field[i, j + 1, k]
    if k > 0:
        total += u - field[i, j, k - 1]
    if k < field.shape[2] - 1:
        total += u - field[i, j, k + 1]
    out[i, j, k] = total
