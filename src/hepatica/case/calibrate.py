"""Calibration on files: a camera factor or a recovery curve from images of a known source, written as JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from hepatica.anatomy.phantoms import nema_phantom, water_cylinder
from hepatica.anatomy.solids import Ball, Point, sampled
from hepatica.core import Estimate, Kind, Provenance, Region, Volume, decay_factor, seconds_between
from hepatica.errors import GeometryError, InputError, TimeError, UnitError, UnknownNameError
from hepatica.imaging.calibrate import (
    CameraCalibration,
    DeadTime,
    Exposure,
    KnownActivity,
    ReconstructedSource,
    calibrate_exposures,
    calibrate_known_activity,
    calibrate_reconstruction,
)
from hepatica.imaging.conditions import Conditions
from hepatica.imaging.quantify import Administration, activity_by_camera_factor
from hepatica.imaging.recovery import Filling, RecoveryCurve, fit_recovery, measure_recovery
from hepatica.io.files import output_folder
from hepatica.io.image import Image, Stated
from hepatica.nuclides import Nuclide, nuclide

Tell = Callable[[str], None]
CalibrationKind = Literal["planar", "point", "sphere", "cylinder", "nema", "patient"]

RECONSTRUCTION_SETTINGS = ("method", "iterations", "subsets", "prior_strength", "scatter", "post_filter_mm")
"""Settings of `hepatica reconstruct` on which factor and recovery depend."""

HOT = 0.5
"""A source is looked for among voxels above this share of the highest."""


def _silent(step: str) -> None:
    """No progress."""


@dataclass(frozen=True, slots=True)
class CalibrateOptions:
    """What the source is, and what the files do not say.

    Attributes
    ----------
    source : {"planar", "point", "sphere", "cylinder", "nema", "patient"}
        Dish in air, point in air (planar or TOMO), sphere or cylinder in water (reconstructed), NEMA spheres
        (reconstructed: recovery), or the patient's own image of known activity.
    nuclide : str or None
        Where the file does not name it.
    activity_bq, activity_relative_sd, activity_at
        Of the source ("patient": administered), of the meter, and when it was measured.
    residual_bq, residual_at
        Left in the syringe, and when that was measured.
    clock_sd_s : float
        Uncertainty of the time between activity meter and camera.
    concentration_bq_ml, background_bq_ml : float or None
        "nema": in the spheres and around them, at `activity_at`.
    regions : Path or None
        Structures drawn on the image ("sphere 10 mm", ..., "background") instead of a phantom at `centre_mm`.
    centre_mm : tuple of float or None
        Middle of sphere, cylinder or ring of spheres, LPS; of a sphere or cylinder found from the counts if not given.
    diameter_mm, length_mm : float or None
        Of sphere or cylinder.
    margin_mm : float
        "sphere": counts are taken so far beyond its surface. "cylinder", "nema": the inside keeps so far from walls.
    shell : bool
        "sphere": subtract the background in a shell outside the margin.
    volume_ml, volume_relative_sd
        "cylinder": of the liquid; by default from its size.
    blank : Path or None
        "planar", "point": the same view without the source.
    roi_mm : float or None
        "planar", "point": diameter of the circle about the centre of the counts; the whole field by default.
    energy_window : int or None
        Which of several, from 1.
    duration_s, head_time_s : float or None
        Of a planar exposure; of all views of all heads of a SPECT added up.
    heads : int
        Heads that count at once.
    camera : str or None
        Camera with its collimator, for what the result will hold.
    unit, at
        Of a NIfTI or MetaImage.
    dead_time : DeadTime or None
        Of a head, for exposures.
    calibration : CameraCalibration or None
        "nema": turns counts to becquerels.
    lung_shunt, outside : float
        "patient": shares of the activity that the image does not show.
    """

    source: CalibrationKind
    nuclide: str | None = None
    activity_bq: float | None = None
    activity_relative_sd: float | None = None
    activity_at: datetime | None = None
    residual_bq: float = 0.0
    residual_at: datetime | None = None
    clock_sd_s: float = 0.0
    concentration_bq_ml: float | None = None
    background_bq_ml: float = 0.0
    regions: Path | None = None
    centre_mm: Point | None = None
    diameter_mm: float | None = None
    length_mm: float | None = None
    margin_mm: float = 20.0
    shell: bool = False
    volume_ml: float | None = None
    volume_relative_sd: float | None = None
    blank: Path | None = None
    roi_mm: float | None = None
    energy_window: int | None = None
    duration_s: float | None = None
    head_time_s: float | None = None
    heads: int = 1
    camera: str | None = None
    unit: str | None = None
    at: datetime | None = None
    dead_time: DeadTime | None = None
    calibration: CameraCalibration | None = None
    lung_shunt: float = 0.0
    outside: float = 0.0

    def __post_init__(self) -> None:
        if self.source not in get_args(CalibrationKind):
            raise UnknownNameError("calibration source", self.source, get_args(CalibrationKind))
        needed = "concentration_bq_ml" if self.source == "nema" else "activity_bq"
        if getattr(self, needed) is None or self.activity_at is None:
            word = "--concentration" if self.source == "nema" else "--activity"
            raise InputError(f"source {self.source} needs {word} and --activity-at")
        for name in ("activity_bq", "concentration_bq_ml", "diameter_mm", "length_mm", "volume_ml", "roi_mm",
                     "duration_s", "head_time_s"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"{name} must be positive, not {value}")
        if self.margin_mm < 0 or self.background_bq_ml < 0:
            raise InputError("margin and background cannot be negative")


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
                from hepatica.report.calibration_figures import draw_recovery
                from hepatica.report.outcome_figures import save

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


def load_calibration(path: Path | str) -> CameraCalibration:
    """Camera calibration from a JSON or TOML file; InputError, naming the file, if it is none."""
    return _load(Path(path), CameraCalibration.from_dict)


def load_recovery(path: Path | str) -> RecoveryCurve:
    """Recovery curve from a JSON or TOML file; InputError, naming the file, if it is none."""
    return _load(Path(path), RecoveryCurve.from_dict)


def conditions_of(image: Image, *, nuclide_name: str | None = None, camera: str | None = None) -> Conditions:
    """Under which conditions an image was made, as far as its file, or ``result.json`` beside it, says."""
    facts = image.acquisition
    beside = reconstruction_facts(Path(image.source.path))
    parameters = (beside.get("provenance") or {}).get("parameters") or {}
    window = beside.get("window_kev") or (facts.energy_windows_kev[0] if len(facts.energy_windows_kev) == 1 else None)
    name = nuclide_name or facts.nuclide or beside.get("nuclide")
    if name is None:
        raise InputError(f"{image.source.path}: names no nuclide; state it with --nuclide")
    made_by = (parameters.get("camera") or {}).get("name")
    if camera is not None and made_by is not None and camera != made_by:
        raise InputError(f"{image.source.path} was reconstructed for camera {made_by}, stated is {camera}")
    return Conditions(
        nuclide(name).name,
        camera or made_by,
        None if window is None else (float(window[0]), float(window[1])),
        image.grid.spacing_mm,
        {key: parameters[key] for key in RECONSTRUCTION_SETTINGS if key in parameters},
    )


def reconstruction_facts(path: Path) -> Mapping[str, Any]:
    """What ``hepatica reconstruct`` wrote beside an image (``result.json``); empty if there is no such file."""
    file = (path if path.is_dir() else path.parent) / "result.json"
    if not file.is_file():
        return {}
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from error
    return facts if isinstance(facts, dict) and "head_time_s" in facts else {}


# ---------------------------------------------------------------------------------------------------------------------
# Exposures


def _from_exposures(path: Path, options: CalibrateOptions) -> CalibrateResult:
    from hepatica.io.dicom.scan import scan
    from hepatica.io.dicom.series import SeriesKind
    from hepatica.io.itk import is_itk_file

    found = None if is_itk_file(path) else scan(path)
    tomo = found is not None and bool(found.of_kind(SeriesKind.NM_PROJECTIONS))
    if tomo and options.source != "point":
        raise InputError(f"{path}: holds projections of a tomographic scan; only a point source is calibrated in them")
    exposures, conditions, sources, warnings = (_tomo if tomo else _planar)(path, options)
    known = _known(options, nuclide(conditions.nuclide))
    assert options.source in ("planar", "point")
    made = calibrate_exposures(
        exposures, known, source=options.source, conditions=conditions, dead_time=options.dead_time,
        heads=options.heads,
    )  # fmt: skip
    return CalibrateResult(made, None, _provenance(sources, options), (*warnings, *made.warnings))


def _tomo(path: Path, options: CalibrateOptions) -> tuple[list[Exposure], Conditions, tuple[Any, ...], list[str]]:
    """Each view of a point source in air is an exposure of one head."""
    from hepatica.case.spect_reconstruct import main_window
    from hepatica.io.dicom.projections import read_projections

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
    main = main_window(data, nuclide(name), options.energy_window)
    assert data.view_start_s is not None
    exposures = [
        Exposure(
            float(data.counts[main, view].sum(dtype=np.float64)),
            data.view_s,
            data.start + timedelta(seconds=float(data.view_start_s[view])),
            all_counts=float(data.counts[:, view].sum(dtype=np.float64)),
            name=f"view {view + 1}",
        )
        for view in range(data.orbit.views)
    ]
    window = data.windows[main]
    conditions = Conditions(nuclide(name).name, options.camera, (window.low_kev, window.high_kev))
    return exposures, conditions, (file.source,), list(file.warnings)


def _planar(path: Path, options: CalibrateOptions) -> tuple[list[Exposure], Conditions, tuple[Any, ...], list[str]]:
    from hepatica.io.dicom.planar import read_planar

    files = read_planar([path], unit=options.unit, energy_window=options.energy_window)
    blank = [] if options.blank is None else read_planar(
        [options.blank], unit=options.unit, energy_window=options.energy_window
    )  # fmt: skip
    views = [(file, view) for file in files for view in file.views]
    without = [(file, view) for file in blank for view in file.views]
    if without and len(without) != len(views):
        raise InputError(f"{options.blank}: holds {len(without)} views, {path} {len(views)}; give the same views")
    facts = files[0].image.acquisition
    name = options.nuclide or facts.nuclide
    if name is None:
        raise InputError(f"{path}: names no nuclide; state it with --nuclide")
    files[0].image.require_nuclide(nuclide(name).name)
    exposures = []
    for number, (_, view) in enumerate(views):
        duration = view.duration_s or options.duration_s
        start = view.image.time or options.at
        if duration is None or start is None:
            raise TimeError(f"{path}: start or duration is missing; state them with --at and --frame-duration")
        circle = _circle(view.image, options.roi_mm)
        other = without[number][1] if without else None
        if other is not None and other.image.grid.shape != view.image.grid.shape:
            raise GeometryError(f"{options.blank}: its matrix differs from that of {path}")
        exposures.append(
            Exposure(
                float(view.image.values[circle].sum(dtype=np.float64)),
                duration,
                start,
                0.0 if other is None else float(other.image.values[circle].sum(dtype=np.float64)),
                0.0 if other is None else (other.duration_s or duration),
                name=f"view {number + 1}",
            )
        )
    windows = facts.energy_windows_kev
    chosen = options.energy_window or 1
    window = windows[chosen - 1] if chosen <= len(windows) else None
    sources = tuple(file.image.source for file in (*files, *blank))
    warnings = [warning for file in (*files, *blank) for warning in file.image.warnings]
    return exposures, Conditions(nuclide(name).name, options.camera, window), sources, warnings


def _circle(image: Volume, diameter_mm: float | None) -> Any:
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
    return inside


# ---------------------------------------------------------------------------------------------------------------------
# Reconstructions


@dataclass(frozen=True, slots=True, eq=False)
class _Spect:
    """A reconstructed image with what calibration needs to know of it."""

    image: Image
    head_time_s: float | None
    warnings: tuple[str, ...] = field(default=())


def _spect(path: Path, options: CalibrateOptions) -> tuple[_Spect, Conditions]:
    from hepatica.io.read import read_image

    facts = reconstruction_facts(path)
    file = path / "spect.dcm" if path.is_dir() and facts else path
    stated = Stated(unit=options.unit, time=options.at, nuclide=None if options.nuclide is None else nuclide(options.nuclide).name)
    image = read_image(file, role="activity", stated=stated)
    conditions = conditions_of(image, nuclide_name=options.nuclide, camera=options.camera)
    return _Spect(image, options.head_time_s or facts.get("head_time_s")), conditions


def _from_reconstruction(
    seen: _Spect, conditions: Conditions, chosen: Nuclide, options: CalibrateOptions
) -> CalibrateResult:
    image = seen.image
    if image.volume.kind is not Kind.COUNTS:
        raise UnitError(
            f"{image.source.path}: holds {image.volume.kind.meaning}; a camera factor is measured on an image in counts "
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
            _with_sd(options.activity_bq, options.activity_relative_sd),
            options.activity_at,
            residual_fraction=Estimate(options.residual_bq / options.activity_bq, 0.0),
            lung_shunt_fraction=Estimate(options.lung_shunt, 0.0),
            outside_fraction=Estimate(options.outside, 0.0),
        )
        made = calibrate_known_activity(source, given, half_life=chosen.half_life, conditions=conditions)
    else:
        assert options.source in ("sphere", "cylinder")
        known = _known(options, chosen)
        made = calibrate_reconstruction(source, known, source=options.source, conditions=conditions)
    return CalibrateResult(
        made, None, _provenance((image.source,), options), (*image.warnings, *seen.warnings, *made.warnings)
    )


def _regions(image: Image, options: CalibrateOptions) -> tuple[Region | None, Region | None, Estimate | None]:
    """Region of the source, of the background, and the volume of a cylinder's liquid."""
    if options.source == "patient":
        return None, None, None
    grid = image.grid
    if options.diameter_mm is None or (options.source == "cylinder" and options.length_mm is None):
        raise InputError(f"source {options.source} needs --diameter" + (" and --length" if options.source == "cylinder" else ""))
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
    return phantom.regions["core"], None, _with_sd(float(volume), options.volume_relative_sd)


def _found_centre(volume: Volume) -> Point:
    """Centre of the counts above half the highest."""
    hot = volume.values > HOT * float(np.percentile(volume.values, 99.9))
    x, y, z = np.average(volume.grid.to_mm(np.argwhere(hot)), axis=0, weights=volume.values[hot].astype(float)).tolist()
    return x, y, z


def _recovery(seen: _Spect, conditions: Conditions, chosen: Nuclide, options: CalibrateOptions) -> CalibrateResult:
    image, warnings = seen.image, [*seen.image.warnings, *seen.warnings]
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
    decay = decay_factor(seconds_between(options.activity_at, volume.time), chosen.half_life_s)
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
            raise InputError("source nema needs --centre (where the insert's axis meets the spheres' plane) or --regions")
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
    import re

    match = re.search(r"sphere\D*(\d+(?:\.\d+)?)", name, re.IGNORECASE)
    return None if match is None else float(match.group(1))


# ---------------------------------------------------------------------------------------------------------------------


def _known(options: CalibrateOptions, chosen: Nuclide) -> KnownActivity:
    assert options.activity_bq is not None
    assert options.activity_at is not None
    return KnownActivity(
        _with_sd(options.activity_bq, options.activity_relative_sd),
        options.activity_at,
        chosen.half_life,
        options.residual_bq,
        options.residual_at,
        options.clock_sd_s,
    )


def _with_sd(value: float, relative_sd: float | None) -> Estimate:
    return Estimate(value, None if relative_sd is None else value * relative_sd)


def _provenance(sources: tuple[Any, ...], options: CalibrateOptions) -> Provenance:
    said = {
        name: getattr(options, name)
        for name in ("source", "activity_bq", "activity_relative_sd", "residual_bq", "concentration_bq_ml",
                     "background_bq_ml", "centre_mm", "diameter_mm", "length_mm", "margin_mm", "heads")
    }  # fmt: skip
    when = {} if options.activity_at is None else {"activity_at": options.activity_at.isoformat()}
    given = {name: value for name, value in said.items() if value not in (None, 0.0)}
    return Provenance(inputs=sources, parameters=given | when, tables={"nuclide": "ENSDF through paceENSDF 0.6.3"})


def _load[T](path: Path, make: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    try:
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: is neither JSON nor TOML ({error})") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: holds no table of values")
    try:
        return make(data)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
