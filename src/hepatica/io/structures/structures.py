"""What every kind of structure file is read to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hepatica.core import Grid, Region
from hepatica.core.message import Message
from hepatica.core.region import Code
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError, InputError, NothingDrawnError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Label:
    """What a file says about one structure beside its shape.

    Attributes
    ----------
    number : int
        ROI, segment or label number.
    name : str
        As in the file.
    type : str
        RTROIInterpretedType ("ORGAN", "GTV"), or the coded meaning of a segment; empty where not stated.
    colour : tuple of int or None
        Red, green, blue, 0 to 255.
    codes : tuple of Code
        Coded concepts; the region keeps them.
    """

    number: int
    name: str
    type: str = ""
    colour: tuple[int, int, int] | None = None
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Structures:
    """The structures of one file on one grid.

    Attributes
    ----------
    regions : tuple of Region
        In the order of the file.
    labels : tuple of Label
        One for each region.
    messages : tuple of Message
        What was skipped, empty, filled, repeated or lost; each names the structure.
    empty : tuple of str
        Names of structures that have no contour or voxel; they have no region.
    instance_uid : str
        SOP Instance UID of a DICOM file; empty for others.
    refused : tuple of str
        Names of structures that are in the file and could not be read, each with a message; they have no region.
    """

    regions: tuple[Region, ...]
    labels: tuple[Label, ...]
    messages: tuple[Message, ...] = ()
    empty: tuple[str, ...] = ()
    instance_uid: str = ""
    refused: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Region:
        """The region of that name; UnknownNameError if there is none."""
        for region in self.regions:
            if region.name == name:
                return region
        raise UnknownNameError("structure", name, [region.name for region in self.regions])


def distinct_names(labels: list[Label]) -> tuple[list[str], list[Message]]:
    """Names that differ from each other, and a message for each that had to be changed.

    A name that occurs twice, or is empty, gets its number.
    """
    names: list[str] = []
    messages: list[Message] = []
    for label in labels:
        name = label.name or f"structure {label.number}"
        if name in names:
            while name in names:
                name = f"{name} ({label.number})"
            text = f"structure {label.name!r} occurs more than once; number {label.number} is called {name!r}"
            messages.append(Message("structure-renamed", text))
        names.append(name)
    return names, messages


def structure_empty(name: str, why: str) -> Message:
    """What to know of a structure that holds nothing."""
    return Message("structure-empty", f"structure {name!r} is empty: {why}")


class Gathering:
    """The structures of one file while they are read: those wanted, their regions, what is empty, what was assumed.

    Parameters
    ----------
    path : Path
        The file, for errors.
    labels : list of Label
        Of all its structures.
    names : sequence of str or None
        Those wanted; None for all.
    nameless : sequence of str
        Names that the file knows beside these, of structures without a voxel.

    Raises
    ------
    UnknownNameError
        If one of `names` is not in the file.
    """

    def __init__(
        self, path: Path | str, labels: list[Label], names: Sequence[str] | None, *, nameless: Sequence[str] = ()
    ) -> None:
        called, renamed = distinct_names(labels)
        for name in names or ():
            if name not in (*called, *nameless):
                raise UnknownNameError("structure", name, [*called, *nameless])
        self.messages: list[Message] = renamed
        self._path = path
        self._labels = dict(zip(called, labels, strict=True))
        self._names = None if names is None else tuple(names)
        self._regions: list[Region] = []
        self._kept: list[Label] = []
        self._empty: list[str] = []
        self._refused: list[str] = []

    def wants(self, name: str) -> bool:
        """Whether a structure is to be read."""
        return self._names is None or name in self._names

    def wanted(self) -> list[tuple[str, Label]]:
        """Distinct name and label of each structure to be read, in the order of the file."""
        return [(name, label) for name, label in self._labels.items() if self.wants(name)]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Name the file, and the way out, in what is wrong with the shape of one structure."""
        try:
            yield
        except GeometryError as error:
            several = self._names is None and len(self._labels) > 1
            ways = [error.remedy] * bool(error.remedy) + ["name the wanted structures without it"] * several
            text = str(error.args[0])
            named = text if str(self._path) in text else f"{self._path}: {text}"
            raise GeometryError(named, remedy=", or ".join(ways)) from error

    def keep(self, region: Region, label: Label) -> None:
        """Take a region that lies on the image."""
        self._regions.append(replace(region, codes=label.codes))
        self._kept.append(label)

    def keep_on(self, grid: Grid, drawn: Region, label: Label) -> None:
        """Take a region that was drawn on another grid, see `onto_grid`."""
        with self.reading():
            region, lost = onto_grid(drawn, grid)
        self.messages += lost
        self.keep(region, label)

    def leave_empty(self, name: str, why: str) -> None:
        """Note that a structure holds nothing."""
        self._empty.append(name)
        self.messages.append(structure_empty(name, why))

    def refuse(self, name: str, error: InputError) -> None:
        """Note that a structure cannot be read; raise the error if it was asked for by name."""
        if self._names is not None:
            raise error
        self._refused.append(name)
        text = f"{error.args[0]}; it is left out, the others are read"
        remedy = "redraw it: what is derived from it (normal liver, all tumours) is not right without it"
        self.messages.append(Message("structure-refused", text, remedy))

    def require_any(self, found: Sized, what: str, whole: str) -> None:
        """Raise NothingDrawnError if nothing was found, or one that was named is empty."""
        if not found or (self._names is not None and self._empty):
            named = ", ".join(map(repr, self._empty)) or whole
            raise NothingDrawnError(f"{self._path}: no {what} in {named}", names=self._empty)

    def structures(self, *, instance_uid: str = "", messages: Sequence[Message] = ()) -> Structures:
        """What was read."""
        return Structures(
            tuple(self._regions),
            tuple(self._kept),
            (*self.messages, *messages),
            tuple(self._empty),
            instance_uid,
            tuple(self._refused),
        )


def onto_grid(region: Region, grid: Grid) -> tuple[Region, tuple[Message, ...]]:
    """A region drawn on its own grid, on another one; the volume is kept, and a loss outside is said.

    Raises
    ------
    GeometryError
        If the frames of reference differ, or the region lies wholly outside the grid.
    """
    region.grid.require_shared_frame(grid, f"structure {region.name!r} and the image")
    moved = resample_region(region, grid)
    if moved.is_empty:
        raise GeometryError(f"structure {region.name!r} lies wholly outside the image ({grid})")
    lost = 1 - moved.volume_ml / region.volume_ml
    # Grids turned against each other share out volumes by points, to a few thousandths.
    if lost > 0.01:
        text = f"structure {region.name!r}: {100 * lost:.1f} % of its volume lies outside the image, lost"
        return moved, (Message("structure-cut-off", text),)
    return moved, ()
