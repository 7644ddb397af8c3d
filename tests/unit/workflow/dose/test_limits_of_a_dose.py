"""Limits of a dose: those of the agent, those that plans are held to, and what of them could not be judged."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Region
from hepatica.core.image import Image
from hepatica.workflow.dose.numbers import LUNGS_BY_SHUNT

GIVEN_AT = datetime(2026, 3, 2, 10, 30)


def dose(name: str, nuclide: str, lung_shunt: float) -> hepatica.DoseResult:
    grid = Grid.axial((20, 20, 20), spacing_mm=(8.0, 8.0, 8.0))
    x, y, z = np.mgrid[:20, :20, :20]
    liver = (x - 10) ** 2 + (y - 10) ** 2 + (z - 10) ** 2 < 36
    image = Image.from_array(np.where(liver, 1.0e6, 0.0), unit="Bq/mL", grid=grid, time=GIVEN_AT, name="pet")
    ct = Image.from_array(np.where(liver, 60.0, 0.0), unit="HU", grid=grid, name="ct")
    options = hepatica.DoseOptions(
        quantification=hepatica.QuantificationOptions(
            administered_bq=8e9, administered_at=GIVEN_AT, lung_shunt=lung_shunt
        ),
        clinical=hepatica.StructureOptions(agent=name),
    )
    drawn = [Region.from_coverage("Liver", grid, liver)]
    return hepatica.absorbed_dose(image, ct=ct, nuclide=nuclide, structures=drawn, engine="local", options=options)


@pytest.mark.parametrize(
    ("name", "nuclide", "limits"),
    [("i131-lipiodol", "I-131", {30, 50}), ("re188-hdd-lipiodol", "Re-188", {12, 30, 50})],
)
def test_the_lungs_of_an_agent_in_oil_are_judged(name: str, nuclide: str, limits: set[float]) -> None:
    rows = [row for row in dose(name, nuclide, 0.4).limits if row.structure == LUNGS_BY_SHUNT]
    assert {row.limit_gy for row in rows} == limits
    assert {row.status for row in rows if row.limit_gy < row.dose_mean_gy} == {"violated"}
    assert min(limits) in {row.limit_gy for row in rows if row.status == "violated"}


def test_limits_without_a_dose_are_named() -> None:
    found = dose("ho166-plla", "Ho-166", 0.0)
    (note,) = (m for m in found.messages if m.code == "limits-not-judged")
    assert "perfused 60 Gy" in note.text
    assert "lung 30, 50 Gy" in note.text
    with_shunt = dose("ho166-plla", "Ho-166", 0.1)
    assert not any("lung 30" in m.text for m in with_shunt.messages if m.code == "limits-not-judged")
