"""Levels of lung and rest of the body: fit, regions, and what the uncertainty is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepatica.core.image import Acquisition
from hepatica.core.lung_mean import LungMean
from hepatica.errors import InputError
from hepatica.imaging.quantify.lungs_in_view import voxel_dose_messages
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.reconstruct.levels.fit import fit_levels
from hepatica.imaging.reconstruct.levels.lung import LungUncertainty, lung_reading
from hepatica.imaging.reconstruct.levels.options import SpectLungOptions
from hepatica.imaging.reconstruct.levels.regions import hot_voxels, level_regions
from hepatica.imaging.reconstruct.levels.update import Levels
from hepatica.imaging.spect.options import ScatterOptions
from hepatica.imaging.spect.scan_model import SpectOptions
from hepatica.nuclides import nuclide

BINS = np.arange(4000)
PATTERNS = np.stack(
    [
        20 * np.exp(-(((BINS - 1500) / 600) ** 2)), 60 * np.exp(-(((BINS - 1600) / 1400) ** 2)),
        8 * np.exp(-(((BINS - 3000) / 500) ** 2)), np.full(BINS.size, 3.0),
    ]
).astype(np.float32)  # fmt: skip


def test_levels_come_back_and_their_spread_is_the_stated_covariance() -> None:
    """Of 200 Poisson draws a mean is known to sd / sqrt(200), and an sd to 1 / sqrt(2 * 199) = 5 %: four of each."""
    true = np.array([1.0, 1.0, 0.5, 0.3])
    expected = true @ PATTERNS
    rng = np.random.default_rng(3)
    fits = [fit_levels(rng.poisson(expected), PATTERNS, ties=((0, 1, 1e-5),)) for _ in range(200)]
    found = np.array([fit.levels for fit in fits])
    sd = np.sqrt(np.diag(fits[0].covariance))
    # The tie holds the first two levels together to 1e-5; the mean of 200 draws is known to sd / sqrt(200).
    assert (np.abs(found.mean(axis=0) - true) < 4 * sd / np.sqrt(200) + 1e-5).all()
    assert found.std(axis=0, ddof=1) == pytest.approx(sd, rel=0.2)


def test_a_tie_keeps_scatter_to_the_model_and_without_it_the_counts_decide() -> None:
    expected = np.array([1.0, 1.05, 0.5, 0.3]) @ PATTERNS
    tied = fit_levels(expected, PATTERNS, ties=((0, 1, 1e-5),))
    free = fit_levels(expected, PATTERNS)
    assert tied.levels[1] / tied.levels[0] == pytest.approx(1, abs=1e-3)
    assert free.levels == pytest.approx([1.0, 1.05, 0.5, 0.3], rel=2e-3)


def test_the_first_order_answer_to_an_error_of_scatter_is_that_of_a_new_fit() -> None:
    """One per cent more scatter in the model: to first order, so within a few per cent of the change itself."""
    expected = np.array([1.0, 1.0, 0.5, 0.3]) @ PATTERNS
    first = fit_levels(expected, PATTERNS, ties=((0, 1, 1e-5),))
    error = 0.01 * PATTERNS[1]
    more = PATTERNS.copy()
    more[1] += error
    again = fit_levels(expected, more, ties=((0, 1, 1e-5),))
    answer = first.answer_to(PATTERNS, error)
    assert answer[2:] == pytest.approx((again.levels - first.levels)[2:], rel=0.05)


def test_a_level_below_zero_is_held_at_zero() -> None:
    expected = PATTERNS[0] + PATTERNS[1] - 0.05 * PATTERNS[3]
    found = fit_levels(np.maximum(expected, 0), PATTERNS)
    assert (found.levels >= 0).all()
    assert found.levels[3] == 0
    with pytest.raises(InputError, match="do not agree"):
        fit_levels(expected[:-1], PATTERNS)


SHAPE, SPACING = (24, 20, 24), (8.0, 8.0, 8.0)


def scene(spot: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image with noise, lung shares and body: a liver below a lung, and perhaps a spot of a share of the activity."""
    x, y, z = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((x - 12) / 11) ** 2 + ((y - 10) / 9) ** 2 < 1
    liver = ((x - 8) / 5) ** 2 + ((y - 10) / 6) ** 2 + ((z - 6) / 4) ** 2 < 1
    lung = (((x - 8) / 5) ** 2 + ((y - 10) / 6) ** 2 < 1) & (z >= 11)
    image = np.where(liver, 1.0, np.where(lung, 0.03, 0.0))
    image[18:20, 10:12, 6:8] += spot * image.sum() / 8
    noise = np.random.default_rng(1).exponential(0.003, SHAPE) * body
    return (image + noise).astype(np.float32), lung.astype(np.float32), body


@pytest.mark.parametrize("spot", [0.0, 0.01])
def test_liver_and_a_spot_of_a_hundredth_are_hot_and_the_far_lung_is_not(spot: float) -> None:
    image, lung, body = scene(spot)
    hot = hot_voxels(image, lung, SPACING)
    assert hot[8, 10, 6]
    assert hot[18:20, 10:12, 6:8].all() == bool(spot)
    far = (lung > 0) & (np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]][2] > 15)
    assert not hot[far].any()
    regions = level_regions(hot, (lung,), body, 0.512)
    assert regions.names == ("lung 1, part 1", "lung 1, part 2", "lung 1, part 3", "rest of the body")
    assert np.allclose(np.sum(regions.parts, axis=0) + regions.hot, body, atol=1e-6)


def test_a_lung_behind_hot_voxels_alone_has_no_level() -> None:
    _, lung, body = scene()
    regions = level_regions(np.ones(SHAPE, bool), (lung,), body, 0.512)
    assert regions.lungs == ()


def test_the_lungs_uncertainty_is_the_root_of_the_squares_of_its_parts() -> None:
    image, lung, body = scene()
    regions = level_regions(hot_voxels(image, lung, SPACING), (lung,), body, 0.512)
    image = np.where(regions.hot & (lung > 0), 1.5 * image, image).astype(np.float32)
    fit = fit_levels(np.array([1.0, 1.0, 0.03, 0.03, 0.03, 0.3]) @ six(), six(), ties=((0, 1, 1e-5),))
    levels = Levels(image, regions, fit, six(), (0.1 * fit.expected).astype(np.float32))
    found = lung_reading(levels, (lung,), 0.512, 1 / 0.512, LungUncertainty(0.01, 3.0))
    parts = (
        found.counting_relative_sd, found.scatter_relative_sd, found.registration_relative_sd,
        found.border_relative_sd, found.model_relative_sd,
    )  # fmt: skip
    held = float((image * lung * regions.hot).sum() + 0.03 * (lung * ~regions.hot).sum())
    assert found.mean.value == pytest.approx(held / float(lung.sum()) / 0.512, rel=1e-4)
    assert found.mean.relative_sd == pytest.approx(float(np.sqrt(np.square(parts).sum())))
    assert found.registration_relative_sd == pytest.approx(0.045)
    # What the liver spills lies between nothing and all of it: its half is taken off, a twelfth of its square stays.
    level = float((image * lung * ~regions.hot).sum() / (lung * ~regions.hot).sum())
    spilt = float((image * lung * regions.hot).sum() - (lung * regions.hot).sum() * level) / held
    assert spilt > 0.05
    assert found.border_relative_sd == pytest.approx(spilt / np.sqrt(3), rel=1e-3)
    assert [m.code for m in found.doubts()] == (["liver-in-lungs-of-ct"] if spilt > 0.2 else [])
    more = lung_reading(
        replace(levels, image=np.where(regions.hot, 3 * image, image)), (lung,), 0.512, 1.0, LungUncertainty(0.01, 3.0)
    )
    assert [m.code for m in more.doubts()] == ["liver-in-lungs-of-ct"]
    less = replace(more, interval_95=(more.mean.value, 2 * more.mean.value))
    assert less.doubts() == ()
    around = 1.96 * np.sqrt(np.square(parts).sum() - spilt**2 / 4)
    ends = [max(0.0, found.mean.value * (1 - spilt / 2 + sign * around)) for sign in (-1, 1)]
    assert found.interval_95 == pytest.approx(ends, rel=1e-3)
    assert f"{100 * (ends[0] / found.mean.value - 1):+.0f} to" in found.message("Y-90").text
    assert "dose-volume histogram of the lung is not supported" in found.message("Y-90").text


@pytest.mark.parametrize(("level", "reaches_none"), [(0.03, False), (0.0, True)])
def test_the_interval_reaches_none_where_all_of_the_lung_may_be_spill(level: float, reaches_none: bool) -> None:
    """An empty lung holds what the liver spills into it, and levels that noise and positivity leave above none.

    0.1 MBq were read as 1428 to 6481 Bq/mL where nothing was: half of the spill above one level was always left.
    """
    image, lung, body = scene()
    regions = level_regions(hot_voxels(image, lung, SPACING), (lung,), body, 0.512)
    near = regions.hot & (lung > 0)
    counts = np.array([1.0, 1.0, level + 0.01, level + 0.01, level, 0.3]) @ six()
    fit = fit_levels(counts, six(), ties=((0, 1, 1e-5),))
    # As a fit of noisier counts: the last part is within its noise of none, or far above it.
    fit = replace(fit, covariance=np.diag([1e-6, 1e-6, 1e-6, 1e-6, 4e-6, 1e-6]))
    parts = zip(fit.levels[2:], regions.parts, strict=True)
    seen = np.where(near, 0.05, sum(one * part for one, part in parts)).astype(np.float32)
    levels = Levels(seen, regions, fit, six(), (0.01 * fit.expected).astype(np.float32))
    found = lung_reading(levels, (lung,), 0.512, 1.0, LungUncertainty(0.01, 3.0))
    assert (found.interval_95[0] == 0) is reaches_none
    assert found.interval_95[1] > found.mean.value * 0.9


def test_the_stated_mean_is_the_mean_of_the_image_over_the_same_lungs() -> None:
    """Shares of a third at the border, hot voxels and a rest between: nothing counts but image and share."""
    image, lung, body = scene()
    border = lung * np.where(np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]][2] % 2, 1, 1 / 3).astype(np.float32)
    regions = level_regions(hot_voxels(image, lung, SPACING), (border,), body, 0.512)
    fit = fit_levels(np.array([1.0, 1.0, 0.03, 0.04, 0.05, 0.01]) @ six(), six(), ties=((0, 1, 1e-5),))
    parts = zip(fit.levels[2:], regions.parts, strict=True)
    seen = np.where(regions.hot, 2 * image, sum(level * part for level, part in parts)).astype(np.float32)
    levels = Levels(seen, regions, fit, six(), (0.1 * fit.expected).astype(np.float32))
    found = lung_reading(levels, (border,), 0.512, 1.0, LungUncertainty(0.01, 3.0))
    held = float((seen * border).sum(dtype=np.float64))
    assert found.mean.value == pytest.approx(held / float(border.sum(dtype=np.float64)), rel=1e-5)
    assert found.share_of_image == pytest.approx(held / float(seen.sum(dtype=np.float64)), rel=1e-5)


def six() -> np.ndarray:
    """Patterns of liver, its scatter, three parts of a lung and the rest."""
    lungs = [6 * np.exp(-(((BINS - middle) / 250) ** 2)) for middle in (2700, 3100, 3500)]
    return np.stack([PATTERNS[0], PATTERNS[1], *lungs, PATTERNS[3]]).astype(np.float32)


def test_levels_are_for_the_nuclides_that_need_them_and_only_with_scatter_by_monte_carlo() -> None:
    auto = SpectLungOptions()
    assert auto.as_levels("Y-90", "mc", "osem")
    assert not auto.as_levels("Y-90", "esse", "osem")
    assert not auto.as_levels("Y-90", "mc", "bsrem")
    assert not auto.as_levels("Tc-99m", "mc", "osem")
    assert SpectLungOptions(lung_model="levels").as_levels("Tc-99m", "mc", "osem")
    with pytest.raises(InputError, match="voxels"):
        SpectLungOptions(lung_model="voxels", scatter_scale="fitted")


def test_levels_without_scatter_of_the_image_are_refused() -> None:
    levels = SpectLungOptions(lung_model="levels")
    with pytest.raises(InputError, match="scatter of the image"):
        SpectOptions(lung=levels)
    with pytest.raises(InputError, match="mlem and osem"):
        SpectOptions(lung=levels, scatter=ScatterOptions(scatter="mc"), iteration=IterationOptions(method="bsrem"))
    y90 = nuclide("Y-90")
    iterations = {"Y-90": 20, "Ho-166": 20, "I-131": 20, "Re-188": 20, "Lu-177": 10}
    by_montecarlo = SpectOptions(scatter=ScatterOptions(scatter="mc"))
    assert {name: by_montecarlo.for_nuclide(nuclide(name)).iteration.iterations for name in iterations} == iterations
    assert SpectOptions().for_nuclide(y90).iteration.iterations == 10
    assert SpectOptions().for_nuclide(nuclide("Ho-166")).iteration.iterations == 10
    assert SpectOptions().for_nuclide(nuclide("I-131")).iteration.iterations == 20


def test_a_lung_of_a_90y_spect_is_said_not_to_have_a_dose_by_voxel() -> None:
    spect = Acquisition(modality="NM", nuclide="Y-90", projections=60)
    assert [m.code for m in voxel_dose_messages(spect, "Lungs")] == ["lung-by-voxel-unsupported"]
    assert voxel_dose_messages(spect, None) == ()
    assert voxel_dose_messages(Acquisition(modality="PT", nuclide="Y-90"), "Lungs") == ()
    assert voxel_dose_messages(Acquisition(modality="NM", nuclide="Tc-99m", projections=60), "Lungs") == ()
    assert "voxel by voxel" not in voxel_dose_messages(spect, "Lungs")[0].text
    by_level = Acquisition(modality="NM", nuclide="I-131", projections=60, lung=LungMean(6))
    assert "found as 6 levels" in voxel_dose_messages(by_level, "Lungs")[0].text
