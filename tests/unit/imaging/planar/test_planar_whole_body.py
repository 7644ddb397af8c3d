"""The whole body in views: the rest beside drawn organs, what lies outside a CT, and views that are turned."""

import numpy as np
import pytest

from hepatica.anatomy.structures.kinds import Structure
from hepatica.errors import InputError, UnknownNameError
from hepatica.imaging.planar.attenuation import transmission_mu_t
from hepatica.imaging.planar.conjugate import self_attenuation
from hepatica.imaging.planar.from_ct.projection import REST
from hepatica.imaging.planar.measure import (
    Beside,
    CtModel,
    ct_model,
    kept,
    measure_drawn,
    measure_on_ct,
    organ_thicknesses,
    uniform_body,
)
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import organs_of
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.whole_body import OUTSIDE, outline_of
from hepatica.imaging.spect.projections import Window
from planar_makers import box_patient

PEAK = Window(328.1, 400.9)
MU, BODY_MM = 0.011, 200.0


def rates(net: np.ndarray, pixel: tuple[float, float]) -> PlanarRates:
    return PlanarRates(net, np.zeros_like(net), np.abs(net) / 100, PEAK, ("anterior", "posterior"), pixel, (1.0, 1.0))


def slab() -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """A body of 200 mm: an even rest of 300, a liver of 500 (80 mm at 60 mm), lungs of 200 (thin, in the middle);
    the rest lies beside the organs, and a level of 0.002 per pixel over all."""
    shape = (40, 60)
    body, liver, lungs = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    body[6:34, 2:58], liver[8:18, 30:42], lungs[20:30, 10:24] = 1, 1, 1
    rest = body - liver - lungs
    net = np.full((2, *shape), 0.002)
    for mask, held, thick, depth in (
        (rest, 300.0, BODY_MM, 100.0),
        (liver, 500.0, 80.0, 60.0),
        (lungs, 200.0, 0.0, 100.0),
    ):
        own = held / mask.sum() * mask / float(self_attenuation(MU * thick))
        net += np.stack([own * np.exp(-MU * depth), own * np.exp(-MU * (BODY_MM - depth))])
    return net, {"liver": np.stack([liver] * 2), "lungs": np.stack([lungs] * 2)}, np.stack([body] * 2)


@pytest.mark.parametrize("with_body", [True, False])
def test_the_rest_of_the_body_is_counted_beside_drawn_organs(with_body: bool) -> None:
    """50, 20 and 30 % come back from counts, by the drawn outline and by the one found; organs alone have 71 and 29."""
    net, regions, body = slab()
    roles = {"liver": Structure.LIVER, "lungs": Structure.LUNG}
    found = measure_drawn(
        rates(net, (10.0, 10.0)), regions, roles, Beside(None, body if with_body else None, True, True),
        uniform_body((40, 60), BODY_MM, MU), thickness_mm={"liver": 80.0, "lungs": 1.0},
        uncertainty=PlanarUncertaintyOptions(),
    )  # fmt: skip
    shares = {o.name: o.share.value for o in organs_of(found.rates, found.roles, found.whole)}
    # The level over an organ's pixels (0.002 of about 1) counts as the organ's: below 1 %.
    assert shares == pytest.approx({"liver": 0.5, "lungs": 0.2, "rest of body": 0.3}, abs=0.01)
    assert found.named == ("lungs", "liver")
    assert "views-not-of-the-whole-body" not in {m.code for m in found.messages}
    alone = measure_drawn(
        rates(net, (10.0, 10.0)), regions, roles, Beside(None, None, False), uniform_body((40, 60), BODY_MM, MU),
        thickness_mm={}, uncertainty=PlanarUncertaintyOptions(),
    )  # fmt: skip
    assert alone.whole == ("lungs", "liver")


def test_a_body_that_the_outline_misses_is_said_and_within_the_interval() -> None:
    """A rest of 5 % over 1308 pixels is below a hundredth of the organs' brightness: counts do not find it."""
    net, regions, body = slab()
    bright = np.clip(regions["liver"] + regions["lungs"], 0, 1)
    # Nine times as much in the organs as the slab has against the rest, with the level beside it.
    faint = np.where(bright > 0, 8 * net, 0.9 * net)
    roles = {"liver": Structure.LIVER, "lungs": Structure.LUNG}

    def told(drawn: np.ndarray | None) -> tuple[float, tuple[float, float], dict[str, str], np.ndarray]:
        found = measure_drawn(
            rates(faint, (10.0, 10.0)), regions, roles, Beside(None, drawn, True, True),
            uniform_body((40, 60), BODY_MM, MU), thickness_mm={"liver": 80.0, "lungs": 1.0},
            uncertainty=PlanarUncertaintyOptions(),
        )  # fmt: skip
        rest = organs_of(found.rates, found.roles, found.whole)[-1]
        return rest.share.value, rest.share_95, {m.code: m.severity for m in found.messages}, found.outlines[REST]

    true, _, quiet, _ = told(body)
    share, interval, said, outline = told(None)
    assert "body-outline-unsure" not in quiet
    assert said["body-outline-unsure"] in ("warning", "critical")
    assert share < 0.7 * true
    assert interval[0] < true < interval[1]
    # The report draws what was taken for the body.
    assert outline.sum() < 0.8 * body.sum()


def test_the_level_beside_the_body_is_taken_off() -> None:
    net, _, body = slab()
    found = outline_of(rates(net, (10.0, 10.0)), body)
    assert found.level == pytest.approx([0.002, 0.002])
    assert outline_of(rates(net, (10.0, 10.0)), np.ones_like(body)).level == pytest.approx([0.0, 0.0])


def on_a_ct() -> tuple[CtModel, np.ndarray]:
    """A model, and views of 900 in its body with legs of 100 below it."""
    patient = box_patient()
    regions = {region.name: region for region in patient.regions}
    body = regions.pop("body")
    roles = {"tumour": Structure.TUMOUR, "liver": Structure.LIVER, "lung left": Structure.LUNG_LEFT,
             "lung right": Structure.LUNG_RIGHT}  # fmt: skip
    model = ct_model(patient.ct.volume, body, regions, roles, energy_kev=364.5, pixel_mm=(8.0, 6.0), mu_scale=1.0)
    plain = model.body.projected(fwhm_mm=12.0)
    held = dict(zip(plain.names, (400.0, 300.0, 60.0, 60.0, 80.0), strict=True))
    net = np.einsum("k,kvxz->vxz", [held[name] for name in plain.names], plain.templates)
    return model, net


def measured(model: CtModel, net: np.ndarray, outside_mm: float | None = None) -> object:
    return measure_on_ct(rates(net, (8.0, 6.0)), model, place_mm=None, offset_mm=None, fwhm_mm=12.0,
                         outside_mm=outside_mm, uncertainty=PlanarUncertaintyOptions())  # fmt: skip


def test_what_the_views_count_outside_the_ct_belongs_to_the_body() -> None:
    """Legs of 150 mm with 100 of 1000: 10 % by the stated thickness, and within its uncertainty without it."""
    model, net = on_a_ct()
    legs = np.zeros((2, net.shape[1], 40))
    legs[:, 10:30, 5:35] = 100 / 600 * np.exp(-model.mu_per_mm * 75)
    longer = np.concatenate([net, legs], axis=2)
    for thickness, sure in ((150.0, 0.01), (None, 0.025)):
        found = measured(model, longer, thickness)
        organs = {o.name: o.share for o in organs_of(found.rates, found.roles, found.whole)}  # type: ignore[attr-defined]
        assert organs[OUTSIDE].value == pytest.approx(0.1, abs=sure)
        assert organs[OUTSIDE].sd is not None
        assert organs["liver"].value == pytest.approx(0.7, abs=0.03)
        assert "outside-the-ct" in {m.code for m in found.messages}  # type: ignore[attr-defined]
    assert OUTSIDE not in measured(model, net).rates.names  # type: ignore[attr-defined]


def test_views_that_fit_the_ct_better_turned_are_told() -> None:
    model, net = on_a_ct()
    assert "views-turned" not in {m.code for m in measured(model, net).messages}  # type: ignore[attr-defined]
    turned = measured(model, net[:, ::-1])
    told = {m.code: m.severity for m in turned.messages}  # type: ignore[attr-defined]
    assert told["views-turned"] == "critical"


def test_a_transmission_above_one_is_refused() -> None:
    blank = np.full((20, 20), 1e4)
    through = blank * np.exp(-2.0)
    with pytest.raises(InputError, match="swapped"):
        transmission_mu_t(through, blank, from_kev=122.0, to_kev=364.5, times=(60.0, 60.0))
    # The mean of nine pixels takes the border in: seven columns of twenty.
    half = blank.copy()
    half[:, :8] *= 1.3
    half[:, 8:] *= 0.2
    with pytest.raises(InputError, match="35 % of its pixels"):
        transmission_mu_t(blank, half, from_kev=122.0, to_kev=364.5, times=(60.0, 60.0))


def test_stated_names_and_numbers_of_organs() -> None:
    roles = {"Liver": Structure.LIVER, "lung left": Structure.LUNG_LEFT, "lung right": Structure.LUNG_RIGHT}
    found = organ_thicknesses({"Lung right": 100.0, "lungs": 160.0, "liver": 140.0}, roles, 220.0)
    assert found == {"Liver": 140.0, "lung left": 160.0, "lung right": 100.0}
    with pytest.raises(UnknownNameError, match="did you mean liver"):
        organ_thicknesses({"livre": 140.0}, roles, None)
    with pytest.raises(InputError, match="in a body of 100 mm"):
        organ_thicknesses({"liver": 140.0}, roles, 100.0)
    with pytest.raises(InputError, match="no structure is one"):
        kept(roles, ("thyroid",))
