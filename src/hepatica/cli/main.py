"""The ``hepatica`` command, made from the signatures of the verbs: parse, one call, print."""

from __future__ import annotations

import signal
import sys
from difflib import get_close_matches

from hepatica import front_door
from hepatica.errors import HepaticaError
from hepatica.front_door import GROUPS, Verb
from hepatica.version import __version__

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM."""

WRONG_INPUT = 2
"""Exit code where hepatica refused."""

SUMMARY = "Transarterial radioembolization: from images to absorbed dose. Research software, not a medical device."

TOOLS = {
    "schema": "JSON schema of a verb's --json document, or with --options of its options.",
    "options": "Commented TOML with every option of a verb, for its --options FILE.",
}
"""What the command line has beside the verbs."""


def run() -> None:
    """Run the command line; an error that hepatica raises on purpose is one line on stderr and exit code 2."""
    _quiet()
    # A batch system stops a job by SIGTERM, which would end Python without removing what is half written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("hepatica: interrupted; no result was written", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


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

        return run_verb(_found(first), arguments[1:])
    except HepaticaError as error:
        print(f"hepatica: {error}", file=sys.stderr)  # noqa: T201
        return WRONG_INPUT


def _quiet() -> None:
    """Keep warnings and log lines of libraries off the screen, unless Python was told to show warnings (-W)."""
    import logging
    import warnings

    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Without any handler Python prints what libraries log as a warning.
    logging.getLogger().addHandler(logging.NullHandler())


def _found(name: str) -> Verb:
    if name.startswith("-"):
        from hepatica.errors import InputError

        near = get_close_matches(name, ("--help", "--version"), n=1)
        hint = f"did you mean {near[0]}?" if near else f"write 'hepatica COMMAND {name}', see hepatica --help"
        raise InputError(f"{name} stands before the command; {hint}")
    commands = {found.command: found for found in front_door.VERBS}
    if name not in commands:
        from hepatica.errors import UnknownNameError

        raise UnknownNameError("command", name, [*commands, *TOOLS])
    return commands[name]


def print_help() -> None:
    """All commands under their headings; loads nothing but this list."""
    width = max(len(verb.command) for verb in front_door.VERBS)
    lines = ["Usage: hepatica COMMAND [OPTIONS]", "", SUMMARY]
    for group in GROUPS:
        inside = [(verb.command, verb.summary) for verb in front_door.VERBS if verb.group == group]
        if group == "Data":
            inside += TOOLS.items()
        if inside:
            lines += ["", f"{group}:", *(f"  {name:<{width}}  {summary}" for name, summary in inside)]
    lines += ["", "hepatica COMMAND --help shows the options of a command. --version prints the version."]
    print("\n".join(lines))  # noqa: T201
