"""Decays of a source in a phantom, followed with all that they emit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.launch import Launcher, Piece, Sizes, check_device, load_warp
from hepatica.transport.runner.scoring import Scoring
from hepatica.transport.runner.source import Emission
from hepatica.transport.runner.upload import Phantom, Shells, Twin, Upload, tables_for

FloatArray = NDArray[np.float64]

COUNTERS = 4
"""Energy emitted, escaped with electrons, escaped with photons, lost to a full stack, keV."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where decays are.

    Attributes
    ----------
    voxels, weights : ndarray
        Flat indices of the voxels with activity, and their decays in any unit.
    shape : tuple of int
        Of the grid that they count in.
    to_mm : ndarray, shape (4, 4)
        Takes voxels from the corner of that grid to mm from the corner of the phantom.
    """

    voxels: NDArray[np.integer[Any]]
    weights: NDArray[np.floating[Any]]
    shape: tuple[int, ...]
    to_mm: FloatArray

    @classmethod
    def of_phantom(cls, phantom: Phantom, voxels: NDArray[Any], weights: NDArray[Any]) -> Places:
        """Voxels of the phantom itself."""
        return cls(voxels, weights, phantom.density.shape, np.diag([*phantom.spacing_mm, 1.0]))


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """A part of the source that has its own share of the histories.

    Attributes
    ----------
    places : Places
        Where its decays are.
    share : float
        Of all decays.
    rate : float
        Of the histories.
    twinned : bool
        Whether its decays have a twin.
    """

    places: Places
    share: float = 1.0
    rate: float = 1.0
    twinned: bool = True


STRATUM_HISTORIES = 2**48
"""Histories of a stream that each stratum can draw: 10^14, more than settings allow."""


class DecayTransport:
    """One phantom (or infinite medium), one source, on one device.

    Parameters
    ----------
    phantom : Phantom
        Voxels; for a point source in an infinite medium one voxel of that medium.
    emission : Emission
        What a decay emits.
    source : Places or sequence of Stratum
        Where decays are; those outside the phantom emit nothing. With strata each gets its rate of the histories, and
        what these do counts as often as its share of the decays asks for.
    model : StepModel
        How finely electrons are followed.
    tally : Shells, Scoring or None
        Score in shells about a point source in an infinite medium, or in other voxels, instead of the phantom's own.
    twin : Twin or None
        Follow each decay again, with the same random numbers, in endless uniform matter: the tally then has a second
        half for the energy of these.
    device : str
        "cpu" or "cuda".
    """

    def __init__(
        self,
        phantom: Phantom,
        emission: Emission,
        source: Places | Sequence[Stratum],
        *,
        model: StepModel,
        tally: Shells | Scoring | None = None,
        twin: Twin | None = None,
        device: str = "cpu",
    ) -> None:
        check_device(device)
        upload = Upload(load_warp(), device)
        from hepatica.transport.device import decays as module

        size = phantom.density.size if tally is None else tally.size
        shells = tally if isinstance(tally, Shells) else None
        scoring = tally if isinstance(tally, Scoring) else None
        sizes = Sizes(size if twin is None else 2 * size, COUNTERS, scratch=COUNTERS)
        self._launcher = Launcher(module, "follow_decays", sizes, device)
        self._upload, self._twin, self._size = upload, twin, size
        self._geometry = upload.geometry(phantom, shells, scoring)
        self._physics = upload.physics(phantom, *tables_for(phantom.media, model), model)
        self._strata = [Stratum(source)] if isinstance(source, Places) else list(source)
        self._sources = [_source(upload, emission, one.places) for one in self._strata]

    def run(self, seed: int, first: int, histories: int, threads: int | None = 1) -> tuple[FloatArray, FloatArray]:
        """Follow decays `first` to ``first + histories - 1`` of the stream `seed`.

        Returns
        -------
        tally : ndarray of float64, shape (voxels, or the size of the other tally; twice that with a twin,)
            Energy deposited per element, keV. The next run overwrites it.
        counters : ndarray of float64, shape (4,)
            See `COUNTERS`.
        """
        pieces = [
            self._piece(number, number * STRATUM_HISTORIES + first, histories) for number in range(len(self._strata))
        ]
        return self._launcher.run_pieces(pieces, seed=seed, threads=threads)

    def _piece(self, number: int, first: int, histories: int) -> Piece:
        """What a stratum has of a batch: at least one history, so that no part of the source is ever left out."""
        one = self._strata[number]
        own = max(round(one.rate * histories), 1)
        weight = one.share * histories / own
        geometry = self._upload.counting(self._geometry, weight)
        twin = self._upload.counting(self._geometry, weight, self._twin if one.twinned else None, self._size)
        return Piece([geometry, twin, self._physics, self._sources[number]], first, own)


def _source(upload: Upload, emission: Emission, places: Places) -> Any:
    from hepatica.transport.device.decays import Source

    s = Source()
    s.places = upload.places(places.voxels, places.weights, places.shape)
    s.to_mm, s.origin_mm = upload.affine(places.to_mm)
    s.beta_yield, s.beta_bins = emission.beta_yield, len(emission.beta_kev) - 1
    s.beta_kev = upload.floats(emission.beta_kev)
    s.line_number, s.gamma_number = float(emission.line_yield.sum()), float(emission.gamma_yield.sum())
    s.line_kev, s.gamma_kev = upload.floats(emission.line_kev), upload.floats(emission.gamma_kev)
    s.line_table, s.gamma_table = upload.alias(emission.line_yield), upload.alias(emission.gamma_yield)
    s.local_kev = emission.local_kev
    s.positron_yield, s.positron_sum_kev = emission.positron_yield, emission.positron_sum_kev
    return s
