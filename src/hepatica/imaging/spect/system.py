"""What one energy window of a camera sees of a nuclide: energies and their shares, sensitivity, mean response.

A window around a photopeak sees nearly one energy; a window of bremsstrahlung sees all of them. A few energies that
stand for equal shares of the counts then carry the attenuation, and the response is the mean of theirs.

Inner bremsstrahlung is in it, as in the Monte Carlo that this model is used with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.spect.camera.cameras import GammaCamera, camera_energies_kev, nuclide_windows
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.emission import photon_spectrum
from hepatica.imaging.spect.projections import Window
from hepatica.imaging.spect.projector import Response
from hepatica.nuclides import Nuclide

FloatArray = NDArray[np.float64]

Chance = Callable[[FloatArray], FloatArray]
"""Energies in keV -> counts in the window per photon emitted in air, through holes of the collimator."""

BASIS = 3
"""Energies that stand for a continuum; attenuation by 10 or 20 cm of water is then right within 1.5 % in the widest
window of 90Y (one mean energy: within 6 %)."""

MAX_MISMATCH = 0.10
"""Measured over modelled sensitivity in air, less 1, beyond which it is said: the model meets data sheets within 13 %
(docs/detector.md), an activity meter is right within 5 %."""

IN_WATER = (0.65, 1.5)
"""Factor of a reconstruction over the least and the most that the camera's model can explain, beyond which it is said:
recovery, scatter correction and model together. Our choice, generous; a cylinder whose diameter was stated half as long
again reads 0.45."""

SCATTER_IN_WINDOW = (3.0, 10.0)
"""All counts over primary ones in a patient without scatter correction, at most: of a peak, and of bremsstrahlung."""

MIN_OF_PEAK = 0.1
"""Share of a peak that a main window must hold."""

NARROW = 1.15
"""Ratio of energies (5 to 95 % of the counts) up to which one energy stands for all."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowModel:
    """A window as the analytic system model sees it.

    Attributes
    ----------
    window : Window
        Its limits.
    energy_kev, weights : tuple of float
        Energies that stand for all, and their shares of the counts in air.
    response : Response
        Mean of the responses at these energies.
    sensitivity_cps_per_bq : float
        Primary counts per second and becquerel in air, of one head, by the camera's model.
    holes_share : float
        Counts through holes over all counts of a source in air, septal penetration and scatter in collimator and camera
        included: what a measured sensitivity contains more. 1 where no table is shipped.
    detector : str
        Where the chance of a count comes from.
    photon_kev, photon_yield : ndarray
        Everything that a decay emits, of any energy, for scatter.
    chance : callable
        Counts in this window per photon emitted.
    """

    window: Window
    energy_kev: tuple[float, ...]
    weights: tuple[float, ...]
    response: Response
    sensitivity_cps_per_bq: float
    holes_share: float
    detector: str
    photon_kev: FloatArray
    photon_yield: FloatArray
    chance: Chance

    @property
    def mean_energy_kev(self) -> float:
        """Mean energy of the primary counts."""
        return float(np.average(self.energy_kev, weights=self.weights))


def window_model(
    camera: GammaCamera,
    nuclide: Nuclide,
    window: Window,
    *,
    energy_kev: float | None = None,
) -> WindowModel:
    """Model of a window.

    Parameters
    ----------
    camera, nuclide, window
        What sees what.
    energy_kev : float or None
        One energy that the user states for all photons, instead of those of the nuclide.

    Raises
    ------
    PhysicsError
        If the nuclide sends next to nothing into the window, or a stated energy lies outside the tables.
    """
    if energy_kev is not None and not 0 < energy_kev < np.inf:
        raise InputError(f"a photon energy cannot be {energy_kev:g} keV")
    seen, every, detector = window_chance(camera, window)
    spectrum = photon_spectrum(nuclide)
    energy, emitted = spectrum.points
    _require_seen(camera, nuclide, window)
    counts = emitted * seen(energy)
    total = float(counts.sum())
    if not total > 0:
        raise PhysicsError(f"camera {camera.name} counts no photon of {nuclide.name} in {window}")
    basis, shares = ((energy_kev,), (1.0,)) if energy_kev is not None else basis_energies(energy, counts)
    response = hole_response(camera, basis, shares)
    share = total / float(emitted @ every(energy))
    return WindowModel(window, basis, shares, response, total, share, detector, energy, emitted, seen)


def analytic_sensitivity(camera: GammaCamera, nuclide: Nuclide, window: Window) -> tuple[float, float]:
    """Primary counts per second and becquerel in air that an analytic simulation has in a window, and their mean keV.

    In a window that holds a peak those of `window_model`, so that the simulation counts as the reconstruction by the
    camera's model does. In one beside a peak its tail, and what photons through holes leave a part of their energy: by
    the same table; by the formula, which has the tail alone, where a camera has none.

    Raises
    ------
    PhysicsError
        If no photon line of the nuclide is counted in the window.
    """
    if _by_bremsstrahlung(nuclide):
        camera.mean_energy_kev(nuclide, window)
    try:
        model = window_model(camera, nuclide, window)
    except PhysicsError:
        energy, emitted = photon_spectrum(nuclide).points
        counts = emitted * window_chance(camera, window)[0](energy)
        total = float(counts.sum())
        if not total > 0:
            raise PhysicsError(f"no photon line of {nuclide.name} is counted in {window}") from None
        return total, float(counts @ energy) / total
    return model.sensitivity_cps_per_bq, model.mean_energy_kev


def beside_peaks(camera: GammaCamera, nuclide: Nuclide, windows: Sequence[Window]) -> tuple[Message, ...]:
    """What an analytic simulation lacks in windows that hold no peak; nothing where there are none."""
    found = []
    for window in windows:
        try:
            window_model(camera, nuclide, window)
        except PhysicsError:
            seen, every, _ = window_chance(camera, window)
            energy, emitted = photon_spectrum(nuclide).points
            air = float(emitted @ every(energy))
            share = float(emitted @ seen(energy)) / air if air else 0.0
            found.append(f"{window} ({'not known' if seen is every else f'{share:.0%}'})")
    if not found:
        return ()
    text = (
        f"windows beside a peak hold no photon that scattered in the patient or crossed lead: {', '.join(found)}, in "
        "brackets the share of what a source in air counts there that came through holes; a scatter correction from "
        "these windows takes too little, and is not tested by them"
    )
    return (
        Message("side-windows-without-scatter", text, "simulate with `method` montecarlo to try such a correction"),
    )


def model_mismatch(
    measured_cps_per_mbq: float,
    model: WindowModel,
    camera: GammaCamera,
    nuclide: Nuclide,
    *,
    source_known: bool,
) -> tuple[Message, ...]:
    """A message if a sensitivity measured in air is more than `MAX_MISMATCH` away from that of the camera's model.

    A source of bremsstrahlung whose size is not known counts less than the model's by itself, and the field loses
    counts through lead: one that counts less is not compared; one that counts more does so in spite of both.
    """
    modelled = 1e6 * model.sensitivity_cps_per_bq / model.holes_share
    away = measured_cps_per_mbq / modelled - 1
    if abs(away) <= MAX_MISMATCH:
        return ()
    text = (
        f"a source in air counts {measured_cps_per_mbq:.3g} cps/MBq, {abs(away):.0%} {'more' if away > 0 else 'less'} "
        f"than the model of {camera.name} in {model.window} ({modelled:.3g}, {model.holes_share:.0%} of it through "
        "holes): "
    )
    if away < 0 and not source_known and _by_bremsstrahlung(nuclide):
        text += (
            "its size is not known, so that what its betas and water take, and what of the counts through lead falls "
            "beside the field (by distance and field a tenth to more than half), is not either: they make any camera "
            "count less, and one that counts more look as modelled or below; it is not compared"
        )
        return (Message("sensitivity-not-compared", text, "measure with `diameter_mm` (and `length_mm`) stated"),)
    text += (
        "camera, collimator or window is not as modelled. If lead is the reason, scatter by Monte Carlo takes its "
        f"counts for those of the model, and activity is wrong by up to {abs(away):.0%} in total, more "
        "where there is little of it"
    )
    remedy = (
        "measure the same source at a second distance too, much nearer or farther, with `diameter_mm` both times and "
        "the first factor as `calibration` (or a cylinder of water, or a sphere): that fits the counts through lead; "
        "check collimator, window, dead time and activity meter"
    )
    return (Message("sensitivity-unlike-model", text, remedy),)


def reconstructed_mismatch(
    measured_cps_per_mbq: float, model: WindowModel, camera: GammaCamera, *, scatter: str | None, nuclide: Nuclide
) -> tuple[Message, ...]:
    """A message if the factor of a source in water lies beyond all that the camera's model explains.

    With scatter by Monte Carlo it counts photons through holes; else those through lead too, and without scatter
    correction (or where that is not known, None) scattered ones.
    """
    least = 1e6 * model.sensitivity_cps_per_bq
    most = least if scatter == "mc" else least / model.holes_share
    if scatter in (None, "none"):
        most *= SCATTER_IN_WINDOW[1 if _by_bremsstrahlung(nuclide) else 0]
    if IN_WATER[0] * least <= measured_cps_per_mbq <= IN_WATER[1] * most:
        return ()
    expected = f"{least:.3g}" if most < 1.05 * least else f"{least:.3g} to {most:.3g}"
    text = (
        f"the factor of this source is {measured_cps_per_mbq:.3g} cps/MBq; by the model of {camera.name} in "
        f"{model.window} it would be {expected}: size, place or activity of the source, their instants, or the camera "
        "are not as stated"
    )
    remedy = "check diameter, length and centre, activity and when it was measured, and the time of all views"
    return (Message("factor-unlike-model", text, remedy, "critical"),)


def window_chance(camera: GammaCamera, window: Window) -> tuple[Chance, Chance, str]:
    """Chance of a count through a hole, by any way, and where they come from.

    The Monte Carlo table of the camera's response where one is shipped; else the formula of `peak_chance` for both,
    which leaves out photons that lose only a part of their energy in the crystal, and septa.
    """
    try:
        response = detector_response(camera).window([window])
    except PhysicsError:
        formula = peak_chance(camera, window)
        return formula, formula, "formula: geometric efficiency, photopeak efficiency, share of the peak"
    low, high = float(response.energy_kev[0]), float(response.energy_kev[-1])

    def of(table: FloatArray) -> Chance:
        counted = table @ response.solid_angle_sr / (4 * math.pi)

        def chance(energy: FloatArray) -> FloatArray:
            inside = (energy >= low) & (energy <= high)
            return np.where(inside, np.interp(energy, response.energy_kev, counted), 0.0)

        return chance

    text = "Monte Carlo table of the detector's response, photons through holes"
    return of(response.geometric[0]), of(response.total[0]), text


def peak_chance(camera: GammaCamera, window: Window) -> Chance:
    """Chance of a count through a hole and in the photopeak; 0 at energies outside the camera's tables."""
    low, high = camera_energies_kev()

    def chance(energy: FloatArray) -> FloatArray:
        found = np.zeros(energy.size)
        for n, kev in enumerate(energy):
            # A peak six standard deviations (some 25 %) away is not in the window.
            if low <= kev <= high and 0.7 * window.low_kev < kev < 1.4 * window.high_kev:
                share = camera.window_fraction(float(kev), window)
                found[n] = share * camera.photopeak_efficiency(float(kev)) * camera.collimator.efficiency(float(kev))
        return found

    return chance


def basis_energies(energy: FloatArray, counts: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Few energies and shares that stand for many: means of groups of equal shares; one energy for a narrow peak."""
    order = np.argsort(energy)
    energy, counts = energy[order], counts[order]
    cumulative = np.cumsum(counts) / counts.sum()
    low, high = energy[np.searchsorted(cumulative, (0.05, 0.95))]
    if high <= NARROW * low:
        return (float(np.average(energy, weights=counts)),), (1.0,)
    group = np.minimum((cumulative - counts / counts.sum() / 2) * BASIS, BASIS - 1).astype(int)
    parts = [group == n for n in range(BASIS) if counts[group == n].sum() > 0]
    means = tuple(float(np.average(energy[part], weights=counts[part])) for part in parts)
    return means, tuple(float(counts[part].sum() / counts.sum()) for part in parts)


def _by_bremsstrahlung(nuclide: Nuclide) -> bool:
    return any(mode.mode == "spect-bremsstrahlung" for mode in nuclide.imaging)


def _require_seen(camera: GammaCamera, nuclide: Nuclide, window: Window) -> None:
    """Raise PhysicsError where a nuclide with peaks has none in the window; one without is imaged by bremsstrahlung."""
    if _by_bremsstrahlung(nuclide):
        peaks, _ = nuclide_windows(nuclide, which=("all",))
        if not any(peak.low_kev < window.high_kev and window.low_kev < peak.high_kev for peak in peaks):
            known = ", ".join(map(str, peaks))
            raise PhysicsError(f"{window} is no window for the bremsstrahlung of {nuclide.name}; in use: {known}")
        return
    camera.mean_energy_kev(nuclide, window)
    lines = [p.energy_kev for p in nuclide.photons if p.kind != "annihilation"]
    if max(camera.window_fraction(energy, window) for energy in lines) < MIN_OF_PEAK:
        raise PhysicsError(f"no photon line of {nuclide.name} has its peak in {window}, only the tail of one")
