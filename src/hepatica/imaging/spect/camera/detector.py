"""What a photon does that reaches the collimator: the chance of a count, by energy, angle and energy window.

An angular response table (Song et al., Phys Med Biol 2005;50:1791; Descourt et al., Phys Med Biol 2010;55:N253) gives,
averaged over the place in the periodic pattern of holes and over azimuth, the energy that a photon leaves in the
crystal if it reaches the collimator's front face with energy E under the angle theta to the normal. The response to a
point at any distance follows: the photon is positioned ``(distance + depth) tan(theta)`` away from the point. What the
average gives up is the pattern itself (holes seen one by one, the star of septal penetration); what the straight line
gives up is the sideways shift of a photon that scattered in the collimator or behind the crystal (docs/detector.md).

`collimator_montecarlo` makes the tables, `detector_tables` keeps them; `geometric_response` is one of holes alone, by
formula.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import InputError, PhysicsError
from hepatica.imaging.spect.camera.cameras import REFERENCE_KEV, Collimator, GammaCamera, gamma_camera
from hepatica.imaging.spect.projections import Window

FloatArray = NDArray[np.float64]

LEAD_K_LINES_KEV = (72.804, 74.969, 84.77, 87.32)
"""K X rays of lead: alpha2, alpha1, beta1' and beta2' (xraylib 4.3; lines within 0.5 keV taken together)."""
LEAD_K_SHARES = (0.2951, 0.4960, 0.1673, 0.0416)
"""Their shares of the K X rays (xraylib 4.3)."""

NEAR_BINS, FAR_BINS = 24, 32
"""Bins of direction over what a hole lets through, and beyond."""

SECTORS = 6
"""Sectors of azimuth from the normal of a wall to the corner between two, 30 degrees; the rest is symmetry."""

FINE_STEP = 0.01
"""Relative step of the energies at which `DetectorResponse.window` answers by default: a quarter of the standard
deviation of a NaI peak at 140 keV, half of it at 600 keV."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowResponse:
    """Chance of a count in energy windows, for photons that reach the collimator's front face.

    Attributes
    ----------
    windows : tuple of Window
        The windows, w of them.
    energy_kev : ndarray, shape (n,)
        Incident energies, rising.
    tangent : ndarray, shape (m + 1,)
        Edges of the bins of tan(theta), theta the angle to the detector's normal; beyond the last there is no count.
    depth_mm : ndarray, shape (n,)
        From the collimator's front face to the plane in which photons are positioned (the mean depth of interaction
        in the crystal): a photon from a point at `distance` is positioned ``(distance + depth_mm) tan(theta)`` away.
    geometric, through : ndarray, shape (w, n, m)
        Counts per photon incident in a bin of direction: those that came through a hole without touching lead and met
        the crystal first, and all others.
    star : ndarray, shape (w, n, m, s), or None
        `through` of a sector of azimuth over its mean, s sectors of equal width from the normal of a wall (0) to the
        corner between two (30 degrees); None where it is not known.
    """

    windows: tuple[Window, ...]
    energy_kev: FloatArray
    tangent: FloatArray
    depth_mm: FloatArray
    geometric: FloatArray
    through: FloatArray
    star: FloatArray | None = None

    @property
    def total(self) -> FloatArray:
        """Geometric and through together, shape (w, n, m)."""
        return self.geometric + self.through

    @property
    def solid_angle_sr(self) -> FloatArray:
        """Solid angle of each bin of direction (one side), shape (m,)."""
        return solid_angle_sr(self.tangent)

    def at(self, energy_kev: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Geometric and through response at energies, each of shape (w, energies, m), linear between tabulated ones.

        Raises
        ------
        PhysicsError
            If an energy lies outside the table.
        """
        wanted = np.atleast_1d(np.asarray(energy_kev, dtype=np.float64))
        below, part = _places(self.energy_kev, wanted)
        share = part[:, None]
        found = [a[:, below] * (1 - share) + a[:, below + 1] * share for a in (self.geometric, self.through)]
        return found[0], found[1]

    def sensitivity(self, energy_kev: float, *, geometric_only: bool = False) -> FloatArray:
        """Counts per photon emitted into 4 pi, whatever the distance from an endless detector, shape (w,)."""
        geometric, through = self.at(energy_kev)
        chance = geometric if geometric_only else geometric + through
        return np.asarray(chance[:, 0] @ self.solid_angle_sr / (4 * math.pi))

    def point_density(self, energy_kev: float, distance_mm: float, radius_mm: ArrayLike) -> FloatArray:
        """Counts per mm2 and photon emitted at a radius from the foot of a point source, shape (w, radii).

        ``P(tan theta) cos(theta)^3 / (4 pi (distance + depth)^2)``; P is linear between the middles of the bins.
        The crystal's intrinsic resolution is not in it.
        """
        height = distance_mm + float(np.interp(energy_kev, self.energy_kev, self.depth_mm))
        tangent = np.asarray(radius_mm, dtype=np.float64) / height
        geometric, through = self.at(energy_kev)
        middle = (self.tangent[1:] + self.tangent[:-1]) / 2
        chance = np.array([np.interp(tangent, middle, row, right=0.0) for row in (geometric + through)[:, 0]])
        return np.asarray(chance * (1 + tangent**2) ** -1.5 / (4 * math.pi * height**2))

    def line_spread(self, energy_kev: float, distance_mm: float, offset_mm: ArrayLike) -> FloatArray:
        """Counts per mm and photon emitted per mm of an endless line source at a distance, shape (w, offsets).

        `point_density` integrated along the line. Intrinsic resolution is not in it.
        """
        offset = np.asarray(offset_mm, dtype=np.float64)
        height = distance_mm + float(np.interp(energy_kev, self.energy_kev, self.depth_mm))
        along = height * np.concatenate([[0.0], np.geomspace(1e-3 * self.tangent[1], self.tangent[-1], 800)])
        density = self.point_density(energy_kev, distance_mm, np.hypot(offset[:, None], along).ravel())
        return np.asarray(2 * np.trapezoid(density.reshape(len(self.windows), offset.size, -1), along, axis=2))

    def line_fwhm_mm(self, energy_kev: float, distance_mm: float) -> FloatArray:
        """Full width at half maximum of the line spread function, without intrinsic resolution, shape (w,)."""
        height = distance_mm + float(np.interp(energy_kev, self.energy_kev, self.depth_mm))
        offset = height * np.linspace(0, 2 * self.tangent[NEAR_BINS], 400)
        spread = self.line_spread(energy_kev, distance_mm, offset)
        half = spread[:, :1] / 2
        first = np.argmax(spread < half, axis=1)
        rows = np.arange(len(self.windows))
        high, low = spread[rows, first - 1], spread[rows, first]
        return np.asarray(2 * (offset[first] - offset[1] * (half[:, 0] - low) / (high - low)))


@dataclass(frozen=True, slots=True, eq=False)
class DetectorResponse:
    """Energy left in the crystal of one camera, per photon that reaches the collimator's front face.

    Attributes
    ----------
    camera : str
        Name of the camera.
    energy_resolution : float
        Relative full width at half maximum at 140.5 keV; the width grows as the root of the deposited energy.
    energy_kev : ndarray, shape (n,)
        Incident energies, rising, with one on either side of lead's K edge (88.0 keV).
    tangent : ndarray, shape (m + 1,)
        Edges of the bins of tan(theta).
    depth_mm : ndarray, shape (n,)
        See `WindowResponse`.
    geometric, through : ndarray, shape (n, m, c)
        Chance per photon incident in a bin of direction of: [0] all of its energy left in the crystal, [1:-1] a part,
        in equal bins of deposited over incident energy from 0 to 1, [-1] a K X ray of lead absorbed whole.
    straight : ndarray, shape (n, m, 2), or None
        Share of `through` that crossed lead without a collision: of what leaves all its energy, and of the rest.
    star : ndarray, shape (n, m, s), or None
        How much of it comes in a sector of azimuth over the mean; see `WindowResponse`. None where not known.
    """

    camera: str
    energy_resolution: float
    energy_kev: FloatArray
    tangent: FloatArray
    depth_mm: FloatArray
    geometric: FloatArray
    through: FloatArray
    straight: FloatArray | None = None
    star: FloatArray | None = None

    @property
    def continuum_bins(self) -> int:
        """Number of bins of the continuum."""
        return int(self.geometric.shape[2]) - 2

    @property
    def solid_angle_sr(self) -> FloatArray:
        """Solid angle of each bin of direction (one side), shape (m,)."""
        return solid_angle_sr(self.tangent)

    def at(self, energy_kev: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Components at energies, each of shape (energies, m, c).

        The chance of any deposit in a bin of direction is taken log-log between tabulated energies (penetration falls
        off exponentially), its split among components linear in log energy.

        Raises
        ------
        PhysicsError
            If an energy lies outside the table.
        """
        wanted = np.atleast_1d(np.asarray(energy_kev, dtype=np.float64))
        below, part = _places(self.energy_kev, wanted)
        return _blend(self.geometric, below, part), _blend(self.through, below, part)

    def window(self, windows: Sequence[Window], energy_kev: ArrayLike | None = None) -> WindowResponse:
        """Chance of a count in energy windows, with the camera's energy resolution.

        Parameters
        ----------
        windows : sequence of Window
            May overlap.
        energy_kev : array, optional
            Incident energies at which to answer, rising; by default the whole table in steps of 1 %.
        """
        if not windows:
            raise InputError("a window response needs at least one energy window")
        energies = self._fine_energies() if energy_kev is None else np.atleast_1d(np.asarray(energy_kev, np.float64))
        geometric, through = self.at(energies)
        shares = np.stack([self._component_shares(energies, window) for window in windows])
        return WindowResponse(
            windows=tuple(windows),
            energy_kev=energies,
            tangent=self.tangent,
            depth_mm=np.interp(energies, self.energy_kev, self.depth_mm),
            geometric=np.einsum("wnc,nmc->wnm", shares, geometric, optimize=True),
            through=np.einsum("wnc,nmc->wnm", shares, through, optimize=True),
            star=self._star(energies, shares, through),
        )

    def _star(self, energies: FloatArray, shares: FloatArray, through: FloatArray) -> FloatArray | None:
        """Counts through lead in a sector over their mean: only straight lines keep the azimuth."""
        if self.straight is None or self.star is None:
            return None
        below, part = _places(self.energy_kev, energies)
        straight, star = (
            table[below] * (1 - part[:, None, None]) + table[below + 1] * part[:, None, None]
            for table in (self.straight, self.star)
        )
        whole = shares[:, :, None, 0] * through[None, :, :, 0]
        rest = np.einsum("wnc,nmc->wnm", shares[:, :, 1:], through[:, :, 1:], optimize=True)
        counted = whole + rest
        share = (whole * straight[:, :, 0] + rest * straight[:, :, 1]) / np.where(counted > 0, counted, 1.0)
        return np.asarray(1 + share[..., None] * (star - 1))

    def pulse_heights(self, energy_kev: float, edges_kev: ArrayLike, *, geometric_only: bool = False) -> FloatArray:
        """Spectrum of a point source in air: counts per photon emitted into 4 pi in bins of pulse height."""
        edges = np.asarray(edges_kev, dtype=np.float64)
        geometric, through = self.at(energy_kev)
        chance = geometric if geometric_only else geometric + through
        parts = self.solid_angle_sr @ chance[0] / (4 * math.pi)
        energies = np.array([energy_kev])
        below = [self._component_shares(energies, Window(1e-6, float(max(edge, 2e-6))))[0] @ parts for edge in edges]
        return np.diff(below)

    def sd_kev(self, deposited_kev: ArrayLike) -> FloatArray:
        """Standard deviation of the pulse height of a deposited energy."""
        deposited = np.maximum(np.asarray(deposited_kev, dtype=np.float64), 1e-3)
        return np.asarray(self.energy_resolution / FWHM_PER_SD * np.sqrt(REFERENCE_KEV * deposited))

    def with_penetration(self, scale: float) -> DetectorResponse:
        """The same with counts that came another way than through holes times a factor."""
        return self if scale == 1 else replace(self, through=self.through * scale)

    def _fine_energies(self) -> FloatArray:
        low, high = self.energy_kev[0], self.energy_kev[-1]
        steps = np.geomspace(low, high, math.ceil(math.log(high / low) / FINE_STEP) + 1)
        return np.unique(np.concatenate([steps[1:-1], self.energy_kev]))

    def _component_shares(self, energies: FloatArray, window: Window) -> FloatArray:
        """Share of each component's deposits whose pulse falls into the window, shape (energies, c)."""
        shares = np.empty((energies.size, self.geometric.shape[2]))
        shares[:, 0] = _normal_share(energies, self.sd_kev(energies), window)
        edges = energies[:, None] * np.linspace(0, 1, self.continuum_bins + 1)
        shares[:, 1:-1] = _uniform_share(
            edges[:, :-1], edges[:, 1:], self.sd_kev((edges[:, 1:] + edges[:, :-1]) / 2), window
        )
        lines = np.array(LEAD_K_LINES_KEV)
        shares[:, -1] = _normal_share(lines, self.sd_kev(lines), window) @ np.array(LEAD_K_SHARES)
        return shares


def solid_angle_sr(tangent: FloatArray) -> FloatArray:
    """Solid angle between cones of these tangents of the polar angle: 2 pi times the difference of cosines."""
    return np.asarray(-2 * math.pi * np.diff(1 / np.sqrt(1 + np.asarray(tangent) ** 2)))


def hexagon_transmission(collimator: Collimator, tangent: ArrayLike, azimuths: int = 32) -> FloatArray:
    """Share of parallel photons that pass through holes without touching lead, averaged over azimuth.

    A photon passes if it leaves its hole where it entered it, shifted by length times tan(theta): the overlap of a
    hexagon with its shifted self, over the cell's area. The overlap is a hexagon of half widths
    ``h_i = (d - |n_i . shift|) / 2`` along the three normals, of area ``(4 h1 h2 - (h1 + h2 - h3)^2) / sin 60``.

    Parameters
    ----------
    collimator : Collimator
        Its true length is taken: no photon goes through the rims.
    tangent : array
        Tangents of the polar angle.
    azimuths : int
        Points of the quadrature from 0 to 30 degrees, which by symmetry stand for all.
    """
    shift = collimator.length_mm * np.asarray(tangent, dtype=np.float64)[..., None]
    azimuth = np.radians(30.0) * (np.arange(azimuths) + 0.5) / azimuths
    along = [np.abs(np.cos(azimuth - np.radians(turn))) for turn in (0.0, 60.0, 120.0)]
    widths = np.sort([np.maximum(collimator.hole_mm - shift * part, 0.0) / 2 for part in along], axis=0)
    small, middle, large = widths
    area = np.where(large >= small + middle, 4 * small * middle, 4 * small * middle - (small + middle - large) ** 2)
    cell = 0.75 * (collimator.hole_mm + collimator.septum_mm) ** 2  # both areas times sin 60
    return np.asarray(np.mean(area, axis=-1) / cell)


def mean_transmission(collimator: Collimator, tangent: FloatArray, points: int = 16) -> FloatArray:
    """`hexagon_transmission` averaged over the solid angle of bins of tan(theta)."""
    cosine = 1 / np.sqrt(1 + np.asarray(tangent, dtype=np.float64) ** 2)
    part = (np.arange(points) + 0.5) / points
    inside = cosine[:-1, None] + part * np.diff(cosine)[:, None]
    return np.asarray(hexagon_transmission(collimator, np.sqrt(1 / inside**2 - 1)).mean(axis=1))


def tangent_edges(collimator: Collimator, last_deg: float = 75.0) -> FloatArray:
    """Edges of bins of tan(theta): `NEAR_BINS` even ones over what a hole lets through, then `FAR_BINS` that grow."""
    widest = 2 / math.sqrt(3) * collimator.hole_mm / collimator.length_mm
    near = np.linspace(0, widest, NEAR_BINS + 1)
    return np.concatenate([near, np.geomspace(widest, math.tan(math.radians(last_deg)), FAR_BINS + 1)[1:]])


def geometric_response(camera: GammaCamera | str) -> DetectorResponse:
    """Response of holes alone: exact geometry of straight holes times the crystal's photopeak efficiency.

    No septal penetration, no scatter in lead or behind the crystal, no continuum. It checks the Monte Carlo and is
    quick for a camera of one's own.
    """
    found = gamma_camera(camera)
    energy = np.geomspace(40.0, 795.0, 48)
    tangent = tangent_edges(found.collimator)
    transmission = mean_transmission(found.collimator, tangent)
    efficiency = np.array([found.photopeak_efficiency(float(e)) for e in energy])
    geometric = np.zeros((energy.size, tangent.size - 1, 3))
    geometric[:, :, 0] = efficiency[:, None] * transmission
    depth = found.collimator.length_mm + found.gap_mm + found.crystal_mm / 2
    return DetectorResponse(
        camera=found.name,
        energy_resolution=found.energy_resolution,
        energy_kev=energy,
        tangent=tangent,
        depth_mm=np.full(energy.size, depth),
        geometric=geometric,
        through=np.zeros_like(geometric),
    )


def _places(grid: FloatArray, wanted: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Index of the grid point below each energy, and how far (in log energy) it lies towards the next."""
    slack = 1e-9 * grid[-1]
    if wanted.size and (wanted.min() < grid[0] - slack or wanted.max() > grid[-1] + slack):
        raise PhysicsError(
            f"the detector's table holds {grid[0]:g} to {grid[-1]:g} keV, not {wanted.min():g} to {wanted.max():g} keV"
        )
    below = np.clip(np.searchsorted(grid, wanted, side="right") - 1, 0, max(grid.size - 2, 0))
    if grid.size == 1:
        raise PhysicsError("a detector response needs at least two energies")
    part = np.log(wanted / grid[below]) / np.log(grid[below + 1] / grid[below])
    return below, np.clip(part, 0.0, 1.0)


def _blend(table: FloatArray, below: NDArray[np.intp], part: FloatArray) -> FloatArray:
    total = table.sum(axis=2)
    low, high = total[below], total[below + 1]
    share = part[:, None]
    both = (low > 0) & (high > 0)
    safe_low, safe_high = np.where(both, low, 1.0), np.where(both, high, 1.0)
    chance = np.where(both, safe_low ** (1 - share) * safe_high**share, low * (1 - share) + high * share)
    split = table / np.where(total > 0, total, 1.0)[:, :, None]
    mixed = split[below] * (1 - share[:, :, None]) + split[below + 1] * share[:, :, None]
    norm = mixed.sum(axis=2, keepdims=True)
    return np.asarray(mixed * chance[:, :, None] / np.where(norm > 0, norm, 1.0))


def _normal_share(mean: FloatArray, sd: FloatArray, window: Window) -> FloatArray:
    from scipy.special import ndtr

    return np.asarray(ndtr((window.high_kev - mean) / sd) - ndtr((window.low_kev - mean) / sd))


def _uniform_share(low: FloatArray, high: FloatArray, sd: FloatArray, window: Window) -> FloatArray:
    """Share of pulses in the window of deposits spread evenly from low to high."""
    from scipy.special import ndtr

    def below(limit: float) -> FloatArray:
        # the integral of the normal distribution function is z Phi(z) + phi(z)
        a, b = (limit - high) / sd, (limit - low) / sd
        primitive = [z * ndtr(z) + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) for z in (a, b)]
        return np.asarray((primitive[1] - primitive[0]) / (b - a))

    return below(window.high_kev) - below(window.low_kev)
