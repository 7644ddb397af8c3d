"""Figures of holmium by MR: anatomy, R2* before and after, concentration; and MR against SPECT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Region
from hepatica.report.figures.images.planes import View, bounds_mm, centre_of, framed, sample
from hepatica.report.figures.images.segmentation import contour_colours, draw_contours
from hepatica.report.figures.outcome import FAINT, PALETTE, new_figure
from hepatica.report.figures.palette import INK, name_label

VIEWS: tuple[View, ...] = ("axial", "coronal")
SHOWN = ("liver", "tumour", "lung", "image")
"""Structures that are outlined, by what their name begins with."""

MOST_OUTLINES = 8
PIXEL_MM = 1.0


def draw_holmium(
    grid: Grid, anatomy: NDArray[Any], before: NDArray[Any], after: NDArray[Any], concentration: NDArray[Any],
    regions: Mapping[str, Region],
) -> Any:  # fmt: skip
    """Axial and coronal plane through the highest concentration: first echo, R2* before and after, mg/mL.

    Parameters
    ----------
    grid : Grid
        Voxels.
    anatomy : ndarray
        Magnitude of the first echo.
    before, after : ndarray
        R2*, 1/s; NaN where it is not known.
    concentration : ndarray
        mg/mL; NaN where it is not known.
    regions : mapping of str to Region
        Structures; liver, tumours and lungs are outlined.
    """
    chosen = [name for name, r in regions.items() if name.lower().startswith(SHOWN) and not r.is_empty]
    outlined = {name: regions[name] for name in chosen if " minus " not in name}
    outlined = dict(list(outlined.items())[:MOST_OUTLINES])
    colours = contour_colours(list(outlined))
    at = _centre(grid, concentration, outlined)
    low, high = bounds_mm(grid)
    size = float(min(max(high - low), 420.0))
    known = concentration[np.isfinite(concentration)]
    top = max(float(np.quantile(known, 0.998)) if known.size else 1.0, 0.1)
    rates = after[np.isfinite(after)]
    fastest = max(float(np.quantile(rates, 0.99)) if rates.size else 1.0, 10.0)
    panels = (
        ("first echo", anatomy, "gray", 0.0, float(np.quantile(anatomy, 0.995)), "signal"),
        ("R2* before", before, "viridis", 0.0, fastest, "1/s"),
        ("R2* after", after, "viridis", 0.0, fastest, "1/s"),
        ("microspheres", concentration, "inferno", 0.0, top, "mg/mL"),
    )
    figure, axes = new_figure(12.5, 6.4, rows=2, columns=4)
    for row, view in zip(axes, VIEWS, strict=True):
        plane = framed(view, at, low, high, size, PIXEL_MM)
        for axis, (title, values, palette, least, most, unit) in zip(row, panels, strict=True):
            axis.set_facecolor("black")
            filled = np.nan_to_num(values)
            shown = sample(filled, grid, plane, outside=0.0)
            if np.isnan(values).any():
                share = sample(np.isfinite(values).astype(np.float32), grid, plane, outside=0.0)
                shown = np.ma.masked_where(share < 0.5, shown / np.maximum(share, 0.5))
            drawn = axis.imshow(shown, cmap=palette, vmin=least, vmax=most, extent=plane.extent_mm)
            draw_contours(axis, plane, outlined, colours)
            axis.set(xticks=[], yticks=[], title=f"{title}, {view}")
            bar = figure.colorbar(drawn, ax=axis, shrink=0.75, pad=0.02)
            bar.set_label(unit, color=INK, fontsize=8)
            bar.ax.tick_params(labelsize=7, colors=INK)
    if outlined:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=colours[name], label=name_label(name)) for name in outlined]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


def _centre(grid: Grid, concentration: NDArray[Any], regions: Mapping[str, Region]) -> NDArray[np.float64]:
    """Middle of the largest tumour, else of the liver, else where most is."""
    tumours = [r for name, r in regions.items() if name.lower().startswith("tumour")]
    if tumours:
        return np.asarray(centre_of(max(tumours, key=lambda r: r.volume_ml)), dtype=np.float64)
    if regions:
        return np.asarray(centre_of(next(iter(regions.values()))), dtype=np.float64)
    return grid.to_mm(np.unravel_index(int(np.nanargmax(concentration)), grid.shape))


def draw_spect_mri(
    voxels: tuple[NDArray[Any], NDArray[Any]],
    agreement: Any,
    ratios: Sequence[tuple[str, float, float, float, float]],
    unit: str,
) -> Any:
    """Voxels of both images, their differences against their means, and T/N by both with uncertainties.

    Parameters
    ----------
    voxels : tuple of ndarray
        SPECT and MR, in `unit`.
    agreement : BlandAltman or RepeatedBlandAltman or None
        Bias and limits of the voxels.
    ratios : sequence of tuple
        Tumour, T/N and standard uncertainty by SPECT, then by MR.
    unit : str
        Of the voxels.
    """
    figure, axes = new_figure(12.5, 4.2, columns=3)
    first, second = voxels
    step = max(1, first.size // 4000)
    x, y = first[::step], second[::step]
    most = float(max(x.max(), y.max()))
    axes[0].scatter(x, y, s=7, color=PALETTE[0], alpha=0.35, linewidths=0)
    axes[0].plot([0, most], [0, most], color=FAINT, linewidth=1)
    axes[0].set(xlabel=f"SPECT, {unit}", ylabel=f"MR, {unit}", title="Voxels of the liver")
    axes[1].scatter((x + y) / 2, y - x, s=7, color=PALETTE[0], alpha=0.35, linewidths=0)
    axes[1].axhline(0, color=FAINT, linewidth=0.8)
    if agreement is not None:
        for value, dash, name in (
            (agreement.bias, "-", "bias"),
            (agreement.lower_limit, "--", "limits of agreement"),
            (agreement.upper_limit, "--", None),
        ):
            axes[1].axhline(value, color=PALETTE[1], linestyle=dash, label=name)
        axes[1].legend(frameon=False, fontsize=8)
    axes[1].set(xlabel=f"mean of SPECT and MR, {unit}", ylabel=f"MR - SPECT, {unit}", title="Differences")
    for n, (name, spect, spect_sd, mr, mr_sd) in enumerate(ratios):
        axes[2].errorbar(
            [spect], [mr], xerr=[2 * spect_sd], yerr=[2 * mr_sd], fmt="o", color=PALETTE[n % len(PALETTE)],
            label=name_label(name), capsize=2,
        )  # fmt: skip
    if ratios:
        top = 1.1 * max(max(r[1] + 2 * r[2], r[3] + 2 * r[4]) for r in ratios)
        axes[2].plot([0, top], [0, top], color=FAINT, linewidth=1)
        axes[2].legend(frameon=False, fontsize=8)
    axes[2].set(xlabel="T/N by SPECT", ylabel="T/N by MR", title="Tumour to normal, bars k = 2")
    return figure
