"""What all written objects share: whole or absent, named, no false references."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatica.core import Grid, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import OutputError
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.objects import provenance_text
from hepatica.io.dicom.rtdose import write_rtdose
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg

Write = Callable[[Path], object]


@pytest.fixture(params=["dose", "rtstruct", "seg", "ct"])
def write(
    request: pytest.FixtureRequest, two_regions: list[Region], context: DicomContext, oblique_grid: Grid
) -> Write:
    dose = Volume(oblique_grid, np.ones(oblique_grid.shape), Kind.DOSE)
    hu = Volume(oblique_grid, np.zeros(oblique_grid.shape), Kind.HU)
    ways: dict[str, Write] = {
        "dose": lambda path: write_rtdose(path, dose, context),
        "rtstruct": lambda path: write_rtstruct(path, two_regions, context),
        "seg": lambda path: write_seg(path, two_regions, context),
        "ct": lambda path: write_ct(path, hu, context),
    }
    return ways[request.param]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_half_written(
    tmp_path: Path, write: Write, failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(dataset: pydicom.Dataset, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise failure

    monkeypatch.setattr(pydicom.Dataset, "save_as", half)
    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        write(tmp_path / "result")
    assert not list(tmp_path.iterdir())


def test_every_object_says_who_made_it_and_what_it_is_not(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "result")
    path = tmp_path / "result"
    ds = pydicom.dcmread(next(iter(sorted(path.iterdir()))) if path.is_dir() else path)
    assert ds.Manufacturer == "hepatica"
    assert ds.SoftwareVersions
    assert "research use only" in ds.SeriesDescription
    notes = (ds.get(keyword, "") for keyword in ("ImageComments", "StructureSetDescription", "ContentDescription"))
    assert any("Research use only" in note for note in notes)
    assert ds.SOPInstanceUID.startswith("1.2.826.0.1.3680043.8.498.")
    assert ds.PatientID == "P1"


def test_provenance_is_whole_json_however_short() -> None:
    provenance = Provenance(
        inputs=(InputFile("ct", 'a "quoted" folder\\name', "0" * 64, 120),),
        parameters={"note": "ä" * 300},
        steps=("one step",) * 200,
    )
    for limit in (10240, 1024, 400):
        text = provenance_text(provenance, limit)
        assert len(text) <= limit
        assert text.startswith("Research use only")
        if "{" in text:
            assert json.loads(text[text.index("{") :])["software"] == "hepatica"
    text = provenance_text(provenance, 10240)
    content = json.loads(text[text.index("{") :])
    assert content["inputs"][0]["path"] == 'a "quoted" folder\\name'
    assert content["parameters"]["note"] == "ä" * 300
    assert "left out" in provenance_text(provenance, 1024)
    assert "{" not in provenance_text(provenance, 100)
