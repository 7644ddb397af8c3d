"""Colours and line styles: what is dose is warm, what is a structure is cool, so that neither hides the other.

Isodose lines and colour wash run through the warm half of the circle with rising lightness; structures take blues,
greens and violets of different lightness, told apart by line style as well. Two structures whose colours are alike
never share a line style.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hepatica.core.text.visible import one_line

LESION_COLOURS = ("#00A5CF", "#2E9E4F", "#7B61C9", "#1F5FBF", "#8BC34A", "#B35CB0")
ORGAN_COLOURS = {
    "liver": "#5B8DEF",
    "normal_liver": "#7FB3D5",
    "perfused": "#26A69A",
    "perfused_normal": "#80CBC4",
    "lung": "#607D8B",
    "lung_left": "#90A4AE",
    "lung_right": "#78909C",
    "lung_less_dome": "#B0BEC5",
    "all_tumours": "#0B4F6C",
    "body": "#9E9E9E",
}
OTHER_COLOURS = ("#4F9D8F", "#5C6BC0", "#6D8B3C", "#9575CD", "#3E7C59", "#A1887F")
DASHES = ("solid", "dashed", "dotted", "dashdot")

SCREEN_COLOURS = ("#1E96FF", "#5AA500", "#C32D78", "#87692D", "#961EFF", "#B42DC3", "#D27878", "#A587C3")
"""Of structures on a screen: each has a contrast of at least 3 (WCAG 2.2, 1.4.11) with white, with black and with the
ground of the dark page, and any two differ by 22 (CIE 1976 Lab) for the red-, green- and blue-blind too (Machado et
al., IEEE TVCG 2009;15:1291): sought for the largest least difference among colours that isodose lines do not have."""

SCREEN_PLACES = {
    "liver": (0, 0), "normal_liver": (1, 1), "perfused": (5, 0), "perfused_normal": (3, 0), "lung": (7, 0),
    "lung_left": (7, 1), "lung_right": (7, 2), "lung_less_dome": (7, 3), "all_tumours": (6, 0), "body": (7, 3),
}  # fmt: skip
"""Kind of structure -> its place among `SCREEN_COLOURS` and `DASHES`."""

LESION_PLACES = (2, 4, 6, 3, 1)
"""Places of lesions, by the number in their name."""

INK = "#1A1F26"
MUTED = "#5B6673"
RULE = "#D5DBE1"
ACCENT = "#1F4E79"
STATUS_COLOURS = {
    "met": "#1B7F5C", "near": "#9A6700", "open": "#9A6700", "violated": "#A4262C", "warning": "#9A6700",
    "stop": "#A4262C", "critical": "#A4262C", "unjudged": "#5B6470",
}  # fmt: skip

DOSE_MAP = "inferno"
ISODOSE_MAP = "YlOrRd_r"


class Style(NamedTuple):
    """How a structure is drawn, in slices and DVH alike."""

    colour: str
    dashes: str


ALIKE = 18.0
"""Colours that are closer than this (CIE 1976 Lab) look alike as thin lines. Our choice, looked at on paper."""


def structure_styles(structures: Sequence[str]) -> tuple[Style, ...]:
    """Style of each structure, in order; depends only on the list of kinds. Organs come to their own colours first."""
    found: dict[int, Style] = {}
    counts = {"lesion": 0, "other": 0}
    own = [n for n, kind in enumerate(structures) if kind in ORGAN_COLOURS]
    for n in (*own, *(n for n in range(len(structures)) if n not in own)):
        kind = structures[n]
        if kind in ORGAN_COLOURS:
            choices = [ORGAN_COLOURS[kind], *OTHER_COLOURS]
        else:
            group, colours = ("lesion", LESION_COLOURS) if kind in ("tumour", "necrosis") else ("other", OTHER_COLOURS)
            start = counts[group] % len(colours)
            counts[group] += 1
            choices = [*colours[start:], *colours[:start]]
        found[n] = _free_style(choices, list(found.values()))
    return tuple(found[n] for n in range(len(structures)))


def styles_by_name(kinds: Mapping[str, str]) -> dict[str, Style]:
    """Style on a screen of each structure by its name -> kind: the same wherever the name stands, whatever the order.

    Only where two of them would look the same does the one whose name comes later take the next free style.
    """
    found: dict[str, Style] = {}
    for name in sorted(kinds, key=lambda each: (_place(each, kinds[each])[2], each.casefold(), each)):
        colour, dashes, _ = _place(name, kinds[name])
        for step in range(len(SCREEN_COLOURS) * len(DASHES)):
            style = Style(
                SCREEN_COLOURS[(colour + step // len(DASHES)) % len(SCREEN_COLOURS)],
                DASHES[(dashes + step) % len(DASHES)],
            )
            if style not in found.values():
                break
        found[name] = style
    return {name: found[name] for name in kinds}


def _place(name: str, kind: str) -> tuple[int, int, int]:
    """Colour and dashes that a name comes to, and how early it chooses."""
    if kind in SCREEN_PLACES:
        return (*SCREEN_PLACES[kind], 0)
    number = re.search(r"[0-9]+", name)
    if number is not None:
        place = int(number[0]) - 1
    else:
        place = hashlib.sha256(name.casefold().encode("utf-8", "surrogatepass")).digest()[0]
    if kind in ("tumour", "necrosis"):
        return LESION_PLACES[place % len(LESION_PLACES)], place // len(LESION_PLACES) % len(DASHES), 1
    return place % len(SCREEN_COLOURS), 2 + place % 2, 2


def _free_style(choices: Sequence[str], used: Sequence[Style]) -> Style:
    """The first choice that looks like no other one; where all do, one that none has."""
    styles = [Style(colour, dashes) for dashes in DASHES for colour in choices]
    unlike = (s for s in styles if all(s.dashes != u.dashes or difference(s.colour, u.colour) >= ALIKE for u in used))
    return next(unlike, next((style for style in styles if style not in used), styles[0]))


def difference(first: str, second: str) -> float:
    """How different two colours (#RRGGBB) look: distance in CIE 1976 L*a*b* (D65)."""
    return math.dist(_lab(first), _lab(second))


@functools.cache
def _lab(colour: str) -> tuple[float, float, float]:
    parts = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)  # IEC 61966-2-1
    xyz = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def name_label(name: str, most: int = 30) -> str:
    """A name from outside as matplotlib takes it for text, of one line and no more than `most` letters."""
    # A dollar would start mathematics, a leading underscore hides a legend entry.
    clean = one_line(name).replace("$", r"\$")
    clean = clean if len(clean) <= most else clean[: most - 1] + "…"
    return "\u200b" + clean if clean.startswith("_") else clean
