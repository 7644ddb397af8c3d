"""The main job: from the images of a treated patient to absorbed dose, structure by structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hepatica.core import Grid, InputFile, Provenance, Volume
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import verb
from hepatica.core.progress import Progress, silent
from hepatica.dosimetry.engines.dose_map import DoseEngine, DoseMap, DoseSettings
from hepatica.dosimetry.engines.montecarlo import DEFAULT_UNCERTAINTY, MonteCarloEngine
from hepatica.dosimetry.engines.registry import dose_engine
from hepatica.dosimetry.metrics.region_dose import RegionDose, region_dose
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.quantify.recovery import RecoveryCurve
from hepatica.imaging.quantify.structure_activity import (
    CorrectedImage,
    PartialVolumeOptions,
    StructureActivities,
    structure_activities,
    yang_corrected,
)
from hepatica.imaging.quantify.uncertainty import OtherUncertainties, Outline
from hepatica.nuclides import Nuclide
from hepatica.nuclides import agent as find_agent
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.transport.matter.media import calibration_messages, default_calibration, density_on
from hepatica.transport.runner.settings import MonteCarloSettings, StoppingOptions
from hepatica.transport.runner.stopping import RunProgress
from hepatica.workflow.dose.calibration_files import conditions_of, load_recovery
from hepatica.workflow.dose.decays import DecayCount, decays_from
from hepatica.workflow.dose.dose_grid import decays_on, dose_grid
from hepatica.workflow.dose.numbers import StructureResult
from hepatica.workflow.dose.options import (
    CtOptions,
    DoseOptions,
    EngineName,
    ImageOptions,
    MonteCarloOptions,
    OutputOptions,
    QuantificationOptions,
    StructureOptions,
    TimeOptions,
)
from hepatica.workflow.dose.replicates import load_replicates
from hepatica.workflow.dose.result import DoseResult
from hepatica.workflow.dose.structures import StructureSet, structures_on
from hepatica.workflow.sources import ImageSource, StructureSource, as_image, as_images


@verb
def absorbed_dose(  # noqa: PLR0913 - one class of options for each step from image to report
    activity: ImageSource | Sequence[ImageSource],
    *,
    ct: ImageSource,
    nuclide: str,
    structures: StructureSource | None = None,
    engine: EngineName = "kernel",
    images: ImageOptions = ImageOptions(),
    scanner: CtOptions = CtOptions(),
    quantification: QuantificationOptions = QuantificationOptions(),
    time: TimeOptions = TimeOptions(),
    partial_volume: PartialVolumeOptions = PartialVolumeOptions(),
    settings: DoseSettings = DoseSettings(),
    stopping: StoppingOptions = StoppingOptions(),
    montecarlo: MonteCarloOptions = MonteCarloOptions(),
    clinical: StructureOptions = StructureOptions(),
    output: OutputOptions = OutputOptions(),
    progress: Progress | None = None,
) -> DoseResult:
    """Absorbed dose in every voxel and every structure of a treated patient.

    Parameters
    ----------
    activity : path, Image, or a sequence of them
        Activity image after treatment: DICOM file or folder (PET, SPECT), NIfTI, MetaImage. Several for time points.
    ct : path or Image
        CT in the same frame of reference: DICOM folder, or NIfTI or MetaImage in HU.
    nuclide : str
        What was administered, such as Y-90.
    structures : path, sequence of Region, or None
        RTSTRUCT, SEG or label map. Without it: body and lungs from the CT.
    engine : {"kernel", "local", "montecarlo"}
        Dose engine.
    images, scanner, quantification, time, partial_volume
        How activity and CT are read, counts become becquerels, becquerels become decays, and blur is undone.
    settings, stopping, montecarlo
        What the dose engine is told.
    clinical, output
        What structures are, and how the dose is written.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    DoseResult
        Dose map, numbers of each structure, messages, provenance; ``save(folder)`` writes it all.

    Raises
    ------
    HepaticaError
        InputError, UnitError, TimeError or DicomError where an input is missing, damaged or contradictory;
        GeometryError where images or structures do not lie together; UnknownNameError for nuclide or agent.

    Examples
    --------
    >>> result = hepatica.absorbed_dose("patient/pet", ct="patient/ct", nuclide="Y-90")  # doctest: +SKIP
    >>> result["liver"].dose_mean_gy  # doctest: +SKIP
    62.1
    """
    options = DoseOptions(
        engine=engine, images=images, scanner=scanner, quantification=quantification, time=time,
        partial_volume=partial_volume, settings=settings, stopping=stopping, montecarlo=montecarlo, clinical=clinical,
        output=output,
    )  # fmt: skip
    return _dose_of(activity, ct, find_nuclide(nuclide), structures, options, progress or silent)


def _dose_of(
    activity: ImageSource | Sequence[ImageSource],
    ct: ImageSource,
    nuclide: Nuclide,
    structures: StructureSource | None,
    options: DoseOptions,
    report_progress: Progress,
) -> DoseResult:
    """The steps in their order: images, decays, voxels and density, structures, dose, numbers."""
    scanner, given = options.scanner, options
    calculation = _engine(options, report_progress)
    if options.clinical.agent is not None:
        find_agent(options.clinical.agent)

    report_progress("reading images")
    scans = read_activity(activity, nuclide, options.images)
    ct_image = as_image(ct, role="ct", series=scanner.ct_series)
    unchecked = require_together([*scans, ct_image], registered=scanner.registered)
    volume, curve_messages = _loaded(options.partial_volume, scans, nuclide)
    options = replace(options, partial_volume=volume)

    report_progress("activity to decays")
    kept = options.settings.negative_decays == "keep"
    count = decays_from(scans, nuclide, options.quantification, options.time, negatives="keep" if kept else "zero")
    seen = _moved(count.decays, ct_image.grid)
    corrected = _corrected(seen, structures, ct_image, options, report_progress)
    grid = dose_grid(seen.grid, ct_image.grid, options.output.grid)
    decays, outside = decays_on(grid, corrected.image)
    table = scanner.calibration()
    density = density_on(grid, ct_image.volume, table)

    report_progress("structures")
    drawn = structures_on(grid, structures, ct_image, options.clinical)

    report_progress(f"dose by {options.engine}")
    dose_map = calculation.compute(decays, density, nuclide, options.settings)

    report_progress("dose in structures")
    doses = [region_dose(dose_map, region, bin_gy=options.output.dvh_bin_gy) for region in drawn.regions]
    outline = Outline(math.cbrt(1000 * ct_image.grid.voxel_volume_ml), 0.0, volume.contour_sd_mm)
    common = OtherUncertainties(count.calibration_relative_sd, count.time_relative_sd)
    chain = structure_activities(seen, corrected.image, drawn.clinical, outline=outline, common=common, options=volume)
    messages = unique(
        (message for image in (*scans, ct_image) for message in image.messages),
        unchecked, count.messages, corrected.messages, curve_messages, chain.messages, outside,
        calibration_messages(ct_image.volume, table), drawn.messages, dose_map.messages,
    )  # fmt: skip
    steps = corrected.provenance.merged(chain.provenance).adding(inputs=_curve_files(given))
    return DoseResult(
        dose_map=dose_map,
        activity=scans,
        ct=ct_image,
        drawn=drawn,
        count=count,
        given=options,
        structures=_results(drawn, doses, chain),
        messages=messages,
        provenance=_history(scans, ct_image, count, drawn, dose_map, options).merged(steps),
    )


def read_activity(
    sources: ImageSource | Sequence[ImageSource], nuclide: Nuclide, options: ImageOptions
) -> tuple[Image, ...]:
    """Activity images, read where paths were given.

    Raises
    ------
    HepaticaError
        As `workflow.sources.as_images`; InputError if instants were stated for another number of images; DicomError if
        an image is of another nuclide.
    """
    count = 1 if isinstance(sources, str | Path | Image) or not isinstance(sources, Sequence) else len(sources)
    if len(options.activity_at) not in (0, count):
        raise InputError(f"`activity_at` was given {len(options.activity_at)} times for {count} activity images")
    stated = [
        Stated(
            unit=options.activity_unit,
            time=options.activity_at[number] if options.activity_at else None,
            nuclide=nuclide.name,
            override_nuclide=options.accept_nuclide,
            slice_spacing_mm=options.slice_spacing_mm,
        )
        for number in range(count)
    ]
    found = as_images(sources, role="activity", series=options.series, stated=stated)
    if not options.accept_nuclide:
        for image in found:
            image.require_nuclide(nuclide.name)
    return found


def require_together(images: Sequence[Image], *, registered: bool) -> tuple[Message, ...]:
    """Same patient, same frame of reference (or the user's word); says what could not be checked.

    Raises
    ------
    InputError
        If images are of different patients.
    GeometryError
        If they are in different frames of reference and nobody states that they are registered.
    """
    *rest, ct = images
    notes = []
    for image in rest:
        ids = [found.context.patient_id for found in (image, ct) if found.context is not None]
        if len(ids) == len((image, ct)) and "" in ids:
            text = f"{image.name} or {ct.name} has no patient ID: it could not be checked that both are of one patient"
            notes.append(Message("patient-not-checked", text))
        elif len(set(ids)) > 1:
            raise InputError(
                f"{image.name} is of patient {ids[0]!r}, {ct.name} of {ids[1]!r}; activity and CT must be of one "
                "patient"
            )
        if not registered and not image.grid.shares_frame(ct.grid):
            raise GeometryError(
                f"{image.name} and {ct.name} have different frames of reference ({image.grid.frame_of_reference} and "
                f"{ct.grid.frame_of_reference})",
                remedy="register them first, or state with `registered` that they are",
            )
    return tuple(notes)


def _moved(volume: Volume, ct: Grid) -> Volume:
    """The volume in the CT's frame of reference: it was checked, or stated, that both are the same."""
    grid = volume.grid.with_frame_of_reference(ct.frame_of_reference or volume.grid.frame_of_reference)
    return Volume(grid, volume.values, volume.kind, volume.time, volume.name)


def _loaded(
    options: PartialVolumeOptions, scans: Sequence[Image], nuclide: Nuclide
) -> tuple[PartialVolumeOptions, tuple[Message, ...]]:
    """Recovery curve and replicates as values; says what of the curve's conditions could not be compared."""
    curve, replicates = options.recovery, options.replicates
    notes: list[Message] = []
    name = "recovery curve"
    if isinstance(curve, str | Path):
        name, curve = f"recovery curve {Path(curve).name}", load_recovery(curve)
    if isinstance(curve, RecoveryCurve):
        for scan in scans:
            notes += curve.conditions.require_fit(conditions_of(scan, nuclide_name=nuclide.name), name)
    if replicates is not None and len(scans) > 1:
        raise InputError("`replicates` are those of one activity image; several were given")
    if isinstance(replicates, str | Path):
        replicates = load_replicates(Path(replicates), scans[0].grid)
    return replace(options, recovery=curve, replicates=replicates), unique(notes)


def _corrected(
    seen: Volume, given: StructureSource | None, ct: Image, options: DoseOptions, report_progress: Progress
) -> CorrectedImage:
    """Decays after partial-volume correction of the whole image, if one was asked for."""
    if options.partial_volume.method != "yang":
        return CorrectedImage(seen, Provenance())
    report_progress("partial-volume correction")
    drawn = structures_on(seen.grid, given, ct, options.clinical)
    return yang_corrected(seen, drawn.clinical, options.partial_volume)


def _curve_files(options: DoseOptions) -> tuple[InputFile, ...]:
    """Calibration, recovery and replicates files, with their hashes."""
    named = (
        ("calibration", options.quantification.calibration_file),
        ("recovery", options.partial_volume.recovery),
        ("replicates", options.partial_volume.replicates),
    )
    return tuple(InputFile.of(role, Path(path)) for role, path in named if isinstance(path, str | Path))


def _engine(options: DoseOptions, report_progress: Progress) -> DoseEngine[DoseMap]:
    if options.engine != "montecarlo":
        return dose_engine(options.engine)
    rules, how = options.stopping.with_default(DEFAULT_UNCERTAINTY), options.montecarlo
    run = MonteCarloSettings(
        histories=rules.histories,
        target_uncertainty=rules.target_uncertainty,
        time_limit_s=rules.time_limit_s,
        seed=rules.seed,
        device=how.device,
        parts=how.parts,
        checkpoint=how.checkpoint,
    )
    return MonteCarloEngine(run, progress=lambda state: report_progress(_run_state(state)))


def _run_state(run: RunProgress) -> str:
    uncertainty = "" if run.relative_uncertainty is None else f", uncertainty {100 * run.relative_uncertainty:.2g} %"
    return f"montecarlo: {run.histories:.3g} decays, {run.histories_per_s:.3g} a second{uncertainty}"


def _results(
    drawn: StructureSet, doses: Sequence[RegionDose], chain: StructureActivities
) -> tuple[StructureResult, ...]:
    return tuple(
        StructureResult(item=item, dose=dose, activity=activity)
        for item, dose, activity in zip(drawn.clinical, doses, chain.activities, strict=True)
    )


def _history(
    scans: Sequence[Image],
    ct: Image,
    count: DecayCount,
    drawn: StructureSet,
    dose_map: DoseMap,
    options: DoseOptions,
) -> Provenance:
    """Inputs and what the user said, then the steps in their order."""
    inputs = tuple(image.source for image in (*scans, ct)) + ((drawn.source,) if drawn.source else ())
    table = options.scanner.calibration() or default_calibration()
    start = Provenance(
        inputs=inputs,
        parameters=options.parameters(),
        tables={"HU to density": f"{table.name}: {table.source}", "nuclide": "ENSDF through paceENSDF 0.6.3"},
        steps=tuple(image.acquisition.time_rule for image in scans if image.acquisition.time_rule),
    )
    return start.merged(count.provenance).merged(dose_map.provenance)
