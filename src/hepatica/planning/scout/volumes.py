"""Volumes that planning rests on: liver, territories, tumours, what stays, and shares of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from hepatica.core import Region
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.errors import GeometryError, InputError

OVERLAP_TOLERANCE_ML = 1.0
"""Territories may share border voxels up to this volume before they count as overlapping."""


@dataclass(frozen=True, slots=True)
class TerritoryVolumes:
    """One perfused territory in mL: all of it, its tumour, its normal liver, what lies outside the liver."""

    name: str
    volume_ml: float
    tumour_ml: float
    normal_ml: float
    outside_liver_ml: float

    @property
    @reported
    def involvement(self) -> float:
        """Tumour share of the territory."""
        return self.tumour_ml / self.volume_ml


@dataclass(frozen=True, slots=True)
class LiverVolumes:
    """Volumes in mL and shares of them.

    Attributes
    ----------
    liver_ml, tumour_ml, normal_liver_ml : float
        Whole liver with tumours, tumours in it, the rest.
    involvement : float
        Tumour share of the liver.
    territories : tuple of TerritoryVolumes
        Perfused volumes.
    perfused_share : float
        Share of the liver inside any territory.
    hepatic_reserve : float
        Share of the normal liver that no territory perfuses (EANM 2022's criterion is 30 %).
    future_remnant_ml, future_remnant_share : float or None
        Future liver remnant, and its share of the normal liver.
    tumour_outside_territories_ml : float
        Tumour that no territory reaches.
    messages : tuple of Message
        Leaving the liver, overlap, tumour left out.
    """

    liver_ml: float
    tumour_ml: float
    normal_liver_ml: float
    involvement: float
    territories: tuple[TerritoryVolumes, ...]
    perfused_share: float
    hepatic_reserve: float
    future_remnant_ml: float | None
    future_remnant_share: float | None
    tumour_outside_territories_ml: float
    messages: tuple[Message, ...] = field(metadata=HIDDEN)


def liver_volumes(
    liver: Region,
    tumours: Sequence[Region],
    territories: Mapping[str, Region],
    *,
    future_remnant: Region | None = None,
) -> LiverVolumes:
    """Volumes and shares from regions on one grid.

    Raises
    ------
    GeometryError
        If two territories overlap by more than a border's worth: their activities would be planned twice.
    InputError
        If the liver or a territory is empty, or a territory lies wholly outside the liver.
    """
    if liver.is_empty:
        raise InputError("the liver region is empty")
    _require_disjoint(territories)
    tumour = reduce(lambda a, b: a | b, tumours) & liver if tumours else None
    tumour_ml = tumour.volume_ml if tumour is not None else 0.0
    parts, messages = [], []
    for name, region in territories.items():
        inside = region & liver
        if inside.is_empty:
            raise InputError(f"territory {name!r} has no volume inside the liver")
        share = (inside & tumour).volume_ml if tumour is not None else 0.0
        outside = region.volume_ml - inside.volume_ml
        if outside > 0.05 * region.volume_ml:
            text = f"{outside:.0f} mL of territory {name!r} lie outside the liver"
            messages.append(Message("territory-outside-liver", text, "check the registration"))
        parts.append(TerritoryVolumes(name, inside.volume_ml, share, inside.volume_ml - share, outside))
    normal_ml = liver.volume_ml - tumour_ml
    if normal_ml <= 0:
        raise InputError("the tumours fill the whole liver: there is no normal liver to protect")
    perfused_tumour = sum(p.tumour_ml for p in parts)
    left_out = max(0.0, tumour_ml - perfused_tumour) if parts else tumour_ml
    if parts and left_out > 0.02 * tumour_ml and left_out > 0.5:
        text = f"{left_out:.1f} mL of tumour lie outside every territory and get no dose"
        messages.append(Message("tumour-outside-territories", text))
    remnant = (future_remnant & liver).volume_ml if future_remnant is not None else None
    return LiverVolumes(
        liver_ml=liver.volume_ml,
        tumour_ml=tumour_ml,
        normal_liver_ml=normal_ml,
        involvement=tumour_ml / liver.volume_ml,
        territories=tuple(parts),
        perfused_share=sum(p.volume_ml for p in parts) / liver.volume_ml,
        hepatic_reserve=max(0.0, 1 - sum(p.normal_ml for p in parts) / normal_ml),
        future_remnant_ml=remnant,
        future_remnant_share=None if remnant is None else remnant / normal_ml,
        tumour_outside_territories_ml=left_out,
        messages=tuple(messages),
    )


def _require_disjoint(territories: Mapping[str, Region]) -> None:
    names = list(territories)
    for n, a in enumerate(names):
        if territories[a].is_empty:
            raise InputError(f"territory {a!r} is empty")
        for b in names[n + 1 :]:
            shared = (territories[a] & territories[b]).volume_ml
            if shared > OVERLAP_TOLERANCE_ML:
                raise GeometryError(
                    f"territories {a!r} and {b!r} overlap by {shared:.1f} mL; give each voxel to one artery"
                )
