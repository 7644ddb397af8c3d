"""The course of a treatment: its steps in order, the verb of each and what feeds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hepatica.case.steps.afterwards import AFTER, BEFORE, CarrierOfAgent, NextAt, StageOf, next_arguments
from hepatica.case.steps.inputs import (
    Fact,
    FirstOf,
    ImageOf,
    Input,
    NuclideOfAgent,
    ResultOf,
    ResultsOf,
    Section,
    StatedInstant,
    StatedTerritory,
    View,
)
from hepatica.case.steps.pet import INPUTS as PET_INPUTS
from hepatica.case.steps.pet import PET_RECONSTRUCTION, pet_is_reconstructed, reconstructed_pet
from hepatica.case.steps.plan_tables import PlanTables, plan_arguments
from hepatica.case.steps.proposals import (
    FirstImageOf,
    ScoutToTherapy,
    StructuresOfBoth,
    TherapyStructures,
    registration_not_needed,
    structures_not_needed,
)
from hepatica.case.steps.scout import (
    RECONSTRUCTION,
    SCOUT_IMAGE,
    SPECT,
    scout_is_reconstructed,
    therapy_is_reconstructed,
)
from hepatica.errors import UnknownNameError

Arguments = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Needless = Callable[[View], str]


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
    """

    name: str
    title: str
    verb: str
    inputs: tuple[Input, ...]
    arguments: Arguments | None = None
    needless: Needless | None = None


SCOUT_IMAGES = (
    SCOUT_IMAGE,
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
        RECONSTRUCTION,
        "Reconstruction of the scout",
        "reconstruct_spect",
        (
            ImageOf("projections", ("scout-projections",), needed=True),
            ImageOf("ct", ("scout-ct",), needed=True),
            Section(RECONSTRUCTION, needed=("camera",)),
        ),
        needless=scout_is_reconstructed,
    ),
    Step("lung-shunt", "Lung shunt", "lung_shunt", (*SCOUT_IMAGES, Section("lung-shunt"))),
    Step("uptake", "Tumour to normal", "tumour_to_normal", (*SCOUT_IMAGES, StatedTerritory(), Section("uptake"))),
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
            Section("reconstruction", needed=("camera",)),
        ),
        needless=therapy_is_reconstructed,
    ),
    Step(
        PET_RECONSTRUCTION,
        "PET reconstruction",
        "reconstruct_pet",
        PET_INPUTS,
        needless=pet_is_reconstructed,
    ),
    Step(
        "registration",
        "Scout laid onto therapy",
        "register",
        (
            ImageOf("moving", ("scout-ct",), needed=True),
            ImageOf("fixed", ("therapy-ct",), needed=True),
            ImageOf("moving_structures", ("scout-structures",)),
            ImageOf("structures", ("therapy-structures",)),
            Section("registration"),
        ),
        needless=registration_not_needed,
    ),
    Step(
        "structures",
        "Proposed structures",
        "segment",
        (
            ImageOf("ct", ("therapy-ct",), needed=True),
            FirstOf(
                (
                    FirstImageOf("uptake", ("therapy-pet", "therapy-spect")),
                    reconstructed_pet("uptake"),
                    ResultOf("uptake", "reconstruction", file=SPECT),
                )
            ),
            Section("structures"),
        ),
        needless=structures_not_needed,
    ),
    Step(
        "dose",
        "Absorbed dose",
        "absorbed_dose",
        (
            FirstOf(
                (
                    ImageOf("activity", ("therapy-pet", "therapy-spect"), needed=True, several=True),
                    reconstructed_pet("activity"),
                    ResultOf("activity", "reconstruction", file=SPECT),
                ),
                needed=True,
            ),
            ImageOf("ct", ("therapy-ct",)),
            TherapyStructures(),
            ImageOf("recovery", ("recovery",)),
            NuclideOfAgent(),
            ResultOf("administered_result", "delivery"),
            StatedInstant(),
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
            StructuresOfBoth(),
            ScoutToTherapy("verification"),
            Section("verification"),
        ),
    ),
    Step(
        "prediction",
        "Predicted effect",
        "radiobiology",
        (
            ResultOf("dose_map", "dose", needed=True),
            TherapyStructures(needed=True),
            NuclideOfAgent(),
            CarrierOfAgent(),
            CLINICAL[1],
            Section("prediction"),
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
        "follow-up",
        "Change of segmented lesions",
        "segmented_response",
        (
            StageOf("before", "before_image", BEFORE),
            StageOf("after", "after_image", AFTER),
            Section("follow-up"),
        ),
    ),
    Step(
        "next",
        "Next treatment",
        "remaining_tolerance",
        (
            ResultsOf("dose_results", "dose", needed=True),
            *CLINICAL[:2],
            NextAt(),
            Section("next", needed=("tolerance_bed",)),
        ),
        next_arguments,
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
