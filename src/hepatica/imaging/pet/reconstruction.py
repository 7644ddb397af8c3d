"""From a frame of coincidences to becquerels per millilitre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.decay import acquisition_decay_factor
from hepatica.core.progress import Progress, silent
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, Sensitivity, sensitivity, survival
from hepatica.imaging.pet.followed import CoincidenceSimulator, positrons_per_decay
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list
from hepatica.imaging.pet.randoms import expected_randoms, number_of_randoms
from hepatica.imaging.pet.scanner import ANNIHILATION_KEV
from hepatica.imaging.pet.scatter import expected_scatter
from hepatica.imaging.spect.montecarlo.patient import Patient
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.photons import coefficients

Float32 = NDArray[np.float32]

SCATTER_POSITRONS = 2_000_000
"""Followed for an estimate of the scatter: some ten thousand scattered coincidences, of which no fine detail is asked."""
FIRST_LOOK = ListIterations(iterations=1, subsets=8)
"""The image that is believed for the scatter; scatter is a few per cent of what is counted, and smooth."""
SCATTER_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class PetModel:
    """What is taken into account.

    Attributes
    ----------
    point_spread_mm : float
        FWHM of the image-space point spread, 0 for none.
    time_of_flight : bool
        Whether it is used where the scanner has it.
    attenuation, scatter, randoms : bool
        Whether they are corrected for. Without one the image is wrong on purpose, to show what it does.
    """

    point_spread_mm: float = 4.5
    time_of_flight: bool = True
    attenuation: bool = True
    scatter: bool = True
    randoms: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class PetImage:
    """What came out.

    Attributes
    ----------
    activity : Volume
        Kind.ACTIVITY_CONCENTRATION at the start of the frame.
    sensitivity : Sensitivity
        Counted annihilations per annihilation of each voxel.
    prompts, randoms, scatter : float
        Coincidences of the frame: counted, and expected of both kinds.
    """

    activity: Volume
    sensitivity: Sensitivity
    prompts: int
    randoms: float
    scatter: float


def reconstruct_frame(
    frame: Frame,
    patient: Patient,
    nuclide: Nuclide,
    grid: Grid,
    settings: ListIterations,
    *,
    model: PetModel | None = None,
    efficiency: Efficiency | None = None,
    seed: int = 1,
    threads: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> PetImage:
    """Image of a frame.

    Parameters
    ----------
    frame : Frame
    patient : Patient
        Attenuation and scatter, from the CT.
    nuclide : Nuclide
    grid : Grid
        Voxels of the image.
    settings : ListIterations
    model : PetModel, optional
        All corrections where none is given.
    efficiency : Efficiency, optional
        Of the scanner; the modelled one where none was measured.

    Raises
    ------
    PhysicsError
        If the nuclide emits no positrons.
    InputError
        If there are too few coincidences, or the grid is not seen.
    """
    job = _Job(frame, patient, nuclide, grid, model or PetModel(), efficiency, (seed, threads, device), progress)
    return job.image(settings)


class _Job:
    """Projector, efficiencies and background of a frame."""

    def __init__(
        self,
        frame: Frame,
        patient: Patient,
        nuclide: Nuclide,
        grid: Grid,
        model: PetModel,
        efficiency: Efficiency | None,
        run: tuple[int, int | None, str],
        progress: Progress,
    ) -> None:
        self.positrons = positrons_per_decay(nuclide)
        self.frame, self.patient, self.nuclide, self.grid = frame, patient, nuclide, grid
        self.model, self.progress = model, progress
        self.seed, self.threads, self.device = run
        self.events = frame.prompts if model.time_of_flight else frame.prompts.without_time_of_flight()
        scanner = self.events.scanner
        self.efficiency = efficiency or Efficiency.modelled(scanner)
        bed = self.events.bed_mm
        self.projector = LineProjector(scanner, grid, bed, model.point_spread_mm, self.device, self.threads)
        plain = replace(scanner, time_of_flight=None)
        self.matter = LineProjector(plain, patient.grid, bed, 0.0, self.device, self.threads)
        self.attenuation = annihilation_attenuation(patient)
        able = self.efficiency.of(self.events.first, self.events.second) * self.survives(self.events)
        if not (able > 0).all():
            raise InputError(f"{int((able <= 0).sum())} coincidences lie on lines that the scanner cannot see")
        self.able, self.scattered = able, 0.0

    def survives(self, events: Coincidences) -> Float32:
        """Share of the pairs of lines that leave the patient."""
        if not self.model.attenuation:
            return np.ones(len(events), np.float32)
        return survival(self.attenuation, self.matter, events)

    def image(self, settings: ListIterations) -> PetImage:
        """Two looks for the scatter, then the image."""
        self.progress("pet: sensitivity")
        seen = sensitivity(self.efficiency, self.projector, self.survives, seed=self.seed)
        randoms = np.zeros(len(self.events), np.float32)
        if self.model.randoms:
            randoms = expected_randoms(self.events, self.frame.singles_cps)
        scatter = np.zeros_like(randoms)
        for _ in range(SCATTER_ROUNDS if self.model.scatter else 0):
            self.progress("pet: a first look for the scatter")
            first = self._reconstructed(seen, randoms + scatter, FIRST_LOOK)
            scatter = self._scatter(first)
        self.progress(f"pet: {settings.iterations} iterations of {settings.subsets} subsets")
        found = self._reconstructed(seen, randoms + scatter, settings)
        duration, half_life = self.events.duration_s, self.nuclide.half_life_s
        seconds = duration * acquisition_decay_factor(duration, half_life)
        # annihilations per mm^3 of the frame to Bq/mL at its start
        values = found * np.float32(1000 / (self.positrons * seconds))
        activity = Volume(self.grid, values, Kind.ACTIVITY_CONCENTRATION, name=f"{self.nuclide.name} PET")
        number = number_of_randoms(self.events.scanner, self.frame.singles_cps, duration) if self.model.randoms else 0.0
        return PetImage(activity, seen, len(self.events), number, self.scattered)

    def _reconstructed(self, seen: Sensitivity, background: Float32, settings: ListIterations) -> Float32:
        tell: Callable[[int, Float32], None] | None = None
        if settings is not FIRST_LOOK:
            tell = lambda done, _: self.progress(f"pet: iteration {done} of {settings.iterations}")  # noqa: E731
        data = ListData(self.events, background / self.able, seen.image)
        return reconstruct_list(data, self.projector, settings, on_iteration=tell)

    def _scatter(self, image: Float32) -> Float32:
        self.progress("pet: scatter")
        simulator = CoincidenceSimulator(
            self.events.scanner,
            self.patient,
            self.nuclide,
            bed_mm=self.events.bed_mm,
            device=self.device,
            threads=self.threads,
        )
        annihilations = np.maximum(image, 0) * float(np.prod(self.grid.spacing_mm))
        total = float(annihilations.sum(dtype=np.float64))
        if not total > 0:
            raise InputError("the list holds no more coincidences than its randoms: there is nothing to reconstruct")
        followed = annihilations * (SCATTER_POSITRONS / total / self.positrons)
        source = Volume(self.grid, followed, Kind.DECAYS)
        seen = simulator.frame(source, self.events.duration_s, seed=self.seed)
        weight = total / SCATTER_POSITRONS
        self.scattered = float(seen.scattered.sum()) * weight
        return expected_scatter(self.events, seen, self.efficiency, weight)


def annihilation_attenuation(patient: Patient) -> Float32:
    """Attenuation coefficient at 511 keV on the patient's grid, 1/mm."""
    energy = np.array([ANNIHILATION_KEV])
    phantom = patient.phantom
    per_density = np.array([float(coefficients(m, energy).sum()) / 10 for m in phantom.media])
    return np.asarray(phantom.density * per_density[phantom.medium_index], np.float32)
