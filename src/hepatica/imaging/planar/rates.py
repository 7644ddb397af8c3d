"""Count rates of planar views: dead time, decay between the views, and scatter by energy windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from hepatica.core import acquisition_decay_factor, decay_factor
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.planar.from_ct.projection import blurred
from hepatica.imaging.planar.options import PlanarCountsOptions
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.quantify.dead_time import live_fraction
from hepatica.imaging.spect.projections import Window

FloatArray = NDArray[np.float64]
ScatterMethod = Literal["none", "tew", "dew", "upper", "mc"]

SCATTER_FWHM_MM = 120.0
"""How far scatter in the photopeak's window spreads about its source: about the mean free path of 140 to 364 keV in
tissue, 6 to 9 cm, on either side. Our estimate."""

LEAST_BESIDE = 1000.0
"""Counts of a photopeak in a view, from which on a window beside it without a single count was not recorded: scatter
and background put more than one in a hundred of them there. Our choice."""

SCATTER_UNCORRECTED = Message(
    "planar-scatter-in-counts",
    "scatter is not taken off: the attenuation coefficient of broad beams stands for it on the mean of the body; "
    "beside hot organs counts are too high",
    "acquire windows beside the photopeak",
    severity="note",
)


SCATTER_IN_NARROW = Message(
    SCATTER_UNCORRECTED.code,
    "scatter is not taken off, and the stated attenuation does not stand for it: counts of a patient, with their "
    "scatter, read too high, deep organs most",
    "take `beam` auto, or acquire windows beside the photopeak",
    severity="note",
)


SCATTER_LEFT = Message(
    "planar-scatter-left",
    "the window above the photopeak takes off what lines of higher energy leave in it, and not what the patient "
    "scatters down from the peak: of 188Re on virtual patients tumours read 5 to 6 points of 75 low, and the lungs' "
    "share, 0.7 to 0.8 points of 9 low, often lies beyond its interval; without attenuation correction the lung shunt "
    "reads 46 to 81 % of itself too high",
    "give a CT with its structures, and the camera (`camera`), for scatter by Monte Carlo (`planar_scatter` mc); or "
    "measure the lungs' share by SPECT/CT where it decides",
)


SCATTER_UNKNOWN = Message(
    SCATTER_LEFT.code,
    "of this nuclide no window beside the photopeak shows what is scattered in it: of 188Re on virtual patients a "
    "window below it takes too much (lungs 1.9 points of 9 low, tumours 5.7 points of 75 high, the lung shunt without "
    "attenuation correction 27 to 49 % too high), and the window above it leaves 46 to 81 %",
    SCATTER_LEFT.remedy,
)


@dataclass(frozen=True, slots=True, eq=False)
class PlanarRates:
    """Count rates per pixel at the start of the first view, cps, and what they are known to.

    Attributes
    ----------
    rate, scatter, variance : ndarray, shape (views, x, z)
        In the photopeak, of it the scatter, and the variance of the difference by counting.
    window : Window
        The photopeak.
    sides : tuple of str
        As in the views.
    pixel_mm : tuple of float
        Along x and z.
    live : tuple of float
        Share of the counts that each view kept.
    messages : tuple of Message
        What must be known.
    scatter_method : str
        How the scatter was estimated; "mc" leaves it in the rates, to be fitted with the organs.
    """

    rate: FloatArray
    scatter: FloatArray
    variance: FloatArray
    window: Window
    sides: tuple[str, ...]
    pixel_mm: tuple[float, float]
    live: tuple[float, ...]
    messages: tuple[Message, ...] = ()
    scatter_method: str = "none"

    @property
    def leaves_scatter(self) -> bool:
        """Whether what the patient scatters down from the peak is still in it."""
        return self.scatter_method in ("none", "upper")

    def without(self, scatter: float, left: float = 0.0) -> FloatArray:
        """Rates less a factor on the scatter, and less a share of themselves, spread as far as scatter goes."""
        net = self.rate - scatter * self.scatter
        if not left:
            return net
        wide = np.stack([blurred(np.maximum(view, 0), self.pixel_mm, SCATTER_FWHM_MM) for view in net])
        return np.asarray(net - left * wide)

    @property
    def net(self) -> FloatArray:
        """Without the scatter, shape (views, x, z)."""
        return self.rate - self.scatter


def count_rates(views: PlanarViews, peak: int, options: PlanarCountsOptions, *, half_life_s: float) -> PlanarRates:
    """Rates of the photopeak.

    Parameters
    ----------
    views : PlanarViews
        With all windows.
    peak : int
        Number of the photopeak's window from 0.
    options : PlanarCountsOptions
        Scatter and dead time.
    half_life_s : float
        Of the nuclide.

    Raises
    ------
    InputError
        If a window that the scatter correction needs is missing.
    PhysicsError
        If no true rate fits the dead time.
    """
    live = _live(views, options)
    views, peak, notes = _recorded_for(views, peak, options)
    factor = np.array([
        1 / (dwell * kept * decay_factor(start, half_life_s) * acquisition_decay_factor(dwell, half_life_s))
        for dwell, kept, start in zip(views.dwell_s, live, views.start_s, strict=True)
    ])[:, None, None]  # fmt: skip
    counts = views.counts[:, peak]
    options = replace(options, planar_scatter=scatter_method(views.windows, peak, options.planar_scatter))
    scatter, scatter_variance = _scatter(views, peak, options)
    told = {"none": SCATTER_UNCORRECTED, "upper": SCATTER_LEFT}
    messages = notes + ((told[options.planar_scatter],) if options.planar_scatter in told else ())
    return PlanarRates(
        counts * factor, scatter * factor, (counts + scatter_variance) * factor**2, views.windows[peak],
        views.sides, views.pixel_mm, live, messages, options.planar_scatter,
    )  # fmt: skip


def recorded(views: PlanarViews, peak: int) -> tuple[PlanarViews, int, tuple[Message, ...]]:
    """The views without windows that hold no count in some view, the photopeak's number then, and what must be known.

    A window that is in the file and was not recorded must not be taken for one without scatter.
    """
    totals = views.counts.sum(axis=(2, 3))
    enough = totals[:, peak] >= LEAST_BESIDE
    empty = [n for n in range(len(views.windows)) if n != peak and ((totals[:, n] == 0) & enough).any()]
    if not empty:
        return views, peak, ()
    kept = [n for n in range(len(views.windows)) if n not in empty]
    text = (
        f"the energy window {', '.join(str(views.windows[n]) for n in empty)} holds no count in a view with "
        f"{totals[:, peak].max():.0f} in the photopeak: it was not recorded, and no scatter is taken from it"
    )
    note = Message("scatter-window-empty", text, "export it with its counts, or take it out of the file")
    found = replace(views, counts=views.counts[:, kept], windows=tuple(views.windows[n] for n in kept))
    return found, kept.index(peak), (note,)


def _recorded_for(
    views: PlanarViews, peak: int, options: PlanarCountsOptions
) -> tuple[PlanarViews, int, tuple[Message, ...]]:
    """The same; InputError where the stated scatter correction needs a window that was not recorded."""
    found, number, notes = recorded(views, peak)
    if notes and options.planar_scatter != "auto":
        needed = {views.windows[n] for n in scatter_weights(views.windows, peak, options)}
        if not needed <= set(found.windows):
            raise InputError(notes[0].text, remedy=f"{notes[0].remedy}; or take another `planar_scatter`")
    return found, number, notes


def _live(views: PlanarViews, options: PlanarCountsOptions) -> tuple[float, ...]:
    """Share of the counts that each view kept, by its rate in all windows."""
    if not options.dead_time_s:
        return (1.0,) * len(views.sides)
    if views.whole_body:
        raise InputError(
            "the rate of a head changes along a whole-body scan; its dead time cannot be corrected by the total counts",
            remedy="take static views, or leave `dead_time_s` out where the rates are low",
        )
    return tuple(
        float(live_fraction(view.sum(), dwell, tau_s=options.dead_time_s, model=options.dead_time_model))
        for view, dwell in zip(views.counts, views.dwell_s, strict=True)
    )


def scatter_method(windows: tuple[Window, ...], peak: int, wanted: str) -> ScatterMethod:
    """The method wanted, or of "auto" the first that the windows allow: tew, upper, dew, none."""
    if wanted != "auto":
        return cast("ScatterMethod", wanted)
    below = any(w.centre_kev < windows[peak].low_kev for w in windows)
    above = any(w.centre_kev > windows[peak].high_kev for w in windows)
    return "tew" if below and above else "upper" if above else "dew" if below else "none"


def scatter_windows(windows: tuple[Window, ...], peak: int, method: str) -> tuple[int | None, int | None]:
    """Numbers of the windows below and above the photopeak that the method needs.

    Raises
    ------
    InputError
        If one is missing.
    """
    main = windows[peak]
    below = [n for n, w in enumerate(windows) if w.centre_kev < main.low_kev]
    above = [n for n, w in enumerate(windows) if w.centre_kev > main.high_kev]
    lower = max(below, key=lambda n: windows[n].centre_kev, default=None)
    upper = min(above, key=lambda n: windows[n].centre_kev, default=None)
    missing = [side for side, number, methods in (("below", lower, ("tew", "dew")), ("above", upper, ("tew", "upper")))
               if number is None and method in methods]  # fmt: skip
    if missing:
        side = missing[0]
        raise InputError(
            f"scatter correction {method} needs an energy window {side} {main}; the views have "
            f"{', '.join(map(str, windows))}",
            remedy="take another `planar_scatter`",
        )
    return lower, upper


def _scatter(views: PlanarViews, peak: int, options: PlanarCountsOptions) -> tuple[FloatArray, FloatArray]:
    """Scatter in the photopeak in counts, and its variance.

    Triple window (Ogawa et al., IEEE Trans Med Imaging 1991;10:408): the trapezoid between the densities of both
    windows. Dual window (Jaszczak et al., J Nucl Med 1984;25:893): a fraction of the lower window's counts. Upper
    window: its density, for the counts that photons of higher energy leave in the photopeak.
    """
    counts = views.counts
    weights = scatter_weights(views.windows, peak, options)
    nothing = np.zeros_like(counts[:, peak])
    scatter = sum((w * counts[:, n] for n, w in weights.items()), nothing)
    variance = sum((w**2 * counts[:, n] for n, w in weights.items()), nothing)
    return scatter, variance


def scatter_weights(windows: tuple[Window, ...], peak: int, options: PlanarCountsOptions) -> dict[int, float]:
    """What of each window's counts is taken for scatter in the photopeak; empty where nothing is taken off.

    Raises
    ------
    InputError
        If a window that the method needs is missing.
    """
    method = scatter_method(windows, peak, options.planar_scatter)
    if method in ("none", "mc"):
        return {}
    lower, upper = scatter_windows(windows, peak, method)
    width = windows[peak].width_kev
    if method == "dew" and lower is not None:
        return {lower: options.dew_fraction}
    if method == "upper" and upper is not None:
        return {upper: width / windows[upper].width_kev}
    return {n: width / 2 / windows[n].width_kev for n in (lower, upper) if n is not None}
