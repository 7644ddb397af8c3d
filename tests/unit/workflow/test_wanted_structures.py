"""The wanted structures of a dose can be named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Grid, Region
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.errors import DicomError, UnknownNameError
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.workflow.dose.patient.structures import structures_on


def test_only_these_are_taken_from_a_file_and_from_regions(tmp_path: Path, oblique_grid: Grid) -> None:
    values = np.zeros(oblique_grid.shape)
    values[4:12, 4:12, 3:10] = 1
    regions = [Region.from_coverage(name, oblique_grid, values) for name in ("tumour", "vessel")]
    path = tmp_path / "rs.dcm"
    context = DicomContext.invented(slices=oblique_grid.shape[2])
    plain = [Region.from_coverage(r.name, oblique_grid.with_frame_of_reference(context.frame_of_reference), values)
             for r in regions]  # fmt: skip
    write_rtstruct(path, plain, context)
    ds = pydicom.dcmread(path)
    ds.ROIContourSequence[1].ContourSequence[2].ContourGeometricType = "OPEN_PLANAR"
    ds.save_as(path)
    grid = plain[0].grid
    ct = Image.from_array(np.zeros(grid.shape), unit="HU", grid=grid)
    only = StructureOptions(wanted_structures=("tumour",))
    for given in (path, plain):
        assert [region.name for region in structures_on(grid, given, ct, only).regions] == ["tumour"]
        with pytest.raises(UnknownNameError, match="spleen"):
            structures_on(grid, given, ct, StructureOptions(wanted_structures=("spleen",)))
    found = structures_on(grid, path, ct, StructureOptions())
    assert [message.code for message in found.messages] == ["structure-refused"]
    with pytest.raises(DicomError, match="'vessel' has a contour of type OPEN_PLANAR"):
        structures_on(grid, path, ct, StructureOptions(wanted_structures=("vessel",)))
