"""From a table of lesion measurements to the response of every patient by one criterion."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.message import Message
from hepatica.core.tables.input_table import InputTable, TableCheck
from hepatica.outcome.response.criteria import Visit, best_response
from hepatica.outcome.response.measurements import (
    Criterion,
    LesionResponse,
    Measurement,
    PatientBest,
    PatientVisit,
    baseline_faults,
    baseline_of,
    course,
    percist_messages,
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

NON_TARGET = ("none", "CR", "non-CR/non-PD", "PD", "NE")


def _measurements(check: TableCheck, criterion: Criterion) -> list[Measurement]:
    patients, lesions, dates = check.texts("patient"), check.texts("lesion"), check.dates("date")
    count = len(check.table)
    new = check.yes_no("new", optional=True) if check.has("new") else [0.0] * count
    target = check.yes_no("target", optional=True) if check.has("target") else [1.0] * count
    values = check.numbers(COLUMNS[criterion], at_least=0, optional=True)
    if criterion == "easl":
        across = check.numbers("viable_perpendicular_mm", at_least=0, optional=True)
        values = [a * b for a, b in zip(values, across, strict=True)]
    densities = check.numbers("density_hu", optional=True) if criterion == "choi" else [math.nan] * count
    others = check.words("non_target", NON_TARGET)
    nodes = check.yes_no("node", optional=True) if check.has("node") and criterion == "recist" else [0.0] * count
    liver = list(zip(*(_liver_uptake(check, name, criterion) for name in PERCIST_LIVER), strict=True))
    rows = []
    for n, when in enumerate(dates):
        if when is None:
            continue
        is_target = target[n] != 0 and new[n] != 1
        if is_target and math.isnan(values[n]):
            check.fault(n, COLUMNS[criterion], "is empty; a target lesion needs a value at every visit (0: gone)")
        if is_target and criterion == "choi" and math.isnan(densities[n]):
            check.fault(n, "density_hu", "is empty; Choi criteria need the density")
        key = (patients[n], lesions[n], when)
        rows.append(
            Measurement(n, *key, values[n], densities[n], is_target, new[n] == 1, others[n], nodes[n] == 1, liver[n])
        )
    _refuse_repeated(check, rows)
    return rows


def _refuse_repeated(check: TableCheck, rows: Sequence[Measurement]) -> None:
    seen: dict[tuple[str, str, datetime.date], int] = {}
    for m in rows:
        key = (m.patient, m.lesion, m.date)
        if key in seen:
            check.fault(m.row, "lesion", f"{m.lesion!r} on {m.date} is already in row {check.table.rows[seen[key]]}")
        seen.setdefault(key, m.row)


def _liver_uptake(check: TableCheck, name: str, criterion: Criterion) -> list[float]:
    """A column of the liver's uptake for PERCIST; nan where it is not there."""
    if criterion != "percist" or not check.has(name):
        return [math.nan] * len(check.table)
    return check.numbers(name, at_least=0, optional=True)


@dataclass(frozen=True, slots=True)
class TableResponse:
    """Response of each lesion and visit, and the best of each patient."""

    lesions: tuple[LesionResponse, ...]
    visits: tuple[PatientVisit, ...]
    best: tuple[PatientBest, ...]
    messages: tuple[Message, ...]


def responses(table: InputTable, criterion: Criterion, *, confirm: bool, confirmation_days: float) -> TableResponse:
    """Response of every lesion and patient of a table.

    Raises
    ------
    TableError
        Listing every fault: missing values, two rows for a lesion and date, a target lesion too small at baseline or
        missing at baseline.
    """
    check = table.check()
    rows = _measurements(check, criterion)
    by_patient: dict[str, list[Measurement]] = {}
    for row in rows:
        by_patient.setdefault(row.patient, []).append(row)
    for own in by_patient.values():
        for fault in baseline_faults(own, criterion):
            check.fault(fault.row, COLUMNS[criterion] if fault.what == "value" else "lesion", fault.text)
    check.done()
    messages = percist_messages(rows, PERCIST_LIVER) if criterion == "percist" else []
    lesions: list[LesionResponse] = []
    visits: list[PatientVisit] = []
    best = []
    for patient, own in by_patient.items():
        found, walked = course(own, criterion)
        lesions += found
        visits += walked
        if not walked:
            messages.append(Message("only-baseline", f"{patient}: only a baseline; no response"))
            continue
        overall = [Visit(v.date, v.overall_response) for v in walked]
        answer = best_response(baseline_of(own), overall, confirm=confirm, confirmation_days=confirmation_days)
        best.append(PatientBest(patient, answer))
    return TableResponse(tuple(lesions), tuple(visits), tuple(best), tuple(messages))
