"""What a watched injection brought, from a result of `monitor`, and whether that can be taken for what was given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hepatica.core import Estimate
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import is_same_agent
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.planning.measured.compared import COVERAGE
from hepatica.planning.measured.earlier_results import result_file
from hepatica.planning.measured.treatment_results import critical_of, planned_treatments

WAYS = ("camera", "camera and meter", "camera and line", "MR")
"""By what a delivered activity is measured."""
VIAL_RELATIVE_SD = 0.05
"""Of the vial's calibrated activity, where nobody stated it."""
WHOLE = 0.8
"""Of several planned injections: a vial of less than this share of their activity is not all of them; a fifth less is
what the report too says of a given activity."""


@dataclass(frozen=True, slots=True)
class WatchedActivity:
    """What a watched injection brought into the body.

    Attributes
    ----------
    source : str
        The result.
    nuclide, agent : str
        What was injected by the setup of the watch; the agent is empty where that names none.
    vial_gbq : float
        In the vial at the beginning.
    administered_gbq : Estimate or None
        In the body, decay taken back to the beginning; without the uncertainty of the vial's calibration. None where
        it is not measured.
    measured_by : str
        One of `WAYS`; empty where it is not measured.
    why_not : str
        Why it is not to be taken for what reached the patient; empty where it is.
    messages : tuple of Message
        What the result says must not be overlooked.
    """

    source: str = field(metadata=HIDDEN)
    nuclide: str
    agent: str
    vial_gbq: float
    administered_gbq: Estimate | None
    measured_by: str
    why_not: str
    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)

    @property
    def words(self) -> str:
        """For people: "by the watched injection (camera and meter)"."""
        return f"by the watched injection ({self.measured_by})"

    def beside_readings(self, given: Estimate) -> tuple[Message, ...]:
        """What is said where readings of the vial, which decide, say another activity (GBq); both are independent."""
        found = self.administered_gbq
        if self.why_not or found is None:
            return (Message("watched-not-compared", f"{self.source}: {self.why_not}", severity="note"),)
        sd = math.hypot(found.sd or 0.0, given.sd or 0.0)
        if abs(found.value - given.value) <= COVERAGE * sd:
            return ()
        text = (
            f"{given} GBq reached the patient by the readings of the vial, {found} GBq {self.words}: more apart than "
            "their uncertainties allow (95 %); the readings are used"
        )
        remedy = "look at unit, instants and readings of the vial, and at camera factor and setup of the watch"
        return (Message("watched-differs", text, remedy),)


def watched_activity(path: Path, agent: str = "", planned_result: Path | None = None) -> WatchedActivity:
    """What a result of `monitor` says reached the patient.

    Parameters
    ----------
    path : Path
        Of the result.
    agent : str
        Of the treatment; not compared if empty.
    planned_result : Path or None
        Result of its plan: where that has several injections, the vial must have been that of all.

    Raises
    ------
    InputError
        If it is no such result, or cannot be read.
    """
    document = result_file(path, "monitor")
    try:
        watched, vial_bq = str(document["agent"]), document["planned_bq"]
        value, sd = document["delivered_bq"], document["delivered_bq_sd"]
        is_measured = bool(document["is_measured"]) and value is not None and vial_bq is not None
        _require_possible(document, is_measured=is_measured)
        return WatchedActivity(
            source=str(path),
            nuclide=find_nuclide(str(document["nuclide"])).name if document["nuclide"] else "",
            agent=watched,
            vial_gbq=0.0 if vial_bq is None else float(vial_bq) / 1e9,
            administered_gbq=Estimate(float(value) / 1e9, None if sd is None else float(sd) / 1e9)
            if is_measured else None,
            measured_by=str(document.get("measured_by") or "") if is_measured else "",
            why_not=_unmeasured(document) or _other(watched, agent) or _unfinished(document)
            or _beyond(float(value), sd, float(vial_bq)) or _in_part(float(vial_bq) / 1e9, planned_result),
            messages=critical_of(document, path),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, UnknownNameError) as error:
        raise InputError(f"{path}: no watched injection in it ({error!r})") from error


def _require_possible(document: Mapping[str, Any], *, is_measured: bool) -> None:
    """Raises a ValueError of numbers that no watch can have found."""
    vial_bq, value, sd = document["planned_bq"], document["delivered_bq"], document["delivered_bq_sd"]
    if vial_bq is not None and not 0 < float(vial_bq) < math.inf:
        raise ValueError(f"planned_bq is {vial_bq}, and must be above zero")
    if not is_measured:
        return
    if not 0 <= float(value) < math.inf or not (sd is None or 0 < float(sd) < math.inf):
        raise ValueError(f"delivered_bq is {value} with an sd of {sd}, and neither may be below zero")
    by = document.get("measured_by")
    # Results of before this was said do not say how the flow ended either, and are not taken for that.
    if by not in WAYS and (by or document.get("flow_had_ended") is not None):
        raise ValueError(f"measured_by is {by!r}, and must be one of {', '.join(WAYS)}")


def _beyond(value: float, sd: float | None, vial_bq: float) -> str:
    """Of more than the vial held, beyond what both are known to."""
    if value <= vial_bq + COVERAGE * math.hypot(sd or 0.0, VIAL_RELATIVE_SD * vial_bq):
        return ""
    return f"{value / 1e9:.3g} GBq arrived of a vial of {vial_bq / 1e9:.3g} GBq: more than it held"


def _unmeasured(document: Mapping[str, Any]) -> str:
    if document["planned_bq"] is None:
        return "it was watched without a setup: no activity is known"
    if document["is_measured"] and document["delivered_bq"] is not None:
        return ""
    return f"what was delivered is not measured: {'; '.join(document['not_measured']) or 'no frame was used'}"


def _other(watched: str, agent: str) -> str:
    if not watched:
        return "the setup of the watch names no agent"
    if agent and not is_same_agent(watched, agent):
        return f"what was watched is {watched}, the treatment is of {agent}"
    return ""


def _unfinished(document: Mapping[str, Any]) -> str:
    """Of a watch that broke off: more was on its way."""
    ended = document.get("flow_had_ended")
    if ended is None:
        return "the result does not say whether the flow had ended: run it again"
    return "" if ended else "watching ended while beads still flowed: what came afterwards is not known"


def _in_part(vial_gbq: float, planned_result: Path | None) -> str:
    if planned_result is None or len(plans := planned_treatments(planned_result)) < 2:
        return ""
    total = math.fsum(one.planned_gbq for one in plans.values())
    if vial_gbq >= WHOLE * total:
        return ""
    return f"one vial of {vial_gbq:.3g} GBq was watched, and {len(plans)} injections of {total:.3g} GBq are planned"
