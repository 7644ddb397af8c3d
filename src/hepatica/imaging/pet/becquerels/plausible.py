"""What is wrong with a PET that somebody else reconstructed, by its total against the activity administered.

A total that is off by a factor names its cause, as causes have factors of their own: a positron fraction of 18F left in
makes 90Y 30 000 times too low; decay corrected with another half-life is off by a power of the time that passed;
randoms that were not taken off make it several times too high.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hepatica.core.decay import seconds_between
from hepatica.core.image import Acquisition
from hepatica.core.message import Message
from hepatica.imaging.pet.becquerels.positrons import USUAL_FRACTIONS, USUAL_HALF_LIVES_S
from hepatica.nuclides import Nuclide

NEAR = 0.25
"""A cause is named where its factor explains the total within this share: recovery, lungs out of view and the activity
meter leave a PET as much. Our choice."""
FAR = 0.35
"""Difference from 1 from which on a cause is looked for at all."""
RANDOMS = (2.0, 12.0)
"""Totals that uncorrected randoms and scatter make: of 90Y 50 to 90 % of the prompts are random (QUEST, Willowson et
al., EJNMMI Phys 2015;2:28)."""
PET = "PT"
WRONG_FRACTION = 2.0
"""A positron fraction so many times off is that of another nuclide."""
DIFFERS, UNUSED = "positron-fraction-differs", "positron-fraction-unused"
LEAST_IMAGED_BQ = 1e6
"""Of 90Y: 32 positrons a second, of which the most sensitive scanner (18 %) counts 6 without tissue, others (1 %) 0.3;
the 176Lu of the crystals makes thousands of coincidences a second beside them."""
MOST_BQ = 1e11
"""Five times the largest vials of 90Y microspheres (20 GBq); no diagnostic nuclide comes near it."""
TREATED_BQ = (1e8, 2e10)
"""Of a radioembolization."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that makes a total wrong: found over true, what it is, what to do."""

    factor: float
    text: str
    remedy: str


def total_explained(
    found_bq: float, expected_bq: float, acquisition: Acquisition, nuclide: Nuclide
) -> tuple[Message, ...]:
    """What makes the total of a PET differ so much from what was administered; nothing where it does not, or no PET.

    Parameters
    ----------
    found_bq, expected_bq : float
        In the image, and in view of the activity administered, at one instant.
    acquisition : Acquisition
        What the file says.
    nuclide : Nuclide
        What is in the patient.
    """
    if acquisition.modality != PET or not (found_bq > 0 and expected_bq > 0):
        return ()
    ratio = found_bq / expected_bq
    if abs(ratio - 1) <= FAR:
        return _fraction_unused(ratio, acquisition, nuclide)
    fitting = [c for c in causes(acquisition, nuclide) if abs(math.log(ratio / c.factor)) < math.log(1 + NEAR)]
    if fitting:
        best = min(fitting, key=lambda cause: abs(math.log(ratio / cause.factor)))
        others = "; or " + "; or ".join(c.text for c in fitting if c is not best) if len(fitting) > 1 else ""
        text = f"the PET holds {ratio:.4g} times what it should, as if {best.text} (factor {best.factor:.4g}){others}"
        return (Message("pet-total-explained", text, best.remedy, "critical"),)
    if RANDOMS[0] <= ratio <= RANDOMS[1]:
        text = (
            f"the PET holds {ratio:.3g} times what it should, as where random or scattered coincidences were not taken "
            f"off: of {nuclide.name} most of what is counted is random"
        )
        remedy = "reconstruct with randoms and scatter correction; do not scale it, the distribution is wrong too"
        return (Message("pet-total-randoms", text, remedy, "critical"),)
    if ratio < 1:
        text = (
            f"the PET holds {ratio:.3g} times what it should: prompts may be missing (a bed position, a part of the "
            "frame, dead time), attenuation may not be corrected, or activity lies outside of the field"
        )
        remedy = "check the bed positions, the frame's duration and the attenuation map, then the vial's residual"
        return (Message("pet-total-low", text, remedy),)
    return ()


def _fraction_unused(ratio: float, acquisition: Acquisition, nuclide: Nuclide) -> tuple[Message, ...]:
    """That the scanner did not divide by a wrong positron fraction of the header, as the total is right."""
    fraction, positrons = acquisition.positron_fraction, nuclide.positron_yield
    if not (fraction and positrons) or 1 / WRONG_FRACTION < fraction / positrons < WRONG_FRACTION:
        return ()
    text = (
        f"the header's positron fraction is {fraction:g}, that of {nuclide.name} is {positrons:.4g}; the total is "
        f"{ratio:.3g} times what was administered, so the activity was not divided by the header's: it is right"
    )
    return (Message(UNUSED, text, "do not multiply the activity", "note"),)


def settled(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages without what the total against the activity administered has answered.

    A positron fraction of the header that looks wrong is critical until the total is known to be right.
    """
    codes = {message.code for message in messages}
    if UNUSED not in codes:
        return tuple(messages)
    return tuple(message for message in messages if message.code != DIFFERS)


def total_implausible(found_bq: float, acquisition: Acquisition, nuclide: Nuclide) -> tuple[Message, ...]:
    """A total that no patient holds, or of 90Y one that cannot be imaged, where nobody says what was administered.

    Parameters
    ----------
    found_bq : float
        In the image at its own instant.
    acquisition : Acquisition
    nuclide : Nuclide
    """
    if acquisition.modality == PET and found_bq > MOST_BQ:
        return (_too_much(found_bq, nuclide),)
    if acquisition.modality != PET or nuclide.name != "Y-90" or not 0 < found_bq < LEAST_IMAGED_BQ:
        return ()
    near = [
        name for name, fraction in USUAL_FRACTIONS.items() if _treated(found_bq * fraction / nuclide.positron_yield)
    ]
    whose = (
        f"; with the positron fraction of {near[0]} ({USUAL_FRACTIONS[near[0]]:g}) left in it would be "
        f"{found_bq * USUAL_FRACTIONS[near[0]] / nuclide.positron_yield / 1e6:.4g} MBq"
        if near
        else ""
    )
    text = (
        f"the PET holds {found_bq / 1e6:.3g} MBq of {nuclide.name}: of so little a scanner counts less than one "
        f"coincidence a second, and no image can be made{whose}"
    )
    remedy = "check the nuclide at the console and the unit; state `administered_bq`, against which the total is held"
    return (Message("pet-total-implausible", text, remedy, "critical"),)


def _too_much(found_bq: float, nuclide: Nuclide) -> Message:
    likely = {name: found_bq * nuclide.positron_yield / fraction for name, fraction in USUAL_FRACTIONS.items()}
    of = ", ".join(f"{bq / 1e6:.3g} MBq of {name}" for name, bq in likely.items() if 0 < bq < MOST_BQ)
    text = (
        f"the PET holds {found_bq / 1e9:.4g} GBq of {nuclide.name}: no patient is given so much"
        + (f"; as many positrons come of {of}" if of else "")
        + ". The list may be of another nuclide than it says, or its duration or unit wrong"
    )
    remedy = "check the nuclide at the console, the duration and the unit; do not compute a dose of it"
    return Message("pet-total-implausible", text, remedy, "critical")


def _treated(activity_bq: float) -> bool:
    return TREATED_BQ[0] < activity_bq < TREATED_BQ[1]


def causes(acquisition: Acquisition, nuclide: Nuclide) -> Iterator[Cause]:
    """What is known to make a total wrong, each with its factor."""
    positrons = nuclide.positron_yield
    if positrons:
        for name, fraction in USUAL_FRACTIONS.items():
            yield Cause(
                positrons / fraction,
                f"the positron fraction of {name} ({fraction:g}) had been left in for {nuclide.name}",
                f"multiply the activity by {fraction / positrons:.5g}, or choose {nuclide.name} at the console and "
                "reconstruct again",
            )
        yield Cause(
            positrons,
            "it had not been divided by the positrons per decay",
            f"multiply the activity by {1 / positrons:.5g}",
        )
        yield Cause(
            1 / positrons,
            "it had been divided by the positrons per decay twice",
            f"multiply the activity by {positrons:.5g}",
        )
    yield from _decays(acquisition, nuclide)
    for factor, text in ((1e-3, "its values were kBq/mL"), (1e-6, "its values were MBq/mL")):
        yield Cause(factor, text, f"multiply the activity by {1 / factor:g} after a look at the unit of the export")


def _decays(acquisition: Acquisition, nuclide: Nuclide) -> Iterator[Cause]:
    """Decay from administration to scan, corrected with another half-life, not at all, or twice."""
    if acquisition.administered_at is None or acquisition.start is None:
        return
    elapsed = seconds_between(acquisition.administered_at, acquisition.start)
    if not elapsed > 0:
        return
    own = math.log(2) / nuclide.half_life_s
    for name, half_life in USUAL_HALF_LIVES_S.items():
        rate = math.log(2) / half_life
        if elapsed * max(rate, own) > MOST_DECAY:
            continue
        factor = math.exp((rate - own) * elapsed)
        yield Cause(
            factor,
            f"decay had been corrected to the administration with the half-life of {name}, {half_life:g} s",
            f"multiply the activity by {1 / factor:.4g}, or reconstruct with the half-life of {nuclide.name}",
        )
    yield Cause(
        math.exp(own * elapsed),
        "decay had been corrected to the administration twice",
        f"multiply the activity by {math.exp(-own * elapsed):.4g} after a look at DecayCorrection",
    )
    yield Cause(
        math.exp(-own * elapsed),
        "decay had not been corrected where the header says so",
        f"multiply the activity by {math.exp(own * elapsed):.4g} after a look at DecayCorrection",
    )


MOST_DECAY = 60.0
"""Decay constants times elapsed time: beyond, the factor is one that no file holds."""
