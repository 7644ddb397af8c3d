"""Beds that have begun: what each knows of the activity around it, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepatica.core import Grid
from hepatica.imaging.pet.acquisition.certainty import Beds, Window
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration, Part
from hepatica.imaging.pet.beyond import ASSUMED, Around, end_planes, touching
from hepatica.imaging.pet.reconstruction import FrameJob

BEYOND_FIELD = "scatter of activity beyond the field"
SHORT_MM = 50.0
"""A CT that shows less than this beyond the field leaves out most of the body whose scatter reaches it."""


@dataclass(frozen=True, slots=True, eq=False)
class BegunBed:
    """A bed before its image, and how that will go into the whole.

    Attributes
    ----------
    job : FrameJob
    window, back, seconds
        As of `hepatica.imaging.pet.acquisition.certainty.SolvedBed`.
    """

    job: FrameJob
    window: Window
    back: float
    seconds: float


def surroundings(begun: Sequence[BegunBed], grid: Grid) -> Iterator[Around | None]:
    """For each bed, what a first look of all beds shows of the activity around it.

    None where there is one bed, or scatter is not corrected for.
    """
    if len(begun) == 1 or not begun[0].job.model.scatter:
        yield from [None] * len(begun)
        return
    whole, weight = np.zeros(grid.shape), np.zeros(grid.shape)
    for bed in begun:
        seen = bed.job.seen.image.astype(np.float64) * bed.seconds
        whole[bed.window] += bed.job.looked(1) * seen * (bed.job.bq_ml * bed.back)
        weight[bed.window] += seen
    bq_ml = np.divide(whole, weight, out=np.zeros_like(whole), where=weight > 0)
    for bed in begun:
        yield Around(grid, (bq_ml / (bed.job.bq_ml * bed.back)).astype(np.float32), weight)


def with_beyond(scale: CrossCalibration, share: float, relative_sd: float = ASSUMED / math.sqrt(3)) -> CrossCalibration:
    """The scale with the doubt of what lies beyond all beds.

    Where nobody knows how far it goes on, anything between nothing and twice of what was taken to be there is held for
    equally likely (GUM, JCGM 100:2008, 4.3.7); where the CT shows the organ's end, half of that. Without it the true
    coincidences would be 1 / (1 - share) as many.

    Parameters
    ----------
    scale : CrossCalibration
    share : float
        Of the counts that are not random, scatter of activity taken to be there; of the bed that it concerns most.
    relative_sd : float
        Of that activity.
    """
    if not share:
        return scale
    return replace(scale, parts=(*scale.parts, Part(BEYOND_FIELD, share / (1 - share) * relative_sd)))


def unknown_beyond(cut: Mapping[str, float], whole: Beds) -> tuple[str, ...]:
    """Sides, feet or head, at which activity touches the end of what was seen and no CT shows what is beyond.

    Parameters
    ----------
    cut : mapping of str to float
        Ends of the CT at which the body goes on, and by how many mm the scanner saw beyond.
    whole : Beds
    """
    look, weight = whole.first_look(), whole.weight
    planes = end_planes(whole.grid.spacing_mm[2])
    ends = {"feet": slice(0, planes), "head": slice(-planes, None)}
    mean = float((look * weight).sum() / weight.sum())
    found = []
    for side, beyond in cut.items():
        there = weight[..., ends[side]]
        held = float((look[..., ends[side]] * there).sum())
        if beyond > -SHORT_MM and touching(held, mean * float(there.sum())) > 0:
            found.append(side)
    return tuple(found)
