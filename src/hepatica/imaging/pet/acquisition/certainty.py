"""How sure the becquerels of a whole PET are: its beds brought together, counting, and the scale that all voxels share.

The image is a weighted mean of the beds' images, each linear in what its list gave, and the lists are independent:
variances of a region add up over the beds. The scale (cross-calibration, positrons per decay, the activity meter) is
common to all voxels and comes on top (GUM, JCGM 100:2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Region, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.progress import Progress, silent
from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.options import PetOptions, PetUncertaintyOptions
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration, Part
from hepatica.imaging.pet.becquerels.detectable import detectable
from hepatica.imaging.pet.becquerels.positrons import y90_positrons
from hepatica.imaging.pet.list_mode import reconstruct_list
from hepatica.imaging.pet.reconstruct.uncertainty import bootstrapped, influence
from hepatica.imaging.pet.reconstruction import PetImage
from hepatica.nuclides import Nuclide

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Window = tuple[slice, slice, slice]

Y90 = "Y-90"
LINES_SD = 0.017
"""Of the model of lines against the photons followed: totals of small phantoms were 1 to 3 % low (docs/pet.md);
anything within 3 % is held for equally likely, of which this is the standard deviation."""


SCATTER_SD = {True: 0.03, False: 0.1}
"""Relative, of the scatter, of a simulation and of a scan: scatter fractions of NEMA NU 2 are predicted 7 to 16 % below
the published ones, since gantry and couch do not scatter here (docs/pet.md); nor do they in a simulation."""
SCATTER_PARTS = 20
"""The estimate is smoothed over about a twentieth of its cells: at a region it is known to the root of this over the
scattered coincidences followed."""

LEAST_SEEN = 0.1
"""Planes at an end of the field whose mean sensitivity is less of the best plane's are not seen. Of a liver that goes
on beyond the field the last 10 mm of it, where that is 0.05 to 0.07 (by the detectors' length), held 0.05 to 0.3 of
what was there, and the planes before it what was there within noise (simulated 90Y, Discovery ST and mCT, wls)."""


@dataclass(frozen=True, slots=True)
class RegionActivity:
    """What a region holds at the start of the scan.

    Attributes
    ----------
    name : str
    volume_ml : float
        Of the part that the image shows.
    seen_share : float
        Of the structure's volume, what the image shows; all else is of this part. Where it shows nothing, the numbers
        are None.
    activity_mbq : Estimate or None
        With the uncertainty of counting and scale; its sd None where one of them is not known.
    concentration_mean_bq_ml : float or None
    counting_sd_mbq : float or None
        Standard uncertainty from counting alone; None where it was not asked for.
    decision_threshold_mbq, detection_limit_mbq : float or None
        What is found above the threshold is there, and what is there above the limit is found, each with 5 % to be
        wrong (ISO 11929-1), by the noise that the region has as it is: of one that holds activity the limit is an upper
        bound.
    scatter_sd_mbq : float or None
        Standard uncertainty from that of the scatter, which is taken off: as large where nothing is as beside it. None
        where it was not asked for, or scatter is not corrected for.
    """

    name: str
    volume_ml: float
    seen_share: float
    activity_mbq: Estimate | None
    concentration_mean_bq_ml: float | None
    counting_sd_mbq: float | None
    decision_threshold_mbq: float | None
    detection_limit_mbq: float | None
    scatter_sd_mbq: float | None = None

    @property
    def own_sd_mbq(self) -> float | None:
        """Standard uncertainty from counting and scatter, which other regions do not share; None without counting."""
        return _both(self.counting_sd_mbq, self.scatter_sd_mbq)


@dataclass(frozen=True, slots=True, eq=False)
class SolvedBed:
    """The image of a bed and how it goes into the whole.

    Attributes
    ----------
    image : PetImage
    window : tuple of slice
        Its voxels in the whole grid.
    back : float
        From Bq/mL of the bed's frame to Bq/mL of the whole: decay, dead time, phase of breathing, calibration.
    seconds : float
        Of the frame.
    """

    image: PetImage
    window: Window
    back: float
    seconds: float

    @property
    def seen(self) -> FloatArray:
        """Weight of its voxels: sensitivity times seconds."""
        return self.image.sensitivity.image.astype(np.float64) * self.seconds


@dataclass(frozen=True, slots=True, eq=False)
class Beds:
    """All beds of a scan on one grid, and the filter over their mean."""

    grid: Grid
    beds: tuple[SolvedBed, ...]
    filter_mm: float

    @property
    def weight(self) -> FloatArray:
        """Sensitivity times seconds of all beds."""
        total = np.zeros(self.grid.shape)
        for bed in self.beds:
            total[bed.window] += bed.seen
        return total

    def seen_planes(self) -> slice:
        """The planes between the first and the last that are seen well; see `LEAST_SEEN`."""
        weight = self.weight
        seen = (weight > 0).sum(axis=(0, 1))
        mean = weight.sum(axis=(0, 1)) / np.maximum(seen, 1)
        good = np.flatnonzero(mean >= LEAST_SEEN * mean.max())
        return slice(int(good[0]), int(good[-1]) + 1)

    def shares(self) -> list[FloatArray]:
        """Of each bed, what a Bq/mL of its voxels adds to the whole's."""
        weight = self.weight
        return [
            np.divide(bed.seen * bed.back, weight[bed.window], out=np.zeros_like(bed.seen), where=bed.seen > 0)
            for bed in self.beds
        ]

    def filtered(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """A Gaussian over an image of the whole grid; it is its own adjoint."""
        if not self.filter_mm:
            return values
        from scipy.ndimage import gaussian_filter

        sd = [self.filter_mm / FWHM_PER_SD / s for s in self.grid.spacing_mm]
        return np.asarray(gaussian_filter(values, sd, mode="constant"))

    def image(self) -> NDArray[np.floating]:
        """The beds' mean in Bq/mL, weighted by how well they see."""
        return self.filtered(self._mean([bed.image.activity.values for bed in self.beds]))

    def first_look(self) -> NDArray[np.floating]:
        """The same of the first looks, whose voxels are never below zero; in no unit."""
        return self._mean([bed.image.look * np.float32(bed.image.solved.bq_ml) for bed in self.beds])

    def _mean(self, values: Sequence[Float32]) -> FloatArray:
        total = np.zeros(self.grid.shape)
        for bed, own, share in zip(self.beds, values, self.shares(), strict=True):
            total[bed.window] += own * share
        return total

    def counts_per_bq(self) -> FloatArray:
        """True coincidences of all beds per becquerel of each voxel at the start of the scan."""
        total = np.zeros(self.grid.shape)
        for bed in self.beds:
            solved = bed.image.solved
            total[bed.window] += bed.image.sensitivity.image * (1000 / (solved.bq_ml * bed.back))
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Certainty:
    """How sure a whole PET is; see `hepatica.imaging.pet.acquisition.image.WholePet`."""

    total_bq: Estimate
    counting_sd_bq: float | None
    scatter_sd_bq: float | None
    contents: tuple[RegionActivity, ...]
    voxel_sd: Float32 | None


def scale_of(nuclide: Nuclide, said: PetUncertaintyOptions, *, simulated: bool = False) -> CrossCalibration:
    """Factor of the whole image and what its uncertainty consists of.

    What a simulation does not have (meter, another number of positrons than that it was made with) is exact; without a
    cross-calibration it holds the doubt of the model of lines, which a measured one takes in.

    Raises
    ------
    InputError
        If positrons of 90Y are stated for another nuclide.
    """
    unknown = 0.0 if simulated else None
    known = Estimate(nuclide.positron_yield, 0.0 if simulated else nuclide.positron_yield_sd)
    if said.positrons is not None:
        if nuclide.name != Y90:
            raise InputError(
                f"`positrons` names measurements of 90Y, the nuclide is {nuclide.name}", remedy="leave it out"
            )
        known = y90_positrons(said.positrons).value
    lines = LINES_SD if simulated else None
    measured = lines if said.calibration_relative_sd is None else said.calibration_relative_sd
    meter = unknown if said.meter_relative_sd is None else said.meter_relative_sd
    own = CrossCalibration(said.calibration_factor, (Part("cross-calibration", measured),))
    return own.for_nuclide(known, divided_by=nuclide.positron_yield, meter_relative_sd=meter)


def how_sure(
    whole: Beds,
    activity: Volume,
    regions: Sequence[Region],
    scale: CrossCalibration,
    options: PetOptions,
    progress: Progress = silent,
    volumes_ml: Sequence[float] | None = None,
    *,
    simulated: bool = False,
) -> Certainty:
    """Total and regions with their uncertainty, and the noise of each voxel where resampled lists are asked for.

    Parameters
    ----------
    whole : Beds
    activity : Volume
        Their image, Bq/mL.
    regions : sequence of Region
        On the image's voxels.
    scale : CrossCalibration
    options : PetOptions
    volumes_ml : sequence of float, optional
        Of the regions before they were cut to the image; as they are by default.
    simulated : bool
        Whether nobody was in the scanner, and gantry and couch did not scatter.
    """
    full_ml = [region.volume_ml for region in regions] if volumes_ml is None else volumes_ml
    ml = activity.grid.voxel_volume_ml
    weights = [np.full(activity.grid.shape, ml)]
    for region in regions:
        covered = np.zeros(activity.grid.shape)
        covered[region.window] = region.coverage * ml
        weights.append(covered)
    asked = [whole.filtered(weight) for weight in weights]
    said = options.uncertainty
    sd: list[float] | None = None
    scatter: list[float] | None = None
    voxel_sd: Float32 | None = None
    if said.samples is not None:
        sampled, voxel_sd = _resampled(whole, asked, said.samples, options.iteration.seed, progress)
        sd = sampled if options.iteration.method == "bsrem" else None
    if options.iteration.method == "bsrem" and not said.skip_uncertainty:
        progress("pet: what the scatter makes of total and structures")
        scatter = _by_lists_without_scatter(whole, asked, simulated=simulated)
    elif sd is None and not said.skip_uncertainty:
        progress("pet: how sure total and structures are")
        sd, scatter = _by_influence(whole, asked, simulated=simulated)
    values = [float((activity.values * weight).sum(dtype=np.float64)) for weight in weights]
    counting: Sequence[float | None] = sd if sd is not None else [None] * len(values)
    by_scatter: Sequence[float | None] = scatter if scatter is not None else [None] * len(values)
    able = whole.counts_per_bq()
    contents = tuple(
        _content(region, full, weight / ml, _with_scale(value, (one, other), scale), (one, other), able)
        for region, full, weight, value, one, other in zip(
            regions, full_ml, weights[1:], values[1:], counting[1:], by_scatter[1:], strict=True
        )
    )
    total = _with_scale(values[0], (counting[0], by_scatter[0]), scale)
    return Certainty(total, counting[0], by_scatter[0], contents, voxel_sd)


def _with_scale(value: float, own: tuple[float | None, float | None], scale: CrossCalibration) -> Estimate:
    """A value with the uncertainty of counting, of scatter where it is known, and of the scale."""
    common, of_its_own = scale.relative_sd, _both(*own)
    if of_its_own is None or common is None:
        return Estimate(value, None)
    return Estimate(value, math.hypot(of_its_own, common * value))


def _both(counting: float | None, scatter: float | None) -> float | None:
    """Counting and scatter, where scatter is known; None where counting is not."""
    return None if counting is None else math.hypot(counting, scatter or 0.0)


def _content(
    region: Region,
    full_ml: float,
    covered: FloatArray,
    whole: Estimate,
    own: tuple[float | None, float | None],
    able: FloatArray,
) -> RegionActivity:
    volume_ml, (counting, scatter), of_its_own = region.volume_ml, own, _both(*own)
    share = volume_ml / full_ml if full_ml else 0.0
    if not share:
        return RegionActivity(region.name, 0.0, 0.0, None, None, None, None, None)
    counts = float((able * covered).sum() / covered.sum()) if covered.any() else 0.0
    limits = None if not of_its_own or not counts else detectable(of_its_own, counts)
    return RegionActivity(
        name=region.name,
        volume_ml=volume_ml,
        seen_share=share,
        activity_mbq=Estimate(whole.value / 1e6, None if whole.sd is None else whole.sd / 1e6),
        concentration_mean_bq_ml=whole.value / volume_ml,
        counting_sd_mbq=None if counting is None else counting / 1e6,
        decision_threshold_mbq=None if limits is None else limits.decision_threshold_bq / 1e6,
        detection_limit_mbq=None if limits is None else limits.detection_limit_bq / 1e6,
        scatter_sd_mbq=None if scatter is None else scatter / 1e6,
    )


def _by_influence(
    whole: Beds, asked: Sequence[NDArray[np.floating]], *, simulated: bool
) -> tuple[list[float], list[float] | None]:
    """Standard deviation of each sum over the image, from how much every event of every bed bears on it.

    First of counting; then of the scatter: what the scatter makes of a sum is that of the events, each by its chance to
    be scattered. A scatter that is a share too high takes off that share too much, in all beds alike; noise of what was
    followed differs from bed to bed, and is taken to be alike too.
    """
    variance, scatter, followed = np.zeros(len(asked)), np.zeros(len(asked)), math.inf
    for bed, share in zip(whole.beds, whole.shares(), strict=True):
        solved = bed.image.solved
        weights = [weight[bed.window] * share * solved.bq_ml for weight in asked]
        _, found = influence(solved.data, solved.projector, solved.settings, weights, within=solved.within)
        variance += np.square(found).sum(axis=1)
        if solved.scattered is not None:
            scatter += found @ solved.scattered
            followed = min(followed, solved.scatter_followed)
    counting = [float(sd) for sd in np.sqrt(variance)]
    if not math.isfinite(followed):
        return counting, None
    relative = _of_scatter(followed, simulated=simulated)
    return counting, [float(abs(each)) * relative for each in scatter]


def _of_scatter(followed: float, *, simulated: bool) -> float:
    """Relative standard uncertainty of the scatter, so many scattered coincidences followed."""
    return math.hypot(SCATTER_SD[simulated], math.sqrt(SCATTER_PARTS / max(followed, 1)))


def _by_lists_without_scatter(
    whole: Beds, asked: Sequence[NDArray[np.floating]], *, simulated: bool
) -> list[float] | None:
    """Standard deviation of each sum by that of the scatter, of a method whose events have no known influence.

    Each bed is reconstructed once more from a list in which every event counts less by its chance to be a scattered one
    times the relative standard uncertainty of the scatter: the difference is what `_by_influence` takes to first order.
    """
    change, known = np.zeros(len(asked)), False
    for bed, share in zip(whole.beds, whole.shares(), strict=True):
        solved = bed.image.solved
        if solved.scattered is None:
            continue
        known = True
        kept = 1 - _of_scatter(solved.scatter_followed, simulated=simulated) * solved.scattered
        found = reconstruct_list(
            solved.data, solved.projector, solved.settings, within=solved.within, weights=np.maximum(kept, 0)
        )
        moved = (bed.image.activity.values - found.astype(np.float64) * solved.bq_ml) * share
        change += [float((moved * weight[bed.window]).sum()) for weight in asked]
    return [float(abs(each)) for each in change] if known else None


def _resampled(
    whole: Beds, asked: Sequence[NDArray[np.floating]], samples: int, seed: int, progress: Progress
) -> tuple[list[float], Float32]:
    """Standard deviation of each sum and of each voxel, from resampled lists of every bed."""
    variance, voxels = np.zeros(len(asked)), np.zeros(whole.grid.shape)
    for number, (bed, share) in enumerate(zip(whole.beds, whole.shares(), strict=True)):
        solved = bed.image.solved
        progress(f"pet: {samples} resampled lists of bed {number + 1}")
        weights = [weight[bed.window] * share * solved.bq_ml for weight in asked]
        found = bootstrapped(
            solved.data, solved.projector, solved.settings, weights, samples=samples, within=solved.within,
            seed=seed + number, made=_laid(whole, bed.window, share * solved.bq_ml),
        )  # fmt: skip
        variance += np.square(found.region_sd)
        voxels += np.square(found.voxel_sd)
    return [float(sd) for sd in np.sqrt(variance)], np.sqrt(voxels).astype(np.float32)


def _laid(whole: Beds, window: Window, share: FloatArray) -> Callable[[Float32], NDArray[np.floating]]:
    """What a bed's image adds to the whole's, filtered as that is."""

    def made(image: Float32) -> NDArray[np.floating]:
        total = np.zeros(whole.grid.shape)
        total[window] = image * share
        return whole.filtered(total)

    return made
