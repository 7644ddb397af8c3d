"""From a table to the agreement of two measurements of the same thing: reads, checks, says what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.core.options import parameters, verb
from hepatica.core.table import Table
from hepatica.errors import EvidenceError
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.statistics.agreement import (
    BlandAltman,
    Concordance,
    PassingBablok,
    bland_altman,
    lin_concordance,
    passing_bablok,
)
from hepatica.outcome.statistics.evidence import located, p_text, unless_refused
from hepatica.report.figures.outcome import draw_agreement, save
from hepatica.workflow.result import Result, result


@result
class AgreementResult(Result):
    """Agreement of two columns: Bland-Altman; Lin and Passing-Bablok where the data carry them; what it says."""

    verb = "measurement_agreement"

    first: str
    second: str
    bland_altman: BlandAltman
    lin: Concordance | None
    passing_bablok: PassingBablok | None
    reading: tuple[str, ...]
    pairs: tuple[tuple[float, float], ...] = field(metadata=HIDDEN)

    @property
    @reported
    def difference(self) -> str:
        """What differences and limits are of, in the unit of the columns."""
        return f"{self.second} - {self.first}"

    def title(self) -> str:
        """Columns and pairs."""
        return f"{self.second} against {self.first}: {self.bland_altman.n} pairs, difference is {self.difference}"

    def table(self) -> Table:
        """Every quantity with its interval."""
        b, c, p = self.bland_altman, self.lin, self.passing_bablok
        rows: list[tuple[str, float, float | None, float | None]] = [
            ("bias", b.bias, b.bias_low, b.bias_high),
            ("lower limit of agreement", b.lower_limit, b.lower_limit - b.limit_error, b.lower_limit + b.limit_error),
            ("upper limit of agreement", b.upper_limit, b.upper_limit - b.limit_error, b.upper_limit + b.limit_error),
        ]
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
    if first == second:
        raise EvidenceError(f"{table.name}: column {first!r} agrees with itself; name two columns")
    check = table.check()
    a, b = check.varying(first), check.varying(second)
    patients = [] if patient_ids is None else check.texts(patient_ids)
    check.done()
    messages: list[Message] = []
    if len(set(patients)) < len(patients):
        text = (
            f"{len(patients)} pairs of {len(set(patients))} patients: intervals take every pair as independent and are "
            "too narrow"
        )
        messages.append(Message("pairs-not-independent", text))
    with located(f"{table.name}, columns {first}, {second}"):
        ba = bland_altman(a, b)
    lin = unless_refused("lin", lambda: lin_concordance(a, b), messages)
    line = unless_refused("passing-bablok", lambda: passing_bablok(a, b), messages)
    messages += _doubts(ba, first, second, same=a == b)
    return AgreementResult(
        first=first,
        second=second,
        bland_altman=ba,
        lin=lin,
        passing_bablok=line,
        reading=tuple(_reading(first, second, ba, lin, line)),
        pairs=tuple(zip(a, b, strict=True)),
        messages=tuple(messages),
        provenance=Provenance(
            inputs=table.inputs,
            parameters=parameters(first=first, second=second, patient_ids=patient_ids),
            conventions={"difference": "second minus first", "limits": "bias -+ 1.96 sd", "interval": "95 %"},
        ),
    )


def _doubts(ba: BlandAltman, first: str, second: str, *, same: bool) -> Sequence[Message]:
    if same:
        return [Message("same-columns", f"{first} and {second} are the same in every row: the same measurement twice?")]
    if ba.trend_p >= 0.05:
        return []
    text = (
        f"the difference changes with size (slope {ba.trend:.3g}, {p_text(ba.trend_p)}): one pair of limits does not "
        "hold over the whole range"
    )
    return [Message("difference-changes-with-size", text)]


def _reading(
    first: str, second: str, ba: BlandAltman, lin: Concordance | None, line: PassingBablok | None
) -> list[str]:
    words = [
        (
            f"{second} is on average {_apart(ba.bias)} {first} (95 % interval of the difference {ba.bias_low:.3g} to "
            f"{ba.bias_high:.3g}; {ba.n} pairs)."
        ),
        (
            f"For 95 of 100 new pairs the difference is expected between {ba.lower_limit:.3g} and {ba.upper_limit:.3g} "
            f"(each limit known to -+ {ba.limit_error:.2g}). Whether that is close enough is a clinical question."
        ),
    ]
    if lin is not None:
        words.append(f"Lin's concordance {lin.coefficient:.3f} (95 % interval {lin.low:.3f} to {lin.high:.3f}).")
    if line is not None:
        steady = line.intercept_low <= 0 <= line.intercept_high
        proportional = line.slope_low <= 1 <= line.slope_high
        words.append(
            f"Passing-Bablok: {second} = {line.intercept:.3g} + {line.slope:.3g} x {first}; a constant difference is "
            f"{'not ' if steady else ''}shown, a proportional one is {'not ' if proportional else ''}shown."
        )
    return words


def _apart(bias: float) -> str:
    return "equal to" if bias == 0 else f"{abs(bias):.3g} {'above' if bias > 0 else 'below'}"
