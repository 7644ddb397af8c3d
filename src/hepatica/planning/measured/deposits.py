"""Activity outside liver and lungs that a scout shows, and the dose that a plan would give there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core.message import Message
from hepatica.planning.guardrails import Situation

GUT = (Structure.STOMACH, Structure.DUODENUM, Structure.SMALL_BOWEL, Structure.COLON, Structure.BOWEL)

FACT_OF_ORGAN = {
    Structure.STOMACH: "stomach_dose_gy",
    Structure.DUODENUM: "duodenum_dose_gy",
    Structure.SMALL_BOWEL: "bowel_dose_gy",
    Structure.COLON: "bowel_dose_gy",
    Structure.BOWEL: "bowel_dose_gy",
    Structure.PANCREAS: "pancreas_dose_gy",
    Structure.GALLBLADDER: "gallbladder_dose_gy",
}


@dataclass(frozen=True, slots=True)
class Deposit:
    """An organ that is drawn, or a place that was found.

    Attributes
    ----------
    name : str
        Of the structure; of a place that was found, where it lies.
    organ : str
        Role of the structure; empty for a place in none.
    found : bool
        Whether the search for uptake outside liver and lungs found it; a drawn organ is listed whatever it holds.
    activity_share : float
        Of everything in the scout.
    mass_kg : float
        Of the organ, or of the voxels found.
    may_be_free_pertechnetate : bool
        Whether free pertechnetate goes there too.
    """

    name: str
    organ: str
    found: bool
    activity_share: float
    mass_kg: float
    may_be_free_pertechnetate: bool = False


@dataclass(frozen=True, slots=True)
class Deposits:
    """What a search outside liver and lungs came to.

    Attributes
    ----------
    places : tuple of Deposit
        Organs that are drawn, and places that were found.
    highest_share_per_kg : float or None
        Largest share of the scout per mass, over about 1 mL, away from liver and lungs: more than any organ there that
        is not drawn can hold; None where the search could not look.
    """

    places: tuple[Deposit, ...]
    highest_share_per_kg: float | None = None


@dataclass(frozen=True, slots=True)
class DepositDose:
    """Mean dose of a deposit at the plan's activity: all decays in place, electrons absorbed where they start.

    Attributes
    ----------
    name, organ : str
        As in `Deposit`.
    found : bool
        Whether the search found it.
    activity_share : float
        Of everything in the scout.
    dose_gy : float
        Mean over its mass.
    """

    name: str
    organ: str
    found: bool
    activity_share: float
    dose_gy: float


def deposit_doses(deposits: Iterable[Deposit], energy_j: float) -> tuple[DepositDose, ...]:
    """Doses where the whole plan leaves `energy_j` (activity times dose constant), the largest first."""
    found = (
        DepositDose(d.name, d.organ, d.found, d.activity_share, d.activity_share * energy_j / d.mass_kg)
        for d in deposits
    )
    return tuple(sorted(found, key=lambda d: -d.dose_gy))


AWAY_FROM_LIVER = ("stomach_dose_gy", "duodenum_dose_gy", "bowel_dose_gy", "pancreas_dose_gy")
"""Facts of organs that reach beyond the margin around the liver; the gallbladder lies within it."""

HARMLESS_GY = 10.0
"""Dose from which the guardrails of gut and pancreas speak."""


def deposit_facts(deposits: Deposits, doses: Sequence[DepositDose], energy_j: float) -> Situation:
    """What deposits tell the guardrails, where the whole plan leaves `energy_j`.

    An organ that is not drawn stays unknown, unless nothing away from the liver reaches the dose that would matter.
    """
    facts: dict[str, Any] = {}
    if deposits.highest_share_per_kg is not None:
        most = deposits.highest_share_per_kg * energy_j
        facts = dict.fromkeys(AWAY_FROM_LIVER, most) if most < HARMLESS_GY else {}
    drawn: dict[str, float] = {}
    for dose in doses:
        name = FACT_OF_ORGAN.get(Structure(dose.organ)) if dose.organ else None
        if name is not None:
            drawn[name] = max(dose.dose_gy, drawn.get(name, 0.0))
    facts |= drawn
    organs = replace(Situation(), **facts)
    if deposits.highest_share_per_kg is None:
        return organs
    seen = [d for d in deposits.places if d.found]
    nameless = any(not d.organ for d in seen)
    in_gut = any(d.organ and Structure(d.organ) in GUT for d in seen)
    return replace(
        organs,
        extrahepatic_dose_gy=max((d.dose_gy for d in doses if d.found), default=0.0),
        # A place in no organ that is drawn may lie in the gut.
        extrahepatic_in_gut=True if in_gut else None if nameless else False,
        free_pertechnetate_suspected=any(d.may_be_free_pertechnetate for d in seen),
        falciform_uptake=None if nameless else False,
    )


def about_deposits(doses: Sequence[DepositDose]) -> tuple[Message, ...]:
    """What was found outside liver and lungs, each place with share and dose."""
    found = [d for d in doses if d.found]
    if not found:
        return ()
    places = "; ".join(f"{d.name}: {d.activity_share:.2%} of the scout, {d.dose_gy:.1f} Gy" for d in found)
    return (Message("uptake-found-elsewhere", f"the scout shows uptake outside liver and lungs: {places}"),)
