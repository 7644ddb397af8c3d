"""The main job: from the images of a treated patient to absorbed dose, structure by structure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hepatica.anatomy.structures.clinical import Structure, StructureOptions, union
from hepatica.core import InputFile, Kind, Provenance, Region, Volume
from hepatica.core.image import Image, require_together
from hepatica.core.message import Message, unique
from hepatica.core.options import verb
from hepatica.core.progress import Progress, silent
from hepatica.dosimetry.engines.dose_grid import decays_on, dose_grid
from hepatica.dosimetry.engines.dose_map import DoseEngine, DoseMap
from hepatica.dosimetry.engines.highest import below_zero_messages
from hepatica.dosimetry.engines.montecarlo import MonteCarloEngine
from hepatica.dosimetry.engines.registry import EngineName, dose_engine
from hepatica.dosimetry.metrics.region_dose import RegionDose, region_dose
from hepatica.errors import InputError
from hepatica.imaging.pet.becquerels.plausible import settled
from hepatica.imaging.quantify.recovery import RecoveryCurve
from hepatica.imaging.quantify.structure_activity import (
    CorrectedImage,
    PartialVolumeOptions,
    StructureActivity,
    structure_activities,
    yang_corrected,
)
from hepatica.imaging.quantify.uncertainty import OtherUncertainties, Outline
from hepatica.io.calibration_files import conditions_of, load_recovery
from hepatica.io.read import ImageOptions
from hepatica.io.replicates import load_replicates
from hepatica.nuclides import Nuclide, require_carried
from hepatica.nuclides import agent as find_agent
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.transport.matter.media import HuCalibration, calibration_messages, default_calibration
from hepatica.transport.runner.stopping import RunProgress
from hepatica.workflow.dose.beside import MR, told_beside
from hepatica.workflow.dose.certainty import about_certainty, about_recovery, with_counting
from hepatica.workflow.dose.decays import DecayCount, decays_from, negatives_of
from hepatica.workflow.dose.deposits import treated_deposits
from hepatica.workflow.dose.given_activity import with_given
from hepatica.workflow.dose.numbers import StructureResult
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.patient.lungs import treated_lungs
from hepatica.workflow.dose.patient.patient import ct_or_uniform, let_go, patient_of, voxels_supported
from hepatica.workflow.dose.patient.registration import Brought, brought_to_ct
from hepatica.workflow.dose.patient.seen import about_seen, seen_field, seen_parts
from hepatica.workflow.dose.patient.structures import StructureSet, both_on, structures_on
from hepatica.workflow.dose.result import DoseResult
from hepatica.workflow.sources import ImageSource, StructureSource, as_images


@verb
def absorbed_dose(
    activity: ImageSource | Sequence[ImageSource],
    *,
    ct: ImageSource | None = None,
    nuclide: str | Nuclide,
    structures: StructureSource | None = None,
    engine: EngineName = "kernel",
    options: DoseOptions = DoseOptions(),
    progress: Progress | None = None,
) -> DoseResult:
    """Absorbed dose in every voxel and every structure of a treated patient.

    Parameters
    ----------
    activity : path, Image, or a sequence of them
        Activity image after treatment: DICOM file or folder (PET, SPECT), NIfTI, MetaImage. Several for time points.
    ct : path, Image or None
        CT in the same frame of reference: DICOM folder, or NIfTI or MetaImage in HU. Without it a uniform density is to
        be stated.
    nuclide : str or Nuclide
        What was administered, such as Y-90.
    structures : path, sequence of Region, or None
        RTSTRUCT, SEG or label map. Without it: body and lungs from the CT.
    engine : {"kernel", "local", "montecarlo"}
        Dose engine.
    options : DoseOptions
        All else, one group for each step from image to report.
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
    report_progress, chosen, given = progress or silent, find_nuclide(nuclide), options
    calculation = _engine(engine, options, report_progress)
    if options.clinical.agent is not None:
        require_carried(find_agent(options.clinical.agent), chosen)
    administered, about_given, given_files = with_given(
        options.quantification, chosen, agent=options.clinical.agent, sources=activity,
        activity_at=options.images.activity_at,
    )  # fmt: skip
    options = replace(options, quantification=administered)
    report_progress("reading images")
    images = _read(activity, ct, structures, chosen, options, report_progress)
    scans, ct_image = images.scans, images.ct
    volume, curve_messages = _loaded(options.partial_volume, scans, chosen)
    options = replace(options, partial_volume=volume)

    report_progress("structures")
    table = options.scanner.calibration()
    patient = patient_of(ct_image, images.has_ct, scans, structures, options)
    metal = calibration_messages(patient.ct.volume, table, patient.tissue.density) if images.has_ct else ()
    held = patient.tissue.density.values  # as long as the dose is computed
    patient = let_go(patient, options.density, table)
    ct_image = replace(ct_image, volume=patient.ct.volume.in_frame(ct_image.grid.frame_of_reference))

    report_progress("activity to decays")
    in_view = None if patient.lungs is None else patient.lungs.in_view
    negatives = negatives_of(options.settings.negatives, scans)
    options = replace(options, settings=replace(options.settings, negatives=negatives))
    count = decays_from(
        scans, chosen, options.quantification, options.time, negatives=negatives, lungs=in_view,
        within=measured_part(scans, structures, ct_image, options.clinical),
    )  # fmt: skip
    seen = count.decays.in_frame(patient.ct.grid.frame_of_reference)
    corrected = _corrected(seen, structures, patient.ct, options, report_progress)
    grid = dose_grid(seen.grid, ct_image.grid, options.output.grid)
    _, outside = decays_on(grid, corrected.image)
    in_ct = replace(scans[0], volume=seen)
    field = seen_field(in_ct)
    exact, drawn = both_on(grid, patient.drawn)
    exact, drawn, shares = seen_parts(grid, exact, drawn, field)

    report_progress(f"dose by {engine}")
    dose_map = calculation.with_oil(patient.tissue.oil).compute_on(
        grid, corrected.image, patient.tissue.density, chosen, options.settings, exact.regions
    )

    report_progress("dose in structures")
    doses = [region_dose(dose_map, item.region, bin_gy=options.output.dvh_bin_gy) for item in exact.clinical]
    chain = structure_activities(
        seen, corrected.image, exact.clinical,
        outline=Outline(math.cbrt(1000 * ct_image.grid.voxel_volume_ml), 0.0, volume.contour_sd_mm),
        common=OtherUncertainties(count.calibration_relative_sd, count.time_relative_sd),
        options=volume,
        position_sd_mm=images.brought.position_sd_mm,
    )  # fmt: skip
    activities = with_counting(chain.activities, exact.clinical, in_ct) if len(scans) == 1 else chain.activities
    found = tuple(
        StructureResult(
            item,
            dose,
            amount,
            *patient.known_of(item.region.name),
            share,
            _own_sd_gy(amount, dose, dose_map, seen, count),
            voxels_supported(patient, item),
        )
        for item, dose, amount, share in zip(drawn.clinical, doses, activities, shares, strict=True)
    )
    del held
    lungs = treated_lungs(patient, found, count, scans[0], chosen, options)
    deposits, about_deposits = treated_deposits(seen, patient, chosen, count.scale_relative_sd, field.region())
    inputs = (*scans, ct_image) if images.has_ct else scans
    start = _start(inputs, drawn, options.parameters(engine), table or default_calibration())
    start = start.adding(conventions=patient.tissue.conventions)
    return DoseResult(
        dose_map=dose_map,
        activity=scans,
        patient=patient,
        drawn=drawn,
        count=count,
        given=options,
        structures=found,
        lung_doses=lungs,
        elsewhere=deposits,
        seen_field=field,
        messages=settled(unique(
            (message for image in (*scans, ct_image) for message in image.messages),
            about_given, images.unchecked, images.brought.messages, count.messages, corrected.messages, curve_messages,
            about_certainty(count, scans), chain.messages, outside, metal, drawn.messages, patient.messages,
            about_recovery(drawn.clinical, scans[0], chosen.name) if volume.method == "none" else (),
            () if lungs is None else lungs.messages(),
            about_seen([(one.item, one.seen_share) for one in found]),
            about_deposits, dose_map.messages, below_zero_messages(dose_map.dose),
        )),
        provenance=start.merged(count.provenance).merged(dose_map.provenance).merged(corrected.provenance)
        .merged(chain.provenance)
        .adding(*images.brought.steps, inputs=(*given_files, *_curve_files(given), *images.brought.inputs)),
    )  # fmt: skip


def _own_sd_gy(
    activity: StructureActivity, dose: RegionDose, dose_map: DoseMap, seen: Volume, count: DecayCount
) -> float | None:
    """Standard uncertainty of a mean by counting and scale where it has no relative one; None where not known.

    By the energy emitted in it, which is rather more than what stays: photons go on.
    """
    scale = count.scale_relative_sd
    if activity.decays_sd is None or scale is None or not seen.total > 0 or not dose.mass_g:
        return None
    gray_per_decay = dose_map.energy_balance.emitted_j / seen.total / (dose.mass_g / 1000)
    return math.hypot(gray_per_decay * activity.decays_sd, scale * dose.dose_mean_gy)


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Activity images, on the CT where that was asked for, the CT, or a uniform patient, and how they lie together."""

    scans: tuple[Image, ...]
    ct: Image
    has_ct: bool
    brought: Brought
    unchecked: tuple[Message, ...]


def _read(
    activity: ImageSource | Sequence[ImageSource],
    ct: ImageSource | None,
    structures: StructureSource | None,
    nuclide: Nuclide,
    options: DoseOptions,
    report_progress: Progress,
) -> _Images:
    """All images of a dose, of one patient and in one frame of reference."""
    scans = read_activity(activity, nuclide, options.images, options.quantification.administered_at)
    ct_image, has_ct = ct_or_uniform(ct, scans, options)
    brought = brought_to_ct(scans, ct_image if has_ct else None, options, structures, report_progress)
    scans = brought.images
    unchecked = require_together(
        (*scans, ct_image) if has_ct else scans, registered=options.scanner.registered or not has_ct
    )
    if options.scanner.registered:
        frame = ct_image.grid.frame_of_reference or scans[0].grid.frame_of_reference
        scans = tuple(replace(scan, volume=scan.volume.in_frame(frame)) for scan in scans)
    return _Images(scans, ct_image, has_ct, brought, unchecked)


def measured_part(
    scans: Sequence[Image], structures: StructureSource | None, ct: Image, clinical: StructureOptions
) -> Region | None:
    """Liver and tumours on the voxels of an activity by MR, which measures nothing else; None of a camera's image.

    At their border such an image has the concentration of the part inside, so that its total is theirs by coverage.
    """
    if structures is None or len(scans) > 1 or scans[0].acquisition.modality != MR:
        return None
    drawn = structures_on(scans[0].grid, structures, ct, clinical)
    regions = [item.region for item in drawn.clinical if item.structure in (Structure.LIVER, Structure.TUMOUR)]
    return union(regions) if regions else None


def read_activity(
    sources: ImageSource | Sequence[ImageSource],
    nuclide: Nuclide,
    options: ImageOptions,
    administered_at: datetime | None,
) -> tuple[Image, ...]:
    """Activity images, read where paths were given; an administration that is stated beats that of their headers.

    Raises
    ------
    HepaticaError
        As `workflow.sources.as_images` and `ImageOptions.stated`; DicomError if an image is of another nuclide.
    """
    count = 1 if isinstance(sources, str | Path | Image) or not isinstance(sources, Sequence) else len(sources)
    stated = [replace(one, administered_at=administered_at) for one in options.stated(nuclide.name, count)]
    found = as_images(sources, role="activity", series=options.series, stated=stated)
    paths = [sources] if isinstance(sources, str | Path | Image) or not isinstance(sources, Sequence) else sources
    found = tuple(told_beside(image, path) for image, path in zip(found, paths, strict=True))
    if not options.accept_nuclide:
        for image in found:
            image.require_nuclide(nuclide.name)
    return found


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
            made = conditions_of(scan, nuclide_name=nuclide.name)
            notes += unique(curve.conditions.require_fit(made, name), curve.conditions.blur_messages(made, name))
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
    """Calibration, time curve, recovery and replicates files, with their hashes."""
    named = (
        ("calibration", options.quantification.calibration_file),
        ("time curve", options.time.time_curve),
        ("recovery", options.partial_volume.recovery),
        ("replicates", options.partial_volume.replicates),
    )
    return tuple(InputFile.of(role, Path(path)) for role, path in named if isinstance(path, str | Path))


def _engine(name: EngineName, options: DoseOptions, report_progress: Progress) -> DoseEngine[DoseMap]:
    options.require_fit(name)
    if name != "montecarlo":
        return dose_engine(name)
    run = options.montecarlo.settings(options.stopping)
    return MonteCarloEngine(run, progress=lambda state: report_progress(_run_state(state)))


def _run_state(run: RunProgress) -> str:
    uncertainty = "" if run.relative_uncertainty is None else f", uncertainty {100 * run.relative_uncertainty:.2g} %"
    return f"montecarlo: {run.histories:.3g} decays, {run.histories_per_s:.3g} a second{uncertainty}"


def _start(
    images: Sequence[Image], drawn: StructureSet, parameters: Mapping[str, object], table: HuCalibration
) -> Provenance:
    """Inputs and what the user said."""
    return Provenance(
        inputs=tuple(image.source for image in images) + ((drawn.source,) if drawn.source else ()),
        parameters=parameters,
        tables={"HU to density": f"{table.name}: {table.source}", "nuclide": "ENSDF through paceENSDF 0.6.3"},
        steps=tuple(
            rule for image in images if image.volume.kind is not Kind.HU and (rule := image.acquisition.time_rule)
        ),
    )
