"""What has arrived where: a state-space model of counts, for one injection or thousands side by side.

Counts of a frame are unmixed into activities by the inverse of the camera's response. The activity of each region then
follows a local linear trend: it grows at a rate, and the rate changes at random. The filter (Kalman 1960) is the best
linear estimator for any noise of known variance; the variance of a Poisson count is its expectation, which the state
predicts. Taken from the counts themselves it would favour frames that happen to be low, and the estimate would be too
low where counts are few.

All arrays have the injection as their first axis, so that a study runs the very code that watches one patient.
"""

from __future__ import annotations

import math

import numpy as np

from hepatica.imaging.quantify.dead_time import true_rate
from hepatica.monitoring.setup import Array, Setup
from hepatica.monitoring.state import Z95, RegionState

RATE_CHANGE = 1.2
"""Standard deviation of a region's rate over `RATE_TIME_S`, as a share of its mean: flow that is pushed by hand."""

RATE_TIME_S = 4.0

LEAST_SHARE = 0.02
"""Share of the flow for which a region is ready that expects less: an organ at risk expects nothing."""

SHARES_S = 20.0
"""Over which the shares are averaged that say how many counts a mask expects. A variance that follows a region's own
estimate corrects it less when it happens to be high: the mean of many injections would be too high."""

KNOWN_SHARES = 0.02
"""Of the planned activity in the body, below which the shares are those of the plan."""

DIFFUSE = 10.0
"""Standard deviation of what is there before the first frame, in planned activities: nothing is known of it."""

MOST_LOSS = 0.95
"""Of the rate that a paralysable camera can record at all; above it the true rate cannot be told."""


BELOW_SD = 4.0
"""Standard deviations below nothing at which a setup does not fit what is seen: of normal errors 3e-5 for one region at
one look; lasting 3 s in any of five regions it is rare beside the 1 % of an alarm, and
`tools/studies/monitoring_study.py unmeasured` counts it."""


class Arrival:
    """Activity of each region, filtered.

    Parameters
    ----------
    setup : Setup
        Regions and response.
    injections : int
        How many run side by side.

    Attributes
    ----------
    mean_bq, variance_bq2 : ndarray, shape (injections, regions + 1)
        Activity at the start of the injection that has arrived, and its variance by counting; the last is the whole
        body in the field.
    rate_bq_s : ndarray, shape (injections, regions + 1)
        At which it arrives.
    """

    def __init__(self, setup: Setup, injections: int = 1) -> None:
        count = len(setup.regions)
        self.setup = setup
        self.unmixing = np.linalg.inv(setup.response_cps_per_bq)
        self.weights = np.vstack([self.unmixing, self.unmixing.sum(axis=0)])
        shares = np.append(np.maximum(setup.expected_shares, LEAST_SHARE), 1.0)
        nominal = setup.planned_bq / setup.infusion_s * shares
        self._rate_noise = (RATE_CHANGE * nominal) ** 2 / RATE_TIME_S
        shape = (injections, count + 1)
        self.mean_bq = np.zeros(shape)
        self.rate_bq_s = np.zeros(shape)
        self._nominal_variance = (RATE_CHANGE * nominal) ** 2
        self.forget()
        self._shares = np.broadcast_to(setup.expected_shares, (injections, count)).copy()

    def forget(self) -> None:
        """Take what is there as unknown: before the first frame, and when the masks have been moved."""
        shape = self.mean_bq.shape
        self._is_new = True
        self.rate_bq_s = np.zeros(shape)
        self.variance_bq2 = np.full(shape, (DIFFUSE * self.setup.planned_bq) ** 2)
        self._covariance = np.zeros(shape)
        self._rate_variance = np.broadcast_to(self._nominal_variance, shape).copy()

    def predict(self, elapsed_s: float) -> None:
        """Let time pass without a frame."""
        dt, q = elapsed_s, self._rate_noise
        self.mean_bq = self.mean_bq + dt * self.rate_bq_s
        self.variance_bq2 = (
            self.variance_bq2 + 2 * dt * self._covariance + dt * dt * self._rate_variance + q * dt**3 / 3
        )
        self._covariance = self._covariance + dt * self._rate_variance + q * dt * dt / 2
        self._rate_variance = self._rate_variance + q * dt

    def update(
        self, counts: Array, exposure_s: float, time_s: float, variances: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Take in a frame.

        Parameters
        ----------
        counts : ndarray, shape (injections, regions)
            In each mask, as recorded.
        exposure_s : float
            Of the frame.
        time_s : float
            Its middle, from the start of the injection.
        variances : ndarray, shape (injections, regions), optional
            Of values that are no counts.

        Returns
        -------
        tuple of ndarray, shape (injections, regions)
            Counts per second in each mask without dead time, background and decay; and the variance of each for one
            count, shape (injections, 1); and the counts that were expected.
        """
        setup = self.setup
        live = live_share(counts.sum(axis=1) / exposure_s, setup.tau_s)
        decayed = math.exp(-math.log(2) / setup.half_life_s * time_s)
        kept = (live * exposure_s)[:, None]
        net = (counts / kept - setup.background_cps) / decayed
        there = (np.maximum(self.mean_bq[:, -1:], 0.0) * self._shares) @ setup.response_cps_per_bq.T
        expected = there * decayed + setup.background_cps
        # One count in the whole time so far is the least that can be known of a mask that has seen none.
        expected = np.maximum(expected, 1.0 / (time_s + exposure_s))
        if self._is_new:
            # Nothing is known as yet of what is there: what was counted says how sure a first frame is.
            expected = np.maximum(expected, counts / kept)
        if variances is not None:
            expected = variances / kept
        variance = expected / kept / decayed**2
        seen, noise = net @ self.weights.T, variance @ (self.weights**2).T
        # The frame shows the mean over its exposure, the state is that of its end: half an exposure lies between.
        half = exposure_s / 2
        with_level = self.variance_bq2 - half * self._covariance
        with_rate = self._covariance - half * self._rate_variance
        whole = with_level - half * with_rate + noise
        error = (seen - self.mean_bq + half * self.rate_bq_s) / whole
        self.mean_bq = self.mean_bq + with_level * error
        self.rate_bq_s = self.rate_bq_s + with_rate * error
        self.variance_bq2 = self.variance_bq2 - with_level**2 / whole
        self._covariance = self._covariance - with_level * with_rate / whole
        self._rate_variance = self._rate_variance - with_rate**2 / whole
        self._follow_shares(exposure_s)
        return net, (1 / kept / decayed) ** 2, expected * kept

    def _follow_shares(self, elapsed_s: float) -> None:
        """Let the shares by which counts are expected follow those of the state, slowly; at once at first."""
        body = self.mean_bq[:, -1:]
        known = body > KNOWN_SHARES * self.setup.planned_bq
        seen = np.maximum(self.mean_bq[:, :-1], 0.0) / np.where(known, body, 1.0)
        part = 1.0 if self._is_new else min(1.0, elapsed_s / SHARES_S)
        self._is_new = False
        self._shares = np.where(known, self._shares + part * (seen - self._shares), self._shares)

    def systematic_sd_bq(self) -> Array:
        """Uncertainty of each activity by what does not average out: camera factor, sensitivity, cross-talk.

        Shape (injections, regions + 1), k = 1.
        """
        doubts, response = self.setup.doubts, self.setup.response_cps_per_bq
        held = np.maximum(self.mean_bq[:, :-1], 0.0)
        off = response**2 * (1 - np.eye(len(response)))
        by_cross = (held**2 @ off.T) @ (self.weights**2).T * doubts.cross_talk**2
        # A shift takes counts out of a mask and brings others in, in all masks at once.
        alone = response * (1 - np.eye(len(response)))
        shifted = held @ alone.T - held * alone.sum(axis=0)
        by_motion = (shifted @ self.weights.T) ** 2 * doubts.motion**2
        by_region = np.column_stack([held**2, (held**2).sum(axis=1)]) * doubts.region**2
        by_camera = np.square(np.maximum(self.mean_bq, 0.0)) * doubts.camera**2
        by_background = (self.setup.background_cps * doubts.background) ** 2 @ (self.weights**2).T
        return np.asarray(np.sqrt(by_cross + by_motion + by_region + by_camera + by_background))

    def interval_bq(self, z: float = Z95) -> tuple[Array, Array]:
        """Limits between which each activity lies with 95 %, none below zero, shape (injections, regions + 1)."""
        sd = np.sqrt(self.variance_bq2 + self.systematic_sd_bq() ** 2)
        # Where less than nothing is seen the upper limit stays that of nothing: it must not vanish with the estimate.
        return np.maximum(self.mean_bq - z * sd, 0.0), np.maximum(self.mean_bq, 0.0) + z * sd

    def regions_of(self, already_bq: Array, already_sd_bq: Array, *, is_known: bool) -> tuple[RegionState, ...]:
        """Each region, and the body, of the first injection, less what was there before.

        Parameters
        ----------
        already_bq, already_sd_bq : ndarray, shape (regions + 1,)
            Taken off, with its standard deviation.
        is_known : bool
            Whether a frame has come.
        """
        setup = self.setup
        mean = np.maximum(self.mean_bq[0] - already_bq, 0.0)
        sd = np.sqrt(self.variance_bq2[0] + self.systematic_sd_bq()[0] ** 2 + already_sd_bq**2)
        low = np.maximum(self.mean_bq[0] - already_bq - Z95 * sd, 0.0) * is_known
        high = (mean + Z95 * sd) * is_known
        body, rate = float(mean[-1]), self.rate_bq_s[0]
        some = body > 1e-3 * setup.planned_bq
        expected = np.append(setup.expected_shares, 1.0) * body
        names, roles = (*setup.regions, "body"), (*setup.roles, "body")
        return tuple(
            RegionState(name, role, float(mean[n]), float(low[n]), float(high[n]), float(rate[n]),
                        float(mean[n]) / body if some else None, float(expected[n]))
            for n, (name, role) in enumerate(zip(names, roles, strict=True))
        )  # fmt: skip

    def below_nothing(self) -> tuple[str, ...]:
        """Regions of the first injection that show less than nothing by more than `BELOW_SD`."""
        sd = np.sqrt(self.variance_bq2[0] + self.systematic_sd_bq()[0] ** 2)[:-1]
        under = self.mean_bq[0, :-1] < -BELOW_SD * sd
        return tuple(name for name, is_so in zip(self.setup.regions, under, strict=True) if is_so)


def whole_field(setup: Setup, counts: Array, exposure_s: float, time_s: float) -> tuple[float, float]:
    """Activity by the counts of the whole field, all counted as the plan spreads them, Bq, and its variance, Bq².

    Parameters
    ----------
    setup : Setup
        Response, background, dead time, half-life.
    counts : ndarray, shape (regions,)
        In each mask.
    exposure_s, time_s : float
        In which they came, and the middle of that from the start of the injection.
    """
    total = float(counts.sum())
    live = float(live_share(np.array([total / exposure_s]), setup.tau_s)[0])
    decayed = math.exp(-math.log(2) / setup.half_life_s * time_s)
    per_cps = 1 / (float((setup.response_cps_per_bq @ setup.expected_shares).sum()) * decayed)
    kept = live * exposure_s
    rate = total / kept - float(setup.background_cps.sum())
    return rate * per_cps, max(total, 1.0) * (per_cps / kept) ** 2


def live_share(recorded_cps: Array, tau_s: float) -> Array:
    """Share of the events that a paralysable camera kept, from the rate that it recorded, shape as given.

    Above `MOST_LOSS` of the largest rate that it can record the share there is given, and `is_saturated` says so.
    """
    if not tau_s:
        return np.ones_like(recorded_cps)
    recorded = np.minimum(recorded_cps, MOST_LOSS / (math.e * tau_s))
    true = true_rate(recorded, tau_s=tau_s, model="paralysable")
    return np.asarray(np.divide(recorded, true, out=np.ones_like(recorded), where=true > 0))


def is_saturated(recorded_cps: float, tau_s: float) -> bool:
    """Whether a paralysable camera records so much that the true rate cannot be told from it."""
    return tau_s > 0 and recorded_cps > MOST_LOSS / (math.e * tau_s)
