"""Voxels: which one a point lies in, and how far it is into them and out of them. Positions in mm from their corner.

Where `Geometry.scored` is 1, energy is counted in other voxels than those of the matter, and in those of them that hold
several labels of matter apart for each label.
"""

from __future__ import annotations

import warp as wp

SECTORS = 6
"""Sectors of 5 degrees of azimuth from the normal of a wall of hexagonal holes (0) to the corner between two (30
degrees); the rest is symmetry."""
N_SECTORS = wp.constant(SECTORS)
SIXTH = wp.constant(1.04719755)

FAR = wp.constant(1.0e30)
BEYOND = wp.constant(-2)
"""Index of matter that is in none of the voxels."""


@wp.struct
class Geometry:
    """Voxels of one density and medium each; or, where `radial` is 1, one infinite medium scored in shells.

    `to_score` and `score_origin` take mm from the corner of the voxels to voxels from the corner of the score; `mixed`
    is the number of a voxel of the score among those of several labels, -1 for others; `first_part` where the labels of
    each of these begin in `part_label`, and how many there are in all. Where `endless` is 1 the voxels only count
    energy: matter is `twin_medium` of `twin_density` everywhere, beyond the voxels too; energy is counted from
    `first_score` on. All energy is counted `weight` times.
    """

    nx: int
    ny: int
    nz: int
    sx: float
    sy: float
    sz: float
    radial: int
    shell_mm: float
    shells: int
    log_start_mm: float
    log_per_unit: float
    log_shells: int
    density: wp.array(dtype=wp.float32)
    medium: wp.array(dtype=wp.uint8)
    endless: int
    twin_density: float
    twin_medium: int
    first_score: int
    weight: float
    scored: int
    to_score: wp.mat33
    score_origin: wp.vec3
    score_nx: int
    score_ny: int
    score_nz: int
    score_size: int
    parts: int
    label: wp.array(dtype=wp.uint16)
    mixed: wp.array(dtype=wp.int32)
    first_part: wp.array(dtype=wp.int32)
    part_label: wp.array(dtype=wp.uint16)


@wp.func
def clamped_index(x: float, size: float, n: int) -> int:
    return wp.min(wp.max(int(x / size), 0), n - 1)


@wp.func
def inside(g: Geometry, p: wp.vec3) -> int:
    if g.radial == 1 or g.endless == 1:
        return 1
    if p[0] < 0.0 or p[1] < 0.0 or p[2] < 0.0:
        return 0
    if p[0] >= float(g.nx) * g.sx or p[1] >= float(g.ny) * g.sy or p[2] >= float(g.nz) * g.sz:
        return 0
    return 1


@wp.func
def voxel_of(g: Geometry, i: int, j: int, k: int) -> int:
    """Flat index; BEYOND the voxels where matter goes on there."""
    if i < 0 or j < 0 or k < 0 or i >= g.nx or j >= g.ny or k >= g.nz:
        return BEYOND
    return (i * g.ny + j) * g.nz + k


@wp.func
def voxel_at(g: Geometry, p: wp.vec3) -> int:
    if g.radial == 1:
        return 0
    if g.endless == 1:
        return voxel_of(g, int(wp.floor(p[0] / g.sx)), int(wp.floor(p[1] / g.sy)), int(wp.floor(p[2] / g.sz)))
    i = wp.min(int(p[0] / g.sx), g.nx - 1)
    j = wp.min(int(p[1] / g.sy), g.ny - 1)
    k = wp.min(int(p[2] / g.sz), g.nz - 1)
    return (i * g.ny + j) * g.nz + k


@wp.func
def density_in(g: Geometry, voxel: int) -> float:
    """Density of the matter in a voxel, g/mL."""
    if g.endless == 1:
        return g.twin_density
    return g.density[voxel]


@wp.func
def medium_in(g: Geometry, voxel: int) -> int:
    """Medium of the matter in a voxel."""
    if g.endless == 1:
        return g.twin_medium
    return int(g.medium[voxel])


@wp.func
def score_at(g: Geometry, p: wp.vec3, matter: int) -> int:
    """Element of the tally for energy at a point in that voxel of matter; the last one beyond the score.

    Endless matter has no labels: its energy goes to the voxel.
    """
    at = g.to_score * p + g.score_origin
    i = int(wp.floor(at[0]))
    j = int(wp.floor(at[1]))
    k = int(wp.floor(at[2]))
    if i < 0 or j < 0 or k < 0 or i >= g.score_nx or j >= g.score_ny or k >= g.score_nz:
        return g.score_size + g.parts
    voxel = (i * g.score_ny + j) * g.score_nz + k
    number = g.mixed[voxel]
    if number < 0 or g.endless == 1:
        return voxel
    part = g.first_part[number]
    last = g.first_part[number + 1] - 1
    label = g.label[matter]
    while part < last and g.part_label[part] < label:
        part += 1
    return g.score_size + part


@wp.func
def tilted(u: wp.vec3) -> wp.vec3:
    """The same direction with no component exactly zero, so that no distance to a border is 0/0."""
    x = wp.where(wp.abs(u[0]) < 1.0e-6, 1.0e-6, u[0])
    y = wp.where(wp.abs(u[1]) < 1.0e-6, 1.0e-6, u[1])
    z = wp.where(wp.abs(u[2]) < 1.0e-6, 1.0e-6, u[2])
    return wp.vec3(x, y, z)


@wp.func
def entry_to(g: Geometry, p: wp.vec3, u: wp.vec3) -> float:
    """Distance from a point outside to the voxels along u; negative if the ray misses them."""
    ax = -p[0] / u[0]
    bx = (float(g.nx) * g.sx - p[0]) / u[0]
    ay = -p[1] / u[1]
    by = (float(g.ny) * g.sy - p[1]) / u[1]
    az = -p[2] / u[2]
    bz = (float(g.nz) * g.sz - p[2]) / u[2]
    near = wp.max(wp.max(wp.min(ax, bx), wp.min(ay, by)), wp.min(az, bz))
    far = wp.min(wp.min(wp.max(ax, bx), wp.max(ay, by)), wp.max(az, bz))
    if far <= near or far <= 0.0:
        return -1.0
    return wp.max(near, 0.0)


@wp.func
def exit_from(g: Geometry, p: wp.vec3, u: wp.vec3) -> float:
    """Distance from a point inside to the end of the voxels along u."""
    x = (wp.where(u[0] > 0.0, float(g.nx) * g.sx, 0.0) - p[0]) / u[0]
    y = (wp.where(u[1] > 0.0, float(g.ny) * g.sy, 0.0) - p[1]) / u[1]
    z = (wp.where(u[2] > 0.0, float(g.nz) * g.sz, 0.0) - p[2]) / u[2]
    return wp.min(x, wp.min(y, z))


@wp.func
def sector_of(x: float, y: float) -> int:
    """Sector of the direction (x, y), x along the normal of a pair of walls."""
    azimuth = wp.abs(wp.atan2(y, x))
    folded = wp.abs(azimuth - wp.round(azimuth / SIXTH) * SIXTH)
    return wp.min(int(folded / (0.5 * SIXTH) * float(N_SECTORS)), N_SECTORS - 1)
