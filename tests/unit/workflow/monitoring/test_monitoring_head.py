"""Frames of another head than that of the setup's masks are refused, whatever the counts look like."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.io.dicom.images.dynamic import DynamicFile, read_dynamic, write_dynamic
from hepatica.io.dicom.images.write import Emission
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.workflow.monitoring.sources import require_fit
from monitoring_makers import mask, setup_of

START = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)
VIEWS = {"anterior": ("399348003", 1.0), "posterior": ("399001007", -1.0)}


def frames_of(path: Path, view: str) -> DynamicFile:
    context = DicomContext.invented(patient_id="M1", patient_name="Watched^One", when=START)
    write_dynamic(path, np.ones((3, 16, 16)), context, Emission("Tc-99m", START, 0.5), pixel_mm=4.0)
    dataset = pydicom.dcmread(path)
    code, row = VIEWS[view]
    detector, word = Dataset(), Dataset()
    word.CodeValue, word.CodingSchemeDesignator, word.CodeMeaning = code, "SCT", view.capitalize()
    detector.ViewCodeSequence = [word]
    detector.ImageOrientationPatient = [row, 0, 0, 0, 0, -1]
    dataset.DetectorInformationSequence = [detector]
    dataset.DetectorVector, dataset.NumberOfDetectors = [1, 1, 1], 1
    dataset.save_as(path)
    return read_dynamic(path)


def test_frames_of_the_other_head_are_refused(tmp_path: Path) -> None:
    front, back = (frames_of(tmp_path / f"{view}.dcm", view) for view in VIEWS)
    assert (front.view, front.row_to_left, front.column_to_head) == ("anterior", 1, False)
    assert (back.view, back.row_to_left) == ("posterior", -1)
    prepared = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings(), "anterior", 1, False)
    again = Prepared.from_document(prepared.as_document())
    assert (again.head, again.row_to_left, again.column_to_head) == ("anterior", 1, False)
    require_fit(front, again)
    with pytest.raises(InputError, match="the head is posterior, that of the setup's masks is anterior"):
        require_fit(back, again)
    with pytest.raises(InputError, match="direction of rows"):
        require_fit(replace(front, row_to_left=-1), again)
    # A setup that does not know how frames stand cannot tell.
    require_fit(back, replace(prepared, head="", row_to_left=None, column_to_head=None))
