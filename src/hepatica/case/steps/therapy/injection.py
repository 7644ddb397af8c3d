"""The injection as it was watched."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, Section, View
from hepatica.case.steps.step import Step


def _not_watched(view: View) -> str:
    """Why a case does without; empty where the injection was watched."""
    return "" if view.images("injection-frames") else "no dynamic series of the injection was added"


STEP = Step(
    "injection",
    "Injection",
    "monitor",
    # A dynamic series as a whole: a case holds what has happened, and replays it.
    (
        ImageOf("frames", ("injection-frames",), needed=True),
        ImageOf("setup", ("injection-setup",), needed=True),
        ImageOf("readings", ("injection-readings",)),
        Section("injection"),
    ),
    needless=_not_watched,
    is_rare=True,
)
