"""Pass, look or fail: the tolerances of the report of AAPM Task Group 132.

K. K. Brock et al., Use of image registration and fusion algorithms and techniques in radiotherapy: Report of the AAPM
Radiation Therapy Committee Task Group No. 132, Med. Phys. 44 (2017) e43, table of tolerances: target registration error
at most the largest voxel side, or 2 to 3 mm; mean distance of surfaces within contouring uncertainty, 2 to 3 mm; Dice
coefficient at least 0.8 to 0.9; Jacobian determinant above 0; inverse consistency within 2 to 3 mm. What lies between
the stricter and the laxer number is to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hepatica.anatomy.registration.orientation import CLEARLY_BETTER
from hepatica.anatomy.registration.quality.measures import (
    FieldVolumes,
    InverseConsistency,
    StructureAgreement,
    TargetError,
)
from hepatica.core import Grid

Verdict = Literal["pass", "look", "fail"]

STRICT_MM, LAX_MM = 2.0, 3.0
GOOD_DICE, LEAST_DICE = 0.9, 0.8


@dataclass(frozen=True, slots=True)
class Mark:
    """One criterion.

    Attributes
    ----------
    criterion : str
        What is judged.
    value : float
        As measured.
    unit : str
        Of the value and the limits; empty of a number alone.
    accepted_limit : float
        Limit up to which (or, of Dice and Jacobian, from which on) it passes.
    failure_limit : float
        Limit beyond which it fails; between the two it is to be looked at.
    verdict : {"pass", "look", "fail"}
        Of the value.
    """

    criterion: str
    value: float
    unit: str
    accepted_limit: float
    failure_limit: float
    verdict: Verdict


def marks(
    grids: tuple[Grid, Grid],
    target: TargetError | None,
    structures: Sequence[StructureAgreement],
    volumes: FieldVolumes,
    back: InverseConsistency | None,
    *,
    mirror_ratio: float | None = None,
    usable: bool = True,
) -> tuple[Mark, ...]:
    """The marks of whatever was measured.

    Parameters
    ----------
    grids : pair of Grid
        Of the fixed and the moving image; the largest voxel side of both raises the limit of a distance.
    target, structures, volumes, back
        What was measured.
    mirror_ratio : float or None
        Likeness of the best mirror image over that of the best proper orientation; None where it was not tried.
    usable : bool
        False where a message says that the result must not be used: then nothing passes.
    """
    voxel = max(max(grid.spacing_mm) for grid in grids)
    distance = (max(voxel, STRICT_MM), max(voxel, LAX_MM))
    found = []
    if target is not None:
        found.append(_at_most("target registration error, mean", target.mean_mm, *distance))
    for item in structures:
        found.append(_at_least(f"Dice of {item.name}", item.dice, GOOD_DICE, LEAST_DICE))
        if item.mean_distance_mm is not None:
            found.append(_at_most(f"mean surface distance of {item.name}", item.mean_distance_mm, *distance))
    folds: Verdict = "pass" if volumes.lowest > 0 else "fail"
    found.append(Mark("Jacobian determinant, lowest", volumes.lowest, "", 0.0, 0.0, folds))
    if back is not None:
        found.append(_at_most("inverse consistency, mean", back.mean_mm, STRICT_MM, LAX_MM))
    if mirror_ratio is not None:
        mirrored: Verdict = "pass" if mirror_ratio <= CLEARLY_BETTER else "fail"
        found.append(
            Mark(
                "likeness of the mirror image over the image's",
                mirror_ratio,
                "",
                CLEARLY_BETTER,
                CLEARLY_BETTER,
                mirrored,
            )
        )
    if usable:
        return tuple(found)
    # A mirror image goes there and back as well as a patient does: of what must not be used nothing passes.
    return tuple(replace(mark, verdict="fail") for mark in found)


def _at_most(criterion: str, value: float, strict: float, lax: float) -> Mark:
    verdict: Verdict = "pass" if value <= strict else "look" if value <= lax else "fail"
    return Mark(criterion, value, "mm", strict, lax, verdict)


def _at_least(criterion: str, value: float, good: float, least: float) -> Mark:
    verdict: Verdict = "pass" if value >= good else "look" if value >= least else "fail"
    return Mark(criterion, value, "", good, least, verdict)
