"""Run the study of docs/spect-study.md: simulate, reconstruct and measure test objects of known truth.

Run: ``python tools/studies/spect_study.py FOLDER [--nuclides Y-90,...] [--objects nema,patient] [--quick]
[--patience 10]``. Every step leaves a file in FOLDER and is not done again; FOLDER/results.json holds the numbers, from
which ``python tools/studies/spect_study_page.py FOLDER`` writes the page. About an hour on two cores that do nothing
else.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.phantoms.objects import NEMA_SPHERES_MM, nema_grid, nema_phantom
from hepatica.anatomy.virtual_patient import (
    PatientSettings,
    Treatment,
    Tumour,
    VirtualCtOptions,
    VirtualPatient,
    virtual_patient,
)
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.core.resample import resample, resample_region
from hepatica.dosimetry.engines.registry import DoseSettings, dose_engine
from hepatica.dosimetry.metrics.dvh import dose_volume_histogram
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, window_sets
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.emission import photon_spectrum
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.options import AcquisitionOptions, ScatterOptions
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.scan_model import SpectOptions
from hepatica.imaging.spect.simulate import camera_grid
from hepatica.io.dicom.images.projections import write_projections
from hepatica.io.dicom.images.write import Emission
from hepatica.io.itk import write_itk
from hepatica.nuclides import nuclide
from hepatica.transport.matter.media import density_from_hu
from hepatica.transport.runner.settings import StoppingOptions
from hepatica.workflow.spect.reconstruct import reconstruct_spect

Float32 = NDArray[np.float32]
START = datetime(2026, 3, 3, 9, 0)
PIXEL_MM, VIEWS, HEADS, VIEW_S = 4.8, 60, 2, 40.0
PATIENCE = {"times": 1.0}
"""Factor of all limits of time, which are those of a machine that does nothing else."""
RATIO = 8.0
"""Concentration in the spheres over that around them, as in QUEST (Willowson et al., EJNMMI Phys 2015;2:28)."""
RECOVERY_RATIO = 10.0
"""The same in the scan from which recovery is taken."""


@dataclass(frozen=True)
class Imaging:
    """How a nuclide is imaged: camera, scatter correction from windows (None: there is none), and activity."""

    camera: str
    window_method: str | None
    nema_mbq: float
    patient_mbq: float


IMAGING: Mapping[str, Imaging] = {
    "Tc-99m": Imaging("siemens-lehr", "dew", 400, 150),
    "Lu-177": Imaging("siemens-megp", "tew", 1500, 3000),
    "I-131": Imaging("siemens-hegp", "tew", 400, 1000),
    "Ho-166": Imaging("siemens-megp", "upper", 600, 600),
    "Re-188": Imaging("siemens-hegp", "upper", 1000, 1500),
    "Y-90": Imaging("siemens-hegp", None, 2500, 2500),
}


@dataclass(frozen=True)
class Scene:
    """A known activity: CT, Bq per voxel in parts that can be mixed, and regions, all on one grid."""

    hu: Volume
    parts: Mapping[str, Volume]
    radius_mm: float


def nema_scene() -> Scene:
    """NEMA IEC body phantom: spheres alone and background alone, each of 1 Bq/mL."""
    phantom = nema_phantom(nema_grid((2.4, 2.4, 2.4)))
    spheres = phantom.activity({f"sphere {d:g} mm": 1.0 for d in NEMA_SPHERES_MM}, time=START)
    return Scene(phantom.hu, {"spheres": spheres, "background": phantom.activity({"background": 1.0}, time=START)}, 180)


def study_patient() -> VirtualPatient:
    """Right lobe treated: tumours of 45 and 35 mm, and one of 22 mm, T/N 4, lung shunt 5 %."""
    tumours = (Tumour(45.0, segment=6), Tumour(35.0, segment=8), Tumour(22.0, segment=5))
    treated = Treatment(administered_at=START, tumour_to_normal=4.0, lung_shunt=0.05)
    return virtual_patient(
        PatientSettings(seed=11, tumours=tumours, treatment=treated, ct=VirtualCtOptions(spacing_mm=3.0))
    )


def patient_scene(patient: VirtualPatient) -> Scene:
    """The virtual patient; the activity stands for its distribution, of 1 Bq in all."""
    activity = patient.activity(START)
    one = activity.with_values(activity.values / np.float32(activity.total), Kind.ACTIVITY)
    return Scene(patient.hu, {"patient": one}, 210)


def windows_of(name: str) -> tuple[tuple[Window, ...], Window]:
    """Windows acquired, and the main one."""
    chosen = window_sets(nuclide(name))[0]
    return (*chosen.peaks, *chosen.scatter), chosen.peaks[0]


def expected(scene: Scene, name: str, part: str, *, quick: bool) -> dict[str, Float32]:
    """Expected counts per second of a part of a scene, primary and other, shape (windows, views, u, v)."""
    windows, _ = windows_of(name)
    setup = SpectSetup(IMAGING[name].camera, nuclide(name), orbit_of(scene), windows, grid_of(scene))
    projector = MonteCarloProjector(scene.hu, setup, voxel_mm=4.8 if quick else 4.0)
    wanted = 0.1 if quick else 0.01 if part == "spheres" else 0.03
    limit_s = PATIENCE["times"] * (30 if quick else 60)
    settings = ProjectionSettings(target_uncertainty=wanted, time_limit_s=limit_s, seed=17)
    found = projector.project(scene.parts[part], settings)
    print(f"  {name} {part}: {found.histories:.2e} histories, {found.seconds:.0f} s, {100 * found.uncertainty:.1f} %")
    return {"primary": found.primary, "other": found.other, "uncertainty": np.float32(found.uncertainty)}


def grid_of(scene: Scene) -> Grid:
    """Camera's grid around a scene."""
    extent = np.ptp(scene.hu.grid.corners_mm(), axis=0)
    columns = int(np.ceil(max(extent[:2]) / PIXEL_MM / 8 + 1) * 8)
    return camera_grid(scene.hu.grid, pixel_mm=PIXEL_MM, columns=columns)


def orbit_of(scene: Scene) -> Orbit:
    """Two heads, opposite each other, half a turn each."""
    half = VIEWS // HEADS
    angles = np.concatenate([h * 360.0 / HEADS + np.arange(half) * 360.0 / VIEWS for h in range(HEADS)])
    return Orbit(angles, np.full(VIEWS, scene.radius_mm))


def acquired(scene: Scene, name: str, counts_per_s: Float32, seed: int) -> Projections:
    """Poisson counts of an acquisition with decay."""
    windows, _ = windows_of(name)
    grid = grid_of(scene)
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    made = Projections(
        counts_per_s * np.float32(VIEW_S), orbit_of(scene), windows, (PIXEL_MM, PIXEL_MM), VIEW_S,
        axis_mm=(float(middle[0]), float(middle[1]), float(grid.origin_mm[2])), start=START, nuclide=name,
        frame_of_reference=grid.frame_of_reference, view_start_s=np.tile(np.arange(VIEWS // HEADS) * VIEW_S, HEADS),
    )  # fmt: skip
    decay = made.mean_activity(nuclide(name).half_life_s).astype(np.float32)
    noisy = np.random.default_rng(seed).poisson(made.counts * decay[None, :, None, None])
    return replace(made, counts=noisy.astype(np.float32))


def air_sensitivity(name: str, method: str) -> float:
    """Counts per second and MBq of one head for a point source in air: what a planar calibration gives for a method."""
    camera = gamma_camera(IMAGING[name].camera)
    windows, main = windows_of(name)
    response = detector_response(camera).window(windows)
    energy, emitted = photon_spectrum(nuclide(name)).points
    inside = (energy >= response.energy_kev[0]) & (energy <= response.energy_kev[-1])
    seen = np.array([response.sensitivity(float(e)) for e in energy[inside]])
    rate = dict(zip(windows, 1e6 * (emitted[inside] @ seen), strict=True))
    below = [w for w in windows if w.centre_kev < main.low_kev]
    above = [w for w in windows if w.centre_kev > main.high_kev]
    lost = {"none": [], "dew": below, "upper": above, "tew": [*below, *above]}[method]
    scatter = sum(rate[w] / w.width_kev for w in lost) * main.width_kev * 0.5
    return rate[main] - scatter if method != "upper" else rate[main] - 2 * scatter


def image_of(file: Path, ct: Path, name: str, method: str, *, quick: bool) -> Volume:
    """Image by a method, as a user would make it."""
    imaging = IMAGING[name]
    return reconstruct_spect(
        file,
        ct=ct,
        camera=imaging.camera,
        options=SpectOptions(
            acquisition=AcquisitionOptions(
                nuclide=name,
                registered=True,
                sensitivity_cps_per_mbq="model" if method == "mc" else air_sensitivity(name, method),
            ),
            iteration=IterationOptions(iterations=3 if quick else None, subsets=6),
            scatter=scatter_options(method),
        ),
    ).volume


def scatter_options(method: str) -> ScatterOptions:
    """Scatter of a method; how long photons are followed is of Monte Carlo alone."""
    if method != "mc":
        return ScatterOptions(scatter=method)
    stopping = StoppingOptions(target_uncertainty=0.05, time_limit_s=6 * PATIENCE["times"], seed=501)
    return ScatterOptions(scatter=method, stopping=stopping)


def reconstructed(
    folder: Path, scene: Scene, name: str, counts: Float32, method: str, seed: int, quick: bool
) -> Volume:
    """Bq/mL by a method, on files as a user would."""
    file, ct = folder / f"projections-{seed}.dcm", folder.parent / "ct.nii.gz"
    if not file.exists():
        context = DicomContext.invented(patient_id="STUDY", when=START)
        emission = Emission(nuclide=name, start=START, frame_duration_s=VIEW_S, agent="known truth")
        write_projections(file, acquired(scene, name, counts, seed), context, emission, heads=HEADS)
    if not ct.exists():
        write_itk(scene.hu, ct)
    stored = folder / f"{method}-{seed}.npz"
    grid = grid_of(scene)
    if not stored.exists():
        started = time.monotonic()
        found = image_of(file, ct, name, method, quick=quick)
        np.savez(stored, image=found.values, seconds=time.monotonic() - started)
        print(f"  {name} {method}: {time.monotonic() - started:.0f} s")
    with np.load(stored) as kept:
        return Volume(grid, kept["image"], Kind.ACTIVITY_CONCENTRATION, START, method)


# ---------------------------------------------------------------------------------------------------------------------
# Measures


def mean_in(volume: Volume, region: Region) -> float:
    """Mean over a region by covered share."""
    weight = region.coverage.astype(np.float64)
    return float((volume.values[region.window] * weight).sum() / weight.sum())


def resolution_mm(image: Volume, truth: Volume, region: Region) -> float:
    """Width of the Gaussian that makes of the truth what comes closest to the image around the largest sphere."""
    from scipy import ndimage, optimize

    window = tuple(slice(max(s.start - 4, 0), s.stop + 4) for s in region.window)
    spacing = np.asarray(image.grid.spacing_mm)

    def misfit(fwhm: float) -> float:
        blurred = ndimage.gaussian_filter(truth.values.astype(np.float64), fwhm / 2.3548 / spacing)[window]
        seen = image.values[window].astype(np.float64)
        scale = float((seen * blurred).sum() / (blurred**2).sum())
        return float(np.square(seen - scale * blurred).sum())

    return float(optimize.minimize_scalar(misfit, bounds=(2.0, 40.0), method="bounded").x)


def dose_of(concentration: Volume, hu: Volume, name: str) -> Volume:
    """Absorbed dose of all decays where the activity is, electrons deposited in the voxel."""
    chosen = nuclide(name)
    decays = concentration.values * concentration.grid.voxel_volume_ml * np.float32(chosen.half_life_s / np.log(2))
    density = resample(density_from_hu(hu), concentration.grid, "mean")
    made = concentration.with_values(np.maximum(decays, 0), Kind.DECAYS)
    return dose_engine("local").compute(made, density, chosen, DoseSettings()).dose


def dvh_curve(dose: Volume, region: Region, truth_mean: float) -> dict[str, Any]:
    """Cumulative histogram against dose over the true mean dose, with D95, D70 and D50."""
    histogram = dose_volume_histogram(dose, region)
    at = np.linspace(0, 1.6, 65)
    volume = [histogram.v_gy(float(x) * truth_mean) for x in at]
    return {"volume": volume, **{f"d{p}": histogram.d_percent(p) / truth_mean for p in (95, 70, 50)}}


def measure_nema(name: str, scan: str, images: Mapping[str, Volume]) -> dict[str, Any]:
    """What the page shows of one nuclide in one filling of the NEMA phantom; ratios to the truth."""
    phantom = nema_phantom(nema_grid((2.4, 2.4, 2.4)))
    around, inside = fillings(name)[scan]
    true_activity = phantom.activity(
        {"background": around} | {f"sphere {d:g} mm": inside for d in NEMA_SPHERES_MM}, time=START
    )
    grid = next(iter(images.values())).grid
    truth = resample(true_activity, grid, "total")
    truth = truth.with_values(truth.values / np.float32(grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION)
    regions = {key: resample_region(region, grid) for key, region in phantom.regions.items()}
    largest = regions["sphere 37 mm"]
    true_dose = dose_of(truth, phantom.hu, name)
    true_mean = mean_in(true_dose, largest)
    # A voxel on the border holds both sides: what a perfect image of these voxels would show.
    perfect = {d: mean_in(truth, regions[f"sphere {d:g} mm"]) for d in NEMA_SPHERES_MM}
    found: dict[str, Any] = {
        "truth": {
            "dvh": dvh_curve(true_dose, largest, true_mean),
            "spheres": {f"{d:g}": value / inside for d, value in perfect.items()},
        }
    }
    for method, image in images.items():
        level = mean_in(image, regions["core"])
        means = {d: mean_in(image, regions[f"sphere {d:g} mm"]) for d in NEMA_SPHERES_MM}
        values = image.values[regions["core"].window][regions["core"].coverage > 0.99]
        curve = dvh_curve(dose_of(image, phantom.hu, name), largest, true_mean)
        found[method] = {
            "total": float(image.values.sum(dtype=np.float64) * grid.voxel_volume_ml / true_activity.total),
            "background_over_sphere": level / inside,
            "background": level / around if around else None,
            "background_cov": float(values.std() / values.mean()),
            "insert_over_background": mean_in(image, regions["insert"]) / around if around else None,
            "spheres": {f"{d:g}": value / perfect[d] for d, value in means.items()},
            "recovery": {f"{d:g}": (value - level) / (perfect[d] - around) for d, value in means.items()},
            "resolution_mm": resolution_mm(image, truth, largest),
            "dvh": curve,
            "dvh_distance": float(np.abs(np.subtract(curve["volume"], found["truth"]["dvh"]["volume"])).mean() * 1.6),
        }
    return found


def fillings(name: str) -> dict[str, tuple[float, float]]:
    """Bq/mL around and in the spheres, of one activity.

    "warm" is eight to one, "recovery" ten to one (from which recovery is taken), "cold" spheres in inactive water.
    """
    phantom = nema_phantom(nema_grid((4.8, 4.8, 4.8)))
    spheres = sum(phantom.regions[f"sphere {d:g} mm"].volume_ml for d in NEMA_SPHERES_MM)
    total = 1e6 * IMAGING[name].nema_mbq
    around = phantom.regions["background"].volume_ml
    warm, recovery = (total / (around + ratio * spheres) for ratio in (RATIO, RECOVERY_RATIO))
    return {
        "warm": (warm, RATIO * warm),
        "cold": (0.0, total / spheres),
        "recovery": (recovery, RECOVERY_RATIO * recovery),
    }


def run_nema(folder: Path, name: str, *, quick: bool) -> dict[str, Any]:
    """Simulate, reconstruct by every method, measure; the scan at ten to one gives the recovery at eight to one."""
    here = folder / "nema" / name
    here.mkdir(parents=True, exist_ok=True)
    scene = nema_scene()
    rates = rates_of(here, scene, name, quick=quick)
    method = IMAGING[name].window_method
    found: dict[str, Any] = {}
    for seed, (scan, (around, inside)) in enumerate(fillings(name).items(), start=1):
        each = {"background": around, "spheres": inside}
        counts = {k: sum(np.float32(each[p]) * rates[p][k] for p in scene.parts) for k in ("primary", "other")}
        methods = ["none", *([method] if method and scan == "warm" else []), "mc"]
        if scan == "recovery":
            methods = ["mc"]
        total = counts["primary"] + counts["other"]
        images = {m: reconstructed(here, scene, name, total, m, seed, quick) for m in methods}
        found[scan] = measure_nema(name, scan, images)
        found[scan]["other_over_primary"] = float(counts["other"][0].sum() / counts["primary"][0].sum())
        found[scan]["counts"] = float(total[0].sum() * VIEW_S)
        middle = {m: image.values[:, :, slice_of(image)] for m, image in images.items()}
        np.savez_compressed(here / f"slices-{scan}.npz", **middle)
    recovery = found["recovery"]["mc"]["recovery"]["37"]
    perfect = found["warm"]["truth"]["spheres"]["37"]
    level = found["warm"]["mc"]["background_over_sphere"] / perfect
    measured = found["warm"]["mc"]["spheres"]["37"]
    found["warm"]["mc"]["sphere_37_corrected"] = level + (measured - level) / recovery
    return found


def rates_of(here: Path, scene: Scene, name: str, *, quick: bool) -> dict[str, dict[str, Float32]]:
    """Expected counts per second of every part of a scene, from the folder where they are there."""
    rates = {}
    for part in scene.parts:
        stored = here / f"expected-{part}.npz"
        if not stored.exists():
            np.savez(stored, **expected(scene, name, part, quick=quick))
        with np.load(stored) as kept:
            rates[part] = {key: kept[key] for key in kept.files}
    return rates


def run_patient(folder: Path, name: str, *, quick: bool) -> dict[str, Any]:
    """The virtual patient: dose to tumours, normal liver and lungs over the true one."""
    here = folder / "patient" / name
    here.mkdir(parents=True, exist_ok=True)
    patient = study_patient()
    scene = patient_scene(patient)
    rate = rates_of(here, scene, name, quick=quick)["patient"]
    total_bq = np.float32(1e6 * IMAGING[name].patient_mbq)
    method = IMAGING[name].window_method
    methods = ["none", *([method] if method else []), "mc"]
    counts = total_bq * (rate["primary"] + rate["other"])
    images = {m: reconstructed(here, scene, name, counts, m, 1, quick) for m in methods}
    grid = images["mc"].grid
    truth = resample(scene.parts["patient"], grid, "total")
    truth = truth.with_values(truth.values * total_bq / np.float32(grid.voxel_volume_ml), Kind.ACTIVITY_CONCENTRATION)
    lesions = {key: region for key, region in patient.regions.items() if key.startswith("tumour")}
    whole = patient.regions["liver"]
    for lesion in lesions.values():
        whole = whole - lesion
    regions = {**lesions, "normal liver": whole, "lung right": patient.regions["lung right"]}
    regions = {key: resample_region(region, grid) for key, region in regions.items()}
    true_dose = dose_of(truth, patient.hu, name)
    true_means = {key: mean_in(true_dose, region) for key, region in regions.items()}
    found: dict[str, Any] = {"true_gy": true_means, "diameter_mm": {k: diameter(r) for k, r in lesions.items()}}
    for m, image in images.items():
        dose = dose_of(image, patient.hu, name)
        found[m] = {key: mean_in(dose, region) / true_means[key] for key, region in regions.items()}
        found[m]["total"] = float(image.values.sum(dtype=np.float64) * grid.voxel_volume_ml / float(total_bq))
    found["counts"] = float(counts[0].sum() * VIEW_S)
    found["other_over_primary"] = float(rate["other"][0].sum() / rate["primary"][0].sum())
    at = middle_slice(regions["tumour 1"])
    middle = {m: image.values[:, :, at] for m, image in images.items()}
    np.savez_compressed(here / "slices.npz", truth=truth.values[:, :, at], **middle)
    return found


def middle_slice(region: Region) -> int:
    """Slice through the middle of a region."""
    return (region.window[2].start + region.window[2].stop) // 2


def diameter(region: Region) -> float:
    """Of the sphere of the same volume, mm."""
    return float((6 * region.volume_ml * 1000 / np.pi) ** (1 / 3))


def slice_of(image: Volume) -> int:
    """Slice through the centres of the spheres."""
    return round(float(image.grid.to_index((0.0, 0.0, 0.0))[2]))


def main() -> None:
    """Run what is asked for and is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nuclides", default=",".join(IMAGING))
    parser.add_argument("--objects", default="nema,patient")
    parser.add_argument("--quick", action="store_true", help="few photons and iterations, to see that it runs")
    parser.add_argument("--patience", type=float, default=1.0, help="factor of limits of time, on a busy machine")
    asked = parser.parse_args()
    PATIENCE["times"] = asked.patience
    asked.folder.mkdir(parents=True, exist_ok=True)
    file = asked.folder / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    runs = {"nema": run_nema, "patient": run_patient}
    for what in asked.objects.split(","):
        for name in asked.nuclides.split(","):
            print(what, name, file=sys.stderr)
            results.setdefault(what, {})[name] = runs[what](asked.folder, name, quick=asked.quick)
            file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
