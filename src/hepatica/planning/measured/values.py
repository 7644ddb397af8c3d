"""Values of a plan that its own files hold, beside those that were typed: which is used, and what is said.

Rule: what the plan's images hold is used; where no image holds it, what an earlier result says; then what is stated.
A stated value that differs by more than twice its standard uncertainty is a warning with both numbers, by more than a
factor of two a stop: one of them is wrong. A stated value is used in place of a measured one only where the plan says
so, for that quantity, with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hepatica.core import Estimate
from hepatica.core.message import Message
from hepatica.errors import InputError, UnknownNameError
from hepatica.planning.guardrails import Situation
from hepatica.planning.limits.assumed import NO_SHUNT
from hepatica.planning.measured.compared import Compared
from hepatica.planning.measured.deposits import Deposits
from hepatica.planning.planner.course import Course, Territory
from hepatica.planning.planner.known_facts import completed
from hepatica.planning.prescriptions.compartments import Lesion, Partition

QUANTITIES = ("normal_mass", "unperfused_normal_mass", "mass", "tumour_to_normal", "lung_shunt", "lung_mass")
"""Keys of a plan file whose values its images may hold, and which may be kept as stated."""

MASS_RELATIVE_SD = 0.10
"""Of a mass, where the plan states none: two readers' volumes of liver and tumour differ by 5 to 10 %."""

RATIO_RELATIVE_SD = 0.15
"""Of T/N, where the plan states none: two readers' regions on one scout."""

SHUNT_SD = 0.01
"""Of the lung shunt, where neither the plan nor the measurement states one: one percentage point."""

SMALLEST_SHARE = 0.05
"""A tumour belongs to a territory that holds this share of it; less is its border."""


@dataclass(frozen=True, slots=True)
class MeasuredLesion:
    """Tumour in one territory: mass in kg and T/N; None where the file does not hold it."""

    name: str
    mass_kg: float | None
    tumour_to_normal: float | None


@dataclass(frozen=True, slots=True)
class MeasuredTerritory:
    """What the files hold of one territory.

    Attributes
    ----------
    normal_mass_kg : float or None
        Perfused normal liver.
    lesions : tuple of MeasuredLesion
        Tumours in it.
    """

    normal_mass_kg: float | None
    lesions: tuple[MeasuredLesion, ...] = ()

    def lesion(self, name: str) -> MeasuredLesion | None:
        """By its name, whatever the case of its letters."""
        return next((one for one in self.lesions if one.name.casefold() == name.casefold()), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the plan's own files hold.

    Attributes
    ----------
    source : str
        "images", or the file of an earlier result.
    territories : mapping of str to MeasuredTerritory
        By the plan's name of the territory.
    unperfused_normal_kg : float or None
        Normal liver that no territory reaches.
    lung_shunt : Estimate or None
        Fraction of the activity.
    lung_shunt_completed : Estimate or None
        Of lungs that the image cuts off, completed by their mass: taken only where no shunt is stated, else compared.
    lung_mass_kg : float or None
        From the CT.
    facts : Situation
        For the guardrails.
    deposits : Deposits or None
        Activity outside liver and lungs; None where nobody looked for it.
    messages : tuple of Message
        From measuring.
    """

    source: str
    territories: Mapping[str, MeasuredTerritory] = field(default_factory=dict)
    unperfused_normal_kg: float | None = None
    lung_shunt: Estimate | None = None
    lung_shunt_completed: Estimate | None = None
    lung_mass_kg: float | None = None
    facts: Situation = field(default_factory=Situation)
    deposits: Deposits | None = None
    messages: tuple[Message, ...] = ()


def reconciled(course: Course, measured: Measured, kept: Mapping[str, str]) -> Course:
    """The course with the values that its files hold in place of the stated ones, and what is to be said of both.

    Parameters
    ----------
    course : Course
        As stated.
    measured : Measured
        What the files hold.
    kept : mapping of str to str
        Quantities of `QUANTITIES` whose stated value is used all the same -> reason.

    Raises
    ------
    InputError
        If a stated value is kept without a reason.
    """
    for name, reason in kept.items():
        if name not in QUANTITIES:
            raise UnknownNameError("quantity that is kept as stated", name, QUANTITIES)
        if not reason.strip():
            raise InputError(f"the stated {name} is kept without a reason")
    choice = _Choice(course, measured, kept)
    territories = tuple(choice.territory(t) for t in course.territories)
    unperfused = course.unperfused_normal_mass_kg
    if unperfused == 0 and measured.unperfused_normal_kg is not None:
        # Zero is what a plan has that states nothing.
        unperfused = measured.unperfused_normal_kg
    else:
        unperfused = choice.value("unperfused_normal_mass", "", unperfused, measured.unperfused_normal_kg, "kg")
    mass_measured = measured.lung_mass_kg is not None and "lung_mass" not in kept
    shunt_known = (measured.lung_shunt or measured.lung_shunt_completed) is not None
    patient = course.patient
    if measured.lung_shunt is not None and "lung_shunt" not in kept:
        patient = replace(patient, lung_shunt_sd=measured.lung_shunt.sd or patient.lung_shunt_sd)
    return replace(
        course,
        territories=territories,
        unperfused_normal_mass_kg=unperfused,
        patient=patient,
        lung_mass_measured=course.lung_mass_measured or mass_measured,
        assumptions=tuple(one for one in course.assumptions if one != NO_SHUNT or not shunt_known),
        measured_facts=completed(measured.facts, course.measured_facts),
        deposits=course.deposits if measured.deposits is None else measured.deposits,
        compared=(*course.compared, *choice.compared),
        notes=(*course.notes, *measured.messages, *choice.messages()),
    )


class _Choice:
    """Takes one value after the other and keeps account of it."""

    def __init__(self, course: Course, measured: Measured, kept: Mapping[str, str]) -> None:
        self.course, self.measured, self.kept = course, measured, kept
        self.compared: list[Compared] = []
        self.left: list[Message] = []

    def value(self, quantity: str, where: str, stated: float, measured: float | None, unit: str) -> float:
        # A value that the plan took from the same file is none that it states.
        if measured is None or stated == measured:
            return stated
        reason = self.kept.get(quantity, "")
        one = Compared(
            quantity, where, stated, measured, unit, self._sd(quantity, stated, measured),
            "stated" if reason else "measured", self.measured.source, reason, self._beside(quantity, where),
        )  # fmt: skip
        self.compared.append(one)
        return stated if reason else measured

    def _beside(self, quantity: str, where: str) -> str:
        """The file that holds the first value, where an earlier result and not the plan does."""
        before = [c for c in self.course.compared if (c.quantity, c.where, c.used) == (quantity, where, "measured")]
        return before[-1].source if before else ""

    def _sd(self, quantity: str, stated: float, measured: float) -> float:
        """Standard uncertainty of the difference that is expected, in the value's own unit."""
        spread = self.course.uncertainty
        if quantity == "lung_shunt":
            known = (self.course.patient.lung_shunt_sd, spread.lung_shunt if spread else None)
            found = self.measured.lung_shunt.sd if self.measured.lung_shunt else None
            return math.hypot(next((sd for sd in known if sd), SHUNT_SD), found or 0.0)
        relative = {
            "tumour_to_normal": (spread.tumour_to_normal if spread else None, RATIO_RELATIVE_SD),
            "lung_mass": (spread.lung_mass if spread else None, MASS_RELATIVE_SD),
        }.get(quantity, (spread.mass if spread else None, MASS_RELATIVE_SD))
        # An uncertainty of zero would make every rounding a contradiction.
        return (relative[0] or relative[1]) * max(stated, measured)

    def territory(self, territory: Territory) -> Territory:
        target, name = territory.target, territory.name
        found = self.measured.territories.get(name)
        shunt = self.measured.lung_shunt
        found_shunt = shunt or self.measured.lung_shunt_completed
        if NO_SHUNT in self.course.assumptions and target.lung_shunt == 0 and found_shunt is not None:
            # A shunt that was only assumed is no statement to be compared.
            lung_shunt = found_shunt.value
        else:
            lung_shunt = self.value("lung_shunt", name, target.lung_shunt, shunt.value if shunt else None, "")
        lung_kg = target.lung_mass_kg
        if self.course.lung_mass_measured or self.measured.lung_mass_kg is None:
            lung_kg = self.value("lung_mass", name, lung_kg, self.measured.lung_mass_kg, "kg")
        else:
            # What was only assumed is no statement to be compared.
            lung_kg = self.measured.lung_mass_kg
        normal, lesions = target.normal_mass_kg, target.lesions
        if found is not None:
            normal = self.value("normal_mass", name, normal, found.normal_mass_kg, "kg")
            lesions = self.lesions(name, target, found)
        self.completed(name, lung_shunt)
        return replace(territory, target=Partition(normal, lesions, lung_shunt, lung_kg))

    def completed(self, where: str, stated: float) -> None:
        """The stated shunt, which is used, beside that of lungs that the image cuts off, completed by their mass."""
        completed = self.measured.lung_shunt_completed
        if completed is None or completed.value == stated:
            return
        reason = self.kept.get("lung_shunt", "") or "the lungs are cut off, and completed by their mass"
        sd = math.hypot(self._sd("lung_shunt", stated, completed.value), completed.sd or 0.0)
        self.compared.append(
            Compared(
                "lung_shunt", where, stated, completed.value, "", sd, "stated", self.measured.source, reason,
                self._beside("lung_shunt", where),
            )
        )  # fmt: skip

    def lesions(self, where: str, target: Partition, found: MeasuredTerritory) -> tuple[Lesion, ...]:
        names = _pairs([lesion.name for lesion in target.lesions], [one.name for one in found.lesions])
        out = []
        for lesion in target.lesions:
            own = found.lesion(names.get(lesion.name, ""))
            if own is None:
                text = (
                    f"{lesion.name} is stated in {where}, but {self.measured.source} hold no tumour of that name there"
                )
                self.left.append(Message("stated-lesion-not-drawn", text, "draw it, or correct its name", "critical"))
                out.append(lesion)
                continue
            place = f"{where}, {lesion.name}"
            mass = self.value("mass", place, lesion.mass_kg, own.mass_kg, "kg")
            ratio = self.value("tumour_to_normal", place, lesion.tumour_to_normal, own.tumour_to_normal, "")
            out.append(Lesion(lesion.name, mass, ratio))
        for one in found.lesions:
            if one.name in names.values() or one.mass_kg is None or one.tumour_to_normal is None:
                continue
            if target.lesions:
                text = f"{one.name} is drawn in {where} and not among the plan's tumours: it is added"
                self.left.append(Message("lesion-added", text, "state it, or take it out of the structures"))
            out.append(Lesion(one.name, one.mass_kg, one.tumour_to_normal))
        return tuple(out)

    def messages(self) -> tuple[Message, ...]:
        return (
            *self.left,
            *(one.message() for one in dict.fromkeys(self.compared) if one.differs),
        )


def _pairs(stated: list[str], drawn: list[str]) -> dict[str, str]:
    """Stated lesion -> drawn one: by name, and the only one of each that is left over."""
    by_name = {name.casefold(): name for name in drawn}
    found = {name: by_name[name.casefold()] for name in stated if name.casefold() in by_name}
    left = [name for name in stated if name not in found]
    free = [name for name in drawn if name not in found.values()]
    return found | dict(zip(left, free, strict=True)) if len(left) == len(free) == 1 else found
