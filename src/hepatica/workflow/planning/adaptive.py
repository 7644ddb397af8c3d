"""From a table of past treatments to what the next one may still give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path

from hepatica.core import InputFile, Provenance
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.options import NonNegative, Positive, parameters, verb
from hepatica.core.table import Cell, Table
from hepatica.dosimetry.radiobiology import LIVER, Prediction
from hepatica.io.tables import read_table
from hepatica.outcome.adaptive import (
    ActivityPrediction,
    NextTreatment,
    PastTreatment,
    PatientStatus,
    Prospect,
    past_treatments,
    prospect,
)
from hepatica.planning.limits.allowance import Allowance
from hepatica.report.figures.outcome import draw_adaptive, save
from hepatica.workflow.result import Result, result


@result
class ToleranceResult(Result):
    """What a territory may still receive, and what each activity would do; a plan reads its ``result.json``."""

    verb = "remaining_tolerance"

    coming: NextTreatment = field(metadata=HIDDEN)
    prospect: Prospect = field(metadata=INLINE)

    @property
    @reported
    def for_plan(self) -> Allowance:
        """What the planner takes over."""
        r = self.prospect.remaining
        return Allowance(
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
    return (
        f"{sum(p.model_dose_gy >= p.model.reference_dose_gy.value for p in points)} of {len(points)}" if points else "–"
    )


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
    >>> found = hepatica.remaining_tolerance("course.csv", coming=coming, tolerance_bed_gy=93.0)  # doctest: +SKIP
    >>> found.prospect.remaining.limited_by  # doctest: +SKIP
    'normal liver'
    """
    inputs: tuple[InputFile, ...] = ()
    if isinstance(table, str | Path):
        past = past_treatments(read_table(table, sheet=sheet), coming)
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
