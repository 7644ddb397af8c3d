"""Structure sets of several structures of which some are open, drawn twice or hold contours of two points."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from hepatica.core import Grid, Region
from hepatica.core.context import DicomContext
from hepatica.errors import DicomError, UnknownNameError
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.structures.regions import drawn_structures, read_structures

NAMES = ("Liver", "Tumour 1", "Vessel", "Stomach")


@pytest.fixture
def written(tmp_path: Path, context: DicomContext, oblique_grid: Grid) -> Path:
    index = np.stack(np.meshgrid(*map(np.arange, oblique_grid.shape), indexing="ij"), -1)
    regions = []
    for name, centre, radius in zip(
        NAMES, ((7, 6, 7), (16, 6, 5), (7, 12, 9), (16, 12, 7)), (14, 9, 8, 10), strict=True
    ):
        distance = np.linalg.norm(oblique_grid.to_mm(index) - oblique_grid.to_mm(centre), axis=-1)
        regions.append(Region.from_coverage(name, oblique_grid, np.clip((radius - distance) / 3 + 0.5, 0, 1)))
    write_rtstruct(tmp_path / "rs.dcm", regions, context, image_grid=oblique_grid)
    return tmp_path / "rs.dcm"


def corners(contour: Any) -> Any:
    return np.array(contour.ContourData, dtype=float).reshape(-1, 3)


def put(contour: Any, points: Any) -> Any:
    contour.ContourData = [f"{x:.3f}" for x in np.asarray(points).ravel()]
    contour.NumberOfContourPoints = len(points)
    return contour


@pytest.mark.parametrize("seed", range(8))
def test_what_is_wrong_with_one_structure_leaves_the_others_as_they_are(
    seed: int, written: Path, oblique_grid: Grid
) -> None:
    rng = np.random.default_rng(seed)
    sound = {region.name: region.volume_ml for region in read_structures(written, oblique_grid).regions}
    ds = pydicom.dcmread(written)
    faults = dict(zip(NAMES, rng.permutation(["open", "two points", "twice", "sound"]).tolist(), strict=True))
    for item, name in zip(ds.ROIContourSequence, NAMES, strict=True):
        sequence = item.ContourSequence
        chosen = sequence[int(rng.integers(len(sequence)))]
        if faults[name] == "open":
            chosen.ContourGeometricType = str(rng.choice(["OPEN_PLANAR", "OPEN_NONPLANAR", ""]))
        elif faults[name] == "two points":
            sequence.append(put(copy.deepcopy(chosen), corners(chosen)[: int(rng.integers(1, 3))]))
        elif faults[name] == "twice":
            for contour in list(sequence) if rng.random() < 0.5 else [chosen]:
                again = np.roll(corners(contour)[::-1], int(rng.integers(5)), axis=0) + rng.uniform(-0.05, 0.05, 3)
                sequence.append(put(copy.deepcopy(contour), again))
    ds.save_as(written)
    found = read_structures(written, oblique_grid)
    (refused,) = (name for name in NAMES if faults[name] == "open")
    assert found.refused == (refused,)
    assert [region.name for region in found.regions] == [name for name in NAMES if name != refused]
    for region in found.regions:
        # Contours written again are rounded to a thousandth, and a plane drawn twice may be 0.05 mm off.
        tolerance = 0.01 if faults[region.name] == "twice" else 1e-6
        assert region.volume_ml == pytest.approx(sound[region.name], rel=tolerance)
    codes = {name: [m.code for m in found.messages if repr(name) in m.text] for name in NAMES}
    expected = {"open": ["structure-refused"], "two points": ["contours-enclose-nothing"],
                "twice": ["contours-drawn-twice"], "sound": []}  # fmt: skip
    assert codes == {name: expected[faults[name]] for name in NAMES}
    wanted = [name for name in NAMES if name != refused]
    assert read_structures(written, oblique_grid, names=wanted).refused == ()
    with pytest.raises(
        DicomError, match=rf"rs\.dcm: ContourGeometricType: structure '{refused}' has a contour of type"
    ):
        read_structures(written, oblique_grid, names=[*wanted, refused])


def test_only_the_wanted_structures_are_looked_at(written: Path, oblique_grid: Grid) -> None:
    ds = pydicom.dcmread(written)
    ds.ROIContourSequence[2].ContourSequence[2].ContourGeometricType = "OPEN_PLANAR"
    bow_tie = ds.ROIContourSequence[3].ContourSequence[2]
    put(bow_tie, corners(bow_tie)[[0, 5, 2, 8]])
    ds.save_as(written)
    drawn = drawn_structures(written, oblique_grid, names=["Tumour 1", "Liver"])
    assert list(drawn.regions) == ["Liver", "Tumour 1"]
    assert not drawn.messages
    given = list(drawn.regions.values())
    assert list(drawn_structures(given, oblique_grid, names=["Tumour 1"]).regions) == ["Tumour 1"]
    for source in (written, given):
        with pytest.raises(UnknownNameError, match="Spleen"):
            drawn_structures(source, oblique_grid, names=["Spleen"])
