"""The image of the scout: a SPECT that was added, else the reconstruction of its projections."""

from __future__ import annotations

from hepatica.case.steps.inputs import FirstOf, ImageOf, ResultOf, View

RECONSTRUCTION = "scout-reconstruction"

SPECT = "spect.dcm"
"""File of a reconstruction that other steps take."""

SCOUT_IMAGE = FirstOf(
    (
        ImageOf("scout", ("scout-spect",), needed=True),
        ResultOf("scout", RECONSTRUCTION, needed=True, file=SPECT),
    ),
    needed=True,
)


def scout_is_reconstructed(view: View) -> str:
    """Why the scout's projections need no reconstruction; empty where they may."""
    return "a SPECT of the scout was added" if view.images("scout-spect") else ""


def therapy_is_reconstructed(view: View) -> str:
    """The same of the projections after treatment; a PET needs none where no projections were added."""
    if not view.images("therapy-projections"):
        if view.images("therapy-pet"):
            return "a PET of the therapy was added"
        if view.images("therapy-coincidences"):
            return "PET raw data of the therapy were added"
    return "a SPECT of the therapy was added" if view.images("therapy-spect") else ""
