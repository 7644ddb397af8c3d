"""What NEMA NU 2 measures of a scanner, of its simulation: sensitivity, scatter fraction, peak noise-equivalent rate.

The sources hold 18F; the positrons of 90Y (mean energies 250 and 369 keV), which are followed in their place, end in
the sleeve and the phantom as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.efficiency import survival
from hepatica.imaging.pet.followed import CoincidenceSimulator, Followed
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.randoms import number_of_randoms, own_singles_cps
from hepatica.imaging.pet.reconstruction import annihilation_attenuation
from hepatica.imaging.pet.run import Run
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.spect.montecarlo.patient import patient_from_density
from hepatica.nuclides import Nuclide, nuclide

FloatArray = NDArray[np.float64]

F18_POSITRONS = 0.9686
"""Per decay (ENSDF, 2021: 96.86 %). NEMA NU 2 divides by the activity, not by the positrons."""
LINE_MM = 700.0
ROD_MM, THREAD_MM = 12.0, 4.0
"""Water around the line source, from which no positron gets out, and the source; its absorption is taken off again."""
CYLINDER_MM, OFF_AXIS_MM, CYLINDER_ML = 203.0, 45.0, 22_000.0
"""Scatter phantom: diameter, place of the line below the axis, and the volume that concentrations are told by."""
POLYETHYLENE_G_ML = 0.96
FIELD_MM, STRIP_MM = 120.0, 20.0
"""NEMA NU 2-2018, 4.4: lines within 12 cm of the axis; trues lie within 20 mm of the source."""


@dataclass(frozen=True, slots=True)
class NemaFigures:
    """Of one scanner.

    Attributes
    ----------
    sensitivity_cps_per_kbq : float
        At the centre, without absorption.
    sensitivity_sd : float
        Its relative standard deviation from counts.
    scatter_fraction, scatter_fraction_sd : float
        At low activity.
    trues_per_decay, scattered_per_decay, singles_per_decay : float
        Of the line in the scatter phantom; singles of all crystals.
    """

    sensitivity_cps_per_kbq: float
    sensitivity_sd: float
    scatter_fraction: float
    scatter_fraction_sd: float
    trues_per_decay: float
    scattered_per_decay: float
    singles_per_decay: float


@dataclass(frozen=True, slots=True)
class CountRates:
    """Rates in the scatter phantom at a concentration, per second; dead time in ns that puts the peak there."""

    concentration_kbq_ml: float
    noise_equivalent_cps: float
    trues_cps: float
    randoms_cps: float
    live_fraction: float
    dead_time_ns: float


def nema_figures(scanner: Scanner, *, positrons: int = 400_000, run: Run | None = None) -> NemaFigures:
    """Sensitivity and scatter fraction of a scanner.

    Parameters
    ----------
    positrons : int
        Followed of the line in air; ten times as many in the scatter phantom.
    """
    running = run or Run()
    emitter = nuclide("Y-90")
    per_positron, found = _sensitivity(scanner, emitter, positrons, running)
    followed, many = _scatter_phantom(scanner, emitter, 10 * positrons, running)
    trues, scattered = strip_counts(followed.events)
    whole = trues + scattered
    fraction = scattered / whole
    singles = float(followed.singles_cps.sum()) / many * F18_POSITRONS
    return NemaFigures(
        sensitivity_cps_per_kbq=1000 * per_positron * F18_POSITRONS,
        sensitivity_sd=1 / math.sqrt(max(found, 1)),
        scatter_fraction=fraction,
        scatter_fraction_sd=math.sqrt(fraction * (1 - fraction) / whole),
        trues_per_decay=trues / many * F18_POSITRONS,
        scattered_per_decay=scattered / many * F18_POSITRONS,
        singles_per_decay=singles,
    )


def peak_rates(scanner: Scanner, found: NemaFigures, peak_kbq_ml: float) -> CountRates:
    """Rates at the concentration at which a noise-equivalent rate was published as the highest.

    The dead time of the blocks follows from the place of the peak: with trues T, scatter S and randoms R of the field,
    ``T^2 / (T + S + R)`` is highest there. Its height is then a prediction, and rests on the randoms.
    """
    activity = 1000 * peak_kbq_ml * CYLINDER_ML

    def rates(becquerels: float) -> tuple[float, float, float]:
        trues, scattered = found.trues_per_decay * becquerels, found.scattered_per_decay * becquerels
        each = found.singles_per_decay * becquerels / scanner.crystals + own_singles_cps(scanner)
        even = np.full(scanner.crystals, each)
        return trues, scattered, number_of_randoms(scanner, even, 1.0) * _share_of_field(scanner)

    def logarithm(becquerels: float) -> float:
        trues, scattered, randoms = rates(becquerels)
        return math.log(trues**2 / (trues + scattered + randoms))

    step = 1e-3
    slope = (logarithm(activity * (1 + step)) - logarithm(activity * (1 - step))) / (2 * step)
    # the live fraction exp(-2 n tau) falls with n, which grows with the activity: d ln L / d ln A = -2 n' A tau
    growing = found.singles_per_decay * activity / scanner.blocks
    dead_s = max(slope, 0.0) / (2 * growing)
    steady = own_singles_cps(scanner) * scanner.crystals / scanner.blocks
    live = math.exp(-2 * (growing + steady) * dead_s)
    trues, scattered, randoms = rates(activity)
    equivalent = trues**2 / (trues + scattered + randoms) * live
    return CountRates(peak_kbq_ml, equivalent, trues * live, randoms * live, live, dead_s * 1e9)


def strip_counts(events: Coincidences) -> tuple[float, float]:
    """True and scattered coincidences of the line in the scatter phantom, as NEMA tells them apart.

    Lines are moved so that the source lies at 0; what lies within 20 mm of it over a straight line between the heights
    at 20 mm is true.
    """
    ends = events.scanner.positions_mm()
    a, b = ends[events.first], ends[events.second]
    d = b - a
    across = np.hypot(d[:, 0], d[:, 1])
    distance = (a[:, 0] * d[:, 1] - a[:, 1] * d[:, 0]) / across
    source = -OFF_AXIS_MM * np.array([0.0, -1.0])
    of_source = (source[0] * d[:, 1] - source[1] * d[:, 0]) / across
    inside = np.abs(distance) <= FIELD_MM
    apart = np.abs(distance - of_source)[inside]
    strip = int((apart <= STRIP_MM).sum())
    # height of the scatter at the strip's borders, both sides together, from 5 mm on either side of them
    border = int(((apart > STRIP_MM) & (apart <= STRIP_MM + 10)).sum()) / 20.0
    under = border * 2 * STRIP_MM
    return strip - under, float(inside.sum()) - strip + under


def _share_of_field(scanner: Scanner) -> float:
    """Share of the lines of a scanner that lie within 12 cm of its axis, which NEMA counts."""
    around = scanner.crystals_per_ring
    second = np.arange(around, dtype=np.int32)
    distance = scanner.distance_mm(np.zeros_like(second), second)
    return float((distance <= FIELD_MM).sum() / (distance <= scanner.field_mm / 2).sum())


def _sensitivity(scanner: Scanner, emitter: Nuclide, positrons: int, run: Run) -> tuple[float, int]:
    """Pairs counted per positron of a line on the axis as if nothing absorbed them, and how many were counted."""
    across, along = round(3 * ROD_MM / THREAD_MM / 3) + 2, round(LINE_MM / THREAD_MM)
    grid = _around_axis((across, across, along), THREAD_MM)
    middle = slice(1, -1)
    density = np.full(grid.shape, 1e-3, np.float32)
    density[middle, middle] = 1.0
    line = np.zeros(grid.shape)
    line[across // 2, across // 2] = 1.0
    patient = patient_from_density(Volume(grid, density, Kind.DENSITY), voxel_mm=THREAD_MM)
    decays = Volume(grid, line * (positrons / line.sum() / emitter.positron_yield), Kind.DECAYS)
    seen = CoincidenceSimulator(scanner, patient, emitter, run=run).frame(decays, 1.0)
    trues = seen.events.taken(~seen.scattered)
    matter = LineProjector(scanner.untimed, patient.grid, 0.0, 0.0, run.device, run.threads)
    left = survival(annihilation_attenuation(patient), matter, trues)
    return float((1 / left.astype(np.float64)).sum()) / positrons, len(trues)


def _scatter_phantom(scanner: Scanner, emitter: Nuclide, positrons: int, run: Run) -> tuple[Followed, int]:
    step = 7.0
    across, along = 31, round(LINE_MM / step)
    grid = _around_axis((across, across, along), step)
    x, y = (np.asarray(v) for v in np.meshgrid(*[(np.arange(across) - (across - 1) / 2) * step] * 2, indexing="ij"))
    # water's share of a border voxel by distance, so that the area is right to a per cent
    share = np.clip((CYLINDER_MM / 2 - np.hypot(x, y)) / step + 0.5, 0, 1)
    density = np.repeat((share * POLYETHYLENE_G_ML)[:, :, None], along, axis=2).astype(np.float32)
    patient = patient_from_density(Volume(grid, np.maximum(density, 1e-3), Kind.DENSITY), voxel_mm=step)
    thread = 4.0
    fine = Grid.axial(
        (1, 1, along), spacing_mm=(thread, thread, step), origin_mm=(0.0, OFF_AXIS_MM, float(grid.origin_mm[2]))
    )
    decays = Volume(fine, np.full(fine.shape, positrons / along / emitter.positron_yield), Kind.DECAYS)
    seen = CoincidenceSimulator(scanner, patient, emitter, run=run).frame(decays, 1.0)
    return seen, positrons


def _around_axis(shape: tuple[int, int, int], step_mm: float) -> Grid:
    origin = tuple(-(n - 1) / 2 * step_mm for n in shape)
    return Grid.axial(shape, spacing_mm=(step_mm,) * 3, origin_mm=origin)
