"""What a gamma camera would count of a known activity, by the analytic projector: photons that did not scatter.

Attenuation, collimator and detector response, energy windows, decay during the scan and Poisson noise are in it.
Scatter, septal penetration, bremsstrahlung and dead time are not; they need Monte Carlo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Volume
from hepatica.core.progress import Progress
from hepatica.core.resample import resample
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.spect.attenuation import attenuation_map
from hepatica.imaging.spect.camera.cameras import GammaCamera
from hepatica.imaging.spect.camera.hole_response import hole_response
from hepatica.imaging.spect.projections import Orbit, Projections, Window
from hepatica.imaging.spect.projector import SpectProjector
from hepatica.imaging.spect.system import analytic_sensitivity
from hepatica.nuclides import Nuclide

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scan:
    """How to acquire.

    Attributes
    ----------
    orbit : Orbit
        Views in the order of acquisition, those of head 1 first, then of head 2.
    view_s : float
        Time per view in s.
    windows : tuple of Window
        Energy windows.
    columns : int
        Pixels across, of the size of the grid's voxels.
    heads : int
        Views that are taken at once.
    subdivide : int
        Each pixel and voxel is divided so many times per axis for the simulation, so that what is reconstructed was
        not simulated with the same coarse model.
    """

    orbit: Orbit
    view_s: float
    windows: tuple[Window, ...]
    columns: int = 128
    heads: int = 1
    subdivide: int = 2

    def __post_init__(self) -> None:
        if not self.view_s > 0 or not self.windows or min(self.columns // 2, self.subdivide) < 1:
            raise InputError(
                "a scan needs a time per view, at least one energy window, two columns, and voxels divided by 1 or more"
            )
        if self.heads < 1 or self.orbit.views % self.heads:
            raise InputError(f"{self.orbit.views} views cannot be shared by {self.heads} heads")

    @property
    def view_start_s(self) -> NDArray[np.float64]:
        """When each view begins, seconds after the start."""
        steps = np.arange(self.orbit.views // self.heads) * self.view_s
        return np.tile(steps, self.heads)


def camera_grid(around: Grid, *, pixel_mm: float, columns: int) -> Grid:
    """Grid of a SPECT with its axis through the middle of `around`, cubic voxels over its whole length."""
    corners = around.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle = (low + high) / 2
    rows = int(np.ceil((high[2] - low[2]) / pixel_mm - 1e-6))
    half = (columns - 1) / 2 * pixel_mm
    return Grid.axial(
        (columns, columns, rows),
        spacing_mm=(pixel_mm, pixel_mm, pixel_mm),
        origin_mm=(middle[0] - half, middle[1] - half, middle[2] - (rows - 1) / 2 * pixel_mm),
        frame_of_reference=around.frame_of_reference,
    )


def analytic_projections(
    activity: Volume,
    hu: Volume | None,
    *,
    camera: GammaCamera,
    nuclide: Nuclide,
    scan: Scan,
    grid: Grid,
    seed: int | None,
    progress: Progress | None = None,
) -> Projections:
    """Projections of a known activity.

    Parameters
    ----------
    activity : Volume
        Becquerels per voxel at the start of the scan.
    hu : Volume or None
        CT for attenuation; None for none.
    camera, nuclide, scan
        What is imaged how.
    grid : Grid
        Of the SPECT: its voxels are the camera's pixels, its slices the rows; see `camera_grid`.
    seed : int or None
        Of the Poisson noise; None for expected counts without noise.
    progress : callable, optional
        Told each step.

    Raises
    ------
    PhysicsError
        If no window sees a photon line of the nuclide.
    InputError
        If most of the activity lies outside the grid.
    UnitError, GeometryError
        If activity or CT are of another kind or in another frame.
    """
    activity.require_kind(Kind.ACTIVITY)
    activity.require_finite()
    fine = grid.with_spacing([s / scan.subdivide for s in grid.spacing_mm])
    source = resample(activity, fine, "total")
    require_in_field(activity, source, scan.orbit)
    counts = np.zeros((len(scan.windows), scan.orbit.views, scan.columns, grid.shape[2]), dtype=np.float32)
    seen = 0
    for number, window in enumerate(scan.windows):
        try:
            sensitivity, energy = analytic_sensitivity(camera, nuclide, window)
        except PhysicsError:
            continue
        seen += 1
        if progress is not None:
            progress(f"projecting {window}")
        expected = _expected(source, hu, camera, scan, energy)
        counts[number] = expected * np.float32(sensitivity * scan.view_s)
    if not seen:
        raise PhysicsError(
            f"no photon line of {nuclide.name} falls into {', '.join(map(str, scan.windows))}; "
            "the analytic simulation knows no bremsstrahlung"
        )
    orbit, (x, y, z) = scan.orbit, _axis(grid)
    made = Projections(
        counts, orbit, scan.windows, (grid.spacing_mm[0], grid.spacing_mm[2]), scan.view_s,
        axis_mm=(x, y, z), start=activity.time, nuclide=nuclide.name, frame_of_reference=grid.frame_of_reference,
        view_start_s=scan.view_start_s,
    )  # fmt: skip
    decayed = made.counts * made.mean_activity(nuclide.half_life_s).astype(np.float32)[None, :, None, None]
    return _with_counts(made, decayed if seed is None else np.random.default_rng(seed).poisson(decayed))


def require_in_field(activity: Volume, source: Volume, orbit: Orbit) -> None:
    """Raise InputError if activity lies beside the field of view or behind the collimator.

    Parameters
    ----------
    activity, source : Volume
        As given, and on the camera's grid.
    orbit : Orbit
        Views around the middle of the camera's grid.
    """
    if activity.total <= 0 or source.total < 0.5 * activity.total:
        raise InputError(f"of {activity.total:g} Bq only {source.total:g} Bq lie in the camera's field")
    x, y, _ = _axis(source.grid)
    column = source.values.sum(axis=2, dtype=np.float64)
    where = np.argwhere(column > 0)
    place = source.grid.to_mm(np.concatenate([where, np.zeros((len(where), 1))], axis=1))[:, :2] - [x, y]
    held = column[column > 0]
    for angle, radius in zip(np.deg2rad(orbit.angle_deg), orbit.radius_mm, strict=True):
        behind = float(held[place @ [np.sin(angle), np.cos(angle)] > radius].sum())
        if behind > 1e-3 * source.total:
            raise InputError(
                f"{100 * behind / source.total:.2g} % of the activity lies behind the collimator in the view at "
                f"{np.rad2deg(angle):g} degrees ({radius:g} mm from the axis): take a larger radius"
            )


def _expected(source: Volume, hu: Volume | None, camera: GammaCamera, scan: Scan, energy_kev: float) -> Float32:
    """Unattenuated photons times attenuation, blurred, in the camera's own pixels, shape (views, u, v)."""
    subdivide = scan.subdivide
    projector = SpectProjector(
        source.grid,
        scan.orbit,
        columns=scan.columns * subdivide,
        response=hole_response(camera, [energy_kev]),
        mu_per_mm=None if hu is None else attenuation_map(hu, source.grid, energy_kev),
    )
    fine = projector.forward(source.values)
    views, u, v = fine.shape
    binned = fine.reshape(views, u // subdivide, subdivide, v // subdivide, subdivide)
    return np.asarray(binned.sum(axis=(2, 4)), dtype=np.float32)


def _axis(grid: Grid) -> tuple[float, float, float]:
    x, y, _ = grid.to_mm((np.asarray(grid.shape) - 1) / 2).tolist()
    return x, y, float(grid.origin_mm[2])


def _with_counts(projections: Projections, counts: NDArray[np.generic] | Sequence[float]) -> Projections:
    from dataclasses import replace

    return replace(projections, counts=np.asarray(counts, dtype=np.float32))
