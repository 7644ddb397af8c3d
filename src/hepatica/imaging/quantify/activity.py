"""What an image holds in becquerels: from Bq/mL, from counts by camera factor, or from the activity administered.

Every result is Kind.ACTIVITY, becquerels per voxel at a stated instant. Decay is corrected by `hepatica.core.decay`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np

from hepatica.core import (
    Estimate,
    Kind,
    Provenance,
    Volume,
    acquisition_decay_factor,
    decay_factor,
    decays_per_becquerel,
    seconds_between,
)
from hepatica.core.message import Message
from hepatica.errors import InputError, TimeError, UnknownNameError

NegativeOption = Literal["zero", "keep", "refuse"]

NEGATIVE_LIMIT = 0.01
"""Negative voxels may add up to this share of the total before setting them to zero is refused. Our choice."""

DISAGREEMENT_LIMIT = 0.20
"""Difference between activity in the image and activity administered from which on a warning is given."""

BQ_PER_MBQ = 1e6


@dataclass(frozen=True, slots=True)
class Administration:
    """What was given to the patient, and how much of it an image can show.

    Parameters
    ----------
    activity : Estimate
        Activity in the vial or syringe in Bq at `time`, before the residual is taken off.
    time : datetime or None
        Of the administration; None where it is not known (an agent that stays in place can be dosed without).
    residual_fraction : Estimate
        Left behind in vial, tubing and catheter, of `activity` (both at one time).
    lung_shunt_fraction : Estimate
        Share of the delivered activity that went to the lungs.
    lungs_in_view : bool
        Whether the image shows the lungs; then the lung shunt is part of what it shows and is not taken off.
    outside_fraction : Estimate
        Share of the rest that lies outside the field of view.
    lung_share_in_view : float
        Share of the image that the lungs hold, where only part of them is in view: then only the part of the shunt out
        of view is taken off.

    Raises
    ------
    InputError
        If the activity is not positive or a fraction does not lie in 0 to 1 (1 excluded).
    """

    activity: Estimate
    time: datetime | None
    residual_fraction: Estimate = field(default=Estimate(0.0, 0.0))
    lung_shunt_fraction: Estimate = field(default=Estimate(0.0, 0.0))
    lungs_in_view: bool = False
    outside_fraction: Estimate = field(default=Estimate(0.0, 0.0))
    lung_share_in_view: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.activity.value < float("inf"):
            raise InputError(f"administered activity must be positive, not {self.activity.value} Bq")
        for name in ("residual_fraction", "lung_shunt_fraction", "outside_fraction"):
            value = getattr(self, name).value
            if not 0 <= value < 1:
                raise InputError(f"administration: {name} must lie between 0 and 1 (1 excluded), not {value}")

    @property
    def delivered(self) -> Estimate:
        """Activity in the patient at `time`, Bq: without the residual."""
        return self.activity * (1 - self.residual_fraction)

    @property
    def in_view(self) -> Estimate:
        """Activity that the image shows, at `time`, Bq.

        What is not in the lungs is delivered times one minus the shunt; the image holds that, and in it the share
        `lung_share_in_view` of lungs that are partly in view.
        """
        shown = self.delivered * (1 - self.outside_fraction)
        if self.lungs_in_view or self.lung_share_in_view >= self.lung_shunt_fraction.value > 0:
            return shown
        return shown * (1 - self.lung_shunt_fraction) / (1 - self.lung_share_in_view)

    def parameters(self) -> Mapping[str, Any]:
        """Plain values for the provenance."""
        return {
            "administered_activity_bq": self.activity.value,
            "administered_at": None if self.time is None else self.time.isoformat(),
            "residual_fraction": self.residual_fraction.value,
            "lung_shunt_fraction": self.lung_shunt_fraction.value,
            "lungs_in_view": self.lungs_in_view,
            "lung_share_in_view": self.lung_share_in_view,
            "outside_fraction": self.outside_fraction.value,
            "activity_in_view_bq": self.in_view.value,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Quantified:
    """Activity per voxel and how well its common scale is known.

    Attributes
    ----------
    activity : Volume
        Kind.ACTIVITY, Bq per voxel at ``activity.time``.
    scale_relative_sd : float or None
        Relative standard uncertainty of the factor common to all voxels; None if unknown.
    provenance : Provenance
        How it was made.
    messages : tuple of Message
        What must be said.
    """

    activity: Volume
    scale_relative_sd: float | None
    provenance: Provenance
    messages: tuple[Message, ...] = ()

    @property
    def concentration(self) -> Volume:
        """Bq/mL in every voxel."""
        activity = self.activity
        per_ml = activity.values / activity.values.dtype.type(activity.grid.voxel_volume_ml)
        return activity.with_values(per_ml, Kind.ACTIVITY_CONCENTRATION)

    @property
    def concentration_max_bq_ml(self) -> float:
        """Highest voxel."""
        return float(np.max(self.activity.values)) / self.activity.grid.voxel_volume_ml


@dataclass(frozen=True, slots=True, eq=False)
class WithoutNegatives:
    """A volume whose negative voxels were dealt with; what was changed and what must be said about it."""

    volume: Volume
    voxels: int
    removed: float
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class ActivityComparison:
    """Activity in the image against activity administered, both at the time of administration, Bq."""

    in_image_bq: float
    expected_bq: float
    messages: tuple[Message, ...]

    @property
    def ratio(self) -> float:
        """Image over administration."""
        return self.in_image_bq / self.expected_bq


def handle_negatives(volume: Volume, option: NegativeOption, *, limit: float = NEGATIVE_LIMIT) -> WithoutNegatives:
    """Decide about negative voxels (reconstruction noise), the one place where hepatica does.

    Parameters
    ----------
    volume : Volume
        Activity, concentration, counts or decays.
    option : {"zero", "keep", "refuse"}
        "zero" sets them to zero and says how much that adds; "keep" leaves them, for unbiased means; "refuse" refuses.
    limit : float
        With "zero": largest sum of negative voxels, as a share of the (positive) total, that is taken for noise.

    Raises
    ------
    UnitError
        If a voxel is NaN or infinite.
    InputError
        If the total is not positive, negatives are to be refused, or exceed the limit.
    """
    if option not in get_args(NegativeOption):
        raise UnknownNameError("option for negative voxels", option, get_args(NegativeOption))
    volume.require_finite()
    name = volume.name or volume.kind.meaning
    negative = volume.values < 0
    count = int(negative.sum())
    total = float(volume.values.sum(dtype=np.float64))
    if not total > 0:
        raise InputError(f"{name}: the sum over all voxels is {total:.4g}; there is no activity in it")
    if not count:
        return WithoutNegatives(volume, 0, 0.0, ())
    amount = float(volume.values.sum(dtype=np.float64, where=negative))
    text = f"{name}: {count} voxels are negative; together they are {100 * -amount / total:.3g} % of the total"
    if option == "keep":
        kept = Message("negative-voxels", f"{text}; they are kept", severity="note")
        return WithoutNegatives(volume, count, 0.0, (kept,))
    if option == "refuse" or -amount > limit * total:
        noise = f"; up to {100 * limit:g} % would be taken for noise and set to zero ('keep' leaves them)"
        allowed = "" if option == "refuse" else noise
        raise InputError(f"{text}{allowed}")
    cleaned = volume.with_values(np.maximum(volume.values, 0))
    note = Message("negative-voxels", f"{text}; they are set to zero, which adds as much")
    return WithoutNegatives(cleaned, count, -amount, (note,))


def decay_correct(activity: Volume, half_life_s: float, at: datetime) -> Volume:
    """Same activity (or concentration) at another instant, physical decay only.

    Raises
    ------
    UnitError
        If the volume is neither an activity nor a concentration.
    TimeError
        If the volume has no reference time, or only one of the two times has a time zone.
    """
    activity.require_kind(Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION)
    factor = decay_factor(seconds_between(_time_of(activity), at), half_life_s)
    return activity.with_values(activity.values * np.float32(factor), time=at)


def total_at(activity: Volume, half_life_s: float, at: datetime | None) -> float:
    """Becquerels in an image at an instant; at its own where either is unknown."""
    if at is None or activity.time is None:
        return activity.total
    return activity.total / decay_factor(seconds_between(at, activity.time), half_life_s)


def activity_from_concentration(image: Volume, *, half_life_s: float, at: datetime | None = None) -> Quantified:
    """Bq per voxel from Bq/mL (PET, calibrated SPECT), at `at` or at the image's own time.

    Raises
    ------
    UnitError
        If the image is not in Bq/mL, or a voxel is NaN or infinite.
    TimeError
        If `at` is given and the image has no reference time.
    """
    image.require_kind(Kind.ACTIVITY_CONCENTRATION)
    image.require_finite()
    activity = image.with_values(image.values * np.float32(image.grid.voxel_volume_ml), Kind.ACTIVITY)
    step = "Activity per voxel from concentration (Bq/mL) times voxel volume."
    return Quantified(_at(activity, half_life_s, at), None, Provenance(steps=(step,)))


def activity_by_camera_factor(
    image: Volume,
    factor_cps_per_mbq: Estimate,
    *,
    half_life_s: float,
    frame_duration_s: float | None = None,
    decay_corrected: bool = False,
    at: datetime | None = None,
) -> Quantified:
    """Bq per voxel from reconstructed counts and the camera's sensitivity.

    ``A(start) = counts / (factor * duration * f)``, with f the mean decay during the frame
    (`core.acquisition_decay_factor`).

    Parameters
    ----------
    image : Volume
        Kind.COUNTS, or Kind.COUNT_RATE as mean over the frame; ``image.time`` is the start of the frame.
    factor_cps_per_mbq : Estimate
        Counts per second in the reconstruction per MBq, of the same collimator, window and reconstruction.
    half_life_s : float
        Physical half-life.
    frame_duration_s : float, optional
        Duration of the acquisition (all projections). Needed for counts. Without it a count rate is taken as that of
        the frame's start.
    decay_corrected : bool
        Whether the counts were corrected for decay already (DICOM Corrected Image DECY); then f is 1, and the result
        is at the instant that they were corrected to, ``image.time``.
    at : datetime, optional
        Instant wanted; default the image's own.

    Raises
    ------
    UnitError
        If the image is neither counts nor a count rate, or not finite.
    InputError
        If the factor is not positive, or counts come without a duration.
    """
    image.require_kind(Kind.COUNTS, Kind.COUNT_RATE)
    image.require_finite()
    if not 0 < factor_cps_per_mbq.value < float("inf"):
        raise InputError(f"camera factor must be positive, not {factor_cps_per_mbq.value} cps/MBq")
    if frame_duration_s is not None and not 0 < frame_duration_s < float("inf"):
        raise InputError(f"frame duration must be positive, not {frame_duration_s} s")
    if image.kind is Kind.COUNTS and frame_duration_s is None:
        raise InputError("counts need the frame duration to become a count rate")
    decays_in_frame = frame_duration_s is not None and not decay_corrected
    mean_decay = acquisition_decay_factor(frame_duration_s or 0.0, half_life_s) if decays_in_frame else 1.0
    seconds = frame_duration_s if image.kind is Kind.COUNTS and frame_duration_s else 1.0
    bq_per_value = BQ_PER_MBQ / (factor_cps_per_mbq.value * seconds * mean_decay)
    activity = image.with_values(image.values * np.float32(bq_per_value), Kind.ACTIVITY)
    return Quantified(
        _at(activity, half_life_s, at),
        factor_cps_per_mbq.relative_sd,
        Provenance(
            parameters={
                "camera_factor_cps_per_mbq": factor_cps_per_mbq.value,
                "camera_factor_sd_cps_per_mbq": factor_cps_per_mbq.sd,
                "frame_duration_s": frame_duration_s,
            },
            steps=(
                "Activity per voxel from counts by camera factor; decay during the frame was corrected "
                + ("by the scanner." if decay_corrected else "to its start."),
            ),
        ),
    )


def activity_by_administration(
    image: Volume, administration: Administration, *, half_life_s: float, at: datetime | None = None
) -> Quantified:
    """Bq per voxel by sharing out the known activity in view in proportion to the image (patient-relative calibration).

    ``A(voxel) = value / sum of values * administered * (1 - residual) * (1 - lung shunt) * (1 - outside)``, decayed
    from the administration to `at`. Only the image's distribution is used, so it may come from a surrogate (MAA). The
    agent is taken as not leaving the field of view.

    Parameters
    ----------
    image : Volume
        Counts, count rate, activity or concentration.
    administration : Administration
        What was given and how much of it the image shows.
    half_life_s : float
        Physical half-life of what was given.
    at : datetime, optional
        Instant wanted; default the administration.

    Raises
    ------
    UnitError
        If the image holds something else, or is not finite.
    InputError
        If its sum is not positive.
    TimeError
        If `at` is given and the time of the administration is not known.
    """
    image.require_kind(Kind.COUNTS, Kind.COUNT_RATE, Kind.ACTIVITY, Kind.ACTIVITY_CONCENTRATION)
    image.require_finite()
    total = float(image.values.sum(dtype=np.float64))
    if not total > 0:
        raise InputError(f"{image.name or image.kind.meaning}: the sum over all voxels is {total:.4g}: no activity")
    in_view = administration.in_view
    instant = at or administration.time
    decay = 1.0 if at is None else decay_factor(seconds_between(_known(administration.time), at), half_life_s)
    values = image.values * np.float32(in_view.value * decay / total)
    return Quantified(
        image.with_values(values, Kind.ACTIVITY, time=instant),
        in_view.relative_sd,
        Provenance(
            parameters=administration.parameters(),
            conventions={"calibration": "patient-relative: image shares times the administered activity in view"},
            steps=("Activity per voxel from the administered activity in view, shared out as the image shows.",),
        ),
    )


def compare_with_administered(
    activity: Volume, administration: Administration, *, half_life_s: float, limit: float = DISAGREEMENT_LIMIT
) -> ActivityComparison:
    """Activity that the image holds against what was given and should be in view, at the time of administration.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY with a time, or Kind.DECAYS of an agent that stays in place (its activity at the administration
        is the number of decays over the mean life).
    administration : Administration
        What was given.
    half_life_s : float
        Physical half-life.
    limit : float
        Relative difference above which there is a warning.

    Raises
    ------
    UnitError, TimeError
        If the volume is of another kind or has no time.
    """
    activity.require_kind(Kind.ACTIVITY, Kind.DECAYS)
    if activity.kind is Kind.DECAYS:
        found = activity.total / decays_per_becquerel(half_life_s)
    else:
        elapsed = seconds_between(_known(administration.time), _time_of(activity))
        found = activity.total / decay_factor(elapsed, half_life_s)
    expected = administration.in_view.value
    difference = found / expected - 1
    text = (
        f"the image holds {found / BQ_PER_MBQ:.4g} MBq at the time of administration; of the activity administered "
        f"{expected / BQ_PER_MBQ:.4g} MBq should be in view: {100 * difference:+.0f} %"
    )
    messages = () if abs(difference) <= limit else (Message("activity-disagrees", text),)
    return ActivityComparison(found, expected, messages)


def _at(activity: Volume, half_life_s: float, at: datetime | None) -> Volume:
    return activity if at is None else decay_correct(activity, half_life_s, at)


def _known(administered_at: datetime | None) -> datetime:
    if administered_at is None:
        raise TimeError("the time of the administration is not known; state it")
    return administered_at


def _time_of(volume: Volume) -> datetime:
    if volume.time is None:
        raise TimeError(
            f"{volume.name or volume.kind.meaning}: has no reference time, so it cannot be decay-corrected; state it"
        )
    return volume.time
