"""When a patient may go home: NRC Regulatory Guide 8.39, Euratom constraints, national variants.

References
----------
.. [1] NRC Regulatory Guide 8.39, Release of patients administered radioactive materials, 1997, appendices A and B.
.. [2] NCRP Report 37 (1970): the equation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from hepatica.core.document import INLINE
from hepatica.core.tables.shipped import toml_table
from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.nuclides import nuclide
from hepatica.safety.contact import PatientSource, first_time
from hepatica.safety.dose_rate import Geometry, guide_row

MBQ_PER_MCI = 37.0
LONG_LIVED_H = 24.0
"""Half-life above which RG 8.39 takes an occupancy of 0.25 instead of 1."""


def occupancy_factor(half_life_h: float) -> float:
    """Fraction of the time that someone is 1 m away, by RG 8.39: 0.25 above one day of half-life, 1 below."""
    return 0.25 if half_life_h > LONG_LIVED_H else 1.0


def total_dose_msv(source: PatientSource, *, occupancy: float, distance_m: float = 1.0, from_h: float = 0.0) -> float:
    """Patient-specific total dose in mSv: chosen dose rate, effective half-lives, occupancy (RG 8.39 appendix B)."""
    if not 0 <= occupancy <= 1:
        raise PhysicsError(f"occupancy must be 0 to 1, not {occupancy}")
    return occupancy * source.dose_msv(distance_m, from_h)


@dataclass(frozen=True, slots=True)
class NrcRelease:
    """Release by 10 CFR 35.75.

    Attributes
    ----------
    dose_msv : float
        To the most exposed person; by the guide's constant (1 R = 1 rem) where it has one, else by the source's.
    basis : str
        Which constant made the dose.
    occupancy : float
        Occupancy factor used.
    may_go : bool
        Whether the dose is at most 5 mSv or the activity at most the guide's table 1.
    instructions_due : bool
        Whether written instructions are due: above 1 mSv by the guide's equation, and above its table 2 where known.
    wait_h : float
        Hours until the dose still to come is 5 mSv, or the activity left that of table 1; 0 if the patient may go.
    activity_limit_gbq, instruction_activity_gbq : float
        Activities at which this patient's dose is 5 and 1 mSv.
    rate_limit_usv_per_h : float
        Dose rate at 1 m that goes with 5 mSv.
    table_activity_limit_gbq : float or None
        RG 8.39 table 1; None where it has none (90Y).
    table_instruction_activity_gbq : float or None
        RG 8.39 table 2, where it was read (131I); elsewhere `instruction_activity_gbq` follows from its equation.
    """

    dose_msv: float
    basis: str
    occupancy: float
    may_go: bool
    instructions_due: bool
    wait_h: float
    activity_limit_gbq: float
    instruction_activity_gbq: float
    rate_limit_usv_per_h: float
    table_activity_limit_gbq: float | None
    table_instruction_activity_gbq: float | None


def nrc_release(source: PatientSource, *, occupancy: float | None = None) -> NrcRelease:
    """Release by 10 CFR 35.75 and RG 8.39: 5 mSv at 1 m, instructions above 1 mSv.

    Parameters
    ----------
    source : PatientSource
        The patient. Its clearance counts (patient-specific); with the physical half-life the guide's tables count too.
    occupancy : float or None
        None takes the guide's: 0.25 if the physical half-life is above a day, else 1.
    """
    substance = nuclide(source.constant.nuclide)
    share = occupancy_factor(substance.half_life_h) if occupancy is None else occupancy
    row = guide_row(substance.name)
    if row is None:
        guided, basis = source, f"{source.constant.convention} dose rate of {substance.name}"
    else:
        # R cm2/(mCi h) with 1 R = 1 rem = 10 mSv, as the guide does it.
        value = row.r_cm2_per_mci_h * 1e4 * 1e-4 * 1000 / MBQ_PER_MCI
        constant = replace(source.constant, usv_m2_per_gbq_h=value, near=None, convention="rg839")
        guided, basis = replace(source, constant=constant, geometry=Geometry("point")), "RG 8.39 exposure rate constant"
    dose = total_dose_msv(guided, occupancy=share)
    if not dose > 0:
        raise PhysicsError("the dose to others is zero; check activity and occupancy")
    table = None if row is None else row.activity_limit_mci * MBQ_PER_MCI / 1000
    instructed = None if row is None else row.instruction_limit_mci
    table_2 = None if instructed is None else instructed * MBQ_PER_MCI / 1000
    wait = first_time(lambda h: total_dose_msv(guided, occupancy=share, from_h=h), 5.0)
    instructions = dose > 1.0
    if table is not None and occupancy is None:
        wait = min(wait, first_time(lambda h: source.activity_gbq * source.activity_left(h), table))
    if table_2 is not None and occupancy is None:
        instructions = instructions and source.activity_gbq > table_2
    return NrcRelease(
        dose_msv=dose,
        basis=basis,
        occupancy=share,
        may_go=wait == 0,
        instructions_due=instructions,
        wait_h=wait,
        activity_limit_gbq=source.activity_gbq * 5.0 / dose,
        instruction_activity_gbq=source.activity_gbq * 1.0 / dose,
        rate_limit_usv_per_h=guided.rate_usv_per_h(1.0) * 5.0 / dose,
        table_activity_limit_gbq=table,
        table_instruction_activity_gbq=table_2,
    )


FrameworkName = Literal["nrc", "euratom", "france", "germany", "ireland", "australia"]
"""The rules that are shipped."""


@dataclass(frozen=True, slots=True)
class Framework:
    """A country's rule; every limit is None where the rule does not use it."""

    name: str
    text: str
    source: str
    confidence: str
    release_dose_msv: float | None = None
    instruction_dose_msv: float | None = None
    release_rate_usv_h: float | None = None
    release_distance_m: float | None = None
    constraints_msv: Mapping[str, float] = field(default_factory=dict)
    activity_limits_mbq: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrameworkVerdict:
    """What a rule says about a patient: whether release is allowed now, after how long, and why."""

    framework: Framework = field(metadata=INLINE)
    may_go: bool | None
    wait_h: float | None
    reason: str


@functools.cache
def frameworks() -> dict[str, Framework]:
    """Rules by name."""
    return {row["name"]: Framework(**row) for row in toml_table(__package__, "frameworks.toml")["framework"]}


def framework(name: str) -> Framework:
    """A rule by name; UnknownNameError lists them."""
    if name not in frameworks():
        raise UnknownNameError("release framework", name, frameworks())
    return frameworks()[name]


def verdict(
    rule: Framework, source: PatientSource, *, now_h: float = 0.0, occupancy: float | None = None
) -> FrameworkVerdict:
    """What a rule says `now_h` after administration.

    `occupancy` replaces the guide's in the NRC formula. A rule made of dose constraints alone (Euratom, Ireland) does
    not stop release: it sets the contact restrictions, and `may_go` is None.
    """
    if rule.release_dose_msv is not None:
        nrc = nrc_release(source, occupancy=occupancy)
        wait = max(0.0, nrc.wait_h - now_h)
        return FrameworkVerdict(
            rule, wait == 0, wait, f"{nrc.dose_msv:.3g} mSv at 1 m, occupancy {nrc.occupancy:g}; limit 5 mSv"
        )
    if rule.release_rate_usv_h is not None and rule.release_distance_m is not None:
        rate = source.rate_usv_per_h(rule.release_distance_m, now_h)
        until = source.hours_until_rate(rule.release_distance_m, rule.release_rate_usv_h)
        wait = max(0.0, until - now_h)
        text = f"{rate:.3g} uSv/h at {rule.release_distance_m:g} m; limit {rule.release_rate_usv_h:g} uSv/h"
        return FrameworkVerdict(rule, wait == 0, wait, text)
    limit = rule.activity_limits_mbq.get(source.constant.nuclide)
    if limit is not None:
        present = source.activity_gbq * source.activity_left(now_h) * 1000
        ratio = source.activity_gbq * 1000 / limit
        wait = 0.0
        if present > limit:
            if len(source.clearance) != 1:
                raise PhysicsError("waiting for an activity limit needs one effective half-life")
            wait = source.clearance[0][1] * math.log2(ratio) - now_h
        return FrameworkVerdict(rule, wait <= 0, max(0.0, wait), f"{present:.4g} MBq present; limit {limit:g} MBq")
    if rule.constraints_msv:
        text = ", ".join(f"{who} {value:g} mSv" for who, value in rule.constraints_msv.items())
        return FrameworkVerdict(rule, None, None, f"by contact restrictions: {text}")
    return FrameworkVerdict(rule, None, None, f"no limit for {source.constant.nuclide}")
