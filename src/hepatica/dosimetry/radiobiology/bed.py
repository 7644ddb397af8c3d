"""Biologically effective dose of decaying dose rates: linear-quadratic model with incomplete repair.

The quadratic term of the linear-quadratic model is weighted by the Lea-Catcheside factor G, the chance that the second
of two hits arrives before the first is repaired. For a dose rate r(t) and repair rate mu (all times in h here)::

    G D^2 = integral integral r(t) r(w) exp(-mu |t - w|) dt dw          BED = D + G D^2 / (alpha/beta)

A permanently trapped source (microspheres) decays with the physical half-life; a washed-out one (lipiodol) with the
effective one. One exponential, delivered completely, gives G = T_repair / (T_repair + T_effective).

References
----------
.. [1] Dale RG. Br J Radiol 1985;58:515 (decaying dose rate); 1986;59:919.
.. [2] Millar WT. Br J Radiol 1991;64:68; Dale RG et al., Br J Radiol 1999;72:497 (two repair rates).
.. [3] Strigari L et al. J Nucl Med 2010;51:1377; Cremonesi M et al. Front Oncol 2014;4:210 (radioembolization).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError

LN2 = math.log(2)

Dose = TypeVar("Dose", float, NDArray[Any])
"""A dose in Gy, or an array of them (its dtype is kept)."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Repair of sublethal damage with one or two half-times.

    Attributes
    ----------
    half_time_h : float
        Half-time of (the first component of) repair, h.
    second_half_time_h : float or None
        Half-time of the second component, h; None for one component.
    second_share : float
        Share of the damage that repairs with the second half-time, 0 to 1.
    """

    half_time_h: float
    second_half_time_h: float | None = None
    second_share: float = 0.0

    def __post_init__(self) -> None:
        for half_time in (self.half_time_h, self.second_half_time_h):
            if half_time is not None and not (math.isfinite(half_time) and half_time > 0):
                raise PhysicsError(f"repair half-time must be positive, not {half_time} h")
        if not 0 <= self.second_share <= 1:
            raise PhysicsError(f"share of the second repair component must be 0 to 1, not {self.second_share}")
        if self.second_half_time_h is None and self.second_share:
            raise PhysicsError("a share for the second repair component needs its half-time too")

    def components(self) -> tuple[tuple[float, float], ...]:
        """(share, rate in 1/h) of each component that repairs anything."""
        one = (1 - self.second_share, LN2 / self.half_time_h)
        if self.second_half_time_h is None:
            return (one,)
        return tuple(c for c in (one, (self.second_share, LN2 / self.second_half_time_h)) if c[0] > 0)


@dataclass(frozen=True, slots=True)
class DoseRate:
    """How a dose is delivered in time: a sum of decaying exponentials that starts at time zero.

    Attributes
    ----------
    half_lives_h : tuple of float
        Effective half-life of each component, h.
    dose_shares : tuple of float
        Share of the total dose that each component delivers; adds up to 1. A negative share is an uptake phase.
    """

    half_lives_h: tuple[float, ...]
    dose_shares: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if len(self.half_lives_h) != len(self.dose_shares) or not self.half_lives_h:
            raise PhysicsError("a dose rate needs one dose share for every half-life")
        if not all(math.isfinite(t) and t > 0 for t in self.half_lives_h):
            raise PhysicsError(f"half-lives must be positive, not {self.half_lives_h} h")
        if abs(sum(self.dose_shares) - 1) > 1e-6:
            raise PhysicsError(f"dose shares must add up to 1, not {sum(self.dose_shares):g}")

    @classmethod
    def exponential(cls, half_life_h: float) -> DoseRate:
        """One exponential: a permanently trapped source with its physical half-life, or an effective half-life."""
        return cls((half_life_h,))

    def rates(self) -> tuple[tuple[float, float], ...]:
        """(initial dose rate per unit total dose in 1/h, decay constant in 1/h) of each component."""
        constants = [LN2 / t for t in self.half_lives_h]
        return tuple((share * c, c) for share, c in zip(self.dose_shares, constants, strict=True))

    def delivered_fraction(self, elapsed_h: float) -> float:
        """Fraction of the total dose that is delivered by `elapsed_h`.

        >>> round(DoseRate.exponential(64.1).delivered_fraction(11 * 24), 4)
        0.9424
        """
        return sum(
            -share * math.expm1(-LN2 * elapsed_h / t)
            for share, t in zip(self.dose_shares, self.half_lives_h, strict=True)
        )

    def gy_per_h(self, dose_gy: float, elapsed_h: float) -> float:
        """Dose rate in Gy/h at `elapsed_h` of a source that delivers `dose_gy` in all."""
        return dose_gy * sum(a * math.exp(-c * elapsed_h) for a, c in self.rates())


@dataclass(frozen=True, slots=True)
class Tissue:
    """Linear-quadratic parameters of a tissue.

    Attributes
    ----------
    name : str
        For the report.
    alpha_beta_gy : float
        Ratio alpha/beta, Gy.
    repair : Repair
        Repair of sublethal damage.
    source, confidence : str
        Where the numbers come from; how well they are known, in words.
    """

    name: str
    alpha_beta_gy: float
    repair: Repair
    source: str = "given by the user"
    confidence: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha_beta_gy) and self.alpha_beta_gy > 0):
            raise PhysicsError(f"{self.name}: alpha/beta must be positive, not {self.alpha_beta_gy} Gy")


LIVER = Tissue(
    "normal liver",
    2.5,
    Repair(2.5),
    "Cremonesi et al., Front Oncol 2014;4:210; Strigari et al., J Nucl Med 2010;51:1377",
    "high (8 Gy was fitted to tomotherapy hepatitis: Radiat Oncol 2013;8:61)",
)
TUMOUR = Tissue("tumour", 10.0, Repair(1.5), "Cremonesi et al., Front Oncol 2014;4:210", "high")
TISSUES = {"liver": LIVER, "tumour": TUMOUR}


def lea_catcheside_factor(rate: DoseRate, repair: Repair, *, until_h: float | None = None) -> float:
    """Lea-Catcheside factor G of a dose rate, 0 to 1.

    Parameters
    ----------
    rate : DoseRate
        How the dose is delivered.
    repair : Repair
        Repair half-times.
    until_h : float or None
        Count only the dose delivered by this time; None for complete decay.

    Returns
    -------
    float
        G, the weight of the quadratic term.

    Examples
    --------
    >>> round(lea_catcheside_factor(DoseRate.exponential(64.2), Repair(2.5)), 5)
    0.03748
    """
    if until_h is None:
        return sum(share * _complete_pair_integral(rate, rate, mu, 0.0) for share, mu in repair.components())
    if not until_h > 0:
        raise PhysicsError(f"time of delivery must be positive, not {until_h} h")
    delivered = rate.delivered_fraction(until_h)
    return sum(share * _partial_integral(rate, mu, until_h) for share, mu in repair.components()) / delivered**2


def _complete_pair_integral(first: DoseRate, second: DoseRate, mu: float, delay_h: float) -> float:
    """Double integral of first(w) second(t) exp(-mu |t - w|) for unit doses; `second` starts `delay_h` later."""
    total = 0.0
    for a, c in first.rates():
        before = a * _exponential_difference(mu, c, delay_h)
        a_after = a * math.exp(-c * delay_h)
        for b, d in second.rates():
            total += before * b / (d + mu) + a_after * b / (c + d) * (1 / (c + mu) + 1 / (d + mu))
    return total


def _exponential_difference(mu: float, c: float, time_h: float) -> float:
    """Integral from 0 to t of exp(-c w) exp(-mu (t - w)) dw, also where c and mu nearly agree."""
    x = (mu - c) * time_h
    growth = math.expm1(-x) / -x if abs(x) > 1e-12 else 1.0
    return time_h * math.exp(-c * time_h) * growth


def _partial_integral(rate: DoseRate, mu: float, until_h: float) -> float:
    """G D^2 for the part delivered by `until_h`, by Gauss-Legendre quadrature of 2 r(t) integral r(w) exp(-mu(t-w))."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    fastest = max([mu, *(c for _, c in rate.rates())])
    panels = min(2000, 1 + math.ceil(until_h * fastest / 10))
    edges = np.linspace(0.0, until_h, panels + 1, dtype=np.float64)
    total = 0.0
    for low, high in itertools.pairwise(edges.tolist()):
        times = 0.5 * (high - low) * nodes + 0.5 * (high + low)
        for time, weight in zip(times.tolist(), weights.tolist(), strict=True):
            now = sum(a * math.exp(-c * time) for a, c in rate.rates())
            memory = sum(a * _exponential_difference(mu, c, time) for a, c in rate.rates())
            total += weight * (high - low) * now * memory
    return total


def bed_gy(dose_gy: Dose, rate: DoseRate, tissue: Tissue) -> Dose:
    """Biologically effective dose in Gy of a dose (or every voxel of an array) delivered completely.

    Parameters
    ----------
    dose_gy : float or ndarray
        Absorbed dose, Gy.
    rate : DoseRate
        How it is delivered.
    tissue : Tissue
        alpha/beta and repair.

    Notes
    -----
    A dose below zero is noise of the image; its square would make a large effect of it, so it counts linearly.

    Examples
    --------
    The toxicity limit of resin radioembolization, 52 Gy, is a BED of 93 Gy (Strigari 2010).

    >>> round(bed_gy(52.0, DoseRate.exponential(64.2), LIVER), 1)
    92.5
    """
    factor = lea_catcheside_factor(rate, tissue.repair) / tissue.alpha_beta_gy
    if isinstance(dose_gy, np.ndarray):
        out: NDArray[Any] = np.maximum(dose_gy, 0) * dose_gy.dtype.type(factor)
        out += dose_gy.dtype.type(1)
        out *= dose_gy
        return out
    return dose_gy * (1 + factor * max(dose_gy, 0.0))


def dose_of_bed_gy(bed: float, rate: DoseRate, tissue: Tissue) -> float:
    """Absorbed dose in Gy that has this BED: the inverse of `bed_gy`."""
    if bed < 0:
        raise PhysicsError(f"BED must not be negative ({bed} Gy)")
    factor = lea_catcheside_factor(rate, tissue.repair) / tissue.alpha_beta_gy
    return 2 * bed / (1 + math.sqrt(1 + 4 * factor * bed))


def eqd2_gy(bed: Dose, alpha_beta_gy: float) -> Dose:
    """Dose in 2-Gy fractions of external beam that has the same BED: ``BED / (1 + 2 Gy / (alpha/beta))``."""
    scale = 1 / (1 + 2 / alpha_beta_gy)
    if isinstance(bed, np.ndarray):
        return np.asarray(bed * bed.dtype.type(scale))
    return bed * scale


def fractionated_bed_gy(dose_per_fraction_gy: float, fractions: int, alpha_beta_gy: float) -> float:
    """BED in Gy of external beam: n acute fractions of d, ``n d (1 + d / (alpha/beta))``, no repopulation."""
    return fractions * dose_per_fraction_gy * (1 + dose_per_fraction_gy / alpha_beta_gy)


def relative_effectiveness(dose_gy: float, rate: DoseRate, tissue: Tissue) -> float:
    """BED per absorbed dose, ``1 + G D / (alpha/beta)``."""
    return 1 + lea_catcheside_factor(rate, tissue.repair) * dose_gy / tissue.alpha_beta_gy


def isoeffective_dose_gy(dose_gy: float, rate: DoseRate, other: DoseRate, tissue: Tissue) -> float:
    """Dose in Gy with the dose rate `other` (another nuclide) that has the BED of `dose_gy` with `rate`."""
    return dose_of_bed_gy(bed_gy(dose_gy, rate, tissue), other, tissue)


@dataclass(frozen=True, slots=True, eq=False)
class Treatment:
    """One of several treatments of the same tissue.

    Attributes
    ----------
    start_h : float
        Time of administration, h after any fixed instant.
    dose_gy : float or ndarray
        Dose delivered in all; arrays of all treatments have the same shape (same grid).
    rate : DoseRate
        How it is delivered.
    """

    start_h: float
    dose_gy: float | NDArray[Any]
    rate: DoseRate


def course_bed_gy(treatments: Sequence[Treatment], tissue: Tissue) -> float | NDArray[Any]:
    """BED in Gy of several treatments, with the damage that one leaves unrepaired for the next.

    Treatments days apart simply add up (the cross term vanishes); two injections hours apart do not. Repopulation of
    the tumour and regeneration of the liver between treatments are not in it.

    Raises
    ------
    PhysicsError
        If there is no treatment.
    """
    if not treatments:
        raise PhysicsError("a course needs at least one treatment")
    ordered = sorted(treatments, key=lambda t: t.start_h)
    total: float | NDArray[Any] = 0.0
    for n, late in enumerate(ordered):
        total = total + bed_gy(late.dose_gy, late.rate, tissue)  # type: ignore[type-var]
        for early in ordered[:n]:
            delay = late.start_h - early.start_h
            cross = sum(
                share * _complete_pair_integral(early.rate, late.rate, mu, delay)
                for share, mu in tissue.repair.components()
            )
            total = total + 2 * cross / tissue.alpha_beta_gy * (early.dose_gy * late.dose_gy)
    return total
