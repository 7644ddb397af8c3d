"""Points of contours as structure sets hold them: what is none, what encloses nothing, what is there twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hepatica.anatomy.structures.polygons import FloatArray
from hepatica.core.message import Message
from hepatica.errors import GeometryError

FARTHEST_MM = 1e4
"""Coordinates beyond ten metres are no patient's."""


def checked_points(name: str, contour: ArrayLike) -> FloatArray:
    """Points of one contour, shape (n, 3), without a last one that repeats the first.

    Raises
    ------
    GeometryError
        If they are no finite points within ten metres.
    """
    points = np.asarray(contour, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise GeometryError(f"structure {name!r}: a contour needs points (x, y, z), not an array of {points.shape}")
    if not np.isfinite(points).all():
        raise GeometryError(f"structure {name!r}: a contour has points that are NaN or infinite")
    if len(points) and np.abs(points).max() > FARTHEST_MM:
        raise GeometryError(f"structure {name!r}: a contour has points {np.abs(points).max() / 1000:.3g} m away")
    if len(points) > 1 and np.array_equal(points[0], points[-1]):
        points = points[:-1]
    return points


def enclosing_contours(name: str, contours: list[FloatArray]) -> tuple[list[FloatArray], list[Message]]:
    """The contours that enclose something: those of fewer than three points, or along one line, are left out.

    Raises
    ------
    GeometryError
        If none is left.
    """
    if not contours:
        raise GeometryError(f"structure {name!r} is empty: it has no contours")
    flat = [points for points in contours if not encloses(points)]
    if not flat:
        return contours, []
    where = f" at {point_text(flat[0][0])} mm" if len(flat[0]) else ""
    if len(flat) == len(contours):
        if max(map(len, flat)) < 3:
            count = len(flat[0])
            raise GeometryError(f"structure {name!r}: a contour{where} has {count} points; a closed one needs three")
        raise GeometryError(f"structure {name!r} has no volume: its contours enclose no area")
    text = f"structure {name!r}: {len(flat)} contours of fewer than three points or along a line, the first{where}"
    left = Message("contours-enclose-nothing", f"{text}, enclose nothing and are left out")
    return [points for points in contours if encloses(points)], [left]


def encloses(points: FloatArray) -> bool:
    """Whether points span an area, that is do not lie on one line."""
    if len(points) < 3:
        return False
    return float(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1]) > 1e-3


def without_repeats(contours: list[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
    """The contours, each once, and those that repeat one exactly: the same contour twice would be nothing, even-odd."""
    unique: dict[bytes, FloatArray] = {}
    repeats = []
    for points in contours:
        key = points.tobytes()
        if key in unique:
            repeats.append(points)
        unique.setdefault(key, points)
    return list(unique.values()), repeats


def point_text(mm: FloatArray) -> str:
    """Coordinates for a message."""
    return "(" + ", ".join(f"{c:.1f}" for c in mm) + ")"
