"""An image of a virtual patient's folder has the unit that the patient's own file states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Kind, Volume
from hepatica.core.image import Stated
from hepatica.errors import UnitError
from hepatica.io.itk import write_itk
from hepatica.workflow.phantom import TRUTH_UNITS


@pytest.fixture
def activity(tmp_path: Path, oblique_grid: Grid) -> Path:
    (tmp_path / "patient" / "truth").mkdir(parents=True)
    (tmp_path / "patient" / "patient.json").write_text(json.dumps({"truth_units": TRUTH_UNITS}))
    path = tmp_path / "patient" / "truth" / "activity-at-scan.nii.gz"
    write_itk(Volume(oblique_grid, np.full(oblique_grid.shape, 7.0, np.float32), Kind.ACTIVITY), path)
    return path


def test_the_unit_is_taken_and_another_one_refused(activity: Path) -> None:
    for stated in (Stated(), Stated(unit="Bq")):
        assert hepatica.read_image(activity, role="activity", stated=stated).volume.kind is Kind.ACTIVITY
    for wrong in ("Bq/mL", "MBq"):
        with pytest.raises(UnitError, match=r"holds Bq per voxel by the patient\.json.*'(Bq/mL|MBq)', contradicts"):
            hepatica.read_image(activity, role="activity", stated=Stated(unit=wrong))


def test_a_file_that_says_nothing_of_it_changes_nothing(activity: Path) -> None:
    beside = activity.parent.parent / "patient.json"
    for text in ("{", "[]", '{"truth_units": 3}', '{"truth_units": {"activity-at-scan": "apples"}}', "{}"):
        beside.write_text(text)
        found = hepatica.read_image(activity, role="activity", stated=Stated(unit="Bq/mL"))
        assert found.volume.kind is Kind.ACTIVITY_CONCENTRATION
