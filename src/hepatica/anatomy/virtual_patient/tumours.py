"""Tumours: which, where, of what shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.body import Body, fit
from hepatica.anatomy.virtual_patient.lattice import Lattice
from hepatica.anatomy.virtual_patient.settings import PatientSettings, Tumour
from hepatica.anatomy.virtual_patient.shapes import Solid, ellipsoid, plus, ripple
from hepatica.errors import InputError

TYPICAL_MM, TYPICAL_SPREAD = 36.0, 0.45
"""Median of the diameters where only a number of tumours is asked for, and the standard deviation of their logarithm
(assumptions; a cohort draws from its own table)."""

NECROTIC_FROM_MM = 40.0
"""From this size a tumour of random kind has a necrotic core (assumption)."""

DEPTHS = (0.85, 0.6, 0.35)
"""Centres lie this deep below the liver's surface, in radii; the next where there is no room."""

GAP_MM = 4.0
MAX_SHARE_OF_LIVER = 0.7
"""All tumours together fill no more of the liver."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedTumour:
    """A tumour in the liver.

    Attributes
    ----------
    name : str
        "tumour 1".
    tumour : Tumour
        What was asked for, its segment filled in.
    centre_mm : ndarray, shape (3,)
        In LPS.
    solid, necrosis : Solid, Solid or None
        The whole tumour, necrosis included, and its necrotic core.
    """

    name: str
    tumour: Tumour
    centre_mm: NDArray[np.float64]
    solid: Solid
    necrosis: Solid | None


def wanted(settings: PatientSettings, random: np.random.Generator) -> tuple[Tumour, ...]:
    """The tumours asked for; where only a number was given, of random size and necrosis."""
    if not isinstance(settings.tumours, int):
        return tuple(settings.tumours)
    out = []
    for _ in range(settings.tumours):
        diameter = float(np.clip(TYPICAL_MM * math.exp(random.normal(0, TYPICAL_SPREAD)), 12, 90))
        core = float(random.uniform(0.05, 0.35)) if diameter > NECROTIC_FROM_MM else 0.0
        out.append(Tumour(diameter, None, core))
    return tuple(out)


def place(
    body: Body, lattice: Lattice, settings: PatientSettings, random: np.random.Generator
) -> tuple[PlacedTumour, ...]:
    """Place the tumours, largest first, without touching each other.

    Raises
    ------
    InputError
        If one is larger than its segment, or there is no room.
    """
    tumours = wanted(settings, random)
    total = sum(_sphere_ml(t.diameter_mm) for t in tumours)
    if total > MAX_SHARE_OF_LIVER * lattice.volume_ml():
        raise InputError(
            f"the tumours' {total:.0f} mL are more than {100 * MAX_SHARE_OF_LIVER:.0f} % of the liver's "
            f"{lattice.volume_ml():.0f} mL; ask for fewer or smaller ones"
        )
    depth = lattice.depth_at(lattice.points_mm)
    centres: dict[int, NDArray[np.float64]] = {}
    placed: dict[int, PlacedTumour] = {}
    for n in sorted(range(len(tumours)), key=lambda n: -tumours[n].diameter_mm):
        name = f"tumour {n + 1}"
        at = _centre(
            name, tumours[n], lattice, depth, [(centres[m], tumours[m].diameter_mm / 2) for m in centres], random
        )
        centres[n] = lattice.points_mm[at]
        found = Tumour(tumours[n].diameter_mm, int(lattice.segments[at]), tumours[n].necrosis)
        placed[n] = _shape(name, found, centres[n], body, random)
    return tuple(placed[n] for n in range(len(tumours)))


def _sphere_ml(diameter_mm: float) -> float:
    return math.pi / 6 * diameter_mm**3 / 1000


def _centre(
    name: str,
    tumour: Tumour,
    lattice: Lattice,
    depth: NDArray[np.float64],
    others: list[tuple[NDArray[np.float64], float]],
    random: np.random.Generator,
) -> int:
    """Number of the lattice point where the centre goes."""
    radius = tumour.diameter_mm / 2
    allowed = np.ones(len(depth), dtype=bool)
    where = "the liver"
    if tumour.segment is not None:
        where = f"segment {tumour.segment}"
        room = lattice.volume_ml(tumour.segment)
        if _sphere_ml(tumour.diameter_mm) > room:
            raise InputError(
                f"{name} of {tumour.diameter_mm:g} mm ({_sphere_ml(tumour.diameter_mm):.0f} mL) is larger than "
                f"{where} of this liver ({room:.0f} mL)"
            )
        allowed &= lattice.segments == tumour.segment
    for centre, other in others:
        allowed &= np.linalg.norm(lattice.points_mm - centre, axis=1) > radius + other + GAP_MM
    for share in DEPTHS:
        fits = np.flatnonzero(allowed & (depth > share * radius))
        if fits.size:
            return int(random.choice(fits))
    raise InputError(f"{name} of {tumour.diameter_mm:g} mm finds no room in {where}; ask for fewer or smaller tumours")


def _shape(
    name: str, tumour: Tumour, centre: NDArray[np.float64], body: Body, random: np.random.Generator
) -> PlacedTumour:
    radius = tumour.diameter_mm / 2
    stretch = np.exp(random.normal(0, 0.10, 3))
    stretch /= np.cbrt(stretch.prod())
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    lobes = ripple(0.045 * tumour.diameter_mm, 0.9 * tumour.diameter_mm, random, waves=5)
    whole = plus(ellipsoid(centre, radius * stretch, axes=turn), lobes, 0.18 * tumour.diameter_mm)
    target = _sphere_ml(tumour.diameter_mm)
    liver = body.organs["liver"]
    solid = fit(lambda s: whole.scaled(s, centre).within(liver), target, name, limits=(0.5, 2.5))
    core = None
    if tumour.necrosis:
        relief = ripple(0.05 * tumour.diameter_mm, 0.5 * tumour.diameter_mm, random, waves=5)
        inner = plus(ellipsoid(centre, radius * stretch, axes=turn), relief, 0.2 * tumour.diameter_mm)
        rim = solid.grown(-min(2.0, 0.05 * tumour.diameter_mm))
        core = fit(
            lambda s: inner.scaled(s, centre).within(rim),
            target * tumour.necrosis,
            f"necrosis of {name}",
            limits=(0.05, 2.5),
        )
    return PlacedTumour(name, tumour, centre, solid, core)
