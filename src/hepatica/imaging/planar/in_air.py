"""What the windows beside the photopeak take of a source in air, whose camera factor is counted in the whole of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hepatica.core import Estimate, Grid, Kind, Volume
from hepatica.imaging.spect.camera.cameras import gamma_camera
from hepatica.imaging.spect.montecarlo.projector import MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.projections import Orbit, Window
from hepatica.nuclides import Nuclide

MODEL_SD = 0.2
"""Relative standard uncertainty of the share that the windows take of a source in air: counts beside a photopeak are
those through lead and those scattered in collimator and crystal, which models of cameras know worst. Our estimate."""


def kept_in_air(
    camera: str, nuclide: Nuclide, windows: tuple[Window, ...], peak: int, weights: Mapping[int, float]
) -> Estimate:
    """Share of the photopeak's counts of a source in air that is left when the windows beside it are taken off.

    Parameters
    ----------
    camera : str
        Camera with its collimator.
    nuclide : Nuclide
        What emits.
    windows : tuple of Window
        Of the views.
    peak : int
        Number of the photopeak's window from 0.
    weights : mapping of int to float
        As `rates.scatter_weights` gives them.

    Raises
    ------
    PhysicsError
        If the camera's model counts no photon of the nuclide.
    """
    if not weights:
        return Estimate(1.0, 0.0)
    drop = Grid.axial((3, 3, 3), spacing_mm=(10.0,) * 3)
    water = Volume(drop, np.zeros(drop.shape, np.float32), Kind.HU)
    setup = SpectSetup(gamma_camera(camera), nuclide, Orbit(np.zeros(1), np.full(1, 100.0)), windows, drop)
    counted = MonteCarloProjector(water, setup).sensitivity_in_air().sum(axis=1)
    taken = float(sum(weight * counted[number] for number, weight in weights.items()) / counted[peak])
    return Estimate(1 - taken, MODEL_SD * taken)
