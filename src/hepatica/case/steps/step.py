"""One step of a treatment: the verb that does it, what feeds it, what the report shows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hepatica.case.steps.inputs import Input, View
from hepatica.case.steps.shown import Layout

Arguments = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Needless = Callable[[View], str]
Remark = Callable[[View], str]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a treatment.

    Attributes
    ----------
    name : str
        In the case: "plan".
    title : str
        For people.
    verb : str
        Function of hepatica that does it.
    inputs : tuple of Input
        What feeds it.
    arguments : callable or None
        From what was given to the arguments of the verb, where they are more than its options.
    needless : callable or None
        Why this case does without the step; empty where it does not. Such a step is run only when it is named.
    is_rare : bool
        Most cases have nothing for it: where it is not needed the first page does not name it.
    remark : callable or None
        What the step takes as things are, for its form; empty where there is nothing to say.
    layout : Layout
        What the report shows of it; all tables and pictures where nothing else is said.
    """

    name: str
    title: str
    verb: str
    inputs: tuple[Input, ...]
    arguments: Arguments | None = None
    needless: Needless | None = None
    is_rare: bool = False
    remark: Remark | None = None
    layout: Layout = field(default_factory=Layout)

    def fed_by(self, treatment: int) -> list[str]:
        """Folders of the steps whose results it takes: "delivery", "dose-2"."""
        return list(dict.fromkeys(name for one in self.inputs for name in one.fed_by(treatment)))
