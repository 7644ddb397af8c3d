"""Figures of planning: plain values in, a matplotlib Figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hepatica.report.figures.outcome import FAINT, INK, PALETTE, new_figure

PANELS = (
    ("activity_administered_gbq", "administered activity, GBq"),
    ("spheres_per_ml", "spheres per mL of perfused liver"),
    ("initial_dose_rate_gy_h", "dose rate at the start, Gy/h"),
    ("hours_to_90_percent", "hours to 90 % of the dose"),
    ("bed_normal_liver_gy", "BED of normal liver, Gy"),
    ("dose_rate_1m_usv_h", "dose rate at 1 m, µSv/h"),
)


def draw_comparison(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Bars of each agent for what sets agents apart, one panel each; a missing value says so.

    Parameters
    ----------
    rows : sequence of mapping
        One per agent, with "agent" and the keys of `PANELS`; None where not known.
    """
    names = [row["agent"] for row in rows]
    figure, axes = new_figure(10.0, 1.6 + 0.34 * 2 * len(rows), rows=2, columns=3, sharey=True)
    for axis, (key, label) in zip(axes.ravel(), PANELS, strict=True):
        values = [row[key] for row in rows]
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
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_title(label, loc="left", fontsize=10, color=INK)
        if wide:
            axis.set_xscale("log")
            axis.set_xlim(min(known) / 3, max(known) * 6)
        else:
            axis.set_xlim(0, max(known, default=1.0) * 1.22)
        axis.tick_params(axis="x", labelsize=7)
    return figure
