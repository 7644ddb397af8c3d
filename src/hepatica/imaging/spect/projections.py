"""Projections of a gamma camera that goes round the patient: counts per view and window, and where each view was.

Angles are those of DICOM (PS3.3 C.8.4.12): 0 degrees with the head behind the patient's back, growing towards the
patient's left. At angle t the head's centre lies in the direction n = (sin t, cos t, 0) in LPS, and its columns run
along e = (-cos t, sin t, 0): the image is seen from outside with the patient's head up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core import Grid, InputFile, acquisition_decay_factor, decay_factor
from hepatica.errors import GeometryError, InputError

FloatArray = NDArray[np.float64]

WINDOW_TOLERANCE_KEV = 1.0
"""Cameras round window limits to about this."""


@dataclass(frozen=True, slots=True, eq=False)
class Orbit:
    """Where the head was in each view.

    Parameters
    ----------
    angle_deg : ndarray, shape (views,)
        Angle of the head, see the top of this file; any order, any step.
    radius_mm : ndarray, shape (views,)
        From the axis of rotation to the face of the collimator.

    Raises
    ------
    InputError
        If there is no view, the numbers differ, or an angle or radius is not finite, or a radius not positive.
    """

    angle_deg: FloatArray
    radius_mm: FloatArray

    def __post_init__(self) -> None:
        angle = np.array(self.angle_deg, dtype=np.float64).ravel()
        radius = np.array(self.radius_mm, dtype=np.float64).ravel()
        if not angle.size or angle.size != radius.size:
            raise InputError(f"an orbit needs an angle and a radius per view; got {angle.size} and {radius.size}")
        if not (np.isfinite(angle).all() and np.isfinite(radius).all()) or (radius <= 0).any():
            raise InputError("an orbit needs finite angles and positive radii (mm from the axis to the collimator)")
        for array, name in ((angle, "angle_deg"), (radius, "radius_mm")):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def circular(cls, views: int, *, radius_mm: float, start_deg: float = 0.0, arc_deg: float = 360.0) -> Orbit:
        """Evenly spaced views on a circle; a negative arc turns the other way (clockwise from the feet)."""
        angle = start_deg + arc_deg * np.arange(views) / max(views, 1)
        return cls(angle, np.full(views, radius_mm))

    @property
    def views(self) -> int:
        """Number of views."""
        return int(self.angle_deg.size)


@dataclass(frozen=True, slots=True)
class Window:
    """An energy window: limits in keV, and a name."""

    low_kev: float
    high_kev: float
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.low_kev < self.high_kev:
            raise InputError(f"an energy window needs 0 < low < high, not {self.low_kev:g} to {self.high_kev:g} keV")

    @property
    def width_kev(self) -> float:
        """Width in keV."""
        return self.high_kev - self.low_kev

    @property
    def centre_kev(self) -> float:
        """Middle in keV."""
        return (self.high_kev + self.low_kev) / 2

    def is_near(self, other: Window) -> bool:
        """Whether both limits lie within 1 keV of those of another window."""
        apart = max(abs(self.low_kev - other.low_kev), abs(self.high_kev - other.high_kev))
        return apart <= WINDOW_TOLERANCE_KEV

    def __str__(self) -> str:
        return f"{self.low_kev:g}-{self.high_kev:g} keV"


@dataclass(frozen=True, slots=True, eq=False)
class Projections:
    """Counts of a tomographic acquisition.

    Parameters
    ----------
    counts : ndarray of float32, shape (windows, views, u, v)
        u runs along the head's columns (direction e), v along the patient's axis, towards the head (superior).
    orbit : Orbit
        Angle and radius of each view.
    windows : tuple of Window
        In the order of the first axis.
    pixel_mm : tuple of float
        Size of a pixel along u and v.
    axis_mm : tuple of float or None
        LPS position of the axis of rotation (x, y) and of the centre of the pixels v = 0 (z); None where the file does
        not say. The axis runs along z through the middle of u.
    view_s : float
        Time per view.
    start : datetime or None
        Start of the acquisition; the counts of all views are as acquired, not corrected for decay.
    view_start_s : ndarray, shape (views,), optional
        When each view began, seconds after the start; one after another by default (one head).
    camera : str or None
        Name of the modelled camera that counted, of a simulated acquisition.
    nuclide : str or None
        In hepatica's form.
    frame_of_reference : str or None
        DICOM UID of the frame in which `axis_mm` stands.

    Raises
    ------
    InputError
        If shapes disagree, a count is negative, NaN or infinite, or a view holds no count in any window.
    """

    counts: NDArray[np.float32]
    orbit: Orbit
    windows: tuple[Window, ...]
    pixel_mm: tuple[float, float]
    view_s: float
    axis_mm: tuple[float, float, float] | None = None
    start: datetime | None = None
    nuclide: str | None = None
    frame_of_reference: str | None = None
    view_start_s: FloatArray | None = None
    camera: str | None = None

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=np.float32)
        if counts.ndim != 4 or counts.shape[:2] != (len(self.windows), self.orbit.views):
            raise InputError(
                f"projections of shape {counts.shape}: expected {len(self.windows)} windows x {self.orbit.views} views "
                "x columns x rows"
            )
        if min(self.pixel_mm) <= 0 or not self.view_s > 0:
            raise InputError(f"pixel size {self.pixel_mm} mm and time per view {self.view_s} s must be positive")
        check_counts(counts)
        times = np.arange(self.orbit.views) * self.view_s if self.view_start_s is None else self.view_start_s
        times = np.array(times, dtype=np.float64)
        if times.shape != (self.orbit.views,) or not np.isfinite(times).all() or (times < 0).any():
            raise InputError("projections: view_start_s needs a time from 0 on for each view")
        times.setflags(write=False)
        object.__setattr__(self, "view_start_s", times)
        counts = counts.view()
        counts.setflags(write=False)
        object.__setattr__(self, "counts", counts)

    @property
    def source(self) -> InputFile:
        """What stands for a file in a provenance: SHA-256 of counts and orbit."""
        parts = (self.counts, self.orbit.angle_deg, self.orbit.radius_mm)
        digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
        return InputFile("projections", "projections", digest, files=0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Views, u and v."""
        views, u, v = self.counts.shape[1:]
        return views, u, v

    def window(self, index: int) -> NDArray[np.float32]:
        """Counts of one window, shape (views, u, v)."""
        counts: NDArray[np.float32] = self.counts[index]
        return counts

    def mean_activity(self, half_life_s: float) -> FloatArray:
        """Mean activity during each view as a fraction of that at the start, shape (views,)."""
        within = acquisition_decay_factor(self.view_s, half_life_s)
        assert self.view_start_s is not None
        return np.asarray([within * decay_factor(float(t), half_life_s) for t in self.view_start_s])

    def find_window(self, wanted: Window) -> int:
        """Number of the window whose limits lie within 1 keV of those wanted.

        Raises
        ------
        InputError
            If there is none; the message lists the windows that were acquired.
        """
        for number, window in enumerate(self.windows):
            if window.is_near(wanted):
                return number
        known = ", ".join(map(str, self.windows))
        raise InputError(f"the projections have no energy window {wanted}; they have {known}")

    def grid(self) -> Grid:
        """Grid of the volume to reconstruct: voxels of the pixels' size, square around the axis, slices = rows.

        Raises
        ------
        GeometryError
            If the place of the axis is not known.
        """
        if self.axis_mm is None:
            raise GeometryError(
                "the projections do not say where the axis of rotation lies in the patient; state it (axis_mm)"
            )
        x, y, z = self.axis_mm
        _, u, v = self.shape
        pu, pv = self.pixel_mm
        return Grid.axial(
            (u, u, v),
            spacing_mm=(pu, pu, pv),
            origin_mm=(x - (u - 1) / 2 * pu, y - (u - 1) / 2 * pu, z),
            frame_of_reference=self.frame_of_reference,
        )

    def placed(self, axis_mm: tuple[float, float, float], frame_of_reference: str | None = None) -> Projections:
        """Same counts with the axis where the user says."""
        return replace(self, axis_mm=axis_mm, frame_of_reference=frame_of_reference or self.frame_of_reference)


def check_counts(counts: ArrayLike) -> None:
    """Raise InputError for negative or non-finite counts, or a view without any (axis 1 counts views)."""
    array = np.asarray(counts)
    if not np.isfinite(array).all():
        bad = sorted({int(n) for n in np.nonzero(~np.isfinite(array))[1]})
        raise InputError(f"projections: counts are NaN or infinite in views {_some(bad)}")
    if (array < 0).any():
        bad = sorted({int(n) for n in np.nonzero(array < 0)[1]})
        raise InputError(
            f"projections: {int((array < 0).sum())} counts are negative, in views {_some(bad)}; "
            "give the counts as acquired, and corrections as an additive term"
        )
    empty = np.flatnonzero(array.sum(axis=(0, 2, 3), dtype=np.float64) == 0)
    if empty.size:
        raise InputError(f"projections: views {_some(empty.tolist())} hold no counts in any window; leave them out")


def _some(numbers: list[int]) -> str:
    shown = ", ".join(str(n + 1) for n in numbers[:8])
    return shown + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")
