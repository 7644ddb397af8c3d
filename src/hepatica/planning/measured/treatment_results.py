"""What was planned, given and absorbed, from the results of the verbs that found it.

A value that an earlier result holds is used; one that is typed beside it is compared, and a difference is said with
both numbers. What an earlier result says must not be used is said again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.core import Estimate, decay_factor, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.message import Message, Severity
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import is_same_agent
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.measured.compared import Compared
from hepatica.planning.measured.earlier_results import result_file
from hepatica.planning.measured.values import SHUNT_SD

COPIED_RELATIVE_SD = 0.005
"""Of a number that is typed beside the result that holds it. Both are one reading, so that its own uncertainty does not
part them: twice this, 1 %, is rounding, as of an activity stated beside that of a header."""

ONE_MINUTE_S = 60.0
"""Two statements of one instant may be rounded to minutes."""

ONE_INSTANT = 0.01
"""Injections between which less than this share decays count as one."""


def beside(quantity: str, stated: float, found: float, unit: str, source: str, sd: float | None = None) -> Compared:
    """A typed value beside that of an earlier result, which is used."""
    by_copy = COPIED_RELATIVE_SD * max(abs(stated), abs(found))
    return Compared(quantity, "", stated, found, unit, by_copy if sd is None else sd, "measured", source)


@dataclass(frozen=True, slots=True)
class GivenActivity:
    """What reached the patient, from a result of `delivered_activity`.

    Attributes
    ----------
    source : str
        The result.
    nuclide : str
        "Y-90".
    agent : str or None
        None where the result names none.
    administered_bq : Estimate
        At the injection, the residual taken off.
    administered_at : datetime
        The injection, the first of several, with zone.
    residual : float
        Share that stayed behind.
    lung_shunt : float
        0 where the result states none.
    messages : tuple of Message
        What the result says must not be overlooked.
    """

    source: str
    nuclide: str
    agent: str | None
    administered_bq: Estimate
    administered_at: datetime
    residual: float
    lung_shunt: float
    messages: tuple[Message, ...]


def given_activity(path: Path) -> GivenActivity:
    """What a result of `delivered_activity` says reached the patient.

    Raises
    ------
    InputError
        If it is no such result, or holds no activity.
    """
    document = result_file(path, "delivered_activity")
    try:
        stated = document["provenance"]["parameters"]
        sd = document.get("administered_gbq_sd")
        instants = sorted(datetime.fromisoformat(text) for text in stated["administered_at"])
        substance = find_nuclide(str(document["nuclide"]))
        apart = decay_factor(seconds_between(instants[0], instants[-1]), substance.half_life_s)
        messages = critical_of(document, path)
        if 1 - apart > ONE_INSTANT:
            hours = seconds_between(instants[0], instants[-1]) / SECONDS_PER_HOUR
            text = f"{path}: injections up to {hours:.3g} h apart; all activity is taken as given at the first"
            messages = (*messages, Message("injections-apart", text, "give each injection a result of its own"))
        return GivenActivity(
            source=str(path),
            nuclide=substance.name,
            agent=stated.get("agent"),
            administered_bq=Estimate(
                1e9 * float(document["administered_gbq"]), None if sd is None else 1e9 * float(sd)
            ),
            administered_at=instants[0],
            residual=float(document["residual_fraction"]),
            lung_shunt=float(stated.get("lung_shunt", 0.0)),
            messages=messages,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, UnknownNameError) as error:
        raise InputError(f"{path}: no delivered activity in it ({error!r})") from error


def about_instant(found: GivenActivity, stated: datetime) -> tuple[Message, ...]:
    """What is said of a stated instant that is not the result's, by one clock where it has no zone."""
    at = found.administered_at
    if abs(seconds_between(at if stated.tzinfo is not None else at.replace(tzinfo=None), stated)) <= ONE_MINUTE_S:
        return ()
    text = f"the administration is stated at {stated.isoformat()}, {at.isoformat()} is in {found.source}"
    return (Message("administration-time-differs", text, "find out which is wrong and correct it"),)


@dataclass(frozen=True, slots=True)
class PlannedTreatment:
    """One injection as planned, from a result of `plan` or `prescribe`.

    Attributes
    ----------
    source : str
        The result, with the territory where it is one of several.
    nuclide : str
        "Y-90".
    agent : str or None
        None where a nuclide alone was planned.
    planned_gbq : float
        In the vial at the injection, residual included.
    administered_gbq : float
        To reach the patient.
    lung_shunt : float or None
        None where the method uses none.
    dose_constant_j_per_gbq : float
        By which doses were planned.
    convention : str
        Of that constant.
    messages : tuple of Message
        What the result says must not be overlooked.
    """

    source: str
    nuclide: str
    agent: str | None
    planned_gbq: float
    administered_gbq: float
    lung_shunt: float | None
    dose_constant_j_per_gbq: float
    convention: str
    messages: tuple[Message, ...]


def planned_treatments(path: Path) -> Mapping[str, PlannedTreatment]:
    """Injections of a result of `plan`, by territory, or of `prescribe`, under an empty name.

    Raises
    ------
    InputError
        If it is no such result, or holds no activity.
    """
    document = result_file(path, "plan", "prescribe")
    try:
        rows = {"": document}
        if "territories" in document:
            rows = {str(row["name"]): row["methods"][row["chosen"]] for row in document["territories"]}
        return {
            name: PlannedTreatment(
                source=f"{path} ({name})" if len(rows) > 1 else str(path),
                nuclide=str(row["constant"]["nuclide"]),
                agent=row.get("agent"),
                planned_gbq=float(row["planned_gbq"]),
                administered_gbq=float(row["administered_gbq"]),
                lung_shunt=row["terms"].get("lung_shunt_fraction"),
                dose_constant_j_per_gbq=float(row["constant"]["j_per_gbq"]),
                convention=str(row["constant"]["convention"]),
                messages=critical_of(document, path),
            )
            for name, row in rows.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: no planned activity in it ({error!r})") from error


def planned_treatment(path: Path, territory: str | None = None) -> PlannedTreatment:
    """The one injection of a result, or that of a territory.

    Raises
    ------
    InputError
        As `planned_treatments`; if there are several and none is named.
    UnknownNameError
        If the territory is none of the plan's.
    """
    found = planned_treatments(path)
    if territory is not None:
        if territory not in found:
            raise UnknownNameError(f"territory in {path}:", territory, [name for name in found if name])
        return found[territory]
    if len(found) > 1:
        raise InputError(f"{path}: plans injections into {', '.join(found)}", remedy="name one (`territory`)")
    return next(iter(found.values()))


@dataclass(frozen=True, slots=True)
class AbsorbedDose:
    """A treatment as its images showed it, from a result of `absorbed_dose`.

    Attributes
    ----------
    source : str
        The result.
    nuclide : str
        "Y-90".
    agent : str or None
        None where none was named.
    administered_at : datetime or None
        As stated or in the header, else the instant of the image.
    administered_gbq : float or None
        That reached the patient, residual taken off; None where that was not known.
    lung_shunt : float
        As stated; 0 where none was.
    half_lives_h : tuple of float
        In the patient: of the curve through several images, else as stated, else the physical one.
    lung_dose_gy : float or None
        The lung dose that limits look at; None where no lungs were drawn and no shunt stated.
    structures : mapping of str to (role, mean dose in Gy)
        By name.
    messages : tuple of Message
        What the result says must not be overlooked.
    highs_gy : mapping of str to float
        Upper ends of the 95 % intervals of the mean doses, by name, of those that have one.
    lung_high_gy : float or None
        That of the lung dose that limits look at; None where it has none.
    seen_shares : mapping of str to float
        Share of each structure that the image sees.
    lungs_by_image : str
        Name of the lungs whose dose by the image is judged; empty where that by the shunt is.
    """

    source: str
    nuclide: str
    agent: str | None
    administered_at: datetime | None
    administered_gbq: float | None
    lung_shunt: float
    half_lives_h: tuple[float, ...]
    lung_dose_gy: float | None
    structures: Mapping[str, tuple[str, float]]
    messages: tuple[Message, ...]
    highs_gy: Mapping[str, float] = field(default_factory=dict)
    lung_high_gy: float | None = None
    seen_shares: Mapping[str, float] = field(default_factory=dict)
    lungs_by_image: str = ""

    def normal_dose_gy(self, role: str, structure: str | None = None) -> float:
        """Mean dose of normal liver; see `normal_name`."""
        return self.structures[self.normal_name(role, structure)][1]

    def normal_name(self, role: str, structure: str | None = None) -> str:
        """Name of the normal liver: that which is stated, else that of the only structure with that role.

        Raises
        ------
        UnknownNameError
            If there is no structure of that name.
        InputError
            If none is named, and there is not one of that role.
        """
        if structure is not None:
            if structure not in self.structures:
                raise UnknownNameError(f"structure in {self.source}:", structure, list(self.structures))
            return structure
        normal = [name for name, (found, _) in self.structures.items() if found == role]
        if len(normal) != 1:
            raise InputError(
                f"{self.source}: holds {len(normal) or 'no'} structures that are {role.replace('_', ' ')}",
                remedy=f"name the structure (`normal_structure`): {', '.join(self.structures)}",
            )
        return normal[0]


def absorbed_dose_of(path: Path) -> AbsorbedDose:
    """A treatment from a result of `absorbed_dose`.

    Raises
    ------
    InputError
        If it is no such result, or holds no doses.
    """
    document = result_file(path, "absorbed_dose")
    try:
        stated = document["provenance"]["parameters"]
        at = stated.get("administered_at") or document.get("activity_in_image_at")
        lungs = document.get("lung_doses") or {}
        substance = find_nuclide(str(document["nuclide"]))
        return AbsorbedDose(
            source=str(path),
            nuclide=substance.name,
            agent=document["options"].get("agent"),
            administered_at=None if at is None else datetime.fromisoformat(at),
            administered_gbq=administered_gbq_of(document),
            lung_shunt=float(document["options"].get("lung_shunt", 0.0)),
            half_lives_h=_half_lives_h(document, substance.half_life_h),
            lung_dose_gy=lungs.get("dose_judged_gy"),
            structures={
                str(row["name"]): (str(row["role"]), float(row["dose_mean_gy"])) for row in document["structures"]
            },
            messages=critical_of(document, path),
            highs_gy={
                str(row["name"]): float(ends[1])
                for row in document["structures"]
                if (ends := row.get("dose_mean_interval_95_gy")) is not None
            },
            lung_high_gy=_lung_high_gy(lungs),
            seen_shares={str(row["name"]): float(row.get("seen_share", 1.0)) for row in document["structures"]},
            lungs_by_image=str(lungs["by_image"]["structure"]) if lungs.get("judged") == "image" else "",
        )
    except (KeyError, TypeError, ValueError, AttributeError, UnknownNameError) as error:
        raise InputError(f"{path}: no absorbed dose in it ({error!r})") from error


def _lung_high_gy(lungs: Mapping[str, Any]) -> float | None:
    """Upper end of the lung dose that is judged, where it has an interval."""
    judged = {"image": "by_image", "shunt": "by_shunt"}.get(str(lungs.get("judged")), "")
    ends = (lungs.get(judged) or {}).get("interval_95_gy")
    return None if ends is None else float(ends[1])


def administered_gbq_of(document: Mapping[str, Any]) -> float | None:
    """Activity that reached the patient by a result of `absorbed_dose`, residual taken off; None where not known."""
    stated = document["provenance"]["parameters"]
    given = stated.get("administered_activity_bq")
    return None if given is None else float(given) * (1 - float(stated["residual_fraction"])) / 1e9


def _half_lives_h(document: Mapping[str, Any], physical_h: float) -> tuple[float, ...]:
    curve = document.get("time_activity_curve") or {}
    if hours := curve.get("half_lives_h"):
        return tuple(map(float, hours))
    stated = document["options"].get("effective_half_life_s") or curve.get("tail_half_life_h", 0.0) * SECONDS_PER_HOUR
    return (float(stated) / SECONDS_PER_HOUR,) if stated else (physical_h,)


def critical_of(document: Mapping[str, Any], path: Path) -> tuple[Message, ...]:
    """What an earlier result itself says must not be used as it is."""
    spoken = [row for row in document.get("messages", ()) if row.get("severity") == "critical"]
    return tuple(Message(str(row["code"]), f"{path}: {row['text']}", severity="critical") for row in spoken)


def differing(compared: tuple[Compared, ...]) -> tuple[Message, ...]:
    """What is said of typed values that differ."""
    return tuple(one.message() for one in compared if one.differs)


def require_same_nuclide(stated: str, found: str, source: str) -> None:
    """InputError where a result is of another nuclide than is stated."""
    if find_nuclide(stated).name != find_nuclide(found).name:
        raise InputError(f"{source}: is of the nuclide {found}, and {stated} is stated", remedy="give the right result")


def require_same_agent(stated: str | None, found: str | None, source: str) -> None:
    """InputError where a result is of another agent than is stated; where either names none there is nothing to say."""
    if stated and found and not is_same_agent(stated, found):
        raise InputError(f"{source}: is of the agent {found}, and {stated} is stated", remedy="give the right result")


GIVEN_AS_PLANNED = 0.10
"""Relative difference between activity planned and given from which on it is a warning, as the guardrails on what was
delivered have it."""


def about_treatment(planned: Mapping[str, PlannedTreatment], given: AbsorbedDose) -> tuple[Message, ...]:
    """Whether a dose is of what was planned: nuclide, agent, activity and lung shunt of both, with both numbers.

    Of doses alone neither can be told: half the dose of another nuclide looks like half the activity.
    """
    rows = list(planned.values())
    where = f"{rows[0].source.removesuffix(f' ({next(iter(planned))})')}, {given.source}"
    nuclides = sorted({row.nuclide for row in rows})
    if nuclides != [given.nuclide]:
        text = f"{' and '.join(nuclides)} was planned, the delivered dose is of {given.nuclide} ({where})"
        return (Message("other-nuclide", text, "compare a plan with its own treatment", "critical"),)
    said: list[Message] = []
    agents = sorted({row.agent for row in rows if row.agent is not None})
    if given.agent is not None and any(not is_same_agent(name, given.agent) for name in agents):
        text = f"{' and '.join(agents)} was planned, the delivered dose is of {given.agent} ({where})"
        said.append(Message("other-agent", text, "compare a plan with its own treatment", "critical"))
    said += _about_activity(sum(row.administered_gbq for row in rows), given.administered_gbq, where)
    shunts = [row.lung_shunt for row in rows if row.lung_shunt]
    if shunts and given.lung_shunt:
        one = beside("lung_shunt", given.lung_shunt, max(shunts), "", where, SHUNT_SD)
        text = f"lung shunt: {one.measured:.3g} was planned with, {one.stated:.3g} is stated of the dose ({where})"
        if one.differs:
            severity: Severity = "critical" if one.contradicts else "warning"
            said.append(Message("lung-shunt-differs", text, "find out which is wrong and correct it", severity))
    return tuple(said)


def _about_activity(planned_gbq: float, given_gbq: float | None, where: str) -> tuple[Message, ...]:
    if given_gbq is None:
        text = f"{planned_gbq:.4g} GBq were planned; what was given is not stated of the delivered dose ({where})"
        return (Message("given-not-known", text, "state `administered_result` of that dose", "note"),)
    change = given_gbq / planned_gbq - 1
    text = f"{planned_gbq:.4g} GBq were planned to reach the patient, {given_gbq:.4g} GBq did ({change:+.1%}; {where})"
    severity: Severity = "warning" if abs(change) > GIVEN_AS_PLANNED else "note"
    return (Message("given-and-planned", text, severity=severity),)
