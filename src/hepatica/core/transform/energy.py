"""Absorbed doses of several treatments added up where the patient lay differently: by energy and mass.

What tissue absorbed is energy, and a voxel of the target may hold tissue that was in several voxels of the moving
image, with other doses and densities. Energy and mass are each brought over with their sum kept, and the dose is their
ratio (energy and mass congruent mapping: H. Zhong, J. V. Siebers, Phys. Med. Biol. 54 (2009) 1299). Looking the dose
up by value is the same where density and dose change little within a voxel, and wrong where they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.grid import Grid
from hepatica.core.message import Message
from hepatica.core.transform.transform import Transform
from hepatica.core.transform.warp import Warped, warp
from hepatica.core.volume import Kind, Volume
from hepatica.errors import GeometryError, UnitError

MIN_DENSITY_G_ML = 1e-3
"""Below the density of air (1.2 mg/mL) a voxel holds no tissue that a dose could be stated of."""


@dataclass(frozen=True, slots=True)
class WarpedDose:
    """A dose brought over by energy and mass.

    Attributes
    ----------
    dose : Volume
        Gy on the target's grid; zero where no mass came.
    mass_g : ndarray
        Mass brought into each voxel of the target.
    energy, mass : Warped
        Both with their accounts.
    messages : tuple of Message
        What the reader must know of it.
    """

    dose: Volume
    mass_g: NDArray[Any]
    energy: Warped
    mass: Warped
    messages: tuple[Message, ...] = ()


def warp_dose(dose: Volume, density: Volume, transform: Transform, grid: Grid) -> WarpedDose:
    """A dose of the moving frame on a grid of the fixed frame, as energy over mass.

    Parameters
    ----------
    dose : Volume
        Gy in the moving frame.
    density : Volume
        g/mL on the dose's grid.
    transform : Transform
        From the fixed to the moving frame.
    grid : Grid
        The target, in the fixed frame.

    Raises
    ------
    GeometryError
        If density and dose are on different grids, or the frames of reference are not the transform's.
    UnitError
        If the volumes are no dose and density.
    """
    dose.require_kind(Kind.DOSE, Kind.DOSE_SD)
    density.require_kind(Kind.DENSITY)
    dose.grid.require_match(density.grid, "dose and density that are brought over by energy and mass")
    if float(density.values.min()) < 0:
        raise UnitError(f"{density.name or 'density'}: holds negative densities")
    voxel_kg = dose.grid.voxel_volume_ml / 1000
    heavy = density.values.astype(np.float64)
    masses = Volume(dose.grid, heavy * voxel_kg, Kind.ENERGY, name="mass")
    energies = Volume(dose.grid, dose.values * heavy * voxel_kg, Kind.ENERGY, name=dose.name or "absorbed energy")
    mass, energy = (warp(volume, transform, grid, "activity") for volume in (masses, energies))
    kilograms = mass.volume.values
    light = kilograms < MIN_DENSITY_G_ML * grid.voxel_volume_ml / 1000
    values = np.divide(energy.volume.values, kilograms, out=np.zeros_like(kilograms), where=~light)
    found = Volume(energy.volume.grid, values.astype(dose.values.dtype), dose.kind, dose.time, dose.name)
    return WarpedDose(found, kilograms * 1000, energy, mass, energy.messages)


def added_doses(*doses: Volume) -> Volume:
    """Sum of absorbed doses on one grid, in Gy.

    Raises
    ------
    GeometryError
        If they are on different grids, or none is given.
    """
    if not doses:
        raise GeometryError("no dose was given to add up")
    first, *others = doses
    total = first.values.astype(np.float64)
    for other in others:
        other.require_kind(Kind.DOSE)
        first.grid.require_match(other.grid, "doses to add up")
        total = total + other.values
    first.require_kind(Kind.DOSE)
    return Volume(first.grid, total, Kind.DOSE, None, "sum of doses")
