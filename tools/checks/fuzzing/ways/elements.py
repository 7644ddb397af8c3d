"""DICOM elements as they lie in a file (explicit VR, little endian), so that any wrong one can be written.

pydicom would refuse to write most of what scanners, converters and attackers do write.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

LONG_FORMS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)


@dataclass(slots=True)
class Element:
    """One element; `items` of a sequence, else `value`. A `length` that is set is written whatever the value has."""

    tag: tuple[int, int]
    vr: bytes
    value: bytes = b""
    items: list[list[Element]] | None = None
    length: int | None = None


@dataclass(slots=True)
class DicomFile:
    """Preamble, file meta information, data set, and the rest from the pixel data on as it stands."""

    head: bytes
    meta: list[Element]
    body: list[Element]
    tail: bytes = b""

    @classmethod
    def parse(cls, content: bytes) -> DicomFile:
        """Take a sound file apart; ValueError for one that is not of explicit little endian."""
        if content[128:132] != b"DICM":
            raise ValueError("no preamble")
        meta, at = _elements(content, 132, len(content), group=2)
        syntax = next((e.value.strip(b"\0 ").decode() for e in meta if e.tag == (2, 0x10)), "")
        if syntax == "1.2.840.10008.1.2" or syntax.endswith(("1.2.1.99", ".1.2.2")):
            raise ValueError("not explicit little endian")
        body, at = _elements(content, at, len(content), stop=(0x7FE0, 0x10))
        return cls(content[:132], meta, body, content[at:])

    def write(self, *, defined: bool = False) -> bytes:
        """Bytes; with `defined` every sequence and item has its length, else they end by delimiters."""
        meta = b"".join(write_element(e, defined=defined) for e in self.meta if e.tag != (2, 0))
        count = b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(meta))
        return self.head + count + meta + b"".join(write_element(e, defined=defined) for e in self.body) + self.tail


def write_element(element: Element, *, defined: bool = False) -> bytes:
    """Bytes of an element."""
    tag = struct.pack("<HH", *element.tag)
    if element.items is not None:
        inside = b"".join(_write_item(item, defined=defined) for item in element.items)
        length = len(inside) if defined else UNDEFINED
        end = b"" if defined else struct.pack("<HHI", *SEQUENCE_END, 0)
        return tag + b"SQ\0\0" + struct.pack("<I", element.length or length) + inside + end
    value = element.value + (b"" if len(element.value) % 2 == 0 else b"\0" if element.vr in LONG_FORMS else b" ")
    if element.vr not in LONG_FORMS:
        value = value[:0xFFFE]
    length = len(value) if element.length is None else element.length
    if element.vr in LONG_FORMS:
        return tag + element.vr + b"\0\0" + struct.pack("<I", length & 0xFFFFFFFF) + value
    return tag + element.vr + struct.pack("<H", length & 0xFFFF) + value


def _write_item(item: list[Element], *, defined: bool) -> bytes:
    inside = b"".join(write_element(e, defined=defined) for e in item)
    if defined:
        return struct.pack("<HHI", *ITEM, len(inside)) + inside
    return struct.pack("<HHI", *ITEM, UNDEFINED) + inside + struct.pack("<HHI", *ITEM_END, 0)


def _elements(
    content: bytes, at: int, end: int, *, group: int | None = None, stop: tuple[int, int] | None = None
) -> tuple[list[Element], int]:
    found = []
    while at + 8 <= end:
        tag = struct.unpack_from("<HH", content, at)
        if (group is not None and tag[0] != group) or tag == stop:
            break
        if tag in (ITEM_END, SEQUENCE_END):
            return found, at + 8
        vr = content[at + 4 : at + 6]
        if not vr.isalpha():
            raise ValueError("not explicit VR")
        long = vr in LONG_FORMS
        length = struct.unpack_from("<I" if long else "<H", content, at + (8 if long else 6))[0]
        at += 12 if long else 8
        if vr == b"SQ":
            items, at = _items(content, at, end if length == UNDEFINED else at + length)
            found.append(Element(tag, vr, items=items))
            continue
        if length == UNDEFINED:
            raise ValueError("undefined length outside a sequence")
        found.append(Element(tag, vr, content[at : at + length]))
        at += length
    return found, at


def _items(content: bytes, at: int, end: int) -> tuple[list[list[Element]], int]:
    items: list[list[Element]] = []
    while at + 8 <= end:
        group, number, length = struct.unpack_from("<HHI", content, at)
        at += 8
        if (group, number) == SEQUENCE_END:
            break
        if (group, number) != ITEM:
            raise ValueError("no item")
        if length == UNDEFINED:
            item, at = _elements(content, at, len(content))
        else:
            item, at = _elements(content, at, at + length)
        items.append(item)
    return items, at


@dataclass(slots=True)
class Place:
    """Where an element stands: the list that holds it and its number there."""

    holder: list[Element] = field(repr=False)
    number: int

    @property
    def element(self) -> Element:
        """The element."""
        return self.holder[self.number]


def places(elements: list[Element], depth: int = 0) -> list[Place]:
    """Every element, those of sequences too; of many items the first three."""
    found = []
    for number, element in enumerate(elements):
        found.append(Place(elements, number))
        if element.items and depth < 8:
            for item in element.items[:3]:
                found += places(item, depth + 1)
    return found
