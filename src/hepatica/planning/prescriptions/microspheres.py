"""Prescriptions for microspheres, each as its label, guideline or paper states it, with source and constants.

An administered activity is what reaches the patient. What must be in the vial at that instant is more by the share R
that stays behind in vial and tubing: ``A_vial = A_administered / (1 - R)``. The part 1 - LSF that stays in the liver
is divided by, too; multiplying would underdose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hepatica.core.document import HIDDEN, reported
from hepatica.core.message import Message
from hepatica.core.numbers.confidence import READ_AT_THE_SOURCE
from hepatica.errors import InputError, PhysicsError
from hepatica.planning.prescriptions.compartments import (
    ActivityRatioPartition,
    Doses,
    Partition,
    require_positive,
    require_share,
)
from hepatica.planning.prescriptions.dose_constants import DoseConstant

BSA_SOURCE = "SIR-Spheres label; van Roekel, thesis, p. 30: BSA = 0.20247 H^0.725 W^0.425, A = BSA - 0.2 + VT/VL"
LOBAR_SOURCE = "SIR-Spheres label, lobar BSA: A = (BSA - 0.2 + VT,lobe/Vlobe) x Vlobe/Vliver"
EMPIRIC_SOURCE = "SIR-Spheres label (older), empiric: 2.0/2.5/3.0 GBq for < 25 / 25-50 / > 50 % involvement"
LSF_REDUCTION_SOURCE = (
    "SIR-Spheres label; van Roekel, thesis, p. 41: -20 % above 10 %, -40 % above 15 %, none above 20 %"
)
MIRD_SOURCE = "MIRD single compartment: A = D M / (K (1 - LSF) (1 - R)); TheraSphere label with K = 50 Gy kg/GBq"
PARTITION_SOURCE = "Ho et al., Eur J Nucl Med 1996;23:947; Gulec et al., J Nucl Med 2006;47:1209 (K = 49.67 Gy kg/GBq)"
RATIO_SOURCE = "Kao et al., Cardiovasc Intervent Radiol 2013, doi 10.1007/s00270-013-0783-z (activity ratios, TLSF)"
HOLMIUM_SOURCE = "QuiremSpheres label; Smits et al., Lancet Oncol 2012;13:1025: A = D M x 63 MBq/J (15.87 J/GBq)"


@dataclass(frozen=True, slots=True)
class Prescription:
    """An activity by one method, and the doses it predicts.

    Attributes
    ----------
    method : str
        "mird", "bsa", "bsa-lobar", "empiric", "partition", "activity-ratio", "holmium", "fixed", "organ-limit",
        "stated".
    source : str
        Where the rule comes from.
    administered_gbq : float
        Activity that reaches the patient, in GBq.
    residual : float
        Share R of the vial that stays behind, 0 <= R < 1.
    constant : DoseConstant
        Energy per activity, with its convention.
    doses : Doses or None
        Predicted mean doses; None where the rule needs no masses and none were given.
    terms : mapping of str to float
        Constants and intermediate values of the formula, units in the names.
    messages : tuple of Message
        What a reader must know.
    confidence : str
        How well the source is known, a word of `hepatica.core.numbers.confidence`.
    """

    method: str
    source: str
    administered_gbq: float
    residual: float
    constant: DoseConstant
    doses: Doses | None
    terms: Mapping[str, float] = field(default_factory=dict)
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)
    confidence: str = READ_AT_THE_SOURCE

    def __post_init__(self) -> None:
        require_share(self.residual, "residual")
        if not (math.isfinite(self.administered_gbq) and self.administered_gbq >= 0):
            raise PhysicsError(f"{self.method}: activity came out as {self.administered_gbq} GBq")

    @property
    @reported
    def planned_gbq(self) -> float:
        """Activity needed in the vial at the instant of administration, residual included, in GBq."""
        return self.administered_gbq / (1 - self.residual)

    def adding(self, *messages: Message) -> Prescription:
        """Same prescription with more messages."""
        return replace(self, messages=self.messages + messages)


def mird(
    dose_gy: float,
    target: Partition,
    constant: DoseConstant,
    *,
    residual: float = 0.0,
    source: str = MIRD_SOURCE,
) -> Prescription:
    """Single compartment: activity for a mean dose over the whole perfused volume.

    Parameters
    ----------
    dose_gy : float
        Mean dose to the perfused volume, tumour included, in Gy.
    target : Partition
        Perfused masses, lung shunt, lung mass. Without lesions the dose is not split into tumour and normal liver; with
        lesions the same activity is shared out by their T/N.
    constant : DoseConstant
        For example the label's 50 J/GBq for glass.
    residual : float
        Share left in vial and tubing.

    Raises
    ------
    InputError
        If dose or mass are not positive, or LSF or R are not in [0, 1).

    Notes
    -----
    ``A_vial = D M / (K (1 - LSF) (1 - R))``.
    """
    require_positive(dose_gy, "dose", "Gy")
    mass = target.perfused_mass_kg
    administered = dose_gy * mass / (constant.j_per_gbq * (1 - target.lung_shunt))
    doses = target.doses(administered, constant)
    if not target.lesions:
        # One compartment says nothing about how tumour and normal liver share the dose.
        doses = replace(doses, normal_liver_gy=None)
    terms = {"dose_gy": dose_gy, "perfused_mass_kg": mass, "lung_shunt_fraction": target.lung_shunt}
    return Prescription("mird", source, administered, residual, constant, doses, terms)


def body_surface_area_m2(height_m: float, weight_kg: float) -> float:
    """Body surface area of Du Bois and Du Bois in m2: 0.20247 H^0.725 W^0.425, H in m, W in kg.

    >>> round(body_surface_area_m2(1.75, 75), 4)
    1.9031

    Raises
    ------
    InputError
        If height or weight are not those of a person in metres and kilograms.
    """
    require_positive(height_m, "height", "m")
    require_positive(weight_kg, "weight", "kg")
    if not 0.4 <= height_m <= 2.5:
        raise InputError(f"height {height_m:g} m is not a patient's; check the unit (0.4 to 2.5 m)")
    if not 3 <= weight_kg <= 350:
        raise InputError(f"weight {weight_kg:g} kg is not a patient's; check the unit (3 to 350 kg)")
    return float(0.20247 * height_m**0.725 * weight_kg**0.425)


def resin_reduction(lung_shunt: float) -> float:
    """Factor on the BSA or empiric activity for the lung shunt (resin label): 1, 0.8, 0.6, or 0 above 20 %.

    >>> [resin_reduction(f) for f in (0.10, 0.12, 0.15, 0.18, 0.20, 0.21)]
    [1.0, 0.8, 0.8, 0.6, 0.6, 0.0]
    """
    require_share(lung_shunt, "lung shunt fraction")
    for above, factor in ((0.20, 0.0), (0.15, 0.6), (0.10, 0.8)):
        if lung_shunt > above:
            return factor
    return 1.0


def _require_involvement(value: float, what: str = "tumour involvement") -> float:
    if not 0 <= value <= 1:
        raise InputError(f"{what} must lie between 0 and 1, not {value:g}")
    return value


def _reduced(
    method: str, source: str, full_gbq: float, lung_shunt: float, residual: float, constant: DoseConstant
) -> Prescription:
    factor = resin_reduction(lung_shunt)
    terms = {
        "activity_before_reduction_gbq": full_gbq,
        "lung_shunt_fraction": lung_shunt,
        "lung_shunt_reduction_factor": factor,
    }
    messages: tuple[Message, ...] = ()
    if factor == 0:
        text = f"the lung shunt of {lung_shunt:.1%} is above 20 %: the label gives no activity"
        messages = (Message("shunt-forbids-activity", text, "do not treat by this rule", "critical"),)
    elif factor < 1:
        text = f"lung shunt {lung_shunt:.1%}: activity reduced by {1 - factor:.0%} ({LSF_REDUCTION_SOURCE})"
        messages = (Message("activity-reduced-by-shunt", text),)
    return Prescription(method, source, full_gbq * factor, residual, constant, None, terms, messages)


def bsa(
    height_m: float,
    weight_kg: float,
    involvement: float,
    constant: DoseConstant,
    *,
    lung_shunt: float = 0.0,
    residual: float = 0.0,
) -> Prescription:
    """Body-surface-area rule for resin, whole liver: A = BSA - 0.2 + V_tumour / V_liver, reduced by lung shunt.

    Raises
    ------
    InputError
        If an input is out of range, or the rule gives no positive activity (a small child).
    """
    area = body_surface_area_m2(height_m, weight_kg)
    full = area - 0.2 + _require_involvement(involvement)
    require_positive(full, "activity by the BSA rule", "GBq")
    out = _reduced("bsa", BSA_SOURCE, full, lung_shunt, residual, constant)
    return replace(out, terms={"body_surface_area_m2": area, "involvement": involvement, **out.terms})


@dataclass(frozen=True, slots=True)
class LobeVolumes:
    """What the lobar BSA rule needs: tumour in the lobe, the lobe and the whole liver, tumour included, in mL."""

    tumour_in_lobe_ml: float
    lobe_ml: float
    liver_ml: float

    def __post_init__(self) -> None:
        require_positive(self.lobe_ml, "volume of the lobe", "mL")
        require_positive(self.liver_ml, "volume of the liver", "mL")
        if not 0 <= self.tumour_in_lobe_ml <= self.lobe_ml:
            raise InputError(
                f"tumour in the lobe ({self.tumour_in_lobe_ml:g} mL) must lie between 0 and the lobe's "
                f"volume ({self.lobe_ml:g} mL)"
            )
        if self.lobe_ml > self.liver_ml:
            raise InputError(f"the lobe ({self.lobe_ml:g} mL) is larger than the liver ({self.liver_ml:g} mL)")


def bsa_lobar(
    height_m: float,
    weight_kg: float,
    volumes: LobeVolumes,
    constant: DoseConstant,
    *,
    lung_shunt: float = 0.0,
    residual: float = 0.0,
) -> Prescription:
    """Lobar (modified) BSA rule for resin: A = (BSA - 0.2 + V_T,lobe/V_lobe) V_lobe/V_liver, reduced by lung shunt."""
    area = body_surface_area_m2(height_m, weight_kg)
    involvement = volumes.tumour_in_lobe_ml / volumes.lobe_ml
    share = volumes.lobe_ml / volumes.liver_ml
    full = (area - 0.2 + involvement) * share
    require_positive(full, "activity by the lobar BSA rule", "GBq")
    out = _reduced("bsa-lobar", LOBAR_SOURCE, full, lung_shunt, residual, constant)
    terms = {"body_surface_area_m2": area, "lobe_involvement": involvement, "lobe_share_of_liver": share}
    return replace(out, terms={**terms, **out.terms})


def empiric(
    involvement: float,
    constant: DoseConstant,
    *,
    target_share: float = 1.0,
    lung_shunt: float = 0.0,
    residual: float = 0.0,
) -> Prescription:
    """Empiric rule for resin: 2.0, 2.5 or 3.0 GBq for < 25, 25-50, > 50 % involvement, reduced by lung shunt.

    `target_share` is the share of the liver that is treated (1 for the whole liver).
    """
    _require_involvement(involvement)
    if not 0 < target_share <= 1:
        raise InputError(f"share of the liver treated must be above 0 and at most 1, not {target_share:g}")
    full = 2.0 if involvement < 0.25 else 2.5 if involvement <= 0.5 else 3.0
    out = _reduced("empiric", EMPIRIC_SOURCE, full * target_share, lung_shunt, residual, constant)
    text = "the empiric rule knows neither the patient's size nor the uptake: EANM 2022 advises against it"
    return replace(out, terms={"involvement": involvement, **out.terms}).adding(Message("empiric-rule", text))


def stated(
    administered_gbq: float, target: Partition, constant: DoseConstant, *, residual: float = 0.0
) -> Prescription:
    """An activity that a person states, with the doses that it gives by the partition of the patient.

    Parameters
    ----------
    administered_gbq : float
        Activity that reaches the patient.
    target : Partition
        Perfused masses with their T/N, lung shunt, lung mass.
    constant : DoseConstant
        Energy per activity.
    residual : float
        Share left in vial and tubing.

    Raises
    ------
    InputError
        If the activity is not positive.
    """
    require_positive(administered_gbq, "activity", "GBq")
    doses = target.doses(administered_gbq, constant)
    return Prescription("stated", "stated, by no rule", administered_gbq, residual, constant, doses)


def with_doses(prescription: Prescription, target: Partition) -> Prescription:
    """The doses that a prescription made without masses (BSA, empiric, fixed) gives in a patient."""
    doses = target.doses(prescription.administered_gbq, prescription.constant)
    return replace(prescription, doses=doses)


def partition(
    target: Partition,
    constant: DoseConstant,
    *,
    normal_limit_gy: float | None = None,
    tumour_dose_gy: float | None = None,
    lung_limit_gy: float | None = None,
    planned_gbq: float | None = None,
    residual: float = 0.0,
) -> Prescription:
    """Partition model with one or many lesions: activity from one aim, doses to every compartment.

    Parameters
    ----------
    target : Partition
        Masses, T/N, lung shunt, lung mass.
    constant : DoseConstant
        The model's paper takes 49.67 J/GBq ("mird").
    normal_limit_gy, tumour_dose_gy, planned_gbq : float, optional
        Exactly one: mean dose to normal liver that is to be reached, mean dose over all lesions, or the activity in the
        vial at administration (GBq; residual still in it).
    lung_limit_gy : float, optional
        Cap: the activity is lowered until the lungs receive no more than this.
    residual : float
        Share left in vial and tubing.

    Raises
    ------
    InputError
        Unless exactly one aim is given, and everything is in range.
    """
    aims = {"normal-liver limit": normal_limit_gy, "tumour dose": tumour_dose_gy, "planned activity": planned_gbq}
    given = [name for name, value in aims.items() if value is not None]
    if len(given) != 1:
        raise InputError(f"partition needs exactly one of {', '.join(aims)}; given: {', '.join(given) or 'none'}")
    require_share(residual, "residual")
    if normal_limit_gy is not None and not target.normal_mass_kg:
        raise InputError("there is no normal liver in this target: its limit cannot set the activity")
    if normal_limit_gy is not None:
        administered = target.activity_for_normal_dose(normal_limit_gy, constant)
    elif tumour_dose_gy is not None:
        administered = target.activity_for_tumour_dose(tumour_dose_gy, constant)
    else:
        administered = require_positive(planned_gbq or 0.0, "activity", "GBq") * (1 - residual)
    messages: tuple[Message, ...] = ()
    if lung_limit_gy is not None and administered > (cap := target.activity_for_lung_dose(lung_limit_gy, constant)):
        text = f"lowered from {administered:.3g} to {cap:.3g} GBq administered by the lung limit"
        messages = (Message("activity-capped-by-lungs", text),)
        administered = cap
    stated = {"tumour_dose_gy": tumour_dose_gy, "normal_limit_gy": normal_limit_gy}
    terms = {
        **{name: value for name, value in stated.items() if value is not None},
        "weighted_mass_kg": target.weight_kg,
        "overall_tumour_to_normal_ratio": target.overall_ratio or math.nan,
        "lung_shunt_fraction": target.lung_shunt,
    }
    terms = {name: value for name, value in terms.items() if not math.isnan(value)}
    doses = target.doses(administered, constant)
    return Prescription("partition", PARTITION_SOURCE, administered, residual, constant, doses, terms, messages)


def activity_ratio(
    model: ActivityRatioPartition,
    constant: DoseConstant,
    *,
    normal_limit_gy: float | None = None,
    tumour_dose_gy: float | None = None,
    planned_gbq: float | None = None,
    residual: float = 0.0,
) -> Prescription:
    """Partition by activity ratios (R = A_T/A_N and tumour-to-lung shunt TLSF); see `partition` for the aims.

    This is not the T/N partition: a mass-concentration ratio put in place of R gives another, wrong, answer.
    """
    out = partition(
        model.partition(),
        constant,
        normal_limit_gy=normal_limit_gy,
        tumour_dose_gy=tumour_dose_gy,
        planned_gbq=planned_gbq,
        residual=residual,
    )
    terms = {
        "activity_ratio_tumour_to_normal": model.tumour_to_normal_activity_ratio,
        "tumour_to_lung_shunt_fraction": model.tumour_to_lung_shunt,
        **out.terms,
    }
    return replace(out, method="activity-ratio", source=RATIO_SOURCE, terms=terms)


def holmium(
    dose_gy: float,
    target: Partition,
    constant: DoseConstant,
    *,
    residual: float = 0.0,
) -> Prescription:
    """166Ho whole-liver or perfused rule: A = D M / 15.87 J/GBq (63 MBq per Gy kg); the label's aim is 60 Gy.

    Lung shunt is divided out as in every single-compartment rule; the label's own text takes it as zero.
    """
    if constant.nuclide != "Ho-166":
        raise InputError(f"the holmium rule is for Ho-166, not {constant.nuclide}; use mird")
    out = mird(dose_gy, target, constant, residual=residual, source=HOLMIUM_SOURCE)
    messages: tuple[Message, ...] = ()
    if dose_gy > 60:
        text = f"{dose_gy:g} Gy is above the label's 60 Gy mean to the perfused liver"
        messages = (Message("dose-above-label", text),)
    return replace(out, method="holmium", messages=messages)
