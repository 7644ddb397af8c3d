"""Colours and line styles: what is dose is warm, what is a structure is cool, so that neither hides the other.

Isodose lines and colour wash run through the warm half of the circle with rising lightness; structures take blues,
greens and violets of different lightness, told apart by line style as well. Two structures never share both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hepatica.core.text import one_line

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

INK = "#1A1F26"
MUTED = "#5B6673"
RULE = "#D5DBE1"
ACCENT = "#1F4E79"
STATUS_COLOURS = {
    "met": "#1B7F5C", "near": "#9A6700", "violated": "#A4262C", "warning": "#9A6700", "stop": "#A4262C",
    "critical": "#A4262C", "unjudged": "#5B6470",
}  # fmt: skip

DOSE_MAP = "inferno"
ISODOSE_MAP = "YlOrRd_r"


class Style(NamedTuple):
    """How a structure is drawn, in slices and DVH alike."""

    colour: str
    dashes: str


def structure_styles(structures: Sequence[str]) -> tuple[Style, ...]:
    """Style of each structure, in order; depends only on the list of kinds."""
    used: set[Style] = set()
    out = []
    counts = {"lesion": 0, "other": 0}
    for kind in structures:
        if kind in ORGAN_COLOURS:
            first = ORGAN_COLOURS[kind]
            choices = [first, *OTHER_COLOURS]
        else:
            group, colours = ("lesion", LESION_COLOURS) if kind in ("tumour", "necrosis") else ("other", OTHER_COLOURS)
            start = counts[group] % len(colours)
            counts[group] += 1
            choices = [*colours[start:], *colours[:start]]
        style = next(
            (Style(c, d) for d in DASHES for c in choices if Style(c, d) not in used), Style(choices[0], "solid")
        )
        used.add(style)
        out.append(style)
    return tuple(out)


def name_label(name: str, most: int = 30) -> str:
    """A name from outside as matplotlib takes it for text, of one line and no more than `most` letters."""
    # A dollar would start mathematics, a leading underscore hides a legend entry.
    clean = one_line(name).replace("$", r"\$")
    clean = clean if len(clean) <= most else clean[: most - 1] + "…"
    return "\u200b" + clean if clean.startswith("_") else clean
