"""Sums over batches and checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepatica.errors import InputError, OutputError
from hepatica.transport.runner.batches import BatchSums, load_checkpoint, save_checkpoint


def _filled(sizes: list[int], seed: int = 3) -> BatchSums:
    rng = np.random.default_rng(seed)
    sums = BatchSums.empty((4, 3, 2))
    for n in sizes:
        sums.add(rng.poisson(5.0 * n, size=24).astype(float), np.array([5.0 * n, 0, 0, 0, 0]), n)
    return sums


def test_uncertainty_of_unequal_batches_is_that_of_the_mean() -> None:
    # Poisson with mean 5 per history: variance of the mean over N histories is 5 / N
    sums = _filled([100] * 30 + [1000] * 30)
    mean, sd = sums.scaled_mean_and_sd(np.ones(sums.total.shape, np.float32))
    assert mean.mean() == pytest.approx(5, rel=2e-3)
    # 24 voxels with 59 degrees of freedom: the mean variance is known to sqrt(2 / (24 * 59)) = 4 %
    assert np.mean(sd**2) == pytest.approx(5 / sums.histories, rel=0.15)


def test_the_stated_uncertainty_is_its_formula() -> None:
    # Energies over histories are whole numbers, so that the sums of squares are exact in single precision. With t the
    # energy and n the histories of a batch, T and N their sums over B batches, the variance of the mean per history is
    # (sum t^2/n - T^2/N) / ((B - 1) N).
    rng = np.random.default_rng(8)
    sizes = np.array([10, 10, 20, 40, 10, 30, 10, 20])
    per_history = rng.integers(0, 40, size=(8, 6)).astype(float)
    sums = BatchSums.empty((6,))
    for size, values in zip(sizes, per_history, strict=True):
        sums.add(values * size, np.zeros(5), int(size))
    unit = np.linspace(0.5, 3.0, 6, dtype=np.float32)
    mean, sd = sums.scaled_mean_and_sd(unit)
    expected = np.average(per_history, axis=0, weights=sizes)
    between = (sizes[:, None] * (per_history - expected) ** 2).sum(axis=0)
    np.testing.assert_allclose(mean, unit * expected, rtol=1e-6)
    np.testing.assert_allclose(sd, unit * np.sqrt(between / (7 * sizes.sum())), rtol=1e-6)


def test_with_equal_batches_it_is_the_standard_error_of_their_means() -> None:
    sums = BatchSums.empty((2, 1))
    for first, second in [(1, 8), (3, 2), (5, 5), (7, 1)]:
        sums.add(np.array([100.0 * first, 100.0 * second]), np.zeros(5), 100)
    # 1, 3, 5, 7: mean 4, squares of the deviations 9 + 1 + 1 + 9 = 20, 20 / (4 * 3) = 5/3
    # 8, 2, 5, 1: mean 4, 16 + 4 + 1 + 9 = 30, 30 / (4 * 3) = 5/2
    mean, sd = sums.scaled_mean_and_sd(np.ones((2, 1), np.float32))
    np.testing.assert_allclose(mean.ravel(), [4, 4], rtol=1e-6)
    np.testing.assert_allclose(sd.ravel(), np.sqrt([5 / 3, 5 / 2]), rtol=1e-6)


def test_the_first_batch_states_no_uncertainty() -> None:
    assert np.isnan(_filled([100]).scaled_mean_and_sd(np.ones((4, 3, 2), np.float32))[1]).all()


def test_groups_hold_the_energy_per_history_of_their_batches() -> None:
    # 8 batches in 4 groups: each goes to the group with the fewest histories, the first of them in a draw
    sums = BatchSums.empty((2,), groups=4)
    for n in range(8):
        sums.add(np.array([10.0 * (n + 1), 80.0]), np.zeros(5), 10)
    # in half precision (2^-11), of the largest first energy a 64th
    expected = [(1 + 5) / 2, (2 + 6) / 2, (3 + 7) / 2, (4 + 8) / 2]
    np.testing.assert_allclose(sums.group_sums((slice(0, 1),), np.ones(1)), expected, rtol=1e-3)
    np.testing.assert_allclose(
        sums.group_sums((slice(0, 2),), np.array([2.0, 0.5])), 2 * np.array(expected) + 4, rtol=1e-3
    )


def test_groups_keep_the_energy_and_see_correlations() -> None:
    rng = np.random.default_rng(1)
    sums = BatchSums.empty((10, 1, 1))
    for _ in range(40):
        common = rng.normal(100, 5)  # all voxels of a batch move together
        sums.add(np.full(10, common), np.zeros(5), 100)
    window = (slice(0, 10), slice(0, 1), slice(0, 1))
    groups = sums.group_sums(window, np.full((10, 1, 1), 0.1))
    assert groups.mean() == pytest.approx(sums.total.mean() / sums.histories, rel=1e-3)
    sd = groups.std(ddof=1) / np.sqrt(len(groups))
    one_voxel = float(sums.scaled_mean_and_sd(np.ones((10, 1, 1), np.float32))[1][0, 0, 0])
    assert sd == pytest.approx(one_voxel, rel=0.4)  # 20 groups: 16 %; as if independent it would be 0.32 of it


def test_groups_count_by_their_histories() -> None:
    """Three groups of 2, 1 and 1 batches of 10: weights 20, 10, 10."""
    sums = BatchSums.empty((1,), groups=3)
    for energy in (10.0, 40.0, 70.0, 30.0):
        sums.add(np.array([energy]), np.zeros(5), 10)
    # per history: (1 + 3) / 2 = 2, 4, 7; mean 3.75; 20 x 1.75^2 + 10 x 0.25^2 + 10 x 3.25^2 = 167.5, over 2 x 40
    groups = sums.group_sums((slice(None),), np.ones(1))
    assert sums.sd_of_groups(groups) == pytest.approx((167.5 / 80) ** 0.5, rel=2e-3)
    assert BatchSums.empty((1,)).sd_of_groups(np.ones(1)) is None


def test_checkpoint_comes_back(tmp_path: Path) -> None:
    sums = _filled([50, 70])
    save_checkpoint(tmp_path / "run.ckpt", sums, "mark", 12.5)
    again, elapsed = load_checkpoint(tmp_path / "run.ckpt", "mark")
    assert elapsed == 12.5
    assert (again.histories, again.batches) == (120, 2)
    np.testing.assert_array_equal(again.total, sums.total)
    np.testing.assert_array_equal(again.groups, sums.groups)
    assert again.coefficient is None
    sums.coefficient, sums.watched = np.array([0.5, 1.0]), np.array([[1.0], [2.0]])
    save_checkpoint(tmp_path / "run.ckpt", sums, "mark", 12.5)
    again, _ = load_checkpoint(tmp_path / "run.ckpt", "mark")
    np.testing.assert_array_equal(again.coefficient, [0.5, 1.0])
    np.testing.assert_array_equal(again.watched, [[1.0], [2.0]])
    assert not list(tmp_path.glob("*.part"))


def test_checkpoint_keeps_the_parts_of_voxels(tmp_path: Path) -> None:
    sums = _filled([50, 70])
    sums.parts = BatchSums.empty((2, 3), len(sums.group_histories))
    for size in (50, 70):
        sums.parts.add(np.full(6, 2.0 * size), np.array([7.0, 0, 0, 0, 0]), size)
    save_checkpoint(tmp_path / "run.ckpt", sums, "mark", 1.0)
    again, _ = load_checkpoint(tmp_path / "run.ckpt", "mark")
    assert again.parts is not None
    np.testing.assert_array_equal(again.parts.total, np.full((2, 3), 240.0))
    np.testing.assert_array_equal(again.parts.group_histories, sums.group_histories)
    assert again.parts.counters[0] == 14.0


def test_a_run_without_mixed_voxels_has_no_parts() -> None:
    parts = BatchSums.empty((0, 3), 7)
    parts.add(np.zeros(0), np.zeros(5), 100)
    assert parts.group_sums((slice(None),), np.zeros((0, 3))).tolist() == [0.0]


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run.ckpt", _filled([50]), "mark", 0.0)
    with pytest.raises(InputError, match="another run"):
        load_checkpoint(tmp_path / "run.ckpt", "other")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.ckpt").write_bytes(b"not one")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "run.ckpt", "mark")


def test_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tmp_path / "absent" / "run.ckpt", _filled([50]), "mark", 0.0)


def test_a_spread_that_few_groups_make_is_told() -> None:
    """A mean known beside the batches, of which ten found nothing, or something in one, two or seven."""
    for hit in ([], [3], [2, 7], [0, 1, 2, 4, 6, 8, 9]):
        sums = BatchSums.empty((1, 1), 10)
        for batch in range(10):
            sums.add(np.array([500.0 if batch in hit else 0.0]), np.zeros(5), 100)
        sums.known_kev = np.full((1, 1), 8.0)
        residuals = sums.group_residuals((), np.ones((1, 1)))
        np.testing.assert_allclose(sums.group_sums((), np.ones((1, 1))), residuals + 8)
        assert sums.rests_on_few(residuals) == (len(hit) < 4)
    # 7 of 10 at 5 keV, mean 3.5: (7 * 1.5^2 + 3 * 3.5^2) / (9 * 10) = 52.5 / 90
    assert sums.sd_of_groups(residuals) == pytest.approx((52.5 / 90) ** 0.5, rel=2e-3)
