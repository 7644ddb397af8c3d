"""From a table of lesions to a dose-response curve: reads, checks, analyses, says what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import Message, unique
from hepatica.core.options import Limits, Positive, options, parameters, verb
from hepatica.core.table import Table
from hepatica.errors import EvidenceError
from hepatica.io.tables import Table as InputTable
from hepatica.io.tables import TableSource, as_table
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
from hepatica.report.figures.outcome import draw_dose_response, save
from hepatica.workflow.result import Result, result


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
        Seed of the bootstrap.
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


@result
class DoseResponseResult(Result):
    """Dose-response of a table: curve (None where refused), ROC, thresholds, calibration, what it says."""

    verb = "dose_response"

    n: int
    responders: int
    curve: DoseResponse | None
    roc: Roc | None
    roc_comparison: RocComparison | None
    thresholds: tuple[DoseThreshold, ...]
    calibration: Calibration | None
    reading: tuple[str, ...]
    columns: tuple[str, str] = field(metadata=HIDDEN)
    dose_gy: tuple[float, ...] = field(metadata=HIDDEN)
    response: tuple[float, ...] = field(metadata=HIDDEN)

    def title(self) -> str:
        """Lesions, patients and scale."""
        c = self.curve
        if c is None:
            return f"Dose-response: {self.n} lesions, no curve"
        of_patients = "" if c.patients is None else f" of {c.patients} patients"
        return f"Dose-response, {c.scale} dose: {c.n} lesions{of_patients}"

    def table(self) -> Table:
        """50 % dose, slope and what belongs to them."""
        c = self.curve
        rows = [] if c is None else [
            ("50 % dose, Gy", c.d50_gy, c.d50_low_gy, c.d50_high_gy),
            ("slope gamma50", c.gamma50, c.gamma50_low, c.gamma50_high),
            (
                "odds ratio per 10 Gy", c.odds_ratio_per_10_gy, c.odds_ratio_per_10_gy_low,
                c.odds_ratio_per_10_gy_high,
            ),
            ("p of dose", c.p, None, None),
            ("design effect of clustering", c.design_effect, None, None),
        ]  # fmt: skip
        return Table.of(("quantity", "value", "from", "to"), rows, "Curve", "dose-response")

    def tables(self) -> tuple[Table, ...]:
        """Curve and thresholds."""
        columns = ("Gy", "chosen", "sensitivity", "specificity", "optimism", "PPV (apparent)", "PPV from", "PPV to")
        rows = []
        for t in self.thresholds:
            f, share = t.found, t.found.apparent.positive_predictive_value
            rows.append(
                (t.value_gy, f.chosen, f.sensitivity, f.specificity, f.optimism, share.value, share.low, share.high)
            )
        return (
            *(() if self.curve is None else (self.table(),)),
            *((Table.of(columns, rows, "Thresholds", "thresholds"),) if rows else ()),
        )

    def sentences(self) -> tuple[str, ...]:
        """What they say."""
        return self.reading

    def write(self, folder: Path) -> None:
        """Write ``dose-response.svg``, and the curve with its band as ``curve.csv``."""
        c, r, (dose, response) = self.curve, self.roc, self.columns
        area = None if r is None else f"area {r.auc:.2f} ({r.auc_low:.2f} to {r.auc_high:.2f})"
        figure = draw_dose_response(
            self.dose_gy,
            self.response,
            curve=None if c is None else c.curve,
            d50=None if c is None else (c.d50_gy, c.d50_low_gy, c.d50_high_gy),
            roc=None if r is None or area is None else (r.sensitivity, r.specificity, area),
            labels=(dose if "gy" in dose.lower() else f"{dose}, Gy", response),
        )
        save(figure, folder / "dose-response.svg")
        if c is not None:
            low, high = c.dose_range_gy
            doses = [low + (high - low) * n / 100 for n in range(101)]
            band = [values.tolist() for values in c.curve(doses)]
            table = Table.of(("dose_gy", "probability", "low", "high"), list(zip(doses, *band, strict=True)))
            (folder / "curve.csv").write_text(table.csv(), encoding="utf-8")


@verb
def dose_response(
    lesions: TableSource,
    *,
    doses: str,
    responders: str,
    patient_ids: str | None = None,
    sheet: str | None = None,
    fit: CurveOptions = CurveOptions(),
) -> DoseResponseResult:
    """Probability of response against absorbed dose from a table of lesions.

    Parameters
    ----------
    lesions : path, DataFrame or rows
        Table with one row per lesion.
    doses : str
        Column of doses in Gy, such as tumour_gy.
    responders : str
        Column of responses, 1 or 0, such as cr.
    patient_ids : str or None
        Column of patient ids, where patients have several lesions.
    sheet : str or None
        Excel sheet, where there are several.
    fit : CurveOptions
        How curve and thresholds are found.

    Returns
    -------
    DoseResponseResult
        50 % dose, slope, ROC, thresholds, calibration; ``save`` draws the curve.

    Raises
    ------
    TableError
        Listing every wrong cell with row and column.
    EvidenceError
        If neither curve nor ROC can be given.

    Examples
    --------
    >>> lesions = [{"tumour_gy": 40 + 12 * n, "cr": n % 5 > 3 - n // 10} for n in range(40)]
    >>> round(hepatica.dose_response(lesions, doses="tumour_gy", responders="cr").curve.d50_gy)
    274
    """
    table = as_table(lesions, sheet=sheet)
    data = _read(table, (doses, responders, patient_ids), fit)
    dose_gy, answers, patients = data.dose_gy, data.response, data.patients
    messages: list[Message] = []
    curve = unless_refused(
        "dose-response-curve",
        lambda: fit_dose_response(dose_gy, answers, patient=patients, scale=fit.scale),
        messages,
    )
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
    return DoseResponseResult(
        n=len(dose_gy),
        responders=int(sum(answers)),
        curve=curve,
        roc=area,
        roc_comparison=comparison,
        thresholds=thresholds,
        calibration=fitted,
        reading=_reading(curve, area, thresholds, comparison, fit.second_predictor or ""),
        columns=(doses, responders),
        dose_gy=tuple(dose_gy),
        response=tuple(answers),
        messages=unique(messages),
        provenance=Provenance(
            inputs=table.inputs,
            parameters=parameters(fit, doses=doses, responders=responders, patient_ids=patient_ids),
            conventions={"interval": "profile likelihood, adjusted for clusters (Chandler and Bate 2007)"},
        ),
    )


@dataclass(frozen=True, slots=True)
class _Data:
    """Checked columns."""

    dose_gy: list[float]
    response: list[float]
    patients: list[str] | None
    second: list[float] | None


def _read(table: InputTable, columns: tuple[str, str, str | None], fit: CurveOptions) -> _Data:
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
    return _Data(doses, answers, patients, second)


def _thresholds(data: _Data, fit: CurveOptions) -> tuple[DoseThreshold, ...]:
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


def _reading(
    curve: DoseResponse | None,
    area: Roc | None,
    thresholds: Sequence[DoseThreshold],
    other: RocComparison | None,
    name: str,
) -> tuple[str, ...]:
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
    for t in thresholds:
        f = t.found
        corrected = "" if f.optimism is None else ", corrected for having been chosen on these data"
        words.append(
            f"{t.value_gy:.0f} Gy ({f.chosen}): sensitivity {100 * f.sensitivity:.0f} %, specificity "
            f"{100 * f.specificity:.0f} %{corrected}."
        )
    if area is not None and other is not None:
        words.append(
            f"{name} ranks with an area of {other.auc_second:.2f}, the dose with {other.auc_first:.2f}; "
            f"{p_text(other.p)} for the difference: {p_words(other.p, events=min(area.events, area.n - area.events))}."
        )
    return tuple(words)
