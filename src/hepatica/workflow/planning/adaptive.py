"""From a table of past treatments to what the next one may still give: reads, checks, says what it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

from hepatica.core import InputFile, Provenance
from hepatica.dosimetry.radiobiology import LIVER, ResponseModel, response_models
from hepatica.dosimetry.radiobiology.summary import prediction_dict
from hepatica.errors import EvidenceError, InputError, UnknownNameError
from hepatica.io.tables import Table, TableCheck, read_table
from hepatica.nuclides import nuclide
from hepatica.outcome.adaptive import (
    Delivered,
    NextTreatment,
    Option,
    Remaining,
    Status,
    options,
    remaining_tolerance,
)

STEPS = 8
"""Activities listed by default: equal steps up to the largest one allowed, and a quarter beyond."""


@dataclass(frozen=True, slots=True)
class AdaptiveAnalysis:
    """What a territory may still receive, and what each activity would do."""

    territory: str | None
    delivered: tuple[Delivered, ...]
    coming: NextTreatment
    tolerance_bed_gy: float
    remaining: Remaining
    options: tuple[Option, ...]
    reading: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys; null for an activity without a limit."""
        r = self.remaining
        return {
            "territory": self.territory,
            "treatments": len(self.delivered),
            "tolerance_bed_gy": self.tolerance_bed_gy,
            "delivered_bed_gy": r.delivered_bed_gy,
            "remaining_bed_gy": r.remaining_bed_gy,
            "normal_dose_gy": r.normal_dose_gy,
            "lung_dose_gy": r.lung_dose_gy,
            "lung_dose_so_far_gy": math.fsum(d.lung_dose_gy for d in self.delivered),
            "activity_gbq": r.activity_gbq,
            "limited_by": r.limited_by,
            "days_since_last": r.days_since_last,
            "cautions": list(r.cautions),
            "options": [
                {
                    "activity_gbq": o.activity_gbq,
                    "tumour_dose_gy": o.tumour_dose_gy,
                    "normal_dose_gy": o.normal_dose_gy,
                    "lung_dose_gy": o.lung_dose_gy,
                    "cumulative_normal_bed_gy": o.cumulative_normal_bed_gy,
                    "within": o.within,
                    "tcp": [prediction_dict(p) for p in o.tcp],
                    "ntcp": [prediction_dict(p) for p in o.ntcp],
                }
                for o in self.options
            ],
            "for_plan": {
                "territory": self.territory,
                "normal_gy": r.normal_dose_gy,
                "lung_gy": r.lung_dose_gy,
                "lung_so_far_gy": math.fsum(d.lung_dose_gy for d in self.delivered),
                "delivered_bed_gy": r.delivered_bed_gy,
                "tolerance_bed_gy": self.tolerance_bed_gy,
                "nuclide": self.coming.nuclide,
                "treatments": len(self.delivered),
                "cautions": list(r.cautions),
            },
            "reading": list(self.reading),
            "warnings": list(self.warnings),
            "provenance": self.provenance.as_dict(),
        }


def analyse_adaptive(
    path: Path,
    coming: NextTreatment,
    *,
    tolerance_bed_gy: float,
    territory: str | None = None,
    activities_gbq: Sequence[float] = (),
    status: Status | None = None,
    sheet: str | None = None,
) -> AdaptiveAnalysis:
    """What the next treatment may give after those of a table.

    The table has one row per treatment: date, normal_gy, lung_gy, and nuclide or half_life_h; optionally territory. A
    treatment of another territory counts for the lungs alone.

    Raises
    ------
    TableError
        Listing every wrong cell.
    InputError
        If the table has several territories and none, or an unknown one, is named.
    EvidenceError
        If nothing limits the activity and no activities are given.
    """
    table = read_table(path, sheet=sheet)
    check = table.check()
    delivered = _delivered(check, coming)
    own = _own(check, territory)
    check.done()
    delivered = [d if mine else replace(d, normal_dose_gy=0.0) for d, mine in zip(delivered, own, strict=True)]
    found = remaining_tolerance(delivered, coming, tolerance_bed_gy=tolerance_bed_gy, status=status)
    if not activities_gbq:
        if math.isinf(found.activity_gbq):
            raise EvidenceError("neither liver nor lungs limit the activity; give --activity for the predictions")
        # Nothing left: one activity shows what any treatment would add.
        top = found.activity_gbq * 1.25
        activities_gbq = [top * n / STEPS for n in range(1, STEPS + 1)] if top > 0 else [1.0]
    models = [m for m in response_models().values() if _fits(m, coming)]
    steps = options(delivered, coming, activities_gbq, tolerance_bed_gy=tolerance_bed_gy, models=models)
    warnings = _warnings(steps, models, coming)
    if territory is not None and not any(own):
        warnings.append(f"the table has no treatment of {territory!r}: its normal liver is taken as not treated before")
    return AdaptiveAnalysis(
        territory,
        tuple(delivered),
        coming,
        tolerance_bed_gy,
        found,
        steps,
        tuple(_words(found, tolerance_bed_gy)),
        tuple(dict.fromkeys(warnings)),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={"tolerance_bed_gy": tolerance_bed_gy, "territory": territory, "next": coming.when.isoformat()},
            conventions={"BED": f"alpha/beta {LIVER.alpha_beta_gy:g} Gy, repair {LIVER.repair.half_time_h:g} h"},
        ),
    )


def _warnings(steps: Sequence[Option], models: Sequence[ResponseModel], coming: NextTreatment) -> list[str]:
    warnings = [w for o in steps[:1] for p in (*o.tcp, *o.ntcp) for w in p.warnings if "confidence" in w]
    if not any(m.kind == "ntcp" and m.has_curve for m in models):
        warnings.append(f"no toxicity curve is published for {coming.nuclide} {coming.agent}: no NTCP is stated")
    if any(m.kind == "ntcp" for m in models):
        warnings.append(
            "toxicity models were fitted on the whole non-tumorous liver and one treatment: normal_gy must be its mean "
            "dose, not that of a territory, for the NTCP to mean anything"
        )
    if any(m.metric == "bed" for m in models):
        warnings.append("models of BED take the BED of mean doses for the mean of voxel BED, which is higher")
    return warnings


def _fits(model: ResponseModel, coming: NextTreatment) -> bool:
    """Models of this nuclide and agent whose metric a mean dose can stand for."""
    metrics = ("mean_dose", "bed") if model.kind == "ntcp" else ("mean_dose",)
    return bool(coming.agent) and model.treats(coming.nuclide, coming.agent) and model.metric in metrics


def _delivered(check: TableCheck, coming: NextTreatment) -> list[Delivered]:
    dates = check.dates("date")
    normal, lung = check.numbers("normal_gy", at_least=0), check.numbers("lung_gy", at_least=0)
    half_lives = _half_lives(check)
    out = []
    for n, when in enumerate(dates):
        if when is None:
            continue
        at = datetime.combine(when, time(), coming.when.tzinfo)
        if at >= coming.when:
            check.fault(n, "date", f"{when} is not before the next treatment, {coming.when.isoformat()}")
        if not (math.isnan(normal[n] + lung[n] + half_lives[n]) or min(normal[n], lung[n]) < 0 or half_lives[n] <= 0):
            out.append(Delivered(at, normal[n], lung[n], half_lives[n]))
    return out


def _half_lives(check: TableCheck) -> list[float]:
    if check.has("half_life_h"):
        found = check.numbers("half_life_h")
        for n, value in enumerate(found):
            if value <= 0:
                check.fault(n, "half_life_h", f"{value:g} is not positive")
        return found
    if not check.has("nuclide"):
        raise InputError(f"{check.table.path}: needs a column 'nuclide' or 'half_life_h'")
    found = []
    for n, name in enumerate(check.texts("nuclide")):
        try:
            found.append(nuclide(name).half_life_h)
        except UnknownNameError as error:
            found.append(math.nan)
            check.fault(n, "nuclide", str(error))
    return found


def _own(check: TableCheck, territory: str | None) -> list[bool]:
    table: Table = check.table
    if not check.has("territory"):
        if territory is not None:
            raise InputError(f"{table.path}: there is no column 'territory', so {territory!r} cannot be chosen")
        return [True] * len(table)
    names = check.texts("territory")
    if territory is None and len(set(names)) > 1:
        raise InputError(f"{table.path}: has territories {', '.join(sorted(set(names)))}; name one with --territory")
    return [territory is None or name == territory for name in names]


def _words(r: Remaining, tolerance: float) -> list[str]:
    words = []
    if r.remaining_bed_gy <= 0:
        words.append(
            f"The normal liver has had {r.delivered_bed_gy:.4g} Gy BED of {tolerance:g} Gy tolerated: nothing is left."
        )
    elif math.isinf(r.activity_gbq):
        words.append("Neither liver nor lungs receive dose from the next treatment: nothing limits the activity.")
    else:
        words.append(
            f"Of {tolerance:g} Gy BED the normal liver has had {r.delivered_bed_gy:.4g} Gy; {r.normal_dose_gy:.4g} Gy "
            f"of absorbed dose are left, {r.lung_dose_gy:.4g} Gy for the lungs. At most {r.activity_gbq:.4g} GBq, "
            f"limited by {r.limited_by}."
        )
    if r.days_since_last is not None:
        words.append(f"{r.days_since_last:.0f} days since the last treatment; no regeneration of the liver is counted.")
    words.append("Tolerance and limits are those that were given; they are no recommendation.")
    return words + [f"Caution: {c}." for c in r.cautions]
