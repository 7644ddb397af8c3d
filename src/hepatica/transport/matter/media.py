"""What a CT number means: mass density by a calibration that a site can replace with its own table."""

from __future__ import annotations

import csv
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Kind, Volume
from hepatica.core.message import Message
from hepatica.core.tables.shipped import table_text
from hepatica.core.text.files import text_file
from hepatica.errors import InputError

COLUMNS = ("hu", "density_g_ml")
DEFAULT_NAME = "schneider2000"

AIR_HU = -1000.0

MAX_DENSITY_G_ML = 25.0
"""No element in a patient is denser (gold 19.3, platinum 21.5): a larger number is a unit error (kg/m3)."""


def require_decays_in_matter(decays: Volume, density: Volume, *, same_grid: bool = True) -> None:
    """Refuse what is no map of decays in a map of density on the same grid, or holds an impossible number.

    Parameters
    ----------
    decays, density : Volume
        The two maps.
    same_grid : bool
        Whether they must have the same voxels, or only lie in one frame of reference.

    Raises
    ------
    UnitError
        If `decays` is not Kind.DECAYS, `density` not Kind.DENSITY, or a voxel is NaN or infinite.
    GeometryError
        If the two are on different grids.
    InputError
        If a density is negative.
    """
    decays.require_kind(Kind.DECAYS)
    density.require_kind(Kind.DENSITY)
    if same_grid:
        decays.grid.require_match(density.grid, "decays and density")
    else:
        decays.grid.require_shared_frame(density.grid, "decays and density")
    decays.require_finite()
    density.require_finite()
    if float(density.values.min()) < 0:
        raise InputError(f"density: lowest value {float(density.values.min()):.4g} g/mL is negative")


@dataclass(frozen=True, slots=True)
class HuCalibration:
    """Mass density as a piecewise linear function of CT number.

    Below the first point the density is the first (air, and the padding outside the scan circle); above the last point
    it is the last: metal shows HU that say nothing about its density, so it is not extrapolated
    (:func:`calibration_messages` says how many voxels lie there). CT numbers are never clipped at 0: that would turn
    lung into soft tissue.

    Parameters
    ----------
    name : str
        For the provenance.
    hu : tuple of float
        CT numbers, rising.
    density_g_ml : tuple of float
        Density at each, not falling, not negative.
    source : str
        Publication or file.

    Raises
    ------
    InputError
        If there are fewer than two points, CT numbers do not rise, or densities fall, are negative or impossible.
    """

    name: str
    hu: tuple[float, ...]
    density_g_ml: tuple[float, ...]
    source: str = ""

    def __post_init__(self) -> None:
        hu, density = np.asarray(self.hu, float), np.asarray(self.density_g_ml, float)
        what = f"HU calibration {self.name!r}"
        if hu.size < 2 or hu.size != density.size:
            raise InputError(f"{what}: needs at least two points of HU and density, got {hu.size} and {density.size}")
        if not (np.isfinite(hu).all() and np.isfinite(density).all()):
            raise InputError(f"{what}: a point is not a finite number")
        if (step := np.flatnonzero(np.diff(hu) <= 0)).size:
            at = int(step[0])
            raise InputError(f"{what}: HU must rise from point to point; {hu[at]:g} is followed by {hu[at + 1]:g}")
        if (step := np.flatnonzero(np.diff(density) < 0)).size:
            at = int(step[0])
            raise InputError(f"{what}: density falls from {density[at]:g} to {density[at + 1]:g} at {hu[at + 1]:g} HU")
        if density[0] < 0 or density[-1] > MAX_DENSITY_G_ML:
            raise InputError(
                f"{what}: densities {density[0]:g} to {density[-1]:g} are not g/mL of anything in a patient"
            )


def load_calibration(path: str | Path) -> HuCalibration:
    """Calibration from a text file with two columns, ``hu,density_g_ml`` (that line must be there), ``#`` comments.

    Raises
    ------
    InputError
        If the file cannot be read, the column names (which state the units) are missing, a line is not two numbers, or
        the points do not make a calibration.
    """
    file = Path(path)
    return _parse(text_file(file, "an HU calibration"), file.stem, str(file))


@functools.cache
def default_calibration() -> HuCalibration:
    """Calibration of Schneider et al. 2000 with one segment changed; the table's header says how and why."""
    file = f"hu_density_{DEFAULT_NAME}.csv"
    text = table_text("hepatica.transport", file)
    return _parse(text, DEFAULT_NAME, "Schneider et al., Phys Med Biol 2000;45:459, modified between 23 and 100 HU")


def _parse(text: str, name: str, source: str) -> HuCalibration:
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if not lines or tuple(part.strip().lower() for part in _cells(lines[0][1])) != COLUMNS:
        raise InputError(f"HU calibration {source}: the first line must be 'hu,density_g_ml', which states the units")
    points = []
    for number, line in lines[1:]:
        try:
            hu, density = (float(part) for part in _cells(line))
        except ValueError:
            raise InputError(f"HU calibration {source}, line {number}: {line!r} is not two numbers") from None
        points.append((hu, density))
    return HuCalibration(name, tuple(p[0] for p in points), tuple(p[1] for p in points), source)


def _cells(line: str) -> list[str]:
    """Cells of a line of CSV, in quotes or not."""
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


WHOLE_HU = (-1024, 31744)
"""Whole CT numbers, as scanners store them, whose density is looked up, which takes a tenth of the time."""


def density_from_hu(hu: Volume, calibration: HuCalibration | None = None) -> Volume:
    """Mass density of every voxel of a CT.

    Parameters
    ----------
    hu : Volume
        Kind.HU.
    calibration : HuCalibration, optional
        Of the scanner; the default is :func:`default_calibration`.

    Returns
    -------
    Volume
        Kind.DENSITY in g/mL, float32, on the same grid.

    Raises
    ------
    UnitError
        If the volume is not in HU, or a voxel is NaN or infinite.
    """
    hu.require_kind(Kind.HU)
    hu.require_finite()
    table = calibration or default_calibration()
    density = np.empty_like(hu.values, dtype=np.float32)
    # Plane by plane as they lie in memory.
    slowest = int(np.argmax(np.abs(hu.values.strides)))
    of_whole = np.interp(np.arange(*WHOLE_HU), table.hu, table.density_g_ml).astype(np.float32)

    def look_up(plane: NDArray[np.floating], out: NDArray[np.float32]) -> None:
        inside = float(plane.min()) >= WHOLE_HU[0] and float(plane.max()) < WHOLE_HU[1]
        if inside and np.array_equal(np.rint(plane), plane):
            index = plane.astype(np.int32)
            index -= WHOLE_HU[0]
            np.take(of_whole, index, out=out, mode="clip")  # unbuffered; nothing is out of range
        else:
            out[...] = np.interp(plane, table.hu, table.density_g_ml)

    planes = np.moveaxis(hu.values, slowest, 0), np.moveaxis(density, slowest, 0)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets other threads run
        list(pool.map(look_up, *planes))
    return hu.with_values(density, Kind.DENSITY, name=f"density ({table.name})")


def calibration_messages(
    hu: Volume, calibration: HuCalibration | None = None, density: Volume | None = None
) -> tuple[Message, ...]:
    """What the reader must know about CT numbers above the calibration (metal); empty if there are none.

    With the density that was made of it, voxels that got another one (stated, iodised oil) do not count.
    """
    table = calibration or default_calibration()
    high = hu.values > table.hu[-1]
    if density is not None:
        high &= density.values == np.float32(table.density_g_ml[-1])
    above = int(high.sum())
    if not above:
        return ()
    text = (
        f"{above} voxels ({above * hu.grid.voxel_volume_ml:.2g} mL) lie above {table.hu[-1]:g} HU, the end of HU "
        f"calibration {table.name!r} (metal?); their density is set to its last value, {table.density_g_ml[-1]:g} g/mL"
    )
    return (Message("hu-above-calibration", text),)
