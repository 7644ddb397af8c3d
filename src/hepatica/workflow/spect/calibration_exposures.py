"""Exposures of a planar or point source from files: planar NM images, or the views of a TOMO scan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import InputFile, Volume
from hepatica.errors import GeometryError, InputError, TimeError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.camera_factor import Exposure
from hepatica.io.dicom.images.planar import PlanarView, read_planar
from hepatica.io.dicom.images.projections import read_projections
from hepatica.nuclides import nuclide
from hepatica.workflow.spect.calibration_options import CalibrateOptions
from hepatica.workflow.spect.windows import main_windows

HOT = 0.5
"""The source is looked for among pixels above this share of the highest."""


@dataclass(frozen=True, slots=True)
class Exposures:
    """What was read: the exposures, for what they hold, and where they come from."""

    exposures: tuple[Exposure, ...]
    conditions: Conditions
    sources: tuple[InputFile, ...]
    warnings: tuple[str, ...]


def read_exposures(path: Path, options: CalibrateOptions) -> Exposures:
    """Exposures in planar NM files, or (source "point") in the projections of a TOMO scan.

    Raises
    ------
    InputError, TimeError, DicomError
        If something is missing or contradicts the file.
    GeometryError
        If the circle about the source does not fit the field.
    """
    from hepatica.io.dicom.scan import scan
    from hepatica.io.dicom.series import SeriesKind
    from hepatica.io.itk import is_itk_file

    tomo = not is_itk_file(path) and bool(scan(path).of_kind(SeriesKind.NM_PROJECTIONS))
    if tomo and options.source != "point":
        raise InputError(f"{path}: holds projections of a tomographic scan; only a point source is calibrated in them")
    return _tomo(path, options) if tomo else _planar(path, options)


def _tomo(path: Path, options: CalibrateOptions) -> Exposures:
    """Each view of a point source in air is an exposure of one head."""
    if options.blank is not None or options.roi_mm is not None:
        raise InputError("--blank and --roi are for planar images; of a tomographic scan the whole field is taken")
    # The radius plays no part here.
    file = read_projections(path, radius_mm=None)
    data = file.projections
    name = options.nuclide or data.nuclide
    if name is None:
        raise InputError(f"{path}: names no nuclide; state it with --nuclide")
    if data.start is None:
        raise TimeError(f"{path}: AcquisitionDate and AcquisitionTime are missing: it has no instant")
    wanted = None if options.energy_window is None else f"#{options.energy_window}"
    main = main_windows(data, nuclide(name), wanted)[0]
    assert data.view_start_s is not None
    exposures = tuple(
        Exposure(
            float(data.counts[main, view].sum(dtype=np.float64)),
            data.view_s,
            data.start + timedelta(seconds=float(data.view_start_s[view])),
            all_counts=float(data.counts[:, view].sum(dtype=np.float64)),
            name=f"view {view + 1}",
        )
        for view in range(data.orbit.views)
    )
    window = data.windows[main]
    conditions = Conditions(nuclide(name).name, options.camera, (window.low_kev, window.high_kev))
    return Exposures(exposures, conditions, (file.source,), tuple(map(str, file.messages)))


def _planar(path: Path, options: CalibrateOptions) -> Exposures:
    """Each view of a planar file is an exposure of one head."""
    files = read_planar([path], unit=options.unit, energy_window=options.energy_window)
    paths = [] if options.blank is None else [options.blank]
    blank = read_planar(paths, unit=options.unit, energy_window=options.energy_window)
    views = [view for file in files for view in file.views]
    without = [view for file in blank for view in file.views]
    if blank and len(without) != len(views):
        raise InputError(f"{options.blank}: holds {len(without)} views, {path} {len(views)}; give the same views")
    facts = files[0].image.acquisition
    name = options.nuclide or facts.nuclide
    if name is None:
        raise InputError(f"{path}: names no nuclide; state it with --nuclide")
    files[0].image.require_nuclide(nuclide(name).name)
    exposures = tuple(
        _exposure(view, without[number] if blank else None, f"view {number + 1}", options)
        for number, view in enumerate(views)
    )
    windows, chosen = facts.energy_windows_kev, options.energy_window or 1
    window = windows[chosen - 1] if chosen <= len(windows) else None
    return Exposures(
        exposures,
        Conditions(nuclide(name).name, options.camera, window),
        tuple(file.image.source for file in (*files, *blank)),
        tuple(str(message) for file in (*files, *blank) for message in file.image.messages),
    )


def _exposure(view: PlanarView, blank: PlanarView | None, name: str, options: CalibrateOptions) -> Exposure:
    duration, start = view.duration_s or options.duration_s, view.image.time or options.at
    if duration is None or start is None:
        raise TimeError(
            f"{name}: the file does not say when it began or how long it took; state --at, --frame-duration"
        )
    if blank is not None and blank.image.grid.shape != view.image.grid.shape:
        raise GeometryError(f"{options.blank}: {name} has another matrix than that of the source")
    inside = _circle(view.image, options.roi_mm)
    return Exposure(
        float(view.image.values[inside].sum(dtype=np.float64)),
        duration,
        start,
        0.0 if blank is None else float(blank.image.values[inside].sum(dtype=np.float64)),
        0.0 if blank is None else (blank.duration_s or duration),
        all_counts=float(view.image.values.sum(dtype=np.float64)),
        name=name,
    )


def _circle(image: Volume, diameter_mm: float | None) -> NDArray[np.bool_]:
    """Pixels within a circle about the centre of the counts; all of them without a diameter."""
    if diameter_mm is None:
        return np.ones(image.grid.shape, dtype=bool)
    hot = image.values > HOT * float(image.values.max())
    index = np.argwhere(hot)
    centre = np.average(index, axis=0, weights=image.values[hot].astype(float))
    every = np.stack(np.meshgrid(*(np.arange(n) for n in image.grid.shape), indexing="ij"), axis=-1)
    away = np.linalg.norm((every - centre)[..., :2] * image.grid.spacing_mm[:2], axis=-1)
    inside = away <= diameter_mm / 2
    edge = (np.asarray(image.grid.shape[:2]) - 1) * image.grid.spacing_mm[:2]
    at = centre[:2] * image.grid.spacing_mm[:2]
    if (at - diameter_mm / 2 < 0).any() or (at + diameter_mm / 2 > edge).any():
        raise GeometryError(f"the circle of {diameter_mm:g} mm about the source reaches beyond the field of view")
    return np.asarray(inside)
