"""Which of the warnings of all steps stand on the first page: what may harm the patient before what is of a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from hepatica.case.report.course import CourseStep
from hepatica.core.message import Message

WARNINGS_SHOWN = 3

TEXT_LETTERS = 200
"""Of a warning on the first page; all of it stands at the step."""

FIRST = (
    "extrahepatic-", "registration-", "scout-too", "territory-", "tumour-outside", "catheter-", "delivered-", "limit-",
    "administration-", "administered-overruled", "activity-", "earlier-", "retreatment", "treatment-", "lung",
    "uptake-",
)  # fmt: skip
"""How the codes begin of warnings about dose, place and activity, the gravest first."""

LAST = ("model", "no-toxicity-curve", "whole-liver-model", "structure-left-out", "administered-in-mbq")
"""How those begin that concern models and the reading of headers: after all others."""

_SOURCE = re.compile(r" \[[\w-]+; [^\]]*\]")
"""Id and source of a limit, which stand with the limits."""


_UID = re.compile(r"\b\d+(?:\.\d+){4,}\b")
"""An identifier of DICOM; its end tells it from others as well."""

UID_DIGITS, LONG_UID = 8, 24


def _in_words(text: str) -> str:
    return _UID.sub(
        lambda found: f"…{found[0][-UID_DIGITS:]}" if len(found[0]) > 24 else found[0], _SOURCE.sub("", text)
    )


def open_warnings(
    steps: Iterable[CourseStep], most: int = WARNINGS_SHOWN, critical: int | None = None
) -> tuple[tuple[Message, ...], int]:
    """Warnings of steps that are up to date, one of each kind, and how many more there are.

    Parameters
    ----------
    steps : iterable of CourseStep
        Of one treatment.
    most : int
        To give; critical ones are given beyond it.
    critical : int or None
        Critical ones at the most; None for every one, however many there are.
    """
    said: dict[Message, list[str]] = {}
    for step in steps:
        for message in step.messages:
            if message.severity != "note":
                said.setdefault(message, []).append(step.title)
    kinds: dict[tuple[str, str], list[Message]] = {}
    for message in sorted(said, key=_rank):
        kinds.setdefault((message.severity, message.code), []).append(message)
    shown: list[Message] = []
    for (severity, code), alike in kinds.items():
        if len(shown) >= (max(most, critical or len(kinds)) if severity == "critical" else most):
            break
        first = alike[0]
        others = f" ({len(alike) - 1} more of this kind)" if len(alike) > 1 else ""
        text = f"{', '.join(said[first])}: {_short(_in_words(first.text))}{others}"
        shown.append(Message(code, text, first.remedy, severity))  # type: ignore[arg-type]
    return tuple(shown), max(0, len(said) - len(shown))


ALIKE_SHOWN = 3
"""Warnings of one kind at a step, such as one for each place; tables hold every one."""


def few_of_each(messages: Sequence[Message]) -> tuple[tuple[Message, ...], int]:
    """The first warnings of each kind at a step, every critical one among them, and how many more there are."""
    seen: Counter[str] = Counter()
    shown = []
    for message in messages:
        seen[message.code] += 1
        if message.severity == "critical" or seen[message.code] <= ALIKE_SHOWN:
            shown.append(message)
    return tuple(shown), len(messages) - len(shown)


def _rank(message: Message) -> tuple[bool, int]:
    """Critical first, then by what the code says that it is about."""
    place = next((n for n, start in enumerate(FIRST) if message.code.startswith(start)), len(FIRST))
    last = any(message.code.startswith(start) for start in LAST)
    return message.severity != "critical", len(FIRST) + 1 if last else place


def _short(text: str) -> str:
    return text if len(text) <= TEXT_LETTERS else f"{text[: TEXT_LETTERS - 1].rstrip()}…"
