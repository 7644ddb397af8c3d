"""``hepatica dose`` as a user runs it."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hepatica.workflow.demo import ADMINISTERED_BQ, write_demo_patient

KEYS = {"method", "nuclide", "activity_in_image_mbq", "regions", "warnings", "provenance"}
REGION_KEYS = {"name", "volume_ml", "mass_g", "dose_mean_gy", "dose_sd_gy", "d_percent_gy", "v_gy_percent"}


def hepatica(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hepatica", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "patient"
    write_demo_patient(folder, ct_spacing_mm=(5.0, 5.0, 5.0))
    return folder


def usual(patient: Path, *more: object) -> list[object]:
    return ["dose", "--activity", patient / "pet", "--ct", patient / "ct", "--nuclide", "Y-90", *more]


def test_json_has_what_was_promised_and_the_dose_is_right(patient: Path) -> None:
    done = hepatica(*usual(patient, "--regions", patient / "rtstruct.dcm", "--agent", "glass", "--json"))
    document = json.loads(done.stdout)
    assert document.keys() >= KEYS
    assert all(region.keys() >= REGION_KEYS for region in document["regions"])
    assert document["activity_in_image_mbq"] == pytest.approx(ADMINISTERED_BQ / 1e6, rel=0.02)
    regions = {region["name"]: region for region in document["regions"]}
    assert regions["liver"]["volume_ml"] == pytest.approx(1712, rel=0.02)
    # By hand: 96 % of the activity lies in 1.8 kg of liver, 49.7 J/GBq. Out of the treated lobe's surface (S of
    # about 750 cm2 around 1.1 L) the betas carry S x 2.5 mm / 4 V = 4 %, the PET's blur 2 to 3 % more.
    by_hand = 0.96 * 2.6 * 49.7 / (regions["liver"]["mass_g"] / 1000)
    assert regions["liver"]["dose_mean_gy"] == pytest.approx(by_hand, rel=0.09)
    assert set(regions["liver"]["d_percent_gy"]) >= {"95", "70", "50", "5"}
    assert regions["liver minus tumours"]["volume_ml"] < regions["liver"]["volume_ml"]
    assert {limit["region"] for limit in document["limits"]} >= {"tumour 1", "liver minus tumours", "lungs"}
    assert {source["role"] for source in document["provenance"]["inputs"]} == {"activity", "ct", "regions"}


def test_the_folder_holds_every_format_and_values_agree(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    hepatica(*usual(patient, "--regions", patient / "rtstruct.dcm", "--agent", "glass", "--out", out))
    names = {path.name for path in out.iterdir()}
    assert names >= {
        *("report.html", "report.pdf", "dose.dcm", "dose.nii.gz", "regions.dcm", "regions-seg.dcm"),
        *("metrics.csv", "dvh.csv", "result.json"),
    }
    import pydicom
    import SimpleITK as sitk  # noqa: N813 - its own name

    rtdose = pydicom.dcmread(out / "dose.dcm")
    stored = rtdose.pixel_array * float(rtdose.DoseGridScaling)
    nifti = sitk.GetArrayFromImage(sitk.ReadImage(str(out / "dose.nii.gz")))
    np.testing.assert_allclose(stored, nifti, atol=1e-5 * nifti.max())
    assert rtdose.DoseUnits == "GY"
    if shutil.which("dciodvfy"):
        for name in ("dose.dcm", "regions.dcm", "regions-seg.dcm"):
            said = subprocess.run(["dciodvfy", str(out / name)], capture_output=True, text=True, check=False).stderr
            assert not [line for line in said.splitlines() if line.startswith("Error")], name
    ct = pydicom.dcmread(next((patient / "ct").iterdir()))
    assert rtdose.FrameOfReferenceUID == ct.FrameOfReferenceUID
    assert rtdose.PatientID == ct.PatientID
    with (out / "metrics.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    document = json.loads((out / "result.json").read_text())
    for region in document["regions"]:
        assert float(rows[region["name"]]["dose_mean_gy"]) == pytest.approx(region["dose_mean_gy"])
    page = (out / "report.html").read_text()
    assert "not a medical device" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_an_output_folder_is_never_overwritten_unasked(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    done = hepatica(*usual(patient, "--out", out), code=2)
    assert "not empty" in done.stderr
    assert "--force" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    hepatica(*usual(patient, "--out", out, "--force"))
    assert not (out / "mine.txt").exists()
    assert (out / "dose.dcm").exists()


def test_without_structures_body_and_lungs_come_from_the_ct(patient: Path) -> None:
    document = json.loads(hepatica(*usual(patient, "--json", "--method", "local")).stdout)
    names = [region["name"] for region in document["regions"]]
    assert "body" in names
    assert any("lung" in name for name in names)
    assert any("body and lungs were taken from the CT" in warning for warning in document["warnings"])


def test_engines_agree_on_the_liver(patient: Path) -> None:
    means = {}
    for method, more in (("local", ()), ("kernel", ()), ("montecarlo", ("--histories", "3e5"))):
        arguments = usual(patient, "--regions", patient / "rtstruct.dcm", "--json", "--method", method, *more)
        document = json.loads(hepatica(*arguments).stdout)
        (liver,) = (region for region in document["regions"] if region["name"] == "liver")
        means[method] = liver["dose_mean_gy"]
        if method == "montecarlo":
            assert 0 < liver["dose_mean_uncertainty_gy"] < 0.02 * liver["dose_mean_gy"]
    # Betas carry about 1 % of the energy over the liver's border; Monte Carlo is known to 0.2 % here.
    assert means["kernel"] == pytest.approx(means["local"], rel=0.02)
    assert means["montecarlo"] == pytest.approx(means["kernel"], rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nuclide", "Y-91"], "unknown nuclide 'Y-91'; known:"),
        (["--method", "kernl"], "unknown dose engine 'kernl'; known: kernel, local"),
        (["--nuclide", "Ho-166"], "the header says Y-90, asked for is Ho-166"),
        (["--administered", "2.1"], "has no unit"),
        (["--lung-shunt", "5"], "write '5 %'"),
        (["--ct", "{patient}/pet"], "no"),
        (["--activity", "{patient}/nowhere"], "no such file or folder"),
        (["--regions", "{patient}/pet"], "no RTSTRUCT or SEG"),
        (["--agent", "glas"], "unknown agent"),
        (["--histories", "1e6"], "belong to the engine montecarlo"),
        (["--method", "montecarlo", "--device", "cuda"], "cuda"),
        (["--grid", "3"], "has no unit"),
        (["--seed", "2"], "belong to the engine montecarlo"),
        (["--time-model", "tri"], "unknown time model"),
        (["--hu-table", "{patient}/rtstruct.dcm"], "HU calibration"),
        (["--administered-at", "2026-03-09T10:00"], "before the administration"),
        (["--kind", "liver"], "not of the form"),
        (["--density", "both"], "density option"),
    ],
)
def test_bad_input_is_one_clear_line(patient: Path, arguments: list[str], message: str) -> None:
    wrong = [argument.format(patient=patient) for argument in arguments]
    said = dict(zip(wrong[::2], wrong[1::2], strict=True))
    base = usual(patient)
    kept = [base[0]]
    for option, value in zip(base[1::2], base[2::2], strict=True):
        kept += [option, said.pop(str(option), value)]
    for option, value in said.items():
        kept += [option, value]
    done = hepatica(*kept, code=2)
    assert message in done.stderr
    assert done.stdout == ""


def test_two_frames_of_reference_need_the_users_word(patient: Path, tmp_path: Path) -> None:
    import pydicom

    shutil.copytree(patient / "pet", tmp_path / "pet")
    for path in (tmp_path / "pet").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = "1.2.3"
        dataset.save_as(path)
    arguments = ["dose", "--activity", tmp_path / "pet", "--ct", patient / "ct", "--nuclide", "Y-90", "--json"]
    assert "--registered" in hepatica(*arguments, code=2).stderr
    document = json.loads(hepatica(*arguments, "--registered").stdout)
    assert document["activity_in_image_mbq"] == pytest.approx(2600, rel=0.02)


def test_a_truncated_slice_is_named(patient: Path, tmp_path: Path) -> None:
    shutil.copytree(patient / "pet", tmp_path / "pet")
    victim = sorted((tmp_path / "pet").iterdir())[10]
    victim.write_bytes(victim.read_bytes()[:1500])
    arguments = ["dose", "--activity", tmp_path / "pet", "--ct", patient / "ct", "--nuclide", "Y-90"]
    assert victim.name in hepatica(*arguments, code=2).stderr


def test_two_patients_do_not_mix(patient: Path, tmp_path: Path) -> None:
    import pydicom

    shutil.copytree(patient / "pet", tmp_path / "pet")
    for path in (tmp_path / "pet").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientID = "SOMEBODY-ELSE"
        dataset.save_as(path)
    arguments = ["dose", "--activity", tmp_path / "pet", "--ct", patient / "ct", "--nuclide", "Y-90"]
    stderr = hepatica(*arguments, code=2).stderr
    assert "SOMEBODY-ELSE" in stderr
    assert "HEPATICA-DEMO" in stderr


def test_real_patient(real_data: Path, tmp_path: Path) -> None:
    """The real torso: energy conserved, structures from the images, report written."""
    import SimpleITK as sitk  # noqa: N813 - its own name

    case = real_data / "torso-ct-tia"
    tia = sitk.ReadImage(str(case / "tia.nii.gz"))
    ct = sitk.ReadImage(str(case / "ct.nii.gz"))
    # Lungs by threshold on the CT, a liver-like region by uptake, as one label map on the CT's grid.
    uptake = sitk.Resample(tia, ct, sitk.Transform(), sitk.sitkLinear, 0.0)
    labels = sitk.Cast((ct > -950) & (ct < -500), sitk.sitkUInt8) * 2
    liver_like = sitk.Cast((uptake > 0.2 * 0.02) & (ct > -100), sitk.sitkUInt8)
    sitk.WriteImage(sitk.Maximum(labels, liver_like), str(tmp_path / "labels.nii.gz"))
    (tmp_path / "labels.json").write_text(json.dumps({"1": "liver-like uptake", "2": "lungs"}))
    document = json.loads(
        hepatica(
            *("dose", "--activity", case / "tia.nii.gz", "--activity-unit", "MBq h", "--ct", case / "ct.nii.gz"),
            *("--regions", tmp_path / "labels.nii.gz", "--nuclide", "Y-90", "--out", tmp_path / "out", "--json"),
        ).stdout
    )
    # 65.82 MBq h of 90Y; negative noise (0.085 %) is set to zero.
    assert document["decays"] == pytest.approx(65.82e6 * 3600, rel=2e-3)
    energy = document["energy_balance"]
    assert energy["emitted_j"] == pytest.approx(65.82e6 * 3600 * 0.9325 * 1.602177e-13, rel=2e-3)
    parts = sum(energy[name] for name in ("deposited_j", "in_air_j", "outside_j", "left_out_j"))
    assert parts == pytest.approx(energy["emitted_j"], rel=1e-4)
    assert energy["deposited_j"] > 0.97 * energy["emitted_j"]
    assert {region["name"] for region in document["regions"]} == {"liver-like uptake", "lungs"}
    assert (tmp_path / "out" / "report.pdf").stat().st_size > 10_000


def test_the_demo_prints_the_truth_beside_the_dose(tmp_path: Path) -> None:
    document = json.loads(hepatica("demo", "--out", tmp_path / "demo", "--json").stdout)
    rows = {row["structure"]: row for row in document["regions"]}
    # Blur of 5.5 mm and 25 % noise leave the mean of the treated lobe within 5 %, of a 3 cm tumour within 10 %.
    assert abs(rows["lobe right"]["difference_percent"]) < 5
    assert abs(rows["tumour 2"]["difference_percent"]) < 10
    assert (tmp_path / "demo" / "patient" / "rtstruct.dcm").exists()
    assert (tmp_path / "demo" / "report" / "report.html").exists()
