"""131I dish and syringe of a real camera, with the background of both its detectors in one file.

Files of `nm-i131-planar` (300 s, 340 to 395 keV; dish 734 056 counts, syringe 719 508, background 5 855 and 4 693): the
source was seen by the head with collimator @30429646, which is the second in the background's file. Their activity is
not stated in the files, so the factor is checked against counts over decayed activity by hand.
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

import hepatica
from hepatica.errors import InputError

MEASURED_AT = datetime(2012, 10, 2, 16)


@pytest.mark.parametrize(
    ("name", "counts", "start"),
    [
        ("petridish", 734_056, datetime(2012, 10, 2, 16, 33, 17, 265000)),
        ("syringe-1cc", 719_508, datetime(2012, 10, 2, 17, 26, 16, 937000)),
    ],
)
def test_background_of_the_head_that_saw_the_source(real_data: Path, name: str, counts: int, start: datetime) -> None:
    folder = real_data / "nm-i131-planar"
    found = hepatica.calibrate_camera(
        folder / f"{name}.dcm",
        source=hepatica.SourceOptions(
            source="planar", source_activity_bq=37e6, source_activity_at=MEASURED_AT, source_activity_sd=0.05
        ),
        exposure=hepatica.CameraExposureOptions(blank=folder / "background.dcm"),
    ).measured
    assert isinstance(found, hepatica.CameraCalibration)
    rate = np.log(2) / hepatica.nuclide("I-131").half_life_s
    elapsed = (start - MEASURED_AT).total_seconds()
    mean = 37.0 * np.exp(-rate * elapsed) * (1 - np.exp(-rate * 300)) / (rate * 300)
    by_hand = (counts - 4693) / 299.994 / mean
    # The wrong head's background (5 855) would be 0.16 % lower, no background 0.64 % higher.
    assert found.factor.value == pytest.approx(by_hand, rel=2e-4)
    assert found.factor.relative_sd == pytest.approx(0.05, rel=0.01)


def test_background_of_another_head_is_refused(real_data: Path, tmp_path: Path) -> None:
    import pydicom

    folder = real_data / "nm-i131-planar"
    dataset = pydicom.dcmread(folder / "petridish.dcm")
    dataset.DetectorInformationSequence[0].CollimatorGridName = "@1"
    dataset.save_as(tmp_path / "dish.dcm")
    with pytest.raises(InputError, match="give the blank of the same head"):
        hepatica.calibrate_camera(
            tmp_path / "dish.dcm",
            source=hepatica.SourceOptions(source="planar", source_activity_bq=37e6, source_activity_at=MEASURED_AT),
            exposure=hepatica.CameraExposureOptions(blank=folder / "background.dcm"),
        )
