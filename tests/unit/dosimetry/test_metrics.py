import json

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.document import document
from hepatica.dosimetry.engines.dose_map import DoseMap, DoseSettings, EnergyBalance
from hepatica.dosimetry.metrics.region_dose import region_dose
from hepatica.errors import GeometryError


def dose_map(grid: Grid, *, sd: bool = False) -> DoseMap:
    rng = np.random.default_rng(2)
    dose = Volume(grid, rng.gamma(3, 20, grid.shape), Kind.DOSE)
    return DoseMap(
        dose=dose,
        dose_sd=dose.with_values(np.full(grid.shape, 2.0), Kind.DOSE_SD) if sd else None,
        density=Volume(grid, rng.uniform(0.9, 1.1, grid.shape), Kind.DENSITY),
        decays=Volume(grid, rng.uniform(0, 1e6, grid.shape), Kind.DECAYS),
        nuclide="Y-90",
        engine="local",
        settings=DoseSettings(),
        energy_balance=EnergyBalance(1.0, 1.0),
    )


def part(grid: Grid) -> Region:
    coverage = np.zeros(grid.shape)
    coverage[5:12, 4:9, 3:10] = 1
    coverage[12, 4:9, 3:10] = 0.25
    return Region.from_coverage("tumour 1", grid, coverage, origin="drawn")


def test_json_has_the_promised_keys_with_units(oblique_grid: Grid) -> None:
    result = document(region_dose(dose_map(oblique_grid), part(oblique_grid)))
    assert json.loads(json.dumps(result)) == result
    expected = {
        "name", "volume_ml", "mass_g", "dose_mean_gy", "dose_sd_gy", "dose_min_gy", "dose_max_gy", "d_percent_gy",
        "v_gy_percent", "activity_share", "dose_mean_uncertainty_gy",
    }  # fmt: skip
    assert expected <= set(result)
    assert {"98", "95", "70", "50", "5", "2"} <= set(result["d_percent_gy"])
    assert result["dose_mean_uncertainty_gy"] is None
    assert list(result["v_gy_percent"].values()) == sorted(result["v_gy_percent"].values(), reverse=True)


def test_numbers(oblique_grid: Grid) -> None:
    made, region = dose_map(oblique_grid), part(oblique_grid)
    result = region_dose(made, region, v_doses_gy=(50,))
    share = region.full().astype(float)
    mass = share * made.density.values
    assert result.dose_mean_gy == pytest.approx((mass * made.dose.values).sum() / mass.sum(), rel=1e-6)
    assert result.activity_share == pytest.approx((share * made.decays.values).sum() / made.decays.total, rel=1e-6)
    assert result.v_gy_percent[50.0] == pytest.approx(100 * share[made.dose.values >= 50].sum() / share.sum(), rel=1e-6)
    assert "tumour 1" in repr(result)


def test_uncertainty_of_the_mean_shrinks_with_independent_voxels(oblique_grid: Grid) -> None:
    region = part(oblique_grid)
    result = region_dose(dose_map(oblique_grid, sd=True), region)
    # 245 whole voxels and 35 quarter ones of nearly equal mass: 2 Gy sqrt(245 + 35/16) / (245 + 35/4).
    assert result.dose_mean_uncertainty_gy == pytest.approx(2 * np.sqrt(245 + 35 / 16) / (245 + 35 / 4), rel=0.01)


def test_region_elsewhere_is_refused(oblique_grid: Grid) -> None:
    with pytest.raises(GeometryError, match="tumour 1"):
        region_dose(dose_map(oblique_grid), part(Grid.axial(oblique_grid.shape, spacing_mm=(2, 2, 2))))
