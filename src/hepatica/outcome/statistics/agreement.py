"""Whether two ways of measuring agree: scout against therapy, SPECT against MR.

References
----------
.. [1] Bland JM, Altman DG. Lancet 1986;1:307; Stat Methods Med Res 1999;8:135 (intervals of the limits).
.. [2] Lin LI. Biometrics 1989;45:255, corrected 2000;56:324.
.. [3] Passing H, Bablok W. J Clin Chem Clin Biochem 1983;21:709.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.errors import EvidenceError
from hepatica.outcome.statistics.evidence import Z95, as_floats, same_length

FloatArray = NDArray[np.float64]

MIN_PAIRS = 5


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Differences (second minus first).

    Attributes
    ----------
    n : int
        Pairs.
    bias, bias_low, bias_high : float
        Mean difference and 95 % interval (t).
    sd : float
        Standard deviation of the differences.
    lower_limit, upper_limit : float
        95 % limits of agreement, bias -+ 1.96 sd.
    limit_error : float
        Half width of either limit's 95 % interval, t sqrt(3 / n) sd.
    trend, trend_p : float
        Slope of difference on mean, and its p: whether disagreement grows with size.
    """

    n: int
    bias: float
    bias_low: float
    bias_high: float
    sd: float
    lower_limit: float
    upper_limit: float
    limit_error: float
    trend: float
    trend_p: float


@dataclass(frozen=True, slots=True)
class RepeatedBlandAltman:
    """Differences (second minus first) of several pairs of each subject, whose true values vary.

    Attributes
    ----------
    n, subjects : int
        Pairs, and subjects (patients, segments) that they are of.
    bias, bias_low, bias_high : float
        Mean difference and 95 % interval (t of the subjects).
    sd : float
        Standard deviation of the difference of a new pair of a new subject: between and within subjects together.
    between_sd, within_sd : float
        Its two parts.
    lower_limit, upper_limit : float
        95 % limits of agreement, bias -+ 1.96 sd.
    limit_error : float
        Half width of either limit's 95 % interval.
    """

    n: int
    subjects: int
    bias: float
    bias_low: float
    bias_high: float
    sd: float
    between_sd: float
    within_sd: float
    lower_limit: float
    upper_limit: float
    limit_error: float


@dataclass(frozen=True, slots=True)
class Concordance:
    """Lin's coefficient with 95 % interval; Pearson's r; bias correction factor (1: same mean and spread)."""

    coefficient: float
    low: float
    high: float
    pearson: float
    bias_correction: float


@dataclass(frozen=True, slots=True)
class PassingBablok:
    """Regression with error in both: slope and intercept with 95 % intervals."""

    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    intercept_low: float
    intercept_high: float


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = as_floats(first, "first measurement"), as_floats(second, "second measurement")
    same_length(first=a, second=b)
    if a.size < MIN_PAIRS:
        raise EvidenceError(f"agreement: {a.size} pairs; at least {MIN_PAIRS} are needed, so no result is given")
    return a, b


def bland_altman(first: ArrayLike, second: ArrayLike) -> BlandAltman:
    """Bland-Altman analysis of pairs."""
    from scipy import special

    a, b = _pairs(first, second)
    difference, mean = b - a, (a + b) / 2
    n, bias, sd = a.size, float(difference.mean()), float(difference.std(ddof=1))
    t = float(special.stdtrit(n - 1, 0.975))
    half = t * sd / math.sqrt(n)
    trend, p = _slope(mean, difference)
    return BlandAltman(
        n, bias, bias - half, bias + half, sd, bias - Z95 * sd, bias + Z95 * sd, t * math.sqrt(3 / n) * sd, trend, p
    )


def repeated_bland_altman(first: ArrayLike, second: ArrayLike, subjects: Sequence[Hashable]) -> RepeatedBlandAltman:
    """Limits of agreement with several pairs per subject, the true value of each pair its own.

    Parameters
    ----------
    first, second : array_like
        The two measurements.
    subjects : sequence
        Whose pair it is.

    Raises
    ------
    EvidenceError
        If there are fewer than 5 pairs or 2 subjects, or no subject has more than one.

    Notes
    -----
    One-way analysis of variance of the differences, the variance between subjects from the mean squares with the mean
    number of pairs of Bland and Altman, J Biopharm Stat 2007;17:571; never below zero.
    """
    from scipy import special

    a, b = _pairs(first, second)
    if len(subjects) != a.size:
        raise EvidenceError(f"agreement: {len(subjects)} subjects for {a.size} pairs")
    difference = b - a
    order = {name: n for n, name in enumerate(dict.fromkeys(subjects))}
    index = np.array([order[name] for name in subjects])
    counts = np.bincount(index).astype(float)
    n, k = a.size, counts.size
    if k < 2 or n == k:
        raise EvidenceError(f"agreement with repeated measures: {n} pairs of {k} subjects; two with several are needed")
    means = np.bincount(index, weights=difference) / counts
    bias = float(difference.mean())
    within = float(((difference - means[index]) ** 2).sum()) / (n - k)
    among = float((counts * (means - bias) ** 2).sum()) / (k - 1)
    each = (n - float((counts**2).sum()) / n) / (k - 1)
    between = max((among - within) / each, 0.0)
    variance = between + within
    error2 = between * float((counts**2).sum()) / n**2 + within / n
    t = float(special.stdtrit(k - 1, 0.975))
    of_variance = 2 * among**2 / (each**2 * (k - 1)) + (1 - 1 / each) ** 2 * 2 * within**2 / (n - k)
    sd = math.sqrt(variance)
    of_sd2 = of_variance / (4 * variance) if variance else 0.0
    half, limit = t * math.sqrt(error2), t * math.sqrt(error2 + Z95**2 * of_sd2)
    return RepeatedBlandAltman(
        n, k, bias, bias - half, bias + half, sd, math.sqrt(between), math.sqrt(within), bias - Z95 * sd,
        bias + Z95 * sd, limit,
    )  # fmt: skip


def _slope(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    from scipy import special

    sxx = float(((x - x.mean()) ** 2).sum())
    if sxx == 0:
        raise EvidenceError("agreement: all pairs have the same mean")
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / sxx
    residual = y - y.mean() - slope * (x - x.mean())
    error = math.sqrt(float((residual**2).sum()) / (x.size - 2) / sxx)
    return slope, float(2 * special.stdtr(x.size - 2, -abs(slope / error))) if error > 0 else 0.0


def lin_concordance(first: ArrayLike, second: ArrayLike) -> Concordance:
    """Lin's concordance correlation coefficient with interval by Fisher's z."""
    a, b = _pairs(first, second)
    n = a.size
    va, vb = float(a.var()), float(b.var())
    if va == 0 or vb == 0:
        raise EvidenceError("agreement: one of the measurements is the same for all pairs")
    shift = float(b.mean() - a.mean())
    r = float(((a - a.mean()) * (b - b.mean())).mean()) / math.sqrt(va * vb)
    ccc = 2 * r * math.sqrt(va * vb) / (va + vb + shift**2)
    if abs(ccc) >= 1 or r == 0:
        return Concordance(ccc, ccc, ccc, r, ccc / r if r else math.nan)
    u2 = shift**2 / math.sqrt(va * vb)
    variance = (
        (1 - r**2) * ccc**2 / ((1 - ccc**2) * r**2)
        + 2 * ccc**3 * (1 - ccc) * u2 / (r * (1 - ccc**2) ** 2)
        - ccc**4 * u2**2 / (2 * r**2 * (1 - ccc**2) ** 2)
    ) / (n - 2)
    z, half = math.atanh(ccc), Z95 * math.sqrt(max(variance, 0.0))
    return Concordance(ccc, math.tanh(z - half), math.tanh(z + half), r, ccc / r)


def passing_bablok(first: ArrayLike, second: ArrayLike) -> PassingBablok:
    """Passing-Bablok regression of the second on the first measurement."""
    a, b = _pairs(first, second)
    i, j = np.triu_indices(a.size, 1)
    dx, dy = a[j] - a[i], b[j] - b[i]
    keep = (dx != 0) | (dy != 0)
    dx, dy = dx[keep], dy[keep]
    with np.errstate(divide="ignore"):
        slopes = np.where(dx == 0, np.sign(dy) * np.inf, dy / np.where(dx == 0, 1, dx))
    slopes = np.sort(slopes[slopes != -1])
    if slopes.size < 3:
        raise EvidenceError("Passing-Bablok: too few distinct pairs")
    shift = int((slopes < -1).sum())
    n = slopes.size
    if n % 2:
        slope = float(slopes[(n - 1) // 2 + shift])
    else:
        low, high = slopes[n // 2 - 1 + shift], slopes[n // 2 + shift]
        # The authors take the geometric mean of the two middle slopes; they agree in sign where it is used.
        slope = float(math.sqrt(low * high)) if low > 0 else float((low + high) / 2)
    size = a.size
    c = Z95 * math.sqrt(size * (size - 1) * (2 * size + 5) / 18)
    m1 = round((n - c) / 2)
    m2 = n - m1 + 1
    if m1 + shift < 1 or m2 + shift > n:
        raise EvidenceError("Passing-Bablok: too few pairs for an interval")
    slope_low, slope_high = float(slopes[m1 + shift - 1]), float(slopes[m2 + shift - 1])
    return PassingBablok(
        slope,
        slope_low,
        slope_high,
        float(np.median(b - slope * a)),
        float(np.median(b - slope_high * a)),
        float(np.median(b - slope_low * a)),
    )
