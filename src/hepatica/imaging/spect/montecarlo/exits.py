"""Tables of the ways out of the patient: attenuation from cells to the views, and through coarse cells."""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Volume
from hepatica.imaging.spect.montecarlo.patient import Patient
from hepatica.transport.runner.launch import load_warp
from hepatica.transport.runner.upload import Upload

FloatArray = NDArray[np.float64]

CELL_MM = 8.0
"""Cells from whose middles the way to each view is tabulated. Half a cell of water beside the place that is meant is
6 % of the transmission at 140 keV at most; what lies along the view is accounted for."""
MAX_EXITS = 2**23
"""Entries of that table at most (8 bytes each); cells grow until it fits."""
COARSE_MM = 16.0
"""Cells through which rays far from the detector's normal go."""


def block_means(values: NDArray[np.float32], shape: tuple[int, int, int], factor: int) -> NDArray[np.float32]:
    """Means over blocks of ``factor`` cubed voxels, zero beyond the end.

    Parameters
    ----------
    values : ndarray of float32, shape (voxels, 2)
        In the order of `shape`.
    shape : tuple of int
        Of the voxels.
    factor : int
        Voxels per block and axis.

    Returns
    -------
    ndarray of float32, shape (i, j, k, 2)
    """
    padded = np.pad(values.reshape(*shape, -1), [(0, -n % factor) for n in shape] + [(0, 0)])
    i, j, k = (n // factor for n in padded.shape[:3])
    blocks = padded.reshape(i, factor, j, factor, k, factor, -1)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float64), dtype=np.float32)


def _factor(patient: Patient, size_mm: float) -> int:
    return max(1, round(size_mm / max(patient.grid.spacing_mm)))


def _cells(shape: tuple[int, ...], spacing_mm: tuple[float, ...], factor: int) -> Any:
    from hepatica.transport.device.geometry import Geometry

    g = Geometry()
    g.nx, g.ny, g.nz = shape
    g.sx, g.sy, g.sz = (factor * s for s in spacing_mm)
    return g


def rays_of(
    upload: Upload, geometry: Any, patient: Patient, norm: FloatArray, place: Any, views: int, device: str
) -> tuple[Any, NDArray[np.float32]]:
    """`device.Rays` of a patient, and the integrals to the views.

    Parameters
    ----------
    upload : Upload
        To the device.
    geometry : device.Geometry
        Of the patient's voxels.
    patient : Patient
        What attenuates.
    norm : ndarray
        As `projector.compton_norm` gives it.
    place : array of vec3 on the device, shape (views,)
        Directions towards the views and their radii.
    views : int
        How many.
    device : {"cpu", "cuda"}
        Where it runs.

    Returns
    -------
    rays : device.Rays
        With all tables.
    exits : ndarray of float32, shape (i, j, k, views, 2)
        Integrals from the middles of the cells straight to the views, mm g/mL.
    """
    from hepatica.transport.device.camera_exit import Rays

    wp = load_warp()
    shape, spacing = patient.phantom.density.shape, patient.grid.spacing_mm
    basis = patient.ray_densities()
    rays = Rays()
    rays.basis = upload.vectors(list(basis.T), wp.vec2)
    rays.total = upload.vectors(list(patient.basis.table.T), wp.vec4)
    rays.compton_norm = upload.floats(norm)
    coarse = _factor(patient, COARSE_MM)
    means = block_means(basis, shape, coarse)
    rays.coarse = _cells(means.shape[:3], spacing, coarse)
    rays.coarse_basis = upload.vectors(list(means.reshape(-1, 2).T), wp.vec2)
    factor = _factor(patient, CELL_MM)
    while np.prod([-(-n // factor) for n in shape]) * views > MAX_EXITS:
        factor += 1
    cells = tuple(-(-n // factor) for n in shape)
    rays.cells = _cells(cells, spacing, factor)
    exits = _found(geometry, rays, place, views, int(np.prod(cells)) * views, device)
    rays.exits = exits
    return rays, exits.numpy().reshape(*cells, views, 2)


def _found(geometry: Any, rays: Any, place: Any, views: int, size: int, device: str) -> Any:
    """The table on the device; on the CPU each thread makes a part of it."""
    from hepatica.transport.device.camera_views import find_exits

    wp = load_warp()
    exits = wp.zeros(size, dtype=wp.vec2, device=device)
    parts = (os.cpu_count() or 1) if device == "cpu" else 1
    edges = [size * n // parts for n in range(parts + 1)]

    def work(first: int, last: int) -> None:
        wp.launch(find_exits, dim=last - first, inputs=[geometry, rays, place, views, first, exits], device=device)

    helpers = [threading.Thread(target=work, args=pair) for pair in itertools.pairwise(edges)]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
    return exits


def usual_transmission(
    exits: NDArray[np.float32], patient: Patient, activity: Volume, coefficients: NDArray[np.floating[Any]]
) -> FloatArray:
    """Mean transmission of an activity straight towards each view, for sharing out work between views, shape (views,).

    `coefficients` are those of the two integrals at one energy, shape (2,).
    """
    flat = np.asarray(activity.values, dtype=np.float64).ravel()
    voxels = np.flatnonzero(flat)
    at = activity.grid.to_mm(np.stack(np.unravel_index(voxels, activity.grid.shape), axis=1))
    cells = np.array(exits.shape[:3])
    size = np.asarray(patient.grid.spacing_mm) * -(-np.array(patient.grid.shape) // cells)
    index = np.clip(((at - patient.corner_mm) // size).astype(int), 0, cells - 1)
    weight = np.bincount(np.ravel_multi_index(tuple(index.T), tuple(cells)), flat[voxels], minlength=cells.prod())
    used = np.flatnonzero(weight)
    through = np.exp(-(exits.reshape(-1, *exits.shape[3:])[used] @ np.asarray(coefficients, dtype=np.float64)))
    usual = weight[used] @ through / weight.sum()
    return np.asarray(np.maximum(usual, 1e-2 * usual.max()))
