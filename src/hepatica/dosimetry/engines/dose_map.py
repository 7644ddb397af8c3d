"""What goes into a dose calculation and what comes out: settings, energy balance, dose map.

Energy is counted in joules and never lost silently: what is emitted is either deposited in the image, falls into air,
leaves the image, or is left out on purpose (:class:`EnergyBalance`).
"""

from __future__ import annotations

import html
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Generic, Literal, TypeVar

import numpy as np

from hepatica.core import Grid, Kind, Provenance, Region, Volume
from hepatica.core.message import Message, unique
from hepatica.core.options import Fraction, Limits, options
from hepatica.core.resample import resample
from hepatica.dosimetry.engines.highest import HighestDose, highest_dose, highest_message
from hepatica.dosimetry.engines.sub_voxel import FineEnergy, SubVoxels, fine_grid
from hepatica.errors import InputError
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.media import MAX_DENSITY_G_ML, require_decays_in_matter

AIR_BELOW_G_ML = 0.05
"""Voxels less dense than this (about -950 HU) are air: the CT threshold of emphysema, a fifth of the density of lung
(0.26 g/mL) and far above air (0.0012 g/mL) with its noise. Our choice, not a published one."""

AIR_G_ML = 0.0012
"""Dry air at 20 degrees and 101 kPa: what lies beyond the CT."""

AIR_WARNING_FRACTION = 0.01
"""Share of the emitted energy in air from which on a dose map warns."""

GRAM_PER_KG = 1000.0


@options
class DoseSettings:
    """How a dose engine treats density, air and photons.

    Attributes
    ----------
    density : {"local", "none"}
        What the kernel engine does with density: "local" divides the energy in a voxel by the voxel's own mass, "none"
        gives the dose to the kernel's uniform medium. The local engine always uses each voxel's own density.
    kernel_medium : str
        Medium of the point kernel.
    kernel_density_g_ml : float
        Density of the uniform medium through which the kernel transports.
    air_below_g_ml : float
        Voxels less dense than this are air: their dose is 0 and the energy in them is reported.
    local_photon_fraction : float
        Share of the emitted photon energy that the local engine deposits in the voxel of the decay.
    negatives : {"zero", "keep", "refuse"} or None
        What happens to negative voxels: set to zero (more than noise is refused), kept for unbiased means, or refused.
        By default kept of a PET whose method lets voxels go below zero, as its file says, else set to zero.
    threads : int or None
        CPU threads of the convolution; all if not given.
    """

    density: Literal["local", "none"] = "local"
    kernel_medium: str = "water"
    kernel_density_g_ml: Annotated[float, Limits(low=0.05, high=5)] = 1.0
    air_below_g_ml: Annotated[float, Limits(above=0, below=1)] = AIR_BELOW_G_ML
    local_photon_fraction: Fraction = 0.0
    negatives: Literal["zero", "keep", "refuse"] | None = None
    threads: Annotated[int, Limits(low=1)] | None = None


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


@dataclass(frozen=True, slots=True, eq=False)
class DoseMap:
    """Absorbed dose in every voxel and all that it rests on.

    Attributes
    ----------
    dose : Volume
        Absorbed dose in Gy.
    dose_sd : Volume or None
        Standard uncertainty (k = 1) in Gy; None where the engine gives none.
    density : Volume
        Mass density in g/mL on the same grid; a region's mass comes from it.
    decays : Volume
        Number of decays per voxel (Bq s) on the same grid.
    nuclide : str
        Name of the nuclide.
    engine : str
        Name of the dose engine.
    settings : DoseSettings
        Choices in force.
    energy_balance : EnergyBalance
        Where the emitted energy went.
    provenance : Provenance
        Inputs, parameters, tables, conventions, steps.
    messages : tuple of Message
        What the reader of the dose must know.
    detail : SubVoxels or None
        What the engine knows below the size of the voxels; None where it was given no more than the voxels.
    follows_range : bool
        Whether electrons went as far as the patient's own density lets them: then the highest dose can be trusted in
        low density too.
    """

    dose: Volume
    dose_sd: Volume | None
    density: Volume
    decays: Volume
    nuclide: str
    engine: str
    settings: DoseSettings
    energy_balance: EnergyBalance
    provenance: Provenance = field(default_factory=Provenance)
    messages: tuple[Message, ...] = ()
    detail: SubVoxels | None = None
    follows_range: bool = False

    def __post_init__(self) -> None:
        self.dose.require_kind(Kind.DOSE)
        for other in (self.density, self.decays, self.dose_sd):
            if other is not None:
                self.dose.grid.require_match(other.grid, f"dose and {other.kind.meaning}")

    @property
    def highest(self) -> HighestDose:
        """The highest voxel dose, and whether it can be trusted."""
        return highest_dose(self.dose, self.density, follows_range=self.follows_range)

    def region_mean_sd(self, region: Region) -> float | None:
        """Standard uncertainty (k = 1) of the mean dose of a region in Gy; None where the engine gives none.

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
            ("engine", self.engine),
            ("grid", repr(self.dose.grid)),
            ("decays", f"{self.decays.total:.4g} ({self.decays.total / 3.6e9:.4g} MBq h)"),
            ("maximum dose", str(self.highest)),
            ("energy emitted", f"{balance.emitted_j:.4g} J"),
            ("deposited", f"{balance.deposited_j * share:.2f} %"),
            ("in air", f"{balance.in_air_j * share:.2f} %"),
            ("outside", f"{balance.outside_j * share:.2f} %"),
            ("left out", f"{balance.left_out_j * share:.2f} %"),
            *((message.severity, str(message)) for message in self.messages),
        ]

    def __repr__(self) -> str:
        return "<DoseMap\n" + "\n".join(f"  {name}: {text}" for name, text in self._rows()) + ">"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in self._rows()
        )
        return f"<table><caption>Absorbed dose (research software, not a medical device)</caption>{rows}</table>"


Map_co = TypeVar("Map_co", bound=DoseMap, covariant=True)


class DoseEngine(ABC, Generic[Map_co]):
    """What every dose engine offers: it is chosen by `name` and gives a dose map."""

    name: ClassVar[str]

    def with_oil(self, oil: Volume | None) -> DoseEngine[Map_co]:
        """This engine for matter that holds iodised oil (g/mL, Kind.DENSITY, on the voxels of the density).

        Only an engine that follows radiation through the elements of the matter makes anything of it.
        """
        return self

    def compute(
        self, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings | None = None
    ) -> Map_co:
        """Absorbed dose, with its standard uncertainty where the engine gives one.

        Parameters
        ----------
        decays : Volume
            Kind.DECAYS, number of decays per voxel (Bq s).
        density : Volume
            Kind.DENSITY in g/mL on the same grid.
        nuclide : Nuclide
            What decays: energies per decay.
        settings : DoseSettings, optional
            How density, air and photons are treated; each engine says which of them it uses.

        Raises
        ------
        UnitError, GeometryError, InputError
            As `check_inputs`.
        UnknownNameError
            If a kernel is needed and there is none for the nuclide in the medium.
        PhysicsError
            If the device of a Monte Carlo run is absent.
        """
        settings = settings or DoseSettings()
        check_inputs(decays, density, settings)
        found = self._dose(decays, density, nuclide, settings)
        return replace(found, messages=unique(found.messages, highest_message(found.highest)))

    def compute_on(
        self,
        grid: Grid,
        decays: Volume,
        density: Volume,
        nuclide: Nuclide,
        settings: DoseSettings | None = None,
        regions: Sequence[Region] = (),
    ) -> Map_co:
        """Absorbed dose on voxels of its own, from activity and density each on the voxels that it is known in.

        What the map says of structures (`DoseMap.detail`) then rests on the CT's voxels and does not depend on `grid`.

        Parameters
        ----------
        grid : Grid
            Voxels of the dose.
        decays : Volume
            Kind.DECAYS on the activity image's voxels.
        density : Volume
            Kind.DENSITY in g/mL on the CT's voxels, in the same frame of reference.
        nuclide, settings
            As of `compute`.
        regions : sequence of Region
            Structures whose doses will be asked for, on any voxels: Monte Carlo counts their energy apart. Of others it
            knows lung, soft tissue and bone apart, and no more than that.

        Raises
        ------
        HepaticaError
            As `compute`.
        """
        settings = settings or DoseSettings()
        check_inputs(decays, density, settings, same_grid=False)
        return self._dose_on(grid, decays, density, nuclide, settings, regions)

    @abstractmethod
    def _dose_on(
        self,
        grid: Grid,
        decays: Volume,
        density: Volume,
        nuclide: Nuclide,
        settings: DoseSettings,
        regions: Sequence[Region],
    ) -> Map_co:
        """As `compute_on`, from inputs that were checked."""

    @abstractmethod
    def _dose(self, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings) -> Map_co:
        """Absorbed dose from inputs that were checked."""


def through_fine_voxels(
    engine: DoseEngine[DoseMap], grid: Grid, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings
) -> DoseMap:
    """Dose of an engine that leaves energy in voxels, computed in parts of the activity image's voxels.

    The energy of these is added up in the voxels of the dose and divided by the mass there.
    """
    seen = decays.grid.crop(decays.grid.window_of(density.grid))
    small = fine_grid(seen, grid)
    in_medium = engine.name == "kernel" and settings.density == "none"
    fine = engine.compute(resample(decays, small, "total"), density_to(small, density), nuclide, settings)
    own = density_to(grid, density)
    if in_medium:
        energy = fine.dose
        dose = resample(fine.dose, grid, "mean").values
        balance = fine.energy_balance
    else:
        mass = fine.density.values * np.float32(small.voxel_volume_ml / GRAM_PER_KG)
        energy = fine.dose.with_values(fine.dose.values * mass, Kind.ENERGY)
        laid = resample(energy, grid, "total").values
        tissue = own.values >= settings.air_below_g_ml
        kg = own.values * np.float32(grid.voxel_volume_ml / GRAM_PER_KG)
        dose = np.divide(laid, kg, out=np.zeros_like(laid), where=tissue)
        balance = _moved(fine.energy_balance, float(laid.sum(dtype=np.float64)), float(laid[~tissue].sum()))
    found = replace(
        fine,
        dose=Volume(grid, dose, Kind.DOSE, name=fine.dose.name),
        density=own,
        decays=resample(decays, grid, "total"),
        energy_balance=balance,
        provenance=fine.provenance.adding(parameters={"fine_voxels_mm": list(small.spacing_mm)}),
        detail=FineEnergy(energy.values, small, decays, density, settings.air_below_g_ml, in_medium),
        messages=tuple(message for message in fine.messages if message.code not in OF_THE_VOXELS),
    )
    return replace(
        found, messages=unique(found.messages, air_messages(balance, settings), highest_message(found.highest))
    )


OF_THE_VOXELS = ("maximum-in-low-density", "energy-in-air")
"""Codes of messages that are said of the voxels of the dose, not of the fine ones."""


def _moved(fine: EnergyBalance, laid_j: float, in_air_j: float) -> EnergyBalance:
    """Balance in the voxels of the dose: some of the energy may lie beyond them, some in air that they average."""
    return replace(
        fine,
        deposited_j=laid_j - in_air_j,
        in_air_j=fine.in_air_j + in_air_j,
        outside_j=fine.outside_j + fine.deposited_j - laid_j,
    )


def density_to(grid: Grid, density: Volume) -> Volume:
    """Density on other voxels, mass kept; beyond the CT lies air."""
    return resample(density, grid, "mean", outside=AIR_G_ML)


def check_inputs(decays: Volume, density: Volume, settings: DoseSettings, *, same_grid: bool = True) -> None:
    """Refuse what no dose engine can use.

    Raises
    ------
    UnitError, GeometryError
        As `require_decays_in_matter`.
    InputError
        If a density is negative or impossible, a number of decays is negative (unless the settings keep them), or there
        is no decay at all.
    """
    require_decays_in_matter(decays, density, same_grid=same_grid)
    if float(density.values.max()) > MAX_DENSITY_G_ML:
        raise InputError(
            f"density: highest value {float(density.values.max()):.4g} g/mL; nothing in a patient is denser than "
            f"{MAX_DENSITY_G_ML:g} g/mL",
            remedy="is it in kg/m3, or a CT number?",
        )
    lowest = float(decays.values.min())
    if lowest < 0 and settings.negatives != "keep":
        raise InputError(
            f"decays: {int((decays.values < 0).sum())} voxels are negative (lowest {lowest:.4g} Bq s)",
            remedy="set small ones to zero with hepatica.imaging.quantify.activity.handle_negatives, or keep them with "
            "`negatives`",
        )
    if not decays.total > 0:
        raise InputError(f"decays: the total is {decays.total:.4g} Bq s; there is no activity to make a dose from")


def settings_parameters(engine: str, nuclide: Nuclide, settings: DoseSettings) -> dict[str, object]:
    """Parameters that the provenance of every dose map holds, plain values with units in their names."""
    return {
        "engine": engine,
        "nuclide": nuclide.name,
        "electron_energy_mev_per_decay": nuclide.electron_energy_mev,
        "photon_energy_mev_per_decay": nuclide.photon_energy_mev,
        "air_below_g_ml": settings.air_below_g_ml,
        "negatives": settings.negatives,
    }


def air_messages(balance: EnergyBalance, settings: DoseSettings, *, decays_in_air: float = 0.0) -> tuple[Message, ...]:
    """What is said if a noticeable share of the emitted energy falls into air, or of the decays lies there.

    An engine that follows radiation out of air leaves little energy in it: `decays_in_air` is the share of its decays.
    """
    share, what = balance.in_air_j / balance.emitted_j, "emitted energy"
    if decays_in_air > share:
        share, what = decays_in_air, "activity"
    if share <= AIR_WARNING_FRACTION:
        return ()
    air = f"voxels below {settings.air_below_g_ml:g} g/mL (air)"
    text = f"{100 * share:.1f} % of the {what} lies in {air}; their dose is 0"
    return (Message("energy-in-air", text, "check the alignment of activity and CT"),)


def share_in_air(decays: Volume, density: Volume, settings: DoseSettings) -> float:
    """Share of the decays that lie in voxels of air, in the voxels of the density; beyond it lies air."""
    same = decays.grid.matches(density.grid)
    there = decays if same else resample(decays, density.grid, "total")
    tissue = density.values >= settings.air_below_g_ml
    in_tissue = float(there.values[tissue].sum(dtype=np.float64))
    return min(max(1 - in_tissue / decays.total, 0.0), 1.0)
