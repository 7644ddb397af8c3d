"""Noise of reconstructed images: resampling, and the quick estimate beside it."""

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.algorithms import IterationOptions, reconstruct
from hepatica.imaging.reconstruct.noise_estimate import quick_sd
from hepatica.imaging.reconstruct.resampling import bootstrap
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import Response, SpectProjector

GRID = Grid.axial((26, 26, 10), spacing_mm=(9, 9, 11))
X, Y, Z = (a - a.mean() for a in np.moveaxis(GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0))
BODY = (X / 105) ** 2 + (Y / 80) ** 2 < 1
HOT = (X - 40) ** 2 + Y**2 + Z**2 < 25**2


def scene() -> tuple[SpectProjector, np.ndarray]:
    pair = SpectProjector(
        GRID, Orbit.circular(18, radius_mm=130), columns=26, response=Response(1.6, 0.6, 0.02), mu_per_mm=BODY * 0.015
    )
    return pair, np.where(HOT, 6.0, 1.0) * BODY


@pytest.mark.parametrize("filtered", [False, True])
def test_quick_estimate_agrees_with_resampling(filtered: bool) -> None:
    """Means over regions within a third of those of 16 replicates, which are known to some per cent."""
    from scipy import ndimage

    pair, activity = scene()
    weights, additive = np.full(18, 4.0), np.full(pair.shape, 2.0, np.float32)
    counts = np.random.default_rng(1).poisson(4 * pair.forward(activity) + additive).astype(np.float32)
    settings = IterationOptions(iterations=4, subsets=3)
    sd = 20.0 / 2.3548 / np.asarray(GRID.spacing_mm)

    def one(drawn: np.ndarray) -> np.ndarray:
        made = reconstruct(drawn, pair, settings, weights=weights, additive=additive).image
        return ndimage.gaussian_filter(made, sd, mode="constant") if filtered else made

    replicates = bootstrap(counts, one, samples=16, seed=2)
    image = reconstruct(counts, pair, settings, weights=weights, additive=additive).image
    shared = {"weights": weights, "additive": additive}
    quick = quick_sd(image, pair, settings, **shared, post_filter_mm=20.0 if filtered else 0.0)
    inside = ((X / 80) ** 2 + (Y / 55) ** 2 < 1) & (np.abs(Z) < 40) & ~HOT
    for region in (HOT, inside):
        ratio = quick[region].mean() / replicates.sd[region].mean()
        assert 0.67 < ratio < 1.5, ratio
    assert (quick[~BODY].mean()) < 0.5 * quick[inside].mean()


def test_replicates_are_repeatable_and_regions_are_known_better_than_voxels() -> None:
    pair, activity = scene()
    counts = np.random.default_rng(1).poisson(4 * pair.forward(activity))
    settings, weights = IterationOptions(iterations=1, subsets=3), np.full(18, 4.0)

    def one(drawn: np.ndarray) -> np.ndarray:
        return np.asarray(reconstruct(drawn, pair, settings, weights=weights).image)

    told: list[int] = []
    first = bootstrap(counts, one, samples=5, seed=3, progress=told.append)
    again = bootstrap(counts, one, samples=5, seed=3)
    assert told == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(first.images, again.images)
    assert first.relative_error == pytest.approx(1 / np.sqrt(8))
    mean, error = first.region(BODY)
    assert mean == pytest.approx(activity[BODY].mean(), rel=0.2)
    # All counts together: their Poisson noise, to the factor that five replicates leave open.
    assert error / mean == pytest.approx(1 / np.sqrt(counts.sum()), rel=0.9)
    with pytest.raises(InputError, match="region of shape"):
        first.region(np.zeros(GRID.shape))
    with pytest.raises(InputError, match="at least 4 samples"):
        bootstrap(counts, one, samples=3)
    with pytest.raises(InputError, match="no prior"):
        quick_sd(
            activity,
            pair,
            IterationOptions(method="bsrem", iterations=2, subsets=3),
            weights=weights,
            additive=np.zeros(pair.shape),
        )
    with pytest.raises(InputError, match="empty"):
        quick_sd(0 * activity, pair, settings, weights=weights, additive=np.zeros(pair.shape))
