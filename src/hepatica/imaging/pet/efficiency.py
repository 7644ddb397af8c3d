"""How many of the annihilations along a line are counted: geometry and crystals' efficiency, without the patient.

For two small faces, the pairs that a source between them sends to both are ``integral of f dl`` times
``a_1 cos_1 a_2 cos_2 / (2 pi L^2)``: the etendue of the faces over the sphere, twice because either photon may go
either way. What a module then counts of them depends on the angle to its normal (`photon_efficiency`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector, box_around
from hepatica.imaging.pet.photon_efficiency import PhotonEfficiency, photon_efficiency
from hepatica.imaging.pet.scanner import Scanner

FloatArray = NDArray[np.float64]
Float32 = NDArray[np.float32]

CHUNK = 1 << 17
ROUND_LINES, MOST_LINES = 1 << 22, 1 << 25
SENSITIVITY_SD = 0.02
Drawn = tuple[NDArray[np.int32], NDArray[np.int32], float]


@dataclass(frozen=True, slots=True, eq=False)
class Efficiency:
    """Counted annihilations per annihilation per mm of a line, and what multiplies it.

    Attributes
    ----------
    scanner : Scanner
    crystal : ndarray of float32, shape (crystals,)
        Efficiency of each crystal relative to the model, 1 where nothing was measured.
    scale : float
        Measured over modelled sensitivity of the scanner.
    """

    scanner: Scanner
    crystal: Float32
    scale: float = 1.0

    @classmethod
    def modelled(cls, scanner: Scanner) -> Efficiency:
        """Of a scanner whose crystals are all alike and as good as the model."""
        return cls(scanner, np.ones(scanner.crystals, np.float32))

    def of(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> Float32:
        """Of lines, shape (lines,), in mm (counts per annihilation per mm of path, times mm^2 per mm)."""
        parts = [slice(start, start + CHUNK) for start in range(0, len(first), CHUNK)]
        return np.concatenate([self._chunk(first[p], second[p]) for p in parts] or [np.zeros(0, np.float32)])

    def _chunk(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> Float32:
        """Of some lines: their intermediate values are ten times as large as the list."""
        ends, normals, table = _tables(self.scanner.untimed)
        vector = ends[second] - ends[first]
        square = np.einsum("ij,ij->i", vector, vector)
        found = np.full(len(first), self._factor, np.float64)
        crystal_efficiency = self.crystal.astype(np.float64)
        for crystal, sign in ((first, 1), (second, -1)):
            normal = normals[crystal]
            into = sign * (vector[:, 0] * normal[:, 0] + vector[:, 1] * normal[:, 1])
            around = vector[:, 0] * normal[:, 1] - vector[:, 1] * normal[:, 0]
            seen = np.maximum(into, 1e-9)
            found *= into * table.at(around / seen, vector[:, 2] / seen) * crystal_efficiency[crystal]
        return np.asarray(np.maximum(found, 0) / square**2, np.float32)

    @property
    def _factor(self) -> float:
        return float(self.scale * np.prod(self.scanner.pitch_mm) ** 2 / (2 * np.pi))


@functools.lru_cache(maxsize=8)
def _tables(scanner: Scanner) -> tuple[FloatArray, FloatArray, PhotonEfficiency]:
    return scanner.positions_mm(), scanner.normals(), photon_efficiency(scanner)


def survival(attenuation: NDArray[Any], projector: LineProjector, events: Coincidences) -> Float32:
    """Share of the pairs of each line that leave the patient: exp of minus the integral of the attenuation.

    Parameters
    ----------
    attenuation : ndarray, shape of the projector's grid
        At 511 keV, 1/mm.
    projector : LineProjector
        Of the scanner without time of flight, without point spread.
    events : Coincidences
        Their lines; the time of flight is not looked at.
    """
    return np.exp(-projector.forward(attenuation, events.without_time_of_flight()))


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """Counted annihilations per annihilation in each voxel, and how exactly it is known.

    Attributes
    ----------
    image : ndarray of float32, shape of the grid
        Point spread included.
    relative_sd : float
        Of a voxel, from the difference of two halves of the lines, where the sensitivity is above a tenth of the best.
    """

    image: Float32
    relative_sd: float


def sensitivity(
    efficiency: Efficiency,
    projector: LineProjector,
    survives: Callable[[Coincidences], Float32],
    *,
    lines: int | None = None,
    within: NDArray[np.bool_] | None = None,
    seed: int = 1,
) -> Sensitivity:
    """Sensitivity of every voxel from lines drawn evenly among all pairs that may coincide.

    The lines follow a scrambled Sobol sequence in the two crystals' angle and ring. Noise of the sensitivity is
    noise of the image's scale in every voxel: a reconstruction adds it up like that of the counts, and the image's
    total grows with its square (7 % of a voxel of 4 mm: 4 % in total after 36 updates; 2 %: 0.3 %). Where `lines` are
    not given they are drawn until a voxel is known to 2 %, or `MOST_LINES` are drawn.

    Parameters
    ----------
    efficiency : Efficiency
    projector : LineProjector
        Whose grid and point spread are meant.
    survives : callable
        Share of the pairs that leave the patient, of lines.
    lines : int, optional
        How many are drawn.
    within : ndarray of bool, optional
        Voxels that are asked for: elsewhere the sensitivity is zero, and the work is less.
    """
    scanner = efficiency.scanner
    asked = np.ones(projector.grid.shape, np.bool_) if within is None else within
    window = box_around(asked, projector.reach_voxels)
    grid = projector.grid.crop(window)
    plain = LineProjector(scanner.untimed, grid, projector.bed_mm, 0.0, projector.device, projector.threads)
    halves = [np.zeros(grid.shape, np.float64) for _ in range(2)]
    drawn, most = 0, MOST_LINES if lines is None else lines
    step = min(most, ROUND_LINES)
    while drawn < most:
        for part in range(2):
            for first, second, weight in drawn_lines(scanner, step // 2, [seed, part, drawn]):
                events = Coincidences(plain.scanner, first, second, np.zeros(len(first), np.int16), 1.0, plain.bed_mm)
                events = events.taken(events.order())
                values = efficiency.of(events.first, events.second) * survives(events) * np.float32(weight)
                halves[part] += plain.back(values, events)
        drawn += step
        mean, sd = _mean_of(halves)
        if lines is None and sd < SENSITIVITY_SD:
            break
    image = np.zeros(projector.grid.shape, np.float32)
    image[window] = replace(projector, grid=grid).blurred(mean * (step / drawn) / float(np.prod(grid.spacing_mm)))
    return Sensitivity(image, sd)


def _mean_of(halves: list[FloatArray]) -> tuple[FloatArray, float]:
    """Mean of two halves, and the standard deviation of a voxel of it, of those that are seen well."""
    mean, difference = (halves[0] + halves[1]) / 2, halves[0] - halves[1]
    seen = mean > 0.1 * mean.max()
    return mean, float((difference[seen] / mean[seen]).std() / 2) if seen.any() else 0.0


def drawn_lines(scanner: Scanner, lines: int, seed: list[int]) -> Iterator[Drawn]:
    """Chunks of pairs that may coincide and the weight that makes them all pairs."""
    from scipy.stats import qmc

    sampler = qmc.Sobol(4, rng=np.random.default_rng(seed))
    drawn = 1 << (lines - 1).bit_length()
    weight = scanner.crystals**2 / 2 / drawn
    for start in range(0, drawn, CHUNK):
        points = sampler.random(min(CHUNK, drawn - start))
        around, rings = scanner.crystals_per_ring, scanner.rings
        first = (points[:, 0] * around).astype(np.int32) + around * (points[:, 1] * rings).astype(np.int32)
        second = (points[:, 2] * around).astype(np.int32) + around * (points[:, 3] * rings).astype(np.int32)
        kept = scanner.accepts(first, second) & (first != second)
        yield first[kept], second[kept], weight
