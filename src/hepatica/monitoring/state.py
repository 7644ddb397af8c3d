"""What is known at one instant of an injection, as plain values: what a screen shows, a log keeps, a page draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hepatica.core.document import document

Z95 = 1.959964
"""Standard deviations of a two-sided 95 % interval."""

Watching = Literal["waiting", "watching", "degraded", "blind", "stopped"]
"""waiting: nothing has come yet. watching: all is judged. degraded: something is not judged, or judged by less. blind:
nothing is judged. stopped: the injection is over. Without a fresh frame the state is never "watching"."""


@dataclass(frozen=True, slots=True)
class RegionState:
    """Activity in one region, decay taken back to the start of the injection.

    Attributes
    ----------
    name, role : str
        Of the region; "body" for all together.
    delivered_bq, low_bq, high_bq : float
        Activity, and the 95 % interval of counting, calibration and cross-talk together.
    rate_bq_s : float
        At which it arrives.
    share : float or None
        Of the body's activity; None before anything has arrived.
    expected_bq : float
        By the plan, when as much has arrived in the body.
    """

    name: str
    role: str
    delivered_bq: float
    low_bq: float
    high_bq: float
    rate_bq_s: float
    share: float | None
    expected_bq: float


@dataclass(frozen=True, slots=True)
class Test:
    """Where a sequential test stands.

    Attributes
    ----------
    kind : str
        Of the alarm.
    statistic, boundary : float or None
        In standard deviations; None where there is none.
    is_judged : bool
        Whether it was looked at this time.
    why_not : str
        Why it was not.
    """

    kind: str
    statistic: float | None
    boundary: float | None
    is_judged: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm: for research and replay, not for treatment.

    Attributes
    ----------
    kind : str
        One of `hepatica.monitoring.judging.sequential.KINDS`.
    at_s : float
        From the start of the injection.
    region : str
        Which region it is about; empty where it is about none.
    why : str
        What was seen.
    statistic, boundary : float
        In standard deviations.
    chance : float
        Share of uneventful injections in which a statistic as large appears at any time.
    probability : float or None
        That what it says is so, where it has one: target reached, limit in sight.
    allowed : str
        What the agent's instructions for use say, as far as a source is held.
    doubtful : str
        Why it may be of another cause, as was seen later; empty where nothing was.
    """

    kind: str
    at_s: float
    region: str
    why: str
    statistic: float
    boundary: float
    chance: float
    probability: float | None
    allowed: str
    doubtful: str = ""


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left in vial and line.

    Attributes
    ----------
    now_bq : float or None
        By the meter; None without one.
    now_sd_bq : float or None
        Its standard deviation.
    forecast_bq : float or None
        When everything has been flushed: exponential clearance as fast as in the last minute, for as long as planned.
    half_time_s : float or None
        Of that clearance.
    """

    now_bq: float | None = None
    now_sd_bq: float | None = None
    forecast_bq: float | None = None
    half_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One instant.

    Attributes
    ----------
    time_s : float
        From the start of the injection.
    watching : str
        Whether anything is judged, one of `Watching`.
    notes : tuple of str
        What is wrong with frames, readings or patient just now.
    silent_s : float
        Since the last frame came.
    frames : int
        Used so far.
    rate_cps : float
        Recorded in the whole field.
    live : float
        Share of the events that the camera keeps; None would be no camera.
    regions : tuple of RegionState
        Each region, and the body.
    delivered_bq, delivered_sd_bq : float
        Brought into the body by this injection, by camera and meter together where they agree.
    planned_bq : float
        In the vial at the start.
    infused_bq : float or None
        Out of the vial by the meter.
    residual : Residual
        In vial and line.
    tests : tuple of Test
        Each sequential test.
    alarms : tuple of Alarm
        All so far, the first first.
    already_bq : float
        In the field at the first frame.
    blind_since_s : float or None
        Since when nothing is judged; None where something is.
    not_measured : tuple of str
        Why the delivered activity is no measured value; empty where it is one.
    remarks : tuple of str
        What is not seen as a matter of course.
    held : tuple of RegionState
        Each region with what was there before, where `regions` are without it (`already_there` is "apart"); else
        empty. Limits and goal are of this.
    """

    time_s: float
    watching: Watching
    notes: tuple[str, ...]
    silent_s: float
    frames: int
    rate_cps: float
    live: float
    regions: tuple[RegionState, ...]
    delivered_bq: float
    delivered_sd_bq: float
    planned_bq: float
    infused_bq: float | None
    residual: Residual
    tests: tuple[Test, ...]
    alarms: tuple[Alarm, ...]
    already_bq: float = 0.0
    blind_since_s: float | None = None
    not_measured: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    held: tuple[RegionState, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For JSON: numbers finite or null, units in the keys."""
        found: dict[str, object] = document(self)
        return found

    def delivered_limits_bq(self) -> tuple[float, float]:
        """95 % interval of what was delivered, none below zero."""
        half = Z95 * self.delivered_sd_bq
        return max(self.delivered_bq - half, 0.0), self.delivered_bq + half

    def region(self, name: str) -> RegionState:
        """A region by name, or "body"."""
        return next(one for one in self.regions if one.name == name)
