"""A whole plan: every territory by every applicable method side by side, the course's doses, limits, chances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.guardrails import Review, Situation, check
from hepatica.planning.limits.allowance import Allowance, allowance_for, as_previous, check_allowances, require_fitting
from hepatica.planning.limits.assess import Assessed, Patient, activity_spread, assess
from hepatica.planning.limits.dose_limits import LimitCheck, LimitContext, check_limits
from hepatica.planning.planner.best_activity import Aim, Optimum, Problem, Uncertainty, optimise
from hepatica.planning.planner.territories import CourseDoses, Injection, PreviousTreatment, course_doses
from hepatica.planning.prescriptions import microspheres as rx
from hepatica.planning.prescriptions.compartments import Partition
from hepatica.planning.prescriptions.dose_constants import Carrier, carrier

METHODS = ("mird", "holmium", "partition-normal", "partition-tumour", "bsa", "empiric")


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
    method: str | None = None


@dataclass(frozen=True, slots=True)
class Aims:
    """What the methods aim at, in Gy; None where not stated, and the methods that need it are left out.

    Attributes
    ----------
    perfused_gy : float or None
        Single compartment and holmium rule.
    normal_limit_gy, tumour_gy : float or None
        Partition.
    lung_limit_gy : float
        Caps partition; limit of the planner.
    method : str or None
        The method whose activity is given; None for the first applicable in the order of the agent's own rule.
    """

    perfused_gy: float | None = None
    normal_limit_gy: float | None = None
    tumour_gy: float | None = None
    lung_limit_gy: float = 30.0
    method: str | None = None

    def __post_init__(self) -> None:
        if self.method is not None and self.method not in METHODS:
            raise UnknownNameError("method", self.method, METHODS)
        if self.perfused_gy is None and self.normal_limit_gy is None and self.tumour_gy is None:
            raise InputError("state at least one aim: perfused, normal_limit or tumour dose")


@dataclass(frozen=True, slots=True)
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
    unperfused_normal_kg : float
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
        What earlier treatments leave, by `hepatica adaptive`; in place of `previous`.
    """

    title: str
    agent: str
    territories: tuple[Territory, ...]
    aims: Aims
    patient: Patient = field(default_factory=Patient)
    convention: str | None = None
    residual: float = 0.0
    unperfused_normal_kg: float = 0.0
    height_m: float | None = None
    weight_kg: float | None = None
    previous: tuple[PreviousTreatment, ...] = ()
    uncertainty: Uncertainty | None = None
    normal_probability: float = 0.05
    lung_probability: float = 0.05
    facts: Situation = field(default_factory=Situation)
    allowances: tuple[Allowance, ...] = ()

    def __post_init__(self) -> None:
        if not self.territories:
            raise InputError("a plan needs at least one territory")
        names = [t.name for t in self.territories]
        if len(set(names)) != len(names):
            raise InputError(f"two territories share a name: {', '.join(sorted(names))}")
        if (self.height_m is None) != (self.weight_kg is None):
            raise InputError("the BSA rule needs height and weight; only one of them is given")
        if self.unperfused_normal_kg < 0:
            raise InputError("the mass of unperfused normal liver cannot be negative")
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

    territory: Territory
    methods: Mapping[str, Assessed]
    chosen: str

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
    review : Review
        Guardrails on the whole plan.
    optimum : Optimum or None
        Of the probabilistic planner.
    """

    course: Course
    territories: tuple[TerritoryPlan, ...]
    doses: CourseDoses
    limits: tuple[LimitCheck, ...]
    review: Review
    optimum: Optimum | None

    @property
    def activity_gbq(self) -> float:
        """Total in all vials at administration, residual included."""
        return sum(t.given.prescription.activity_gbq for t in self.territories)

    @property
    def activity_administered_gbq(self) -> float:
        """Total that reaches the patient."""
        return sum(t.given.prescription.activity_administered_gbq for t in self.territories)

    @property
    def tumour_gy(self) -> float | None:
        """Mean over all lesions, by mass; None without lesions."""
        masses: dict[str, float] = {}
        for t in self.course.territories:
            for lesion in t.target.lesions:
                masses[lesion.name] = masses.get(lesion.name, 0.0) + lesion.mass_kg
        total = sum(masses.values())
        return sum(self.doses.lesions_gy[name] * m for name, m in masses.items()) / total if total else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything a reader must know, each once."""
        own = [w for t in self.territories for w in t.given.prescription.warnings]
        spoken = [f"{w.severity}: {w.message} [{w.id}]" for w in self.review.warned]
        cautions = [f"{a.source}: {text}" for a in self.course.allowances for text in a.cautions]
        return tuple(dict.fromkeys([*self.doses.warnings, *cautions, *own, *spoken]))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        constants = {t.given.prescription.constant.convention for t in self.territories}
        return {
            "title": self.course.title,
            "agent": self.course.agent,
            "activity_gbq": self.activity_gbq,
            "activity_administered_gbq": self.activity_administered_gbq,
            "dose_tumour_gy": self.tumour_gy,
            "dose_normal_liver_gy": self.doses.normal_liver_gy,
            "dose_normal_liver_cumulative_gy": self.doses.normal_liver_cumulative_gy,
            "dose_lung_gy": self.doses.lung_gy,
            "dose_lung_cumulative_gy": self.doses.lung_cumulative_gy,
            "dose_lesions_gy": dict(self.doses.lesions_gy),
            "dose_perfused_normal_gy": dict(self.doses.perfused_normal_gy),
            "convention": ", ".join(sorted(constants)),
            "energy_j": self.doses.energy_j,
            "territories": [
                {
                    "name": t.territory.name,
                    "chosen": t.chosen,
                    "methods": {name: assessed.as_dict() for name, assessed in t.methods.items()},
                }
                for t in self.territories
            ],
            "limits": [limit.as_dict() for limit in self.limits],
            "guardrails": self.review.as_dict(),
            "planner": self.optimum.as_dict() if self.optimum else None,
            "warnings": list(self.warnings),
        }


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
            p.given.prescription.activity_administered_gbq,
            p.given.prescription.constant,
        )
        for p in plans
    ]
    whole = course.unperfused_normal_kg + sum(t.target.normal_mass_kg for t in course.territories)
    doses = course_doses(injections, whole_normal_liver_kg=whole, previous=course.earlier)
    _require_nuclide(course, plans)
    out = CoursePlan(course, plans, doses, (), check(Situation()), None)
    limits = _course_limits(course, out)
    optimum = _optimum(course, plans) if course.uncertainty is not None else None
    out = replace(out, limits=limits, optimum=optimum)
    return replace(out, review=check(_course_situation(course, out)))


def _require_nuclide(course: Course, plans: tuple[TerritoryPlan, ...]) -> None:
    """The dose that a BED leaves depends on the half-life: an allowance holds for its nuclide alone."""
    for plan in plans:
        left = allowance_for(course.allowances, plan.territory.name)
        used = plan.given.prescription.constant.nuclide
        if left is not None and left.nuclide != used:
            raise InputError(
                f"{left.source}: is for {left.nuclide}, but {plan.territory.name!r} is planned with {used}; run "
                f"`hepatica adaptive --nuclide {used}`"
            )


def _carrier_for(course: Course, territory: Territory, method: str) -> Carrier:
    return carrier(method, agent_name=territory.agent or course.agent, convention=course.convention)


def _plan_territory(course: Course, territory: Territory) -> TerritoryPlan:
    methods: dict[str, Assessed] = {}
    for name in METHODS:
        of = _carrier_for(course, territory, name.split("-")[0])
        made = _prescription(course, territory, name, of)
        if made is not None:
            methods[name] = assess(made, of, target=territory.target, patient=course.patient)
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


def _prescription(course: Course, territory: Territory, name: str, of: Carrier) -> rx.Prescription | None:
    """A prescription by one method, or None where it does not apply."""
    aims, target = course.aims, territory.target
    resin = of.agent is not None and of.agent.name == "resin"
    if name == "mird" and aims.perfused_gy is not None:
        return rx.mird(aims.perfused_gy, target, of.constant, residual=course.residual)
    if name == "holmium" and of.nuclide.name == "Ho-166" and aims.perfused_gy is not None:
        return rx.holmium(aims.perfused_gy, target, of.constant, residual=course.residual)
    if name.startswith("partition") and target.lesions:
        limit = course.normal_limit_gy(territory.name)
        normal = limit if name == "partition-normal" and target.normal_mass_kg else None
        tumour = aims.tumour_gy if name == "partition-tumour" else None
        if normal is None and tumour is None:
            return None
        return rx.partition(
            target,
            of.constant,
            normal_limit_gy=normal,
            tumour_dose_gy=tumour,
            lung_limit_gy=course.lung_limit_gy,
            residual=course.residual,
        )
    if resin and name in ("bsa", "empiric"):
        return _resin_rule(course, territory, name, of)
    return None


def _resin_rule(course: Course, territory: Territory, name: str, of: Carrier) -> rx.Prescription | None:
    target = territory.target
    liver = course.unperfused_normal_kg + sum(t.target.perfused_mass_kg for t in course.territories)
    share = min(1.0, target.perfused_mass_kg / liver)
    involvement = target.tumour_mass_kg / target.perfused_mass_kg
    options: dict[str, float] = {"lung_shunt": target.lung_shunt, "residual": course.residual}
    if name == "empiric":
        return rx.with_doses(rx.empiric(involvement, of.constant, target_share=share, **options), target)
    if course.height_m is None or course.weight_kg is None:
        return None
    if share > 0.999:
        made = rx.bsa(course.height_m, course.weight_kg, involvement, of.constant, **options)
    else:
        # Masses stand for volumes: tumour and normal liver have nearly one density.
        volumes = rx.LobeVolumes(target.tumour_mass_kg * 1000, target.perfused_mass_kg * 1000, liver * 1000)
        made = rx.bsa_lobar(course.height_m, course.weight_kg, volumes, of.constant, **options)
    return rx.with_doses(made, target)


def _course_limits(course: Course, out: CoursePlan) -> tuple[LimitCheck, ...]:
    perfused = [
        (t.given.prescription.doses.perfused_gy or 0.0) if t.given.prescription.doses else 0.0 for t in out.territories
    ]
    shunted = sum(
        t.given.prescription.activity_administered_gbq * t.territory.target.lung_shunt for t in out.territories
    )
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
    p = course.patient
    agent = out.territories[0].given.carrier.name
    context = LimitContext(agent, p.intent, p.indication, p.bilirubin_mg_dl, p.hepatic_reserve, p.compromised)
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
        course.unperfused_normal_kg,
        sum(p.lung_gy for p in course.previous),
        sum(p.normal_liver_gy for p in course.previous),
        {t.name: a.normal_gy for t in course.territories if (a := allowance_for(course.allowances, t.name))},
    )
    return optimise(problem)


def _course_situation(course: Course, out: CoursePlan) -> Situation:
    """The stated facts, with what the plan itself knows; a stated fact wins."""
    from dataclasses import fields

    worst = max(out.territories, key=lambda t: len(t.given.review.warned))
    known = _first_situation(course, out)
    spread = max((activity_spread(list(t.methods.values())) or 0.0 for t in out.territories), default=0.0)
    known |= {
        "methods_ratio": spread or None,
        "method": worst.given.prescription.method,
        "probability_tumour": out.optimum.chances.tumour if out.optimum else None,
        "probability_normal_exceeded": out.optimum.chances.normal_exceeded if out.optimum else None,
    }
    stated = {f.name: getattr(course.facts, f.name) for f in fields(Situation)}
    merged = {name: stated[name] if stated[name] is not None else known.get(name) for name in stated}
    return Situation(**merged)


def _first_situation(course: Course, out: CoursePlan) -> dict[str, Any]:
    lesions = [lesion for t in course.territories for lesion in t.target.lesions]
    agent = out.territories[0].given.carrier.agent
    vials = agent.facts["vials_gbq"].value if agent and "vials_gbq" in agent.facts else None
    perfused = [t.given.prescription.doses for t in out.territories]
    return {
        "agent": agent.name if agent else None,
        "agent_nuclide": agent.nuclide_name if agent else None,
        "agent_form": agent.form if agent else None,
        "agent_approved": agent.status == "approved" if agent else None,
        "has_label_rule": agent.prescription != "none" if agent else None,
        "convention": out.territories[0].given.prescription.constant.convention,
        "intent": course.patient.intent,
        "indication": course.patient.indication,
        "bilirubin_mg_dl": course.patient.bilirubin_mg_dl,
        "hepatic_reserve": course.patient.hepatic_reserve,
        "lung_shunt": max(t.target.lung_shunt for t in course.territories),
        "lung_shunt_sd": course.patient.lung_shunt_sd,
        "lung_mass_kg": course.territories[0].target.lung_mass_kg,
        "lung_mass_measured": course.patient.lung_mass_measured,
        "lung_dose_gy": out.doses.lung_gy,
        "lung_dose_cumulative_gy": out.doses.lung_cumulative_gy,
        "tumour_to_normal": min((t.uptake_ratio for t in lesions), default=None),
        "tumour_to_normal_max": max((t.uptake_ratio for t in lesions), default=None),
        "lesions_count": len(lesions) or None,
        "smallest_lesion_ml": min((t.mass_kg * 1000 / 1.05 for t in lesions), default=None),
        "activity_gbq": max(t.given.prescription.activity_gbq for t in out.territories),
        "largest_vial_gbq": max(vials) if isinstance(vials, tuple) else vials if isinstance(vials, float) else None,
        "residual": course.residual,
        "dose_tumour_gy": min(out.doses.lesions_gy.values(), default=None),
        "dose_tumour_target_gy": course.aims.tumour_gy,
        "dose_normal_liver_gy": out.doses.normal_liver_cumulative_gy,
        "dose_normal_limit_gy": course.aims.normal_limit_gy,
        "dose_perfused_gy": max((d.perfused_gy or 0.0 for d in perfused if d is not None), default=None),
        "previous_tare_count": len(course.previous) or max((a.treatments for a in course.allowances), default=0),
        "vials_count": len(course.territories),
    }
