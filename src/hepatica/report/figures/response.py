"""Figures of response and liver function: plain values in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from hepatica.report.figures.outcome import DASHES, FAINT, INK, PALETTE, new_figure
from hepatica.report.figures.palette import name_label

CATEGORY = {"CR": PALETTE[2], "PR": PALETTE[0], "SD": FAINT, "PD": PALETTE[1], "NE": "#d5dade", "": PALETTE[4]}
MAX_NAMED = 10
"""Patients that get a colour and a name of their own; more are drawn in one colour."""


def draw_segmented(rows: Sequence[tuple[str, float, float, str]]) -> Any:
    """Volume of every structure before and after, and its change.

    Parameters
    ----------
    rows : sequence of (name, volume before in mL, volume after in mL, response)
        One per lesion; an empty response for what is none.
    """
    figure, axis = new_figure(6.8, 1.4 + 0.5 * len(rows))
    most = max(max(before, after) for _, before, after, _ in rows)
    for n, (_, before, after, response) in enumerate(rows):
        colour = CATEGORY[response]
        axis.barh(n - 0.17, before, height=0.3, color=FAINT, alpha=0.45)
        axis.barh(n + 0.17, after, height=0.3, color=colour)
        text = f"{100 * (after / before - 1):+.0f} %" + (f"  {response}" if response else "")
        axis.text(max(before, after) + 0.015 * most, n, text, va="center", fontsize=9, color=INK)
    axis.set_yticks(range(len(rows)), [name_label(name) for name, *_ in rows])
    axis.set(xlabel="volume, mL", xlim=(0, 1.22 * most), ylim=(len(rows) - 0.45, -0.55))
    axis.set_title("grey: before; colour: after, by response", fontsize=8.5, color=INK, loc="left")
    return figure


def draw_retention(rows: Sequence[tuple[str, float]]) -> Any:
    """Share of every tumour that holds lipiodol, with the limits of the grades."""
    figure, axis = new_figure(6.4, 1.3 + 0.4 * len(rows))
    axis.barh(range(len(rows)), [100 * share for _, share in rows], height=0.55, color=PALETTE[0])
    for limit, name in ((10, "low"), (25, "moderate"), (50, "high")):
        axis.axvline(limit, color=FAINT, linewidth=0.8, linestyle=":")
        axis.text(limit + 0.8, -0.62, name, fontsize=8, color=INK)
    axis.set_yticks(range(len(rows)), [name_label(name) for name, _ in rows])
    axis.set(xlabel="tumour with lipiodol, % of its volume", xlim=(0, 100), ylim=(len(rows) - 0.45, -0.8))
    return figure


def draw_remnant(rows: Sequence[tuple[str, float, float, float]]) -> Any:
    """Share of the future remnant in the functional liver over days; rows of (patient, days, before, after)."""
    figure, axis = new_figure(6.4, 4.0)
    for (patient, points), colour, dash in zip(
        _by_patient(rows).items(), _endless(PALETTE), _endless(DASHES), strict=False
    ):
        days = [0.0, *(p[1] for p in points)]
        values = [100 * points[0][2], *(100 * p[3] for p in points)]
        axis.plot(days, values, color=colour, linestyle=dash, marker="o", markersize=4, label=name_label(patient))
    axis.set(xlabel="days since the baseline", ylabel="future remnant, % of liver without tumour")
    axis.set_ylim(0, 118 * max(row[3] for row in rows))
    if len(_by_patient(rows)) <= MAX_NAMED:
        axis.legend(frameon=False, fontsize=8, loc="upper left", ncols=5)
    return figure


def draw_liver_function(rows: Sequence[tuple[str, date, float, float, bool]]) -> Any:
    """ALBI and bilirubin of every patient over the days since the first sample.

    Parameters
    ----------
    rows : sequence of (patient, date, ALBI, bilirubin in mg/dL, whether REILD is suspected)
        Sorted by patient and date.
    """
    figure, (top, bottom) = new_figure(7.0, 5.6, rows=2, sharex=True)
    patients = _by_patient(rows)
    named = len(patients) <= MAX_NAMED
    for (patient, points), colour, dash in zip(patients.items(), _endless(PALETTE), _endless(DASHES), strict=False):
        start = points[0][1]
        days = [(p[1] - start).days for p in points]
        line = {
            "color": colour if named else PALETTE[0],
            "linestyle": dash if named else "-",
            "alpha": 1.0 if named else 0.4,
            "marker": "o",
            "markersize": 4,
        }
        top.plot(days, [p[2] for p in points], label=name_label(patient), **line)
        bottom.plot(days, [p[3] for p in points], **line)
        for day, point in zip(days, points, strict=True):
            if point[4]:
                bottom.plot([day], [point[3]], "o", markersize=11, fillstyle="none", color=PALETTE[1])
    for level, name in ((-2.60, "grade 1"), (-1.39, "grade 2")):
        top.axhline(level, color=FAINT, linewidth=0.8, linestyle=":")
        top.text(
            1.0,
            level,
            f" {name} below",
            transform=top.get_yaxis_transform(),
            fontsize=7.5,
            color=INK,
            va="top",
            ha="right",
        )
    bottom.axhline(3, color=FAINT, linewidth=0.8, linestyle=":")
    bottom.text(
        1.0,
        3,
        "3 mg/dL: with ascites, REILD",
        transform=bottom.get_yaxis_transform(),
        fontsize=7.5,
        color=INK,
        va="bottom",
        ha="right",
    )
    if any(p[4] for p in rows):
        bottom.plot(
            [], [], "o", markersize=9, fillstyle="none", color=PALETTE[1], linestyle="", label="REILD suspected"
        )
        bottom.legend(frameon=False, fontsize=8, loc="upper left")
    top.set(ylabel="ALBI")
    bottom.set(xlabel="days since the first sample", ylabel="bilirubin, mg/dL")
    bottom.set_ylim(bottom=0)
    if named and len(patients) > 1:
        top.legend(frameon=False, fontsize=8, loc="upper left")
    elif len(patients) == 1:
        top.set_title(name_label(next(iter(patients))))
    return figure


def _by_patient(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found


def _endless(values: Sequence[Any]) -> list[Any]:
    return list(values) * 50
