"""What every kind of structure file is read to."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.core import Grid, Region
from hepatica.core.message import Message
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError, UnknownNameError


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
    """

    number: int
    name: str
    type: str = ""
    colour: tuple[int, int, int] | None = None


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
    """

    regions: tuple[Region, ...]
    labels: tuple[Label, ...]
    messages: tuple[Message, ...] = ()
    empty: tuple[str, ...] = ()
    instance_uid: str = ""

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


def require_known(wanted: tuple[str, ...] | None, known: list[str]) -> None:
    """Raise UnknownNameError for a wanted name that is not among the known ones."""
    for name in wanted or ():
        if name not in known:
            raise UnknownNameError("structure", name, known)


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
