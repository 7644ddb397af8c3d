"""The course of a treatment: its steps in order, the verb of each and what feeds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hepatica.case.steps.inputs import (
    Fact,
    FirstOf,
    ImageOf,
    Input,
    NuclideOfAgent,
    ResultOf,
    ResultsOf,
    Section,
)
from hepatica.case.steps.plan_tables import PlanTables, plan_arguments
from hepatica.errors import UnknownNameError

Arguments = Callable[[Mapping[str, Any]], Mapping[str, Any]]


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
    """

    name: str
    title: str
    verb: str
    inputs: tuple[Input, ...]
    arguments: Arguments | None = None


SCOUT_IMAGES = (
    ImageOf("ct", ("scout-ct",)),
    ImageOf("structures", ("scout-structures",), needed=True),
)

CLINICAL = (
    Fact("agent", "treatment", "agent"),
    Fact("indication", "disease", "indication"),
    Fact("intent", "treatment", "intent"),
)

COURSE = (
    Step(
        "lung-shunt",
        "Lung shunt",
        "lung_shunt",
        (ImageOf("scout", ("scout-spect",), needed=True), *SCOUT_IMAGES, Section("lung-shunt")),
    ),
    Step(
        "uptake",
        "Tumour to normal",
        "tumour_to_normal",
        (ImageOf("scout", ("scout-spect",), needed=True), *SCOUT_IMAGES, Section("uptake")),
    ),
    Step("plan", "Plan", "plan", (PlanTables(),), plan_arguments),
    Step(
        "order",
        "Order",
        "order_vial",
        (
            ResultOf("planned_result", "plan", needed=True),
            Fact("administered_at", "treatment", "at", needed=True),
            Section("order"),
        ),
    ),
    Step(
        "delivery",
        "Delivery",
        "delivered_activity",
        (
            NuclideOfAgent(),
            Fact("agent", "treatment", "agent"),
            Fact("administered_at", "treatment", "at"),
            ResultOf("planned_result", "plan"),
            Section(
                "delivery",
                needed=(
                    "vial",
                    "calibrated_at",
                    "reading_before",
                    "reading_before_at",
                    "reading_after",
                    "reading_after_at",
                ),
            ),
        ),
    ),
    Step(
        "reconstruction",
        "Reconstruction",
        "reconstruct_spect",
        (
            ImageOf("projections", ("therapy-projections",), needed=True),
            ImageOf("ct", ("therapy-ct",), needed=True),
            ImageOf("calibration", ("calibration",)),
            NuclideOfAgent(),
            Section("reconstruction"),
        ),
    ),
    Step(
        "dose",
        "Absorbed dose",
        "absorbed_dose",
        (
            FirstOf(
                (
                    ImageOf("activity", ("therapy-pet", "therapy-spect"), needed=True, several=True),
                    ResultOf("activity", "reconstruction"),
                ),
                needed=True,
            ),
            ImageOf("ct", ("therapy-ct",)),
            ImageOf("structures", ("therapy-structures",)),
            ImageOf("recovery", ("recovery",)),
            NuclideOfAgent(),
            ResultOf("administered_result", "delivery"),
            *CLINICAL,
            Section("dose"),
        ),
    ),
    Step(
        "verification",
        "Planned against delivered",
        "scout_concordance",
        (
            ResultOf("planned_dose", "plan", needed=True),
            ResultOf("delivered_dose", "dose", needed=True),
            ImageOf("structures", ("therapy-structures", "scout-structures"), needed=True),
            Section("verification"),
        ),
    ),
    Step(
        "safety",
        "Release and contact",
        "release",
        (
            ResultOf("administered_result", "delivery", needed=True),
            Fact("patient", "patient", "name"),
            Section("safety"),
        ),
    ),
    Step(
        "function", "Liver function", "liver_function", (ImageOf("labs", ("labs",), needed=True), Section("function"))
    ),
    Step(
        "response",
        "Response",
        "tumour_response",
        (ImageOf("measurements", ("measurements",), needed=True), Section("response")),
    ),
    Step(
        "next",
        "Next treatment",
        "remaining_tolerance",
        (
            ResultsOf("dose_results", "dose", needed=True),
            *CLINICAL[:2],
            Section("next", needed=("tolerance_bed", "next_at")),
        ),
    ),
)
"""All steps in the order in which they are done."""

STEPS: frozenset[str] = frozenset(step.name for step in COURSE)


def step_named(name: str) -> Step:
    """The step of a name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    for step in COURSE:
        if step.name == name:
            return step
    raise UnknownNameError("step", name, [step.name for step in COURSE])
