"""What a field that changes within a voxel takes from its signal, known from the phase; and where it is not known.

A gradient of the field turns spins of one voxel apart: over a width d its signal falls by sinc(gamma G d TE / 2). The
difference of the field between neighbouring voxels is the phase of h(i + 1) conj(h(i)), where h is the product of an
echo with the conjugate of an earlier one: no map is unwrapped, and the result is right as long as neighbours differ by
less than half a turn in the time between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Region
from hepatica.errors import InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fat import MAIN_PPM, PROTON_HZ_PER_T

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

NEAR_LUNG_MM = 10.0
"""Air's field reaches about so far into the liver: voxels nearer are flagged."""

COHERENT = 0.6
"""Agreement of the phase differences around a voxel, 0 to 1, below which the field is not known there."""

NEAR_HALF_TURN = 2.5
"""Phase difference of neighbours (rad) above which it may be a wrapped one."""

NEAR_TURN = 0.15
"""Part of a turn of fat against water by which two echoes may miss it."""

LEAST_FACTOR = 0.2
"""A signal that is said to be less than this part of what it was cannot be put right."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldLoss:
    """Loss of signal by the field's gradients.

    Attributes
    ----------
    factor : ndarray of float32, shape (echoes, i, j, k)
        Signal over what it would be in an even field, 0 to 1.
    gradient_rad_per_s : ndarray of float32, shape (i, j, k)
        Difference of the precession rate across the voxel, all axes together.
    unsure : ndarray of bool, shape (i, j, k)
        Where the phase does not tell: no signal, incoherent, or nearly half a turn between neighbours.
    """

    factor: Array
    gradient_rad_per_s: Array
    unsure: Mask


def field_loss(scan: MultiEcho) -> FieldLoss:
    """Loss by gradients of the field, from the phase.

    Raises
    ------
    InputError
        If there is no phase, or a voxel's phase lies outside one turn by its unit.
    """
    if scan.phase is None:
        raise InputError(f"{scan.name}: there is no phase", remedy="give the phase series, or fit the slice's gradient")
    if float(np.ptp(scan.phase)) > 2 * np.pi * 1.02:
        raise InputError(f"{scan.name}: the phase spans {float(np.ptp(scan.phase)):.4g} rad; one turn holds all phases")
    times = np.asarray(scan.echo_times_s)
    step, pairs = _pairs(times, scan.field_t)
    turn = np.zeros(scan.grid.shape, dtype=np.complex64)
    for a, b in pairs:
        turn += scan.magnitude[b] * scan.magnitude[a] * np.exp(1j * (scan.phase[b] - scan.phase[a]))
    factor = np.ones((scan.echoes, *scan.grid.shape), dtype=np.float32)
    squared = np.zeros(scan.grid.shape, dtype=np.float32)
    unsure = np.zeros(scan.grid.shape, dtype=bool)
    for axis in range(3):
        if scan.grid.shape[axis] < 2:
            continue
        apart, coherence = _neighbour_phase(turn, axis)
        unsure |= (np.abs(apart) > NEAR_HALF_TURN) | (coherence < COHERENT)
        rate = (apart / step * (scan.slice_mm[axis] / scan.grid.spacing_mm[axis])).astype(np.float32)
        squared += rate**2
        for n, time in enumerate(times):
            factor[n] *= np.abs(np.sinc(rate * np.float32(time / (2 * np.pi))))
    # Of an axis alone the sinc's first zero is at a full turn across the voxel.
    unsure |= factor[0] < LEAST_FACTOR
    np.maximum(factor, np.float32(1e-3), out=factor)
    return FieldLoss(factor, np.sqrt(squared), unsure)


def _pairs(times: NDArray[np.float64], field_t: float) -> tuple[float, list[tuple[int, int]]]:
    """Echoes whose phases are compared, and the time between them.

    About one turn of fat against water apart, where there are such: a border of fat and water is then no gradient.
    Else the shortest time.
    """
    turn_s = 1 / (abs(MAIN_PPM) * 1e-6 * PROTON_HZ_PER_T * field_t)
    every = [(float(times[b] - times[a]), a, b) for a in range(len(times)) for b in range(a + 1, len(times))]
    near = min(every, key=lambda pair: abs(pair[0] - turn_s))[0]
    step = near if abs(near / turn_s - 1) < NEAR_TURN else min(every)[0]
    return step, [(a, b) for apart, a, b in every if abs(apart / step - 1) < 0.02]


def _neighbour_phase(turn: NDArray[np.complex64], axis: int) -> tuple[Array, Array]:
    """Phase from a voxel to the next along an axis, mean over the voxels around, and how well they agree."""
    from scipy import ndimage

    cut = [slice(None)] * 3
    cut[axis] = slice(1, None)
    low = [slice(None)] * 3
    low[axis] = slice(0, -1)
    step = turn[tuple(cut)] * np.conj(turn[tuple(low)])
    # Weights as of one product of two magnitudes: noise of dark voxels counts little.
    step = np.asarray(step / np.maximum(np.abs(step), 1e-30) * np.sqrt(np.abs(step)), dtype=np.complex64)
    both = np.zeros(turn.shape, dtype=np.complex64)
    weight = np.zeros(turn.shape, dtype=np.float32)
    for place in (tuple(cut), tuple(low)):
        both[place] += step
        weight[place] += np.abs(step)
    mean = ndimage.uniform_filter(both.real, 3) + 1j * ndimage.uniform_filter(both.imag, 3)
    total = ndimage.uniform_filter(weight, 3)
    agree = np.abs(mean) / np.maximum(total, np.float32(1e-20))
    return np.angle(mean).astype(np.float32), agree.astype(np.float32)


def near_lung(lungs: Sequence[Region], shape: tuple[int, int, int], margin_mm: float = NEAR_LUNG_MM) -> Mask:
    """Voxels within a margin of a lung; none where no lung is drawn."""
    from scipy import ndimage

    inside = np.zeros(shape, dtype=bool)
    for region in lungs:
        inside |= region.mask()
    if not inside.any():
        return inside
    distance = ndimage.distance_transform_edt(~inside, sampling=lungs[0].grid.spacing_mm)
    return np.asarray(distance <= margin_mm)
