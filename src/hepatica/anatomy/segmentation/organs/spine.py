"""The spine: bone with marrow, discs and canal."""

from __future__ import annotations

import numpy as np

from hepatica.anatomy.segmentation.trunk.coarse import Mask, closed, filled_by_slice, largest_part
from hepatica.anatomy.segmentation.trunk.landmarks import BONE_HU
from hepatica.anatomy.segmentation.trunk.torso import STEP_MM, Torso

SPINE_HALF_WIDTH_MM = 40.0
"""A vertebra with its transverse processes is about 80 mm wide; ribs go on beyond."""

BODY_HALF_WIDTH_MM, VESSELS_TO_MM = 26.0, 15.0
"""Half the width of a large vertebral body, and how far behind its front the great vessels reach beside it."""

SPINE_DEPTH_MM = 95.0
"""From the front of the vertebral body to the tip of the spinous process."""

SPINE_CLOSING_MM = 8.0
"""Takes in marrow, discs and the spinal canal between bone."""


def find_spine(torso: Torso) -> Mask | None:
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
    mask = largest_part(filled_by_slice((closed(bone, SPINE_CLOSING_MM, STEP_MM) & there) | bone) & there)
    return mask if mask.any() else None
