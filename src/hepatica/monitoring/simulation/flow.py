"""Simulated flow: from the vial through line and catheter into the regions, with what can go wrong, many at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError, UnknownNameError
from hepatica.monitoring.setup import Array, Setup

EVENTS = ("none", "off-target", "reflux", "stasis", "slip", "clogging", "spasm")
"""What happens in an injection."""

TAIL = 0.1
"""Of the planned activity: below it the vial clears exponentially."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """How an injection runs.

    Attributes
    ----------
    event : str
        One of `EVENTS`.
    earliest, latest : float
        Share of the infusion between which the event begins.
    size : float
        Off-target: share of the planned activity. Reflux: share of the flow that goes back. Stasis: share of the flow
        that still arrives. Slip: share of the target's flow that goes elsewhere. Clogging, spasm: share of the flow
        that is left. The usual one of the event where not given.
    variation : float
        Standard deviation of the logarithm of the flow, which varies slowly.
    variation_s : float
        Over so long.
    pulse_s, pause_s : float
        Pushed for so long, then waited for so long; no pause for a steady infusion.
    """

    event: str = "none"
    earliest: float = 0.25
    latest: float = 0.65
    size: float | None = None
    variation: float = 0.2
    variation_s: float = 15.0
    pulse_s: float = 0.0
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise UnknownNameError("event", self.event, EVENTS)
        if not 0 <= self.earliest <= self.latest <= 1:
            raise InputError("an event begins between two shares of the infusion, the earlier one first")
        if self.size is not None and not 0 <= self.size <= 1:
            raise InputError(f"the size of an event is a share from 0 to 1, not {self.size}")

    @property
    def magnitude(self) -> float:
        """The size, or the usual one."""
        usual = {
            "none": 0.0,
            "off-target": 0.02,
            "reflux": 0.3,
            "stasis": 0.05,
            "slip": 0.5,
            "clogging": 0.02,
            "spasm": 0.3,
        }
        return usual[self.event] if self.size is None else self.size


class Flow:
    """Injections side by side, step by step; everything is true, nothing is measured.

    Parameters
    ----------
    setup : Setup
        What is planned.
    settings : FlowSettings
        How it runs.
    injections : int
        How many.
    random : numpy.random.Generator
        Of flows, shares, lags and onsets.

    Attributes
    ----------
    arrived_bq : ndarray, shape (injections, regions)
        Activity at the start of the injection that is in each region.
    infused_bq, pushed_bq : ndarray, shape (injections,)
        That has left the vial; that would have left it by what was pushed.
    onset_s : ndarray, shape (injections,)
        Instant of the event; infinite where there is none.
    """

    def __init__(self, setup: Setup, settings: FlowSettings, injections: int, random: np.random.Generator) -> None:
        self.setup, self.settings, self.random = setup, settings, random
        count = len(setup.regions)
        self.arrived_bq = np.zeros((injections, count))
        self.infused_bq, self.pushed_bq = np.zeros(injections), np.zeros(injections)
        self.time_s = 0.0
        left = setup.planned_bq * (1 - np.minimum(setup.residual * random.lognormal(0.0, 0.6, injections), 0.3))
        self.available_bq = left
        self._log_flow = settings.variation * random.standard_normal(injections)
        self._lag = np.maximum(setup.lag_s + setup.doubts.lag_s * random.standard_normal(injections), 0.0)
        spread = setup.dispersion_s + setup.doubts.dispersion_s * random.standard_normal(injections)
        self._dispersion = np.maximum(spread, 0.1 * setup.dispersion_s)
        self._in_line = np.zeros(injections)
        self._delayed: list[Array] = []
        # What each injection's shares are, by its own anatomy; they drift by setup.doubts.share_drift.
        self._odds = np.log(np.maximum(setup.expected_shares, 1e-9)) + 0.1 * random.standard_normal((injections, count))
        self._drift = random.standard_normal((injections, count))
        between = random.uniform(settings.earliest, settings.latest, injections) * setup.infusion_s
        self.onset_s = between if settings.event != "none" else np.full(injections, np.inf)
        self._deposited = np.zeros(injections)

    def late(self, seconds: Array) -> None:
        """Let beads arrive later, shape (injections,): what a camera sees whose clock is behind the meter's."""
        self._lag = self._lag + seconds

    def step(self, dt: float) -> Array:
        """Let `dt` pass; the mean of the activity in each region during it, shape (injections, regions)."""
        setup, settings = self.setup, self.settings
        self.time_s += dt
        happening = self.time_s > self.onset_s
        flow = self._flow(dt)
        pulsed = self._pushes()
        nominal = setup.planned_bq / setup.infusion_s / self._duty
        left = np.maximum(self.available_bq - self.infused_bq, 0.0)
        rate = nominal * pulsed * flow * np.minimum(1.0, left / (TAIL * setup.planned_bq))
        if settings.event in ("clogging", "spasm"):
            rate = np.where(happening, rate * settings.magnitude, rate)
        out = np.minimum(rate * dt, left)
        self.infused_bq = self.infused_bq + out
        self.pushed_bq = self.pushed_bq + nominal * pulsed * dt
        arriving = self._through_line(out, dt)
        before = self.arrived_bq
        self.arrived_bq = before + self._shared(arriving, happening, dt)
        return (before + self.arrived_bq) / 2

    @property
    def _duty(self) -> float:
        settings = self.settings
        return settings.pulse_s / (settings.pulse_s + settings.pause_s) if settings.pause_s else 1.0

    def _pushes(self) -> float:
        settings = self.settings
        if not settings.pause_s:
            return 1.0
        return float((self.time_s % (settings.pulse_s + settings.pause_s)) < settings.pulse_s)

    def _flow(self, dt: float) -> Array:
        """The slowly varying flow, one on average."""
        settings = self.settings
        kept = math.exp(-dt / settings.variation_s)
        noise = settings.variation * math.sqrt(1 - kept**2)
        self._log_flow = kept * self._log_flow + noise * self.random.standard_normal(self._log_flow.shape)
        return np.asarray(np.exp(self._log_flow - settings.variation**2 / 2))

    def _through_line(self, out: Array, dt: float) -> Array:
        """What comes out of the catheter: later by the lag, and spread."""
        self._delayed.append(out)
        steps = np.minimum(np.round(self._lag / dt).astype(int), len(self._delayed) - 1)
        have = np.round(self._lag / dt).astype(int) < len(self._delayed)
        recent = np.stack(self._delayed[-(int(steps.max()) + 1) :])
        late = recent[len(recent) - 1 - steps, np.arange(len(out))] * have
        del self._delayed[: max(0, len(self._delayed) - 200)]
        self._in_line = self._in_line + late
        leaves = self._in_line * (1 - np.exp(-dt / np.maximum(self._dispersion, 1e-3)))
        self._in_line = self._in_line - leaves
        return np.asarray(leaves)

    def _shared(self, arriving: Array, happening: NDArray[np.bool_], dt: float) -> Array:
        """Activity that each region gets of what arrives, shape (injections, regions)."""
        setup, settings = self.setup, self.settings
        kept = math.exp(-dt / 60.0)
        self._drift = kept * self._drift + math.sqrt(1 - kept**2) * self.random.standard_normal(self._drift.shape)
        shares = np.exp(self._odds + setup.doubts.share_drift * self._drift)
        shares = shares * (setup.expected_shares > 0)
        shares = shares / shares.sum(axis=1, keepdims=True)
        target, guard, liver = (setup.of_role(role) for role in ("target", "guard", "liver"))
        size = settings.magnitude
        if settings.event in ("reflux", "slip"):
            to = guard if settings.event == "reflux" else liver
            to = to / max(to.sum(), 1.0)
            moved = size * (shares * target).sum(axis=1)
            changed = shares * (1 - size * target) + moved[:, None] * to
            shares = np.where(happening[:, None], changed, shares)
        reach = np.where(happening, size, 1.0) if settings.event == "stasis" else 1.0
        found = shares * (arriving * reach)[:, None]
        if settings.event == "off-target":
            # All that comes goes there until the deposit is complete; the catheter gives no more than what flows.
            want = np.where(happening, np.minimum(arriving, size * setup.planned_bq - self._deposited), 0.0)
            diverted = want / np.maximum(arriving, 1e-300)
            found = found * (1 - diverted)[:, None] + want[:, None] * (guard * (np.cumsum(guard) == 1))
            self._deposited = self._deposited + want
        return np.asarray(found)
