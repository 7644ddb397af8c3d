"""Images of a case as the workbench reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hepatica import Case
from hepatica.core import Grid, Kind, Volume
from hepatica.errors import HepaticaError
from hepatica.io.itk import write_itk
from hepatica.web.desk import OpenCase
from hepatica.web.images import loaded


def test_a_nifti_is_shown_in_the_unit_that_the_case_states(tmp_path: Path) -> None:
    grid = Grid.axial((4, 5, 6), spacing_mm=(4.0, 4.0, 4.0))
    values = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    write_itk(Volume(grid, values, Kind.ACTIVITY_CONCENTRATION), tmp_path / "pet.nii.gz")
    case = Case.new(tmp_path / "case")
    case.add(tmp_path / "pet.nii.gz", "therapy-pet", treatment=1)
    (item,) = case.situation().catalogue.of("therapy-pet")
    one = OpenCase("0", case.folder)
    with pytest.raises(HepaticaError, match="unit"):
        loaded(one, item.name)
    case.state({"treatment.1.dose.activity_unit": "kBq/mL"})
    shown = loaded(one, item.name)
    assert shown.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert shown.high == pytest.approx(119e3)  # Bq/mL
    case.state({"treatment.1.dose.activity_unit": "Bq/mL"})
    assert loaded(one, item.name).high == pytest.approx(119.0)
