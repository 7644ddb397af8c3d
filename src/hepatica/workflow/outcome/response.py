"""From a table of lesion measurements to response per lesion and per patient."""

from __future__ import annotations

from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.options import NonNegative, verb
from hepatica.core.tables.table import Table
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.response.criteria import rule
from hepatica.outcome.response.measurements import (
    Criterion,
    LesionResponse,
    PatientBest,
    PatientVisit,
)
from hepatica.outcome.response.table import responses
from hepatica.report.figures.outcome import draw_waterfall, save
from hepatica.workflow.result import Result, result


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
    found = responses(table, criterion, confirm=not unconfirmed, confirmation_days=confirmation_days)
    return ResponseResult(
        criterion=criterion,
        unit="" if criterion == "choi" else rule(criterion).unit,
        lesions=found.lesions,
        visits=found.visits,
        best=found.best,
        messages=found.messages,
        provenance=Provenance(
            inputs=table.inputs,
            parameters={
                "criterion": criterion, "unconfirmed": unconfirmed, "confirmation_days": confirmation_days,
            },
            conventions={"criterion": "Choi 2007" if criterion == "choi" else rule(criterion).source},
        ),
    )  # fmt: skip
