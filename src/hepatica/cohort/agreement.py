"""From a table to the agreement of two measurements of the same thing: reads, checks, says what it means."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, reported
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Table
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.analyses.agreement import agreement_of
from hepatica.outcome.statistics.agreement import (
    BlandAltman,
    Concordance,
    PassingBablok,
    RepeatedBlandAltman,
)
from hepatica.report.figures.outcome import draw_agreement, save
from hepatica.workflow.result import Result, result


@result
class AgreementResult(Result):
    """Agreement of two columns: Bland-Altman; Lin and Passing-Bablok where the data carry them; what it says.

    Where a patient has several pairs `repeated` holds the limits with repeated measures.
    """

    verb = "measurement_agreement"

    first: str
    second: str
    bland_altman: BlandAltman
    repeated: RepeatedBlandAltman | None
    lin: Concordance | None
    passing_bablok: PassingBablok | None
    reading: tuple[str, ...]
    pairs: tuple[tuple[float, float], ...] = field(metadata=HIDDEN)

    @property
    @reported
    def difference_of(self) -> str:
        """What differences and limits are of, in the unit of the columns."""
        return f"{self.second} - {self.first}"

    def title(self) -> str:
        """Columns and pairs."""
        return f"{self.second} against {self.first}: {self.bland_altman.n} pairs, difference is {self.difference_of}"

    def table(self) -> Table:
        """Every quantity with its interval."""
        b, c, p = self.bland_altman, self.lin, self.passing_bablok
        rows: list[tuple[str, float, float | None, float | None]] = [
            ("bias", b.bias, b.bias_low, b.bias_high),
            ("lower limit of agreement", b.lower_limit, b.lower_limit - b.limit_error, b.lower_limit + b.limit_error),
            ("upper limit of agreement", b.upper_limit, b.upper_limit - b.limit_error, b.upper_limit + b.limit_error),
        ]
        if (r := self.repeated) is not None:
            rows.append((f"bias, {r.subjects} patients", r.bias, r.bias_low, r.bias_high))
            for name, limit in (("lower", r.lower_limit), ("upper", r.upper_limit)):
                rows.append((f"{name} limit, repeated measures", limit, limit - r.limit_error, limit + r.limit_error))
        if c is not None:
            rows += [("Lin's concordance", c.coefficient, c.low, c.high), ("Pearson's r", c.pearson, None, None)]
        if p is not None:
            rows.append(("Passing-Bablok slope", p.slope, p.slope_low, p.slope_high))
            rows.append(("Passing-Bablok intercept", p.intercept, p.intercept_low, p.intercept_high))
        return Table.of(("quantity", "value", "from", "to"), rows, "Agreement", "agreement")

    def sentences(self) -> tuple[str, ...]:
        """What they say."""
        return self.reading

    def write(self, folder: Path) -> None:
        """Write ``bland-altman.svg``."""
        first, second = zip(*self.pairs, strict=True)
        figure = draw_agreement(first, second, self.bland_altman, labels=(self.first, self.second))
        save(figure, folder / "bland-altman.svg")


@verb
def measurement_agreement(
    pairs: TableSource, *, first: str, second: str, patient_ids: str | None = None, sheet: str | None = None
) -> AgreementResult:
    """Whether two ways of measuring agree: Bland-Altman, Lin, Passing-Bablok.

    Parameters
    ----------
    pairs : path, DataFrame or rows
        Table with one row per pair.
    first : str
        Column of the first measurement, such as scout_gy.
    second : str
        Column of the second, such as therapy_gy, in the same unit.
    patient_ids : str or None
        Column of patient ids.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    AgreementResult
        Bias, limits, concordance and regression; ``save`` draws the differences.

    Raises
    ------
    TableError
        Listing every wrong cell.
    EvidenceError
        If there are fewer than 5 pairs, or one column is compared with itself.

    Examples
    --------
    >>> pairs = [{"scout": 100 + 20 * n, "therapy": 108 + 21 * n + n % 3} for n in range(8)]
    >>> round(hepatica.measurement_agreement(pairs, first="scout", second="therapy").bland_altman.bias, 3)
    12.375
    """
    table = as_table(pairs, sheet=sheet)
    found = agreement_of(table, first, second, patient_ids)
    return AgreementResult(
        first=first,
        second=second,
        bland_altman=found.bland_altman,
        repeated=found.repeated,
        lin=found.lin,
        passing_bablok=found.passing_bablok,
        reading=found.reading,
        pairs=found.pairs,
        messages=found.messages,
        provenance=Provenance(
            inputs=table.inputs,
            parameters=parameters(first=first, second=second, patient_ids=patient_ids),
            conventions={"difference": "second minus first", "limits": "bias -+ 1.96 sd", "interval": "95 %"},
        ),
    )
