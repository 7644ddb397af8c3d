"""What a next treatment may still give, after what was delivered: an input to the planner.

Normal tissue adds up as BED over all treatments of a territory, without credit for regeneration of the liver; the lungs
add up as absorbed dose (30 Gy a treatment, 50 Gy in all). No limit here is a recommendation: tolerance values are the
user's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Annotated, Literal

from hepatica.core import seconds_between
from hepatica.core.constants import SECONDS_PER_DAY, SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import Limits, NonNegative, Positive, options
from hepatica.core.options.values import value_class
from hepatica.core.tables.input_table import InputTable, TableCheck
from hepatica.dosimetry.radiobiology import (
    LIVER,
    DoseRate,
    Prediction,
    ResponseModel,
    Tissue,
    Treatment,
    course_bed_gy,
    predict,
    response_models,
)
from hepatica.errors import EvidenceError, InputError, PhysicsError, UnknownNameError
from hepatica.nuclides import nuclide, require_carried
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.nuclides.agents import Indication
from hepatica.outcome.models_said import about_indication, about_models

STEPS = 8
"""Activities listed by default: equal steps up to the largest one allowed, and a quarter beyond."""

LUNG_TREATMENT_GY = 30.0
LUNG_COURSE_GY = 50.0
"""Absorbed dose to 1 kg of lung per treatment and in all (van Roekel, thesis 2019, p 30 and 41; labels)."""

BILIRUBIN_CAUTION_MG_DL = 2.0
"""Usual exclusion for treatment of more than a segment (well established)."""


@value_class
@dataclass(frozen=True, slots=True)
class PastTreatment:
    """One past treatment of a territory.

    Attributes
    ----------
    administered_at : datetime
        Administration.
    normal_dose_gy : float
        Mean absorbed dose to the normal tissue of the territory.
    lung_dose_gy : float
        Mean absorbed dose to the lungs.
    effective_half_life_h : float
        In the patient.
    territory : str or None
        Its name; None where there is only one.
    normal_high_gy, lung_high_gy : float or None
        Upper ends of the 95 % intervals of both doses; None where they have none.
    """

    administered_at: datetime
    normal_dose_gy: float
    lung_dose_gy: float
    effective_half_life_h: float
    territory: str | None = None
    normal_high_gy: float | None = None
    lung_high_gy: float | None = None

    def __post_init__(self) -> None:
        highs = [end for end in (self.normal_high_gy, self.lung_high_gy) if end is not None]
        if min(self.normal_dose_gy, self.lung_dose_gy, *highs) < 0 or not self.effective_half_life_h > 0:
            raise PhysicsError("doses must not be negative, the half-life must be positive")

    @property
    def has_interval(self) -> bool:
        """Whether one of both doses has an interval."""
        return self.normal_high_gy is not None or self.lung_high_gy is not None

    @property
    def lacks_interval(self) -> bool:
        """Whether one of both doses, where there is any, has no interval."""
        ends = ((self.normal_dose_gy, self.normal_high_gy), (self.lung_dose_gy, self.lung_high_gy))
        return any(dose > 0 and high is None for dose, high in ends)

    def at_high(self) -> PastTreatment:
        """The treatment with both doses at their upper ends; one without an interval stays what it is."""
        normal = self.normal_dose_gy if self.normal_high_gy is None else self.normal_high_gy
        lung = self.lung_dose_gy if self.lung_high_gy is None else self.lung_high_gy
        return replace(self, normal_dose_gy=normal, lung_dose_gy=lung, normal_high_gy=None, lung_high_gy=None)


@options
class NextTreatment:
    """What the next treatment would do per GBq.

    Attributes
    ----------
    next_at : datetime
        Planned administration.
    normal_dose_gy_per_gbq : float
        Mean dose to the normal liver, from the last dose map, a new scout, or a model.
    tumour_dose_gy_per_gbq : float
        Mean tumour dose.
    lung_dose_gy_per_gbq : float
        Mean lung dose.
    nuclide : str
        Radionuclide.
    agent : str
        Carrier: glass, resin, PLLA, lipiodol; without it no published model is used.
    effective_half_life_h : float or None
        Half-life in the patient; the physical one if not given.
    """

    next_at: datetime
    normal_dose_gy_per_gbq: NonNegative
    tumour_dose_gy_per_gbq: NonNegative
    lung_dose_gy_per_gbq: NonNegative
    nuclide: str = "Y-90"
    agent: str = ""
    effective_half_life_h: Positive | None = None

    def __post_init__(self) -> None:
        require_carried(self.agent, self.nuclide)

    @property
    def half_life_h(self) -> float:
        """Effective half-life."""
        return self.effective_half_life_h or nuclide(self.nuclide).half_life_h


@options
class PatientStatus:
    """State of patient and tumour now.

    Attributes
    ----------
    tumour_response : {"CR", "PR", "SD", "PD"} or None
        Response so far.
    bilirubin_mg_dl : float or None
        Bilirubin now.
    child_pugh_points : int or None
        Child-Pugh points now.
    albi_before : float or None
        ALBI before the last treatment.
    albi_now : float or None
        ALBI now.
    indication : {"HCC", "ICC", "mCRC", "other"} or None
        Disease: published models of others are left out.
    """

    tumour_response: Literal["CR", "PR", "SD", "PD"] | None = None
    bilirubin_mg_dl: NonNegative | None = None
    child_pugh_points: Annotated[int, Limits(low=5, high=15)] | None = None
    albi_before: float | None = None
    albi_now: float | None = None
    indication: Indication | None = None


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a territory may still receive.

    Attributes
    ----------
    tolerance_bed_gy : float
        BED that the normal tissue may reach in all.
    delivered_bed_gy : float
        BED of the normal tissue so far.
    remaining_bed_gy : float
        Tolerance less that; negative if it is exceeded.
    normal_dose_gy : float
        Largest further mean dose to the normal tissue, Gy; 0 if the tolerance is used up.
    lung_dose_gy : float
        Largest further dose to the lungs, Gy.
    lung_dose_so_far_gy : float
        From all past treatments.
    activity_gbq : float
        Largest activity by the two.
    limited_by : str
        "normal liver", "lungs: treatment", "lungs: course".
    days_since_last : float or None
        Since the last treatment; None for the first.
    cautions : tuple of Message
        What speaks against treating, from response and liver function, and how little may be left.
    normal_dose_surely_gy, lung_dose_surely_gy, activity_surely_gbq : float or None
        The same three if every earlier dose lay at the upper end of its 95 % interval; None where none has one.
    """

    tolerance_bed_gy: float
    delivered_bed_gy: float
    remaining_bed_gy: float
    normal_dose_gy: float
    lung_dose_gy: float
    lung_dose_so_far_gy: float
    activity_gbq: float
    limited_by: str
    days_since_last: float | None
    cautions: tuple[Message, ...] = field(metadata=HIDDEN)
    normal_dose_surely_gy: float | None = None
    lung_dose_surely_gy: float | None = None
    activity_surely_gbq: float | None = None

    @property
    @reported
    def reading(self) -> str:
        """What it comes to, in words."""
        if self.remaining_bed_gy <= 0:
            had = f"{self.delivered_bed_gy:.4g} Gy BED of {self.tolerance_bed_gy:g} Gy"
            return f"The normal liver has had {had} tolerated: nothing is left."
        if math.isinf(self.activity_gbq):
            return "Neither liver nor lungs receive dose from the next treatment: nothing limits the activity."
        had = f"Of {self.tolerance_bed_gy:g} Gy BED the normal liver has had {self.delivered_bed_gy:.4g} Gy"
        left = f"{self.normal_dose_gy:.4g} Gy of absorbed dose are left, {self.lung_dose_gy:.4g} Gy for the lungs"
        return f"{had}; {left}. At most {self.activity_gbq:.4g} GBq, limited by {self.limited_by}."


def remaining_tolerance(
    past: Sequence[PastTreatment],
    coming: NextTreatment,
    *,
    tolerance_bed_gy: float,
    tissue: Tissue = LIVER,
    status: PatientStatus = PatientStatus(),
) -> Remaining:
    """What the next treatment of a territory may still give.

    Parameters
    ----------
    past : sequence of PastTreatment
        Treatments of the territory (and of the lungs) that were given.
    coming : NextTreatment
        The planned one.
    tolerance_bed_gy : float
        BED that the normal tissue may reach in all, Gy (for example 93 Gy: 50 % toxicity after resin by Strigari 2010).
    tissue : Tissue
        alpha/beta and repair of the normal tissue.
    status : PatientStatus
        Response and liver function now.

    Raises
    ------
    PhysicsError
        If the planned treatment is not after the past ones.
    """
    found = _remaining(past, coming, tolerance_bed_gy, tissue, status)
    if not any(treatment.has_interval for treatment in past):
        return found
    high = _remaining([treatment.at_high() for treatment in past], coming, tolerance_bed_gy, tissue, status)
    text = (
        "if earlier doses lay at the upper ends of their 95 % intervals, only "
        f"{high.normal_dose_gy:.4g} Gy of absorbed dose would be left for the normal liver, {high.lung_dose_gy:.4g} Gy "
        f"for the lungs, {high.activity_gbq:.4g} GBq"
    )
    remedy = "take that where the limit must be kept for certain"
    bare = sum(treatment.lacks_interval for treatment in past)
    if bare:
        text += (
            f"; the dose of {bare} of {len(past)} treatments has no interval and counts with its mean, so that less "
            "may be left"
        )
        remedy = "state the uncertainty of the activity in the image of each treatment: nothing is certain without it"
    caution = Message("left-by-upper-ends", text, remedy)
    return replace(
        found, cautions=(*found.cautions, caution), normal_dose_surely_gy=high.normal_dose_gy,
        lung_dose_surely_gy=high.lung_dose_gy, activity_surely_gbq=high.activity_gbq,
    )  # fmt: skip


def _remaining(
    past: Sequence[PastTreatment],
    coming: NextTreatment,
    tolerance_bed_gy: float,
    tissue: Tissue,
    status: PatientStatus,
) -> Remaining:
    if any(seconds_between(d.administered_at, coming.next_at) <= 0 for d in past):
        raise PhysicsError("the next treatment must come after those that were given")
    if not tolerance_bed_gy > 0:
        raise PhysicsError(f"the tolerance must be positive, not {tolerance_bed_gy} Gy")
    bed = _cumulative_bed(past, coming, 0.0, tissue)
    normal = _largest_dose(past, coming, tolerance_bed_gy, tissue)
    lung_so_far = math.fsum(d.lung_dose_gy for d in past)
    lung = max(0.0, min(LUNG_TREATMENT_GY, LUNG_COURSE_GY - lung_so_far))
    lungs_by = "lungs: treatment" if lung == LUNG_TREATMENT_GY else "lungs: course"
    by_normal = math.inf if coming.normal_dose_gy_per_gbq == 0 else normal / coming.normal_dose_gy_per_gbq
    by_lung = math.inf if coming.lung_dose_gy_per_gbq == 0 else lung / coming.lung_dose_gy_per_gbq
    last = max((d.administered_at for d in past), default=None)
    return Remaining(
        tolerance_bed_gy,
        bed,
        tolerance_bed_gy - bed,
        normal,
        lung,
        lung_so_far,
        min(by_normal, by_lung),
        "normal liver" if by_normal <= by_lung else lungs_by,
        None if last is None else seconds_between(last, coming.next_at) / SECONDS_PER_DAY,
        _cautions(status),
    )


def _cumulative_bed(past: Sequence[PastTreatment], coming: NextTreatment, dose_gy: float, tissue: Tissue) -> float:
    course = [
        Treatment(
            seconds_between(coming.next_at, d.administered_at) / SECONDS_PER_HOUR,
            d.normal_dose_gy,
            DoseRate.exponential(d.effective_half_life_h),
        )
        for d in past
    ]
    course.append(Treatment(0.0, dose_gy, DoseRate.exponential(coming.half_life_h)))
    return float(course_bed_gy(course, tissue))


def _largest_dose(
    past: Sequence[PastTreatment], coming: NextTreatment, tolerance_bed_gy: float, tissue: Tissue
) -> float:
    """Dose at which the cumulative BED reaches the tolerance, by bisection (BED grows with dose, and exceeds it)."""
    if _cumulative_bed(past, coming, 0.0, tissue) >= tolerance_bed_gy:
        return 0.0
    low, high = 0.0, tolerance_bed_gy
    while high - low > 1e-9 * tolerance_bed_gy:
        middle = 0.5 * (low + high)
        if _cumulative_bed(past, coming, middle, tissue) > tolerance_bed_gy:
            high = middle
        else:
            low = middle
    return low


def _cautions(status: PatientStatus) -> tuple[Message, ...]:
    found = []
    if status.tumour_response == "CR":
        found.append(Message("complete-response", "complete response: nothing is left to treat"))
    if status.bilirubin_mg_dl is not None and status.bilirubin_mg_dl > BILIRUBIN_CAUTION_MG_DL:
        text = f"bilirubin {status.bilirubin_mg_dl:g} mg/dL is above {BILIRUBIN_CAUTION_MG_DL:g} mg/dL"
        found.append(Message("bilirubin-high", text))
    if status.child_pugh_points is not None and status.child_pugh_points > 7:
        found.append(Message("child-pugh-high", f"Child-Pugh {status.child_pugh_points} points"))
    if status.albi_before is not None and status.albi_now is not None and status.albi_now > status.albi_before + 0.3:
        text = f"ALBI has risen by {status.albi_now - status.albi_before:.2f} since the last treatment"
        found.append(Message("albi-risen", text))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ActivityPrediction:
    """What one activity of the next treatment would give.

    Attributes
    ----------
    activity_gbq : float
        Administered activity.
    tumour_dose_gy, normal_dose_gy, lung_dose_gy : float
        Mean doses of this treatment.
    cumulative_normal_bed_gy : float
        BED of the normal tissue over all treatments.
    within : bool
        Whether it stays within tolerance and lung limits, by the mean doses of earlier treatments.
    within_surely : bool or None
        Whether it does with earlier doses at the upper ends of their 95 % intervals; None where none has one.
    tcp, ntcp : tuple of Prediction
        Published models: response at this tumour dose, toxicity at the normal tissue's cumulative dose or BED.
    """

    activity_gbq: float
    tumour_dose_gy: float
    normal_dose_gy: float
    lung_dose_gy: float
    cumulative_normal_bed_gy: float
    within: bool
    tcp: tuple[Prediction, ...]
    ntcp: tuple[Prediction, ...]
    within_surely: bool | None = None


def predict_activities(
    past: Sequence[PastTreatment],
    coming: NextTreatment,
    activities_gbq: Sequence[float],
    *,
    tolerance_bed_gy: float,
    models: Sequence[ResponseModel] = (),
    tissue: Tissue = LIVER,
) -> tuple[ActivityPrediction, ...]:
    """Predicted doses, BED, TCP and NTCP for a range of activities, for the planner.

    `models` with a "bed" metric take the cumulative BED; those with "mean_dose" the sum of absorbed doses, which for
    NTCP overlooks that the treatments were apart.
    """
    limit = remaining_tolerance(past, coming, tolerance_bed_gy=tolerance_bed_gy, tissue=tissue)
    out = []
    for activity in activities_gbq:
        if activity < 0:
            raise PhysicsError(f"activity must not be negative ({activity} GBq)")
        normal, tumour, lung = (
            activity * gy
            for gy in (coming.normal_dose_gy_per_gbq, coming.tumour_dose_gy_per_gbq, coming.lung_dose_gy_per_gbq)
        )
        bed = _cumulative_bed(past, coming, normal, tissue)
        together = normal + math.fsum(d.normal_dose_gy for d in past)
        tcp, ntcp = [], []
        for model in models:
            if model.kind == "tcp" and model.metric == "mean_dose":
                tcp.append(predict(model, tumour, nuclide=coming.nuclide, agent=coming.agent))
            elif model.kind == "ntcp":
                dose = bed if model.metric == "bed" else together
                ntcp.append(predict(model, dose, nuclide=coming.nuclide, agent=coming.agent))
        kept, sure = (
            None if most is None else activity <= most * (1 + 1e-9)
            for most in (limit.activity_gbq, limit.activity_surely_gbq)
        )
        out.append(ActivityPrediction(activity, tumour, normal, lung, bed, bool(kept), (*tcp,), (*ntcp,), sure))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What the next treatment of a territory may still give, and what each activity would do.

    Attributes
    ----------
    territory : str or None
        Of the next treatment.
    treatments : int
        How many were given.
    remaining : Remaining
        Dose and activity that are left.
    activities : tuple of ActivityPrediction
        As asked for, or equal steps up to the largest one allowed and beyond.
    messages : tuple of Message
        Cautions, what the models rest on.
    """

    territory: str | None
    treatments: int
    remaining: Remaining = field(metadata=INLINE)
    activities: tuple[ActivityPrediction, ...]
    messages: tuple[Message, ...] = field(metadata=HIDDEN)


def prospect(
    past: Sequence[PastTreatment],
    coming: NextTreatment,
    *,
    tolerance_bed_gy: float,
    territory: str | None = None,
    activities_gbq: Sequence[float] = (),
    status: PatientStatus = PatientStatus(),
) -> Prospect:
    """What the next treatment of a territory may still give, with the published models of its nuclide and agent.

    A treatment of another territory counts for the lungs alone.

    Raises
    ------
    InputError
        If there are several territories and none is named, or one is named and the treatments state none.
    EvidenceError
        If nothing limits the activity and no activities are given.
    """
    coming = replace(coming, nuclide=nuclide(coming.nuclide).name)
    own = _own(past, territory)
    counted = [
        t if mine else replace(t, normal_dose_gy=0.0, normal_high_gy=None) for t, mine in zip(past, own, strict=True)
    ]
    found = remaining_tolerance(counted, coming, tolerance_bed_gy=tolerance_bed_gy, status=status)
    published = [model for model in response_models().values() if _fits(model, coming)]
    models = [m for m in published if status.indication is None or {"*", status.indication} & {*m.indications}]
    steps = predict_activities(
        counted, coming, activities_gbq or _steps(found), tolerance_bed_gy=tolerance_bed_gy, models=models
    )
    used = [p.model for step in steps[:1] for p in (*step.tcp, *step.ntcp)]
    messages = about_models(used, models, f"{coming.nuclide} {coming.agent}".strip())
    messages += about_indication(published, models, status.indication)
    if territory is not None and not any(own):
        text = f"there is no treatment of {territory!r}: its normal liver is taken as not treated before"
        messages.append(Message("territory-not-treated", text))
    return Prospect(territory, len(past), found, steps, unique(messages, found.cautions, _notes(found)))


def _own(past: Sequence[PastTreatment], territory: str | None) -> list[bool]:
    """Whether each treatment was one of the territory."""
    names = {treatment.territory for treatment in past}
    if territory is None and len(names) > 1:
        listed = ", ".join(sorted(name or "unnamed" for name in names))
        raise InputError(f"there are treatments of the territories {listed}", remedy="name one (`territory`)")
    if territory is not None and names == {None}:
        raise InputError(f"the treatments state no territory, so {territory!r} cannot be chosen")
    return [territory is None or treatment.territory == territory for treatment in past]


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


def _fits(model: ResponseModel, coming: NextTreatment) -> bool:
    """Models of this nuclide and agent whose metric a mean dose can stand for."""
    metrics = ("mean_dose", "bed") if model.kind == "ntcp" else ("mean_dose",)
    return bool(coming.agent) and model.treats(coming.nuclide, coming.agent) and model.metric in metrics


def past_treatments(table: InputTable, coming: NextTreatment) -> list[PastTreatment]:
    """Past treatments of a table; TableError lists every wrong cell."""
    check = table.check()
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
