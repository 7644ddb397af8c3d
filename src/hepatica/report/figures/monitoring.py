"""Figures of a watched injection: activity of each region with its interval, alarms, rate, and the frames."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.report.figures.palette import ACCENT, INK, MUTED, RULE

COLOURS = ("#A4262C", "#1F4E79", "#2E9E4F", "#9A6700", "#7B61C9", "#5B6673")

BLIND = "#F3D9DA"
"""Behind times at which nothing was judged."""

DEGRADED = "#FBF1DC"

MOST_PICTURES = 6


def monitor_png(curves: Mapping[str, Any], pictures: NDArray[np.float64], mask: NDArray[np.int64] | None) -> bytes:
    """Curves above, frames below.

    Parameters
    ----------
    curves : mapping
        time_s, bands_mbq (by region: value, low, high), marks (instant, alarm), watching, rate_kcps, planned_mbq,
        is_measured.
    pictures : ndarray, shape (pictures, rows, columns)
        Sums of frames, in order.
    mask : ndarray of int, shape (rows, columns), or None
        Regions, outlined.
    """
    from matplotlib.figure import Figure

    shown = pictures[:MOST_PICTURES]
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    grid = figure.add_gridspec(3, max(len(shown), 1), height_ratios=(3.0, 0.9, 1.9))
    has_rate = any(curves["rate_kcps"])
    if curves["bands_mbq"] and not has_rate:
        # MR counts nothing: the activities have the place of the rate as well.
        _activities(upper := figure.add_subplot(grid[: 2 if len(shown) else 3, :]), curves)
        upper.tick_params(labelbottom=True)
        upper.set_xlabel("s after the first instant")
    elif curves["bands_mbq"]:
        upper = figure.add_subplot(grid[0, :])
        lower = figure.add_subplot(grid[1, :], sharex=upper)
        _activities(upper, curves)
    else:
        # Without a setup the rate is all that there is.
        lower = figure.add_subplot(grid[:2, :])
    if has_rate or not curves["bands_mbq"]:
        _rate(lower, curves)
    for n, picture in enumerate(shown):
        axes = figure.add_subplot(grid[2, n])
        axes.imshow(picture, cmap="gray_r", interpolation="nearest", vmax=max(float(np.quantile(picture, 0.998)), 1.0))
        if mask is not None:
            # The region of the frame's corner is what lies around all others.
            for region in (n for n in range(int(mask.max()) + 1) if n != int(mask[0, 0])):
                axes.contour(mask == region, levels=[0.5], colors=[COLOURS[region % len(COLOURS)]], linewidths=0.6)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"part {n + 1} of {len(shown)}", fontsize=8, color=MUTED)
    figure.suptitle("For research and replay: no treatment may be changed by it", fontsize=9, color=MUTED)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def masks_png(mask: NDArray[np.int64], names: Sequence[str]) -> bytes:
    """The mask that each pixel is counted for, as the camera sees it."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(5.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    colours = [COLOURS[n % len(COLOURS)] for n in range(len(names))]
    axes.imshow(mask, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(names) - 0.5, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(
        handles=[Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)],
        loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(names), fontsize=8, frameon=False,
    )  # fmt: skip
    axes.set_title("Region that each pixel of a frame is counted for", fontsize=9, color=MUTED)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _activities(axes: Any, curves: Mapping[str, Any]) -> None:
    time = np.asarray(curves["time_s"])
    _shade(axes, time, curves["watching"])
    bands: Mapping[str, NDArray[np.float64]] = curves["bands_mbq"]
    for n, (name, band) in enumerate(bands.items()):
        colour = INK if name == "body" else COLOURS[n % len(COLOURS)]
        axes.plot(time, band[:, 0], color=colour, lw=1.6, ls="--" if name == "body" else "-",
                  label="body, by the frames alone" if name == "body" else name)  # fmt: skip
        axes.fill_between(time, band[:, 1], band[:, 2], color=colour, alpha=0.15, lw=0)
    if curves["planned_mbq"] is not None:
        axes.axhline(curves["planned_mbq"], color=MUTED, lw=0.8, ls=":")
    top = axes.get_ylim()[1]
    for n, (at, kind) in enumerate(curves["marks"]):
        axes.axvline(at, color=ACCENT, lw=1.0)
        axes.text(at, top * (0.97 - 0.08 * (n % 5)), f" {kind} {at:.0f} s", fontsize=8, color=ACCENT, va="top")
    axes.set_ylim(0, top)
    axes.set_ylabel("delivered, MBq" if curves["is_measured"] else "estimate, MBq (not measured)")
    if bands:
        axes.legend(loc="upper left", fontsize=8, frameon=False, ncols=3)
    axes.grid(color=RULE, lw=0.5)
    axes.tick_params(labelbottom=False)


def _rate(axes: Any, curves: Mapping[str, Any]) -> None:
    time = np.asarray(curves["time_s"])
    _shade(axes, time, curves["watching"])
    axes.plot(time, curves["rate_kcps"], color=INK, lw=1.0)
    axes.set_ylabel("kcps")
    axes.set_xlabel("s after the first frame")
    axes.set_ylim(bottom=0)
    axes.grid(color=RULE, lw=0.5)


def _shade(axes: Any, time: NDArray[np.float64], watching: Any) -> None:
    """One span for each run of instants that are shaded alike."""
    words = list(watching)
    start = 0
    for n in range(1, len(time)):
        if n + 1 < len(time) and words[n + 1] == words[n]:
            continue
        if words[n] in ("blind", "degraded"):
            colour = BLIND if words[n] == "blind" else DEGRADED
            axes.axvspan(time[start], time[n], color=colour, lw=0)
        start = n
