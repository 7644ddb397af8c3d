"""The injection as it was watched: what feeds that step."""

from __future__ import annotations

from hepatica.case.steps.inputs import ImageOf, Input, Section

INJECTION_INPUTS: tuple[Input, ...] = (
    ImageOf("frames", ("injection-frames",), needed=True),
    ImageOf("setup", ("injection-setup",), needed=True),
    ImageOf("readings", ("injection-readings",)),
    Section("injection"),
)
"""A dynamic series as a whole: a case holds what has happened, and replays it."""
