"""CT series to Hounsfield units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.image import Image
from hepatica.core.message import Message
from hepatica.errors import DicomError, UnitError
from hepatica.io.dicom import geometry
from hepatica.io.dicom.context import context_of
from hepatica.io.dicom.pixels import rescale, stored_values
from hepatica.io.dicom.real_world import KEYWORD as REAL_WORLD
from hepatica.io.dicom.real_world import only, real_worlds, same_line
from hepatica.io.dicom.series import Series, acquisition_start, common_facts, frame_of_reference, noted, slice_values
from hepatica.io.dicom.tags import Header

AIR_HU = -1000.0

NOT_HU = "not-hounsfield"
"""Code of the message for an image of a CT scanner that holds another quantity: perfusion, iodine, ..."""

PADDING_CEILING_HU = -900.0
"""Padding is replaced by air only if it lies below this: a padding value that equals a tissue's HU is left alone."""

LOWEST_HU = -1024.0
"""Least HU of the usual 12-bit scale; what lies below is not anatomy."""


def read_ct(series: Series, *, role: str = "ct") -> Image:
    """CT in Hounsfield units, float32 (exact for the usual whole slope).

    Padding outside the scanned circle becomes air (-1000 HU) and is noted.

    Raises
    ------
    DicomError
        If the geometry is uneven, a rescale tag is missing, or pixels cannot be decoded.
    UnitError
        If the values are not Hounsfield units.
    """
    series.require_whole()
    first = series.headers[0]
    if "PerFrameFunctionalGroupsSequence" in first:
        return _read_enhanced(series, role)
    stack = geometry.series_stack(series.headers, frame_of_reference=frame_of_reference(series.headers))
    ordered = [series.headers[n] for n in stack.order]
    notes = [note for header in ordered for note in (*_unit_notes(header), *_mapped(header, header, role))]
    values = slice_values(ordered, rescale_required=True)
    padded = _replace_padding(values, ordered)
    if padded:
        text = f"{padded} padding voxels outside the scanned area are set to air ({AIR_HU:g} HU)"
        notes.append(Message("padding-is-air", text, severity="note"))
    return _image(series, ordered, stack, values, role, [*stack.messages, *dict.fromkeys(notes)])


def _image(
    series: Series,
    ordered: Sequence[Header],
    stack: geometry.Stack,
    values: NDArray[np.float32],
    role: str,
    notes: list[Message],
) -> Image:
    first = ordered[0]
    notes = list(dict.fromkeys(notes))
    low = int((values < LOWEST_HU).sum())
    if low:
        text = f"{low} voxels lie below {LOWEST_HU:g} HU, down to {float(values.min()):g}"
        notes.append(Message("hu-below-scale", text))
    acquisition = replace(
        common_facts(first),
        unit_in_file=first.text("RescaleType") or "HU",
        start=acquisition_start(first),
        contrast_agent=contrast_agent(first),
    )
    kind = Kind.HU
    if any(note.code == NOT_HU for note in notes):
        kind, acquisition = Kind.UNKNOWN, replace(acquisition, unit_in_file="")
        first_not_hu = next(note for note in notes if note.code == NOT_HU)
        notes = [note for note in notes if note.code not in ("hu-assumed", "hu-below-scale", NOT_HU)] + [first_not_hu]
    volume = Volume(stack.grid, values, kind, name=f"CT {series.description}".strip())
    return Image(
        volume,
        context_of(ordered),
        acquisition,
        series.source(role),
        messages=(*notes, *noted(ordered)),
    )


NO_AGENT = frozenset(
    ("", "0", "n", "nil", "unenhanced", "unenhanced ct", "native", "native ct", "nativ", "natif", "plain", "n/a", "c-")
)
"""What scanners write as ContrastBolusAgent where there was none."""

NEGATIONS = frozenset(
    (
        "no",
        "non",
        "not",
        "none",
        "without",
        "wo",
        "ohne",
        "kein",
        "keine",
        "sans",
        "sin",
        "senza",
        "zonder",
        "sem",
        "utan",
    )
)
"""Words that deny what follows: English, German, French, Spanish, Italian, Dutch, Portuguese, Swedish."""

DENIED = frozenset((
    "contrast", "contrasts", "contraste", "contrasto", "kontrast", "kontrastmittel", "contrastmiddel", "mezzo",
    "medio", "medium", "media", "agent", "dye", "km", "kontrastgabe", "gabe", "cm", "mdc", "pdc", "iv", "i", "v",
    "oral", "or", "ct", "bolus", "enhanced", "enhancement", "injection", "iniezione", "injected", "given", "used",
    "administered", "applied", "applicable", "de", "di", "produit", "produto",
))  # fmt: skip
"""What is denied: the agent, or how it is given. Another word names an agent: "no oral, Iomeron iv", "non-ionic"."""


def names_no_agent(text: str) -> bool:
    """Whether a ContrastBolusAgent says, in words, that there was none.

    Examples
    --------
    >>> [names_no_agent(text) for text in ("no contrast", "w/o", "ohne KM", "non-ionic 300", "Iomeron 400")]
    [True, True, True, False, False]
    """
    plain = text.strip().lower()
    if plain in NO_AGENT:
        return True
    words = re.findall(r"\w+", plain.replace("w/o", "without ").replace("noncontrast", "non contrast"))
    negated = bool(words) and (words[0] in NEGATIONS or words[1:2] == ["not"])
    return negated and all(word in DENIED | NEGATIONS for word in words)


def contrast_agent(header: Header) -> str:
    """Contrast agent in the blood as the header names it; empty where there is none, or one that was drunk."""
    if header.text("ContrastBolusRoute").strip().lower() in ("oral", "rectal"):
        return ""
    agent = header.text("ContrastBolusAgent").strip()
    if not names_no_agent(agent):
        return agent
    coded = header.item("ContrastBolusAgentSequence")
    meaning = coded.text("CodeMeaning").strip() if agent == "" and coded is not None else ""
    return "" if names_no_agent(meaning) else meaning


def _unit_notes(header: Header) -> tuple[Message, ...]:
    """Nothing for HU; a message where the type is not specified; UnitError for another one."""
    unit = header.text("RescaleType")
    if unit in ("", "HU"):
        return ()
    if unit == "US":
        return (Message("hu-assumed", "RescaleType is US (unspecified): values are taken as HU"),)
    raise UnitError(f"{header.path}: RescaleType: {unit!r}: the CT does not hold Hounsfield units")


def _mapped(header: Header, rescaled: Header, role: str) -> tuple[Message, ...]:
    """What a real-world mapping says of values that the rescale is taken to bring to HU.

    Parameters
    ----------
    header : Header
        The file, or the item of a functional group, that holds the mapping.
    rescaled : Header
        Where the rescale stands.
    role : str
        "ct" for an image that must hold HU.

    Raises
    ------
    UnitError
        If it maps to HU with another slope, or the values are another quantity and a CT is needed.
    """
    worlds = real_worlds(header)
    if not worlds:
        return ()
    own = rescale(rescaled, required=True)
    hounsfield = only(worlds, Kind.HU)
    if hounsfield is not None:
        if len(hounsfield.ranges) > 1 or not same_line(hounsfield.line, own):
            raise UnitError(f"{hounsfield.where}: gives other HU than RescaleSlope {own[0]:g}: export the series again")
        return ()
    same = [world for world in worlds if len(world.ranges) == 1 and same_line(world.line, own)]
    if not same or rescaled.text("RescaleType") == "HU" or same[0].unit == "1":
        return ()
    text = f"{same[0].where}: the values are in {same[0].unit!r}, not in Hounsfield units"
    if role == "ct":
        raise UnitError(text)
    return (Message(NOT_HU, text, "use a CT in HU for density", "critical"),)


def _replace_padding(values: NDArray[np.float32], ordered: Sequence[Header]) -> int:
    """Set padding to air in place; number of voxels."""
    count = 0
    for k, header in enumerate(ordered):
        padding = header.number("PixelPaddingValue")
        if padding is None:
            continue
        slope, intercept = rescale(header, required=True)
        padding = _as_stored(header, padding)
        limit = header.number("PixelPaddingRangeLimit")
        other = padding if limit is None else _as_stored(header, limit)
        low, high = sorted((padding * slope + intercept, other * slope + intercept))
        if high > PADDING_CEILING_HU:
            continue
        hit = (values[:, :, k] >= low - 1e-3) & (values[:, :, k] <= high + 1e-3)
        values[:, :, k][hit] = AIR_HU
        count += int(hit.sum())
    return count


def _as_stored(header: Header, number: float) -> float:
    """A padding value that was written unsigned though the pixels are signed, or the other way round."""
    bits = float(header.required_integer("BitsAllocated"))
    signed = header.required_integer("PixelRepresentation") == 1
    if signed and number >= 2 ** (bits - 1):
        return number - 2**bits
    return number + 2**bits if not signed and number < 0 else number


def _read_enhanced(series: Series, role: str) -> Image:
    """Enhanced (multi-frame) CT: slope and intercept from each frame's functional group or the shared one."""
    if len(series.headers) != 1:
        raise DicomError(f"{len(series.headers)} enhanced CT files in one series; choose one")
    header = series.headers[0]
    stack = geometry.stack_planes(
        geometry.multiframe_planes(header), frame_of_reference=frame_of_reference(series.headers)
    )
    shared = header.item("SharedFunctionalGroupsSequence")
    stored = stored_values(header)
    values = np.empty(stored.shape, dtype=np.float32)
    notes = list(stack.messages)
    for n, frame in enumerate(header.items("PerFrameFunctionalGroupsSequence")):
        keyword = "PixelValueTransformationSequence"
        item = frame.item(keyword) or (shared.item(keyword) if shared else None)
        if item is None:
            raise header.error(keyword, f"frame {n + 1} has none, and it is not in the shared functional groups")
        notes += _unit_notes(item)
        mapping = frame if frame.items(REAL_WORLD) else shared
        if mapping is not None:
            notes += _mapped(mapping, item, role)
        slope, intercept = rescale(item, required=True)
        values[stack.slice_of[n]] = stored[n] * slope + intercept
    return _image(series, [header], stack, values.transpose(2, 1, 0), role, list(dict.fromkeys(notes)))
