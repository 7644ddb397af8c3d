"""Several energy windows of one acquisition as one system: one image explains the counts of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.projector import Float32, FloatArray, SpectProjector, Views


class JointProjector:
    """Projectors of several windows, their views one window after another.

    Each window keeps its own attenuation and response; the weights of `reconstruct` carry its sensitivity. With the
    Poisson likelihood of all counts, each window has the say that its counts give it.

    Parameters
    ----------
    projectors : sequence of SpectProjector
        Of the same grid, orbit and columns, one for each window.

    Raises
    ------
    InputError
        If there is none.
    GeometryError
        If they differ in grid, orbit or columns.
    """

    def __init__(self, projectors: Sequence[SpectProjector]) -> None:
        if not projectors:
            raise InputError("a joint projector needs the projector of one window at least")
        first = projectors[0]
        for other in projectors[1:]:
            if (other.grid, other.shape) != (first.grid, first.shape) or not (
                np.array_equal(other.orbit.angle_deg, first.orbit.angle_deg)
                and np.array_equal(other.orbit.radius_mm, first.orbit.radius_mm)
            ):
                raise GeometryError("the windows of a joint projector must share grid, orbit and columns")
            other.share_turns(first)
        self.projectors = tuple(projectors)

    @property
    def grid(self) -> Grid:
        """Voxels of the image."""
        return self.projectors[0].grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Views of all windows together, columns and rows."""
        views, columns, rows = self.projectors[0].shape
        return views * len(self.projectors), columns, rows

    @property
    def angle_deg(self) -> FloatArray:
        """Angle of each view, window after window."""
        return np.tile(self.projectors[0].angle_deg, len(self.projectors))

    def forward(self, image: NDArray[Any], views: Views | None = None) -> Float32:
        """Projections of an image into all windows, shape (views, u, v)."""
        chosen = np.arange(self.shape[0]) if views is None else np.asarray(views, dtype=np.intp)
        out = np.empty((chosen.size, *self.shape[1:]), dtype=np.float32)
        for projector, part in self._parts(chosen):
            out[part] = projector.forward(image, chosen[part] % projector.shape[0])
        return out

    def back(self, projections: NDArray[Any], views: Views | None = None) -> Float32:
        """Transpose of `forward`."""
        chosen = np.arange(self.shape[0]) if views is None else np.asarray(views, dtype=np.intp)
        if projections.shape != (chosen.size, *self.shape[1:]):
            raise InputError(f"projections of shape {projections.shape}: expected {(chosen.size, *self.shape[1:])}")
        total = np.zeros(self.grid.shape, dtype=np.float32)
        for projector, part in self._parts(chosen):
            total += projector.back(projections[part], chosen[part] % projector.shape[0])
        return total

    def _parts(self, chosen: NDArray[np.intp]) -> list[tuple[SpectProjector, NDArray[np.intp]]]:
        """Each projector with the places of its views among those chosen."""
        window = chosen // self.projectors[0].shape[0]
        found = [(p, np.flatnonzero(window == n)) for n, p in enumerate(self.projectors)]
        return [(projector, part) for projector, part in found if part.size]
