"""One door for structures, whatever the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import AmbiguousSeriesError, DicomError, GeometryError, InputError, UnknownNameError
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.rtdose import write_rtdose
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
from hepatica.io.structures.regions import StructureWarning, read_regions, read_structures


@pytest.fixture(params=["labels.nii.gz", "labels.mha"])
def label_map(request: pytest.FixtureRequest, tmp_path: Path, two_regions: list[Region]) -> Path:
    liver, tumour = two_regions
    values = np.where(tumour.mask(), 7, np.where(liver.mask(), 1, 0)).astype(np.int16)
    return write_itk(Volume(liver.grid, values, Kind.LABEL), tmp_path / request.param)


def test_one_call_for_every_format(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid, label_map: Path
) -> None:
    write_rtstruct(tmp_path / "rs.dcm", two_regions, context)
    write_seg(tmp_path / "seg.dcm", two_regions, context)
    for path, liver_ml in ((tmp_path / "rs.dcm", 44.6), (tmp_path / "seg.dcm", 44.6)):
        liver, tumour = read_regions(path, oblique_grid)
        assert (liver.name, tumour.name) == ("Liver", "Tumour 1")
        assert liver.volume_ml == pytest.approx(liver_ml, rel=0.03)
    liver, tumour = read_regions(label_map, oblique_grid)
    assert (liver.name, tumour.name) == ("label 1", "label 7")
    np.testing.assert_allclose(tumour.full(), two_regions[1].mask(), atol=1e-5)


def test_on_an_image_from_a_folder(
    tmp_path: Path, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> None:
    written = write_ct(tmp_path / "case" / "ct", Volume(oblique_grid, np.zeros(oblique_grid.shape), Kind.HU), context)
    write_rtstruct(tmp_path / "case" / "rs.dcm", two_regions, written, image_grid=oblique_grid)
    image = read_image(tmp_path / "case", role="ct")
    found = read_structures(tmp_path / "case", image)
    assert not found.messages
    assert [region.name for region in found.regions] == ["Liver", "Tumour 1"]
    write_seg(tmp_path / "case" / "seg.dcm", two_regions, written)
    with pytest.raises(AmbiguousSeriesError, match=r"(?s)2 files.*rs\.dcm.*seg\.dcm"):
        read_structures(tmp_path / "case", image)
    with pytest.raises(DicomError, match="no RTSTRUCT or SEG; found: CT"):
        read_structures(tmp_path / "case" / "ct", image)
    write_rtdose(tmp_path / "d.dcm", Volume(oblique_grid, np.ones(oblique_grid.shape), Kind.DOSE), written)
    with pytest.raises(DicomError, match="holds no structures"):
        read_structures(tmp_path / "d.dcm", image)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".json", '{"1": "liver", "7": "tumour", "9": "spleen"}'),
        (".json", '{"liver": 1, "tumour": 7, "spleen": 9}'),
        (".csv", "1,liver\n7,tumour\n9,spleen\n"),
        (".csv", "number,name\n# comment\n1, liver\n7, tumour\n\n9, spleen\n"),
    ],
)
def test_names_beside_the_label_map(label_map: Path, oblique_grid: Grid, suffix: str, text: str) -> None:
    label_map.with_name("labels" + suffix).write_text(text)
    found = read_structures(label_map, oblique_grid)
    assert [region.name for region in found.regions] == ["liver", "tumour"]
    assert found.empty == ("spleen",)
    assert "'spleen' is empty" in found.messages[0].text
    with pytest.warns(StructureWarning, match="spleen"):
        read_regions(label_map, oblique_grid)
    assert [r.name for r in read_structures(label_map, oblique_grid, names=["tumour"]).regions] == ["tumour"]
    with pytest.raises(GeometryError, match="spleen"):
        read_structures(label_map, oblique_grid, names=["spleen"])
    with pytest.raises(UnknownNameError, match="heart"):
        read_structures(label_map, oblique_grid, names=["heart"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.json", "[1]"),
        ("labels.json", "{"),
        ("labels.json", '{"a": "b"}'),
        ("labels.json", '{"1": null}'),
        ("labels.json", '{"1": ["liver"]}'),
        ("labels.json", '{"liver": true}'),
        ("labels.json", '{"-1": "liver"}'),
        ("labels.json", '{"1_0": "liver"}'),
        ("labels.json", '{"1": "liver", "1": "tumour"}'),
        ("labels.json", "[" * 5000),
        ("labels.csv", "1,liver\n-2,tumour"),
        ("labels.csv", "1\n"),
        ("labels.csv", "1,liver\n1,lung\n"),
        ("labels.csv", "1,liver\nx,lung\n"),
    ],
)
def test_bad_names_are_refused(label_map: Path, oblique_grid: Grid, name: str, text: str) -> None:
    label_map.with_name(name).write_text(text)
    with pytest.raises(InputError, match=name):
        read_structures(label_map, oblique_grid)


def test_label_maps_that_are_none(tmp_path: Path, oblique_grid: Grid) -> None:
    def written(values: object) -> Path:
        return write_itk(Volume(oblique_grid, np.asarray(values), Kind.LABEL), tmp_path / "l.nii.gz")

    zeros = np.zeros(oblique_grid.shape, dtype=np.int32)
    with pytest.raises(GeometryError, match="no voxels"):
        read_structures(written(zeros), oblique_grid)
    with pytest.raises(InputError, match="no labels"):
        read_structures(written(zeros - 1000), oblique_grid)
    with pytest.raises(InputError, match="different values"):
        read_structures(written(np.arange(zeros.size, dtype=np.int32).reshape(zeros.shape)), oblique_grid)
    with pytest.raises(InputError, match="no such file"):
        read_structures(tmp_path / "none.nii.gz", oblique_grid)


def test_real_label_map(real_data: Path) -> None:
    files = sorted((real_data / "ct-mr-small").rglob("*label*.nii.gz")) + sorted(
        (real_data / "ct-mr-small").rglob("*seg*.nii.gz")
    )
    if not files:
        pytest.skip("no label map in ct-mr-small")
    from hepatica.io.itk import read_itk

    volume, _ = read_itk(files[0], Kind.LABEL)
    found = read_structures(files[0], volume.grid)
    values = np.asarray(volume.values)
    for region, label in zip(found.regions, found.labels, strict=True):
        expected = np.count_nonzero(values == label.number) * volume.grid.voxel_volume_ml
        assert region.volume_ml == pytest.approx(expected, rel=1e-4)
