"""An orbit that follows the body, as a camera with auto-contouring does."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hepatica.core import Grid, Region
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.projections import Orbit

CLEARANCE_MM = 15.0
"""From the patient's surface to the face of the collimator."""


def contour_orbit(body: Region, grid: Grid, angle_deg: ArrayLike, *, clearance_mm: float = CLEARANCE_MM) -> Orbit:
    """Radius of each view: as far as the body reaches towards the head, plus a clearance.

    Only what lies in front of the detector counts: slices of `grid`, and columns across it.

    Parameters
    ----------
    body : Region
        The patient (`hepatica.anatomy.segmentation.body.body_region`).
    grid : Grid
        Of the SPECT; the axis of rotation runs along z through its middle.
    angle_deg : array
        Angles of the views.
    clearance_mm : float
        Not negative.

    Raises
    ------
    GeometryError
        If the frames of reference differ, or no part of the body lies in the camera's field.
    InputError
        If the clearance is negative.
    """
    if clearance_mm < 0:
        raise InputError(f"the collimator cannot be {clearance_mm:g} mm inside the patient")
    body.grid.require_shared_frame(grid, "body and SPECT")
    index = np.argwhere(body.coverage > 0) + [s.start for s in body.window]
    points = body.grid.to_mm(index)
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    half = np.asarray(grid.shape) * grid.spacing_mm / 2
    points = points[np.abs(points[:, 2] - middle[2]) <= half[2], :2] - middle[:2]
    # half a voxel's diagonal beyond the centres
    reach = float(np.linalg.norm(body.grid.spacing_mm[:2])) / 2
    radii = []
    for angle in np.deg2rad(np.asarray(angle_deg, dtype=np.float64)):
        across = points[:, 1] * np.sin(angle) - points[:, 0] * np.cos(angle)
        seen = points[np.abs(across) <= half[0]]
        if not seen.size:
            raise GeometryError("no part of the body lies in the camera's field: no orbit can follow it")
        toward = seen[:, 0] * np.sin(angle) + seen[:, 1] * np.cos(angle)
        radii.append(float(toward.max()) + reach + clearance_mm)
    return Orbit(np.asarray(angle_deg, dtype=np.float64), np.asarray(radii))
