"""From a cylinder and spheres to a patient-like scan, by the commands: the last table of docs/calibration.md.

177Lu under a medium-energy collimator, projected without scatter, every scan with its own noise: a cylinder of water of
400 MBq gives the factor, spheres of 800 kBq/mL in 100 kBq/mL the recovery, and another scan, of spheres of 600 in 100
kBq/mL three days later, is what they are used on.

Run: ``python tools/studies/calibration_study.py FOLDER``. Scans and images in FOLDER are not made again. A few
minutes of one processor.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.phantoms.objects import Phantom, grid_around, nema_grid, nema_phantom, water_cylinder
from hepatica.cli.main import main as command_line
from hepatica.core import Kind, Volume
from hepatica.io.calibration_files import load_recovery
from hepatica.io.itk import write_itk

WHEN = datetime(2026, 3, 2, 10, 0)
LATER = WHEN + timedelta(days=3)
NUCLIDE, CAMERA, MEAN_LIFE_S = "Lu-177", "siemens-megp", 6.6443 * 86400 / np.log(2)
SCAN = ("--method", "analytic", "--views", "48", "--frame-duration", "60 s", "--pixel", "6 mm", "--columns", "64")
ITERATE = ("--iterations", "20", "--subsets", "6", "--scatter", "none", "--registered")


def command(*words: str | Path) -> dict[str, Any]:
    """Document of a command that must not fail."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = command_line([*map(str, words), "--json"])
    if code:
        raise SystemExit(err.getvalue())
    return dict(json.loads(out.getvalue()))


def scanned(folder: Path, name: str, phantom: Phantom, filled: dict[str, float], when: datetime, seed: int) -> Path:
    """Projections of a phantom, in Bq/mL."""
    activity = phantom.activity(filled, time=when)
    written = folder / f"{name}.nii.gz"
    concentration = activity.values / activity.grid.voxel_volume_ml
    write_itk(activity.with_values(concentration, Kind.ACTIVITY_CONCENTRATION), written)
    write_itk(phantom.hu, folder / f"{name}-ct.nii.gz")
    if (folder / f"scan-{name}").exists():
        return folder / f"scan-{name}"
    command(
        "simulate", "--activity", written, "--ct", folder / f"{name}-ct.nii.gz", "--nuclide", NUCLIDE, *SCAN,
        "--camera", CAMERA, "--activity-unit", "Bq/mL", "--activity-at", when.isoformat(), "--seed", str(seed),
        "--out", folder / f"scan-{name}", "--force",
    )  # fmt: skip
    return folder / f"scan-{name}"


def reconstructed(folder: Path, name: str, *more: str | Path) -> dict[str, Any]:
    """Image of a scan."""
    out = folder / f"spect-{name}"
    if (out / "result.json").exists():
        return dict(json.loads((out / "result.json").read_text()))
    return command(
        "reconstruct", folder / f"scan-{name}/projections.dcm", "--ct", folder / f"{name}-ct.nii.gz", "--camera",
        CAMERA, *ITERATE, *more, "--out", out, "--force",
    )  # fmt: skip


def drawn(folder: Path, phantom: Phantom) -> Path:
    """Spheres as tumours, what is around them as the liver that gives their background."""
    labels = np.zeros(phantom.grid.shape, dtype=np.int16)
    labels[phantom.regions["core"].mask()] = 99
    names = {"99": "normal liver"}
    for number, (name, diameter) in enumerate(phantom.sphere_diameters_mm.items(), start=1):
        labels[phantom.regions[name].mask()] = number
        names[str(number)] = f"tumour {diameter:g} mm"
    write_itk(Volume(phantom.grid, labels, Kind.LABEL), folder / "labels.nii.gz")
    (folder / "labels.json").write_text(json.dumps(names))
    return folder / "labels.nii.gz"


def main() -> None:
    """Print the numbers and the table."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    cylinder = water_cylinder(grid_around((220, 220, 220), spacing_mm=(3.0, 3.0, 3.0)))
    spheres = nema_phantom(nema_grid((3.0, 3.0, 3.0)))
    filled = [dict.fromkeys(spheres.sphere_diameters_mm, bq_ml) | {"background": 100e3} for bq_ml in (800e3, 600e3)]
    known = ("--source-activity-at", WHEN.isoformat())
    scanned(folder, "cylinder", cylinder, {"cylinder": 60e3}, WHEN, 1)
    reconstructed(folder, "cylinder")
    bq = 60e3 * cylinder.regions["cylinder"].volume_ml
    factor = command(
        "calibrate", folder / "spect-cylinder", "--source", "cylinder", "--source-activity", f"{bq} Bq", *known,
        "--source-activity-sd", "2 %", "--diameter", "200 mm", "--length", "200 mm", "--margin", "30 mm",
        "--volume-sd", "0.5 %", "--out", folder / "factor", "--force",
    )  # fmt: skip
    by = ("--calibration", folder / "factor/calibration.json")
    scanned(folder, "nema", spheres, filled[0], WHEN, 2)
    reconstructed(folder, "nema", *by)
    command(
        "calibrate", folder / "spect-nema", "--source", "nema", "--concentration", "800 kBq/mL", "--background",
        "100 kBq/mL", *known, "--centre", "0,0,0 mm", "--out", folder / "spheres", "--force",
    )  # fmt: skip
    scan = scanned(folder, "second", spheres, filled[1], LATER, 3)
    made = reconstructed(folder, "second", *by)
    total = sum(filled[1][name] * spheres.regions[name].volume_ml for name in filled[1])
    dose = command(
        "dose", "--activity", folder / "spect-second/spect.dcm", "--ct", folder / "second-ct.nii.gz", "--nuclide",
        NUCLIDE, "--structures", drawn(folder, spheres), "--engine", "local", "--administered-at", LATER.isoformat(),
        "--registered", *by, "--recovery", folder / "spheres/recovery.json", "--recovery-extrapolate",
        "--contour-sd", "1 mm",
    )  # fmt: skip
    model = json.loads((scan / "result.json").read_text())["energy_windows"][0]["sensitivity_cps_per_mbq"]
    curve = load_recovery(folder / "spheres/recovery.json")
    print(f"factor {factor['factor_cps_per_mbq']:.2f} +- {factor['factor_sd_percent']:.1f} %, simulated {model:.2f}")
    print(f"total {100 * (made['total_activity_mbq'] * 1e6 / total - 1):+.1f} %\n")
    print("| sphere | seen, kBq/mL | recovery | corrected | uncertainty of the dose (k = 1) | truth |")
    print("|---|---|---|---|---|---|")
    for one in reversed(dose["structures"]):
        if one["role"] == "tumour":
            seen = one["decays"] / MEAN_LIFE_S / one["volume_ml"] / 1e3
            times = one["partial_volume"]["factor"]
            sd = one["uncertainty"]["dose_sd_percent"]
            recovery = curve.at(one["volume_ml"], extrapolate=True).value
            print(f"| {one['name'][7:]} | {seen:.0f} | {recovery:.2f} | {seen * times:.0f} | {sd:.0f} % | 600 |")


if __name__ == "__main__":
    main()
