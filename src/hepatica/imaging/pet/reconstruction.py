"""From a frame of coincidences to becquerels per millilitre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.decay import acquisition_decay_factor
from hepatica.core.resample import resample
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, Sensitivity, sensitivity, survival
from hepatica.imaging.pet.followed import CoincidenceSimulator, positrons_per_decay
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list, subsets_allowed
from hepatica.imaging.pet.randoms import expected_randoms, number_of_randoms
from hepatica.imaging.pet.run import PLAIN, Run
from hepatica.imaging.pet.scanner import ANNIHILATION_KEV
from hepatica.imaging.pet.scatter import expected_scatter
from hepatica.imaging.spect.montecarlo.patient import BODY_DENSITY_G_ML, Patient
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.photons import coefficients

Float32 = NDArray[np.float32]

SCATTER_POSITRONS = 4_000_000
"""Followed for an estimate of the scatter: some ten thousand scattered coincidences, asked for no fine detail."""
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
    within_body : bool
        Whether activity is sought in the patient alone, and a voxel around: empty air takes up noise.
    scatter_positrons : int
        Followed for each estimate of the scatter.
    """

    point_spread_mm: float = 4.5
    time_of_flight: bool = True
    attenuation: bool = True
    scatter: bool = True
    randoms: bool = True
    within_body: bool = True
    scatter_positrons: int = SCATTER_POSITRONS


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
    subsets_allowed : int
        Subsets for which there are counts (`list_mode.subsets_allowed`): with more the image swings from one to the
        next by as much as it is wrong.
    """

    activity: Volume
    sensitivity: Sensitivity
    prompts: int
    randoms: float
    scatter: float
    subsets_allowed: int


def reconstruct_frame(
    frame: Frame,
    patient: Patient,
    nuclide: Nuclide,
    grid: Grid,
    settings: ListIterations,
    *,
    model: PetModel | None = None,
    efficiency: Efficiency | None = None,
    run: Run = PLAIN,
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
    return _Job(frame, patient, nuclide, grid, model or PetModel(), efficiency, run).image(settings)


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
        run: Run,
    ) -> None:
        self.positrons = positrons_per_decay(nuclide)
        self.frame, self.patient, self.nuclide, self.grid = frame, patient, nuclide, grid
        self.model, self.run = model, run
        self.events = frame.prompts if model.time_of_flight else frame.prompts.without_time_of_flight()
        scanner = self.events.scanner
        self.efficiency = efficiency or Efficiency.modelled(scanner)
        bed = self.events.bed_mm
        self.projector = LineProjector(scanner, grid, bed, model.point_spread_mm, run.device, run.threads)
        plain = scanner.untimed
        self.matter = LineProjector(plain, patient.grid, bed, 0.0, run.device, run.threads)
        self.attenuation = annihilation_attenuation(patient)
        able = self.efficiency.of(self.events.first, self.events.second) * self.survives(self.events)
        if not (able > 0).all():
            raise InputError(f"{int((able <= 0).sum())} coincidences lie on lines that the scanner cannot see")
        self.able, self.scattered = able, 0.0
        self.body = body_on(patient, grid)

    def survives(self, events: Coincidences) -> Float32:
        """Share of the pairs of lines that leave the patient."""
        if not self.model.attenuation:
            return np.ones(len(events), np.float32)
        return survival(self.attenuation, self.matter, events)

    def image(self, settings: ListIterations) -> PetImage:
        """Two looks for the scatter, then the image."""
        self.run.progress("pet: sensitivity")
        asked = self.body if self.model.within_body else None
        seen = sensitivity(self.efficiency, self.projector, self.survives, within=asked, seed=self.run.seed)
        randoms, number = np.zeros(len(self.events), np.float32), 0.0
        if self.model.randoms:
            randoms = expected_randoms(self.events, self.frame.singles_cps)
            number = number_of_randoms(self.events.scanner, self.frame.singles_cps, self.events.duration_s)
        scatter = np.zeros_like(randoms)
        for _ in range(SCATTER_ROUNDS if self.model.scatter else 0):
            self.run.progress("pet: a first look for the scatter")
            first = self._reconstructed(seen, randoms + scatter, FIRST_LOOK)
            scatter = self._scatter(first, len(self.events) - number)
        self.run.progress(f"pet: {settings.iterations} iterations of {settings.subsets} subsets")
        found = self._reconstructed(seen, randoms + scatter, settings)
        duration, half_life = self.events.duration_s, self.nuclide.half_life_s
        seconds = duration * acquisition_decay_factor(duration, half_life)
        # annihilations per mm^3 of the frame to Bq/mL at its start
        values = found * np.float32(1000 / (self.positrons * seconds))
        activity = Volume(self.grid, values, Kind.ACTIVITY_CONCENTRATION, name=f"{self.nuclide.name} PET")
        allowed = subsets_allowed(len(self.events), number, len(self.events))
        return PetImage(activity, seen, len(self.events), number, self.scattered, allowed)

    def _reconstructed(self, seen: Sensitivity, background: Float32, settings: ListIterations) -> Float32:
        tell: Callable[[int, Float32], None] | None = None
        if settings is not FIRST_LOOK:
            tell = lambda done, _: self.run.progress(f"pet: iteration {done} of {settings.iterations}")  # noqa: E731
        data = ListData(self.events, background / self.able, seen.image)
        # what the scatter is estimated from always lies in the patient
        within = self.body if self.model.within_body or settings is FIRST_LOOK else None
        return reconstruct_list(data, self.projector, settings, within=within, on_iteration=tell)

    def _scatter(self, image: Float32, not_random: float) -> Float32:
        """Scatter of each event; as many true and scattered coincidences are followed as were counted, by weight."""
        self.run.progress("pet: scatter")
        scanner, bed = self.events.scanner, self.events.bed_mm
        simulator = CoincidenceSimulator(scanner, self.patient, self.nuclide, bed_mm=bed, run=self.run)
        annihilations = np.maximum(image, 0) * float(np.prod(self.grid.spacing_mm))
        total = float(annihilations.sum(dtype=np.float64))
        if not total > 0:
            raise InputError("the list holds no more coincidences than its randoms: there is nothing to reconstruct")
        followed = annihilations * (self.model.scatter_positrons / total / self.positrons)
        source = Volume(self.grid, followed, Kind.DECAYS)
        seen = simulator.frame(source, self.events.duration_s)
        weight = max(not_random, 0.0) / max(len(seen.events), 1)
        self.scattered = float(seen.scattered.sum()) * weight
        return expected_scatter(self.events, seen, self.efficiency, weight)


def annihilation_attenuation(patient: Patient) -> Float32:
    """Attenuation coefficient at 511 keV on the patient's grid, 1/mm."""
    energy = np.array([ANNIHILATION_KEV])
    phantom = patient.phantom
    per_density = np.array([float(coefficients(m, energy).sum()) / 10 for m in phantom.media])
    return np.asarray(phantom.density * per_density[phantom.medium_index], np.float32)


def body_on(patient: Patient, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of a grid that hold some of the patient, and those beside them.

    Raises
    ------
    GeometryError
        If patient and grid have different frames of reference.
    """
    from scipy.ndimage import binary_dilation

    density = Volume(patient.grid, patient.phantom.density, Kind.DENSITY)
    found = resample(density, grid, "mean").values > BODY_DENSITY_G_ML / 2
    return np.asarray(binary_dilation(found))
