"""Values of MR: what a multi-echo scan, a fit, a baseline and a relaxivity refuse or keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.core.transform import Transform
from hepatica.errors import GeometryError, HepaticaError, InputError, UnitError
from hepatica.imaging.mri.agreement import blurred, liver_voxels, ratio_pairs
from hepatica.imaging.mri.baseline import s0_before, stated_baseline, structure_baseline, voxel_baseline
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.field import field_loss, near_lung
from hepatica.imaging.mri.fitting.fit import fit_decay
from hepatica.imaging.mri.fitting.noise import noise_sd
from hepatica.imaging.mri.fitting.prior import S0Prior
from hepatica.imaging.mri.holmium import holmium_map, structure_holmium
from hepatica.imaging.mri.relaxivity import relaxivity_for
from hepatica.imaging.mri.usable_range import usable_range

GRID = Grid.axial((12, 10, 6), spacing_mm=(2, 3, 4), frame_of_reference="1.2.3")
TIMES = (0.002, 0.004, 0.006, 0.008)


def scan(rate: Any = 50.0, *, grid: Grid = GRID, times: Any = TIMES, noise: float = 0.01, **kinds: Any) -> MultiEcho:
    random = np.random.default_rng(2)
    at = np.asarray(times)[:, None, None, None]
    clean = np.exp(-np.asarray(rate) * at) * np.ones((len(times), *grid.shape))
    noisy = np.abs(clean + noise * (random.normal(size=clean.shape) + 1j * random.normal(size=clean.shape)))
    return MultiEcho.from_arrays(noisy, echo_times_s=times, field_t=1.5, grid=grid, **kinds)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ((0.002,), "at least two"),
        ((0.002, 0.002, 0.004), "same echo time"),
        ((0.0, 0.002), "positive"),
        ((2.0, 4.0), "another unit"),
        ((0.002, float("nan")), "positive"),
    ],
)
def test_echo_times_that_are_none(times: tuple[float, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        MultiEcho.from_arrays(np.ones((len(times), *GRID.shape)), echo_times_s=times, field_t=1.5, grid=GRID)


def test_arrays_that_do_not_fit() -> None:
    ones = np.ones((2, *GRID.shape))
    with pytest.raises(GeometryError):
        MultiEcho.from_arrays(ones, echo_times_s=(0.001, 0.002, 0.003), field_t=1.5, grid=GRID)
    with pytest.raises(GeometryError):
        MultiEcho.from_arrays(ones, echo_times_s=(0.001, 0.002), field_t=1.5, grid=GRID, phase=ones[:, 1:])
    with pytest.raises(UnitError, match="negative"):
        MultiEcho.from_arrays(-ones, echo_times_s=(0.001, 0.002), field_t=1.5, grid=GRID)
    with pytest.raises(UnitError, match="no numbers"):
        MultiEcho.from_arrays(ones * np.nan, echo_times_s=(0.001, 0.002), field_t=1.5, grid=GRID)
    with pytest.raises(InputError, match="field strength"):
        MultiEcho.from_arrays(ones, echo_times_s=(0.001, 0.002), field_t=1500.0, grid=GRID)


def test_echoes_are_put_in_order() -> None:
    values = np.stack([np.full(GRID.shape, v) for v in (3.0, 1.0, 2.0)])
    found = MultiEcho.from_arrays(values, echo_times_s=(0.001, 0.003, 0.002), field_t=1.5, grid=GRID)
    assert found.echo_times_s == (0.001, 0.002, 0.003)
    assert found.magnitude[:, 0, 0, 0].tolist() == [3.0, 2.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        found.magnitude[0] = 0


def test_noise_that_cannot_be_measured_is_asked_for() -> None:
    with pytest.raises(InputError, match="noise_level"):
        noise_sd(scan())


def test_dim_tissue_does_not_raise_the_noise() -> None:
    # Four parts of air, one of lung of three times the noise at the first echo, one of tissue.
    random = np.random.default_rng(5)
    grid = Grid.axial((40, 40, 8), spacing_mm=(2, 2, 4))
    place = np.arange(40)[:, None, None] * np.ones(grid.shape)
    s0, rate = np.select([place < 24, place < 30], [0.0, 0.03], 1.0), np.where(place < 30, 150.0, 40.0)
    clean = s0 * np.exp(-rate * np.asarray(TIMES)[:, None, None, None])
    noisy = np.abs(clean + 0.01 * (random.normal(size=clean.shape) + 1j * random.normal(size=clean.shape)))
    air_and_lung = MultiEcho.from_arrays(noisy, echo_times_s=TIMES, field_t=1.5, grid=grid)
    # A quarter as many voxels of lung as of air: a cut at the 99.9 % quantile found 1.09 times the noise, or none.
    assert noise_sd(air_and_lung) == pytest.approx(0.01, rel=0.05)


def test_a_fit_refuses_what_is_none() -> None:
    whole = np.ones(GRID.shape, dtype=bool)
    with pytest.raises(InputError, match="noise"):
        fit_decay(scan(), whole, noise=0.0)
    with pytest.raises(InputError, match="no voxel"):
        fit_decay(scan(), ~whole, noise=0.01)
    with pytest.raises(InputError, match="at least 4"):
        fit_decay(scan(), whole, noise=0.01, echoes=(0, 1, 2), model="fat")
    with pytest.raises(GeometryError):
        fit_decay(scan(), whole[1:], noise=0.01)


def test_a_fit_is_the_same_on_any_number_of_threads_and_leaves_the_rest() -> None:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:8, 1:7, 1:4] = True
    one = fit_decay(scan(), mask, noise=0.01, threads=1)
    three = fit_decay(scan(), mask, noise=0.01, threads=3)
    np.testing.assert_array_equal(one.r2star_per_s, three.r2star_per_s)
    assert np.isnan(one.r2star_per_s[~mask]).all()
    assert np.isfinite(one.r2star_per_s[mask]).all()


def test_two_echoes_give_a_value_and_no_misfit() -> None:
    found = fit_decay(scan(times=(0.002, 0.006)), np.ones(GRID.shape, dtype=bool), noise=0.01, threads=1)
    assert float(np.mean(found.r2star_per_s)) == pytest.approx(50, abs=1)
    assert np.isnan(found.misfit).all()


def test_field_needs_a_phase_of_one_turn() -> None:
    with pytest.raises(InputError, match="no phase"):
        field_loss(scan())
    milli = 1000 * np.random.default_rng(1).uniform(-3, 3, size=(4, *GRID.shape))
    with pytest.raises(InputError, match="one turn"):
        field_loss(scan(phase=milli))


def test_a_relaxivity_of_another_field_is_refused() -> None:
    with pytest.raises(InputError, match="measured at 3 T"):
        relaxivity_for("ho166-plla", 1.5, stated=Estimate(200.0, 5.0), stated_field_t=3.0)
    with pytest.raises(InputError, match="not stated"):
        relaxivity_for("ho166-plla", 1.5, stated=Estimate(95.0, 5.0))
    found, notes = relaxivity_for("ho166-plla", 1.494, stated=Estimate(95.0, 5.0), stated_field_t=1.5)
    assert found.ml_per_mg_s == Estimate(95.0, 5.0)
    assert not notes
    _, notes = relaxivity_for("ho166-plla", 1.5, stated=Estimate(500.0, 5.0), stated_field_t=1.5)
    assert [note.code for note in notes] == ["relaxivity-unlike-theory"]
    _, notes = relaxivity_for("ho166-plla", 3.0)
    assert [note.code for note in notes] == ["relaxivity-not-measured"]
    alone, notes = relaxivity_for("ho166-plla", 1.5, stated=Estimate(95.0), stated_field_t=1.5)
    assert alone.ml_per_mg_s == Estimate(95.0, 0.05 * 95)
    assert [note.code for note in notes] == ["relaxivity-without-sd"]
    with pytest.raises(HepaticaError, match="glass"):
        relaxivity_for("glass", 1.5)


def test_baseline_of_another_frame_is_refused_and_of_other_voxels_taken() -> None:
    mask = np.ones(GRID.shape, dtype=bool)
    early = fit_decay(scan(40.0), mask, noise=0.01, threads=1)
    elsewhere = GRID.with_frame_of_reference("9.9.9")
    with pytest.raises(GeometryError, match="frames of reference"):
        voxel_baseline(early, elsewhere, None)
    coarse = GRID.with_spacing((4, 4, 4))
    found = voxel_baseline(early, coarse, None)
    assert float(np.nanmean(found.r2star_per_s)) == pytest.approx(40, abs=0.5)
    moved = voxel_baseline(early, elsewhere, Transform.translation((1.0, 0.0, 0.0), fixed_frame="9.9.9"))
    assert "registration-uncertainty-unknown" in {note.code for note in moved.messages}
    far = Transform.translation((500.0, 0.0, 0.0), fixed_frame="9.9.9")
    with pytest.raises(GeometryError, match="nothing of it"):
        voxel_baseline(early, elsewhere, far)


def test_noise_beside_the_liver_is_not_mixed_into_the_baseline() -> None:
    # Half of the image is dark lung: half a voxel of shift must not bring its R2* of hundreds into the liver.
    place = np.arange(12)[:, None, None] * np.ones(GRID.shape)
    early = fit_decay(scan(np.where(place < 6, 40.0, 900.0)), np.ones(GRID.shape, dtype=bool), noise=0.01, threads=1)
    found = voxel_baseline(early, GRID, Transform.translation((1.0, 0.0, 0.0), uncertainty_mm=0.0))
    assert float(np.mean(found.r2star_per_s[5])) < 60


def test_uncertainty_of_a_registration_is_that_of_the_slope() -> None:
    place = np.arange(12)[:, None, None] * np.ones(GRID.shape)
    early = fit_decay(scan(40.0 + 10 * place), np.ones(GRID.shape, dtype=bool), noise=0.01, threads=1)
    unsure = voxel_baseline(early, GRID, Transform.translation((0.0, 0.0, 0.0), uncertainty_mm=2.0))
    # 10 1/s in a voxel of 2 mm: 5 1/s per mm, times 2 mm; smoothing near the border lowers it.
    assert float(np.median(unsure.shift_per_s[0][5:7, 3:7, 2:4])) == pytest.approx(10, rel=0.1)
    assert np.abs(unsure.shift_per_s[1][5:7, 3:7, 2:4]).max() < 2
    # The whole scan is off together: the mean of a slope is off by all of it, that of a valley by nothing.
    whole = np.ones(GRID.shape, dtype=bool)
    amount = holmium_map(early, unsure, relaxivity_for("ho166-plla", 1.5)[0])
    slope = Region.from_coverage("slope", GRID, (abs(place - 5.5) < 2).astype(np.float32))
    held = structure_holmium(slope, amount, early, unsure, ~whole)
    # 10 1/s over 96 mL/(mg s); smoothing lowers it towards the borders.
    assert held.concentration_sd_mg_ml == pytest.approx(10 / 96, rel=0.1)
    valley = fit_decay(scan(40.0 + 10 * abs(place - 5.5)), whole, noise=0.01, threads=1)
    base = voxel_baseline(valley, GRID, Transform.translation((0.0, 0.0, 0.0), uncertainty_mm=2.0))
    held = structure_holmium(
        slope, holmium_map(valley, base, relaxivity_for("ho166-plla", 1.5)[0]), valley, base, ~whole
    )
    assert held.concentration_sd_mg_ml < 0.01


def dark_tumour(contrast: float, prior: str) -> tuple[float, float, int]:
    """Mean R2* of a dark block of another S0 in bright tissue, its common uncertainty, and how many are borrowed."""
    place = np.arange(12)[:, None, None] * np.ones(GRID.shape)
    tumour = place < 5
    early = scan_of(np.where(tumour, contrast, 1.0), np.where(tumour, 20.0, 40.0), 2)
    late = scan_of(np.where(tumour, contrast, 1.0), np.where(tumour, 1200.0, 60.0), 3)
    whole = np.ones(GRID.shape, dtype=bool)
    given = S0Prior(1 + tumour.astype(int))
    if prior == "before":
        given = S0Prior(given.tissue, *s0_before(fit_decay(early, whole, noise=0.01, threads=1), GRID, None))
    found = fit_decay(late, whole, noise=0.01, threads=1, prior=None if prior == "none" else given)
    inside = tumour & found.is_measured
    common = float(np.median(found.r2star_common_sd_per_s[inside]))
    return float(np.mean(found.r2star_per_s[inside])), common, int(found.borrowed[inside].sum())


def scan_of(s0: Any, rate: Any, seed: int) -> MultiEcho:
    random = np.random.default_rng(seed)
    clean = s0 * np.exp(-np.asarray(rate) * np.asarray(TIMES)[:, None, None, None])
    noisy = np.abs(clean + 0.01 * (random.normal(size=clean.shape) + 1j * random.normal(size=clean.shape)))
    return MultiEcho.from_arrays(noisy, echo_times_s=TIMES, field_t=1.5, grid=GRID)


@pytest.mark.parametrize("contrast", [0.7, 1.3])
def test_a_dark_tumour_takes_its_s0_from_the_scan_before(contrast: float) -> None:
    # First echo 2 ms: a log S0 that is off by log(0.7) or log(1.3) is off by 178 or 131 1/s.
    right, common, borrowed = dark_tumour(contrast, "before")
    # One echo of signal 7 to 12 times the noise and the prior's 3 % in 300 voxels: the mean to some 25 1/s.
    assert right == pytest.approx(1200, abs=30)
    assert not borrowed
    # 3 % of S0 over 2 ms is 15 1/s, less where the second echo says something too.
    assert 5 < common < 16
    assert abs(dark_tumour(contrast, "none")[0] - 1200) > 90
    # Without a scan before the spread between tissues is said, and holds the truth.
    other, spread, borrowed = dark_tumour(contrast, "structures")
    assert abs(other - 1200) < 2 * spread
    assert borrowed > 250


def test_baseline_by_structure_takes_the_innermost() -> None:
    place = np.arange(12)[:, None, None] * np.ones(GRID.shape)
    rate = np.where(place < 4, 20.0, 40.0)
    early = fit_decay(scan(rate), np.ones(GRID.shape, dtype=bool), noise=0.01, threads=1)
    whole = Region.from_coverage("liver", GRID, np.ones(GRID.shape, dtype=np.float32))
    tumour = Region.from_coverage("tumour", GRID, (place < 4).astype(np.float32))
    found = structure_baseline(voxel_baseline(early, GRID, None), [whole, tumour])
    assert float(found.r2star_per_s[1, 1, 1]) == pytest.approx(20, abs=0.5)
    assert float(found.r2star_per_s[8, 1, 1]) == pytest.approx(40, abs=0.5)
    assert 0 < float(found.common_sd_per_s[1, 1, 1]) < 0.5
    with pytest.raises(InputError, match="structures"):
        structure_baseline(voxel_baseline(early, GRID, None), [])


def test_a_stated_baseline_is_common_to_all() -> None:
    found = stated_baseline(GRID, 40.0, 10.0)
    assert float(found.common_sd_per_s.min()) == 10.0
    assert float(found.sd_per_s.max()) == 0.0
    assert [note.code for note in found.messages] == ["baseline-single"]


def test_near_the_lung_is_within_a_centimetre() -> None:
    covered = np.zeros(GRID.shape, dtype=np.float32)
    covered[0] = 1
    near = near_lung([Region.from_coverage("lung", GRID, covered)], GRID.shape)
    assert near[5, 0, 0]
    assert not near[6, 0, 0]
    assert not near_lung([], GRID.shape).any()


def test_a_range_needs_a_signal() -> None:
    with pytest.raises(InputError, match="above 3"):
        usable_range(TIMES, 2.0, 96.0, 1.5)
    assert usable_range(TIMES[:2], 50.0, 96.0, 1.5).own_mg_ml is None


def test_ratios_and_voxels_of_two_images() -> None:
    place = np.arange(12)[:, None, None] * np.ones(GRID.shape)
    tumour = Region.from_coverage("tumour", GRID, (place < 4).astype(np.float32))
    normal = Region.from_coverage("normal", GRID, (place >= 4).astype(np.float32))
    values = np.where(place < 4, 40.0, 10.0)
    one = Volume(GRID, values, Kind.ACTIVITY_CONCENTRATION)
    other = Volume(GRID, 2 * values, Kind.ACTIVITY_CONCENTRATION)
    (pair,) = ratio_pairs(one, other, [tumour], normal, 6.0)
    assert pair.spect_tumour_to_normal == pytest.approx(4.0)
    assert pair.difference_over_sd == pytest.approx(0.0, abs=1e-6)
    (wrong,) = ratio_pairs(one, Volume(GRID, values[::-1], Kind.ACTIVITY_CONCENTRATION), [tumour], normal, 6.0)
    assert wrong.mri_tumour_to_normal < 1
    a, b, parts = liver_voxels(one, other, tumour | normal, [tumour], 6.0)
    assert a.size == b.size == len(parts) == 4 * 5 * 3
    assert set(parts) == {"tumour", "the rest"}
    assert blurred(one, 0.0) is one
    assert blurred(one, 8.0).total == pytest.approx(one.total, rel=1e-5)
    with pytest.raises(InputError, match="normal liver holds nothing"):
        ratio_pairs(one, Volume(GRID, -values, Kind.ACTIVITY_CONCENTRATION), [tumour], normal, 6.0)
    with pytest.raises(InputError, match="covers no voxel"):
        ratio_pairs(one, other, [Region.from_coverage("air", GRID, np.zeros(GRID.shape))], normal, 6.0)
