"""Multi-echo gradient echoes of tissue that is known: water and fat, R2*, holmium, the field of air, noise.

The signal of a voxel is S0 |1 - f + f F(TE)| exp(-R2* TE) sinc(gamma G d TE / 2) along each axis, with the phase of the
field at its centre, and complex Gaussian noise. Relaxation along the magnetisation, flow, breathing within the scan and
the point spread of the readout are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.fat import PROTON_HZ_PER_T, fat_signal

Array = NDArray[np.float32]

AIR_PPM, TISSUE_PPM = 0.36, -9.05
"""Susceptibility of air and water, SI, parts per million."""

LUNG_HU, FAT_HU, SOFT_HU = -300.0, -150.0, -20.0
"""CT numbers below which a voxel is air or lung; from which to which it is fat."""

LUNG_SIGNAL, FAT_SIGNAL, SOFT_SIGNAL, TUMOUR_SIGNAL = 0.12, 1.15, 0.7, 0.85
"""Signal at echo time zero over the liver's. Assumptions."""

SOFT_R2STAR, FAT_R2STAR, LUNG_R2STAR = 30.0, 25.0, 400.0
"""1/s at 1.5 T. Assumptions."""

PURE_FAT = 0.95
UNEVEN = 0.08
"""Relative standard deviation of R2* within a tissue, over some millimetres. An assumption."""

SHADING = 0.25
"""Half the range of the receiver coil's sensitivity over the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """What is in every voxel.

    Attributes
    ----------
    grid : Grid
        Voxels.
    s0 : ndarray of float32
        Signal at echo time zero; that of the liver is 1 in the middle of the image.
    r2star_per_s : ndarray of float32
        Without holmium.
    fat : ndarray of float32
        Share of fat in the signal.
    field_hz : ndarray of float32
        Precession beside that of the scanner.
    """

    grid: Grid
    s0: Array
    r2star_per_s: Array
    fat: Array
    field_hz: Array


@dataclass(frozen=True, slots=True)
class TissueSettings:
    """R2* (1/s) of liver and tumour, share of fat of the liver, field strength (T), whether it is even; seed."""

    liver_r2star: float
    tumour_r2star: float
    liver_fat: float
    field_t: float
    even_field: bool
    seed: int


def tissue_of(hu: Array, liver: Array, tumour: Array, grid: Grid, settings: TissueSettings) -> Tissue:
    """Tissue from a CT and drawn structures.

    Parameters
    ----------
    hu : ndarray
        On the MR's grid, air outside.
    liver, tumour : ndarray
        Covered fractions; the liver holds its tumours.
    grid : Grid
        Of the MR.
    settings : TissueSettings
        Numbers of the tissue.
    """
    air = hu < LUNG_HU
    fatty = (hu >= FAT_HU) & (hu < SOFT_HU)
    body = hu > -700
    s0 = np.where(air, np.where(body | (hu > -950), LUNG_SIGNAL, 0), np.where(fatty, FAT_SIGNAL, SOFT_SIGNAL))
    r2 = np.where(air, LUNG_R2STAR, np.where(fatty, FAT_R2STAR, SOFT_R2STAR)).astype(np.float64)
    fat = np.where(fatty, PURE_FAT, 0.0)
    normal = np.clip(liver - tumour, 0, 1)
    rest = np.clip(1 - normal - tumour, 0, 1)
    s0 = rest * s0 + normal + tumour * TUMOUR_SIGNAL
    r2 = rest * r2 + normal * settings.liver_r2star + tumour * settings.tumour_r2star
    fat = rest * fat + normal * settings.liver_fat
    r2 = r2 * (1 + UNEVEN * _relief(grid, 8.0, np.random.default_rng([settings.seed, 1])))
    s0 = s0 * _coil(grid)
    field = np.zeros(grid.shape) if settings.even_field else air_field_hz(hu, liver, grid, settings.field_t)
    parts = (np.ascontiguousarray(part, dtype=np.float32) for part in (s0, r2, fat, field))
    return Tissue(grid, *parts)


def air_field_hz(hu: Array, shimmed: Array, grid: Grid, field_t: float) -> NDArray[np.float64]:
    """Precession by the susceptibility of air and tissue: the Lorentz-corrected dipole in k-space, then a linear shim.

    Parameters
    ----------
    hu : ndarray
        CT numbers: the share of air is taken as that of -1000 HU.
    shimmed : ndarray
        Weights of the shim: constant and linear terms there are taken off.
    grid : Grid
        The main field lies along the patient's z axis.
    field_t : float
        T.

    References
    ----------
    .. [1] Marques JP, Bowtell R. Concepts Magn Reson B 2005;25:65.
    """
    from scipy import fft

    air = np.clip(-hu / 1000.0, 0, 1)
    chi = (air * (AIR_PPM - TISSUE_PPM)) * 1e-6
    padded = [int(fft.next_fast_len(2 * n, real=True)) for n in grid.shape]
    # Outside the image there is air.
    whole = np.full(padded, float(chi.max()))
    place = tuple(slice((m - n) // 2, (m - n) // 2 + n) for m, n in zip(padded, grid.shape, strict=True))
    whole[place] = chi
    k = np.meshgrid(*(np.fft.fftfreq(m, h) for m, h in zip(padded, grid.spacing_mm, strict=True)), indexing="ij")
    along = sum(grid.direction[2, n] * k[n] for n in range(3))
    square = k[0] ** 2 + k[1] ** 2 + k[2] ** 2
    square[0, 0, 0] = 1
    kernel = 1 / 3 - along**2 / square
    kernel[0, 0, 0] = 0
    field = fft.ifftn(fft.fftn(whole) * kernel).real[place] * PROTON_HZ_PER_T * field_t
    index = np.stack([np.ones(grid.shape), *np.indices(grid.shape)], axis=-1).astype(np.float64)
    chosen = shimmed > 0.5
    if chosen.sum() >= 8:
        terms = np.linalg.lstsq(index[chosen], field[chosen], rcond=None)[0]
        field = field - index @ terms
    return np.asarray(field)


def gradient_loss(field_hz: Array, grid: Grid, time_s: float) -> NDArray[np.float64]:
    """Signal left at an echo time where the field changes linearly over each voxel."""
    left = np.ones(grid.shape)
    for axis in range(3):
        if grid.shape[axis] > 1:
            left = left * np.abs(np.sinc(np.gradient(field_hz.astype(np.float64), axis=axis) * time_s))
    return left


def acquire(
    tissue: Tissue, added_r2star: Array, echo_times_s: Sequence[float], *, field_t: float, noise: float, seed: int,
    name: str,
) -> MultiEcho:  # fmt: skip
    """Magnitude and phase of the tissue at every echo time.

    Parameters
    ----------
    tissue : Tissue
        What is there.
    added_r2star : ndarray
        By holmium, 1/s.
    echo_times_s : sequence of float
        s.
    field_t : float
        T.
    noise : float
        Standard deviation of real and imaginary part; zero for none.
    seed : int
        Of the noise.
    name : str
        Of the acquisition.
    """
    random = np.random.default_rng([seed, 2])
    magnitude = np.empty((len(echo_times_s), *tissue.grid.shape), dtype=np.float32)
    phase = np.empty_like(magnitude)
    total = tissue.r2star_per_s + added_r2star
    for n, time in enumerate(echo_times_s):
        mixed = 1 - tissue.fat + tissue.fat * fat_signal([time], field_t)[0]
        signal = tissue.s0 * mixed * np.exp(-total * time) * gradient_loss(tissue.field_hz, tissue.grid, time)
        signal = signal * np.exp(2j * np.pi * tissue.field_hz * time)
        if noise:
            signal = signal + noise * (random.normal(size=signal.shape) + 1j * random.normal(size=signal.shape))
        magnitude[n], phase[n] = np.abs(signal), np.angle(signal)
    return MultiEcho.from_arrays(
        magnitude, echo_times_s=echo_times_s, field_t=field_t, grid=tissue.grid, phase=phase, name=name
    )


def _relief(grid: Grid, width_mm: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random field of standard deviation 1."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(random.normal(size=grid.shape), [width_mm / h for h in grid.spacing_mm])
    return np.asarray(field / max(float(field.std()), 1e-12))


def _coil(grid: Grid) -> NDArray[np.float64]:
    """Sensitivity of the receiver: 1 in the middle, falling off along the first two axes."""
    place = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in grid.shape]
    return np.asarray(
        1 + SHADING * (0.5 * place[0][:, None, None] - 0.5 * place[1][None, :, None] ** 2) + np.zeros(grid.shape)
    )
