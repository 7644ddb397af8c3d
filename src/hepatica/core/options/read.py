"""From the texts of a front end, or a TOML file, to the arguments of a verb; and the schema and template of a file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from hepatica.core.options.declare import hints_of, require_given, require_known
from hepatica.core.options.describe import Option, first_line, options_of, plain
from hepatica.core.options.kinds import is_options, word_of
from hepatica.errors import HepaticaError, InputError


def from_texts(
    verb: Callable[..., Any], given: Mapping[str, Any], label: Callable[[str], str] = lambda name: f"`{name}`"
) -> dict[str, Any]:
    """Arguments of a verb.

    Parameters
    ----------
    verb : callable
        The function.
    given : mapping of str to text, list of text, or plain value
        By word ("administered" for ``administered_bq``); what is not given keeps its default.
    label : callable
        From the name of a field to the front end's own word, for errors.

    Raises
    ------
    InputError
        If a word is unknown (the message names the near ones), something required is missing, or a text is not what
        the option holds.
    """
    known = {option.word: option for option in options_of(verb)}
    name = first_line(verb)
    require_known(getattr(verb, "__name__", name), given, known)
    needed = [word for word, option in known.items() if option.required]
    try:
        require_given(getattr(verb, "__name__", name), given, needed)
    except InputError as error:
        raise InputError(error.worded(label)) from None
    tree: dict[str, Any] = {}
    for word, text in given.items():
        option = known[word]
        place = tree
        for part in option.path[:-1]:
            place = place.setdefault(part, {})
        place[option.name] = option.form.read(text, label(option.name))
    hints = hints_of(verb)
    return {key: _made(hints[key], value) for key, value in tree.items()}


def _made(hint: Any, value: Any) -> Any:
    """Nested values put into their classes of options."""
    if not is_options(hint):
        return value
    hints = hints_of(hint)
    return hint(**{key: _made(hints[key], item) for key, item in value.items()})


def from_toml(verb: Callable[..., Any], path: Path | str) -> dict[str, Any]:
    """Texts of a TOML file for `from_texts`: keys are words; tables are only headings.

    Raises
    ------
    InputError
        If the file cannot be read, is no TOML, or holds an unknown key; the message names file, line and key.
    """
    path = Path(path)
    text, content = toml_file(path)
    known = {option.word for option in options_of(verb)} | {option.name for option in options_of(verb)}
    flat: dict[str, Any] = {}
    for key, value in content.items():
        inner = value if isinstance(value, dict) and key.replace("-", "_") not in known else {key: value}
        flat |= {name.replace("-", "_"): item for name, item in inner.items()}
    words = {option.word: option for option in options_of(verb)}
    for key, value in flat.items():
        where = f"{path}, line {line_of(text, key)}: {key}"
        try:
            require_known(path.name, {word_of(key): value}, words)
            words[word_of(key)].form.read(value, key)
        except HepaticaError as error:
            raise InputError(f"{where}: {error}") from None
    return {word_of(key): value for key, value in flat.items()}


def toml_file(path: Path) -> tuple[str, dict[str, Any]]:
    """Text of a TOML file, and what it holds.

    Raises
    ------
    InputError
        If it cannot be read or is no TOML; the message names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file ({error})") from error


def line_of(text: str, key: str) -> int:
    """Line of a TOML text on which a key stands, 1 if it is written in a way that is not found."""
    pattern = re.compile(rf'\s*"?{re.escape(key).replace("_", "[-_]")}"?\s*=')
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def option_schema(verb: Callable[..., Any]) -> dict[str, Any]:
    """JSON schema of the options of a verb, by their words."""
    found = options_of(verb)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Options of {verb.__name__}",
        "type": "object",
        "additionalProperties": False,
        "required": [option.word for option in found if option.required],
        "properties": {option.word: _option_schema(option) for option in found},
    }


def _option_schema(option: Option) -> dict[str, Any]:
    form = option.form
    kinds: dict[type, Any] = {bool: {"type": "boolean"}, int: {"type": ["integer", "string"]}}
    one: dict[str, Any] = kinds.get(form.base, {"type": "string"})
    if form.base is float and form.unit in ("", "fraction"):
        one = {"type": ["number", "string"]}
    if form.choices and form.base is not float:
        one = {"enum": list(form.choices)}
    found: dict[str, Any] = {"anyOf": [one, {"type": "array", "items": one}]} if form.many or form.count else dict(one)
    found |= {"description": f"{option.help} [{form.word}]"}
    if option.default not in (MISSING, None, (), False):
        found["default"] = plain(option.default)
    return found


def toml_template(verb: Callable[..., Any]) -> str:
    """Commented TOML with every option of a verb, its help and its default, to fill in."""
    lines = [f"# {first_line(verb)}"]
    group = None
    for option in options_of(verb):
        if option.group != group:
            group = option.group
            lines += ["", f"# {group}"]
        shown = "" if option.default in (MISSING, None, ()) else f" = {plain(option.default)!r}"
        lines += ["", f"# {option.help} [{option.form.word}]", f"# {option.word}{shown or ' = '}"]
    return "\n".join(lines) + "\n"
