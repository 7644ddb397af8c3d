"""By which clock a reconstructed PET tells its start: raw data keep UTC or the scanner's clock, a CT its own zone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from hepatica.core.context import DicomContext
from hepatica.core.message import Message
from hepatica.errors import InputError, TimeError

OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Clock:
    """Start of the scan and the patient's context, in one zone.

    Attributes
    ----------
    start : datetime
        With a zone wherever one is known.
    context : DicomContext
        Its `timezone` is that of `start`.
    messages : tuple of Message
    """

    start: datetime
    context: DicomContext
    messages: tuple[Message, ...] = ()


def clock_of(start: datetime, context: DicomContext, stated: str | None, where: str) -> Clock:
    """The start by the clock of the CT.

    A start in UTC (PETSIRD) is told by the zone that the CT states, else by the one that is stated. A start without a
    zone is what the scanner's clock showed, which is the CT's.

    Parameters
    ----------
    start : datetime
        Of the raw data.
    context : DicomContext
        Of the CT.
    stated : str or None
        Offset from UTC of the scanner's clock, "+01:00".
    where : str
        File of the raw data, for messages.

    Raises
    ------
    TimeError
        If the start has a zone, and the CT has a date and nobody says in what zone: the image's clock would be hours
        away from that of the CT and of the injection.
    InputError
        If what is stated is no offset.
    """
    own = _zone(context.timezone) if context.timezone else None
    asked = None if stated is None else _zone(stated)
    zone = own or asked
    notes: tuple[Message, ...] = ()
    if own is not None and asked is not None and own.utcoffset(None) != asked.utcoffset(None):
        text = f"the CT states the zone {context.timezone}, which is taken; stated was {stated}"
        notes = (Message("time-zone-of-ct", text, "leave `time_zone` out where the CT says its own", "note"),)
    if zone is None:
        if start.tzinfo is None:
            return Clock(start, context)
        if context.study_date:
            raise TimeError(
                f"{where}: begins at {start.isoformat()}, an instant with a zone; the CT states no "
                "TimezoneOffsetFromUTC, so that its clock and the injection's may be hours away",
                remedy="state `time_zone`, the offset from UTC of the scanner's clock on that day, such as +01:00",
            )
        return Clock(start, replace(context, timezone=start.strftime("%z")[:5]))
    told = start.replace(tzinfo=zone) if start.tzinfo is None else start.astimezone(zone)
    return Clock(told, replace(context, timezone=told.strftime("%z")), notes)


def _zone(text: str) -> timezone:
    match = OFFSET.fullmatch(text)
    if not match or int(match[2]) > 14 or int(match[3]) > 59:
        raise InputError(f"time zone {text!r} is no offset from UTC", remedy="write it as +01:00")
    minutes = 60 * int(match[2]) + int(match[3])
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))
