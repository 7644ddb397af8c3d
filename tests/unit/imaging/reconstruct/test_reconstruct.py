"""Reconstruction: recovers what was projected, maximises what it says it maximises, refuses bad input."""

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.reconstruct.algorithms import (
    IterationOptions,
    Start,
    Update,
    penalty,
    penalty_gradient,
    reconstruct,
    subset_views,
)
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.projector import Response, SpectProjector
from hepatica.imaging.spect.scatter.energy_windows import dual_window, triple_window

GRID = Grid.axial((24, 24, 6), spacing_mm=(6.0, 6.0, 6.0), origin_mm=(10.0, 20.0, 30.0))


def scene() -> tuple[SpectProjector, np.ndarray]:
    x, y = np.meshgrid(np.arange(24) - 11.5, np.arange(24) - 11.5, indexing="ij")
    body = ((x / 9) ** 2 + (y / 7) ** 2 < 1)[:, :, None] * np.ones(6)
    hot = ((x - 3) ** 2 + (y + 2) ** 2 < 7)[:, :, None] * np.ones(6)
    pair = SpectProjector(
        GRID, Orbit.circular(24, radius_mm=100.0), columns=24, response=Response(1.6, 0.6, 0.02), mu_per_mm=body * 0.015
    )
    return pair, (body * 2 + hot * 6).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        IterationOptions(method="mlem", iterations=60, subsets=1),
        IterationOptions(iterations=10, subsets=6),
        IterationOptions(method="bsrem", iterations=12, subsets=6, relaxation=0.02),
    ],
    ids=str,
)
def test_noiseless_projections_are_recovered(settings: IterationOptions) -> None:
    pair, truth = scene()
    weights = np.linspace(3.0, 2.0, 24)
    scatter = np.full(pair.shape, 4.0, np.float32)
    data = pair.forward(truth) * weights[:, None, None].astype(np.float32) + scatter
    found = reconstruct(data, pair, settings, weights=weights, additive=scatter)
    assert found.image.sum() == pytest.approx(truth.sum(), rel=0.01)
    assert found.image[12:17, 8:11, 1:5].mean() == pytest.approx(truth[12:17, 8:11, 1:5].mean(), rel=0.08)
    assert found.image.min() >= 0
    assert found.residual_ratio[-1] < found.residual_ratio[0]
    # A known failure: without the additive term the image holds the scatter too.
    wrong = reconstruct(data, pair, settings, weights=weights)
    assert wrong.image.sum() > 1.05 * truth.sum()


def log_likelihood(data: np.ndarray, expected: np.ndarray) -> float:
    return float((data * np.log(expected) - expected).sum(dtype=np.float64))


def test_mlem_never_lowers_the_likelihood_and_keeps_the_counts() -> None:
    pair, truth = scene()
    data = np.random.default_rng(1).poisson(pair.forward(truth * 5))
    values: list[float] = []

    def watch(update: Update) -> None:
        expected = pair.forward(update.image)
        values.append(log_likelihood(data, expected + 1e-9))
        # After each MLEM update the expected counts add up to the measured ones.
        assert expected.sum() == pytest.approx(data.sum(), rel=1e-3)

    reconstruct(data, pair, IterationOptions(method="mlem", iterations=8, subsets=1), on_update=watch)
    assert (np.diff(values) > 0).all()


def test_bsrem_converges_to_the_penalised_maximum() -> None:
    """Runs with different subsets end in the same image, of higher penalised likelihood than OSEM's."""
    pair, truth = scene()
    data = np.random.default_rng(2).poisson(pair.forward(truth * 5)).astype(float)

    def objective(image: np.ndarray, settings: IterationOptions) -> float:
        return log_likelihood(data, pair.forward(image) + 1e-9) - penalty(image, settings, GRID.spacing_mm)

    many = IterationOptions(method="bsrem", iterations=40, subsets=6, prior_strength=0.3, relaxation=0.05)
    few = IterationOptions(method="bsrem", iterations=80, subsets=2, prior_strength=0.3, relaxation=0.02)
    a, b = reconstruct(data, pair, many).image, reconstruct(data, pair, few).image
    assert np.abs(a - b).max() < 0.03 * a.max()
    assert (
        objective(a, many)
        > objective(reconstruct(data, pair, IterationOptions(iterations=10, subsets=6)).image, many) + 10
    )
    assert objective(a, many) == pytest.approx(objective(b, many), abs=2.0)


def test_penalty_gradient_is_the_derivative() -> None:
    rng = np.random.default_rng(3)
    image = rng.uniform(0.5, 3, (4, 5, 3)).astype(np.float32)
    settings = IterationOptions(method="bsrem", prior_strength=0.7)
    gradient = penalty_gradient(image, settings, (2.0, 3.0, 4.0))
    for index in ((0, 0, 0), (2, 3, 1), (3, 4, 2)):
        high, low = image.astype(float), image.astype(float)
        high[index] += 1e-4
        low[index] -= 1e-4
        slope = (penalty(high, settings, (2.0, 3.0, 4.0)) - penalty(low, settings, (2.0, 3.0, 4.0))) / 2e-4
        assert gradient[index] == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_subsets_hold_every_view_once_and_spread() -> None:
    angles = np.concatenate([np.arange(0, 180, 6.0), np.arange(180, 360, 6.0)])[::-1]
    groups = subset_views(angles, 6)
    assert sorted(np.concatenate(groups).tolist()) == list(range(60))
    for group in groups:
        assert np.diff(np.sort(angles[group])).max() == pytest.approx(36.0)


def test_stops_by_noise_by_callback_and_goes_on() -> None:
    pair, truth = scene()
    data = np.random.default_rng(4).poisson(pair.forward(truth * 3))
    by_noise = reconstruct(data, pair, IterationOptions(iterations=50, subsets=4, until_noise=True))
    assert by_noise.stopped == "noise"
    assert 1 <= by_noise.iterations < 20
    by_hand = reconstruct(
        data,
        pair,
        IterationOptions(iterations=50, subsets=4),
        on_update=lambda u: (u.iteration, u.subset) == (2, 4),
    )
    assert (by_hand.stopped, by_hand.iterations) == ("callback", 2)
    first = reconstruct(data, pair, IterationOptions(iterations=2, subsets=4))
    on = reconstruct(data, pair, IterationOptions(iterations=1, subsets=4), start=Start(first.image))
    whole = reconstruct(data, pair, IterationOptions(iterations=3, subsets=4))
    np.testing.assert_allclose(on.image, whole.image, rtol=1e-4, atol=1e-5)


def test_bad_input_is_refused() -> None:
    pair, truth = scene()
    data = pair.forward(truth)
    for change, message in (
        ((0, 3, 2, np.nan), "NaN"),
        ((5, 1, 1, -1.0), "negative"),
        ((7, slice(None), slice(None), 0.0), "views 8 hold none"),
    ):
        bad = data.copy()
        bad[change[:3]] = change[3]
        with pytest.raises(InputError, match=message):
            reconstruct(bad, pair, IterationOptions())
    with pytest.raises(InputError, match="25 subsets of 24 views"):
        reconstruct(data, pair, IterationOptions(iterations=1, subsets=25))
    with pytest.raises(InputError, match="projector makes"):
        reconstruct(data[:5], pair, IterationOptions())
    with pytest.raises(InputError, match="weights"):
        reconstruct(data, pair, IterationOptions(), weights=np.zeros(24))
    with pytest.raises(UnknownNameError, match="bsrem, mlem, osem"):
        IterationOptions(method="mlm")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no prior"):
        IterationOptions(prior_strength=1.0)
    with pytest.raises(InputError, match="mlem takes all views at once"):
        IterationOptions(method="mlem", iterations=3, subsets=2)


def windows() -> Projections:
    counts = np.ones((3, 4, 3, 2), np.float32) * np.array([30.0, 4.0, 2.0])[:, None, None, None]
    limits = (Window(187.5, 229.2), Window(166.7, 187.5), Window(229.2, 250.0))
    return Projections(counts, Orbit.circular(4, radius_mm=200.0), limits, (5.0, 4.0), 20.0)


def test_scatter_from_windows() -> None:
    shown = windows()
    # Trapezium by hand: (4 / 20.8 + 2 / 20.8) * 41.7 / 2.
    np.testing.assert_allclose(triple_window(shown, 0, lower=1, upper=2), 6.0144, rtol=1e-4)
    np.testing.assert_allclose(dual_window(shown, 0, lower=1), 0.5 * 4 * 41.7 / 20.8, rtol=1e-5)
    np.testing.assert_allclose(triple_window(shown, 0, lower=1, upper=2, smooth_fwhm_mm=9.0), 6.0144, rtol=1e-4)
    with pytest.raises(InputError, match="above"):
        triple_window(shown, 0, lower=1, upper=1)
    with pytest.raises(InputError, match="below"):
        dual_window(shown, 0, lower=2)


def test_projections_refuse_what_cannot_be() -> None:
    good = windows()
    for value, message in ((np.nan, "NaN"), (-1.0, "negative")):
        counts = good.counts.copy()
        counts[1, 2, 0, 0] = value
        with pytest.raises(InputError, match=f"{message}.*views 3"):
            Projections(counts, good.orbit, good.windows, good.pixel_mm, 20.0)
    counts = good.counts.copy()
    counts[:, 1] = 0
    with pytest.raises(InputError, match="views 2 hold no counts"):
        Projections(counts, good.orbit, good.windows, good.pixel_mm, 20.0)
    with pytest.raises(InputError, match=r"166\.7-187\.5"):
        good.find_window(Window(126.5, 154.6))
    assert good.find_window(Window(187.0, 229.0)) == 0
    np.testing.assert_allclose(good.mean_activity(20.0)[:2], [1 / (2 * np.log(2)), 0.25 / np.log(2)])
