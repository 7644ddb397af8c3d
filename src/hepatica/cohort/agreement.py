"""From a table to agreement of two measurements, or accuracy of a yes/no test: reads, checks, says what it means."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hepatica.cohort.dose_response import accuracy_dict
from hepatica.cohort.evidence import refusals_of, unless_refused
from hepatica.core import InputFile, Provenance
from hepatica.errors import EvidenceError
from hepatica.io.tables import read_table
from hepatica.outcome.agreement import (
    BlandAltman,
    Concordance,
    PassingBablok,
    bland_altman,
    lin_concordance,
    passing_bablok,
)
from hepatica.outcome.evidence import p_text
from hepatica.outcome.roc import Accuracy, Proportion, diagnostic_accuracy

FEW = 20
"""Rows of either truth below which the interval, not the share, is what the data say (our choice)."""


@dataclass(frozen=True, slots=True)
class AgreementAnalysis:
    """Agreement of two columns: Bland-Altman; Lin and Passing-Bablok where the data carry them; words, warnings."""

    names: tuple[str, str]
    first: tuple[float, ...]
    second: tuple[float, ...]
    bland_altman: BlandAltman
    lin: Concordance | None
    passing_bablok: PassingBablok | None
    reading: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; differences and limits in the unit of the columns."""
        return {
            "first": self.names[0],
            "second": self.names[1],
            "difference": f"{self.names[1]} - {self.names[0]}",
            "bland_altman": asdict(self.bland_altman),
            "lin": None if self.lin is None else asdict(self.lin),
            "passing_bablok": None if self.passing_bablok is None else asdict(self.passing_bablok),
            "reading": list(self.reading),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def analyse_agreement(
    path: Path, *, first: str, second: str, patient: str | None = None, sheet: str | None = None
) -> AgreementAnalysis:
    """Agreement of two measurements of the same thing, one row per pair.

    Raises
    ------
    TableError
        Listing every wrong cell.
    EvidenceError
        If there are fewer than 5 pairs, or one column is compared with itself.
    """
    if first == second:
        raise EvidenceError(f"{path}: column {first!r} agrees with itself; name two columns")
    check = read_table(path, sheet=sheet).check()
    a, b = check.varying(first), check.varying(second)
    patients = [] if patient is None else check.texts(patient)
    check.done()
    warnings: list[str] = []
    if len(set(patients)) < len(patients):
        warnings.append(
            f"{len(patients)} pairs of {len(set(patients))} patients: intervals take every pair as independent and are "
            "too narrow"
        )
    with refusals_of(path, first, second):
        ba = bland_altman(a, b)
    lin: Concordance | None = unless_refused(lambda: lin_concordance(a, b), warnings)
    line: PassingBablok | None = unless_refused(lambda: passing_bablok(a, b), warnings)
    if a == b:
        warnings.append(f"{first} and {second} are the same in every row: the same measurement twice?")
    elif ba.trend_p < 0.05:
        warnings.append(
            f"the difference changes with size (slope {ba.trend:.3g}, {p_text(ba.trend_p)}): one pair of limits does "
            "not hold over the whole range"
        )
    return AgreementAnalysis(
        (first, second),
        tuple(a),
        tuple(b),
        ba,
        lin,
        line,
        tuple(_agreement_words(first, second, ba, lin, line)),
        tuple(warnings),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={"first": first, "second": second},
            conventions={"difference": "second minus first", "limits": "bias -+ 1.96 sd", "interval": "95 %"},
        ),
    )


def _agreement_words(
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


@dataclass(frozen=True, slots=True)
class AccuracyAnalysis:
    """Accuracy of a yes/no test against the truth, words, warnings."""

    names: tuple[str, str]
    accuracy: Accuracy
    reading: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "test": self.names[0],
            "truth": self.names[1],
            **accuracy_dict(self.accuracy),
            "reading": list(self.reading),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def analyse_accuracy(
    path: Path, *, test: str, truth: str, patient: str | None = None, sheet: str | None = None
) -> AccuracyAnalysis:
    """Accuracy of a yes/no column against another, with exact (Clopper-Pearson) intervals.

    Raises
    ------
    TableError
        Listing every wrong cell; a patient that occurs twice is one.
    EvidenceError
        If a column is compared with itself.
    """
    if test == truth:
        raise EvidenceError(f"{path}: column {test!r} is compared with itself; name two columns")
    check = read_table(path, sheet=sheet).check()
    said, true = check.yes_no(test), check.yes_no(truth)
    if patient is not None:
        check.texts(patient, unique=True)
    check.done()
    found = diagnostic_accuracy(said, true)
    warnings = [
        f"no row {word} {truth}: {what} cannot be judged"
        if share.n == 0
        else f"{share.n} rows {word} {truth}: {what} is known only to the width of its interval"
        for word, what, share in (
            ("with", "sensitivity", found.sensitivity),
            ("without", "specificity", found.specificity),
        )
        if share.n < FEW
    ]
    total = found.accuracy.n
    reading = [
        f"{test} {verb} {_share_words(share)} of those {word} {truth}."
        for verb, word, share in (("finds", "with", found.sensitivity), ("clears", "without", found.specificity))
        if share.n
    ]
    if found.sensitivity.n and found.specificity.n:
        reading.append(
            f"Predictive values hold where {truth} is as frequent as here, {found.sensitivity.n} of {total}."
        )
    return AccuracyAnalysis(
        (test, truth),
        found,
        tuple(reading),
        tuple(warnings),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={"test": test, "truth": truth},
            conventions={"interval": "Clopper-Pearson, 95 %"},
        ),
    )


def _share_words(p: Proportion) -> str:
    if p.value is None or p.low is None or p.high is None:
        return "none"
    return f"{100 * p.value:.0f} % ({p.k} of {p.n}; 95 % interval {100 * p.low:.0f} to {100 * p.high:.0f} %)"
