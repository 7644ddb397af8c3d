"""Structures: drawn, changed, taken back, saved into the case as SEG and RTSTRUCT with a line in its log."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header
from pydantic import BaseModel, Field

from hepatica.case.changing import changing
from hepatica.case.drafts import CHANGED as DRAWN_ELSEWHERE
from hepatica.case.drafts import Draft, drafts_of
from hepatica.core.provenance import Provenance
from hepatica.core.region import Region
from hepatica.errors import InputError, OutputError
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.desk import OpenCase
from hepatica.web.images import image_of, loaded
from hepatica.web.once import HEADER, MOST_NUMBER
from hepatica.web.planes import Plane
from hepatica.web.sketch import MOST_RADIUS_MM, Sketch, painted, shaped, values_on
from hepatica.web.structures import read_set
from hepatica.workflow.sources import dicom_context

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]
Tab = Annotated[str, Header(alias="x-hepatica-tab", max_length=64)]
Number = Annotated[str, Header(alias=HEADER.decode(), max_length=MOST_NUMBER)]
Point = tuple[float, float, float]
HELD = "sketch"

SAVED_AS = {"scout-ct": "scout-structures", "therapy-ct": "therapy-structures", "baseline-ct": "baseline-structures",
            "baseline-mr": "baseline-structures", "follow-up-ct": "follow-up-structures",
            "follow-up-mr": "follow-up-structures", "therapy-mr": "therapy-structures"}  # fmt: skip
"""Role of the image that is drawn on -> role of what was drawn."""


class Begun(BaseModel):
    """The image that is drawn on, and a set of structures to begin from."""

    on: str
    start: str = ""


class Discarded(Begun):
    """A drawing, and its version as it was looked at; empty where that is not said."""

    version: str = ""


@router.post("/cases/{key}/drawing")
def begin_drawing(key: str, said: Begun, bench: Bench, tab: Tab = "") -> dict[str, Any]:
    """Begin to draw, or go on with what was drawn on this image from this set and not saved.

    Another drawing that is not saved stays in the case.
    """
    one = bench.desk[key]
    if one.kept(HELD):
        _sketch(one, tab)  # not while another tab draws
    base = loaded(one, said.on)
    draft = Draft(one.folder, said.on, said.start)
    if draft.is_there:
        sketch = Sketch.restored_from(draft, base)
    else:
        kept: dict[str, Region] = {}
        if said.start:
            kept = {region.name: region for region in read_set(one, said.start, said.on).regions}
        sketch = Sketch(base, said.start, kept=kept, draft=draft)
    sketch.hold(tab)
    sketch.keep()
    one.drop(HELD)
    return one.held(HELD, lambda: sketch).as_document(tab)


def _restored(one: OpenCase) -> Sketch:
    """The drawing that was kept last, where none is held: the server was started anew, or the case was let go."""
    found = next(iter(drafts_of(one.folder)), None)
    if found is None:
        raise InputError("nothing is drawn on", remedy="choose the image that is drawn on")
    return Sketch.restored_from(found[0], loaded(one, found[0].on))


def _sketch(one: OpenCase, tab: str = "", *, take: bool = False) -> Sketch:
    """What is drawn, for a tab that may draw."""
    sketch = one.held(HELD, lambda: _restored(one))
    sketch.hold(tab, take=take)
    return sketch


@router.get("/cases/{key}/drawing")
def see_drawing(key: str, bench: Bench, tab: Tab = "") -> dict[str, Any] | None:
    """What is drawn; null where nothing is."""
    one = bench.desk[key]
    if not one.kept(HELD) and not drafts_of(one.folder):
        return None
    sketch = one.held(HELD, lambda: _restored(one))
    if sketch.tab in ("", tab):
        sketch.hold(tab)
    sketch.look_for_others()
    return sketch.as_document(tab)


@router.get("/cases/{key}/drawing/drafts")
def list_drafts(key: str, bench: Bench) -> list[dict[str, Any]]:
    """Drawings that are not saved."""
    found = drafts_of(bench.desk[key].folder)
    return [
        {
            "on": draft.on,
            "start": draft.start,
            "at": about.get("at", ""),
            "drawn": about.get("drawn", []),
            "version": draft.kept_version,
        }
        for draft, about in found
    ]


@router.post("/cases/{key}/drawing/hold")
def take_drawing(key: str, bench: Bench, tab: Tab = "") -> dict[str, Any]:
    """Draw in this tab; the one that drew until now can only look."""
    return _sketch(bench.desk[key], tab, take=True).as_document(tab)


@router.post("/cases/{key}/drawing/discard")
def discard_drawing(key: str, said: Discarded, bench: Bench, tab: Tab = "") -> dict[str, bool]:
    """Let go of a drawing that is not saved, unless somebody drew on it since it was looked at."""
    one = bench.desk[key]
    draft = Draft(one.folder, said.on, said.start)
    if said.version and draft.is_there and draft.kept_version != said.version:
        raise OutputError("it was drawn on since: what would be discarded is not what was looked at",
                          remedy="look at it as it is now, then discard it")  # fmt: skip
    if one.kept(HELD):
        sketch = _sketch(one, tab)
        if sketch.draft is None or (sketch.draft.on, sketch.draft.start) == (said.on, said.start):
            if sketch.draft is not None and sketch.draft.is_changed:
                raise OutputError(DRAWN_ELSEWHERE, remedy="choose the image again to see it, then discard it")
            one.drop(HELD)
    draft.discard()
    return {"ok": True}


class Named(BaseModel):
    """A structure."""

    name: str


def _done(sketch: Sketch, tab: str, number: str, do: Callable[[], object]) -> dict[str, Any]:
    """Change what is drawn, and keep it; what was done last under the same number is not done again.

    The number is kept with the drawing, so that it holds for a hepatica that was started anew in between too.
    """
    found = None
    with sketch.lock:
        if not number or sketch.number != number:
            found = do()
            sketch.number = number
            sketch.keep()
    return sketch.as_document(tab) | ({"changed": found} if isinstance(found, int) else {})


@router.post("/cases/{key}/drawing/new")
def new_structure(key: str, said: Named, bench: Bench, tab: Tab = "", number: Number = "") -> dict[str, Any]:
    """Begin a structure."""
    sketch = _sketch(bench.desk[key], tab)
    return _done(sketch, tab, number, lambda: sketch.new(said.name.strip()))


class Stroke(Named):
    """A brush's way or a closed contour; with a normal in one layer of voxels, without as a ball."""

    kind: Literal["brush", "contour"]
    points: Annotated[list[Point], Field(max_length=5000)]
    radius_mm: Annotated[float, Field(gt=0, le=MOST_RADIUS_MM)] = 5.0
    normal: Point | None = None
    erase: bool = False


@router.post("/cases/{key}/drawing/stroke")
def draw_stroke(key: str, said: Stroke, bench: Bench, tab: Tab = "", number: Number = "") -> dict[str, Any]:
    """Draw or erase."""
    sketch = _sketch(bench.desk[key], tab)
    return _done(sketch, tab, number, lambda: painted(sketch, said.name, said.model_dump()))


class Shape(Named):
    """Another way to change a structure."""

    how: Literal["threshold", "grow", "margin", "fill", "between", "clear"]
    image: str | None = None
    low: float = 0.0
    high: float = 0.0
    seed: Point | None = None
    reach_mm: Annotated[float, Field(gt=0, le=1000)] = 40.0
    margin_mm: Annotated[float, Field(ge=-MOST_RADIUS_MM, le=MOST_RADIUS_MM)] = 0.0
    within: str | None = None
    normal: Point | None = None


@router.post("/cases/{key}/drawing/shape")
def change_shape(key: str, said: Shape, bench: Bench, tab: Tab = "", number: Number = "") -> dict[str, Any]:
    """Threshold, grow, margin, fill, or slices between drawn ones."""
    one = bench.desk[key]
    sketch = _sketch(one, tab)
    values = None
    if said.how in ("threshold", "grow"):
        if said.image is None or (said.how == "grow" and said.seed is None):
            raise InputError("an image, and to grow a seed, are needed")
        values = values_on(sketch, loaded(one, said.image))
    return _done(sketch, tab, number, lambda: shaped(sketch, said.name, said.how, said.model_dump(), values))


@router.post("/cases/{key}/drawing/undo")
def undo(key: str, bench: Bench, tab: Tab = "", number: Number = "") -> dict[str, Any]:
    """Take the last change back."""
    sketch = _sketch(bench.desk[key], tab)
    return _done(sketch, tab, number, sketch.undo)


@router.post("/cases/{key}/drawing/redo")
def redo(key: str, bench: Bench, tab: Tab = "", number: Number = "") -> dict[str, Any]:
    """Do it once more."""
    sketch = _sketch(bench.desk[key], tab)
    return _done(sketch, tab, number, sketch.redo)


class OnPlane(BaseModel):
    """A plane."""

    origin: Point
    across: Point
    down: Point
    width_mm: float
    height_mm: float


@router.post("/cases/{key}/drawing/lines")
def drawn_lines(key: str, asked: OnPlane, bench: Bench) -> dict[str, Any]:
    """Outlines of what is drawn, on a plane."""
    sketch = _sketch(bench.desk[key])  # a tab that only looks sees the strokes too
    plane = Plane(asked.origin, asked.across, asked.down, asked.width_mm, asked.height_mm)
    with sketch.lock:
        found = [{"name": one.name, "lines": lines} for one in sketch.outlined() if (lines := one.outlines(plane))]
    return {"doses": [], "structures": found}


class Saved(BaseModel):
    """Who drew it, and why."""

    by: str
    reason: str = ""


@router.post("/cases/{key}/drawing/save")
def save_drawing(key: str, said: Saved, bench: Bench, tab: Tab = "") -> dict[str, Any]:
    """Write all structures that hold a voxel into the case, in place of the set that they began from."""
    if not said.by.strip():
        raise InputError("a drawing needs the name of who drew it")
    one = bench.desk[key]
    sketch = _sketch(one, tab)
    situation = one.situation()
    image = next((item for item in situation.catalogue if item.name == sketch.base.shown.key), None)
    if image is None or image.role not in SAVED_AS:
        raise InputError("structures are drawn on a CT or MR of the case", remedy="choose one")
    role = SAVED_AS[image.role]
    with sketch.lock:
        regions = [region for name in sketch.names if not (region := sketch.region(name)).is_empty]
        if not regions:
            raise InputError("every structure is empty")
        names = _write_into(one, sketch, regions, role, image.treatment)
        left_out = [name for name in sketch.names if name not in {region.name for region in regions}]
        volumes = {region.name: round(region.volume_ml, 3) for region in regions}
        touched, steps = sorted(sketch.masks), sketch.counted
    with changing(one.folder) as log:
        about = {"items": names, "on": image.name, "from": sketch.begun_from, "changes": steps}
        log.append("drawn", about, {"by": said.by.strip(), "reason": said.reason.strip(), "drawn": touched,
                                    "volumes_ml": volumes})  # fmt: skip
    one.drop(HELD)
    if sketch.draft is not None and not sketch.draft.is_changed:
        sketch.draft.discard()  # what another hepatica drew meanwhile stays
    return {"items": names, "role": role, "left_out": left_out}


def _write_into(one: OpenCase, sketch: Sketch, regions: list[Region], role: str, treatment: int) -> list[str]:
    """Add SEG (what steps use) and RTSTRUCT (for other programs); what was there of that role is used no more."""
    context = dicom_context(image_of(sketch.base.shown))
    before = [item.name for item in one.situation().catalogue.of(role, treatment)]
    case = one.case
    names = []
    with tempfile.TemporaryDirectory(prefix="hepatica-") as place:
        provenance = Provenance(steps=("drawn in the workbench",))
        files = {role: Path(place) / "seg" / "structures-seg.dcm", "unused": Path(place) / "rt" / "structures.dcm"}
        for path in files.values():
            path.parent.mkdir()
        write_seg(files[role], regions, context, image_grid=sketch.grid, fractional=True, provenance=provenance)
        write_rtstruct(files["unused"], regions, context, image_grid=sketch.grid, provenance=provenance)
        for as_role, path in files.items():
            added = case.add(path, as_role, treatment=treatment)
            names += [item.name for item in added.items]
    for name in before:
        case.take(name, "unused")
    return names
