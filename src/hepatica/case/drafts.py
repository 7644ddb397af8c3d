"""Structures that somebody draws and has not saved: kept in the case after every change, until saved or discarded.

A draft is no result and no statement: the log does not name it, no step uses it, a copy without identity leaves it out.
Erasing removes it, packing takes it along.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.case.layout import DRAFTS, KEY
from hepatica.core.grid import Grid
from hepatica.core.region import Region
from hepatica.errors import GeometryError, InputError, OutputError
from hepatica.io.files import atomic_output

ABOUT = "draft.json"
LOCK = ".lock"
PATIENCE_S = 10.0

CHANGED = "it was drawn on in another hepatica meanwhile, and what is drawn there is kept in the case"
OLD = "without a version"
BROKEN = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, GeometryError)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that can be taken back, or done again.

    Attributes
    ----------
    number : int
        Tells it from every other one of the drawing.
    what, name : str
        What was done, to which structure.
    is_undone : bool
        Whether it was taken back, and can be done again.
    block : callable
        Gives the part of the structure that it brings back; asked for only where it is not written yet.
    """

    number: int
    what: str
    name: str
    is_undone: bool
    block: Callable[[], Region]


@dataclass(eq=False)
class Draft:
    """One drawing: on one image, begun from one set of structures or from nothing.

    Parameters
    ----------
    folder : Path
        Of the case.
    on, start : str
        Image that is drawn on; set that it began from, empty for none.
    """

    folder: Path
    on: str
    start: str
    _written: dict[str, tuple[int, str]] = field(default_factory=dict, repr=False)
    _steps: set[int] = field(default_factory=set, repr=False)
    _version: str = field(default="", repr=False)

    @property
    def place(self) -> Path:
        """Its folder, whose name says nothing of the patient."""
        return self.folder / DRAFTS / hashlib.sha256(f"{self.on}\n{self.start}".encode()).hexdigest()[:16]

    @property
    def is_there(self) -> bool:
        """Whether it was kept."""
        return (self.place / ABOUT).is_file()

    def keep(
        self, regions: Mapping[str, tuple[int, Region]], about: Mapping[str, Any], steps: Sequence[Step] = ()
    ) -> None:
        """Write what changed: each structure with a number that grows when it changes, and the steps back.

        Raises
        ------
        OutputError
            If nothing can be written there, the patient was erased, or another one kept something there since it was
            read: what that one drew stays.
        """
        if not (self.folder / KEY).is_file():
            raise OutputError(f"{self.folder}: its patient was erased; no drawing is kept")
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._require_same()
                self._keep_all(regions, about, steps)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise OutputError(f"the drawing cannot be kept in the case ({why})") from error

    @property
    def kept_version(self) -> str:
        """What tells what is kept there from every other state; empty where nothing is kept."""
        return self._on_disk()

    @property
    def is_changed(self) -> bool:
        """Whether another one kept something there since it was read."""
        return self._on_disk() != self._version

    def _alone(self) -> AbstractContextManager[Any]:
        from filelock import FileLock

        return FileLock(self.place.parent / LOCK, timeout=PATIENCE_S)

    def _require_same(self) -> None:
        if self.is_changed:
            raise OutputError(CHANGED, remedy="save this one as it stands, or choose the image again to go on there")

    def _on_disk(self) -> str:
        """What tells its state from every other; empty where nothing is kept."""
        try:
            return str(json.loads((self.place / ABOUT).read_text(encoding="utf-8")).get("version", OLD))
        except FileNotFoundError:
            return ""
        except BROKEN:
            return "cannot be read"

    def _keep_all(
        self, regions: Mapping[str, tuple[int, Region]], about: Mapping[str, Any], steps: Sequence[Step]
    ) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        for number, (name, (stamp, region)) in enumerate(regions.items()):
            if self._written.get(name, (-1, ""))[0] != stamp:
                file = f"{number}-{hashlib.sha256(name.encode()).hexdigest()[:12]}-{stamp}.npz"
                _write(self.place / file, region)
                self._written[name] = stamp, file
        files = {name: self._written[name][1] for name in regions}
        content = {
            **about, "on": self.on, "start": self.start, "structures": files, "steps": self._keep(steps),
            "version": uuid.uuid4().hex, "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        with atomic_output(self.place / ABOUT) as new:
            new.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        named = {*files.values(), *(one["file"] for one in content["steps"])}
        for path in self.place.glob("*.npz"):
            if path.name not in named:
                path.unlink()
        self._version = content["version"]

    def _keep(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        rows = []
        for step in steps:
            file = f"step-{step.number}.npz"
            if step.number not in self._steps:
                _write(self.place / file, step.block())
            rows.append({"what": step.what, "name": step.name, "undone": step.is_undone, "file": file})
        self._steps = {step.number for step in steps}
        return rows

    def steps(self, grid: Grid) -> tuple[Step, ...]:
        """Steps that can be taken back or done again, in their order, numbered anew; none where they cannot be read."""
        try:
            rows = json.loads((self.place / ABOUT).read_text(encoding="utf-8")).get("steps", [])
            blocks = [_read(self.place / row["file"], str(row["name"]), grid) for row in rows]
            return tuple(
                Step(n, str(row["what"]), block.name, bool(row["undone"]), partial(_same, block))
                for n, (row, block) in enumerate(zip(rows, blocks, strict=True))
            )
        except BROKEN:
            return ()

    def read(self, grid: Grid) -> tuple[tuple[Region, ...], dict[str, Any]]:
        """Its structures on the voxels of its image, and what was said of it.

        Raises
        ------
        InputError
            If it cannot be read, or the image has other voxels now.
        """
        try:
            about = json.loads((self.place / ABOUT).read_text(encoding="utf-8"))
            self._version = str(about.get("version", OLD))
            self._written.clear()  # another one may have written since
            self._steps.clear()
            regions = tuple(_read(self.place / file, name, grid) for name, file in about["structures"].items())
        except BROKEN as error:
            raise InputError(
                f"the unsaved drawing on {self.on} cannot be read ({type(error).__name__})",
                remedy="discard it, or bring back the image and the files of the drawing",
            ) from error
        return regions, about

    def discard(self) -> None:
        """Take it away.

        Raises
        ------
        OutputError
            If it cannot be removed.
        """
        self._written.clear()
        self._steps.clear()
        self._version = ""
        try:
            if self.place.exists():
                shutil.rmtree(self.place)
        except OSError as error:
            raise OutputError(f"the drawing cannot be removed ({error.strerror})") from error


def drafts_of(folder: Path) -> tuple[tuple[Draft, dict[str, Any]], ...]:
    """Drafts of a case with what was said of each, the latest first; one that cannot be read is told by nothing."""
    found = []
    for path in sorted((folder / DRAFTS).glob(f"*/{ABOUT}")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            found.append((Draft(folder, str(about["on"]), str(about["start"])), dict(about)))
        except BROKEN:
            continue
    return tuple(sorted(found, key=lambda one: str(one[1].get("at", "")), reverse=True))


def _same(region: Region) -> Region:
    return region


def _write(path: Path, region: Region) -> None:
    coverage = region.coverage
    is_mask = bool(np.isin(coverage, (0, 1)).all())
    stored = np.packbits(coverage > 0) if is_mask else coverage
    window = np.array([(each.start, each.stop) for each in region.window])
    with atomic_output(path) as new, new.open("wb") as stream:
        np.savez_compressed(
            stream, window=window, coverage=stored, is_mask=is_mask, shape=np.array(region.grid.shape),
            affine=region.grid.affine,
        )  # fmt: skip


def _read(path: Path, name: str, grid: Grid) -> Region:
    with np.load(path, allow_pickle=False) as found:
        if tuple(found["shape"]) != grid.shape or not np.allclose(found["affine"], grid.affine, rtol=0, atol=1e-6):
            raise GeometryError("the image has other voxels now")
        i, j, k = (slice(int(first), int(last)) for first, last in found["window"])
        shape = (i.stop - i.start, j.stop - j.start, k.stop - k.start)
        if bool(found["is_mask"]):
            bits = np.unpackbits(found["coverage"], count=int(np.prod(shape)))
            coverage = bits.reshape(shape).astype(np.float32)
        else:
            coverage = found["coverage"]
    return Region(name, grid, (i, j, k), coverage, origin="drawn in the workbench")
