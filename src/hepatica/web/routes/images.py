"""Images for the viewer: which there are, their voxels, values at a point, lines on a plane."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from hepatica.core.resample import values_at
from hepatica.errors import GeometryError, HepaticaError, InputError
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.images import loaded, shown_images
from hepatica.web.links import link_between, way_between
from hepatica.web.planes import Plane, isolines
from hepatica.web.structures import read_set, structure_sets

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]
Point = tuple[float, float, float]

MOST_LEVELS = 24


@router.get("/cases/{key}/images")
def list_images(key: str, bench: Bench) -> dict[str, Any]:
    """What can be shown and outlined; reads no voxel."""
    situation = bench.desk[key].recent()
    return {
        "images": [shown.as_document() for shown in shown_images(situation)],
        "structures": [
            {"key": one.key, "title": one.title, "proposal": one.is_proposal} for one in structure_sets(situation)
        ],
    }


@router.get("/cases/{key}/images/{image}")
def describe_image(key: str, image: str, bench: Bench) -> dict[str, Any]:
    """Grid, unit and range of one image."""
    return loaded(bench.desk[key], image).as_document()


@router.get("/cases/{key}/images/{image}/voxels")
def send_voxels(
    key: str, image: str, bench: Bench, first: Annotated[int | None, Query(ge=0)] = None, count: int = 2
) -> Response:
    """Some slices, or all of them as they come."""
    found = loaded(bench.desk[key], image)
    if first is not None:
        last = min(found.volume.grid.shape[2], first + max(1, min(count, 64)))
        return Response(found.slab(first, last), media_type="application/octet-stream")
    size = found.volume.grid.size * (2 if found.is_whole else 4)
    return StreamingResponse(
        found.slabs(), media_type="application/octet-stream", headers={"content-length": str(size)}
    )


@router.get("/cases/{key}/images/{image}/coarse")
def send_coarse(key: str, image: str, bench: Bench) -> Response:
    """A NIfTI of at most 128 voxels along an axis, along the patient's axes: what the 3-D tile shows."""
    from hepatica.web.nifti import nifti_bytes

    one = bench.desk[key]
    found = loaded(one, image)
    content = one.held(f"coarse {image}", lambda: nifti_bytes(found.coarse()))
    return Response(content, media_type="application/octet-stream")


@router.get("/cases/{key}/links")
def see_link(key: str, here: str, there: str, bench: Bench) -> dict[str, Any]:
    """How positions of one image become positions of another one."""
    one = bench.desk[key]
    return link_between(one.recent(), loaded(one, here).volume.grid, loaded(one, there).volume.grid)


class Cursor(BaseModel):
    """A position and what is asked of it."""

    point: Point
    at: str
    images: list[str]
    structures: str | None = None
    on: str | None = None


@router.post("/cases/{key}/cursor")
def values_at_cursor(key: str, asked: Cursor, bench: Bench) -> dict[str, Any]:
    """Values of images at a point, each from its own voxels, and the structures that hold it."""
    one = bench.desk[key]
    if not np.isfinite(asked.point).all():
        raise InputError("the position is none")
    situation, grid = one.recent(), loaded(one, asked.at).volume.grid
    values = []
    states = {shown.key: shown.state for shown in shown_images(situation)}  # as it is now, not as it was read
    for image in asked.images:
        found = loaded(one, image)
        way = way_between(situation, grid, found.volume.grid)
        point = np.asarray(asked.point) if way is None else way.points_mm(asked.point)
        value = float(values_at(found.volume, point))
        state = states.get(image, "")
        title = f"{found.shown.title} ({state.upper()})" if state else found.shown.title
        about = {"key": image, "title": title, "state": state, "unit": found.unit}
        values.append(about | {"value": value if np.isfinite(value) else None})
    inside: list[str] = []
    if asked.structures and asked.on:
        drawn = read_set(one, asked.structures, asked.on).outlined
        inside = [region.name for region in drawn if region.holds(asked.point)]
    return {"point": list(asked.point), "values": values, "structures": inside}


class Isodoses(BaseModel):
    """Levels of one dose map; `at` is the image whose frame of reference the plane is in, if that is another one."""

    image: str
    levels: list[float]
    at: str | None = None


class Lines(BaseModel):
    """A plane and what is drawn on it."""

    origin: Point
    across: Point
    down: Point
    width_mm: float
    height_mm: float
    doses: list[Isodoses] = []
    structures: str | None = None
    on: str | None = None
    names: list[str] | None = None


@router.post("/cases/{key}/lines")
def lines_on_plane(key: str, asked: Lines, bench: Bench) -> dict[str, Any]:
    """Isodose lines and outlines on a plane, as polylines in mm from its corner."""
    one = bench.desk[key]
    plane = Plane(asked.origin, asked.across, asked.down, asked.width_mm, asked.height_mm)
    if sum(len(dose.levels) for dose in asked.doses) > MOST_LEVELS:
        raise InputError(f"more than {MOST_LEVELS} isodose lines")
    doses = []
    for dose in asked.doses:
        volume = loaded(one, dose.image).volume
        way = None if dose.at is None else way_between(one.recent(), loaded(one, dose.at).volume.grid, volume.grid)
        found = isolines(volume, plane, dose.levels, way)
        doses.append({"image": dose.image, "lines": [{"level": at, "lines": lines} for at, lines in found.items()]})
    regions = read_set(one, asked.structures, asked.on).outlined if asked.structures and asked.on else ()
    wanted = [region for region in regions if asked.names is None or region.name in asked.names]
    drawn = [{"name": region.name, "lines": lines} for region in wanted if (lines := region.outlines(plane))]
    return {"doses": doses, "structures": drawn}


@router.get("/cases/{key}/structures/{name}")
def list_structures(key: str, name: str, on: str, bench: Bench) -> dict[str, Any]:
    """Structures of a set with colour and volume, on the voxels of an image; why, where they do not fit it."""
    one = bench.desk[key]
    try:
        found = read_set(one, name, on)
    except GeometryError:
        error = "drawn in another frame of reference than this image"
        return {"structures": [], "messages": [], "error": error}
    except HepaticaError as error:
        return {"structures": [], "messages": [], "error": str(error)}
    return {"structures": found.as_document(), "messages": list(found.messages), "error": ""}
