"""Agreement of two columns of a table, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.core.message import Message
from hepatica.core.tables.input_table import InputTable
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.agreement import (
    BlandAltman,
    Concordance,
    PassingBablok,
    RepeatedBlandAltman,
    bland_altman,
    lin_concordance,
    passing_bablok,
    repeated_bland_altman,
)
from hepatica.outcome.statistics.evidence import located, p_text, unless_refused


def _doubts(ba: BlandAltman, first: str, second: str, *, same: bool) -> Sequence[Message]:
    if same:
        return [Message("same-columns", f"{first} and {second} are the same in every row: the same measurement twice?")]
    if ba.trend_p >= 0.05:
        return []
    text = (
        f"the difference changes with size (slope {ba.trend:.3g}, {p_text(ba.trend_p)}): one pair of limits does not "
        "hold over the whole range"
    )
    return [Message("difference-changes-with-size", text)]


def _reading(
    first: str, second: str, ba: BlandAltman, lin: Concordance | None, line: PassingBablok | None
) -> list[str]:
    words = [
        (
            f"{second} is on average {_apart(ba.bias)} {first} (95 % interval of the difference {ba.bias_low:.3g} to "
            f"{ba.bias_high:.3g}; {ba.n} pairs)."
        ),
        (
            f"For 95 of 100 new pairs the difference is expected between {ba.lower_limit:.3g} and {ba.upper_limit:.3g} "
            f"(each limit known to -+ {ba.limit_error:.2g}). Whether that is close enough is a clinical question."
        ),
    ]
    if lin is not None:
        words.append(f"Lin's concordance {lin.coefficient:.3f} (95 % interval {lin.low:.3f} to {lin.high:.3f}).")
    if line is not None:
        steady = line.intercept_low <= 0 <= line.intercept_high
        proportional = line.slope_low <= 1 <= line.slope_high
        words.append(
            f"Passing-Bablok: {second} = {line.intercept:.3g} + {line.slope:.3g} x {first}; a constant difference is "
            f"{'not ' if steady else ''}shown, a proportional one is {'not ' if proportional else ''}shown."
        )
    return words


def _repeated(found: RepeatedBlandAltman | None) -> tuple[str, ...]:
    if found is None:
        return ()
    text = (
        f"With the {found.n} pairs taken as those of {found.subjects} patients the limits are {found.lower_limit:.3g} "
        f"to {found.upper_limit:.3g} (each known to -+ {found.limit_error:.2g})."
    )
    return (text,)


def _apart(bias: float) -> str:
    return "equal to" if bias == 0 else f"{abs(bias):.3g} {'above' if bias > 0 else 'below'}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two columns agree; None where the data do not carry it (`repeated`: where each patient has one pair)."""

    bland_altman: BlandAltman
    repeated: RepeatedBlandAltman | None
    lin: Concordance | None
    passing_bablok: PassingBablok | None
    pairs: tuple[tuple[float, float], ...]
    reading: tuple[str, ...]
    messages: tuple[Message, ...]


def agreement_of(table: InputTable, first: str, second: str, patient_ids: str | None) -> Agreement:
    """Agreement of two columns, every cell checked.

    Raises
    ------
    TableError, EvidenceError
        If cells are wrong (each is listed), there are fewer than 5 pairs, or a column is compared with itself.
    """
    if first == second:
        raise EvidenceError(f"{table.name}: column {first!r} agrees with itself; name two columns")
    check = table.check()
    a, b = check.varying(first), check.varying(second)
    patients = [] if patient_ids is None else check.texts(patient_ids)
    check.done()
    messages: list[Message] = []
    if len(set(patients)) < len(patients):
        text = (
            f"{len(patients)} pairs of {len(set(patients))} patients: intervals take every pair as independent and are "
            "too narrow; the limits with repeated measures do not"
        )
        messages.append(Message("pairs-not-independent", text))
    with located(f"{table.name}, columns {first}, {second}"):
        ba = bland_altman(a, b)
    repeated = None
    if len(set(patients)) < len(patients):
        repeated = unless_refused("repeated-measures", lambda: repeated_bland_altman(a, b, patients), messages)
    lin = unless_refused("lin", lambda: lin_concordance(a, b), messages)
    line = unless_refused("passing-bablok", lambda: passing_bablok(a, b), messages)
    messages += _doubts(ba, first, second, same=a == b)
    reading = (*_reading(first, second, ba, lin, line), *_repeated(repeated))
    return Agreement(ba, repeated, lin, line, tuple(zip(a, b, strict=True)), reading, tuple(messages))
