"""What the images of a dose know of their becquerels, as it enters the dose, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hepatica.anatomy.structures.clinical import ClinicalRegion
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.core.resample import resample_region
from hepatica.imaging.pet.acquisition.net_counts import about_ratio
from hepatica.imaging.quantify.structure_activity import StructureActivity
from hepatica.workflow.dose.decays import DecayCount


def with_counting(
    activities: Sequence[StructureActivity], drawn: Sequence[ClinicalRegion], image: Image
) -> tuple[StructureActivity, ...]:
    """Structures with the noise of the counts where the maker of the image found it of the same region.

    Parameters
    ----------
    activities : sequence of StructureActivity
        Where replicates told it, that stays.
    drawn : sequence of ClinicalRegion
        The structures, in the same order.
    image : Image
        What they were read from, in the frame of the structures.
    """
    certainty, total = image.acquisition.certainty, image.volume.total
    if not certainty.counted or not total > 0:
        return tuple(activities)
    found = []
    for item, one in zip(drawn, activities, strict=True):
        chain = one.uncertainty
        if chain is None or chain.counting_relative_sd is not None:
            found.append(one)
            continue
        shown_ml = resample_region(item.region, image.grid).volume_ml
        counting = certainty.counting_of(shown_ml, one.decays / total)
        found.append(replace(one, uncertainty=replace(chain, counting_relative_sd=counting)))
    return tuple(found)


def about_certainty(count: DecayCount, images: Sequence[Image]) -> tuple[Message, ...]:
    """That no interval can be stated, where it cannot; and that an image does not hold what its list counted."""
    notes: tuple[Message, ...] = ()
    if count.calibration_relative_sd is None:
        text = (
            "the uncertainty of the activity in the image is not stated: mean doses stand without an interval, and "
            "limits are judged by the mean alone"
        )
        remedy = (
            "take an image whose maker states it, or state `calibration` with its uncertainty; of counts that are "
            "scaled to it, `administered_sd`"
        )
        notes = (Message("dose-interval-not-stated", text, remedy, "note"),)
    told = (image.acquisition.certainty for image in images)
    return unique(notes, *(about_ratio(one.over_counts, one.over_counts_sd) for one in told))
