"""What the views count of the body as a whole: its outline, the level beside it, and what lies outside a CT."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.imaging.planar.organs import OrganRates
from hepatica.imaging.planar.projected import ProjectedFit
from hepatica.imaging.planar.projection import Projected, blurred
from hepatica.imaging.planar.rates import PlanarRates

FloatArray = NDArray[np.float64]

OUTSIDE = "outside the CT"

OUTLINE_SHARE = 0.01
"""Of the brightest pixels' counts, above which a smoothed pixel belongs to the body. Muscle holds some per cent of a
target organ's concentration; our choice."""

OUTLINE_FWHM_MM = 20.0
"""Smoothing of the mean of both views before the body is told from what is beside it; our choice."""

LEAST_PIXELS = 20
"""Beside the body, for a level that is taken off; our choice."""

LEAST_ROWS = 3
"""Rows that a CT does not reach, from which on what they hold is a compartment: fewer are the blur of its border."""

LEAST_SAID = 0.01
"""Share of the body outside the CT from which on it is said: less is the blur of its border. Our choice."""

PATH_OUTSIDE, PATH_OUTSIDE_SD = 0.75, 0.2
"""Path through legs or head over that through the trunk on the CT, and its standard uncertainty: legs of 150 mm, a head
of 190 mm, a trunk of 220 mm. Our estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The body on views, shape (views, x, z), and the mean rate of a pixel beside it in each view."""

    coverage: FloatArray
    level: FloatArray
    drawn: bool

    def about(self, *, whole_body: bool) -> tuple[Message, ...]:
        """What must be known of a whole that is counted in the views."""
        how = "the region drawn around it" if self.drawn else "its outline found by counts"
        text = (
            f"the whole body is what the views count inside {how}, above the level beside it; what is no named organ "
            "is the rest of the body, attenuated by its whole thickness"
        )
        found = [Message("whole-body-by-counts", text, "draw a region named body if it is not so", "note")]
        if not whole_body:
            text = "the views are static: shares are of what they show, not of what lies above or below them"
            found.append(Message("views-not-of-the-whole-body", text, "take a whole-body scan, or `normalise` organs"))
        return tuple(found)


def outline_of(rates: PlanarRates, drawn: FloatArray | None = None) -> Outline:
    """The body on the views: as drawn, or where the smoothed mean of the views stands above what lies beside it.

    Parameters
    ----------
    rates : PlanarRates
        Of one time.
    drawn : ndarray, optional, shape (views, x, z)
        A region named body.
    """
    net = rates.net
    if drawn is None:
        mean = blurred(np.maximum(net, 0).mean(axis=0), rates.pixel_mm, OUTLINE_FWHM_MM)
        bright = float(np.percentile(mean, 99.5))
        low = float(mean.min())
        # Noise of a mean over the smoothing's disc, three standard uncertainties.
        pixels = max(math.pi * (OUTLINE_FWHM_MM / 2) ** 2 / math.prod(rates.pixel_mm), 1.0)
        noise = 3 * math.sqrt(float(np.percentile(rates.variance.mean(axis=0), 20)) / len(net) / pixels)
        inside = mean > low + max(OUTLINE_SHARE * (bright - low), noise)
        coverage = np.stack([inside.astype(np.float64)] * len(net))
    else:
        coverage = drawn
    beside = coverage == 0
    level = np.array([
        float(view[where].mean()) if int(where.sum()) >= LEAST_PIXELS else 0.0
        for view, where in zip(net, beside, strict=True)
    ])  # fmt: skip
    return Outline(coverage, np.maximum(level, 0.0), drawn is not None)


def with_outside(
    parts: OrganRates,
    rates: PlanarRates,
    seen: Projected,
    fit: ProjectedFit,
    *,
    path_mu: float | None = None,
    scattered_more: float = 1.0,
) -> tuple[OrganRates, tuple[Message, ...]]:
    """What the views count in rows that the CT does not reach, as an organ of its own; nothing where it reaches all.

    Parameters
    ----------
    parts : OrganRates
        Of the organs on the CT.
    rates : PlanarRates
        Of the views.
    seen : Projected
        The CT on the views.
    fit : ProjectedFit
        Of the organs: what scatters from them beyond the CT is not counted there.
    path_mu : float, optional
        Integral of the coefficient along the line of sight there; without it `PATH_OUTSIDE` of the mean on the CT.
    scattered_more : float
        Counts of the rest of the body with their scatter over those of a narrow beam, where scatter is not taken off.
    """
    reached = seen.body_mm.any(axis=0)
    if int((~reached).sum()) < LEAST_ROWS:
        return parts, ()
    outline = outline_of(rates)
    scattered = 0.0 if seen.other is None else np.einsum("k,kvxz->vxz", fit.cps, seen.other)
    net = (rates.net - outline.level[:, None, None] - scattered) * outline.coverage
    counted = net[:, :, ~reached].sum(axis=(1, 2))
    variance = (rates.variance * outline.coverage)[:, :, ~reached].sum(axis=(1, 2))
    inside = seen.body_mm > 0
    stated = path_mu is not None
    path = path_mu if path_mu is not None else PATH_OUTSIDE * float(seen.mu_body[inside].mean())
    counted = np.maximum(counted, 0.0)
    mean = float(np.prod(counted) ** (1 / len(counted)))
    if not mean > 0:
        return parts, ()
    transmission = math.exp(-path / 2)
    rate = mean / transmission / scattered_more
    relative = math.sqrt(float((variance / counted**2).sum())) / len(counted)
    spread = path / 2 * (PATH_OUTSIDE_SD / PATH_OUTSIDE if not stated else 0.05)
    cps = np.append(parts.cps, rate)
    covariance = {source: np.pad(part, (0, 1)) for source, part in parts.covariance.items()}
    covariance["counts"][-1, -1] = (relative * rate) ** 2
    own = np.zeros((len(cps), len(cps)))
    own[-1, -1] = (spread * rate) ** 2
    covariance[OUTSIDE] = own
    share = rate / float(cps.sum())
    notes = (
        () if share < LEAST_SAID else (_said_outside(share, transmission, int((~reached).sum()), seen, stated=stated),)
    )
    return replace(parts, names=(*parts.names, OUTSIDE), cps=cps, covariance=covariance), notes


def _said_outside(share: float, transmission: float, rows: int, seen: Projected, *, stated: bool) -> Message:
    how = "as stated" if stated else f"{PATH_OUTSIDE:g} of the path through the CT's body"
    text = (
        f"the views are {rows * seen.pixel_mm[1]:.0f} mm longer than the CT: what they count there, {100 * share:.1f} "
        f"% of the body, is {OUTSIDE!r}, with a transmission of {100 * transmission:.0f} % ({how})"
    )
    return Message("outside-the-ct", text, "state `body_thickness_mm` of what is outside, or give a longer CT")
