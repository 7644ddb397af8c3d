"""What a reconstruction says against its image is said of the dose of that image too, by files and in memory."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom

from hepatica.core import Grid, Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.io.dicom.images.write import Emission, write_nm
from hepatica.io.dicom.private import DOUBTS, NOT_CARRIED, RECONSTRUCTED
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image
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


def test_a_dicom_that_is_moved_alone_keeps_what_was_said_of_it(tmp_path: Path) -> None:
    """By numbers in private attributes; without them that is said; beside its result the full text stands once."""
    grid = Grid.axial((4, 4, 4), spacing_mm=(5.0, 5.0, 5.0))
    when = datetime(2026, 3, 2, 9)
    volume = Volume(grid, np.ones(grid.shape), Kind.ACTIVITY_CONCENTRATION, when)
    residuals = Message("counts-not-explained", "residuals of 3.3", severity="critical")

    def written(*said: Message) -> Path:
        emission = Emission("Y-90", when, 20.0, projections=60, said=carried_doubts(said))
        context = DicomContext.of_volume(volume, "R")
        write_nm(tmp_path / "spect.dcm", volume, context, emission, comment=RECONSTRUCTED)
        return tmp_path / "spect.dcm"

    def heard(path: Path) -> dict[str, Message]:
        image = told_beside(read_image(path, role="activity"), path)
        return {one.code: one for one in image.messages if one.code in (*DOUBTS, NOT_CARRIED)}

    assert heard(written()) == {}
    found = heard(written(DOUBT, residuals, OTHER))
    assert {code: one.severity for code, one in found.items()} == {
        "no-lungs-on-ct": "critical", "counts-not-explained": "critical",
    }  # fmt: skip
    assert all(one.text.startswith("of the reconstruction: ") for one in found.values())
    facts = {"schema": "hepatica/reconstruct_spect/1", "head_time_s": 60.0}
    said = [{"code": residuals.code, "text": residuals.text, "severity": "critical"}]
    (tmp_path / "result.json").write_text(json.dumps(facts | {"messages": said}))
    assert heard(tmp_path / "spect.dcm")["counts-not-explained"].text == "of the reconstruction: residuals of 3.3"
    dataset = pydicom.dcmread(tmp_path / "spect.dcm")
    dataset.remove_private_tags()
    dataset.save_as(tmp_path / "spect.dcm")
    assert set(heard(tmp_path / "spect.dcm")) == {"counts-not-explained"}
    (tmp_path / "result.json").unlink()
    assert set(heard(tmp_path / "spect.dcm")) == {NOT_CARRIED}


def test_only_doubts_are_carried() -> None:
    residuals = Message("counts-not-explained", "residuals of 2.6", severity="warning")
    assert [one.code for one in carried_doubts((DOUBT, OTHER, residuals))] == ["no-lungs-on-ct", "counts-not-explained"]
    assert carried_doubts((residuals,)) == (replace(residuals, text="of the reconstruction: residuals of 2.6"),)
