"""What an injection that is being monitored says of itself: the file that the monitor rewrites while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeGuard

from fastapi import APIRouter, Depends

from hepatica.case.layout import STEPS
from hepatica.case.state import Situation
from hepatica.core.text.files import json_file
from hepatica.core.text.visible import visible
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import agent
from hepatica.web.application import Workbench, workbench_of

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]

LIVE = Path("monitoring") / "live.json"
"""In the folder of a case: rewritten at most once a second while its injection is monitored."""

SCHEMA = 1
WATCHING = {
    "waiting": ("note", "Nothing has come yet."),
    "rehearsing": ("warning", "REHEARSING. Nothing is judged yet: boundaries of the tests are being simulated."),
    "watching": ("note", ""),
    "degraded": ("warning", "DEGRADED. Something is not judged, or judged by less."),
    "blind": ("critical", "BLIND. Nothing is judged, and no alarm can come."),
    "stopped": ("note", "The injection is over."),
}
"""What the watch says of itself -> how severe that is, and how the page says it."""

STATES = ("running", "ended", "lost")

LOST_AFTER_S = 5.0
"""A file of a running injection that is older says nothing of now: whatever wrote it has stopped."""


SAME_PLAN = 0.05
"""Planned activities that differ by less are one plan, rounded or decayed by some minutes. Our choice."""

BROKEN_OFF = "the monitor is not heard any more, and did not say how the injection ended"


@router.get("/cases/{key}/monitoring")
def see_monitoring(key: str, bench: Bench) -> dict[str, Any]:
    """The last word of the monitor with its age; null where nothing was monitored.

    ``connection`` is "lost" where the file says that it runs and is older than five seconds, or says so itself, or
    cannot be read: what it holds is then old, and never shown as if it were now.
    """
    one = bench.desk[key]
    folder = one.folder
    path = folder / LIVE
    if not path.exists():
        return {"live": None, "connection": "none", "age_s": None, "error": "", "watch": None}
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError("monitoring/live.json leads out of the case", remedy="put the file itself there")
    try:
        live = _checked(json_file(path))
        age_s = max(_age_s(live["updated"]), time.time() - path.stat().st_mtime)
    except (InputError, FileNotFoundError) as error:
        return {"live": None, "connection": "lost", "age_s": None, "error": visible(str(error)), "watch": None}
    state = live["state"]
    is_lost = state == "lost" or (state == "running" and age_s > LOST_AFTER_S)
    connection = "lost" if is_lost else state
    found = {"live": live, "connection": connection, "age_s": round(age_s, 1), "error": ""}
    watch = watch_of(live)
    watch["contradicts"] = contradictions_of(live, one.recent())
    if is_lost:
        # What a monitor said that did not come to its end is an estimate of then.
        watch |= {"is_measured": False, "not_measured": [BROKEN_OFF, *watch["not_measured"]]}
    return found | {"watch": watch}


def watch_of(live: Mapping[str, Any]) -> dict[str, Any]:
    """What the monitor itself says of how far its numbers can be relied on.

    The file is renewed each second while no frame comes, so that its age says nothing of that: what the watch says of
    itself does, and a file that says nothing of it is not believed.

    Returns
    -------
    dict
        ``severity`` ("note" where all is judged, "warning" where something is not, "critical" where nothing is),
        ``title`` and ``why`` (what is wrong, for people), ``is_current`` (whether numbers are of now), ``is_measured``
        and ``not_measured`` (why not).
    """
    words = live.get("watching")
    has_ended = live["state"] == "ended"
    silent = live.get("silent_s")
    silent_s = float(silent) if isinstance(silent, (int, float)) and math.isfinite(silent) else math.inf
    is_silent = words not in ("waiting", "rehearsing") and silent_s > LOST_AFTER_S
    severity, title = WATCHING.get(str(words), ("critical", "The monitor does not say whether it watches."))
    if has_ended:
        severity, title = "note", ""
    elif is_silent and severity != "critical":
        severity, title = "critical", "NOTHING ARRIVES. No frame comes from the camera."
    is_current = not has_ended and severity != "critical"
    why = _texts(live.get("notes"))
    if not has_ended and math.isfinite(silent_s) and silent_s > LOST_AFTER_S:
        why.append(f"the last frame is {silent_s:.0f} s old")
    is_measured = live.get("is_measured") is True
    return {
        "severity": severity,
        "title": title,
        "why": why,
        "is_current": is_current,
        "is_measured": is_measured,
        "not_measured": [] if is_measured else _texts(live.get("not_measured")) or ["the monitor does not say why"],
    }


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _checked(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"monitoring/live.json is none of schema {SCHEMA}", remedy="use the hepatica that wrote it")
    if content.get("state") not in STATES or not isinstance(content.get("updated"), str):
        raise InputError(f"monitoring/live.json does not say how it stands ({', '.join(STATES)}) and when")
    if wrong := impossible_in(content):
        raise InputError(f"monitoring/live.json cannot be believed: {'; '.join(wrong)}")
    found: dict[str, Any] = _visible(content)
    return found


def impossible_in(live: Mapping[str, Any]) -> list[str]:
    """What in the word of a monitor no monitor can mean: intervals upside down, certainties above 1, plans below 0."""
    wrong = []
    intervals = [("delivered", live.get("delivered_mbq"))]
    intervals += [(str(one.get("name", "")), one) for one in live.get("regions") or () if isinstance(one, Mapping)]
    for name, one in intervals:
        low, high = (one.get("low"), one.get("high")) if isinstance(one, Mapping) else (None, None)
        if _is_number(low) and _is_number(high) and low > high:
            wrong.append(f"the interval of {name} runs from {low:.4g} to {high:.4g} MBq")
    planned = live.get("planned_mbq")
    if _is_number(planned) and planned < 0:
        wrong.append(f"{planned:.4g} MBq are planned")
    sure = [one.get("certainty") for one in live.get("alarms") or () if isinstance(one, Mapping)]
    wrong += [f"an alarm is {100 * one:.4g} % certain" for one in sure if _is_number(one) and not 0 <= one <= 1]
    return list(dict.fromkeys(wrong))


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def contradictions_of(live: Mapping[str, Any], situation: Situation) -> list[str]:
    """Where the word of a monitor is of another agent or activity than the treatments of the case."""
    found = []
    treated = [str(one["agent"]) for one in situation.facts.treatments if one.get("agent")]
    watched = str(live.get("agent") or "")
    if treated and watched and _agent_name(watched) not in map(_agent_name, treated):
        found.append(f"the monitor watches {watched}, the case is of {' and '.join(dict.fromkeys(treated))}")
    planned, of_plans = live.get("planned_mbq"), _planned_mbq(situation)
    if _is_number(planned) and of_plans and not any(math.isclose(planned, one, rel_tol=SAME_PLAN) for one in of_plans):
        said = " or ".join(f"{one:.4g}" for one in sorted(set(of_plans)))
        found.append(f"the monitor takes {planned:.4g} MBq for planned, the plan of the case has {said} MBq")
    return found


def _agent_name(word: str) -> str:
    try:
        return agent(word).name
    except UnknownNameError:
        return word.casefold()


def _planned_mbq(situation: Situation) -> list[float]:
    """Activities that the plans of the case give, in the vial and to the patient, in all and to each territory."""
    found: list[Any] = []
    for name in situation.records:
        if name.split("-")[0] == "plan":
            plan = json_file(situation.folder / STEPS / name / "result.json")
            found += [plan.get("planned_gbq"), plan.get("administered_gbq")]
            for one in plan.get("territories", ()):
                given = one.get("methods", {}).get(one.get("chosen")) or one.get("given") or {}
                found += [given.get("planned_gbq"), given.get("administered_gbq")]
    return [1000.0 * one for one in found if _is_number(one)]


def _visible(value: Any) -> Any:
    """Text that is shown, without what hides in it."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list):
        return [_visible(each) for each in value]
    if isinstance(value, dict):
        return {visible(key): _visible(each) for key, each in value.items()}
    return value


def _age_s(updated: str) -> float:
    try:
        at = datetime.fromisoformat(updated)
    except ValueError:
        raise InputError("monitoring/live.json does not say when it was written") from None
    return (datetime.now(UTC) - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()
