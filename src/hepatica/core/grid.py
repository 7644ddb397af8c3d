"""Where voxels are: a grid of voxel centres in the patient.

One axis order for every array in hepatica: ``array[i, j, k]``. Index (i, j, k) is the centre of a voxel; the affine
takes it to millimetres in the patient frame of DICOM, LPS (x to the patient's left, y to posterior, z to superior).
For an axial DICOM series i runs along a row (column index), j down the rows and k through the slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.options.values import maker
from hepatica.errors import GeometryError

FloatArray = NDArray[np.float64]

FARTHEST_MM = 1e7
"""Largest coordinate or voxel side: ten kilometres; no scanner's frame of reference begins farther off."""

SMALLEST_MM = 1e-5
"""Smallest side of a voxel: ten nanometres, less than any microscope's."""

ANGLE_TOLERANCE = 1e-3
"""Largest cosine between two axes that still counts as perpendicular (0.06 degrees; gantry tilt is refused)."""

POSITION_TOLERANCE_MM = 0.01
"""Two grids whose corners lie closer than this are the same grid."""


def _three(what: str, given: Sequence[float]) -> tuple[float, float, float]:
    """Three finite numbers; GeometryError, naming what they are, if they are none."""
    try:
        i, j, k = (float(number) for number in given)
    except (TypeError, ValueError):
        raise GeometryError(f"{what} is three numbers, along i, j and k, not {given!r}") from None
    return i, j, k


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape and place of a voxel array; no voxel values.

    Parameters
    ----------
    shape : tuple of int
        Number of voxels along i, j, k.
    affine : array_like, shape (4, 4)
        Takes homogeneous voxel indices to LPS millimetres. Columns 0-2 are perpendicular; lengths are the spacings.
    frame_of_reference : str or None
        DICOM Frame of Reference UID; None where the file has none (NIfTI, MetaImage).

    Raises
    ------
    GeometryError
        If the shape is not three positive integers, or the axes are not finite, perpendicular and of positive length.

    Examples
    --------
    >>> grid = Grid.axial((4, 5, 6), spacing_mm=(2.0, 2.0, 3.0))
    >>> grid.voxel_volume_ml
    0.012
    """

    shape: tuple[int, int, int]
    affine: FloatArray
    frame_of_reference: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"a grid needs three positive sizes, not {self.shape}")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise GeometryError("a grid's affine must be a finite 4x4 matrix whose last row is 0 0 0 1")
        if np.abs(affine).max() > FARTHEST_MM:
            raise GeometryError(f"a grid that begins {np.abs(affine).max():.3g} mm off is no place of a patient")
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if (spacing < SMALLEST_MM).any():
            raise GeometryError(f"voxel spacing must be positive, not {spacing.tolist()} mm")
        cosines = (affine[:3, :3] / spacing).T @ (affine[:3, :3] / spacing)
        if np.abs(cosines - np.eye(3)).max() > ANGLE_TOLERANCE:
            raise GeometryError(
                "the grid's axes are not perpendicular (gantry tilt or shear); resample the image first"
            )
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    @maker
    def axial(
        cls,
        shape: Sequence[int],
        *,
        spacing_mm: Sequence[float],
        origin_mm: Sequence[float] = (0.0, 0.0, 0.0),
        frame_of_reference: str | None = None,
    ) -> Grid:
        """Grid along the patient axes, voxel (0, 0, 0) centred on ``origin_mm``.

        Raises
        ------
        GeometryError
            Unless shape, spacing and origin are three numbers each, shape and spacing positive.
        """
        i, j, k = _three("the shape of a grid", shape)
        spacing, origin = _three("`spacing_mm` of a grid", spacing_mm), _three("the origin of a grid", origin_mm)
        if min(spacing) <= 0:
            raise GeometryError(f"`spacing_mm` must be positive, not {spacing}")
        affine = np.eye(4)
        affine[:3, :3] = np.diag(spacing)
        affine[:3, 3] = origin
        return cls((int(i), int(j), int(k)), affine, frame_of_reference)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along i, j, k in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k

    @cached_property
    def direction(self) -> FloatArray:
        """Unit vectors of i, j, k in LPS as columns, shape (3, 3)."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing_mm), dtype=np.float64)

    @property
    def origin_mm(self) -> FloatArray:
        """LPS position of the centre of voxel (0, 0, 0) in mm, shape (3,)."""
        return self.affine[:3, 3]

    @cached_property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL."""
        i, j, k = self.spacing_mm
        return i * j * k / 1000.0

    @property
    def size(self) -> int:
        """Number of voxels."""
        i, j, k = self.shape
        return i * j * k

    @cached_property
    def inverse_affine(self) -> FloatArray:
        """Takes homogeneous LPS millimetres to voxel indices, shape (4, 4)."""
        return np.asarray(np.linalg.inv(self.affine), dtype=np.float64)

    @property
    def is_axial(self) -> bool:
        """Whether each grid axis runs along one patient axis (either way, in any order)."""
        return bool((np.abs(self.direction).max(axis=0) > 1 - ANGLE_TOLERANCE**2).all())

    def to_mm(self, index: ArrayLike) -> FloatArray:
        """LPS millimetres of (possibly fractional) indices, shape (..., 3) -> (..., 3)."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, point_mm: ArrayLike) -> FloatArray:
        """Fractional indices of LPS points in mm, shape (..., 3) -> (..., 3)."""
        inverse = self.inverse_affine
        return np.asarray(point_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def corners_mm(self) -> FloatArray:
        """LPS positions of the eight outer corners of the voxel block (voxel edges, not centres), shape (8, 3)."""
        return self.to_mm(
            [
                [-0.5 if low else n - 0.5 for low, n in zip(c, self.shape, strict=True)]
                for c in product((True, False), repeat=3)
            ]
        )

    def matches(self, other: Grid) -> bool:
        """Whether both grids have the same voxels in the same frame of reference.

        An unknown frame of reference (None) matches any: a NIfTI made from a DICOM series has lost its own.
        """
        if self.shape != other.shape or not self.shares_frame(other):
            return False
        return float(np.abs(self.corners_mm() - other.corners_mm()).max()) < POSITION_TOLERANCE_MM

    def shares_frame(self, other: Grid) -> bool:
        """Whether positions in both grids mean the same point of the patient; an unknown frame matches any."""
        return None in (self.frame_of_reference, other.frame_of_reference) or (
            self.frame_of_reference == other.frame_of_reference
        )

    def require_match(self, other: Grid, what: str) -> None:
        """Raise GeometryError unless `other` matches; `what` names the two things for the message."""
        if not self.shares_frame(other):
            raise GeometryError(
                f"{what}: frames of reference differ ({self.frame_of_reference} and {other.frame_of_reference}); "
                "register the images first"
            )
        if not self.matches(other):
            raise GeometryError(f"{what}: grids differ ({self} and {other}); resample one onto the other first")

    def require_shared_frame(self, other: Grid, what: str) -> None:
        """Raise GeometryError unless both grids share a frame of reference; `what` names them for the message."""
        if not self.shares_frame(other):
            raise GeometryError(
                f"{what}: frames of reference differ ({self.frame_of_reference} and {other.frame_of_reference}); "
                "register the images first, or state that they are registered"
            )

    def crop(self, window: tuple[slice, slice, slice]) -> Grid:
        """Grid of the voxels in `window` (slices with start and stop, step 1)."""
        starts = [s.start or 0 for s in window]
        stops = [n if s.stop is None else s.stop for s, n in zip(window, self.shape, strict=True)]
        affine = np.array(self.affine)
        affine[:3, 3] = self.to_mm(starts)
        i, j, k = (b - a for a, b in zip(starts, stops, strict=True))
        return Grid((i, j, k), affine, self.frame_of_reference)

    def window_of(self, other: Grid) -> tuple[slice, slice, slice]:
        """Voxels of this grid that the block of `other` touches; empty slices (0, 0) if it lies elsewhere."""
        index = self.to_index(other.corners_mm())
        low = np.clip(np.floor(index.min(axis=0) + 0.5 + 1e-6), 0, self.shape).astype(int)
        high = np.clip(np.ceil(index.max(axis=0) + 0.5 - 1e-6), 0, self.shape).astype(int)
        if (high <= low).any():
            return slice(0, 0), slice(0, 0), slice(0, 0)
        i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return i, j, k

    def with_spacing(self, spacing_mm: Sequence[float]) -> Grid:
        """Grid of other spacing over the same block of space (grown by less than one voxel where it must be)."""
        new = np.asarray(spacing_mm, dtype=np.float64)
        extent = np.asarray(self.shape) * self.spacing_mm
        i, j, k = (int(n) for n in np.maximum(1, np.ceil(extent / new - 1e-6)))
        affine = np.array(self.affine)
        affine[:3, :3] = self.direction * new
        low_edge = self.to_mm([-0.5, -0.5, -0.5])
        excess = (np.array([i, j, k]) * new - extent) / 2
        affine[:3, 3] = low_edge + self.direction @ (new / 2 - excess)
        return Grid((i, j, k), affine, self.frame_of_reference)

    def with_frame_of_reference(self, frame_of_reference: str | None) -> Grid:
        """Same voxels in the frame of reference given; state it only where it is known (or registered)."""
        return Grid(self.shape, self.affine, frame_of_reference)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return (self.shape, self.frame_of_reference) == (other.shape, other.frame_of_reference) and bool(
            np.array_equal(self.affine, other.affine)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes(), self.frame_of_reference))

    def __repr__(self) -> str:
        size = "x".join(map(str, self.shape))
        spacing = " x ".join(f"{s:g}" for s in np.round(self.spacing_mm, 3))
        origin = ", ".join(f"{c:.1f}" for c in self.origin_mm)
        turned = "" if self.is_axial else ", oblique"
        return f"Grid({size} of {spacing} mm from ({origin}) mm LPS{turned})"

    def as_document(self) -> Mapping[str, Any]:
        """Plain values for JSON."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "affine_lps_mm": self.affine.tolist(),
            "frame_of_reference": self.frame_of_reference,
        }

    as_dict = as_document

    @classmethod
    def document_schema(cls) -> Mapping[str, Any]:
        """JSON schema of `as_document`."""
        number = {"type": "number"}
        properties: dict[str, Any] = {
            "shape": {"type": "array", "items": {"type": "integer"}},
            "spacing_mm": {"type": "array", "items": number},
            "affine_lps_mm": {"type": "array", "items": {"type": "array", "items": number}},
            "frame_of_reference": {"type": ["string", "null"]},
        }
        return {"type": "object", "properties": properties, "required": list(properties)}
