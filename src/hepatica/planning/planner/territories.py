"""Several injections, each with its own activity and agent, and what was given before: doses added up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.options.values import value_class
from hepatica.errors import InputError
from hepatica.planning.prescriptions.compartments import LUNGS, NORMAL, Partition, require_positive
from hepatica.planning.prescriptions.dose_constants import DoseConstant


@dataclass(frozen=True, slots=True)
class Injection:
    """One territory with the activity injected into it.

    Attributes
    ----------
    name : str
        The territory ("right lobe", "segment 4").
    target : Partition
        Masses in the territory alone: a lesion fed by two arteries has its part in each, under the same name.
    administered_gbq : float
        Activity that reaches the patient, in GBq.
    constant : DoseConstant
        Of this injection's nuclide.
    """

    name: str
    target: Partition
    administered_gbq: float
    constant: DoseConstant


@value_class
@dataclass(frozen=True, slots=True)
class PreviousTreatment:
    """What an earlier treatment left behind, as mean absorbed doses in Gy.

    Attributes
    ----------
    name : str
        Date or label.
    normal_liver_gy : float
        Mean over the whole normal liver.
    lung_gy : float
        Mean over the lungs.
    lesions_gy : mapping of str to float
        Mean per lesion still present.
    """

    name: str
    normal_liver_gy: float = 0.0
    lung_gy: float = 0.0
    lesions_gy: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(
            math.isfinite(v) and v >= 0 for v in (self.normal_liver_gy, self.lung_gy, *self.lesions_gy.values())
        ):
            raise InputError(f"previous treatment {self.name!r}: doses must be zero or more")


@dataclass(frozen=True, slots=True)
class CourseDoses:
    """Sum over all injections, and over the patient's life.

    Attributes
    ----------
    tumour_gy : float or None
        Mean over all lesions, by mass; None without lesions.
    lesions_gy : mapping of str to float
        Mean per lesion, from this course.
    perfused_normal_gy : mapping of str to float
        Mean of normal liver per territory.
    normal_liver_gy : float
        Mean over the whole normal liver, unperfused parts included.
    lung_gy, lung_cumulative_gy : float or None
        This course; with previous treatments. None in a plan whose lung shunt is not known.
    normal_liver_cumulative_gy : float
        With previous treatments.
    energy_j : float
        Energy in tumour, normal liver and lungs together: equals the sum of activity times constant.
    messages : tuple of Message
        What a sum of mean doses hides.
    """

    tumour_gy: float | None
    lesions_gy: Mapping[str, float]
    perfused_normal_gy: Mapping[str, float]
    normal_liver_gy: float
    lung_gy: float | None
    lung_cumulative_gy: float | None
    normal_liver_cumulative_gy: float
    energy_j: float
    messages: tuple[Message, ...] = field(metadata=HIDDEN)

    @property
    def lungs_by_shunt_gy(self) -> float:
        """Lung dose of this course at the shunt that was taken, 0 of one that is not known."""
        return self.lung_gy or 0.0

    @property
    def lungs_earlier_gy(self) -> float:
        """Lung dose of previous treatments."""
        return (self.lung_cumulative_gy or 0.0) - self.lungs_by_shunt_gy

    def without_lungs(self) -> CourseDoses:
        """The same of a plan whose lung shunt is not known."""
        return replace(self, lung_gy=None, lung_cumulative_gy=None)


def course_doses(
    injections: Sequence[Injection],
    *,
    whole_normal_liver_kg: float,
    previous: Sequence[PreviousTreatment] = (),
) -> CourseDoses:
    """Doses from all territories together.

    Parameters
    ----------
    injections : sequence of Injection
        Territories do not overlap; each has the same lung mass.
    whole_normal_liver_kg : float
        Mass of all normal liver, perfused or not, in kg.
    previous : sequence of PreviousTreatment
        Earlier treatments.

    Raises
    ------
    InputError
        If there is none, names repeat, the perfused normal liver outweighs the whole, or lung masses differ.
    """
    _require_consistent(injections, whole_normal_liver_kg)
    normal = {i.name: i.administered_gbq * i.target.gy_per_gbq(i.constant)[NORMAL] for i in injections}
    normal_j = math.fsum(normal[i.name] * i.target.normal_mass_kg for i in injections)
    lung_gy = math.fsum(i.administered_gbq * i.target.gy_per_gbq(i.constant)[LUNGS] for i in injections)
    energy: dict[str, float] = {}
    mass: dict[str, float] = {}
    for injection in injections:
        per = injection.target.gy_per_gbq(injection.constant)
        for lesion in injection.target.lesions:
            dose = injection.administered_gbq * per[lesion.name]
            energy[lesion.name] = energy.get(lesion.name, 0.0) + dose * lesion.mass_kg
            mass[lesion.name] = mass.get(lesion.name, 0.0) + lesion.mass_kg
    lesions = {name: energy[name] / mass[name] for name in energy}
    whole_gy = normal_j / whole_normal_liver_kg
    lung_kg = injections[0].target.lung_mass_kg
    messages = []
    if previous:
        text = "doses of treatments months apart are added as if repair and regrowth did nothing"
        messages.append(Message("treatments-added", text, severity="note"))
    if len({i.constant.nuclide for i in injections}) > 1:
        text = (
            "doses of different nuclides are added in Gy and held against limits in Gy; their dose rates differ: the "
            "BED of each territory's normal liver is stated beside them"
        )
        messages.append(Message("nuclides-added", text, severity="note"))
    tumour_kg = sum(mass.values())
    return CourseDoses(
        tumour_gy=sum(lesions[name] * kg for name, kg in mass.items()) / tumour_kg if tumour_kg else None,
        lesions_gy=lesions,
        perfused_normal_gy={i.name: normal[i.name] for i in injections if i.target.normal_mass_kg},
        normal_liver_gy=whole_gy,
        lung_gy=lung_gy,
        lung_cumulative_gy=lung_gy + math.fsum(p.lung_gy for p in previous),
        normal_liver_cumulative_gy=whole_gy + math.fsum(p.normal_liver_gy for p in previous),
        energy_j=math.fsum([normal_j, lung_gy * lung_kg, *energy.values()]),
        messages=tuple(messages),
    )


def _require_consistent(injections: Sequence[Injection], whole_normal_liver_kg: float) -> None:
    if not injections:
        raise InputError("a course needs at least one injection")
    names = [i.name for i in injections]
    if len(set(names)) != len(names):
        raise InputError(f"two territories share a name: {', '.join(sorted(names))}")
    require_positive(whole_normal_liver_kg, "mass of the whole normal liver", "kg")
    perfused = math.fsum(i.target.normal_mass_kg for i in injections)
    if perfused > whole_normal_liver_kg * (1 + 1e-9):
        raise InputError(
            f"the territories hold {perfused:.4g} kg of normal liver, more than the whole ({whole_normal_liver_kg:.4g} "
            "kg): they overlap or leave the liver"
        )
    if len({i.target.lung_mass_kg for i in injections}) > 1:
        raise InputError("the injections state different lung masses; one patient has one")
