"""Response from structures that were segmented before and after treatment: lesions, remnant, lipiodol."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hepatica.core import Region
from hepatica.errors import EvidenceError, InputError
from hepatica.outcome.response.criteria import Response, change_response, rule
from hepatica.outcome.response.lesions import NO_LESION, LesionSize, lesion_size
from hepatica.outcome.response.volumes import RemnantGrowth, Retention, future_remnant, retained_share, volume_change

SEGMENTED = ("recist", "mrecist", "easl", "volume")
"""Criteria that a segmentation answers: longest diameter (with and without the 5 mm rule), its product with the widest
across it, volume (the limits of qEASL). mRECIST, EASL and qEASL ask for the viable part to be segmented."""

_OTHER_NAMES = {
    "liver": ("liver", "whole liver"),
    "remnant": ("remnant", "future remnant", "future liver remnant", "flr"),
    "lipiodol": ("lipiodol",),
}


@dataclass(frozen=True, slots=True)
class SegmentedLesion:
    """A lesion in two segmentations.

    Attributes
    ----------
    name : str
        Of the structure.
    before, after : LesionSize
        Sizes; zero afterwards where the lesion is gone.
    relative_volume_change : float
        After over before, less one.
    responses : mapping of str to Response
        By every criterion of `SEGMENTED`.
    """

    name: str
    before: LesionSize
    after: LesionSize
    relative_volume_change: float
    responses: Mapping[str, Response]


def compare_segmentations(before: Sequence[Region], after: Sequence[Region]) -> tuple[SegmentedLesion, ...]:
    """Response of lesions segmented twice under the same names; one that is absent or empty afterwards is gone.

    Raises
    ------
    InputError
        If a name occurs twice, or afterwards there are lesions that were not there before.
    EvidenceError
        If there is no lesion, or one cannot be measured.
    """
    old, new = ({r.name: r for r in regions} for regions in (before, after))
    if len(old) != len(before) or len(new) != len(after):
        raise InputError("a lesion's name occurs twice in one segmentation")
    if extra := new.keys() - old.keys():
        raise InputError(
            f"lesions {', '.join(sorted(extra))} are only in the later segmentation; new lesions are progression"
        )
    out = []
    for name, region in old.items():
        size = lesion_size(region)
        later = NO_LESION if name not in new or new[name].is_empty else lesion_size(new[name])
        change = volume_change(size.volume_ml, later.volume_ml).relative
        out.append(SegmentedLesion(name, size, later, change, _responses([(size, later)])))
    if not out:
        raise EvidenceError("there is no lesion to compare")
    return tuple(out)


def patient_responses(lesions: Sequence[SegmentedLesion]) -> dict[str, Response]:
    """Response of the sum over all measurable lesions, by every criterion; empty without lesions."""
    return _responses([(lesion.before, lesion.after) for lesion in lesions]) if lesions else {}


def _responses(sizes: Sequence[tuple[LesionSize, LesionSize]]) -> dict[str, Response]:
    out = {}
    for name in SEGMENTED:
        criterion = rule(name)
        pairs = [(_measured(name, before), _measured(name, after)) for before, after in sizes]
        pairs = [pair for pair in pairs if pair[0] >= criterion.measurable]
        start = [before for before, _ in pairs]
        out[name] = change_response(start, math.fsum(start), [after for _, after in pairs], criterion)[0]
    return out


def _measured(criterion: str, size: LesionSize) -> float:
    if criterion == "volume":
        return size.volume_ml
    return size.longest_mm * size.perpendicular_mm if criterion == "easl" else size.longest_mm


def lesions_and_others(regions: Sequence[Region]) -> tuple[list[Region], dict[str, Region]]:
    """Lesions, and what is none: "liver", "remnant", "lipiodol", by name.

    Raises
    ------
    InputError
        If one of these is there twice.
    """
    lesions: list[Region] = []
    others: dict[str, Region] = {}
    meaning = {name: other for other, names in _OTHER_NAMES.items() for name in names}
    for region in regions:
        other = meaning.get(region.name.strip().lower().replace("_", " "))
        if other is None:
            lesions.append(region)
        elif other in others:
            raise InputError(f"{region.name!r} and {others[other].name!r} are both the {other}; keep one")
        else:
            others[other] = region
    return lesions, others


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
