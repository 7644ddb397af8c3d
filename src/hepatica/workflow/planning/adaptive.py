"""From a table of past treatments to what the next one may still give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from pathlib import Path

from hepatica.core import InputFile, Provenance
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import NonNegative, Positive, parameters, verb
from hepatica.core.table import Cell, Table
from hepatica.dosimetry.radiobiology import LIVER, Prediction, ResponseModel, response_models
from hepatica.errors import EvidenceError, InputError, UnknownNameError
from hepatica.io.tables import TableCheck, read_table
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.outcome import adaptive
from hepatica.outcome.adaptive import ActivityPrediction, NextTreatment, PastTreatment, PatientStatus, Remaining
from hepatica.report.figures.outcome import draw_adaptive, save
from hepatica.workflow.result import Result, result

STEPS = 8
"""Activities listed by default: equal steps up to the largest one allowed, and a quarter beyond."""


@dataclass(frozen=True, slots=True)
class PlanAllowance:
    """What the planner takes over from this result."""

    territory: str | None
    normal_gy: float
    lung_gy: float
    lung_so_far_gy: float
    delivered_bed_gy: float
    tolerance_bed_gy: float
    nuclide: str
    treatments: int
    cautions: tuple[str, ...]


@result
class ToleranceResult(Result):
    """What a territory may still receive, and what each activity would do; a plan reads its ``result.json``."""

    verb = "remaining_tolerance"

    territory: str | None
    past: tuple[PastTreatment, ...] = field(metadata=HIDDEN)
    coming: NextTreatment = field(metadata=HIDDEN)
    tolerance_bed_gy: float
    remaining: Remaining = field(metadata=INLINE)
    activities: tuple[ActivityPrediction, ...]

    @property
    @reported
    def treatments(self) -> int:
        """How many were given."""
        return len(self.past)

    @property
    @reported
    def lung_dose_so_far_gy(self) -> float:
        """From all past treatments."""
        return math.fsum(treatment.lung_dose_gy for treatment in self.past)

    @property
    @reported
    def for_plan(self) -> PlanAllowance:
        """What the planner takes over."""
        r = self.remaining
        return PlanAllowance(
            self.territory,
            r.normal_dose_gy,
            r.lung_dose_gy,
            self.lung_dose_so_far_gy,
            r.delivered_bed_gy,
            self.tolerance_bed_gy,
            self.coming.nuclide,
            self.treatments,
            tuple(caution.text for caution in r.cautions),
        )

    @property
    @reported
    def reading(self) -> str:
        """What it comes to, in words."""
        r, tolerance = self.remaining, self.tolerance_bed_gy
        if r.remaining_bed_gy <= 0:
            had = f"{r.delivered_bed_gy:.4g} Gy BED of {tolerance:g} Gy"
            return f"The normal liver has had {had} tolerated: nothing is left."
        if math.isinf(r.activity_gbq):
            return "Neither liver nor lungs receive dose from the next treatment: nothing limits the activity."
        return (
            f"Of {tolerance:g} Gy BED the normal liver has had {r.delivered_bed_gy:.4g} Gy; {r.normal_dose_gy:.4g} Gy "
            f"of absorbed dose are left, {r.lung_dose_gy:.4g} Gy for the lungs. At most {r.activity_gbq:.4g} GBq, "
            f"limited by {r.limited_by}."
        )

    def title(self) -> str:
        """What is left."""
        return self.reading

    def table(self) -> Table:
        """Doses, BED and predictions for each activity of the next treatment."""
        curves = [p.model.name for p in _curves(self.activities[0])] if self.activities else []
        rows: list[tuple[Cell, ...]] = [
            (
                a.activity_gbq, a.tumour_dose_gy, a.normal_dose_gy, a.lung_dose_gy, a.cumulative_normal_bed_gy,
                a.within, *(p.probability for p in _curves(a)), _published(a),
            )
            for a in self.activities
        ]  # fmt: skip
        columns = (
            "GBq", "tumour, Gy", "normal, Gy", "lungs, Gy", "BED in all, Gy", "within",
            *(f"probability by {name}" for name in curves), "published doses reached",
        )  # fmt: skip
        where = f", {self.territory}" if self.territory else ""
        return Table.of(columns, rows, f"By activity of the next treatment{where}", "activities")

    def write(self, folder: Path) -> None:
        """Write ``next.svg``: tumour dose and BED of the normal liver against activity."""
        figure = draw_adaptive(self.activities, self.tolerance_bed_gy, self.remaining.activity_gbq)
        save(figure, folder / "next.svg")


def _curves(found: ActivityPrediction) -> list[Prediction]:
    return [p for p in (*found.tcp, *found.ntcp) if p.probability is not None]


def _published(found: ActivityPrediction) -> str:
    """On which side of the published doses an activity is, by models that state a dose and no curve."""
    points = [p for p in (*found.tcp, *found.ntcp) if p.probability is None]
    return f"{sum(p.dose_gy >= p.model.d50_gy.value for p in points)} of {len(points)}" if points else "–"


@verb
def remaining_tolerance(
    table: Path | str,
    *,
    coming: NextTreatment,
    tolerance_bed_gy: Positive,
    territory: str | None = None,
    planned_gbq: tuple[NonNegative, ...] = (),
    status: PatientStatus = PatientStatus(),
    sheet: str | None = None,
) -> ToleranceResult:
    """What the next treatment of a patient may still give to liver and lungs.

    Parameters
    ----------
    table : path
        CSV or Excel, one row for each past treatment: date, normal_gy, lung_gy, nuclide or half_life_h, optionally
        territory.
    coming : NextTreatment
        What the next treatment would do per GBq.
    tolerance_bed_gy : float
        BED that the normal liver may reach in all.
    territory : str or None
        Territory of the next treatment; those of others count for the lungs alone.
    planned_gbq : tuple of float
        Activities to predict for; equal steps up to the largest one allowed, and beyond, if not given.
    status : PatientStatus
        State of patient and tumour now.
    sheet : str or None
        Excel sheet, where there are several.

    Returns
    -------
    ToleranceResult
        Dose and activity that are left, and predictions by activity; a plan reads what ``save`` writes.

    Raises
    ------
    TableError
        Listing every wrong cell.
    InputError
        If the table has several territories and none, or an unknown one, is named.
    EvidenceError
        If nothing limits the activity and no activities are given.

    Examples
    --------
    >>> coming = hepatica.NextTreatment(next_at=datetime(2026, 6, 1, 10), normal_dose_gy_per_gbq=15.0,
    ...                                 tumour_dose_gy_per_gbq=60.0, lung_dose_gy_per_gbq=2.0)
    >>> hepatica.remaining_tolerance("course.csv", coming=coming, tolerance_bed_gy=93.0).remaining.limited_by
    'normal liver'
    """
    coming = replace(coming, nuclide=find_nuclide(coming.nuclide).name)
    check = read_table(table, sheet=sheet).check()
    past = _past(check, coming)
    own = _own(check, territory)
    check.done()
    past = [t if mine else replace(t, normal_dose_gy=0.0) for t, mine in zip(past, own, strict=True)]
    found = adaptive.remaining_tolerance(past, coming, tolerance_bed_gy=tolerance_bed_gy, status=status)
    models = [model for model in response_models().values() if _fits(model, coming)]
    steps = adaptive.predict_activities(
        past, coming, planned_gbq or _steps(found), tolerance_bed_gy=tolerance_bed_gy, models=models
    )
    messages = _about_models(steps, models, coming)
    if territory is not None and not any(own):
        text = f"the table has no treatment of {territory!r}: its normal liver is taken as not treated before"
        messages.append(Message("territory-not-treated", text))
    return ToleranceResult(
        territory=territory,
        past=tuple(past),
        coming=coming,
        tolerance_bed_gy=tolerance_bed_gy,
        remaining=found,
        activities=steps,
        messages=unique(messages, found.cautions, _notes(found)),
        provenance=Provenance(
            inputs=(InputFile.of("table", Path(table)),),
            parameters=parameters(
                coming, status, tolerance_bed_gy=tolerance_bed_gy, territory=territory, planned_gbq=planned_gbq
            ),
            conventions={"BED": f"alpha/beta {LIVER.alpha_beta_gy:g} Gy, repair {LIVER.repair.half_time_h:g} h"},
        ),
    )


def _steps(found: Remaining) -> Sequence[float]:
    """Activities to predict for where none are stated."""
    if math.isinf(found.activity_gbq):
        raise EvidenceError(
            "neither liver nor lungs limit the activity, so there is none to predict for", remedy="state `planned_gbq`"
        )
    # Nothing left: one activity shows what any treatment would add.
    top = found.activity_gbq * 1.25
    return [top * n / STEPS for n in range(1, STEPS + 1)] if top > 0 else [1.0]


def _notes(found: Remaining) -> list[Message]:
    notes = [
        Message(
            "tolerance-as-given", "tolerance and limits are those that were given; they are no recommendation",
            severity="note",
        )
    ]  # fmt: skip
    if found.days_since_last is not None:
        text = f"{found.days_since_last:.0f} days since the last treatment; no regeneration of the liver is counted"
        notes.insert(0, Message("no-regeneration", text, severity="note"))
    return notes


def _about_models(
    steps: Sequence[ActivityPrediction], models: Sequence[ResponseModel], coming: NextTreatment
) -> list[Message]:
    used = [p.model for step in steps[:1] for p in (*step.tcp, *step.ntcp)]
    messages = [
        Message(
            "model-confidence",
            f"{model.name}: parameters of {model.confidence} confidence; check {model.source} before use",
        )
        for model in used
        if model.confidence in ("medium", "low")
    ]
    toxicity = [model for model in models if model.kind == "ntcp"]
    if not any(model.has_curve for model in toxicity):
        text = f"no toxicity curve is published for {coming.nuclide} {coming.agent}: no NTCP is stated"
        messages.append(Message("no-toxicity-curve", text))
    if toxicity:
        text = (
            "toxicity models were fitted on the whole non-tumorous liver and one treatment: the dose to the normal "
            "liver must be its mean, not that of a territory, for the NTCP to mean anything"
        )
        messages.append(Message("whole-liver-model", text))
    if any(model.metric == "bed" for model in models):
        text = "models of BED take the BED of mean doses for the mean of voxel BED, which is higher"
        messages.append(Message("bed-of-mean-dose", text))
    return messages


def _fits(model: ResponseModel, coming: NextTreatment) -> bool:
    """Models of this nuclide and agent whose metric a mean dose can stand for."""
    metrics = ("mean_dose", "bed") if model.kind == "ntcp" else ("mean_dose",)
    return bool(coming.agent) and model.treats(coming.nuclide, coming.agent) and model.metric in metrics


def _past(check: TableCheck, coming: NextTreatment) -> list[PastTreatment]:
    dates = check.dates("date")
    normal, lung = check.numbers("normal_gy", at_least=0), check.numbers("lung_gy", at_least=0)
    half_lives = _half_lives(check)
    found = []
    for n, when in enumerate(dates):
        if when is None:
            continue
        at = datetime.combine(when, time(), coming.next_at.tzinfo)
        if at >= coming.next_at:
            check.fault(n, "date", f"{when} is not before the next treatment, {coming.next_at.isoformat()}")
        if not (math.isnan(normal[n] + lung[n] + half_lives[n]) or min(normal[n], lung[n]) < 0 or half_lives[n] <= 0):
            found.append(PastTreatment(at, normal[n], lung[n], half_lives[n]))
    return found


def _half_lives(check: TableCheck) -> list[float]:
    if check.has("half_life_h"):
        found = check.numbers("half_life_h")
        for n, value in enumerate(found):
            if value <= 0:
                check.fault(n, "half_life_h", f"{value:g} is not positive")
        return found
    if not check.has("nuclide"):
        raise InputError(f"{check.table.path}: needs a column 'nuclide' or 'half_life_h'")
    found = []
    for n, name in enumerate(check.texts("nuclide")):
        try:
            found.append(find_nuclide(name).half_life_h)
        except UnknownNameError as error:
            found.append(math.nan)
            check.fault(n, "nuclide", str(error))
    return found


def _own(check: TableCheck, territory: str | None) -> list[bool]:
    """Whether each treatment was one of the territory."""
    path = check.table.path
    if not check.has("territory"):
        if territory is not None:
            raise InputError(f"{path}: there is no column 'territory', so {territory!r} cannot be chosen")
        return [True] * len(check.table)
    names = check.texts("territory")
    if territory is None and len(set(names)) > 1:
        listed = ", ".join(sorted(set(names)))
        raise InputError(f"{path}: has territories {listed}", remedy="name one (`territory`)")
    return [territory is None or name == territory for name in names]
