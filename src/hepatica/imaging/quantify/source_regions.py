"""Where the counts of a calibration source are taken: circles, spheres, cylinders, and the spheres of a phantom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.phantoms.objects import nema_phantom, water_cylinder
from hepatica.anatomy.phantoms.solids import Ball, Point, sampled
from hepatica.core import Grid, Region, Volume
from hepatica.errors import GeometryError, InputError

HOT = 0.5
"""A source is looked for among voxels above this share of the highest."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomSpheres:
    """Spheres of a phantom on an image.

    Attributes
    ----------
    spheres : mapping of str to Region
        Each sphere.
    diameters_mm : mapping of str to float
        Inner diameters.
    background : Region or None
        Part of what is around them, far from walls.
    """

    spheres: Mapping[str, Region]
    diameters_mm: Mapping[str, float]
    background: Region | None


def hottest_centre(volume: Volume) -> Point:
    """Centre of the counts above half the highest (its 99.9th percentile), LPS mm."""
    hot = volume.values > HOT * float(np.percentile(volume.values, 99.9))
    x, y, z = np.average(volume.grid.to_mm(np.argwhere(hot)), axis=0, weights=volume.values[hot].astype(float)).tolist()
    return x, y, z


def pixels_about_source(image: Volume, diameter_mm: float | None) -> NDArray[np.bool_]:
    """Pixels within a circle about the centre of the counts; all of them without a diameter.

    Raises
    ------
    GeometryError
        If the circle reaches beyond the field of view.
    """
    if diameter_mm is None:
        return np.ones(image.grid.shape, dtype=bool)
    hot = image.values > HOT * float(image.values.max())
    index = np.argwhere(hot)
    centre = np.average(index, axis=0, weights=image.values[hot].astype(float))
    every = np.stack(np.meshgrid(*(np.arange(n) for n in image.grid.shape), indexing="ij"), axis=-1)
    away = np.linalg.norm((every - centre)[..., :2] * image.grid.spacing_mm[:2], axis=-1)
    inside = away <= diameter_mm / 2
    edge = (np.asarray(image.grid.shape[:2]) - 1) * image.grid.spacing_mm[:2]
    at = centre[:2] * image.grid.spacing_mm[:2]
    if (at - diameter_mm / 2 < 0).any() or (at + diameter_mm / 2 > edge).any():
        raise GeometryError(f"the circle of {diameter_mm:g} mm about the source reaches beyond the field of view")
    return np.asarray(inside)


def sphere_regions(
    grid: Grid, centre_mm: Point, diameter_mm: float, *, margin_mm: float, shell: bool
) -> tuple[Region, Region | None]:
    """A sphere with its margin, and the shell beyond it for the background, if that is wanted."""
    around = sampled("sphere with margin", Ball(centre_mm, diameter_mm + 2 * margin_mm), grid)
    if not shell:
        return around, None
    outer = sampled("shell", Ball(centre_mm, diameter_mm + 4 * margin_mm), grid)
    return around, (outer - around).renamed("shell")


def cylinder_core(
    grid: Grid, centre_mm: Point, *, diameter_mm: float, length_mm: float, margin_mm: float
) -> tuple[Region, float]:
    """What of a cylinder lies farther than a margin from its surface, and the volume of the cylinder in mL.

    Raises
    ------
    InputError
        If nothing does.
    GeometryError
        If the cylinder does not lie in the image.
    """
    phantom = water_cylinder(
        grid, diameter_mm=diameter_mm, length_mm=length_mm, centre_mm=centre_mm, wall_mm=0.0, clearance_mm=margin_mm
    )
    if "core" not in phantom.regions:
        raise InputError(f"nothing of the cylinder lies farther than {margin_mm:g} mm from its surface")
    return phantom.regions["core"], float(np.pi / 4 * diameter_mm**2 * length_mm / 1000)


def nema_spheres(grid: Grid, centre_mm: Point, *, margin_mm: float) -> PhantomSpheres:
    """Spheres of the standard phantom, the insert's axis meeting their plane at a place."""
    phantom = nema_phantom(grid, centre_mm=centre_mm, clearance_mm=margin_mm)
    names = phantom.sphere_diameters_mm
    return PhantomSpheres({name: phantom.regions[name] for name in names}, dict(names), phantom.regions["core"])


def named_spheres(regions: Sequence[Region], *, warm: bool, where: str) -> PhantomSpheres:
    """Spheres among drawn structures: "sphere 10 mm", ... and "background".

    Raises
    ------
    InputError
        If there is no sphere among them, or no background although it is warm.
    """
    spheres, diameters = {}, {}
    for region in regions:
        match = re.search(r"sphere\D*(\d+(?:\.\d+)?)", region.name, re.IGNORECASE)
        if match is not None:
            spheres[region.name], diameters[region.name] = region, float(match.group(1))
    if not spheres:
        known = ", ".join(region.name for region in regions)
        raise InputError(f"{where}: no structure is named like 'sphere 22 mm'; there are {known}")
    background = next((region for region in regions if region.name.lower().startswith("background")), None)
    if warm and background is None:
        raise InputError(f"{where}: a warm background needs a structure named 'background'")
    return PhantomSpheres(spheres, diameters, background)
