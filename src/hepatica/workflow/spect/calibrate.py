"""Calibration on files: a camera factor or a recovery curve from images of a known source, written as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.anatomy.phantoms.objects import nema_phantom, water_cylinder
from hepatica.anatomy.phantoms.solids import Ball, Point, sampled
from hepatica.core import Estimate, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.image import Image, Stated
from hepatica.errors import InputError, TimeError, UnitError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.activity import Administration, activity_by_camera_factor
from hepatica.imaging.quantify.camera_factor import (
    CameraCalibration,
    ReconstructedSource,
    calibrate_exposures,
    calibrate_known_activity,
    calibrate_reconstruction,
    decay_within_reason,
)
from hepatica.imaging.quantify.recovery import Filling, RecoveryCurve, fit_recovery, measure_recovery
from hepatica.io.files import output_folder
from hepatica.io.read import read_image
from hepatica.nuclides import Nuclide, nuclide
from hepatica.workflow.dose.calibration_files import conditions_of, reconstruction_facts
from hepatica.workflow.spect.calibration_exposures import read_exposures
from hepatica.workflow.spect.calibration_options import CalibrateOptions, with_sd

Tell = Callable[[str], None]


HOT = 0.5
"""A source is looked for among voxels above this share of the highest."""


def _silent(step: str) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True, eq=False)
class CalibrateResult:
    """A camera factor or a recovery curve, and where it comes from."""

    calibration: CameraCalibration | None
    curve: RecoveryCurve | None
    provenance: Provenance
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What is written to calibration.json or recovery.json."""
        value = self.calibration or self.curve
        assert value is not None
        return value.as_dict() | {"warnings": list(self.warnings), "provenance": self.provenance.as_dict()}

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write ``calibration.json``, or ``recovery.json`` and ``recovery.png``; returns the JSON file.

        Raises
        ------
        OutputError
            If the folder exists and is not empty (without `force`), or cannot be written.
        """
        name = "calibration.json" if self.calibration is not None else "recovery.json"
        with output_folder(folder, force=force) as new:
            (new / name).write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")
            if self.curve is not None:
                from hepatica.report.figures.calibration import draw_recovery
                from hepatica.report.figures.outcome import save

                save(draw_recovery(self.curve), new / "recovery.png")
        return Path(folder) / name


def calibrate_files(image: Path | str, options: CalibrateOptions, *, tell: Tell = _silent) -> CalibrateResult:
    """Camera factor or recovery curve from files.

    Parameters
    ----------
    image : path
        Planar NM or NM TOMO ("planar", "point"), or a reconstructed SPECT: DICOM, NIfTI, or a folder that ``hepatica
        reconstruct`` wrote.
    options : CalibrateOptions
        The source and what the files do not say.
    tell : callable
        Told each step.

    Raises
    ------
    InputError, UnitError, TimeError, DicomError
        If something is missing, impossible or contradicts the file.
    GeometryError
        If the phantom does not lie in the image.
    """
    path = Path(image)
    tell("reading")
    if options.source in ("planar", "point"):
        return _from_exposures(path, options)
    seen, conditions = _spect(path, options)
    chosen = nuclide(conditions.nuclide)
    tell("measuring")
    if options.source == "nema":
        return _recovery(seen, conditions, chosen, options)
    return _from_reconstruction(seen, conditions, chosen, options)


# ---------------------------------------------------------------------------------------------------------------------
# Reconstructions


def _from_exposures(path: Path, options: CalibrateOptions) -> CalibrateResult:
    read = read_exposures(path, options)
    assert options.source in ("planar", "point")
    made = calibrate_exposures(
        read.exposures, options.known(nuclide(read.conditions.nuclide)), source=options.source,
        conditions=read.conditions, dead_time=options.dead_time, heads=options.heads,
    )  # fmt: skip
    return CalibrateResult(made, None, _provenance(read.sources, options), (*read.warnings, *made.warnings))


@dataclass(frozen=True, slots=True, eq=False)
class _Spect:
    """A reconstructed image with what calibration needs to know of it."""

    image: Image
    head_time_s: float | None


def _spect(path: Path, options: CalibrateOptions) -> tuple[_Spect, Conditions]:
    facts = reconstruction_facts(path)
    file = path / "spect.dcm" if path.is_dir() and facts else path
    stated = Stated(
        unit=options.unit, time=options.at, nuclide=None if options.nuclide is None else nuclide(options.nuclide).name
    )
    image = read_image(file, role="activity", stated=stated)
    conditions = conditions_of(image, nuclide_name=options.nuclide, camera=options.camera)
    return _Spect(image, options.head_time_s or facts.get("head_time_s")), conditions


def _from_reconstruction(
    seen: _Spect, conditions: Conditions, chosen: Nuclide, options: CalibrateOptions
) -> CalibrateResult:
    image = seen.image
    if image.volume.kind is not Kind.COUNTS:
        raise UnitError(
            f"{image.source.path}: holds {image.volume.kind.meaning}; a camera factor is measured on counts "
            "(hepatica reconstruct without --sensitivity)"
        )
    if seen.head_time_s is None:
        raise InputError(
            f"{image.source.path}: does not say how long all views of all heads took; state it with --head-time"
        )
    region, background, volume = _regions(image, options)
    source = ReconstructedSource(
        image.volume,
        seen.head_time_s,
        decay_corrected=image.acquisition.decay_correction == "START",
        region=region,
        background=background,
        volume_ml=volume,
        heads=options.heads,
    )
    if image.acquisition.decay_correction == "ADMIN":
        raise TimeError(f"{image.source.path}: is decay-corrected to the administration; reconstruct it without")
    if options.source == "patient":
        assert options.activity_bq is not None
        given = Administration(
            with_sd(options.activity_bq, options.activity_relative_sd),
            options.activity_at,
            residual_fraction=Estimate(options.residual_bq / options.activity_bq, 0.0),
            lung_shunt_fraction=Estimate(options.lung_shunt, 0.0),
            outside_fraction=Estimate(options.outside, 0.0),
        )
        made = calibrate_known_activity(source, given, half_life=chosen.half_life, conditions=conditions)
    else:
        assert options.source in ("sphere", "cylinder")
        known = options.known(chosen)
        made = calibrate_reconstruction(source, known, source=options.source, conditions=conditions)
    notes = (*map(str, image.messages), *made.warnings)
    return CalibrateResult(made, None, _provenance((image.source,), options), notes)


def _regions(image: Image, options: CalibrateOptions) -> tuple[Region | None, Region | None, Estimate | None]:
    """Region of the source, of the background, and the volume of a cylinder's liquid."""
    if options.source == "patient":
        return None, None, None
    grid = image.grid
    if options.diameter_mm is None or (options.source == "cylinder" and options.length_mm is None):
        raise InputError(f"source {options.source} needs --diameter (and a cylinder --length)")
    centre = options.centre_mm or _found_centre(image.volume)
    if options.source == "sphere":
        around = sampled("sphere with margin", Ball(centre, options.diameter_mm + 2 * options.margin_mm), grid)
        if not options.shell:
            return around, None, None
        outer = sampled("shell", Ball(centre, options.diameter_mm + 4 * options.margin_mm), grid)
        return around, (outer - around).renamed("shell"), None
    assert options.length_mm is not None
    phantom = water_cylinder(
        grid, diameter_mm=options.diameter_mm, length_mm=options.length_mm, centre_mm=centre, wall_mm=0.0,
        clearance_mm=options.margin_mm,
    )  # fmt: skip
    if "core" not in phantom.regions:
        raise InputError(f"nothing of the cylinder lies farther than {options.margin_mm:g} mm from its surface")
    volume = options.volume_ml or np.pi / 4 * options.diameter_mm**2 * options.length_mm / 1000
    return phantom.regions["core"], None, with_sd(float(volume), options.volume_relative_sd)


def _found_centre(volume: Volume) -> Point:
    """Centre of the counts above half the highest."""
    hot = volume.values > HOT * float(np.percentile(volume.values, 99.9))
    x, y, z = np.average(volume.grid.to_mm(np.argwhere(hot)), axis=0, weights=volume.values[hot].astype(float)).tolist()
    return x, y, z


def _recovery(seen: _Spect, conditions: Conditions, chosen: Nuclide, options: CalibrateOptions) -> CalibrateResult:
    image, warnings = seen.image, [*map(str, seen.image.messages)]
    volume = image.volume
    if volume.kind is Kind.COUNTS:
        if options.calibration is None:
            raise UnitError(f"{image.source.path}: is in counts; give the camera factor with --calibration")
        if seen.head_time_s is None:
            raise InputError(f"{image.source.path}: does not say how long all views took; state it with --head-time")
        warnings += options.calibration.conditions.require_fit(conditions, "the camera factor")
        volume = activity_by_camera_factor(
            volume, options.calibration.factor, half_life_s=chosen.half_life_s, frame_duration_s=seen.head_time_s,
            decay_corrected=image.acquisition.decay_correction == "START",
        ).activity  # fmt: skip
    elif options.calibration is not None:
        raise UnitError(f"{image.source.path}: is in {volume.kind.unit} already; a camera factor does not apply")
    if volume.time is None:
        raise TimeError(f"{image.source.path}: refers to no instant; state it with --at")
    assert options.activity_at is not None
    assert options.concentration_bq_ml is not None
    decay = decay_within_reason(options.activity_at, volume.time, chosen.half_life_s)
    spheres, diameters, background = _spheres(image, options)
    filling = Filling(
        spheres,
        diameters,
        dict.fromkeys(spheres, options.concentration_bq_ml * decay),
        background if options.background_bq_ml else None,
        options.background_bq_ml * decay,
    )
    found, level = measure_recovery(volume, filling)
    curve = fit_recovery(found, conditions, background_recovery=level, source=image.source.path)
    return CalibrateResult(None, curve, _provenance((image.source,), options), tuple(warnings))


def _spheres(image: Image, options: CalibrateOptions) -> tuple[dict[str, Region], dict[str, float], Region | None]:
    """Spheres with their diameters, and background: drawn structures, or the standard phantom at a place."""
    if options.regions is None:
        if options.centre_mm is None:
            raise InputError(
                "source nema needs --centre (where the insert's axis meets the spheres' plane) or --regions"
            )
        phantom = nema_phantom(image.grid, centre_mm=options.centre_mm, clearance_mm=options.margin_mm)
        names = phantom.sphere_diameters_mm
        return {name: phantom.regions[name] for name in names}, dict(names), phantom.regions["core"]
    from hepatica.io.regions import read_structures

    drawn = {region.name: region for region in read_structures(options.regions, image).regions}
    spheres, diameters = {}, {}
    for name, region in drawn.items():
        if (diameter := _diameter_in(name)) is not None:
            spheres[name], diameters[name] = region, diameter
    if not spheres:
        raise InputError(f"{options.regions}: no structure is named like 'sphere 22 mm'; there are {', '.join(drawn)}")
    background = next((region for name, region in drawn.items() if name.lower().startswith("background")), None)
    if options.background_bq_ml and background is None:
        raise InputError(f"{options.regions}: a warm background needs a structure named 'background'")
    return spheres, diameters, background


def _diameter_in(name: str) -> float | None:
    match = re.search(r"sphere\D*(\d+(?:\.\d+)?)", name, re.IGNORECASE)
    return None if match is None else float(match.group(1))


# ---------------------------------------------------------------------------------------------------------------------


def _provenance(sources: tuple[InputFile, ...], options: CalibrateOptions) -> Provenance:
    said = {
        name: getattr(options, name)
        for name in ("source", "activity_bq", "activity_relative_sd", "residual_bq", "concentration_bq_ml",
                     "background_bq_ml", "centre_mm", "diameter_mm", "length_mm", "margin_mm", "heads")
    }  # fmt: skip
    when = {} if options.activity_at is None else {"activity_at": options.activity_at.isoformat()}
    given = {name: value for name, value in said.items() if value not in (None, 0.0)}
    return Provenance(inputs=sources, parameters=given | when, tables={"nuclide": "ENSDF through paceENSDF 0.6.3"})
