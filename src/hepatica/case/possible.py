"""What no treatment can be, refused when it is stated: an unknown name or key, an impossible aim or reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.facts import Facts, instant_of
from hepatica.case.steps.course import STEPS
from hepatica.case.steps.inputs import stated_words
from hepatica.core.options import options_of
from hepatica.core.options.declare import require_known
from hepatica.errors import HepaticaError, InputError, UnknownNameError
from hepatica.front_door import verb_named

DELIVERY, BEFORE, AFTER = "delivery", "reading_before", "reading_after"


def require_possible(facts: Facts) -> None:
    """Refuse what no treatment can be.

    Raises
    ------
    InputError
        If an instant is none, an aim is no dose or unknown, a step has no such option, or the vial read more after the
        injection than before it.
    UnknownNameError
        If an agent, nuclide or intent is unknown; it lists the known ones.
    """
    from hepatica.nuclides import agent, nuclide
    from hepatica.planning.limits.dose_limits import INTENTS

    for number, one in enumerate(facts.treatments, 1):
        if "at" in one and instant_of(one) is None:
            raise InputError(
                f"treatment {number}: at is {one['at']!r}, no instant", remedy='write it as "2026-03-12T10:00+01:00"'
            )
        if "agent" in one:
            agent(str(one["agent"]))
        if "nuclide" in one:
            nuclide(str(one["nuclide"]))
        if "intent" in one and one["intent"] not in INTENTS:
            raise UnknownNameError("intent", str(one["intent"]), INTENTS)
        if one.get("aims"):
            _require_aims(one["aims"], f"treatment {number}")
        for step in sorted(STEPS & one.keys()):
            _require_options(step, one[step], f"treatment {number}: {step}")


def _require_aims(stated: Mapping[str, Any], where: str) -> None:
    from hepatica.planning.planner.plan_file import aims_from  # only what states facts needs the planner

    try:
        aims_from(stated)
    except HepaticaError as error:
        raise InputError(f"{where}: {error}") from error


def _require_options(step: str, section: Any, where: str) -> None:
    """That the verb of a step has these options, and each value is one of theirs."""
    from hepatica.case.steps.course import step_named

    if not isinstance(section, Mapping):
        return
    words = stated_words(section)
    known = {option.word: option for option in options_of(verb_named(step_named(step).verb).load())}
    require_known(where, words, known)
    values = {word: known[word].form.read(value, f"{where}.{word}") for word, value in words.items()}
    if step == DELIVERY:
        _require_readings(values, where)


def _require_readings(values: Mapping[str, Any], where: str) -> None:
    def several(word: str) -> list[Any]:
        found = values.get(word)
        return [] if found is None else list(found) if isinstance(found, list | tuple) else [found]

    for before, after in zip(several(BEFORE), several(AFTER), strict=False):
        if after > before:
            raise InputError(
                f"{where}: {AFTER} is more than {BEFORE}: the vial cannot hold more after the injection than before it",
                remedy="see which reading is which, and their units",
            )
    for before, after in zip(several(f"{BEFORE}_at"), several(f"{AFTER}_at"), strict=False):
        if (before.tzinfo is None) == (after.tzinfo is None) and after < before:
            raise InputError(f"{where}: {AFTER}_at is before {BEFORE}_at", remedy="see which instant is which")
