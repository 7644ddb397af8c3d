import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.dosimetry.metrics.isodose import isodose_lines, isodose_region, isodose_volumes_ml
from hepatica.errors import InputError


@pytest.fixture
def cone(oblique_grid: Grid) -> Volume:
    """Dose falls by 2 Gy/mm from 80 Gy at one point: every isodose surface is a sphere."""
    index = np.moveaxis(np.indices(oblique_grid.shape), 0, -1)
    distance = np.linalg.norm(oblique_grid.to_mm(index) - oblique_grid.to_mm([12.3, 8.6, 7.0]), axis=-1)
    return Volume(oblique_grid, np.maximum(0, 80 - 2 * distance), Kind.DOSE)


def test_lines_lie_in_the_patient_at_their_dose(cone: Volume) -> None:
    centre = cone.grid.to_mm([12.3, 8.6, 7.0])
    (line,) = isodose_lines(cone, 40.0, axis=2, index=7)
    # Linear interpolation of a cone between centres 3.5 mm apart: chords of circles of 20 mm, within 0.2 mm.
    np.testing.assert_allclose(np.linalg.norm(line - centre, axis=1), 20.0, atol=0.2)
    np.testing.assert_array_equal(line[0], line[-1])
    np.testing.assert_allclose(cone.grid.to_index(line)[:, 2], 7.0, atol=1e-9)
    for axis, index in ((0, 12), (1, 9)):
        lines = isodose_lines(cone, 40.0, axis=axis, index=index)
        assert all(np.allclose(np.linalg.norm(points - centre, axis=1), 20.0, atol=0.4) for points in lines)
    assert isodose_lines(cone, 1000.0, axis=2, index=7) == ()


def test_volumes_agree_with_regions_and_geometry(cone: Volume) -> None:
    volumes = dict(isodose_volumes_ml(cone, (30.0, 60.0)))
    for level, volume in volumes.items():
        assert isodose_region(cone, level).volume_ml == pytest.approx(volume)
    assert volumes[60.0] == pytest.approx(4 / 3 * np.pi, rel=0.1)  # radius 10 mm in whole voxels of 0.044 mL
    half = np.zeros(cone.grid.shape)
    half[:12] = 1
    within = Region.from_coverage("half", cone.grid, half)
    ((_, part),) = isodose_volumes_ml(cone, (30.0,), within=within)
    assert part == pytest.approx(isodose_region(cone, 30.0, within=within).volume_ml)
    assert 0 < part < volumes[30.0]
    assert isodose_region(cone, 500.0).is_empty


@pytest.mark.parametrize("level", [0.0, -5.0, np.nan])
def test_levels_that_are_none(cone: Volume, level: float) -> None:
    with pytest.raises(InputError, match="positive"):
        isodose_region(cone, level)
    with pytest.raises(InputError, match="outside"):
        isodose_lines(cone, 10.0, axis=2, index=99)
