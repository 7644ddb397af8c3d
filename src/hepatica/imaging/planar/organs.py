"""What organs hold by planar views: counts, shares, activities, each with its uncertainty taken apart by source.

Every input that is not known exactly is moved by its standard uncertainty, up and down, and the whole measurement made
again (JCGM 100:2008, 5.1.3, note 2); counting comes from the fit or from Poisson. Sources are independent of each
other, and each moves all organs together, so that what is common to them drops out of their ratios. This is the chain
of the EANM guidance on uncertainty (Gear et al., Eur J Nucl Med Mol Imaging 2018;45:2456) for views, not volumes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate
from hepatica.core.document import HIDDEN
from hepatica.core.message import Message
from hepatica.errors import InputError

FloatArray = NDArray[np.float64]

NORMAL_975 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Move:
    """One input of a measurement, moved.

    Attributes
    ----------
    attenuation : float
        Factor on the coefficient.
    scatter, background : float
        Factors on what is taken off.
    body_mm : float
        Added to the thickness of the body.
    width_mm : float
        Added to the width of the camera's response.
    scatter_left : float
        Share of the counts that is scatter still in them, spread widely.
    shift_mm : tuple of float
        Of the structures on the views.
    border_mm : mapping of str to float
        Outward, of an organ's border.
    organ_thickness : mapping of str to float
        Factor on an organ's stated thickness.
    """

    attenuation: float = 1.0
    scatter: float = 1.0
    background: float = 1.0
    body_mm: float = 0.0
    width_mm: float = 0.0
    scatter_left: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    border_mm: Mapping[str, float] = field(default_factory=dict)
    organ_thickness: Mapping[str, float] = field(default_factory=dict)


STILL = Move()
Measurement = Callable[[Move], FloatArray]
"""Count rates of the organs, in air, at a state of the inputs."""


@dataclass(frozen=True, slots=True)
class PlanarOrgan:
    """One organ.

    Attributes
    ----------
    name, role : str
        As drawn, and what it is.
    rate_cps : Estimate
        What one head would count of it in air.
    share : Estimate
        Of what it is counted against.
    share_95 : tuple of float
        95 % interval of the share.
    activity_mbq : Estimate or None
        At the start of the views; None without a camera factor or an activity of the whole.
    activity_95_mbq : tuple of float or None
        95 % interval.
    components : mapping of str to float
        Standard uncertainty of the share by source.
    """

    name: str
    role: str
    rate_cps: Estimate
    share: Estimate
    share_95: tuple[float, float]
    activity_mbq: Estimate | None
    activity_95_mbq: tuple[float, float] | None
    components: Mapping[str, float] = field(metadata=HIDDEN)


@dataclass(frozen=True, slots=True, eq=False)
class OrganRates:
    """Count rates in air with their covariance by source.

    Attributes
    ----------
    names : tuple of str
        Organs, none inside another.
    cps : ndarray, shape (organs,)
        Rates.
    covariance : mapping of str to ndarray, shape (organs, organs)
        By source.
    messages : tuple of Message
        What must be known.
    """

    names: tuple[str, ...]
    cps: FloatArray
    covariance: Mapping[str, FloatArray]
    messages: tuple[Message, ...] = ()

    def summed(self, groups: Mapping[str, Sequence[str]]) -> OrganRates:
        """The same for sums of organs."""
        index = {name: n for n, name in enumerate(self.names)}
        matrix = np.array([[float(n in {index[m] for m in parts}) for n in range(len(index))]
                           for parts in groups.values()])  # fmt: skip
        moved = {source: matrix @ part @ matrix.T for source, part in self.covariance.items()}
        return replace(self, names=tuple(groups), cps=matrix @ self.cps, covariance=moved)

    def ratio(self, organ: str, whole: Sequence[str]) -> tuple[float, dict[str, float]]:
        """An organ over a sum of organs, and the ratio's standard uncertainty by source."""
        number = self.names.index(organ)
        within = np.array([float(name in whole) for name in self.names])
        total = float(within @ self.cps)
        if not total > 0:
            raise InputError(f"nothing is left to count {organ!r} against: check the background")
        ratio = float(self.cps[number]) / total
        gradient = (np.eye(len(self.names))[number] - ratio * within) / total
        sds = {source: math.sqrt(max(float(gradient @ part @ gradient), 0.0)) for source, part in
               self.covariance.items()}  # fmt: skip
        return ratio, sds


def with_uncertainty(
    names: Sequence[str],
    measure: Measurement,
    counting: FloatArray,
    moves: Mapping[str, Sequence[tuple[Move, Move]]],
    *,
    uniformity: float = 0.0,
    messages: tuple[Message, ...] = (),
) -> OrganRates:
    """Rates of a measurement with the covariance of every source.

    Parameters
    ----------
    names : sequence of str
        Of the organs.
    measure : callable
        The measurement as a function of its inputs.
    counting : ndarray, shape (organs, organs)
        Covariance by counting.
    moves : mapping of str to sequence of (Move, Move)
        Of each source its inputs, each one standard uncertainty up and down.
    uniformity : float
        Relative standard uncertainty of each organ by itself.
    """
    cps = measure(STILL)
    covariance = {"counts": counting}
    for source, pairs in moves.items():
        part = np.zeros((len(cps), len(cps)))
        for up, down in pairs:
            step = (measure(up) - measure(down)) / 2
            part += np.outer(step, step)
        covariance[source] = part
    covariance["uneven uptake"] = np.diag((uniformity * cps) ** 2)
    return OrganRates(tuple(names), cps, covariance, messages)


def share_interval(share: float, sd: float) -> tuple[float, float]:
    """95 % interval of a share, symmetric in its logit, so that it stays between 0 and 1.

    Where a border lies within two standard uncertainties the logit says nothing: it would hold all from nothing to
    everything. The interval is then symmetric, and cut at the border.
    """
    if min(share, 1 - share) < 2 * sd:
        return max(0.0, share - NORMAL_975 * sd), min(1.0, share + NORMAL_975 * sd)
    if not 0 < share < 1:
        return share, share
    logit, spread = math.log(share / (1 - share)), NORMAL_975 * sd / (share * (1 - share))
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, logit + s)))) for s in (-spread, spread))
    return low, high


def positive_interval(value: float, sd: float) -> tuple[float, float]:
    """95 % interval of a positive number, symmetric in its logarithm; by itself where 0 is within two uncertainties."""
    if not value > 2 * sd:
        return max(0.0, value - NORMAL_975 * sd), max(0.0, value + NORMAL_975 * sd)
    spread = math.exp(NORMAL_975 * sd / value)
    return value / spread, value * spread


CAMERA_FACTOR, ADMINISTERED = "camera factor", "administered activity"
"""Sources of uncertainty of a share by absolute activities."""


@dataclass(frozen=True, slots=True)
class AbsoluteActivity:
    """How counts are activities.

    Attributes
    ----------
    cps_per_mbq : Estimate
        Camera factor in air.
    reference_mbq : Estimate
        What shares are of: the administered activity, decayed to the views.
    """

    cps_per_mbq: Estimate
    reference_mbq: Estimate


def organs_of(
    rates: OrganRates,
    roles: Mapping[str, str],
    whole: Sequence[str],
    *,
    retained: float = 1.0,
    total_mbq: float | None = None,
    absolute: AbsoluteActivity | None = None,
) -> tuple[PlanarOrgan, ...]:
    """Shares and activities.

    Parameters
    ----------
    rates : OrganRates
        Of the organs, sums of them included.
    roles : mapping of str to str
        What each is.
    whole : sequence of str
        What shares are counted against.
    retained : float
        What the whole is of the administered activity.
    total_mbq : float, optional
        Activity of the whole.
    absolute : AbsoluteActivity, optional
        Camera factor, which goes before the total: shares are then the activities over its reference, `retained` and
        `whole` are of no effect.
    """
    if absolute is not None:
        return tuple(_by_camera(rates, number, roles, absolute) for number in range(len(rates.names)))
    found = []
    for number, name in enumerate(rates.names):
        ratio, sds = rates.ratio(name, whole)
        share, sd = ratio * retained, math.hypot(*sds.values()) * retained
        activity = None
        if total_mbq is not None:
            activity = Estimate(ratio * total_mbq, math.hypot(*sds.values()) * total_mbq)
        found.append(PlanarOrgan(
            name, roles.get(name, "other"), _rate(rates, number), Estimate(share, sd),
            _times(share_interval(ratio, math.hypot(*sds.values())), retained),
            activity,
            None if total_mbq is None else _times(share_interval(ratio, math.hypot(*sds.values())), total_mbq),
            {source: value * retained for source, value in sds.items()},
        ))  # fmt: skip
    return tuple(found)


def _times(interval: tuple[float, float], total: float) -> tuple[float, float]:
    return interval[0] * total, interval[1] * total


def _rate(rates: OrganRates, number: int) -> Estimate:
    variance = sum(float(part[number, number]) for part in rates.covariance.values())
    return Estimate(float(rates.cps[number]), math.sqrt(max(variance, 0.0)))


def _by_camera(rates: OrganRates, number: int, roles: Mapping[str, str], absolute: AbsoluteActivity) -> PlanarOrgan:
    """One organ by its own counts and the camera factor; nothing drops out of its share."""
    name, rate, factor = rates.names[number], _rate(rates, number), absolute.cps_per_mbq
    value = rate.value / factor.value
    relative = (factor.sd or 0.0) / factor.value
    activity = Estimate(value, math.hypot((rate.sd or 0.0) / factor.value, value * relative))
    reference = absolute.reference_mbq
    share = value / reference.value
    sds = {source: math.sqrt(max(float(part[number, number]), 0.0)) / factor.value / reference.value
           for source, part in rates.covariance.items()}  # fmt: skip
    sds[CAMERA_FACTOR] = share * relative
    sds[ADMINISTERED] = share * (reference.sd or 0.0) / reference.value
    sd = math.hypot(*sds.values())
    return PlanarOrgan(
        name, roles.get(name, "other"), rate, Estimate(share, sd), positive_interval(share, sd), activity,
        positive_interval(activity.value, activity.sd or 0.0), sds,
    )  # fmt: skip
