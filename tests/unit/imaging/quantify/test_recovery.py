import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from hepatica.anatomy.phantoms.objects import Phantom, grid_around, nema_grid, nema_phantom
from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.core.document import document
from hepatica.errors import EvidenceError, GeometryError, InputError, PhysicsError
from hepatica.imaging.quantify.acquisition_conditions import Conditions, number
from hepatica.imaging.quantify.blurred.sphere import sphere_volume_ml
from hepatica.imaging.quantify.recovery import (
    Filling,
    RecoveryCurve,
    SphereRecovery,
    fit_recovery,
    measure_recovery,
    parts_mean,
)
from hepatica.imaging.quantify.response import GaussianPsf
from hepatica.imaging.spect.camera.hole_response import NAME

LU = Conditions("Lu-177", "siemens-megp", (187.2, 228.8), (4.0, 4.0, 4.0), {"iterations": 10, "scatter": "tew"})
DIAMETERS = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)


def points(half_ml: float, exponent: float, sd: float | None = None) -> list[SphereRecovery]:
    volumes = [sphere_volume_ml(d) for d in DIAMETERS]
    return [SphereRecovery(v, Estimate(1 / (1 + (half_ml / v) ** exponent), sd)) for v in volumes]


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return nema_phantom(nema_grid((4.0, 4.0, 4.0)), sphere_wall_mm=0.0)


def seen(phantom: Phantom, background: float) -> tuple[Volume, Filling]:
    names = tuple(phantom.sphere_diameters_mm)
    truth = phantom.activity({"background": background} | dict.fromkeys(names, 8e4), time=None)
    image = truth.with_values(GaussianPsf(12.0).blur(truth.values, truth.grid))
    filling = Filling(
        {name: phantom.regions[name] for name in names},
        phantom.sphere_diameters_mm,
        dict.fromkeys(names, 8e4),
        phantom.regions["core"] if background else None,
        background,
    )
    return image, filling


def test_a_curve_through_exact_points_gives_its_parameters_back() -> None:
    curve = fit_recovery(points(5.0, 0.8), LU)
    assert curve.half_volume_ml == pytest.approx(5.0, rel=1e-5)
    assert curve.exponent == pytest.approx(0.8, rel=1e-5)
    assert curve.at(5.0).value == pytest.approx(0.5, rel=1e-5)
    assert curve.at(5.0).sd == pytest.approx(0, abs=1e-6)
    assert curve.range_ml == pytest.approx((sphere_volume_ml(10), sphere_volume_ml(37)))
    step = 1e-5
    slope = math.log(curve.at(3 * (1 + step)).value / curve.at(3.0).value) / math.log1p(step)
    assert curve.log_slope(3.0) == pytest.approx(slope, rel=1e-3)


def test_uncertainty_of_the_fit_is_that_of_repeated_measurements() -> None:
    random = np.random.default_rng(4)
    sd = 0.02
    found = []
    for _ in range(300):
        noisy = [SphereRecovery(p.volume_ml, p.mean + sd * random.standard_normal()) for p in points(5.0, 0.8)]
        found.append(fit_recovery([SphereRecovery(p.volume_ml, Estimate(p.mean.value, sd)) for p in noisy], LU).at(4.0))
    spread = np.std([estimate.value for estimate in found])
    # 300 repetitions know a spread to 4 % (1 / sqrt(2 n)).
    assert np.mean([estimate.sd for estimate in found]) == pytest.approx(spread, rel=0.15)
    alone = fit_recovery([SphereRecovery(p.volume_ml, Estimate(p.mean.value)) for p in noisy], LU)
    assert alone.at(4.0).sd is not None
    assert 0 < alone.at(4.0).sd < 0.05


def test_spheres_in_a_cold_and_a_warm_phantom_recover_alike(phantom: Phantom) -> None:
    cold, none = measure_recovery(*seen(phantom, 0.0))
    warm, level = measure_recovery(*seen(phantom, 1e4))
    assert none is None
    assert level is not None
    assert level.value == pytest.approx(1, abs=0.01)
    for a, b in zip(cold, warm, strict=True):
        # The wall-less spheres replace background: contrast recovers as activity does.
        assert b.mean.value == pytest.approx(a.mean.value, rel=0.01)
        assert a.maximum is not None
        assert a.maximum > a.mean.value
    assert [round(p.diameter_mm) for p in cold] == list(DIAMETERS)
    assert all(a.mean.value < b.mean.value for a, b in itertools.pairwise(cold))


def test_a_curve_survives_json() -> None:
    curve = fit_recovery(points(5.0, 0.8, 0.01), LU, background_recovery=Estimate(0.98, 0.01), source="test")
    again = RecoveryCurve.from_dict(json.loads(json.dumps(document(curve))))
    assert again == curve
    broken = document(curve) | {"exponent": "steep"}
    with pytest.raises(InputError, match="exponent"):
        RecoveryCurve.from_dict(broken)
    with pytest.raises(InputError, match="not a recovery curve"):
        RecoveryCurve.from_dict({"kind": "hepatica camera calibration"})
    with pytest.raises(InputError, match="symmetric"):
        RecoveryCurve.from_dict(document(curve) | {"covariance": [[1.0, 2.0], [0.0, 1.0]]})
    with pytest.raises(InputError, match="covariance"):
        RecoveryCurve.from_dict(document(curve) | {"covariance": [1.0]})
    with pytest.raises(InputError, match=r"background_recovery_sd: -0.1 is below zero"):
        RecoveryCurve.from_dict(document(curve) | {"background_recovery_sd": -0.1})
    first = document(curve)["spheres"][0] | {"mean_recovery_sd": -1.0}
    with pytest.raises(InputError, match="mean_recovery_sd: -1 is below zero"):
        RecoveryCurve.from_dict(document(curve) | {"spheres": [first]})


def test_no_extrapolation_without_being_told() -> None:
    curve = fit_recovery(points(5.0, 0.8, 0.01), LU)
    for volume in (0.4, 30.0):
        with pytest.raises(PhysicsError, match=r"outside the spheres .* 0\.524 to 26\.5 mL"):
            curve.at(volume)
        assert 0 < curve.at(volume, extrapolate=True).value < 1
    with pytest.raises(InputError, match="positive"):
        curve.at(-1.0, extrapolate=True)


def test_impossible_recoveries_are_refused() -> None:
    for value in (0.0, -0.1, 1.31, math.nan):
        with pytest.raises(InputError, match=r"outside 0 to 1\.3"):
            SphereRecovery(1.0, Estimate(value))
    with pytest.raises(EvidenceError, match="at least 3 spheres"):
        fit_recovery(points(5.0, 0.8)[:2], LU)
    falling = [SphereRecovery(v, Estimate(r)) for v, r in ((1.0, 0.9), (3.0, 0.6), (9.0, 0.3))]
    with pytest.raises(EvidenceError, match="do not rise"):
        fit_recovery(falling, LU)


def test_spheres_that_do_not_match_are_refused(phantom: Phantom) -> None:
    image, filling = seen(phantom, 0.0)
    names = tuple(phantom.sphere_diameters_mm)
    with pytest.raises(InputError, match="spheres do not match"):
        Filling(filling.spheres, filling.diameters_mm, {names[0]: 1.0})
    with pytest.raises(GeometryError, match="do not belong together"):
        Filling(filling.spheres, dict(zip(names, reversed(DIAMETERS), strict=True)), filling.concentration_bq_ml)
    with pytest.raises(InputError, match="true concentration of -1"):
        Filling(filling.spheres, filling.diameters_mm, dict.fromkeys(names, -1.0))
    with pytest.raises(InputError, match="warm background needs"):
        Filling(filling.spheres, filling.diameters_mm, filling.concentration_bq_ml, None, 5.0)
    other = nema_phantom(grid_around((330, 260, 240), spacing_mm=(5, 5, 5), centre_mm=(0, 0, -27)), sphere_wall_mm=0.0)
    elsewhere = {name: other.regions[name] for name in names}
    with pytest.raises(GeometryError, match=r"image and sphere \d+ mm"):
        measure_recovery(image, Filling(elsewhere, filling.diameters_mm, filling.concentration_bq_ml))
    wrong = Filling(filling.spheres, filling.diameters_mm, dict.fromkeys(names, 1e4))
    with pytest.raises(InputError, match=r"recovers .*, outside 0 to 1.3"):
        measure_recovery(image, wrong)


def test_other_conditions_are_refused_and_unknown_ones_told() -> None:
    same = Conditions("Lu-177", "siemens-megp", (187.0, 229.0), (4.0, 4.0, 4.0), {"iterations": 10, "scatter": "tew"})
    assert LU.require_fit(same, "recovery") == ()
    for other, message in (
        (Conditions("Y-90", "siemens-megp", (187.2, 228.8), (4, 4, 4)), "nuclide: Lu-177 against Y-90"),
        (Conditions("Lu-177", "ge-megp", (187.2, 228.8), (4, 4, 4)), "camera: siemens-megp against ge-megp"),
        (Conditions("Lu-177", "siemens-megp", (101.7, 124.3), (4, 4, 4)), r"187\.2 x 228\.8 against 101\.7 x 124\.3"),
        (Conditions("Lu-177", "siemens-megp", (187.2, 228.8), (4.8, 4.8, 4.8)), "voxel size"),
        (Conditions("Lu-177", "siemens-megp", None, None, {"scatter": "none"}), "scatter: tew against none"),
    ):
        with pytest.raises(InputError, match=message):
            LU.require_fit(other, "recovery")
    nested = Conditions("Lu-177", reconstruction={"windows_kev": [[187.2, 228.8], [101.7, 124.3]]})
    with pytest.raises(InputError, match=r"187\.2 x 228\.8 x 101\.7 x 124\.3 against 1 x 2"):
        nested.require_fit(Conditions("Lu-177", reconstruction={"windows_kev": [[1.0, 2.0]]}), "recovery")
    (message,) = LU.require_fit(Conditions("Lu-177"), "recovery")
    assert "camera, energy window (keV), voxel size (mm), reconstruction" in message.text
    assert Conditions.from_dict(document(LU)) == LU
    with pytest.raises(InputError, match="window_kev"):
        Conditions.from_dict(document(LU) | {"window_kev": [1, math.inf]})


def test_a_curve_of_the_response_before_is_refused_for_images_of_todays() -> None:
    """Files that tell the detector but no response were made with the Gaussian, curves and images alike."""
    before = Conditions.from_dict({"nuclide": "Lu-177", "reconstruction": {"iterations": 10, "detector": ["table"]}})
    today = Conditions("Lu-177", reconstruction={"iterations": 10, "detector": ["table"], "response": NAME})
    with pytest.raises(InputError, match=f"response: Gaussian of Anger's width against {NAME}"):
        before.require_fit(today, "recovery")
    again = Conditions.from_dict(document(before))
    assert again == before
    assert "response" not in str(before.require_fit(again, "recovery"))
    assert Conditions.from_dict(document(today)) == today
    in_air = Conditions.from_dict({"nuclide": "Lu-177"})
    assert "response" not in str(in_air.require_fit(today, "camera factor"))


def test_settings_that_only_one_of_the_two_tells_are_said() -> None:
    """A file without `detector` is older than the table: what it was made with is not known."""
    told = {"iterations": 10, "scatter": "mc", "detector": ["table"], "response": NAME, "penetration": 1.0}
    today = Conditions("Y-90", "siemens-hegp", (105, 195), (4, 4, 4), told)
    older = replace(today, reconstruction={"iterations": 10, "scatter": "mc"})
    for first, second in ((older, today), (today, older)):
        (message,) = first.require_fit(second, "recovery")
        assert message.text.endswith("detector, penetration, response")


def test_counts_through_lead_are_a_condition() -> None:
    """With scatter by Monte Carlo; images from before they were told had those of the model."""
    settings = {"scatter": "mc", "detector": ["table"], "response": NAME}
    before = Conditions.from_dict({"nuclide": "Y-90", "reconstruction": settings})
    assert before.reconstruction["penetration"] == 1.0
    for lead, fits in ((1.0, True), (1.015, True), (1.3, False)):
        image = replace(before, reconstruction={**before.reconstruction, "penetration": lead})
        if fits:
            assert "penetration" not in str(before.require_fit(image, "recovery"))
        else:
            with pytest.raises(InputError, match=r"penetration: 1 against 1\.3"):
                before.require_fit(image, "recovery")
    windows = Conditions.from_dict({"nuclide": "Lu-177", "reconstruction": settings | {"scatter": "tew"}})
    assert "penetration" not in windows.reconstruction


def test_noise_of_a_mean_is_seen_between_its_parts() -> None:
    grid = grid_around((60, 60, 96), spacing_mm=(4, 4, 4))
    region = Region.from_coverage("all", grid, np.ones(grid.shape))
    random = np.random.default_rng(6)
    found = [parts_mean(Volume(grid, random.normal(100, 10, grid.shape), Kind.COUNTS), region).sd for _ in range(200)]
    # 10 over the root of 15 x 15 x 24 voxels; the standard error of 8 parts scatters by 1 / sqrt(2 * 7).
    assert np.mean(np.square(np.array(found, dtype=float))) ** 0.5 == pytest.approx(10 / math.sqrt(5400), rel=0.06)
    thin = Region.from_coverage("thin", grid, np.pad(np.ones((6, 6, 6)), ((0, 9), (0, 9), (0, 18))))
    assert parts_mean(Volume(grid, np.ones(grid.shape), Kind.COUNTS), thin).sd is None


def test_cold_spheres_have_no_highest_voxel(phantom: Phantom) -> None:
    # recovery of the highest voxel is one of hot spheres; in a cold one the highest voxel is the background beside it
    names = tuple(phantom.sphere_diameters_mm)
    truth = phantom.activity({"background": 1e4} | dict.fromkeys(names, 1e3), time=None)
    regions = {name: phantom.regions[name] for name in names}
    cold = Filling(
        regions, phantom.sphere_diameters_mm, dict.fromkeys(names, 1e3), phantom.regions["core"], background_bq_ml=1e4
    )
    points, _ = measure_recovery(truth, cold)
    assert all(point.maximum is None for point in points)
    assert points[-1].mean.value == pytest.approx(1, abs=0.2)  # unblurred; its border voxels hold background too


def test_parts_of_a_region_lie_along_its_longest_side_in_mm() -> None:
    # 10 x 10 x 8 voxels of 1 x 1 x 8 mm: 64 mm along the third axis. Layers 0 to 7 in four parts of two: means 0.5,
    # 2.5, 4.5, 6.5, whose standard deviation is sqrt(20 / 3), over sqrt(4) = 1.290994.
    grid = Grid.axial((10, 10, 8), spacing_mm=(1.0, 1.0, 8.0))
    image = Volume(grid, np.broadcast_to(np.arange(8.0), grid.shape).copy(), Kind.ACTIVITY)
    found = parts_mean(image, Region.from_coverage("all", grid, np.ones(grid.shape)))
    assert found.value == pytest.approx(3.5)
    assert found.sd == pytest.approx(1.290994, rel=1e-6)


def test_a_number_that_is_missing_is_refused_unless_it_may_be() -> None:
    assert number({"a": 2}, "a") == 2.0
    assert number({}, "a", optional=True) is None
    for data in ({}, {"a": "2"}, {"a": math.nan}, {"a": True}):
        with pytest.raises(InputError, match="are not finite numbers"):
            number(data, "a")


@pytest.mark.parametrize("level", [0.355, 2.0])
def test_a_curve_whose_background_is_not_recovered_is_refused(level: float) -> None:
    """A filling ten days late, say: spheres and background are lost alike, and only the background shows it."""
    with pytest.raises(InputError, match="background of the phantom recovers"):
        fit_recovery(points(1.0, 1.0), LU, background_recovery=Estimate(level, 0.01))
    assert fit_recovery(points(1.0, 1.0), LU, background_recovery=Estimate(0.95, 0.01)).background_recovery is not None


def test_the_smallest_spheres_that_noise_hides_are_left_out(phantom: Phantom) -> None:
    """In 90Y a sphere of 10 mm may read below the background; the others still make a curve."""
    image, filling = seen(phantom, 1e4)
    whole, _ = measure_recovery(image, filling)
    values = image.values.copy()
    hidden = phantom.regions["sphere 13 mm"]
    values[hidden.window][hidden.coverage > 0] = 0.9e4 * image.grid.voxel_volume_ml
    kept, _ = measure_recovery(image.with_values(values), filling)
    assert kept == whole[2:]
    values[hidden.window][hidden.coverage > 0] = -4e4 * image.grid.voxel_volume_ml
    with pytest.raises(InputError, match=r"recovers .*, outside 0 to 1.3"):
        measure_recovery(image.with_values(values), filling)
