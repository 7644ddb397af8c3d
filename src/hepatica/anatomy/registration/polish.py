"""The last step of a rigid or affine registration: uphill in the very likeness by which transforms are judged.

Mutual information on random points leaves a climb by its gradient a millimetre short where little stands out, as inside
a liver. Powell's method (Comput. J. 7 (1964) 155) needs no gradient; from wherever the climb before it ended, it comes
to one place.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.prepared import Prepared
from hepatica.anatomy.registration.similarity import Samples, similarity
from hepatica.core.transform import Transform

FloatArray = NDArray[np.float64]
Freedom = Literal["shift", "rigid", "affine"]

PARAMETERS = {"shift": 3, "rigid": 6, "affine": 12}

LEVER_MM = 100.0
"""A turn, scale or shear counts by how far it moves a point at this distance from the centre: about that of the border
of a liver or a trunk."""

STEP_MM = 0.03
"""The line search along each direction ends at this share of a millimetre."""

MIN_GAIN = 1e-5
LARGEST_MM = 25.0
"""Beyond this from where it began the last step has left the hill that the climb was on."""


def polished(samples: Samples, moving: Prepared, start: FloatArray, model: Freedom, shared: float) -> FloatArray:
    """Matrix, shape (4, 4), with the greatest likeness around `start`; `start` itself where none is greater.

    Parameters
    ----------
    samples : Samples
        Points of the fixed image that count.
    moving : Prepared
        The moving image.
    start : ndarray, shape (4, 4)
        From the climb.
    model : {"shift", "rigid", "affine"}
        What may change.
    shared : float
        Share of the points that the moving image must cover.
    """
    from scipy import optimize

    centre = samples.points_mm.mean(axis=0)
    if model == "affine":
        start = polished(samples, moving, start, "rigid", shared)

    def unlike(parameters: FloatArray) -> float:
        if float(np.abs(parameters).max()) > LARGEST_MM:
            return 0.0
        alike, share = similarity(samples, moving, Transform.affine(_around(parameters, start, centre)))
        return -alike if share >= shared else 0.0

    nothing = np.zeros(PARAMETERS[model])
    found = optimize.minimize(unlike, nothing, method="Powell", options={"xtol": STEP_MM, "ftol": MIN_GAIN})
    return _around(found.x, start, centre) if found.fun < unlike(nothing) else start


def _around(parameters: FloatArray, start: FloatArray, centre: FloatArray) -> FloatArray:
    """A matrix after a shift (mm) and a turn or linear map (mm at the lever) about where the centre comes to lie."""
    from scipy.spatial.transform import Rotation

    if len(parameters) == PARAMETERS["shift"]:
        linear = np.eye(3)
    elif len(parameters) == PARAMETERS["rigid"]:
        linear = Rotation.from_rotvec(parameters[3:] / LEVER_MM).as_matrix()
    else:
        linear = np.eye(3) + parameters[3:].reshape(3, 3) / LEVER_MM
    matrix = np.eye(4)
    matrix[:3, :3] = linear @ start[:3, :3]
    matrix[:3, 3] = start[:3, :3] @ centre + start[:3, 3] + parameters[:3] - matrix[:3, :3] @ centre
    return matrix
