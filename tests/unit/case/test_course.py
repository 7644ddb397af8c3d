"""Joints of a course: a registration that was added or found, the next treatment, what a change of the plan reaches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from case_makers import result, states
from course_makers import FACTS, SHIFT_MM, Scanned, write_projections_of_therapy, write_scout, write_therapy
from hepatica.case.case import Case
from hepatica.case.steps.therapy.verification import surface_distance_mm
from hepatica.core.transform import Transform
from hepatica.errors import InputError
from hepatica.io.registration.dicom_write import write_registration
from hepatica.nuclides import nuclide
from hepatica.planning.delivery.concordance import about_registration

OTHERS = {"intrahepatic cholangiocarcinoma", "colorectal liver metastases"}
"""Tissues of models that are not for HCC."""


class Heap:
    """The files of the course, written once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scout: Scanned = write_scout(folder / "scout")
        self.therapy: Scanned = write_therapy(folder / "therapy")

    def registration(self, shift_mm: tuple[float, float, float]) -> Path:
        """A REG file from the therapy to where the tissue lay at the scout."""
        path = self.folder / "registration.dcm"
        write_registration(path, Transform.translation(shift_mm), self.therapy.context, self.scout.context)
        return path


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Heap:
    return Heap(tmp_path_factory.mktemp("heap"))


@pytest.fixture(scope="module")
def finished(heap: Heap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case that was run, with the right REG file, once."""
    case = Case.new(tmp_path_factory.mktemp("finished") / "case")
    case.set(**FACTS)
    case.add(heap.folder / "scout")
    case.add(heap.folder / "therapy")
    case.add(heap.registration(SHIFT_MM))
    case.run()
    return case.folder


@pytest.fixture
def case(finished: Path, tmp_path: Path) -> Case:
    return Case(Path(shutil.copytree(finished, tmp_path / "case")))


def lesions(case: Case) -> Iterator[tuple[float, float]]:
    for row in result(case, "verification")["structures"]:
        if row["name"] == "Tumour 1":
            yield row["planned_dose_mean_gy"], row["delivered_dose_mean_gy"]


def test_a_registration_that_arrived_as_dicom_brings_planned_and_delivered_together(case: Case) -> None:
    found = states(case)
    assert {found[name] for name in ("plan", "dose", "verification")} == {"done"}
    assert found["registration"] == "skipped"
    # Number, name and birth date of all images of the scout are one patient's: the guardrail was asked and is quiet.
    assert "identity" in result(case, "plan")["guardrails"]["quiet"]
    ((planned, delivered),) = lesions(case)
    # The same voxels and tissue: delivered over planned is given over planned activity; a PET keeps 16 bits.
    ratio = 2.0 / result(case, "plan")["territories"][0]["methods"]["mird"]["administered_gbq"]
    assert delivered / planned == pytest.approx(ratio, rel=0.01)


def test_a_wrong_registration_shows_in_the_verification(heap: Heap, finished: Path, tmp_path: Path) -> None:
    """The comparison above sees a known fault: 24 mm off towards the back."""
    case = Case(Path(shutil.copytree(finished, tmp_path / "case")))
    case.take("registration-1", "unused")
    case.add(heap.registration((SHIFT_MM[0], SHIFT_MM[1] + 24.0, SHIFT_MM[2])))
    case.take("registration-2", "registration")
    assert states(case)["verification"] == "out of date"
    assert [step.state for step in case.run()] == ["done"]
    ((planned, delivered),) = lesions(case)
    assert delivered / planned < 0.7


def test_a_registration_that_was_found_must_be_accepted(case: Case) -> None:
    case.take("registration-1", "unused")
    with pytest.raises(InputError, match="registration"):
        case.run("verification")
    assert states(case)["registration"] == "done"
    case.check("registration", "A. Physicist")
    case.run("verification")
    # Found to a quarter of the 8 mm voxel: the guardrail on images that are 10 mm apart was asked, and is quiet.
    assert result(case, "verification")["provenance"]["parameters"]["registration_error_mm"] < 4.0
    assert "registration" not in {one["code"] for one in result(case, "verification")["messages"]}
    ((planned, delivered),) = lesions(case)
    ratio = 2.0 / result(case, "plan")["territories"][0]["methods"]["mird"]["administered_gbq"]
    # Found to a quarter of the 8 mm voxel; the lesion of 32 mm loses at most 2/32 across each of three pairs of faces.
    assert delivered / planned == pytest.approx(ratio, rel=0.15)


def test_images_of_two_persons_under_one_number_stop_the_plan(case: Case) -> None:
    path = case.folder / "images.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    scout = next(item for item in document["items"] if item["role"] == "scout-ct")
    scout["facts"]["birth_date"] = "19600101"
    others = [item for item in document["items"] if item["role"] == "scout-spect"]
    others[0]["facts"]["birth_date"] = "19310205"
    path.write_text(json.dumps(document), encoding="utf-8")
    case.run("plan")
    assert "identity" in {one["id"] for one in result(case, "plan")["guardrails"]["warned"]}
    case.set(**{"treatment.facts.patient_identity_matches": "true"})  # what a person states beats what images say
    case.run("plan")
    assert "identity" in result(case, "plan")["guardrails"]["quiet"]


def test_the_guardrail_on_registration_speaks_from_ten_millimetres_on() -> None:
    rows = [{"name": "Liver", "mean_distance_mm": 3.0}, {"name": "Lungs", "mean_distance_mm": 14.0},
            {"name": "Tumour 1", "mean_distance_mm": 12.0}, {"name": "Body", "mean_distance_mm": None}]  # fmt: skip
    apart = surface_distance_mm({"structures": rows})
    assert apart == 12.0  # of liver and tumours; lungs breathe
    assert [one.code for one in about_registration(apart)] == ["registration"]
    assert about_registration(4.0) == about_registration(None) == ()
    assert surface_distance_mm({"structures": None}) is None


def test_a_change_of_the_plan_alone_recomputes_only_what_follows(case: Case) -> None:
    before = {name: record.run for name, record in case.situation().records.items()}
    case.set(**{"treatment.aims.perfused": "110 Gy"})
    ran = {step.name for step in case.run()}
    after = {name: record.run for name, record in case.situation().records.items()}
    assert ran == {"plan", "order", "verification"}
    assert {name for name in before if before[name] != after[name]} == ran


def test_prediction_is_of_the_normal_liver_and_of_the_disease(case: Case) -> None:
    found = result(case, "prediction")
    names = {row["name"] for row in found["structures"]}
    assert {"Tumour 1", "liver minus tumours"} <= names
    toxicity = {row["structure"] for row in found["models"] if row["kind"] == "ntcp"}
    assert toxicity == {"liver minus tumours", "perfused minus tumours"}
    assert {row["tissue"] for row in found["models"]} & {
        "intrahepatic cholangiocarcinoma",
        "colorectal liver metastases",
    } == set()


def test_a_tissue_has_one_mean_dose(case: Case) -> None:
    means = {row["name"]: row["dose_mean_gy"] for row in result(case, "dose")["structures"]}
    predicted = {row["name"]: row["dose_mean_gy"] for row in result(case, "prediction")["structures"]}
    assert predicted == {name: means[name] for name in predicted}
    verified = result(case, "verification")["absorbed_dose_mean_gy"]
    assert verified["Tumour 1"] == means["Tumour 1"]
    assert verified["normal liver"] == means["liver minus tumours"]


def test_the_second_plan_sees_the_doses_of_the_first(case: Case) -> None:
    case.set(**{"treatment.next.tolerance_bed": "300 Gy"})
    second = {key.replace("treatment.", "treatment.2."): value for key, value in FACTS.items() if "dose" not in key}
    case.set(
        **{k: v for k, v in second.items() if k.startswith("treatment.")} | {"treatment.2.at": "2026-07-01T10:00+02:00"}
    )
    for item in case.situation().catalogue:
        if item.role.startswith("scout"):
            case.take(item.name, item.role, treatment=0)
    case.run("plan-2")
    left = result(case, "next")["for_plan"]
    assert left["territory"] == "Perfused right"
    rows = result(case, "plan-2")["limits"]
    mine = [row for row in rows if row["id"] == "remaining-perfused_normal_gy"]
    assert mine
    assert mine[0]["limit"] == pytest.approx(left["normal_gy"])
    first = result(case, "dose")
    given = next(row["dose_mean_gy"] for row in first["structures"] if row["role"] == "perfused_normal")
    assert left["delivered_bed_gy"] > given


def test_projections_are_reconstructed_in_the_case_and_feed_the_dose(tmp_path: Path) -> None:
    write_projections_of_therapy(tmp_path / "therapy")
    case = Case.new(tmp_path / "case")
    case.set(
        **{
            "treatment.agent": "QuiremSpheres",
            "treatment.at": "2026-03-12T10:00+01:00",
            "treatment.reconstruction.camera": "siemens-megp",
            "treatment.reconstruction.sensitivity": "model",
            "treatment.reconstruction.iterations": "3",
            "treatment.reconstruction.subsets": "4",
            "treatment.dose.engine": "local",
            "treatment.dose.administered": "2 GBq",
        }
    )
    case.add(tmp_path / "therapy")
    assert [step.name for step in case.run("dose")] == ["reconstruction", "dose"]
    found = result(case, "reconstruction")["total_activity_mbq"]
    # Primary photons counted and reconstructed by one model; half a pixel of 16 mm of tissue (0.18/cm) takes 14 %.
    assert found == pytest.approx(1000.0, rel=0.15)
    # Decayed back over the day from the stated administration to the scan.
    at_administration = found * 2 ** (24.0 / nuclide("Ho-166").half_life_h)
    assert result(case, "dose")["activity_in_image_mbq"] == pytest.approx(at_administration, rel=2e-3)
    record = case.situation().records["dose"]
    assert record.inputs["activity"][0] == "steps/reconstruction"
    case.set(**{"treatment.reconstruction.iterations": "2"})
    assert states(case)["dose"] == "out of date"
