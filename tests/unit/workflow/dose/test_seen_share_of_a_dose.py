"""Structures that the activity image does not see whole: their share is said, and nothing judges their dose."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.core import Grid, Region
from hepatica.core.image import Image
from hepatica.planning.measured.judged_by_plan import asked_by_plan

GIVEN_AT = datetime(2026, 3, 2, 10, 30)
CUT = "structure-not-seen-whole"


def dose(planes: slice) -> hepatica.DoseResult:
    """Dose by an image of some planes of the CT: the tumour's planes are 12 to 15, the liver's 4 to 15."""
    grid = Grid.axial((20, 20, 20), spacing_mm=(8.0, 8.0, 8.0))
    x, y, z = np.mgrid[:20, :20, :20]
    liver = ((x - 10) ** 2 + (y - 10) ** 2 < 36) & (z >= 4) & (z < 16)
    tumour = ((x - 10) ** 2 + (y - 10) ** 2 < 9) & (z >= 12) & (z < 16)
    activity = np.where(tumour, 4.0e6, np.where(liver, 1.0e6, 0.0))
    seen = grid.crop((slice(0, 20), slice(0, 20), planes))
    image = Image.from_array(activity[..., planes], unit="Bq/mL", grid=seen, time=GIVEN_AT, name="pet")
    ct = Image.from_array(np.where(liver, 60.0, 0.0), unit="HU", grid=grid, name="ct")
    drawn = [Region.from_coverage(name, grid, mask) for name, mask in (("Liver", liver), ("Tumour", tumour))]
    options = hepatica.DoseOptions(
        quantification=hepatica.QuantificationOptions(administered_bq=8e9, administered_at=GIVEN_AT),
        clinical=hepatica.StructureOptions(agent="glass", indication="HCC"),
    )
    return hepatica.absorbed_dose(image, ct=ct, nuclide="Y-90", structures=drawn, engine="local", options=options)


def test_a_structure_that_is_cut_off_is_shown_with_its_share_and_not_judged(tmp_path: Path) -> None:
    """Planes 0 to 13: half of the tumour (2 of 4), 10 of 12 of the liver; by geometry alone."""
    found = dose(slice(0, 14))
    assert found.structure("Tumour").seen_share == pytest.approx(0.5, abs=1e-6)
    assert found.structure("Liver").seen_share == pytest.approx(10 / 12, abs=1e-6)
    rows = [row for row in found.limits if row.structure in ("Tumour", "Liver", "normal liver", "tumours")]
    assert rows
    assert {row.status for row in rows} == {"unjudged"}
    assert "not judged: 50 % seen" in {row.verdict for row in rows}
    (said,) = (m for m in found.messages if m.code == CUT)
    assert said.severity == "warning"
    assert "Tumour 50 %" in said.text
    assert "seen, %" in found.table().columns
    document = found.as_dict()
    assert {s["name"]: s["seen_share"] for s in document["structures"]}["Tumour"] == pytest.approx(0.5, abs=1e-6)
    plan = {
        "limits": [
            {
                "id": "plan-normal", "quantity": "normal_liver_gy", "bound": "max", "limit": 1.0, "text": "own",
                "source": "the plan", "period": "treatment",
            }
        ]
    }  # fmt: skip
    assert not list(asked_by_plan(plan, document))
    predicted = hepatica.radiobiology(
        dose_map=found.save(tmp_path / "dose"), structures=tmp_path / "dose" / "structures.dcm"
    )
    assert not predicted.effect.models
    assert CUT in {m.code for m in predicted.messages}


def test_a_structure_in_view_is_judged() -> None:
    found = dose(slice(0, 18))
    assert {s.seen_share for s in found.structures} == {1.0}
    assert CUT not in {m.code for m in found.messages}
    assert "seen, %" not in found.table().columns
    assert {row.status for row in found.limits if row.structure in ("Tumour", "Liver")} & {"met", "violated", "near"}
    assert "unjudged" not in {row.status for row in found.limits}
