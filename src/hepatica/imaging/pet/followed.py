"""Coincidences and singles of a PET scanner by Monte Carlo: positrons, photons, crystals.

What is followed and what is not: positrons through the patient's matter until they annihilate; the two photons with
their departure from a straight line, through scatter in the patient, into the crystals with energy and time
resolution. Not followed: the couch, photons that leave a module of crystals (they may be counted in another one, which
the energy window mostly refuses), and triple coincidences (a history in which three crystals answer gives none).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError
from hepatica.imaging.pet.becquerels.positrons import require_positrons
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.run import PLAIN, Run
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.spect.montecarlo.patient import Patient
from hepatica.nuclides import Nuclide
from hepatica.nuclides.positron_emitters import positron_branches, positron_spectrum
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import build_photons
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.launch import Launcher, Sizes, check_device, load_warp
from hepatica.transport.runner.source import BETA_BINS, beta_quantiles_kev, emission
from hepatica.transport.runner.upload import Upload, tables_for

FloatArray = NDArray[np.float64]

ACOLLINEAR_FWHM_DEG = 0.5
"""Departure of the two photons from 180 degrees in water, FWHM (Colombino et al., Nuovo Cimento 1965;38:707; Shibuya
et al., Phys Med Biol 2007;52:5249 found 0.54 in man)."""

POSITRON_REST_KEV = 60.0
"""Below, a positron annihilates where it is: it would go another 0.07 mm in water (CSDA range, ESTAR)."""

BATCH = 500_000
FEWEST_FLAT = 3
"""Modules that close a ring."""
MINUTES_FROM_S = 120.0
SECOND_CRYSTAL, TIME_BIN, SCATTERED = 2**18, 2**36, 2**45


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What a scanner saw of a frame.

    Attributes
    ----------
    events : Coincidences
        Coincidences of one annihilation each, scattered ones among them.
    scattered : ndarray of bool, shape (events,)
        Whether one of its photons was scattered in the patient.
    singles_cps : ndarray, shape (crystals,)
        Photons in the energy window of each crystal per second, before dead time.
    """

    events: Coincidences
    scattered: NDArray[np.bool_]
    singles_cps: FloatArray


def merged(parts: Sequence[Followed]) -> Followed:
    """All of what was followed in one frame from several sources."""
    events = parts[0].events
    first, second, tof_bin = (
        np.concatenate([getattr(part.events, name) for part in parts]) for name in ("first", "second", "tof_bin")
    )
    return Followed(
        replace(events, first=first, second=second, tof_bin=tof_bin),
        np.concatenate([part.scattered for part in parts]),
        np.sum([part.singles_cps for part in parts], axis=0),
    )


def positrons_per_decay(nuclide: Nuclide) -> float:
    """Positrons per decay of a nuclide.

    Raises
    ------
    PhysicsError
        If it emits none: there is no PET of it.
    """
    require_positrons(nuclide.name, nuclide.positron_yield)
    return nuclide.positron_yield


class CoincidenceSimulator:
    """Follows the decays of a frame in a patient in a scanner.

    Parameters
    ----------
    scanner : Scanner
    patient : Patient
        Density and media on an axial grid.
    nuclide : Nuclide
        One that emits positrons.
    bed_mm : float
        LPS z of the scanner's middle.
    axis_mm : tuple of float
        LPS x and y of its axis.
    run : Run
        The same seed gives the same list, whatever the number of threads.

    Raises
    ------
    PhysicsError
        If the nuclide emits no positrons.
    """

    def __init__(
        self,
        scanner: Scanner,
        patient: Patient,
        nuclide: Nuclide,
        *,
        bed_mm: float = 0.0,
        axis_mm: tuple[float, float] = (0.0, 0.0),
        run: Run = PLAIN,
    ) -> None:
        from hepatica.transport.device import coincidence_events

        check_device(run.device)
        self.scanner, self.patient, self.nuclide = scanner, patient, nuclide
        self.bed_mm, self.run = bed_mm, run
        self._positrons = positrons_per_decay(nuclide)
        self._wp = load_warp()
        self._upload = Upload(self._wp, run.device)
        sizes = Sizes(1 + scanner.crystals + BATCH, 4)
        self._launcher = Launcher(coincidence_events, "follow_coincidences", sizes, run.device)
        self._geometry = self._upload.geometry(patient.phantom)
        # energy laid down in the patient is not asked for: all of it goes to one element
        self._geometry.scored, self._geometry.score_nx = 1, 0
        self._ring = ring_on_device(self._upload, self._wp, scanner, len(patient.phantom.media))
        corner = patient.corner_mm - (*axis_mm, bed_mm)
        self._ring.corner = self._wp.vec3(*map(float, corner))

    def frame(self, decays: Volume, duration_s: float) -> Followed:
        """Coincidences of a frame.

        Parameters
        ----------
        decays : Volume
            Kind.DECAYS: decays of each voxel within the frame (Bq s).
        duration_s : float
            Of the frame.

        Raises
        ------
        UnitError
            If the map is not one of decays.
        InputError
            If it holds nothing, or a negative voxel.
        """
        decays.require_kind(Kind.DECAYS)
        mean = float(decays.values.sum(dtype=np.float64)) * self._positrons
        if float(decays.values.min()) < 0 or not mean > 0:
            raise InputError("PET of a map of decays that is empty or holds a negative voxel cannot be simulated")
        rng = np.random.default_rng([self.run.seed, 0])
        number = int(rng.poisson(mean))
        physics, source = self._physics(1.0), self._source(decays, positrons=True)
        codes, singles = [], np.zeros(self.scanner.crystals)
        begun = time.monotonic()
        for first, histories in _batches(number):
            inputs = [self._geometry, physics, self._ring, source, self._wp.uint64(first), 1.0, self.scanner.crystals]
            tally = self._followed(inputs, self.run.seed, first, histories)
            singles += tally[1 : 1 + self.scanner.crystals]
            found = tally[1 + self.scanner.crystals :]
            codes.append(found[found > 0].astype(np.int64) - 1)
            done = first + histories
            left_s = (time.monotonic() - begun) * (number - done) / done
            self.run.progress(f"coincidences: {done:,} of {number:,} positrons followed, {_left(left_s)}")
        events, scattered = self._decoded(np.concatenate(codes) if codes else np.zeros(0, np.int64), duration_s)
        return Followed(events, scattered, singles / duration_s)

    def bremsstrahlung_cps(self, decays: Volume, duration_s: float, *, electrons: int) -> FloatArray:
        """Singles of each crystal per second from the bremsstrahlung of the beta particles, shape (crystals,).

        Parameters
        ----------
        electrons : int
            How many beta particles are followed; each stands for more.
        """
        if not self.nuclide.betas:
            # positrons make a few per mille of what their annihilation photons do
            return np.zeros(self.scanner.crystals)
        more = 20.0
        mean = float(decays.values.sum(dtype=np.float64)) * emission(self.nuclide).beta_yield
        physics, source = self._physics(more), self._source(decays, positrons=False)
        singles = np.zeros(self.scanner.crystals)
        for first, histories in _batches(electrons):
            weight = mean / electrons / more
            inputs = [self._geometry, physics, self._ring, source, self._wp.uint64(first), weight]
            tally = self._followed([*inputs, self.scanner.crystals], self.run.seed + 1, first, histories)
            singles += tally[1 : 1 + self.scanner.crystals]
        return singles / duration_s

    def _followed(self, inputs: list[Any], seed: int, first: int, histories: int) -> FloatArray:
        run = self._launcher.run(inputs, seed=seed, first=first, histories=histories, threads=self.run.threads)
        return run[0]

    def _physics(self, more_photons: float) -> Any:
        phantom = self.patient.phantom
        positron = more_photons == 1.0
        least = POSITRON_REST_KEV if positron else self.scanner.energy_window_kev[0] / 2
        model = StepModel(cutoff_kev=least, photon_cutoff_kev=self.scanner.energy_window_kev[0] / 2)
        ladder, photons = tables_for(phantom.media, model)
        physics = self._upload.physics(phantom, ladder, photons, model, more_photons=more_photons)
        self._upload.photons(physics, build_photons((*phantom.media, medium(self.scanner.crystal))))
        return physics

    def _source(self, decays: Volume, *, positrons: bool) -> Any:
        from hepatica.transport.device.coincidence_events import Decay

        s, grid = Decay(), decays.grid
        flat = decays.values.ravel()
        voxels = np.flatnonzero(flat)
        s.places = self._upload.places(voxels, flat[voxels], grid.shape)
        matrix = np.array(grid.affine, dtype=np.float64)
        # voxels from the corner of the grid to mm from the corner of the patient's voxels
        matrix[:3, 3] += -matrix[:3, :3].sum(axis=1) / 2 - self.patient.corner_mm
        s.to_mm, s.origin_mm = self._upload.affine(matrix)
        s.positrons = int(positrons)
        kev = positron_quantiles_kev(self.nuclide) if positrons else emission(self.nuclide).beta_kev
        s.bins, s.kev = len(kev) - 1, self._upload.floats(kev)
        return s

    def _decoded(self, code: NDArray[np.int64], duration_s: float) -> tuple[Coincidences, NDArray[np.bool_]]:
        """Coincidences from numbers, the crystal of the lower number first, those that the scanner refuses left out."""
        first = (code % SECOND_CRYSTAL).astype(np.int32)
        second = (code // SECOND_CRYSTAL % SECOND_CRYSTAL).astype(np.int32)
        tof_bin = (code // TIME_BIN % (SCATTERED // TIME_BIN)).astype(np.int16)
        kept = self.scanner.accepts(first, second)
        first, second, tof_bin, code = first[kept], second[kept], tof_bin[kept], code[kept]
        turned = first > second
        bins = 1 if self.scanner.time_of_flight is None else self.scanner.time_of_flight.bins
        tof_bin = np.where(turned, bins - 1 - tof_bin, tof_bin).astype(np.int16)
        first, second = np.where(turned, second, first), np.where(turned, first, second)
        events = Coincidences(self.scanner, first, second, tof_bin, duration_s, self.bed_mm)
        return events, np.asarray(code // SCATTERED > 0)


def _left(seconds: float) -> str:
    """How long it still takes, in words."""
    return f"about {seconds / 60:.0f} min left" if seconds >= MINUTES_FROM_S else f"about {seconds:.0f} s left"


def positron_quantiles_kev(of: Nuclide) -> FloatArray:
    """Edges of bins of equal probability of a positron's energy: of beta-plus decay, or even for internal pairs."""
    if positron_branches(of):
        return beta_quantiles_kev(*positron_spectrum(of))
    return np.linspace(0.0, emission(of).positron_sum_kev, BETA_BINS + 1)


def ring_on_device(upload: Upload, warp: Any, scanner: Scanner, crystal_medium: int) -> Any:
    """`device.Ring` of a scanner; `crystal_medium` is the index of its crystal among the photon tables' media."""
    from hepatica.transport.device.coincidence_events import Ring

    c = Ring()
    c.corner = warp.vec3(0.0, 0.0, 0.0)
    c.radius, c.thickness = scanner.radius_mm, scanner.crystal_mm[2]
    c.modules, c.crystals, c.width = scanner.modules_around, scanner.module_crystals, module_width_mm(scanner)
    c.pitch_around, c.pitch_along = scanner.pitch_mm
    c.rings, c.gap = scanner.module_rings, scanner.module_ring_gap
    c.places = scanner.modules_along * (scanner.module_rings + scanner.module_ring_gap) - scanner.module_ring_gap
    c.medium, c.density = crystal_medium, medium(scanner.crystal).density_g_ml
    c.size_around, c.size_along = scanner.crystal_mm[0], scanner.crystal_mm[1]
    c.block_around, c.block_along = scanner.block_crystals
    c.added, c.counted = int(scanner.adds_blocks), scanner.counted_share
    c.low_kev, c.high_kev = scanner.energy_window_kev
    c.energy_sd = scanner.energy_resolution / FWHM_PER_SD
    # two photons, two directions each: every photon's tilt about each of its axes has half of the variance
    c.acollinear_sd = math.radians(ACOLLINEAR_FWHM_DEG) / FWHM_PER_SD / math.sqrt(2)
    tof = scanner.time_of_flight
    c.timed = int(tof is not None)
    if tof is not None:
        c.tof_bins, c.bin_mm, c.tof_sd = tof.bins, tof.bin_mm, tof.sd_mm
    c.per_ring = scanner.crystals_per_ring
    return c


def module_width_mm(scanner: Scanner) -> float:
    """Distance between the middles of neighbouring modules at the mean depth, their own width at the least."""
    own = (scanner.module_crystals - 1) * scanner.pitch_mm[0] + scanner.crystal_mm[0]
    if scanner.modules_around < FEWEST_FLAT:
        return max(own, scanner.module_crystals * scanner.pitch_mm[0])
    return max(own, 2 * (scanner.radius_mm + scanner.depth_mm) * math.tan(math.pi / scanner.modules_around))


def _batches(number: int) -> Iterator[tuple[int, int]]:
    for first in range(0, number, BATCH):
        yield first, min(BATCH, number - first)
