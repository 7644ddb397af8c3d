"""From a table of volumes to the growth of the future liver remnant."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.message import Message
from hepatica.core.options import verb
from hepatica.core.table import Table
from hepatica.io.tables import TableCheck, TableSource, as_table
from hepatica.outcome.response.volumes import RemnantGrowth, future_remnant
from hepatica.report.figures.outcome import save
from hepatica.report.figures.response import draw_remnant
from hepatica.workflow.result import Result, result


@result
class RemnantResult(Result):
    """Growth of the remnant of each patient at each date after the first."""

    verb = "remnant_growth"

    patients: tuple[RemnantGrowth, ...]

    def title(self) -> str:
        """How many patients."""
        return f"Growth in {len({row.patient for row in self.patients})} patients"

    def table(self) -> Table:
        """Volumes, growth and share of the liver."""
        return remnant_table(self.patients)

    def write(self, folder: Path) -> None:
        """Write ``remnant.svg`` where there is growth to draw."""
        if self.patients:
            rows = [(r.patient, r.days or 0.0, r.found.share_before, r.found.share_after) for r in self.patients]
            save(draw_remnant(rows), folder / "remnant.svg")


def remnant_table(rows: Sequence[RemnantGrowth]) -> Table:
    """Volumes, growth and share of the liver."""
    columns = (
        "patient", "date", "before, mL", "after, mL", "growth, %", "% a week", "share before, %", "share after, %",
        "degree of hypertrophy, %",
    )  # fmt: skip
    cells = []
    for r in rows:
        f, g = r.found, r.found.growth
        per_week = None if g.relative_per_week is None else 100 * g.relative_per_week
        shares = (100 * f.share_before, 100 * f.share_after, 100 * f.degree_of_hypertrophy)
        date = None if r.date is None else r.date.isoformat()
        cells.append((r.patient, date, g.before_ml, g.after_ml, 100 * g.relative, per_week, *shares))
    return Table.of(columns, cells, "Future liver remnant", "remnant")


@verb
def remnant_growth(volumes: TableSource, *, sheet: str | None = None) -> RemnantResult:
    """Growth of the future liver remnant.

    Parameters
    ----------
    volumes : path, DataFrame or rows
        Table with columns patient, date, remnant_ml, and at the first date of a patient liver_ml and tumour_ml.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    RemnantResult
        Growth of every row after the first of its patient; ``save`` draws it.

    Raises
    ------
    TableError
        Listing every wrong cell: no liver volume at baseline, a remnant larger than liver less tumour.

    Examples
    --------
    >>> first = {"patient": "A", "date": "2026-01-01", "remnant_ml": 400, "liver_ml": 1800, "tumour_ml": 200}
    >>> later = {"patient": "A", "date": "2026-02-26", "remnant_ml": 520}
    >>> hepatica.remnant_growth([first, later]).patients[0].found.share_after
    0.325
    """
    table = as_table(volumes, sheet=sheet)
    check = table.check()
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
    alone = [patient for patient in first if patient not in {r.patient for r in rows}]
    return RemnantResult(
        patients=tuple(rows),
        messages=tuple(Message("only-baseline", f"{patient}: only a baseline; no growth") for patient in alone),
        provenance=Provenance(inputs=table.inputs, conventions={"volumes": "liver less tumour at baseline"}),
    )


def _baselines(
    check: TableCheck,
    patients: Sequence[str],
    dates: Sequence[datetime.date | None],
    volumes: tuple[Sequence[float], Sequence[float], Sequence[float]],
) -> Mapping[str, int]:
    """Row of every patient's first date; faults where it lacks what the others are measured against."""
    remnant, liver, tumour = volumes
    first: dict[str, int] = {}
    seen: dict[tuple[str, datetime.date], int] = {}
    for n, (patient, when) in enumerate(zip(patients, dates, strict=True)):
        if when is None:
            continue
        if (patient, when) in seen:
            check.fault(n, "date", f"{patient} on {when} is already in row {check.table.rows[seen[patient, when]]}")
        seen.setdefault((patient, when), n)
        before = first.get(patient)
        if before is None or when < (dates[before] or datetime.date.max):
            first[patient] = n
    for patient, n in first.items():
        for name, values in (("liver_ml", liver), ("tumour_ml", tumour)):
            if math.isnan(values[n]):
                check.fault(n, name, f"is empty; {patient}'s first date needs it")
        if remnant[n] > liver[n] - tumour[n]:
            check.fault(n, "remnant_ml", f"{remnant[n]:g} mL is more than liver less tumour, {liver[n] - tumour[n]:g}")
    return first
