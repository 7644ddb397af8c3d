"""Figures of planning: plain values in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hepatica.report.figures.outcome import DASHES, FAINT, INK, PALETTE, new_figure
from hepatica.report.figures.palette import name_label

CHANCE_COLOURS = ("#1a7f37", "#b3261e", "#1f5fbf")

CHANCES = ("tumour target reached", "normal liver above its limit", "lungs above their limit")


def draw_trade_off(activities_gbq: Sequence[float], chances: Sequence[Sequence[float]], best_gbq: float) -> Any:
    """Chances against the total activity, one curve for each of `CHANCES`; the best activity is marked."""
    from matplotlib.ticker import PercentFormatter

    figure, axis = new_figure(7.6, 3.4)
    for n, (label, values) in enumerate(zip(CHANCES, chances, strict=True)):
        axis.plot(activities_gbq, values, color=CHANCE_COLOURS[n], linestyle=DASHES[n], linewidth=1.8, label=label)
    axis.axvline(best_gbq, color=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    axis.set_xlim(0, max(activities_gbq))
    axis.set_ylim(-0.01, 1.01)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlabel("administered activity, GBq")
    axis.grid(visible=True, axis="y", color="#d8dee4", linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def draw_comparison(names: Sequence[str], panels: Mapping[str, Sequence[float | None]]) -> Any:
    """Bars of each agent for what sets agents apart; a missing value says so.

    Parameters
    ----------
    names : sequence of str
        Agents.
    panels : mapping of str to sequence of float or None
        Heading of each of six panels, and one value for each agent.
    """
    figure, axes = new_figure(10.0, 1.6 + 0.34 * 2 * len(names), rows=2, columns=3, sharey=True)
    for axis, (label, values) in zip(axes.ravel(), panels.items(), strict=True):
        known = [v for v in values if v is not None]
        wide = bool(known) and max(known) > 50 * max(min(known), 1e-12)
        for n, value in enumerate(values):
            if value is None:
                axis.text(
                    0.02, n, "not known", va="center", fontsize=8, color=FAINT, transform=axis.get_yaxis_transform()
                )
                continue
            axis.barh(n, value, color=PALETTE[n % len(PALETTE)], height=0.62)
            axis.text(value, n, f" {value:.3g}", va="center", fontsize=8, color=INK)
        axis.set_yticks(range(len(names)), [name_label(name) for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_title(label, loc="left", fontsize=10, color=INK)
        if wide:
            axis.set_xscale("log")
            axis.set_xlim(min(known) / 3, max(known) * 6)
        else:
            axis.set_xlim(0, max(known, default=1.0) * 1.22)
        axis.tick_params(axis="x", labelsize=7)
    return figure
