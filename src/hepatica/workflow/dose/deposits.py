"""Activity outside liver and lungs after a treatment, and its dose."""

from __future__ import annotations

from dataclasses import dataclass, field

from hepatica.anatomy.structures.kinds import ORGANS, Structure
from hepatica.core import Estimate, Region, Volume, decays_per_becquerel
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.core.resample import resample, resample_region
from hepatica.core.tables.table import Table
from hepatica.errors import NowhereToLookError
from hepatica.nuclides import Nuclide
from hepatica.planning.extrahepatic.uptake import (
    PERTECHNETATE,
    ExtrahepaticSearch,
    ExtrahepaticTest,
    extrahepatic_search,
)
from hepatica.planning.measured.deposits import (
    DepositDose,
    about_deposits,
    deposit_doses,
    deposits_of,
    deposits_table,
)
from hepatica.planning.prescriptions.dose_constants import dose_constant
from hepatica.report.document import Picture
from hepatica.report.figures.places import places_picture
from hepatica.workflow.dose.patient.patient import Patient, lungs_among

CONVENTION = "ensdf"
"""Dose constant of the doses: that of the dose engine's decay data, electrons alone."""


@dataclass(frozen=True, slots=True, eq=False)
class TreatedDeposits:
    """What an image after treatment shows outside liver and lungs.

    Attributes
    ----------
    doses : tuple of DepositDose
        Organs that are drawn, and places that were found, by the activity in the image.
    test : ExtrahepaticTest
        What was tested, and how sharply.
    """

    doses: tuple[DepositDose, ...]
    test: ExtrahepaticTest
    search: ExtrahepaticSearch = field(metadata=HIDDEN)
    image: Volume = field(metadata=HIDDEN)
    outlines: dict[str, Region] = field(metadata=HIDDEN)
    technetium: bool = field(metadata=HIDDEN)

    def table(self) -> Table:
        """Organs and places with share, dose and certainty."""
        return deposits_table(self.doses, "image")

    def messages(self) -> tuple[Message, ...]:
        """What was found, and what else may explain it."""
        found = about_deposits(self.doses, "image")
        free = self.technetium and any(place.may_be_free_pertechnetate for place in self.search.places)
        return (*found, PERTECHNETATE) if free else found

    def picture(self) -> Picture | None:
        """Projections with the places found; None where none was."""
        centres = [dose.centre_lps_mm for dose in self.doses if dose.centre_lps_mm is not None]
        return places_picture(self.image, self.outlines, centres) if centres else None


def treated_deposits(
    decays: Volume,
    patient: Patient,
    nuclide: Nuclide,
    scale_relative_sd: float | None = None,
    seen: Region | None = None,
) -> tuple[TreatedDeposits | None, tuple[Message, ...]]:
    """Search of an image of decays, and what is said where it holds no place to look.

    None where no liver, or no lungs, are known, or the liver holds nothing: then nothing is said. Doses have an
    uncertainty where that of the decays' common scale is known. Of `seen`, where the scanner sees well, None is all.
    """
    try:
        found = _searched(decays, patient, nuclide, scale_relative_sd, seen)
    except NowhereToLookError as error:
        text = f"activity outside liver and lungs was not looked for: {error.args[0]}"
        return None, (Message("extrahepatic-not-searched", text, "look at an image with more of the body about them"),)
    return found, () if found is None else found.messages()


def _searched(
    decays: Volume, patient: Patient, nuclide: Nuclide, scale_relative_sd: float | None, seen: Region | None
) -> TreatedDeposits | None:
    """Search of an image of decays; None where no liver, or no lungs, are known, or the liver holds nothing."""
    there = {n: resample_region(item.region, decays.grid) for n, item in enumerate(patient.drawn.clinical)}
    livers = [there[n] for n, item in enumerate(patient.drawn.clinical) if item.structure is Structure.LIVER]
    lungs = lungs_among(patient.drawn.clinical)
    if not livers or lungs is None or livers[0].is_empty:
        return None
    liver, air = livers[0], resample_region(lungs.region, decays.grid)
    if air.is_empty or not liver.total(decays) > 0:
        return None
    roles = {item.region.name: item.structure for item in patient.drawn.clinical if item.structure in ORGANS}
    organs = {r.name: r for r in there.values() if r.name in roles}
    density = resample(patient.tissue.density, decays.grid, "mean", outside=0.0) if patient.has_ct else None
    constant = dose_constant(nuclide, CONVENTION)
    # Decays over the decays of 1 GBq that stays for ever.
    energy_j = decays.total * constant.j_per_gbq / (1e9 * decays_per_becquerel(constant.half_life_s))
    search = extrahepatic_search(
        decays, liver, air, organs=organs, roles=roles, density=density, energy_j=energy_j, seen=seen
    )
    return TreatedDeposits(
        doses=deposit_doses(
            deposits_of(search).places,
            Estimate(energy_j, None if scale_relative_sd is None else scale_relative_sd * energy_j),
        ),
        test=search.test,
        search=search,
        image=decays,
        outlines={"liver": liver, "lung": air},
        technetium=nuclide.name == "Tc-99m",
    )
