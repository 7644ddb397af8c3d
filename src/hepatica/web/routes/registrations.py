"""Registrations: which there are, one made by hand or of landmarks, kept in the case with a line in its log."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from hepatica.anatomy.registration.landmarks import fit_landmarks
from hepatica.case.changing import changing
from hepatica.case.layout import STEPS
from hepatica.core.grid import Grid
from hepatica.core.text.files import json_file
from hepatica.core.transform.transform import Transform
from hepatica.errors import InputError
from hepatica.io.registration.dicom_write import write_registration
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.desk import OpenCase
from hepatica.web.images import image_of, loaded
from hepatica.web.links import transform_between
from hepatica.workflow.sources import dicom_context

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]
Point = tuple[float, float, float]
Matrix = tuple[tuple[float, float, float, float], ...]

RIGID_TOLERANCE = 1e-6

SAMPLES = 12
"""Positions along each axis of the fixed image that are looked for in the moving one."""


@router.get("/cases/{key}/registrations")
def list_registrations(key: str, bench: Bench) -> dict[str, Any]:
    """Steps that proposed one, how they stand, and what they said of it."""
    situation = bench.desk[key].situation()
    found = []
    for name, state in situation.steps.items():
        if name.split("-")[0] != "registration":
            continue
        about: dict[str, Any] = {
            "step": name, "state": state.state, "reasons": list(state.reasons), "checked_by": state.checked_by,
            "messages": [],
        }  # fmt: skip
        if name in situation.records:
            content = json_file(situation.folder / STEPS / name / "result.json")
            about["messages"] = content.get("messages", [])
            about["numbers"] = {word: value for word, value in content.items() if isinstance(value, int | float | str)}
        found.append(about)
    added = [item.name for item in situation.catalogue.of("registration")]
    return {"steps": found, "added": added}


class Pair(BaseModel):
    """Two images: points of the fixed one become points of the moving one."""

    fixed: str
    moving: str


@router.post("/cases/{key}/registrations/begin")
def begin(key: str, said: Pair, bench: Bench) -> dict[str, Any]:
    """The registration between two images as the case has it; the identity where it has none."""
    one = bench.desk[key]
    fixed, moving = _pair(one, said)
    found = transform_between(one.recent(), str(fixed.frame_of_reference), str(moving.frame_of_reference))
    if found is None or not found[0].is_affine:
        said_of = "no registration yet" if found is None else f"{found[1]} bends the image; a nudge begins from nothing"
        return {"matrix": np.eye(4).tolist(), "said": said_of, "accepted": False}
    return {"matrix": found[0].matrix.tolist(), "said": found[1], "accepted": found[2]}


def _pair(one: OpenCase, said: Pair) -> tuple[Grid, Grid]:
    """Grids of two images that a registration can join.

    Raises
    ------
    InputError
        If they are one image, or lie in one frame of reference already.
    """
    if said.fixed == said.moving:
        raise InputError("an image needs no registration to itself", remedy="choose two images")
    fixed, moving = loaded(one, said.fixed).volume.grid, loaded(one, said.moving).volume.grid
    if fixed.frame_of_reference is not None and fixed.frame_of_reference == moving.frame_of_reference:
        raise InputError("both images share their frame of reference: they need no registration")
    return fixed, moving


def _require_overlap(transform: Transform, fixed: Grid, moving: Grid) -> None:
    """Refuse what lays no part of one image on the other."""
    steps = [np.linspace(0, n - 1, min(n, SAMPLES)) for n in fixed.shape]
    points = fixed.to_mm(np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3))
    index = moving.to_index(transform.points_mm(points))
    if not ((index >= -0.5) & (index <= np.asarray(moving.shape) - 0.5)).all(axis=1).any():
        raise InputError(
            "by this registration no part of one image lies on the other",
            remedy="take the nudge back, or place the landmarks anew",
        )


class Landmarks(BaseModel):
    """Positions of the same tissue in both images, by name."""

    fixed: dict[str, Point]
    moving: dict[str, Point]


@router.post("/cases/{key}/registrations/landmarks")
def of_landmarks(key: str, said: Landmarks, bench: Bench) -> dict[str, Any]:
    """The rigid registration that landmarks give, and how far each is off."""
    bench.desk[key].seen()
    fit = fit_landmarks(said.fixed, said.moving, "rigid")
    names = [name for name in said.fixed if name in said.moving]
    moved = fit.transform.points_mm([said.fixed[name] for name in names])
    off = np.linalg.norm(moved - np.asarray([said.moving[name] for name in names]), axis=1)
    return {"matrix": fit.transform.matrix.tolist(), "residual_mm": dict(zip(names, off.tolist(), strict=True))}


class Kept(Pair):
    """A registration that a person found good, who it was and why."""

    matrix: Matrix
    by: str
    reason: str
    uncertainty_mm: Annotated[float, Field(ge=0, le=1000)] | None = None
    landmarks_off_mm: float | None = None


@router.post("/cases/{key}/registrations/keep")
def keep(key: str, said: Kept, bench: Bench) -> dict[str, Any]:
    """Write it into the case as a DICOM registration; one that was added before is used no more."""
    if not said.by.strip() or not said.reason.strip():
        raise InputError("a registration that is kept needs who found it good, and why")
    matrix = np.asarray(said.matrix, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=RIGID_TOLERANCE):
        raise InputError("a registration by hand is rigid: a turn and a shift")
    one = bench.desk[key]
    fixed, moving = _pair(one, said)
    images = [loaded(one, name) for name in (said.fixed, said.moving)]
    contexts = [dicom_context(image_of(image.shown)) for image in images]
    transform = Transform.affine(
        matrix, fixed_frame=images[0].volume.grid.frame_of_reference, uncertainty_mm=said.uncertainty_mm,
        moving_frame=images[1].volume.grid.frame_of_reference, method="rigid, by hand in the workbench",
    ).checked()  # fmt: skip
    _require_overlap(transform, fixed, moving)
    before = [item.name for item in one.situation().catalogue.of("registration")]
    with tempfile.TemporaryDirectory(prefix="hepatica-") as place:
        path = Path(place) / "registration.dcm"
        write_registration(path, transform, *contexts)
        added = one.case.add(path, "registration")
    for name in before:
        one.case.take(name, "unused")
    names = [item.name for item in added.items]
    with changing(one.folder) as log:
        about: dict[str, Any] = {"items": names, "fixed": said.fixed, "moving": said.moving, "matrix": matrix.tolist()}
        if said.landmarks_off_mm is not None:
            about["landmarks_off_mm"] = round(said.landmarks_off_mm, 2)
        log.append("registered", about, {"by": said.by.strip(), "reason": said.reason.strip()})
    return {"items": names}
