"""What the views count of the body as a whole: its outline, the level beside it, and what lies outside a CT."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message, Severity
from hepatica.imaging.planar.from_ct.projected import ProjectedFit
from hepatica.imaging.planar.from_ct.projection import Projected, blurred
from hepatica.imaging.planar.organs import OrganRates
from hepatica.imaging.planar.rates import PlanarRates

FloatArray = NDArray[np.float64]

OUTSIDE = "outside the CT"
CUT = "cut off by the CT"
"""Source of uncertainty: an organ goes on beyond the CT."""

OUTLINE_SHARE = 0.01
"""Of the brightest pixels' counts, above which a smoothed pixel belongs to the body. Muscle holds some per cent of a
target organ's concentration; our choice."""

OUTLINE_FWHM_MM = 20.0
"""Smoothing of the mean of both views before the body is told from what is beside it; our choice."""

LEAST_PIXELS = 20
"""Beside the body, for a level that is taken off; our choice."""

LEAST_MISSED, MOST_MISSED = 0.02, 0.05
"""Share of the counts beside an outline found by counts, from which on it is said, and is critical. Our choice."""

LEAST_ROWS = 3
"""Rows that a CT does not reach, from which on what they hold is a compartment: fewer are the blur of its border."""

LEAST_SAID = 0.01
"""Share of the body outside the CT from which on it is said: less is the blur of its border. Our choice."""

PATH_OUTSIDE, PATH_OUTSIDE_SD = 0.75, 0.2
"""Path through legs or head over that through the trunk on the CT, and its standard uncertainty: legs of 150 mm, a head
of 190 mm, a trunk of 220 mm. Our estimate."""

PATH_BESIDE, PATH_BESIDE_SD = 0.4, 0.15
"""The same of arms beside the trunk, 90 mm thick. Our estimate."""

REACH_MM = 300.0
"""How far an organ that a CT cuts off may go on beyond it: lungs are 250 to 300 mm long. Our choice."""

BESIDE_MM = 30.0
"""From the CT's body, beyond which its counts are not blurred: two widths of a high-energy collimator. Our choice."""

DARKEST = 10.0
"""Percentile of the smoothed pixels beside the body that is taken for an even level. Our choice."""

MOST_BESIDE = 0.03
"""Share of the counts beside the CT's body from which on they are a compartment of their own: of 188Re with
septal penetration the Monte Carlo camera has 1 %, arms hold a tenth of the body's muscle. Our choice."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The body on views.

    Attributes
    ----------
    coverage : ndarray, shape (views, x, z)
        Of each pixel.
    level : ndarray, shape (views,)
        Mean rate of a pixel beside it.
    drawn : bool
        Whether it was drawn.
    missed : float
        Share of all counts above the darkest place that lie beside an outline which was found.
    """

    coverage: FloatArray
    level: FloatArray
    drawn: bool
    missed: float = 0.0

    def about(self, *, whole_body: bool) -> tuple[Message, ...]:
        """What must be known of a whole that is counted in the views."""
        how = "the region drawn around it" if self.drawn else "its outline found by counts"
        text = (
            f"the whole body is what the views count inside {how}, above the level beside it; what is no named organ "
            "is the rest of the body, attenuated by its whole thickness"
        )
        found = [Message("whole-body-by-counts", text, "draw a region named body if it is not so", "note")]
        if self.missed > LEAST_MISSED:
            text = (
                f"{100 * self.missed:.0f} % of the views' counts lie beside the outline of the body that was found by "
                "counts: a body that holds little beside its organs is larger than that, and the rest of it reads low"
            )
            severity: Severity = "critical" if self.missed > MOST_MISSED else "warning"
            found.append(Message("body-outline-unsure", text, "draw a region named body on the views", severity))
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
    level = np.maximum(level, 0.0)
    if drawn is not None:
        return Outline(coverage, level, drawn=True)
    where = beside.all(axis=0)
    if int(where.sum()) < LEAST_PIXELS:
        return Outline(coverage, level, drawn=False)
    dark = np.array([np.percentile(blurred(view, rates.pixel_mm, OUTLINE_FWHM_MM)[where], DARKEST) for view in net])
    above = net - np.maximum(dark, 0.0)[:, None, None]
    missed = float(above[:, where].sum()) / max(float(above.sum()), 1e-30)
    return Outline(coverage, level, drawn=False, missed=max(missed, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Besides:
    """What the views count beside the CT's body, in rows that the CT reaches.

    Attributes
    ----------
    pixels : ndarray of bool, shape (x, z)
        Beside the body; none of them where too little is counted there.
    level : ndarray, shape (views,)
        Mean rate of a pixel at the darkest place beside the body.
    share : float
        Of all counts in these rows.
    """

    pixels: NDArray[np.bool_]
    level: FloatArray
    share: float

    def about(self) -> tuple[Message, ...]:
        """A critical message where something is counted there."""
        if not self.pixels.any():
            return ()
        text = (
            f"the views count {100 * self.share:.0f} % beside the body that the CT shows: arms outside its field, or "
            f"contamination; it is in {OUTSIDE!r} with a rough attenuation, and belongs to the body"
        )
        remedy = "give a CT with the arms where they were, or views without them; check clothes and the room"
        return (Message("counts-beside-the-ct", text, remedy, "critical"),)


def besides(rates: PlanarRates, seen: Projected) -> Besides:
    """What is counted farther than `BESIDE_MM` beside the CT's body, above the darkest place there.

    Parameters
    ----------
    rates : PlanarRates
        Of the views.
    seen : Projected
        The CT on the views.
    """
    from scipy import ndimage

    nothing = Besides(np.zeros(seen.body_mm.shape, bool), np.zeros(len(rates.net)), 0.0)
    reached = np.broadcast_to(seen.body_mm.any(axis=0), seen.body_mm.shape)
    apart = np.asarray(ndimage.distance_transform_edt(seen.body_mm <= 0, seen.pixel_mm))
    pixels = reached & (apart > BESIDE_MM)
    if int(pixels.sum()) < LEAST_PIXELS:
        return nothing
    smooth = np.stack([blurred(view, rates.pixel_mm, OUTLINE_FWHM_MM) for view in rates.net])
    level = np.maximum(np.percentile(smooth[:, pixels], DARKEST, axis=1), 0.0)
    above = float((rates.net[:, pixels].sum(axis=1) - level * int(pixels.sum())).sum())
    share = above / max(float((rates.net[:, reached].sum(axis=1) - level * int(reached.sum())).sum()), 1e-30)
    return Besides(pixels, level, share) if share > MOST_BESIDE else replace(nothing, share=share)


@dataclass(frozen=True, slots=True, eq=False)
class Beyond:
    """What a CT does not hold.

    Attributes
    ----------
    beside : Besides
        Counts beside its body.
    cut : tuple of (tuple of str, bool, bool)
        Organs that its ends cut off, those of one kind together: names, and whether at the head's and the feet's end.
    path_mu : float or None
        Integral of the coefficient along the line of sight outside; without it `PATH_OUTSIDE` of the mean on the CT.
    """

    beside: Besides
    cut: tuple[tuple[tuple[str, ...], bool, bool], ...] = ()
    path_mu: float | None = None


def with_outside(
    parts: OrganRates,
    rates: PlanarRates,
    seen: Projected,
    fit: ProjectedFit,
    beyond: Beyond,
    *,
    scattered_more: float = 1.0,
) -> tuple[OrganRates, tuple[Message, ...]]:
    """What the views count where the CT shows nothing, as an organ of its own; nothing where it shows all.

    An organ that the CT's end cuts off goes on beyond it: of what is counted within `REACH_MM` of that end anything
    from nothing to all is its own, as likely each (for several organs, any division among them and the rest), so that
    its rate holds the mean of that and its uncertainty all of it (JCGM 100:2008, 4.3.7).

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
    beyond : Beyond
        What the CT does not hold.
    scattered_more : float
        Counts of the rest of the body with their scatter over those of a narrow beam, where scatter is not taken off.
    """
    reached = seen.body_mm.any(axis=0)
    long = int((~reached).sum()) >= LEAST_ROWS
    if not long and not beyond.beside.pixels.any():
        return parts, _said_cut(beyond.cut, None)
    outline = outline_of(rates)
    scattered = 0.0 if seen.other is None else np.einsum("k,kvxz->vxz", fit.cps, seen.other)
    net = (rates.net - outline.level[:, None, None] - scattered) * outline.coverage
    stated, body = beyond.path_mu is not None, float(seen.mu_body[seen.body_mm > 0].mean())
    path = beyond.path_mu if beyond.path_mu is not None else PATH_OUTSIDE * body
    spread = path / 2 * (PATH_OUTSIDE_SD / PATH_OUTSIDE if not stated else 0.05)
    rows = np.flatnonzero(reached)
    number, near = np.arange(reached.size), REACH_MM / seen.pixel_mm[1]
    head = (number < rows[0]) & (number >= rows[0] - near)
    feet = (number > rows[-1]) & (number <= rows[-1] + near)
    transmission = math.exp(-path / 2)
    every = ~reached if long else np.zeros_like(reached)
    rate, variance = _mean_rate(net[:, :, every], (rates.variance * outline.coverage)[:, :, every])
    rate, variance = rate / transmission / scattered_more, variance / (transmission * scattered_more) ** 2
    ends = [_mean_rate(net[:, :, every & end], net[:, :, every & end])[0] / transmission / scattered_more
            for end in (head, feet)]  # fmt: skip
    pixels = beyond.beside.pixels
    own = (rates.net - beyond.beside.level[:, None, None])[:, pixels]
    aside, more = _mean_rate(own, rates.variance[:, pixels])
    through = math.exp(-PATH_BESIDE * body / 2) * scattered_more
    total = rate + aside / through
    if not total > 0:
        return parts, _said_cut(beyond.cut, None)
    cps = np.append(parts.cps, total)
    covariance = {source: np.pad(part, (0, 1)) for source, part in parts.covariance.items()}
    covariance["counts"][-1, -1] = variance + more / through**2
    of_path = np.zeros((len(cps), len(cps)))
    of_path[-1, -1] = (spread * rate) ** 2 + (PATH_BESIDE_SD * body / 2 * aside / through) ** 2
    covariance[OUTSIDE] = of_path
    found = replace(parts, names=(*parts.names, OUTSIDE), cps=cps, covariance=covariance)
    notes = _said_cut(beyond.cut, (ends[0] / total, ends[1] / total))
    if long and rate / float(cps.sum()) >= LEAST_SAID:
        share = rate / float(cps.sum())
        notes = (_said_outside(share, transmission, int((~reached).sum()), seen, stated=stated), *notes)
    return _continued(found, beyond.cut, (ends[0] / total, ends[1] / total)), notes


def _mean_rate(net: FloatArray, variance: FloatArray) -> tuple[float, float]:
    """Geometric mean of the views' sums, and its variance; nothing where a view holds nothing."""
    views = len(net)
    counted, spread = (part.reshape(views, -1).sum(axis=1) for part in (net, variance))
    if not (counted > 0).all():
        return 0.0, 0.0
    mean = float(np.prod(counted) ** (1 / views))
    return mean, float((spread / counted**2).sum()) * (mean / views) ** 2


def _continued(
    found: OrganRates, cut: tuple[tuple[tuple[str, ...], bool, bool], ...], shares: tuple[float, float]
) -> OrganRates:
    """Organs that an end cuts off with their part of what is beyond it: a flat Dirichlet distribution."""
    index = {name: n for n, name in enumerate(found.names)}
    size, total = len(found.names), float(found.cps[-1])
    move, apart = np.eye(size), np.zeros((size, size))
    outside = np.eye(size)[-1]
    for end, share in enumerate(shares):
        groups = [names for names, *ends in cut if ends[end]]
        if not groups or not share > 0:
            continue
        lines = [outside]
        for names in groups:
            weights = np.array([found.cps[index[name]] for name in names]) + 1e-12
            line = np.zeros(size)
            line[[index[name] for name in names]] = weights / weights.sum()
            lines.append(line)
        kinds, basis = len(lines), np.stack(lines, axis=1)
        move[:, -1] += share * (basis.mean(axis=1) - outside)
        each = (np.eye(kinds) / kinds - 1 / kinds**2) / (kinds + 1)
        apart += (share * total) ** 2 * basis @ each @ basis.T
    if not apart.any():
        return found
    covariance = {source: move @ part @ move.T for source, part in found.covariance.items()}
    return replace(found, cps=move @ found.cps, covariance={**covariance, CUT: apart})


def _said_cut(
    cut: tuple[tuple[tuple[str, ...], bool, bool], ...], shares: tuple[float, float] | None
) -> tuple[Message, ...]:
    """A critical message where the CT's end cuts organs off."""
    if not cut:
        return ()
    names = ", ".join(name for group, *_ in cut for name in group)
    if shares is None:
        then = "what lies beyond is in no share, and there is no lung shunt"
    else:
        then = (
            f"anything between none and all of what the views count within {REACH_MM:g} mm beyond it may be theirs; "
            "their shares hold the mean of that, the intervals all of it"
        )
    text = f"the CT ends inside {names}: {then}"
    return (Message("structure-cut-by-ct", text, "give a CT of the whole organ, with its structures", "critical"),)


def _said_outside(share: float, transmission: float, rows: int, seen: Projected, *, stated: bool) -> Message:
    how = "as stated" if stated else f"{PATH_OUTSIDE:g} of the path through the CT's body"
    text = (
        f"the views are {rows * seen.pixel_mm[1]:.0f} mm longer than the CT: what they count there, {100 * share:.1f} "
        f"% of the body, is {OUTSIDE!r}, with a transmission of {100 * transmission:.0f} % ({how})"
    )
    return Message("outside-the-ct", text, "state `body_thickness_mm` of what is outside, or give a longer CT")
