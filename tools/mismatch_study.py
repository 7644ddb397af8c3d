"""What a camera does whose lead lets through other shares than the model's: the table in docs/spect-study.md.

The study's virtual patient with 90Y (5 % in the lungs) is simulated once through holes and once through lead; the
counts of a camera with 0.7, 0.9, 1, 1.1 and 1.3 times the model's counts through lead are the sum. Each is
reconstructed with the factor of that camera in air, and again with the counts through lead fitted from a cylinder of
water that was simulated with photons of its own.

Run: ``python tools/mismatch_study.py``. Half an hour of one processor; pixels of 9.6 mm keep it so short.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hepatica.core import Estimate, Kind
from hepatica.core.image import Image
from hepatica.core.resample import resample, resample_region
from hepatica.imaging.calibration.options import PhantomOptions
from hepatica.imaging.calibration.penetration import HolesAndLead, cylinder_counts, fitted_penetration
from hepatica.imaging.reconstruct.algorithms import IterationOptions
from hepatica.imaging.spect.camera.cameras import gamma_camera, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.options import AcquisitionOptions, ScatterOptions
from hepatica.imaging.spect.projections import Orbit, Projections
from hepatica.imaging.spect.scan_model import SpectOptions
from hepatica.imaging.spect.simulate import camera_grid
from hepatica.imaging.spect.system import window_model
from hepatica.nuclides import nuclide
from hepatica.transport.runner.settings import StoppingOptions
from hepatica.workflow.spect.reconstruct import reconstruct_spect
from spect_study import START, Float32, patient_scene, study_patient

PIXEL_MM, COLUMNS, VIEWS, VIEW_S, ACTIVITY_BQ = 9.6, 48, 32, 75.0, 2.5e9
SCALES = (0.7, 0.9, 1.0, 1.1, 1.3)
CAMERA, NUCLIDE = gamma_camera("siemens-hegp"), nuclide("Y-90")
WINDOW = nuclide_windows(NUCLIDE)[0][0]
CYLINDER = PhantomOptions(diameter_mm=200.0, length_mm=200.0)


def main() -> None:
    """Print the table."""
    patient = study_patient()
    scene = patient_scene(patient)
    grid = camera_grid(scene.hu.grid, pixel_mm=PIXEL_MM, columns=COLUMNS)
    orbit = Orbit.circular(VIEWS, radius_mm=scene.radius_mm)
    activity, hu = scene.parts["patient"], Image.from_array(scene.hu.values, unit="HU", grid=scene.hu.grid)
    response = detector_response(CAMERA)
    none = np.zeros_like(response.through)
    parts: list[Float32] = []
    for part in (replace(response, through=none), replace(response, geometric=none)):
        projector = MonteCarloProjector(scene.hu, SpectSetup(CAMERA, NUCLIDE, orbit, (WINDOW,), grid, part))
        found = projector.project(activity, ProjectionSettings(target_uncertainty=0.03, time_limit_s=60, seed=5))
        parts.append((found.primary + found.other) * np.float32(ACTIVITY_BQ * VIEW_S))
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    one = resample(activity, grid, "total")
    truth = one.with_values(one.values * np.float32(ACTIVITY_BQ), Kind.ACTIVITY)
    tumours = {name: region for name, region in patient.regions.items() if name.startswith("tumour")}
    liver = patient.regions["liver"]
    for tumour in tumours.values():
        liver = liver - tumour
    regions = {**tumours, "normal liver": liver, "right lung": patient.regions["lung right"]}
    regions = {name: resample_region(region, grid) for name, region in regions.items()}

    def acquired(scale: float) -> Projections:
        counts = np.random.default_rng(7).poisson(parts[0] + scale * parts[1]).astype(np.float32)
        return Projections(
            counts, orbit, (WINDOW,), (PIXEL_MM, PIXEL_MM), VIEW_S, start=START, nuclide=NUCLIDE.name,
            axis_mm=(float(middle[0]), float(middle[1]), float(grid.origin_mm[2])),
            frame_of_reference=grid.frame_of_reference,
        )  # fmt: skip

    model = window_model(CAMERA, NUCLIDE, WINDOW)
    air_cps = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    in_air = HolesAndLead(air_cps * model.holes_share, air_cps * (1 - model.holes_share))
    field = acquired(1.0)
    cylinder = replace(field, axis_mm=(0.0, 0.0, -PIXEL_MM * (grid.shape[2] - 1) / 2))
    place = replace(CYLINDER, centre_mm=(0.0, 0.0, 0.0))
    known = {"camera": CAMERA, "nuclide": NUCLIDE}
    by_model, measured = (cylinder_counts(cylinder, WINDOW, place, seed=seed, **known) for seed in (23, 99))  # type: ignore[arg-type]

    print("| lead, times the model | calibrated | air, against the model | total | " + " | ".join(regions) + " |")
    print("| --- " * (4 + len(regions)) + "|")
    for scale in SCALES:
        air = in_air.holes + scale * in_air.lead
        water = measured.holes + scale * measured.lead
        fit = fitted_penetration(Estimate(air, 0.01 * air), Estimate(water, 0.01 * water), in_air, by_model)
        for text, penetration in (("in air", 1.0), (f"air and water: {fit.value:.2f}", fit.value)):
            image = reconstruct_spect(
                acquired(scale), ct=hu, camera=replace(CAMERA, penetration=penetration),
                options=SpectOptions(
                    acquisition=AcquisitionOptions(sensitivity_cps_per_mbq=air, registered=True),
                    iteration=IterationOptions(iterations=20, subsets=4),
                    scatter=ScatterOptions(
                        scatter="mc", stopping=StoppingOptions(target_uncertainty=0.05, time_limit_s=6, seed=501)
                    ),
                ),
            ).volume  # fmt: skip
            becquerels = image.with_values(image.values * np.float32(image.grid.voxel_volume_ml), Kind.ACTIVITY)
            numbers = [becquerels.total / truth.total - 1]
            numbers += [region.total(becquerels) / region.total(truth) - 1 for region in regions.values()]
            start = f"| {scale:g} | {text} | {air / air_cps - 1:+.0%} | "
            print(start + " | ".join(f"{100 * x:+.0f} %" for x in numbers) + " |", flush=True)


if __name__ == "__main__":
    main()
