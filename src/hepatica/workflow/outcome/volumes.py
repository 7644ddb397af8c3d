"""Lipiodol retention and growth of the future liver remnant, from tables of volumes or from segmentations."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hepatica.core import InputFile, Provenance, Region
from hepatica.errors import InputError
from hepatica.io.tables import TableCheck, read_table
from hepatica.outcome.response import FutureRemnant, future_remnant, lipiodol_retention

LIVER_NAMES = ("liver", "whole liver")
REMNANT_NAMES = ("remnant", "future remnant", "future liver remnant", "flr")
LIPIODOL_NAMES = ("lipiodol",)


@dataclass(frozen=True, slots=True)
class Retention:
    """Lipiodol in one tumour: volumes in mL, share of the tumour that holds it, grade."""

    patient: str
    lesion: str
    when: date | None
    retained_ml: float
    tumour_ml: float
    share: float
    grade: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "patient": self.patient,
            "lesion": self.lesion,
            "date": None if self.when is None else self.when.isoformat(),
            "retained_ml": self.retained_ml,
            "tumour_ml": self.tumour_ml,
            "retained_share": self.share,
            "retention": self.grade,
        }


@dataclass(frozen=True, slots=True)
class RemnantGrowth:
    """The future liver remnant of one patient at one date, some days (None: not known) after the baseline."""

    patient: str
    when: date | None
    days: float | None
    found: FutureRemnant

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        f = self.found
        return {
            "patient": self.patient,
            "date": None if self.when is None else self.when.isoformat(),
            "days": self.days,
            "remnant_before_ml": f.growth.before_ml,
            "remnant_after_ml": f.growth.after_ml,
            "relative_growth": f.growth.relative,
            "relative_growth_per_week": f.growth.relative_per_week,
            "share_before": f.share_before,
            "share_after": f.share_after,
            "degree_of_hypertrophy": f.degree_of_hypertrophy,
        }


@dataclass(frozen=True, slots=True)
class VolumeAnalysis:
    """Rows of a table of volumes: retention, or growth of the remnant; warnings; where they come from."""

    kind: str
    retention: tuple[Retention, ...]
    remnant: tuple[RemnantGrowth, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows: Sequence[Retention | RemnantGrowth] = self.retention or self.remnant
        return {
            "criterion": self.kind,
            self.kind: [row.as_dict() for row in rows],
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def analyse_retention(path: Path, *, sheet: str | None = None) -> VolumeAnalysis:
    """Lipiodol retention of every row: patient, lesion, date, retained_ml, tumour_ml.

    Raises
    ------
    TableError
        Listing every wrong cell; more lipiodol than tumour is one.
    """
    check = read_table(path, sheet=sheet).check()
    patients, lesions, dates = check.texts("patient"), check.texts("lesion"), check.dates("date")
    retained, tumour = check.numbers("retained_ml", at_least=0), check.numbers("tumour_ml", at_least=0)
    for n, (part, whole) in enumerate(zip(retained, tumour, strict=True)):
        if whole == 0:
            check.fault(n, "tumour_ml", "is 0; retention is a share of the tumour")
        elif part > whole:
            check.fault(n, "retained_ml", f"{part:g} mL is more than the tumour's {whole:g} mL")
    check.done()
    rows = [
        Retention(p, lesion, when, part, whole, *lipiodol_retention(part, whole))
        for p, lesion, when, part, whole in zip(patients, lesions, dates, retained, tumour, strict=True)
    ]
    return VolumeAnalysis(
        "lipiodol", tuple(rows), (), (), _provenance(path, "Vogl 2000: 10, 25, 50 % (low confidence)")
    )


def analyse_remnant(path: Path, *, sheet: str | None = None) -> VolumeAnalysis:
    """Growth of the future remnant: patient, date, remnant_ml, and at the first date liver_ml and tumour_ml.

    Raises
    ------
    TableError
        Listing every wrong cell: no liver volume at baseline, a remnant larger than liver less tumour.
    """
    check = read_table(path, sheet=sheet).check()
    patients, dates = check.texts("patient"), check.dates("date")
    remnant = check.numbers("remnant_ml", at_least=0.1)
    liver, tumour = (check.numbers(name, at_least=0, optional=True) for name in ("liver_ml", "tumour_ml"))
    first = _baselines(check, patients, dates, (remnant, liver, tumour))
    check.done()
    rows = []
    for n, (patient, when) in enumerate(zip(patients, dates, strict=True)):
        base = first[patient]
        start = dates[base]
        if n == base or when is None or start is None:
            continue
        found = future_remnant(
            remnant_before_ml=remnant[base],
            remnant_after_ml=remnant[n],
            liver_ml=liver[base],
            tumour_ml=tumour[base],
            days=(when - start).days,
        )
        rows.append(RemnantGrowth(patient, when, (when - start).days, found))
    warnings = [f"{p}: only a baseline; no growth" for p in first if p not in {r.patient for r in rows}]
    return VolumeAnalysis(
        "remnant", (), tuple(rows), tuple(warnings), _provenance(path, "liver less tumour at baseline")
    )


def _baselines(
    check: TableCheck,
    patients: Sequence[str],
    dates: Sequence[date | None],
    volumes: tuple[Sequence[float], Sequence[float], Sequence[float]],
) -> Mapping[str, int]:
    """Row of every patient's first date; faults where it lacks what the others are measured against."""
    remnant, liver, tumour = volumes
    first: dict[str, int] = {}
    seen: dict[tuple[str, date], int] = {}
    for n, (patient, when) in enumerate(zip(patients, dates, strict=True)):
        if when is None:
            continue
        if (patient, when) in seen:
            check.fault(n, "date", f"{patient} on {when} is already in row {check.table.rows[seen[patient, when]]}")
        seen.setdefault((patient, when), n)
        before = first.get(patient)
        if before is None or when < (dates[before] or date.max):
            first[patient] = n
    for patient, n in first.items():
        for name, values in (("liver_ml", liver), ("tumour_ml", tumour)):
            if math.isnan(values[n]):
                check.fault(n, name, f"is empty; {patient}'s first date needs it")
        if remnant[n] > liver[n] - tumour[n]:
            check.fault(n, "remnant_ml", f"{remnant[n]:g} mL is more than liver less tumour, {liver[n] - tumour[n]:g}")
    return first


def _provenance(path: Path, convention: str) -> Provenance:
    return Provenance(inputs=(InputFile.of("table", path),), conventions={"volumes": convention})


def split_roles(regions: Sequence[Region]) -> tuple[list[Region], dict[str, Region]]:
    """Lesions, and what is none: "liver", "remnant", "lipiodol", by name.

    Raises
    ------
    InputError
        If one of these is there twice.
    """
    lesions: list[Region] = []
    others: dict[str, Region] = {}
    roles = {n: role for role, names in _ROLES.items() for n in names}
    for region in regions:
        role = roles.get(region.name.strip().lower().replace("_", " "))
        if role is None:
            lesions.append(region)
        elif role in others:
            raise InputError(f"{region.name!r} and {others[role].name!r} are both the {role}; keep one")
        else:
            others[role] = region
    return lesions, others


_ROLES = {"liver": LIVER_NAMES, "remnant": REMNANT_NAMES, "lipiodol": LIPIODOL_NAMES}


def remnant_of(
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


def retention_of(lesions: Sequence[Region], lipiodol: Region | None) -> tuple[Retention, ...]:
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
        grade = lipiodol_retention(part, lesion.volume_ml)
        rows.append(Retention("", lesion.name, None, part, lesion.volume_ml, *grade))
    if rows and not any(r.retained_ml for r in rows):
        raise InputError(
            f"{lipiodol.name!r} covers no lesion; in a label map structures cannot overlap: use SEG or RTSTRUCT"
        )
    return tuple(rows)
