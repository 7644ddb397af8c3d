"""A virtual patient in two breaths, poses and machines, with the true transform between the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from hepatica.anatomy.virtual_patient import PatientSettings, VirtualCtOptions, default_grid, virtual_patient
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.transform import Affine, DisplacementField, Transform, warp_region

FloatArray = NDArray[np.float64]

LIVER_HEIGHT_MM, SPINE_MM = 10.0, (0.0, 60.0)
"""About the height of the middle of the virtual patient's liver, and where its spine stands (x, y)."""

ARMS_MM = 205.0
"""Distance of the arms' axes from the middle."""

MR_VALUES = {"liver": 0.62, "spleen": 0.42, "kidney left": 0.38, "kidney right": 0.38, "gallbladder": 0.18,
             "stomach": 0.35, "aorta": 0.22, "vena cava": 0.24, "heart": 0.45, "tumour 1": 0.4,
             "tumour 2": 0.36}  # fmt: skip
"""T1-weighted signal without contrast agent, relative to fat: liver brighter than spleen, tumours, vessels darker."""


@dataclass(frozen=True)
class Scene:
    """Two images of a patient and the truth: `true` leads from fixed to moving points."""

    fixed: Volume
    moving: Volume
    true: Transform
    drawn: Mapping[str, Region]
    _fixed: dict[str, Region] = field(default_factory=dict)

    def region(self, name: str = "liver") -> Region:
        """A structure on the fixed image."""
        if name not in self._fixed:
            self._fixed[name] = warp_region(self.drawn[name], Transform(self.true.steps[:1]), self.fixed.grid)
        return self._fixed[name]

    def moving_region(self, name: str = "liver") -> Region:
        """A structure on the moving image."""
        back = Transform(self.true.steps[1:]).inverse()
        return warp_region(self.drawn[name], back, self.moving.grid)

    def posed(self, step: Affine, grid: Grid, noise_hu: float = 12.0) -> Volume:
        """The fixed image in another pose, on another scanner's voxels, with noise of its own."""
        values = _on_grid(self.fixed, step, grid, -1000.0)
        values = values + np.random.default_rng(5).normal(0, noise_hu, values.shape)
        return Volume(grid, values.astype(np.float32), Kind.HU)

    def points_mm(self, name: str = "liver") -> FloatArray:
        """Voxel centres of a structure of the fixed image."""
        return self.fixed.grid.to_mm(np.argwhere(self.region(name).mask()))

    def error_mm(self, found: Transform, name: str = "liver") -> FloatArray:
        """What is wrong at each point of a structure, LPS, shape (n, 3)."""
        points = self.points_mm(name)
        return found.points_mm(points) - self.true.points_mm(points)


def breathing(grid: Grid, peak_mm: float = 18.0, forward_mm: float = 6.0) -> DisplacementField:
    """A smooth breath: the liver goes down nearly as one, the lungs' tops and the pelvis less, the spine not at all.

    The lowest part of the liver moves 0.8 times as far as its middle; the belly also comes forward.
    """
    coarse = grid.with_spacing((8.0, 8.0, 8.0))
    at = coarse.to_mm(np.moveaxis(np.indices(coarse.shape), 0, -1))
    from_spine = np.hypot(at[..., 0] - SPINE_MM[0], at[..., 1] - SPINE_MM[1])
    free = 1 - np.exp(-((from_spine / 45.0) ** 2))
    inside = 1 / (1 + np.exp((np.hypot(at[..., 0] / 150.0, at[..., 1] / 110.0) - 0.95) / 0.06))
    height = np.exp(-0.5 * ((at[..., 2] - LIVER_HEIGHT_MM) / 130.0) ** 2)
    vectors = np.zeros((*coarse.shape, 3))
    vectors[..., 2] = -peak_mm * height * free * inside
    vectors[..., 1] = -forward_mm * height * np.clip((40.0 - at[..., 1]) / 120.0, 0, 1)
    return DisplacementField(coarse, vectors)


def pose(turn_deg: tuple[float, float, float] = (2.0, -1.0, 3.0), shift_mm: tuple[float, ...] = (9, -6, 14)) -> Affine:
    """Another position on the couch."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return Affine(matrix)


def seen_from(grid: Grid, step: Affine) -> Grid:
    """Oblique, flipped, anisotropic voxels around where a pose takes the middle of a grid."""
    turn = Rotation.from_euler("xyz", [5, 9, -4], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-3.5, 3.5, 5.0])
    shape = (115, 90, 85)
    middle = step.points_mm(grid.corners_mm().mean(axis=0))
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape, affine)


def scene(
    *, seed: int = 7, spacing_mm: float = 4.0, moving: str = "ct", breath_mm: float = 18.0, noise_hu: float = 20.0
) -> Scene:
    """A planning CT, arms up, and another image of the same patient in another breath and pose, arms down.

    Parameters
    ----------
    moving : {"ct", "mr"}
        Low-dose CT of a SPECT/CT with couch and arms, or a T1-weighted MR with a bias field.
    """
    settings = PatientSettings(seed=seed, ct=VirtualCtOptions(spacing_mm=spacing_mm, noise_hu=12.0), tumours=2)
    patient = virtual_patient(settings, default_grid(settings))
    rng = np.random.default_rng(seed + 100)
    true = Transform((breathing(patient.grid, breath_mm, breath_mm / 3), pose()))
    wide = _widened(patient.grid)
    if moving == "mr":
        values = _mr(patient.hu, patient.regions, rng)
        other = _on_grid(Volume(patient.grid, values, Kind.UNKNOWN), true.steps[1], wide, 0.0)
        noise = [rng.normal(0, 0.03, other.shape) for _ in range(2)]
        image = Volume(wide, np.hypot(other + noise[0], noise[1]).astype(np.float32), Kind.UNKNOWN, name="MR")
    else:
        hu = _on_grid(_with_arms(patient.hu), true.steps[1], wide, -1000.0)
        hu = _with_couch(hu, wide) + rng.normal(0, noise_hu, hu.shape)
        image = Volume(wide, hu.astype(np.float32), Kind.HU, name="low-dose CT")
    # The virtual patient as made is the moving one, in the breath of the moving image; the fixed image is it, breathed.
    breath = Transform((true.steps[0],))
    fixed = _breathed(patient.hu, breath)
    fixed = fixed + rng.normal(0, 12.0, fixed.shape)
    return Scene(
        Volume(patient.grid, fixed.astype(np.float32), Kind.HU, name="planning CT"), image, true, patient.regions
    )


def _breathed(volume: Volume, breath: Transform) -> FloatArray:
    points = breath.points_mm(volume.grid.to_mm(np.moveaxis(np.indices(volume.grid.shape), 0, -1)))
    index = np.moveaxis(volume.grid.to_index(points), -1, 0)
    return np.asarray(ndimage.map_coordinates(volume.values, index, order=1, mode="constant", cval=-1000.0))


def _on_grid(volume: Volume, step: Affine, grid: Grid, outside: float) -> FloatArray:
    """The image after a pose: what the moving scanner sees at y lies at step^-1 y in the patient."""
    matrix = volume.grid.inverse_affine @ np.linalg.inv(step.matrix) @ grid.affine
    return np.asarray(
        ndimage.affine_transform(volume.values, matrix[:3, :3], matrix[:3, 3], grid.shape, order=1, cval=outside)
    )


def _widened(grid: Grid) -> Grid:
    """An oblique, flipped grid of 4.4 x 4.4 x 5 mm around a patient with arms."""
    turn = Rotation.from_euler("z", 3, degrees=True).as_matrix()
    affine = np.eye(4)
    spacing = np.array([-4.42, 4.42, 5.0])
    shape = np.array([112, 70, 78])
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = np.array([9.0, 0.0, 40.0]) - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((112, 70, 78), affine)


def _with_arms(hu: Volume) -> Volume:
    """The patient with arms beside the trunk, on a wider grid."""
    pad = round(90.0 / hu.grid.spacing_mm[0])
    values = np.pad(hu.values, ((pad, pad), (0, 0), (0, 0)), constant_values=-1000.0)
    affine = np.array(hu.grid.affine)
    affine[:3, 3] = hu.grid.to_mm([-pad, 0, 0])
    grid = Grid((hu.grid.shape[0] + 2 * pad, *hu.grid.shape[1:]), affine)
    at = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    for side in (-1, 1):
        off = np.hypot(at[..., 0] - side * ARMS_MM, at[..., 1] - 10.0)
        values = np.where((off < 42) & (values < -300), 40.0, values)
        values = np.where(off < 12, 700.0, values)
    return Volume(grid, values.astype(np.float32), Kind.HU)


def _with_couch(hu: FloatArray, grid: Grid) -> FloatArray:
    """A couch: a thin shell with foam below the patient."""
    at = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    y = at[..., 1] - 4e-4 * at[..., 0] ** 2
    couch = (y > 128) & (y < 150) & (np.abs(at[..., 0]) < 220)
    shell = couch & ((y < 133) | (y > 145))
    return np.where(shell, np.maximum(hu, -350.0), np.where(couch, np.maximum(hu, -900.0), hu))


def _mr(hu: Volume, regions: object, rng: np.random.Generator) -> NDArray[np.float32]:
    """A T1-weighted signal: fat bright, lung and bone dark, organs by name, times a smooth bias field."""
    values = np.select([hu.values < -250, hu.values < -30, hu.values < 130], [0.02, 1.0, 0.38], 0.2).astype(float)
    for name, signal in MR_VALUES.items():
        if name in regions:  # type: ignore[operator]
            values = np.where(regions[name].mask(), signal, values)  # type: ignore[index]
    bias = ndimage.gaussian_filter(rng.normal(size=hu.grid.shape), [90.0 / s for s in hu.grid.spacing_mm])
    return (values * (1 + 0.25 * bias / np.abs(bias).max())).astype(np.float32)
