"""What the reader of a result must know: a message with a code, a severity, a sentence and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from hepatica.core.options.kinds import word_of
from hepatica.errors import worded

Severity = Literal["note", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that the reader of a result must know.

    Attributes
    ----------
    code : str
        Stable name in kebab case ("activity-outside-ct"); programs act on it, never on the text.
    text : str
        One sentence; options in backticks by the name of their field.
    remedy : str
        What to do about it; empty where there is nothing to do.
    severity : {"note", "warning", "critical"}
        "note": said for the record. "warning": the numbers may be off. "critical": they must not be used as they are.
    """

    code: str
    text: str
    remedy: str = ""
    severity: Severity = "warning"

    def worded(self, word: Callable[[str], str] | None = None) -> str:
        """Text and remedy, options in a front end's own words."""
        return worded(f"{self.text}; {self.remedy}" if self.remedy else self.text, word)

    @property
    def plain_text(self) -> str:
        """Text and remedy for paper, where an option is the words of its name ("administered at")."""
        return self.worded(lambda name: word_of(name).replace("_", " "))

    def __str__(self) -> str:
        return self.worded()


def unique(*groups: Iterable[Message]) -> tuple[Message, ...]:
    """All messages in their order, each once."""
    return tuple(dict.fromkeys(message for group in groups for message in group))
