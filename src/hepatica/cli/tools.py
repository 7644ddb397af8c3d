"""What the command line has beside the verbs: schemas, and files of options to fill in."""

from __future__ import annotations

import inspect

from hepatica.cli.screen import print_json
from hepatica.core.options import toml_template
from hepatica.errors import InputError
from hepatica.front_door import VERBS, verb_named
from hepatica.workflow.schema import schema


def run_tool(name: str, arguments: list[str]) -> int:
    """Print a schema or a template.

    Raises
    ------
    InputError
        If the verb is missing or unknown.
    """
    of_options = "--options" in arguments
    rest = [item for item in arguments if item != "--options"]
    if "--help" in rest or "-h" in rest:
        print(inspect.cleandoc(f"Usage: hepatica {name} COMMAND{' [--options]' if name == 'schema' else ''}"))  # noqa: T201
        return 0
    if len(rest) != 1:
        known = ", ".join(verb.command for verb in VERBS)
        raise InputError(f"hepatica {name} needs the name of one command: {known}")
    verb = verb_named(rest[0])
    if name == "options":
        print(toml_template(verb.load()), end="")  # noqa: T201
    else:
        print_json(schema(verb.command, options=of_options))
    return 0
