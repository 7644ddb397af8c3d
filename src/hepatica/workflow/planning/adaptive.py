"""From a table of past treatments to what the next one may still give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path

from hepatica.core import InputFile, Provenance
from hepatica.core.document import document
from hepatica.dosimetry.radiobiology import LIVER, ResponseModel
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.tables import Table, TableCheck
from hepatica.outcome.adaptive import (
    ActivityPrediction,
    NextTreatment,
    PastTreatment,
    PatientStatus,
    Prospect,
    prospect,
)
from hepatica.report.figures.outcome import draw_adaptive, save
from hepatica.workflow.result import Result, result


@dataclass(frozen=True, slots=True)
class PlanAllowance:
    """What the planner takes over from this result."""

    territory: str | None
    normal_gy: float
    lung_gy: float
    lung_so_far_gy: float
    delivered_bed_gy: float
    tolerance_bed_gy: float
    remaining: Remaining
    options: tuple[Option, ...]
    reading: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys; null for an activity without a limit."""
        r = self.remaining
        return {
            "territory": self.territory,
            "treatments": len(self.delivered),
            "tolerance_bed_gy": self.tolerance_bed_gy,
            "delivered_bed_gy": r.delivered_bed_gy,
            "remaining_bed_gy": r.remaining_bed_gy,
            "normal_dose_gy": r.normal_dose_gy,
            "lung_dose_gy": r.lung_dose_gy,
            "lung_dose_so_far_gy": math.fsum(d.lung_dose_gy for d in self.delivered),
            "activity_gbq": r.activity_gbq,
            "limited_by": r.limited_by,
            "days_since_last": r.days_since_last,
            "cautions": list(r.cautions),
            "options": [
                {
                    "activity_gbq": o.activity_gbq,
                    "tumour_dose_gy": o.tumour_dose_gy,
                    "normal_dose_gy": o.normal_dose_gy,
                    "lung_dose_gy": o.lung_dose_gy,
                    "cumulative_normal_bed_gy": o.cumulative_normal_bed_gy,
                    "within": o.within,
                    "tcp": [document(p) for p in o.tcp],
                    "ntcp": [document(p) for p in o.ntcp],
                }
                for o in self.options
            ],
            "for_plan": {
                "territory": self.territory,
                "normal_gy": r.normal_dose_gy,
                "lung_gy": r.lung_dose_gy,
                "lung_so_far_gy": math.fsum(d.lung_dose_gy for d in self.delivered),
                "delivered_bed_gy": r.delivered_bed_gy,
                "tolerance_bed_gy": self.tolerance_bed_gy,
                "nuclide": self.coming.nuclide,
                "treatments": len(self.delivered),
                "cautions": list(r.cautions),
            },
            "reading": list(self.reading),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


@result
class ToleranceResult(Result):
    """What a territory may still receive, and what each activity would do; a plan reads its ``result.json``."""

    verb = "remaining_tolerance"

    coming: NextTreatment = field(metadata=HIDDEN)
    prospect: Prospect = field(metadata=INLINE)

    @property
    @reported
    def for_plan(self) -> PlanAllowance:
        """What the planner takes over."""
        r = self.prospect.remaining
        return PlanAllowance(
            self.prospect.territory, r.normal_dose_gy, r.lung_dose_gy, r.lung_dose_so_far_gy, r.delivered_bed_gy,
            r.tolerance_bed_gy, self.coming.nuclide, self.prospect.treatments,
            tuple(caution.text for caution in r.cautions),
        )  # fmt: skip

    def title(self) -> str:
        """What is left."""
        return self.prospect.remaining.reading

    def table(self) -> Table:
        """Doses, BED and predictions for each activity of the next treatment."""
        activities, territory = self.prospect.activities, self.prospect.territory
        curves = [p.model.name for p in _curves(activities[0])] if activities else []
        rows: list[tuple[Cell, ...]] = [
            (
                a.activity_gbq, a.tumour_dose_gy, a.normal_dose_gy, a.lung_dose_gy, a.cumulative_normal_bed_gy,
                a.within, *(p.probability for p in _curves(a)), _published(a),
            )
            for a in activities
        ]  # fmt: skip
        columns = (
            "GBq", "tumour, Gy", "normal, Gy", "lungs, Gy", "BED in all, Gy", "within",
            *(f"probability by {name}" for name in curves), "published doses reached",
        )  # fmt: skip
        where = f", {territory}" if territory else ""
        return Table.of(columns, rows, f"By activity of the next treatment{where}", "activities")

    def write(self, folder: Path) -> None:
        """Write ``next.svg``: tumour dose and BED of the normal liver against activity."""
        remaining = self.prospect.remaining
        figure = draw_adaptive(self.prospect.activities, remaining.tolerance_bed_gy, remaining.activity_gbq)
        save(figure, folder / "next.svg")


def _curves(found: ActivityPrediction) -> list[Prediction]:
    return [p for p in (*found.tcp, *found.ntcp) if p.probability is not None]


def _published(found: ActivityPrediction) -> str:
    """On which side of the published doses an activity is, by models that state a dose and no curve."""
    points = [p for p in (*found.tcp, *found.ntcp) if p.probability is None]
    return f"{sum(p.dose_gy >= p.model.d50_gy.value for p in points)} of {len(points)}" if points else "–"


@verb
def remaining_tolerance(
    table: Path | str | Sequence[PastTreatment],
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
    table : path, or sequence of PastTreatment
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
        If there are several territories and none is named.
    EvidenceError
        If nothing limits the activity and no activities are given.

    Examples
    --------
    >>> coming = hepatica.NextTreatment(next_at=datetime(2026, 6, 1, 10), normal_dose_gy_per_gbq=15.0,
    ...                                 tumour_dose_gy_per_gbq=60.0, lung_dose_gy_per_gbq=2.0)
    >>> hepatica.remaining_tolerance("course.csv", coming=coming, tolerance_bed_gy=93.0).prospect.remaining.limited_by
    'normal liver'
    """
    inputs: tuple[InputFile, ...] = ()
    if isinstance(table, str | Path):
        past = _read(table, coming, sheet)
        inputs = (InputFile.of("table", Path(table)),)
    else:
        past = list(table)
    found = prospect(
        past, coming, tolerance_bed_gy=tolerance_bed_gy, territory=territory, activities_gbq=planned_gbq, status=status
    )
    return ToleranceResult(
        coming=coming,
        prospect=found,
        messages=found.messages,
        provenance=Provenance(
            inputs=inputs,
            parameters=parameters(
                coming, status, tolerance_bed_gy=tolerance_bed_gy, territory=territory, planned_gbq=planned_gbq
            ),
            conventions={"BED": f"alpha/beta {LIVER.alpha_beta_gy:g} Gy, repair {LIVER.repair.half_time_h:g} h"},
        ),
    )


def _warnings(steps: Sequence[Option], models: Sequence[ResponseModel], coming: NextTreatment) -> list[str]:
    found = [m for o in steps[:1] for p in (*o.tcp, *o.ntcp) for m in p.messages]
    warnings = [str(m) for m in found if m.code == "model-confidence"]
    if not any(m.kind == "ntcp" and m.has_curve for m in models):
        warnings.append(f"no toxicity curve is published for {coming.nuclide} {coming.agent}: no NTCP is stated")
    if any(m.kind == "ntcp" for m in models):
        warnings.append(
            "toxicity models were fitted on the whole non-tumorous liver and one treatment: normal_gy must be its mean "
            "dose, not that of a territory, for the NTCP to mean anything"
        )
    if any(m.metric == "bed" for m in models):
        warnings.append("models of BED take the BED of mean doses for the mean of voxel BED, which is higher")
    return warnings


def _fits(model: ResponseModel, coming: NextTreatment) -> bool:
    """Models of this nuclide and agent whose metric a mean dose can stand for."""
    metrics = ("mean_dose", "bed") if model.kind == "ntcp" else ("mean_dose",)
    return bool(coming.agent) and model.treats(coming.nuclide, coming.agent) and model.metric in metrics


def _delivered(check: TableCheck, coming: NextTreatment) -> list[Delivered]:
    dates = check.dates("date")
    normal, lung = check.numbers("normal_gy", at_least=0), check.numbers("lung_gy", at_least=0)
    half_lives = _half_lives(check)
    territories = check.texts("territory") if check.has("territory") else [None] * len(dates)
    found = []
    for n, when in enumerate(dates):
        if when is None:
            continue
        at = datetime.combine(when, time(), coming.next_at.tzinfo)
        if at >= coming.next_at:
            check.fault(n, "date", f"{when} is not before the next treatment, {coming.next_at.isoformat()}")
        if not (math.isnan(normal[n] + lung[n] + half_lives[n]) or min(normal[n], lung[n]) < 0 or half_lives[n] <= 0):
            found.append(PastTreatment(at, normal[n], lung[n], half_lives[n], territories[n]))
    check.done()
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
