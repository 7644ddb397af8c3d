import numpy as np
import pytest

from hepatica.anatomy.torso import default_grid, torso
from hepatica.core import Grid
from hepatica.errors import GeometryError


def test_organs_have_plausible_volumes_and_nest() -> None:
    patient = torso(default_grid((4.0, 4.0, 5.0)))
    volume = {name: region.volume_ml for name, region in patient.regions.items()}
    assert volume["liver"] == pytest.approx(1600, rel=0.02)
    assert volume["lobe left"] + volume["lobe right"] == pytest.approx(volume["liver"], rel=1e-5)
    assert 0.2 < volume["lobe left"] / volume["liver"] < 0.4
    for inner, outer in (
        ("tumour 1", "lobe right"),
        ("tumour 2", "lobe right"),
        ("tumour 2 necrosis", "tumour 2"),
        ("liver", "body"),
        ("lung left", "body"),
    ):
        assert (patient.regions[inner] - patient.regions[outer]).volume_ml < 1e-3
    assert (patient.regions["liver"] & patient.regions["lung right"]).is_empty
    assert patient.hu.values.min() == -1000
    assert np.median(patient.hu.values[patient.regions["liver"].mask()]) == 58


def test_right_is_right_whatever_the_grids_axes() -> None:
    usual = default_grid((6.0, 6.0, 6.0))
    flipped = np.array(usual.affine) @ np.diag([-1.0, 1.0, -1.0, 1.0])
    flipped[:3, 3] = usual.to_mm([usual.shape[0] - 1, 0, usual.shape[2] - 1])
    a = torso(usual).regions["liver"]
    b = torso(Grid(usual.shape, flipped)).regions["liver"]
    np.testing.assert_allclose(a.full(), b.full()[::-1, :, ::-1], atol=1e-6)
    x_mm = usual.to_mm(np.argwhere(a.mask()))[:, 0].mean()
    assert x_mm < -40  # LPS: the patient's right


def test_an_oblique_grid_is_refused(oblique_grid: Grid) -> None:
    with pytest.raises(GeometryError, match="oblique"):
        torso(oblique_grid)
