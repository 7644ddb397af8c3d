"""What a watched injection's setup says against the plan of the case's treatment."""

from __future__ import annotations

from hepatica.case.case import Case
from hepatica.case.layout import folder_name
from hepatica.core.message import Message
from hepatica.errors import HepaticaError
from hepatica.monitoring.prepared import Prepared
from hepatica.nuclides import is_same_agent
from hepatica.planning.measured.treatment_results import planned_treatments
from hepatica.workflow.monitoring.planned import plan_limits

GIVEN_RELATIVE = 0.20
"""By which another activity than planned is said above everything, as on the first page of the report."""

LIMIT_RELATIVE = 0.02
"""By which a limit may be larger than that of the plan: rounding."""

NAMES = {"lungs": "lungs", "target": "target"}


def unlike_plan(case: Case, treatment: int, prepared: Prepared) -> tuple[Message, ...]:
    """What is said where a setup of the treatment's agent is not of its plan; empty where it is, or there is no plan.

    Parameters
    ----------
    case : Case
        With its plan, which may be out of date.
    treatment : int
        From 1.
    prepared : Prepared
        The setup.
    """
    step, situation = folder_name("plan", treatment), case.situation()
    agent = str(situation.facts.treatments[treatment - 1].get("agent") or "")
    if step not in situation.records or not agent or not is_same_agent(prepared.agent or agent, agent):
        return ()
    try:
        plans = planned_treatments(case[step])
    except HepaticaError as error:
        return (Message("plan-not-compared", f"the setup is not held against the plan: {error}"),)
    if any(one.nuclide != prepared.nuclide for one in plans.values()):
        return ()
    setup = prepared.setup
    wanted = [one.planned_gbq for one in plans.values()]
    # One injection of several, or all in one.
    nearest = min((*wanted, sum(wanted)), key=lambda gbq: abs(setup.planned_bq / 1e9 - gbq))
    out = []
    change = setup.planned_bq / 1e9 / nearest - 1
    if abs(change) >= GIVEN_RELATIVE:
        text = (
            f"{100 * change:+.0f} % activity in the vial against the plan of treatment {treatment} "
            f"({setup.planned_bq / 1e9:.3g} for {nearest:.3g} GBq)"
        )
        out.append(Message("unlike-planned", text, "check the vial and the setup before anything is given", "critical"))
    if len(plans) == 1:
        found = plan_limits(case[step], next(iter(plans.values())))
        out += [message for role, limit_bq in found.items() if (message := _about_limit(prepared, role, limit_bq))]
    return tuple(out)


def _about_limit(prepared: Prepared, role: str, limit_bq: float) -> Message | None:
    """What is said of a limit of the plan that the setup has not, or has larger."""
    setup = prepared.setup
    names = [name for name, of in zip(setup.regions, setup.roles, strict=True) if of == role]
    if not names:
        return None
    watched = [setup.limits_bq[name] for name in names if name in setup.limits_bq]
    least = f"the plan leaves the {NAMES[role]} {limit_bq / 1e6:.4g} MBq"
    if len(watched) < len(names):
        return Message("limit-not-watched", f"{least}, and the setup has no limit of it: nobody watches it",
                       "make the setup from the plan")  # fmt: skip
    if sum(watched) > (1 + LIMIT_RELATIVE) * limit_bq:
        return Message("unlike-planned-limit", f"{least}, the setup allows {sum(watched) / 1e6:.4g} MBq",
                       "make the setup from the plan", severity="critical")  # fmt: skip
    return None
