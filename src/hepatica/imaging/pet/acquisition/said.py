"""What must be said of a reconstructed PET: subsets, noise, and how sure its scale is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.imaging.pet.acquisition.certainty import RegionActivity
from hepatica.imaging.pet.acquisition.image import BedFacts
from hepatica.imaging.pet.acquisition.options import PetIterationOptions, PetOptions
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration
from hepatica.imaging.pet.beyond import REACH_MM

WHOLE = 0.98
"""Seen share of a structure from which on it is whole: borders on other voxels are off by as much."""
TELLING_SHARE = 0.005
"""From here on it is said what part of the counts rests on activity that nobody saw."""

BEYOND_REMEDY = (
    "scan a further bed position, so that the activity lies within the field; a CT that shows all of the liver, and "
    "`structures` with it, say where it ends"
)


def about_beds(said: PetIterationOptions, beds: Sequence[BedFacts]) -> tuple[Message, ...]:
    """Where fewer subsets were used than asked for, and where noise ended the iterations.

    Parameters
    ----------
    said : PetIterationOptions
    beds : sequence of BedFacts
    """
    found = []
    for number, bed in enumerate(beds):
        where = f"bed {number + 1}: " if len(beds) > 1 else ""
        if said.method != "wls" and bed.subsets < said.subsets:
            few = max(bed.prompts - bed.randoms, 0.0)
            text = (
                f"{where}{few:.0f} coincidences that are not random allow {bed.subsets} subsets in place of "
                f"{said.subsets}; {bed.iterations} iterations were done"
            )
            found.append(Message("fewer-subsets", text, severity="note"))
        if bed.voxel_noise and said.noise_target is not None:
            reached = bed.voxel_noise[bed.iterations - 1]
            if reached > said.noise_target:
                text = (
                    f"{where}a voxel's noise is {100 * reached:.0f} % after the first iteration already, above the "
                    f"target of {100 * said.noise_target:.0f} %"
                )
                remedy = "take larger voxels or a filter, or a higher target"
                found.append(Message("noise-above-target", text, remedy))
            else:
                text = (
                    f"{where}{bed.iterations} iterations keep a voxel's noise at {100 * reached:.0f} %, below the "
                    f"target of {100 * said.noise_target:.0f} %"
                )
                found.append(Message("stopped-by-noise", text, severity="note"))
    return tuple(found)


def about_beyond(beds: Sequence[BedFacts], unknown: Sequence[str]) -> tuple[Message, ...]:
    """Where activity touches the end of the field, and what that does.

    Parameters
    ----------
    beds : sequence of BedFacts
    unknown : sequence of str
        Sides at which no CT shows what is beyond.
    """
    found = []
    most = max(beds, key=lambda bed: bed.beyond_share)
    share = most.beyond_share
    if share > TELLING_SHARE and most.beyond_in_organ:
        text = (
            f"activity touches the end of the field: {100 * share:.1f} % of the coincidences that are not random are "
            "taken for scatter of activity beyond it, where the CT shows the liver go on, with the concentration of "
            f"its last planes; per half of it more or less there the image is {50 * share / (1 - share):.1f} % too "
            "high or too low; that doubt is in the uncertainty"
        )
        found.append(Message("activity-beyond-field", text, BEYOND_REMEDY))
    elif share > TELLING_SHARE:
        text = (
            f"activity touches the end of the field: {100 * share:.1f} % of the coincidences that are not random are "
            "taken for scatter of activity beyond it, as if the concentration of the last planes went on "
            f"{REACH_MM:g} mm into the body; if it ends with the field the image holds "
            f"{100 * share / (1 - share):.1f} % too little, and if twice as much lies beyond as much too much; "
            "that doubt is in the uncertainty"
        )
        found.append(Message("activity-beyond-field", text, BEYOND_REMEDY))
    if unknown:
        text = (
            f"activity touches the end of the field towards the {' and the '.join(unknown)}, where the CT ends: "
            "scatter of activity beyond the CT is not known. Left in, it makes concentrations too high, by 3 to 14 % "
            "in cylinders that went on by 11 cm; where less lies beyond than was assumed they are too low"
        )
        remedy = "give a CT that goes on for 15 cm beyond the field, or scan a further bed position"
        found.append(Message("activity-beyond-ct", text, remedy))
    return tuple(found)


def about_seen(contents: Sequence[RegionActivity]) -> tuple[Message, ...]:
    """Structures of which the image shows a part, or nothing.

    Parameters
    ----------
    contents : sequence of RegionActivity
    """
    outside = [one.name for one in contents if one.activity_mbq is None]
    cut = [one for one in contents if one.activity_mbq is not None and one.seen_share < WHOLE]
    found = []
    if outside:
        text = f"{', '.join(outside)}: outside of what the beds saw, so that nothing is known of the activity there"
        found.append(Message("structure-not-seen", text, "take a scan whose beds see it, or leave it out"))
    if cut:
        shares = ", ".join(f"{one.name} {100 * one.seen_share:.0f} %" for one in cut)
        text = f"the beds saw a part of the volume alone ({shares}): volume and activity are of that part"
        found.append(Message("structure-cut", text, "do not take them for those of the whole structure"))
    return tuple(found)


def about_uncertainty(options: PetOptions) -> tuple[Message, ...]:
    """Why no uncertainty of counting stands beside the activity, or what one lacks; else nothing."""
    if options.iteration.method == "bsrem" and options.uncertainty.samples is None:
        text = "the uncertainty of counting is not known: of the method bsrem it comes of resampled lists alone"
        return (Message("uncertainty-not-known", text, "state `samples`, or take another method", "note"),)
    if options.iteration.method == "bsrem":
        text = (
            "the uncertainty of counting is that between resampled lists: what the penalty of bsrem smooths away, so "
            "that small hot structures read too little, is not in it"
        )
        return (Message("uncertainty-without-bias", text, "take the method wls for activities", "note"),)
    if options.uncertainty.skip_uncertainty and options.uncertainty.samples is None:
        text = "the uncertainty of counting was left out as asked: no interval stands beside the activity"
        return (Message("uncertainty-left-out", text, "leave `skip_uncertainty` out", "note"),)
    return ()


TO_STATE = {
    "cross-calibration": "`calibration_relative_sd`",
    "meter, for this nuclide": "`meter_relative_sd`",
}
"""Part of the scale -> option that tells its uncertainty."""


def about_scale(scale: CrossCalibration, *, simulated: bool) -> tuple[Message, ...]:
    """Which parts of the scale's uncertainty are not known, what the others come to, and what to state.

    Of a simulation nothing.
    """
    unknown = [part.name for part in scale.parts if part.relative_sd is None]
    if simulated or not unknown:
        return ()
    known = {part.name: part.relative_sd for part in scale.parts if part.relative_sd is not None}
    text = (
        f"the uncertainty of the activity leaves out what is not known: {', '.join(unknown)}; stated is counting "
        "alone, and a dose of this image has no interval"
    )
    if known:
        text += f" (known of the scale: {100 * math.hypot(*known.values()):.1f} % by {', '.join(known)})"
    remedy = f"state {' and '.join(TO_STATE[name] for name in unknown if name in TO_STATE)}"
    return (Message("scale-uncertainty-unknown", text, remedy if len(remedy) > len("state ") else "", "note"),)
