"""A camera factor held against the views: its nuclide, its energy window, and the scatter that is taken off them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hepatica.core import Estimate
from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.planar.in_air import kept_in_air
from hepatica.imaging.planar.options import PlanarCountsOptions
from hepatica.imaging.planar.rates import PlanarRates, scatter_weights
from hepatica.imaging.spect.projections import Window
from hepatica.nuclides import Nuclide
from hepatica.workflow.planar.given import KnownAdministration
from hepatica.workflow.planar.options import BiodistributionOptions

IN_AIR = ("planar", "point")
"""Sources whose factor is counts of a view per becquerel; those of a reconstructed image are in its own counts."""

MOST_TAKEN = 1 / 3
"""Of the photopeak's counts of a source in air, what windows beside it take at most: of 131I under a high-energy
collimator, by our model. Of a camera without a model it is the standard uncertainty of the factor: all of it lies on
one side, and the 95 % interval is to hold it there."""

ALIKE = 0.8
"""What two windows share of what they cover together, from which on they see the same photopeak. Our choice."""


def _about_window(factor: Window, views: Window) -> tuple[Message, ...]:
    """A message if the factor's window differs a little from that of the views; InputError if it is another one."""
    if factor.is_near(views):
        return ()
    text = f"the camera factor was measured in {factor}, the views are counted in {views}"
    remedy = "calibrate in the window of the views, or choose another one (`energy_window`)"
    common = min(factor.high_kev, views.high_kev) - max(factor.low_kev, views.low_kev)
    together = max(factor.high_kev, views.high_kev) - min(factor.low_kev, views.low_kev)
    if common < ALIKE * together:
        raise InputError(text, remedy=remedy)
    return (Message("factor-of-other-window", f"{text}: activities are off by what one of them counts more", remedy),)


def about_factor(
    known: KnownAdministration, options: BiodistributionOptions, views: Sequence[PlanarRates], nuclide: str
) -> tuple[Message, ...]:
    """What must be known of the camera factor; nothing where shares are of the whole body.

    Raises
    ------
    InputError
        If activities by counts are wanted without a factor, or it is of another nuclide, energy window or of
        a reconstructed image.
    """
    if options.organs.normalise != "camera":
        return ()
    if known.calibration is None:
        raise InputError("`normalise` camera needs a camera factor", remedy="give `calibration`, of a source in air")
    if known.calibration.conditions.nuclide != nuclide:
        raise InputError(
            f"the camera factor is of {known.calibration.conditions.nuclide}, the views are of {nuclide}",
            remedy="calibrate with the nuclide of the views",
        )
    if known.calibration.source not in IN_AIR:
        raise InputError(
            f"the camera factor is of a {known.calibration.source} in a reconstructed image, whose counts are not "
            "those of a planar view",
            remedy="calibrate with a flat dish or a small source in air (`source` planar or point)",
        )
    limits = known.calibration.conditions.window_kev
    unknown: tuple[Message, ...] = ()
    if limits is None:
        text = "the camera factor does not say its energy window: whether it is that of the views is not known"
        unknown = (Message("factor-window-unknown", text),)
    else:
        unknown = tuple(m for rates in views for m in _about_window(Window(*limits), rates.window))[:1]
    return unknown


def with_side_windows(
    known: KnownAdministration,
    views: Sequence[tuple[tuple[Window, ...], int]],
    counts: PlanarCountsOptions,
    nuclide: Nuclide,
    camera: str | None,
) -> tuple[KnownAdministration, tuple[Message, ...]]:
    """The camera factor of counts whose scatter is taken off, where it was counted in the whole photopeak.

    Windows beside the photopeak hold counts of a source in air too: through lead, and of lines of higher energy. Where
    they are taken off the views they are taken off the factor, by the model of the camera.

    Parameters
    ----------
    known : KnownAdministration
        With the factor as counted.
    views : sequence of (tuple of Window, int)
        Windows of each time, and the number of its photopeak.
    counts : PlanarCountsOptions
        How scatter was taken off.
    nuclide, camera : Nuclide, str or None
        What emits, and what sees it, where that is known.
    """
    if known.calibration is None or not views:
        return known, ()
    windows, peak = views[0]
    weights = scatter_weights(windows, peak, counts)
    if not weights:
        return known, ()
    if camera is None:
        text = (
            "scatter is taken off the views' counts and not off the camera factor, which is counted in the whole "
            "photopeak: activities read low by what the side windows take of a source in air, up to a third (131I "
            "under a high-energy collimator); intervals are wider by that, their middle is not moved"
        )
        remedy = "state `camera` (best with `planar_scatter` mc), take none, or shares of the whole body"
        own = known.calibration.factor
        spread = math.hypot(own.sd or 0.0, own.value * MOST_TAKEN)
        wider = replace(known.calibration, factor=Estimate(own.value, spread))
        return replace(known, calibration=wider), (Message("factor-with-scatter", text, remedy, "critical"),)
    kept = kept_in_air(camera, nuclide, windows, peak, weights)
    factor = replace(known.calibration, factor=known.calibration.factor * kept)
    text = (
        f"the windows beside the photopeak take {100 * (1 - kept.value):.1f} ± {100 * (kept.sd or 0):.1f} % of a "
        f"source in air, by the model of {camera}: the camera factor, counted in the whole photopeak, is lowered by "
        "that"
    )
    return replace(known, calibration=factor), (Message("factor-less-scatter", text, severity="note"),)
