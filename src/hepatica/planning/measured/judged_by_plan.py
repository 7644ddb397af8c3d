"""What a plan adds to the goals and limits that a delivered dose is held against.

The aim that a person stated, limits of the plan itself, what earlier treatments left, and what they gave to organs
whose limit is of all treatments together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hepatica.errors import InputError
from hepatica.planning.limits.dose_limits import SEEN_WHOLE
from hepatica.planning.measured.earlier_results import result_file
from hepatica.planning.measured.judged_doses import LIFETIME, JudgedDose, JudgedTreatment, judged, judged_treatment

AIM = "aim of the plan"
"""How the condition of an aim that a person stated begins."""

AIMS = {"dose_gy": ("perfused",), "tumour_dose_gy": ("all_tumours", "tumour")}
"""Term of the chosen method -> roles of the structure that it aims at, in order of preference."""

OWN = ("plan-", "remaining-")
"""How the names of limits begin that are no publication's: the plan's own, and what earlier treatments left."""

ROLES = {
    "lung_gy": "lung",
    "lung_cumulative_gy": "lung",
    "normal_liver_gy": "normal_liver",
    "normal_liver_cumulative_gy": "normal_liver",
    "perfused_normal_gy": "perfused_normal",
}
"""Quantity of a limit of a plan -> role of the structure."""

ORGANS = {"lung": "lungs", "normal_liver": "normal liver"}
"""Role -> organ of the plan's table of a lifetime."""


def judged_with_plan(dose: Path, plan: Path | None) -> JudgedTreatment:
    """A treatment by its result of `absorbed_dose`, with what the result of `plan` adds.

    Raises
    ------
    InputError
        If one of them is no such result.
    """
    treatment = judged_treatment(dose)
    if plan is None:
        return treatment
    asked = result_file(plan, "plan")
    try:
        return replace(treatment, doses=with_plan(treatment.doses, asked, result_file(dose, "absorbed_dose")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{plan}: no limits of a plan in it ({error!r})") from error


def with_plan(
    doses: tuple[JudgedDose, ...], plan: Mapping[str, Any], dose: Mapping[str, Any]
) -> tuple[JudgedDose, ...]:
    """Doses beside what applies by publication, with what earlier treatments gave; then what the plan itself asks.

    A limit that the plan found not to hold for this patient, by what it knows of the liver, is left out.
    """
    earlier = {row["organ"]: float(row["earlier_gy"]) for row in plan.get("lifetime") or ()}
    held = [one for one in doses if not one.limit_id or one.limit_id not in plan.get("limits_ruled_out", ())]
    summed = tuple(
        replace(one, earlier_gy=earlier.get(ORGANS.get(one.role, ""))) if one.is_lifetime else one for one in held
    )
    there = {(one.structure, one.comparison, one.limit_gy, one.is_lifetime) for one in summed}
    own = [*asked_by_plan(plan, dose)]
    return (*summed, *(o for o in own if (o.structure, o.comparison, o.limit_gy, o.is_lifetime) not in there))


def asked_by_plan(plan: Mapping[str, Any], dose: Mapping[str, Any]) -> Iterator[JudgedDose]:
    """The aims that a person stated and the limits that are no publication's, beside the delivered dose.

    One that no structure of the dose, or several, would answer is left out.
    """
    territories = list(plan.get("territories") or ())
    if len(territories) == 1:
        terms = territories[0]["methods"][territories[0]["chosen"]].get("terms") or {}
        for term, roles in AIMS.items():
            name = next((found for role in roles if (found := _only(dose, role))), "")
            if name and terms.get(term) is not None:
                row = {"comparison": ">=", "limit_gy": terms[term], "condition": AIM, "source": "the plan"}
                yield replace(_beside(name, row, dose), is_aim=True)
    earlier = {row["organ"]: float(row["earlier_gy"]) for row in plan.get("lifetime") or ()}
    for limit in plan.get("limits") or ():
        role = ROLES.get(limit["quantity"])
        is_own = str(limit["id"]).startswith(OWN) and limit["bound"] == "max" and not limit.get("waived")
        if role is None or not is_own or not (name := _only(dose, role)):
            continue
        lifetime = limit.get("period") == "lifetime"
        said = f"{LIFETIME}: {limit['text']}" if lifetime else str(limit["text"])
        row = {"comparison": "<=", "limit_gy": limit["limit"], "condition": said, "source": limit["source"]}
        yield replace(_beside(name, row, dose), earlier_gy=earlier.get(ORGANS[role]) if lifetime else None)


def _only(dose: Mapping[str, Any], role: str) -> str:
    """Name of the one structure of a role, of lungs of those that are judged; empty where there is none or several.

    One that the image does not see whole is not judged.
    """
    if role == "lung":
        lungs = dose.get("lung_doses") or {}
        by_image = str((lungs.get("by_image") or {}).get("structure") or "")
        return {"shunt": BY_SHUNT, "image": by_image}.get(str(lungs.get("judged")), "")
    rows = [row for row in dose["structures"] if row["role"] == role]
    whole = len(rows) == 1 and rows[0].get("seen_share", 1.0) >= SEEN_WHOLE
    return str(rows[0]["name"]) if whole else ""


BY_SHUNT = "lungs by the shunt"
"""Name of the lungs where the dose by the shunt is judged."""


def _beside(name: str, row: Mapping[str, Any], dose: Mapping[str, Any]) -> JudgedDose:
    structure = next((one for one in dose["structures"] if one["name"] == name), None)
    mean = (dose["lung_doses"] or {})["dose_judged_gy"] if structure is None else structure["dose_mean_gy"]
    return judged({"structure": name, "dose_mean_gy": mean, **row}, structure, dose)
