import math

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.errors import GeometryError, InputError, PhysicsError
from hepatica.imaging.quantify.partial_volume import (
    geometric_transfer_matrix,
    iterative_yang,
    partition,
    recover,
)
from hepatica.imaging.quantify.response import GaussianPsf, VaryingPsf

PSF = GaussianPsf(11.0)
WIDER = VaryingPsf(lambda mm: 8.0 + 0.05 * np.abs(mm[..., 0]), "grows with x")


def made(grid: Grid) -> tuple[Volume, tuple[Region, ...]]:
    """Three blocks with partly covered borders in a cool rest, on an oblique grid."""
    regions = []
    for name, window in (("a", np.s_[4:9, 4:9, 4:8]), ("b", np.s_[9:15, 4:9, 4:8]), ("c", np.s_[12:19, 11:15, 8:12])):
        coverage = np.zeros(grid.shape)
        coverage[window] = 1.0
        coverage[window][:, -1] = 0.4
        regions.append(Region.from_coverage(name, grid, coverage))
    values = np.full(grid.shape, 1.0)
    for region, level in zip(regions, (30.0, 12.0, 20.0), strict=True):
        values += region.full().astype(float) * (level - 1.0)
    return Volume(grid, values, Kind.ACTIVITY_CONCENTRATION), tuple(regions)


@pytest.mark.parametrize("psf", [PSF, WIDER], ids=["same everywhere", "varying"])
def test_the_transfer_matrix_gives_back_a_blurred_truth(oblique_grid: Grid, psf: GaussianPsf | VaryingPsf) -> None:
    truth, regions = made(oblique_grid)
    seen = truth.with_values(psf.blur(truth.values, oblique_grid))
    result = geometric_transfer_matrix(seen, regions, psf)
    assert result.names == ("a", "b", "c", "rest")
    np.testing.assert_allclose(result.corrected, (30, 12, 20, 1), rtol=1e-6)
    assert np.abs(result.seen / result.corrected - 1).max() > 0.2
    assert 1 < result.condition < 100
    assert result["b"].sd is None
    # The coverage is kept in float32, the voxel-wise image is good to that.
    yang = iterative_yang(seen, regions, psf, iterations=100, tolerance=1e-9)
    np.testing.assert_allclose(yang.means, (30, 12, 20, 1), rtol=1e-5)
    np.testing.assert_allclose(yang.image.values, truth.values, rtol=1e-4)
    assert yang.change <= 1e-9
    assert yang.iterations < 100


def test_uncertainty_of_means_and_of_the_response_is_carried(oblique_grid: Grid) -> None:
    truth, regions = made(oblique_grid)
    seen = truth.with_values(PSF.blur(truth.values, oblique_grid))
    by_noise = geometric_transfer_matrix(seen, regions, PSF, seen_sd=(0.3, 0.1, 0.2, 0.01))
    inverse = np.linalg.inv(by_noise.matrix)
    np.testing.assert_allclose(
        by_noise.corrected_sd, np.sqrt(np.diag(inverse @ np.diag([0.09, 0.01, 0.04, 1e-4]) @ inverse.T)), rtol=1e-9
    )
    by_width = geometric_transfer_matrix(seen, regions, PSF, other_psf=GaussianPsf(12.0))
    found = geometric_transfer_matrix(seen, regions, GaussianPsf(12.0)).corrected
    assert by_width["a"].sd == pytest.approx(abs(found[0] - 30), rel=1e-4)
    by_both = geometric_transfer_matrix(
        seen, regions, PSF, seen_sd=(0.3, 0.1, 0.2, 0.01), other_psf=GaussianPsf(12.0)
    ).corrected_sd
    np.testing.assert_allclose(by_both, np.hypot(by_noise.corrected_sd, by_width.corrected_sd), rtol=1e-9)


def test_a_region_recovery_acts_on_the_contrast() -> None:
    assert recover(5.0, Estimate(0.5, 0.05)).value == 10
    assert recover(5.0, Estimate(0.5, 0.05)).relative_sd == pytest.approx(0.1)
    warm = recover(6.0, Estimate(0.5, 0.05), background=2.0, relative_sd=0.1)
    assert warm.value == 10
    assert warm.sd == pytest.approx(8 * math.hypot(0.1, 0.1))
    assert recover(5.0, Estimate(0.5, 0.05), relative_sd=None).sd is None
    with pytest.raises(InputError, match="recovery of 0"):
        recover(5.0, Estimate(0.0, 0.1))


def test_nested_structures_become_parts(oblique_grid: Grid) -> None:
    coverage = np.zeros(oblique_grid.shape)
    coverage[3:20, 3:15, 3:12] = 1
    liver = Region.from_coverage("liver", oblique_grid, coverage)
    tumour = Region.from_coverage("tumour", oblique_grid, np.pad(np.ones((4, 4, 4)), ((6, 14), (6, 8), (5, 6))))
    parts = partition([liver, tumour, tumour.renamed("all tumours")])
    assert [part.name for part in parts] == ["tumour", "liver"]
    assert parts[1].volume_ml == pytest.approx(liver.volume_ml - tumour.volume_ml)
    assert parts[0].volume_ml == tumour.volume_ml


def test_what_cannot_be_told_apart_is_refused(oblique_grid: Grid) -> None:
    truth, regions = made(oblique_grid)
    thin = [np.zeros(oblique_grid.shape) for _ in range(2)]
    thin[0][10, 9, 8] = thin[1][11, 9, 8] = 1
    twins = [Region.from_coverage(f"twin {n}", oblique_grid, values) for n, values in enumerate(thin)]
    with pytest.raises(PhysicsError, match=r"blurs regions twin 0, twin 1 into each other .* condition number"):
        geometric_transfer_matrix(truth, twins, GaussianPsf(40.0))
    with pytest.raises(PhysicsError, match="condition number"):
        iterative_yang(truth, twins, GaussianPsf(40.0))
    with pytest.raises(GeometryError, match="regions a and a2 overlap"):
        geometric_transfer_matrix(truth, (regions[0], regions[0].renamed("a2")), PSF)
    with pytest.raises(InputError, match="one name"):
        geometric_transfer_matrix(truth, (regions[0], regions[0]), PSF)
    with pytest.raises(InputError, match="at least one region"):
        geometric_transfer_matrix(truth, (), PSF)
    with pytest.raises(GeometryError, match="covers nothing"):
        geometric_transfer_matrix(
            truth, (Region.from_coverage("nothing", oblique_grid, np.zeros(oblique_grid.shape)),), PSF
        )
    with pytest.raises(GeometryError, match="no rest"):
        geometric_transfer_matrix(truth, (Region.from_coverage("all", oblique_grid, np.ones(oblique_grid.shape)),), PSF)
    with pytest.raises(InputError, match="seen_sd"):
        geometric_transfer_matrix(truth, regions, PSF, seen_sd=(1.0,))
    with pytest.raises(InputError, match="0 iterations"):
        iterative_yang(truth, regions, PSF, iterations=0)
    with pytest.raises(InputError, match="width must lie between 0 and 60 mm"):
        GaussianPsf(-1.0)
    with pytest.raises(GeometryError, match="three widths"):
        GaussianPsf((8.0, 8.0, 10.0)).blur(truth.values, oblique_grid)
    with pytest.raises(InputError, match="for every voxel"):
        VaryingPsf(lambda mm: mm[..., 0], "negative widths").blur(truth.values, oblique_grid)


def test_three_widths_follow_the_patients_axes() -> None:
    grid = Grid((21, 21, 21), np.array([[0, 0, 2.0, 0], [2.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]]))
    point = np.zeros(grid.shape)
    point[10, 10, 10] = 1
    blurred = GaussianPsf((4.0, 8.0, 12.0)).blur(point, grid)
    for axis, width in ((2, 4.0), (0, 8.0), (1, 12.0)):
        along = blurred.sum(axis=tuple(a for a in range(3) if a != axis))
        sd = math.sqrt(float((along * (2.0 * (np.arange(21) - 10)) ** 2).sum() / along.sum()))
        assert sd * math.sqrt(8 * math.log(2)) == pytest.approx(width, rel=0.02)
    varying = VaryingPsf(lambda mm: np.full(mm.shape[:-1], 8.0), "constant").blur(point, grid)
    np.testing.assert_allclose(varying, GaussianPsf(8.0).blur(point, grid), atol=1e-12)
