"""What a page may state of files: those of the case alone, since nothing else of the machine is the page's business."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from hepatica.case.facts import PLAN_TABLES
from hepatica.case.steps.course import COURSE
from hepatica.core.options import options_of
from hepatica.core.text.visible import one_line
from hepatica.errors import InputError
from hepatica.front_door import verb_named
from hepatica.planning.planner.plan_file import TABLES

OR_FILE = "FILE"
"""How an option says that it takes a value or the name of a file."""


def require_inside(folder: Path, values: Mapping[str, str | None]) -> None:
    """Refuse values that name files outside the case, and texts in place of tables.

    Raises
    ------
    InputError
        Naming the key.
    """
    tables = {step.name: step.verb for step in COURSE}
    for key, value in values.items():
        parts = key.split(".")
        below = parts[2:] if parts[0] == "treatment" and len(parts) > 1 and parts[1].isdecimal() else parts[1:]
        if value is None or parts[0] != "treatment" or not below:
            continue
        table, *words = below
        if not words and (table in tables or table in PLAN_TABLES):
            raise InputError(f"{key} is a table: state a key in it", remedy=f"such as {key}.KEY")
        if words and _names_file(table, words[-1], value, tables):
            _require(folder, key, _items(value))


def _names_file(table: str, word: str, value: str, tables: Mapping[str, str]) -> bool:
    if table == "images":
        return word in TABLES["images"] and TABLES["images"][word][1].base is Path
    if table not in tables:
        return False
    option = next((one for one in options_of(verb_named(tables[table]).load()) if one.word == word), None)
    if option is None:
        return False
    return option.form.base is Path or (OR_FILE in option.holds and not value.strip()[:1].isdigit())


def _items(value: str) -> Iterable[str]:
    try:
        found = json.loads(value)
    except ValueError:
        found = value
    return [str(item) for item in found] if isinstance(found, list) else [value]


def _require(folder: Path, key: str, names: Iterable[str]) -> None:
    for name in names:
        if "\0" in name or not Path(name).resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{key}: {one_line(name)} lies outside the case; the workbench reaches nothing else of this machine",
                remedy="add the file to the case, or state it on the command line",
            )
