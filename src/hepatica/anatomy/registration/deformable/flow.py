"""Fields on nodes: composition, the exponential of a velocity, refinement, roughness, Gauss-Newton sums; by Warp."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.transport.runner.launch import load_warp

Field = NDArray[np.float32]

MAX_THREADS = 4
MAX_PIECE = 0.25
"""Displacement in node distances of the piece that is composed with itself for an exponential."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Gauss-Newton sums over the voxels of each node.

    Attributes
    ----------
    diagonal, mixed : ndarray, shape (i, j, k, 3)
        Matrix: xx, yy, zz and xy, xz, yz.
    force : ndarray, shape (i, j, k, 3)
        Right side.
    misfit : ndarray, shape (i, j, k, 2)
        Sum of squared differences and of weights.
    """

    diagonal: Field
    mixed: Field
    force: Field
    misfit: Field


class Flow:
    """Launches of the kernels over planes of a grid, shared among threads.

    Parameters
    ----------
    threads : int or None
        None for up to four; the result does not depend on it.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._wp = load_warp()
        from hepatica.anatomy.registration.deformable import kernels

        self._wp.load_module(kernels, device="cpu")
        self._kernels = kernels
        self.threads = threads or min(MAX_THREADS, os.cpu_count() or 1)

    def exponential(self, velocity: Field) -> Field:
        """Displacement after unit time, by scaling and squaring, in node indices."""
        fastest = float(np.sqrt((velocity**2).sum(axis=-1).max(initial=0.0)))
        halvings = max(0, int(np.ceil(np.log2(max(fastest, 1e-9) / MAX_PIECE))))
        field = np.ascontiguousarray(velocity / np.float32(2**halvings), dtype=np.float32)
        for _ in range(halvings):
            out = np.empty_like(field)
            self._launch("compose", field.shape[:3], [self._vectors(field)] * 2, [self._vectors(out)])
            field = out
        return field

    def refined(self, field: Field, shape: tuple[int, ...]) -> Field:
        """A field on nodes half as far apart, in their indices."""
        out = np.empty((*shape, 3), np.float32)
        self._launch("refine", shape, [self._vectors(field), 2], [self._vectors(out)])
        return out

    def curvature(self, field: Field) -> Field:
        """The Laplacian of the Laplacian, nothing flowing over the border."""
        for _ in range(2):
            out = np.empty_like(field)
            self._launch("roughness", field.shape[:3], [self._vectors(field)], [self._vectors(out)])
            field = out
        return field

    def sums(
        self, images: tuple[Field, Field], weights: tuple[Field, Field], velocity: Field, voxels_per_node: int
    ) -> Sums:
        """Gauss-Newton sums of two feature images (fixed, moving), both brought half of the way."""
        nodes = velocity.shape[:3]
        half = np.float32(0.5) * velocity
        ways = [self._vectors(self.exponential(way)) for way in (-half, half)]
        diagonal, mixed, force = (np.empty((*nodes, 3), np.float32) for _ in range(3))
        out = Sums(diagonal, mixed, force, np.empty((*nodes, 2), np.float32))
        inputs = [*map(self._numbers, (*images, *weights)), *ways, voxels_per_node]
        pairs = self._wp.array(out.misfit, dtype=self._wp.vec2, device="cpu", copy=False)
        outputs = [*map(self._vectors, (out.diagonal, out.mixed, out.force)), pairs]
        self._launch("normal_equations", nodes, inputs, outputs)
        return out

    def _launch(self, kernel: str, shape: Sequence[int], inputs: list[Any], outputs: list[Any]) -> None:
        cuts = [shape[0] * n // self.threads for n in range(self.threads + 1)]

        def planes(first: int, stop: int) -> None:
            dim = (stop - first, *shape[1:])
            function = getattr(self._kernels, kernel)
            self._wp.launch(function, dim=dim, inputs=[*inputs, first, *outputs], device="cpu")

        with ThreadPoolExecutor(self.threads) as pool:
            jobs = [pool.submit(planes, a, b) for a, b in pairwise(cuts) if b > a]
            for job in jobs:
                job.result()

    def _vectors(self, field: Field) -> Any:
        return self._wp.array(np.ascontiguousarray(field), dtype=self._wp.vec3, device="cpu", copy=False)

    def _numbers(self, values: Field) -> Any:
        return self._wp.array(np.ascontiguousarray(values), dtype=self._wp.float32, device="cpu", copy=False)
