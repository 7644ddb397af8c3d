"""What a reconstruction can be told about the lung."""

from __future__ import annotations

from typing import Annotated, Literal

from hepatica.core.options import Limits, NonNegative, Unit, options
from hepatica.core.options.stated import require_unstated

LEVELS_FOR = ("Y-90", "Ho-166", "Re-188", "I-131")
"""Nuclides whose lung is nearer to the truth as levels than voxel by voxel, with scatter by Monte Carlo
(docs/spect-study.md)."""


@options
class SpectLungOptions:
    """How the lung of a SPECT is found.

    Attributes
    ----------
    lung_model : {"auto", "levels", "voxels"}
        levels: each lung as a few levels, and the rest of the body as one, fitted to the counts between iterations;
        voxels: every voxel by the iterations; auto: levels where they are nearer to the truth (90Y, 166Ho, 188Re, 131I
        with scatter by Monte Carlo and osem or mlem).
    scatter_scale : {"model", "fitted"}
        Scattered over primary counts of liver and hot spots: as the Monte Carlo has them, or as the counts decide.
    scatter_uncertainty : float
        Standard uncertainty of scattered counts against primary ones, for that of the lung.
    registration_uncertainty_mm : float
        Standard uncertainty of the CT's place along the patient, for that of the lung.
    """

    lung_model: Literal["auto", "levels", "voxels"] = "auto"
    scatter_scale: Literal["model", "fitted"] = "model"
    scatter_uncertainty: Annotated[float, Unit("fraction"), Limits(low=0, high=1)] = 0.01
    registration_uncertainty_mm: NonNegative = 3.0

    def __post_init__(self) -> None:
        if self.lung_model == "voxels":
            require_unstated(self, why="only where `lung_model` is not voxels", but=("lung_model",))

    def as_levels(self, nuclide: str, scatter: str, method: str) -> bool:
        """Whether the lung of a nuclide is found as levels, with this correction of scatter and method."""
        if self.lung_model == "auto":
            return nuclide in LEVELS_FOR and scatter == "mc" and method != "bsrem"
        return self.lung_model == "levels"
