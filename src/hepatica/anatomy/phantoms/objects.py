"""Test objects of known shape and content, sampled on any grid along the patient axes.

What physicists calibrate cameras with: the NEMA IEC body phantom, a water cylinder, a sphere in water, a disc, a point
and a line. Shapes are exact where voxels are not: each voxel holds the share that the object fills.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

import numpy as np

from hepatica.anatomy.phantoms.solids import Ball, FloatArray, Point, Prism, Solid, cylinder, sampled
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import InputError, UnknownNameError

Insert = Literal["lung", "cylinder", "none"]
Medium = Literal["air", "water"]

NEMA_SPHERES_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
"""Inner diameters (IEC 61675-1; NEMA NU 2-2018, section 7)."""

NEMA_RING_RADIUS_MM = 57.2
"""Distance of the spheres' centres from the phantom's axis (NEMA NU 2-2018: on a circle of diameter 114.4 mm)."""

NEMA_RADII_MM = (147.0, 77.0)
"""Inner radii of the body: of the half circle in front and of the two corners behind, 140 mm apart (IEC 61675-1)."""

NEMA_AXIS_TO_HALF_CIRCLE_MM = 35.0
"""The axis through insert and ring stands so far in front of the half circle's centre: at half the inner height."""

NEMA_PLANE_DEPTH_MM = 70.0
"""From the inside of the lid to the centres of the spheres (NEMA NU 2-2018)."""

HU = {"air": -1000.0, "water": 0.0, "pmma": 125.0, "lung": -700.0}
"""CT numbers at 120 kV; PMMA (1.18 g/mL) and lung insert (0.30 g/mL) are typical values of the literature."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A test object on a grid.

    Attributes
    ----------
    name : str
        What it is.
    hu : Volume
        Noise-free CT in HU.
    regions : mapping of str to Region
        Every part by name.
    compartments : tuple of str
        The parts that can be filled; they do not overlap.
    sphere_diameters_mm : mapping of str to float
        Inner diameter of each spherical part.
    """

    name: str
    hu: Volume
    regions: Mapping[str, Region]
    compartments: tuple[str, ...]
    sphere_diameters_mm: Mapping[str, float] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """Grid of CT and regions."""
        return self.hu.grid

    def activity(
        self,
        concentration_bq_ml: Mapping[str, float] | None = None,
        *,
        total_bq: Mapping[str, float] | None = None,
        time: datetime | None,
    ) -> Volume:
        """Activity per voxel with compartments filled.

        Parameters
        ----------
        concentration_bq_ml : mapping of str to float, optional
            Compartment -> Bq/mL.
        total_bq : mapping of str to float, optional
            Compartment -> Bq in all of it (spread evenly); a compartment stands in one of the two only.
        time : datetime or None
            Instant of these activities.

        Returns
        -------
        Volume
            Kind.ACTIVITY, Bq per voxel; compartments that are not named are cold.

        Raises
        ------
        UnknownNameError
            If a name is no compartment.
        InputError
            If nothing is filled, an activity is negative or not finite, or a compartment is named twice.
        """
        filled = dict(concentration_bq_ml or {})
        for name, total in (total_bq or {}).items():
            if name in filled:
                raise InputError(f"{name}: give a concentration or a total, not both")
            filled[name] = total / self._compartment(name).volume_ml
        if not filled:
            raise InputError(f"{self.name}: fill at least one of {', '.join(self.compartments)}")
        values = np.zeros(self.grid.shape, dtype=np.float64)
        for name, concentration in filled.items():
            if not 0 <= concentration < math.inf:
                raise InputError(f"{name}: an activity cannot be {concentration} Bq/mL")
            region = self._compartment(name)
            values[region.window] += region.coverage * (concentration * self.grid.voxel_volume_ml)
        return Volume(self.grid, values.astype(np.float32), Kind.ACTIVITY, time, self.name)

    def _compartment(self, name: str) -> Region:
        if name not in self.compartments:
            raise UnknownNameError(f"compartment of the {self.name}", name, self.compartments)
        return self.regions[name]


def grid_around(
    extent_mm: Sequence[float],
    *,
    spacing_mm: Sequence[float],
    centre_mm: Point = (0.0, 0.0, 0.0),
    frame_of_reference: str | None = None,
) -> Grid:
    """Axial grid whose block of voxels covers at least `extent_mm` around `centre_mm`."""
    shape = [max(1, math.ceil(e / s - 1e-9)) for e, s in zip(extent_mm, spacing_mm, strict=True)]
    origin = [c - (n - 1) / 2 * s for c, n, s in zip(centre_mm, shape, spacing_mm, strict=True)]
    return Grid.axial(shape, spacing_mm=spacing_mm, origin_mm=origin, frame_of_reference=frame_of_reference)


def nema_grid(
    spacing_mm: Sequence[float] = (2.0, 2.0, 2.0), *, margin_mm: float = 10.0, frame_of_reference: str | None = None
) -> Grid:
    """Grid that holds `nema_phantom` at the origin with a margin of air."""
    low, high = -NEMA_INSIDE_MM + NEMA_PLANE_DEPTH_MM - NEMA_END_MM, NEMA_PLANE_DEPTH_MM + NEMA_END_MM
    width, height = 2 * (NEMA_RADII_MM[0] + NEMA_WALL_MM), sum(NEMA_RADII_MM) + 2 * NEMA_WALL_MM
    return grid_around(
        [extent + 2 * margin_mm for extent in (width, height, high - low)],
        spacing_mm=spacing_mm,
        centre_mm=(0.0, 0.0, (low + high) / 2),
        frame_of_reference=frame_of_reference,
    )


NEMA_INSIDE_MM = 194.0
"""Inner length of the commercial phantom; the standard asks for at least 180 mm."""

NEMA_WALL_MM, NEMA_END_MM = 3.0, 10.0
"""PMMA at the sides (IEC 61675-1) and at the ends of the commercial phantom."""

NEMA_INSERT_MM = (51.0, 44.5)
"""Outer and inner diameter of the lung insert."""


def nema_phantom(
    grid: Grid,
    *,
    centre_mm: Point = (0.0, 0.0, 0.0),
    diameters_mm: Sequence[float] = NEMA_SPHERES_MM,
    sphere_wall_mm: float = 1.0,
    insert: Insert = "lung",
    clearance_mm: float = 20.0,
) -> Phantom:
    """NEMA IEC body phantom, as for a patient lying supine: flat side to the table, lid to the head.

    Parameters
    ----------
    grid : Grid
        Any grid along the patient axes that holds the phantom (`nema_grid`).
    centre_mm : tuple of float
        Where the axis of the insert meets the plane of the spheres.
    diameters_mm : sequence of float
        Inner diameters of the spheres, one after another at 60 degrees from each other. The third (17 mm) lies to the
        patient's left and the sixth (37 mm) to the right, both on the horizontal axis (NEMA NU 2-2018 asks it of the
        17 mm sphere; the sense of rotation is our choice).
    sphere_wall_mm : float
        Cold wall around each sphere (at most 1 mm by IEC 61675-1); 0 for none.
    insert : {"lung", "cylinder", "none"}
        In the middle: cold lung-equivalent, a water-filled cylinder that can be filled with activity, or nothing.
    clearance_mm : float
        Region "core" is the background that lies farther than this from spheres, insert and walls.

    Returns
    -------
    Phantom
        Compartments "background", "sphere 10 mm", ... (and "insert"). The regions also hold "body" (with walls), "core"
        and "insert".

    Raises
    ------
    GeometryError
        If the grid is oblique or does not hold the phantom.
    InputError
        If a diameter is not positive, there are more than six, or two of one size.

    References
    ----------
    .. [1] IEC 61675-1:2013, Radionuclide imaging devices: PET. Dimensions as in NEMA NU 2-2018, figures 7-1 and 7-2.
    """
    if insert not in get_args(Insert):
        raise UnknownNameError("insert", insert, get_args(Insert))
    _require_spheres(diameters_mm)
    x, y, z = centre_mm
    ends = (z + NEMA_PLANE_DEPTH_MM - NEMA_INSIDE_MM, z + NEMA_PLANE_DEPTH_MM)
    outer = _torso_prism(centre_mm, (ends[0] - NEMA_END_MM, ends[1] + NEMA_END_MM), NEMA_WALL_MM)
    build = _Build(f"NEMA IEC body phantom with insert {insert}", grid)
    build.paint("body", outer, "pmma")
    background = build.paint("background", _torso_prism(centre_mm, ends, 0.0), "water")
    core = sampled(
        "core", _torso_prism(centre_mm, (ends[0] + clearance_mm, ends[1] - clearance_mm), -clearance_mm), grid
    )
    middle = (x, y, (ends[0] + ends[1]) / 2)
    if insert != "none":
        outside, inside = (cylinder(middle, diameter_mm=d, length_mm=NEMA_INSIDE_MM) for d in NEMA_INSERT_MM)
        background = background - build.paint("insert wall", outside, "pmma")
        build.paint("insert", inside, "lung" if insert == "lung" else "water")
        around = cylinder(middle, diameter_mm=NEMA_INSERT_MM[0] + 2 * clearance_mm, length_mm=NEMA_INSIDE_MM)
        core = core - sampled("insert", around, grid)
    spheres = {}
    for number, diameter in enumerate(diameters_mm):
        angle = math.radians(60.0 * (number - 2))
        at = (x + NEMA_RING_RADIUS_MM * math.cos(angle), y + NEMA_RING_RADIUS_MM * math.sin(angle), z)
        name = f"sphere {diameter:g} mm"
        background = background - build.paint("wall", Ball(at, diameter + 2 * sphere_wall_mm), "pmma")
        build.paint(name, Ball(at, diameter), "water")
        spheres[name] = float(diameter)
        core = core - sampled("sphere", Ball(at, diameter + 2 * clearance_mm), grid)
    build.regions["background"] = background.renamed("background", "analytic phantom")
    build.regions["core"] = core.renamed("core", "analytic phantom")
    filled = ("background", *spheres, *(("insert",) if insert == "cylinder" else ()))
    return build.done(filled, spheres, without=("wall", "insert wall"))


def water_cylinder(
    grid: Grid,
    *,
    diameter_mm: float = 200.0,
    length_mm: float = 200.0,
    centre_mm: Point = (0.0, 0.0, 0.0),
    wall_mm: float = 3.0,
    clearance_mm: float = 30.0,
) -> Phantom:
    """Cylinder of water along the patient's axis, with a wall of PMMA.

    Compartment "cylinder"; region "core" is what lies farther than `clearance_mm` from its surface (absent where
    nothing does).

    Raises
    ------
    GeometryError, InputError
        If it does not fit the grid, the grid is oblique, or a size is not positive.
    """
    build = _Build(f"water cylinder of {diameter_mm:g} mm", grid)
    build.paint(
        "body",
        cylinder(centre_mm, diameter_mm=diameter_mm + 2 * wall_mm, length_mm=length_mm + 2 * wall_mm),
        "pmma" if wall_mm else "water",
    )
    build.paint("cylinder", cylinder(centre_mm, diameter_mm=diameter_mm, length_mm=length_mm), "water")
    width, length = diameter_mm - 2 * clearance_mm, length_mm - 2 * clearance_mm
    if min(width, length) > 0:
        build.regions["core"] = sampled("core", cylinder(centre_mm, diameter_mm=width, length_mm=length), grid)
    return build.done(("cylinder",), {})


def sphere_in_water(
    grid: Grid,
    *,
    diameter_mm: float,
    centre_mm: Point = (0.0, 0.0, 0.0),
    cylinder_mm: tuple[float, float] = (200.0, 200.0),
    sphere_wall_mm: float = 1.0,
    wall_mm: float = 3.0,
) -> Phantom:
    """Hot sphere in the middle of a water cylinder of (diameter, length); compartments "sphere" and "cylinder".

    Raises
    ------
    GeometryError, InputError
        If it does not fit the grid, the sphere does not fit the cylinder, or the grid is oblique.
    """
    if diameter_mm + 2 * sphere_wall_mm > min(cylinder_mm):
        raise InputError(f"a sphere of {diameter_mm:g} mm does not fit a cylinder of {cylinder_mm} mm")
    around = water_cylinder(
        grid, diameter_mm=cylinder_mm[0], length_mm=cylinder_mm[1], centre_mm=centre_mm, wall_mm=wall_mm
    )
    build = _Build(f"sphere of {diameter_mm:g} mm in water", grid, around)
    wall = build.paint("wall", Ball(centre_mm, diameter_mm + 2 * sphere_wall_mm), "pmma" if sphere_wall_mm else "water")
    build.paint("sphere", Ball(centre_mm, diameter_mm), "water")
    build.regions["cylinder"] = (around.regions["cylinder"] - wall).renamed("cylinder", "analytic phantom")
    return build.done(("sphere", "cylinder"), {"sphere": diameter_mm}, without=("wall", "core"))


def disc_source(
    grid: Grid,
    *,
    diameter_mm: float = 100.0,
    thickness_mm: float = 5.0,
    normal: Literal["x", "y", "z"] = "y",
    centre_mm: Point = (0.0, 0.0, 0.0),
) -> Phantom:
    """Flat dish of active water in air, facing along `normal` (a head above or below the table looks along y).

    Compartment "source". The dish's own walls are left out.
    """
    axis = _axis(normal)
    build = _Build(f"disc source of {diameter_mm:g} mm", grid)
    build.paint("source", cylinder(centre_mm, diameter_mm=diameter_mm, length_mm=thickness_mm, axis=axis), "water")
    return build.done(("source",), {})


def point_source(
    grid: Grid,
    *,
    centre_mm: Point = (0.0, 0.0, 0.0),
    diameter_mm: float = 1.0,
    medium: Medium = "air",
    cylinder_mm: tuple[float, float] = (200.0, 200.0),
) -> Phantom:
    """A small ball of water, in air or in the middle of a water cylinder of (diameter, length); compartment "source".

    Raises
    ------
    GeometryError, InputError, UnknownNameError
        If it does not fit the grid, a size is not positive, or the medium is not known.
    """
    return _thin_source(grid, "point source", Ball(centre_mm, diameter_mm), medium, centre_mm, cylinder_mm)


def line_source(
    grid: Grid,
    *,
    length_mm: float = 150.0,
    along: Literal["x", "y", "z"] = "z",
    centre_mm: Point = (0.0, 0.0, 0.0),
    diameter_mm: float = 1.0,
    medium: Medium = "air",
    cylinder_mm: tuple[float, float] = (200.0, 200.0),
) -> Phantom:
    """A thin line of water, in air or in a water cylinder of (diameter, length) around it; compartment "source".

    Raises
    ------
    GeometryError, InputError, UnknownNameError
        If it does not fit the grid, a size is not positive, or a name is not known.
    """
    line = cylinder(centre_mm, diameter_mm=diameter_mm, length_mm=length_mm, axis=_axis(along))
    return _thin_source(grid, "line source", line, medium, centre_mm, cylinder_mm)


# ---------------------------------------------------------------------------------------------------------------------


class _Build:
    """CT and regions of a phantom while its parts are painted, the later over the earlier."""

    def __init__(self, name: str, grid: Grid, onto: Phantom | None = None) -> None:
        self.name, self.grid = name, grid
        self.hu = np.full(grid.shape, HU["air"], dtype=np.float32) if onto is None else np.array(onto.hu.values)
        self.regions: dict[str, Region] = {} if onto is None else dict(onto.regions)

    def paint(self, name: str, solid: Solid, material: str) -> Region:
        """Sample a part, give it its CT number, and keep it under its name."""
        region = sampled(name, solid, self.grid)
        part = self.hu[region.window]
        part += region.coverage * (np.float32(HU[material]) - part)
        self.regions[name] = region
        return region

    def done(self, filled: tuple[str, ...], spheres: Mapping[str, float], *, without: tuple[str, ...] = ()) -> Phantom:
        regions = {name: region for name, region in self.regions.items() if name not in without}
        return Phantom(self.name, Volume(self.grid, self.hu, Kind.HU, name=f"{self.name} CT"), regions, filled, spheres)


def _thin_source(
    grid: Grid, name: str, solid: Solid, medium: Medium, centre_mm: Point, cylinder_mm: tuple[float, float]
) -> Phantom:
    if medium not in get_args(Medium):
        raise UnknownNameError("medium", medium, get_args(Medium))
    around = None
    if medium == "water":
        around = water_cylinder(grid, diameter_mm=cylinder_mm[0], length_mm=cylinder_mm[1], centre_mm=centre_mm)
    build = _Build(f"{name} in {medium}", grid, around)
    build.paint("source", solid, "water")
    return build.done(("source",), {}, without=("core", "cylinder"))


def _torso_prism(centre_mm: Point, ends_mm: tuple[float, float], grown_mm: float) -> Prism:
    """The body's section, its surface moved outwards by `grown_mm`, between two ends along z."""
    x, y = centre_mm[0], centre_mm[1] + NEMA_AXIS_TO_HALF_CIRCLE_MM
    front, corner = (radius + grown_mm for radius in NEMA_RADII_MM)
    flat = NEMA_RADII_MM[0] - NEMA_RADII_MM[1]

    def chord(at: FloatArray) -> tuple[FloatArray, FloatArray]:
        from_centre = at - y
        before = np.sqrt(np.maximum(front**2 - from_centre**2, 0))
        behind = flat + np.sqrt(np.maximum(corner**2 - from_centre**2, 0))
        half = np.where(from_centre <= 0, before, np.where(from_centre <= corner, behind, 0.0))
        return x - half, x + half

    area = math.pi * front**2 / 2 + 2 * flat * corner + math.pi * corner**2 / 2
    return Prism(2, ends_mm, chord, ((x - front, x + front), (y - front, y + corner)), area, corner)


def _require_spheres(diameters_mm: Sequence[float]) -> None:
    if not 1 <= len(diameters_mm) <= len(NEMA_SPHERES_MM):
        raise InputError(f"the phantom has room for one to six spheres, not {len(diameters_mm)}")
    if len(set(diameters_mm)) != len(diameters_mm):
        raise InputError("the spheres must differ in size: their names say it")
    if max(diameters_mm) + 4 > NEMA_RING_RADIUS_MM:
        raise InputError(f"spheres of {max(diameters_mm):g} mm would touch each other on the ring")


def _axis(name: str) -> int:
    if name not in ("x", "y", "z"):
        raise UnknownNameError("axis", name, ("x", "y", "z"))
    return "xyz".index(name)
