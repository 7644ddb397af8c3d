"""From a table of laboratory values to ALBI, Child-Pugh, MELD, CTCAE grades and the REILD flag, row by row."""

from __future__ import annotations

from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.options import verb
from hepatica.core.tables.table import Table
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.liver_function import UPPER_LIMIT_BILIRUBIN_MG_DL, LiverRow, liver_rows
from hepatica.report.figures.outcome import save
from hepatica.report.figures.response import draw_liver_function
from hepatica.workflow.result import Result, result


@result
class LiverFunctionResult(Result):
    """Liver function of every row of a table."""

    verb = "liver_function"

    rows: tuple[LiverRow, ...]

    def title(self) -> str:
        """How much was looked at."""
        return f"{len(self.rows)} assessments of {len({row.patient for row in self.rows})} patients"

    def table(self) -> Table:
        """Scores of each patient at each date."""
        columns = (
            "patient", "date", "ALBI", "grade", "Child-Pugh", "class", "MELD", "BCLC", "CTCAE above 0", "REILD",
        )  # fmt: skip
        rows = [
            (
                r.patient, r.date.isoformat(), r.albi, r.albi_grade, r.child_pugh, r.child_pugh_class, r.meld, r.bclc,
                ", ".join(f"{name} {grade}" for name, grade in r.ctcae_grades.items() if grade) or "0",
                None if r.reild is None else r.reild.split(":")[0],
            )
            for r in self.rows
        ]  # fmt: skip
        return Table.of(columns, rows, "Liver function", "liver-function")

    def write(self, folder: Path) -> None:
        """Write ``liver-function.svg``."""
        points = [
            (r.patient, r.date, r.albi, r.bilirubin_mg_dl, (r.reild or "").startswith("suspected")) for r in self.rows
        ]
        save(draw_liver_function(points), folder / "liver-function.svg")


@verb
def liver_function(labs: TableSource, *, sheet: str | None = None) -> LiverFunctionResult:
    """ALBI, Child-Pugh, MELD, CTCAE grades and the REILD flag from laboratory values.

    Columns: patient, date, bilirubin_mg_dl or bilirubin_umol_l, albumin_g_dl or albumin_g_l. For Child-Pugh also inr,
    ascites (none, slight, moderate) and encephalopathy (none, grade 1-2, grade 3-4); for MELD inr and creatinine_mg_dl
    (and sodium_mmol_l); for BCLC what Child-Pugh needs and performance_status, lesions, largest_mm, vascular_invasion,
    extrahepatic_spread; for REILD treated (date), ascites, progression (1/0); for CTCAE grades alt_u_l and alt_uln_u_l
    (upper limit of normal), so too ast, alp, ggt, and inr. The first row of a patient is the CTCAE baseline.

    Parameters
    ----------
    labs : path, DataFrame or rows
        Table of laboratory values, one row per patient and date.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    LiverFunctionResult
        Scores of every row; ``save`` draws ALBI and bilirubin over time.

    Raises
    ------
    TableError
        Listing every fault with row and column; a value that only makes sense in another unit is one.

    Examples
    --------
    >>> row = {"patient": "A", "date": "2026-01-01", "bilirubin_umol_l": 17.1, "albumin_g_l": 40}
    >>> hepatica.liver_function([row]).rows[0].albi_grade
    2
    """
    table = as_table(labs, sheet=sheet)
    return LiverFunctionResult(
        rows=liver_rows(table),
        provenance=Provenance(
            inputs=table.inputs,
            parameters={"bilirubin_uln_mg_dl": UPPER_LIMIT_BILIRUBIN_MG_DL},
            conventions={
                "BCLC": "2022", "CTCAE": "5.0", "MELD": "OPTN 2016", "bilirubin": "1 mg/dL = 17.104 umol/L",
            },
        ),
    )  # fmt: skip
