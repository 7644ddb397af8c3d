"""Regions that are drawn to measure: what the voxels in them hold, each image by its own voxels."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends
from numpy.typing import NDArray
from pydantic import BaseModel

from hepatica.core.grid import Grid
from hepatica.core.transform.transform import Transform
from hepatica.core.volume import Volume
from hepatica.errors import GeometryError, InputError
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.images import loaded
from hepatica.web.links import way_between

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]
Vector = tuple[float, float, float]

MOST_MM = 2000.0


class Region(BaseModel):
    """An ellipse or a rectangle on a plane, or with a depth the ellipsoid or box around it; LPS, mm."""

    shape: Literal["ellipse", "rectangle"]
    centre: Vector
    across: Vector
    down: Vector
    half_across_mm: float
    half_down_mm: float
    half_depth_mm: float = 0.0
    at: str
    images: list[str]


@router.post("/cases/{key}/region")
def values_in_region(key: str, asked: Region, bench: Bench) -> dict[str, Any]:
    """Mean, standard deviation, lowest and highest value of the voxels whose centres lie in a region.

    On a plane without a depth those are the voxels within half a voxel of it, which on a plane along the voxels is one
    slice. Nothing is interpolated. An image of another frame of reference is read through the registration.
    """
    axes = _axes(asked)
    one = bench.desk[key]
    base = loaded(one, asked.at).volume.grid
    rows = []
    for image in asked.images:
        found = loaded(one, image)
        about = {"key": image, "title": found.shown.title, "unit": found.unit, "count": 0, "error": ""}
        try:
            ways = _ways(one.recent(), base, found.volume.grid)
        except GeometryError as error:
            rows.append(about | {"error": str(error)})
            continue
        values = voxels_in(found.volume, asked, axes, *ways)
        rows.append(about | (_numbers(values) if values.size else {"error": "no voxel centre lies in it"}))
    half = (asked.half_across_mm, asked.half_down_mm)
    area = (math.pi if asked.shape == "ellipse" else 4.0) * half[0] * half[1]
    depth = asked.half_depth_mm
    volume = (4 / 3 * math.pi if asked.shape == "ellipse" else 8.0) * half[0] * half[1] * depth / 1000
    return {"area_mm2": area, "volume_ml": volume if depth else None, "values": rows}


def _axes(asked: Region) -> NDArray[np.float64]:
    """Unit vectors across, down and through the plane, as rows."""
    axes = np.array([asked.across, asked.down, np.cross(asked.across, asked.down)], dtype=np.float64)
    halves = (asked.half_across_mm, asked.half_down_mm, asked.half_depth_mm)
    if not np.isfinite([*asked.centre, *halves]).all() or not np.allclose(axes @ axes.T, np.eye(3), atol=1e-6):
        raise InputError("a region needs a centre and two directions that are perpendicular unit vectors")
    if min(halves[:2]) <= 0 or halves[2] < 0 or max(halves) > MOST_MM:
        raise InputError(f"the sides of a region lie above 0 and at most at {MOST_MM:g} mm", remedy="draw it again")
    return axes


def _ways(situation: Any, here: Grid, there: Grid) -> tuple[Transform | None, Transform | None]:
    return way_between(situation, here, there), way_between(situation, there, here)


def voxels_in(
    volume: Volume, asked: Region, axes: NDArray[np.float64], there: Transform | None, back: Transform | None
) -> NDArray[np.float64]:
    """Values of the voxels whose centres lie in a region.

    Parameters
    ----------
    volume : Volume
        The image.
    asked : Region
        In the frame of reference of the image that it was drawn on.
    axes : array of float
        Its directions, as rows.
    there, back : Transform or None
        From that frame of reference to the volume's, and back; None where it is the same.
    """
    grid = volume.grid
    halves = np.array([asked.half_across_mm, asked.half_down_mm, asked.half_depth_mm])
    slab = halves[2] or _half_voxel_mm(grid, axes[2])
    reach = np.array([halves[0], halves[1], slab])
    signs = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = np.asarray(asked.centre) + (signs * reach) @ axes
    index = grid.to_index(corners if there is None else there.points_mm(corners))
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - 1, 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 2, 0, grid.shape)
    if (high <= low).any():
        return np.empty(0)
    box = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1)
    centres = grid.to_mm(box)
    centres = centres if back is None else back.points_mm(centres)
    across, down, through = np.moveaxis((centres - np.asarray(asked.centre)) @ axes.T, -1, 0)
    # Half open, so that a plane in the middle between two slices takes one of them.
    inside = (through >= -slab) & (through < slab)
    if asked.shape == "rectangle":
        inside &= (np.abs(across) <= halves[0]) & (np.abs(down) <= halves[1])
    else:
        radius = (across / halves[0]) ** 2 + (down / halves[1]) ** 2
        inside &= radius + ((through / halves[2]) ** 2 if halves[2] else 0.0) <= 1
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return np.asarray(volume.values[window][inside], dtype=np.float64)


def _half_voxel_mm(grid: Grid, normal: NDArray[np.float64]) -> float:
    """Half the extent of a voxel along a direction, by the axis of the grid that is closest to it."""
    return float(np.abs(grid.affine[:3, :3].T @ normal).max()) / 2


def _numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    sd = float(values.std(ddof=1)) if values.size > 1 else None
    return {
        "count": int(values.size), "mean": float(values.mean()), "sd": sd,
        "low": float(values.min()), "high": float(values.max()),
    }  # fmt: skip
