"""Whether the lungs are whole in an image: what its edges, or the drawing, cut off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hepatica.anatomy.segmentation.body_and_lungs.blocks import LUNG_BELOW_HU
from hepatica.anatomy.segmentation.body_and_lungs.lungs import GAS_BELOW_HU
from hepatica.anatomy.structures.clinical import Structure
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.numbers.wording import three
from hepatica.core.region import Coverage

MIN_CUT_CM2 = 2.0
"""Lung that crosses an edge of the image with a smaller section is whole: the apex of a lung rounds off within one or
two slices of 5 mm, where its section is about 2 cm2. Our choice."""

MIN_STEP_CM2 = 8.0
"""A drawing that ends with a larger section of lung, though lung goes on in the next slice, was cut; apex and
diaphragm end in sections of a few cm2 a slice apart. Our choice."""

SHARE_GOING_ON = 0.5
"""Share of the drawing's last section that is lung in the next slice of the CT from which on it was cut."""

SIDES = (("left", "right"), ("back", "front"), ("head", "feet"))
"""Names of the edges along x, y and z (LPS): towards growing and towards falling coordinates."""


@dataclass(frozen=True, slots=True)
class LungsInField:
    """How much of the lungs an image, or a drawing, holds.

    Attributes
    ----------
    cut_cm2 : tuple of (str, float)
        Edge of the image ("head", "feet", "left", ...) and the section of lung that crosses it, cm2.
    drawing_ends : tuple of str
        Sides on which the drawing ends although the CT shows lung beyond.
    only : str
        "left" or "right" where only one lung is drawn; empty where both are, or one structure is called lungs.
    image_sees : float
        Share of them that the activity image sees, on whatever voxels it lies now; 1 where that is as good as all.
    """

    cut_cm2: tuple[tuple[str, float], ...] = ()
    drawing_ends: tuple[str, ...] = ()
    only: str = ""
    image_sees: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be cut off."""
        return not (self.cut_cm2 or self.drawing_ends or self.only) and self.image_sees >= 1

    @property
    def how(self) -> str:
        """How it was recognised, in words; empty for whole lungs."""
        parts = [
            f"lung touches the edge of the image towards the {side} ({area:.3g} cm2)" for side, area in self.cut_cm2
        ]
        parts += [f"the drawing ends towards the {side} where the CT shows more lung" for side in self.drawing_ends]
        parts += [f"only the {self.only} lung is drawn"] if self.only else []
        parts += [f"the activity image sees {100 * self.image_sees:.0f} % of them"] if self.image_sees < 1 else []
        return "; ".join(parts)

    def also(self, other: LungsInField) -> LungsInField:
        """Both findings, each edge once with its larger section."""
        areas: dict[str, float] = {}
        for side, area in (*self.cut_cm2, *other.cut_cm2):
            areas[side] = max(area, areas.get(side, 0.0))
        ends = tuple(dict.fromkeys((*self.drawing_ends, *other.drawing_ends)))
        return LungsInField(tuple(areas.items()), ends, self.only or other.only, min(self.image_sees, other.image_sees))


def one_sided(roles: Iterable[Structure]) -> LungsInField:
    """That only one lung is drawn, from what the structures of the lungs are."""
    found = set(roles)
    only = {Structure.LUNG_LEFT: "left", Structure.LUNG_RIGHT: "right"}
    return LungsInField(only=only.get(next(iter(found)), "") if len(found) == 1 else "")


def lungs_in_field(lungs: Region, hu: Volume | None = None) -> LungsInField:
    """What the edges of the lungs' own grid cut off and, with a CT on that grid, where the drawing stops too early.

    Parameters
    ----------
    lungs : Region
        Both lungs, on the grid of a CT or of an activity image.
    hu : Volume, optional
        CT in HU on the same grid; without it only the edges are looked at.

    Raises
    ------
    UnitError, GeometryError
        If the CT is not in HU, or on another grid.
    """
    if lungs.is_empty:
        return LungsInField()
    cut: list[tuple[str, float]] = []
    ends: list[str] = []
    along = int(np.abs(lungs.grid.direction[2]).argmax())
    if hu is not None:
        hu.require_kind(Kind.HU)
        lungs.grid.require_match(hu.grid, f"region {lungs.name!r} and CT")
    for axis in range(3):
        for last in (False, True):
            area = _section_cm2(lungs, axis, last)
            at_edge = _at_edge(lungs, axis, last)
            if at_edge and area >= MIN_CUT_CM2:
                cut.append((_side(lungs.grid, axis, last), area))
            elif (
                not at_edge
                and hu is not None
                and axis == along
                and area >= MIN_STEP_CM2
                and _goes_on(lungs, hu, axis, last)
            ):
                ends.append(_side(lungs.grid, axis, last))
    return LungsInField(tuple(cut), tuple(ends))


def cut_off_message(found: LungsInField, mass_kg: float | None, *, then: str, mass_is_stated: bool = False) -> Message:
    """What is said of lungs that are cut off: how it was recognised, the mass seen, and what was done."""
    state = "" if mass_is_stated else "state `lung_mass_kg`, the mass of the whole lungs, or "
    seen = "" if mass_kg is None else f"; {three(1000 * mass_kg)} g of lung are seen"
    return Message(
        "lungs-cut-off",
        f"the lungs are not whole in the image: {found.how}{seen}; {then}",
        f"{state}use an image of the whole lungs",
    )


def _at_edge(region: Region, axis: int, last: bool) -> bool:
    window = region.window[axis]
    return bool(window.stop == region.grid.shape[axis] if last else window.start == 0)


def _last_section(region: Region, axis: int, last: bool) -> Coverage:
    return np.asarray(np.take(region.coverage, -1 if last else 0, axis=axis), dtype=np.float32)


def _section_cm2(region: Region, axis: int, last: bool) -> float:
    """Section of the region in its outermost slice along an axis."""
    pixel_cm2 = 10 * region.grid.voxel_volume_ml / region.grid.spacing_mm[axis]
    return float(_last_section(region, axis, last).sum(dtype=np.float64)) * pixel_cm2


def _goes_on(lungs: Region, hu: Volume, axis: int, last: bool) -> bool:
    """Whether the CT shows lung in the slice beyond the drawing, under its last section."""
    window = lungs.window[axis]
    beyond: list[slice | int] = list(lungs.window)
    beyond[axis] = window.stop if last else window.start - 1
    values = hu.values[tuple(beyond)]
    section = _last_section(lungs, axis, last)
    lung = (values < LUNG_BELOW_HU) & (values >= GAS_BELOW_HU)
    return float(section[lung].sum(dtype=np.float64)) >= SHARE_GOING_ON * float(section.sum(dtype=np.float64))


def _side(grid: Grid, axis: int, last: bool) -> str:
    """Where an edge of the grid lies in the patient."""
    outward = grid.direction[:, axis] * (1 if last else -1)
    along = int(np.abs(outward).argmax())
    return SIDES[along][0 if outward[along] > 0 else 1]
