"""How much of each structure lies in what the activity images see, and what is said where that is not all of it."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.anatomy.structures.kinds import LIVER_PARTS, LUNGS
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.core.seen_field import SeenField, cut_words
from hepatica.planning.limits.dose_limits import SEEN_WHOLE

WARNED = LIVER_PARTS | {Structure.TUMOUR, Structure.ALL_TUMOURS}
"""Structures whose doses decide; of others that are cut off it is noted."""


def seen_field(image: Image) -> SeenField:
    """Where an activity image sees well."""
    return SeenField(image.grid, image.acquisition.seen_z_mm, image.acquisition.seen_along)


def about_seen(seen: Sequence[tuple[ClinicalRegion, float]]) -> tuple[Message, ...]:
    """Which structures the activity image does not see whole; of body and lungs others speak."""
    cut = [
        (item, share)
        for item, share in seen
        if share < SEEN_WHOLE and item.structure is not Structure.BODY and item.structure not in LUNGS
    ]
    if not cut:
        return ()
    shares = cut_words([(item.region.name, share) for item, share in cut])
    text = (
        f"the activity image sees a part of these structures alone ({shares}): what lies outside of it counts as no "
        "dose, and no limit and no model judges them"
    )
    severe = any(item.structure in WARNED for item, _ in cut)
    remedy = "take an image that sees them whole"
    return (Message("structure-not-seen-whole", text, remedy, "warning" if severe else "note"),)
