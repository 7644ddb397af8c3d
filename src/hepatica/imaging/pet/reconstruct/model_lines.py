"""Lines and bins of the model, drawn without a look at the events: what is expected everywhere, not where it counted.

Of the events alone nobody knows how the expected counts answer to the image: where they are few they sit on upward
fluctuations. A sample of lines and bins with weights, drawn from the
scanner's geometry, does. Lines that matter are drawn more often: in proportion to the counts that an activity would
make on them of which each voxel is counted equally often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, drawn_lines
from hepatica.imaging.pet.lines import LineProjector

Float32 = NDArray[np.float32]

PER_VOXEL, FEWEST, MOST = 16.0, 200_000, 4_000_000
"""Lines and bins drawn for each voxel that is looked for. Seven in ten are kept, and some 300 then cross one."""
LEAST_SEEN = 0.03
"""Of the best seen voxel: voxels that are seen less well get no more lines than these."""
CANDIDATES = 8
"""Pairs of crystals drawn for each line that is kept: most miss the body, or the bin lies outside of it."""
COARSE = 4
"""Voxels in a row that make one of the grid on which a line's path through the body is judged."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelLines:
    """A sample that stands for all lines and bins.

    Attributes
    ----------
    lines : Coincidences
    weight : ndarray of float32, shape (lines,)
        Counts per annihilation per mm^2 of the line integral: efficiency and survival, times the lines and bins that
        each stands for.
    background : ndarray of float32, shape (lines,)
        As of the events: expected randoms and scatter of one line and bin over its efficiency and survival.
    """

    lines: Coincidences
    weight: Float32
    background: Float32

    def __post_init__(self) -> None:
        if not self.weight.shape == self.background.shape == (len(self.lines),):
            raise InputError(f"{len(self.lines)} lines need a weight and a background each")
        if not ((self.weight > 0).all() and (self.background >= 0).all()):
            raise InputError("weights of lines must be above zero, their background not below")

    def shared(self, share: float) -> ModelLines:
        """The same of a share of the counts: half of a list."""
        return replace(self, weight=self.weight * np.float32(share))


@dataclass(frozen=True, slots=True, eq=False)
class DrawnLines:
    """Lines and bins drawn: efficiency times survival of each, and how many it stands for."""

    lines: Coincidences
    able: Float32
    multiplicity: Float32

    def with_background(self, expected: Float32) -> ModelLines:
        """With the randoms and scatter that are expected on each."""
        return ModelLines(self.lines, self.able * self.multiplicity, expected / self.able)


def drawn_model_lines(
    efficiency: Efficiency,
    projector: LineProjector,
    survives: Callable[[Coincidences], Float32],
    *,
    within: NDArray[np.bool_],
    seen: NDArray[np.floating],
    duration_s: float,
    seed: int = 1,
    count: int | None = None,
) -> DrawnLines:
    """Lines and bins through the voxels looked for, in the order that suits the memory.

    A pair of crystals comes from the Sobol sequence of the sensitivity, its bin is drawn evenly, and it is kept with
    a chance in proportion to its efficiency, survival and path; it then stands for one over that chance. Whatever the
    chances are, sums over the sample have the sums over all lines and bins as their expectation.

    Parameters
    ----------
    efficiency : Efficiency
    projector : LineProjector
        Of the image, with time of flight or without.
    survives : callable
        Share of the pairs that leave the patient, of lines.
    within : ndarray of bool, shape of the projector's grid
        Voxels that are looked for.
    seen : ndarray of the same shape
        Their sensitivity, in any unit.
    duration_s : float
        Of the frame.
    count : int, optional
        About how many are kept; by default some for each voxel.

    Raises
    ------
    InputError
        If no line crosses the voxels.
    """
    scanner = projector.scanner
    wanted = count or int(np.clip(PER_VOXEL * within.sum(), FEWEST, MOST))
    bins = 1 if scanner.time_of_flight is None else scanner.time_of_flight.bins
    level = LEAST_SEEN * float(seen[within].max())
    coarse, body = _coarse(projector, np.where(within, level / np.maximum(seen, level), 0))
    rng = np.random.default_rng([seed, 9])
    kept: list[tuple[Coincidences, Float32, Float32]] = []
    total, scale, so_far = CANDIDATES * wanted, 0.0, 0
    for first, second, weight in drawn_lines(scanner, total, [seed, 9]):
        tof_bin = rng.integers(0, bins, len(first)).astype(np.int16)
        found = Coincidences(scanner, first, second, tof_bin, duration_s, projector.bed_mm)
        path = coarse.forward(body, found)
        crossing = np.flatnonzero(path > 0)
        found, path = found.taken(crossing), path[crossing]
        able = efficiency.of(found.first, found.second) * survives(found)
        value = able * path
        # the first lines say how large the chances are
        if not so_far:
            scale = _scale(value, wanted * len(first) / max(total, len(first)))
        chance = np.minimum(value * np.float32(scale), 1)
        chosen = np.flatnonzero((rng.random(len(value)) < chance) & (able > 0))
        so_far += len(chosen)
        kept.append((found.taken(chosen), able[chosen], np.float32(weight * bins) / chance[chosen]))
    if not so_far:
        raise InputError("no line of the scanner crosses the voxels that are looked for")
    lists = [np.concatenate([getattr(part[0], key) for part in kept]) for key in ("first", "second", "tof_bin")]
    lines = Coincidences(scanner, lists[0], lists[1], lists[2], duration_s, projector.bed_mm)
    order = lines.order()
    able, many = (np.concatenate([part[n] for part in kept])[order].astype(np.float32) for n in (1, 2))
    return DrawnLines(lines.taken(order), able, many)


def _scale(value: Float32, wanted: float) -> float:
    """Factor that makes chances of values, so that about so many are kept although no chance is above 1."""
    low, high = 0.0, 1e3 * wanted / max(float(value.sum(dtype=np.float64)), 1e-30)
    for _ in range(40):
        middle = (low + high) / 2
        if float(np.minimum(value * np.float32(middle), 1).sum(dtype=np.float64)) < wanted:
            low = middle
        else:
            high = middle
    return high


def _coarse(projector: LineProjector, values: NDArray[np.floating]) -> tuple[LineProjector, Float32]:
    """A projector of large voxels, and the highest value in each and beside it, as far as the point spread reaches."""
    from scipy.ndimage import maximum_filter

    step = [min(COARSE, n) for n in values.shape]
    padded = np.pad(values, [(0, -n % s) for n, s in zip(values.shape, step, strict=True)])
    shape = [n // s for n, s in zip(padded.shape, step, strict=True)]
    blocks = padded.reshape(shape[0], step[0], shape[1], step[1], shape[2], step[2])
    grid = projector.grid
    affine = grid.affine @ np.diag([*step, 1.0])
    affine[:3, 3] = grid.to_mm(np.array([[(s - 1) / 2 for s in step]]))[0]
    # a coarse voxel on each side, so that interpolation and the point spread stay within
    affine[:3, 3] -= affine[:3, :3] @ np.ones(3)
    wide = maximum_filter(np.pad(blocks.max(axis=(1, 3, 5)), 1), 3, mode="constant")
    larger = Grid(wide.shape, affine, grid.frame_of_reference)
    plain = LineProjector(projector.scanner, larger, projector.bed_mm, 0.0, projector.device, projector.threads)
    return plain, wide.astype(np.float32)
