"""The highest voxel dose of a map, and whether it says something of the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepatica.core import Volume
from hepatica.core.message import Message
from hepatica.core.numbers.wording import three

LOW_DENSITY_G_ML = 0.5
"""Density below which a voxel's dose by an engine that carries electrons as in water (or not at all) is no dose of the
patient: electrons there go more than twice as far as the engine lets them, and what it stops in the voxel is divided by
less than half the mass of tissue. Between lung (0.2 to 0.4 g/mL) and fat (0.9 g/mL)."""


@dataclass(frozen=True, slots=True)
class HighestDose:
    """The highest dose of any voxel.

    Attributes
    ----------
    dose_gy : float
        The dose.
    density_g_ml : float
        Density of the voxel that has it.
    reliable : bool
        False where an engine that does not know how far electrons go in the patient has it in low density.
    in_tissue_gy : float
        Highest dose of the voxels of 0.5 g/mL and more; equal to `dose_gy` where that is reliable in tissue.
    """

    dose_gy: float
    density_g_ml: float
    reliable: bool
    in_tissue_gy: float

    def __str__(self) -> str:
        if self.reliable:
            return f"{three(self.dose_gy)} Gy"
        return (
            f"{three(self.in_tissue_gy)} Gy in tissue; {three(self.dose_gy)} Gy at {self.density_g_ml:.2f} g/mL, "
            "not reliable"
        )


def highest_dose(dose: Volume, density: Volume, *, follows_range: bool) -> HighestDose:
    """The highest voxel dose of a map.

    Parameters
    ----------
    dose, density : Volume
        On one grid.
    follows_range : bool
        Whether the engine lets electrons go as far as the patient's density does (Monte Carlo).
    """
    at = np.unravel_index(int(np.argmax(dose.values)), dose.grid.shape)
    there = float(density.values[at])
    tissue = density.values >= LOW_DENSITY_G_ML
    return HighestDose(
        dose_gy=float(dose.values[at]),
        density_g_ml=there,
        reliable=follows_range or there >= LOW_DENSITY_G_ML,
        in_tissue_gy=float(dose.values.max(initial=0.0, where=tissue)),
    )


def highest_message(found: HighestDose) -> tuple[Message, ...]:
    """What is said of a maximum that is not reliable."""
    if found.reliable:
        return ()
    text = (
        f"the highest voxel dose, {three(found.dose_gy)} Gy, lies in matter of {found.density_g_ml:.2f} g/mL (lung): "
        "this engine stops electrons there that go on for centimetres, so it is not reliable (* in tables); in voxels "
        f"of {LOW_DENSITY_G_ML:g} g/mL and more the highest is {three(found.in_tissue_gy)} Gy"
    )
    return (Message("maximum-in-low-density", text, "use Monte Carlo, or take D2 % of the structures in tissue"),)


def below_zero_kept(dose: Volume) -> tuple[Message, ...]:
    """What is said where voxels of a dose map that is read have a dose below zero."""
    below = dose.values < 0
    if not below.any():
        return ()
    text = (
        f"{dose.name or 'a dose map'}: {int(below.sum())} voxels have a dose below zero, noise of the activity image; "
        "means of structures count them and are right; what is not linear in dose (BED, EQD2, EUD, histograms, gamma "
        "index) is that of dose with its noise: BED and EQD2 are too high, and no model is asked of what is below zero"
    )
    return (Message("dose-below-zero-read", text, "read means; for voxels take an image with a filter or by osem"),)


def below_zero_messages(dose: Volume) -> tuple[Message, ...]:
    """What is said where voxels have a dose below zero, which an image without a bound at zero gives.

    Dose is linear in activity, so means of structures are exact with these voxels and too high without them; of a
    single voxel a dose below zero says that noise is larger than the dose.
    """
    below = dose.values < 0
    if not below.any():
        return ()
    text = (
        f"{int(below.sum())} voxels have a dose below zero (lowest {three(float(dose.values.min()))} Gy): noise of an "
        "image whose voxels may be negative; the means of structures count them, histograms are broadened by noise, "
        "and the RTDOSE, which holds no negative number, has zero there"
    )
    return (Message("dose-below-zero", text, "read means; for voxels take an image with a filter or by osem"),)
