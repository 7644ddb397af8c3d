"""Which nuclide, how much and when: RadiopharmaceuticalInformationSequence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

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
        Start of the administration.
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
    if name is not None and half_life is not None:
        _require_half_life(item, name, half_life)
    start, messages = _administration(header, item, first_acquisition)
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
        name=item.text("Radiopharmaceutical") or (code.text("CodeMeaning") if code else ""),
        messages=messages,
    )


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


def _require_half_life(item: Header, name: str, half_life_s: float) -> None:
    table = table_half_life_s(name)
    if table is not None and abs(half_life_s / table - 1) > HALF_LIFE_TOLERANCE:
        raise item.error(
            "RadionuclideHalfLife",
            f"{half_life_s:g} s is not the half-life of {name} ({table:g} s): the header contradicts itself",
        )


def _positive(item: Header, keyword: str) -> float | None:
    """A number that scanners write as 0 where they do not know it; DicomError if negative."""
    number = item.number(keyword)
    if number is not None and number < 0:
        raise item.error(keyword, f"{number:g} is negative")
    return number or None


def _administration(
    header: Header, item: Header, first_acquisition: datetime | None
) -> tuple[datetime | None, tuple[Message, ...]]:
    """Start of the administration; its day from the acquisition where only a time of day is given."""
    zone = header.zone()
    start = item.instant("RadiopharmaceuticalStartDateTime", zone)
    clock = item.clock("RadiopharmaceuticalStartTime")
    if start is not None:
        if (
            clock is not None
            and abs((start.replace(tzinfo=None) - datetime.combine(start, clock)).total_seconds()) > 60
        ):
            raise DicomError(
                f"RadiopharmaceuticalStartDateTime ({start:%H:%M:%S}) and RadiopharmaceuticalStartTime "
                f"({clock:%H:%M:%S}) contradict each other",
                path=header.path,
            )
        return start, ()
    if clock is None or first_acquisition is None:
        return None, ()
    start = datetime.combine(first_acquisition, clock, first_acquisition.tzinfo)
    if start <= first_acquisition:
        text = "day of administration not stated: taken as the day of the acquisition"
        return start, (Message("administration-day-assumed", text),)
    text = "day of administration not stated and its time is later than the acquisition's: taken as the day before"
    return start - timedelta(days=1), (Message("administration-day-assumed", text),)
