"""PET raw data of the therapy: whether they are reconstructed, and their image, which feeds the dose."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.case.steps.inputs import OFFSET_AT_END, Given, Input, ResultOf, View

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


@dataclass(frozen=True, slots=True)
class AwaitedPet(ResultOf):
    """The image of the reconstruction, which is to be run where raw data were added."""

    def missing(self, view: View) -> str:
        """The step that makes it."""
        if pet_is_reconstructed(view) or view.left_out(self.step) or self.given(view):
            return ""
        return f"run {self.step}"


@dataclass(frozen=True, slots=True)
class ZoneOfTreatment(Input):
    """Offset from UTC of the house's clock, as the treatment's instant states it, unless the step states its own."""

    word: str = "time_zone"

    def given(self, view: View) -> tuple[Given, ...]:
        """The offset; nothing where the instant states none."""
        found = OFFSET_AT_END.search(str(view.fact("treatment", "at") or ""))
        if found is None or {"time_zone", "time-zone"} & set(view.section(PET_RECONSTRUCTION)):
            return ()
        text = "+00:00" if found[1] == "Z" else found[1]
        return (Given(self.word, f"treatment {view.treatment}: at", view.digest(text), text),)
