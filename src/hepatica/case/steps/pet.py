"""PET raw data of the therapy: whether they are reconstructed, and their image, which feeds the dose."""

from __future__ import annotations

from hepatica.case.steps.inputs import Input, ResultOf, View

PET_RECONSTRUCTION = "pet-reconstruction"

PET = "pet"
"""Folder of the reconstruction that other steps take."""


def pet_is_reconstructed(view: View) -> str:
    """Why there is nothing to reconstruct; empty where there is."""
    if view.images("therapy-pet"):
        return "a PET of the therapy was added"
    return "" if view.images("therapy-coincidences") else "no PET raw data were added"


def reconstructed_pet(word: str) -> Input:
    """The image of the reconstruction, for an option of another step."""
    return ResultOf(word, PET_RECONSTRUCTION, file=PET)
