"""What no treatment can be, refused when it is stated: an unknown name or key, an impossible aim or reading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hepatica.case.facts import Facts, instant_of
from hepatica.case.steps.course import STEPS
from hepatica.case.steps.inputs import stated_words
from hepatica.case.steps.plan_tables import HEAD, PATIENT
from hepatica.core.options import options_of
from hepatica.core.options.declare import require_known
from hepatica.errors import HepaticaError, InputError, UnknownNameError
from hepatica.front_door import verb_named

DELIVERY, BEFORE, AFTER = "delivery", "reading_before", "reading_after"

SEXES = ("F", "M", "O")
"""As DICOM writes them (PatientSex), which a word may stand for."""

SEX_WORDS = (*SEXES, "female", "male", "other")

BODY = {"weight_kg": (0.5, 650.0), "height_m": (0.3, 2.8), "bilirubin_mg_dl": (0.0, 60.0)}
"""What no patient lies outside of: a newborn to the heaviest and tallest who were ever measured; beyond it a value was
mistyped, or is in another unit. Bilirubin as in tables of laboratory values."""


def require_possible(facts: Facts) -> None:
    """Refuse what no treatment can be.

    Raises
    ------
    InputError
        If an instant is none, an aim is no dose or unknown, a step has no such option or a value that it cannot have, a
        patient cannot be so, or the vial read more after the injection than before it.
    UnknownNameError
        If an agent, nuclide or intent is unknown; it lists the known ones.
    """
    from hepatica.nuclides import agent, nuclide
    from hepatica.planning.limits.dose_limits import INTENTS

    _require_patient(facts)
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
        _require_planned(one, f"treatment {number}")
        for step in sorted(STEPS & one.keys()):
            _require_options(step, one[step], f"treatment {number}: {step}", instant_of(one))


def _require_patient(facts: Facts) -> None:
    from hepatica.planning.planner.plan_file import table_values

    stated = facts.table("patient")
    found = table_values("patient", {key: value for key, value in stated.items() if key in PATIENT})
    for name, (low, high) in BODY.items():
        if name in found and not low <= found[name] <= high:
            word = name.split("_")[0]
            raise InputError(
                f"patient.{word} is {stated[word]!r}; a {word} lies between {low:g} and {high:g} "
                f"{name.removeprefix(word + '_').replace('mg_dl', 'mg/dL')}",
                remedy="see whether it is mistyped, or in another unit",
            )
    if "sex" in stated and str(stated["sex"]).lower() not in map(str.lower, SEX_WORDS):
        raise UnknownNameError("patient.sex", str(stated["sex"]), SEX_WORDS)
    if "birth_date" in stated:
        _require_birth(str(stated["birth_date"]), facts)


def _require_birth(stated: str, facts: Facts) -> None:
    try:
        born = date.fromisoformat(stated)
    except ValueError:
        raise InputError(f"patient.birth_date is {stated!r}, no date", remedy='write it as "1954-07-31"') from None
    instants = [at.date() for one in facts.treatments if (at := instant_of(one)) is not None]
    if born > min([datetime.now(UTC).date() + timedelta(days=1), *instants]):
        raise InputError(f"patient.birth_date is {stated}: nobody is treated, or in a case, before they are born")


def _require_aims(stated: Mapping[str, Any], where: str) -> None:
    from hepatica.planning.planner.plan_file import aims_from  # only what states facts needs the planner

    try:
        aims_from(stated)
    except HepaticaError as error:
        raise InputError(f"{where}: {error}") from error


def _require_planned(treatment: Mapping[str, Any], where: str) -> None:
    """That what is stated for the plan can be: no share above one, no mass below zero."""
    from hepatica.planning.planner.plan_file import table_values

    tables: list[tuple[str, Any]] = [("plan", {key: treatment[key] for key in HEAD if key in treatment})]
    tables += [(name, treatment[name]) for name in ("lungs", "liver", "uncertainty") if name in treatment]
    territories = [one for one in treatment.get("territory", ()) if isinstance(one, Mapping)]
    tables += [("territory", one) for one in territories]
    tables += [("lesion", lesion) for one in territories for lesion in one.get("lesion", ())]
    for name, table in tables:
        try:
            if isinstance(table, Mapping):
                table_values(name, table)
        except HepaticaError as error:
            raise InputError(f"{where}: {error}") from error


def _require_options(step: str, section: Any, where: str, at: datetime | None) -> None:
    """That the verb of a step has these options, and each value is one of theirs."""
    from hepatica.case.steps.course import step_named

    if not isinstance(section, Mapping):
        return
    words = stated_words(section)
    known = {option.word: option for option in options_of(verb_named(step_named(step).verb).load())}
    require_known(where, words, known)
    values = {word: known[word].form.read(value, f"{where}.{word}") for word, value in words.items()}
    for word, value in values.items():
        try:
            known[word].form.check(value, known[word].name)
        except HepaticaError as error:
            raise InputError(f"{where}: {error}") from error
    if step == DELIVERY:
        _require_readings(values, where, at)


def _require_readings(values: Mapping[str, Any], where: str, at: datetime | None) -> None:
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
    for word, is_late in ((BEFORE, True), (AFTER, False)):
        for read in several(f"{word}_at"):
            if at is None or (read.tzinfo is None) != (at.tzinfo is None) or read == at:
                continue
            if (read > at) == is_late:
                raise InputError(
                    f"{where}: {word}_at is {read.isoformat()}, {'after' if is_late else 'before'} the injection at "
                    f"{at.isoformat()}",
                    remedy="the vial is read before the injection and the waste after it; see which instant is wrong",
                )
