"""Nuclides side by side: the comparison that a reader of the literature wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hepatica.core import Estimate
from hepatica.core.constants import SECONDS_PER_HOUR
from hepatica.errors import UnknownNameError
from hepatica.nuclides.nuclide import NUCLIDE_NAMES, Line, Nuclide, nuclide

REFERENCE = "Y-90"
"""The nuclide that the others are compared with."""


@dataclass(frozen=True, slots=True)
class NuclideRow:
    """One nuclide of the comparison; None where there is no value.

    Attributes
    ----------
    name : str
        "Y-90".
    half_life_h, electron_energy_mev : Estimate
        Half-life; energy of all electrons per decay.
    photon_energy_mev, beta_mean_mev : float
        Energy of photons and of beta particles per decay.
    beta_endpoint_mev : float or None
        Largest endpoint that at least 1 % of the decays have.
    range_mean_mm, range_max_mm, range_csda_mm, range_x90_mm : float or None
        In water, from the literature; CSDA range at the endpoint; radius of 90 % of the energy.
    main_gamma_kev, main_gamma_yield : float or None
        Strongest gamma line, photons per decay.
    imaging : tuple of str
        Modes.
    dose_constant_j_per_gbq : float
        Energy of all decays of 1 GBq.
    dose_convention : str
        Convention of that constant.
    gbq_per_gbq_of_y90 : float or None
        Activity for the same energy as 1 GBq of 90Y.
    """

    name: str
    half_life_h: Estimate
    electron_energy_mev: Estimate
    photon_energy_mev: float
    beta_mean_mev: float
    beta_endpoint_mev: float | None
    range_mean_mm: float | None
    range_max_mm: float | None
    range_csda_mm: float | None
    range_x90_mm: float | None
    main_gamma_kev: float | None
    main_gamma_yield: float | None
    imaging: tuple[str, ...]
    dose_constant_j_per_gbq: float
    dose_convention: str
    gbq_per_gbq_of_y90: float | None


def compare_nuclides(names: Iterable[str] = NUCLIDE_NAMES, convention: str = "ensdf") -> tuple[NuclideRow, ...]:
    """Comparison of nuclides.

    Parameters
    ----------
    names : iterable of str
        Nuclides.
    convention : str
        Dose constant. A convention of some nuclides only ("mird", "clinical") is used where it exists, "ensdf"
        elsewhere; each row says which.

    Raises
    ------
    UnknownNameError
        For an unknown nuclide, or a convention that none of the nuclides (nor 90Y) has.
    """
    chosen = [nuclide(name) for name in names]
    reference = nuclide(REFERENCE)
    known = {name for n in (*chosen, reference) for name in n.conventions}
    if convention not in known:
        raise UnknownNameError("dose convention", convention, known)
    return tuple(_row(n, reference, convention) for n in chosen)


def _row(n: Nuclide, reference: Nuclide, convention: str) -> NuclideRow:
    used, used_reference = _convention(n, convention), _convention(reference, convention)
    constant = n.dose_constant_j_per_gbq(used)
    # The largest endpoint that at least 1 % of the decays have: what the literature calls the maximum.
    main = max((b for b in n.betas if b.yield_per_decay > 0.01), key=lambda b: b.endpoint_kev, default=None)
    ranges = {q: n.range_mm(q) for q in ("mean", "max", "csda_endpoint", "x90")}
    mm = {quantity: None if found is None else found.value_mm for quantity, found in ranges.items()}
    photons = sorted((p for p in n.photons if p.kind == "gamma"), key=lambda p: -p.yield_per_decay)
    return NuclideRow(
        name=n.name,
        half_life_h=Estimate(n.half_life_h, None if n.half_life.sd is None else n.half_life.sd / SECONDS_PER_HOUR),
        electron_energy_mev=n.electron_energy,
        photon_energy_mev=n.photon_energy_mev,
        beta_mean_mev=n.beta_energy_mev,
        beta_endpoint_mev=main.endpoint_kev / 1e3 if main else None,
        range_mean_mm=mm["mean"],
        range_max_mm=mm["max"],
        range_csda_mm=mm["csda_endpoint"],
        range_x90_mm=mm["x90"],
        main_gamma_kev=photons[0].energy_kev if photons else None,
        main_gamma_yield=photons[0].yield_per_decay if photons else None,
        imaging=tuple(dict.fromkeys(i.mode for i in n.imaging)),
        dose_constant_j_per_gbq=constant,
        dose_convention=used,
        gbq_per_gbq_of_y90=reference.dose_constant_j_per_gbq(used_reference) / constant if main else None,
    )


def _convention(n: Nuclide, wanted: str) -> str:
    return wanted if wanted in n.conventions else "ensdf"


def strongest(lines: Sequence[Line], count: int) -> list[Line]:
    """The lines that carry most energy, in order of energy."""
    chosen = sorted(lines, key=lambda line: -line.energy_kev * line.yield_per_decay)[:count]
    return sorted(chosen, key=lambda line: line.energy_kev)
