"""Lung shunt, lung mass, T/N, volumes, extrahepatic uptake on a turned, anisotropic grid."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import ndimage

from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.errors import GeometryError, InputError, TimeError, UnitError
from hepatica.planning.extrahepatic.uptake import share_elsewhere
from hepatica.planning.intervals import NormalPair
from hepatica.planning.prescriptions.dose_constants import DoseConstant
from hepatica.planning.scout.lung_shunt import (
    PlanarShuntOptions,
    PlanarView,
    SpectShuntOptions,
    grown,
    moved,
    planar_lung_shunt,
    spect_lung_shunt,
)
from hepatica.planning.scout.lungs import lung_dose, lung_dose_gy, lung_mass_kg
from hepatica.planning.scout.uptake import Uptake, overall_uptake_ratio, sphere_recovery, uptake_of, uptake_ratio
from hepatica.planning.scout.volumes import liver_volumes

MIRD = DoseConstant(49.67, "Y-90", "mird", 64.05 * 3600)


def box(name: str, grid: Grid, i: slice, j: slice, k: slice) -> Region:
    values = np.zeros(grid.shape)
    values[i, j, k] = 1
    return Region.from_coverage(name, grid, values)


@pytest.fixture
def patient(oblique_grid: Grid) -> tuple[Volume, Region, Region]:
    """Liver at 10 per voxel below lungs at 1 per voxel (k runs to the feet)."""
    liver = box("liver", oblique_grid, slice(2, 14), slice(3, 15), slice(8, 14))
    lungs = box("lungs", oblique_grid, slice(2, 22), slice(2, 16), slice(1, 8))
    image = liver.full() * 10.0 + lungs.full() * 1.0
    return Volume(oblique_grid, image, Kind.COUNTS, name="scout"), lungs, liver


def test_spect_shunt_is_the_ratio_of_contents(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient
    out = spect_lung_shunt(image, lungs, liver)
    lung_voxels, liver_voxels = 20 * 14 * 7, 12 * 12 * 6
    assert out.lung_shunt.value == pytest.approx(lung_voxels / (lung_voxels + 10 * liver_voxels))
    assert out.lung_shunt.sd is None
    assert out.messages[-1].code == "shunt-uncertainty-unknown"


def test_overlap_counts_once_for_the_liver(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient
    bigger = lungs | box("x", image.grid, slice(2, 14), slice(3, 15), slice(8, 10))
    assert spect_lung_shunt(image, bigger, liver).lung_shunt.value == pytest.approx(
        spect_lung_shunt(image, lungs, liver).lung_shunt.value
    )
    assert spect_lung_shunt(image, bigger, liver).details["overlap_counted_for_liver_ml"] > 0


def test_truncated_lungs_are_extrapolated_by_mass(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient
    # Ten times lung's: the phantom is a tenth of a patient.
    density = Volume(image.grid, np.full(image.grid.shape, 2.6, np.float64), Kind.DENSITY)
    half = box("lungs", image.grid, slice(2, 22), slice(2, 16), slice(4, 8))
    mass = lungs.mass_g(density) / 1000
    out = spect_lung_shunt(image, half, liver, density=density, options=SpectShuntOptions(lung_mass_kg=mass))
    assert out.lung_shunt.value == pytest.approx(spect_lung_shunt(image, lungs, liver).lung_shunt.value, rel=1e-6)
    assert out.details["extrapolated_share_of_lungs"] == pytest.approx(3 / 7, rel=1e-6)
    with pytest.raises(InputError, match="needs the CT"):
        spect_lung_shunt(image, half, liver, options=SpectShuntOptions(lung_mass_kg=mass))
    with pytest.raises(InputError, match="more than the stated"):
        spect_lung_shunt(image, half, liver, density=density, options=SpectShuntOptions(lung_mass_kg=mass / 2))


def test_dome_margin_takes_spill_out_of_the_lung_base(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient
    sharp = spect_lung_shunt(image, lungs, liver).lung_shunt.value
    blurred = image.with_values(ndimage.gaussian_filter(image.values, [1.5, 1.1, 0.8]))
    as_drawn = spect_lung_shunt(blurred, lungs, liver)
    margin = spect_lung_shunt(blurred, lungs, liver, options=SpectShuntOptions(dome_margin_mm=12))
    assert as_drawn.lung_shunt.value > sharp * 1.05
    assert abs(margin.lung_shunt.value - sharp) < abs(as_drawn.lung_shunt.value - sharp) / 2
    assert margin.details["fraction_as_drawn"] == pytest.approx(as_drawn.lung_shunt.value)
    assert margin.details["fraction_with_dome_margin"] == pytest.approx(margin.lung_shunt.value)


def test_border_uncertainty_is_what_moving_the_border_does(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient
    options = SpectShuntOptions(
        border_mm=1.0, lung_count_relative_sd=0.02, liver_count_relative_sd=0.01, residual_scatter_sd=0.005
    )
    out = spect_lung_shunt(image, lungs, liver, options=options)
    assert out.lung_shunt.sd is not None
    assert out.interval_95 is not None
    assert out.lung_shunt.sd == pytest.approx(math.hypot(*out.components_sd.values()))
    assert out.interval_95.low < out.lung_shunt.value < out.interval_95.high
    assert out.components_sd["border"] > 0
    assert out.components_sd["scatter"] == pytest.approx(0.005 * (1 - out.lung_shunt.value) ** 2)


def test_border_uncertainty_is_the_slope_of_the_shunt(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient

    def contents(lungs_by: float, liver_by: float) -> np.ndarray:
        there = moved(liver, liver_by)
        return np.array([(moved(lungs, lungs_by) - there).total(image), there.total(image)])

    # L / (L + V) to first order: (V dL - L dV) / (L + V)^2, for the border of the lungs and for that of the liver,
    # which takes from the lungs what it gives to the liver
    in_lungs, in_liver = contents(0, 0)
    slope = np.array([in_liver, -in_lungs]) / (in_lungs + in_liver) ** 2
    by_lungs = (contents(1, 0) - contents(-1, 0)) / 2 @ slope
    by_liver = (contents(0, 1) - contents(0, -1)) / 2 @ slope
    found = spect_lung_shunt(image, lungs, liver, options=SpectShuntOptions(border_mm=1.0)).components_sd["border"]
    assert found == pytest.approx(math.hypot(by_lungs, by_liver), rel=1e-3)


def test_moving_a_border_changes_the_volume_by_its_area() -> None:
    grid = Grid.axial((40, 40, 40), spacing_mm=(2.0, 2.0, 2.0))
    r = np.linalg.norm(np.indices(grid.shape) - 19.5, axis=0) * 2.0
    ball = Region.from_coverage("ball", grid, r <= 25)
    up, down = moved(ball, 0.5), moved(ball, -0.5)
    assert up.volume_ml - down.volume_ml == pytest.approx(4 * math.pi * 2.5**2 * 0.1, rel=0.08)
    # Distances run from voxel centres: the border lands up to half a voxel (1 mm) short of the margin.
    assert 4 / 3 * math.pi * 2.8**3 < grown(ball, 4).volume_ml <= 4 / 3 * math.pi * 2.9**3
    assert 4 / 3 * math.pi * 2.1**3 <= grown(ball, -4).volume_ml < 4 / 3 * math.pi * 2.2**3


T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_planar_geometric_mean_with_background_and_decay() -> None:
    anterior = PlanarView(5200, 81000, 2000, 1500, 400, 1000, T0, 300)
    posterior = PlanarView(4700, 62000, 2000, 1500, 300, 1000, T0 + timedelta(minutes=30), 300)
    half_life = 6.0072 * 3600
    out = planar_lung_shunt(anterior, posterior, PlanarShuntOptions(half_life_s=half_life, border_relative_sd=0.05))
    grow = 2 ** (1800 / half_life)
    lungs = math.sqrt((5200 - 800) * (4700 - 600) * grow)
    liver = math.sqrt((81000 - 600) * (62000 - 450) * grow)
    assert out.lung_shunt.value == pytest.approx(lungs / (lungs + liver), rel=1e-12)
    assert out.lung_shunt.sd is not None
    with pytest.raises(TimeError, match="`half_life_s`"):
        planar_lung_shunt(anterior, posterior)
    with pytest.raises(TimeError, match="one planar view"):
        planar_lung_shunt(PlanarView(10, 10, 1, 1), posterior)


def test_planar_attenuation_and_scatter() -> None:
    view = PlanarView(5000, 50000, 100, 100)
    plain = planar_lung_shunt(view, view)
    assert plain.lung_shunt.value == pytest.approx(1 / 11)
    corrected = planar_lung_shunt(view, view, PlanarShuntOptions(lung_transmission=0.6, liver_transmission=0.3))
    assert corrected.lung_shunt.value == pytest.approx((5000 / 0.6) / (5000 / 0.6 + 50000 / 0.3))
    scatter = planar_lung_shunt(view, view, PlanarShuntOptions(scatter_fraction=0.02))
    assert scatter.lung_shunt.value == pytest.approx(4000 / 54000)
    with pytest.raises(InputError, match="too high"):
        planar_lung_shunt(view, view, PlanarShuntOptions(scatter_fraction=0.2))
    with pytest.raises(InputError, match="nothing above background"):
        planar_lung_shunt(PlanarView(100, 50000, 100, 100, 1000, 100), view)


def test_lung_mass_clips_air_and_bone() -> None:
    # Worked example B4: 1000 mL at -700 HU weigh 300 g; [-1100, 500] HU of 1 mL each weigh 1.1 g.
    grid = Grid.axial((10, 10, 10), spacing_mm=(10.0, 10.0, 10.0))
    every = Region.from_coverage("lungs", grid, np.ones(grid.shape))
    assert lung_mass_kg(Volume(grid, np.full(grid.shape, -700.0), Kind.HU), every) == pytest.approx(0.3)
    two = Grid.axial((2, 1, 1), spacing_mm=(10.0, 10.0, 10.0))
    hu = Volume(two, np.array([[[-1100.0]], [[500.0]]]), Kind.HU)
    assert lung_mass_kg(hu, Region.from_coverage("lungs", two, np.ones(two.shape))) == pytest.approx(1.1e-3)
    with pytest.raises(UnitError):
        lung_mass_kg(Volume(two, np.ones(two.shape), Kind.DENSITY), Region.from_coverage("l", two, np.ones(two.shape)))


def test_lung_dose_by_measured_and_assumed_mass() -> None:
    # Worked example B2.
    dose = lung_dose_gy(2.0, Estimate(0.1, 0.02), Estimate(1.0, 0.1), MIRD)
    assert dose.value == pytest.approx(9.934)
    assert dose.sd == pytest.approx(9.934 * math.hypot(0.2, 0.1))
    assert lung_dose_gy(1.0, Estimate(0.1), Estimate(0.5), MIRD).value == pytest.approx(9.934)
    measured, assumed = (lung_dose(2.0, Estimate(0.1, 0.02), mass, MIRD) for mass in (0.5, None))
    assert measured.dose_lung_gy.value == pytest.approx(2 * 9.934)
    assert measured.lung_mass_measured
    assert assumed.dose_lung_gy.value == pytest.approx(9.934)
    # The uncertainty is that of the shunt alone.
    assert assumed.dose_lung_gy.sd == pytest.approx(9.934 * 0.2)
    assert (assumed.lung_mass_used_kg, assumed.lung_mass_measured) == (1.0, False)


def test_uptake_ratios_keep_both_definitions(patient: tuple[Volume, Region, Region]) -> None:
    image, _, liver = patient
    lesion = box("lesion", image.grid, slice(4, 7), slice(5, 8), slice(9, 12))
    hot = image.with_values(image.values + 30 * lesion.full())
    density = Volume(image.grid, np.full(image.grid.shape, 1.06), Kind.DENSITY)
    a = uptake_of(hot, lesion, density, content_relative_sd=0.04, mass_relative_sd=0.03)
    b = uptake_of(hot, liver - lesion, density, content_relative_sd=0.01, mass_relative_sd=0.02)
    out = uptake_ratio(a, b, response_mm=12)
    assert out.tumour_to_normal.value == pytest.approx(4.0, rel=1e-6)
    assert out.activity_ratio == pytest.approx(4.0 * a.mass_kg / b.mass_kg, rel=1e-6)
    assert out.tumour_to_normal.sd == pytest.approx(4.0 * math.hypot(0.04, 0.03, 0.01, 0.02), rel=1e-6)
    assert out.messages[0].code == "partial-volume"
    assert out.interval_95 is not None
    assert out.interval_95.low < 4 < out.interval_95.high


def test_overall_ratio_weighs_by_mass() -> None:
    normal = Uptake("normal", 100, 1.0)
    out = overall_uptake_ratio([Uptake("a", 40, 0.1), Uptake("b", 20, 0.1)], normal)
    assert out.tumour_to_normal.value == pytest.approx(3.0)
    assert out.tumour_to_normal.sd is None
    with pytest.raises(InputError, match="no activity"):
        uptake_ratio(Uptake("a", 10, 0.1), Uptake("normal", 0, 1.0))


def test_sphere_recovery_against_a_blurred_sphere() -> None:
    grid = Grid.axial((61, 61, 61), spacing_mm=(1.0, 1.0, 1.0))
    r = np.linalg.norm(np.indices(grid.shape) - 30.0, axis=0)
    ball = (r <= 13.0).astype(float)
    blurred = ndimage.gaussian_filter(ball, 10 / 2.35482, mode="constant")
    measured = float((blurred * ball).sum() / ball.sum())
    assert sphere_recovery(float(ball.sum()) / 1000, 10.0) == pytest.approx(measured, rel=0.01)


def test_volumes_and_reserve(patient: tuple[Volume, Region, Region]) -> None:
    image, _, liver = patient
    grid = image.grid
    right = box("right", grid, slice(2, 9), slice(3, 15), slice(8, 14))
    tumour = box("tumour", grid, slice(4, 7), slice(5, 8), slice(9, 12))
    out = liver_volumes(liver, [tumour], {"right": right}, future_remnant=liver - right)
    assert out.involvement == pytest.approx(27 / 864)
    assert out.hepatic_reserve == pytest.approx(1 - (504 - 27) / (864 - 27))
    assert out.future_remnant_share == pytest.approx(360 / 837)
    assert out.territories[0].involvement == pytest.approx(27 / 504)
    left = box("left", grid, slice(8, 14), slice(3, 15), slice(8, 14))
    with pytest.raises(GeometryError, match="overlap"):
        liver_volumes(liver, [tumour], {"right": right, "left": left})
    leaving = box("out", grid, slice(8, 20), slice(3, 15), slice(8, 14))
    codes = [message.code for message in liver_volumes(liver, [tumour], {"out": leaving}).messages]
    assert codes == ["territory-outside-liver", "tumour-outside-territories"]
    with pytest.raises(InputError, match="no volume inside"):
        liver_volumes(liver, [], {"far": box("far", grid, slice(20, 23), slice(3, 5), slice(1, 3))})


def test_share_outside_liver_and_lungs(patient: tuple[Volume, Region, Region]) -> None:
    image, lungs, liver = patient
    stomach = box("stomach", image.grid, slice(19, 23), slice(6, 10), slice(12, 15))
    hot = image.with_values(image.values + 8 * stomach.full())
    assert share_elsewhere(hot, liver, lungs, margin_mm=8) == pytest.approx(8 * 48 / float(hot.values.sum()), rel=1e-6)


def test_fieller_covers_ratios_of_normals() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        a, b = rng.normal(3.0, 0.5), rng.normal(10.0, 1.0)
        interval = NormalPair(a, b, 0.5, 1.0).ratio_interval()
        hits += interval.low <= 0.3 <= interval.high
    assert 0.935 < hits / 2000 < 0.965
    assert math.isinf(NormalPair(1, 0.1, 0.1, 0.1).ratio_interval().high)
