"""What stays and what leaves: excretion, waste, long-lived impurities, cremation, staff."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hepatica.core.tables.shipped import toml_table
from hepatica.errors import InputError, PhysicsError
from hepatica.nuclides import is_same_agent, nuclide
from hepatica.safety.contact import PatientSource, first_time

LN2 = math.log(2)


def _table() -> Mapping[str, Any]:
    """The table of published values."""
    return toml_table(__package__, "afterwards.toml")


def published_effective_half_life_h(name: str, agent: str) -> tuple[float, str] | None:
    """Published effective half-life in h and its source for a nuclide and agent; None where there is none."""
    row = _row("effective_half_life", name, agent)
    return None if row is None else (float(row["hours"]), f"{row['source']} ({row['confidence']})")


def _row(section: str, name: str, agent: str) -> dict[str, Any] | None:
    canonical = nuclide(name).name
    for row in _table()[section]:
        if row["nuclide"] == canonical and ("agent" not in row or is_same_agent(row["agent"], agent)):
            return dict(row)
    return None


_ADVICE = {
    "iodine": "Urine carries radioactive iodine: sit down, flush twice, wash hands; own toilet in the first week.",
    "little": "Little activity leaves the body: flush twice and wash hands for the first day.",
    "unknown": "No published excretion: treat urine as radioactive for the first two days.",
}


@dataclass(frozen=True, slots=True)
class Excretion:
    """What leaves with excreta.

    Attributes
    ----------
    percent_48h_max : float or None
        Highest published share of the injected activity by 48 h, per cent.
    source : str
        Of it.
    level, advice : str
        "iodine", "little" or "unknown", and what follows.
    thyroid_block : str or None
        For 131I.
    """

    percent_48h_max: float | None
    source: str
    level: str
    advice: str
    thyroid_block: str | None


def excretion(name: str, agent: str) -> Excretion:
    """Excretion of a nuclide and agent, with the thyroid block of 131I-lipiodol."""
    canonical = nuclide(name).name
    row = _row("excretion", canonical, agent)
    block = _table()["thyroid_block"]
    needs_block = canonical == block["nuclide"]
    level = "iodine" if needs_block else "unknown" if row is None else "little"
    return Excretion(
        None if row is None else row["percent_48h_max"],
        "" if row is None else f"{row['source']} ({row['confidence']})",
        level,
        _ADVICE[level],
        f"{block['text']} ({block['source']}; {block['confidence']})" if needs_block else None,
    )


def storage_days(activity_bq: float, limit_bq: float, half_life_h: float) -> float:
    """Days of decay in storage until an activity is down to a limit; 0 if it is there.

    >>> round(storage_days(1e9, 1e6, 64.05), 1)
    26.6
    """
    if not (activity_bq > 0 and limit_bq > 0 and half_life_h > 0):
        raise PhysicsError("activity, limit and half-life must be positive")
    return max(0.0, half_life_h * math.log2(activity_bq / limit_bq) / 24)


@dataclass(frozen=True, slots=True)
class Waste:
    """Decay in storage of a vial or of contaminated material.

    Attributes
    ----------
    days_ten_half_lives : float
        The common rule of thumb: 0.1 % left.
    exempt_bq_per_g : float or None
        Exempt concentration of the nuclide.
    days_to_exempt : float or None
        With the concentration given.
    impurity : str or None
        Long-lived impurity.
    impurity_fraction : float or None
        Its activity over that of the nuclide at the start; None where it must be measured.
    impurity_overtakes_days : float or None
        When the impurity becomes the larger activity: from then on storage no longer helps.
    """

    days_ten_half_lives: float
    exempt_bq_per_g: float | None
    days_to_exempt: float | None
    impurity: str | None
    impurity_half_life_d: float | None
    impurity_fraction: float | None
    impurity_overtakes_days: float | None
    source: str


def waste(name: str, *, bq_per_g: float | None = None, impurity_fraction: float | None = None) -> Waste:
    """How long to store waste, and whether a long-lived impurity spoils it.

    Parameters
    ----------
    name : str
        Nuclide.
    bq_per_g : float or None
        Activity concentration of the waste now.
    impurity_fraction : float or None
        Activity of the impurity over that of the nuclide now; None takes a published typical value if there is one.
    """
    substance = nuclide(name)
    exempt = _table()["exempt_bq_per_g"].get(substance.name)
    row = next((r for r in _table()["impurity"] if r["nuclide"] == substance.name), None)
    if impurity_fraction is not None and (row is None or not 0 < impurity_fraction < 1):
        raise InputError(
            f"{substance.name}: no long-lived impurity is known, or its fraction ({impurity_fraction}) is not 0 to 1"
        )
    fraction = impurity_fraction if impurity_fraction is not None else (row or {}).get("typical_fraction")
    overtakes = None
    if row is not None and fraction is not None:
        overtakes = math.log(1 / fraction) / (LN2 * (24 / substance.half_life_h - 1 / row["half_life_d"]))
    return Waste(
        10 * substance.half_life_h / 24,
        exempt,
        None if bq_per_g is None or exempt is None else storage_days(bq_per_g, exempt, substance.half_life_h),
        None if row is None else row["impurity"],
        None if row is None else row["half_life_d"],
        fraction,
        overtakes,
        _table()["exempt_bq_per_g"]["source"] + ("" if row is None else f"; {row['source']}"),
    )


def cremation_wait_days(source: PatientSource) -> tuple[float, float, str] | None:
    """(days until cremation needs no precaution, limit in MBq, source); None where no limit is published."""
    table = _table()["cremation_mbq"]
    limit = table.get(source.constant.nuclide)
    if not isinstance(limit, float):
        return None
    hours = first_time(lambda h: source.activity_gbq * 1000 * source.activity_left(h), limit)
    return hours / 24, limit, f"{table['source']} ({table['confidence']})"


@dataclass(frozen=True, slots=True)
class StaffTask:
    """A task near the patient and the dose from it."""

    task: str
    hours: float
    distance_m: float
    after_h: float
    dose_usv: float


def staff_tasks(source: PatientSource) -> tuple[StaffTask, ...]:
    """Dose in uSv to staff from the patient, per task.

    Times and distances are our planning assumptions (see the table); beta rays of vial and catheter are not in it.
    """
    return tuple(
        StaffTask(
            t["task"],
            t["hours"],
            t["distance_m"],
            t["after_h"],
            1000 * source.dose_msv(t["distance_m"], t["after_h"], t["after_h"] + t["hours"]),
        )
        for t in _table()["staff_task"]
    )


def surgery_wait_days(
    source: PatientSource, *, hours: float = 4.0, distance_m: float = 0.3, limit_usv: float = 100.0
) -> float:
    """Days until an operation of some hours gives the surgeon at most `limit_usv` (our planning value) from outside."""

    def dose(start_h: float) -> float:
        return 1000 * source.dose_msv(distance_m, start_h, start_h + hours)

    return first_time(dose, limit_usv) / 24
