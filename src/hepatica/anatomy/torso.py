"""A plausible torso with known truth: organs as shapes in millimetres, sampled on any axial grid.

The patient lies supine in LPS: x to the left, y to posterior, z to superior, origin in the middle of the trunk. Sizes
follow a reference adult (liver 1.6 L, ICRP 89: 1.8 kg; lungs as far as they lie in the field of view). The two lobes
are separated by the plane through gallbladder and vena cava (Cantlie's line).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import GeometryError

Points = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
Shape = Callable[[Points], NDArray[np.bool_]]

SUBSAMPLES = 2
"""Points per axis in a voxel when its covered fraction is counted."""

LIVER_SCALE = 0.8050
"""Scales the liver's shapes about its centre so that it holds 1.6 L."""

HU_BY_TISSUE: Mapping[str, float] = {
    "air": -1000.0,
    "fat": -95.0,
    "muscle": 45.0,
    "lung": -780.0,
    "liver": 58.0,
    "tumour": 42.0,
    "necrosis": 22.0,
    "spleen": 48.0,
    "heart": 42.0,
    "kidney": 32.0,
    "stomach": 15.0,
    "rib": 420.0,
    "spine": 260.0,
}
"""Hounsfield units of an unenhanced CT at 120 kV, typical values of the radiological literature."""


@dataclass(frozen=True, slots=True, eq=False)
class Torso:
    """The sampled patient.

    Attributes
    ----------
    hu : Volume
        Noise-free CT in HU.
    regions : mapping of str to Region
        "body", "lung left", "lung right", "liver", "lobe left", "lobe right", "tumour 1", "tumour 2",
        "tumour 2 necrosis", "spleen", "heart", "kidney left", "kidney right", "stomach", "spine", "ribs".
        "tumour 2" includes its necrotic core; "liver" and the lobes include the tumours.
    """

    hu: Volume
    regions: Mapping[str, Region]


def default_grid(spacing_mm: tuple[float, float, float] = (2.5, 2.5, 3.0), frame: str | None = None) -> Grid:
    """Axial grid around the torso: 420 x 300 x 330 mm."""
    extent = np.array([420.0, 300.0, 330.0])
    shape = np.round(extent / spacing_mm).astype(int)
    origin = -(shape - 1) / 2 * np.asarray(spacing_mm)
    return Grid.axial(shape.tolist(), spacing_mm=spacing_mm, origin_mm=origin.tolist(), frame_of_reference=frame)


def torso(grid: Grid) -> Torso:
    """Sample the torso on an axial grid.

    Parameters
    ----------
    grid : Grid
        Any grid along the patient axes; see `default_grid`.

    Returns
    -------
    Torso
        HU and regions, both on `grid`.

    Raises
    ------
    GeometryError
        If the grid is oblique.
    """
    if not grid.is_axial:
        raise GeometryError("the torso is sampled on grids along the patient axes; this one is oblique")
    covered = {name: _coverage(shape, grid) for name, shape in _shapes().items()}
    hu = np.full(grid.shape, HU_BY_TISSUE["air"], dtype=np.float32)
    for name, tissue in _PAINT_ORDER:
        hu += covered[name] * (HU_BY_TISSUE[tissue] - hu)
    regions = {
        name: Region.from_coverage(name, grid, coverage, origin="analytic torso")
        for name, coverage in covered.items()
        if name != "trunk without fat"
    }
    return Torso(Volume(grid, hu, Kind.HU, name="torso CT"), regions)


_PAINT_ORDER = (
    ("body", "fat"),
    ("trunk without fat", "muscle"),
    ("ribs", "rib"),
    ("spine", "spine"),
    ("kidney left", "kidney"),
    ("kidney right", "kidney"),
    ("stomach", "stomach"),
    ("spleen", "spleen"),
    ("heart", "heart"),
    ("lung left", "lung"),
    ("lung right", "lung"),
    ("liver", "liver"),
    ("tumour 1", "tumour"),
    ("tumour 2", "tumour"),
    ("tumour 2 necrosis", "necrosis"),
)


def _coverage(shape: Shape, grid: Grid) -> NDArray[np.float32]:
    """Covered fraction of each voxel by points; only the shape's slab of voxels is sampled finely."""
    offsets = (np.arange(SUBSAMPLES) + 0.5) / SUBSAMPLES - 0.5
    out = np.zeros(grid.shape, dtype=np.float32)
    for offset in np.stack(np.meshgrid(offsets, offsets, offsets), axis=-1).reshape(-1, 3):
        out += shape(_open_points(grid, offset))
    return out / np.float32(SUBSAMPLES**3)


def _open_points(grid: Grid, offset: NDArray[np.float64]) -> Points:
    """Patient coordinates of all voxels as three broadcastable arrays (the grid is axial)."""
    along = np.abs(grid.direction).argmax(axis=0)
    out: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * 3
    for axis in range(3):
        index = np.arange(grid.shape[axis]) + offset[axis]
        patient = int(along[axis])
        values = grid.affine[patient, axis] * index + grid.affine[patient, 3]
        out[patient] = np.expand_dims(values, tuple(a for a in range(3) if a != axis)).astype(np.float32)
    return out[0], out[1], out[2]


def _ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float], power: float = 2.0) -> Shape:
    def inside(p: Points) -> NDArray[np.bool_]:
        terms = (np.abs((x - c) / r) ** power for x, c, r in zip(p, centre, radii, strict=True))
        return np.asarray(sum(terms) <= 1.0)

    return inside


def _trunk(p: Points, shrink_mm: float) -> NDArray[np.bool_]:
    x, y, z = p
    value = np.abs(x / (182 - shrink_mm)) ** 2.4 + np.abs(y / (122 - shrink_mm)) ** 2.4
    return np.asarray(np.broadcast_to(value <= 1.0, np.broadcast_shapes(value.shape, z.shape)))


def _liver(p: Points, grow_mm: float = 0.0) -> NDArray[np.bool_]:
    x, y, z = p
    centre = np.array([-70.0, -5.0, -20.0])
    s, g = LIVER_SCALE, grow_mm

    def part(at: tuple[float, float, float], radii: tuple[float, float, float], power: float) -> NDArray[np.bool_]:
        c = centre + s * (np.asarray(at) - centre)
        i, j, k = (s * r + g for r in radii)
        return _ellipsoid((float(c[0]), float(c[1]), float(c[2])), (i, j, k), power)(p)

    right = part((-76.0, 0.0, -28.0), (74.0, 84.0, 92.0), 2.3)
    left = part((0.0, -42.0, 2.0), (92.0, 44.0, 36.0), 2.0)
    # The visceral surface: cut away what lies below a plane rising to the left and to the back.
    above = z - (0.62 * (x + 60.0) + 0.18 * y - 92.0 - g) > 0
    return np.asarray((right | left) & above)


def _cantlie(p: Points) -> NDArray[np.bool_]:
    """Right of the plane through gallbladder fossa and vena cava."""
    x, y, _ = p
    return np.asarray(x + 44.0 - 0.25 * y < 0)


def _ribs(p: Points) -> NDArray[np.bool_]:
    x, y, z = p
    wall = _trunk(p, 18.0) & ~_trunk(p, 26.0)
    bars = np.mod(z + 0.45 * y + 0.25 * np.abs(x), 34.0) < 11.0
    return np.asarray(wall & bars & (z > -95.0 - 0.3 * y) & (np.abs(x) > np.where(y < 0, 24, 14)))


def _spine(p: Points) -> NDArray[np.bool_]:
    x, y, z = p
    vertebra = (x / 21.0) ** 2 + ((y - 62.0) / 18.0) ** 2 <= 1.0
    arch = (np.abs(x) < 6.0) & (y > 78.0) & (y < 106.0) & (np.mod(z, 34.0) < 20.0)
    disc = np.mod(z, 34.0) > 29.0
    return np.asarray((vertebra & ~disc) | arch)


def _lung(side: int) -> Shape:
    """Side is -1 for right (negative x), +1 for left."""
    lobe = _ellipsoid((side * 88.0, 8.0, 118.0), (68.0, 92.0, 138.0), 2.3)
    under = _ellipsoid((78.0, 0.0, -52.0), (95.0, 110.0, 92.0), 2.2)

    def inside(p: Points) -> NDArray[np.bool_]:
        floor = _liver(p, 7.0) if side < 0 else under(p) | _liver(p, 7.0)
        chest = _trunk(p, 27.0) & ~_heart(p) & ~(np.abs(p[0]) < 24.0)
        # Below the costophrenic recess there is no lung.
        return np.asarray(lobe(p) & chest & ~floor & (p[2] > -35.0))

    return inside


def _heart(p: Points) -> NDArray[np.bool_]:
    return _ellipsoid((24.0, -38.0, 82.0), (54.0, 46.0, 48.0), 2.0)(p)


TUMOUR_1 = ((-98.0, 16.0, 6.0), (22.0, 21.0, 23.0))
TUMOUR_2 = ((-88.0, -22.0, -50.0), (31.0, 28.0, 30.0))
NECROSIS_2 = ((-86.0, -23.0, -48.0), (16.0, 14.0, 15.0))


def _shapes() -> dict[str, Shape]:
    return {
        "body": lambda p: _trunk(p, 0.0),
        "trunk without fat": lambda p: _trunk(p, 12.0),
        "lung right": _lung(-1),
        "lung left": _lung(+1),
        "liver": _liver,
        "lobe right": lambda p: np.asarray(_liver(p) & _cantlie(p)),
        "lobe left": lambda p: np.asarray(_liver(p) & ~_cantlie(p)),
        "tumour 1": _ellipsoid(*TUMOUR_1),
        "tumour 2": _ellipsoid(*TUMOUR_2),
        "tumour 2 necrosis": _ellipsoid(*NECROSIS_2),
        "spleen": _ellipsoid((108.0, 48.0, -12.0), (34.0, 42.0, 52.0)),
        "heart": _heart,
        "kidney right": _ellipsoid((-60.0, 66.0, -118.0), (27.0, 24.0, 46.0)),
        "kidney left": _ellipsoid((62.0, 66.0, -100.0), (27.0, 24.0, 50.0)),
        "stomach": _ellipsoid((62.0, -22.0, -32.0), (44.0, 40.0, 40.0)),
        "spine": _spine,
        "ribs": _ribs,
    }
