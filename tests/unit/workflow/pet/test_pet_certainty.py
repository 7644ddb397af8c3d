"""How sure a reconstructed PET is, the rules of its reconstruction, and the dose of an image with negative voxels."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from command_line import answer
from hepatica.core import Region
from hepatica.imaging.pet import efficiency
from hepatica.imaging.pet.acquisition import acquire
from hepatica.imaging.pet.acquisition.said import about_scale
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration, Part
from hepatica.imaging.pet.reconstruct import model_lines
from hepatica.io.itk import write_itk
from hepatica.workflow.pet.reconstruct import PetResult

ENOUGH = model_lines.FEWEST
VOXEL = 16.0
IMAGE = hepatica.PetImageOptions(voxel_mm=(VOXEL, VOXEL, VOXEL), matter_mm=14.0)
CORRECTIONS = hepatica.PetCorrectionOptions(skip_scatter=True)
QUICK = hepatica.PetUncertaintyOptions(skip_uncertainty=True)
SCALE = hepatica.PetUncertaintyOptions(
    calibration_factor=1.05, calibration_relative_sd=0.02, meter_relative_sd=0.03, samples=10
)


def asked(**iteration: Any) -> hepatica.PetOptions:
    steps = hepatica.PetIterationOptions(**{"iterations": 2, "subsets": 2, **iteration})
    return hepatica.PetOptions(iteration=steps, corrections=CORRECTIONS, image=IMAGE)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Lines and electrons for the 2 000 voxels of 16 mm here, not for voxels of 4 mm; no figures and no reports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficiency, "ROUND_LINES", 1 << 18)
        patch.setattr(model_lines, "FEWEST", 20_000)
        patch.setattr(acquire, "ELECTRONS", 20_000)
        patch.setattr("hepatica.report.figures.outcome.save", lambda figure, path: path.touch())
        for name in ("draw_reconstructed_pet", "draw_simulated_pet"):
            patch.setattr(f"hepatica.report.figures.pet.{name}", lambda *_: None)
        patch.setattr("hepatica.workflow.dose.result.report_files", lambda *_: {})
        yield


@pytest.fixture(scope="module")
def scan() -> hepatica.PetSimulationResult:
    options = hepatica.PetSimulationOptions(
        scan=hepatica.PetScanOptions(bed_duration_s=3.0, matter_mm=14.0, beds=2),
        phantom=hepatica.PetPhantomOptions(phantom="cylinder", phantom_voxel_mm=10.0),
        stated=hepatica.ScannedActivityOptions(total_bq=2e9),
    )
    return hepatica.simulate_pet(nuclide="Y-90", scanner="discovery_690", options=options)


@pytest.fixture(scope="module")
def one_bed(scan: hepatica.PetSimulationResult) -> hepatica.PetRawData:
    """The first of the two beds, that of the head."""
    return replace(scan.raw, beds=scan.raw.beds[:1])


@pytest.fixture(scope="module")
def saved(scan: hepatica.PetSimulationResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scan.save(tmp_path_factory.mktemp("pet") / "scan")


@pytest.fixture(scope="module")
def core(scan: hepatica.PetSimulationResult) -> Region:
    """Inside the cylinder, 10 cm wide."""
    grid = scan.ct_image.grid
    x, y, z = (grid.origin_mm[a] + grid.spacing_mm[a] * np.arange(grid.shape[a]) for a in range(3))
    middle = scan.raw.beds[0].bed_mm / 2 + scan.raw.beds[1].bed_mm / 2
    wide = np.hypot(x[:, None] - scan.raw.axis_mm[0], y[None, :] - scan.raw.axis_mm[1]) < 50
    return Region.from_coverage("core", grid, wide[:, :, None] & (np.abs(z - middle) < 60))


@pytest.fixture(scope="module")
def plain(saved: Path, core: Region) -> PetResult:
    return hepatica.reconstruct_pet(saved, ct=saved / "ct", structures=(core,), options=asked())


@pytest.fixture(scope="module")
def scaled(saved: Path, core: Region) -> PetResult:
    options = replace(asked(), uncertainty=SCALE)
    return hepatica.reconstruct_pet(saved, ct=saved / "ct", structures=(core,), options=options)


@pytest.fixture(scope="module")
def plain_files(plain: PetResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain.save(tmp_path_factory.mktemp("plain") / "pet")


@pytest.fixture(scope="module")
def scaled_files(scaled: PetResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scaled.save(tmp_path_factory.mktemp("scaled") / "pet")


def test_the_default_is_unbiased_and_goes_below_zero(
    scan: hepatica.PetSimulationResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a sample of fewer lines moves the total of so few counts by a tenth
    monkeypatch.setattr(model_lines, "FEWEST", ENOUGH)
    options = hepatica.PetOptions(corrections=CORRECTIONS, image=IMAGE)
    made = hepatica.reconstruct_pet(scan.raw, ct=scan.ct_image, options=options)
    assert options.iteration.method == "wls"
    assert float(made.volume.values.min()) < 0
    assert {(bed.iterations, bed.subsets) for bed in made.beds} == {(8, 1)}
    assert not [m for m in made.messages if m.code == "fewer-subsets"]
    # of a list of few counts too the image holds what it counted
    net = made.net_counts
    assert abs(net.image_mbq - net.predicted_mbq) < 3 * net.predicted_sd_mbq


def test_subsets_are_fewer_where_counts_are_few(
    one_bed: hepatica.PetRawData, scan: hepatica.PetSimulationResult
) -> None:
    osem = hepatica.PetIterationOptions(method="osem")
    made = hepatica.reconstruct_pet(
        one_bed, ct=scan.ct_image, options=replace(asked(), uncertainty=QUICK, iteration=osem)
    )
    for bed in made.beds:
        # 10 000 coincidences that are not random for each subset; iterations make up for the subsets that are missing
        assert bed.subsets == max(int((bed.prompts - bed.randoms) // 10_000), 1) < 12
        assert bed.iterations == math.ceil(36 / bed.subsets)
    assert [m.severity for m in made.messages if m.code == "fewer-subsets"] == ["note"] * len(made.beds)


def test_the_scale_multiplies_and_its_uncertainty_is_added_in_squares(plain: PetResult, scaled: PetResult) -> None:
    # the last bits of single precision follow the order in which threads add, and noise makes more of them
    close = 1e-4 * float(plain.volume.values.max())
    np.testing.assert_allclose(scaled.volume.values, 1.05 * plain.volume.values, rtol=2e-3, atol=close)
    assert scaled.scale_factor == pytest.approx(1.05)
    # a simulation's positrons are exact, so 2 % and 3 % and counting
    common = math.hypot(0.02, 0.03)
    total, counting = scaled.activity_mbq, scaled.activity_counting_sd_mbq
    assert total.sd is not None
    assert counting is not None
    assert total.sd == pytest.approx(math.hypot(counting, common * total.value), rel=1e-6)
    # without a cross-calibration the model of lines is known to 3 % (rectangular)
    assert plain.activity_counting_sd_mbq is not None
    lines = 0.03 / math.sqrt(3) * plain.activity_mbq.value
    assert plain.activity_mbq.sd == pytest.approx(math.hypot(plain.activity_counting_sd_mbq, lines), rel=0.01)


def test_counting_is_that_of_the_events(plain: PetResult, scaled: PetResult) -> None:
    """The total is as many as all prompts after one update, and as prompts less randoms in the end: between both lies
    its relative sd after few updates, 1 / sqrt(prompts) and sqrt(prompts) / trues."""
    trues = plain.prompts - plain.randoms
    relative = plain.activity_counting_sd_mbq / plain.activity_mbq.value
    assert 1 / math.sqrt(plain.prompts) < relative < math.sqrt(plain.prompts) / trues
    (core,), (other,) = plain.structures, scaled.structures
    assert core.counting_sd_mbq is not None
    assert other.counting_sd_mbq is not None
    assert other.counting_sd_mbq == pytest.approx(1.05 * core.counting_sd_mbq, rel=0.02)
    assert (
        core.detection_limit_mbq > core.decision_threshold_mbq == pytest.approx(1.6449 * core.counting_sd_mbq, rel=1e-3)
    )
    assert core.concentration_mean_bq_ml == pytest.approx(1e6 * core.activity_mbq.value / core.volume_ml)


def test_voxels_know_their_noise_from_resampled_lists(scaled: PetResult, core: Region, scaled_files: Path) -> None:
    noise = scaled.found.voxel_sd
    assert noise is not None
    assert noise.shape == scaled.grid.shape
    # independent voxels would have a region's variance as the sum of theirs; a point spread ties neighbours together
    inside = hepatica.core.resample.resample_region(core, scaled.grid)
    held = noise[inside.window].astype(float) * inside.coverage * scaled.grid.voxel_volume_ml / 1e6
    region_sd = scaled.structures[0].counting_sd_mbq
    assert 0.2 < float(np.sqrt((held**2).sum())) / region_sd < 5
    assert (scaled_files / "pet_sd.nii.gz").exists()


def test_penalised_images_know_no_influence(
    one_bed: hepatica.PetRawData, scan: hepatica.PetSimulationResult, core: Region
) -> None:
    options = asked(method="bsrem", prior_strength=0.1)
    made = hepatica.reconstruct_pet(one_bed, ct=scan.ct_image, structures=(core,), options=options)
    assert made.activity_mbq.sd is None
    assert made.structures[0].counting_sd_mbq is None
    assert made.activity_scatter_sd_mbq is None  # none is taken off here
    # The dose then says the scale, and that counting is not in it.
    dose = hepatica.absorbed_dose(made.image, ct=scan.ct_image, nuclide="Y-90", structures=(core,), engine="local")
    assert dose.structure("core").interval_from.endswith("without counting statistics, not known")
    with pytest.raises(hepatica.InputError, match="belongs to the method bsrem"):
        asked(method="osem", prior_strength=0.1)


def test_iterations_end_where_noise_is_enough(
    one_bed: hepatica.PetRawData, scan: hepatica.PetSimulationResult, core: Region
) -> None:
    options = asked(method="osem", iterations=6, subsets=1, noise_target=0.15, noise_structure="core")
    made = hepatica.reconstruct_pet(one_bed, ct=scan.ct_image, structures=(core,), options=options)
    for bed in made.beds:
        if bed.voxel_noise:
            assert len(bed.voxel_noise) == 6
            kept = [n + 1 for n, noise in enumerate(bed.voxel_noise) if noise <= 0.15]
            assert bed.iterations == max(kept, default=1)
    assert any(bed.voxel_noise for bed in made.beds)
    wrong = asked(noise_target=0.3, noise_structure="liver")
    with pytest.raises(hepatica.InputError, match="'liver'; the structures given are: core"):
        hepatica.reconstruct_pet(one_bed, ct=scan.ct_image, structures=(core,), options=wrong)


def test_a_patient_without_calibration_has_no_whole_uncertainty(
    one_bed: hepatica.PetRawData, scan: hepatica.PetSimulationResult, plain: PetResult
) -> None:
    # a patient, of whose coincidences dead time took 2 %
    bed = replace(one_bed.beds[0], live_fraction=0.98)
    real = replace(one_bed, simulated=False, beds=(bed,))
    made = hepatica.reconstruct_pet(real, ct=scan.ct_image, options=asked())
    assert made.activity_mbq.sd is None
    assert made.activity_counting_sd_mbq is not None
    parts = {part.name: part.relative_sd for part in made.scale_parts}
    # 31.86 +- 0.47 per million (Selwyn et al. 2007)
    assert parts["positrons per decay"] == pytest.approx(0.47 / 31.86, rel=0.02)
    assert [name for name, sd in parts.items() if sd is None] == ["cross-calibration", "meter, for this nuclide"]
    assert {"sensitivity-modelled", "scale-uncertainty-unknown"} <= {m.code for m in made.messages}
    # half of what was lost, rectangular; it is the scan's own, so that a stated calibration does not take it away
    assert parts["dead time"] == pytest.approx(0.5 * 0.02 / math.sqrt(3), rel=0.02)
    assert made.image_certainty.scan_relative_sd == pytest.approx(parts["dead time"])
    assert "dead time" not in {part.name for part in plain.scale_parts}
    half = CrossCalibration(1.0, (Part("cross-calibration", 0.03), Part("meter, for this nuclide", None)))
    (said,) = about_scale(half, simulated=False)
    assert "not known: meter, for this nuclide;" in said.text
    assert "3.0 % by cross-calibration" in said.text
    assert said.remedy == "state `meter_relative_sd`"


def test_python_and_command_say_the_same(
    scaled: PetResult, scan: hepatica.PetSimulationResult, saved: Path, core: Region, tmp_path: Path
) -> None:
    write_itk(scan.truth.with_values(core.full().astype(np.float32)), tmp_path / "core.nii.gz")
    said = answer(
        "reconstruct-pet", saved, "--ct", saved / "ct", "--structures", tmp_path / "core.nii.gz", "--iterations", 2,
        "--subsets", 2, "--skip-scatter", "--voxel", "16 mm", "--matter", "14 mm", "--calibration-factor", 1.05,
        "--calibration-relative-sd", 0.02, "--meter-relative-sd", 0.03, "--samples", 10, "--out", tmp_path / "made",
    )  # fmt: skip
    python = json.loads(json.dumps(scaled.as_dict()))
    assert said["activity_mbq"] == pytest.approx(python["activity_mbq"], rel=1e-3)
    assert said["activity_mbq_sd"] == pytest.approx(python["activity_mbq_sd"], rel=1e-2)
    assert said["image_certainty"]["scale_relative_sd"] == pytest.approx(math.hypot(0.02, 0.03))
    # The dose of the files, by command, knows as much as that of the object: scale and the counting of its structure.
    dose = answer(
        "dose", tmp_path / "made" / "pet", "--ct", saved / "ct", "--nuclide", "Y-90", "--structures",
        tmp_path / "core.nii.gz", "--engine", "local",
    )  # fmt: skip
    (core_row,) = dose["structures"]
    (own,) = said["structures"]
    counting = 100 * own["counting_sd_mbq"] / own["activity_mbq"]
    assert core_row["uncertainty"]["counting_sd_percent"] == pytest.approx(counting, rel=1e-6)
    assert core_row["uncertainty"]["calibration_sd_percent"] == pytest.approx(100 * math.hypot(0.02, 0.03))
    low, high = core_row["dose_mean_interval_95_gy"]
    assert (high - low) / 2 > 1.96 * own["activity_mbq_sd"] / own["activity_mbq"] * core_row["dose_mean_gy"]


def test_the_dose_knows_what_the_reconstruction_knows(
    scaled: PetResult, scaled_files: Path, saved: Path, core: Region
) -> None:
    """The scale and the counting of the region, as object, DICOM and NIfTI; of voxels below zero without being told."""
    made = scaled_files
    known = scaled.image.acquisition.certainty
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(scaled.time,))
    rows = []
    for source, reading in (
        (scaled.image, hepatica.ImageOptions()), (made / "pet", hepatica.ImageOptions()), (made / "pet.nii.gz", images)
    ):  # fmt: skip
        dose = hepatica.absorbed_dose(
            source, ct=saved / "ct", nuclide="Y-90", structures=(core,), engine="local",
            options=hepatica.DoseOptions(images=reading, scanner=hepatica.CtOptions(registered=True)),
        )  # fmt: skip
        assert dose.count.scale_relative_sd == pytest.approx(math.hypot(0.02, 0.03))
        assert dose.activity[0].acquisition.certainty == known
        rows.append(dose.structure("core"))
    (own,) = scaled.structures
    for row in rows:
        assert row.uncertainty.counting_relative_sd == pytest.approx(own.counting_sd_mbq / own.activity_mbq.value)
        assert row.dose_mean_interval_95_gy == pytest.approx(rows[0].dose_mean_interval_95_gy, rel=1e-3)
        assert not row.interval_from.partition("; ")[2]


def test_the_doubt_of_the_scatter_reaches_the_dose(
    one_bed: hepatica.PetRawData, scan: hepatica.PetSimulationResult, tmp_path: Path
) -> None:
    """In the total, and in the interval of each structure, of what a skin shows by blur too: object and file."""
    grid, axis = scan.ct_image.grid, scan.raw.axis_mm
    x, y, z = (grid.origin_mm[a] + grid.spacing_mm[a] * np.arange(grid.shape[a]) for a in range(3))
    away = np.hypot(x[:, None] - axis[0], y[None, :] - axis[1])
    seen_whole = np.abs(z - scan.raw.beds[0].bed_mm) < 50
    places = {"warm": away < 50, "skin": (away > 100) & (away < 116)}
    drawn = tuple(Region.from_coverage(name, grid, mask[:, :, None] & seen_whole) for name, mask in places.items())
    options = replace(asked(), corrections=hepatica.PetCorrectionOptions(scatter_positrons=50_000))
    made = hepatica.reconstruct_pet(one_bed, ct=scan.ct_image, structures=drawn, options=options)
    total = made.activity_mbq.value
    # of bsrem, whose events have no influence, by one more list; a little prior after as many updates is osem
    steps = {"method": "bsrem", "iterations": 2, "subsets": 2, "prior_strength": 0.0}
    other = replace(options, iteration=hepatica.PetIterationOptions(**steps))
    penalised = hepatica.reconstruct_pet(one_bed, ct=scan.ct_image, structures=drawn, options=other)
    for one, same in zip(penalised.structures, made.structures, strict=True):
        relative = one.scatter_sd_mbq / one.activity_mbq.value
        assert relative == pytest.approx(same.scatter_sd_mbq / same.activity_mbq.value, rel=0.5)
    # 3 % of the scatter is so much of what is true; few updates show a part of it
    least = 0.5 * 0.03 * made.scattered / (made.prompts - made.randoms - made.scattered)
    assert made.activity_scatter_sd_mbq > least * total
    own = math.hypot(made.activity_counting_sd_mbq, made.activity_scatter_sd_mbq) / total
    assert made.image_certainty.counting_relative_sd == pytest.approx(own)
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(made.time,))
    saved = made.save(tmp_path / "pet")
    for source, reading in ((made.image, hepatica.ImageOptions()), (saved / "pet.nii.gz", images)):
        dose = hepatica.absorbed_dose(
            source, ct=scan.ct_image, nuclide="Y-90", structures=drawn, engine="local",
            options=hepatica.DoseOptions(images=reading, scanner=hepatica.CtOptions(registered=True)),
        )  # fmt: skip
        for held in made.structures:
            row, of_scatter = dose.structure(held.name), held.scatter_sd_mbq / held.activity_mbq.value
            assert of_scatter > least
            own = math.hypot(held.counting_sd_mbq / held.activity_mbq.value, of_scatter)
            assert row.uncertainty.counting_relative_sd == pytest.approx(own, rel=1e-6)
            low, high = row.dose_mean_interval_95_gy
            mean = row.dose.dose_mean_gy
            assert high >= mean * (1 + 1.96 * own)
            assert low <= max(0.0, mean * (1 - 1.96 * own))


def test_the_dose_of_voxels_below_zero_is_that_of_their_mean(
    plain: PetResult, plain_files: Path, saved: Path, core: Region, tmp_path: Path
) -> None:
    ct = saved / "ct"
    image = hepatica.read_image(plain_files / "pet", role="activity")
    assert image.acquisition.below_zero
    assert float(image.volume.values.min()) < 0
    local = hepatica.absorbed_dose(
        image, ct=ct, nuclide="Y-90", structures=(core,), engine="local",
    )  # fmt: skip
    # 1 GBq of 90Y leaves 49.67 J; local deposition is linear, so the region's mean is that of its mean activity
    held = plain.structures[0]
    mass_kg = local.structures[0].dose.mass_g / 1000
    assert local["core"].dose_mean_gy == pytest.approx(49.67e-3 * held.activity_mbq.value / mass_kg, rel=0.02)
    assert "dose-below-zero" in {m.code for m in local.messages}
    files = local.save(tmp_path / "dose")
    assert (files / "dose.dcm").exists()
    kernel = hepatica.absorbed_dose(image, ct=ct, nuclide="Y-90", structures=(core,))
    # of the beta particles only the border's few millimetres leave 10 cm: below 3 % (1 % of the mean range to radius)
    assert kernel["core"].dose_mean_gy == pytest.approx(local["core"].dose_mean_gy, rel=0.05)
    with pytest.raises(hepatica.InputError, match="kernel or local"):
        hepatica.absorbed_dose(image, ct=ct, nuclide="Y-90", structures=(core,), engine="montecarlo")


@pytest.mark.parametrize("slices", [slice(0, None), slice(2, -3)])
def test_contours_beside_a_ct_that_is_no_dicom_refer_to_no_slice_of_the_pet(
    plain_files: Path, scan: hepatica.PetSimulationResult, tmp_path: Path, slices: slice
) -> None:
    """The PET has other slices than the CT, more or fewer: a contour's number in the CT is none of the PET's."""
    window = (slice(None), slice(None), slices)
    window = tuple(slice(*s.indices(n)[:2]) for s, n in zip(window, scan.ct.grid.shape, strict=True))
    ct = replace(scan.ct, grid=scan.ct.grid.crop(window), values=scan.ct.values[window])
    write_itk(ct, tmp_path / "ct.nii.gz")
    dose = hepatica.absorbed_dose(
        plain_files / "pet", ct=tmp_path / "ct.nii.gz", nuclide="Y-90", engine="local",
        options=hepatica.DoseOptions(scanner=hepatica.CtOptions(registered=True)),
    )  # fmt: skip
    written = pydicom.dcmread(dose.save(tmp_path / "dose") / "structures.dcm")
    contours = [contour for roi in written.ROIContourSequence for contour in roi.ContourSequence]
    assert contours
    assert not any("ContourImageSequence" in contour for contour in contours)
    assert "RTReferencedStudySequence" not in written.ReferencedFrameOfReferenceSequence[0]


def test_a_structure_that_the_beds_do_not_see_is_not_nothing(
    one_bed: hepatica.PetRawData, scan: hepatica.PetSimulationResult, core: Region
) -> None:
    grid = scan.ct_image.grid
    z = grid.origin_mm[2] + grid.spacing_mm[2] * np.arange(grid.shape[2])
    everywhere = np.ones(grid.shape[:2], np.bool_)[:, :, None]
    # it sees 157 of the 250 mm of the two
    low = one_bed.extent_mm[0]
    away = Region.from_coverage("away", grid, everywhere & (z < low - 20))
    # 60 mm on both sides of the end, of which the last plane of 16 mm has less than a tenth of the sensitivity
    across = Region.from_coverage("across", grid, everywhere & (z < low + 60) & (z > low - 60))
    options = replace(asked(iterations=1), uncertainty=QUICK)
    made = hepatica.reconstruct_pet(one_bed, ct=scan.ct_image, structures=(core, away, across), options=options)
    seen = {one.name: one for one in made.structures}
    assert seen["away"].activity_mbq is None
    assert seen["away"].concentration_mean_bq_ml is None
    assert 0.3 < seen["across"].seen_share < 0.5
    said = {m.code: m.text for m in made.messages}
    assert said["structure-not-seen"].startswith("away")
    assert "across" in said["structure-cut"]
    assert "uncertainty-left-out" in said


def test_what_no_patient_holds_and_empty_singles_and_another_axis_are_said(scan: hepatica.PetSimulationResult) -> None:
    options = replace(asked(iterations=1), uncertainty=QUICK)
    bed = scan.raw.beds[0]
    dark = replace(bed, frame=replace(bed.frame, singles_cps=np.zeros_like(bed.frame.singles_cps)))
    with pytest.raises(hepatica.InputError, match="bed 1: the singles of all crystals are zero"):
        hepatica.reconstruct_pet(replace(scan.raw, beds=(dark,)), ct=scan.ct_image, options=options)
    beside = replace(scan.raw, axis_mm=(scan.raw.axis_mm[0] + 400.0, scan.raw.axis_mm[1]))
    with pytest.raises(hepatica.GeometryError, match="body and field do not meet"):
        hepatica.reconstruct_pet(beside, ct=scan.ct_image, options=options)
    # 2 GBq of 90Y in a thousandth of the time
    prompts = replace(bed.frame.prompts, duration_s=bed.duration_s / 1000)
    short = replace(bed, frame=replace(bed.frame, prompts=prompts, singles_cps=bed.frame.singles_cps / 10))
    made = hepatica.reconstruct_pet(replace(scan.raw, beds=(short,)), ct=scan.ct_image, options=options)
    (said,) = [m for m in made.messages if m.code == "pet-total-implausible"]
    assert said.severity == "critical"
    assert "MBq of F-18" in said.text
