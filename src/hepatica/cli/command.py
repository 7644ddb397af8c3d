"""One command from the signature of its verb: options with their help, the call, and what is done with the result."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from hepatica.cli.screen import Screen
from hepatica.core.options import Option, from_texts, from_toml, options_of
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.front_door import Verb

GENERAL = {
    "options_file": ("--options", "TOML file with options; those on the command line count more."),
    "out": ("--out", "New folder for result.json, tables and all files of the result."),
    "force": ("--force", "Replace that folder if it is there."),
    "as_json": ("--json", "Print one JSON document on stdout."),
}
"""What every command has beside the options of its verb: parameter, (option, help)."""


def option_name(name: str) -> str:
    """Option of a field: ``--administered`` for "administered_bq"."""
    from hepatica.core.options import word_of

    return "--" + word_of(name).replace("_", "-")


def run_verb(verb: Verb, arguments: list[str]) -> int:
    """Parse, call, print; the exit code.

    Raises
    ------
    HepaticaError
        As the verb does, in the words of the command line.
    """
    function = verb.load()
    given = parse(verb, function, arguments)
    if given is None:
        return 0
    word = _wording(function)
    out, force = given.pop("out"), given.pop("force")
    screen = Screen(as_json=given.pop("as_json"), word=word)
    try:
        _refuse_existing(out, force=force)
        texts = (
            from_toml(function, given.pop("options_file")) if given["options_file"] else given.pop("options_file") or {}
        )
        call = from_texts(function, texts | given, word)
        with screen.progress() as tell:
            if "progress" in inspect.signature(function).parameters:
                call["progress"] = tell
            result = function(**call)
            if out is not None:
                tell("writing")
                result.save(out, force=force)
    except HepaticaError as error:
        raise InputError(error.worded(word)) from error
    screen.show(result, out)
    return 0


def _wording(function: Callable[..., Any]) -> Callable[[str], str]:
    """Words of the command line for the verb's own options; other names stay as they are."""
    names = {option.name for option in options_of(function)} | {option.word for option in options_of(function)}
    general = {"out", "force", "options"}
    return lambda name: option_name(name) if name in names | general else name


def parse(verb: Verb, function: Callable[..., Any], arguments: list[str]) -> dict[str, Any] | None:
    """Texts by word, and the general options; None where help was printed.

    Raises
    ------
    InputError
        For an unknown option, a missing value, or a value too many; one sentence, with the near names.
    """
    import cyclopts

    app = cyclopts.App(
        name=f"hepatica {verb.command}", version_flags=(), result_action="return_value", help_format="plaintext"
    )
    app.default(_stub(function, _positional(function, arguments)))
    if any(item in ("--help", "-h") for item in arguments):
        app.help_print([])
        return None
    try:
        found: dict[str, Any] = app(arguments, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        raise InputError(_sentence(error)) from None
    return found


def _positional(function: Callable[..., Any], arguments: list[str]) -> set[str]:
    """Parameters that may stand without their option: those that the function takes by position."""
    kinds = inspect.signature(function).parameters.values()
    return {p.name for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD}


def _stub(function: Callable[..., Any], positional: set[str]) -> Callable[..., dict[str, Any]]:
    """A function with one text parameter for each option; returns what was given."""
    import cyclopts

    groups: dict[str, cyclopts.Group] = {}
    parameters = []
    for option in options_of(function):
        group = groups.setdefault(option.group, cyclopts.Group(option.group or "Input", sort_key=len(groups)))
        parameters.append(_parameter(option, group, by_place=option.name in positional and len(option.path) == 1))
    general = cyclopts.Group("Output and options", sort_key=len(groups))
    for name, (flag, text) in GENERAL.items():
        kind: Any = bool if name in ("force", "as_json") else Path | None
        marked = Annotated[
            kind, cyclopts.Parameter(name=flag, help=text, negative="", group=general, show_default=False)
        ]
        default = False if kind is bool else None
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=marked))

    def stub(*args: Any, **texts: Any) -> dict[str, Any]:
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        given = dict(zip(names, args, strict=False)) | texts
        found = {
            p.name: given[p.name] for p in parameters if given.get(p.name) is not None and given[p.name] is not False
        }
        return {name: found.get(name, False if name in ("force", "as_json") else None) for name in GENERAL} | {
            name: value for name, value in found.items() if name not in GENERAL
        }

    parameters.sort(key=lambda p: p.kind)
    stub.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    stub.__annotations__ = {p.name: p.annotation for p in parameters}
    stub.__doc__ = inspect.getdoc(function).partition("\nParameters\n")[0]  # type: ignore[union-attr]
    return stub


def _parameter(option: Option, group: Any, *, by_place: bool) -> inspect.Parameter:
    import cyclopts

    form = option.form
    kind: Any = str
    if form.base is bool:
        kind = bool if option.default is False else Literal["true", "false"]
    if form.many or (form.text is not None and form.text.whole):
        kind = list[str]
    # A choice is checked by hepatica, so that command line, TOML and Python refuse it in one sentence.
    shown = "" if form.base is bool or form.many is None else f" [{form.word}]"
    default = _default(option)
    name = option_name(option.name)
    names = [name] if not by_place else [name]
    help_text = f"{option.help}{shown}{default}".strip()
    wanted: Any = kind if kind is bool else kind | None
    marked = Annotated[
        wanted,
        cyclopts.Parameter(
            name=names, help=help_text, negative="", group=group, show_default=False, show_choices=False,
            required=False, consume_multiple=bool(kind == list[str]), allow_leading_hyphen=kind is str and not by_place,
        ),
    ]  # fmt: skip
    place = inspect.Parameter.POSITIONAL_OR_KEYWORD if by_place else inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.word, place, default=False if kind is bool else None, annotation=marked)


def _default(option: Option) -> str:
    if option.required:
        return " [required]"
    if option.default in (None, (), False, ""):
        return ""
    from hepatica.core.options.describe import plain

    value = plain(option.default)
    if isinstance(value, list | dict):
        return ""
    unit = option.form.unit if isinstance(value, int | float) and option.form.unit != "fraction" else ""
    return f" [default: {value}{' ' if unit else ''}{unit}]"


def _sentence(error: Exception) -> str:
    """What the parser found wrong, as one sentence."""
    text = " ".join(str(error).split())
    return text[:1].lower() + text[1:].rstrip(".")


def _refuse_existing(folder: Path | None, *, force: bool) -> None:
    """Raise OutputError before minutes of work if the output folder could not be written after them."""
    if folder is None:
        return
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder} exists and is not empty", remedy="give another folder, or `force` to replace it")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} exists and is not a folder", remedy="give another name")


def broken_pipe() -> None:
    """Close the screen quietly when its reader has gone."""
    sys.stderr.close()
