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
        sums.add(rng.poisson(5.0 * n, size=24).astype(float), np.array([5.0 * n, 0, 0, 0]), n)
    return sums


def test_uncertainty_of_unequal_batches_is_that_of_the_mean() -> None:
    # Poisson with mean 5 per history: variance of the mean over N histories is 5 / N
    sums = _filled([100] * 30 + [1000] * 30)
    mean, sd = sums.scaled_mean_and_sd(np.ones(sums.total.shape, np.float32))
    assert mean.mean() == pytest.approx(5, rel=2e-3)
    # 24 voxels with 59 degrees of freedom: the mean variance is known to sqrt(2 / (24 * 59)) = 4 %
    assert np.mean(sd**2) == pytest.approx(5 / sums.histories, rel=0.15)


def test_groups_keep_the_energy_and_see_correlations() -> None:
    rng = np.random.default_rng(1)
    sums = BatchSums.empty((10, 1, 1))
    for _ in range(40):
        common = rng.normal(100, 5)  # all voxels of a batch move together
        sums.add(np.full(10, common), np.zeros(4), 100)
    window = (slice(0, 10), slice(0, 1), slice(0, 1))
    groups = sums.group_sums(window, np.full((10, 1, 1), 0.1))
    assert groups.mean() == pytest.approx(sums.total.mean() / sums.histories, rel=1e-3)
    sd = groups.std(ddof=1) / np.sqrt(len(groups))
    one_voxel = float(sums.scaled_mean_and_sd(np.ones((10, 1, 1), np.float32))[1][0, 0, 0])
    assert sd == pytest.approx(one_voxel, rel=0.4)  # 20 groups: 16 %; as if independent it would be 0.32 of it


def test_checkpoint_comes_back(tmp_path: Path) -> None:
    sums = _filled([50, 70])
    save_checkpoint(tmp_path / "run.ckpt", sums, "mark", 12.5)
    again, elapsed = load_checkpoint(tmp_path / "run.ckpt", "mark")
    assert elapsed == 12.5
    assert (again.histories, again.batches) == (120, 2)
    np.testing.assert_array_equal(again.total, sums.total)
    np.testing.assert_array_equal(again.groups, sums.groups)
    assert not list(tmp_path.glob("*.part"))


def test_checkpoint_keeps_the_parts_of_voxels(tmp_path: Path) -> None:
    sums = _filled([50, 70])
    sums.parts = BatchSums.empty((2, 3), len(sums.group_histories))
    for size in (50, 70):
        sums.parts.add(np.full(6, 2.0 * size), np.array([7.0, 0, 0, 0]), size)
    save_checkpoint(tmp_path / "run.ckpt", sums, "mark", 1.0)
    again, _ = load_checkpoint(tmp_path / "run.ckpt", "mark")
    assert again.parts is not None
    np.testing.assert_array_equal(again.parts.total, np.full((2, 3), 240.0))
    np.testing.assert_array_equal(again.parts.group_histories, sums.group_histories)
    assert again.parts.counters[0] == 14.0


def test_a_run_without_mixed_voxels_has_no_parts() -> None:
    parts = BatchSums.empty((0, 3), 7)
    parts.add(np.zeros(0), np.zeros(4), 100)
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
