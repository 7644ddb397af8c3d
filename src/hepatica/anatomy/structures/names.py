"""What the name of a structure means: the one place that reads names, in six languages.

A name is split into words, each word stands for something (`words`), and a few rules read them in order: what is taken
away ("liver minus tumours", "Leber ohne Tumor") does not name what is left, what is denied ("non-tumour", 非肿瘤) is
healthy, a tumour of the liver is a tumour. Where a name can be read in two ways, none is chosen: the structure is
OTHER, and the doubt is said.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from hepatica.anatomy.structures.kinds import LESIONS, LIVER_PARTS, LUNGS, ORGANS, Structure
from hepatica.anatomy.structures.words import CANCERS, COMPOUNDED, LONE, TRADITIONAL, Word, words

Concept = Word | Structure

MAX_NAME = 256
"""Characters of a name that are read; DICOM allows 64."""


MAX_COMPOUND = 60
"""Letters of a compound; "Leberzellkarzinommetastasen" has 27."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means.

    Attributes
    ----------
    structure : Structure
        OTHER where it says nothing, or two things.
    doubt : str
        Why it was not decided: what it could be; empty where it is clear.
    """

    structure: Structure
    doubt: str = ""


@functools.lru_cache(maxsize=4096)
def meaning_of(name: str) -> Meaning:
    """What a structure's name means.

    Examples
    --------
    >>> [meaning_of(name).structure.value for name in ("Lebertumor 2", "foie sain", "肝脏", "Liver-GTV")]
    ['tumour', 'normal_liver', 'liver', 'normal_liver']
    >>> meaning_of("Liver-Tumor").doubt
    'a tumour of the liver, or the liver minus the tumour'
    """
    if _is_default(name):
        return Meaning(Structure.OTHER)
    return _meaning(_denied(_concepts(_folded(name))))


def _is_default(name: str) -> bool:
    """The name that 3D Slicer gives a new segment; "Segment 4" is one of the liver."""
    return bool(re.fullmatch(r"segment_\d+", name.strip().casefold()))


def is_understood(name: str) -> bool:
    """Whether a name says what a structure is or is not, with no word that is unknown or by words that decide.

    Examples
    --------
    >>> [is_understood(name) for name in ("GTV1", "couch", "liver cyst", "Segment_1", "A3", "Xyz")]
    [True, True, True, False, False, False]
    """
    if meaning_of(name).structure is not Structure.OTHER:
        return True
    concepts = set(_concepts(_folded(name)))
    return not _is_default(name) and Word.UNKNOWN not in concepts and not concepts <= _SAY_NOTHING


def organ_of(name: str) -> Structure | None:
    """The organ other than liver and lungs (`kinds.ORGANS`) that a name means; None if it means none, or two.

    Examples
    --------
    >>> organ_of("Zwölffingerdarm").value, organ_of("stomach wall").value, organ_of("stomach/duodenum")
    ('duodenum', 'stomach', None)
    """
    found = meaning_of(name).structure
    return found if found in ORGANS else None


# ---------------------------------------------------------------------------------------------------------------------
# From a name to concepts


@functools.cache
def _chinese() -> list[tuple[str, Concept]]:
    """Chinese words, longest first."""
    found = [(phrase[0], concept) for phrase, concept in words().items() if _is_chinese(phrase[0])]
    return sorted(found, key=lambda pair: -len(pair[0]))


def _is_chinese(text: str) -> bool:
    return bool(re.match(r"[\u3400-\u9fff]", text))


def _is_word(piece: str) -> bool:
    return piece.isalpha() and not _is_chinese(piece)


def _folded(name: str) -> str:
    """Lower case without accents, words of CamelCase apart, Chinese simplified."""
    text = unicodedata.normalize("NFKC", name[:MAX_NAME]).replace("œ", "oe").replace("Œ", "Oe")
    text = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", text)
    text = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in text if not unicodedata.combining(c)).translate(TRADITIONAL)


def _concepts(plain: str) -> list[Concept]:
    """Concepts of a folded name, in order."""
    pieces = re.findall(
        r"[\u3400-\u9fff]+|[^\W\d_]+|\d+(?:[.,]\d+)?|\\|\+|/|\s+-\s+|-", plain.replace("w/o", " without ")
    )
    out: list[Concept] = []
    weak: list[tuple[int, str]] = []
    at = 0
    while at < len(pieces):
        piece = pieces[at]
        if piece[0].isdigit():
            out.append(Word.NUMBER)
        elif _is_chinese(piece):
            out += _from_chinese(piece)
        elif (sign := _SIGNS.get(piece.strip())) is not None:
            out.append(sign)
        else:
            count, concepts = _longest(list(itertools.takewhile(_is_word, pieces[at : at + 4])))
            if piece == "s" and at + 1 < len(pieces) and re.fullmatch("[1-8]", pieces[at + 1]):
                concepts = [Word.SEGMENT]
            if concepts == [Word.UNKNOWN] and piece in LONE:
                weak.append((len(out), piece))
            out += concepts
            at += count - 1
        at += 1
    return _with_lone(out, weak)


_SIGNS: dict[str, Concept] = {"-": Word.HYPHEN, "+": Word.PLUS, "\\": Word.LESS, "/": Word.AND}


def _longest(pieces: Sequence[str]) -> tuple[int, list[Concept]]:
    """How many words the longest known phrase takes, and its concept; else the parts of a compound, else unknown."""
    for count in range(len(pieces), 0, -1):
        if (concept := words().get(tuple(pieces[:count]))) is not None:
            return count, [concept]
    if re.fullmatch(r"[ivx]+", pieces[0]):
        return 1, [Word.NUMBER]
    if compound := _compound(pieces[0]):
        return 1, list(compound)
    return 1, [Word.TUMOUR if any(part in pieces[0] for part in CANCERS) else Word.UNKNOWN]


@functools.lru_cache(maxsize=4096)
def _compound(word: str) -> tuple[Concept, ...]:
    """Concepts of a word that is wholly made of known ones, with -n-, -s- or -en- between; empty if it is not."""
    if not word or len(word) > MAX_COMPOUND:
        return ()
    for part in sorted(COMPOUNDED, key=len, reverse=True):
        if not word.startswith(part):
            continue
        concept = words().get((part,)) or LONE.get(part, Word.UNKNOWN)
        rest = word[len(part) :]
        if rest in ("", "n", "s", "en", "e"):
            return (concept,)
        for link in ("", "n", "s", "en"):
            if rest.startswith(link) and (more := _compound(rest[len(link) :])):
                return (concept, *more)
    return ()


def _from_chinese(text: str) -> list[Concept]:
    out: list[Concept] = []
    while text:
        word, concept = next(((w, c) for w, c in _chinese() if text.startswith(w)), (text[0], Word.UNKNOWN))
        out += _SIDED.get(word, [concept])
        text = text[len(word) :]
    return out


_SIDED: dict[str, list[Concept]] = {
    "左叶": [Word.LEFT, Word.LOBE],
    "右叶": [Word.RIGHT, Word.LOBE],
    "左肝": [Word.LEFT, Word.LIVER],
    "右肝": [Word.RIGHT, Word.LIVER],
    "肝癌": [Word.LIVER, Word.TUMOUR],
}


def _with_lone(concepts: list[Concept], weak: Sequence[tuple[int, str]]) -> list[Concept]:
    """Words that mean something only among known ones."""
    places = {at for at, _ in weak}
    if any(c is Word.UNKNOWN and at not in places for at, c in enumerate(concepts)):
        return concepts
    for at, word in weak:
        after = concepts[at + 1 : at + 2]
        with_tumour = word == "met" and at > 0 and bool(after) and after[0] in (Word.TUMOUR, Word.GROSS)
        concepts[at] = Word.WITH if with_tumour else LONE[word]
    return concepts


def _denied(concepts: Sequence[Concept]) -> list[Concept]:
    """Join what is denied: non-tumour and tumour-free are healthy; anything else denied is spared."""
    known = [c for c in concepts if c is not Word.FILLER]
    out: list[Concept] = []
    at = 0
    while at < len(known):
        rest = [c for c in known[at + 1 : at + 3] if c is not Word.HYPHEN]
        after = rest[0] if rest else None
        step = 2 + (known[at + 1 : at + 2] == [Word.HYPHEN])
        if known[at] is Word.NON and after is not None:
            out.append(Word.TUMOUR_FREE if after in _TUMOURS else Word.SPARED)
        elif (known[at] in _TUMOURS and after is Word.FREE) or (known[at] is Word.FREE and after in _TUMOURS):
            out.append(Word.TUMOUR_FREE)
        else:
            out.append(known[at])
            step = 1
        at += step
    return out


# ---------------------------------------------------------------------------------------------------------------------
# From concepts to a meaning

_TUMOURS = frozenset({Word.TUMOUR, Word.GROSS})
_SAY_NOTHING = frozenset({Word.FILLER, Word.NUMBER, Word.HYPHEN, Word.LEFT, Word.RIGHT, Word.ALL})
_HEALTHY = frozenset({Word.HEALTHY, Word.TUMOUR_FREE})
_SIDES = frozenset({Word.LEFT, Word.RIGHT})
_BOWELS = frozenset({Structure.SMALL_BOWEL, Structure.COLON, Structure.BOWEL})
_ALL_OF_TUMOUR = LESIONS | {Structure.ALL_TUMOURS, Structure.NECROSIS}


def _meaning(concepts: Sequence[Concept]) -> Meaning:
    joined = _hyphens(concepts)
    if joined is None:
        return Meaning(Structure.OTHER, "a tumour of the liver, or the liver minus the tumour")
    for word, rule in ((Word.LESS, _lessened), (Word.WITH, _with), (Word.PLUS, _plus), (Word.AND, _and)):
        if word in joined:
            at = joined.index(word)
            return rule(joined[:at], joined[at + 1 :])
    return _single(joined)


def _hyphens(concepts: Sequence[Concept]) -> list[Concept] | None:
    """Without hyphens: "Liver-GTV" takes away (TG-263), "liver-tumour" may do so (None), others join."""
    out: list[Concept] = []
    for at, concept in enumerate(concepts):
        if concept is not Word.HYPHEN:
            out.append(concept)
            continue
        before, after = set(concepts[:at]), list(concepts[at + 1 :])
        whole = before & {Word.LIVER, Word.LUNG, Word.PERFUSED, Word.TERRITORY, Word.BODY, *ORGANS}
        if not whole or before & (_TUMOURS | {Word.LESS}) or not after:
            continue
        if after[0] in (Word.GROSS, Word.TARGET):
            out.append(Word.LESS)
        elif Word.TUMOUR in after[:2] and Word.LESS not in after:
            return None
    return out


def _lessened(left: Sequence[Concept], right: Sequence[Concept]) -> Meaning:
    """Left without right."""
    base, taken = _meaning(left).structure, _meaning(right)
    of_tumour = taken.structure in _ALL_OF_TUMOUR - {Structure.NECROSIS}
    if base is Structure.LIVER or (base is Structure.OTHER and set(left) == {Word.TISSUE}):
        if of_tumour:
            return Meaning(Structure.NORMAL_LIVER)
        if Word.TARGET in right or taken.structure in (Structure.NECROSIS, Structure.OTHER, *LIVER_PARTS):
            return _less_of_liver(right, taken)
        return Meaning(base)
    if base is Structure.PERFUSED:
        if of_tumour:
            return Meaning(Structure.PERFUSED_NORMAL)
        return Meaning(Structure.OTHER, "the perfused volume without a part that is no tumour")
    if base in LUNGS:
        return _less_of_lung(base, right)
    if base is Structure.TUMOUR and taken.structure in LIVER_PARTS:
        return Meaning(Structure.TUMOUR_ELSEWHERE)
    return Meaning(Structure.OTHER if base is Structure.BODY else base)


def _less_of_lung(base: Structure, right: Sequence[Concept]) -> Meaning:
    """Lungs minus a GTV are the lungs (TG-263); a target with its margin may be a large part of them."""
    if set(right) & {Word.DOME, Word.LIVER, Word.LENGTH, Word.MARGIN}:
        return Meaning(Structure.LUNG_LESS_DOME)
    return Meaning(Structure.OTHER, "the lungs, or a part of them") if Word.TARGET in right else Meaning(base)


def _less_of_liver(right: Sequence[Concept], taken: Meaning) -> Meaning:
    if not right or set(right) <= {Word.VESSEL, Word.ARTERY, Word.BENIGN, Word.NUMBER}:
        return Meaning(Structure.LIVER)
    if taken.structure in LIVER_PARTS:
        return Meaning(Structure.OTHER)
    return Meaning(Structure.OTHER, "the liver without something that is not surely all of the tumour")


def _with(left: Sequence[Concept], right: Sequence[Concept]) -> Meaning:
    """Left with right: the whole, unless the right widens a tumour."""
    base = _meaning(left)
    if base.structure in _ALL_OF_TUMOUR:
        if set(right) & {Word.MARGIN, Word.LENGTH, Word.TARGET}:
            return Meaning(Structure.OTHER)
        if _meaning(right).structure in LIVER_PARTS:
            return Meaning(Structure.OTHER, "a tumour, or more than the tumour")
    return base


def _plus(left: Sequence[Concept], right: Sequence[Concept]) -> Meaning:
    if right and right[0] is Word.NUMBER and _meaning(left).structure in _ALL_OF_TUMOUR:
        return Meaning(Structure.OTHER)
    return _and(left, right, together=True)


def _and(left: Sequence[Concept], right: Sequence[Concept], *, together: bool = False) -> Meaning:
    """Two things at once: several tumours, both lungs, the liver and its tumour; others are in doubt."""
    first, second = _meaning(left).structure, _meaning(right).structure
    if together and first is Structure.LIVER and second in _ALL_OF_TUMOUR:
        return Meaning(first)
    if first in _ALL_OF_TUMOUR and (second in _ALL_OF_TUMOUR or set(right) <= {Word.NUMBER}):
        return Meaning(Structure.ALL_TUMOURS)
    if first in LUNGS and (second in LUNGS or set(right) <= _SIDES):
        return Meaning(Structure.LUNG)
    if first is Structure.OTHER and set(left) <= _SIDES and second in LUNGS:
        return Meaning(Structure.LUNG)
    if {first, second} <= _BOWELS:
        return Meaning(Structure.BOWEL)
    if first is second or not right:
        return Meaning(first)
    if Structure.OTHER in (first, second) and not set(left) | set(right) <= {Word.UNKNOWN}:
        kept = first if second is Structure.OTHER else second
        if kept in (Structure.OTHER, *_ALL_OF_TUMOUR) or set(right) <= {Word.UNKNOWN, Word.NUMBER, *_SIDES}:
            return Meaning(kept)
    return Meaning(Structure.OTHER, f"{first.value.replace('_', ' ')} and {second.value.replace('_', ' ')} in one")


def _single(concepts: Sequence[Concept]) -> Meaning:
    """Meaning of concepts without an operator among them."""
    found = set(concepts)
    organs = found & ORGANS
    if found & _TUMOURS:
        return _tumour(found, organs)
    if found & {Word.ASIDE, Word.VESSEL, Word.ARTERY, Word.BENIGN, Word.MARGIN, Word.SPARED}:
        # "hepatic flexure" is a phrase of its own; a wall or margin of something is not the thing.
        return Meaning(Structure.OTHER)
    if Word.TARGET in found:
        return Meaning(
            Structure.OTHER, "a target with its margin: neither the tumour alone nor surely the perfused volume"
        )
    for word, structure in (
        (Word.NODE, Structure.LYMPH_NODE),
        (Word.NECROSIS, Structure.NECROSIS),
        (Word.REMNANT, Structure.REMNANT),
        (Word.LIPIODOL, Structure.LIPIODOL),
    ):
        if word in found:
            return Meaning(structure)
    if Word.LUNG in found:
        return _lung(found, organs)
    if organs:
        return _organ(found, organs)
    return _liver(found)


def _tumour(found: set[Concept], organs: set[Concept]) -> Meaning:
    in_liver = bool(found & {Word.LIVER, Word.LOBE, Word.SEGMENT})
    elsewhere = bool(organs or found & {Word.LUNG, Word.SITE}) and not in_liver
    from_colon = organs == {Structure.COLON} and not in_liver
    widened = Word.TARGET in found or found >= {Word.GROSS, Word.LENGTH}
    rules = (
        (found & {Word.ASIDE, Word.BENIGN, Word.MARGIN}, Meaning(Structure.OTHER)),
        (Word.SPARED in found, Meaning(Structure.OTHER, "a tumour, or a part of one, or none")),
        (Word.ARTERY in found, Meaning(Structure.OTHER, "a vessel of a tumour, or the tumour")),
        (Word.OUTDATED in found, Meaning(Structure.OTHER, "the tumour as it was drawn earlier, or as it is")),
        (widened, Meaning(Structure.OTHER, "a target with its margin, or the tumour")),
        (found & _HEALTHY, Meaning(Structure.OTHER, "healthy tissue, or a tumour")),
        (Word.NODE in found, Meaning(Structure.LYMPH_NODE)),
        (Word.TERRITORY in found, Meaning(Structure.PERFUSED)),
        (Word.NECROSIS in found, Meaning(Structure.NECROSIS)),
        (from_colon, Meaning(Structure.OTHER, "a tumour of the colon, or one in the liver that came from there")),
        (elsewhere and Word.ALL in found, Meaning(Structure.OTHER)),
        (elsewhere, Meaning(Structure.TUMOUR_ELSEWHERE)),
        (Word.ALL in found, Meaning(Structure.ALL_TUMOURS)),
    )
    return next((meaning for holds, meaning in rules if holds), Meaning(Structure.TUMOUR))


def _lung(found: set[Concept], organs: set[Concept]) -> Meaning:
    if organs or Word.LIVER in found:
        return Meaning(Structure.OTHER, "lung and another organ in one")
    if found & {Word.LOBE, Word.SEGMENT, Word.PERFUSED, Word.TERRITORY, Word.DOME, Word.SITE}:
        return Meaning(Structure.OTHER)
    sides = found & _SIDES
    if len(sides) != 1 or Word.ALL in found:
        return Meaning(Structure.LUNG)
    return Meaning(Structure.LUNG_LEFT if Word.LEFT in sides else Structure.LUNG_RIGHT)


def _organ(found: set[Concept], organs: set[Concept]) -> Meaning:
    if Word.LIVER in found or len(organs) > 1:
        if Word.LIVER not in found and organs <= _BOWELS:
            return Meaning(Structure.BOWEL)
        names = sorted({str(c.value).replace("_", " ") for c in organs} | ({"liver"} if Word.LIVER in found else set()))
        return Meaning(Structure.OTHER, f"{' and '.join(names)} in one")
    if found & {Word.PERFUSED, Word.TERRITORY, Word.LOBE}:
        return Meaning(Structure.OTHER)
    (organ,) = organs
    return Meaning(Structure(organ))


def _liver(found: set[Concept]) -> Meaning:
    """The liver and its parts, and the body."""
    perfused = bool(found & {Word.PERFUSED, Word.TERRITORY})
    part = bool(found & {Word.LOBE, Word.SEGMENT}) or (Word.LIVER in found and bool(found & _SIDES))
    if found & _HEALTHY:
        # Nothing else healthy is drawn: "NTL", "normal tissue", "healthy".
        known = found & {Word.LIVER, Word.TISSUE} or found <= {Word.HEALTHY, Word.NUMBER}
        whole = Structure.NORMAL_LIVER if known else Structure.OTHER
        return Meaning(Structure.PERFUSED_NORMAL if perfused else Structure.LOBE if part else whole)
    rules = (
        (Word.SITE in found, Meaning(Structure.OTHER)),
        (perfused, Meaning(Structure.PERFUSED)),
        (found & {Word.LOBE, Word.SEGMENT}, Meaning(Structure.LOBE)),
        (Word.DOME in found, Meaning(Structure.OTHER)),
        (part, Meaning(Structure.LOBE)),
        (Word.LIVER in found, Meaning(Structure.LIVER)),
        (found == {Word.TISSUE}, Meaning(Structure.OTHER, "the liver, or the liver minus tumours")),
        (Word.BODY in found, Meaning(Structure.BODY)),
    )
    return next((meaning for holds, meaning in rules if holds), Meaning(Structure.OTHER))
