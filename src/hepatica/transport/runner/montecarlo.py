"""Absorbed dose in voxels by Monte Carlo, with its uncertainty, stopping rules and checkpoints.

>>> from hepatica.transport.runner.settings import MonteCarloSettings
>>> MonteCarloSettings(histories=1_000_000, seed=7).device
'cpu'
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Kind, Region, Volume
from hepatica.core.constants import KEV_TO_J
from hepatica.errors import GeometryError, InputError
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.composition import Medium, media_by_density
from hepatica.transport.matter.iodised_oil import media_with_oil
from hepatica.transport.matter.media import require_decays_in_matter
from hepatica.transport.runner.batches import BatchSums, load_checkpoint, save_checkpoint
from hepatica.transport.runner.control import (
    ENOUGH_DECAYS,
    PILOT_HISTORIES,
    PILOT_SEED,
    Control,
    Twins,
    control_for,
    electron_reach_mm,
    twin_for,
    usual_cutoffs,
)
from hepatica.transport.runner.decays import DecayTransport, Places, Stratum
from hepatica.transport.runner.fingerprint import fingerprint
from hepatica.transport.runner.launch import check_device
from hepatica.transport.runner.scoring import DoseVoxels, LabelMasses, Scoring, corner_map, scoring_on
from hepatica.transport.runner.settings import MonteCarloSettings
from hepatica.transport.runner.source import emission
from hepatica.transport.runner.stopping import RunClock, RunReport
from hepatica.transport.runner.strata import strata_of
from hepatica.transport.runner.upload import Phantom
from hepatica.transport.runner.watched import NOTHING_WATCHED, PATIENCE, WatchedRegions, largest_uncertainty

FloatArray = NDArray[np.float64]

BATCHES = 40
MIN_BATCHES = 20
SMALL_BATCH = 20_000
LARGE_VOLUME = 4_000_000
"""Volumes of more voxels get 20 batches instead of 40: adding one up takes a second there."""
LOWEST_DENSITY_G_ML = 0.0005
"""Vacuum (zero padding) is followed as thin air of this density; its dose is not reported."""
DEPOSITED = 4
"""Place among the counters of the energy deposited in the voxels of the dose; the four before are the transport's."""
FEW_COUNTS = 0.2
"""Relative standard uncertainty of a voxel that few decays reached: n equal energies are known to 1 / sqrt(n), and of
less than 25 the distribution is skewed and its spread over batches hardly known."""
ENOUGH_IN_MEAN = 25
"""Decays whose energy a mean is worth that has an uncertainty of its own, whatever its noise: as `FEW_COUNTS`."""
UNSEEN_DECAYS = 0.7
"""Decays whose energy the mean of a region with a control is uncertain by at the least: about that of one electron that
enters it. 60 runs of 20 000 decays spread 1.7 times as far as batches alone stated in bowel beside a liver (one lay 7
times off), as far as stated with this. In the middle of a liver it is less than the noise that is left there."""
KERNEL_RELATIVE_SD = 5e-4
"""Relative standard uncertainty of what is known beside the batches: kernel and convolution. A liver's mean with 131I
differed by 0.04 % from 50 million decays without the control (0.009 %), one by 90Y by less than 0.03 % (0.02 %).
Batches know nothing of it, and stated thirty times less."""
TEN = 10
"""The highest dose is the mean of this many voxels."""
HIGH_DOSE = 0.5
"""High-dose voxels, whose uncertainty a run can aim at, are those above this fraction of the highest dose."""


@dataclass(frozen=True, slots=True, eq=False)
class DosePerEnergy:
    """Gy per keV and history of any window of voxels, made when asked for: an array would be one more volume.

    Attributes
    ----------
    scale : float32
        Gy g/mL per keV and history.
    density : ndarray of float32
        Density in g/mL.
    """

    scale: np.float32
    density: NDArray[np.float32]

    def __getitem__(self, window: Any) -> NDArray[np.float32]:
        return np.asarray(self.scale / self.density[window], dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarloResult:
    """Dose with its statistical uncertainty, and where the energy went.

    Attributes
    ----------
    dose_gy, dose_sd_gy : ndarray of float32, shape of the grid
        Absorbed dose and its standard uncertainty (k = 1), from batches.
    histories, batches : int
        Decays followed, and the batches they were followed in.
    emitted_j, deposited_j, escaped_electrons_j, escaped_photons_j : float
        Energy of all decays as sampled; in the voxels of the dose; out of the matter with electrons; with photons.
    elsewhere_j : float
        Energy deposited in matter outside the voxels of the dose.
    relative_uncertainty : float
        Root mean square relative standard uncertainty of the voxels above half the maximum dose.
    elapsed_s : float
        Wall time, of this run and of those it continues.
    settings : MonteCarloSettings
        Settings in force.
    not_awaited : tuple of str
        Structures that the run did not go on for: air, or so little that ten times the decays would not do.
    """

    dose_gy: NDArray[np.float32]
    dose_sd_gy: NDArray[np.float32]
    histories: int
    batches: int
    emitted_j: float
    deposited_j: float
    escaped_electrons_j: float
    escaped_photons_j: float
    relative_uncertainty: float
    elapsed_s: float
    settings: MonteCarloSettings
    sums: BatchSums
    gy_per_kev: DosePerEnergy
    elsewhere_j: float = 0.0
    scoring: Scoring | None = None
    watched: WatchedRegions = NOTHING_WATCHED
    target_region: Region | None = None
    not_awaited: tuple[str, ...] = ()

    @property
    def few_counts(self) -> NDArray[np.bool_]:
        """Voxels of the dose that few decays reached: their stated uncertainty is above `FEW_COUNTS`."""
        return np.asarray(self.dose_sd_gy > FEW_COUNTS * np.abs(self.dose_gy))

    def region_mean(self, region: Region) -> Estimate:
        """Mean dose of a region in Gy with its standard uncertainty, correlations between voxels respected.

        Energy over mass, border voxels by their covered fraction. The uncertainty is that of the mean over groups of
        batches: voxels that share histories are not taken as independent. It is None where too few decays reached
        the region to know it. Of the region that the run aimed at every batch counts.
        """
        if self.target_region is not None and region is self.target_region:
            stopped_at = self.settings.target_uncertainty is not None
            return self.watched.means(self.sums, stopped_at=stopped_at, known_relative_sd=KERNEL_RELATIVE_SD)[0]
        return _region_mean(self.sums, self.gy_per_kev, region, self.watched.least_kev)

    def covariance_groups(self, region: Region) -> FloatArray:
        """Mean dose of a region in Gy in each group of batches, for ratios of regions and other functions of doses."""
        return _group_means(self.sums, self.gy_per_kev, region)

    def dose_of(self, matter: LabelMasses) -> FloatArray:
        """Dose in Gy to matter of a label in a voxel, for each element of `matter`.

        In voxels that hold one label it is the voxel's dose. What noise puts below zero is zero, as in a dose map.
        """
        scoring = self._scored()
        dose = self.dose_gy.ravel()[matter.voxel].astype(np.float64)
        part = scoring.part_of(matter)
        apart = part >= 0
        if self.sums.parts is not None and apart.any():
            energy = self.sums.parts.mean_kev((part[apart],)) * self._gy_g_per_kev
            dose[apart] = energy / scoring.part_mass_g[part[apart]]
        return np.maximum(dose, 0.0)

    def mean_over(self, matter: LabelMasses) -> Estimate:
        """Mean dose of matter in Gy.

        The uncertainty is that of `region_mean`: None where too few decays reached the matter to know it.
        """
        scoring = self._scored()
        part = scoring.part_of(matter)
        apart = part >= 0
        mass = matter.mass_g.astype(np.float64)
        voxel = matter.voxel[~apart]
        shares = np.minimum(mass[~apart] / scoring.mass_g.ravel()[voxel], 1.0)
        window = np.unravel_index(voxel, scoring.grid.shape)
        energy = float((self.sums.mean_kev(window) * shares).sum())
        groups, known = self.sums.group_residuals(window, shares), self.sums.known_sum(window, shares)
        reached = self.sums.reached_sum(window, shares)
        if self.sums.parts is not None and apart.any():
            part = part[apart]
            shares = np.minimum(mass[apart] / scoring.part_mass_g[part], 1.0)
            energy += float((self.sums.parts.mean_kev((part,)) * shares).sum())
            groups = groups + self.sums.parts.group_residuals((part,), shares)
            known += self.sums.parts.known_sum((part,), shares)
            more = self.sums.parts.reached_sum((part,), shares)
            reached = None if reached is None or more is None else reached + more
        scale = self._gy_g_per_kev / float(mass.sum())
        sd = _sd_of_mean(self.sums, groups, MeanEnergy(energy, known, reached), self.watched.least_kev)
        return Estimate(energy * scale, None if sd is None else scale * sd)

    @property
    def _gy_g_per_kev(self) -> float:
        return float(self.gy_per_kev.scale) * self._scored().grid.voxel_volume_ml

    def _scored(self) -> Scoring:
        if self.scoring is None:
            raise InputError("this Monte Carlo run was not told of voxels of the dose apart from those of its density")
        return self.scoring


def simulate(
    decays: Volume,
    density: Volume,
    nuclide: Nuclide,
    settings: MonteCarloSettings,
    *,
    dose_voxels: DoseVoxels | None = None,
    target_region: Region | None = None,
    oil: Volume | None = None,
    progress: RunReport | None = None,
) -> MonteCarloResult:
    """Follow decays through the voxels.

    Parameters
    ----------
    decays : Volume
        Kind.DECAYS, number of decays per voxel (Bq s), none negative.
    density : Volume
        Kind.DENSITY in g/mL on the same grid, or with `dose_voxels` on any other: decays outside it are lost.
    nuclide : Nuclide
        What decays.
    settings : MonteCarloSettings
        When to stop, device, seed, checkpoint.
    dose_voxels : DoseVoxels, optional
        Voxels of the dose where they are not those of the two maps. Matter is then followed in the voxels of the
        density, whatever those of the dose, and the energy in each voxel is counted apart for each structure, and
        outside the structures for lung, soft tissue and bone.
    target_region : Region, optional
        Aim `target_uncertainty` at the mean dose of this region, on the voxels of the dose.
    oil : Volume, optional
        Iodised oil in g/mL on the grid of the density, which it is part of.
    progress : callable, optional
        Called after every batch.

    Raises
    ------
    UnitError, GeometryError, InputError
        If the volumes are of the wrong kind, on different grids, negative or empty, or the checkpoint is of
        another run.
    PhysicsError
        If the device is absent, or energy was lost.
    """
    run = _Run(decays, density, nuclide, settings, dose_voxels=dose_voxels, region=target_region, oil=oil)
    try:
        while not run.clock.finished(run.sums):
            run.batch()
            if progress is not None:
                progress(run.clock.progress(run.sums))
    except KeyboardInterrupt:
        run.save()
        raise
    return run.result()


class _Run:
    """One run: its engine, its sums, and what ends it."""

    def __init__(
        self,
        decays: Volume,
        density: Volume,
        nuclide: Nuclide,
        settings: MonteCarloSettings,
        *,
        dose_voxels: DoseVoxels | None,
        region: Region | None,
        oil: Volume | None,
    ) -> None:
        _check(decays, density, settings, same_grid=dose_voxels is None)
        grid = density.grid if dose_voxels is None else dose_voxels.grid
        if region is not None:
            grid.require_match(region.grid, f"dose and region {region.name!r}")
        self.settings, self.region = settings, region
        values = np.asarray(density.values, dtype=np.float32)
        index, media = _media(density, oil, settings)
        followed = np.maximum(values, np.float32(LOWEST_DENSITY_G_ML))
        phantom = Phantom(density.grid.spacing_mm, followed, index, media)
        self.scoring: Scoring | None = None
        if dose_voxels is not None:
            thin = density.with_values(followed)
            self.scoring = scoring_on(dose_voxels, thin, index, len(media), filling_g_ml=LOWEST_DENSITY_G_ML)
        emitted = emission(
            nuclide,
            settings.parts,
            electron_cutoff_kev=settings.step.cutoff_kev,
            photon_cutoff_kev=settings.step.photon_cutoff_kev,
        )
        to_mm = _to_phantom(decays.grid, density.grid)
        self.total_decays = decays.total
        self.control, source = self._control(
            decays, density.with_values(followed), nuclide, phantom, to_mm, emitted.mean_kev
        )
        self.transport = DecayTransport(
            phantom,
            emitted,
            source,
            model=settings.step,
            tally=self.scoring,
            twin=None if self.control is None else self.control.twin,
            device=settings.device,
        )
        gy_g_per_kev = np.float32(KEV_TO_J * self.total_decays * 1e3 / grid.voxel_volume_ml)
        mean_density = followed if self.scoring is None else self.scoring.density_g_ml()
        self.gy_per_kev = DosePerEnergy(gy_g_per_kev, mean_density)
        self.mark = fingerprint(decays, (density, oil), nuclide.name, settings, self.scoring)
        self.saved, before_s = time.monotonic(), 0.0
        self.sums = BatchSums.empty(grid.shape)
        if region is not None and region.is_empty:
            raise GeometryError(f"region {region.name!r} covers no voxel; it has no mean dose")
        named = (region,) if region is not None else () if dose_voxels is None else dose_voxels.regions
        self.watched = WatchedRegions.on(grid, named, self.gy_per_kev, density=mean_density, least_kev=emitted.mean_kev)
        self.sums.watched = np.zeros((2, len(self.watched)))
        self.high_dose_after: int | None = None
        self.not_awaited: tuple[str, ...] = ()
        if self.scoring is not None:
            self.sums.parts = BatchSums.empty(self.scoring.part_mass_g.shape, len(self.sums.group_histories))
        if settings.checkpoint is not None and settings.checkpoint.exists():
            self.sums, before_s = load_checkpoint(settings.checkpoint, self.mark)
        self.coefficient = self._coefficient()
        self.clock = RunClock(
            settings, self.uncertainty, min_batches=MIN_BATCHES, elapsed_s=before_s, histories=self.sums.histories
        )

    def _control(
        self, decays: Volume, density: Volume, nuclide: Nuclide, phantom: Phantom, to_mm: FloatArray, mean_kev: float
    ) -> tuple[Control | None, list[Stratum]]:
        """Twin of the decays and its mean (None where it is not wanted or not known), and the source in strata."""
        settings, twin = self.settings, None
        if settings.control_variate and settings.parts == "all" and usual_cutoffs(settings.step):
            twin = twin_for(nuclide, decays, density, phantom.medium_index, phantom.media)
        if twin is None:
            flat = np.asarray(decays.values).ravel()
            voxels = np.flatnonzero(flat > 0)
            return None, [Stratum(Places(voxels, flat[voxels], decays.grid.shape, to_mm))]
        medium = phantom.media[twin.medium_index]
        source = strata_of(decays, density, to_mm, reach_mm=electron_reach_mm(nuclide, medium), twins=True)
        twinned = np.zeros(decays.grid.size, np.float32)
        for stratum in source:
            if stratum.twinned:
                twinned[stratum.places.voxels] = stratum.places.weights
        if not twinned.any():
            return None, source
        twinned_decays = decays.with_values(twinned.reshape(decays.grid.shape))
        twins = Twins(nuclide, twinned_decays, self.total_decays, twin, medium)
        alone = bool((twinned == np.asarray(decays.values).ravel()).all())
        every = twins if alone else Twins(nuclide, decays, self.total_decays, twin, medium)
        enough_kev = ENOUGH_DECAYS * mean_kev / self._shortest()
        return control_for(twins, every, density, self.scoring, enough_kev=enough_kev), source

    def _shortest(self) -> int:
        """Decays of this run at the least: the histories wanted, or the batches that come before any other rule."""
        least = MIN_BATCHES * SMALL_BATCH
        wanted = self.settings.histories
        open_ended = self.settings.target_uncertainty is not None or self.settings.time_limit_s is not None
        return least if wanted is None else min(wanted, least) if open_ended else wanted

    def _coefficient(self) -> FloatArray:
        """Coefficient of the control in each voxel, that of a checkpoint if there is one; `sums` get what is known."""
        if self.control is None:
            return np.zeros(0)
        coefficient = self._pilot(self.control) if self.sums.coefficient is None else self.sums.coefficient
        self.sums.coefficient = coefficient
        known = self.control.on_elements(coefficient * self.control.expected_kev)
        if self.scoring is not None and self.sums.parts is not None:
            known, self.sums.parts.known_kev, _ = self.scoring.split(known)
        self.sums.known_kev = known.reshape(self.sums.total.shape)
        reached = self.control.on_elements(self.control.reached_kev)
        if self.scoring is not None and self.sums.parts is not None:
            reached, parts, _ = self.scoring.split(reached)
            self.sums.parts.reached_kev = parts.astype(np.float32)
        self.sums.reached_kev = reached.reshape(self.sums.total.shape).astype(np.float32)
        return coefficient

    def _pilot(self, control: Control) -> FloatArray:
        half = PILOT_HISTORIES // 2
        seed = (self.settings.seed + PILOT_SEED) % 2**63
        halves = []
        for n in range(2):
            tally, _ = self.transport.run(seed, n * half, half, self.settings.threads)
            halves.append(control.whole(tally))
        return control.coefficients(*halves)

    def next_size(self) -> int:
        """Decays of the next batch: an equal share of the histories wanted, or slowly growing where the end is open."""
        wanted = self.settings.histories
        open_ended = self.settings.target_uncertainty is not None or self.settings.time_limit_s is not None
        if wanted is not None and not open_ended:
            batches = BATCHES if self.sums.shape_size <= LARGE_VOLUME else MIN_BATCHES
            share = [wanted * n // batches for n in range(batches + 1)]
            done = int(np.searchsorted(share, self.sums.histories, side="right")) - 1
            return share[done + 1] - self.sums.histories
        # a batch costs the adding up of the volume: larger ones in large volumes, unless the time is limited
        largest = SMALL_BATCH if self.settings.time_limit_s is not None else 25 * SMALL_BATCH
        voxels_per_decay = 10 if self.control is None else 100  # with a control fewer decays are enough
        base = int(np.clip(self.sums.shape_size // voxels_per_decay, SMALL_BATCH, largest))
        size = max(base, self.sums.histories // 20)
        return size if wanted is None else min(size, wanted - self.sums.histories)

    def batch(self) -> None:
        size = self.next_size()
        tally, counters = self.transport.run(self.settings.seed, self.sums.histories, size, self.settings.threads)
        matter = tally if self.control is None else tally[: tally.size // 2]
        outside = 0.0 if self.scoring is None else float(matter[-1])
        counters = np.append(counters, float(matter.sum()) - outside)
        if self.control is not None:
            twin = tally[matter.size :][: self.control.classes.size]
            matter -= self.control.on_elements(self.coefficient * twin)
        tally = matter
        if self.scoring is not None and self.sums.parts is not None:
            tally, parts, elsewhere = self.scoring.split(tally)
            self.sums.parts.add(parts, np.array([elsewhere, 0.0, 0.0, 0.0, 0.0]), size)
        self.sums.add(tally, counters, size, self.watched.energies(tally.reshape(self.sums.total.shape)))
        now = time.monotonic()
        if self.settings.checkpoint is not None and now - self.saved > self.settings.checkpoint_every_s:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, if one was asked for and there is something to keep."""
        if self.settings.checkpoint is not None and self.sums.batches:
            save_checkpoint(self.settings.checkpoint, self.sums, self.mark, self.clock.elapsed_s)
            self.saved = time.monotonic()

    def uncertainty(self) -> float | None:
        """Present relative uncertainty of what the run aims at; None before there is one."""
        if self.sums.batches < 2:
            return None
        means = self.watched.means(self.sums, stopped_at=True)
        if self.region is not None:
            return means[0].relative_sd
        high = high_dose_uncertainty(*self.sums.scaled_mean_and_sd(self.gy_per_kev))
        target = self.settings.target_uncertainty
        if high is None or target is None or high > target:
            return high
        self.high_dose_after = self.high_dose_after or self.sums.histories
        longest = PATIENCE * self.high_dose_after
        if self.sums.histories >= longest:
            return high
        awaited = self.watched.awaited(means, target, longest)
        names = [region.name for region in self.watched.regions]
        self.not_awaited = tuple(name for name, wanted in zip(names, awaited, strict=True) if not wanted)
        return max(high, largest_uncertainty([mean for mean, wanted in zip(means, awaited, strict=True) if wanted]))

    def result(self) -> MonteCarloResult:
        self.save()
        del self.transport  # its tallies are as large as the dose
        dose, dose_sd = self.sums.scaled_mean_and_sd(self.gy_per_kev)
        joule = KEV_TO_J * self.total_decays / self.sums.histories
        counters = self.sums.counters
        return MonteCarloResult(
            dose_gy=dose,
            dose_sd_gy=dose_sd,
            histories=self.sums.histories,
            batches=self.sums.batches,
            emitted_j=float(counters[0]) * joule,
            deposited_j=float(counters[DEPOSITED]) * joule,
            escaped_electrons_j=float(counters[1]) * joule,
            escaped_photons_j=float(counters[2]) * joule,
            relative_uncertainty=high_dose_uncertainty(dose, dose_sd) or math.nan,
            elapsed_s=self.clock.elapsed_s,
            settings=self.settings,
            sums=self.sums,
            gy_per_kev=self.gy_per_kev,
            elsewhere_j=0.0 if self.sums.parts is None else float(self.sums.parts.counters[0]) * joule,
            scoring=self.scoring,
            watched=self.watched,
            target_region=self.region,
            not_awaited=self.not_awaited,
        )


def high_dose_uncertainty(dose: NDArray[Any], dose_sd: NDArray[Any]) -> float | None:
    """Root mean square relative uncertainty of the voxels above half the highest dose; None if there is no dose.

    The highest dose is taken as the mean of the ten highest, so that one lucky voxel does not decide.
    """
    flat = dose.ravel()
    for share in (HIGH_DOSE, HIGH_DOSE / 10):  # the ten highest are soon found among the few high ones
        few = flat[flat > share * flat.max()]
        if few.size >= TEN:
            flat = few
            break
    top = float(np.mean(np.partition(flat, -min(TEN, flat.size))[-min(TEN, flat.size) :]))
    if not top > 0:
        return None
    high = dose > HIGH_DOSE * top
    return float(np.sqrt(np.mean((dose_sd[high] / dose[high]) ** 2)))


def _region_mean(sums: BatchSums, gy_per_kev: DosePerEnergy, region: Region, least_kev: float) -> Estimate:
    if region.is_empty:
        raise GeometryError(f"region {region.name!r} covers no voxel; it has no mean dose")
    energy = float((region.coverage * sums.mean_kev(region.window)).sum())
    mass = _mass(gy_per_kev, region)
    weights = region.coverage.astype(np.float64)
    residuals = sums.group_residuals(region.window, weights)
    known, reached = sums.known_sum(region.window, weights), sums.reached_sum(region.window, weights)
    sd = _sd_of_mean(sums, residuals, MeanEnergy(energy, known, reached), least_kev)
    return Estimate(energy / mass, None if sd is None else sd / mass)


class MeanEnergy(NamedTuple):
    """Mean energy of a region per history, keV; what is known of it beside the batches; what uniform matter gets."""

    kev: float
    known_kev: float
    reached_kev: float | None = None


def _sd_of_mean(sums: BatchSums, residuals: FloatArray, mean: MeanEnergy, least_kev: float) -> float | None:
    """Standard uncertainty of a mean energy per history from what varies of it between groups of batches.

    What is known of the mean takes for granted that decays do in the patient what their twins do. That one did not,
    and none of those followed shows it, is always possible: the uncertainty is no less than the energy of
    `UNSEEN_DECAYS`, or all that is known if that is less; and where few groups hold nearly all that varies, that of
    one. If so much is not little beside the mean, it is not known: where no decay was seen to come, the next may.
    The same holds where nothing is known of the mean but electrons reach: what uniform matter would get says so,
    whatever a run finds; where that is not known, they may. A mean that is not worth `ENOUGH_IN_MEAN` decays has an
    uncertainty only if that is below `FEW_COUNTS`: as of so many equal contributions, which for photons are small ones.
    """
    sd = sums.sd_of_groups(residuals)
    if sd is None:
        return None
    one_decay, known_kev = least_kev / sums.histories, abs(mean.known_kev)
    reached_kev = math.inf if mean.reached_kev is None else mean.reached_kev
    few = sums.rests_on_few(residuals)
    sd = max(sd, one_decay if few else min(UNSEEN_DECAYS * one_decay, max(known_kev, reached_kev)))
    sd = math.hypot(sd, KERNEL_RELATIVE_SD * known_kev)
    # What is expected decides where it is most of the mean: one that happens to be high would be believed else.
    worth_kev = reached_kev if mean.kev / 2 < reached_kev < math.inf else mean.kev
    if worth_kev > ENOUGH_IN_MEAN * one_decay:
        return sd
    return None if few or known_kev > one_decay or sd > FEW_COUNTS * mean.kev else sd


def _mass(gy_per_kev: DosePerEnergy, region: Region) -> float:
    """Mass of a region in the unit in which energy in keV per history over mass is dose in Gy."""
    return float((region.coverage / gy_per_kev[region.window]).sum(dtype=np.float64))


def _group_means(sums: BatchSums, gy_per_kev: DosePerEnergy, region: Region) -> FloatArray:
    return sums.group_sums(region.window, region.coverage.astype(np.float64)) / _mass(gy_per_kev, region)


def _media(
    density: Volume, oil: Volume | None, settings: MonteCarloSettings
) -> tuple[NDArray[np.uint8], tuple[Medium, ...]]:
    """Medium of each voxel of the density, and the media that there are."""
    values = np.asarray(density.values, dtype=np.float32)
    if oil is None:
        return media_by_density(values, settings.media)
    oil.require_kind(Kind.DENSITY)
    oil.require_finite()
    oil.grid.require_match(density.grid, "iodised oil and density")
    return media_with_oil(values, oil.values, settings.media)


def _to_phantom(decays: Grid, matter: Grid) -> FloatArray:
    """Takes voxels of the decays, from their corner, to mm from the corner of the matter."""
    if decays.matches(matter):
        return np.diag([*matter.spacing_mm, 1.0])
    return np.asarray(np.linalg.inv(corner_map(matter, decays)))


def _check(decays: Volume, density: Volume, settings: MonteCarloSettings, *, same_grid: bool) -> None:
    require_decays_in_matter(decays, density, same_grid=same_grid)
    if (negative := int((decays.values < 0).sum())) > 0:
        raise InputError(
            f"decays: {negative} voxels are negative (lowest {float(decays.values.min()):.4g} Bq s); Monte Carlo "
            "cannot follow negative activity",
            remedy="take the engine kernel or local, whose doses are linear and exact with negative voxels, or an "
            "image without them (a PET by osem); small ones can be set to zero",
        )
    if not decays.total > 0:
        raise InputError(f"decays: the total is {decays.total:.4g} Bq s; there is no activity to make a dose from")
    check_device(settings.device)
