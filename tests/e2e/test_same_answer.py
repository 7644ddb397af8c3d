"""Every verb, from Python and by its command: one answer, which keeps its schema and shows and saves itself.

The examples are those of ``docs/verbs.md``: one section for each verb, run in one folder that the page's first console
block fills.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import hepatica
from command_line import hepatica as entry_point
from command_line import installed
from hepatica.front_door import GROUPS, VERBS, Verb

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "verbs.md"

DIFFERS_EACH_TIME = frozenset({"created", "frame_of_reference"})
"""Keys that may differ between two runs of one thing: the clock, and identifiers that are random in DICOM."""

LOGGED = frozenset({"log_hash", "hash", "logged_at", "about"})
"""The same of verbs that write into a log: its lines hold the clock and keyed hashes."""

NEW_FILES = {verb.function: LOGGED for verb in VERBS if verb.group == "Case"}
"""By verb."""

A_FILE_ALONE = {"plan_template": "plan.toml"}
"""Verbs whose answer is a file, and no table."""

ELSEWHERE = {"demo"}
"""Verbs that take long and have a test of their own: ``test_demo.py``."""

LINES = 6
"""A verb takes no more Python than this."""


@dataclass(frozen=True)
class Section:
    """One verb on the page."""

    group: str
    verb: str
    python: str
    command: tuple[str, ...]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[tuple[str, ...]]:
    lines = [line for block in blocks(text, "console") for line in block.splitlines()]
    assert all(line.startswith("$ hepatica ") for line in lines), lines
    return [tuple(shlex.split(line)[2:]) for line in lines]


def sections() -> Iterator[Section]:
    for group, inside in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for verb, text in re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", inside, re.MULTILINE | re.DOTALL):
            (python,), (command,) = blocks(text, "python"), commands(text)
            yield Section(group, verb, python, command)


SECTIONS = {section.verb: section for section in sections()}


INSTALLED = {next(verb.function for verb in VERBS if verb.group == group) for group in GROUPS}
"""Verbs whose command is run in a process of its own, one of each group: loading libraries takes longer than most."""


def printed(verb: Verb, command: tuple[str, ...], folder: Path) -> str:
    """What the command printed on stdout; it must have succeeded."""
    done = (installed if verb.function in INSTALLED else entry_point)(*command, cwd=folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's examples run: its tables, and what its first commands write."""
    place = tmp_path_factory.mktemp("verbs")
    shutil.copytree(ROOT / "docs" / "examples", place / "examples")
    for command in commands(PAGE.read_text().partition("\n## ")[0]):
        done = entry_point(*command, cwd=place)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return place


def test_the_page_has_every_verb_in_the_order_of_the_groups() -> None:
    in_order = sorted(VERBS, key=lambda verb: GROUPS.index(verb.group))
    assert [(s.verb, s.group) for s in sections()] == [(verb.function, verb.group) for verb in in_order]


def alike(value: Any, differing: frozenset[str] = DIFFERS_EACH_TIME) -> Any:
    """A document without the keys that may differ."""
    if isinstance(value, dict):
        return {key: alike(item, differing) for key, item in value.items() if key not in differing}
    return [alike(item, differing) for item in value] if isinstance(value, list) else value


def refuse(text: str) -> float:
    raise AssertionError(f"{text} is no number of JSON")


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


def twin(folder: Path, place: Path) -> Path:
    """A copy of the page's case, which its verbs change, and of its tables."""
    for name in ("case", "examples"):
        shutil.copytree(folder / name, place / name)
    shutil.copy(folder / "packed.age", place)
    return place


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb.function not in ELSEWHERE], ids=lambda verb: verb.function
)
def test_same_answer(verb: Verb, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = SECTIONS[verb.function]
    lines = [line for line in section.python.splitlines() if line.strip()]
    assert len(lines) <= LINES
    assert section.python.rindex("result = ") == section.python.rindex(f"result = hepatica.{verb.function}(")
    words = verb.command.split()
    assert list(section.command[: len(words)]) == words

    here, there = (twin(folder, tmp_path / name) if verb.group == "Case" else folder for name in ("here", "there"))
    monkeypatch.chdir(here)
    namespace: dict[str, Any] = {"hepatica": hepatica}
    exec(compile(section.python, f"{PAGE.name}: {verb.function}", "exec"), namespace)
    result = namespace["result"]
    assert isinstance(result, hepatica.Result)

    found = json.loads(printed(verb, (*section.command, "--json"), there), parse_constant=refuse)
    same = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    differing = DIFFERS_EACH_TIME | NEW_FILES.get(verb.function, frozenset())
    assert alike(found, differing) == alike(same, differing)
    assert all(math.isfinite(number) for number in numbers(found))
    schema = hepatica.schema(verb.command)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema)

    saved = result.save(tmp_path / "saved")
    written = json.loads((saved / "result.json").read_text(), parse_constant=refuse)
    assert alike(written) == alike(same)
    assert [path.name for path in saved.glob(A_FILE_ALONE.get(verb.function, "*.csv")) if path.stat().st_size]
    assert result.table().rows

    text, page = str(result), result._repr_html_()
    for table in result.tables():
        assert all(column in text for column in table.columns)
    assert all(sentence in text for sentence in result.sentences())
    assert page.startswith("<p")
    assert page.count("<table>") == len(result.tables())
    assert result.title() in text


def test_a_difference_is_seen() -> None:
    assert alike({"created": 1, "dose_gy": [2.0]}) == alike({"created": 3, "dose_gy": [2.0]})
    assert alike({"created": 1, "dose_gy": [2.0]}) != alike({"created": 1, "dose_gy": [2.1]})
