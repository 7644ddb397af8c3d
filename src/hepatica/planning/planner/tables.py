"""Tables that prescriptions and plans show, and print."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.tables.table import Cell, Table
from hepatica.planning.limits.dose_limits import LimitCheck
from hepatica.planning.measured.deposits import deposits_table
from hepatica.planning.planner.best_activity import Optimum
from hepatica.planning.planner.course_plan import CoursePlan
from hepatica.planning.planner.methods import TerritoryPlan
from hepatica.planning.prescriptions.compartments import Doses

GBQ, GY = ".3f", ".1f"
"""How activities and mean doses are shown."""


def limits_table(limits: Sequence[LimitCheck]) -> Table:
    """How a plan stands to each limit, violated ones first."""
    rows = [
        (
            (f"{c.status} if {c.applies_if}" if c.applies_if else c.status) + (" (waived)" if c.waived else ""),
            f"{c.limit.text} ({c.where})" if c.where else c.limit.text,
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


def activity_table(course: CoursePlan) -> Table:
    """What is given to each territory, and in all."""
    rows: list[tuple[Cell, ...]] = []
    for t in course.territories:
        made = t.given.prescription
        rows.append(
            (t.name, t.given.carrier.name, t.chosen, made.planned_gbq, made.administered_gbq, made.constant.text)
        )
    if len(rows) > 1:
        rows.append(("all", "", "", course.planned_gbq, course.administered_gbq, ""))
    columns = ("territory", "agent", "method", "in the vial, GBq", "to the patient, GBq", "dose constant")
    return Table.of(columns, rows, "Activity", "activity", formats=("", "", "", GBQ, GBQ, ""))


def methods_table(territory: TerritoryPlan) -> Table:
    """All applicable methods for one territory; the chosen one is marked."""
    rows: list[tuple[Cell, ...]] = []
    for name, assessed in territory.methods.items():
        made, d = assessed.prescription, assessed.prescription.doses
        doses = (None,) * 4 if d is None else (d.perfused_gy, d.tumour_gy, d.normal_liver_gy, d.lung_gy)
        chosen = " (chosen)" if name == territory.chosen else ""
        rows.append((name + chosen, made.planned_gbq, made.administered_gbq, *doses, made.constant.text, made.source))
    columns = (
        "method", "vial, GBq", "patient, GBq", "perfused, Gy", "tumour, Gy", "normal, Gy", "lungs, Gy",
        "dose constant", "source",
    )  # fmt: skip
    title = f"Methods side by side: {territory.name}"
    stem = "methods-" + "".join(c if c.isalnum() else "-" for c in territory.name.lower())
    return Table.of(columns, rows, title, stem, formats=("", GBQ, GBQ, GY, GY, GY, GY, "", ""))


def course_doses_table(course: CoursePlan) -> Table:
    """Mean doses of all territories together."""
    d = course.doses
    rows: list[tuple[str, float | None]] = [*d.lesions_gy.items()]
    rows += [(f"normal liver in {name}", gy) for name, gy in d.perfused_normal_gy.items()]
    rows += [("normal liver, whole", d.normal_liver_gy), ("lungs", d.lung_gy)]
    if course.course.earlier:
        rows += [
            ("normal liver with earlier treatments", d.normal_liver_cumulative_gy),
            ("lungs with earlier treatments", d.lung_cumulative_gy),
        ]
    return Table.of(("", "Gy"), rows, "Mean absorbed doses, all territories together", "doses", formats=("", GY))


def compared_table(course: CoursePlan) -> Table:
    """Stated values beside those that the plan's files hold."""
    rows: list[tuple[Cell, ...]] = [
        (
            c.quantity.replace("_", " "), c.where, c.stated, c.measured, c.unit,
            "differs" if c.differs else "agrees", f"{c.used} ({c.reason})" if c.reason else c.used,
        )
        for c in course.compared
    ]  # fmt: skip
    columns = ("", "of", "stated", "measured", "unit", "", "used")
    title = "Stated and measured"
    return Table.of(columns, rows, title, "compared", formats=("", "", ".4g", ".4g", "", "", ""))


def lifetime_table(course: CoursePlan) -> Table:
    """This treatment and earlier ones told apart, each with its limit."""
    rows = [
        (d.organ, d.this_treatment_gy, d.treatment_limit_gy, d.earlier_gy, d.lifetime_gy, d.lifetime_limit_gy)
        for d in course.lifetime
    ]
    columns = ("", "this treatment, Gy", "its limit, Gy", "earlier, Gy", "together, Gy", "limit of a lifetime, Gy")
    return Table.of(columns, rows, "This treatment and earlier ones", "lifetime", formats=("", *[GY] * 5))


def assumptions_table(course: CoursePlan) -> Table:
    """What was not stated and had to be taken."""
    rows: list[tuple[Cell, ...]] = [(a.quantity, a.value, a.unit, a.source) for a in course.assumptions]
    return Table.of(("", "taken", "unit", "because"), rows, "Assumed", "assumptions", formats=("", ".4g", "", ""))


def further_tables(course: CoursePlan) -> tuple[Table, ...]:
    """What stands beside limits and doses, where there is any of it."""
    lifetime = (lifetime_table(course),) if course.course.earlier else ()
    found = (compared_table(course), *lifetime, deposits_table(course.deposits), assumptions_table(course))
    return tuple(table for table in found if table.rows)


def chances_table(planner: Optimum) -> Table:
    """The activity with the best chance, and what better knowledge would buy."""
    chances, lungs = planner.chances, planner.chances.probability_lung_exceeded
    rows = [
        *(
            (f"best activity, {name}", f"{gbq:.3f} GBq to the patient")
            for name, gbq in planner.administered_gbq.items()
        ),
        ("every tumour reaches its target", f"{chances.probability_tumour_reached:.0%}"),
        ("normal liver above its limit", f"{chances.probability_normal_liver_exceeded:.1%}"),
        ("lungs above their limit", "not known" if lungs is None else f"{lungs:.1%}"),
        ("what stops a higher activity", planner.binding_limit),
        *(
            (f"dose of {name}, 95 % interval", f"{interval.low:.0f} to {interval.high:.0f} Gy")
            for name, interval in planner.dose_interval_95_gy.items()
        ),
        *(
            (
                f"halving the uncertainty of {name.replace('_', ' ')}",
                f"changes the chance by {value.gain_in_probability:+.1%}",
            )
            for name, value in planner.value_of_halving.items()
        ),
    ]
    return Table.of(("", ""), rows, "The activity with the best chance", "chances")
