"""From a frame of coincidences to becquerels per millilitre."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.decay import acquisition_decay_factor
from hepatica.core.resample import resample
from hepatica.errors import InputError
from hepatica.imaging.pet.beyond import Around, Organ, Sources, sources
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, Sensitivity, sensitivity, survival
from hepatica.imaging.pet.followed import CoincidenceSimulator, Followed, merged, positrons_per_decay
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list, subsets_allowed
from hepatica.imaging.pet.randoms import expected_randoms, number_of_randoms, window_s
from hepatica.imaging.pet.reconstruct.model_lines import ModelLines, drawn_model_lines
from hepatica.imaging.pet.reconstruct.stopping import Stopping, iterations_for_noise, stopped
from hepatica.imaging.pet.run import PLAIN, Run
from hepatica.imaging.pet.scanner import ANNIHILATION_KEV
from hepatica.imaging.pet.scatter import expected_scatter
from hepatica.imaging.spect.montecarlo.patient import BODY_DENSITY_G_ML, Patient
from hepatica.nuclides import Nuclide
from hepatica.transport.matter.photons import coefficients

Float32 = NDArray[np.float32]

SCATTER_POSITRONS = 4_000_000
"""Followed for an estimate of the scatter: some ten thousand scattered coincidences, asked for no fine detail."""
FIRST_UPDATES = 8
"""Of the image that is believed for the scatter; scatter is a few per cent of what is counted, and smooth."""
SCATTER_ROUNDS = 3
"""Without scatter the first look holds too much, most where little is seen, at the field's ends."""
BEYOND_SEED = 7919
"""From the seed of what is followed in the field to that of what is followed beyond it."""
BEYOND_NOISE = 5.0
"""Standard deviations by which fewer prompts than expected randoms are no noise: once in 3 million lists."""


@dataclass(frozen=True, slots=True, eq=False)
class NoiseTarget:
    """Stop before the noise of a voxel goes above a target.

    Attributes
    ----------
    region : ndarray of bool, shape of the grid
        Where it is measured.
    target : float
        Standard deviation of a voxel over the region's mean.
    """

    region: NDArray[np.bool_]
    target: float


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
    noise : NoiseTarget or None
        When to stop, with the iterations asked for at the latest.
    organ : callable or None
        The organ that took the activity up, in the frame of the image's grid, on all of the CT: activity beyond the
        field ends where it does. None where nobody knows it.
    """

    point_spread_mm: float = 4.5
    time_of_flight: bool = True
    attenuation: bool = True
    scatter: bool = True
    randoms: bool = True
    within_body: bool = True
    scatter_positrons: int = SCATTER_POSITRONS
    noise: NoiseTarget | None = None
    organ: Organ | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The problem that an image solves, for what is asked of it afterwards.

    Attributes
    ----------
    data, projector, settings, within
        As `reconstruct_list` took them.
    bq_ml : float
        Bq/mL at the start of the frame of an annihilation per mm^3.
    scattered : ndarray of float32, shape (events,), or None
        Chance of each event to be a scattered one, by the model.
    scatter_followed : int
        Scattered coincidences that the estimate of the scatter rests on.
    """

    data: ListData
    projector: LineProjector
    settings: ListIterations
    within: NDArray[np.bool_] | None
    bq_ml: float
    scattered: Float32 | None = None
    scatter_followed: int = 0


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
    solved : Solved
        What it was found from.
    look : ndarray of float32
        A first look in annihilations per mm^3, never below zero: smooth, and robust where counts are few.
    stopping : Stopping or None
        Noise after each iteration, where a target was given.
    beyond_share : float
        Of the counts that are not random, scatter of activity that is taken to go on beyond all beds.
    beyond_relative_sd : float
        Of that activity.
    beyond_in_organ : bool
        Whether most of it lies where the CT shows the organ go on.
    """

    activity: Volume
    sensitivity: Sensitivity
    prompts: int
    randoms: float
    scatter: float
    solved: Solved
    look: Float32
    stopping: Stopping | None = None
    beyond_share: float = 0.0
    beyond_relative_sd: float = 0.0
    beyond_in_organ: bool = False


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
    return FrameJob(frame, patient, nuclide, grid, model or PetModel(), efficiency, run).image(settings)


class FrameJob:
    """Projector, efficiencies and background of a frame; see `reconstruct_frame`.

    Of several beds each takes a first look (`looked`), then makes its `image` with what the others saw around it.
    """

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
        blind = int((~(able > 0)).sum())
        if blind:
            raise InputError(f"{blind} coincidences lie on lines that the scanner cannot see")
        self.able, self.scattered, self.beyond_share = able, 0.0, 0.0
        self.sources: Sources | None = None
        self.scatter_of: tuple[Followed, float] | None = None
        self.scatter = np.zeros(len(self.events), np.float32)
        self.body = body_on(patient, grid)
        seconds = self.events.duration_s * acquisition_decay_factor(self.events.duration_s, nuclide.half_life_s)
        # annihilations per mm^3 of the frame to Bq/mL at its start
        self.bq_ml = 1000 / (self.positrons * seconds)

    def survives(self, events: Coincidences) -> Float32:
        """Share of the pairs of lines that leave the patient."""
        if not self.model.attenuation:
            return np.ones(len(events), np.float32)
        return survival(self.attenuation, self.matter, events)

    @functools.cached_property
    def seen(self) -> Sensitivity:
        """Where it is asked for."""
        self.run.progress("pet: sensitivity")
        return sensitivity(self.efficiency, self.projector, self.survives, within=self.asked, seed=self.run.seed)

    @functools.cached_property
    def randoms(self) -> tuple[Float32, float]:
        """Expected on the line of each event, and in all."""
        if not self.model.randoms:
            return np.zeros(len(self.events), np.float32), 0.0
        number = number_of_randoms(self.events.scanner, self.frame.singles_cps, self.events.duration_s)
        require_randoms_fit(len(self.events), number, self.events)
        return expected_randoms(self.events, self.frame.singles_cps), number

    @property
    def asked(self) -> NDArray[np.bool_] | None:
        """Voxels in which activity is sought; None for all."""
        return self.body if self.model.within_body else None

    def looked(self, rounds: int = SCATTER_ROUNDS, around: Around | None = None) -> Float32:
        """A look in annihilations per mm^3, after so many more estimates of the scatter."""
        for _ in range(rounds if self.model.scatter else 0):
            self.run.progress("pet: a first look for the scatter")
            self.scatter = self._scatter(self._first_look(), len(self.events) - self.randoms[1], around)
        return self._first_look()

    def image(self, settings: ListIterations, around: Around | None = None) -> PetImage:
        """Looks for the scatter, then the image; one look less where one was taken before."""
        look = self.looked(SCATTER_ROUNDS - 1 if self.scatter_of else SCATTER_ROUNDS, around)
        seen, asked, (randoms, number) = self.seen, self.asked, self.randoms
        model = self._model_lines(seen) if settings.method == "wls" else None
        data = ListData(self.events, (randoms + self.scatter) / self.able, seen.image, model)
        stopping, noise = None, self.model.noise
        if noise is not None:
            self.run.progress("pet: noise of two halves of the list")
            stopping = iterations_for_noise(
                data, self.projector, settings, noise.region, noise.target, within=asked, seed=self.run.seed
            )
            settings = stopped(settings, stopping)
        self.run.progress(f"pet: {settings.iterations} iterations of {settings.subsets} subsets")
        tell: Callable[[int, Float32], None] = lambda done, _: self.run.progress(  # noqa: E731
            f"pet: iteration {done} of {settings.iterations}"
        )
        found = reconstruct_list(data, self.projector, settings, within=asked, on_iteration=tell)
        solved = Solved(data, self.projector, settings, asked, self.bq_ml, *self._scattered(data, look))
        values = found * np.float32(solved.bq_ml)
        activity = Volume(self.grid, values, Kind.ACTIVITY_CONCENTRATION, name=f"{self.nuclide.name} PET")
        return PetImage(
            activity, seen, len(self.events), number, self.scattered, solved, look, stopping, self.beyond_share,
            0.0 if self.sources is None else self.sources.relative_sd,
            self.sources is not None and self.sources.in_organ,
        )  # fmt: skip

    def _scattered(self, data: ListData, look: Float32) -> tuple[Float32 | None, int]:
        """Chance of each event to be a scattered one, and how many scattered ones were followed."""
        if self.scatter_of is None:
            return None, 0
        expected = self.projector.forward(look, self.events) + data.background
        chance = np.divide(self.scatter / self.able, expected, out=np.zeros_like(expected), where=expected > 0)
        return chance, int(self.scatter_of[0].scattered.sum())

    def _model_lines(self, seen: Sensitivity) -> ModelLines:
        """Lines and bins that stand for all, with what is random and scattered on them."""
        self.run.progress("pet: lines of the model")
        within = self.body if self.model.within_body else np.ones(self.grid.shape, np.bool_)
        drawn = drawn_model_lines(
            self.efficiency, self.projector, self.survives, within=within, seen=seen.image,
            duration_s=self.events.duration_s, seed=self.run.seed,
        )  # fmt: skip
        background = np.zeros(len(drawn.lines), np.float32)
        if self.model.randoms:
            background += expected_randoms(drawn.lines, self.frame.singles_cps)
        if self.scatter_of is not None:
            followed, weight = self.scatter_of
            background += expected_scatter(drawn.lines, followed, self.efficiency, weight)
        return drawn.with_background(background)

    def _first_look(self) -> Float32:
        """What the scatter is estimated from: it always lies in the patient, and above zero."""
        randoms, number = self.randoms
        subsets = subsets_allowed(len(self.events), number, FIRST_UPDATES)
        settings = ListIterations(math.ceil(FIRST_UPDATES / subsets), subsets)
        data = ListData(self.events, (randoms + self.scatter) / self.able, self.seen.image)
        return reconstruct_list(data, self.projector, settings, within=self.body)

    def _scatter(self, look: Float32, not_random: float, around: Around | None) -> Float32:
        """Scatter of each event; as many true and scattered coincidences are followed as were counted, by weight."""
        self.run.progress("pet: scatter")
        total = float(look.sum(dtype=np.float64)) * float(np.prod(self.grid.spacing_mm))
        if not total > 0:
            raise InputError("the list holds no more coincidences than its randoms: there is nothing to reconstruct")
        each = self.model.scatter_positrons / total / self.positrons
        found = sources(look, self.seen.image, self.grid, self.patient, around, self.model.organ)
        self.sources = found
        parts = [self._followed(found.known, each, self.run)]
        if found.continued is not None:
            parts.append(self._followed(found.continued, each, replace(self.run, seed=self.run.seed + BEYOND_SEED)))
        seen = merged(parts)
        weight = max(not_random, 0.0) / max(len(seen.events), 1)
        self.scattered, self.scatter_of = float(seen.scattered.sum()) * weight, (seen, weight)
        self.beyond_share = sum(len(part.events) for part in parts[1:]) / max(len(seen.events), 1)
        return expected_scatter(self.events, seen, self.efficiency, weight)

    def _followed(self, annihilations: Volume, each: float, run: Run) -> Followed:
        simulator = CoincidenceSimulator(
            self.events.scanner, self.patient, self.nuclide, bed_mm=self.events.bed_mm, run=run
        )
        decays = annihilations.with_values(annihilations.values * np.float32(each))
        return simulator.frame(decays, self.events.duration_s)


def require_randoms_fit(prompts: int, randoms: float, events: Coincidences) -> None:
    """InputError where more randoms are expected than prompts were counted, beyond noise: the singles are not of them.

    Parameters
    ----------
    prompts : int
        Counted, randoms among them.
    randoms : float
        Expected from the singles.
    events : Coincidences
        Whose window and duration the randoms rest on, for the message.
    """
    if randoms - prompts <= BEYOND_NOISE * math.sqrt(randoms):
        return
    window_ns = window_s(events.scanner) * events.bins * 1e9
    raise InputError(
        f"{randoms:.4g} random coincidences are expected of the singles, but all of the prompts are {prompts}",
        remedy="check that the singles are per second (not counts of the bed), in the energy window and of each "
        f"crystal (not of blocks), and that the coincidence window ({window_ns:.3g} ns), the duration "
        f"({events.duration_s:g} s) and the share that dead time left are those of the scan",
    )


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
