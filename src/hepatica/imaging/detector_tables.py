"""Tables of detector responses as text: one gzipped file per camera, written by the Monte Carlo, read here."""

from __future__ import annotations

import functools
import gzip
import json
from importlib import resources
from typing import Any

import numpy as np

from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.cameras import GammaCamera
from hepatica.imaging.detector import DetectorResponse

FORMAT = 1
TITLE = "# hepatica detector response"
VECTORS = ("energy_kev", "tangent", "depth_mm")


def geometry_of(camera: GammaCamera) -> dict[str, Any]:
    """All of a camera that its response table depends on (energy resolution is applied later)."""
    collimator = camera.collimator
    return {
        "hole_mm": collimator.hole_mm,
        "septum_mm": collimator.septum_mm,
        "length_mm": collimator.length_mm,
        "crystal_mm": camera.crystal_mm,
        "gap_mm": camera.gap_mm,
    }


def encode(response: DetectorResponse, geometry: dict[str, Any]) -> bytes:
    """The file of a response: a title, the geometry, three vectors, then a row of components per energy and bin.

    Rows run over energy, then bin of direction; those of `geometric` first. Numbers are in units of 1e-7.
    """
    lines = [f"{TITLE} {FORMAT}", "# " + json.dumps(geometry, sort_keys=True)]
    lines += [f"{name} " + " ".join(f"{x:.6g}" for x in getattr(response, name)) for name in VECTORS]
    for name in ("geometric", "through"):
        table = getattr(response, name)
        rows = [" ".join(f"{1e7 * x:.3g}" for x in row) for row in table.reshape(-1, table.shape[2])]
        lines += [f"{name} {table.shape[2]}", *rows]
    return gzip.compress(("\n".join(lines) + "\n").encode("ascii"), 9, mtime=0)


def decode(data: bytes, camera: GammaCamera, where: str) -> DetectorResponse:
    """A response from its file.

    Raises
    ------
    InputError
        If the file is not one, or was made for another geometry than the camera's.
    """
    lines = gzip.decompress(data).decode("ascii").splitlines()
    if not lines or lines[0] != f"{TITLE} {FORMAT}":
        raise InputError(f"{where}: not a detector response of format {FORMAT}")
    geometry = json.loads(lines[1].removeprefix("# "))
    if geometry != geometry_of(camera):
        raise InputError(f"{where}: made for {geometry}, the camera is {geometry_of(camera)}")
    vectors = {line.split()[0]: np.array(line.split()[1:], dtype=np.float64) for line in lines[2:5]}
    energies, bins = vectors["energy_kev"].size, vectors["tangent"].size - 1
    tables = {}
    for number, name in enumerate(("geometric", "through")):
        start = 5 + number * (energies * bins + 1)
        rows = lines[start + 1 : start + 1 + energies * bins]
        components = int(lines[start].split()[1])
        tables[name] = 1e-7 * np.loadtxt(rows).reshape(energies, bins, components)
    return DetectorResponse(camera=camera.name, energy_resolution=camera.energy_resolution, **vectors, **tables)


@functools.cache
def shipped_response(camera: GammaCamera) -> DetectorResponse:
    """Response from the table shipped for a camera of this name and geometry.

    Raises
    ------
    PhysicsError
        If there is none.
    InputError
        If the table was made for another geometry.
    """
    name = f"detector_{camera.name}.txt.gz"
    file = resources.files("hepatica.imaging") / "tables" / name
    if not file.is_file():
        raise PhysicsError(
            f"camera {camera.name}: no table of its collimator's response; geometric_response(camera) has holes alone"
        )
    return decode(file.read_bytes(), camera, name)
