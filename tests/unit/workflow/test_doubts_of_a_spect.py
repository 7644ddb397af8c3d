"""What a reconstruction says against its image is said of the dose of that image too, by files and in memory."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from hepatica.core import Grid, Kind, Volume
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.io.itk import write_itk
from hepatica.workflow.dose.beside import told_beside
from hepatica.workflow.spect.doubts import carried_doubts

DOUBT = Message("no-lungs-on-ct", "the CT shows no lungs", "check the CT")
OTHER = Message("sensitivity-of-the-model", "by the model")


def test_a_dose_hears_what_was_said_of_the_image(tmp_path: Path) -> None:
    grid = Grid.axial((4, 4, 4), spacing_mm=(5.0, 5.0, 5.0))
    volume = Volume(grid, np.ones(grid.shape), Kind.ACTIVITY_CONCENTRATION, datetime(2026, 3, 2, 9))
    write_itk(volume, tmp_path / "spect.nii.gz")
    image = Image.from_array(volume.values, unit="Bq/mL", grid=grid, time=volume.time)
    assert told_beside(image, tmp_path / "spect.nii.gz").messages == image.messages
    said = [
        {"code": one.code, "text": one.text, "remedy": one.remedy, "severity": one.severity} for one in (DOUBT, OTHER)
    ]
    for schema, heard in (("hepatica/reconstruct_spect/1", {"no-lungs-on-ct"}), ("hepatica/plan/1", set())):
        (tmp_path / "result.json").write_text(json.dumps({"schema": schema, "messages": said, "head_time_s": 60.0}))
        found = told_beside(image, tmp_path / "spect.nii.gz").messages
        assert {one.code for one in found} - {one.code for one in image.messages} == heard
        assert all(one.severity == "critical" for one in found if one.code in heard)


def test_only_doubts_are_carried() -> None:
    residuals = Message("counts-not-explained", "residuals of 2.6", severity="warning")
    assert [one.code for one in carried_doubts((DOUBT, OTHER, residuals))] == ["no-lungs-on-ct", "counts-not-explained"]
    assert carried_doubts((residuals,)) == (replace(residuals, text="of the reconstruction: residuals of 2.6"),)
