"""What goes into a dose calculation and what comes out: settings, energy balance, dose map.

Energy is counted in joules and never lost silently: what is emitted is either deposited in the image, falls into air,
leaves the image, or is left out on purpose (:class:`EnergyBalance`).
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np

from hepatica.core import Kind, Provenance, Region, Volume
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.media import HIGHEST_DENSITY_G_ML

DensityOption = Literal["local", "none"]
NegativeOption = Literal["refuse", "keep"]

AIR_BELOW_G_ML = 0.05
"""Voxels less dense than this (about -950 HU) are air: the CT threshold of emphysema, a fifth of the density of lung
(0.26 g/mL) and far above air (0.0012 g/mL) with its noise. Our choice, not a published one."""

AIR_WARNING_FRACTION = 0.01
"""Share of the emitted energy in air from which on a dose map warns."""

GRAM_PER_KG = 1000.0


@dataclass(frozen=True, slots=True)
class DoseSettings:
    """Choices of a dose calculation; each is printed in the provenance of the dose map.

    Parameters
    ----------
    density : {"local", "none"}
        What the ``kernel`` engine does with density. "local": the energy that the kernel of a uniform medium puts into
        a voxel is divided by the voxel's own mass. "none": dose to the uniform medium of the kernel, the patient's
        density is not used. The ``local`` engine always uses each voxel's own density.
    kernel_medium : str
        Medium of the point kernel.
    kernel_density_g_ml : float
        Density of the uniform medium through which the kernel transports; distances scale with its inverse.
    air_below_g_ml : float
        Voxels less dense than this are air: their dose is 0 and the energy in them is reported, since energy over a
        vanishing mass is no dose to anybody.
    local_photon_fraction : float
        Share of the emitted photon energy that the ``local`` engine deposits in the voxel of the decay, 0 to 1.
    negative_decays : {"refuse", "keep"}
        Whether voxels of negative decays (reconstruction noise) are an error or are kept, for unbiased means.
    workers : int or None
        Threads of the FFT; None for all cores.

    Raises
    ------
    InputError
        If a number lies outside its range or a choice is not in its list.
    """

    density: DensityOption = "local"
    kernel_medium: str = "water"
    kernel_density_g_ml: float = 1.0
    air_below_g_ml: float = AIR_BELOW_G_ML
    local_photon_fraction: float = 0.0
    negative_decays: NegativeOption = "refuse"
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.density not in get_args(DensityOption):
            raise UnknownNameError("density option", self.density, get_args(DensityOption))
        if self.negative_decays not in get_args(NegativeOption):
            raise UnknownNameError("option for negative decays", self.negative_decays, get_args(NegativeOption))
        if not 0.05 <= self.kernel_density_g_ml <= 5:
            raise InputError(f"kernel_density_g_ml must lie between 0.05 and 5 g/mL, not {self.kernel_density_g_ml}")
        if not 0 < self.air_below_g_ml < 1:
            raise InputError(f"air_below_g_ml must lie between 0 and 1 g/mL, not {self.air_below_g_ml}")
        if not 0 <= self.local_photon_fraction <= 1:
            raise InputError(f"local_photon_fraction must lie between 0 and 1, not {self.local_photon_fraction}")


@dataclass(frozen=True, slots=True)
class EnergyBalance:
    """Where the emitted energy went, in J; `emitted_j` is the sum of the others.

    Attributes
    ----------
    emitted_j : float
        All decays in the image times electron and photon energy per decay.
    deposited_j : float
        In voxels that have a dose.
    in_air_j : float
        In voxels counted as air, whose dose is 0.
    outside_j : float
        Left the image, or travelled beyond the reach of the kernel.
    left_out_j : float
        Not followed on purpose (photons of the ``local`` engine).
    """

    emitted_j: float
    deposited_j: float
    in_air_j: float = 0.0
    outside_j: float = 0.0
    left_out_j: float = 0.0

    @property
    def closure(self) -> float:
        """Accounted over emitted energy minus one; 0 for a perfect balance."""
        accounted = self.deposited_j + self.in_air_j + self.outside_j + self.left_out_j
        return accounted / self.emitted_j - 1 if self.emitted_j else 0.0

    def as_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return {
            "emitted_j": self.emitted_j,
            "deposited_j": self.deposited_j,
            "in_air_j": self.in_air_j,
            "outside_j": self.outside_j,
            "left_out_j": self.left_out_j,
        }


@dataclass(frozen=True, slots=True, eq=False)
class DoseMap:
    """Absorbed dose in every voxel and all that it rests on.

    Attributes
    ----------
    dose : Volume
        Absorbed dose in Gy.
    dose_sd : Volume or None
        Standard uncertainty (k = 1) in Gy; None where the method gives none.
    density : Volume
        Mass density in g/mL on the same grid; a region's mass comes from it.
    decays : Volume
        Number of decays per voxel (Bq s) on the same grid.
    nuclide : str
        Name of the nuclide.
    method : str
        Name of the dose engine.
    settings : DoseSettings
        Choices in force.
    energy_balance : EnergyBalance
        Where the emitted energy went.
    provenance : Provenance
        Inputs, parameters, tables, conventions, steps.
    warnings : tuple of str
        What the reader of the dose must know.
    """

    dose: Volume
    dose_sd: Volume | None
    density: Volume
    decays: Volume
    nuclide: str
    method: str
    settings: DoseSettings
    energy_balance: EnergyBalance
    provenance: Provenance = field(default_factory=Provenance)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.dose.require_kind(Kind.DOSE)
        for other in (self.density, self.decays, self.dose_sd):
            if other is not None:
                self.dose.grid.require_match(other.grid, f"dose and {other.kind.meaning}")

    def region_mean_sd(self, region: Region) -> float | None:
        """Standard uncertainty (k = 1) of the mean dose of a region in Gy; None where the method gives none.

        Here: from the voxels' uncertainties, taken as independent. An engine that knows their correlations
        (Monte Carlo) gives the true one.

        Raises
        ------
        GeometryError
            If the region is on another grid.
        """
        if self.dose_sd is None:
            return None
        self.dose.grid.require_match(region.grid, f"dose and region {region.name!r}")
        weight = region.coverage * self.density.values[region.window].astype(np.float64)
        variance = np.square(weight * self.dose_sd.values[region.window])
        return math.sqrt(float(variance[region.coverage > 0].sum())) / float(weight.sum())

    def _rows(self) -> list[tuple[str, str]]:
        balance = self.energy_balance
        share = 100 / balance.emitted_j if balance.emitted_j else 0.0
        return [
            ("nuclide", self.nuclide),
            ("method", self.method),
            ("grid", repr(self.dose.grid)),
            ("decays", f"{self.decays.total:.4g} ({self.decays.total / 3.6e9:.4g} MBq h)"),
            ("maximum dose", f"{float(self.dose.values.max()):.4g} Gy"),
            ("energy emitted", f"{balance.emitted_j:.4g} J"),
            ("deposited", f"{balance.deposited_j * share:.2f} %"),
            ("in air", f"{balance.in_air_j * share:.2f} %"),
            ("outside", f"{balance.outside_j * share:.2f} %"),
            ("left out", f"{balance.left_out_j * share:.2f} %"),
            *(("warning", warning) for warning in self.warnings),
        ]

    def __repr__(self) -> str:
        return "<DoseMap\n" + "\n".join(f"  {name}: {text}" for name, text in self._rows()) + ">"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self._rows()
        )
        return f"<table><caption>Absorbed dose (research software, not a medical device)</caption>{rows}</table>"


class DoseEngine(Protocol):
    """What every dose engine offers."""

    @property
    def name(self) -> str:
        """Name by which it is chosen."""
        ...

    def compute(
        self, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings | None = None
    ) -> DoseMap:
        """Absorbed dose from decays per voxel and density on the same grid."""
        ...


def check_inputs(decays: Volume, density: Volume, settings: DoseSettings) -> None:
    """Refuse what no dose engine can use.

    Raises
    ------
    UnitError
        If `decays` is not Kind.DECAYS, `density` not Kind.DENSITY, or a voxel is NaN or infinite.
    GeometryError
        If the two are on different grids.
    InputError
        If a density is negative or impossible, a number of decays is negative (unless the settings keep them), or there
        is no decay at all.
    """
    decays.require_kind(Kind.DECAYS)
    density.require_kind(Kind.DENSITY)
    decays.grid.require_match(density.grid, "decays and density")
    decays.require_finite()
    density.require_finite()
    if float(density.values.min()) < 0:
        raise InputError(f"density: lowest value {float(density.values.min()):.4g} g/mL is negative")
    if float(density.values.max()) > HIGHEST_DENSITY_G_ML:
        raise InputError(
            f"density: highest value {float(density.values.max()):.4g} g/mL; nothing in a patient is denser than "
            f"{HIGHEST_DENSITY_G_ML:g} g/mL. Is it in kg/m3, or a CT number?"
        )
    lowest = float(decays.values.min())
    if lowest < 0 and settings.negative_decays == "refuse":
        raise InputError(
            f"decays: {int((decays.values < 0).sum())} voxels are negative (lowest {lowest:.4g} Bq s); set small ones "
            "to zero with hepatica.imaging.quantify.activity.handle_negatives, or keep them with negative_decays='keep'"
        )
    if not decays.total > 0:
        raise InputError(f"decays: the total is {decays.total:.4g} Bq s; there is no activity to make a dose from")


def settings_parameters(method: str, nuclide: Nuclide, settings: DoseSettings) -> dict[str, Any]:
    """Parameters that the provenance of every dose map holds, plain values with units in their names."""
    return {
        "method": method,
        "nuclide": nuclide.name,
        "electron_energy_mev_per_decay": nuclide.electron_energy_mev,
        "photon_energy_mev_per_decay": nuclide.photon_energy_mev,
        "air_below_g_ml": settings.air_below_g_ml,
        "negative_decays": settings.negative_decays,
    }


def air_warning(balance: EnergyBalance, settings: DoseSettings) -> tuple[str, ...]:
    """Warning if a noticeable share of the emitted energy falls into air."""
    share = balance.in_air_j / balance.emitted_j
    if share <= AIR_WARNING_FRACTION:
        return ()
    text = (
        f"{100 * share:.1f} % of the emitted energy lies in voxels below {settings.air_below_g_ml:g} g/mL (air); their "
        "dose is 0. Check the alignment of activity and CT."
    )
    return (text,)
