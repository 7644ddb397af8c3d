"""Groups of patients compared by survival: tests and models that the data carry, and what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hepatica.core.document import INLINE
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.outcome.analyses.survival_table import (
    SurvivalData,
    SurvivalModels,
)
from hepatica.outcome.statistics.competing import gray_test
from hepatica.outcome.statistics.cox import CoxModel, cox
from hepatica.outcome.statistics.evidence import p_text, p_words, unless_refused
from hepatica.outcome.statistics.fine_gray import FineGrayModel, fine_gray
from hepatica.outcome.statistics.propensity import Propensity, propensity
from hepatica.outcome.statistics.survival import (
    GroupTest,
    Incidence,
    SurvivalCurve,
    cumulative_incidence,
    log_rank,
)


@dataclass(frozen=True, slots=True)
class GroupIncidence:
    """Cumulative incidence of the event in one group."""

    group: str
    found: Incidence = field(metadata=INLINE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the data carry of the tests and models; None where not asked or refused."""

    log_rank: GroupTest | None
    cox: CoxModel | None
    weighted: CoxModel | None
    propensity: Propensity | None
    incidences: tuple[GroupIncidence, ...]
    gray: GroupTest | None
    fine_gray: FineGrayModel | None


def members(data: SurvivalData) -> dict[str, NDArray[np.bool_]]:
    """Which patients each group holds."""
    return {name: data.of_group(name) for name in data.names}


def compared(data: SurvivalData, models: SurvivalModels, messages: list[Message]) -> Comparison:
    """Every test and model that was asked for and that the data carry."""
    t, e, names, strata, cluster = data.time, data.event, data.names, data.strata, data.cluster
    test = gray = model = subdistribution = None
    if len(names) > 1:
        test = unless_refused("log-rank", lambda: log_rank(t, e, data.groups, strata=strata), messages)
    covariates = {name: data.columns[name] for name in models.covariates}
    # Every group against the first.
    covariates = {f"{n} against {names[0]}": data.of_group(n).astype(float) for n in names[1:]} | covariates
    if covariates:
        model = unless_refused("cox", lambda: cox(t, e, covariates, cluster=cluster, strata=strata), messages)
    weighted, weights = _weighted(data, models, messages)
    cause = data.causes()
    if cause is not None:
        causes = cause.tolist()
        if len(names) > 1:
            gray = unless_refused("gray-test", lambda: gray_test(t, causes, data.groups, strata=strata), messages)
        if covariates:
            subdistribution = unless_refused("fine-gray", lambda: fine_gray(t, causes, covariates), messages)
            if strata is not None:
                text = "the Fine-Gray model takes no strata; it is that of all patients together"
                messages.append(Message("fine-gray-without-strata", text))
    return Comparison(test, model, weighted, weights, _incidences(data, messages), gray, subdistribution)


def is_later_knowledge(by: str) -> bool:
    """Whether groups by this column would be known only after treatment."""
    words = {"response", "responder", "cr", "pr", "orr", "mrecist", "recist", "easl"}
    return bool(words & set(re.split(r"[^a-z0-9]+", by.lower())))


def _weighted(
    data: SurvivalData, models: SurvivalModels, messages: list[Message]
) -> tuple[CoxModel | None, Propensity | None]:
    if not models.balance:
        return None, None
    names = data.names
    if len(names) != 2:
        raise InputError(f"propensity weights compare two groups, not {len(names)}")
    treated = data.of_group(names[1]).astype(float)
    columns = {name: data.columns[name] for name in models.balance}
    weights = unless_refused("propensity", lambda: propensity(treated, columns, target=models.balance_target), messages)
    if weights is None:
        return None, None
    messages += weights.messages
    covariate = {f"{names[1]} against {names[0]}": treated}
    fit = partial(cox, data.time, data.event, covariate, weights=weights.weights)
    return unless_refused("weighted-cox", lambda: fit(cluster=data.cluster, strata=data.strata), messages), weights


def _incidences(data: SurvivalData, messages: list[Message]) -> tuple[GroupIncidence, ...]:
    cause = data.causes()
    if cause is None:
        return ()
    out = []
    for name, mine in members(data).items():
        compute = partial(cumulative_incidence, data.time[mine], cause[mine].tolist(), censored=0)
        found = unless_refused("incidence", compute, messages)
        if found and "1" in found:
            out.append(GroupIncidence(name, found["1"]))
    return tuple(out)


def landmark_words(before: int, after: int, at: float, unit: str) -> str:
    """What a landmark left out."""
    return (
        f"Landmark at {at:g} {unit}: {before - after} of {before} patients had died or left by then and are not "
        "compared; times count from the landmark."
    )


def survival_words(curves: Sequence[SurvivalCurve], found: Comparison, unit: str, events: int) -> list[str]:
    """What curves, tests and models say."""
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
        ratio = f"{only.name} {only.subdistribution_hazard_ratio:.2f}"
        words.append(
            f"Fine-Gray model: subdistribution hazard ratio of {ratio} (95 % interval "
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
    return f"{c.name}: {c.n} patients, {c.events} events, median {text}."
