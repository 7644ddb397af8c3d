"""A small patient of boxes, scanned as scout and after treatment in two frames of reference, as DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.scan import ScanOptions, acquire, scan_grid
from hepatica.io.dicom.images.projections import write_projections
from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.nuclides import nuclide

GRID = Grid.axial((30, 24, 34), spacing_mm=(8.0, 8.0, 8.0), origin_mm=(-116.0, -92.0, -100.0))
BOXES = {
    "Body": ((-88, 88), (-72, 72), (-96, 168)),
    "Liver": ((-80, 48), (-56, 56), (-72, 24)),
    "Tumour 1": ((-64, -32), (-32, 0), (-48, -16)),
    "Perfused right": ((-80, -8), (-56, 56), (-72, 24)),
    "Lungs": ((-80, 80), (-56, 56), (40, 128)),
    "Spine": ((-16, 16), (40, 64), (-96, 168)),
}
"""In the patient, LPS mm, on the borders of voxels."""

DRAWN = ("Liver", "Tumour 1", "Perfused right", "Lungs")
HU = {"Body": 0.0, "Liver": 60.0, "Tumour 1": 30.0, "Lungs": -750.0, "Spine": 350.0}
SHUNT, RATIO = 0.05, 4.0
SCOUT_AT = datetime(2026, 3, 2, 11)
INJECTED_AT = "2026-03-12T10:00+01:00"
SCANNED_AT = datetime(2026, 3, 13, 10)
GIVEN_BQ = 2.0e9
SHIFT_MM = (16.0, -8.0, 8.0)
"""By which the patient lies elsewhere at the scout: whole voxels, so that nothing is interpolated."""

FACTS = {
    "disease.indication": "HCC",
    "treatment.agent": "glass",
    "treatment.intent": "lobectomy",
    "treatment.at": INJECTED_AT,
    "treatment.aims.perfused": "100 Gy",
    "treatment.territory.name": "Perfused right",
    "treatment.images.engine": "local",
    "treatment.dose.engine": "local",
    "treatment.dose.administered": "2 GBq",
    "treatment.dose.lungs_in_image": "true",
}


@dataclass(frozen=True)
class Scanned:
    """Where a patient was scanned, and the images' identity."""

    context: DicomContext
    grid: Grid
    inside: dict[str, NDArray[np.float32]]


def scanned(when: datetime, shift_mm: tuple[float, float, float], patient: str = "BOXES") -> Scanned:
    """The boxes on the grid, each voxel by the part of it that a box covers."""
    context = DicomContext.invented(patient_id=patient, when=when)
    grid = GRID.with_frame_of_reference(context.frame_of_reference)
    inside = {}
    for name, box in BOXES.items():
        parts = []
        for axis, (low, high) in enumerate(box):
            centre = grid.affine[axis, 3] + 8.0 * np.arange(grid.shape[axis]) - shift_mm[axis]
            parts.append(np.clip((np.minimum(centre + 4, high) - np.maximum(centre - 4, low)) / 8, 0, 1))
        inside[name] = np.einsum("i,j,k->ijk", *parts).astype(np.float32)
    return Scanned(context, grid, inside)


def hu(one: Scanned) -> Volume:
    values = np.full(one.grid.shape, -1000.0, np.float32)
    for name, number in HU.items():
        values += one.inside[name] * (number - values)
    return Volume(one.grid, values, Kind.HU)


def uptake(one: Scanned) -> NDArray[np.float64]:
    """Share of the activity in every voxel."""
    liver = one.inside["Perfused right"] + (RATIO - 1) * one.inside["Tumour 1"]
    lungs = one.inside["Lungs"]
    return np.asarray((1 - SHUNT) * liver / liver.sum() + SHUNT * lungs / lungs.sum(), dtype=np.float64)


def write_images(folder: Path, one: Scanned, at: datetime) -> None:
    """CT and structures."""
    ct = hu(one)
    written = write_ct(folder / "ct", ct.with_values(ct.values, time=at), one.context)
    regions = [Region.from_coverage(name, one.grid, one.inside[name] >= 0.5) for name in DRAWN]
    write_seg(folder / "seg.dcm", regions, written, image_grid=one.grid)


def write_scout(folder: Path, shift_mm: tuple[float, float, float] = SHIFT_MM) -> Scanned:
    """CT, SPECT in counts and structures of the scout."""
    folder.mkdir(parents=True)
    one = scanned(SCOUT_AT, shift_mm)
    write_images(folder, one, SCOUT_AT)
    counts = Volume(one.grid, (2e6 * uptake(one)).astype(np.float32), Kind.COUNTS, SCOUT_AT)
    emission = Emission(nuclide="Tc-99m", start=SCOUT_AT, frame_duration_s=20.0, agent="MAA", projections=60,
                        energy_window_kev=(126.5, 154.6), corrected=("ATTN", "SCAT"))  # fmt: skip
    write_nm(folder / "spect.dcm", counts, one.context, emission, description="MAA", comment="")
    return one


def write_therapy(folder: Path) -> Scanned:
    """CT, PET and structures after treatment."""
    folder.mkdir(parents=True)
    one = scanned(SCANNED_AT, (0.0, 0.0, 0.0))
    write_images(folder, one, SCANNED_AT)
    left = 0.5 ** (24 / 64.05)
    values = GIVEN_BQ * left * uptake(one) / one.grid.voxel_volume_ml
    pet = Volume(one.grid, values.astype(np.float32), Kind.ACTIVITY_CONCENTRATION, SCANNED_AT)
    emission = Emission(nuclide="Y-90", start=SCANNED_AT, frame_duration_s=1200.0, administered_bq=GIVEN_BQ,
                        administered_at=datetime(2026, 3, 12, 10))  # fmt: skip
    write_pet(folder / "pet", pet, one.context, emission)
    return one


def write_projections_of_therapy(folder: Path) -> Scanned:
    """CT, structures and projections of 1 GBq 166Ho, primary photons without noise."""
    folder.mkdir(parents=True)
    one, scan = scanned(SCANNED_AT, (0.0, 0.0, 0.0)), ScanOptions(views=12, pixel_mm=16.0, columns=18, noise_free=True)
    write_images(folder, one, SCANNED_AT)
    activity = Volume(one.grid, (1e9 * uptake(one)).astype(np.float32), Kind.ACTIVITY, SCANNED_AT)
    where = scan_grid(hu(one), scan, one.grid.frame_of_reference)
    substance, camera = nuclide("Ho-166"), gamma_camera("siemens-megp")
    counted = acquire(activity, hu(one), where, camera=camera, nuclide=substance, scan=scan)
    emission = Emission(nuclide="Ho-166", start=SCANNED_AT, frame_duration_s=20.0, administered_bq=GIVEN_BQ)
    write_projections(folder / "tomo.dcm", counted.projections, one.context, emission, heads=scan.heads)
    return one
