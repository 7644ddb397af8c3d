"""The structures of the clinic from those that were drawn: what a name means, and set algebra on them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import numpy as np

from hepatica.core import Kind, Region, Volume
from hepatica.core.options import NonNegative, Text, options
from hepatica.core.region import require_distinct
from hepatica.errors import GeometryError, InputError, UnknownNameError


class Structure(StrEnum):
    """What a structure is. The values are those of `hepatica.nuclides.DoseLimit.structure` where a limit exists."""

    BODY = "body"
    LIVER = "liver"
    LOBE = "liver_lobe"
    TUMOUR = "tumour"
    ALL_TUMOURS = "all_tumours"
    NECROSIS = "necrosis"
    NORMAL_LIVER = "normal_liver"
    PERFUSED = "perfused"
    PERFUSED_NORMAL = "perfused_normal"
    LUNG = "lung"
    LUNG_LEFT = "lung_left"
    LUNG_RIGHT = "lung_right"
    LUNG_LESS_DOME = "lung_less_dome"
    STOMACH = "stomach"
    BOWEL = "bowel"
    GALLBLADDER = "gallbladder"
    SPLEEN = "spleen"
    KIDNEY = "kidney"
    HEART = "heart"
    SPINE = "spine"
    OTHER = "other"


_TUMOUR = r"tumou?rs?|lesions?|gtv[a-z]?\d*|hcc|mets?|metastas[ei]s|icc|tv"
_LIVER = r"livers?|hepar|hepatic|parenchyma"
_FREE = r"non tumou?r(?:ous|al)?|tumou?r free"
_LESS = r"minus|less|without|excl(?:uding)?|sub"

NAME_TABLE: tuple[tuple[str, Structure], ...] = (
    (rf"\b(?:perf(?:used|usion)?|target|treated)\b.*\b(?:normal|{_LESS})\b", Structure.PERFUSED_NORMAL),
    (r"\bnormal\b.*\bperf(?:used|usion)?\b", Structure.PERFUSED_NORMAL),
    (rf"\b(?:{_LIVER})\b.*\b(?:{_LESS})\b.*\b(?:{_TUMOUR})\b", Structure.NORMAL_LIVER),
    (rf"\b(?:normal|healthy|{_FREE}|uninvolved)\b.*\b(?:{_LIVER}|tissue)\b", Structure.NORMAL_LIVER),
    (r"\bnormal (?:tissue|liver)\b|^(?:ntl|nl|fnl)$", Structure.NORMAL_LIVER),
    (r"\bnecro(?:sis|tic)\b", Structure.NECROSIS),
    (r"\b(?:all|total|whole|sum|combined)\b.*\b(?:tumou?rs?|lesions?|gtv|mets)\b", Structure.ALL_TUMOURS),
    (rf"\b(?:{_TUMOUR})\b", Structure.TUMOUR),
    (r"\b(?:perfused|perfusion|perf|treated|target|angiosome|territory)\b", Structure.PERFUSED),
    (r"\blungs?\b.*\b(?:dome|margin|beyond)\b", Structure.LUNG_LESS_DOME),
    (r"\blungs?\b.*\b(?:l|left|lt)\b|\b(?:l|left|lt) lung\b", Structure.LUNG_LEFT),
    (r"\blungs?\b.*\b(?:r|right|rt)\b|\b(?:r|right|rt) lung\b", Structure.LUNG_RIGHT),
    (r"\blungs?\b|\bpulmo\b", Structure.LUNG),
    (rf"\b(?:lobe|segment|seg|couinaud)\b|\b(?:left|right|l|r) (?:{_LIVER})\b", Structure.LOBE),
    (rf"\b(?:{_LIVER}) (?:l|r|left|right|lobe)\b", Structure.LOBE),
    (rf"\b(?:{_LIVER})\b", Structure.LIVER),
    (r"\b(?:body|external|patient|skin|outline)\b", Structure.BODY),
    (r"\bstomach\b", Structure.STOMACH),
    (r"\b(?:bowel|duodenum|colon|intestine|jejunum|ileum)\b", Structure.BOWEL),
    (r"\bgall ?bladder\b", Structure.GALLBLADDER),
    (r"\bspleen\b", Structure.SPLEEN),
    (r"\bkidneys?\b", Structure.KIDNEY),
    (r"\bheart\b", Structure.HEART),
    (r"\b(?:spine|spinal ?cord|vertebrae?)\b", Structure.SPINE),
)
"""Patterns tried from the top on the name in lower case with punctuation as spaces; the first that is found decides.
They cover the nomenclature of AAPM TG-263 (Lung_L, GTVp, Liver-GTV, External) and plain English."""


def structure_of(name: str, roles: Mapping[str, str] | None = None) -> Structure:
    """What a structure's name means.

    Parameters
    ----------
    name : str
        As in the structure file.
    roles : mapping of str to str, optional
        The user's own word: structure name -> a role as `structure_role` reads it; goes before the table.

    Raises
    ------
    UnknownNameError
        If `roles` gives something that is no role.

    Examples
    --------
    >>> structure_of("Lung_L").value, structure_of("GTV1").value, structure_of("Liver-GTV").value
    ('lung_left', 'tumour', 'normal_liver')
    """
    if roles and name in roles:
        return structure_role(roles[name])
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    # TG-263 writes a hyphen for what is taken away: Liver-GTV is no "liver GTV".
    spaced = re.sub(rf"(?i)\b({_LIVER})\s*-\s*(?={_TUMOUR})", r"\1 minus ", spaced)
    plain = re.sub(r"[^0-9a-z]+", " ", spaced.lower()).strip()
    # "GTVp 1", "tumour1": a number stuck to a word is not part of it, except in gtv1, which the table knows.
    plain = re.sub(r"\b(tumou?r|lesion|hcc|met|lung|perfused)s?(\d+)\b", r"\1 \2", plain)
    role = _role_by_table(plain)
    # What is taken away does not name what is left: "tumour minus necrosis" is tumour, "lung without lesion" lung.
    if role in (Structure.TUMOUR, Structure.ALL_TUMOURS, Structure.NECROSIS):
        left = re.match(rf"(.+?) (?:{_LESS}) ", plain)
        return _role_by_table(left[1]) if left else role
    return role


def _role_by_table(plain: str) -> Structure:
    return next((role for pattern, role in NAME_TABLE if re.search(pattern, plain)), Structure.OTHER)


_ROLE_WORDS = {
    "lungs": Structure.LUNG,
    "livers": Structure.LIVER,
    "whole_liver": Structure.LIVER,
    "tumours": Structure.ALL_TUMOURS,
    "lobe": Structure.LOBE,
    "lesion": Structure.TUMOUR,
    "left_lung": Structure.LUNG_LEFT,
    "right_lung": Structure.LUNG_RIGHT,
    "kidneys": Structure.KIDNEY,
}
"""What people also write for a role."""


def structure_role(text: str) -> Structure:
    """Role of a structure from a word: a value of `Structure`, its plural, or what people also write.

    Raises
    ------
    UnknownNameError
        If it is no role; the message lists them and the near ones.

    Examples
    --------
    >>> structure_role("lungs").value, structure_role("Normal liver").value, structure_role("tumor").value
    ('lung', 'normal_liver', 'tumour')
    """
    word = re.sub(r"[\s-]+", "_", text.strip().lower()).replace("tumor", "tumour")
    found = {role.value: role for role in Structure} | _ROLE_WORDS
    if word not in found:
        raise UnknownNameError("structure role", text.strip(), [role.value for role in Structure])
    return found[word]


def structure_roles(texts: Sequence[str | Mapping[str, str]]) -> dict[str, str]:
    """Structure name -> role from texts "NAME=ROLE", or from the mapping that a TOML file holds.

    Raises
    ------
    InputError
        If a text is no NAME=ROLE, or one name is given two roles.
    UnknownNameError
        If a role is unknown.

    Examples
    --------
    >>> structure_roles(["ROI 3 = lungs", "ROI 4=tumour"])
    {'ROI 3': 'lung', 'ROI 4': 'tumour'}
    """
    roles: dict[str, str] = {}
    for item in texts:
        pairs = list(item.items()) if isinstance(item, Mapping) else [_name_and_role(str(item))]
        for name, word in pairs:
            role = structure_role(str(word)).value
            if roles.setdefault(name, role) != role:
                raise InputError(f"structure {name!r} is given two roles: {roles[name]} and {role}")
    return roles


def _name_and_role(text: str) -> tuple[str, str]:
    name, equals, role = text.rpartition("=")
    if not equals or not name.strip() or not role.strip():
        raise InputError(f"{text!r} is not NAME=ROLE, such as 'ROI 3=tumour'")
    return name.strip(), role.strip()


def require_roles(roles: object) -> None:
    """InputError unless it is None or a mapping of structure names to roles that there are."""
    if roles is None:
        return
    if not isinstance(roles, Mapping):
        raise InputError(f"`structure_roles` is a mapping of names to roles ({{'ROI 3': 'tumour'}}), not {roles!r}")
    for role in roles.values():
        structure_role(str(role))


STRUCTURE_ROLES_TEXT = Text(structure_roles, "NAME=ROLE", whole=True)
"""How an option ``structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT]`` is read."""


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
    """

    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    wanted_structures: tuple[str, ...] = ()
    lung_margin_mm: NonNegative | None = None
    agent: str | None = None

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
        Whether it was made by set algebra here, not drawn.
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
    given = [ClinicalRegion(region, structure_of(region.name, roles)) for region in regions]
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
