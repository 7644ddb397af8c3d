"""Opposed planar views on one frame: pixels to the patient's left and towards the feet, in every energy window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.projections import Window

FloatArray = NDArray[np.float64]

SPACING_TOLERANCE = 1e-3
"""Relative; pixels of two views that differ by more do not lie on each other."""

TIME_TOLERANCE = 0.01
"""Relative; two heads that move as one have the same speed to better than this."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanarViews:
    """Counts of one or two opposed views, both as the anterior one is seen.

    Attributes
    ----------
    counts : ndarray of float64, shape (views, windows, x, z)
        Whole counts; x to the patient's left, z towards the feet. The views are anterior and posterior, or one of them.
    sides : tuple of str
        "anterior", "posterior".
    windows : tuple of Window
        Energy windows.
    pixel_mm : tuple of float
        Along x and z.
    dwell_s : tuple of float
        Time for which a pixel of each view was in view, s.
    start_s : tuple of float
        When each view began, after `time`.
    time : datetime or None
        Start of the first view.
    place_mm : tuple of float or None
        LPS x of the first column and z of the first row; None where the files do not say.
    whole_body : bool
        Whether the views were scanned.

    Raises
    ------
    InputError
        If shapes disagree, a count is negative or not finite, a view is empty, or a time is not positive.
    """

    counts: FloatArray
    sides: tuple[str, ...]
    windows: tuple[Window, ...]
    pixel_mm: tuple[float, float]
    dwell_s: tuple[float, ...]
    start_s: tuple[float, ...] = (0.0, 0.0)
    time: datetime | None = None
    place_mm: tuple[float, float] | None = None
    whole_body: bool = False

    def __post_init__(self) -> None:
        counts = np.array(self.counts, dtype=np.float64)
        counts.setflags(write=False)
        object.__setattr__(self, "counts", counts)
        if counts.ndim != 4 or counts.shape[:2] != (len(self.sides), len(self.windows)):
            raise InputError(
                f"planar views: counts of shape {counts.shape} for {len(self.sides)} views and "
                f"{len(self.windows)} energy windows"
            )
        if not np.isfinite(counts).all() or counts.min() < 0:
            raise InputError("planar views: a count is negative or not a number")
        if len(self.dwell_s) != len(self.sides) or not all(0 < t < np.inf for t in self.dwell_s):
            raise InputError(f"planar views: the time per pixel must be positive for each view, not {self.dwell_s}")
        for side, view in zip(self.sides, counts, strict=True):
            if not view.any():
                raise InputError(f"the {side} view holds no counts")

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels along x and z."""
        return int(self.counts.shape[2]), int(self.counts.shape[3])

    @property
    def conjugate(self) -> bool:
        """Whether both views are there."""
        return len(self.sides) == 2


@dataclass(frozen=True, slots=True, eq=False)
class OneView:
    """One view as it was read: counts (windows, x, z) as the anterior view is seen, and what it was taken with."""

    counts: FloatArray
    windows: tuple[Window, ...]
    pixel_mm: tuple[float, float]
    dwell_s: float
    start_s: float
    name: str
    patient: str | None = None
    limit: float = np.inf


def opposed(
    views: dict[str, OneView],
    *,
    time: datetime | None = None,
    place_mm: tuple[float, float] | None = None,
    whole_body: bool = False,
) -> PlanarViews:
    """Views by side as one value.

    Raises
    ------
    InputError
        If they are of different patients or energy windows, or were scanned at different speeds, or pixels are
        saturated.
    GeometryError
        If matrix or pixel size differ.
    """
    found = [(side, views[side]) for side in ("anterior", "posterior") if side in views]
    first = found[0][1]
    for _, view in found:
        _require_unsaturated(view)
    for side, view in found[1:]:
        _require_alike(first, view, side, whole_body=whole_body)
    return PlanarViews(
        np.stack([view.counts for _, view in found]),
        tuple(side for side, _ in found),
        first.windows,
        first.pixel_mm,
        tuple(view.dwell_s for _, view in found),
        tuple(view.start_s for _, view in found),
        time,
        place_mm,
        whole_body,
    )


def _require_alike(first: OneView, view: OneView, side: str, *, whole_body: bool) -> None:
    if first.patient and view.patient and first.patient != view.patient:
        raise InputError(f"{view.name}: the {side} view is of another patient than {first.name}")
    if view.counts.shape[1:] != first.counts.shape[1:] or not np.allclose(
        view.pixel_mm, first.pixel_mm, rtol=SPACING_TOLERANCE
    ):
        raise GeometryError(
            f"{view.name}: the {side} view has {view.counts.shape[1]} x {view.counts.shape[2]} pixels of "
            f"{view.pixel_mm[0]:.4g} x {view.pixel_mm[1]:.4g} mm, {first.name} {first.counts.shape[1]} x "
            f"{first.counts.shape[2]} of {first.pixel_mm[0]:.4g} x {first.pixel_mm[1]:.4g} mm",
            remedy="export both views with one matrix and zoom",
        )
    if len(view.windows) != len(first.windows) or not all(
        a.is_near(b) for a, b in zip(view.windows, first.windows, strict=True)
    ):
        raise InputError(
            f"{view.name}: the {side} view was counted in {', '.join(map(str, view.windows))}, {first.name} in "
            f"{', '.join(map(str, first.windows))}",
            remedy="take views of the same energy windows, or name one that both have (`energy_window`)",
        )
    if whole_body and abs(view.dwell_s / first.dwell_s - 1) > TIME_TOLERANCE:
        raise InputError(
            f"{view.name}: the {side} view was scanned with {view.dwell_s:.4g} s for a pixel, {first.name} with "
            f"{first.dwell_s:.4g} s: heads that scan a patient together have one speed",
            remedy="correct ScanVelocity, or take the views of one scan",
        )


def _require_unsaturated(view: OneView) -> None:
    """InputError where pixels stand at the largest number that the file can hold."""
    full = int((view.counts >= view.limit * (1 - 1e-6)).sum())
    if full:
        raise InputError(
            f"{view.name}: {full} pixels stand at {view.limit:.0f}, the largest count that fits: the true counts are "
            "higher by an unknown amount",
            remedy="acquire for a shorter time or with smaller pixels",
        )


def frozen(views: PlanarViews, counts: FloatArray) -> PlanarViews:
    """The same views with other counts."""
    return replace(views, counts=counts)
