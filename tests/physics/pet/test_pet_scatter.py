"""The scatter that the reconstruction expects, held against a scatter that is known on every line."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, drawn_lines
from hepatica.imaging.pet.followed import Followed
from hepatica.imaging.pet.scanner import scanner
from hepatica.imaging.pet.scatter import expected_scatter

MCT = scanner("biograph_mct").untimed
COUNTS = 20_000


def test_expected_scatter_falls_towards_the_ends_of_the_field_as_it_does() -> None:
    """A scatter per efficiency that falls along the axis and away from it, from 20 000 coincidences drawn of it.

    Smoothed over cells of 25 mm alone, the last tenths of the field come out by a fifth too high. Tolerance: 2.5
    standard deviations of the counts drawn in a fifth of the field or of the distances (4 to 9 %).
    """
    drawn = list(drawn_lines(MCT, 1 << 19, [5]))
    first, second = (np.concatenate([part[n] for part in drawn]) for n in (0, 1))
    lines = Coincidences(MCT, first, second, np.zeros(len(first), np.int16), 1.0)
    ends = MCT.positions_mm()
    a, b = ends[first], ends[second]
    z = (a[:, 2] + b[:, 2]) / 2
    distance = np.abs(a[:, 0] * (b - a)[:, 1] - a[:, 1] * (b - a)[:, 0]) / np.hypot(*(b - a)[:, :2].T)
    efficiency = Efficiency.modelled(MCT)
    true = efficiency.of(first, second) * np.exp(-((z / 45) ** 2) / 2 - (distance / 90) ** 2 / 2)
    true *= COUNTS / true.sum()
    chosen = np.repeat(np.arange(len(true)), np.random.default_rng(1).poisson(true))
    followed = Followed(lines.taken(chosen), np.ones(len(chosen), np.bool_), np.zeros(MCT.crystals))
    # each of the lines drawn stands for so many, and so does each of the coincidences
    found = expected_scatter(lines, followed, efficiency, drawn[0][2])
    assert found.sum() == pytest.approx(len(chosen), rel=0.01)
    for values, edges in ((z, np.linspace(-0.5, 0.5, 11) * MCT.length_mm), (distance, np.linspace(0, 250, 6))):
        expected, shown = (np.histogram(values, edges, weights=w)[0] for w in (true, found))
        assert (np.abs(shown - expected) < 2.5 * np.sqrt(expected) + 0.02 * expected).all()


def test_lines_through_a_body_have_its_scatter_on_a_scanner_of_a_metre() -> None:
    """A scatter per efficiency in proportion to a line's way through a body that is 20 cm long and 30 cm wide.

    Of lines whose middle lies beyond its ends the steep ones cross it and the flat ones do not. Tolerance of those that
    do: 1 % of noise (20 000 counts) and 4 % that cells of 25 mm, smoothed by as much, exchange over the sharp end of
    this body. Without cells of slope 12 % were missing.
    """
    long = scanner("biograph_vision_quadra").untimed
    drawn = list(drawn_lines(long, 1 << 18, [5]))
    first, second = (np.concatenate([part[n] for part in drawn]) for n in (0, 1))
    lines = Coincidences(long, first, second, np.zeros(len(first), np.int16), 1.0)
    ends = long.positions_mm()
    a, b = ends[first], ends[second]
    z, across = (a[:, 2] + b[:, 2]) / 2, np.hypot(*(b - a)[:, :2].T)
    reach = 150 * np.abs(b - a)[:, 2] / across + 1
    distance = np.abs(a[:, 0] * (b - a)[:, 1] - a[:, 1] * (b - a)[:, 0]) / across
    within = np.maximum(np.minimum(z + reach, 100) - np.maximum(z - reach, -100), 0) / (2 * reach)
    efficiency = Efficiency.modelled(long)
    true = efficiency.of(first, second) * within * np.exp(-((distance / 90) ** 2) / 2)
    true *= 10 * COUNTS / true.sum()
    chosen = np.repeat(np.arange(len(true)), np.random.default_rng(1).poisson(true))
    followed = Followed(lines.taken(chosen), np.ones(len(chosen), np.bool_), np.zeros(long.crystals))
    found = expected_scatter(lines, followed, efficiency, drawn[0][2])
    steep = (np.abs(z) > 100) & (within > 0.3)
    assert true[steep].sum() > 15_000
    assert found[steep].sum() == pytest.approx(true[steep].sum(), rel=0.05)
