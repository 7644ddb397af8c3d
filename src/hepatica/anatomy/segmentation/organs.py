"""Spleen, spine and kidneys, as far as place, CT numbers and edges show them; not drawn where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.coarse import Mask, grown, largest_part, opened
from hepatica.anatomy.segmentation.growing import Grown, grow_organ, logistic
from hepatica.anatomy.segmentation.landmarks import BONE_HU
from hepatica.anatomy.segmentation.torso import STEP_MM, Torso

Array = NDArray[np.float32]

SPINE_HALF_WIDTH_MM = 40.0
"""A vertebra with its transverse processes is about 80 mm wide; ribs go on beyond."""

BODY_HALF_WIDTH_MM, VESSELS_TO_MM = 26.0, 15.0
"""Half the width of a large vertebral body, and how far behind its front the great vessels reach beside it."""

SPINE_DEPTH_MM = 95.0
"""From the front of the vertebral body to the tip of the spinous process."""

SINUS_MM = 8.0
"""Half the width of a kidney's sinus that is closed."""

MIN_ORGAN_ML = 25.0
"""Less than this is no spleen and no kidney, but something in its place."""

SPINE_CLOSING_MM = 8.0
"""Takes in marrow, discs and the spinal canal between bone."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundOrgan:
    """An organ on coarse voxels.

    Attributes
    ----------
    mask : ndarray of bool
        Its voxels.
    grown : Grown or None
        Probability and brightness; None for bone, which has a threshold.
    """

    mask: Mask
    grown: Grown | None = None


def find_spine(torso: Torso) -> FoundOrgan | None:
    """Vertebrae with discs and canal: bone around the spine's middle, closed and filled; ribs are cut off.

    It follows vertebrae as wide as they are; the tips of transverse processes and the heads of ribs are approximate.
    """
    left, behind = torso.left_of_spine_mm, torso.behind_front_mm
    # Beside the front of a vertebral body lie aorta and vena cava, bright with contrast agent.
    wide = np.where(behind < VESSELS_TO_MM, BODY_HALF_WIDTH_MM, SPINE_HALF_WIDTH_MM)
    there = (np.abs(left) < wide) & (behind > -STEP_MM) & (behind < SPINE_DEPTH_MM) & torso.body
    bone = (torso.hu > BONE_HU) & there
    if not bone.any():
        return None
    mask = largest_part(_filled_by_slice((_closed(bone, SPINE_CLOSING_MM) & there) | bone) & there)
    return FoundOrgan(mask) if mask.any() else None


def find_spleen(torso: Torso, taken: Mask) -> FoundOrgan | None:
    """The spleen: under the left diaphragm, beside and behind the stomach, along the wall."""
    left, behind = torso.left_of_spine_mm, torso.behind_front_mm
    below = torso.below_diaphragm_mm
    inside = logistic(torso.inside_ribs_mm / 3) * logistic((below + 2) / 4)
    across = logistic((left - 50) / 8)
    back = logistic((behind + 45) / 12)
    along = logistic((150 - torso.below_dome_mm) / 15)
    near_wall = logistic((60 - torso.inside_ribs_mm) / 10)
    place = 0.7 * inside * across * back * along * near_wall * (torso.body & ~torso.lungs & ~taken)
    start = (left > 70) & (behind > -30) & (below > 8) & (torso.below_dome_mm < 120) & torso.soft & ~taken
    start &= (torso.inside_ribs_mm > 6) & (torso.inside_ribs_mm < 35)
    return _grown(torso, place, start, taken)


def find_kidney(torso: Torso, side: str, taken: Mask) -> FoundOrgan | None:
    """A kidney: beside the vertebrae in the fat behind the other organs; `side` is "left" or "right"."""
    left, behind, deep = torso.left_of_spine_mm, torso.behind_front_mm, torso.below_dome_mm
    beside = left if side == "left" else -left
    inside = logistic((torso.inside_ribs_mm - 6) / 3)
    across = logistic((beside - 22) / 5) * logistic((95 - beside) / 8)
    back = logistic((behind + 42) / 8) * logistic((60 - behind) / 8)
    along = logistic((deep - 50) / 10) * logistic((250 - deep) / 15)
    place = 0.5 * inside * across * back * along * (torso.body & ~torso.lungs & ~taken)
    start = (place > 0.3) & (beside > 38) & (beside < 75) & torso.soft & (torso.smooth > 0)
    found = _grown(torso, place, start, taken)
    if found is None:
        return None
    # The pelvis and its fat lie in the kidney's outline, as it is contoured.
    whole = _filled_by_slice(_closed(found.mask, SINUS_MM)) & torso.body & ~taken
    return FoundOrgan(whole, found.grown)


def _grown(torso: Torso, place: Array, start: Mask, taken: Mask) -> FoundOrgan | None:
    found = grow_organ(torso, np.asarray(place, np.float32), start, thin_mm=6.0)
    if found is None:
        return None
    mask = largest_part(opened(found.mask, STEP_MM, STEP_MM) & ~taken)
    return FoundOrgan(mask, found) if torso.volume_ml(mask) >= MIN_ORGAN_ML else None


def _closed(mask: Mask, reach_mm: float) -> Mask:
    pad = round(reach_mm / STEP_MM) + 1
    wide = np.pad(mask, pad, mode="edge")
    closed = ~grown(~grown(wide, reach_mm, STEP_MM), reach_mm, STEP_MM)
    return closed[pad:-pad, pad:-pad, pad:-pad]


def _filled_by_slice(mask: Mask) -> Mask:
    from scipy import ndimage

    return np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)
