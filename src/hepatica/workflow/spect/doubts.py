"""What a reconstruction says against its own image, and what therefore goes on with the image into a dose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hepatica.core.message import Message

IN_DOUBT = (
    "no-lungs-on-ct", "lung-by-voxel", "counts-not-explained", "activity-beside-body", "no-body-on-ct",
    "axis-overruled", "camera-overruled", "scatter-not-corrected", "lead-taken-as-holes",
    "tissue-not-of-tissue-hu", "air-not-of-air-hu", "too-few-updates",
    "liver-in-lungs-of-ct",
)  # fmt: skip
"""Codes of messages that call becquerels of a SPECT, or their place, in doubt."""


def carried_doubts(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Those messages as they are said of a dose, where a lung that was not found as one is critical."""
    return tuple(
        replace(
            one,
            text=f"of the reconstruction: {one.text}",
            severity="critical" if one.code == "no-lungs-on-ct" else one.severity,
        )
        for one in messages
        if one.code in IN_DOUBT
    )
