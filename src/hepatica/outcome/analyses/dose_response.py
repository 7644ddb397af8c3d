"""Response of lesions against their dose, from a checked table: curve, ROC, thresholds, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from hepatica.core.document import INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import Limits, Positive, options
from hepatica.core.tables.input_table import InputTable
from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.dose_response import DoseResponse, Scale, fit_dose_response
from hepatica.outcome.statistics.evidence import p_text, p_words, unless_refused
from hepatica.outcome.statistics.roc import (
    Calibration,
    Roc,
    RocComparison,
    Threshold,
    calibration,
    compare_roc,
    optimal_threshold,
    prespecified_threshold,
    roc,
)


@options
class CurveOptions:
    """How curve and thresholds are found.

    Attributes
    ----------
    scale : {"linear", "log"}
        Dose, or its logarithm.
    threshold_gy : float or None
        Threshold fixed before the data were seen.
    second_predictor : str or None
        Column of another number whose ranking of the lesions is compared with that of the dose.
    samples : int
        Bootstrap samples by which the optimal threshold is corrected.
    seed : int
        Of the bootstrap.
    """

    scale: Scale = "linear"
    threshold_gy: Positive | None = None
    second_predictor: str | None = None
    samples: Annotated[int, Limits(low=10)] = 500
    seed: int = 1


@dataclass(frozen=True, slots=True)
class DoseThreshold:
    """A threshold of dose and how well it does."""

    found: Threshold = field(metadata=INLINE)

    @property
    @reported
    def value_gy(self) -> float:
        """From this dose on a response is predicted."""
        return self.found.value

    @property
    @reported
    def value_low_gy(self) -> float | None:
        """2.5 % point over the bootstrap; None for one fixed beforehand."""
        return self.found.value_low

    @property
    @reported
    def value_high_gy(self) -> float | None:
        """97.5 % point over the bootstrap; None for one fixed beforehand."""
        return self.found.value_high


@dataclass(frozen=True, slots=True)
class LesionData:
    """Checked columns."""

    dose_gy: list[float]
    response: list[float]
    patients: list[str] | None
    second: list[float] | None


def lesion_data(table: InputTable, columns: tuple[str, str, str | None], fit: CurveOptions) -> LesionData:
    """Doses, responses, patients, every cell checked."""
    dose, response, patient = columns
    check = table.check()
    doses = check.varying(dose)
    for index, value in enumerate(doses):
        if value < 0:
            check.fault(index, dose, f"{value:g} is below 0")
        elif value == 0 and fit.scale == "log":
            check.fault(index, dose, "0 has no logarithm; a linear `scale` has it")
    answers = check.yes_no(response)
    if len(answers) > 1 and set(answers) in ({0.0}, {1.0}):
        check.column_fault(response, f"is {answers[0]:g} in all {len(answers)} rows; there is nothing to tell apart")
    patients = None if patient is None else check.texts(patient)
    second = None if fit.second_predictor is None else check.varying(fit.second_predictor)
    check.done()
    return LesionData(doses, answers, patients, second)


def _thresholds(data: LesionData, fit: CurveOptions) -> tuple[DoseThreshold, ...]:
    found = [optimal_threshold(data.dose_gy, data.response, seed=fit.seed, patient=data.patients, samples=fit.samples)]
    if fit.threshold_gy is not None:
        found.insert(0, prespecified_threshold(data.dose_gy, data.response, fit.threshold_gy))
    return tuple(DoseThreshold(threshold) for threshold in found)


def _separated_at(doses: list[float], answers: list[float], rows: tuple[int, ...]) -> str:
    """Rows of the highest dose without and the lowest with response, where no dose has both; empty otherwise."""
    yes = [(d, r) for d, a, r in zip(doses, answers, rows, strict=True) if a == 1]
    no = [(d, r) for d, a, r in zip(doses, answers, rows, strict=True) if a == 0]
    if not yes or not no or min(yes)[0] < max(no)[0]:
        return ""
    return f"rows {max(no)[1]} and {min(yes)[1]}"


def _clustering(patients: list[str] | None, rows: int) -> list[Message]:
    if patients is None and rows > 1:
        return [
            Message(
                "rows-taken-as-independent", "rows are taken as independent",
                "state `patient_ids` if patients have several lesions",
            )
        ]  # fmt: skip
    if patients is not None and len(set(patients)) < len(patients):
        text = "the ROC area's interval takes lesions as independent and is too narrow for several per patient"
        return [Message("roc-not-clustered", text)]
    return []


def response_words(found: DoseAnalysis, second: str) -> tuple[str, ...]:
    """What curve, ROC and thresholds say; `second` names the predictor that the dose is compared with."""
    curve, area, other = found.curve, found.roc, found.roc_comparison
    words = []
    if curve is not None:
        low, high = ("unbounded" if v is None else f"{v:.0f}" for v in (curve.d50_low_gy, curve.d50_high_gy))
        words.append(
            f"Half of the lesions respond at {curve.d50_gy:.0f} Gy (95 % interval {low} to {high} Gy); "
            f"{curve.responders} of {curve.n} responded. {p_text(curve.p)} for dose: "
            f"{p_words(curve.p, events=min(curve.responders, curve.n - curve.responders))}."
        )
    if area is not None:
        words.append(
            f"Dose ranks a responder above a non-responder in {100 * area.auc:.0f} % of pairs "
            f"(area {area.auc:.2f}, 95 % interval {area.auc_low:.2f} to {area.auc_high:.2f})."
        )
    for t in found.thresholds:
        f = t.found
        corrected = "" if f.optimism is None else ", corrected for having been chosen on these data"
        words.append(
            f"{t.value_gy:.0f} Gy ({f.chosen}): sensitivity {100 * f.sensitivity:.0f} %, specificity "
            f"{100 * f.specificity:.0f} %{corrected}."
        )
    if area is not None and other is not None:
        words.append(
            f"{second} ranks with an area of {other.auc_second:.2f}, the dose with {other.auc_first:.2f}; "
            f"{p_text(other.p)} for the difference: {p_words(other.p, events=min(area.events, area.n - area.events))}."
        )
    return tuple(words)


@dataclass(frozen=True, slots=True)
class DoseAnalysis:
    """What the data carry; None where it is refused."""

    data: LesionData
    curve: DoseResponse | None
    roc: Roc | None
    roc_comparison: RocComparison | None
    thresholds: tuple[DoseThreshold, ...]
    calibration: Calibration | None
    messages: tuple[Message, ...]


def dose_analysis(table: InputTable, columns: tuple[str, str, str | None], fit: CurveOptions) -> DoseAnalysis:
    """Curve, ROC, thresholds and calibration of a table with columns of doses, responses and patients.

    Raises
    ------
    TableError, EvidenceError
        If cells are wrong (each is listed), or neither curve nor ROC can be given.
    """
    data = lesion_data(table, columns, fit)
    dose_gy, answers, patients = data.dose_gy, data.response, data.patients
    messages: list[Message] = []
    curve = unless_refused(
        "dose-response-curve",
        lambda: fit_dose_response(dose_gy, answers, patient=patients, scale=fit.scale),
        messages,
    )
    doses, responders, _ = columns
    if curve is None and (edge := _separated_at(dose_gy, answers, table.rows)):
        refusal = messages.pop()
        where = f"{edge}, columns {doses!r} and {responders!r}"
        name = "" if table.path is None else f"{table.path.name}, "
        messages.append(Message("doses-separate-responses", f"{refusal.text} ({name}{where})"))
    area = unless_refused("roc", lambda: roc(dose_gy, answers), messages)
    if curve is None and area is None:
        reasons = "; ".join(dict.fromkeys(message.text for message in messages))
        raise EvidenceError(f"{table.name}, columns {doses}, {responders}: {reasons}")
    messages += _clustering(patients, len(dose_gy))
    thresholds = () if area is None else _thresholds(data, fit)
    comparison = None
    if area is not None and data.second is not None:
        comparison = compare_roc(dose_gy, data.second, answers)
    fitted = None
    if curve is not None:
        messages += curve.messages
        predicted = np.clip(curve.curve(dose_gy)[0], 1e-12, 1 - 1e-12)
        fitted = calibration(predicted, answers)
        text = "calibration is on the data of the fit: it shows the curve's shape, not its future performance"
        messages.append(Message("calibrated-on-own-data", text, severity="note"))
    return DoseAnalysis(data, curve, area, comparison, thresholds, fitted, unique(messages))
