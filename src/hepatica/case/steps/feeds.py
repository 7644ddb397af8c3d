"""Which steps feed a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hepatica.case.steps.course import Step
from hepatica.case.steps.inputs import FirstOf, Input, ResultOf, ResultsOf
from hepatica.case.steps.plan_tables import MEASURED, SCOUT, PlanTables
from hepatica.case.steps.proposals import ScoutToTherapy, TherapyStructures


def fed_by(step: Step, treatment: int) -> list[str]:
    """Folders of the steps whose results a step takes: "delivery", "dose-2"."""
    return list(dict.fromkeys(_feeding(step.inputs, treatment)))


def _feeding(inputs: Iterable[Input], treatment: int) -> Iterator[str]:
    for one in inputs:
        if isinstance(one, ResultOf):
            yield from _named(one.step, treatment - one.earlier)
        elif isinstance(one, ResultsOf):
            for number in range(1, treatment + 1):
                yield from _named(one.step, number)
        elif isinstance(one, FirstOf):
            yield from _feeding(one.inputs, treatment)
        elif isinstance(one, TherapyStructures | ScoutToTherapy):
            yield from _named(one.proposal.step, treatment)
        elif isinstance(one, PlanTables):
            yield from _feeding(SCOUT, treatment)
            for step in MEASURED.values():
                yield from _named(step, treatment)
            yield from _named("next", treatment - 1)


def _named(step: str, treatment: int) -> Iterator[str]:
    if treatment > 0:
        yield step if treatment == 1 else f"{step}-{treatment}"
