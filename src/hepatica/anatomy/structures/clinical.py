"""The structures of the clinic from those that were drawn: what a name means, and set algebra on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from hepatica.anatomy.structures.kinds import Structure
from hepatica.anatomy.structures.roles import (
    STRUCTURE_ROLES_TEXT,
    identified,
    require_roles,
    structure_of,
    structure_role,
    structure_roles,
)
from hepatica.core import Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import NonNegative, options
from hepatica.core.region import require_distinct
from hepatica.errors import GeometryError, InputError
from hepatica.nuclides.agents import Indication, Intent

__all__ = [
    "STRUCTURE_ROLES_TEXT",
    "ClinicalRegion",
    "Structure",
    "StructureOptions",
    "about_whole_liver",
    "clinical_regions",
    "require_roles",
    "structure_of",
    "structure_role",
    "structure_roles",
    "threshold_region",
    "union",
    "without_margin",
]


@options
class StructureOptions:
    """What structures are, and what is asked of them.

    Attributes
    ----------
    structure_roles : mapping of str to str or None
        What a structure is, where its name does not say: 'Seg 5=perfused'.
    wanted_structures : tuple of str
        Structures to take, by name; by default all. What is wrong with the others then does not matter.
    lung_margin_mm : float or None
        Also report the lungs without what lies within this distance of the liver.
    agent : str or None
        Agent, for its dose limits: glass, resin, ...
    indication : {"HCC", "ICC", "mCRC", "other"} or None
        Disease: goals for others fold away.
    intent : {"segmentectomy", "lobectomy", "unilobar", "bilobar", "whole-liver"} or None
        What the treatment is for: goals for other aims fold away.
    """

    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    wanted_structures: tuple[str, ...] = ()
    lung_margin_mm: NonNegative | None = None
    agent: str | None = None
    indication: Indication | None = None
    intent: Intent | None = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalRegion:
    """A region and what it is.

    Attributes
    ----------
    region : Region
        Voxels and name.
    structure : Structure
        What it is.
    derived : bool
        Whether it was made from others by set algebra, here or before it was written, not drawn.
    """

    region: Region
    structure: Structure
    derived: bool = False


def clinical_regions(
    regions: Sequence[Region],
    *,
    roles: Mapping[str, str] | None = None,
    dome_margin_mm: float | None = None,
) -> tuple[ClinicalRegion, ...]:
    """The structures given, and those that follow from them.

    Added where the parts are there and nobody drew the whole: all tumours (of two or more), normal liver (liver minus
    tumours), perfused minus tumours, lungs (left or right), and with `dome_margin_mm` the lungs less what lies within
    that distance of the liver, where breathing and blur put liver activity into the lung.

    Parameters
    ----------
    regions : sequence of Region
        Drawn or segmented structures on one grid.
    roles : mapping of str to str, optional
        Structure name -> role, where the name table reads it wrongly.
    dome_margin_mm : float, optional
        Distance from the liver, mm.

    Raises
    ------
    InputError
        If two structures have one name; if two are taken as *the* liver or the perfused volume; if `roles` names a
        structure that is not there; or if a dome margin is asked for without liver and lungs.
    """
    names = [region.name for region in regions]
    require_distinct(regions)
    if roles and (absent := sorted(set(roles) - set(names))):
        raise InputError(
            f"`structure_roles` names structures that are not there: {', '.join(absent)}; there are: {names}"
        )
    known = identified(regions, roles)
    given = [ClinicalRegion(region, known.roles[region.name], region.name in known.derived) for region in regions]
    found: dict[Structure, list[Region]] = {}
    for item in given:
        found.setdefault(item.structure, []).append(item.region)
    added: list[ClinicalRegion] = []

    def add(role: Structure, region: Region, name: str) -> None:
        if not region.is_empty:
            region = region.renamed(name, region.name)
            found[role] = [region]
            added.append(ClinicalRegion(region, role, derived=True))

    _require_single(found)
    tumours = found.get(Structure.TUMOUR, [])
    if len(tumours) > 1 and Structure.ALL_TUMOURS not in found:
        add(Structure.ALL_TUMOURS, union(tumours), "all tumours")
    every = union(tumours + found.get(Structure.ALL_TUMOURS, [])) if tumours or Structure.ALL_TUMOURS in found else None
    for whole, part, name in (
        (Structure.LIVER, Structure.NORMAL_LIVER, "liver minus tumours"),
        (Structure.PERFUSED, Structure.PERFUSED_NORMAL, "perfused minus tumours"),
    ):
        if whole in found and every is not None and part not in found:
            add(part, found[whole][0] - every, name)
    sides = found.get(Structure.LUNG_LEFT, []) + found.get(Structure.LUNG_RIGHT, [])
    if len(sides) > 1 and Structure.LUNG not in found:
        add(Structure.LUNG, union(sides), "lungs")
    if dome_margin_mm is not None:
        lungs = found.get(Structure.LUNG) or sides
        if not lungs or Structure.LIVER not in found:
            raise InputError("a dome margin needs a liver and lungs among the structures")
        kept = without_margin(union(lungs), found[Structure.LIVER][0], dome_margin_mm)
        add(Structure.LUNG_LESS_DOME, kept, f"lungs beyond {dome_margin_mm:g} mm of the liver")
    return (*given, *added)


def about_whole_liver(clinical: Sequence[ClinicalRegion]) -> tuple[Message, ...]:
    """What to know of a liver that holds none of its tumours, as in a label map, whose labels exclude each other."""
    tumours = [item.region for item in clinical if item.structure is Structure.TUMOUR]
    if not tumours:
        return ()
    every = union(tumours)
    return tuple(
        Message(
            "liver-without-tumours",
            f"structure {item.region.name!r} holds none of the tumours, as in a label map: its dose is that of the "
            "liver without them",
            "draw the liver with its tumours in it for the dose of the whole liver",
        )
        for item in clinical
        if item.structure is Structure.LIVER and (item.region & every).volume_ml < 0.01 * every.volume_ml
    )


def union(regions: Sequence[Region]) -> Region:
    """All of several regions on one grid.

    Raises
    ------
    InputError
        If there are none.
    """
    if not regions:
        raise InputError("the union of no regions is not a region")
    whole = regions[0]
    for region in regions[1:]:
        whole = whole | region
    return whole


def without_margin(region: Region, other: Region, margin_mm: float) -> Region:
    """What of `region` lies farther than `margin_mm` from the surface of `other` (and outside of it).

    The distance is that from voxel centres to the nearest voxel that `other` covers by half or more, less half that
    voxel along the way, with the grid's own spacing along each axis; the edge is spread over one voxel, so that volumes
    change smoothly with the margin. Right to about half a voxel.

    Raises
    ------
    InputError
        If the margin is negative.
    GeometryError
        If the grids differ or `other` covers no voxel by half.
    """
    from scipy import ndimage

    if not margin_mm >= 0:
        raise InputError(f"margin around {other.name!r} must not be negative: {margin_mm} mm")
    region.grid.require_match(other.grid, f"regions {region.name!r} and {other.name!r}")
    if not (other.coverage >= 0.5).any():
        raise GeometryError(f"region {other.name!r} covers no voxel by half: there is no surface to keep away from")
    if region.is_empty:
        return region
    spacing = np.asarray(region.grid.spacing_mm)
    reach = np.ceil(margin_mm / spacing).astype(int) + 2
    # Only the part of the grid near the region: what of `other` is farther away cannot matter.
    box = tuple(
        slice(max(0, w.start - r), min(n, w.stop + r))
        for w, r, n in zip(region.window, reach, region.grid.shape, strict=True)
    )
    near = other.full()[box] >= 0.5
    if not near.any():
        return region
    distance, nearest = ndimage.distance_transform_edt(~near, sampling=spacing, return_indices=True)
    way = (np.indices(near.shape) - nearest) * spacing[:, None, None, None]
    length = np.maximum(distance, 1e-9)
    half_voxel = np.sqrt(np.square(way * spacing[:, None, None, None] / 2).sum(axis=0)) / length
    clear = np.clip((distance - half_voxel - margin_mm) / np.maximum(2 * half_voxel, 1e-9) + 0.5, 0, 1)
    clear[near] = 0
    inner = tuple(slice(w.start - b.start, w.stop - b.start) for w, b in zip(region.window, box, strict=True))
    kept = np.minimum(region.coverage, clear[inner]).astype(np.float32)
    full = np.zeros(region.grid.shape, dtype=np.float32)
    full[region.window] = kept
    name = f"{region.name} beyond {margin_mm:g} mm of {other.name}"
    return Region.from_coverage(name, region.grid, full, origin=name)


def threshold_region(volume: Volume, level: float, *, name: str, within: Region | None = None) -> Region:
    """Voxels with a value of at least `level` (in the volume's unit), inside `within` if given.

    For the uptake of a PET or SPECT image, for an isodose, for a CT threshold. May be empty.

    Raises
    ------
    UnitError
        If the volume has NaN or infinite voxels, or holds labels.
    """
    volume.require_kind(*(kind for kind in Kind if kind is not Kind.LABEL))
    volume.require_finite()
    origin = f"{volume.name or volume.kind.meaning} >= {level:g} {volume.kind.unit}".rstrip()
    region = Region.from_coverage(name, volume.grid, volume.values >= level, origin=origin)
    return region if within is None else (region & within).renamed(name, f"{origin} in {within.name}")


def _require_single(found: Mapping[Structure, Sequence[Region]]) -> None:
    for role in (Structure.LIVER, Structure.PERFUSED, Structure.LUNG):
        several = [region.name for region in found.get(role, [])]
        if len(several) > 1:
            raise InputError(
                f"{len(several)} structures are taken as {role.value}: {', '.join(several)}",
                remedy="say what each one is: `structure_roles`",
            )
