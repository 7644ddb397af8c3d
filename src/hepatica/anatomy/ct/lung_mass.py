"""Mass of whole lungs where an image shows only part of them, or none: stated, or by a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepatica.errors import InputError

Sex = Literal["female", "male"]

LABEL_LUNG_MASS_KG = 1.0
"""The mass that labels and limits assume where none is measured."""

REFERENCE_LUNG_MASS_KG = {"male": 1.2, "female": 0.95}
"""Adult lungs with their blood: ICRP Publication 89 (2002), table 2.8."""

REFERENCE_HEIGHT_M = {"male": 1.76, "female": 1.63}
"""Height of ICRP's reference adults, of the same table."""

TOTAL_LUNG_CAPACITY_L = {"male": (7.99, -7.08), "female": (6.60, -5.79)}
"""Slope (L/m) and intercept (L) of total lung capacity with height, adults of 1.45 to 1.95 m: Quanjer et al., Eur
Respir J 1993;6 Suppl 16:5, table 5. Residual standard deviation 0.70 L (male) and 0.60 L (female)."""

HEIGHT_RANGE_M = (1.45, 1.95)
"""Heights for which these equations were made."""

MODEL_RELATIVE_SD = 0.25
"""Relative standard uncertainty of a lung mass by model: capacity alone scatters by 10 % about its equation, and blood
and tissue per litre vary more. Our estimate."""


@dataclass(frozen=True, slots=True)
class LungMass:
    """Mass of the whole lungs and where it comes from.

    Attributes
    ----------
    mass_kg : float
        With blood, kg.
    relative_sd : float or None
        Relative standard uncertainty (k = 1); None where unknown (stated, or from a CT).
    origin : {"stated", "ct", "height", "sex", "label"}
        Stated by the user; from the CT's voxels; by a model of sex and height, or of sex; the labels' 1 kg.
    source : str
        In words, with the publication.
    """

    mass_kg: float
    relative_sd: float | None
    origin: Literal["stated", "ct", "height", "sex", "label"]
    source: str

    @property
    def text(self) -> str:
        """For example "1.2 kg (ICRP 89 reference, male, with blood)"."""
        spread = "" if self.relative_sd is None else f" ± {100 * self.relative_sd:.0f} %"
        return f"{self.mass_kg:.3g} kg{spread} ({self.source})"


def whole_lung_mass(stated_kg: float | None = None, sex: Sex | None = None, height_m: float | None = None) -> LungMass:
    """Mass of whole lungs: as stated, else by sex and height, by sex, or the labels' 1 kg.

    With a height the reference mass is scaled by predicted total lung capacity, over that of the reference height.

    Raises
    ------
    InputError
        If a height is given without a sex, or is not one for which the equations were made.

    Examples
    --------
    >>> whole_lung_mass(sex="female").mass_kg
    0.95
    >>> round(whole_lung_mass(sex="male", height_m=1.86).mass_kg, 3)
    1.337
    """
    if height_m is not None and sex is None:
        raise InputError("the lungs' mass by `patient_height_m` needs `patient_sex` too")
    if height_m is not None and not HEIGHT_RANGE_M[0] <= height_m <= HEIGHT_RANGE_M[1]:
        low, high = HEIGHT_RANGE_M
        raise InputError(
            f"the lungs' mass by height is known for adults of {low:g} to {high:g} m, not of {height_m:g} m",
            remedy="state `lung_mass_kg`",
        )
    if stated_kg is not None:
        return LungMass(stated_kg, None, "stated", "stated")
    if sex is None:
        return LungMass(LABEL_LUNG_MASS_KG, MODEL_RELATIVE_SD, "label", "assumed, as labels do")
    mass, icrp = REFERENCE_LUNG_MASS_KG[sex], f"ICRP 89 reference, {sex}, with blood"
    if height_m is None:
        return LungMass(mass, MODEL_RELATIVE_SD, "sex", icrp)
    slope, intercept = TOTAL_LUNG_CAPACITY_L[sex]
    scale = (slope * height_m + intercept) / (slope * REFERENCE_HEIGHT_M[sex] + intercept)
    text = f"{icrp}, scaled by lung capacity at {height_m:g} m, Quanjer 1993"
    return LungMass(mass * scale, MODEL_RELATIVE_SD, "height", text)
