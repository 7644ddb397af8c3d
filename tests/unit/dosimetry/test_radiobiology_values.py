"""Refusals and warnings of the radiobiology, and its sums over structures."""

from collections.abc import Callable

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.numbers.confidence import MEANING
from hepatica.dosimetry.radiobiology import (
    LIVER,
    TUMOUR,
    DoseRate,
    Repair,
    Tissue,
    alphas,
    bed_gy,
    bed_volume,
    equivalent_uniform_dose_gy,
    lea_catcheside_factor,
    poisson_tcp,
    predict,
    region_radiobiology,
    response_model,
    response_models,
    response_probability,
)
from hepatica.dosimetry.radiobiology.dose_map import DoseMapOptions, map_effect
from hepatica.dosimetry.radiobiology.summary import Exposure, ExposureOptions, TissueOptions, dose_effect
from hepatica.errors import GeometryError, PhysicsError, UnitError, UnknownNameError

Y90 = DoseRate.exponential(64.05)


def dose_on(grid: Grid) -> Volume:
    i, j, k = np.indices(grid.shape)
    return Volume(grid, (10.0 + 3 * i + 2 * j + k).astype(np.float32), Kind.DOSE, name="dose")


def test_region_sums_follow_the_coverage(oblique_grid: Grid) -> None:
    dose = dose_on(oblique_grid)
    coverage = np.zeros(oblique_grid.shape, dtype=np.float32)
    coverage[3:6, 4:8, 2:5] = 1.0
    coverage[6, 4:8, 2:5] = 0.25
    region = Region.from_coverage("tumour", oblique_grid, coverage)
    result = region_radiobiology(dose, region, Y90, LIVER, alpha_per_gy=0.035, eud_exponent=-3.0)
    w, d = coverage.astype(float), dose.values.astype(float)
    b = bed_gy(d, Y90, LIVER)
    assert result.dose_mean_gy == pytest.approx((w * d).sum() / w.sum())
    assert result.bed_mean_gy == pytest.approx((w * b).sum() / w.sum())
    assert result.bed_mean_gy > result.bed_of_mean_dose_gy
    assert result.eud_gy == pytest.approx(-np.log((w * np.exp(-0.035 * d)).sum() / w.sum()) / 0.035)
    assert result.eubed_gy == pytest.approx(-np.log((w * np.exp(-0.035 * b)).sum() / w.sum()) / 0.035)
    cells = 1000 * oblique_grid.voxel_volume_ml * w
    sensitive = region_radiobiology(dose, region, Y90, LIVER, alpha_per_gy=0.1, clonogens_per_ml=1000)
    assert sensitive.poisson_tcp == pytest.approx(np.exp(-(cells * np.exp(-0.1 * b)).sum()))
    assert sensitive.generalized_eud_gy is None
    assert result.generalized_eud_gy == pytest.approx(((w * d**-3.0).sum() / w.sum()) ** (-1 / 3))


def test_bed_volume_keeps_grid_and_dtype(oblique_grid: Grid) -> None:
    dose = dose_on(oblique_grid)
    bed = bed_volume(dose, Y90, LIVER)
    assert bed.values.dtype == np.float32
    assert bed.grid is dose.grid
    assert bed.values[2, 3, 4] == pytest.approx(bed_gy(float(dose.values[2, 3, 4]), Y90, LIVER), rel=1e-6)
    with pytest.raises(UnitError, match="absorbed dose"):
        bed_volume(Volume(oblique_grid, dose.values, Kind.DENSITY), Y90, LIVER)


def test_region_elsewhere_is_refused(oblique_grid: Grid) -> None:
    other = Grid.axial((4, 4, 4), spacing_mm=(1, 1, 1))
    with pytest.raises(GeometryError):
        region_radiobiology(
            dose_on(oblique_grid), Region.from_coverage("a", other, np.ones((4, 4, 4))), Y90, LIVER, alpha_per_gy=0.1
        )
    empty = Region.from_coverage("a", oblique_grid, np.zeros(oblique_grid.shape))
    with pytest.raises(GeometryError, match="empty"):
        region_radiobiology(dose_on(oblique_grid), empty, Y90, LIVER, alpha_per_gy=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Repair(0.0),
        lambda: Repair(1.0, second_share=0.5),
        lambda: Repair(1.0, 2.0, 1.5),
        lambda: DoseRate((64.0, 2.0)),
        lambda: DoseRate((64.0, 2.0), (0.5, 0.2)),
        lambda: DoseRate((-1.0,)),
        lambda: Tissue("x", 0.0, Repair(1.0)),
        lambda: lea_catcheside_factor(Y90, Repair(1.0), until_h=0.0),
        lambda: equivalent_uniform_dose_gy(np.array([]), 0.1),
        lambda: equivalent_uniform_dose_gy(np.array([1.0, np.nan]), 0.1),
        lambda: equivalent_uniform_dose_gy(np.array([1.0]), 0.0),
        lambda: poisson_tcp(np.array([1.0]), 0.1, -1.0),
        lambda: predict(response_model("strigari-2010-liver"), -1.0),
    ],
)
def test_nonsense_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(PhysicsError):
        wrong()


def test_unknown_names_list_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="strigari-2010-liver"):
        response_model("strigari")
    with pytest.raises(UnknownNameError, match="lkb"):
        response_probability("sigmoid", 1.0, d50_gy=1.0, slope=1.0)


def test_every_model_and_alpha_names_its_source_and_confidence() -> None:
    for entry in (*response_models().values(), *alphas().values()):
        assert entry.source, entry.name
        assert entry.confidence in MEANING, entry.name


def test_use_outside_the_fit_warns() -> None:
    found = predict(response_model("strigari-2010-liver"), 120.0, nuclide="Ho-166", agent="PLLA")
    codes = ["model-of-other-nuclide", "model-of-other-agent", "model-outside-range", "model-confidence"]
    assert [message.code for message in found.messages] == codes
    assert "Ho-166" in found.messages[0].text
    assert "6 to 78 Gy" in found.messages[2].text
    assert not predict(response_model("dewaraja-2020"), 300.0, nuclide="Y-90", agent="glass").messages


def test_every_tumour_model_knows_its_lesions_or_says_that_it_does_not() -> None:
    for model in response_models().values():
        bounded = model.smallest_lesion_ml is not None or model.largest_lesion_ml is not None
        assert bounded != ("size of the lesions" in model.absent) or model.kind == "ntcp", model.name
    # DOSISPHERE-01: a lesion of at least 7 cm; as a sphere 4/3 pi 3.5^3 = 180 mL
    garin = response_model("garin-205")
    for lesion_ml, codes in ((20.0, ["model-of-other-lesion-size"]), (400.0, []), (None, [])):
        assert [message.code for message in predict(garin, 210.0, lesion_ml=lesion_ml).messages] == codes
    assert "at least 180 mL; this one has 20 mL" in predict(garin, 210.0, lesion_ml=20.0).messages[0].text


def test_no_probability_without_a_curve() -> None:
    found = predict(response_model("dewaraja-2020"), 300.0)
    assert found.probability is None
    assert found.reading.startswith("above the published 50 % dose")


def test_unknown_slope_uncertainty_is_said() -> None:
    found = predict(response_model("strigari-2010-liver"), 40.0, dose_sd_gy=4.0)
    assert not found.interval_is_complete
    assert "slope is not known" in found.reading
    assert found.probability_low < found.probability < found.probability_high


def test_time_course_of_a_dose_in_worked_numbers() -> None:
    # 64.05 h: half of the dose by one half-life, three quarters by two; ln 2 / 64.05 h = 0.0108220 / h, 100 Gy begin
    # with 1.0822 Gy/h and give half of it one half-life later.
    assert Y90.delivered_fraction(64.05) == pytest.approx(0.5, rel=1e-9)
    assert Y90.delivered_fraction(128.1) == pytest.approx(0.75, rel=1e-9)
    assert Y90.gy_per_h(100.0, 0.0) == pytest.approx(1.08220, rel=1e-5)
    assert Y90.gy_per_h(100.0, 64.05) == pytest.approx(0.54110, rel=1e-5)
    # Repair with half-times of 2 h and 0.5 h: 0.346574 / h and 1.386294 / h.
    (one, fast), (two, slow) = Repair(0.5, 2.0, 0.25).components()
    assert (one, two) == (0.75, 0.25)
    assert (fast, slow) == pytest.approx((1.386294, 0.346574), rel=1e-5)


def test_uncertainty_of_a_bed_is_its_slope_times_that_of_the_dose() -> None:
    model = response_model("strigari-2010-liver-bed")
    effect = dose_effect(Exposure(45.0, 3.0, "Y-90", "resin", 64.05), LIVER)
    slope = (bed_gy(45.01, Y90, LIVER) - bed_gy(44.99, Y90, LIVER)) / 0.02  # the model's parameters are LIVER's
    assert effect.bed_sd_gy == pytest.approx(3 * slope, rel=1e-6)
    expected = predict(model, bed_gy(45.0, Y90, LIVER), dose_sd_gy=3 * slope, nuclide="Y-90", agent="resin")
    (found,) = (p for p in effect.models if p.model.name == model.name)
    assert found.model_dose_gy == pytest.approx(expected.model_dose_gy, rel=1e-9)
    assert expected.probability_low is not None
    assert (found.probability_low, found.probability_high) == pytest.approx(
        (expected.probability_low, expected.probability_high), rel=1e-6
    )


def test_what_a_user_states_of_a_tissue_takes_the_place_of_its_own() -> None:
    assert TissueOptions().parameters() == TUMOUR
    assert TissueOptions(tissue="liver").parameters() == LIVER
    given = TissueOptions(tissue="liver", alpha_beta_gy=3.0).parameters()
    assert (given.alpha_beta_gy, given.repair, given.source) == (3.0, LIVER.repair, "given by the user")
    slow = TissueOptions(repair_half_time_h=0.5, slow_repair_half_time_h=4.0, slow_repair_share=0.3).parameters()
    assert (slow.alpha_beta_gy, slow.repair) == (TUMOUR.alpha_beta_gy, Repair(0.5, 4.0, 0.3))


def test_a_model_of_large_lesions_names_the_small_one_and_tests_no_sum() -> None:
    """Two tumours of 120 mL are no lesion of 240 mL, and a dose alone is of no size."""
    grid = Grid.axial((24, 12, 12), spacing_mm=(5.0, 5.0, 5.0))
    masks = [np.zeros(grid.shape) for _ in range(2)]
    masks[0][1:11, 1:11, 1:11], masks[1][13:23, 1:11, 1:11] = 1, 1  # 125 mL each
    regions = [Region.from_coverage(f"Tumour {n}", grid, mask) for n, mask in enumerate(masks, 1)]
    dose = Volume(grid, np.full(grid.shape, 250.0), Kind.DOSE)
    found = map_effect(dose, regions, ExposureOptions(agent="glass"), DoseMapOptions())
    said = {
        item.structure: [m for m in item.prediction.messages if "lesion" in m.code]
        for item in found.models
        if item.prediction.model.name == "garin-205"
    }
    for name in ("Tumour 1", "Tumour 2"):
        assert [m.code for m in said[name]] == ["model-of-other-lesion-size"]
        assert f"'{name}' has 125 mL" in said[name][0].text
    (together,) = (texts for name, texts in said.items() if name not in ("Tumour 1", "Tumour 2"))
    assert [m.code for m in together] == ["model-lesion-size-unknown"]
    one = hepatica.radiobiology(300.0, exposure=ExposureOptions(agent="glass"), tissue=TissueOptions(tissue="tumour"))
    (alone,) = (p.messages for p in one.effect.models if p.model.name == "garin-205")
    assert "at least 180 mL and holds for no others" in next(m.text for m in alone if "lesion" in m.code)


def test_a_dose_below_zero_is_noise_and_its_square_no_effect() -> None:
    doses = np.array([-200.0, -1.0, 0.0, 50.0])
    found = bed_gy(doses, Y90, LIVER)
    np.testing.assert_allclose(found[:3], doses[:3])
    assert found[3] == pytest.approx(bed_gy(50.0, Y90, LIVER))
    assert bed_gy(-200.0, Y90, LIVER) == -200.0
    assert found[3] > 50
