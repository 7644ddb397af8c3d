"""The activity that reached the patient: by readings of the vial, else by its watched injection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from hepatica.case.steps.inputs import (
    Fact,
    Given,
    Input,
    NuclideOfAgent,
    ResultOf,
    Section,
    View,
    folder_of,
    stated_words,
)
from hepatica.case.steps.shown import Layout, at, quantity
from hepatica.case.steps.step import Step
from hepatica.errors import InputError
from hepatica.planning.measured.watched_activity import WatchedActivity, watched_activity

INJECTION, FRAMES = "injection", "injection-frames"

READINGS = ("vial", "calibrated_at", "reading_before", "reading_before_at", "reading_after", "reading_after_at")


def _has_readings(view: View) -> bool:
    return any(word in READINGS for word in stated_words(view.section("delivery")))


def _watched(view: View) -> WatchedActivity | None:
    """What the watched injection brought; None where none was watched, its frames were withdrawn, or it is damaged."""
    if (found := view.result(INJECTION)) is None or not view.images(FRAMES):
        return None
    try:
        return _read(found, str(view.fact("treatment", "agent") or ""), view.result("plan"))
    except InputError:
        return None  # the step "injection" is then out of date, and says why


@lru_cache(maxsize=16)
def _read(injection: tuple[Path, str], agent: str, plan: tuple[Path, str] | None) -> WatchedActivity:
    """Read once for each digest: a case is asked how it stands often."""
    return watched_activity(injection[0], agent, None if plan is None else plan[0])


@dataclass(frozen=True, slots=True)
class Watched(Input):
    """The result of the watched injection, where what it brought can be taken for what reached the patient."""

    word: str = "watched_result"

    def given(self, view: View) -> tuple[Given, ...]:
        """Its folder."""
        watched, found = _watched(view), view.result(INJECTION)
        if watched is None or watched.why_not or found is None:
            return ()
        return (Given(self.word, f"steps/{found[0].name}", found[1], str(found[0])),)

    def fed_by(self, treatment: int) -> Iterator[str]:
        """The injection."""
        yield from folder_of(INJECTION, treatment)


@dataclass(frozen=True, slots=True)
class Readings(Section):
    """Readings of the vial: all of them, or none where the watched injection can be taken."""

    def missing(self, view: View) -> str:
        """Which to state, and why the watched injection is not taken instead."""
        left = Section.missing(self, view)
        if not left:
            return ""
        watched = _watched(view)
        if watched is None:
            return left
        if watched.why_not:
            return f"{left} (the watched injection is not taken: {watched.why_not})"
        if _has_readings(view):
            return f"{left}, or none of the readings: then what the watched injection brought is taken"
        words = stated_words(view.section(self.step))
        is_known = view.fact("treatment", "at") is not None or "administered_at" in words
        return "" if is_known else "state treatment.at"

    def words_needed(self, view: View) -> tuple[str, ...]:
        """None while the watched injection is taken."""
        return () if _is_taken(view) else self.needed


def _is_taken(view: View) -> bool:
    watched = _watched(view)
    return watched is not None and not watched.why_not and not _has_readings(view)


def _remark(view: View) -> str:
    """What the watched injection is to this step, for its form."""
    watched = _watched(view)
    if watched is None:
        return ""
    if watched.why_not:
        return f"The watched injection is not taken: {watched.why_not}."
    found = f"{watched.administered_gbq} GBq {watched.words}"
    if _has_readings(view):
        return f"The readings of the vial are taken; {found} stand beside them."
    return f"No readings of the vial are stated: {found} are taken."


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Delivered", quantity(document, "administered_gbq", "GBq")),
        ("Taken from", taken_from(document)),
        ("In the vial at the injection", quantity(document, "vial_at_injection_gbq", "GBq")),
        ("Residual", quantity(document, "residual_fraction", "%", 100.0)),
    ]


def taken_from(document: Mapping[str, Any]) -> str:
    """What the activity of a result was measured by; empty for readings of the vial that nothing stands beside."""
    by = at(document, "watched_injection.measured_by")
    if not by or at(document, "watched_injection.why_not"):
        return ""
    if document.get("taken_from") == "watched injection":
        return f"the watched injection ({by})"
    beside = quantity(document["watched_injection"], "administered_gbq", "GBq")
    return f"readings of the vial; {beside} by the watched injection ({by})"


STEP = Step(
    "delivery",
    "Delivery",
    "delivered_activity",
    (
        NuclideOfAgent(),
        Fact("agent", "treatment", "agent"),
        Fact("administered_at", "treatment", "at"),
        ResultOf("planned_result", "plan"),
        Watched(),
        Readings("delivery", needed=READINGS),
    ),
    remark=_remark,
    layout=Layout(_facts, {"delivered": "", "dose": "Mean dose"}),
)
