"""Spleen and kidneys, as far as place, CT numbers and edges show them; not drawn where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.organs.growing import Grown, grow_organ, logistic
from hepatica.anatomy.segmentation.trunk.coarse import Mask, closed, filled_by_slice, largest_part, opened
from hepatica.anatomy.segmentation.trunk.torso import STEP_MM, Torso

Array = NDArray[np.float32]

SINUS_MM = 8.0
"""Half the width of a kidney's sinus that is closed."""

MIN_ORGAN_ML = 25.0
"""Less than this is no spleen and no kidney, but something in its place."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundOrgan:
    """An organ on coarse voxels.

    Attributes
    ----------
    mask : ndarray of bool
        Its voxels.
    grown : Grown
        Probability and brightness.
    """

    mask: Mask
    grown: Grown


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
    whole = filled_by_slice(closed(found.mask, SINUS_MM, STEP_MM)) & torso.body & ~taken
    return FoundOrgan(whole, found.grown)


def _grown(torso: Torso, place: Array, start: Mask, taken: Mask) -> FoundOrgan | None:
    found = grow_organ(torso, np.asarray(place, np.float32), start, thin_mm=6.0)
    if found is None:
        return None
    mask = largest_part(opened(found.mask, STEP_MM, STEP_MM) & ~taken)
    return FoundOrgan(mask, found) if torso.volume_ml(mask) >= MIN_ORGAN_ML else None
