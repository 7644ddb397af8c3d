"""To which instant the values of a PET series refer, and what the scanner multiplied them by to get there.

DICOM (PS3.3, C.8.9.1.1.5): DecayCorrection START refers to the start of the acquisition, ADMIN to the start of the
administration, NONE to nothing: each slice then holds the mean activity over its own frame. The time of the series is
not always the start of the acquisition: a processed series may carry the time at which it was made (QIBA's vendor-
neutral SUV rules name the same trap). `DecayFactor` tells them apart, for it is the factor from a frame to the
reference.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from statistics import median

from hepatica.core import acquisition_decay_factor, decay_factor, seconds_between
from hepatica.core.message import Message
from hepatica.errors import TimeError
from hepatica.io.dicom.images.radiopharmaceutical import CLOCK_TOLERANCE_S, Radiopharmaceutical, known_half_life_s
from hepatica.io.dicom.series import acquisition_start
from hepatica.io.dicom.tags import Header

ACTIVITY_TOLERANCE = 0.005
"""Two candidates for the reference instant count as one if the activity differs by less than this between them
(47 s for 18F, 28 min for 90Y): well below the calibration of any PET (about 5 %)."""

SECONDS_TOLERANCE = 60.0
"""The same where the half-life is unknown."""

FACTOR_TOLERANCE = 0.02
"""A DecayFactor further than this from the one that DecayCorrection ADMIN or NONE needs denies it: the clocks of
administration and scanner, minutes apart, make up to 1 % of 18F."""

NIGHT_S = 12 * 3600.0
"""Slices of one series and one date that lie further apart than this crossed midnight."""


@dataclass(frozen=True, slots=True)
class Frame:
    """When one slice was acquired: start, and duration in s (None if the header does not say)."""

    start: datetime
    duration_s: float | None
    decay_factor: float | None
    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The instant that values refer to.

    Attributes
    ----------
    time : datetime
        The instant.
    rule : str
        How it was found, for the provenance.
    correction : str
        "START", "ADMIN" or "NONE" as in the file.
    factors : tuple of float
        What each slice's values must be multiplied by to refer to `time` (1 unless the file has no correction).
    messages : tuple of Message
        What was assumed.
    """

    time: datetime
    rule: str
    correction: str
    factors: tuple[float, ...]
    messages: tuple[Message, ...] = ()


def frames_of(headers: Sequence[Header]) -> list[Frame]:
    """Start and duration of every slice.

    Raises
    ------
    TimeError
        If a file has no acquisition date or time.
    """
    starts, _ = acquisition_starts(headers)
    frames = []
    for header, start in zip(headers, starts, strict=True):
        if start is None:
            raise TimeError(f"{header.path}: AcquisitionDate and AcquisitionTime: missing; state the reference time")
        duration_ms = header.number("ActualFrameDuration")
        if duration_ms is not None and duration_ms < 0:
            raise TimeError(f"{header.path}: ActualFrameDuration: {duration_ms:g} ms is negative")
        factor = header.number("DecayFactor")
        frames.append(
            Frame(
                start,
                duration_ms / 1000 if duration_ms else None,
                factor if factor and factor > 0 else None,
                str(header.path),
            )
        )
    return frames


def acquisition_starts(
    headers: Sequence[Header], *, strict: bool = True
) -> tuple[list[datetime | None], tuple[Message, ...]]:
    """When the acquisition of each slice began; of a scan over midnight whose date was not advanced, the true days.

    Parameters
    ----------
    headers : sequence of Header
        One per slice.
    strict : bool
        Whether a scan over midnight is refused where nothing confirms its first day.

    Raises
    ------
    TimeError
        If a date or a time cannot be read, or slices of one date lie more than half a day apart and it is not known on
        which day the series began.
    """
    starts = [acquisition_start(header) for header in headers]
    known = sorted(start for start in starts if start is not None)
    if not known or known[0].date() != known[-1].date():
        return starts, ()
    gaps = [seconds_between(a, b) for a, b in itertools.pairwise(known)]
    if not gaps or max(gaps) <= NIGHT_S:
        return starts, ()
    evening = known[gaps.index(max(gaps)) + 1]
    first = headers[0]
    series = first.date_and_time("SeriesDate", "SeriesTime", first.zone())
    confirmed = series is not None and abs(seconds_between(series, evening)) <= CLOCK_TOLERANCE_S
    if strict and not confirmed:
        raise TimeError(
            f"{first.path}: AcquisitionTime: slices of one series began at {known[0]:%H:%M} and {known[-1]:%H:%M} of "
            f"one date, {known[0]:%Y-%m-%d}: the scan went over midnight and its date was not advanced, or there are "
            "two scans",
            remedy="state the instant that the values refer to (`activity_at`)",
        )
    text = (
        f"the scan went over midnight and AcquisitionDate was not advanced: slices before {evening:%H:%M} are taken as "
        "of the next day"
    )
    moved = [start + timedelta(days=1) if start is not None and start < evening else start for start in starts]
    return moved, (Message("scan-over-midnight", text),)


def correction_of(headers: Sequence[Header]) -> str:
    """DecayCorrection of a series: "START", "ADMIN" or "NONE".

    Raises
    ------
    TimeError
        If it is missing, unknown, differs between files, or contradicts CorrectedImage.
    """
    first = headers[0]
    found = {header.text("DecayCorrection") for header in headers}
    if len(found) > 1:
        raise TimeError(f"{first.path}: DecayCorrection: differs within the series ({', '.join(sorted(found))})")
    correction = found.pop()
    if correction not in ("START", "ADMIN", "NONE"):
        what = f"{correction!r} is not START, ADMIN or NONE" if correction else "is missing"
        raise TimeError(f"{first.path}: DecayCorrection: {what}; state the reference time")
    corrections = first.texts("CorrectedImage")
    if corrections and ("DECY" in corrections) is (correction == "NONE"):
        raise TimeError(
            f"{first.path}: DecayCorrection {correction} contradicts CorrectedImage {'/'.join(corrections)}: "
            "DECY stands for decay-corrected"
        )
    return correction


def reference_of(headers: Sequence[Header], agent: Radiopharmaceutical) -> Reference:
    """Reference instant of a PET series, by the rules at the top of this file.

    Raises
    ------
    TimeError
        If times are missing or contradict each other by more than `ACTIVITY_TOLERANCE` of the activity.
    """
    correction = correction_of(headers)
    if correction == "ADMIN":
        return _administration_reference(headers, agent)
    frames = frames_of(headers)
    start = min(frame.start for frame in frames)
    if correction == "NONE":
        _require_uncorrected(frames, agent.half_life_s)
        factors = tuple(_to_start(frame, start, agent.half_life_s) for frame in frames)
        rule = "DecayCorrection NONE: each slice corrected here to the earliest acquisition start of the series"
        return Reference(start, rule, correction, factors)
    time, rule, messages = _start_reference(headers[0], frames, start, agent.half_life_s)
    return Reference(time, f"DecayCorrection START: {rule}", correction, (1.0,) * len(headers), messages)


def _administration_reference(headers: Sequence[Header], agent: Radiopharmaceutical) -> Reference:
    """Reference of DecayCorrection ADMIN; TimeError if its instant is unknown or DecayFactor denies it."""
    half_life_s = agent.half_life_s or known_half_life_s(agent.nuclide)
    tolerance_s = FACTOR_TOLERANCE * half_life_s / math.log(2) if half_life_s else SECONDS_TOLERANCE
    found: list[tuple[str, datetime]] = []
    if half_life_s and all(acquisition_start(header) and "DecayFactor" in header for header in headers):
        frames = frames_of(headers)
        found = _by_decay_factor(frames, half_life_s, tolerance_s)
    start, rule = agent.start, "DecayCorrection ADMIN: start of the administration"
    if start is None and agent.clock is not None and found:
        start = _day_by_factor(agent.clock, found, tolerance_s)
        rule += ", its day by DecayFactor"
    if start is None:
        raise TimeError(
            f"{headers[0].path}: RadiopharmaceuticalStartDateTime: missing, but the values are decay-corrected "
            "to the administration",
            remedy="state `administered_at`",
        )
    notes: tuple[Message, ...] = ()
    if found and half_life_s:
        off_s = min((seconds_between(instant, start) for _, instant in found), key=abs)
        if abs(off_s) > tolerance_s:
            elapsed_s = seconds_between(start, frames[0].start)
            factor = frames[0].decay_factor or math.nan
            raise TimeError(
                f"{headers[0].path}: DecayFactor: DecayCorrection ADMIN over {elapsed_s / 3600:.3g} h needs "
                f"{1 / decay_factor(elapsed_s, half_life_s):.4g}, the file says {factor:.4g}",
                remedy="export the series again, or state the instant that its values refer to (`activity_at`)",
            )
        if abs(off_s) > CLOCK_TOLERANCE_S:
            text = (
                f"DecayFactor and the start of the administration, {start.isoformat(sep=' ')}, lie "
                f"{abs(off_s) / 60:.0f} min apart: the clocks of scanner and administration differ"
            )
            notes = (Message("scanner-clock-differs", text, "check both clocks"),)
    if not found and half_life_s:
        notes = _about_unconfirmed(headers, start, half_life_s)
    return Reference(start, rule, "ADMIN", (1.0,) * len(headers), notes)


def _about_unconfirmed(headers: Sequence[Header], start: datetime, half_life_s: float) -> tuple[Message, ...]:
    """That nothing but one word says that values are of the administration, where that changes them."""
    scanned = [instant for header in headers if (instant := acquisition_start(header)) is not None]
    if not scanned:
        return ()
    elapsed_s = seconds_between(start, min(scanned))
    kept = decay_factor(elapsed_s, half_life_s)
    if abs(kept - 1) <= FACTOR_TOLERANCE:
        return ()
    off = f"{100 * abs(1 - kept):.1f} % too {'low' if kept < 1 else 'high'}"
    text = (
        f"{headers[0].path}: DecayCorrection says ADMIN and no DecayFactor confirms it: values that are of the scan's "
        f"start, {elapsed_s / 3600:.3g} h after the administration, are then read {off}"
    )
    remedy = "hold the total against what was administered; export with DecayFactor, or state `activity_at`"
    return (Message("administration-not-confirmed", text, remedy),)


def _day_by_factor(clock: time, found: Sequence[tuple[str, datetime]], tolerance_s: float) -> datetime | None:
    """The instant at this time of day to which DecayFactor leads; None if it leads to none, or to several."""
    days = set()
    for _, instant in found:
        near = [datetime.combine(instant, clock, instant.tzinfo) + timedelta(days=shift) for shift in range(-3, 4)]
        fitting = [day for day in near if abs(seconds_between(day, instant)) <= min(tolerance_s, NIGHT_S / 2)]
        days |= set(fitting)
    return days.pop() if len(days) == 1 else None


def _require_uncorrected(frames: Sequence[Frame], half_life_s: float | None) -> None:
    """TimeError if a DecayFactor denies that the values are as they were acquired."""
    for frame in frames:
        if frame.decay_factor is None:
            continue
        allowed = [1.0]
        if frame.duration_s and half_life_s:
            allowed.append(1 / acquisition_decay_factor(frame.duration_s, half_life_s))
        if all(abs(frame.decay_factor / factor - 1) > FACTOR_TOLERANCE for factor in allowed):
            raise TimeError(
                f"{frame.name}: DecayFactor: DecayCorrection NONE means a factor of 1, the file says "
                f"{frame.decay_factor:.4g}",
                remedy="export the series again",
            )


def decay_from_frame(frame: Frame, to: datetime, half_life_s: float) -> float:
    """What takes the mean activity over a frame to the activity at `to`.

    Raises
    ------
    TimeError
        If the duration of the frame is unknown.
    """
    if frame.duration_s is None:
        raise TimeError(f"{frame.name}: ActualFrameDuration: missing, so the decay during the frame is unknown")
    within = acquisition_decay_factor(frame.duration_s, half_life_s)
    return decay_factor(seconds_between(frame.start, to), half_life_s) / within


def _to_start(frame: Frame, start: datetime, half_life_s: float | None) -> float:
    if half_life_s is None:
        raise TimeError(f"{frame.name}: RadionuclideHalfLife: missing, and the values are not decay-corrected")
    return decay_from_frame(frame, start, half_life_s)


def _start_reference(
    first: Header, frames: Sequence[Frame], start: datetime, half_life_s: float | None
) -> tuple[datetime, str, tuple[Message, ...]]:
    """Reference instant of DecayCorrection START, with the rule and messages."""
    zone = first.zone()
    series = first.date_and_time("SeriesDate", "SeriesTime", zone)
    candidates = [("earliest acquisition start of the series", start)]
    if (private := _ge_scan_time(first)) is not None:
        candidates.append(("GE private scan time (0009,xx0D)", private))
    if series is not None:
        candidates.append(("SeriesDate and SeriesTime", series))
    tolerance_s = ACTIVITY_TOLERANCE * half_life_s / math.log(2) if half_life_s else SECONDS_TOLERANCE
    by_factor = _by_decay_factor(frames, half_life_s, tolerance_s)
    for how, instant in by_factor:
        for name, candidate in candidates:
            if abs(seconds_between(instant, candidate)) <= tolerance_s:
                return candidate, f"{name}, confirmed by DecayFactor ({how})", ()
    if by_factor:
        listed = "; ".join(f"{name} {instant.isoformat(sep=' ')}" for name, instant in candidates)
        raise TimeError(
            f"{first.path}: DecayFactor: leads to {by_factor[0][1].isoformat(sep=' ', timespec='seconds')}, "
            f"which is none of: {listed}; state the reference time"
        )
    apart_s = 0.0 if series is None else seconds_between(start, series)
    if series is None or abs(apart_s) <= tolerance_s:
        return start, "earliest acquisition start of the series", _clock_note(series, apart_s)
    if private is not None:
        return private, "GE private scan time (0009,xx0D): SeriesTime differs from the acquisition", ()
    if series > start and apart_s > 2 * NIGHT_S - 3 * 3600 and series.date() == start.date():
        raise TimeError(
            f"{first.path}: SeriesTime {series:%H:%M} and the first AcquisitionTime {start:%H:%M} of one date: the "
            "series may have begun before midnight and AcquisitionDate not been advanced",
            remedy="state the instant that the values refer to (`activity_at`)",
        )
    if series > start:
        text = f"SeriesTime {series.isoformat(sep=' ')} is later than the acquisition: taken as the time of processing"
        return (
            start,
            "earliest acquisition start of the series; SeriesTime is later",
            (Message("series-time-later", text),),
        )
    raise TimeError(
        f"{first.path}: SeriesTime {series.isoformat(sep=' ')} is earlier than the first AcquisitionTime "
        f"{start.isoformat(sep=' ')}, and no DecayFactor says to which of them the values refer (are bed positions "
        "missing?); state the reference time"
    )


def _clock_note(series: datetime | None, apart_s: float) -> tuple[Message, ...]:
    """What is said of a series and its acquisition that began at times that differ, though little decays meanwhile."""
    if series is None or abs(apart_s) <= CLOCK_TOLERANCE_S:
        return ()
    text = (
        f"SeriesTime {series.isoformat(sep=' ')} lies {abs(apart_s) / 60:.0f} min "
        f"{'after' if apart_s > 0 else 'before'} the first acquisition, to which the values are taken to refer"
    )
    return (Message("series-time-differs", text),)


def _by_decay_factor(
    frames: Sequence[Frame], half_life_s: float | None, tolerance_s: float
) -> list[tuple[str, datetime]]:
    """Reference instants that the decay factors lead to: from the frame's mean activity, or from the frame's start.

    The factor belongs to the mean activity over the frame; some scanners give the one for the frame's start.
    """
    if half_life_s is None:
        return []
    from_mean, from_start = [], []
    for frame in frames:
        if frame.decay_factor is None or frame.duration_s is None:
            return []
        back_s = half_life_s * math.log2(frame.decay_factor)
        # Time into the frame at which the activity equals its mean (DICOM PS3.3, C.8.9.4.1.5).
        mean_s = -half_life_s * math.log2(acquisition_decay_factor(frame.duration_s, half_life_s))
        offset_s = seconds_between(frames[0].start, frame.start)
        from_mean.append(offset_s + mean_s - back_s)
        from_start.append(offset_s - back_s)
    if max(from_start) - min(from_start) > 2 * tolerance_s and max(from_mean) - min(from_mean) > 2 * tolerance_s:
        raise TimeError(
            f"{frames[0].name}: DecayFactor: the slices' factors lead to instants "
            f"{max(from_mean) - min(from_mean):.0f} s apart; state the reference time"
        )
    try:
        return [
            ("from the mean of each frame", frames[0].start + timedelta(seconds=median(from_mean))),
            ("from the start of each frame", frames[0].start + timedelta(seconds=median(from_start))),
        ]
    except OverflowError:
        raise TimeError(f"{frames[0].name}: DecayFactor: leads to no date") from None


def _ge_scan_time(header: Header) -> datetime | None:
    value = header.private(0x0009, "GEMS_PETD_01", 0x0D)
    if not value:
        return None
    from pydicom.dataset import Dataset

    holder = Dataset()
    holder.AcquisitionDateTime = str(value)
    return Header(holder, header.path, header.problems).instant("AcquisitionDateTime", header.zone())
