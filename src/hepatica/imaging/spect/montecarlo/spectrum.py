"""The pulse-height spectrum of a scan, by where its photons have been; and the rate that keeps the camera busy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Volume
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.imaging.spect.montecarlo.projector import VOXEL_MM, MonteCarloProjector, SpectSetup
from hepatica.imaging.spect.montecarlo.settings import ProjectionSettings
from hepatica.imaging.spect.projections import Window

FloatArray = NDArray[np.float64]

PART_NAMES = ("primary", "scattered", "penetration", "scattered_penetration")
"""Through a hole and not scattered in the patient; through a hole, scattered; by way of lead or from behind the
crystal, not scattered in the patient; the same, scattered."""
LOWEST_KEV = 30.0
HIGHEST_KEV = 700.0
BIN_KEV = 5.0
ABOVE_KEV = 3000.0
HISTORIES = 40_000


@dataclass(frozen=True, slots=True, eq=False)
class EnergySpectrum:
    """Counts per second of a head, in bins of pulse height.

    Attributes
    ----------
    edge_kev : ndarray, shape (n + 1,)
        Edges; the last bin holds all above.
    cps : ndarray, shape (4, n)
        Mean over the views, in the order of `PART_NAMES`.
    cps_per_view : ndarray, shape (views,)
        All pulses above the lowest edge.
    uncertainty : float
        Relative standard uncertainty of a bin, root mean square over the bins above a tenth of the highest.
    """

    edge_kev: FloatArray
    cps: FloatArray
    cps_per_view: FloatArray
    uncertainty: float

    @property
    def per_kev(self) -> FloatArray:
        """Counts per second and keV, all parts together, the open last bin left out, shape (n - 1,)."""
        return np.asarray(self.cps[:, :-1].sum(axis=0) / np.diff(self.edge_kev)[:-1])

    def table(self) -> Table:
        """A row per bin: its edges, and counts per second of each part."""
        rows = [
            tuple(float(x) for x in (low, high, *column))
            for low, high, column in zip(self.edge_kev[:-1], self.edge_kev[1:], self.cps.T, strict=True)
        ]
        names = ("low_kev", "high_kev", *(f"{name}_cps" for name in PART_NAMES))
        return Table.of(names, rows, "Energy spectrum", "spectrum")


def energy_spectrum(
    patient: Volume,
    setup: SpectSetup,
    activity: Volume,
    settings: ProjectionSettings = ProjectionSettings(histories=HISTORIES),
    *,
    bin_kev: float = BIN_KEV,
    voxel_mm: float = VOXEL_MM,
    device: str = "cpu",
) -> EnergySpectrum:
    """Spectrum over the whole detector.

    Parameters
    ----------
    patient, activity : Volume
        As `MonteCarloProjector` and its `project`.
    setup : SpectSetup
        As for the projections; its windows do not matter.
    settings : ProjectionSettings
        When to stop, and with which random numbers.
    bin_kev : float
        Width of the bins from 30 to 700 keV.
    voxel_mm : float
        Voxels in which photons are followed.
    device : {"cpu", "cuda"}
        Where it runs.

    Raises
    ------
    InputError
        If the width is not positive.
    """
    if not bin_kev > 0:
        raise InputError(f"the spectrum's bins must be wider than 0, not {bin_kev} keV")
    edges = np.append(np.arange(LOWEST_KEV, HIGHEST_KEV + bin_kev / 2, bin_kev), ABOVE_KEV)
    windows = [Window(low, high) for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
    one = replace(setup, windows=windows, grid=_one_pixel(setup.grid))
    projector = MonteCarloProjector(patient, one, parts=4, voxel_mm=voxel_mm, device=device)
    found = projector.project(activity, settings)
    assert found.parts is not None
    parts = found.parts[..., 0, 0].astype(np.float64)
    total = parts.sum(axis=(0, 2))
    high = total[:-1] > 0.1 * total[:-1].max()
    # views of one history go together: their mean has the spread of one of them at most
    spread = np.where(np.isfinite(found.relative_sd), found.relative_sd, 1.0)[:-1, :, 0, 0].mean(axis=1)[high]
    return EnergySpectrum(edges, parts.mean(axis=2), parts.sum(axis=(0, 1)), float(np.sqrt((spread**2).mean())))


def _one_pixel(grid: Grid) -> Grid:
    """The same field as one pixel."""
    extent = np.asarray(grid.shape) * grid.spacing_mm
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    return Grid.axial(
        (1, 1, 1),
        spacing_mm=(float(extent[0]), float(extent[1]), float(extent[2])),
        origin_mm=(float(middle[0]), float(middle[1]), float(middle[2])),
        frame_of_reference=grid.frame_of_reference,
    )
