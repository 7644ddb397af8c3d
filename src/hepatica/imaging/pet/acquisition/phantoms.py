"""Phantoms that PET scanners are compared with, filled as their protocols say."""

from __future__ import annotations

from datetime import datetime

from hepatica.anatomy.phantoms.objects import Phantom, grid_around, nema_grid, nema_phantom, water_cylinder
from hepatica.core import Volume
from hepatica.imaging.pet.acquisition.options import PetPhantomOptions

RATIO = {"nema": 8.0, "quest": 8.0, "earl": 10.0}
"""Spheres over background: NEMA NU 2 asks for 8 and 4 to 1; QUEST (Willowson et al., EJNMMI Phys 2015;2:26) filled all
six with 8 to 1; EARL (EANM accreditation of 18F, 2 kBq/mL) 10 to 1."""
CYLINDER_MM = 200.0


def filled_phantom(
    options: PetPhantomOptions, *, total_bq: float, time: datetime, frame_of_reference: str
) -> tuple[Phantom, Volume]:
    """A phantom and the activity in it, Kind.ACTIVITY.

    Parameters
    ----------
    options : PetPhantomOptions
        `phantom` is not None.
    total_bq : float
        In all of it.
    """
    step = (options.phantom_voxel_mm,) * 3
    if options.phantom == "cylinder":
        extent = (CYLINDER_MM + 26,) * 3
        grid = grid_around(extent, spacing_mm=step, frame_of_reference=frame_of_reference)
        drawn = water_cylinder(grid, diameter_mm=CYLINDER_MM, length_mm=CYLINDER_MM)
        return drawn, drawn.activity(total_bq={"cylinder": total_bq}, time=time)
    kind = str(options.phantom)
    grid = nema_grid(step, frame_of_reference=frame_of_reference)
    drawn = nema_phantom(grid, insert="cylinder" if kind == "quest" else "lung")
    ratio = options.sphere_ratio or RATIO[kind]
    hot = [name for name in drawn.compartments if name.startswith("sphere")]
    shares = {"background": 1.0} | dict.fromkeys(hot, ratio)
    millilitres = sum(share * drawn.regions[name].volume_ml for name, share in shares.items())
    filled = {name: share * total_bq / millilitres for name, share in shares.items()}
    return drawn, drawn.activity(filled, time=time)
