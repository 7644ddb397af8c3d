"""Whether the CT of a PET shows the couch, which absorbs some per cent of the pairs that cross it."""

from __future__ import annotations

import numpy as np

from hepatica.core import Kind, Volume
from hepatica.core.message import Message

MATTER_HU = -700.0
"""Denser than this is no air: foam and carbon of a couch lie between."""
STEP_MM = 6.0
LEAST_WIDTH_MM, LEAST_SHARE = 150.0, 0.5
"""A couch is so wide, and runs along so much of the CT."""


def shows_couch(hu: Volume) -> bool:
    """Whether something wide and long lies in a CT apart from its largest piece of matter, the body.

    A couch that touches the body everywhere is one piece with it, and is not seen by this.

    Parameters
    ----------
    hu : Volume
        Kind.HU, axial or near it.
    """
    from scipy import ndimage

    hu.require_kind(Kind.HU)
    each = tuple(max(int(STEP_MM / step), 1) for step in hu.grid.spacing_mm)
    spacing = [step * n for step, n in zip(hu.grid.spacing_mm, each, strict=True)]
    matter = hu.values[:: each[0], :: each[1], :: each[2]] > MATTER_HU
    pieces, number = ndimage.label(matter)
    if number < 2:
        return False
    sizes = np.bincount(pieces.ravel())
    body = int(sizes[1:].argmax()) + 1
    for piece, place in enumerate(ndimage.find_objects(pieces), start=1):
        extent = [(one.stop - one.start) * step for one, step in zip(place, spacing, strict=True)]
        whole = matter.shape[2] * spacing[2]
        if piece != body and max(extent[:2]) > LEAST_WIDTH_MM and extent[2] > LEAST_SHARE * whole:
            return True
    return False


def about_couch(hu: Volume) -> tuple[Message, ...]:
    """What is said where no couch is seen."""
    if shows_couch(hu):
        return ()
    text = (
        "no couch is seen in the CT apart from the body: where it was cut away, or lies outside of the CT's field, the "
        "pairs that it absorbed (some per cent of those that cross it) are missing from the becquerels"
    )
    return (Message("couch-not-seen", text, "give the CT with its couch, as wide as the scanner's field", "note"),)
