"""The voxels of the dose, and the decays on them."""

from __future__ import annotations

from typing import Literal

from hepatica.core import Grid, Volume
from hepatica.core.message import Message
from hepatica.core.resample import resample
from hepatica.errors import GeometryError

GridChoice = Literal["activity", "ct"] | float

MAX_ACTIVITY_OUTSIDE_CT = 0.05
"""Share of the activity that may lie outside the CT before the dose is refused: its tissue is unknown. Our choice."""


def dose_grid(activity: Grid, ct: Grid, choice: GridChoice) -> Grid:
    """Voxels of the dose.

    Parameters
    ----------
    activity, ct : Grid
        Grids of the two images, in one frame of reference.
    choice : {"activity", "ct"} or float
        The activity image's voxels (those that the CT covers), the CT's, or cubic ones of this size in mm over the
        same block as the activity's.

    Raises
    ------
    GeometryError
        If the CT covers no voxel of the activity image.
    """
    if choice == "ct":
        return ct
    window = activity.window_of(ct)
    if window[0].stop == 0:
        raise GeometryError(
            f"the CT covers nothing of the activity image: CT {ct}, activity {activity}; are they of the same scan?"
        )
    covered = activity.crop(window)
    return covered if choice == "activity" else covered.with_spacing((float(choice),) * 3)


def decays_on(grid: Grid, decays: Volume) -> tuple[Volume, tuple[Message, ...]]:
    """Decays on the dose grid, and what is said if some lie outside it.

    Raises
    ------
    GeometryError
        If more than 5 % of the decays lie outside the CT.
    """
    moved = resample(decays, grid, "total")
    lost = 1 - moved.total / decays.total
    if lost > MAX_ACTIVITY_OUTSIDE_CT:
        raise GeometryError(
            f"{100 * lost:.1f} % of the activity lies outside the CT, more than {100 * MAX_ACTIVITY_OUTSIDE_CT:.0f} %: "
            "its tissue is unknown",
            remedy="use a CT that covers the activity, or crop the activity image",
        )
    if lost > 1e-3:
        text = f"{100 * lost:.2f} % of the activity lies outside the CT and is left out"
        return moved, (Message("activity-outside-ct", text),)
    return moved, ()
