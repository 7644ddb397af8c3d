"""A registration to look at: checkerboards of both images and outlines, before and after, in three planes."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.report.figures.images.planes import (
    LETTERS,
    NORMAL,
    VIEWS,
    FloatArray,
    Plane,
    View,
    bounds_mm,
    sample,
    sample_region,
)
from hepatica.report.figures.outcome import new_figure
from hepatica.report.figures.palette import INK, MUTED, name_label, structure_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 9.6
PIXEL_MM = 1.5
TILE_MM = 40.0
"""Side of a square of the checkerboard: a few to an organ, so that its border crosses several."""

HU_WINDOW = (-160.0, 240.0)
PERCENTILES = (1.0, 99.5)
GOLDEN = 0.618034
"""Part of the circle of hues between one colour and the next: no two of a few dozen come near each other."""

LINES = 2
"""Level lines of the fixed image where no structure was given."""


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredPair:
    """What is drawn.

    Attributes
    ----------
    fixed : Volume
        The fixed image.
    before, after : Volume
        The moving image on the fixed one's voxels, as the headers place it and as registered; NaN outside.
    fixed_structures : sequence of Region
        Outlines of the fixed image.
    moved_before, moved_after : sequence of Region
        The same of the moving image on the fixed one's voxels; as many, or none.
    at_mm : ndarray, shape (3,)
        Where the planes cross.
    """

    fixed: Volume
    before: Volume
    after: Volume
    fixed_structures: Sequence[Region]
    moved_before: Sequence[Region]
    moved_after: Sequence[Region]
    at_mm: FloatArray


def registration_figure(pair: RegisteredPair) -> Figure:
    """Three planes by four columns: checkerboard before and after, outlines before and after.

    In the last two columns the picture is the moving image; solid lines are the fixed image's outlines, dashed ones
    those of the moving image.
    """
    low, high = bounds_mm(pair.fixed.grid)
    size = high - low
    heights = [size[1], size[2], size[2]]
    figure: Figure
    figure, axes = new_figure(
        WIDTH_IN, WIDTH_IN / 4 * float(sum(heights)) / float(size[0]) + 0.7, rows=3, columns=4,
        height_ratios=[float(h) for h in heights],
    )  # fmt: skip
    windows = [_window(pair.fixed), _window(pair.after)]
    titles = ("checkerboard, before", "checkerboard, after", "outlines, before", "outlines, after")
    for row, view in enumerate(VIEWS):
        plane = _plane(view, pair.at_mm, low, high)
        fixed = _grey(pair.fixed, plane, windows[0])
        for column, (moving, moved) in enumerate(
            2 * ((pair.before, pair.moved_before), (pair.after, pair.moved_after))
        ):
            other = _grey(moving, plane, windows[1])
            axis = axes[row][column]
            _show(axis, plane, _checkered(fixed, other, plane) if column < 2 else other)
            if column >= 2:
                _outlines(axis, plane, pair, moved, fixed)
            if row == 0:
                axis.set_title(titles[column], fontsize=8.5, color=INK, loc="left", pad=3)
            _letters(axis, view, first=column == 0)
    _legend(figure, pair)
    return figure


def _plane(view: View, at: FloatArray, low: FloatArray, high: FloatArray) -> Plane:
    across, down = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}[view]
    centre = (low + high) / 2
    centre[NORMAL[view]] = at[NORMAL[view]]
    return Plane(view, centre, float(high[across] - low[across]), float(high[down] - low[down]), PIXEL_MM)


def _window(volume: Volume) -> tuple[float, float]:
    if volume.kind is Kind.HU:
        return HU_WINDOW
    known = volume.values[np.isfinite(volume.values)]
    low, high = np.percentile(known, PERCENTILES) if known.size else (0.0, 1.0)
    return float(low), float(max(high, low + 1e-9))


def _grey(volume: Volume, plane: Plane, window: tuple[float, float]) -> FloatArray:
    """From 0 to 1 over the window; 0 where nothing was imaged."""
    filled = np.nan_to_num(volume.values, nan=window[0])
    values = sample(filled, volume.grid, plane, outside=window[0])
    return np.asarray(np.clip((values - window[0]) / (window[1] - window[0]), 0, 1))


def _checkered(one: FloatArray, other: FloatArray, plane: Plane) -> FloatArray:
    side = max(1, round(TILE_MM / plane.pixel_mm))
    rows, columns = np.indices(one.shape) // side
    return np.asarray(np.where((rows + columns) % 2 == 0, one, other))


def _show(axis: Axes, plane: Plane, values: FloatArray) -> None:
    axis.imshow(values, cmap="gray", vmin=0, vmax=1, extent=plane.extent_mm, interpolation="bilinear", aspect="equal")
    axis.set_xticks([])
    axis.set_yticks([])


def _outlines(axis: Axes, plane: Plane, pair: RegisteredPair, moved: Sequence[Region], fixed: FloatArray) -> None:
    x, y = plane.axes_mm()
    if not pair.fixed_structures:
        levels = np.linspace(0, 1, LINES + 2)[1:-1]
        if fixed.max() > levels[0]:
            axis.contour(x, y, _smooth(fixed), levels.tolist(), colors=["#00A5CF", "#E39B00"], linewidths=0.6)
        return
    colours = outline_colours([region.name for region in pair.fixed_structures])
    for regions, dashes in ((pair.fixed_structures, "solid"), (moved, "dashed")):
        for region, colour in zip(regions, colours, strict=False):
            seen = sample_region(region, plane)
            if seen.max() > 0.5 > seen.min():
                axis.contour(x, y, seen, [0.5], colors=[colour], linewidths=1.0, linestyles=[dashes])


def outline_colours(names: Sequence[str]) -> list[str]:
    """A colour of its own for each structure: dashes tell the images apart here, and cannot tell structures apart.

    Those of the palette first; where it repeats one, hues a golden angle apart, in three lightnesses.
    """
    found: list[str] = []
    for number, style in enumerate(structure_styles(names)):
        colour, turn = style.colour, number
        while colour in found:
            red, green, blue = colorsys.hls_to_rgb(turn * GOLDEN % 1.0, (0.45, 0.6, 0.75)[turn % 3], 0.8)
            colour = "#" + "".join(f"{round(255 * part):02X}" for part in (red, green, blue))
            turn += 1
        found.append(colour)
    return found


def _smooth(values: FloatArray) -> FloatArray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, 2.0))


def _letters(axis: Axes, view: View, *, first: bool) -> None:
    left, right, top, bottom = LETTERS[view]
    for text, x, y in ((left, 0.02, 0.5), (right, 0.98, 0.5), (top, 0.5, 0.97), (bottom, 0.5, 0.03)):
        axis.text(x, y, text, transform=axis.transAxes, color="white", fontsize=6, ha="center", va="center")
    if first:
        axis.set_ylabel(view, fontsize=8, color=MUTED, labelpad=2)


def _legend(figure: Figure, pair: RegisteredPair) -> None:
    from matplotlib.lines import Line2D

    colours = outline_colours([region.name for region in pair.fixed_structures])
    lines: list[Any] = [
        Line2D([], [], color=colour, label=name_label(region.name))
        for region, colour in zip(pair.fixed_structures, colours, strict=True)
    ]
    if lines:
        lines += [
            Line2D([], [], color=MUTED, label="fixed image"),
            Line2D([], [], color=MUTED, ls="--", label="moving image"),
        ]
    else:
        lines = [Line2D([], [], color="#00A5CF", label="level lines of the fixed image over the moving one")]
    figure.legend(handles=lines, loc="outside lower center", ncols=6, fontsize=7.5, frameon=False)


def same_place(grid: Grid) -> FloatArray:
    """Middle of a grid: where planes cross if nothing else is known."""
    return np.asarray(grid.corners_mm().mean(axis=0))
