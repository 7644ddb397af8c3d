"""Isodose lines: which levels, in which colours, and the dose written on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hepatica.report.dose_report import DoseReport
from hepatica.report.figures.palette import ISODOSE_MAP

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LADDER = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
"""Steps of the isodose levels within a decade."""

MAX_LEVELS = 5


def isodose_levels_gy(report: DoseReport) -> tuple[float, ...]:
    """Levels of the lines: those of the report, or up to five round ones below the lesions' near-maximum."""
    if report.isodose_levels_gy:
        return tuple(sorted(float(level) for level in report.isodose_levels_gy))
    top = max(item.dose.dvh.d_percent(2) for item in report.lesions)
    if top <= 0:
        return ()
    decade = int(np.floor(np.log10(top)))
    steps = [float(f"{step}e{power}") for power in (decade - 2, decade - 1, decade) for step in LADDER]
    below = [level for level in steps if level <= 0.95 * top]
    # Every second step downwards from the highest: about a factor of 1.8 from line to line.
    return tuple(below[::-2][:MAX_LEVELS][::-1])


def label_line(axes: Axes, line: Any, level: float, place: float) -> None:
    """Write the dose on the longest line of a level, `place` of the way around it."""
    from matplotlib.patheffects import Normal, Stroke

    longest = max(line.allsegs[0], key=len)
    x, y = longest[int(place * (len(longest) - 1))]
    text = axes.text(x, y, f"{level:g}", fontsize=6.2, color="white", ha="center", va="center", clip_on=True)
    text.set_path_effects([Stroke(linewidth=1.8, foreground="black"), Normal()])


def level_colour(level: float, levels: Sequence[float]) -> Any:
    """Deep red for the lowest line to pale yellow for the highest."""
    import matplotlib as mpl

    place = sorted(levels).index(level) / max(1, len(levels) - 1)
    return mpl.colormaps[ISODOSE_MAP](0.15 + 0.8 * place)
