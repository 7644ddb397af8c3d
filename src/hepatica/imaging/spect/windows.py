"""Which of the energy windows of an acquisition are reconstructed, and which serve to estimate their scatter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.imaging.spect.camera.cameras import window_numbers, window_sets, window_texts
from hepatica.imaging.spect.options import ScatterOptions
from hepatica.imaging.spect.projections import Projections, Window
from hepatica.imaging.spect.scatter.energy_windows import dual_window, triple_window, upper_window
from hepatica.nuclides import Nuclide


def main_windows(data: Projections, nuclide: Nuclide, wanted: Sequence[str] = ()) -> tuple[int, ...]:
    """Numbers (from 0) of the windows to reconstruct.

    Parameters
    ----------
    data : Projections
        With all its windows.
    nuclide : Nuclide
        Its usual window is taken where none is wanted.
    wanted : sequence of str
        Energies ("208"), limits ("105-195") or numbers from 1 ("#2"), also with commas between them.

    Raises
    ------
    InputError
        If what is wanted is not there, or named twice, or the nuclide's peak lies in no window or in several.
    """
    if texts := window_texts(wanted):
        found = tuple(_wanted(data, text) for text in texts)
        if len(set(found)) != len(found):
            raise InputError(f"`energy_windows` {', '.join(texts)}: names a window twice; windows are {listed(data)}")
        return found
    usual = [peak for one in window_sets(nuclide) for peak in one.peaks]
    for peak in usual:
        exact = [n for n, window in enumerate(data.windows) if window.is_near(peak)]
        if exact:
            return (exact[0],)
    around = [n for n, w in enumerate(data.windows) if w.low_kev < usual[0].centre_kev < w.high_kev]
    if len(around) != 1:
        raise InputError(
            f"{len(around)} windows hold {usual[0].centre_kev:.0f} keV, the peak of {nuclide.name}; windows are "
            f"{listed(data)}",
            remedy="name one with `energy_windows`",
        )
    return (around[0],)


def listed(data: Projections) -> str:
    """The windows with their numbers, for messages."""
    return ", ".join(f"#{n}: {window}" for n, window in enumerate(data.windows, start=1))


def _wanted(data: Projections, text: str) -> int:
    """Number of the window that an energy, limits or "#number" names."""
    if text.startswith("#"):
        number = int(text[1:]) if text[1:].isdigit() else 0
        if not 1 <= number <= len(data.windows):
            raise InputError(f"there is no window {text}; windows are {listed(data)}")
        return number - 1
    numbers = window_numbers(text)
    if len(numbers) == 2:
        return data.find_window(Window(numbers[0], numbers[1]))
    inside = [n for n, w in enumerate(data.windows) if w.low_kev <= numbers[0] <= w.high_kev]
    if len(inside) != 1:
        raise InputError(
            f"{len(inside)} windows hold {numbers[0]:g} keV; windows are {listed(data)}",
            remedy="name one by its limits",
        )
    return inside[0]


def scatter_from_windows(
    data: Projections, main: int, others: tuple[int, ...], nuclide: Nuclide, options: ScatterOptions
) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Expected scatter in one main window, and the windows that it was made of.

    The windows tabulated for the main one come first, then the nearest on each side; windows around another peak of
    the nuclide and other main windows (`others`) do not serve.

    Raises
    ------
    InputError
        If a window that the method needs is missing.
    """
    window, smooth = data.windows[main], options.window_smoothing_mm
    sets = window_sets(nuclide)
    peaks = [peak for one in sets for peak in one.peaks]
    free = [n for n, w in enumerate(data.windows) if n not in others and not any(w.is_near(p) for p in peaks)]
    below = [n for n in free if data.windows[n].centre_kev <= window.low_kev]
    above = [n for n in free if data.windows[n].centre_kev >= window.high_kev]
    needs = {"dew": ("a window below", below), "upper": ("a window above", above)}
    text, there = needs.get(options.scatter, ("windows on either side of", below and above))
    if not there:
        raise InputError(
            f"scatter correction {options.scatter} needs {text} {window}; the projections have "
            f"{', '.join(map(str, data.windows))}"
        )
    known = [w for one in sets if any(peak.is_near(window) for peak in one.peaks) for w in one.scatter]

    def best(numbers: list[int]) -> int:
        tabulated = [n for n in numbers if any(data.windows[n].is_near(w) for w in known)]
        return min(tabulated or numbers, key=lambda n: abs(data.windows[n].centre_kev - window.centre_kev))

    if options.scatter == "dew":
        lower = best(below)
        return dual_window(data, main, lower=lower, smooth_fwhm_mm=smooth), (lower,)
    if options.scatter == "upper":
        upper = best(above)
        return upper_window(data, main, upper=upper, smooth_fwhm_mm=smooth), (upper,)
    lower, upper = best(below), best(above)
    return triple_window(data, main, lower=lower, upper=upper, smooth_fwhm_mm=smooth), (lower, upper)
