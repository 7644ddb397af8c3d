"""Scattered coincidences expected on each line and bin, absolute, by Monte Carlo from the image itself.

The scatter of a PET is smooth: it is followed with few positrons into coarse cells of angle, distance from the axis,
place along the axis, slope against it and time of flight, smoothed there, and given back per efficiency of a line. Its
height is that of the simulation. It is never fitted to the tails of the data: with four random coincidences for each
true one the tails say nothing of the scatter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import CHUNK, Efficiency, drawn_lines
from hepatica.imaging.pet.followed import Followed
from hepatica.imaging.pet.scanner import Scanner

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]

ANGLES, DISTANCES = 12, 32
PLACE_MM = 25.0
"""Cells along the axis: scatter in 20 cm of tissue varies over 5 to 10 cm."""
SLOPE = 0.25
"""Cells of slope, way along the axis over way across it: 25 mm along the axis at 100 mm from the middle of a line. A
scanner of a metre has lines that leave a body of 20 cm at its ends and such that cross it at one place; in one cell
lines through the body had 10 % too little, and the image of a NEMA phantom held 4 % too much."""
TIME_SD = 1.0
"""Cells along a line in standard deviations of the time of flight, a bin at least."""
SMOOTHED = (1.0, 0.6, 1.0, 0.6, 0.0)
"""Standard deviation of the smoothing in cells: angle, distance, place, slope, time. Along the time it would take
scatter from the middle of the body, where it peaks, to the skin: half a cell of it made a background 1.4 % too high."""
LINES, LINES_PER_CELL = 262_144, 8
"""Lines at least that say what each cell holds, and of each cell (of all times)."""
MARGIN_COUNTS, MOST_MARGINS, MARGIN_DEGREE = 100, 48, 4
"""Scattered coincidences in each interval of place and of distance along which the smoothed scatter is brought to what
was followed, intervals at most, and degree of the polynomial through their ratios. Smoothed alone the scatter ran from
the middle of the field, where most of it is, to the ends: 3 % too low in the middle, 28 to 38 % too high in the last
2 cm (NEMA phantom in a Biograph mCT)."""
LEAST_RATIO = 0.1
"""Of followed over smoothed scatter: a polynomial may swing where little is."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Coarse cells of lines and bins: angle, distance from the axis, place along it, slope, time of flight.

    Attributes
    ----------
    scanner : Scanner
    shape : tuple of int
    steepest : float
        Slope at which its cells end.
    """

    scanner: Scanner
    shape: tuple[int, int, int, int, int]
    steepest: float

    @classmethod
    def of(cls, scanner: Scanner) -> Cells:
        """Cells for a scanner."""
        places = max(round(scanner.length_mm / PLACE_MM), 2)
        tof = scanner.time_of_flight
        times = 1 if tof is None else min(max(round(tof.bins * tof.bin_mm / (TIME_SD * tof.sd_mm)), 1), tof.bins)
        # of lines through the axis; the few that are steeper, far from it, are counted with the steepest
        steepest = max(scanner.ring_difference * scanner.pitch_mm[1] / (2 * scanner.radius_mm), SLOPE / 2)
        slopes = max(round(2 * steepest / SLOPE), 1)
        return cls(scanner, (ANGLES, DISTANCES, places, slopes, times), steepest)

    def lines(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> NDArray[np.intp]:
        """Cell of each line but for the time, flat in the first four axes."""
        ends = self.scanner.positions_mm()
        a, b = ends[first], ends[second]
        d = b - a
        # one direction for each line: towards +y; its distance and slope then have a sign
        flipped = (d[:, 1] < 0) | ((d[:, 1] == 0) & (d[:, 0] < 0))
        d = np.where(flipped[:, None], -d, d)
        angle = np.arctan2(d[:, 1], d[:, 0])
        distance, middle = _distance(a, d), (a[:, 2] + b[:, 2]) / 2
        slope = d[:, 2] / np.hypot(d[:, 0], d[:, 1])
        index = (
            _cell(angle / np.pi, self.shape[0]),
            _cell(distance / self.scanner.field_mm + 0.5, self.shape[1]),
            _cell(middle / self.scanner.length_mm + 0.5, self.shape[2]),
            _cell(slope / (2 * self.steepest) + 0.5, self.shape[3]),
        )
        return np.ravel_multi_index(index, self.shape[:4])

    def times(self, events: Coincidences) -> NDArray[np.intp]:
        """Cell of the time of flight, counted in the direction of `lines`."""
        tof = self.scanner.time_of_flight
        if tof is None:
            return np.zeros(len(events), np.intp)
        ends = self.scanner.positions_mm()
        d = ends[events.second] - ends[events.first]
        flipped = (d[:, 1] < 0) | ((d[:, 1] == 0) & (d[:, 0] < 0))
        towards_second = np.where(flipped, events.tof_bin, tof.bins - 1 - events.tof_bin)
        return _cell((towards_second + 0.5) / tof.bins, self.shape[4])

    def margins(self, first: NDArray[np.int32], second: NDArray[np.int32]) -> tuple[FloatArray, FloatArray]:
        """Place of each line along the axis, and its distance from the axis without a sign, mm."""
        ends = self.scanner.positions_mm()
        a, b = ends[first], ends[second]
        return (a[:, 2] + b[:, 2]) / 2, np.abs(_distance(a, b - a))


def _distance(a: FloatArray, d: FloatArray) -> FloatArray:
    """Of lines from `a` along `d` from the axis, with the sign of the side that they pass on."""
    return np.asarray((a[:, 0] * d[:, 1] - a[:, 1] * d[:, 0]) / np.hypot(d[:, 0], d[:, 1]))


def _cell(part: FloatArray, count: int) -> NDArray[np.intp]:
    return np.clip((part * count).astype(np.intp), 0, count - 1)


def expected_scatter(events: Coincidences, followed: Followed, efficiency: Efficiency, weight: float) -> Float32:
    """Scattered coincidences expected on the line and in the bin of each event within the frame, shape (events,).

    Parameters
    ----------
    events : Coincidences
        As acquired.
    followed : Followed
        A simulation of the image that is believed, of as many positrons as can be afforded.
    efficiency : Efficiency
        Of the lines; the simulation's crystals are all alike.
    weight : float
        Annihilations of the frame over annihilations followed.
    """
    cells = Cells.of(events.scanner)
    scattered = followed.events.taken(followed.scattered)
    found = np.zeros(cells.shape).reshape(-1, cells.shape[4])
    np.add.at(found, (cells.lines(scattered.first, scattered.second), cells.times(scattered)), weight)
    able = np.zeros(len(found))
    alike = replace(efficiency, crystal=np.ones_like(efficiency.crystal))
    drawn = [
        (first, second, alike.of(first, second).astype(float) * of_all)
        for first, second, of_all in drawn_lines(events.scanner, max(LINES, LINES_PER_CELL * len(found)), seed=[7])
    ]
    first, second, counts = (np.concatenate(values) for values in zip(*drawn, strict=True))
    where = cells.lines(first, second)
    np.add.at(able, where, counts)
    tof = events.scanner.time_of_flight
    # bins of time of flight in each cell
    shares = (
        np.ones(1)
        if tof is None
        else np.bincount(_cell((np.arange(tof.bins) + 0.5) / tof.bins, cells.shape[4]), minlength=cells.shape[4])
    )
    smooth = _smoothed((found / shares).reshape(cells.shape))
    per_efficiency = smooth / np.maximum(_smoothed(able.reshape(*cells.shape[:4], 1)), 1e-30)
    flat = per_efficiency.reshape(found.shape)
    expected = counts * (flat @ shares)[where]
    value = efficiency.of(events.first, events.second)
    value *= _along_margins(cells, scattered, weight, (first, second, expected), events).astype(value.dtype)
    for start in range(0, len(events), CHUNK):
        part = slice(start, start + CHUNK)
        some = events.taken(part)
        value[part] *= flat[cells.lines(some.first, some.second), cells.times(some)]
    return value


def _along_margins(
    cells: Cells,
    scattered: Coincidences,
    weight: float,
    lines: tuple[NDArray[np.int32], NDArray[np.int32], FloatArray],
    events: Coincidences,
) -> FloatArray:
    """Followed over smoothed scatter along the axis, times the same along the distance from it, of each event.

    Parameters
    ----------
    cells : Cells
    scattered : Coincidences
        Followed.
    weight : float
        Of each.
    lines : tuple
        Crystals of lines that stand for all, and the smoothed scatter of each.
    events : Coincidences
    """
    found = np.ones(len(events))
    intervals = min(len(scattered) // MARGIN_COUNTS, MOST_MARGINS)
    if intervals < 2:
        return found
    first, second, expected = lines
    expected = expected.copy()
    followed, of_lines = cells.margins(scattered.first, scattered.second), cells.margins(first, second)
    of_events = cells.margins(events.first, events.second)
    for own, every, asked in zip(followed, of_lines, of_events, strict=True):
        edges = np.unique(np.quantile(own, np.linspace(0, 1, intervals + 1)))
        edges[0], edges[-1] = -np.inf, np.inf
        count = np.histogram(own, edges)[0] * weight
        smooth, _ = np.histogram(every, edges, weights=expected)
        middle, _ = np.histogram(every, edges, weights=expected * every)
        ratio = np.divide(count, smooth, out=np.ones_like(smooth), where=smooth > 0)
        middle = np.divide(middle, smooth, out=np.zeros_like(smooth), where=smooth > 0)
        kept = (smooth > 0) & (count > 0)
        degree = min(MARGIN_DEGREE, int(kept.sum()) - 1)
        curve = np.polynomial.Polynomial.fit(middle[kept], ratio[kept], degree, w=np.sqrt(count[kept]))
        ends = middle[kept][0], middle[kept][-1]
        expected *= np.maximum(curve(np.clip(every, *ends)), LEAST_RATIO)
        found *= np.maximum(curve(np.clip(asked, *ends)), LEAST_RATIO)
    # the height is that of what was followed
    return found * (len(scattered) * weight / float(expected.sum()))


def _smoothed(values: FloatArray) -> FloatArray:
    """A Gaussian over the cells; the angle goes round, where distance, slope and time change their sign."""
    from scipy.ndimage import gaussian_filter1d

    twice = np.concatenate([values, values[:, ::-1, :, ::-1, ::-1]])
    found = gaussian_filter1d(twice, SMOOTHED[0], 0, mode="wrap")[: values.shape[0]]
    for axis in (1, 2, 3, 4):
        if values.shape[axis] > 1 and SMOOTHED[axis]:
            found = gaussian_filter1d(found, SMOOTHED[axis], axis, mode="nearest")
    return np.asarray(found)
