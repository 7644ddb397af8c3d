"""The case measures planar views where it has some, and does without the step where it has none."""

import json
from pathlib import Path

import hepatica
from hepatica.core.context import DicomContext
from hepatica.io.dicom.images.write import Emission, write_ct
from hepatica.io.dicom.planar.write import write_planar
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from planar_makers import WHEN, box_patient


def test_biodistribution_of_the_scout(tmp_path: Path) -> None:
    patient = box_patient(1.5e8)
    scan = hepatica.PlanarScanOptions(pixel_mm=8.0, columns=44)
    made = hepatica.simulate_planar(
        patient.activity, ct=patient.ct, nuclide="Tc-99m", camera="siemens-lehr",
        options=hepatica.PlanarSimulationOptions(scan=scan),
    )  # fmt: skip
    context = write_ct(tmp_path / "ct", patient.ct.volume, DicomContext.invented(slices=56), description="CT")
    write_rtstruct(tmp_path / "rtstruct.dcm", list(patient.regions), context)
    write_planar(
        tmp_path / "planar.dcm", made.views, context,
        Emission(nuclide="Tc-99m", start=WHEN, frame_duration_s=600.0, administered_bq=1.5e8, administered_at=WHEN),
    )  # fmt: skip
    case = hepatica.Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": "glass", "treatment.at": "2026-03-10T10:00"})
    case.add(tmp_path / "ct", "scout-ct")
    case.add(tmp_path / "rtstruct.dcm", "scout-structures")
    case.add(tmp_path / "planar.dcm", "scout-planar")
    own = "treatment.scout-biodistribution"
    case.set(**{f"{own}.planar_scatter": "none", f"{own}.beam": "narrow"})
    case.run("scout-biodistribution")
    (result,) = (tmp_path / "case").rglob("scout-biodistribution/result.json")
    found = json.loads(result.read_text())
    shares = {organ["name"]: organ["share"] for organ in found["times"][0]["organs"]}
    assert abs(shares["lungs"] - 0.16) < 0.03
    assert found["nuclide"] == "Tc-99m"
    assert (result.parent / "biodistribution.pdf").exists()
