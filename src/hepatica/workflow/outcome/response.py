"""From a table of lesion measurements to response per lesion and per patient."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.message import Message
from hepatica.core.options import NonNegative, verb
from hepatica.core.table import Table
from hepatica.io.tables import TableCheck, TableSource, as_table
from hepatica.outcome.response.criteria import Visit, best_response, rule
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
from hepatica.report.figures.outcome import draw_waterfall, save
from hepatica.workflow.result import Result, result

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


@result
class ResponseResult(Result):
    """Response of a table by one criterion."""

    verb = "tumour_response"

    criterion: Criterion
    unit: str
    lesions: tuple[LesionResponse, ...]
    visits: tuple[PatientVisit, ...]
    best: tuple[PatientBest, ...]

    def title(self) -> str:
        """Criterion and patients."""
        return f"Response by {self.criterion}: {len(self.best)} patients with a visit after the baseline"

    def table(self) -> Table:
        """Sum over target lesions, change and response at every visit."""
        rows = [
            (
                v.patient, v.date.isoformat(), v.sum, 100 * v.relative_change, 100 * v.relative_change_from_reference,
                v.target_response.value, v.overall_response.value,
            )
            for v in self.visits
        ]  # fmt: skip
        columns = ("patient", "date", "sum", "change, %", "from nadir, %", "target", "overall")
        title = f"{self.criterion}: sum over target lesions" + (f", {self.unit}" if self.unit else "")
        return Table.of(columns, rows, title, "visits")

    def tables(self) -> tuple[Table, ...]:
        """Visits, and the best response of each patient."""
        rows = [
            (p.patient, b.response.value, None if b.date is None else b.date.isoformat(), b.confirmed, b.reason)
            for p in self.best
            for b in (p.best,)
        ]
        columns = ("patient", "best", "first on", "confirmed", "why")
        return (self.table(), Table.of(columns, rows, "Best response", "best"))

    def write(self, folder: Path) -> None:
        """Write ``waterfall.svg``."""
        changes: dict[str, float] = {}
        for v in self.visits:
            changes[v.patient] = min(changes.get(v.patient, v.relative_change), v.relative_change)
        best = {p.patient: p.best.response.value for p in self.best}
        save(draw_waterfall(changes, best, f"best change, {self.criterion}"), folder / "waterfall.svg")


@verb
def tumour_response(
    measurements: TableSource,
    *,
    criterion: Criterion = "mrecist",
    unconfirmed: bool = False,
    confirmation_days: NonNegative = 28.0,
    sheet: str | None = None,
) -> ResponseResult:
    """Response of each lesion and patient by the published criteria, with confirmation.

    One row per lesion and date; the first date of a patient is the baseline. Beside patient, lesion, date and the
    column of the criterion there may be target (1/0, default 1), new (1/0: a new lesion), non_target ("none", "CR",
    "non-CR/non-PD", "PD", "NE") and, for recist, node (1/0: diameter_mm holds its short axis).

    Parameters
    ----------
    measurements : path, DataFrame or rows
        Table with columns patient, lesion, date and that of the criterion.
    criterion : str
        Published criterion.
    unconfirmed : bool
        Take CR and PR without a second assessment.
    confirmation_days : float
        Least time until the second assessment.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    ResponseResult
        Lesions, visits and best response; ``save`` draws the waterfall.

    Raises
    ------
    TableError
        Listing every fault: missing values, two rows for a lesion and date, a target lesion too small at baseline or
        missing at baseline.

    Examples
    --------
    >>> sizes = {"2026-01-01": 50, "2026-03-01": 30, "2026-05-01": 30}
    >>> rows = [{"patient": "A", "lesion": "1", "date": day, "diameter_mm": mm} for day, mm in sizes.items()]
    >>> hepatica.tumour_response(rows, criterion="recist").best[0].best.response.value
    'PR'
    """
    table = as_table(measurements, sheet=sheet)
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
        answer = best_response(baseline_of(own), overall, confirm=not unconfirmed, confirmation_days=confirmation_days)
        best.append(PatientBest(patient, answer))
    return ResponseResult(
        criterion=criterion,
        unit="" if criterion == "choi" else rule(criterion).unit,
        lesions=tuple(lesions),
        visits=tuple(visits),
        best=tuple(best),
        messages=tuple(messages),
        provenance=Provenance(
            inputs=table.inputs,
            parameters={
                "criterion": criterion, "unconfirmed": unconfirmed, "confirmation_days": confirmation_days,
            },
            conventions={"criterion": "Choi 2007" if criterion == "choi" else rule(criterion).source},
        ),
    )  # fmt: skip


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
