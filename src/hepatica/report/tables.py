"""The tables of a report: the same rows for HTML, PDF and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hepatica.core.document import document
from hepatica.core.numbers.wording import percent, three, with_uncertainty
from hepatica.core.tables.table import NOT_STATED, Table
from hepatica.core.text.visible import csv_text
from hepatica.dosimetry.metrics.region_dose import RegionDose
from hepatica.report.dose_report import DoseReport, LimitRow, ReportRegion

SHOWN_D = (98.0, 95.0, 70.0, 50.0, 2.0)
MAX_V = 8

NO_VOXELS = "–"
"""In place of what the image does not determine: the dose of single voxels of a structure."""
UNSUPPORTED = " (not supported)"
"""Behind the name of such a structure in a table of histograms."""

DOSE_COLUMNS = (
    "Structure",
    "Volume\nmL",
    "Mass\ng",
    "Mean\nGy",
    "SD\nGy",
    *(f"D{p:g}\nGy" for p in SHOWN_D),
    "Activity\n%",
)


IMAGE_COLUMNS = ("Used as", "Image", "Unit", "Time", "Grid")

V_NOTE = "Vd: share of the volume with at least d Gy. HI: homogeneity index (D2 − D98) / D50."


def dose_note(report: DoseReport) -> str:
    """What the columns of the dose table mean."""
    known = any(item.dose.dose_mean_uncertainty_gy is not None for item in report.regions)
    mean = "± standard uncertainty (k = 1)" if known else "its uncertainty is not known"
    if report.states_uncertainty:
        mean += f", {NOT_STATED} where too few decays reach"
    elif not known and any(item.interval_gy is not None for item in report.regions):
        mean = "its uncertainty is the interval beside it, and stands below by its parts"
    if any(item.interval_gy is not None for item in report.regions):
        mean += (
            "; 95 %: interval of the mean with the scale of the image and all else that is known, and not stated where "
            "that scale is not"
        )
    alone = ", ".join(item.dose.name for item in report.regions if not item.voxels_supported)
    only = f" {alone}: the image determines the mean dose, not that of single voxels ({NO_VOXELS})." if alone else ""
    return (
        f"Mean: absorbed energy over mass; {mean}. SD: spread of the voxel doses. Dx: minimum dose to the hottest x % "
        f"of the volume. Activity: share of the activity in the image.{only}"
    )


def _of_voxels(item: ReportRegion, cells: Sequence[str]) -> Sequence[str]:
    """Cells about single voxels, or that there is nothing to say of them."""
    return cells if item.voxels_supported else [NO_VOXELS] * len(cells)


def _mean(report: DoseReport, dose: RegionDose) -> str:
    text = with_uncertainty(dose.dose_mean_gy, dose.dose_mean_uncertainty_gy)
    unknown = report.states_uncertainty and dose.dose_mean_uncertainty_gy is None
    return f"{text} ± {NOT_STATED}" if unknown else text


def dose_columns(report: DoseReport) -> tuple[str, ...]:
    """Heads of the dose table: with an interval where one is known."""
    shown = any(item.interval_gy is not None for item in report.regions)
    return (*DOSE_COLUMNS[:4], "95 %\nGy", *DOSE_COLUMNS[4:]) if shown else DOSE_COLUMNS


def interval_text(ends: tuple[float, float] | None) -> str:
    """Both ends of an interval; that it is not stated where it is not."""
    return NOT_STATED if ends is None else f"{three(ends[0])} to {three(ends[1])}"


def dose_rows(report: DoseReport) -> list[list[str]]:
    """Name, volume, mass, mean dose (with uncertainty where known), its interval, SD, D_x, share of the activity."""
    shown = any(item.interval_gy is not None for item in report.regions)
    return [
        [
            item.dose.name,
            three(item.dose.volume_ml),
            three(item.dose.mass_g),
            _mean(report, item.dose),
            *((interval_text(item.interval_gy),) if shown else ()),
            *_of_voxels(item, [three(item.dose.dose_sd_gy), *(three(item.dose.dvh.d_percent(p)) for p in SHOWN_D)]),
            percent(100 * item.dose.activity_share),
        ]
        for item in report.regions
    ]


def v_levels_gy(report: DoseReport) -> list[float]:
    """Doses of the V_d worth a column: those that some structure but the body reaches in 1 % of its volume."""
    inner = [item for item in report.regions if item.structure != "body"] or list(report.regions)
    levels = [level for level in inner[0].dose.v_gy_percent if any(_v(item, level) >= 1 for item in inner)]
    return levels[-MAX_V:]


def v_columns(report: DoseReport) -> list[str]:
    """Heads of the V table."""
    return ["Structure", *(f"V{level:g}\n%" for level in v_levels_gy(report)), "Min\nGy", "Max\nGy", "HI"]


def v_rows(report: DoseReport) -> list[list[str]]:
    """Name, V_d, minimum, maximum (with a star where it is not reliable), homogeneity index."""
    return [
        [
            item.dose.name,
            *_of_voxels(
                item,
                [
                    *(percent(_v(item, level)) for level in v_levels_gy(report)),
                    three(item.dose.dose_min_gy),
                    three(item.dose.dose_max_gy) + ("" if item.dose.dose_max_reliable else " *"),
                    three(item.dose.homogeneity),
                ],
            ),
        ]
        for item in report.regions
    ]


def limit_note(rows: Sequence[LimitRow]) -> str:
    """Which limits and goals are listed, and why."""
    listed = "Limits and goals of the agent that concern a structure of this report"
    if any(row.applies is None for row in rows):
        return (
            f"{listed}, for every indication and intent that is not ruled out: not both are stated. Which of them "
            "applies is a clinical decision."
        )
    return f"{listed}, for the patient's indication and intent. Which of them applies is a clinical decision."


LIMIT_COLUMNS = ("Structure", "Limit or goal", "Mean dose", "Verdict", "Holds for", "Source")


def limit_row(row: LimitRow) -> list[str]:
    """Cells of one limit."""
    sign = {">=": "at least", "<=": "at most"}[row.comparison]
    return [
        row.structure,
        f"{sign} {three(row.limit_gy)} Gy",
        " ".join(filter(None, (f"{_beside(row.dose_mean_gy, row.limit_gy)} Gy", row.interval and f"({row.interval})"))),
        row.verdict,
        row.condition,
        row.source,
    ]


def agent_limits_table(limits: Sequence[LimitRow], agent: str) -> Table:
    """Limits of an agent as the screen shows them."""
    shown = [row for row in limits if row.applies is not False]
    rows = [
        (row.structure, row.dose_mean_gy, f"{row.comparison} {row.limit_gy:g}", _judged(row), row.condition)
        for row in shown
    ]
    left = len(limits) - len(shown)
    more = f"; {left} for other indications or intents not shown" if left else ""
    title = f"Mean dose against the limits of {agent} (the condition says which applies{more})"
    return Table.of(("structure", "dose, Gy", "limit, Gy", "status", "condition"), rows, title, "limits")


def _judged(row: LimitRow) -> str:
    """Verdict, and the interval by which it was found."""
    return f"{row.verdict} ({row.interval})" if row.interval else row.verdict


def _beside(dose_gy: float, limit_gy: float) -> str:
    """A dose with as many digits as it takes to see on which side of the limit it lies."""
    text = three(dose_gy)
    digits = 1
    while dose_gy != limit_gy and float(text) == float(three(limit_gy)) and digits < 9:
        text = f"{dose_gy:.{digits}f}"
        digits += 1
    return text


def metrics_csv(report: DoseReport) -> str:
    """One row per structure, full precision, units in the heads."""
    head: list[str] = []
    rows = []
    for item in report.regions:
        flat: dict[str, object] = {"structure": item.structure}
        for key, value in document(item.dose).items():
            if key == "d_percent_gy":
                flat |= {f"d{x}_percent_gy": dose for x, dose in value.items()}
            elif key == "v_gy_percent":
                flat |= {f"v{x}_gy_percent": share for x, share in value.items()}
            else:
                unknown = report.states_uncertainty and key == "dose_mean_uncertainty_gy"
                flat[key] = (NOT_STATED if unknown else "") if value is None else value
        low, high = item.interval_gy or ("", "")
        flat |= {"dose_mean_low_95_gy": low, "dose_mean_high_95_gy": high}
        flat["voxels_supported"] = "yes" if item.voxels_supported else "no"
        head = head or ["name", *(key for key in flat if key != "name")]
        rows.append([flat.get(key, "") for key in head])
    return csv_text([head, *rows])


def dvh_csv(report: DoseReport, bin_gy: float | None = None) -> str:
    """Cumulative DVHs of all structures on one dose axis: dose, then volume with at least that dose in percent."""
    bare = [item.dose for item in report.regions]
    marked = [
        dose if item.voxels_supported else replace(dose, name=dose.name + UNSUPPORTED)
        for item, dose in zip(report.regions, bare, strict=True)
    ]
    return histograms_csv(marked, bin_gy)


def histograms_csv(doses: Sequence[RegionDose], bin_gy: float | None = None) -> str:
    """As `dvh_csv`, of the doses of structures; `bin_gy` is the step, the widest that a structure's own would be."""
    step = bin_gy if bin_gy is not None else max(dose.dvh.bin_gy for dose in doses)
    curves = [dose.dvh.cumulative(step) for dose in doses]
    axis = max((curve.dose_gy for curve in curves), key=len)
    columns = [np.pad(100 * curve.fraction, (0, len(axis) - len(curve.fraction))) for curve in curves]
    head = ["dose_gy", *(f"{dose.name} volume_percent" for dose in doses)]
    rows = [[f"{gray:.6g}", *(f"{column[n]:.6g}" for column in columns)] for n, gray in enumerate(axis)]
    return csv_text([head, *rows])


def _v(item: ReportRegion, level: float) -> float:
    return float(item.dose.v_gy_percent[level]) if level in item.dose.v_gy_percent else 100 * item.dose.dvh.v_gy(level)
