"""What a reconstruction says of its lungs reaches the dose: Python object, DICOM image, record beside it, verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from tests.unit.workflow.dose.test_lungs_of_a_dose import GIVEN_AT, Torso

import hepatica
from hepatica.case.report.goals import goals_of_dose
from hepatica.core import Estimate
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.core.lung_mean import LungMean, widened, widest
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.secret import Secret
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.levels.lung import LungPart, LungReading
from hepatica.io.dicom.identity.profile import deidentified_file
from hepatica.io.dicom.images.write import Emission, write_nm
from hepatica.io.read import read_image
from hepatica.planning.delivery.top_up import dose_interval
from hepatica.planning.measured.judged_doses import judged_treatment
from hepatica.report.tables import dose_note
from hepatica.workflow.dose.report import dose_report

SHARE = 0.05
AROUND = LungMean(6, 0.76, 1.24, 0.12, 0.02, SHARE)


def spect(torso: Torso, lung: LungMean | None, lung_gy: float = 25.0) -> Image:
    """An image in Bq/mL whose lungs get a stated mean dose."""
    plain = torso.in_mbq(2000.0)
    found = torso.dose(plain)["Lungs"].dose_mean_gy
    made = torso.in_mbq(2000.0 * lung_gy / found)
    return replace(made, acquisition=replace(made.acquisition, modality="NM", nuclide="Y-90", lung=lung))


@pytest.fixture(scope="module")
def torso() -> Torso:
    return Torso(lung_share=SHARE)


def row(found: hepatica.DoseResult) -> object:
    return next(one for one in found.limits if one.structure == "Lungs" and one.limit_gy == 30)


def test_a_mean_of_25_gy_with_24_percent_is_not_kept_against_30_gy(torso: Torso, tmp_path: Path) -> None:
    """25 Gy, -24 to +24 %: 19 to 31 Gy; the outline of 8 mm voxels widens it by a little, and nothing narrows it."""
    found = torso.dose(spect(torso, AROUND))
    lungs, limit = found.structure("Lungs"), row(found)
    assert lungs.dose.dose_mean_gy == pytest.approx(25.0, rel=1e-3)
    low, high = lungs.dose_mean_interval_95_gy
    assert 18 < low <= 19.0
    assert 31.0 <= high < 32.5
    assert (limit.status, limit.verdict) == ("open", "may be exceeded")
    assert (limit.low_gy, limit.high_gy) == (low, high)
    # The same image without it: the mean alone says "kept".
    assert row(torso.dose(spect(torso, None))).status == "met"
    assert torso.dose(spect(torso, None)).structure("Lungs").dose_mean_interval_95_gy is None
    # It is said: document, tables, report, and to what plans the next injection.
    document = found.as_dict()
    (stated,) = (one for one in document["structures"] if one["name"] == "Lungs")
    assert stated["dose_mean_interval_95_gy"] == pytest.approx([low, high])
    assert "scatter" in stated["interval_from"]
    assert "without the calibration" in stated["interval_from"]
    assert limit.interval.endswith("Gy, without the calibration, which is not known")
    assert "counting statistics" not in stated["uncertainty"]["not_known"]
    assert document["lung_doses"]["by_image"]["interval_95_gy"] == pytest.approx([low, high])
    assert stated["dose_mean_known_sd_gy"] > 0.12 * 25
    shown = "\n".join(str(table) for table in found.tables())
    assert "may be exceeded (95 %" in shown
    assert "95 %, Gy" in next(table for table in found.tables() if table.name == "lung-doses").columns
    report = dose_report(found)
    assert "not known" not in dose_note(report)
    assert any("95 %" in cell for one in report.limits for cell in (one.interval,))
    (tmp_path / "result.json").write_text(json.dumps(document, default=str))
    dose = next(d for d in judged_treatment(tmp_path / "result.json").doses if d.structure == "Lungs")
    assert dose.interval_gy == pytest.approx((low, high))
    assert dose_interval(replace(dose, calibration_known=True), 0.1).certainty == "open"


def test_the_calibration_is_counted_once(torso: Torso) -> None:
    """24 % and 1.96 x 10 % of a calibration in quadrature, and the outline's small part: 31 %, not 44."""
    image = spect(torso, AROUND)
    stated = hepatica.QuantificationOptions(calibration=Estimate(10.0, 1.0))
    options = hepatica.DoseOptions(quantification=stated, clinical=hepatica.StructureOptions(agent="glass"))
    found = hepatica.absorbed_dose(
        image, ct=torso.ct, nuclide="Y-90", structures=torso.regions, engine="local", options=options
    )
    alone = torso.dose(image).structure("Lungs").dose_mean_interval_95_gy
    lungs = found.structure("Lungs")
    low, high = lungs.dose_mean_interval_95_gy
    half, before = (high - low) / 2, (alone[1] - alone[0]) / 2
    assert half**2 == pytest.approx(before**2 + (1.96 * 0.1 * 25.0) ** 2, rel=2e-3)
    assert "without the calibration" not in lungs.interval_from


def test_spill_is_on_one_side_of_the_dose_as_of_the_image(torso: Torso) -> None:
    """-52 to +5 %: a true dose of half of what is read lies inside, and the limit of 30 Gy is kept."""
    found = torso.dose(spect(torso, LungMean(6, 0.48, 1.05, 0.35, 0.02, SHARE)))
    low, high = found.structure("Lungs").dose_mean_interval_95_gy
    assert low < 12.5
    assert 25 < high < 28
    assert row(found).status == "met"
    assert (25 - low) > 3 * (high - 25)


def test_a_mean_past_its_limit_is_exceeded_wherever_the_interval_lies(torso: Torso) -> None:
    assert row(torso.dose(spect(torso, LungMean(6, 0.48, 0.9, 0.35, 0.02, SHARE), 31.0))).status == "violated"


def test_the_interval_is_in_the_dicom_image_alone_and_stays_without_identity(torso: Torso, tmp_path: Path) -> None:
    made = spect(torso, AROUND)
    emission = Emission("Y-90", GIVEN_AT, 20.0, projections=60, lung=AROUND)
    write_nm(tmp_path / "spect.dcm", made.volume, DicomContext.of_volume(made.volume, "R"), emission)
    assert read_image(tmp_path / "spect.dcm").acquisition.lung == AROUND
    clean = tmp_path / "clean.dcm"
    clean.write_bytes(
        deidentified_file((tmp_path / "spect.dcm").read_bytes(), Anonymiser.of(Secret(bytes(32)), [], {}))
    )
    assert read_image(clean).acquisition.lung == AROUND
    moved = torso.dose(tmp_path / "spect.dcm", scanner=hepatica.CtOptions(registered=True))
    assert row(moved).verdict == "may be exceeded"
    dataset = pydicom.dcmread(clean)
    dataset.private_block(0x0071, "HEPATICA").add_new(0x10, "LT", "Doe")
    dataset.save_as(clean)
    assert b"Doe" not in deidentified_file(clean.read_bytes(), Anonymiser.of(Secret(bytes(32)), [], {}))
    dataset.private_block(0x0071, "HEPATICA")[0x02].value = [1.2, 0.8, 0.1, 0.1, 0.05]
    dataset.save_as(clean)
    broken = read_image(clean)
    assert broken.acquisition.lung == LungMean(1)
    assert "lung-record-unreadable" in {one.code for one in broken.messages}


def test_a_record_beside_a_nifti_says_it(torso: Torso, tmp_path: Path) -> None:
    from hepatica.core.document import document
    from hepatica.io.itk import write_itk

    reading = LungReading(
        Estimate(2.0, 0.24), (1.52, 2.48), SHARE, (LungPart("1", 1.0, Estimate(2.0, 0.1)),), 0.1, 0.02, 0.1, 0.0, 0.0,
        0.0, 1.0,
    )  # fmt: skip
    assert reading.told == LungMean(1, 0.76, 1.24, 0.12, 0.02, SHARE)
    made = spect(torso, None)
    write_itk(made.volume, tmp_path / "spect.nii.gz")
    record = {"head_time_s": 1200.0, "nuclide": "Y-90", "lung": document(reading)}
    (tmp_path / "result.json").write_text(json.dumps(record))
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=GIVEN_AT)
    found = torso.dose(tmp_path / "spect.nii.gz", images=images, scanner=hepatica.CtOptions(registered=True))
    assert row(found).status == "open"
    del record["lung"]["interval_95"]
    (tmp_path / "result.json").write_text(json.dumps(record))
    found = torso.dose(tmp_path / "spect.nii.gz", images=images, scanner=hepatica.CtOptions(registered=True))
    assert "lung-record-unreadable" in {one.code for one in found.messages}


def test_lungs_drawn_otherwise_than_those_of_the_reconstruction_are_said(torso: Torso) -> None:
    other = replace(AROUND, share_of_image=0.08)
    assert "lungs-drawn-otherwise" in {one.code for one in torso.dose(spect(torso, other)).messages}
    assert "lungs-drawn-otherwise" not in {one.code for one in torso.dose(spect(torso, AROUND)).messages}


def test_numbers_of_a_lung_are_checked_and_combined() -> None:
    # Half-width 6 and 1.96 x 0.1 x 25 = 4.9 in quadrature: 7.747.
    assert widened((19.0, 31.0), 0.1) == pytest.approx((17.253, 32.747), abs=1e-3)
    assert widest((AROUND, LungMean(6, 0.9, 1.3, 0.1, 0.03, SHARE))).numbers[:4] == (0.76, 1.3, 0.12, 0.03)
    assert widest((AROUND, None)) is None
    with pytest.raises(InputError):
        LungMean(6, 1.2, 0.8, 0.1, 0.1, 0.05)
    with pytest.raises(InputError):
        LungMean(6, 0.8)


def test_the_first_page_of_a_case_judges_by_the_interval_too(torso: Torso) -> None:
    """Of one treatment 19 to 31 Gy against 30; with 22 Gy before, 47 Gy of 50 whose interval ends at 53."""
    document = torso.dose(spect(torso, AROUND)).as_dict()
    goals = {goal.limit_gy: goal for goal in goals_of_dose(document, (22.0, ""), {}, {})["Lungs"]}
    assert goals[30].status == "open"
    assert goals[30].high_gy == pytest.approx(31.0, abs=1.5)
    assert goals[50].status == "open"
    assert goals[50].judged_gy == pytest.approx(47.0, abs=0.1)
    assert goals[50].high_gy == pytest.approx(53.0, abs=1.5)
