"""What an injection that is being monitored says of itself: the file that the monitor rewrites while it runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from hepatica.core.text.files import json_file
from hepatica.core.text.visible import visible
from hepatica.errors import InputError
from hepatica.web.application import Workbench, workbench_of

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]

LIVE = Path("monitoring") / "live.json"
"""In the folder of a case: rewritten at most once a second while its injection is monitored."""

SCHEMA = 1
STATES = ("running", "ended", "lost")

LOST_AFTER_S = 5.0
"""A file of a running injection that is older says nothing of now: whatever wrote it has stopped."""


@router.get("/cases/{key}/monitoring")
def see_monitoring(key: str, bench: Bench) -> dict[str, Any]:
    """The last word of the monitor with its age; null where nothing was monitored.

    ``connection`` is "lost" where the file says that it runs and is older than five seconds, or says so itself, or
    cannot be read: what it holds is then old, and never shown as if it were now.
    """
    folder = bench.desk[key].folder
    path = folder / LIVE
    if not path.exists():
        return {"live": None, "connection": "none", "age_s": None, "error": ""}
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError("monitoring/live.json leads out of the case", remedy="put the file itself there")
    try:
        live = _checked(json_file(path))
        age_s = max(_age_s(live["updated"]), time.time() - path.stat().st_mtime)
    except (InputError, FileNotFoundError) as error:
        return {"live": None, "connection": "lost", "age_s": None, "error": visible(str(error))}
    state = live["state"]
    is_lost = state == "lost" or (state == "running" and age_s > LOST_AFTER_S)
    return {"live": live, "connection": "lost" if is_lost else state, "age_s": round(age_s, 1), "error": ""}


def _checked(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"monitoring/live.json is none of schema {SCHEMA}", remedy="use the hepatica that wrote it")
    if content.get("state") not in STATES or not isinstance(content.get("updated"), str):
        raise InputError(f"monitoring/live.json does not say how it stands ({', '.join(STATES)}) and when")
    found: dict[str, Any] = _visible(content)
    return found


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
