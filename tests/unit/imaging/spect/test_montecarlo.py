"""The Monte Carlo projector's tables, its seeds and its refusals."""

import math
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.errors import GeometryError, InputError, PhysicsError, UnitError
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.camera.detector import geometric_response
from hepatica.imaging.spect.montecarlo.emission import emission_mixture
from hepatica.imaging.spect.montecarlo.exits import block_means
from hepatica.imaging.spect.montecarlo.patient import patient_from_density
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.response_tables import response_tables
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings, TallySums, without_negatives
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import nuclide
from hepatica.transport.runner.launch import load_warp

CAMERA = gamma_camera("siemens-hegp")
RESPONSE = geometric_response(CAMERA)
WINDOW = Window(105.0, 195.0)
SPECT = Grid.axial((24, 24, 16), spacing_mm=(10.0, 10.0, 12.0), origin_mm=(-115.0, -115.0, -90.0))


def water(grid: Grid) -> Volume:
    return Volume(grid, np.ones(grid.shape, np.float32), Kind.DENSITY)


def projector(name: str = "Y-90", **options: object) -> MonteCarloProjector:
    grid = Grid.axial((15, 15, 15), spacing_mm=(10.0,) * 3, origin_mm=(-70.0,) * 3)
    orbit = Orbit.circular(6, radius_mm=150)
    setup = SpectSetup(CAMERA, nuclide(name), orbit, [WINDOW], SPECT, RESPONSE)
    return MonteCarloProjector(water(grid), setup, voxel_mm=10.0, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made() -> MonteCarloProjector:
    return projector()


def oblique_source(kind: Kind = Kind.ACTIVITY) -> Volume:
    """Activity on an oblique, anisotropic, flipped grid, one hot corner."""
    turn = np.deg2rad(20.0)
    axes = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, -1.0]])
    affine = np.eye(4)
    affine[:3, :3] = axes * [6.0, 4.0, 9.0]
    affine[:3, 3] = [-20.0, -30.0, 30.0]
    values = np.ones((7, 9, 5), np.float32)
    values[0, 0, 0] = 200.0
    return Volume(Grid((7, 9, 5), affine), values, kind)


def test_the_same_seed_on_one_and_two_threads(made: MonteCarloProjector) -> None:
    one, two, other = (
        made.project(oblique_source(), ProjectionSettings(histories=2000, seed=seed, threads=threads))
        for seed, threads in ((5, 1), (5, 2), (6, 2))
    )
    np.testing.assert_allclose(one.total, two.total, rtol=1e-6)
    assert one.histories == two.histories == 2000
    assert not np.array_equal(one.total, other.total)


def test_the_place_of_an_oblique_source(made: MonteCarloProjector) -> None:
    source = oblique_source()
    found = made.project(source, ProjectionSettings(histories=20_000, seed=2, max_scatter=0))
    index = np.moveaxis(np.indices(source.grid.shape), 0, -1)
    x, y, z = np.average(source.grid.to_mm(index).reshape(-1, 3), weights=source.values.ravel(), axis=0)
    angle = np.deg2rad(made.orbit.angle_deg)
    # no scatter: the centre of gravity is shifted only by attenuation, a few mm in 150 mm of water
    u_mm, v_mm = SPECT.to_mm(np.stack([np.arange(24), np.zeros(24), np.zeros(24)], 1))[:, 0], np.arange(16) * 12.0 - 90
    counts = found.primary[0]
    assert np.average(u_mm, weights=counts[0].sum(axis=1)) == pytest.approx(-x * math.cos(angle[0]), abs=6.0)
    for view in range(6):
        across = np.average(u_mm, weights=counts[view].sum(axis=1))
        assert across == pytest.approx(y * math.sin(angle[view]) - x * math.cos(angle[view]), abs=8.0)
        assert np.average(v_mm, weights=counts[view].sum(axis=0)) == pytest.approx(z, abs=4.0)


def test_stops_at_the_uncertainty_asked_for(made: MonteCarloProjector) -> None:
    told: list[float | None] = []
    settings = ProjectionSettings(target_uncertainty=0.2, time_limit_s=20, seed=3)
    found = made.project(oblique_source(Kind.DECAYS), settings, progress=lambda p: told.append(p.relative_uncertainty))
    assert found.uncertainty <= 0.2
    assert len(told) == found.batches >= 10
    assert found.provenance["reached_uncertainty"] == found.uncertainty
    assert found.relative_sd.shape == found.primary.shape == made.shape


def test_parts_are_primary_and_three_others() -> None:
    four = projector(parts=4).project(oblique_source(), ProjectionSettings(histories=3000))
    assert four.parts is not None
    np.testing.assert_allclose(four.parts[0], four.primary)
    np.testing.assert_allclose(four.parts[1:].sum(axis=0), four.other, rtol=1e-5)
    # holes alone: nothing comes through lead
    assert four.parts[2:].sum() == 0
    assert four.parts[1].sum() > 0


def test_relative_sd_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    sums = TallySums(2, (1, 1, 1, 1))
    for _ in range(400):
        sums.add(rng.poisson(50.0, 2).astype(float), np.zeros(6), 1000)
    # 400 batches of Poisson(100): relative 1/sqrt(40000); its own uncertainty 1/sqrt(800)
    assert sums.relative_sd()[0, 0, 0, 0] == pytest.approx(0.005, rel=4 / math.sqrt(800))


def test_negative_bins_go_and_the_views_keep_their_sums() -> None:
    counts = np.random.default_rng(3).normal(1.0, 1.0, (2, 3, 5, 4))
    counts[1, 2] = -1.0
    made = without_negatives(counts)
    assert (made >= 0).all()
    np.testing.assert_allclose(made.sum(axis=(2, 3)), np.maximum(counts.sum(axis=(2, 3)), 0))
    assert (made[counts <= 0] == 0).all()


def test_places_are_drawn_as_often_as_the_response_asks() -> None:
    """Steps of the tables of directions have the probabilities of the bins that they cover."""
    tables = response_tables(RESPONSE, CAMERA, [WINDOW], 300.0)
    place, far = tables.places(500)
    n = int(np.searchsorted(tables.energy_kev, 150.0))
    cumulative = (
        np.concatenate([[0.0], np.cumsum(tables.share[n, : tables.near])]) / tables.share[n, : tables.near].sum()
    )
    # what the table says lies below each edge of a bin, against the sum of the bins; the steps are 1/500
    found = np.interp(np.arange(tables.near + 1), place[n], np.linspace(0, 1, 501))
    np.testing.assert_allclose(found, cumulative, atol=1 / 500)
    assert not far.any()  # holes alone
    near, beyond = tables.sums()
    np.testing.assert_allclose(near, tables.chance.sum(axis=(1, 2, 3)), rtol=1e-12)
    assert not beyond.any()
    assert (tables.bounds()[0] >= near).all()


def test_coarse_cells_hold_what_the_voxels_hold() -> None:
    values = np.random.default_rng(1).random((5 * 4 * 7, 2)).astype(np.float32)
    means = block_means(values, (5, 4, 7), 3)
    assert means.shape == (2, 2, 3, 2)
    np.testing.assert_allclose(27 * means.sum(axis=(0, 1, 2)), values.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(means[0, 0, 0], values.reshape(5, 4, 7, 2)[:3, :3, :3].mean(axis=(0, 1, 2)), rtol=1e-5)


def test_the_table_of_exits_is_the_way_out(made: MonteCarloProjector) -> None:
    """Water of 1 g/mL in 150 mm: from a cell's middle to the border along each view."""
    cells, sizes = made._exits, np.asarray(made.patient.grid.spacing_mm)
    middle = (np.moveaxis(np.indices(cells.shape[:3]), 0, -1) + 0.5) * sizes
    for view, angle in enumerate(np.deg2rad(made.orbit.angle_deg)):
        way = np.array([math.sin(angle), math.cos(angle)])
        way = np.where(np.abs(way) < 1e-6, 1e-6, way)
        lengths = np.where(way > 0, 150.0 - middle[..., :2], -middle[..., :2]) / np.abs(way) * np.sign(way)
        expected = np.abs(lengths).min(axis=-1)
        water = made.patient.ray_densities()[0]
        np.testing.assert_allclose(cells[..., view, :], expected[..., None] * water, rtol=2e-3, atol=0.05)


def test_response_tables_hold_the_sensitivity() -> None:
    tables = response_tables(RESPONSE, CAMERA, [WINDOW, Window(50, 90)], 2000.0)
    n = int(np.searchsorted(tables.energy_kev, 150.0))
    expected = RESPONSE.window([WINDOW, Window(50, 90)], tables.energy_kev[n : n + 2]).sensitivity(
        float(tables.energy_kev[n])
    )
    np.testing.assert_allclose(tables.chance[n].sum(axis=(0, 2)) / (4 * math.pi), expected, rtol=1e-9)
    np.testing.assert_allclose(tables.share.sum(axis=1), 1.0)
    assert 40 <= tables.lowest_kev < 50
    assert (np.diff(tables.importance) >= 0).all()


@pytest.mark.parametrize("name", ["Y-90", "Ho-166", "Lu-177"])
def test_weights_take_back_the_shares(name: str) -> None:
    mixture = emission_mixture(nuclide(name), lambda kev: (kev > 60.0) * kev, 60.0, internal=False)
    emitted = nuclide(name)
    lines = sum(g.yield_per_decay for g in emitted.photons if g.energy_kev > 60)
    assert mixture.photon_share * (mixture.line_share @ mixture.line_weight) == pytest.approx(lines)
    betas = mixture.electron_share[0] * mixture.electron_weight[0] * mixture.beta_weight.mean()
    assert (1 - mixture.photon_share) * betas == pytest.approx(sum(b.yield_per_decay for b in emitted.betas))


def test_the_patient_keeps_mass_and_every_energys_attenuation() -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-3.0, 2.0, 5.0])
    affine[:3, 3] = [60.0, -40.0, -50.0]
    density = np.full((40, 40, 20), 0.0012, np.float32)
    density[10:30, 8:30, 4:16] = 1.05
    density[14:18, 10:14, 6:10] = 1.9
    made = patient_from_density(Volume(Grid((40, 40, 20), affine), density, Kind.DENSITY), voxel_mm=4.0)
    mass = made.phantom.density.sum(dtype=float) * made.grid.voxel_volume_ml
    # the crop leaves out air of 0.0012 g/mL, and borders thinned out below 0.05 g/mL
    assert mass == pytest.approx(density[density > 1].sum(dtype=float) * 0.03, rel=5e-3)
    assert made.basis.worst < 0.003
    assert np.allclose(made.grid.direction, np.eye(3))


def test_what_is_refused(made: MonteCarloProjector) -> None:
    settings = ProjectionSettings(histories=1000)
    source = oblique_source()
    affine = source.grid.affine.copy()
    affine[0, 3] += 300
    far = Volume(Grid(source.grid.shape, affine), source.values, source.kind)
    with pytest.raises(InputError, match="outside the CT"):
        made.project(far, settings)
    with pytest.raises(InputError, match="negative"):
        made.project(source.with_values(-source.values, Kind.ACTIVITY), settings)
    with pytest.raises(InputError, match="there is none"):
        made.project(source.with_values(0 * source.values, Kind.ACTIVITY), settings)
    with pytest.raises(UnitError):
        made.project(source.with_values(source.values, Kind.DOSE), settings)
    with pytest.raises(InputError, match="target_bins"):
        made.project(source, settings, target_bins=np.ones((1, 2, 3), bool))
    with pytest.raises(InputError, match="there are 1 windows"):
        made.project(source, ProjectionSettings(histories=1000, target_window=1))
    with pytest.raises(InputError, match="when to stop"):
        ProjectionSettings()


def test_windows_that_nothing_reaches_are_refused() -> None:
    density = water(Grid.axial((5, 5, 5), spacing_mm=(20.0,) * 3))
    orbit = Orbit.circular(2, radius_mm=150)
    with pytest.raises(PhysicsError, match="hardly any photon"):
        MonteCarloProjector(density, SpectSetup(CAMERA, nuclide("Tc-99m"), orbit, [Window(400, 450)], SPECT, RESPONSE))
    with pytest.raises(GeometryError, match="nothing denser"):
        MonteCarloProjector(
            density.with_values(0 * density.values, Kind.DENSITY),
            SpectSetup(CAMERA, nuclide("Tc-99m"), orbit, [WINDOW], SPECT, RESPONSE),
        )
    elsewhere = Volume(density.grid.with_frame_of_reference("1.2.3"), density.values, Kind.DENSITY)
    here = SPECT.with_frame_of_reference("1.2.4")
    with pytest.raises(GeometryError, match="frames of reference differ"):
        MonteCarloProjector(elsewhere, SpectSetup(CAMERA, nuclide("Tc-99m"), orbit, [WINDOW], here, RESPONSE))


def test_the_same_source_compiles_for_a_gpu(tmp_path: Path) -> None:
    wp = load_warp()
    from hepatica.transport.device import camera_views as device_follow

    # sm_90 (H100), without a driver
    wp.compile_aot_module(device_follow, arch=90, module_dir=tmp_path, use_ptx=True)
    (ptx,) = tmp_path.glob("*.ptx")
    assert "follow_histories" in ptx.read_text()


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if load_warp().is_cuda_available():
        pytest.skip("there is a GPU")
    with pytest.raises(PhysicsError, match="no CUDA GPU"):
        projector(device="cuda")
