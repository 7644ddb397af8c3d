"""The Radiopharmaceutical Radiation Dose report and the PDF as DICOM: what is in them, and what dciodvfy says."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest

from hepatica.core.context import DicomContext
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Identity
from hepatica.errors import DicomError
from hepatica.io.dicom.dose_sr import Administration, OrganDose, write_dose_sr
from hepatica.io.dicom.encapsulated_pdf import write_encapsulated_pdf
from hepatica.io.secret_key import read_secret

CONTEXT = DicomContext.invented(patient_id="MRN-77", patient_name="Doe^Jane", when=datetime(2026, 3, 2, 10))
GIVEN = Administration(
    agent="TheraSphere",
    nuclide="Y-90",
    half_life_s=230580.0,
    activity_bq=2.5e9,
    started_at=datetime(2026, 3, 2, 9, 15, tzinfo=UTC),
    doses=(OrganDose("liver", 64.4, 1.78, "mean over voxels"), OrganDose("lungs", 4.35, None, "lung shunt")),
    comment="Residual 2 %.",
)


def items(dataset: Any) -> dict[str, Any]:
    """Value of every content item by the meaning of its name; of several the list."""
    found: dict[str, Any] = {}

    def walk(item: Any) -> None:
        name = item.ConceptNameCodeSequence[0].CodeMeaning
        kind = item.ValueType
        value: Any = {
            "NUM": lambda: float(item.MeasuredValueSequence[0].NumericValue),
            "CODE": lambda: item.ConceptCodeSequence[0].CodeValue,
            "TEXT": lambda: item.TextValue,
            "DATETIME": lambda: str(item.DateTime),
            "UIDREF": lambda: item.UID,
            "CONTAINER": lambda: None,
        }[kind]()
        found.setdefault(name, []).append(value)
        for inner in item.get("ContentSequence", ()):
            walk(inner)

    walk(dataset)
    return found


def complaints(path: Path) -> list[str]:
    made = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60)
    return [line for line in (made.stdout + made.stderr).splitlines() if line.startswith("Error")]


def test_what_was_given_stands_in_the_report(tmp_path: Path) -> None:
    found = pydicom.dcmread(write_dose_sr(tmp_path / "dose.dcm", GIVEN, CONTEXT))
    assert found.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.68"
    assert found.StudyInstanceUID == CONTEXT.study_uid
    assert (found.Modality, found.PatientID) == ("SR", "MRN-77")
    assert found.ContentTemplateSequence[0].TemplateIdentifier == "10021"
    values = items(found)
    assert values["Administered activity"] == [pytest.approx(2500.0)]
    assert values["Organ Dose"] == [pytest.approx(64400.0), pytest.approx(4350.0)]
    assert values["Finding Site"] == ["10200004", "39607008"]
    assert values["Mass"] == [pytest.approx(1780.0)]
    assert values["Radionuclide"] == ["14691008"]
    assert values["Radiopharmaceutical Start DateTime"][0].startswith("20260302091500")
    assert "Residual 2 %." in values["Comment"][0]
    again = items(pydicom.dcmread(write_dose_sr(tmp_path / "again.dcm", GIVEN, CONTEXT)))
    event = "Radiopharmaceutical Administration Event UID"
    assert again[event] == values[event]


def test_without_identity_the_tree_stays_and_the_patient_goes(tmp_path: Path) -> None:
    anonymiser = Anonymiser.of(read_secret(), [CONTEXT.identity], {})
    path = write_dose_sr(tmp_path / "dose.dcm", GIVEN, CONTEXT.anonymised(anonymiser))
    found = pydicom.dcmread(path)
    assert items(found)["Organ Dose"] == [pytest.approx(64400.0), pytest.approx(4350.0)]
    assert b"MRN-77" not in path.read_bytes()
    assert b"Doe" not in path.read_bytes()


def test_a_nuclide_without_a_code_is_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(DicomError, match="Zr-89"):
        write_dose_sr(tmp_path / "dose.dcm", replace(GIVEN, nuclide="Zr-89"), CONTEXT)


def test_a_pdf_comes_back_as_it_was(tmp_path: Path) -> None:
    pdf = b"%PDF-1.4 odd"
    for context, burned in (
        (CONTEXT, "YES"),
        (CONTEXT.anonymised(Anonymiser.of(read_secret(), [Identity("MRN-77")], {})), "NO"),
    ):
        found = pydicom.dcmread(write_encapsulated_pdf(tmp_path / "pdf.dcm", pdf, "Report", context))
        assert found.EncapsulatedDocument[: found.EncapsulatedDocumentLength] == pdf
        assert (found.MIMETypeOfEncapsulatedDocument, found.BurnedInAnnotation) == ("application/pdf", burned)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_dciodvfy_finds_no_error_and_a_known_fault(tmp_path: Path) -> None:
    report = write_dose_sr(tmp_path / "dose.dcm", GIVEN, CONTEXT)
    assert complaints(report) == []
    assert complaints(write_encapsulated_pdf(tmp_path / "pdf.dcm", b"%PDF-1.4", "Report", CONTEXT)) == []
    wrong = pydicom.dcmread(report)
    del wrong.CompletionFlag
    wrong.save_as(tmp_path / "wrong.dcm")
    assert complaints(tmp_path / "wrong.dcm")
