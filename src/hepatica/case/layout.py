"""Names in the folder of a case, and the version of what they hold."""

from __future__ import annotations

VERSION = 1
"""Of the folder and of ``case.toml``; counted up when either changes so that an older hepatica would misread it."""

FACTS = "case.toml"
"""What persons state."""

LOG = "log.jsonl"
"""What happened, each line hashed over the one before."""

PERSONAL = "personal.jsonl"
"""What lines of the log say about persons, encrypted; the log holds keyed hashes of it."""

KEY = "personal.key"
"""Key of `PERSONAL`; without it nobody can read that again, and the log stays provable."""

CATALOGUE = "images.json"
"""What was added, what it is taken for, and the hashes of its files."""

IMAGES = "images"
"""Files as they came."""

STEPS = "steps"
"""One folder for each step that was run."""

RECORD = "step.json"
"""In the folder of a step: what it was made from."""

SET_ASIDE = "set-aside"
"""Results that somebody edited, moved here when their step ran again."""

PICTURES = "pictures"
"""Pictures that a person kept for the report."""

DRAFTS = "drafts"
"""Structures that somebody draws and has not saved yet."""

MONITORING = "monitoring"
"""What is kept of an injection while it is watched: ``live.json`` to look at, a folder for each run."""

LOCK = ".lock"
"""Held by the one process that changes the case."""


def folder_name(step: str, treatment: int) -> str:
    """Name of the folder of a step: "plan", and "plan-2" of the second treatment."""
    return step if treatment == 1 else f"{step}-{treatment}"
