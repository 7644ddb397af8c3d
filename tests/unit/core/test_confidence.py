"""Every shipped table says how well its sources are known, in the words of one vocabulary."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hepatica
from hepatica.core.numbers.confidence import MEANING
from hepatica.planning.guardrails import GUARDRAILS

SOURCE = Path(hepatica.__file__).parent


def words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from [item] if key == "confidence" else words(item)
    elif isinstance(value, list):
        for item in value:
            yield from words(item)


def all_words() -> Iterator[tuple[Path, str]]:
    for path in sorted(SOURCE.rglob("tables/**/*.toml")):
        for word in words(tomllib.loads(path.read_text(encoding="utf-8"))):
            yield path, word
    for path in sorted(SOURCE.rglob("tables/**/*.csv")):
        lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x and not x.startswith("#")]
        for row in csv.DictReader(lines):
            if "confidence" in row:
                yield path, row["confidence"]


def test_tables_use_the_vocabulary() -> None:
    found = list(all_words())
    assert len(found) > 400
    for path, word in found:
        # Cameras say it for geometry and resolution apart: "read at the source (geometry), uncertain (resolutions)".
        for part in re.sub(r" \([a-z]+\)", "", word).split(", "):
            assert part in MEANING, f"{path}: {word}"


def test_guardrails_use_it_too() -> None:
    for rule in GUARDRAILS:
        assert rule.confidence in MEANING, rule.id
        assert (rule.source == "practice") == (rule.confidence == "common practice"), rule.id


def test_no_mark_that_only_its_author_can_read() -> None:
    texts = [p for ending in ("py", "toml", "csv") for p in SOURCE.rglob(f"*.{ending}")]
    assert len(texts) > 300
    assert [str(p) for p in texts if re.search(r"\bK/[hml]\b", p.read_text(encoding="utf-8"))] == []


def test_the_page_explains_every_word() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "nuclides.md").read_text(encoding="utf-8")
    for word, meaning in MEANING.items():
        assert f"| {word} | {meaning} |" in page
