"""Why an alarm was raised, in a sentence."""

from __future__ import annotations

from hepatica.monitoring.setup import Setup
from hepatica.monitoring.state import Alarm, RegionState, State


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
        return f"{region} holds {held_now}, {far} above cross-talk and background: a deposit, or reflux"
    if kind == "outside":
        lies = sum(one.delivered_bq for one in regions if one.role == "outside")
        part = 100 * lies / max(held["body"].delivered_bq, 1.0)
        return f"{_mbq(lies)} ({part:.1f} % of the activity) lie outside all organs drawn, {far} over the plan"
    if kind == "reflux":
        return f"the share of the flow that reaches organs at risk rose by {far}: reflux, or a deposit there"
    if kind == "stasis":
        return f"less arrives than leaves the vial, by {far}: the flow stands, or beads stay in line or catheter"
    if kind == "no-delivery":
        return (
            f"much less leaves the vial than is pushed, by {far}: catheter or line is clogged, or the artery in spasm"
        )
    return f"the other liver's share of the flow changed by {far}: the catheter's tip lies elsewhere"


def stamped(low_s: float, high_s: float) -> str:
    """How the meter's clock stands; both are late where positive, early where negative."""
    word, least, most = ("late", low_s, high_s) if low_s > 0 else ("early", -high_s, -low_s)
    by = f"{least:g} s" if least == most else f"{least:g} to {most:g} s"
    return f"readings of the meter are stamped {by} {word} by the camera's clock"


def _mbq(activity_bq: float) -> str:
    return f"{activity_bq / 1e6:.3g} MBq"


def _share(one: RegionState) -> str:
    return "an unknown share" if one.share is None else f"{100 * one.share:.1f} %"


SEVERITIES = {
    "target-reached": "note",
    "limit-in-sight": "critical",
    "off-target": "critical",
    "outside": "warning",
    "reflux": "critical",
    "stasis": "warning",
    "no-delivery": "warning",
    "catheter-moved": "critical",
}
"""Critical: activity goes, or will have gone, where it harms. Warning: it does not arrive as planned. Note: the aim."""


def severity(alarm: Alarm) -> str:
    """How grave an alarm is: "note", "warning" or "critical"; a doubtful one is a warning at most."""
    found = SEVERITIES[alarm.kind]
    return "warning" if alarm.doubtful and found == "critical" else found


def certainty(alarm: Alarm) -> str:
    """How sure an alarm is: its probability where it has one, and how often chance alone does as much."""
    chance = f"as large in at most {100 * alarm.chance:.2g} % of uneventful injections"
    if alarm.probability is not None:
        # Beyond what the rehearsals can show nothing is certain.
        shown = f"{100 * alarm.probability:.1f}" if alarm.probability < MOST_SURE else f"over {100 * MOST_SURE:.1f}"
        chance = f"probability {shown} %; {chance}"
    return f"{chance}; doubtful" if alarm.doubtful else chance


MOST_SURE = 0.999


MOVED = "the patient moved"

TOO_FEW = "too few counts as yet to see"

FELL = "counts fall although beads stay: patient or camera moved, or something lies between"

OVER_PLAN = "more has arrived than the vial held: camera factor or plan is wrong"

OVER_METER = "more has arrived than left the vial: camera factor, meter or plan is wrong"

UNDER_METER = "less has arrived than left the vial: beads stay in line or catheter, or the camera factor is wrong"

DEAD = "the camera counts nothing at all"

BELOW_ZERO = "less than nothing has arrived: the background is wrong"

ALREADY = "activity was there before the first frame"

CLOCK_APART = "the meter's clock stands more than 4.5 s apart from the camera's"

COME_THROUGH = "nearly all that left the vial has had time to arrive"

NO_SOURCE = "No sourced statement of this agent's instructions for use is held here; follow them as they stand."

MISFIT = "less than nothing is seen in a region: the setup does not fit these frames"

NO_SHARE = "what is said to be pushed is no share from 0 to 1: none of it is believed"

UNDER_PLAN = (
    "less has arrived than planned by now: the flow stands or is slow, beads stay in line or catheter, or the camera "
    "factor is wrong"
)

RESUMED = "what leaves the vial has arrived since: counts were lost once, or the flow went on"

MOST_IS_THERE = "most of what the vial held has arrived, and without a meter nothing says how much of the rest will"

NO_METER = "there is no meter"

NO_GOAL = "no goal is set"

NO_LIMIT = "no limit of an activity is set"

NO_GUARD = "no organ that must get nothing is drawn"

NO_LIVER = "no other part of the liver is drawn"

NO_OUTSIDE = "no region outside all organs is drawn"

GOES_ON = (COME_THROUGH, MOST_IS_THERE, NO_METER, NO_GOAL, NO_LIVER, NO_OUTSIDE)
"""Why a test may be left out while all that the setup can ask for is judged. Without a limit or an organ that must get
nothing nobody sees harm coming: that is said as a fault."""


def not_asked(setup: Setup) -> dict[str, str]:
    """Tests that a setup does not ask for, each with what it lacks."""
    out = {}
    if setup.goal_bq is None:
        out["target-reached"] = NO_GOAL
    if not setup.limits_bq:
        out["limit-in-sight"] = NO_LIMIT
    if "guard" not in setup.roles:
        out |= dict.fromkeys(("off-target", "reflux"), NO_GUARD)
    if "liver" not in setup.roles:
        out["catheter-moved"] = NO_LIVER
    if "outside" not in setup.roles:
        out["outside"] = NO_OUTSIDE
    return out


def not_judged(state: State) -> list[str]:
    """Tests that are not judged, those with one reason in one text; empty where nothing is, which is said as such."""
    if state.watching in ("waiting", "blind"):
        return []
    by_reason: dict[str, list[str]] = {}
    for test in state.tests:
        if test.why_not:
            by_reason.setdefault(test.why_not, []).append(test.kind)
    return [f"not judged: {', '.join(kinds)} ({why})" for why, kinds in by_reason.items()]
