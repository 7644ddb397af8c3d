"""The numbers of the first page, each from the result of the step that found it; None where that is not up to date.

Nothing is computed here but the sum of the lung doses of several treatments (`hepatica.case.report.goals`), so that a
number of the first page is the number of a ``result.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hepatica.case.report.course import CourseStep
from hepatica.case.report.goals import Goal, goals_of_dose, goals_of_plan, left_by_earlier, lungs_before
from hepatica.case.steps.planning.delivery import taken_from
from hepatica.case.steps.shown import at, estimate
from hepatica.core.numbers.estimate import Estimate
from hepatica.core.privacy.identity import withheld
from hepatica.nuclides import is_same_agent
from hepatica.planning.measured.treatment_results import administered_gbq_of

TUMOUR, ALL_TUMOURS = "tumour", "all_tumours"
OF_INTEREST = (TUMOUR, ALL_TUMOURS, "normal_liver", "perfused", "perfused_normal")
"""Roles of structures whose doses stand on the first page, in order; lungs follow, by the shunt or the image."""


@dataclass(frozen=True, slots=True)
class StructureDose:
    """Planned and delivered dose of one structure.

    Attributes
    ----------
    name, role : str
        Of the structure.
    volume_ml : float or None
        As drawn; of a delivered dose that its activity image cuts off, of the part seen.
    planned_dose_gy : float or None
        By the method that the plan chose; None where it has none for this structure.
    delivered_dose_gy : float or None
        Mean absorbed dose.
    delivered_known_sd_gy : float or None
        Standard uncertainty (k = 1) of what is known of it.
    not_known : tuple of str
        Parts of the uncertainty that are not in it.
    d95_gy : float or None
        Of tumours: dose that 95 % of the volume get at least.
    goals : tuple of Goal
        Those that apply.
    seen_share : float
        Share of its volume that the activity image of the delivered dose sees; volume and dose are of this part.
    voxels_supported : bool
        Whether the activity image determines the dose of its single voxels; else its mean dose alone.
    """

    name: str
    role: str
    volume_ml: float | None = None
    planned_dose_gy: float | None = None
    delivered_dose_gy: float | None = None
    delivered_known_sd_gy: float | None = None
    not_known: tuple[str, ...] = ()
    d95_gy: float | None = None
    goals: tuple[Goal, ...] = ()
    seen_share: float = 1.0
    voxels_supported: bool = True


@dataclass(frozen=True, slots=True)
class PerfusedVolume:
    """What a catheter feeds, on the scout.

    Attributes
    ----------
    name : str
        Of the territory.
    volume_ml, tumour_ml : float
        In all, and tumour in it.
    """

    name: str
    volume_ml: float
    tumour_ml: float


@dataclass(frozen=True, slots=True)
class Chance:
    """What a published model predicts of the delivered dose.

    Attributes
    ----------
    structure, model, endpoint : str
        Of what, by which model, and what of.
    kind : {"tcp", "ntcp"}
        Effect on tumour, or harm.
    probability, probability_low, probability_high : float or None
        With its 95 % interval.
    within_validity : bool
        Fitted on this agent, at such doses: the model says nothing against it.
    source : str
        Publication.
    """

    structure: str
    model: str
    endpoint: str
    kind: str
    probability: float
    probability_low: float | None
    probability_high: float | None
    within_validity: bool
    source: str


@dataclass(frozen=True, slots=True)
class Question:
    """What verification asks of the team.

    Attributes
    ----------
    structure, finding : str
        Lesion, organ or place, and what was found.
    kind, certainty : str
        As `hepatica.planning.delivery.suggestions.Suggestion` has them.
    question, source : str
        What is asked, and the publication that states it.
    limit_gy : float or None
        Goal or limit; None of a statement about several structures.
    top_up_gbq, allowed_gbq : float or None
        Activity of a top-up, and the most that keeps every limit for certain.
    """

    structure: str
    finding: str
    kind: str
    certainty: str
    question: str
    source: str
    limit_gy: float | None = None
    top_up_gbq: float | None = None
    allowed_gbq: float | None = None


@dataclass(frozen=True, slots=True)
class TreatmentSummary:
    """Planned against delivered, of one treatment.

    Attributes
    ----------
    number : int
        From 1.
    name : str
        As stated.
    agent, nuclide, intent, stated_at : str
        As stated; the instant of the administration.
    planned_gbq : float or None
        Activity that the plan asks for, in the vial.
    planned_administered_gbq : float or None
        Of it, what is to reach the patient.
    planned_method : str
        That the plan chose; several with commas.
    plan_verdict : str
        Of the plan: "ok", "warn", "stop".
    vial_at_injection_gbq : float or None
        Measured.
    administered_gbq, residual_fraction : Estimate or None
        Measured.
    imaged_gbq : float or None
        Activity that reached the patient by the dose: stated there, or by its image's header.
    lung_shunt : Estimate or None
        Fraction, by the step of the lung shunt, else by the scout's biodistribution.
    lung_shunt_method : str
        "spect" or "planar".
    tumour_to_normal : Estimate or None
        Of all lesions together.
    perfused : tuple of PerfusedVolume
        Each territory.
    perfused_share : float or None
        Of the liver.
    tumour_outside_territories_ml : float or None
        What no territory covers.
    planned_lung_dose_gy : float or None
        By the plan.
    structures : tuple of StructureDose
        Tumours, normal liver, lungs.
    goals_are_judged : bool
        Whether a published goal or limit applies.
    is_indicated : bool
        Whether indication and intent are stated.
    energy_ratio : float or None
        Delivered over planned energy in the liver, by verification.
    energy_differs : bool
        Whether that is beyond the uncertainty of both.
    lungs_by_image : bool
        Whether the delivered lung dose is the image's; a planned one is always by the shunt.
    dose_from : str
        Image, or step, that the delivered dose was made from.
    catheter_moved : bool or None
        Whether the therapy went elsewhere than the scout, by verification.
    chances : tuple of Chance
        Of the delivered dose, those within validity first.
    response, response_on : str
        Best response and its date.
    questions : tuple of Question
        What verification asks of the team.
    mri_found_share, mri_tumour_to_normal : Estimate or None
        Holmium by MR: share of the microspheres that was found, T/N of all lesions or of the only one.
    spect_mri_correlation : float or None
        Of voxels by SPECT and by MR.
    watched : str
        What arrived by the watched injection; that it is not measured, where it is not.
    watched_gbq : Estimate or None
        The same as a number, where it is measured and of the treatment's agent.
    given_as_watched : str
        "the watched injection (camera and meter)" where `administered_gbq` is what that brought; else empty.
    """

    number: int
    name: str = field(metadata=withheld())
    agent: str
    nuclide: str
    intent: str
    stated_at: str
    planned_gbq: float | None = None
    planned_administered_gbq: float | None = None
    planned_method: str = ""
    plan_verdict: str = ""
    vial_at_injection_gbq: float | None = None
    administered_gbq: Estimate | None = None
    imaged_gbq: float | None = None
    residual_fraction: Estimate | None = None
    lung_shunt: Estimate | None = None
    lung_shunt_method: str = ""
    tumour_to_normal: Estimate | None = None
    perfused: tuple[PerfusedVolume, ...] = ()
    perfused_share: float | None = None
    tumour_outside_territories_ml: float | None = None
    planned_lung_dose_gy: float | None = None
    structures: tuple[StructureDose, ...] = ()
    goals_are_judged: bool = False
    is_indicated: bool = False
    energy_ratio: float | None = None
    energy_differs: bool = False
    lungs_by_image: bool = False
    dose_from: str = ""
    catheter_moved: bool | None = None
    chances: tuple[Chance, ...] = ()
    response: str = ""
    response_on: str = ""
    questions: tuple[Question, ...] = ()
    mri_found_share: Estimate | None = None
    mri_tumour_to_normal: Estimate | None = None
    spect_mri_correlation: float | None = None
    watched: str = ""
    watched_gbq: Estimate | None = None
    given_as_watched: str = ""


NORMAL = "normal liver"

LESIONS_SHOWN = 5
"""Lesions on the first page, the largest; all are on the page of the dose."""


def shown_structures(structures: Sequence[StructureDose], most: int = LESIONS_SHOWN) -> tuple[StructureDose, ...]:
    """Those of the first page: the largest lesions, and all that is no single lesion."""
    lesions = [one for one in structures if one.role == TUMOUR]
    kept = sorted(lesions, key=lambda one: -(one.volume_ml or 0))[:most]
    return tuple(one for one in structures if one.role != TUMOUR or one in kept)


def summary_of(
    number: int,
    stated: Mapping[str, Any],
    steps: Mapping[str, CourseStep],
    earlier: Sequence[Mapping[str, CourseStep]] = (),
    *,
    indication: str = "",
) -> TreatmentSummary:
    """Of one treatment.

    Parameters
    ----------
    number : int
        Of the treatment.
    stated : mapping
        Its table in ``case.toml``.
    steps : mapping of str to CourseStep
        Its steps by kind; the document of one that is not up to date is empty.
    earlier : sequence of mapping
        Those of the treatments before it, in order.
    indication : str
        As stated.
    """

    def document(kind: str) -> Mapping[str, Any]:
        return steps[kind].document if kind in steps else {}

    plan, delivery, dose, uptake = (document(kind) for kind in ("plan", "delivery", "dose", "uptake"))
    verification, response = (document(kind) for kind in ("verification", "response"))
    shunt = document("lung-shunt") or _shunt_of_views(document("scout-biodistribution"))
    best: Mapping[str, Any] = next(iter(response.get("best", ())), {})
    structures = tuple(_structures(plan, dose, lungs_before(earlier, plan), left_by_earlier(earlier)))
    return TreatmentSummary(
        number=number,
        name=str(stated.get("name", "")),
        agent=str(stated.get("agent", "")),
        nuclide=str(dose.get("nuclide") or delivery.get("nuclide") or stated.get("nuclide") or ""),
        intent=str(stated.get("intent", "")),
        stated_at=str(stated.get("at", "")),
        planned_gbq=at(plan, "planned_gbq"),
        planned_administered_gbq=at(plan, "administered_gbq"),
        planned_method=", ".join(dict.fromkeys(str(t.get("chosen", "")) for t in plan.get("territories", ()))),
        plan_verdict=str(plan.get("verdict", "")),
        vial_at_injection_gbq=at(delivery, "vial_at_injection_gbq"),
        administered_gbq=estimate(delivery, "administered_gbq"),
        imaged_gbq=administered_gbq_of(dose) if at(dose, "provenance.parameters") else None,
        residual_fraction=estimate(delivery, "residual_fraction"),
        lung_shunt=estimate(shunt, "lung_shunt"),
        lung_shunt_method=str(shunt.get("method", "")),
        tumour_to_normal=estimate(uptake, "overall.tumour_to_normal"),
        perfused=_perfused(uptake),
        perfused_share=at(uptake, "volumes.perfused_share"),
        tumour_outside_territories_ml=at(uptake, "volumes.tumour_outside_territories_ml"),
        planned_lung_dose_gy=at(plan, "doses.lung_gy"),
        structures=structures,
        is_indicated=bool(indication and stated.get("intent")),
        goals_are_judged=any(goal.is_published for one in structures for goal in one.goals),
        energy_ratio=at(verification, "total_ratio"),
        energy_differs=bool(at(verification, "total_differs")),
        lungs_by_image=at(dose, "lung_doses.judged") == "image",
        dose_from=steps["dose"].sources("activity") if "dose" in steps else "",
        catheter_moved=at(verification, "catheter_position_changed"),
        chances=_chances(document("prediction")),
        response=str(best.get("response") or ""),
        response_on=str(best.get("date") or ""),
        mri_found_share=estimate(document("holmium-mri"), "vial.found_share"),
        mri_tumour_to_normal=_ratio_by_mr(document("holmium-mri")),
        spect_mri_correlation=at(document("spect-mri-agreement"), "pearson"),
        watched=_watched(document("injection")),
        given_as_watched=taken_from(delivery) if delivery.get("taken_from") == "watched injection" else "",
        watched_gbq=_watched_gbq(document("injection"), str(stated.get("agent", ""))),
        questions=tuple(_question(row) for row in verification.get("suggestions", ())),
    )


def _shunt_of_views(biodistribution: Mapping[str, Any]) -> Mapping[str, Any]:
    """The lung shunt of the scout's biodistribution, as the step of the lung shunt has it; empty where it has none."""
    first: Mapping[str, Any] = next(iter(biodistribution.get("times", ())), {})
    return {**first, "method": "planar"} if first.get("lung_shunt") is not None else {}


def _watched(injection: Mapping[str, Any]) -> str:
    """What a watched injection brought, with its agent, which need not be the treatment's."""
    if not injection:
        return ""
    what = injection.get("agent") or injection.get("nuclide") or "agent not stated"
    found, sd = injection.get("delivered_bq"), injection.get("delivered_bq_sd")
    if not injection.get("is_measured") or found is None or sd is None:
        return f"{what}: not measured"
    return f"{what}: {found / 1e6:.3g} ± {sd / 1e6:.2g} MBq"


def _watched_gbq(injection: Mapping[str, Any], agent: str) -> Estimate | None:
    """What a watched injection of the treatment's agent brought; None of a scout, and where nothing was measured."""
    found, what = injection.get("delivered_bq"), str(injection.get("agent") or "")
    if not injection.get("is_measured") or found is None or not what or not agent or not is_same_agent(what, agent):
        return None
    sd = injection.get("delivered_bq_sd")
    return Estimate(float(found) / 1e9, None if sd is None else float(sd) / 1e9)


def _ratio_by_mr(holmium: Mapping[str, Any]) -> Estimate | None:
    """T/N of all tumours together, else of the only one; None where it is a lower limit."""
    rows = [row for row in holmium.get("ratios", ()) if not row["is_lower_limit"]]
    together = [row for row in rows if row["name"] == "all tumours"] or (rows if len(rows) == 1 else [])
    return estimate(together[0], "tumour_to_normal") if together else None


def _question(row: Mapping[str, Any]) -> Question:
    return Question(
        structure=row["structure"],
        finding=row["finding"],
        kind=row["kind"],
        certainty=row["certainty"],
        question=row["question"],
        source=row["source"],
        limit_gy=row.get("limit_gy"),
        top_up_gbq=at(row, "top_up.activity_gbq"),
        allowed_gbq=at(row, "top_up.allowed_gbq"),
    )


def _perfused(uptake: Mapping[str, Any]) -> tuple[PerfusedVolume, ...]:
    found = at(uptake, "volumes.territories") or ()
    return tuple(PerfusedVolume(t["name"], t["volume_ml"], t["tumour_ml"]) for t in found)


def _structures(
    plan: Mapping[str, Any], dose: Mapping[str, Any], lungs: tuple[float, str], left: Mapping[str, Any]
) -> Iterator[StructureDose]:
    delivered = dose.get("structures", ())
    if not delivered:
        yield from _planned_alone(plan)
        return
    goals = goals_of_dose(dose, lungs, left, plan)
    lesions = sum(item["role"] == TUMOUR for item in delivered)
    perfused = frozenset(item["name"] for item in delivered if item["role"] == "perfused")
    for role in OF_INTEREST:
        for item in delivered:
            if item["role"] != role or (role == ALL_TUMOURS and lesions == 1):
                continue
            uncertainty = item.get("uncertainty") or {}
            yield StructureDose(
                name=item["name"],
                role=role,
                volume_ml=item["volume_ml"],
                planned_dose_gy=_planned(plan, item["name"], role, perfused),
                delivered_dose_gy=item["dose_mean_gy"],
                delivered_known_sd_gy=item.get("dose_mean_known_sd_gy"),
                not_known=tuple(uncertainty.get("not_known", ())),
                d95_gy=at(item, "d_percent_gy.95") if role in (TUMOUR, ALL_TUMOURS) else None,
                goals=goals.get(item["name"], ()),
                seen_share=item.get("seen_share", 1.0),
                voxels_supported=item.get("voxels_supported", True),
            )
    yield from _lungs(plan, dose, goals)


def _lungs(
    plan: Mapping[str, Any], dose: Mapping[str, Any], goals: Mapping[str, tuple[Goal, ...]]
) -> Iterator[StructureDose]:
    """The lung dose that is judged: by the shunt or by the image."""
    found = dose.get("lung_doses") or {}
    judged = found.get("judged")
    if not judged:
        return
    by_shunt = judged == "shunt"
    name = "lungs by the shunt" if by_shunt else str(at(found, "by_image.structure"))
    imaged: Mapping[str, Any] = {}
    if not by_shunt:
        imaged = next((row for row in dose.get("structures", ()) if row["name"] == name), {})
    yield StructureDose(
        name=name,
        role="lung",
        planned_dose_gy=at(plan, "doses.lung_gy"),
        delivered_dose_gy=found.get("dose_judged_gy"),
        delivered_known_sd_gy=at(found, "by_shunt.dose_lung_gy_sd")
        if by_shunt
        else at(found, "by_image.dose_mean_known_sd_gy"),
        not_known=tuple((at(found, "by_shunt.not_known") if by_shunt else at(imaged, "uncertainty.not_known")) or ()),
        goals=goals.get(name, ()),
        seen_share=imaged.get("seen_share", 1.0),
        voxels_supported=imaged.get("voxels_supported", True),
    )


def _planned_alone(plan: Mapping[str, Any]) -> Iterator[StructureDose]:
    """What the plan says where nothing was measured yet, with the limits that it was judged by."""
    doses = plan.get("doses") or {}
    goals = goals_of_plan(plan)
    rows = [(name, TUMOUR, value) for name, value in (doses.get("lesions_gy") or {}).items()]
    rows += [
        (name, role, doses.get(key))
        for key, role, name in (("tumour_gy", ALL_TUMOURS, "tumours"), ("normal_liver_gy", "normal_liver", NORMAL))
    ]
    for territory in plan.get("territories") or ():
        name = territory["name"]
        perfused = at(territory, f"methods.{territory['chosen']}.doses.perfused_gy")
        rows += [(name, "perfused", perfused)]
        rows += [(f"{NORMAL} in {name}", "perfused_normal", (doses.get("perfused_normal_gy") or {}).get(name))]
    rows += [("lungs", "lung", doses.get("lung_gy"))]
    for name, role, value in rows:
        # Limits of lungs whose dose is not known are shown as not evaluated.
        if value is not None or goals.get(name):
            yield StructureDose(name, role, planned_dose_gy=value, goals=goals.get(name, ()))


def _planned(plan: Mapping[str, Any], name: str, role: str, perfused: frozenset[str]) -> float | None:
    """Planned dose of a structure; None where the plan does not speak of it.

    What is drawn as perfused is a territory of the plan only where it has its name.
    """
    doses = plan.get("doses") or {}
    territories = {territory["name"]: territory for territory in plan.get("territories") or ()}
    found: float | None = None
    if role == TUMOUR:
        found = (doses.get("lesions_gy") or {}).get(name)
    elif role in (ALL_TUMOURS, "normal_liver"):
        found = doses.get("tumour_gy" if role == ALL_TUMOURS else "normal_liver_gy")
    elif role == "perfused" and name in territories:
        found = at(territories[name], f"methods.{territories[name]['chosen']}.doses.perfused_gy")
    elif role == "perfused_normal" and len(territories) == 1 and perfused == frozenset(territories):
        found = (doses.get("perfused_normal_gy") or {}).get(*territories)
    return found


def _chances(prediction: Mapping[str, Any]) -> tuple[Chance, ...]:
    """Predictions of the models; those that say nothing against themselves first, tumours before harm."""
    rows = [
        Chance(
            structure=row["structure"],
            model=row["name"],
            endpoint=row["endpoint"],
            kind=row["kind"],
            probability=row["probability"],
            probability_low=row["probability_low"],
            probability_high=row["probability_high"],
            within_validity=not row["messages"],
            source=row["source"],
        )
        for row in prediction.get("models", ())
        if row.get("probability") is not None
    ]
    return tuple(sorted(rows, key=lambda row: (not row.within_validity, row.kind != "tcp")))
