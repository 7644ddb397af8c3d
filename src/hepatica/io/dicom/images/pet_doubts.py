"""What the header of a PET says that cannot be right, or that makes its becquerels wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hepatica.core.message import Message
from hepatica.errors import UnknownNameError
from hepatica.imaging.pet.becquerels.positrons import USUAL_FRACTIONS, require_positrons
from hepatica.io.dicom.tags import Header

if TYPE_CHECKING:
    from hepatica.nuclides import Nuclide

POSITRON_TOLERANCE = 0.02
"""Largest relative difference between the header's positron fraction and the table's that goes without a warning."""
LEFT_IN = 2.0
"""A fraction so many times off is no other measurement but that of another nuclide."""


def require_imaged_by_pet(name: str | None) -> None:
    """Refuse a PET of a nuclide of hepatica's that emits no positrons; others, and none, are not known here.

    Raises
    ------
    PhysicsError
        With the reason.
    """
    found = _nuclide(name)
    if found is not None:
        require_positrons(found.name, found.positron_yield)


def positron_note(name: str, fraction: float) -> tuple[Message, ...]:
    """What the header's positron fraction does to the activity, if it is not the evaluated one."""
    found = _nuclide(name)
    table = 0.0 if found is None else found.positron_yield
    if not table or abs(fraction / table - 1) <= POSITRON_TOLERANCE:
        return ()
    text = (
        f"the header's positron fraction of {name} is {fraction:g}, evaluated is {table:g}: if the scanner divided by "
        f"its own, the activity is {fraction / table:.4g} times too low"
    )
    if 1 / LEFT_IN < fraction / table < LEFT_IN:
        return (Message("positron-fraction-differs", text),)
    near = [key for key, usual in USUAL_FRACTIONS.items() if abs(fraction / usual - 1) <= POSITRON_TOLERANCE]
    whose = f" (it is that of {' or '.join(near)}, left in from another protocol)" if near else ""
    remedy = (
        f"compare the total with the activity administered; if it is off by as much, multiply by {fraction / table:.5g}"
    )
    return (Message("positron-fraction-differs", text + whose, remedy, "critical"),)


def coincidences_wrong(headers: Sequence[Header], nuclide: str | None) -> tuple[Message, ...]:
    """What the header says, or does not, of randoms that were not taken off, and of slices without prompts."""
    found: tuple[Message, ...] = ()
    corrected = headers[0].texts("CorrectedImage")
    method = headers[0].text("RandomsCorrectionMethod")
    if method == "NONE":
        text = (
            "RandomsCorrectionMethod is NONE: random coincidences are counted as activity; of 90Y they are 50 to 90 % "
            "of all, and the dose is several times too high, most where nothing is"
        )
        remedy = "reconstruct again with randoms correction; no factor mends the distribution"
        found += (Message("not-randoms-corrected", text, remedy, "critical"),)
    elif nuclide == "Y-90" and not method and corrected and "RAN" not in corrected:
        text = (
            f"CorrectedImage ({'/'.join(corrected)}) has no RAN, and there is no RandomsCorrectionMethod: whether "
            "random coincidences were taken off is not stated; of 90Y they are 50 to 90 % of all"
        )
        remedy = "ask how it was reconstructed; compare the total with the activity administered"
        found += (Message("randoms-correction-not-stated", text, remedy),)
    elif method and corrected and "RAN" not in corrected:
        text = (
            f"CorrectedImage ({'/'.join(corrected)}) has no RAN, but RandomsCorrectionMethod is {method}: the header "
            "contradicts itself, and random coincidences (of 90Y 50 to 90 % of all) may be counted as activity"
        )
        remedy = "ask how it was reconstructed; compare the total with the activity administered"
        found += (Message("randoms-correction-contradicted", text, remedy),)
    prompts = [header.number("PrimaryPromptsCountsAccumulated") for header in headers]
    empty = [n for n, count in enumerate(prompts) if count == 0]
    if empty and len(empty) < len(headers):
        text = (
            f"PrimaryPromptsCountsAccumulated is 0 in {len(empty)} of {len(headers)} slices: a bed position or a part "
            "of the list is missing, and its activity with it"
        )
        found += (Message("prompts-missing", text, "reconstruct again from all of the list", "critical"),)
    return found


def _nuclide(name: str | None) -> Nuclide | None:
    from hepatica.nuclides import nuclide

    if name is None:
        return None
    try:
        return nuclide(name)
    except UnknownNameError:
        return None
