"""Planar views as values: conjugate view, scatter windows, drawn and projected organs, their uncertainty."""

from dataclasses import replace

import numpy as np
import pytest

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Estimate
from hepatica.errors import GeometryError, InputError, PhysicsError
from hepatica.imaging.planar.attenuation import broad_share, narrow_mu_per_cm, transmission_mu_t
from hepatica.imaging.planar.conjugate import geometric_mean, mean_transmission, net_counts, self_attenuation
from hepatica.imaging.planar.drawn import DrawnMeasurement, DrawnOrgan, drawn_rates
from hepatica.imaging.planar.from_ct.projection import BodyModel, on_views, place_of_ct
from hepatica.imaging.planar.measure import grouped, kept
from hepatica.imaging.planar.options import PlanarCountsOptions, PlanarUncertaintyOptions, thickness_from_text
from hepatica.imaging.planar.organs import AbsoluteActivity, OrganRates, organs_of, share_interval
from hepatica.imaging.planar.rates import PlanarRates, count_rates, scatter_method
from hepatica.imaging.planar.views import OneView, PlanarViews, opposed
from hepatica.imaging.spect.projections import Window
from hepatica.nuclides import nuclide
from planar_makers import box_patient

PEAK, LOW, HIGH = Window(328.1, 400.9), Window(306.2, 328.1), Window(400.9, 422.8)
DAY = 8.0252 * 86400


def views(counts: np.ndarray, windows: tuple[Window, ...] = (PEAK,), **more: object) -> PlanarViews:
    sides = ("anterior", "posterior")[: counts.shape[0]]
    return PlanarViews(counts, sides, windows, (5.0, 5.0), (100.0,) * len(sides), (0.0,) * len(sides), **more)  # type: ignore[arg-type]


def rates(net: np.ndarray, pixel: float = 5.0) -> PlanarRates:
    sides = ("anterior", "posterior")[: len(net)]
    return PlanarRates(net, np.zeros_like(net), net / 100, PEAK, sides, (pixel, pixel), (1.0,) * len(sides))


def test_geometric_mean_does_not_depend_on_depth() -> None:
    """A thin organ at any depth of a body of mu T = 2: sqrt(A P exp(mu T)) is its activity, by MIRD Pamphlet 16."""
    for depth in (0.1, 1.0, 1.7):
        pair = [(1000 * np.exp(-d), 1.0) for d in (depth, 2 - depth)]
        mean, _ = geometric_mean("liver", pair[0], pair[1])
        assert mean / float(mean_transmission(2.0)) == pytest.approx(1000)


def test_self_attenuation_is_that_of_a_slab() -> None:
    """A slab of mu t = 1.5 in the middle of mu T = 3, integrated by hand; the factor f of MIRD Pamphlet 16."""
    depth = 0.75 + 1.5 * (np.arange(20000) + 0.5) / 20000
    front, back = np.exp(-depth).mean(), np.exp(-(3 - depth)).mean()
    seen = np.sqrt(front * back)
    assert float(mean_transmission(3.0, 1.5)) == pytest.approx(seen, rel=1e-6)
    assert float(self_attenuation(0.0)) == 1.0


def test_background_by_area() -> None:
    assert net_counts(1000, 50, 200, 100) == (900, 1050)
    with pytest.raises(InputError, match="nothing above background"):
        geometric_mean("lungs", (-1.0, 1.0), (5.0, 1.0))


def test_triple_window_takes_a_sloping_continuum_off() -> None:
    """Counts of density 3 and 1 per keV below and above: under the peak (3 + 1) / 2 per keV of its width."""
    below, above = 3 * LOW.width_kev, 1 * HIGH.width_kev
    peak = 500 + 2 * PEAK.width_kev
    data = views(np.ones((2, 3, 4, 4)) * np.array([peak, below, above])[None, :, None, None], (PEAK, LOW, HIGH))
    found = count_rates(data, 0, PlanarCountsOptions(planar_scatter="tew"), half_life_s=1e12)
    assert found.net == pytest.approx(np.full((2, 4, 4), 5.0))
    expected = (peak + below * (PEAK.width_kev / 2 / LOW.width_kev) ** 2
                + above * (PEAK.width_kev / 2 / HIGH.width_kev) ** 2) / 100**2  # fmt: skip
    assert found.variance == pytest.approx(np.full((2, 4, 4), expected))
    assert [scatter_method(w, 0, "auto") for w in ((PEAK, LOW, HIGH), (PEAK, HIGH), (PEAK, LOW), (PEAK,))] == [
        "tew", "upper", "dew", "none",
    ]  # fmt: skip


def test_scatter_needs_its_window() -> None:
    data = views(np.ones((2, 1, 4, 4)))
    with pytest.raises(InputError, match="needs an energy window below"):
        count_rates(data, 0, PlanarCountsOptions(planar_scatter="tew"), half_life_s=DAY)


def test_dead_time_and_decay_are_put_back() -> None:
    """A paralysable head of 5 us at 10 000 true cps keeps exp(-0.05); the second view began a half-life later."""
    true = 1e4 * 100.0
    counts = np.full((2, 1, 4, 4), true * np.exp(-0.05) / 16)
    data = replace(views(counts), start_s=(0.0, DAY))
    found = count_rates(data, 0, PlanarCountsOptions(planar_scatter="none", dead_time_s=5e-6), half_life_s=DAY)
    assert found.net[0].sum() == pytest.approx(1e4, rel=1e-4)
    assert found.net[1].sum() == pytest.approx(2e4, rel=1e-4)
    with pytest.raises(PhysicsError, match="above the largest"):
        count_rates(
            views(counts * 100), 0, PlanarCountsOptions(planar_scatter="none", dead_time_s=5e-6), half_life_s=DAY
        )
    whole = views(counts, whole_body=True)
    with pytest.raises(InputError, match="whole-body"):
        count_rates(whole, 0, PlanarCountsOptions(planar_scatter="none", dead_time_s=5e-6), half_life_s=DAY)


def slab(organ: float = 3.0, beside: float = 1.0) -> DrawnMeasurement:
    """An organ of 100 mm in a body of 200 mm whose other half holds what is beside it too; mu 0.01 per mm."""
    net = np.full((2, 20, 20), beside * np.sqrt(np.exp(-2.0)))
    cover = np.zeros((2, 20, 20))
    cover[:, 5:15, 5:15] = 1
    f = float(1 / self_attenuation(1.0)) * np.exp(-1.0)
    net += cover * (organ * f - 0.5 * beside * np.exp(-1.0))
    background = np.zeros((2, 20, 20))
    background[:, :3] = 1
    flat = np.full((20, 20), 2.0)
    return DrawnMeasurement(
        rates(net), (DrawnOrgan("liver", cover, 100.0),), background, flat, 0.01, np.full((20, 20), 200.0)
    )


def test_background_before_and_behind_an_organ_is_that_of_the_body_that_is_not_the_organ() -> None:
    """Half of the body is the organ, so half of the background beside it is taken off."""
    assert slab().measure()[0] == pytest.approx(3.0 * 100, rel=1e-6)


def test_uncertainty_of_each_input_is_its_effect() -> None:
    """Attenuation known to 5 % of mu T / 2 = 1 and of self-attenuation: d ln A / d ln mu = 1 - d ln f / d ln mu."""
    u = PlanarUncertaintyOptions(attenuation_sd=0.05, uniformity_sd=0.0)
    found = drawn_rates(slab(beside=0.0), u, stated_thickness=True)
    step = 1e-4
    ln = [np.log(mean_transmission(2.0 * s, 1.0 * s)) for s in (1 + step, 1 - step)]
    slope = -(ln[0] - ln[1]) / (2 * step)
    sd = float(np.sqrt(found.covariance["attenuation"][0, 0])) / found.cps[0]
    assert sd == pytest.approx(0.05 * slope, rel=0.01)
    thick = float(np.sqrt(found.covariance["body thickness"][0, 0])) / found.cps[0]
    assert thick == pytest.approx(0.01 / 2 * 10.0, rel=0.01)


def test_overlapping_regions_share_a_pixel_by_what_each_holds() -> None:
    """A tumour of 40 mm drawn inside a liver of 100 mm: its pixels hold the liver's thickness and its own."""
    liver, tumour = np.zeros((2, 24, 24)), np.zeros((2, 24, 24))
    liver[:, 2:22, 2:22], tumour[:, 8:16, 8:16] = 1, 1
    net = 100 * 0.01 * liver + 40 * 0.1 * tumour
    organs = (DrawnOrgan("liver", liver, 100.0), DrawnOrgan("tumour", tumour, 40.0))
    flat = np.zeros((24, 24))
    found = DrawnMeasurement(rates(net, 25.0), organs, None, flat, 0.0, flat).measure()
    assert found == pytest.approx([400.0, 64 * 4.0], rel=0.05)


def test_shares_and_what_is_common_to_all_organs() -> None:
    """A common 10 % (the camera) drops out of shares, own 10 % of one organ does not."""
    cps = np.array([60.0, 40.0])
    both = OrganRates(("a", "b"), cps, {"camera": 0.01 * np.outer(cps, cps), "own": np.diag([36.0, 0.0])})
    first, _ = organs_of(both, {}, ("a", "b"), total_mbq=100.0)
    assert first.share.value == pytest.approx(0.6)
    # d share = (1 - share) d a / total
    assert first.share.sd == pytest.approx(0.4 * 6 / 100)
    assert first.components["camera"] == pytest.approx(0.0, abs=1e-9)
    assert first.activity_mbq is not None
    assert first.activity_mbq.value == pytest.approx(60.0)
    factor = AbsoluteActivity(Estimate(2.0, 0.1), Estimate(50.0, 5.0))
    absolute, _ = organs_of(both, {}, ("a", "b"), absolute=factor)
    assert absolute.activity_mbq is not None
    # 72 counts^2 of the rate, 5 % of the camera factor; of the share 10 % of what was administered too.
    assert absolute.activity_mbq.sd == pytest.approx(np.hypot(np.hypot(6, 6) / 2, 0.05 * 30))
    assert absolute.share.value == pytest.approx(30 / 50)
    assert absolute.share.sd == pytest.approx(np.hypot(absolute.activity_mbq.sd / 50, 0.06))
    low, high = share_interval(0.02, 0.005)
    assert 0 < low < 0.02 < high < 0.05
    # Where nothing is within two standard uncertainties the logit would reach to 12 %: symmetric, cut at nothing.
    assert share_interval(0.02, 0.02) == pytest.approx((0.0, 0.0592), abs=1e-4)


def test_transmission_scan_gives_the_coefficient_at_the_views_energy() -> None:
    """A flood through mu T = 2 at 122 keV: at 364 keV less, by the ratio of the coefficients of soft tissue."""
    blank = np.full((20, 20), 1e5)
    found = transmission_mu_t(blank, blank * np.exp(-2.0), from_kev=122.0, to_kev=364.5, times=(60.0, 60.0))
    assert found == pytest.approx(np.full((20, 20), 2 * narrow_mu_per_cm(364.5) / narrow_mu_per_cm(122.0)), rel=1e-6)
    with pytest.raises(InputError, match="pixels"):
        transmission_mu_t(blank, blank[1:], from_kev=122.0, to_kev=364.5, times=(60.0, 60.0))


def test_broad_beams_are_those_in_general_use() -> None:
    """0.12 /cm of 99mTc and 0.09 of 131I, in general use to one digit: 10 %."""
    assert broad_share(nuclide("Tc-99m")) * narrow_mu_per_cm(140.5) == pytest.approx(0.12, rel=0.1)
    assert broad_share(nuclide("I-131")) * narrow_mu_per_cm(364.5) == pytest.approx(0.09, rel=0.1)


def test_views_that_do_not_belong_together() -> None:
    image = np.ones((1, 8, 8))
    one = OneView(image, (PEAK,), (5.0, 5.0), 100.0, 0.0, "a.dcm", "P1")
    with pytest.raises(InputError, match="another patient"):
        opposed({"anterior": one, "posterior": replace(one, patient="P2")})
    with pytest.raises(GeometryError, match="one matrix"):
        opposed({"anterior": one, "posterior": replace(one, counts=np.ones((1, 8, 9)))})
    with pytest.raises(GeometryError, match="one matrix"):
        opposed({"anterior": one, "posterior": replace(one, pixel_mm=(5.0, 4.0))})
    with pytest.raises(InputError, match="was counted in"):
        opposed({"anterior": one, "posterior": replace(one, windows=(LOW,))})
    with pytest.raises(InputError, match="one speed"):
        opposed({"anterior": one, "posterior": replace(one, dwell_s=120.0)}, whole_body=True)
    with pytest.raises(InputError, match="largest count that fits"):
        opposed({"anterior": replace(one, counts=np.full((1, 8, 8), 4095.0), limit=4095.0)})


def test_names_of_sums_of_organs() -> None:
    roles = {"tumour 1": Structure.TUMOUR, "liver": Structure.LIVER, "lung left": Structure.LUNG_LEFT}
    groups, what = grouped(roles)
    assert groups == {"lungs": ("lung left",), "liver": ("liver", "tumour 1"), "normal liver": ("liver",),
                      "tumour 1": ("tumour 1",)}  # fmt: skip
    assert what["liver"] == "liver"
    assert kept({**roles, "spleen": Structure.SPLEEN}, ()) == list(roles)
    assert "spleen" in kept({**roles, "spleen": Structure.SPLEEN}, ("spleen",))
    assert thickness_from_text("liver = 140 mm") == ("liver", 140.0)
    with pytest.raises(InputError, match="ORGAN = MM"):
        thickness_from_text("liver")


def test_a_ct_is_found_on_the_views() -> None:
    patient = box_patient()
    regions = {region.name: region for region in patient.regions}
    body = regions.pop("body")
    model = BodyModel.of(patient.ct.volume, body, regions, energy_kev=364.5, pixel_mm=(8.0, 6.0))
    plain = model.projected()
    seen = on_views(plain, (70, 90), (11.3, 20.6))
    amounts = np.array([5.0, 4.0, 1.0, 1.0, 0.5])
    net = np.einsum("k,kvxz->vxz", amounts, seen.templates)
    (columns, rows), explained = place_of_ct(net, plain)
    # The parabola through three places finds the top of a smooth peak to a fifth of a pixel.
    assert (columns, rows) == (pytest.approx(11.3, abs=0.25), pytest.approx(20.6, abs=0.25))
    # Between pixels an image is a mean of two: what is lost of sharp borders of boxes is not explained.
    assert explained > 0.9
    with pytest.raises(GeometryError, match="explain"):
        place_of_ct(np.random.default_rng(1).random((2, 70, 90)) ** 20, plain)
