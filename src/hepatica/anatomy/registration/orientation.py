"""Whether the moving image fits better turned by half or mirrored: what a wrong header makes of a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.registration.linear import COARSE, Pair
from hepatica.anatomy.registration.optimise import climb
from hepatica.anatomy.registration.prepared import Prepared
from hepatica.anatomy.registration.similarity import Samples, similarity
from hepatica.anatomy.registration.starts import MIN_SHARED, body_start, head_feet_starts
from hepatica.core import Grid
from hepatica.core.message import Message
from hepatica.core.transform import Transform
from hepatica.errors import GeometryError

FloatArray = NDArray[np.float64]

CLEARLY_BETTER = 1.15
"""An orientation is taken for the true one if the images are so many times more alike in it. A trunk and its mirror
image share ribs, spine and outline: the likeness of a registered pair differs between the two by 1.5 to 3 times."""

TURNS = {
    "as it is": (1.0, 1.0, 1.0),
    "upside down and left for right": (-1.0, 1.0, -1.0),
    "upside down and front for back": (1.0, -1.0, -1.0),
    "front for back and left for right": (-1.0, -1.0, 1.0),
}
"""Turns by half around the three axes of the patient: signs of x, y, z."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """An orientation of the moving image that was tried.

    Attributes
    ----------
    name : str
        In words.
    mirrored : bool
        Whether it is a mirror image, which no patient can be.
    similarity : float
        Likeness of the images in it, 0 to 1.
    """

    name: str
    mirrored: bool
    similarity: float


def tried_orientations(pair: Pair, matrix: FloatArray) -> tuple[tuple[Orientation, FloatArray], ...]:
    """Every orientation with its likeness and its matrix, most alike first; the matrix of a mirrored one is a mirror.

    Parameters
    ----------
    pair : Pair
        The images.
    matrix : ndarray, shape (4, 4)
        Registration in the orientation as it is.
    """
    samples = pair.judging(whole=True)
    found = []
    for mirrored in (False, True):
        for name, signs in TURNS.items():
            turn = _turn_about(pair.moving.centre_mm, np.asarray(signs) * ([-1, 1, 1] if mirrored else 1))
            coarse, fine = (_turned(p, turn) for p in (pair.moving_coarse, pair.moving))
            starts = [matrix, body_start(pair.fixed, fine).matrix]
            if (turn != np.eye(4)).any():
                starts += [c.matrix for c in head_feet_starts(pair.fixed_coarse, coarse, pair.seed)]
            start = max(starts, key=lambda m: _likeness(samples, fine, m))
            try:
                climbed = climb(pair.fixed_coarse, coarse, start, "rigid", COARSE, pair.seed)
            except GeometryError:
                continue
            alike = _likeness(samples, fine, climbed)
            # A point of the moving image lies at `turn` of it in the turned one, and `turn` undoes itself.
            found.append((Orientation(_words(name, mirrored), mirrored, alike), turn @ climbed))
    return tuple(sorted(found, key=lambda item: -item[0].similarity))


def oriented(pair: Pair, matrix: FloatArray) -> tuple[FloatArray, tuple[Orientation, ...], list[Message]]:
    """The start in the orientation that fits, and what to say of the others."""
    tried = tried_orientations(pair, matrix)
    own = next((o.similarity for o, _ in tried if o.name == "as it is"), 0.0)
    proper = [(o, m) for o, m in tried if not o.mirrored]
    mirrored = [(o, m) for o, m in tried if o.mirrored]
    notes = []
    best = own
    if proper and proper[0][0].similarity > CLEARLY_BETTER * own:
        turned, matrix = proper[0]
        best = turned.similarity
        text = (
            f"the moving image fits turned by half ({turned.name}: likeness {best:.2f}; as its header says: {own:.2f}) "
            "and was turned so"
        )
        notes.append(Message("moving-image-turned", text, "check the patient position in its header", "critical"))
    if mirrored and mirrored[0][0].similarity > CLEARLY_BETTER * best:
        text = (
            f"the moving image fits better as a mirror image (likeness {mirrored[0][0].similarity:.2f} against "
            f"{best:.2f}): left and right may be swapped in one of the images"
        )
        notes.append(
            Message("moving-image-mirrored", text, "check both images' orientation; do not use this result", "critical")
        )
    return matrix, tuple(o for o, _ in tried), notes


def mirror_ratio(orientations: Sequence[Orientation]) -> float | None:
    """Likeness of the best mirror image over that of the best proper orientation; None where none was tried."""
    best = {
        side: max((o.similarity for o in orientations if o.mirrored is side), default=0.0) for side in (True, False)
    }
    return best[True] / best[False] if best[False] > 0 else None


def _likeness(samples: Samples, moving: Prepared, matrix: FloatArray) -> float:
    """Likeness from there; 0 where the images hardly overlap."""
    alike, share = similarity(samples, moving, Transform.affine(matrix))
    return alike if share >= MIN_SHARED else 0.0


def _words(name: str, mirrored: bool) -> str:
    if not mirrored:
        return name
    return "mirrored" if name == "as it is" else f"mirrored, {name}"


def _turn_about(centre: FloatArray, signs: FloatArray) -> FloatArray:
    matrix = np.diag([*signs, 1.0])
    matrix[:3, 3] = centre - signs * centre
    return matrix


def _turned(prepared: Prepared, turn: FloatArray) -> Prepared:
    """The same voxels at turned or mirrored places."""
    grid = Grid(prepared.grid.shape, turn @ prepared.grid.affine)
    return replace(prepared, volume=replace(prepared.volume, grid=grid))
