"""What a secret makes of the texts, dates and identifiers of one result."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import PurePath

from hepatica.core.privacy.identity import Deidentified, Identity
from hepatica.core.privacy.secret import PSEUDONYM, Secret
from hepatica.core.privacy.words import HARMLESS, is_harmless
from hepatica.errors import InputError

REMOVED = "(removed)"

MIN_CODE = 4
"""A shorter identifier is replaced only where a text calls it one: "12" is also a number of slices."""

SHORT_NAME = 2
"""Letters of a name that is replaced only as it is written, or with the first or all letters large."""

NO_NAMES = frozenset({"Gy", "Bq", "Sv", "CT", "MR", "PT", "NM"})
"""Units and modalities, whatever somebody is called."""

_UID = re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d*)){5,}(?![\w]|\.\d)")
_HASH = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")
_ISO_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(-)(\d\d)-(\d\d)(?!\d)")
_DICOM_DATE = re.compile(
    r"(?<![\d.])((?:19|20)\d\d)()(\d\d)(\d\d)(?=\d{2,6}(?:\.\d+)?(?:[+-]\d{4})?$|(?!\d|\.\d|\s?[^\W\d_]))"
)
_EIGHT_DIGITS = re.compile(r"(?<!\d)((?:19|20)\d\d)()(\d\d)(\d\d)")
_MONTH = (
    "(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|jun[ei]?|jul[yi]?|aug(?:ust)?|"
    "sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)(?![a-z])"
)
_OTHER_DATE = re.compile(
    rf"(?<!\d)\d{{1,2}}([./-])\d{{1,2}}\1(?:19|20)\d\d(?!\d)|(?<!\d)(?:19|20)\d\d([./])\d{{1,2}}\2\d{{1,2}}(?!\d)"
    rf"|(?<!\d)\d{{1,2}}[ .-]?{_MONTH}[ .,-]*(?:19|20)\d\d(?!\d)"
    rf"|(?<![a-z]){_MONTH}[ .]*(?:19|20)\d\d(?!\d)|(?<![\d./-])(?:0?[1-9]|1[0-2])/(?:19|20)\d\d(?!\d)"
    rf"|(?<![\d./-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?![\d-])"
    rf"|(?<![a-z]){_MONTH}[ .]*\d{{1,2}},? *(?:19|20)\d\d(?!\d)",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?<![\w\])/.:])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[^\s:;,'\"()<>/\\]+[/\\])+[^\s:;,'\"()<>]*")
_BELOW = r"(?:[/\\][^\n'\"]*?(?=: |[;,] |\)|'|\"| \(|\n|$))?"


@dataclass(frozen=True, slots=True, repr=False)
class Anonymiser:
    """Takes identity out of the values of one result.

    Attributes
    ----------
    secret : Secret
        The key.
    patient : str
        Whose dates are shifted; empty where nobody is named.
    phrases : mapping of str to str
        Names and identifiers -> what stands for them.
    short_codes : mapping of str to str
        The same for identifiers that are replaced only where a text calls them one.
    paths : mapping of str to str
        Paths -> what stands for them.
    dates : frozenset of str
        Dates known from headers, YYYYMMDD: in a text eight digits are one, where others may be a number.
    done : bool
        Identity was taken out before by this key: dates, UIDs and patients stay.
    """

    secret: Secret
    patient: str
    phrases: Mapping[str, str]
    short_codes: Mapping[str, str]
    paths: Mapping[str, str]
    dates: frozenset[str] = frozenset()
    done: bool = False
    _cleaned: dict[tuple[str, bool], str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, secret: Secret, identities: Iterable[Identity], paths: Mapping[str, str], patient: str = ""
    ) -> Anonymiser:
        """For what was found in a result: identities, and paths with what each was used as.

        Raises
        ------
        InputError
            If identity was taken out of some of the inputs before and of others not: their dates would not fit.
        """
        found = list(identities)
        known = [identity for identity in found if identity.patient_id]
        before = [i.deidentified_by == secret.name or i.patient_id.startswith(PSEUDONYM) for i in known]
        if any(before) and not all(before):
            raise InputError(
                "identity was taken out of some inputs before and of others not: dates and UIDs would not fit",
                remedy="start from the original files, all of them",
            )
        phrases, short = _codes(secret, found)
        return cls(
            secret,
            patient or next((identity.patient_id for identity in known), ""),
            phrases,
            short,
            {path: _label(secret, path, role) for path, role in paths.items() if path.strip("./\\")},
            frozenset(day for identity in found for day in identity.dates),
            done=bool(before) and all(before),
        )

    def of_patient(self, patient: str) -> Anonymiser:
        """The same with the dates of another patient."""
        if patient in ("", self.patient):
            return self
        return Anonymiser(self.secret, patient, self.phrases, self.short_codes, self.paths, self.dates, done=self.done)

    @property
    def shift(self) -> timedelta:
        """What is added to every date."""
        return timedelta(0) if self.done else self.secret.shift(self.patient)

    @property
    def mark(self) -> Deidentified:
        """That it was done, and by which key."""
        return Deidentified(self.secret.name, self.shift)

    def person(self, name: str) -> str:
        """Stands for a patient's name or number."""
        return name if not name or name.startswith(PSEUDONYM) else self.secret.pseudonym(name)

    def name(self, name: str, patient_id: str = "") -> str:
        """Stands for a patient's name, by the number if there is one; with the delimiter that DICOM wants in names."""
        if not name and not patient_id:
            return ""
        return name if name.startswith(PSEUDONYM) else f"{self.person(patient_id or name)}^"

    def uid(self, uid: str) -> str:
        """New unique identifier; an empty one stays."""
        return uid if self.done or not uid else self.secret.uid(uid)

    def day(self, day: date) -> date:
        """A date, shifted; InputError for one of the first years of our era."""
        try:
            return day + self.shift
        except OverflowError:
            raise InputError(f"{day.isoformat()}: such a date cannot be shifted") from None

    def instant(self, instant: datetime) -> datetime:
        """An instant, shifted; its zone becomes a fixed offset, so that no change of clocks comes between."""
        offset = instant.utcoffset()
        moved = self.day(instant.date())
        return datetime.combine(moved, instant.time(), None if offset is None else timezone(offset))

    def dicom_date(self, text: str) -> str:
        """A date as DICOM writes it (YYYYMMDD), shifted; empty where it is none."""
        return _DICOM_DATE.sub(self._shifted, text) if re.fullmatch(r"\d{8}", text) else ""

    def path(self, path: str) -> str:
        """What stands for a path."""
        return self.paths.get(path) or _label(self.secret, path, "file")

    def text(self, text: str, *, dates: bool = True) -> str:
        """A text without names, identifiers, paths and UIDs, its dates shifted (unless it speaks of published data)."""
        if not text or text.isspace():
            return text
        if (text, dates) not in self._cleaned:
            self._cleaned[text, dates] = self._clean(text, dates=dates)
        return self._cleaned[text, dates]

    def _clean(self, text: str, *, dates: bool) -> str:
        if text in self.paths:
            return self.paths[text]
        text = self._without_paths(text)
        text = self._without_phrases(text)
        text = _UID.sub(lambda found: self.uid(found[0]), text)
        text = _HASH.sub(lambda found: self.secret.hash(found[0]), text)
        if dates and not self.done:
            text = "".join(part if _HASH.fullmatch(part) else self._without_dates(part) for part in _parts(text))
        return _PATH.sub("(path)", text)

    def _without_dates(self, text: str) -> str:
        # Told apart: names of structures must stay distinct.
        text = _OTHER_DATE.sub(lambda found: f"(date {self.secret.short(found[0].lower(), 4)})", text)
        return _EIGHT_DIGITS.sub(self._shifted, _ISO_DATE.sub(self._shifted, text))

    def _without_paths(self, text: str) -> str:
        for path in sorted(self.paths, key=len, reverse=True):
            if path not in text:
                continue
            label = self.paths[path]
            alone = "" if is_harmless(path) or len(path) < MIN_CODE else "|"
            below = _BELOW.removesuffix("?") if not alone else _BELOW

            def named(found: re.Match[str], label: str = label, size: int = len(path)) -> str:
                rest = found[0][size:]
                return f"{label}/{self.secret.short(rest)}" if rest else label

            text = re.sub(rf"(?<![\w/\\.]){re.escape(path)}{below}(?![\w])", named, text)
        return text

    def _without_phrases(self, text: str) -> str:
        # What stands for a phrase holds letters, digits, brackets and dashes: nothing that a pattern would take apart.
        folded = text.casefold()
        here = [phrase for phrase in self.phrases if phrase.casefold() in folded]
        for phrase in sorted(here, key=len, reverse=True):
            before, after = _ends(phrase)
            flags = re.NOFLAG if len(phrase) == SHORT_NAME else re.IGNORECASE
            text = re.sub(f"{before}{re.escape(phrase)}{after}", self.phrases[phrase], text, flags=flags)
        for code, replacement in self.short_codes.items():
            if text == code:
                return replacement
            called = r"(?i:(?<=patient )|(?<=patients )|(?<=id )|(?<=['\"]))"
            text = re.sub(rf"{called}{re.escape(code)}(?![^\W_])", replacement, text)
        return text

    def _shifted(self, found: re.Match[str]) -> str:
        year, dash, month, day = found.groups()
        if not dash and found[0] not in self.dates and not _DICOM_DATE.match(found.string, found.start()):
            return found[0]
        try:
            shifted = date(int(year), int(month), int(day)) + self.shift
        except ValueError:
            return found[0]
        return shifted.isoformat() if dash else shifted.strftime("%Y%m%d")


def _parts(text: str) -> Iterator[str]:
    """A text cut before and after each hash, whose digits are no dates."""
    end = 0
    for found in _HASH.finditer(text):
        yield text[end : found.start()]
        yield found[0]
        end = found.end()
    yield text[end:]


def _codes(secret: Secret, identities: Iterable[Identity]) -> tuple[dict[str, str], dict[str, str]]:
    """What stands for names and identifiers: those replaced wherever they are, and short ones."""
    phrases: dict[str, str] = {}
    short: dict[str, str] = {}
    for identity in identities:
        for text in (*identity.codes, *identity.texts):
            if len(text) >= MIN_CODE and not is_harmless(text):
                phrases.setdefault(text, REMOVED)
        for name in identity.people:
            for word in _name_words(name):
                phrases.setdefault(word, f"X{secret.short(word.casefold(), 4)}")
    for identity in identities:
        if (number := identity.patient_id) and not number.startswith(PSEUDONYM):
            (phrases if len(number) >= MIN_CODE else short)[number] = secret.pseudonym(number)
    return phrases, short


def _name_words(name: str) -> set[str]:
    """Words of a name, as written and without accents; none that are words of the field, no initials."""
    words = {word for word in re.split(r"[\^=\s,.\\;&()/-]+", name) if len(word) > 1}
    plain = {unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode() for word in words}
    own = {word for word in words | plain if len(word) > 1 and not word.isdecimal()}
    # Names of two letters ("Ho", "Lu") are common, and common as other things.
    short = {spelling for word in own if len(word) == SHORT_NAME for spelling in (word.upper(), word.capitalize())}
    return {word for word in own if word.lower() not in HARMLESS} | (short - NO_NAMES)


def _ends(phrase: str) -> tuple[str, str]:
    """What may not stand before and after: letters and digits, decimals after a number, "-166" after "Ho"."""
    if not _spaced(phrase):
        return "", ""
    after = r"(?!\.\d)" if phrase.isdecimal() else r"(?!-\d)" if len(phrase) == SHORT_NAME else ""
    return r"(?<![^\W_])", rf"(?![^\W_]){after}"


def _spaced(phrase: str) -> bool:
    """Whether a script sets its words apart (Chinese, Japanese and Thai do not)."""
    return all(
        unicodedata.name(letter, "").startswith(("LATIN", "GREEK", "CYRILLIC")) for letter in phrase if letter.isalpha()
    )


def _label(secret: Secret, path: str, role: str) -> str:
    return f"{role}-{secret.short(path)}"


def path_names(path: str) -> set[str]:
    """Names within a path that may name somebody: of file and folders, with and without ending."""
    names = {name for part in PurePath(path).parts for name in (part, part.split(".")[0])}
    return {name for name in names if len(name) >= MIN_CODE - 1 and not is_harmless(name)}
