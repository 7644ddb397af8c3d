"""The uncertainty chain of a region against repeated simulated measurements, and its parts against closed forms."""

import math

import numpy as np
import pytest
from scipy import integrate

from hepatica.anatomy.phantoms.objects import nema_grid, nema_phantom
from hepatica.core import Estimate
from hepatica.core.document import document
from hepatica.errors import InputError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.blurred.sphere import edge_over_mean as sphere_edge
from hepatica.imaging.quantify.blurred.sphere import mean_recovery, profile, sphere_diameter_mm, sphere_volume_ml
from hepatica.imaging.quantify.recovery import SphereRecovery, fit_recovery
from hepatica.imaging.quantify.response import GaussianPsf
from hepatica.imaging.quantify.uncertainty import OtherUncertainties, Outline, edge_over_mean, region_uncertainty

FWHM = 10.0


@pytest.mark.parametrize(("diameter", "fwhm"), [(10.0, 12.0), (37.0, 12.0), (100.0, 5.0)])
def test_recovery_of_a_blurred_sphere_is_the_mean_of_its_profile(diameter: float, fwhm: float) -> None:
    # Two derivations: overlap of the sphere with itself, and the blurred profile integrated over it.
    inside = integrate.quad(lambda x: 4 * math.pi * x**2 * float(profile(x, diameter, fwhm)), 0, diameter / 2)[0]
    assert mean_recovery(diameter, fwhm) == pytest.approx(inside / (math.pi / 6 * diameter**3), rel=1e-8)
    everywhere = integrate.quad(lambda x: 4 * math.pi * x**2 * float(profile(x, diameter, fwhm)), 0, 300, limit=200)[0]
    assert everywhere == pytest.approx(math.pi / 6 * diameter**3, rel=1e-6)


def test_limits_of_a_blurred_sphere() -> None:
    # A point shows its volume over (2 pi)^1.5 sd^3, less half the mean square distance of its parts, 6 r^2 / 5, over
    # sd^2.
    sd = 20.0 / math.sqrt(8 * math.log(2))
    point = math.pi / 6 / (2 * math.pi * sd**2) ** 1.5
    assert mean_recovery(1.0, 20.0) == pytest.approx(point * (1 - 0.6 * 0.25 / sd**2), rel=1e-4)
    assert float(profile(0.0, 1.0, 20.0)) == pytest.approx(point, rel=2e-3)
    # A large one, to first order in sd / r: the surface loses a depth of sd / sqrt(2 pi), area over volume is 3 / r.
    assert 1 - mean_recovery(1000.0, 20.0) == pytest.approx(3 * sd / (500 * math.sqrt(2 * math.pi)), rel=1e-2)
    assert mean_recovery(37.0, 0.0) == 1
    assert sphere_edge(37.0, 0.0) == 0.5
    with pytest.raises(InputError, match="positive"):
        mean_recovery(-1.0, 5.0)


def test_the_edge_found_in_an_image_is_that_of_theory() -> None:
    phantom = nema_phantom(nema_grid((2.0, 2.0, 2.0)), sphere_wall_mm=0.0, insert="none")
    truth = phantom.activity(dict.fromkeys(phantom.sphere_diameters_mm, 1e4), time=None)
    image = truth.with_values(GaussianPsf(12.0).blur(truth.values, truth.grid))
    for name, diameter in phantom.sphere_diameters_mm.items():
        # The surface is spread over two voxels; the profile bends over 2 mm / 5 mm of its sd.
        found = edge_over_mean(image, phantom.regions[name])
        assert found == pytest.approx(sphere_edge(diameter, 12.0), rel=0.035 if diameter < 17 else 0.015)


def test_volume_uncertainty_is_that_of_drawing_again_and_again() -> None:
    # Gear et al. 2018: u(d)^2 = a^2 / 6 + FWHM^2 / (4 ln 2); two edges on a lattice of a, with the response's spread.
    outline = Outline(4.4, 6.0, 1.0)
    assert Outline(4.4, 6.0).diameter_sd_mm ** 2 == pytest.approx(4.4**2 / 6 + 36 / (4 * math.log(2)))
    random = np.random.default_rng(3)
    sd = 6.0 / math.sqrt(8 * math.log(2))
    edges = random.uniform(-2.2, 2.2, (200_000, 2)) + random.normal(0, math.hypot(sd, 1.0), (200_000, 2))
    diameters = 60.0 + edges.sum(axis=1)
    assert diameters.std() == pytest.approx(outline.diameter_sd_mm, rel=0.01)
    volumes = diameters**3
    # To first order in 5 mm / 60 mm.
    assert volumes.std() / volumes.mean() == pytest.approx(outline.volume_relative_sd(sphere_volume_ml(60)), rel=0.02)


def test_intervals_cover_the_truth() -> None:
    """1000 patients, each with its own camera, phantom, tumour, outline and counts: 95 % intervals hold 93 to 97 %.

    Binomial spread of 1000 trials at 95 %: 0.7 %.
    """
    random = np.random.default_rng(20260302)
    outline = Outline(voxel_mm=0.0, drawing_sd_mm=0.5)
    phantom_sd, calibration_sd, counts_per_mbq = 0.01, 0.04, 4000.0
    spheres = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
    edges = np.linspace(0.0, 40.0, 2001)
    middles = (edges[1:] + edges[:-1]) / 2
    covered_activity = covered_dose = 0
    trials = 1000
    for _ in range(trials):
        measured = [
            SphereRecovery(
                sphere_volume_ml(d), Estimate(mean_recovery(d, FWHM) + phantom_sd * random.normal(), phantom_sd)
            )
            for d in spheres
        ]
        curve = fit_recovery(measured, Conditions("Lu-177"))
        true_mm = random.uniform(16.0, 32.0)
        true_ml, concentration = sphere_volume_ml(true_mm), 1.0
        drawn_mm = true_mm + outline.diameter_sd_mm * random.normal()
        drawn_ml = sphere_volume_ml(drawn_mm)
        seen = profile(middles, true_mm, FWHM) * 4 * math.pi * middles**2 * np.diff(edges) / 1000
        inside = float(np.interp(drawn_mm / 2, edges[1:], np.cumsum(seen))) * concentration
        counts = random.poisson(inside * counts_per_mbq)
        factor = 1 + calibration_sd * random.normal()
        recovery = curve.at(drawn_ml, extrapolate=True)
        activity = counts / counts_per_mbq / factor / recovery.value
        chain = region_uncertainty(
            drawn_ml,
            outline,
            edge_exponent=sphere_edge(drawn_mm, FWHM),
            recovery=curve,
            extrapolate=True,
            other=OtherUncertainties(calibration_sd, 0.0, 1 / math.sqrt(counts)),
        )
        covered_activity += abs(activity - true_ml * concentration) <= 1.96 * chain.activity_relative_sd * activity
        dose = activity / drawn_ml
        covered_dose += abs(dose - concentration) <= 1.96 * chain.dose_relative_sd * dose
    assert 0.93 <= covered_activity / trials <= 0.97
    assert 0.93 <= covered_dose / trials <= 0.97


def test_the_chain_is_that_of_the_guidance_with_its_covariances() -> None:
    # Gear et al. 2018 add covariances of counts and recovery, and of activity and dose per decay, to the squares.
    curve = fit_recovery(
        [SphereRecovery(sphere_volume_ml(d), Estimate(mean_recovery(d, FWHM), 0.01)) for d in (10, 17, 22, 28, 37)],
        Conditions("Lu-177"),
    )
    volume = 8.0
    v = Outline(3.0, 5.0).volume_relative_sd(volume)
    e, c = sphere_edge(sphere_diameter_mm(volume), FWHM), 0.98
    found = region_uncertainty(
        volume, Outline(3.0, 5.0), edge_exponent=e, recovery=curve, mass_exponent=c,
        other=OtherUncertainties(0.05, 0.03, 0.01),
    )  # fmt: skip
    recovery = curve.at(volume)
    s = curve.log_slope(volume)
    counts2 = (e * v) ** 2 + 0.01**2
    recovery2 = (recovery.sd or 0) ** 2 / recovery.value**2 + (s * v) ** 2
    activity2 = counts2 + recovery2 + 0.05**2 - 2 * e * s * v**2
    decays2 = activity2 + 0.03**2
    dose2 = decays2 + (c * v) ** 2 - 2 * c * (e - s) * v**2
    assert found.activity_relative_sd**2 == pytest.approx(activity2)
    assert found.decays_relative_sd**2 == pytest.approx(decays2)
    assert found.dose_relative_sd**2 == pytest.approx(dose2)
    assert found.not_known == ()
    bare = region_uncertainty(volume, Outline(3.0), edge_exponent=e)
    assert bare.not_known == ("calibration", "time integration", "counting statistics", "recovery (not corrected)")
    assert document(bare)["calibration_sd_percent"] is None
    with pytest.raises(InputError, match="finite and not negative"):
        OtherUncertainties(calibration=-0.1)
    with pytest.raises(InputError, match="not negative"):
        Outline(-1.0)
