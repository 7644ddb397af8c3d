"""What a missed goal, a passed limit or activity outside the liver asks of the team, as questions with their sources.

Nothing here is an order. A goal or limit inside of the interval of a dose is neither missed nor passed for certain, and
that is said. A statement without a published source is not made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hepatica.core.document import HIDDEN
from hepatica.core.numbers.wording import three
from hepatica.core.tables.shipped import toml_table
from hepatica.core.tables.table import Table
from hepatica.planning.delivery.concordance import LOST_SHARE, QUANTIFICATION_RELATIVE_SD, SURE_Z
from hepatica.planning.delivery.top_up import (
    LIVER,
    Certainty,
    DoseInterval,
    TopUp,
    dose_interval,
    top_up,
    top_up_question,
)
from hepatica.planning.measured.judged_doses import FoundElsewhere, JudgedTreatment

Kind = Literal["open", "untreated", "no top-up", "aim", "top-up", "watch", "mitigate"]

ABOUT: Mapping[str, tuple[str, ...]] = {
    "liver": LIVER,
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

CHEST = "chest"
"""How the hint of a place above the liver begins."""

LESIONS = ("tumour", "all_tumours")


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
    kind : {"open", "untreated", "no top-up", "aim", "top-up", "watch", "mitigate"}
        "open" asks for a better-known dose and suggests nothing else; "untreated" is a lesion that this treatment did
        not reach; "no top-up" a missed goal where a limit is passed already; "aim" a missed published goal where the
        plan states another one, which a top-up then aims at.
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
    is_of_lesion: bool = field(default=False, metadata=HIDDEN)


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
    found = [dose_interval(one, quantification_relative_sd) for one in treatment.doses]
    goals = [one for one in found if one.dose.comparison == ">="]
    limits = [one for one in found if one.dose.comparison == "<="]
    out: list[Suggestion] = []
    for one in goals:
        aims = [aim for aim in goals if aim.dose.is_aim and aim.dose.structure == one.dose.structure]
        share = (delivered_share or {}).get(one.dose.structure)
        out += _of_goal(one, aims, limits, (treatment.administered_gbq, share))
    out += _of_missed(out)
    for one in _worst(limits):
        out += _of_limit(one)
    for place in treatment.elsewhere:
        out += _of_place(place)
    return tuple(dict.fromkeys(out))


def _worst(limits: Sequence[DoseInterval]) -> list[DoseInterval]:
    """Of each structure the limit that it is furthest beyond."""
    kept: dict[str, DoseInterval] = {}
    for one in limits:
        there = kept.get(one.dose.structure)
        if there is None or _part_used(one) > _part_used(there):
            kept[one.dose.structure] = one
    return list(kept.values())


def _part_used(one: DoseInterval) -> float:
    return one.dose.total_gy / one.dose.limit_gy if one.dose.limit_gy > 0 else math.inf


def _made(one: DoseInterval, kind: Kind, question: str, source: str, found: TopUp | None = None) -> Suggestion:
    return Suggestion(
        structure=one.dose.structure, finding=one.finding, certainty=one.certainty, kind=kind, question=question,
        source=source, dose_gy=one.dose.total_gy, low_gy=one.low_gy, high_gy=one.high_gy, limit_gy=one.dose.limit_gy,
        top_up=found, is_of_lesion=one.dose.role in LESIONS,
    )  # fmt: skip


def _statements(about: str) -> Iterator[tuple[Kind, str, str]]:
    for row in toml_table(__package__, "suggestions.toml")["statement"]:
        if row["about"] == about:
            yield row["kind"], row["question"], row["source"]


def _of_goal(
    one: DoseInterval,
    aims: Sequence[DoseInterval],
    limits: Sequence[DoseInterval],
    given: tuple[float | None, float | None],
) -> Iterator[Suggestion]:
    """Of a goal; `given` are the activity given in GBq and the share of the planned dose that was delivered."""
    given_gbq, share = given
    passed = [limit for limit in limits if limit.is_beyond]
    if _is_untreated(one, share):
        yield _made(one, "untreated", _of_untreated(share, passed), one.dose.source)
    elif one.certainty == "open":
        text = (
            "The goal lies inside of the interval: neither reached nor missed for certain, and no top-up follows from "
            "it. Would a better-known dose (calibration, recovery, contour) decide?"
        )
        yield _made(one, "open", text, one.dose.source)
    elif not one.is_beyond:
        if one.is_near:
            yield _made(
                one,
                "open",
                f"The goal is reached, but the uncertainty of the dose is not known: {one.deciding}. Would it decide?",
                one.dose.source,
            )
    elif passed:
        said = "; ".join(limit.words + _doubt(limit) for limit in passed)
        text = f"{PASSED}: {said}. What else is there for {one.dose.structure}?"
        yield _made(one, "no top-up", text, one.dose.source)
    elif aims and not one.dose.is_aim:
        stated = ", ".join(f"{three(aim.dose.limit_gy)} Gy" for aim in aims)
        text = (
            f"The goal is the published one; the plan states an aim of {stated}, and a top-up is worked out for that "
            "alone. Is the aim meant to differ from the goal?"
        )
        yield _made(one, "aim", text, one.dose.source)
    else:
        found = top_up(one.dose, limits, given_gbq)
        yield _made(one, "top-up", top_up_question(one, found), one.dose.source, found)


PASSED = "The goal is missed, and no top-up is suggested, since a limit is passed already"


def _doubt(limit: DoseInterval) -> str:
    return {"certain": "", "open": ", not for certain", "not known": ", uncertainty not known"}[limit.certainty]


def _is_untreated(one: DoseInterval, share: float | None) -> bool:
    """A lesion that this treatment did not reach: by what was planned for it, or by its goal."""
    if one.dose.role not in LESIONS or not one.is_beyond:
        return False
    lost = share is not None and share < LOST_SHARE
    return lost or one.dose.dose_gy < LOST_SHARE * one.dose.limit_gy


def _of_untreated(share: float | None, passed: Sequence[DoseInterval]) -> str:
    got = "" if share is None else f"It got {share:.0%} of what was planned. "
    limits = f". Passed already: {'; '.join(limit.words for limit in passed)}" if passed else ""
    return (
        f"{got}Is it fed by another artery, or was the catheter elsewhere? No activity is worked out: what did not "
        f"reach it once will not by the same way{limits}"
    )


def _of_missed(asked: Sequence[Suggestion]) -> Iterator[Suggestion]:
    """What is published of going on after a missed goal, once for all of them; nothing where no top-up is asked for."""
    names = dict.fromkeys(one.structure for one in asked if one.kind == "top-up")
    of_lesions = ("top-up", "no top-up", "aim")
    lesions = dict.fromkeys(one.structure for one in asked if one.kind in of_lesions and one.is_of_lesion)
    for kind, question, source in _statements("tumour"):
        # Ablation is of a lesion; a second injection is of whatever the artery feeds.
        of = names if kind == "top-up" else lesions
        if of:
            yield Suggestion(", ".join(of), "below the goal", "certain", kind, question, source)


def _of_limit(one: DoseInterval) -> Iterator[Suggestion]:
    if not one.is_beyond and one.certainty != "open":
        if one.is_near:
            yield _made(
                one,
                "open",
                f"The limit is kept, but the uncertainty of the dose is not known: {one.deciding}. Would it decide?",
                one.dose.source,
            )
        return
    about = next((name for name, roles in ABOUT.items() if one.dose.role in roles), "")
    doubt = {
        "certain": "",
        "open": "The limit lies inside of the interval: passed or kept is not certain. ",
        "not known": f"Its uncertainty is not known, so it may be kept: {one.deciding}. ",
    }[one.certainty]
    for kind, question, source in _statements(about):
        if kind == "mitigate" and one.certainty == "open":
            continue
        yield _made(one, kind, doubt + question, source)


def _of_place(place: FoundElsewhere) -> Iterator[Suggestion]:
    # Above the liver lie heart and oesophagus: no place in the chest is one of the gut, whose ulcers are asked about.
    hint = "" if place.hint.startswith(CHEST) else place.hint
    words = f"{place.organ.replace('_', ' ')} {hint}".lower()
    certain = _certainty(place)
    doubt = {
        "certain": "",
        "open": "How much activity it is is not certain: the interval holds none. ",
        "not known": "The uncertainty of that amount is not known: the image does not tell its noise. ",
    }[certain]
    low, high, interval = _interval(place)
    where = f" (may be {place.hint})" if place.hint and not place.organ else ""
    finding = f"{100 * place.share:.2g} % of the image, {three(place.dose_gy)} Gy (95 %: {interval}){where}"
    for about, hints in HINTS.items():
        if not any(hint in words for hint in hints):
            continue
        for kind, question, source in _statements(about):
            if kind != "mitigate" or certain != "open":
                yield Suggestion(place.name, finding, certain, kind, doubt + question, source, place.dose_gy, low, high)


def _certainty(place: FoundElsewhere) -> Certainty:
    if place.share_sd is None:
        return "not known"
    return "certain" if place.share - SURE_Z * place.share_sd > 0 else "open"


def _interval(place: FoundElsewhere) -> tuple[float | None, float | None, str]:
    """Lower and upper end of the dose, and both in words."""
    if place.dose_sd_gy is None:
        return None, None, "not known"
    low, high = (max(0.0, place.dose_gy + sign * SURE_Z * place.dose_sd_gy) for sign in (-1, 1))
    return low, high, f"{three(low)} to {three(high)} Gy"


def suggestions_table(rows: Sequence[Suggestion]) -> Table:
    """What was found and what it asks, each with its source."""
    cells = [(one.structure, one.finding, one.kind, one.question, one.source) for one in rows]
    columns = ("structure", "found", "about", "question for the team", "source")
    return Table.of(columns, cells, "Questions for the team", "suggestions")
