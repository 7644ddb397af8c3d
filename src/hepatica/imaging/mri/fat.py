"""What fat adds to a gradient echo: the signal of its peaks, and echoes at which it is in phase with water."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.tables.shipped import csv_rows

PROTON_HZ_PER_T = 42.577478518e6
"""Gyromagnetic ratio of the proton over 2 pi (CODATA 2018)."""

MAIN_PPM = -3.4
"""Main peak of fat from that of water."""

IN_PHASE_CYCLES = 0.12
"""An echo counts as in phase where fat's main peak is within this part of a turn of water's."""


def fat_signal(echo_times_s: ArrayLike, field_t: float) -> NDArray[np.complex128]:
    """Complex signal of fat relative to water, of amplitude 1 at echo time zero.

    Parameters
    ----------
    echo_times_s : array_like
        s.
    field_t : float
        T.

    Notes
    -----
    Six peaks of the fat of the liver, Hamilton et al., NMR Biomed 2011;24:784, in ``tables/fat_peaks.csv``.
    """
    rows = csv_rows(__package__, "fat_peaks.csv")
    share = np.array([float(row["share"]) for row in rows])
    hertz = np.array([float(row["shift_ppm"]) for row in rows]) * 1e-6 * PROTON_HZ_PER_T * field_t
    times = np.atleast_1d(np.asarray(echo_times_s, dtype=np.float64))
    signal = np.exp(2j * np.pi * hertz * times[:, None]) @ (share / share.sum())
    return np.asarray(signal, dtype=np.complex128)


def in_phase_echoes(echo_times_s: Sequence[float], field_t: float) -> tuple[int, ...]:
    """Places of the echoes at which fat's main peak stands with water (at 1.5 T: 4.6, 9.2, ... ms)."""
    turns = np.asarray(echo_times_s) * abs(MAIN_PPM) * 1e-6 * PROTON_HZ_PER_T * field_t
    near = (np.abs(turns - np.rint(turns)) <= IN_PHASE_CYCLES) & (np.rint(turns) >= 1)
    return tuple(int(n) for n in np.flatnonzero(near))
