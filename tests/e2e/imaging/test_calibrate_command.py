"""``hepatica calibrate`` on files: simulated, reconstructed sources must give back what they were made with."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from command_line import Done, hepatica
from hepatica.anatomy.phantoms.objects import (
    Phantom,
    disc_source,
    grid_around,
    nema_grid,
    nema_phantom,
    point_source,
    sphere_in_water,
    water_cylinder,
)
from hepatica.core import Kind, Volume
from hepatica.imaging.calibration.options import PhantomOptions, SourceOptions
from hepatica.imaging.quantify.blurred.sphere import mean_recovery
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.scan import MonteCarloScanOptions, ScanOptions
from hepatica.imaging.spect.scan_facts import ScannedActivityOptions, SimulationOptions
from hepatica.imaging.spect.scan_model import SpectOptions
from hepatica.io.itk import write_itk
from hepatica.transport.runner.settings import StoppingOptions
from hepatica.workflow.spect.calibrate import calibrate_camera
from hepatica.workflow.spect.reconstruct import reconstruct_spect
from hepatica.workflow.spect.simulate import simulate_spect

WHEN = datetime(2026, 3, 2, 10, 0)
MEASURED = ("--source-activity-at", "2026-03-02T08:00", "--source-activity-sd", "2 %")
EARLIER = 2 ** (2 / (6.6443 * 24))
"""Activity of 177Lu two hours before the scan over that at its start (half-life 6.6443 d, ENSDF)."""

SCAN = ScanOptions(views=16, frame_duration_s=225.0, pixel_mm=10.0, columns=32)
RECONSTRUCTION = IterationOptions(iterations=5, subsets=4)


def command(*words: str | Path, code: int = 0) -> Done:
    done = hepatica(*words)
    assert done.returncode == code, done.stderr
    return done


def refusal(*words: str | Path) -> str:
    """What the command says as it refuses."""
    return command("calibrate", *words, code=2).stderr


def scan(folder: Path, name: str, phantom: Phantom, **filled: dict[str, float]) -> None:
    activity = phantom.activity(time=WHEN, **filled)
    write_itk(
        activity.with_values(activity.values / activity.grid.voxel_volume_ml, Kind.ACTIVITY_CONCENTRATION),
        folder / f"{name}.nii.gz",
    )
    write_itk(phantom.hu, folder / f"{name}-ct.nii.gz")
    simulated(folder, name, WHEN)


def simulated(folder: Path, name: str, when: datetime, seed: int = 1) -> None:
    simulate_spect(
        folder / f"{name}.nii.gz",
        ct=folder / f"{name}-ct.nii.gz",
        nuclide="Lu-177",
        camera="siemens-megp",
        options=SimulationOptions(
            scan=SCAN,
            montecarlo=MonteCarloScanOptions(stopping=StoppingOptions(seed=seed)),
            stated=ScannedActivityOptions(activity_unit="Bq/mL", activity_at=when),
        ),
    ).save(folder / f"scan-{name}")


def reconstructed(folder: Path, name: str) -> None:
    reconstruct_spect(
        folder / f"scan-{name}/projections.dcm",
        ct=folder / f"{name}-ct.nii.gz",
        camera="siemens-megp",
        options=SpectOptions(iteration=RECONSTRUCTION),
    ).save(folder / f"spect-{name}")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    cylinder = water_cylinder(grid_around((220, 220, 220), spacing_mm=(5.0, 5.0, 5.0)))
    scan(folder, "cylinder", cylinder, total_bq={"cylinder": 400e6})
    nema = nema_phantom(nema_grid((5.0, 5.0, 5.0)), diameters_mm=(13, 17, 22, 28, 37))
    scan(folder, "nema", nema, concentration_bq_ml=dict.fromkeys(nema.sphere_diameters_mm, 2e6))
    for name in ("cylinder", "nema"):
        reconstructed(folder, name)
    small = grid_around((60, 60, 60), spacing_mm=(2.0, 2.0, 2.0))
    scan(folder, "point", point_source(small), total_bq={"source": 20e6})
    return folder


def test_a_cylinder_gives_the_cameras_factor(phantoms: Path) -> None:
    done = command(
        "calibrate", phantoms / "spect-cylinder", "--source", "cylinder",
        "--source-activity", f"{400 * EARLIER} MBq", *MEASURED,
        "--diameter", "200 mm", "--length", "200 mm", "--margin", "35 mm", "--volume-sd", "0.5 %",
        "--out", phantoms / "calibration", "--json",
    )  # fmt: skip
    facts = json.loads(done.stdout)
    truth = json.loads((phantoms / "scan-cylinder/result.json").read_text())["energy_windows"][0][
        "sensitivity_cps_per_mbq"
    ]
    # Noise of the inside is told by the budget; voxels of 10 mm against a simulation on 5 mm leave 2 %.
    counting = next(part["sd_percent"] for part in facts["budget"] if part["name"] == "counting")
    assert facts["factor_cps_per_mbq"] == pytest.approx(truth, rel=0.02 + 2 * counting / 100)
    assert 2 < facts["factor_sd_percent"] < 4
    assert facts["conditions"]["camera"] == "siemens-megp"
    assert facts["conditions"]["reconstruction"]["iterations"] == 5
    assert (
        json.loads((phantoms / "calibration/calibration.json").read_text())["factor_cps_per_mbq"]
        == facts["factor_cps_per_mbq"]
    )


def test_python_and_command_give_one_document(phantoms: Path) -> None:
    """A folder, and the result of the reconstruction itself, without a file between."""
    words = (phantoms / "spect-cylinder", "--source", "cylinder", "--source-activity", "400 MBq", *MEASURED,
             "--diameter", "200 mm", "--length", "200 mm", "--margin", "35 mm", "--json")  # fmt: skip
    by_command = json.loads(command("calibrate", *words).stdout)
    spect = reconstruct_spect(
        phantoms / "scan-cylinder",
        ct=phantoms / "cylinder-ct.nii.gz",
        camera="siemens-megp",
        options=SpectOptions(iteration=RECONSTRUCTION),
    )
    source = SourceOptions(
        source="cylinder", source_activity_bq=400e6, source_activity_at=datetime(2026, 3, 2, 8), source_activity_sd=0.02
    )
    place = PhantomOptions(diameter_mm=200, length_mm=200, margin_mm=35)
    by_folder = calibrate_camera(phantoms / "spect-cylinder", source=source, phantom=place).as_dict()
    by_value = calibrate_camera(spect, source=source, phantom=place).as_dict()
    for document in (by_command, by_folder, by_value):
        for volatile in ("provenance", "messages"):
            document.pop(volatile)
    assert by_folder == by_command
    # The file keeps counts to 8e-6 of the highest.
    assert by_value.pop("factor_cps_per_mbq") == pytest.approx(by_folder.pop("factor_cps_per_mbq"), rel=1e-5)
    assert by_value["conditions"] == by_folder["conditions"]


def test_a_point_in_air_gives_the_same(phantoms: Path) -> None:
    done = command(
        "calibrate", phantoms / "scan-point", "--source", "point", "--source-activity", f"{20 * EARLIER} MBq",
        *MEASURED, "--camera", "siemens-megp", "--heads", "2", "--json",
    )  # fmt: skip
    facts = json.loads(done.stdout)
    truth = json.loads((phantoms / "scan-point/result.json").read_text())["energy_windows"][0][
        "sensitivity_cps_per_mbq"
    ]
    # A ball of water of 1 mm spread over a voxel attenuates nothing; 8e5 counts are good to 0.1 %.
    assert facts["factor_cps_per_mbq"] == pytest.approx(truth, rel=0.005)
    assert facts["heads"] == 2
    words = ("--source", "point", "--source-activity", "20 MBq", "--source-activity-at", "2026-03-02T08:00")
    text = command("calibrate", phantoms / "scan-point", *words)
    assert "uncertainty not known" in text.stdout
    assert "activity meter is not stated" in text.stderr


def test_spheres_give_a_recovery_curve_with_figure(phantoms: Path) -> None:
    factor = phantoms / "factor.json"
    words = ("--source", "cylinder", "--source-activity", f"{400 * EARLIER} MBq", *MEASURED, "--diameter", "200 mm",
             "--length", "200 mm", "--margin", "35 mm", "--volume", "6283 mL", "--json")  # fmt: skip
    factor.write_text(command("calibrate", phantoms / "spect-cylinder", *words).stdout)
    words = ("--source", "nema", "--concentration", f"{2 * EARLIER} MBq/mL", *MEASURED)
    nema = nema_phantom(nema_grid((2.5, 2.5, 2.5)), diameters_mm=(13, 17, 22, 28, 37))
    labels = np.zeros(nema.grid.shape, dtype=np.int16)
    names = {}
    for number, name in enumerate(nema.sphere_diameters_mm, start=1):
        labels[nema.regions[name].mask()] = number
        names[str(number)] = name
    write_itk(Volume(nema.grid, labels, Kind.LABEL), phantoms / "spheres.nii.gz")
    (phantoms / "spheres.json").write_text(json.dumps(names))
    done = command(
        "calibrate", phantoms / "spect-nema", *words, "--structures", phantoms / "spheres.nii.gz",
        "--calibration", factor, "--out", phantoms / "recovery",
    )  # fmt: skip
    assert "Recovery = 1 / (1 +" in done.stdout
    curve = json.loads((phantoms / "recovery/recovery.json").read_text())
    means = [sphere["mean_recovery"] for sphere in curve["spheres"]]
    assert means == sorted(means)
    # No sphere keeps more than the blur that is left in the image lets it; 13 mm lose nearly all in coarse voxels.
    left_mm = curve["conditions"]["reconstruction"]["remaining_blur_mm"]
    assert 0 < means[0] < mean_recovery(13.0, left_mm)
    assert 0.5 < means[-1] < mean_recovery(37.0, left_mm)
    assert (phantoms / "recovery/recovery.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_scan_gives_back_its_truth(phantoms: Path) -> None:
    """Another filling, another day: factor and recovery of the first scans turn it into becquerels with uncertainty."""
    later = WHEN + timedelta(days=20)
    nema = nema_phantom(nema_grid((5.0, 5.0, 5.0)), diameters_mm=(17, 28, 37))
    activity = nema.activity(dict.fromkeys(nema.sphere_diameters_mm, 1.5e6), time=later)
    concentration = activity.values / activity.grid.voxel_volume_ml
    write_itk(activity.with_values(concentration, Kind.ACTIVITY_CONCENTRATION), phantoms / "second.nii.gz")
    write_itk(nema.hu, phantoms / "second-ct.nii.gz")
    simulated(phantoms, "second", later, seed=7)
    labels = np.zeros(nema.grid.shape, dtype=np.int16)
    labels[nema.regions["body"].mask()] = 9
    for number, name in enumerate(nema.sphere_diameters_mm, start=1):
        labels[nema.regions[name].mask()] = number
    write_itk(Volume(nema.grid, labels, Kind.LABEL), phantoms / "second-labels.nii.gz")
    names = {"9": "body", "1": "tumour 17", "2": "tumour 28", "3": "tumour 37"}
    (phantoms / "second-labels.json").write_text(json.dumps(names))
    calibration, recovery = phantoms / "calibration/calibration.json", phantoms / "recovery/recovery.json"
    made = command(
        "reconstruct", phantoms / "scan-second/projections.dcm", "--ct", phantoms / "second-ct.nii.gz", "--camera",
        "siemens-megp", "--iterations", "5", "--subsets", "4", "--calibration", calibration,
        "--out", phantoms / "spect-second", "--json",
    )  # fmt: skip
    facts = json.loads(made.stdout)
    # Three spheres of 1.5 MBq/mL; factor good to 2 to 3 %.
    assert facts["total_activity_mbq"] == pytest.approx(activity.total / 1e6, rel=0.05)
    assert facts["calibration"]["factor_sd_percent"] > 2
    found = command(
        "dose", "--activity", phantoms / "spect-second/spect.dcm", "--nuclide", "Lu-177", "--ct",
        phantoms / "second-ct.nii.gz", "--structures", phantoms / "second-labels.nii.gz", "--engine", "local",
        "--administered-at", later.isoformat(), "--registered", "--calibration", calibration,
        "--recovery", recovery, "--recovery-extrapolate", "--contour-sd", "0.5 mm", "--json",
    )  # fmt: skip
    assert "of the calibration the uncertainty is taken" in found.stderr
    result = json.loads(found.stdout)
    mean_life_s = 6.6443 * 86400 / np.log(2)
    for region in result["structures"]:
        if region["role"] != "tumour":
            continue
        chain = region["uncertainty"]
        concentration = region["decays"] / mean_life_s / region["volume_ml"] * region["partial_volume"]["factor"]
        # The labels are good to a voxel; the rest is the chain's own uncertainty of the activity.
        assert abs(concentration / 1.5e6 - 1) < 2 * chain["dose_sd_percent"] / 100
        assert 3 < chain["dose_sd_percent"] < 70
        assert chain["calibration_sd_percent"] == pytest.approx(facts["calibration"]["factor_sd_percent"])
        assert region["dose_mean_known_sd_gy"] > 0
    assert "recovery" in [file["role"] for file in result["provenance"]["inputs"]]


def test_planar_views_of_a_dish_with_blank(tmp_path: Path) -> None:
    grid = grid_around((400, 400, 1), spacing_mm=(4.0, 4.0, 1.0))
    disc = disc_source(grid_around((400, 400, 9), spacing_mm=(4.0, 4.0, 3.0)), normal="z").activity(
        total_bq={"source": 1.0}, time=WHEN
    )
    random = np.random.default_rng(2)
    level = disc.values.sum(axis=2, keepdims=True) * 11.8 * 50 * 600
    write_itk(Volume(grid, random.poisson(level + 20.0), Kind.COUNTS), tmp_path / "dish.nii.gz")
    write_itk(Volume(grid, random.poisson(np.full(grid.shape, 20.0)), Kind.COUNTS), tmp_path / "blank.nii.gz")
    words = ("--source", "planar", "--source-activity", f"{50 * EARLIER} MBq", *MEASURED, "--nuclide", "Lu-177",
             "--activity-unit", "counts", "--activity-at", WHEN.isoformat(), "--frame-duration", "10 min")  # fmt: skip
    dish = tmp_path / "dish.nii.gz"
    done = command("calibrate", dish, *words, "--blank", tmp_path / "blank.nii.gz", "--circle", "160 mm", "--json")
    # 3.5e5 net counts on 2.5e4 of background.
    assert json.loads(done.stdout)["factor_cps_per_mbq"] == pytest.approx(11.8, rel=0.008)
    assert "reaches beyond the field of view" in refusal(tmp_path / "dish.nii.gz", *words, "--circle", "450 mm")


def test_a_sphere_and_a_patients_own_activity(tmp_path: Path) -> None:
    phantom = sphere_in_water(grid_around((230, 230, 230), spacing_mm=(5.0, 5.0, 5.0)), diameter_mm=60)
    counts = phantom.activity(total_bq={"sphere": 11.8 * 50 * 3600}, time=WHEN)
    write_itk(counts.with_values(counts.values, Kind.COUNTS), tmp_path / "spect.nii.gz")
    words = (tmp_path / "spect.nii.gz", *MEASURED, "--nuclide", "Lu-177", "--activity-unit", "counts",
             "--head-time", "1 h", "--activity-at", (WHEN - timedelta(minutes=15)).isoformat(), "--heads", "2",
             "--json")  # fmt: skip
    mean = f"{50 * EARLIER} MBq"
    for source in (("sphere", "--diameter", "60 mm", "--shell"), ("patient",)):
        done = command("calibrate", *words, "--source", *source, "--source-activity", mean)
        # The counts are those of the middle of the half hour in which two heads took their hour of views.
        assert json.loads(done.stdout)["factor_cps_per_mbq"] == pytest.approx(11.8, rel=1e-4)


@pytest.mark.parametrize(
    ("image", "words", "message"),
    [
        ("spect-cylinder", ("--source", "dish", "--source-activity", "1 MBq"), "unknown --source 'dish'"),
        ("spect-cylinder", ("--source", "cylinder"), "source cylinder needs --source-activity"),
        (
            "spect-cylinder",
            ("--source", "cylinder", "--source-activity", "-5 MBq"),
            "--source-activity must be positive",
        ),
        ("spect-cylinder", ("--source", "cylinder", "--source-activity", "5"), "has no unit"),
        ("spect-cylinder", ("--source", "cylinder", "--source-activity", "5 MBq"), "needs --diameter"),
        (
            "spect-cylinder",
            ("--source", "cylinder", "--source-activity", "5 MBq", "--diameter", "500 mm", "--length", "500 mm"),
            "lie in the field of",
        ),
        (
            "spect-cylinder",
            ("--source", "cylinder", "--source-activity", "5 MBq", "--diameter", "30 mm", "--length", "30 mm"),
            "nothing of the cylinder lies farther",
        ),
        (
            "spect-cylinder",
            ("--source", "sphere", "--source-activity", "5 MBq", "--diameter", "60 mm", "--camera", "ge-megp"),
            "was reconstructed for camera siemens-megp, stated is ge-megp",
        ),
        ("spect-nema", ("--source", "nema", "--source-activity", "5 MBq"), "source nema needs --concentration"),
        ("spect-nema", ("--source", "nema", "--concentration", "2 MBq/mL"), "give the camera factor"),
        (
            "scan-point",
            ("--source", "planar", "--source-activity", "5 MBq"),
            "only a point source is calibrated in them",
        ),
        (
            "scan-point",
            ("--source", "point", "--source-activity", "5 MBq", "--energy-window", "9"),
            "there is no window #9",
        ),
        ("nowhere", ("--source", "point", "--source-activity", "5 MBq"), "no such file"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(phantoms: Path, image: str, words: tuple[str, ...], message: str) -> None:
    at = ("--source-activity-at", "2026-03-02T08:00", "--out", phantoms / "never")
    assert message in refusal(phantoms / image, *at, *words)
    assert not (phantoms / "never").exists()


def test_a_factor_of_other_conditions_is_refused(phantoms: Path, tmp_path: Path) -> None:
    cylinder = ("--source", "cylinder", "--source-activity", "400 MBq", *MEASURED, "--diameter", "200 mm", "--length",
                "200 mm", "--json")  # fmt: skip
    made = command("calibrate", phantoms / "spect-cylinder", *cylinder)
    facts = json.loads(made.stdout)
    nema = ("--source", "nema", "--concentration", "2 MBq/mL", *MEASURED, "--structures", phantoms / "spheres.nii.gz")
    for change, message in (
        ({"nuclide": "Y-90"}, "nuclide: Y-90 against Lu-177"),
        ({"camera": "ge-megp"}, "camera: ge-megp against siemens-megp"),
        ({"window_kev": [100.0, 120.0]}, "energy window"),
        ({"voxel_mm": [4.0, 4.0, 4.0]}, "voxel size"),
        ({"reconstruction": {"iterations": 4}}, "iterations: 4 against 5"),
    ):
        file = tmp_path / "other.json"
        file.write_text(json.dumps(facts | {"conditions": facts["conditions"] | change}))
        assert message in refusal(phantoms / "spect-nema", *nema, "--calibration", file)
    file.write_text("{}")
    assert "other.json: not a camera" in refusal(phantoms / "spect-nema", *nema, "--calibration", file)


def test_files_of_a_scanner(real_data: Path) -> None:
    """A real reconstruction of another program and a real planar image, with activities made up: they are read."""
    folder = real_data / "nm-jaszczak"
    spect = (
        "--source-activity",
        "700 MBq",
        "--source-activity-sd",
        "5 %",
        "--source-activity-at",
        "2014-11-14T18:00",
        "--json",
    )
    made = command(
        "calibrate", folder / "jaszczak_recon_tomo.dcm", "--source", "patient", *spect, "--head-time", "96 min",
        "--heads", "2",
    )  # fmt: skip
    facts = json.loads(made.stdout)
    assert facts["conditions"]["nuclide"] == "Tc-99m"
    assert facts["conditions"]["window_kev"] == pytest.approx([126, 154], abs=1)
    # 1.246e8 counts in 5760 s, not decay-corrected, of 700 MBq 45 minutes (and the mean of 48 more) earlier.
    mean = 2 ** (-45.35 / 360.4) * (1 - 2 ** (-48 / 360.4)) / (48 / 360.4 * np.log(2))
    assert facts["factor_cps_per_mbq"] == pytest.approx(1.24592e8 / 5760 / 700 / mean, rel=1e-3)
    words = ("--source", "patient", *spect)
    assert "state it with --head-time" in refusal(folder / "jaszczak_recon_tomo.dcm", *words)
    planar = ("--source", "planar", "--source-activity", "10 MBq", "--source-activity-at", "2014-11-14T18:00")
    assert "one of the dates is wrong" in refusal(folder / "static_line_x.dcm", *planar, "--nuclide", "Tc-99m")
