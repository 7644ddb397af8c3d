"""Forms: what a step asks a person for, and tables of laboratory values and lesion sizes."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from hepatica.case.sorting.tables import require_own, require_usable, table_of
from hepatica.case.steps.course import COURSE, step_named
from hepatica.case.steps.inputs import Section
from hepatica.core.options import options_of
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.front_door import verb_named
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.desk import OpenCase

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]

TABLES = {
    "measurements": ("patient", "lesion", "date", "diameter_mm", "viable_mm", "new"),
    "labs": ("patient", "date", "bilirubin_mg_dl", "albumin_g_dl", "inr", "treated"),
}
"""Role -> columns of a new table; one that is there keeps its own."""

MOST_ROWS = 2000


@router.get("/cases/{key}/forms/{step}/{treatment}")
def step_form(key: str, step: str, treatment: int, bench: Bench) -> dict[str, Any]:
    """Options of a step that a person may state, with what is stated; those that images or steps give are left out."""
    situation = bench.desk[key].situation()
    if treatment not in situation.treatments:
        raise InputError(f"the case has no treatment {treatment}")
    found = step_named(step)
    fed = {word for one in found.inputs if (word := getattr(one, "word", None))}
    stated = situation.facts.treatments[treatment - 1].get(step, {})
    view = situation.view(treatment)
    needed = {word for one in found.inputs if isinstance(one, Section) for word in one.words_needed(view)}
    fields = [
        {
            "key": f"treatment.{treatment}.{step}.{option.word}",
            "word": option.word,
            "label": option.word.replace("_", " "),
            "help": option.help,
            "group": option.group,
            "holds": option.holds,
            "choices": [str(choice) for choice in option.form.choices or ()],
            "default": option.shown_default,
            "value": str(stated.get(option.word, "")),
            "needed": option.word in needed,
        }
        for option in options_of(verb_named(found.verb).load())
        if option.word not in fed
    ]
    steps = [one.name for one in COURSE if one.name != "plan"]
    remark = found.remark(view) if found.remark else ""
    return {"step": step, "title": found.title, "remark": remark, "fields": fields, "steps": steps}


@router.get("/cases/{key}/tables/{role}")
def see_table(key: str, role: str, bench: Bench) -> dict[str, Any]:
    """Rows of the table of a role; a new one has its columns and no row."""
    if role not in TABLES:
        raise InputError(f"there is no form for {role}")
    situation = bench.desk[key].situation()
    items = situation.catalogue.of(role)
    if items and items[-1].files[0].path.endswith(".csv"):
        with (situation.folder / items[-1].files[0].path).open(encoding="utf-8-sig", newline="") as stream:
            heads, *rows = list(csv.reader(stream)) or [[]]
        return {"heads": heads, "rows": rows, "item": items[-1].name}
    return {"heads": list(TABLES[role]), "rows": [], "item": items[-1].name if items else ""}


class Rows(BaseModel):
    """A table; the item that the form showed, in whose place it goes (empty for none, null where it is not said)."""

    heads: list[str]
    rows: list[list[str]]
    instead_of: str | None = None


@router.post("/cases/{key}/tables/{role}")
def keep_table(key: str, role: str, said: Rows, bench: Bench) -> dict[str, Any]:
    """Put a table into the case in place of the one that was used, which stays where this one cannot be used."""
    if role not in TABLES:
        raise InputError(f"there is no form for {role}")
    rows = [row for row in said.rows if any(cell.strip() for cell in row)]
    if not rows or len(rows) > MOST_ROWS or any(len(row) != len(said.heads) for row in rows):
        raise InputError(f"a table has 1 to {MOST_ROWS} rows, each with {len(said.heads)} cells")
    one = bench.desk[key]
    before = [item.name for item in one.situation().catalogue.of(role)]
    if said.instead_of is not None and said.instead_of != (before[-1] if before else ""):
        held = see_table(key, role, bench)
        if [held["heads"], *held["rows"]] == [said.heads, *rows]:
            # Sent again: a server that was killed had done it, perhaps but for the last, and its answer was lost.
            for name in before[:-1]:
                one.case.take(name, "unused")
            return {"items": [], "known": [held["item"]]}
        raise OutputError(f"the table of {role} was changed elsewhere since this form was opened",
                          remedy="open the forms anew, and enter the rows again")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="hepatica-") as place:
        path = Path(place) / f"{role}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([said.heads, *rows])
        _require_good(one, path, role)
        added = one.case.add(path, role, treatment=0)
    if added.items:
        for name in before:
            one.case.take(name, "unused")
    return {"items": [item.name for item in added.items], "known": list(added.known)}


def _require_good(one: OpenCase, path: Path, role: str) -> None:
    """That a table is of this patient, and that its step takes it; messages name rows as the form counts them."""
    situation = one.situation()
    try:
        found = table_of(path, role, situation.facts)
        table = replace(found, path=None, rows=tuple(row - 1 for row in found.rows))  # the form has no row of heads
        require_own(table, situation.facts, situation.catalogue)
        require_usable(table, role, situation.facts)
    except HepaticaError as error:
        text = str(error.args[0]).replace(f"{path}: ", "").removeprefix("table: ")
        raise InputError(text, remedy=error.remedy or "correct the rows; the table of the case is as it was") from error
