"""Figures of a SPECT: plain values in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hepatica.core.tables.table import Cell, Table
from hepatica.report.figures.outcome import INK, PALETTE, new_figure

PARTS = (
    ("primary_cps", "through a hole, not scattered"),
    ("scattered_cps", "through a hole, scattered in the patient"),
    ("penetration_cps", "by way of lead, not scattered"),
    ("scattered_penetration_cps", "by way of lead, scattered"),
)


def draw_energy_spectrum(spectrum: Table, windows_kev: Sequence[tuple[float, float]]) -> Any:
    """Pulse heights of a scan, by where the photons have been, stacked; the energy windows shaded.

    Parameters
    ----------
    spectrum : Table
        A row per bin, with columns "low_kev", "high_kev" and the keys of `PARTS`; the open last bin is left out.
    windows_kev : sequence of tuple
        Limits of the acquired windows.
    """
    figure, axis = new_figure(7.5, 4.2)
    columns = dict(zip(spectrum.columns, zip(*spectrum.rows[:-1], strict=True), strict=True))
    lows, highs = _numbers(columns["low_kev"]), _numbers(columns["high_kev"])
    edges = [*lows, highs[-1]]
    below = [0.0] * len(lows)
    for colour, (key, label) in zip(PALETTE, PARTS, strict=False):
        rates = zip(_numbers(columns[key]), lows, highs, strict=True)
        height = [cps / (high - low) for cps, low, high in rates]
        if not any(height):
            continue
        top = [a + b for a, b in zip(below, height, strict=True)]
        axis.stairs(top, edges, baseline=below, fill=True, color=colour, label=label, linewidth=0)
        below = top
    for low, high in windows_kev:
        axis.axvspan(low, high, color=INK, alpha=0.08, linewidth=0)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("pulse height, keV")
    axis.set_ylabel("counts per second and keV, one head")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _numbers(cells: Sequence[Cell]) -> list[float]:
    return [float(cell) for cell in cells if isinstance(cell, float)]
