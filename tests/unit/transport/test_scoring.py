"""What Monte Carlo counts apart in a voxel of the dose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import InputError
from hepatica.nuclides import nuclide
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.scoring import DoseVoxels, LabelMasses, label_masses, labels_of, scoring_on
from hepatica.transport.runner.settings import MonteCarloSettings

MATTER = Grid.axial((8, 4, 4), spacing_mm=(2.0, 2.0, 2.0))
DOSE = Grid.axial((4, 2, 2), spacing_mm=(4.0, 4.0, 4.0), origin_mm=(1.0, 1.0, 1.0))
"""Two voxels of matter along each axis of one of the dose."""

WATER = Volume(MATTER, np.ones(MATTER.shape), Kind.DENSITY)
ONE_MEDIUM = np.zeros(MATTER.shape, np.uint8)


def _slab(name: str, start: int, stop: int, share: float = 1.0) -> Region:
    coverage = np.zeros(MATTER.shape, np.float32)
    coverage[start:stop] = share
    return Region.from_coverage(name, MATTER, coverage)


def test_without_structures_labels_are_classes() -> None:
    density = WATER.with_values(np.where(np.arange(8)[:, None, None] < 4, 0.26, 1.06) * np.ones(MATTER.shape))
    index = (density.values > 1).astype(np.uint8)
    assert np.unique(labels_of(density, index, 2)).tolist() == [0, 1]


def test_overlapping_structures_and_voxels_that_a_contour_cuts_have_their_own_labels() -> None:
    liver, tumour, cut = _slab("liver", 1, 4), _slab("tumour", 2, 5), _slab("cut", 6, 7, 0.3)
    labels = labels_of(WATER, ONE_MEDIUM, 1, (liver, tumour, cut))[:, 0, 0]
    assert (labels == labels[0]).tolist() == [True, False, False, False, False, True, False, True]
    assert labels[0] == 1  # soft tissue outside all structures
    assert len(set(labels.tolist())) == 5
    assert labels[2] == labels[3]


def test_the_body_keeps_its_classes() -> None:
    density = WATER.with_values(np.where(np.arange(8)[:, None, None] < 4, 0.26, 1.06) * np.ones(MATTER.shape))
    index = (density.values > 1).astype(np.uint8)
    body = _slab("body", 0, 8)
    assert len(np.unique(labels_of(density, index, 2, (body,)))) == 2


def test_too_many_structures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepatica.transport.runner.scoring.MAX_LABELS", 6)
    with pytest.raises(InputError, match="6 is the limit"):
        labels_of(WATER, ONE_MEDIUM, 1, [_slab(f"{n}", n, n + 1) for n in range(4)])


def test_parts_and_masses_add_up() -> None:
    tumour = _slab("tumour", 1, 3)
    scoring = scoring_on(DoseVoxels(DOSE, (tumour,)), WATER, ONE_MEDIUM, 1, filling_g_ml=0.0)
    assert scoring.mass_g == pytest.approx(0.064, rel=1e-5)
    assert (scoring.mixed[:2] >= 0).all()
    assert (scoring.mixed[2:] < 0).all()
    assert scoring.part_mass_g == pytest.approx(np.full(16, 0.032), rel=1e-5)
    own = label_masses(DOSE, WATER, scoring.labels)
    # part_of finds the part of each label; what has a voxel to itself has none
    part = scoring.part_of(own)
    np.testing.assert_allclose(scoring.part_mass_g[part[part >= 0]], own.mass_g[part >= 0], rtol=1e-5)
    np.testing.assert_array_equal(scoring.part_label[part[part >= 0]], own.label[part >= 0])
    assert (part < 0).sum() == 8
    tally = np.arange(scoring.size, dtype=float)
    total = tally.sum()
    voxels, parts, outside = scoring.split(tally.copy())
    assert voxels.sum() + outside == pytest.approx(total)
    assert parts.shape == (16,)


def test_labels_of_no_voxel_make_no_parts() -> None:
    scoring = scoring_on(DoseVoxels(MATTER), WATER, ONE_MEDIUM, 1, filling_g_ml=0.0)
    assert scoring.same_voxels
    assert scoring.part_label.size == 0
    assert (scoring.part_of(label_masses(MATTER, WATER, scoring.labels)) == -1).all()


def test_mean_over_all_matter_of_voxels_is_that_of_the_voxels() -> None:
    # the tumour cuts voxels of the dose: their energy is counted in two parts, and both together are the whole
    decays = Volume(MATTER, np.ones(MATTER.shape), Kind.DECAYS)
    voxels = DoseVoxels(DOSE, (_slab("tumour", 1, 3),))
    result = simulate(decays, WATER, nuclide("Y-90"), MonteCarloSettings(histories=4000), dose_voxels=voxels)
    assert result.scoring is not None
    own = label_masses(DOSE, WATER, result.scoring.labels)
    first = own.voxel < 12  # three layers of four voxels: two mixed, one not
    some = LabelMasses(own.voxel[first], own.label[first], own.mass_g[first])
    covered = np.zeros(DOSE.shape, np.float32)
    covered[:3] = 1
    whole = result.region_mean(Region.from_coverage("layers", DOSE, covered))
    found = result.mean_over(some)
    assert found.value == pytest.approx(whole.value, rel=1e-5)
    # groups are kept in half precision: 2^-12 of each of the 20, with a spread of 3 %, is 1 % / sqrt(20) of it
    assert found.sd == pytest.approx(whole.sd, rel=0.01)


def test_a_checkpoint_of_other_structures_is_refused(tmp_path: Path) -> None:
    decays = Volume(MATTER, np.ones(MATTER.shape), Kind.DECAYS)
    settings = MonteCarloSettings(histories=2000, checkpoint=tmp_path / "run.ckpt")
    y90 = nuclide("Y-90")
    voxels = DoseVoxels(DOSE, (_slab("tumour", 1, 3),))
    first = simulate(decays, WATER, y90, settings, dose_voxels=voxels)
    again = simulate(decays, WATER, y90, replace(settings, histories=4000), dose_voxels=voxels)
    assert again.histories == 4000
    assert first.sums.parts is not None
    assert again.sums.parts is not None
    assert again.sums.parts.total.sum() > 1.5 * first.sums.parts.total.sum()
    with pytest.raises(InputError, match="belongs to another run"):
        simulate(decays, WATER, y90, settings, dose_voxels=DoseVoxels(DOSE, (_slab("tumour", 1, 4),)))
