"""Mass of whole lungs where an image shows only part of them, or none: stated, or by a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepatica.core.message import Message
from hepatica.core.numbers.wording import three
from hepatica.errors import InputError, UnitError

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


MIN_LUNG_MASS_KG, MAX_LUNG_MASS_KG = 0.1, 3.0
"""A stated mass of both lungs outside this is one in another unit. ICRP 89, table 2.8: with blood 0.95 kg (woman),
1.2 kg (man), 0.15 kg (child of one year). The upper end is our choice: 2.5 times the reference man's."""

USUAL_LUNG_MASS_KG = (0.4, 2.0)
"""Masses of an adult's lungs that need no word: half of ICRP 89's woman's to 1.7 times the man's, twice
`MODEL_RELATIVE_SD` about both and a little more. Our choice; a child's are lighter, and are said."""

HEAVIER_THAN_SEEN = 1.5
"""Stated over seen mass, for lungs that the CT shows whole, from which on both cannot be true: lungs change their air
with the breath, and their mass by the blood in them alone, some 20 %."""

LIGHTER_THAN_SEEN = 0.98
"""A stated mass of whole lungs is at least this share of what is seen of them: the rest is rounding."""


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


def require_lung_mass(stated_kg: float | None) -> None:
    """UnitError if a stated mass is not one of lungs (`MIN_LUNG_MASS_KG` to `MAX_LUNG_MASS_KG`)."""
    if stated_kg is not None and not MIN_LUNG_MASS_KG <= stated_kg <= MAX_LUNG_MASS_KG:
        raise UnitError(
            f"`lung_mass_kg`: {stated_kg:.4g} kg is not the mass of a patient's lungs ({MIN_LUNG_MASS_KG:g} to "
            f"{MAX_LUNG_MASS_KG:g} kg)",
            remedy="check its unit: 950 g are 0.95 kg",
        )


def too_light(seen_kg: float, *, whole: bool) -> bool:
    """Whether what was drawn or found as whole lungs weighs less than any patient's (`MIN_LUNG_MASS_KG`)."""
    return whole and seen_kg < MIN_LUNG_MASS_KG


def seen_mass_messages(seen_kg: float | None, *, whole: bool) -> tuple[Message, ...]:
    """What is said of lungs that nothing cuts off and that weigh less than an adult's; `seen_kg` as below."""
    low = USUAL_LUNG_MASS_KG[0]
    if seen_kg is None or not whole or seen_kg >= low:
        return ()
    text = (
        f"what was drawn or found as the whole lungs weighs {three(1000 * seen_kg)} g on the CT, and an adult's weigh "
        f"{low:g} kg and more: a part of them is missing, or it is something else"
    )
    if not too_light(seen_kg, whole=whole):
        return (Message("lungs-too-light", text, "look at the structures of the lungs"),)
    text += "; limits of the lungs are not judged by its dose"
    return (Message("lungs-too-light", text, "draw both lungs", "critical"),)


def stated_mass_messages(stated_kg: float | None, seen_kg: float | None, *, whole: bool) -> tuple[Message, ...]:
    """What is said of a stated mass of the lungs against that of an adult, and against the CT's.

    Parameters
    ----------
    stated_kg : float or None
        As stated; None says nothing.
    seen_kg : float or None
        Of the lungs on the CT; None where there is no CT, or it shows none.
    whole : bool
        Whether the CT shows them whole.

    Examples
    --------
    >>> [message.code for message in stated_mass_messages(2.5, 0.9, whole=True)]
    ['lung-mass-unusual', 'lung-mass-against-ct']
    >>> stated_mass_messages(1.0, 0.9, whole=True)
    ()
    """
    if stated_kg is None:
        return ()
    notes = []
    low, high = USUAL_LUNG_MASS_KG
    if not low <= stated_kg <= high:
        text = f"a lung mass of {stated_kg:.3g} kg is stated; an adult's lungs weigh {low:g} to {high:g} kg"
        notes.append(Message("lung-mass-unusual", text, "check `lung_mass_kg` and its unit"))
    if seen_kg is None:
        return tuple(notes)
    wrong = ""
    if stated_kg < LIGHTER_THAN_SEEN * seen_kg:
        wrong = f"the CT shows {seen_kg:.3g} kg of lung, more than the whole lungs weigh as stated"
    elif whole and stated_kg > HEAVIER_THAN_SEEN * seen_kg:
        times = f"which makes the lung dose {stated_kg / seen_kg:.2g} times lower"
        wrong = f"the CT shows them whole with {seen_kg:.3g} kg, {times}"
    if wrong:
        text = f"a lung mass of {stated_kg:.3g} kg is stated; {wrong}"
        remedy = "leave `lung_mass_kg` out where the CT shows the lungs, or mend it"
        notes.append(Message("lung-mass-against-ct", text, remedy, "critical"))
    return tuple(notes)
