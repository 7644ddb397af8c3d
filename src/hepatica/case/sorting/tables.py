"""Tables of laboratory values and lesion sizes at the door: whose they are, and whether their step can use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hepatica.case.catalogue import Catalogue, Item
from hepatica.case.facts import Facts
from hepatica.core.message import Message
from hepatica.core.tables.input_table import MISSING, InputTable
from hepatica.errors import HepaticaError, InputError, TableError
from hepatica.io.tables import as_table

STEP_OF = {"labs": "function", "measurements": "response"}
"""Role of a table -> the step that reads it."""

PERSON = "patient"
"""Column that names whose row it is."""

SIZES = ("diameter_mm", "viable_mm", "viable_perpendicular_mm", "viable_volume_ml", "volume_ml")
"""Columns of lesion sizes, which are no number below 0 whatever the criterion."""


def table_of(path: Path, role: str, facts: Facts) -> InputTable:
    """A table as its step reads it.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return as_table(path, sheet=_stated(facts, role).get("sheet"))


def require_own(table: InputTable, facts: Facts, catalogue: Catalogue) -> None:
    """That a table is of the patient of the case, by number or name where the case knows one, and of nobody besides.

    Raises
    ------
    InputError
        Naming both.
    """
    named = dict.fromkeys(cell for cell in table.columns.get(PERSON, ()) if cell.lower() not in MISSING)
    numbers, names = _known(facts, catalogue)
    foreign = [one for one in named if _is_foreign(one, numbers, names)]
    own = [one for one in named if one not in foreign]
    if foreign or (len(own) > 1 and not numbers and not names):
        first = next(iter((*numbers, *names, *own)))
        other = foreign[0] if foreign else own[1]
        raise InputError(
            f"{table.name}: is of patient {other!r}, the case of {first!r}; a case is one patient's",
            remedy="add the rows of this patient alone, named as the case names them",
        )


def _known(facts: Facts, catalogue: Catalogue) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Numbers and names of the patient: stated, and of the images."""
    stated = facts.table("patient")
    numbers = [stated.get("id"), *(item.patient for item in catalogue)]
    names = [stated.get("name"), *(item.facts.get("name") for item in catalogue)]
    return tuple(str(one) for one in numbers if one), tuple(str(one) for one in names if one)


def _is_foreign(cell: str, numbers: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a cell names somebody else: a number where the case knows numbers, a name where it knows anything."""
    known = numbers if _is_number(cell) else (*numbers, *names)
    return bool(known) and not any(_is_same(cell, other) for other in (*numbers, *names))


def _is_number(text: str) -> bool:
    return any(map(str.isdigit, text))


def _is_same(cell: str, known: str) -> bool:
    """Whether a cell names somebody: the same letters, or words of the name."""
    one, other = _words(cell), _words(known)
    return bool(one) and (one == other or (set(one) <= set(other) and not _is_number(cell)))


def _words(text: str) -> list[str]:
    return text.replace("^", " ").replace(",", " ").casefold().split()


def require_usable(table: InputTable, role: str, facts: Facts) -> None:
    """That the step of a table takes it: by the step's own rules, with what is stated for the step.

    Sizes of lesions are read by the stated criterion; where none is stated, by any that the columns serve.

    Raises
    ------
    InputError
        Listing every fault with row and column.
    """
    check = table.check()
    try:
        _read(table, role, _stated(facts, role))
    except TableError as error:
        check.faults += error.faults
    for name in SIZES if role == "measurements" else ():
        if check.has(name):
            check.numbers(name, at_least=0, optional=True)
    for n, when in enumerate(check.dates("date", optional=True) if check.has("date") else ()):
        if when is not None and when > datetime.now(UTC).date() + timedelta(days=1):
            check.fault(n, "date", f"{when} has not come yet")
    check.faults = list(dict.fromkeys(check.faults))
    check.done()


def _read(table: InputTable, role: str, stated: Mapping[str, Any]) -> None:
    """Read it as the step does."""
    if role == "labs":
        from hepatica.outcome.liver_function import liver_rows

        liver_rows(table)
        return
    from hepatica.outcome.response.table import COLUMNS, responses

    criterion = stated.get("criterion")
    fitting = [name for name, column in COLUMNS.items() if column in table.columns]
    _by_any(table, [str(criterion)] if criterion else fitting or ["mrecist"], responses)


def _by_any(table: InputTable, criteria: Sequence[Any], responses: Any) -> None:
    first: HepaticaError | None = None
    for criterion in criteria:
        try:
            responses(table, criterion, confirm=True, confirmation_days=28.0)
        except HepaticaError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _stated(facts: Facts, role: str) -> Mapping[str, Any]:
    """What is stated for the step of a table, by the first treatment that states anything."""
    sections: Iterable[Any] = (one.get(STEP_OF[role]) for one in facts.treatments)
    return next((dict(one) for one in sections if isinstance(one, Mapping) and one), {})


SHOWN = 5
"""Faults of a table that are named where it comes in; its step lists all."""


def doubts_of(path: Path, role: str, facts: Facts) -> tuple[str, ...]:
    """Where the step of a table will refuse it, without what stands there, which may name somebody.

    Empty where the step takes it, or where no step reads it as a table.
    """
    if role not in STEP_OF:
        return ()
    try:
        require_usable(table_of(path, role, facts), role, facts)
    except TableError as error:
        places = [fault.partition(": ")[0] for fault in error.faults]
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        return (f"cannot be used as it is: {'; '.join(places[:SHOWN])}{more}",)
    except HepaticaError:
        return ("cannot be used as it is: it lacks a column or rows, or is no table that can be read",)
    return ()


def table_messages(items: Iterable[Item]) -> list[Message]:
    """What is said of tables that their steps will refuse."""
    return [
        Message("table-unusable", f"{item.name}: {'; '.join(item.doubts)}", "correct the table, and add it again")
        for item in items
        if item.role in STEP_OF and item.doubts
    ]


def in_doubt(items: Iterable[Item]) -> list[str]:
    """Names of images of which nobody has said what they are."""
    return [item.name for item in items if item.doubts and item.role not in STEP_OF]
