"""What the holes of a collimator make of a point: the exact overlap of hexagons, with the blur of the crystal.

The formula of Anger gives a full width at half maximum; a Gaussian of that width is 12 to 24 % wider (root mean square)
than the image itself, which ends where no hole lets anything through. A reconstruction that undoes too wide a blur
overshoots at edges.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import PhysicsError
from hepatica.imaging.spect.camera.cameras import Collimator, GammaCamera
from hepatica.imaging.spect.camera.detector import hexagon_transmission
from hepatica.imaging.spect.camera.detector_tables import detector_response
from hepatica.imaging.spect.projector import Response

NAME = "line spread of the holes"
"""How conditions and provenance call this response; another name where images become other ones."""

PLACES = 33
"""Places that stand for the shape of a line spread; closer than half the crystal's blur up to 40 cm."""


def hole_response(camera: GammaCamera, energy_kev: Sequence[float], weights: Sequence[float] = (1.0,)) -> Response:
    """Response of a camera for photons through holes, averaged over azimuth.

    Parameters
    ----------
    camera : GammaCamera
        A head with its collimator.
    energy_kev, weights : sequence of float
        Energies and their shares of the counts.

    Notes
    -----
    A photon from a point is positioned ``(distance + depth) tan(theta)`` beside it, with the chance of
    `hexagon_transmission`; depth is that of the camera's response table, else to the middle of the crystal.
    """
    slope, places, shares = line_of_holes(camera.collimator)
    responses = [
        Response(camera.intrinsic_fwhm_at(e) / FWHM_PER_SD, slope * _depth_mm(camera, e), slope, places, shares)
        for e in energy_kev
    ]
    return Response.mean(responses, weights)


@functools.cache
def line_of_holes(collimator: Collimator) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """Standard deviation of the line spread in tan(theta), and its shape: places in units of that, and shares."""
    widest = 2 / math.sqrt(3) * collimator.hole_mm / collimator.length_mm
    edges = np.linspace(-widest, widest, PLACES + 1)
    fine = (np.arange(PLACES * 8) + 0.5) / (PLACES * 8) * 2 * widest - widest
    tangent = np.hypot(fine[:, None], fine)
    # Counts per area of the plane of interaction: chance times cos^3 / distance^2.
    radial = np.linspace(0, widest, 500)
    passed = np.interp(tangent, radial, hexagon_transmission(collimator, radial), right=0.0)
    density = passed * (1 + tangent**2) ** -1.5
    shares = density.sum(axis=1).reshape(PLACES, 8).sum(axis=1) / density.sum()
    middle = (edges[1:] + edges[:-1]) / 2
    sd = math.sqrt(float(shares @ middle**2))
    exact = math.sqrt(float(density.sum(axis=1) @ fine**2 / density.sum()))
    return exact, tuple(float(x) for x in middle / sd), tuple(float(x) for x in shares)


def _depth_mm(camera: GammaCamera, energy_kev: float) -> float:
    try:
        table = detector_response(camera)
    except PhysicsError:
        return camera.collimator.length_mm + camera.gap_mm + camera.crystal_mm / 2
    return float(np.interp(energy_kev, table.energy_kev, table.depth_mm))
