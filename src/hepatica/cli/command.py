"""One command from the signature of its verb: options with their help, the call, and what is done with the result."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from hepatica.cli.dashboard import live_view
from hepatica.cli.screen import Screen
from hepatica.core.options import Option, from_texts, from_toml, line_of, options_of, word_of
from hepatica.errors import HepaticaError, InputError
from hepatica.front_door import Verb
from hepatica.io.files import identity, outcome, output_folder, refuse_existing, refuse_inputs, restore
from hepatica.io.secret_key import key_file, read_secret

GENERAL = {
    "options_file": ("--options", "TOML file with options; those on the command line count more."),
    "out": ("--out", "New folder for result.json, tables and all files of the result."),
    "force": ("--force", "Replace that folder if it holds a result of hepatica and nothing else."),
    "as_json": ("--json", "Print one JSON document on stdout."),
    "anonymous": ("--anonymous", "Take names, identifiers, paths and true dates out of all that is shown and written."),
    "anonymous_patient": (
        "--anonymous-patient",
        "PatientID by which --anonymous shifts dates, where no file says whose data they are.",
    ),
}
"""What every command has beside the options of its verb: parameter, (option, help)."""

FLAGS = ("force", "as_json", "anonymous")


def option_name(name: str) -> str:
    """Option of a field.

    >>> option_name("administered_bq")
    '--administered'
    """
    return "--" + word_of(name).replace("_", "-")


def run_verb(verb: Verb, arguments: Sequence[str]) -> int:
    """Parse, call, print; the exit code.

    Raises
    ------
    HepaticaError
        As the verb does, in the words of the command line.
    KeyboardInterrupt, BrokenPipeError
        As they came; their text says what was written.
    """
    function = verb.load()
    given = parse(verb, function, arguments)
    if given is None:
        return 0
    out, force, file = (given.pop(name) for name in ("out", "force", "options_file"))
    place = Place(out, force, file, verb.command, given.pop("anonymous"), given.pop("anonymous_patient") or "")
    screen = Screen(as_json=given.pop("as_json"), word=wording(function))
    with _outcome_noted(out):
        try:
            result = _worked(function, given, place, screen)
        except HepaticaError as error:
            raise InputError(error.worded(screen.word)) from error
        screen.show(result, out)
    return 0 if result.is_usable else NOT_DONE


class Place(NamedTuple):
    """Where a result goes, the file that holds options, and whether identity is taken out."""

    out: Path | None
    force: bool
    options_file: Path | None
    command: str
    anonymous: bool
    patient: str


def _worked(function: Callable[..., Any], given: Mapping[str, Any], place: Place, screen: Screen) -> Any:
    """The result of a verb, written if it is to be."""
    out, force, file = place.out, place.force, place.options_file
    if out is not None:
        refuse_existing(out, force=force)
    texts = {} if file is None else from_toml(function, file)
    screen.word = in_file(screen.word, file, set(texts) - set(given))
    read = [*_paths(function, texts | dict(given)), *([] if file is None else [str(file)])]
    for path in read:
        restore(path)
    if out is not None:
        refuse_inputs(out, read)
    call = from_texts(function, texts | dict(given), screen.word, command=f"hepatica {place.command}")
    if place.anonymous:
        _require_key(screen)
    # Locked from the start: of two long runs that would write one folder, the second is refused before it calculates.
    taken = inspect.signature(function).parameters
    is_live = "live_view" in taken
    shown = live_view() if is_live else nullcontext(None)
    with _claimed(out, force=force) as new, screen.progress(as_lines=is_live) as step, shown as view:
        if "progress" in taken:
            call["progress"] = step
        if view is not None:
            call["live_view"] = view
        result = _called(function, call)
        if out is not None:
            result.refuse_inputs(out)  # before their paths are taken out
        if place.anonymous:
            result = result.anonymous(patient=place.patient)
        if new is not None:
            step("writing")
            result.write_all(new)
    return result


NOT_DONE = 1
"""Exit code where the answer is that nothing can be used."""


@contextmanager
def _claimed(out: Path | None, *, force: bool) -> Iterator[Path | None]:
    if out is None:
        yield None
        return
    with output_folder(out, force=force) as new:
        yield new


@contextmanager
def _outcome_noted(out: Path | None) -> Iterator[None]:
    """Interrupts, and a screen that cannot be written, say what there is now."""
    before = None if out is None else identity(out)
    try:
        yield
    except (KeyboardInterrupt, OSError) as stop:
        if out is not None:
            stop.add_note(outcome(out, before))
        raise


def _called(function: Callable[..., Any], call: Mapping[str, Any]) -> Any:
    try:
        return function(**call)
    except OSError as error:
        # What the system refuses while files are read is about the input, not about the output.
        where = error.filename or "a file"
        raise InputError(f"{where}: cannot be read ({error.strerror or error})") from error


def _paths(function: Callable[..., Any], given: Mapping[str, Any]) -> Iterator[str]:
    """What is given for options that may name a file; what a plan or a table names in turn is in the provenance."""
    may_be = {option.word for option in options_of(function) if option.form.base in (Path, object) or option.form.text}
    yield from _texts(value for word, value in given.items() if word in may_be)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str | Path):
            if str(value) and "\0" not in str(value):
                yield str(value)
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)


def _require_key(screen: Screen) -> None:
    """The key by which identity is taken out must be there before anything is computed; a new one is said."""
    found = key_file()
    new = not found.exists()
    read_secret()
    if new:
        screen.note(
            f"{found} is new: the key by which identity is taken out; whoever has it can lead back, keep it safe"
        )


def wording(function: Callable[..., Any]) -> Callable[[str], str]:
    """Words of the command line for the options of a verb; other names stay as they are."""
    known = {option.name for option in options_of(function)} | {option.word for option in options_of(function)}
    known |= {"out", "force", "options", "anonymous", "anonymous_patient"}
    return lambda name: option_name(name) if name in known else name


def in_file(word: Callable[[str], str], file: Path | None, words: set[str]) -> Callable[[str], str]:
    """Words of the command line, those of options that a file gives with file and line."""
    if file is None:
        return word
    text = file.read_text(encoding="utf-8")

    def found(name: str) -> str:
        key = word_of(name)
        return f"{key} ({file}, line {line_of(text, key)})" if key in words else word(name)

    return found


def parse(verb: Verb, function: Callable[..., Any], arguments: Sequence[str]) -> dict[str, Any] | None:
    """Texts by word, and the general options; None where help was printed.

    Raises
    ------
    InputError
        For an unknown option, a missing value, or a value too many; one sentence, with the near names.
    """
    import cyclopts

    if "--help" in arguments or "-h" in arguments:
        _app(verb, function).help_print([])
        return None
    _require_known(verb, function, arguments)
    try:
        found: dict[str, Any] = _app(verb, function)(list(arguments), exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        if isinstance(error, cyclopts.UnusedCliTokensError):
            extra = " and ".join(error.unused_tokens or ())
            raise InputError(
                f"{verb.command}: {extra!r} is too much; for several values of an option repeat the option, for "
                "several files the command, or name their folder"
            ) from None
        text = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{text[:1].lower()}{text[1:]}; see hepatica {verb.command} --help") from None
    return found


def _app(verb: Verb, function: Callable[..., Any]) -> Any:
    import cyclopts

    app = cyclopts.App(
        name=f"hepatica {verb.command}",
        help=_about(function),
        help_format="plaintext",
        help_flags=(),
        version_flags=(),
        result_action="return_value",
    )
    app.default(_stub(function))
    return app


def _about(function: Callable[..., Any]) -> str:
    """What a verb does, from its docstring, each paragraph on one line."""
    text = re.split(r"^\w+\n---", inspect.getdoc(function) or "", maxsplit=1, flags=re.MULTILINE)[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def _require_known(verb: Verb, function: Callable[..., Any], arguments: Sequence[str]) -> None:
    """InputError for an option that is not there, or one whose value is missing."""
    takes_value = {option_name(o.name): not o.is_flag for o in options_of(function)}
    takes_value |= {flag: name not in FLAGS for name, (flag, _) in GENERAL.items()}
    following = [*arguments, ""][1:]
    for argument, after in zip(arguments, following, strict=True):
        name = argument.partition("=")[0]
        if not name.startswith("--") or name == "--":
            continue
        if name not in takes_value:
            near = difflib.get_close_matches(name, takes_value, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(near)}?" if near else f"see hepatica {verb.command} --help"
            raise InputError(f"{verb.command} has no option {name}; {hint}")
        if takes_value[name] and "=" not in argument and (after == "" or after.partition("=")[0] in takes_value):
            raise InputError(f"{name} needs a value")


def _stub(function: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """A function with one text parameter for each option; returns what was given."""
    import cyclopts

    by_place = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    groups: dict[str, cyclopts.Group] = {}
    parameters = []
    for option in options_of(function):
        group = groups.setdefault(option.group, cyclopts.Group(option.group or "Input", sort_key=len(groups)))
        place = option.name in by_place and len(option.path) == 1
        parameters.append(_parameter(option, group, by_place=place))
    parameters += _general_parameters(cyclopts.Group("Output and options", sort_key=len(groups)))
    parameters.sort(key=lambda p: p.kind)
    names = [p.name for p in parameters]

    def stub(*args: Any, **texts: Any) -> dict[str, Any]:
        given = dict(zip(names, args, strict=False)) | texts
        general = {name: given.pop(name, False if name in FLAGS else None) for name in GENERAL}
        return general | {name: value for name, value in given.items() if value is not None and value is not False}

    stub.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    stub.__annotations__ = {p.name: p.annotation for p in parameters}
    return stub


def _general_parameters(group: Any) -> list[inspect.Parameter]:
    import cyclopts

    found = []
    for name, (flag, text) in GENERAL.items():
        kind: Any = bool if name in FLAGS else str | None if name == "anonymous_patient" else Path | None
        marked = Annotated[kind, cyclopts.Parameter(name=flag, help=text, negative="", group=group, show_default=False)]
        default = False if name in FLAGS else None
        found.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=marked))
    return found


def _parameter(option: Option, group: Any, *, by_place: bool) -> inspect.Parameter:
    """A text parameter: what the text means is checked by hepatica, so that TOML and Python refuse it alike."""
    import cyclopts

    flag, repeated = option.is_flag, option.repeated
    kind: Any = bool if flag else list[str] | None if repeated else str | None
    how = cyclopts.Parameter(
        name=option_name(option.name),
        help=f"{option.help}{_expected(option, by_place=by_place)}{_default(option)}".strip(),
        metavar=None if flag else _placeholder(option),
        negative="",
        group=group,
        show_default=False,
        required=False,
        consume_multiple=False,
        allow_leading_hyphen=not repeated,
    )
    marked = Annotated[kind, how]
    place = inspect.Parameter.POSITIONAL_OR_KEYWORD if by_place else inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.word, place, default=False if flag else None, annotation=marked)


def _placeholder(option: Option) -> str:
    """What stands behind the option in its help: TEXT, "N kg", CHOICE."""
    form = option.form
    if form.choices or form.text is not None:
        shown = "CHOICE" if form.choices else "TEXT"
    elif form.unit and form.unit != "fraction":
        shown = f'"N {form.unit}"'
    elif form.base is bool:
        shown = "YES|NO"
    else:
        shown = form.word.split()[-1].upper()
    return f"{shown}..." if option.repeated else shown


def _expected(option: Option, *, by_place: bool) -> str:
    """Choices, the form of a text, and the unit where the placeholder does not show it."""
    form = option.form
    unit = by_place and form.unit not in ("", "fraction")
    return f" [{form.word}]" if form.choices or form.text is not None or unit else ""


def _default(option: Option) -> str:
    if option.required:
        return " [required]"
    return f" [default: {option.shown_default}]" if option.shown_default else ""
