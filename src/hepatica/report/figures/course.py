"""What the first page of a course draws: histograms of the planned and the delivered dose in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hepatica.report.figures.dosimetry.dose import FONT, KEY_WIDTH_IN
from hepatica.report.figures.palette import INK, MUTED, RULE, name_label, structure_styles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[tuple[float, ...], tuple[float, ...]]
"""Doses in Gy, and the volume in percent that gets at least that."""

MAX_CURVES = 6
VISIBLE_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative histograms of one structure.

    Attributes
    ----------
    name : str
        Of the structure.
    structure : str
        What it is: decides the colour.
    planned, delivered : Curve or None
        Before and after; None where there is none.
    """

    name: str
    structure: str
    planned: Curve | None
    delivered: Curve | None


def planned_and_delivered_figure(histograms: Sequence[Histogram], height_in: float = 1.95) -> Figure:
    """Cumulative histograms, planned in thin dashes, delivered in full lines; half the text width of a page."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure
    from matplotlib.lines import Line2D

    shown = list(histograms)[:MAX_CURVES]
    styles = structure_styles([item.structure for item in shown])
    with mpl.rc_context(FONT):
        figure = NewFigure(figsize=(KEY_WIDTH_IN, height_in), facecolor="white")
        FigureCanvasAgg(figure)
        rows = (len(shown) + 1) // 2
        bottom = 0.4 + 0.13 * rows
        axes = figure.add_axes((0.125, bottom / height_in, 0.855, (height_in - bottom - 0.2) / height_in))
        top = 1.0
        for item, style in zip(shown, styles, strict=True):
            for curve, dashes, width in ((item.planned, (0, (4, 2)), 1.0), (item.delivered, "solid", 1.7)):
                if curve is None:
                    continue
                axes.plot(*curve, color=style.colour, linestyle=dashes, linewidth=width)
                top = max([top, *(dose for dose, percent in zip(*curve, strict=True) if percent >= VISIBLE_PERCENT)])
        axes.set_xlim(0, 1.02 * top)
        axes.set_ylim(0, 101)
        axes.set_xlabel("Absorbed dose (Gy)", labelpad=1)
        axes.set_ylabel("Volume (%)", labelpad=1)
        axes.grid(color=RULE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title("delivered: full line   planned: dashed", fontsize=7, color=MUTED, loc="left", pad=3)
        handles = [
            Line2D([], [], color=style.colour, linewidth=1.8, label=name_label(item.name, 26))
            for item, style in zip(shown, styles, strict=True)
        ]
        if handles:
            figure.legend(
                handles=handles, loc="lower left", bbox_to_anchor=(0.02, 0.0), ncols=2, frameon=False, fontsize=6.5,
                labelcolor=INK, handlelength=1.6, columnspacing=1.0, borderaxespad=0.1, labelspacing=0.25,
            )  # fmt: skip
        return figure
