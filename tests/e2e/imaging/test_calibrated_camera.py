"""A camera unlike its model, by files: `calibrate`, then `simulate`, `reconstruct` and `dose` with what it found."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from hepatica.anatomy.phantoms.objects import Phantom, grid_around, water_cylinder
from hepatica.anatomy.phantoms.solids import Ball, sampled
from hepatica.cli.main import main
from hepatica.core import Estimate, Kind, Volume
from hepatica.core.document import document
from hepatica.imaging.calibration import penetration
from hepatica.imaging.quantify.recovery import RecoveryCurve, SphereRecovery
from hepatica.io.calibration_files import conditions_of
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image

WHEN = datetime(2026, 3, 2, 10, 0)
TRUE_LEAD, BQ = 1.3, {"air": 200e6, "water": 1e9}
PLACES = {"air": {"near": "100 mm", "far": "400 mm"}, "water": {"water": "130 mm"}}
SCAN = (
    "--nuclide", "Y-90", "--camera", "siemens-hegp", "--method", "montecarlo", "--views", "8",
    "--frame-duration", "40 s", "--pixel", "9.6 mm", "--columns", "54", "--skip-spectrum", "--histories", "200000",
    "--activity-unit", "Bq/mL", "--activity-at", WHEN.isoformat(), "--threads", "1",
)  # fmt: skip
KNOWN = ("--source-activity-at", WHEN.isoformat(), "--source-activity-sd", "1 %", "--json")
FILLED = ("--diameter", "200 mm", "--length", "200 mm")
LITTLE = ("--scatter", "mc", "--histories", "100000", "--iterations", "4", "--subsets", "2", "--json")


def command(*words: str | Path, code: int = 0) -> tuple[dict, str]:
    """Document and messages of a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = main([*map(str, words)])
    assert found == code, err.getvalue()
    return (json.loads(out.getvalue()) if out.getvalue().startswith("{") else {}), err.getvalue()


def written(folder: Path, name: str, phantom: Phantom, bq: float) -> tuple[str | Path, ...]:
    """Words that name activity and CT of a phantom."""
    (compartment,) = phantom.compartments
    activity = phantom.activity(total_bq={compartment: bq}, time=WHEN)
    concentration = activity.with_values(activity.values / activity.grid.voxel_volume_ml, Kind.ACTIVITY_CONCENTRATION)
    write_itk(concentration, folder / f"{name}.nii.gz")
    write_itk(phantom.hu, folder / f"{name}-ct.nii.gz")
    return "--activity", folder / f"{name}.nii.gz", "--ct", folder / f"{name}-ct.nii.gz"


def ball(diameter_mm: float) -> Phantom:
    """A ball of water in air."""
    grid = grid_around((300, 300, 300), spacing_mm=(5.0, 5.0, 5.0))
    region = sampled("ball", Ball((0.0, 0.0, 0.0), diameter_mm), grid)
    hu = np.full(grid.shape, -1000, np.float32)
    hu[region.window] += 1000 * region.coverage
    return Phantom("ball", Volume(grid, hu, Kind.HU), {"ball": region}, ("ball",))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of a camera that sees 30 % more through lead than its model, and both calibrations of it."""
    folder = tmp_path_factory.mktemp("camera")
    phantoms = {
        "air": ball(30.0),
        "water": water_cylinder(grid_around((300, 300, 300), spacing_mm=(5.0, 5.0, 5.0))),
    }
    for name, phantom in phantoms.items():
        words = written(folder, name, phantom, BQ[name])
        for place, radius in PLACES[name].items():
            out = folder / f"scan-{place}"
            command("simulate", *words, *SCAN, "--radius", radius, "--penetration", TRUE_LEAD, "--out", out)
    fewer = pytest.MonkeyPatch()
    fewer.setattr(penetration, "HISTORIES", 200_000)
    of_ball = ("--source", "point", "--source-activity", f"{BQ['air']} Bq", *KNOWN, "--diameter", "30 mm")
    for place, more in (("near", ()), ("far", ("--calibration", folder / "near/calibration.json"))):
        image = folder / f"scan-{place}/projections.dcm"
        command("calibrate", image, *of_ball, "--camera", "siemens-hegp", *more, "--out", folder / place)
    command(
        "calibrate", folder / "scan-water/projections.dcm", "--source", "cylinder", *FILLED, *KNOWN,
        "--source-activity", f"{BQ['water']} Bq", "--calibration", folder / "near/calibration.json",
        "--out", folder / "two",
    )  # fmt: skip
    fewer.undo()
    return folder


def facts(file: Path) -> dict:
    return json.loads(file.read_text())


def test_air_says_that_the_camera_is_unlike_its_model_and_a_second_geometry_why(scans: Path) -> None:
    """Shares of lead of 0.59 near, 0.42 far and 0.51 in water: noise of 1 % in the ratio is 6 and 9 % of the lead.

    The simulations of source and cylinder leave 0.8 %, those of the model 1 %: less than two of the sd that are stated.
    """
    near, two, far = (facts(scans / name / "calibration.json") for name in ("near", "two", "far"))
    assert "sensitivity-unlike-model" in [message["code"] for message in near["messages"]]
    assert near["penetration"] is None
    assert 0.8 < near["kept_in_air"][0] < 0.95
    for found in (two, far):
        assert "penetration-fitted" in [message["code"] for message in found["messages"]]
        assert abs(found["penetration"] - TRUE_LEAD) < 2 * found["penetration_sd"]
        assert 0.03 < found["penetration_sd"] / TRUE_LEAD < 0.2
        assert found["factor_cps_per_mbq"] > near["factor_cps_per_mbq"]
    said = command(
        "calibrate", scans / "scan-water/projections.dcm", "--source", "cylinder", *FILLED, *KNOWN,
        "--source-activity", "1 GBq", code=2,
    )[1]  # fmt: skip
    assert "beside a factor in air" in said


def test_the_activity_of_the_camera_is_right_with_both_geometries(scans: Path, tmp_path: Path) -> None:
    """With the factor in air alone some per cent are missing, and it is said; the image then goes into a dose."""
    totals = {}
    for name in ("near", "two"):
        made, said = command(
            "reconstruct", scans / "scan-water", "--ct", scans / "water-ct.nii.gz", "--camera", "siemens-hegp", *LITTLE,
            "--calibration", scans / name / "calibration.json", "--out", tmp_path / name,
        )  # fmt: skip
        totals[name] = made["total_activity_mbq"] / 1e-6 / BQ["water"]
        assert ("more than the model" in said) == (name == "near")
    # The cylinder calibrates the very camera that sees it: what is left is the noise of three simulations.
    assert totals["two"] == pytest.approx(1, abs=0.03)
    # Found 0.94 and 0.955 with two generations of the Monte Carlo; its noise here is 1.2 % of a total, 2.5 sd are 3 %.
    assert totals["near"] < 0.97 * totals["two"]
    images = {name: read_image(tmp_path / name / "spect.dcm", role="activity") for name in totals}
    lead = {name: conditions_of(image).reconstruction["penetration"] for name, image in images.items()}
    assert lead == {"near": 1.0, "two": facts(scans / "two/calibration.json")["penetration"]}
    words = ("dose", "--ct", scans / "water-ct.nii.gz", "--nuclide", "Y-90", "--engine", "local", "--json")
    curve = tmp_path / "recovery.json"
    sphere = SphereRecovery(26.5, Estimate(0.8, 0.02))
    made = RecoveryCurve(10.0, 1.0, ((1e-4, 0.0), (0.0, 1e-4)), (sphere,), conditions_of(images["near"]))
    curve.write_text(json.dumps(document(made)))
    command(*words, "--activity", tmp_path / "two/spect.dcm")
    # Of the image that the curve was measured in, only that no tumour is drawn is refused.
    for name, message in (("near", "no structure is a tumour"), ("two", "penetration: 1 against")):
        with_curve = ("--activity", tmp_path / name / "spect.dcm", "--recovery", curve)
        assert message in command(*words, *with_curve, code=2)[1]


def test_a_simulated_scan_takes_the_calibration(scans: Path, tmp_path: Path) -> None:
    """Its counts are those that were calibrated, within the noise of both simulations and of the fit."""
    words = ("--activity", scans / "water.nii.gz", "--ct", scans / "water-ct.nii.gz", *SCAN, "--radius", "130 mm")
    taken = ("--calibration", scans / "two/calibration.json")
    made, _ = command("simulate", *words, *taken, "--json", "--out", tmp_path / "yes")
    before = facts(scans / "scan-water/result.json")
    assert made["montecarlo"]["penetration"] == facts(scans / "two/calibration.json")["penetration"]
    counts, wanted = (one["energy_windows"][0]["counts"] for one in (made, before))
    assert counts == pytest.approx(wanted, rel=0.02)
    for more in (("--penetration", "1.2"), ("--detector-response", "holes")):
        assert "calibration" in command("simulate", *words, *taken, *more, "--out", tmp_path / "no", code=2)[1]
