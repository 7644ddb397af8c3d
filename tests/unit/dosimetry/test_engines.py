"""Dose engines: what they accept, what they refuse, what they report."""

import json

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.core.document import document
from hepatica.dosimetry.engines.registry import ENGINE_NAMES, DoseSettings, dose_engine
from hepatica.errors import GeometryError, InputError, UnitError, UnknownNameError
from hepatica.nuclides import nuclide

Y90 = nuclide("Y-90")


WITHOUT_NOISE = tuple(name for name in ENGINE_NAMES if name != "montecarlo")
"""Engines that answer at once and exactly; Monte Carlo has tests of its own in test_montecarlo_engine.py."""


def decays_on(grid: Grid, seed: int = 3) -> Volume:
    values = np.random.default_rng(seed).uniform(1e9, 2e9, grid.shape).astype(np.float32)
    return Volume(grid, values, Kind.DECAYS, name="decays")


def density_on(grid: Grid, value: float = 1.0) -> Volume:
    return Volume(grid, np.full(grid.shape, value, np.float32), Kind.DENSITY)


def test_local_dose_is_energy_over_the_voxels_own_mass(oblique_grid: Grid) -> None:
    decays = decays_on(oblique_grid)
    density = density_on(oblique_grid).with_values(np.linspace(0.2, 1.8, oblique_grid.size).reshape(oblique_grid.shape))
    result = dose_engine("local").compute(decays, density, Y90)
    at = (5, 7, 3)
    mass_kg = float(density.values[at]) * 2.5 * 3.5 * 5.0 * 1e-6
    expected = float(decays.values[at]) * Y90.electron_energy_mev * MEV_TO_J / mass_kg
    assert float(result.dose.values[at]) == pytest.approx(expected, rel=1e-6)
    assert result.dose.grid is oblique_grid
    assert result.dose.kind is Kind.DOSE
    assert result.dose_sd is None
    assert result.engine == "local"


@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_dose_is_linear_in_the_decays(name: str, oblique_grid: Grid) -> None:
    engine = dose_engine(name)
    a, b = decays_on(oblique_grid, 1), decays_on(oblique_grid, 2)
    density = density_on(oblique_grid, 1.05)
    together = engine.compute(a.with_values(a.values + 3 * b.values), density, Y90).dose.values
    apart = engine.compute(a, density, Y90).dose.values + 3 * engine.compute(b, density, Y90).dose.values
    np.testing.assert_allclose(together, apart, rtol=2e-5)


@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_air_gets_no_dose_and_its_energy_is_reported(name: str, oblique_grid: Grid) -> None:
    density = np.full(oblique_grid.shape, 1.0, np.float32)
    density[:6] = 0.0012
    result = dose_engine(name).compute(decays_on(oblique_grid), density_on(oblique_grid).with_values(density), Y90)
    assert not result.dose.values[:6].any()
    balance = result.energy_balance
    assert 0.1 * balance.emitted_j < balance.in_air_j < 0.4 * balance.emitted_j
    assert balance.closure == pytest.approx(0, abs=1e-9)
    assert any("air" in str(message) for message in result.messages)


def test_local_leaves_out_photons_and_says_so(oblique_grid: Grid) -> None:
    i131 = nuclide("I-131")
    decays, density = decays_on(oblique_grid), density_on(oblique_grid)
    result = dose_engine("local").compute(decays, density, i131)
    assert any("photons carry" in str(message) for message in result.messages)
    share = i131.photon_energy_mev / (i131.photon_energy_mev + i131.electron_energy_mev)
    assert result.energy_balance.left_out_j == pytest.approx(share * result.energy_balance.emitted_j)
    whole = dose_engine("local").compute(decays, density, i131, DoseSettings(local_photon_fraction=1.0))
    assert whole.messages == ()
    assert whole.energy_balance.left_out_j == 0
    ratio = float(whole.dose.values.sum() / result.dose.values.sum())
    assert ratio == pytest.approx(1 / (1 - share), rel=1e-5)
    assert not dose_engine("local").compute(decays, density, Y90).messages


def test_kernel_density_options(oblique_grid: Grid) -> None:
    decays, density = decays_on(oblique_grid), density_on(oblique_grid, 1.06)
    engine = dose_engine("kernel")
    local = engine.compute(decays, density, Y90).dose.values
    none = engine.compute(decays, density, Y90, DoseSettings(density="none")).dose.values
    np.testing.assert_allclose(local * 1.06, none, rtol=1e-5)
    tissue = DoseSettings(density="none", kernel_density_g_ml=1.06)
    scaled = DoseSettings(density="local", kernel_density_g_ml=1.06)
    # A uniform patient in the kernel's own density: both options are the same physical quantity.
    np.testing.assert_allclose(
        engine.compute(decays, density, Y90, scaled).dose.values,
        engine.compute(decays, density, Y90, tissue).dose.values,
        rtol=1e-5,
    )


def test_kernel_warns_of_lung(oblique_grid: Grid) -> None:
    density = np.full(oblique_grid.shape, 1.05, np.float32)
    density[:, :, 8:] = 0.26
    result = dose_engine("kernel").compute(decays_on(oblique_grid), density_on(oblique_grid).with_values(density), Y90)
    assert any("(lung)" in str(message) for message in result.messages)


def test_kernel_of_one_source_is_the_voxel_kernel(oblique_grid: Grid) -> None:
    from hepatica.transport.kernels.voxel import voxel_kernel

    values = np.zeros(oblique_grid.shape, np.float32)
    values[10, 9, 7] = 1e9
    result = dose_engine("kernel").compute(
        Volume(oblique_grid, values, Kind.DECAYS), density_on(oblique_grid), Y90, DoseSettings(density="none")
    )
    kernel = voxel_kernel(Y90, (2.5, 3.5, 5.0), half_shape=(3, 3, 3)).gy_per_decay
    for offset in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1, 0)):
        at = tuple(c + o for c, o in zip((10, 9, 7), offset, strict=True))
        assert float(result.dose.values[at]) == pytest.approx(1e9 * float(kernel[offset]), rel=1e-4)


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_what_is_refused(name: str, oblique_grid: Grid) -> None:
    engine = dose_engine(name)
    decays, density = decays_on(oblique_grid), density_on(oblique_grid)
    with pytest.raises(UnitError, match="needed"):
        engine.compute(density, density, Y90)
    with pytest.raises(UnitError, match="needed"):
        engine.compute(decays, decays, Y90)
    with pytest.raises(GeometryError, match="frames of reference"):
        engine.compute(decays, density_on(oblique_grid.with_frame_of_reference("1.2.3")), Y90)
    with pytest.raises(GeometryError, match="grids differ"):
        engine.compute(decays, density_on(Grid.axial((4, 4, 4), spacing_mm=(2, 2, 2))), Y90)
    for bad in (np.nan, np.inf):
        values = decays.values.copy()
        values[1, 2, 3] = bad
        with pytest.raises(UnitError, match=r"1 voxels are NaN or infinite, first at \(1, 2, 3\)"):
            engine.compute(decays.with_values(values), density, Y90)
        with pytest.raises(UnitError, match="NaN or infinite"):
            engine.compute(decays, density.with_values(values), Y90)
    with pytest.raises(InputError, match="no activity"):
        engine.compute(decays.with_values(np.zeros(oblique_grid.shape)), density, Y90)
    with pytest.raises(InputError, match="negative"):
        engine.compute(decays, density.with_values(-density.values), Y90)
    with pytest.raises(InputError, match="kg/m3"):
        engine.compute(decays, density.with_values(1000 * density.values), Y90)


@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_negative_decays_only_on_request(name: str, oblique_grid: Grid) -> None:
    values = decays_on(oblique_grid).values.copy()
    values[0, 0, 0] = -5e9
    decays, density = Volume(oblique_grid, values, Kind.DECAYS), density_on(oblique_grid)
    with pytest.raises(InputError, match=r"1 voxels are negative.*handle_negatives"):
        dose_engine(name).compute(decays, density, Y90)
    kept = dose_engine(name).compute(decays, density, Y90, DoseSettings(negatives="keep"))
    assert float(kept.dose.values[0, 0, 0]) < 0


@pytest.mark.parametrize(
    "choices",
    [
        {"density": "loca"},
        {"negatives": "clip"},
        {"kernel_density_g_ml": 0.0},
        {"kernel_density_g_ml": 1000.0},
        {"air_below_g_ml": 0.0},
        {"local_photon_fraction": 1.5},
        {"local_photon_fraction": float("nan")},
    ],
)
def test_settings_are_checked(choices: dict[str, object]) -> None:
    with pytest.raises(InputError):
        DoseSettings(**choices)  # type: ignore[arg-type]


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown dose engine 'kernal'.*; known: .*kernel.*local"):
        dose_engine("kernal")


@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_a_dose_map_tells_its_story(name: str, oblique_grid: Grid) -> None:
    result = dose_engine(name).compute(decays_on(oblique_grid), density_on(oblique_grid), Y90)
    assert "Y-90" in repr(result)
    assert "not a medical device" in result._repr_html_()
    told = json.loads(json.dumps(document(result.provenance)))
    assert told["parameters"]["engine"] == name
    assert told["parameters"]["electron_energy_mev_per_decay"] == Y90.electron_energy_mev
    assert told["conventions"]["dose"]
    assert json.dumps(document(result.energy_balance))
