"""A copy of a case without the person: no byte of it says whose it is, no number differs, the original is untouched."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.case.case import Case
from hepatica.case.protect.anonymise import _difference
from hepatica.case.protect.cleaned_files import cleaned_file
from hepatica.case.protect.leftovers import leftovers, searched_for
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Identity
from hepatica.errors import InputError, OutputError
from hepatica.io.dicom.identity.images import cannot_be_cleaned
from hepatica.io.secret_key import read_secret
from identifying import FOLDER, MARKS, NAME, PATIENT_ID, SHIFT, STEM, forms_of, found_in, mark_file

DAY = date(2026, 3, 3) + SHIFT
TREATED = datetime.combine(DAY - timedelta(days=1), datetime.min.time()).replace(hour=10)

LABS = f"patient,date,bilirubin_umol_l,albumin_g_l,ascites,remark\n{PATIENT_ID},{DAY},17.1,40,none,Ottokar felt well\n"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A case of the marked patient with images, results and checks."""
    root = tmp_path_factory.mktemp("hospital") / FOLDER
    made = hepatica.virtual_patient(seed=7, tumours=1, ct=hepatica.VirtualCtOptions(spacing_mm=12.0))
    plain = made.save(tmp_path_factory.mktemp("plain") / "patient")
    for kind in ("ct", "emission"):
        for n, path in enumerate(sorted((plain / kind).iterdir())):
            mark_file(path, root / kind / f"{STEM}_{n:03d}.dcm")
    mark_file(plain / "rtstruct.dcm", root / f"{STEM}_rtstruct.dcm")
    (root / f"{STEM} labs.csv").write_text(LABS)
    case = Case.new(root / "case")
    case.set(
        **{
            "patient.name": NAME, "patient.id": PATIENT_ID, "patient.birth_date": "1943-07-11",
            "disease.description": f"{NAME.replace('^', ' ')}, two lesions", "disease.indication": "HCC",
            "treatment.agent": "glass", "treatment.at": f"{TREATED.isoformat()}+01:00",
            "treatment.name": "of Ottokar",
        }
    )  # fmt: skip
    roles = {"ct": "scout-ct", "emission": "scout-spect", f"{STEM}_rtstruct.dcm": "scout-structures"}
    for name, role in {**roles, f"{STEM} labs.csv": "labs"}.items():
        case.add(root / name, role, treatment=1)
    case.run("function", "uptake")
    case.check("uptake", "Ottokar Zwetschgenkuchen")
    case.skip("lung-shunt", "Zwetschgenkuchen did not want it")
    return case


@pytest.fixture(scope="module")
def copy(original: Case, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, dict[Path, bytes]]:
    before = {path: path.read_bytes() for path in original.folder.rglob("*") if path.is_file()}
    out = tmp_path_factory.mktemp("study") / "copy"
    return out, hepatica.anonymise_case(original.folder, out), before


def result(folder: Path, step: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "steps" / step / "result.json").read_text("utf-8"))
    return found


def test_no_mark_is_in_any_byte_or_name(copy: tuple[Path, Any, dict[Path, bytes]]) -> None:
    when = {form for n in (-1, 0) for form in forms_of(DAY + timedelta(days=n))}
    assert found_in(copy[0], MARKS | when | {"felt well", "two lesions", "did not want"}) == {}


def test_the_original_is_untouched(original: Case, copy: tuple[Path, Any, dict[Path, bytes]]) -> None:
    assert {path: path.read_bytes() for path in original.folder.rglob("*") if path.is_file()} == copy[2]


def test_the_copy_is_a_case_with_the_same_numbers(original: Case, copy: tuple[Path, Any, dict[Path, bytes]]) -> None:
    folder, made, _ = copy
    assert set(made.run_again) == {"function", "uptake"}
    assert made.refused == ()
    copied = Case.open(folder)
    states = {step.name: step for step in copied.steps()}
    assert (states["uptake"].state, states["lung-shunt"].state) == ("done", "skipped")
    assert states["uptake"].checked_by.startswith("withheld, ")
    assert copied.history().problem == ""
    assert copied.run("uptake") == ()
    here, there = result(original.folder, "uptake"), result(folder, "uptake")
    assert there["overall"]["tumour_to_normal"] == here["overall"]["tumour_to_normal"]
    assert there["masses_kg"] == here["masses_kg"]
    assert result(folder, "function")["rows"][0]["albi"] == result(original.folder, "function")["rows"][0]["albi"]


@pytest.mark.parametrize(
    ("factor", "said"), [(1.0, ""), (1 + 2e-7, ""), (1 + 1e-5, "a.b by 0.001 %"), (2.0, "a.b by 50 %")]
)
def test_rounding_of_a_repeated_run_is_no_difference(tmp_path: Path, factor: float, said: str) -> None:
    # Monte Carlo scatter of the same files differs by up to 2e-7 from run to run; what is other shows from 1e-6 on.
    for name, value in (("one", 3.0), ("two", 3.0 * factor)):
        place = tmp_path / name / "steps" / "plan"
        place.mkdir(parents=True)
        (place / "result.json").write_text(json.dumps({"a": {"b": value, "c": 1}, "provenance": {"x": value}}))
    assert _difference(tmp_path / "one", tmp_path / "two", "plan") == said


def test_pixels_and_geometry_stay_and_dates_move_together(
    original: Case, copy: tuple[Path, Any, dict[Path, bytes]]
) -> None:
    secret = read_secret()
    for item in ("ct-1", "spect-1"):
        first = sorted((original.folder / "images" / item).glob("*.dcm"))[0]
        old, new = pydicom.dcmread(first), pydicom.dcmread(copy[0] / "images" / item / "0001.dcm")
        assert np.array_equal(old.pixel_array, new.pixel_array)
        assert new.ImagePositionPatient == old.ImagePositionPatient
        assert new.PatientIdentityRemoved == "YES"
        assert new.SeriesInstanceUID == secret.uid(old.SeriesInstanceUID)
        assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
        assert not [element for element in new if element.tag.is_private]
        moved = date.fromisoformat(new.StudyDate) - date.fromisoformat(old.StudyDate)
        assert moved == secret.shift(PATIENT_ID)
    facts = (copy[0] / "case.toml").read_text("utf-8")
    assert f"{(TREATED + secret.shift(PATIENT_ID)).isoformat()}+01:00" in facts
    assert secret.pseudonym(PATIENT_ID) in facts


def test_a_copy_into_a_folder_that_names_the_patient_is_removed(original: Case, tmp_path: Path) -> None:
    case = Case.new(tmp_path / "one")
    case.set(**{"patient.name": NAME, "treatment.agent": "glass"})
    case.add(original.folder / "images" / "labs-1", "labs")
    case.run("function")
    out = tmp_path / STEM / "copy"
    out.parent.mkdir()
    with pytest.raises(OutputError, match="something of the person was left"):
        case.anonymise(out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned into its pixels"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "from a screen"),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, "from a screen"),
        ({"BodyPartExamined": "HEAD"}, "shows a face"),
        ({"PhotometricInterpretation": "RGB"}, "colours"),
        ({"RecognizableVisualFeatures": "YES"}, "can be recognised"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "BodyPartExamined": "ABDOMEN"}, ""),
    ],
)
def test_what_cannot_be_cleaned_for_certain_is_refused(attributes: dict[str, Any], reason: str) -> None:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    found = cannot_be_cleaned(dataset)
    assert reason in found
    assert bool(found) == bool(reason)


def anonymiser() -> Anonymiser:
    return Anonymiser.of(read_secret(), [Identity(patient_id=PATIENT_ID, people=(NAME,))], {})


def test_tables_keep_numbers_and_words_of_the_field_alone(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    path.write_text(LABS)
    head, row = cleaned_file(path, anonymiser()).decode().splitlines()
    assert head == "patient,date,bilirubin_umol_l,albumin_g_l,ascites,remark"
    who, day, *rest = row.split(",")
    assert (who, rest) == (read_secret().pseudonym(PATIENT_ID), ["17.1", "40", "none", "(removed)"])
    assert date.fromisoformat(day) - DAY == read_secret().shift(PATIENT_ID)
    path.write_text("Ottokar,date\n1,2\n")
    with pytest.raises(InputError, match="headings"):
        cleaned_file(path, anonymiser())


def test_texts_of_a_nifti_header_go_and_an_extension_is_refused(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    image = nibabel.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header["descrip"], image.header["db_name"] = b"Ottokar", b"Zwetschgenkuchen"
    nibabel.save(image, tmp_path / "a.nii.gz")
    (tmp_path / "clean.nii.gz").write_bytes(cleaned_file(tmp_path / "a.nii.gz", anonymiser()))
    clean = nibabel.load(tmp_path / "clean.nii.gz")
    assert np.array_equal(np.asanyarray(clean.dataobj), np.asanyarray(image.dataobj))
    assert found_in(tmp_path / "clean.nii.gz", MARKS) == {}
    assert clean.header["descrip"].item() == b""
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Ottokar"))
    nibabel.save(image, tmp_path / "b.nii")
    with pytest.raises(InputError, match="extension"):
        cleaned_file(tmp_path / "b.nii", anonymiser())
    (tmp_path / "c.mha").write_bytes(b"ObjectType = Image\n")
    with pytest.raises(InputError, match="for certain"):
        cleaned_file(tmp_path / "c.mha", anonymiser())


def test_the_last_look_finds_what_was_left(tmp_path: Path) -> None:
    words = searched_for([Identity(PATIENT_ID, (NAME, "Liver^Lung"), ("none", "St. Mary 7"))], ["1.2.3.4.5.6.7"])
    assert words == {PATIENT_ID, "Zwetschgenkuchen", "Ottokar", "St. Mary 7", "1.2.3.4.5.6.7"}
    (tmp_path / "a.json").write_text('{"x": "of oTTokar"}')
    (tmp_path / "b.dcm").write_bytes(b"\0\1Zwetschgenkuchen")
    (tmp_path / "c.csv").write_text("liver,lung,none\n")
    assert [name for name, _ in leftovers(tmp_path, words)] == ["a.json", "b.dcm"]
