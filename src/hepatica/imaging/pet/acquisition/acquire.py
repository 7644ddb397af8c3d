"""A scan of several beds by Monte Carlo: decay within and between them, breathing, dead time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume, decay_factor
from hepatica.core.decay import acquisition_decay_factor
from hepatica.core.progress import Progress, silent
from hepatica.errors import GeometryError, TimeError
from hepatica.imaging.pet.acquisition.dead_time import live_fraction
from hepatica.imaging.pet.acquisition.options import PetScanOptions
from hepatica.imaging.pet.acquisition.raw import Bed, Efficiencies, PetRawData
from hepatica.imaging.pet.followed import CoincidenceSimulator, Followed, positrons_per_decay
from hepatica.imaging.pet.frame import ELECTRONS, mixed
from hepatica.imaging.pet.randoms import drawn_randoms, own_singles_cps
from hepatica.imaging.pet.run import Run, prefixed
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.spect.montecarlo.patient import Patient, patient_from_ct
from hepatica.nuclides import Nuclide

FloatArray = NDArray[np.float64]

BEYOND_CT = 1e-3
"""Share of the activity that may lie outside the CT: what a border voxel of another grid hangs over."""
SEEDS_APART = 16
"""Between the seeds of two runs; a run takes a few from its own on."""


@dataclass(frozen=True, slots=True)
class Singles:
    """Where the singles of a bed come from, all crystals together, per second."""

    annihilation_cps: float
    bremsstrahlung_cps: float
    lutetium_cps: float

    @property
    def total_cps(self) -> float:
        """All of them."""
        return self.annihilation_cps + self.bremsstrahlung_cps + self.lutetium_cps


def acquire(
    activity: Volume,
    hu: Volume,
    *,
    scanner: Scanner,
    nuclide: Nuclide,
    scan: PetScanOptions,
    progress: Progress = silent,
) -> tuple[PetRawData, tuple[Singles, ...]]:
    """Raw data of a scan that begins at the instant of the activity, and the singles of each bed.

    Parameters
    ----------
    activity : Volume
        Kind.ACTIVITY with its instant.
    hu : Volume
        CT in the same frame of reference.
    scanner, nuclide, scan
        What is scanned how.

    Raises
    ------
    PhysicsError
        If the nuclide emits no positrons.
    TimeError
        If the activity refers to no instant.
    GeometryError
        If activity lies outside the CT, or frames of reference differ.
    """
    positrons_per_decay(nuclide)
    activity.require_kind(Kind.ACTIVITY)
    activity.grid.require_shared_frame(hu.grid, "activity and CT")
    start = activity.time
    if start is None:
        raise TimeError("the activity refers to no instant: a scan begins at one", remedy="state `activity_at`")
    require_covered(activity, hu.grid)
    patient = patient_from_ct(hu, voxel_mm=scan.matter_mm)
    axis = scan.axis_mm or middle_of(patient.grid)
    middles = bed_middles_mm(scanner, scan, activity)
    pattern = drawn_efficiencies(scanner, scan)
    beds, singles = [], []
    for number, bed_mm in enumerate(middles):
        told = f"bed {number + 1} of {len(middles)}: "
        bed = _BedJob(scanner, patient, nuclide, scan, axis, number, prefixed(progress, told), pattern)
        found, counted = bed.acquired(activity, bed_mm, number * scan.bed_duration_s)
        beds.append(found)
        singles.append(counted)
    raw = PetRawData(
        scanner, tuple(beds), nuclide.name, start, axis, hu.grid.frame_of_reference or activity.grid.frame_of_reference,
        simulated=True, crystal_efficiency=pattern,
    )  # fmt: skip
    return raw.hashed(), tuple(singles)


def drawn_efficiencies(scanner: Scanner, scan: PetScanOptions) -> Efficiencies | None:
    """Efficiency of each crystal over the mean, normal within three standard deviations; None where all are alike."""
    if not scan.crystal_spread:
        return None
    drawn = np.random.default_rng([scan.seed, 9]).standard_normal(scanner.crystals)
    found = 1 + scan.crystal_spread * np.clip(drawn, -3, 3)
    return np.asarray(found / found.mean(), np.float32)


def require_covered(activity: Volume, grid: Grid) -> None:
    """GeometryError if activity lies outside a grid: nobody knows what its photons meet there."""
    total = float(activity.values.sum(dtype=np.float64))
    voxels = np.argwhere(activity.values > 0)
    index = grid.to_index(activity.grid.to_mm(voxels))
    outside = ((index < -0.5) | (index > np.asarray(grid.shape) - 0.5)).any(axis=1)
    share = float(activity.values[tuple(voxels[outside].T)].sum(dtype=np.float64)) / total if total else 0.0
    if share > BEYOND_CT:
        raise GeometryError(
            f"{100 * share:.3g} % of the activity lies outside the CT: what absorbs its photons is not known",
            remedy="give a CT that covers the activity, or cut the activity to it",
        )


def middle_of(grid: Grid) -> tuple[float, float]:
    """LPS x and y of the middle of a grid."""
    corners = grid.corners_mm()
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    return float(middle[0]), float(middle[1])


def bed_middles_mm(scanner: Scanner, scan: PetScanOptions, activity: Volume) -> tuple[float, ...]:
    """LPS z of the scanner's middle at each bed, the one nearest to the head first."""
    centre = scan.centre_mm
    if centre is None:
        weight = activity.values.astype(np.float64)
        along = [weight.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
        index = [float((np.arange(len(row)) * row).sum() / row.sum()) for row in along]
        centre = float(activity.grid.to_mm(index)[2])
    step = scanner.length_mm * (1 - scan.bed_overlap)
    places = ((scan.beds - 1) / 2 - np.arange(scan.beds)) * step
    return tuple(float(centre + place) for place in places)


def displacements_mm(scan: PetScanOptions) -> tuple[float, ...]:
    """How far the activity lies towards the head in each phase of breathing, each as long as the others.

    ``-A cos^4(pi t / T)``, t = 0 at the end of inspiration (Lujan et al., Med Phys 1999;26:715), at the middles of
    equal parts of the half period from there to the end of expiration.
    """
    if scan.displacements_mm:
        return scan.displacements_mm
    if not scan.breathing_mm:
        return (0.0,)
    phase = (np.arange(scan.gates) + 0.5) / scan.gates / 2
    return tuple(float(-scan.breathing_mm * np.cos(np.pi * t) ** 4) for t in phase)


class _BedJob:
    """One bed: what is followed, thinned and mixed."""

    def __init__(
        self,
        scanner: Scanner,
        patient: Patient,
        nuclide: Nuclide,
        scan: PetScanOptions,
        axis_mm: tuple[float, float],
        number: int,
        progress: Progress,
        pattern: Efficiencies | None = None,
    ) -> None:
        self.scanner, self.patient, self.nuclide, self.scan = scanner, patient, nuclide, scan
        self.axis_mm, self.progress = axis_mm, progress
        self.pattern = np.ones(scanner.crystals) if pattern is None else pattern.astype(np.float64)
        self.phases = displacements_mm(scan)
        self.seed = (scan.seed * 1000 + number) * SEEDS_APART * (len(self.phases) + 1)

    def acquired(self, activity: Volume, bed_mm: float, start_s: float) -> tuple[Bed, Singles]:
        """The bed that begins `start_s` after the instant of the activity."""
        duration, half_life = self.scan.bed_duration_s, self.nuclide.half_life_s
        seconds = duration * decay_factor(start_s, half_life) * acquisition_decay_factor(duration, half_life)
        # crystals better than the mean: so many more are followed, and each is kept by its two crystals
        best = float(self.pattern.max()) ** 2
        share = np.float32(seconds / len(self.phases) * best)
        decays = activity.with_values(activity.values * share, Kind.DECAYS, name="decays")
        parts = [self._simulator(bed_mm, n).frame(_moved(decays, mm), duration) for n, mm in enumerate(self.phases)]
        self.progress("bremsstrahlung")
        whole = decays.with_values(decays.values * np.float32(len(self.phases) / best))
        slowed = self._simulator(bed_mm, len(self.phases)).bremsstrahlung_cps(whole, duration, electrons=ELECTRONS)
        slowed = slowed * self.pattern
        annihilation = np.sum([part.singles_cps for part in parts], axis=0) * self.pattern / best
        own = np.full_like(annihilation, own_singles_cps(self.scanner)) * self.pattern
        singles = annihilation + slowed + own
        live = 1.0 if self.scan.no_dead_time else live_fraction(self.scanner, singles)
        counted = singles * np.sqrt(live)
        randoms = drawn_randoms(self.scanner, counted, duration, bed_mm=bed_mm, seed=self.seed)
        rng = np.random.default_rng([self.seed, 3])
        frame, phase = mixed(
            [_thinned(part, live * self._kept(part) / best, rng) for part in parts], randoms, singles, seed=self.seed
        )
        gate = phase if len(parts) > 1 else None
        told = Singles(float(annihilation.sum()), float(slowed.sum()), float(own.sum()))
        return Bed(frame, start_s, live, gate), told

    def _kept(self, part: Followed) -> FloatArray:
        """What both crystals of each coincidence count of what the mean crystals would."""
        return np.asarray(self.pattern[part.events.first] * self.pattern[part.events.second])

    def _simulator(self, bed_mm: float, phase: int) -> CoincidenceSimulator:
        run = Run(seed=self.seed + (phase + 1) * SEEDS_APART, progress=self.progress)
        return CoincidenceSimulator(
            self.scanner, self.patient, self.nuclide, bed_mm=bed_mm, axis_mm=self.axis_mm, run=run
        )


def _moved(decays: Volume, towards_head_mm: float) -> Volume:
    """The same decays elsewhere: the voxels move, nothing is resampled."""
    if not towards_head_mm:
        return decays
    affine = np.array(decays.grid.affine)
    affine[2, 3] += towards_head_mm
    grid = Grid(decays.grid.shape, affine, decays.grid.frame_of_reference)
    return replace(decays, grid=grid)


def _thinned(part: Followed, live: FloatArray, rng: np.random.Generator) -> Followed:
    if (live == 1).all():
        return part
    kept = rng.random(len(part.events)) < live
    return Followed(part.events.taken(kept), part.scattered[kept], part.singles_cps)
