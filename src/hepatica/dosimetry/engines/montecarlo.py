"""Dose by Monte Carlo behind the protocol of the dose engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hepatica.core import Estimate, Kind, Provenance, Region, Volume
from hepatica.core.message import Message
from hepatica.core.options import options
from hepatica.dosimetry.engines.dose_map import (
    DoseEngine,
    DoseMap,
    DoseSettings,
    EnergyBalance,
    air_messages,
    settings_parameters,
)
from hepatica.errors import InputError
from hepatica.nuclides import Nuclide
from hepatica.transport.runner.montecarlo import MonteCarloResult, simulate
from hepatica.transport.runner.settings import MonteCarloSettings, StoppingOptions
from hepatica.transport.runner.stopping import RunReport

DEFAULT_UNCERTAINTY = 0.02
FEW_HISTORIES_UNCERTAINTY = 0.1


@options
class MonteCarloOptions:
    """The engine montecarlo beside its stopping rules.

    Attributes
    ----------
    device : {"cpu", "cuda"}
        Where it runs; never exchanged silently.
    parts : {"all", "beta", "photon"}
        Radiation followed: all, electrons with their bremsstrahlung, or gamma and X rays.
    checkpoint : Path or None
        File that keeps an interrupted run, to go on from.
    """

    device: Literal["cpu", "cuda"] = "cpu"
    parts: Literal["all", "beta", "photon"] = "all"
    checkpoint: Path | None = None

    def settings(self, stopping: StoppingOptions) -> MonteCarloSettings:
        """Settings of a run that stops by these rules, by default at 2 % in the voxels above half the maximum."""
        rules = stopping.with_default(DEFAULT_UNCERTAINTY)
        return MonteCarloSettings(
            histories=rules.histories,
            target_uncertainty=rules.target_uncertainty,
            time_limit_s=rules.time_limit_s,
            seed=rules.seed,
            device=self.device,
            parts=self.parts,
            checkpoint=self.checkpoint,
        )


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarloDoseMap(DoseMap):
    """Dose map that can state the uncertainty of a region's mean.

    Attributes
    ----------
    result : MonteCarloResult
        Histories, batches, energy escaped.
    """

    result: MonteCarloResult | None = None

    def region_mean(self, region: Region) -> Estimate:
        """Mean dose of a region in Gy with its standard uncertainty, correlations between voxels respected."""
        if self.result is None:
            raise InputError("this dose map has lost the result of its Monte Carlo run")
        return self.result.region_mean(region)

    def region_mean_sd(self, region: Region) -> float | None:
        """Standard uncertainty of the mean dose of a region in Gy, from batches."""
        return self.region_mean(region).sd


class MonteCarloEngine(DoseEngine[MonteCarloDoseMap]):
    """Electrons and photons followed one by one through the patient's own densities and media.

    The physics, its approximations and its validation are in docs/monte-carlo.md. Voxels below
    ``DoseSettings.air_below_g_ml`` have dose 0, as with the other engines; the energy in them is reported. No other
    setting is used; negative decays are always refused.

    Parameters
    ----------
    settings : MonteCarloSettings, optional
        When to stop, seed, device. By default the run stops at 2 % in the voxels above half the maximum dose.
    target_region : Region, optional
        Aim the target uncertainty at the mean dose of this region instead.
    progress : callable, optional
        Called after every batch.
    """

    name = "montecarlo"

    def __init__(
        self,
        settings: MonteCarloSettings | None = None,
        *,
        target_region: Region | None = None,
        progress: RunReport | None = None,
    ) -> None:
        self.settings = settings or MonteCarloSettings(target_uncertainty=DEFAULT_UNCERTAINTY)
        self._target_region = target_region
        self._progress = progress

    def _dose(self, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings) -> MonteCarloDoseMap:
        result = simulate(
            decays, density, nuclide, self.settings, target_region=self._target_region, progress=self._progress
        )
        tissue = density.values >= settings.air_below_g_ml
        energy = result.sums.total
        in_air = result.deposited_j * float(energy[~tissue].sum() / energy.sum())
        balance = EnergyBalance(
            emitted_j=result.emitted_j,
            deposited_j=result.deposited_j - in_air,
            in_air_j=in_air,
            outside_j=result.escaped_electrons_j + result.escaped_photons_j,
        )
        dose, dose_sd = (np.where(tissue, part, np.float32(0)) for part in (result.dose_gy, result.dose_sd_gy))
        name = f"{nuclide.name} dose, Monte Carlo"
        return MonteCarloDoseMap(
            dose=decays.with_values(dose, Kind.DOSE, name=name),
            dose_sd=decays.with_values(dose_sd, Kind.DOSE_SD, name=f"{name}, standard uncertainty"),
            density=density,
            decays=decays,
            nuclide=nuclide.name,
            engine=self.name,
            settings=settings,
            energy_balance=balance,
            provenance=_provenance(nuclide, settings, result),
            messages=(*_noise_messages(result), *air_messages(balance, settings)),
            result=result,
        )


def _provenance(nuclide: Nuclide, settings: DoseSettings, result: MonteCarloResult) -> Provenance:
    return Provenance(
        parameters=settings_parameters("montecarlo", nuclide, settings)
        | dict(result.settings.parameters())
        | {
            "histories": result.histories,
            "batches": result.batches,
            "relative_uncertainty_high_dose": result.relative_uncertainty,
            "escaped_electrons_j": result.escaped_electrons_j,
            "escaped_photons_j": result.escaped_photons_j,
        },
        tables={
            "photon cross sections": "EPDL97 via xraylib (transport/tables/photon_elements.txt)",
            "electron stopping powers": "Bethe formula, ICRU 37; water I = 75 eV; radiative part scaled to NIST ESTAR",
            "media": "ICRU 37, 44, 46 by density (transport/tables/compositions.txt)",
        },
        conventions={
            "dose": "energy absorbed in the voxel over its own mass, dose to the voxel's own medium",
            "uncertainty": "standard (k = 1), statistical only, from batches of histories",
            "air": f"voxels below {settings.air_below_g_ml:g} g/mL have dose 0; the energy in them is reported",
        },
        steps=(f"Absorbed dose by Monte Carlo, {result.histories} decays followed.",),
    )


def _noise_messages(result: MonteCarloResult) -> tuple[Message, ...]:
    if result.relative_uncertainty <= FEW_HISTORIES_UNCERTAINTY:
        return ()
    text = (
        f"the Monte Carlo dose of voxels above half the maximum has a relative standard uncertainty of "
        f"{100 * result.relative_uncertainty:.0f} %; minima, maxima and D95-like values are biased by such noise"
    )
    return (Message("few-histories", text, "follow more decays (`histories`, `target_uncertainty`)"),)
