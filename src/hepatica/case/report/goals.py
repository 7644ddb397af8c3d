"""Goals and limits of the first page, as dose and plan judged them; those of a lifetime by all treatments together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from hepatica.case.report.course import CourseStep
from hepatica.case.steps.shown import at
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.planning.measured.judged_by_plan import asked_by_plan
from hepatica.report.dose_report import LimitRow

LIFETIME = "cumulative"
"""How the condition of a limit begins that holds for all treatments together."""


GRAVITY = ("violated", "open", "unjudged", "near", "met")
"""Status of a goal, the gravest first."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal or limit of the agent that applies to this indication and intent.

    Attributes
    ----------
    comparison : {">=", "<="}
        A goal to reach, or a limit to keep.
    limit_gy : float
        Its dose.
    status : {"met", "near", "open", "violated", "unjudged"}
        As the step judged it; of a lifetime, by the sum of all treatments.
    condition, source : str
        For whom it holds, and where it comes from.
    judged_gy : float or None
        What was judged, where that is not the mean of the structure: a sum over treatments, the least of several.
    not_judged : str
        Why it could not be judged; empty where it was.
    is_published : bool
        False of what the plan states itself.
    low_gy, high_gy : float or None
        95 % interval by which it was judged, where there is one.
    qualifier : str
        What is said beside a limit that is kept: a part in view alone, noise that is not known.
    """

    comparison: str
    limit_gy: float
    status: str
    condition: str
    source: str
    judged_gy: float | None = None
    not_judged: str = ""
    is_published: bool = True
    low_gy: float | None = None
    high_gy: float | None = None
    qualifier: str = ""

    @property
    def gravity(self) -> tuple[int, bool]:
        """What sorts goals, the gravest first: an exceeded limit is harm, and stands before a goal that is missed."""
        return GRAVITY.index(self.status) if self.status in GRAVITY else len(GRAVITY), self.comparison == ">="

    @property
    def stays(self) -> bool:
        """Whether it is never left out for want of room: a limit that was passed, an aim that a person stated."""
        is_aim = self.comparison == ">=" and not self.is_published
        return is_aim or (self.comparison == "<=" and self.status == "violated")


def lungs_before(earlier: Sequence[Mapping[str, CourseStep]], plan: Mapping[str, Any]) -> tuple[float, str]:
    """Lung dose of the treatments before, Gy, and of which of them it is not known; empty where of none.

    What a plan states of treatments before the case counts as well.
    """
    doses = [at(_document(steps, "dose"), "lung_doses.dose_judged_gy") for steps in earlier]
    unknown = [str(number) for number, dose in enumerate(doses, 1) if dose is None]
    before_case = _stated_before(_document(earlier[0], "plan") if earlier else plan)
    measured = sum(dose for dose in doses if dose is not None) + before_case
    lacking = f"the lung dose of treatment {', '.join(unknown)} is not known" if unknown else ""
    return max(measured, _stated_before(plan)), lacking


def _stated_before(plan: Mapping[str, Any]) -> float:
    rows = [row for row in plan.get("lifetime") or () if row.get("organ") == "lungs"]
    return float(rows[0].get("earlier_gy") or 0.0) if rows else 0.0


def left_by_earlier(earlier: Sequence[Mapping[str, CourseStep]]) -> Mapping[str, Any]:
    """What the treatment before left for this one, for plans; empty where nobody worked it out."""
    return at(_document(earlier[-1], "next"), "for_plan") or {} if earlier else {}


def _document(steps: Mapping[str, CourseStep], kind: str) -> Mapping[str, Any]:
    return steps[kind].document if kind in steps else {}


def goals_of_dose(
    dose: Mapping[str, Any], lungs: tuple[float, str], left: Mapping[str, Any], plan: Mapping[str, Any]
) -> Mapping[str, tuple[Goal, ...]]:
    """Those that apply and were judged, by the name of the structure.

    Parameters
    ----------
    dose : mapping
        Result of the absorbed dose.
    lungs : tuple of (float, str)
        Lung dose of the treatments before in Gy, and what is not known of it.
    left : mapping
        What the treatment before left.
    plan : mapping
        Result of the plan: its aims and limits; empty where there is none.
    """
    found: dict[str, tuple[Goal, ...]] = {}
    for row in dose.get("limits", ()):
        if row["applies"] and not row["not_judged"] and row.get("limit_id") not in plan.get("limits_ruled_out", ()):
            goal = Goal(
                row["comparison"], row["limit_gy"], row["status"], row["condition"], row["source"],
                low_gy=row.get("low_gy"), high_gy=row.get("high_gy"), qualifier=row.get("qualifier", ""),
            )  # fmt: skip
            if row["condition"].startswith(LIFETIME) and (lungs[0] or lungs[1]):
                goal = _of_lifetime(row, lungs)
            found[row["structure"]] = (*found.get(row["structure"], ()), goal)
    role = "normal_liver" if left.get("territory") is None else "perfused_normal"
    normal = [one for one in dose.get("structures", ()) if one["role"] == role]
    if left and len(normal) == 1 and normal[0].get("seen_share", 1.0) >= SEEN_WHOLE:
        name, gray = normal[0]["name"], normal[0]["dose_mean_gy"]
        low, high = normal[0].get("dose_mean_interval_95_gy") or (None, None)
        status = LimitRow(name, "<=", left["normal_gy"], gray, low_gy=low, high_gy=high).status
        tolerance = f"of {left['tolerance_bed_gy']:g} Gy BED {left['delivered_bed_gy']:.4g} Gy were used"
        goal = Goal(
            "<=", left["normal_gy"], status, f"left by earlier treatments ({tolerance})", "next treatment",
            low_gy=low, high_gy=high, qualifier=normal[0].get("qualifier", ""),
        )  # fmt: skip
        found[name] = (*found.get(name, ()), goal)
    for one in asked_by_plan(plan, dose):
        there = found.get(one.structure, ())
        if not any(goal.comparison == one.comparison and isclose(goal.limit_gy, one.limit_gy) for goal in there):
            low, high = one.interval_total_gy or (None, None)
            status = LimitRow(
                one.structure, one.comparison, one.limit_gy, one.total_gy, low_gy=low, high_gy=high
            ).status
            goal = Goal(
                one.comparison, one.limit_gy, status, one.condition, one.source, one.total_gy, is_published=False,
                low_gy=low, high_gy=high, qualifier=_qualifier(one.structure, dose),
            )  # fmt: skip
            found[one.structure] = (*there, goal)
    return found


def _qualifier(name: str, dose: Mapping[str, Any]) -> str:
    """What is said beside a limit that a structure keeps."""
    return next((str(row.get("qualifier", "")) for row in dose.get("structures", ()) if row["name"] == name), "")


def _of_lifetime(row: Mapping[str, Any], lungs: tuple[float, str]) -> Goal:
    """A limit of all treatments together, judged by their sum; what is above it without the unknown is above it."""
    before, lacking = lungs
    total = before + row["dose_mean_gy"]
    low, high = (None if row.get(end) is None else before + row[end] for end in ("low_gy", "high_gy"))
    status = LimitRow(row["structure"], row["comparison"], row["limit_gy"], total, low_gy=low, high_gy=high).status
    not_judged = lacking if status != "violated" else ""
    condition = f"{row['condition']}, with {before:.3g} Gy of earlier treatments {total:.3g} Gy"
    return Goal(
        row["comparison"], row["limit_gy"], "unjudged" if not_judged else status, condition, row["source"], total,
        not_judged, low_gy=low, high_gy=high, qualifier=row.get("qualifier", ""),
    )  # fmt: skip


OF_PLAN = {
    "tumour_gy": "tumours",
    "normal_liver_gy": "normal liver",
    "lung_gy": "lungs",
    "lung_cumulative_gy": "lungs",
}
"""Quantity of a limit of a plan -> the structure of the first page."""


def goals_of_plan(plan: Mapping[str, Any]) -> Mapping[str, tuple[Goal, ...]]:
    """Limits in Gy by which a plan was judged, by the name of the structure; violated ones first, as the plan has them.

    A limit that may apply says what would decide it.
    """
    names = [territory["name"] for territory in plan.get("territories") or ()]
    found: dict[str, tuple[Goal, ...]] = {}
    for row in plan.get("limits") or ():
        where = row["where"] or (names[0] if len(names) == 1 else "")
        of_territory = {"perfused_gy": where, "perfused_normal_gy": f"normal liver in {where}"}
        name = OF_PLAN.get(row["quantity"]) or (of_territory.get(row["quantity"]) if where else None)
        if name is None:
            continue
        words = [row["text"]]
        if row["quantity"] == "tumour_gy" or row["earlier"] is not None or (row["where"] and row["where"] not in names):
            words.append("not known" if row["value"] is None else f"{row['value']:.3g} Gy")
        words += [f"if {row['applies_if']}"] if row["applies_if"] else []
        words += [f"waived: {row['waived']}"] if row["waived"] else []
        sign = ">=" if row["bound"] == "min" else "<="
        unknown = row["status"] == "not evaluated"
        goal = Goal(
            sign, row["limit"], "unjudged" if unknown else row["status"], "; ".join(words), row["source"], row["value"],
            "not evaluated: the lung shunt is not known" if unknown else "",
        )  # fmt: skip
        found[name] = (*found.get(name, ()), goal)
    return found
