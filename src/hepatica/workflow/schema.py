"""The JSON schema of what a verb gives back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from hepatica.workflow.result import Result


def result_schema(verb: Callable[..., Any]) -> dict[str, Any]:
    """Schema of the document of a verb, from the type that it returns."""
    found = get_type_hints(inspect.unwrap(verb))["return"]
    assert issubclass(found, Result)
    schema: dict[str, Any] = found.schema()
    return schema
