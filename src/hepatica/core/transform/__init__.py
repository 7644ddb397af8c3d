"""Where a point of one frame of reference lies in another, and what is carried over with it."""

from hepatica.core.transform.steps import Affine, DisplacementField, Step
from hepatica.core.transform.transform import Transform
from hepatica.core.transform.warp import Account, How, Warped, warp, warp_region, warp_volume

__all__ = [
    "Account",
    "Affine",
    "DisplacementField",
    "How",
    "Step",
    "Transform",
    "Warped",
    "warp",
    "warp_region",
    "warp_volume",
]
