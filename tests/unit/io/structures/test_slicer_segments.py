"""Segmentations of 3D Slicer: names, labels, layers and colours in the header of an NRRD file."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import GeometryError, InputError, UnknownNameError
from hepatica.io.structures.regions import read_structures
from hepatica.io.structures.slicer_segments import slicer_segments


def write_nrrd(path: Path, values: NDArray[Any], grid: Grid, keys: dict[str, str], *, ending: str = "\n") -> Path:
    """A .seg.nrrd as Slicer writes it: values (i, j, k) or, with layers, (layer, i, j, k)."""
    layered = values.ndim == 4
    vectors = ["(" + ",".join(f"{x:.12g}" for x in grid.affine[:3, axis]) + ")" for axis in range(3)]
    lines = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {values.ndim}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(map(str, values.shape)),
        "space directions: " + " ".join((["none"] if layered else []) + vectors),
        "kinds: " + " ".join((["list"] if layered else []) + ["domain"] * 3),
        "encoding: gzip",
        "space origin: (" + ",".join(f"{x:.12g}" for x in grid.origin_mm) + ")",
        *(f"{key}:={value}" for key, value in keys.items()),
    ]
    header = (ending.join(lines) + 2 * ending).encode()
    path.write_bytes(header + gzip.compress(np.asfortranarray(values, dtype=np.uint8).tobytes(order="F")))
    return path


def keys_of(segments: list[dict[str, str]], *, numbers: list[int] | None = None) -> dict[str, str]:
    indices = numbers or list(range(len(segments)))
    return {f"Segment{at}_{key}": v for at, entry in zip(indices, segments, strict=True) for key, v in entry.items()}


@pytest.mark.parametrize("seed", range(8))
def test_names_labels_layers_and_colours(seed: int, tmp_path: Path, oblique_grid: Grid) -> None:
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(1, 4))
    count = int(rng.integers(layers, 6))
    of_layer = np.concatenate([np.arange(layers), rng.integers(0, layers, count - layers)])
    numbers = rng.choice(np.arange(1, 200), count, replace=False)
    names = [f"{word} {at}" for at, word in enumerate(rng.choice(["Leber", "tumour", "lésion", "Lung_L"], count))]
    values = np.zeros((layers, *oblique_grid.shape), np.uint8)
    for layer in range(layers):
        values[layer] = rng.choice([0, *numbers[of_layer == layer]], oblique_grid.shape)
    entries = [
        {"ID": f"Segment_{n}", "Name": name, "LabelValue": str(n), "Layer": str(layer), "Color": "1 0.5 0"}
        for n, name, layer in zip(numbers, names, of_layer, strict=True)
    ]
    order = rng.permutation(count)
    keys = keys_of([entries[at] for at in order], numbers=list(range(3, 3 + count)))
    path = write_nrrd(
        tmp_path / "s.seg.nrrd",
        values if layers > 1 or rng.random() < 0.5 else values[0],
        oblique_grid,
        keys,
        ending=str(rng.choice(["\n", "\r\n"])),
    )
    found = read_structures(path, oblique_grid)
    assert sorted(region.name for region in found.regions) == sorted(names)
    assert not found.messages
    for name, number, layer in zip(names, numbers, of_layer, strict=True):
        np.testing.assert_allclose(found[name].full(), values[layer] == number, atol=1e-5)
    assert {label.colour for label in found.labels} == {(255, 128, 0)}
    assert {label.name: label.number for label in found.labels} == dict(zip(names, numbers.tolist(), strict=True))


def test_a_segment_of_its_own_layer_without_label(tmp_path: Path, oblique_grid: Grid) -> None:
    # As Slicer wrote before 4.11.
    values = (np.random.default_rng(1).random((2, *oblique_grid.shape)) < 0.4).astype(np.uint8)
    keys = keys_of([{"Name": "liver"}, {"Name": "tumour"}])
    found = read_structures(write_nrrd(tmp_path / "s.seg.nrrd", values, oblique_grid, keys), oblique_grid)
    for name, layer in (("liver", 0), ("tumour", 1)):
        np.testing.assert_allclose(found[name].full(), values[layer], atol=1e-5)


def one_layer(tmp_path: Path, grid: Grid, keys: dict[str, str]) -> Path:
    values = np.zeros(grid.shape, np.uint8)
    values[2:9, 2:9, 2:9], values[4:6, 4:6, 4:6] = 1, 2
    return write_nrrd(tmp_path / "s.seg.nrrd", values, grid, keys)


def test_what_the_header_does_not_name_or_the_voxels_do_not_hold(tmp_path: Path, oblique_grid: Grid) -> None:
    keys = keys_of([{"Name": "liver", "LabelValue": "1"}, {"Name": "spleen", "LabelValue": "9"}])
    found = read_structures(one_layer(tmp_path, oblique_grid, keys), oblique_grid)
    assert [region.name for region in found.regions] == ["liver", "label 2"]
    assert found.empty == ("spleen",)
    with pytest.raises(GeometryError, match="spleen"):
        read_structures(tmp_path / "s.seg.nrrd", oblique_grid, names=["spleen"])
    with pytest.raises(UnknownNameError, match="heart"):
        read_structures(tmp_path / "s.seg.nrrd", oblique_grid, names=["heart"])


def test_names_beside_go_before_those_inside(tmp_path: Path, oblique_grid: Grid) -> None:
    keys = keys_of([{"Name": "liver", "LabelValue": "1"}, {"Name": "spot", "LabelValue": "2"}])
    path = one_layer(tmp_path, oblique_grid, keys)
    (tmp_path / "s.seg.json").write_text('{"tumour": 2}')
    found = read_structures(path, oblique_grid)
    assert [region.name for region in found.regions] == ["liver", "tumour"]
    assert [message.code for message in found.messages] == ["label-names-beside"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"Name": "a", "LabelValue": "1"}, {"Name": "b", "LabelValue": "1"}], "'a' and 'b' both have the label 1"),
        ([{"Name": "a", "LabelValue": "one"}], "Segment0_LabelValue: 'one' is not a whole number"),
        ([{"Name": "a", "LabelValue": "1", "Layer": "-1"}], "Segment0_Layer"),
    ],
)
def test_contradicting_headers_are_refused(
    entries: list[dict[str, str]], message: str, tmp_path: Path, oblique_grid: Grid
) -> None:
    with pytest.raises(InputError, match=message):
        read_structures(one_layer(tmp_path, oblique_grid, keys_of(entries)), oblique_grid)


def test_a_header_of_very_many_segments_takes_no_time(tmp_path: Path) -> None:
    lines = "".join(f"Segment{n}_LabelValue:={n + 1}\n" for n in range(100_000))
    (tmp_path / "a.seg.nrrd").write_text(f"NRRD0004\n{lines}\n")
    started = time.monotonic()
    assert len(slicer_segments(tmp_path / "a.seg.nrrd")) == 100_000
    assert time.monotonic() - started < 10


def test_odd_names(tmp_path: Path, oblique_grid: Grid) -> None:
    keys = keys_of([{"ID": "Segment_1", "LabelValue": "1"}, {"Name": r"a\\b:=c\nd", "LabelValue": "2", "Color": "x"}])
    path = one_layer(tmp_path, oblique_grid, keys)
    assert [(s.name, s.number, s.colour) for s in slicer_segments(path)] == [
        ("Segment_1", 1, None),
        ("a\\b:=c d", 2, None),
    ]
    assert slicer_segments(path.with_name("s.nii")) == ()
    (tmp_path / "no.nrrd").write_bytes(b"nothing")
    assert slicer_segments(tmp_path / "no.nrrd") == ()
