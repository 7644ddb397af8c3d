"""The main job: from the images of a treated patient to absorbed dose, region by region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hepatica.core import Grid, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.image import Image, Stated
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.dosimetry.engines.registry import DoseEngine, DoseMap, dose_engine
from hepatica.dosimetry.metrics.region_dose import region_dose
from hepatica.errors import GeometryError, InputError
from hepatica.io.read import read_image
from hepatica.nuclides import Nuclide
from hepatica.nuclides import agent as find_agent
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.transport.matter.media import calibration_warnings, default_calibration
from hepatica.transport.runner.stopping import RunProgress
from hepatica.workflow.dose.decays import DecayCount, decays_from
from hepatica.workflow.dose.dose_grid import decays_on, density_on, dose_grid
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.region_activity import region_activities, yang_corrected
from hepatica.workflow.dose.result import DoseResult
from hepatica.workflow.dose.structures import StructureSet, structures_on

Progress = Callable[[str], None]
Source = Path | str | Image

ACTIVITY_KINDS = (Kind.DECAYS, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION, Kind.COUNTS, Kind.COUNT_RATE)


def absorbed_dose(
    activity: Source | Sequence[Source],
    *,
    ct: Source,
    nuclide: str,
    regions: Path | str | Sequence[Region] | None = None,
    method: str = "kernel",
    options: DoseOptions | None = None,
    progress: Progress | None = None,
    **said: Any,
) -> DoseResult:
    """Absorbed dose in every voxel and every structure of a treated patient.

    Parameters
    ----------
    activity : path, Image, or a sequence of them
        PET or SPECT after treatment (DICOM file or folder, NIfTI, MetaImage); several for several time points.
    ct : path or Image
        CT in the same frame of reference.
    nuclide : str
        For example "Y-90".
    regions : path, sequence of Region, or None
        RTSTRUCT, SEG or label map; None: body and lungs from the CT.
    method : str
        Dose engine by name ("kernel", "local", ...).
    options : DoseOptions, optional
        What else there is to say.
    progress : callable, optional
        Called with one sentence at each step.
    **said : Any
        Fields of `DoseOptions`, for short: ``absorbed_dose(..., administered_bq=2.1e9)``.

    Returns
    -------
    DoseResult
        Dose map, metrics of each region, warnings, provenance; ``save(folder)`` writes it all.

    Raises
    ------
    HepaticaError
        InputError, UnitError, TimeError or DicomError where an input is missing, damaged or contradictory;
        GeometryError where images or structures do not lie together; UnknownNameError for nuclide or method.
    """
    options = replace(options or DoseOptions(), **said)
    tell: Progress = progress or (lambda _: None)
    chosen = find_nuclide(nuclide)
    engine = _engine(method, options, tell)
    if options.agent is not None:
        find_agent(options.agent)
    sources: Sequence[Source] = [activity] if isinstance(activity, (str, Path, Image)) else activity
    if not sources:
        raise InputError("no activity image was given")

    tell("reading images")
    images = [_read_activity(source, n, chosen, options) for n, source in enumerate(sources)]
    ct_image = _read_ct(ct, options)
    unchecked = _require_together([*images, ct_image], registered=options.registered)

    tell("activity to decays")
    count = decays_from(images, chosen, options)
    seen = _moved(count.decays, ct_image.grid)
    corrected, correction = _corrected(seen, regions, ct_image, options, tell)
    grid = dose_grid(seen.grid, ct_image.grid, options.grid)
    decays, outside = decays_on(grid, corrected)
    calibration = options.calibration_table()
    density = density_on(grid, ct_image.volume, calibration)

    tell("structures")
    structures = structures_on(grid, regions, ct_image, options)

    tell(f"dose by {method}")
    dose_map = engine.compute(decays, density, chosen, options.settings)

    tell("dose in structures")
    doses = tuple(region_dose(dose_map, region, bin_gy=options.bin_gy) for region in structures.regions)
    activities, chain, chain_warnings = region_activities(
        seen, corrected, structures.clinical, images, ct_image, count, chosen, options
    )
    warnings = (
        *(str(message) for image in (*images, ct_image) for message in image.messages),
        *unchecked,
        *count.warnings,
        *correction.warnings,
        *chain_warnings,
        *outside,
        *calibration_warnings(ct_image.volume, calibration),
        *structures.warnings,
        *dose_map.warnings,
    )
    history = _history(images, ct_image, count, structures, dose_map, options)
    steps = correction.provenance.merged(chain).adding(inputs=_curve_files(options))
    return DoseResult(
        dose_map=replace(dose_map, provenance=history.merged(steps)),
        activity=tuple(images),
        ct=ct_image,
        structures=structures,
        region_doses=doses,
        quantified=count,
        options=options,
        warnings=tuple(dict.fromkeys(warnings)),
        region_activities=activities,
    )


@dataclass(frozen=True, slots=True)
class _Correction:
    """What a correction of the whole image did."""

    provenance: Provenance = field(default_factory=Provenance)
    warnings: tuple[str, ...] = ()


def _corrected(
    seen: Volume, regions: Path | str | Sequence[Region] | None, ct: Image, options: DoseOptions, tell: Progress
) -> tuple[Volume, _Correction]:
    """Decays after partial-volume correction of the whole image, if one was asked for."""
    if options.pvc != "yang":
        return seen, _Correction()
    tell("partial-volume correction")
    structures = structures_on(seen.grid, regions, ct, options)
    image, steps, warnings = yang_corrected(seen, structures.clinical, options)
    return image, _Correction(steps, warnings)


def _curve_files(options: DoseOptions) -> tuple[InputFile, ...]:
    """Calibration and recovery files, with their hashes."""
    named = (
        ("calibration", options.calibration_file),
        ("recovery", options.recovery_file),
        ("replicates", options.replicates_file),
    )
    return tuple(InputFile.of(role, path) for role, path in named if path is not None)


def _engine(method: str, options: DoseOptions, tell: Progress) -> DoseEngine:
    engine = dose_engine(method)
    if isinstance(engine, MonteCarloEngine):
        return MonteCarloEngine(options.montecarlo, progress=lambda run: tell(_run_state(run)))
    if options.montecarlo is not None:
        raise InputError(f"histories, uncertainty, seed and device belong to the engine montecarlo, not to {method}")
    return engine


def _run_state(run: RunProgress) -> str:
    uncertainty = "" if run.relative_uncertainty is None else f", uncertainty {100 * run.relative_uncertainty:.2g} %"
    return f"montecarlo: {run.histories:.3g} decays, {run.histories_per_s:.3g} a second{uncertainty}"


def _read_activity(source: Source, number: int, nuclide: Nuclide, options: DoseOptions) -> Image:
    if isinstance(source, Image):
        source.volume.require_kind(*ACTIVITY_KINDS)
        return source
    stated = Stated(
        unit=options.activity_unit,
        time=options.at[number] if options.at else None,
        nuclide=nuclide.name,
        override_nuclide=options.accept_nuclide,
        slice_spacing_mm=options.slice_spacing_mm,
    )
    return read_image(source, role="activity", series=options.series, stated=stated)


def _read_ct(source: Source, options: DoseOptions) -> Image:
    return source if isinstance(source, Image) else read_image(source, role="ct", series=options.ct_series)


def _require_together(images: Sequence[Image], *, registered: bool) -> tuple[str, ...]:
    """Same patient, same frame of reference (or the user's word); returns what could not be checked."""
    *rest, ct = images
    warnings = []
    for image in rest:
        name, other = image.source.path, ct.source.path
        ids = [found.context.patient_id for found in (image, ct) if found.context is not None]
        if len(ids) == len((image, ct)) and "" in ids:
            warnings.append(
                f"{name} or {other} has no patient ID: it could not be checked that both are of one patient"
            )
        elif len(set(ids)) > 1:
            raise InputError(
                f"{name} is of patient {ids[0]!r}, {other} of {ids[1]!r}; activity and CT must be of one patient"
            )
        if not registered and not image.grid.shares_frame(ct.grid):
            raise GeometryError(
                f"{name} and {other} have different frames of reference ({image.grid.frame_of_reference} and "
                f"{ct.grid.frame_of_reference}); register them first, or state with --registered that they are"
            )
    return tuple(warnings)


def _in_frame_of(ct: Grid, grid: Grid) -> Grid:
    """The grid in the CT's frame of reference: it was checked, or stated, that both are the same."""
    return grid.with_frame_of_reference(ct.frame_of_reference or grid.frame_of_reference)


def _moved(volume: Volume, ct: Grid) -> Volume:
    return Volume(_in_frame_of(ct, volume.grid), volume.values, volume.kind, volume.time, volume.name)


def _history(
    images: Sequence[Image],
    ct: Image,
    count: DecayCount,
    structures: StructureSet,
    dose_map: DoseMap,
    options: DoseOptions,
) -> Provenance:
    """Inputs and what the user said, then the steps in their order."""
    inputs = tuple(image.source for image in (*images, ct)) + ((structures.source,) if structures.source else ())
    table = options.calibration_table() or default_calibration()
    start = Provenance(
        inputs=inputs,
        parameters=options.as_dict(),
        tables={"HU to density": f"{table.name}: {table.source}", "nuclide": "ENSDF through paceENSDF 0.6.3"},
        steps=tuple(image.acquisition.time_rule for image in images if image.acquisition.time_rule),
    )
    return start.merged(count.provenance).merged(dose_map.provenance)
