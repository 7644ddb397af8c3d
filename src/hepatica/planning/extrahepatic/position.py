"""Where a place lies: by the liver, the midline and the depth of the body; and which organs lie there in most people.

A position is no diagnosis. Organs beside it are a hint for whoever looks at the images: borders are from textbooks of
cross-sectional anatomy and differ between patients by centimetres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Region

MIDLINE_MM = 30.0
"""Half the width of what is called midline: falciform ligament, umbilicus and spine lie within it."""

SIDES = ("left of", "behind", "above", "right of", "in front of", "below")
"""Directions of +x, +y, +z and -x, -y, -z in LPS."""

NEAR_LIVER_MM = 40.0
"""Gallbladder, duodenum and gastric antrum lie within it of the liver's under-surface."""

PELVIS_MM = 180.0
"""So far below the liver lies the pelvis of an adult."""

Point = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a place lies.

    Attributes
    ----------
    text : str
        Such as "25 mm left of the liver, level of its lower third, in front, left of the midline".
    near : tuple of Structure
        Organs that lie there in most people; empty where none comes to mind.
    hint : str
        The same in words.
    """

    text: str
    near: tuple[Structure, ...]
    hint: str


class _Place(NamedTuple):
    """A position in numbers.

    Height in the liver (0 at its lower end, 1 at its top), depth in the body (0 at the front), and mm: to the left of
    the midline, from the liver, below its lower end, above the lungs' top.
    """

    share: float
    depth: float
    lateral: float
    distance: float
    below: float
    over: float


_Rule = tuple[Callable[[_Place], bool], tuple[Structure, ...], str]

FALCIFORM = "anterior abdominal wall: falciform or umbilical artery; or gastric antrum, left liver lobe"

NEIGHBOURS: tuple[_Rule, ...] = (
    (lambda p: p.over > 80, (Structure.SALIVARY,), "head: salivary glands or nose"),
    (lambda p: p.over > 0, (Structure.THYROID,), "neck: thyroid, or a vein of the injection"),
    (lambda p: p.share > 1, (), "chest: heart, oesophagus or mediastinum"),
    (lambda p: p.below > PELVIS_MM and abs(p.lateral) < 60, (Structure.BLADDER,), "pelvis: bladder"),
    (
        lambda p: p.depth > 0.55 and 25 < p.lateral < 110 and 1 / 3 < p.share < 2 / 3,
        (Structure.SPLEEN, Structure.KIDNEY),
        "spleen or left kidney",
    ),
    (lambda p: p.depth > 0.55 and 25 < p.lateral < 110 and p.share <= 1 / 3, (Structure.KIDNEY,), "left kidney"),
    (lambda p: p.depth > 0.55 and -110 < p.lateral < -25 and p.share < 2 / 3, (Structure.KIDNEY,), "right kidney"),
    (lambda p: p.below > 60, (Structure.BOWEL,), "bowel"),
    (
        lambda p: p.depth < 0.2 and abs(p.lateral) <= MIDLINE_MM,
        (),
        FALCIFORM,
    ),
    (
        lambda p: p.lateral > MIDLINE_MM and p.depth > 0.55,
        (Structure.SPLEEN, Structure.STOMACH),
        "spleen or gastric fundus",
    ),
    (
        lambda p: p.lateral > MIDLINE_MM,
        (Structure.STOMACH, Structure.COLON),
        "stomach or left colic flexure; or left liver lobe",
    ),
    (
        lambda p: p.share < 0.6 and p.distance <= NEAR_LIVER_MM and p.lateral > -MIDLINE_MM,
        (Structure.DUODENUM, Structure.PANCREAS, Structure.STOMACH),
        "duodenum, pancreatic head or gastric antrum",
    ),
    (
        lambda p: p.share < 0.6 and p.distance <= NEAR_LIVER_MM,
        (Structure.GALLBLADDER, Structure.DUODENUM, Structure.COLON),
        "gallbladder, duodenum or right colic flexure",
    ),
    (lambda p: p.share < 0.6, (Structure.BOWEL, Structure.DUODENUM), "duodenum or other bowel"),
)
"""Where what lies in most people, the first that holds; from textbooks of cross-sectional anatomy."""


def _neighbours(place: _Place) -> tuple[tuple[Structure, ...], str]:
    found = next((rule for rule in NEIGHBOURS if rule[0](place)), None)
    return ((), "not near an organ that is often supplied") if found is None else (found[1], found[2])


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """What positions are told by, in LPS mm.

    Attributes
    ----------
    liver : ndarray
        Surface points of the liver, shape (n, 3).
    low, high : ndarray
        Corners of its bounding box.
    middle : float
        x of the midline.
    front, back : float
        y of skin and back, of body or liver.
    lung_top : float
        z of the highest lung voxel.
    """

    liver: Point
    low: Point
    high: Point
    middle: float
    front: float
    back: float
    lung_top: float


def landmarks(liver: Region, lungs: Region, body: Region | None) -> Landmarks:
    """Landmarks from liver and lungs, and the body where a CT shows it; the midline is else that of the lungs."""
    from scipy import ndimage

    mask = liver.mask()
    surface = mask & ~ndimage.binary_erosion(mask)
    points = liver.grid.to_mm(np.argwhere(surface if surface.any() else mask))
    air = lungs.grid.to_mm(np.argwhere(lungs.mask()))
    around = air if body is None else body.grid.to_mm(np.argwhere(body.mask())[::7])
    if body is not None:
        level = (around[:, 2] >= points[:, 2].min()) & (around[:, 2] <= points[:, 2].max())
        around = around[level] if level.any() else around
    depth = np.concatenate([points, around])
    return Landmarks(
        liver=points,
        low=points.min(axis=0),
        high=points.max(axis=0),
        middle=float(around[:, 0].min() + around[:, 0].max()) / 2,
        front=float(depth[:, 1].min()),
        back=float(depth[:, 1].max()),
        lung_top=float(air[:, 2].max()),
    )


def position_of(point_mm: Point, marks: Landmarks) -> tuple[Position, float]:
    """Position of a point in LPS mm, and its distance from the liver's surface in mm."""
    away = marks.liver - point_mm
    nearest = int(np.argmin((away**2).sum(axis=1)))
    from_liver = -away[nearest]
    distance = float(np.linalg.norm(from_liver))
    axis = int(np.argmax(np.abs(from_liver)))
    side = SIDES[axis if from_liver[axis] >= 0 else axis + 3]
    share = (point_mm[2] - marks.low[2]) / max(float(marks.high[2] - marks.low[2]), 1.0)
    depth = (point_mm[1] - marks.front) / max(marks.back - marks.front, 1.0)
    lateral = float(point_mm[0] - marks.middle)
    words = (_level(share, marks, point_mm), _depth(depth), _lateral(lateral))
    below, over = float(marks.low[2] - point_mm[2]), float(point_mm[2] - marks.lung_top)
    organs, hint = _neighbours(_Place(share, depth, lateral, distance, below, over))
    text = f"{distance:.0f} mm {side} the liver, {', '.join(words)}"
    return Position(text, organs, hint), distance


def _level(share: float, marks: Landmarks, point_mm: Point) -> str:
    if share > 1:
        return f"{point_mm[2] - marks.high[2]:.0f} mm above its top"
    if share < 0:
        return f"{marks.low[2] - point_mm[2]:.0f} mm below its lower end"
    return f"level of its {('lower', 'middle', 'upper')[min(2, int(3 * share))]} third"


def _depth(depth: float) -> str:
    return "in front" if depth < 1 / 3 else "behind" if depth > 2 / 3 else "at mid depth"


def _lateral(lateral: float) -> str:
    return "midline" if abs(lateral) <= MIDLINE_MM else "left of the midline" if lateral > 0 else "right of the midline"
