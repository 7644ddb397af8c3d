"""The pictures of a report, drawn with matplotlib's objects (no global state): slices, DVH, activity, comparison."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.report.dose_report import DoseReport, ReportRegion
from hepatica.report.figures.dosimetry.isodoses import isodose_levels_gy, label_line, level_colour
from hepatica.report.figures.images.planes import (
    LETTERS,
    NORMAL,
    VIEWS,
    Plane,
    View,
    bounds_mm,
    centre_of,
    framed,
    sample,
    sample_affine,
    sample_covered,
    sample_region,
)
from hepatica.report.figures.palette import (
    DOSE_MAP,
    INK,
    MUTED,
    RULE,
    Style,
    name_label,
    structure_styles,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW_LEVEL_HU, WINDOW_WIDTH_HU = 40.0, 400.0
"""Window for the liver, as radiologists set it."""

FIELD_MM = 260.0
"""Edge of the square shown around a lesion, less where the images are smaller."""

PIXELS = 420
"""Pixels along an edge of a slice."""

DECAYS_PER_MBQ_H = 3.6e9

FAINT_SHARE = 0.05
"""The second view of the activity is black from this fraction of the first one's: it shows lungs and stray uptake."""

FONT = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
}


WIDTH_IN = 7.2
"""Width of a figure: the text width of an A4 page."""

MAX_DOTS = 2000
"""Voxels of a structure that are drawn as dots."""

P = ParamSpec("P")
R = TypeVar("R")


def _in_house_style(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw with the fonts and lines of the house, without touching matplotlib's global settings."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context(FONT):
            return draw(*args, **kwargs)

    return wrapped


def png(figure: Figure, dpi: int = 170) -> bytes:
    """Figure as PNG."""
    return _save(figure, "png", dpi)


def svg(figure: Figure) -> bytes:
    """Figure as SVG with text as outlines, so that it looks the same everywhere."""
    return _save(figure, "svg", 72)


MAX_STEPS = 100_000

DVH_ONE_COLUMN = 14
"""Structures in the legend of the DVHs before it takes a second column."""


@_in_house_style
def slices_figure(report: DoseReport, lesion: ReportRegion) -> Figure:
    """Axial, coronal and sagittal slice through a structure's centre: CT, dose, isodose lines, outlines."""
    levels = isodose_levels_gy(report)
    top = max(item.dose.dvh.d_percent(2) for item in report.lesions)
    top = top if top > 0 else 1.0
    height, width, gap, bottom = 3.05, 0.292, 0.012, 0.24
    figure = _figure(WIDTH_IN, height)
    low, high = _frame(report)
    size = float(min(FIELD_MM, (high - low).max()))
    centre = centre_of(lesion.region)
    drawn: set[str] = set()
    for column, view in enumerate(VIEWS):
        axes = figure.add_axes((0.004 + column * (width + gap), bottom, width, width * WIDTH_IN / height))
        plane = framed(view, centre, low, high, size, size / PIXELS)
        drawn |= _draw_slice(axes, report, plane, levels, top)
        _crosshair(axes, plane, centre)
        _letters(axes, view)
        _scale_bar(axes, plane, 50.0)
        position = float(centre[NORMAL[view]])
        axes.set_title(f"{view.capitalize()}, {_place(view, position)}", fontsize=7.5, color=INK, loc="left", pad=3)
    _dose_bar(figure, (0.925, bottom, 0.012, 0.93 * width * WIDTH_IN / height), levels, top)
    shown = [(item, style) for item, style in _styled(report) if item.dose.name in drawn]
    _slice_legend(figure, shown, levels, top)
    return figure


KEY_WIDTH_IN = 3.5
"""Width of the key picture: half the text width of an A4 page."""


@_in_house_style
def key_figure(report: DoseReport, lesion: ReportRegion) -> Figure:
    """One axial slice through a structure's centre for the first page of a course: isodose lines carry their dose."""
    levels = isodose_levels_gy(report)[-4:]
    top = max(item.dose.dvh.d_percent(2) for item in report.lesions) or 1.0
    height, bottom = 2.5, 0.4
    figure = _figure(KEY_WIDTH_IN, height)
    low, high = _frame(report)
    centre = centre_of(lesion.region)
    width = float(min(1.15 * FIELD_MM, (high - low).max()))
    square = framed("axial", centre, low, high, width, width / PIXELS)
    across, up = 2.98, height - bottom - 0.17
    plane = Plane("axial", square.centre_mm, width, width * up / across, width / PIXELS)
    axes = figure.add_axes((0.004, bottom / height, across / KEY_WIDTH_IN, up / height))
    drawn = _draw_slice(axes, report, plane, levels, top, labelled=True)
    _letters(axes, "axial")
    _scale_bar(axes, plane, 50.0)
    axes.set_title(f"Axial, {_place('axial', float(centre[2]))}", fontsize=7.5, color=INK, loc="left", pad=3)
    _dose_bar(figure, (0.016 + across / KEY_WIDTH_IN, bottom / height, 0.018, 0.88 * up / height), levels, top)
    shown = [(item, style) for item, style in _styled(report) if item.dose.name in drawn]
    _key_legend(figure, shown)
    return figure


def _key_legend(figure: Figure, shown: Sequence[tuple[ReportRegion, Style]]) -> None:
    from matplotlib.lines import Line2D

    outlines = [
        Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=2, label=name_label(item.dose.name, 20))
        for item, style in sorted(shown, key=lambda pair: not pair[0].is_lesion)[:KEY_LEGEND]
    ]
    if outlines:
        figure.legend(
            handles=outlines, loc="lower left", bbox_to_anchor=(0.0, 0.0), ncols=3, frameon=False, fontsize=6.5,
            handlelength=1.6, columnspacing=1.0, borderaxespad=0.1, labelspacing=0.25,
        )  # fmt: skip


KEY_LEGEND = 9
"""Outlines that the legend of the key picture names, lesions first."""


@_in_house_style
def dvh_figure(report: DoseReport) -> Figure:
    """Cumulative DVHs, colours as in the slices; the mark on the dose axis is the mean dose.

    A band is where the curve lies when its doses are multiplied by the ends of the mean's 95 % interval over the mean.
    A structure of which the image determines no single voxels has its mean and no curve.
    """
    from matplotlib.ticker import AutoMinorLocator

    # Two lines of legend a structure: the figure grows with them, up to where a second column begins.
    entries = min(len(report.regions), DVH_ONE_COLUMN)
    height = max(3.1, 0.35 + 0.235 * entries)
    figure = _figure(WIDTH_IN, height)
    axes = figure.add_axes((0.065, 0.403 / height, 0.665, 1 - 0.5 / height))
    inner = [item for item in report.regions if item.structure != "body"] or list(report.regions)
    top = 1.08 * max(item.dose.dvh.d_percent(1) for item in inner)
    top = top if top > 0 else 1.0
    for item, style in _styled(report):
        # A single hot voxel far beyond the axis must not ask for millions of steps up to it.
        step = max(min(item.dose.dvh.bin_gy, top / 400), item.dose.dvh.max_gy / MAX_STEPS)
        curve = item.dose.dvh.cumulative(step)
        width = 1.8 if item.is_lesion else 1.2
        if item.voxels_supported:
            axes.plot(curve.dose_gy, 100 * curve.fraction, color=style.colour, linestyle=style.dashes, linewidth=width)
        if item.voxels_supported and item.interval_gy is not None and item.dose.dose_mean_gy > 0:
            # The scale moves every dose of the structure alike.
            low, high = (curve.dose_gy * (end / item.dose.dose_mean_gy) for end in item.interval_gy)
            axes.fill_betweenx(100 * curve.fraction, low, high, color=style.colour, alpha=0.13, linewidth=0)
        axes.plot(
            [item.dose.dose_mean_gy], [0], marker="^", markersize=6, color=style.colour, clip_on=False, zorder=5,
            markeredgecolor="white", markeredgewidth=0.5, linestyle=style.dashes, linewidth=width,
            label=f"{name_label(item.dose.name)}\nmean {item.dose.dose_mean_gy:.3g} Gy"
            + ("" if item.voxels_supported else ", no curve: mean alone"),
        )  # fmt: skip
    axes.set_xlim(0, top)
    axes.set_ylim(0, 101)
    axes.set_xlabel("Absorbed dose (Gy)")
    axes.set_ylabel("Volume with at least this dose (%)")
    axes.xaxis.set_minor_locator(AutoMinorLocator())
    axes.grid(color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    many = len(report.regions) > 9
    axes.legend(
        loc="upper left", bbox_to_anchor=(1.02, 1.02), frameon=False, fontsize=6.0 if many else 7.0, handlelength=2.4,
        labelspacing=0.45 if many else 0.7, ncols=2 if len(report.regions) > DVH_ONE_COLUMN else 1,
    )  # fmt: skip
    return figure


@_in_house_style
def activity_figure(report: DoseReport) -> Figure | None:
    """Maximum projections of the activity from the front and the left, and from the front windowed for faint uptake."""
    if report.decays is None:
        return None
    low, high = bounds_mm(report.decays.grid)
    step = max(2.0, float((high - low).max()) / 250)
    i, j, k = (int(n) for n in np.maximum(2, np.ceil((high - low) / step)))
    spacing = (high - low) / (i, j, k)
    cube = Grid.axial((i, j, k), spacing_mm=spacing.tolist(), origin_mm=(low + spacing / 2).tolist())
    activity = _axial_cube(report.decays.values, report.decays.grid, cube)
    activity = np.maximum(activity / report.decays.grid.voxel_volume_ml / DECAYS_PER_MBQ_H, 0)
    full = float(np.percentile(activity[activity > 0], 99.9)) if (activity > 0).any() else 1.0
    panels: tuple[tuple[View, float, str], ...] = (
        ("coronal", full, "From the front"),
        ("sagittal", full, "From the left"),
        ("coronal", FAINT_SHARE * full, f"Front, black from {100 * FAINT_SHARE:g} % of full scale"),
    )
    widths = [float((high - low)[0 if view == "coronal" else 1]) for view, _, _ in panels]
    # One scale for all panels: inches per mm, from the width and the height that there is.
    scale = min((WIDTH_IN - 1.1) / sum(widths), 3.6 / float(high[2] - low[2]))
    height = scale * float(high[2] - low[2]) + 0.35
    figure = _figure(WIDTH_IN, height)
    start = (WIDTH_IN - 0.75 - scale * sum(widths) - 0.3) / 2
    # Outlines need no more than half the resolution of the picture, an eighth of the points.
    coarse = cube.with_spacing((2 * spacing).tolist())
    outlines = [
        (sample_covered(item.region, coarse.affine[:3], coarse.shape), style)
        for item, style in _styled(report)
        if item.structure in {"body", "liver", "lung_left", "lung_right", "tumour"}
    ]
    images = []
    for (view, top, title), width in zip(panels, widths, strict=True):
        axes = figure.add_axes((start / WIDTH_IN, 0.1 / height, scale * width / WIDTH_IN, 1 - 0.35 / height))
        start += scale * width + 0.15
        across = 0 if view == "coronal" else 1
        picture = axes.imshow(
            activity.max(axis=NORMAL[view]).T, cmap="gray_r", vmin=0, vmax=top, origin="lower", aspect="auto",
            extent=(low[across], high[across], low[2], high[2]), interpolation="bilinear",
        )  # fmt: skip
        images.append(picture)
        for covered, style in outlines:
            _outline_projection(axes, covered, style, coarse, view)
        axes.set_xlim(low[across], high[across])
        axes.set_ylim(low[2], high[2])
        axes.set_title(title, fontsize=7.5, color=INK, loc="left", pad=3)
        _plain(axes)
        _letters(axes, view, colour=INK)
    bar = figure.colorbar(images[0], cax=figure.add_axes(((WIDTH_IN - 0.5) / WIDTH_IN, 0.2, 0.012, 0.55)))
    bar.ax.set_title("MBq h/mL\nfull scale", fontsize=6, color=MUTED, pad=5)
    bar.ax.tick_params(labelsize=6, length=2)
    bar.outline.set_visible(False)
    return figure


@_in_house_style
def comparison_figure(
    first: Volume, second: Volume, at_mm: Sequence[float], *, names: tuple[str, str] = ("first", "second")
) -> Figure:
    """Two dose maps through one point: both, their difference, and profiles along the three patient axes.

    Parameters
    ----------
    first, second : Volume
        Absorbed dose in Gy in one frame of reference; the grids may differ.
    at_mm : sequence of float
        LPS point, mm.
    names : tuple of str
        What they are called.
    """
    first.grid.require_shared_frame(second.grid, "dose maps")
    figure = _figure(WIDTH_IN, 4.9)
    low, high = bounds_mm(first.grid)
    centre = np.asarray(at_mm, dtype=float)
    size = float(min(FIELD_MM, (high - low).max()))
    plane = framed("axial", centre, low, high, size, size / PIXELS)
    a, b = (sample(volume.values, volume.grid, plane, outside=np.nan) for volume in (first, second))
    top = float(np.nanmax([np.nanmax(a), np.nanmax(b), 1e-9]))
    spread = float(np.nanpercentile(np.abs(b - a), 99.5)) if np.isfinite(b - a).any() else 1.0
    spread = spread if spread > 0 else 1.0
    pictures = ((a, DOSE_MAP, 0.0, top, names[0]), (b, DOSE_MAP, 0.0, top, names[1]))
    for column, (values, colours, least, most, title) in enumerate(
        (*pictures, (b - a, "RdBu_r", -spread, spread, f"{names[1]} less {names[0]}"))
    ):
        axes = figure.add_axes((0.02 + column * 0.325, 0.52, 0.255, 0.42))
        image = axes.imshow(values, cmap=colours, vmin=least, vmax=most, extent=plane.extent_mm)
        axes.set_title(name_label(title), fontsize=7.5, color=INK, loc="left", pad=3)
        _plain(axes)
        _letters(axes, "axial", colour="white" if column < 2 else INK)
        bar = figure.colorbar(image, cax=figure.add_axes((0.281 + column * 0.325, 0.52, 0.009, 0.42)))
        bar.ax.tick_params(labelsize=6, length=2)
        bar.outline.set_visible(False)
        bar.ax.set_title("Gy", fontsize=6, color=MUTED, pad=3)
    for axis, label in enumerate(("x (to the left)", "y (to posterior)", "z (to superior)")):
        axes = figure.add_axes((0.06 + axis * 0.325, 0.1, 0.265, 0.31))
        along = np.linspace(low[axis], high[axis], 400)
        start = centre.copy()
        start[axis] = low[axis]
        way = np.zeros((3, 4))
        way[axis, 0], way[:, 3] = along[1] - along[0], start
        for volume, style, name in ((first, "solid", names[0]), (second, "dashed", names[1])):
            profile = sample_affine(volume.values, volume.grid, way, (400, 1, 1), outside=np.nan)[:, 0, 0]
            colour = "#0072B2" if style == "solid" else "#D55E00"
            axes.plot(along, profile, color=colour, linestyle=style, linewidth=1.2, label=name_label(name))
        axes.set_xlabel(f"{label}, mm", fontsize=7)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=6.5)
        axes.grid(color=RULE, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        if axis == 0:
            axes.set_ylabel("Absorbed dose (Gy)", fontsize=7)
            axes.legend(frameon=False, fontsize=6.5)
    return figure


@_in_house_style
def agreement_figure(
    voxels: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], *, names: tuple[str, str] = ("first", "second")
) -> Figure:
    """Voxel doses of two maps: one against the other, and their difference against their mean (Bland-Altman).

    Parameters
    ----------
    voxels : mapping of str to two ndarrays
        Doses in Gy of the same voxels on both maps, by structure; of many voxels every n-th is drawn, all count in
        the lines.
    names : tuple of str
        What the maps are called.
    """
    figure = _figure(WIDTH_IN, 3.4)
    left, right = figure.add_axes((0.07, 0.13, 0.38, 0.8)), figure.add_axes((0.55, 0.13, 0.42, 0.8))
    styles = structure_styles(["tumour"] * len(voxels))
    top = max(float(max(a.max(), b.max())) for a, b in voxels.values()) or 1.0
    left.plot([0, top], [0, top], color=MUTED, linewidth=0.8)
    for (name, (a, b)), style in zip(voxels.items(), styles, strict=True):
        step = max(1, a.size // MAX_DOTS)
        x, y = a[::step].astype(float), b[::step].astype(float)
        left.scatter(x, y, s=5, color=style.colour, alpha=0.5, linewidths=0, label=name_label(name))
        right.scatter((x + y) / 2, y - x, s=5, color=style.colour, alpha=0.5, linewidths=0)
        difference = b.astype(float) - a
        bias, spread = float(difference.mean()), 1.96 * float(difference.std())
        for level, width in ((bias, 1.4), (bias - spread, 0.7), (bias + spread, 0.7)):
            right.axhline(level, color=style.colour, linewidth=width, linestyle=style.dashes)
    left.set_xlabel(f"{names[0]}, Gy")
    left.set_ylabel(f"{names[1]}, Gy")
    left.legend(frameon=False, fontsize=6.5, loc="upper left")
    right.axhline(0, color=MUTED, linewidth=0.5)
    right.set_xlabel("mean of both, Gy")
    right.set_ylabel(f"{names[1]} less {names[0]}, Gy (lines: bias, 95 % limits)")
    for axes in (left, right):
        axes.grid(color=RULE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _styled(report: DoseReport) -> list[tuple[ReportRegion, Style]]:
    """Structures with their styles, the same in every figure of a report."""
    return list(zip(report.regions, structure_styles([item.structure for item in report.regions]), strict=True))


def _outlined(report: DoseReport) -> list[tuple[ReportRegion, Style]]:
    """Structures to outline in slices, lesions last; none whose border the parts of it already show."""
    kinds = {item.structure for item in report.regions}
    hidden = {"body"}
    for whole, parts in (
        ("all_tumours", {"tumour"}),
        ("normal_liver", {"liver"}),
        ("perfused_normal", {"perfused"}),
        ("lung", {"lung_left", "lung_right"}),
    ):
        if parts <= kinds:
            hidden.add(whole)
    shown = [pair for pair in _styled(report) if pair[0].structure not in hidden]
    return sorted(shown, key=lambda pair: pair[0].is_lesion)


def _save(figure: Figure, form: Literal["png", "svg"], dpi: int) -> bytes:
    import matplotlib as mpl

    out = io.BytesIO()
    # No date inside: the same report gives the same bytes.
    metadata: dict[str, Any] = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
    with mpl.rc_context({**FONT, "svg.fonttype": "path", "svg.hashsalt": "hepatica"}):
        figure.savefig(out, format=form, dpi=dpi, metadata=metadata)
    return out.getvalue()


def _frame(report: DoseReport) -> tuple[NDArray[Any], NDArray[Any]]:
    body = next((item.region for item in report.regions if item.structure == "body"), None)
    if body is not None and not body.is_empty:
        return bounds_mm(body.grid.crop(body.window))
    return bounds_mm(report.ct.grid if report.ct is not None else report.dose.grid)


def _draw_slice(
    axes: Axes, report: DoseReport, plane: Plane, levels: Sequence[float], top: float, *, labelled: bool = False
) -> set[str]:
    """Draw one slice; names of the structures that it cuts."""
    import matplotlib as mpl
    from matplotlib.patheffects import Normal, Stroke

    extent = plane.extent_mm
    least, most = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2, WINDOW_LEVEL_HU + WINDOW_WIDTH_HU / 2
    axes.set_facecolor("black")
    if report.ct is not None:
        hu = sample(report.ct.values, report.ct.grid, plane, outside=-1000.0)
        axes.imshow(hu, cmap="gray", vmin=least, vmax=most, extent=extent, interpolation="bilinear")
    dose = sample(report.dose.values, report.dose.grid, plane, outside=0.0)
    wash = mpl.colormaps[DOSE_MAP](np.clip(dose / top, 0, 1))
    # Transparent where there is little dose, so that the anatomy stays readable.
    wash[..., 3] = 0.6 * np.clip((dose / top - 0.04) / 0.25, 0, 1)
    axes.imshow(wash, extent=extent, interpolation="bilinear")
    x, y = plane.axes_mm()
    for level in levels:
        if dose.min() < level < dose.max():
            colour = level_colour(level, levels)
            line = axes.contour(x, y, dose, [level], colors=[colour], linewidths=0.8)
            line.set_path_effects([Stroke(linewidth=1.7, foreground="black", alpha=0.75), Normal()])
            if labelled:
                label_line(axes, line, level, place=(1 + list(levels).index(level)) / (len(levels) + 1))
    drawn = set()
    for item, style in _outlined(report):
        inside = sample_region(item.region, plane)
        if inside.max() > 0.5 > inside.min():
            width = 1.5 if item.is_lesion else 1.0
            line = axes.contour(x, y, inside, [0.5], colors=[style.colour], linestyles=[style.dashes], linewidths=width)
            line.set_path_effects([Stroke(linewidth=width + 1.0, foreground="white", alpha=0.55), Normal()])
            drawn.add(item.dose.name)
    left, right, bottom, upper = extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, upper)
    _plain(axes)
    return drawn


def _plain(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _letters(axes: Axes, view: View, colour: str = "white") -> None:
    left, right, top, bottom = LETTERS[view]
    for text, x, y, across, up in (
        (left, 0.015, 0.5, "left", "center"),
        (right, 0.985, 0.5, "right", "center"),
        (top, 0.5, 0.985, "center", "top"),
        (bottom, 0.5, 0.015, "center", "bottom"),
    ):
        axes.text(
            x, y, text, transform=axes.transAxes, ha=across, va=up, color=colour, fontsize=7.5, fontweight="bold",
        )  # fmt: skip


def _scale_bar(axes: Axes, plane: Plane, length_mm: float) -> None:
    share = length_mm / plane.width_mm
    axes.plot([0.03, 0.03 + share], [0.045, 0.045], transform=axes.transAxes, color="white", linewidth=1.6)
    axes.text(
        0.03 + share / 2, 0.058, f"{length_mm:g} mm", transform=axes.transAxes, color="white", fontsize=6, ha="center"
    )


def _crosshair(axes: Axes, plane: Plane, centre: NDArray[Any]) -> None:
    left, right, bottom, upper = plane.extent_mm
    x = float(centre[1] if plane.view == "sagittal" else centre[0])
    y = float(centre[1]) if plane.view == "axial" else -float(centre[2])
    axes.plot([x, x], [bottom, upper], color="white", linewidth=0.4, alpha=0.45)
    axes.plot([left, right], [y, y], color="white", linewidth=0.4, alpha=0.45)


def _place(view: View, position_mm: float) -> str:
    letter = {"axial": "z", "coronal": "y", "sagittal": "x"}[view]
    return f"{letter} = {position_mm:.0f} mm"


def _dose_bar(figure: Figure, box: tuple[float, float, float, float], levels: Sequence[float], top: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = figure.colorbar(ScalarMappable(Normalize(0, top), DOSE_MAP), cax=figure.add_axes(box))
    bar.ax.tick_params(labelsize=6.5, length=2, color=MUTED)
    bar.ax.set_title("Gy", fontsize=7, color=INK, pad=3)
    bar.outline.set_visible(False)
    for level in levels:
        if level < top:
            bar.ax.axhline(level, color=level_colour(level, levels), linewidth=1.4)


def _slice_legend(
    figure: Figure, shown: Sequence[tuple[ReportRegion, Style]], levels: Sequence[float], top: float
) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=level_colour(level, levels), linewidth=1.6, label=f"{level:g} Gy")
        for level in levels
        if level < top * 1.5
    ]
    outlines = [
        Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=2, label=name_label(item.dose.name))
        for item, style in shown
    ]
    common = {"frameon": False, "fontsize": 6.8, "handlelength": 1.8, "columnspacing": 1.3, "borderaxespad": 0.0}
    if lines:
        first = figure.legend(
            handles=lines, loc="upper left", bbox_to_anchor=(0.075, 0.215), ncols=max(1, len(lines)), **common
        )
        figure.add_artist(first)
        figure.text(0.004, 0.196, "Isodose", fontsize=6.8, color=MUTED, va="center")
    if outlines:
        figure.legend(handles=outlines, loc="upper left", bbox_to_anchor=(0.075, 0.145), ncols=5, **common)
        figure.text(0.004, 0.126, "Outline", fontsize=6.8, color=MUTED, va="center")


def _axial_cube(values: NDArray[Any], grid: Grid, cube: Grid) -> NDArray[Any]:
    """Values on an axial grid; what is shown, never what is counted."""
    return sample_affine(values, grid, cube.affine[:3], cube.shape, outside=0.0)


def _outline_projection(axes: Axes, covered: NDArray[Any], style: Style, cube: Grid, view: View) -> None:
    projected = covered.max(axis=NORMAL[view]).T
    if not projected.max() > 0.5 > projected.min():
        return
    across = 0 if view == "coronal" else 1
    x = cube.origin_mm[across] + np.arange(cube.shape[across]) * cube.spacing_mm[across]
    y = cube.origin_mm[2] + np.arange(cube.shape[2]) * cube.spacing_mm[2]
    axes.contour(x, y, projected, [0.5], colors=[style.colour], linewidths=0.9, linestyles=[style.dashes])
