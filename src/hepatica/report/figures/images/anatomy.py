"""One picture of a patient: CT, liver segments, the arterial tree, where the activity is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.patient import VirtualPatient
from hepatica.core import Region, Volume
from hepatica.nuclides import nuclide
from hepatica.report.figures.dosimetry.dose import FONT, WINDOW_LEVEL_HU, WINDOW_WIDTH_HU, png
from hepatica.report.figures.images.planes import (
    ACROSS,
    LETTERS,
    Plane,
    View,
    bounds_mm,
    centre_of,
    sample,
    sample_region,
)
from hepatica.report.figures.palette import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Float = NDArray[np.floating[Any]]

SEGMENT_COLOURS = ("#7A8793", "#4E79A7", "#59A5C7", "#59A14F", "#EDC948", "#F28E2B", "#E15759", "#B07AA1")
TRUNK_COLOUR = "#B01E28"
TUMOUR_COLOUR = "#00E5FF"
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
PIXEL_MM = 0.9
WIDTH_IN = 10.2
POINTS_PER_MM_OF_RADIUS = 3.2
"""Line width of an artery."""


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What is drawn.

    Attributes
    ----------
    title : str
        Above the picture.
    ct : Volume
        HU.
    activity : Volume
        Bq per voxel, on the grid of the CT.
    liver : Region
        The liver.
    segments : sequence of Region
        Up to eight, I to VIII.
    tumours : sequence of Region
        Outlined everywhere.
    outlines : mapping of str to Region
        Drawn around the activity: body, lungs.
    start_mm, end_mm : ndarray, shape (n, 3)
        Arteries in LPS.
    radius_mm : ndarray, shape (n,)
        Their radii.
    branch_segment : ndarray of int, shape (n,)
        Segment 1 to 8 that a branch feeds, 0 for trunks: its colour.
    catheters : mapping of str to ndarray
        Where each catheter's tip lies.
    """

    title: str
    ct: Volume
    activity: Volume
    liver: Region
    segments: Sequence[Region]
    tumours: Sequence[Region]
    outlines: Mapping[str, Region]
    start_mm: Float
    end_mm: Float
    radius_mm: Float
    branch_segment: NDArray[Any]
    catheters: Mapping[str, Float]


def anatomy_figure(patient: Anatomy) -> Figure:
    """CT in two planes, segments, arteries from the front, activity on CT and from the front."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as NewFigure

    with mpl.rc_context(FONT):
        low, high = bounds_mm(patient.ct.grid)
        at = centre_of(_largest(patient.tumours) if patient.tumours else patient.liver)
        middle = (low + high) / 2
        width, depth, height = (high - low).tolist()
        axial = Plane("axial", np.array([middle[0], middle[1], at[2]]), width, depth, PIXEL_MM)
        # Where the fewest segments hide each other.
        spread = Plane("axial", np.array([middle[0], middle[1], centre_of(patient.liver)[2]]), width, depth, PIXEL_MM)
        coronal = Plane("coronal", np.array([middle[0], at[1], middle[2]]), width, height, PIXEL_MM)
        scale = (WIDTH_IN - 0.4) / (3 * width)
        upper, lower = scale * depth, scale * height
        inches = upper + lower + 1.0
        figure = NewFigure(figsize=(WIDTH_IN, inches))
        figure.text(0.015, 1 - 0.16 / inches, patient.title, fontsize=8.5, color=INK, va="top")
        places = [(0.1 + n * (scale * width + 0.1), lower + 0.4) for n in range(3)]
        axes = [figure.add_axes(_box(x, y, scale * width, upper, inches)) for x, y in places]
        _slice(axes[0], patient, axial, f"CT, axial, z = {at[2]:.0f} mm")
        _slice(axes[1], patient, spread, "Couinaud segments")
        _segments(axes[1], patient, spread)
        _slice(axes[2], patient, axial, "Activity on CT")
        _wash(axes[2], patient, axial)
        axes = [figure.add_axes(_box(x, 0.1, scale * width, lower, inches)) for x, _ in places]
        _slice(axes[0], patient, coronal, f"CT, coronal, y = {at[1]:.0f} mm")
        # The arteries fill the panel: liver and trunks, at the panel's proportions.
        ends = np.concatenate([patient.start_mm, patient.end_mm, _corners(patient.liver)])
        least, most = ends.min(axis=0), ends.max(axis=0)
        wide = 1.12 * max(float((most - least)[0]), float((most - least)[2]) * width / height)
        near = Plane("coronal", (least + most) / 2, wide, wide * height / width, PIXEL_MM)
        _arteries(axes[1], patient, near)
        _projection(axes[2], patient, coronal)
        return figure


def _box(x: float, y: float, width: float, height: float, inches: float) -> tuple[float, float, float, float]:
    return x / WIDTH_IN, y / inches, width / WIDTH_IN, height / inches


def _corners(region: Region) -> Float:
    """Corners of a region's box, mm."""
    return region.grid.crop(region.window).corners_mm()


def _largest(regions: Sequence[Region]) -> Region:
    return max(regions, key=lambda region: region.volume_ml)


def _slice(axes: Axes, patient: Anatomy, plane: Plane, title: str) -> None:
    low, high = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2, WINDOW_LEVEL_HU + WINDOW_WIDTH_HU / 2
    picture = sample(patient.ct.values, patient.ct.grid, plane, outside=-1000.0)
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, extent=plane.extent_mm, interpolation="bilinear")
    _outline(axes, patient.tumours, plane, TUMOUR_COLOUR, 0.9)
    _finish(axes, plane, title)


def _segments(axes: Axes, patient: Anatomy, plane: Plane) -> None:
    from matplotlib.colors import to_rgba

    x, y = plane.axes_mm()
    for number, (region, colour) in enumerate(zip(patient.segments, SEGMENT_COLOURS, strict=False)):
        covered = sample_region(region, plane)
        if covered.max() < 0.5:
            continue
        wash = np.zeros((*covered.shape, 4))
        wash[...] = to_rgba(colour)
        wash[..., 3] = 0.55 * covered
        axes.imshow(wash, extent=plane.extent_mm, interpolation="bilinear")
        rows, columns = np.nonzero(covered >= 0.5)
        nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
        if rows.size > 120:
            axes.text(
                x[columns[nearest]], y[rows[nearest]], ROMAN[number], color="white", fontsize=8, weight="bold",
                ha="center", va="center",
            )  # fmt: skip


def _wash(axes: Axes, patient: Anatomy, plane: Plane) -> None:
    volume = patient.activity
    picture = sample(volume.values, volume.grid, plane, outside=0.0)
    top = float(np.percentile(volume.values[volume.values > 0], 99.5)) if (volume.values > 0).any() else 1.0
    share = np.clip(picture / top, 0, 1)
    import matplotlib as mpl

    colours = mpl.colormaps["inferno"](share)
    colours[..., 3] = np.clip(share * 4, 0, 0.85)
    axes.imshow(colours, extent=plane.extent_mm, interpolation="bilinear")


def _arteries(axes: Axes, patient: Anatomy, plane: Plane) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    _silhouettes(axes, {"liver": patient.liver}, plane, "#F3E3DC", "#C9A696")
    _silhouettes(axes, {region.name: region for region in patient.tumours}, plane, "#BFEFF5", "#1E9FB0")
    # From the back to the front, so that what is near covers what is far.
    order = np.argsort(-(patient.start_mm + patient.end_mm)[:, 1])
    colours = [TRUNK_COLOUR, *SEGMENT_COLOURS]
    lines = np.stack([patient.start_mm, patient.end_mm], axis=1)[order][:, :, [0, 2]]
    lines[:, :, 1] *= -1
    axes.add_collection(
        LineCollection(
            lines.tolist(),
            linewidths=(POINTS_PER_MM_OF_RADIUS * patient.radius_mm[order]).tolist(),
            colors=[colours[int(n)] for n in patient.branch_segment[order]],
            capstyle="round",
        )
    )
    for name, tip in patient.catheters.items():
        axes.plot(tip[0], -tip[2], marker="v", markersize=5, color=INK)
        axes.annotate(
            name, (tip[0], -tip[2]), xytext=(26, 26), textcoords="offset points", fontsize=6.5, color=INK,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5},
        )  # fmt: skip
    shown = [(n, colour) for n, colour in enumerate(SEGMENT_COLOURS) if n < len(patient.segments)]
    handles = [Line2D([], [], color=colour, linewidth=2, label=ROMAN[n]) for n, colour in shown]
    axes.legend(handles=handles, frameon=False, fontsize=6.5, ncols=4, loc="lower center", handlelength=1.2)
    _finish(axes, plane, "Hepatic arteries from the front, by segment", dark=False)


def _projection(axes: Axes, patient: Anatomy, plane: Plane) -> None:
    volume = patient.activity
    across, down = _axes_of(plane.view)
    values = volume.values / volume.grid.voxel_volume_ml / 1e6
    points = volume.grid.to_mm(np.argwhere(values > 0))
    held = values[values > 0]
    left, right, bottom, top = plane.extent_mm
    # Largest value on each pixel of about a voxel, wherever the voxels' axes point.
    step = float(max(volume.grid.spacing_mm))
    shape = (max(1, int((right - left) / step)), max(1, int((bottom - top) / step)))
    column = np.clip(((points @ across - left) / (right - left) * shape[0]).astype(int), 0, shape[0] - 1)
    row = np.clip(((points @ down - top) / (bottom - top) * shape[1]).astype(int), 0, shape[1] - 1)
    picture = np.zeros((shape[1], shape[0]))
    np.maximum.at(picture, (row, column), held)
    full = float(np.percentile(held, 99.8)) if held.size else 1.0
    image = axes.imshow(picture, cmap="gray_r", vmin=0, vmax=full, extent=plane.extent_mm, interpolation="bilinear")
    _silhouettes(axes, {**patient.outlines, "liver": patient.liver}, plane, None, "#5B8DEF")
    _silhouettes(axes, {region.name: region for region in patient.tumours}, plane, None, "#00A5CF")
    _finish(axes, plane, "Activity, maximum from the front", dark=False)
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((0.93, 0.08, 0.02, 0.3)))
    bar.ax.tick_params(labelsize=5.5, length=1.5)
    bar.ax.set_title("MBq/mL", fontsize=5.5, color=MUTED, pad=3)
    bar.outline.set_visible(False)


def _axes_of(view: View) -> tuple[Float, Float]:
    across, down = ACROSS[view]
    return np.asarray(across, dtype=float), np.asarray(down, dtype=float)


def _silhouettes(axes: Axes, regions: Mapping[str, Region], plane: Plane, fill: str | None, edge: str) -> None:
    """Shadows of regions on the plane."""
    across, down = _axes_of(plane.view)
    left, right, bottom, top = plane.extent_mm
    for region in regions.values():
        step = float(max(region.grid.spacing_mm)) * 1.05
        start = np.asarray([s.start for s in region.window])
        points = region.grid.to_mm(np.argwhere(region.coverage >= 0.5) + start)
        if not len(points):
            continue
        shape = (max(2, int((bottom - top) / step)), max(2, int((right - left) / step)))
        row = ((points @ down - top) / (bottom - top) * shape[0]).astype(int)
        column = ((points @ across - left) / (right - left) * shape[1]).astype(int)
        shadow = np.zeros(shape)
        inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        shadow[row[inside], column[inside]] = 1.0
        seen = _closed(shadow)
        x = left + (np.arange(shape[1]) + 0.5) / shape[1] * (right - left)
        y = top + (np.arange(shape[0]) + 0.5) / shape[0] * (bottom - top)
        if fill is not None:
            axes.contourf(x, y, seen, levels=[0.5, 2], colors=[fill])
        axes.contour(x, y, seen, levels=[0.5], colors=[edge], linewidths=0.7)


def _closed(seen: Float) -> Float:
    """Gaps of single pixels filled, edges softened."""
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(ndimage.binary_closing(seen > 0, np.ones((3, 3))).astype(float), 0.8))


def _outline(axes: Axes, regions: Sequence[Region], plane: Plane, colour: str, width: float) -> None:
    x, y = plane.axes_mm()
    for region in regions:
        covered = sample_region(region, plane)
        if covered.max() >= 0.5:
            axes.contour(x, y, covered, levels=[0.5], colors=[colour], linewidths=width)


def _finish(axes: Axes, plane: Plane, title: str, *, dark: bool = True) -> None:
    left, right, bottom, top = plane.extent_mm
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=7.5, color=INK, loc="left", pad=3)
    colour = "white" if dark else INK
    for text, (x, y) in zip(LETTERS[plane.view], ((0.02, 0.5), (0.98, 0.5), (0.5, 0.97), (0.5, 0.03)), strict=True):
        axes.text(x, y, text, transform=axes.transAxes, fontsize=6.5, color=colour, ha="center", va="center")


def patient_png(patient: VirtualPatient) -> bytes:
    """Picture of a patient: CT, segments, arteries, activity; PNG."""
    regions, tree, t = patient.regions, patient.tree, patient.treatment
    where = " + ".join(t.catheters)
    title = (
        f"Virtual patient {patient.settings.seed}: {patient.settings.anatomy.sex}, {t.activity_bq / 1e9:.3g} GBq "
        f"{nuclide(t.nuclide).label} {t.agent} through {where}, lung shunt {100 * t.lung_shunt:.3g} %, "
        f"T/N {t.tumour_to_normal:.3g}"
    )
    nowhere = Region("", patient.grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32))
    picture = Anatomy(
        title=title,
        ct=patient.ct,
        activity=patient.activity(),
        liver=regions["liver"],
        segments=[regions.get(f"segment {n}", nowhere) for n in range(1, 9)],
        tumours=[regions[p.name] for p in patient.tumours if p.name in regions],
        outlines={name: regions[name] for name in ("body", "lung left", "lung right") if name in regions},
        start_mm=tree.start_mm,
        end_mm=tree.end_mm,
        radius_mm=tree.radius_mm,
        branch_segment=tree.segment,
        catheters={name: tree.start_mm[tree.branch(name)] for name in t.catheters},
    )
    return png(anatomy_figure(picture), dpi=150)
