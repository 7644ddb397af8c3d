"""From a table to the accuracy of a yes/no test: reads, checks, says what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.document import INLINE
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Table
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.analyses.accuracy import accuracy_doubts, accuracy_of, accuracy_words
from hepatica.outcome.statistics.roc import Accuracy, Proportion
from hepatica.report.figures.outcome import draw_accuracy, save
from hepatica.workflow.result import Result, result


@result
class AccuracyResult(Result):
    """Accuracy of a yes/no test against the truth, and what it says."""

    verb = "diagnostic_accuracy"

    test: str
    truth: str
    found: Accuracy = field(metadata=INLINE)
    reading: tuple[str, ...]

    def title(self) -> str:
        """Test, truth and counts."""
        a = self.found
        return (
            f"{self.test} against {self.truth}: {a.true_positive} true and {a.false_positive} false positive, "
            f"{a.true_negative} true and {a.false_negative} false negative"
        )

    def table(self) -> Table:
        """Every share with its exact interval."""
        rows = [(name, p.k, p.n, p.value, p.low, p.high) for name, p in self._shares()]
        return Table.of(("quantity", "count", "of", "share", "from", "to"), rows, "Accuracy", "accuracy")

    def sentences(self) -> tuple[str, ...]:
        """What they say."""
        return self.reading

    def write(self, folder: Path) -> None:
        """Write ``accuracy.svg``."""
        a = self.found
        counts = ((a.true_positive, a.false_negative), (a.false_positive, a.true_negative))
        save(draw_accuracy(counts, self._shares(), labels=(self.test, self.truth)), folder / "accuracy.svg")

    def _shares(self) -> Sequence[tuple[str, Proportion]]:
        a = self.found
        return (
            ("sensitivity", a.sensitivity),
            ("specificity", a.specificity),
            ("positive predictive value", a.positive_predictive_value),
            ("negative predictive value", a.negative_predictive_value),
            ("accuracy", a.accuracy),
        )


@verb
def diagnostic_accuracy(
    patients: TableSource, *, test: str, truth: str, patient_ids: str | None = None, sheet: str | None = None
) -> AccuracyResult:
    """Sensitivity, specificity and predictive values of a yes/no test.

    Parameters
    ----------
    patients : path, DataFrame or rows
        Table with one row per patient.
    test : str
        Column of what the test said, 1 or 0.
    truth : str
        Column of the truth, 1 or 0.
    patient_ids : str or None
        Column of patient ids; each may occur once.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    AccuracyResult
        Counts and shares with exact (Clopper-Pearson) intervals; ``save`` draws them.

    Raises
    ------
    TableError
        Listing every wrong cell; a patient that occurs twice is one.
    EvidenceError
        If a column is compared with itself.

    Examples
    --------
    >>> rows = [{"spect": n < 13, "deposition": n < 15} for n in range(188)]
    >>> found = hepatica.diagnostic_accuracy(rows, test="spect", truth="deposition").found
    >>> round(found.sensitivity.low, 3), round(found.sensitivity.high, 3)
    (0.595, 0.983)
    """
    table = as_table(patients, sheet=sheet)
    found = accuracy_of(table, test, truth, patient_ids)
    return AccuracyResult(
        test=test,
        truth=truth,
        found=found,
        reading=tuple(accuracy_words(found, test, truth)),
        messages=tuple(accuracy_doubts(found, truth)),
        provenance=Provenance(
            inputs=table.inputs,
            parameters=parameters(test=test, truth=truth, patient_ids=patient_ids),
            conventions={"interval": "Clopper-Pearson, 95 %"},
        ),
    )
