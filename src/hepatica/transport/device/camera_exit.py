"""Ways out of the patient, in NVIDIA Warp: attenuation along rays, exact or from tables made beforehand.

Attenuation along a ray follows at every energy from two integrals (patient.Basis). They are had in three ways: exactly,
from voxel border to voxel border; through coarse cells, each the mean of a block of voxels; and straight towards the
views, from a table that holds them for the middle of every cell. The last two are close, not exact: what they are used
for is put right by exact ones drawn at random (`forced_detection`).

This module is only imported where photons are followed: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.transport.device.geometry import Geometry, clamped_index, entry_to, inside, tilted
from hepatica.transport.device.physics import Physics, energy_place


@wp.struct
class Rays:
    """Attenuation as two integrals along a ray, weighted by energy; see patient.Basis.

    `basis` belongs to the voxels, `coarse_basis` to `coarse`; `exits` has the integrals from the middle of each of
    `cells` straight to the detector of each view, views side by side.
    """

    basis: wp.array(dtype=wp.vec2)
    total: wp.array(dtype=wp.vec4)
    compton_norm: wp.array(dtype=wp.float32)
    coarse: Geometry
    coarse_basis: wp.array(dtype=wp.vec2)
    cells: Geometry
    exits: wp.array(dtype=wp.vec2)


@wp.func
def attenuation_at(m: Physics, r: Rays, kev: float) -> wp.vec4:
    """Attenuation per unit of the two integrals: all processes (two numbers), coherent scattering alone (two)."""
    entry, part = energy_place(m, kev)
    return r.total[entry] + part * (r.total[entry + 1] - r.total[entry])


@wp.func
def along(g: Geometry, basis: wp.array(dtype=wp.vec2), start: wp.vec3, direction: wp.vec3, length: float) -> wp.vec2:
    """The two integrals through voxels from `start` over at most `length` mm or to their end.

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
        here = basis[voxel]
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
def cell_of(r: Rays, p: wp.vec3):
    """Number of the cell that a point lies in, and where in it, from its middle."""
    i = clamped_index(p[0], r.cells.sx, r.cells.nx)
    j = clamped_index(p[1], r.cells.sy, r.cells.ny)
    k = clamped_index(p[2], r.cells.sz, r.cells.nz)
    x = p[0] - (float(i) + 0.5) * r.cells.sx
    y = p[1] - (float(j) + 0.5) * r.cells.sy
    return (i * r.cells.ny + j) * r.cells.nz + k, wp.vec2(x, y)


@wp.func
def middle_of(c: Geometry, cell: int) -> wp.vec3:
    """Middle of a voxel of that number."""
    k = cell % c.nz
    j = (cell / c.nz) % c.ny
    i = cell / (c.nz * c.ny)
    return wp.vec3((float(i) + 0.5) * c.sx, (float(j) + 0.5) * c.sy, (float(k) + 0.5) * c.sz)
