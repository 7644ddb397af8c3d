"""Survival of a table of patients: reads, analyses, says what it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Table
from hepatica.io.files import write_text
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.analyses.survival import (
    GroupIncidence,
    compared,
    is_later_knowledge,
    landmark_words,
    members,
    survival_words,
)
from hepatica.outcome.analyses.survival_table import (
    SurvivalColumns,
    SurvivalModels,
    SurvivalQuestion,
    survival_data,
)
from hepatica.outcome.statistics.cox import CoxModel
from hepatica.outcome.statistics.evidence import located, p_text
from hepatica.outcome.statistics.fine_gray import FineGrayModel
from hepatica.outcome.statistics.propensity import Propensity
from hepatica.outcome.statistics.survival import (
    GroupTest,
    SurvivalCurve,
    kaplan_meier,
)
from hepatica.report.figures.outcome import draw_incidence, draw_survival, save
from hepatica.workflow.result import Result, result


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
        write_text(folder / "curves.csv", Table.of(columns, rows).csv())


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
            reading.append(landmark_words(len(before.groups), len(data.groups), models.landmark, data.unit))
        elif by is not None and is_later_knowledge(by):
            text = f"{by!r} looks like something known only after treatment"
            messages.append(Message("groups-known-later", text, "state a `landmark`"))
        curves = tuple(kaplan_meier(data.time[own], data.event[own], name=name) for name, own in members(data).items())
        found = compared(data, models, messages)
    reading += survival_words(curves, found, data.unit, int(data.event.sum()))
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
