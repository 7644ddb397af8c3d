"""An image in becquerels, whatever it holds: the way from counts, count rate or Bq/mL is chosen by what is known."""

from __future__ import annotations

from dataclasses import replace

from hepatica.core import Estimate, Kind, Provenance, Volume, decay_factor, seconds_between
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.errors import InputError, UnitError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.activity import (
    Administration,
    NegativeOption,
    Quantified,
    activity_by_administration,
    activity_by_camera_factor,
    activity_from_concentration,
    handle_negatives,
)
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.nuclides import Nuclide

CORRECTED = ("START", "ADMIN")
"""Words of DICOM for counts that were corrected for decay already."""


def quantify(
    image: Image,
    calibration: CameraCalibration | Estimate | None = None,
    administration: Administration | None = None,
    *,
    nuclide: Nuclide,
    frame_duration_s: float | None = None,
    negatives: NegativeOption = "zero",
    conditions: Conditions | None = None,
) -> Quantified:
    """Activity in every voxel of an image, at the instant it refers to (by administration: at the administration).

    Bq/mL and Bq are taken as they are; counts and count rates become becquerels by the camera factor, else by the
    activity administered.

    What is known of the common scale is in the result once: of Bq/mL and Bq what their maker says of it, or in its
    place that of a calibration that is stated; of counts that of the camera factor; of counts that are scaled to an
    activity administered that of this activity alone, since the scale of the counts then falls out.

    Parameters
    ----------
    image : Image
        Counts, count rate, Bq/mL or Bq.
    calibration : CameraCalibration or Estimate, optional
        Of the camera; an Estimate is a factor in cps/MBq. Of an image that is in becquerels already it gives the
        uncertainty alone.
    administration : Administration, optional
        To which counts are scaled where there is no calibration.
    nuclide : Nuclide
        What is in the patient.
    frame_duration_s : float, optional
        Time in which counts were collected, all views of all heads added up; else as the image says.
    negatives : {"zero", "keep", "refuse"}
        What happens to negative voxels, see `handle_negatives`.
    conditions : Conditions, optional
        Under which the image was made, to compare with those of the calibration; else as the image says.

    Raises
    ------
    UnitError
        If the image holds no activity, or counts come without calibration and administration.
    InputError
        If the calibration is of other conditions, or counts come without a duration.
    """
    cleaned = handle_negatives(image.volume, negatives)
    checked = replace(image, volume=cleaned.volume)
    found = _becquerels(checked, calibration, administration, nuclide, frame_duration_s)
    notes: tuple[Message, ...] = ()
    if isinstance(calibration, CameraCalibration):
        notes = fit_messages(image, calibration, conditions or conditions_stated(image, nuclide))
    return replace(found, messages=unique(notes, cleaned.messages, found.messages))


def _becquerels(
    image: Image,
    calibration: CameraCalibration | Estimate | None,
    administration: Administration | None,
    nuclide: Nuclide,
    frame_duration_s: float | None,
) -> Quantified:
    """Becquerels per voxel by the way that unit and arguments allow."""
    volume = image.volume
    factor = calibration.factor if isinstance(calibration, CameraCalibration) else calibration
    stated = None if factor is None else factor.relative_sd
    own = image.acquisition.certainty.scale_relative_sd
    # An image's own holds the factor's, and counts through lead that were fitted beside it.
    sd = own if stated is None else max(stated, own or 0.0)
    if volume.kind is Kind.ACTIVITY_CONCENTRATION:
        found = activity_from_concentration(volume, half_life_s=nuclide.half_life_s)
        return replace(found, scale_relative_sd=sd)
    if volume.kind is Kind.ACTIVITY:
        return Quantified(volume, sd, Provenance(steps=("Activity per voxel taken from the image as it is.",)))
    if volume.kind not in (Kind.COUNTS, Kind.COUNT_RATE):
        raise UnitError(
            f"{image.name}: holds {volume.kind.meaning}, which is no activity",
            remedy="state what it holds: `activity_unit` 'Bq/mL', 'MBq h' or 'counts'",
        )
    if factor is not None:
        return activity_by_camera_factor(
            volume,
            factor,
            half_life_s=nuclide.half_life_s,
            frame_duration_s=frame_duration_s or duration_s(image),
            decay_corrected=image.acquisition.decay_correction in CORRECTED,
        )
    if administration is None:
        raise UnitError(
            f"{image.name}: holds {volume.kind.meaning}; to become becquerels they need a camera factor or the "
            "activity administered",
            remedy="state `calibration` '4.6 cps/MBq' or `administered_bq` '2.1 GBq'",
        )
    return activity_by_administration(volume, administration, half_life_s=nuclide.half_life_s)


def fit_messages(image: Image, calibration: CameraCalibration, made: Conditions) -> tuple[Message, ...]:
    """What must be said of a calibration: what could not be compared, and that Bq/mL take its uncertainty alone.

    Raises
    ------
    InputError
        If the image was made under other conditions than the calibration.
    """
    notes = [*calibration.messages, *calibration.conditions.require_fit(made, "camera factor")]
    if image.volume.kind not in (Kind.COUNTS, Kind.COUNT_RATE):
        text = f"{image.name} is in {image.volume.kind.unit}: of the calibration the uncertainty is taken"
        notes.append(Message("calibration-gives-uncertainty", text, severity="note"))
    return tuple(notes)


def conditions_stated(image: Image, nuclide: Nuclide) -> Conditions:
    """Under which conditions an image was made, as far as it says itself."""
    windows = image.acquisition.energy_windows_kev
    return Conditions(nuclide.name, None, windows[0] if len(windows) == 1 else None, image.grid.spacing_mm)


def duration_s(image: Image) -> float | None:
    """Duration of the whole acquisition; None where it is not known.

    Raises
    ------
    InputError
        If the file gives that of one projection alone: how many heads turned is then not known.
    """
    facts = image.acquisition
    if facts.frame_duration_s is not None and facts.projections:
        raise InputError(
            f"{image.name}: the file gives {facts.frame_duration_s:g} s for each of {facts.projections} "
            "projections, but not how many heads turned",
            remedy="state the time in which the counts were collected: `frame_duration_s`, such as '20 min'",
        )
    return facts.frame_duration_s


def at_scan(image: Image, activity: Volume, half_life_s: float) -> Volume:
    """Activity at the start of the scan: a physical decay correction to another instant is undone.

    Between administration and scan the agent leaves with the effective half-life, which the scanner did not know.
    """
    start = image.acquisition.start
    if start is None or activity.time is None or start == activity.time:
        return activity
    factor = decay_factor(seconds_between(activity.time, start), half_life_s)
    return activity.with_values(activity.values * activity.values.dtype.type(factor), time=start)
