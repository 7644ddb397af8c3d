"""Wall of the trunk and what lies around the liver: skin, bones, lungs, heart, vessels, stomach, spleen, kidneys.

Reference frame: LPS in mm, origin on the midline in the middle of the liver's height. Places and extents follow the
adult male of ICRP Publication 110 (read off its voxels: extents of each organ), drawn as smooth shapes; sizes are then
set by mass. The patient lies supine with the arms up, as for a CT of the abdomen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.shapes import (
    Array,
    Points,
    Solid,
    ellipsoid,
    smooth_max,
    smooth_min,
    tube,
    union,
)

BOTTOM, TOP = -420.0, 420.0
"""The trunk goes on to here, beyond any field of view."""

SKIN_MM = 2.0
FAT_MM = 13.0
WALL_MM = 27.0
"""From the skin to the inner side of the ribs (adult male of ICRP Publication 110: about 25 mm beside the liver)."""

VERTEBRA_MM = 33.0
"""From one vertebra to the next."""

RIB_MM = 31.0

IVC = ((-24.0, 22.0, -300.0), (-23.0, 20.0, -60.0), (-22.0, 22.0, 0.0), (-18.0, 16.0, 44.0), (-12.0, 8.0, 66.0))
"""Inferior vena cava: beside the spine, through the groove of the liver, into the right atrium."""


def trunk(shrink_mm: float = 0.0) -> Solid:
    """Body without arms and legs; its outline moved inwards by `shrink_mm`."""

    def field(p: Points) -> Array:
        x, y, z = p
        # Chest and belly, then shoulders (arms up), then the neck.
        shoulder = 1 / (1 + np.exp(-(z - 205) / 11))
        half_width = 153 + 5 * np.exp(-(((z - 60) / 90) ** 2)) - shoulder * 92 - shrink_mm
        half_depth = 113 + 5 * np.exp(-(((z + 40) / 80) ** 2)) - shoulder * 48 - shrink_mm
        across, along = np.abs(x) / half_width, np.abs(y - 2) / half_depth
        # Rounder in front, flatter at the back, with the furrow of the spine.
        back = np.where(y > 2, np.float32(2.9), np.float32(2.15))
        furrow = np.float32(9) * np.exp(-((x / 20) ** 2)) * np.where(y > 60, np.float32(1), np.float32(0))
        g = (across**2.35 + along**back) ** (1 / 2.35)
        return np.asarray((g - 1) * np.float32(110) + furrow * (1 - shoulder), dtype=np.float32)

    size = np.array([160.0, 121.0, 0.0]) - shrink_mm
    return Solid(field, np.array([-size[0], 2 - size[1], BOTTOM]), np.array([size[0], 2 + size[1], TOP]))


def cavity(inset_mm: float = 0.0) -> Solid:
    """Inside of the wall of chest and abdomen, in front of the spine; tapers to the top of the chest."""
    low, high = np.array([-132.0, -95.0, BOTTOM]), np.array([132.0, 92.0, 235.0])

    def field(p: Points) -> Array:
        x, y, z = p
        rise = np.clip((z - 55) / 182, 0, 1)
        shrink = np.sqrt(np.maximum(1 - rise**2.6, 1e-4)) * (1 - 0.03 * np.clip((-z - 60) / 100, 0, 1))
        across, along = np.abs(x) / (131 * shrink), np.abs(y + 2) / (92 * (0.35 + 0.65 * shrink))
        power = np.where(y > -2, np.float32(2.7), np.float32(2.15))
        g = (across**2.25 + along**power) ** (1 / 2.25)
        wall = (g - 1) * 95 + inset_mm
        # The bodies of the vertebrae and the muscles beside them push the back of the cavity forward.
        spine = np.sqrt((x / 1.25) ** 2 + np.minimum(y - 54, 0) ** 2)
        return np.asarray(
            smooth_max(wall.astype(np.float32), (26 + inset_mm - spine).astype(np.float32), 22), np.float32
        )

    return Solid(field, low, high)


def _periodic(z: NDArray[Any], period: float, phase: float = 0.0) -> Array:
    """Distance from the nearest multiple of `period`."""
    return np.asarray(np.abs(np.mod(z - phase + period / 2, period) - period / 2), dtype=np.float32)


def spine() -> Solid:
    """Vertebrae (discs left out): bodies, arches, transverse and spinous processes."""

    def field(p: Points) -> Array:
        x, y, z = p
        level = _periodic(z, VERTEBRA_MM)
        waist = 1.5 * (1 - (level / 13) ** 2)
        body = np.sqrt((x / 1.22) ** 2 + (y - 53) ** 2) - (17.5 - waist)
        body = smooth_max(body, level - 13.2, 3)
        ring = np.abs(np.sqrt((x / 1.15) ** 2 + (y - 78) ** 2) - 11.0) - 2.8
        ring = smooth_max(ring, level - 9, 4)
        spinous = np.sqrt(x**2 + np.maximum(np.abs(y - 97) - 7, 0) ** 2) - 3.4
        spinous = smooth_max(spinous, _periodic(z, VERTEBRA_MM, -6) - 8, 4)
        beside = np.abs(x) - 22
        transverse = np.sqrt(np.maximum(np.abs(beside) - 11, 0) ** 2 + (y - 82 - 0.25 * beside) ** 2 + level**2) - 4.2
        parts = smooth_min(smooth_min(body, ring, 4), smooth_min(spinous, transverse, 3), 3)
        return np.asarray(parts, dtype=np.float32)

    return Solid(field, np.array([-40.0, 33.0, BOTTOM]), np.array([40.0, 110.0, TOP]))


def ribs() -> Solid:
    """Ribs in the wall, slanting down to the front, above the costal arch; with the sternum."""
    inner, outer = cavity(-1.5), cavity(-10.5)

    def field(p: Points) -> Array:
        x, y, z = p
        shell = smooth_max(outer.field(p), -inner.field(p), 2)
        slant = z - 0.42 * y - 0.10 * np.abs(x)
        bar = _periodic(slant, RIB_MM) - 5.6
        arch = -96 + 105 * np.exp(-((x / 62) ** 2)) * np.where(y < 30, np.float32(1), np.float32(0)) + 0.35 * y
        bones = smooth_max(smooth_max(shell, bar, 3), arch - z, 3)
        # Cartilage joins them to the sternum; behind they meet the spine.
        bones = smooth_max(
            bones, np.where(y < 0, 34 - np.abs(x) - 0.15 * np.maximum(z, 0), 24 - np.abs(x)).astype(np.float32), 3
        )
        front = -92 * (0.35 + 0.65 * np.sqrt(np.maximum(1 - np.clip((z - 55) / 182, 0, 1) ** 2.6, 1e-4)))
        breast = smooth_max(np.abs(x) - 17 + 0.02 * (z - 100), np.abs(y - front + 8) - 5, 4)
        breast = smooth_max(breast, np.abs(z - 110) - 82, 4)
        return np.asarray(smooth_min(bones, breast), dtype=np.float32)

    return Solid(field, np.array([-146.0, -112.0, -140.0]), np.array([146.0, 108.0, 232.0]))


def heart() -> Solid:
    """Heart with its blood, apex to the left, front and below."""
    long = np.array([0.72, -0.42, -0.55])
    long /= np.linalg.norm(long)
    side = np.cross(long, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    axes = np.stack([long, side, np.cross(long, side)])
    ventricles = ellipsoid((34.0, -24.0, 86.0), (66.0, 50.0, 47.0), power=2.2, axes=axes)
    atrium = ellipsoid((-10.0, -2.0, 92.0), (27.0, 30.0, 34.0))
    return union(ventricles, atrium, rounding_mm=14)


def aorta() -> Solid:
    """Aorta from the heart over the arch to the bifurcation."""
    at = [
        (6, -18, 120),
        (0, -22, 150),
        (6, -6, 176),
        (20, 18, 180),
        (24, 34, 160),
        (23, 34, 60),
        (17, 22, -20),
        (12, 22, -110),
    ]
    return tube([*at, (8, 20, -180)], [14, 14.5, 13.5, 12.5, 12, 11.5, 10.5, 9.5, 8.5], rounding_mm=6)


def vena_cava() -> Solid:
    """Inferior vena cava."""
    return tube(IVC, [10.5, 11, 12, 13, 14], rounding_mm=4)


def kidney(side: int) -> Solid:
    """Kidney with its sinus; side is -1 for the right, +1 for the left."""
    centre = np.array([side * 69.0 + 1, 40.0, -68.0 if side < 0 else -56.0])
    long = np.array([-side * 0.26, -0.20, 1.0])
    long /= np.linalg.norm(long)
    across = np.cross([side * 0.75, 0.65, 0.0], long)
    across /= np.linalg.norm(across)
    axes = np.stack([np.cross(across, long), across, long])
    whole = ellipsoid(centre, (30.0, 23.0, 52.0), power=2.1, axes=axes)
    hilum = ellipsoid(centre - 27 * np.array([side * 0.85, 0.52, 0.0]), (15.0, 15.0, 21.0))
    return whole.without(hilum, rounding_mm=7)


def spleen() -> Solid:
    """Spleen: a curved slab along the left back of the abdominal wall."""
    centre = np.array([96.0, 46.0, 8.0])
    long = np.array([0.18, -0.42, -1.0])
    long /= np.linalg.norm(long)
    thick = np.array([0.78, 0.62, 0.0])
    thick -= (thick @ long) * long
    thick /= np.linalg.norm(thick)
    axes = np.stack([thick, np.cross(long, thick), long])
    slab = ellipsoid(centre, (24.0, 37.0, 54.0), power=2.2, axes=axes)
    dent = ellipsoid(centre - 58 * thick, (42.0, 40.0, 62.0), axes=axes)
    return slab.without(dent, rounding_mm=8)


STOMACH = (
    (58.0, 22.0, 26.0),
    (72.0, 2.0, 8.0),
    (74.0, -30.0, -14.0),
    (52.0, -54.0, -36.0),
    (20.0, -52.0, -44.0),
    (2.0, -40.0, -42.0),
)
STOMACH_RADII = (30.0, 34.0, 33.0, 25.0, 18.0, 10.0)
DUODENUM = (
    (0.0, -38.0, -42.0), (-20.0, -30.0, -40.0), (-34.0, -16.0, -52.0), (-36.0, -6.0, -88.0), (-24.0, 0.0, -106.0),
    (8.0, 0.0, -106.0), (32.0, 2.0, -84.0),
)  # fmt: skip
PANCREAS = ((-16.0, -6.0, -72.0), (-6.0, -8.0, -58.0), (20.0, -10.0, -48.0), (46.0, 6.0, -34.0), (70.0, 24.0, -26.0))
GALLBLADDER = ((-39.0, -13.0, -24.0), (-51.0, -28.0, -38.0), (-65.0, -46.0, -55.0))


def stomach() -> Solid:
    """Stomach with its contents, from fundus to pylorus."""
    return tube(STOMACH, STOMACH_RADII, rounding_mm=16)


def duodenum() -> Solid:
    """Duodenum, the C around the head of the pancreas."""
    return tube(DUODENUM, (11.0, 13.0, 13.5, 13.5, 13.0, 12.0, 11.0), rounding_mm=6)


def pancreas() -> Solid:
    """Pancreas, head to tail."""
    return tube(PANCREAS, (17.0, 15.0, 13.0, 12.0, 9.0), rounding_mm=10)


def gallbladder() -> Solid:
    """Gallbladder, neck at the hilum, fundus at the lower edge of the liver."""
    return tube(GALLBLADDER, (7.5, 14.0, 17.5), rounding_mm=8)


def thyroid() -> Solid:
    """Two lobes beside the trachea and the isthmus between them."""
    lobes = [ellipsoid((s * 20.0, -30.0, 262.0), (9.5, 10.5, 24.0)) for s in (-1, 1)]
    return union(*lobes, tube([(-16, -38, 252), (16, -38, 252)], 5.0), rounding_mm=6)


def trachea() -> Solid:
    """Trachea with its two bronchi, full of air."""
    pipe = tube([(0, -22, 420), (0, -14, 200), (2, -2, 160)], 8.0)
    return union(pipe, tube([(2, -2, 160), (-34, 4, 132)], [7.0, 5.0]), tube([(2, -2, 160), (36, 6, 130)], [7.0, 5.0]))


def diaphragm_left() -> Solid:
    """What lies under the left dome of the diaphragm (the right dome is the liver's)."""
    return ellipsoid((68.0, 4.0, -60.0), (84.0, 112.0, 106.0), power=2.3)


def under_lungs() -> Solid:
    """Room for the liver: the chest narrowed upwards, for the edge of the lung between liver and ribs."""
    chest = cavity(2.0)

    def field(p: Points) -> Array:
        return np.asarray(chest.field(p) + np.float32(0.17) * np.maximum(p[2] + 4, 0), dtype=np.float32)

    return Solid(field, chest.low, chest.high)


def lung(side: int, height: float = 1.0) -> Solid:
    """Room of one lung before liver, heart and diaphragm are taken from it; `height` stretches it upwards."""
    shape = ellipsoid((side * 66.0, 6.0, 10.0), (74.0, 108.0, 214.0 * height), power=2.3)

    def above(p: Points) -> Array:
        # The recess reaches lower at the back and the side than in front.
        return np.asarray(24 - 0.26 * p[1] - 0.04 * np.abs(p[0]) - p[2], dtype=np.float32)

    def beside(p: Points) -> Array:
        middle = 17 + 11 * np.exp(-(((p[1] + 30) / 40) ** 2))
        return np.asarray(middle - side * p[0], dtype=np.float32)

    chest = shape.within(cavity(0.8), rounding_mm=4)
    low, high = chest.low.copy(), chest.high.copy()
    low[2] = max(low[2], -85.0)
    if side > 0:
        low[0] = 10.0
    else:
        high[0] = -10.0

    def field(p: Points) -> Array:
        value = smooth_max(chest.field(p), above(p), 6)
        return smooth_max(value, beside(p), 8)

    return Solid(field, low, high)
