"""Contours of proposed structures on three planes of a CT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hepatica.core import Region, Volume
from hepatica.report.figures.images.planes import (
    LETTERS,
    NORMAL,
    Plane,
    View,
    bounds_mm,
    centre_of,
    framed,
    sample,
    sample_region,
)
from hepatica.report.figures.outcome import new_figure
from hepatica.report.figures.palette import INK, MUTED, name_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONTOUR_COLOURS = (
    "#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#00C08B", "#D55E00", "#B39DFF", "#FFFFFF", "#8BC34A", "#FF8A80",
)  # fmt: skip
"""Eight of Okabe and Ito's (2008) made lighter for a grey image, and two more; no structure shares one."""

WINDOW_HU = (-150.0, 250.0)
"""Soft tissue: 400 HU around 50."""

PIXEL_MM = 1.0


def contour_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each structure, none twice; beyond the list, hues evenly around the circle."""
    from colorsys import hsv_to_rgb

    extra = max(0, len(names) - len(CONTOUR_COLOURS))
    hues = [
        "#{:02x}{:02x}{:02x}".format(*(round(255 * c) for c in hsv_to_rgb((n + 0.5) / extra, 0.45, 0.95)))
        for n in range(extra)
    ]
    return dict(zip(names, (*CONTOUR_COLOURS, *hues), strict=False))


def segmentation_figure(ct: Volume, regions: Mapping[str, Region]) -> Figure:
    """Axial, coronal and sagittal plane through the liver, or what there is of the first structure.

    Parameters
    ----------
    ct : Volume
        In HU.
    regions : mapping of str to Region
        By name; the order gives the colours.
    """
    colours = contour_colours(list(regions))
    solid = {name: region for name, region in regions.items() if not region.is_empty}
    at = centre_of(solid.get("liver", next(iter(solid.values()))))
    low, high = bounds_mm(ct.grid)
    views: tuple[View, ...] = ("axial", "coronal", "sagittal")
    size = float(min(max(high - low), 500.0))
    figure: Figure
    figure, axes = new_figure(10.0, 3.9, columns=3)
    for axis, view in zip(axes, views, strict=True):
        plane = framed(view, at, low, high, size, PIXEL_MM)
        axis.set_facecolor("black")
        picture = sample(ct.values, ct.grid, plane, outside=-1000.0)
        axis.imshow(picture, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], extent=plane.extent_mm)
        draw_contours(axis, plane, solid, colours)
        _finish(axis, view, float(at[NORMAL[view]]))
    _legend(figure, colours)
    return figure


def draw_contours(axis: Axes, plane: Plane, regions: Mapping[str, Region], colours: Mapping[str, str]) -> None:
    """Draw where regions cut a plane, each in its colour, on axes in mm that end with the plane."""
    x, y = plane.axes_mm()
    for name, region in regions.items():
        inside = sample_region(region, plane)
        if inside.max() > 0.5 > inside.min():
            axis.contour(x, y, inside, [0.5], colors=[colours[name]], linewidths=1.0)
    left, right, bottom, top = plane.extent_mm
    axis.set_xlim(left, right)
    axis.set_ylim(bottom, top)


def _finish(axis: Axes, view: View, position_mm: float) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
    coordinate = "xyz"[NORMAL[view]]
    axis.set_title(f"{view}, {coordinate} = {np.round(position_mm):g} mm", fontsize=8, color=INK, loc="left", pad=3)
    left, right, *_ = LETTERS[view]
    axis.set_xlabel(f"{left} – {right}", fontsize=7, color=MUTED, labelpad=2)


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=2, label=name_label(name)) for name, colour in colours.items()]
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), fontsize=7)
    legend.get_frame().set_facecolor("#5A5A5A")  # light colours are seen on it as they are on the image
    for text in legend.get_texts():
        text.set_color("white")
