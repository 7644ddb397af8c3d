"""From activity images to the number of decays in every voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from hepatica.core import Estimate, Kind, Provenance, Volume, decay_factor, decays_per_becquerel, seconds_between
from hepatica.core.image import Image
from hepatica.core.resample import resample
from hepatica.dosimetry.time.curves import CurveFit
from hepatica.dosimetry.time.integration import TRAPPED, effective_decay, integrate_images, permanent_trapping
from hepatica.errors import GeometryError, InputError, TimeError, UnitError
from hepatica.imaging.quantify.activity import (
    Administration,
    Quantified,
    activity_by_administration,
    activity_by_camera_factor,
    activity_from_concentration,
    compare_with_administered,
    handle_negatives,
)
from hepatica.nuclides import Nuclide
from hepatica.workflow.dose.calibration_files import conditions_of, load_calibration, reconstruction_facts
from hepatica.workflow.dose.options import DoseOptions

STATED_AGAINST_HEADER = 0.01
"""Relative difference between stated and header activity from which on a warning is given."""


OUTSIDE_LATER_MAX = 0.05
"""Share of the first image's activity that a later image may not show before the fit is refused. Our choice."""

WHOLLY_SEEN = 0.999
WORTH_SAYING = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class DecayCount:
    """Decays per voxel and what is known about their total.

    Attributes
    ----------
    decays : Volume
        Kind.DECAYS on the first activity image's grid.
    activity_in_image_bq : float
        Activity that the image holds at the administration (at the image's own instant where the administration's is
        unknown). Of a time-integrated image: its decays over the physical mean life.
    expected_bq : float or None
        What should be in view of the activity administered; None where that is unknown.
    scale_relative_sd : float or None
        Relative standard uncertainty common to all voxels (calibration; of several images the fit to their totals);
        None if unknown.
    provenance : Provenance
        Steps and conventions.
    warnings : tuple of str
        What must be said.
    curve : CurveFit or None
        Time-activity curve of the whole image, where several images were given.
    calibration_relative_sd, time_relative_sd : float or None
        The two parts of `scale_relative_sd`: camera factor or administered activity, and time integration (0 where the
        agent stays and decays physically); None if unknown.
    """

    decays: Volume
    activity_in_image_bq: float
    expected_bq: float | None
    scale_relative_sd: float | None
    provenance: Provenance
    warnings: tuple[str, ...]
    curve: CurveFit | None = None
    calibration_relative_sd: float | None = None
    time_relative_sd: float | None = None


def decays_from(images: Sequence[Image], nuclide: Nuclide, options: DoseOptions) -> DecayCount:
    """Decays per voxel from one activity image or several.

    Parameters
    ----------
    images : sequence of Image
        Time-integrated activity, Bq/mL, Bq per voxel, counts or count rate. Several: of different instants; they are
        resampled to the first one's grid.
    nuclide : Nuclide
        What is in the patient.
    options : DoseOptions
        Administration, calibration, times, half-life, as far as the images do not say.

    Raises
    ------
    UnitError, TimeError, InputError, PhysicsError
        Where unit, time, calibration or half-life are missing or contradictory; the message says what to give.
    """
    administration = administration_of(images[0], options)
    if len(images) > 1:
        return _from_several(images, nuclide, options, administration)
    image = images[0]
    overruled = _overruled(image, options)
    cleaned = handle_negatives(image.volume, "keep" if options.settings.negative_decays == "keep" else "zero")
    if cleaned.volume.kind is Kind.DECAYS:
        held = cleaned.volume.total / decays_per_becquerel(nuclide.half_life_s)
        step = Provenance(steps=("Time-integrated activity taken from the image as it is.",))
        count = DecayCount(cleaned.volume, held, None, None, step, overruled + cleaned.warnings)
        return _checked(count, cleaned.volume, administration, nuclide)
    quantified = _quantify(image, cleaned.volume, nuclide, options, administration)
    decays, step, warnings = _integrate(image, quantified.activity, nuclide, options, administration)
    held = _at_administration(quantified.activity, nuclide, _administered_at(image, options))
    provenance = quantified.provenance.merged(step)
    said = overruled + calibration_warnings(images, nuclide, options) + cleaned.warnings + warnings
    sd = quantified.scale_relative_sd
    in_time = 0.0 if options.effective_half_life_s is None else None
    count = DecayCount(decays, held, None, sd, provenance, said, calibration_relative_sd=sd, time_relative_sd=in_time)
    return _checked(count, quantified.activity, administration, nuclide)


def administration_of(image: Image, options: DoseOptions) -> Administration | None:
    """What was given, as the user says or else as the image's header does; None if neither does."""
    facts = image.acquisition
    activity_bq = options.administered_bq or facts.administered_bq
    if activity_bq is None:
        return None
    return Administration(
        Estimate(activity_bq),
        options.administered_at or facts.administered_at,
        residual_fraction=Estimate(options.residual),
        lung_shunt_fraction=Estimate(options.lung_shunt),
        lungs_in_view=options.lungs_in_image,
        outside_fraction=Estimate(options.outside),
    )


def _overruled(image: Image, options: DoseOptions) -> tuple[str, ...]:
    """Warnings where the user says something else than the header about the administration."""
    facts, out = image.acquisition, []
    if options.administered_bq and facts.administered_bq:
        difference = options.administered_bq / facts.administered_bq - 1
        if abs(difference) > STATED_AGAINST_HEADER:
            out.append(
                f"the activity administered is stated as {options.administered_bq / 1e6:.4g} MBq, the header says "
                f"{facts.administered_bq / 1e6:.4g} MBq; what is stated is used"
            )
    if options.administered_at and facts.administered_at and options.administered_at != facts.administered_at:
        out.append(
            f"the administration is stated at {options.administered_at.isoformat(sep=' ')}, the header says "
            f"{facts.administered_at.isoformat(sep=' ')}; what is stated is used"
        )
    return tuple(out)


def _quantify(
    image: Image, volume: Volume, nuclide: Nuclide, options: DoseOptions, administration: Administration | None
) -> Quantified:
    """Becquerels per voxel by the way that unit and options allow."""
    half_life_s = nuclide.half_life_s
    if volume.kind is Kind.ACTIVITY_CONCENTRATION:
        found = activity_from_concentration(volume, half_life_s=half_life_s)
        if options.calibration_file is not None:
            return replace(found, scale_relative_sd=load_calibration(options.calibration_file).factor.relative_sd)
        return found
    if volume.kind is Kind.ACTIVITY:
        return Quantified(volume, None, Provenance(steps=("Activity per voxel taken from the image as it is.",)))
    if volume.kind not in (Kind.COUNTS, Kind.COUNT_RATE):
        raise UnitError(
            f"{image.source.path}: holds {volume.kind.meaning}, which is no activity; state what it holds "
            "(--activity-unit 'Bq/mL', 'MBq h' or 'counts')"
        )
    factor, duration_s = _camera_factor(image, options)
    if factor is not None:
        return activity_by_camera_factor(
            volume,
            factor,
            half_life_s=half_life_s,
            frame_duration_s=duration_s,
            decay_corrected=image.acquisition.decay_correction in ("START", "ADMIN"),
        )
    if administration is None or options.administered_bq is None:
        raise UnitError(
            f"{image.source.path}: holds {volume.kind.meaning}; to become becquerels they need a camera factor "
            "(--calibration '4.6 cps/MBq') or the activity administered (--administered '2.1 GBq')"
        )
    return activity_by_administration(volume, administration, half_life_s=half_life_s)


def calibration_warnings(images: Sequence[Image], nuclide: Nuclide, options: DoseOptions) -> tuple[str, ...]:
    """What must be said of a calibration file: what could not be compared, and that Bq/mL take its uncertainty alone.

    Raises
    ------
    InputError
        If an image was made under other conditions than the calibration.
    """
    if options.calibration_file is None:
        return ()
    calibration = load_calibration(options.calibration_file)
    said: list[str] = []
    for image in images:
        made = conditions_of(image, nuclide_name=nuclide.name)
        said += calibration.conditions.require_fit(made, f"camera factor of {options.calibration_file.name}")
        if image.volume.kind not in (Kind.COUNTS, Kind.COUNT_RATE):
            said.append(
                f"{image.source.path} is in {image.volume.kind.unit}: of the calibration the uncertainty is taken"
            )
    return tuple(dict.fromkeys((*calibration.warnings, *said)))


def _camera_factor(image: Image, options: DoseOptions) -> tuple[Estimate | None, float | None]:
    """Factor from the options or a file, None if there is none; and the time in which the counts were collected."""
    if options.calibration_file is not None:
        beside = reconstruction_facts(Path(image.source.path)).get("head_time_s")
        seconds = options.frame_duration_s or beside or _duration_s(image)
        return load_calibration(options.calibration_file).factor, seconds
    if options.calibration_cps_per_mbq is None:
        return None, None
    return Estimate(options.calibration_cps_per_mbq, options.calibration_sd), (
        options.frame_duration_s or _duration_s(image)
    )


def _duration_s(image: Image) -> float | None:
    """Duration of the whole acquisition: of all views of one detector head where the file gives that of one."""
    facts = image.acquisition
    if facts.frame_duration_s is None:
        return None
    if facts.projections:
        raise InputError(
            f"{image.source.path}: the file gives {facts.frame_duration_s:g} s for each of {facts.projections} "
            "projections, but not how many heads turned; state the acquisition time in which the counts were "
            "collected (--frame-duration '20 min')"
        )
    return facts.frame_duration_s


def _integrate(
    image: Image, activity: Volume, nuclide: Nuclide, options: DoseOptions, administration: Administration | None
) -> tuple[Volume, Provenance, tuple[str, ...]]:
    """Decays since the administration, or since the image's own instant (with a warning) where that is unknown."""
    since = _administered_at(image, options)
    by_administration = administration is not None and activity.time == administration.time
    if since is None and by_administration and options.effective_half_life_s is None:
        values = activity.values * activity.values.dtype.type(decays_per_becquerel(nuclide.half_life_s))
        convention = Provenance(conventions={"time integration": TRAPPED})
        return activity.with_values(values, Kind.DECAYS, time=None, name="decays"), convention, ()
    if activity.time is None:
        raise TimeError(
            f"{image.source.path}: the instant that the image refers to is not known; state it (--at 2026-03-02T14:30)"
        )
    warnings: tuple[str, ...] = ()
    if since is None:
        since = activity.time
        text = (
            "the time of the administration is not known (--administered-at): decays are counted from the instant of "
            f"the image, {since.isoformat(sep=' ')}; those before it are left out"
        )
        warnings = (text,)
    if seconds_between(since, activity.time) < 0:
        raise TimeError(
            f"{image.source.path}: the image refers to {activity.time.isoformat()}, before the administration at "
            f"{since.isoformat()}"
        )
    if options.effective_half_life_s is None:
        result = permanent_trapping(activity, nuclide.half_life_s, since=since)
    else:
        result = effective_decay(
            activity if by_administration else _at_scan(image, activity, nuclide.half_life_s),
            options.effective_half_life_s,
            physical_half_life_s=nuclide.half_life_s,
            since=since,
        )
    return result.decays, result.provenance, warnings + result.warnings


def _at_scan(image: Image, activity: Volume, half_life_s: float) -> Volume:
    """Activity at the start of the scan: a physical decay correction to another instant is undone.

    Between administration and scan the agent leaves with the effective half-life, which the scanner did not know.
    """
    start = image.acquisition.start
    if start is None or activity.time is None or start == activity.time:
        return activity
    factor = decay_factor(seconds_between(activity.time, start), half_life_s)
    return activity.with_values(activity.values * activity.values.dtype.type(factor), time=start)


def _administered_at(image: Image, options: DoseOptions) -> datetime | None:
    return options.administered_at or image.acquisition.administered_at


def _at_administration(activity: Volume, nuclide: Nuclide, administered_at: datetime | None) -> float:
    """Becquerels in the image at the administration; at its own instant where that is unknown."""
    if administered_at is None or activity.time is None:
        return activity.total
    return activity.total / decay_factor(seconds_between(administered_at, activity.time), nuclide.half_life_s)


def _checked(count: DecayCount, shown: Volume, administration: Administration | None, nuclide: Nuclide) -> DecayCount:
    """The count with the activity in the image compared with what was administered."""
    if administration is None:
        missing = "the activity administered is not known: the activity in the image could not be checked against it"
        return replace(count, warnings=(*count.warnings, missing))
    count = replace(count, provenance=count.provenance.adding(parameters=administration.parameters()))
    if shown.kind is Kind.ACTIVITY and (shown.time is None or administration.time is None):
        if shown.time is not None:
            missing = "the time of the administration is not known: the activity in the image could not be checked"
            count = replace(count, warnings=(*count.warnings, missing))
        return replace(count, expected_bq=administration.in_view.value)
    compared = compare_with_administered(shown, administration, half_life_s=nuclide.half_life_s)
    return replace(count, expected_bq=compared.expected_bq, warnings=count.warnings + compared.warnings)


def _from_several(
    images: Sequence[Image], nuclide: Nuclide, options: DoseOptions, administration: Administration | None
) -> DecayCount:
    """Fit a curve through several images in every voxel that all of them show."""
    since = _administered_at(images[0], options)
    if since is None:
        raise TimeError("several time points need the time of the administration (--administered-at)")
    points, calibrated = [], None
    for image in images:
        known = options.calibration_cps_per_mbq or options.calibration_file
        if image.volume.kind in (Kind.COUNTS, Kind.COUNT_RATE) and known is None:
            raise UnitError(
                f"{image.source.path}: several time points in counts need a camera factor (--calibration): scaled to "
                "the activity administered each of them would hold the same activity, and the wash-out would be lost"
            )
        quantified = _quantify(image, handle_negatives(image.volume, "keep").volume, nuclide, options, administration)
        activity = _at_scan(image, quantified.activity, nuclide.half_life_s)
        if activity.time is None:
            raise TimeError(f"{image.source.path}: has no reference time; state it for each image (--at, repeated)")
        points.append((seconds_between(since, activity.time), activity))
        calibrated = quantified.scale_relative_sd
    ordered = [activity for _, activity in sorted(points, key=lambda point: point[0])]
    volumes, cut = _in_common(ordered)
    result = integrate_images(
        volumes, since=since, physical_half_life_s=nuclide.half_life_s, model=options.time_model, tail=options.tail
    )
    held = _at_administration(ordered[0], nuclide, since)
    warnings = _overruled(images[0], options) + calibration_warnings(images, nuclide, options) + cut + result.warnings
    in_time = None if result.curve is None else result.curve.decays.relative_sd
    # One camera factor scales all images alike, so it comes on top of the fit; unknown, it is left out as before.
    scale = in_time if in_time is None or calibrated is None else math.hypot(in_time, calibrated)
    count = DecayCount(result.decays, held, None, scale, result.provenance, warnings, result.curve, calibrated, in_time)
    return _checked(count, ordered[0], administration, nuclide)


def _in_common(images: Sequence[Volume]) -> tuple[list[Volume], tuple[str, ...]]:
    """All images on the first one's grid, in the field of view that all share.

    Where a later image does not reach it would read as complete wash-out; such voxels are left out of all images.

    Raises
    ------
    GeometryError
        If more than 5 % of the first image's activity lies outside a later image.
    """
    first = images[0]
    seen = np.ones(first.grid.shape, dtype=bool)
    for image in images[1:]:
        everywhere = image.with_values(np.ones(image.grid.shape, np.float32), Kind.FRACTION)
        seen &= resample(everywhere, first.grid, "mean").values > WHOLLY_SEEN
    lost = 1 - float(first.values.sum(where=seen, dtype=np.float64)) / first.total
    if lost > OUTSIDE_LATER_MAX:
        raise GeometryError(
            f"{100 * lost:.1f} % of the activity of the first image lies outside the field of view of a later one, "
            f"more than {100 * OUTSIDE_LATER_MAX:.0f} %: there is no curve there. Use images that cover the same volume"
        )
    moved = [resample(image, first.grid, "total") for image in images]
    text = f"{100 * lost:.2f} % of the activity of the first image lies outside a later one and is left out"
    if seen.all():
        return moved, ()
    return [image.with_values(image.values * seen) for image in moved], ((text,) if lost > WORTH_SAYING else ())
