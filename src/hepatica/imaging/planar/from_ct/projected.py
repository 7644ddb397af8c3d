"""Organs of a CT in planar views: every pixel shared out among the organs that lie behind it.

Both views are fitted at once by the organs' templates (`projection`). Where several organs lie behind a pixel (the
base of the right lung before the liver, a tumour in it) its counts go to each by what the fit expects of it there; at
the solution the shares no longer change, which is what makes it one. What lies beside the organs is the rest of the
body, in proportion to its thickness, and an even level in each view: photons that crossed lead, or scattered far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core.message import Message
from hepatica.errors import InputError
from hepatica.imaging.planar.from_ct.montecarlo import OrganResponse
from hepatica.imaging.planar.from_ct.projection import REST, BodyModel, Projected, blurred, on_views
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL, Move, OrganRates, with_uncertainty
from hepatica.imaging.planar.rates import PlanarRates

FloatArray = NDArray[np.float64]

SIDES = ("anterior", "posterior")
"""In the order of the templates."""

WIDTHS_MM = (4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0)
"""Widths tried, from a low-energy collimator at a hand's breadth to a high-energy one at 35 cm."""

ROUNDS = 4
"""Fits, each weighted with the variance that the one before expects."""


@dataclass(frozen=True, slots=True, eq=False)
class ProjectedFit:
    """A fit of views by templates.

    Attributes
    ----------
    names : tuple of str
        Organs and the rest of the body.
    cps : ndarray, shape (organs,)
        Of each, in air.
    covariance : ndarray, shape (organs, organs)
        By counting.
    expected : ndarray, shape (views, x, z)
        What the fit expects of the views.
    parts : ndarray, shape (organs, views, x, z)
        What of it each organ is: the shares of a pixel.
    residual : float
        Mean square of what is left, over the variance by counting.
    """

    names: tuple[str, ...]
    cps: FloatArray
    covariance: FloatArray
    expected: FloatArray
    parts: FloatArray
    residual: float = 0.0


def fit_views(
    net: FloatArray,
    variance: FloatArray,
    seen: Projected,
    *,
    with_level: bool = True,
    beside: NDArray[np.bool_] | None = None,
) -> ProjectedFit:
    """Fit both views by the organs, none below zero.

    Parameters
    ----------
    net, variance : ndarray, shape (views, x, z)
        Count rates without scatter, and their variance by counting.
    seen : Projected
        Templates on the same pixels; only rows that the CT reaches are fitted.
    with_level : bool
        Fit an even level in each view beside the organs.
    beside : ndarray of bool, optional, shape (x, z)
        Pixels that are left out, since the CT does not show what lies there.

    Raises
    ------
    InputError
        If the organs are fewer than what is seen can tell apart.
    """
    templates = seen.total
    rows = seen.body_mm.any(axis=0)
    if not rows.any():
        raise InputError("the CT reaches no row of the planar views")
    fitted = np.broadcast_to(rows, net.shape[1:]) if beside is None else rows & ~beside
    columns = [templates[n][:, fitted].ravel() for n in range(len(templates))]
    if with_level:
        for view in range(len(net)):
            level = np.zeros((len(net), int(fitted.sum())))
            level[view] = 1.0 / level[view].size
            columns.append(level.ravel())
    design = np.stack(columns, axis=1)
    data, spread = net[:, fitted].ravel(), variance[:, fitted].ravel()
    # A pixel without counts is known no better than one with a fiftieth of the mean, else the empty edge of the field
    # would outweigh the organs; our choice.
    per_rate = float(spread.sum() / max(float(np.abs(data).sum()), 1e-30))
    floor = per_rate * max(float(data.mean()), 1e-12) * 0.02 + 1e-30
    excess = np.maximum(spread - per_rate * np.maximum(data, 0), 0)
    amounts = _amounts(design, data, np.full_like(data, 1.0))
    for _ in range(ROUNDS):
        weights = 1 / np.maximum(per_rate * (design @ amounts) + excess.mean(), floor)
        amounts = _amounts(design, data, weights)
    scaled = design * (weights * spread * weights)[:, None]
    normal = np.linalg.pinv(design.T @ (design * weights[:, None]))
    covariance = normal @ (design.T @ scaled) @ normal
    organs = len(templates)
    parts = amounts[:organs, None, None, None] * templates
    left = (data - design @ amounts) ** 2 / np.maximum(spread, floor)
    return ProjectedFit(
        seen.names, amounts[:organs], covariance[:organs, :organs], parts.sum(axis=0), parts, float(left.mean())
    )


def _amounts(design: FloatArray, data: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted least squares with no amount below zero, by the normal equations."""
    from scipy.optimize import nnls

    normal = design.T @ (design * weights[:, None])
    right = design.T @ (data * weights)
    scale = 1 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    factor = np.linalg.cholesky(normal * np.outer(scale, scale) + 1e-10 * np.eye(len(scale)))
    found, _ = nnls(factor.T, np.linalg.solve(factor, right * scale))
    return np.asarray(found * scale)


@dataclass(frozen=True, slots=True, eq=False)
class ProjectedMeasurement:
    """Views, a CT's structures, and where they lie: a measurement whose inputs can be moved."""

    rates: PlanarRates
    body: BodyModel
    offset: tuple[float, float]
    fwhm_mm: float
    mu_scale: float = 1.0
    level: bool | None = None
    response: OrganResponse | None = None
    beside: NDArray[np.bool_] | None = None

    @property
    def with_level(self) -> bool:
        """Whether an even level is fitted beside the organs: where scatter is simulated only if it is asked for."""
        return self.response is None if self.level is None else self.level

    def projected(self, move: Move = STILL) -> Projected:
        """Templates of the views that there are, on the CT's own pixels."""
        width = max(self.fwhm_mm + move.width_mm, 0.0)
        found = self.body.projected(mu_scale=self.mu_scale * move.attenuation, fwhm_mm=width)
        if self.response is not None:
            found = self.response.applied_to(found)
        sides = [SIDES.index(side) for side in self.rates.sides]
        other = None if found.other is None else found.other[:, sides]
        return replace(found, templates=found.templates[:, sides], other=other)

    def seen(self, move: Move) -> Projected:
        """Templates at a state of the inputs."""
        place = tuple(o + s / p for o, s, p in zip(self.offset, move.shift_mm, self.rates.pixel_mm, strict=True))
        _, columns, rows = self.rates.rate.shape
        return on_views(self.projected(move), (columns, rows), (place[0], place[1]))

    def scattered_more(self) -> float:
        """All that the views count of the rest of the body over a narrow beam without scatter; 1 without response."""
        if self.response is None:
            return 1.0
        whole, rest = self.projected(), self.body.names.index(REST)
        sides = [SIDES.index(side) for side in self.rates.sides]
        narrow = whole.templates[rest].sum(axis=(1, 2)) / self.response.gain[rest, sides]
        ratio = whole.total[rest].sum(axis=(1, 2)) / narrow
        return float(np.prod(ratio) ** (1 / len(ratio)))

    def fit(self, move: Move, seen: Projected) -> ProjectedFit:
        """The fit."""
        net = self.rates.without(move.scatter, move.scatter_left)
        grown = seen
        if move.border_mm:
            templates = seen.templates.copy()
            for name, outward in move.border_mm.items():
                n = seen.names.index(name)
                templates[n] = _grown(templates[n], outward, seen.pixel_mm)
            grown = replace(seen, templates=templates)
        if seen.other is not None:
            grown = replace(grown, other=seen.other * move.scatter)
        return fit_views(net, self.rates.variance, grown, with_level=self.with_level, beside=self.beside)


def fitted_fwhm(measurement: ProjectedMeasurement) -> float:
    """Width of the camera's response, mm FWHM at the patient's middle, that leaves least of the views unexplained."""
    plain = replace(measurement, fwhm_mm=0.0).seen(STILL)

    def left(fwhm_mm: float) -> float:
        templates = np.stack([
            [blurred(view, plain.pixel_mm, fwhm_mm) for view in views] for views in plain.templates
        ])  # fmt: skip
        return measurement.fit(STILL, replace(plain, templates=templates)).residual

    widths = list(WIDTHS_MM)
    found = [left(width) for width in widths]
    best = int(np.argmin(found))
    if 0 < best < len(widths) - 1:
        low, middle, high = found[best - 1 : best + 2]
        curve = low - 2 * middle + high
        step = widths[1] - widths[0]
        return widths[best] + step * (0.5 * (low - high) / curve if curve > 0 else 0.0)
    return widths[best]


def projected_rates(
    measurement: ProjectedMeasurement, uncertainty: PlanarUncertaintyOptions, messages: tuple[Message, ...] = ()
) -> tuple[OrganRates, ProjectedFit, Projected]:
    """Rates of the organs with their uncertainty, the fit, and the templates on the views."""
    seen = measurement.seen(STILL)
    best = measurement.fit(STILL, seen)
    rest = best.names.index(REST)

    def measure(move: Move) -> FloatArray:
        again = move.attenuation != 1.0 or move.width_mm != 0.0 or any(move.shift_mm)
        found = measurement.fit(move, measurement.seen(move) if again else seen).cps
        if move.background != 1.0:
            # A rest of the body that is not where its thickness says puts a part of itself into the organs.
            taken = (move.background - 1.0) * best.parts[rest]
            net = measurement.rates.net - taken
            return fit_views(
                net, measurement.rates.variance, seen, with_level=measurement.with_level, beside=measurement.beside
            ).cps
        return found

    moves = projected_moves(best.names, uncertainty) | left_moves(measurement.rates, uncertainty)
    rates = with_uncertainty(
        best.names, measure, best.covariance, moves, uniformity=uncertainty.uniformity_sd, messages=messages
    )
    if measurement.response is not None:
        found = response_covariance(measurement, measurement.response, best.cps)
        rates = replace(rates, covariance={**rates.covariance, **found})
    return rates, best, seen


def response_covariance(
    measurement: ProjectedMeasurement, response: OrganResponse, still: FloatArray
) -> dict[str, FloatArray]:
    """By the noise of the Monte Carlo, leaving out each of its parts, by the place of the heads, and by an even level.

    An even level beside what is simulated (the room, or what the camera's model lacks) is not fitted: where the model
    is a little off it would take from the lungs. Anything between none of it and all of it is as likely: what it would
    change, over the root of 3, is a standard uncertainty (JCGM 100:2008, 4.3.7).
    """

    def cps(other: OrganResponse, *, level: bool = False) -> FloatArray:
        again = replace(measurement, response=other, level=level)
        return again.fit(STILL, again.seen(STILL)).cps

    parts = np.stack([cps(one) for one in response.left_out]) if response.left_out else still[None]
    apart = parts - parts.mean(axis=0)
    found = {"Monte Carlo": apart.T @ apart * (len(parts) - 1) / len(parts)}
    steps = {"even level": (cps(response, level=True) - still) / math.sqrt(3)}
    if response.farther is not None:
        steps["place of the heads"] = cps(response.farther) - still
    return found | {source: np.outer(step, step) for source, step in steps.items()}


def left_moves(rates: PlanarRates, uncertainty: PlanarUncertaintyOptions) -> dict[str, Sequence[tuple[Move, Move]]]:
    """Scatter left in the counts, where the method leaves some."""
    left = uncertainty.scatter_left_sd
    return {"scatter left": [(Move(scatter_left=left), Move(scatter_left=-left))]} if rates.leaves_scatter else {}


def projected_moves(
    names: Sequence[str], uncertainty: PlanarUncertaintyOptions
) -> dict[str, Sequence[tuple[Move, Move]]]:
    """Each input one standard uncertainty up and down."""
    a, s, b = uncertainty.attenuation_sd, uncertainty.scatter_sd, uncertainty.background_sd
    p, e, w = uncertainty.position_sd_mm, uncertainty.border_sd_mm, uncertainty.resolution_sd_mm
    return {
        "attenuation": [(Move(attenuation=1 + a), Move(attenuation=1 - a))],
        "scatter": [(Move(scatter=1 + s), Move(scatter=1 - s))],
        "background": [(Move(background=1 + b), Move(background=1 - b))],
        "resolution": [(Move(width_mm=w), Move(width_mm=-w))],
        "position": [(Move(shift_mm=(p, 0.0)), Move(shift_mm=(-p, 0.0))),
                     (Move(shift_mm=(0.0, p)), Move(shift_mm=(0.0, -p)))],
        "border": [(Move(border_mm={n: e}), Move(border_mm={n: -e})) for n in names if n != REST],
    }  # fmt: skip


def _grown(templates: FloatArray, outward_mm: float, pixel_mm: tuple[float, float]) -> FloatArray:
    """Templates of an organ whose border lies farther out, its activity the same: scaled about their middle."""
    from scipy import ndimage

    out = []
    for image in templates:
        total = image.sum()
        if not total > 0:
            out.append(image)
            continue
        place = np.indices(image.shape)
        centre = [(place[k] * image).sum() / total for k in (0, 1)]
        # Of a disc with this spread; 2 sd is its radius.
        radius = [2 * np.sqrt(((place[k] - centre[k]) ** 2 * image).sum() / total) * pixel_mm[k] for k in (0, 1)]
        zoom = [max(1 + outward_mm / max(r, 1.0), 0.2) for r in radius]
        offset = [c - c / z for c, z in zip(centre, zoom, strict=True)]
        grown = ndimage.affine_transform(image, np.diag([1 / z for z in zoom]), offset=offset, order=1)
        # The projection of an even organ keeps its counts, but for what more of itself absorbs.
        out.append(grown * (total / max(float(grown.sum()), 1e-30)))
    return np.asarray(out)
