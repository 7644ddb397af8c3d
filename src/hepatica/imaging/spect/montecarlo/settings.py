"""How long a Monte Carlo projection goes on, and what it gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core.options import Limits, options
from hepatica.errors import InputError
from hepatica.imaging.spect.projections import Window
from hepatica.transport.runner.settings import StoppingOptions

Float32 = NDArray[np.float32]


@options
class ProjectionSettings(StoppingOptions):
    """When a Monte Carlo of projections stops, and with which random numbers.

    At least one stopping rule must be given; the first that is reached ends the run, but not before ten batches,
    without which there is no uncertainty. The target uncertainty is the root mean square over the target bins.

    Attributes
    ----------
    threads : int or None
        CPU threads; None for all.
    max_scatter : int
        Compton scatters followed; 0 for none (what an analytic projector models).
    target_window : int
        Number of the window that the target uncertainty is about.

    Raises
    ------
    InputError
        If a number is out of range or no stopping rule is given.
    """

    threads: Annotated[int, Limits(low=1)] | None = None
    max_scatter: Annotated[int, Limits(low=0)] = 50
    target_window: Annotated[int, Limits(low=0)] = 0

    def __post_init__(self) -> None:
        if not self.has_rule:
            raise InputError(
                "a Monte Carlo run must know when to stop",
                remedy="say when to stop: `histories`, `target_uncertainty` or `time_limit_s`",
            )

    @classmethod
    def of(cls, rules: StoppingOptions, *, threads: int | None = None) -> ProjectionSettings:
        """Settings with these stopping rules."""
        return cls(
            histories=rules.histories,
            target_uncertainty=rules.target_uncertainty,
            time_limit_s=rules.time_limit_s,
            seed=rules.seed,
            threads=threads,
        )

    def parameters(self) -> Mapping[str, float | None]:
        """Plain values for the provenance."""
        return {
            "histories_wanted": self.histories,
            "target_uncertainty": self.target_uncertainty,
            "time_limit_s": self.time_limit_s,
            "seed": self.seed,
            "max_scatter": self.max_scatter,
            "target_window": self.target_window,
        }


@dataclass(frozen=True, slots=True)
class RayWork:
    """How much is done for what a typical emission gives a view: sets time and noise, not the mean.

    Chosen for the least variance times time in bins of the liver, 90Y under a high-energy collimator
    (benchmarks/bench_spect_montecarlo.py).

    Attributes
    ----------
    near_points : float
        Points through holes that share one tabulated transmission, at the view's usual transmission.
    near_check : float
        Chance of an exact ray beside them.
    far_points : float
        Rays far from the detector's normal.
    far_check : float
        Chance that one of them is exact.
    exact : bool
        Exact rays alone: slower, for comparison.
    """

    near_points: float = 6.0
    near_check: float = 0.07
    far_points: float = 6.0
    far_check: float = 0.05
    exact: bool = False

    def __post_init__(self) -> None:
        chances = (self.near_check, self.far_check)
        if min(self.near_points, self.far_points) <= 0 or not all(0 < chance <= 1 for chance in chances):
            raise InputError(f"rays of the Monte Carlo: numbers above 0, chances up to 1 are needed, not {self}")


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarloProjections:
    """Expected counts, in two parts.

    Attributes
    ----------
    primary : ndarray of float32, shape (windows, views, u, v)
        Photons that did not scatter in the patient and came through a hole without touching lead: what an analytic
        projector models. Counts per second where the activity was in Bq, counts where it was in decays.
    other : ndarray of float32, same shape
        All others: scattered in the patient, through septa, scattered in the collimator or behind the crystal.
    relative_sd : ndarray of float32, same shape
        Relative standard uncertainty of primary and other together; infinite where nothing was counted.
    parts : ndarray of float32, shape (4, windows, views, u, v), or None
        If asked for: through a hole not scattered, through a hole scattered in the patient, by lead not scattered, by
        lead scattered.
    windows : tuple of Window
        In the order of the first axis.
    histories, batches : int
        What was followed.
    uncertainty : float
        Root mean square relative uncertainty of the target bins; NaN where there is none.
    seconds : float
        Wall time.
    photons_per_decay, photon_kev_per_decay : float
        Photons above the lowest energy followed, and their energy, lines and bremsstrahlung.
    provenance : mapping
        Settings, tables, and what was reached, plain values.
    """

    primary: Float32
    other: Float32
    relative_sd: Float32
    parts: Float32 | None
    windows: tuple[Window, ...]
    histories: int
    batches: int
    uncertainty: float
    seconds: float
    photons_per_decay: float
    photon_kev_per_decay: float
    provenance: Mapping[str, Any]

    @property
    def total(self) -> Float32:
        """Primary and other together."""
        return np.asarray(self.primary + self.other)


def without_negatives(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins below zero made zero, the others of the view lowered in proportion: sums of views stay as they are.

    Where an exact ray takes the place of a short cut, what is taken off may exceed what a bin holds that hardly
    anything reaches: a ten-thousandth of the counts at 5 % per bin.

    Parameters
    ----------
    counts : ndarray, shape (..., u, v)
        Views.
    """
    kept = np.maximum(counts, 0)
    whole, held = counts.sum(axis=(-2, -1)), kept.sum(axis=(-2, -1))
    share = np.divide(np.maximum(whole, 0), held, out=np.zeros_like(held), where=held > 0)
    return np.asarray(kept * share[..., None, None])


class TallySums:
    """Sums over batches of the tallies, and the uncertainty that their spread gives.

    As in `transport.batches`: with sums of t and t^2/n over batches of n histories the variance of one history is
    ``(sum t^2/n - T^2/N) / (batches - 1)``.
    """

    def __init__(self, parts: int, shape: tuple[int, int, int, int]) -> None:
        self.parts = np.zeros((parts, *shape))
        self.squares = np.zeros(shape)
        self.histories = self.batches = 0
        self.counters = np.zeros(6)

    def add(self, tally: NDArray[np.float64], counters: NDArray[np.float64], histories: int) -> None:
        """Add a batch."""
        made = tally.reshape(self.parts.shape)
        self.parts += made
        together = made.sum(axis=0)
        together *= together
        together /= histories
        self.squares += together
        self.counters += counters
        self.histories += histories
        self.batches += 1

    def relative_sd(self, window: int | None = None) -> NDArray[np.float64]:
        """Relative standard uncertainty of each bin, all windows or one; infinite without counts."""
        chosen = slice(None) if window is None else slice(window, window + 1)
        total = self.parts[:, chosen].sum(axis=0)
        if self.batches < 2:
            return np.full(total.shape, math.inf)
        spread = np.maximum(self.squares[chosen] - total**2 / self.histories, 0) / (self.batches - 1)
        sd = np.sqrt(spread * self.histories)
        return np.asarray(np.divide(sd, total, out=np.full(total.shape, math.inf), where=total > 0))
