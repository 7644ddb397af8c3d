"""Tumour response by the published criteria, per lesion and per patient, with confirmation.

References
----------
.. [1] Eisenhauer EA et al. Eur J Cancer 2009;45:228 (RECIST 1.1).
.. [2] Lencioni R, Llovet JM. Semin Liver Dis 2010;30:52 (mRECIST: no 5 mm rule).
.. [3] Bruix J et al. J Hepatol 2001;35:421 (EASL).
.. [4] Chapiro J et al. Radiology 2015;275:438 (qEASL); the volume limits are those of a sphere whose diameter changes
   by -30 and +20 %.
.. [5] Wahl RL et al. J Nucl Med 2009;50 Suppl 1:122S (PERCIST); Young H et al. Eur J Cancer 1999;35:1773 (EORTC).
.. [6] Choi H et al. J Clin Oncol 2007;25:1753.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hepatica.errors import EvidenceError, UnknownNameError


class Response(StrEnum):
    """Response categories; the metabolic ones (CMR, PMR, SMD, PMD) are written with these letters too."""

    CR = "CR"
    PR = "PR"
    SD = "SD"
    PD = "PD"
    NE = "NE"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a criterion reads a change.

    Attributes
    ----------
    name, quantity, unit : str
        "mrecist"; what is measured and in what unit; the sum over target lesions counts.
    partial : float
        Relative decrease from baseline for a partial response (0.30).
    progression : float
        Relative increase over the smallest value (nadir; baseline for metabolic criteria) for progression.
    partial_absolute, progression_absolute : float
        Absolute change needed besides.
    measurable : float
        Smallest baseline value of a target lesion.
    from_nadir : bool
        Whether progression counts from the nadir.
    any_lesion_progresses : bool
        Whether one growing lesion is enough (EASL).
    source : str
        Publication.
    """

    name: str
    quantity: str
    unit: str
    partial: float
    progression: float
    partial_absolute: float = 0.0
    progression_absolute: float = 0.0
    measurable: float = 0.0
    from_nadir: bool = True
    any_lesion_progresses: bool = False
    source: str = ""


RULES = {
    r.name: r
    for r in (
        Rule("recist", "longest diameter", "mm", 0.30, 0.20, 0, 5, 10, source="RECIST 1.1, Eur J Cancer 2009;45:228"),
        Rule("mrecist", "viable diameter", "mm", 0.30, 0.20, 0, 0, 10, source="Semin Liver Dis 2010;30:52"),
        Rule(
            "easl", "viable area", "mm2", 0.50, 0.25, any_lesion_progresses=True, source="EASL, J Hepatol 2001;35:421"
        ),
        Rule(
            "qeasl", "viable volume", "mL", 1 - 0.7**3, 1.2**3 - 1, source="qEASL; -30 and +20 % of a sphere's diameter"
        ),
        Rule("volume", "volume", "mL", 1 - 0.7**3, 1.2**3 - 1, source="-30 and +20 % of a sphere's diameter"),
        Rule(
            "percist",
            "SULpeak",
            "SUL",
            0.30,
            0.30,
            0.8,
            0.8,
            from_nadir=False,
            source="PERCIST 1.0, J Nucl Med 2009;50:122S",
        ),
        Rule("eortc", "SUV", "SUV", 0.25, 0.25, from_nadir=False, source="EORTC, Eur J Cancer 1999;35:1773"),
    )
}


def rule(name: str) -> Rule:
    """A criterion by name; UnknownNameError lists them."""
    if name not in RULES:
        raise UnknownNameError("response criterion", name, (*RULES, "choi"))
    return RULES[name]


def change_response(
    baseline: Sequence[float], nadir: float, now: Sequence[float], criterion: Rule
) -> tuple[Response, float, float]:
    """Response of target lesions to a criterion.

    Parameters
    ----------
    baseline, now : sequence of float
        Value of each target lesion, same order; 0 means that nothing is left to measure.
    nadir : float
        Smallest sum so far, baseline included.
    criterion : Rule
        From `rule`.

    Returns
    -------
    response : Response
        CR if every value is 0; NE if there is no baseline.
    change : float
        Relative change of the sum from baseline.
    change_from_reference : float
        Relative change of the sum from the nadir (or baseline) that progression is counted from.

    Examples
    --------
    >>> change_response([40, 20], 60, [28, 13], rule("recist"))[0].value
    'PR'
    """
    start, total = math.fsum(baseline), math.fsum(now)
    if len(baseline) != len(now):
        raise EvidenceError(f"{len(baseline)} lesions at baseline, {len(now)} now; measure the same ones")
    if start <= 0:
        return Response.NE, math.nan, math.nan
    reference = nadir if criterion.from_nadir else start
    change = (total - start) / start
    # After a complete response any regrowth is progression, however small.
    rise = (total - reference) / reference if reference > 0 else (math.inf if total > 0 else 0.0)
    if total == 0:
        return Response.CR, change, rise
    tolerance = 1e-9
    far_enough = reference == 0 or total - reference >= criterion.progression_absolute - tolerance
    grown = rise >= criterion.progression - tolerance and far_enough
    if criterion.any_lesion_progresses:
        grown = grown or any(
            n >= b * (1 + criterion.progression) - tolerance > 0 for b, n in zip(baseline, now, strict=True)
        )
    if grown:
        return Response.PD, change, rise
    if change <= -criterion.partial + tolerance and start - total >= criterion.partial_absolute - tolerance:
        return Response.PR, change, rise
    return Response.SD, change, rise


def percist_least_sul(liver_mean: float, liver_sd: float) -> float:
    """Least SULpeak of a measurable lesion at baseline: 1.5 times the liver's mean plus 2 standard deviations [5]_.

    >>> round(percist_least_sul(1.6, 0.3), 9)
    3.0
    """
    if liver_mean <= 0 or liver_sd < 0:
        raise EvidenceError(f"the liver's SUL must be positive, not {liver_mean} (sd {liver_sd})")
    return 1.5 * liver_mean + 2 * liver_sd


def choi_response(
    *, size_before_mm: float, size_now_mm: float, density_before_hu: float, density_now_hu: float
) -> Response:
    """Choi criteria: PR for 10 % smaller or 15 % less dense; PD for 10 % larger without that loss of density."""
    if size_before_mm <= 0 or density_before_hu <= 0:
        raise EvidenceError("Choi criteria need a baseline size and a baseline density above zero")
    if size_now_mm == 0:
        return Response.CR
    size = size_now_mm / size_before_mm - 1
    density = density_now_hu / density_before_hu - 1
    less_dense = density <= -0.15 + 1e-9
    if size <= -0.10 + 1e-9 or (less_dense and size < 0.10 - 1e-9):
        return Response.PR
    if size >= 0.10 - 1e-9 and not less_dense:
        return Response.PD
    return Response.PR if less_dense else Response.SD


def overall_response(target: Response, non_target: str, new_lesion: bool) -> Response:
    """Response at one time from target lesions, other lesions and new ones (RECIST 1.1, tables 1 and 2).

    Parameters
    ----------
    target : Response
        Of the target lesions.
    non_target : str
        "none" (there are none), "CR", "non-CR/non-PD", "PD" or "NE".
    new_lesion : bool
        Whether a new lesion has appeared.
    """
    known = ("none", "CR", "non-CR/non-PD", "PD", "NE")
    if non_target not in known:
        raise UnknownNameError("non-target response", non_target, known)
    if new_lesion or Response.PD in (target, non_target):
        return Response.PD
    if target is Response.NE:
        return Response.NE
    if target is Response.CR:
        return Response.CR if non_target in ("none", "CR") else Response.PR
    return target


@dataclass(frozen=True, slots=True)
class Visit:
    """Overall response at one date."""

    when: datetime.date
    response: Response


@dataclass(frozen=True, slots=True)
class BestResponse:
    """Best overall response: category, date of first occurrence, whether it was confirmed, why."""

    response: Response
    date: datetime.date | None
    confirmed: bool
    reason: str


def best_response(
    start: datetime.date,
    visits: Sequence[Visit],
    *,
    confirm: bool = True,
    confirmation_days: float = 28,
    stable_days: int = 42,
) -> BestResponse:
    """Best overall response up to progression (RECIST 1.1, table 3).

    Parameters
    ----------
    start : datetime.date
        Treatment or baseline.
    visits : sequence of Visit
        In any order.
    confirm : bool
        Whether CR and PR need a second assessment at least `confirmation_days` later.
    confirmation_days, stable_days : float, int
        4 weeks; 6 weeks until SD may be stated.
    """
    ordered = sorted(visits, key=lambda v: v.when)
    if any(v.when < start for v in ordered):
        raise EvidenceError(f"a response is dated before the start, {start}")
    if len({v.when for v in ordered}) != len(ordered):
        raise EvidenceError("two responses have the same date")
    until = next((n for n, v in enumerate(ordered) if v.response is Response.PD), len(ordered))
    before = ordered[:until]
    for level, enough in ((Response.CR, {Response.CR}), (Response.PR, {Response.CR, Response.PR})):
        for n, v in enumerate(before):
            if v.response not in enough:
                continue
            if not confirm:
                return BestResponse(level, v.when, False, "no confirmation asked for")
            for later in before[n + 1 :]:
                if (later.when - v.when).days >= confirmation_days and later.response in enough:
                    return BestResponse(level, v.when, True, f"confirmed on {later.when}")
                if later.response not in (*enough, Response.NE):
                    break
    stable = [v for v in before if v.response in (Response.CR, Response.PR, Response.SD)]
    late = [v for v in stable if (v.when - start).days >= stable_days]
    if late:
        unconfirmed = any(v.response is not Response.SD for v in stable)
        why = "response was not confirmed" if unconfirmed else f"stable on {late[0].when}"
        return BestResponse(Response.SD, late[0].when, False, why)
    if until < len(ordered):
        return BestResponse(Response.PD, ordered[until].when, False, "progression")
    return BestResponse(Response.NE, None, False, f"no assessment {stable_days} days or more after the start")
