"""What is asked of a deformable registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Contrast = Literal["like", "unlike"]


@dataclass(frozen=True, slots=True)
class DeformableSettings:
    """How an image is bent onto another.

    Attributes
    ----------
    voxel_mm : float
        Voxels on which the images are compared. Below 4 mm little is gained on images of radioembolization.
    contrast : {"like", "unlike"} or None
        Whether tissues look alike in both images, as in two CTs; as the units of the images say if None.
    smoothing : float or None
        Curvature of the field against the misfit of the images; measured on fields that are known, see
        ``benchmarks/bench_deformable.py``. None: 10 for like contrast, 300 for unlike one.
    rim_mm : float
        What counts around a structure to count in, so that its border does.
    levels : int
        Resolutions, each twice as fine as the one before.
    steps : tuple of int
        Gauss-Newton steps at most on each of them, coarse to fine; the last number goes for those beyond.
    threads : int or None
        Of the processor; None for up to four. The result does not depend on it.
    """

    voxel_mm: float = 4.0
    contrast: Contrast | None = None
    smoothing: float | None = None
    rim_mm: float = 5.0
    levels: int = 4
    steps: tuple[int, ...] = (12, 12, 10, 8)
    threads: int | None = None
