"""How much R2* a milligram of microspheres adds: measured, or from static dephasing without a free parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hepatica.core import Estimate
from hepatica.core.message import Message
from hepatica.core.tables.shipped import toml_table
from hepatica.errors import InputError, UnknownNameError

GYROMAGNETIC_RAD_PER_S_T = 2.6752218744e8
AVOGADRO = 6.02214076e23
BOLTZMANN = 1.380649e-23
BOHR_MAGNETON = 9.2740100783e-24
VACUUM_PERMEABILITY = 1.25663706212e-6
"""CODATA 2018."""

HOLMIUM_G_PER_MOL = 164.93033
HOLMIUM_MAGNETONS = 10.6
"""Effective moment of the trivalent ion, Bohr magnetons (free ion, 5I8: 10.61)."""

BODY_K = 310.0
TISSUE_SUSCEPTIBILITY = -9.05e-6
"""Of water at body temperature, SI; the polymer of the spheres is taken as water."""

STATIC_RELATIVE_SD = 0.05
"""Of static dephasing: share of holmium from 17 to 19 %, evenly (3 %), density and moment (4 %). Our estimate."""

SAME_FIELD = 0.05
"""Relative difference of field strengths at which a measured relaxivity is refused. 1.494 T and 1.5 T are one field."""


@dataclass(frozen=True, slots=True)
class Relaxivity:
    """Increase of R2* per concentration of microspheres.

    Attributes
    ----------
    ml_per_mg_s : Estimate
        1/s per mg/mL of microspheres (not of holmium), with its standard uncertainty; None where that is unknown.
    field_t : float
        Field strength it holds at, T.
    source, confidence : str
        Where it comes from, and how well it is known.
    """

    ml_per_mg_s: Estimate
    field_t: float
    source: str
    confidence: str


def static_dephasing(field_t: float, *, holmium_share: float, density_g_ml: float) -> float:
    """Relaxivity of magnetised spheres in the regime of static dephasing, 1/s per mg/mL of spheres.

    R2* = 2 pi / (3 sqrt 3) gamma (dchi / 3) B0 eta, with eta the volume fraction of the spheres, for spheres so large
    that water does not leave their field within an echo time; independent of their size, linear in field and mass.

    Parameters
    ----------
    field_t : float
        T.
    holmium_share : float
        Mass of holmium over mass of the spheres.
    density_g_ml : float
        Of the spheres.

    References
    ----------
    .. [1] Yablonskiy DA, Haacke EM. Magn Reson Med 1994;32:749 (static dephasing).

    Examples
    --------
    >>> round(static_dephasing(1.5, holmium_share=0.17, density_g_ml=1.4))
    96
    """
    ions_per_m3 = holmium_share * density_g_ml * 1e6 / HOLMIUM_G_PER_MOL * AVOGADRO
    curie = VACUUM_PERMEABILITY * ions_per_m3 * (HOLMIUM_MAGNETONS * BOHR_MAGNETON) ** 2 / (3 * BOLTZMANN * BODY_K)
    frequency = GYROMAGNETIC_RAD_PER_S_T * (curie - TISSUE_SUSCEPTIBILITY) * field_t / 3
    return 2 * math.pi / (3 * math.sqrt(3)) * frequency * 1e-3 / density_g_ml


def relaxivity_for(
    agent: str, field_t: float, *, stated: Estimate | None = None, stated_field_t: float | None = None,
    holmium_share: float | None = None,
) -> tuple[Relaxivity, tuple[Message, ...]]:  # fmt: skip
    """The relaxivity to use at a field strength: as stated, or from static dephasing.

    Parameters
    ----------
    agent : str
        Name of the agent, as in the table of agents.
    field_t : float
        Of the scan, T.
    stated : Estimate or None
        A measured relaxivity, mL/(mg s).
    stated_field_t : float or None
        Field strength it was measured at, T.
    holmium_share : float or None
        Share of holmium of this batch; the agent's by default.

    Raises
    ------
    UnknownNameError
        If the agent's holmium is not known.
    InputError
        If a stated relaxivity has no field strength, or another one than the scan's.
    """
    table = toml_table(__package__, "relaxivity.toml")
    if agent not in table:
        raise UnknownNameError("agent with a relaxivity", agent, list(table))
    entry = table[agent]
    share = entry["holmium_share"] if holmium_share is None else holmium_share
    computed = static_dephasing(field_t, holmium_share=share, density_g_ml=entry["density_g_ml"])
    if stated is not None:
        if stated_field_t is None:
            raise InputError("the field strength of the relaxivity is not stated", remedy="state `relaxivity_field`")
        if abs(stated_field_t / field_t - 1) > SAME_FIELD:
            raise InputError(
                f"the relaxivity was measured at {stated_field_t:g} T, the scan is of {field_t:g} T; r2* of these "
                f"microspheres grows with the field ({computed:.0f} mL/(mg s) at {field_t:g} T by static dephasing)",
                remedy=f"state one that was measured at {field_t:g} T, or none",
            )
        known, about_sd = _with_sd(stated)
        found = Relaxivity(known, field_t, "stated by the user", "stated")
        return found, (*about_sd, *_unlike(stated.value, computed, field_t))
    sd = STATIC_RELATIVE_SD * computed
    source = f"static dephasing, {100 * share:g} % holmium by mass, {entry['density_g_ml']:g} g/mL, {BODY_K:g} K"
    return Relaxivity(Estimate(computed, sd), field_t, source, "computed"), _unlike_measured(entry, computed, field_t)


def _with_sd(stated: Estimate) -> tuple[Estimate, tuple[Message, ...]]:
    """A stated relaxivity with an uncertainty: that of static dephasing where none was stated."""
    if stated.sd is not None:
        return stated, ()
    text = (
        f"the relaxivity was stated without its uncertainty: {100 * STATIC_RELATIVE_SD:g} % are taken, as for one that "
        "is computed"
    )
    return Estimate(stated.value, STATIC_RELATIVE_SD * stated.value), (
        Message("relaxivity-without-sd", text, "state `relaxivity_sd`"),
    )


def _unlike(value: float, computed: float, field_t: float) -> tuple[Message, ...]:
    if abs(value / computed - 1) <= 0.2:
        return ()
    text = f"the relaxivity stated, {value:g} mL/(mg s), is far from {computed:.0f} by static dephasing"
    return (Message("relaxivity-unlike-theory", text, "look at unit (mL/(mg s) of microspheres) and field strength"),)


def _unlike_measured(entry: dict[str, object], computed: float, field_t: float) -> tuple[Message, ...]:
    measured = entry.get("measured", [])
    assert isinstance(measured, list)
    for row in measured:
        low, high = row["range_ml_per_mg_s"]
        if abs(row["field_t"] / field_t - 1) <= SAME_FIELD:
            text = f"relaxivity {computed:.1f} mL/(mg s) by static dephasing; measured ones range {low:g} to {high:g}"
            return (Message("relaxivity-computed", text, "state your own phantom's", severity="note"),)
    text = (
        f"relaxivity {computed:.1f} mL/(mg s) by static dephasing; no measured one is known at {field_t:g} T, so it "
        "rests on theory alone"
    )
    return (Message("relaxivity-not-measured", text, "measure one with a phantom at this field"),)
