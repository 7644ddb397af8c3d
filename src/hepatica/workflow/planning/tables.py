"""Tables that prescriptions and plans share."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.table import Table
from hepatica.planning.limits.dose_limits import LimitCheck
from hepatica.planning.prescriptions.compartments import Doses

GBQ, GY = ".3f", ".1f"
"""How activities and mean doses are shown."""


def limits_table(limits: Sequence[LimitCheck]) -> Table:
    """How a plan stands to each limit, violated ones first."""
    rows = [
        (
            f"{c.status} if {c.applies_if}" if c.applies_if else c.status,
            c.limit.text,
            f"{'≤' if c.limit.bound == 'max' else '≥'} {c.limit.limit:.4g}",
            c.value,
            c.limit.source,
        )
        for c in limits
    ]
    columns = ("status", "limit or target", "Gy, GBq or fraction", "plan", "source")
    return Table.of(columns, rows, "Limits and targets", "limits", formats=("", "", "", ".3g", ""))


def doses_table(doses: Doses | None) -> Table:
    """Mean doses of one prescription; no rows where it predicts none."""
    rows: list[tuple[str, float]] = []
    if doses is not None:
        named = {
            "perfused": doses.perfused_gy,
            "tumour": doses.tumour_gy,
            "normal liver": doses.normal_liver_gy,
            "lungs": doses.lung_gy,
        }
        rows = [(name, value) for name, value in named.items() if value is not None]
        if len(doses.lesions_gy) > 1:
            rows += list(doses.lesions_gy.items())
    return Table.of(("", "Gy"), rows, "Mean absorbed doses", "doses", formats=("", GY))
