"""Count how many stated 95 % intervals of a region's activity hold the truth in lists that could be measured.

Run: ``python tools/checks/pet_intervals.py [realisations] [method] [seed]``; by default 1000 and wls: some minutes on a
core. A cylinder with a warm rod (1.3 : 1) and a cool one (0.6 : 1) on a coarse grid, in the mCT with time of flight;
3 000 trues and 9 000 randoms expected. The rods are such that 24 updates reach them: an interval says what counting
leaves open, not what iterations do (a cold rod still holds 8 % of the background after as many). Lists are drawn from a
fixed sample of lines and bins whose expectation is the model itself, so that what is tested is the statistics alone. Of
each list the value of the regions and the interval of two standard deviations by the influence of the events are held
against the truth. What is printed: the coverage, mean error, spread, and the stated standard deviation.

``python tools/checks/pet_intervals.py many`` makes one list of 10 million trues and as many randoms of a hot (8 : 1)
and a cold rod instead, and prints the total and both rods by wls and osem: a minute of a core for wls, 2.5 GB.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list
from hepatica.imaging.pet.reconstruct.model_lines import ModelLines
from hepatica.imaging.pet.reconstruct.uncertainty import region_estimates
from hepatica.imaging.pet.scanner import scanner

STEP_MM = 24.0
NORMAL_95 = 1.959964
MODEL_LINES = 20_000
"""Of the lines and bins, drawn once, those that stand for all in wls: sixty for each voxel."""
MCT = scanner("biograph_mct")


@dataclass(frozen=True)
class Model:
    """Lines and bins, what is expected on each, and the truth."""

    projector: LineProjector
    lines: Coincidences
    expected: NDArray[np.float64]
    background: NDArray[np.float32]
    sensitivity: NDArray[np.float32]
    truth: NDArray[np.float32]
    regions: dict[str, NDArray[np.float64]]
    body: NDArray[np.bool_]
    sample: ModelLines

    def drawn(self, rng: np.random.Generator) -> ListData:
        """A list that could be measured."""
        times = rng.poisson(self.expected)
        which = rng.permutation(np.repeat(np.arange(len(times)), times))
        return ListData(self.lines.taken(which), self.background[which], self.sensitivity, self.sample)


RODS: Mapping[str, tuple[float, float, float]] = {"warm": (48.0, 0.0, 1.3), "cool": (-36.0, -24.0, 0.6)}
"""Place across, and level over the background."""
ROD_MM = 40.0


def coarse_model(
    trues: float = 3000.0,
    randoms: float = 9000.0,
    *,
    rods: Mapping[str, tuple[float, float, float]] = RODS,
    seed: int = 1,
    sample: int = MODEL_LINES,
) -> Model:
    """The cylinder; every line and bin is as good as any other one."""
    shape = (9, 9, 7)
    origin = tuple(-(n - 1) / 2 * STEP_MM for n in shape)
    grid = Grid.axial(shape, spacing_mm=(STEP_MM,) * 3, origin_mm=origin)
    x, y, z = np.meshgrid(*[o + STEP_MM * np.arange(n) for o, n in zip(origin, shape, strict=True)], indexing="ij")
    body = (np.hypot(x, y) < 98) & (abs(z) < 80)
    within = abs(z) < 50
    truth, regions = body.astype(np.float32), {}
    for name, (across, up, level) in rods.items():
        inside = (np.hypot(x - across, y - up) < ROD_MM) & body
        truth[inside] = level
        regions[name] = (inside & within) / (inside & within).sum()
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, MCT.crystals, (2, 600_000)).astype(np.int32)
    kept = MCT.accepts(first, second) & (first != second) & (MCT.distance_mm(first, second) < 130)
    bins = rng.integers(3, 10, int(kept.sum())).astype(np.int16)
    lines = Coincidences(MCT, first[kept], second[kept], bins, 1.0)
    projector = LineProjector(MCT, grid, threads=1)
    shown = projector.forward(truth, lines).astype(np.float64)
    scale = trues / shown.sum()
    level = np.float32(randoms / len(lines) / scale)
    sensitivity = projector.back(np.full(len(lines), scale, np.float32), lines) / np.float32(STEP_MM**3)
    background = np.full(len(lines), level, np.float32)
    few = rng.permutation(len(lines))[:sample]
    few = few[lines.taken(few).order()]
    weight = np.full(len(few), scale * len(lines) / len(few), np.float32)
    drawn = ModelLines(lines.taken(few), weight, background[few])
    return Model(projector, lines, scale * (shown + level), background, sensitivity, truth, regions, body, drawn)


def errors(model: Model, settings: ListIterations, realisations: int, seed: int) -> NDArray[np.float64]:
    """Error of each region and its stated standard deviation, shape (realisations, regions, 2)."""
    truth = {name: float((model.truth * weights).sum()) for name, weights in model.regions.items()}
    found = np.zeros((realisations, len(truth), 2))
    for n in range(realisations):
        data = model.drawn(np.random.default_rng([seed, n]))
        estimates = region_estimates(data, model.projector, settings, model.regions, within=model.body)
        found[n] = [(e.value - truth[name], e.sd) for name, e in estimates.items()]
    return found


SETTINGS = {
    "wls": ListIterations(8, 1, "wls"),
    "osem": ListIterations(24, 1),
}


def many(count: float = 1e7) -> None:
    """Print total and rods of one list of many counts, over the background."""
    model = coarse_model(count, count, rods={"hot": (48.0, 0.0, 8.0), "cold": (-36.0, -24.0, 0.0)}, sample=200_000)
    data = model.drawn(np.random.default_rng(3))
    for settings in (ListIterations(8, 1, "wls"), ListIterations(3, 12)):
        image = reconstruct_list(data, model.projector, settings, within=model.body).astype(np.float64)
        rods = ", ".join(f"{name} {(image * weights).sum():.3f}" for name, weights in model.regions.items())
        total = image.sum() / model.truth.sum(dtype=np.float64)
        print(f"{settings.method}, {len(data.events)} events: total {total:.4f}, {rods}", flush=True)


def main() -> None:
    """Print the coverage."""
    if sys.argv[1:] == ["many"]:
        many()
        return
    realisations = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    method = sys.argv[2] if len(sys.argv) > 2 else "wls"
    model = coarse_model()
    found = errors(model, SETTINGS[method], realisations, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    for n, name in enumerate(model.regions):
        error, sd = found[:, n, 0], found[:, n, 1]
        inside = (np.abs(error) < NORMAL_95 * sd).mean()
        about = (np.abs(error - error.mean()) < NORMAL_95 * sd).mean()
        print(
            f"{method}, {name}: {100 * inside:.1f} % of {realisations} intervals hold the truth ({100 * about:.1f} % "
            f"the mean of all); error {error.mean():+.3f}, spread {error.std(ddof=1):.3f}, stated {sd.mean():.3f}"
        )


if __name__ == "__main__":
    main()
