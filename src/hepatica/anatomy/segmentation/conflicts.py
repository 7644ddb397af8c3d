"""Voxels that two structures claim: who keeps them is stated, and what was taken away is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.roles import structure_of
from hepatica.core import Region
from hepatica.core.message import Message
from hepatica.core.region import bounding_window, require_distinct

ORDER = (
    Structure.LUNG_RIGHT,
    Structure.LUNG_LEFT,
    Structure.LUNG,
    Structure.SPINE,
    Structure.LIVER,
    Structure.KIDNEY,
    Structure.SPLEEN,
)
"""The surest first: air and bone have their own CT numbers, the liver is found before its neighbours."""

SAID_FROM_ML = 1.0
"""A smaller overlap is border voxels."""


def without_conflicts(
    regions: Sequence[Region], order: Sequence[Structure] = ORDER
) -> tuple[tuple[Region, ...], tuple[Message, ...]]:
    """Regions none of which overlap: what two claim goes to the one that comes first in the order.

    Parameters
    ----------
    regions : sequence of Region
        On one grid, with distinct names. Kinds that the order does not name (the body) stay as they are.
    order : sequence of Structure
        The first keeps all that it has.

    Returns
    -------
    tuple of (tuple of Region, tuple of Message)
        In the order given; one note for each structure that lost more than `SAID_FROM_ML`.

    Raises
    ------
    InputError
        If two regions have one name.
    GeometryError
        If they are on different grids.
    """
    require_distinct(regions)
    if not regions:
        return (), ()
    ranked = [r for r in regions if structure_of(r) in order]
    ranked.sort(key=lambda region: order.index(structure_of(region)))
    taken = np.zeros(regions[0].grid.shape, np.float32)
    kept: dict[str, Region] = {}
    messages = []
    for region in ranked:
        region.grid.require_match(regions[0].grid, f"structures {region.name!r} and {regions[0].name!r}")
        free = np.minimum(region.coverage, 1 - taken[region.window])
        inner = bounding_window(free > 0)
        i, j, k = (slice(w.start + n.start, w.start + n.stop) for w, n in zip(region.window, inner, strict=True))
        new = replace(region, window=(i, j, k), coverage=free[inner])
        taken[region.window] += free
        kept[region.name] = new
        if (lost := region.volume_ml - new.volume_ml) > SAID_FROM_ML:
            names = " before ".join(dict.fromkeys(r.name for r in ranked))
            text = f"{region.name!r} gave {lost:.1f} mL to structures that go before it ({names})"
            messages.append(Message("structure-overlap", text, severity="note"))
    return tuple(kept.get(region.name, region) for region in regions), tuple(messages)
