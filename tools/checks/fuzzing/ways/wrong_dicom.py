"""Damage to DICOM elements: values, kinds, lengths, order, sequences; and changes that are no damage."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable

from fuzzing.case import Promise, Random
from fuzzing.ways.elements import LONG_FORMS, DicomFile, Element, Place, places
from fuzzing.ways.values import CHARSETS, DATES, NUMBERS, TEXTS, UIDS

IDLE = {
    (0x0008, 0x0050): "ACC9", (0x0008, 0x0090): "Doe^Jane", (0x0008, 0x0080): "Clinic", (0x0008, 0x1010): "ST1",
    (0x0008, 0x1030): "a study", (0x0008, 0x1070): "Op^Era", (0x0010, 0x0030): "19600202", (0x0010, 0x4000): "comment",
    (0x0018, 0x1030): "protocol", (0x0020, 0x0010): "S77", (0x0028, 0x1050): "40", (0x0028, 0x1051): "400",
    (0x0008, 0x0070): "Another Maker", (0x0040, 0xA124): "1.2.3.4", (0x0018, 0x1020): "v1.2.3",
}  # fmt: skip
"""Attributes that bear on no voxel, no place, no instant and no dose, each with another valid value."""

_IDLE_VRS = {
    (0x0008, 0x0090): b"PN", (0x0008, 0x1070): b"PN", (0x0008, 0x0050): b"SH", (0x0008, 0x1010): b"SH",
    (0x0010, 0x0030): b"DA", (0x0010, 0x4000): b"LT", (0x0020, 0x0010): b"SH", (0x0028, 0x1050): b"DS",
    (0x0028, 0x1051): b"DS", (0x0040, 0xA124): b"UI",
}  # fmt: skip

_VR_WORDS = "AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OW PN SH SL SS ST TM UI UL UN US UT UV SV XX"

VRS = tuple(word.encode() for word in _VR_WORDS.split())

_PACKED = {b"US": "<H", b"SS": "<h", b"UL": "<I", b"SL": "<i", b"FL": "<f", b"FD": "<d", b"UV": "<Q", b"SV": "<q"}

DEEPEST = 3000
"""Levels of a sequence in a sequence."""


def wrong(rng: Random, content: bytes, other: bytes) -> tuple[bytes, str, Promise]:
    """One file with one to three elements wrong; ValueError if it cannot be taken apart."""
    file = DicomFile.parse(content)
    if rng.random() < 0.12:
        return _idle(rng, file)
    said = []
    promises = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        how, promise = rng.choices([way for way, _ in _WAYS], [weight for _, weight in _WAYS])[0](rng, file, other)
        said.append(how)
        promises.append(promise)
    same = all(p is Promise.SAME_IF_ANSWERED for p in promises)
    # What is written with another length, or twice, may swallow what stands behind it.
    return file.write(defined=rng.random() < 0.3), " + ".join(said), promises[0] if same else Promise.SOUND


def _idle(rng: Random, file: DicomFile) -> tuple[bytes, str, Promise]:
    """Something that is no damage."""
    way = rng.randrange(5)
    if way == 0:
        return file.write(defined=True), "sequences with lengths", Promise.SAME
    if way == 1:
        return file.write(defined=False), "sequences with delimiters", Promise.SAME
    if way == 2:
        private = [
            Element((0x0029, 0x0010), b"LO", b"FUZZ 1"), Element((0x0029, 0x1001), b"UN", rng.randbytes(40)),
        ]  # fmt: skip
        _insert(file.body, private)
        return file.write(), "private elements added", Promise.SAME
    if way == 3:
        file.head = rng.randbytes(128) + b"DICM"
        return file.write(), "another preamble", Promise.SAME
    tag = rng.choice(sorted(IDLE))
    file.body = [e for e in file.body if e.tag != tag]
    _insert(file.body, [Element(tag, _IDLE_VRS.get(tag, b"LO"), IDLE[tag].encode())])
    return file.write(), f"{_name(tag)} another valid value", Promise.SAME


def _insert(body: list[Element], new: list[Element]) -> None:
    at = next((n for n, e in enumerate(body) if e.tag > new[0].tag), len(body))
    body[at:at] = new


def _name(tag: tuple[int, int]) -> str:
    return f"({tag[0]:04x},{tag[1]:04x})"


def _any(rng: Random, file: DicomFile) -> Place:
    found = places(file.body)
    return rng.choice(found)


def _held_to(element: Element, place: Place, file: DicomFile) -> Promise:
    idle = place.holder is file.body and element.tag in IDLE
    return Promise.SAME_IF_ANSWERED if idle else Promise.SOUND


def _value(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    """A value of the element's own kind that is extreme or nonsense."""
    place = _any(rng, file)
    element = place.element
    element.items = None if element.items is None or rng.random() < 0.5 else element.items
    element.value = new = extreme(rng, element.vr)
    return f"{_name(element.tag)} {element.vr.decode()} = {new[:40]!r}", _held_to(element, place, file)


def extreme(rng: Random, vr: bytes) -> bytes:
    """A value of a kind that is extreme or nonsense."""
    if vr in _PACKED:
        form = _PACKED[vr]
        size = struct.calcsize(form)
        if form in ("<f", "<d"):
            choices = [
                0.0,
                -0.0,
                -1.0,
                1e308 if form == "<d" else 3e38,
                float("nan"),
                float("inf"),
                -float("inf"),
                1e-40,
            ]
            new = struct.pack(form, rng.choice(choices))
        else:
            new = rng.choice((bytes(size), b"\xff" * size, b"\xff" * (size - 1) + b"\x7f", bytes(size - 1) + b"\x80",
                              b"\x01" + bytes(size - 1), rng.randbytes(size)))  # fmt: skip
        return rng.choice((new, new, new, b"", new * 2, new * 7, new[:-1], new + b"\0"))
    words = {b"DS": NUMBERS, b"IS": NUMBERS, b"DA": DATES, b"TM": DATES, b"DT": DATES, b"UI": UIDS}.get(vr, TEXTS)
    if rng.random() < 0.15:
        words = rng.choice((NUMBERS, DATES, TEXTS, UIDS, CHARSETS))
    text = rng.choice(words)
    if rng.random() < 0.1:
        return rng.choice(
            (text.encode("utf-16"), rng.randbytes(12), text.encode("utf-8") + b"\0" * 30, b"\xff\xfe\xfd")
        )
    return text.encode(rng.choice(("utf-8", "utf-8", "latin-1")), "replace")


def _number(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    """A number of the file, of one of its several values, put to the edge."""
    numeric = [p for p in places(file.body) if p.element.items is None and p.element.vr in (b"DS", b"IS", *_PACKED)]
    if not numeric:
        return "nothing", Promise.SAME_IF_ANSWERED
    place = rng.choice(numeric)
    element = place.element
    if element.vr in _PACKED:
        size = struct.calcsize(_PACKED[element.vr])
        at = rng.randrange(max(1, len(element.value) // size)) * size
        element.value = element.value[:at] + extreme(rng, element.vr)[:size] + element.value[at + size :]
    else:
        parts = element.value.split(b"\\")
        parts[rng.randrange(len(parts))] = rng.choice(NUMBERS).encode()
        element.value = b"\\".join(parts)
    return f"{_name(element.tag)} {element.vr.decode()} = {element.value[:60]!r}", _held_to(element, place, file)


def _removed(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    place = _any(rng, file)
    element = place.holder.pop(place.number)
    return f"{_name(element.tag)} removed", _held_to(element, place, file)


def _doubled(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    place = _any(rng, file)
    twin = copy.deepcopy(place.element)
    if twin.items is None and rng.random() < 0.5:
        twin.value = extreme(rng, twin.vr)
    place.holder.insert(place.number + rng.randrange(2), twin)
    return f"{_name(twin.tag)} twice", Promise.SOUND


def _retyped(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    place = _any(rng, file)
    element = place.element
    before, element.vr = element.vr, rng.choice(VRS)
    if element.items is not None and rng.random() < 0.7:
        element.items, element.value = None, rng.choice((b"", b"12", b"1\\2"))
    elif element.items is None and rng.random() < 0.15:
        element.vr, element.items = b"SQ", [[]]
    return f"{_name(element.tag)} {before!r} as {element.vr!r}", _held_to(element, place, file)


def _several(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    place = _any(rng, file)
    element = place.element
    if element.items is not None:
        element.items *= rng.choice((2, 3, 50))
        return f"{_name(element.tag)} items repeated", Promise.SOUND
    count = rng.choice((2, 3, 2000))
    joint = b"" if element.vr in _PACKED else b"\\"
    element.value = joint.join([element.value] * count)
    return f"{_name(element.tag)} {count} times over", _held_to(element, place, file)


def _length(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    element = _any(rng, file).element
    own = len(element.value)
    choices = (0, 1, own + 1, own + 2, own + 200, max(own - 2, 0), 0xFFFE, 0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFF)
    element.length = rng.choice(choices)
    return f"{_name(element.tag)} claims {element.length} bytes", Promise.SOUND


def _sequence(rng: Random, file: DicomFile, other: bytes) -> tuple[str, Promise]:
    """A sequence emptied, its items lost, exchanged, or nested without end."""
    found = [p.element for p in places(file.body) if p.element.items is not None]
    if not found:
        return _removed(rng, file, other)
    element = rng.choice(found)
    items = element.items or []
    way = rng.choice(("emptied", "one item lost", "shuffled", "empty item", "nested", "item of another", "reversed"))
    if way == "emptied":
        items = []
    elif way == "one item lost" and items:
        items = items[: (at := rng.randrange(len(items)))] + items[at + 1 :]
    elif way == "shuffled":
        items = rng.sample(items, len(items))
    elif way == "reversed":
        items = items[::-1]
    elif way == "empty item":
        items = [*items, []]
    elif way == "item of another":
        items = copy.deepcopy(rng.choice(found).items or [])
    else:
        items = [*items, _nested(element.tag, rng.choice((2, 40, 400, DEEPEST)))]
    element.items = items
    return f"{_name(element.tag)} {way}", Promise.SOUND


def _nested(tag: tuple[int, int], levels: int) -> list[Element]:
    """An item that holds a sequence of the same tag, and so on."""
    opening = struct.pack("<HH", *tag) + b"SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return (
        [Element(tag, b"UN", opening * levels + closing * levels)] if levels < 3 else [_raw(opening, closing, levels)]
    )


def _raw(opening: bytes, closing: bytes, levels: int) -> Element:
    """Nested sequences as one element, written without recursion: its header is the first opening."""
    body = opening * levels + closing * levels
    tag = struct.unpack_from("<HH", opening)
    # UN of undefined length is a sequence by PS3.5, 6.2.2.
    return Element((tag[0], tag[1]), b"UN", body[12:], length=0xFFFFFFFF)


def _exchanged(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    """Values of two elements exchanged."""
    flat = [p.element for p in places(file.body) if p.element.items is None]
    first, second = rng.sample(flat, 2)
    first.value, second.value = second.value, first.value
    return f"{_name(first.tag)} and {_name(second.tag)} exchanged", Promise.SOUND


def _moved(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    """An element at another place of its data set, against the order of tags."""
    place = _any(rng, file)
    element = place.holder.pop(place.number)
    place.holder.insert(rng.randrange(len(place.holder) + 1), element)
    return f"{_name(element.tag)} moved", Promise.SAME_IF_ANSWERED


def _foreign(rng: Random, file: DicomFile, other: bytes) -> tuple[str, Promise]:
    """Elements of another object, in place of the own or beside them."""
    try:
        theirs = DicomFile.parse(other)
    except (ValueError, struct.error):
        return _removed(rng, file, other)
    new = copy.deepcopy(rng.choice(places(theirs.body)).element)
    file.body = [e for e in file.body if e.tag != new.tag]
    _insert(file.body, [new])
    return f"{_name(new.tag)} of another object", Promise.SOUND


def _charset(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    name = rng.choice(CHARSETS)
    file.body = [e for e in file.body if e.tag != (8, 5)]
    _insert(file.body, [Element((8, 5), b"CS", name.encode())])
    texts = [p.element for p in places(file.body) if p.element.vr in (b"PN", b"LO", b"SH", b"LT", b"ST", b"UT")]
    if texts and rng.random() < 0.7:
        rng.choice(texts).value = rng.choice(
            (b"\x1b$B\x3b\x33", b"\xc4\xd6\xdc", b"\x1b(J\xd4", b"\x1b$)C\xb1", b"\x81")
        )
    return f"charset {name[:30]!r}", Promise.SOUND


def _meta(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    """File meta information: transfer syntax, class, or an element of it gone."""
    if not file.meta:
        return "nothing", Promise.SOUND
    number = rng.randrange(len(file.meta))
    element = file.meta[number]
    if rng.random() < 0.3:
        del file.meta[number]
        return f"{_name(element.tag)} removed", Promise.SOUND
    syntaxes = ["1.2.840.10008.1.2" + end for end in ("", ".1", ".2", ".1.99", ".4.50", ".4.70", ".4.80", ".4.90", ".5",
                                                      ".4.201", ".8.1")]  # fmt: skip
    element.value = rng.choice([*syntaxes, *UIDS]).encode() if rng.random() < 0.8 else extreme(rng, element.vr)
    return f"{_name(element.tag)} = {element.value[:50]!r}", Promise.SOUND


def _pixels(rng: Random, file: DicomFile, _: bytes) -> tuple[str, Promise]:
    """Pixel data shorter, longer, absent, of another kind or length."""
    way = rng.choice(("shorter", "absent", "longer", "kind", "length", "float"))
    tail = file.tail
    if way == "shorter":
        file.tail = tail[: rng.randrange(len(tail) + 1)]
        return "pixel data shorter", Promise.CUT
    if way == "absent":
        file.tail = b""
        return "pixel data absent", Promise.CUT
    if way == "longer":
        file.tail = tail + rng.randbytes(rng.choice((2, 400)))
        return "something behind the pixel data", Promise.SOUND
    if way == "kind":
        file.tail = tail[:4] + rng.choice((b"OB", b"UN", b"OF", b"SQ", b"US")) + tail[6:]
    elif way == "float":
        file.tail = b"\xe0\x7f" + rng.choice((b"\x08\0OF", b"\x09\0OD")) + tail[6:]
    else:
        file.tail = tail[:8] + rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", rng.randbytes(4))) + tail[12:]
    return f"pixel data: {way}", Promise.SOUND


Way = Callable[[Random, DicomFile, bytes], tuple[str, Promise]]
_WAYS: tuple[tuple[Way, int], ...] = (
    (_value, 14), (_number, 14), (_removed, 8), (_doubled, 4), (_retyped, 8), (_several, 5), (_length, 5),
    (_sequence, 8), (_exchanged, 4), (_moved, 2), (_foreign, 4), (_charset, 3), (_meta, 4), (_pixels, 4),
)  # fmt: skip

__all__ = ["IDLE", "LONG_FORMS", "extreme", "wrong"]
