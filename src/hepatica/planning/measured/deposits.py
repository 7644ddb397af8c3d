"""Activity outside liver and lungs that an image shows, and the dose that an activity gives there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Estimate
from hepatica.core.message import Message
from hepatica.core.tables.table import Cell, Table, with_doubt
from hepatica.planning.extrahepatic.position import FALCIFORM
from hepatica.planning.extrahepatic.uptake import ExtrahepaticSearch, certainty
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
        Of the structure; of a place in none that is drawn, its position by liver and body.
    organ : str
        Role of the structure; empty for a place in none.
    found : bool
        Whether the search for uptake outside liver and lungs found it; a drawn organ is listed whatever it holds.
    activity_share : Estimate
        Of everything in the image.
    mass_kg : Estimate
        Of the organ, or of the place within the contour of 41 % of its maximum.
    p_value : float or None
        Probability that noise alone shows a place as bright anywhere; None where it was not looked for.
    hint : str
        Of a place in no organ drawn: what lies there in most people, or what else may explain it.
    centre_lps_mm : tuple of float or None
        Centre of a place that was found, LPS mm.
    may_be_free_pertechnetate : bool
        Whether free pertechnetate goes there too.
    """

    name: str
    organ: str
    found: bool
    activity_share: Estimate
    mass_kg: Estimate
    p_value: float | None = None
    hint: str = ""
    centre_lps_mm: tuple[float, float, float] | None = None
    may_be_free_pertechnetate: bool = False


@dataclass(frozen=True, slots=True)
class Deposits:
    """What a search outside liver and lungs came to.

    Attributes
    ----------
    places : tuple of Deposit
        Organs that are drawn, and places that were found.
    highest_share_per_kg : float or None
        Largest share of the image per mass, over about 1 mL, away from liver and lungs: more than any organ there that
        is not drawn can hold; None where the search could not look.
    """

    places: tuple[Deposit, ...]
    highest_share_per_kg: float | None = None


def deposits_of(search: ExtrahepaticSearch) -> Deposits:
    """Organs and places of a search."""
    organs = [
        Deposit(o.name, o.organ, False, o.activity_share, Estimate(o.mass_kg, 0.0), o.p_value) for o in search.organs
    ]
    found = [
        Deposit(
            name=place.site,
            organ=place.organ,
            found=True,
            activity_share=place.activity_share,
            mass_kg=place.mass_kg,
            p_value=place.p_value,
            hint=place.hint,
            centre_lps_mm=place.centre_lps_mm,
            may_be_free_pertechnetate=place.may_be_free_pertechnetate,
        )
        for place in search.places
    ]
    return Deposits((*organs, *found), search.highest_share_per_kg)


@dataclass(frozen=True, slots=True)
class DepositDose:
    """Mean dose of a deposit at an activity: all decays in place, electrons absorbed where they start.

    Attributes
    ----------
    name, organ, hint : str
        As in `Deposit`.
    found : bool
        Whether the search found it.
    activity_share : Estimate
        Of everything in the image.
    dose_gy : Estimate
        Mean over its mass.
    p_value, centre_lps_mm
        As in `Deposit`.
    """

    name: str
    organ: str
    hint: str
    found: bool
    activity_share: Estimate
    dose_gy: Estimate
    p_value: float | None

    centre_lps_mm: tuple[float, float, float] | None = None


def deposit_doses(deposits: Iterable[Deposit], energy_j: Estimate) -> tuple[DepositDose, ...]:
    """Doses where all activity leaves `energy_j` (activity times dose constant), the largest first.

    Its uncertainty is that of the activity, which is common to all of them; where that is not known, no dose has one.
    """
    found = (
        DepositDose(
            name=d.name,
            organ=d.organ,
            hint=d.hint,
            found=d.found,
            activity_share=d.activity_share,
            dose_gy=d.activity_share * energy_j / d.mass_kg,
            p_value=d.p_value,
            centre_lps_mm=d.centre_lps_mm,
        )
        for d in deposits
    )
    return tuple(sorted(found, key=lambda d: -d.dose_gy.value))


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
            drawn[name] = max(dose.dose_gy.value, drawn.get(name, 0.0))
    facts |= drawn
    organs = replace(Situation(), **facts)
    if deposits.highest_share_per_kg is None:
        return organs
    seen = [d for d in deposits.places if d.found]
    nameless = any(not d.organ for d in seen)
    in_gut = any(d.organ and Structure(d.organ) in GUT for d in seen)
    return replace(
        organs,
        extrahepatic_dose_gy=max((d.dose_gy.value for d in doses if d.found), default=0.0),
        # A place in no organ that is drawn may lie in the gut.
        extrahepatic_in_gut=True if in_gut else None if nameless else False,
        free_pertechnetate_suspected=any(d.may_be_free_pertechnetate for d in seen),
        falciform_uptake=any(d.hint == FALCIFORM for d in seen),
    )


def deposits_table(deposits: Sequence[DepositDose], image: str = "scout") -> Table:
    """Organs and places outside liver and lungs, with their dose at the activity given and how sure they are."""
    numbers = iter(range(1, len(deposits) + 1))
    rows: list[tuple[Cell, ...]] = [
        (
            d.name,
            f"found {next(numbers)}" if d.found else "drawn",
            with_doubt(d.activity_share * 100.0),
            with_doubt(d.dose_gy),
            "" if d.p_value is None else certainty(d.p_value),
            d.hint,
        )
        for d in deposits
    ]
    columns = ("", "", f"% of the {image}", "Gy", "by noise alone", "may be")
    return Table.of(columns, rows, "Outside liver and lungs", "deposits", formats=("", "", ".3f", ".1f", "", ""))


MOST_NAMED = 4
"""Places that a sentence names; more of them nobody reads."""


def about_deposits(doses: Sequence[DepositDose], image: str = "scout") -> tuple[Message, ...]:
    """What was found outside liver and lungs, the first places with share, dose and how sure it is."""
    found = [d for d in doses if d.found]
    if not found:
        return ()
    places = "; ".join(
        f"{d.name}{f' ({d.hint})' if d.hint else ''}: {100 * d.activity_share.value:.2f} % of the {image}, "
        f"{d.dose_gy.value:.1f} Gy, {certainty(d.p_value or 0.0)}"
        for d in found[:MOST_NAMED]
    )
    if others := found[MOST_NAMED:]:
        highest = max(d.dose_gy.value for d in others)
        places += f"; and {len(others)} more of up to {highest:.1f} Gy, which the table of places has"
    text = f"the {image} shows uptake outside liver and lungs: {places}"
    return (Message("uptake-found-elsewhere", text, "look for the artery that feeds it"),)
