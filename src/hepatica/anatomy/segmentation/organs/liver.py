"""The liver on a CT with or without contrast agent, with the uptake of a scout where there is one.

Classical and honest: it is found by its place under the right lung, its CT numbers and its edges. What has the CT
numbers of liver and no edge towards it (wall, heart, stomach, kidney on some unenhanced images) can be taken for liver;
the quality says where that is likely. A person must check every contour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.organs.growing import Grown, grow_organ, logistic
from hepatica.anatomy.segmentation.trunk.coarse import Mask, grown, opened
from hepatica.anatomy.segmentation.trunk.torso import STEP_MM, Torso

Array = NDArray[np.float32]

LESION_REACH_MM = 20.0
"""A lesion at the border is enclosed where closing by this takes it in: dents up to twice as wide are looked at."""

LESION_ENCLOSED = 0.65
"""Share of a dent's surface that must be liver, lung or wall to be a lesion; a gallbladder has about half."""

LESION_ABOVE_HU = -20.0
"""Fat is no lesion."""

LARGE_REACH_MM, LARGE_CORE_MM, LARGE_PLACE = 40.0, 10.0, 0.45
"""A large lesion at the surface: what closing by this takes in, as far as balls of that radius fit into it, where liver
is expected by place (kidney, stomach and bowel, which large dents hold as well, lie elsewhere)."""


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
    place = liver_place(torso)
    found = grow_organ(torso, place, start, certain=uptake, also=evidence)
    if found is None or not found.mask.any():
        return None
    return FoundLiver(found, found.mask | _enclosed(found.mask, torso, place))


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
    # Duodenum and pancreas, of the CT numbers of a fatty liver: beside the spine below the liver's hilum.
    duodenum = 0.9 * logistic((deep - 100) / 10) * logistic((left + 55) / 8)
    return np.asarray(
        0.85 * inside * across * along * (1 - kidney) * (1 - duodenum) * torso.body * ~torso.lungs, np.float32
    )


def below_right_lung(torso: Torso) -> Mask:
    """Soft tissue under the right dome, where liver prevails in everyone."""
    left, behind, below = torso.left_of_spine_mm, torso.behind_front_mm, torso.below_diaphragm_mm
    there = (left < -30) & (left > -140) & (behind < 40) & (below > 8) & (below < 60)
    return np.asarray(there & (torso.inside_ribs_mm > 10) & torso.soft)


def _enclosed(liver: Mask, torso: Torso, place: Array) -> Mask:
    """Holes, and dents that liver, lung and wall enclose: lesions of other CT numbers."""
    from scipy import ndimage

    out = np.asarray(ndimage.binary_fill_holes(liver) & ~liver)
    tissue = torso.body & ~torso.lungs & (torso.smooth > LESION_ABOVE_HU) & (torso.inside_ribs_mm > 0)
    border = liver | torso.lungs | (torso.inside_ribs_mm < 0)
    small = opened(_closing(liver, LESION_REACH_MM) & tissue, STEP_MM / 2, STEP_MM)
    for window, dent in _pieces(small, 1):
        if _is_within(dent, border[window]):
            out[window] |= dent
    large = _closing(liver, LARGE_REACH_MM) & tissue & (torso.below_diaphragm_mm > 0) & (place > LARGE_PLACE / 4)
    cores = opened(large & ~out, LARGE_CORE_MM, STEP_MM)
    for window, core in _pieces(cores, round(LARGE_CORE_MM / STEP_MM) + 2):
        dent = grown(core, LARGE_CORE_MM, STEP_MM) & large[window]
        if float(place[window][dent].mean()) > LARGE_PLACE and _is_within(dent, border[window] | out[window]):
            out[window] |= dent
    return out


def _closing(liver: Mask, reach_mm: float) -> Mask:
    """What closing by a ball takes in."""
    pad = round(reach_mm / STEP_MM) + 2
    closed = ~grown(~grown(np.pad(liver, pad), reach_mm, STEP_MM), reach_mm, STEP_MM)
    return np.asarray(closed[pad:-pad, pad:-pad, pad:-pad] & ~liver)


def _pieces(mask: Mask, margin: int) -> Iterator[tuple[tuple[slice, ...], Mask]]:
    """What hangs together, each in a window around it with so many voxels to spare."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    for number, found in enumerate(ndimage.find_objects(labels), start=1):
        window = tuple(slice(max(0, s.start - margin), s.stop + margin) for s in found)
        yield window, np.asarray(labels[window] == number)


def _is_within(dent: Mask, border: Mask) -> bool:
    """Whether liver, lung and wall make up most of the surface of a dent."""
    from scipy import ndimage

    shell = ndimage.binary_dilation(dent) & ~dent
    return bool((shell & border).sum() > LESION_ENCLOSED * shell.sum())
