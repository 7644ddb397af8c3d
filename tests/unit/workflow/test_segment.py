"""What the verb segment says and writes about what was proposed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.anatomy.segmentation.propose import PROPOSED
from hepatica.core import Grid, Provenance, Region
from hepatica.workflow.segmentation.segment import SegmentResult, coarse_said


@pytest.mark.parametrize(("slice_mm", "names", "said"), [
    (5.0, ("body", "liver"), True), (4.0, ("kidney left",), True), (3.0, ("liver",), False), (5.0, ("lungs",), False),
])  # fmt: skip
def test_organs_of_coarse_voxels_are_said_to_be_small(slice_mm: float, names: tuple[str, ...], said: bool) -> None:
    grid = Grid.axial((4, 4, 4), spacing_mm=(1, 1, slice_mm))
    assert [message.code for message in coarse_said(grid, names)] == (["organs-small-on-coarse-ct"] if said else [])


def test_the_label_of_the_body_says_that_it_is_what_others_leave(tmp_path: Path) -> None:
    grid = Grid.axial((12, 12, 12), spacing_mm=(3, 3, 3))
    body, liver = np.zeros(grid.shape), np.zeros(grid.shape)
    body[1:11, 1:11, 1:11] = 1
    liver[3:7, 3:7, 3:7] = 1
    regions = (Region.from_coverage("body", grid, body), Region.from_coverage("liver", grid, liver))
    ct = hepatica.Image.from_array(np.where(body > 0, 40.0, -1000.0), unit="HU", grid=grid)
    found = SegmentResult(
        ct=ct, structures=regions, status=PROPOSED, quality=(), not_found=(), labels={"1": "body", "2": "liver"},
        messages=(), provenance=Provenance(()),
    )  # fmt: skip
    folder = found.save(tmp_path / "out")
    labels = json.loads((folder / "labels.json").read_text())
    assert "what the other labels leave" in labels["1"]["holds"]
    assert "holds" not in labels["2"]
    read = {region.name: region for region in hepatica.read_structures(folder / "labels.nii.gz", ct).regions}
    assert read["body"].volume_ml == pytest.approx(regions[0].volume_ml - regions[1].volume_ml)
