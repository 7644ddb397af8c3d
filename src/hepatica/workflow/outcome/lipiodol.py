"""From a table of volumes to the lipiodol that each lesion retains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.response.volumes import Retention, retentions
from hepatica.report.figures.outcome import save
from hepatica.report.figures.response import draw_retention
from hepatica.workflow.result import Result, result


@result
class RetentionResult(Result):
    """Lipiodol in each lesion at each date."""

    verb = "lipiodol_retention"

    lesions: tuple[Retention, ...]

    def title(self) -> str:
        """How many lesions."""
        return f"Lipiodol in {len({(row.patient, row.lesion) for row in self.lesions})} lesions"

    def table(self) -> Table:
        """Volumes, share and grade of each lesion."""
        return retention_table(self.lesions)

    def write(self, folder: Path) -> None:
        """Write ``lipiodol.svg``."""
        rows = [(f"{r.patient}, {r.lesion}, {r.date}", r.retained_share) for r in self.lesions]
        save(draw_retention(rows), folder / "lipiodol.svg")


def retention_table(rows: Sequence[Retention]) -> Table:
    """Volumes, share and grade of each lesion."""
    columns = ("patient", "lesion", "date", "retained, mL", "tumour, mL", "share, %", "retention")
    cells = [
        (r.patient, r.lesion, None if r.date is None else r.date.isoformat(), r.retained_ml, r.tumour_ml,
         100 * r.retained_share, r.retention)
        for r in rows
    ]  # fmt: skip
    return Table.of(columns, cells, "Lipiodol retention", "lipiodol")


@verb
def lipiodol_retention(volumes: TableSource, *, sheet: str | None = None) -> RetentionResult:
    """Lipiodol retained by each lesion, and the response that it means.

    Parameters
    ----------
    volumes : path, DataFrame or rows
        Table with columns patient, lesion, date, retained_ml, tumour_ml.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    RetentionResult
        Share and grade of every row; ``save`` draws them.

    Raises
    ------
    TableError
        Listing every wrong cell; more lipiodol than tumour is one.

    Examples
    --------
    >>> row = {"patient": "A", "lesion": "1", "date": "2026-01-01", "retained_ml": 12, "tumour_ml": 20}
    >>> hepatica.lipiodol_retention([row]).lesions[0].retention
    'high'
    """
    table = as_table(volumes, sheet=sheet)
    return RetentionResult(
        lesions=retentions(table),
        provenance=Provenance(inputs=table.inputs, conventions={"volumes": "Vogl 2000: 10, 25, 50 % (low confidence)"}),
    )
