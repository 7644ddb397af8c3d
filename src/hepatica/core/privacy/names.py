"""Names of persons in free text, in other spellings and joined to other words."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable

from hepatica.core.privacy.words import HARMLESS

SHORT_NAME = 2
"""Letters of a name that is replaced only as it is written, or with the first or all letters large."""

MIN_WITHIN = 4
"""Letters of a name that is looked for within words."""

MIN_ANYWHERE = 6
"""Letters of a name that no word of a sentence holds by chance."""

MAX_LABEL_WORDS = 4
"""A text of more words is a sentence."""

MIN_JOINED = 3
"""Letters of a word of the field that a name is joined to; "across" is not "AC" and "Ross"."""

NO_NAMES = frozenset({"Gy", "Bq", "Sv", "CT", "MR", "PT", "NM"})
"""Units and modalities, whatever somebody is called."""

_SAME = {"æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ı": "i", "’": "'"}


def name_words(name: str) -> set[str]:
    """Words of a name; none that are words of the field, no initials."""
    words = {word for word in re.split(r"[\^=\s,.\\;&()/_-]+", name) if len(word) > 1 and not word.isdecimal()}
    # Names of two letters ("Ho", "Lu") are common, and common as other things.
    short = {spelling for word in words if len(word) == SHORT_NAME for spelling in (word.upper(), word.capitalize())}
    return {word for word in words if word.lower() not in HARMLESS} | (short - NO_NAMES)


def is_spaced(phrase: str) -> bool:
    """Whether a script sets its words apart (Chinese, Japanese and Thai do not)."""
    return all(
        unicodedata.name(letter, "").startswith(("LATIN", "GREEK", "CYRILLIC")) for letter in phrase if letter.isalpha()
    )


def without_name(text: str, name: str, instead: Callable[[str], str]) -> str:
    """A text without one word of a name (of three letters or more, in a script with spaces).

    It is found in every case, with and without accents, with ae for ä and ss for ß; where no letter stands beside it or
    the case changes (GTVMüller, müllerLeft); from four letters on also where it is joined to a word of the field
    (gtvmüller) or stands in any word of a label that has a capital, a digit or a sign; from six on in any word at all.
    Words of the field stay.
    """
    composed = unicodedata.normalize("NFC", text)
    pattern = _pattern(name)
    if not pattern.search(composed):
        return text
    # Small letters alone are words of programs: units, keys of parameters.
    label = len(text.split()) <= MAX_LABEL_WORDS and not re.fullmatch(r"[a-z_\s-]*", composed)
    size = len(name)
    return pattern.sub(lambda found: instead(found[0]) if _is_name(found, size, label=label) else found[0], composed)


def _is_name(found: re.Match[str], size: int, *, label: bool) -> bool:
    text, start, end = found.string, found.start(), found.end()
    if found[0].casefold() in HARMLESS:
        return False
    if _begins(text, start) and _ends(text, end):
        return True
    first = start - len(re.search(r"[^\W\d_]*$", text[:start])[0])  # type: ignore[index]
    last = end + len(re.match(r"[^\W\d_]*", text[end:])[0])  # type: ignore[index]
    if size < MIN_WITHIN or text[first:last].casefold() in HARMLESS:
        return False
    beside = [part.casefold() for part in (text[first:start], text[end:last]) if part]
    joined = all(part == "s" or (len(part) >= MIN_JOINED and part in HARMLESS) for part in beside)
    return joined or label or size >= MIN_ANYWHERE


def _begins(text: str, start: int) -> bool:
    before, first, second = text[start - 1 : start], text[start], text[start + 1 : start + 2]
    return not before.isalpha() or (first.isupper() and (before.islower() or second.islower()))


def _ends(text: str, end: int) -> bool:
    last, after = text[end - 1], text[end : end + 1]
    return not after.isalpha() or last.islower() != after.islower()


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    # The spellings of ä are written out: what headers in ASCII made of a name is not what a structure is called.
    letters = unicodedata.normalize("NFC", name).casefold()
    found, at = [], 0
    for at_letter, letter in enumerate(letters):
        if at_letter < at:
            continue
        plain = _plain(letter)
        pair = plain[0] + letters[at_letter + 1 : at_letter + 2]
        at = at_letter + 1
        if pair in ("ae", "oe", "ue", "ss") or plain in ("ae", "oe", "ss"):
            at += len(plain) == 1
            found.append("(?:ß|ss?)" if plain[0] == "s" else f"(?:{_class(plain[0])}e?|[æœ])")
        elif plain in "aou" and (plain != letter or len(letters) > MIN_WITHIN):
            found.append(f"(?:{_class(plain)}{'[ea]?' if letter == 'å' else 'e?'})")
        elif plain == "'":
            found.append("['’]?")
        else:
            found.append(_class(plain) if plain.isascii() else re.escape(letter))
    return re.compile("".join(found), re.IGNORECASE)


def _plain(letter: str) -> str:
    if letter in _SAME:
        return _SAME[letter]
    return unicodedata.normalize("NFKD", letter)[0]


@functools.cache
def _class(letter: str) -> str:
    """A letter of Latin with all its accents; any other as it is."""
    accented = _accented().get(letter, "")
    return f"[{letter}{accented}]" if accented else re.escape(letter)


@functools.cache
def _accented() -> dict[str, str]:
    found: dict[str, str] = {}
    for letter in map(chr, (*range(0xDF, 0x180), *range(0x1E00, 0x1F00))):
        if letter.islower() and len(plain := _plain(letter)) == 1 and plain.isascii():
            found[plain] = found.get(plain, "") + letter
    return found
