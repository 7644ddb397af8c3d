"""From organs at several times to shares of the administered activity, and their curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hepatica.anatomy.structures.kinds import Structure
from hepatica.core import Estimate, decay_factor, seconds_between
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.core.message import Message
from hepatica.dosimetry.time.curves import PARAMETERS
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.organ_curve import OrganCurve, organ_curve
from hepatica.errors import InputError, TimeError
from hepatica.imaging.planar.measure import LIVER_GROUP, NORMAL_GROUP, TUMOURS_GROUP
from hepatica.imaging.planar.options import PlanarOrganOptions
from hepatica.imaging.planar.organs import ADMINISTERED, AbsoluteActivity, OrganRates, PlanarOrgan, organs_of
from hepatica.nuclides import Nuclide
from hepatica.workflow.planar.given import KnownAdministration
from hepatica.workflow.planar.measuring import MeasuredTime, Study
from hepatica.workflow.planar.shown import TimeOfDistribution

RANDOM = ("counts", "position", "border", "background")
"""Sources of uncertainty that times do not share; the others (attenuation, scatter, thickness, uneven uptake) are of
the patient and the same at every time."""

MOST_RISE = 0.05
"""Rise of the whole body's rate, decay aside, from which on the views do not show one amount: counting and placing move
it by less. Our choice."""

LEAST_LOST = 1e-3
"""Share that is lost until the views, from which on it is said."""

MOST_ABOVE = 0.1
"""By which a camera's total may exceed what was administered at most, within two standard uncertainties. Our choice."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Organs of one time as shares of a reference.

    Attributes
    ----------
    shown : TimeOfDistribution
        As it is reported.
    elapsed_s : float
        After the administration.
    retained : float
        Share of the reference that is in the body, decay aside.
    decay : float
        Since the administration.
    random_sd, common_sd : mapping of str to float
        Standard uncertainty of each organ's share that times do not share, and that they do.
    reference : Estimate or None
        What shares are of, in Bq at the administration, with what of its uncertainty moves the decays; None if unknown.
    reference_relative_sd : float
        Relative uncertainty of the reference that moves shares and not decays.
    total : Estimate
        Share of the whole.
    """

    shown: TimeOfDistribution
    elapsed_s: float
    retained: float
    decay: float
    random_sd: Mapping[str, float]
    common_sd: Mapping[str, float]
    reference: Estimate | None
    reference_relative_sd: float
    total: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Amounts:
    """What shares are of, at every time.

    Attributes
    ----------
    retained : list of float
        Share of the reference in the body at each time, decay aside.
    reference : Estimate or None
        In Bq at the administration.
    absolute : bool
        Whether activities are by the camera factor.
    messages : tuple of Message
        What must be known.
    """

    retained: list[float]
    reference: Estimate | None
    absolute: bool
    messages: tuple[Message, ...] = ()


def retained_of(
    times: Sequence[MeasuredTime], study: Study, known: KnownAdministration, organs: PlanarOrganOptions
) -> tuple[list[Point], tuple[Message, ...]]:
    """Shares of every time.

    By the camera factor they are activities over the administered activity. Else what is left in the body is by the
    count rate of the whole against the time at which it is highest, decay aside: that one holds `retained`.

    Raises
    ------
    TimeError
        If views have no time and there are several, or lie before the administration.
    """
    elapsed = [_elapsed(one, known, several=len(times) > 1) for one in times]
    decays = [decay_factor(at, study.nuclide.half_life_s) for at in elapsed]
    wholes = [_whole_of(one, organs) for one in times]
    rates = [_rate_of(one.organs.rates, whole) for one, whole in zip(times, wholes, strict=True)]
    retained, notes = _retained(organs, study, elapsed)
    amounts = _amounts(rates, decays, known, organs, retained)
    points = []
    for number, one in enumerate(times):
        found = _organs(one, wholes[number], amounts, number, decays[number], known)
        shunt = one.organs.shunt()
        shown = TimeOfDistribution(
            one.time.views.time, elapsed[number] / 3600, one.rates.sides, one.rates.scatter_method,
            amounts.retained[number], found, None if shunt is None else shunt[0], None if shunt is None else shunt[1],
            one.organs.shunt_uncorrected(), one.organs.explained,
        )  # fmt: skip
        random = {o.name: math.hypot(*(o.components.get(s, 0.0) for s in RANDOM)) for o in found}
        common = {o.name: math.hypot(*(v for s, v in o.components.items() if s not in (*RANDOM, ADMINISTERED)))
                  for o in found}  # fmt: skip
        relative = 0.0
        if amounts.absolute and amounts.reference is not None:
            relative = (amounts.reference.sd or 0.0) / amounts.reference.value
        reference = Estimate(amounts.reference.value, 0.0) if relative and amounts.reference else amounts.reference
        points.append(Point(
            shown, elapsed[number], amounts.retained[number], decays[number], random, common, reference, relative,
            _total(one, wholes[number], amounts, number, known),
        ))  # fmt: skip
    return points, (*notes, *amounts.messages, *_above(points, amounts))


def _retained(organs: PlanarOrganOptions, study: Study, elapsed: Sequence[float]) -> tuple[float, tuple[Message, ...]]:
    """Share of the administered activity in the body, decay aside, and where it is from.

    As stated; of one time with a stated effective half-life T what that leaves, 2^(-t / T) over physical decay, so that
    the curve begins with what was administered; else all.
    """
    half_life_s, physical_s = study.options.time.effective_half_life_s, study.nuclide.half_life_s
    if organs.retained is not None or organs.normalise == "camera" or half_life_s is None or len(elapsed) > 1:
        return 1.0 if organs.retained is None else organs.retained, ()
    left = min(decay_factor(elapsed[0], half_life_s) / decay_factor(elapsed[0], physical_s), 1.0)
    if left > 1 - LEAST_LOST:
        return left, ()
    text = (
        f"of the administered activity {100 * left:.1f} % is taken to be in the body at the views, decay aside, by the "
        f"stated effective half-life of {half_life_s / SECONDS_PER_HOUR:.4g} h"
    )
    return left, (Message("retained-by-half-life", text, "state `retained` if it was measured", "note"),)


def _whole_of(one: MeasuredTime, organs: PlanarOrganOptions) -> tuple[str, ...]:
    return one.organs.named if organs.normalise == "organs" else one.organs.whole


def _rate_of(rates: OrganRates, whole: Sequence[str]) -> float:
    index = {name: n for n, name in enumerate(rates.names)}
    return float(sum(rates.cps[index[name]] for name in whole))


def _amounts(
    rates: Sequence[float],
    decays: Sequence[float],
    known: KnownAdministration,
    organs: PlanarOrganOptions,
    retained: float,
) -> Amounts:
    """The reference of all shares, and what is left of it."""
    at_start = [rate / decay for rate, decay in zip(rates, decays, strict=True)]
    if organs.normalise == "camera" and known.calibration is not None:
        bq = [1e6 * rate / known.calibration.factor.value for rate in at_start]
        if known.administered_bq is not None:
            return Amounts([one / known.administered_bq.value for one in bq], known.administered_bq, absolute=True)
        text = (
            "the administered activity is not known: activities, decays and doses are absolute by the camera factor; "
            "shares and residence times are of the activity that the first views show"
        )
        note = Message("shares-of-measured", text, "state `administered_bq`")
        return Amounts([one / bq[0] for one in bq], Estimate(bq[0], 0.0), absolute=True, messages=(note,))
    highest = max(range(len(at_start)), key=at_start.__getitem__)
    notes: tuple[Message, ...] = ()
    rise = at_start[highest] / at_start[0] - 1
    if rise > MOST_RISE:
        text = (
            f"the count rate of the {'named organs' if organs.normalise == 'organs' else 'whole body'}, decay aside, "
            f"rises by {100 * rise:.0f} % from time 1 to time {highest + 1}: activity came into the views, or the "
            "views are not of one scale; shares are of the highest"
        )
        remedy = "check duration, speed, dead time and place of the views, or take `normalise` camera"
        notes = (Message("whole-body-rises", text, remedy, "critical"),)
    return Amounts(
        [retained * one / at_start[highest] for one in at_start], known.administered_bq, absolute=False,
        messages=notes,
    )  # fmt: skip


def _absolute(amounts: Amounts, decay: float, known: KnownAdministration) -> AbsoluteActivity | None:
    if not amounts.absolute or known.calibration is None or amounts.reference is None:
        return None
    return AbsoluteActivity(known.calibration.factor, amounts.reference * (decay / 1e6))


def _organs(
    one: MeasuredTime, whole: tuple[str, ...], amounts: Amounts, number: int, decay: float, known: KnownAdministration
) -> tuple[PlanarOrgan, ...]:
    retained, reference = amounts.retained[number], amounts.reference
    total = None if reference is None else reference.value / 1e6 * decay * retained
    return organs_of(
        one.organs.rates, one.organs.roles, whole, retained=retained, total_mbq=total,
        absolute=_absolute(amounts, decay, known),
    )  # fmt: skip


def _total(
    one: MeasuredTime, whole: tuple[str, ...], amounts: Amounts, number: int, known: KnownAdministration
) -> Estimate:
    """Share of the whole; its uncertainty only where activities are absolute."""
    share = amounts.retained[number]
    absolute = _absolute(amounts, 1.0, known)
    if absolute is None:
        return Estimate(share, None)
    rates = one.organs.rates
    within = np.array([float(name in whole) for name in rates.names])
    rate = _rate_of(rates, whole)
    variance = sum(float(within @ part @ within) for part in rates.covariance.values())
    parts = (math.sqrt(max(variance, 0.0)) / rate, absolute.cps_per_mbq.relative_sd or 0.0,
             absolute.reference_mbq.relative_sd or 0.0)  # fmt: skip
    return Estimate(share, share * math.hypot(*parts))


def _above(points: Sequence[Point], amounts: Amounts) -> tuple[Message, ...]:
    """A critical message where the camera shows more than was administered."""
    found = []
    for number, point in enumerate(points, start=1):
        limit = 1 + min(2 * (point.total.sd or 0.0), MOST_ABOVE)
        if amounts.absolute and not amounts.messages and point.total.value > limit:
            text = (
                f"by the camera factor the body holds {100 * point.total.value:.0f} % of the administered activity at "
                f"time {number}, decay aside"
            )
            remedy = "check camera factor, administered activity and its instant, scatter and attenuation"
            found.append(Message("more-than-administered", text, remedy, "critical"))
    return tuple(found)


def _elapsed(one: MeasuredTime, known: KnownAdministration, *, several: bool) -> float:
    start = one.time.views.time
    if start is None or known.administered_at is None:
        if several:
            raise TimeError("views of several times need the instant of each", remedy="correct AcquisitionDateTime")
        return 0.0
    elapsed = seconds_between(known.administered_at, start)
    if elapsed < 0:
        raise TimeError(f"the views at {start} lie {-elapsed / 3600:.3g} h before the administration")
    return elapsed


def shares_of(known: KnownAdministration, organs: PlanarOrganOptions) -> str:
    """What shares are of, in words."""
    if organs.normalise == "organs":
        return "what the named organs hold"
    if organs.normalise == "camera" and known.administered_bq is None:
        return "the activity at the first views"
    return "the administered activity"


def excreted_of(points: Sequence[Point], known: KnownAdministration, organs: PlanarOrganOptions) -> float | None:
    """Share of the administered activity that left the body until the last time; None where it does not show."""
    unknown = organs.normalise == "camera" and known.administered_bq is None
    if len(points) == 1 or organs.normalise == "organs" or unknown:
        return None
    return max(0.0, 1.0 - points[-1].retained)


def require_time_model(time: TimeOptions, times: int) -> None:
    """InputError, before anything is measured, where a time model is of voxels, or has no effect on so many times."""
    if time.time_model not in (*PARAMETERS, "haenscheid"):
        raise InputError(
            f"`time_model` {time.time_model} is of voxels of images; organs of planar views follow mono or bi, or "
            "haenscheid of one time"
        )
    time.require_used(times, integrated=False)


def curves_of(points: Sequence[Point], time: TimeOptions, nuclide: Nuclide) -> tuple[OrganCurve, ...]:
    """Curve of every organ that holds something at every time."""
    require_time_model(time, len(points))
    by_name = [{organ.name: organ for organ in point.shown.organs} for point in points]
    found = []
    for name in by_name[0]:
        if not all(name in organs and organs[name].share.value > 0 for organs in by_name):
            continue
        shares = [organs[name].share.value * p.decay for organs, p in zip(by_name, points, strict=True)]
        random = [p.random_sd[name] * p.decay for p in points]
        common = max(p.common_sd[name] * p.decay / s for p, s in zip(points, shares, strict=True))
        curve = organ_curve(
            name, [p.elapsed_s for p in points], shares, random, common, time,
            physical_half_life_s=nuclide.half_life_s, administered=points[0].reference,
        )  # fmt: skip
        found.append(_of_uncertain_reference(curve, points[0].reference_relative_sd))
    if len(points) == 1:
        return tuple(found)
    return _summed(found, {organ.name: organ.role for organ in points[0].shown.organs})


def _summed(curves: Sequence[OrganCurve], roles: Mapping[str, str]) -> tuple[OrganCurve, ...]:
    """Curves with those of liver and all tumours as the sums of their parts, where each part has one.

    One exponential through a sum of several is not their sum: a liver with a tumour that keeps its activity longer
    than the rest read 5 % low.
    """
    by_name = {curve.organ: curve for curve in curves}
    tumours = [name for name, role in roles.items() if role == Structure.TUMOUR.value]
    parts = {LIVER_GROUP: [NORMAL_GROUP, *tumours] if NORMAL_GROUP in roles else [], TUMOURS_GROUP: tumours}
    found = []
    for curve in curves:
        own = [by_name.get(name) for name in parts.get(curve.organ, [])]
        held = [part for part in own if part is not None]
        found.append(curve if not own or len(held) < len(own) else _sum(curve, held))
    return tuple(found)


def _sum(curve: OrganCurve, parts: Sequence[OrganCurve]) -> OrganCurve:
    """A curve with the integral of its parts, and its own relative uncertainty."""
    scale = sum(part.residence_time_h.value for part in parts) / curve.residence_time_h.value
    decays = curve.decays_bq_s
    return replace(
        curve, residence_time_h=curve.residence_time_h * scale, decays_bq_s=None if decays is None else decays * scale,
        amplitudes=tuple(a for part in parts for a in part.amplitudes),
        half_lives_s=tuple(t for part in parts for t in part.half_lives_s),
    )  # fmt: skip


def above_at_start(curves: Sequence[OrganCurve], body: Sequence[str]) -> tuple[Message, ...]:
    """A critical message where curves begin with more than the whole reference in the body."""
    own = [curve for curve in curves if curve.organ in body]
    if not own or any(curve.effective_half_life_h is None for curve in own):
        return ()
    start = sum(sum(curve.amplitudes) for curve in own)
    if start <= 1 + MOST_ABOVE:
        return ()
    text = (
        f"the curves begin with {100 * start:.0f} % of what shares are of in the body: what it holds at the first "
        "views is too much for what it loses until then; residence times and doses are too high by about as much"
    )
    remedy = "state `retained` at the first views, take `normalise` camera, or check the half-life"
    return (Message("more-than-administered", text, remedy, "critical"),)


def _of_uncertain_reference(curve: OrganCurve, relative_sd: float) -> OrganCurve:
    """The residence time of absolute decays over an administered activity that is not known exactly."""
    hours = curve.residence_time_h
    if not relative_sd or hours.sd is None:
        return curve
    return replace(curve, residence_time_h=Estimate(hours.value, math.hypot(hours.sd, relative_sd * hours.value)))


def impossible_curves(curves: Sequence[OrganCurve], nuclide: Nuclide) -> tuple[Message, ...]:
    """A critical message where an organ has more decays than the whole reference could have."""
    most = nuclide.half_life_h / math.log(2)
    above = [f"{c.organ} {c.residence_time_h.value:.4g} h" for c in curves if c.residence_time_h.value > most * 1.001]
    if not above:
        return ()
    text = (
        f"residence times are longer than {most:.4g} h, which the whole activity has if it stays until it has decayed: "
        f"{', '.join(above)}"
    )
    return (Message("residence-above-physical", text, "check administered activity, instants and camera factor",
                    "critical"),)  # fmt: skip
