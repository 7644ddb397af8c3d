"""From the raw data of all beds to one image in becquerels per millilitre at the start of the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume, decay_factor
from hepatica.core.constants import FWHM_PER_SD
from hepatica.core.progress import Progress, silent
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.pet.acquisition.options import PetOptions
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.efficiency import Efficiency
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.list_mode import ListIterations
from hepatica.imaging.pet.reconstruction import PetModel, reconstruct_frame
from hepatica.imaging.pet.run import Run, prefixed
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.spect.montecarlo.patient import BODY_DENSITY_G_ML, Patient, patient_from_density
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.media import density_from_hu

Float32 = NDArray[np.float32]

MARGIN_MM = 8.0
"""Of voxels around the body."""
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
    """

    bed_mm: float
    start_s: float
    duration_s: float
    prompts: int
    randoms: float
    scatter: float
    live_share: float
    sensitivity_sd: float


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
    """

    activity: Volume
    sensitivity: Float32
    beds: tuple[BedFacts, ...]


def reconstruct_beds(
    raw: PetRawData, hu: Volume, nuclide: Nuclide, options: PetOptions, progress: Progress = silent
) -> WholePet:
    """Image of a scan: each bed for itself, then the mean of what several saw, weighted by how well they did.

    Parameters
    ----------
    raw : PetRawData
    hu : Volume
        CT in the same frame of reference.
    nuclide : Nuclide
    options : PetOptions

    Raises
    ------
    GeometryError
        If the CT does not cover what the scanner saw.
    InputError
        If there are too few coincidences, or a gate is asked for that there is not.
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
    model, settings = pet_model(options), list_iterations(options)
    efficiency = pet_efficiency(raw.scanner, options)
    total, weight = np.zeros(grid.shape), np.zeros(grid.shape)
    facts = []
    for number, bed in enumerate(raw.beds):
        window = _seen(grid, raw.scanner, bed.bed_mm)
        frame, kept = frame_of(bed, options.image.gate)
        told = f"bed {number + 1} of {len(raw.beds)}: "
        run = Run(seed=options.iteration.seed + number, progress=prefixed(progress, told))
        found = reconstruct_frame(
            frame, patient, nuclide, grid.crop(window), settings, model=model, efficiency=efficiency, run=run
        )
        back = 1 / (kept * decay_factor(bed.start_s, nuclide.half_life_s))
        seen = found.sensitivity.image.astype(np.float64) * (bed.duration_s * kept)
        total[window] += found.activity.values * (seen * back)
        weight[window] += seen
        facts.append(
            BedFacts(
                bed.bed_mm, bed.start_s, bed.duration_s, found.prompts, found.randoms, found.scatter,
                bed.live_fraction, found.sensitivity.relative_sd,
            )
        )  # fmt: skip
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    values = _filtered(mean, options.iteration.filter_mm, grid).astype(np.float32)
    placed = _shifted(grid, (-raw.axis_mm[0], -raw.axis_mm[1])).with_frame_of_reference(hu.grid.frame_of_reference)
    activity = Volume(placed, values, Kind.ACTIVITY_CONCENTRATION, raw.start, f"{nuclide.name} PET")
    whole_s = sum(bed.duration_s for bed in raw.beds)
    return WholePet(activity, (weight / whole_s).astype(np.float32), tuple(facts))


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


def list_iterations(options: PetOptions) -> ListIterations:
    """The iterations, as the reconstruction takes them."""
    said = options.iteration
    return ListIterations(said.iterations, said.subsets, "negml" if said.below_zero else "osem")


def pet_efficiency(scanner: Scanner, options: PetOptions) -> Efficiency:
    """Efficiency of the scanner as modelled, times what was measured."""
    of = scanner.untimed if options.corrections.skip_time_of_flight else scanner
    return replace(Efficiency.modelled(of), scale=options.corrections.sensitivity_scale)


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
    axis = int(np.argmax(np.abs(density.grid.affine[2, :3])))
    values = np.moveaxis(density.values, axis, 2) > BODY_DENSITY_G_ML
    ends = [density.grid.corners_mm()[:, 2].min(), density.grid.corners_mm()[:, 2].max()]
    rising = density.grid.affine[2, axis] > 0
    planes = (values[..., 0], values[..., -1]) if rising else (values[..., -1], values[..., 0])
    area = float(np.prod([s for a, s in enumerate(density.grid.spacing_mm) if a != axis]))
    for plane, end, seen, side in zip(planes, ends, extent_mm, ("feet", "head"), strict=True):
        beyond = (end - seen) if side == "feet" else (seen - end)
        if beyond > density.grid.spacing_mm[axis] and float(plane.sum()) * area / 1000 > CUT_ML_PER_MM:
            raise GeometryError(
                f"the scanner saw {beyond:.0f} mm beyond the end of the CT towards the {side}, and the body goes on "
                "there: what absorbs those photons is not known",
                remedy="give a CT that covers the field of view, or state `body_ends_with_ct`",
            )


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
    low[:2], high[:2] = np.maximum(low[:2], -reach), np.minimum(high[:2], reach)
    shape = [max(int(np.ceil((b - a) / s)), 1) for a, b, s in zip(low, high, voxel_mm, strict=True)]
    middle = (low + high) / 2
    origin = [m - (n - 1) / 2 * s for m, n, s in zip(middle, shape, voxel_mm, strict=True)]
    return Grid.axial(shape, spacing_mm=voxel_mm, origin_mm=origin, frame_of_reference=patient.grid.frame_of_reference)


def _seen(grid: Grid, scanner: Scanner, bed_mm: float) -> tuple[slice, slice, slice]:
    """Window of the voxels whose middles lie within the scanner."""
    z = grid.origin_mm[2] + np.arange(grid.shape[2]) * grid.spacing_mm[2]
    at = np.flatnonzero(np.abs(z - bed_mm) < scanner.length_mm / 2)
    if not at.size:
        raise GeometryError(f"the bed at {bed_mm:.0f} mm sees nothing of the body on the CT")
    return slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(int(at[0]), int(at[-1]) + 1)


def _shifted(grid: Grid, by_mm: tuple[float, float]) -> Grid:
    affine = np.array(grid.affine)
    affine[:2, 3] -= by_mm
    return Grid(grid.shape, affine, grid.frame_of_reference)


def _filtered(values: NDArray[np.floating], filter_mm: float, grid: Grid) -> NDArray[np.floating]:
    if not filter_mm:
        return values
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, [filter_mm / FWHM_PER_SD / s for s in grid.spacing_mm], mode="constant"))
