"""Bone, liver and lung against a live second code: ompmc 0.4.0 (EGSnrc physics in C).

Optional: ``pip install ompmc==0.4.0`` (GPL; for this test and the benchmark only, never a dependency).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Volume
from hepatica.nuclides import nuclide
from hepatica.transport.runner.montecarlo import simulate
from hepatica.transport.runner.settings import MonteCarloSettings

pytest.importorskip("ompmc", reason="optional: pip install ompmc==0.4.0")

EDGE_MM = 2.0
LATERAL = 16
BONE, LIVER, LUNG = 10, 14, 24
MEDIA = ["ICRPBONE521ICRU", "ICRUTISSUE521ICRU", "LUNG521ICRU"]
HISTORIES = 400_000


def _load_source_module() -> ModuleType:
    """The module beside this one; pytest's importlib mode puts no test folder on the path."""
    spec = importlib.util.spec_from_file_location("ompmc_source", Path(__file__).with_name("ompmc_source.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_slabs_of_bone_liver_and_lung(tmp_path: Path) -> None:
    ompmc_source = _load_source_module()
    layers = np.repeat([0, 1, 2], [BONE, LIVER, LUNG])
    shape = (LATERAL, LATERAL, len(layers))
    density = np.broadcast_to(np.array([1.92, 1.06, 0.26])[layers], shape).copy()
    bounds = [np.arange(n + 1) * EDGE_MM / 10 for n in shape]
    low = np.array([0.0, 0.0, BONE * EDGE_MM / 10])
    high = np.array([LATERAL * EDGE_MM / 10, LATERAL * EDGE_MM / 10, (BONE + LIVER) * EDGE_MM / 10])
    mean_mev = ompmc_source.write_decays(tmp_path / "decays", "Y-90", low, high, HISTORIES)
    material = np.broadcast_to(layers + 1, shape)
    theirs = ompmc_source.ompmc_dose(tmp_path / "decays", bounds, density, material, MEDIA, HISTORIES)

    grid = Grid.axial(shape, spacing_mm=(EDGE_MM,) * 3)
    decays = np.zeros(shape)
    decays[:, :, BONE : BONE + LIVER] = 1.0
    volumes = Volume(grid, decays, Kind.DECAYS), Volume(grid, density, Kind.DENSITY)
    result = simulate(*volumes, nuclide("Y-90"), MonteCarloSettings(histories=2_000_000, threads=2, parts="beta"))
    # per energy emitted: their file holds a sample of the spectrum, whose mean is off by up to 0.1 %
    emitted_mev = result.emitted_j / 1.602176634e-13 / decays.sum()
    ours_by_layer = result.dose_gy.mean(axis=(0, 1)) / decays.sum() / emitted_mev
    theirs_by_layer = theirs.mean(axis=(0, 1)) / mean_mev
    ratio = ours_by_layer / theirs_by_layer
    # statistics: theirs 0.35 % a layer of liver, 0.6 % of the first lung; ours half of that
    inner = slice(BONE + 2, BONE + LIVER - 2)
    assert ratio[inner].mean() == pytest.approx(1, abs=0.005)
    assert np.abs(ratio[BONE : BONE + LIVER] - 1).max() < 0.01 + 3 * 0.004
    first_lung = slice(BONE + LIVER, BONE + LIVER + 3)
    assert np.average(ratio[first_lung], weights=theirs_by_layer[first_lung]) == pytest.approx(1, abs=0.02)
    assert np.average(ratio[BONE - 3 : BONE], weights=theirs_by_layer[BONE - 3 : BONE]) == pytest.approx(1, abs=0.03)
