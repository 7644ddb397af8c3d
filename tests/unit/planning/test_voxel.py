"""The voxel plan and its comparison with the therapy, on a turned, anisotropic, feet-first grid."""

import math

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import GeometryError, InputError, UnitError
from hepatica.nuclides import nuclide
from hepatica.planning.delivery.concordance import Agreement, concordance
from hepatica.planning.planner.voxel import (
    TerritoryActivity,
    activity_for_dx,
    dose_percentile,
    planned_decays,
    voxel_plan,
)
from hepatica.planning.prescriptions.compartments import Lesion, Partition
from hepatica.planning.prescriptions.dose_constants import dose_constant

Y90 = nuclide("Y-90")


def box(name: str, grid: Grid, i: slice, j: slice, k: slice) -> Region:
    values = np.zeros(grid.shape)
    values[i, j, k] = 1
    return Region.from_coverage(name, grid, values)


@pytest.fixture
def parts(oblique_grid: Grid) -> dict[str, Region]:
    whole = {
        "liver": (slice(2, 18), slice(3, 15), slice(8, 14)),
        "right": (slice(2, 10), slice(3, 15), slice(8, 14)),
        "left": (slice(10, 18), slice(3, 15), slice(8, 14)),
        "lesion": (slice(4, 7), slice(5, 8), slice(9, 12)),
        "lungs": (slice(2, 22), slice(2, 16), slice(1, 7)),
    }
    return {name: box(name, oblique_grid, *where) for name, where in whole.items()}


@pytest.fixture
def scout(oblique_grid: Grid, parts: dict[str, Region]) -> Volume:
    values = parts["liver"].full() + 4 * parts["lesion"].full() + 0.05 * parts["lungs"].full()
    return Volume(oblique_grid, values * 100, Kind.COUNTS, name="scout")


def test_planned_decays_put_the_activity_where_it_stays(scout: Volume, parts: dict[str, Region]) -> None:
    plan = [TerritoryActivity(parts["right"], 1.5, 0.1), TerritoryActivity(parts["left"], 0.5, 0.04)]
    out = planned_decays(scout, plan, Y90, lungs=parts["lungs"])
    mean_life = Y90.half_life_s / math.log(2)
    assert out.decays.total == pytest.approx(2.0e9 * mean_life, rel=1e-6)
    assert out.lung_activity_gbq == pytest.approx(0.17)
    inside = float((parts["right"].full() * out.decays.values).sum(dtype=float))
    assert inside == pytest.approx(1.5e9 * 0.9 * mean_life, rel=1e-5)
    without = planned_decays(scout, plan, Y90)
    assert without.decays.total == pytest.approx(1.83e9 * mean_life, rel=1e-6)
    assert "not in this map" in without.messages[0].text


def test_local_deposition_gives_the_partition_model(scout: Volume, parts: dict[str, Region]) -> None:
    density = Volume(scout.grid, np.full(scout.grid.shape, 1.05, np.float32), Kind.DENSITY)
    territory = TerritoryActivity(parts["right"], 1.5, 0.1)
    dose = voxel_plan(planned_decays(scout, [territory], Y90), density, Y90, engine="local")
    lesion_kg = parts["lesion"].mass_g(density) / 1000
    normal_kg = (parts["right"] - parts["lesion"]).mass_g(density) / 1000
    constant = dose_constant(Y90, "ensdf")
    expected = Partition(normal_kg, (Lesion("lesion", lesion_kg, 5.0),), 0.1).doses(1.5, constant)
    assert dose_percentile(dose.dose, parts["lesion"]) == pytest.approx(expected.tumour_gy, rel=1e-4)
    assert dose_percentile(dose.dose, parts["right"] - parts["lesion"]) == pytest.approx(
        expected.normal_liver_gy, rel=1e-4
    )
    assert any("lungs" in m.text for m in dose.messages)
    assert dose.provenance.steps[0].startswith("scaled the scout")
    for x in (None, 70.0):
        activity = activity_for_dx(dose, parts["lesion"], administered_gbq=1.5, dose_gy=200, volume_percent=x)
        again = voxel_plan(
            planned_decays(scout, [TerritoryActivity(parts["right"], activity, 0.1)], Y90), density, Y90, engine="local"
        )
        assert dose_percentile(again.dose, parts["lesion"], x) == pytest.approx(200, rel=1e-4)


def test_kernel_blurs_but_keeps_the_energy(scout: Volume, parts: dict[str, Region]) -> None:
    density = Volume(scout.grid, np.ones(scout.grid.shape, np.float32), Kind.DENSITY)
    planned = planned_decays(scout, [TerritoryActivity(parts["right"], 1.0)], Y90)
    kernel = voxel_plan(planned, density, Y90)
    local = voxel_plan(planned, density, Y90, engine="local")
    assert dose_percentile(kernel.dose, parts["lesion"]) < dose_percentile(local.dose, parts["lesion"])
    assert kernel.energy_balance.closure == pytest.approx(0, abs=1e-3)


def test_bad_plans(scout: Volume, parts: dict[str, Region]) -> None:
    with pytest.raises(GeometryError, match="overlap"):
        planned_decays(scout, [TerritoryActivity(parts["right"], 1), TerritoryActivity(parts["liver"], 1)], Y90)
    empty = box("elsewhere", scout.grid, slice(20, 23), slice(16, 18), slice(8, 10))
    with pytest.raises(InputError, match="no counts"):
        planned_decays(scout, [TerritoryActivity(empty, 1)], Y90)
    with pytest.raises(InputError, match="positive"):
        TerritoryActivity(parts["right"], 0)
    with pytest.raises(InputError, match="lung shunt"):
        TerritoryActivity(parts["right"], 1, 1.0)
    with pytest.raises(InputError, match="at least one"):
        planned_decays(scout, [], Y90)
    with pytest.raises(UnitError):
        planned_decays(scout.with_values(scout.values, Kind.HU), [TerritoryActivity(parts["right"], 1)], Y90)


def doses(scout: Volume, parts: dict[str, Region]) -> Volume:
    return scout.with_values(scout.values, Kind.DOSE)


def test_concordance_of_a_dose_with_itself(scout: Volume, parts: dict[str, Region]) -> None:
    dose = doses(scout, parts)
    normal = parts["liver"] - parts["lesion"]
    out = concordance(dose, dose, [parts["lesion"]], normal=normal, territories=[parts["right"]], isodose_gy=200)
    row = out.structures[0]
    assert row.relative_difference == 0
    assert row.dice_at_isodose == pytest.approx(1)
    assert row.bland_altman.sd_gy == pytest.approx(0, abs=1e-4)
    assert out.tumour_to_normal_planned == out.tumour_to_normal_delivered == pytest.approx(5)
    assert not out.catheter_position_changed


def test_concordance_sees_what_changed(scout: Volume, parts: dict[str, Region]) -> None:
    dose = doses(scout, parts)
    rng = np.random.default_rng(3)
    noisy = dose.with_values(dose.values * 0.8 + rng.normal(0, 20, dose.grid.shape))
    out = concordance(dose, noisy, [parts["right"]], normal=parts["left"], isodose_gy=250)
    row = out.structures[0]
    region = parts["right"].mask()
    assert row.correlation == pytest.approx(np.corrcoef(dose.values[region], noisy.values[region])[0, 1], rel=1e-5)
    difference = (noisy.values - dose.values)[region].astype(float)
    assert row.bland_altman.mean_gy == pytest.approx(difference.mean(), rel=1e-4)
    assert row.bland_altman.sd_gy == pytest.approx(difference.std(), rel=1e-3)
    moved = dose.with_values(np.where(parts["left"].mask(), dose.values * 3, dose.values))
    # Halves of 20 mm: with 5 mm of uncertainty of position nothing would be sure.
    halves = [parts["right"], parts["left"]]
    for sd_mm, changed in ((1.0, True), (10.0, False)):
        assert (
            changed
            is concordance(
                dose,
                moved,
                [parts["lesion"]],
                territories=halves,
                isodose_gy=250,
                agreement=Agreement(position_sd_mm=sd_mm),
            ).catheter_position_changed
        )
    with pytest.raises(InputError, match="at least one lesion"):
        concordance(dose, dose, [], isodose_gy=100)
    nothing = dose.with_values(np.zeros(dose.grid.shape))
    with pytest.raises(InputError, match="no dose"):
        concordance(nothing, dose, [parts["lesion"]], isodose_gy=100)
