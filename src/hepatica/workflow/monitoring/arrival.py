"""What counts alone say of an injection that is over: A(t) as a share of the end, and what left the vial."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.message import Message
from hepatica.monitoring.options import WatchOptions
from hepatica.monitoring.relative import Share, drawn_bq, fallen, rates_of, shares
from hepatica.monitoring.setup import Setup
from hepatica.monitoring.state import State
from hepatica.monitoring.watch import Watch
from hepatica.monitoring.wording import not_asked

Drawn = tuple[float, float]
"""What left the vial and its standard deviation, Bq."""


def arrival_of(
    states: Sequence[State], frame_s: float, setup: Setup | None, watching: WatchOptions
) -> tuple[Drawn | None, tuple[Share, ...]]:
    """What left the vial by readings before and after, and A(t) as a share of its end."""
    if not states or states[-1].already_bq:
        return None, ()
    total = None
    if watching.vial_before is not None and watching.vial_after is not None and setup is not None:
        total = drawn_bq(setup, watching.vial_before, watching.vial_after, states[-1].time_s)
    if setup is None and fallen(rates_of(states), frame_s) is not None:
        # Activity that passes by is no arrival.
        return total, ()
    return total, shares(states, frame_s, setup, total)


def about_arrival(drawn: Drawn | None, arrival: tuple[Share, ...], *, is_absolute: bool) -> tuple[Message, ...]:
    """What is meant by A(t)."""
    if drawn is not None:
        text = f"{drawn[0] / 1e6:.4g} ± {drawn[1] / 1e6:.2g} MBq left the vial by readings before and after"
        return (
            Message("drawn-by-vial", f"{text}; A(t) takes all counts alike, wherever they come from", severity="note"),
        )
    if arrival and not is_absolute:
        text = "A(t) is a share of what had arrived at the end, and no activity; all counts are taken alike"
        return (Message("shares-only", text, "state readings of the vial (before and after) by one meter"),)
    return ()


def about_meter(watch: Watch | None, *, has_readings: bool) -> tuple[Message, ...]:
    """A meter at the vial that was given and said nothing all the time."""
    if watch is None or not has_readings or not watch.setup.has_meter or watch.meter_has_told:
        return ()
    text = "readings were given, and none of the vial could be used: stasis and delivery were not judged by it"
    remedy = "see that it is the vial that is read (ten times before the first frame), and that times are in seconds"
    return (Message("meter-not-used", text, remedy),)


def about_line(watch: Watch | None, drawn: Drawn | None, states: Sequence[State]) -> tuple[Message, ...]:
    """What the meter at the line was calibrated to, and why it was not used."""
    if watch is None or not watch.line.has_come or not states:
        return ()
    out = []
    left = states[-1].infused_bq if drawn is None else drawn[0]
    found = None if left is None else watch.line.factor_by(left)
    if found is not None:
        text = f"by what left the vial, {found / 1e6:.4g} MBq pass for a reading of one at the line over a second"
        out.append(Message("line-factor", text, "state it for the next injection in the same geometry", "note"))
    if watch.line.why_not:
        out.append(Message("line-not-used", watch.line.why_not, severity="note"))
    return tuple(out)


def about_goal(setup: Setup) -> tuple[Message, ...]:
    """A goal that the vial cannot reach by itself, or that is over the target's own limit."""
    if setup.goal_bq is None:
        return ()
    out = []
    most = setup.planned_bq * (1 - setup.residual)
    if setup.goal_bq > 1.001 * most and setup.already_there != "apart":
        text = (
            f"the goal, {setup.goal_bq / 1e6:.4g} MBq, is more than the vial can give, {most / 1e6:.4g} MBq without "
            "what stays behind: it cannot be reached"
        )
        out.append(Message("goal-out-of-reach", text, "check the goal and the activity of the vial"))
    targets = [name for name, role in zip(setup.regions, setup.roles, strict=True) if role == "target"]
    allowed = [setup.limits_bq[name] for name in targets if name in setup.limits_bq]
    if len(allowed) == len(targets) and setup.goal_bq > 1.001 * sum(allowed):
        text = (
            f"the goal, {setup.goal_bq / 1e6:.4g} MBq, is more than the target may hold, {sum(allowed) / 1e6:.4g} MBq: "
            "by its limit of the normal liver the plan gives too much"
        )
        out.append(Message("goal-over-limit", text, "plan anew, or say why the limit does not hold", "critical"))
    return tuple(out)


def about_missing(setup: Setup) -> tuple[Message, ...]:
    """Tests that a setup cannot ask for: without a limit or an organ at risk nobody sees harm coming."""
    by_reason: dict[str, list[str]] = {}
    for kind, why in not_asked(setup).items():
        by_reason.setdefault(why, []).append(kind)
    text = "; ".join(f"{', '.join(kinds)}: {why}" for why, kinds in by_reason.items())
    return (Message("not-asked", f"not judged: {text}", "see what setup and structures leave out"),) if text else ()


def about_falls(states: Sequence[State], frame_s: float) -> tuple[Message, ...]:
    """What is said of a series without a setup: what was there at first, and counts that fell."""
    rates = rates_of(states)
    if len(rates) < 2:
        return ()
    out = [Message("first-frame-is-nothing", f"the first frame's {rates[0] / 1e3:.3g} kcps are taken for background: "
                   "whether activity was there before, nothing says", "give a setup")]  # fmt: skip
    if (fell := fallen(rates, frame_s)) is not None:
        text = (
            f"counts fell from {fell[0] / 1e3:.3g} to {fell[1] / 1e3:.3g} kcps: what passed by did not stay, so that "
            "no A(t) is given"
        )
        out.append(Message("counts-fell", text, "beads that have arrived stay: see what was in the field", "critical"))
    return tuple(out)
