"""Dates in free text, however somebody wrote them: with names of months, in any order, with two digits of the year."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date

WINDOW_YEARS = 20
"""A year of two digits is one of the twenty before the newest known date, or of the two after it."""

COUNTED = (
    r"[ ]?(?:voxels?|pixels?|counts?|decays|histories|particles|photons|events?|files?|slices?|images?|frames?|points?|"
    r"samples?|bytes|[kMG]B|[kMG]?Bq|[mc]?Gy|Sv|[mµu]?Sv|m?L|ml|[mc]m|k?g|[kM]?eV|HU|h|min|s|of|out of|patients?|rows?|"
    r"lines?|lesions?|tumours?|%)(?![^\W\d_])"
)
"""After a number: it counts something and is no date."""

ISO_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(-)(\d\d)-(\d\d)(?!\d)")
DICOM_DATE = re.compile(
    rf"(?<![\d.])((?:19|20)\d\d)()(\d\d)(\d\d)(?=\d{{2,6}}(?:\.\d+)?(?:[+-]\d{{4}})?$|(?!\d|\.\d|{COUNTED}))"
)
EIGHT_DIGITS = re.compile(r"(?<!\d)((?:19|20)\d\d)()(\d\d)(\d\d)")

_MONTHS = """
january jan february feb march mar april apr may june jun july jul august aug september sept sep october oct
november nov december dec janvier janv février fevrier févr fevr fév fev mars avril avr mai juin juillet juil août aout
septembre octobre novembre décembre decembre déc januar jänner jän februar märz mär maerz mrz juni juli oktober okt
dezember dez enero ene febrero marzo abril abr mayo junio julio agosto ago septiembre setiembre octubre noviembre
diciembre dic januari februari maart mrt mei augustus
"""  # English, French, German, Spanish, Dutch
_MONTH = f"(?:{'|'.join(sorted(set(_MONTHS.split()), key=lambda word: (-len(word), word)))})(?![^\\W\\d_])"
_YEAR = r"(?:19|20)\d\d"
_SHORT_YEAR = rf"'?\d\d(?!\d|{COUNTED})"
_WITH_MONTHS = re.compile(
    rf"(?<!\d)\d{{1,2}}(?:st|nd|rd|th|er)?[ ._-]*(?:de |of )?{_MONTH}[ .,_-]*(?:de |del )?"
    rf"(?:{_YEAR}(?!\d)|{_SHORT_YEAR})"
    rf"|(?<!\d){_YEAR}[ ._-]*{_MONTH}(?:[ ._-]*\d{{1,2}})?(?!\d)"
    rf"|(?<![^\W\d_]){_MONTH}[ ._-]*\d{{1,2}}(?:st|nd|rd|th)?[ ,_-]+(?:{_YEAR}(?!\d)|{_SHORT_YEAR})"
    rf"|(?<![^\W\d_]){_MONTH}[ ._-]*(?:de )?{_YEAR}(?!\d)"
    rf"|(?<!\d)(?:(?:{_YEAR}|\d\d) ?年 ?)?\d{{1,2}} ?月(?: ?\d{{1,2}} ?[日号號])?|(?<!\d){_YEAR} ?年"
    rf"|(?<![\d./-])(?:0?[1-9]|1[0-2])/{_YEAR}(?!\d)|(?<![\d./-]){_YEAR}[-_](?:0[1-9]|1[0-2])(?![\d_-])",
    re.IGNORECASE,
)
_THREE_NUMBERS = re.compile(
    rf"(?<![\d.])(?<!version )(\d{{4}}|\d{{1,2}})([-./_ ])(\d{{1,2}})\2(\d{{4}}|\d{{1,2}})(?!\d|\2\d|{COUNTED})"
)
_ONE_NUMBER = re.compile(rf"(?<![\d.,])(\d\d)()(\d\d)((?:19|20)?\d\d)(?!\d|[.,]\d|{COUNTED})")


def newest_year(days: Iterable[str]) -> int:
    """Year of the newest of some dates (YYYYMMDD); of today where there are none."""
    years = [int(day[:4]) for day in days if re.fullmatch(r"(?:19|20)\d{6}", day)]
    return max(years, default=date.today().year)  # noqa: DTZ011 - a year more or less does not matter


def without_dates(text: str, newest: int, instead: Callable[[str], str]) -> str:
    """A text without the dates that cannot be shifted where they stand; 2026-03-12 and 20260312 stay.

    Parameters
    ----------
    text : str
        Any.
    newest : int
        The newest year that is known of the patient.
    instead : callable
        What stands for a date.
    """

    def numbers(found: re.Match[str]) -> str:
        first, separator, second, last = found.groups()
        if re.fullmatch(r"\d{4}-\d\d-\d\d", found[0]) or not _is_date(first, second, last, newest, separator):
            return found[0]
        return instead(found[0])

    text = _WITH_MONTHS.sub(lambda found: instead(found[0]), text)
    return _ONE_NUMBER.sub(numbers, _THREE_NUMBERS.sub(numbers, text))


def _is_date(first: str, second: str, last: str, newest: int, separator: str) -> bool:
    """Whether three numbers are day, month and year in any order in use."""
    orders = [(last, second, first), (last, first, second)] if len(last) > 1 and len(first) < len("2026") else []
    orders += [(first, second, last), (first, last, second)] if len(first) == len("2026") else []
    orders += [(first, second, last)] if len(first) == len(last) == len("26") else []
    return any(_is_day(*order, newest=newest, separator=separator) for order in orders)


def _is_day(year: str, month: str, day: str, *, newest: int, separator: str) -> bool:
    if len(year) == len("2026"):
        full = int(year)
        # Numbers one after the other, or joined, may be anything.
        plausible = 1900 <= full < 2100 if separator in ("-", ".", "/", "_") else _is_near(full, newest)
    else:
        full = next((y for y in (1900 + int(year), 2000 + int(year)) if _is_near(y, newest)), 0)
        plausible = full > 0 and separator != " "
    try:
        date(full, int(month), int(day))
    except ValueError:
        return False
    return plausible


def _is_near(year: int, newest: int) -> bool:
    return newest - WINDOW_YEARS <= year <= newest + 2
