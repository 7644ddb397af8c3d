"""From a table of past treatments to what the next one may still give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date
from pathlib import Path

from hepatica.core import InputFile, Provenance
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import NonNegative, Positive, options, parameters, verb
from hepatica.core.tables.table import Cell, Table
from hepatica.dosimetry.radiobiology import LIVER, Prediction
from hepatica.errors import InputError
from hepatica.io.dicom.identity.inputs import input_file
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
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.planning.measured.earlier_results import document_of
from hepatica.planning.measured.treatment_results import AbsorbedDose, absorbed_dose_of
from hepatica.report.figures.outcome import draw_adaptive, save
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import require_one_patient

MORE_THAN_MEAN = 1.1
"""Mean dose of a part over that of the whole normal liver, from which on the whole does not stand for the part."""


@options
class DoseResultOptions:
    """Past treatments from results of their absorbed dose.

    Attributes
    ----------
    dose_results : tuple of path
        Result of the absorbed dose of each past treatment (of the territory, where one is named): instant, half-life,
        dose of lungs and of normal liver (of a territory: its normal liver).
    normal_structure : str or None
        Structure of those results that is the normal liver, where there is not one alone.
    """

    dose_results: tuple[Path, ...] = ()
    normal_structure: str | None = None


@result
class ToleranceResult(Result):
    """What a territory may still receive, and what each activity would do; a plan reads its ``result.json``."""

    verb = "remaining_tolerance"

    coming: NextTreatment = field(metadata=HIDDEN)
    prospect: Prospect = field(metadata=INLINE)
    normal_liver_so_far_gy: float | None = field(default=None, metadata=HIDDEN)

    @property
    @reported
    def for_plan(self) -> Allowance:
        """What the planner takes over."""
        r = self.prospect.remaining
        return Allowance(
            self.prospect.territory, r.normal_dose_gy, r.lung_dose_gy, r.lung_dose_so_far_gy, r.delivered_bed_gy,
            r.tolerance_bed_gy, self.coming.nuclide, self.prospect.treatments,
            tuple(caution.text for caution in r.cautions), self.normal_liver_so_far_gy,
            r.normal_dose_surely_gy, r.lung_dose_surely_gy,
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
                _within(a), *(p.probability for p in _curves(a)), _published(a),
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


def _within(found: ActivityPrediction) -> Cell:
    """Whether an activity keeps what is left; open where the interval of an earlier dose decides it."""
    return "open" if found.within and found.within_surely is False else found.within


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
    table: Path | str | Sequence[PastTreatment] | None = None,
    *,
    coming: NextTreatment,
    tolerance_bed_gy: Positive,
    territory: str | None = None,
    results: DoseResultOptions = DoseResultOptions(),
    planned_gbq: tuple[NonNegative, ...] = (),
    status: PatientStatus = PatientStatus(),
    sheet: str | None = None,
) -> ToleranceResult:
    """What the next treatment of a patient may still give to liver and lungs.

    Parameters
    ----------
    table : path, sequence of PastTreatment, or None
        CSV or Excel, one row for each past treatment: date, normal_gy, lung_gy, nuclide or half_life_h, optionally
        territory.
    coming : NextTreatment
        What the next treatment would do per GBq.
    tolerance_bed_gy : float
        BED that the normal liver may reach in all.
    territory : str or None
        Territory of the next treatment; those of others count for the lungs alone.
    results : DoseResultOptions
        Past treatments from results of their absorbed dose, in place of rows of the table or beside them.
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
        If there are several territories and none is named, there is neither table nor result, or results are of two
        patients or lack what is needed.
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
        past = list(table or ())
    from_results, whole, said, files = _from_results(results, territory, coming)
    whole += [treatment.normal_dose_gy if territory is None else None for treatment in past]
    past += from_results
    if not past and table is None:
        raise InputError("no past treatment is given", remedy="give `table` or `dose_results`")
    if doubled := sorted(_doubled(past, from_results)):
        text = f"two treatments of {', '.join(map(str, doubled))}, one of a result: counted twice if they are the same"
        said = (*said, Message("treatment-counted-twice", text, "leave one out", "critical"))
    found = prospect(
        past, coming, tolerance_bed_gy=tolerance_bed_gy, territory=territory, activities_gbq=planned_gbq, status=status
    )
    return ToleranceResult(
        coming=coming,
        prospect=found,
        normal_liver_so_far_gy=_sum_of(whole),
        messages=unique(said, found.messages),
        provenance=Provenance(
            inputs=(*inputs, *files),
            parameters=parameters(
                coming, status, results, tolerance_bed_gy=tolerance_bed_gy, territory=territory, planned_gbq=planned_gbq
            ),
            conventions={"BED": f"alpha/beta {LIVER.alpha_beta_gy:g} Gy, repair {LIVER.repair.half_time_h:g} h"},
        ),
    )


def _from_results(
    given: DoseResultOptions, territory: str | None, coming: NextTreatment
) -> tuple[list[PastTreatment], list[float | None], tuple[Message, ...], tuple[InputFile, ...]]:
    """Past treatments of results of `absorbed_dose`, their dose of the whole normal liver, messages and files."""
    past: list[PastTreatment] = []
    whole: list[float | None] = []
    said: list[Message] = []
    files: list[InputFile] = []
    for path in map(Path, given.dose_results):
        found = absorbed_dose_of(path)
        if found.administered_at is None:
            raise InputError(f"{path}: the time of the administration is not known", remedy="give `table`")
        if found.lung_dose_gy is None:
            raise InputError(
                f"{path}: holds no lung dose", remedy="draw the lungs or state the lung shunt of that dose"
            )
        hours = min(found.half_lives_h)
        if len(found.half_lives_h) > 1:
            text = f"{path}: of several half-lives the shortest, {hours:.4g} h, is used for the BED: never less BED"
            said.append(Message("bed-half-life", text, severity="note"))
        at = found.administered_at.replace(tzinfo=None)
        if coming.next_at.tzinfo is not None:
            at = found.administered_at.replace(tzinfo=found.administered_at.tzinfo or coming.next_at.tzinfo)
        role = "normal_liver" if territory is None else "perfused_normal"
        dose = found.normal_dose_gy(role, given.normal_structure)
        normal_name = found.normal_name(role, given.normal_structure)
        livers = [gray for is_role, gray in found.structures.values() if is_role == "normal_liver"]
        whole.append(dose if territory is None else livers[0] if len(livers) == 1 else None)
        past.append(
            PastTreatment(
                at,
                max(0.0, dose),
                max(0.0, found.lung_dose_gy),
                hours,
                territory,
                found.highs_gy.get(normal_name),
                found.lung_high_gy,
            )
        )
        said += [*found.messages, *_about_organ(found, territory, dose), *_about_cut(found, normal_name)]
        said += _about_cut(found, found.lungs_by_image)
        said += _below_zero(found, {normal_name: dose, found.lungs_by_image or "the lungs": found.lung_dose_gy})
        files.append(InputFile.of("dose", document_of(path)))
    require_one_patient([input_file("dose", path / "dose.dcm") for path in _folders(given)])
    return past, whole, tuple(said), tuple(files)


def _sum_of(doses: Sequence[float | None]) -> float | None:
    """All together; None where one is not known."""
    known = [dose for dose in doses if dose is not None]
    return math.fsum(known) if len(known) == len(doses) else None


def _about_organ(found: AbsorbedDose, territory: str | None, judged_gy: float) -> list[Message]:
    """What is said where the whole liver is judged though a part had more, or a part that the result does not name."""
    if territory is not None:
        perfused = [name for name, (role, _) in found.structures.items() if role == "perfused"]
        if not perfused or territory in perfused:
            return []
        text = (
            f"{found.source}: its perfused volume is called {', '.join(perfused)}; its normal liver is counted as that "
            f"of {territory!r}"
        )
        return [Message("other-territory", text, "give treatments of other territories in `table`")]
    parts = [(gray, name) for name, (role, gray) in found.structures.items() if role == "perfused_normal"]
    most, name = max(parts, default=(0.0, ""))
    if not most > MORE_THAN_MEAN * judged_gy:
        return []
    text = (
        f"{found.source}: what is left is for the mean of the whole normal liver, which had {judged_gy:.4g} Gy; "
        f"{name!r} had {most:.4g} Gy and is not judged"
    )
    return [Message("territory-not-judged", text, "name the `territory` if the next treatment is of it", "critical")]


def _about_cut(found: AbsorbedDose, name: str) -> list[Message]:
    """What is said where the image behind an earlier dose does not see all of a structure that is judged."""
    share = found.seen_shares.get(name, 1.0)
    if share >= SEEN_WHOLE:
        return []
    text = (
        f"{found.source}: its activity image sees {100 * share:.0f} % of {name!r}: the dose so far is that of this "
        "part, and that of the whole is not known"
    )
    remedy = "take a dose of an image that sees it whole, or give `table`"
    return [Message("structure-not-seen-whole", text, remedy, "critical")]


def _below_zero(found: AbsorbedDose, doses: Mapping[str, float]) -> list[Message]:
    """That a mean which noise brought below zero counts as none."""
    below = [f"{name!r} {gray:.3g} Gy" for name, gray in doses.items() if gray < 0]
    if not below:
        return []
    text = f"{found.source}: mean doses below zero, noise of the activity image, count as none: {', '.join(below)}"
    return [Message("mean-below-zero", text, severity="note")]


def _folders(given: DoseResultOptions) -> list[Path]:
    """Folders of the results that hold a DICOM dose, which says whose it is."""
    folders = [path if path.is_dir() else path.parent for path in map(Path, given.dose_results)]
    return [folder for folder in folders if (folder / "dose.dcm").is_file()]


def _doubled(past: Sequence[PastTreatment], results: Sequence[PastTreatment]) -> set[date]:
    """Days with more than one treatment, one of them a result."""
    days = [treatment.administered_at.date() for treatment in past]
    return {day for one in results if days.count(day := one.administered_at.date()) > 1}
