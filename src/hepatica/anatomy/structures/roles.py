"""What each structure of a patient is: the user's word, the codes of its file, its name, where it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hepatica.anatomy.structures.codes import agreed, coded_meaning, codes_of
from hepatica.anatomy.structures.kinds import LESIONS, Structure
from hepatica.anatomy.structures.names import Meaning, is_understood, meaning_of
from hepatica.core import Region
from hepatica.core.message import Message
from hepatica.core.options import Text
from hepatica.core.region import Code
from hepatica.errors import InputError, UnknownNameError

SAME_SHARE = 0.9
"""Two volumes are the same if each lies in the other by this share. Our choice: a sum and its parts lose a few per cent
at the borders when they are drawn or resampled apart; neighbouring lesions never share as much."""


MAX_LISTED = 12
"""Names in one message; an automatic segmentation may have a hundred bones and muscles."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What each of several structures is.

    Attributes
    ----------
    roles : mapping of str to Structure
        By name.
    derived : frozenset of str
        Names of those that their file says were made from others.
    messages : tuple of Message
        What was in doubt, and what was taken as a sum of others.
    """

    roles: Mapping[str, Structure]
    derived: frozenset[str]
    messages: tuple[Message, ...]


def structure_of(structure: str | Region, roles: Mapping[str, str] | None = None) -> Structure:
    """What a structure is, by the user's word, else by the codes of a region and its name.

    Parameters
    ----------
    structure : str or Region
        Its name, or the region, whose codes count too.
    roles : mapping of str to str, optional
        The user's own word: structure name -> a role as `structure_role` reads it; goes before all else.

    Raises
    ------
    UnknownNameError
        If `roles` gives something that is no role.

    Examples
    --------
    >>> structure_of("Lung_L").value, structure_of("GTV1").value, structure_of("Liver-GTV").value
    ('lung_left', 'tumour', 'normal_liver')
    """
    name = structure if isinstance(structure, str) else structure.name
    if roles and name in roles:
        return structure_role(roles[name])
    return (meaning_of(name) if isinstance(structure, str) else _meaning(structure)).structure


def _meaning(region: Region) -> Meaning:
    return agreed(region.name, coded_meaning(region.codes))


def identified(regions: Sequence[Region], roles: Mapping[str, str] | None = None) -> Identified:
    """What each of several structures is.

    A lesion that is the sum of others, or contains most of several, is no lesion but all of them, whatever it is
    called. What can be read in two ways is OTHER, with a message that asks for the user's word.

    Parameters
    ----------
    regions : sequence of Region
        With distinct names; those on one grid are compared with each other.
    roles : mapping of str to str, optional
        The user's own word, by name.

    Raises
    ------
    UnknownNameError
        If `roles` gives something that is no role.
    """
    found: dict[str, Structure] = {}
    messages: list[Message] = []
    for region in regions:
        found[region.name] = structure_of(region, roles)
        if not (roles and region.name in roles) and (doubt := _meaning(region).doubt):
            text = f"structure {region.name!r} can be read in two ways ({doubt}): it is taken as neither"
            messages.append(Message("structure-in-doubt", text, f"state `structure_roles`: '{region.name}=ROLE'"))
    lesions = [r for r in regions if found[r.name] in LESIONS and r.name not in (roles or {}) and not r.is_empty]
    for region in _sums(lesions):
        found[region.name] = Structure.ALL_TUMOURS
        text = f"structure {region.name!r} is the sum of other lesions: it counts as all of them, not as one more"
        messages.append(Message("structure-is-a-sum", text, f"state `structure_roles`: '{region.name}=tumour' if not"))
    single = [r for r in lesions if found[r.name] in LESIONS]
    for first, second in _twice(single):
        text = f"lesions {first!r} and {second!r} are the same volume: it counts twice where lesions are counted"
        messages.append(Message("lesion-drawn-twice", text, "leave one out"))
    derived = frozenset(r.name for r in regions if coded_meaning(r.codes).derived)
    return Identified(found, derived, tuple(messages))


def about_unknown(found: Identified, roles: Mapping[str, str] | None = None) -> tuple[Message, ...]:
    """Which structures are taken as OTHER because their names say nothing, in one message; none where there is none.

    Left out is what `roles` states, and what has a message of its own because it is in doubt.
    """
    names = [
        name
        for name, role in found.roles.items()
        if role is Structure.OTHER
        and name not in (roles or {})
        and not is_understood(name)
        and not meaning_of(name).doubt
    ]
    if not names:
        return ()
    listed = ", ".join(map(repr, names[:MAX_LISTED]))
    if len(names) > MAX_LISTED:
        listed += f" and {len(names) - MAX_LISTED} more"
    text = f"names that do not say what was drawn, taken as no tumour, liver, lung or organ: {listed}"
    return (Message("structures-not-understood", text, "state `structure_roles`: 'NAME=ROLE' for what counts"),)


def _sums(lesions: Sequence[Region]) -> list[Region]:
    """Lesions that hold two or more of the others, and little else."""
    out = []
    for region in lesions:
        inside = [r for r in lesions if r is not region and _share_inside(r, region) >= SAME_SHARE]
        smaller = [r for r in inside if r.volume_ml < SAME_SHARE * region.volume_ml]
        if len(smaller) < 2:
            continue
        whole = smaller[0]
        for other in smaller[1:]:
            whole = whole | other
        if _share_inside(region, whole) >= SAME_SHARE:
            out.append(region)
    return out


def _twice(lesions: Sequence[Region]) -> list[tuple[str, str]]:
    return [
        (a.name, b.name)
        for n, a in enumerate(lesions)
        for b in lesions[n + 1 :]
        if min(_share_inside(a, b), _share_inside(b, a)) >= SAME_SHARE
    ]


def _share_inside(region: Region, other: Region) -> float:
    """Share of a region's volume that lies in another; 0 where their windows do not meet, or the grids differ."""
    apart = any(a.stop <= b.start or b.stop <= a.start for a, b in zip(region.window, other.window, strict=True))
    if apart or not region.grid.matches(other.grid):
        return 0.0
    return (region & other).volume_ml / region.volume_ml


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


def own_codes(role: str, *, derived: bool = False) -> tuple[Code, ...]:
    """Codes of a structure whose source states its role in a word; UnknownNameError if it is no role."""
    return codes_of(structure_role(role), derived=derived)[2]


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
