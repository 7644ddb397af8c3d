"""Lesions of a 90Y SPECT after recovery, by the commands and their defaults: simulate, reconstruct, calibrate, dose.

NEMA spheres at 8 : 1 and the torso of ``spect_study_lung.py`` (lesions of 45 and 32 mm at T/N 5, 5 % in the lungs),
both under the Siemens HEGP, 60 views at 21 cm, pixels of 9.6 mm. ``reconstruct`` makes both images, ``calibrate
--source nema`` the curve of the first, and ``dose --recovery`` the doses of the second.

Run: ``python tools/studies/lesion_recovery_study.py FOLDER [--seeds 3] [--blur 6.5] [--short]``.
FOLDER/expected-torso-*.npz of ``spect_study_lung.py`` are taken if they are there. What lies in FOLDER is not made
again. Some minutes of one processor a seed. Prints doses over those of the true activity, on the same outlines.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import spect_study_lung
from calibration_study import command
from hepatica.anatomy.phantoms.objects import nema_grid, nema_phantom
from hepatica.core import Kind, Volume
from hepatica.core.context import DicomContext
from hepatica.io.dicom.images.projections import write_projections
from hepatica.io.dicom.images.write import Emission
from hepatica.io.itk import write_itk
from spect_study_lung import PIXEL_MM, START, VIEW_S, VIEWS, expected, torso, torso_masks

NEMA_BQ_ML = {"background": 240e3}
SPHERE_BQ_ML = 8 * NEMA_BQ_ML["background"]
CAMERA, NUCLIDE = "siemens-hegp", "Y-90"


def reconstructed(folder: Path, name: str, scan: Path, ct: Path, *more: str) -> Path:
    """Image of a scan, by default options but scatter and sensitivity."""
    out = folder / name
    if not (out / "result.json").exists():
        command(
            "reconstruct", scan, "--ct", ct, "--camera", CAMERA, "--scatter", "mc", "--sensitivity", "model",
            "--registered", *more, "--out", out, "--force",
        )  # fmt: skip
    return out


def curve(folder: Path, histories: float, noise: tuple[str, ...], *more: str) -> Path:
    """Recovery curve of the spheres."""
    phantom = nema_phantom(nema_grid((3.0, 3.0, 3.0)))
    filled = dict.fromkeys(phantom.sphere_diameters_mm, SPHERE_BQ_ML) | NEMA_BQ_ML
    activity = phantom.activity(filled, time=START)
    seen, ct = folder / "nema.nii.gz", folder / "nema-ct.nii.gz"
    write_itk(activity.with_values(activity.values / activity.grid.voxel_volume_ml, Kind.ACTIVITY_CONCENTRATION), seen)
    write_itk(phantom.hu, ct)
    if not (folder / "scan-nema").exists():
        command(
            "simulate", "--activity", seen, "--ct", ct, "--nuclide", NUCLIDE, "--camera", CAMERA, "--method",
            "montecarlo", "--histories", str(int(histories)), "--views", str(VIEWS), "--frame-duration",
            f"{VIEW_S:g} s", "--radius", "210 mm", "--pixel", f"{PIXEL_MM} mm", "--columns", "40", "--activity-unit",
            "Bq/mL", "--activity-at", START.isoformat(), "--skip-spectrum", *noise, "--out", folder / "scan-nema",
        )  # fmt: skip
    blur = "".join(more[1:2]).replace(" ", "") or "default"
    image = reconstructed(folder, f"spect-nema-{blur}", folder / "scan-nema/projections.dcm", ct, *more)
    found = command(
        "calibrate", image, "--source", "nema", "--concentration", f"{SPHERE_BQ_ML:g} Bq/mL", "--background",
        f"{NEMA_BQ_ML['background']:g} Bq/mL", "--source-activity-at", START.isoformat(), "--centre", "0,0,0 mm",
        "--out", folder / f"curve-{blur}", "--force",
    )  # fmt: skip
    for one in found["spheres"]:
        print(f"  {one['diameter_mm']:.0f} mm recovers {one['mean_recovery']:.3f}", flush=True)
    return folder / f"curve-{blur}/recovery.json"


def doses(activity: Path, folder: Path, *more: str | Path) -> dict[str, Any]:
    """Structures of the dose, by name."""
    found = command(
        "dose", "--activity", activity, "--ct", folder / "torso-ct.nii.gz", "--structures", folder / "torso.nii.gz",
        "--nuclide", NUCLIDE, "--engine", "local", "--registered", "--administered-at", START.isoformat(), *more,
    )  # fmt: skip
    return {one["name"]: one for one in found["structures"]} | {"messages": found.get("messages", [])}


def main() -> None:
    """Print ratios of doses to the true ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--blur", type=float, help="mm left in both images; the default of `reconstruct` if not stated")
    parser.add_argument("--histories", type=float, default=5e6, help="of the liver and of the phantom each")
    parser.add_argument("--short", action="store_true", help="the phantom with the noise of a patient's scan")
    asked = parser.parse_args()
    folder, more = asked.folder, () if asked.blur is None else ("--remaining-blur", f"{asked.blur:g} mm")
    folder.mkdir(parents=True, exist_ok=True)
    spect_study_lung.HISTORIES = {NUCLIDE: (asked.histories, asked.histories / 3)}
    recovery = curve(folder, asked.histories, () if asked.short else ("--noise-free",), *more)
    phantom = torso(NUCLIDE)
    parts, hu, regions = torso_masks()
    labels = np.zeros(hu.grid.shape, dtype=np.int16)
    names = {"1": "normal liver", "2": "tumour 45 mm", "3": "tumour 32 mm", "4": "lungs"}
    for number, key in enumerate(("liver", "lesion 45 mm", "lesion 32 mm", "lung"), start=1):
        labels[parts[key] if key == "liver" else regions[key]] = number
    write_itk(Volume(hu.grid, labels, Kind.LABEL), folder / "torso.nii.gz")
    (folder / "torso.json").write_text(json.dumps(names))
    write_itk(hu, folder / "torso-ct.nii.gz")
    activity = phantom.activity
    true = folder / "torso-true.nii.gz"
    write_itk(activity.with_values(activity.values / activity.grid.voxel_volume_ml, Kind.ACTIVITY_CONCENTRATION), true)
    known = doses(true, folder, "--activity-unit", "Bq/mL", "--activity-at", START.isoformat())
    scan = expected(folder, "torso", phantom, 1.0)
    blur = "default" if asked.blur is None else f"{asked.blur:g}mm"
    for seed in range(1, asked.seeds + 1):
        noisy = np.random.default_rng(seed).poisson(scan.counts).astype(np.float32)
        file = folder / f"torso-{seed}.dcm"
        context = replace(DicomContext.invented(patient_id="torso", when=START), frame_of_reference="1.2.3")
        write_projections(file, replace(scan, counts=noisy, camera=CAMERA), context, Emission(NUCLIDE, START, VIEW_S))
        image = reconstructed(folder, f"spect-torso-{blur}-{seed}", file, folder / "torso-ct.nii.gz", *more)
        seen = doses(image / "spect.dcm", folder)
        corrected = doses(image / "spect.dcm", folder, "--recovery", recovery, "--recovery-extrapolate")
        for name in names.values():
            dose = known[name]["dose_mean_gy"]
            text = f"{blur} seed {seed} {name}: {100 * (seen[name]['dose_mean_gy'] / dose - 1):+.1f} %"
            if (mended := corrected[name].get("partial_volume")) is not None:
                times = mended["factor"]
                text += f", after recovery {100 * (seen[name]['dose_mean_gy'] * times / dose - 1):+.1f} %"
            print(text, flush=True)


if __name__ == "__main__":
    main()
