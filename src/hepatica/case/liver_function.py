"""From a table of laboratory values to ALBI, Child-Pugh, MELD, CTCAE grades and the REILD flag, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hepatica.core import InputFile, Provenance
from hepatica.errors import InputError
from hepatica.io.tables import TableCheck, read_table
from hepatica.outcome.liver_scores import (
    ASCITES,
    ENCEPHALOPATHY,
    UMOL_PER_MG_DL_BILIRUBIN,
    albi,
    child_pugh,
    ctcae_grade,
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
    when: date
    bilirubin_mg_dl: float
    albumin_g_dl: float
    albi: float
    albi_grade: int
    child_pugh: int | None
    child_pugh_class: str | None
    meld: int | None
    ctcae: dict[str, int]
    reild: str | None


@dataclass(frozen=True, slots=True)
class LiverFunction:
    """Liver function of a table."""

    rows: tuple[LiverRow, ...]
    provenance: Provenance

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "rows": [
                {
                    "patient": r.patient,
                    "date": r.when.isoformat(),
                    "bilirubin_mg_dl": r.bilirubin_mg_dl,
                    "albumin_g_dl": r.albumin_g_dl,
                    "albi": r.albi,
                    "albi_grade": r.albi_grade,
                    "child_pugh": r.child_pugh,
                    "child_pugh_class": r.child_pugh_class,
                    "meld": r.meld,
                    "ctcae_grades": dict(r.ctcae),
                    "reild": r.reild,
                }
                for r in self.rows
            ],
            "provenance": self.provenance.as_dict(),
        }


def analyse_liver_function(path: Path, *, sheet: str | None = None) -> LiverFunction:
    """Scores of every row of a laboratory table.

    Columns: patient, date, bilirubin_mg_dl or bilirubin_umol_l, albumin_g_dl or albumin_g_l. For Child-Pugh also inr,
    ascites (none, slight, moderate) and encephalopathy (none, grade 1-2, grade 3-4); for MELD inr and creatinine_mg_dl
    (and sodium_mmol_l); for REILD treated (date), ascites, progression (1/0); for CTCAE grades alt_u_l and alt_uln_u_l
    (upper limit of normal), so too ast, alp, ggt. The first row of a patient is the CTCAE baseline.

    Raises
    ------
    TableError
        Listing every fault with row and column; a value that only makes sense in another unit is one.
    """
    table = read_table(path, sheet=sheet)
    check = table.check()
    patients, dates = check.texts("patient"), check.dates("date")
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
    ascites, encephalopathy = _words(check, "ascites", ASCITES), _words(check, "encephalopathy", ENCEPHALOPATHY)
    treated = check.dates("treated", optional=True) if check.has("treated") else [None] * len(table)
    progression = check.yes_no("progression", optional=True) if check.has("progression") else [math.nan] * len(table)
    check.done()
    baseline: dict[str, dict[str, tuple[float, float]]] = {}
    rows = []
    for n in sorted(range(len(table)), key=lambda i: (patients[i], dates[i] or date.min)):
        when = dates[n]
        if when is None:
            continue
        values = {name: column[n] for name, column in optional.items() if not math.isnan(column[n])}
        score, grade = albi(bilirubin_umol_l=bilirubin[n] * UMOL_PER_MG_DL_BILIRUBIN, albumin_g_l=albumin[n] * 10)
        points, letter = _child_pugh(bilirubin[n], albumin[n], values.get("inr"), ascites[n], encephalopathy[n])
        tests = _tests(bilirubin[n], values)
        first = baseline.setdefault(patients[n], tests)
        rows.append(
            LiverRow(
                patients[n],
                when,
                bilirubin[n],
                albumin[n],
                score,
                grade,
                points,
                letter,
                _meld(bilirubin[n], values),
                {
                    name: ctcae_grade(name, value, upper, baseline=first[name][0] if name in first else None)
                    for name, (value, upper) in tests.items()
                },
                _reild(treated[n], when, bilirubin[n], ascites[n], progression[n]),
            )
        )
    return LiverFunction(
        tuple(rows),
        Provenance(
            inputs=(InputFile.of("table", path),),
            parameters={"bilirubin_uln_mg_dl": UPPER_LIMIT_BILIRUBIN_MG_DL},
            conventions={"CTCAE": "5.0", "MELD": "OPTN 2016", "bilirubin": "1 mg/dL = 17.104 umol/L"},
        ),
    )


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


def _reild(start: date | None, when: date, bilirubin: float, ascites: str, progression: float) -> str | None:
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
        raise InputError(f"{check.table.path}: needs column {plain!r} or {other!r}, one of the two")
    if check.has(plain):
        return check.numbers(plain, at_least=0.01)
    return [value * factor for value in check.numbers(other, at_least=0.1)]


def _numeric(check: TableCheck) -> list[str]:
    names = ["inr", "creatinine_mg_dl", "sodium_mmol_l", "bilirubin_uln_mg_dl"]
    names += [f"{test}{suffix}" for test in ENZYMES for suffix in ("_u_l", "_uln_u_l")]
    return [name for name in names if check.has(name)]


def _words(check: TableCheck, name: str, choices: tuple[str, ...]) -> list[str]:
    if not check.has(name):
        return [""] * len(check.table)
    cells = list(check.table.columns[name])
    for n, cell in enumerate(cells):
        if cell and cell not in choices:
            check.fault(n, name, f"{cell!r} is not one of {', '.join(choices)}")
    return cells
