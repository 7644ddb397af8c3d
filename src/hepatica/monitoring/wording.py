"""Why an alarm was raised, in a sentence."""

from __future__ import annotations

from hepatica.monitoring.state import RegionState


def reason(kind: str, region: str, statistic: float, regions: tuple[RegionState, ...]) -> str:
    """What was seen."""
    held = {one.name: one for one in regions}
    targets = [one for one in regions if one.role == "target"]
    far = f"{statistic:.1f} standard deviations"
    if kind == "target-reached":
        total = sum(one.delivered_bq for one in targets)
        return f"the target holds {_mbq(total)}, {far} above the goal"
    if kind == "limit-in-sight":
        one = held[region]
        return f"{region} gets {_share(one)} of what arrives; at completion it would be over its limit by {far}"
    if kind == "off-target":
        one = held[region]
        held_now = f"{_mbq(one.delivered_bq)} ({_share(one)} of the activity)"
        return f"{region} holds {held_now}, {far} above cross-talk and background"
    if kind == "outside":
        lies = sum(one.delivered_bq for one in regions if one.role == "outside")
        part = 100 * lies / max(held["body"].delivered_bq, 1.0)
        return f"{_mbq(lies)} ({part:.1f} % of the activity) lie outside all organs drawn, {far} over the plan"
    if kind == "reflux":
        return f"the share of the flow that reaches organs at risk rose by {far}: beads flow back along the catheter"
    if kind == "stasis":
        return f"less arrives than leaves the vial, by {far}: the flow stands, or beads stay in line or catheter"
    if kind == "no-delivery":
        return (
            f"much less leaves the vial than is pushed, by {far}: catheter or line is clogged, or the artery in spasm"
        )
    return f"the other liver's share of the flow changed by {far}: the catheter's tip lies elsewhere"


def _mbq(activity_bq: float) -> str:
    return f"{activity_bq / 1e6:.3g} MBq"


def _share(one: RegionState) -> str:
    return "an unknown share" if one.share is None else f"{100 * one.share:.1f} %"
