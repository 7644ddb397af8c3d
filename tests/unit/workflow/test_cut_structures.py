"""Structures that the activity image cuts off, whatever voxels it lies on: one quantity, that of the part seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.case.report.goals import goals_of_dose
from hepatica.core import Grid, Region
from hepatica.core.certainty import CountedRegion, ImageCertainty
from hepatica.core.image import Image
from hepatica.core.transform import Transform

GIVEN_AT = datetime(2026, 3, 2, 10, 30)
GRID = Grid.axial((16, 16, 20), spacing_mm=(10.0, 10.0, 5.0), frame_of_reference="1.2.3")
PLANES = slice(0, 14)
"""Of the image; the lungs have planes 9 to 16, so that it sees 5 of their 8."""


def masks() -> dict[str, np.ndarray]:
    x, y, z = np.mgrid[:16, :16, :20]
    body = (x - 8) ** 2 + (y - 8) ** 2 < 36
    return {
        "Liver": body & (z >= 1) & (z < 8),
        "Lungs": body & (z >= 9) & (z < 17),
        "Spleen": (x < 2) & (z > 1) & (z < 6),
    }


REGIONS = [Region.from_coverage(name, GRID, mask) for name, mask in masks().items()]


def ct() -> Image:
    hu = np.where(masks()["Lungs"], -700.0, 50.0)
    return Image.from_array(hu, unit="HU", grid=GRID, name="ct")


def pet(spleen_bq_ml: float = 1e4) -> Image:
    """Lungs with 2e5 Bq/mL in planes 0 to 13: 5 of the 8 planes of the lungs."""
    found = masks()
    activity = 2e6 * found["Liver"] + 2e5 * found["Lungs"] + spleen_bq_ml * found["Spleen"]
    seen = GRID.crop((slice(0, 16), slice(0, 16), PLANES))
    made = Image.from_array(activity[..., PLANES], unit="Bq/mL", grid=seen, time=GIVEN_AT, nuclide="Y-90", name="pet")
    return replace(made, acquisition=replace(made.acquisition, below_zero=True, certainty=ImageCertainty(0.04)))


def dose(image: Image) -> hepatica.DoseResult:
    options = hepatica.DoseOptions(
        quantification=hepatica.QuantificationOptions(administered_at=GIVEN_AT),
        clinical=hepatica.StructureOptions(agent="glass", indication="HCC"),
        settings=hepatica.DoseSettings(negatives="keep"),
    )
    return hepatica.absorbed_dose(image, ct=ct(), nuclide="Y-90", structures=REGIONS, engine="local", options=options)


def with_counting(image: Image, found: hepatica.DoseResult, **relative_sd: float) -> Image:
    rows = [found.structure(name) for name in relative_sd]
    counted = tuple(
        CountedRegion(row.dose.volume_ml, row.dose.activity_share, relative_sd[row.dose.name]) for row in rows
    )
    return replace(image, acquisition=replace(image.acquisition, certainty=ImageCertainty(0.04, counted=counted)))


def test_an_image_brought_to_the_ct_sees_no_more_than_before(tmp_path: Path) -> None:
    """2e5 Bq/mL of 90Y in all planes that are seen: the mean of the part, 5 of 8 planes, by both ways."""
    plain = dose(pet())
    identity = Transform.affine(np.eye(4))
    moved = hepatica.warp_image(pet(), to=ct(), registration=hepatica.TransformOptions(transform=identity))
    assert moved.image is not None
    warped = dose(moved.image)
    for found in (plain, warped):
        lungs = found.structure("Lungs")
        assert lungs.seen_share == pytest.approx(5 / 8, abs=1e-3)
        assert "lungs-cut-off" in {m.code for m in found.messages}
        assert not found.lung_doses.by_image.whole
        assert lungs.dose.volume_ml == pytest.approx(5 / 8 * REGIONS[1].volume_ml, rel=1e-3)
        kept = [row for row in found.limits if row.structure == "Lungs" and row.status in ("met", "near")]
        assert kept
        assert all(row.verdict.startswith("kept, of the 62 % seen") for row in kept)
    assert warped["Lungs"].dose_mean_gy == pytest.approx(plain["Lungs"].dose_mean_gy, rel=0.01)
    # Who adds doses up says the same of the same part.
    plain.save(tmp_path / "dose")
    summed = hepatica.accumulated_dose(tmp_path / "dose", tmp_path / "dose", structures=REGIONS, first_ct=ct()).course
    row = next(one for one in summed.structures if one.name == "Lungs")
    assert row.first_dose_mean_gy == pytest.approx(plain["Lungs"].dose_mean_gy, rel=0.01)
    assert row.seen_share == pytest.approx(5 / 8, abs=1e-3)


def test_counting_of_the_part_seen_reaches_its_dose_and_the_first_page() -> None:
    image = pet()
    plain = dose(image)
    limits = [row for row in plain.limits if row.structure == "Lungs"]
    assert all("counting not known" in row.verdict for row in limits if row.status == "met")
    found = dose(with_counting(image, plain, Lungs=0.17, Liver=0.02))
    assert found.structure("Lungs").uncertainty.counting_relative_sd == pytest.approx(0.17)
    document = found.as_dict()
    (goal, *_) = goals_of_dose(document, (0.0, ""), {}, {})["Lungs"]
    assert goal.qualifier == "of the 62 % seen"
    _, high = found.structure("Lungs").dose_mean_interval_95_gy
    mean = found["Lungs"].dose_mean_gy
    assert high - mean > 1.96 * 0.17 * mean


def test_a_mean_below_zero_has_the_interval_of_its_noise() -> None:
    """Spleen of -1e4 Bq/mL, known to 3e4 Bq/mL by counting: 0 to about (3e4 * 1.96 - 1e4) in dose."""
    image = pet(-1e4)
    plain = dose(image)
    spleen = plain.structure("Spleen")
    assert spleen.dose.dose_mean_gy < 0
    assert spleen.dose_mean_interval_95_gy is None
    assert "below zero by noise" in spleen.qualifier
    found = dose(with_counting(image, plain, Spleen=3.0)).structure("Spleen")
    size = abs(found.dose.dose_mean_gy)
    assert found.dose_mean_known_sd_gy == pytest.approx(size * np.hypot(3.0, 0.04), rel=0.01)
    assert found.dose_mean_interval_95_gy == pytest.approx((0.0, size * (1.96 * 3.0 - 1)), rel=0.01)
