"""Figures of radiobiology, safety, response and outcome: plain values in, a matplotlib Figure out, no pyplot.

Palette: Okabe and Ito's, which colour-blind readers tell apart; lines also differ in dash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.errors import OutputError

if TYPE_CHECKING:
    from hepatica.dosimetry.radiobiology.summary import DoseEffect

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (3, 2)), "-")
INK = "#26323d"
FAINT = "#8a97a3"


def new_figure(width_in: float = 6.4, height_in: float = 4.2, *, rows: int = 1, columns: int = 1, **kinds: Any) -> Any:
    """A figure and its axes in the house style; `kinds` go to ``Figure.subplots``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.subplots(rows, columns, **kinds)
    for axis in axes.ravel() if hasattr(axes, "ravel") else [axes]:
        _style(axis)
    return figure, axes


def _style(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(FAINT)
    axis.tick_params(colors=INK, labelsize=9)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    axis.title.set_color(INK)
    axis.title.set_fontsize(10.5)
    axis.set_prop_cycle(color=PALETTE)


def save(figure: Any, path: Path) -> None:
    """Write a figure as .svg, .png or .pdf; wrap in `io.files.atomic_output`.

    Raises
    ------
    OutputError
        If the suffix is none of these.
    """
    from matplotlib import rc_context

    if path.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise OutputError(f"{path.name}: a figure is written as .svg, .png or .pdf")
    # Text stays text, and the same input gives the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "hepatica"}):
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)


def draw_dose_rates(hours: Sequence[float], curves: Mapping[str, Sequence[float]], title: str) -> Any:
    """Dose rate in uSv/h over days, one curve per distance, logarithmic."""
    figure, axis = new_figure()
    for (name, values), colour, dash in zip(curves.items(), PALETTE, DASHES, strict=False):
        axis.plot([h / 24 for h in hours], values, color=colour, linestyle=dash, label=name)
    axis.set_yscale("log")
    axis.set(xlabel="days after administration", ylabel="dose rate, µSv/h", title=title, xlim=(0, hours[-1] / 24))
    axis.grid(which="major", color=FAINT, alpha=0.25, linewidth=0.6)
    axis.legend(title="distance", frameon=False)
    return figure


def draw_dose_effect(effect: DoseEffect) -> Any:
    """BED against dose for every nuclide, and the published response models of the tissue."""
    import numpy as np

    from hepatica.dosimetry.radiobiology import DoseRate, bed_gy, predict

    figure, (left, right) = new_figure(10.5, 4.2, columns=2)
    e = effect.exposure
    doses = np.linspace(0.0, 2 * e.dose_gy, 200)
    ends = []
    for n, colour, dash in zip(effect.nuclides, PALETTE * 2, DASHES * 2, strict=False):
        bed = bed_gy(doses, DoseRate.exponential(n.half_life_h), effect.tissue)
        left.plot(
            doses, bed, color=colour, linestyle=dash, label=n.nuclide, linewidth=2.2 if n.nuclide == e.nuclide else 1.1
        )
        ends.append(bed[-1])
    left.plot(e.dose_gy, effect.bed_gy, "o", color=INK, markersize=5)
    left.set(xlabel="absorbed dose, Gy", ylabel="BED, Gy", xlim=(0, doses[-1]), ylim=(0, 1.02 * max(ends)))
    left.set_title(f"{effect.tissue.name}, α/β {effect.tissue.alpha_beta_gy:g} Gy", loc="left")
    left.legend(frameon=False, fontsize=8)
    curves = [p for p in effect.predictions if p.model.has_curve and p.model.metric == "mean_dose"]
    points = [p for p in effect.predictions if not p.model.has_curve and p.model.metric == "mean_dose"]
    reach = 1.25 * max([2 * e.dose_gy, *(p.model.d50_gy.value for p in (*curves, *points))])
    grid = np.linspace(0.0, reach, 200)
    for p, colour in zip(curves, PALETTE, strict=False):
        line = [predict(p.model, d) for d in grid.tolist()]
        right.plot(grid, [x.probability for x in line], color=colour, label=p.model.name)
        if line[0].low is not None:
            right.fill_between(
                grid, [x.low for x in line], [x.high for x in line], color=colour, alpha=0.18, linewidth=0
            )
    level = {"d50": 0.5, "threshold": None}
    for p, colour in zip(points, PALETTE[1:] + PALETTE, strict=False):
        height = level.get(p.model.form, p.model.probability)
        at = p.model.d50_gy.value
        if height is None:
            right.axvline(at, color=colour, linestyle=":", linewidth=1.2, label=f"{p.model.name} (threshold)")
        else:
            bar = None if p.model.d50_gy.sd is None else [[1.96 * p.model.d50_gy.sd]] * 2
            right.errorbar([at], [height], xerr=bar, fmt="s", color=colour, markersize=5, label=p.model.name)
    right.axvline(e.dose_gy, color=INK, linewidth=1.0)
    right.text(e.dose_gy, 1.01, f" {e.dose_gy:g} Gy", fontsize=8, color=INK)
    kind = "toxicity" if curves and curves[0].model.kind == "ntcp" else "response"
    right.set(xlabel="absorbed dose, Gy", ylabel=f"probability of {kind}", xlim=(0, reach), ylim=(0, 1.06))
    right.legend(frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
