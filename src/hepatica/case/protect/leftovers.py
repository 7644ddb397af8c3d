"""The last look at a copy without identity: every byte of it is searched for what says whose the original is."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hepatica.core.privacy.identity import Identity
from hepatica.core.privacy.names import name_words
from hepatica.core.privacy.words import is_ordinary
from hepatica.io.dicom.objects import RESEARCH_ONLY

MIN_IN_TEXT, MIN_IN_BYTES = 4, 6
"""Letters of a word that is looked for in texts, and in the bytes of images, where a shorter one stands by chance."""

_PICTURE = re.compile(rb"base64,[A-Za-z0-9+/=]+")

NOTHING = ("none", "unknown", "anonymous", "n/a", "not stated")
"""What headers hold in place of a number or an institution."""

TEXT_ENDINGS = (".json", ".jsonl", ".csv", ".toml", ".html", ".svg", ".txt", ".tfm", ".sha256")


def searched_for(identities: Iterable[Identity], uids: Iterable[str]) -> frozenset[str]:
    """Words, numbers and UIDs by which somebody could be found."""
    found: set[str] = set()
    for identity in identities:
        found |= {word for name in identity.people for word in name_words(name)}
        found |= {identity.patient_id, *identity.codes, *identity.texts}
    return frozenset((*uids, *(text for text in found if len(text) >= MIN_IN_TEXT and not _names_nobody(text))))


def _names_nobody(text: str) -> bool:
    """Whether a text is made of words of the field, says that there is none, or is one that hepatica writes."""
    return is_ordinary(text) or text.lower() in NOTHING or RESEARCH_ONLY.partition(";")[0].lower() in text.lower()


def leftovers(folder: Path, words: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Files of a folder that hold one of the words, in their bytes or their names, and the word that was found."""
    in_texts, in_bytes = _pattern(words), _pattern(word for word in words if len(word) >= MIN_IN_BYTES)
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        pattern = in_texts if path.suffix in TEXT_ENDINGS else in_bytes
        contents = _contents(path) if path.is_file() else ()
        hits = (hit for hit in (in_texts.search(name.encode()), *map(pattern.search, contents)) if hit)
        if (hit := next(hits, None)) is not None:
            found.append((name, hit[0].decode("utf-8", "replace")))
    return tuple(found)


def _pattern(words: Iterable[str]) -> re.Pattern[bytes]:
    spellings = sorted({re.escape(code) for word in words for code in _spellings(word)}, key=len, reverse=True)
    return re.compile(b"|".join(spellings) if spellings else rb"(?!)", re.IGNORECASE)


def _spellings(word: str) -> Iterator[bytes]:
    yield word.encode("utf-8")
    for coding in ("latin-1", "utf-16-le"):
        try:
            yield word.encode(coding)
        except UnicodeEncodeError:
            continue


def _contents(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    # Pictures in a page are written in letters, among which short names stand by chance; they were drawn from the copy.
    yield _PICTURE.sub(b"", content)
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
