"""One guardrail: when it speaks, how loudly, and what to do then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hepatica.core.confidence import COMMON_PRACTICE, READ_AT_THE_SOURCE
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.planning.guardrails.situation import Situation

Severity = Literal["stop", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A rule that experienced teams apply.

    Attributes
    ----------
    id : str
        For reports and for switching off with a reason.
    severity : str
        "stop": do not go on before it is solved; "warning": a person must decide; "note": a reader must know.
    needs : tuple of str
        Fields of `Situation` without which it is not evaluated.
    speaks : callable
        Takes a situation whose needed fields are known; True if the rule speaks.
    advice : str
        A sentence that says what to do; ``{field}`` is replaced by the situation's value.
    source : str
        Where the rule comes from; "practice" where it is common practice without one paper.
    confidence : str
        How well the source is known, a word of `hepatica.core.confidence`; by default common practice or read at the
        source, as the source says.
    """

    id: str
    severity: Severity
    needs: tuple[str, ...]
    speaks: Callable[[Any], bool] = field(metadata=HIDDEN)
    advice: str
    source: str = "practice"
    confidence: str = ""

    def __post_init__(self) -> None:
        known = COMMON_PRACTICE if self.source == "practice" else READ_AT_THE_SOURCE
        object.__setattr__(self, "confidence", self.confidence or known)


@dataclass(frozen=True, slots=True)
class Warned:
    """A guardrail that spoke."""

    id: str
    severity: Severity
    message: str
    source: str
    confidence: str

    def as_message(self) -> Message:
        """The same for the reader of a result; a stop is critical."""
        return Message(self.id, self.message, severity="critical" if self.severity == "stop" else self.severity)


@dataclass(frozen=True, slots=True)
class Review:
    """What the guardrails say of a situation.

    Attributes
    ----------
    warned : tuple of Warned
        Those that spoke, stops first.
    quiet : tuple of str
        Ids that were evaluated and had nothing to say.
    not_evaluated : tuple of str
        Ids that lacked a fact.
    """

    warned: tuple[Warned, ...]
    quiet: tuple[str, ...]
    not_evaluated: tuple[str, ...]

    def messages(self) -> tuple[Message, ...]:
        """What they say, for the reader of a result."""
        return tuple(warned.as_message() for warned in self.warned)


def review(situation: Situation, rules: Sequence[Guardrail]) -> Review:
    """Evaluate every rule whose facts are known."""
    warned, quiet, skipped = [], [], []
    for rule in rules:
        values = {name: getattr(situation, name) for name in rule.needs}
        if any(value is None for value in values.values()):
            skipped.append(rule.id)
        elif rule.speaks(situation):
            advice = rule.advice.format(**values)
            warned.append(Warned(rule.id, rule.severity, advice, rule.source, rule.confidence))
        else:
            quiet.append(rule.id)
    order = {"stop": 0, "warning": 1, "note": 2}
    return Review(tuple(sorted(warned, key=lambda w: order[w.severity])), tuple(quiet), tuple(skipped))
