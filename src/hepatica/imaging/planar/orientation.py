"""Whether views, and regions drawn on them, lie the way round they are taken to lie, as far as the counts show it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.imaging.planar.rates import PlanarRates

FloatArray = NDArray[np.float64]

WAYS = {
    "left for right": (slice(None, None, -1), slice(None)),
    "head for feet": (slice(None), slice(None, None, -1)),
    "head for feet and left for right": (slice(None, None, -1), slice(None, None, -1)),
}
"""How an image (x, z) can be turned."""

REGIONS_TURNED, SHAPES_TURNED = 0.1, 0.03
"""By how much more of a view regions must explain turned, and moved to where they then fit best, than where they are
drawn (borders that are off by a pixel or two cost less), or than as drawn and moved to where they fit best (the turned
shape alone). Our choices."""

VIEW_UPSIDE_DOWN = 0.02
"""By how much more alike (correlation coefficient) two views must be with one of them turned head for feet: noise and
depth of organs move it by less. Our choice."""


def explained_by(image: FloatArray, templates: FloatArray) -> float:
    """Share of an image's sum of squares that templates (organs, x, z) explain where they are."""
    gram = np.einsum("kxz,lxz->kl", templates, templates)
    held = np.einsum("kxz,xz->k", templates, image)
    return float(held @ np.linalg.pinv(gram) @ held / max(float((image**2).sum()), 1e-30))


def explained_anywhere(image: FloatArray, templates: FloatArray) -> float:
    """The same at the place where they explain most, moved together by whole pixels."""
    from scipy import signal

    gram = np.einsum("kxz,lxz->kl", templates, templates)
    maps = np.stack([signal.fftconvolve(image, template[::-1, ::-1], mode="full") for template in templates])
    explained = np.einsum("kxz,kl,lxz->xz", maps, np.linalg.pinv(gram), maps)
    return float(explained.max()) / max(float((image**2).sum()), 1e-30)


def regions_turned(rates: PlanarRates, regions: Mapping[str, FloatArray]) -> list[Message]:
    """A critical message where regions explain a view much better turned.

    Parameters
    ----------
    rates : PlanarRates
        Of the views.
    regions : mapping of str to ndarray, shape (views, x, z)
        Of the organs.
    """
    drawn = np.stack(list(regions.values()))
    found: dict[str, list[str]] = {}
    for number, side in enumerate(rates.sides):
        image, templates = np.maximum(rates.net[number], 0), drawn[:, number]
        here = explained_by(image, templates)
        turned = {way: explained_anywhere(image, templates[:, x, z]) for way, (x, z) in WAYS.items()}
        best = max(turned, key=turned.__getitem__)
        moved = explained_anywhere(image, templates)
        if turned[best] > min(here + REGIONS_TURNED, moved + SHAPES_TURNED):
            said = f"{100 * turned[best]:.0f} % of the {side} view against {100 * here:.0f} %"
            found.setdefault(best, []).append(said)
    remedy = (
        "check on which frame the regions were drawn and which view it is, and how each view is stored "
        "(ImageOrientationPatient, `posterior`)"
    )
    return [
        Message(
            "regions-turned",
            f"turned {way} the regions explain more than as they are drawn: {'; '.join(said)}",
            remedy,
            "critical",
        )
        for way, said in found.items()
    ]


def alike(a: FloatArray, b: FloatArray) -> float:
    """Correlation coefficient of two images; 0 where they cannot be compared."""
    if a.shape != b.shape or not a.std() or not b.std():
        return 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def upside_down(anterior: FloatArray, posterior: FloatArray) -> list[Message]:
    """A critical message where two views (x, z), as seen from the front, fit better with one turned upside down."""
    here = alike(anterior, posterior)
    turned = max(alike(anterior, posterior[::way, ::-1]) for way in (1, -1))
    if turned <= here + VIEW_UPSIDE_DOWN:
        return []
    text = (
        f"the views fit each other better with one of them turned head for feet (correlation {turned:.2f} against "
        f"{here:.2f}): one is stored upside down"
    )
    return [Message("view-upside-down", text, "check ImageOrientationPatient of the detectors, or store it again",
                    "critical")]  # fmt: skip
