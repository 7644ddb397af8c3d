"""Lines and bins that stand for all: their sums are those of all lines, wherever they were drawn more often."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, sensitivity
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.reconstruct.model_lines import ModelLines, drawn_model_lines
from hepatica.imaging.pet.scanner import scanner

MCT = scanner("biograph_mct")
SHAPE, STEP = (9, 8, 7), 24.0
GRID = Grid.axial(SHAPE, spacing_mm=(STEP,) * 3, origin_mm=tuple(-(n - 1) / 2 * STEP for n in SHAPE))


def survives(events: Coincidences) -> np.ndarray:
    """Some that do not, by the first crystal: any function of the line will do."""
    return np.where(events.first % 2, 0.9, 0.1).astype(np.float32)


@pytest.mark.parametrize("point_spread_mm", [0.0, 20.0])
def test_their_sensitivity_is_that_of_all_lines(point_spread_mm: float) -> None:
    # 20 000 lines of about equal share: their sum is known to 1 % (weights 0.1 to 0.9 and clipped chances: 1.5 times
    # that), a half of the body's to 2 %; sums over all of the lines of the sensitivity to less. Four deviations.
    efficiency = Efficiency.modelled(MCT)
    projector = LineProjector(MCT, GRID, point_spread_mm=point_spread_mm, threads=1)
    x = np.arange(SHAPE[0])[:, None, None]
    within = np.ones(SHAPE, np.bool_) & (x > 0) & (x < SHAPE[0] - 1)
    seen = sensitivity(efficiency, projector, survives, lines=1 << 19, within=within).image
    drawn = drawn_model_lines(
        efficiency, projector, survives, within=within, seen=seen, duration_s=1.0, count=40_000, seed=3
    )
    model = drawn.with_background(np.zeros(len(drawn.lines), np.float32))
    assert 10_000 < len(model.lines) <= 41_000
    image = projector.back(model.weight, model.lines) / STEP**3
    for part in (within, within & (x < 4), within & (x >= 4)):
        assert image[part].sum() == pytest.approx(seen[part].sum(), rel=0.06)
    # the slices at both ends are seen a fifth as well; they have their lines all the same
    assert image[..., 0][within[..., 0]].sum() == pytest.approx(seen[..., 0][within[..., 0]].sum(), rel=0.12)


def test_lines_that_miss_are_none_and_weights_must_be_above_zero() -> None:
    few = LineProjector(MCT, GRID, bed_mm=2000.0, threads=1)
    everywhere = np.ones(SHAPE, np.bool_)
    with pytest.raises(InputError, match="no line"):
        drawn_model_lines(
            Efficiency.modelled(MCT), few, survives, within=everywhere, seen=np.ones(SHAPE), duration_s=1.0, count=1000
        )
    one = Coincidences(MCT, np.zeros(1, np.int32), np.full(1, 300, np.int32), np.zeros(1, np.int16), 1.0)
    with pytest.raises(InputError, match="above zero"):
        ModelLines(one, np.zeros(1, np.float32), np.zeros(1, np.float32))
