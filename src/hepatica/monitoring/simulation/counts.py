"""What camera and meter record of a simulated flow, region by region: the shortcut for studies of thousands."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from hepatica.imaging.quantify.dead_time import observed_rate
from hepatica.monitoring.judging.clock import MOST_S
from hepatica.monitoring.setup import Array, Setup
from hepatica.monitoring.simulation.flow import Flow, FlowSettings

MOTION_S = 20.0
"""Over which a patient's small movements vary."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One step of what is recorded, and the truth.

    Attributes
    ----------
    counts : ndarray, shape (injections, regions)
        In each mask; of what is no count the value times the time.
    variances : ndarray, shape (injections, regions), or None
        Of what is no count.
    infused_bq : ndarray, shape (injections,)
        By the meter.
    pushed_bq : ndarray, shape (injections,)
        By what was pushed.
    true_bq : ndarray, shape (injections, regions)
        At the end of the step, decay taken back to the start.
    """

    counts: Array
    infused_bq: Array
    pushed_bq: Array
    true_bq: Array
    variances: Array | None = None


class Recording:
    """Injections as camera and meter record them, with everything that the setup is unsure of drawn at random.

    Parameters
    ----------
    setup : Setup
        What is believed; the truth differs by its doubts.
    settings : FlowSettings
        How the injections run.
    injections : int
        How many side by side.
    seed : sequence of int
        Of all random numbers.
    """

    def __init__(self, setup: Setup, settings: FlowSettings, injections: int, seed: tuple[int, ...]) -> None:
        random = np.random.default_rng(seed)
        self.setup, self.random = setup, random
        self.flow = Flow(setup, settings, injections, random)
        doubts, count = setup.doubts, len(setup.regions)
        camera = 1 + doubts.camera * random.standard_normal((injections, 1, 1))
        region = 1 + doubts.region * random.standard_normal((injections, 1, count))
        self._off = 1 - np.eye(count)
        cross = 1 + doubts.cross_talk * random.standard_normal((injections, count, count)) * self._off
        self._response = setup.response_cps_per_bq * np.maximum(camera * region * cross, 0.0)
        self._background = setup.background_cps * (1 + doubts.background * random.standard_normal((injections, count)))
        self._moved = random.standard_normal((injections, 1, 1))
        self._meter = 1 + doubts.meter_scale * random.standard_normal(injections)
        clock = np.clip(doubts.clock_s * random.standard_normal(injections), -MOST_S, MOST_S)
        self._late = np.maximum(clock, 0.0) * setup.has_meter
        self.flow.late(np.maximum(-clock, 0.0) * setup.has_meter)
        self._left: deque[tuple[Array, Array]] = deque([(np.zeros(injections),) * 2])

    def step(self, dt: float) -> Recorded:
        """Let `dt` pass."""
        setup, random = self.setup, self.random
        kept = math.exp(-dt / MOTION_S)
        self._moved = kept * self._moved + math.sqrt(1 - kept**2) * random.standard_normal(self._moved.shape)
        there = self.flow.step(dt)
        decayed = 2 ** (-(self.flow.time_s - dt / 2) / setup.half_life_s)
        # A shift moves counts from one mask to another; it makes none.
        shifted = self._response * self._off * (setup.doubts.motion * self._moved)
        response = self._response + shifted - np.eye(shifted.shape[1]) * shifted.sum(axis=1)[:, None, :]
        rate = np.matmul(response, there[:, :, None])[:, :, 0] * decayed + self._background
        rate = np.maximum(rate, 0.0)
        total = rate.sum(axis=1)
        kept_share = observed_rate(total, tau_s=setup.tau_s, model="paralysable") / np.maximum(total, 1e-12)
        variances = None
        if setup.signal_sd_bq is None:
            counts = random.poisson(rate * kept_share[:, None] * dt).astype(np.float64)
        else:
            spread = np.broadcast_to(setup.signal_sd_bq * dt, rate.shape)
            counts, variances = rate * dt + spread * random.standard_normal(rate.shape), spread**2
        noise = setup.doubts.meter * setup.planned_bq * random.standard_normal(len(total))
        left, pushed = self._stamped_late(dt)
        return Recorded(counts, left * self._meter + noise, pushed, self.flow.arrived_bq, variances)

    def _stamped_late(self, dt: float) -> tuple[Array, Array]:
        """What the meter's readings show of an earlier time where its clock is late; each shape (injections,)."""
        self._left.append((self.flow.infused_bq, self.flow.pushed_bq))
        if len(self._left) > math.ceil(MOST_S / dt) + 2:
            self._left.popleft()
        back = np.minimum(self._late / dt, len(self._left) - 1)
        first = np.floor(back).astype(int)
        second, part = np.minimum(first + 1, len(self._left) - 1), back - first
        who, last = np.arange(len(back)), len(self._left) - 1
        both = []
        for n in (0, 1):
            values = np.stack([one[n] for one in self._left])
            both.append(values[last - first, who] * (1 - part) + values[last - second, who] * part)
        return both[0], both[1]
