"""Decays of a source in a phantom, followed with all that they emit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.launch import Launcher, Sizes, check_device, load_warp
from hepatica.transport.runner.source import Emission
from hepatica.transport.runner.upload import Phantom, Shells, Upload, tables_for

FloatArray = NDArray[np.float64]

COUNTERS = 4
"""Energy emitted, escaped with electrons, escaped with photons, lost to a full stack, keV."""


class DecayTransport:
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
        upload = Upload(load_warp(), device)
        from hepatica.transport.device import decays as module

        size = phantom.density.size if shells is None else shells.linear + shells.logarithmic + 1
        self._launcher = Launcher(module, "follow_decays", Sizes(size, COUNTERS), device)
        self._inputs = [
            upload.geometry(phantom, shells),
            upload.physics(phantom, *tables_for(phantom.media, model), model),
            _source(upload, emission, upload.places(voxels, weights, phantom.density.shape)),
        ]

    def run(self, seed: int, first: int, histories: int, threads: int | None = 1) -> tuple[FloatArray, FloatArray]:
        """Follow decays `first` to ``first + histories - 1`` of the stream `seed`.

        Returns
        -------
        tally : ndarray of float64, shape (voxels or shells + 1,)
            Energy deposited per voxel or shell, keV. The next run overwrites it.
        counters : ndarray of float64, shape (4,)
            See `COUNTERS`.
        """
        return self._launcher.run(self._inputs, seed=seed, first=first, histories=histories, threads=threads)


def _source(upload: Upload, emission: Emission, places: Any) -> Any:
    from hepatica.transport.device.decays import Source

    s = Source()
    s.places = places
    s.beta_yield, s.beta_bins = emission.beta_yield, len(emission.beta_kev) - 1
    s.beta_kev = upload.floats(emission.beta_kev)
    s.line_number, s.gamma_number = float(emission.line_yield.sum()), float(emission.gamma_yield.sum())
    s.line_kev, s.gamma_kev = upload.floats(emission.line_kev), upload.floats(emission.gamma_kev)
    s.line_table, s.gamma_table = upload.alias(emission.line_yield), upload.alias(emission.gamma_yield)
    s.local_kev = emission.local_kev
    s.positron_yield, s.positron_sum_kev = emission.positron_yield, emission.positron_sum_kev
    return s
