"""Tables and volumes on a device, and launches of the transport kernel on them.

On the CPU a launch is one thread's work and releases Python's lock, so `threads` Python threads follow disjoint
histories into tallies of their own. On a GPU one launch follows all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.transport.composition import Medium
from hepatica.transport.photons import MOMENTA, MOMENTUM_RANGE, PhotonTables, build_photons
from hepatica.transport.source import Emission, alias_table
from hepatica.transport.stepping import Ladder, StepModel, build_ladder

FloatArray = NDArray[np.float64]

DEVICES = ("cpu", "cuda")
GPU_WORKERS = 64 * 1024
MOST_SOURCE_VOXELS = 2**26
COUNTER_NAMES = ("emitted", "escaped_electrons", "escaped_photons", "lost")


@dataclass(frozen=True, slots=True)
class Shells:
    """Radial tally of a point source: `linear` shells of `width_mm`, then `logarithmic` ones up to `last_mm`."""

    width_mm: float
    linear: int
    logarithmic: int
    last_mm: float

    @property
    def edges_mm(self) -> FloatArray:
        """Edges of the shells, shape (linear + logarithmic + 1,)."""
        first = self.width_mm * np.arange(self.linear + 1)
        return np.concatenate([first, np.geomspace(first[-1], self.last_mm, self.logarithmic + 1)[1:]])


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """Voxels: spacing in mm, density in g/mL and index into `media`, arrays of one shape."""

    spacing_mm: tuple[float, float, float]
    density: NDArray[np.float32]
    medium_index: NDArray[np.uint8]
    media: tuple[Medium, ...]


@cache
def load_warp() -> Any:
    """The warp module, initialised without its banner.

    Raises
    ------
    PhysicsError
        If warp is not installed.
    """
    try:
        import warp as wp
    except ImportError as error:
        raise PhysicsError("Monte Carlo transport needs the package warp-lang: pip install warp-lang") from error
    wp.config.log_level = wp.LOG_WARNING
    with _quiet_stderr():
        wp.init()
    return wp


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Warp's library tells stderr that there is no GPU; who asks for one gets an error from `check_device` instead."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def check_device(device: str) -> None:
    """Raise unless `device` is known and present; never is another one taken instead."""
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    if device == "cuda" and not load_warp().is_cuda_available():
        raise PhysicsError(
            "device 'cuda' was asked for, but no CUDA GPU and driver were found; run on a machine with an NVIDIA GPU "
            "and its driver (nvidia-smi must list it), or ask for device 'cpu'"
        )


@cache
def _tables(media: tuple[Medium, ...], model: StepModel) -> tuple[Ladder, PhotonTables]:
    return build_ladder(media, model), build_photons(media)


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """What one thread (or the GPU) writes to: stack, tally, counters."""

    workers: int
    stack: Any
    tally: Any
    counters: Any


class Engine:
    """One phantom (or infinite medium), one source, on one device.

    Parameters
    ----------
    phantom : Phantom
        Voxels; for a point source in an infinite medium one voxel of that medium.
    emission : Emission
        What a decay emits.
    voxels, weights : ndarray
        Flat indices of the voxels with activity, and their decays in any unit.
    model : StepModel
        How finely electrons are followed.
    shells : Shells or None
        Score in shells about a point source in an infinite medium instead.
    device : str
        "cpu" or "cuda".
    """

    def __init__(
        self,
        phantom: Phantom,
        emission: Emission,
        voxels: NDArray[np.integer[Any]],
        weights: NDArray[np.floating[Any]],
        *,
        model: StepModel,
        shells: Shells | None = None,
        device: str = "cpu",
    ) -> None:
        check_device(device)
        self._wp = load_warp()
        from hepatica.transport import device_kernel
        from hepatica.transport.device import STACK_DEPTH, STACK_FIELDS
        from hepatica.transport.device_kernel import follow_decays

        self._kernel = follow_decays
        # compiled (or taken from the cache) here, before two threads ask for it at once
        self._wp.load_module(device_kernel, device=device)
        self._stack_numbers = STACK_DEPTH * STACK_FIELDS
        self._device = device
        self._lanes: list[_Lane] = []
        ladder, photons = _tables(phantom.media, model)
        self._geometry = self._make_geometry(phantom, shells)
        self._physics = self._make_physics(phantom, ladder, photons, model)
        self._source = self._make_source(emission, voxels, weights)
        self.tally_size = phantom.density.size if shells is None else shells.linear + shells.logarithmic + 1

    def _floats(self, values: Any) -> Any:
        flat = np.ascontiguousarray(np.asarray(values, dtype=np.float32).ravel())
        return self._shared(flat if flat.size else np.zeros(1, np.float32), self._wp.float32)

    def _integers(self, values: Any) -> Any:
        flat = np.ascontiguousarray(np.asarray(values, dtype=np.int32).ravel())
        return self._shared(flat if flat.size else np.zeros(1, np.int32), self._wp.int32)

    def _shared(self, flat: NDArray[Any], dtype: Any) -> Any:
        """Array on the device; on the CPU it is numpy's own memory."""
        return self._wp.array(flat, dtype=dtype, device=self._device, copy=self._device != "cpu")

    def _vectors(self, columns: Sequence[FloatArray], dtype: Any) -> Any:
        rows = np.stack([np.asarray(c, dtype=np.float32).ravel() for c in columns], axis=1)
        return self._wp.array(np.ascontiguousarray(rows), dtype=dtype, device=self._device)

    def _make_geometry(self, phantom: Phantom, shells: Shells | None) -> Any:
        from hepatica.transport.device import Geometry

        g = Geometry()
        g.nx, g.ny, g.nz = phantom.density.shape
        g.sx, g.sy, g.sz = phantom.spacing_mm
        g.radial = int(shells is not None)
        if shells is not None:
            start = shells.width_mm * shells.linear
            g.shell_mm, g.shells, g.log_start_mm, g.log_shells = (
                shells.width_mm,
                shells.linear,
                start,
                shells.logarithmic,
            )
            g.log_per_unit = shells.logarithmic / np.log(shells.last_mm / start)
        g.density = self._floats(phantom.density)
        flat = np.ascontiguousarray(phantom.medium_index.ravel())
        g.medium = self._shared(flat, self._wp.uint8)
        return g

    def _make_physics(self, phantom: Phantom, ladder: Ladder, photons: PhotonTables, model: StepModel) -> Any:
        from hepatica.transport.device import Physics

        wp, m = self._wp, Physics()
        m.rungs, m.ratio = ladder.thickness.shape[1], model.ratio
        m.cutoff, m.photon_cutoff = model.cutoff_kev, model.photon_cutoff_kev
        m.log_top = float(np.log(ladder.energy_kev[0]))
        m.inverse_log_ratio = float(1 / np.log(ladder.energy_kev[0] / ladder.energy_kev[1]))
        m.energy, m.hard_limit = self._floats(ladder.energy_kev), self._floats(ladder.hard_limit_kev)
        m.step = self._vectors((ladder.thickness, ladder.spread, ladder.hard, ladder.photon_share), wp.vec4)
        m.reach = self._vectors((ladder.csda_range, ladder.photons_below), wp.vec2)
        m.angle, m.brems = self._floats(ladder.angle), self._floats(ladder.photon_quantile)
        logs = np.log(photons.energy_kev)
        m.photon_log_low, m.photon_per_log = float(logs[0]), float(1 / (logs[1] - logs[0]))
        m.attenuation = self._floats(photons.total)
        m.shares = self._vectors((photons.photoelectric, photons.coherent, photons.pair), wp.vec3)
        densest = [float(phantom.density[phantom.medium_index == n].max(initial=0)) for n in range(len(phantom.media))]
        m.majorant = self._floats((photons.total * np.array(densest)[:, None]).max(axis=0) * 1.000001)
        m.scattering, m.form = self._floats(photons.scattering_function), self._floats(photons.form_integral)
        span = np.log(MOMENTUM_RANGE)
        m.momentum_log_low = float(span[0])
        m.momentum_per_log = float((MOMENTA - 1) / (span[1] - span[0]))
        return m

    def _make_source(self, emission: Emission, voxels: NDArray[Any], weights: NDArray[Any]) -> Any:
        from hepatica.transport.device import Source

        if len(voxels) > MOST_SOURCE_VOXELS:
            raise PhysicsError(
                f"Monte Carlo: {len(voxels)} voxels hold activity, {MOST_SOURCE_VOXELS} is the limit; crop or resample"
            )
        s = Source()
        keep, other = alias_table(weights)
        s.voxels, s.voxel = len(voxels), self._integers(voxels)
        s.voxel_keep, s.voxel_alias = self._floats(keep), self._integers(other)
        s.beta_yield, s.beta_bins = emission.beta_yield, len(emission.beta_kev) - 1
        s.beta_kev = self._floats(emission.beta_kev)
        for name, energy, number in (
            ("line", emission.line_kev, emission.line_yield),
            ("gamma", emission.gamma_kev, emission.gamma_yield),
        ):
            keep, other = alias_table(number if len(number) else np.ones(1))
            setattr(s, f"{name}_number", float(number.sum()))
            setattr(s, f"{name}s", max(len(number), 1))
            setattr(s, f"{name}_kev", self._floats(energy))
            setattr(s, f"{name}_keep", self._floats(keep))
            setattr(s, f"{name}_alias", self._integers(other))
        s.local_kev = emission.local_kev
        s.positron_yield, s.positron_sum_kev = emission.positron_yield, emission.positron_sum_kev
        return s

    def run(self, seed: int, first: int, histories: int, threads: int = 1) -> tuple[FloatArray, FloatArray]:
        """Follow decays `first` to ``first + histories - 1`` of the stream `seed`.

        Returns
        -------
        tally : ndarray of float64, shape (tally_size,)
            Energy deposited per voxel or shell, keV. The next run overwrites it.
        counters : ndarray of float64, shape (4,)
            Energy emitted, escaped with electrons, escaped with photons, lost to a full stack, keV.
        """
        lanes = threads if self._device == "cpu" else 1
        while len(self._lanes) < lanes:
            self._lanes.append(self._new_lane())
        share = [histories * n // lanes for n in range(lanes + 1)]
        results: list[tuple[FloatArray, FloatArray] | Exception | None] = [None] * lanes

        def work(n: int) -> None:
            try:
                results[n] = self._launch(self._lanes[n], seed, first + share[n], share[n + 1] - share[n])
            except Exception as error:  # noqa: BLE001 - handed to the caller's thread below
                results[n] = error

        helpers = [threading.Thread(target=work, args=(n,)) for n in range(1, lanes)]
        for helper in helpers:
            helper.start()
        work(0)
        for helper in helpers:
            helper.join()
        done = []
        for result in results:
            if not isinstance(result, tuple):
                raise result or PhysicsError("a transport thread ended without a result")
            done.append(result)
        tally, counters = done[0]
        for other, others in done[1:]:
            tally += other
            counters = counters + others
        return tally, counters

    def _new_lane(self) -> _Lane:
        wp, workers = self._wp, 1 if self._device == "cpu" else GPU_WORKERS
        return _Lane(
            workers=workers,
            stack=wp.zeros(workers * self._stack_numbers, dtype=wp.float32, device=self._device),
            tally=wp.zeros(self.tally_size, dtype=wp.float64, device=self._device),
            counters=wp.zeros(len(COUNTER_NAMES), dtype=wp.float64, device=self._device),
        )

    def _launch(self, lane: _Lane, seed: int, first: int, histories: int) -> tuple[FloatArray, FloatArray]:
        wp = self._wp
        lane.tally.zero_()
        lane.counters.zero_()
        workers = min(lane.workers, max(histories, 1))
        inputs = [self._geometry, self._physics, self._source, wp.uint64(seed), wp.uint64(first), histories, workers]
        outputs = [lane.stack, lane.tally, lane.counters]
        wp.launch(self._kernel, dim=workers, inputs=[*inputs, *outputs], device=self._device)
        return lane.tally.numpy(), lane.counters.numpy().copy()
