"""What the images of a dose know of their becquerels, as it enters the dose, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.core.resample import resample_region
from hepatica.imaging.pet.acquisition.net_counts import about_ratio
from hepatica.imaging.quantify.acquisition_conditions import BLUR_LEFT
from hepatica.imaging.quantify.blurred.sphere import mean_recovery, sphere_diameter_mm
from hepatica.imaging.quantify.structure_activity import StructureActivity
from hepatica.io.calibration_files import conditions_of
from hepatica.workflow.dose.decays import DecayCount

NAMED_TUMOURS = 3
"""So many tumours are named in a message, those that lose most first."""


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
        if chain is not None and chain.counting_relative_sd is not None:
            found.append(one)
            continue
        shown_ml = resample_region(item.region, image.grid).volume_ml
        counting = certainty.counting_of(shown_ml, one.decays / total)
        if chain is None:
            # Of a mean that noise brought below zero: in decays, since nothing relative to it means anything.
            found.append(replace(one, decays_sd=None if counting is None else counting * abs(one.decays)))
            continue
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
            "take an image whose maker states it (a PET by hepatica does once every part of its scale is known: "
            "scale-uncertainty-unknown of its result names those that are not), or state `calibration` with its "
            "uncertainty; of counts that are scaled to it, `administered_sd`"
        )
        notes = (Message("dose-interval-not-stated", text, remedy, "note"),)
    told = (image.acquisition.certainty for image in images)
    return unique(notes, *(about_ratio(one.over_counts, one.over_counts_sd) for one in told))


def kept_contrast(volume_ml: float, left_mm: float, voxel_mm: Sequence[float]) -> float:
    """Share of its contrast that a sphere keeps where so much blur (FWHM) is left in an image of such voxels.

    Voxels blur twice, the image that they sample and the region that is read on them, each with the variance
    a**2 / 12. In SPECT by default settings within 0.03 of what spheres of 24 to 40 mm kept in voxels of 4.8 mm, and up
    to 0.08 too little in voxels of 9.6 mm (docs/spect-study.md); where less blur than by default is left, the image
    keeps less than this.
    """
    voxels = FWHM_PER_SD**2 * 2 * sum(size**2 for size in voxel_mm) / (3 * 12)
    return mean_recovery(sphere_diameter_mm(volume_ml), math.sqrt(left_mm**2 + voxels))


def about_recovery(drawn: Sequence[ClinicalRegion], image: Image, nuclide_name: str) -> tuple[Message, ...]:
    """By how much tumours that nobody corrected read too low, in an image that says which blur was left in it."""
    told = conditions_of(image, nuclide_name=nuclide_name).reconstruction
    left = told.get(BLUR_LEFT)
    tumours = [one.region for one in drawn if one.structure is Structure.TUMOUR and not one.region.is_empty]
    if not isinstance(left, int | float) or not tumours:
        return ()
    smoothed = math.hypot(float(left), float(told.get("post_filter_mm") or 0.0))
    lost = {one.name: 1 - kept_contrast(one.volume_ml, smoothed, image.grid.spacing_mm) for one in tumours}
    most = sorted(lost, key=lambda name: -lost[name])[:NAMED_TUMOURS]
    named = ", ".join(f"{name!r} {lost[name]:.0%}" for name in most)
    more = f" (and {len(lost) - len(most)} that lose less)" if len(lost) > len(most) else ""
    text = (
        f"tumours are not corrected for partial volume: of the {smoothed:.3g} mm of blur in the image and its voxels "
        f"spheres of their volumes lose about this share of their contrast to what lies around them: {named}{more}; "
        "their mean doses read too low by that, and an interval around them does not hold it"
    )
    remedy = (
        "measure the spheres of a phantom that is reconstructed alike (`calibrate_camera`, `source` nema) and state "
        "their curve as `recovery`"
    )
    return (Message("tumours-not-recovered", text, remedy),)
