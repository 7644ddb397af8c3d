"""What the crystals see beside the model, from a scan of a known source: by ring and by place in their module.

Model and camera differ where a photon leaves a module at its border: at the scanner's ends, and between modules. The
factors are found as in a component-based normalisation (Casey, Gadagkar, Newport, 3rd Int Meeting on Fully 3D, 1995)
by fan sums: of each class of crystals, coincidences counted over coincidences expected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import Efficiency, drawn_lines
from hepatica.imaging.pet.scanner import Scanner

FloatArray = NDArray[np.float64]
Float32 = NDArray[np.float32]

ROUNDS = 6
LEAST_EVENTS = 100
"""Coincidences of a class below which its factor is not known to 10 %."""


def crystal_classes(scanner: Scanner) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Class by ring (from the nearer end) and by place in the module (from the nearer border) of every crystal."""
    ring = np.arange(scanner.crystals) // scanner.crystals_per_ring
    place = np.arange(scanner.crystals) % scanner.module_crystals
    return np.minimum(ring, scanner.rings - 1 - ring), np.minimum(place, scanner.module_crystals - 1 - place)


def with_crystals(efficiency: Efficiency, by_ring: FloatArray, by_place: FloatArray) -> Efficiency:
    """The same with factors of the classes."""
    ring, place = crystal_classes(efficiency.scanner)
    return replace(efficiency, crystal=np.asarray(by_ring[ring] * by_place[place], np.float32))


def crystal_factors(
    events: Coincidences, efficiency: Efficiency, expected: Callable[[Coincidences], Float32], *, lines: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Factors of the classes that a scan of a known source asks for.

    Parameters
    ----------
    events : Coincidences
        True coincidences of the source (unscattered ones of a simulation, or corrected).
    efficiency : Efficiency
        The model, its crystals all alike.
    expected : callable
        Annihilations along a line that leave the source, per mm^2, of lines.
    lines : int
        How many lines stand for all.

    Returns
    -------
    by_ring, by_place : ndarray
        The overall scale is in `by_ring`; the mean of `by_place` over the module is 1.

    Raises
    ------
    InputError
        If a class has too few coincidences.
    """
    scanner = efficiency.scanner
    classes = crystal_classes(scanner)
    sizes = [int(c.max()) + 1 for c in classes]
    pairs = (events.first, events.second)
    counted = [np.bincount(c[np.concatenate(pairs)], minlength=n) for c, n in zip(classes, sizes, strict=True)]
    if min(float(c.min()) for c in counted) < LEAST_EVENTS:
        raise InputError(f"{len(events)} coincidences are too few to tell the crystals of {scanner.name} apart")
    plain = scanner.untimed
    drawn = []
    for first, second, weight in drawn_lines(scanner, lines, [seed]):
        empty = Coincidences(plain, first, second, np.zeros(len(first), np.int16), 1.0, events.bed_mm)
        drawn.append((first, second, expected(empty).astype(float) * efficiency.of(first, second) * weight))
    first, second, made = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    factors = [np.ones(n) for n in sizes]
    for _ in range(ROUNDS):
        for axis in (0, 1):
            crystal = factors[0][classes[0]] * factors[1][classes[1]]
            value = made * crystal[first] * crystal[second]
            fan = sum(np.bincount(classes[axis][p], value, sizes[axis]) for p in (first, second))
            factors[axis] = factors[axis] * np.sqrt(counted[axis] / fan)
    number = np.bincount(classes[1], minlength=sizes[1])
    mean = float((factors[1] * number).sum() / number.sum())
    return factors[0] * mean, factors[1] / mean
