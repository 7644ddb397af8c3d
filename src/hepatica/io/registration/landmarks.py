"""Named points from CSV, 3D Slicer's .fcsv and .mrk.json, in LPS millimetres.

Slicer worked in RAS and writes LPS since version 4.11; its files say which ("CoordinateSystem", "coordinateSystem").
Where an old .fcsv says 0 or nothing, it is RAS. A CSV has columns name, x, y, z in LPS millimetres, as DICOM; columns
r, a, s say RAS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.text.files import json_file, text_file
from hepatica.errors import InputError
from hepatica.io.input_files import require_file
from hepatica.io.tables import read_table

MAX_LANDMARKS = 100_000
"""More than any list of anatomical points holds."""

FARTHEST_MM = 1e5
"""A landmark a hundred metres off is in another unit."""

_SIGNS = {"LPS": (1, 1, 1), "RAS": (-1, -1, 1), "0": (-1, -1, 1), "1": (1, 1, 1)}
"""By the word of a file; Slicer's number 0 is RAS, 1 is LPS."""


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Points of one image.

    Attributes
    ----------
    names : tuple of str
        Of each; distinct.
    points_mm : ndarray, shape (n, 3)
        LPS millimetres.
    path : Path or None
        The file.
    """

    names: tuple[str, ...]
    points_mm: NDArray[np.float64]
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.names)


def read_landmarks(path: Path | str) -> Landmarks:
    """Points of a file, by its suffix: .csv (or a workbook), .fcsv, .mrk.json.

    Raises
    ------
    InputError
        If it cannot be read, says no coordinate system that is known, holds no point, two of one name, or a
        coordinate that is no number of a patient; line or row named.
    """
    path = Path(path)
    require_file(path)
    name = path.name.lower()
    if name.endswith(".json"):
        found = _from_json(path)
    elif name.endswith(".fcsv"):
        found = _from_fcsv(path)
    else:
        found = _from_table(path)
    return _checked(path, found)


def pairs_of(fixed: Landmarks, moving: Landmarks) -> tuple[tuple[str, ...], NDArray[Any], NDArray[Any]]:
    """Names and points that both hold: by name, or in their order where no name is shared and counts agree.

    Raises
    ------
    InputError
        If they share no name and are of different number.
    """
    shared = [name for name in fixed.names if name in moving.names]
    if shared:
        at = [[points.names.index(name) for name in shared] for points in (fixed, moving)]
        return tuple(shared), fixed.points_mm[at[0]], moving.points_mm[at[1]]
    if len(fixed) != len(moving):
        raise InputError(
            f"{fixed.path} and {moving.path}: share no name, and hold {len(fixed)} and {len(moving)} points",
            remedy="give points of one place the same name in both",
        )
    return fixed.names, fixed.points_mm, moving.points_mm


Found = list[tuple[str, Sequence[float]]]


def _from_table(path: Path) -> Found:
    table = read_table(path)
    columns = {name.strip().lower(): name for name in table.columns}
    for axes in ("xyz", "ras", "lps"):
        keys = [columns.get(axis, columns.get(f"{axis}_mm", "")) for axis in axes]
        if all(keys):
            signs = _SIGNS["RAS" if axes == "ras" else "LPS"]
            break
    else:
        raise InputError(
            f"{path}: columns {', '.join(table.columns)}: x, y, z (LPS, mm) or r, a, s (RAS, mm) are needed"
        )
    label = next((columns[key] for key in ("name", "label", "id", "landmark") if key in columns), None)
    check = table.check()
    numbers = [check.numbers(key) for key in keys]
    check.done()
    names = list(table.columns[label]) if label else [""] * len(table)
    turned = [[s * n for s, n in zip(signs, point, strict=True)] for point in zip(*numbers, strict=True)]
    return list(zip(names, turned, strict=True))


def _from_fcsv(path: Path) -> Found:
    """Slicer's: comment lines, then id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID."""
    system = "0"
    columns = ["id", "x", "y", "z", "ow", "ox", "oy", "oz", "vis", "sel", "lock", "label"]
    found: Found = []
    for number, line in enumerate(text_file(path, "a list of markups").splitlines(), 1):
        if line.startswith("#"):
            key, mark, value = line.lstrip("# ").partition("=")
            if mark and key.strip() == "CoordinateSystem":
                system = value.strip()
            if mark and key.strip() == "columns":
                columns = [word.strip() for word in value.split(",")]
            continue
        if not line.strip():
            continue
        cells = dict(zip(columns, (cell.strip() for cell in line.split(",")), strict=False))
        try:
            point = [float(cells[axis]) for axis in ("x", "y", "z")]
        except (KeyError, ValueError):
            raise InputError(f"{path}, line {number}: {line[:60]!r} holds no point") from None
        found.append((cells.get("label") or cells.get("id", ""), point))
    return _turned(path, found, system)


def _from_json(path: Path) -> Found:
    content = json_file(path)
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not all(isinstance(one, dict) for one in markups):
        raise InputError(f"{path}: markups: a list of 3D Slicer's markups is needed")
    found: Found = []
    for one in markups:
        points = one.get("controlPoints")
        if not isinstance(points, list):
            raise InputError(f"{path}: markups: controlPoints is missing")
        if one.get("coordinateUnits", "mm") not in ("mm", ["mm", "mm", "mm"]):
            raise InputError(f"{path}: coordinateUnits: {str(one['coordinateUnits'])[:40]!r} is not mm")
        some: Found = []
        for number, point in enumerate(points):
            place = point.get("position") if isinstance(point, dict) else None
            defined = not isinstance(point, dict) or point.get("positionStatus", "defined") == "defined"
            if not defined:
                continue
            if not isinstance(place, list) or len(place) != 3 or not all(_is_number(c) for c in place):
                raise InputError(f"{path}: controlPoints {number}: position: three numbers are needed")
            some.append((str(point.get("label") or point.get("id") or ""), place))
        found += _turned(path, some, str(one.get("coordinateSystem", "not stated")))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _turned(path: Path, found: Found, system: str) -> Found:
    if system.upper() not in _SIGNS:
        raise InputError(f"{path}: coordinate system {system[:40]!r} is neither LPS nor RAS")
    signs = _SIGNS[system.upper()]
    return [(name, [s * c for s, c in zip(signs, point, strict=True)]) for name, point in found]


def _checked(path: Path, found: Found) -> Landmarks:
    if not 0 < len(found) <= MAX_LANDMARKS:
        raise InputError(f"{path}: holds {len(found)} points; 1 to {MAX_LANDMARKS} are read")
    names = [" ".join(name.split()) or f"point {number}" for number, (name, _) in enumerate(found, 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: two points are called {twice[:60]!r}; they cannot be told apart")
    for name, point in zip(names, (point for _, point in found), strict=True):
        if not all(math.isfinite(c) and abs(c) <= FARTHEST_MM for c in point):
            raise InputError(f"{path}: point {name[:60]!r}: {list(point)} is no place of a patient in mm")
    return Landmarks(tuple(names), np.array([point for _, point in found], dtype=np.float64), path)
