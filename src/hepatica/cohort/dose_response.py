"""From a table of lesions to a dose-response curve: reads, checks, analyses, says what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.cohort.evidence import unless_refused
from hepatica.core import InputFile, Provenance
from hepatica.errors import EvidenceError
from hepatica.io.tables import read_table
from hepatica.outcome.dose_response import DoseResponse, fit_dose_response
from hepatica.outcome.evidence import p_text, p_words
from hepatica.outcome.roc import (
    Accuracy,
    Calibration,
    Proportion,
    Roc,
    Threshold,
    calibration,
    optimal_threshold,
    prespecified_threshold,
    roc,
)


@dataclass(frozen=True, slots=True)
class DoseResponseAnalysis:
    """Dose-response of a table: curve (None where refused), ROC, thresholds, calibration, words, warnings."""

    dose_column: str
    response_column: str
    dose_gy: tuple[float, ...]
    response: tuple[float, ...]
    curve: DoseResponse | None
    roc: Roc | None
    thresholds: tuple[Threshold, ...]
    calibration: Calibration | None
    reading: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        return {
            "n": len(self.dose_gy),
            "responders": int(sum(self.response)),
            "curve": None if self.curve is None else dose_response_dict(self.curve),
            "roc": None
            if self.roc is None
            else {
                "auc": self.roc.auc,
                "auc_sd": self.roc.auc_sd,
                "auc_low": self.roc.auc_low,
                "auc_high": self.roc.auc_high,
                "p": self.roc.p,
            },
            "thresholds": [_threshold_dict(t) for t in self.thresholds],
            "calibration": None
            if self.calibration is None
            else {
                "slope": self.calibration.slope,
                "in_the_large": self.calibration.in_the_large,
                "brier": self.calibration.brier,
                "groups": [
                    {"predicted": g.predicted, "observed": proportion_dict(g.observed)} for g in self.calibration.groups
                ],
            },
            "reading": list(self.reading),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def dose_response_dict(c: DoseResponse) -> dict[str, Any]:
    """A fitted curve as plain values for JSON."""
    return {
        "scale": c.scale,
        "n": c.n,
        "responders": c.responders,
        "patients": c.patients,
        "d50_gy": c.d50_gy,
        "d50_low_gy": c.d50_low_gy,
        "d50_high_gy": c.d50_high_gy,
        "gamma50": c.gamma50,
        "gamma50_low": c.gamma50_low,
        "gamma50_high": c.gamma50_high,
        "intercept": float(c.fit.coefficients[0]),
        "slope_per_gy" if c.scale == "linear" else "slope_per_ln_gy": float(c.fit.coefficients[1]),
        "odds_ratio_per_10_gy": c.odds_ratio_per_10_gy,
        "odds_ratio_per_10_gy_low": c.odds_ratio_low,
        "odds_ratio_per_10_gy_high": c.odds_ratio_high,
        "p": c.p,
        "likelihood_ratio_p": c.likelihood_ratio_p,
        "design_effect": c.design_effect,
    }


def proportion_dict(p: Proportion) -> dict[str, Any]:
    """A proportion as plain values for JSON."""
    return {"k": p.k, "n": p.n, "value": p.value, "low": p.low, "high": p.high}


def accuracy_dict(a: Accuracy) -> dict[str, Any]:
    """Diagnostic accuracy as plain values for JSON."""
    return {
        "true_positive": a.true_positive,
        "false_positive": a.false_positive,
        "false_negative": a.false_negative,
        "true_negative": a.true_negative,
        "sensitivity": proportion_dict(a.sensitivity),
        "specificity": proportion_dict(a.specificity),
        "positive_predictive_value": proportion_dict(a.positive_predictive_value),
        "negative_predictive_value": proportion_dict(a.negative_predictive_value),
        "accuracy": proportion_dict(a.accuracy),
    }


def _threshold_dict(t: Threshold) -> dict[str, Any]:
    return {
        "value_gy": t.value,
        "value_low_gy": t.value_low,
        "value_high_gy": t.value_high,
        "chosen": t.chosen,
        "sensitivity": t.sensitivity,
        "specificity": t.specificity,
        "optimism": t.optimism,
        "apparent": accuracy_dict(t.apparent),
    }


def analyse_dose_response(
    path: Path,
    *,
    dose: str,
    response: str,
    patient: str | None = None,
    threshold_gy: float | None = None,
    scale: str = "linear",
    sheet: str | None = None,
    seed: int = 1,
) -> DoseResponseAnalysis:
    """Dose-response analysis of a table of lesions.

    Parameters
    ----------
    path : Path
        CSV or Excel table.
    dose, response, patient : str
        Columns: dose in Gy, response (1/0), patient of the lesion.
    threshold_gy : float or None
        Threshold fixed before the data were seen.
    scale : str
        "linear" or "log".
    sheet : str or None
        Excel sheet.
    seed : int
        Of the bootstrap.

    Raises
    ------
    TableError
        Listing every wrong cell with row and column.
    EvidenceError
        If neither curve nor ROC can be given.
    """
    doses, answers, patients, rows = _read(path, (dose, response, patient), scale, sheet)
    warnings: list[str] = []
    curve: DoseResponse | None = unless_refused(
        lambda: fit_dose_response(doses, answers, patient=patients, scale=scale), warnings
    )
    if curve is None and (edge := _separated_at(doses, answers, rows)):
        warnings[-1] += f" ({path.name}, {edge}, columns {dose!r} and {response!r})"
    area: Roc | None = unless_refused(lambda: roc(doses, answers), warnings)
    if curve is None and area is None:
        raise EvidenceError(f"{path}, columns {dose}, {response}: {'; '.join(dict.fromkeys(warnings))}")
    warnings += _clustering_warnings(patients, len(doses))
    thresholds: list[Threshold] = []
    if area is not None:
        if threshold_gy is not None:
            thresholds.append(prespecified_threshold(doses, answers, threshold_gy))
        thresholds.append(optimal_threshold(doses, answers, seed=seed, patient=patients))
    fitted = None
    if curve is not None:
        warnings += list(curve.warnings)
        predicted = np.clip(curve.curve(doses)[0], 1e-12, 1 - 1e-12)
        fitted = calibration(predicted, answers)
        warnings.append("calibration is on the data of the fit: it shows the curve's shape, not its future performance")
    return DoseResponseAnalysis(
        dose,
        response,
        tuple(doses),
        tuple(answers),
        curve,
        area,
        tuple(thresholds),
        fitted,
        _dose_response_words(curve, area, thresholds),
        tuple(dict.fromkeys(warnings)),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={"dose": dose, "response": response, "patient": patient, "scale": scale, "seed": seed},
            conventions={"interval": "profile likelihood, adjusted for clusters (Chandler and Bate 2007)"},
        ),
    )


def _read(
    path: Path, columns: tuple[str, str, str | None], scale: str, sheet: str | None
) -> tuple[list[float], list[float], list[str] | None, tuple[int, ...]]:
    """Doses, responses, patients and row numbers, every cell checked."""
    dose, response, patient = columns
    check = read_table(path, sheet=sheet).check()
    doses = check.varying(dose)
    for index, value in enumerate(doses):
        if value < 0:
            check.fault(index, dose, f"{value:g} is below 0")
        elif value == 0 and scale == "log":
            check.fault(index, dose, "0 has no logarithm; use --scale linear")
    answers = check.yes_no(response)
    if len(answers) > 1 and set(answers) in ({0.0}, {1.0}):
        check.column_fault(response, f"is {answers[0]:g} in all {len(answers)} rows; there is nothing to tell apart")
    patients = None if patient is None else check.texts(patient)
    check.done()
    return doses, answers, patients, check.table.rows


def _separated_at(doses: list[float], answers: list[float], rows: tuple[int, ...]) -> str:
    """Rows of the highest dose without and the lowest with response, where no dose has both; empty otherwise."""
    yes = [(d, r) for d, a, r in zip(doses, answers, rows, strict=True) if a == 1]
    no = [(d, r) for d, a, r in zip(doses, answers, rows, strict=True) if a == 0]
    if not yes or not no or min(yes)[0] < max(no)[0]:
        return ""
    return f"rows {max(no)[1]} and {min(yes)[1]}"


def _clustering_warnings(patients: list[str] | None, rows: int) -> list[str]:
    if patients is None and rows > 1:
        return ["rows are taken as independent; name the patient column if patients have several lesions"]
    if patients is not None and len(set(patients)) < len(patients):
        return ["the ROC area's interval takes lesions as independent and is too narrow for several per patient"]
    return []


def _dose_response_words(
    curve: DoseResponse | None, area: Roc | None, thresholds: Sequence[Threshold]
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
        corrected = "" if t.optimism is None else ", corrected for having been chosen on these data"
        words.append(
            f"{t.value:.0f} Gy ({t.chosen}): sensitivity {100 * t.sensitivity:.0f} %, specificity "
            f"{100 * t.specificity:.0f} %{corrected}."
        )
    return tuple(words)
