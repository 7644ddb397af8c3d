"""Solids on a grid: regions that share out the voxels, and CT numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.body import Body, hu_of
from hepatica.anatomy.virtual_patient.liver import segment_of
from hepatica.anatomy.virtual_patient.read import hounsfield, reference_masses_g
from hepatica.anatomy.virtual_patient.settings import PatientSettings
from hepatica.anatomy.virtual_patient.shapes import Solid, coordinates, coverage, ripple
from hepatica.anatomy.virtual_patient.tumours import PlacedTumour
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.region import Window

Array = NDArray[np.float32]
Part = tuple[Window, Array]

ORIGIN = "virtual patient"

WALL_MM = {"stomach": 5.0, "duodenum": 3.0, "gallbladder": 2.5}
"""Thickness of walls that take up what flows back into their arteries (typical of CT, general knowledge)."""

VESSEL_MM = 2.1
"""Vessels are sampled at least so finely."""

LUNG_NAMES = ("lung left", "lung right")


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A body on a grid.

    Attributes
    ----------
    grid : Grid
        The grid.
    parts : mapping of str to (window, coverage)
        Organs, no voxel claimed more than once in all; and inside the liver "tumour 1", "tumour 1 necrosis", ...,
        "portal vein", "hepatic veins", "wall of stomach" and the like.
    layers : mapping of str to (window, coverage)
        Of the body's wall.
    segment : ndarray of uint8
        Couinaud segment of each voxel of the liver's window.
    """

    grid: Grid
    parts: Mapping[str, Part]
    layers: Mapping[str, Part]
    segment: NDArray[np.uint8]

    def full(self, name: str) -> Array:
        """Coverage over the whole grid."""
        out = np.zeros(self.grid.shape, dtype=np.float32)
        window, covered = self.parts[name] if name in self.parts else self.layers[name]
        out[window] = covered
        return out

    def region(self, name: str, label: str | None = None) -> Region:
        """A part as a region."""
        window, covered = self.parts[name] if name in self.parts else self.layers[name]
        return _region(label or name, self.grid, window, covered)


def sample(body: Body, tumours: tuple[PlacedTumour, ...], vessels: Mapping[str, Solid], grid: Grid) -> Sampled:
    """Cover the grid's voxels."""
    layers = {name: coverage(solid, grid) for name, solid in body.layers.items()}
    free = np.zeros(grid.shape, dtype=np.float32)
    window, covered = layers["body"]
    free[window] = covered
    parts: dict[str, Part] = {}
    for name, solid in body.organs.items():
        window, covered = coverage(solid, grid)
        covered = np.minimum(covered, free[window])
        free[window] -= covered
        parts[name] = window, covered
    for name, wall in WALL_MM.items():
        window, covered = parts[name]
        inner = np.zeros(grid.shape, dtype=np.float32)
        inside, lumen = coverage(body.organs[name].grown(-wall), grid)
        inner[inside] = lumen
        parts[f"wall of {name}"] = window, np.maximum(covered - inner[window], 0)
    room, liver = parts["liver"]
    left = liver.copy()
    for tumour in tumours:
        covered = np.minimum(_onto(coverage(tumour.solid, grid), room, liver.shape), left)
        left = left - covered
        parts[tumour.name] = room, covered
        if tumour.necrosis is not None:
            core = _onto(coverage(tumour.necrosis, grid), room, liver.shape)
            parts[f"{tumour.name} necrosis"] = room, np.minimum(core, covered)
    for name, solid in vessels.items():
        parts[name] = coverage(solid, grid, VESSEL_MM)
    a, b, c = (np.float32(s) for s in body.size)
    x, y, z = coordinates(grid, room)
    labels = segment_of(x / a, y / b, z / c, body.fissures) if liver.size else np.zeros(liver.shape, np.uint8)
    return Sampled(grid, parts, layers, labels)


def regions_of(sampled: Sampled, tumours: tuple[PlacedTumour, ...]) -> dict[str, Region]:
    """All structures with a voxel on the grid."""
    out: dict[str, Region] = {"body": sampled.region("body")}
    window, whole = sampled.layers["body"]
    inner = np.zeros(sampled.grid.shape, dtype=np.float32)
    at, beneath = sampled.layers["beneath skin"]
    inner[at] = beneath
    out["skin"] = _region("skin", sampled.grid, window, np.maximum(whole - inner[window], 0))
    for name in sampled.parts:
        if not name.startswith(("tumour", "wall of", "portal", "hepatic")):
            out[name] = sampled.region(name)
    room, liver = sampled.parts["liver"]
    for number in range(1, 9):
        out[f"segment {number}"] = _region(
            f"segment {number}", sampled.grid, room, np.where(sampled.segment == number, liver, np.float32(0))
        )
    for name, low, high in (("lobe left", 1, 4), ("lobe right", 5, 8)):
        side = (sampled.segment >= low) & (sampled.segment <= high)
        out[name] = _region(name, sampled.grid, room, np.where(side, liver, np.float32(0)))
    for tumour in tumours:
        out[tumour.name] = sampled.region(tumour.name)
        if tumour.necrosis is not None:
            out[f"{tumour.name} necrosis"] = sampled.region(f"{tumour.name} necrosis")
    for name in ("portal vein", "hepatic veins"):
        out[name] = sampled.region(name)
    return {name: region for name, region in out.items() if not region.is_empty}


def _region(name: str, grid: Grid, window: Window, covered: Array) -> Region:
    from hepatica.core.region import bounding_window

    inner = bounding_window(covered > 0)
    i, j, k = (slice(w.start + n.start, w.start + n.stop) for w, n in zip(window, inner, strict=True))
    return Region(name, grid, (i, j, k), covered[inner], ORIGIN)


def _onto(part: Part, window: Window, shape: tuple[int, ...]) -> Array:
    """A part's coverage within another window."""
    out = np.zeros(shape, dtype=np.float32)
    source, covered = part
    low = [max(a.start, b.start) for a, b in zip(source, window, strict=True)]
    high = [min(a.stop, b.stop) for a, b in zip(source, window, strict=True)]
    if all(b > a for a, b in zip(low, high, strict=True)):
        there = tuple(slice(a - w.start, b - w.start) for a, b, w in zip(low, high, window, strict=True))
        here = tuple(slice(a - w.start, b - w.start) for a, b, w in zip(low, high, source, strict=True))
        out[there] = covered[here]
    return out


# ---------------------------------------------------------------------------------------------------------------------


def ct_numbers(
    sampled: Sampled,
    body: Body,
    settings: PatientSettings,
    tumours: tuple[PlacedTumour, ...],
    random: np.random.Generator,
    *,
    contrast: str | None = None,
) -> Volume:
    """Noise-free CT: each voxel the mean of the tissues it holds."""
    tissue = dict(hounsfield(contrast or settings.ct.contrast))
    grid = sampled.grid
    hu = np.full(grid.shape, tissue["air"], dtype=np.float32)
    for layer, name in (("body", "skin"), ("beneath skin", "fat"), ("beneath fat", "muscle"), ("cavity", "fat")):
        _paint(hu, sampled.layers[layer], tissue[name])
    _paint_cavity(hu, sampled, body, tissue, random)
    values = {name: tissue[_TISSUE.get(name, name)] for name in body.organs if name not in LUNG_NAMES}
    values |= {name: _lung_hu(name, body, settings) for name in LUNG_NAMES}
    # Every voxel is claimed at most once, so the order does not matter.
    for name, value in values.items():
        window, covered = sampled.parts[name]
        hu[window] += covered * (np.float32(value) - hu[window])
    _paint_inside(hu, sampled, body, tissue)
    for name in ("portal vein", "hepatic veins"):
        _paint(hu, sampled.parts[name], tissue[name])
    for tumour in tumours:
        _paint(hu, sampled.parts[tumour.name], tissue["tumour"])
        if tumour.necrosis is not None:
            _paint(hu, sampled.parts[f"{tumour.name} necrosis"], tissue["necrosis"])
    return Volume(grid, hu, Kind.HU, name="virtual patient, noise-free CT")


_TISSUE = {
    "spine": "bone marrow",
    "ribs": "bone cortex",
    "vena cava": "blood",
    "aorta": "artery",
    "kidney left": "kidney",
    "kidney right": "kidney",
    "trachea": "air",
}


def noisy(hu: Volume, noise_hu: float, random: np.random.Generator) -> Volume:
    """CT with noise of a standard deviation, correlated over about a voxel as after a soft kernel."""
    from scipy import ndimage

    if not noise_hu:
        return hu.with_values(hu.values, name="virtual patient, CT")
    grain = ndimage.gaussian_filter(random.standard_normal(hu.grid.shape, dtype=np.float32), 0.6, mode="wrap")
    grain *= np.float32(noise_hu / grain.std())
    return hu.with_values(np.clip(hu.values + grain, -1024, 3000), name="virtual patient, CT")


def _lung_hu(name: str, body: Body, settings: PatientSettings) -> float:
    """CT number at which the lung, with its volume, has its reference mass."""
    from hepatica.anatomy.virtual_patient.shapes import volume_ml

    mass_g = reference_masses_g(settings.anatomy.sex)[name] * settings.anatomy.size**3
    return hu_of(mass_g / volume_ml(body.organs[name], 4.0))


def _paint(hu: Array, part: Part, value: float) -> None:
    window, covered = part
    hu[window] += covered * (np.float32(value) - hu[window])


def _paint_cavity(
    hu: Array, sampled: Sampled, body: Body, tissue: Mapping[str, float], random: np.random.Generator
) -> None:
    """Mediastinum above the diaphragm; bowel, with a little gas, in the fat below it."""
    window, covered = sampled.layers["cavity"]
    x, y, z = coordinates(sampled.grid, window)
    height = body.size[2]
    chest = _step((z / np.float32(height) - 50) / 6)
    loops = ripple(1.0, 58.0, random, waves=9)((x, y, z))
    belly = _step(-(z / np.float32(height) + 48 + 0.25 * y) / 8)
    front = _step((26 - y) / 6)
    bowel = belly * front * _step((loops - 0.15) * 9)
    gas = belly * front * _step((loops - 1.55) * 18) * (y < 0)
    mixed = hu[window]
    for share, name in ((chest, "mediastinum"), (bowel, "bowel"), (gas, "gas")):
        mixed = mixed + covered * share * (np.float32(tissue[name]) - mixed)
    hu[window] = mixed


def _step(x: NDArray[Any]) -> Array:
    """0 far below zero, 1 far above: the logistic function, without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), dtype=np.float32)


def _paint_inside(hu: Array, sampled: Sampled, body: Body, tissue: Mapping[str, float]) -> None:
    """Cortex of the vertebrae, blood in the heart, gas and fluid in the stomach, medulla and pelvis of the kidneys."""
    grid = sampled.grid
    marrow = _claimed(sampled, "spine", coverage(body.organs["spine"].grown(-1.6), grid))
    window, covered = sampled.parts["spine"]
    hu[window] += (covered - marrow) * np.float32(tissue["bone cortex"] - tissue["bone marrow"])
    marrow = _claimed(sampled, "ribs", coverage(body.organs["ribs"].grown(-2.0), grid))
    window, _ = sampled.parts["ribs"]
    hu[window] += marrow * np.float32(tissue["bone marrow"] - tissue["bone cortex"])
    pool = _claimed(sampled, "heart", coverage(body.organs["heart"].grown(-11.0), grid))
    window, _ = sampled.parts["heart"]
    wall = 0.75 * tissue["heart"] + 0.25 * tissue["muscle"]
    hu[window] += (sampled.parts["heart"][1] - pool) * np.float32(wall - tissue["heart"])
    lumen = _claimed(sampled, "stomach", coverage(body.organs["stomach"].grown(-WALL_MM["stomach"]), grid))
    window, _ = sampled.parts["stomach"]
    _, y, _ = coordinates(grid, window)
    # The patient lies on the back: gas floats in front.
    level = np.float32(-38 * body.size[1])
    bubble = lumen * _step((level - y) / np.float32(1.5))
    fluid = lumen - bubble
    hu[window] += bubble * np.float32(tissue["gas"] - tissue["stomach"]) + fluid * np.float32(12 - tissue["stomach"])


def _claimed(sampled: Sampled, name: str, part: Part) -> Array:
    window, covered = sampled.parts[name]
    return np.minimum(_onto(part, window, covered.shape), covered)


def box_of(body: Body, *names: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Box in mm that holds some organs."""
    low = np.min([body.organs[name].low for name in names], axis=0)
    return low, np.max([body.organs[name].high for name in names], axis=0)


def grown_grid(grid: Grid, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Grid, Window]:
    """The grid, extended by whole voxels so that it holds a box; and the window of the old grid in the new one."""
    corners = np.array([[a, b, c] for a in (low[0], high[0]) for b in (low[1], high[1]) for c in (low[2], high[2])])
    index = grid.to_index(corners)
    first = np.minimum(np.floor(index.min(axis=0)).astype(int), 0)
    last = np.maximum(np.ceil(index.max(axis=0)).astype(int) + 1, grid.shape)
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.to_mm(first)
    i, j, k = (int(n) for n in last - first)
    a, b, c = (slice(int(-f), int(-f) + n) for f, n in zip(first, grid.shape, strict=True))
    return Grid((i, j, k), affine, grid.frame_of_reference), (a, b, c)
