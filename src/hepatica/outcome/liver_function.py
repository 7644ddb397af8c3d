"""From a table of laboratory values to ALBI, Child-Pugh, MELD, CTCAE grades and the REILD flag, row by row."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass

from hepatica.core.tables.input_table import InputTable, TableCheck
from hepatica.errors import InputError
from hepatica.outcome.liver_scores import (
    ASCITES,
    ENCEPHALOPATHY,
    UMOL_PER_MG_DL_BILIRUBIN,
    albi,
    bclc,
    child_pugh,
    ctcae_albumin,
    ctcae_grade,
    ctcae_inr,
    meld,
    reild,
)

ENZYMES = ("alt", "ast", "alp", "ggt")

UPPER_LIMIT_BILIRUBIN_MG_DL = 1.2
"""Upper limit of normal if the table has no column bilirubin_uln_mg_dl."""


@dataclass(frozen=True, slots=True)
class LiverRow:
    """Liver function of one patient at one date; None where the columns for a score are missing."""

    patient: str
    date: datetime.date
    bilirubin_mg_dl: float
    albumin_g_dl: float
    albi: float
    albi_grade: int
    child_pugh: int | None
    child_pugh_class: str | None
    meld: int | None
    ctcae_grades: Mapping[str, int]
    reild: str | None
    bclc: str | None = None


def liver_rows(table: InputTable) -> tuple[LiverRow, ...]:
    """Scores of every row, by patient and date; the first row of a patient is the baseline of the CTCAE grades.

    Raises
    ------
    TableError
        Listing every fault with row and column; a value that only makes sense in another unit is one.
    """
    check = table.check()
    values = _read(check)
    check.done()
    baseline: dict[str, dict[str, tuple[float, float]]] = {}
    rows = []
    for n in sorted(range(len(table)), key=lambda i: (values.patients[i], values.dates[i] or datetime.date.min)):
        when = values.dates[n]
        if when is not None:
            tests = _tests(values.bilirubin[n], values.values(n))
            rows.append(_row(values, n, when, baseline.setdefault(values.patients[n], tests)))
    return tuple(rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Labs:
    """The columns of a laboratory table; nan, None or "" where a cell or column is missing."""

    patients: list[str]
    dates: list[datetime.date | None]
    bilirubin: list[float]
    albumin: list[float]
    optional: dict[str, list[float]]
    ascites: list[str]
    encephalopathy: list[str]
    treated: list[datetime.date | None]
    flags: dict[str, list[float]]

    def values(self, n: int) -> dict[str, float]:
        """Optional numbers that a row has."""
        return {name: column[n] for name, column in self.optional.items() if not math.isnan(column[n])}


def _read(check: TableCheck) -> _Labs:
    count = len(check.table)
    bilirubin = _either(check, "bilirubin_mg_dl", "bilirubin_umol_l", 1 / UMOL_PER_MG_DL_BILIRUBIN)
    albumin = _either(check, "albumin_g_dl", "albumin_g_l", 0.1)
    for n, (b, a) in enumerate(zip(bilirubin, albumin, strict=True)):
        if a > 7 or a < 1:
            check.fault(n, _present(check, "albumin_g_dl", "albumin_g_l"), f"albumin of {a:.3g} g/dL: wrong unit?")
        if b > 60:
            check.fault(
                n, _present(check, "bilirubin_mg_dl", "bilirubin_umol_l"), f"bilirubin of {b:.3g} mg/dL: wrong unit?"
            )
    optional = {name: check.numbers(name, at_least=0, optional=True) for name in _numeric(check)}
    for n, value in enumerate(optional.get("performance_status", [])):
        if value not in (0, 1, 2, 3, 4) and not math.isnan(value):
            check.fault(n, "performance_status", f"{value:g} is not 0, 1, 2, 3 or 4 (ECOG)")
    for n, value in enumerate(optional.get("lesions", [])):
        if not math.isnan(value) and (value < 1 or value != int(value)):
            check.fault(n, "lesions", f"{value:g} is not a number of lesions")
    for name in ("inr", "creatinine_mg_dl", "sodium_mmol_l", "largest_mm", "albumin_lln_g_l"):
        for n, value in enumerate(optional.get(name, [])):
            if value == 0:
                check.fault(n, name, "is 0")
    flags = {
        name: check.yes_no(name, optional=True) if check.has(name) else [math.nan] * count
        for name in ("progression", "vascular_invasion", "extrahepatic_spread")
    }
    return _Labs(
        check.texts("patient"),
        check.dates("date"),
        bilirubin,
        albumin,
        optional,
        check.words("ascites", ASCITES),
        check.words("encephalopathy", ENCEPHALOPATHY),
        check.dates("treated", optional=True) if check.has("treated") else [None] * count,
        flags,
    )


def _row(labs: _Labs, n: int, when: datetime.date, first: dict[str, tuple[float, float]]) -> LiverRow:
    values, bilirubin, albumin = labs.values(n), labs.bilirubin[n], labs.albumin[n]
    score, grade = albi(bilirubin_umol_l=bilirubin * UMOL_PER_MG_DL_BILIRUBIN, albumin_g_l=albumin * 10)
    points, letter = _child_pugh(bilirubin, albumin, values.get("inr"), labs.ascites[n], labs.encephalopathy[n])
    grades = {
        name: ctcae_grade(name, value, upper, baseline=first[name][0] if name in first else None)
        for name, (value, upper) in _tests(bilirubin, values).items()
    }
    if "albumin_lln_g_l" in values:
        grades["albumin"] = ctcae_albumin(albumin * 10, lower_limit_g_l=values["albumin_lln_g_l"])
    if "inr" in values:
        grades["inr"] = ctcae_inr(values["inr"])
    return LiverRow(
        labs.patients[n],
        when,
        bilirubin,
        albumin,
        score,
        grade,
        points,
        letter,
        _meld(bilirubin, values),
        grades,
        _reild(labs.treated[n], when, bilirubin, labs.ascites[n], labs.flags["progression"][n]),
        _bclc(letter, values, {name: column[n] for name, column in labs.flags.items()}),
    )


def _bclc(letter: str | None, values: dict[str, float], flags: dict[str, float]) -> str | None:
    needed = ("performance_status", "lesions", "largest_mm")
    if letter is None or any(name not in values for name in needed):
        return None
    if math.isnan(flags["vascular_invasion"] + flags["extrahepatic_spread"]):
        return None
    found = bclc(
        performance_status=int(values["performance_status"]),
        child_pugh_class=letter,
        lesions=int(values["lesions"]),
        largest_cm=values["largest_mm"] / 10,
        vascular_invasion=flags["vascular_invasion"] == 1,
        extrahepatic_spread=flags["extrahepatic_spread"] == 1,
    )
    return f"{found.stage}: {found.reason}"


def _tests(bilirubin: float, values: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Value and upper limit of every test that a row has."""
    found = {"bilirubin": (bilirubin, values.get("bilirubin_uln_mg_dl", UPPER_LIMIT_BILIRUBIN_MG_DL))}
    for name in ENZYMES:
        value, upper = values.get(f"{name}_u_l"), values.get(f"{name}_uln_u_l")
        if value is not None and upper is not None and value > 0 and upper > 0:
            found[name] = (value, upper)
    return found


def _child_pugh(
    bilirubin: float, albumin: float, inr: float | None, ascites: str, encephalopathy: str
) -> tuple[int | None, str | None]:
    if inr is None or not ascites or not encephalopathy:
        return None, None
    return child_pugh(
        bilirubin_mg_dl=bilirubin, albumin_g_dl=albumin, inr=inr, ascites=ascites, encephalopathy=encephalopathy
    )


def _meld(bilirubin: float, values: dict[str, float]) -> int | None:
    if "inr" not in values or "creatinine_mg_dl" not in values:
        return None
    return meld(
        bilirubin_mg_dl=bilirubin,
        inr=values["inr"],
        creatinine_mg_dl=values["creatinine_mg_dl"],
        sodium_mmol_l=values.get("sodium_mmol_l"),
    )


def _reild(
    start: datetime.date | None, when: datetime.date, bilirubin: float, ascites: str, progression: float
) -> str | None:
    if start is None or not ascites or math.isnan(progression):
        return None
    found = reild(
        days_after_treatment=(when - start).days,
        bilirubin_mg_dl=bilirubin,
        ascites=ascites != "none",
        progression=progression == 1,
    )
    return ("suspected: " if found.suspected else "no: ") + found.reason


def _present(check: TableCheck, one: str, other: str) -> str:
    return one if check.has(one) else other


def _either(check: TableCheck, plain: str, other: str, factor: float) -> list[float]:
    if check.has(plain) == check.has(other):
        raise InputError(f"{check.table.name}: needs column {plain!r} or {other!r}, one of the two")
    if check.has(plain):
        return check.numbers(plain, at_least=0.01)
    return [value * factor for value in check.numbers(other, at_least=0.1)]


def _numeric(check: TableCheck) -> list[str]:
    names = ["inr", "creatinine_mg_dl", "sodium_mmol_l", "bilirubin_uln_mg_dl"]
    names += ["albumin_lln_g_l", "performance_status", "lesions", "largest_mm"]
    names += [f"{test}{suffix}" for test in ENZYMES for suffix in ("_u_l", "_uln_u_l")]
    return [name for name in names if check.has(name)]
