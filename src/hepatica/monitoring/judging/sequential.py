"""Sequential tests on what arrives: statistics that are looked at again and again, for many injections at once.

Each of four tests holds one signal against a reference that carries it along: counts of a guard region against the
cross-talk that is expected in it, activity outside the liver and in the other lobes against that of the whole body,
activity of the body against what has left the vial. Their ratio is learned from the injection so far (Bayesian
regression, from what the plan says); the statistic is the excess over a window that follows, over its standard
deviation, the largest of several windows: a window-limited generalised likelihood ratio for a change of unknown time
and size (Lai, J R Stat Soc B 1995;57:613). Looked at many times, in many windows, its largest value over an
uneventful injection is no normal number; the boundary that it must pass is the quantile of that largest value
(`boundaries`), so that the stated rate of false alarms holds for the whole injection.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from hepatica.monitoring.arrival import Arrival
from hepatica.monitoring.judging.clock import Clocks
from hepatica.monitoring.judging.departure import Departure, Look, Transit
from hepatica.monitoring.judging.slowing import Slowing
from hepatica.monitoring.setup import Array, Setup

KINDS = (
    "target-reached", "limit-in-sight", "off-target", "outside", "reflux", "stasis", "no-delivery", "catheter-moved",
)  # fmt: skip
"""What an alarm can say."""

BY_METER = ("stasis", "no-delivery")
"""Tests that compare with what has left the vial."""

FROM_NOTHING = ("limit-in-sight", "off-target", "outside", "reflux", "stasis", "catheter-moved")
"""Tests whose boundaries are those of an injection that begins with an empty field."""

WINDOWS_S = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0)
"""Over which an excess is summed."""

SLOWEST = 0.5
"""Of the pushed rate that still counts as delivery."""

SHARE_DOUBT = 0.3
"""Standard deviation of a share of the flow relative to it, before anything has arrived; and `LEAST_SHARE_DOUBT`."""

LEAST_SHARE_DOUBT = 0.005

METER_DRIFT = 0.003
"""Of the ratio of camera to meter within one injection."""

BY_SHARES = 0.02
"""Of the counts of the whole field, because each patient's shares differ from the expected ones."""

LEAST_ARRIVED = 0.1
"""Of the planned activity, before a forecast to completion means anything."""

ALREADY_SHARE, ALREADY_SD = 0.02, 6.0
"""Of the planned activity, and of its standard deviation: what the first look sees beyond both was there before."""

FEWEST_COUNTS = 0.2
"""Added to the counts of each look and mask for their variance, which none counted would make nil. The variance is
taken half from what was counted, half from what the state before expected: the one follows a sudden rise, the other
does not shrink where counts happen to be low."""


class Statistics:
    """Statistics of all tests, look by look.

    Parameters
    ----------
    setup : Setup
        Regions, response, plan and doubts.
    injections : int
        How many run side by side.
    look_s : float
        Time between looks.

    Attributes
    ----------
    values : dict of str to ndarray, shape (injections,)
        The statistic of each of `KINDS` at the last look, in standard deviations; minus infinity where it has none.
    which : dict of str to ndarray of int, shape (injections,)
        The region that gives the largest, where several are tested.
    forecast_bq, forecast_sd_bq : ndarray, shape (injections, regions with a limit)
        Activity at completion if the trend holds; minus infinity as long as too little has arrived.
    """

    def __init__(self, setup: Setup, injections: int, look_s: float) -> None:
        self.setup, self.look_s, self._injections = setup, look_s, injections
        self.arrival = Arrival(setup, injections)
        self._windows = sorted({max(1, round(w / look_s)) for w in WINDOWS_S})
        self._limited = np.array([setup.index(name) for name in setup.limits_bq], dtype=np.int64)
        self._limits = np.array([*setup.limits_bq.values()], dtype=np.float64)
        self._guards = np.flatnonzero(setup.of_role("guard"))
        self._target = np.flatnonzero(setup.of_role("target"))
        self._departures(setup)
        self._outside = np.flatnonzero(setup.of_role("outside"))
        self.already_bq: Array | None = None
        self._already: tuple[Array, Array] | None = None
        self.already_sd_bq = np.zeros(injections)
        self.come_bq = np.zeros(injections)
        self._come_rate = np.zeros(injections)
        self._transit = Transit(setup, injections, look_s)
        self._past: deque[tuple[Array, Array]] = deque(maxlen=2 * max(self._windows) + 2)
        self._past.append((np.zeros(injections), np.zeros(injections)))
        self.forecast_bq = np.full((injections, len(self._limited)), -np.inf)
        self.forecast_sd_bq = np.ones((injections, len(self._limited)))
        self.values = {kind: np.full(injections, -np.inf) for kind in KINDS}
        self.which = {kind: np.zeros(injections, dtype=np.int64) for kind in KINDS}

    def _departures(self, setup: Setup) -> None:
        unmixing, doubts = self.arrival.unmixing, setup.doubts
        body = unmixing.sum(axis=0)
        cross = max(doubts.cross_talk, 1e-3)
        self._off_target = [Departure(unmixing[g], None, 0.0, cross, doubts.motion) for g in self._guards]
        self._shares = {}
        response, shares = setup.response_cps_per_bq, setup.expected_shares
        for kind, role, sign in (("reflux", "guard", 1), ("catheter-moved", "liver", 0)):
            picked = setup.of_role(role)
            if picked.any():
                share, weights = float(picked @ shares), picked @ unmixing
                spill = (response * (1 - np.eye(len(shares))) * shares).T * weights
                spilt = float(np.linalg.norm(spill))
                sd = float(np.linalg.norm([SHARE_DOUBT * share, cross * spilt, LEAST_SHARE_DOUBT]))
                drift = float(np.hypot(doubts.share_drift * share, doubts.motion * spilt))
                self._shares[kind] = Departure(weights, body, share, sd, drift, sign)
        noise = (doubts.meter * setup.planned_bq) ** 2 if setup.has_meter else 0.0
        sd = float(np.linalg.norm([doubts.camera, doubts.region, doubts.meter_scale, BY_SHARES]))
        # Counts of the whole field: small movements only shift them from mask to mask.
        seen = response.sum(axis=0)
        whole = np.full(len(shares), 1 / float(seen @ shares))
        unlike = float(np.linalg.norm(shares * (seen / float(seen @ shares) - 1)))
        drift = float(np.hypot(METER_DRIFT, doubts.share_drift * unlike))
        late = float(np.hypot(doubts.lag_s, doubts.dispersion_s))
        self._slowing = Slowing(setup, self._injections, self.look_s)
        self.clocks = Clocks(
            setup, self._injections, self.look_s, lambda: Transit(setup, self._injections, self.look_s),
            lambda: Departure(whole, None, 1.0, sd, drift, -1, noise, late),
        )  # fmt: skip

    def restart(self) -> None:
        """Begin anew with what is seen: the masks have been moved, and what was counted before says nothing of now."""
        self.arrival.forget()
        self._departures(self.setup)

    def look(
        self, counts: Array, exposure_s: float, time_s: float, infused: Array, pushed: Array,
        variances: Array | None = None, is_metered: bool = True,
    ) -> None:  # fmt: skip
        """Take in the counts since the last look.

        Parameters
        ----------
        counts : ndarray, shape (injections, regions)
            In each mask.
        exposure_s : float
            Time during which they were taken.
        time_s : float
            Middle of that time, from the start of the injection.
        infused : ndarray, shape (injections,)
            Activity that has left the vial by the meter, Bq.
        pushed : ndarray, shape (injections,)
            Activity that would have left it by what was pushed, Bq.
        variances : ndarray, shape (injections, regions), optional
            Of values that are no counts.
        is_metered : bool
            Whether a meter says what left the vial; else the camera stands in.
        """
        self.arrival.predict(exposure_s)
        net, per_count, expected = self.arrival.update(counts, exposure_s, time_s, variances)
        if self.already_bq is None:
            self._find_already(exposure_s)
        spread = 0.5 * (counts + expected) + FEWEST_COUNTS if variances is None else variances
        variance = spread * per_count
        self._judge_levels()
        self._judge_departures(Look(exposure_s, net, variance, infused, time_s, is_metered))
        if self.setup.has_meter:
            self._judge_delivery(infused, pushed)

    def _find_already(self, exposure_s: float) -> None:
        """What the first look sees has been there before: nothing arrives within the transit."""
        setup = self.setup
        arrives = 2 * setup.planned_bq / setup.infusion_s * max(exposure_s - setup.lag_s, 0.0)
        arrival = self.arrival
        body, variance = arrival.mean_bq[:, -1], arrival.variance_bq2[:, -1] + arrival.systematic_sd_bq()[:, -1] ** 2
        sd = np.sqrt(variance)
        least = np.maximum(ALREADY_SHARE * setup.planned_bq, ALREADY_SD * sd) + arrives
        self.already_bq = np.where(body > least, body, 0.0)
        self.already_sd_bq = np.where(body > least, sd, 0.0)
        spread = np.sqrt(arrival.variance_bq2 + arrival.systematic_sd_bq() ** 2)
        self._already = (arrival.mean_bq.copy(), spread)

    def already_by_region(self, *, is_apart: bool) -> tuple[Array, Array]:
        """What is taken off each region and the body of the first injection, and its sd; nil unless it is set apart."""
        count = len(self.setup.regions) + 1
        if not is_apart or self._already is None or self.already_bq is None or not self.already_bq[0]:
            return np.zeros(count), np.zeros(count)
        return self._already[0][0], self._already[1][0]

    def _judge_levels(self) -> None:
        """Target reached, limit in sight, outside."""
        setup, arrival, doubts = self.setup, self.arrival, self.setup.doubts
        sd = np.sqrt(arrival.variance_bq2 + arrival.systematic_sd_bq() ** 2)
        if setup.goal_bq is not None:
            mean = arrival.mean_bq[:, self._target].sum(axis=1)
            spread = np.sqrt((sd[:, self._target] ** 2).sum(axis=1))
            self.values["target-reached"] = (mean - setup.goal_bq) / np.maximum(spread, 1e-9 * setup.planned_bq)
        if self._limited.size:
            body = arrival.mean_bq[:, -1]
            enough = body > LEAST_ARRIVED * setup.planned_bq
            safe = np.where(enough, body, setup.planned_bq)[:, None]
            held = arrival.mean_bq[:, self._limited]
            share = np.maximum(held, 0.0) / safe
            # What is common to region and body (the camera factor) cancels in their ratio.
            own = np.sqrt(np.maximum(sd[:, self._limited] ** 2 - (doubts.camera * held) ** 2, 0.0))
            counted = np.hypot(own, share * np.sqrt(arrival.variance_bq2[:, -1:])) / safe
            spread = np.sqrt(counted**2 + (doubts.share_drift * share) ** 2 + (doubts.meter * share) ** 2)
            complete = setup.planned_bq * (1 - setup.residual)
            self.forecast_bq = np.where(enough[:, None], share * complete, -np.inf)
            self.forecast_sd_bq = spread * complete + 1e-9 * setup.planned_bq
            self._keep("limit-in-sight", ((self.forecast_bq - self._limits) / self.forecast_sd_bq).T, self._limited)

        if self._outside.size:
            body, out = np.maximum(arrival.mean_bq[:, -1], 0.0), arrival.mean_bq[:, self._outside].sum(axis=1)
            usual = float(setup.expected_shares[self._outside].sum())
            own = np.sqrt((sd[:, self._outside] ** 2).sum(axis=1))
            doubt = np.hypot(SHARE_DOUBT * usual * body, LEAST_SHARE_DOUBT * setup.planned_bq)
            self.values["outside"] = (out - usual * body) / np.hypot(own, doubt)

    def _judge_departures(self, look: Look) -> None:
        """Off-target, reflux, catheter moved, stasis."""
        held = np.maximum(self.arrival.mean_bq[:, :-1], 0.0)
        response = self.setup.response_cps_per_bq
        found = []
        for g, test in zip(self._guards, self._off_target, strict=True):
            spill = (held @ response[g] - held[:, g] * response[g, g]) / response[g, g]
            found.append(test.value(Look(look.dt, look.net, look.variance, spill), self._windows))
        if found:
            self._keep("off-target", np.stack(found), self._guards)
        for kind, test in self._shares.items():
            self.values[kind] = test.value(look, self._windows)
        come = self._transit.come(look.reference, look.time_s)
        rate = np.maximum(come - self.come_bq, 0.0) / look.dt
        self._come_rate = self._come_rate + min(1.0, look.dt / SMOOTH_S) * (rate - self._come_rate)
        self.come_bq = come
        if self.setup.has_meter:
            stasis = self.clocks.value(look, self._windows, self.arrival.mean_bq[:, -1])
        else:
            stasis = self._slowing.value(look.net, look.variance, come)
        self.values["stasis"] = np.where(self.has_come_through(), -np.inf, stasis)

    def _judge_delivery(self, infused: Array, pushed: Array) -> None:
        """No delivery: much less leaves the vial than is pushed."""
        setup, doubts = self.setup, self.setup.doubts
        before = self._past[-1]
        self._past.append((before[0] + infused, before[1] + pushed))
        jitter = 0.25 * doubts.lag_s * setup.planned_bq / setup.infusion_s
        worst = np.full(len(infused), -np.inf)
        for half in self._windows[:-1]:
            if 2 * half >= len(self._past):
                break
            now, middle, then = self._past[-1], self._past[-1 - half], self._past[-1 - 2 * half]
            left, given = (((now[n] - middle[n]) - (middle[n] - then[n])) / half for n in (0, 1))
            noise = (doubts.meter * setup.planned_bq) ** 2 * 2 / half + jitter**2
            worst = np.maximum(worst, (SLOWEST * given - left) / np.sqrt(noise))
        self.values["no-delivery"] = worst

    def delivered_bq(self, *, by_meter: bool = True) -> tuple[Array, Array]:
        """Activity that this injection brought into the body, and its standard deviation, shape (injections,).

        Camera and meter are averaged by their variances where they agree within `AGREE_SD`; elsewhere, and without a
        meter, the camera alone counts: what has left the vial need not have reached the patient. Where the meter draws
        the mean up, beads in the line may do so, which it does not see: the standard deviation holds that pull too.

        Parameters
        ----------
        by_meter : bool
            Whether the meter is believed, and has been for longer than the transit.
        """
        seen, sd = self._by_camera()
        if not (by_meter and self.setup.has_meter):
            return seen, sd
        other = np.maximum(self._meter_sd(), 1e-6 * self.setup.planned_bq)
        variance = np.maximum(sd, 1e-6 * self.setup.planned_bq) ** 2
        weight = variance / (variance + other**2)
        pull = weight * (self.come_bq - seen)
        both = np.hypot(other * np.sqrt(weight), np.maximum(pull, 0.0))
        agree = np.abs(seen - self.come_bq) < AGREE_SD * np.sqrt(variance + other**2)
        # What was there before cannot be told from what the meter says has come since, unless it is set apart.
        if self.already_bq is not None and self.setup.already_there != "apart":
            agree = agree & (self.already_bq == 0)
        return np.where(agree, seen + pull, seen), np.where(agree, both, sd)

    def _by_camera(self) -> tuple[Array, Array]:
        seen = self.arrival.mean_bq[:, -1]
        variance = self.arrival.variance_bq2[:, -1] + self.arrival.systematic_sd_bq()[:, -1] ** 2
        if self.already_bq is not None and self.setup.already_there == "apart":
            return seen - self.already_bq, np.sqrt(variance + self.already_sd_bq**2)
        return seen, np.sqrt(variance)

    def _meter_sd(self) -> Array:
        """Of what by the meter had time to arrive.

        One reading's noise as the spread on the way leaves it, the meter's factor, lag and dispersion times the rate,
        and what stays in line and catheter.
        """
        setup, doubts = self.setup, self.setup.doubts
        part = 1 - math.exp(-self.look_s / setup.dispersion_s) if setup.dispersion_s else 1.0
        noise = (doubts.meter * setup.planned_bq) ** 2 * part / (2 - part)
        late = self._come_rate * math.hypot(doubts.lag_s, doubts.dispersion_s, doubts.clock_s, self.look_s / 2)
        scale = math.hypot(doubts.meter_scale, LINE)
        return np.asarray(np.sqrt(noise + (scale * self.come_bq) ** 2 + late**2))

    def has_come_through(self) -> Array:
        """Whether nearly all that can leave the vial had time to arrive: nothing is left that could stand still.

        Without a meter the camera alone says it: an infusion that is faster than planned has less left than planned.
        """
        setup, doubts = self.setup, self.setup.doubts
        most = setup.planned_bq * (1 - setup.residual)
        if setup.has_meter:
            return np.asarray(self.come_bq > THROUGH * most)
        share = UNMETERED_THROUGH - 2 * math.hypot(doubts.camera, doubts.region)
        return np.asarray(self.arrival.mean_bq[:, -1] > max(share, LEAST_ARRIVED) * most)

    def camera_over_meter(self) -> tuple[Array, Array]:
        """Delivered by the camera less what by the meter had time to arrive, Bq, and its sd, shape (injections,)."""
        seen, sd = self._by_camera()
        return seen - self.come_bq, np.hypot(sd, self._meter_sd())

    def _keep(self, kind: str, values: Array, regions: NDArray[np.int64]) -> None:
        """The largest of several regions' statistics, shape (regions, injections)."""
        self.which[kind] = regions[np.argmax(values, axis=0)]
        self.values[kind] = values.max(axis=0)


AGREE_SD = 2.0
"""Within which camera and meter are averaged; beyond it one of them is wrong, or beads are on their way."""

DISAGREE_SD, DISAGREE_S = 3.0, 3.0
"""Standard deviations by which camera and meter, or camera and plan, contradict each other; for so long."""

LINE = 0.01
"""Standard deviation of what stays in line and catheter, as a share of what has left the vial (published residuals of
vial and line together: 0.6 to 3 %)."""

SMOOTH_S = 5.0
"""Over which the rate at which activity leaves the vial is averaged."""

THROUGH = 0.97
"""Of what is expected to leave the vial: what comes later is too little to tell a flow that stands from an error."""

UNMETERED_THROUGH = 0.9
"""Of what can leave the vial, from which on it clears ever more slowly (`flow.TAIL`), less two standard deviations of
the camera factor: the camera's word where no meter says what has left."""
