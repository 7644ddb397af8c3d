"""From the texts of a front end to the arguments of a verb; and the schema of the texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

from hepatica.core.options.declare import hints_of, require_given, require_known
from hepatica.core.options.describe import Option, options_of, plain
from hepatica.core.options.kinds import is_options
from hepatica.errors import InputError


def from_texts(
    verb: Callable[..., Any],
    given: Mapping[str, Any],
    label: Callable[[str], str] = lambda name: f"`{name}`",
    *,
    command: str | None = None,
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
    command : str, optional
        Name of the verb at that front end.

    Raises
    ------
    InputError
        If a word is unknown (the message names the near ones), something required is missing, or a text is not what
        the option holds.
    """
    known = {option.word: option for option in options_of(verb)}
    name = command or verb.__name__
    require_known(name, given, known)
    try:
        require_given(name, given, [word for word, option in known.items() if option.required])
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
    one: dict[str, Any] = dict(kinds.get(form.base, {"type": "string"}))
    if form.text is not None:
        one = {"type": ["string", "number", "array", "object"]}
    elif form.base is float and form.unit == "fraction":
        one = {"type": ["number", "string"], "minimum": 0, "maximum": 1}
    elif form.base is float and not form.unit:
        one = {"type": ["number", "string"]}
    elif form.choices and form.base is not float:
        one = {"enum": [*form.choices, *(str(choice) for choice in form.choices if not isinstance(choice, str))]}
    found: dict[str, Any] = {"anyOf": [one, {"type": "array", "items": one}]} if form.many or form.count else one
    found |= {"description": f"{option.help} [{form.word}]"}
    if option.default not in (MISSING, None, (), False):
        found["default"] = plain(option.default)
    return found
