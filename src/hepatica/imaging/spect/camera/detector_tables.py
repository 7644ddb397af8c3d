"""Tables of detector responses as text: one gzipped file per camera, written by the Monte Carlo, read here.

Those of the shipped cameras lie in ``tables``; one of a camera of one's own is made once and kept in a cache folder.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import json
import os
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import astuple
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.spect.camera.cameras import GammaCamera, gamma_camera
from hepatica.imaging.spect.camera.detector import DetectorResponse

FORMAT = 2
TITLE = "# hepatica detector response"
VECTORS = ("energy_kev", "tangent", "depth_mm")
TABLES = {"geometric": 1e-7, "through": 1e-7, "straight": 1e-3, "star": 1e-3}
"""Tables of a file in their order, with the unit of their numbers; the last two may be missing."""


def geometry_of(camera: GammaCamera) -> Mapping[str, object]:
    """All of a camera that its response table depends on (energy resolution is applied later)."""
    collimator = camera.collimator
    return {
        "hole_mm": collimator.hole_mm,
        "septum_mm": collimator.septum_mm,
        "length_mm": collimator.length_mm,
        "crystal_mm": camera.crystal_mm,
        "gap_mm": camera.gap_mm,
        **{part: [list(astuple(layer)) for layer in getattr(camera, part)] for part in ("front", "cover", "back")},
    }


def encode(response: DetectorResponse, geometry: Mapping[str, object]) -> bytes:
    """The file of a response: a title, the geometry, three vectors, then a row of components per energy and bin.

    Rows run over energy, then bin of direction; those of `geometric` first. Numbers are in units of 1e-7. What azimuth
    does to straight lines through lead follows, `straight` and `star`, in units of 1e-3.
    """
    lines = [f"{TITLE} {FORMAT}", "# " + json.dumps(geometry, sort_keys=True)]
    lines += [f"{name} " + " ".join(f"{x:.9g}" for x in getattr(response, name)) for name in VECTORS]
    for name, unit in TABLES.items():
        table = getattr(response, name)
        if table is not None:
            form = ".4g" if unit < 1e-3 else ".0f"
            rows = [" ".join(f"{x / unit:{form}}" for x in row) for row in table.reshape(-1, table.shape[2])]
            lines += [f"{name} {table.shape[2]}", *rows]
    return gzip.compress(("\n".join(lines) + "\n").encode("ascii"), 9, mtime=0)


def _lines(data: bytes, where: str) -> list[str]:
    try:
        lines = gzip.decompress(data).decode("ascii").splitlines()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{where}: not a detector response: {error}; delete it to have it made again") from error
    if not lines or lines[0] != f"{TITLE} {FORMAT}":
        raise InputError(f"{where}: not a detector response of format {FORMAT}")
    return lines


def made_for(data: bytes, where: str) -> Mapping[str, object]:
    """The geometry that a file was made for; InputError if it is not a detector response."""
    found: dict[str, Any] = json.loads(_lines(data, where)[1].removeprefix("# "))
    return found


def decode(data: bytes, camera: GammaCamera, where: str) -> DetectorResponse:
    """A response from its file.

    Raises
    ------
    InputError
        If the file is not one, or was made for another geometry than the camera's.
    """
    lines = _lines(data, where)
    geometry = made_for(data, where)
    if geometry != geometry_of(camera):
        raise InputError(f"{where}: made for {geometry}, the camera is {geometry_of(camera)}")
    vectors = {line.split()[0]: np.array(line.split()[1:], dtype=np.float64) for line in lines[2:5]}
    energies, bins = vectors["energy_kev"].size, vectors["tangent"].size - 1
    tables = {}
    for number, (name, unit) in enumerate(TABLES.items()):
        start = 5 + number * (energies * bins + 1)
        if start >= len(lines):
            break
        rows = lines[start + 1 : start + 1 + energies * bins]
        components = int(lines[start].split()[1])
        tables[name] = unit * np.loadtxt(rows).reshape(energies, bins, components)
    if "star" in tables:
        # A sector over the mean of all: rounding, and bins that next to nothing reaches, are not to add or take counts.
        mean = tables["star"].mean(axis=2, keepdims=True)
        tables["star"] = np.where(mean > 0, tables["star"] / np.where(mean > 0, mean, 1.0), 1.0)
    return DetectorResponse(camera=camera.name, energy_resolution=camera.energy_resolution, **vectors, **tables)


@functools.cache
def shipped_response(camera: GammaCamera) -> DetectorResponse | None:
    """Response from the table shipped for a camera of this name and geometry; None if there is none."""
    file = resources.files("hepatica.imaging.spect.camera") / "tables" / f"detector_{camera.name}.txt.gz"
    if "/" in camera.name or not file.is_file():
        return None
    data = file.read_bytes()
    if made_for(data, file.name) != geometry_of(camera):
        return None
    return decode(data, camera, file.name)


def kept_response(camera: GammaCamera) -> DetectorResponse | None:
    """Response from the user's cache; None if there is none."""
    file = kept_file(camera)
    return decode(file.read_bytes(), camera, str(file)) if file.is_file() else None


def detector_response(
    camera: GammaCamera | str, *, make: Callable[[GammaCamera], DetectorResponse] | None = None
) -> DetectorResponse:
    """Response of a camera: from the table shipped for it, or from the one made before for a camera of one's own.

    Parameters
    ----------
    camera : GammaCamera or str
        The table depends on its geometry; its energy resolution is applied later and may be any.
    make : callable, optional
        Makes the response where there is no table: `collimator_montecarlo.simulated_response` does so in two minutes
        of a processor. It is kept in ``$XDG_CACHE_HOME/hepatica`` (``~/.cache/hepatica``).

    Raises
    ------
    UnknownNameError
        If no camera has that name.
    PhysicsError
        If there is no table and none is to be made.

    Warns
    -----
    UserWarning
        If the table that was made cannot be kept.
    """
    found = gamma_camera(camera)
    response = shipped_response(found) or kept_response(found)
    if response is not None:
        return response.with_penetration(found.penetration)
    if make is None:
        raise PhysicsError(
            f"camera {found.name}: no table of its collimator's response",
            remedy="detector_response(camera, make=simulated_response) makes one, geometric_response(camera) has holes "
            "alone",
        )
    return kept(found, make(found)).with_penetration(found.penetration)


def kept(camera: GammaCamera, response: DetectorResponse) -> DetectorResponse:
    """Put a response into the user's cache, and give it as it is read from there."""
    file, data = kept_file(camera), encode(response, geometry_of(camera))
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        warnings.warn(f"the response of camera {camera.name} could not be kept in {file.parent}: {error}", stacklevel=3)
    return decode(data, camera, str(file))


def kept_file(camera: GammaCamera) -> Path:
    """Where the table of a camera of that geometry is kept, whatever its name."""
    key = json.dumps([FORMAT, geometry_of(camera)], sort_keys=True)
    return cache_folder() / f"detector_{hashlib.sha256(key.encode()).hexdigest()[:16]}.txt.gz"


def cache_folder() -> Path:
    """Where tables of cameras of one's own are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hepatica"
