"""From a table of lesions to a dose-response curve: reads, checks, analyses, says what it means."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from hepatica.core import Provenance
from hepatica.core.document import HIDDEN
from hepatica.core.options import parameters, verb
from hepatica.core.tables.table import Table
from hepatica.io.files import write_text
from hepatica.io.tables import TableSource, as_table
from hepatica.outcome.analyses.dose_response import CurveOptions, DoseThreshold, dose_analysis, response_words
from hepatica.outcome.statistics.dose_response import DoseResponse
from hepatica.outcome.statistics.roc import (
    Calibration,
    Roc,
    RocComparison,
)
from hepatica.report.figures.outcome import draw_dose_response, save
from hepatica.workflow.result import Result, result


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
            write_text(folder / "curve.csv", table.csv())


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
    found = dose_analysis(table, (doses, responders, patient_ids), fit)
    return DoseResponseResult(
        n=len(found.data.dose_gy),
        responders=int(sum(found.data.response)),
        curve=found.curve,
        roc=found.roc,
        roc_comparison=found.roc_comparison,
        thresholds=found.thresholds,
        calibration=found.calibration,
        reading=response_words(found, fit.second_predictor or ""),
        columns=(doses, responders),
        dose_gy=tuple(found.data.dose_gy),
        response=tuple(found.data.response),
        messages=found.messages,
        provenance=Provenance(
            inputs=table.inputs,
            parameters=parameters(fit, doses=doses, responders=responders, patient_ids=patient_ids),
            conventions={"interval": "profile likelihood, adjusted for clusters (Chandler and Bate 2007)"},
        ),
    )
