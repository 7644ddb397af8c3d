"""From activity images to the number of decays in every voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hepatica.core import Estimate, Kind, Provenance, Region, Volume, decays_per_becquerel, seconds_between
from hepatica.core.certainty import common_scale
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.dosimetry.time.curves import CurveFit
from hepatica.dosimetry.time.integration import in_common_field, integrate_images
from hepatica.dosimetry.time.one_image import integrate_image
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.trapezoid import PointCurve
from hepatica.errors import InputError, TimeError, UnitError
from hepatica.imaging.pet.becquerels.plausible import total_explained, total_implausible
from hepatica.imaging.quantify.activity import (
    Administration,
    NegativeOption,
    Quantified,
    compare_with_administered,
    handle_negatives,
    total_at,
)
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.lungs_in_view import LungsInView
from hepatica.imaging.quantify.options import QuantificationOptions, administration_of, overruled
from hepatica.imaging.quantify.quantify import at_scan, quantify
from hepatica.io.calibration_files import camera_of, conditions_of, factor_in, head_time_of
from hepatica.io.curve_files import with_curve
from hepatica.nuclides import Nuclide


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
        Relative standard uncertainty common to all voxels (what the image says of its scale, or a stated calibration in
        its place; the activity administered where counts are scaled to it; of several images the fit to their totals);
        None if unknown.
    provenance : Provenance
        Steps and conventions.
    messages : tuple of Message
        What must be said.
    curve : CurveFit, PointCurve or None
        Time-activity curve of the whole image, where several images or a curve were given.
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
    curve: CurveFit | PointCurve | None = None
    calibration_relative_sd: float | None = None
    time_relative_sd: float | None = None


SAME_FACTOR = 1e-3
"""Relative difference up to which two camera factors are the same: files round."""

ADMINISTRATION_UNSURE = ("administration-day-unknown", "administration-long-ago")
"""Codes of a reader's messages that say that a header's administration cannot be used: then it must be stated."""


def _administered_at(image: Image, options: QuantificationOptions) -> datetime | None:
    """Start of the administration as stated or in the header; TimeError if the header's cannot be used."""
    found = options.administered_at or image.acquisition.administered_at
    unsure = next((message for message in image.messages if message.code in ADMINISTRATION_UNSURE), None)
    if found is None and unsure is not None:
        raise TimeError(unsure.text, remedy="state `administered_at`")
    return found


def decays_from(
    images: Sequence[Image],
    nuclide: Nuclide,
    quantification: QuantificationOptions = QuantificationOptions(),
    time: TimeOptions = TimeOptions(),
    *,
    negatives: NegativeOption = "zero",
    lungs: LungsInView | None = None,
    within: Region | None = None,
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
    negatives : {"zero", "keep", "refuse"}
        What happens to negative voxels of a single image; those of several are kept.
    lungs : LungsInView or None
        What the image shows of the lungs; None where that is not known, or it shows none.
    within : Region or None
        What a single image was measured in, where that is not all it shows: its total is taken there, by coverage.

    Raises
    ------
    UnitError, TimeError, InputError, PhysicsError
        Where unit, time, calibration or half-life are missing or contradictory; the message says what to give.
    """
    time = with_curve(time)
    require_used(images, quantification)
    time.require_used(len(images), integrated=images[0].volume.kind is Kind.DECAYS)
    administration = administration_of(images[0], quantification, lungs)
    if len(images) > 1:
        return _from_several(images, nuclide, quantification, time, administration)
    image = images[0]
    notes = overruled(image, quantification)
    if image.volume.kind is Kind.DECAYS:
        cleaned = handle_negatives(image.volume, negatives)
        held = cleaned.volume.total / decays_per_becquerel(nuclide.half_life_s)
        step = Provenance(steps=("Time-integrated activity taken from the image as it is.",))
        scale = image.acquisition.certainty.scale_relative_sd
        count = DecayCount(
            cleaned.volume, held, None, scale, step, (*notes, *cleaned.messages), calibration_relative_sd=scale
        )
        return _checked(count, cleaned.volume, administration, nuclide, image)
    quantified = becquerels(image, nuclide, quantification, negatives=negatives, lungs=lungs)
    since = _administered_at(image, quantification)
    half_life_s = nuclide.half_life_s
    stays = time == TimeOptions()
    given = administration is not None and quantified.activity.time == administration.time
    seen = quantified.activity
    integral = integrate_image(
        seen,
        seen if stays or given else at_scan(image, seen, half_life_s),
        half_life_s=half_life_s,
        time=time,
        since=since,
        by_administration=given,
        name=image.name,
    )
    inside = seen if within is None else seen.with_values((seen.values * within.full()).astype(seen.values.dtype))
    calibrated, in_time = quantified.scale_relative_sd, integral.common_relative_sd
    count = DecayCount(
        integral.decays,
        total_at(inside, half_life_s, since),
        None,
        math.hypot(calibrated, in_time) if calibrated is not None and in_time else calibrated,
        quantified.provenance.merged(integral.provenance),
        (*notes, *quantified.messages, *integral.messages),
        curve=integral.curve,
        calibration_relative_sd=calibrated,
        time_relative_sd=in_time,
    )
    return _checked(count, inside, administration, nuclide, image)


def negatives_of(stated: NegativeOption | None, images: Sequence[Image]) -> NegativeOption:
    """What happens to negative voxels; of an image whose method lets them go below zero they are kept by default.

    Its noise is as much below as above: set to zero one half would be taken away, and every mean would be too high.
    """
    return stated or ("keep" if any(image.acquisition.below_zero for image in images) else "zero")


def require_used(images: Sequence[Image], options: QuantificationOptions) -> None:
    """InputError if a calibration or a frame duration is stated that has no effect on these images."""
    calibration, image = camera_of(options), images[0]
    if any(item.volume.kind in (Kind.COUNTS, Kind.COUNT_RATE) for item in images):
        return
    holds = f"{image.name}: holds {image.volume.kind.meaning} ({image.volume.kind.unit}) and no counts"
    if options.frame_duration_s is not None:
        raise InputError(f"{holds}: `frame_duration_s` has no effect", remedy="leave it out")
    factor_alone = isinstance(calibration, Estimate) and calibration.sd is None
    if calibration is not None and (factor_alone or image.volume.kind is Kind.DECAYS):
        raise InputError(f"{holds}: `calibration` has no effect", remedy="leave it out")


def becquerels(
    image: Image,
    nuclide: Nuclide,
    options: QuantificationOptions,
    *,
    negatives: NegativeOption = "zero",
    lungs: LungsInView | None = None,
) -> Quantified:
    """`quantify` with what the options, and the files beside the image, say of calibration and administration.

    Counts are scaled to an administered activity only if it is stated: a header alone does not ask for that.
    """
    calibration = camera_of(options)
    from_file = isinstance(calibration, CameraCalibration)
    notes: tuple[Message, ...] = ()
    if isinstance(calibration, CameraCalibration) and image.volume.kind not in (Kind.COUNTS, Kind.COUNT_RATE):
        notes = _require_own(image, calibration)
    found = quantify(
        image,
        calibration,
        None if options.administered_bq is None else administration_of(image, options, lungs),
        nuclide=nuclide,
        frame_duration_s=options.frame_duration_s or (head_time_of(image) if from_file else None),
        negatives=negatives,
        conditions=conditions_of(image, nuclide_name=nuclide.name) if from_file else None,
    )
    return replace(found, messages=unique(notes, found.messages))


def _require_own(image: Image, calibration: CameraCalibration) -> tuple[Message, ...]:
    """Refuse a calibration for an image of activity that another one made; say where it is not known which did."""
    made, given = factor_in(image), calibration.factor.value
    if made is None:
        text = f"{image.name} does not say by which factor its activity was found: whether {given:.4g} cps/MBq is it"
        return (Message("calibration-not-compared", f"{text} could not be checked"),)
    if abs(made / given - 1) <= SAME_FACTOR:
        return ()
    by = f"by {made:.4g} cps/MBq" if made else "by the camera's model"
    raise InputError(
        f"{image.name}: its activity was found {by}, the calibration is {given:.4g} cps/MBq: its uncertainty is not "
        "that of the image",
        remedy="give the calibration with which it was reconstructed, or leave it out",
    )


def _checked(
    count: DecayCount, shown: Volume, administration: Administration | None, nuclide: Nuclide, image: Image
) -> DecayCount:
    """The count with the activity in the image compared with what was administered."""
    if administration is None:
        text = "the activity administered is not known: the activity in the image could not be checked against it"
        odd = total_implausible(shown.total, image.acquisition, nuclide) if shown.kind is Kind.ACTIVITY else ()
        return _saying(count, Message("activity-not-checked", text, "state `administered_bq`"), *odd)
    count = replace(count, provenance=count.provenance.adding(parameters=administration.parameters()))
    if shown.kind is Kind.ACTIVITY and (shown.time is None or administration.time is None):
        if shown.time is not None:
            text = "the time of the administration is not known: the activity in the image could not be checked"
            count = _saying(count, Message("activity-not-checked", text, "state `administered_at`"))
        return replace(count, expected_bq=administration.in_view.value)
    compared = compare_with_administered(shown, administration, half_life_s=nuclide.half_life_s)
    why = total_explained(compared.in_image_bq, compared.expected_bq, image.acquisition, nuclide)
    return replace(_saying(count, *compared.messages, *why), expected_bq=compared.expected_bq)


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
    since = _administered_at(images[0], quantification)
    if since is None:
        raise TimeError("several time points need the time of the administration", remedy="state it: `administered_at`")
    points, scales, notes = [], [], list(overruled(images[0], quantification))
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
        activity = at_scan(image, quantified.activity, nuclide.half_life_s)
        if activity.time is None:
            raise TimeError(
                f"{image.name}: has no reference time", remedy="state it for each image: `activity_at`, repeated"
            )
        points.append((seconds_between(since, activity.time), activity))
        scales.append(quantified.scale_relative_sd)
    calibrated = common_scale(scales)
    ordered = [activity for _, activity in sorted(points, key=lambda point: point[0])]
    volumes, cut = in_common_field(ordered)
    fitted = integrate_images(volumes, time, since=since, physical_half_life_s=nuclide.half_life_s)
    in_time = fitted.common_relative_sd
    count = DecayCount(
        fitted.decays,
        total_at(ordered[0], nuclide.half_life_s, since),
        None,
        # One camera factor scales all images alike, so it comes on top of the fit; unknown, it is left out.
        in_time if in_time is None or calibrated is None else math.hypot(in_time, calibrated),
        fitted.provenance,
        unique(notes, cut, fitted.messages),
        fitted.curve,
        calibrated,
        in_time,
    )
    return _checked(count, ordered[0], administration, nuclide, images[0])
