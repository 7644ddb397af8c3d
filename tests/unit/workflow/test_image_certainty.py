"""What an image knows of its becquerels reaches the dose: object, DICOM, NIfTI, command line, transform, next steps."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.unit.workflow.dose.test_lungs_of_a_dose import GIVEN_AT, Torso

import hepatica
from command_line import answer
from hepatica.case.report.goals import goals_of_dose
from hepatica.core import Estimate, Grid
from hepatica.core.certainty import NOT_STATED, CountedRegion, ImageCertainty, common_scale
from hepatica.core.context import DicomContext
from hepatica.core.image import Image
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.secret import Secret
from hepatica.core.transform import Transform
from hepatica.core.transform.ends import brought_ends
from hepatica.errors import InputError
from hepatica.io.dicom.identity.profile import deidentified_file
from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
from hepatica.io.itk import write_itk
from hepatica.io.read import read_image

REGION = CountedRegion(700.0, 0.4, 0.06)
KNOWN = ImageCertainty(0.05, 0.02, 0.99, 0.03, (REGION,))
TO_CT = hepatica.CtOptions(registered=True)


@pytest.fixture(scope="module")
def torso() -> Torso:
    return Torso(lung_share=0.05)


def pet(torso: Torso, certainty: ImageCertainty = KNOWN, lung_gy: float | None = None) -> Image:
    """2 GBq, or as much as gives the lungs a mean dose; 25 Gy are about 0.07 of the dose of 2 GBq by share."""
    made = torso.in_mbq(2000.0)
    if lung_gy is not None:
        made = torso.in_mbq(2000.0 * lung_gy / torso.dose(made)["Lungs"].dose_mean_gy)
    return replace(made, acquisition=replace(made.acquisition, modality="PT", nuclide="Y-90", certainty=certainty))


def test_numbers_are_checked_and_travel() -> None:
    assert ImageCertainty.of_numbers(KNOWN.numbers, KNOWN.region_numbers) == KNOWN
    part = ImageCertainty(None, 0.02)
    assert ImageCertainty.of_numbers(part.numbers) == part
    scan = replace(KNOWN, scan_relative_sd=0.021)
    assert ImageCertainty.of_numbers(scan.numbers, scan.region_numbers) == scan
    assert ImageCertainty.of_document(asdict(scan)) == scan
    assert (KNOWN.counting_of(710.0, 0.405), KNOWN.counting_of(760.0, 0.4)) == (0.06, None)
    assert (common_scale((0.05, 0.03)), common_scale((0.05, None)), common_scale(())) == (0.05, None, None)
    for wrong in ((-0.1, 0.0, 1.0, 0.1), (0.1, 0.0, 1.0), (float("nan"), 0.0, 1.0, 0.1)):
        with pytest.raises(InputError):
            ImageCertainty.of_numbers(wrong)


def test_a_dose_holds_the_scale_once(torso: Torso) -> None:
    """5 % of the scale in quadrature with outline and all else, and the same where it is stated beside the image."""
    plain = torso.dose(pet(torso, NOT_STATED))
    sure = torso.dose(pet(torso))
    stated = hepatica.QuantificationOptions(calibration=Estimate(10.0, 0.5))
    options = hepatica.DoseOptions(quantification=stated, clinical=hepatica.StructureOptions(agent="glass"))
    twice = hepatica.absorbed_dose(
        pet(torso), ct=torso.ct, nuclide="Y-90", structures=torso.regions, engine="local", options=options
    )
    for name in ("Liver", "Tumour", "Lungs"):
        without, found = plain.structure(name), sure.structure(name)
        mean = found.dose.dose_mean_gy
        assert found.mean.sd**2 == pytest.approx(without.mean.sd**2 + (0.05 * mean) ** 2, rel=1e-6)
        low, high = found.dose_mean_interval_95_gy
        assert (high - low) / 2 == pytest.approx(1.96 * found.mean.sd, rel=1e-6)
        assert twice.structure(name).dose_mean_interval_95_gy == pytest.approx((low, high))
        assert "counting statistics, not known" in found.interval_from
        # Someone else's image: not stated, and not zero.
        assert without.dose_mean_interval_95_gy is None
    said = {message.code for message in plain.messages}
    assert "dose-interval-not-stated" in said
    assert plain.count.scale_relative_sd is None
    assert "dose-interval-not-stated" not in {message.code for message in sure.messages}
    assert "95 %, Gy" in sure.table().columns
    assert "95 %, Gy" not in plain.table().columns


def test_a_stated_calibration_leaves_the_doubt_of_the_scan(torso: Torso) -> None:
    # 3 % of the scan's own beyond the field and 4 % that a calibration of 12 % takes the place of
    image = pet(torso, replace(KNOWN, scale_relative_sd=0.05, scan_relative_sd=0.03))
    stated = hepatica.QuantificationOptions(calibration=Estimate(10.0, 1.2))
    made = hepatica.quantify(image, nuclide="Y-90", quantification=stated)
    assert made.activity_scale_relative_sd == pytest.approx(np.hypot(0.12, 0.03))
    assert made.image_certainty.scan_relative_sd == 0.03
    assert hepatica.quantify(image, nuclide="Y-90").activity_scale_relative_sd == 0.05


def test_counting_goes_to_the_structure_that_it_was_found_of(torso: Torso) -> None:
    plain = torso.dose(pet(torso))
    liver = plain.structure("Liver")
    own = CountedRegion(liver.dose.volume_ml, liver.dose.activity_share, 0.06)
    found = torso.dose(pet(torso, replace(KNOWN, counted=(own,))))
    mean = liver.dose.dose_mean_gy
    assert found.structure("Liver").mean.sd ** 2 == pytest.approx(liver.mean.sd**2 + (0.06 * mean) ** 2, rel=1e-6)
    assert "counting" not in found.structure("Liver").interval_from.partition("; ")[2]
    assert found.structure("Tumour").uncertainty.counting_relative_sd is None


def test_a_limit_that_the_interval_crosses_is_not_kept(torso: Torso, tmp_path: Path) -> None:
    """27 Gy +- 8 % (k = 1): 22.8 to 31.2 Gy at least, against 30 Gy."""
    image = pet(torso, ImageCertainty(0.08), 27.0)
    found = torso.dose(image)
    row = next(one for one in found.limits if one.structure == "Lungs" and one.limit_gy == 30)
    assert (row.status, row.verdict) == ("open", "may be exceeded")
    assert row.low_gy <= 27 * (1 - 1.96 * 0.08)
    assert row.high_gy >= 27 * (1 + 1.96 * 0.08)
    alone = torso.dose(pet(torso, NOT_STATED, 27.0))
    bare = next(one for one in alone.limits if one.structure == "Lungs" and one.limit_gy == 30)
    assert (bare.status, bare.low_gy) == ("near", None)
    # The first page, and what an earlier treatment left for the lungs and the liver.
    document = found.as_dict()
    goals = {goal.limit_gy: goal for goal in goals_of_dose(document, (0.0, ""), {}, {})["Lungs"]}
    assert goals[30].status == "open"


def test_what_was_left_by_earlier_treatments_is_judged_by_the_interval() -> None:
    """50 of 52 Gy that are left, 45 to 55 Gy: kept by the mean, open by the interval."""
    rows = [{"name": "NL", "role": "normal_liver", "dose_mean_gy": 50.0, "dose_mean_interval_95_gy": [45.0, 55.0]}]
    left = {"normal_gy": 52.0, "tolerance_bed_gy": 93.0, "delivered_bed_gy": 30.0, "territory": None}
    dose = {"limits": [], "structures": rows}
    (goal,) = goals_of_dose(dose, (0.0, ""), left, {})["NL"]
    assert (goal.status, goal.high_gy) == ("open", 55.0)
    rows[0]["dose_mean_interval_95_gy"] = None
    (goal,) = goals_of_dose(dose, (0.0, ""), left, {})["NL"]
    assert goal.status == "near"


@pytest.fixture(scope="module")
def folder(torso: Torso, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("images")
    context = DicomContext.of_volume(torso.ct.volume, "T")
    image = pet(torso)
    emission = Emission("Y-90", GIVEN_AT, 600.0, seen_z_mm=(8.0, 280.0), certainty=KNOWN)
    write_ct(made / "ct", torso.ct.volume, context)
    write_pet(made / "pet", image.volume, context, emission)
    labels = sum((n + 1) * (r.full() > 0.5) for n, r in enumerate(torso.regions))
    labels = np.where(torso.regions[1].full() > 0.5, 2, labels).astype(np.int16)
    from hepatica.core import Kind, Volume

    write_itk(Volume(torso.grid, labels, Kind.LABEL), made / "rois.nii.gz")
    (made / "rois.json").write_text(json.dumps({"1": "Liver", "2": "Tumour", "3": "Lungs"}))
    return made


def test_dicom_and_the_command_line_say_the_same(folder: Path) -> None:
    read = read_image(folder / "pet").acquisition
    assert (read.certainty, read.seen_z_mm, read.seen_along) == (KNOWN, (8.0, 280.0), (0.0, 0.0, 1.0))
    words = ("--structures", folder / "rois.nii.gz", "--engine", "local", "--agent", "glass", "--registered")
    told = answer("dose", folder / "pet", "--ct", folder / "ct", "--nuclide", "Y-90", *words)
    assert told["activity_scale_relative_sd"] == 0.05
    (liver,) = (one for one in told["structures"] if one["name"] == "Liver")
    low, high = liver["dose_mean_interval_95_gy"]
    assert (high - low) / 2 >= 1.96 * 0.05 * liver["dose_mean_gy"]
    assert told["seen_field"]["ends_mm"] == [8.0, 280.0]


def test_the_record_stays_without_identity_and_a_broken_one_is_said(torso: Torso, tmp_path: Path) -> None:
    image = pet(torso)
    context = DicomContext.of_volume(image.volume, "R")
    write_nm(tmp_path / "nm.dcm", image.volume, context, Emission("Y-90", GIVEN_AT, 20.0, certainty=KNOWN))
    assert read_image(tmp_path / "nm.dcm").acquisition.certainty == KNOWN
    anonymiser = Anonymiser.of(Secret(bytes(32)), [], {})
    (tmp_path / "clean.dcm").write_bytes(deidentified_file((tmp_path / "nm.dcm").read_bytes(), anonymiser))
    assert read_image(tmp_path / "clean.dcm").acquisition.certainty == KNOWN
    import pydicom

    dataset = pydicom.dcmread(tmp_path / "clean.dcm")
    dataset.private_block(0x0071, "HEPATICA")[0x04].value = [-0.5, 0.1, 0.1, 0.1]
    dataset.save_as(tmp_path / "broken.dcm")
    broken = read_image(tmp_path / "broken.dcm")
    assert broken.acquisition.certainty == NOT_STATED
    assert "certainty-unreadable" in {one.code for one in broken.messages}


def test_quantify_then_dose_by_object_and_by_file(torso: Torso, tmp_path: Path) -> None:
    """A camera factor of 10 +- 0.7 cps/MBq is 7 %; counts scaled to 2.0 +- 0.06 GBq have 3 %, whatever the camera."""
    counts = torso.scout
    counts = replace(
        counts,
        volume=replace(counts.volume, time=GIVEN_AT),
        acquisition=replace(counts.acquisition, nuclide="Y-90", start=GIVEN_AT),
    )
    by_factor = hepatica.QuantificationOptions(calibration=Estimate(10.0, 0.7), frame_duration_s=1200.0)
    found = hepatica.quantify(counts, nuclide="Y-90", quantification=by_factor)
    assert found.activity_image.acquisition.certainty.scale_relative_sd == pytest.approx(0.07)
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(GIVEN_AT,))
    saved = found.save(tmp_path / "q")
    for source, options in ((found.activity_image, hepatica.ImageOptions()), (saved / "activity.nii.gz", images)):
        dose = torso.dose(source, images=options, scanner=TO_CT)
        assert dose.count.scale_relative_sd == pytest.approx(0.07)
        low, high = dose.structure("Liver").dose_mean_interval_95_gy
        assert (high - low) / 2 >= 1.96 * 0.07 * dose["Liver"].dose_mean_gy
    straight = hepatica.absorbed_dose(
        counts, ct=torso.ct, nuclide="Y-90", structures=torso.regions, engine="local",
        options=hepatica.DoseOptions(quantification=by_factor),
    )  # fmt: skip
    assert straight.structure("Liver").dose_mean_interval_95_gy == pytest.approx((low, high), rel=1e-4)
    given = hepatica.QuantificationOptions(administered_bq=2e9, administered_sd_bq=6e7, administered_at=GIVEN_AT)
    unsure = replace(counts, acquisition=replace(counts.acquisition, certainty=ImageCertainty(0.2)))
    scaled = hepatica.absorbed_dose(
        unsure, ct=torso.ct, nuclide="Y-90", structures=torso.regions, engine="local",
        options=hepatica.DoseOptions(quantification=given),
    )  # fmt: skip
    assert scaled.count.scale_relative_sd == pytest.approx(0.03)


def test_ends_go_with_a_transform() -> None:
    grid = Grid.axial((6, 6, 40), spacing_mm=(10.0, 10.0, 4.0))
    shift = Transform.translation((0.0, 5.0, 20.0))
    ends, along = brought_ends((0.0, 100.0), (0.0, 0.0, 1.0), shift, grid)
    assert ends == pytest.approx((-20.0, 80.0))
    assert along == pytest.approx((0.0, 0.0, 1.0))
    # A quarter turn about x: what was seen along z is seen along y.
    turn = np.eye(4)
    turn[1:3, 1:3] = [[0.0, 1.0], [-1.0, 0.0]]
    ends, along = brought_ends((0.0, 100.0), (0.0, 0.0, 1.0), Transform.affine(turn), grid)
    assert along == pytest.approx((0.0, -1.0, 0.0), abs=1e-12)
    # A field of 20 mm along z at one side and none at the other: what lies between the ends on both sides.
    vectors = np.zeros((*grid.shape, 3))
    vectors[..., 2] = np.linspace(0, 20, 6)[:, None, None]
    ends, along = brought_ends((0.0, 100.0), (0.0, 0.0, 1.0), Transform.field(grid, vectors), grid)
    assert along == pytest.approx((0.0, 0.0, 1.0))
    assert 0.0 <= ends[0] <= 4.0
    assert 76.0 <= ends[1] <= 80.0


def test_a_moved_image_keeps_what_it_sees_and_knows(torso: Torso, tmp_path: Path) -> None:
    """The same by a transform in *dose*, by *warp* as an object, as DICOM and as a NIfTI: the liver is cut alike."""
    frame = "1.2.826.0.1.3680043.8.498.33333333"
    here = replace(pet(torso), acquisition=replace(pet(torso).acquisition, seen_z_mm=(60.0, 400.0), start=GIVEN_AT))
    share = torso.dose(here).structure("Liver").seen_share
    assert 0.5 < share < 0.9
    affine = np.array(torso.grid.affine)
    affine[:3, 3] += (0.0, 0.0, 30.0)
    there_grid = Grid(torso.grid.shape, affine, frame)
    acquired = replace(here.acquisition, seen_z_mm=(90.0, 430.0), frame_duration_s=600.0)
    moving = replace(here, volume=replace(here.volume, grid=there_grid), acquisition=acquired)
    way = hepatica.TransformOptions(transform=Transform.translation((0.0, 0.0, 30.0), moving_frame=frame))
    found = torso.dose(moving, registration=way)
    assert found.structure("Liver").seen_share == pytest.approx(share, abs=1e-6)
    assert found.count.scale_relative_sd == 0.05
    context = DicomContext.of_volume(torso.ct.volume, "T")
    fixed = replace(torso.ct, context=context)
    warped = hepatica.warp_image(moving, to=fixed, registration=way)
    assert warped.image is not None
    saved = warped.save(tmp_path / "w")
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(GIVEN_AT,))
    for source, options in (
        (warped.image, hepatica.ImageOptions()), (saved / "pet", hepatica.ImageOptions()),
        (saved / "warped.nii.gz", images),
    ):  # fmt: skip
        dose = torso.dose(source, images=options, scanner=TO_CT)
        assert dose.structure("Liver").seen_share == pytest.approx(share, abs=1e-6)
        assert dose.count.scale_relative_sd == 0.05
        assert dose.structure("Liver").not_judged


def test_readers_of_a_dose_know_what_its_image_saw(torso: Torso, tmp_path: Path) -> None:
    acquired = replace(pet(torso).acquisition, seen_z_mm=(60.0, 400.0))
    cut = torso.dose(replace(pet(torso), acquisition=acquired))
    share = cut.structure("Liver").seen_share
    saved = cut.save(tmp_path / "dose")
    by_mass = hepatica.accumulated_dose(saved, saved, structures=saved / "structures.dcm")
    (liver,) = (row for row in by_mass.course.structures if row.name == "Liver")
    assert liver.first_seen_share == pytest.approx(share, abs=0.02)
    assert liver.seen_share == pytest.approx(share, abs=0.02)
    low, high = liver.dose_mean_interval_95_gy
    assert (high - low) / 2 == pytest.approx(1.96 * 0.05 * liver.dose_mean_gy, rel=1e-3)
    assert "seen, %" in by_mass.table().columns
    assert "structure-not-seen-whole" in {message.code for message in by_mass.messages}
    compared = hepatica.scout_concordance(saved, saved, structures=saved / "structures.dcm")
    assert compared.concordance.tumour_to_normal_delivered is None
    assert "structure-not-seen-whole" in {message.code for message in compared.messages}
    coming = hepatica.NextTreatment(
        next_at=datetime(2026, 9, 1, 10), normal_dose_gy_per_gbq=20.0, tumour_dose_gy_per_gbq=60.0,
        lung_dose_gy_per_gbq=2.0,
    )  # fmt: skip
    results = hepatica.DoseResultOptions(dose_results=(saved,), normal_structure="Liver")
    left = hepatica.remaining_tolerance(coming=coming, tolerance_bed_gy=93.0, results=results)
    codes = {message.code: message.severity for message in left.messages}
    assert codes["structure-not-seen-whole"] == "critical"
    # What is left is told by the upper ends too, to the reader and to the plan.
    found = hepatica.remaining_tolerance(coming=coming, tolerance_bed_gy=400.0, results=results)
    remaining = found.prospect.remaining
    assert remaining.normal_dose_surely_gy < remaining.normal_dose_gy
    assert remaining.activity_surely_gbq < remaining.activity_gbq
    assert "left-by-upper-ends" in {message.code for message in found.messages}
    assert "open" in [row[5] for row in found.table().rows]
    assert any("upper ends" in caution for caution in found.for_plan.cautions)
    assert found.for_plan.normal_surely_gy == remaining.normal_dose_surely_gy


def test_a_total_that_is_not_of_the_counts_is_said_of_the_dose_too(torso: Torso) -> None:
    for ratio in (0.7, 1.3):
        off = torso.dose(pet(torso, replace(KNOWN, over_counts=ratio, over_counts_sd=0.03)))
        (said,) = (message for message in off.messages if message.code == "total-not-of-counts")
        assert said.severity == "critical"
        assert f"{100 * (ratio - 1):+.0f} +- 3 %" in said.text
    assert "total-not-of-counts" not in {message.code for message in torso.dose(pet(torso)).messages}


def test_every_message_of_pet_is_on_its_page() -> None:
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs" / "pet.md").read_text()
    sources = root / "src" / "hepatica"
    rooms = [sources / "imaging" / "pet", sources / "workflow" / "pet", sources / "io" / "pet_raw"]
    files = [path for room in rooms for path in room.rglob("*.py")] + list(
        (sources / "io/dicom/images").glob("pet*.py")
    )
    codes = {code for path in files for code in re.findall(r'Message\(\s*"([a-z0-9-]+)"', path.read_text())}
    assert len(codes) > 30
    assert not {code for code in codes if f"`{code}`" not in page}
