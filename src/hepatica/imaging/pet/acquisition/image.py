"""From the raw data of all beds to one image in becquerels per millilitre at the start of the scan."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Estimate, Grid, Kind, Region, Volume, decay_factor
from hepatica.core.certainty import CountedRegion, ImageCertainty
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample_region
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.pet.acquisition.begun import BEYOND_FIELD, BegunBed, surroundings, unknown_beyond, with_beyond
from hepatica.imaging.pet.acquisition.certainty import Beds, RegionActivity, SolvedBed, how_sure, scale_of
from hepatica.imaging.pet.acquisition.dead_time import DEAD_TIME, with_dead_time
from hepatica.imaging.pet.acquisition.net_counts import NetCounts, net_counts
from hepatica.imaging.pet.acquisition.options import PetIterationOptions, PetOptions
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.becquerels.cross_calibration import CrossCalibration
from hepatica.imaging.pet.beyond import Organ
from hepatica.imaging.pet.efficiency import Efficiency
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.list_mode import ListIterations, Method, subsets_allowed
from hepatica.imaging.pet.randoms import number_of_randoms
from hepatica.imaging.pet.reconstruct.stopping import LEAST_VOXELS
from hepatica.imaging.pet.reconstruction import FrameJob, NoiseTarget, PetImage, PetModel, body_on
from hepatica.imaging.pet.run import Run, prefixed
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.spect.montecarlo.patient import BODY_DENSITY_G_ML, Patient, patient_from_density
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.media import density_from_hu

Float32 = NDArray[np.float32]

UPDATES: Mapping[Method, int] = {"wls": 8, "osem": 36, "aml": 36, "bsrem": 96}
"""Iterations times subsets with which the methods were studied (docs/pet-study.md)."""
PRIOR_STRENGTH, PRIOR_EDGE = 0.05, 2.0
INSIDE = 0.99
"""Covered share from which on a voxel lies inside a structure."""
MARGIN_MM = 8.0
"""Of voxels around the body."""
IN_FIELD = 0.6
"""Of the body on the CT that lies within the field at least: wide patients and arms leave it by less."""
CUT_ML_PER_MM = 2.0
"""Of a body per length: more of it in the last plane of a CT is a patient who goes on, a fifth of a forearm is less."""


@dataclass(frozen=True, slots=True)
class BedFacts:
    """What one bed held, and what was found in it.

    Attributes
    ----------
    bed_mm : float
        LPS z of the scanner's middle.
    start_s, duration_s : float
        When it began after the start of the scan, and for how long.
    prompts : int
        Coincidences counted.
    randoms, scatter : float
        Expected among them.
    live_share : float
        Share that dead time left.
    sensitivity_sd : float
        Relative standard deviation of a voxel's sensitivity, which is sampled.
    iterations, subsets : int
        Of its reconstruction.
    voxel_noise : tuple of float
        Standard deviation of a voxel over the mean after each iteration, where a target was stated.
    beyond_share : float
        Of the counts that are not random, scatter of activity that is taken to go on beyond all beds.
    beyond_relative_sd : float
        Of that activity.
    beyond_in_organ : bool
        Whether most of it lies where the CT shows the organ go on.
    """

    bed_mm: float
    start_s: float
    duration_s: float
    prompts: int
    randoms: float
    scatter: float
    live_share: float
    sensitivity_sd: float
    iterations: int
    subsets: int
    voxel_noise: tuple[float, ...] = ()
    beyond_share: float = 0.0
    beyond_relative_sd: float = 0.0
    beyond_in_organ: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class WholePet:
    """Image of all beds.

    Attributes
    ----------
    activity : Volume
        Kind.ACTIVITY_CONCENTRATION at the start of the scan.
    sensitivity : ndarray of float32, shape of the grid
        Counts per annihilation of all beds, weighted by their time.
    beds : tuple of BedFacts
    scale : CrossCalibration
        Factor by which the becquerels were multiplied, and how sure their scale is.
    total_bq : Estimate
        In the image, with its standard uncertainty.
    counting_sd_bq, scatter_sd_bq : float or None
        Of the total from counting alone, and from the scatter that is taken off.
    net_counts : NetCounts
        What the lists counted, against what the image holds.
    contents : tuple of RegionActivity
        Of the regions asked for.
    voxel_sd : ndarray of float32, shape of the grid, or None
        Standard deviation of each voxel from resampled lists.
    unknown_beyond : tuple of str
        Sides, feet or head, at which activity touches the end of what was seen and no CT shows what is beyond.
    seen_z_mm : tuple of float or None
        Ends of the planes that are seen well, LPS z; structures are told of what lies between.
    """

    activity: Volume
    sensitivity: Float32
    beds: tuple[BedFacts, ...]
    scale: CrossCalibration
    total_bq: Estimate
    counting_sd_bq: float | None
    scatter_sd_bq: float | None
    net_counts: NetCounts
    contents: tuple[RegionActivity, ...] = ()
    voxel_sd: Float32 | None = None
    unknown_beyond: tuple[str, ...] = ()
    seen_z_mm: tuple[float, float] | None = None

    @property
    def certainty(self) -> ImageCertainty:
        """What is known of its becquerels, as the image carries it to a dose."""
        total, counted = self.total_bq.value, self.net_counts
        regions = tuple(
            CountedRegion(one.volume_ml, 1e6 * held.value / total, own / abs(held.value))
            for one in self.contents
            if (held := one.activity_mbq) is not None and held.value and (own := one.own_sd_mbq) is not None
        )
        known = counted.predicted_mbq > 0 and counted.image_mbq > 0
        ratio = counted.image_mbq / counted.predicted_mbq if known else None
        spread = None if ratio is None else counted.difference_sd_mbq / counted.predicted_mbq
        own_scan = (part.relative_sd or 0.0 for part in self.scale.parts if part.name in (BEYOND_FIELD, DEAD_TIME))
        of_scan = math.hypot(*own_scan)
        if not total > 0:
            return ImageCertainty(self.scale.relative_sd, scan_relative_sd=of_scan)
        counting = self.counting_sd_bq
        own = None if counting is None else math.hypot(counting, self.scatter_sd_bq or 0.0) / total
        return ImageCertainty(self.scale.relative_sd, own, ratio, spread, regions, of_scan)


def reconstruct_beds(
    raw: PetRawData,
    hu: Volume,
    nuclide: Nuclide,
    options: PetOptions,
    progress: Progress = silent,
    regions: Sequence[Region] = (),
    organ: Organ | None = None,
) -> WholePet:
    """Image of a scan: each bed for itself, then the mean of what several saw, weighted by how well they did.

    Parameters
    ----------
    raw : PetRawData
    hu : Volume
        CT in the same frame of reference.
    nuclide : Nuclide
    options : PetOptions
    regions : sequence of Region
        Whose activity is asked for, on any voxels in the frame of reference of `hu`.
    organ : callable, optional
        The organ that took the activity up, on all of `hu`, or None; asked where activity touches an end of the field.

    Raises
    ------
    GeometryError
        If the CT does not cover what the scanner saw.
    InputError
        If there are too few coincidences, a gate is asked for that there is not, or noise is to be measured in a
        structure that is not given or not seen.
    PhysicsError
        If the nuclide emits no positrons.
    """
    density = density_from_hu(hu)
    if not options.image.body_ends_with_ct:
        require_whole_body(density, raw.extent_mm)
    # the scanner's axis is x = y = 0 in what follows
    here = patient_from_density(density, voxel_mm=options.image.matter_mm)
    patient = replace(here, grid=_shifted(here.grid, raw.axis_mm), covered=_shifted(here.covered, raw.axis_mm))
    grid = _image_grid(patient, raw, options.image.voxel_mm)
    frame_uid = hu.grid.frame_of_reference
    placed = _shifted(grid, (-raw.axis_mm[0], -raw.axis_mm[1])).with_frame_of_reference(frame_uid)
    here_regions = [resample_region(region, placed) for region in regions]
    noisy = _noisy(patient, grid, here_regions, options.iteration)
    machine = raw.scanner.untimed if options.corrections.skip_time_of_flight else raw.scanner
    efficiency = Efficiency.modelled(machine)
    if raw.crystal_efficiency is not None:
        efficiency = replace(efficiency, crystal=raw.crystal_efficiency)
    scale = scale_of(nuclide, options.uncertainty, simulated=raw.simulated)
    axial_organ = None if organ is None else functools.cache(lambda: _moved(organ(), raw.axis_mm))
    begun: list[BegunBed] = []
    for number, bed in enumerate(raw.beds):
        window = _seen(grid, raw.scanner, bed.bed_mm)
        frame, kept = frame_of(bed, options.image.gate)
        if not options.corrections.skip_randoms and not frame.singles_cps.any():
            raise InputError(
                f"bed {number + 1}: the singles of all crystals are zero, so that its randoms would go uncorrected",
                remedy="export the singles (or the delayed coincidences) with the list, state the `randoms` of a "
                "sinogram, or `skip_randoms`",
            )
        told = prefixed(progress, f"bed {number + 1} of {len(raw.beds)}: ")
        job = FrameJob(
            frame, patient, nuclide, grid.crop(window),
            replace(pet_model(options), noise=_target(noisy, window, options.iteration), organ=axial_organ), efficiency,
            Run(seed=options.iteration.seed + number, progress=told),
        )  # fmt: skip
        back = scale.factor / (kept * decay_factor(bed.start_s, nuclide.half_life_s))
        begun.append(BegunBed(job, window, back, bed.duration_s * kept))
    solved: list[SolvedBed] = []
    for one, around in zip(begun, surroundings(begun, grid), strict=True):
        found = one.job.image(list_iterations(options.iteration, one.job.frame), around)
        solved.append(SolvedBed(found, one.window, one.back, one.seconds))
    facts = [_facts(bed, one.image) for bed, one in zip(raw.beds, solved, strict=True)]
    most = max(facts, key=lambda fact: fact.beyond_share * fact.beyond_relative_sd)
    scale = with_beyond(scale, most.beyond_share, most.beyond_relative_sd)
    scale = with_dead_time(scale, min(bed.live_fraction for bed in raw.beds), simulated=raw.simulated)
    if noisy is not None and not any(fact.voxel_noise for fact in facts):
        raise InputError("no bed sees enough of the structure in which noise is to be measured")
    whole = Beds(grid, tuple(solved), options.iteration.filter_mm)
    values = whole.image().astype(np.float32)
    activity = Volume(placed, values, Kind.ACTIVITY_CONCENTRATION, raw.start, f"{nuclide.name} PET")
    whole_s = sum(bed.duration_s for bed in raw.beds)
    planes = whole.seen_planes()
    here_regions = [_between(region, planes) for region in here_regions]
    sure = how_sure(
        whole, activity, here_regions, scale, options, progress, [region.volume_ml for region in regions],
        simulated=raw.simulated,
    )  # fmt: skip
    prompts, randoms, scatter = (sum(getattr(f, name) for f in facts) for name in ("prompts", "randoms", "scatter"))
    held = values * placed.voxel_volume_ml
    per_bq, look = whole.counts_per_bq(), whole.first_look()
    counted = net_counts(prompts, randoms, scatter, held, per_bq, look, sure.counting_sd_bq)
    return WholePet(
        activity, (whole.weight / whole_s).astype(np.float32), tuple(facts), scale, sure.total_bq, sure.counting_sd_bq,
        sure.scatter_sd_bq, counted, sure.contents, sure.voxel_sd,
        () if options.image.body_ends_with_ct else unknown_beyond(cut_ends(density, raw.extent_mm), whole),
        _ends_mm(placed, planes),
    )  # fmt: skip


def _between(region: Region, planes: slice) -> Region:
    """The part of a region that lies in planes of its grid."""
    x, y, z = region.window
    low = max(z.start, planes.start)
    high = max(min(z.stop, planes.stop), low)
    coverage = region.coverage[:, :, max(low - z.start, 0) : max(high - z.start, 0)]
    return replace(region, window=(x, y, slice(low, low + coverage.shape[2])), coverage=coverage)


def _ends_mm(grid: Grid, planes: slice) -> tuple[float, float]:
    low, step = grid.origin_mm[2], grid.spacing_mm[2]
    return low + (planes.start - 0.5) * step, low + (planes.stop - 0.5) * step


def _facts(bed: Bed, found: PetImage) -> BedFacts:
    settings, stopping = found.solved.settings, found.stopping
    return BedFacts(
        bed.bed_mm, bed.start_s, bed.duration_s, found.prompts, found.randoms, found.scatter, bed.live_fraction,
        found.sensitivity.relative_sd, settings.iterations, settings.subsets,
        () if stopping is None else stopping.noise, found.beyond_share, found.beyond_relative_sd, found.beyond_in_organ,
    )  # fmt: skip


def _noisy(
    patient: Patient, grid: Grid, regions: Sequence[Region], said: PetIterationOptions
) -> NDArray[np.bool_] | None:
    """Voxels in which noise is measured: of a structure, or of the body; None where nobody asked."""
    if said.noise_target is None:
        return None
    if said.noise_structure is None:
        return body_on(patient, grid)
    found = next((region for region in regions if region.name == said.noise_structure), None)
    if found is None:
        known = ", ".join(region.name for region in regions) or "none"
        raise InputError(f"noise is to be measured in {said.noise_structure!r}; the structures given are: {known}")
    inside = np.zeros(grid.shape, np.bool_)
    inside[found.window] = found.coverage > INSIDE
    return inside


def _target(
    noisy: NDArray[np.bool_] | None, window: tuple[slice, slice, slice], said: PetIterationOptions
) -> NoiseTarget | None:
    """Where and how much noise a bed may have; None where it sees too little of the place."""
    if noisy is None or said.noise_target is None or int(noisy[window].sum()) < LEAST_VOXELS:
        return None
    return NoiseTarget(noisy[window], said.noise_target)


def pet_model(options: PetOptions) -> PetModel:
    """What is taken into account, as the reconstruction takes it."""
    said = options.corrections
    return PetModel(
        point_spread_mm=options.iteration.point_spread_mm,
        time_of_flight=not said.skip_time_of_flight,
        attenuation=not said.skip_attenuation,
        scatter=not said.skip_scatter,
        randoms=not said.skip_randoms,
        within_body=not said.activity_anywhere,
        scatter_positrons=said.scatter_positrons,
    )


def list_iterations(said: PetIterationOptions, frame: Frame) -> ListIterations:
    """The iterations as the reconstruction takes them: no more subsets than the frame has counts for.

    Where iterations are not stated there are as many as make the updates that the method needs.
    """
    prompts = frame.prompts
    randoms = number_of_randoms(prompts.scanner, frame.singles_cps, prompts.duration_s)
    subsets = 1 if said.method == "wls" else subsets_allowed(len(prompts), randoms, said.subsets)
    iterations = said.iterations or math.ceil(UPDATES[said.method] / subsets)
    strength, edge = said.prior_strength, said.prior_edge
    if said.method == "bsrem":
        strength, edge = PRIOR_STRENGTH if strength is None else strength, PRIOR_EDGE if edge is None else edge
    return ListIterations(iterations, subsets, said.method, strength or 0.0, PRIOR_EDGE if edge is None else edge)


def frame_of(bed: Bed, gate: int | None) -> tuple[Frame, float]:
    """Frame of a bed, or of one phase of breathing, and the share of the true coincidences that it holds.

    Raises
    ------
    InputError
        If there is no such phase.
    """
    if gate is None:
        return bed.counted, bed.live_fraction
    if bed.gate is None or not (bed.gate == gate).any():
        raise InputError(
            f"the raw data hold no phase {gate} of breathing", remedy="leave `gate` out, or take another phase"
        )
    number = int(bed.gate.max()) + 1
    which = bed.gate == gate
    kept = bed.live_fraction / number
    kinds = None if bed.frame.kinds is None else bed.frame.kinds[which]
    singles = bed.frame.singles_cps * np.sqrt(kept)
    return Frame(bed.frame.prompts.taken(which), singles, kinds), kept


def require_whole_body(density: Volume, extent_mm: tuple[float, float]) -> None:
    """GeometryError where the scanner saw beyond a CT at whose end the body goes on."""
    for side, beyond in cut_ends(density, extent_mm).items():
        if beyond > _step_mm(density.grid):
            raise GeometryError(
                f"the scanner saw {beyond:.0f} mm beyond the end of the CT towards the {side}, and the body goes on "
                "there: what absorbs those photons is not known",
                remedy="give a CT that covers the field of view, or state `body_ends_with_ct`",
            )


def _step_mm(grid: Grid) -> float:
    return grid.spacing_mm[int(np.argmax(np.abs(grid.affine[2, :3])))]


def cut_ends(density: Volume, extent_mm: tuple[float, float]) -> dict[str, float]:
    """Ends of a CT at which the body goes on, feet and head, and by how many mm the scanner saw beyond (or less)."""
    axis = int(np.argmax(np.abs(density.grid.affine[2, :3])))
    values = np.moveaxis(density.values, axis, 2) > BODY_DENSITY_G_ML
    ends = [density.grid.corners_mm()[:, 2].min(), density.grid.corners_mm()[:, 2].max()]
    rising = density.grid.affine[2, axis] > 0
    planes = (values[..., 0], values[..., -1]) if rising else (values[..., -1], values[..., 0])
    area = float(np.prod([s for a, s in enumerate(density.grid.spacing_mm) if a != axis]))
    found = {}
    for plane, end, seen, side in zip(planes, ends, extent_mm, ("feet", "head"), strict=True):
        if float(plane.sum()) * area / 1000 > CUT_ML_PER_MM:
            found[side] = float(end - seen if side == "feet" else seen - end)
    return found


def _image_grid(patient: Patient, raw: PetRawData, voxel_mm: tuple[float, float, float]) -> Grid:
    """Voxels around the body, as long as the beds; their middles mirror each other about the scanner's axis."""
    corners = patient.grid.corners_mm()
    low, high = corners.min(axis=0) - MARGIN_MM, corners.max(axis=0) + MARGIN_MM
    low[2], high[2] = max(low[2], raw.extent_mm[0]), min(high[2], raw.extent_mm[1])
    if low[2] >= high[2]:
        raise GeometryError(
            f"the scanner saw LPS z of {raw.extent_mm[0]:.0f} to {raw.extent_mm[1]:.0f} mm, where the CT shows nobody"
        )
    reach = raw.scanner.field_mm / 2
    require_in_field(patient, raw.extent_mm, reach)
    low[:2], high[:2] = np.maximum(low[:2], -reach), np.minimum(high[:2], reach)
    shape = [max(int(np.ceil((b - a) / s)), 1) for a, b, s in zip(low, high, voxel_mm, strict=True)]
    middle = (low + high) / 2
    origin = [m - (n - 1) / 2 * s for m, n, s in zip(middle, shape, voxel_mm, strict=True)]
    return Grid.axial(shape, spacing_mm=voxel_mm, origin_mm=origin, frame_of_reference=patient.grid.frame_of_reference)


def require_in_field(patient: Patient, extent_mm: tuple[float, float], radius_mm: float) -> None:
    """GeometryError where less of the body than `IN_FIELD` lies in the field, around x = y = 0."""
    grid = patient.grid
    x, y, z = (grid.origin_mm[a] + grid.spacing_mm[a] * np.arange(grid.shape[a]) for a in range(3))
    body = patient.phantom.density[..., (z > extent_mm[0]) & (z < extent_mm[1])] > BODY_DENSITY_G_ML
    if not body.any():
        return
    inside = np.hypot(x[:, None], y[None, :]) < radius_mm
    share = float(body[inside].sum()) / float(body.sum())
    if share < IN_FIELD:
        raise GeometryError(
            f"{100 * share:.0f} % of the body on the CT lies within the scanner's field of {2 * radius_mm:.0f} mm: "
            "body and field do not meet",
            remedy="check that the raw data's axis (`axis_mm`) and the CT are of one patient and in one frame of "
            "reference",
        )


def _seen(grid: Grid, scanner: Scanner, bed_mm: float) -> tuple[slice, slice, slice]:
    """Window of the voxels whose middles lie within the scanner."""
    z = grid.origin_mm[2] + np.arange(grid.shape[2]) * grid.spacing_mm[2]
    at = np.flatnonzero(np.abs(z - bed_mm) < scanner.length_mm / 2)
    if not at.size:
        raise GeometryError(f"the bed at {bed_mm:.0f} mm sees nothing of the body on the CT")
    return slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(int(at[0]), int(at[-1]) + 1)


def _moved(region: Region | None, by_mm: tuple[float, float]) -> Region | None:
    return None if region is None else replace(region, grid=_shifted(region.grid, by_mm))


def _shifted(grid: Grid, by_mm: tuple[float, float]) -> Grid:
    affine = np.array(grid.affine)
    affine[:2, 3] -= by_mm
    return Grid(grid.shape, affine, grid.frame_of_reference)
