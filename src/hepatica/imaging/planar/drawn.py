"""Regions drawn on planar views: the geometric mean of each, as MIRD Pamphlet 16 has it.

Background lies beside the organs; before and behind an organ there is less of it, by the share of the body that the
organ is. Where drawn regions overlap, each pixel is shared out by what thickness of each organ lies there and how much
of a millimetre each holds, fitted to the mean of both views; the shares then apply to each view's own counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.planar.conjugate import geometric_mean, self_attenuation
from hepatica.imaging.planar.from_ct.projection import REST, blurred
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL, Move, OrganRates, with_uncertainty
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.whole_body import Outline

FloatArray = NDArray[np.float64]

SMOOTHING_MM = 15.0
"""Of the mean image from which shares are fitted, full width: a share is of places, not of single counts."""

SINGLE_VIEW = Message(
    "single-view",
    "there is one view: attenuation is corrected by the depth of each organ's middle, half the body's thickness where "
    "no CT shows it; the geometric mean of two views does not depend on it",
    "acquire both views",
)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnOrgan:
    """A region as it is drawn on each view.

    Attributes
    ----------
    name : str
        Of the organ.
    coverage : ndarray, shape (views, x, z)
        Covered fraction of each pixel, both views as the anterior one is seen.
    thickness_mm : float or None
        Of the organ, for self-attenuation, background and shares.
    """

    name: str
    coverage: FloatArray
    thickness_mm: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMeasurement:
    """Views and regions: a measurement whose inputs can be moved.

    Attributes
    ----------
    rates : PlanarRates
        Count rates.
    organs : tuple of DrawnOrgan
        In order of precedence only for their names; where they overlap counts are shared.
    background : ndarray or None, shape (views, x, z)
        Beside the organs.
    mu_body : ndarray, shape (x, z)
        Integral of the coefficient along the line of sight.
    mu_per_mm : float
        Of soft tissue.
    body_mm : ndarray, shape (x, z)
        Thickness of the body, 0 where it is not known.
    outline : Outline or None
        Of the body, whose rest is then measured too, last.
    """

    rates: PlanarRates
    organs: tuple[DrawnOrgan, ...]
    background: FloatArray | None
    mu_body: FloatArray
    mu_per_mm: float
    body_mm: FloatArray
    outline: Outline | None = None

    def measure(self, move: Move = STILL) -> FloatArray:
        """Rates of the organs in air at a state of the inputs."""
        return self.detailed(move)[0]

    def detailed(self, move: Move = STILL) -> tuple[FloatArray, FloatArray]:
        """Rates, and their variances by counting."""
        rates = self.rates
        net = rates.without(move.scatter, move.scatter_left)
        coverage = np.stack([
            _bordered(organ.coverage, move.border_mm.get(organ.name, 0.0), rates.pixel_mm) for organ in self.organs
        ])  # fmt: skip
        thickness = np.array([
            (organ.thickness_mm or 0.0) * move.organ_thickness.get(organ.name, 1.0) for organ in self.organs
        ])  # fmt: skip
        if any(move.shift_mm):
            from hepatica.imaging.planar.from_ct.projection import moved

            coverage = moved(coverage, *(s / p for s, p in zip(move.shift_mm, rates.pixel_mm, strict=True)))
        level, level_variance = self._background(net)
        body = np.where(self.body_mm > 0, np.maximum(self.body_mm + move.body_mm, 1.0), 0.0)
        inside = np.einsum("kvxz,k->vxz", coverage, thickness)
        covered = np.clip(np.divide(inside, body, out=np.zeros_like(inside), where=body > 0), 0.0, 1.0)
        apart = (1 - covered) * move.background
        whole, net = net, net - level[:, None, None] * apart
        shares = self._shares(net, coverage, thickness)
        mu_body = move.attenuation * (self.mu_body + self.mu_per_mm * move.body_mm * (self.mu_body > 0))
        found, spread = [], []
        for organ, share, thick in zip(self.organs, shares, thickness, strict=True):
            counted = (share * net).sum(axis=(1, 2))
            variance = (share**2 * rates.variance).sum(axis=(1, 2))
            variance = variance + (share * apart).sum(axis=(1, 2)) ** 2 * level_variance
            weight = share.mean(axis=0)
            where = weight > 0
            # The mean of the transmission over the organ, as the views see it.
            mean = float((weight * np.exp(-mu_body / 2))[where].sum() / max(weight[where].sum(), 1e-30))
            factor = mean * float(1 / self_attenuation(move.attenuation * self.mu_per_mm * thick))
            value, value_variance = _of_views(organ.name, counted, variance)
            found.append(value / factor)
            spread.append(value_variance / factor**2)
        if self.outline is not None:
            value, value_variance = self._rest(whole, net, shares, mu_body)
            found.append(value)
            spread.append(value_variance)
        return np.array(found), np.array(spread)

    def _rest(self, whole: FloatArray, net: FloatArray, shares: FloatArray, mu_body: FloatArray) -> tuple[float, float]:
        """What the body holds beside the organs, even over its thickness, and the variance by counting."""
        assert self.outline is not None
        body, level = self.outline.coverage, self.outline.level
        organs = shares.sum(axis=0)
        counted = (body * (whole - level[:, None, None])).sum(axis=(1, 2)) - (organs * net * body).sum(axis=(1, 2))
        variance = ((body * (1 - np.minimum(organs, 1))) ** 2 * self.rates.variance).sum(axis=(1, 2))
        counted = np.maximum(counted, 0.0)
        weight = np.clip(body - organs, 0, 1).mean(axis=0)
        weight = weight if weight.sum() > 0 else body.mean(axis=0)
        # Even over the thickness of the body: each pixel sees its own transmission.
        seen = np.exp(-mu_body / 2) / self_attenuation(mu_body)
        factor = float((weight * seen).sum() / max(weight.sum(), 1e-30))
        mean = float(np.prod(counted) ** (1 / len(counted)))
        if not mean > 0:
            return 0.0, float(variance.sum()) / factor**2
        relative = float((variance / counted**2).sum()) / len(counted) ** 2
        return mean / factor, (mean / factor) ** 2 * relative

    def _background(self, net: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean rate of a pixel beside the organs in each view, and its variance."""
        if self.background is None:
            return np.zeros(len(net)), np.zeros(len(net))
        pixels = self.background.sum(axis=(1, 2))
        if not pixels.all():
            raise InputError("the background region lies outside one of the views", remedy="draw it on both views")
        mean = (self.background * net).sum(axis=(1, 2)) / pixels
        return mean, (self.background**2 * self.rates.variance).sum(axis=(1, 2)) / pixels**2

    def _shares(self, net: FloatArray, coverage: FloatArray, thickness: FloatArray) -> FloatArray:
        """What of each pixel is whose, shape (organs, views, x, z)."""
        total = coverage.sum(axis=0)
        if not (total > 1 + 1e-3).any():
            return coverage
        from scipy.optimize import nnls

        thick = np.where(thickness > 0, thickness, 1.0)
        image = np.stack([blurred(np.maximum(view, 0), self.rates.pixel_mm, SMOOTHING_MM) for view in net])
        mean = np.sqrt(np.prod(image, axis=0)) if len(image) == 2 else image[0]
        both = coverage.mean(axis=1)
        where = both.sum(axis=0) > 0
        design = (both * thick[:, None, None])[:, where].T
        density, _ = nnls(design, mean[where])
        held = coverage * (density * thick)[:, None, None, None]
        whole = held.sum(axis=0)
        even = np.divide(coverage, total, out=np.zeros_like(coverage), where=total > 0)
        shares = np.divide(held, whole, out=even, where=whole > 0)
        return np.asarray(shares * np.minimum(total, 1.0))


def _of_views(name: str, counted: FloatArray, variance: FloatArray) -> tuple[float, float]:
    """Geometric mean of two views, or the one view's own."""
    if len(counted) == 2:
        pairs = [(float(n), float(v)) for n, v in zip(counted, variance, strict=True)]
        return geometric_mean(name, pairs[0], pairs[1])
    if counted[0] <= 0:
        raise InputError(f"{name}: nothing above background in the one view; check the background region")
    return float(counted[0]), float(variance[0])


def _bordered(coverage: FloatArray, outward_mm: float, pixel_mm: tuple[float, float]) -> FloatArray:
    """A region whose border lies farther out (or in): the signed distance to it, moved."""
    if not outward_mm:
        return coverage
    from scipy import ndimage

    out = []
    for view in coverage:
        inside = view >= 0.5
        if not inside.any():
            out.append(view)
            continue
        distance = ndimage.distance_transform_edt(inside, pixel_mm) - ndimage.distance_transform_edt(~inside, pixel_mm)
        # Half a pixel on either side of the border: a fraction, so that a move by less than a pixel counts.
        size = float(np.mean(pixel_mm))
        now, then = (np.clip((distance + by) / size, 0, 1) for by in (0.0, outward_mm))
        out.append(np.clip(view + then - now, 0, 1))
    return np.asarray(out)


def drawn_rates(
    measurement: DrawnMeasurement,
    uncertainty: PlanarUncertaintyOptions,
    messages: tuple[Message, ...] = (),
    *,
    stated_thickness: bool,
) -> OrganRates:
    """Rates of the organs with their uncertainty.

    Parameters
    ----------
    measurement : DrawnMeasurement
        Views and regions.
    uncertainty : PlanarUncertaintyOptions
        Of its inputs.
    messages : tuple of Message
        What must be known.
    stated_thickness : bool
        Whether the body's thickness was stated, not seen by a CT or a transmission scan.
    """
    _, spread = measurement.detailed()
    names = [organ.name for organ in measurement.organs]
    moves = drawn_moves(names, measurement.rates, uncertainty, stated_thickness=stated_thickness)
    every = names if measurement.outline is None else [*names, REST]
    return with_uncertainty(
        every, measurement.measure, np.diag(spread), moves, uniformity=uncertainty.uniformity_sd, messages=messages
    )


def drawn_moves(
    names: Sequence[str], rates: PlanarRates, uncertainty: PlanarUncertaintyOptions, *, stated_thickness: bool
) -> Mapping[str, Sequence[tuple[Move, Move]]]:
    """Each input one standard uncertainty up and down."""
    a, s, b = uncertainty.attenuation_sd, uncertainty.scatter_sd, uncertainty.background_sd
    e, t = uncertainty.border_sd_mm, uncertainty.organ_thickness_sd
    moves = {
        "attenuation": [(Move(attenuation=1 + a), Move(attenuation=1 - a))],
        "scatter": [(Move(scatter=1 + s), Move(scatter=1 - s))],
        "background": [(Move(background=1 + b), Move(background=1 - b))],
        "border": [(Move(border_mm={n: e}), Move(border_mm={n: -e})) for n in names],
        "organ thickness": [(Move(organ_thickness={n: 1 + t}), Move(organ_thickness={n: 1 - t})) for n in names],
    }
    if rates.leaves_scatter:
        left = uncertainty.scatter_left_sd
        moves["scatter left"] = [(Move(scatter_left=left), Move(scatter_left=-left))]
    if stated_thickness:
        d = uncertainty.thickness_sd_mm
        moves["body thickness"] = [(Move(body_mm=d), Move(body_mm=-d))]
    return moves


__all__ = ["SINGLE_VIEW", "DrawnMeasurement", "DrawnOrgan", "drawn_moves", "drawn_rates"]
