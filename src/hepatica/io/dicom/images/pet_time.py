"""To which instant the values of a PET series refer, and what the scanner multiplied them by to get there.

DICOM (PS3.3, C.8.9.1.1.5): DecayCorrection START refers to the start of the acquisition, ADMIN to the start of the
administration, NONE to nothing: each slice then holds the mean activity over its own frame. The time of the series is
not always the start of the acquisition: a processed series may carry the time at which it was made (QIBA's vendor-
neutral SUV rules name the same trap). `DecayFactor` tells them apart, for it is the factor from a frame to the
reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from hepatica.core import acquisition_decay_factor, decay_factor, seconds_between
from hepatica.core.message import Message
from hepatica.errors import TimeError
from hepatica.io.dicom.images.radiopharmaceutical import Radiopharmaceutical
from hepatica.io.dicom.series import acquisition_start
from hepatica.io.dicom.tags import Header

ACTIVITY_TOLERANCE = 0.005
"""Two candidates for the reference instant count as one if the activity differs by less than this between them
(47 s for 18F, 28 min for 90Y): well below the calibration of any PET (about 5 %)."""

SECONDS_TOLERANCE = 60.0
"""The same where the half-life is unknown."""


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
    frames = []
    for header in headers:
        start = acquisition_start(header)
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
        if agent.start is None:
            raise TimeError(
                f"{headers[0].path}: RadiopharmaceuticalStartDateTime: missing, but the values are decay-corrected "
                "to the administration"
            )
        rule = "DecayCorrection ADMIN: start of the administration"
        return Reference(agent.start, rule, correction, (1.0,) * len(headers))
    frames = frames_of(headers)
    start = min(frame.start for frame in frames)
    if correction == "NONE":
        factors = tuple(_to_start(frame, start, agent.half_life_s) for frame in frames)
        rule = "DecayCorrection NONE: each slice corrected here to the earliest acquisition start of the series"
        return Reference(start, rule, correction, factors)
    time, rule, messages = _start_reference(headers[0], frames, start, agent.half_life_s)
    return Reference(time, f"DecayCorrection START: {rule}", correction, (1.0,) * len(headers), messages)


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
    if series is None or abs(seconds_between(series, start)) <= tolerance_s:
        return start, "earliest acquisition start of the series", ()
    if private is not None:
        return private, "GE private scan time (0009,xx0D): SeriesTime differs from the acquisition", ()
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
