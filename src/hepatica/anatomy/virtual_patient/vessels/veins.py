"""Portal vein with its branches to the segments, and the three hepatic veins in the planes between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.body import Body
from hepatica.anatomy.virtual_patient.lattice import Lattice
from hepatica.anatomy.virtual_patient.liver import cava_at
from hepatica.anatomy.virtual_patient.shapes import Solid, tube, union

Float = NDArray[np.float64]

HILUM = (-31.0, -10.0, -16.0)
TRUNK = ((4.0, -2.0, -62.0), (-10.0, -6.0, -40.0), HILUM)
UMBILICAL = ((-16.0, -20.0, -6.0), (-2.0, -36.0, 2.0))
OUTLET_MM = 44.0
"""Height at which the hepatic veins enter the cava."""


def portal_vein(body: Body, lattice: Lattice) -> Solid:
    """Trunk from behind the pancreas, right and left branch, and a pedicle into every segment but I."""
    trunk = body.to_patient(TRUNK)
    hilum = trunk[-1]
    right = lattice.snapped(0.55 * hilum + 0.45 * lattice.centroid(5, 6, 7, 8), 5, 6, 7, 8)
    parts = [tube(trunk, (7.0, 6.8, 6.0)), tube([hilum, right], (5.6, 4.8))]
    for sector in ((5, 8), (6, 7)):
        node = lattice.snapped(0.5 * right + 0.5 * lattice.centroid(*sector), *sector)
        parts.append(tube([right, node], (4.2, 3.6)))
        parts.extend(_pedicle(node, lattice, segment) for segment in sector if (lattice.segments == segment).any())
    left = body.to_patient(UMBILICAL)
    parts.append(tube([hilum, *left], (5.0, 4.6, 4.2)))
    parts.extend(_pedicle(left[-1], lattice, segment) for segment in (2, 3, 4) if (lattice.segments == segment).any())
    return union(*parts)


def _pedicle(node: Float, lattice: Lattice, segment: int) -> Solid:
    centre = lattice.snapped(lattice.centroid(segment), segment)
    onward = lattice.snapped(centre + 0.45 * (centre - node), segment, depth_mm=10.0)
    return tube([node, 0.5 * (node + centre), centre, onward], (3.0, 2.6, 2.1, 1.2))


def hepatic_veins(body: Body, lattice: Lattice) -> Solid:
    """Right, middle and left hepatic vein from the cava outwards and down."""
    fissures = body.fissures
    cava = cava_at(OUTLET_MM)
    parts = []
    for degrees, reach, drop in (
        (fissures.right_deg, 88.0, 62.0),
        (fissures.middle_deg, 82.0, 60.0),
        (fissures.left_deg, 68.0, 40.0),
    ):
        turn = np.radians(degrees)
        along = np.array([-np.sin(turn), -np.cos(turn)])
        line = [(*(cava + t * reach * along), OUTLET_MM - drop * t**1.35) for t in (0.05, 0.2, 0.4, 0.6, 0.8, 1.0)]
        points = body.to_patient(line)
        inside = np.flatnonzero(lattice.depth_at(points) > 3)
        keep = points[: max(3, int(inside[-1]) + 1 if inside.size else 0)]
        parts.append(tube(keep, np.linspace(5.2, 1.4, len(keep))))
    return union(*parts)
