"""Detector responses by Monte Carlo: photons through a lead collimator of hexagonal holes into a NaI(Tl) crystal.

What reaches the crystal is split so that each part is found with little noise. Straight lines through holes and the
length of lead on all others are exact geometry; they give the chance to arrive without collision at every energy. What
such a photon then does in crystal and behind it is simulated once per energy and angle. Photons that collide in the
collimator (or before it) are simulated from the front.

Physics: photoelectric effect with K X rays of lead and iodine, bound Compton and Rayleigh scattering, pair production
with its two annihilation photons. Left out: what electrons do (they stop where they are set free; no bremsstrahlung),
L X rays, Doppler broadening, the crystal's edges, and lead's uneven septa.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.constants import AVOGADRO
from hepatica.core.progress import Progress
from hepatica.errors import InputError
from hepatica.imaging.spect.camera.cameras import GammaCamera, Layer
from hepatica.imaging.spect.camera.detector import (
    LEAD_K_LINES_KEV,
    LEAD_K_SHARES,
    NEAR_BINS,
    SECTORS,
    DetectorResponse,
    mean_transmission,
    solid_angle_sr,
    tangent_edges,
)
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.electrons import CLASSICAL_RADIUS2_CM2
from hepatica.transport.matter.photons import build_photons
from hepatica.transport.runner.launch import load_warp
from hepatica.transport.runner.upload import Upload

FloatArray = NDArray[np.float64]

LEAD_DENSITY_G_ML = 11.35
NAI_DENSITY_G_ML = 3.67
CUTOFF_KEV = 8.0
"""A photon below stops where it is: 0.02 mm in NaI."""

LEAD_K_EDGE_KEV = 88.0045
IODINE_K_EDGE_KEV = 33.1694
LEAD_K_CHANCE = 0.80 * 0.9634
"""K X rays per photoelectric event: share of the K shell (0.786 at 90 keV, 0.809 at 200 keV) times fluorescence yield,
both from xraylib 4.3."""
IODINE_K_CHANCE = 0.86 * 0.8819
"""The same in NaI, where iodine takes all but a percent of the photoelectric events; xraylib 4.3."""
IODINE_K_LINES_KEV = (28.317, 28.612, 32.28, 33.05)
IODINE_K_SHARES = (0.2858, 0.5305, 0.1529, 0.0308)
"""K X rays of iodine: alpha2, alpha1, beta1', beta2' (xraylib 4.3)."""

LEAST_ARRIVED = 1e-100
"""Chance to cross lead below which there is no star."""

CONTINUUM_BINS = 24

CONE = 1.5
"""Tangent of the cone into which photons are forced, in units of the widest that passes a hole."""


@dataclass(frozen=True, slots=True)
class DetectorRun:
    """How long and how fine.

    Attributes
    ----------
    crystal_photons : int
        Histories per energy and bin of direction that start behind the collimator.
    collimator_photons : int
        Histories per energy that start before it, shared by the bins as the roots of their solid angles.
    rays : int
        Straight lines per bin of direction.
    force : bool
        At every collision before the crystal, follow a second branch into the cone that holes let through (weighted,
        and the first branch ends if it takes that way): less noise, same mean.
    seed : int
        Same seed, same table, whatever the number of threads.
    threads : int
        Energies at work at once.
    """

    crystal_photons: int = 6_000
    collimator_photons: int = 1_400_000
    rays: int = 40_000
    force: bool = True
    seed: int = 20_261_123
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.crystal_photons, self.collimator_photons, self.rays, self.threads) < 1:
            raise InputError("a detector run needs at least one photon, ray and thread")


@dataclass(frozen=True, slots=True, eq=False)
class DetectorSimulation:
    """A response and what it was made of.

    Attributes
    ----------
    response : DetectorResponse
        What came out.
    arrived : ndarray, shape (n, m)
        Chance to reach the crystal's cover without collision although the line crosses lead.
    parts : dict of ndarray, each of shape (n, m, c)
        Components of `through`: "penetrated", "collimator" (collided in it or before it), "behind" (met what lies
        behind the crystal, or its cover, first).
    shift_mm : dict of ndarray, each of shape (n,)
        Root mean square of the distance in the crystal between the straight line and where the full energy was left,
        for photons that entered the crystal straight ("crystal") and for those of "collimator" and "behind".
    """

    response: DetectorResponse
    arrived: FloatArray
    parts: dict[str, FloatArray]
    shift_mm: dict[str, FloatArray]


def default_energies() -> FloatArray:
    """59 energies from 30 keV to 2.4 MeV: steps of 5.5 % from 60 to 500 keV, where septa open, coarser elsewhere."""
    even = np.concatenate([np.geomspace(30, 60, 5)[:-1], np.geomspace(60, 500, 40), np.geomspace(500, 2400, 15)[1:]])
    # cross sections are tabulated in steps of 0.8 %: stay clear of the step that holds the edge
    near = (LEAD_K_EDGE_KEV * 0.985, LEAD_K_EDGE_KEV * 1.015)
    return np.unique(np.concatenate([even[np.abs(even / LEAD_K_EDGE_KEV - 1) > 0.03], near]))


def simulate_detector(
    camera: GammaCamera,
    run: DetectorRun | None = None,
    energy_kev: FloatArray | None = None,
    progress: Progress | None = None,
) -> DetectorSimulation:
    """Make a camera's response.

    Parameters
    ----------
    camera : GammaCamera
        Its collimator, crystal and layers are taken; what it cannot state (the pattern's regularity, layers not given)
        is ideal.
    run : DetectorRun, optional
        How long and how fine.
    energy_kev : array, optional
        Incident energies, at least two, rising, between 10 keV and 3 MeV.
    progress : callable, optional
        Called after each energy.
    """
    run = run or DetectorRun()
    energies = default_energies() if energy_kev is None else np.asarray(energy_kev, dtype=np.float64)
    if energies.size < 2 or (np.diff(energies) <= 0).any() or energies[0] < 10 or energies[-1] > 3000:
        raise InputError("a detector's response needs at least two energies, rising, between 10 and 3000 keV")
    bench = Bench(camera, run)
    done: list[int] = []

    def one(number: int) -> tuple[FloatArray, ...]:
        found = bench.energy(number, float(energies[number]))
        done.append(number)
        if progress is not None:
            progress(f"collimator: {len(done)} of {energies.size} energies")
        return found

    with ThreadPoolExecutor(run.threads) as pool:
        rows = list(pool.map(one, range(energies.size)))
    columns = (np.array(column) for column in zip(*rows, strict=True))
    crystal, behind, collimator, arrived, star, depth, *shifts = columns
    through_holes = mean_transmission(camera.collimator, bench.tangent)
    parts = {
        "penetrated": arrived[:, :, None] * (crystal + behind),
        "collimator": _smoothed(collimator, energies),
        "behind": through_holes[:, None] * behind,
    }
    response = DetectorResponse(
        camera=camera.name,
        energy_resolution=camera.energy_resolution,
        energy_kev=energies,
        tangent=bench.tangent,
        depth_mm=depth,
        geometric=through_holes[:, None] * crystal,
        through=np.sum(list(parts.values()), axis=0),
        straight=straight_share(parts["penetrated"], np.sum(list(parts.values()), axis=0)),
        star=star,
    )
    return DetectorSimulation(
        response, arrived, parts, dict(zip(("crystal", "behind", "collimator"), shifts, strict=True))
    )


def straight_share(penetrated: FloatArray, through: FloatArray) -> FloatArray:
    """Share of counts through lead that did not collide there: of those of full energy, and of the rest, (n, m, 2)."""
    shares = []
    for part in (slice(0, 1), slice(1, None)):
        counted = through[:, :, part].sum(axis=2)
        shares.append(penetrated[:, :, part].sum(axis=2) / np.where(counted > 0, counted, 1.0))
    return np.asarray(np.minimum(np.stack(shares, axis=-1), 1.0))


def with_star(response: DetectorResponse, camera: GammaCamera, run: DetectorRun | None = None) -> DetectorResponse:
    """A response with azimuth, where it has none: straight lines and the crystal anew, the rest as it is.

    The same numbers as `simulate_detector` with the same run, without its photons that collide in the collimator.
    """
    bench = Bench(camera, run or DetectorRun())
    penetrated, star = [], []
    for number, kev in enumerate(response.energy_kev):
        seen, arrived, of_sector = bench.straight(number, float(kev))
        penetrated.append(arrived[:, None] * seen)
        star.append(of_sector)
    share = straight_share(np.array(penetrated), response.through)
    return replace(response, straight=share, star=np.array(star))


def simulated_response(camera: GammaCamera) -> DetectorResponse:
    """Response of a camera by Monte Carlo on all processors: the `make` of `detector_tables.detector_response`."""
    return simulate_detector(camera, DetectorRun(threads=os.cpu_count() or 1)).response


class Bench:
    """A camera's head and tables on the device, and the launches: one `energy` after another."""

    def __init__(self, camera: GammaCamera, run: DetectorRun) -> None:
        self._wp = load_warp()
        self._upload = Upload(self._wp, "cpu")
        from hepatica.transport.device import camera_head as device_detector
        from hepatica.transport.device.physics import Physics

        self._code = device_detector
        self._wp.load_module(device_detector, device="cpu")
        self._run = run
        self.tangent = tangent_edges(camera.collimator)
        self._bins = self.tangent.size - 1
        self._layers, self._collimator, self._crystal = _pile(camera)
        edges = np.concatenate([[0.0], np.cumsum([layer.thickness_mm for layer in self._layers])])
        self._edges = edges - edges[self._collimator]
        self._middle_of_crystal = float(self._edges[self._crystal : self._crystal + 2].mean())
        names = sorted({layer.medium for layer in self._layers} | {"lead", "sodium_iodide"})
        self._names = names
        self._photons = build_photons([medium(name) for name in names])
        self._physics = Physics()
        self._upload.photons(self._physics, self._photons)
        self._head = self._make_head(camera)
        self._blocks = self._share_out()
        self._device_tangent = self._upload.floats(self.tangent)
        cosine = 1 / np.sqrt(1 + self.tangent**2)
        self._cosine = (cosine[1:] + cosine[:-1]) / 2
        self.paths_mm, self.sectors = self._trace()

    def energy(self, number: int, kev: float) -> tuple[FloatArray, ...]:
        """Components (crystal first, behind first, collimator), arrivals, star, depth, three shifts at one energy."""
        crystal, behind, arrived, star, extra = self._straight(number, kev)
        scattered, more, _ = self.launch(number, kev, 1)
        collimator = scattered.sum(axis=1)
        near = extra[:NEAR_BINS, 0].sum(axis=0)
        depth = np.array(near[2] / near[1] if near[1] else self._middle_of_crystal)
        shifts = [_root_mean_square(rows) for rows in (extra[:NEAR_BINS, 0], extra[:NEAR_BINS, 1], more.sum(axis=1))]
        return crystal, behind, collimator, arrived, star, depth, *shifts

    def straight(self, number: int, kev: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Components of photons that cross lead without collision, chance of that, and their star, at one energy."""
        crystal, behind, arrived, star, _ = self._straight(number, kev)
        return crystal + behind, arrived, star

    def _straight(self, number: int, kev: float) -> tuple[FloatArray, ...]:
        before = sum(self._mu(layer, kev) * layer.thickness_mm for layer in self._layers[: self._collimator])
        survive = np.exp(-before / self._cosine)
        arrived, star = self._arrivals(kev)
        tally, extra, _ = self.launch(number, kev, 0)
        # under small angles the crystal does not tell them apart (its depth grows by less than 0.5 %): take their mean
        tally[:NEAR_BINS] = tally[:NEAR_BINS].mean(axis=0)
        crystal, behind = (survive[:, None] * tally[:, kind] for kind in (0, 1))
        return crystal, behind, arrived * survive, star, extra

    def _arrivals(self, kev: float) -> tuple[FloatArray, FloatArray]:
        """Chance to cross lead without collision, shape (m,), and that of each sector over the mean, (m, sectors)."""
        mu = self._mu(self._layers[self._collimator], kev)
        chance = np.where(self.paths_mm >= 0, np.exp(-mu * np.maximum(self.paths_mm, 0)), 0.0)
        arrived = chance.mean(axis=1)
        star = np.ones((self._bins, SECTORS))
        # Below that the chances of single rays are rounded to multiples of the smallest number.
        for ring in np.flatnonzero(arrived > LEAST_ARRIVED):
            rays = np.bincount(self.sectors[ring], minlength=SECTORS)
            of_sector = np.bincount(self.sectors[ring], chance[ring], SECTORS) / np.maximum(rays, 1)
            star[ring] = of_sector / of_sector.mean() if of_sector.mean() else 1.0
        return arrived, star

    def launch(self, number: int, kev: float, mode: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Chances per photon, shape (m, classes, c), and the sums `extra` and `balance` of the kernel."""
        wp, components = self._wp, CONTINUUM_BINS + 2
        blocks = self._blocks[mode]
        tally = wp.zeros(self._bins * self._code.CLASSES * components, dtype=wp.float64, device="cpu")
        extra = wp.zeros(self._bins * self._code.CLASSES * self._code.EXTRAS, dtype=wp.float64, device="cpu")
        balance = wp.zeros(3, dtype=wp.float64, device="cpu")
        first = number * sum(map(len, self._blocks)) + mode * len(self._blocks[0])
        inputs = [self._head, self._physics, self._device_tangent, kev, mode, wp.uint64(self._run.seed)]
        inputs += [wp.uint64(first * self._code.BLOCK), wp.array(blocks, dtype=wp.int32, device="cpu")]
        inputs += [components, tally, extra, balance]
        wp.launch(self._code.follow_photons, dim=len(blocks) * self._code.BLOCK, inputs=inputs, device="cpu")
        shape = (self._bins, self._code.CLASSES, -1)
        photons = np.bincount(blocks, minlength=self._bins) * self._code.BLOCK
        return tally.numpy().reshape(shape) / photons[:, None, None], extra.numpy().reshape(shape), balance.numpy()

    def photons(self, mode: int) -> int:
        """Histories of a launch."""
        return len(self._blocks[mode]) * self._code.BLOCK

    def _share_out(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Bin of direction of each block of photons, for the two modes of the kernel."""
        size, bins = self._code.BLOCK, np.arange(self._bins, dtype=np.int32)
        even = np.repeat(bins, math.ceil(self._run.crystal_photons / size))
        # steep photons seldom count but stand for more: a share as the root of the solid angle keeps the noise low
        share = np.sqrt(solid_angle_sr(self.tangent))
        share /= share.sum()
        uneven = np.repeat(bins, np.ceil(share * self._run.collimator_photons / size).astype(int))
        return even, uneven

    def _trace(self) -> tuple[FloatArray, NDArray[np.int32]]:
        """Millimetres of lead on straight lines, shape (m, rays), below 0 where there is none; sectors of azimuth."""
        wp, size = self._wp, self._bins * self._run.rays
        path = wp.zeros(size, dtype=wp.float32, device="cpu")
        sector = wp.zeros(size, dtype=wp.int32, device="cpu")
        inputs = [self._head, self._device_tangent, wp.uint64(self._run.seed + 1), self._run.rays, path, sector]
        wp.launch(self._code.lead_paths, dim=size, inputs=inputs, device="cpu")
        return np.asarray(path.numpy().reshape(self._bins, -1), dtype=np.float64), sector.numpy().reshape(
            self._bins, -1
        )

    def _mu(self, layer: Layer, kev: float) -> float:
        """Linear attenuation coefficient in 1/mm."""
        row = self._photons.total[self._names.index(layer.medium)]
        return float(np.interp(np.log(kev), np.log(self._photons.energy_kev), row)) * layer.density_g_ml

    def _make_head(self, camera: GammaCamera) -> Any:
        wp, h, upload = self._wp, self._code.Head(), self._upload
        h.hole = camera.collimator.hole_mm
        h.pitch = camera.collimator.hole_mm + camera.collimator.septum_mm
        h.layers, h.collimator, h.crystal = len(self._layers), self._collimator, self._crystal
        h.edge = upload.floats(self._edges)
        index = [self._names.index(layer.medium) for layer in self._layers]
        h.medium = upload.integers(index)
        h.density = upload.floats([layer.density_g_ml for layer in self._layers])
        shells = {
            "lead": (LEAD_K_EDGE_KEV, LEAD_K_CHANCE, LEAD_K_LINES_KEV, LEAD_K_SHARES),
            "sodium_iodide": (IODINE_K_EDGE_KEV, IODINE_K_CHANCE, IODINE_K_LINES_KEV, IODINE_K_SHARES),
        }
        rows = [shells.get(name, (1e30, 0.0, (0.0,) * 4, (1.0,) * 4)) for name in self._names]
        h.k_edge, h.k_chance = upload.floats([row[0] for row in rows]), upload.floats([row[1] for row in rows])
        h.k_line = upload.vectors(list(np.array([row[2] for row in rows]).T), wp.vec4)
        h.k_share = upload.vectors(list(np.array([np.cumsum(row[3]) for row in rows]).T), wp.vec4)
        unit = AVOGADRO * CLASSICAL_RADIUS2_CM2 / 10
        h.electrons = upload.floats([unit * medium(name).electrons_per_gram_mol for name in self._names])
        h.moles = unit
        h.cone = 1 / math.hypot(1, CONE * self.tangent[NEAR_BINS]) if self._run.force else 2.0
        h.lead_medium, h.cutoff = self._names.index("lead"), CUTOFF_KEV
        return h


def _pile(camera: GammaCamera) -> tuple[tuple[Layer, ...], int, int]:
    """All layers from the front to the back, the gap's air included; places of collimator and crystal."""
    air = camera.gap_mm - sum(layer.thickness_mm for layer in camera.cover)
    if air < -1e-9:
        raise InputError(f"camera {camera.name}: its covers are thicker than the gap of {camera.gap_mm:g} mm")
    gap = (Layer("air", 0.001205, air), *camera.cover) if air > 1e-9 else camera.cover
    collimator = Layer("lead", LEAD_DENSITY_G_ML, camera.collimator.length_mm)
    crystal = Layer("sodium_iodide", NAI_DENSITY_G_ML, camera.crystal_mm)
    pile = (*camera.front, collimator, *gap, crystal, *camera.back)
    return pile, len(camera.front), len(camera.front) + 1 + len(gap)


def _smoothed(table: FloatArray, energies: FloatArray) -> FloatArray:
    """Weights 1, 2, 1 over near energies (not across lead's K edge) and over directions beyond the holes' cone.

    Events there are few and weigh much; over a step the mean changes by less than a half: it moves by 4 %.
    """
    bins = np.concatenate([table[:, :1], table, table[:, -1:]], axis=1)
    even = (bins[:, :-2] + 2 * bins[:, 1:-1] + bins[:, 2:]) / 4
    found = np.where((np.arange(table.shape[1]) > NEAR_BINS)[:, None], even, table)
    result = found.copy()
    for n in range(1, energies.size - 1):
        near = energies[n + 1] < 1.3 * energies[n - 1]
        if near and not energies[n - 1] < LEAD_K_EDGE_KEV < energies[n + 1]:
            result[n] = (found[n - 1] + 2 * found[n] + found[n + 1]) / 4
    return np.asarray(result)


def _root_mean_square(extra: FloatArray) -> FloatArray:
    """Root of the mean squared sideways shift from sums per bin, in any shape (m, extras)."""
    events, squares = extra[:, 1].sum(), extra[:, 3].sum()
    return np.array(np.sqrt(squares / events) if events else 0.0)
