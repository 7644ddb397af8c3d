"""Figures of PET: what was simulated, and what was reconstructed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.imaging.pet.acquisition.raw import KINDS, PetRawData
from hepatica.report.figures.images.planes import View, bounds_mm, framed, sample
from hepatica.report.figures.outcome import FAINT, INK, PALETTE, new_figure

VIEWS: tuple[View, ...] = ("axial", "coronal")
PIXEL_MM = 1.5
LARGEST_MM = 450.0
AIR_HU = -1000.0


def draw_simulated_pet(truth: Volume, ct: Volume, raw: PetRawData) -> Any:
    """The true activity over the CT with the beds' ends, and the coincidences of each bed by what they are.

    Parameters
    ----------
    truth : Volume
        Bq/mL.
    ct : Volume
        HU, on the same or other voxels.
    raw : PetRawData
        Of the simulation.
    """
    figure, axes = new_figure(12.5, 4.4, columns=3)
    at, top = _hottest(truth)
    low, high = raw.extent_mm
    for axis, view in zip(axes, VIEWS, strict=False):
        plane = _plane(view, at, ct.grid)
        tissue = sample(ct.values, ct.grid, plane, outside=AIR_HU)
        axis.imshow(tissue, cmap="gray", vmin=-400, vmax=400, extent=plane.extent_mm)
        hot = sample(truth.values, truth.grid, plane, outside=0.0) / 1e6
        shown = np.ma.masked_less(hot, 0.02 * top)
        drawn = axis.imshow(shown, cmap="inferno", vmin=0, vmax=top, extent=plane.extent_mm, alpha=0.8)
        axis.set(xticks=[], yticks=[], title=f"true activity, {view}")
        _bar(figure, drawn, axis, "MBq/mL")
        if view == "coronal":
            # the picture's down is towards the feet: LPS z grows upwards
            for end in (low, high):
                axis.axhline(-end, color=PALETTE[5], linewidth=1, linestyle="--")
    _coincidences(axes[2], raw)
    return figure


def draw_reconstructed_pet(activity: Volume, sensitivity: NDArray[Any]) -> Any:
    """Axial and coronal plane through the highest activity, the sensitivity, and the mean along the axis.

    Parameters
    ----------
    activity : Volume
        Bq/mL.
    sensitivity : ndarray, shape of the volume
        Counts per annihilation.
    """
    figure, axes = new_figure(13.5, 4.2, columns=4)
    at, top = _hottest(activity)
    panels = (
        ("activity, axial", "axial", activity.values / 1e6, "inferno", top, "MBq/mL"),
        ("activity, coronal", "coronal", activity.values / 1e6, "inferno", top, "MBq/mL"),
        ("sensitivity, coronal", "coronal", 100 * sensitivity, "viridis", float(100 * sensitivity.max()), "%"),
    )
    for axis, (title, view, values, palette, most, unit) in zip(axes, panels, strict=False):
        plane = _plane(view, at, activity.grid)  # type: ignore[arg-type]
        axis.set_facecolor("black")
        shown = sample(values, activity.grid, plane, outside=0.0)
        drawn = axis.imshow(shown, cmap=palette, vmin=0, vmax=most or 1.0, extent=plane.extent_mm)
        axis.set(xticks=[], yticks=[], title=title)
        _bar(figure, drawn, axis, unit)
    along = activity.values.sum(axis=(0, 1), dtype=np.float64) * activity.grid.voxel_volume_ml / 1e6
    z = activity.grid.origin_mm[2] + np.arange(activity.grid.shape[2]) * activity.grid.spacing_mm[2]
    axes[3].plot(z, along / activity.grid.spacing_mm[2], color=PALETTE[0])
    axes[3].set(xlabel="LPS z, mm (towards the head)", ylabel="activity, MBq per mm", title="along the axis")
    axes[3].axhline(0, color=FAINT, linewidth=0.6)
    return figure


def _hottest(volume: Volume) -> tuple[NDArray[np.floating[Any]], float]:
    """Middle of the highest activity, smoothed, and MBq/mL that the palette ends with."""
    from scipy.ndimage import uniform_filter

    smooth = uniform_filter(volume.values.astype(np.float32), 3)
    at = np.unravel_index(int(smooth.argmax()), smooth.shape)
    positive = volume.values[volume.values > 0]
    top = float(np.quantile(positive, 0.998)) / 1e6 if positive.size else 1.0
    return np.asarray(volume.grid.to_mm(np.array(at))), max(top, 1e-9)


def _plane(view: View, at: NDArray[np.floating[Any]], grid: Grid) -> Any:
    low, high = bounds_mm(grid)
    size = float(min(max(high - low), LARGEST_MM))
    return framed(view, at, low, high, size, PIXEL_MM)


def _bar(figure: Any, drawn: Any, axis: Any, unit: str) -> None:
    bar = figure.colorbar(drawn, ax=axis, shrink=0.75, pad=0.02)
    bar.set_label(unit, color=INK, fontsize=8)
    bar.ax.tick_params(labelsize=7, colors=INK)


def _coincidences(axis: Any, raw: PetRawData) -> None:
    places = np.arange(len(raw.beds))
    below = np.zeros(len(raw.beds))
    for (name, kind), colour in zip(KINDS.items(), PALETTE, strict=False):
        height = np.array([(bed.frame.number(kind) or 0) / bed.duration_s for bed in raw.beds])
        axis.bar(places, height, bottom=below, color=colour, label=name, width=0.6)
        below += height
    axis.set_xticks(places, [f"bed {n + 1}" for n in places])
    axis.set(ylabel="coincidences per second", title="what was counted", xlim=(-0.6, len(raw.beds) - 0.4))
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
