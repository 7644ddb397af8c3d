"""``hepatica dose`` as a user runs it."""

import csv
import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import command_line
import hepatica as package
from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Estimate, Kind
from hepatica.core.document import document as document_of
from hepatica.core.image import Image
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.imaging.quantify.quantify import quantify as quantify_image
from hepatica.io.itk import read_itk, write_itk
from hepatica.io.virtual.demo import ADMINISTERED_BQ, write_demo_patient
from hepatica.workflow.dose.options import DoseOptions, OutputOptions
from hepatica.workflow.dose.quantify import QuantifyResult, quantify
from hepatica.workflow.dose.result import DoseResult

KEYS = {"schema", "engine", "nuclide", "activity_in_image_mbq", "structures", "messages", "provenance"}
REGION_KEYS = {"name", "volume_ml", "mass_g", "dose_mean_gy", "dose_sd_gy", "d_percent_gy", "v_gy_percent"}


def hepatica(*arguments: object, code: int = 0) -> command_line.Done:
    done = command_line.hepatica(*arguments)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "patient"
    write_demo_patient(folder, ct_spacing_mm=(8.0, 8.0, 6.0), pet_spacing_mm=(6.0, 6.0, 6.0))
    return folder


def usual(patient: Path, *more: object) -> list[object]:
    return ["dose", "--activity", patient / "pet", "--ct", patient / "ct", "--nuclide", "Y-90", *more]


def test_json_has_what_was_promised_and_the_dose_is_right(patient: Path) -> None:
    done = hepatica(*usual(patient, "--structures", patient / "rtstruct.dcm", "--agent", "glass", "--json"))
    document = json.loads(done.stdout)
    assert document.keys() >= KEYS
    assert all(region.keys() >= REGION_KEYS for region in document["structures"])
    assert document["activity_in_image_mbq"] == pytest.approx(ADMINISTERED_BQ / 1e6, rel=0.02)
    regions = {region["name"]: region for region in document["structures"]}
    assert regions["liver"]["volume_ml"] == pytest.approx(1712, rel=0.02)
    # By hand: 96 % of the activity lies in 1.8 kg of liver, 49.7 J/GBq. Out of the treated lobe's surface (S of
    # about 750 cm2 around 1.1 L) the betas carry S x 2.5 mm / 4 V = 4 %, the PET's blur 2 to 3 % more.
    by_hand = 0.96 * 2.6 * 49.7 / (regions["liver"]["mass_g"] / 1000)
    assert regions["liver"]["dose_mean_gy"] == pytest.approx(by_hand, rel=0.09)
    assert set(regions["liver"]["d_percent_gy"]) >= {"95", "70", "50", "5"}
    assert regions["liver minus tumours"]["volume_ml"] < regions["liver"]["volume_ml"]
    assert {limit["structure"] for limit in document["limits"]} >= {"tumour 1", "liver minus tumours", "lungs"}
    assert {source["role"] for source in document["provenance"]["inputs"]} == {"activity", "ct", "structures"}


def test_the_folder_holds_every_format_and_values_agree(patient: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    hepatica(*usual(patient, "--structures", patient / "rtstruct.dcm", "--agent", "glass", "--out", out))
    names = {path.name for path in out.iterdir()} - {".hepatica.sha256"}
    assert names >= {
        *("report.html", "report.pdf", "dose.dcm", "dose.nii.gz", "structures.dcm", "structures-seg.dcm"),
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
        for name in ("dose.dcm", "structures.dcm", "structures-seg.dcm"):
            said = subprocess.run(["dciodvfy", str(out / name)], capture_output=True, text=True, check=False).stderr
            assert not [line for line in said.splitlines() if line.startswith("Error")], name
    ct = pydicom.dcmread(next((patient / "ct").iterdir()))
    assert rtdose.FrameOfReferenceUID == ct.FrameOfReferenceUID
    assert rtdose.PatientID == ct.PatientID
    with (out / "metrics.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    document = json.loads((out / "result.json").read_text())
    for region in document["structures"]:
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
    done = hepatica(*usual(patient, "--out", out, "--force"), code=2)
    assert "was not written by hepatica" in done.stderr
    assert (out / "mine.txt").read_text() == "precious"
    own = tmp_path / "own"
    hepatica("quantify", patient / "pet", "--nuclide", "Y-90", "--out", own)
    assert not (own / "dose.dcm").exists()
    hepatica(*usual(patient, "--out", own, "--engine", "local", "--force"))
    assert (own / "dose.dcm").exists()
    assert not (own / "activity.nii.gz").exists()


def test_without_structures_body_and_lungs_come_from_the_ct(patient: Path) -> None:
    document = json.loads(hepatica(*usual(patient, "--json", "--engine", "local")).stdout)
    names = [region["name"] for region in document["structures"]]
    assert "body" in names
    assert any("lung" in name for name in names)
    assert any("body and lungs were taken from the CT" in message["text"] for message in document["messages"])


def test_engines_agree_on_the_liver(patient: Path) -> None:
    means = {}
    for engine, more in (("local", ()), ("kernel", ()), ("montecarlo", ("--histories", "3e5"))):
        arguments = usual(patient, "--structures", patient / "rtstruct.dcm", "--json", "--engine", engine, *more)
        document = json.loads(hepatica(*arguments).stdout)
        (liver,) = (region for region in document["structures"] if region["name"] == "liver")
        means[engine] = liver["dose_mean_gy"]
        if engine == "montecarlo":
            assert 0 < liver["dose_mean_uncertainty_gy"] < 0.02 * liver["dose_mean_gy"]
    # Betas carry about 1 % of the energy over the liver's border; Monte Carlo is known to 0.2 % here.
    assert means["kernel"] == pytest.approx(means["local"], rel=0.02)
    assert means["montecarlo"] == pytest.approx(means["kernel"], rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nuclide", "Y-91"], "unknown nuclide 'Y-91'"),
        (["--engine", "kernl"], "unknown --engine 'kernl' (did you mean kernel?); known: kernel, local, montecarlo"),
        (["--nuclide", "Ho-166"], "the header says Y-90, asked for is Ho-166"),
        (["--administered", "2.1"], "has no unit"),
        (["--lung-shunt", "5"], "write '5 %'"),
        (["--ct", "{patient}/pet"], "no"),
        (["--activity", "{patient}/nowhere"], "no such file or folder"),
        (["--structures", "{patient}/pet"], "no RTSTRUCT or SEG"),
        (["--agent", "glas"], "unknown agent"),
        (["--histories", "1e6"], "belong to the engine montecarlo"),
        (["--engine", "montecarlo", "--device", "cuda"], "cuda"),
        (["--grid", "3"], "has no unit"),
        (["--seed", "2"], "belong to the engine montecarlo"),
        (["--time-model", "tri"], "unknown --time-model 'tri'; known: bi, haenscheid, image, mono, trapezoid"),
        (["--hu-table", "{patient}/rtstruct.dcm"], "HU calibration"),
        (["--administered-at", "2026-03-09T10:00"], "before the administration"),
        (["--structure-roles", "liver"], "is not NAME=ROLE"),
        (["--density", "both"], "unknown --density 'both'; known: local, none"),
        (["--structure", "x"], "--structures"),
        (["--activity-at", "2026-03-02"], "is not a date with a time"),
        (["--partial-volume", "gtm"], "--response"),
        (["--structure-roles", "liver=livr"], "did you mean liver?"),
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
            *("--structures", tmp_path / "labels.nii.gz", "--nuclide", "Y-90", "--out", tmp_path / "out", "--json"),
        ).stdout
    )
    # 65.82 MBq h of 90Y; negative noise (0.085 %) is set to zero.
    assert document["decays"] == pytest.approx(65.82e6 * 3600, rel=2e-3)
    energy = document["energy_balance"]
    assert energy["emitted_j"] == pytest.approx(65.82e6 * 3600 * 0.9325 * 1.602177e-13, rel=2e-3)
    parts = sum(energy[name] for name in ("deposited_j", "in_air_j", "outside_j", "left_out_j"))
    assert parts == pytest.approx(energy["emitted_j"], rel=1e-4)
    assert energy["deposited_j"] > 0.97 * energy["emitted_j"]
    assert {region["name"] for region in document["structures"]} == {"liver-like uptake", "lungs"}
    assert (tmp_path / "out" / "report.pdf").stat().st_size > 10_000


def test_python_and_command_give_the_same_document(patient: Path) -> None:
    """From files and from images that were read before: all but the instant of making."""
    arguments = ("--administered", "2.6 GBq", "--lungs-in-image", "--lung-margin", "10 mm", "--grid", "9 mm")
    said = json.loads(hepatica_command(patient, *arguments))
    pet, ct = (package.read_image(patient / name, role=role) for name, role in (("pet", "activity"), ("ct", "ct")))
    for activity, scan in ((patient / "pet", patient / "ct"), (pet, ct)):
        result = package.absorbed_dose(
            activity,
            ct=scan,
            structures=patient / "rtstruct.dcm",
            nuclide="Y-90",
            options=DoseOptions(
                quantification=QuantificationOptions(administered_bq=2.6e9, lungs_in_image=True),
                clinical=StructureOptions(lung_margin_mm=10.0),
                output=OutputOptions(grid=9.0),
            ),
        )
        document = json.loads(json.dumps(result.as_dict(), allow_nan=False))
        for found in (said, document):
            found["provenance"]["created"] = ""
        assert document == said
    jsonschema.validate(said, DoseResult.schema())


def hepatica_command(patient: Path, *more: object) -> str:
    return hepatica(*usual(patient, "--structures", patient / "rtstruct.dcm", "--json", *more)).stdout


def test_an_image_of_an_array_is_as_good_as_a_file(patient: Path) -> None:
    pet, ct = package.read_image(patient / "pet", role="activity"), package.read_image(patient / "ct", role="ct")
    facts = pet.acquisition
    made = Image.from_array(
        pet.volume.values, unit="Bq/mL", grid=pet.grid, time=pet.volume.time, nuclide="Y-90", start=facts.start,
        administered_bq=facts.administered_bq, administered_at=facts.administered_at,
    )  # fmt: skip
    scan = Image.from_array(ct.volume.values, unit="HU", grid=ct.grid)
    by_file, by_array = (
        package.absorbed_dose(activity, ct=of_ct, structures=patient / "rtstruct.dcm", nuclide="Y-90", engine="local")
        for activity, of_ct in ((pet, ct), (made, scan))
    )
    assert document_of(by_array.structures) == document_of(by_file.structures)
    with pytest.raises(package.HepaticaError, match=r"an image is a path or a hepatica.Image, not Volume"):
        package.absorbed_dose(pet.volume, ct=ct, nuclide="Y-90")
    with pytest.raises(package.HepaticaError, match="the header says Y-90, asked for is Ho-166"):
        package.absorbed_dose(made, ct=scan, nuclide="Ho-166")


def test_options_stand_in_a_file(patient: Path, tmp_path: Path) -> None:
    file = tmp_path / "dose.toml"
    lines = ('engine = "local"', "[clinical]", 'structure_roles = { liver = "whole liver" }', "[quantification]")
    file.write_text("\n".join([*lines, 'lung_shunt = "4 %"']))
    document = json.loads(hepatica_command(patient, "--options", file))
    assert (document["engine"], document["options"]["lung_shunt"]) == ("local", 0.04)
    file.write_text('engine = "local"\nlung_shnt = 0.04\n')
    done = hepatica(*usual(patient, "--options", file), code=2)
    assert f"{file}, line 2: lung_shnt" in done.stderr
    assert "did you mean --lung-shunt" in done.stderr


def test_several_time_points(patient: Path) -> None:
    arguments = ["dose", "--activity", patient / "pet", "--activity", patient / "pet", "--ct", patient / "ct"]
    done = hepatica(*arguments, "--nuclide", "Y-90", code=2)
    assert "times must rise" in done.stderr


def test_quantify_gives_becquerels_by_either_way(patient: Path, tmp_path: Path) -> None:
    document = json.loads(hepatica_quantify(patient / "pet", "--structures", patient / "rtstruct.dcm"))
    assert document["activity_at_administration_mbq"] == pytest.approx(ADMINISTERED_BQ / 1e6, rel=0.02)
    pet = package.read_image(patient / "pet", role="activity").volume
    assert document["activity_mbq"] == pytest.approx(pet.total / 1e6, rel=1e-6)
    jsonschema.validate(document, QuantifyResult.schema())
    structures = {found["name"]: found for found in document["structures"]}
    assert structures["liver"]["activity_mbq"] > 0.8 * document["activity_mbq"]
    counts = tmp_path / "counts.nii.gz"
    # 4.6 cps/MBq for 20 min, of which each voxel counts its share.
    seen = pet.values * pet.grid.voxel_volume_ml / 1e6 * 4.6 * 1200
    write_itk(pet.with_values(seen, Kind.COUNTS), counts)
    more = ("--activity-unit", "counts", "--activity-at", "2026-03-03T06:55", "--frame-duration", "20 min")
    out = tmp_path / "out"
    by_factor = json.loads(
        hepatica_quantify(
            counts, *more, "--calibration", "4.6 cps/MBq", "--calibration-sd", "0.23 cps/MBq", "--out", out
        )
    )
    mean = (1 - 2 ** (-1200 / 230580)) / (np.log(2) * 1200 / 230580)
    assert by_factor["activity_mbq"] == pytest.approx(document["activity_mbq"] / mean, rel=1e-4)
    assert by_factor["activity_scale_relative_sd"] == pytest.approx(0.05)
    assert read_itk(out / "activity.nii.gz", Kind.ACTIVITY_CONCENTRATION)[0].total == pytest.approx(
        1e6 * by_factor["activity_mbq"], rel=1e-5
    )
    given = json.loads(hepatica_quantify(counts, *more, "--administered", "2.6 GBq", "--residual", "2 %"))
    assert given["activity_mbq"] == pytest.approx(2600 * 0.98, rel=1e-5)
    image = Image.from_array(
        seen, unit="counts", grid=pet.grid, time=datetime(2026, 3, 3, 6, 55), frame_duration_s=1200.0
    )
    quantification = QuantificationOptions(calibration=Estimate(4.6, 0.23))
    result = quantify(image, nuclide="Y-90", quantification=quantification)
    assert result.activity_mbq == pytest.approx(by_factor["activity_mbq"], rel=1e-6)
    pure = quantify_image(image, Estimate(4.6, 0.23), nuclide=package.nuclide("Y-90"))
    assert pure.activity.total == result.activity.total
    assert "need a camera factor" in hepatica("quantify", counts, "--nuclide", "Y-90", *more, code=2).stderr


def hepatica_quantify(image: Path, *more: object) -> str:
    return hepatica("quantify", image, "--nuclide", "Y-90", "--json", *more).stdout
