"""Tables and volumes on a device, and launches of the transport kernel on them.

On the CPU a launch is one thread's work and releases Python's lock, so `threads` Python threads follow disjoint
histories into tallies of their own. On a GPU one launch follows all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError, UnknownNameError
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.source import Emission, alias_table
from hepatica.transport.runner.upload import Phantom, Shells, Upload, tables_for

FloatArray = NDArray[np.float64]

DEVICES = ("cpu", "cuda")
GPU_WORKERS = 64 * 1024
MOST_SOURCE_VOXELS = 2**26
COUNTER_NAMES = ("emitted", "escaped_electrons", "escaped_photons", "lost")


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
        from hepatica.transport.device import decays as device_kernel
        from hepatica.transport.device.decays import follow_decays
        from hepatica.transport.device.phantom import STACK_DEPTH, STACK_FIELDS

        self._kernel = follow_decays
        # compiled (or taken from the cache) here, before two threads ask for it at once
        self._wp.load_module(device_kernel, device=device)
        self._stack_numbers = STACK_DEPTH * STACK_FIELDS
        self._device = device
        self._lanes: list[_Lane] = []
        self._upload = Upload(self._wp, device)
        self._geometry = self._upload.geometry(phantom, shells)
        self._physics = self._upload.physics(phantom, *tables_for(phantom.media, model), model)
        self._source = self._make_source(emission, voxels, weights)
        self.tally_size = phantom.density.size if shells is None else shells.linear + shells.logarithmic + 1

    def _make_source(self, emission: Emission, voxels: NDArray[Any], weights: NDArray[Any]) -> Any:
        from hepatica.transport.device.phantom import Source

        if len(voxels) > MOST_SOURCE_VOXELS:
            raise PhysicsError(
                f"Monte Carlo: {len(voxels)} voxels hold activity, {MOST_SOURCE_VOXELS} is the limit; crop or resample"
            )
        s = Source()
        keep, other = alias_table(weights)
        s.voxels, s.voxel = len(voxels), self._upload.integers(voxels)
        s.voxel_keep, s.voxel_alias = self._upload.floats(keep), self._upload.integers(other)
        s.beta_yield, s.beta_bins = emission.beta_yield, len(emission.beta_kev) - 1
        s.beta_kev = self._upload.floats(emission.beta_kev)
        for name, energy, number in (
            ("line", emission.line_kev, emission.line_yield),
            ("gamma", emission.gamma_kev, emission.gamma_yield),
        ):
            keep, other = alias_table(number if len(number) else np.ones(1))
            setattr(s, f"{name}_number", float(number.sum()))
            setattr(s, f"{name}s", max(len(number), 1))
            setattr(s, f"{name}_kev", self._upload.floats(energy))
            setattr(s, f"{name}_keep", self._upload.floats(keep))
            setattr(s, f"{name}_alias", self._upload.integers(other))
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
