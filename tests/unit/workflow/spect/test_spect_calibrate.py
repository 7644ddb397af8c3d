"""Calibration on values: planar arrays, projections and images that never were files; what is refused."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.anatomy.phantoms.objects import grid_around, nema_grid, nema_phantom, water_cylinder
from hepatica.core import Grid, acquisition_decay_factor
from hepatica.core.document import document
from hepatica.core.image import Image
from hepatica.errors import HepaticaError, InputError, TimeError, UnitError
from hepatica.imaging.calibration.options import (
    CameraExposureOptions,
    PhantomOptions,
    SourceImageOptions,
    SourceOptions,
)
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.recovery import RecoveryCurve
from hepatica.imaging.quantify.response import GaussianPsf
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.io.calibration_files import load_calibration, load_recovery
from hepatica.nuclides import nuclide
from hepatica.workflow.spect.calibrate import calibrate_camera

WHEN = datetime(2026, 3, 2, 10)
KNOWN: dict[str, Any] = {"source_activity_bq": 50e6, "source_activity_at": WHEN, "source_activity_sd": 0.02}
CPS = 11.8 * 50
"""Counts per second of the source in one head."""


def planar(counts: float, **facts: Any) -> Image:
    """A dish of 40 mm in the middle of a field of 200 mm, two views."""
    grid = Grid.axial((50, 50, 2), spacing_mm=(4, 4, 4), origin_mm=(-98, -98, 0))
    x, y, _ = np.moveaxis(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    dish = np.hypot(x, y) < 20
    level = counts / dish.sum() * 2
    known = {"time": WHEN, "nuclide": "Lu-177", "frame_duration_s": 600.0} | facts
    return Image.from_array(np.where(dish, level, 0.0) + 1.0, unit="counts", grid=grid, **known)


def point(**changes: Any) -> Projections:
    """A point source in air, in eight views of one head, each of a minute."""
    counts = np.full((2, 8, 10, 10), CPS * 60 / 100)
    counts[1] = 1.0
    windows = (Window(187.5, 229.2), Window(229.2, 250.0))
    known = {"axis_mm": (0.0, 0.0, 0.0), "start": WHEN, "nuclide": "Lu-177"} | changes
    return Projections(counts, Orbit.circular(8, radius_mm=150), windows, (5.0, 5.0), 60.0, **known)


def test_arrays_give_the_factor() -> None:
    source = SourceOptions(source="planar", **KNOWN)
    blank = Image.from_array(np.ones((50, 50, 2)), unit="counts", grid=planar(1.0).grid, time=WHEN)
    dish = calibrate_camera(
        planar(CPS * 600),
        source=source,
        exposure=CameraExposureOptions(blank=blank, circle_mm=100.0, frame_duration_s=600),
    )
    assert dish.calibration is not None
    assert dish.calibration.factor.value == pytest.approx(11.8, rel=1e-3)
    assert dish.table().rows[0][0] == "counting and background"
    turned = calibrate_camera(
        point(), source=replace(source, source="point"), stated=SourceImageOptions(camera="siemens-megp")
    )
    assert turned.calibration is not None
    # Counts that did not decay, of a source that does: eight minutes.
    decay = acquisition_decay_factor(480.0, nuclide("Lu-177").half_life_s)
    assert turned.calibration.factor.value == pytest.approx(11.8 / decay, rel=1e-6)
    assert turned.calibration.conditions.window_kev == (187.5, 229.2)
    assert [source.files for source in turned.provenance.inputs] == [0]


def test_the_files_are_read_by_other_verbs(tmp_path: Path) -> None:
    found = calibrate_camera(point(), source=SourceOptions(source="point", **KNOWN))
    found.save(tmp_path / "factor")
    again = load_calibration(tmp_path / "factor/calibration.json")
    assert replace(again, messages=()) == replace(found.measured, messages=())
    assert json.loads((tmp_path / "factor/result.json").read_text())["kind"] == "hepatica camera calibration"
    assert CameraCalibration.from_dict(document(found.measured)) == found.measured
    spheres = nema_phantom(nema_grid((5, 5, 5)))
    activity = spheres.activity(
        dict.fromkeys(spheres.sphere_diameters_mm, 8e5) | {"background": 1e5}, time=WHEN + timedelta(days=1)
    )
    seen = GaussianPsf(12.0).blur(activity.values, activity.grid) / activity.grid.voxel_volume_ml
    image = Image.from_array(seen, unit="Bq/mL", grid=activity.grid, time=activity.time, nuclide="Lu-177")
    filled = SourceOptions(
        source="nema", source_activity_at=activity.time, concentration_bq_ml=8e5, background_bq_ml=1e5
    )
    by_place = calibrate_camera(image, source=filled, phantom=PhantomOptions(centre_mm=(0.0, 0.0, 0.0)))
    drawn = tuple(spheres.regions[name] for name in (*spheres.sphere_diameters_mm, "background"))
    by_regions = calibrate_camera(image, source=filled, phantom=PhantomOptions(structures=drawn))
    for result in (by_place, by_regions):
        assert result.curve is not None
        # A Gaussian of 12 mm on spheres in closed form: 37 mm recover 0.68, 10 mm 0.05.
        assert 0.6 < result.curve.spheres[-1].mean.value < 0.75
    by_place.save(tmp_path / "spheres")
    curve = load_recovery(tmp_path / "spheres/recovery.json")
    assert isinstance(curve, RecoveryCurve)
    assert (tmp_path / "spheres/recovery.png").is_file()
    assert curve == by_place.measured
    assert "sphere-not-seen" not in {message.code for message in by_place.messages}
    unseen = seen.copy()
    small = spheres.regions["sphere 10 mm"]
    unseen[small.window][small.coverage > 0] = 0.5e5
    noisy = Image.from_array(unseen, unit="Bq/mL", grid=activity.grid, time=activity.time, nuclide="Lu-177")
    without = calibrate_camera(noisy, source=filled, phantom=PhantomOptions(structures=drawn))
    assert without.curve is not None
    assert [sphere.diameter_mm for sphere in without.curve.spheres] == pytest.approx([13, 17, 22, 28, 37])
    (said,) = [message.text for message in without.messages if message.code == "sphere-not-seen"]
    assert "spheres of 10 mm are left out" in said


@pytest.mark.parametrize(
    ("image", "source", "told", "error", "message"),
    [
        (planar(1e5), {"source": "planar"}, {}, InputError, "needs `source_activity_bq`"),
        (planar(1e5), {"source": "nema", **KNOWN}, {}, InputError, "needs `concentration_bq_ml`"),
        (planar(1e5), {"source": "dish", **KNOWN}, {}, InputError, "unknown `source` 'dish'"),
        (planar(1e5), {"source": "planar", **KNOWN, "residual": 3.0}, {}, InputError, "did you mean `source_residual_"),
        (planar(1e5, time=None), {"source": "planar", **KNOWN}, {}, TimeError, "state `activity_at` and"),
        (planar(1e5, nuclide=None), {"source": "planar", **KNOWN}, {}, InputError, "state `nuclide`"),
        (point(), {"source": "cylinder", **KNOWN}, {}, InputError, "give the factor of a dish or point in air"),
        (point(), {"source": "sphere", **KNOWN}, {}, InputError, "projections of a sphere fit the counts through lead"),
        (point(start=None), {"source": "point", **KNOWN}, {}, TimeError, "no instant"),
        (
            point(), {"source": "point", **KNOWN}, {"exposure": CameraExposureOptions(circle_mm=10.0)}, InputError,
            "`blank` and `circle_mm` are for planar images",
        ),
        (
            point(), {"source": "point", **KNOWN}, {"exposure": CameraExposureOptions(frame_duration_s=600.0)},
            InputError,
            r"`frame_duration_s` and `head_time_s` have no effect: .*60 s",
        ),
        (
            point(), {"source": "point", **KNOWN}, {"exposure": CameraExposureOptions(heads=2)}, InputError,
            "`heads` is 2, but in the projections 1 counted at once",
        ),
        (planar(1e5), {"source": "sphere", **KNOWN}, {}, InputError, "`head_time_s`"),
        (
            planar(1e5), {"source": "sphere", **KNOWN}, {"exposure": CameraExposureOptions(head_time_s=60.0)},
            InputError,
            "needs `diameter_mm`",
        ),
        (
            planar(1e5), {"source": "nema", "source_activity_at": WHEN, "concentration_bq_ml": 1e5}, {}, UnitError,
            "give the camera factor with `calibration`",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    image: Image | Projections, source: dict[str, Any], told: dict[str, Any], error: type[HepaticaError], message: str
) -> None:
    made = {"source_activity_at": WHEN} | source
    with pytest.raises(error, match=message):
        calibrate_camera(image, source=SourceOptions(**made), **told)


def test_a_factor_in_water_unlike_the_model_and_counts_beyond_the_walls_are_said() -> None:
    """120 mm of water of 177Lu at 10.5 cps/MBq (the model: 10.46), then stated as narrower.

    The factor goes with the volume that is stated, (80 / 120)^2 = 0.44 and (60 / 120)^2 = 0.25 of the true one; 60 mm
    leave, with 20 mm of margin on each side, 1 - (100 / 120)^2 = 31 % of the counts outside, 80 mm none.
    """
    grid = grid_around((200.0, 200.0, 200.0), spacing_mm=(5.0, 5.0, 5.0))
    phantom = water_cylinder(grid, diameter_mm=120, length_mm=120)
    activity = phantom.activity({"cylinder": 1.0}, time=WHEN)
    values = activity.values / activity.total * 10.5 * 50 * 600
    image = Image.from_array(
        values, unit="counts", grid=grid, time=WHEN, nuclide="Lu-177", energy_windows_kev=((187.5, 229.2),)
    )
    stated = SourceImageOptions(camera="siemens-megp")

    def codes(diameter_mm: float) -> set[str]:
        found = calibrate_camera(
            image, source=SourceOptions(source="cylinder", **KNOWN), stated=stated,
            phantom=PhantomOptions(diameter_mm=diameter_mm, length_mm=120.0, centre_mm=(0.0, 0.0, 0.0), margin_mm=20.0),
            exposure=CameraExposureOptions(head_time_s=600.0),
        )  # fmt: skip
        assert found.calibration is not None
        assert found.calibration.messages == tuple(m for m in found.messages if m in found.calibration.messages)
        return {message.code for message in found.messages if message.severity == "critical"}

    assert codes(120.0) == set()
    assert codes(80.0) == {"factor-unlike-model"}
    assert codes(60.0) == {"factor-unlike-model", "counts-beyond-walls"}
