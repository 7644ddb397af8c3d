"""Pictures of planar views and of organs' curves: plain values in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.report.figures.outcome import INK, PALETTE, new_figure
from hepatica.report.figures.palette import MUTED, name_label, structure_styles

FloatArray = NDArray[np.float64]

DISPLAY_POWER = 0.5
"""Of the counts, in grey: a square root shows lungs beside a liver of twenty times their counts."""


def draw_planar_views(
    views: FloatArray,
    sides: Sequence[str],
    pixel_mm: tuple[float, float],
    outlines: Mapping[str, FloatArray],
    kinds: Sequence[str],
) -> Any:
    """Views side by side with the organs' outlines, each as its camera sees it.

    Parameters
    ----------
    views : ndarray, shape (views, x, z)
        Count rates, both as the anterior view is seen; the posterior one is turned round for the picture.
    sides : sequence of str
        "anterior", "posterior".
    pixel_mm : tuple of float
        Along x and z.
    outlines : mapping of str to ndarray, shape (views, x, z)
        Covered fraction of each pixel.
    kinds : sequence of str
        What each is, for its colour.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    height = views.shape[2] * pixel_mm[1]
    width = views.shape[1] * pixel_mm[0]
    inches = 3.4
    figure = Figure(figsize=(2 * inches + 0.2, min(inches * height / width, 7.0) + 0.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(sides)))
    styles = structure_styles(kinds)
    for axis, side, view, number in zip(axes, sides, views, range(len(sides)), strict=True):
        turned = slice(None, None, -1) if side == "posterior" else slice(None)
        image = np.maximum(view[turned].T, 0) ** DISPLAY_POWER
        extent = (0, width, height, 0)
        axis.imshow(image, cmap="gray_r", extent=extent, vmax=float(np.percentile(image, 99.8)) or 1.0,
                    interpolation="nearest")  # fmt: skip
        for style, region in zip(styles, outlines.values(), strict=True):
            covered = region[number][turned].T
            if covered.any():
                axis.contour(covered, [0.5], colors=[style.colour], linestyles=[style.dashes], linewidths=1.3,
                             extent=extent, origin="upper")  # fmt: skip
        left, right = ("L", "R") if side == "posterior" else ("R", "L")
        for place, text in ((0.02, left), (0.94, right)):
            axis.text(place, 0.95, text, transform=axis.transAxes, color=INK, fontsize=9)
        axis.set_title(side, fontsize=10, color=INK)
        axis.set_xticks([])
        axis.set_yticks([])
    handles = [Line2D([], [], color=s.colour, linestyle=s.dashes, linewidth=1.6, label=name_label(n))
               for s, n in zip(styles, outlines, strict=True)]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def draw_organ_curves(
    curves: Sequence[tuple[str, Sequence[float], Sequence[float], Sequence[float], Sequence[float]]],
) -> Any:
    """Share of the administered activity in each organ against time.

    Parameters
    ----------
    curves : sequence of tuple
        Name; hours and shares of the measured points; hours and shares of the fitted curve.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axis = new_figure(7.0, 4.0)
    for number, (name, points_h, points, times_h, shares) in enumerate(curves):
        colour = PALETTE[number % len(PALETTE)]
        dashes = "-" if number < len(PALETTE) else "--"
        axis.plot(times_h, [100 * s for s in shares], color=colour, linestyle=dashes, label=name_label(name))
        axis.plot(points_h, [100 * s for s in points], "o", color=colour, markersize=4)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=40))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlim(left=0)
    axis.set_xlabel("time after the administration, h")
    axis.set_ylabel("share, %")
    axis.grid(True, which="major", color=MUTED, alpha=0.2)
    axis.legend(frameon=False, fontsize=8)
    return figure
