"""Launches of the transport kernels on a device.

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
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import PhysicsError, UnknownNameError

FloatArray = NDArray[np.float64]

DEVICES = ("cpu", "cuda")
GPU_WORKERS = 64 * 1024
LOST = 3
"""Place among the counters of the energy that did not fit on a stack."""


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
        raise PhysicsError(
            "Monte Carlo transport needs the package warp-lang", remedy="pip install warp-lang"
        ) from error
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
            "device 'cuda' was asked for, but no CUDA GPU and driver were found",
            remedy="run on a machine with an NVIDIA GPU and its driver (nvidia-smi must list it), or with `device` cpu",
        )


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers that a kernel writes: its tally, its counters, and a tally that nobody reads."""

    tally: int
    counters: int
    scratch: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Inputs of a kernel, and the histories of a stream that it follows with them."""

    inputs: Sequence[Any]
    first: int
    histories: int


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """What one thread (or the GPU) writes to."""

    workers: int
    stack: Any
    scratch: list[Any]
    tally: Any
    counters: Any


class Launcher:
    """A kernel that follows histories of a stream of random numbers, and what its threads write to.

    Parameters
    ----------
    module : module
        Module of the kernel; compiled (or taken from the cache) here, before two threads ask for it at once.
    kernel : str
        Its name. It takes its inputs, seed, first history, histories, workers, stack, the scratch tally if there is
        one, tally and counters.
    sizes : Sizes
        Of what it writes.
    device : str
        "cpu" or "cuda".
    """

    def __init__(self, module: ModuleType, kernel: str, sizes: Sizes, device: str) -> None:
        self._wp = load_warp()
        self._wp.load_module(module, device=device)
        self._kernel, self._sizes, self._device = getattr(module, kernel), sizes, device
        self._lanes: list[_Lane] = []

    def run(
        self, inputs: Sequence[Any], *, seed: int, first: int, histories: int, threads: int | None
    ) -> tuple[FloatArray, FloatArray]:
        """Follow histories `first` to ``first + histories - 1`` of the stream `seed`; see `run_pieces`."""
        return self.run_pieces([Piece(inputs, first, histories)], seed=seed, threads=threads)

    def run_pieces(self, pieces: Sequence[Piece], *, seed: int, threads: int | None) -> tuple[FloatArray, FloatArray]:
        """Follow histories of the stream `seed` with each piece's inputs into one tally; None for all threads.

        Returns
        -------
        tally, counters : ndarray of float64
            Sums over all threads. The next run overwrites the tally.

        Raises
        ------
        PhysicsError
            If a particle stack was full.
        """
        lanes = (threads or os.cpu_count() or 1) if self._device == "cpu" else 1
        while len(self._lanes) < lanes:
            self._lanes.append(self._new_lane())
        results: list[tuple[FloatArray, FloatArray] | Exception | None] = [None] * lanes

        def work(n: int) -> None:
            try:
                results[n] = self._launch(self._lanes[n], [_share(piece, n, lanes) for piece in pieces], seed)
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
        if counters[LOST] > 0:
            raise PhysicsError(
                f"Monte Carlo: {counters[LOST]:.4g} keV were lost because a particle stack was full; please report this"
            )
        return tally, counters

    def _new_lane(self) -> _Lane:
        from hepatica.transport.device.stack import STACK_SIZE

        wp, sizes, workers = self._wp, self._sizes, 1 if self._device == "cpu" else GPU_WORKERS
        return _Lane(
            workers=workers,
            stack=wp.zeros(workers * STACK_SIZE, dtype=wp.float32, device=self._device),
            scratch=[wp.zeros(sizes.scratch, dtype=wp.float64, device=self._device)] if sizes.scratch else [],
            tally=wp.zeros(sizes.tally, dtype=wp.float64, device=self._device),
            counters=wp.zeros(sizes.counters, dtype=wp.float64, device=self._device),
        )

    def _launch(self, lane: _Lane, pieces: Sequence[Piece], seed: int) -> tuple[FloatArray, FloatArray]:
        wp = self._wp
        lane.tally.zero_()
        lane.counters.zero_()
        written = [lane.stack, *lane.scratch, lane.tally, lane.counters]
        for piece in pieces:
            workers = min(lane.workers, max(piece.histories, 1))
            stream = [wp.uint64(seed), wp.uint64(piece.first), piece.histories, workers]
            wp.launch(self._kernel, dim=workers, inputs=[*piece.inputs, *stream, *written], device=self._device)
        return lane.tally.numpy(), lane.counters.numpy().copy()


def _share(piece: Piece, lane: int, lanes: int) -> Piece:
    """What one of several threads follows of a piece."""
    start, end = piece.histories * lane // lanes, piece.histories * (lane + 1) // lanes
    return Piece(piece.inputs, piece.first + start, end - start)
