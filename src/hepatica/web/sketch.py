"""Structures while they are drawn: masks on the voxels of one image, what was done to them, and the way back."""

from __future__ import annotations

import itertools
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.drawing import brush, shapes
from hepatica.anatomy.structures.roles import structure_of
from hepatica.case.drafts import CHANGED as DRAWN_ELSEWHERE
from hepatica.case.drafts import Draft, Step
from hepatica.core.grid import Grid
from hepatica.core.region import Region, bounding_window
from hepatica.core.resample import values_at
from hepatica.core.text.visible import one_line
from hepatica.errors import InputError, OutputError, UnknownNameError
from hepatica.report.figures.palette import styles_by_name
from hepatica.web.images import Loaded
from hepatica.web.planes import Outlined

Mask = NDArray[np.bool_]
Window = tuple[slice, slice, slice]

STEPS_BACK = 50
MOST_RADIUS_MM = 100.0

TAB_GONE_S = 30.0
"""A tab that draws asks every few seconds how the drawing stands; one that did not for so long is gone."""
HALF = 0.5


_NUMBERS = itertools.count(time.time_ns())
"""Of changes: no two are alike, of an earlier run neither, so that what was written of one is never another's."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One thing done: which block of which structure was what before."""

    what: str
    name: str
    window: Window
    before: Mask
    number: int = field(default_factory=_NUMBERS.__next__)


@dataclass(eq=False)
class Sketch:
    """What is drawn on one image.

    Attributes
    ----------
    base : Loaded
        The image.
    begun_from : str
        Set of structures that it began from; empty where it began from nothing.
    masks : dict of str to ndarray
        Structures that were touched, as masks of all voxels.
    kept : dict of str to Region
        Structures of the set that were not touched, as they came.
    done : list of Change
        In order.
    number : str
        Under which the page sent the last change.
    """

    base: Loaded
    begun_from: str = ""
    masks: dict[str, Mask] = field(default_factory=dict)
    kept: dict[str, Region] = field(default_factory=dict)
    done: list[Change] = field(default_factory=list)
    undone: list[Change] = field(default_factory=list)
    counted: int = 0
    draft: Draft | None = None
    not_kept: str = ""
    restored: str = ""
    tab: str = ""
    number: str = ""
    heard: float = field(default_factory=time.monotonic)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _outlined: dict[str, tuple[int, Outlined]] = field(default_factory=dict, repr=False)
    _stamps: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def grid(self) -> Grid:
        """Voxels that are drawn on."""
        return self.base.volume.grid

    @property
    def names(self) -> tuple[str, ...]:
        """All structures, in the order in which they came."""
        return (*self.kept, *(name for name in self.masks if name not in self.kept))

    def new(self, name: str) -> None:
        """Begin a structure.

        Raises
        ------
        InputError
            If it has no name, or one has it already.
        """
        if not name.strip() or len(name) > 64:
            raise InputError("a structure needs a name of 1 to 64 letters")
        if one_line(name) != name:
            raise InputError(f"the name {one_line(name)} holds characters that cannot be seen", remedy="type it anew")
        same = next((each for each in self.names if _alike(each) == _alike(name)), None)
        if same is not None:
            raise InputError(
                f"there is a structure {same!r} already", remedy="draw on that one, or choose another name"
            )
        self.masks[name] = np.zeros(self.grid.shape, dtype=bool)
        self._touch(name)

    def mask(self, name: str) -> Mask:
        """Of a structure, to be changed."""
        if name not in self.masks:
            if name not in self.kept:
                raise UnknownNameError("structure", name, self.names)
            self.masks[name] = self.kept.pop(name).mask()
            self._touch(name)
        return self.masks[name]

    def apply(self, what: str, name: str, window: Window, new: Callable[[Mask], Mask]) -> int:
        """Change a block of a structure; the number of voxels that changed.

        Nothing is noted where nothing changed.
        """
        mask = self.mask(name)
        before = mask[window].copy()
        after = new(before)
        changed = int(np.count_nonzero(before != after))
        if changed:
            mask[window] = after
            self.done = [*self.done, Change(what, name, window, before)][-STEPS_BACK:]
            self.undone.clear()
            self.counted += 1
            self._touch(name)
        return changed

    def undo(self) -> str:
        """Take the last change back; what it was, empty where there is none."""
        return self._swap(self.done, self.undone)

    def redo(self) -> str:
        """Do what was taken back once more."""
        return self._swap(self.undone, self.done)

    def _swap(self, source: list[Change], target: list[Change]) -> str:
        if not source:
            return ""
        change = source.pop()
        mask = self.mask(change.name)
        target.append(Change(change.what, change.name, change.window, mask[change.window].copy()))
        mask[change.window] = change.before
        self._touch(change.name)
        return change.what

    def _touch(self, name: str) -> None:
        self._stamps[name] = self._stamps.get(name, 0) + 1

    def region(self, name: str) -> Region:
        """A structure as it is."""
        if name in self.kept:
            return self.kept[name]
        return Region.from_coverage(name, self.grid, self.mask(name), origin="drawn in the workbench")

    def outlined(self) -> tuple[Outlined, ...]:
        """All structures as planes cut them; those that did not change are not made anew."""
        found = []
        for name in self.names:
            stamp = self._stamps.get(name, 0)
            if self._outlined.get(name, (-1, None))[0] != stamp:
                self._outlined[name] = (stamp, Outlined.of(self.region(name)))
            found.append(self._outlined[name][1])
        return tuple(found)

    @classmethod
    def restored_from(cls, draft: Draft, base: Loaded) -> Sketch:
        """What was drawn and not saved, as it was kept, with its steps back.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        regions, about = draft.read(base.volume.grid)
        found = cls(base, draft.start, draft=draft)
        drawn = set(about.get("drawn", ()))
        found.kept = {region.name: region for region in regions if region.name not in drawn}
        found.masks = {region.name: region.mask() for region in regions if region.name in drawn}
        found.counted = int(about.get("changes", 0))
        found.number = str(about.get("number", ""))
        found.restored = str(about.get("at", "")) if drawn else ""
        for step in draft.steps(base.volume.grid):
            if step.name in found.masks:
                block = step.block()
                change = Change(step.what, step.name, block.window, block.coverage > HALF)
                (found.undone if step.is_undone else found.done).append(change)
        return found

    def keep(self) -> None:
        """Write it into the case; where that cannot be done the page says so, and drawing goes on."""
        if self.draft is None:
            return
        regions = {name: (self._stamps.get(name, 0), self.region(name)) for name in self.names}
        try:
            self.draft.keep(
                regions, {"drawn": list(self.masks), "changes": self.counted, "number": self.number}, self._steps()
            )
            self.not_kept = ""
        except OutputError as error:
            self.not_kept = str(error)

    def look_for_others(self) -> None:
        """Say so where another hepatica drew on it meanwhile."""
        if self.draft is not None and not self.not_kept and self.draft.is_changed:
            self.not_kept = DRAWN_ELSEWHERE

    def _steps(self) -> list[Step]:
        """The way back and forth, as it is kept; a block is only made where it is not written yet."""

        def block(change: Change) -> Region:
            return Region(change.name, self.grid, change.window, change.before.astype(np.float32))

        return [
            Step(one.number, one.what, one.name, one in self.undone, partial(block, one))
            for one in (*self.done, *self.undone)
        ]

    def hold(self, tab: str, *, take: bool = False) -> None:
        """Let a tab of a browser draw; another one is refused as long as the first gives a sign.

        Raises
        ------
        OutputError
            If another tab draws.
        """
        now = time.monotonic()
        if not tab:
            return
        if not take and self.tab not in ("", tab) and now - self.heard < TAB_GONE_S:
            raise OutputError("it is drawn in another tab", remedy='go on there, or take it over here: "Draw here"')
        self.tab, self.heard = tab, now

    def as_document(self, tab: str = "") -> dict[str, Any]:
        """For the page."""
        elsewhere = bool(tab) and self.tab not in ("", tab) and time.monotonic() - self.heard < TAB_GONE_S
        rows = []
        styles = styles_by_name({name: structure_of(self.kept.get(name, name)).value for name in self.names})
        for name in self.names:
            style = styles[name]
            voxels = self.kept[name].voxels if name in self.kept else int(np.count_nonzero(self.masks[name]))
            rows.append(
                {
                    "name": name,
                    "colour": style.colour,
                    "dashes": style.dashes,
                    "volume_ml": voxels * self.grid.voxel_volume_ml,
                    "touched": name in self.masks,
                }
            )
        return {
            "elsewhere": elsewhere,
            "not_kept": self.not_kept,
            "restored": self.restored,
            "changes": self.counted,
            "on": self.base.shown.key,
            "from": self.begun_from,
            "structures": rows,
            "undo": self.done[-1].what if self.done else "",
            "redo": self.undone[-1].what if self.undone else "",
            "version": sum(self._stamps.values()),
        }


def _alike(name: str) -> str:
    """What names have in common that a reader takes for one: letters whatever their case, spaces or none."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def whole(grid: Grid) -> Window:
    """All voxels of a grid."""
    i, j, k = (slice(0, n) for n in grid.shape)
    return i, j, k


def painted(sketch: Sketch, name: str, stroke: Mapping[str, Any]) -> int:
    """Draw or erase by a brush or a closed contour; the number of voxels that changed."""
    normal = stroke.get("normal")
    if stroke["kind"] == "contour":
        window, mask = brush.contour(sketch.grid, stroke["points"], normal or (0, 0, 1))
    else:
        window, mask = brush.stroke(sketch.grid, stroke["points"], stroke["radius_mm"], normal)
    erase = bool(stroke["erase"])
    said = "erase" if erase else stroke["kind"]
    return sketch.apply(said, name, window, lambda before: before & ~mask if erase else before | mask)


def values_on(sketch: Sketch, image: Loaded) -> NDArray[Any]:
    """Values of an image at the voxels that are drawn on: its own where they are the same.

    Raises
    ------
    GeometryError
        If it lies in another frame of reference.
    """
    image.volume.grid.require_shared_frame(sketch.grid, f"{image.shown.title} and what is drawn on")
    if image.volume.grid.matches(sketch.grid):
        return image.volume.values
    i, j, k = sketch.grid.shape
    plane = np.stack(np.meshgrid(np.arange(i), np.arange(j), indexing="ij"), axis=-1)
    out = np.empty(sketch.grid.shape, np.float32)
    for n in range(k):
        index = np.concatenate([plane, np.full((i, j, 1), n)], axis=-1)
        out[:, :, n] = values_at(image.volume, sketch.grid.to_mm(index))
    return out


def shaped(sketch: Sketch, name: str, how: str, asked: Mapping[str, Any], values: NDArray[Any] | None) -> int:
    """Threshold, grow, margin, fill, or slices in between; the number of voxels that changed.

    Raises
    ------
    InputError
        If it cannot be done, or there is no such way.
    """
    grid, mask = sketch.grid, sketch.mask(name)
    if how in ("threshold", "grow"):
        assert values is not None
        within = sketch.region(asked["within"]).mask() if asked.get("within") else None
        if how == "threshold":
            found = shapes.thresholded(values, asked["low"], asked["high"], within)
        else:
            found = shapes.grown(values, grid, asked["seed"], asked["low"], asked["high"], asked["reach_mm"])
            found = found if within is None else found & within
        return sketch.apply(how, name, whole(grid), lambda before: before | found)
    normal = np.asarray(asked.get("normal") or (0, 0, 1))
    axis = int(np.abs(grid.direction.T @ normal).argmax())
    made = {
        "margin": lambda: shapes.with_margin(mask, grid, asked["margin_mm"]),
        "fill": lambda: shapes.filled(mask, axis),
        "between": lambda: shapes.between_slices(mask, grid, normal),
        "clear": lambda: np.zeros_like(mask),
    }
    if how not in made:
        raise InputError(f"no structure is changed by {how!r}")
    after = made[how]()
    if how == "between" and np.array_equal(after, mask):
        raise InputError(
            "no slice lies between drawn ones in this direction",
            remedy="draw on two planes of the same kind with others between them, and choose that kind of plane",
        )
    window = bounding_window(mask | after)
    return sketch.apply(how, name, window, lambda _: after[window])
