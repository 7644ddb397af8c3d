"""What a plan allows an injection: activities at which its organs have the doses that its limits leave them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hepatica.planning.measured.earlier_results import result_file
from hepatica.planning.measured.treatment_results import PlannedTreatment

BY_SHUNT = ("lung_gy", "lung_cumulative_gy")

BY_LIVER = ("perfused_normal_gy", "normal_liver_gy", "normal_liver_cumulative_gy")
"""Doses of the plan that are in proportion to the activity in lungs or target; of a cumulative one what earlier
treatments gave is taken off."""


def plan_limits(plan: Path, held: PlannedTreatment, territory: str | None = None) -> dict[str, float]:
    """Largest activity of lungs and target, Bq, by role; what the plan has no limit for is left out.

    A dose of the plan is in proportion to the activity in the organ, as long as tumours and normal liver share it as
    planned: the activity planned there, times limit over planned dose, each less what earlier treatments gave, is the
    largest. Of several limits of an organ the smallest counts; a waived one, and one that is a goal, does not.

    Parameters
    ----------
    plan : Path
        Result of the plan.
    held : PlannedTreatment
        The injection of it.
    territory : str, optional
        Which it is, where the plan has several: limits of the liver are then those of this territory alone.
    """
    document = result_file(plan, "plan", "prescribe")
    administered_bq, shunt = held.administered_gbq * 1e9, held.lung_shunt or 0.0
    several = len(document.get("territories") or ()) > 1
    found: dict[str, list[float]] = {"lungs": [], "target": []}
    for row in document.get("limits") or ():
        if row.get("bound") != "max" or row.get("weight", "limit") != "limit" or row.get("waived"):
            continue
        quantity, where = row.get("quantity"), row.get("where") or ""
        if quantity == "lung_activity_gbq" and row.get("limit"):
            found["lungs"].append(1e9 * float(row["limit"]))
        elif quantity in BY_SHUNT and shunt and (times := _left(row)) is not None:
            found["lungs"].append(administered_bq * shunt * times)
        elif quantity in BY_LIVER and (times := _left(row)) is not None and (where == territory if several else True):
            found["target"].append(administered_bq * (1 - shunt) * times)
    for row in document.get("lifetime") or ():
        gray, most = row.get("this_treatment_gy"), row.get("treatment_limit_gy")
        if row.get("organ") == "lungs" and gray and most and shunt:
            found["lungs"].append(float(administered_bq * shunt * most / gray))
    return {role: min(values) for role, values in found.items() if values}


def _left(row: Mapping[str, Any]) -> float | None:
    """What may be given over what is planned to be; None where the plan does not say, or nothing is left."""
    value, limit, earlier = row.get("value"), row.get("limit"), row.get("earlier") or 0.0
    if value is None or limit is None or not value > earlier:
        return None
    return max(float((limit - earlier) / (value - earlier)), LEAST)


LEAST = 1e-3
"""Of what is planned, where earlier treatments left nothing: a limit is positive."""
