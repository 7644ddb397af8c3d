"""A whole plan: every territory by every applicable method side by side, the course's doses, limits, chances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, get_args

from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import Fraction, NonNegative, Positive, options
from hepatica.core.options.values import value_class
from hepatica.core.privacy.identity import withheld
from hepatica.errors import InputError
from hepatica.nuclides import ConventionName
from hepatica.planning.guardrails import Review, Situation, check
from hepatica.planning.limits.allowance import Allowance, allowance_for, as_previous, check_allowances, require_fitting
from hepatica.planning.limits.assess import (
    Assessed,
    Patient,
    activity_spread,
    assess,
    of_agent,
    of_lesions,
    of_patient,
)
from hepatica.planning.limits.dose_limits import LimitCheck, check_limits
from hepatica.planning.planner.best_activity import Aim, Optimum, Problem, Uncertainty, optimise
from hepatica.planning.planner.territories import CourseDoses, Injection, PreviousTreatment, course_doses
from hepatica.planning.prescriptions import microspheres as rx
from hepatica.planning.prescriptions.compartments import Partition, Share
from hepatica.planning.prescriptions.dose_constants import Carrier, carrier

Method = Literal["mird", "holmium", "partition-normal", "partition-tumour", "bsa", "empiric"]
METHODS: tuple[str, ...] = get_args(Method)


@value_class
@dataclass(frozen=True, slots=True)
class Territory:
    """One injection.

    Attributes
    ----------
    name : str
        "right lobe".
    target : Partition
        Masses, lesions with T/N, lung shunt, lung mass.
    agent : str or None
        Where it differs from the plan's.
    method : str or None
        Where it differs from the plan's.
    """

    name: str
    target: Partition
    agent: str | None = None
    method: Method | None = None


@options
class Aims:
    """What the methods aim at; a method whose aim is not stated is left out.

    Attributes
    ----------
    perfused_gy : float or None
        Mean dose to everything perfused: single compartment and holmium rule.
    normal_limit_gy : float or None
        Mean dose to normal liver: of what is perfused for partition, of the whole for the planner.
    tumour_gy : float or None
        Mean dose of all tumours for partition, of each for the planner.
    lung_limit_gy : float
        Caps partition; limit of the planner.
    method : {"mird", "holmium", "partition-normal", "partition-tumour", "bsa", "empiric"} or None
        The method whose activity is given; the first applicable in the order of the agent's own rule if not stated.
    """

    perfused_gy: Positive | None = None
    normal_limit_gy: Positive | None = None
    tumour_gy: Positive | None = None
    lung_limit_gy: Positive = 30.0
    method: Method | None = None

    def __post_init__(self) -> None:
        if self.perfused_gy is None and self.normal_limit_gy is None and self.tumour_gy is None:
            raise InputError("no aim is stated", remedy="state `perfused_gy`, `normal_limit_gy` or `tumour_gy`")


@value_class
@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A plan as a value: what the TOML file says, in numbers.

    Attributes
    ----------
    title, agent : str
        For the report; the agent of all territories that name none.
    territories : tuple of Territory
        Injections.
    aims : Aims
        Doses aimed at.
    patient : Patient
        Intent, indication, liver function.
    convention : str or None
        Dose constant; the methods' own if None.
    residual : float
        Share left in vial and tubing.
    unperfused_normal_mass_kg : float
        Normal liver that no territory reaches.
    height_m, weight_kg : float or None
        For BSA.
    previous : tuple of PreviousTreatment
        Earlier treatments.
    uncertainty : Uncertainty or None
        With it the planner runs.
    normal_probability, lung_probability : float
        For the planner.
    facts : Situation
        Whatever else is known, for the guardrails.
    allowances : tuple of Allowance
        What earlier treatments leave, by BED and per territory; in place of `previous`.
    lung_mass_measured : bool
        Whether the lung mass of the territories was measured.
    """

    title: str = field(default="plan", metadata=withheld("plan"))
    agent: str
    territories: tuple[Territory, ...]
    aims: Aims
    patient: Patient = field(default_factory=Patient)
    convention: ConventionName | None = None
    residual: Share = 0.0
    unperfused_normal_mass_kg: NonNegative = 0.0
    height_m: Positive | None = None
    weight_kg: Positive | None = None
    previous: tuple[PreviousTreatment, ...] = ()
    uncertainty: Uncertainty | None = None
    normal_probability: Fraction = 0.05
    lung_probability: Fraction = 0.05
    facts: Situation = field(default_factory=Situation)
    allowances: tuple[Allowance, ...] = ()
    lung_mass_measured: bool = False

    def __post_init__(self) -> None:
        if not self.territories:
            raise InputError("a plan needs at least one territory")
        names = [t.name for t in self.territories]
        if len(set(names)) != len(names):
            raise InputError(f"two territories share a name: {', '.join(sorted(names))}")
        if (self.height_m is None) != (self.weight_kg is None):
            raise InputError("the BSA rule needs `height_m` and `weight_kg`; only one of them is stated")
        if self.unperfused_normal_mass_kg < 0:
            raise InputError("`unperfused_normal_mass_kg` cannot be negative")
        require_fitting(self.allowances, names, self.previous)

    @property
    def lung_limit_gy(self) -> float:
        """The aim's, or what earlier treatments leave if that is less."""
        return min([self.aims.lung_limit_gy, *(a.lung_gy for a in self.allowances)])

    @property
    def earlier(self) -> tuple[PreviousTreatment, ...]:
        """Earlier treatments, stated or known from the allowances."""
        return (*self.previous, *as_previous(self.allowances))

    def normal_limit_gy(self, territory: str) -> float | None:
        """The aim's, or what earlier treatments leave for the territory if that is less; None without an aim."""
        left = allowance_for(self.allowances, territory)
        if self.aims.normal_limit_gy is None or left is None:
            return self.aims.normal_limit_gy
        return min(self.aims.normal_limit_gy, left.normal_gy)


@dataclass(frozen=True, slots=True)
class TerritoryPlan:
    """All applicable methods for one territory, and the one that is given."""

    territory: Territory = field(metadata=HIDDEN)
    methods: Mapping[str, Assessed]
    chosen: str

    @property
    @reported
    def name(self) -> str:
        """Of the territory."""
        return self.territory.name

    @property
    def given(self) -> Assessed:
        """The chosen method's prescription."""
        return self.methods[self.chosen]


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
    """

    course: Course = field(metadata=HIDDEN)
    territories: tuple[TerritoryPlan, ...]
    doses: CourseDoses
    limits: tuple[LimitCheck, ...]
    guardrails: Review
    planner: Optimum | None

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
    def planned_gbq(self) -> float:
        """Total in all vials at administration, residual included."""
        return sum(t.given.prescription.planned_gbq for t in self.territories)

    @property
    @reported
    def administered_gbq(self) -> float:
        """Total that reaches the patient."""
        return sum(t.given.prescription.administered_gbq for t in self.territories)

    @property
    def own_messages(self) -> tuple[Message, ...]:
        """What a reader must know beside the guardrails."""
        cautions = [Message("caution", f"{a.source}: {text}") for a in self.course.allowances for text in a.cautions]
        return unique(self.doses.messages, cautions, *(t.given.prescription.messages for t in self.territories))

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything a reader must know, each once."""
        return unique(self.own_messages, self.guardrails.messages())


def plan_course(course: Course) -> CoursePlan:
    """Every applicable method for every territory, doses of the chosen ones together, limits, guardrails, chances.

    Raises
    ------
    InputError
        If a territory has no applicable method (the message says what is missing).
    """
    plans = tuple(_plan_territory(course, territory) for territory in course.territories)
    injections = [
        Injection(
            p.territory.name,
            p.territory.target,
            p.given.prescription.administered_gbq,
            p.given.prescription.constant,
        )
        for p in plans
    ]
    whole = course.unperfused_normal_mass_kg + sum(t.target.normal_mass_kg for t in course.territories)
    doses = course_doses(injections, whole_normal_liver_kg=whole, previous=course.earlier)
    _require_nuclide(course, plans)
    out = CoursePlan(course, plans, doses, (), check(Situation()), None)
    out = replace(out, limits=_course_limits(course, out), planner=_optimum(course, plans))
    return replace(out, guardrails=check(_course_situation(course, out)))


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


def _carrier_for(course: Course, territory: Territory, method: str) -> Carrier:
    return carrier(method, agent_name=territory.agent or course.agent, convention=course.convention)


def _plan_territory(course: Course, territory: Territory) -> TerritoryPlan:
    methods: dict[str, Assessed] = {}
    for name in METHODS:
        substance = _carrier_for(course, territory, name.split("-")[0])
        made = _prescription(course, territory, name, substance)
        if made is not None:
            methods[name] = assess(
                made,
                substance,
                target=territory.target,
                patient=course.patient,
                lung_mass_measured=course.lung_mass_measured,
            )
    if not methods:
        raise InputError(f"territory {territory.name!r}: no method applies; state an aim, or lesions with mass and T/N")
    wanted = territory.method or course.aims.method
    if wanted is not None and wanted not in methods:
        raise InputError(
            f"territory {territory.name!r}: method {wanted!r} does not apply here; applicable: {', '.join(methods)}"
        )
    return TerritoryPlan(territory, methods, wanted or _first_choice(course, territory, methods))


def _first_choice(course: Course, territory: Territory, methods: Mapping[str, Assessed]) -> str:
    rule = _carrier_for(course, territory, "mird").agent
    preferred = {
        "resin-bsa or partition": ("partition-normal", "partition-tumour", "bsa"),
        "ho166-whole-liver": ("holmium",),
    }
    order = (*preferred.get(rule.prescription if rule else "", ("mird",)), *METHODS)
    return next(name for name in order if name in methods)


def _prescription(course: Course, territory: Territory, name: str, substance: Carrier) -> rx.Prescription | None:
    """A prescription by one method, or None where it does not apply."""
    aims, target = course.aims, territory.target
    resin = substance.agent is not None and substance.agent.name == "resin"
    if name == "mird" and aims.perfused_gy is not None:
        return rx.mird(aims.perfused_gy, target, substance.constant, residual=course.residual)
    if name == "holmium" and substance.nuclide.name == "Ho-166" and aims.perfused_gy is not None:
        return rx.holmium(aims.perfused_gy, target, substance.constant, residual=course.residual)
    if name.startswith("partition") and target.lesions:
        limit = course.normal_limit_gy(territory.name)
        normal = limit if name == "partition-normal" and target.normal_mass_kg else None
        tumour = aims.tumour_gy if name == "partition-tumour" else None
        if normal is None and tumour is None:
            return None
        return rx.partition(
            target,
            substance.constant,
            normal_limit_gy=normal,
            tumour_dose_gy=tumour,
            lung_limit_gy=course.lung_limit_gy,
            residual=course.residual,
        )
    if resin and name in ("bsa", "empiric"):
        return _resin_rule(course, territory, name, substance)
    return None


def _resin_rule(course: Course, territory: Territory, name: str, substance: Carrier) -> rx.Prescription | None:
    target = territory.target
    liver = course.unperfused_normal_mass_kg + sum(t.target.perfused_mass_kg for t in course.territories)
    share = min(1.0, target.perfused_mass_kg / liver)
    involvement = target.tumour_mass_kg / target.perfused_mass_kg
    options: dict[str, float] = {"lung_shunt": target.lung_shunt, "residual": course.residual}
    if name == "empiric":
        return rx.with_doses(rx.empiric(involvement, substance.constant, target_share=share, **options), target)
    if course.height_m is None or course.weight_kg is None:
        return None
    if share > 0.999:
        made = rx.bsa(course.height_m, course.weight_kg, involvement, substance.constant, **options)
    else:
        # Masses stand for volumes: tumour and normal liver have nearly one density.
        volumes = rx.LobeVolumes(target.tumour_mass_kg * 1000, target.perfused_mass_kg * 1000, liver * 1000)
        made = rx.bsa_lobar(course.height_m, course.weight_kg, volumes, substance.constant, **options)
    return rx.with_doses(made, target)


def _course_limits(course: Course, out: CoursePlan) -> tuple[LimitCheck, ...]:
    perfused = [
        (t.given.prescription.doses.perfused_gy or 0.0) if t.given.prescription.doses else 0.0 for t in out.territories
    ]
    shunted = sum(t.given.prescription.administered_gbq * t.territory.target.lung_shunt for t in out.territories)
    values = {
        "lung_gy": out.doses.lung_gy,
        "lung_cumulative_gy": out.doses.lung_cumulative_gy if course.earlier else None,
        "normal_liver_gy": out.doses.normal_liver_cumulative_gy,
        "perfused_normal_gy": max(out.doses.perfused_normal_gy.values(), default=None),
        "perfused_gy": perfused[0] if len(perfused) == 1 else None,
        "tumour_gy": min(out.doses.lesions_gy.values(), default=None),
        "lung_activity_gbq": shunted,
        "lung_shunt_fraction": max(t.target.lung_shunt for t in course.territories),
    }
    context = course.patient.context(out.territories[0].given.carrier.name)
    left = check_allowances(course.allowances, dict(out.doses.perfused_normal_gy), out.doses.lung_gy)
    order = {"violated": 0, "near": 1, "met": 2}
    return tuple(sorted([*left, *check_limits(values, context)], key=lambda found: order[found.status]))


def _optimum(course: Course, plans: tuple[TerritoryPlan, ...]) -> Optimum | None:
    aims = course.aims
    lesions = any(t.target.lesions for t in course.territories)
    if aims.tumour_gy is None or aims.normal_limit_gy is None or not lesions or course.uncertainty is None:
        return None
    constants = {(p.given.prescription.constant.nuclide, p.given.prescription.constant.j_per_gbq) for p in plans}
    if len(constants) > 1:
        raise InputError("the planner takes one nuclide and one dose constant for all territories")
    aim = Aim(
        aims.tumour_gy, aims.normal_limit_gy, course.normal_probability, course.lung_limit_gy, course.lung_probability
    )
    problem = Problem(
        {t.name: t.target for t in course.territories},
        plans[0].given.prescription.constant,
        course.uncertainty,
        aim,
        course.unperfused_normal_mass_kg,
        sum(p.lung_gy for p in course.previous),
        sum(p.normal_liver_gy for p in course.previous),
        {t.name: a.normal_gy for t in course.territories if (a := allowance_for(course.allowances, t.name))},
    )
    return optimise(problem)


def _course_situation(course: Course, out: CoursePlan) -> Situation:
    """The stated facts, with what the plan itself knows; a stated fact wins."""
    known = _known(course, out)
    stated = {f.name: getattr(course.facts, f.name) for f in fields(Situation)}
    return Situation(**{name: getattr(known, name) if value is None else value for name, value in stated.items()})


def _known(course: Course, out: CoursePlan) -> Situation:
    """What the plan itself says to the guardrails."""
    worst = max(out.territories, key=lambda t: len(t.given.guardrails.warned))
    spread = max((activity_spread(list(t.methods.values())) or 0.0 for t in out.territories), default=0.0)
    chances = out.planner.chances if out.planner else None
    perfused = [t.given.prescription.doses for t in out.territories]
    known = of_patient(of_agent(Situation(), out.territories[0].given.carrier.agent), course.patient)
    return replace(
        of_lesions(known, [lesion for t in course.territories for lesion in t.target.lesions]),
        methods_ratio=spread or None,
        method=worst.given.prescription.method,
        probability_tumour=chances.probability_tumour_reached if chances else None,
        probability_normal_exceeded=chances.probability_normal_liver_exceeded if chances else None,
        convention=out.territories[0].given.prescription.constant.convention,
        lung_shunt=max(t.target.lung_shunt for t in course.territories),
        lung_mass_kg=course.territories[0].target.lung_mass_kg,
        lung_mass_measured=course.lung_mass_measured,
        lung_dose_gy=out.doses.lung_gy,
        lung_dose_cumulative_gy=out.doses.lung_cumulative_gy,
        planned_gbq=max(t.given.prescription.planned_gbq for t in out.territories),
        residual=course.residual,
        dose_tumour_gy=min(out.doses.lesions_gy.values(), default=None),
        dose_tumour_target_gy=course.aims.tumour_gy,
        dose_normal_liver_gy=out.doses.normal_liver_cumulative_gy,
        dose_normal_limit_gy=course.aims.normal_limit_gy,
        dose_perfused_gy=max((d.perfused_gy or 0.0 for d in perfused if d is not None), default=None),
        previous_tare_count=len(course.previous) or max((a.treatments for a in course.allowances), default=0),
        vials_count=len(course.territories),
    )
