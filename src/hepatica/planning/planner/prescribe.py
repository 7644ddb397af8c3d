"""One prescription from its numbers, by any method, beside the limits of its agent and the guardrails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Literal

from hepatica.core.message import Message
from hepatica.core.options import Fraction, NonNegative, Positive, Text, options
from hepatica.errors import InputError
from hepatica.nuclides import ConventionName
from hepatica.planning.limits.assess import LIVER_DENSITY_G_ML, Assessed, Patient, assess
from hepatica.planning.limits.assumed import LUNG_MASS, NO_RESIDUAL, NO_SHUNT, REFERENCE_LUNG_MASS_KG, Assumption
from hepatica.planning.limits.dose_limits import Limit, intent_target
from hepatica.planning.prescriptions import lipiodol
from hepatica.planning.prescriptions import microspheres as rules
from hepatica.planning.prescriptions.compartments import ActivityRatioPartition, Partition, Share, lesions_from
from hepatica.planning.prescriptions.dose_constants import Carrier, carrier
from hepatica.planning.prescriptions.microspheres import Prescription

Method = Literal["mird", "bsa", "empiric", "partition", "activity-ratio", "holmium", "lipiodol"]

LUNG_MASS_KG = REFERENCE_LUNG_MASS_KG
"""Where none is stated; it is listed as assumed."""

HOLMIUM_GY = 60.0
"""Mean dose of the holmium label."""


@options
class SubstanceOptions:
    """What is given.

    Attributes
    ----------
    agent : str or None
        Agent, such as glass, resin, QuiremSpheres; the method's own if not stated.
    nuclide : str or None
        Nuclide, where no agent fits (mird, partition, activity-ratio).
    convention : {"ensdf", "ensdf-all", "mird", "label", "clinical", "icrp107", "beta-only"} or None
        Dose constant; the method's own if not stated.
    residual : float
        Share that stays in vial and tubing.
    """

    agent: str | None = None
    nuclide: str | None = None
    convention: ConventionName | None = None
    residual: Share = 0.0


@options
class PerfusedOptions:
    """What is perfused, tumour included (mird, holmium): one of both.

    Attributes
    ----------
    mass_kg : float or None
        Perfused mass.
    volume_ml : float or None
        Perfused volume; the density is the one of the agent's label.
    """

    mass_kg: Positive | None = None
    volume_ml: Positive | None = None


@options
class MassOptions:
    """Masses and uptake.

    Attributes
    ----------
    normal_mass_kg : float or None
        Perfused normal liver, without tumour.
    tumour_mass_kg : tuple of float
        Mass of each tumour.
    tumour_to_normal : tuple of float
        Activity per mass in tumour over normal liver, one for each tumour.
    lung_shunt : float or None
        Fraction of the activity that reaches the lungs. Where it is not stated nothing is said of the lungs' dose.
    lung_mass_kg : float or None
        Mass of the lungs; 1 kg is taken if not stated.
    """

    normal_mass_kg: Positive | None = None
    tumour_mass_kg: tuple[Positive, ...] = ()
    tumour_to_normal: tuple[Positive, ...] = ()
    lung_shunt: Share | None = None
    lung_mass_kg: Positive | None = None

    @property
    def shunt(self) -> float:
        """Lung shunt that is taken: none where it is not stated."""
        return self.lung_shunt or 0.0

    @property
    def lungs_kg(self) -> float:
        """Lung mass that is taken."""
        return LUNG_MASS_KG if self.lung_mass_kg is None else self.lung_mass_kg

    def partition(self, normal_kg: float | None = None) -> Partition:
        """Compartments; `normal_kg` in place of the mass stated.

        Raises
        ------
        InputError
            If the normal liver is not stated, or ratios and tumours are not as many.
        """
        normal = self.normal_mass_kg if normal_kg is None else normal_kg
        if normal is None:
            raise InputError("the mass of perfused normal liver is not stated", remedy="state `normal_mass_kg`")
        lesions = lesions_from(self.tumour_mass_kg, self.tumour_to_normal)
        return Partition(normal, lesions, self.shunt, self.lungs_kg)


@options
class AimOptions:
    """What the activity is to reach.

    Attributes
    ----------
    dose_gy : float or None
        Mean dose to everything perfused (mird, holmium); the guideline's for the intent, or the label's, if not stated.
    normal_limit_gy : float or None
        Mean dose to normal liver (partition, activity-ratio).
    tumour_dose_gy : float or None
        Mean dose over all tumours (partition, activity-ratio).
    planned_gbq : float or None
        Activity in the vial at administration (partition, activity-ratio).
    administered_gbq : float or None
        Activity that reaches the patient (lipiodol); organ limits set it if not stated.
    lung_limit_gy : float or None
        Limit of the lung dose: lowers the activity until the lungs get no more (partition).
    """

    dose_gy: Positive | None = None
    normal_limit_gy: Positive | None = None
    tumour_dose_gy: Positive | None = None
    planned_gbq: Positive | None = None
    administered_gbq: Positive | None = None
    lung_limit_gy: NonNegative | None = None


@options
class RuleOptions:
    """What single rules need besides.

    Attributes
    ----------
    height_m : float or None
        Height of the patient (bsa).
    weight_kg : float or None
        Weight of the patient (bsa).
    involvement : float or None
        Tumour share of the liver, of the lobe with a lobe share (bsa, empiric).
    lobe_share : float or None
        Share of the lobe in the liver's volume: the lobar rule is used (bsa).
    treated_share : float
        Share of the liver that is treated (empiric).
    activity_ratio : float or None
        Activity in tumour over activity in normal liver, not per mass (activity-ratio).
    tumour_to_lung_shunt : float
        Activity in lungs over that in tumour and lungs, not the lung shunt (activity-ratio).
    uptake : tuple of OrganUptake
        Uptake of each organ, such as "lungs:9 %:1 kg:12 h:12 Gy"; names that begin with tumour are lesions (lipiodol).
    fixed : bool
        Give the label's fixed 2.22 GBq of 131I (lipiodol).
    """

    height_m: Positive | None = None
    weight_kg: Positive | None = None
    involvement: Fraction | None = None
    lobe_share: Fraction | None = None
    treated_share: Fraction = 1.0
    activity_ratio: Positive | None = None
    tumour_to_lung_shunt: Share = 0.0
    uptake: Annotated[
        tuple[lipiodol.OrganUptake, ...],
        Text(lipiodol.organ_uptake, "ORGAN:SHARE:MASS[:EFFECTIVE HALF-LIFE[:LIMIT]]"),
    ] = ()
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """All that was asked, at hand for each method."""

    substance: SubstanceOptions
    perfused: PerfusedOptions
    masses: MassOptions
    aim: AimOptions
    rule: RuleOptions
    patient: Patient

    def carrier(self, method: str, default: str | None) -> Carrier:
        """Agent, nuclide and constant; the method's own agent where neither is stated."""
        stated = self.substance
        agent = default if stated.agent is None and stated.nuclide is None else stated.agent
        return carrier(method, agent_name=agent, nuclide_name=stated.nuclide, convention=stated.convention)

    def perfused_kg(self, substance: Carrier) -> float:
        """Mass, or volume times the density that the agent's label takes."""
        mass, volume = self.perfused.mass_kg, self.perfused.volume_ml
        if mass is not None and volume is None:
            return mass
        if mass is not None or volume is None:
            raise InputError("what is perfused is stated either as `mass_kg` or as `volume_ml`")
        return volume * _density(substance)[0] / 1000


def _density(substance: Carrier) -> tuple[float, str]:
    """Density that turns a perfused volume into a mass, g/mL, and where it comes from."""
    facts = substance.agent.facts if substance.agent is not None else {}
    stated = facts["liver_density_g_ml"].value if "liver_density_g_ml" in facts else None
    if isinstance(stated, float):
        return stated, f"label of {substance.name}"
    return LIVER_DENSITY_G_ML, "liver, Taranis; no label states one"


Made = tuple[Prescription, Carrier, Partition | None]


def prescription(method: Method, asked: Asked) -> Assessed:
    """A prescription by one method, with limits and guardrails.

    Raises
    ------
    InputError
        If the method lacks an option, or one is stated that it does not use; the message names it.
    """
    _require_used(method, asked)
    made, substance, target = _RULES[method][0](asked)
    return assess(
        made,
        substance,
        target=target,
        patient=asked.patient,
        lung_mass_measured=asked.masses.lung_mass_kg is not None,
        assumptions=_assumed(method, asked, made, substance),
    )


def _assumed(method: str, asked: Asked, made: Prescription, substance: Carrier) -> list[Assumption]:
    """What the method used and nobody stated."""
    used, stated, masses, found = _RULES[method][1].split(), asked.substance, asked.masses, []
    if stated.agent is None and stated.nuclide is None:
        found.append(Assumption("agent", substance.name, "", f"the agent of the method {method}"))
    if stated.convention is None:
        source = f"constant of {substance.name} by the convention {made.constant.convention}, the method's own"
        found.append(Assumption("dose constant", made.constant.j_per_gbq, "J/GBq", source))
    if "lung_shunt" in used and masses.lung_shunt is None:
        found.append(NO_SHUNT)
    if "lung_mass_kg" in used and masses.lung_mass_kg is None and made.doses is not None:
        found.append(LUNG_MASS)
    if stated.residual == 0:
        found.append(NO_RESIDUAL)
    return found + _assumed_of_rule(method, asked, made, substance)


def _assumed_of_rule(method: str, asked: Asked, made: Prescription, substance: Carrier) -> list[Assumption]:
    """Of that, what belongs to one rule or one kind of agent."""
    used, found = _RULES[method][1].split(), []
    if "volume_ml" in used and asked.perfused.volume_ml is not None:
        density = asked.perfused_kg(substance) / asked.perfused.volume_ml * 1000
        found.append(Assumption("density of liver", round(density, 6), "g/mL", _density(substance)[1]))
    if method == "holmium" and asked.aim.dose_gy is None:
        found.append(Assumption("dose", HOLMIUM_GY, "Gy", "mean to the perfused liver, QuiremSpheres label"))
    if method == "mird" and asked.aim.dose_gy is None:
        row = _guideline(asked, substance)
        found.append(Assumption("dose", row.limit, "Gy", f"{row.text}, {row.source}"))
    if method == "empiric" and asked.rule.treated_share == 1:
        found.append(Assumption("share of the liver that is treated", 1.0, "", "the whole liver"))
    if method != "lipiodol" and substance.agent is not None and substance.agent.form == "lipiodol":
        hours, source = substance.nuclide.half_life_h, "physical: lipiodol washes out, so that doses are at most these"
        found.append(Assumption("effective half-life", hours, "h", source))
    if made.method == "organ-limit":
        limits_gy = _agents_limits(substance)
        found += [
            Assumption(f"limit of {organ.name}", limits_gy[organ.limited_as], "Gy", f"the trial's, {substance.name}")
            for organ in asked.rule.uptake
            if organ.limit_gy is None and organ.limited_as in limits_gy
        ]
    if method == "activity-ratio" and asked.rule.tumour_to_lung_shunt == 0:
        found.append(Assumption("tumour-to-lung shunt", 0.0, "", "nothing reaches the lungs"))
    return found


def _require_used(method: str, asked: Asked) -> None:
    """Every option that is stated must be one that the method uses."""
    used = _RULES[method][1].split()
    for group in (asked.substance, asked.perfused, asked.masses, asked.aim, asked.rule):
        for item in fields(group):
            stated = getattr(group, item.name) != (None if item.default is MISSING else item.default)
            if stated and item.name not in ("agent", "convention", "residual", *used):
                names = ", ".join(f"`{name}`" for name in used)
                raise InputError(f"`{item.name}` means nothing for {method}", remedy=f"{method} takes {names}")


def _need(method: str, name: str, value: float | None) -> float:
    if value is None:
        raise InputError(f"{method} needs `{name}`")
    return value


def _mird(asked: Asked) -> Made:
    substance, masses = asked.carrier("mird", None), asked.masses
    whole = Partition(asked.perfused_kg(substance), (), masses.shunt, masses.lungs_kg)
    target = whole
    if masses.tumour_mass_kg:
        normal = whole.normal_mass_kg - sum(masses.tumour_mass_kg)
        if normal < 0:
            raise InputError("the tumours weigh more than the perfused mass, which must include them")
        target = masses.partition(normal)
    elif masses.tumour_to_normal:
        raise InputError("`tumour_to_normal` is stated without `tumour_mass_kg`")
    dose_gy, notes = _dose_or_target(asked, substance)
    made = rules.mird(dose_gy, target, substance.constant, residual=asked.substance.residual)
    return made.adding(*notes), substance, target


def _dose_or_target(asked: Asked, substance: Carrier) -> tuple[float, Iterable[Message]]:
    """The dose stated, or the one that the guideline states for the intent, and then a note that says so."""
    if asked.aim.dose_gy is not None:
        return asked.aim.dose_gy, ()
    row = _guideline(asked, substance)
    text = f"dose of {row.limit:g} Gy taken for {asked.patient.intent}: {row.text} ({row.source})"
    return row.limit, (Message("dose-of-guideline", text, severity="note"),)


def _guideline(asked: Asked, substance: Carrier) -> Limit:
    """The dose that a guideline states for the intent."""
    intent = asked.patient.intent
    if intent is None:
        raise InputError(
            "neither dose nor intent is stated",
            remedy="state `dose_gy`, or `intent` segmentectomy or lobectomy for the guideline's dose",
        )
    return intent_target(substance.name, intent, asked.patient.indication)


def _bsa(asked: Asked) -> Made:
    substance, masses, rule = asked.carrier("bsa", "resin"), asked.masses, asked.rule
    height, weight = _need("bsa", "height_m", rule.height_m), _need("bsa", "weight_kg", rule.weight_kg)
    share = _need("bsa", "involvement", rule.involvement)
    residual, shunt = asked.substance.residual, masses.shunt
    if rule.lobe_share is None:
        made = rules.bsa(height, weight, share, substance.constant, lung_shunt=shunt, residual=residual)
    else:
        volumes = rules.LobeVolumes(share * rule.lobe_share, rule.lobe_share, 1.0)
        made = rules.bsa_lobar(height, weight, volumes, substance.constant, lung_shunt=shunt, residual=residual)
    if masses.normal_mass_kg is None and not masses.tumour_mass_kg:
        return made, substance, None
    target = masses.partition()
    return rules.with_doses(made, target), substance, target


def _empiric(asked: Asked) -> Made:
    substance = asked.carrier("empiric", "resin")
    made = rules.empiric(
        _need("empiric", "involvement", asked.rule.involvement),
        substance.constant,
        target_share=asked.rule.treated_share,
        lung_shunt=asked.masses.shunt,
        residual=asked.substance.residual,
    )
    return made, substance, None


def _partition(asked: Asked) -> Made:
    substance, target, aim = asked.carrier("partition", "resin"), asked.masses.partition(), asked.aim
    made = rules.partition(
        target,
        substance.constant,
        normal_limit_gy=aim.normal_limit_gy,
        tumour_dose_gy=aim.tumour_dose_gy,
        planned_gbq=aim.planned_gbq,
        lung_limit_gy=aim.lung_limit_gy,
        residual=asked.substance.residual,
    )
    return made, substance, target


def _activity_ratio(asked: Asked) -> Made:
    substance, masses, rule, aim = asked.carrier("activity-ratio", "resin"), asked.masses, asked.rule, asked.aim
    if len(masses.tumour_mass_kg) != 1:
        raise InputError("activity-ratio needs `tumour_mass_kg` of one tumour")
    model = ActivityRatioPartition(
        _need("activity-ratio", "activity_ratio", rule.activity_ratio),
        rule.tumour_to_lung_shunt,
        masses.tumour_mass_kg[0],
        _need("activity-ratio", "normal_mass_kg", masses.normal_mass_kg),
        masses.lungs_kg,
    )
    made = rules.activity_ratio(
        model,
        substance.constant,
        normal_limit_gy=aim.normal_limit_gy,
        tumour_dose_gy=aim.tumour_dose_gy,
        planned_gbq=aim.planned_gbq,
        residual=asked.substance.residual,
    )
    return made, substance, model.partition()


def _holmium(asked: Asked) -> Made:
    substance, masses = asked.carrier("holmium", "ho166-plla"), asked.masses
    target = Partition(asked.perfused_kg(substance), (), masses.shunt, masses.lungs_kg)
    dose_gy = HOLMIUM_GY if asked.aim.dose_gy is None else asked.aim.dose_gy
    return rules.holmium(dose_gy, target, substance.constant, residual=asked.substance.residual), substance, target


def _lipiodol(asked: Asked) -> Made:
    organs, residual, given = asked.rule.uptake, asked.substance.residual, asked.aim.administered_gbq
    if not organs:
        raise InputError("lipiodol needs `uptake` of at least one organ")
    if asked.rule.fixed and given is not None:
        raise InputError("`fixed` is the label's activity; `administered_gbq` states another")
    if asked.rule.fixed or given is not None:
        substance = asked.carrier("fixed", "i131-lipiodol")
        activity = lipiodol.FIXED_I131_GBQ if given is None else given
        made = lipiodol.fixed_activity(organs, substance.constant, administered_gbq=activity, residual=residual)
        return made, substance, None
    substance = asked.carrier("organ-limit", "re188-dedc-lipiodol")
    limited = lipiodol.with_limits(organs, _agents_limits(substance))
    return lipiodol.organ_limited(limited, substance.constant, residual=residual), substance, None


def _agents_limits(substance: Carrier) -> dict[str, float]:
    """Upper limits of the agent's organs, Gy, the lowest of each."""
    found: dict[str, float] = {}
    for row in substance.agent.limits if substance.agent else ():
        if row.comparison == "<=":
            found[row.structure] = min(row.dose_gy, found.get(row.structure, row.dose_gy))
    return found


_TUMOURS = "tumour_mass_kg tumour_to_normal lung_shunt lung_mass_kg"
_AIMS = "normal_limit_gy tumour_dose_gy planned_gbq"
_RULES: dict[str, tuple[Callable[[Asked], Made], str]] = {
    "mird": (_mird, f"nuclide mass_kg volume_ml {_TUMOURS} dose_gy"),
    "bsa": (_bsa, f"height_m weight_kg involvement lobe_share normal_mass_kg {_TUMOURS}"),
    "empiric": (_empiric, "involvement treated_share lung_shunt"),
    "partition": (_partition, f"nuclide normal_mass_kg {_TUMOURS} {_AIMS} lung_limit_gy"),
    "activity-ratio": (
        _activity_ratio,
        f"nuclide normal_mass_kg tumour_mass_kg activity_ratio tumour_to_lung_shunt lung_mass_kg {_AIMS}",
    ),
    "holmium": (_holmium, "mass_kg volume_ml dose_gy lung_shunt lung_mass_kg"),
    "lipiodol": (_lipiodol, "uptake administered_gbq fixed"),
}
"""Of each method its rule and the options it takes beside agent, convention and residual."""
