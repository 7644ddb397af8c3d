"""Liver function: ALBI, Child-Pugh, MELD, BCLC stage, CTCAE laboratory grades, REILD.

References
----------
.. [1] Johnson PJ et al. J Clin Oncol 2015;33:550 (ALBI).
.. [2] Pugh RN et al. Br J Surg 1973;60:646.
.. [3] Kamath PS et al. Hepatology 2001;33:464 (MELD); OPTN policy 2016 (MELD-Na).
.. [4] Reig M et al. J Hepatol 2022;76:681 (BCLC 2022).
.. [5] Common Terminology Criteria for Adverse Events, version 5.0, 2017.
.. [6] Sangro B et al. Cancer 2008;112:1538; Braat MN et al. 2017 (REILD).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hepatica.errors import InputError, UnknownNameError

UMOL_PER_MG_DL_BILIRUBIN = 17.104
ASCITES = ("none", "slight", "moderate")
ENCEPHALOPATHY = ("none", "grade 1-2", "grade 3-4")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive, not {value}")


def albi(*, bilirubin_umol_l: float, albumin_g_l: float) -> tuple[float, int]:
    """ALBI score and grade: ``0.66 log10(bilirubin, umol/L) - 0.0852 albumin, g/L``; 1 up to -2.60, 2 up to -1.39.

    >>> score, grade = albi(bilirubin_umol_l=17.1, albumin_g_l=40)
    >>> round(score, 3), grade
    (-2.594, 2)
    """
    _positive(bilirubin=bilirubin_umol_l, albumin=albumin_g_l)
    if albumin_g_l < 10:
        raise InputError(f"albumin {albumin_g_l} g/L is not possible; is it in g/dL?")
    score = 0.66 * math.log10(bilirubin_umol_l) - 0.0852 * albumin_g_l
    return score, 1 if score <= -2.60 else 2 if score <= -1.39 else 3


def child_pugh(
    *, bilirubin_mg_dl: float, albumin_g_dl: float, inr: float, ascites: str, encephalopathy: str
) -> tuple[int, str]:
    """Child-Pugh points (5 to 15) and class.

    Bilirubin below 2, to 3, above 3 mg/dL; albumin above 3.5, from 2.8, below g/dL; INR below 1.7, to 2.3, above;
    ascites and encephalopathy by word.
    """
    _positive(bilirubin=bilirubin_mg_dl, albumin=albumin_g_dl, inr=inr)
    if albumin_g_dl > 10:
        raise InputError(f"albumin {albumin_g_dl} g/dL is not possible; is it in g/L?")
    if ascites not in ASCITES:
        raise UnknownNameError("degree of ascites", ascites, ASCITES)
    if encephalopathy not in ENCEPHALOPATHY:
        raise UnknownNameError("degree of encephalopathy", encephalopathy, ENCEPHALOPATHY)
    points = 1 if bilirubin_mg_dl < 2 else 2 if bilirubin_mg_dl <= 3 else 3
    points += 1 if albumin_g_dl > 3.5 else 2 if albumin_g_dl >= 2.8 else 3
    points += 1 if inr < 1.7 else 2 if inr <= 2.3 else 3
    points += 1 + ASCITES.index(ascites) + 1 + ENCEPHALOPATHY.index(encephalopathy)
    return points, "A" if points <= 6 else "B" if points <= 9 else "C"


def meld(
    *,
    bilirubin_mg_dl: float,
    inr: float,
    creatinine_mg_dl: float,
    dialysis: bool = False,
    sodium_mmol_l: float | None = None,
) -> int:
    """MELD score (6 to 40); with sodium MELD-Na.

    Values below 1 count as 1, creatinine at most 4 mg/dL (4 on dialysis), sodium 125 to 137 mmol/L and only above 11
    points.

    >>> meld(bilirubin_mg_dl=1.9, inr=1.2, creatinine_mg_dl=1.3)
    13
    """
    _positive(bilirubin=bilirubin_mg_dl, inr=inr, creatinine=creatinine_mg_dl)
    creatinine = 4.0 if dialysis else min(max(creatinine_mg_dl, 1.0), 4.0)
    raw = 3.78 * math.log(max(bilirubin_mg_dl, 1)) + 11.2 * math.log(max(inr, 1)) + 9.57 * math.log(creatinine) + 6.43
    score: float = math.floor(raw + 0.5)
    if sodium_mmol_l is not None and score > 11:
        gap = 137 - min(max(sodium_mmol_l, 125.0), 137.0)
        score += 1.32 * gap - 0.033 * score * gap
    return int(min(40, max(6, math.floor(score + 0.5))))


@dataclass(frozen=True, slots=True)
class Bclc:
    """BCLC stage and the finding that decides it."""

    stage: str
    reason: str


def bclc(
    *,
    performance_status: int,
    child_pugh_class: str,
    lesions: int,
    largest_cm: float,
    vascular_invasion: bool,
    extrahepatic_spread: bool,
) -> Bclc:
    """BCLC stage 0, A, B, C or D (2022).

    End-stage function (Child-Pugh C without transplant option) or performance status above 2 is D; spread, vascular
    invasion or performance status 1 to 2 is C; one lesion up to 2 cm is 0; one lesion or up to three of 3 cm is A;
    else B.
    """
    if not 0 <= performance_status <= 4:
        raise InputError(f"performance status is 0 to 4, not {performance_status}")
    if child_pugh_class not in ("A", "B", "C"):
        raise UnknownNameError("Child-Pugh class", child_pugh_class, ("A", "B", "C"))
    if lesions < 1 or not largest_cm > 0:
        raise InputError("BCLC needs at least one lesion with a size")
    if performance_status > 2:
        return Bclc("D", f"performance status {performance_status}")
    if child_pugh_class == "C":
        return Bclc("D", "Child-Pugh C (A if it can be transplanted)")
    if extrahepatic_spread:
        return Bclc("C", "extrahepatic spread")
    if vascular_invasion:
        return Bclc("C", "vascular invasion")
    if performance_status > 0:
        return Bclc("C", f"performance status {performance_status}")
    if lesions == 1:
        return Bclc("0", "one lesion up to 2 cm") if largest_cm <= 2 else Bclc("A", "one lesion")
    if lesions <= 3 and largest_cm <= 3:
        return Bclc("A", f"{lesions} lesions up to 3 cm")
    return Bclc("B", f"{lesions} lesions, largest {largest_cm:g} cm")


# Upper ends of grades 0 to 3 as multiples of the upper limit of normal, and of an abnormal baseline.
_CTCAE = {
    "bilirubin": ((1.0, 1.5, 3.0, 10.0), (1.0, 1.5, 3.0, 10.0)),
    "alt": ((1.0, 3.0, 5.0, 20.0), (1.5, 3.0, 5.0, 20.0)),
    "ast": ((1.0, 3.0, 5.0, 20.0), (1.5, 3.0, 5.0, 20.0)),
    "alp": ((1.0, 2.5, 5.0, 20.0), (2.0, 2.5, 5.0, 20.0)),
    "ggt": ((1.0, 2.5, 5.0, 20.0), (2.0, 2.5, 5.0, 20.0)),
}


def ctcae_grade(test: str, value: float, upper_limit: float, *, baseline: float | None = None) -> int:
    """CTCAE 5.0 grade 0 to 4 of bilirubin, ALT, AST, ALP or GGT.

    Parameters
    ----------
    test : str
        "bilirubin", "alt", "ast", "alp", "ggt".
    value, upper_limit : float
        Value and upper limit of normal in the same unit.
    baseline : float or None
        Value before treatment. If it was above normal, grades count from it (version 5).

    Examples
    --------
    >>> ctcae_grade("bilirubin", 3.5, 1.1), ctcae_grade("bilirubin", 3.5, 1.1, baseline=2.5)
    (3, 1)
    """
    if test not in _CTCAE:
        raise UnknownNameError("laboratory test", test, _CTCAE)
    _positive(value=value, upper_limit=upper_limit)
    normal, abnormal = _CTCAE[test]
    if baseline is not None and baseline > upper_limit:
        limits, reference = abnormal, baseline
    else:
        limits, reference = normal, upper_limit
    return sum(value > limit * reference * (1 + 1e-12) for limit in limits)


def ctcae_albumin(value_g_l: float, *, lower_limit_g_l: float) -> int:
    """CTCAE 5.0 grade of a low albumin: below normal, below 30, below 20 g/L."""
    _positive(albumin=value_g_l, lower_limit=lower_limit_g_l)
    if value_g_l >= lower_limit_g_l:
        return 0
    return 1 if value_g_l >= 30 else 2 if value_g_l >= 20 else 3


def ctcae_inr(value: float) -> int:
    """CTCAE 5.0 grade of INR without anticoagulation: above 1.2, 1.5, 2.5."""
    _positive(inr=value)
    return sum(value > limit for limit in (1.2, 1.5, 2.5))


@dataclass(frozen=True, slots=True)
class Reild:
    """Whether radioembolization-induced liver disease is to be suspected, and why or why not."""

    suspected: bool
    reason: str


def reild(
    *,
    days_after_treatment: int,
    bilirubin_mg_dl: float,
    ascites: bool,
    progression: bool,
    bile_duct_obstruction: bool = False,
) -> Reild:
    """REILD: bilirubin above 3 mg/dL and ascites, 1 to 2 months after treatment, without progression or obstruction."""
    _positive(bilirubin=bilirubin_mg_dl)
    if progression or bile_duct_obstruction:
        return Reild(False, "explained by progression" if progression else "explained by bile duct obstruction")
    if not (bilirubin_mg_dl > 3 and ascites):
        return Reild(False, "needs bilirubin above 3 mg/dL and ascites")
    if not 28 <= days_after_treatment <= 62:
        return Reild(False, f"{days_after_treatment} days after treatment; typical are 1 to 2 months: judge by hand")
    return Reild(True, "bilirubin above 3 mg/dL and ascites 1 to 2 months after treatment, without progression")
