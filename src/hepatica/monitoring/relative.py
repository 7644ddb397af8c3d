"""What has arrived as a share of what arrives in all, by the counts of the whole field alone.

Without a camera factor counts say no becquerels, but the camera factor cancels in their ratio: A(t) / A(end) of a
replay. With readings of the vial before and after, by one meter in one place, the end is what left the vial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hepatica.monitoring.judging.sequential import LEAST_ARRIVED, LINE
from hepatica.monitoring.setup import Setup
from hepatica.monitoring.state import Residual, State

END = 0.1
"""Of the time watched, whose mean is the end."""

READING_SD = 0.01
"""Relative standard deviation of a reading of the vial; the setup's `meter_scale` is that of its geometry."""

TREND_S = 10.0
"""Over which the last rate is taken."""

KEPT_S = 5.0
"""For which an activity must have been there to count as one that cannot fall: a flash of a few seconds is none."""

FALL = 0.05
"""Of the largest activity so far, by which it cannot fall: beads stay."""

FALL_SD = 5.0


@dataclass(frozen=True, slots=True)
class Share:
    """One instant.

    Attributes
    ----------
    time_s : float
        From the first frame.
    share, share_sd : float
        Of what has arrived at the end, and its standard deviation by counting.
    activity_bq, activity_sd_bq : float or None
        The same in becquerels, where readings of the vial say what left it.
    """

    time_s: float
    share: float
    share_sd: float
    activity_bq: float | None = None
    activity_sd_bq: float | None = None


def rates_of(states: Sequence[State]) -> list[float]:
    """Counts per second without dead time, of states with frames."""
    return [one.rate_cps / one.live for one in states if one.frames and one.silent_s == 0]


def fallen(rates_cps: Sequence[float], frame_s: float) -> tuple[float, float] | None:
    """From where to where counts fell, which beads that stay cannot; None where they did not.

    The end is the mean of the last tenth; that it lies `FALL` and `FALL_SD` of a frame's noise under the largest rate
    is a fall.
    """
    if len(rates_cps) < 2:
        return None
    late = rates_cps[-max(1, round(END * len(rates_cps))) :]
    largest, end = max(rates_cps), sum(late) / len(late)
    noise = math.sqrt(max(largest, 1.0 / frame_s) / frame_s)
    return (largest, end) if largest - end > FALL * largest + FALL_SD * noise else None


def drawn_bq(setup: Setup, before: float, after: float, elapsed_s: float) -> tuple[float, float]:
    """Activity that left the vial and its standard deviation, Bq, decay between the two readings taken back.

    Parameters
    ----------
    setup : Setup
        What was in the vial, half-life.
    before, after : float
        Readings of the vial, any unit.
    elapsed_s : float
        Between them.
    """
    left = after * 2 ** (elapsed_s / setup.half_life_s) / before
    drawn = setup.planned_bq * (1 - left)
    sd = math.hypot(setup.planned_bq * left * math.sqrt(2) * READING_SD,
                    math.hypot(setup.doubts.meter_scale, LINE) * drawn)  # fmt: skip
    return drawn, sd


def shares(
    states: Sequence[State], frame_s: float, setup: Setup | None, total: tuple[float, float] | None
) -> tuple[Share, ...]:
    """A(t) as a share of the end, for states with frames; empty where the end shows nothing beyond its noise.

    Parameters
    ----------
    states : sequence of State
        As logged.
    frame_s : float
        Exposure of a frame.
    setup : Setup or None
        For background, dead time and half-life; without one the first frame is the background, and decay stays in.
    total : tuple of float, or None
        Activity at the end and its standard deviation.
    """
    seen = [one for one in states if one.frames and one.silent_s == 0]
    if len(seen) < 2:
        return ()
    times = np.array([one.time_s for one in seen])
    rates = np.array([one.rate_cps / one.live for one in seen])
    noise = np.array([math.sqrt(max(one.rate_cps, 1.0 / frame_s) / frame_s) / one.live for one in seen])
    background = float(rates[0]) if setup is None else float(setup.background_cps.sum())
    decayed = np.ones_like(times) if setup is None else 2 ** (-times / setup.half_life_s)
    net, sd = (rates - background) / decayed, noise / decayed
    late = times >= times[-1] * (1 - END)
    end, end_sd = float(net[late].mean()), float(np.sqrt((sd[late] ** 2).sum()) / late.sum())
    if end <= 3 * end_sd:
        return ()
    out = []
    for at, value, spread in zip(times, net / end, sd / end, strict=True):
        own = math.hypot(float(spread), float(value) * end_sd / end)
        if total is None:
            out.append(Share(float(at), float(value), own))
        else:
            bq = float(value) * total[0]
            out.append(Share(float(at), float(value), own, bq, math.hypot(own * total[0], float(value) * total[1])))
    return tuple(out)


def residual_of(setup: Setup, infused_bq: float, history: Sequence[tuple[float, float]], now_s: float) -> Residual:
    """What is left in vial and line, and its forecast.

    Parameters
    ----------
    setup : Setup
        Of the injection.
    infused_bq : float
        Out of the vial now.
    history : sequence of (s, Bq)
        What had left it, by each reading.
    now_s : float
        From the start of the injection.
    """
    doubts, left = setup.doubts, setup.planned_bq - infused_bq
    sd = math.hypot(doubts.meter * setup.planned_bq, doubts.meter_scale * infused_bq, LINE * infused_bq)
    recent = [(t, setup.planned_bq - v) for t, v in history if t >= now_s - 60.0]
    if len(recent) < 10 or infused_bq < LEAST_ARRIVED * setup.planned_bq:
        return Residual(left, sd)
    times, values = (np.array(column) for column in zip(*recent, strict=True))
    slope = float(np.polyfit(times, np.log(np.maximum(values, 1e-3 * setup.planned_bq)), 1)[0])
    if slope >= -1e-5:
        return Residual(left, sd, left)
    remaining = max(setup.infusion_s - now_s, 0.0)
    return Residual(left, sd, left * math.exp(slope * remaining), math.log(2) / -slope)


FLOWING = 0.15
"""Of the planned rate; below it the flow had ended when the frames did."""


def has_slowed(setup: Setup, recent: Sequence[tuple[float, float]]) -> bool:
    """Whether less than `FLOWING` of the planned rate arrives, by activities (s, Bq) of the last seconds."""
    if len(recent) < 3:
        return False
    at, value = (np.array(column) for column in zip(*recent, strict=True))
    return float(np.polyfit(at - at[0], value, 1)[0]) < FLOWING * setup.planned_bq / setup.infusion_s
