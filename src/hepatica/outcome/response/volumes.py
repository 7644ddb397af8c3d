"""Change of volumes: tumours, the future liver remnant, and the share of a tumour that holds lipiodol.

References
----------
.. [1] Vauthey JN et al. Surgery 2000;127:512 (share of the future remnant).
.. [2] Ribero D et al. Br J Surg 2007;94:1386 (degree of hypertrophy).
.. [3] Vogl TJ et al. Radiology 2000;214:349 (grades of lipiodol; low confidence).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hepatica.core.document import INLINE
from hepatica.core.tables.input_table import InputTable, TableCheck
from hepatica.errors import EvidenceError


@dataclass(frozen=True, slots=True)
class VolumeChange:
    """Change of a volume: mL and relative; per week where the interval is known."""

    before_ml: float
    after_ml: float
    change_ml: float
    relative: float
    relative_per_week: float | None


def volume_change(before_ml: float, after_ml: float, *, days: float | None = None) -> VolumeChange:
    """Change of a tumour's or a lobe's volume."""
    if before_ml <= 0 or after_ml < 0:
        raise EvidenceError(f"volumes must be positive, not {before_ml} and {after_ml} mL")
    relative = after_ml / before_ml - 1
    per_week = None if days is None or days <= 0 else relative / (days / 7)
    return VolumeChange(before_ml, after_ml, after_ml - before_ml, relative, per_week)


@dataclass(frozen=True, slots=True)
class FutureRemnant:
    """Future liver remnant before and after, as shares of the functional liver, and the gain (hypertrophy)."""

    share_before: float
    share_after: float
    degree_of_hypertrophy: float
    growth: VolumeChange


def future_remnant(
    *, remnant_before_ml: float, remnant_after_ml: float, liver_ml: float, tumour_ml: float, days: float | None = None
) -> FutureRemnant:
    """Growth of the future liver remnant (radiation lobectomy); liver less tumour at baseline is the whole for both.

    Source: [1]_, [2]_.
    """
    whole = liver_ml - tumour_ml
    if whole <= 0 or not 0 < remnant_before_ml <= whole:
        raise EvidenceError("the remnant must be smaller than liver less tumour")
    before, after = remnant_before_ml / whole, remnant_after_ml / whole
    return FutureRemnant(before, after, after - before, volume_change(remnant_before_ml, remnant_after_ml, days=days))


@dataclass(frozen=True, slots=True)
class RemnantGrowth:
    """The future liver remnant of one patient at one date, some days (None: not known) after the baseline."""

    patient: str
    date: datetime.date | None
    days: float | None
    found: FutureRemnant = field(metadata=INLINE)


def retained_share(retained_ml: float, tumour_ml: float) -> tuple[float, str]:
    """Share of the tumour that holds lipiodol, and its grade: under 10, 25, 50 % and above.

    The four grades follow common use after chemoembolization [3]_.
    """
    if tumour_ml <= 0 or not 0 <= retained_ml <= tumour_ml * (1 + 1e-6):
        raise EvidenceError("the retained volume must lie within the tumour's")
    share = retained_ml / tumour_ml
    grade = "none or poor" if share < 0.10 else "low" if share < 0.25 else "moderate" if share <= 0.50 else "high"
    return share, grade


@dataclass(frozen=True, slots=True)
class Retention:
    """Lipiodol in one tumour: volumes in mL, share of the tumour that holds it, grade."""

    patient: str
    lesion: str
    date: datetime.date | None
    retained_ml: float
    tumour_ml: float
    retained_share: float
    retention: str


def _baselines(
    check: TableCheck,
    patients: Sequence[str],
    dates: Sequence[datetime.date | None],
    volumes: tuple[Sequence[float], Sequence[float], Sequence[float]],
) -> Mapping[str, int]:
    """Row of every patient's first date; faults where it lacks what the others are measured against."""
    remnant, liver, tumour = volumes
    first: dict[str, int] = {}
    seen: dict[tuple[str, datetime.date], int] = {}
    for n, (patient, when) in enumerate(zip(patients, dates, strict=True)):
        if when is None:
            continue
        if (patient, when) in seen:
            check.fault(n, "date", f"{patient} on {when} is already in row {check.table.rows[seen[patient, when]]}")
        seen.setdefault((patient, when), n)
        before = first.get(patient)
        if before is None or when < (dates[before] or datetime.date.max):
            first[patient] = n
    for patient, n in first.items():
        for name, values in (("liver_ml", liver), ("tumour_ml", tumour)):
            if math.isnan(values[n]):
                check.fault(n, name, f"is empty; {patient}'s first date needs it")
        if remnant[n] > liver[n] - tumour[n]:
            check.fault(n, "remnant_ml", f"{remnant[n]:g} mL is more than liver less tumour, {liver[n] - tumour[n]:g}")
    return first


def remnants(table: InputTable) -> tuple[tuple[RemnantGrowth, ...], list[str]]:
    """Growth of every row after the first of its patient, and the patients who have a first one only.

    Raises
    ------
    TableError
        Listing every wrong cell: no liver volume at baseline, a remnant larger than liver less tumour.
    """
    check = table.check()
    patients, dates = check.texts("patient"), check.dates("date")
    remnant = check.numbers("remnant_ml", at_least=0.1)
    liver, tumour = (check.numbers(name, at_least=0, optional=True) for name in ("liver_ml", "tumour_ml"))
    first = _baselines(check, patients, dates, (remnant, liver, tumour))
    check.done()
    rows = []
    for n, (patient, when) in enumerate(zip(patients, dates, strict=True)):
        base = first[patient]
        start = dates[base]
        if n == base or when is None or start is None:
            continue
        found = future_remnant(
            remnant_before_ml=remnant[base],
            remnant_after_ml=remnant[n],
            liver_ml=liver[base],
            tumour_ml=tumour[base],
            days=(when - start).days,
        )
        rows.append(RemnantGrowth(patient, when, (when - start).days, found))
    alone = [patient for patient in first if patient not in {r.patient for r in rows}]
    return tuple(rows), alone


def retentions(table: InputTable) -> tuple[Retention, ...]:
    """Lipiodol of every row of a table.

    Raises
    ------
    TableError
        Listing every wrong cell; more lipiodol than tumour is one.
    """
    check = table.check()
    patients, lesions, dates = check.texts("patient"), check.texts("lesion"), check.dates("date")
    retained, tumour = check.numbers("retained_ml", at_least=0), check.numbers("tumour_ml", at_least=0)
    for n, (part, whole) in enumerate(zip(retained, tumour, strict=True)):
        if whole == 0:
            check.fault(n, "tumour_ml", "is 0; retention is a share of the tumour")
        elif part > whole:
            check.fault(n, "retained_ml", f"{part:g} mL is more than the tumour's {whole:g} mL")
    check.done()
    return tuple(
        Retention(patient, lesion, when, part, whole, *retained_share(part, whole))
        for patient, lesion, when, part, whole in zip(patients, lesions, dates, retained, tumour, strict=True)
    )
