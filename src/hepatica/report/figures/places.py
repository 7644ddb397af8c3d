"""Where activity was found outside liver and lungs: projections of the image with numbered places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hepatica.core import Grid, Region, Volume
from hepatica.report.document import Picture
from hepatica.report.figures.dosimetry.dose import FAINT_SHARE, WIDTH_IN, png
from hepatica.report.figures.images.planes import LETTERS, NORMAL, View, bounds_mm, sample_affine, sample_covered
from hepatica.report.figures.outcome import new_figure
from hepatica.report.figures.palette import INK, MUTED, STATUS_COLOURS, structure_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float, float]

RING_MM = 15.0
"""Radius of the ring around a place."""

OFFSETS = ((18.0, 18.0), (-18.0, 18.0), (18.0, -18.0), (-18.0, -18.0))
"""Where a place's number stands beside its ring, mm; neighbours take turns."""


def places_picture(image: Volume, outlines: Mapping[str, Region], centres: Sequence[Point]) -> Picture:
    """Projections with numbered places, as a report prints them."""
    caption = (
        f"Maximum projections, black from {100 * FAINT_SHARE:g} % of full scale, with the outlines of liver and lungs. "
        "Numbers are those of the table."
    )
    return Picture("", caption, png(places_figure(image, outlines, centres)))


def places_figure(image: Volume, outlines: Mapping[str, Region], centres: Sequence[Point]) -> Figure:
    """Projections from the front and the left, windowed for faint uptake.

    Parameters
    ----------
    image : Volume
        Counts, activity or decays.
    outlines : mapping of str to Region
        What to outline, by the kind of structure (liver, lung, body).
    centres : sequence of tuple of float
        Of the places, LPS mm, in the order of their numbers.
    """
    low, high = bounds_mm(image.grid)
    step = max(2.0, float((high - low).max()) / 200)
    shape = tuple(int(n) for n in np.maximum(2, np.ceil((high - low) / step)))
    spacing = (high - low) / shape
    cube = Grid.axial(shape, spacing_mm=spacing.tolist(), origin_mm=(low + spacing / 2).tolist())
    values = sample_affine(image.values, image.grid, cube.affine[:3], cube.shape, outside=0.0)
    positive = values[values > 0]
    top = FAINT_SHARE * (float(np.percentile(positive, 99.9)) if positive.size else 1.0)
    covered = [(sample_covered(r, cube.affine[:3], cube.shape), s)
               for r, s in zip(outlines.values(), structure_styles(list(outlines)), strict=True)]  # fmt: skip
    size = high - low
    height = min(4.6, (WIDTH_IN - 0.6) * float(size[2] / (size[0] + size[1])) + 0.4)
    figure: Figure
    figure, axes = new_figure(WIDTH_IN, height, columns=2, width_ratios=[float(size[0]), float(size[1])])
    views: tuple[View, View] = ("coronal", "sagittal")
    for axis, view, title in zip(axes, views, ("From the front", "From the left"), strict=True):
        across = 0 if view == "coronal" else 1
        axis.imshow(
            values.max(axis=NORMAL[view]).T, cmap="gray_r", vmin=0, vmax=top, origin="lower", aspect="equal",
            extent=(low[across], high[across], low[2], high[2]), interpolation="bilinear",
        )  # fmt: skip
        x, z = (cube.origin_mm[n] + np.arange(cube.shape[n]) * cube.spacing_mm[n] for n in (across, 2))
        for values_of, style in covered:
            seen = values_of.max(axis=NORMAL[view]).T
            if seen.max() > 0.5 > seen.min():
                axis.contour(x, z, seen, [0.5], colors=[style.colour], linewidths=0.9, linestyles=[style.dashes])
        _mark(axis, [(centre[across], centre[2]) for centre in centres])
        _bare(axis, view, title)
    return figure


def _mark(axis: Axes, points: Sequence[tuple[float, float]]) -> None:
    from matplotlib.patches import Circle

    colour = STATUS_COLOURS["violated"]
    for n, (x, z) in enumerate(points):
        dx, dz = OFFSETS[n % len(OFFSETS)]
        axis.add_patch(Circle((x, z), RING_MM, fill=False, edgecolor=colour, linewidth=1.2))
        axis.text(x + dx, z + dz, str(n + 1), color=colour, fontsize=8, fontweight="bold", ha="center", va="center")


def _bare(axis: Axes, view: View, title: str) -> None:
    left, right, _, _ = LETTERS[view]
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title, fontsize=8, color=INK, loc="left", pad=3)
    axis.set_xlabel(f"{left}{'–' if left or right else ''}{right}", fontsize=7, color=MUTED, labelpad=2)
