"""Images of lists: what each method does to noise and to cold regions, how sure they are, when they are refused."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list, subsets_allowed
from hepatica.imaging.pet.reconstruct.bound import lower_bound
from hepatica.imaging.pet.reconstruct.least_squares import LeastSquares, height_of, reference_of
from hepatica.imaging.pet.reconstruct.stopping import iterations_for_noise, stopped
from hepatica.imaging.pet.reconstruct.uncertainty import bootstrapped, influence, region_estimates

sys.path.insert(0, str(Path(__file__).parents[4] / "tools" / "checks"))
from pet_intervals import Model, coarse_model, errors

LISTS = 40
WLS = ListIterations(8, 1, "wls")


@pytest.fixture(scope="module")
def model() -> Model:
    return coarse_model(trues=1500, randoms=4500)


@pytest.fixture(scope="module")
def data(model: Model) -> ListData:
    return model.drawn(np.random.default_rng(7))


@pytest.mark.parametrize(("trues", "randoms"), [(150, 1000), (3000, 9000)])
def test_total_cold_and_warm_are_unbiased_however_few_are_counted(trues: int, randoms: int) -> None:
    """Least squares are linear in the events, so means over lists are the truth within 3.5 standard errors of the mean
    (once in 700 tests of a sound method, for the three regions and two models together): total, cold rod, warm rod.

    What 8 steps leave of the difference to the smooth reference is allowed for in the rods: 2 % of the background.
    150 trues are 0.4 for each voxel, 87 % of what is counted is random; expectation maximisation then makes 0.6 too
    much of the total.
    """
    rods = {"warm": (48.0, 0.0, 1.3), "cold": (-36.0, -24.0, 0.0)}
    model = coarse_model(trues, randoms, rods=rods)
    regions = [model.body / model.truth.sum(), model.regions["warm"], model.regions["cold"]]
    truth = np.array([float((model.truth * region).sum()) for region in regions])
    error = []
    for n in range(LISTS):
        data = model.drawn(np.random.default_rng([3, n]))
        image = reconstruct_list(data, model.projector, WLS, within=model.body)
        error.append([float((image * region).sum()) for region in regions] - truth)
    standard_error = np.std(error, axis=0, ddof=1) / math.sqrt(LISTS)
    assert (np.abs(np.mean(error, axis=0)) < 3.5 * standard_error + [0, 0.02, 0.02]).all()
    # the test can fail: what expectation maximisation makes too much of the total would be seen
    assert standard_error[0] < 0.6 / 10


def test_expectation_maximisation_fills_what_is_cold_and_aml_half_of_it() -> None:
    model, found = coarse_model(rods={"cold": (-36.0, -24.0, 0.0)}), {}
    for method in ("osem", "aml"):
        images = [
            reconstruct_list(
                model.drawn(np.random.default_rng([3, n])),
                model.projector,
                ListIterations(24, 1, method),
                within=model.body,
            )
            for n in range(4)
        ]
        found[method] = float(np.mean([(image * model.regions["cold"]).sum() for image in images]))
    assert found["osem"] > 0.22
    assert found["aml"] < found["osem"] - 0.05


def test_least_squares_are_linear_in_the_events(model: Model, data: ListData) -> None:
    # of one reference: the image of the sum of two lists' weights is that of the parts, but for the constant
    look, rng = model.truth, np.random.default_rng(2)
    ways = [rng.poisson(1.0, len(data.events)).astype(np.float32) for _ in range(2)]
    a, b, both, none = (
        reconstruct_list(data, model.projector, WLS, within=model.body, start=look, weights=weights)
        for weights in (*ways, ways[0] + ways[1], np.zeros(len(data.events)))
    )
    np.testing.assert_allclose(both + none, a + b, atol=2e-4 * float(np.abs(both).max()))


def test_a_reference_takes_the_height_that_its_list_gives_it(model: Model) -> None:
    """Of few counts among many randoms osem shows far too much, and least squares from there too little.

    Tolerance of the height: three standard deviations of six lists of 300 trues and 6 000 randoms, of which the mean is
    known to sqrt(6300) / 300 / sqrt(6) = 11 % by counting alone.
    """
    few, found = coarse_model(300, 6000), []
    seen = few.sensitivity * np.float32(np.prod(few.projector.grid.spacing_mm)) * few.body
    for n in range(6):
        data = few.drawn(np.random.default_rng([12, n]))
        high = few.truth * np.float32(2.4)
        found.append(height_of(high, few.sample, few.projector, data.events, data.background, seen) * 2.4)
    assert np.mean(found) == pytest.approx(1.0, abs=0.33)


def test_without_lines_of_the_model_least_squares_are_refused(model: Model, data: ListData) -> None:
    with pytest.raises(InputError, match="lines and bins of the model"):
        reconstruct_list(replace(data, model=None), model.projector, WLS, within=model.body)


def test_steps_of_least_squares_converge_and_are_their_own_transpose(model: Model, data: ListData) -> None:
    # H d = H t gives t back where H sees it: a smooth image to 5 % after 40 steps
    look = reference_of(model.truth, model.body, model.sensitivity, model.projector.grid.spacing_mm)
    found = LeastSquares.about(look, model.sample, model.projector, model.body)
    right = np.where(model.body, found.curved(look), 0).astype(np.float32)
    np.testing.assert_allclose(found.solved(right, 40)[model.body], look[model.body], rtol=0.05)
    rng = np.random.default_rng(3)
    a, b = (np.where(model.body, rng.normal(size=look.shape), 0).astype(np.float32) for _ in range(2))
    there, again = float((found.solved(a, 7) * b).sum()), float((a * found.solved(b, 7)).sum())
    assert there == pytest.approx(again, rel=1e-3)


def test_where_nothing_is_random_below_zero_is_expectation_maximisation(model: Model, data: ListData) -> None:
    # no background leaves no room below zero: the bound is none
    none = replace(data, background=np.zeros_like(data.background))
    bound, left = lower_bound([(none.events, none.background)], model.projector, model.body, 0.9)
    assert not bound.any()
    assert not left[0].any()


def test_the_bound_leaves_every_line_a_tenth_of_its_background(model: Model, data: ListData) -> None:
    bound, left = lower_bound([(data.events, data.background)], model.projector, model.body, 0.9)
    assert bound[model.body].min() > 0
    assert (left[0] >= 0.099 * data.background).all()
    taken = model.projector.forward(bound, data.events)
    # all but the lines that had to be raised (one of a thousand) keep what is theirs
    assert (np.abs(data.background - taken - left[0]) < 1e-5 * data.background).mean() > 0.995


@pytest.mark.parametrize("method", ["osem", "aml"])
def test_influence_is_the_derivative_to_the_weight_of_the_events(model: Model, data: ListData, method: str) -> None:
    # central difference in a random direction; single precision leaves 1e-2 of it
    settings = ListIterations(2, 3, method)
    regions = list(model.regions.values())
    image, found = influence(data, model.projector, settings, regions, within=model.body)
    way = np.random.default_rng(1).normal(size=len(data.events))
    step = 0.03
    values = []
    for sign in (1, -1):
        weights = (1 + sign * step * way).astype(np.float32)
        moved = reconstruct_list(data, model.projector, settings, within=model.body, weights=weights)
        values.append([float((moved * region).sum()) for region in regions])
    difference = np.subtract(*values) / (2 * step)
    np.testing.assert_allclose(found @ way, difference, rtol=0.03, atol=0.02 * np.abs(difference).max())
    plain = reconstruct_list(data, model.projector, settings, within=model.body)
    np.testing.assert_allclose(image, plain, rtol=1e-4, atol=1e-6)


def test_influence_and_bootstrap_agree(model: Model, data: ListData) -> None:
    # 40 samples know a standard deviation to 11 % (one sd): three of them
    settings = ListIterations(8, 1, "wls")
    regions = model.regions
    stated = region_estimates(data, model.projector, settings, regions, within=model.body)
    drawn = bootstrapped(data, model.projector, settings, list(regions.values()), samples=40, within=model.body)
    for name, sd in zip(regions, drawn.region_sd, strict=True):
        assert stated[name].sd == pytest.approx(sd, rel=0.34)
    assert drawn.voxel_sd[model.body].min() > 0
    assert not drawn.voxel_sd[~model.body].any()


def test_stated_deviations_are_those_of_other_lists(model: Model) -> None:
    # 24 lists: their spread is known to 15 % (one sd). tools/checks/pet_intervals.py counts the coverage of 1000.
    found = errors(model, ListIterations(12, 1, "wls"), 24, seed=2)
    for n in range(len(model.regions)):
        assert found[:, n, 1].mean() == pytest.approx(found[:, n, 0].std(ddof=1), rel=0.4)


def test_the_prior_takes_noise_and_keeps_the_total(model: Model, data: ListData) -> None:
    rough, smooth = (
        reconstruct_list(data, model.projector, settings, within=model.body)
        for settings in (ListIterations(12, 2), ListIterations(12, 2, "bsrem", prior_strength=0.3))
    )
    inner = model.body & (model.truth == 1)
    assert smooth[inner].std() < 0.5 * rough[inner].std()
    # a maximum x of the likelihood less a prior R that doubles with the image has sum(x s) = events - R(x): the prior
    # takes from the total, no more than its value
    seen = model.sensitivity
    assert 0.85 < (smooth * seen).sum() / (rough * seen).sum() <= 1.0


def test_a_prior_that_is_nothing_converges_to_the_same(model: Model, data: ListData) -> None:
    # one subset, no relaxation: a step of bsrem is one of expectation maximisation
    a, b = (
        reconstruct_list(data, model.projector, settings, within=model.body)
        for settings in (ListIterations(5, 1), ListIterations(5, 1, "bsrem", relaxation=0.0))
    )
    np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4)


def test_only_the_box_is_worked_on_and_nothing_changes(data: ListData, model: Model) -> None:
    # point spread reaches beyond the voxels that are looked for: on a larger grid the image is the same
    few = np.zeros_like(model.body)
    few[3:6, 3:6, 2:5] = True
    projector = replace(model.projector, point_spread_mm=20.0)
    image = reconstruct_list(data, projector, ListIterations(2, 2), within=few)
    grid = model.projector.grid
    larger = Grid.axial(
        tuple(n + 8 for n in grid.shape), spacing_mm=grid.spacing_mm, origin_mm=grid.to_mm(np.array([[-4, -4, -4]]))[0]
    )
    wide = replace(data, sensitivity=np.pad(data.sensitivity, 4))
    again = reconstruct_list(wide, replace(projector, grid=larger), ListIterations(2, 2), within=np.pad(few, 4))
    np.testing.assert_allclose(again[4:-4, 4:-4, 4:-4], image, rtol=1e-3, atol=1e-5)


def test_subsets_are_as_many_as_there_are_counts_for() -> None:
    assert subsets_allowed(1_000_000, 800_000.0, 12) == 12
    assert subsets_allowed(300_000, 250_000.0, 12) == 5
    assert subsets_allowed(1000, 2000.0, 12) == 1


def test_noise_by_two_halves_is_that_of_other_lists(model: Model) -> None:
    # sd of a voxel over lists against half the difference of halves: 24 lists of 300 voxels know it to some per cent,
    # the halves of one list to 10 %; a half's image is noisier than the law of counts says where it cannot be negative
    settings = ListIterations(4, 1, "wls")
    inner = model.body & (model.truth == 1)
    found = iterations_for_noise(
        model.drawn(np.random.default_rng(0)), model.projector, settings, inner, 0.5, within=model.body
    )
    images = [
        reconstruct_list(model.drawn(np.random.default_rng([4, n])), model.projector, settings, within=model.body)
        for n in range(16)
    ]
    spread = np.std([image[inner] for image in images], axis=0, ddof=1).mean()
    mean = np.mean([image[inner] for image in images])
    assert found.noise[-1] == pytest.approx(spread / mean, rel=0.3)
    assert list(found.noise) == sorted(found.noise)
    assert stopped(settings, found).iterations == found.iterations
    with pytest.raises(InputError, match="target above 0"):
        iterations_for_noise(model.drawn(np.random.default_rng(0)), model.projector, settings, inner, 0.0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"method": "fbp"}, "none of wls"),
        ({"prior_strength": 1.0}, "has no prior"),
        ({"bound_share": 0.0}, "between 0 and 1"),
        ({"method": "wls"}, "whole list at once"),
        ({"iterations": 0}, "make no image"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ListIterations(**changes)  # type: ignore[arg-type]


def test_influence_refuses_what_it_does_not_know(model: Model, data: ListData) -> None:
    with pytest.raises(InputError, match="bootstrap"):
        influence(data, model.projector, ListIterations(2, 2, "bsrem"), [], within=model.body)
    with pytest.raises(InputError, match="does not lie"):
        influence(data, model.projector, ListIterations(2, 2), [np.ones((2, 2, 2))], within=model.body)
    with pytest.raises(InputError, match="samples say too little"):
        bootstrapped(data, LineProjector(model.projector.scanner, model.projector.grid), ListIterations(), samples=3)
