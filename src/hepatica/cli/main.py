"""The ``hepatica`` command, made from the signatures of the verbs: parse, one call, print."""

from __future__ import annotations

import signal
import sys
from difflib import get_close_matches

from hepatica import front_door
from hepatica.cli.streams import close_streams, open_streams, say
from hepatica.errors import HepaticaError, UnknownNameError
from hepatica.front_door import GROUPS, Verb
from hepatica.version import __version__

STOPPED = 128
"""Exit code where a signal stopped the run, plus its number: 130 after Ctrl-C, 143 after SIGTERM."""

PIPE_CLOSED = 141
"""Exit code where whoever reads stdout stopped reading, as ``| head`` does (128 and the number of SIGPIPE)."""

WRONG_INPUT = 2
"""Exit code where hepatica refused."""

SUMMARY = "Transarterial radioembolization: from images to absorbed dose. Research software, not a medical device."

TOOLS = {
    "schema": "JSON schema of a verb's --json document, or with --options of its options.",
    "options": "Commented TOML with every option of a verb, for its --options FILE.",
}
"""What the command line has beside the verbs."""


class Stopped(KeyboardInterrupt):
    """The run is to stop, by a signal that is no Ctrl-C.

    Attributes
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _stop(number: int, _frame: object) -> None:
    raise Stopped(number)


def run() -> None:
    """Run the command line; an error that hepatica raises on purpose is one line on stderr and exit code 2."""
    _quiet()
    # A batch system stops a job by SIGTERM, a closed terminal by SIGHUP: either would end Python without removing what
    # is half written.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    can_print = open_streams()
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
        if not can_print and code == 0:
            code = _unread(sys.argv[1:])
    except KeyboardInterrupt as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending already
        say(f"hepatica: interrupted; {_what_is_there(stop)}")
        code = STOPPED + getattr(stop, "number", signal.SIGINT)
    except OSError as error:
        say(f"hepatica: {_failed(error)}")
        code = PIPE_CLOSED if isinstance(error, BrokenPipeError) else WRONG_INPUT
    close_streams()
    sys.exit(code)


def _unread(arguments: list[str]) -> int:
    """The exit code where all went well and standard output was closed from the start: 0 only if files were written."""
    is_written = any(argument.partition("=")[0] == "--out" for argument in arguments)
    say(f"hepatica: standard output is closed: nothing was printed{'; all is in --out' if is_written else ''}")
    return 0 if is_written else PIPE_CLOSED


def _what_is_there(error: BaseException) -> str:
    noted = getattr(error, "__notes__", [])
    return noted[0] if noted else "nothing was written"


def _failed(error: OSError) -> str:
    """What the system refused; mostly to print, which comes after all files are written."""
    where = error.filename or "standard output"
    closed = isinstance(error, BrokenPipeError)
    why = "was closed before all was printed" if closed else f"cannot be written ({error.strerror or error})"
    noted = getattr(error, "__notes__", [])
    return "; ".join([f"{where} {why}", *noted])


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    first = arguments[0] if arguments else "--help"
    if first in ("--help", "-h"):
        print_help()
        return 0
    if first == "--version":
        print(f"hepatica {__version__}")  # noqa: T201
        return 0
    try:
        if first in TOOLS:
            from hepatica.cli.tools import run_tool

            return run_tool(first, arguments[1:])
        from hepatica.cli.command import run_verb

        words = _words(arguments)
        if words == 1 and first in _families():
            if len(arguments) == 1 or arguments[1] in ("--help", "-h"):
                print_help(first)
                return 0
            raise UnknownNameError(f"{first} command", arguments[1], _family(first))
        return run_verb(_found(" ".join(arguments[:words])), arguments[words:])
    except HepaticaError as error:
        say(f"hepatica: {error}")
        return WRONG_INPUT


def _quiet() -> None:
    """Keep warnings and log lines of libraries off the screen, unless Python was told to show warnings (-W).

    What hepatica logs itself (that a result was recovered, or a folder could not be removed) is one line on stderr.
    """
    import logging
    import warnings

    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Without any handler Python prints what libraries log as a warning.
    logging.getLogger().addHandler(logging.NullHandler())

    class OnScreen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"hepatica: {record.getMessage()}")

    logging.getLogger("hepatica").addHandler(OnScreen())


def _families() -> frozenset[str]:
    """First words of the commands that have two: case."""
    return frozenset(found.command.split()[0] for found in front_door.VERBS if " " in found.command)


def _family(first: str) -> list[str]:
    """Second words of the commands that begin with a word."""
    return [found.command.split()[1] for found in front_door.VERBS if found.command.startswith(f"{first} ")]


def _words(arguments: list[str]) -> int:
    """How many words the command has: two of ``case status``."""
    return 2 if len(arguments) > 1 and arguments[0] in _families() and arguments[1] in _family(arguments[0]) else 1


def _found(name: str) -> Verb:
    if name.startswith("-"):
        from hepatica.errors import InputError

        near = get_close_matches(name, ("--help", "--version"), n=1)
        hint = f"did you mean {near[0]}?" if near else f"write 'hepatica COMMAND {name}', see hepatica --help"
        raise InputError(f"{name} stands before the command; {hint}")
    commands = {found.command: found for found in front_door.VERBS}
    if name not in commands:
        raise UnknownNameError("command", name, [*commands, *TOOLS])
    return commands[name]


def print_help(family: str = "") -> None:
    """All commands under their headings, or those that begin with a word; loads nothing but this list."""
    verbs = [verb for verb in front_door.VERBS if not family or verb.command.startswith(f"{family} ")]
    width = max(len(verb.command) for verb in verbs)
    lines = [f"Usage: hepatica {f'{family} ' if family else ''}COMMAND [OPTIONS]", "", SUMMARY]
    for group in GROUPS:
        inside = [(verb.command, verb.summary) for verb in verbs if verb.group == group]
        if group == "Data" and not family:
            inside += TOOLS.items()
        if inside:
            lines += ["", f"{group}:", *(f"  {name:<{width}}  {summary}" for name, summary in inside)]
    lines += ["", "hepatica COMMAND --help shows the options of a command. --version prints the version."]
    print("\n".join(lines))  # noqa: T201
