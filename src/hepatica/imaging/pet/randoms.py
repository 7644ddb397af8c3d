"""Random coincidences: of singles, and of the crystals' own decays, which are singles too.

Two photons of unrelated decays coincide at a rate ``2 tau S_1 S_2`` (Cherry, Sorenson and Phelps, Physics in Nuclear
Medicine); in a bin of time of flight its width stands for 2 tau. Singles have no noise to speak of, so their product
is better than delayed coincidences, of which 90Y has few (Brasse et al., J Nucl Med 2005;46:859); where only delayed
ones are known, the singles that explain them best are found from their fan sums.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import AVOGADRO
from hepatica.errors import InputError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.followed import ring_on_device
from hepatica.imaging.pet.scanner import Scanner
from hepatica.nuclides.nuclide import BetaBranch
from hepatica.nuclides.spectrum import branches_spectrum
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import build_photons
from hepatica.transport.runner.launch import load_warp
from hepatica.transport.runner.source import beta_quantiles_kev
from hepatica.transport.runner.upload import Upload

FloatArray = NDArray[np.float64]
Float32 = NDArray[np.float32]

LUTETIUM = 71
LUTETIUM_176_SHARE = 0.02599
"""Of natural lutetium (IUPAC 2013)."""
LUTETIUM_176_HALF_LIFE_S = 3.70e10 * 365.25 * 86400
"""ENSDF (Basunia, Nucl Data Sheets 2006;107:791): 3.76e10 y; mean of recent measurements 3.70e10 y."""
LUTETIUM_176_BETA_KEV = 593.2
"""End of the beta spectrum that 99.6 % of the decays have (ENSDF)."""
LUTETIUM_176_LINES_KEV = (306.8, 201.8, 88.3)
LUTETIUM_176_YIELDS = (0.936, 0.780, 0.145)
"""Gammas per decay (ENSDF); what else the levels give goes into conversion electrons, which stay in the crystal."""
DECAYS_FOLLOWED = 40_000
ROUNDS = 8


def window_s(scanner: Scanner) -> float:
    """Width of what counts as one time: a bin of time of flight, or the whole coincidence window, in s."""
    tof = scanner.time_of_flight
    return tof.bin_ps * 1e-12 if tof is not None else scanner.coincidence_window_ns * 1e-9


def expected_randoms(events: Coincidences, singles_cps: FloatArray) -> Float32:
    """Random coincidences expected on the line and in the bin of each event within the frame, shape (events,).

    Parameters
    ----------
    singles_cps : ndarray, shape (crystals,)
        Photons in the energy window of each crystal per second.

    Raises
    ------
    InputError
        If there is not one rate for each crystal, or one is negative.
    """
    rates = _rates(events.scanner, singles_cps)
    factor = window_s(events.scanner) * events.duration_s
    return np.asarray(rates[events.first] * rates[events.second] * factor, np.float32)


def number_of_randoms(scanner: Scanner, singles_cps: FloatArray, duration_s: float) -> float:
    """Random coincidences expected of all lines and bins within a frame."""
    rates = _rates(scanner, singles_cps).reshape(scanner.rings, -1)
    return float((rates * _fans(scanner, rates)).sum() / 2) * _all_times_s(scanner) * duration_s


def drawn_randoms(
    scanner: Scanner, singles_cps: FloatArray, duration_s: float, *, bed_mm: float = 0.0, seed: int
) -> Coincidences:
    """Random coincidences of a frame, drawn: a Poisson number of pairs by the crystals' singles, bins evenly."""
    rates = _rates(scanner, singles_cps)
    total = float(rates.sum())
    bins = 1 if scanner.time_of_flight is None else scanner.time_of_flight.bins
    rng = np.random.default_rng([seed, 1])
    number = int(rng.poisson(total**2 / 2 * _all_times_s(scanner) * duration_s))
    cumulative = np.cumsum(rates) / total if total else rates
    pairs = np.searchsorted(cumulative, rng.random((2, number)), side="right").astype(np.int32)
    pairs = np.minimum(pairs, scanner.crystals - 1)
    tof_bin = rng.integers(0, bins, number).astype(np.int16)
    kept = scanner.accepts(pairs[0], pairs[1]) & (pairs[0] != pairs[1])
    return Coincidences(scanner, pairs.min(axis=0)[kept], pairs.max(axis=0)[kept], tof_bin[kept], duration_s, bed_mm)


def singles_from_delayed(delayed: Coincidences) -> FloatArray:
    """Singles of each crystal per second that explain delayed coincidences best, shape (crystals,).

    The likelihood of ``S_i S_j`` on all pairs that may coincide has its maximum where every crystal's fan sum is met
    (Panin et al., IEEE Trans Nucl Sci 2008;55:162). Rings see fans of different sizes; around a ring all are alike.

    Raises
    ------
    InputError
        If there are none.
    """
    scanner = delayed.scanner
    fans = np.bincount(delayed.first, minlength=scanner.crystals) + np.bincount(
        delayed.second, minlength=scanner.crystals
    )
    return singles_from_fans(fans, scanner, delayed.duration_s)


def singles_from_fans(fans: NDArray[np.number], scanner: Scanner, duration_s: float) -> FloatArray:
    """The same from the sums over the lines of each crystal, of delayed coincidences or of expected randoms.

    Parameters
    ----------
    fans : ndarray, shape (crystals,)
        Over all lines that the scanner accepts and all bins of time of flight.

    Raises
    ------
    InputError
        If there are none.
    """
    total = float(fans.sum()) / 2
    if not total > 0:
        raise InputError("singles cannot be found: there are no delayed coincidences")
    around, rings = scanner.crystals_per_ring, scanner.rings
    factor = _all_times_s(scanner) * duration_s
    rates = np.full((rings, around), math.sqrt(2 * total / factor / scanner.crystals / around / rings))
    for _ in range(ROUNDS):
        expected = factor * _fans(scanner, rates)
        update = np.divide(fans.reshape(rings, around), expected, out=np.zeros_like(rates), where=expected > 0)
        rates = np.sqrt(rates * update)
    return np.asarray(rates.ravel())


def _fans(scanner: Scanner, rates: FloatArray) -> FloatArray:
    """Sum of the rates of all crystals with which each one may coincide, shape (rings, crystals per ring).

    A ring is taken as round: all of its crystals have partners at the same distances around it as the first one.
    """
    partners = np.fft.fft(_partners(scanner))
    of_ring = np.real(np.fft.ifft(np.fft.fft(rates, axis=1) * np.conj(partners), axis=1))
    ring = np.arange(scanner.rings)
    near = np.abs(ring[:, None] - ring) <= scanner.ring_difference
    return np.asarray(near @ of_ring)


def _all_times_s(scanner: Scanner) -> float:
    tof = scanner.time_of_flight
    return window_s(scanner) * (1 if tof is None else tof.bins)


def _partners(scanner: Scanner) -> FloatArray:
    """1 for the crystals of a ring with which its first one may coincide, shape (crystals per ring,)."""
    second = np.arange(scanner.crystals_per_ring, dtype=np.int32)
    return np.asarray(scanner.distance_mm(np.zeros_like(second), second) <= scanner.field_mm / 2, np.float64)


@functools.lru_cache(maxsize=8)
def own_singles_cps(scanner: Scanner) -> float:
    """Singles per crystal and second of the 176Lu in the crystals themselves; 0 where there is none."""
    crystal = medium(scanner.crystal)
    lutetium = dict(crystal.fractions).get(LUTETIUM, 0.0)
    if not lutetium:
        return 0.0
    volume_ml = float(np.prod(scanner.crystal_mm)) / 1000
    atoms = lutetium * crystal.density_g_ml * volume_ml / 174.967 * AVOGADRO * LUTETIUM_176_SHARE
    return atoms * math.log(2) / LUTETIUM_176_HALF_LIFE_S * _own_share(scanner)


def _own_share(scanner: Scanner) -> float:
    from hepatica.transport.device import coincidence_events
    from hepatica.transport.device.physics import Physics

    wp = load_warp()
    upload = Upload(wp, "cpu")
    wp.load_module(coincidence_events, device="cpu")
    physics = Physics()
    upload.photons(physics, build_photons((medium(scanner.crystal),)))
    branch = BetaBranch(LUTETIUM_176_BETA_KEV, 1.0, 182.0, 1.0, 1.0, 0.0, 72, 596.8, "notClassified", "allowed")
    beta = beta_quantiles_kev(*branches_spectrum((branch,), 176, step_kev=0.5))
    found = np.zeros(1, np.float32)
    inputs = [physics, ring_on_device(upload, wp, scanner, 0), upload.floats(beta), len(beta) - 1]
    inputs += [wp.vec3(*LUTETIUM_176_LINES_KEV), wp.vec3(*LUTETIUM_176_YIELDS), wp.uint64(1), DECAYS_FOLLOWED]
    wp.launch(coincidence_events.own_decays, 1, [*inputs, upload.shared(found, wp.float32)], device="cpu")
    return float(found[0])


def _rates(scanner: Scanner, singles_cps: FloatArray) -> FloatArray:
    rates = np.asarray(singles_cps, np.float64)
    if rates.shape != (scanner.crystals,) or not np.isfinite(rates).all() or (rates < 0).any():
        raise InputError(
            f"singles of {scanner.name}: one rate for each of {scanner.crystals} crystals is needed, none negative"
        )
    return rates
