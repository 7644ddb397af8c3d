"""The JSON schema of what a verb gives back, and of its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from hepatica.core.options import option_schema
from hepatica.front_door import verb_named
from hepatica.workflow.result import Result


def schema(verb: str, *, options: bool = False) -> dict[str, Any]:
    """JSON schema of the document of a verb, or of its options.

    Parameters
    ----------
    verb : str
        Name of the function or of the command.
    options : bool
        Of its options, by their words, instead.

    Raises
    ------
    UnknownNameError
        If there is no such verb.
    """
    function = verb_named(verb).load()
    return option_schema(function) if options else result_class(function).schema()


def result_class(verb: Callable[..., Any]) -> type[Result]:
    """Class of what a verb gives back."""
    found: type[Result] = get_type_hints(inspect.unwrap(verb))["return"]
    return found
