import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hepatica.anatomy.phantoms.objects import grid_around, sphere_in_water, water_cylinder
from hepatica.core import Estimate, Kind, Volume, acquisition_decay_factor
from hepatica.core.document import document
from hepatica.errors import InputError, PhysicsError, TimeError, UnitError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.activity import Administration
from hepatica.imaging.quantify.camera_factor import (
    CameraCalibration,
    DeadTime,
    Exposure,
    KnownActivity,
    ReconstructedSource,
    calibrate_exposures,
    calibrate_known_activity,
    calibrate_reconstruction,
)
from hepatica.imaging.quantify.dead_time import observed_rate
from hepatica.imaging.quantify.response import GaussianPsf

NOON = datetime(2026, 3, 2, 12, 0)
HALF_LIFE = Estimate(6.0067 * 3600, 0.0010 * 3600)
TC = Conditions("Tc-99m", "siemens-lehr", (126.0, 154.0))


def known(**changes: object) -> KnownActivity:
    return KnownActivity(**({"activity": Estimate(50e6, 1e6), "time": NOON, "half_life": HALF_LIFE} | changes))  # type: ignore[arg-type]


def counts_of(factor: float, start: datetime, duration_s: float) -> float:
    now = 50 * 2 ** (-(start - NOON).total_seconds() / HALF_LIFE.value)
    return factor * now * duration_s * acquisition_decay_factor(duration_s, HALF_LIFE.value)


def test_two_heads_looking_at_a_dish() -> None:
    start = NOON + timedelta(hours=3)
    background = 900.0
    exposures = [
        Exposure(counts_of(f, start, 600.0) + background * 2, 600.0, start, background, 300.0, name=f"head {n}")
        for n, f in ((1, 90.0), (2, 92.0))
    ]
    found = calibrate_exposures(exposures, known(), source="planar", conditions=TC, heads=2)
    assert found.factor.value == pytest.approx(91.0, rel=1e-9)
    assert found.all_heads.value == pytest.approx(182.0, rel=1e-9)
    parts = {part.name: part.relative_sd for part in found.budget}
    net = sum(e.counts - 1800 for e in exposures)
    gross = sum(e.counts for e in exposures)
    assert parts["counting and background"] == pytest.approx(math.sqrt(gross + 2 * 4 * 900) / net)
    assert parts["activity meter"] == pytest.approx(0.02)
    assert parts["half-life"] == pytest.approx(math.log(2) * 3 / 6.0067 * 0.001 / 6.0067, rel=1e-6)
    assert parts["clock"] == 0
    assert found.factor.relative_sd == pytest.approx(math.sqrt(sum((p or 0) ** 2 for p in parts.values())))
    assert found.activity_mbq == pytest.approx(50 * 2 ** (-3 / 6.0067))
    assert found.messages == ()


def test_dead_time_and_residual_are_corrected() -> None:
    tau, duration = 2e-6, 100.0
    start = NOON + timedelta(minutes=10)
    source = known(residual_bq=4e6, residual_time=NOON + timedelta(minutes=4))
    held = 50e6 - 4e6 * 2 ** (4 / 60 / 6.0067)
    assert source.net_bq == pytest.approx(held)
    true = 91.0 * source.at(start) / 1e6 * acquisition_decay_factor(duration, HALF_LIFE.value) * 20
    for model in ("paralysable", "non-paralysable"):
        seen = float(observed_rate(true, tau_s=tau, model=model)) * duration  # type: ignore[arg-type]
        lossy = [Exposure(seen / 2, duration, start, all_counts=seen)]
        found = calibrate_exposures(
            lossy,
            source,
            source="point",
            conditions=TC,
            dead_time=DeadTime(Estimate(tau, 2e-7), model),  # type: ignore[arg-type]
        )
        assert found.factor.value == pytest.approx(910.0, rel=1e-6)
        wider = calibrate_exposures(
            lossy,
            source,
            source="point",
            conditions=TC,
            dead_time=DeadTime(Estimate(tau * 1.001, 0.0), model),  # type: ignore[arg-type]
        )
        part = next(p.relative_sd for p in found.budget if p.name == "dead time")
        # First order: a step of 0.1 % of tau against a tenth of it.
        assert part == pytest.approx((wider.factor.value / found.factor.value - 1) * 100, rel=0.02)
    with pytest.raises(PhysicsError, match="above the largest"):
        calibrate_exposures(
            [Exposure(1e8, 1.0, start)], source, source="point", conditions=TC, dead_time=DeadTime(Estimate(1e-6, 0.0))
        )


def test_heads_that_differ_and_unknown_uncertainties_are_told() -> None:
    exposures = [Exposure(counts_of(f, NOON, 60.0), 60.0, NOON, name=f"head {n}") for n, f in ((1, 90.0), (2, 100.0))]
    found = calibrate_exposures(exposures, known(activity=Estimate(50e6)), source="planar", conditions=TC)
    assert found.factor.sd is None
    assert found.messages[0].text.startswith("the exposures differ by 11 %: head 1 90, head 2 100 cps/MBq")
    assert "activity meter is not stated" in found.messages[1].text


def seen_in(image: Volume, **changes: object) -> ReconstructedSource:
    return ReconstructedSource(**({"image": image, "head_time_s": 1200.0, "decay_corrected": True} | changes))  # type: ignore[arg-type]


def test_a_sphere_in_water_by_all_its_counts() -> None:
    grid = grid_around((230, 230, 230), spacing_mm=(4.5, 4.5, 5.0))
    phantom = sphere_in_water(grid, diameter_mm=60)
    truth = phantom.activity(total_bq={"sphere": 50e6}, time=NOON).values / 1e6
    image = Volume(grid, GaussianPsf(12.0).blur(truth, grid) * 11.0 * 1200 + 0.2, Kind.COUNTS, NOON)
    around, shell = sphere_in_water(grid, diameter_mm=100).regions["sphere"], water_cylinder(grid, diameter_mm=180)
    far = shell.regions["cylinder"] - sphere_in_water(grid, diameter_mm=120).regions["sphere"]
    found = calibrate_reconstruction(
        seen_in(image, region=around, background=far), known(), source="sphere", conditions=TC
    )
    assert found.factor.value == pytest.approx(11.0, rel=2e-3)
    no_background = calibrate_reconstruction(seen_in(image, region=around), known(), source="sphere", conditions=TC)
    assert no_background.factor.value > found.factor.value
    decaying = calibrate_reconstruction(
        seen_in(image, region=around, background=far, decay_corrected=False, heads=2), known(), source="sphere",
        conditions=TC,
    )  # fmt: skip
    assert decaying.factor.value / found.factor.value == pytest.approx(
        1 / acquisition_decay_factor(600.0, HALF_LIFE.value)
    )


def test_a_large_cylinder_by_its_inside() -> None:
    grid = grid_around((230, 230, 230), spacing_mm=(4.5, 4.5, 5.0))
    phantom = water_cylinder(grid)
    truth = phantom.activity(total_bq={"cylinder": 50e6}, time=NOON).values / 1e6
    noise = np.random.default_rng(1).normal(1, 0.05, grid.shape)
    image = Volume(grid, GaussianPsf(14.0).blur(truth, grid) * 11.0 * 1200 * noise, Kind.COUNTS, NOON)
    volume = Estimate(phantom.regions["cylinder"].volume_ml, 30.0)
    found = calibrate_reconstruction(
        seen_in(image, region=phantom.regions["core"], volume_ml=volume), known(), source="cylinder", conditions=TC
    )
    # 5 % noise over some 20 000 voxels is 0.04 %.
    assert found.factor.value == pytest.approx(11.0, rel=2e-3)
    parts = {part.name: part.relative_sd for part in found.budget}
    assert parts["volume"] == pytest.approx(30 / volume.value)
    counting = parts["counting"]
    assert counting is not None
    assert 0.00005 < counting < 0.002
    with pytest.raises(InputError, match="larger"):
        calibrate_reconstruction(
            seen_in(image, region=phantom.regions["cylinder"], volume_ml=Estimate(100.0, 1.0)), known(),
            source="cylinder", conditions=TC,
        )  # fmt: skip
    with pytest.raises(InputError, match="needs the volume"):
        calibrate_reconstruction(
            seen_in(image, region=phantom.regions["core"]), known(), source="cylinder", conditions=TC
        )
    with pytest.raises(UnitError, match="holds activity per voxel"):
        seen_in(image.with_values(image.values, Kind.ACTIVITY))
    timeless = Volume(grid, image.values, Kind.COUNTS)
    with pytest.raises(TimeError, match="no instant"):
        calibrate_reconstruction(
            seen_in(timeless, region=phantom.regions["core"], volume_ml=volume), known(), source="cylinder",
            conditions=TC,
        )  # fmt: skip


def test_a_patients_own_image_of_known_activity() -> None:
    grid = grid_around((100, 100, 100), spacing_mm=(5, 5, 5))
    scan = NOON + timedelta(hours=6.0067)
    given = Administration(Estimate(100e6, 2e6), NOON, residual_fraction=Estimate(0.1, 0.0))
    image = Volume(grid, np.full(grid.shape, 11.0 * 1200 * 45 / grid.size), Kind.COUNTS, scan)
    found = calibrate_known_activity(seen_in(image), given, half_life=HALF_LIFE, conditions=TC)
    assert found.factor.value == pytest.approx(11.0, rel=1e-6)
    assert found.factor.relative_sd == pytest.approx(0.02, rel=0.01)
    assert found.source == "known-activity"


def test_a_calibration_survives_json() -> None:
    found = calibrate_exposures([Exposure(1e6, 60.0, NOON)], known(), source="point", conditions=TC)
    assert CameraCalibration.from_dict(json.loads(json.dumps(document(found)))) == found
    for broken, message in (
        ({"kind": "hepatica recovery curve"}, "not a camera calibration"),
        ({"factor_cps_per_mbq": -1.0}, "must be positive"),
        ({"factor_cps_per_mbq": "91"}, "factor_cps_per_mbq"),
        ({"measured_at": "yesterday"}, "is no instant"),
        ({"source": "guess"}, "unknown calibration source 'guess'"),
        ({"heads": 0}, "at least one head"),
        ({"conditions": {}}, "nuclide is missing"),
        ({"conditions": ["x"]}, "conditions: expected a table"),
        ({"conditions": {"nuclide": "Tc-99m", "camera": 5}}, "camera: 5 is no name"),
        ({"budget": ["meter"]}, "budget"),
        ({"budget": 5}, "budget: expected a list"),
        ({"budget": [{"name": "meter", "sd_percent": -1.0}]}, "sd_percent: -1 is below zero"),
        ({"messages": {"code": "x"}}, "messages: expected a list"),
        ({"messages": [{"code": "x", "severity": "dire"}]}, "severity 'dire' is none of"),
        ({"heads": 1.5}, "whole number"),
        ({"heads": 10**400}, "finite"),
        ({"activity_mbq": -1.0}, "positive"),
    ):
        with pytest.raises(InputError, match=message):
            CameraCalibration.from_dict(document(found) | broken)


def test_impossible_sources_are_refused() -> None:
    for changes, message in (
        ({"activity": Estimate(-1.0)}, "must be positive"),
        ({"residual_bq": -1.0}, "cannot be negative"),
        ({"residual_bq": 60e6}, "leaves nothing"),
        ({"half_life": Estimate(0.0)}, "half-life must be positive"),
        ({"clock_sd_s": -1.0}, "cannot be negative"),
    ):
        with pytest.raises(InputError, match=message):
            known(**changes)
    for words, message in (
        ((0.0, 60.0, NOON), "must be positive"),
        ((100.0, 60.0, NOON, 50.0), "need the time"),
        ((100.0, 60.0, NOON, 100.0, 60.0), "no source in it"),
        ((100.0, 60.0, NOON, -1.0, 60.0), "cannot be negative"),
    ):
        with pytest.raises(InputError, match=message):
            Exposure(*words)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least one exposure"):
        calibrate_exposures([], known(), source="point", conditions=TC)
    with pytest.raises(InputError, match="from a reconstruction"):
        calibrate_exposures([Exposure(1.0, 1.0, NOON)], known(), source="sphere", conditions=TC)
    with pytest.raises(TimeError, match=r"half-lives apart; one of the dates is wrong"):
        known().at(NOON + timedelta(days=9))
    with pytest.raises(TimeError, match="half-lives apart"):
        known(residual_bq=1e6, residual_time=NOON - timedelta(days=400))
    with pytest.raises(TimeError, match="time zone"):
        calibrate_exposures([Exposure(1.0, 1.0, NOON.replace(tzinfo=UTC))], known(), source="point", conditions=TC)
