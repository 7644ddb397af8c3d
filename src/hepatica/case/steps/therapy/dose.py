"""The absorbed dose of a treatment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.common import CLINICAL
from hepatica.case.steps.inputs import FirstOf, ImageOf, NuclideOfAgent, ResultOf, Section, StatedInstant
from hepatica.case.steps.mr import HolmiumActivity
from hepatica.case.steps.pet import PET, PET_RECONSTRUCTION, AwaitedPet
from hepatica.case.steps.projections import SPECT
from hepatica.case.steps.proposals import TherapyStructures
from hepatica.case.steps.shown import Layout, at, quantity
from hepatica.case.steps.step import Step
from hepatica.core.numbers.wording import three


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    shape, spacing = at(document, "grid.shape") or (), at(document, "grid.spacing_mm") or ()
    expected = quantity(document, "activity_expected_mbq", "MBq")
    return [
        ("Nuclide, engine", f"{document.get('nuclide', '')}, {document.get('engine', '')}"),
        ("Activity in the image", quantity(document, "activity_in_image_mbq", "MBq")),
        ("Expected in view", expected),
        ("Voxels", f"{' × '.join(map(str, shape))} of {' × '.join(map(three, spacing))} mm"),
    ]


STEP = Step(
    "dose",
    "Absorbed dose",
    "absorbed_dose",
    (
        FirstOf(
            (
                ImageOf("activity", ("therapy-pet", "therapy-spect"), needed=True, several=True),
                AwaitedPet("activity", PET_RECONSTRUCTION, file=PET),
                ResultOf("activity", "reconstruction", file=SPECT),
                HolmiumActivity(),
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
    layout=Layout(
        _facts,
        {"doses": "Absorbed dose by structure", "lung-doses": "Lungs", "limits": "Limits of the agent that may apply"},
        {
            "slices": "CT, dose as colour, isodose lines and outlines through a lesion. Axial seen from the feet.",
            "dvh": "Cumulative dose-volume histograms of the delivered dose; a triangle marks the mean.",
            "activity": "Maximum projections of the time-integrated activity.",
        },
    ),
)
