"""One guardrail: when it speaks, how loudly, and what to do then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.numbers.confidence import COMMON_PRACTICE, READ_AT_THE_SOURCE
from hepatica.planning.guardrails.situation import Situation

Severity = Literal["stop", "warning", "note"]
Step = Literal["patient", "plan", "vial", "delivery", "verification"]
STEPS: tuple[str, ...] = get_args(Step)


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
        How well the source is known, a word of `hepatica.core.numbers.confidence`; by default common practice or read
        at the source, as the source says.
    step : str
        When its facts are known: with the patient, before anything; the plan; the vial; the delivery; verification.
    """

    id: str
    severity: Severity
    needs: tuple[str, ...]
    speaks: Callable[[Any], bool] = field(metadata=HIDDEN)
    advice: str
    source: str = "practice"
    confidence: str = ""
    step: Step = "plan"

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
        Ids that lacked a fact, of the steps that were asked for.
    lacking_facts : mapping of str to tuple of str
        Of each of these, the facts that it lacks.
    other_steps : mapping of str to tuple of str
        Ids that lacked a fact of other steps, by step: the patient's own facts, the vial, the delivery.
    """

    warned: tuple[Warned, ...]
    quiet: tuple[str, ...]
    not_evaluated: tuple[str, ...]
    lacking_facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def messages(self) -> tuple[Message, ...]:
        """What they say, for the reader of a result."""
        return tuple(warned.as_message() for warned in self.warned)

    def lacking(self) -> tuple[Message, ...]:
        """Which rules are not evaluated, and the facts that each lacks; those of other steps by their number."""
        said = []
        if self.lacking_facts:
            facts = "; ".join(f"{rule} ({', '.join(names)})" for rule, names in self.lacking_facts.items())
            text = f"{len(self.lacking_facts)} guardrails lack a fact and are not evaluated: {facts}"
            said.append(Message("guardrails-not-evaluated", text, "state the facts under [facts]", "note"))
        if patient := self.other_steps.get("patient"):
            text = f"{len(patient)} guardrails of the patient's fitness lack a fact: {', '.join(patient)}"
            said.append(Message("patient-not-evaluated", text, "decide on them before the plan is used", "note"))
        return tuple(said)


class _UnknownFactError(Exception):
    """A rule looked at a fact that is not known."""


class _Facts:
    """A situation whose unknown facts raise when they are looked at."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation

    def __getattr__(self, name: str) -> Any:
        if (value := getattr(self._situation, name)) is None:
            raise _UnknownFactError(name)
        return value


def review(situation: Situation, rules: Sequence[Guardrail], steps: Collection[str] = STEPS) -> Review:
    """Evaluate every rule whose facts are known, as far as they decide.

    A rule whose known facts already keep it quiet (a rule for resin, with glass) needs no others.

    Parameters
    ----------
    situation : Situation
        What is known.
    rules : sequence of Guardrail
        To evaluate.
    steps : collection of str
        Steps whose rules are listed as not evaluated where a fact is missing; those of others are listed apart.
    """
    warned, quiet = [], []
    missing: dict[str, tuple[str, ...]] = {}
    others: dict[str, list[str]] = {}
    for rule in rules:
        values = {name: getattr(situation, name) for name in rule.needs}
        try:
            speaks = rule.speaks(_Facts(situation))
        except _UnknownFactError:
            if rule.step in steps:
                missing[rule.id] = tuple(name for name, value in values.items() if value is None)
            else:
                others.setdefault(rule.step, []).append(rule.id)
            continue
        if speaks:
            advice = rule.advice.format(**values)
            warned.append(Warned(rule.id, rule.severity, advice, rule.source, rule.confidence))
        else:
            quiet.append(rule.id)
    return Review(
        loudest_first(warned), tuple(quiet), tuple(missing), missing, {step: tuple(ids) for step, ids in others.items()}
    )


def loudest_first(warned: Iterable[Warned]) -> tuple[Warned, ...]:
    """Stops, then warnings, then notes."""
    order = {"stop": 0, "warning": 1, "note": 2}
    return tuple(sorted(warned, key=lambda w: order[w.severity]))


def together(reviews: Mapping[str, Review]) -> Review:
    """Reviews of several territories as one: what speaks in any of them, with its name where not all say the same.

    A rule is quiet if it is in all of them, and not evaluated if it lacked a fact in one and spoke in none.
    """
    if len(reviews) == 1:
        return next(iter(reviews.values()))
    said: dict[Warned, list[str]] = {}
    for name, one in reviews.items():
        for spoken in one.warned:
            said.setdefault(spoken, []).append(name)
    spoke = {spoken.id for spoken in said}
    warned = [
        w if len(names) == len(reviews) else replace(w, message=f"{', '.join(names)}: {w.message}")
        for w, names in said.items()
    ]
    missing = {
        rule: facts for one in reviews.values() for rule, facts in one.lacking_facts.items() if rule not in spoke
    }
    others: dict[str, list[str]] = {}
    for one in reviews.values():
        for step, ids in one.other_steps.items():
            others.setdefault(step, []).extend(i for i in ids if i not in spoke and i not in others.get(step, []))
    lacking = {*missing, *(i for ids in others.values() for i in ids)}
    quiet = dict.fromkeys(i for one in reviews.values() for i in one.quiet if i not in spoke and i not in lacking)
    return Review(
        loudest_first(warned), tuple(quiet), tuple(missing), missing, {step: tuple(ids) for step, ids in others.items()}
    )
