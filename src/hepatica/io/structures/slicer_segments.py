"""What 3D Slicer writes into the header of a .seg.nrrd: name, label, layer, colour and terminology of each segment.

Keys are ``Segment0_Name``, ``Segment0_LabelValue``, ``Segment0_Layer``, ``Segment0_Tags`` and others. Segments that
overlap lie on several layers, which are values of one voxel. Before Slicer 4.11 there was neither label nor layer: each
segment had a layer of its own, and the label 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hepatica.core.region import Code
from hepatica.errors import InputError
from hepatica.io.input_files import require_file
from hepatica.io.volumes.voxels import reading

HEADER_BYTES = 4_000_000
"""Longest header that is looked at."""


@dataclass(frozen=True, slots=True)
class SlicerSegment:
    """One segment of a .seg.nrrd file.

    Attributes
    ----------
    name : str
        As in the file; its identifier where it has no name.
    number : int
        Value of its voxels.
    layer : int
        Which of the values of a voxel is meant, from 0.
    colour : tuple of int or None
        Red, green, blue, 0 to 255.
    codes : tuple of Code
        Type and category of its terminology entry.
    """

    name: str
    number: int
    layer: int = 0
    colour: tuple[int, int, int] | None = None
    codes: tuple[Code, ...] = ()


def slicer_segments(path: Path) -> tuple[SlicerSegment, ...]:
    """Segments that the header of an NRRD file names; none for another file.

    Raises
    ------
    InputError
        If a label or layer is no whole number, or two segments share one.
    """
    if not path.name.lower().endswith((".nrrd", ".nhdr")):
        return ()
    fields = _segment_fields(path)
    without_layers = all("LabelValue" not in entry and "Layer" not in entry for entry in fields.values())
    segments = []
    for order, (index, entry) in enumerate(sorted(fields.items())):
        segments.append(
            SlicerSegment(
                entry.get("Name") or entry.get("ID") or f"Segment {index}",
                _whole(path, index, entry, "LabelValue", 1),
                _whole(path, index, entry, "Layer", order if without_layers else 0),
                _colour(entry.get("Color", "")),
                _terminology(entry.get("Tags", "")),
            )
        )
    places: dict[tuple[int, int], SlicerSegment] = {}
    for second in segments:
        first = places.setdefault((second.layer, second.number), second)
        if first is not second:
            raise InputError(
                f"{path}: segments {first.name!r} and {second.name!r} both have the label {first.number} in layer "
                f"{first.layer}",
                remedy="export the segmentation again",
            )
    return tuple(segments)


def _segment_fields(path: Path) -> dict[int, dict[str, str]]:
    """Number of each segment -> its keys and values."""
    require_file(path)
    with reading(path), path.open("rb") as stream:
        if stream.read(4) != b"NRRD":
            return {}
        stream.seek(0)
        text = re.split(rb"\r?\n\r?\n", stream.read(HEADER_BYTES), maxsplit=1)[0].decode("utf-8", errors="replace")
    fields: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"Segment(\d{1,6})_(ID|Name|LabelValue|Layer|Color|Tags):=(.*)", line)
        if match:
            # NRRD writes a line break and a backslash of a value as \n and \\.
            value = re.sub(r"\\(.)", lambda found: " " if found[1] == "n" else found[1], match[3]).strip()
            fields.setdefault(int(match[1]), {})[match[2]] = value
    return fields


def _whole(path: Path, index: int, entry: dict[str, str], key: str, default: int) -> int:
    text = entry.get(key, str(default))
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(f"{path}: Segment{index}_{key}: {text!r} is not a whole number from 0")
    return int(text)


def _colour(text: str) -> tuple[int, int, int] | None:
    parts = text.split()
    if len(parts) != 3 or not all(re.fullmatch(r"\d*\.?\d+(?:[eE][+-]?\d+)?", part) for part in parts):
        return None
    red, green, blue = (round(255 * min(float(part), 1.0)) for part in parts)
    return red, green, blue


def _terminology(tags: str) -> tuple[Code, ...]:
    """Type and category of "TerminologyEntry:list~SCT^91723000^Anatomical Structure~SCT^10200004^Liver~...|"."""
    found = re.search(r"TerminologyEntry:([^|]*)", tags)
    parts = found[1].split("~")[1:4] if found else []
    codes = [part.split("^") for part in reversed(parts)]
    return tuple(Code(c[1], c[0], c[2]) for c in codes if len(c) == 3 and c[0] and c[1])
