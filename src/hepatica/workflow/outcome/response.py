"""From a table of lesion measurements, or two segmentations, to response per lesion and per patient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hepatica.core import InputFile, Provenance, Region
from hepatica.errors import EvidenceError, InputError
from hepatica.io.tables import TableCheck, read_table
from hepatica.outcome.lesions import LesionSize, lesion_size
from hepatica.outcome.response import (
    BestResponse,
    Response,
    Visit,
    best_response,
    change_response,
    choi_response,
    overall_response,
    percist_least_sul,
    rule,
    volume_change,
)

COLUMNS = {
    "recist": "diameter_mm",
    "mrecist": "viable_mm",
    "easl": "viable_mm",
    "qeasl": "viable_volume_ml",
    "volume": "volume_ml",
    "percist": "sul_peak",
    "eortc": "suv",
    "choi": "diameter_mm",
}
"""Column that a criterion needs; EASL also viable_perpendicular_mm, Choi also density_hu."""

PERCIST_LIVER = ("liver_sul_mean", "liver_sul_sd")
"""Optional columns: uptake of the normal liver at that scan."""

MOST_TARGETS = {"recist": 5, "mrecist": 5, "easl": 5, "percist": 5}


@dataclass(frozen=True, slots=True)
class LesionResponse:
    """One lesion at one visit: value, change from baseline, category."""

    patient: str
    lesion: str
    when: date
    value: float
    change: float
    response: Response


@dataclass(frozen=True, slots=True)
class PatientVisit:
    """One patient at one visit: sum over target lesions, changes, target and overall response."""

    patient: str
    when: date
    total: float
    change: float
    change_from_reference: float
    target: Response
    overall: Response


@dataclass(frozen=True, slots=True)
class ResponseAnalysis:
    """Response of a table by one criterion."""

    criterion: str
    unit: str
    lesions: tuple[LesionResponse, ...]
    visits: tuple[PatientVisit, ...]
    best: tuple[tuple[str, BestResponse], ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "criterion": self.criterion,
            "unit": self.unit,
            "lesions": [
                {
                    "patient": r.patient,
                    "lesion": r.lesion,
                    "date": r.when.isoformat(),
                    "value": r.value,
                    "relative_change": r.change,
                    "response": r.response.value,
                }
                for r in self.lesions
            ],
            "visits": [
                {
                    "patient": v.patient,
                    "date": v.when.isoformat(),
                    "sum": v.total,
                    "relative_change": v.change,
                    "relative_change_from_reference": v.change_from_reference,
                    "target_response": v.target.value,
                    "overall_response": v.overall.value,
                }
                for v in self.visits
            ],
            "best": [
                {
                    "patient": patient,
                    "response": b.response.value,
                    "date": None if b.when is None else b.when.isoformat(),
                    "confirmed": b.confirmed,
                    "reason": b.reason,
                }
                for patient, b in self.best
            ],
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Row:
    index: int
    patient: str
    lesion: str
    when: date
    value: float
    density: float
    is_target: bool
    is_new: bool
    non_target: str
    is_node: bool
    liver: tuple[float, float] = (math.nan, math.nan)


def analyse_response(
    path: Path, criterion: str, *, confirm: bool = True, confirmation_days: int = 28, sheet: str | None = None
) -> ResponseAnalysis:
    """Response of every lesion and patient of a table, and best overall response.

    The table has one row per lesion and date: patient, lesion, date, and the column of the criterion (see `COLUMNS`).
    The first date of a patient is the baseline. Optional: target (1/0, default 1), new (1/0: a new lesion), non_target
    ("none", "CR", "non-CR/non-PD", "PD", "NE") and, for recist, node (1/0: diameter_mm holds its short axis).

    Raises
    ------
    TableError
        Listing every fault: missing values, two rows for a lesion and date, a target lesion too small at baseline or
        missing at baseline.
    """
    if criterion != "choi":
        rule(criterion)
    table = read_table(path, sheet=sheet)
    check = table.check()
    rows = _rows(check, criterion)
    warnings: list[str] = []
    lesions: list[LesionResponse] = []
    visits: list[PatientVisit] = []
    best = []
    if criterion == "percist":
        warnings += _percist_warnings(check, rows)
    by_patient: dict[str, list[_Row]] = {}
    for row in rows:
        by_patient.setdefault(row.patient, []).append(row)
    for patient, own in by_patient.items():
        _check_baseline(check, patient, own, criterion)
    check.done()
    for patient, own in by_patient.items():
        found, walked = _patient(patient, own, criterion)
        lesions += found
        visits += walked
        if not walked:
            warnings.append(f"{patient}: only a baseline; no response")
            continue
        start = min(r.when for r in own)
        answer = best_response(
            start, [Visit(v.when, v.overall) for v in walked], confirm=confirm, confirmation_days=confirmation_days
        )
        best.append((patient, answer))
    return ResponseAnalysis(
        criterion,
        "" if criterion == "choi" else rule(criterion).unit,
        tuple(lesions),
        tuple(visits),
        tuple(best),
        tuple(warnings),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={"criterion": criterion, "confirm": confirm, "confirmation_days": confirmation_days},
            conventions={"criterion": "Choi 2007" if criterion == "choi" else rule(criterion).source},
        ),
    )


def _rows(check: TableCheck, criterion: str) -> list[_Row]:
    patients, lesions, dates = check.texts("patient"), check.texts("lesion"), check.dates("date")
    count = len(check.table)
    new = check.yes_no("new", optional=True) if check.has("new") else [0.0] * count
    target = check.yes_no("target", optional=True) if check.has("target") else [1.0] * count
    values = check.numbers(COLUMNS[criterion], at_least=0, optional=True)
    if criterion == "easl":
        across = check.numbers("viable_perpendicular_mm", at_least=0, optional=True)
        values = [a * b for a, b in zip(values, across, strict=True)]
    densities = check.numbers("density_hu", optional=True) if criterion == "choi" else [math.nan] * count
    others = list(check.table.columns["non_target"]) if check.has("non_target") else [""] * count
    nodes = check.yes_no("node", optional=True) if check.has("node") and criterion == "recist" else [0.0] * count
    liver = list(zip(*(_optional(check, name, criterion) for name in PERCIST_LIVER), strict=True))
    seen: dict[tuple[str, str, date], int] = {}
    rows = []
    for n, when in enumerate(dates):
        if when is None:
            continue
        key = (patients[n], lesions[n], when)
        if key in seen:
            check.fault(n, "lesion", f"{lesions[n]!r} on {when} is already in row {check.table.rows[seen[key]]}")
        seen.setdefault(key, n)
        is_target = target[n] != 0 and new[n] != 1
        if is_target and math.isnan(values[n]):
            check.fault(n, COLUMNS[criterion], "is empty; a target lesion needs a value at every visit (0: gone)")
        if is_target and criterion == "choi" and math.isnan(densities[n]):
            check.fault(n, "density_hu", "is empty; Choi criteria need the density")
        if others[n] and others[n] not in ("none", "CR", "non-CR/non-PD", "PD", "NE"):
            check.fault(n, "non_target", f"{others[n]!r} is not one of none, CR, non-CR/non-PD, PD, NE")
        rows.append(_Row(n, *key, values[n], densities[n], is_target, new[n] == 1, others[n], nodes[n] == 1, liver[n]))
    return rows


def _optional(check: TableCheck, name: str, criterion: str) -> list[float]:
    """A column of the liver's uptake for PERCIST; nan where it is not there."""
    if criterion != "percist" or not check.has(name):
        return [math.nan] * len(check.table)
    return check.numbers(name, at_least=0, optional=True)


def _percist_warnings(check: TableCheck, rows: Sequence[_Row]) -> list[str]:
    """What PERCIST asks of the liver's uptake, as far as the table tells it."""
    if any(math.isnan(v) for r in rows if r.is_target for v in r.liver):
        return [
            (
                "PERCIST's least uptake (1.5 liver means plus two standard deviations) is checked only where "
                f"columns {' and '.join(PERCIST_LIVER)} are filled"
            )
        ]
    means: dict[str, list[tuple[date, float]]] = {}
    for r in rows:
        if not math.isnan(r.liver[0]):
            means.setdefault(r.patient, []).append((r.when, r.liver[0]))
    found = []
    for patient, values in means.items():
        first = min(values)[1]
        for when, value in sorted(set(values)):
            # PERCIST 1.0: scans compare if the liver's mean SUL differs by less than 20 % and 0.3 SUL.
            if abs(value - first) > max(0.2 * first, 0.3):
                found.append(f"{patient}: liver SUL {value:g} on {when}, {first:g} at baseline: scans do not compare")
    return found


def _check_baseline(check: TableCheck, patient: str, own: Sequence[_Row], criterion: str) -> None:
    start = min(r.when for r in own)
    targets = {r.lesion: r for r in own if r.when == start and r.is_target}
    if not targets:
        check.fault(own[0].index, "lesion", f"{patient} has no target lesion at baseline ({start})")
    most = MOST_TARGETS.get(criterion)
    if most is not None and len(targets) > most:
        check.fault(
            own[0].index, "lesion", f"{patient} has {len(targets)} target lesions; {criterion} takes {most} at most"
        )
    smallest = 0.0 if criterion == "choi" else rule(criterion).measurable
    for row in targets.values():
        mean, sd = row.liver
        uptake = 0.0 if math.isnan(mean + sd) else round(percist_least_sul(mean, sd), 9)
        least = 15.0 if row.is_node else max(smallest, uptake)
        if row.value < least or row.value == 0:
            text = f"{row.value:g} at baseline is not measurable by {criterion}"
            check.fault(row.index, COLUMNS[criterion], text + (f" (at least {least:g})" if least else ""))
    for when in sorted({r.when for r in own if r.when > start}):
        present = {r.lesion for r in own if r.when == when and r.is_target}
        at = next(r.index for r in own if r.when == when)
        for lesion in targets.keys() - present:
            check.fault(
                at, "lesion", f"{patient}: target lesion {lesion!r} is missing on {when} (write 0 if it is gone)"
            )
        for lesion in present - targets.keys():
            row = next(r for r in own if r.when == when and r.lesion == lesion)
            check.fault(row.index, "lesion", f"{lesion!r} has no baseline; mark it new=1 if it is new")


def _patient(patient: str, own: Sequence[_Row], criterion: str) -> tuple[list[LesionResponse], list[PatientVisit]]:
    start = min(r.when for r in own)
    base = {r.lesion: r for r in own if r.when == start and r.is_target}
    lesions: list[LesionResponse] = []
    visits: list[PatientVisit] = []
    nadir = math.fsum(r.value for r in base.values())
    low = {name: r.value for name, r in base.items()}
    for when in sorted({r.when for r in own if r.when > start}):
        here = {r.lesion: r for r in own if r.when == when and r.is_target}
        for name, row in base.items():
            response, change = _one(row, here[name], low[name], criterion)
            lesions.append(LesionResponse(patient, name, when, here[name].value, change, response))
            low[name] = min(low[name], here[name].value)
        total = math.fsum(r.value for r in here.values())
        target, change, rise = _together(base, here, nadir, criterion)
        others = next((r.non_target for r in own if r.when == when and r.non_target), "none")
        new = any(r.is_new for r in own if r.when == when)
        visits.append(PatientVisit(patient, when, total, change, rise, target, overall_response(target, others, new)))
        nadir = min(nadir, total)
    return lesions, visits


def _one(before: _Row, now: _Row, nadir: float, criterion: str) -> tuple[Response, float]:
    if criterion == "choi":
        return _choi([before], [now]), now.value / before.value - 1
    response, change, _ = change_response([before.value], nadir, [now.value], rule(criterion))
    return response, change


def _together(
    base: dict[str, _Row], here: dict[str, _Row], nadir: float, criterion: str
) -> tuple[Response, float, float]:
    before, now = [base[n] for n in base], [here[n] for n in base]
    if criterion == "choi":
        start, total = math.fsum(r.value for r in before), math.fsum(r.value for r in now)
        return _choi(before, now), total / start - 1, total / start - 1
    if criterion in ("percist", "eortc"):
        # The hottest lesion at each time counts, whichever it is (PERCIST 1.0).
        hot, left = max(r.value for r in before), max(r.value for r in now)
        return change_response([hot], hot, [left], rule(criterion))
    response, change, rise = change_response([r.value for r in before], nadir, [r.value for r in now], rule(criterion))
    # RECIST 1.1: nodes never shrink to nothing; below 10 mm in the short axis they are normal.
    if criterion == "recist" and all(
        n.value < 10 if b.is_node else n.value == 0 for b, n in zip(before, now, strict=True)
    ):
        response = Response.CR
    return response, change, rise


def _choi(before: Sequence[_Row], now: Sequence[_Row]) -> Response:
    weight = math.fsum(r.value for r in before)
    return choi_response(
        size_before_mm=weight,
        size_now_mm=math.fsum(r.value for r in now),
        density_before_hu=math.fsum(r.density for r in before) / len(before),
        density_now_hu=math.fsum(r.density for r in now) / len(now),
    )


SEGMENTED = ("recist", "mrecist", "easl", "volume")
"""Criteria that a segmentation answers: longest diameter (with and without the 5 mm rule), its product with the widest
across it, volume (the limits of qEASL). mRECIST, EASL and qEASL ask for the viable part to be segmented."""


@dataclass(frozen=True, slots=True)
class SegmentedLesion:
    """A lesion in two segmentations: sizes, change of volume, response by every criterion of `SEGMENTED`."""

    name: str
    before: LesionSize
    after: LesionSize | None
    relative_volume_change: float
    responses: Mapping[str, Response]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an absent lesion has the size 0."""
        return {
            "name": self.name,
            "volume_before_ml": self.before.volume_ml,
            "volume_after_ml": 0.0 if self.after is None else self.after.volume_ml,
            "longest_before_mm": self.before.longest_mm,
            "longest_after_mm": 0.0 if self.after is None else self.after.longest_mm,
            "relative_volume_change": self.relative_volume_change,
            **{criterion: found.value for criterion, found in self.responses.items()},
        }


def compare_segmentations(before: Sequence[Region], after: Sequence[Region]) -> tuple[SegmentedLesion, ...]:
    """Response of lesions segmented twice under the same names; one that is absent or empty afterwards is gone.

    Raises
    ------
    InputError
        If a name occurs twice, or afterwards there are lesions that were not there before.
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
        later = None if name not in new or new[name].is_empty else lesion_size(new[name])
        volume = 0.0 if later is None else later.volume_ml
        change = volume_change(size.volume_ml, volume).relative
        out.append(SegmentedLesion(name, size, later, change, _segmented_responses([(size, later)])))
    if not out:
        raise EvidenceError("there is no lesion to compare")
    return tuple(out)


def patient_responses(lesions: Sequence[SegmentedLesion]) -> dict[str, Response]:
    """Response of the sum over all measurable lesions, by every criterion; empty without lesions."""
    return _segmented_responses([(lesion.before, lesion.after) for lesion in lesions]) if lesions else {}


def _segmented_responses(sizes: Sequence[tuple[LesionSize, LesionSize | None]]) -> dict[str, Response]:
    out = {}
    for name in SEGMENTED:
        criterion = rule(name)
        pairs = [(_measured(name, b), 0.0 if a is None else _measured(name, a)) for b, a in sizes]
        pairs = [pair for pair in pairs if pair[0] >= criterion.measurable]
        start = [b for b, _ in pairs]
        out[name] = change_response(start, math.fsum(start), [a for _, a in pairs], criterion)[0]
    return out


def _measured(criterion: str, size: LesionSize) -> float:
    if criterion == "volume":
        return size.volume_ml
    return size.longest_mm * size.perpendicular_mm if criterion == "easl" else size.longest_mm
