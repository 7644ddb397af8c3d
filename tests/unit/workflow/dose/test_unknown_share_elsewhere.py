"""A place outside the liver in an image without a background: its uncertainty is unknown in every answer about it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import hepatica
from hepatica.core import Estimate, Grid, Region
from hepatica.core.image import Image
from hepatica.planning.delivery.suggestions import suggestions
from hepatica.planning.extrahepatic.described import uptake_table
from hepatica.planning.measured.judged_doses import judged_treatment

GIVEN_AT = datetime(2026, 3, 2, 10, 30)
GRID = Grid.axial((30, 22, 34), spacing_mm=(8.0, 8.0, 8.0))
BOXES = {
    "Liver": (slice(3, 17), slice(4, 18), slice(3, 15)),
    "Lungs": (slice(3, 27), slice(4, 18), slice(19, 31)),
    "Stomach": (slice(21, 25), slice(9, 13), slice(7, 11)),
}


def mask(name: str) -> np.ndarray:
    found = np.zeros(GRID.shape, dtype=bool)
    found[BOXES[name]] = True
    return found


def dose(background: np.ndarray | float, scale: Estimate | None = None) -> hepatica.DoseResult:
    """Of 2 GBq, 2 % of it in the stomach and 5 % in the lungs, over a background in Bq/mL; `scale` calibrates it."""
    share = {"Liver": 0.93, "Lungs": 0.05, "Stomach": 0.02}
    values = sum(2e9 * part * mask(name) / mask(name).sum() for name, part in share.items()) / GRID.voxel_volume_ml
    image = Image.from_array(values + background, unit="Bq/mL", grid=GRID, time=GIVEN_AT, name="pet")
    stated = hepatica.QuantificationOptions(administered_bq=2e9, administered_at=GIVEN_AT, calibration=scale)
    return hepatica.absorbed_dose(
        image, nuclide="Y-90", structures=[Region.from_coverage(name, GRID, mask(name)) for name in BOXES],
        engine="local",
        options=hepatica.DoseOptions(
            quantification=stated, clinical=hepatica.StructureOptions(agent="glass"),
            density=hepatica.DensityOptions(uniform_density_g_ml=1.04),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("background", [0.0, 150.0])
def test_it_is_unknown_from_the_result_to_the_question(background: float, tmp_path: Path) -> None:
    """A constant background tells no more about noise than none does, whatever its level."""
    result = dose(background)
    place = next(one for one in result.deposits if one.found)
    assert place.activity_share.value == pytest.approx(0.02, rel=0.1)
    assert place.activity_share.sd is None
    assert place.dose_gy.sd is None
    drawn = next(one for one in result.deposits if not one.found)
    assert drawn.activity_share.sd is None

    result.save(tmp_path / "dose")
    written = json.loads((tmp_path / "dose" / "result.json").read_text())
    jsonschema.validate(written, hepatica.DoseResult.schema())
    row = next(one for one in written["deposits"] if one["found"])
    assert row["activity_share_sd"] is None
    assert row["dose_gy_sd"] is None

    table = result.deposits_table()
    assert table is not None
    assert "± not stated" in str(table)
    assert result.elsewhere is not None
    assert "± not stated" in (tmp_path / "dose" / "report.html").read_text()
    assert "± not stated" in str(uptake_table(result.elsewhere.search))
    (message,) = result.elsewhere.search.messages(technetium=False)
    assert "±" not in message.text
    assert "(uncertainty not known)" in message.text

    treatment = judged_treatment(tmp_path / "dose" / "result.json")
    (elsewhere,) = treatment.elsewhere
    assert (elsewhere.share_sd, elsewhere.dose_sd_gy) == (None, None)
    asked = [one for one in suggestions(treatment) if one.structure == elsewhere.name]
    assert {(one.kind, one.certainty) for one in asked} == {("watch", "not known"), ("mitigate", "not known")}
    assert all((one.low_gy, one.high_gy) == (None, None) for one in asked)
    assert all("95 %: not known" in one.finding for one in asked)


def test_a_background_with_noise_tells_it() -> None:
    """Of the share at once; of the dose where the image's scale is known too."""
    noise = np.random.default_rng(3).normal(150.0, 30.0, GRID.shape)
    place = next(one for one in dose(noise).deposits if one.found)
    assert place.activity_share.sd is not None
    assert 0 < place.activity_share.sd < 0.002
    assert place.dose_gy.sd is None
    known = next(one for one in dose(noise, Estimate(1.0, 0.05)).deposits if one.found)
    assert known.dose_gy.sd is not None
    assert known.dose_gy.sd > 0.05 * known.dose_gy.value
