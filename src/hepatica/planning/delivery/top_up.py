"""A second injection by the way of the first: how much reaches a goal, and how every limit would then stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hepatica.core.document import reported
from hepatica.core.lung_mean import widened
from hepatica.core.numbers.compare import above
from hepatica.core.numbers.wording import three
from hepatica.planning.delivery.concordance import SURE_Z
from hepatica.planning.measured.judged_doses import JudgedDose

Certainty = Literal["certain", "open", "not known"]
Standing = Literal["kept", "open", "passed", "not known"]

LINEAR = "doses grow with the activity if it goes where this one went"

SUMS_LACKING = "those before not in it"
"""Said of a limit of all treatments together where what the others gave is not known."""


@dataclass(frozen=True, slots=True)
class DoseInterval:
    """A dose beside its goal or limit, with its 95 % interval where its uncertainty is known.

    Attributes
    ----------
    dose : JudgedDose
        Dose, goal or limit.
    low_gy, high_gy : float or None
        Of what is held against the limit, with treatments before where the limit is of all of them.
    is_near : bool
        Whether its uncertainty is not known, and one as of a calibration would leave goal or limit open.
    """

    dose: JudgedDose
    low_gy: float | None
    high_gy: float | None
    is_near: bool = False

    @property
    def certainty(self) -> Certainty:
        """Whether goal or limit lies outside of the interval."""
        if self.low_gy is None or self.high_gy is None:
            return "not known"
        return "open" if self.low_gy <= self.dose.limit_gy <= self.high_gy else "certain"

    @property
    def deciding_sd_gy(self) -> float:
        """Standard uncertainty of the dose from which on goal or limit lies inside of the 95 % interval."""
        return abs(self.dose.total_gy - self.dose.limit_gy) / SURE_Z

    @property
    def deciding(self) -> str:
        """That of an uncertainty that is not known, in words."""
        sd = self.deciding_sd_gy
        share = f", {sd / self.dose.dose_gy:.0%} of the dose" if self.dose.dose_gy > 0 else ""
        return f"from a standard uncertainty of {three(sd)} Gy{share}, on it is open"

    @property
    def is_beyond(self) -> bool:
        """Whether the dose itself is on the wrong side."""
        one = self.dose
        return one.total_gy < one.limit_gy if one.comparison == ">=" else above(one.total_gy, one.limit_gy)

    @property
    def finding(self) -> str:
        """Dose, interval, goal or limit, and for whom that holds."""
        one = self.dose
        spread = (
            f"uncertainty not known: {self.deciding}"
            if self.low_gy is None or self.high_gy is None
            else f"95 %: {three(self.low_gy)} to {three(self.high_gy)} Gy"
        )
        before = f", {three(one.earlier_gy)} Gy of them by treatments before" if one.earlier_gy else ""
        what = f"goal of {three(one.limit_gy)} Gy" if one.comparison == ">=" else f"limit of {three(one.limit_gy)} Gy"
        return f"{three(one.total_gy)} Gy ({spread}{before}), {what} ({one.condition})"

    @property
    def words(self) -> str:
        """The same in short: "lungs 31.0 of 30.0 Gy (per treatment)"."""
        one = self.dose
        return f"{one.structure} {three(one.total_gy)} of {three(one.limit_gy)} Gy ({one.condition})"


def dose_interval(dose: JudgedDose, relative_sd: float) -> DoseInterval:
    """Mean plus and minus 1.96 standard uncertainties; `relative_sd` is that of a calibration that is not known.

    A dose with an interval of its own has that one. An uncertainty that is not known at all gives no interval,
    whatever `relative_sd` is.
    """
    if dose.sd_gy is None:
        unknown = DoseInterval(dose, None, None)
        return replace(unknown, is_near=unknown.deciding_sd_gy <= relative_sd * dose.dose_gy)
    if dose.interval_gy is not None:
        shown = replace(dose, interval_gy=widened(dose.interval_gy, 0.0 if dose.calibration_known else relative_sd))
        return DoseInterval(dose, *(shown.interval_total_gy or (None, None)))
    sd = dose.sd_gy if dose.calibration_known else math.hypot(dose.sd_gy, relative_sd * dose.dose_gy)
    before = dose.earlier_gy or 0.0
    return DoseInterval(
        dose, before + max(0.0, dose.dose_gy - SURE_Z * sd), before + max(0.0, dose.dose_gy) + SURE_Z * sd
    )


@dataclass(frozen=True, slots=True)
class AfterTopUp:
    """A limit as it would stand after a top-up.

    Attributes
    ----------
    structure : str
        Of the limit.
    dose_gy, limit_gy : float
        Dose of both injections, with earlier treatments where the limit is of all of them, and limit.
    low_gy, high_gy : float or None
        95 % interval of the dose; None where its uncertainty is not known.
    standing : {"kept", "open", "passed", "not known"}
        By the interval: "open" where the limit lies inside of it. Without one "passed" by the dose alone, else "not
        known".
    condition, source : str
        For whom the limit holds, and where it comes from.
    """

    structure: str
    dose_gy: float
    limit_gy: float
    low_gy: float | None
    high_gy: float | None
    standing: Standing
    condition: str
    source: str

    @property
    @reported
    def kept(self) -> bool:
        """Whether it would be kept for certain."""
        return self.standing == "kept"


@dataclass(frozen=True, slots=True)
class TopUp:
    """A second injection that would bring a structure to its goal, if it went where the first one went.

    Attributes
    ----------
    share : float
        Of the activity that was given.
    activity_gbq : float or None
        That share; None where the activity given is not known.
    aim_gy : float
        Dose that it aims at.
    aim : str
        What that is: the condition of the goal, or that the plan states it.
    allowed_share, allowed_gbq : float or None
        The most that keeps every limit with the upper end of its dose's interval, or with the dose itself where its
        uncertainty is not known; None where none of the liver, which a top-up always reaches, is among them.
    dose_allowed_gy : float or None
        Dose of the structure with that.
    limits : tuple of AfterTopUp
        Every limit that applies, with the full top-up.
    """

    share: float
    activity_gbq: float | None
    aim_gy: float
    aim: str
    allowed_share: float | None
    allowed_gbq: float | None
    dose_allowed_gy: float | None
    limits: tuple[AfterTopUp, ...]

    @property
    def keeps_limits(self) -> bool:
        """Whether every limit that applies is kept by it for certain."""
        return all(one.kept for one in self.limits)


def top_up(dose: JudgedDose, limits: Sequence[DoseInterval], given_gbq: float | None) -> TopUp:
    """What brings a structure to its goal, by linear scaling of this treatment's doses."""
    share = dose.limit_gy / dose.dose_gy - 1
    has_liver = any(limit.dose.role in LIVER for limit in limits)
    rooms = [_room(limit) for limit in limits if limit.dose.dose_gy > 0] if has_liver else []
    allowed = max(0.0, min(rooms)) if rooms else None
    return TopUp(
        share=share,
        activity_gbq=None if given_gbq is None else share * given_gbq,
        aim_gy=dose.limit_gy,
        aim=dose.condition,
        allowed_share=allowed,
        allowed_gbq=None if allowed is None or given_gbq is None else allowed * given_gbq,
        dose_allowed_gy=None if allowed is None else (1 + min(allowed, share)) * dose.dose_gy,
        limits=tuple(_after(limit, share) for limit in limits),
    )


def _room(limit: DoseInterval) -> float:
    """Share of this treatment that may be given once more until the upper end of the interval meets the limit."""
    before = limit.dose.earlier_gy or 0.0
    high = limit.dose.total_gy if limit.high_gy is None else limit.high_gy
    return (limit.dose.limit_gy - before) / (high - before) - 1


def _after(limit: DoseInterval, share: float) -> AfterTopUp:
    one, before = limit.dose, limit.dose.earlier_gy or 0.0
    low, high = (
        None if end is None else before + (1 + share) * (end - before) for end in (limit.low_gy, limit.high_gy)
    )
    dose = before + (1 + share) * one.dose_gy
    standing: Standing
    if low is None or high is None:
        standing = "passed" if above(dose, one.limit_gy) else "not known"
    else:
        standing = "kept" if not above(high, one.limit_gy) else "passed" if above(low, one.limit_gy) else "open"
    lacking = f"{one.condition}, {SUMS_LACKING}" if one.is_lifetime and one.earlier_gy is None else one.condition
    return AfterTopUp(one.structure, dose, one.limit_gy, low, high, standing, lacking, one.source)


def top_up_question(interval: DoseInterval, found: TopUp) -> str:
    """The question with its numbers: how much, where, which aim, and which limits it would meet."""
    one = interval.dose
    unsure = (
        ""
        if interval.certainty == "certain"
        else f"Its uncertainty is not known, so it may not be missed: {interval.deciding}. "
    )
    much = _amount(found.activity_gbq, found.share)
    # What is left of a volume has no artery of its own.
    way = "the way of this one" if one.role in REMAINDERS else f"the artery that feeds {one.structure}"
    text = (
        f"{unsure}Is a top-up through {way} to be considered? {much} would bring {one.structure} to "
        f"{three(found.aim_gy)} Gy, {'the aim that the plan states' if one.is_aim else 'the published goal'} ({LINEAR})"
    )
    if not found.limits:
        return f"{text}. {NO_LIVER_LIMIT}; what it does to liver and lungs is open"
    said = "; ".join(
        f"{row.structure} {three(row.dose_gy)} of {three(row.limit_gy)} Gy ({row.condition}){_standing(row)}"
        for row in found.limits
    )
    text += f". With it: {said}"
    if found.allowed_share is None:
        return f"{text}. {NO_LIVER_LIMIT}"
    if not found.keeps_limits and found.dose_allowed_gy is not None:
        most = _amount(found.allowed_gbq, found.allowed_share or 0.0)
        sure = "for certain"
        if any(row.standing == "not known" for row in found.limits):
            sure = "(by the dose alone where its uncertainty is not known)"
        room = f"{most} keeps every limit {sure} and gives it {three(found.dose_allowed_gy)} Gy"
        text += f". {room if found.allowed_share else f'No further activity by this way keeps every limit {sure}'}"
    return text


def _standing(row: AfterTopUp) -> str:
    if row.standing == "not known":
        return f": uncertainty not known, open from {three((row.limit_gy - row.dose_gy) / SURE_Z)} Gy (k = 1) on"
    return {"kept": "", "open": ": kept or passed is not certain", "passed": ": passed"}[row.standing]


LIVER = ("liver", "liver_lobe", "normal_liver", "perfused_normal", "perfused")
"""Roles of the liver and its parts."""

NO_LIVER_LIMIT = (
    "No limit of the liver is known for this agent, indication and intent, so no allowed activity is stated"
)

REMAINDERS = ("normal_liver", "perfused_normal")
"""Roles of what is left of liver or perfused volume without the tumours."""


def _amount(gbq: float | None, share: float) -> str:
    return f"{share:.0%} of what was given" if gbq is None else f"{three(gbq)} GBq ({share:.0%} of what was given)"
