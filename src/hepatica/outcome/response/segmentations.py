"""Response from structures that were segmented before and after treatment: lesions, remnant, lipiodol."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hepatica.anatomy.structures.kinds import LESIONS, Structure
from hepatica.core import Region
from hepatica.core.message import Message
from hepatica.core.resample import resample_region
from hepatica.errors import EvidenceError, InputError
from hepatica.outcome.response.criteria import Response, Rule, change_response, overall_response, rule
from hepatica.outcome.response.lesions import NO_LESION, LesionSize, lesion_size
from hepatica.outcome.response.volumes import RemnantGrowth, Retention, future_remnant, retained_share, volume_change

SEGMENTED = ("recist", "mrecist", "easl", "volume")
"""Criteria that a segmentation answers: longest diameter (with and without the 5 mm rule), its product with the widest
across it, volume (the limits of qEASL). mRECIST, EASL and qEASL ask for the viable part to be segmented."""

OTHERS = {Structure.LIVER: "liver", Structure.REMNANT: "remnant", Structure.LIPIODOL: "lipiodol"}
"""Structures that are no lesions and are asked for: growth of the remnant, retention of lipiodol."""

NODE_TARGET_MM, NODE_NORMAL_MM = 15.0, 10.0
"""Short axis of a measurable lymph node, and below which one is normal (RECIST 1.1, Eur J Cancer 2009;45:228)."""

NEW_MRECIST_MM = 10.0
"""Longest diameter from which a new lesion counts as progression by mRECIST (Semin Liver Dis 2010;30:52)."""

SAME_PLACE = 0.5
"""Two lesions of different names are one if they share this part of the smaller one. Our choice, and it is said."""

Absent = Literal["gone", "not-evaluated"]


@dataclass(frozen=True, slots=True)
class SegmentedLesion:
    """A lesion in two segmentations.

    Attributes
    ----------
    name : str
        Of the structure before treatment.
    before : LesionSize
        Size before.
    after : LesionSize or None
        Size after, zero where the lesion is gone; None where it was not drawn and is not to be taken as gone.
    relative_volume_change : float or None
        After over before, less one.
    responses : mapping of str to Response
        By every criterion of `SEGMENTED`.
    is_node : bool
        Whether it is a lymph node: RECIST and mRECIST then read its short axis.
    in_after : {"drawn", "empty", "absent"}
        How the later segmentation has it: drawn, listed without a voxel, or not listed.
    """

    name: str
    before: LesionSize
    after: LesionSize | None
    relative_volume_change: float | None
    responses: Mapping[str, Response]
    is_node: bool = False
    in_after: Literal["drawn", "empty", "absent"] = "drawn"


@dataclass(frozen=True, slots=True)
class NewLesion:
    """A lesion that only the later segmentation has."""

    name: str
    after: LesionSize


@dataclass(frozen=True, slots=True)
class Compared:
    """Lesions of two segmentations, those that are new, and what to know."""

    lesions: tuple[SegmentedLesion, ...]
    new: tuple[NewLesion, ...]
    messages: tuple[Message, ...] = ()


def compare_segmentations(
    before: Sequence[Region],
    after: Sequence[Region],
    *,
    nodes: Collection[str] = (),
    empty: Collection[str] = (),
    absent: Absent = "gone",
    propagated: Mapping[str, Region] | None = None,
) -> Compared:
    """Response of lesions segmented twice, matched by name, else by place; others afterwards are new.

    A lesion that the later segmentation lists without a voxel is gone. One that it does not list is gone, or was not
    drawn: `absent` says which, and a message names it.

    Parameters
    ----------
    before, after : sequence of Region
        Lesions only.
    nodes : collection of str
        Names of lymph nodes.
    empty : collection of str
        Names that the later segmentation lists without a voxel.
    absent : {"gone", "not-evaluated"}
        What a lesion is that the later segmentation does not list.
    propagated : mapping of str to Region or None
        Lesions before, brought over to where their tissue lies in the later image, by name: place is compared there.
        Sizes are measured as drawn.

    Raises
    ------
    InputError
        If a name occurs twice.
    EvidenceError
        If there is no lesion, or one cannot be measured.
    """
    old, new = ({r.name: r for r in regions} for regions in (before, after))
    if len(old) != len(before) or len(new) != len(after):
        raise InputError("a lesion's name occurs twice in one segmentation")
    later: dict[str, Region] = {name: new[name] for name in old if name in new}
    extra = [region for name, region in new.items() if name not in old and not region.is_empty]
    messages: list[Message] = []
    places = {name: (propagated or {}).get(name, region) for name, region in old.items()}
    for name in [name for name in old if name not in later]:
        match = next((r for r in extra if _same_place(places[name], r)), None)
        if match is not None:
            later[name] = match
            extra.remove(match)
            text = f"lesions {name!r} before and {match.name!r} after lie in one place: they are taken as one"
            messages.append(Message("lesion-matched-by-place", text, "give them one name, or two if they are not"))
    messages += _swapped(places, new)
    if propagated is not None:
        messages += _elsewhere(places, new)
    out = []
    for name, region in old.items():
        found = later.get(name)
        state: Literal["drawn", "empty", "absent"] = "drawn"
        if found is None or found.is_empty:
            state = "empty" if found is not None or name in empty else "absent"
        gone = state == "empty" or (state == "absent" and absent == "gone")
        now = lesion_size(found) if found is not None and state == "drawn" else (NO_LESION if gone else None)
        out.append(_lesion(name, lesion_size(region), now, is_node=name in nodes, in_after=state))
    if not out and not extra:
        raise EvidenceError("there is no lesion to compare", remedy="state `structure_roles`: 'NAME=tumour'")
    missing = [lesion.name for lesion in out if lesion.in_after == "absent"]
    if missing:
        messages.append(_about_absent(missing, absent))
    fresh = tuple(NewLesion(region.name, lesion_size(region)) for region in extra)
    return Compared(tuple(out), fresh, (*messages, *_about_new(fresh)))


def _shared_ml(first: Region, second: Region) -> float | None:
    """Volume that two share; None where nothing says that the images lie together."""
    if not first.grid.matches(second.grid):
        if first.grid.frame_of_reference is None or first.grid.frame_of_reference != second.grid.frame_of_reference:
            return None
        second = resample_region(second, first.grid)
    return (first & second).volume_ml


def _same_place(first: Region, second: Region) -> bool:
    """Whether most of the smaller one lies in the other; False where nothing says that the images lie together."""
    smaller = min(first.volume_ml, second.volume_ml)
    shared = _shared_ml(first, second) if smaller > 0 else None
    return shared is not None and shared >= SAME_PLACE * smaller


def _swapped(old: Mapping[str, Region], new: Mapping[str, Region]) -> list[Message]:
    """Lesions of one name that lie afterwards where another was, and nowhere where they were."""
    out = []
    for name, region in old.items():
        later = new.get(name)
        if later is None or later.is_empty or region.is_empty or _shared_ml(region, later) != 0:
            continue
        others = [other for other in old if other != name and not old[other].is_empty and _shared_ml(old[other], later)]
        if others:
            listed = ", ".join(map(repr, others))
            text = f"lesion {name!r} lies afterwards where {listed} was, and not where it was before: names swapped?"
            remedy = "give each lesion one name in both files; sizes are compared by name"
            out.append(Message("lesion-names-swapped", text, remedy, "critical"))
    return out


def _elsewhere(old: Mapping[str, Region], new: Mapping[str, Region]) -> list[Message]:
    """Lesions of one name that lie afterwards where nothing of them was brought over to."""
    apart = [
        name
        for name, region in old.items()
        if (later := new.get(name)) is not None
        and not (later.is_empty or region.is_empty)
        and _shared_ml(region, later) == 0
        and not any(_shared_ml(other, later) for name_of, other in old.items() if name_of != name)
    ]
    if not apart:
        return []
    listed = ", ".join(map(repr, apart))
    text = f"lies afterwards beside where the transform puts it: {listed}; sizes are compared by name"
    return [Message("lesion-lies-elsewhere", text, "look whether it is the same lesion, and at the registration")]


def _about_absent(names: Sequence[str], absent: Absent) -> Message:
    listed = ", ".join(map(repr, names))
    if absent == "gone":
        text = f"not in the later segmentation, taken as gone: {listed}"
        return Message("lesions-absent", text, "state `absent_lesions` 'not-evaluated' if they were only not drawn")
    text = f"not in the later segmentation, not evaluated: {listed}"
    return Message("lesions-absent", text, "draw them, or list them without a voxel if they are gone")


def _about_new(new: Sequence[NewLesion]) -> tuple[Message, ...]:
    if not new:
        return ()
    listed = ", ".join(f"{lesion.name!r} ({lesion.after.longest_mm:.0f} mm)" for lesion in new)
    text = f"only in the later segmentation: {listed}; a new lesion is progression"
    small = [lesion for lesion in new if lesion.after.longest_mm < NEW_MRECIST_MM]
    if small:
        text += f", by mRECIST from {NEW_MRECIST_MM:g} mm on"
    return (Message("new-lesions", text, "make sure that they are new, not drawn for the first time"),)


def _lesion(
    name: str,
    before: LesionSize,
    after: LesionSize | None,
    *,
    is_node: bool,
    in_after: Literal["drawn", "empty", "absent"],
) -> SegmentedLesion:
    change = None if after is None else volume_change(before.volume_ml, after.volume_ml).relative
    lesion = SegmentedLesion(name, before, after, change, {}, is_node, in_after)
    return replace(lesion, responses={criterion: _alone(criterion, lesion) for criterion in SEGMENTED})


def _alone(criterion: str, lesion: SegmentedLesion) -> Response:
    return Response.PD if _has_progressed(criterion, lesion) else _target(criterion, [lesion])


def patient_responses(lesions: Sequence[SegmentedLesion], new: Sequence[NewLesion] = ()) -> dict[str, Response]:
    """Response of all lesions together, by every criterion; empty without lesions.

    The sum over measurable lesions, with the others as non-target lesions and new ones as progression (RECIST 1.1,
    tables 1 and 2). A non-target lesion that grew to the size of a target is progression. Where nothing was measurable
    and nothing progressed, all gone is CR and the rest not evaluable.
    """
    if not lesions and not new:
        return {}
    out = {}
    for criterion in SEGMENTED:
        targets = [lesion for lesion in lesions if _is_target(criterion, lesion)]
        others = [lesion for lesion in lesions if not _is_target(criterion, lesion)]
        fresh = any(criterion != "mrecist" or lesion.after.longest_mm >= NEW_MRECIST_MM for lesion in new)
        non_target = _non_target(criterion, others)
        if not targets:
            found = Response.CR if non_target == "CR" else Response.NE
            out[criterion] = Response.PD if fresh or non_target == "PD" else found
            continue
        out[criterion] = overall_response(_target(criterion, targets), non_target, fresh)
    return out


def _non_target(criterion: str, others: Sequence[SegmentedLesion]) -> str:
    if not others:
        return "none"
    if any(_has_progressed(criterion, lesion) for lesion in others):
        return "PD"
    if any(lesion.after is None for lesion in others):
        return "NE"
    gone = all(_is_normal(lesion) for lesion in others)
    return "CR" if gone else "non-CR/non-PD"


def _target(criterion: str, lesions: Sequence[SegmentedLesion]) -> Response:
    """Response of the measurable ones of these lesions; NE without any, or if one was not evaluated."""
    limit = rule(criterion)
    targets = [lesion for lesion in lesions if _is_target(criterion, lesion)]
    seen = [(lesion, lesion.after) for lesion in targets if lesion.after is not None]
    start = [_measured(criterion, lesion.before, is_node=lesion.is_node) for lesion, _ in seen]
    now = [_measured(criterion, after, is_node=lesion.is_node) for lesion, after in seen]
    if not targets:
        return Response.NE
    if len(seen) < len(targets):
        # What is known to have grown has grown, whatever the others did.
        whole = math.fsum(_measured(criterion, lesion.before, is_node=lesion.is_node) for lesion in targets)
        return Response.PD if _has_grown(math.fsum(now), whole, limit) else Response.NE
    if criterion in ("recist", "mrecist") and all(_is_normal(lesion) for lesion in targets):
        return Response.CR
    return change_response(start, math.fsum(start), now, limit)[0]


def _has_grown(now: float, before: float, limit: Rule) -> bool:
    return now >= before * (1 + limit.progression) and now - before >= limit.progression_absolute


def _has_progressed(criterion: str, lesion: SegmentedLesion) -> bool:
    """Whether a lesion too small for a target has become large enough for one, and grown by what is progression.

    RECIST 1.1 leaves "unequivocal progression" of non-target lesions to the reader; this much of it can be measured.
    """
    if lesion.after is None or _is_target(criterion, lesion):
        return False
    was, now = (_measured(criterion, size, is_node=lesion.is_node) for size in (lesion.before, lesion.after))
    return _is_large(criterion, lesion.after, is_node=lesion.is_node) and _has_grown(now, was, rule(criterion))


def _is_normal(lesion: SegmentedLesion) -> bool:
    """Whether nothing is left: of a lymph node, less than 10 mm in its short axis."""
    if lesion.after is None:
        return False
    return lesion.after.perpendicular_mm < NODE_NORMAL_MM if lesion.is_node else lesion.after.longest_mm == 0


def _is_target(criterion: str, lesion: SegmentedLesion) -> bool:
    return _is_large(criterion, lesion.before, is_node=lesion.is_node)


def _is_large(criterion: str, size: LesionSize, *, is_node: bool) -> bool:
    """Whether a lesion of this size can be a target."""
    if is_node and criterion in ("recist", "mrecist"):
        return size.perpendicular_mm >= NODE_TARGET_MM
    return _measured(criterion, size, is_node=False) >= rule(criterion).measurable


def _measured(criterion: str, size: LesionSize, *, is_node: bool) -> float:
    if criterion == "volume":
        return size.volume_ml
    if criterion == "easl":
        return size.longest_mm * size.perpendicular_mm
    return size.perpendicular_mm if is_node else size.longest_mm


def lesions_and_others(
    regions: Sequence[Region], roles: Mapping[str, Structure]
) -> tuple[list[Region], dict[str, Region]]:
    """Lesions, and of what is none "liver", "remnant" and "lipiodol", by what each structure is.

    Raises
    ------
    InputError
        If one of these is there twice.
    """
    others: dict[str, Region] = {}
    for region in regions:
        other = OTHERS.get(roles[region.name])
        if other is None:
            continue
        if other in others:
            raise InputError(f"{region.name!r} and {others[other].name!r} are both the {other}; keep one")
        others[other] = region
    return [region for region in regions if roles[region.name] in LESIONS], others


def segmented_remnant(
    before: Mapping[str, Region], after: Mapping[str, Region], lesions: Sequence[Region], *, days: float | None
) -> RemnantGrowth | None:
    """Growth of a segmented remnant; None where it was not segmented on both sides.

    The liver is the union of liver, remnant and `lesions` (before treatment): in a label map, whose labels exclude each
    other, "liver" is what the others leave.

    Raises
    ------
    InputError
        If the remnant is there but not the liver before treatment.
    """
    if "remnant" not in before or "remnant" not in after:
        return None
    if "liver" not in before:
        raise InputError("a remnant needs the structure 'liver' before treatment: it is a share of liver less tumour")
    tumour = functools.reduce(operator.or_, lesions) if lesions else None
    liver = before["liver"] | before["remnant"]
    found = future_remnant(
        remnant_before_ml=before["remnant"].volume_ml,
        remnant_after_ml=after["remnant"].volume_ml,
        liver_ml=liver.volume_ml if tumour is None else (liver | tumour).volume_ml,
        tumour_ml=0.0 if tumour is None else tumour.volume_ml,
        days=days,
    )
    return RemnantGrowth("", None, days, found)


def segmented_retention(lesions: Sequence[Region], lipiodol: Region | None) -> tuple[Retention, ...]:
    """Share of each lesion that a segmented "lipiodol" covers, on the same voxels.

    Raises
    ------
    InputError
        If it covers no lesion at all: the labels of a label map exclude each other.
    """
    if lipiodol is None or lipiodol.is_empty:
        return ()
    rows = []
    for lesion in (r for r in lesions if not r.is_empty):
        part = min((lesion & lipiodol).volume_ml, lesion.volume_ml)
        share, grade = retained_share(part, lesion.volume_ml)
        rows.append(Retention("", lesion.name, None, part, lesion.volume_ml, share, grade))
    if rows and not any(r.retained_ml for r in rows):
        raise InputError(
            f"{lipiodol.name!r} covers no lesion; in a label map structures cannot overlap",
            remedy="use SEG or RTSTRUCT",
        )
    return tuple(rows)
