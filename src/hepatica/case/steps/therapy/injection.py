"""The injection as it was watched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hepatica.case.steps.inputs import FirstOf, ImageOf, ResultOf, Section, View
from hepatica.case.steps.step import Step
from hepatica.core.options import from_texts
from hepatica.front_door import verb_named


def _not_watched(view: View) -> str:
    """Why a case does without; empty where the injection was watched."""
    return "" if view.images("injection-frames") else "no dynamic series of the injection was added"


def _arguments(texts: Mapping[str, Any]) -> dict[str, Any]:
    """A case holds what has happened: a folder of frames is replayed, and nothing is waited for."""
    is_folder = Path(str(texts["frames"])).is_dir()
    return from_texts(verb_named("monitor").load(), {**texts, "replay": is_folder}, command="injection")


SETUP = FirstOf(
    (
        ImageOf("setup", ("injection-setup",), needed=True),
        ResultOf("setup", "prepare-injection", needed=True, file="setup.json"),
    ),
    needed=True,
)
"""A setup that was added goes before the one that the case made."""

STEP = Step(
    "injection",
    "Injection",
    "monitor",
    (
        ImageOf("frames", ("injection-frames",), needed=True),
        SETUP,
        ImageOf("readings", ("injection-readings",)),
        ImageOf("structures", ("injection-structures",)),
        Section("injection"),
    ),
    arguments=_arguments,
    needless=_not_watched,
    is_rare=True,
)
