"""What a secret makes of the texts, dates and identifiers of one result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import PurePath

from hepatica.core.privacy.dates import DICOM_DATE, EIGHT_DIGITS, ISO_DATE, newest_year, without_dates
from hepatica.core.privacy.identity import Deidentified, Identity
from hepatica.core.privacy.names import SHORT_NAME, is_spaced, name_words, without_name
from hepatica.core.privacy.secret import Secret
from hepatica.core.privacy.words import is_harmless, is_ordinary
from hepatica.errors import InputError

REMOVED = "(removed)"

MIN_CODE = 4
"""A shorter identifier is replaced only where a text calls it one: "12" is also a number of slices."""

_UID = re.compile(r"(?<![\w.])(?:[0-2](?:\.(?:0|[1-9]\d*)){5,}|2\.25\.[1-9]\d{9,38})(?![\w]|\.\d)")
_HASH = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")
_INSTANT = re.compile(r"(?<!\d)(?:19|20)\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)(?!\d)")
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
        Identifiers, and names of two letters or in scripts without spaces -> what stands for them.
    names : frozenset of str
        Words of names; each spelling in a text becomes a code of its own, so that names of structures stay distinct.
    short_codes : mapping of str to str
        The same for identifiers that are replaced only where a text calls them one.
    paths : mapping of str to str
        Paths -> what stands for them.
    dates : frozenset of str
        Dates known from headers, YYYYMMDD: in a text eight digits are one, where others may be a number.
    done : bool
        Identity was taken out before by this key: dates, UIDs and patients stay.
    universal : bool
        Instants are stated in UTC, for the offset of a zone tells summer from winter; not where DICOM objects are,
        whose clock times stand beside one offset.
    """

    secret: Secret
    patient: str
    phrases: Mapping[str, str]
    names: frozenset[str]
    short_codes: Mapping[str, str]
    paths: Mapping[str, str]
    dates: frozenset[str] = frozenset()
    done: bool = False
    universal: bool = True
    _cleaned: dict[tuple[str, bool], str] = field(default_factory=dict, init=False)

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
        known = [i for i in found if i.patient_id or i.deidentified_by == secret.name]
        # A header must say so itself: a pseudonym alone may have been given to images as they are.
        bare = {i.patient_id for i in known if i.deidentified_by not in (None, secret.name)}
        before = [i.patient_id not in bare and (not i.patient_id or secret.owns(i.patient_id)) for i in known]
        if any(before) and not all(before):
            raise InputError(
                "identity was taken out of some inputs before and of others not: dates and UIDs would not fit",
                remedy="start from the original files, all of them, or take it out of every result on the way",
            )
        phrases, names, short = _codes(secret, [*found, Identity(patient_id=patient)])
        headers = [i.patient_id for i in known if i.patient_id and i.deidentified_by is not None]
        return cls(
            secret,
            next(iter([*headers, *filter(None, [patient]), *(i.patient_id for i in known)]), ""),
            phrases,
            names,
            short,
            {path: _label(secret, path, role) for path, role in paths.items() if path.strip("./\\")},
            frozenset(day for identity in found for day in identity.dates),
            done=bool(before) and all(before),
            universal=all(identity.deidentified_by is None for identity in found),
        )

    def of_patient(self, patient: str) -> Anonymiser:
        """The same with the dates of another patient."""
        return self if patient in ("", self.patient) else replace(self, patient=patient)

    @property
    def shift(self) -> timedelta:
        """What is added to every date."""
        return timedelta(0) if self.done else self.secret.shift(self.patient)

    @property
    def mark(self) -> Deidentified:
        """That it was done, and by which key."""
        # What is made now is dated now: by the patient's shift, whoever shifted the other dates.
        return Deidentified(self.secret.name, self.secret.shift(self.patient))

    def person(self, name: str) -> str:
        """Stands for a patient's name or number."""
        return self.secret.pseudonym(name) if name else name

    def name(self, name: str, patient_id: str = "") -> str:
        """Stands for a patient's name, by the number if there is one; with the delimiter that DICOM wants in names."""
        if not name and not patient_id:
            return ""
        return name if self.secret.owns(name.rstrip("^")) else f"{self.person(patient_id or name)}^"

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
        """An instant, shifted; in UTC (see `universal`), else with a fixed offset, so that intervals stay."""
        offset = instant.utcoffset()
        if offset is not None and self.universal:
            instant, offset = instant.astimezone(UTC), timedelta(0)
        elif offset is not None and (saving := instant.dst()):
            # A zone that changes its clocks is stated by its standard time all year.
            offset -= saving
            instant = instant.astimezone(timezone(offset))
        moved = self.day(instant.date())
        return datetime.combine(moved, instant.time(), None if offset is None else timezone(offset))

    def dicom_date(self, text: str) -> str:
        """A date as DICOM writes it (YYYYMMDD), shifted; empty where it is none."""
        return DICOM_DATE.sub(self._shifted, text) if re.fullmatch(r"\d{8}", text) else ""

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
        text = _INSTANT.sub(self._universal, text) if self.universal else text
        text = without_dates(text, newest_year(self.dates), lambda found: f"(date {self.secret.short(found, 4)})")
        return EIGHT_DIGITS.sub(self._shifted, ISO_DATE.sub(self._shifted, text))

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
        for name in sorted(self.names, key=lambda word: (-len(word), word)):
            text = without_name(text, name, lambda found: f"X{self.secret.short(found, 4)}")
        for code, replacement in self.short_codes.items():
            if text == code:
                return replacement
            called = r"(?i:(?<=patient )|(?<=patients )|(?<=id )|(?<=['\"]))"
            text = re.sub(rf"{called}{re.escape(code)}(?![^\W_])", replacement, text)
        return text

    @staticmethod
    def _universal(found: re.Match[str]) -> str:
        try:
            instant = datetime.fromisoformat(found[0]).astimezone(UTC)
        except (ValueError, OverflowError):
            return found[0]
        seconds = found[0].count(":") > 1 + (found[0][-3] == ":")
        return instant.isoformat(found[0][10], "auto" if seconds else "minutes")

    def _shifted(self, found: re.Match[str]) -> str:
        year, dash, month, day = found.groups()
        if not dash and found[0] not in self.dates and not DICOM_DATE.match(found.string, found.start()):
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


def _codes(secret: Secret, identities: Iterable[Identity]) -> tuple[dict[str, str], frozenset[str], dict[str, str]]:
    """What stands for identifiers wherever they are, for words of names, and for short identifiers."""
    phrases: dict[str, str] = {}
    names: set[str] = set()
    short: dict[str, str] = {}
    for identity in identities:
        for text in (*identity.codes, *identity.texts):
            if len(text) >= MIN_CODE and not is_ordinary(text):
                phrases.setdefault(text, REMOVED)
        for name in identity.people:
            if secret.owns(name.rstrip("^")):
                continue
            for word in name_words(name):
                if len(word) > SHORT_NAME and is_spaced(word):
                    names.add(word)
                else:
                    phrases.setdefault(word, f"X{secret.short(word, 4)}")
    for identity in identities:
        if (number := identity.patient_id) and not secret.owns(number):
            (phrases if len(number) >= MIN_CODE else short)[number] = secret.pseudonym(number)
    return phrases, frozenset(names), short


def _ends(phrase: str) -> tuple[str, str]:
    """What may not stand before and after: letters and digits, decimals after a number, "-166" after "Ho"."""
    if not is_spaced(phrase):
        return "", ""
    after = r"(?!\.\d)" if phrase.isdecimal() else r"(?!-\d)" if len(phrase) == SHORT_NAME else ""
    return r"(?<![^\W_])", rf"(?![^\W_]){after}"


def _label(secret: Secret, path: str, role: str) -> str:
    return f"{role}-{secret.short(path)}"


def path_names(path: str) -> set[str]:
    """Names within a path that may name somebody: of file and folders, with and without ending."""
    names = {name for part in PurePath(path).parts for name in (part, part.split(".")[0])}
    return {name for name in names if len(name) >= MIN_CODE - 1 and not is_ordinary(name)}
