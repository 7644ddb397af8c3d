"""Dice, 95 % Hausdorff distance and time of proposed structures on virtual patients and a real CT.

Run as ``python benchmarks/bench_segmentation.py [SEEDS] [CASE,CASE]``. With ``HEPATICA_DATA`` set, also on a low-dose
CT there whose organs a clinician drew. Arterial phase: liver and spleen between the others, vessels and kidneys
bright; fatty liver: its parenchyma darker than its vessels; both painted onto the noise-free CT. The uptake is the true
activity blurred to 13 mm FWHM on 4.42 mm voxels with Poisson noise, lobar treatment.
"""

from __future__ import annotations

import gzip
import os
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.segmentation.liver import find_liver
from hepatica.anatomy.segmentation.propose import SegmentationOptions, propose
from hepatica.anatomy.segmentation.torso import torso_of
from hepatica.anatomy.virtual_patient import AnatomyOptions, PatientSettings, VirtualCtOptions, virtual_patient
from hepatica.anatomy.virtual_patient.patient import VirtualPatient
from hepatica.core import Grid, Kind, Volume
from hepatica.core.resample import resample

Mask = NDArray[np.bool_]

FWHM_MM, CAMERA_MM, PEAK_COUNTS = 13.0, 4.42, 60.0

PAINTED_HU = {
    "arterial": {
        "liver": 70.0,
        "spleen": 130.0,
        "kidney left": 160.0,
        "kidney right": 160.0,
        "heart": 240.0,
        "aorta": 320.0,
    },
    "fatty": {"liver": 22.0},
}
"""CT numbers that replace those of the unenhanced CT (typical values)."""

CASES = {
    "native": ("none", 20.0, {}),
    "portal": ("portal", 15.0, {}),
    "arterial": ("none", 15.0, {}),
    "fatty": ("none", 15.0, {}),
    "low dose": ("none", 40.0, {}),
    "cirrhosis": ("none", 20.0, {"cirrhosis": True}),
    "female": ("portal", 25.0, {"sex": "female"}),
}


def painted(patient: VirtualPatient, case: str, noise_hu: float, seed: int) -> Volume:
    """CT of a case, with noise; tumours, vessels and all else keep their CT numbers."""
    if case not in PAINTED_HU:
        return patient.ct
    values = np.array(patient.hu.values)
    inner = np.zeros(values.shape, np.float32)
    for name, region in patient.regions.items():
        if name.startswith(("tumour", "portal", "hepatic v")):
            inner[region.window] = np.maximum(inner[region.window], region.coverage)
    plain = {"liver": 58.0, "spleen": 48.0, "kidney left": 32.0, "kidney right": 32.0, "heart": 42.0, "aorta": 42.0}
    for name, hu in PAINTED_HU[case].items():
        region = patient.regions[name]
        share = region.coverage * (1 - inner[region.window]) if name == "liver" else region.coverage
        values[region.window] += share * (hu - plain[name])
    noise = np.random.default_rng(seed).normal(0, noise_hu, values.shape)
    return Volume(patient.grid, (values + noise).astype(np.float32), Kind.HU, None, case)


def scout(patient: VirtualPatient) -> Volume:
    """What a camera shows of the activity."""
    from scipy import ndimage

    activity = patient.activity()
    shown = resample(activity, patient.grid.with_spacing((CAMERA_MM,) * 3), "total")
    blurred = ndimage.gaussian_filter(shown.values, FWHM_MM / 2.355 / CAMERA_MM)
    counts = np.random.default_rng(1).poisson(np.maximum(blurred, 0) / blurred.max() * PEAK_COUNTS)
    return Volume(shown.grid, counts.astype(np.float32), Kind.COUNTS, None, "scout")


def agreement(found: Mask, true: Mask, grid: Grid) -> tuple[float, float]:
    """Dice, and the 95 % Hausdorff distance of the surfaces in mm."""
    from scipy import ndimage

    if not found.any():
        return 0.0, float("inf")
    dice = 2 * float((found & true).sum()) / float(found.sum() + true.sum())

    def surface(mask: Mask) -> Mask:
        return np.asarray(mask & ~ndimage.binary_erosion(mask))

    edges = surface(found), surface(true)
    to = [ndimage.distance_transform_edt(~edge, sampling=grid.spacing_mm) for edge in edges]
    both = np.concatenate([to[1][edges[0]], to[0][edges[1]]])
    return dice, float(np.percentile(both, 95))


def virtual_rows(seeds: int) -> None:
    """Print one line for each virtual patient and case."""
    names = ("liver", "spleen", "kidney left", "kidney right", "lung left", "lung right")
    options = SegmentationOptions(structures=("body", "lungs", "liver", "spleen", "spine", "kidneys"))
    for seed in range(100, 100 + seeds):
        for case, (contrast, noise, anatomy) in CASES.items():
            if len(sys.argv) > 2 and case not in sys.argv[2].split(","):
                continue
            settings = PatientSettings(
                seed=seed,
                tumours=3,
                anatomy=AnatomyOptions(terminals=60, **anatomy),
                ct=VirtualCtOptions(spacing_mm=(2.0, 2.0, 3.0), noise_hu=noise, contrast=contrast),
            )
            patient = virtual_patient(settings)
            ct = painted(patient, case, noise, seed)
            line = f"{seed} {case:10s}"
            for uptake in (None, scout(patient)):
                start = time.process_time()
                found = propose(
                    ct, options if uptake is None else SegmentationOptions(structures=("liver",)), uptake=uptake
                )
                busy = time.process_time() - start
                proposed = {region.name: region.mask() for region in found.regions}
                for name in names if uptake is None else ("liver",):
                    true = patient.regions[name].mask()
                    dice, far = agreement(proposed.get(name, np.zeros_like(true)), true, ct.grid)
                    mark = " with uptake" if uptake is not None else ""
                    doubt = (
                        "-"
                        if name not in proposed
                        else "?"
                        if any(q.structure == name and q.verdict == "doubtful" for q in found.quality)
                        else ""
                    )
                    line += (
                        f"  {name}{mark} {dice:.3f}{doubt} ({far:.0f} mm)"
                        if name == "liver"
                        else f"  {name} {dice:.2f}{doubt}"
                    )
                line += f"  {busy:.1f} s;"
            print(line, flush=True)


def drawn_by_a_clinician(folder: Path) -> None:
    """Print the line of a low-dose CT with an organ map."""
    shape, spacing = (108, 70, 90), (3.9063, 3.9063, 4.4196)

    def read(part: str) -> NDArray[np.int64]:
        raw = gzip.decompress((folder / f"patient15_LuDOTATATE_{part}.i33.gz").read_bytes())
        return np.frombuffer(raw, "<u2").reshape(shape[::-1]).transpose(2, 1, 0)[:, ::-1, ::-1].astype(np.int64)

    hu, organs = read("attn") - 1000.0, read("src")
    ct = Volume(Grid.axial(shape, spacing_mm=spacing), hu.astype(np.float32), Kind.HU, None, "low-dose CT")
    found = propose(ct, SegmentationOptions(structures=("liver", "spleen", "kidneys")))
    codes = {"liver": 15000, "spleen": 16000, "kidney left": 17000, "kidney right": 18000}
    for region in found.regions:
        true = organs == codes[region.name]
        dice, far = agreement(region.mask(), true, ct.grid)
        ml = float(true.sum()) * ct.grid.voxel_volume_ml
        print(f"clinician: {region.name} {dice:.3f} ({far:.0f} mm), {region.volume_ml:.0f} mL, drawn {ml:.0f} mL")


def large() -> None:
    """Print the time of the liver on 512 x 512 x 400 voxels."""
    grid = Grid.axial((512, 512, 400), spacing_mm=(0.68, 0.5, 1.0), origin_mm=(-174.0, -128.0, -164.0))
    patient = virtual_patient(
        PatientSettings(seed=5, anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=4))
    )
    ct = resample(patient.ct, grid, "linear", outside=-1000.0)
    start = time.process_time()
    torso = torso_of(ct)
    find_liver(torso)
    middle = time.process_time()
    propose(ct, SegmentationOptions(structures=("liver",)))
    print(f"512 x 512 x 400: coarse liver {middle - start:.1f} s, with borders {time.process_time() - middle:.1f} s")


def main() -> None:
    """Print all."""
    virtual_rows(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    if data := os.environ.get("HEPATICA_DATA"):
        drawn_by_a_clinician(Path(data) / "lu-dotatate")
    large()


if __name__ == "__main__":
    main()
