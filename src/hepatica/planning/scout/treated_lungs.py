"""Lung dose of a treatment: by the shunt and by the image, and which of the two is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hepatica.anatomy.ct.lung_mass import LungMass, Sex, require_lung_mass
from hepatica.core import Estimate
from hepatica.core.document import reported
from hepatica.core.lung_mean import SD_PER_INTERVAL
from hepatica.core.message import Message
from hepatica.core.options import Fraction, Positive, options
from hepatica.planning.prescriptions.dose_constants import DoseConstant
from hepatica.planning.scout.lungs import lung_dose_gy

TOLD_APART = 0.20
"""Relative difference between both lung doses from which on it is said."""


@options
class LungOptions:
    """Mass of the lungs, where the images do not show all of them.

    Attributes
    ----------
    lung_mass_kg : float or None
        Mass of the whole lungs, for the dose by the lung shunt; from the CT if it shows them whole, else by the model.
    lung_mass_relative_sd : float or None
        Relative standard uncertainty of that mass, or of the CT's, which have none of their own; a model's has.
    patient_sex : {"female", "male"} or None
        Gives ICRP's reference mass of lungs; without it 1 kg is assumed, as labels do.
    patient_height_m : float or None
        Scales that mass by lung capacity.
    """

    lung_mass_kg: Positive | None = None
    lung_mass_relative_sd: Fraction | None = None
    patient_sex: Sex | None = None
    patient_height_m: Positive | None = None

    def __post_init__(self) -> None:
        require_lung_mass(self.lung_mass_kg)


@dataclass(frozen=True, slots=True)
class ShuntLungDose:
    """Mean lung dose by the shunt: activity that reached the patient times shunt, all decays in the lungs' mass.

    Attributes
    ----------
    lung_shunt : float
        As stated.
    activity_lung_mbq : float
        In the lungs at the administration.
    lung_mass_kg : float
        Of the whole lungs.
    lung_mass_from : str
        Where that comes from.
    dose_lung_gy : Estimate
        Its uncertainty is that of shunt, activity and mass, as far as they are known.
    dose_constant_j_per_gbq : float
        J per GBq, local deposition.
    convention : str
        Of the dose constant.
    not_known : tuple of str
        Of shunt, activity and mass those whose uncertainty nobody stated.
    """

    lung_shunt: float
    activity_lung_mbq: float
    lung_mass_kg: float
    lung_mass_from: str
    dose_lung_gy: Estimate
    dose_constant_j_per_gbq: float
    convention: str
    not_known: tuple[str, ...] = ()

    @property
    @reported
    def interval_95_gy(self) -> tuple[float, float] | None:
        """Of the dose, where the uncertainty of shunt, activity and mass is known."""
        dose = self.dose_lung_gy
        if self.not_known or dose.sd is None:
            return None
        return max(0.0, dose.value - SD_PER_INTERVAL * dose.sd), dose.value + SD_PER_INTERVAL * dose.sd


@dataclass(frozen=True, slots=True)
class ImagedLungDose:
    """Mean lung dose by the image.

    Attributes
    ----------
    structure : str
        Name.
    mass_g : float
        In view, from the CT's voxels.
    dose_mean_gy : float
        Absorbed energy over mass, of the lung in view.
    activity_share : float
        Of the activity in the image.
    whole : bool
        Whether the whole lungs are in view.
    mass_is_measured : bool
        Whether the mass is that of lungs on a CT, or rests on their stated density; False for a uniform density.
    dose_mean_known_sd_gy : float or None
        Standard uncertainty, as far as its parts are known.
    interval_95_gy : tuple of float or None
        Of the mean dose, where the maker of the image says one of its lungs; the mean need not lie in its middle.
    interval_from : str
        Where that comes from and what it holds.
    """

    structure: str
    mass_g: float
    dose_mean_gy: float
    activity_share: float
    whole: bool
    mass_is_measured: bool = True
    dose_mean_known_sd_gy: float | None = None
    interval_95_gy: tuple[float, float] | None = None
    interval_from: str = ""


@dataclass(frozen=True, slots=True)
class TreatedLungs:
    """Both lung doses and the one that is judged.

    Attributes
    ----------
    by_shunt : ShuntLungDose or None
        None where no shunt is stated, or the activity that reached the patient is not known.
    by_image : ImagedLungDose or None
        None where no lungs are drawn or found.
    """

    by_shunt: ShuntLungDose | None
    by_image: ImagedLungDose | None

    @property
    @reported
    def judged(self) -> Literal["shunt", "image"] | None:
        """The one that limits look at: the larger of both, the shunt's where the image's has no mass, or none."""
        if self.by_shunt is None:
            return "image" if self.by_image is not None and self.by_image.mass_is_measured else None
        if self.by_image is None or not self.by_image.mass_is_measured:
            return "shunt"
        return "shunt" if self.by_shunt.dose_lung_gy.value >= self.by_image.dose_mean_gy else "image"

    @property
    @reported
    def dose_judged_gy(self) -> float | None:
        """Its value in Gy; None where no lung dose is known."""
        if self.judged == "shunt" and self.by_shunt is not None:
            return self.by_shunt.dose_lung_gy.value
        return self.by_image.dose_mean_gy if self.judged == "image" and self.by_image is not None else None

    def messages(self) -> tuple[Message, ...]:
        """Both doses, where they differ, and what is missing."""
        shunt, image = self.by_shunt, self.by_image
        if image is not None and not image.mass_is_measured:
            text = (
                f"the mass of {image.structure!r} is not known (a uniform density, CT numbers that are none of "
                f"lungs, or too little for whole lungs): its dose of {image.dose_mean_gy:.3g} Gy is not that of lungs"
            )
            return (Message("lung-mass-unknown", text, "give `ct`, or state `structure_density`", "critical"),)
        if shunt is None or image is None:
            return ()
        larger = max(shunt.dose_lung_gy.value, image.dose_mean_gy)
        if abs(shunt.dose_lung_gy.value - image.dose_mean_gy) <= TOLD_APART * larger:
            return ()
        text = (
            f"lungs: {shunt.dose_lung_gy.value:.3g} Gy by the lung shunt ({100 * shunt.lung_shunt:.3g} % of the "
            f"activity in {shunt.lung_mass_kg:.3g} kg), {image.dose_mean_gy:.3g} Gy by the image "
            f"({image.mass_g:.3g} g in view); the larger, by the {self.judged}, is judged"
        )
        return (Message("lung-doses-differ", text, "find out which is right"),)


def shunt_lung_dose(
    delivered_bq: float,
    lung_shunt: float,
    mass: LungMass,
    constant: DoseConstant,
    *,
    effective_half_life_s: float | None = None,
    delivered_relative_sd: float | None = None,
    lung_shunt_sd: float | None = None,
) -> ShuntLungDose:
    """Mean lung dose by a shunt, ``A x shunt x constant / mass``.

    Parameters
    ----------
    delivered_bq : float
        Activity that reached the patient, Bq: without the residual.
    lung_shunt : float
        Fraction of it that went to the lungs.
    mass : LungMass
        Of the whole lungs.
    constant : DoseConstant
        J per GBq.
    effective_half_life_s : float or None
        Of an agent that leaves; None where it stays.
    delivered_relative_sd : float or None
        Relative standard uncertainty of that activity; None where it is not known.
    lung_shunt_sd : float or None
        Of the fraction, likewise.

    Examples
    --------
    >>> from hepatica.anatomy.ct.lung_mass import whole_lung_mass
    >>> constant = DoseConstant(50.0, "Y-90", "label", 230760.0)
    >>> shunt_lung_dose(2e9, 0.4, whole_lung_mass(), constant).dose_lung_gy.value
    40.0
    """
    kilograms = Estimate(mass.mass_kg, None)
    per_gbq = constant.retained(effective_half_life_s)
    parts = {
        "lung shunt": None if lung_shunt_sd is None else lung_shunt_sd / lung_shunt,
        "activity": delivered_relative_sd,
        "lung mass": mass.relative_sd,
    }
    known = [sd for sd in parts.values() if sd is not None]
    plain = lung_dose_gy(delivered_bq / 1e9, Estimate(lung_shunt, 0.0), kilograms, _with(constant, per_gbq))
    dose = Estimate(plain.value, plain.value * math.hypot(*known) if known else None)
    unknown = tuple(name for name, sd in parts.items() if sd is None)
    return ShuntLungDose(
        lung_shunt, delivered_bq * lung_shunt / 1e6, mass.mass_kg, mass.source, dose, per_gbq, constant.convention,
        unknown,
    )  # fmt: skip


def _with(constant: DoseConstant, j_per_gbq: float) -> DoseConstant:
    return DoseConstant(j_per_gbq, constant.nuclide, constant.convention, constant.half_life_s)
