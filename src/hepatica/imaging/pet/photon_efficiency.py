"""Share of the photons on a module of crystals that are counted, by the direction in which they come.

A photon at right angles may run along the slit between two crystals: of a Discovery ST 7 % fewer are counted than at
four degrees. A phantom in the middle of the scanner sends its photons within a few degrees, so both angles to the
normal are told apart, around the ring and along the axis.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.imaging.pet.followed import ring_on_device
from hepatica.imaging.pet.scanner import ANNIHILATION_KEV, Scanner
from hepatica.transport.matter.composition import medium
from hepatica.transport.matter.photons import build_photons
from hepatica.transport.runner.launch import load_warp
from hepatica.transport.runner.upload import Upload

FloatArray = NDArray[np.float64]
Float32 = NDArray[np.float32]

DEGREES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 11.0, 16.0, 24.0, 34.0, 46.0, 60.0, 76.0)
"""Where it is computed, around and along: the slits matter below three degrees."""
PHOTONS = 4_000
"""Of each pair of angles: 1 %. A phantom of 20 cm is seen under a hundred of them."""
MIDDLE_PHOTONS = 800_000
"""From the middle of the scanner to its crystals, by which the table is scaled: 0.1 %."""
MIDDLE_MM = 100.0
PIECES = 64
FINE = 1024
BENT = 0.2
"""The fine table is even in ``t / (t + BENT)``, t the tangent of an angle."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotonEfficiency:
    """Counted share by direction.

    Attributes
    ----------
    coarse : ndarray, shape (angles, angles)
        Share within the energy window at `DEGREES` around and along, 0.7 % (one standard deviation) each.
    fine : ndarray of float32, shape (FINE, FINE)
        Linear between them, even in the bent tangents.
    """

    coarse: FloatArray
    fine: Float32

    def at(self, around: NDArray[np.floating], along: NDArray[np.floating]) -> Float32:
        """Of photons whose direction has these tangents to the normal, whatever their sign."""
        i, j = (_bent(np.abs(t)) for t in (around, along))
        return self.fine[i, j]


def _bent(tangent: NDArray[np.floating]) -> NDArray[np.intp]:
    return np.minimum((tangent / (tangent + BENT) * FINE).astype(np.intp), FINE - 1)


def photon_efficiency(scanner: Scanner, *, seed: int = 1) -> PhotonEfficiency:
    """Share of the 511 keV photons on the crystals of a module that are counted, by direction.

    A table of parallel photons on endless flat modules is scaled so that lines count of a cylinder about the scanner's
    middle (radius 10 cm, half of the scanner's length) as many photons as are counted when they are followed to the
    ring: how deep they are absorbed decides which part of a module's border they still meet.
    """
    follow = _Follower(scanner, seed)
    coarse = follow.table()
    table = PhotonEfficiency(coarse, _fine(coarse))
    seen = follow.from_the_middle()
    crossing = seen[:, 0] >= 0
    by_lines = float(table.at(seen[crossing, 0], seen[crossing, 1]).sum(dtype=np.float64))
    scale = float(seen[:, 2].sum(dtype=np.float64)) / by_lines
    return PhotonEfficiency(coarse * scale, table.fine * np.float32(scale))


class _Follower:
    """Photons of 511 keV followed into the crystals of a scanner, on all threads."""

    def __init__(self, scanner: Scanner, seed: int) -> None:
        from hepatica.transport.device import coincidence_events
        from hepatica.transport.device.physics import Physics

        self.scanner, self.kernels, self.wp = scanner, coincidence_events, load_warp()
        self.seed = self.wp.uint64(seed)
        self.upload = Upload(self.wp, "cpu")
        self.wp.load_module(coincidence_events, device="cpu")
        self.physics = Physics()
        self.upload.photons(self.physics, build_photons((medium(scanner.crystal),)))
        self.ring = ring_on_device(self.upload, self.wp, scanner, 0)

    def table(self) -> FloatArray:
        """Counted share at `DEGREES` around and along."""
        tangent = np.tan(np.radians(DEGREES))
        around, along = (t.ravel() for t in np.meshgrid(tangent, tangent, indexing="ij"))
        direction = np.stack([np.ones_like(around), around, along], axis=1)
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        given = self.upload.vectors(list(direction.T), self.wp.vec3)
        found = np.zeros(len(direction), np.float32)
        out = self.upload.shared(found, self.wp.float32)
        inputs = [self.physics, self.ring, self.scanner.depth_mm, given, ANNIHILATION_KEV, self.seed, PHOTONS]
        self._run(self.kernels.module_efficiency, len(direction), [*inputs], out)
        return found.reshape(tangent.size, tangent.size).astype(np.float64)

    def from_the_middle(self) -> Float32:
        """Tangents around and along at the mean depth (-1: on no crystal) and whether counted, shape (photons, 3)."""
        scanner, each = self.scanner, MIDDLE_PHOTONS // PIECES
        half, radius = scanner.length_mm / 2, min(MIDDLE_MM, scanner.field_mm / 4)
        # steeper photons pass the ring's ends
        rise = (half + half / 2 + scanner.crystal_mm[2]) / (scanner.radius_mm - radius)
        steepest = rise / np.hypot(1, rise)
        found = np.zeros((PIECES * each, 3), np.float32)
        out = self.upload.shared(found, self.wp.vec3)
        size = self.wp.vec2(radius, half / 2)
        inputs = [self.physics, self.ring, scanner.depth_mm, size, float(steepest), ANNIHILATION_KEV, self.seed, each]
        self._run(self.kernels.from_the_middle, PIECES, inputs, out)
        return found

    def _run(self, kernel: Any, pieces: int, inputs: list[Any], out: Any) -> None:
        edges = np.linspace(0, pieces, (os.cpu_count() or 1) + 1).astype(int)

        def work(start: int, stop: int) -> None:
            if stop > start:
                self.wp.launch(kernel, int(stop - start), [*inputs, int(start), out], device="cpu")

        with ThreadPoolExecutor() as pool:
            list(pool.map(work, edges[:-1], edges[1:]))


def _fine(coarse: FloatArray) -> Float32:
    """Linear in the angles, at the middles of the fine cells; beyond the last angle as there."""
    place = (np.arange(FINE) + 0.5) / FINE
    degrees = np.degrees(np.arctan(place * BENT / (1 - place)))
    rows = np.stack([np.interp(degrees, DEGREES, column) for column in coarse.T], axis=1)
    return np.stack([np.interp(degrees, DEGREES, row) for row in rows]).astype(np.float32)
