"""Cases for the workbench's tests: one with an oblique CT, fiducials and a dose of known shape; one with a course."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from course_makers import FACTS, write_scout, write_therapy
from hepatica import Case
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.io.dicom.images.write import write_ct
from hepatica.io.dicom.mr.write import write_multi_echo
from hepatica.io.dicom.rtdose import write_rtdose
from hepatica.io.dicom.structures.seg import write_seg

FIDUCIALS = ((20.0, -10.0, 30.0), (-25.0, 15.0, 12.0), (8.0, 22.0, -18.0), (-12.0, -24.0, 44.0), (31.0, 5.0, -6.0))
"""Middles of bright balls, LPS mm."""

BALL_SD_MM = 6.0
DOSE_MIDDLE = (6.0, -4.0, 11.0)
DOSE_SD_MM = 22.0
DOSE_MAX_GY = 200.0
SPHERE_MM = 25.0
"""Radius of the structure around the middle of the dose."""


def oblique(shape: tuple[int, int, int], spacing: tuple[float, float, float], frame: str | None) -> Grid:
    """Turned about two axes, anisotropic, flipped along i and k, its middle near the origin of the patient."""
    turn, tilt = np.deg2rad(17.0), np.deg2rad(-9.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-1.0, 1.0, -1.0]) * spacing
    affine[:3, 3] = (5.0, 2.0, 12.0) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine, frame)


def positions(grid: Grid) -> np.ndarray:
    """LPS position of every voxel."""
    return grid.to_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def oblique_ct(grid: Grid) -> Volume:
    """Air with a bright ball at each fiducial, and a bar that lies on the patient's left alone."""
    where = positions(grid)
    hu = np.full(grid.shape, -1000.0)
    for middle in FIDUCIALS:
        hu += 1900.0 * np.exp(-((where - middle) ** 2).sum(axis=-1) / (2 * BALL_SD_MM**2))
    bar = (where[..., 0] > 45) & (np.abs(where[..., 1]) < 30) & (np.abs(where[..., 2] - 10) < 40)
    hu[bar] = 300.0
    return Volume(grid, np.rint(hu).astype(np.float32), Kind.HU)


def gaussian_dose(grid: Grid) -> Volume:
    """A dose of one Gaussian: every isodose surface is a sphere."""
    away = ((positions(grid) - DOSE_MIDDLE) ** 2).sum(axis=-1)
    return Volume(grid, (DOSE_MAX_GY * np.exp(-away / (2 * DOSE_SD_MM**2))).astype(np.float32), Kind.DOSE)


def oblique_mr(frame: str | None) -> MultiEcho:
    """Signal that rises to the left and falls from echo to echo."""
    grid = oblique((30, 26, 18), (5.1, 4.6, 7.3), frame)
    signal = 200.0 + positions(grid)[..., 0]
    return MultiEcho.from_arrays(
        np.stack([signal, 0.5 * signal]), echo_times_s=(0.0012, 0.0024), field_t=1.5, grid=grid, name="MR"
    )


def oblique_case(folder: Path, scratch: Path) -> Case:
    """CT, dose and MR on other voxels, and a sphere as a structure, all in one frame of reference."""
    context = DicomContext.invented(patient_id="OBLIQUE", patient_name="Secret^Name")
    ct = oblique_ct(oblique((60, 44, 40), (2.5, 3.1, 4.2), context.frame_of_reference))
    written = write_ct(scratch / "ct", ct, context)
    dose = gaussian_dose(oblique((40, 36, 34), (4.0, 4.3, 4.9), context.frame_of_reference))
    write_rtdose(scratch / "dose.dcm", dose, written, bits=32)
    inside = ((positions(ct.grid) - DOSE_MIDDLE) ** 2).sum(axis=-1) <= SPHERE_MM**2
    write_multi_echo(scratch / "mr", oblique_mr(context.frame_of_reference), written, description="GRE")
    write_seg(scratch / "seg.dcm", [Region.from_coverage("Tumour 1", ct.grid, inside)], written, image_grid=ct.grid)
    case = Case.new(folder)
    case.add(scratch / "ct", "therapy-ct", treatment=1)
    case.add(scratch / "dose.dcm", "dose", treatment=1)
    case.add(scratch / "seg.dcm", "therapy-structures", treatment=1)
    case.add(scratch / "mr", "therapy-mr", treatment=1)
    return case


def course_case(folder: Path, scratch: Path) -> Case:
    """A patient of boxes from scout to dose."""
    write_scout(scratch / "scout")
    write_therapy(scratch / "therapy")
    case = Case.new(folder)
    case.add(scratch)
    case.set(**FACTS)
    case.run("plan", "dose")
    return case
