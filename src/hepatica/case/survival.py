"""From a table of patients to survival: reads, checks, analyses, says what it means."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.core import InputFile, Provenance
from hepatica.errors import EvidenceError, InputError
from hepatica.io.tables import Table, TableCheck, read_table
from hepatica.outcome.competing import GrayTest, gray_test
from hepatica.outcome.cox import CoxModel, cox
from hepatica.outcome.evidence import p_text, p_words
from hepatica.outcome.propensity import Propensity, propensity
from hepatica.outcome.survival import (
    Incidence,
    LogRank,
    SurvivalCurve,
    cumulative_incidence,
    kaplan_meier,
    landmark,
    log_rank,
)

_SPLIT = re.compile(r"^\s*(.+?)\s*(>=|>|<=|<)\s*([-+]?\d+(?:\.\d+)?)\s*$")
_NAMED_SPLIT = re.compile(r"^(.+?)_(ge|gt|le|lt)_?(\d+(?:\.\d+)?)$")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
MOST_GROUPS = 8
_WORDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True, slots=True)
class SurvivalQuestion:
    """What is asked of a table.

    Attributes
    ----------
    time, event : str
        Columns: time observed; event (1/0). For competing risks `event` is the event of interest and `competing` the
        other one.
    by : str or None
        Column of groups, or a cut such as "dose_gy>=205" (also written "dose_gy_ge_205").
    covariates : tuple of str
        Numeric columns for the Cox model, beside the groups if there are two.
    patient : str or None
        Column of patient ids (must be unique unless `lesions`).
    competing : str or None
        Column of the competing event (1/0).
    landmark : float or None
        Time at which groups are formed.
    start_date, end_date : str or None
        Date columns instead of `time`.
    balance : tuple of str
        Columns for propensity weights between two groups.
    sheet : str or None
        Excel sheet.
    """

    time: str | None
    event: str
    by: str | None = None
    covariates: tuple[str, ...] = ()
    patient: str | None = None
    competing: str | None = None
    landmark: float | None = None
    start_date: str | None = None
    end_date: str | None = None
    balance: tuple[str, ...] = ()
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class SurvivalAnalysis:
    """Survival of a table: curves, tests, models (None where not asked or not carried by the data), words, warnings."""

    question: SurvivalQuestion
    unit: str
    curves: tuple[SurvivalCurve, ...]
    log_rank: LogRank | None
    cox: CoxModel | None
    weighted_cox: CoxModel | None
    propensity: Propensity | None
    incidences: tuple[tuple[str, Incidence], ...]
    gray: GrayTest | None
    reading: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; times in the unit named by `time_unit`."""
        return {
            "time_unit": self.unit,
            "groups": [_curve_dict(c) for c in self.curves],
            "log_rank": None
            if self.log_rank is None
            else {
                "chi2": self.log_rank.chi2,
                "degrees_of_freedom": self.log_rank.degrees,
                "p": self.log_rank.p,
                "observed": dict(zip(self.log_rank.groups, self.log_rank.observed, strict=True)),
                "expected": dict(zip(self.log_rank.groups, self.log_rank.expected, strict=True)),
            },
            "cox": None if self.cox is None else cox_dict(self.cox),
            "weighted_cox": None if self.weighted_cox is None else cox_dict(self.weighted_cox),
            "propensity": None
            if self.propensity is None
            else {
                "target": self.propensity.target,
                "balance": [{"name": b.name, "before": b.before, "after": b.after} for b in self.propensity.balance],
                "effective_n": list(self.propensity.effective_n),
            },
            "cumulative_incidence": [
                {"group": name, "events": i.n_events, "time": i.times.tolist(), "incidence": i.incidence.tolist()}
                | {"low": i.low.tolist(), "high": i.high.tolist()}
                for name, i in self.incidences
            ],
            "gray_test": None
            if self.gray is None
            else {"chi2": self.gray.chi2, "degrees_of_freedom": self.gray.degrees, "p": self.gray.p},
            "reading": list(self.reading),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def _curve_dict(c: SurvivalCurve) -> dict[str, Any]:
    return {
        "name": c.name,
        "n": c.n,
        "events": c.n_events,
        "median": c.median,
        "median_low": c.median_low,
        "median_high": c.median_high,
        "median_follow_up": c.median_follow_up,
        "time": c.times.tolist(),
        "survival": c.survival.tolist(),
        "low": c.low.tolist(),
        "high": c.high.tolist(),
        "at_risk": [int(n) for n in c.at_risk],
    }


def cox_dict(model: CoxModel) -> dict[str, Any]:
    """A Cox model as plain values for JSON."""
    return {
        "n": model.n,
        "events": model.events,
        "covariates": [
            {
                "name": c.name,
                "coefficient": c.coefficient,
                "standard_error": c.standard_error,
                "hazard_ratio": c.hazard_ratio,
                "low": c.low,
                "high": c.high,
                "p": c.p,
                "proportional_hazards_chi2": c.proportional_chi2,
                "proportional_hazards_p": c.proportional_p,
            }
            for c in model.covariates
        ],
        "log_likelihood": model.log_likelihood,
        "log_likelihood_null": model.log_likelihood_null,
        "likelihood_ratio_chi2": model.likelihood_ratio,
        "p": model.p,
        "proportional_hazards_chi2": model.proportional_chi2,
        "proportional_hazards_p": model.proportional_p,
        "concordance": model.concordance,
        "robust_standard_errors": model.robust,
        "warnings": list(model.warnings),
    }


def analyse_survival(path: Path, question: SurvivalQuestion) -> SurvivalAnalysis:
    """Survival analysis of a table.

    Raises
    ------
    TableError
        Listing every wrong cell with row and column.
    EvidenceError
        If the curves themselves cannot be drawn. A test or model that the data cannot carry is left out with a warning.
    """
    q = question
    table = read_table(path, sheet=q.sheet)
    check = table.check()
    time, unit = _times(check, q)
    event = _events(check, q, time)
    groups = _groups(check, q.by)
    columns = {name: check.numbers(name) for name in dict.fromkeys((*q.covariates, *q.balance))}
    if q.patient is not None:
        check.texts(q.patient, unique=True)
    other = None if q.competing is None else _competing(check, q.competing, event)
    check.done()
    t, e = np.asarray(time), np.asarray(event)
    warnings: list[str] = []
    reading: list[str] = []
    if q.landmark is not None:
        kept, t = landmark(t, e, q.landmark)
        e, groups = e[kept], [g for g, k in zip(groups, kept, strict=True) if k]
        columns = {name: np.asarray(v)[kept].tolist() for name, v in columns.items()}
        other = None if other is None else np.asarray(other)[kept].tolist()
        reading.append(
            f"Landmark at {q.landmark:g} {unit}: {kept.size - int(kept.sum())} of {kept.size} patients had died or "
            "left by then and are not compared; times count from the landmark."
        )
    if q.by is not None and q.landmark is None and _is_later_knowledge(q.by):
        warnings.append(f"{q.by!r} looks like something known only after treatment: use a landmark")
    names = sorted(set(groups))
    labels = np.array(groups)
    curves = tuple(kaplan_meier(t[labels == n], e[labels == n], name=n) for n in names)
    test = unless_refused(lambda: log_rank(t, e, groups), warnings) if len(names) > 1 else None
    covariates = {name: columns[name] for name in q.covariates}
    if len(names) == 2:
        covariates = {f"{names[1]} against {names[0]}": (labels == names[1]).astype(float).tolist(), **covariates}
    elif len(names) > 2 and q.covariates:
        warnings.append("the Cox model leaves the groups out, since there are more than two")
    model = unless_refused(lambda: cox(t, e, covariates), warnings) if covariates else None
    weighted, weights = _weighted(t, e, labels, names, {n: columns[n] for n in q.balance}, warnings)
    cause = None if other is None else np.where(e == 1, 1, np.where(np.asarray(other) == 1, 2, 0))
    incidences = _incidences(t, cause, labels, names, warnings)
    gray = None
    if cause is not None and len(names) > 1:
        gray = unless_refused(lambda: gray_test(t, cause.tolist(), groups), warnings)
    reading += _survival_words(curves, test, model, weighted, unit, int(e.sum()))
    if other is not None:
        reading.append(
            "Log-rank and Cox model take the competing event as the end of observation (cause-specific hazards); the "
            "share of patients who had the event is the cumulative incidence, not one minus survival."
        )
    if gray is not None:
        words = p_words(gray.p, events=int(e.sum()))
        reading.append(f"Gray's test of the cumulative incidences {p_text(gray.p)}: {words}.")
    warnings += [w for m in (model, weighted) if m is not None for w in m.warnings]
    provenance = Provenance(
        inputs=(InputFile.of("table", path),),
        parameters={"time": q.time or f"{q.start_date} to {q.end_date}", "event": q.event, "by": q.by},
        conventions={"interval": "log-log (Greenwood)", "ties": "Efron", "month": "365.25 / 12 days"},
    )
    return SurvivalAnalysis(
        q,
        unit,
        curves,
        test,
        model,
        weighted,
        weights,
        incidences,
        gray,
        tuple(reading),
        tuple(dict.fromkeys(warnings)),
        provenance,
    )


def _times(check: TableCheck, q: SurvivalQuestion) -> tuple[list[float], str]:
    if q.time is not None:
        unit = next((u for u in ("months", "days", "years", "weeks") if u in q.time.lower()), "time units of the table")
        return check.numbers(q.time, at_least=0, optional=True), unit
    if q.start_date is None or q.end_date is None:
        raise InputError("give the column of times, or the columns of start and end dates")
    return check.months_between(q.start_date, q.end_date), "months"


def _events(check: TableCheck, q: SurvivalQuestion, time: list[float]) -> list[float]:
    event = check.yes_no(q.event)
    if q.time is not None:
        for index, (t, e) in enumerate(zip(time, event, strict=True)):
            if math.isnan(t):
                cell = check.table.columns[q.time][index]
                if not any(f.startswith(f"row {check.table.rows[index]}, column {q.time!r}") for f in check.faults):
                    what = "event without a time" if e == 1 else "no time of observation"
                    check.fault(index, q.time, f"{what} ({cell!r})")
    return event


def _competing(check: TableCheck, name: str, event: list[float]) -> list[float]:
    other = check.yes_no(name)
    for index, (a, b) in enumerate(zip(event, other, strict=True)):
        if a == 1 and b == 1:
            check.fault(index, name, "both the event and the competing event are marked; only the first can happen")
    return other


def _groups(check: TableCheck, by: str | None) -> list[str]:
    if by is None:
        return ["all"] * len(check.table)
    if check.has(by):
        groups = check.texts(by)
        if len(set(groups)) > MOST_GROUPS:
            raise InputError(
                f"{check.table.path}: column {by!r} has {len(set(groups))} different values; groups are at most "
                f"{MOST_GROUPS}. Write a cut, such as '{by}>=205'"
            )
        # "hazard ratio of 1 against 0" would leave the reader to guess which group is which.
        return [f"{by} = {g}" for g in groups] if set(groups) <= {"0", "1", "0.0", "1.0"} else groups
    match = _SPLIT.match(by)
    named = _NAMED_SPLIT.match(by)
    if match is not None:
        name, sign, cut = match.groups()
    elif named is not None:
        name, word, cut = named.groups()
        name, sign = _column_named(check.table, name), _WORDS[word]
    else:
        name, sign, cut = by, "", ""
    if not sign or not check.has(name):
        raise InputError(
            f"{check.table.path}: there is no column {by!r}; columns: {', '.join(check.table.columns)}. A cut is "
            "written 'tumour_gy>=205'"
        )
    compare, limit = _COMPARE[sign], float(cut)
    opposite = {">=": "<", ">": "<=", "<=": ">", "<": ">="}[sign]
    values = check.numbers(name)
    return [f"{name} {sign} {cut}" if compare(v, limit) else f"{name} {opposite} {cut}" for v in values]


def _column_named(table: Table, stem: str) -> str:
    """The column of a stem: itself, or the only one that contains it ("dose" for "tumour_dose_gy")."""
    if stem in table.columns:
        return stem
    found = [name for name in table.columns if stem.lower() in name.lower()]
    return found[0] if len(found) == 1 else stem


def _is_later_knowledge(by: str) -> bool:
    words = {"response", "responder", "cr", "pr", "orr", "mrecist", "recist", "easl"}
    return bool(words & set(re.split(r"[^a-z0-9]+", by.lower())))


def unless_refused(compute: Callable[[], Any], warnings: list[str]) -> Any:
    """Result, or None with the refusal as a warning."""
    try:
        return compute()
    except EvidenceError as refusal:
        warnings.append(str(refusal))
        return None


def _weighted(
    t: Any, e: Any, labels: Any, names: list[str], balance: dict[str, list[float]], warnings: list[str]
) -> tuple[CoxModel | None, Propensity | None]:
    if not balance:
        return None, None
    if len(names) != 2:
        raise InputError(f"propensity weights compare two groups, not {len(names)}")
    treated = (labels == names[1]).astype(float)
    weights: Propensity | None = unless_refused(lambda: propensity(treated, balance), warnings)
    if weights is None:
        return None, None
    warnings += list(weights.warnings)
    covariate = {f"{names[1]} against {names[0]}": treated.tolist()}
    return unless_refused(lambda: cox(t, e, covariate, weights=weights.weights), warnings), weights


def _incidences(
    t: Any, cause: Any, labels: Any, names: list[str], warnings: list[str]
) -> tuple[tuple[str, Incidence], ...]:
    if cause is None:
        return ()
    out = []
    for name in names:
        mine = labels == name
        found = unless_refused(partial(cumulative_incidence, t[mine], cause[mine].tolist(), censored=0), warnings)
        if found and "1" in found:
            out.append((name, found["1"]))
    return tuple(out)


def _survival_words(
    curves: Sequence[SurvivalCurve],
    test: LogRank | None,
    model: CoxModel | None,
    weighted: CoxModel | None,
    unit: str,
    events: int,
) -> list[str]:
    words = []
    for c in curves:
        if c.median is None:
            text = "not reached"
        else:
            low, high = ("not reached" if v is None else f"{v:.3g}" for v in (c.median_low, c.median_high))
            text = f"{c.median:.3g} {unit} (95 % interval {low} to {high})"
        words.append(f"{c.name}: {c.n} patients, {c.n_events} events, median {text}.")
    if test is not None:
        words.append(f"Log-rank {p_text(test.p)}: {p_words(test.p, events=events)}.")
    for name, m in (("Cox model", model), ("Cox model weighted by propensity", weighted)):
        if m is not None:
            first = m.covariates[0]
            words.append(
                f"{name}: hazard ratio of {first.name} {first.hazard_ratio:.2f} (95 % interval {first.low:.2f} to "
                f"{first.high:.2f}, {p_text(first.p)}); {p_words(first.p, events=m.events)}."
            )
    return words
