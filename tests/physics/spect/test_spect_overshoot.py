"""The middle of a small sphere: what the default leaves in the image so that edges do not overshoot."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.options import REMAINING_BLUR_SHARE, AcquisitionOptions, NoiseOptions
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import Response
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import SpectOptions, response_name, scan_model
from hepatica.imaging.spect.simulate import Scan, analytic_projections, camera_grid
from hepatica.nuclides import nuclide

SPHERE_MM = 22.0


def seen(
    remaining_blur_mm: float | None,
    *,
    sphere_mm: float = SPHERE_MM,
    head: tuple[str, str] = ("siemens-lehr", "Tc-99m"),
    iterations: int | None = None,
) -> tuple[float, float, float]:
    """Middle, mean (both over the truth) and total of a sphere at 8 : 1, without noise; default iterations."""
    fine = Grid.axial((80, 80, 28), spacing_mm=(2.4, 2.4, 2.4), frame_of_reference="1.2.3")
    middle = fine.to_mm((np.asarray(fine.shape) - 1) / 2)
    x, y, z = np.moveaxis(fine.to_mm(np.moveaxis(np.indices(fine.shape), 0, -1)) - middle, -1, 0)
    sphere = x**2 + y**2 + z**2 < (sphere_mm / 2) ** 2
    body = np.hypot(x, y) < 75
    values = np.where(sphere, 8.0, 1.0 * (body & (np.abs(z) < 28))) * 1e3
    activity = Volume(fine, values, Kind.ACTIVITY, datetime(2026, 3, 3, 9, 0))
    ct = Volume(fine, np.where(body, 0.0, -1000.0), Kind.HU)
    camera, chosen = gamma_camera(head[0]), nuclide(head[1])
    grid = camera_grid(fine, pixel_mm=4.8, columns=40)
    scan = Scan(Orbit.circular(24, radius_mm=200.0), 40.0, nuclide_windows(chosen)[0][:1], columns=40)
    counts = analytic_projections(activity, ct, camera=camera, nuclide=chosen, scan=scan, grid=grid, seed=None)
    options = SpectOptions(
        acquisition=AcquisitionOptions(sensitivity_cps_per_mbq="model"),
        noise=NoiseOptions(remaining_blur_mm=remaining_blur_mm),
        iteration=IterationOptions(iterations=iterations),
    ).for_nuclide(chosen)
    made = reconstruct_scan(scan_model(counts, ct, camera, chosen, options), options).volume
    share = sphere.reshape(40, 2, 40, 2, 14, 2).mean(axis=(1, 3, 5))
    inside = made.values * made.grid.voxel_volume_ml / (8e3 * 8)
    near = np.array(inside[19:21, 19:21, 6:8]).mean()
    return float(near), float((inside * share).sum() / share.sum()), made.total / activity.total


@pytest.mark.parametrize(
    ("head", "sphere_mm"),
    [
        pytest.param(("siemens-lehr", "Tc-99m"), 24.0, id="low-energy"),
        pytest.param(("siemens-megp", "Lu-177"), 33.0, id="medium-energy"),
        pytest.param(("siemens-hegp", "I-131"), 30.0, id="high-energy"),
    ],
)
def test_the_default_keeps_the_middle_of_the_sphere_that_rings_most_below_a_quarter_too_much(
    head: tuple[str, str], sphere_mm: float
) -> None:
    """1.25 were asked for (issue 15). The ripples of a sphere's edge meet in its middle at a diameter of 2 to 2.4 times
    the camera's width: among 18 to 50 mm these rang most (docs/spect-study.md). The total is right within what voxels
    of 2.4 mm on 4.8 make (1 %).
    """
    middle, mean, total = seen(None, sphere_mm=sphere_mm, head=head)
    assert middle < 1.25
    assert 0.6 < mean < 1
    assert total == pytest.approx(1.0, abs=0.01)


def test_undoing_all_blur_breaks_the_limit_for_a_little_more_of_the_mean() -> None:
    """Exact two-dimensional data gave 1.58 / 0.76 (middle / mean) with all blur undone and 1.10 / 0.66 with 8 mm left
    (docs/spect-study.md); the default leaves 7 mm here, so that the mean keeps more than 0.66 / 0.76 of itself.
    """
    _, mean, total = seen(None)
    sharp_middle, sharp_mean, sharp_total = seen(0.0)
    assert sharp_middle > 1.4
    assert 0.66 / 0.76 * sharp_mean < mean < sharp_mean
    assert (total, sharp_total) == pytest.approx((1.0, 1.0), abs=0.01)


def test_images_with_another_blur_left_are_other_images() -> None:
    """The name is a condition of factors and recovery curves, which are refused where it differs."""
    whole = Conditions("Tc-99m", reconstruction={"response": response_name(0.0)})
    left = Conditions("Tc-99m", reconstruction={"response": response_name(6.5)})
    rule = Conditions("Tc-99m", reconstruction={"response": response_name(None)})
    left.require_fit(left, "the curve")
    with pytest.raises(InputError, match=f"{REMAINING_BLUR_SHARE:.0%} of the camera"):
        rule.require_fit(left, "the curve")
    with pytest.raises(InputError, match=r"6\.5 mm left in the image"):
        whole.require_fit(left, "the curve")


def test_a_curve_of_another_orbit_is_said_and_a_factor_is_not() -> None:
    """By the default's rule 11.1 mm are left at 20 cm under MEGP and 13.3 mm at 25 cm."""
    near, far = (
        Conditions(
            "Lu-177", "siemens-megp", (187.5, 229.2), None, {"response": response_name(None), "remaining_blur_mm": mm}
        )
        for mm in (11.1, 13.3)
    )
    assert near.require_fit(far, "the factor") == ()
    assert near.blur_messages(near, "the curve") == ()
    (message,) = near.blur_messages(far, "the curve")
    assert message.code == "other-blur-left"
    assert "too little" in message.text
    assert "too much" in far.blur_messages(near, "the curve")[0].text
    assert Conditions("Lu-177").blur_messages(far, "the curve") == ()


def test_what_is_left_and_what_is_modelled_make_the_whole() -> None:
    camera = gamma_camera("siemens-hegp")
    whole = hole_response(camera, [364.5])
    left = 6.5 / FWHM_PER_SD
    kept = Response(whole.intrinsic_sd_mm, whole.offset_mm, whole.slope, whole.places, whole.shares, left)
    distance = np.array([50.0, 200.0, 350.0])
    np.testing.assert_allclose(kept.sd_mm(distance) ** 2 + left**2, whole.sd_mm(distance) ** 2, rtol=1e-9)
    step = 1.0
    x = np.arange(120) * step
    for response in (whole, kept):
        spread = response.spread(distance, step, 120)
        assert spread[:, 0] + 2 * spread[:, 1:].sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
        # Read off at points: their sum of squares is that of the shape within the 33 places that stand for it.
        np.testing.assert_allclose(np.sqrt(2 * (spread * x**2).sum(axis=1)), response.sd_mm(distance), rtol=0.01)
    wide = Response(1.0, 1.0, 0.0, left_sd_mm=5.0)
    assert 0 < float(wide.sd_mm(10.0)) < 1.0
