"""What axial compression and mashing of a sinogram cost: how far lines miss the point that they came from.

``python tools/checks/pet_sinograms.py [SCANNER]`` draws coincidences of points at several distances from the axis, bins
them, lays the counts on lines again, and prints the root mean square of the distance of line and point, across the axis
and along it; beside it that of the lines as they were counted.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.scanner import Scanner, scanner
from hepatica.imaging.pet.sinogram import Bins, Lines, sinogram_layout

COUNTS = 60_000
PLACES_MM = (0.0, 50.0, 100.0, 150.0)
COMPRESSED = ((1, 1), (3, 1), (1, 2), (11, 1), (11, 2))


def pairs_through(machine: Scanner, point: NDArray[np.float64]) -> Coincidences:
    """Pairs of crystals nearest to lines through a point, in directions drawn evenly within the scanner's angle."""
    rng = np.random.default_rng(1)
    ring = machine.positions_mm()[: machine.crystals_per_ring, :2]
    angle = rng.uniform(0, np.pi, COUNTS)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius = np.hypot(*ring[0])
    half, least = point[:2] @ along.T, point[:2] @ point[:2]
    root = np.sqrt(half**2 - least + radius**2)
    slope = rng.uniform(-1, 1, COUNTS) * machine.length_mm / 4 / radius
    crystals = []
    for far in (root - half, -root - half):
        at = point[:2] + far[:, None] * along
        place = np.array([np.argmin(np.hypot(*(ring - one).T)) for one in at])
        z = point[2] + far * slope
        level = np.abs(z[:, None] - machine.ring_z_mm).argmin(axis=1)
        crystals.append(level * machine.crystals_per_ring + place)
    first, second = np.sort(np.array(crystals, np.int32), axis=0)
    kept = machine.accepts(first, second)
    return Coincidences(machine, first[kept], second[kept], np.zeros(int(kept.sum()), np.int16), 1.0)


def missed_mm(events: Coincidences, point: NDArray[np.float64]) -> tuple[float, float]:
    """Root mean square of the distance of lines from a point across the axis, and along it where they pass."""
    ends = events.scanner.positions_mm()
    a, d = ends[events.first], ends[events.second] - ends[events.first]
    square = (d[:, :2] ** 2).sum(axis=1)
    share = ((point[:2] - a[:, :2]) * d[:, :2]).sum(axis=1) / square
    off = a + share[:, None] * d - point
    return float(np.sqrt((off[:, :2] ** 2).sum(axis=1).mean())), float(np.sqrt((off[:, 2] ** 2).mean()))


def laid_again(events: Coincidences, span: int, mashing: int) -> Coincidences:
    """The coincidences by way of a sinogram."""
    layout = sinogram_layout(events.scanner, span=span, mashing=mashing)
    lines, rng = Lines(layout, layout.measured()), np.random.default_rng(18)
    segment, bins = lines.binned(events)
    parts = []
    for number, one in enumerate(layout.segments):
        which = segment == number
        some = Bins(*(x[which] for x in (bins.view, bins.tangential, bins.axial, bins.timing)))
        parts.append(lines.laid(one, some, np.ones(int(which.sum()), np.int64), rng)[:3])
    first, second, tof_bin = (np.concatenate(x) for x in zip(*parts, strict=True))
    return Coincidences(lines.machine, first, second, tof_bin, events.duration_s)


def main(name: str) -> None:
    """Print the table."""
    machine = scanner(name).untimed
    print(f"{machine.name}: root mean square distance of lines and point, mm across / along the axis")
    print("from the axis | as counted | " + " | ".join(f"span {s}, {m} views" for s, m in COMPRESSED))
    for place in PLACES_MM:
        point = np.array([place, 0.0, 5.0])
        events = pairs_through(machine, point)
        row = [missed_mm(events, point), *(missed_mm(laid_again(events, s, m), point) for s, m in COMPRESSED)]
        print(f"{place:.0f} mm | " + " | ".join(f"{across:.2f} / {along:.2f}" for across, along in row))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "biograph_mct")
