"""What the report shows of a step: its numbers, tables and pictures, and how a number is read from a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hepatica.core.numbers.estimate import Estimate
from hepatica.core.numbers.wording import with_uncertainty


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands in the part of a step.

    Attributes
    ----------
    facts : callable
        Label and value from the result; those without value are left out.
    tables : mapping of str to str
        Beginning of a table's name -> heading; in this order. What is not named stands in the step's folder only;
        None shows all.
    pictures : mapping of str to str
        Beginning of a picture's name -> caption; None shows all.
    """

    facts: Callable[[Mapping[str, Any]], Sequence[tuple[str, str]]] = lambda document: ()
    tables: Mapping[str, str] | None = None
    pictures: Mapping[str, str] | None = None


def at(document: Mapping[str, Any], path: str) -> Any:
    """Value below dotted keys; None where one is missing.

    >>> at({"doses": {"lung_gy": 8.0}}, "doses.lung_gy"), at({}, "doses.lung_gy")
    (8.0, None)
    """
    found: Any = document
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def estimate(document: Mapping[str, Any], path: str) -> Estimate | None:
    """A value with its standard uncertainty, from ``path`` and ``path_sd``."""
    value = at(document, path)
    return None if value is None else Estimate(float(value), at(document, f"{path}_sd"))


def quantity(document: Mapping[str, Any], path: str, unit: str, factor: float = 1.0) -> str:
    """A value with its uncertainty and unit, in print; empty where there is none."""
    found = estimate(document, path)
    if found is None:
        return ""
    sd = None if found.sd is None else factor * found.sd
    return f"{with_uncertainty(factor * found.value, sd)} {unit}".strip()


def source_words(source: str) -> str:
    """Images or a step that an input came from, as people call them: "therapy-pet-1, therapy-pet-2", "holmium-mri"."""
    return source.replace("images/", "").replace("steps/", "")
