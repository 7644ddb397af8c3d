"""From a table of patients to survival: analyses, says what it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hepatica.cohort.evidence import refusals_of, unless_refused
from hepatica.cohort.survival_table import SurvivalData, SurvivalQuestion, read_survival
from hepatica.core import InputFile, Provenance
from hepatica.errors import InputError
from hepatica.outcome.competing import GrayTest, gray_test
from hepatica.outcome.cox import CoxModel, cox
from hepatica.outcome.evidence import p_text, p_words
from hepatica.outcome.fine_gray import FineGrayModel, fine_gray
from hepatica.outcome.propensity import Propensity, propensity
from hepatica.outcome.survival import (
    Incidence,
    LogRank,
    SurvivalCurve,
    cumulative_incidence,
    kaplan_meier,
    log_rank,
)


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
    fine_gray: FineGrayModel | None
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
            "fine_gray": None if self.fine_gray is None else fine_gray_dict(self.fine_gray),
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


def fine_gray_dict(model: FineGrayModel) -> dict[str, Any]:
    """A Fine-Gray model as plain values for JSON."""
    return {
        "n": model.n,
        "events": model.events,
        "competing_events": model.competing,
        "covariates": [
            {
                "name": c.name,
                "coefficient": c.coefficient,
                "standard_error": c.standard_error,
                "subdistribution_hazard_ratio": c.ratio,
                "low": c.low,
                "high": c.high,
                "p": c.p,
            }
            for c in model.covariates
        ],
        "log_likelihood": model.log_likelihood,
        "log_likelihood_null": model.log_likelihood_null,
        "pseudo_likelihood_ratio_chi2": model.pseudo_ratio,
        "p": model.p,
        "warnings": list(model.warnings),
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


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the data carry of the tests and models; None where not asked or refused."""

    log_rank: LogRank | None
    cox: CoxModel | None
    weighted: CoxModel | None
    propensity: Propensity | None
    incidences: tuple[tuple[str, Incidence], ...]
    gray: GrayTest | None
    fine_gray: FineGrayModel | None

    @property
    def warnings(self) -> list[str]:
        """Of all models."""
        models = [m for m in (self.cox, self.weighted, self.fine_gray) if m is not None]
        return [w for m in models for w in m.warnings]


def analyse_survival(path: Path, question: SurvivalQuestion) -> SurvivalAnalysis:
    """Survival analysis of a table.

    Raises
    ------
    TableError
        Listing every wrong cell with row and column.
    EvidenceError
        If the curves themselves cannot be drawn; the message names file and columns. A test or model that the data
        cannot carry is left out with a warning.
    """
    q = question
    data = read_survival(path, q)
    warnings: list[str] = []
    reading: list[str] = []
    with refusals_of(path, q.time or f"{q.start_date}, {q.end_date}", q.event):
        if q.landmark is not None:
            before, data = data, data.from_landmark(q.landmark)
            reading.append(_landmark_words(len(before.groups), len(data.groups), q.landmark, data.unit))
        elif q.by is not None and _is_later_knowledge(q.by):
            warnings.append(f"{q.by!r} looks like something known only after treatment: use a landmark")
        curves = tuple(kaplan_meier(data.time[own], data.event[own], name=name) for name, own in _members(data).items())
        found = _compare(data, q, warnings)
    reading += _survival_words(curves, found, data.unit, int(data.event.sum()))
    warnings += found.warnings
    return SurvivalAnalysis(
        q,
        data.unit,
        curves,
        found.log_rank,
        found.cox,
        found.weighted,
        found.propensity,
        found.incidences,
        found.gray,
        found.fine_gray,
        tuple(reading),
        tuple(dict.fromkeys(warnings)),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={
                "time": q.time or f"{q.start_date} to {q.end_date}",
                "event": q.event,
                "by": q.by,
                "competing": q.competing,
                "strata": q.strata,
                "landmark": q.landmark,
            },
            conventions={
                "interval": "log-log (Greenwood)",
                "ties": "Efron (Cox), Breslow (Fine-Gray)",
                "month": "365.25 / 12 days",
            },
        ),
    )


def _members(data: SurvivalData) -> dict[str, Any]:
    return {name: data.of_group(name) for name in data.names}


def _compare(data: SurvivalData, q: SurvivalQuestion, warnings: list[str]) -> _Compared:
    """Every test and model that was asked for and that the data carry."""
    t, e, names, strata = data.time, data.event, data.names, data.strata
    test = gray = None
    if len(names) > 1:
        test = unless_refused(lambda: log_rank(t, e, data.groups, strata=strata), warnings)
    covariates = {name: data.columns[name] for name in q.covariates}
    # Every group against the first.
    covariates = {f"{n} against {names[0]}": data.of_group(n).astype(float) for n in names[1:]} | covariates
    model = unless_refused(lambda: cox(t, e, covariates, strata=strata), warnings) if covariates else None
    weighted, weights = _weighted(data, q.balance, warnings)
    cause = data.causes()
    subdistribution = None
    if cause is not None:
        causes = cause.tolist()
        if len(names) > 1:
            gray = unless_refused(lambda: gray_test(t, causes, data.groups, strata=strata), warnings)
        if covariates:
            subdistribution = unless_refused(lambda: fine_gray(t, causes, covariates), warnings)
            if strata is not None:
                warnings.append("the Fine-Gray model takes no strata; it is that of all patients together")
    return _Compared(test, model, weighted, weights, _incidences(data, warnings), gray, subdistribution)


def _is_later_knowledge(by: str) -> bool:
    words = {"response", "responder", "cr", "pr", "orr", "mrecist", "recist", "easl"}
    return bool(words & set(re.split(r"[^a-z0-9]+", by.lower())))


def _weighted(
    data: SurvivalData, balance: Sequence[str], warnings: list[str]
) -> tuple[CoxModel | None, Propensity | None]:
    if not balance:
        return None, None
    names = data.names
    if len(names) != 2:
        raise InputError(f"propensity weights compare two groups, not {len(names)}")
    treated = data.of_group(names[1]).astype(float)
    columns = {name: data.columns[name] for name in balance}
    weights: Propensity | None = unless_refused(lambda: propensity(treated, columns), warnings)
    if weights is None:
        return None, None
    warnings += list(weights.warnings)
    covariate = {f"{names[1]} against {names[0]}": treated}
    return unless_refused(
        lambda: cox(data.time, data.event, covariate, weights=weights.weights, strata=data.strata), warnings
    ), weights


def _incidences(data: SurvivalData, warnings: list[str]) -> tuple[tuple[str, Incidence], ...]:
    cause = data.causes()
    if cause is None:
        return ()
    out = []
    for name, mine in _members(data).items():
        found = unless_refused(
            partial(cumulative_incidence, data.time[mine], cause[mine].tolist(), censored=0), warnings
        )
        if found and "1" in found:
            out.append((name, found["1"]))
    return tuple(out)


def _landmark_words(before: int, after: int, at: float, unit: str) -> str:
    return (
        f"Landmark at {at:g} {unit}: {before - after} of {before} patients had died or left by then and are not "
        "compared; times count from the landmark."
    )


def _survival_words(curves: Sequence[SurvivalCurve], found: _Compared, unit: str, events: int) -> list[str]:
    words = [_curve_words(c, unit) for c in curves]
    if found.log_rank is not None:
        words.append(f"Log-rank {p_text(found.log_rank.p)}: {p_words(found.log_rank.p, events=events)}.")
    words += _cox_words("Cox model", found.cox)
    words += _cox_words("Cox model weighted by propensity", found.weighted)
    if found.incidences:
        words.append(
            "Log-rank and Cox model take the competing event as the end of observation (cause-specific hazards); the "
            "share of patients who had the event is the cumulative incidence, not one minus survival."
        )
    if found.gray is not None:
        meaning = p_words(found.gray.p, events=events)
        words.append(f"Gray's test of the cumulative incidences {p_text(found.gray.p)}: {meaning}.")
    if found.fine_gray is not None:
        only = found.fine_gray.covariates[0]
        words.append(
            f"Fine-Gray model: subdistribution hazard ratio of {only.name} {only.ratio:.2f} (95 % interval "
            f"{only.low:.2f} to {only.high:.2f}, {p_text(only.p)}). Above 1 more patients have the event, by its own "
            "hazard or because fewer are lost to the competing one; for the hazard itself read the Cox model."
        )
    return words


def _cox_words(name: str, model: CoxModel | None) -> list[str]:
    """The comparisons between groups, or without groups the first covariate."""
    if model is None:
        return []
    return [
        f"{name}: hazard ratio of {row.name} {row.hazard_ratio:.2f} (95 % interval {row.low:.2f} to {row.high:.2f}, "
        f"{p_text(row.p)}); {p_words(row.p, events=model.events)}."
        for row in [c for c in model.covariates if " against " in c.name] or model.covariates[:1]
    ]


def _curve_words(c: SurvivalCurve, unit: str) -> str:
    text = "not reached"
    if c.median is not None:
        low, high = ("not reached" if v is None else f"{v:.3g}" for v in (c.median_low, c.median_high))
        text = f"{c.median:.3g} {unit} (95 % interval {low} to {high})"
    return f"{c.name}: {c.n} patients, {c.n_events} events, median {text}."
