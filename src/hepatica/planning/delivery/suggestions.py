"""What a missed goal, a passed limit or activity outside the liver asks of the team, as questions with their sources.

Nothing here is an order. A goal or limit inside of the interval of a dose is neither missed nor passed for certain, and
that is said. A statement without a published source is not made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hepatica.core.numbers.wording import three
from hepatica.core.tables.shipped import toml_table
from hepatica.core.tables.table import Table
from hepatica.planning.delivery.concordance import LOST_SHARE, QUANTIFICATION_RELATIVE_SD, SURE_Z
from hepatica.planning.measured.judged_doses import FoundElsewhere, JudgedDose, JudgedTreatment

Kind = Literal["open", "top-up", "watch", "mitigate"]
Certainty = Literal["certain", "open", "not known"]

ABOUT: Mapping[str, tuple[str, ...]] = {
    "liver": ("liver", "liver_lobe", "normal_liver", "perfused_normal", "perfused"),
    "lung": ("lung", "lung_left", "lung_right", "lung_less_dome"),
    "gut": ("stomach", "duodenum", "small_bowel", "colon", "bowel", "oesophagus"),
    "gallbladder": ("gallbladder",),
}
"""What statements are about -> roles of structures."""

HINTS: Mapping[str, tuple[str, ...]] = {
    "gut": ("stomach", "duoden", "bowel", "colon", "colic", "jejun", "ileum", "oesophag"),
    "gallbladder": ("gallbladder",),
    "lung": ("lung",),
}
"""What statements are about -> words of what lies in most people where a place was found."""

LESIONS = ("tumour", "all_tumours")

LINEAR = "doses grow with the activity if it goes where this one went"


@dataclass(frozen=True, slots=True)
class AfterTopUp:
    """A limit as it would stand after a top-up.

    Attributes
    ----------
    structure : str
        Of the limit.
    dose_gy, limit_gy : float
        Dose of both injections, and limit.
    kept : bool
        Whether it would be kept.
    source : str
        Of the limit.
    """

    structure: str
    dose_gy: float
    limit_gy: float
    kept: bool
    source: str


@dataclass(frozen=True, slots=True)
class TopUp:
    """A second injection that would bring a structure to its goal, if it went where the first one went.

    Attributes
    ----------
    share : float
        Of the activity that was given.
    activity_gbq : float or None
        That share; None where the activity given is not known.
    allowed_share, allowed_gbq : float or None
        The most that keeps every limit; None where no limit applies.
    dose_allowed_gy : float or None
        Dose of the structure with that.
    limits : tuple of AfterTopUp
        Every limit that applies, with the full top-up.
    """

    share: float
    activity_gbq: float | None
    allowed_share: float | None
    allowed_gbq: float | None
    dose_allowed_gy: float | None
    limits: tuple[AfterTopUp, ...]

    @property
    def keeps_limits(self) -> bool:
        """Whether every limit that applies is kept by it."""
        return all(one.kept for one in self.limits)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One question for the team.

    Attributes
    ----------
    structure : str
        Lesion, organ or place.
    finding : str
        What was found: dose, interval, goal or limit.
    certainty : {"certain", "open", "not known"}
        Whether goal or limit lies outside of the interval; "open" if inside; "not known" without an uncertainty.
    kind : {"open", "top-up", "watch", "mitigate"}
        "open" asks for a better-known dose and suggests nothing else.
    question : str
        For the team.
    source : str
        Publication that states it; of a goal or limit with numbers of this treatment, that of the goal or limit.
    dose_gy, low_gy, high_gy : float or None
        Mean dose and its 95 % interval.
    limit_gy : float or None
        Goal or limit.
    top_up : TopUp or None
        Of a top-up that was worked out.
    """

    structure: str
    finding: str
    certainty: Certainty
    kind: Kind
    question: str
    source: str
    dose_gy: float | None = None
    low_gy: float | None = None
    high_gy: float | None = None
    limit_gy: float | None = None
    top_up: TopUp | None = None


@dataclass(frozen=True, slots=True)
class _Interval:
    """A dose beside its goal or limit."""

    dose: JudgedDose
    low_gy: float | None
    high_gy: float | None

    @property
    def certainty(self) -> Certainty:
        if self.low_gy is None or self.high_gy is None:
            return "not known"
        return "open" if self.low_gy <= self.dose.limit_gy <= self.high_gy else "certain"

    @property
    def is_beyond(self) -> bool:
        """Whether the dose itself is on the wrong side."""
        one = self.dose
        return one.dose_gy < one.limit_gy if one.comparison == ">=" else one.dose_gy > one.limit_gy

    @property
    def finding(self) -> str:
        one = self.dose
        spread = (
            "uncertainty not known"
            if self.low_gy is None or self.high_gy is None
            else f"95 %: {three(self.low_gy)} to {three(self.high_gy)} Gy"
        )
        what = f"goal of {three(one.limit_gy)} Gy" if one.comparison == ">=" else f"limit of {three(one.limit_gy)} Gy"
        return f"{three(one.dose_gy)} Gy ({spread}), {what} ({one.condition})"


def suggestions(
    treatment: JudgedTreatment,
    *,
    delivered_share: Mapping[str, float] | None = None,
    quantification_relative_sd: float = QUANTIFICATION_RELATIVE_SD,
) -> tuple[Suggestion, ...]:
    """Questions that a treatment asks, lesions first.

    Parameters
    ----------
    treatment : JudgedTreatment
        Doses beside the goals and limits that apply, and places outside liver and lungs.
    delivered_share : mapping of str to float, optional
        Structure -> delivered over planned dose; below `LOST_SHARE` no activity is worked out, since what did not get
        there once will not get there twice.
    quantification_relative_sd : float
        Relative standard uncertainty of a dose whose calibration is not known.

    Notes
    -----
    The interval is the mean plus and minus 1.96 standard uncertainties. A top-up by linear scaling of this treatment's
    doses, all of one distribution: an injection nearer to the lesion spares more, and that is not in it. Doses of both
    injections are added; their BED is not.
    """
    found = [_interval(one, quantification_relative_sd) for one in treatment.doses]
    goals = [one for one in found if one.dose.comparison == ">="]
    limits = [one for one in found if one.dose.comparison == "<="]
    out: list[Suggestion] = []
    for one in goals:
        out += _of_goal(one, limits, treatment.administered_gbq, (delivered_share or {}).get(one.dose.structure))
    missed = [one for one in goals if one.is_beyond and one.certainty != "open"]
    out += _of_missed(missed)
    for one in _worst(limits):
        out += _of_limit(one)
    for place in treatment.elsewhere:
        out += _of_place(place)
    return tuple(dict.fromkeys(out))


def _interval(dose: JudgedDose, relative_sd: float) -> _Interval:
    if dose.sd_gy is None:
        return _Interval(dose, None, None)
    sd = dose.sd_gy if dose.calibration_known else math.hypot(dose.sd_gy, relative_sd * dose.dose_gy)
    return _Interval(dose, max(0.0, dose.dose_gy - SURE_Z * sd), dose.dose_gy + SURE_Z * sd)


def _worst(limits: Sequence[_Interval]) -> list[_Interval]:
    """Of each structure the limit that it is furthest beyond."""
    kept: dict[str, _Interval] = {}
    for one in limits:
        there = kept.get(one.dose.structure)
        if there is None or one.dose.limit_gy < there.dose.limit_gy:
            kept[one.dose.structure] = one
    return list(kept.values())


def _made(one: _Interval, kind: Kind, question: str, source: str, top_up: TopUp | None = None) -> Suggestion:
    return Suggestion(
        structure=one.dose.structure, finding=one.finding, certainty=one.certainty, kind=kind, question=question,
        source=source, dose_gy=one.dose.dose_gy, low_gy=one.low_gy, high_gy=one.high_gy, limit_gy=one.dose.limit_gy,
        top_up=top_up,
    )  # fmt: skip


def _statements(about: str) -> Iterator[tuple[Kind, str, str]]:
    for row in toml_table(__package__, "suggestions.toml")["statement"]:
        if row["about"] == about:
            yield row["kind"], row["question"], row["source"]


def _of_goal(
    one: _Interval, limits: Sequence[_Interval], given_gbq: float | None, share: float | None
) -> Iterator[Suggestion]:
    if one.certainty == "open":
        text = (
            "The goal lies inside of the interval: neither reached nor missed for certain, and no top-up follows from "
            "it. Would a better-known dose (calibration, recovery, contour) decide?"
        )
        yield _made(one, "open", text, one.dose.source)
        return
    if not one.is_beyond:
        return
    if share is not None and share < LOST_SHARE:
        text = (
            f"It got {share:.0%} of what was planned. Was the catheter elsewhere, or is it fed by another artery? No "
            "activity is worked out: what did not reach it once will not by the same way"
        )
        yield _made(one, "top-up", text, one.dose.source)
    elif one.dose.dose_gy > 0:
        top_up = _top_up(one.dose, [limit.dose for limit in limits], given_gbq)
        yield _made(one, "top-up", _asked(one, top_up), one.dose.source, top_up)


def _of_missed(missed: Sequence[_Interval]) -> Iterator[Suggestion]:
    """What is published of going on after a missed goal, once for all of them."""
    names = dict.fromkeys(one.dose.structure for one in missed)
    lesions = dict.fromkeys(one.dose.structure for one in missed if one.dose.role in LESIONS)
    for kind, question, source in _statements("tumour"):
        # Ablation is of a lesion; a second injection is of whatever the artery feeds.
        of = names if kind == "top-up" else lesions
        if of:
            yield Suggestion(", ".join(of), "below the goal", "certain", kind, question, source)


def _top_up(dose: JudgedDose, limits: Sequence[JudgedDose], given_gbq: float | None) -> TopUp:
    share = dose.limit_gy / dose.dose_gy - 1
    after = tuple(
        AfterTopUp(
            f"{limit.structure} (all treatments, those before not in it)" if limit.is_lifetime else limit.structure,
            (1 + share) * limit.dose_gy, limit.limit_gy,
            (1 + share) * limit.dose_gy <= limit.limit_gy, limit.source,
        )
        for limit in limits
    )  # fmt: skip
    rooms = [limit.limit_gy / limit.dose_gy - 1 for limit in limits if limit.dose_gy > 0]
    allowed = max(0.0, min(rooms)) if rooms else None
    return TopUp(
        share=share,
        activity_gbq=None if given_gbq is None else share * given_gbq,
        allowed_share=allowed,
        allowed_gbq=None if allowed is None or given_gbq is None else allowed * given_gbq,
        dose_allowed_gy=None if allowed is None else (1 + min(allowed, share)) * dose.dose_gy,
        limits=after,
    )


def _asked(one: _Interval, top_up: TopUp) -> str:
    """The question with its numbers: how much, where, and which limits it would meet."""
    unsure = "" if one.certainty == "certain" else "Its uncertainty is not known, so it may not be missed. "
    much = _amount(top_up.activity_gbq, top_up.share)
    text = (
        f"{unsure}Is a top-up through the artery that feeds {one.dose.structure} to be considered? {much} would bring "
        f"it to {three(one.dose.limit_gy)} Gy ({LINEAR})"
    )
    if not top_up.limits:
        return f"{text}. No limit applies to indication and intent as stated: what it does to liver and lungs is open"
    said = "; ".join(
        f"{row.structure} {three(row.dose_gy)} of {three(row.limit_gy)} Gy{'' if row.kept else ', passed'}"
        for row in top_up.limits
    )
    text += f". With it: {said}"
    if not top_up.keeps_limits and top_up.dose_allowed_gy is not None:
        most = _amount(top_up.allowed_gbq, top_up.allowed_share or 0.0)
        room = f"{most} keeps every limit and gives it {three(top_up.dose_allowed_gy)} Gy"
        text += f". {room if top_up.allowed_share else 'No further activity by this way keeps every limit'}"
    return text


def _amount(gbq: float | None, share: float) -> str:
    return f"{share:.0%} of what was given" if gbq is None else f"{three(gbq)} GBq ({share:.0%} of what was given)"


def _of_limit(one: _Interval) -> Iterator[Suggestion]:
    if not one.is_beyond and one.certainty != "open":
        return
    about = next((name for name, roles in ABOUT.items() if one.dose.role in roles), "")
    doubt = {
        "certain": "",
        "open": "The limit lies inside of the interval: passed or kept is not certain. ",
        "not known": "Its uncertainty is not known, so it may be kept. ",
    }[one.certainty]
    for kind, question, source in _statements(about):
        if kind == "mitigate" and one.certainty == "open":
            continue
        yield _made(one, kind, doubt + question, source)


def _of_place(place: FoundElsewhere) -> Iterator[Suggestion]:
    low, high = (max(0.0, place.dose_gy + sign * SURE_Z * place.dose_sd_gy) for sign in (-1, 1))
    words = f"{place.organ.replace('_', ' ')} {place.hint}".lower()
    certain: Certainty = "certain" if place.share - SURE_Z * place.share_sd > 0 else "open"
    doubt = "" if certain == "certain" else "How much activity it is is not certain: the interval holds none. "
    where = f" (may be {place.hint})" if place.hint and not place.organ else ""
    finding = (
        f"{100 * place.share:.2g} % of the image, {three(place.dose_gy)} Gy (95 %: {three(low)} to {three(high)} Gy)"
        f"{where}"
    )
    for about, hints in HINTS.items():
        if not any(hint in words for hint in hints):
            continue
        for kind, question, source in _statements(about):
            if kind != "mitigate" or certain == "certain":
                yield Suggestion(place.name, finding, certain, kind, doubt + question, source, place.dose_gy, low, high)


def suggestions_table(rows: Sequence[Suggestion]) -> Table:
    """What was found and what it asks, each with its source."""
    cells = [(one.structure, one.finding, one.kind, one.question, one.source) for one in rows]
    columns = ("structure", "found", "about", "question for the team", "source")
    return Table.of(columns, cells, "Questions for the team", "suggestions")
