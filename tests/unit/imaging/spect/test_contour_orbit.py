"""An orbit that follows the body."""

import math

import numpy as np
import pytest

from hepatica.core import Grid, Region
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.spect.camera.contour_orbit import contour_orbit

SPECT = Grid.axial((64, 64, 20), spacing_mm=(8.0, 8.0, 10.0), origin_mm=(-252.0, -252.0, -95.0))


def ellipse(shift_mm: float = 0.0) -> Region:
    """Half axes 160 mm across and 100 mm deep, on an oblique grid."""
    turn = math.radians(15)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[math.cos(turn), math.sin(turn), 0], [-math.sin(turn), math.cos(turn), 0], [0, 0, -1]])
    affine[:3, :3] *= [3.0, 2.0, 10.0]
    affine[:3, 3] = -affine[:3, :3] @ [69.5, 89.5, 9.5]
    grid = Grid((140, 180, 20), affine)
    place = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    inside = ((place[..., 0] - shift_mm) / 160) ** 2 + (place[..., 1] / 100) ** 2 < 1
    return Region.from_coverage("body", grid, inside)


def test_the_radius_is_the_body_plus_clearance() -> None:
    angle = np.array([0.0, 90.0, 180.0, 270.0, 35.0])
    found = contour_orbit(ellipse(12.0), SPECT, angle, clearance_mm=20.0).radius_mm
    t = math.radians(35)
    support = 12.0 * math.sin(t) + math.hypot(160 * math.sin(t), 100 * math.cos(t))
    # voxels are 3 x 2 mm; the orbit stays half a diagonal outside
    np.testing.assert_allclose(found, np.array([100, 172, 100, 148, support]) + 20.0, atol=4.0)
    assert (found >= np.array([100, 172, 100, 148, support]) + 19.0).all()


def test_a_body_outside_the_field_and_a_negative_clearance_are_refused() -> None:
    far = Grid.axial((8, 8, 4), spacing_mm=(8.0, 8.0, 10.0), origin_mm=(900.0, 900.0, 0.0))
    with pytest.raises(GeometryError, match="camera's field"):
        contour_orbit(ellipse(), far, [0.0])
    with pytest.raises(InputError, match="inside the patient"):
        contour_orbit(ellipse(), SPECT, [0.0], clearance_mm=-1.0)
