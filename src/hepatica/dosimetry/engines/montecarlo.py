"""Dose by Monte Carlo behind the protocol of the dose engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Kind, Provenance, Region, Volume
from hepatica.core.message import Message, unique
from hepatica.core.numbers.wording import three
from hepatica.core.options import options
from hepatica.core.resample import resample, resample_region
from hepatica.dosimetry.engines.dose_map import (
    DoseEngine,
    DoseMap,
    DoseSettings,
    EnergyBalance,
    air_messages,
    settings_parameters,
    share_in_air,
)
from hepatica.dosimetry.engines.sub_voxel import (
    MIN_MASS_SHARE,
    StructureDose,
    decays_in,
    joined,
    structure_density,
    structure_dose,
)
from hepatica.errors import InputError
from hepatica.nuclides import Nuclide
from hepatica.transport.runner.montecarlo import FEW_COUNTS, MonteCarloResult, simulate
from hepatica.transport.runner.scoring import DoseVoxels, LabelMasses, Scoring, label_masses
from hepatica.transport.runner.settings import MonteCarloSettings, StoppingOptions
from hepatica.transport.runner.stopping import RunReport
from hepatica.transport.runner.watched import largest_uncertainty

DEFAULT_UNCERTAINTY = 0.02
FEW_HISTORIES_UNCERTAINTY = 0.1
FOLLOW_MORE = "follow more decays (`histories`, `target_uncertainty`)"

RELEVANT_SHARE, FEW_COUNTS_SHARE = 0.05, 0.01
"""Few counts are said of where they are more than a hundredth of the voxels above a twentieth of the maximum dose."""

FEW_COUNTS_SHARE_OF_STRUCTURE = 0.05
"""Of a structure they are said where they are more than this share of its volume: D95 leaves out the coldest 5 %."""


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
    oil : Volume, optional
        Iodised oil in g/mL on the voxels of the density.
    progress : callable, optional
        Called after every batch.
    """

    name = "montecarlo"

    def __init__(
        self,
        settings: MonteCarloSettings | None = None,
        *,
        target_region: Region | None = None,
        oil: Volume | None = None,
        progress: RunReport | None = None,
    ) -> None:
        self.settings = settings or MonteCarloSettings(target_uncertainty=DEFAULT_UNCERTAINTY)
        self._target_region = target_region
        self._oil = oil
        self._progress = progress

    def with_oil(self, oil: Volume | None) -> MonteCarloEngine:
        """This engine for matter that holds iodised oil, whose iodine radiation is followed through."""
        return MonteCarloEngine(self.settings, target_region=self._target_region, oil=oil, progress=self._progress)

    def _dose(self, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings) -> MonteCarloDoseMap:
        result = simulate(
            decays, density, nuclide, self.settings,
            target_region=self._target_region, oil=self._oil, progress=self._progress,
        )  # fmt: skip
        in_air = share_in_air(decays, density, settings)
        return self._map(result, decays, density, nuclide, settings, decays_in_air=in_air)

    def _dose_on(
        self,
        grid: Grid,
        decays: Volume,
        density: Volume,
        nuclide: Nuclide,
        settings: DoseSettings,
        regions: Sequence[Region],
    ) -> MonteCarloDoseMap:
        """Matter in the CT's voxels (joined up to 2 mm), decays anywhere in those of the activity image."""
        known = density.grid.window_of(grid)
        matter = joined(Volume(density.grid.crop(known), density.values[known], Kind.DENSITY))
        oil = self._oil
        if oil is not None:
            oil.grid.require_match(density.grid, "iodised oil and density")
            oil = joined(Volume(density.grid.crop(known), oil.values[known], Kind.DENSITY))
        result = simulate(
            decays,
            matter,
            nuclide,
            self.settings,
            dose_voxels=DoseVoxels(grid, tuple(regions)),
            target_region=self._target_region,
            oil=oil,
            progress=self._progress,
        )
        if result.scoring is None:  # cannot be: a grid was given
            raise AssertionError
        own = Volume(grid, result.scoring.density_g_ml(), Kind.DENSITY)
        found = self._map(
            result, resample(decays, grid, "total"), own, nuclide, settings,
            decays_in_air=share_in_air(decays, matter, settings),
        )  # fmt: skip
        detail = LabelDoses(result, decays, density, matter)
        return replace(
            found,
            detail=detail,
            messages=unique(found.messages, _structure_messages(detail, regions)),
            provenance=found.provenance.adding(parameters={"matter_voxels_mm": list(matter.grid.spacing_mm)}),
        )

    def _map(
        self,
        result: MonteCarloResult,
        decays: Volume,
        density: Volume,
        nuclide: Nuclide,
        settings: DoseSettings,
        *,
        decays_in_air: float,
    ) -> MonteCarloDoseMap:
        """The result as a dose map, with decays and density on the voxels of the dose."""
        tissue = density.values >= settings.air_below_g_ml
        energy = result.sums.mean_kev()
        in_air = result.deposited_j * float(energy[~tissue].sum() / energy.sum())
        balance = EnergyBalance(
            emitted_j=result.emitted_j,
            deposited_j=result.deposited_j - in_air,
            in_air_j=in_air,
            outside_j=result.escaped_electrons_j + result.escaped_photons_j + result.elsewhere_j,
        )
        aimed = result.target_region
        # With a control a voxel of little dose and much noise can fall below zero, which no dose is. Means of
        # structures come from the sums, and keep it.
        parts = (np.maximum(result.dose_gy, np.float32(0)), result.dose_sd_gy)
        dose, dose_sd = (np.where(tissue, part, np.float32(0)) for part in parts)
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
            messages=(
                *_noise_messages(result, tissue),
                *_less_certain(result, [] if aimed is None else [(aimed.name, result.region_mean(aimed))]),
                *air_messages(balance, settings, decays_in_air=decays_in_air),
            ),
            result=result,
            follows_range=True,
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabelDoses:
    """What Monte Carlo knows below the size of the dose's voxels: dose to each structure and kind of tissue in each.

    Attributes
    ----------
    result : MonteCarloResult
        Energy in each.
    decays, ct_density, matter : Volume
        Decays on the activity image's voxels; density on the CT's, and on those that were followed.
    """

    result: MonteCarloResult
    decays: Volume
    ct_density: Volume
    matter: Volume

    def mean(self, drawn: Region) -> Estimate | None:
        """Mean dose of a structure, that of `structure`; None of one without mass in the voxels of the dose."""
        scoring = self.result.scoring
        if scoring is None or resample_region(drawn, scoring.grid).is_empty:
            return None
        region, _, there = self._masses(drawn, scoring)
        if not there.mass_g.sum() > 0:
            return None
        return self.result.mean_over(there.moved(scoring.grid, region.window))

    def _masses(self, drawn: Region, scoring: Scoring) -> tuple[Region, Grid, LabelMasses]:
        """A structure on the voxels of the dose, those that it touches, and the masses of its labels in them."""
        part = structure_density(drawn, self.ct_density)
        window = self.matter.grid.window_of(part.grid)
        followed = resample(part, self.matter.grid.crop(window), "mean")
        region = resample_region(drawn, scoring.grid)
        touched = scoring.grid.crop(region.window)
        return region, touched, label_masses(touched, followed, scoring.labels[window])

    def structure(self, drawn: Region, dose: Volume, density: Volume) -> StructureDose:
        """Dose of a structure: each label in it has the dose of its label in the voxel."""
        scoring = self.result.scoring
        if scoring is None:  # cannot be: it was run with voxels of the dose
            raise AssertionError
        region, touched, there = self._masses(drawn, scoring)
        mass = there.sum_by_voxel(touched.size).reshape(touched.shape)
        if not mass.sum() > 0:
            raise InputError(f"region {drawn.name!r} has no mass in the density map")
        matter = there.moved(dose.grid, region.window)
        own = there.sum_by_voxel(touched.size, self.result.dose_of(matter)).reshape(touched.shape)
        whole = dose.values[region.window].astype(np.float64)
        enough = mass > MIN_MASS_SHARE * scoring.mass_g[region.window]
        own = np.divide(own, mass, out=whole.copy(), where=enough & (whole > 0))
        mean = self.result.mean_over(matter)
        return structure_dose(drawn, dose, own, mass, mean=mean, decays=decays_in(drawn, self.decays))


def _provenance(nuclide: Nuclide, settings: DoseSettings, result: MonteCarloResult) -> Provenance:
    return Provenance(
        parameters=settings_parameters("montecarlo", nuclide, settings)
        | dict(result.settings.parameters())
        | {
            "histories": result.histories,
            "batches": result.batches,
            "relative_uncertainty_high_dose": result.relative_uncertainty,
            "few_counts_voxels": int(result.few_counts.sum()),
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


def _noise_messages(result: MonteCarloResult, tissue: NDArray[np.bool_]) -> tuple[Message, ...]:
    if result.relative_uncertainty > FEW_HISTORIES_UNCERTAINTY:
        text = (
            f"the Monte Carlo dose of voxels above half the maximum has a relative standard uncertainty of "
            f"{100 * result.relative_uncertainty:.0f} %; minima, maxima and D95-like values are biased by such noise"
        )
        return (Message("few-histories", text, FOLLOW_MORE),)
    dosed = tissue & (result.dose_gy > RELEVANT_SHARE * float(result.dose_gy[tissue].max(initial=0.0)))
    few = int((dosed & result.few_counts).sum())
    if few <= FEW_COUNTS_SHARE * int(dosed.sum()):
        return ()
    text = (
        f"{few} of the {int(dosed.sum())} voxels above a twentieth of the maximum dose were reached by few decays "
        f"(standard uncertainty above {100 * FEW_COUNTS:.0f} %): single voxels there, minima and maxima say little"
    )
    return (Message("few-counts", text, FOLLOW_MORE),)


def _structure_messages(detail: LabelDoses, regions: Sequence[Region]) -> tuple[Message, ...]:
    """Structures whose mean dose is known less well than was asked for, or not known how well."""
    means = [(region.name, mean) for region in regions if (mean := detail.mean(region)) is not None]
    found = list(_less_certain(detail.result, [] if detail.result.target_region is not None else means))
    unknown = [f"{name} {three(mean.value)} Gy" for name, mean in means if mean.sd is None]
    if unknown:
        text = (
            "the uncertainty of a mean dose is not stated where few decays reach, or of one batch: "
            f"{', '.join(unknown)}; it may be several times higher"
        )
        found.append(Message("few-counts-in-structures", text, FOLLOW_MORE))
    if detail.result.not_awaited:
        text = (
            f"the run did not go on until the mean dose of {', '.join(detail.result.not_awaited)} was known to the "
            "target: air, or so little matter that ten times the decays would not have done"
        )
        found.append(Message("structures-not-awaited", text, severity="note"))
    noisy = [region.name for region in regions if _share_of_few(detail.result, region) > FEW_COUNTS_SHARE_OF_STRUCTURE]
    if noisy:
        text = (
            f"more than {100 * FEW_COUNTS_SHARE_OF_STRUCTURE:.0f} % of the volume of {', '.join(noisy)} was reached by "
            f"few decays (standard uncertainty of voxels above {100 * FEW_COUNTS:.0f} %): D_x, V_x, minimum and "
            "maximum there are those of noise; the mean has an uncertainty of its own where one is stated"
        )
        found.append(Message("few-counts-in-voxels", text, FOLLOW_MORE, severity="note"))
    return tuple(found)


def _share_of_few(result: MonteCarloResult, region: Region) -> float:
    """Share of a structure's volume in voxels that few decays reached; 0 of one beyond the voxels of the dose."""
    if result.scoring is None:  # cannot be: structures are given with voxels of the dose
        raise AssertionError
    on = resample_region(region, result.scoring.grid)
    if on.is_empty:
        return 0.0
    few = ~(result.dose_sd_gy[on.window] <= FEW_COUNTS * np.abs(result.dose_gy[on.window]))
    few |= ~(result.dose_gy[on.window] > 0)
    return float(on.coverage[few].sum()) / float(on.coverage.sum())


def _less_certain(result: MonteCarloResult, means: Sequence[tuple[str, Estimate]]) -> tuple[Message, ...]:
    """Means that a run with a target was to know better; one without an uncertainty by that which the run saw."""
    target = result.settings.target_uncertainty
    if target is None:
        return ()
    watched = result.watched
    seen = {one.name: mean for one, mean in zip(watched.regions, watched.means(result.sums), strict=True)}
    less = []
    for name, mean in means:
        if (
            largest_uncertainty([mean if mean.sd is not None else seen.get(name, mean)]) > target
            and name not in result.not_awaited
        ):
            less.append(f"{name} {three(mean.value)} Gy (± not known)" if mean.sd is None else f"{name} {mean} Gy")
    if not less:
        return ()
    text = (
        f"the run ended before the mean dose of every structure was known to {100 * target:.2g} % (of 1 Gy where the "
        f"mean is less): {', '.join(less)}"
    )
    return (Message("structures-less-certain", text, FOLLOW_MORE),)
