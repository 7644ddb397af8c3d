"""How a position in one image becomes one in another: the same frame of reference, or the registration of the case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.case.layout import STEPS
from hepatica.case.state import Situation
from hepatica.core.grid import Grid
from hepatica.core.transform.transform import Transform
from hepatica.errors import GeometryError, HepaticaError
from hepatica.io.registration.read import read_transform


def registrations_of(situation: Situation) -> Iterator[tuple[Path, str, bool]]:
    """Files of registrations, what they are, and whether a person has accepted them: added ones first."""
    for item in situation.catalogue.of("registration"):
        yield situation.folder / item.files[0].path, "the registration that was added", True
    for name, state in situation.steps.items():
        path = situation.folder / STEPS / name / "registration.dcm"
        if name.split("-")[0] == "registration" and name in situation.records and path.is_file():
            accepted = bool(state.checked_by)
            yield path, f"the {'accepted' if accepted else 'proposed'} registration", accepted


def transform_between(situation: Situation, here: str, there: str) -> tuple[Transform, str, bool] | None:
    """Transform from one frame of reference to another, what it is and whether it was accepted; None without one."""
    for path, said, accepted in registrations_of(situation):
        try:
            transform, _ = read_transform(path, fixed=here, moving=there)
        except HepaticaError:
            continue  # of other frames of reference
        return transform, said, accepted
    return None


def link_between(situation: Situation, here: Grid, there: Grid) -> dict[str, Any]:
    """For the page: a matrix where one does, else the reason why positions are not linked."""
    if here.shares_frame(there):
        return {"matrix": np.eye(4).tolist(), "said": "same frame of reference", "accepted": True}
    found = transform_between(situation, str(here.frame_of_reference), str(there.frame_of_reference))
    if found is None:
        return {"matrix": None, "said": "no registration links these images", "accepted": False}
    transform, said, accepted = found
    if transform.is_affine:
        return {"matrix": np.asarray(transform.matrix).tolist(), "said": said, "accepted": accepted}
    near = _linear_at(transform, here.to_mm((np.asarray(here.shape) - 1) / 2))
    return {"matrix": near.tolist(), "said": f"{said}, near the middle", "accepted": accepted}


def way_between(situation: Situation, here: Grid, there: Grid) -> Transform | None:
    """Transform from one grid's frame of reference to another's; None where they share it.

    Raises
    ------
    GeometryError
        If no registration links them.
    """
    if here.shares_frame(there):
        return None
    found = transform_between(situation, str(here.frame_of_reference), str(there.frame_of_reference))
    if found is None:
        raise GeometryError("no registration links these images", remedy="run and check the registration, or add one")
    return found[0]


def _linear_at(transform: Transform, point_mm: Any, reach_mm: float = 5.0) -> Any:
    """The affine map that a deformation is close to a point."""
    steps = reach_mm * np.vstack([np.zeros(3), np.eye(3)])
    mapped = transform.points_mm(np.asarray(point_mm) + steps)
    matrix = np.eye(4)
    matrix[:3, :3] = ((mapped[1:] - mapped[0]) / reach_mm).T
    matrix[:3, 3] = mapped[0] - matrix[:3, :3] @ np.asarray(point_mm)
    return matrix
