"""A plan as a value: what is asked for each territory, and what is known of the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from hepatica.core.message import Message
from hepatica.core.options import Fraction, NonNegative, Positive, options
from hepatica.core.options.values import value_class
from hepatica.core.privacy.identity import withheld
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import ConventionName
from hepatica.planning.guardrails import Situation
from hepatica.planning.limits.allowance import Allowance, allowance_for, as_previous, require_fitting
from hepatica.planning.limits.assess import Patient
from hepatica.planning.limits.assumed import Assumption
from hepatica.planning.limits.dose_limits import limits
from hepatica.planning.measured.compared import Compared
from hepatica.planning.measured.deposits import Deposits
from hepatica.planning.planner.best_activity import Uncertainty
from hepatica.planning.planner.territories import PreviousTreatment
from hepatica.planning.prescriptions.compartments import Partition, Share

Method = Literal["mird", "holmium", "partition-normal", "partition-tumour", "bsa", "empiric", "stated"]
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
    administered_gbq : float or None
        Activity that reaches the patient where a person states it; it is given unless a method is stated.
    """

    name: str
    target: Partition
    agent: str | None = None
    method: Method | None = None
    administered_gbq: Positive | None = None


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
        Of this treatment: caps partition; limit of the planner.
    lung_lifetime_limit_gy : float
        Of this and all earlier treatments together.
    normal_lifetime_limit_gy : float or None
        The same for the whole normal liver; its limit of a treatment is taken if not stated, as no label states one.
    method : {"mird", "holmium", "partition-normal", "partition-tumour", "bsa", "empiric", "stated"} or None
        The method whose activity is given; the first applicable in the order of the agent's own rule if not stated.
    """

    perfused_gy: Positive | None = None
    normal_limit_gy: Positive | None = None
    tumour_gy: Positive | None = None
    lung_limit_gy: NonNegative = 30.0
    lung_lifetime_limit_gy: Positive = 50.0
    normal_lifetime_limit_gy: Positive | None = None
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
    effective_half_life_s : float or None
        Of activity that leaves (lipiodol): only the decays that stay give dose; all of them if None.
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
    waived_limits : mapping of str to str
        Limits, by id, past which the plan goes knowingly -> reason.
    assumptions : tuple of Assumption
        What was not stated and had to be taken.
    measured_facts : Situation
        What the plan's images say to the guardrails.
    deposits : Deposits or None
        Activity outside liver and lungs on the scout; None where nobody looked for it.
    compared : tuple of Compared
        Stated values beside those that the plan's files hold.
    notes : tuple of Message
        What came up when the values were put together.
    """

    title: str = field(default="plan", metadata=withheld("plan", may_name=True))
    agent: str
    territories: tuple[Territory, ...]
    aims: Aims
    patient: Patient = field(default_factory=Patient)
    convention: ConventionName | None = None
    residual: Share = 0.0
    effective_half_life_s: Positive | None = None
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
    waived_limits: Mapping[str, str] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    measured_facts: Situation = field(default_factory=Situation)
    deposits: Deposits | None = None
    compared: tuple[Compared, ...] = ()
    notes: tuple[Message, ...] = ()

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
        known = [row.id for row in limits()]
        for name, reason in self.waived_limits.items():
            if name not in known:
                raise UnknownNameError("limit", name, known)
            if not reason.strip():
                raise InputError(f"the limit {name} is waived without a reason")

    @property
    def lung_limit_gy(self) -> float:
        """What the lungs may get from this treatment: its limit, or what is left of a lifetime's if that is less."""
        left = max(0.0, self.aims.lung_lifetime_limit_gy - sum(p.lung_gy for p in self.previous))
        return min([self.aims.lung_limit_gy, left, *(a.lung_gy for a in self.allowances)])

    @property
    def liver_kg(self) -> float:
        """Whole liver, tumours included."""
        return self.unperfused_normal_mass_kg + sum(t.target.perfused_mass_kg for t in self.territories)

    @property
    def whole_normal_kg(self) -> float:
        """Normal liver, perfused or not."""
        return self.unperfused_normal_mass_kg + sum(t.target.normal_mass_kg for t in self.territories)

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
