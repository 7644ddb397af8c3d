"""The demonstration patient's whole course as a heap of DICOM: scout, treatment, follow-up, and what is true of each.

The patient lies a little otherwise on each table: scout, treatment and follow-up have frames of reference of their own,
and where each lies in the other is known.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient import Treatment, VirtualCtOptions, VirtualPatient, default_grid, virtual_patient
from hepatica.anatomy.virtual_patient.named import PERFUSED
from hepatica.core import Grid, Region, Volume, decay_factor, seconds_between
from hepatica.core.context import DicomContext
from hepatica.core.progress import Progress
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.scan import MonteCarloScanOptions, ScanOptions, acquire, scan_grid
from hepatica.io.dicom.images.projections import write_projections
from hepatica.io.dicom.images.write import Emission, write_ct
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.virtual.demo import (
    ADMINISTERED_AT,
    LUNG_SHUNT,
    REPORTED,
    SEED,
    SETTINGS,
    DemoPatient,
    write_demo_patient,
)
from hepatica.nuclides import nuclide

SCOUT_INJECTED_AT = datetime(2026, 2, 16, 10, 5)
SCOUT_SCANNED_AT = datetime(2026, 2, 16, 11, 20)
FOLLOW_UP_AT = datetime(2026, 5, 4, 9, 30)
NEXT_AT = datetime(2026, 6, 1, 10, 0)

SCOUT_BQ = 150e6
SCOUT_CAMERA = "siemens-lehr"
TUMOUR_TO_NORMAL = 4.0
SHRUNK_TO = 0.65
"""Diameter of each tumour at follow-up beside that before: a partial response by RECIST 1.1 (30 % smaller or more)."""

SCOUT_TURN_DEG, SCOUT_SHIFT_MM = 2.0, (7.0, -5.0, 11.0)
FOLLOW_UP_TURN_DEG, FOLLOW_UP_SHIFT_MM = -1.5, (-4.0, 3.0, -8.0)
"""How the patient lies there beside how he lay at the treatment: turned about the body's axis, then shifted."""

SCOUT_LESIONS = ("tumour 1", "tumour 2")
"""Names of the tumours."""

LABS = (
    ("2026-02-10", 0.9, 3.9, 1.1),
    ("2026-05-04", 1.2, 3.6, 1.1),
)
"""Date, bilirubin in mg/dL, albumin in g/dL, INR: invented."""


@dataclass(frozen=True, slots=True, eq=False)
class DemoCourse:
    """The patient, the truth, and the files.

    Attributes
    ----------
    folder : Path
        ``scout/``, ``ct/``, ``pet/``, ``rtstruct.dcm``, ``follow-up/`` and ``labs.csv``, as a PACS and a laboratory
        would export them.
    treated : DemoPatient
        At the treatment, with its truth.
    scout : VirtualPatient
        The same after the scout's injection, where he lay at the treatment.
    to_scout : ndarray, shape (4, 4)
        From a point at the treatment to where that tissue lay at the scout, LPS mm.
    tumour_volumes_ml : mapping of str to (float, float)
        Of each tumour before treatment and at follow-up.
    """

    folder: Path
    treated: DemoPatient
    scout: VirtualPatient
    to_scout: NDArray[np.float64]
    tumour_volumes_ml: Mapping[str, tuple[float, float]]


def write_demo_course(
    folder: Path,
    *,
    voxel_mm: float = 2.5,
    scan: ScanOptions = ScanOptions(),
    montecarlo: MonteCarloScanOptions = MonteCarloScanOptions(),
    seed: int = SEED,
    progress: Progress,
) -> DemoCourse:
    """Make the patient and write the whole course.

    Parameters
    ----------
    folder : Path
        New folder.
    voxel_mm : float
        Voxels of the CTs.
    scan, montecarlo : ScanOptions, MonteCarloScanOptions
        How the scout is imaged.
    seed : int
        Of patient and noise.
    progress : callable
        Told each step.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    spacing = (voxel_mm, voxel_mm, 1.2 * voxel_mm)
    progress("making the patient at the treatment")
    treated = write_demo_patient(folder, ct_spacing_mm=spacing, seed=seed)
    to_scout = placed(SCOUT_TURN_DEG, SCOUT_SHIFT_MM)
    progress("making the patient at the scout")
    scout = _lying(spacing, seed, to_scout).treated(
        Treatment(
            nuclide="Tc-99m",
            administered_bq=SCOUT_BQ,
            administered_at=SCOUT_INJECTED_AT,
            catheters=SETTINGS.treatment.catheters,
            lung_shunt=LUNG_SHUNT,
            tumour_to_normal=TUMOUR_TO_NORMAL,
        )
    )
    _write_scout(folder / "scout", scout, to_scout, (scan, montecarlo), progress)
    progress("making the patient at follow-up")
    volumes = _write_follow_up(
        folder / "follow-up", _lying(spacing, seed, placed(FOLLOW_UP_TURN_DEG, FOLLOW_UP_SHIFT_MM))
    )
    _write_labs(folder / "labs.csv")
    return DemoCourse(folder, treated, scout, to_scout, volumes)


def placed(turn_deg: float, shift_mm: Sequence[float]) -> NDArray[np.float64]:
    """Matrix of a turn about the body's axis (LPS z), then a shift."""
    matrix = np.eye(4)
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    matrix[:2, :2] = ((c, -s), (s, c))
    matrix[:3, 3] = shift_mm
    return matrix


def _lying(spacing: tuple[float, float, float], seed: int, place: NDArray[np.float64]) -> VirtualPatient:
    """The patient sampled where the voxels of an upright grid lie in the body."""
    settings = replace(SETTINGS, seed=seed, ct=VirtualCtOptions(spacing_mm=spacing))
    upright = default_grid(settings)
    return virtual_patient(settings, Grid(upright.shape, np.linalg.inv(place) @ upright.affine))


def _upright(grid: Grid, place: NDArray[np.float64], frame: str) -> Grid:
    """The same voxels as the scanner sees them."""
    return Grid(grid.shape, (place @ grid.affine).round(9), frame)


def _seen(volume: Volume, place: NDArray[np.float64], frame: str, at: datetime) -> Volume:
    return Volume(_upright(volume.grid, place, frame), volume.values, volume.kind, at, volume.name)


def _context(when: datetime) -> DicomContext:
    return DicomContext.invented(patient_id="HEPATICA-DEMO", patient_name="Demo^Patient", when=when)


def _structures(patient: VirtualPatient, place: NDArray[np.float64], frame: str) -> list[Region]:
    grid = _upright(patient.grid, place, frame)
    drawn = [patient.regions[name] for name in REPORTED] + [patient.perfused().renamed(PERFUSED)]
    return [replace(region, grid=grid) for region in drawn]


def _write_scout(
    folder: Path,
    patient: VirtualPatient,
    place: NDArray[np.float64],
    how: tuple[ScanOptions, MonteCarloScanOptions],
    progress: Progress,
) -> None:
    """CT, structures and projections of the scout."""
    context, (scan, montecarlo) = _context(SCOUT_SCANNED_AT), how
    frame = context.frame_of_reference
    folder.mkdir()
    ct = _seen(patient.ct, place, frame, SCOUT_SCANNED_AT)
    written = write_ct(folder / "ct", ct, context, description="Scout CT")
    write_rtstruct(
        folder / "rtstruct.dcm", _structures(patient, place, frame), written, image_grid=ct.grid,
        drawn_at=SCOUT_SCANNED_AT,
    )  # fmt: skip
    progress("scout projections")
    left = decay_factor(seconds_between(SCOUT_INJECTED_AT, SCOUT_SCANNED_AT), nuclide("Tc-99m").half_life_s)
    activity = _seen(patient.activity(), place, frame, SCOUT_SCANNED_AT)
    activity = activity.with_values(activity.values * np.float32(left))
    hu = _seen(patient.hu, place, frame, SCOUT_SCANNED_AT)
    counted = acquire(
        activity, hu, scan_grid(hu, scan, frame), camera=gamma_camera(SCOUT_CAMERA), nuclide=nuclide("Tc-99m"),
        scan=scan, montecarlo=montecarlo, progress=progress,
    )  # fmt: skip
    emission = Emission(
        nuclide="Tc-99m", start=SCOUT_SCANNED_AT, frame_duration_s=scan.frame_duration_s, agent="MAA",
        administered_bq=SCOUT_BQ, administered_at=SCOUT_INJECTED_AT,
    )  # fmt: skip
    write_projections(
        folder / "projections.dcm", counted.projections, context, emission, heads=scan.heads,
        description="99mTc-MAA projections",
    )  # fmt: skip


def _write_follow_up(folder: Path, patient: VirtualPatient) -> dict[str, tuple[float, float]]:
    """CT and structures weeks later, the tumours shrunken; their volumes before and after."""
    place, context = placed(FOLLOW_UP_TURN_DEG, FOLLOW_UP_SHIFT_MM), _context(FOLLOW_UP_AT)
    names = [tumour.name for tumour in patient.tumours]
    liver = patient.regions["liver"]
    tissue = liver.mask()
    for name in names:
        tissue &= ~patient.regions[name].mask()
    parenchyma = float(np.mean(patient.hu.values[tissue]))
    values = patient.ct.values.copy()
    shrunken: dict[str, Region] = {}
    for name in names:
        whole = patient.regions[name]
        left = _shrunken(whole)
        gone = np.clip(whole.full() - left.full(), 0, 1)
        noise_free = patient.hu.values
        values += gone * (parenchyma - noise_free)
        shrunken[name] = left
    ct = _seen(patient.ct.with_values(values), place, context.frame_of_reference, FOLLOW_UP_AT)
    written = write_ct(folder / "ct", ct, context, description="Follow-up CT")
    drawn = [replace(region, grid=ct.grid) for region in (liver, *shrunken.values())]
    write_rtstruct(folder / "rtstruct.dcm", drawn, written, image_grid=ct.grid, drawn_at=FOLLOW_UP_AT)
    return {name: (patient.regions[name].volume_ml, shrunken[name].volume_ml) for name in names}


def _shrunken(region: Region) -> Region:
    """The region drawn together about its centre."""
    from scipy.ndimage import affine_transform

    full = region.full()
    centre = np.array([float(np.average(np.arange(n), weights=full.sum(axis=tuple(a for a in range(3) if a != axis))))
                       for axis, n in enumerate(full.shape)])  # fmt: skip
    smaller = affine_transform(full, np.eye(3) / SHRUNK_TO, centre - centre / SHRUNK_TO, order=1)
    return Region.from_coverage(region.name, region.grid, np.clip(smaller, 0, 1), origin="shrunken")


def _write_labs(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("patient", "date", "bilirubin_mg_dl", "albumin_g_dl", "inr", "treated"))
        rows.writerows(("HEPATICA-DEMO", *row, ADMINISTERED_AT.date().isoformat()) for row in LABS)
