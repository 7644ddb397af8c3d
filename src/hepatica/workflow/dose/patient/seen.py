"""How much of each structure lies in what the activity images see, and what is said where that is not all of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.anatomy.structures.kinds import LIVER_PARTS, LUNGS
from hepatica.core import Grid, Region
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.resample import resample_region
from hepatica.core.transform.ends import Direction, Ends
from hepatica.planning.limits.dose_limits import SEEN_WHOLE

WARNED = LIVER_PARTS | {Structure.TUMOUR, Structure.ALL_TUMOURS}
"""Structures whose doses decide; of others that are cut off it is noted."""


def seen_share(item: ClinicalRegion, image: Image) -> float:
    """Share of a structure's volume, as it was drawn, that lies in what an activity image sees well, 0 to 1."""
    return share_between(item.region, image.grid, image.acquisition.seen_z_mm, image.acquisition.seen_along)


def share_between(region: Region, grid: Grid, ends: Ends | None, along: Direction) -> float:
    """Share of a region's volume that lies on a grid and between two ends (mm along a vector in LPS), 0 to 1."""
    drawn_ml = region.volume_ml
    if not drawn_ml:
        return 0.0
    there = resample_region(region, grid)
    if ends is None:
        return min(1.0, there.volume_ml / drawn_ml)
    start, steps = float(np.asarray(along) @ grid.affine[:3, 3]), np.asarray(along) @ grid.affine[:3, :3]
    i, j, k = (step * np.arange(s.start, s.stop) for step, s in zip(steps, there.window, strict=True))
    place = start + i[:, None, None] + j[None, :, None] + k[None, None, :]
    seen = there.coverage[(place > ends[0]) & (place < ends[1])]
    return min(1.0, float(seen.sum(dtype=np.float64)) * grid.voxel_volume_ml / drawn_ml)


def about_seen(seen: Sequence[tuple[ClinicalRegion, float]]) -> tuple[Message, ...]:
    """Which structures the activity image does not see whole; of body and lungs others speak."""
    cut = [
        (item, share)
        for item, share in seen
        if share < SEEN_WHOLE and item.structure is not Structure.BODY and item.structure not in LUNGS
    ]
    if not cut:
        return ()
    shares = ", ".join(f"{item.region.name} {100 * share:.0f} %" for item, share in cut)
    text = (
        f"the activity image sees a part of these structures alone ({shares}): what lies outside of it counts as no "
        "dose, and no limit and no model judges them"
    )
    severe = any(item.structure in WARNED for item, _ in cut)
    remedy = "take an image that sees them whole"
    return (Message("structure-not-seen-whole", text, remedy, "warning" if severe else "note"),)
