"""Whether SPECT and MR after a treatment with holmium agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepatica.case.steps.inputs import FirstOf, ImageOf, ResultOf, Section
from hepatica.case.steps.mr import HOLMIUM_MRI, agreement_not_asked
from hepatica.case.steps.projections import SPECT
from hepatica.case.steps.proposals import DRAWN
from hepatica.case.steps.shown import Layout, quantity
from hepatica.case.steps.step import Step
from hepatica.core.numbers.wording import three


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    correlation = document.get("pearson")
    scaled = document.get("spect_relative")
    return [
        ("Correlation of voxels", "" if correlation is None else three(correlation)),
        ("In the liver by MR", quantity(document, "mri_mbq", "MBq")),
        ("In the liver by SPECT", "scaled to the MR" if scaled else quantity(document, "spect_mbq", "MBq")),
    ]


STEP = Step(
    "spect-mri-agreement",
    "SPECT and MR side by side",
    "spect_mri_agreement",
    (
        ResultOf("mri", HOLMIUM_MRI, needed=True),
        FirstOf(
            (
                ImageOf("spect", ("therapy-spect",), needed=True),
                ResultOf("spect", "reconstruction", needed=True, file=SPECT),
            ),
            needed=True,
        ),
        DRAWN,
        Section("spect-mri-agreement"),
    ),
    needless=agreement_not_asked,
    is_rare=True,
    layout=Layout(
        _facts,
        {"structures": "Means of structures", "tumour-to-normal": "Tumour to normal liver", "agreement": "Voxels"},
        {"agreement": "Voxels and tumour to normal by both."},
    ),
)
