"""How a whole plan stands to every limit: each injection to its own agent's, the patient to all of them together.

Rules for several injections. What is limited in a territory (perfused volume, its normal liver, tumour, shunt) is held
against the limits of the agent that is injected there. What is limited in the patient (lungs, whole normal liver) is
the sum of the absorbed doses of all injections in Gy, held against the limits of every agent in use. Activity that is
shunted to the lungs is summed over the injections of the agent whose label limits it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hepatica.planning.guardrails.plausible import largest_plausible_gbq
from hepatica.planning.limits.allowance import check_allowances
from hepatica.planning.limits.assumed import NO_SHUNT
from hepatica.planning.limits.dose_limits import (
    Limit,
    LimitCheck,
    check_limits,
    limits,
    upper_limits,
    without_lungs,
    worst_first,
)
from hepatica.planning.limits.nominal import NominalLimit
from hepatica.planning.planner.course import Course
from hepatica.planning.planner.territories import CourseDoses, Injection, PreviousTreatment
from hepatica.planning.prescriptions.compartments import LUNGS, NORMAL

IN_TERRITORY = ("perfused_gy", "perfused_normal_gy")
"""What is limited in each territory."""


@dataclass(frozen=True, slots=True)
class LifetimeDose:
    """Dose of an organ by this treatment and by earlier ones, with the limits of each.

    Attributes
    ----------
    organ : str
        "lungs" or "normal liver".
    this_treatment_gy, earlier_gy, lifetime_gy : float
        By all injections of this plan (None of lungs whose shunt is not known), by earlier treatments, and their sum
        as far as it is known.
    treatment_limit_gy, lifetime_limit_gy : float or None
        Of the plan; None where it states none.
    """

    organ: str
    this_treatment_gy: float | None
    earlier_gy: float
    lifetime_gy: float
    treatment_limit_gy: float | None
    lifetime_limit_gy: float | None


def lifetime_doses(course: Course, doses: CourseDoses) -> tuple[LifetimeDose, ...]:
    """Lungs and normal liver, this treatment and earlier ones told apart."""
    aims, normal = course.aims, _normal_lifetime_limit(course)
    return (
        LifetimeDose(
            LUNGS, None if NO_SHUNT in course.assumptions else doses.lungs_by_shunt_gy, doses.lungs_earlier_gy,
            doses.lungs_by_shunt_gy + doses.lungs_earlier_gy, aims.lung_limit_gy, aims.lung_lifetime_limit_gy,
        ),
        LifetimeDose(
            NORMAL, doses.normal_liver_gy, doses.normal_liver_cumulative_gy - doses.normal_liver_gy,
            doses.normal_liver_cumulative_gy, aims.normal_limit_gy, normal,
        ),
    )  # fmt: skip


def _normal_lifetime_limit(course: Course) -> float | None:
    """Of the normal liver: that of a treatment where none is stated, unless BED judges the earlier treatments."""
    aims = course.aims
    if aims.normal_lifetime_limit_gy is not None or course.allowances:
        return aims.normal_lifetime_limit_gy
    return aims.normal_limit_gy


def judged_in_gray(course: Course) -> tuple[PreviousTreatment, ...]:
    """Earlier treatments whose dose of the normal liver counts against limits in Gy; of others its BED is judged."""
    return course.previous if _normal_lifetime_limit(course) is None else course.earlier


def course_limits(
    course: Course, injections: Sequence[Injection], agents: Mapping[str, str], doses: CourseDoses
) -> tuple[LimitCheck, ...]:
    """Every limit of labels, guidelines, the plan itself and earlier treatments; violated ones first.

    Parameters
    ----------
    course : Course
        What is asked.
    injections : sequence of Injection
        Activities to judge.
    agents : mapping of str to str
        Agent of each territory, or its nuclide.
    doses : CourseDoses
        Of these injections.
    """
    found = [
        *_in_territories(course, injections, agents, doses),
        *_in_patient(course, injections, agents, doses),
        *_of_plan(course, doses),
        *check_allowances(course.allowances, dict(doses.perfused_normal_gy), doses.lungs_by_shunt_gy),
    ]
    judged = [replace(check, waived=course.waived_limits.get(check.limit.id, "")) for check in found]
    return without_lungs(judged) if NO_SHUNT in course.assumptions else worst_first(judged)


def _in_territories(
    course: Course, injections: Sequence[Injection], agents: Mapping[str, str], doses: CourseDoses
) -> Iterator[LimitCheck]:
    for injection in injections:
        target = injection.target
        own = target.doses(injection.administered_gbq, injection.constant)
        values = {
            "perfused_gy": own.perfused_gy,
            "perfused_normal_gy": own.normal_liver_gy,
            "tumour_gy": min((doses.lesions_gy[lesion.name] for lesion in target.lesions), default=None),
            "lung_shunt_fraction": target.lung_shunt,
        }
        where = injection.name if len(injections) > 1 else ""
        yield from check_limits(values, course.patient.context(agents[injection.name]), where=where)


def _in_patient(
    course: Course, injections: Sequence[Injection], agents: Mapping[str, str], doses: CourseDoses
) -> Iterator[LimitCheck]:
    earlier = {"lung_cumulative_gy": doses.lungs_earlier_gy}
    earlier_normal = doses.normal_liver_cumulative_gy - doses.normal_liver_gy
    seen: set[str] = set()
    for agent in dict.fromkeys(agents.values()):
        shunted = sum(i.administered_gbq * i.target.lung_shunt for i in injections if agents[i.name] == agent)
        values = {
            "lung_gy": doses.lung_gy,
            "lung_cumulative_gy": doses.lung_cumulative_gy if course.earlier else None,
            "normal_liver_gy": doses.normal_liver_gy,
            "lung_activity_gbq": shunted,
        }
        context = course.patient.context(agent)
        checks = list(check_limits(values, context, earlier=earlier))
        if earlier_normal > 0:
            together = {"normal_liver_gy": doses.normal_liver_cumulative_gy}
            condition = "the limit of one treatment is taken for all of them together"
            checks += [
                replace(check, applies_if="; ".join(filter(None, (check.applies_if, condition))))
                for check in check_limits(
                    together, context, where="all treatments", earlier={"normal_liver_gy": earlier_normal}
                )
            ]
        for check in checks:
            if (key := check.limit.id + check.where) not in seen:
                seen.add(key)
                yield check


def _of_plan(course: Course, doses: CourseDoses) -> Iterator[LimitCheck]:
    """The plan file's own limits."""
    for dose in lifetime_doses(course, doses):
        organ, word = ("lung", "lung") if dose.organ == LUNGS else ("normal_liver", "normal-liver")
        rows = [(f"plan-{word}", f"{organ}_gy", dose.treatment_limit_gy, dose.this_treatment_gy, "this treatment")]
        if dose.earlier_gy > 0:
            rows.append(
                (
                    f"plan-{word}-lifetime",
                    f"{organ}_cumulative_gy",
                    dose.lifetime_limit_gy,
                    dose.lifetime_gy,
                    "lifetime",
                )
            )
        for name, quantity, limit, known, period in rows:
            value = known or 0.0  # of lungs without a shunt, which are not evaluated
            if limit is None or any((row.quantity, row.limit) == (quantity, limit) for row in everywhere()):
                # The published limit says it already.
                continue
            lifetime = period == "lifetime"
            text = f"{dose.organ}, {'all treatments together' if lifetime else 'this treatment'}, limit of the plan"
            row = Limit(
                name, quantity, "max", limit, ("*",), ("*",), text, "the plan", "given",
                period="lifetime" if lifetime else "treatment",
            )  # fmt: skip
            yield LimitCheck(row, value, row.status(value), "", "", dose.earlier_gy if lifetime else None)


def everywhere() -> tuple[Limit, ...]:
    """Limits of every agent and intent."""
    return tuple(row for row in limits() if row.agents == ("*",) and row.intents == ("*",))


def nominal_limits(
    course: Course, injections: Sequence[Injection], agents: Mapping[str, str]
) -> tuple[NominalLimit, ...]:
    """Limits that apply or may, as what an administered GBq of each territory adds to them; waived ones left out.

    The planner offers no activity either that a guardrail of plausible numbers stops.
    """
    per = {i.name: i.target.gy_per_gbq(i.constant) for i in injections}
    lungs = {name: doses[LUNGS] for name, doses in per.items()}
    normal = {i.name: per[i.name][NORMAL] * i.target.normal_mass_kg / course.whole_normal_kg for i in injections}
    earlier_lung = sum(p.lung_gy for p in course.earlier)
    out: dict[str, NominalLimit] = {}
    for agent in dict.fromkeys(agents.values()):
        own = [i for i in injections if agents[i.name] == agent]
        in_patient = {
            "lung_gy": (lungs, 0.0),
            "lung_cumulative_gy": (lungs, earlier_lung),
            "normal_liver_gy": (normal, 0.0),
            "lung_activity_gbq": ({i.name: i.target.lung_shunt for i in own}, 0.0),
        }
        for row in upper_limits(course.patient.context(agent)):
            if row.id in course.waived_limits:
                continue
            if row.quantity in in_patient:
                rates, earlier = in_patient[row.quantity]
                out[row.id] = NominalLimit(row.id, rates, row.limit - earlier)
            elif row.quantity in IN_TERRITORY:
                for i in own:
                    dose = i.target.doses(1.0, i.constant)
                    rate = dose.perfused_gy if row.quantity == "perfused_gy" else dose.normal_liver_gy
                    name = f"{row.id} in {i.name}" if len(injections) > 1 else row.id
                    out[name] = NominalLimit(name, {i.name: rate or 0.0}, row.limit)
    for bound in _plausible(injections, {name: max(doses.values()) for name, doses in per.items()}):
        out[bound.name] = bound
    return tuple(out.values())


def _plausible(injections: Sequence[Injection], largest_gy: Mapping[str, float]) -> Iterator[NominalLimit]:
    """Bounds of plausible numbers: activity and energy of a nuclide in the patient, largest mean dose by territory."""
    for nuclide in dict.fromkeys(i.constant.nuclide for i in injections):
        own = [i for i in injections if i.constant.nuclide == nuclide]
        of_one_gbq = {"administered_gbq": 1.0, "energy_j": max(i.constant.j_per_gbq for i in own)}
        for name, gbq in largest_plausible_gbq(nuclide, of_one_gbq).items():
            yield NominalLimit(name, {i.name: 1.0 for i in own}, gbq)
    for i in injections:
        for name, gbq in largest_plausible_gbq(i.constant.nuclide, {"dose_largest_gy": largest_gy[i.name]}).items():
            yield NominalLimit(f"{name} in {i.name}" if len(injections) > 1 else name, {i.name: 1.0}, gbq)


def forbidden(course: Course, injections: Sequence[Injection], agents: Mapping[str, str]) -> str:
    """Why no activity at all is allowed, in words; empty where one is."""
    aims = course.aims
    lungs, normal = sum(p.lung_gy for p in course.earlier), sum(p.normal_liver_gy for p in judged_in_gray(course))
    of_normal = _normal_lifetime_limit(course)
    for organ, earlier, limit in ((LUNGS, lungs, aims.lung_lifetime_limit_gy), (NORMAL, normal, of_normal)):
        if limit is not None and earlier >= limit:
            return f"earlier treatments gave the {organ} {earlier:g} Gy, the limit over a lifetime is {limit:g} Gy"
    if course.lung_limit_gy == 0 and any(i.target.lung_shunt > 0 for i in injections):
        return "the lungs may get 0 Gy, and the shunt brings activity there"
    for row in nominal_limits(course, injections, agents):
        if row.limit <= 0:
            return f"earlier treatments have used up the limit {row.name}"
    for injection in injections:
        context = course.patient.context(agents[injection.name])
        for check in check_limits({"lung_shunt_fraction": injection.target.lung_shunt}, context):
            if check.exceeded and check.limit.id not in course.waived_limits:
                return f"{injection.name}: {check.limit.text} {check.value:.3g} is above {check.limit.limit:g}"
    return ""
