"""Outlines of one plane against each other: drawn twice, a hole, a part of its own, or none of these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepatica.anatomy.structures.points import point_text
from hepatica.anatomy.structures.polygons import Crossings, FloatArray, IntArray, even_odd_area, overlap_area
from hepatica.core.message import Message
from hepatica.errors import GeometryError

REDRAWN_MM, DOUBTED_MM, THIN_WALL_MM = 0.25, 0.5, 1.0
"""Two outlines that lie this close on average (their exclusive-or over their length) are one outline drawn twice; up to
the second number it may be one or a thin wall, and is refused; up to the third it is a wall around a hole, and is
said."""

REDRAWN_AREA = 0.5
"""...as long as they differ in less than this part of the smaller one: tiny holes are holes."""

OVERLAP_REFUSED = 1e-2
"""Part of the smaller of two contours from which on they overlap in part, and by which one may stick out of a hole."""

DISPUTE_MM2 = 0.1
"""Disputed area that never matters: 0.3 mm squared, less than any image's pixel."""


def redrawn_outlines(
    name: str,
    contours_mm: Sequence[FloatArray],
    pixels: Sequence[FloatArray],
    crossings: Crossings,
    plane_of: IntArray,
    pixel_mm: tuple[float, float],
) -> tuple[list[int], list[Message]]:
    """Contours that draw another one of their plane again, by number, and what to know about thin walls.

    Parameters
    ----------
    name : str
        The structure's name, for messages.
    contours_mm : sequence of ndarray, shape (n, 3)
        Corner points in LPS mm, for messages.
    pixels : sequence of ndarray, shape (n, 2 or more)
        The same corners in pixels of the plane.
    crossings : Crossings
        Of these with the scan lines.
    plane_of : ndarray of int, shape (contours,)
        Plane of each contour.
    pixel_mm : tuple of float
        Size of a pixel.

    Raises
    ------
    GeometryError
        If two contours overlap in part (neither a hole nor a part of its own), or so nearly repeat each other that it
        may be either.
    """
    corners = [points[:, :2] * pixel_mm for points in pixels]
    length_mm = [float(np.hypot(*np.diff(p, axis=0, append=p[:1]).T).sum()) for p in corners]
    low = np.array([p.min(axis=0) for p in corners])
    high = np.array([p.max(axis=0) for p in corners])
    redrawn: list[int] = []
    walls: list[tuple[float, str]] = []
    for plane in np.flatnonzero(np.bincount(plane_of) > 1):
        members = np.flatnonzero(plane_of == plane)
        here = crossings.select(plane_of[crossings.polygon] == plane)
        area = even_odd_area(here, here.polygon, len(corners)) * pixel_mm[0] * pixel_mm[1]
        apart = (high[members, None] <= low[None, members]).any(axis=-1)
        for first, second in np.argwhere(np.triu(~(apart | apart.T), k=1)):
            a, b = int(members[first]), int(members[second])
            if a in redrawn or b in redrawn:
                continue
            smaller = float(min(area[a], area[b]))
            shared = overlap_area(here, a, b) * pixel_mm[0] * pixel_mm[1]
            differing = max(0.0, float(area[a] + area[b]) - 2 * shared)
            distance = differing / max(min(length_mm[a], length_mm[b]), 1e-9)
            alike = differing <= REDRAWN_AREA * smaller
            where = f"on the plane through {point_text(contours_mm[a][0])} mm"
            if alike and distance <= REDRAWN_MM:
                redrawn.append(b)
            elif max(OVERLAP_REFUSED * smaller, DISPUTE_MM2) < shared < (1 - OVERLAP_REFUSED) * smaller:
                raise GeometryError(
                    f"structure {name!r}: two contours overlap in part {where} "
                    f"({100 * shared / smaller:.0f} % of the smaller one); neither a hole nor a separate part"
                )
            elif alike and distance <= DOUBTED_MM:
                raise GeometryError(
                    f"structure {name!r}: two contours lie {distance:.2g} mm apart {where}: drawn twice, or a wall "
                    "around a hole",
                    remedy="delete one of them",
                )
            elif alike and distance <= THIN_WALL_MM:
                walls.append((distance, where))
    return redrawn, _thin_walls(name, walls)


def _thin_walls(name: str, walls: Sequence[tuple[float, str]]) -> list[Message]:
    if not walls:
        return []
    text = (
        f"structure {name!r}: {len(walls)} pairs of contours lie {min(walls)[0]:.2g} mm apart or more, the first "
        f"{walls[0][1]}; read as a wall around a hole"
    )
    return [Message("wall-is-thin", text, "if it was drawn twice, delete one drawing")]
