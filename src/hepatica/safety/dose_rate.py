"""Dose rate around a patient: measured where it was, from the photons and bremsstrahlung otherwise.

Four conventions give different numbers for the same nuclide and are kept apart by name:

measured
    On patients: bremsstrahlung and the patient's own attenuation are in it (90Y, 166Ho).
calculated
    Air kerma (taken as dose, 1 Sv/Gy) from the photons of the decay above 15 keV, and bremsstrahlung above 20 keV by
    Kramers' thick-target spectrum; optionally behind `depth_cm` of tissue (energy-absorption coefficient of water,
    which counts forward scatter as not lost: broad beam).
rg839
    Exposure rate constants of NRC Regulatory Guide 8.39.
dorn
    Effective dose rate constants of the program dorn.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import MEV_TO_J, SECONDS_PER_HOUR
from hepatica.core.tables.shipped import csv_rows, toml_table
from hepatica.errors import InputError, PhysicsError, UnknownNameError
from hepatica.nuclides import Nuclide, nuclide

CONVENTIONS = ("measured", "calculated", "rg839", "dorn")
PHOTON_CUT_KEV = 15.0
"""K X rays of technetium (18 keV) count, L X rays of the lanthanides and rhenium (5 to 12 keV) do not."""
BREMSSTRAHLUNG_CUT_KEV = 20.0
THICK_TARGET_PER_KEV = 0.7e-6
"""Radiated fraction per Z and keV of electron energy, 0.7(2)e-3 per MeV: Evans RD, The atomic nucleus, 1955, ch 20."""
SOFT_TISSUE_Z = 6.6
"""Effective atomic number of water for bremsstrahlung, sum w Z^2/A over sum w Z/A."""
SV_PER_R = 8.76e-3
"""Air kerma of 1 R, Gy, taken as Sv; 1 R cm2/(mCi h) = 23.7 uSv m2/(GBq h)."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DoseRateConstant:
    """Dose rate at 1 m per activity present.

    Attributes
    ----------
    nuclide, convention : str
        Which nuclide, by which convention.
    usv_m2_per_gbq_h : float
        uSv/h at 1 m per GBq.
    sd_usv_m2_per_gbq_h : float or None
        Standard uncertainty (between patients for measured values); None if unknown.
    source, confidence : str
        Where it comes from.
    near : tuple of float or None
        (distance in m, uSv/h per GBq) measured nearer than 1 m.
    contact_usv_per_gbq_h : float or None
        Measured at the skin.
    photon_part_usv_m2_per_gbq_h, bremsstrahlung_part_usv_m2_per_gbq_h : float or None
        Of a calculated constant.
    """

    nuclide: str
    convention: str
    usv_m2_per_gbq_h: float
    sd_usv_m2_per_gbq_h: float | None
    source: str
    confidence: str
    near: tuple[float, float] | None = None
    contact_usv_per_gbq_h: float | None = None
    photon_part_usv_m2_per_gbq_h: float | None = None
    bremsstrahlung_part_usv_m2_per_gbq_h: float | None = None


def dose_rate_constant(name: str, convention: str | None = None, *, depth_cm: float = 0.0) -> DoseRateConstant:
    """Dose rate at 1 m per GBq.

    Parameters
    ----------
    name : str
        Nuclide.
    convention : str or None
        One of `CONVENTIONS`; None takes the measured value where there is one, the calculated one otherwise.
    depth_cm : float
        Tissue in front of the source, "calculated" only.

    Raises
    ------
    UnknownNameError
        If the nuclide has no value by that convention.
    """
    source = nuclide(name)
    if convention is not None and convention not in CONVENTIONS:
        raise UnknownNameError("dose-rate convention", convention, CONVENTIONS)
    rows = {row["convention"]: row for row in _tabulated() if row["nuclide"] == source.name}
    chosen = convention or ("measured" if "measured" in rows else "calculated")
    if depth_cm and chosen != "calculated":
        raise InputError(
            f"tissue depth belongs to the calculated dose rate; the {chosen} one of {source.name} has its own"
        )
    if chosen == "calculated":
        return calculated_constant(source, depth_cm=depth_cm)
    if chosen not in rows:
        raise UnknownNameError(f"dose-rate convention of {source.name}", chosen, [*rows, "calculated"])
    return _from_row(rows[chosen])


def calculated_constant(source: Nuclide, *, depth_cm: float = 0.0) -> DoseRateConstant:
    """Air-kerma rate constant of the photons and the bremsstrahlung of a nuclide in tissue.

    Notes
    -----
    Kramers: an electron of energy T radiates the energy spectrum 2 C Z (T - k) dk, in all C Z T^2. Its overall factor C
    is uncertain by 30 %, which is the uncertainty given; that of decay data is small beside it.
    """
    if depth_cm < 0:
        raise PhysicsError(f"tissue depth must not be negative ({depth_cm} cm)")
    lines = [(p.energy_kev, p.yield_per_decay) for p in source.photons if p.energy_kev >= PHOTON_CUT_KEV]
    energy = np.array([e for e, _ in lines])
    yields = np.array([y for _, y in lines])
    photons = _kerma_rate(float((energy * yields * _air_and_tissue(energy, depth_cm)).sum())) if lines else 0.0
    brems = _kerma_rate(_bremsstrahlung_integral(source, depth_cm)) if source.betas else 0.0
    text = (
        f"photons of ENSDF above {PHOTON_CUT_KEV:g} keV, bremsstrahlung by Kramers above {BREMSSTRAHLUNG_CUT_KEV:g} keV"
    )
    if depth_cm:
        text += f", behind {depth_cm:g} cm of tissue"
    return DoseRateConstant(
        source.name,
        "calculated",
        photons + brems,
        0.3 * brems,
        text + "; air kerma taken as dose",
        "computed",
        photon_part_usv_m2_per_gbq_h=photons,
        bremsstrahlung_part_usv_m2_per_gbq_h=brems,
    )


def _kerma_rate(kev_cm2_per_g: float) -> float:
    """uGy/h at 1 m per GBq from the sum of energy x absorption coefficient per decay."""
    joule_m2_per_kg = kev_cm2_per_g * MEV_TO_J * 1e-3 * 0.1
    return joule_m2_per_kg / (4 * math.pi) * 1e9 * SECONDS_PER_HOUR * 1e6


def _air_and_tissue(energy_kev: FloatArray, depth_cm: float) -> FloatArray:
    air, water = _coefficients(energy_kev)
    return air * np.exp(-water * depth_cm)


def _bremsstrahlung_integral(source: Nuclide, depth_cm: float) -> float:
    from hepatica.nuclides.spectrum import beta_spectrum

    electron, density = beta_spectrum(source)
    if electron[-1] <= BREMSSTRAHLUNG_CUT_KEV:
        return 0.0
    photon = np.linspace(BREMSSTRAHLUNG_CUT_KEV, electron[-1], 400)
    # Integral of density x (T - k) above k, from cumulative sums.
    step = np.gradient(electron)
    number = np.cumsum((density * step)[::-1])[::-1]
    moment = np.cumsum((density * electron * step)[::-1])[::-1]
    radiated = np.interp(photon, electron, moment) - photon * np.interp(photon, electron, number)
    spectrum = 2 * THICK_TARGET_PER_KEV * SOFT_TISSUE_Z * np.maximum(radiated, 0)
    return float(np.trapezoid(spectrum * _air_and_tissue(photon, depth_cm), photon))


def _coefficients(energy_kev: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mass energy-absorption coefficients of air and water, cm2/g, log-log between table points."""
    table = _coefficient_table()
    x = np.log(energy_kev)
    air, water = (np.exp(np.interp(x, table[0], column)) for column in table[1:])
    return air, water


@functools.cache
def _coefficient_table() -> FloatArray:
    rows = csv_rows(__package__, "photon_coefficients.csv")
    return np.log([[float(r[c]) for r in rows] for c in ("energy_kev", "air_cm2_per_g", "water_cm2_per_g")])


@functools.cache
def _tabulated() -> tuple[dict[str, Any], ...]:
    return tuple(toml_table(__package__, "dose_rates.toml")["rate"])


@dataclass(frozen=True, slots=True)
class GuideRow:
    """What NRC Regulatory Guide 8.39 says of a nuclide: exposure rate constant, tables 1 and 2 (None: not read)."""

    r_cm2_per_mci_h: float
    activity_limit_mci: float
    instruction_limit_mci: float | None


def guide_row(name: str) -> GuideRow | None:
    """The row of Regulatory Guide 8.39 of a nuclide; None where it has none."""
    canonical = nuclide(name).name
    for row in _tabulated():
        if (row["nuclide"], row["convention"]) == (canonical, "rg839"):
            return GuideRow(row["r_cm2_per_mci_h"], row["activity_limit_mci"], row.get("instruction_limit_mci"))
    return None


def _from_row(row: dict[str, Any]) -> DoseRateConstant:
    value = row.get("usv_m2_per_gbq_h")
    if value is None:
        value = row["r_cm2_per_mci_h"] * SV_PER_R * 1e6 * 1e-4 / 0.037
    near = (row["near_distance_m"], row["near_usv_per_gbq_h"]) if "near_distance_m" in row else None
    return DoseRateConstant(
        row["nuclide"],
        row["convention"],
        value,
        row.get("sd"),
        row["source"],
        row["confidence"],
        near,
        row.get("contact_usv_per_gbq_h"),
    )


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the dose rate falls with distance.

    Attributes
    ----------
    law : str
        "point": inverse square. "line": source of `length_m` seen from its middle, (2 / (H d)) atan(H / 2 d).
        "power-1.5": inverse power 1.5 (Cormack and Shearer). "measured": between the measured points by a power,
        inverse square beyond 1 m.
    length_m : float
        Length of the line source, m.
    """

    law: str = "point"
    length_m: float = 0.2

    def __post_init__(self) -> None:
        if self.law not in ("point", "line", "power-1.5", "measured"):
            raise UnknownNameError("distance law", self.law, ("point", "line", "power-1.5", "measured"))
        if not self.length_m > 0:
            raise PhysicsError(f"length of a line source must be positive, not {self.length_m} m")

    def factor(self, distance_m: float, constant: DoseRateConstant) -> float:
        """Dose rate at a distance over that at 1 m."""
        if not distance_m > 0:
            raise PhysicsError(f"distance must be positive, not {distance_m} m")
        if self.law == "line":
            # The constant refers to a point source 1 m away, so the line is not normalized to 1 at 1 m.
            return 2 / (self.length_m * distance_m) * math.atan(self.length_m / (2 * distance_m))
        if self.law == "power-1.5":
            return float(distance_m**-1.5)
        if self.law == "measured" and constant.near is not None and distance_m < 1:
            near_m, near = constant.near
            power = math.log(near / constant.usv_m2_per_gbq_h) / math.log(1 / near_m)
            return float(distance_m**-power)
        return 1.0 / distance_m**2
