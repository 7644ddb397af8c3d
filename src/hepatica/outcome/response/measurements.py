"""From measurements of lesions at their dates to response per lesion and per patient."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hepatica.core.document import INLINE
from hepatica.core.message import Message
from hepatica.outcome.response.criteria import (
    BestResponse,
    Response,
    change_response,
    choi_response,
    overall_response,
    percist_least_sul,
    rule,
)

Criterion = Literal["recist", "mrecist", "easl", "qeasl", "volume", "percist", "eortc", "choi"]

MAX_TARGETS: Mapping[str, int] = {"recist": 5, "mrecist": 5, "easl": 5, "percist": 5}
"""Most target lesions of a patient."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One lesion at one date.

    Attributes
    ----------
    row : int
        Where it stands in its table, from 0.
    patient, lesion : str
        Of whom, which.
    date : date
        Of the image.
    value : float
        In the quantity of the criterion; 0 where the lesion is gone.
    density_hu : float
        For Choi; nan for the others.
    is_target, is_new, is_node : bool
        Whether it is a target lesion, a new one, a lymph node (value is its short axis).
    non_target : str
        What is said of the other lesions at that date; "" where nothing is.
    liver_sul : tuple of float
        PERCIST: mean and standard deviation in the normal liver; nan where not stated.
    """

    row: int
    patient: str
    lesion: str
    date: datetime.date
    value: float
    density_hu: float
    is_target: bool
    is_new: bool
    non_target: str
    is_node: bool
    liver_sul: tuple[float, float] = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row: with its "lesion" or its "value"."""

    row: int
    what: Literal["lesion", "value"]
    text: str


@dataclass(frozen=True, slots=True)
class LesionResponse:
    """One lesion at one visit: value, change from baseline, category."""

    patient: str
    lesion: str
    date: datetime.date
    value: float
    relative_change: float
    response: Response


@dataclass(frozen=True, slots=True)
class PatientVisit:
    """One patient at one visit: sum over target lesions, changes, target and overall response."""

    patient: str
    date: datetime.date
    sum: float
    relative_change: float
    relative_change_from_reference: float
    target_response: Response
    overall_response: Response


@dataclass(frozen=True, slots=True)
class PatientBest:
    """Best response of one patient."""

    patient: str
    best: BestResponse = field(metadata=INLINE)


def baseline_of(own: Sequence[Measurement]) -> datetime.date:
    """First date of a patient."""
    return min(m.date for m in own)


def baseline_faults(own: Sequence[Measurement], criterion: Criterion) -> Iterator[Fault]:
    """What keeps a patient's measurements from being read by a criterion."""
    start, patient = baseline_of(own), own[0].patient
    targets = {m.lesion: m for m in own if m.date == start and m.is_target}
    if not targets:
        yield Fault(own[0].row, "lesion", f"{patient} has no target lesion at baseline ({start})")
    most = MAX_TARGETS.get(criterion)
    if most is not None and len(targets) > most:
        text = f"{patient} has {len(targets)} target lesions; {criterion} takes {most} at most"
        yield Fault(own[0].row, "lesion", text)
    smallest = 0.0 if criterion == "choi" else rule(criterion).measurable
    for m in targets.values():
        mean, sd = m.liver_sul
        uptake = 0.0 if math.isnan(mean + sd) else round(percist_least_sul(mean, sd), 9)
        least = 15.0 if m.is_node else max(smallest, uptake)
        if m.value < least or m.value == 0:
            text = f"{m.value:g} at baseline is not measurable by {criterion}"
            yield Fault(m.row, "value", text + (f" (at least {least:g})" if least else ""))
    for when in sorted({m.date for m in own if m.date > start}):
        present = {m.lesion: m.row for m in own if m.date == when and m.is_target}
        at = next(m.row for m in own if m.date == when)
        for lesion in targets.keys() - present.keys():
            text = f"{patient}: target lesion {lesion!r} is missing on {when} (write 0 if it is gone)"
            yield Fault(at, "lesion", text)
        for lesion in present.keys() - targets.keys():
            yield Fault(present[lesion], "lesion", f"{lesion!r} has no baseline; mark it new=1 if it is new")


def course(own: Sequence[Measurement], criterion: Criterion) -> tuple[list[LesionResponse], list[PatientVisit]]:
    """Response of each lesion and of the patient at every visit after the baseline."""
    start, patient = baseline_of(own), own[0].patient
    base = {m.lesion: m for m in own if m.date == start and m.is_target}
    lesions: list[LesionResponse] = []
    visits: list[PatientVisit] = []
    nadir = math.fsum(m.value for m in base.values())
    low = {name: m.value for name, m in base.items()}
    for when in sorted({m.date for m in own if m.date > start}):
        here = {m.lesion: m for m in own if m.date == when and m.is_target}
        for name, before in base.items():
            response, change = _one(before, here[name], low[name], criterion)
            lesions.append(LesionResponse(patient, name, when, here[name].value, change, response))
            low[name] = min(low[name], here[name].value)
        total = math.fsum(m.value for m in here.values())
        target, change, rise = _together(base, here, nadir, criterion)
        others = next((m.non_target for m in own if m.date == when and m.non_target), "none")
        new = any(m.is_new for m in own if m.date == when)
        overall = overall_response(target, others, new)
        visits.append(PatientVisit(patient, when, total, change, rise, target, overall))
        nadir = min(nadir, total)
    return lesions, visits


def _one(before: Measurement, now: Measurement, nadir: float, criterion: Criterion) -> tuple[Response, float]:
    if criterion == "choi":
        return _choi([before], [now]), now.value / before.value - 1
    response, change, _ = change_response([before.value], nadir, [now.value], rule(criterion))
    return response, change


def _together(
    base: Mapping[str, Measurement], here: Mapping[str, Measurement], nadir: float, criterion: Criterion
) -> tuple[Response, float, float]:
    before, now = list(base.values()), [here[name] for name in base]
    if criterion == "choi":
        start, total = math.fsum(m.value for m in before), math.fsum(m.value for m in now)
        return _choi(before, now), total / start - 1, total / start - 1
    if criterion in ("percist", "eortc"):
        # The hottest lesion at each time counts, whichever it is (PERCIST 1.0).
        hot, left = max(m.value for m in before), max(m.value for m in now)
        return change_response([hot], hot, [left], rule(criterion))
    response, change, rise = change_response([m.value for m in before], nadir, [m.value for m in now], rule(criterion))
    # RECIST 1.1: nodes never shrink to nothing; below 10 mm in the short axis they are normal.
    if criterion == "recist" and all(
        n.value < 10 if b.is_node else n.value == 0 for b, n in zip(before, now, strict=True)
    ):
        response = Response.CR
    return response, change, rise


def _choi(before: Sequence[Measurement], now: Sequence[Measurement]) -> Response:
    return choi_response(
        size_before_mm=math.fsum(m.value for m in before),
        size_now_mm=math.fsum(m.value for m in now),
        density_before_hu=math.fsum(m.density_hu for m in before) / len(before),
        density_now_hu=math.fsum(m.density_hu for m in now) / len(now),
    )


def percist_messages(measurements: Sequence[Measurement], columns: tuple[str, str]) -> list[Message]:
    """What PERCIST asks of the liver's uptake, as far as the measurements tell it; `columns` hold mean and sd."""
    if any(math.isnan(v) for m in measurements if m.is_target for v in m.liver_sul):
        text = "PERCIST's least uptake (1.5 liver means plus two standard deviations) is checked only where columns "
        return [Message("liver-uptake-not-stated", f"{text}{' and '.join(columns)} are filled")]
    means: dict[str, list[tuple[datetime.date, float]]] = {}
    for m in measurements:
        if not math.isnan(m.liver_sul[0]):
            means.setdefault(m.patient, []).append((m.date, m.liver_sul[0]))
    found = []
    for patient, values in means.items():
        first = min(values)[1]
        for when, value in sorted(set(values)):
            # PERCIST 1.0: scans compare if the liver's mean SUL differs by less than 20 % and 0.3 SUL.
            if abs(value - first) > max(0.2 * first, 0.3):
                text = f"{patient}: liver SUL {value:g} on {when}, {first:g} at baseline: scans do not compare"
                found.append(Message("scans-do-not-compare", text))
    return found
