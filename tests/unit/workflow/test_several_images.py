"""Several time points, and ways in time, from the front door."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.errors import GeometryError, TableError

START = datetime(2026, 3, 2, 10)
HALF_LIFE_H = 159.5
FRAMES = ("1.2.3.1", "1.2.3.2", "1.2.3.3")


def scan(hours: float, value: float, frame: str | None = None) -> hepatica.Image:
    at = START + timedelta(hours=hours)
    image = hepatica.Image.from_array(
        np.full((6, 6, 6), value), unit="Bq/mL", spacing_mm=(4, 4, 4), time=at, start=at, nuclide="Lu-177"
    )
    return in_frame(image, frame)


def in_frame(image: hepatica.Image, frame: str | None) -> hepatica.Image:
    return replace(image, volume=image.volume.in_frame(frame))


CT = in_frame(hepatica.Image.from_array(np.zeros((6, 6, 6)), unit="HU", spacing_mm=(4, 4, 4)), FRAMES[2])
BODY = hepatica.Region.from_coverage("body", CT.volume.grid, np.ones((6, 6, 6)))
SCANS = [scan(4, 1e5, FRAMES[0]), scan(28, 1e5 * 2 ** (-24 / 80), FRAMES[1])]
GIVEN = hepatica.QuantificationOptions(administered_at=START)


def decays(activity: object, **options: object) -> float:
    registered = hepatica.CtOptions(registered=True)
    asked = hepatica.DoseOptions(scanner=registered, quantification=GIVEN, **options)  # type: ignore[arg-type]
    result = hepatica.absorbed_dose(
        activity,
        ct=CT,
        nuclide="Lu-177",
        structures=BODY,
        engine="local",
        options=asked,  # type: ignore[arg-type]
    )
    return float(result.as_dict()["decays"])


def test_registered_holds_for_every_image() -> None:
    volume_ml = 216 * 0.064
    exact = 1e5 * volume_ml * 2 ** (4 / 80) * 80 * 3600 / math.log(2)
    assert decays(SCANS) == pytest.approx(exact, rel=1e-4)


def test_images_in_different_frames_are_refused_by_name_unless_registered() -> None:
    plain = hepatica.Image.from_array(np.zeros((6, 6, 6)), unit="HU", spacing_mm=(4, 4, 4))
    for ct in (CT, plain):
        with pytest.raises(GeometryError, match=r"different frames of reference.*`registered`"):
            hepatica.absorbed_dose(
                SCANS, ct=ct, nuclide="Lu-177", engine="local", options=hepatica.DoseOptions(quantification=GIVEN)
            )


def test_a_planar_curve_from_a_file_gives_the_course_and_stands_in_the_provenance(tmp_path: Path) -> None:
    path = tmp_path / "planar.csv"
    path.write_text("time_h,activity\n" + "".join(f"{h},{50 * 2 ** (-h / 80)}\n" for h in (2, 24, 48, 120)))
    exact = decays(SCANS)
    assert decays(SCANS[1], time=hepatica.TimeOptions(time_curve=path)) == pytest.approx(exact, rel=1e-4)
    path.write_text("time_h,activity\n2,1\n24,x\n")
    with pytest.raises(TableError, match="row 3, column 'activity'"):
        decays(SCANS[1], time=hepatica.TimeOptions(time_curve=path))


def test_the_spread_of_a_half_life_is_in_the_uncertainty() -> None:
    time = hepatica.TimeOptions(effective_half_life_s=80 * 3600, effective_half_life_sd_s=20 * 3600)
    asked = hepatica.DoseOptions(scanner=hepatica.CtOptions(registered=True), quantification=GIVEN, time=time)
    result = hepatica.absorbed_dose(SCANS[1], ct=CT, nuclide="Lu-177", structures=BODY, engine="local", options=asked)
    assert result.count.time_relative_sd == pytest.approx((1 - math.log(2) * 28 / 80) * 0.25)
