"""Survival of a table of patients: reads, analyses, says what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.cohort.survival_table import (
    SurvivalColumns,
    SurvivalData,
    SurvivalModels,
    SurvivalQuestion,
    survival_data,
)
from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, INLINE
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.table import Table
from hepatica.errors import InputError
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.statistics.competing import gray_test
from hepatica.outcome.statistics.cox import CoxModel, cox
from hepatica.outcome.statistics.evidence import located, p_text, p_words, unless_refused
from hepatica.outcome.statistics.fine_gray import FineGrayModel, fine_gray
from hepatica.outcome.statistics.propensity import Propensity, propensity
from hepatica.outcome.statistics.survival import (
    GroupTest,
    Incidence,
    SurvivalCurve,
    cumulative_incidence,
    kaplan_meier,
    log_rank,
)
from hepatica.report.figures.outcome import draw_incidence, draw_survival, save
from hepatica.workflow.result import Result, result


@dataclass(frozen=True, slots=True)
class GroupIncidence:
    """Cumulative incidence of the event in one group."""

    group: str
    found: Incidence = field(metadata=INLINE)


@result
class SurvivalResult(Result):
    """Survival of a table: curves, tests, models (None where not asked or not carried by the data), what they say."""

    verb = "survival"

    time_unit: str
    groups: tuple[SurvivalCurve, ...]
    log_rank: GroupTest | None
    cox: CoxModel | None
    weighted_cox: CoxModel | None
    propensity: Propensity | None
    cumulative_incidence: tuple[GroupIncidence, ...]
    gray_test: GroupTest | None
    fine_gray: FineGrayModel | None
    reading: tuple[str, ...]
    event: str = field(metadata=HIDDEN)

    def title(self) -> str:
        """Patients and events."""
        return f"Survival: {sum(c.n for c in self.groups)} patients, {sum(c.events for c in self.groups)} events"

    def table(self) -> Table:
        """Patients, events and median of each group."""
        columns = ("group", "patients", "events", "median", "from", "to", "follow-up (median)")
        rows = [(c.name, c.n, c.events, c.median, c.median_low, c.median_high, c.median_follow_up) for c in self.groups]
        return Table.of(columns, rows, f"Groups, {self.time_unit}", "survival")

    def tables(self) -> tuple[Table, ...]:
        """Groups, models, balance, incidence."""
        return (self.table(), *self._models())

    def sentences(self) -> tuple[str, ...]:
        """What they say."""
        return self.reading

    def _models(self) -> Iterator[Table]:
        for name, key, model in (
            ("Cox model", "cox", self.cox),
            ("Cox model, propensity weights", "weighted-cox", self.weighted_cox),
        ):
            if model is not None:
                yield Table.of(
                    ("covariate", "hazard ratio", "from", "to", "p", "proportional, p"),
                    [(c.name, c.hazard_ratio, c.low, c.high, c.p, c.proportional_hazards_p) for c in model.covariates],
                    f"{name}: {model.n} patients, {model.events} events, concordance {model.concordance:.2f}",
                    key,
                )
        if self.fine_gray is not None:
            f = self.fine_gray
            yield Table.of(
                ("covariate", "subdistribution hazard ratio", "from", "to", "p"),
                [(c.name, c.subdistribution_hazard_ratio, c.low, c.high, c.p) for c in f.covariates],
                f"Fine-Gray model: {f.n} patients, {f.events} events, {f.competing_events} competing",
                "fine-gray",
            )
        if self.propensity is not None:
            rows = [(b.name, round(b.before, 6), round(b.after, 6)) for b in self.propensity.balance]
            title = "Balance (standardized mean difference)"
            yield Table.of(("covariate", "before", "after"), rows, title, "balance")
        if self.cumulative_incidence:
            found = [(g.group, g.found) for g in self.cumulative_incidence]
            yield Table.of(
                ("group", "events", "incidence", "from", "to"),
                [(n, i.events, float(i.incidence[-1]), float(i.low[-1]), float(i.high[-1])) for n, i in found],
                "Cumulative incidence at the last time",
                "incidence",
            )

    def write(self, folder: Path) -> None:
        """Write ``survival.svg`` (or ``incidence.svg`` with a competing event), and the curves as ``curves.csv``."""
        if self.cumulative_incidence:
            note = "" if self.gray_test is None else f"Gray {p_text(self.gray_test.p)}"
            groups = [(g.group, g.found) for g in self.cumulative_incidence]
            figure = draw_incidence(groups, unit=self.time_unit, title=self.event, note=note)
            save(figure, folder / "incidence.svg")
        else:
            note = "" if self.log_rank is None else f"log-rank {p_text(self.log_rank.p)}"
            figure = draw_survival(self.groups, unit=self.time_unit, title="", note=note)
            save(figure, folder / "survival.svg")
        rows = [
            (c.name, *step)
            for c in self.groups
            for step in zip(*(v.tolist() for v in (c.time, c.at_risk, c.survival, c.low, c.high)), strict=True)
        ]
        columns = ("group", f"time_{self.time_unit.split()[0]}", "at_risk", "survival", "low", "high")
        (folder / "curves.csv").write_text(Table.of(columns, rows).csv(), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the data carry of the tests and models; None where not asked or refused."""

    log_rank: GroupTest | None
    cox: CoxModel | None
    weighted: CoxModel | None
    propensity: Propensity | None
    incidences: tuple[GroupIncidence, ...]
    gray: GroupTest | None
    fine_gray: FineGrayModel | None


@verb
def survival(
    patients: TableSource,
    *,
    time: str | None = None,
    event: str = "event",
    by: str | None = None,
    sheet: str | None = None,
    columns: SurvivalColumns = SurvivalColumns(),
    models: SurvivalModels = SurvivalModels(),
) -> SurvivalResult:
    """Survival of a table of patients: Kaplan-Meier, log-rank, Cox, competing risks.

    Parameters
    ----------
    patients : path, DataFrame or rows
        Table with one row per patient.
    time : str or None
        Column of the time observed, such as os_months.
    event : str
        Column of the event: 1 happened, 0 did not.
    by : str or None
        Column of groups, or a cut: 'dose_gy>=205', dose_ge_205.
    sheet : str or None
        Excel sheet, where there are several.
    columns : SurvivalColumns
        Further columns of the table.
    models : SurvivalModels
        What is modelled beside the groups.

    Returns
    -------
    SurvivalResult
        Curves, tests and models; ``save`` draws them.

    Raises
    ------
    TableError
        Listing every wrong cell with row and column.
    EvidenceError
        If the curves themselves cannot be drawn; the message names file and columns. A test or model that the data
        cannot carry is left out with a message.

    Examples
    --------
    >>> patients = [{"months": 3 + n, "dead": n % 3 > 0, "dose_gy": 100 + 10 * n} for n in range(30)]
    >>> found = hepatica.survival(patients, time="months", event="dead", by="dose_gy>=205")
    >>> [(group.name, group.median) for group in found.groups]
    [('dose_gy < 205', 10.0), ('dose_gy >= 205', 26.0)]
    """
    table = as_table(patients, sheet=sheet)
    q = SurvivalQuestion(time, event, by, columns, models)
    data = survival_data(table, q)
    messages: list[Message] = []
    reading: list[str] = []
    with located(f"{table.name}, columns {time or f'{columns.start_date}, {columns.end_date}'}, {event}"):
        if models.landmark is not None:
            before, data = data, data.from_landmark(models.landmark)
            reading.append(_landmark_words(len(before.groups), len(data.groups), models.landmark, data.unit))
        elif by is not None and _is_later_knowledge(by):
            text = f"{by!r} looks like something known only after treatment"
            messages.append(Message("groups-known-later", text, "state a `landmark`"))
        curves = tuple(kaplan_meier(data.time[own], data.event[own], name=name) for name, own in _members(data).items())
        found = _compare(data, models, messages)
    reading += _survival_words(curves, found, data.unit, int(data.event.sum()))
    fitted = [m for m in (found.cox, found.weighted, found.fine_gray) if m is not None]
    return SurvivalResult(
        time_unit=data.unit,
        groups=curves,
        log_rank=found.log_rank,
        cox=found.cox,
        weighted_cox=found.weighted,
        propensity=found.propensity,
        cumulative_incidence=found.incidences,
        gray_test=found.gray,
        fine_gray=found.fine_gray,
        reading=tuple(reading),
        event=event,
        messages=unique(messages, *(m.messages for m in fitted)),
        provenance=Provenance(
            inputs=table.inputs,
            parameters=parameters(columns, models, time=time, event=event, by=by),
            conventions={
                "interval": "log-log (Greenwood)",
                "ties": "Efron (Cox), Breslow (Fine-Gray)",
                "month": "365.25 / 12 days",
            },
        ),
    )


def _members(data: SurvivalData) -> dict[str, NDArray[np.bool_]]:
    return {name: data.of_group(name) for name in data.names}


def _compare(data: SurvivalData, models: SurvivalModels, messages: list[Message]) -> _Compared:
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
    return _Compared(test, model, weighted, weights, _incidences(data, messages), gray, subdistribution)


def _is_later_knowledge(by: str) -> bool:
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
    for name, mine in _members(data).items():
        compute = partial(cumulative_incidence, data.time[mine], cause[mine].tolist(), censored=0)
        found = unless_refused("incidence", compute, messages)
        if found and "1" in found:
            out.append(GroupIncidence(name, found["1"]))
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
