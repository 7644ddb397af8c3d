"""Which nuclide, how much and when: RadiopharmaceuticalInformationSequence."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from hepatica.core import seconds_between
from hepatica.core.message import Message
from hepatica.errors import DicomError, UnknownNameError
from hepatica.io.dicom.tags import Header

_ELEMENTS = {
    "actinium": "Ac", "barium": "Ba", "carbon": "C", "cobalt": "Co", "copper": "Cu", "fluorine": "F", "fluor": "F",
    "gadolinium": "Gd", "gallium": "Ga", "germanium": "Ge", "holmium": "Ho", "indium": "In", "iodine": "I",
    "lead": "Pb", "lutetium": "Lu", "lutecium": "Lu", "nitrogen": "N", "oxygen": "O", "phosphorus": "P",
    "radium": "Ra", "rhenium": "Re", "rubidium": "Rb", "samarium": "Sm", "scandium": "Sc", "sodium": "Na",
    "strontium": "Sr", "technetium": "Tc", "terbium": "Tb", "thallium": "Tl", "xenon": "Xe", "yttrium": "Y",
    "zirconium": "Zr",
}  # fmt: skip
_SYMBOLS = {symbol.lower(): symbol for symbol in _ELEMENTS.values()}

# DICOM PS3.16 context groups 18 and 4020 (SNOMED CT and the older SNOMED RT codes that scanners still write).
_CODES = {
    "C-111A1": "F-18", "77004003": "F-18", "C-131A3": "Ga-68", "35337001": "Ga-68", "C-128A2": "Ge-68",
    "53315004": "Ge-68", "C-155A1": "Na-22", "71633006": "Na-22", "C-127A2": "Cu-64", "3932008": "Cu-64",
    "C-168A4": "Zr-89", "63360001": "Zr-89", "C-162A3": "Y-86", "10738001": "Y-86", "C-162A7": "Y-90",
    "14691008": "Y-90", "C-114A4": "I-123", "21572004": "I-123", "C-114A5": "I-124", "40937006": "I-124",
    "C-114A6": "I-125", "68630002": "I-125", "C-114B1": "I-131", "1368003": "I-131", "C-163A8": "Tc-99m",
    "72454006": "Tc-99m", "C-145A4": "In-111", "56609000": "In-111", "C-131A2": "Ga-67", "2008008": "Ga-67",
    "C-138A9": "Tl-201", "60057003": "Tl-201", "C-11906": "Re-186", "395865006": "Re-186", "C-1018D": "Re-188",
    "423578007": "Re-188", "C-B1134": "Sm-153", "419804008": "Sm-153", "C-101ED": "Lu-177", "447553000": "Lu-177",
    "C-122A5": "Ba-133", "3027009": "Ba-133",
}  # fmt: skip

HALF_LIFE_TOLERANCE = 0.01
"""Largest relative difference between the header's half-life and the table's. Scanner tables differ by up to 0.3 %
(90Y 64.0, 64.05, 64.1, 64.2 h are all in use), another nuclide by far more."""

_OTHER_HALF_LIVES_S = {
    "C-11": 1221.8, "N-13": 597.9, "O-15": 122.24, "F-18": 6586.2, "Na-22": 8.2104e7, "Cu-64": 45721.0,
    "Ga-67": 281811.0, "Ga-68": 4062.6, "Ge-68": 2.3408e7, "Y-86": 53064.0, "Zr-89": 282276.0, "In-111": 242326.0,
    "I-123": 47604.0, "I-124": 360806.0, "I-125": 5.1328e6, "Tl-201": 262837.0,
}  # fmt: skip
"""Half-lives (ENSDF, as NuDat 3 gives them) of nuclides that are imaged and that hepatica's decay tables do not hold:
only to see whether a header holds seconds. No decay is corrected with them."""

SAME_DAY_HALF_LIVES = 3.0
"""An administration without a day was on the day of the scan if a day earlier is more half-lives than this ago: less
than an eighth would have been left. Of a longer-lived nuclide the day is not guessed."""

LONGEST_AGO_HALF_LIVES = 12.0
"""An administration longer ago than this has left less than 1/4000 of its activity: there is nothing to be imaged."""

CLOCK_TOLERANCE_S = 600.0
"""Two clocks that are further apart than this are mentioned, however little the nuclide decays meanwhile."""

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Radiopharmaceutical:
    """What the header says was administered; None or empty where it does not say.

    Attributes
    ----------
    nuclide : str or None
        In hepatica's form ("Y-90", "F-18").
    written : str
        As the file writes it.
    half_life_s, positron_fraction : float or None
        As the file states them.
    activity_bq : float or None
        Administered, at `start`.
    start : datetime or None
        Start of the administration; None too where the header gives its time of day and the day cannot be known.
    clock : time or None
        Time of day of an administration whose day is not stated.
    name : str
        Of the radiopharmaceutical.
    messages : tuple of Message
        What was assumed.
    """

    nuclide: str | None = None
    written: str = ""
    half_life_s: float | None = None
    positron_fraction: float | None = None
    activity_bq: float | None = None
    start: datetime | None = None
    clock: time | None = None
    name: str = ""
    messages: tuple[Message, ...] = ()


def nuclide_name(text: str) -> str | None:
    """Name in hepatica's form of a nuclide, from a header's text; None if it names none.

    >>> nuclide_name("^99m^Technetium"), nuclide_name("90Y"), nuclide_name("Ho-166"), nuclide_name("water")
    ('Tc-99m', 'Y-90', 'Ho-166', None)
    """
    plain = text.replace("^", " ").strip().lower()
    match = re.search(r"\b(\d{1,3}m?)[\s-]*([a-z]+)\b|\b([a-z]+)[\s-]*\[?(\d{1,3}m?)\b", plain, re.ASCII)
    if not match:
        return None
    mass, word = (match[1], match[2]) if match[1] else (match[4], match[3])
    symbol = _ELEMENTS.get(word) or _SYMBOLS.get(word)
    return f"{symbol}-{mass}" if symbol else None


def radiopharmaceutical_of(header: Header, *, first_acquisition: datetime | None) -> Radiopharmaceutical:
    """What a PET or NM header says about the radiopharmaceutical.

    Parameters
    ----------
    header : Header
        Any file of the series.
    first_acquisition : datetime or None
        Start of the acquisition: the day of an administration that is given without one.

    Raises
    ------
    DicomError
        If there are several radiopharmaceuticals, code and text name different nuclides, or the half-life is not that
        of the nuclide named.
    """
    items = header.items("RadiopharmaceuticalInformationSequence")
    if not items:
        return Radiopharmaceutical()
    if len(items) > 1:
        names = ", ".join(_nuclide_of(item)[1] or "?" for item in items)
        raise header.error("RadiopharmaceuticalInformationSequence", f"holds several nuclides ({names}); one is needed")
    item = items[0]
    name, written = _nuclide_of(item)
    half_life = _positive(item, "RadionuclideHalfLife")
    if half_life is not None:
        _require_half_life(item, name, half_life)
    start, clock, messages = _administration(header, item, first_acquisition, half_life or known_half_life_s(name))
    activity = _positive(item, "RadionuclideTotalDose")
    if activity is not None and activity < 1e5:
        # PS3.3 C.8.9.2: Bq in PET. NM headers give MBq (C.8.4.10); no patient is given less than 0.1 MBq.
        text = f"RadionuclideTotalDose of {activity:g} is taken as MBq: as Bq it would be nothing"
        messages += (Message("administered-in-mbq", text),)
        activity *= 1e6
    code = item.item("RadiopharmaceuticalCodeSequence")
    return Radiopharmaceutical(
        nuclide=name,
        written=written,
        half_life_s=half_life,
        positron_fraction=_positive(item, "RadionuclidePositronFraction"),
        activity_bq=activity,
        start=start,
        clock=clock,
        name=item.text("Radiopharmaceutical") or (code.text("CodeMeaning") if code else ""),
        messages=messages,
    )


def known_half_life_s(name: str | None) -> float | None:
    """Half-life of any nuclide that is imaged; None for another one."""
    if name is None:
        return None
    return table_half_life_s(name) or _OTHER_HALF_LIVES_S.get(name)


def table_half_life_s(name: str) -> float | None:
    """Half-life from hepatica's decay tables; None for a nuclide that they do not hold (18F, 68Ga, ...)."""
    from hepatica.nuclides import nuclide

    try:
        return float(nuclide(name).half_life_s)
    except UnknownNameError:
        return None


def _nuclide_of(item: Header) -> tuple[str | None, str]:
    code = item.item("RadionuclideCodeSequence")
    if code is None:
        text = item.text("Radionuclide") or item.text("Radiopharmaceutical")
        return nuclide_name(text), text
    value, meaning = code.text("CodeValue"), code.text("CodeMeaning")
    by_code, by_text = _CODES.get(value), nuclide_name(meaning)
    if by_code and by_text and by_code != by_text:
        raise item.error(
            "RadionuclideCodeSequence", f"code {value} means {by_code}, but the text says {meaning!r} ({by_text})"
        )
    return by_code or by_text, meaning or value


def _require_half_life(item: Header, name: str | None, half_life_s: float) -> None:
    """DicomError if a half-life is not that of its nuclide, or that of none but in another unit."""
    known = known_half_life_s(name)
    if name is not None and known is not None:
        if abs(half_life_s / known - 1) > HALF_LIFE_TOLERANCE:
            unit = _unit_of_time(half_life_s, known)
            hint = f"; it is in {unit}, where DICOM wants seconds" if unit else ""
            raise item.error(
                "RadionuclideHalfLife",
                f"{half_life_s:g} s is not the half-life of {name} ({known:g} s{hint}): the header contradicts itself",
            )
        return
    if name is not None:
        return
    from hepatica.nuclides import NUCLIDE_NAMES

    everywhere = {nuclide: known_half_life_s(nuclide) or 0.0 for nuclide in (*NUCLIDE_NAMES, *_OTHER_HALF_LIVES_S)}
    if any(abs(half_life_s / known - 1) <= HALF_LIFE_TOLERANCE for known in everywhere.values()):
        return
    for nuclide, known in everywhere.items():
        if unit := _unit_of_time(half_life_s, known):
            raise item.error(
                "RadionuclideHalfLife",
                f"{half_life_s:g} s is the half-life of no known nuclide, but {half_life_s:g} {unit} is that of "
                f"{nuclide} ({known:g} s): DICOM wants seconds",
            )


def _unit_of_time(number: float, half_life_s: float) -> str:
    """Unit other than the second in which a number is this half-life; empty if none."""
    units = {"minutes": 60.0, "hours": 3600.0, "days": _DAY_S, "milliseconds": 1e-3}
    fitting = [unit for unit, s in units.items() if abs(number * s / half_life_s - 1) <= HALF_LIFE_TOLERANCE]
    return fitting[0] if fitting else ""


def _positive(item: Header, keyword: str) -> float | None:
    """A number that scanners write as 0 where they do not know it; DicomError if negative."""
    number = item.number(keyword)
    if number is not None and number < 0:
        raise item.error(keyword, f"{number:g} is negative")
    return number or None


def with_stated_administration(agent: Radiopharmaceutical, stated: datetime | None) -> Radiopharmaceutical:
    """The same with the administration that the user states: what is stated beats what was guessed or read."""
    if stated is None:
        return agent
    notes = tuple(note for note in agent.messages if not note.code.startswith("administration-day-"))
    # Without a day the header says nothing that could contradict; the time of day alone may.
    found = agent.start
    if agent.clock is not None:
        found = datetime.combine(stated, agent.clock, stated.tzinfo)
    if found is not None and (found.tzinfo is None) == (stated.tzinfo is None):
        apart_s = abs(seconds_between(found, stated))
        if agent.clock is not None:
            apart_s = min(apart_s, _DAY_S - apart_s)
        if apart_s > CLOCK_TOLERANCE_S:
            header = f"{agent.clock:%H:%M:%S}" if agent.clock else found.isoformat(sep=" ")
            text = (
                f"the administration is stated at {stated.isoformat(sep=' ')}, the header says {header}; "
                "what is stated is used"
            )
            notes += (Message("administration-time-overruled", text),)
    return replace(agent, start=stated, clock=None, messages=notes)


def _administration(
    header: Header, item: Header, first_acquisition: datetime | None, half_life_s: float | None
) -> tuple[datetime | None, time | None, tuple[Message, ...]]:
    """Start of the administration, or its time of day alone; the day from the acquisition where it can be no other."""
    start = item.instant("RadiopharmaceuticalStartDateTime", header.zone())
    clock = item.clock("RadiopharmaceuticalStartTime")
    if start is not None:
        local = _on_scanner_clock(start, clock, header)
        apart_s = (
            0.0 if clock is None else (local.replace(tzinfo=None) - datetime.combine(local, clock)).total_seconds()
        )
        # Around midnight the two may be a minute apart on two days.
        if min(abs(apart_s), _DAY_S - abs(apart_s)) > 60:
            raise DicomError(
                f"RadiopharmaceuticalStartDateTime ({local:%H:%M:%S}) and RadiopharmaceuticalStartTime "
                f"({clock:%H:%M:%S}) contradict each other",
                path=header.path,
            )
        return local, None, ()
    if clock is None or first_acquisition is None:
        return None, clock, ()
    start = datetime.combine(first_acquisition, clock, first_acquisition.tzinfo)
    before = start > first_acquisition
    if half_life_s is None or half_life_s * SAME_DAY_HALF_LIVES > _DAY_S:
        text = (
            f"{header.path}: RadiopharmaceuticalStartTime {clock:%H:%M:%S} is given without a day, and the nuclide "
            "lives long enough to be imaged days later: when it was administered is not known"
        )
        return None, clock, (Message("administration-day-unknown", text, "state `administered_at`"),)
    if before:
        start -= timedelta(days=1)
        text = "day of administration not stated and its time is later than the acquisition's: taken as the day before"
    else:
        text = "day of administration not stated: taken as the day of the acquisition"
    return start, clock, (Message("administration-day-assumed", text),)


def _on_scanner_clock(start: datetime, clock: time | None, header: Header) -> datetime:
    """An instant as the scanner's clock shows it.

    Where the file states no TimezoneOffsetFromUTC, the time of day beside the instant tells the zone.
    """
    if start.tzinfo is None:
        return start
    zone = header.zone()
    if zone is not None:
        return start.astimezone(zone)
    if clock is None:
        return start
    universal = start.astimezone(UTC).replace(tzinfo=None)
    offset_s = (datetime.combine(universal, clock) - universal).total_seconds()
    # Zones lie quarters of an hour apart, between UTC-12 and UTC+14; what could be either is taken as the nearer.
    offset_s = (offset_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
    quarter = round(offset_s / 900) * 900
    return universal + timedelta(seconds=quarter) if abs(offset_s - quarter) <= 60 else start


def implausible_administration(agent: Radiopharmaceutical, first_acquisition: datetime | None) -> Message | None:
    """What is wrong with an administration after the scan began, or so long ago that nothing would be left of it.

    None where nothing is wrong or nothing can be compared.
    """
    if agent.start is None or first_acquisition is None:
        return None
    if (agent.start.tzinfo is None) != (first_acquisition.tzinfo is None):
        return None
    elapsed_s = seconds_between(agent.start, first_acquisition)
    when = f"RadiopharmaceuticalStartDateTime {agent.start.isoformat(sep=' ')}"
    if elapsed_s < 0:
        text = (
            f"{when} lies {-elapsed_s / 60:.0f} min after the start of the acquisition, "
            f"{first_acquisition.isoformat(sep=' ')}: the clock of the scanner or the time of the administration is off"
        )
        return Message("acquired-before-administration", text, "check both clocks")
    half_life_s = agent.half_life_s or known_half_life_s(agent.nuclide)
    if half_life_s and elapsed_s > LONGEST_AGO_HALF_LIVES * half_life_s:
        text = (
            f"{when} lies {elapsed_s / half_life_s:.0f} half-lives before the acquisition at "
            f"{first_acquisition.isoformat(sep=' ')}: nothing would be left to image (dates shifted by an anonymiser?)"
        )
        return Message("administration-long-ago", text, "state `administered_at`")
    return None
