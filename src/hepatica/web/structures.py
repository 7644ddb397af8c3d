"""Structures of a case that can be outlined: drawn ones, proposals, and those drawn here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.structures.roles import structure_of
from hepatica.case.layout import STEPS
from hepatica.case.state import Situation
from hepatica.core.region import Region
from hepatica.errors import GeometryError, UnknownNameError
from hepatica.io.structures.regions import read_structures
from hepatica.report.figures.palette import Style, styles_by_name
from hepatica.web.desk import OpenCase
from hepatica.web.images import Loaded, Shown, loaded, shown_images
from hepatica.web.planes import Outlined

SETS = {
    "scout-structures": "Scout structures", "therapy-structures": "Therapy structures",
    "baseline-structures": "Baseline structures", "follow-up-structures": "Follow-up structures",
}  # fmt: skip

HALF = 0.5


@dataclass(frozen=True, slots=True)
class StructureSet:
    """Structures of one file.

    Attributes
    ----------
    key : str
        Item of the case, or the step that proposes them.
    title : str
        For people.
    path : Path
        The file, or the folder that holds it.
    is_proposal : bool
        Whether a person has not said yet that they may be used.
    """

    key: str
    title: str
    path: Path
    is_proposal: bool = False


def structure_sets(situation: Situation) -> tuple[StructureSet, ...]:
    """All of a case."""
    found = [
        StructureSet(item.name, f"{title}, {item.date}" if item.date else title, item.path(situation.folder))
        for role, title in SETS.items()
        for item in situation.catalogue.of(role)
    ]
    for name, state in situation.steps.items():
        path = situation.folder / STEPS / name / "structures.dcm"
        if name.split("-")[0] == "structures" and name in situation.records and path.is_file():
            found.append(StructureSet(name, "Proposed structures", path, is_proposal=not state.checked_by))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class ReadSet:
    """Structures that were read, with how each is drawn.

    Attributes
    ----------
    regions : tuple of Region
        On the voxels of an image.
    outlined : tuple of Outlined
        The same, as they are cut by planes.
    styles : tuple of Style
        One for each.
    messages : tuple of str
        What was skipped or empty.
    """

    regions: tuple[Region, ...]
    outlined: tuple[Outlined, ...]
    styles: tuple[Style, ...]
    messages: tuple[str, ...]

    def as_document(self) -> list[dict[str, Any]]:
        """For the page."""
        return [
            {
                "name": region.name,
                "colour": style.colour,
                "dashes": style.dashes,
                "volume_ml": region.volume_ml,
                "centre": _middle(region),
            }
            for region, style in zip(self.regions, self.styles, strict=True)
        ]


def read_set(one: OpenCase, key: str, image: str) -> ReadSet:
    """Structures of a set on the voxels of an image of the same frame of reference, read once.

    Raises
    ------
    UnknownNameError
        If there is no such set.
    GeometryError
        If they were drawn in another frame of reference.
    """
    known = {found.key: found for found in structure_sets(one.recent())}
    if key not in known:
        raise UnknownNameError("structures", key, known)
    base = loaded(one, image)
    stamp = _stamp(known[key].path)
    return one.held(f"structures {key} {image} {stamp}", lambda: _read(known[key], base))


def _stamp(path: Path) -> int:
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max(each.stat().st_mtime_ns for each in inside)


def _read(found: StructureSet, base: Loaded) -> ReadSet:
    read = read_structures(found.path, base.volume.grid)
    kinds = [structure_of(region).value for region in read.regions]
    outlined = tuple(Outlined.of(region) for region in read.regions)
    styles = styles_by_name(dict(zip((region.name for region in read.regions), kinds, strict=True)))
    by_name = tuple(styles[region.name] for region in read.regions)
    return ReadSet(read.regions, outlined, by_name, tuple(str(message) for message in read.messages))


def anatomy_for(one: OpenCase, frame: str | None) -> Shown | None:
    """A CT or MR in a frame of reference, on whose voxels structures are read; None where there is none."""
    for shown in shown_images(one.recent()):
        if shown.role in ("ct", "mr"):
            try:
                grid = loaded(one, shown.key).volume.grid
            except GeometryError:
                continue
            if grid.frame_of_reference == frame:
                return shown
    return None


def _middle(region: Region) -> list[float] | None:
    """The covered voxel nearest to the centre of mass: a place that lies inside, also of a ring."""
    index = np.argwhere(region.coverage >= HALF)
    if not len(index):
        return None
    nearest = index[np.abs(index - index.mean(axis=0)).sum(axis=1).argmin()]
    found: list[float] = region.grid.to_mm(nearest + [window.start for window in region.window]).tolist()
    return found
