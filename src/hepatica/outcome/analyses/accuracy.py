"""Accuracy of a yes/no test from a table, and what it says."""

from __future__ import annotations

from hepatica.core.message import Message
from hepatica.core.tables.input_table import InputTable
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.roc import Accuracy, Proportion, accuracy_of_rows

MIN_ROWS = 20
"""Rows of either truth below which the interval, not the share, is what the data say (our choice)."""


def accuracy_doubts(found: Accuracy, truth: str) -> list[Message]:
    """What the reader of the shares must know."""
    messages = []
    for word, what, share in (
        ("with", "sensitivity", found.sensitivity),
        ("without", "specificity", found.specificity),
    ):
        if share.n == 0:
            messages.append(Message("no-rows", f"no row {word} {truth}: {what} cannot be judged"))
        elif share.n < MIN_ROWS:
            text = f"{share.n} rows {word} {truth}: {what} is known only to the width of its interval"
            messages.append(Message("few-rows", text))
    return messages


def accuracy_words(found: Accuracy, test: str, truth: str) -> list[str]:
    """What sensitivity, specificity and predictive values say."""
    words = [
        f"{test} {does} {_share_words(share)} of those {word} {truth}."
        for does, word, share in (("finds", "with", found.sensitivity), ("clears", "without", found.specificity))
        if share.n
    ]
    if found.sensitivity.n and found.specificity.n:
        words.append(
            f"Predictive values hold where {truth} is as frequent as here, {found.sensitivity.n} of {found.accuracy.n}."
        )
    return words


def _share_words(p: Proportion) -> str:
    if p.value is None or p.low is None or p.high is None:
        return "none"
    return f"{100 * p.value:.0f} % ({p.k} of {p.n}; 95 % interval {100 * p.low:.0f} to {100 * p.high:.0f} %)"


def accuracy_of(table: InputTable, test: str, truth: str, patient_ids: str | None) -> Accuracy:
    """Accuracy of a column of tests against one of the truth, every cell checked.

    Raises
    ------
    TableError, EvidenceError
        If cells are wrong (each is listed; a patient may not occur twice), or a column is compared with itself.
    """
    if test == truth:
        raise EvidenceError(f"{table.name}: column {test!r} is compared with itself; name two columns")
    check = table.check()
    answers, true = check.yes_no(test), check.yes_no(truth)
    if patient_ids is not None:
        check.texts(patient_ids, unique=True)
    check.done()
    return accuracy_of_rows(answers, true)
