"""The MR verbs: what they refuse, what they say, and that their activity is one for absorbed dose."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import hepatica
from hepatica.core import Grid, Kind, Region
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.io.dicom.rtdose import read_rtdose
from hepatica.io.itk import read_itk
from hepatica.workflow.mri.scans import require_alike

GRID = Grid.axial((16, 14, 10), spacing_mm=(4, 4, 5), frame_of_reference="1.2.3")
WHEN = datetime(2026, 3, 3, 9)
TIMES = (0.0012, 0.0024, 0.0036, 0.0048, 0.006)
R2 = 96.0005


def ball(name: str, middle: tuple[float, float, float], radius_mm: float) -> Region:
    index = np.indices(GRID.shape).transpose(1, 2, 3, 0)
    away = np.linalg.norm((index - middle) * GRID.spacing_mm, axis=-1)
    return Region.from_coverage(name, GRID, (away < radius_mm).astype(np.float32))


LIVER = ball("liver", (8, 7, 5), 20)
TUMOUR = ball("tumour 1", (8, 7, 5), 8)
LUNG = ball("lung right", (8, 7, 9), 3)
CONCENTRATION = 0.3 * LIVER.full() + 0.9 * TUMOUR.full()


def scan(mg_ml: Any = 0.0, *, grid: Grid = GRID, seed: int = 1, noise: float = 0.004, **kinds: Any) -> MultiEcho:
    random = np.random.default_rng(seed)
    tissue = ball("body", (8, 7, 5), 27).full()
    rate = 40.0 + R2 * np.asarray(mg_ml)
    clean = tissue * np.exp(-rate * np.asarray(TIMES)[:, None, None, None])
    noisy = np.abs(clean + noise * (random.normal(size=clean.shape) + 1j * random.normal(size=clean.shape)))
    given = {"echo_times_s": TIMES, "field_t": 1.5, "grid": grid, "time": WHEN} | kinds
    return MultiEcho.from_arrays(noisy, **given)


HOLMIUM = hepatica.HolmiumOptions(specific_activity_mbq_mg=10.0, calibrated_at=datetime(2026, 3, 2, 9))
REGIONS = (LIVER, TUMOUR, LUNG)
ANY: Any = hepatica


def found(**kinds: Any) -> Any:
    given: dict[str, Any] = {"before": scan(seed=2), "structures": REGIONS, "holmium": HOLMIUM}
    return hepatica.holmium_mri(scan(CONCENTRATION), **given | kinds)


@pytest.fixture(scope="module")
def result() -> Any:
    return found()


def test_masses_ratios_and_activity(result: Any) -> None:
    truth = float((CONCENTRATION * LIVER.full()).sum()) * GRID.voxel_volume_ml
    assert result["liver"].mass_mg == pytest.approx(truth, rel=0.01)
    assert result["liver"].mass_sd_mg > 0.05 * truth  # the relaxivity's 5 % at least
    (ratio,) = result.ratios
    assert ratio.tumour_to_normal == pytest.approx(4.0, rel=0.02)
    left = 2.0 ** (-24 / 26.8)
    assert result.specific_activity_mbq_mg == pytest.approx(10 * left, rel=0.002)
    assert result["liver"].activity_mbq == pytest.approx(10 * left * truth, rel=0.012)
    assert LIVER.total(result.activity.volume) / 1e6 == pytest.approx(result["liver"].activity_mbq, rel=1e-4)
    assert "lung right" not in {one.name for one in result.structures}
    assert "decay-misfit" not in {message.code for message in result.messages}
    assert result.usable.own_mg_ml < result.usable.neighbours_mg_ml
    with pytest.raises(hepatica.InputError, match="no structure"):
        result["spleen"]


def test_its_activity_is_one_for_absorbed_dose(result: Any, tmp_path: Path) -> None:
    ct = hepatica.Image.from_array(np.full(GRID.shape, 50.0), unit="HU", grid=GRID)
    options = hepatica.DoseOptions(
        settings=hepatica.DoseSettings(negatives="keep"),
        quantification=hepatica.QuantificationOptions(administered_at=datetime(2026, 3, 2, 9)),
    )
    by_value = hepatica.absorbed_dose(
        result.activity, ct=ct, nuclide="Ho-166", structures=REGIONS, engine="local", options=options
    )
    # 15.53 J per GBq of 166Ho that decays in place, less what photons take away (local deposits electrons): 166Ho given
    # 24 h before: mass x 10 MBq/mg at that time over the mass of the liver, 1.05 to 1.06 g/mL.
    activity = 10e6 * result["liver"].mass_mg
    expected = 15.53e-9 * activity / (1.055e-3 * LIVER.volume_ml)
    assert by_value["liver"].dose_mean_gy == pytest.approx(expected, rel=0.02)
    result.save(tmp_path / "saved")
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {"activity.nii.gz", "concentration.nii.gz", "r2star.nii.gz", "flags.nii.gz", "holmium.png"} <= files
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(WHEN,))
    by_file = hepatica.absorbed_dose(
        tmp_path / "saved" / "activity.nii.gz", ct=ct, nuclide="Ho-166", structures=REGIONS, engine="local",
        options=replace(options, images=images),
    )  # fmt: skip
    assert by_file["liver"].dose_mean_gy == pytest.approx(by_value["liver"].dose_mean_gy, rel=1e-4)
    both = hepatica.spect_mri_agreement(tmp_path / "saved", spect=result.activity, structures=REGIONS)
    assert both.pearson == pytest.approx(1.0, abs=1e-6)


def test_an_instant_with_a_zone_is_that_of_the_scanners_clock() -> None:
    zoned = replace(HOLMIUM, calibrated_at=datetime.fromisoformat("2026-03-02T09:00+01:00"))
    one = found(holmium=zoned)
    assert one.specific_activity_mbq_mg == pytest.approx(10 * 2.0 ** (-24 / 26.82), rel=0.002)
    assert "specific-activity-zone" in {message.code for message in one.messages}


def test_times_that_cannot_be_compared_are_refused_before_the_fit() -> None:
    said: list[str] = []
    zoned = scan(CONCENTRATION, time=datetime.fromisoformat("2026-03-03T09:00+01:00"))
    with pytest.raises(hepatica.TimeError, match="one has a time zone"):
        hepatica.holmium_mri(zoned, before=scan(seed=2), structures=REGIONS, holmium=HOLMIUM, progress=said.append)
    assert said == ["reading"]


def test_an_echo_that_one_scan_lacks_is_critical() -> None:
    whole = scan(seed=2)
    short = MultiEcho.from_arrays(
        np.asarray(whole.magnitude)[1:], echo_times_s=TIMES[1:], field_t=1.5, grid=GRID, time=WHEN
    )
    (said,) = require_alike(short, whole)[1]
    assert (said.code, said.severity) == ("echo-missing", "critical")
    assert "lacks 1.2 ms" in said.text
    other = MultiEcho.from_arrays(
        np.asarray(whole.magnitude), echo_times_s=tuple(t + 2e-4 for t in TIMES), field_t=1.5, grid=GRID, time=WHEN
    )
    assert [m.code for m in require_alike(other, whole)[1]] == ["echo-times-differ"]
    assert require_alike(whole, whole)[1] == ()


def test_a_voxel_at_the_border_is_counted_once_everywhere(tmp_path: Path) -> None:
    # Half of every voxel at the border is liver: weighted twice, the liver would lose a quarter of what lies there.
    whole = LIVER.full()
    border = whole * (ndimage.minimum_filter(whole, 3) == 0)
    soft = Region.from_coverage("liver", GRID, (whole - 0.5 * border).astype(np.float32))
    one = found(structures=[soft])
    own = one["liver"].activity_mbq
    assert soft.total(one.activity.volume) / 1e6 == pytest.approx(own, rel=1e-4)
    one.save(tmp_path / "saved")
    ct = hepatica.Image.from_array(np.full(GRID.shape, 50.0), unit="HU", grid=GRID)
    options = hepatica.DoseOptions(
        settings=hepatica.DoseSettings(negatives="keep"),
        images=hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(WHEN,)),
        quantification=hepatica.QuantificationOptions(administered_at=WHEN, administered_bq=own * 1e6),
    )
    dose = hepatica.absorbed_dose(
        tmp_path / "saved" / "activity.nii.gz", ct=ct, nuclide="Ho-166", structures=[soft], engine="local",
        options=options,
    )  # fmt: skip
    assert dose.activity_in_image_mbq == pytest.approx(own, rel=1e-3)
    # 15.53 J per GBq in 1.055 g/mL, as above.
    expected = 15.53e-3 * own / (1.055e-3 * soft.volume_ml)
    assert dose["liver"].dose_mean_gy == pytest.approx(expected, rel=0.02)
    both = hepatica.spect_mri_agreement(tmp_path / "saved", spect=one.activity, structures=[soft])
    assert both.mri_mbq == pytest.approx(own, rel=1e-4)


def test_a_dose_with_negative_voxels_is_written_and_says_so(result: Any, tmp_path: Path) -> None:
    values = np.asarray(result.activity.volume.values).copy()
    noise = np.where(np.indices(GRID.shape).sum(axis=0) % 2, 1.5, -1.5) * LIVER.mean(result.activity.volume)
    values[LIVER.full() > 0] += noise[LIVER.full() > 0]
    activity = replace(result.activity, volume=result.activity.volume.with_values(values))
    assert (values < 0).any()
    ct = hepatica.Image.from_array(np.full(GRID.shape, 50.0), unit="HU", grid=GRID)
    options = hepatica.DoseOptions(
        settings=hepatica.DoseSettings(negatives="keep"),
        quantification=hepatica.QuantificationOptions(administered_at=datetime(2026, 3, 2, 9)),
    )
    one = hepatica.absorbed_dose(
        activity, ct=ct, nuclide="Ho-166", structures=REGIONS, engine="local", options=options
    )  # fmt: skip
    assert float(one.dose.values.min()) < 0
    (said,) = (message for message in one.messages if message.code == "dose-below-zero")
    assert f"{int((one.dose.values < 0).sum())} voxels" in said.text
    one.save(tmp_path / "dose")
    written = read_rtdose(tmp_path / "dose" / "dose.dcm").volume
    assert float(written.values.min()) == 0
    kept, _ = read_itk(tmp_path / "dose" / "dose.nii.gz", Kind.DOSE)
    assert float(kept.values.min()) == pytest.approx(float(one.dose.values.min()), rel=1e-5)
    # The mean is that of the signed image.
    assert one["liver"].dose_mean_gy == pytest.approx(LIVER.mean(one.dose), rel=0.01)
    assert LIVER.mean(written) > LIVER.mean(one.dose)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no baseline": ({"before": None}, "baseline_r2star"),
    "another field before": ({"before": scan(field_t=3.0)}, "scanned at 3 T"),
    "another frame before": ({"before": scan(grid=GRID.with_frame_of_reference("9.9"))}, "frames of reference"),
    "a transform and no scan": (
        {
            "before": None,
            "registration": hepatica.TransformOptions(transform=hepatica.Transform.translation((0, 0, 1))),
            "r2star": hepatica.R2StarOptions(baseline_r2star=40.0, baseline_r2star_sd=5.0),
        },
        "give `before`",
    ),
    "no liver": ({"structures": (LUNG,)}, "no liver"),
    "in phase of none": ({"r2star": hepatica.R2StarOptions(fat="in-phase")}, "in phase"),
    "phase of none": ({"r2star": hepatica.R2StarOptions(inhomogeneity="phase")}, "no phase"),
    "relaxivity of 3 T": (
        {"holmium": hepatica.HolmiumOptions(relaxivity=190.0, relaxivity_field=3.0)},
        "measured at 3 T",
    ),
    "another agent": ({"clinical": hepatica.StructureOptions(agent="glass")}, "carries Y-90"),
    "series of values": ({"reading": hepatica.MrReadingOptions(after_series=("1.2",))}, "after_series"),
    "another instant": ({"reading": hepatica.MrReadingOptions(scanned_at=datetime(2026, 1, 1))}, "was scanned at"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said(case: str) -> None:
    options, words = REFUSED[case]
    with pytest.raises(hepatica.HepaticaError, match=words):
        found(**options)


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(hepatica.InputError, match="calibrated_at"):
        hepatica.HolmiumOptions(specific_activity_mbq_mg=10.0)
    with pytest.raises(hepatica.InputError, match="relaxivity"):
        hepatica.HolmiumOptions(relaxivity_field=1.5)
    with pytest.raises(hepatica.InputError, match="belong together"):
        hepatica.R2StarOptions(baseline_r2star=40.0)
    with pytest.raises(hepatica.InputError, match="cannot both"):
        hepatica.R2StarOptions(fat="fit", inhomogeneity="fit")
    with pytest.raises(hepatica.InputError, match="contradicts"):
        hepatica.R2StarOptions(baseline="voxel", baseline_r2star=40.0, baseline_r2star_sd=1.0)


def test_a_number_for_the_baseline_brings_its_uncertainty() -> None:
    stated = hepatica.R2StarOptions(baseline_r2star=40.0, baseline_r2star_sd=10.0)
    one = found(before=None, r2star=stated)
    # 10 1/s of 96 mL/(mg s) are 0.104 mg/mL in all voxels; 5 % of the relaxivity and the outline come on top.
    assert 0.104 < one["liver"].concentration_sd_mg_ml < 0.115
    assert {"baseline-single", "field-not-corrected"} <= {message.code for message in one.messages}


def test_mass_is_held_against_the_vial() -> None:
    truth = float((CONCENTRATION * LIVER.full()).sum()) * GRID.voxel_volume_ml
    right = found(holmium=hepatica.HolmiumOptions(administered_mg=truth, administered_mg_sd=0.01 * truth))
    assert right.vial.found_share == pytest.approx(1.0, abs=0.02)
    assert "mass-unlike-vial" not in {message.code for message in right.messages}
    wrong = found(holmium=hepatica.HolmiumOptions(administered_mg=2 * truth))
    assert "mass-unlike-vial" in {message.code for message in wrong.messages}
    with pytest.raises(hepatica.InputError, match="no activity"):
        _ = wrong.activity


def test_a_decay_that_is_none_is_said() -> None:
    wrong = hepatica.MrReadingOptions(noise_level=0.001)
    assert "decay-misfit" in {message.code for message in found(reading=wrong).messages}


def test_a_dark_voxel_makes_a_lower_limit() -> None:
    dark = CONCENTRATION.copy()
    dark[8, 7, 5] = 300.0
    one = hepatica.holmium_mri(scan(dark), before=scan(seed=2), structures=REGIONS, holmium=HOLMIUM)
    assert one["tumour 1"].limit_ml == pytest.approx(GRID.voxel_volume_ml)
    assert "lower-limit" in {message.code for message in one.messages}
    assert one.holmium.concentration_mg_ml[8, 7, 5] < 300
    assert one.flags[8, 7, 5] % 10 == 3


def test_without_structures_all_tissue_is_summed() -> None:
    one = found(structures=None)
    assert [s.name for s in one.structures] == ["image"]
    assert "no-structures" in {message.code for message in one.messages}


def test_another_distribution_by_spect_does_not_agree(result: Any) -> None:
    values = np.maximum(result.activity.volume.values, 0)[::-1]
    far = hepatica.Image.from_array(values + 1, unit="counts", grid=GRID, nuclide="Ho-166")
    both = hepatica.spect_mri_agreement(result.activity, spect=far, structures=REGIONS)
    assert both.spect_relative
    assert both.pearson < 0.95
    assert both.repeated is None
    elsewhere = replace(far, volume=far.volume.in_frame("9.9"))
    with pytest.raises(hepatica.GeometryError, match="frames of reference"):
        hepatica.spect_mri_agreement(result.activity, spect=elsewhere, structures=REGIONS)


def test_simulation_needs_a_liver() -> None:
    ct = hepatica.Image.from_array(np.full(GRID.shape, 50.0), unit="HU", grid=GRID)
    given = hepatica.Image.from_array(np.ones(GRID.shape), unit="Bq/mL", grid=GRID, time=WHEN, nuclide="Ho-166")
    with pytest.raises(hepatica.InputError, match="no liver"):
        hepatica.simulate_mri(given, ct=ct, structures=[LUNG])
    other = replace(given, acquisition=replace(given.acquisition, nuclide="Y-90"))
    with pytest.raises(hepatica.InputError, match="shows Y-90"):
        hepatica.simulate_mri(other, ct=ct, structures=[LIVER])
    small = hepatica.MrSimulationOptions(echoes=3, mr_spacing_mm=(4, 4, 5), administered_mg=100.0)
    made = hepatica.simulate_mri(given, ct=ct, structures=[LIVER], options=small)
    again = hepatica.simulate_mri(given, ct=ct, structures=[LIVER], options=small)
    np.testing.assert_array_equal(made.after.magnitude, again.after.magnitude)
    assert made.before.time is not None
    assert made.before.time < made.after.time
    whole = float(made.concentration.values.sum()) * GRID.voxel_volume_ml
    assert whole == pytest.approx(100.0, rel=1e-5)
    assert made.specific_activity_mbq_mg == pytest.approx(GRID.size * GRID.voxel_volume_ml / 1e6 / 100)


def codes(one: Any, severity: str = "") -> set[str]:
    return {message.code for message in one.messages if message.severity == severity or not severity}


def test_swapped_or_equal_scans_are_said_or_refused() -> None:
    late = scan(seed=2, time=datetime(2026, 3, 4))
    later = scan(CONCENTRATION, time=datetime(2026, 3, 1))
    swapped = hepatica.holmium_mri(late, before=later, structures=REGIONS, holmium=HOLMIUM)
    # The liver is far below zero, so its T/N is none.
    assert "negative-holmium" in codes(swapped, "critical")
    assert "no-tumour-to-normal" in codes(swapped)
    assert not swapped.ratios
    assert "scans-swapped" not in codes(swapped)
    assert "scans-swapped" in codes(hepatica.holmium_mri(later, before=late, structures=REGIONS), "critical")
    with pytest.raises(hepatica.InputError, match="same images"):
        hepatica.holmium_mri(late, before=late, structures=REGIONS)


def test_signal_that_grows_is_refused_and_clipped_or_scaled_echoes_are_said() -> None:
    good = scan(CONCENTRATION)
    with pytest.raises(hepatica.InputError, match="grows from echo to echo"):
        found(before=replace(scan(seed=2), magnitude=scan(seed=2).magnitude[::-1]))
    clipped = replace(good, magnitude=np.minimum(good.magnitude, 0.85))
    one = hepatica.holmium_mri(clipped, before=scan(seed=2), structures=REGIONS)
    assert "magnitude-clipped" in codes(one, "critical")
    highest = good.magnitude.max(axis=(1, 2, 3), keepdims=True)
    apart = replace(good, magnitude=good.magnitude * (1 + 0.02 * (highest[0] / highest - 1)))
    level = hepatica.MrReadingOptions(noise_level=0.004)
    assert "echoes-scaled-apart" not in codes(
        hepatica.holmium_mri(apart, before=scan(seed=2), structures=REGIONS, reading=level)
    )
    from hepatica.imaging.mri.checks import about_values

    (note,) = about_values(replace(good, magnitude=good.magnitude / highest), LIVER.mask())
    assert (note.code, note.severity) == ("echoes-scaled-apart", "critical")


def test_the_field_is_corrected_in_both_scans_or_in_none() -> None:
    still = np.zeros((len(TIMES), *GRID.shape))
    one = hepatica.holmium_mri(scan(CONCENTRATION, phase=still), before=scan(seed=2), structures=REGIONS)
    assert one.inhomogeneity == "none"
    assert "phase-of-one-scan" in codes(one)


def test_files_without_a_frame_of_reference_are_refused() -> None:
    nowhere = scan(seed=2, grid=GRID.with_frame_of_reference(None))
    filed = replace(nowhere, source=replace(nowhere.source, files=3))
    with pytest.raises(hepatica.GeometryError, match="state no frame of reference"):
        found(before=filed)
    stated = hepatica.MrReadingOptions(registered=True)
    assert found(before=filed, reading=stated)["liver"].mass_mg > 0


def test_a_specific_activity_of_long_ago_is_said() -> None:
    old = replace(HOLMIUM, calibrated_at=datetime(2025, 12, 1))
    assert "specific-activity-decayed" in codes(found(holmium=old), "critical")


def test_tumours_outside_the_livers_label_are_in_the_sum() -> None:
    rest = Region.from_coverage("liver", GRID, LIVER.full() * (1 - TUMOUR.full()))
    truth = float((CONCENTRATION * LIVER.full()).sum()) * GRID.voxel_volume_ml
    one = found(structures=(rest, TUMOUR, LUNG), holmium=hepatica.HolmiumOptions(administered_mg=truth))
    assert one.vial.found_share == pytest.approx(1.0, abs=0.02)
    assert one["liver with tumours"].volume_ml == pytest.approx(LIVER.volume_ml)
    assert sum(route.volume_ml for route in one.routes) == pytest.approx(LIVER.volume_ml, rel=0.02)
    assert "mass-unlike-vial" not in codes(one)


def test_a_dark_tumour_is_a_lower_limit_everywhere() -> None:
    dark = np.where(TUMOUR.full() > 0, 300.0, CONCENTRATION)
    rest = Region.from_coverage("liver", GRID, LIVER.full() * (1 - TUMOUR.full()))
    one = hepatica.holmium_mri(scan(dark), before=scan(seed=2), structures=(rest, TUMOUR), holmium=HOLMIUM)
    (said,) = (message.text for message in one.messages if message.code == "lower-limit")
    assert "tumour 1" in said
    assert one.ratios[0].is_lower_limit
    shown = {row[0]: row for row in one.table().rows}
    assert str(shown["tumour 1"][4]).startswith(">= ")
    assert not str(shown["liver"][4]).startswith(">= ")
    assert "lower-limit" in {message.code for message in one.activity.messages}


@pytest.fixture(scope="module")
def half() -> Any:
    """A scan before that covers the lower half of the liver alone."""
    whole = scan(seed=2)
    window = (slice(0, 16), slice(0, 14), slice(0, 5))
    part = MultiEcho.from_arrays(
        whole.magnitude[:, :, :, :5], echo_times_s=TIMES, field_t=1.5, grid=GRID.crop(window), time=WHEN
    )
    return found(before=part)


def test_what_was_not_measured_is_no_zero(half: Any, tmp_path: Path) -> None:
    share = half["liver"].not_measured_ml / LIVER.volume_ml
    assert 0.4 < share < 0.7
    assert half.unmeasured_share == pytest.approx(share, rel=1e-3)
    assert "liver-not-measured" in codes(half, "critical")
    assert half.flags[8, 7, 7] >= 80
    assert half.flags[8, 7, 3] < 80
    with pytest.raises(hepatica.InputError, match="were not measured"):
        _ = half.activity
    half.save(tmp_path / "saved")
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert "activity-of-part.nii.gz" in files
    assert "activity.nii.gz" not in files


def test_agreement_leaves_out_what_was_not_measured(half: Any, result: Any, tmp_path: Path) -> None:
    half.save(tmp_path / "saved")
    by_result = hepatica.spect_mri_agreement(half, spect=result.activity, structures=REGIONS)
    by_file = hepatica.spect_mri_agreement(tmp_path / "saved", spect=result.activity, structures=REGIONS)
    whole = hepatica.spect_mri_agreement(result, spect=result.activity, structures=REGIONS)
    for both in (by_result, by_file):
        assert 0.3 * whole.voxels_compared < both.voxels_compared < 0.7 * whole.voxels_compared
        assert both.mri_mbq == pytest.approx(half["liver"].activity_mbq, rel=0.05)
        # Both are of the same scan after; the baselines of one seed are the same.
        assert both.pearson > 0.999
        assert both.mri_mbq == pytest.approx(both.spect_mbq, rel=0.01)
        assert {"agreement-part-of-liver", "liver-not-measured"} <= codes(both)


def test_a_mean_below_zero_has_no_difference_in_per_cent() -> None:
    from hepatica.core import Kind, Volume
    from hepatica.imaging.mri.agreement import structure_pairs

    a, b = (Volume(GRID, np.full(GRID.shape, v), Kind.ACTIVITY_CONCENTRATION) for v in (-3.0, 1.0))
    assert structure_pairs(a, b, [LIVER])[0].difference_percent is None
    assert structure_pairs(b, b, [LIVER])[0].difference_percent == 0


def test_a_baseline_by_structure_fills_what_the_scan_before_does_not_cover(half: Any) -> None:
    part = MultiEcho.from_arrays(
        scan(seed=2).magnitude[:, :, :, :5], echo_times_s=TIMES, field_t=1.5,
        grid=GRID.crop((slice(0, 16), slice(0, 14), slice(0, 5))),
    )  # fmt: skip
    one = found(before=part, r2star=hepatica.R2StarOptions(baseline="structure"))
    truth = float((CONCENTRATION * LIVER.full()).sum()) * GRID.voxel_volume_ml
    assert one["liver"].not_measured_ml == 0
    assert one["liver"].mass_mg == pytest.approx(truth, rel=0.02)
    assert half["liver"].mass_mg < 0.8 * truth


def test_dark_voxels_without_a_scan_before_rest_on_other_tissue_and_say_so() -> None:
    dark = np.where(TUMOUR.full() > 0, 30.0, CONCENTRATION)
    stated = hepatica.R2StarOptions(baseline_r2star=40.0, baseline_r2star_sd=1.0)
    one = hepatica.holmium_mri(scan(dark), structures=REGIONS, r2star=stated)
    assert "s0-of-other-tissue" in codes(one)
    assert one.flags[8, 7, 5] // 40 % 2 == 1
    # The 30 % of S0 at 1.2 ms are 250 1/s, 2.6 mg/mL of every voxel of the tumour, common to all.
    assert one["tumour 1"].concentration_sd_mg_ml > 1.5
    both = hepatica.holmium_mri(scan(dark), before=scan(seed=2), structures=REGIONS)
    assert "s0-of-other-tissue" not in codes(both)
    assert both["tumour 1"].concentration_mg_ml == pytest.approx(30.0, rel=0.05)
