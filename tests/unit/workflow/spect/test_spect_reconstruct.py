"""Reconstruction on files: two windows in one image, scatter of the image, uncertainty, provenance, what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core import Estimate, Grid, Kind, Volume
from hepatica.core.certainty import NOT_STATED
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.context import DicomContext
from hepatica.core.image import Image, Stated
from hepatica.errors import AmbiguousSeriesError, GeometryError, HepaticaError, InputError, PhysicsError, TimeError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.reconstruct.levels.lung import LungReading
from hepatica.imaging.reconstruct.levels.options import SpectLungOptions
from hepatica.imaging.spect.attenuation import body_voxels
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.options import (
    REMAINING_BLUR_SHARE,
    AcquisitionOptions,
    NoiseOptions,
    ScatterOptions,
    SpectInputOptions,
    WithoutCtOptions,
)
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.projector import SpectProjector
from hepatica.imaging.spect.reconstruction import reconstruct_scan
from hepatica.imaging.spect.scan_model import (
    SpectOptions,
    scan_model,
)
from hepatica.imaging.spect.scatter.effective_source import EsseScatter
from hepatica.imaging.spect.system import window_model
from hepatica.io.dicom.images.projections import read_projections, write_projections
from hepatica.io.dicom.images.write import Emission, write_ct
from hepatica.io.dicom.scan import scan
from hepatica.io.read import read_image
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions
from hepatica.workflow.dose.quantify import quantify
from hepatica.workflow.spect.reconstruct import SpectResult, _calibrated, reconstruct_spect

WHEN = datetime(2026, 3, 2, 10, 30)
LU = nuclide("Lu-177")
GRID = Grid.axial((24, 24, 12), spacing_mm=(12, 12, 12), origin_mm=(-138, -138, -66), frame_of_reference="1.2.3")
MODEL = AcquisitionOptions(sensitivity_cps_per_mbq="model")
ITERATION = IterationOptions(iterations=6, subsets=4)
QUICK = IterationOptions(iterations=2, subsets=4)
BY_DEFAULT = SpectInputOptions()


def body() -> tuple[np.ndarray, np.ndarray]:
    """A water cylinder and its activity: a hot ball in a warm background, MBq in all."""
    x, y, z = np.moveaxis(GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    water = (x**2 / 110**2 + y**2 / 90**2 < 1) & (np.abs(z) < 60)
    ball = (x - 40) ** 2 + y**2 + z**2 < 30**2
    activity = np.where(ball, 6.0, 1.0) * (water & (np.abs(z) < 45))
    return water, (activity / activity.sum() * 1e9).astype(np.float32)


def scanned(windows: tuple[Window, ...], orbit: Orbit, *, noise: bool = True) -> Projections:
    """What the analytic models count: primary photons, scatter by effective sources, at 20 s a view; non-circular."""
    water, activity = body()
    hu = Volume(GRID, np.where(water, 0.0, -1000.0), Kind.HU)
    camera, counts = gamma_camera("siemens-megp"), []
    for window in windows:
        try:
            model = window_model(camera, LU, window)
        except PhysicsError:
            counts.append(np.full((orbit.views, 24, 12), 2.0))
            continue
        weights = np.full(orbit.views, 20 * model.sensitivity_cps_per_bq, np.float32)
        shared: dict[str, Any] = {"columns": 24}
        mu = np.where(water, 0.0135 if window.centre_kev > 150 else 0.0163, 0)
        pair = SpectProjector(GRID, orbit, **shared, response=model.response, mu_per_mm=mu)
        scatter = EsseScatter(hu, GRID, orbit, **shared, camera=camera, model=model, weights=weights)
        counts.append(pair.forward(activity) * weights[:, None, None] + scatter(activity))
    shown = np.stack(counts)
    drawn = np.random.default_rng(1).poisson(shown) if noise else shown
    return Projections(
        drawn, orbit, windows, (12.0, 12.0), 20.0, axis_mm=(0.0, 0.0, -66.0), start=WHEN, nuclide="Lu-177",
        frame_of_reference="1.2.3",
    )  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    water, _ = body()
    context = DicomContext.invented(patient_id="P1", when=WHEN)
    fine = Volume(GRID, np.where(water, 0.0, -1000.0).astype(np.float32), Kind.HU)
    write_ct(folder / "ct", fine, replace(context, frame_of_reference="1.2.3"))
    turned = Orbit.circular(16, radius_mm=150.0, start_deg=200.0, arc_deg=-360.0)
    orbit = Orbit(turned.angle_deg, 150 + 15 * np.cos(np.deg2rad(2 * turned.angle_deg)))
    peaks, beside = nuclide_windows(LU, which=("all",))
    data = scanned((*beside, *peaks), orbit)
    emission = Emission("Lu-177", WHEN, 20.0)
    write_projections(folder / "tomo.dcm", data, replace(context, frame_of_reference="1.2.3"), emission)
    return folder


def reconstructed(lab: Path, projections: Path | None = None, **told: Any) -> SpectResult:
    told = {"acquisition": MODEL, "iteration": ITERATION} | told
    progress = told.pop("progress", None)
    return reconstruct_spect(
        projections or lab / "tomo.dcm",
        ct=lab / "ct",
        camera="siemens-megp",
        options=SpectOptions(**told),
        progress=progress,
    )


def total_mbq(lab: Path, scatter: str = "none", windows: tuple[str, ...] = ()) -> float:
    acquisition = replace(MODEL, energy_windows=windows)
    found = reconstructed(lab, acquisition=acquisition, scatter=ScatterOptions(scatter=scatter)).total_activity_mbq
    assert found is not None
    return found.value


def test_scatter_of_the_image_gives_back_the_activity_in_each_window_and_in_both(lab: Path) -> None:
    """1000 MBq; the model that made the counts corrects them. 113 keV on top of 208 keV's scatter has more scatter than
    primary, and 10 passes would be needed to follow it closer than 6 %."""
    assert total_mbq(lab, "esse") == pytest.approx(1000, rel=0.03)
    assert total_mbq(lab, "esse", ("113",)) == pytest.approx(1000, rel=0.06)
    assert total_mbq(lab, "esse", ("208,113",)) == pytest.approx(1000, rel=0.04)
    assert total_mbq(lab) > 1150
    assert total_mbq(lab, windows=("101.7-124.2",)) > 1600


def test_windows_are_found_by_energy_limits_and_number(lab: Path) -> None:
    data = read_projections(lab / "tomo.dcm").projections
    hu = read_image(lab / "ct", role="ct").volume

    def chosen(*windows: str) -> list[tuple[float, float]]:
        options = SpectOptions(acquisition=replace(MODEL, energy_windows=windows))
        model = scan_model(data, hu, gamma_camera("siemens-megp"), LU, options)
        return [(w.low_kev, w.high_kev) for w in model.windows]

    assert chosen() == chosen("208") == chosen("#3") == chosen("187.5-229.2 keV") == [(187.5, 229.2)]
    assert chosen("#4, 208") == chosen("#4", "208") == [(101.7, 124.2), (187.5, 229.2)]
    for windows, message in (
        ("140", "0 windows hold 140 keV"),
        ("208,#3", "names a window twice"),
        ("#9", "there is no window #9; windows are #1: 166.7-187.5 keV"),
        ("100-200", "no energy window 100-200 keV; they have 166.7-187.5 keV"),
        ("#1", "no photon line of Lu-177 has its peak in 166.7-187.5 keV"),
    ):
        with pytest.raises(HepaticaError, match=message):
            chosen(windows)


def test_an_interrupted_run_with_scatter_of_the_image_ends_the_same(lab: Path, tmp_path: Path) -> None:
    keep, told = tmp_path / "run.npz", {"scatter": ScatterOptions(scatter="esse")}
    iteration = IterationOptions(iterations=4, subsets=4)
    whole = reconstructed(lab, iteration=iteration, **told).volume.values

    def interrupt(step: str) -> None:
        if "iteration 4 of 4, subset 1" in step:
            raise KeyboardInterrupt

    told["iteration"] = replace(iteration, checkpoint=keep)
    with pytest.raises(KeyboardInterrupt):
        reconstructed(lab, **told, progress=interrupt)
    with np.load(keep) as stored:
        assert int(stored["iterations"]) == 3
        assert stored["additive"].sum() > 0
    seen: list[str] = []
    again = reconstructed(lab, **told, progress=seen.append)
    assert not any("iteration 3 of 4" in step for step in seen)
    np.testing.assert_allclose(again.volume.values, whole, rtol=1e-4, atol=1e-4 * whole.max())


def test_uncertainty_provenance_and_corrections_are_written(lab: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    result = reconstructed(
        lab, acquisition=replace(MODEL, dead_time_s=1e-6), iteration=QUICK, scatter=ScatterOptions(scatter="tew"),
        noise=NoiseOptions(samples=6), progress=steps.append,
    )  # fmt: skip
    result.save(tmp_path / "spect")
    assert "uncertainty: sample 6 of 6" in steps
    samples = result.scan.samples
    assert samples is not None
    sd = read_image(tmp_path / "spect/spect_sd.nii.gz", stated=Stated(unit="Bq/mL")).volume.values
    _, activity = body()
    inside = activity > 0
    assert 0.01 < sd[inside].mean() / result.volume.values[inside].mean() < 1
    mean, error = samples.region(inside)
    # Voxels of noise are correlated and many: a region is far less uncertain than a voxel.
    assert error < 0.3 * sd[inside].mean()
    assert mean == pytest.approx(result.volume.values[inside].mean(), rel=0.05)
    facts = json.loads((tmp_path / "spect/result.json").read_text())
    assert facts["uncertainty"]["samples"] == 6
    assert facts["total_activity_mbq_sd"] == pytest.approx(
        1e-6 * samples.images.sum(axis=(1, 2, 3), dtype=float).std(ddof=1) * GRID.voxel_volume_ml, rel=0.1
    )
    assert facts["scatter_windows_kev"] == [[166.7, 187.5], [229.2, 250.0]]
    dataset = pydicom.dcmread(tmp_path / "spect/spect.dcm")
    assert list(dataset.CorrectedImage) == ["DECY", "ATTN", "SCAT", "DTIM"]
    assert "osem" in dataset.ImageComments
    assert "Research use only" in dataset.DerivationDescription
    assert len(dataset.DerivationDescription) <= 1024
    source = dataset.SourceImageSequence[0].ReferencedSOPInstanceUID
    assert source == pydicom.dcmread(lab / "tomo.dcm").SOPInstanceUID
    assert dataset.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109102"


def test_the_quick_uncertainty_is_in_the_images_unit(lab: Path, tmp_path: Path) -> None:
    told = {"iteration": QUICK, "scatter": ScatterOptions(scatter="tew")}
    quick = reconstructed(lab, noise=NoiseOptions(quick_uncertainty=True), **told)
    resampled = reconstructed(lab, noise=NoiseOptions(samples=8), **told)
    inside = body()[1] > 0
    assert quick.scan.sd is not None
    assert resampled.scan.sd is not None
    assert 0.5 < quick.scan.sd[inside].mean() / resampled.scan.sd[inside].mean() < 1.5
    quick.save(tmp_path / "spect")
    assert (tmp_path / "spect/spect_sd.nii.gz").is_file()
    with pytest.raises(InputError, match="stands instead of `samples`"):
        NoiseOptions(quick_uncertainty=True, samples=8)


def test_a_run_interrupted_in_its_samples_keeps_its_image(lab: Path, tmp_path: Path) -> None:
    keep = tmp_path / "run.npz"
    told = {"iteration": replace(QUICK, checkpoint=keep), "noise": NoiseOptions(samples=4)}

    def interrupt(step: str) -> None:
        if "sample 2" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstructed(lab, **told, progress=interrupt)
    seen: list[str] = []
    found = reconstructed(lab, **told, progress=seen.append)
    assert not any("iteration" in step for step in seen)
    assert found.iterations_done == 2
    assert found.scan.samples is not None
    assert not keep.exists()


def test_counts_of_two_windows_say_both(lab: Path, tmp_path: Path) -> None:
    windows = AcquisitionOptions(energy_windows=("208", "113"))
    result = reconstructed(lab, acquisition=windows, scatter=ScatterOptions(scatter="esse"), iteration=QUICK)
    result.save(tmp_path / "spect")
    dataset = pydicom.dcmread(tmp_path / "spect/spect.dcm")
    ranges = dataset.EnergyWindowInformationSequence[0].EnergyWindowRangeSequence
    assert [float(r.EnergyWindowLowerLimit) for r in ranges] == [187.5, 101.7]
    assert list(dataset.CorrectedImage) == ["DECY", "ATTN", "SCAT"]
    image = read_image(tmp_path / "spect/spect.dcm", role="activity").volume
    assert image.kind is Kind.COUNTS


def test_monte_carlo_scatter_on_files(lab: Path) -> None:
    """One coarse update: it says what it did, and takes away what effective sources take away, and more (lead)."""
    scatter = ScatterOptions(
        scatter="mc", montecarlo_smoothing_mm=24.0, stopping=StoppingOptions(target_uncertainty=0.3)
    )
    found = reconstructed(lab, iteration=QUICK, scatter=scatter)
    document = found.as_dict()
    parameters = document["provenance"]["parameters"]
    runs = parameters["scatter_monte_carlo"]
    assert [update["after_iteration"] for update in runs["updates"]] == [1]
    assert runs["updates"][0]["reached_uncertainty"] <= 0.3
    assert (parameters["seed"], runs["settings"]["nuclide"]) == (1, "Lu-177")
    without = reconstructed(lab, iteration=QUICK).as_dict()["total_activity_mbq"]
    assert 0.6 * without < document["total_activity_mbq"] < 0.95 * without


def test_a_reconstruction_in_memory_is_quantified_as_its_folder_is(lab: Path, tmp_path: Path) -> None:
    found = reconstructed(lab, acquisition=AcquisitionOptions(), iteration=QUICK)
    found.save(tmp_path / "spect")
    known = CameraCalibration(Estimate(9.1, 0.3), "cylinder", found.conditions, (), WHEN, 100.0)
    options = QuantificationOptions(calibration=known)
    held = quantify(found.image, nuclide="Lu-177", quantification=options)
    saved = quantify(tmp_path / "spect" / "spect.dcm", nuclide="Lu-177", quantification=options)
    # DICOM keeps 16 bits of each voxel.
    assert held.activity_mbq == pytest.approx(saved.activity_mbq, rel=1e-5)
    assert held.activity_mbq == pytest.approx(found.volume.total / 9.1 / found.head_time_s, rel=0.01)
    assert not [message for message in (*held.messages, *saved.messages) if message.code == "conditions-unknown"]
    other = replace(known, conditions=replace(found.conditions, reconstruction={"iterations": 9}))
    for image in (found.image, tmp_path / "spect" / "spect.dcm"):
        with pytest.raises(InputError, match="iterations: 9 against 2"):
            quantify(image, nuclide="Lu-177", quantification=QuantificationOptions(calibration=other))
    # An array that bears the name of a file takes nothing from what lies beside that file.
    named = Image.from_array(
        found.volume.values, unit="counts", grid=found.grid, time=WHEN, nuclide="Lu-177",
        name=str(tmp_path / "spect" / "spect.dcm"),
    )  # fmt: skip
    plain = replace(known, conditions=Conditions("Lu-177"))
    with pytest.raises(InputError, match="counts need the frame duration"):
        quantify(named, nuclide="Lu-177", quantification=QuantificationOptions(calibration=plain))


def test_activity_takes_the_uncertainty_of_the_factor_that_made_it_alone(lab: Path, tmp_path: Path) -> None:
    """An image in Bq/mL by 9.1 cps/MBq, as a value and as a file; then by the model."""
    found = reconstructed(lab, acquisition=AcquisitionOptions(sensitivity_cps_per_mbq=9.1), iteration=QUICK)
    found.save(tmp_path / "spect")
    own = CameraCalibration(Estimate(9.1, 0.3), "cylinder", found.conditions, (), WHEN, 100.0)
    other = QuantificationOptions(calibration=replace(own, factor=Estimate(12.0, 0.1)))
    for image in (found.image, tmp_path / "spect" / "spect.dcm"):
        known = quantify(image, nuclide="Lu-177", quantification=QuantificationOptions(calibration=own))
        assert known.activity_scale_relative_sd == pytest.approx(0.3 / 9.1)
        assert "calibration-not-compared" not in {message.code for message in known.messages}
        with pytest.raises(InputError, match=r"by 9.1 cps/MBq, the calibration is 12 cps/MBq"):
            quantify(image, nuclide="Lu-177", quantification=other)
    unknown = Image.from_array(
        found.volume.values, unit="Bq/mL", grid=found.grid, time=WHEN, nuclide="Lu-177", name="else"
    )
    said = quantify(unknown, nuclide="Lu-177", quantification=other)
    assert "calibration-not-compared" in {message.code for message in said.messages}


def test_a_dose_takes_the_uncertainty_of_the_factor_from_the_image(lab: Path, tmp_path: Path) -> None:
    """9.1 +- 0.3 cps/MBq of the reconstruction, stated to no later step: as a value, as DICOM and as NIfTI."""
    plain = reconstructed(lab, acquisition=AcquisitionOptions(sensitivity_cps_per_mbq=9.1), iteration=QUICK)
    assert plain.image_certainty == NOT_STATED
    own = CameraCalibration(Estimate(9.1, 0.3), "cylinder", plain.conditions, (), WHEN, 100.0)
    found = reconstructed(lab, acquisition=AcquisitionOptions(calibration=own), iteration=QUICK)
    saved = found.save(tmp_path / "spect")
    images = hepatica.ImageOptions(activity_unit="Bq/mL", activity_at=(WHEN,))
    for source, reading in (
        (found.image, hepatica.ImageOptions()), (saved / "spect.dcm", hepatica.ImageOptions()),
        (saved / "spect.nii.gz", images),
    ):  # fmt: skip
        known = quantify(source, nuclide="Lu-177", images=reading)
        assert known.activity_scale_relative_sd == pytest.approx(0.3 / 9.1)
        dose = hepatica.absorbed_dose(
            source, ct=lab / "ct", nuclide="Lu-177", engine="local",
            options=hepatica.DoseOptions(images=reading, scanner=hepatica.CtOptions(registered=True)),
        )  # fmt: skip
        low, high = dose.structures[0].dose_mean_interval_95_gy
        assert (high - low) / 2 >= 1.96 * 0.3 / 9.1 * dose.structures[0].dose.dose_mean_gy
    bare = hepatica.absorbed_dose(plain.image, ct=lab / "ct", nuclide="Lu-177", engine="local")
    assert bare.structures[0].dose_mean_interval_95_gy is None
    assert "dose-interval-not-stated" in {message.code for message in bare.messages}


def test_what_the_projections_know_better_and_what_cannot_be_is_said(lab: Path, tmp_path: Path) -> None:
    """Axis and camera against the file's, a CT of air, and one 120 mm beside; the right ones say nothing of it."""
    data = replace(read_projections(lab / "tomo.dcm").projections, camera="siemens-lehr")
    context = replace(DicomContext.invented(patient_id="P1", when=WHEN), frame_of_reference="1.2.3")
    write_projections(tmp_path / "tomo.dcm", data, context, Emission("Lu-177", WHEN, 20.0))
    assert read_projections(tmp_path / "tomo.dcm").projections.camera == "siemens-lehr"
    hu = np.where(body()[0], 0.0, -1000.0)

    def critical(values: np.ndarray, projections: Path = lab / "tomo.dcm", **stated: Any) -> set[str]:
        ct = Image.from_array(values, unit="HU", grid=GRID)
        options = SpectOptions(
            acquisition=replace(MODEL, **stated), iteration=ITERATION, scatter=ScatterOptions(scatter="tew")
        )
        found = reconstruct_spect(projections, ct=ct, camera="siemens-megp", options=options)
        return {message.code for message in found.messages if message.severity == "critical"}

    assert critical(hu) == set()
    assert critical(hu, tmp_path / "tomo.dcm") == {"camera-overruled"}
    assert "axis-overruled" in critical(hu, axis_mm=(0.0, 0.0, -42.0), registered=True)
    assert "no-body-on-ct" in critical(np.full(GRID.shape, -1000.0))
    assert "activity-beside-body" in critical(np.roll(hu, 10, axis=0))
    assert critical(hu - 100.0) >= {"tissue-not-of-tissue-hu", "air-not-of-air-hu"}


def test_a_lung_by_voxels_is_said_of_nuclides_whose_lung_it_reads_low(lab: Path) -> None:
    found = reconstructed(lab, acquisition=AcquisitionOptions(), iteration=QUICK).scan
    assert [m.code for m in found.messages("Y-90", SpectOptions())] == ["lung-by-voxel"]
    assert found.messages("Y-90", SpectOptions())[0].severity == "warning"
    assert found.messages("Lu-177", SpectOptions()) == ()


def test_nothing_is_said_of_a_lung_that_the_ct_does_not_show(lab: Path) -> None:
    """A phantom of water: it was said that its lung reads too low."""
    data = read_projections(lab / "tomo.dcm").projections
    ct = Volume(GRID, np.where(body()[0], 0.0, -1000.0).astype(np.float32), Kind.HU)
    options = SpectOptions(acquisition=AcquisitionOptions(registered=True), iteration=QUICK)
    model = scan_model(data, ct, gamma_camera("siemens-megp"), LU, options)
    found = reconstruct_scan(replace(model, nuclide=nuclide("I-131")), options)
    assert not found.lung_in_view
    assert found.messages("I-131", options) == ()
    assert replace(found, lung_in_view=True).messages("I-131", options)
    by_level = replace(options, scatter=ScatterOptions(scatter="esse"), lung=SpectLungOptions(lung_model="levels"))
    # Asked for as levels, which 90Y is by itself: whoever expects lungs must know that the CT shows none.
    assert [m.code for m in found.messages("I-131", by_level)] == ["no-lungs-on-ct"]
    assert "no lung was found" in replace(found, lung_in_view=True).messages("I-131", by_level)[0].text


def test_a_residual_between_the_right_ct_and_a_far_one_is_said(lab: Path) -> None:
    """Lungs that the CT shows as soft tissue leave 2.5, the right CT 1.2 to 1.7, one 12 cm beside 7."""
    data = read_projections(lab / "tomo.dcm").projections
    ct = Volume(GRID, np.where(body()[0], 0.0, -1000.0).astype(np.float32), Kind.HU)
    options = SpectOptions(acquisition=AcquisitionOptions(registered=True), iteration=ITERATION)
    model = scan_model(data, ct, gamma_camera("siemens-megp"), LU, options)
    found = reconstruct_scan(model, options)
    said = {}
    for ratio in (1.7, 2.5, 7.0):
        one = replace(found, reconstruction=replace(found.reconstruction, residual_ratio=(ratio,)))
        said[ratio] = [m.severity for m in one.doubts(model, options) if m.code == "counts-not-explained"]
    assert said == {1.7: [], 2.5: ["warning"], 7.0: ["critical"]}


def test_too_few_updates_are_said_and_scatter_that_was_never_corrected_for_is_critical(lab: Path) -> None:
    """One iteration of 4 subsets with scatter of the image made 4.3 times the activity of a 90Y scan, unsaid."""
    found = reconstructed(lab, acquisition=AcquisitionOptions(), iteration=QUICK)
    (said,) = [m for m in found.messages if m.code == "too-few-updates"]
    assert said.severity == "warning"
    assert "8 updates" in said.text
    assert "too-few-updates" in {m.code for m in found.image.messages}
    scan, model = found.scan, scan_model(
        read_projections(lab / "tomo.dcm").projections, Volume(GRID, np.zeros(GRID.shape, np.float32), Kind.HU),
        gamma_camera("siemens-megp"), LU, SpectOptions(acquisition=AcquisitionOptions(registered=True)),
    )  # fmt: skip
    of_image = {}
    for iterations, subsets in ((1, 4), (3, 8), (4, 4)):
        options = SpectOptions(
            scatter=ScatterOptions(scatter="esse"), iteration=IterationOptions(iterations=iterations, subsets=subsets)
        )
        done = replace(scan, reconstruction=replace(scan.reconstruction, iterations=iterations))
        of_image[iterations] = [m for m in done.doubts(model, options) if m.code == "too-few-updates"]
    assert [m.severity for m in of_image[1] + of_image[3]] == ["critical", "critical"]
    assert "never corrected" in of_image[1][0].text
    assert not of_image[4]


def test_a_total_has_the_uncertainty_of_the_calibration_and_the_lung_its_interval(lab: Path) -> None:
    found = reconstructed(lab, acquisition=AcquisitionOptions(), iteration=QUICK)
    assert _calibrated(Estimate(100.0), 0.1).sd == pytest.approx(10.0)
    # 10 % and 3 % of noise.
    assert _calibrated(Estimate(100.0, 3.0), 0.1).sd == pytest.approx(np.hypot(10.0, 3.0))
    assert _calibrated(Estimate(100.0), None).sd is None
    lopsided = LungReading(Estimate(41989.0, 2702.0), (36044.0, 45486.0), 0.05, (), 0.1, 0, 0, 0, 0, 0, 1.0)
    rows = {row[0]: row[1] for row in replace(found, lung=lopsided).table().rows}
    assert rows["true mean of the lungs, 95 %, without the calibration"] == "36044 to 45486"
    assert [value for name, value in rows.items() if name.startswith("mean of the lungs")] == [41989.0]
    assert "without the calibration" in lopsided.message("Y-90").text


def test_more_blur_than_the_camera_has_is_not_left_and_said(lab: Path) -> None:
    """30 and 100 mm gave one image and two records. The camera's own blur at the axis is that of its response there."""
    left = {
        mm: reconstructed(lab, noise=NoiseOptions(remaining_blur_mm=mm), iteration=QUICK) for mm in (6.5, 30.0, 100.0)
    }
    codes = {mm: [message.code for message in found.messages] for mm, found in left.items()}
    assert "blur-of-the-camera-is-less" not in codes[6.5]
    assert "blur-of-the-camera-is-less" in codes[30.0]
    camera, kev = gamma_camera("siemens-megp"), 208.4
    own = FWHM_PER_SD * float(hole_response(camera, [kev]).sd_mm(150.0))
    done = left[30.0].provenance.parameters["remaining_blur_mm"]
    assert 0.85 * own < done < own < 30
    assert f"{done:g} mm left in the image" in left[30.0].conditions.reconstruction["response"]
    assert left[30.0].conditions == left[100.0].conditions
    np.testing.assert_array_equal(left[30.0].volume.values, left[100.0].volume.values)
    asked = reconstructed(lab, noise=NoiseOptions(remaining_blur_mm=done), iteration=QUICK)
    assert asked.conditions == left[30.0].conditions
    np.testing.assert_array_equal(asked.volume.values, left[30.0].volume.values)
    assert left[6.5].provenance.parameters["remaining_blur_mm"] == 6.5
    plain = reconstructed(lab, iteration=QUICK)
    assert plain.provenance.parameters["remaining_blur_mm"] == pytest.approx(REMAINING_BLUR_SHARE * own, abs=0.051)
    assert f"{REMAINING_BLUR_SHARE:.0%} of the camera's blur" in plain.conditions.reconstruction["response"]


def test_a_wrong_nuclide_of_the_header_can_be_overridden(lab: Path) -> None:
    data = replace(read_projections(lab / "tomo.dcm").projections, nuclide="In-111")
    asked = SpectOptions(acquisition=replace(MODEL, nuclide="Lu-177"), iteration=QUICK)
    with pytest.raises(InputError, match=r"the header says In-111, asked for is Lu-177; .*`accept_nuclide`"):
        reconstruct_spect(data, ct=lab / "ct", camera="siemens-megp", options=asked)
    accepting = replace(asked, inputs=SpectInputOptions(accept_nuclide=True))
    found = reconstruct_spect(data, ct=lab / "ct", camera="siemens-megp", options=accepting)
    assert found.nuclide == "Lu-177"
    assert found.messages[0].code == "nuclide-overridden"
    right = reconstructed(lab, iteration=QUICK)
    assert found.volume.total == pytest.approx(right.volume.total, rel=1e-6)


def test_one_of_several_series_is_chosen(lab: Path, tmp_path: Path) -> None:
    water, _ = body()
    for n, level in enumerate((0.0, 500.0)):
        context = DicomContext.invented(patient_id="P1", when=WHEN)
        fine = Volume(GRID, np.where(water, level, -1000.0).astype(np.float32), Kind.HU)
        write_ct(tmp_path / "cts" / str(n), fine, replace(context, frame_of_reference="1.2.3"))
    with pytest.raises(AmbiguousSeriesError, match="`ct_series`"):
        reconstruct_spect(lab / "tomo.dcm", ct=tmp_path / "cts", camera="siemens-megp")
    uid = scan(tmp_path / "cts" / "1").series[0].uid
    asked = SpectOptions(acquisition=MODEL, iteration=QUICK, inputs=SpectInputOptions(ct_series=uid))
    found = reconstruct_spect(lab / "tomo.dcm", ct=tmp_path / "cts", camera="siemens-megp", options=asked)
    alone = reconstruct_spect(
        lab / "tomo.dcm", ct=tmp_path / "cts" / "1", camera="siemens-megp", options=replace(asked, inputs=BY_DEFAULT)
    )
    assert found.volume.total == alone.volume.total
    with pytest.raises(InputError, match="is an image already; `ct_series` chooses one"):
        reconstruct_spect(lab / "tomo.dcm", ct=read_image(lab / "ct", role="ct"), camera="siemens-megp", options=asked)


def test_body_voxels_lie_in_the_ct_and_hold_more_than_air() -> None:
    water, _ = body()
    oblique = np.array([[0, -8, 0, 60], [8, 0, 0, -130], [0, 0, -9, 50], [0, 0, 0, 1.0]])
    narrow = Grid((33, 15, 9), oblique, "1.2.3")
    inside = body_voxels(Volume(narrow, np.zeros(narrow.shape), Kind.HU), GRID)
    assert 0 < inside.sum() < inside.size
    centres = narrow.to_index(GRID.to_mm(np.argwhere(inside)))
    assert (centres >= -0.5).all()
    assert (centres <= np.array(narrow.shape) - 0.5).all()
    np.testing.assert_array_equal(body_voxels(Volume(GRID, np.where(water, 0.0, -1000.0), Kind.HU), GRID), water)


def changed(lab: Path, folder: Path, change: Callable[[Any], None]) -> Path:
    dataset = pydicom.dcmread(lab / "tomo.dcm")
    change(dataset)
    dataset.save_as(folder / "changed.dcm")
    return folder / "changed.dcm"


def no_time(dataset: Any) -> None:
    for name in ("AcquisitionDate", "AcquisitionTime", "SeriesDate", "SeriesTime", "ContentDate", "ContentTime"):
        setattr(dataset, name, "")


def negative(dataset: Any) -> None:
    dataset.RescaleIntercept, dataset.RescaleSlope = "-5", "1"


def other_frame(dataset: Any) -> None:
    dataset.FrameOfReferenceUID = "1.2.4"


def other_patient(dataset: Any) -> None:
    dataset.PatientID = "P2"


def empty(dataset: Any) -> None:
    dataset.PixelData = bytes(len(dataset.PixelData))


def no_nuclide(dataset: Any) -> None:
    del dataset.RadiopharmaceuticalInformationSequence


def windows_of_technetium(dataset: Any) -> None:
    for item, low in zip(dataset.EnergyWindowInformationSequence, (300, 320, 126, 340), strict=True):
        limits = item.EnergyWindowRangeSequence[0]
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = str(low), str(low + 15)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (no_time, TimeError, "AcquisitionDate and AcquisitionTime are missing"),
        (negative, InputError, "counts are negative, in views 1"),
        (other_frame, GeometryError, "frame"),
        (other_patient, InputError, "must be of one patient"),
        (empty, InputError, "hold no counts"),
        (no_nuclide, InputError, "names no nuclide; state it"),
        (windows_of_technetium, InputError, "0 windows hold 208 keV, the peak of Lu-177"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_does_not_fit_is_refused(
    lab: Path, tmp_path: Path, change: Callable[[Any], None], error: type[Exception], message: str
) -> None:
    path = changed(lab, tmp_path, change)
    with pytest.raises(error, match=message):
        reconstructed(lab, path)


def test_gates_are_added_up_on_request(lab: Path, tmp_path: Path) -> None:
    def gated(dataset: Any) -> None:
        frames, rows, columns = dataset.NumberOfFrames, dataset.Rows, dataset.Columns
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(frames, rows, columns)
        half = stored // 2
        dataset.PixelData = np.concatenate([half, stored - half]).astype("<u2").tobytes()
        dataset.NumberOfFrames = 2 * frames
        for name in ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector"):
            setattr(dataset, name, list(getattr(dataset, name)) * 2)
        dataset.TimeSlotVector = [1] * frames + [2] * frames

    path = changed(lab, tmp_path, gated)
    with pytest.raises(HepaticaError, match="gated acquisition with 2 gates"):
        reconstructed(lab, path)
    summed = reconstructed(lab, path, acquisition=replace(MODEL, sum_gates=True)).total_activity_mbq
    assert summed is not None
    assert summed.value == pytest.approx(total_mbq(lab), rel=1e-4)


def test_values_are_as_good_as_files(lab: Path, tmp_path: Path) -> None:
    """Projections and CT made of arrays; the image goes on into other verbs, and comes back from its file the same."""
    data, ct = read_projections(lab / "tomo.dcm").projections, read_image(lab / "ct", role="ct")
    by_files = reconstructed(lab, iteration=QUICK)
    by_values = reconstruct_spect(
        data,
        ct=Image.from_array(ct.volume.values, unit="HU", grid=ct.grid),
        camera=gamma_camera("siemens-megp"),
        options=SpectOptions(acquisition=MODEL, iteration=QUICK),
    )
    np.testing.assert_array_equal(by_values.volume.values, by_files.volume.values)
    first, second = (result.as_dict() for result in (by_files, by_values))
    for volatile in ("provenance", "messages"):
        first.pop(volatile), second.pop(volatile)
    assert first == second
    by_values.save(tmp_path / "spect")
    read, own = read_image(tmp_path / "spect/spect.dcm", role="activity"), by_values.image
    assert read.volume.time == own.volume.time
    assert read.volume.total == pytest.approx(own.volume.total, rel=1e-4)
    for name in ("modality", "nuclide", "decay_correction", "start", "frame_duration_s", "energy_windows_kev"):
        assert getattr(read.acquisition, name) == getattr(own.acquisition, name)
    with pytest.raises(InputError, match="projections are a path or"):
        reconstruct_spect(3, ct=lab / "ct", camera="siemens-megp")  # type: ignore[arg-type]


def test_without_a_ct_a_uniform_patient_is_outlined_and_said() -> None:
    """Water cylinder with a warm background, so that its activity shows its outline: within 10 % of the truth.

    The outline at 10 % of a 20 mm smoothed image lies some 6 mm outside the cylinder of 100 mm radius, so that the
    attenuation of some 6 mm of water (0.135 1/cm) is too much: 5 to 8 %.
    """
    data = scanned((Window(187.2, 228.8),), Orbit.circular(32, radius_mm=200), noise=False)

    def found(stated: WithoutCtOptions) -> SpectResult:
        options = SpectOptions(
            acquisition=MODEL, iteration=ITERATION, scatter=ScatterOptions(scatter="esse"), without_ct=stated
        )
        return reconstruct_spect(data, camera="siemens-megp", options=options)

    image = found(WithoutCtOptions(uniform_density_g_ml=1.018, outline_fraction=0.1))
    assert image.total_activity_mbq is not None
    assert image.total_activity_mbq.value == pytest.approx(1000, rel=0.1)
    assert "no-ct" in [message.code for message in image.messages]
    assert image.provenance.parameters["uniform_density_g_ml"] == 1.018
    # 0.135 1/cm at 208 keV is water.
    by_coefficient = found(WithoutCtOptions(uniform_attenuation=0.135, outline_fraction=0.1)).total_activity_mbq
    assert by_coefficient is not None
    assert by_coefficient.value == pytest.approx(image.total_activity_mbq.value, rel=0.01)
    with pytest.raises(InputError, match="attenuation in the patient is not known"):
        found(WithoutCtOptions())
    with pytest.raises(InputError, match="outline is needed"):
        found(WithoutCtOptions(uniform_density_g_ml=1.05))
