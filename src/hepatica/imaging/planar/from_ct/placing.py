"""Where a CT lies on planar views: as stated, by a common frame of reference, or where its structures fit best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hepatica.core.message import Message
from hepatica.errors import GeometryError
from hepatica.imaging.planar.from_ct.projected import ProjectedFit, ProjectedMeasurement, fitted_fwhm, projected_rates
from hepatica.imaging.planar.from_ct.projection import REST, Projected, on_views, place_of_ct, stated_place
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL, OrganRates, share_interval
from hepatica.imaging.planar.orientation import WAYS, FloatArray
from hepatica.imaging.planar.rates import PlanarRates
from hepatica.imaging.planar.whole_body import Besides, besides

POORLY_EXPLAINED = 0.85
"""Share of the views that structures of a CT explain at the best place, below which it is said. On virtual patients it
is 0.93 to 0.98; our choice."""

TURNED = 0.03
"""By how much more of the views must be explained turned than as they are: between places of one patient the share
moves by less. Our choice."""

MOST_CUT = 0.9
"""Share of an organ's counts that the views hold, below which it is said. Our choice."""

LEAST_MOVED = 0.005
"""Share by which another place of the CT must move an organ at least for it to be said. Our choice."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Columns and rows of the CT's first pixel on the views: as it is laid, and where its structures fit best."""

    offset: tuple[float, float]
    best: tuple[float, float]
    explained_best: float
    how: Literal["stated", "frame", "best"]


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Organs at one place of the CT."""

    measurement: ProjectedMeasurement
    parts: OrganRates
    fit: ProjectedFit
    seen: Projected
    beside: Besides


def place_of(
    rates: PlanarRates,
    plain: Projected,
    ct_place_mm: tuple[float, float],
    place_mm: tuple[float, float] | None,
    offset_mm: tuple[float, float] | None,
) -> Place:
    """As stated, by the common frame of reference, or where the structures explain the views best."""
    pixel, shape, size = rates.pixel_mm, rates.rate.shape[1:], plain.body_mm.shape
    best, explained = place_of_ct(rates.net, plain)
    if offset_mm is not None:
        offset = stated_place(offset_mm, (shape[0], shape[1]), (size[0], size[1]), pixel)
        return Place(offset, best, explained, "stated")
    if place_mm is not None:
        offset = ((ct_place_mm[0] - place_mm[0]) / pixel[0], (place_mm[1] - ct_place_mm[1]) / pixel[1])
        return Place(offset, best, explained, "frame")
    return Place(best, best, explained, "best")


def settled_at(
    blank: ProjectedMeasurement, place: Place, fwhm_mm: float | None, uncertainty: PlanarUncertaintyOptions
) -> tuple[Settled, tuple[float, float], list[Message]]:
    """Organs at the place that holds, that place, and what must be said of it.

    Where the place of the common frame of reference would move an organ beyond its interval against the place that
    fits the views best, the patient lay otherwise: the latter holds. A stated place is kept, and it is said.
    """
    found = _at(blank, place.offset, fwhm_mm, uncertainty)
    if place.how == "best":
        return found, place.offset, _about_place(blank, place, place.offset, (), uncertainty)
    names = list(found.parts.names)
    there = replace(found.measurement, offset=place.best)
    other = there.fit(STILL, there.seen(STILL)).cps
    here, share = found.parts, other / max(float(other.sum()), 1e-30)
    moved = []
    for number, name in enumerate(names):
        ratio, sds = here.ratio(name, names)
        low, high = share_interval(ratio, math.hypot(*sds.values()))
        if not low <= share[number] <= high and abs(share[number] - ratio) > LEAST_MOVED:
            moved.append(name)
    held = place.offset
    if moved and place.how == "frame":
        found, held = _at(blank, place.best, fwhm_mm, uncertainty), place.best
    return found, held, _about_place(blank, place, held, moved, uncertainty)


def _at(
    blank: ProjectedMeasurement,
    offset: tuple[float, float],
    fwhm_mm: float | None,
    uncertainty: PlanarUncertaintyOptions,
) -> Settled:
    """Organs with the CT at a place."""
    rates, shape = blank.rates, blank.rates.rate.shape[1:]
    beside = besides(rates, on_views(blank.projected(), (shape[0], shape[1]), offset))
    measurement = replace(blank, offset=offset, fwhm_mm=fwhm_mm or 0.0)
    if beside.pixels.any():
        # A level that is fitted would be taken from the rest of the body.
        own = replace(rates, rate=rates.rate - beside.level[:, None, None])
        measurement = replace(measurement, rates=own, level=False, beside=beside.pixels)
    if fwhm_mm is None:
        measurement = replace(measurement, fwhm_mm=fitted_fwhm(measurement))
    return Settled(measurement, *projected_rates(measurement, uncertainty), beside)


def _about_place(
    blank: ProjectedMeasurement,
    place: Place,
    held: tuple[float, float],
    moved: Sequence[str],
    uncertainty: PlanarUncertaintyOptions,
) -> list[Message]:
    """What must be said of where the CT lies."""
    pixel = blank.rates.pixel_mm
    best = f"{100 * place.explained_best:.0f} %"
    if place.how == "best":
        text = f"the CT is laid onto the views where its structures explain them best ({best} of what they show)"
        return [Message("ct-placed-on-views", text, "look at the outlines; state `offset_mm` if they are off", "note")]
    apart = [abs(a - b) * p for a, b, p in zip(place.offset, place.best, pixel, strict=True)]
    whose = "as stated" if place.how == "stated" else "by their common frame of reference"
    text = (
        f"{whose} the CT lies {apart[0]:.0f} mm across and {apart[1]:.0f} mm along the body from where its structures "
        f"fit the views best ({best} of what they show)"
    )
    if moved:
        then = "the stated place is kept" if held == place.offset else "the place that fits is taken"
        text = f"{text}, which moves {', '.join(moved)} beyond their 95 % intervals: {then}"
        remedy = "check by the outlines that the patient lay alike; state `offset_mm`, or leave it out"
        return [Message("ct-off-the-views", text, remedy, "critical")]
    if max(apart) > max(3 * uncertainty.position_sd_mm, 2 * max(pixel)):
        return [Message("ct-off-the-views", text, "check that the patient lay alike, or leave `offset_mm` out")]
    return []


def poorly(explained: float) -> list[Message]:
    """A message if the structures explain little of the views where the CT lies."""
    if explained >= POORLY_EXPLAINED:
        return []
    text = f"the CT's structures explain only {100 * explained:.0f} % of what the views show where the CT lies"
    return [Message("views-poorly-explained", text, "name further organs that hold activity (`planar_organs`)")]


def turned(rates: PlanarRates, plain: Projected, explained: float) -> list[Message]:
    """A message if the views, or one of them alone, fit the CT better when they are turned."""
    together = _turned_of(rates.net, plain, explained, "views")
    if together or len(rates.net) == 1:
        return together
    found = []
    for number, side in enumerate(rates.sides):
        alone = replace(
            plain,
            templates=plain.templates[:, [number]],
            other=None if plain.other is None else plain.other[:, [number]],
        )
        net = rates.net[[number]]
        try:
            here = place_of_ct(net, alone)[1]
        except GeometryError:
            here = 0.0
        found += _turned_of(net, alone, here, f"{side} view")
    return found


def _turned_of(net: FloatArray, plain: Projected, explained: float, what: str) -> list[Message]:
    """A message if some views fit the CT better turned."""
    found = {}
    for way, (x, z) in WAYS.items():
        try:
            found[way] = place_of_ct(net[:, x, z], plain)[1]
        except GeometryError:
            continue
    best = max(found, key=found.__getitem__, default="")
    if not best or found[best] < explained + TURNED:
        return []
    text = (
        f"the CT's structures explain {100 * found[best]:.0f} % of the {what} turned {best}, and "
        f"{100 * explained:.0f} % as stored"
    )
    remedy = "check ImageOrientationPatient of the detectors and how each view is stored"
    return [Message("views-turned", text, remedy, "critical")]


def cut_by_views(measurement: ProjectedMeasurement, seen: Projected) -> list[Message]:
    """A message if structures lie partly outside the views."""
    whole = measurement.projected()
    pairs = zip(seen.names, seen.templates, whole.templates, strict=True)
    cut = [name for name, here, every in pairs if name != REST and here.sum() < MOST_CUT * every.sum()]
    if not cut:
        return []
    text = f"{', '.join(cut)} lie partly outside the views: what is not seen is taken to hold as much as what is"
    return [Message("structure-cut", text, "take views of the whole organ, or check `offset_mm`", "critical")]
