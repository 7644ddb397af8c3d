"""The end of a PET's field, where hardly a coincidence comes from, counts as not seen: in the PET and in its dose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.core import Region
from hepatica.io.read import read_image


def test_the_ends_of_the_field_are_not_seen(tmp_path: Path) -> None:
    """Pairs from a plane reach two detectors the less the nearer it is to the end: in proportion, over 157 mm length.

    A tenth of the middle's sensitivity is at about 0.1 x 157 / 2 = 8 mm from the end: of planes of 4 mm two.
    """
    options = hepatica.PetSimulationOptions(
        scan=hepatica.PetScanOptions(bed_duration_s=2.0, matter_mm=14.0),
        phantom=hepatica.PetPhantomOptions(phantom="cylinder", phantom_voxel_mm=10.0),
        stated=hepatica.ScannedActivityOptions(total_bq=2e9),
    )
    scan = hepatica.simulate_pet(nuclide="Y-90", scanner="discovery_690", options=options)
    low, high = scan.raw.extent_mm
    grid = scan.ct_image.grid
    z = grid.origin_mm[2] + grid.spacing_mm[2] * np.arange(grid.shape[2])
    last = np.ones((*grid.shape[:2], 1), np.bool_) & (z < high) & (z > high - 40)
    asked = hepatica.PetOptions(
        iteration=hepatica.PetIterationOptions(iterations=1, subsets=1),
        corrections=hepatica.PetCorrectionOptions(skip_scatter=True),
        image=hepatica.PetImageOptions(voxel_mm=(16.0, 16.0, 4.0), matter_mm=14.0),
        uncertainty=hepatica.PetUncertaintyOptions(skip_uncertainty=True),
    )
    slab = Region.from_coverage("Tumour", grid, last)
    made = hepatica.reconstruct_pet(scan.raw, ct=scan.ct_image, structures=(slab,), options=asked)
    ends = made.seen_z_mm
    assert ends is not None
    assert low + 4 <= ends[0] <= low + 13
    assert high - 13 <= ends[1] <= high - 4
    (told,) = made.structures
    # of 40 mm, in planes of the phantom of 10 mm, what lies within the ends
    drawn = slab.grid.spacing_mm[2] * slab.coverage.shape[2]
    start = z[slab.window[2].start] - slab.grid.spacing_mm[2] / 2
    share = (ends[1] - start) / drawn
    assert share < 0.95
    assert told.seen_share == pytest.approx(share, abs=0.02)
    assert "structure-cut" in {m.code for m in made.messages}
    folder = made.save(tmp_path / "pet")
    assert read_image(folder / "pet").acquisition.seen_z_mm == pytest.approx(ends)
    stated, kept = hepatica.CtOptions(registered=True), hepatica.DoseSettings(negatives="keep")
    for source in (made.image, folder / "pet", folder / "pet.nii.gz"):
        images = hepatica.ImageOptions()
        if source == folder / "pet.nii.gz":
            images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(made.time,))
        dose = hepatica.absorbed_dose(
            source, ct=scan.ct_image, nuclide="Y-90", structures=(slab,), engine="local",
            options=hepatica.DoseOptions(scanner=stated, images=images, settings=kept),
        )  # fmt: skip
        assert dose.structure("Tumour").seen_share == pytest.approx(share, abs=0.02)
        assert "structure-not-seen-whole" in {m.code for m in dose.messages}
