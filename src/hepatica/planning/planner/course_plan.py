"""A whole plan: every territory by every applicable method side by side, the course's doses, limits, chances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message, unique
from hepatica.dosimetry.radiobiology import LIVER, DoseRate, bed_gy
from hepatica.errors import InputError
from hepatica.planning.guardrails import Review, Situation, check, together
from hepatica.planning.limits.allowance import about_sums, allowance_for, used_up
from hepatica.planning.limits.assumed import LUNG_MASS, NO_RESIDUAL, NO_SHUNT, Assumption
from hepatica.planning.limits.dose_limits import LimitCheck, ruled_out
from hepatica.planning.measured.compared import Compared
from hepatica.planning.measured.deposits import DepositDose, about_deposits, deposit_doses, deposit_facts
from hepatica.planning.planner.best_activity import Aim, Optimum, Problem, optimise
from hepatica.planning.planner.course import Course
from hepatica.planning.planner.course_limits import (
    LifetimeDose,
    course_limits,
    forbidden,
    judged_in_gray,
    lifetime_doses,
    nominal_limits,
)
from hepatica.planning.planner.known_facts import completed, contradictions, known_facts
from hepatica.planning.planner.methods import TerritoryPlan, effective_half_life_s, lung_shares, plan_territories
from hepatica.planning.planner.territories import CourseDoses, Injection, course_doses


@dataclass(frozen=True, slots=True)
class CoursePlan:
    """The answer to a `Course`.

    Attributes
    ----------
    course : Course
        What was asked.
    territories : tuple of TerritoryPlan
        Side by side.
    doses : CourseDoses
        Sum of all injections and of earlier treatments.
    limits : tuple of LimitCheck
        On the sum.
    guardrails : Review
        On the whole plan.
    planner : Optimum or None
        Of the probabilistic planner.
    lifetime : tuple of LifetimeDose
        Lungs and normal liver, this treatment and earlier ones told apart.
    planner_limits : tuple of LimitCheck
        How the planner's activity stands to every limit; empty without a planner.
    planner_refused : str
        Why the planner allows no activity; empty where it does.
    """

    course: Course = field(metadata=HIDDEN)
    territories: tuple[TerritoryPlan, ...]
    doses: CourseDoses
    limits: tuple[LimitCheck, ...]
    guardrails: Review
    planner: Optimum | None
    lifetime: tuple[LifetimeDose, ...] = ()
    planner_limits: tuple[LimitCheck, ...] = ()
    planner_refused: str = ""

    @property
    @reported
    def title(self) -> str:
        """Of the plan."""
        return self.course.title

    @property
    @reported
    def agent(self) -> str:
        """Of all territories that name none."""
        return self.course.agent

    @property
    @reported
    def limits_ruled_out(self) -> tuple[str, ...]:
        """Ids of the agent's limits that do not hold for this patient, by what is known of the liver."""
        return ruled_out(self.course.patient.context(self.course.agent))

    @property
    @reported
    def planned_gbq(self) -> float:
        """Total in all vials at administration, residual included."""
        return sum(t.given.prescription.planned_gbq for t in self.territories)

    @property
    @reported
    def administered_gbq(self) -> float:
        """Total that reaches the patient."""
        return sum(t.given.prescription.administered_gbq for t in self.territories)

    @property
    @reported
    def compared(self) -> tuple[Compared, ...]:
        """Stated values beside those that the plan's files hold."""
        return self.course.compared

    @property
    @reported
    def deposits(self) -> tuple[DepositDose, ...]:
        """Organs outside liver and lungs, and places with uptake, with their dose at the activity that is given."""
        places = () if self.course.deposits is None else self.course.deposits.places
        return deposit_doses(places, Estimate(self.energy_j, 0.0))

    @property
    @reported
    def normal_liver_bed_gy(self) -> Mapping[str, float]:
        """BED of each territory's normal liver by its own nuclide's half-life: what mixed nuclides are compared by."""
        half_lives = {t.name: t.given.prescription.constant.half_life_s / SECONDS_PER_HOUR for t in self.territories}
        return {
            name: bed_gy(dose, DoseRate.exponential(half_lives[name]), LIVER)
            for name, dose in self.doses.perfused_normal_gy.items()
        }

    @property
    def energy_j(self) -> float:
        """Energy of all decays of all injections."""
        return self.doses.energy_j

    @property
    @reported
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was not stated and had to be taken."""
        return _assumed(self.course, self.territories)

    @property
    @reported
    def verdict(self) -> str:
        """Of the whole plan: stop if anything forbids it as it is, check if something must be decided, else go."""
        severities = {message.severity for message in self.messages}
        return "stop" if "critical" in severities else "check" if "warning" in severities else "go"

    @property
    def own_messages(self) -> tuple[Message, ...]:
        """What a reader must know beside the guardrails: limits that are exceeded first."""
        course = self.course
        exceeded = [one.message() for one in self.limits if one.exceeded]
        planner = [one.message("best chance: ") for one in self.planner_limits if one.exceeded]
        for one in self.planner_limits:
            if one.applies_if and self.planner is not None and self.planner.binding_limit.startswith(one.limit.id):
                text = f"the best chance is held down by {one.limit.id}, which applies if {one.applies_if}"
                planner.append(Message("planner-keeps-open-limit", text, "state what decides it"))
        if self.planner is not None and self.planner.binding_limit.startswith("implausible-"):
            text = f"the best chance is held down by what is plausible: {self.planner.binding_limit}"
            planner.append(Message("planner-keeps-plausible", text, "check masses, T/N, aims and units"))
        if NO_SHUNT in course.assumptions:
            text = (
                "no lung shunt is stated or measured: the lungs are left out of this plan, their dose is not known, "
                "and their limits are not evaluated"
            )
            remedy = "measure it on the scout (SPECT/CT, or planar views), or state `lung_shunt`"
            planner.append(Message("lung-shunt-not-stated", text, remedy))
        shunts = [t.target.lung_shunt for t in course.territories]
        if course.uncertainty is not None and course.uncertainty.lung_shunt > max(shunts, default=0.0) > 0:
            text = (
                f"the uncertainty of the lung shunt, {100 * course.uncertainty.lung_shunt:.3g} %, is above the shunt "
                f"itself, {100 * max(shunts):.3g} %: it is of the fraction itself, the others are relative"
            )
            planner.append(Message("shunt-uncertainty-large", text, "state it in per cent of the activity"))
        if self.planner_refused:
            text = f"the planner allows no activity: {self.planner_refused}"
            planner.append(Message("planner-no-activity", text, "do not treat under these limits", "critical"))
        cautions = [Message("caution", f"{a.shown_source}: {text}") for a in course.allowances for text in a.cautions]
        return unique(
            exceeded,
            planner,
            course.notes,
            about_deposits(self.deposits),
            self.doses.messages,
            cautions,
            about_sums(course.allowances),
            *(t.given.prescription.messages for t in self.territories),
            (a.message() for a in self.assumptions),
        )

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything a reader must know, each once."""
        return unique(self.own_messages, self.guardrails.messages(), self.guardrails.lacking())


def plan_course(course: Course) -> CoursePlan:
    """Every applicable method for every territory, doses of the chosen ones together, limits, guardrails, chances.

    Raises
    ------
    InputError
        If a territory has no applicable method (the message says what is missing).
    """
    course = _with_shared_lungs(_with_reserve(course))
    plans = plan_territories(course)
    _require_nuclide(course, plans)
    agents = {p.name: p.given.carrier.name for p in plans}
    injections = _injections(plans, {p.name: p.given.prescription.administered_gbq for p in plans})
    doses = _doses(course, injections)
    planner, refused = _optimum(course, plans, injections, agents)
    planner_limits: tuple[LimitCheck, ...] = ()
    if planner is not None:
        best = _injections(plans, planner.administered_gbq)
        planner_limits = course_limits(course, best, agents, _doses(course, best))
    out = CoursePlan(
        course=course,
        territories=plans,
        doses=doses,
        limits=course_limits(course, injections, agents, doses),
        guardrails=check(Situation()),
        planner=planner,
        lifetime=lifetime_doses(course, doses),
        planner_limits=planner_limits,
        planner_refused=refused,
    )
    seen = course.measured_facts
    if course.deposits is not None:
        seen = completed(deposit_facts(course.deposits, out.deposits, out.energy_j), seen)
    known = {p.name: completed(known_facts(course, p, doses, planner), seen) for p in plans}
    reviews = {name: check(completed(facts, course.facts), ("plan",)) for name, facts in known.items()}
    contradicted = [m for facts in known.values() for m in contradictions(facts, course.facts)]
    course = replace(course, notes=unique(course.notes, contradicted))
    return _as_known(replace(out, guardrails=together(reviews), course=course))


def _as_known(plan: CoursePlan) -> CoursePlan:
    """The plan without doses of the lungs, where no shunt says them."""
    if NO_SHUNT not in plan.course.assumptions:
        return plan
    return replace(
        plan,
        doses=plan.doses.without_lungs(),
        territories=tuple(one.without_lungs() for one in plan.territories),
        planner=None if plan.planner is None else plan.planner.without_lungs(),
    )


def _injections(plans: tuple[TerritoryPlan, ...], administered_gbq: Mapping[str, float]) -> list[Injection]:
    return [
        Injection(p.name, p.territory.target, administered_gbq[p.name], p.given.prescription.constant) for p in plans
    ]


def _doses(course: Course, injections: list[Injection]) -> CourseDoses:
    return course_doses(injections, whole_normal_liver_kg=course.whole_normal_kg, previous=course.earlier)


def reserve_of(course: Course) -> float | None:
    """Share of the normal liver that no territory reaches, by mass; None where the rest of the liver is not known."""
    whole = course.patient.intent in ("whole-liver", "bilobar")
    if course.unperfused_normal_mass_kg == 0 and not whole:
        return None
    return course.unperfused_normal_mass_kg / course.whole_normal_kg


MOST_RESERVE_DIFFERENCE = 0.05
"""A stated reserve may differ so much from that of the masses: rounding, and the masses' own uncertainty of 5-10 %."""


def _with_reserve(course: Course) -> Course:
    """The course with the hepatic reserve of its masses; a stated one that differs is said."""
    found, stated = reserve_of(course), course.patient.hepatic_reserve
    if found is None:
        return course
    notes = course.notes
    if stated is not None and abs(stated - found) > MOST_RESERVE_DIFFERENCE:
        text = f"hepatic reserve: {stated:.0%} is stated, the masses of the plan give {found:.0%}, which is used"
        notes = (*notes, Message("stated-differs", text, "correct `hepatic_reserve` or the masses"))
    return replace(course, patient=replace(course.patient, hepatic_reserve=found), notes=notes)


def _with_shared_lungs(course: Course) -> Course:
    """The course with a word on the lung limit, where several territories share it."""
    shares = lung_shares(course)
    if not shares:
        return course
    each = ", ".join(f"{name} {dose:.3g} Gy" for name, dose in shares.items())
    text = (
        f"the lungs may get {course.lung_limit_gy:.4g} Gy from all injections together: {each}; all are lowered by one "
        "factor"
    )
    return replace(course, notes=(*course.notes, Message("lung-limit-shared", text)))


def _assumed(course: Course, plans: tuple[TerritoryPlan, ...]) -> tuple[Assumption, ...]:
    found = list(course.assumptions)
    if not course.lung_mass_measured:
        found.append(LUNG_MASS)
    if course.residual == 0:
        found.append(NO_RESIDUAL)
    if course.convention is None:
        for constant in {p.given.prescription.constant.text: p.given.prescription.constant for p in plans}.values():
            source = f"{constant.nuclide}, convention {constant.convention} of the method"
            found.append(Assumption("dose constant", constant.j_per_gbq, "J/GBq", source))
    for plan in plans:
        agent, constant = plan.given.carrier.agent, plan.given.prescription.constant
        if agent is not None and agent.form == "lipiodol" and course.effective_half_life_s is None:
            hours = constant.half_life_s / SECONDS_PER_HOUR
            known = effective_half_life_s(course, agent) is not None
            source = f"{agent.name}, its table" if known else f"physical, of {agent.name}: doses are at most these"
            found.append(Assumption("effective half-life", hours, "h", source))
    if reserve_of(course) is None:
        found.append(Assumption("unperfused normal liver", 0.0, "kg", "the whole normal liver is what is perfused"))
    aims, earlier = course.aims, sum(p.normal_liver_gy for p in course.previous)
    if earlier > 0 and aims.normal_limit_gy is not None and aims.normal_lifetime_limit_gy is None:
        source = "no label states one of a lifetime: that of a treatment is taken"
        found.append(Assumption("lifetime limit of normal liver", aims.normal_limit_gy, "Gy", source))
    return tuple(found)


def _require_nuclide(course: Course, plans: tuple[TerritoryPlan, ...]) -> None:
    """The dose that a BED leaves depends on the half-life: an allowance holds for its nuclide alone."""
    for plan in plans:
        left = allowance_for(course.allowances, plan.territory.name)
        used = plan.given.prescription.constant.nuclide
        if left is not None and left.nuclide != used:
            raise InputError(
                f"{left.source}: is for {left.nuclide}, but {plan.territory.name!r} is planned with {used}",
                remedy=f"find what is left for {used}",
            )


def _optimum(
    course: Course, plans: tuple[TerritoryPlan, ...], injections: list[Injection], agents: Mapping[str, str]
) -> tuple[Optimum | None, str]:
    """The activity with the best chance, and why there is none; neither where the planner is not asked."""
    aims = course.aims
    lesions = any(t.target.lesions for t in course.territories)
    if aims.tumour_gy is None or aims.normal_limit_gy is None or not lesions or course.uncertainty is None:
        return None, ""
    if reason := forbidden(course, injections, agents) or used_up(course.allowances):
        return None, reason
    aim = Aim(
        aims.tumour_gy,
        aims.normal_limit_gy,
        course.normal_probability,
        min([aims.lung_limit_gy, *(a.certain_lung_gy for a in course.allowances)]),
        course.lung_probability,
        lung_lifetime_limit_gy=aims.lung_lifetime_limit_gy,
        normal_lifetime_limit_gy=aims.normal_lifetime_limit_gy,
    )
    problem = Problem(
        {t.name: t.target for t in course.territories},
        plans[0].given.prescription.constant,
        course.uncertainty,
        aim,
        course.unperfused_normal_mass_kg,
        sum(p.lung_gy for p in course.previous),
        sum(p.normal_liver_gy for p in judged_in_gray(course)),
        {t.name: a.certain_normal_gy for t in course.territories if (a := allowance_for(course.allowances, t.name))},
        {p.name: p.given.prescription.constant for p in plans},
        nominal_limits(course, injections, agents),
    )
    return optimise(problem), ""
