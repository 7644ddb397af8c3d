"""The case measures planar views where it has some, and does without the step where it has none."""

import json
from pathlib import Path

import pytest

import hepatica
from hepatica.core.context import DicomContext
from hepatica.io.dicom.images.write import Emission, write_ct
from hepatica.io.dicom.planar.write import write_planar
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from planar_makers import WHEN, box_patient


def planned_case(tmp_path: Path) -> hepatica.Case:
    """A case with what a plan needs beside a lung shunt, and no images."""
    case = hepatica.Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": "glass", "treatment.at": "2026-03-10T10:00", "treatment.intent": "whole-liver",
                "disease.indication": "HCC", "treatment.aims.perfused": "120 Gy"})  # fmt: skip
    with (tmp_path / "case" / "case.toml").open("a") as file:
        file.write('\n[[treatment.territory]]\nname = "liver"\nnormal_mass = "1.4 kg"\n')
    return case


def planar_case(tmp_path: Path) -> hepatica.Case:
    """A case with planar views of a scout of 99mTc, 16 % in the lungs, its CT and structures; no SPECT."""
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
    case = planned_case(tmp_path)
    case.add(tmp_path / "ct", "scout-ct")
    case.add(tmp_path / "rtstruct.dcm", "scout-structures")
    case.add(tmp_path / "planar.dcm", "scout-planar")
    own = "treatment.scout-biodistribution"
    case.set(**{f"{own}.planar_scatter": "none", f"{own}.beam": "narrow"})
    return case


def test_biodistribution_of_the_scout_is_the_lung_shunt_of_the_plan(tmp_path: Path) -> None:
    case = planar_case(tmp_path)
    (step,) = [one for one in case.steps() if one.name == "lung-shunt"]
    assert step.reasons == ("not needed: the biodistribution of the scout by planar views has it",)
    case.run("plan")  # and what it stands on first
    (result,) = (tmp_path / "case").rglob("scout-biodistribution/result.json")
    found = json.loads(result.read_text())
    shares = {organ["name"]: organ["share"] for organ in found["times"][0]["organs"]}
    assert abs(shares["lungs"] - 0.16) < 0.03
    assert found["nuclide"] == "Tc-99m"
    assert (result.parent / "biodistribution.pdf").exists()
    shunt = found["times"][0]["lung_shunt"]
    plan = json.loads((tmp_path / "case/steps/plan/result.json").read_text())
    assert "lung-shunt-not-stated" not in [m["code"] for m in plan["messages"]]
    # All decays in place in 1 kg of lungs: 50 J/GBq of the glass label.
    assert plan["doses"]["lung_gy"] == pytest.approx(plan["administered_gbq"] * shunt * 50.0, rel=1e-6)
    assert {row["id"]: row["status"] for row in plan["limits"]}["lung-30"] == "violated"
    (summary,) = case.report().case_treatments
    assert summary.lung_shunt is not None
    assert summary.lung_shunt.value == shunt
    earlier = hepatica.EarlierOptions(lung_shunt_result=tmp_path / "case/steps/scout-biodistribution")
    perfused = hepatica.PerfusedOptions(mass_kg=1.4)
    glass = hepatica.SubstanceOptions(agent="glass")
    aim = hepatica.AimOptions(dose_gy=120.0)
    made = hepatica.prescribe("mird", aim=aim, substance=glass, perfused=perfused, earlier=earlier)
    assert abs(made.assessed.prescription.terms["lung_shunt_fraction"] - 0.16) < 0.03
    bare = hepatica.prescribe("mird", aim=aim, substance=glass, perfused=perfused)
    assert {row.status for row in bare.assessed.limits if row.limit.quantity.startswith("lung_")} == {"not evaluated"}


def test_a_plan_without_a_shunt_says_nothing_of_the_lungs(tmp_path: Path) -> None:
    case = planned_case(tmp_path)
    case.run("plan")
    plan = json.loads((tmp_path / "case/steps/plan/result.json").read_text())
    assert "lung-shunt-not-stated" in [m["code"] for m in plan["messages"]]
    assert plan["doses"]["lung_gy"] is None
    lungs = [row for row in plan["limits"] if row["quantity"].startswith("lung_")]
    assert {row["id"] for row in lungs} == {"lung-30", "glass-lung-activity"}
    assert {(row["status"], row["value"]) for row in lungs} == {("not evaluated", None)}
    chosen = plan["territories"][0]["methods"]["mird"]
    assert chosen["doses"]["lung_gy"] is None
    (row,) = [one for one in case.report().case_treatments[0].structures if one.role == "lung"]
    assert row.planned_dose_gy is None
    assert [goal.status for goal in row.goals] == ["unjudged"]
    case.report().save(tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "not evaluated: the lung shunt is not known" in page
