"""Compartments that share the administered activity: normal liver, lesions with their own uptake, lungs.

Every prescription that predicts doses goes through `Partition`, so energy closes in all of them: the sum of dose times
mass over tumour, normal liver and lungs is activity times the dose constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from hepatica.core.options import Limits, Unit
from hepatica.core.options.values import value_class
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.prescriptions.dose_constants import DoseConstant

NORMAL = "normal liver"
LUNGS = "lungs"

Share = Annotated[float, Unit("fraction"), Limits(low=0, below=1)]
"""A fraction that leaves something over."""

LARGEST = {"kg": 1e3, "Gy": 1e6, "GBq": 1e6, "mL": 1e6, "": 1e6}
"""Above this, or below a millionth of a millionth of it, a number is no patient's: its unit is wrong."""


def require_positive(value: float, what: str, unit: str) -> float:
    """`value` if it is finite, above zero and of a plausible size, else InputError."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} must be a positive number, not {value:g} {unit}".rstrip())
    largest = LARGEST.get(unit, math.inf)
    if value > largest or value < 1e-12 * min(largest, 1.0):
        raise InputError(f"{what} of {value:g} {unit} is not plausible; check the unit".replace("  ", " "))
    return value


def require_share(value: float, what: str) -> float:
    """`value` if 0 <= value < 1 (a share that leaves something over), else InputError."""
    if not 0 <= value < 1:
        hint = f"; {value:g} reads like percent, write {value / 100:g}" if 1 < value <= 100 else ""
        why = "; nothing would reach the liver" if value == 1 else ""
        raise InputError(f"{what} must be at least 0 and below 1, not {value:g}{hint}{why}")
    return value


@value_class
@dataclass(frozen=True, slots=True)
class Lesion:
    """A tumour (or the part of it in one territory).

    Attributes
    ----------
    name : str
        Unique within the plan.
    mass_kg : float
        Mass in kg.
    tumour_to_normal : float
        Tumour-to-normal ratio T/N of activity per mass, above 0.
    """

    name: str
    mass_kg: float
    tumour_to_normal: float

    def __post_init__(self) -> None:
        require_positive(self.mass_kg, f"mass of {self.name}", "kg")
        require_positive(self.tumour_to_normal, f"T/N of {self.name}", "")
        if self.name in (NORMAL, LUNGS):
            raise InputError(f"a lesion cannot be called {self.name!r}")


@dataclass(frozen=True, slots=True)
class Doses:
    """Mean absorbed doses at one administered activity.

    Attributes
    ----------
    administered_gbq : float
        Activity that reaches the patient, in GBq.
    tumour_gy : float or None
        Mean over all lesions, weighted by mass; None if there are none or they are unknown.
    normal_liver_gy, lung_gy, perfused_gy : float or None
        Mean in Gy; perfused is tumour and normal together.
    lesions_gy : mapping of str to float
        Mean per lesion.
    """

    administered_gbq: float
    tumour_gy: float | None
    normal_liver_gy: float | None
    lung_gy: float | None
    perfused_gy: float | None
    lesions_gy: Mapping[str, float]


@value_class
@dataclass(frozen=True, slots=True)
class Partition:
    """Normal liver, any number of lesions, and lungs: who gets which share of the administered activity.

    Parameters
    ----------
    normal_mass_kg : float
        Normal (non-tumour) liver that is perfused, in kg; 0 only if there are lesions (a segment that is all tumour).
    lesions : tuple of Lesion
        With one lesion this is the classical partition model; with none, a single compartment.
    lung_shunt : float
        Fraction of the administered activity that goes to the lungs, 0 <= LSF < 1.
    lung_mass_kg : float
        In kg.

    Notes
    -----
    Activity per mass in lesion i is T/N_i times that in normal liver. With ``W = m_N + sum(T/N_i m_i)``, normal liver
    takes ``(1 - LSF) m_N / W``, lesion i takes ``(1 - LSF) T/N_i m_i / W``, lungs take ``LSF``.

    References
    ----------
    .. [1] Ho et al., Eur J Nucl Med 1996;23:947 (partition model).
    """

    normal_mass_kg: float
    lesions: tuple[Lesion, ...] = ()
    lung_shunt: float = 0.0
    lung_mass_kg: float = 1.0

    def __post_init__(self) -> None:
        require_share(self.lung_shunt, "lung shunt fraction")
        require_positive(self.lung_mass_kg, "lung mass", "kg")
        if not self.lesions or self.normal_mass_kg != 0:
            require_positive(self.normal_mass_kg, "mass of normal liver", "kg")
        names = [lesion.name for lesion in self.lesions]
        if len(set(names)) != len(names):
            raise InputError(f"two lesions share a name: {', '.join(sorted(names))}")

    @property
    def weight_kg(self) -> float:
        """Mass of normal liver that would hold the same activity: m_N + sum(T/N_i m_i), in kg."""
        return self.normal_mass_kg + math.fsum(t.tumour_to_normal * t.mass_kg for t in self.lesions)

    @property
    def tumour_mass_kg(self) -> float:
        """All lesions together, in kg."""
        return math.fsum(lesion.mass_kg for lesion in self.lesions)

    @property
    def perfused_mass_kg(self) -> float:
        """Normal liver and lesions together, in kg."""
        return self.normal_mass_kg + self.tumour_mass_kg

    @property
    def overall_ratio(self) -> float | None:
        """T/N of all lesions taken together, weighted by mass; None without lesions."""
        if not self.lesions:
            return None
        return math.fsum(t.tumour_to_normal * t.mass_kg for t in self.lesions) / self.tumour_mass_kg

    def shares(self) -> dict[str, float]:
        """Fraction of the administered activity in each compartment; they add up to 1."""
        liver = (1 - self.lung_shunt) / self.weight_kg
        shares = {NORMAL: liver * self.normal_mass_kg, LUNGS: self.lung_shunt}
        return shares | {t.name: liver * t.tumour_to_normal * t.mass_kg for t in self.lesions}

    def gy_per_gbq(self, constant: DoseConstant) -> dict[str, float]:
        """Mean dose in Gy per administered GBq of normal liver, lungs and each lesion."""
        liver = constant.j_per_gbq * (1 - self.lung_shunt) / self.weight_kg
        doses = {NORMAL: liver, LUNGS: constant.j_per_gbq * self.lung_shunt / self.lung_mass_kg}
        return doses | {t.name: liver * t.tumour_to_normal for t in self.lesions}

    def doses(self, administered_gbq: float, constant: DoseConstant) -> Doses:
        """Mean doses at an administered activity in GBq (0 allowed)."""
        if not (math.isfinite(administered_gbq) and administered_gbq >= 0):
            raise InputError(f"activity must be zero or more, not {administered_gbq:g} GBq")
        per = self.gy_per_gbq(constant)
        ratio = self.overall_ratio
        perfused = constant.j_per_gbq * (1 - self.lung_shunt) / self.perfused_mass_kg
        return Doses(
            administered_gbq=administered_gbq,
            tumour_gy=None if ratio is None else administered_gbq * per[NORMAL] * ratio,
            normal_liver_gy=administered_gbq * per[NORMAL] if self.normal_mass_kg else None,
            lung_gy=administered_gbq * per[LUNGS],
            perfused_gy=administered_gbq * perfused,
            lesions_gy={t.name: administered_gbq * per[t.name] for t in self.lesions},
        )

    def activity_for_normal_dose(self, dose_gy: float, constant: DoseConstant) -> float:
        """Administered activity in GBq that gives normal liver `dose_gy`."""
        require_positive(dose_gy, "dose to normal liver", "Gy")
        return dose_gy * self.weight_kg / (constant.j_per_gbq * (1 - self.lung_shunt))

    def activity_for_tumour_dose(self, dose_gy: float, constant: DoseConstant, lesion: str | None = None) -> float:
        """Administered activity in GBq that gives all lesions together, or the one named, a mean of `dose_gy`."""
        require_positive(dose_gy, "dose to tumour", "Gy")
        ratios = {t.name: t.tumour_to_normal for t in self.lesions}
        if lesion is not None and lesion not in ratios:
            raise UnknownNameError("lesion", lesion, ratios)
        ratio = self.overall_ratio if lesion is None else ratios[lesion]
        if ratio is None:
            raise InputError("a dose to the tumour needs at least one lesion with mass and T/N")
        return dose_gy * self.weight_kg / (constant.j_per_gbq * (1 - self.lung_shunt) * ratio)

    def activity_for_lung_dose(self, dose_gy: float, constant: DoseConstant) -> float:
        """Administered activity in GBq at which the lungs receive `dose_gy`: none for 0 Gy, infinite without shunt."""
        if dose_gy != 0:
            require_positive(dose_gy, "dose to lungs", "Gy")
        return dose_gy * self.lung_mass_kg / (constant.j_per_gbq * self.lung_shunt) if self.lung_shunt else math.inf


def lesions_from(masses_kg: Iterable[float], ratios: Iterable[float]) -> tuple[Lesion, ...]:
    """Lesions "tumour 1", "tumour 2", ... from masses (kg) and T/N in the same order; one alone is "tumour".

    Raises
    ------
    InputError
        If there are not as many ratios as masses.
    """
    m, r = list(masses_kg), list(ratios)
    if len(m) != len(r):
        raise InputError(
            f"{len(m)} tumour masses and {len(r)} T/N ratios",
            remedy="state one `tumour_to_normal` for each `tumour_mass_kg`",
        )
    if len(m) == 1:
        return (Lesion("tumour", m[0], r[0]),)
    return tuple(Lesion(f"tumour {n}", mass, ratio) for n, (mass, ratio) in enumerate(zip(m, r, strict=True), 1))


@dataclass(frozen=True, slots=True)
class ActivityRatioPartition:
    """Partition by activities instead of concentrations: tumour, normal liver and lungs of one territory.

    Parameters
    ----------
    tumour_to_normal_activity_ratio : float
        R = A_T / A_N, a ratio of activities. It is not T/N: ``T/N = R m_N / m_T``.
    tumour_to_lung_shunt : float
        TLSF = A_L / (A_T + A_L), 0 <= TLSF < 1. It is not LSF: activity in normal liver is left out.
    tumour_mass_kg, normal_mass_kg, lung_mass_kg : float
        In kg.

    References
    ----------
    .. [1] Kao et al., Cardiovasc Intervent Radiol 2013, doi 10.1007/s00270-013-0783-z.
    """

    tumour_to_normal_activity_ratio: float
    tumour_to_lung_shunt: float
    tumour_mass_kg: float
    normal_mass_kg: float
    lung_mass_kg: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self.tumour_to_normal_activity_ratio, "activity ratio R = A_T/A_N", "")
        require_share(self.tumour_to_lung_shunt, "tumour-to-lung shunt fraction")
        require_positive(self.tumour_mass_kg, "tumour mass", "kg")
        require_positive(self.normal_mass_kg, "mass of normal liver", "kg")

    @property
    def lung_shunt(self) -> float:
        """The lung shunt fraction that this implies: A_L / (A_T + A_N + A_L)."""
        lungs = self.tumour_to_normal_activity_ratio * self.tumour_to_lung_shunt / (1 - self.tumour_to_lung_shunt)
        return lungs / (1 + self.tumour_to_normal_activity_ratio + lungs)

    def partition(self) -> Partition:
        """The same shares in the terms of `Partition`."""
        ratio = self.tumour_to_normal_activity_ratio * self.normal_mass_kg / self.tumour_mass_kg
        tumour = Lesion("tumour", self.tumour_mass_kg, ratio)
        return Partition(self.normal_mass_kg, (tumour,), self.lung_shunt, self.lung_mass_kg)
