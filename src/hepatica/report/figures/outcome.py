"""Figures of radiobiology, safety, response and outcome: plain values in, a matplotlib Figure out, no pyplot.

Palette: Okabe and Ito's, which colour-blind readers tell apart; lines also differ in dash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hepatica.errors import OutputError
from hepatica.report.figures.palette import name_label

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
        axis.plot([h / 24 for h in hours], values, color=colour, linestyle=dash, label=name_label(name))
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
    therapeutic = [n for n in effect.nuclides if n.nuclide != "Tc-99m"]
    for n, colour, dash in zip(therapeutic, PALETTE * 2, DASHES * 2, strict=False):
        bed = bed_gy(doses, DoseRate.exponential(n.half_life_h), effect.tissue)
        left.plot(
            doses, bed, color=colour, linestyle=dash, label=n.nuclide, linewidth=2.2 if n.nuclide == e.nuclide else 1.1
        )
        ends.append(bed[-1])
    left.plot(e.dose_gy, effect.bed_gy, "o", color=INK, markersize=5)
    left.set(xlabel="absorbed dose, Gy", ylabel="BED, Gy", xlim=(0, doses[-1]), ylim=(0, 1.02 * max(ends)))
    left.set_title(f"{effect.tissue.name}, α/β {effect.tissue.alpha_beta_gy:g} Gy")
    left.legend(frameon=False, fontsize=8)
    of_dose = [p for p in effect.models if p.model.metric == "mean_dose"]
    # Those of this nuclide and agent; the table has the others. Where there is none, all.
    of_dose = [p for p in of_dose if p.model.treats(e.nuclide, e.agent)] or of_dose
    curves = [p for p in of_dose if p.model.has_curve]
    points = [p for p in of_dose if not p.model.has_curve]
    reach = 1.25 * max([2 * e.dose_gy, *(p.model.reference_dose_gy.value for p in (*curves, *points))])
    grid = np.linspace(0.0, reach, 200)
    for p, colour in zip(curves, PALETTE, strict=False):
        line = [predict(p.model, d) for d in grid.tolist()]
        right.plot(grid, [x.probability for x in line], color=colour, label=p.model.name)
        if line[0].probability_low is not None:
            band = [x.probability_low for x in line], [x.probability_high for x in line]
            right.fill_between(grid, *band, color=colour, alpha=0.18, linewidth=0)
    level = {"d50": 0.5, "threshold": None}
    marks = [(marker, colour) for marker in "sDov^P" for colour in PALETTE[1:]]
    for p, (marker, colour) in zip(points, marks, strict=False):
        height = level.get(p.model.form, p.model.point_probability)
        at = p.model.reference_dose_gy.value
        if height is None:
            dash = DASHES["sDov^P".index(marker) + 1]
            right.axvline(at, color=colour, linestyle=dash, linewidth=1.2, label=f"{p.model.name} (threshold)")
        else:
            sd = p.model.reference_dose_gy.sd
            bar = None if sd is None else [[1.96 * sd]] * 2
            right.errorbar([at], [height], xerr=bar, fmt=marker, color=colour, markersize=5, label=p.model.name)
    right.axvline(e.dose_gy, color=INK, linewidth=1.0)
    right.text(e.dose_gy, 1.01, f"{e.dose_gy:g} Gy", transform=right.get_xaxis_transform(), fontsize=8, color=INK)
    kind = "toxicity" if curves and curves[0].model.kind == "ntcp" else "response"
    right.set(xlabel="absorbed dose, Gy", ylabel=f"probability of {kind}", xlim=(0, reach), ylim=(0, 1.06))
    right.legend(frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_bed_histograms(structures: Sequence[tuple[str, Any, Any]]) -> Any:
    """Cumulative histograms of dose and of BED; each structure has a name and two curves of dose_gy and fraction."""
    figure, (left, right) = new_figure(10.0, 4.2, columns=2, sharey=True)
    for (name, dose, bed), colour, dash in zip(structures, PALETTE * 3, DASHES * 3, strict=False):
        left.plot(dose.dose_gy, 100 * dose.fraction, color=colour, linestyle=dash, label=name_label(name))
        right.plot(bed.dose_gy, 100 * bed.fraction, color=colour, linestyle=dash)
    left.set(xlabel="absorbed dose, Gy", ylabel="volume, %", ylim=(0, 102))
    right.set(xlabel="BED, Gy")
    left.set_xlim(left=0)
    right.set_xlim(left=0)
    left.legend(frameon=False, fontsize=8)
    return figure


def draw_spheres(agents: Sequence[tuple[str, Any]], mean_gy: float) -> Any:
    """Share of the tissue by dose at the scale of spheres, one curve per agent (name, voxel doses in Gy)."""
    import numpy as np

    figure, axis = new_figure()
    most = max(float(np.percentile(dose, 99)) for _, dose in agents)
    edges = np.linspace(0.0, most, 120)
    for (name, dose), colour, dash in zip(agents, PALETTE * 3, DASHES * 3, strict=False):
        share, _ = np.histogram(dose, edges)
        axis.plot(
            (edges[1:] + edges[:-1]) / 2,
            share / dose.size / np.diff(edges),
            color=colour,
            linestyle=dash,
            label=name_label(name),
        )
    axis.axvline(mean_gy, color=INK, linewidth=0.8)
    axis.text(mean_gy, 1.01, f" mean {mean_gy:g} Gy", transform=axis.get_xaxis_transform(), fontsize=8, color=INK)
    axis.set(xlabel="dose to 50 µm voxels, Gy", ylabel="share of the tissue per Gy", xlim=(0, most))
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
    return figure


class Curve(Protocol):
    """What a survival figure draws; `hepatica.outcome.statistics.survival.SurvivalCurve` is one."""

    @property
    def name(self) -> str:
        """Group."""

    @property
    def time(self) -> Any:
        """Times, ascending."""

    @property
    def survival(self) -> Any:
        """Estimate after each time."""

    @property
    def low(self) -> Any:
        """Lower bound."""

    @property
    def high(self) -> Any:
        """Upper bound."""

    @property
    def censored_then(self) -> Any:
        """Censored at each time."""

    def number_at_risk(self, times: Sequence[float]) -> list[int]:
        """Patients still observed just before each time."""


def draw_survival(curves: Sequence[Curve], *, unit: str, title: str, note: str = "", label: str = "survival") -> Any:
    """Kaplan-Meier curves with intervals, censoring marks and the numbers at risk below."""
    import numpy as np

    rows = len(curves)
    figure, (axis, table) = new_figure(
        7.0, 4.4 + 0.22 * rows, rows=2, sharex=True, gridspec_kw={"height_ratios": [12, 0.9 + rows]}
    )
    end = max(float(c.time[-1]) for c in curves)
    for c, colour, dash in zip(curves, PALETTE * 3, DASHES * 3, strict=False):
        x = np.concatenate(([0.0], c.time))
        y, low, high = (np.concatenate(([1.0], v)) for v in (c.survival, c.low, c.high))
        axis.step(x, y, where="post", color=colour, linestyle=dash, label=name_label(c.name))
        axis.fill_between(x, low, high, step="post", color=colour, alpha=0.14, linewidth=0)
        marks = c.censored_then > 0
        axis.plot(c.time[marks], c.survival[marks], "|", color=colour, markersize=6, markeredgewidth=0.9)
    axis.set(ylabel=label, ylim=(0, 1.02), xlim=(0, end), title=name_label(title, 120))
    axis.legend(frameon=False, loc="upper right")
    if note:
        axis.text(0.02, 0.04, note, transform=axis.transAxes, fontsize=8.5, color=INK)
    ticks = [t for t in axis.get_xticks() if 0 <= t <= end]
    table.set_ylim(rows - 0.5, -0.6)
    table.spines[["left", "bottom"]].set_visible(False)
    table.tick_params(left=False, bottom=False, pad=14)
    table.set_yticks(range(rows), [name_label(c.name) for c in curves])
    for row, (c, colour) in enumerate(zip(curves, PALETTE * 3, strict=False)):
        for tick, number in zip(ticks, c.number_at_risk(ticks), strict=True):
            table.text(tick, row, str(number), ha="center", va="center", fontsize=8.5, color=colour)
        table.get_yticklabels()[row].set_color(colour)
    table.set_title("number at risk", loc="left", fontsize=8.5, color=INK, pad=2)
    axis.tick_params(labelbottom=True)
    table.tick_params(labelbottom=False)
    axis.set_xlabel(unit)
    return figure


def draw_incidence(groups: Sequence[tuple[str, Any]], *, unit: str, title: str, note: str = "") -> Any:
    """Cumulative incidence with intervals; each group has time, incidence, low, high."""
    import numpy as np

    figure, axis = new_figure()
    for (name, g), colour, dash in zip(groups, PALETTE * 3, DASHES * 3, strict=False):
        x = np.concatenate(([0.0], g.time))
        y, low, high = (np.concatenate(([0.0], v)) for v in (g.incidence, g.low, g.high))
        axis.step(x, y, where="post", color=colour, linestyle=dash, label=name_label(name))
        axis.fill_between(x, low, high, step="post", color=colour, alpha=0.14, linewidth=0)
    axis.set(xlabel=unit, ylabel="cumulative incidence", ylim=(0, 1), title=name_label(title, 120))
    if note:
        axis.text(0.98, 0.96, note, transform=axis.transAxes, fontsize=8.5, color=INK, ha="right", va="top")
    axis.set_xlim(left=0)
    axis.legend(frameon=False, loc="upper left")
    return figure


def draw_dose_response(
    dose_gy: Sequence[float],
    response: Sequence[float],
    *,
    curve: Callable[[Any], tuple[Any, Any, Any]] | None,
    d50: tuple[float, float | None, float | None] | None,
    roc: tuple[Any, Any, str] | None,
    labels: tuple[str, str],
) -> Any:
    """Fitted curve with band over the lesions, observed shares by quarters, and the ROC beside it.

    Parameters
    ----------
    dose_gy, response : sequence of float
        The lesions.
    curve : callable or None
        Doses -> probability, low, high.
    d50 : tuple or None
        50 % dose and its interval, Gy.
    roc : tuple or None
        Sensitivity, specificity (from the largest threshold down), text.
    labels : tuple of str
        Names of dose and response.
    """
    import numpy as np

    figure, (left, right) = new_figure(10.0, 4.2, columns=2, width_ratios=(1.5, 1))
    dose, y = np.asarray(dose_gy), np.asarray(response)
    jitter = (np.arange(dose.size) % 5 - 2) * 0.008
    left.plot(dose, y + jitter, "o", color=INK, alpha=0.35, markersize=3.5, markeredgewidth=0)
    for part in np.array_split(np.argsort(dose, kind="stable"), 4):
        if part.size:
            left.plot(dose[part].mean(), y[part].mean(), "D", color=PALETTE[1], markersize=6, markeredgecolor="white")
    grid = np.linspace(max(dose.min(), 1e-6), dose.max(), 300)
    if curve is not None:
        p, low, high = curve(grid)
        left.plot(grid, p, color=PALETTE[0])
        left.fill_between(grid, low, high, color=PALETTE[0], alpha=0.16, linewidth=0)
    if d50 is not None and dose.min() <= d50[0] <= dose.max():
        left.plot([d50[0]], [0.5], "s", color=PALETTE[0], markersize=6)
        ends = [dose.min() if d50[1] is None else d50[1], dose.max() if d50[2] is None else d50[2]]
        left.hlines(0.5, max(ends[0], dose.min()), min(ends[1], dose.max()), color=PALETTE[0], linewidth=1.4)
        left.annotate(
            f"D50 {d50[0]:.0f} Gy", (d50[0], 0.5), xytext=(8, -12), textcoords="offset points", fontsize=9, color=INK
        )
    left.set(xlabel=name_label(labels[0]), ylabel=f"probability of {name_label(labels[1])}", ylim=(-0.05, 1.05))
    left.set_title("diamonds: observed share in quarters of the doses", fontsize=8.5, color=INK)
    right.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
    if roc is not None:
        sensitivity, specificity, text = roc
        right.step(
            np.concatenate(([0.0], 1 - specificity)),
            np.concatenate(([0.0], sensitivity)),
            where="post",
            color=PALETTE[0],
        )
        right.text(0.97, 0.05, text, ha="right", fontsize=9, color=INK)
    right.set(xlabel="1 − specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    return figure


def draw_waterfall(changes: Mapping[str, float], best: Mapping[str, str], title: str) -> Any:
    """Best relative change of every patient, largest growth first, coloured by best response."""
    colours = {"CR": PALETTE[2], "PR": PALETTE[0], "SD": FAINT, "PD": PALETTE[1], "NE": "#d5dade"}
    order = sorted(changes, key=lambda patient: -changes[patient])
    figure, axis = new_figure(max(4.5, 0.28 * len(order) + 2.0))
    axis.bar(range(len(order)), [100 * changes[p] for p in order], color=[colours[best.get(p, "NE")] for p in order])
    for name, colour in colours.items():
        if name in best.values():
            axis.bar([0], [0], color=colour, label=name)
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set(ylabel="best change, %", title=name_label(title, 120))
    axis.set_xticks(
        range(len(order)), [name_label(patient) for patient in order], rotation=90 if len(order) > 8 else 0, fontsize=8
    )
    axis.legend(frameon=False, ncols=5, fontsize=8)
    return figure


def draw_agreement(first: Sequence[float], second: Sequence[float], found: Any, *, labels: tuple[str, str]) -> Any:
    """Difference against mean, with bias, limits and intervals; `found` is a `BlandAltman`."""
    figure, axis = new_figure()
    labels = (name_label(labels[0]), name_label(labels[1]))
    axis.scatter(
        [(a + b) / 2 for a, b in zip(first, second, strict=True)],
        [b - a for a, b in zip(first, second, strict=True)],
        s=22,
        color=PALETTE[0],
        alpha=0.75,
        linewidths=0,
    )
    axis.axhline(0, color=FAINT, linewidth=0.8)
    for value, half, name, dash in (
        (found.bias, (found.bias_high - found.bias_low) / 2, "bias", "-"),
        (found.lower_limit, found.limit_error, "limits of agreement", "--"),
        (found.upper_limit, found.limit_error, None, "--"),
    ):
        axis.axhline(value, color=PALETTE[1], linestyle=dash, label=name)
        axis.axhspan(value - half, value + half, color=PALETTE[1], alpha=0.12, linewidth=0)
    axis.set(
        xlabel=f"mean of {labels[0]} and {labels[1]}", ylabel=f"{labels[1]} - {labels[0]}", title=f"{found.n} pairs"
    )
    axis.legend(frameon=False, fontsize=8)
    return figure


def draw_adaptive(options: Sequence[Any], tolerance_bed_gy: float, limit_gbq: float) -> Any:
    """Tumour dose and cumulative BED of the normal liver against activity (`outcome.adaptive.Option`s)."""
    import math

    figure, axis = new_figure()
    activity = [o.activity_gbq for o in options]
    axis.plot(activity, [o.tumour_dose_gy for o in options], color=PALETTE[0], label="tumour dose, this treatment")
    bed = [o.cumulative_normal_bed_gy for o in options]
    axis.plot(activity, bed, color=PALETTE[1], linestyle="--", label="normal liver, BED of all treatments")
    axis.axhline(tolerance_bed_gy, color=PALETTE[1], linewidth=0.8, label="tolerance (BED)")
    if math.isfinite(limit_gbq):
        axis.axvline(limit_gbq, color=INK, linewidth=0.8, linestyle=":", label="largest activity")
    axis.set(xlabel="activity, GBq", ylabel="Gy", title="Next treatment")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8)
    return figure


def draw_accuracy(
    counts: tuple[tuple[int, int], tuple[int, int]], shares: Sequence[tuple[str, Any]], *, labels: tuple[str, str]
) -> Any:
    """The two-by-two table, and every share with its exact interval.

    Parameters
    ----------
    counts : tuple of tuple of int
        ((true positive, false negative), (false positive, true negative)).
    shares : sequence of (str, Proportion)
        Name and share.
    labels : tuple of str
        Names of test and truth.
    """
    figure, (left, right) = new_figure(8.6, 3.2, columns=2, width_ratios=(1, 1.7))
    test, truth = map(name_label, labels)
    for row, cells in enumerate(counts):
        for column, count in enumerate(cells):
            colour = PALETTE[0] if row == column else PALETTE[1]
            left.add_patch(_cell(column, row, colour))
            left.text(column, row, str(count), ha="center", va="center", fontsize=15, color=INK)
    left.set(xlim=(-0.52, 1.52), ylim=(1.52, -0.52), aspect="equal")
    left.set_xticks([0, 1], ["positive", "negative"])
    left.set_yticks([0, 1], ["yes", "no"])
    left.set(xlabel=test, ylabel=truth)
    left.spines[["left", "bottom"]].set_visible(False)
    left.tick_params(length=0)
    known = [(name, p) for name, p in shares if p.value is not None]
    for row, (_, p) in enumerate(known):
        right.plot([100 * p.low, 100 * p.high], [row, row], color=PALETTE[0], linewidth=1.6)
        right.plot([100 * p.value], [row], "o", color=PALETTE[0], markersize=6)
        right.annotate(
            f"{p.k} of {p.n}",
            (100 * p.value, row),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=INK,
        )
    right.set_yticks(range(len(known)), [name for name, _ in known])
    right.set(xlim=(0, 103), ylim=(len(known) - 0.5, -0.7), xlabel="%, with exact 95 % interval")
    right.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
    return figure


def _cell(column: int, row: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=0.16, linewidth=0)
