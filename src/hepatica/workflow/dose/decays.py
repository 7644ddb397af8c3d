"""From activity images to the number of decays in every voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hepatica.core import Estimate, Kind, Provenance, Volume, decay_factor, decays_per_becquerel, seconds_between
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.dosimetry.time.curves import CurveFit
from hepatica.dosimetry.time.integration import (
    TRAPPED,
    TimeIntegral,
    effective_decay,
    in_common_field,
    integrate_images,
    permanent_trapping,
)
from hepatica.errors import TimeError, UnitError
from hepatica.imaging.quantify.activity import (
    Administration,
    NegativeOption,
    Quantified,
    compare_with_administered,
    handle_negatives,
)
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.quantify import quantify
from hepatica.nuclides import Nuclide
from hepatica.workflow.dose.calibration_files import conditions_of, reconstruction_facts
from hepatica.workflow.dose.options import QuantificationOptions, TimeOptions

STATED_AGAINST_HEADER = 0.01
"""Relative difference between stated and header activity from which on a warning is given."""


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
    messages : tuple of Message
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
    messages: tuple[Message, ...]
    curve: CurveFit | None = None
    calibration_relative_sd: float | None = None
    time_relative_sd: float | None = None


def decays_from(
    images: Sequence[Image],
    nuclide: Nuclide,
    quantification: QuantificationOptions = QuantificationOptions(),
    time: TimeOptions = TimeOptions(),
    *,
    negatives: NegativeOption = "zero",
) -> DecayCount:
    """Decays per voxel from one activity image or several.

    Parameters
    ----------
    images : sequence of Image
        Time-integrated activity, Bq/mL, Bq per voxel, counts or count rate. Several: of different instants; they are
        resampled to the first one's grid.
    nuclide : Nuclide
        What is in the patient.
    quantification : QuantificationOptions
        Administration and calibration, as far as the images do not say.
    time : TimeOptions
        How activity goes on in time.
    negatives : {"zero", "keep", "error"}
        What happens to negative voxels of a single image; those of several are kept.

    Raises
    ------
    UnitError, TimeError, InputError, PhysicsError
        Where unit, time, calibration or half-life are missing or contradictory; the message says what to give.
    """
    administration = administration_of(images[0], quantification)
    if len(images) > 1:
        return _from_several(images, nuclide, quantification, time, administration)
    image = images[0]
    notes = overruled(image, quantification)
    if image.volume.kind is Kind.DECAYS:
        cleaned = handle_negatives(image.volume, negatives)
        held = cleaned.volume.total / decays_per_becquerel(nuclide.half_life_s)
        step = Provenance(steps=("Time-integrated activity taken from the image as it is.",))
        count = DecayCount(cleaned.volume, held, None, None, step, (*notes, *cleaned.messages))
        return _checked(count, cleaned.volume, administration, nuclide)
    quantified = becquerels(image, nuclide, quantification, negatives=negatives)
    since = quantification.administered_at or image.acquisition.administered_at
    integral = _integrate(image, quantified.activity, nuclide, time, since, administration)
    sd = quantified.scale_relative_sd
    count = DecayCount(
        integral.decays,
        _at_administration(quantified.activity, nuclide, since),
        None,
        sd,
        quantified.provenance.merged(integral.provenance),
        (*notes, *quantified.messages, *integral.messages),
        calibration_relative_sd=sd,
        time_relative_sd=0.0 if time.effective_half_life_s is None else None,
    )
    return _checked(count, quantified.activity, administration, nuclide)


def becquerels(
    image: Image, nuclide: Nuclide, options: QuantificationOptions, *, negatives: NegativeOption = "zero"
) -> Quantified:
    """`quantify` with what the options, and the files beside the image, say of calibration and administration.

    Counts are scaled to an administered activity only if it is stated: a header alone does not ask for that.
    """
    calibration = options.camera()
    from_file = isinstance(calibration, CameraCalibration)
    beside = reconstruction_facts(Path(image.name)).get("head_time_s") if from_file else None
    return quantify(
        image,
        calibration,
        None if options.administered_bq is None else administration_of(image, options),
        nuclide=nuclide,
        frame_duration_s=options.frame_duration_s or beside,
        negatives=negatives,
        conditions=conditions_of(image, nuclide_name=nuclide.name) if from_file else None,
    )


def administration_of(image: Image, options: QuantificationOptions) -> Administration | None:
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


def overruled(image: Image, options: QuantificationOptions) -> tuple[Message, ...]:
    """What is said where the user says something else than the header about the administration."""
    facts, found = image.acquisition, []
    if options.administered_bq and facts.administered_bq:
        difference = options.administered_bq / facts.administered_bq - 1
        if abs(difference) > STATED_AGAINST_HEADER:
            text = (
                f"the activity administered is stated as {options.administered_bq / 1e6:.4g} MBq, the header says "
                f"{facts.administered_bq / 1e6:.4g} MBq; what is stated is used"
            )
            found.append(Message("administered-overruled", text))
    if options.administered_at and facts.administered_at and options.administered_at != facts.administered_at:
        text = (
            f"the administration is stated at {options.administered_at.isoformat(sep=' ')}, the header says "
            f"{facts.administered_at.isoformat(sep=' ')}; what is stated is used"
        )
        found.append(Message("administration-time-overruled", text))
    return tuple(found)


def _integrate(
    image: Image,
    activity: Volume,
    nuclide: Nuclide,
    time: TimeOptions,
    since: datetime | None,
    administration: Administration | None,
) -> TimeIntegral:
    """Decays since the administration, or since the image's own instant (which is said) where that is unknown."""
    half_life_s = time.effective_half_life_s
    by_administration = administration is not None and activity.time == administration.time
    if since is None and by_administration and half_life_s is None:
        values = activity.values * activity.values.dtype.type(decays_per_becquerel(nuclide.half_life_s))
        decays = activity.with_values(values, Kind.DECAYS, time=None, name="decays")
        return TimeIntegral(decays, None, None, Provenance(conventions={"time integration": TRAPPED}))
    if activity.time is None:
        raise TimeError(
            f"{image.name}: the instant that the image refers to is not known",
            remedy="state it: `activity_at`, such as 2026-03-02T14:30",
        )
    notes: tuple[Message, ...] = ()
    if since is None:
        since = activity.time
        text = (
            "the time of the administration is not known: decays are counted from the instant of the image, "
            f"{since.isoformat(sep=' ')}; those before it are left out"
        )
        notes = (Message("administration-time-unknown", text, "state `administered_at`"),)
    if seconds_between(since, activity.time) < 0:
        raise TimeError(
            f"{image.name}: the image refers to {activity.time.isoformat()}, before the administration at "
            f"{since.isoformat()}"
        )
    if half_life_s is None:
        found = permanent_trapping(activity, nuclide.half_life_s, since=since)
    else:
        found = effective_decay(
            activity if by_administration else _at_scan(image, activity, nuclide.half_life_s),
            half_life_s,
            physical_half_life_s=nuclide.half_life_s,
            since=since,
        )
    return replace(found, messages=(*notes, *found.messages))


def _at_scan(image: Image, activity: Volume, half_life_s: float) -> Volume:
    """Activity at the start of the scan: a physical decay correction to another instant is undone.

    Between administration and scan the agent leaves with the effective half-life, which the scanner did not know.
    """
    start = image.acquisition.start
    if start is None or activity.time is None or start == activity.time:
        return activity
    factor = decay_factor(seconds_between(activity.time, start), half_life_s)
    return activity.with_values(activity.values * activity.values.dtype.type(factor), time=start)


def _at_administration(activity: Volume, nuclide: Nuclide, administered_at: datetime | None) -> float:
    """Becquerels in the image at the administration; at its own instant where that is unknown."""
    if administered_at is None or activity.time is None:
        return activity.total
    return activity.total / decay_factor(seconds_between(administered_at, activity.time), nuclide.half_life_s)


def _checked(count: DecayCount, shown: Volume, administration: Administration | None, nuclide: Nuclide) -> DecayCount:
    """The count with the activity in the image compared with what was administered."""
    if administration is None:
        text = "the activity administered is not known: the activity in the image could not be checked against it"
        return _saying(count, Message("activity-not-checked", text, "state `administered_bq`"))
    count = replace(count, provenance=count.provenance.adding(parameters=administration.parameters()))
    if shown.kind is Kind.ACTIVITY and (shown.time is None or administration.time is None):
        if shown.time is not None:
            text = "the time of the administration is not known: the activity in the image could not be checked"
            count = _saying(count, Message("activity-not-checked", text, "state `administered_at`"))
        return replace(count, expected_bq=administration.in_view.value)
    compared = compare_with_administered(shown, administration, half_life_s=nuclide.half_life_s)
    return replace(_saying(count, *compared.messages), expected_bq=compared.expected_bq)


def _saying(count: DecayCount, *messages: Message) -> DecayCount:
    return replace(count, messages=(*count.messages, *messages))


def _from_several(
    images: Sequence[Image],
    nuclide: Nuclide,
    quantification: QuantificationOptions,
    time: TimeOptions,
    administration: Administration | None,
) -> DecayCount:
    """Fit a curve through several images in every voxel that all of them show."""
    since = quantification.administered_at or images[0].acquisition.administered_at
    if since is None:
        raise TimeError("several time points need the time of the administration", remedy="state it: `administered_at`")
    points, calibrated, notes = [], None, list(overruled(images[0], quantification))
    for image in images:
        if image.volume.kind in (Kind.COUNTS, Kind.COUNT_RATE) and quantification.calibration is None:
            raise UnitError(
                f"{image.name}: several time points in counts need a camera factor: scaled to the activity "
                "administered each of them would hold the same activity, and the wash-out would be lost",
                remedy="state `calibration`",
            )
        quantified = becquerels(image, nuclide, quantification, negatives="keep")
        # That noise is kept for unbiased fits is no news in every image.
        notes += [message for message in quantified.messages if message.code != "negative-voxels"]
        activity = _at_scan(image, quantified.activity, nuclide.half_life_s)
        if activity.time is None:
            raise TimeError(
                f"{image.name}: has no reference time", remedy="state it for each image: `activity_at`, repeated"
            )
        points.append((seconds_between(since, activity.time), activity))
        calibrated = quantified.scale_relative_sd
    ordered = [activity for _, activity in sorted(points, key=lambda point: point[0])]
    volumes, cut = in_common_field(ordered)
    fitted = integrate_images(
        volumes, since=since, physical_half_life_s=nuclide.half_life_s, model=time.time_model, tail=time.tail
    )
    in_time = None if fitted.curve is None else fitted.curve.decays.relative_sd
    # One camera factor scales all images alike, so it comes on top of the fit; unknown, it is left out as before.
    count = DecayCount(
        fitted.decays,
        _at_administration(ordered[0], nuclide, since),
        None,
        in_time if in_time is None or calibrated is None else math.hypot(in_time, calibrated),
        fitted.provenance,
        unique(notes, cut, fitted.messages),
        fitted.curve,
        calibrated,
        in_time,
    )
    return _checked(count, ordered[0], administration, nuclide)
