"""The liver on a CT with or without contrast agent, with the uptake of a scout where there is one.

Classical and honest: it is found by its place under the right lung, its CT numbers and its edges. What has the CT
numbers of liver and no edge towards it (wall, heart, stomach, kidney on some unenhanced images) can be taken for liver;
the quality says where that is likely. A person must check every contour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.coarse import Mask, grown, opened
from hepatica.anatomy.segmentation.growing import Grown, grow_organ, logistic
from hepatica.anatomy.segmentation.torso import STEP_MM, Torso

Array = NDArray[np.float32]

LESION_REACH_MM = 20.0
"""A lesion at the border is enclosed where closing by this takes it in: dents up to twice as wide are looked at."""

LESION_ENCLOSED = 0.65
"""Share of a dent's surface that must be liver, lung or wall to be a lesion; a gallbladder has about half."""

LESION_ABOVE_HU = -20.0
"""Fat is no lesion."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundLiver:
    """The liver on coarse voxels.

    Attributes
    ----------
    grown : Grown
        Probability, and what the liver looks like.
    mask : ndarray of bool
        With enclosed lesions.
    """

    grown: Grown
    mask: Mask

    @property
    def probability(self) -> Array:
        """That a voxel belongs to the liver, enclosed lesions included."""
        return np.maximum(self.grown.probability, (self.mask & ~self.grown.mask).astype(np.float32))


def find_liver(torso: Torso, uptake: Mask | None = None, evidence: Array | None = None) -> FoundLiver | None:
    """Find the liver.

    Parameters
    ----------
    torso : Torso
        CT and landmarks.
    uptake : ndarray of bool, optional
        Voxels of the torso's grid that certainly are liver, from `uptake.liver_uptake`.
    evidence : ndarray, optional
        What the uptake says of each voxel, from the same.

    Returns
    -------
    FoundLiver or None
        None where nothing is liver.
    """
    start = below_right_lung(torso) if uptake is None else uptake
    found = grow_organ(torso, liver_place(torso), start, certain=uptake, also=evidence)
    if found is None or not found.mask.any():
        return None
    return FoundLiver(found, found.mask | _enclosed(found.mask, torso))


def liver_place(torso: Torso) -> Array:
    """Probability of liver by place alone: inside the wall, below the diaphragm, right rather than left.

    The left lobe lies before the spine and ends on the left within about 100 mm of it; the right lobe ends within 190
    mm of the dome; behind and below it lies the kidney. Widths are our choice from general anatomy.
    """
    left, behind, deep = torso.left_of_spine_mm, torso.behind_front_mm, torso.below_dome_mm
    inside = logistic(torso.inside_ribs_mm / 3) * logistic((torso.below_diaphragm_mm + 2) / 4)
    across = np.where(left < 20, 1.0, np.exp(-np.square(np.maximum(left - 20, 0) / 40) / 2))
    across = across * np.where(left > 0, logistic(-(behind + 15) / 8), 1.0)
    along = np.where(left < 0, logistic((190 - deep) / 15), logistic((120 - deep) / 12))
    kidney = 0.9 * logistic((deep - 85) / 12) * logistic((behind + 5) / 8)
    return np.asarray(0.85 * inside * across * along * (1 - kidney) * torso.body * ~torso.lungs, np.float32)


def below_right_lung(torso: Torso) -> Mask:
    """Soft tissue under the right dome, where liver prevails in everyone."""
    left, behind, below = torso.left_of_spine_mm, torso.behind_front_mm, torso.below_diaphragm_mm
    there = (left < -30) & (left > -140) & (behind < 40) & (below > 8) & (below < 60)
    return np.asarray(there & (torso.inside_ribs_mm > 10) & torso.soft)


def _enclosed(liver: Mask, torso: Torso) -> Mask:
    """Holes, and dents that liver, lung and wall enclose: lesions of other CT numbers."""
    from scipy import ndimage

    pad = round(LESION_REACH_MM / STEP_MM) + 2
    wide = np.pad(liver, pad)
    closed = ~grown(~grown(wide, LESION_REACH_MM, STEP_MM), LESION_REACH_MM, STEP_MM)
    closed = closed[pad:-pad, pad:-pad, pad:-pad]
    tissue = torso.body & ~torso.lungs & (torso.smooth > LESION_ABOVE_HU) & (torso.inside_ribs_mm > 0)
    dents = opened(closed & ~liver & tissue, STEP_MM / 2, STEP_MM)
    out = np.asarray(ndimage.binary_fill_holes(liver) & ~liver)
    border = liver | torso.lungs | (torso.inside_ribs_mm < 0)
    labels, _ = ndimage.label(dents)
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        i, j, k = (slice(max(0, s.start - 1), s.stop + 1) for s in found)
        dent = labels[i, j, k] == number
        shell = ndimage.binary_dilation(dent) & ~dent
        if (shell & border[i, j, k]).sum() > LESION_ENCLOSED * shell.sum():
            out[i, j, k] |= dent
    return out
