"""The course of a treatment: its steps in order, each of them a file that is named here in one line."""

from __future__ import annotations

import importlib

from hepatica.case.steps.step import Step
from hepatica.errors import UnknownNameError

FILES = (
    "scout.scout_reconstruction",
    "scout.lung_shunt",
    "scout.uptake",
    "scout.scout_biodistribution",
    "planning.plan",
    "planning.order",
    "planning.prepare_injection",
    "therapy.injection",
    "planning.delivery",
    "therapy.reconstruction",
    "therapy.pet_reconstruction",
    "therapy.registration",
    "therapy.structures",
    "therapy.holmium_mri",
    "therapy.spect_mri_agreement",
    "therapy.dose",
    "therapy.biodistribution",
    "therapy.verification",
    "after.prediction",
    "after.safety",
    "after.function",
    "after.response",
    "after.follow_up",
    "after.next",
)
"""Files of the steps below this folder, in the order in which they are done; each holds its ``STEP``."""


def _step_in(file: str) -> Step:
    found: Step = importlib.import_module(f"hepatica.case.steps.{file}").STEP
    return found


COURSE: tuple[Step, ...] = tuple(_step_in(file) for file in FILES)
"""All steps in the order in which they are done: a step takes results of steps before it."""

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
