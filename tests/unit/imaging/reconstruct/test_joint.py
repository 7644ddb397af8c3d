"""Several energies in a window, several windows in a system, and scatter that changes between iterations."""

import numpy as np
import pytest
from scipy import ndimage

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError, UnknownNameError
from hepatica.imaging.reconstruct.algorithms import IterationOptions, Start, Update, reconstruct, subset_views
from hepatica.imaging.reconstruct.background_term import Additive
from hepatica.imaging.reconstruct.multiple_windows import JointProjector
from hepatica.imaging.reconstruct.scatter_updates import ScatterUpdate
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows, window_sets
from hepatica.imaging.spect.projections import Orbit
from hepatica.imaging.spect.projector import Float32, Response, SpectProjector
from hepatica.nuclides import nuclide

GRID = Grid.axial((20, 20, 5), spacing_mm=(7.0, 7.0, 6.0), origin_mm=(10.0, 20.0, 30.0))
ORBIT = Orbit(np.linspace(350, 5, 12), np.linspace(90, 110, 12))


def body() -> np.ndarray:
    x, y = np.meshgrid(np.arange(20) - 9.5, np.arange(20) - 9.5, indexing="ij")
    return ((x / 8) ** 2 + (y / 6) ** 2 < 1)[:, :, None] * np.ones(5)


def activity() -> np.ndarray:
    shown = body()
    shown[11:14, 8:11, 1:4] += 4
    return shown


def pair(mu: float, sd: float = 1.5) -> SpectProjector:
    return SpectProjector(GRID, ORBIT, columns=20, response=Response(sd, 0.6, 0.02), mu_per_mm=body() * mu)


def test_attenuation_of_several_energies_is_the_mean_of_their_factors() -> None:
    maps = np.stack([body() * 0.03, body() * 0.01])
    mixed = SpectProjector(
        GRID, ORBIT, columns=20, response=Response(1.5, 0.6, 0.02), mu_per_mm=maps, energy_weights=[1.0, 3.0]
    )
    image = activity()
    expected = 0.25 * pair(0.03).forward(image) + 0.75 * pair(0.01).forward(image)
    np.testing.assert_allclose(mixed.forward(image), expected, rtol=1e-4, atol=1e-5)
    rng = np.random.default_rng(1)
    a, b = rng.random(GRID.shape), rng.random(mixed.shape)
    left, right = np.vdot(mixed.forward(a), b), np.vdot(a, mixed.back(b))
    assert left == pytest.approx(right, rel=1e-5)
    for weights in (None, [1.0], [0.0, 0.0], [1.0, -1.0]):
        with pytest.raises(InputError, match="weight each"):
            SpectProjector(GRID, ORBIT, columns=20, mu_per_mm=maps, energy_weights=weights)


def test_mean_response_has_the_mean_variance() -> None:
    parts, shares = [Response(1.0, 0.5, 0.02), Response(2.0, 1.5, 0.05)], [0.3, 0.7]
    mean = Response.mean(parts, shares)
    for distance in (0.0, 40.0, 250.0):
        variance = sum(w * float(r.sd_mm(distance)) ** 2 for r, w in zip(parts, shares, strict=True))
        assert float(mean.sd_mm(distance)) ** 2 == pytest.approx(variance)
    assert Response.mean([parts[0]], [2.0]).sd_mm(100.0) == pytest.approx(parts[0].sd_mm(100.0))


def test_two_windows_are_one_system() -> None:
    joint = JointProjector([pair(0.02), pair(0.01, sd=3.0)])
    rng = np.random.default_rng(2)
    image, data = rng.random(GRID.shape), rng.random(joint.shape)
    shown = joint.forward(image)
    np.testing.assert_allclose(shown[12:], pair(0.01, sd=3.0).forward(image), rtol=1e-5)
    assert np.vdot(shown, data) == pytest.approx(np.vdot(image, joint.back(data)), rel=1e-5)
    views = [3, 20, 5]
    np.testing.assert_allclose(joint.forward(image, views), shown[views], rtol=1e-5)
    some = joint.back(data[views], views)
    assert np.vdot(shown[views], data[views]) == pytest.approx(np.vdot(image, some), rel=1e-5)
    for group in subset_views(joint.angle_deg, 4):
        assert (group < 12).sum() == (group >= 12).sum() == 3
    with pytest.raises(GeometryError, match="share"):
        JointProjector([pair(0.02), SpectProjector(GRID, ORBIT, columns=22)])
    with pytest.raises(InputError, match="shape"):
        joint.back(data[:5])


def test_both_windows_together_are_less_noisy_than_one() -> None:
    joint, truth = JointProjector([pair(0.02), pair(0.01)]), activity().astype(np.float32)
    weights = np.repeat([3.0, 2.0], 12).astype(np.float32)
    errors: dict[str, list[float]] = {"one": [], "both": []}
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(joint.forward(truth) * weights[:, None, None])
        both = reconstruct(counts, joint, IterationOptions(iterations=6, subsets=4), weights=weights).image
        one = reconstruct(
            counts[:12], pair(0.02), IterationOptions(iterations=6, subsets=4), weights=weights[:12]
        ).image
        errors["both"].append(float(((both - truth) ** 2).sum()))
        errors["one"].append(float(((one - truth) ** 2).sum()))
        assert both.sum() == pytest.approx(truth.sum(), rel=0.03)
    # 5 parts of counts against 3: about 0.6 of the variance, with what the positive image adds.
    assert np.mean(errors["both"]) < 0.85 * np.mean(errors["one"])


@pytest.mark.parametrize("share", [0.4, 2.0])
def test_scatter_may_change_between_iterations_and_a_run_goes_on_with_it(share: float) -> None:
    projector, truth = pair(0.015), activity().astype(np.float32)
    called: list[int] = []

    def scatter(image: Float32, iterations: int) -> Float32:
        """A share of the primary, blurred."""
        called.append(iterations)
        return ndimage.gaussian_filter(share * projector.forward(image), (0, 2, 2))

    counts = np.random.default_rng(3).poisson(400 * (projector.forward(truth) + scatter(truth, 0)))
    called.clear()
    update = ScatterUpdate(scatter, projector, counts, np.ones(12))
    kept: list[Update] = []
    settings = IterationOptions(iterations=9, subsets=4)
    whole = reconstruct(counts, projector, settings, additive=update, on_update=kept.append)
    assert called == [1, 2, 4, 7]
    assert whole.image.sum() == pytest.approx(400 * truth.sum(), rel=0.025)
    # With a term that stands still between its updates body and hot spot would swing; here both come out.
    assert whole.image[11:14, 8:11, 1:4].mean() == pytest.approx(400 * truth[11:14, 8:11, 1:4].mean(), rel=0.15)
    straight = projector.forward(whole.image)
    np.testing.assert_allclose(whole.additive, kept[-1].additive.at(straight, np.arange(12)), rtol=1e-6)
    for stopped in (u for u in kept if u.subset == 4 and u.iteration in (1, 3, 7)):
        start = Start(stopped.image, stopped.iteration, stopped.additive)
        again = reconstruct(counts, projector, settings, additive=update, start=start)
        np.testing.assert_allclose(again.image, whole.image, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="NaN"):
        reconstruct(counts, projector, settings, additive=lambda i, p: Additive(np.full(counts.shape, np.nan)))
    with pytest.raises(InputError, match="not after"):
        ScatterUpdate(scatter, projector, counts, np.ones(12), iterations=(0, 1))


def test_windows_by_energy_limits_and_all() -> None:
    lutetium, yttrium = nuclide("Lu-177"), nuclide("Y-90")
    assert [str(w) for w in nuclide_windows(lutetium, which=("113",))[0]] == ["101.7-124.2 keV"]
    peaks, beside = nuclide_windows(lutetium, which=("all",))
    assert len(peaks) == 2
    assert len(beside) == 2
    assert (
        nuclide_windows(
            lutetium,
            which=(
                "113",
                " 208",
            ),
        )[0]
        == peaks[::-1]
    )
    limits = {(w.low_kev, w.high_kev) for one in window_sets(yttrium) for w in one.peaks}
    assert limits == {(105, 195), (75, 225), (55, 285), (50, 150), (90, 125)}
    assert nuclide_windows(yttrium, which=("55-285 keV",))[0][0].high_kev == 285
    assert nuclide_windows(nuclide("Ho-166"))[1][0].centre_kev == pytest.approx(118)
    for wrong, message in (("300", "unknown window of Lu-177"), ("1-2-3", "neither"), ("x", "neither")):
        with pytest.raises((UnknownNameError, InputError), match=message):
            nuclide_windows(lutetium, which=wrong)
    assert gamma_camera("siemens-megp").mean_energy_kev(lutetium, peaks[1]) == pytest.approx(113, abs=1)


def test_counts_that_the_image_cannot_make_do_not_blow_it_up() -> None:
    """Hot spot in an empty body: the first pass knows no scatter, and noise lies far beside what voxels can make."""
    projector = pair(0.0)
    truth = np.zeros(projector.grid.shape, np.float32)
    truth[12, 9, 2] = 1e5
    noise = np.random.default_rng(4).poisson(0.02, projector.shape)
    within = np.zeros(truth.shape, bool)
    within[8:16, 5:13] = True
    found = reconstruct(
        projector.forward(truth) + noise,
        projector,
        IterationOptions(iterations=8, subsets=4),
        within=within,
    )
    assert np.isfinite(found.image).all()
    assert not found.image[~within].any()
    assert found.image.sum() == pytest.approx(1e5, rel=0.02)
    with pytest.raises(InputError, match="where activity can be"):
        reconstruct(noise + 1, projector, IterationOptions(iterations=1, subsets=4), within=np.zeros_like(within))
