"""What the camera is to see of an injection that will be watched."""

from __future__ import annotations

from hepatica.case.steps.inputs import Fact, ImageOf, ResultOf, Section, StatedTerritory, View
from hepatica.case.steps.step import Step


def _not_to_be_watched(view: View) -> str:
    """Why a case does without; empty where a frame shows how the camera stands."""
    return "" if view.images("injection-view") else "no frame of the camera before the injection was added"


STEP = Step(
    "prepare-injection",
    "Setup of a watched injection",
    "prepare_injection",
    (
        ImageOf("view", ("injection-view",), needed=True),
        ImageOf("ct", ("scout-ct", "therapy-ct"), needed=True),
        ImageOf("structures", ("scout-structures", "therapy-structures"), needed=True),
        Fact("agent", "treatment", "agent", needed=True),
        ImageOf("calibration", ("calibration",)),
        StatedTerritory(),
        ResultOf("plan", "plan"),
        Section("prepare-injection"),
    ),
    needless=_not_to_be_watched,
    is_rare=True,
)
