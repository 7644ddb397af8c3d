"""Options in a TOML file: refused with file, line and key, and written with help and defaults to fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from hepatica.core.options.declare import require_known
from hepatica.core.options.describe import Option, first_line, options_of, plain
from hepatica.core.options.kinds import word_of
from hepatica.core.text.files import text_file, toml_text
from hepatica.errors import HepaticaError, InputError


def from_toml(verb: Callable[..., Any], path: Path | str) -> dict[str, Any]:
    """Texts of a TOML file for `from_texts`, by word.

    Keys are words ("administered", "lung_shunt", with a dash or an underscore). They may stand below a heading that
    names a parameter of the verb (``[quantification]``). A path counts from the folder of the file.

    Raises
    ------
    InputError
        If the file cannot be read, is no TOML, has an unknown heading or key, a key twice, or a value that is not what
        the option holds; the message names file, line and key.
    """
    path = Path(path)
    text, content = toml_file(path)
    options = {option.word: option for option in options_of(verb)}
    headings = {part for option in options.values() for part in option.path[:-1]}
    found: dict[str, Any] = {}
    for key, value in _entries(content, options, headings, lambda name: f"{path}, line {line_of(text, name)}: {name}"):
        word = word_of(key.replace("-", "_"))
        where = f"{path}, line {line_of(text, key, last=word in found)}: {key}"
        try:
            require_known(verb.__name__, {word: value}, options)
            options[word].form.read(value, "the value")
        except HepaticaError as error:
            raise InputError(f"{where}: {error}") from None
        if word in found:
            raise InputError(f"{where}: stands in the file twice")
        found[word] = _beside(path, value) if options[word].form.base is Path else value
    return found


def _entries(
    content: Mapping[str, Any], options: Mapping[str, Option], headings: set[str], where: Callable[[str], str]
) -> Iterator[tuple[str, Any]]:
    """Keys and values, those below headings too."""
    for key, value in content.items():
        plain_key = key.replace("-", "_")
        named = options.get(word_of(plain_key))
        if not isinstance(value, dict) or (
            named is not None and (named.form.text is not None or plain_key not in headings)
        ):
            yield key, value
            continue
        if plain_key not in headings:
            try:
                require_known("the file", {plain_key: None}, headings)
            except InputError as error:
                raise InputError(f"{where(key)}: no heading of this verb; {error}") from None
        yield from _entries(value, options, headings, where)


def _beside(file: Path, value: Any) -> Any:
    """A path that is not absolute, from the folder of the file."""
    if isinstance(value, list):
        return [_beside(file, item) for item in value]
    return str(file.parent / value) if isinstance(value, str) else value


def toml_file(path: Path) -> tuple[str, dict[str, Any]]:
    """Text of a TOML file, and what it holds.

    Raises
    ------
    InputError
        If it cannot be read or is no TOML; the message names file and line.
    """
    text = text_file(path, "a TOML file")
    return text, toml_text(text, path)


def line_of(text: str, key: str, *, last: bool = False) -> int:
    """Line of a TOML text on which a key or heading stands, 1 if it is written in a way that is not found."""
    name = re.sub("[-_]", "[-_]", re.escape(key).replace(r"\-", "-"))
    pattern = re.compile(rf'\s*(?:\[+\s*"?{name}"?\s*\]|"?{name}"?\s*=)')
    lines = [number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)]
    return (lines[-1] if last else lines[0]) if lines else 1


def toml_template(verb: Callable[..., Any]) -> str:
    """Commented TOML with every option of a verb, its help and its default, to fill in."""
    lines = [f"# {first_line(verb)}"]
    group = None
    for option in options_of(verb):
        if option.group != group:
            group = option.group
            lines += ["", f"# {group}"]
        lines += ["", f"# {option.help} [{option.form.word}]", f"# {option.word} = {_default(option)}"]
    return "\n".join(lines) + "\n"


def _default(option: Option) -> str:
    """Default of an option as TOML, "" where there is none: a quantity as text with its unit."""
    if option.default in (MISSING, None, ()):
        return ""
    value, form = plain(option.default), option.form
    if form.text is not None or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if form.unit and form.unit != "fraction" and not isinstance(value, str):
        numbers = value if isinstance(value, list) else [value]
        return json.dumps(f"{' x '.join(f'{number:g}' for number in numbers)} {form.unit}")
    return json.dumps(value)
