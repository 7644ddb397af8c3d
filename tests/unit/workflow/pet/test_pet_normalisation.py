"""Crystals of unequal efficiency: drawn in a simulation, kept by both formats, taken into account by the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.acquire import drawn_efficiencies
from hepatica.imaging.pet.scanner import scanner
from hepatica.io.pet_raw.own_format import read_raw, write_raw
from hepatica.io.pet_raw.read import read_pet_raw

MACHINE = scanner("discovery_st")
SPREAD = 0.3
OPTIONS = hepatica.PetOptions(
    iteration=hepatica.PetIterationOptions(method="osem", iterations=6, subsets=2),
    corrections=hepatica.PetCorrectionOptions(skip_scatter=True, skip_randoms=True),
    uncertainty=hepatica.PetUncertaintyOptions(skip_uncertainty=True),
    image=hepatica.PetImageOptions(voxel_mm=(14, 14, 14), matter_mm=14.0),
)


def asked(spread: float) -> hepatica.PetSimulationOptions:
    return hepatica.PetSimulationOptions(
        scan=hepatica.PetScanOptions(bed_duration_s=10.0, matter_mm=14.0, crystal_spread=spread, petsird=True),
        phantom=hepatica.PetPhantomOptions(phantom="cylinder", phantom_voxel_mm=10.0),
        stated=hepatica.ScannedActivityOptions(total_bq=60e3),
    )


@pytest.fixture(scope="module")
def scan() -> hepatica.PetSimulationResult:
    return hepatica.simulate_pet(nuclide="F-18", scanner=MACHINE, options=asked(SPREAD))


@pytest.fixture(scope="module")
def alike() -> hepatica.PetSimulationResult:
    return hepatica.simulate_pet(nuclide="F-18", scanner=MACHINE, options=asked(0.0))


def test_the_pattern_is_drawn_about_one() -> None:
    pattern = drawn_efficiencies(MACHINE, asked(SPREAD).scan)
    assert pattern is not None
    # 10 080 crystals: the spread within 2 %, three standard deviations cut off take 1.4 % of it
    assert (pattern.mean(), pattern.std()) == (pytest.approx(1, abs=1e-6), pytest.approx(SPREAD, rel=0.04))
    assert drawn_efficiencies(MACHINE, asked(0.0).scan) is None


def test_the_list_follows_the_pattern(scan: hepatica.PetSimulationResult) -> None:
    raw = scan.raw
    pattern, prompts = raw.crystal_efficiency, raw.beds[0].frame.prompts
    assert pattern is not None
    counts = np.bincount(np.concatenate([prompts.first, prompts.second]), minlength=MACHINE.crystals)
    good, bad = pattern > 1.3, pattern < 0.7
    # each crystal counts in proportion to its efficiency; some two thousand counts in both groups: 4 %
    expected = pattern[good].mean() / pattern[bad].mean()
    assert counts[good].mean() / counts[bad].mean() == pytest.approx(expected, rel=0.12)
    singles = raw.beds[0].frame.singles_cps
    assert singles[good].mean() / singles[bad].mean() == pytest.approx(expected, rel=0.05)


def test_as_many_are_counted_as_by_crystals_all_alike(
    scan: hepatica.PetSimulationResult, alike: hepatica.PetSimulationResult
) -> None:
    # some five thousand coincidences each: 2 % of their ratio
    assert scan.beds[0].prompts / alike.beds[0].prompts == pytest.approx(1, abs=0.07)


def test_both_formats_keep_it(scan: hepatica.PetSimulationResult, tmp_path: Path) -> None:
    folder = scan.save(tmp_path / "scan")
    for name in ("coincidences.npz", "coincidences.petsird"):
        found, _ = read_pet_raw(folder / name)
        np.testing.assert_allclose(found.crystal_efficiency, scan.raw.crystal_efficiency, rtol=1e-5)


def head_over_feet(raw: hepatica.PetRawData, ct: hepatica.Image) -> float:
    """Mean of the image in the head's half of a cylinder over that in the feet's."""
    volume = hepatica.reconstruct_pet(raw, ct=ct, options=OPTIONS).volume
    x, y, z = np.meshgrid(*(volume.grid.origin_mm[a] + 14.0 * np.arange(n) for a, n in enumerate(volume.grid.shape)),
                          indexing="ij")  # fmt: skip
    inside = np.hypot(x, y) < 80
    halves = [volume.values[inside & (side * z > 5) & (side * z < 60)].mean() for side in (1, -1)]
    return float(halves[0] / halves[1])


def test_the_image_knows_it(alike: hepatica.PetSimulationResult) -> None:
    # The rings of the head's half count half as well: lines within it are a quarter of those of the other half.
    ring = np.arange(MACHINE.crystals) // MACHINE.crystals_per_ring
    kept = np.where(ring >= MACHINE.rings // 2, 0.5, 1.0)
    bed = alike.raw.beds[0]
    prompts = bed.frame.prompts
    share = kept[prompts.first] * kept[prompts.second]
    some = np.random.default_rng(2).random(len(prompts)) < share
    frame = replace(bed.frame, prompts=prompts.taken(some), kinds=None)
    pattern = (kept / kept.mean()).astype(np.float32)
    plain = replace(alike.raw, beds=(replace(bed, frame=frame),))
    known = replace(plain, crystal_efficiency=pattern)
    # some thousand coincidences in either half, blurred over the rings: 5 % of counting
    assert head_over_feet(known, alike.ct_image) == pytest.approx(1, abs=0.15)
    assert head_over_feet(plain, alike.ct_image) < 0.6


def test_efficiencies_that_are_none_are_refused(scan: hepatica.PetSimulationResult, tmp_path: Path) -> None:
    pattern = np.asarray(scan.raw.crystal_efficiency)
    for wrong, said in ((pattern[:-1], "are not those of"), (pattern * 2, "mean of 2"), (-pattern, "below zero")):
        with pytest.raises(InputError, match=said):
            replace(scan.raw, crystal_efficiency=wrong)
    write_raw(tmp_path / "scan.npz", scan.raw)
    with np.load(tmp_path / "scan.npz") as kept:
        arrays = dict(kept)
    arrays["crystal_efficiency"] = arrays["crystal_efficiency"][::-1].copy()
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(InputError, match="crystal_efficiency: is not what its hash says"):
        read_raw(tmp_path / "changed.npz")
