"""A spatial transform: from points of the fixed frame of reference to points of the moving one.

Its direction is that of ITK and of DICOM's Deformable Spatial Registration: a point of the fixed image (the target,
whose grid the result has) goes to the point of the moving image (the source) that is the same tissue. So an image is
brought over by looking up, at every voxel of the target, the moving image where the transform points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.grid import Grid
from hepatica.core.transform.steps import Affine, DisplacementField, FloatArray, Step, blocks
from hepatica.errors import GeometryError

NOT_FOR_USE = "DO NOT USE: mirrored, or not alike"
"""Begins the method of a registration that must not be used; it stands in its files."""


@dataclass(frozen=True, eq=False)
class Transform:
    """Where a point of the fixed frame lies in the moving frame.

    Parameters
    ----------
    steps : sequence of Affine or DisplacementField
        Applied to a point of the fixed frame one after the other; none is the identity.
    fixed_frame, moving_frame : str or None
        Frame of Reference UIDs; None where they are not known.
    uncertainty_mm : float or None
        Standard uncertainty (k = 1) of a mapped point along each axis; None where it is not known.
    method : str
        How it was found, in words ("rigid, Mattes mutual information").

    Raises
    ------
    GeometryError
        If a step is none, or the uncertainty is not a number of at least 0.

    Examples
    --------
    >>> shift = Transform.translation((0.0, 0.0, 10.0))
    >>> shift.points_mm([1.0, 2.0, 3.0]).tolist()
    [1.0, 2.0, 13.0]
    >>> shift.then(shift.inverse()).points_mm([1.0, 2.0, 3.0]).tolist()
    [1.0, 2.0, 3.0]
    """

    steps: tuple[Step, ...] = ()
    fixed_frame: str | None = None
    moving_frame: str | None = None
    uncertainty_mm: float | None = None
    method: str = ""

    def __post_init__(self) -> None:
        steps = tuple(self.steps)
        if wrong := [step for step in steps if not isinstance(step, Affine | DisplacementField)]:
            raise GeometryError(f"a step of a transform is an Affine or a DisplacementField, not {wrong[0]!r}")
        if self.uncertainty_mm is not None and not 0 <= self.uncertainty_mm < np.inf:
            raise GeometryError(f"the uncertainty of a transform is at least 0 mm, not {self.uncertainty_mm}")
        object.__setattr__(self, "steps", steps)

    @classmethod
    def affine(cls, matrix: ArrayLike, **facts: Any) -> Transform:
        """Of one 4x4 matrix from fixed to moving LPS millimetres; `facts` are the other fields."""
        return cls((Affine(np.asarray(matrix, dtype=np.float64)),), **facts)

    @classmethod
    def translation(cls, shift_mm: Sequence[float], **facts: Any) -> Transform:
        """Of one shift: fixed point plus `shift_mm` is the moving point."""
        matrix = np.eye(4)
        matrix[:3, 3] = shift_mm
        return cls.affine(matrix, **facts)

    @classmethod
    def field(cls, grid: Grid, vectors_mm: NDArray[Any], **facts: Any) -> Transform:
        """Of one displacement field on a grid of the fixed frame, whose frame it takes unless another is given."""
        return cls((DisplacementField(grid, vectors_mm),), **({"fixed_frame": grid.frame_of_reference} | facts))

    def points_mm(self, points_mm: ArrayLike) -> FloatArray:
        """Moving LPS points of fixed LPS points in mm, shape (..., 3) -> (..., 3)."""
        points = np.asarray(points_mm, dtype=np.float64)
        if not points.ndim or points.shape[-1] != 3:
            raise GeometryError(f"points have three coordinates, not the shape {points.shape}")
        for step in self.steps:
            points = step.points_mm(points)
        return points

    def inverse(self) -> Transform:
        """The transform of the other direction: exact for affine steps; `residual_mm` says by how much a field misses.

        Raises
        ------
        GeometryError
            If a field has no inverse that is good to a quarter of its voxels.
        """
        return replace(
            self,
            steps=tuple(step.inverse() for step in reversed(self.steps)),
            fixed_frame=self.moving_frame,
            moving_frame=self.fixed_frame,
        )

    def then(self, other: Transform) -> Transform:
        """First this transform, then `other`: from this one's fixed frame to `other`'s moving frame.

        Uncertainties add in quadrature; an unknown one makes the sum unknown.

        Raises
        ------
        GeometryError
            If this one's moving frame is not `other`'s fixed frame.
        """
        if None not in (self.moving_frame, other.fixed_frame) and self.moving_frame != other.fixed_frame:
            raise GeometryError(
                f"the first transform leads to the frame of reference {self.moving_frame}, the second begins in "
                f"{other.fixed_frame}"
            )
        parts = (self.uncertainty_mm, other.uncertainty_mm)
        return Transform(
            (*self.steps, *other.steps),
            self.fixed_frame,
            other.moving_frame,
            None if parts[0] is None or parts[1] is None else float(np.hypot(parts[0], parts[1])),
            "; then ".join(method for method in (self.method, other.method) if method),
        )

    def jacobian(self, grid: Grid) -> NDArray[np.float32]:
        """Volume in the moving frame per volume in the fixed frame at every voxel of a fixed grid, shape of the grid.

        Above 1 the moving tissue is larger. Of a field by central differences, linear between its nodes.
        """
        out = np.empty(grid.shape, dtype=np.float32)
        for block, points in blocks(grid):
            out[block] = self.determinants(points)
        return out

    def determinants(self, points_mm: FloatArray) -> FloatArray:
        """Volume in the moving frame per volume in the fixed frame at fixed points, shape (..., 3) -> (...)."""
        return self.mapped(points_mm)[1]

    def mapped(self, points_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Moving points and determinants of fixed points, shapes (..., 3) and (...)."""
        points, product = points_mm, np.ones(points_mm.shape[:-1])
        for step in self.steps:
            points, determinants = step.mapped(points)
            product = product * determinants
        return points, product

    def checked(self) -> Transform:
        """This transform, if it neither folds nor mirrors.

        Raises
        ------
        GeometryError
            If an affine step mirrors or a field folds; the message names where.
        """
        for step in self.steps:
            step.check()
        return self

    def require_frames(self, fixed: Grid, moving: Grid, what: str) -> None:
        """Raise GeometryError unless it leads from `fixed`'s frame of reference to `moving`'s; an unknown fits any."""
        pairs = (("fixed", self.fixed_frame, fixed), ("moving", self.moving_frame, moving))
        for side, frame, grid in pairs:
            if None not in (frame, grid.frame_of_reference) and frame != grid.frame_of_reference:
                swapped = self.fixed_frame == moving.frame_of_reference and self.moving_frame in (
                    None,
                    fixed.frame_of_reference,
                )
                hint = "; it is that of the other direction: invert it" if swapped else ""
                raise GeometryError(
                    f"{what}: the transform's {side} frame of reference is {frame}, that of the image is "
                    f"{grid.frame_of_reference}{hint}"
                )

    def simplified(self) -> Transform:
        """The same map with neighbouring affine steps made one."""
        steps: list[Step] = []
        for step in self.steps:
            if isinstance(step, Affine) and steps and isinstance(last := steps[-1], Affine):
                steps[-1] = Affine(step.matrix @ last.matrix)
            else:
                steps.append(step)
        return replace(self, steps=tuple(steps))

    def sampled(self, grid: Grid) -> DisplacementField:
        """The whole map as one displacement field on a fixed grid; beyond it the map is lost."""
        out = np.empty((*grid.shape, 3), dtype=np.float32)
        for block, points in blocks(grid):
            out[block] = self.points_mm(points) - points
        return DisplacementField(grid, out, self.residual_mm)

    @property
    def is_affine(self) -> bool:
        """Whether it holds no displacement field."""
        return all(isinstance(step, Affine) for step in self.steps)

    @property
    def matrix(self) -> FloatArray:
        """The 4x4 matrix of a transform without fields, fixed to moving LPS mm; GeometryError of one with fields."""
        if not self.is_affine:
            raise GeometryError("a transform with a displacement field has no matrix")
        found = np.eye(4)
        for step in self.steps:
            if isinstance(step, Affine):
                found = step.matrix @ found
        return found

    @property
    def residual_mm(self) -> float:
        """Largest distance by which a field that is an inverse misses; 0 where there is none."""
        return max((step.residual_mm for step in self.steps if isinstance(step, DisplacementField)), default=0.0)

    @property
    def kind(self) -> str:
        """In a word: "identity", "rigid", "affine" or "deformable"."""
        if not self.steps:
            return "identity"
        if not self.is_affine:
            return "deformable"
        return "rigid" if Affine(self.matrix).is_rigid else "affine"

    def as_document(self) -> Mapping[str, Any]:
        """Plain values for JSON; of a field only where it is and how large."""
        return {
            "kind": self.kind,
            "fixed_frame": self.fixed_frame,
            "moving_frame": self.moving_frame,
            "uncertainty_mm": self.uncertainty_mm,
            "residual_mm": self.residual_mm,
            "method": self.method,
            "steps": [dict(step.as_dict()) for step in self.steps],
        }

    as_dict = as_document

    @classmethod
    def document_schema(cls) -> Mapping[str, Any]:
        """JSON schema of `as_document`."""
        text, number = {"type": ["string", "null"]}, {"type": ["number", "null"]}
        properties: dict[str, Any] = {
            "kind": {"enum": ["identity", "rigid", "affine", "deformable"]},
            "fixed_frame": text,
            "moving_frame": text,
            "uncertainty_mm": number,
            "residual_mm": {"type": "number"},
            "method": {"type": "string"},
            "steps": {"type": "array", "items": {"type": "object"}},
        }
        return {"type": "object", "properties": properties, "required": list(properties)}

    def __repr__(self) -> str:
        sure = "" if self.uncertainty_mm is None else f", {self.uncertainty_mm:g} mm uncertain"
        return f"<Transform {self.kind} of {len(self.steps)} steps{sure}>"
