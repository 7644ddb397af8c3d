"""Boundaries of the sequential tests: the quantile of a statistic's largest value over whole uneventful injections.

They are found by simulation of the very injection that is to be watched, before it begins: its regions, rates, duration
and doubts, and injections in which nothing happens. Nothing of the injection itself enters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hepatica.errors import InputError, UnknownNameError
from hepatica.monitoring.judging.sequential import KINDS, Statistics
from hepatica.monitoring.setup import Array, Setup
from hepatica.monitoring.simulation.counts import Recording
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.monitoring.state import Test

LENGTH = 1.5
"""Of a simulated injection, in planned infusions; and `AFTER_S` more."""

AFTER_S = 20.0

DONE = 0.85
"""Of the planned activity out of the vial: what is pushed later meets a vial that is nearly empty."""

BATCH = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """What each statistic must pass for an alarm.

    Attributes
    ----------
    false_alarms : float
        Stated share of uneventful injections in which a kind of alarm is false, over the whole injection.
    largest : mapping of str to ndarray
        Largest value of each statistic in each simulated injection, in ascending order.
    seed : int
        Of the simulation.
    """

    false_alarms: float
    largest: Mapping[str, Array]
    seed: int
    _limits: dict[str, float] = field(init=False, repr=False, default_factory=dict)
    """Boundaries that were asked for: each look asks for all of them."""

    def of(self, kind: str) -> float:
        """The boundary of a kind of alarm; infinite where the setup has no such test.

        Raises
        ------
        UnknownNameError
            If there is no such kind.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind of alarm", kind, KINDS)
        if kind not in self._limits:
            values = self.largest[kind]
            # Ignore what never had a value: a kind for which nothing is set up.
            has_value = np.isfinite(values).any()
            self._limits[kind] = float(np.quantile(values, 1 - self.false_alarms)) if has_value else math.inf
        return self._limits[kind]

    def chance(self, kind: str, value: float) -> float:
        """Share of uneventful injections whose largest value is at least this, never given smaller than 1/(n + 1)."""
        values = self.largest[kind]
        above = len(values) - int(np.searchsorted(values, value, side="left"))
        return (above + 1) / (len(values) + 1)


def calibrated(
    setup: Setup,
    settings: FlowSettings,
    *,
    look_s: float = 0.5,
    injections: int = 4000,
    false_alarms: float = 0.01,
    seed: int = 1,
) -> Boundaries:
    """Boundaries for an injection, from simulated uneventful ones.

    Parameters
    ----------
    setup : Setup
        Of the injection.
    settings : FlowSettings
        How it runs.
    look_s : float
        Time between looks.
    injections : int
        How many are simulated; the relative uncertainty of the rate is 1/sqrt(injections x rate).
    false_alarms : float
        Stated rate of each kind.
    seed : int
        Of the simulation.

    Raises
    ------
    InputError
        If fewer injections are asked for than show the rate (ten false alarms).
    """
    if not 0 < false_alarms < 1 or injections * false_alarms < 10:
        raise InputError(
            f"{injections} simulated injections do not show a rate of {false_alarms:g} of false alarms",
            remedy=f"simulate {math.ceil(10 / false_alarms) if 0 < false_alarms < 1 else 1000} or more",
        )
    found: dict[str, list[Array]] = {kind: [] for kind in KINDS}
    quiet = uneventful(setup, settings)
    for number, size in enumerate(batches(injections)):
        run = Watched.of(*quiet, look_s=look_s, injections=size, seed=(seed, 1, number), statistics_only=True)
        for kind, values in run.largest_while_false().items():
            found[kind].append(values)
    return Boundaries(false_alarms, {kind: np.sort(np.concatenate(parts)) for kind, parts in found.items()}, seed)


def tests_of(statistics: Statistics, boundaries: Boundaries | None, skipped: Mapping[str, str]) -> tuple[Test, ...]:
    """Where each test of the first injection stands; `skipped` says why some are not judged."""
    out = []
    for kind in KINDS:
        value = float(statistics.values[kind][0])
        boundary = math.inf if boundaries is None else boundaries.of(kind)
        shown = value if math.isfinite(value) else None
        why = skipped.get(kind, "" if boundaries is not None else "no boundaries: nothing is decided")
        limit = boundary if math.isfinite(boundary) else None
        out.append(Test(kind, shown, limit, not why and shown is not None, why))
    return tuple(out)


def uneventful(setup: Setup, settings: FlowSettings) -> tuple[Setup, FlowSettings]:
    """The same with nothing happening."""
    return setup, replace(settings, event="none", size=None)


def batches(injections: int) -> list[int]:
    """How many run side by side each time."""
    whole, rest = divmod(injections, BATCH)
    return [BATCH] * whole + ([rest] if rest else [])


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Statistics of simulated injections over time, and the truth.

    Attributes
    ----------
    time_s : ndarray, shape (looks,)
        End of each look.
    values : mapping of str to ndarray, shape (looks, injections)
        Statistic of each kind.
    mean_bq, low_bq, high_bq : ndarray, shape (looks, injections, regions + 1)
        Estimate and 95 % interval; the last is the whole body.
    true_bq : ndarray, shape (looks, injections, regions + 1)
        What is there.
    forecast_bq, forecast_sd_bq : ndarray, shape (looks, injections, regions with a limit)
        Activity at completion as it is forecast.
    delivered_bq, delivered_sd_bq : ndarray, shape (looks, injections)
        In the body by camera and meter together.
    onset_s : ndarray, shape (injections,)
        Of the event.
    setup : Setup
        Of all of them.
    """

    time_s: Array
    values: Mapping[str, Array]
    mean_bq: Array
    low_bq: Array
    high_bq: Array
    true_bq: Array
    forecast_bq: Array
    forecast_sd_bq: Array
    delivered_bq: Array
    delivered_sd_bq: Array
    onset_s: Array
    setup: Setup

    @classmethod
    def of(
        cls, setup: Setup, settings: FlowSettings, *, look_s: float, injections: int, seed: tuple[int, ...],
        statistics_only: bool = False, truth: Setup | None = None,
    ) -> Watched:  # fmt: skip
        """Simulate and watch; with `statistics_only` without intervals and delivered activity, which take time.

        What is simulated is as wrong as `truth` says, where it is given; what watches it knows of `setup` alone.
        """
        recording = Recording(truth or setup, settings, injections, seed)
        statistics = Statistics(setup, injections, look_s)
        pushes = Pushed(setup, injections)
        looks = int(np.ceil((LENGTH * setup.infusion_s + AFTER_S) / look_s))
        values: dict[str, list[Array]] = {kind: [] for kind in KINDS}
        states: list[list[Array]] = [[], [], [], [], [], [], [], []]
        for _ in range(looks):
            seen = recording.step(look_s)
            expected = pushes.expected(seen.pushed_bq, seen.infused_bq)
            middle = recording.flow.time_s - look_s / 2
            # Without a meter nobody says when a pulse is pushed: the planned speed is the reference.
            planned = np.full(injections, setup.planned_bq * middle / setup.infusion_s)
            infused = seen.infused_bq if setup.has_meter else planned
            statistics.look(seen.counts, look_s, middle, infused, expected, seen.variances)
            for kind in KINDS:
                values[kind].append(statistics.values[kind])
            true = np.column_stack([seen.true_bq, seen.true_bq.sum(axis=1)])
            nothing = np.zeros(injections if statistics_only else 0)
            limits = (nothing[:, None],) * 2 if statistics_only else statistics.arrival.interval_bq()
            states_of = (statistics.arrival.mean_bq, *limits)
            forecast = (statistics.forecast_bq, statistics.forecast_sd_bq)
            delivered = (nothing, nothing) if statistics_only else statistics.delivered_bq()
            arrays = (*states_of, true, *forecast, *delivered)
            for kept, array in zip(states, arrays, strict=True):
                kept.append(array.astype(np.float32))
        stacked = {kind: np.stack(v) for kind, v in values.items()}
        time_s = np.asarray(look_s * np.arange(1, looks + 1), dtype=np.float64)
        mean, low, high, there, ahead, ahead_sd, given, given_sd = (np.stack(kept) for kept in states)
        return cls(
            time_s, stacked, mean, low, high, there, ahead, ahead_sd, given, given_sd, recording.flow.onset_s, setup
        )

    def largest_while_false(self) -> dict[str, Array]:
        """Largest value of each statistic while an alarm of its kind would be false, shape (injections,).

        The target is not reached until it holds the goal. A limit is judged where the truth at completion lies on it,
        the hardest case: whoever is farther below it has fewer false alarms.
        """
        out = {kind: values.max(axis=0) for kind, values in self.values.items()}
        if self.setup.goal_bq is not None:
            target = np.flatnonzero(self.setup.of_role("target"))
            below = self.true_bq[:, :, target].sum(axis=2) < self.setup.goal_bq
            out["target-reached"] = np.where(below, self.values["target-reached"], -np.inf).max(axis=0)
        if self.setup.limits_bq:
            limited = [self.setup.index(name) for name in self.setup.limits_bq]
            over = (self.forecast_bq - self.true_bq[-1][:, limited]) / self.forecast_sd_bq
            out["limit-in-sight"] = over.max(axis=(0, 2))
        return out


class Pushed:
    """What should have left the vial by what was pushed, as long as the vial is not nearly empty.

    Parameters
    ----------
    setup : Setup
        Of the injection.
    injections : int
        How many side by side.
    """

    def __init__(self, setup: Setup, injections: int) -> None:
        self._setup = setup
        self._last = np.zeros(injections)
        self._sum = np.zeros(injections)
        self._smooth = np.zeros(injections)

    def expected(self, pushed_bq: Array, infused_bq: Array) -> Array:
        """Add what was pushed since the last time, shape (injections,)."""
        planned = self._setup.planned_bq
        self._smooth = self._smooth + 0.3 * (infused_bq - self._smooth)
        left = np.clip((DONE * planned - self._smooth) / (0.1 * planned), 0.0, 1.0)
        self._sum = self._sum + (pushed_bq - self._last) * left
        self._last = pushed_bq
        return self._sum.copy()
