"""From a table of volumes to the growth of the future liver remnant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.message import Message
from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.response.volumes import RemnantGrowth, remnants
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
    rows, alone = remnants(table)
    return RemnantResult(
        patients=rows,
        messages=tuple(Message("only-baseline", f"{patient}: only a baseline; no growth") for patient in alone),
        provenance=Provenance(inputs=table.inputs, conventions={"volumes": "liver less tumour at baseline"}),
    )
