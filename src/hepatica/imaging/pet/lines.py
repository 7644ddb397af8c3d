"""Integrals of an image along lines of response, and their exact transpose.

``forward`` and ``back`` are one linear map and its transpose: blur of the image by the scanner's point spread, then
Joseph's method along each line, weighted by time of flight (`transport.device.coincidence_lines`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.constants import FWHM_PER_SD
from hepatica.errors import GeometryError
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.scanner import Scanner, TimeOfFlight
from hepatica.transport.runner.launch import check_device, load_warp
from hepatica.transport.runner.upload import Upload

Float32 = NDArray[np.float32]

REACH_SD = 3.0
"""Places farther than so many standard deviations from a bin of time of flight count nothing, the rest so much more."""
STEPS_PER_SD = 32
PADDING = (1, 2)
"""Empty voxels before and behind the image, see `transport.device.coincidence_lines`."""


@dataclass(frozen=True)
class LineProjector:
    """Lines of one scanner through one grid.

    Attributes
    ----------
    scanner : Scanner
        With or without time of flight.
    grid : Grid
        Voxels of the image; any orientation.
    bed_mm : float
        LPS z of the scanner's middle.
    point_spread_mm : float
        FWHM of the image-space point spread, the same everywhere; 0 for none.
    device : str
        "cpu" or "cuda".
    threads : int or None
        CPU threads; None for all.
    """

    scanner: Scanner
    grid: Grid
    bed_mm: float = 0.0
    point_spread_mm: float = 0.0
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        check_device(self.device)
        if min(self.grid.shape) < 1 or self.point_spread_mm < 0:
            raise GeometryError("lines need voxels and a point spread that is not negative")

    def forward(self, image: NDArray[Any], events: Coincidences) -> Float32:
        """Integral along each line, image unit times mm, shape (events,)."""
        self._require(image)
        wp = load_warp()
        padded = np.pad(self.blurred(image), PADDING)
        values = np.zeros(len(events), np.float32)
        source, out = self._upload.floats(padded), self._upload.shared(values, wp.float32)
        self._run("project", events, lambda start: [source, *self._events(events), start, out])
        return np.asarray(out.numpy() if self.device != "cpu" else values)

    def back(self, values: NDArray[Any], events: Coincidences) -> Float32:
        """The transpose of `forward`: every line's value laid along it, shape of the grid."""
        wp = load_warp()
        weights = self._upload.floats(values)
        shape = tuple(n + sum(PADDING) for n in self.grid.shape)
        images = [np.zeros(int(np.prod(shape)), np.float32) for _ in range(self._lanes)]
        outs = [self._upload.shared(image, wp.float32) for image in images]
        self._run("spread", events, lambda start, n=0: [weights, *self._events(events), start, outs[n]])
        total = np.sum([out.numpy().reshape(shape) for out in outs], axis=0)
        within = (slice(PADDING[0], -PADDING[1]),) * 3
        return self.blurred(np.asarray(total[within], np.float32))

    def blurred(self, image: NDArray[Any]) -> Float32:
        """An image as the point spread shows it: a symmetric map, its own transpose."""
        found = np.asarray(image, np.float32)
        if not self.point_spread_mm:
            return found
        from scipy.ndimage import correlate1d

        for axis, spacing in enumerate(self.grid.spacing_mm):
            found = correlate1d(found, _gaussian(self.point_spread_mm / FWHM_PER_SD / spacing), axis, mode="constant")
        return found

    @property
    def reach_voxels(self) -> tuple[int, int, int]:
        """How far the point spread carries from a voxel."""
        if not self.point_spread_mm:
            return 0, 0, 0
        i, j, k = (len(_gaussian(self.point_spread_mm / FWHM_PER_SD / mm)) // 2 for mm in self.grid.spacing_mm)
        return i, j, k

    @property
    def _lanes(self) -> int:
        return (self.threads or os.cpu_count() or 1) if self.device == "cpu" else 1

    @cached_property
    def _upload(self) -> Upload:
        return Upload(load_warp(), self.device)

    @cached_property
    def _lines(self) -> Any:
        from hepatica.transport.device import coincidence_lines

        wp = load_warp()
        wp.load_module(coincidence_lines, device=self.device)
        lines = coincidence_lines.Lines()
        lines.nx, lines.ny, lines.nz = (n + sum(PADDING) for n in self.grid.shape)
        inverse = np.linalg.inv(self.grid.affine)
        inverse[:3, 3] += PADDING[0]
        lines.to_index, lines.shift = self._upload.affine(inverse)
        ends = self.scanner.positions_mm() + np.array([0.0, 0.0, self.bed_mm])
        lines.crystal = self._upload.vectors(list(ends.T), wp.vec3)
        tof = self.scanner.time_of_flight
        lines.timed = int(tof is not None)
        if tof is not None:
            lines.bin_mm, lines.middle_bin, lines.per_mm = tof.bin_mm, tof.bins // 2, STEPS_PER_SD / tof.sd_mm
            lines.reach, shape = time_weights(tof)
        else:
            lines.per_mm, shape = 0.0, np.ones(2, np.float32)
        # the weight at each step and its growth to the next
        lines.shape = self._upload.vectors([shape[:-1], np.diff(shape)], wp.vec2)
        return lines

    def _events(self, events: Coincidences) -> list[Any]:
        wp = load_warp()
        return [
            self._upload.shared(events.first, wp.int32),
            self._upload.shared(events.second, wp.int32),
            self._upload.shared(events.tof_bin, wp.int16),
        ]

    def _run(self, kernel: str, events: Coincidences, inputs: Callable[..., list[Any]]) -> None:
        from hepatica.transport.device import coincidence_lines

        if events.scanner != self.scanner or events.bed_mm != self.bed_mm:
            raise GeometryError(
                f"coincidences of {events.scanner.name} at {events.bed_mm:g} mm are not lines of {self.scanner.name} "
                f"at {self.bed_mm:g} mm"
            )
        wp, lines, lanes = load_warp(), self._lines, self._lanes
        edges = np.linspace(0, len(events), lanes + 1).astype(int)

        def work(n: int) -> None:
            count = int(edges[n + 1] - edges[n])
            if count:
                given = inputs(int(edges[n]), n) if kernel == "spread" else inputs(int(edges[n]))
                wp.launch(getattr(coincidence_lines, kernel), count, [lines, *given], device=self.device)

        if lanes == 1:
            work(0)
        else:
            with ThreadPoolExecutor(lanes) as pool:
                list(pool.map(work, range(lanes)))
        if self.device != "cpu":
            wp.synchronize_device(self.device)

    def _require(self, image: NDArray[Any]) -> None:
        if image.shape != self.grid.shape:
            raise GeometryError(f"an image of shape {image.shape} does not lie on a grid of {self.grid.shape}")


def box_around(voxels: NDArray[np.bool_], margin: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """The least box that holds these voxels and a margin, within the array.

    Raises
    ------
    GeometryError
        If there are none.
    """
    if not voxels.any():
        raise GeometryError("no voxel lies where activity is looked for")
    found = []
    for axis, more in enumerate(margin):
        inside = np.flatnonzero(voxels.any(axis=tuple(a for a in range(3) if a != axis)))
        found.append(slice(max(int(inside[0]) - more, 0), min(int(inside[-1]) + 1 + more, voxels.shape[axis])))
    return found[0], found[1], found[2]


def _gaussian(sd: float) -> Float32:
    """Kernel of a Gaussian of `sd` voxels, each weight the share of its voxel, sum 1."""
    from scipy.special import erf

    reach = int(np.ceil(4 * sd + 0.5))
    edges = np.arange(-reach - 0.5, reach + 1)
    shares = np.diff(erf(edges / (np.sqrt(2) * sd)))
    return np.asarray(shares / shares.sum(), np.float32)


def time_weights(tof: TimeOfFlight) -> tuple[float, Float32]:
    """Reach in mm, and the chance that a place at 0, 1, ... steps from the middle of a bin is told to lie in it.

    The integral of the weights over all distances is the bin's width, so that the bins of a line add up to 1.
    """
    from scipy.special import erf

    reach = REACH_SD * tof.sd_mm + tof.bin_mm / 2
    distance = np.arange(int(np.ceil(reach / tof.sd_mm * STEPS_PER_SD)) + 2) * tof.sd_mm / STEPS_PER_SD
    root = np.sqrt(2) * tof.sd_mm
    shape = (erf((distance + tof.bin_mm / 2) / root) - erf((distance - tof.bin_mm / 2) / root)) / 2
    inside = np.linspace(0, reach, 20001)
    middles = (inside[1:] + inside[:-1]) / 2
    whole = 2 * np.interp(middles, distance, shape).mean() * reach
    return float(reach), np.asarray(shape * tof.bin_mm / whole, np.float32)
