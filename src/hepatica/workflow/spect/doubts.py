"""What a reconstruction says against its own image, and what therefore goes on with the image into a dose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hepatica.core.message import Message
from hepatica.io.dicom.private import DOUBTS, NOT_CARRIED, OF_RECONSTRUCTION


def carried_doubts(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Those messages as they are said of a dose, where a lung that was not found as one is critical."""
    return tuple(
        replace(
            one,
            text=OF_RECONSTRUCTION + one.text,
            severity="critical" if one.code == "no-lungs-on-ct" else one.severity,
        )
        for one in messages
        if one.code in DOUBTS
    )


def with_full_doubts(own: Iterable[Message], told: Iterable[Message]) -> tuple[Message, ...]:
    """Messages of an image with those of the result beside it, in place of what the file itself says in short."""
    full = carried_doubts(told)
    codes = {NOT_CARRIED, *(one.code for one in full)}
    short = [one for one in own if one.code in codes and (one.code == NOT_CARRIED or _is_carried(one))]
    return (*(one for one in own if one not in short), *full)


def _is_carried(one: Message) -> bool:
    return one.text.startswith(OF_RECONSTRUCTION)
