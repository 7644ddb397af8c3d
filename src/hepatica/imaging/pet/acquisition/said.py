"""What must be said of a reconstructed PET: subsets, noise, and how sure its scale is."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.imaging.pet.acquisition.image import BedFacts
from hepatica.imaging.pet.acquisition.options import PetIterationOptions
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration


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


def about_scale(scale: CrossCalibration, *, simulated: bool) -> tuple[Message, ...]:
    """Which parts of the scale's uncertainty are not known; of a simulation nothing."""
    unknown = [part.name for part in scale.parts if part.relative_sd is None]
    if simulated or not unknown:
        return ()
    text = (
        f"the uncertainty of the activity leaves out what is not known: {', '.join(unknown)}; stated is counting alone"
    )
    return (
        Message("scale-uncertainty-unknown", text, "state `calibration_relative_sd` and `meter_relative_sd`", "note"),
    )
